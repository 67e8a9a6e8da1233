/* What people and programs read: tables, numbers, progress, JSON, and command lines with their mistakes. */
#define _GNU_SOURCE
#include "../../runtime/rt_json_out.h"
#include "../../runtime/rt_memory.h"
#include "../../runtime/rt_options.h"
#include "../../runtime/rt_report.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *report_suite(void);

/* A stream whose text can be compared. */
static char *text;
static size_t text_size;
static FILE *out;

static void set_up(void)
{
    out = open_memstream(&text, &text_size);
}

static void tear_down(void)
{
    free(text);
}

static void check_text(const char *want)
{
    fclose(out);
    ck_assert_str_eq(text, want);
}

START_TEST(table_aligns)
{
    ReportTable table = {.columns = "<class|>IoU %"};
    report_cell(&table, "%s", "road");
    report_cell(&table, "%.2f", 97.5);
    report_cell(&table, "%s", "vegetation");
    report_cell(&table, "n/a");
    ck_assert_int_eq(report_print(&table, out, NULL), RT_OK);
    report_free(&table);
    check_text("class       IoU %\n"
               "road        97.50\n"
               "vegetation    n/a\n");
}
END_TEST

START_TEST(table_counts_characters)
{
    ReportTable table = {.columns = "<a|>b"};
    report_cell(&table, "Stra\xc3\x9f"
                        "e");
    report_cell(&table, "1");
    report_cell(&table, "Weg");
    report_cell(&table, "22");
    ck_assert_int_eq(report_print(&table, out, NULL), RT_OK);
    report_free(&table);
    check_text("a        b\nStra\xc3\x9f"
               "e   1\nWeg     22\n");
}
END_TEST

START_TEST(table_without_memory)
{
    ReportTable table = {.columns = "<a"};
    rt_alloc_fail_at(2);
    report_cell(&table, "x");
    rt_alloc_fail_at(0);
    RtError err = {0};
    ck_assert_int_eq(report_print(&table, out, &err), RT_MACHINE);
    report_free(&table);
    check_text("");
}
END_TEST

START_TEST(large_table)
{
    ReportTable table = {.columns = "<a|<b|<c"};
    for (int i = 0; i < 3 * 500; i++) report_cell(&table, "%d", i);
    ck_assert_int_eq(report_print(&table, out, NULL), RT_OK);
    report_free(&table);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "\n1497  1498  1499\n"));
}
END_TEST

START_TEST(numbers_in_groups)
{
    char number[REPORT_NUMBER];
    ck_assert_str_eq(report_number(0, number), "0");
    ck_assert_str_eq(report_number(999, number), "999");
    ck_assert_str_eq(report_number(12054042, number), "12,054,042");
    ck_assert_str_eq(report_number(-123456, number), "-123,456");
    ck_assert_str_eq(report_number(INT64_MIN, number), "-9,223,372,036,854,775,808");
    fclose(out);
}
END_TEST

START_TEST(sizes_in_units)
{
    char size[MEMORY_TEXT];
    ck_assert_str_eq(memory_text(999, size), "999 B");
    ck_assert_str_eq(memory_text(41234567, size), "41.2 MB");
    ck_assert_str_eq(memory_text(999960, size), "1.0 MB");
    ck_assert_str_eq(memory_text(UINT64_MAX, size), "18.4 EB");
    fclose(out);
}
END_TEST

START_TEST(progress_in_a_file)
{
    FILE *file = tmpfile();
    Progress progress;
    progress_start(&progress, file, 2);
    progress_step(&progress, "a -> %s", "b");
    progress_note(&progress, "error: c");
    progress_step(&progress, "d");
    progress_end(&progress);
    char lines[200] = "";
    rewind(file);
    size_t length = fread(lines, 1, sizeof lines - 1, file);
    fclose(file);
    fclose(out);
    lines[length] = 0;
    ck_assert_str_eq(lines, "1/2  a -> b\nerror: c\n2/2  d\n");
}
END_TEST

START_TEST(json_nests)
{
    JsonOut json = {.out = out};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", "x");
    json_out_open(&json, "dims", '[');
    json_out_integer(&json, NULL, 1);
    json_out_number(&json, NULL, 0.5);
    json_out_close(&json);
    json_out_open(&json, "none", '[');
    json_out_close(&json);
    json_out_bool(&json, "yes", true);
    json_out_null(&json, "gone");
    json_out_close(&json);
    check_text("{\n  \"name\": \"x\",\n  \"dims\": [\n    1,\n    0.5\n  ],\n  \"none\": [],\n"
               "  \"yes\": true,\n  \"gone\": null\n}\n");
}
END_TEST

START_TEST(json_escapes)
{
    JsonOut json = {.out = out};
    json_out_text(&json, NULL, "\"\\\n\x01 \xc3\xa9 \xff \xe0\x80\x80 \xed\xa0\x80 \xf0\x9f\x98\x80");
    check_text("\"\\\"\\\\\\u000a\\u0001 \xc3\xa9 \\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd "
               "\xf0\x9f\x98\x80\"");
}
END_TEST

