/* The fully connected CRF against mean field by sums over all pairs, and what it is for: edges and specks. */
#define _GNU_SOURCE
#include "../../runtime/rt_crf.h"
#include "../../runtime/rt_lattice.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *crf_suite(void);

enum { MOST_PIXELS = 32 * 40, MOST_CLASSES = 256 };

static Pool *pool;
static float planes[MOST_CLASSES * 64];
static RtImage picture, classes;

static void set_up(void)
{
    ck_assert_int_eq(pool_open(2, &pool, NULL), RT_OK);
}

static void tear_down(void)
{
    image_free(&picture);
    image_free(&classes);
    pool_close(pool);
}

static float chance(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 24);
}

static void new_picture(int width, int height)
{
    image_free(&picture);
    ck_assert_int_eq(image_new(&picture, width, height, 3, NULL), RT_OK);
}

static void run(const CrfScores *scores, const CrfSettings *settings)
{
    RtError err = {0};
    image_free(&classes);
    ck_assert_msg(!crf_classes(&picture, scores, settings, pool, &classes, &err), "%s", err.text);
    ck_assert_int_eq(classes.width, picture.width);
    ck_assert_int_eq(classes.height, picture.height);
    ck_assert_int_eq(classes.channels, 1);
}

/* ---- settings --------------------------------------------------------------------------------------------
 */

START_TEST(settings_are_read)
{
    CrfSettings settings = crf_defaults();
    ck_assert_float_eq(settings.w1, 4);
    ck_assert_float_eq(settings.xy, 67);
    ck_assert_float_eq(settings.rgb, 3);
    ck_assert_float_eq(settings.w2, 3);
    ck_assert_float_eq(settings.gxy, 3);
    ck_assert_int_eq(settings.iterations, 10);
    ck_assert_int_eq(crf_parse("", &settings, NULL), RT_OK);
    ck_assert_int_eq(crf_parse("iterations=5", &settings, NULL), RT_OK);
    ck_assert_int_eq(crf_parse("w1=0,xy=49.5,rgb=1e1,w2=2,gxy=1,iterations=1", &settings, NULL), RT_OK);
    ck_assert_float_eq(settings.w1, 0);
    ck_assert_float_eq(settings.xy, 49.5f);
    ck_assert_float_eq(settings.rgb, 10);
    ck_assert_float_eq(settings.w2, 2);
    ck_assert_float_eq(settings.gxy, 1);
    ck_assert_int_eq(settings.iterations, 1);
}
END_TEST

static const struct {
    const char *text, *message;
} wrong[] = {
    {"w3=1", "--crf w3=1: expected NAME=VALUE, with a NAME of w1, xy, rgb, w2, gxy, iterations"},
    {"w1", "--crf w1: expected NAME=VALUE"},
    {"w=1", "--crf w=1: expected NAME=VALUE"},
    {"w12=1", "--crf w12=1: expected NAME=VALUE"},
    {"=1", "--crf =1: expected NAME=VALUE"},
    {"w1=", "--crf w1=: expected a number from 0 to 1e6"},
    {"w1=-1", "--crf w1=-1: expected a number from 0 to 1e6"},
    {"w1=nan", "--crf w1=nan: expected a number from 0 to 1e6"},
    {"w1=inf", "--crf w1=inf: expected a number from 0 to 1e6"},
    {"w1=4x", "--crf w1=4x: expected a number from 0 to 1e6"},
    {"w1=4;w2=1", "--crf w1=4;w2=1: expected a number from 0 to 1e6"},
    {"w1=3,xy=0", "--crf xy=0: expected a number from 0.1 to 1e6"},
    {"rgb=0", "--crf rgb=0: expected a number from 0.1 to 1e6"},
    {"gxy=0.01", "--crf gxy=0.01: expected a number from 0.1 to 1e6"},
    {"iterations=0", "--crf iterations=0: expected a whole number from 1 to 1000"},
    {"iterations=2.5", "--crf iterations=2.5: expected a whole number from 1 to 1000"},
    {"iterations=1001", "--crf iterations=1001: expected a whole number from 1 to 1000"},
    {"iterations", "--crf iterations: expected NAME=VALUE"},
    {"w1=4,", "--crf: a setting is missing after ','"},
    {",w1=4", "--crf : expected NAME=VALUE"},
    {"w1=4,,w2=3", "--crf: a setting is missing after ','"},
};

