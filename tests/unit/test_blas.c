/* The baseline of `segc bench`, im2col and BLAS, against the reference loops: all convolutions of the
 * operator tests, and depthwise, grouped and transposed ones whose parts end in odd places. */
#include "../table/compiled.h"

#include <check.h>
#include <string.h>

static const BuildOptions baseline = {.cpu = "host", .blas = true};

static void check(const Case *c, int threads)
{
    Arena *arena = arena_new();
    const char *fault = compiled_fault(arena, c, &baseline, threads);
    ck_assert_msg(!fault, "%s", fault);
    arena_free(arena);
}

START_TEST(convolution_agrees_with_the_reference)
{
    const Case *c = &cases[_i];
    if (!strcmp(c->op, "conv2d") || !strcmp(c->op, "conv_transpose2d") || !strcmp(c->op, "linear"))
        check(c, 2);
}
END_TEST

/* More pixels than a part holds, in widths that parts don't divide. */
static const Case odd[] = {
    {"conv2d", "2,8,41,53", "filters: 6, kernel: 3, padding: 1", FILL_UNIT},
    {"conv2d", "1,8,41,53", "filters: 8, kernel: 3, padding: 1, groups: 8", FILL_UNIT},
    {"conv2d", "2,6,39,37", "filters: 9, kernel: [5, 2], stride: [1, 3], padding: [2, 1], groups: 3",
     FILL_UNIT},
    {"conv2d", "1,5,35,67", "filters: 7, kernel: 3, padding: [3, 5], dilation: [3, 5]", FILL_UNIT},
    {"conv2d", "2,19,33,31", "filters: 11, kernel: 1, bias: false", FILL_UNIT},
    {"conv2d", "1,3,70,66", "filters: 4, kernel: 7, stride: 2, padding: 3", FILL_UNIT},
    {"conv_transpose2d", "2,6,17,19", "filters: 9, kernel: 4, stride: 2, padding: 1, groups: 3", FILL_UNIT},
    {"conv_transpose2d", "1,5,13,21",
     "filters: 7, kernel: [3, 2], stride: [2, 3], padding: [1, 0], dilation: 2", FILL_UNIT},
    {"conv_transpose2d", "1,4,9,9", "filters: 20, kernel: 2, stride: 2, bias: false", FILL_UNIT},
};
enum { N_ODD = sizeof odd / sizeof *odd };

START_TEST(odd_parts_agree_with_the_reference)
{
    for (int threads = 1; threads <= 3; threads++) check(&odd[_i], threads);
}
END_TEST

static Build *build_case(Arena *arena, const Case *c)
{
    Build *build = build_graph(arena, case_graph(arena, diag_new(arena), c), &baseline);
    ck_assert_ptr_nonnull(build);
    return build;
}

/* What makes it a baseline: plain values, nothing packed, one kernel by BLAS per convolution. */
START_TEST(nothing_is_packed_or_blocked)
{
    Arena *arena = arena_new();
    const Case c = {"graph", "1,16,20,20",
                    "a = conv2d image {filters: 16, kernel: 3, padding: 1}; b = relu a; c = conv2d b "
                    "{filters: 16, kernel: "
                    "1}",
                    FILL_UNIT};
    const StepList *list = build_case(arena, &c)->plan->list;
    ck_assert_int_eq(list->n_steps, 3);
    ck_assert_ptr_nonnull(list->steps[0].kernel->blas);
    ck_assert_ptr_null(list->steps[1].kernel->blas);
    ck_assert_ptr_nonnull(list->steps[2].kernel->blas);
    ck_assert_ptr_nonnull(strstr(list->steps[0].kernel->kind, "conv2d 3x3"));
    ck_assert_ptr_nonnull(strstr(lower_text(list), "blas conv2d n=1 groups=1 channels=16 filters=16"));
    arena_free(arena);
}
END_TEST

/* A 1x1 convolution multiplies the picture where it lies. */
START_TEST(pointwise_needs_no_matrix)
{
    Arena *arena = arena_new();
    const Case pointwise = {"conv2d", "1,8,20,20", "filters: 8, kernel: 1", FILL_UNIT};
    const Case strided = {"conv2d", "1,8,20,20", "filters: 8, kernel: 1, stride: 2", FILL_UNIT};
    ck_assert_int_eq(build_case(arena, &pointwise)->plan->scratch_bytes, 0);
    ck_assert_int_eq(build_case(arena, &strided)->plan->scratch_bytes, 4 * 8 * 100);
    arena_free(arena);
}
END_TEST

Suite *blas_suite(void)
{
    Suite *suite = suite_create("blas");
    TCase *tests = tcase_create("blas");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, convolution_agrees_with_the_reference, 0, n_cases);
    tcase_add_loop_test(tests, odd_parts_agree_with_the_reference, 0, N_ODD);
    tcase_add_test(tests, nothing_is_packed_or_blocked);
    tcase_add_test(tests, pointwise_needs_no_matrix);
    suite_add_tcase(suite, tests);
    return suite;
}
