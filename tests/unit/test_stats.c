/* Counts of small graphs worked out by hand, and the two printed forms. */
#include "op.h"
#include "stats.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;
static Graph *graph;
static Model model;
static const Pos nowhere = {.line = 0};

static void begin(void)
{
    arena = arena_new();
    graph = graph_new(arena, diag_new(arena), "small");
    model = (Model){.name = "small", .path = "small.yaml", .graph = graph, .predict = "y"};
}

static void end(void)
{
    arena_free(arena);
}

static Node *input(const char *name, int64_t channels)
{
    Node *node = graph_add(graph, OP_INPUT, name, nowhere, NULL, 0);
    node_set_ints(node, A_SHAPE, (const int64_t[]){1, channels, 8, 8}, 4);
    return graph_settle(graph, node);
}

static Node *apply(Op op, const char *name, Node *const *in, int n_in)
{
    Node *node = graph_add(graph, op, name, nowhere, in, n_in);
    ck_assert(graph_declare_params(graph, node));
    return graph_settle(graph, node);
}

static Node *conv(const char *name, Node *in, int filters, int kernel)
{
    Node *node = graph_add(graph, OP_CONV2D, name, nowhere, &in, 1);
    node_set_int(node, A_FILTERS, filters);
    node_set_pair(node, A_KERNEL, kernel, kernel);
    node_set_pair(node, A_PADDING, kernel / 2, kernel / 2);
    ck_assert(graph_declare_params(graph, node));
    return graph_settle(graph, node);
}

/* A pool, a resize: whatever has a kernel or a size. */
static Node *windowed(Op op, const char *name, Node *in, AttrName attr, int64_t value)
{
    Node *node = graph_add(graph, op, name, nowhere, &in, 1);
    node_set_pair(node, attr, value, value);
    return graph_settle(graph, node);
}

/* image 3x8x8 -> conv 3x3 to 4 -> batch_norm -> relu = y; beside it aux = conv 1x1 to 2; a parameter that
 * nothing uses. */
static Stats *small_network(void)
{
    Node *conv3 = conv("conv", input("image", 3), 4, 3);
    Node *bn = apply(OP_BATCH_NORM, "bn", &conv3, 1);
    Node *relu = apply(OP_RELU, "relu", &bn, 1);
    graph_output(graph, "aux", conv("head", relu, 2, 1));
    graph_output(graph, "y", relu);
    graph_param(graph, "unused.weight", nowhere, (Type){F32, 1, {5}}, (ParamInit){0});
    graph_sort(graph);
    return stats_collect(arena, &model, STATS_UNKNOWN);
}

static Stats *predict(Node *node)
{
    graph_output(graph, "y", node);
    graph_sort(graph);
    return stats_collect(arena, &model, STATS_UNKNOWN);
}

static const StatsNode *row(const Stats *stats, const char *name)
{
    for (int i = 0; i < stats->n_nodes; i++)
        if (!strcmp(stats->nodes[i].name, name)) return &stats->nodes[i];
    ck_abort_msg("no row %s", name);
    return NULL;
}

/* ---- counts ---- */

START_TEST(parameters_are_counted_three_ways)
{
    const Stats *stats = small_network();
    ck_assert_int_eq(stats->parameters_deployed, 4 * 3 * 9 + 4 + 4 + 4);
    ck_assert_int_eq(stats->parameters_outputs, stats->parameters_deployed + 2 * 4 + 2);
    ck_assert_int_eq(stats->parameters_declared, stats->parameters_outputs + 5);
}
END_TEST

START_TEST(running_statistics_are_bytes_but_no_parameters)
{
    const StatsNode *bn = row(small_network(), "bn");
    ck_assert_int_eq(bn->parameters, 8);
    ck_assert_int_eq(bn->bytes, 4 * (256 + 256 + 16));
}
END_TEST

START_TEST(only_what_the_prediction_needs_is_listed)
{
    const Stats *stats = small_network();
    ck_assert_int_eq(stats->n_nodes, 3);
    ck_assert_str_eq(stats->nodes[0].name, "conv");
    ck_assert_str_eq(stats->nodes[1].name, "bn");
    ck_assert_str_eq(stats->nodes[2].name, "relu");
}
END_TEST

START_TEST(the_predicted_output_decides)
{
    small_network();
    model.predict = "aux";
    const Stats *stats = stats_collect(arena, &model, STATS_UNKNOWN);
    ck_assert_int_eq(stats->n_nodes, 4);
    ck_assert_int_eq(stats->parameters_deployed, stats->parameters_outputs);
    ck_assert_int_eq(stats->output.dim[1], 2);
}
END_TEST