START_TEST(wrong_settings_are_named)
{
    CrfSettings settings = crf_defaults();
    RtError err = {0};
    ck_assert_int_eq(crf_parse(wrong[_i].text, &settings, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, wrong[_i].message) == err.text, "%s", err.text);
}
END_TEST

/* ---- against all pairs -----------------------------------------------------------------------------------
 */

static double places_apart(int i, int j, double deviation)
{
    double x = (i % picture.width - j % picture.width) / deviation;
    double y = (i / picture.width - j / picture.width) / deviation;
    return x * x + y * y;
}

static double colors_apart(int i, int j, double deviation)
{
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        double difference = (picture.pixels[i * 3 + c] - picture.pixels[j * 3 + c]) / deviation;
        sum += difference * difference;
    }
    return sum;
}

/* Both kernels, weighted and normalised, as one matrix. */
static double *all_pairs(const CrfSettings *settings)
{
    int pixels = picture.width * picture.height;
    double *sum = calloc((size_t)(pixels * pixels), sizeof *sum),
           *kernel = calloc((size_t)(pixels * pixels), 8);
    double *norm = calloc((size_t)pixels, sizeof *norm);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < pixels; i++) {
            norm[i] = 0;
            for (int j = 0; j < pixels; j++) {
                double apart =
                    k ? places_apart(i, j, (double)settings->gxy)
                      : places_apart(i, j, (double)settings->xy) + colors_apart(i, j, (double)settings->rgb);
                norm[i] += kernel[i * pixels + j] = exp(-apart / 2);
            }
        }
        for (int i = 0; i < pixels; i++)
            for (int j = 0; j < pixels; j++)
                sum[i * pixels + j] += (double)(k ? settings->w2 : settings->w1) * kernel[i * pixels + j] /
                                       sqrt(norm[i] * norm[j]);
    }
    free(kernel);
    free(norm);
    return sum;
}

static void exact_softmax(double *values, int count)
{
    double most = values[0], sum = 0;
    for (int c = 1; c < count; c++) most = fmax(most, values[c]);
    for (int c = 0; c < count; c++) sum += values[c] = exp(values[c] - most);
    for (int c = 0; c < count; c++) values[c] /= sum;
}

/* The probabilities after the settings' iterations, of scores at the picture's size; pixel by pixel. */
static double *exact_mean_field(int count, const CrfSettings *settings)
{
    int pixels = picture.width * picture.height;
    double *pairs = all_pairs(settings);
    double *q = calloc((size_t)(pixels * count), sizeof *q),
           *next = calloc((size_t)(pixels * count), sizeof *q);
    for (int64_t pass = 0; pass <= settings->iterations; pass++) {
        for (int i = 0; i < pixels; i++) {
            for (int c = 0; c < count; c++) {
                next[i * count + c] = (double)planes[c * pixels + i];
                for (int j = 0; j < pixels && pass; j++)
                    next[i * count + c] += pairs[i * pixels + j] * q[j * count + c];
            }
            exact_softmax(next + i * count, count);
        }
        memcpy(q, next, sizeof *q * (size_t)(pixels * count));
    }
    free(pairs);
    free(next);
    return q;
}

/* Four fields of colours with some noise, and scores that mean them, with more noise. */
static void draw_fields(unsigned seed)
{
    new_picture(16, 12);
    int pixels = 16 * 12;
    for (int i = 0; i < pixels; i++) {
        int field = (i % 16 >= 9) + 2 * (i / 16 >= 5);
        for (int c = 0; c < 3; c++)
            picture.pixels[i * 3 + c] = (unsigned char)(60 * field + 20 * c + (int)(6 * chance(&seed)));
        for (int c = 0; c < 4; c++) planes[c * pixels + i] = (c == field ? 1.2f : 0.0f) + 2 * chance(&seed);
    }
}

