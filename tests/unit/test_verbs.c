/* The command line of a program, from words to files and exit status, with a program made by hand. Each test
 * runs in a process of its own (Check forks), so stdout and stderr can be sent to files. */
#define _GNU_SOURCE
#include "../../runtime/rt_image.h"
#include "../../runtime/rt_weights.h"
#include "../../runtime/segrt.h"
#include "scratch_folder.h"
#include "tiny_program.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *verbs_suite(void);

static ScratchFolder scratch;
static TinyProgram tiny;
static char out[8192], err[8192]; /* what the last call printed */

/* Four classes; weights that make class = channel of the greatest sample, 3 (void) when all are dark. */
static void write_weights(const char *name)
{
    static const float weight[12] = {1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
    static const float bias[4] = {0, 0, 0, 0.1f};
    const WeightsPart parts[] = {
        {"head.weight", WEIGHT_F32, 4, (const int64_t[]){4, 3, 1, 1}, weight},
        {"head.bias", WEIGHT_F32, 1, (const int64_t[]){4}, bias},
    };
    ck_assert_int_eq(weights_write(scratch_path(&scratch, name), parts, 2, NULL, 0, NULL), RT_OK);
}

static void set_up(void)
{
    scratch_open(&scratch);
    tiny = (TinyProgram){.batch = 2, .height = 6, .width = 8, .classes = 4, .last_is_void = true};
    tiny_build(&tiny);
    write_weights("w.safetensors");
}

static void tear_down(void)
{
    tiny_free(&tiny);
    scratch_close(&scratch);
}

static void read_text(const char *name, char *text, size_t size)
{
    FILE *file = fopen(scratch_path(&scratch, name), "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

/* Runs the program with the scratch folder as the current one; words ends in NULL. Returns the exit status.
 */
static int call(const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "tiny"};
    int argc = 1;
    for (; words[argc - 1]; argc++) argv[argc] = (char *)(uintptr_t)words[argc - 1];
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        bool ready =
            !chdir(scratch.path) && freopen("out.txt", "w", stdout) && freopen("err.txt", "w", stderr);
        int status = ready ? segrt_main(argc, argv, &tiny.program) : 99;
        fflush(NULL);
        _exit(status);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    read_text("out.txt", out, sizeof out);
    read_text("err.txt", err, sizeof err);
    return WEXITSTATUS(status);
}

#define CALL(...)       call((const char *const[]){__VA_ARGS__, NULL})
#define HAS(text, part) ck_assert_msg(strstr(text, part), "'%s' is not in: %s", part, text)

/* All samples dark but those of one channel. */
static void write_photo(const char *name, int width, int height, int channel)
{
    RtImage image = {0};
    ck_assert_int_eq(image_new(&image, width, height, 3, NULL), RT_OK);
    for (int i = 0; i < width * height && channel < 3; i++) image.pixels[i * 3 + channel] = 250;
    const char *path = scratch_path(&scratch, name);
    ck_assert_int_eq(image_write_png(path, image.pixels, width, height, 3, NULL, NULL), RT_OK);
    image_free(&image);
}

static void check_classes(const char *name, int width, int height, int class)
{
    RtLabels labels = {0};
    RtError failure = {0};
    ck_assert_msg(!image_read_labels(scratch_path(&scratch, name), &labels, &failure), "%s", failure.text);
    ck_assert_int_eq(labels.width, width);
    ck_assert_int_eq(labels.height, height);
    for (int i = 0; i < width * height; i++) ck_assert_uint_eq(labels.ids[i], (unsigned)class);
    image_labels_free(&labels);
}

START_TEST(usage)
{
    ck_assert_int_eq(call((const char *const[]){NULL}), RT_USAGE);
    HAS(err, "usage: tiny VERB");
    ck_assert_int_eq(CALL("--help"), RT_OK);
    HAS(out, "usage: tiny VERB");
    ck_assert_int_eq(CALL("perdict"), RT_USAGE);
    HAS(err, "unknown verb 'perdict' (did you mean predict?)");
    ck_assert_int_eq(CALL("eval", "--daat", "x"), RT_USAGE);
    HAS(err, "unknown option --daat (did you mean --data?)");
    HAS(err, "Try 'tiny eval --help'.");
    ck_assert_int_eq(CALL("eval", "--help"), RT_OK);
    HAS(out, "images:DIR,labels:DIR");
    ck_assert_int_eq(CALL("bench", "now"), RT_USAGE);
    HAS(err, "'now' is not expected here");
}
END_TEST

START_TEST(info)
{
    ck_assert_int_eq(CALL("info"), RT_OK);
    HAS(out, "program         tiny, from tests/tiny.yaml");
    HAS(out, "input           image  f32[2,3,6,8]");
    HAS(out, "output          classes  i32[2,6,8]");
    HAS(out, "classes         4: thing0, thing1, thing2, thing3 (void)");
    HAS(out, "parameters      16 deployed, 21 declared");
    ck_assert_int_eq(CALL("info", "--json"), RT_OK);
    HAS(out, "\"parameters_deployed\": 16,");
    HAS(out, "\"runs_on_this_machine\": true,");
}
END_TEST

START_TEST(info_of_a_program_for_another_machine)
{
    tiny_free(&tiny);
    tiny.cpu_features = "sse2,telekinesis";
    tiny_build(&tiny);
    ck_assert_int_eq(CALL("info"), RT_OK);
    HAS(out, "it cannot run the program");
    ck_assert_int_eq(CALL("bench"), RT_MACHINE);
    HAS(err, "tiny: error: this program was built for telekinesis, which this machine lacks");
}
END_TEST

/* Scores are the prediction of this one. */
static void give_scores(void)
{
    tiny_free(&tiny);
    tiny.no_classes = true;
    tiny_build(&tiny);
}

/* Red, with a green pixel: to the network, that is of another class. */
static void write_speck(const char *name)
{
    RtImage image = {0};
    ck_assert_int_eq(image_new(&image, 8, 6, 3, NULL), RT_OK);
    for (int i = 0; i < 8 * 6; i++) image.pixels[i * 3] = 250;
    memcpy(image.pixels + 20 * 3, "\x78\x80\0", 3);
    ck_assert_int_eq(image_write_png(scratch_path(&scratch, name), image.pixels, 8, 6, 3, NULL, NULL), RT_OK);
    image_free(&image);
}

START_TEST(predict_with_a_crf)
{
    give_scores();
    write_speck("speck.png");
    write_photo("green.png", 19, 5, 1);
    ck_assert_int_eq(
        CALL("predict", "speck.png", "green.png", "--weights", "w.safetensors", "-o", "with", "--crf"),
        RT_OK);
    check_classes("with/speck.png", 8, 6, 0);
    check_classes("with/green.png", 19, 5, 1);
    ck_assert_int_eq(
        CALL("predict", "--crf", "w1=0,w2=0", "speck.png", "--weights", "w.safetensors", "-o", "off"), RT_OK);
    RtLabels labels = {0};
    ck_assert_int_eq(image_read_labels(scratch_path(&scratch, "off/speck.png"), &labels, NULL), RT_OK);
    for (int i = 0; i < 8 * 6; i++) ck_assert_uint_eq(labels.ids[i], i == 20);
    image_labels_free(&labels);
}
END_TEST

START_TEST(crf_refuses)
{
    write_speck("speck.png");
    ck_assert_int_eq(CALL("predict", "speck.png", "-o", "out", "--crf=w4=1"), RT_USAGE);
    HAS(err, "--crf w4=1: expected NAME=VALUE, with a NAME of w1, xy, rgb, w2, gxy, iterations");
    ck_assert_int_eq(CALL("eval", "--data", "builtin:rendered:1", "--crf", "xy=0"), RT_USAGE);
    HAS(err, "--crf xy=0: expected a number from 0.1 to 1e6");
    ck_assert_int_eq(CALL("predict", "--help"), RT_OK);
    HAS(out, "--crf [SETTINGS]");
    HAS(out, "w1=4,xy=67,rgb=3,w2=3,gxy=3,iterations=10");
    tiny_free(&tiny);
    tiny.no_scores = true;
    tiny_build(&tiny);
    ck_assert_int_eq(CALL("predict", "speck.png", "-o", "out", "--crf"), RT_USAGE);
    HAS(err, "tiny has no scores of classes, which --crf needs (`info` lists the outputs)");
}
END_TEST

/* The label is of another size, so that the picture is seen at that. */
START_TEST(eval_with_a_crf)
{
    give_scores();
    write_speck("speck.png");
    unsigned char ids[16 * 12] = {0};
    ck_assert_int_eq(image_write_png(scratch_path(&scratch, "label.png"), ids, 16, 12, 1, NULL, NULL), RT_OK);
    FILE *list = fopen(scratch_path(&scratch, "list.txt"), "w");
    fputs("speck.png label.png\nspeck.png label.png\nspeck.png label.png\n", list);
    fclose(list);
    ck_assert_int_eq(CALL("eval", "--data", "list.txt", "--weights", "w.safetensors", "--json"), RT_OK);
    HAS(out, "\"pixel_accuracy\": 0.97");
    ck_assert_int_eq(CALL("eval", "--data", "list.txt", "--weights", "w.safetensors", "--json", "--crf"),
                     RT_OK);
    HAS(out, "\"pixel_accuracy\": 1,");
}
END_TEST

START_TEST(predict_writes_classes_at_the_pictures_size)
{
    write_photo("red.png", 8, 6, 0);
    write_photo("green.png", 19, 5, 1);
    write_photo("dark.png", 1, 1, 3);
    ck_assert_int_eq(CALL("predict", "red.png", "green.png", "dark.png", "--weights", "w.safetensors", "-o",
                          "a/b", "--color", "--overlay"),
                     RT_OK);
    HAS(out, "3 of 3 pictures segmented, 9 files in a/b");
    HAS(err, "3/3  dark.png -> a/b/dark.png");
    check_classes("a/b/red.png", 8, 6, 0);
    check_classes("a/b/green.png", 19, 5, 1);
    check_classes("a/b/dark.png", 1, 1, 3);
    RtImage image = {0};
    ck_assert_int_eq(image_read_rgb(scratch_path(&scratch, "a/b/green_color.png"), &image, NULL), RT_OK);
    ck_assert_mem_eq(image.pixels, ((const unsigned char[]){40, 1, 200}), 3);
    image_free(&image);
    ck_assert_int_eq(image_read_rgb(scratch_path(&scratch, "a/b/red_overlay.png"), &image, NULL), RT_OK);
    ck_assert_int_eq(image.width, 8);
    ck_assert_int_ge(image.pixels[0], 124);
    ck_assert_int_le(image.pixels[0], 126);
    image_free(&image);
}
END_TEST

START_TEST(predict_from_scores)
{
    tiny_free(&tiny);
    tiny.no_classes = true;
    tiny_build(&tiny);
    write_photo("blue.png", 30, 20, 2);
    ck_assert_int_eq(CALL("predict", "blue.png", "--weights", "w.safetensors", "-o", "out"), RT_OK);
    check_classes("out/blue.png", 30, 20, 2);
    ck_assert(!scratch_has(&scratch, "out/blue_color.png"));
}
END_TEST

START_TEST(predict_takes_bgr)
{
    ((ProgramHeader *)tiny.image)->preprocess.channels = 1;
    write_photo("blue.png", 8, 6, 2);
    ck_assert_int_eq(CALL("predict", "blue.png", "--weights", "w.safetensors", "-o", "out"), RT_OK);
    check_classes("out/blue.png", 8, 6, 0);
}
END_TEST

START_TEST(predict_normalises)
{
    /* Red is 250 / 255 = 0.98; after (0.98 - 0.9) / 1 = 0.08 the void class's 0.1 is greater. */
    ((ProgramHeader *)tiny.image)->preprocess.mean[0] = 0.9f;
    write_photo("red.png", 8, 6, 0);
    ck_assert_int_eq(CALL("predict", "red.png", "--weights", "w.safetensors", "-o", "out"), RT_OK);
    check_classes("out/red.png", 8, 6, 3);
    ((ProgramHeader *)tiny.image)->preprocess.std[0] = 0.5f;
    ck_assert_int_eq(CALL("predict", "red.png", "--weights", "w.safetensors", "-o", "out"), RT_OK);
    check_classes("out/red.png", 8, 6, 0);
}
END_TEST

START_TEST(predict_goes_on_after_a_bad_picture)
{
    scratch_write(&scratch, "in/bad.png", "\x89PNG\r\n\x1a\nrubbish");
    write_photo("in/red.png", 8, 6, 0);
    scratch_write(&scratch, "in/notes.txt", "hello");
    write_photo("in/blue.png", 8, 6, 2);
    ck_assert_int_eq(CALL("predict", "in", "--weights", "w.safetensors", "-o", "out"), RT_BAD_INPUT);
    HAS(out, "2 of 3 pictures segmented, 2 files in out");
    HAS(out, "not a picture, skipped: in/notes.txt");
    HAS(err, "1 could not be read:\n  in/bad.png: ");
    check_classes("out/red.png", 8, 6, 0);
    check_classes("out/blue.png", 8, 6, 2);
    ck_assert(!scratch_has(&scratch, "out/bad.png"));
}
END_TEST

START_TEST(predict_separates_equal_names)
{
    scratch_write(&scratch, "day/none.txt", "");
    scratch_write(&scratch, "dusk/none.txt", "");
    write_photo("day/x.png", 8, 6, 0);
    write_photo("dusk/x.png", 8, 6, 1);
    ck_assert_int_eq(CALL("predict", "day/x.png", "dusk/x.png", "--weights", "w.safetensors", "-o", "out"),
                     RT_OK);
    check_classes("out/day_x.png", 8, 6, 0);
    check_classes("out/dusk_x.png", 8, 6, 1);
}
END_TEST

START_TEST(predict_never_replaces_an_input)
{
    write_photo("red.png", 8, 6, 0);
    ck_assert_int_eq(CALL("predict", "red.png", "--weights", "w.safetensors", "-o", "."), RT_USAGE);
    HAS(err, "./red.png is one of the inputs");
    RtImage image = {0};
    ck_assert_int_eq(image_read_rgb(scratch_path(&scratch, "red.png"), &image, NULL), RT_OK);
    ck_assert_int_eq(image.pixels[0], 250);
    image_free(&image);
}
END_TEST

START_TEST(predict_without_weights_warns)
{
    write_photo("red.png", 8, 6, 0);
    ck_assert_int_eq(CALL("predict", "red.png", "-o", "out", "--seed", "5"), RT_OK);
    HAS(err, "warning: no --weights: weights are random (seed 5)");
}
END_TEST

START_TEST(predict_with_wrong_weights)
{
    const WeightsPart part = {"head.weight", WEIGHT_F32, 2, (const int64_t[]){1, 3}, (float[]){1, 2, 3}};
    ck_assert_int_eq(weights_write(scratch_path(&scratch, "v.safetensors"), &part, 1, NULL, 0, NULL), RT_OK);
    write_photo("red.png", 8, 6, 0);
    ck_assert_int_eq(CALL("predict", "red.png", "-o", "out", "--weights", "v.safetensors"), RT_BAD_INPUT);
    HAS(err, "head.weight");
    HAS(err, "head.bias");
    ck_assert_int_eq(CALL("predict", "red.png", "-o", "out", "--weights", "gone"), RT_BAD_INPUT);
    HAS(err, "gone: ");
}
END_TEST

/* Three pictures, so that the second batch is part empty; labels of twice the size. */
static void write_labelled(void)
{
    static const char *const names[] = {"red.png", "green.png", "dark.png"};
    static const int channels[] = {0, 1, 3};
    scratch_write(&scratch, "img/none.txt", "");
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/%s", names[i]);
        write_photo(name, 8, 6, channels[i]);
        snprintf(name, sizeof name, "lbl/%s", names[i]);
        scratch_picture(&scratch, name, 16, 12, 1, i, 255);
    }
    scratch_write(&scratch, "val.txt",
                  "img/red.png lbl/red.png\nimg/green.png lbl/green.png\nimg/dark.png lbl/dark.png\n");
}

START_TEST(eval_counts_void_as_a_miss)
{
    write_labelled();
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors"), RT_OK);
    HAS(out, "class    IoU %  labelled  predicted\n"
             "thing0  100.00       191        191\n"
             "thing1  100.00       191        191\n"
             "thing2    0.00       191          0\n"
             "\nmIoU 66.67 over 3 classes, pixel accuracy 66.67 %\n");
    HAS(out, "3 pairs, compared at the labels' own size (width x height 16x12): 573 pixels counted, 3 not");
    HAS(out, "191 counted pixels were predicted as void");
}
END_TEST

START_TEST(eval_prints_json)
{
    write_labelled();
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors", "--json"), RT_OK);
    HAS(out, "\"miou\": 0.666667,");
    HAS(out, "\"pixels_predicted_void\": 191,");
}
END_TEST

START_TEST(eval_without_absent_classes)
{
    write_labelled();
    scratch_write(&scratch, "one.txt", "img/red.png lbl/red.png\n");
    ck_assert_int_eq(CALL("eval", "--data", "one.txt", "--weights", "w.safetensors"), RT_OK);
    HAS(out, "thing1     n/a         0          0\n");
    HAS(out, "mIoU 100.00 over 1 classes");
}
END_TEST

START_TEST(eval_leaves_out_what_is_missing)
{
    write_labelled();
    ck_assert_int_eq(unlink(scratch_path(&scratch, "lbl/green.png")), 0);
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "error: val.txt:2: no file lbl/green.png");
    HAS(out, "2 pairs, compared");
    HAS(out, "1 left out");
}
END_TEST

