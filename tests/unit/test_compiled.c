/* Compiled programs against the reference loops: every operator, and the small graphs in every way of
 * compiling. */
#include "../table/compiled.h"

#include <check.h>
#include <string.h>

static void check_case(const Case *c, const BuildOptions *options, int threads)
{
    Arena *arena = arena_new();
    const char *fault = compiled_fault(arena, c, options, threads);
    ck_assert_msg(!fault, "%s", fault);
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
    {.cpu = "host", .blas = true},
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
