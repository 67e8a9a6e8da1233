/* What pages are made of: escaped texts, series, ticks and charts; and JSON values that logs hold. */
#include "../../runtime/rt_chart.h"
#include "../../runtime/rt_json.h"
#include "scratch_folder.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

Suite *chart_suite(void);

static TextOut out;
static RtArena arena;

static void set_up(void)
{
    out = (TextOut){0};
    arena = (RtArena){.limit = 1 << 24};
}

static void tear_down(void)
{
    text_out_free(&out);
    rt_arena_free(&arena);
}

/* Compares what was put out so far. */
static void check_text(const char *want)
{
    text_out(&out, "%c", 0);
    ck_assert_str_eq(out.text, want);
    out.size = 0;
}

static void check_has(const char *part)
{
    text_out(&out, "%c", 0);
    out.size--;
    ck_assert_msg(strstr(out.text, part), "'%s' is not in: %s", part, out.text);
}

/* ---- texts ---- */

START_TEST(html_is_escaped)
{
    text_out_html(&out, "<a href=\"x\">'1' & 2</a>");
    check_text("&lt;a href=&quot;x&quot;&gt;&#39;1&#39; &amp; 2&lt;/a&gt;");
}
END_TEST

START_TEST(html_of_wrong_bytes)
{
    text_out_html(&out, "Stra\xc3\x9f"
                        "e \xff\x80 \x01 \xf0\x9f\x98\x80 \xe2\x82");
    check_text("Stra\xc3\x9f"
               "e \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd \xf0\x9f\x98\x80 \xef\xbf\xbd\xef\xbf\xbd");
}
END_TEST

START_TEST(markdown_is_escaped)
{
    text_out_markdown(&out, "a|b\n*c* `d` <e> [f] \\ g_h \xff");
    check_text("a\\|b \\*c\\* \\`d\\` \\<e\\> \\[f\\] \\\\ g_h \xef\xbf\xbd");
}
END_TEST

/* RFC 4648, section 10. */
START_TEST(base64)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xfe\xfd", "//79"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        text_out_base64(&out, pairs[i][0], strlen(pairs[i][0]));
        check_text(pairs[i][1]);
    }
}
END_TEST

START_TEST(long_texts_grow)
{
    for (int i = 0; i < 100000; i++) text_out(&out, "%d\n", i % 10);
    ck_assert_uint_eq(out.size, 200000);
    ck_assert_mem_eq(out.text + 199994, "7\n8\n9\n", 6);
}
END_TEST

START_TEST(text_without_memory)
{
    RtError err = {0};
    rt_alloc_fail_at(1);
    text_out(&out, "x");
    rt_alloc_fail_at(0);
    text_out_html(&out, "y");
    text_out_base64(&out, "z", 1);
    ck_assert_uint_eq(out.size, 0);
    ck_assert_int_eq(text_out_write(&out, "page.html", &err), RT_MACHINE);
    ck_assert_str_eq(err.text, "page.html: no memory to put it together");
}
END_TEST

START_TEST(text_becomes_a_file)
{
    ScratchFolder scratch;
    scratch_open(&scratch);
    RtError err = {0};
    text_out(&out, "hello\n");
    ck_assert_int_eq(text_out_write(&out, scratch_path(&scratch, "a.txt"), &err), RT_OK);
    ck_assert(scratch_has(&scratch, "a.txt"));
    ck_assert_int_eq(text_out_write(&out, scratch_path(&scratch, "none/a.txt"), &err), RT_BAD_INPUT);
    scratch_close(&scratch);
}
END_TEST

/* ---- JSON ---- */

static JsonReader reader_of(const char *text)
{
    return (JsonReader){.text = text, .size = strlen(text)};
}

START_TEST(json_numbers)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0}, {" -1.5e-3 ", -1.5e-3}, {"2E+2", 200}, {"1.25", 1.25}, {"-0", 0}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        JsonReader reader = reader_of(good[i].text);
        double value = -9;
        ck_assert_msg(json_number(&reader, &value) && json_end(&reader), "%s", good[i].text);
        ck_assert_double_eq(value, good[i].value);
    }
    JsonReader reader = reader_of("null");
    double value = 0;
    ck_assert(json_number(&reader, &value) && isnan(value));
}
END_TEST