START_TEST(eval_refuses_labels_of_another_kind)
{
    write_labelled();
    scratch_picture(&scratch, "lbl/green.png", 16, 12, 1, 77, 1);
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "lbl/green.png: labels out of range: 77 (191 pixels); expected 0..3 or 255 (ignored)");
    ck_assert_str_eq(out, "");
    scratch_picture(&scratch, "lbl/green.png", 16, 12, 3, 77, 1);
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors"), RT_USAGE);
    HAS(err, "lbl/green.png: labels as RGB colours; train_ids expects a grey or palette PNG of class ids");
}
END_TEST

START_TEST(eval_refuses_labels_of_another_shape)
{
    write_labelled();
    scratch_picture(&scratch, "lbl/green.png", 12, 16, 1, 1, 1);
    ck_assert_int_eq(CALL("eval", "--data", "val.txt", "--weights", "w.safetensors"), RT_BAD_INPUT);
    HAS(err, "img/green.png is 8x6, but its labels lbl/green.png are 12x16: another shape");
    HAS(out, "2 pairs, compared");
}
END_TEST

START_TEST(eval_needs_data)
{
    ck_assert_int_eq(CALL("eval", "--weights", "w.safetensors"), RT_USAGE);
    HAS(err, "no data given: add --data SPEC");
}
END_TEST