START_TEST(json_has_no_nan)
{
    JsonOut json = {.out = out};
    json_out_open(&json, NULL, '[');
    json_out_number(&json, NULL, (double)NAN);
    json_out_number(&json, NULL, (double)INFINITY);
    json_out_close(&json);
    check_text("[\n  null,\n  null\n]\n");
}
END_TEST

/* Command lines. */
static struct {
    bool json;
    int64_t runs;
    const char *folder;
} given;

static const Option options[] = {
    {"--json", 0, OPTION_FLAG, &given.json, NULL, "print JSON", 0},
    {"--runs", 0, OPTION_COUNT, &given.runs, "N", "runs", 1},
    {"--output", 'o', OPTION_TEXT, &given.folder, "DIR", "folder", 0},
    {0},
};

static RtStatus parse(int argc, const char *const *words, const char **rest, RtError *err)
{
    char *argv[8] = {0};
    for (int i = 0; i < argc; i++) argv[i] = (char *)(uintptr_t)words[i];
    memset(&given, 0, sizeof given);
    RtStatus status = options_parse(options, &argc, argv, err);
    for (int i = 0; i < argc && rest && !status; i++) rest[i] = argv[i];
    return status;
}

#define PARSE(rest, err, ...)                                                                                \
    parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__},      \
          rest, err)

START_TEST(options_in_any_order)
{
    const char *rest[8] = {0};
    ck_assert_int_eq(PARSE(rest, NULL, "a", "--runs", "7", "b", "--json", "-oout", "--", "-c"), RT_OK);
    ck_assert(given.json);
    ck_assert_int_eq(given.runs, 7);
    ck_assert_str_eq(given.folder, "out");
    ck_assert_str_eq(rest[0], "a");
    ck_assert_str_eq(rest[1], "b");
    ck_assert_str_eq(rest[2], "-c");
    fclose(out);
}
END_TEST

START_TEST(options_with_equals)
{
    ck_assert_int_eq(PARSE(NULL, NULL, "--runs=12", "-o", "x=y", "--output=p=q"), RT_OK);
    ck_assert_int_eq(given.runs, 12);
    ck_assert_str_eq(given.folder, "p=q");
    fclose(out);
}
END_TEST

static void check_usage(RtStatus status, const RtError *err, const char *want)
{
    ck_assert_int_eq(status, RT_USAGE);
    ck_assert_str_eq(err->text, want);
}

START_TEST(options_that_are_wrong)
{
    RtError err = {0};
    check_usage(PARSE(NULL, &err, "--rums", "3"), &err, "unknown option --rums (did you mean --runs?)");
    check_usage(PARSE(NULL, &err, "--colour"), &err, "unknown option --colour");
    check_usage(PARSE(NULL, &err, "-x"), &err, "unknown option -x");
    check_usage(PARSE(NULL, &err, "--json=1"), &err, "--json takes no value");
    check_usage(PARSE(NULL, &err, "--output"), &err, "--output needs a DIR");
    check_usage(PARSE(NULL, &err, "--output="), &err, "--output needs a DIR, not nothing");
    check_usage(PARSE(NULL, &err, "--runs", "0"), &err, "--runs 0: expected a whole number of at least 1");
    check_usage(PARSE(NULL, &err, "--runs", "3x"), &err, "--runs 3x: expected a whole number of at least 1");
    check_usage(PARSE(NULL, &err, "--runs", "99999999999999999999"), &err,
                "--runs 99999999999999999999: expected a whole number of at least 1");
    fclose(out);
}
END_TEST

START_TEST(near_names)
{
    const char *const names[] = {"info", "predict", "eval", "bench", NULL};
    ck_assert_str_eq(options_nearest("inof", names), "info");
    ck_assert_str_eq(options_nearest("perdict", names), "predict");
    ck_assert_str_eq(options_nearest("evl", names), "eval");
    ck_assert_ptr_null(options_nearest("train", names));
    ck_assert_ptr_null(options_nearest("", names));
    fclose(out);
}
END_TEST

START_TEST(options_help)
{
    options_print(options, out);
    check_text("  --json               print JSON\n"
               "  --runs N             runs\n"
               "  -o, --output DIR     folder\n");
}
END_TEST

Suite *report_suite(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, table_aligns);
    tcase_add_test(tests, table_counts_characters);
    tcase_add_test(tests, table_without_memory);
    tcase_add_test(tests, large_table);
    tcase_add_test(tests, numbers_in_groups);
    tcase_add_test(tests, sizes_in_units);
    tcase_add_test(tests, progress_in_a_file);
    tcase_add_test(tests, json_nests);
    tcase_add_test(tests, json_escapes);
    tcase_add_test(tests, json_has_no_nan);
    tcase_add_test(tests, options_in_any_order);
    tcase_add_test(tests, options_with_equals);
    tcase_add_test(tests, options_that_are_wrong);
    tcase_add_test(tests, near_names);
    tcase_add_test(tests, options_help);
    suite_add_tcase(suite, tests);
    return suite;
}
