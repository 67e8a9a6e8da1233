/* Training from the command line down, with a program made by hand (tiny_training.h): what a run leaves in
 * its folder, stopping and going on, and what is refused. */
#define _GNU_SOURCE
#include "../../runtime/rt_train_run.h"
#include "../../runtime/rt_weights.h"
#include "../../runtime/segrt.h"
#include "scratch_folder.h"
#include "tiny_training.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *train_suite(void);

static ScratchFolder scratch;
static TinyTraining tiny;
static char out[16384], err[16384]; /* what the last call printed */

static void set_up(void)
{
    scratch_open(&scratch);
    tiny =
        (TinyTraining){.batch = 2, .height = 8, .width = 16, .classes = 4, .iterations = 8, .critic_from = 2};
    tiny_training_build(&tiny);
    for (int i = 0; i < 5; i++) {
        char name[40];
        snprintf(name, sizeof name, "images/%d.png", i);
        scratch_write(&scratch, name, "");
        scratch_picture(&scratch, name, 16, 8, 3, 40 * i, 200);
        snprintf(name, sizeof name, "labels/%d.png", i);
        scratch_write(&scratch, name, "");
        scratch_picture(&scratch, name, 16, 8, 1, i % 4, 255);
    }
}

static void tear_down(void)
{
    tiny_training_free(&tiny);
    scratch_close(&scratch);
}

static size_t read_file(const char *name, char *text, size_t size)
{
    FILE *file = fopen(scratch_path(&scratch, name), "rb");
    ck_assert_msg(file != NULL, "no %s", name);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = 0;
    fclose(file);
    return length;
}

/* What it prints goes to files of these names. */
static pid_t start_to(const char *const *words, const char *out_name, const char *err_name)
{
    char *argv[32] = {(char *)(uintptr_t) "tiny"};
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 1];
    fflush(NULL);
    pid_t child = fork();
    if (child) return child;
    bool ready = !chdir(scratch.path) && freopen(out_name, "w", stdout) && freopen(err_name, "w", stderr);
    int status = ready ? segrt_main(argc, argv, &tiny.predict.program) : 99;
    fflush(NULL);
    _exit(status);
}

/* In the background: others may be called meanwhile. */
static pid_t start(const char *const *words)
{
    return start_to(words, "behind_out.txt", "behind_err.txt");
}

/* As the program would be called in the scratch folder; words ends in NULL. Returns the exit status. */
static int call(const char *const *words)
{
    int status = -1;
    pid_t child = start_to(words, "out.txt", "err.txt");
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    read_file("out.txt", out, sizeof out);
    read_file("err.txt", err, sizeof err);
    return WEXITSTATUS(status);
}

#define SOURCE "source=images:images,labels:labels"
#define TARGET "target=images:images"
#define VAL    "images:images,labels:labels"
#define DATA   "--data", SOURCE, "--data", TARGET

#define CALL(...)       call((const char *const[]){__VA_ARGS__, NULL})
#define TRAIN(...)      CALL("train", DATA, "--threads", "1", __VA_ARGS__)
#define DONE(...)       ck_assert_msg(TRAIN(__VA_ARGS__) == RT_OK, "%s", err)
#define HAS(text, part) ck_assert_msg(strstr(text, part), "'%s' is not in: %.2000s", part, text)

static void same_files(const char *a, const char *b)
{
    static char one[1 << 16], other[1 << 16];
    size_t size = read_file(a, one, sizeof one), again = read_file(b, other, sizeof other);
    ck_assert_msg(size == again && !memcmp(one, other, size), "%s and %s differ", a, b);
}

