/* Filtering by the permutohedral lattice against sums over all pairs. */
#include "../../runtime/rt_lattice.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *lattice_suite(void);

enum { MOST = 600 };

static Pool *pool;
static float features[MOST][LATTICE_MAX_DIMS];
static Lanes values[MOST], results[MOST];

static void set_up(void)
{
    ck_assert_int_eq(pool_open(2, &pool, NULL), RT_OK);
}

static void tear_down(void)
{
    pool_close(pool);
}

static void take_feature(const void *context, int64_t point, float *feature)
{
    memcpy(feature, features[point], sizeof *feature * (size_t) * (const int *)context);
}

/* Chance, 0..1, from a number. */
static float chance(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 24);
}

static Lattice *open_lattice(int64_t count, const int *dims)
{
    LatticePoints points = {
        .count = count, .dims = *dims, .width = 1, .feature = take_feature, .context = dims};
    Lattice *lattice = NULL;
    RtError err = {0};
    ck_assert_msg(!lattice_open(&points, pool, &lattice, &err), "%s", err.text);
    return lattice;
}

/* Points spread evenly over a cube; lane 0 of the values is chance, lane 1 is 1, lane 2 chance again. */
static void spread_points(int count, int dims, float side, unsigned seed)
{
    for (int i = 0; i < count; i++) {
        for (int d = 0; d < dims; d++) features[i][d] = side * chance(&seed);
        float first = chance(&seed), second = chance(&seed);
        values[i] = (Lanes){first, 1, second, 0};
    }
}

static void filter(Lattice *lattice, int count)
{
    lattice_blur(lattice, values, pool);
    for (int i = 0; i < count; i++) {
        results[i] = (Lanes){0};
        lattice_gather(lattice, i, 1, &results[i]);
    }
}

static double kernel(int i, int j, int dims)
{
    double sum = 0;
    for (int d = 0; d < dims; d++) {
        double difference = (double)features[i][d] - (double)features[j][d];
        sum += difference * difference;
    }
    return exp(-sum / 2);
}

/* The weighted mean around point i. */
static double exact_mean(int i, int count, int dims)
{
    double sum = 0, weight = 0;
    for (int j = 0; j < count; j++) {
        double k = kernel(i, j, dims);
        sum += k * (double)values[j][0];
        weight += k;
    }
    return sum / weight;
}

/* Means of values that rise along the first axis, so that a mean depends on where it was taken. */
static const struct {
    int dims;
    float side;
    double most, typical; /* differences, of values 0..1 */
} spaces[] = {{1, 20, 0.02, 0.01}, {2, 8, 0.03, 0.01}, {3, 4, 0.05, 0.015}, {5, 2.5f, 0.08, 0.03}};

START_TEST(means_are_nearly_the_gaussians)
{
    const int dims = spaces[_i].dims;
    spread_points(MOST, dims, spaces[_i].side, 1);
    for (int i = 0; i < MOST; i++) values[i][0] = 0.5f + 0.5f * sinf(features[i][0]);
    Lattice *lattice = open_lattice(MOST, &dims);
    filter(lattice, MOST);
    double most = 0, squares = 0;
    for (int i = 0; i < MOST; i++) {
        double difference = fabs((double)(results[i][0] / results[i][1]) - exact_mean(i, MOST, dims));
        most = fmax(most, difference);
        squares += difference * difference;
    }
    ck_assert_double_lt(most, spaces[_i].most);
    ck_assert_double_lt(sqrt(squares / MOST), spaces[_i].typical);
    lattice_close(lattice);
}
END_TEST

