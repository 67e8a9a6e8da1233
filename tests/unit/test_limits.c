/* Graphs that are legal and unusual: long, wide, with large kernels, with pictures of one pixel. */
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/guarded.h"
#include "../table/random_graph.h"

#include <check.h>
#include <string.h>

static Arena *arena;
static Graph *graph;

static void set_up(void)
{
    arena = arena_new();
    graph = graph_new(arena, diag_new(arena), "limits");
}

static void tear_down(void)
{
    arena_free(arena);
}

static Node *input(int64_t n, int64_t c, int64_t h, int64_t w)
{
    const char *name = arena_printf(arena, "image%d", graph->n_nodes);
    Node *node = graph_add(graph, OP_INPUT, name, (Pos){0}, NULL, 0);
    node_set_ints(node, A_SHAPE, (const int64_t[]){n, c, h, w}, 4);
    return graph_settle(graph, node);
}

static Node *settled(Node *node)
{
    ck_assert_msg(graph_declare_params(graph, node) && graph_infer(graph, node), "%s",
                  diag_text(graph->diag));
    return node;
}

static Node *begin(Op op, Node *const *in, int n_in)
{
    return graph_add(graph, op, arena_printf(arena, "v%d", graph->n_nodes), (Pos){0}, in, n_in);
}

static Node *conv(Op op, Node *x, int64_t filters, int64_t rows, int64_t columns, int64_t stride)
{
    Node *node = begin(op, &x, 1);
    node_set_int(node, A_FILTERS, filters);
    node_set_pair(node, A_KERNEL, rows, columns);
    node_set_pair(node, A_STRIDE, stride, stride);
    return node;
}

/* A graph is made twice: compiling rewrites it. */
static void check_graph(void (*make)(void), const BuildOptions *options)
{
    make();
    graph_sort(graph);
    const Graph *declared = graph;
    const Tensor *values = reference_run(arena, declared, random_fill, NULL);
    float **got = ARENA_ARRAY(arena, float *, declared->n_outputs);
    for (int k = 0; k < declared->n_outputs; k++)
        got[k] = ARENA_ARRAY(arena, float, type_elements(declared->outputs[k].node->type));
    graph = graph_new(arena, diag_new(arena), "limits");
    make();
    graph_sort(graph);
    const char *error = guarded_run(arena, graph, options, random_fill, NULL, got);
    ck_assert_msg(!error, "%s", error);
    for (int k = 0; k < declared->n_outputs; k++) {
        const Tensor *want = &values[declared->outputs[k].node->id];
        Difference d = compare_values(want->data, got[k], type_elements(want->type));
        ck_assert_msg(d.most <= 1e-5 * d.largest, "%s, %s: differs by %g of %g at %lld (%g, reference %g)",
                      options->cpu, options->no_fuse ? "no_fuse" : "fused", d.most, d.largest,
                      (long long)d.at, (double)got[k][d.at], want->data[d.at]);
    }
}

/* An operand that its rule uses three times, behind a contraction: not 3^60 expressions. */
static void long_epilogue(void)
{
    Node *x = settled(conv(OP_CONV2D, input(1, 3, 5, 9), 19, 3, 3, 1));
    for (int i = 0; i < 60; i++) {
        x = begin(i % 2 ? OP_LEAKY_RELU : OP_AFFINE, &x, 1);
        if (i % 2)
            node_set_float(x, A_NEGATIVE_SLOPE, 0.9);
        else
            node_set_float(x, A_SHIFT, i % 4 ? 0.25 : -0.25);
        settled(x);
    }
    graph_output(graph, "y", x);
}

static void long_chain(void)
{
    Node *x = input(1, 19, 5, 9);
    for (int i = 0; i < 300; i++) {
        x = begin(i % 3 ? OP_LEAKY_RELU : OP_AFFINE, &x, 1);
        if (i % 3 == 0) node_set_float(x, A_SHIFT, i % 2 ? 0.25 : -0.25);
        settled(x);
    }
    graph_output(graph, "y", x);
}

