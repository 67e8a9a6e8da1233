/* Graphs: order, rewriting, invariants, and the text form with its mistakes. */
#include "op.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *graph_suite(void);

static Arena *arena;
static Diag *diag;

static void set_up(void)
{
    arena = arena_new();
    diag = diag_new(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

static Graph *parse_bytes(const char *text, size_t size)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.path = "g.txt", .text = text, .size = size};
    return graph_text_parse(arena, diag, source);
}

static Graph *parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static Graph *parse_good(const char *text)
{
    Graph *graph = parse(text);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    ck_assert_ptr_null(graph_fault(graph));
    return graph;
}

/* ---- text ------------------------------------------------------------------------------------------------
 */

static const char small[] =
    "graph small\n"
    "%1: f32[2,3,32,64] = input  # \"image\" net.yaml:3\n"
    "%2: f32[8,3,3,3] = param {param_init=uniform, value=0.25}  # \"sp.conv.weight\" net.yaml:12\n"
    "%3: f32[2,8,16,32] = conv2d %1, %2 {filters=8, kernel=3, stride=2, padding=1, bias=false}  # "
    "\"sp.conv\" net.yaml:12\n"
    "%4: f32[2,8,16,32] = relu %3  # \"sp.relu\" net.yaml:13\n"
    "%5: f32[2,8,16,32] = add %3, %4\n"
    "output y = %5\n"
    "output z = %4\n";

static const char *const texts[] = {
    small,
    "graph empty\n",
    "graph \"two words\"\n%1: i32[4] = input  # \"a\"\noutput \"odd \\\"name\\\" \\\\ \\x0a\" = %1\n",
    "graph ids\n%7: f32[4] = input  # \"a\"\n%3: f32[4] = relu %7\n%900000: f32[4] = mul %3, %7\noutput y = "
    "%900000\n",
    "graph places\n%1: u8[4,1] = input  # \"a\" a folder/net file.yaml:12\n%2: f32[9] = param "
    "{statistic=true}  # \"b\"\n",
    "graph pairs\n%1: f32[1,1,9,9] = input  # \"a\"\n"
    "%2: f32[1,1,4,3] = max_pool2d %1 {kernel=[2,3], stride=[2,3]}  # \"odd \\\"pool\\\"\"\n"
    "%3: f32[1,1,4,3] = avg_pool2d %2 {kernel=3, stride=1, padding=1, count_include_pad=false}\n",
    "graph floats\n%1: f32[1,2,3,4] = input  # \"a\"\n%2: f32[1,2,3,4] = affine %1 {scale=-0.1, "
    "shift=1e+30}\n"
    "%3: f32[1,2,3,6] = pad %2 {pads=[1,1,0,0], value=-inf}\n%4: f32[1,2,3,6] = leaky_relu %3 "
    "{negative_slope=0.30000000000000004}\n",
    "graph words\n%1: f32[1,2,3,4] = input  # \"a\"\n%2: f32[1,2,6,8] = resize %1 {size=[6,8], "
    "mode=nearest}\n"
    "%3: f32[1,2,5,6] = pad %1 {pads=[1,1,1,1], pad_mode=reflect}\n%4: f32[1,1,3,4] = slice %1 {end=1}\n"
    "%5: f32[1,2,4,6] = resize %1 {scale_factor=1.5}\n",
};

START_TEST(text_prints_as_it_was_read)
{
    ck_assert_str_eq(graph_text(parse_good(texts[_i])), texts[_i]);
}
END_TEST

START_TEST(text_may_have_comments_and_spaces)
{
    Graph *graph =
        parse_good("# what it is\n\n  graph   g\r\n %1 :f32[ 4 ]=input#\"a\"\n\t%2: f32[4] = relu  %1 "
                   "\noutput y=%2");
    (void)graph;
}
END_TEST

START_TEST(text_keeps_names_and_places)
{
    Node *conv = parse_good(small)->nodes[2];
    ck_assert_str_eq(conv->name, "sp.conv");
    ck_assert_str_eq(conv->pos.source->path, "net.yaml");
    ck_assert_int_eq(conv->pos.line, 12);
}
END_TEST

START_TEST(text_makes_parameters)
{
    Graph *graph = parse_good(small);
    ck_assert_int_eq(graph->n_params, 1);
    ParamInit init = graph_param_init(graph->params[0]);
    ck_assert_int_eq(init.kind, PARAM_UNIFORM);
    ck_assert_double_eq(init.value, 0.25);
    ck_assert_int_eq(graph->next_id, 6);
}
END_TEST