START_TEST(a_run_leaves_its_files)
{
    DONE("--val", VAL, "--out", "run", "--log-every", "2");
    HAS(out, "mIoU");
    HAS(out, "best mIoU");
    ck_assert(scratch_has(&scratch, "run/last.safetensors"));
    ck_assert(scratch_has(&scratch, "run/best.safetensors"));
    read_file("run/log.jsonl", out, sizeof out);
    HAS(out, "{\"event\": \"start\", \"iteration\": 0, \"program\": \"tiny\"");
    HAS(out, "\"data\": {\"source\": \"images:images,labels:labels\", \"target\": \"images:images\"}");
    HAS(out, "{\"event\": \"step\", \"iteration\": 2, \"terms\": {\"fit\": ");
    HAS(out, "{\"event\": \"validation\", \"iteration\": 8, \"miou\": ");
    HAS(out, "{\"event\": \"end\", \"iteration\": 8, \"reason\": \"done\"");
}
END_TEST

START_TEST(losses_fall)
{
    DONE("--out", "run", "--log-every", "1", "--iterations", "60");
    read_file("run/log.jsonl", out, sizeof out);
    const char *first = strstr(out, "\"fit\": "), *last = first;
    for (const char *at = first; (at = strstr(at + 1, "\"fit\": "));) last = at;
    ck_assert_double_lt(atof(last + 7), 0.7 * atof(first + 7));
}
END_TEST

START_TEST(stopped_and_resumed_is_unbroken)
{
    DONE("--val", VAL, "--out", "a", "--validate-every", "2", "--seed", "3");
    DONE("--val", VAL, "--out", "b", "--validate-every", "2", "--seed", "3", "--stop-at", "3");
    HAS(out, "stopped after iteration 3 of 8; to go on: tiny train --out b --resume");
    ck_assert_int_eq(CALL("train", "--out", "b", "--resume", "--threads", "2", "--validate-every", "2"),
                     RT_OK);
    same_files("a/last.safetensors", "b/last.safetensors");
    same_files("a/best.safetensors", "b/best.safetensors");
}
END_TEST

START_TEST(accumulated_and_resumed_is_unbroken)
{
    tiny_training_free(&tiny);
    tiny.accumulate = 3;
    tiny_training_build(&tiny);
    DONE("--out", "a");
    DONE("--out", "b", "--stop-at", "5");
    ck_assert_int_eq(CALL("train", "--out", "b", "--resume"), RT_OK);
    same_files("a/last.safetensors", "b/last.safetensors");
}
END_TEST

START_TEST(threads_change_nothing)
{
    DONE("--out", "a");
    ck_assert_int_eq(CALL("train", DATA, "--out", "b", "--threads", "2", "--loader-threads", "3"), RT_OK);
    same_files("a/last.safetensors", "b/last.safetensors");
}
END_TEST

static void read_head(const char *name, float weight[12])
{
    WeightsFile *file;
    ck_assert_int_eq(weights_open(scratch_path(&scratch, name), &file, NULL), RT_OK);
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "head.weight"), weight, NULL), RT_OK);
    weights_close(file);
}

START_TEST(seeds_change_the_run)
{
    float one[12], other[12];
    DONE("--out", "a");
    DONE("--out", "b", "--seed", "1");
    read_head("a/last.safetensors", one);
    read_head("b/last.safetensors", other);
    ck_assert_mem_ne(one, other, sizeof one);
}
END_TEST

START_TEST(the_log_goes_on_where_the_checkpoint_is)
{
    DONE("--out", "a", "--log-every", "1", "--save-every", "3", "--stop-at", "6");
    char *text = out;
    size_t length = read_file("a/log.jsonl", text, sizeof out);
    /* As if it was killed after iteration 7, before a save. */
    snprintf(text + length, sizeof out - length,
             "{\"event\": \"step\", \"iteration\": 7}\n{\"event\": \"step\", \"iter");
    scratch_write(&scratch, "a/log.jsonl", text);
    ck_assert_int_eq(CALL("train", "--out", "a", "--resume", "--log-every", "1"), RT_OK);
    read_file("a/log.jsonl", out, sizeof out);
    HAS(out, "{\"event\": \"resume\", \"iteration\": 6,");
    HAS(out, "\"iteration\": 7, \"terms\"");
    ck_assert_ptr_null(strstr(out, "\"iteration\": 7}"));
    ck_assert_ptr_null(strstr(out, "\"iter{"));
}
END_TEST

