/* Names for results: no two alike, no input destroyed. */
#define _GNU_SOURCE
#include "../../runtime/rt_output.h"
#include "scratch_folder.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Suite *output_suite(void);

static const char *const suffixes[] = {".png", "_color.png"};

/* Checks the names for inputs, both lists ending in NULL. */
static void check_names(const char *const *inputs, const char *const *want)
{
    size_t count = 0;
    while (inputs[count]) count++;
    OutputNames names;
    ck_assert_int_eq(output_names(inputs, count, suffixes, 2, &names, NULL), RT_OK);
    for (size_t i = 0; i < count; i++) ck_assert_str_eq(names.names[i], want[i]);
    output_free(&names);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(simple_names)
{
    check_names(LIST("a/x.png", "y.jpg", "no_dot", ".hidden", "two.dots.png"),
                LIST("x", "y", "no_dot", ".hidden", "two.dots"));
}
END_TEST

START_TEST(folders_tell_apart)
{
    check_names(LIST("day/x.png", "dusk/x.png", "z.png"), LIST("day_x", "dusk_x", "z"));
    check_names(LIST("a/c/x.png", "b/c/x.png"), LIST("a_c_x", "b_c_x"));
    check_names(LIST("../a/x.png", "./b/x.png"), LIST("a_x", "b_x"));
}
END_TEST

START_TEST(extensions_tell_apart)
{
    check_names(LIST("x.png", "x.jpg", "y.png"), LIST("x_png", "x_jpg", "y"));
}
END_TEST

START_TEST(suffixes_clash_too)
{
    check_names(LIST("x.png", "x_color.png"), LIST("x_png", "x_color_png"));
}
END_TEST

START_TEST(numbers_as_last_resort)
{
    check_names(LIST("x.png", "x.png"), LIST("x_png_1", "x_png_2"));
}
END_TEST

START_TEST(many_clashes)
{
    enum { COUNT = 300 };
    char paths[COUNT][32];
    const char *inputs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof paths[i], "%d/%d/x.p%d", i % 3, i % 10, i % 7);
        inputs[i] = paths[i];
    }
    OutputNames names;
    ck_assert_int_eq(output_names(inputs, COUNT, suffixes, 2, &names, NULL), RT_OK);
    for (int i = 0; i < COUNT; i++) {
        for (int k = 0; k < i; k++) ck_assert_str_ne(names.names[i], names.names[k]);
    }
    output_free(&names);
}
END_TEST

START_TEST(inputs_are_not_replaced)
{
    ScratchFolder scratch;
    scratch_open(&scratch);
    scratch_write(&scratch, "x.png", "precious");
    ck_assert_int_eq(symlink(scratch.path, scratch_path(&scratch, "link")), 0);
    const char *input = scratch_path(&scratch, "link/x.png");
    OutputNames names;
    ck_assert_int_eq(output_names(&input, 1, suffixes, 2, &names, NULL), RT_OK);
    RtError err = {0};
    ck_assert_int_eq(output_check(scratch.path, &names, &input, suffixes, 2, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, "is one of the inputs"), "%s", err.text);
    ck_assert_int_eq(output_check("/tmp", &names, &input, suffixes, 2, &err), RT_OK);
    output_free(&names);
    scratch_close(&scratch);
}
END_TEST

START_TEST(folders_are_made)
{
    ScratchFolder scratch;
    RtError err = {0};
    scratch_open(&scratch);
    ck_assert_int_eq(output_folder(scratch_path(&scratch, "a/b//c/"), &err), RT_OK);
    ck_assert(scratch_has(&scratch, "a/b/c"));
    ck_assert_int_eq(output_folder(scratch_path(&scratch, "a/b"), &err), RT_OK);
    scratch_write(&scratch, "file", "");
    ck_assert_int_eq(output_folder(scratch_path(&scratch, "file"), &err), RT_BAD_INPUT);
    ck_assert_msg(strstr(err.text, "it is no folder"), "%s", err.text);
    ck_assert_int_eq(output_folder(scratch_path(&scratch, "file/x"), &err), RT_BAD_INPUT);
    scratch_close(&scratch);
}
END_TEST

Suite *output_suite(void)
{
    Suite *suite = suite_create("output");
    TCase *tests = tcase_create("output");
    tcase_add_test(tests, simple_names);
    tcase_add_test(tests, folders_tell_apart);
    tcase_add_test(tests, extensions_tell_apart);
    tcase_add_test(tests, suffixes_clash_too);
    tcase_add_test(tests, numbers_as_last_resort);
    tcase_add_test(tests, many_clashes);
    tcase_add_test(tests, inputs_are_not_replaced);
    tcase_add_test(tests, folders_are_made);
    suite_add_tcase(suite, tests);
    return suite;
}