#define HEAD "graph g\n%1: f32[4] = input  # \"a\"\n"
static const struct {
    const char *text, *message;
} mistakes[] = {
    {"", "g.txt: error: expected 'graph NAME'"},
    {"%1: f32[4] = input  # \"a\"\n", "g.txt:1:1: error: expected 'graph NAME' first"},
    {"graph\n", "g.txt:1:6: error: expected a name"},
    {"graph a\ngraph b\n", "g.txt:2:8: error: a second graph"},
    {"graph a b\n", "g.txt:1:9: error: expected the end of the line"},
    {HEAD "%2: f32[4] = relu %3\n", "g.txt:3:21: error: no node %3 stands above"},
    {HEAD "%2: f32[4] = relu %2\n", "no node %2 stands above"},
    {HEAD "%1: f32[4] = relu %1\n", "node %1 is there already"},
    {HEAD "%0: f32[4] = relu %1\n", "node numbers are 1 to 1000000"},
    {HEAD "%1000001: f32[4] = relu %1\n", "node numbers are 1 to 1000000"},
    {HEAD "%99999999999999999999: f32[4] = relu %1\n", "expected a whole number"},
    {HEAD "%2: f64[4] = relu %1\n", "no element type 'f64'"},
    {HEAD "%2: f32[1,2,3,4,5,6,7] = relu %1\n", "at most 6 numbers"},
    {HEAD "%2: f32[4 = relu %1\n", "expected ']'"},
    {HEAD "%2: f32[5] = relu %1\n", "relu makes f32[4]"},
    {HEAD "%2: f32[4] = rely %1\n", "no operator 'rely'"},
    {HEAD "%2: f32[4] = relu\n", "g.txt:3:1: error: relu: takes 1 input, not 0"},
    {HEAD "%2: f32[4] = relu %1 {scale=1}\n", "relu has no attribute 'scale' here"},
    {HEAD "%2: f32[4] = affine %1 {scale=1, scale=2}\n", "'scale' is given twice"},
    {HEAD "%2: f32[4] = affine %1 {scale=x}\n", "expected a number"},
    {HEAD "%2: f32[4] = affine %1 {scale=nan}\n", "'scale' is not a number"},
    {HEAD "%2: f32[] = cross_entropy %1, %1 {weight=1}\n", "expected '['"},
    {HEAD "%2: f32[] = cross_entropy %1, %1 {weight=[1,x]}\n", "expected a number"},
    {HEAD "%2: f32[] = cross_entropy %1, %1 {weight=[1,nan]}\n", "'weight' is not a number"},
    {HEAD "%2: f32[4] = affine %1 {scale=1\n", "expected '}'"},
    {HEAD "%2: f32[4] = softmax %1 {dim=1.5}\n", "expected a whole number"},
    {HEAD "%2: f32[4] = relu %1 %1\n", "expected the end of the line"},
    {HEAD "%2: f32[4] = relu %1 # \"a\n", "expected '\"'"},
    {HEAD "%2: f32[4] = relu %1 # \"a\" net.yaml\n", "expected FILE:LINE"},
    {HEAD "%2: f32[4] = relu %1 # net.yaml:x\n", "expected a whole number"},
    {HEAD "%2: f32[4] = relu %1 # net.yaml:-1\n", "no such line"},
    {HEAD "%2: f32[4] = relu %1 # \"a\\x00\"\n", "a name can't hold a zero byte"},
    {HEAD "%2: f32[4] = input\n", "input needs a name"},
    {HEAD "%2: f32[4] = input {shape=[4]}  # \"b\"\n", "input has no attribute 'shape' here"},
    {HEAD "%2: f32[0] = input  # \"b\"\n", "dimension 0 of the result is 0"},
    {HEAD "output y %1\n", "expected '='"},
    {HEAD "output y = 1\n", "expected '%'"},
    {HEAD "output y = %4\n", "no node %4 stands above"},
    {HEAD "outputs y = %4\n", "expected '%'"},
    {"graph g\n%1: f32[1,1,4,4] = input # \"a\"\n%2: f32[1,1,2,2] = max_pool2d %1 {kernel=[2,2,2]}\n",
     "at most 2 numbers"},
    {"graph g\n%1: f32[1,1,4,4] = input # \"a\"\n%2: f32[1,1,2,2] = max_pool2d %1 {kernel=2, ceil_mode=1}\n",
     "expected true or false"},
    {"graph g\n%1: f32[1,1,4,4] = input # \"a\"\n%2: f32[1,1,2,2] = conv2d %1 {kernel=3, filters=1}\n",
     "has 1 inputs, and 2 parameters are declared"},
};