START_TEST(counting_again_gives_the_same)
{
    const Stats *first = small_network(), *second = stats_collect(arena, &model, STATS_UNKNOWN);
    ck_assert_str_eq(stats_json(arena, first), stats_json(arena, second));
}
END_TEST

START_TEST(totals_are_the_sums_of_the_rows)
{
    const Stats *stats = small_network();
    int64_t multiply_adds = 0, flops = 0, bytes = 0, parameters = 0;
    for (int i = 0; i < stats->n_nodes; i++) {
        multiply_adds += stats->nodes[i].multiply_adds;
        flops += stats->nodes[i].flops;
        bytes += stats->nodes[i].bytes;
        parameters += stats->nodes[i].parameters;
    }
    ck_assert_int_eq(stats->multiply_adds, multiply_adds);
    ck_assert_int_eq(stats->flops, flops);
    ck_assert_int_eq(stats->bytes, bytes);
    ck_assert_int_eq(stats->parameters_deployed, parameters);
}
END_TEST

START_TEST(convolutions_are_counted_alone_and_by_convention)
{
    const Stats *stats = small_network();
    ck_assert_int_eq(stats->conv_multiply_adds, 4 * 64 * 27);
    ck_assert_int_eq(stats->multiply_adds, 4 * 64 * 27 + 2 * 256);
    ck_assert_int_eq(row(stats, "conv")->flops, 2 * 4 * 64 * 27);
    ck_assert_int_eq(row(stats, "conv")->bytes, 4 * (192 + 112 + 256));
}
END_TEST

START_TEST(elementwise_work_is_one_per_further_operand)
{
    Node *x = input("image", 3);
    Node *relu = apply(OP_RELU, "relu", &x, 1);
    Node *sum = apply(OP_ADD, "sum", (Node *[]){relu, x, relu}, 3);
    const Stats *stats = predict(sum);
    ck_assert_int_eq(row(stats, "relu")->flops, 192);
    ck_assert_int_eq(row(stats, "sum")->flops, 2 * 192);
    ck_assert_int_eq(stats->multiply_adds, 0);
}
END_TEST

START_TEST(an_input_used_twice_is_read_once)
{
    Node *x = input("image", 3);
    const Stats *stats = predict(apply(OP_MUL, "square", (Node *[]){x, x}, 2));
    ck_assert_int_eq(row(stats, "square")->bytes, 4 * (192 + 192));
}
END_TEST

START_TEST(pools_count_their_kernel)
{
    const Stats *stats = predict(windowed(OP_MAX_POOL2D, "pool", input("image", 3), A_KERNEL, 2));
    ck_assert_int_eq(row(stats, "pool")->flops, 3 * 16 * 4);
    ck_assert_int_eq(row(stats, "pool")->multiply_adds, 0);
}
END_TEST

START_TEST(a_bilinear_resize_counts_four_per_output_element)
{
    const Stats *stats = predict(windowed(OP_RESIZE, "up", input("image", 3), A_SIZE, 16));
    ck_assert_int_eq(row(stats, "up")->multiply_adds, 4 * 3 * 256);
    ck_assert_int_eq(row(stats, "up")->flops, 8 * 3 * 256);
    ck_assert_int_eq(stats->conv_multiply_adds, 0);
}
END_TEST

START_TEST(a_global_pool_counts_its_input)
{
    Node *x = input("image", 3);
    const Stats *stats = predict(apply(OP_GLOBAL_AVG_POOL, "mean", &x, 1));
    ck_assert_int_eq(row(stats, "mean")->multiply_adds, 192);
    ck_assert_int_eq(row(stats, "mean")->flops, 192);
}
END_TEST

START_TEST(moving_elements_is_no_work_but_bytes)
{
    Node *both[] = {input("image", 3), input("other", 3)};
    const Stats *stats = predict(apply(OP_CONCAT, "join", both, 2));
    ck_assert_int_eq(row(stats, "join")->flops, 0);
    ck_assert_int_eq(row(stats, "join")->bytes, 4 * 2 * (192 + 192));
}
END_TEST

