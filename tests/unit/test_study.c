/* Runs side by side: reading their logs, damaged ones too, grouping, numbers, and `report` from the command
 * line with a program made by hand. */
#define _GNU_SOURCE
#include "../../runtime/rt_study_page.h"
#include "../../runtime/rt_weights.h"
#include "scratch_folder.h"
#include "tiny_program.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *study_suite(void);

static ScratchFolder scratch;
static RtError err;
static RunLog *run; /* of the last read */
static char out[200000], told[8192];

#define HAS(text, part)   ck_assert_msg(strstr(text, part), "'%s' is not in: %.2000s", part, text)
#define LACKS(text, part) ck_assert_msg(!strstr(text, part), "'%s' is in: %.2000s", part, text)

static void set_up(void)
{
    scratch_open(&scratch);
    err = (RtError){0};
    run = calloc(1, sizeof *run);
}

static void tear_down(void)
{
    run_log_close(run);
    free(run);
    scratch_close(&scratch);
}

#define START(program, seed, more)                                                                           \
    "{\"event\": \"start\", \"iteration\": 0, \"program\": \"" program "\", \"seed\": " seed                 \
    ", \"iterations\": 100, \"data\": {\"source\": \"train.txt\"}, \"validation\": \"val.txt\", \"batch\": " \
    "2, "                                                                                                    \
    "\"height\": 6, \"width\": 8, \"parameters_deployed\": 21, \"multiply_adds\": 1152, \"planned_bytes\": " \
    "4096" more "}\n"
#define STEP(iteration, loss)                                                                                \
    "{\"event\": \"step\", \"iteration\": " iteration ", \"terms\": {\"ce\": " loss                          \
    "}, \"lr\": {\"player\": 0.001}, \"tunables\": {}, \"seconds\": 2.5, \"images_per_second\": 8, "         \
    "\"loader_wait\": 0.01}\n"
#define VALIDATION(iteration, miou, road)                                                                    \
    "{\"event\": \"validation\", \"iteration\": " iteration ", \"miou\": " miou                              \
    ", \"classes_counted\": 2, \"pixel_accuracy\": 0.9, \"best\": false, \"iou\": {\"thing0\": " road        \
    ", \"thing1\": null}}\n"
#define END(iteration)                                                                                       \
    "{\"event\": \"end\", \"iteration\": " iteration ", \"reason\": \"done\", \"peak_bytes\": 5000000}\n"

static RtStatus read_folder(const char *name)
{
    run_log_close(run);
    return run_log_read(scratch_path(&scratch, name), run, &err);
}

static RtStatus read_run(const char *text)
{
    scratch_write(&scratch, "run/log.jsonl", text);
    return read_folder("run");
}

/* ---- logs ---- */

START_TEST(log_of_a_whole_run)
{
    ck_assert_int_eq(read_run(START("p", "3", ", \"tunables\": {\"lambda\": 0.5}") STEP("10", "1.5")
                                  VALIDATION("10", "0.25", "0.5") STEP("20", "null")
                                      VALIDATION("20", "0.125", "0.4") END("20")),
                     RT_OK);
    ck_assert_str_eq(run->program, "p");
    ck_assert_int_eq(run->seed, 3);
    ck_assert_double_eq(run->multiply_adds, 1152);
    ck_assert_str_eq(run->data.items[0].value, "train.txt");
    ck_assert_double_eq(run_log_series(&run->tunables, "lambda")->points[0].y, 0.5);
    const Series *ce = run_log_series(&run->terms, "ce");
    ck_assert_uint_eq(ce->count, 2);
    ck_assert_double_eq(ce->points[0].x, 10);
    ck_assert_double_eq(ce->points[0].y, 1.5);
    ck_assert(isnan(ce->points[1].y));
    ck_assert_ptr_null(run_log_series(&run->terms, "dice"));
    ck_assert_double_eq(run->seconds, 5);
    ck_assert_uint_eq(run->miou.count, 2);
    ck_assert_int_eq(run->best.iteration, 10);
    ck_assert_double_eq(run->last.miou, 0.125);
    ck_assert_double_eq(run->best.iou[0], 0.5);
    ck_assert(isnan(run->best.iou[1]));
    ck_assert_str_eq(run->classes[1], "thing1");
    ck_assert_str_eq(run->end, "done");
    ck_assert_double_eq(run->peak_bytes, 5000000);
    ck_assert_uint_eq(run->note_count, 0);
}
END_TEST

