/* Diagnostics: how messages look, how many are shown, and which names are near. */
#define _GNU_SOURCE
#include "diag.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;
static Diag *diag;
static Source source;

static void begin(void)
{
    arena = arena_new();
    diag = diag_new(arena);
}

static void end(void)
{
    arena_free(arena);
}

static Pos at(const char *text, int line, int column)
{
    source = (Source){"file.yaml", text, strlen(text)};
    return (Pos){&source, line, column};
}

START_TEST(an_error_quotes_its_line)
{
    diag_error(diag, at("segc: 1\n  conv: {op: conv2}\n", 2, 14), "unknown operator '%s'", "conv2");
    ck_assert_str_eq(diag_text(diag), "file.yaml:2:14: error: unknown operator 'conv2'\n"
                                      "    2 |   conv: {op: conv2}\n"
                                      "      |              ^\n");
    ck_assert(diag_failed(diag));
    ck_assert_int_eq(diag_errors(diag), 1);
}
END_TEST

START_TEST(nothing_reported_prints_nothing)
{
    ck_assert_str_eq(diag_text(diag), "");
    ck_assert(!diag_failed(diag));
}
END_TEST

START_TEST(a_warning_does_not_fail)
{
    diag_warning(diag, at("a\n", 1, 1), "odd");
    ck_assert(!diag_failed(diag));
    ck_assert_str_eq(diag_text(diag), "file.yaml:1:1: warning: odd\n    1 | a\n      | ^\n");
}
END_TEST

START_TEST(a_note_without_place_is_a_sentence)
{
    diag_error(diag, at("a\n", 0, 0), "bad file");
    diag_note(diag, (Pos){0}, "looked in %s", "here");
    ck_assert_str_eq(diag_text(diag), "file.yaml: error: bad file\nnote: looked in here\n");
}
END_TEST

START_TEST(the_last_line_needs_no_newline)
{
    diag_error(diag, at("a\nbc", 2, 2), "bad");
    ck_assert_str_eq(diag_text(diag), "file.yaml:2:2: error: bad\n    2 | bc\n      |  ^\n");
}
END_TEST

START_TEST(a_column_behind_the_line_points_to_its_end)
{
    diag_error(diag, at("ab\r\n", 1, 99), "bad");
    ck_assert_str_eq(diag_text(diag), "file.yaml:1:99: error: bad\n    1 | ab\n      |   ^\n");
}
END_TEST

START_TEST(a_line_behind_the_file_is_not_quoted)
{
    diag_error(diag, at("ab\n", 7, 1), "bad");
    ck_assert_str_eq(diag_text(diag), "file.yaml:7:1: error: bad\n");
}
END_TEST

START_TEST(tabs_controls_and_stray_bytes_take_one_column)
{
    diag_error(diag, at("\t\x01\xff\x7fx\n", 1, 5), "bad");
    ck_assert_str_eq(diag_text(diag), "file.yaml:1:5: error: bad\n    1 |  ...x\n      |     ^\n");
}
END_TEST

START_TEST(letters_of_two_bytes_take_one_column)
{
    diag_error(diag, at("\xc3\xa4\xc3\xb6x\n", 1, 5), "bad");
    ck_assert_str_eq(diag_text(diag), "file.yaml:1:5: error: bad\n    1 | \xc3\xa4\xc3\xb6x\n      |   ^\n");
}
END_TEST

START_TEST(a_long_line_is_cut_around_the_caret)
{
    char *line = arena_alloc(arena, 10001);
    memset(line, 'a', 10000);
    line[5000] = '!';
    diag_error(diag, at(line, 1, 5001), "bad");
    const char *text = diag_text(diag);
    ck_assert_uint_lt(strlen(text), 400);
    const char *mark = strchr(text, '!'), *caret = strchr(text, '^');
    const char *line_start = strstr(text, "    1 |"), *caret_start = strstr(text, "\n      |") + 1;
    ck_assert_int_eq(mark - line_start, caret - caret_start);
}
END_TEST

START_TEST(a_monstrous_name_is_cut)
{
    char *name = arena_alloc(arena, 1000001);
    memset(name, 'b', 1000000);
    diag_error(diag, at("a\n", 1, 1), "unknown key '%s' here", name);
    const char *text = diag_text(diag);
    ck_assert_uint_lt(strlen(text), 1000);
    ck_assert_ptr_nonnull(strstr(text, "unknown key 'bbb"));
    ck_assert_ptr_nonnull(strstr(text, "bbb' here"));
}
END_TEST

START_TEST(a_line_break_in_a_name_does_not_break_the_message)
{
    diag_error(diag, at("a\n", 1, 1), "unknown key 'a\nb'");
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "unknown key 'a.b'\n"));
}
END_TEST