START_TEST(a_shared_parameter_counts_where_it_is_used_first)
{
    Node *once = conv("once", input("image", 3), 3, 1);
    Node *again =
        graph_add(graph, OP_CONV2D, "again", nowhere, (Node *[]){once, once->in[1], once->in[2]}, 3);
    node_set_int(again, A_FILTERS, 3);
    node_set_pair(again, A_KERNEL, 1, 1);
    const Stats *stats = predict(graph_settle(graph, again));
    ck_assert_int_eq(row(stats, "once")->parameters, 12);
    ck_assert_int_eq(row(stats, "again")->parameters, 0);
    ck_assert_int_eq(stats->parameters_deployed, 12);
    ck_assert_int_eq(stats->conv_multiply_adds, 2 * 9 * 64);
}
END_TEST

START_TEST(inputs_that_the_prediction_needs_are_listed)
{
    Node *x = input("image", 3), *other = input("other", 2);
    graph_output(graph, "aux", apply(OP_RELU, "relu", &other, 1));
    const Stats *stats = predict(apply(OP_SIGMOID, "squash", &x, 1));
    ck_assert_int_eq(stats->n_inputs, 1);
    ck_assert_str_eq(stats->inputs[0].name, "image");
}
END_TEST

START_TEST(an_input_may_be_the_output)
{
    const Stats *stats = predict(input("image", 3));
    ck_assert_int_eq(stats->n_nodes, 0);
    ck_assert_int_eq(stats->bytes, 0);
    ck_assert(strstr(stats_table(arena, stats), "total") != NULL);
}
END_TEST

/* ---- the table ---- */

START_TEST(numbers_are_grouped_by_three)
{
    Stats *stats = small_network();
    stats->multiply_adds = 25779775698;
    stats->flops = 100;
    stats->bytes = 1000;
    const char *table = stats_table(arena, stats);
    ck_assert(strstr(table, " 25,779,775,698  by the study") != NULL);
    ck_assert(strstr(table, " 100  2 per multiply-add") != NULL);
    ck_assert(strstr(table, " 1,000  each node") != NULL);
}
END_TEST

START_TEST(the_table_has_a_line_per_node_and_even_columns)
{
    const char *line = stats_table(arena, small_network());
    size_t width = strcspn(line, "\n");
    for (int i = 0; i < 5; i++, line += width + 1) ck_assert_uint_eq(strcspn(line, "\n"), width);
    ck_assert_int_eq(*line, '\n');
}
END_TEST

START_TEST(a_planned_peak_is_printed_an_unknown_one_is_not)
{
    Stats *stats = small_network();
    ck_assert(strstr(stats_table(arena, stats), "memory peak") == NULL);
    stats->memory_peak = 123456;
    ck_assert(strstr(stats_table(arena, stats), "123,456  bytes, planned") != NULL);
}
END_TEST

/* ---- JSON ---- */

static const char *skip_value(const char *s);

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\n') s++;
    return s;
}

/* Behind the string that starts at s, NULL when there is none or it is not valid. */
static const char *skip_string(const char *s)
{
    if (*s++ != '"') return NULL;
    while (*s != '"') {
        if ((unsigned char)*s < 0x20) return NULL;
        if (*s++ != '\\') continue;
        if (*s == 'u') {
            for (int i = 1; i <= 4; i++)
                if (!isxdigit((unsigned char)s[i])) return NULL;
        } else if (!strchr("\"\\/bfnrt", *s)) {
            return NULL;
        }
        s++;
    }
    return s + 1;
}

static const char *skip_members(const char *s, char close, bool keys)
{
    s = skip_blanks(s);
    if (*s == close) return s + 1;
    for (;;) {
        if (keys) {
            s = skip_string(skip_blanks(s));
            if (!s || *(s = skip_blanks(s)) != ':') return NULL;
            s++;
        }
        s = skip_value(s);
        if (!s) return NULL;
        s = skip_blanks(s);
        if (*s == close) return s + 1;
        if (*s++ != ',') return NULL;
    }
}

static const char *skip_value(const char *s)
{
    s = skip_blanks(s);
    if (*s == '{') return skip_members(s + 1, '}', true);
    if (*s == '[') return skip_members(s + 1, ']', false);
    if (*s == '"') return skip_string(s);
    if (!strncmp(s, "null", 4)) return s + 4;
    const char *digits = s + (*s == '-');
    size_t length = strspn(digits, "0123456789");
    return length ? digits + length : NULL;
}

static void expect_json(const char *text)
{
    const char *rest = skip_value(text);
    ck_assert_msg(rest && *skip_blanks(rest) == 0, "not JSON: %s", text);
}

START_TEST(json_is_valid)
{
    expect_json(stats_json(arena, small_network()));
}
END_TEST

