/* Gradients of contractions: the nodes that the rules of grad_conv.c build, against finite differences of
 * the reference loops, then compiled, with weights that lie plainly and with weights that a run changes. */
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/interpreted.h"
#include "../table/reference.h"
#include "op.h"

#include <check.h>
#include <math.h>
#include <string.h>

static const Case convolutions[] = {
    {"conv2d", "2,3,5,7", "filters: 5, kernel: 3, padding: 1", FILL_UNIT},
    {"conv2d", "1,5,5,7", "filters: 17, kernel: 1", FILL_UNIT},
    {"conv2d", "1,17,7,5", "filters: 3, kernel: 3, padding: 2", FILL_UNIT},
    {"conv2d", "1,5,9,7", "filters: 3, kernel: 3, bias: false", FILL_UNIT},
    {"conv2d", "1,33,5,7", "filters: 17, kernel: 3, padding: 2, dilation: 2", FILL_UNIT},
    {"conv2d", "1,5,7,8", "filters: 6, kernel: 4, padding: 1, dilation: 2", FILL_UNIT},
    {"conv2d", "1,3,5,7", "filters: 5, kernel: 5, padding: 1", FILL_UNIT},
    {"conv2d", "1,3,5,7", "filters: 5, kernel: 1, padding: 2", FILL_UNIT},
    {"conv2d", "2,17,5,7", "filters: 33, kernel: 3, stride: 2, padding: 1", FILL_UNIT},
    {"conv2d", "1,5,6,8", "filters: 5, kernel: 3, stride: 2", FILL_UNIT},
    {"conv2d", "1,3,9,12", "filters: 17, kernel: 7, stride: 2, padding: 3", FILL_UNIT},
    {"conv2d", "1,5,9,10", "filters: 3, kernel: 1, stride: 2", FILL_UNIT},
    {"conv2d", "1,3,10,12", "filters: 5, kernel: 4, stride: 3, padding: 2", FILL_UNIT},
    {"conv2d", "1,5,11,13", "filters: 3, kernel: 3, stride: 3, padding: 1, dilation: 2", FILL_UNIT},
    {"conv2d", "1,3,9,10", "filters: 3, kernel: 2, stride: 5", FILL_UNIT},
    {"conv2d", "3,5,1,1", "filters: 3, kernel: 3, padding: 1", FILL_UNIT},
    {"conv2d", "3,5,1,1", "filters: 3, kernel: 1", FILL_UNIT},
    {"conv2d", "1,5,9,7", "filters: 3, kernel: [3, 1], stride: [1, 2], padding: [2, 0], dilation: [2, 1]",
     FILL_UNIT},
    {"conv2d", "1,4,6,5", "filters: 6, kernel: 3, padding: 1, groups: 2", FILL_UNIT},
    {"conv2d", "2,5,6,5", "filters: 5, kernel: 3, padding: 1, groups: 5", FILL_UNIT},
    {"conv2d", "1,5,7,9", "filters: 10, kernel: 3, stride: 2, padding: 1, groups: 5", FILL_UNIT},
    {"conv2d", "1,32,5,7", "filters: 64, kernel: 3, stride: 2, padding: 1, groups: 2", FILL_UNIT},
    {"conv2d", "1,33,9,12", "filters: 34, kernel: 3, padding: 1", FILL_UNIT},
    {"conv2d", "1,32,12,12", "filters: 32, kernel: 3, padding: 2, dilation: 2", FILL_UNIT},
    {"conv_transpose2d", "1,3,5,7", "filters: 5, kernel: 3, stride: 2, padding: 1", FILL_UNIT},
    {"conv_transpose2d", "2,5,4,3", "filters: 3, kernel: 2, stride: 2", FILL_UNIT},
    {"conv_transpose2d", "1,17,4,5", "filters: 5, kernel: 3, stride: 3, padding: 1, output_padding: 2",
     FILL_UNIT},
    {"conv_transpose2d", "1,3,5,4", "filters: 19, kernel: 2, stride: 2, dilation: 4, output_padding: 3",
     FILL_UNIT},
    {"conv_transpose2d", "1,33,5,4", "filters: 17, kernel: 3, output_padding: 1, dilation: 2, bias: false",
     FILL_UNIT},
    {"conv_transpose2d", "1,4,5,3", "filters: 8, kernel: 3, stride: 2, padding: 1, groups: 2", FILL_UNIT},
    {"conv_transpose2d", "1,6,4,4", "filters: 6, kernel: 3, stride: 2, padding: 1, groups: 6", FILL_UNIT},
    {"conv_transpose2d", "2,3,1,1", "filters: 5, kernel: 4, stride: 2, padding: 1", FILL_UNIT},
    {"conv_transpose2d", "1,3,4,4", "filters: 4, kernel: 1, stride: 3", FILL_UNIT},
    {"linear", "3,19", "features: 7", FILL_UNIT},
    {"linear", "1,5", "features: 17, bias: false", FILL_UNIT},
    {"linear", "2,3,5", "features: 4", FILL_UNIT},
    {"linear", "2,1,3,5", "features: 2", FILL_UNIT},
    {"linear", "7", "features: 3", FILL_UNIT},
    /* Large enough for minimal filtering of the weight's gradient; too large for the interpreter. */
    {"conv2d", "2,64,16,15", "filters: 65, kernel: 3, padding: 1", FILL_UNIT},
    {"conv2d", "1,65,25,23", "filters: 64, kernel: 3", FILL_UNIT},
    {"conv2d", "1,64,24,23", "filters: 80, kernel: 3, padding: 2, dilation: 2, bias: false", FILL_UNIT},
};
enum {
    N_CONVOLUTIONS = sizeof convolutions / sizeof *convolutions,
    N_SMALL = N_CONVOLUTIONS - 3,
    MAX_WRT = 3
};