/* Where the exact result is sure of its class, ours is the same. */
START_TEST(agrees_with_sums_over_all_pairs)
{
    static const CrfSettings ways[] = {
        {.w1 = 4, .xy = 67, .rgb = 3, .w2 = 3, .gxy = 3, .iterations = 10},
        {.w1 = 0, .xy = 67, .rgb = 3, .w2 = 4, .gxy = 1.5f, .iterations = 5},
        {.w1 = 5, .xy = 8, .rgb = 10, .w2 = 0, .gxy = 3, .iterations = 3},
        {.w1 = 2, .xy = 20, .rgb = 5, .w2 = 1, .gxy = 2, .iterations = 1},
    };
    draw_fields(10 + (unsigned)_i);
    const CrfScores scores = {planes, 4, 12, 16, false};
    run(&scores, &ways[_i]);
    double *q = exact_mean_field(4, &ways[_i]);
    int sure = 0, same = 0, noisy = 0;
    for (int i = 0; i < 16 * 12; i++) {
        int best = 0, before = 0;
        for (int c = 1; c < 4; c++) {
            if (q[i * 4 + c] > q[i * 4 + best]) best = c;
            if (planes[c * 192 + i] > planes[before * 192 + i]) before = c;
        }
        noisy += before != best;
        if (q[i * 4 + best] < 0.6) continue;
        sure++;
        same += classes.pixels[i] == best;
    }
    free(q);
    ck_assert_int_ge(noisy, 15); /* there was something to do */
    ck_assert_int_ge(sure, 120);
    ck_assert_int_ge(same, sure - sure / 50);
}
END_TEST

/* The same with the lattices' kernels for the Gaussians, so that only rounding is left: every pixel agrees
 * but where two classes are nearly the same. Five classes leave lanes to fill. */
enum { FIVE = 5, FIVE_LANES = 2, PIXELS = 16 * 12 };

static void bilateral_feature(const void *context, int64_t point, float *feature)
{
    const CrfSettings *settings = context;
    feature[0] = (float)(point % 16) / settings->xy;
    feature[1] = (float)(point / 16) / settings->xy;
    for (int c = 0; c < 3; c++) feature[2 + c] = (float)picture.pixels[point * 3 + c] / settings->rgb;
}

static void spatial_feature(const void *context, int64_t point, float *feature)
{
    const CrfSettings *settings = context;
    feature[0] = (float)(point % 16) / settings->gxy;
    feature[1] = (float)(point / 16) / settings->gxy;
}

static void open_kernels(const CrfSettings *settings, Lattice *kernels[2])
{
    for (int k = 0; k < 2; k++) {
        LatticePoints points = {.count = PIXELS, .dims = k ? 2 : 5, .width = FIVE_LANES, .context = settings};
        points.feature = k ? spatial_feature : bilateral_feature;
        ck_assert_int_eq(lattice_open(&points, pool, &kernels[k], NULL), RT_OK);
        lattice_normalise(kernels[k], pool);
    }
}

static void step(const CrfSettings *settings, Lattice *const kernels[2], Lanes *q,
                 double values[PIXELS][FIVE])
{
    for (int k = 0; k < 2 && q; k++) lattice_blur(kernels[k], q, pool);
    for (int i = 0; i < PIXELS; i++) {
        Lanes sums[FIVE_LANES] = {{0}, {0}};
        if (q) lattice_gather(kernels[0], i, settings->w1, sums);
        if (q) lattice_gather(kernels[1], i, settings->w2, sums);
        for (int c = 0; c < FIVE; c++)
            values[i][c] = (double)planes[c * PIXELS + i] + (double)sums[c / LANES][c % LANES];
    }
}