START_TEST(log_whose_last_line_is_cut)
{
    ck_assert_int_eq(read_run(START("p", "0", "") STEP("10", "1") "{\"event\": \"step\", \"itera"), RT_OK);
    ck_assert_uint_eq(run_log_series(&run->terms, "ce")->count, 1);
    ck_assert_ptr_null(run->end);
    ck_assert_uint_eq(run->note_count, 1);
    ck_assert_str_eq(run->notes[0], "the last line of its log is cut off and was left out");
}
END_TEST

START_TEST(log_with_damaged_lines)
{
    ck_assert_int_eq(read_run(START("p", "0", "")
                                  STEP("10", "1") "{\"event\": \"step\", \"iteration\": 15, 7}\n"
                                                  "\n" STEP("20", "\"x\"") STEP("30", "1")),
                     RT_OK);
    ck_assert_uint_eq(run_log_series(&run->terms, "ce")->count, 2);
    ck_assert_uint_eq(run->note_count, 1);
    HAS(run->notes[0], "3 lines of its log could not be read and were left out (line 3: expected ");
}
END_TEST

START_TEST(log_lines_of_another_kind)
{
    ck_assert_int_eq(read_run("[1]\n{\"iteration\": 1}\n{}\n" START(
                         "p", "0", "") "{\"event\": \"news\", \"iteration\": 7, \"what\": {\"a\": [1]}}\n"),
                     RT_OK);
    HAS(run->notes[0], "3 lines of its log");
    ck_assert_int_eq(run->iteration, 7);
}
END_TEST

START_TEST(log_that_is_resumed)
{
    ck_assert_int_eq(
        read_run(START("p", "0", ", \"tunables\": {\"a\": 1, \"b\": 2}") STEP("10", "1") END(
            "10") "{\"event\": \"resume\", \"iteration\": 10, \"program\": \"p\", \"iterations\": 200, "
                  "\"tunables\": {\"a\": 3}}\n" STEP("20", "2")),
        RT_OK);
    ck_assert_double_eq(run->iterations, 200);
    ck_assert_uint_eq(run->tunables.count, 1);
    ck_assert_double_eq(run->tunables.items[0].series.points[0].y, 3);
    ck_assert_ptr_null(run->end);
    ck_assert_str_eq(run->notes[0], "resumed after iteration 10");
}
END_TEST

START_TEST(log_with_many_warnings)
{
    char text[4000] = START("p", "0", "");
    for (int i = 1; i <= 9; i++)
        sprintf(text + strlen(text), "{\"event\": \"warning\", \"iteration\": %d, \"text\": \"w%d\"}\n", i,
                i);
    ck_assert_int_eq(read_run(text), RT_OK);
    ck_assert_uint_eq(run->note_count, 4);
    ck_assert_str_eq(run->notes[2], "iteration 3: w3");
    ck_assert_str_eq(run->notes[3], "6 more warnings in its log");
}
END_TEST

START_TEST(folders_that_are_no_runs)
{
    ck_assert_int_eq(read_folder("gone/"), RT_BAD_INPUT);
    HAS(err.text, "/gone: no such run: No such file");
    scratch_write(&scratch, "other/a.txt", "");
    ck_assert_int_eq(read_folder("other"), RT_BAD_INPUT);
    HAS(err.text, "not the folder of a run: cannot open ");
    ck_assert_int_eq(read_folder("other/a.txt"), RT_BAD_INPUT);
    HAS(err.text, "a.txt is not a folder: a run is named by the folder that `train --out` made");
    ck_assert_int_eq(read_run(""), RT_BAD_INPUT);
    HAS(err.text, "log.jsonl: no line of it says what was trained: not the log of a run");
    ck_assert_int_eq(read_run("hello\nworld\n"), RT_BAD_INPUT);
}
END_TEST

START_TEST(log_without_memory)
{
    scratch_write(&scratch, "run/log.jsonl", START("p", "0", "") STEP("10", "1"));
    for (int nth = 1;; nth++) {
        rt_alloc_fail_at(nth);
        RtStatus status = run_log_read(scratch_path(&scratch, "run"), run, &err);
        rt_alloc_fail_at(0);
        run_log_close(run);
        if (!status) break;
        ck_assert_int_eq(status, RT_MACHINE);
        ck_assert_int_lt(nth, 100);
    }
}
END_TEST

/* ---- groups and numbers ---- */

static void write_run(const char *folder, const char *text)
{
    char name[64];
    snprintf(name, sizeof name, "%s/log.jsonl", folder);
    scratch_write(&scratch, name, text);
}