/* The row's graph, whose output "y" is its value, and outputs "g0", "g1", ...: the gradients of the sum of
 * y * gy with respect to the node's inputs. */
typedef struct Gradients {
    Graph *graph;
    Node *node, *wrt[MAX_WRT];
    int n;
} Gradients;

static Gradients make_gradients(Arena *arena, const Case *c, bool updated)
{
    Diag *diag = diag_new(arena);
    Gradients made = {.graph = case_graph(arena, diag, c)};
    ck_assert_msg(made.graph != NULL, "%s: %s", case_text(arena, c), diag_text(diag));
    made.node = made.graph->outputs[0].node;
    Type type = made.node->type;
    Node *gy = graph_add(made.graph, OP_INPUT, "gy", (Pos){0}, NULL, 0);
    node_set_ints(gy, A_SHAPE, type.dim, type.rank);
    graph_settle(made.graph, gy);
    made.n = made.node->n_in;
    for (int i = 0; i < made.n; i++) {
        made.wrt[i] = made.node->in[i];
        if (updated && made.wrt[i]->op == OP_PARAM) node_set_bool(made.wrt[i], A_UPDATED, true);
        Node *gradient = op_info(made.node->op)->gradient(made.graph, made.node, gy, i);
        ck_assert(type_equal(gradient->type, made.wrt[i]->type));
        graph_output(made.graph, arena_printf(arena, "g%d", i), gradient);
    }
    graph_sort(made.graph);
    ck_assert_msg(graph_fault(made.graph) == NULL, "%s: %s", case_text(arena, c), graph_fault(made.graph));
    return made;
}

/* The case's values, of which one source is moved by steps that are exact in float. */
typedef struct Moved {
    const Case *c;
    const char *name;
    const float *by; /* NULL: nowhere */
} Moved;

static void moved_fill(void *context, const Node *source, float *values)
{
    const Moved *moved = context;
    case_fill((void *)moved->c, source, values);
    if (!moved->by || strcmp(source->name, moved->name) != 0) return;
    for (int64_t i = 0; i < type_elements(source->type); i++) values[i] += moved->by[i];
}