START_TEST(follows_the_formula)
{
    static double values[PIXELS][FIVE];
    static Lanes q[PIXELS * FIVE_LANES];
    const CrfSettings settings = {.w1 = 1.5f, .xy = 9, .rgb = 31, .w2 = 0.7f, .gxy = 2, .iterations = 1 + _i};
    Lattice *kernels[2];
    draw_fields(20);
    for (unsigned i = 0, seed = 21; i < FIVE * PIXELS; i++) planes[i] = 4 * chance(&seed) - 6;
    open_kernels(&settings, kernels);
    step(&settings, kernels, NULL, values);
    for (int64_t pass = 1; pass <= settings.iterations; pass++) {
        memset(q, 0, sizeof q);
        for (int i = 0; i < PIXELS; i++) {
            exact_softmax(values[i], FIVE);
            for (int c = 0; c < FIVE; c++) q[i * FIVE_LANES + c / LANES][c % LANES] = (float)values[i][c];
        }
        step(&settings, kernels, q, values);
    }
    const CrfScores scores = {planes, FIVE, 12, 16, false};
    run(&scores, &settings);
    for (int i = 0; i < PIXELS; i++) {
        double best = values[i][0];
        for (int c = 1; c < FIVE; c++) best = fmax(best, values[i][c]);
        ck_assert_double_ge(values[i][classes.pixels[i]], best - 1e-5);
    }
    for (int k = 0; k < 2; k++) lattice_close(kernels[k]);
}
END_TEST

/* ---- enlarging -------------------------------------------------------------------------------------------
 */

static double exact_place(int i, int from, int to, bool align_corners)
{
    double at = !align_corners ? (i + 0.5) * from / to - 0.5 : to > 1 ? (double)i * (from - 1) / (to - 1) : 0;
    return fmin(fmax(at, 0), from - 1);
}

static double exact_score(const CrfScores *scores, int class, double y, double x)
{
    const float *plane = scores->planes + class * scores->height * scores->width;
    double sum = 0;
    for (int row = 0; row < scores->height; row++)
        for (int column = 0; column < scores->width; column++)
            sum += fmax(0, 1 - fabs(row - y)) * fmax(0, 1 - fabs(column - x)) *
                   (double)plane[row * scores->width + column];
    return sum;
}

/* Without kernels the classes are those of the enlarged scores. */
static void check_enlarging(int classes_count, int height, int width, bool align_corners)
{
    unsigned seed = 3;
    for (int i = 0; i < classes_count * height * width; i++) planes[i] = chance(&seed) - 2;
    const CrfScores scores = {planes, classes_count, height, width, align_corners};
    CrfSettings settings = crf_defaults();
    settings.w1 = settings.w2 = 0;
    settings.iterations = 2;
    run(&scores, &settings);
    for (int y = 0; y < picture.height; y++) {
        for (int x = 0; x < picture.width; x++) {
            double at_y = exact_place(y, height, picture.height, align_corners), best = -1e9;
            double at_x = exact_place(x, width, picture.width, align_corners);
            for (int c = 0; c < classes_count; c++) best = fmax(best, exact_score(&scores, c, at_y, at_x));
            int class = classes.pixels[y * picture.width + x];
            ck_assert_int_lt(class, classes_count);
            ck_assert_double_eq_tol(exact_score(&scores, class, at_y, at_x), best, 1e-5);
        }
    }
}

START_TEST(scores_are_enlarged)
{
    static const int sizes[][4] = {{4, 5, 32, 40}, {4, 5, 4, 5}, {7, 3, 15, 10},
                                   {8, 8, 3, 3},   {1, 1, 9, 7}, {4, 4, 1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        new_picture(sizes[i][3], sizes[i][2]);
        check_enlarging(5, sizes[i][0], sizes[i][1], _i);
    }
    static const int counts[] = {2, 3, 4, 19, 20, 255, 256};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        new_picture(6, 4);
        check_enlarging(counts[i], 3, 4, _i);
    }
}
END_TEST

/* ---- what it is for --------------------------------------------------------------------------------------
 */

/* Black to the left of column 17, white from there; scores in 8 columns, the classes' border at column 20. */
static void draw_border(void)
{
    new_picture(40, 32);
    for (int i = 0; i < 40 * 32; i++) memset(picture.pixels + i * 3, i % 40 < 17 ? 20 : 200, 3);
    for (int i = 0; i < 8 * 8; i++) {
        planes[i] = i % 8 < 4 ? 2 : 0;
        planes[64 + i] = i % 8 < 4 ? 0 : 2;
    }
}