/* How fast the kernel falls: its deviation is 1 along each axis. */
START_TEST(kernel_has_unit_variance)
{
    const int dims = 2;
    const int side = 24;
    for (int i = 0; i < side * side; i++) {
        features[i][0] = (float)(i % side) * 0.3f;
        features[i][1] = (float)(i / side) * 0.3f;
        values[i] = (Lanes){0};
    }
    int center = side / 2 * side + side / 2;
    values[center] = (Lanes){1};
    Lattice *lattice = open_lattice(side * side, &dims);
    filter(lattice, side * side);
    double sum = 0, square[2] = {0, 0};
    for (int i = 0; i < side * side; i++) {
        sum += (double)results[i][0];
        for (int axis = 0; axis < 2; axis++) {
            double off = (double)features[i][axis] - (double)features[center][axis];
            square[axis] += (double)results[i][0] * off * off;
        }
    }
    for (int axis = 0; axis < 2; axis++) {
        ck_assert_double_gt(square[axis] / sum, 0.85);
        ck_assert_double_lt(square[axis] / sum, 1.15);
    }
    lattice_close(lattice);
}
END_TEST

START_TEST(points_of_one_place_get_their_mean)
{
    const int dims = 5;
    spread_points(50, dims, 0, 2);
    Lattice *lattice = open_lattice(50, &dims);
    lattice_normalise(lattice, pool);
    filter(lattice, 50);
    double mean = 0;
    for (int i = 0; i < 50; i++) mean += (double)values[i][0] / 50;
    for (int i = 0; i < 50; i++) ck_assert_double_eq_tol((double)results[i][0], mean, 1e-6);
    lattice_close(lattice);
}
END_TEST

/* With n the kernel's sums, the normalised kernel maps sqrt(n) to itself, up to what is cut asymmetrically at
 * the lattice's borders. */
START_TEST(normalising_leaves_the_roots_of_the_sums)
{
    const int dims = 3;
    float roots[MOST];
    spread_points(MOST, dims, 3, 3);
    Lattice *lattice = open_lattice(MOST, &dims);
    filter(lattice, MOST);
    for (int i = 0; i < MOST; i++) roots[i] = sqrtf(results[i][1]);
    lattice_normalise(lattice, pool);
    for (int i = 0; i < MOST; i++) values[i] = (Lanes){roots[i]};
    filter(lattice, MOST);
    for (int i = 0; i < MOST; i++) ck_assert_double_eq_tol((double)(results[i][0] / roots[i]), 1, 1e-5);
    lattice_close(lattice);
}
END_TEST

/* What was filtered before leaves nothing behind. */
START_TEST(normalising_after_filtering_is_the_same)
{
    const int dims = 2;
    enum { COUNT = MOST / 2 };
    static Lanes sums[2][MOST];
    spread_points(MOST, dims, 8, 10);
    for (int way = 0; way < 2; way++) {
        LatticePoints points = {
            .count = COUNT, .dims = dims, .width = 2, .feature = take_feature, .context = &dims};
        Lattice *lattice = NULL;
        ck_assert_int_eq(lattice_open(&points, pool, &lattice, NULL), RT_OK);
        if (way) lattice_blur(lattice, values, pool);
        lattice_normalise(lattice, pool);
        lattice_blur(lattice, values, pool);
        for (int i = 0; i < COUNT; i++) lattice_gather(lattice, i, 1, &sums[way][2 * i]);
        lattice_close(lattice);
    }
    ck_assert_mem_eq(sums[0], sums[1], sizeof sums[0]);
}
END_TEST

START_TEST(kernel_is_nearly_symmetric)
{
    const int dims = 5;
    double there = 0, back = 0;
    spread_points(MOST, dims, 2, 4);
    Lattice *lattice = open_lattice(MOST, &dims);
    lattice_normalise(lattice, pool);
    filter(lattice, MOST);
    for (int i = 0; i < MOST; i++) {
        there += (double)values[i][2] * (double)results[i][0];
        back += (double)values[i][0] * (double)results[i][2];
    }
    ck_assert_double_eq_tol(there / back, 1, 1e-3);
    lattice_close(lattice);
}
END_TEST

START_TEST(far_points_do_not_mix)
{
    const int dims = 2;
    spread_points(2, dims, 0, 5);
    features[1][1] = 100;
    Lattice *lattice = open_lattice(2, &dims);
    ck_assert_int_eq(lattice_corners(lattice), 6);
    lattice_normalise(lattice, pool);
    filter(lattice, 2);
    for (int i = 0; i < 2; i++) ck_assert_double_eq_tol((double)results[i][0], (double)values[i][0], 1e-6);
    lattice_close(lattice);
}
END_TEST

