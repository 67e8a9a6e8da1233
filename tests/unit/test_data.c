/* Data set specifications: lists, folder pairs, and everything that may be missing or malformed. */
#include "../../runtime/rt_data.h"
#include "scratch_folder.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *data_suite(void);

static ScratchFolder scratch;
static DataSet set;

static void set_up(void)
{
    scratch_open(&scratch);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/p%d.png", i);
        scratch_picture(&scratch, name, 4, 4, 3, 0, 0);
        snprintf(name, sizeof name, "lbl/p%d.png", i);
        scratch_picture(&scratch, name, 4, 4, 1, 0, 0);
    }
}

static void tear_down(void)
{
    data_close(&set);
    scratch_close(&scratch);
}

/* Opens "BEFORE/scratch/NAME AFTER". */
static RtStatus open_spec(const char *before, const char *name, const char *after, RtError *err)
{
    char spec[1024];
    snprintf(spec, sizeof spec, "%s%s%s", before, scratch_path(&scratch, name), after);
    return data_open(spec, &set, err);
}

static void check_error(RtStatus status, const RtError *err, RtStatus want, const char *part)
{
    ck_assert_int_eq(status, want);
    ck_assert_msg(strstr(err->text, part), "'%s' is not in: %s", part, err->text);
}

START_TEST(list_next_to_its_files)
{
    scratch_write(&scratch, "val.txt", "# two\nimg/p0.png lbl/p0.png\n\n  img/p2.png   lbl/p2.png  \r\n");
    RtError err = {0};
    ck_assert_msg(!open_spec("", "val.txt", "", &err), "%s", err.text);
    ck_assert_uint_eq(set.count, 2);
    ck_assert_str_eq(set.pairs[1].image, scratch_path(&scratch, "img/p2.png"));
    ck_assert_str_eq(set.pairs[1].label, scratch_path(&scratch, "lbl/p2.png"));
    ck_assert_uint_eq(set.missing_count, 0);
}
END_TEST

START_TEST(list_with_root)
{
    scratch_write(&scratch, "lists/val.txt", "img/p0.png lbl/p0.png\n");
    char root[128];
    snprintf(root, sizeof root, "@%s", scratch.path);
    RtError err = {0};
    ck_assert_msg(!open_spec("list:", "lists/val.txt", root, &err), "%s", err.text);
    ck_assert_str_eq(set.pairs[0].image, scratch_path(&scratch, "img/p0.png"));
}
END_TEST

START_TEST(list_of_absolute_names)
{
    char line[1024];
    snprintf(line, sizeof line, "%s %s\n", scratch_path(&scratch, "img/p1.png"),
             scratch_path(&scratch, "lbl/p1.png"));
    scratch_write(&scratch, "elsewhere/val.txt", line);
    RtError err = {0};
    ck_assert_msg(!open_spec("list:", "elsewhere/val.txt", "", &err), "%s", err.text);
    ck_assert_uint_eq(set.count, 1);
}
END_TEST

START_TEST(names_with_blanks_and_at)
{
    scratch_picture(&scratch, "img/a b.png", 4, 4, 3, 0, 0);
    scratch_write(&scratch, "v@l.txt", "img/a b.png\tlbl/p0.png\n");
    RtError err = {0};
    ck_assert_msg(!open_spec("list:", "v@l.txt", "", &err), "%s", err.text);
    ck_assert_str_eq(set.pairs[0].image, scratch_path(&scratch, "img/a b.png"));
}
END_TEST

START_TEST(list_line_without_label)
{
    scratch_write(&scratch, "val.txt", "img/p0.png lbl/p0.png\nimg/p1.png\n");
    RtError err = {0};
    check_error(open_spec("", "val.txt", "", &err), &err, RT_BAD_INPUT,
                "val.txt:2: expected \"image label\"");
}
END_TEST

START_TEST(list_names_missing_files)
{
    scratch_write(&scratch, "val.txt",
                  "img/p0.png lbl/p0.png\nimg/p7.png lbl/p0.png\nimg/p1.png lbl/p8.png\n");
    RtError err = {0};
    ck_assert_int_eq(open_spec("", "val.txt", "", &err), RT_OK);
    ck_assert_uint_eq(set.count, 1);
    ck_assert_uint_eq(set.missing_count, 2);
    ck_assert_msg(strstr(set.missing[0], "val.txt:2: no file "), "%s", set.missing[0]);
    ck_assert_msg(strstr(set.missing[1], "lbl/p8.png"), "%s", set.missing[1]);
}
END_TEST

START_TEST(suggests_the_root)
{
    scratch_write(&scratch, "lists/val.txt", "img/p0.png lbl/p0.png\n");
    RtError err = {0};
    check_error(open_spec("", "lists/val.txt", "", &err), &err, RT_BAD_INPUT, "/lists/.. ?");
}
END_TEST

