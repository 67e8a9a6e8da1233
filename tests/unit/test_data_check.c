/* What `segc data check` finds and `segc data convert` writes, on sets made for it. */
#define _GNU_SOURCE
#include "../../compiler/data_check.h"
#include "../../compiler/data_convert.h"
#include "data_image.h"
#include "scratch_folder.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *data_check_suite(void);

static ScratchFolder scratch;
static Arena *arena;
static const ProgramHeader *town;
static DataSet set;
static RtError err;
static char *out, *errors, spec[1024];
static size_t out_size, errors_size;

static void set_up(void)
{
    arena = arena_new();
    town = data_image(arena, DATA_IMAGE_YAML);
    scratch_open(&scratch);
}

static void tear_down(void)
{
    free(out);
    free(errors);
    data_close(&set);
    scratch_close(&scratch);
    arena_free(arena);
}

/* A photograph of 4x2 that is not constant, and labels of the given value but for the first pixel. */
static void pair(const char *name, int value, int first)
{
    char path[64];
    snprintf(path, sizeof path, "img/%s.png", name);
    scratch_picture(&scratch, path, 4, 2, 3, 40, 50);
    snprintf(path, sizeof path, "lbl/%s.png", name);
    scratch_picture(&scratch, path, 4, 2, 1, value, first);
}

static void open_folders(const char *after)
{
    snprintf(spec, sizeof spec, "images:%s,labels:%s%s", scratch_path(&scratch, "img"),
             scratch_path(&scratch, "lbl"), after);
    data_close(&set);
    RtStatus status = data_open_for(town, spec, &set, &err);
    ck_assert_msg(!status, "%s", err.text);
}

static RtStatus run_check(const char *after, const char *report)
{
    open_folders(after);
    free(out);
    free(errors);
    FILE *to = open_memstream(&out, &out_size), *wrong = open_memstream(&errors, &errors_size);
    const DataCheckJob job = {town, &set, spec, report, to, wrong};
    RtStatus status = data_check(&job, &err);
    fclose(to);
    fclose(wrong);
    return status;
}

#define HAS(text, part) ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in: %s", part, text)

START_TEST(a_good_set_passes)
{
    pair("a", 1, 0);
    pair("b", 3, 255);
    ck_assert_int_eq(run_check("", NULL), RT_OK);
    HAS(out, "class      pixels %  pixels  pictures\n"
             "sky           6.250       1         1\n"
             "road         43.750       7         1\n"
             "tree          0.000       0         0\n"
             "car          43.750       7         1\n"
             "(ignored)     6.250       1         1\n");
    HAS(out, "2 pairs read, 0 with faults, 0 missing\n");
    HAS(out, "labels by town.train_ids, RGB labels by town.colors\n");
}
END_TEST

START_TEST(every_fault_is_named_and_counted)
{
    pair("a", 1, 0);
    pair("size", 1, 0);
    scratch_picture(&scratch, "lbl/size.png", 5, 2, 1, 1, 0);
    pair("range", 20, 10);
    pair("void", 255, 255);
    pair("flat", 1, 0);
    scratch_picture(&scratch, "img/flat.png", 4, 2, 3, 7, 7);
    pair("alone", 1, 0);
    remove(scratch_path(&scratch, "lbl/alone.png"));
    pair("bad", 1, 0);
    scratch_write(&scratch, "lbl/bad.png", "\x89PNG\r\n\x1a\n");
    ck_assert_int_eq(run_check("", NULL), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "");
    HAS(errors, "error: no label for ");
    HAS(errors, "img/size.png is 4x2, but its labels ");
    HAS(errors, "lbl/range.png: labels out of range: 10 (1 pixels), 20 (7 pixels)");
    HAS(errors, "town.raw knows all of them: add ,encoding=town.raw");
    HAS(errors, "lbl/void.png: not one of its 8 pixels is of a class");
    HAS(errors, "img/flat.png: every pixel is #070707");
    HAS(errors, "lbl/bad.png: damaged PNG");
    HAS(out,
        "    1  missing: no counterpart, or no file\n    1  cannot be read\n    1  image and label of "
        "different sizes\n    1  ids or colours that the encoding does not know\n    2  labels without a "
        "single class\n    1  constant images: every pixel alike\n");
    HAS(out, "6 pairs read, 5 with faults, 1 missing");
    HAS(out, "all together: labels out of range: 10 (1 pixels), 20 (7 pixels)");
}
END_TEST