START_TEST(bench)
{
    ck_assert_int_eq(CALL("bench", "--runs", "5", "--warmup", "1", "--threads", "2"), RT_OK);
    HAS(out, "tiny  6x8, batch 2, 2 threads, 5 runs after 1 for warming up\nmedian ");
    HAS(out, " planned, ");
    ck_assert_str_eq(err, "");
}
END_TEST

START_TEST(bench_of_kernels)
{
    ck_assert_int_eq(CALL("bench", "--runs", "5", "--kernels", "--json"), RT_OK);
    HAS(out, "\"kind\": \"conv2d 1x1\"");
    HAS(out, "\"peak_gflops\": ");
    ck_assert_ptr_null(strstr(out, "\"kind\": \"pack\""));
    ck_assert_ptr_null(strstr(out, "null"));
}
END_TEST

START_TEST(output_that_cannot_be_written)
{
    int full = open("/dev/full", O_WRONLY);
    if (full < 0) return;
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        dup2(full, STDOUT_FILENO);
        freopen("/dev/null", "w", stderr);
        char *argv[] = {(char *)(uintptr_t) "tiny", (char *)(uintptr_t) "info"};
        _exit(segrt_main(2, argv, &tiny.program));
    }
    int status = -1;
    waitpid(child, &status, 0);
    close(full);
    ck_assert_int_eq(WEXITSTATUS(status), RT_MACHINE);
}
END_TEST