START_TEST(twenty_errors_are_shown_and_the_rest_counted)
{
    const char *text = "a\n";
    for (int i = 0; i < 25; i++) {
        diag_error(diag, at(text, 1, 1), "error number %d", i);
        diag_note(diag, (Pos){0}, "note to %d", i);
    }
    const char *all = diag_text(diag);
    ck_assert_int_eq(diag_errors(diag), 25);
    ck_assert_ptr_nonnull(strstr(all, "error number 19\n"));
    ck_assert_ptr_nonnull(strstr(all, "note to 19\n"));
    ck_assert_ptr_null(strstr(all, "error number 20\n"));
    ck_assert_ptr_null(strstr(all, "note to 20\n"));
    ck_assert_ptr_nonnull(strstr(all, "5 more errors are not shown\n"));
}
END_TEST

START_TEST(one_error_too_many_is_one)
{
    for (int i = 0; i < 21; i++) diag_error(diag, (Pos){0}, "error number %d", i);
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "1 more error is not shown\n"));
}
END_TEST

START_TEST(warnings_are_counted_apart)
{
    for (int i = 0; i < 23; i++) diag_warning(diag, (Pos){0}, "warning number %d", i);
    diag_error(diag, (Pos){0}, "the error");
    const char *all = diag_text(diag);
    ck_assert_ptr_nonnull(strstr(all, "3 more warnings are not shown\n"));
    ck_assert_ptr_nonnull(strstr(all, "error: the error\n"));
}
END_TEST

START_TEST(a_repetition_is_reported_once)
{
    Pos pos = at("a\n", 1, 1);
    for (int i = 0; i < 3; i++) {
        diag_error(diag, pos, "the same");
        diag_note(diag, (Pos){0}, "use %d", i);
    }
    ck_assert_int_eq(diag_errors(diag), 1);
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "use 0"));
    ck_assert_ptr_null(strstr(diag_text(diag), "use 1"));
}
END_TEST

START_TEST(print_and_text_agree)
{
    diag_error(diag, at("ab\n", 1, 2), "bad");
    char *printed = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&printed, &size);
    diag_print(diag, out);
    fclose(out);
    ck_assert_str_eq(printed, diag_text(diag));
    free(printed);
}
END_TEST

static const char *const operators[] = {"conv2d", NULL, "relu", "softmax", "log_softmax", "y", "add"};

static const struct {
    const char *name, *nearest; /* NULL: none is near */
} slips[] = {
    {"conv2", "conv2d"},
    {"Conv2D", "conv2d"},
    {"cnov2d", "conv2d"},
    {"relv", "relu"},
    {"rleu", "relu"},
    {"sofmax", "softmax"},
    {"softmaxx", "softmax"},
    {"log_sofmtax", "log_softmax"},
    {"x", NULL},
    {"mystery", NULL},
    {"", NULL},
    {"ad", "add"},
    {"dda", NULL},
    {"a_name_that_is_so_long_that_nobody_would_type_it_by_mistake_for_another", NULL},
};

START_TEST(the_nearest_name_is_found)
{
    const char *nearest = diag_nearest(slips[_i].name, operators, sizeof operators / sizeof *operators);
    if (slips[_i].nearest)
        ck_assert_pstr_eq(nearest, slips[_i].nearest);
    else
        ck_assert_msg(nearest == NULL, "%s is taken for %s", slips[_i].name, nearest);
}
END_TEST

Suite *diag_suite(void)
{
    Suite *suite = suite_create("diag");
    TCase *look = tcase_create("look");
    tcase_add_checked_fixture(look, begin, end);
    tcase_add_test(look, an_error_quotes_its_line);
    tcase_add_test(look, nothing_reported_prints_nothing);
    tcase_add_test(look, a_warning_does_not_fail);
    tcase_add_test(look, a_note_without_place_is_a_sentence);
    tcase_add_test(look, the_last_line_needs_no_newline);
    tcase_add_test(look, a_column_behind_the_line_points_to_its_end);
    tcase_add_test(look, a_line_behind_the_file_is_not_quoted);
    tcase_add_test(look, tabs_controls_and_stray_bytes_take_one_column);
    tcase_add_test(look, letters_of_two_bytes_take_one_column);
    tcase_add_test(look, a_long_line_is_cut_around_the_caret);
    tcase_add_test(look, a_monstrous_name_is_cut);
    tcase_add_test(look, a_line_break_in_a_name_does_not_break_the_message);
    tcase_add_test(look, print_and_text_agree);
    suite_add_tcase(suite, look);
    TCase *number = tcase_create("number");
    tcase_add_checked_fixture(number, begin, end);
    tcase_add_test(number, twenty_errors_are_shown_and_the_rest_counted);
    tcase_add_test(number, one_error_too_many_is_one);
    tcase_add_test(number, warnings_are_counted_apart);
    tcase_add_test(number, a_repetition_is_reported_once);
    suite_add_tcase(suite, number);
    TCase *nearest = tcase_create("nearest");
    tcase_add_loop_test(nearest, the_nearest_name_is_found, 0, sizeof slips / sizeof *slips);
    suite_add_tcase(suite, nearest);
    return suite;
}