START_TEST(json_of_an_empty_network_is_valid)
{
    expect_json(stats_json(arena, predict(input("image", 3))));
}
END_TEST

START_TEST(json_has_the_counts)
{
    const char *json = stats_json(arena, small_network());
    ck_assert(strstr(json, "\"parameters\": {\"deployed\": 120, \"outputs\": 130, \"declared\": 135}") !=
              NULL);
    ck_assert(strstr(json, "\"multiply_adds\": {\"convolution\": 6912, \"study\": 7424}") != NULL);
    ck_assert(strstr(json, "\"output\": {\"name\": \"y\", \"dtype\": \"f32\", \"shape\": [1, 4, 8, 8]}") !=
              NULL);
    ck_assert(strstr(json, "\"memory_peak\": null") != NULL);
}
END_TEST

START_TEST(json_has_the_planned_peak)
{
    Stats *stats = small_network();
    stats->memory_peak = 123456;
    ck_assert(strstr(stats_json(arena, stats), "\"memory_peak\": 123456,") != NULL);
}
END_TEST

/* A name as it may stand in a file or on a disk, and how JSON has it. */
static const struct {
    const char *name, *json;
} odd_names[] = {
    {"a\"b\\c", "\"a\\\"b\\\\c\""},
    {"tab\tnewline\n", "\"tab\\u0009newline\\u000a\""},
    {"stra\xC3\x9F"
     "e \xE9\x81\x93 \xF0\x9F\x9A\x97",
     "\"stra\xC3\x9F"
     "e \xE9\x81\x93 \xF0\x9F\x9A\x97\""},
    {"lone \xFF byte", "\"lone \\ufffd byte\""},
    {"cut \xE9\x81", "\"cut \\ufffd\\ufffd\""},
    {"overlong \xC0\x80", "\"overlong \\ufffd\\ufffd\""},
    {"surrogate \xED\xA0\x80", "\"surrogate \\ufffd\\ufffd\\ufffd\""},
    {"beyond \xF4\x90\x80\x80", "\"beyond \\ufffd\\ufffd\\ufffd\\ufffd\""},
};

START_TEST(odd_names_are_escaped)
{
    model.path = odd_names[_i].name;
    const char *json = stats_json(arena, small_network());
    expect_json(json);
    const char *found = strstr(json, "\"file\": ");
    ck_assert(found != NULL);
    found += strlen("\"file\": ");
    ck_assert_msg(!strncmp(found, odd_names[_i].json, strlen(odd_names[_i].json)), "%.60s", found);
}
END_TEST

Suite *stats_suite(void);

Suite *stats_suite(void)
{
    TCase *tests = tcase_create("stats");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, parameters_are_counted_three_ways);
    tcase_add_test(tests, running_statistics_are_bytes_but_no_parameters);
    tcase_add_test(tests, only_what_the_prediction_needs_is_listed);
    tcase_add_test(tests, the_predicted_output_decides);
    tcase_add_test(tests, counting_again_gives_the_same);
    tcase_add_test(tests, totals_are_the_sums_of_the_rows);
    tcase_add_test(tests, convolutions_are_counted_alone_and_by_convention);
    tcase_add_test(tests, elementwise_work_is_one_per_further_operand);
    tcase_add_test(tests, an_input_used_twice_is_read_once);
    tcase_add_test(tests, pools_count_their_kernel);
    tcase_add_test(tests, a_bilinear_resize_counts_four_per_output_element);
    tcase_add_test(tests, a_global_pool_counts_its_input);
    tcase_add_test(tests, moving_elements_is_no_work_but_bytes);
    tcase_add_test(tests, a_shared_parameter_counts_where_it_is_used_first);
    tcase_add_test(tests, inputs_that_the_prediction_needs_are_listed);
    tcase_add_test(tests, an_input_may_be_the_output);
    tcase_add_test(tests, numbers_are_grouped_by_three);
    tcase_add_test(tests, the_table_has_a_line_per_node_and_even_columns);
    tcase_add_test(tests, a_planned_peak_is_printed_an_unknown_one_is_not);
    tcase_add_test(tests, json_is_valid);
    tcase_add_test(tests, json_of_an_empty_network_is_valid);
    tcase_add_test(tests, json_has_the_counts);
    tcase_add_test(tests, json_has_the_planned_peak);
    tcase_add_loop_test(tests, odd_names_are_escaped, 0, sizeof odd_names / sizeof *odd_names);
    Suite *suite = suite_create("stats");
    suite_add_tcase(suite, tests);
    return suite;
}