START_TEST(best_loads_as_weights)
{
    DONE("--val", VAL, "--out", "run");
    ck_assert_int_eq(CALL("eval", "--data", VAL, "--weights", "run/best.safetensors", "--json"), RT_OK);
    ck_assert_ptr_null(strstr(err, "warning"));
    HAS(out, "\"miou\"");
}
END_TEST

START_TEST(eval_agrees_with_validation)
{
    DONE("--val", VAL, "--out", "run");
    char *table = strdup(out);
    ck_assert_int_eq(CALL("eval", "--data", VAL, "--weights", "run/last.safetensors"), RT_OK);
    char *end = strstr(table, "best mIoU");
    ck_assert_ptr_nonnull(end);
    *end = 0;
    ck_assert_str_eq(table, out);
    free(table);
}
END_TEST

START_TEST(tunables_are_set)
{
    DONE("--out", "a", "--set", "scale=0", "--log-every", "1");
    read_file("a/log.jsonl", out, sizeof out);
    HAS(out, "\"scaled\": 0,");
    ck_assert_int_eq(TRAIN("--out", "b", "--set", "scal=0"), RT_USAGE);
    HAS(err, "did you mean scale?");
    ck_assert_int_eq(TRAIN("--out", "b", "--set", "scale=much"), RT_USAGE);
    HAS(err, "'much' is no finite number");
    ck_assert_int_eq(TRAIN("--out", "b", "--set", "scale"), RT_USAGE);
    HAS(err, "expected NAME=VALUE");
}
END_TEST

START_TEST(a_player_begins_late)
{
    DONE("--out", "a", "--iterations", "4", "--log-every", "1");
    read_file("a/log.jsonl", out, sizeof out);
    HAS(out, "\"critic\": 0}");
    HAS(out, "\"critic\": 0.100000001}");
    DONE("--out", "b", "--iterations", "2");
    HAS(err, "the player critic never steps: it begins at iteration 2 of 2");
}
END_TEST

START_TEST(what_is_missing_is_said)
{
    ck_assert_int_eq(CALL("train", DATA), RT_USAGE);
    HAS(err, "add --out RUN");
    ck_assert_int_eq(CALL("train", "--data", SOURCE, "--out", "a"), RT_USAGE);
    HAS(err, "no data for stream target: the program takes --data source=SPEC --data target=SPEC");
    ck_assert_int_eq(CALL("train", "--data", "images:images", "--out", "a"), RT_USAGE);
    HAS(err, "for which stream?");
    ck_assert_int_eq(CALL("train", DATA, "--data", TARGET, "--out", "a"), RT_USAGE);
    HAS(err, "stream target was given twice");
    ck_assert_int_eq(CALL("train", "--data", "source=images:images", "--data", TARGET, "--out", "a"),
                     RT_USAGE);
    ck_assert_int_eq(CALL("train", "--out", "a", "--resume"), RT_BAD_INPUT);
    HAS(err, "a holds no run to resume");
    ck_assert(!scratch_has(&scratch, "a/last.safetensors"));
}
END_TEST

START_TEST(a_run_is_not_overwritten)
{
    DONE("--out", "run");
    ck_assert_int_eq(TRAIN("--out", "run"), RT_USAGE);
    HAS(err, "run holds a run already: add --resume");
}
END_TEST

START_TEST(fewer_iterations_than_done_are_refused)
{
    DONE("--out", "run", "--iterations", "4");
    ck_assert_int_eq(TRAIN("--out", "run", "--resume", "--iterations", "3"), RT_USAGE);
    HAS(err, "--iterations 3: the run has 4 behind it");
    DONE("--out", "run", "--resume", "--iterations", "4", "--val", VAL);
    HAS(out, "mIoU");
}
END_TEST

START_TEST(another_seed_is_refused)
{
    DONE("--out", "run", "--stop-at", "2", "--seed", "5");
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume", "--seed", "6"), RT_USAGE);
    HAS(err, "--seed 6: the run was begun with seed 5");
}
END_TEST