static Study open_study(const char *const *names, size_t count, RtStatus want)
{
    char *folders[8] = {0};
    for (size_t i = 0; i < count; i++) folders[i] = strdup(scratch_path(&scratch, names[i]));
    Study study;
    RtStatus status = study_open(&study, folders, count, &err);
    ck_assert_msg(status == want, "%d: %s", status, err.text);
    for (size_t i = 0; i < count; i++) free(folders[i]);
    return study;
}

#define STUDY(want, ...)                                                                                     \
    open_study((const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), want)

START_TEST(runs_are_grouped)
{
    write_run("a0", START("p", "0", ", \"tunables\": {\"w\": 0.1}") VALIDATION("10", "0.2", "0.4"));
    write_run("b", START("q", "0", "") STEP("10", "1"));
    write_run("a1", START("p", "1", ", \"tunables\": {\"w\": 0.1}") VALIDATION("10", "0.4", "0.6"));
    write_run("c", START("p", "0", ", \"tunables\": {\"w\": 1}") VALIDATION("10", "0.5", "0.6"));
    Study study = STUDY(RT_OK, "a0", "b", "a1", "c");
    ck_assert_uint_eq(study.group_count, 3);
    ck_assert_str_eq(study.groups[0].name, "p, w 0.1");
    ck_assert_str_eq(study.groups[1].name, "q");
    ck_assert_str_eq(study.groups[2].name, "p, w 1");
    ck_assert_uint_eq(study.groups[0].count, 2);
    ck_assert_uint_eq(study.runs[1].group, 0);
    StudySpread spread = study_spread(&study, 0, &study_columns[0]);
    ck_assert_double_eq_tol(spread.mean, 0.3, 1e-12);
    ck_assert_double_eq_tol(spread.deviation, sqrt(0.02), 1e-12);
    spread = study_spread(&study, 1, &study_columns[0]);
    ck_assert(isnan(spread.mean) && spread.deviation <= 0);
    ck_assert_double_eq_tol(study_iou_spread(&study, 0, 0).mean, 0.5, 1e-12);
    ck_assert(isnan(study_iou_spread(&study, 0, 1).mean));
    ck_assert(study.same_validation);
    study_close(&study);
}
END_TEST

START_TEST(groups_say_what_differs)
{
    write_run("a", START("p", "0", ""));
    write_run("b", START("p", "0", ", \"weights\": \"x.pth\", \"validation\": \"other.txt\""));
    write_run("c",
              START("p", "0", ", \"iterations\": 50, \"data\": {\"source\": \"more.txt\"}, \"batch\": 4"));
    Study study = STUDY(RT_OK, "a", "b", "c");
    ck_assert_str_eq(study.groups[1].name,
                     "p, from x.pth, validated on other.txt, 100 iterations, batch 2 at 6x8, "
                     "source train.txt");
    HAS(study.groups[2].name, "p, 50 iterations, batch 4 at 6x8, source more.txt");
    ck_assert(!study.same_validation);
    study_close(&study);
}
END_TEST

START_TEST(runs_named_twice)
{
    write_run("a", START("p", "0", ""));
    Study study = STUDY(RT_USAGE, "a", "a/");
    HAS(err.text, "/a is named twice");
    study_close(&study);
}
END_TEST