/* Negative and large features, where rounding to corners meets its limits. */
START_TEST(large_features_stay_numbers)
{
    for (int dims = 1; dims <= LATTICE_MAX_DIMS; dims++) {
        spread_points(MOST, dims, 2000, 6);
        for (int i = 0; i < MOST; i++)
            for (int d = 0; d < dims; d++) features[i][d] -= 1000;
        Lattice *lattice = open_lattice(MOST, &dims);
        lattice_normalise(lattice, pool);
        filter(lattice, MOST);
        for (int i = 0; i < MOST; i++) {
            ck_assert_double_gt((double)results[i][1], 0.1);
            /* Points are alone where there is room. */
            if (dims >= 3) ck_assert_double_eq_tol((double)results[i][1], 1, 1e-3);
        }
        lattice_close(lattice);
    }
}
END_TEST

START_TEST(threads_do_not_matter)
{
    const int dims = 5;
    static Lanes before[MOST];
    spread_points(MOST, dims, 2, 7);
    for (int threads = 1; threads <= 4; threads++) {
        pool_close(pool);
        ck_assert_int_eq(pool_open(threads, &pool, NULL), RT_OK);
        Lattice *lattice = open_lattice(MOST, &dims);
        lattice_normalise(lattice, pool);
        filter(lattice, MOST);
        if (threads > 1) ck_assert_mem_eq(before, results, sizeof before);
        memcpy(before, results, sizeof before);
        lattice_close(lattice);
    }
}
END_TEST

START_TEST(factors_and_sums_add_up)
{
    const int dims = 1;
    spread_points(20, dims, 4, 8);
    Lattice *lattice = open_lattice(20, &dims);
    filter(lattice, 20);
    Lanes sum = {3};
    lattice_gather(lattice, 7, 2, &sum);
    ck_assert_float_eq_tol(sum[0], 3 + 2 * results[7][0], 1e-5f);
    lattice_close(lattice);
}
END_TEST

/* No two points share a corner. */
static void far_feature(const void *context, int64_t point, float *feature)
{
    (void)context;
    feature[0] = 20 * (float)(point % 100);
    feature[1] = 20 * (float)(point / 100);
}

/* 6000 points of their own corners: the table grows on the way. */
START_TEST(no_memory_is_said)
{
    LatticePoints points = {.count = 6000, .dims = 2, .width = 1, .feature = far_feature};
    RtStatus status = RT_MACHINE;
    long nth = 1;
    for (; status; nth++) {
        Lattice *lattice = NULL;
        RtError err = {0};
        rt_alloc_fail_at(nth);
        status = lattice_open(&points, pool, &lattice, &err);
        rt_alloc_fail_at(0);
        if (status) {
            ck_assert_int_eq(status, RT_MACHINE);
            ck_assert_ptr_nonnull(
                strstr(err.text, "no memory to filter 6000 points of 4 values in 2 dimensions"));
            ck_assert_ptr_null(lattice);
        } else {
            ck_assert_int_gt(lattice_corners(lattice), 1 << 14);
        }
        lattice_close(lattice);
    }
    ck_assert_int_gt(nth, 10);
}
END_TEST

Suite *lattice_suite(void)
{
    Suite *suite = suite_create("lattice");
    TCase *tests = tcase_create("lattice");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, means_are_nearly_the_gaussians, 0, (int)(sizeof spaces / sizeof *spaces));
    tcase_add_test(tests, kernel_has_unit_variance);
    tcase_add_test(tests, points_of_one_place_get_their_mean);
    tcase_add_test(tests, normalising_leaves_the_roots_of_the_sums);
    tcase_add_test(tests, normalising_after_filtering_is_the_same);
    tcase_add_test(tests, kernel_is_nearly_symmetric);
    tcase_add_test(tests, far_points_do_not_mix);
    tcase_add_test(tests, large_features_stay_numbers);
    tcase_add_test(tests, threads_do_not_matter);
    tcase_add_test(tests, factors_and_sums_add_up);
    tcase_add_test(tests, no_memory_is_said);
    suite_add_tcase(suite, tests);
    return suite;
}