START_TEST(other_data_is_told)
{
    DONE("--out", "run", "--stop-at", "2");
    ck_assert_int_eq(
        CALL("train", "--out", "run", "--resume", "--data", "target=images:labels", "--iterations", "3"),
        RT_OK);
    HAS(err, "the data of target is now images:labels; the run was begun with images:images");
    HAS(err, "--iterations 3: the run was begun with 8");
}
END_TEST

START_TEST(another_program_is_refused)
{
    DONE("--out", "run", "--stop-at", "2");
    tiny_training_free(&tiny);
    tiny.name = "other";
    tiny_training_build(&tiny);
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "was trained by the program tiny; this is other");
    tiny_training_free(&tiny);
    tiny.name = NULL;
    tiny.classes = 5;
    tiny_training_build(&tiny);
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "its head.weight has another shape");
}
END_TEST

START_TEST(a_damaged_checkpoint_is_refused)
{
    static char bytes[1 << 16];
    DONE("--out", "run", "--stop-at", "2");
    size_t size = read_file("run/last.safetensors", bytes, sizeof bytes);
    /* Anywhere: in its header, its metadata, its tensors. */
    for (size_t at = 9; at < size; at += 97) {
        bytes[at] ^= 1;
        FILE *file = fopen(scratch_path(&scratch, "run/last.safetensors"), "wb");
        fwrite(bytes, 1, size, file);
        fclose(file);
        bytes[at] ^= 1;
        Checkpoint checkpoint;
        RtError failure;
        RtStatus status =
            checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, &failure);
        ck_assert_msg(status == RT_BAD_INPUT, "a bit of byte %zu was turned, and nobody saw it", at);
        ck_assert_ptr_nonnull(strstr(failure.text, "last.safetensors"));
    }
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "run/last.safetensors: ");
}
END_TEST

START_TEST(a_truncated_checkpoint_is_refused)
{
    DONE("--out", "run", "--stop-at", "2");
    ck_assert_int_eq(truncate(scratch_path(&scratch, "run/last.safetensors"), 1500), 0);
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "run/last.safetensors: ");
}
END_TEST

START_TEST(weights_are_no_checkpoint)
{
    DONE("--out", "run", "--stop-at", "2");
    static const float bias[4] = {0};
    const WeightsPart part = {"head.bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "run/last.safetensors"), &part, 1, NULL, 0, NULL),
                     RT_OK);
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "no checkpoint that training could go on from");
}
END_TEST

START_TEST(training_begins_from_weights)
{
    static const float bias[4] = {5, 6, 7, 8};
    const WeightsPart part = {"bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "w.safetensors"), &part, 1, NULL, 0, NULL), RT_OK);
    DONE("--out", "run", "--weights", "w.safetensors", "--iterations", "1", "--set", "scale=0");
    HAS(err, "w.safetensors: 1 parameters taken, those below head.; the others begin as a new run's");
    WeightsFile *file;
    float values[4];
    ck_assert_int_eq(weights_open(scratch_path(&scratch, "run/last.safetensors"), &file, NULL), RT_OK);
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "head.bias"), values, NULL), RT_OK);
    ck_assert_mem_eq(values, bias, sizeof bias);
    weights_close(file);
}
END_TEST

/* The other way: the file's names have something before the network's. */
START_TEST(names_longer_than_the_networks)
{
    static const float bias[4] = {0, 0, 9, 0}, weight[12] = {0};
    const WeightsPart parts[] = {{"net.head.bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias},
                                 {"net.head.weight", WEIGHT_F32, 4, (const int64_t[]){4, 3, 1, 1}, weight}};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "w.safetensors"), parts, 2, NULL, 0, NULL), RT_OK);
    ck_assert_int_eq(CALL("eval", "--data", VAL, "--weights", "w.safetensors", "--json"), RT_OK);
    HAS(out, "\"name\": \"thing2\",\n      \"iou\": 0.2");
}
END_TEST

