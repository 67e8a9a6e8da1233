/* Everything between graph and machine code against the reference loops, run by the interpreter: for vectors
 * of several widths, fused and not. */
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/interpreted.h"
#include "../table/reference.h"

#include <check.h>
#include <string.h>

/* Machines that differ in what the layout and the schedule look at. */
static const Target targets[] = {
    {.name = "16 lanes",
     .vector = 16,
     .registers = 32,
     .fma = true,
     .broadcast_operand = true,
     .l1_bytes = 48 << 10,
     .l2_bytes = 1 << 20},
    {.name = "8 lanes",
     .vector = 8,
     .registers = 16,
     .fma = true,
     .l1_bytes = 32 << 10,
     .l2_bytes = 256 << 10},
    {.name = "4 lanes", .vector = 4, .registers = 16, .l1_bytes = 32 << 10, .l2_bytes = 64 << 10},
};
enum { N_TARGETS = sizeof targets / sizeof *targets, MAX_OUTPUTS = 4 };

/* The interpreter does some 1e7 operations a second; a case of more is for the compiled programs. */
enum { MOST_WORK = 2000000 };

static Graph *make_graph(Arena *arena, const Case *c)
{
    Diag *diag = diag_new(arena);
    Graph *graph = case_graph(arena, diag, c);
    ck_assert_msg(graph != NULL, "%s: %s", case_text(arena, c), diag_text(diag));
    return graph;
}

/* Products of a contraction, values that a window looks at. */
static int64_t work_of(const Node *node)
{
    int64_t elements = type_elements(node->type);
    if (node->op == OP_MAX_POOL2D || node->op == OP_AVG_POOL2D)
        return 4 * elements * node_rows(node, A_KERNEL) * node_columns(node, A_KERNEL);
    if (node->op != OP_CONV2D && node->op != OP_CONV_TRANSPOSE2D) return elements;
    return elements * (type_elements(node->in[1]->type) / node->in[1]->type.dim[0]);
}

static void check_against(const Case *c, const CompileOptions *options)
{
    Arena *arena = arena_new();
    const Graph *graph = make_graph(arena, c);
    if (work_of(graph->outputs[graph->n_outputs - 1].node) <= MOST_WORK) {
        const Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
        ck_assert_ptr_nonnull(values);
        float *got[MAX_OUTPUTS];
        ck_assert_int_le(graph->n_outputs, MAX_OUTPUTS);
        for (int k = 0; k < graph->n_outputs; k++)
            got[k] = ARENA_ARRAY(arena, float, type_elements(graph->outputs[k].node->type));
        interpreted_run(arena, make_graph(arena, c), options, case_fill, (void *)c, got);
        for (int k = 0; k < graph->n_outputs; k++) {
            const Tensor *want = &values[graph->outputs[k].node->id];
            Difference d = compare_values(want->data, got[k], type_elements(want->type));
            ck_assert_msg(d.most <= 2e-6 * d.largest,
                          "%s, %s: %s differs by %g of %g at %lld (%g, reference %g)", case_text(arena, c),
                          options->target->name, graph->outputs[k].name, d.most, d.largest, (long long)d.at,
                          (double)got[k][d.at], want->data[d.at]);
        }
    }
    arena_free(arena);
}

/* A graph meets every target, a single operator one of them; its neighbours in the list meet the others. */
static void check_case(int number, bool no_fuse)
{
    bool several = strcmp(cases[number].op, "graph") == 0;
    for (int t = 0; t < N_TARGETS; t++)
        if (several || (number + no_fuse) % N_TARGETS == t)
            check_against(&cases[number],
                          &(CompileOptions){.target = &targets[t], .no_fuse = no_fuse, .no_reuse = no_fuse});
}

START_TEST(fused_and_planned_agrees)
{
    check_case(_i, false);
}
END_TEST

START_TEST(node_by_node_agrees)
{
    check_case(_i, true);
}
END_TEST

/* What lowering makes is what the printer and the parser must carry: print(parse(t)) == t, for its kernels.
 */
START_TEST(kernels_survive_as_text)
{
    Arena *arena = arena_new();
    Graph *graph = make_graph(arena, &cases[_i]);
    const Plan *plan = compile_graph(graph, &(CompileOptions){.target = &targets[_i % N_TARGETS]});
    ck_assert_ptr_nonnull(plan);
    for (int i = 0; i < plan->list->n_kernels; i++) {
        const Kernel *kernel = plan->list->kernels[i];
        if (kernel->conv || kernel->filter) continue;
        const char *text = loop_text(arena, kernel);
        Source source = {"kernel", text, strlen(text)};
        Diag *diag = diag_new(arena);
        const Kernel *again = loop_text_parse(arena, diag, &source);
        ck_assert_msg(again != NULL, "%s\n%s", diag_text(diag), text);
        ck_assert_str_eq(loop_text(arena, again), text);
        ck_assert_int_eq(again->units, kernel->units);
    }
    arena_free(arena);
}
END_TEST

Suite *interpreted_suite(void)
{
    Suite *suite = suite_create("interpreted");
    TCase *tests = tcase_create("interpreted");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, fused_and_planned_agrees, 0, n_cases);
    tcase_add_loop_test(tests, node_by_node_agrees, 0, n_cases);
    tcase_add_loop_test(tests, kernels_survive_as_text, 0, n_cases);
    suite_add_tcase(suite, tests);
    return suite;
}