START_TEST(edges_move_to_the_pictures)
{
    draw_border();
    const CrfScores scores = {planes, 2, 8, 8, false};
    CrfSettings settings = crf_defaults(), without = {.xy = 1, .rgb = 1, .gxy = 1, .iterations = 1};
    run(&scores, &without);
    for (int i = 0; i < 40 * 32; i++) ck_assert_int_eq(classes.pixels[i], i % 40 >= 20);
    run(&scores, &settings);
    for (int i = 0; i < 40 * 32; i++) ck_assert_int_eq(classes.pixels[i], i % 40 >= 17);
}
END_TEST

START_TEST(specks_go)
{
    draw_border();
    const CrfScores scores = {planes, 2, 8, 8, false};
    CrfSettings settings = crf_defaults();
    planes[3 * 8 + 1] = 0;
    planes[64 + 3 * 8 + 1] = 1;
    run(&scores, &settings);
    for (int i = 0; i < 40 * 32; i++) ck_assert_int_eq(classes.pixels[i], i % 40 >= 17);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    draw_fields(1);
    static unsigned char before[16 * 12];
    const CrfScores scores = {planes, 4, 12, 16, false};
    CrfSettings settings = crf_defaults();
    settings.w1 = settings.w2 = 1;
    for (int threads = 1; threads <= 3; threads++) {
        pool_close(pool);
        ck_assert_int_eq(pool_open(threads, &pool, NULL), RT_OK);
        run(&scores, &settings);
        if (threads > 1) ck_assert_mem_eq(before, classes.pixels, sizeof before);
        memcpy(before, classes.pixels, sizeof before);
    }
}
END_TEST

/* A network gone wrong gives no numbers; that is no reason to fall. */
START_TEST(scores_that_are_no_numbers)
{
    draw_fields(2);
    const CrfScores scores = {planes, 4, 12, 16, false};
    CrfSettings settings = crf_defaults();
    for (int i = 0; i < 4 * 192; i += 5) planes[i] = i % 2 ? NAN : i % 3 ? INFINITY : -INFINITY;
    run(&scores, &settings);
    for (int i = 0; i < 192; i++) ck_assert_int_lt(classes.pixels[i], 4);
}
END_TEST

START_TEST(no_memory_is_said)
{
    draw_fields(3);
    const CrfScores scores = {planes, 4, 12, 16, false};
    CrfSettings settings = crf_defaults();
    RtStatus status = RT_MACHINE;
    long nth = 1;
    for (; status; nth++) {
        RtError err = {0};
        image_free(&classes);
        rt_alloc_fail_at(nth);
        status = crf_classes(&picture, &scores, &settings, pool, &classes, &err);
        rt_alloc_fail_at(0);
        if (!status) break;
        ck_assert_int_eq(status, RT_MACHINE);
        ck_assert_ptr_nonnull(strstr(err.text, "no memory"));
        ck_assert_ptr_null(classes.pixels);
    }
    ck_assert_int_gt(nth, 20);
}
END_TEST

Suite *crf_suite(void)
{
    Suite *suite = suite_create("crf");
    TCase *tests = tcase_create("crf");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, settings_are_read);
    tcase_add_loop_test(tests, wrong_settings_are_named, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_loop_test(tests, agrees_with_sums_over_all_pairs, 0, 4);
    tcase_add_loop_test(tests, follows_the_formula, 0, 4);
    tcase_add_loop_test(tests, scores_are_enlarged, 0, 2);
    tcase_add_test(tests, edges_move_to_the_pictures);
    tcase_add_test(tests, specks_go);
    tcase_add_test(tests, threads_do_not_matter);
    tcase_add_test(tests, scores_that_are_no_numbers);
    tcase_add_test(tests, no_memory_is_said);
    suite_add_tcase(suite, tests);
    return suite;
}