START_TEST(pictures_through_the_library)
{
    SegrtSession *session = NULL;
    RtError failure = {0};
    ck_assert_int_eq(segrt_open(&tiny.program, 1, &session, &failure), RT_OK);
    ck_assert_int_eq(segrt_load_weights(session, scratch_path(&scratch, "w.safetensors"), &failure), RT_OK);
    unsigned char green[4 * 4 * 3] = {0}, classes[20 * 10];
    for (int i = 0; i < 16; i++) green[i * 3 + 1] = 200;
    memset(classes, 9, sizeof classes);
    ck_assert_int_eq(segrt_set_picture(session, 0, green, 4, 4, &failure), RT_OK);
    ck_assert_int_eq(segrt_set_picture(session, 1, green, 4, 4, &failure), RT_OK);
    ck_assert_int_eq(segrt_run(session, &failure), RT_OK);
    ck_assert_int_eq(segrt_get_classes(session, 1, classes, 20, 10, &failure), RT_OK);
    for (int i = 0; i < 200; i++) ck_assert_int_eq(classes[i], 1);
    ck_assert_int_eq(segrt_set_picture(session, 2, green, 4, 4, &failure), RT_USAGE);
    ck_assert_str_eq(failure.text, "picture 2 of a batch of 2");
    ck_assert_int_eq(segrt_get_classes(session, 0, classes, 0, 10, NULL), RT_USAGE);
    ck_assert_str_eq(segrt_last_error(session), "a picture of 0x10 pixels");
    segrt_close(session);
}
END_TEST