START_TEST(json_numbers_that_are_wrong)
{
    static const char *const bad[] = {
        "",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "nul",
        "nan",
        "\"1\"",
        "1e999",
        "--1",
        "1234567890123456789012345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        JsonReader reader = reader_of(bad[i]);
        double value;
        ck_assert_msg(!json_number(&reader, &value) || !json_end(&reader), "%s", bad[i]);
        ck_assert_ptr_nonnull(reader.problem);
    }
}
END_TEST

START_TEST(json_bools)
{
    JsonReader reader = reader_of("[true, false, 1]");
    bool first = true, value = false;
    json_open(&reader, '[');
    ck_assert(json_more(&reader, ']', &first) && json_bool(&reader, &value) && value);
    ck_assert(json_more(&reader, ']', &first) && json_bool(&reader, &value) && !value);
    ck_assert(json_more(&reader, ']', &first) && !json_bool(&reader, &value));
    ck_assert_str_eq(reader.problem, "expected true or false");
}
END_TEST

START_TEST(json_skips)
{
    static const char *const good[] = {"{}", "[]", "{\"a\": [1, {\"b\": null}, \"x\\\"y\"], \"c\": true}",
                                       "3", "\"\""};
    static const char *const bad[] = {"{",     "[1,",    "{\"a\" 1}", "[1 2]", "\"a",
                                      "\"a\\", "{1: 2}", "tru",       "",      "]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        JsonReader reader = reader_of(good[i]);
        ck_assert_msg(json_skip(&reader) && json_end(&reader), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        JsonReader reader = reader_of(bad[i]);
        ck_assert_msg(!json_skip(&reader) && reader.problem, "%s", bad[i]);
    }
}
END_TEST

START_TEST(json_skips_not_too_deep)
{
    char text[2001];
    memset(text, '[', 2000);
    text[2000] = 0;
    JsonReader reader = reader_of(text);
    ck_assert(!json_skip(&reader));
    ck_assert_str_eq(reader.problem, "brackets nested too deep");
}
END_TEST

/* ---- series ---- */

static Series line(size_t count, double slope)
{
    Series series = {0};
    for (size_t i = 0; i < count; i++) ck_assert(series_add(&series, &arena, (double)i, slope * (double)i));
    return series;
}

START_TEST(smoothing_keeps_lines)
{
    Series series = line(50, 3), smooth;
    ck_assert(series_smooth(&series, 7, &arena, &smooth));
    ck_assert_uint_eq(smooth.count, 50);
    for (size_t i = 0; i < 50; i++) ck_assert_double_eq_tol(smooth.points[i].y, 3 * (double)i, 1e-9);
}
END_TEST

START_TEST(smoothing_is_a_mean)
{
    Series series = line(5, 0), smooth;
    series.points[2].y = 10;
    ck_assert(series_smooth(&series, 2, &arena, &smooth));
    ck_assert_double_eq_tol(smooth.points[2].y, 2, 1e-12);
    ck_assert(series_smooth(&series, 0, &arena, &smooth));
    ck_assert_double_eq(smooth.points[2].y, 10);
}
END_TEST

START_TEST(smoothing_keeps_gaps)
{
    Series series = line(9, 1), smooth;
    series.points[4].y = (double)NAN;
    ck_assert(series_smooth(&series, 3, &arena, &smooth));
    ck_assert(isnan(smooth.points[4].y));
    ck_assert_double_eq_tol(smooth.points[5].y, 5, 1e-9);
}
END_TEST

START_TEST(means_where_all_have_values)
{
    Series a = line(6, 1), b = {0}, mean;
    for (int i = 1; i < 5; i += 2) ck_assert(series_add(&b, &arena, i, 10));
    ck_assert(series_mean((const Series *[]){&a, &b}, 2, &arena, &mean));
    ck_assert_uint_eq(mean.count, 2);
    ck_assert_double_eq(mean.points[0].x, 1);
    ck_assert_double_eq(mean.points[0].y, 5.5);
    ck_assert_double_eq(mean.points[1].y, 6.5);
    b.points[1].y = (double)NAN;
    ck_assert(series_mean((const Series *[]){&b, &a}, 2, &arena, &mean));
    ck_assert_uint_eq(mean.count, 1);
}
END_TEST

START_TEST(thinning_keeps_peaks)
{
    Series series = line(10000, 0), thin;
    series.points[4321].y = 7;
    series.points[8765].y = -2;
    ck_assert(series_thin(&series, 100, &arena, &thin));
    ck_assert_uint_le(thin.count, 100);
    double most = 0, least = 0;
    for (size_t i = 0; i < thin.count; i++) {
        most = fmax(most, thin.points[i].y);
        least = fmin(least, thin.points[i].y);
        ck_assert(!i || thin.points[i].x > thin.points[i - 1].x);
    }
    ck_assert_double_eq(most, 7);
    ck_assert_double_eq(least, -2);
    ck_assert(series_thin(&series, 10000, &arena, &thin));
    ck_assert_uint_eq(thin.count, 10000);
}
END_TEST

/* ---- charts ---- */

static void check_ticks(double least, double most, int intervals, double first, double step, int count)
{
    ChartTicks ticks = chart_ticks(least, most, intervals);
    ck_assert_double_eq_tol(ticks.first, first, fabs(step) * 1e-9);
    ck_assert_double_eq_tol(ticks.step, step, fabs(step) * 1e-9);
    ck_assert_int_eq(ticks.count, count);
}

START_TEST(ticks_are_round)
{
    check_ticks(0, 6000, 8, 0, 1000, 7);
    check_ticks(0.37, 2.9, 6, 0, 0.5, 7);
    check_ticks(0, 2.5e-4, 6, 0, 5e-5, 6);
    check_ticks(-3, 17, 6, -5, 5, 6);
    check_ticks(0, 0.3, 6, 0, 0.05, 7);
    check_ticks(98, 99, 5, 98, 0.2, 6);
    check_ticks(0, 1, 1, 0, 1, 2);
}
END_TEST

START_TEST(ticks_of_one_value)
{
    check_ticks(0, 0, 6, 0, 0.2, 6);
    check_ticks(4, 4, 6, 2, 1, 5);
    ChartTicks ticks = chart_ticks(-1e-30, -1e-30, 6);
    ck_assert_int_gt(ticks.count, 1);
    ck_assert_double_gt(ticks.step, 0);
}
END_TEST

START_TEST(ticks_enclose)
{
    for (int i = 1; i < 2000; i++) {
        double least = sin(i * 1.7) * pow(10, i % 13 - 6),
               most = least + fabs(cos(i * 0.3)) * pow(10, i % 7 - 3);
        ChartTicks ticks = chart_ticks(least, most, 6);
        double slack = ticks.step * 1e-6, last = ticks.first + ticks.step * (ticks.count - 1);
        ck_assert_int_le(ticks.count, 7);
        ck_assert_int_ge(ticks.count, 2);
        ck_assert_double_le(ticks.first, least + slack);
        ck_assert_double_ge(last, most - slack);
    }
}
END_TEST

static Chart chart_of(const ChartLine *lines, size_t count)
{
    static const ChartName names[] = {{"a <b>", 0}, {"second", 12}};
    return (Chart){.title = "loss & more",
                   .x_title = "iteration",
                   .lines = lines,
                   .line_count = count,
                   .names = names,
                   .name_count = 2};
}

START_TEST(chart_of_a_line)
{
    Series series = line(11, 1e-5);
    const ChartLine lines[] = {{&series, "run <1>", 0, CHART_THICK}};
    Chart chart = chart_of(lines, 1);
    chart_draw(&chart, &arena, &out);
    check_has("<title>run &lt;1&gt;</title>");
    check_has(">loss &amp; more<tspan"); /* which holds the power of ten */
    check_has("\xe2\x88\x92"
              "4</tspan>");
    check_has(">iteration</text>");
    check_has("a &lt;b&gt;</text>");
    check_has("class=\"thick k2 dashed\""); /* the legend's second */
    check_has("<path class=\"thick k0\" d=\"M52.0 254.0L");
}
END_TEST

START_TEST(chart_lifts_the_pen)
{
    Series series = line(5, 1);
    series.points[2].y = (double)NAN;
    const ChartLine lines[] = {{&series, "r", 1, CHART_THIN}};
    Chart chart = chart_of(lines, 1);
    chart_draw(&chart, &arena, &out);
    text_out(&out, "%c", 0);
    const char *path = strstr(out.text, "class=\"thin k1\" d=\"M");
    ck_assert_ptr_nonnull(path);
    ck_assert_ptr_nonnull(strchr(strchr(path, 'M') + 1, 'M'));
    ck_assert_ptr_null(strstr(out.text, "nan"));
}
END_TEST

START_TEST(chart_of_nothing)
{
    Series none = {0}, gaps = line(3, 1);
    for (int i = 0; i < 3; i++) gaps.points[i].y = (double)NAN;
    const ChartLine lines[] = {{&none, "r", 1, CHART_THICK}, {&gaps, "s", 2, CHART_MARKED}};
    Chart chart = chart_of(lines, 2);
    chart_draw(&chart, &arena, &out);
    check_has("</svg>");
    ck_assert_ptr_null(strstr(out.text, "nan"));
    ck_assert_ptr_null(strstr(out.text, "inf"));
}
END_TEST

START_TEST(chart_cuts_peaks_of_thin_lines)
{
    Series thick = line(11, 0.1), thin = line(11, 0.1);
    thin.points[5].y = 1000;
    const ChartLine lines[] = {{&thick, "r", 0, CHART_THICK}, {&thin, "s", 0, CHART_THIN}};
    Chart chart = chart_of(lines, 2);
    chart_draw(&chart, &arena, &out);
    check_has(">2.0</text>");
    ck_assert_ptr_null(strstr(out.text, ">1000</text>"));
}
END_TEST

START_TEST(single_points_are_dots)
{
    Series series = line(1, 1);
    const ChartLine lines[] = {{&series, "r", 3, CHART_THICK}};
    Chart chart = chart_of(lines, 1);
    chart_draw(&chart, &arena, &out);
    check_has("<circle class=\"dot k3\"");
}
END_TEST

Suite *chart_suite(void)
{
    Suite *suite = suite_create("chart");
    TCase *tests = tcase_create("chart");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, html_is_escaped);
    tcase_add_test(tests, html_of_wrong_bytes);
    tcase_add_test(tests, markdown_is_escaped);
    tcase_add_test(tests, base64);
    tcase_add_test(tests, long_texts_grow);
    tcase_add_test(tests, text_without_memory);
    tcase_add_test(tests, text_becomes_a_file);
    tcase_add_test(tests, json_numbers);
    tcase_add_test(tests, json_numbers_that_are_wrong);
    tcase_add_test(tests, json_bools);
    tcase_add_test(tests, json_skips);
    tcase_add_test(tests, json_skips_not_too_deep);
    tcase_add_test(tests, smoothing_keeps_lines);
    tcase_add_test(tests, smoothing_is_a_mean);
    tcase_add_test(tests, smoothing_keeps_gaps);
    tcase_add_test(tests, means_where_all_have_values);
    tcase_add_test(tests, thinning_keeps_peaks);
    tcase_add_test(tests, ticks_are_round);
    tcase_add_test(tests, ticks_of_one_value);
    tcase_add_test(tests, ticks_enclose);
    tcase_add_test(tests, chart_of_a_line);
    tcase_add_test(tests, chart_lifts_the_pen);
    tcase_add_test(tests, chart_of_nothing);
    tcase_add_test(tests, chart_cuts_peaks_of_thin_lines);
    tcase_add_test(tests, single_points_are_dots);
    suite_add_tcase(suite, tests);
    return suite;
}