START_TEST(the_encoding_is_heeded)
{
    pair("a", 20, 10);
    ck_assert_int_eq(run_check(",encoding=raw", NULL), RT_OK);
    HAS(out, "labels by town.raw\n");
    ck_assert_int_eq(run_check(",encoding=colors", NULL), RT_BAD_INPUT);
    HAS(out, "1  labels of another kind than the encoding's");
    HAS(errors, "lbl/a.png: labels in grey; town.colors expects");
}
END_TEST

START_TEST(unknown_colours_are_shown)
{
    pair("a", 1, 0);
    scratch_picture(&scratch, "lbl/a.png", 4, 2, 3, 128, 17);
    ck_assert_int_eq(run_check("", NULL), RT_BAD_INPUT);
    HAS(errors, "lbl/a.png: unknown colours: #118080 (1 pixels)");
    HAS(out, "sky          87.500       7         1");
}
END_TEST

/* Only the first of a kind are printed; the report has all. */
START_TEST(the_report_has_everything)
{
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        pair(name, 77, 1);
    }
    const char *report = scratch_path(&scratch, "report.txt");
    ck_assert_int_eq(run_check("", report), RT_BAD_INPUT);
    HAS(errors, "lbl/p4.png: labels out of range");
    ck_assert_ptr_null(strstr(errors, "lbl/p5.png: labels out of range"));
    HAS(errors, "further faults of this kind are only counted (--report has all)");
    FILE *file = fopen(scratch_path(&scratch, "report.txt"), "r");
    ck_assert_ptr_nonnull(file);
    char text[8000] = "";
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, file), 0);
    fclose(file);
    HAS(text, "    8  ids or colours that the encoding does not know");
    HAS(text, "lbl/p7.png: labels out of range: 77 (7 pixels)");
    HAS(text, "(ignored)");
}
END_TEST

START_TEST(a_report_that_cannot_be_written)
{
    pair("a", 1, 0);
    ck_assert_int_eq(run_check("", "/gone/report.txt"), RT_BAD_INPUT);
    HAS(err.text, "/gone/report.txt: cannot be written");
}
END_TEST

START_TEST(images_alone_are_checked)
{
    pair("a", 1, 0);
    ck_assert_int_eq(run_check(",labels=none", NULL), RT_OK);
    HAS(out, "1 images read, 0 with faults");
    ck_assert_ptr_null(strstr(out, "class"));
    scratch_write(&scratch, "img/b.png", "\x89PNG\r\n\x1a\n");
    ck_assert_int_eq(run_check(",labels=none", NULL), RT_BAD_INPUT);
    HAS(errors, "img/b.png: damaged PNG");
}
END_TEST

START_TEST(drawn_streets_are_counted)
{
    const ProgramHeader *city = data_image_of(arena, "graphs/data/cityscapes.yaml");
    ck_assert_int_eq(data_open_for(city, "builtin:rendered:2,size=64x128", &set, &err), RT_OK);
    FILE *to = open_memstream(&out, &out_size), *wrong = open_memstream(&errors, &errors_size);
    const DataCheckJob job = {city, &set, "builtin:rendered:2", NULL, to, wrong};
    ck_assert_int_eq(data_check(&job, &err), RT_OK);
    fclose(to);
    fclose(wrong);
    HAS(out, "2 pairs read, 0 with faults");
    HAS(out, "(ignored)         1.794     294         1");
}
END_TEST

START_TEST(checking_survives_lack_of_memory)
{
    pair("a", 1, 0);
    pair("b", 20, 10);
    open_folders("");
    long nth = 1;
    for (;; nth++) {
        free(out);
        free(errors);
        FILE *to = open_memstream(&out, &out_size), *wrong = open_memstream(&errors, &errors_size);
        const DataCheckJob job = {town, &set, spec, NULL, to, wrong};
        rt_alloc_fail_at(nth);
        RtStatus status = data_check(&job, &err);
        rt_alloc_fail_at(0);
        fclose(to);
        fclose(wrong);
        if (status == RT_BAD_INPUT) break;
        ck_assert_int_eq(status, RT_MACHINE);
    }
    ck_assert_int_gt(nth, 20);
}
END_TEST

/* ---- convert ---- */

static RtStatus run_convert(const char *after, const char *folder)
{
    open_folders(after);
    free(out);
    free(errors);
    FILE *to = open_memstream(&out, &out_size), *wrong = open_memstream(&errors, &errors_size);
    const DataConvertJob job = {&set, spec, folder, to, wrong};
    RtStatus status = data_convert(&job, &err);
    fclose(to);
    fclose(wrong);
    return status;
}