START_TEST(numbers_for_people)
{
    static const struct {
        StudyUnit unit;
        double value;
        const char *want;
    } cases[] = {{STUDY_PERCENT, 0.46804, "46.80"}, {STUDY_COUNT, 12581672, "12.58 M"},
                 {STUDY_COUNT, 25.78e9, "25.78 G"}, {STUDY_COUNT, 999, "999"},
                 {STUDY_COUNT, 999999, "1.00 M"},   {STUDY_LATENCY, 0.0101, "10.1"},
                 {STUDY_LATENCY, 0.000512, "0.51"}, {STUDY_LATENCY, 1.2345, "1234"},
                 {STUDY_BYTES, 2.1e9, "2.1 GB"},    {STUDY_TIME, 42, "42.0 s"},
                 {STUDY_TIME, 3366, "56.1 min"},    {STUDY_TIME, 36000, "10.0 h"},
                 {STUDY_RATE, 10.94, "10.9"},       {STUDY_RATE, (double)NAN, "\xe2\x80\x93"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[STUDY_CELL];
        ck_assert_str_eq(study_number(cases[i].unit, cases[i].value, text), cases[i].want);
    }
}
END_TEST

START_TEST(markdown_of_a_study)
{
    write_run("a|0", START("p", "0", "") VALIDATION("10", "0.2", "0.4") END("10"));
    write_run("a1", START("p", "1", "") VALIDATION("10", "0.4", "0.6") END("10"));
    Study study = STUDY(RT_OK, "a|0", "a1");
    TextOut text = {0};
    study_markdown(&study, &text);
    text_out(&text, "%c", 0);
    HAS(text.text, "| experiment | seed | mIoU, best, % | mIoU, last, % | thing0 | thing1 | parameters |");
    HAS(text.text, "/a\\|0) | 0 | 20.00 | 20.00 | 40.00 | \xe2\x80\x93 | 21 | 1.15 k |");
    HAS(text.text,
        "| **p** | 2 seeds | 30.00 \xc2\xb1 14.14 | 30.00 \xc2\xb1 14.14 | 50.00 \xc2\xb1 14.14 |");
    size_t bars[2] = {0}, row = 0;
    for (const char *at = text.text; *at && row < 2; at++) {
        if (*at == '\n') row++;
        if (*at == '|' && row < 2) bars[row]++;
    }
    ck_assert_uint_eq(bars[0], bars[1]);
    text_out_free(&text);
    study_close(&study);
}
END_TEST

/* ---- the command line ---- */

static void read_file(const char *name, char *text, size_t size)
{
    FILE *file = fopen(scratch_path(&scratch, name), "r");
    text[0] = 0;
    if (!file) return;
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static TinyProgram tiny;

/* Runs `tiny report` with the scratch folder as the current one; out becomes the page, told what was said. */
static int report(const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "tiny", (char *)(uintptr_t) "report"};
    int argc = 2;
    for (; words[argc - 2]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 2];
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        bool ready = !chdir(scratch.path) && freopen("out.txt", "w", stdout) && dup2(1, 2) == 2;
        int status = ready ? segrt_main(argc, argv, &tiny.program) : 99;
        fflush(NULL);
        _exit(status);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    read_file("out.txt", told, sizeof told);
    read_file("report/report.html", out, sizeof out);
    return WEXITSTATUS(status);
}

#define REPORT(...) report((const char *const[]){__VA_ARGS__, NULL})

static void set_up_program(void)
{
    set_up();
    tiny = (TinyProgram){.batch = 2, .height = 6, .width = 8, .classes = 4, .last_is_void = true};
    tiny_build(&tiny);
    scratch_picture(&scratch, "img/a.png", 8, 6, 3, 90, 1);
    scratch_picture(&scratch, "img/b.png", 16, 12, 3, 30, 1);
    scratch_picture(&scratch, "lbl/a.png", 8, 6, 1, 1, 255);
    scratch_picture(&scratch, "lbl/b.png", 16, 12, 1, 2, 255);
    scratch_write(&scratch, "val.txt", "img/a.png lbl/a.png\nimg/b.png lbl/b.png\n");
    write_run("a", START("p", "0", "") STEP("10", "1") VALIDATION("10", "0.2", "0.4") END("10"));
    write_run("b", START("p <i>", "1", "") STEP("10", "1") STEP("20", "2"));
}

static void tear_down_program(void)
{
    tiny_free(&tiny);
    tear_down();
}

static void write_weights(const char *name, int64_t classes)
{
    float values[64] = {1, 0, 0, 0, 1};
    const WeightsPart parts[] = {
        {"head.weight", WEIGHT_F32, 4, (const int64_t[]){classes, 3, 1, 1}, values},
        {"head.bias", WEIGHT_F32, 1, (const int64_t[]){classes}, values + 12},
    };
    ck_assert_int_eq(weights_write(scratch_path(&scratch, name), parts, 2, NULL, 0, NULL), RT_OK);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

START_TEST(report_of_two_runs)
{
    write_weights("a/best.safetensors", 4);
    write_weights("b/last.safetensors", 5);
    ck_assert_int_eq(REPORT("a", "b", "--threads", "1"), RT_OK);
    HAS(told, "report/report.html\nreport/report.md\n");
    HAS(told, "b: b/last.safetensors: does not fit the network; tensors of another shape than the network's: "
              "head.");
    ck_assert_uint_eq(count_of(out, "data:image/png;base64,"), 2 * 3); /* image, truth, one prediction */
    HAS(out, "p &lt;i&gt;");
    LACKS(out, "p <i>");
    HAS(out, "Latency was measured for this report");
    HAS(out, "<div class=\"why\">b/last.safetensors: does not fit the network; tensors of another shape");
    HAS(out, "loss: ce");
    LACKS(out, "<script");
    LACKS(out, "nan");
    ck_assert(scratch_has(&scratch, "report/report.md"));
}
END_TEST

START_TEST(report_on_other_data)
{
    write_weights("a/best.safetensors", 4);
    scratch_write(&scratch, "one.txt", "img/b.png\n");
    ck_assert_int_eq(REPORT("a", "--data", "one.txt"), RT_OK);
    ck_assert_uint_eq(count_of(out, "data:image/png;base64,"), 2); /* no truth */
    ck_assert_int_eq(REPORT("a", "--pictures", "1"), RT_OK);
    ck_assert_uint_eq(count_of(out, "data:image/png;base64,"), 3);
    ck_assert_int_eq(REPORT("a", "--pictures", "0"), RT_OK);
    ck_assert_uint_eq(count_of(out, "data:image/png;base64,"), 0);
    HAS(out, "No pictures: none were asked for");
}
END_TEST

START_TEST(report_without_its_data)
{
    ck_assert_int_eq(unlink(scratch_path(&scratch, "val.txt")), 0);
    ck_assert_int_eq(REPORT("a"), RT_OK);
    HAS(told, "warning: no pictures: cannot open the list val.txt");
    HAS(out, "No pictures: cannot open the list val.txt");
    HAS(told, "a: its folder holds no weights");
    ck_assert_int_eq(REPORT("a", "--data", "val.txt"), RT_BAD_INPUT);
}
END_TEST

START_TEST(report_of_an_unvalidated_run)
{
    write_run("b", "{\"event\": \"start\", \"iteration\": 0, \"program\": \"p\"}\n");
    ck_assert_int_eq(REPORT("b", "--out", "report"), RT_OK);
    HAS(out, "No run was validated");
    HAS(out, "never validated");
    HAS(out, "no run was validated, and no --data given");
}
END_TEST

START_TEST(report_refuses)
{
    ck_assert_int_eq(REPORT("--out", "x"), RT_USAGE);
    HAS(told, "no runs given");
    ck_assert_int_eq(REPORT("gone"), RT_BAD_INPUT);
    HAS(told, "gone: no such run");
    ck_assert_int_eq(REPORT("a", "a"), RT_USAGE);
    ck_assert_int_eq(REPORT("a", "--pictures", "99"), RT_USAGE);
    HAS(told, "--pictures 99: at most 16");
    ck_assert(!scratch_has(&scratch, "report/report.html"));
    scratch_write(&scratch, "file", "");
    ck_assert_int_eq(REPORT("a", "--out", "file"), RT_BAD_INPUT);
}
END_TEST

START_TEST(report_helps)
{
    ck_assert_int_eq(REPORT("--help"), RT_OK);
    HAS(told, "RUN is a folder that `train --out RUN` made");
}
END_TEST

Suite *study_suite(void)
{
    Suite *suite = suite_create("study");
    TCase *logs = tcase_create("logs");
    tcase_add_checked_fixture(logs, set_up, tear_down);
    tcase_add_test(logs, log_of_a_whole_run);
    tcase_add_test(logs, log_whose_last_line_is_cut);
    tcase_add_test(logs, log_with_damaged_lines);
    tcase_add_test(logs, log_lines_of_another_kind);
    tcase_add_test(logs, log_that_is_resumed);
    tcase_add_test(logs, log_with_many_warnings);
    tcase_add_test(logs, folders_that_are_no_runs);
    tcase_add_test(logs, log_without_memory);
    tcase_add_test(logs, runs_are_grouped);
    tcase_add_test(logs, groups_say_what_differs);
    tcase_add_test(logs, runs_named_twice);
    tcase_add_test(logs, numbers_for_people);
    tcase_add_test(logs, markdown_of_a_study);
    suite_add_tcase(suite, logs);
    TCase *verb = tcase_create("verb");
    tcase_set_timeout(verb, 60);
    tcase_add_checked_fixture(verb, set_up_program, tear_down_program);
    tcase_add_test(verb, report_of_two_runs);
    tcase_add_test(verb, report_on_other_data);
    tcase_add_test(verb, report_without_its_data);
    tcase_add_test(verb, report_of_an_unvalidated_run);
    tcase_add_test(verb, report_refuses);
    tcase_add_test(verb, report_helps);
    suite_add_tcase(suite, verb);
    return suite;
}