START_TEST(text_mistake_is_named)
{
    ck_assert_ptr_null(parse(mistakes[_i].text));
    ck_assert_int_eq(diag_errors(diag), 1);
    ck_assert_msg(strstr(diag_text(diag), mistakes[_i].message) != NULL, "%s", diag_text(diag));
}
END_TEST

START_TEST(text_with_a_zero_byte_is_refused)
{
    ck_assert_ptr_null(parse_bytes("graph g\n\0\n", 10));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "a zero byte"));
}
END_TEST

/* Damages one of the texts in a few places: whatever happens is a message or a graph that prints and reads
 * back. */
START_TEST(damaged_text_never_crashes)
{
    static const char bytes[] = "%{}[],=#:\"\\ \n0159-.xainf";
    srand((unsigned)_i + 1);
    for (int round = 0; round < 300; round++) {
        tear_down();
        set_up();
        const char *text = texts[rand() % (int)(sizeof texts / sizeof *texts)];
        size_t size = strlen(text);
        char *copy = arena_strndup(arena, text, size);
        for (int i = rand() % 4; i >= 0; i--)
            copy[rand() % (int)size] = bytes[rand() % (int)(sizeof bytes - 1)];
        Graph *graph = parse_bytes(copy, (size_t)rand() % 8 ? size : (size_t)rand() % size);
        ck_assert_int_eq(graph == NULL, diag_failed(diag));
        if (!graph) continue;
        ck_assert_ptr_null(graph_fault(graph));
        const char *printed = graph_text(graph);
        Graph *again = parse(printed);
        ck_assert_msg(again != NULL, "%s\n%s", diag_text(diag), printed);
        ck_assert_str_eq(graph_text(again), printed);
    }
}
END_TEST

START_TEST(dot_shows_operators_and_outputs)
{
    ck_assert_str_eq(graph_dot(parse_good(small)),
                     "digraph \"small\" {\n"
                     "  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n"
                     "  n1 [label=\"image\\ninput\\nf32[2,3,32,64]\", shape=ellipse];\n"
                     "  n3 [label=\"sp.conv\\nconv2d f32[8,3,3,3]\\nf32[2,8,16,32]\"];\n"
                     "  n1 -> n3;\n"
                     "  n4 [label=\"sp.relu\\nrelu\\nf32[2,8,16,32]\"];\n"
                     "  n3 -> n4;\n"
                     "  n5 [label=\"\\nadd\\nf32[2,8,16,32]\"];\n"
                     "  n3 -> n5;\n"
                     "  n4 -> n5;\n"
                     "  out0 [label=\"y\", shape=ellipse];\n"
                     "  n5 -> out0;\n"
                     "  out1 [label=\"z\", shape=ellipse];\n"
                     "  n4 -> out1;\n"
                     "}\n");
}
END_TEST

/* ---- rewriting -------------------------------------------------------------------------------------------
 */

START_TEST(sort_keeps_what_outputs_reach)
{
    Graph *graph = parse_good(small);
    graph->outputs[0].node = graph->nodes[2];
    graph->outputs[1].node = graph->nodes[0];
    graph_sort(graph);
    ck_assert_int_eq(graph->n_nodes, 3);
    ck_assert_int_eq(graph->n_params, 1);
    graph->n_outputs = 0;
    graph_sort(graph);
    ck_assert_int_eq(graph->n_nodes, 0);
    ck_assert_int_eq(graph->n_params, 1);
}
END_TEST

START_TEST(sort_puts_a_new_input_before_its_use)
{
    Graph *graph = parse_good(small);
    Node *relu = graph->nodes[3];
    Node *fresh = graph_make(graph, OP_SIGMOID, relu, relu->in, 1);
    relu->in[0] = fresh;
    ck_assert_str_eq(graph_fault(graph), "%4 reads %6, which does not stand above it");
    graph_sort(graph);
    ck_assert_ptr_null(graph_fault(graph));
    ck_assert_ptr_eq(graph->nodes[3], fresh);
    ck_assert_ptr_eq(graph->nodes[4], relu);
}
END_TEST

START_TEST(sort_of_a_deep_graph)
{
    Graph *graph = graph_new(arena, diag, "deep");
    Node *at = graph_add(graph, OP_INPUT, "x", (Pos){0}, NULL, 0);
    node_set_ints(at, A_SHAPE, (const int64_t[]){4}, 1);
    graph_settle(graph, at);
    enum { DEPTH = 20000 };
    for (int i = 0; i < DEPTH; i++) at = graph_make(graph, OP_RELU, at, &at, 1);
    graph_output(graph, "y", at);
    for (int i = 0; i <= DEPTH; i++) graph->nodes[i]->id = DEPTH + 1 - i; /* the last comes first by number */
    graph_sort(graph);
    ck_assert_int_eq(graph->n_nodes, DEPTH + 1);
    ck_assert_int_eq(graph->nodes[0]->op, OP_INPUT);
    ck_assert_ptr_eq(graph->nodes[DEPTH], at);
}
END_TEST