START_TEST(empty_and_binary_lists)
{
    RtError err = {0};
    scratch_write(&scratch, "empty.txt", "# nothing\n");
    check_error(open_spec("", "empty.txt", "", &err), &err, RT_BAD_INPUT, "names no pictures");
    data_close(&set);
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    scratch_write(&scratch, "long.txt", text);
    check_error(open_spec("", "long.txt", "", &err), &err, RT_BAD_INPUT, "long.txt:1: a line of 8191 bytes");
    data_close(&set);
    check_error(open_spec("", "img/p0.png", "", &err), &err, RT_BAD_INPUT, "img/p0.png:");
    data_close(&set);
    check_error(open_spec("", "gone.txt", "", &err), &err, RT_BAD_INPUT, "cannot open the list");
}
END_TEST

START_TEST(folder_is_no_list)
{
    RtError err = {0};
    check_error(open_spec("", "img", "", &err), &err, RT_USAGE, "is a folder; for folders say images:");
}
END_TEST

static RtStatus open_folders(const char *images, const char *labels, RtError *err)
{
    char spec[1024];
    snprintf(spec, sizeof spec, "images:%s,labels:%s", scratch_path(&scratch, images),
             scratch_path(&scratch, labels));
    return data_open(spec, &set, err);
}

START_TEST(folders_match_by_base_name)
{
    RtError err = {0};
    ck_assert_msg(!open_folders("img", "lbl", &err), "%s", err.text);
    ck_assert_uint_eq(set.count, 3);
    ck_assert_str_eq(set.pairs[2].label, scratch_path(&scratch, "lbl/p2.png"));
}
END_TEST

START_TEST(folders_name_what_has_no_counterpart)
{
    scratch_picture(&scratch, "img/alone.png", 4, 4, 3, 0, 0);
    scratch_picture(&scratch, "lbl/p10.png", 4, 4, 1, 0, 0);
    scratch_write(&scratch, "lbl/notes.txt", "hello");
    RtError err = {0};
    ck_assert_msg(!open_folders("img", "lbl", &err), "%s", err.text);
    ck_assert_uint_eq(set.count, 3);
    ck_assert_uint_eq(set.missing_count, 3);
    ck_assert_msg(strstr(set.missing[0], "no label for ") && strstr(set.missing[0], "img/alone.png"), "%s",
                  set.missing[0]);
    ck_assert_msg(strstr(set.missing[1], "no image for ") && strstr(set.missing[1], "lbl/p10.png"), "%s",
                  set.missing[1]);
    ck_assert_msg(strstr(set.missing[2], "notes.txt"), "%s", set.missing[2]);
}
END_TEST

START_TEST(folders_with_doubled_names)
{
    scratch_picture(&scratch, "img/p0.PNG", 4, 4, 3, 0, 0);
    RtError err = {0};
    check_error(open_folders("img", "lbl", &err), &err, RT_BAD_INPUT, "have the same base name");
}
END_TEST

START_TEST(folders_that_are_none)
{
    RtError err = {0};
    check_error(open_folders("gone", "lbl", &err), &err, RT_BAD_INPUT, "no folder ");
    data_close(&set);
    check_error(open_folders("img/p0.png", "lbl", &err), &err, RT_BAD_INPUT, "is no folder");
    data_close(&set);
    check_error(data_open("labels:a", &set, &err), &err, RT_USAGE, "expected images:DIR,labels:DIR");
    scratch_picture(&scratch, "other/q.png", 4, 4, 1, 0, 0);
    check_error(open_folders("img", "other", &err), &err, RT_BAD_INPUT, "no base name is both in");
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    scratch_write(&scratch, "val.txt", "img/p0.png lbl/p0.png\nimg/p7.png lbl/p0.png\n");
    long nth = 1;
    for (;; nth++) {
        RtError err = {0};
        rt_alloc_fail_at(nth);
        RtStatus status = open_spec("list:", "val.txt", "", &err);
        rt_alloc_fail_at(0);
        data_close(&set);
        if (!status) break;
        ck_assert_int_eq(status, RT_MACHINE);
    }
    ck_assert_int_gt(nth, 5);
}
END_TEST

Suite *data_suite(void)
{
    Suite *suite = suite_create("data");
    TCase *tests = tcase_create("data");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, list_next_to_its_files);
    tcase_add_test(tests, list_with_root);
    tcase_add_test(tests, list_of_absolute_names);
    tcase_add_test(tests, names_with_blanks_and_at);
    tcase_add_test(tests, list_line_without_label);
    tcase_add_test(tests, list_names_missing_files);
    tcase_add_test(tests, suggests_the_root);
    tcase_add_test(tests, empty_and_binary_lists);
    tcase_add_test(tests, folder_is_no_list);
    tcase_add_test(tests, folders_match_by_base_name);
    tcase_add_test(tests, folders_name_what_has_no_counterpart);
    tcase_add_test(tests, folders_with_doubled_names);
    tcase_add_test(tests, folders_that_are_none);
    tcase_add_test(tests, any_allocation_may_fail);
    suite_add_tcase(suite, tests);
    return suite;
}