Suite *verbs_suite(void)
{
    Suite *suite = suite_create("verbs");
    TCase *tests = tcase_create("verbs");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, usage);
    tcase_add_test(tests, info);
    tcase_add_test(tests, info_of_a_program_for_another_machine);
    tcase_add_test(tests, predict_with_a_crf);
    tcase_add_test(tests, crf_refuses);
    tcase_add_test(tests, eval_with_a_crf);
    tcase_add_test(tests, predict_writes_classes_at_the_pictures_size);
    tcase_add_test(tests, predict_from_scores);
    tcase_add_test(tests, predict_takes_bgr);
    tcase_add_test(tests, predict_normalises);
    tcase_add_test(tests, predict_goes_on_after_a_bad_picture);
    tcase_add_test(tests, predict_separates_equal_names);
    tcase_add_test(tests, predict_never_replaces_an_input);
    tcase_add_test(tests, predict_without_weights_warns);
    tcase_add_test(tests, predict_with_wrong_weights);
    tcase_add_test(tests, eval_counts_void_as_a_miss);
    tcase_add_test(tests, eval_prints_json);
    tcase_add_test(tests, eval_without_absent_classes);
    tcase_add_test(tests, eval_leaves_out_what_is_missing);
    tcase_add_test(tests, eval_refuses_labels_of_another_kind);
    tcase_add_test(tests, eval_refuses_labels_of_another_shape);
    tcase_add_test(tests, eval_needs_data);
    tcase_add_test(tests, bench);
    tcase_add_test(tests, bench_of_kernels);
    tcase_add_test(tests, output_that_cannot_be_written);
    tcase_add_test(tests, pictures_through_the_library);
    suite_add_tcase(suite, tests);
    return suite;
}