START_TEST(replace_changes_every_use)
{
    Graph *graph = parse_good(small);
    Node *conv = graph->nodes[2], *relu = graph->nodes[3];
    ck_assert_int_eq(graph_uses(graph, conv), 2);
    ck_assert_int_eq(graph_uses(graph, relu), 2);
    graph_replace(graph, relu, conv);
    ck_assert_int_eq(graph_uses(graph, relu), 0);
    ck_assert_int_eq(graph_uses(graph, conv), 4);
    ck_assert_ptr_eq(graph->outputs[1].node, conv);
}
END_TEST

START_TEST(static_is_what_comes_of_parameters)
{
    Graph *graph = parse_good("graph g\n%1: f32[4] = param  # \"p\"\n%2: f32[4] = input  # \"x\"\n"
                              "%3: f32[4] = rsqrt %1\n%4: f32[4] = mul %3, %1\n%5: f32[4] = mul %3, %2\n"
                              "%6: f32[4] = relu %5\n");
    static const int expected[] = {1, 0, 1, 1, 0, 0};
    graph_mark_static(graph);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(graph->nodes[i]->mark, expected[i]);
}
END_TEST

START_TEST(fault_names_a_wrong_type)
{
    Graph *graph = parse_good(small);
    graph->nodes[3]->type.dim[0] = 5;
    ck_assert_str_eq(graph_fault(graph), "%4 is f32[5,8,16,32], which relu does not make of its inputs");
}
END_TEST

START_TEST(fault_names_an_output_out_of_order)
{
    Graph *graph = parse_good(small);
    graph->n_nodes = 4;
    ck_assert_str_eq(graph_fault(graph), "output y is not in the order");
}
END_TEST

START_TEST(fault_names_a_node_that_stands_twice)
{
    Graph *graph = parse_good(small);
    graph->nodes[4] = graph->nodes[3];
    ck_assert_str_eq(graph_fault(graph), "%4 stands there twice");
}
END_TEST

START_TEST(types_measure)
{
    Type type = type_picture(2, 3, 4, 5);
    ck_assert_int_eq(type_elements(type), 120);
    ck_assert_int_eq(type_bytes(type), 480);
    type.dtype = U8;
    ck_assert_int_eq(type_bytes(type), 120);
    ck_assert(!type_equal(type, type_picture(2, 3, 4, 5)));
    ck_assert_int_eq(type_elements((Type){.rank = 0}), 1);
    ck_assert_str_eq(type_text(arena, (Type){.rank = 0}), "f32[]");
}
END_TEST

#define N_OF(array) (int)(sizeof(array) / sizeof *(array))

Suite *graph_suite(void)
{
    Suite *suite = suite_create("graph");
    TCase *text = tcase_create("text"), *rewriting = tcase_create("rewriting");
    tcase_add_checked_fixture(text, set_up, tear_down);
    tcase_add_checked_fixture(rewriting, set_up, tear_down);
    suite_add_tcase(suite, text);
    suite_add_tcase(suite, rewriting);
    tcase_add_loop_test(text, text_prints_as_it_was_read, 0, N_OF(texts));
    tcase_add_test(text, text_may_have_comments_and_spaces);
    tcase_add_test(text, text_keeps_names_and_places);
    tcase_add_test(text, text_makes_parameters);
    tcase_add_loop_test(text, text_mistake_is_named, 0, N_OF(mistakes));
    tcase_add_test(text, text_with_a_zero_byte_is_refused);
    tcase_add_loop_test(text, damaged_text_never_crashes, 0, 10);
    tcase_add_test(text, dot_shows_operators_and_outputs);
    tcase_add_test(rewriting, sort_keeps_what_outputs_reach);
    tcase_add_test(rewriting, sort_puts_a_new_input_before_its_use);
    tcase_add_test(rewriting, sort_of_a_deep_graph);
    tcase_add_test(rewriting, replace_changes_every_use);
    tcase_add_test(rewriting, static_is_what_comes_of_parameters);
    tcase_add_test(rewriting, fault_names_a_wrong_type);
    tcase_add_test(rewriting, fault_names_an_output_out_of_order);
    tcase_add_test(rewriting, fault_names_a_node_that_stands_twice);
    tcase_add_test(rewriting, types_measure);
    return suite;
}