START_TEST(what_is_no_weight_must_be_there)
{
    static const float bias[4] = {0};
    const WeightsPart part = {"head.bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias};
    const WeightsText text = {WEIGHTS_OUTSIDE_KEY, "head.bias\nghost"};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "w.safetensors"), &part, 1, &text, 1, NULL), RT_OK);
    ck_assert_int_eq(CALL("eval", "--data", VAL, "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "w.safetensors: its metadata speaks of a tensor ghost, which is not there");
}
END_TEST

START_TEST(a_part_is_not_enough_to_predict)
{
    static const float bias[4] = {0};
    const WeightsPart part = {"bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "w.safetensors"), &part, 1, NULL, 0, NULL), RT_OK);
    ck_assert_int_eq(CALL("eval", "--data", VAL, "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "missing in the file:\n  weight");
}
END_TEST

START_TEST(a_discriminator_that_learns_nothing_is_told)
{
    /* The critic follows a mean that it reaches, so that its loss becomes and stays 0. */
    scratch_write(&scratch, "one/a.png", "");
    scratch_picture(&scratch, "one/a.png", 16, 8, 3, 100, 100);
    ck_assert_int_eq(
        CALL("train", "--data", SOURCE, "--data", "target=images:one", "--out", "run", "--iterations", "600"),
        RT_OK);
    HAS(err, "note: player critic is saturated");
    read_file("run/log.jsonl", out, sizeof out);
    HAS(out, "{\"event\": \"warning\", \"iteration\": ");
}
END_TEST

START_TEST(strange_weights_are_refused)
{
    static const float bias[4] = {0};
    const WeightsPart part = {"tail", WEIGHT_F32, 1, (const int64_t[]){4}, bias};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "w.safetensors"), &part, 1, NULL, 0, NULL), RT_OK);
    ck_assert_int_eq(TRAIN("--out", "run", "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "none of its tensors is a parameter of the program");
}
END_TEST

/* The losses are finite, what the step makes of their gradients is not: nothing of it is saved. */
START_TEST(a_step_that_overflows_is_not_saved)
{
    ck_assert_int_eq(TRAIN("--out", "run", "--set", "scale=2e38"), RT_BAD_INPUT);
    HAS(err, "after iteration 1 all loss terms are finite, but the parameter or state head.weight is not");
    Checkpoint checkpoint;
    ck_assert_int_eq(checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, NULL),
                     RT_OK);
    ck_assert_int_eq(checkpoint.state.iteration, 0);
    checkpoint_close(&checkpoint);
}
END_TEST

/* A folder stands where the best are to be: the validation fails, the step stays. */
START_TEST(a_validation_that_fails_loses_no_step)
{
    ck_assert_int_eq(mkdir(scratch_path(&scratch, "run"), 0777), 0);
    ck_assert_int_eq(mkdir(scratch_path(&scratch, "run/best.safetensors"), 0777), 0);
    ck_assert_int_ne(TRAIN("--out", "run", "--val", VAL, "--iterations", "3"), RT_OK);
    HAS(err, "best.safetensors");
    Checkpoint checkpoint;
    ck_assert_int_eq(checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, NULL),
                     RT_OK);
    ck_assert_int_eq(checkpoint.state.iteration, 3);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(not_a_number_stops_the_run)
{
    tiny_training_free(&tiny);
    tiny.poison = 0.5f; /* all first samples are 200 / 255 */
    tiny_training_build(&tiny);
    ck_assert_int_eq(TRAIN("--out", "run"), RT_BAD_INPUT);
    HAS(err, "iteration 1: the loss term fit is nan");
    HAS(err, "first parameter or state that is not finite is head.weight");
    Checkpoint checkpoint;
    ck_assert_int_eq(checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, NULL),
                     RT_OK);
    ck_assert_int_eq(checkpoint.state.iteration, 0);
    checkpoint_close(&checkpoint);
    read_file("run/log.jsonl", out, sizeof out);
    HAS(out, "\"reason\": \"failed: iteration 1");
}
END_TEST

static void wait_for(const char *name, const char *part)
{
    for (int i = 0; i < 2000; i++) {
        if (scratch_has(&scratch, name)) {
            read_file(name, out, sizeof out);
            if (strstr(out, part)) return;
        }
        usleep(5000);
    }
    ck_abort_msg("%s never said %s", name, part);
}

START_TEST(a_signal_saves)
{
    static const char *const words[] = {"train", DATA, "--out", "run", "--iterations", "100000000", NULL};
    pid_t child = start(words);
    int status;
    wait_for("run/log.jsonl", "\"iteration\": 20,");
    kill(child, SIGTERM);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
    read_file("behind_out.txt", out, sizeof out);
    HAS(out, "--out run --resume");
    Checkpoint checkpoint;
    ck_assert_int_eq(checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, NULL),
                     RT_OK);
    ck_assert_int_ge(checkpoint.state.iteration, 20);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(kills_leave_a_checkpoint)
{
    static const char *const words[] = {"train", DATA,           "--out",     "run", "--save-every",
                                        "1",     "--iterations", "100000000", NULL};
    static const char *const again[] = {"train", "--out", "run", "--resume", "--save-every", "1", NULL};
    int64_t before = -1;
    for (int i = 0; i < 12; i++) {
        pid_t child = start(i ? again : words);
        int status;
        if (!i) wait_for("run/log.jsonl", "\"iteration\": 10,");
        usleep((useconds_t)(60000 + 1371 * i));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "it ended by itself");
        Checkpoint checkpoint;
        RtError failure;
        ck_assert_msg(!checkpoint_open(scratch_path(&scratch, "run/last.safetensors"), &checkpoint, &failure),
                      "%s", failure.text);
        ck_assert_int_ge(checkpoint.state.iteration, before);
        before = checkpoint.state.iteration;
        checkpoint_close(&checkpoint);
    }
}
END_TEST