/* More operands than a kernel has buffers. */
static void wide_sum(void)
{
    Node *x = settled(conv(OP_CONV2D, input(1, 3, 4, 7), 19, 1, 1, 1));
    for (int i = 0; i < 40; i++) x = settled(begin(OP_ADD, (Node *[]){x, input(1, 19, 4, 7)}, 2));
    graph_output(graph, "y", x);
    Node *sum = input(1, 19, 4, 7);
    for (int i = 0; i < 40; i++)
        sum = settled(begin(OP_ADD, (Node *[]){input(1, 19, 1, i % 2 ? 7 : 1), sum}, 2));
    graph_output(graph, "z", sum);
}

static void wide_concat(void)
{
    Node *parts[40];
    for (int i = 0; i < 40; i++) parts[i] = settled(conv(OP_CONV2D, input(1, 3, 4, 7), 1 + i % 17, 1, 1, 1));
    graph_output(graph, "y", settled(begin(OP_CONCAT, parts, 40)));
}

static void large_kernels(void)
{
    Node *x = input(1, 8, 9, 23), *y = conv(OP_CONV2D, x, 8, 1, 21, 1);
    node_set_pair(y, A_PADDING, 0, 10);
    graph_output(graph, "one_row", settled(y));
    y = conv(OP_CONV2D, x, 8, 21, 3, 1);
    node_set_pair(y, A_PADDING, 10, 1);
    node_set_int(y, A_GROUPS, 8);
    graph_output(graph, "depthwise", settled(y));
    y = conv(OP_CONV2D, x, 5, 17, 17, 2);
    node_set_pair(y, A_PADDING, 8, 8);
    graph_output(graph, "square", settled(y));
    y = conv(OP_CONV_TRANSPOSE2D, x, 3, 20, 20, 1);
    graph_output(graph, "transposed", settled(y));
    y = conv(OP_CONV_TRANSPOSE2D, x, 3, 16, 16, 8);
    node_set_pair(y, A_PADDING, 4, 4);
    graph_output(graph, "enlarged", settled(y));
}

/* Between the taps nothing but the bias. */
static void gaps(void)
{
    Node *x = settled(conv(OP_CONV2D, input(2, 3, 3, 4), 5, 1, 1, 1));
    Node *y = settled(conv(OP_CONV_TRANSPOSE2D, x, 19, 1, 2, 4));
    graph_output(graph, "y", settled(conv(OP_CONV2D, y, 3, 3, 3, 1)));
    Node *dilated = conv(OP_CONV_TRANSPOSE2D, x, 3, 3, 3, 2);
    node_set_pair(dilated, A_DILATION, 2, 4);
    graph_output(graph, "z", settled(dilated));
}

static void one_pixel(void)
{
    Node *x = input(1, 1, 1, 1), *y = conv(OP_CONV2D, x, 1, 3, 3, 1);
    node_set_pair(y, A_PADDING, 1, 1);
    y = settled(y);
    y = settled(begin(OP_RELU, &y, 1));
    y = settled(conv(OP_CONV2D, y, 40, 1, 1, 1));
    y = conv(OP_CONV2D, y, 40, 3, 3, 1);
    node_set_pair(y, A_PADDING, 40, 1);
    graph_output(graph, "y", settled(y));
    y = settled(begin(OP_GLOBAL_AVG_POOL, &y, 1));
    y = settled(begin(OP_SOFTMAX, &y, 1));
    graph_output(graph, "z", settled(begin(OP_FLATTEN, &y, 1)));
}

static void (*const makers[])(void) = {long_epilogue, long_chain, wide_sum, wide_concat,
                                       large_kernels, gaps,       one_pixel};
enum { N_MAKERS = sizeof makers / sizeof *makers };

START_TEST(unusual_graphs_are_right)
{
    check_graph(makers[_i], &(BuildOptions){.cpu = "host"});
    tear_down();
    set_up();
    check_graph(makers[_i], &(BuildOptions){.cpu = "x86-64-v3", .no_fuse = true});
}
END_TEST

Suite *limits_suite(void)
{
    Suite *suite = suite_create("limits");
    TCase *tests = tcase_create("limits");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, unusual_graphs_are_right, 0, N_MAKERS);
    suite_add_tcase(suite, tests);
    return suite;
}
