/* From arguments to image files, in a folder of their own:
 *     a.png b.jpeg Z.txt(a PNG) notes.png(text) empty.png [x].png link.png(broken) sub/c.png none/readme */
#define _GNU_SOURCE
#include "rt_image.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32];
static int home; /* the working directory of the other tests */
static const unsigned char png_start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0};
static const unsigned char jpeg_start[] = {0xff, 0xd8, 0xff, 0xe0};

static const struct {
    const char *name;
    const void *start;
    size_t size;
} files[] = {
    {"a.png", png_start, sizeof png_start},
    {"b.jpeg", jpeg_start, sizeof jpeg_start},
    {"Z.txt", png_start, sizeof png_start},
    {"notes.png", "some text", 9},
    {"empty.png", "", 0},
    {"[x].png", png_start, sizeof png_start},
    {"sub/c.png", png_start, sizeof png_start},
    {"none/readme", "text", 4},
};
enum { FILE_COUNT = sizeof files / sizeof *files };

static void make_files(void)
{
    strcpy(folder, "/tmp/segc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    home = open(".", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    ck_assert_int_eq(mkdir("none", 0700), 0);
    ck_assert_int_eq(symlink("nowhere", "link.png"), 0);
    for (int i = 0; i < FILE_COUNT; i++) {
        FILE *file = fopen(files[i].name, "wb");
        ck_assert_uint_eq(fwrite(files[i].start, 1, files[i].size, file), files[i].size);
        fclose(file);
    }
}

static void remove_files(void)
{
    for (int i = 0; i < FILE_COUNT; i++) unlink(files[i].name);
    unlink("link.png");
    rmdir("sub");
    rmdir("none");
    ck_assert_int_eq(fchdir(home), 0);
    close(home);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void expect_names(char *const *names, size_t count, const char *expected)
{
    char text[500] = "";
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "", names[i]);
    }
    ck_assert_str_eq(text, expected);
}

/* Arguments, paths found, files passed over. */
static const struct {
    const char *arguments[4], *paths, *skipped;
} cases[] = {
    {{"a.png"}, "a.png", ""},
    {{"b.jpeg", "a.png"}, "b.jpeg a.png", ""},
    {{"."}, "./Z.txt ./[x].png ./a.png ./b.jpeg ./link.png", "./empty.png ./notes.png"},
    {{"sub"}, "sub/c.png", ""},
    {{"sub///"}, "sub/c.png", ""},
    {{"*.png"}, "[x].png a.png empty.png link.png notes.png", ""},
    {{"s*"}, "sub/c.png", ""},
    {{"?.[jp]*"}, "a.png b.jpeg", ""},
    {{"[x].png"}, "[x].png", ""},
    {{"[ab].png"}, "a.png", ""},
    {{"a.png", "*.jpeg", "a.png", "?.png"}, "a.png b.jpeg", ""},
    {{"sub", "s*/*", "sub/c.png"}, "sub/c.png", ""},
    {{"notes.png"}, "notes.png", ""},
    {{"link.png"}, "link.png", ""},
};
enum { CASE_COUNT = sizeof cases / sizeof *cases };

static size_t argument_count(const char *const *arguments)
{
    size_t count = 0;
    while (count < 4 && arguments[count]) count++;
    return count;
}

START_TEST(lists_files)
{
    RtImageList list;
    RtError err;
    const char *const *arguments = cases[_i].arguments;
    ck_assert_msg(!image_list(arguments, argument_count(arguments), &list, &err), "%s", err.text);
    expect_names(list.paths, list.count, cases[_i].paths);
    expect_names(list.skipped, list.skipped_count, cases[_i].skipped);
    image_list_free(&list);
}
END_TEST

static const struct {
    const char *arguments[4], *says;
} faults[] = {
    {{"missing.png"}, "missing.png: cannot open: No such file or directory"},
    {{"a.png", "*.gif"}, "*.gif: no file matches this pattern"},
    {{"none"}, "none: holds no PNG or JPEG image (other files: 1)"},
    {{"a.png/b"}, "a.png/b: cannot open: Not a directory"},
    {{""}, "\"\": cannot open: No such file or directory"},
};
enum { FAULT_COUNT = sizeof faults / sizeof *faults };

START_TEST(names_what_yields_nothing)
{
    RtImageList list;
    RtError err;
    const char *const *arguments = faults[_i].arguments;
    ck_assert_int_eq(image_list(arguments, argument_count(arguments), &list, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, faults[_i].says);
    ck_assert_ptr_null(list.paths);
    image_list_free(&list);
}
END_TEST

START_TEST(no_argument_is_an_empty_list)
{
    RtImageList list;
    RtError err;
    ck_assert_int_eq(image_list(NULL, 0, &list, &err), RT_OK);
    ck_assert_uint_eq(list.count, 0);
    image_list_free(&list);
}
END_TEST

START_TEST(a_later_argument_that_was_all_seen_is_fine)
{
    RtImageList list;
    RtError err;
    ck_assert_int_eq(image_list((const char *[]){"sub", "sub"}, 2, &list, &err), RT_OK);
    ck_assert_uint_eq(list.count, 1);
    image_list_free(&list);
}
END_TEST

START_TEST(survives_lack_of_memory)
{
    RtStatus status = RT_MACHINE;
    for (long nth = 1; nth < 60; nth++) {
        RtImageList list;
        RtError err;
        rt_alloc_fail_at(nth);
        status = image_list((const char *[]){".", "*.png", "sub"}, 3, &list, &err);
        rt_alloc_fail_at(0);
        ck_assert(status == RT_OK || (status == RT_MACHINE && list.count == 0));
        image_list_free(&list);
    }
    ck_assert_int_eq(status, RT_OK);
}
END_TEST

Suite *image_list_suite(void);

Suite *image_list_suite(void)
{
    TCase *tests = tcase_create("list");
    tcase_add_checked_fixture(tests, make_files, remove_files);
    tcase_add_loop_test(tests, lists_files, 0, CASE_COUNT);
    tcase_add_loop_test(tests, names_what_yields_nothing, 0, FAULT_COUNT);
    tcase_add_test(tests, no_argument_is_an_empty_list);
    tcase_add_test(tests, a_later_argument_that_was_all_seen_is_fine);
    tcase_add_test(tests, survives_lack_of_memory);
    Suite *suite = suite_create("image_list");
    suite_add_tcase(suite, tests);
    return suite;
}