START_TEST(two_processes_dont_share_a_folder)
{
    static const char *const words[] = {"train", DATA, "--out", "run", "--iterations", "100000000", NULL};
    pid_t child = start(words);
    int status;
    wait_for("run/log.jsonl", "\"iteration\": 10,");
    ck_assert_int_eq(CALL("train", "--out", "run", "--resume"), RT_BAD_INPUT);
    HAS(err, "another process is training into this folder");
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
}
END_TEST

static void ignore(void *context, const char *text)
{
    (void)context, (void)text;
}

static void ignore_picture(void *context, const char *image, const char *error)
{
    (void)context, (void)image, (void)error;
}

/* One iteration of a run that is resumed, validated and saved. */
static RtStatus go_on(const TrainWish *wish, RtError *failure)
{
    static TrainRun run;
    RtStatus status = train_open(&run, &tiny.predict.program, wish, ignore, NULL, failure);
    if (!status) status = train_step(&run, failure);
    if (!status) status = train_validate(&run, ignore_picture, NULL, failure);
    if (!status) status = train_save(&run, failure);
    train_close(&run);
    return status;
}

START_TEST(labels_of_another_kind_are_seen_at_once)
{
    scratch_write(&scratch, "odd/0.png", "");
    scratch_picture(&scratch, "odd/0.png", 16, 8, 1, 77, 77);
    ck_assert_int_eq(TRAIN("--val", "images:images,labels:odd", "--out", "run"), RT_BAD_INPUT);
    HAS(err, "labels out of range: 77");
    ck_assert(!scratch_has(&scratch, "run/last.safetensors"));
    ck_assert_int_eq(
        CALL("train", "--data", "source=images:images,labels:odd", "--data", TARGET, "--out", "run"),
        RT_BAD_INPUT);
    HAS(err, "labels out of range: 77");
}
END_TEST

/* Each allocation fails once: nothing crashes, nothing leaks (under the sanitizers), and the run goes on
 * after. */