static double weighted_sum(const Tensor *values, const float *weights)
{
    double sum = 0;
    for (int64_t i = 0; i < type_elements(values->type); i++) sum += values->data[i] * (double)weights[i];
    return sum;
}

/* The functions are linear in each input, so a difference of any size is exact; what is left is rounding of
 * the inputs, which are floats. */
static void check_difference(Arena *arena, const Case *c, int input, int seed)
{
    Gradients made = make_gradients(arena, c, false);
    Node *wrt = made.wrt[input];
    int64_t count = type_elements(wrt->type);
    float *step = ARENA_ARRAY(arena, float, count);
    for (int64_t i = 0; i < count; i++) step[i] = (float)((i * 7 + seed * 5 + i / 3) % 11 - 5) * 0.125f;
    float *gy = ARENA_ARRAY(arena, float, type_elements(made.node->type));
    float *before = ARENA_ARRAY(arena, float, count), *after = ARENA_ARRAY(arena, float, count);
    Moved at = {c, wrt->name, NULL}, moved = {c, wrt->name, step};
    moved_fill(&at, wrt, before);
    moved_fill(&moved, wrt, after);
    const Tensor *here = reference_run(arena, made.graph, moved_fill, &at);
    const Tensor *there = reference_run(arena, made.graph, moved_fill, &moved);
    ck_assert(here && there);
    for (int i = 0; i < made.graph->n_nodes; i++)
        if (strcmp(made.graph->nodes[i]->name, "gy") == 0) moved_fill(&at, made.graph->nodes[i], gy);
    double difference = weighted_sum(&there[made.node->id], gy) - weighted_sum(&here[made.node->id], gy);
    const Tensor *gradient = &here[made.graph->outputs[1 + input].node->id];
    double slope = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        double part = gradient->data[i] * ((double)after[i] - (double)before[i]);
        slope += part;
        size += fabs(part);
    }
    ck_assert_msg(fabs(slope - difference) <= 1e-9 * size, "%s, input %d: slope %.12g, difference %.12g",
                  case_text(arena, c), input, slope, difference);
}

START_TEST(gradients_are_slopes)
{
    Arena *arena = arena_new();
    int n = make_gradients(arena, &convolutions[_i], false).n;
    for (int input = 0; input < n; input++)
        for (int seed = 0; seed < 3; seed++) check_difference(arena, &convolutions[_i], input, seed);
    arena_free(arena);
}
END_TEST

/* ---- compiled ------------------------------------------------------------------------------------ */

static float **make_room(Arena *arena, const Graph *graph)
{
    float **got = ARENA_ARRAY(arena, float *, graph->n_outputs);
    for (int k = 0; k < graph->n_outputs; k++)
        got[k] = ARENA_ARRAY(arena, float, type_elements(graph->outputs[k].node->type));
    return got;
}

static void compare_outputs(Arena *arena, const Case *c, float *const *got, double tolerance)
{
    const Graph *graph = make_gradients(arena, c, false).graph;
    const Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
    ck_assert_ptr_nonnull(values);
    for (int k = 0; k < graph->n_outputs; k++) {
        const Tensor *want = &values[graph->outputs[k].node->id];
        Difference d = compare_values(want->data, got[k], type_elements(want->type));
        ck_assert_msg(d.most <= tolerance * d.largest, "%s: %s differs by %g of %g at %lld",
                      case_text(arena, c), graph->outputs[k].name, d.most, d.largest, (long long)d.at);
    }
}

static const Target targets[] = {
    {.name = "16 lanes",
     .vector = 16,
     .registers = 32,
     .fma = true,
     .broadcast_operand = true,
     .l1_bytes = 32 << 10,
     .l2_bytes = 1 << 20},
    {.name = "8 lanes", .vector = 8, .registers = 16, .fma = true, .l1_bytes = 2 << 10, .l2_bytes = 8 << 10},
    {.name = "4 lanes", .vector = 4, .registers = 16, .l1_bytes = 1 << 10, .l2_bytes = 4 << 10},
};
enum { N_TARGETS = sizeof targets / sizeof *targets };