START_TEST(labels_become_train_ids)
{
    pair("a", 20, 10);
    pair("b", 21, 0);
    const char *folder = scratch_path(&scratch, "new/deep");
    RtStatus status = run_convert(",encoding=raw", folder);
    ck_assert_msg(!status, "%s%s", err.text, errors);
    HAS(out, "2 labels written to ");
    DataSet made;
    ck_assert_msg(!data_open_for(town, scratch_path(&scratch, "new/deep/list.txt"), &made, &err), "%s",
                  err.text);
    ck_assert_uint_eq(made.count, 2);
    RtImage image;
    RtLabels labels;
    ck_assert_int_eq(data_read(&made, 0, &image, &labels, &err), RT_OK);
    ck_assert_mem_eq(labels.classes, ((const unsigned char[]){1, 3, 3, 3, 3, 3, 3, 3}), 8);
    ck_assert_int_eq(labels.unknown, 0);
    image_free(&image);
    image_labels_free(&labels);
    ck_assert_int_eq(data_read(&made, 1, &image, &labels, &err), RT_OK);
    ck_assert_mem_eq(labels.classes, ((const unsigned char[]){255, 2, 2, 2, 2, 2, 2, 2}), 8);
    image_free(&image);
    image_labels_free(&labels);
    data_close(&made);
}
END_TEST

START_TEST(inputs_are_never_replaced)
{
    pair("a", 1, 0);
    ck_assert_int_eq(run_convert("", scratch_path(&scratch, "lbl")), RT_USAGE);
    HAS(err.text, "lbl/a.png");
    ck_assert_int_eq(run_convert("", scratch_path(&scratch, "img")), RT_USAGE);
    HAS(err.text, "img/a.png");
    scratch_write(&scratch, "list.txt", "img/a.png lbl/a.png\n");
    data_close(&set);
    snprintf(spec, sizeof spec, "%s,count=1", scratch_path(&scratch, "list.txt"));
    ck_assert_int_eq(data_open_for(town, spec, &set, &err), RT_OK);
    const DataConvertJob job = {&set, spec, scratch.path, stdout, stderr};
    ck_assert_int_eq(data_convert(&job, &err), RT_USAGE);
    HAS(err.text, "list.txt is an input: give another folder by -o");
    ck_assert(!scratch_has(&scratch, "a.png"));
}
END_TEST

START_TEST(what_is_unknown_or_unreadable_is_said)
{
    pair("a", 20, 10);
    pair("b", 9, 1);
    pair("c", 1, 1);
    scratch_write(&scratch, "lbl/c.png", "\x89PNG\r\n\x1a\n");
    ck_assert_int_eq(run_convert(",encoding=raw", scratch_path(&scratch, "new")), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "");
    HAS(errors, "warning: ");
    HAS(errors, "lbl/b.png: labels out of range: 1 (1 pixels), 9 (7 pixels)");
    HAS(errors, "lbl/c.png: damaged PNG");
    HAS(out, "2 labels written");
    HAS(out, "8 pixels of 1 labels are unknown to the encoding and became 255 (ignored)");
    HAS(out, "1 left out");
}
END_TEST

START_TEST(the_wrong_kind_ends_it)
{
    pair("a", 1, 0);
    ck_assert_int_eq(run_convert(",encoding=colors", scratch_path(&scratch, "new")), RT_USAGE);
    HAS(err.text, "labels in grey; town.colors expects");
    ck_assert(!scratch_has(&scratch, "new/list.txt"));
}
END_TEST

START_TEST(drawn_streets_are_not_converted)
{
    ck_assert_int_eq(data_open("builtin:rendered:1", &set, &err), RT_OK);
    const DataConvertJob job = {&set, "builtin:rendered:1", scratch.path, stdout, stderr};
    ck_assert_int_eq(data_convert(&job, &err), RT_USAGE);
    HAS(err.text, "drawn streets have no label files");
}
END_TEST

Suite *data_check_suite(void)
{
    TCase *tests = tcase_create("data_check");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_good_set_passes);
    tcase_add_test(tests, every_fault_is_named_and_counted);
    tcase_add_test(tests, the_encoding_is_heeded);
    tcase_add_test(tests, unknown_colours_are_shown);
    tcase_add_test(tests, the_report_has_everything);
    tcase_add_test(tests, a_report_that_cannot_be_written);
    tcase_add_test(tests, images_alone_are_checked);
    tcase_add_test(tests, drawn_streets_are_counted);
    tcase_add_test(tests, checking_survives_lack_of_memory);
    tcase_add_test(tests, labels_become_train_ids);
    tcase_add_test(tests, inputs_are_never_replaced);
    tcase_add_test(tests, what_is_unknown_or_unreadable_is_said);
    tcase_add_test(tests, the_wrong_kind_ends_it);
    tcase_add_test(tests, drawn_streets_are_not_converted);
    Suite *suite = suite_create("data_check");
    suite_add_tcase(suite, tests);
    return suite;
}