START_TEST(without_memory)
{
    DONE("--val", VAL, "--out", "run", "--iterations", "100000", "--stop-at", "1");
    int here = open(".", O_RDONLY);
    ck_assert_int_eq(chdir(scratch.path), 0);
    const TrainWish wish = {.folder = "run",
                            .resume = true,
                            .seed = -1,
                            .save_every = 1,
                            .log_every = 1,
                            .threads = 1,
                            .loader_threads = 1};
    int failed = 0;
    for (long nth = 1; nth < 2000; nth += 1 + nth / 50) {
        RtError failure = {0};
        rt_alloc_fail_at(nth);
        RtStatus status = go_on(&wish, &failure);
        rt_alloc_fail_at(0);
        ck_assert_msg(status == RT_OK || status == RT_MACHINE, "%ld: %s", nth, failure.text);
        failed += status == RT_MACHINE;
    }
    ck_assert_int_gt(failed, 50);
    RtError failure = {0};
    ck_assert_msg(!go_on(&wish, &failure), "%s", failure.text);
    ck_assert_int_eq(fchdir(here), 0);
    close(here);
}
END_TEST

START_TEST(a_program_without_players_cannot_train)
{
    tiny.predict.program.training = NULL;
    ck_assert_int_eq(TRAIN("--out", "run"), RT_USAGE);
    HAS(err, "has no players, so there is nothing to train");
}
END_TEST

START_TEST(unreadable_pictures_end_the_run)
{
    ck_assert_int_eq(truncate(scratch_path(&scratch, "images/3.png"), 60), 0);
    ck_assert_msg(TRAIN("--out", "run") == RT_BAD_INPUT, "%s", err);
    HAS(err, "3.png");
}
END_TEST

/* The statistics of channel 0 of a weight file. */
static void read_statistics(const char *name, float *mean, float *var)
{
    WeightsFile *file;
    float values[3];
    ck_assert_int_eq(weights_open(scratch_path(&scratch, name), &file, NULL), RT_OK);
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "norm.running_mean"), values, NULL), RT_OK);
    *mean = values[0];
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "norm.running_var"), values, NULL), RT_OK);
    *var = values[0];
    weights_close(file);
}

/* Batches of one picture, so that the statistics of the set are known: values v / 255, all of a picture equal
 * but for the first. */
START_TEST(calibration_is_of_all_batches)
{
    tiny_training_free(&tiny);
    tiny.batch = 1;
    tiny.norm_in_predict = true;
    tiny_training_build(&tiny);
    DONE("--out", "run", "--iterations", "3");
    ck_assert_int_eq(CALL("calibrate", "--data", "images:images", "--weights", "run/last.safetensors",
                          "--out", "c.safetensors", "--batches", "10"),
                     RT_OK);
    HAS(out, "2 running statistics from 10 batches");
    double means[5], mean = 0, var = 0;
    for (int i = 0; i < 5; i++) {
        means[i] = (40.0 * i * 127 + 200) / 128 / 255;
        mean += means[i] / 5;
    }
    for (int i = 0; i < 5; i++) {
        double first = 200 / 255.0 - means[i], other = 40.0 * i / 255 - means[i];
        var += (first * first + 127 * other * other) / 127 / 5;
    }
    float got_mean, got_var;
    read_statistics("c.safetensors", &got_mean, &got_var);
    ck_assert_double_eq_tol((double)got_mean, mean, 1e-6);
    ck_assert_double_eq_tol((double)got_var, var, 1e-6);
}
END_TEST

START_TEST(calibrations_missing_words)
{
    ck_assert_int_eq(CALL("calibrate", "--weights", "w", "--out", "x"), RT_USAGE);
    HAS(err, "add --data SPEC");
    ck_assert_int_eq(CALL("calibrate", "--data", "images:images", "--out", "x"), RT_USAGE);
    HAS(err, "add --weights FILE");
    ck_assert_int_eq(CALL("calibrate", "--data", "images:images", "--weights", "w"), RT_USAGE);
    HAS(err, "add --out FILE");
    ck_assert_int_eq(CALL("calibrate", "--data", "images:images", "--weights", "w", "--out", "x"),
                     RT_BAD_INPUT);
    HAS(err, "w: cannot be read");
    ck_assert_int_eq(
        CALL("calibrate", "--data", "images:images", "--weights", "images/0.png", "--out", "./images/0.png"),
        RT_USAGE);
    HAS(err, "would replace the weights that are read");
    tiny.predict.program.training = NULL;
    ck_assert_int_eq(CALL("calibrate", "--data", "images:images", "--weights", "w", "--out", "x"), RT_USAGE);
    HAS(err, "has no players");
}
END_TEST

