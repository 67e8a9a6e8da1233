/* Compiled programs against the reference loops: every operator, and the small graphs in every way of
 * compiling. */
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/reference.h"

#include <check.h>
#include <string.h>

enum { MAX_OUTPUTS = 4 };

static Graph *make_graph(Arena *arena, const Case *c)
{
    Diag *diag = diag_new(arena);
    Graph *graph = case_graph(arena, diag, c);
    ck_assert_msg(graph != NULL, "%s: %s", case_text(arena, c), diag_text(diag));
    return graph;
}

/* Relative error at most 1e-5 of the largest magnitude. */
static void check_case(const Case *c, const BuildOptions *options, int threads)
{
    Arena *arena = arena_new();
    const Graph *graph = make_graph(arena, c);
    const Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
    ck_assert_ptr_nonnull(values);
    float *got[MAX_OUTPUTS];
    ck_assert_int_le(graph->n_outputs, MAX_OUTPUTS);
    for (int k = 0; k < graph->n_outputs; k++)
        got[k] = ARENA_ARRAY(arena, float, type_elements(graph->outputs[k].node->type));
    const char *error =
        compiled_run(arena, make_graph(arena, c), options, threads, case_fill, (void *)c, got);
    ck_assert_msg(error == NULL, "%s: %s", case_text(arena, c), error);
    for (int k = 0; k < graph->n_outputs; k++) {
        const Tensor *want = &values[graph->outputs[k].node->id];
        Difference d = compare_values(want->data, got[k], type_elements(want->type));
        ck_assert_msg(d.most <= 1e-5 * d.largest, "%s: %s differs by %g of %g at %lld (%g, reference %g)",
                      case_text(arena, c), graph->outputs[k].name, d.most, d.largest, (long long)d.at,
                      (double)got[k][d.at], want->data[d.at]);
    }
    arena_free(arena);
}

START_TEST(compiled_agrees_with_the_reference)
{
    check_case(&cases[_i], &(BuildOptions){.cpu = "host"}, 2);
}
END_TEST

/* Other machine code for the same graph: without fusion, without sharing memory, for smaller machines. */
static const BuildOptions ways[] = {
    {.cpu = "host", .no_fuse = true},
    {.cpu = "host", .no_reuse = true},
    {.cpu = "x86-64-v3"},
    {.cpu = "x86-64-v2"},
    {.cpu = "x86-64"},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

static int first_graph(void)
{
    int i = 0;
    while (i < n_cases && strcmp(cases[i].op, "graph") != 0) i++;
    return i;
}

START_TEST(every_way_of_compiling_agrees)
{
    for (int i = first_graph() + _i; i < n_cases; i += 8)
        for (int way = 0; way < N_WAYS; way++) check_case(&cases[i], &ways[way], 1);
}
END_TEST

Suite *compiled_suite(void)
{
    Suite *suite = suite_create("compiled");
    TCase *tests = tcase_create("compiled");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, compiled_agrees_with_the_reference, 0, n_cases);
    tcase_add_loop_test(tests, every_way_of_compiling_agrees, 0, 8);
    suite_add_tcase(suite, tests);
    return suite;
}