START_TEST(lowered_gradients_agree)
{
    const Case *c = &convolutions[_i];
    for (int i = 0; i < 2 * N_TARGETS; i++) {
        Arena *arena = arena_new();
        Graph *graph = make_gradients(arena, c, i >= N_TARGETS).graph;
        float **got = make_room(arena, graph);
        CompileOptions options = {.target = &targets[i % N_TARGETS], .no_fuse = i == N_TARGETS};
        interpreted_run(arena, graph, &options, case_fill, (void *)c, got);
        compare_outputs(arena, c, got, 4e-6);
        arena_free(arena);
    }
}
END_TEST

/* The first half with weights that stay, the others with weights that a run changes. */
static const BuildOptions ways[] = {
    {.cpu = "host"},
    {.cpu = "x86-64-v3", .no_winograd = true},
    {.cpu = "host", .blas = true},
    {.cpu = "host"},
    {.cpu = "x86-64-v3"},
    {.cpu = "x86-64", .no_fuse = true},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

START_TEST(compiled_gradients_agree)
{
    const Case *c = &convolutions[_i];
    for (int i = 0; i < N_WAYS; i++) {
        Arena *arena = arena_new();
        Graph *graph = make_gradients(arena, c, i >= N_WAYS / 2).graph;
        float **got = make_room(arena, graph);
        const char *error = compiled_run(arena, graph, &ways[i], 1 + i % 2, case_fill, (void *)c, got);
        ck_assert_msg(!error, "%s: %s", case_text(arena, c), error);
        compare_outputs(arena, c, got, 1e-5);
        arena_free(arena);
    }
}
END_TEST

/* ---- wrong shapes -------------------------------------------------------------------------------- */

static const struct {
    Case c;
    const char *message;
} wrong[] = {
    {{"conv2d_grad_filter", "1,3,5,7; 2,5,5,7", "kernel: 3, padding: 1", FILL_UNIT}, "as many pictures"},
    {{"conv2d_grad_filter", "1,3,5,7; 1,35", "kernel: 3, padding: 1", FILL_UNIT}, "as many pictures"},
    {{"conv2d_grad_filter", "1,3,5,7; 1,5,6,7", "kernel: 3, padding: 1", FILL_UNIT},
     "6 rows of windows span 8, and the padded input has 7"},
    {{"conv2d_grad_filter", "1,3,5,7; 1,5,3,4", "kernel: 3, stride: [2, 3], padding: 1", FILL_UNIT},
     "4 columns of windows span 12, and the padded input has 9"},
    {{"conv2d_grad_filter", "1,3,5,7; 1,4,5,7", "kernel: 1, groups: 2", FILL_UNIT},
     "do not divide into 2 groups"},
    {{"conv2d_grad_filter", "3,5; 3,7", "kernel: 1", FILL_UNIT}, "[N,C,H,W]"},
    {{"flip_filter", "3,5", "", FILL_UNIT}, "[N,C,H,W]"},
};
enum { N_WRONG = sizeof wrong / sizeof *wrong };

START_TEST(wrong_shapes_are_told)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    ck_assert_ptr_null(case_graph(arena, diag, &wrong[_i].c));
    ck_assert_msg(strstr(diag_text(diag), wrong[_i].message) != NULL, "%s", diag_text(diag));
    arena_free(arena);
}
END_TEST

Suite *grad_conv_suite(void)
{
    Suite *suite = suite_create("grad_conv");
    TCase *tests = tcase_create("grad_conv");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gradients_are_slopes, 0, N_CONVOLUTIONS);
    tcase_add_loop_test(tests, lowered_gradients_agree, 0, N_SMALL);
    tcase_add_loop_test(tests, compiled_gradients_agree, 0, N_CONVOLUTIONS);
    tcase_add_loop_test(tests, wrong_shapes_are_told, 0, N_WRONG);
    suite_add_tcase(suite, tests);
    return suite;
}