START_TEST(info_shows_players)
{
    ck_assert_int_eq(CALL("info"), RT_OK);
    HAS(out, "training        8 iterations");
    HAS(out, "stream          source.image  f32[2,3,8,16]");
    HAS(out, "player          model minimizes scaled: sgd, learning rate 0.05, schedule poly");
    HAS(out, "player          critic minimizes follow: sgd, learning rate 0.1, schedule constant, from "
             "iteration 2");
    HAS(out, "tunable         scale = 1");
    ck_assert_int_eq(CALL("info", "--json"), RT_OK);
    HAS(out, "\"minimizes\": \"scaled\"");
}
END_TEST

START_TEST(training_steps_are_timed)
{
    ck_assert_int_eq(CALL("bench", "--training", "--runs", "3", "--kernels", "--json"), RT_OK);
    HAS(out, "\"training\": true");
    HAS(out, "\"name\": \"critic\"");
    tiny.predict.program.training = NULL;
    ck_assert_int_eq(CALL("bench", "--training"), RT_USAGE);
    HAS(err, "has no players");
}
END_TEST

Suite *train_suite(void)
{
    Suite *suite = suite_create("train");
    TCase *tests = tcase_create("train");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_run_leaves_its_files);
    tcase_add_test(tests, losses_fall);
    tcase_add_test(tests, stopped_and_resumed_is_unbroken);
    tcase_add_test(tests, accumulated_and_resumed_is_unbroken);
    tcase_add_test(tests, threads_change_nothing);
    tcase_add_test(tests, seeds_change_the_run);
    tcase_add_test(tests, the_log_goes_on_where_the_checkpoint_is);
    tcase_add_test(tests, best_loads_as_weights);
    tcase_add_test(tests, eval_agrees_with_validation);
    tcase_add_test(tests, tunables_are_set);
    tcase_add_test(tests, a_player_begins_late);
    tcase_add_test(tests, what_is_missing_is_said);
    tcase_add_test(tests, a_run_is_not_overwritten);
    tcase_add_test(tests, fewer_iterations_than_done_are_refused);
    tcase_add_test(tests, another_seed_is_refused);
    tcase_add_test(tests, other_data_is_told);
    tcase_add_test(tests, another_program_is_refused);
    tcase_add_test(tests, a_damaged_checkpoint_is_refused);
    tcase_add_test(tests, a_truncated_checkpoint_is_refused);
    tcase_add_test(tests, weights_are_no_checkpoint);
    tcase_add_test(tests, training_begins_from_weights);
    tcase_add_test(tests, names_longer_than_the_networks);
    tcase_add_test(tests, what_is_no_weight_must_be_there);
    tcase_add_test(tests, a_part_is_not_enough_to_predict);
    tcase_add_test(tests, a_discriminator_that_learns_nothing_is_told);
    tcase_add_test(tests, strange_weights_are_refused);
    tcase_add_test(tests, not_a_number_stops_the_run);
    tcase_add_test(tests, a_validation_that_fails_loses_no_step);
    tcase_add_test(tests, a_step_that_overflows_is_not_saved);
    tcase_add_test(tests, a_signal_saves);
    tcase_add_test(tests, kills_leave_a_checkpoint);
    tcase_add_test(tests, two_processes_dont_share_a_folder);
    tcase_add_test(tests, labels_of_another_kind_are_seen_at_once);
    tcase_add_test(tests, without_memory);
    tcase_add_test(tests, a_program_without_players_cannot_train);
    tcase_add_test(tests, unreadable_pictures_end_the_run);
    tcase_add_test(tests, calibration_is_of_all_batches);
    tcase_add_test(tests, calibrations_missing_words);
    tcase_add_test(tests, info_shows_players);
    tcase_add_test(tests, training_steps_are_timed);
    suite_add_tcase(suite, tests);
    return suite;
}
