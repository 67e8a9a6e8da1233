/* Computed slopes against functions: smooth ones, ones with kinks and jumps of the slope, with noise; slopes
 * that are wrong; and what is said of them. */
#include "slope.h"

#include <check.h>
#include <math.h>
#include <stdint.h>

Suite *slope_suite(void);

static SlopePoint exponential(void *context, double at)
{
    int *calls = context;
    if (calls) (*calls)++;
    return (SlopePoint){exp(at), exp(at)};
}

/* The slope is too large by a hundredth. */
static SlopePoint slightly_wrong(void *context, double at)
{
    (void)context;
    return (SlopePoint){exp(at), 1.01 * exp(at)};
}

static SlopePoint rounded_sine(void *context, double at)
{
    (void)context;
    return (SlopePoint){(double)(float)(9 + sin(1 + at)), cos(1 + at)};
}

/* Bends at a hundred places. */
static SlopePoint kinked(void *context, double at)
{
    (void)context;
    SlopePoint point = {2 * at, 2};
    for (int i = 0; i < 100; i++) {
        double from = at - 0.3 * sin(i * i);
        if (from > 0) point = (SlopePoint){point.value + 0.01 * from, point.slope + 0.01};
    }
    return point;
}

static SlopePoint noisy(void *context, double at)
{
    uint32_t *state = context;
    *state = *state * 1664525u + 1013904223u;
    return (SlopePoint){3 * at + 1e-4 * ((double)(*state >> 8) / (1 << 23) - 1), 3};
}

static SlopePoint broken(void *context, double at)
{
    (void)context;
    return (SlopePoint){at > 0 ? NAN : at, 1};
}

START_TEST(smooth_functions_are_exact)
{
    Slope slope = slope_compare(exponential, NULL, 0.5, 0, 0);
    ck_assert_double_eq_tol(slope.computed, slope.difference, 1e-7);
    ck_assert_double_eq_tol(slope.difference, sinh(0.5) / 0.5, 1e-12);
    ck_assert_double_lt(slope.error, 1e-6);
    ck_assert_int_eq(slope_verdict(&slope, 1), SLOPE_AGREES);
}
END_TEST

START_TEST(no_more_points_than_needed)
{
    int calls = 0;
    slope_compare(exponential, &calls, 0.1, 0, 1e-3);
    ck_assert_int_eq(calls, 5);
    calls = 0;
    slope_compare(exponential, &calls, 0.1, 0, 0);
    ck_assert_int_eq(calls, 33);
}
END_TEST

START_TEST(wrong_slopes_differ)
{
    Slope slope = slope_compare(slightly_wrong, NULL, 0.1, 1e-6, 1e-4);
    ck_assert_int_eq(slope_verdict(&slope, 1), SLOPE_DIFFERS);
    ck_assert_double_eq_tol(slope.computed / slope.difference, 1.01, 1e-6);
}
END_TEST

START_TEST(rounding_is_part_of_the_error)
{
    Slope slope = slope_compare(rounded_sine, NULL, 0.1, 0x1p-21, 0);
    ck_assert_double_gt(slope.error, 1e-6);
    ck_assert_double_le(fabs(slope.computed - slope.difference), slope.error);
}
END_TEST

START_TEST(kinks_do_no_harm)
{
    Slope slope = slope_compare(kinked, NULL, 0.3, 0, 1e-3);
    ck_assert_double_eq_tol(slope.computed, slope.difference, 0.01);
    ck_assert_double_lt(slope.error, 0.02);
    ck_assert_int_eq(slope_verdict(&slope, 2.5), SLOPE_AGREES);
}
END_TEST

START_TEST(errors_cover_noise)
{
    for (uint32_t seed = 0; seed < 200; seed++) {
        uint32_t state = seed;
        Slope slope = slope_compare(noisy, &state, 0.1, 1e-4, 0);
        ck_assert_msg(fabs(slope.computed - slope.difference) <= slope.error, "seed %u: %g, error %g", seed,
                      slope.difference, slope.error);
    }
}
END_TEST

START_TEST(what_is_no_number_differs)
{
    Slope slope = slope_compare(broken, NULL, 0.1, 0, 0);
    ck_assert_int_eq(slope_verdict(&slope, 1), SLOPE_DIFFERS);
    ck_assert_int_eq(slope_verdict(&(Slope){NAN, 1, 0, 0}, 1), SLOPE_DIFFERS);
    ck_assert_int_eq(slope_verdict(&(Slope){1, INFINITY, INFINITY, 0}, 1), SLOPE_DIFFERS);
}
END_TEST

START_TEST(verdicts)
{
    ck_assert_int_eq(slope_verdict(&(Slope){1, 1.0005, 1e-5, 0}, 1), SLOPE_AGREES);
    ck_assert_int_eq(slope_verdict(&(Slope){1, 1.003, 1e-5, 0}, 1), SLOPE_DIFFERS);
    ck_assert_int_eq(slope_verdict(&(Slope){1, 1.003, 1e-3, 0}, 1), SLOPE_AGREES);
    ck_assert_int_eq(slope_verdict(&(Slope){1, -1, 1e-3, 0}, 1), SLOPE_DIFFERS);
    ck_assert_int_eq(slope_verdict(&(Slope){1e-9, 2e-6, 1e-6, 0}, 1e-9), SLOPE_UNCLEAR);
    ck_assert_int_eq(slope_verdict(&(Slope){0, 0.5, 1e-6, 0}, 0), SLOPE_DIFFERS);
}
END_TEST

Suite *slope_suite(void)
{
    Suite *suite = suite_create("slope");
    TCase *tests = tcase_create("slope");
    tcase_add_test(tests, smooth_functions_are_exact);
    tcase_add_test(tests, no_more_points_than_needed);
    tcase_add_test(tests, wrong_slopes_differ);
    tcase_add_test(tests, rounding_is_part_of_the_error);
    tcase_add_test(tests, kinks_do_no_harm);
    tcase_add_test(tests, errors_cover_noise);
    tcase_add_test(tests, what_is_no_number_differs);
    tcase_add_test(tests, verdicts);
    suite_add_tcase(suite, tests);
    return suite;
}
