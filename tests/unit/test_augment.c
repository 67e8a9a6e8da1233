/* Augmentation: each operation against torchvision's numbers or plain arithmetic, pictures and ids staying
 * together, chance that depends on what it should, and the way from a program's YAML to the operations. */
#include "rt_augment.h"

#include "../../codegen/build.h"
#include "model.h"
#include "rt_augment_color.h"
#include "scratch_folder.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *augment_suite(void);

enum { IGNORED = 255 };

/* ---- pictures whose colours say the class ----------------------------------------------------------------
 */

static void color_of(int id, unsigned char rgb[3])
{
    rgb[0] = (unsigned char)(id * 61 % 223);
    rgb[1] = (unsigned char)(id * 127 % 211);
    rgb[2] = (unsigned char)(id * 29 % 199);
}

/* Blocks of some pixels, each of its own class. */
static void make_blocks(int width, int height, int block, RtImage *image, RtImage *ids)
{
    RtError err;
    ck_assert_int_eq(image_new(image, width, height, 3, &err), RT_OK);
    ck_assert_int_eq(image_new(ids, width, height, 1, &err), RT_OK);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int id = 1 + x / block * 5 + y / block * 7, at = y * width + x;
            ids->pixels[at] = (unsigned char)id;
            color_of(id, image->pixels + at * 3);
        }
    }
}

static void release(RtImage *image, RtImage *ids)
{
    image_free(image);
    image_free(ids);
}

static Augment augment_with(const ProgramAugment *operations, size_t count, int width, int height)
{
    return (Augment){.operations = operations,
                     .count = count,
                     .stream = "source",
                     .seed = 3,
                     .width = width,
                     .height = height,
                     .border = {7, 8, 9},
                     .ignored = IGNORED};
}

static void apply(const Augment *augment, uint64_t sample, RtImage *image, RtImage *ids)
{
    RtError err;
    ck_assert_msg(!augment_apply(augment, sample, image, ids, &err), "%s", err.text);
    ck_assert_int_eq(image->width, augment->width);
    ck_assert_int_eq(image->height, augment->height);
}

/* Whether the pixels around a place all have its class. */
static bool is_inside(const RtImage *ids, int x, int y, int around)
{
    for (int dy = -around; dy <= around; dy++) {
        for (int dx = -around; dx <= around; dx++) {
            int at_x = x + dx, at_y = y + dy;
            if (at_x < 0 || at_y < 0 || at_x >= ids->width || at_y >= ids->height) return false;
            if (ids->pixels[at_y * ids->width + at_x] != ids->pixels[y * ids->width + x]) return false;
        }
    }
    return true;
}

/* Away from where classes meet, every pixel has the colour of its class. Returns how many pixels were looked
 * at. */
static int check_together(const RtImage *image, const RtImage *ids, int around)
{
    int seen = 0;
    for (int y = 0; y < ids->height; y++) {
        for (int x = 0; x < ids->width; x++) {
            unsigned char rgb[3] = {7, 8, 9};
            const unsigned char *got = image->pixels + (y * ids->width + x) * 3;
            int id = ids->pixels[y * ids->width + x];
            if (!is_inside(ids, x, y, around)) continue;
            if (id != IGNORED) color_of(id, rgb);
            for (int c = 0; c < 3; c++)
                ck_assert_msg(abs(got[c] - rgb[c]) <= 1, "(%d, %d) is of class %d and has %d %d %d", x, y, id,
                              got[0], got[1], got[2]);
            seen++;
        }
    }
    return seen;
}

static const ProgramAugment geometric[] = {
    {.kind = AUGMENT_SIZE, .p = 1, .value = {50, 130}},
    {.kind = AUGMENT_SCALE, .p = 1, .value = {0.6f, 1.7f}},
    {.kind = AUGMENT_FLIP, .p = 1},
    {.kind = AUGMENT_ROTATION, .p = 1, .value = {40}},
    {.kind = AUGMENT_BLUR, .p = 1, .value = {5, 0.5f, 1}},
    {.kind = AUGMENT_CROP, .p = 1, .value = {0.3f, 1, 0.75f, 1.3333f}},
};
enum { N_GEOMETRIC = sizeof geometric / sizeof *geometric };

START_TEST(pictures_and_ids_stay_together)
{
    Augment augment = augment_with(&geometric[_i], 1, 120, 90);
    for (uint64_t sample = 0; sample < 12; sample++) {
        RtImage image, ids;
        make_blocks(96, 80, 16, &image, &ids);
        apply(&augment, sample, &image, &ids);
        ck_assert_int_gt(check_together(&image, &ids, 3), 1000);
        release(&image, &ids);
    }
}
END_TEST

START_TEST(all_of_them_in_a_row_stay_together)
{
    Augment augment = augment_with(geometric + 1, N_GEOMETRIC - 1, 256, 192);
    for (uint64_t sample = 0; sample < 12; sample++) {
        RtImage image, ids;
        make_blocks(192, 160, 64, &image, &ids);
        apply(&augment, sample, &image, &ids);
        ck_assert_int_gt(check_together(&image, &ids, 12), 1000); /* a blur is enlarged */
        release(&image, &ids);
    }
}
END_TEST

START_TEST(no_operation_only_resizes)
{
    RtImage image, ids, expected, nearest;
    RtError err;
    Augment augment = augment_with(NULL, 0, 31, 23);
    make_blocks(64, 48, 8, &image, &ids);
    ck_assert(!image_resize_bilinear(&image, 31, 23, &expected, &err));
    ck_assert(!image_resize_nearest(&ids, 31, 23, &nearest, &err));
    apply(&augment, 0, &image, &ids);
    ck_assert_mem_eq(image.pixels, expected.pixels, 31 * 23 * 3);
    ck_assert_mem_eq(ids.pixels, nearest.pixels, 31 * 23);
    release(&image, &ids);
    release(&expected, &nearest);
}
END_TEST

START_TEST(pictures_without_ids_become_the_same)
{
    Augment augment = augment_with(geometric, N_GEOMETRIC, 64, 64);
    RtImage image, ids, alone, none = {0}, unused;
    make_blocks(64, 48, 8, &image, &ids);
    make_blocks(64, 48, 8, &alone, &unused);
    apply(&augment, 5, &image, &ids);
    apply(&augment, 5, &alone, &none);
    ck_assert_ptr_null(none.pixels);
    ck_assert_mem_eq(image.pixels, alone.pixels, 64 * 64 * 3);
    release(&image, &ids);
    release(&alone, &unused);
}
END_TEST

/* ---- flip and rotation -----------------------------------------------------------------------------------
 */

/* Odd and even widths, and a single column. */
START_TEST(flip_mirrors)
{
    static const int widths[] = {1, 2, 7, 8};
    static const ProgramAugment flip = {.kind = AUGMENT_FLIP, .p = 1};
    int width = widths[_i];
    RtImage image, ids, before, classes;
    Augment augment = augment_with(&flip, 1, width, 3);
    make_blocks(width, 3, 1, &image, &ids);
    make_blocks(width, 3, 1, &before, &classes);
    apply(&augment, 0, &image, &ids);
    for (int at = 0; at < width * 3; at++) {
        int from = at / width * width + width - 1 - at % width;
        ck_assert_int_eq(ids.pixels[at], classes.pixels[from]);
        ck_assert_mem_eq(image.pixels + at * 3, before.pixels + from * 3, 3);
    }
    release(&image, &ids);
    release(&before, &classes);
}
END_TEST

/* The angle that a rotation of +-degrees draws for a sample. */
static double angle_of(const Augment *augment, uint64_t sample, float degrees)
{
    char name[64];
    snprintf(name, sizeof name, "augment 0 of %s", augment->stream);
    AugmentChance chance = {rand_key(augment->seed, name), sample * 256};
    augment_unit(&chance); /* p */
    return (double)augment_between(&chance, -degrees, degrees) * 3.14159265358979323846 / 180;
}

/* One channel at a place between pixel centres, the outermost pixels going on for ever. */
static double between(const RtImage *image, double x, double y, int c)
{
    double sum = 0, left = floor(x), top = floor(y);
    for (int corner = 0; corner < 4; corner++) {
        double at_x = left + corner % 2, at_y = top + corner / 2;
        double share = (1 - fabs(x - at_x)) * (1 - fabs(y - at_y));
        int column = (int)fmin(fmax(at_x, 0), image->width - 1);
        int row = (int)fmin(fmax(at_y, 0), image->height - 1);
        sum += share * image->pixels[(row * image->width + column) * 3 + c];
    }
    return sum;
}

START_TEST(rotation_is_what_geometry_says)
{
    static const ProgramAugment rotation = {.kind = AUGMENT_ROTATION, .p = 1, .value = {180}};
    enum { WIDTH = 23, HEIGHT = 14 };
    RtImage image, ids, before, classes;
    Augment augment = augment_with(&rotation, 1, WIDTH, HEIGHT);
    make_blocks(WIDTH, HEIGHT, 3, &image, &ids);
    make_blocks(WIDTH, HEIGHT, 3, &before, &classes);
    double angle = angle_of(&augment, (uint64_t)_i, 180);
    apply(&augment, (uint64_t)_i, &image, &ids);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            /* Counter-clockwise as it is looked at, y pointing down. */
            double dx = x + 0.5 - WIDTH / 2.0, dy = y + 0.5 - HEIGHT / 2.0;
            double u = cos(angle) * dx - sin(angle) * dy + WIDTH / 2.0;
            double v = sin(angle) * dx + cos(angle) * dy + HEIGHT / 2.0;
            const unsigned char *got = image.pixels + (y * WIDTH + x) * 3;
            int id = ids.pixels[y * WIDTH + x];
            double edge = fmin(fmin(u, WIDTH - u), fmin(v, HEIGHT - v));
            if (fabs(edge) < 1e-4 || fabs(u - rint(u)) < 1e-4 || fabs(v - rint(v)) < 1e-4) continue;
            if (edge < 0) {
                ck_assert_int_eq(id, IGNORED);
                ck_assert_mem_eq(got, augment.border, 3);
                continue;
            }
            ck_assert_int_eq(id, classes.pixels[(int)v * WIDTH + (int)u]);
            for (int c = 0; c < 3; c++) {
                double want = between(&before, u - 0.5, v - 0.5, c);
                ck_assert_msg(fabs(want - got[c]) < 2, "(%d, %d): %d, not %g", x, y, got[c], want);
            }
        }
    }
    release(&image, &ids);
    release(&before, &classes);
}
END_TEST

START_TEST(no_degrees_turn_nothing)
{
    static const ProgramAugment rotation = {.kind = AUGMENT_ROTATION, .p = 1, .value = {0}};
    RtImage image, ids, before, classes;
    Augment augment = augment_with(&rotation, 1, 33, 20);
    make_blocks(33, 20, 1, &image, &ids);
    make_blocks(33, 20, 1, &before, &classes);
    apply(&augment, 9, &image, &ids);
    ck_assert_mem_eq(image.pixels, before.pixels, 33 * 20 * 3);
    ck_assert_mem_eq(ids.pixels, classes.pixels, 33 * 20);
    release(&image, &ids);
    release(&before, &classes);
}
END_TEST

START_TEST(the_border_becomes_zero)
{
    ProgramPreprocess preprocess = {
        .scale = 1.0f / 255, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
    unsigned char rgb[3];
    augment_border(&preprocess, rgb);
    ck_assert_mem_eq(rgb, ((unsigned char[]){124, 116, 104}), 3);
    preprocess.channels = 1; /* the mean is in the order B, G, R */
    augment_border(&preprocess, rgb);
    ck_assert_mem_eq(rgb, ((unsigned char[]){104, 116, 124}), 3);
    preprocess = (ProgramPreprocess){.scale = 1, .mean = {-4, 300, 0}, .std = {1, 1, 1}};
    augment_border(&preprocess, rgb);
    ck_assert_mem_eq(rgb, ((unsigned char[]){0, 255, 0}), 3);
}
END_TEST

/* ---- colours: torchvision's numbers, by tests/peers/make_augment_fixtures.py -----------------------------
 */

enum { SAMPLES = 36 };

/* 4 x 3 pixels. */
static const unsigned char picture[SAMPLES] = {10, 20, 30,  200, 100, 50,  0,   255, 128, 255, 255, 255,
                                               90, 90, 90,  12,  250, 250, 180, 20,  220, 255, 0,   0,
                                               0,  0,  255, 60,  180, 75,  128, 128, 0,   33,  66,  99};

static const struct {
    bool blur;
    float value[4];
    float drawn; /* the factor, turn or sigma that seed 5 of the stream "test" draws */
    unsigned char expected[SAMPLES];
} colors[] = {
    {false, {0.8f, 0, 0, 0}, 1.62335253f, {16,  32,  49,  255, 162, 81,  0,   255, 208, 255, 255, 255,
                                           146, 146, 146, 19,  255, 255, 255, 32,  255, 255, 0,   0,
                                           0,   0,   255, 97,  255, 122, 208, 208, 0,   54,  107, 161}},
    {false, {0, 0.8f, 0, 0}, 1.16095638f, {0,  5,  17,  214, 98,  40,  0,   255, 131, 255, 255, 255,
                                           87, 87, 87,  0,   255, 255, 191, 5,   238, 255, 0,   0,
                                           0,  0,  255, 52,  191, 69,  131, 131, 0,   20,  59,  97}},
    {false, {0, 0, 0.8f, 0}, 0.31409061f, {16, 19, 22,  148, 117, 101, 113, 193, 153, 255, 255, 255,
                                           90, 90, 90,  126, 201, 201, 119, 68,  131, 132, 52,  52,
                                           20, 20, 100, 109, 147, 114, 118, 118, 78,  51,  62,  72}},
    {false, {0, 0, 0, 0.5f}, 0.282524109f, {30,  10, 26, 50,  200, 54,  50,  0,   255, 255, 255, 255,
                                            90,  90, 90, 177, 12,  250, 220, 119, 20,  78,  255, 0,
                                            255, 0,  78, 60,  82,  180, 0,   128, 89,  99,  33,  86}},
    {true, {3, 0.5f, 2, 0}, 1.62168276f, {74, 145, 134, 85, 127, 145, 148, 131, 154, 166, 104, 152,
                                          67, 128, 129, 77, 120, 127, 125, 136, 122, 137, 117, 118,
                                          40, 160, 172, 79, 121, 159, 123, 100, 121, 165, 47,  99}},
    {true, {5, 0.5f, 2, 0}, 1.62168276f, {78, 130, 137, 94, 126, 132, 116, 117, 128, 129, 126, 129,
                                          78, 132, 146, 95, 126, 138, 121, 110, 132, 132, 118, 134,
                                          77, 130, 137, 93, 126, 132, 116, 115, 127, 128, 125, 127}},
};

START_TEST(colors_are_torchvisions)
{
    unsigned char pixels[SAMPLES];
    RtImage image = {4, 3, 3, pixels};
    AugmentChance chance = {rand_key(5, "test"), 0};
    memcpy(pixels, picture, SAMPLES);
    RtError err;
    if (colors[_i].blur)
        ck_assert_int_eq(augment_blur(&image, colors[_i].value, &chance, &err), RT_OK);
    else
        augment_jitter(&image, colors[_i].value, &chance);
    for (int i = 0; i < SAMPLES; i++)
        ck_assert_msg(abs(pixels[i] - colors[_i].expected[i]) <= 1, "sample %d is %d, not %d (drawn: %g)", i,
                      pixels[i], colors[_i].expected[i], (double)colors[_i].drawn);
}
END_TEST

/* Mirrored again and again where a picture is smaller than the kernel; a flat picture stays flat. */
START_TEST(blur_of_tiny_pictures_keeps_flat_ones)
{
    static const int sizes[][2] = {{1, 1}, {2, 1}, {1, 5}, {3, 2}, {40, 1}};
    static const float value[4] = {255, 3, 90};
    unsigned char pixels[40 * 3];
    RtImage image = {sizes[_i][0], sizes[_i][1], 3, pixels};
    AugmentChance chance = {rand_key(5, "test"), 0};
    RtError err;
    for (int v = 0; v < 256; v += 51) {
        memset(pixels, v, sizeof pixels);
        ck_assert_int_eq(augment_blur(&image, value, &chance, &err), RT_OK);
        for (int i = 0; i < image.width * image.height * 3; i++) ck_assert_int_eq(pixels[i], v);
    }
}
END_TEST

START_TEST(jitter_of_nothing_changes_nothing)
{
    static const float none[4] = {0};
    unsigned char pixels[SAMPLES];
    RtImage image = {4, 3, 3, pixels};
    AugmentChance chance = {rand_key(5, "test"), 0};
    memcpy(pixels, picture, SAMPLES);
    augment_jitter(&image, none, &chance);
    ck_assert_mem_eq(pixels, picture, SAMPLES);
}
END_TEST

/* Brightness and contrast do not commute, so the order shows: both must occur. */
START_TEST(jitter_has_random_order)
{
    static const float value[4] = {0.6f, 0.6f, 0, 0};
    int results = 0;
    for (uint64_t sample = 0; sample < 64; sample++) {
        unsigned char pixels[SAMPLES], one_by_one[SAMPLES];
        RtImage image = {4, 3, 3, pixels}, other = {4, 3, 3, one_by_one};
        AugmentChance chance = {rand_key(5, "test"), sample * 256}, first = chance, second = chance;
        memcpy(pixels, picture, SAMPLES);
        memcpy(one_by_one, picture, SAMPLES);
        augment_jitter(&image, value, &chance);
        augment_jitter(&other, (const float[4]){0.6f}, &first);
        augment_jitter(&other, (const float[4]){0, 0.6f}, &second);
        results += memcmp(pixels, one_by_one, SAMPLES) == 0;
    }
    ck_assert_int_gt(results, 16);
    ck_assert_int_lt(results, 56);
}
END_TEST

/* ---- crop ------------------------------------------------------------------------------------------------
 */

/* The ids say the column or the row, so the first and last of them say which part it was. */
static void find_part(const ProgramAugment *crop, uint64_t sample, int width, int height, double part[4])
{
    Augment augment = augment_with(crop, 1, 200, 200);
    for (int axis = 0; axis < 2; axis++) {
        RtImage image, ids;
        make_blocks(width, height, 1, &image, &ids);
        for (int i = 0; i < width * height; i++)
            ids.pixels[i] = (unsigned char)(axis ? i / width : i % width);
        apply(&augment, sample, &image, &ids);
        part[axis] = ids.pixels[0];
        part[2 + axis] = ids.pixels[200 * 200 - 1] + 1 - part[axis];
        release(&image, &ids);
    }
}

START_TEST(crops_have_the_area_and_ratio_asked_for)
{
    static const ProgramAugment crop = {.kind = AUGMENT_CROP, .p = 1, .value = {0.2f, 0.6f, 0.75f, 1.5f}};
    double part[4], area = 0, left = 1000, right = 0, least = 10, most = 0;
    for (uint64_t sample = 0; sample < 150; sample++) {
        find_part(&crop, sample, 160, 120, part);
        double share = part[2] * part[3] / (160 * 120), ratio = part[2] / part[3];
        ck_assert_msg(share > 0.19 && share < 0.61, "a share of %g", share);
        ck_assert_msg(ratio > 0.73 && ratio < 1.54, "a ratio of %g", ratio);
        area += share / 150;
        left = fmin(left, part[0]);
        right = fmax(right, part[0] + part[2]);
        least = fmin(least, ratio);
        most = fmax(most, ratio);
    }
    ck_assert_msg(fabs(area - 0.39) < 0.03, "mean share %g", area); /* the largest don't fit at every ratio */
    ck_assert(left < 3 && right > 157 && least < 0.8 && most > 1.4);
}
END_TEST

/* What can't be had: the largest part in the middle whose ratio is in range. */
START_TEST(crops_that_do_not_fit_fall_back)
{
    static const ProgramAugment wide = {.kind = AUGMENT_CROP, .p = 1, .value = {1, 1, 4, 4}},
                                tall = {.kind = AUGMENT_CROP, .p = 1, .value = {1, 1, 0.25f, 0.25f}},
                                whole = {.kind = AUGMENT_CROP, .p = 1, .value = {1, 1, 2, 2}};
    double part[4];
    find_part(&wide, 1, 160, 80, part);
    ck_assert(part[0] == 0 && part[1] == 20 && part[2] == 160 && part[3] == 40);
    find_part(&tall, 1, 160, 80, part);
    ck_assert(part[0] == 70 && part[1] == 0 && part[2] == 20 && part[3] == 80);
    find_part(&whole, 1, 160, 80, part);
    ck_assert(part[0] == 0 && part[1] == 0 && part[2] == 160 && part[3] == 80);
}
END_TEST

/* ---- chance ----------------------------------------------------------------------------------------------
 */

static bool is_flipped(const Augment *augment, uint64_t sample)
{
    unsigned char *pixels = rt_alloc(6), *classes = rt_alloc(2);
    ck_assert(pixels && classes);
    classes[1] = 1;
    RtImage image = {2, 1, 3, pixels}, ids = {2, 1, 1, classes};
    apply(augment, sample, &image, &ids);
    bool flipped = ids.pixels[0] == 1;
    release(&image, &ids);
    return flipped;
}

START_TEST(p_is_the_share_of_samples)
{
    static const float shares[] = {0, 0.25f, 0.5f, 1};
    ProgramAugment flip = {.kind = AUGMENT_FLIP, .p = shares[_i]};
    Augment augment = augment_with(&flip, 1, 2, 1);
    int flipped = 0;
    for (uint64_t sample = 0; sample < 2000; sample++) flipped += is_flipped(&augment, sample);
    ck_assert_msg(fabs(flipped / 2000.0 - (double)shares[_i]) < 0.04, "%d of 2000", flipped);
    if (shares[_i] == 0 || shares[_i] == 1) ck_assert_int_eq(flipped, (int)(2000 * shares[_i]));
}
END_TEST

/* Samples, streams, seeds and places in the list are unrelated to each other; the same ones are the same. */
START_TEST(chance_depends_on_what_it_should)
{
    ProgramAugment flips[2] = {{.kind = AUGMENT_FLIP, .p = 0.5f}, {.kind = AUGMENT_FLIP, .p = 0.5f}};
    Augment one = augment_with(flips, 1, 2, 1), stream = one, seed = one, twice = one;
    int same[3] = {0};
    stream.stream = "target";
    seed.seed = 4;
    twice.count = 2;
    for (uint64_t sample = 0; sample < 1000; sample++) {
        bool flipped = is_flipped(&one, sample);
        ck_assert_int_eq(flipped, is_flipped(&one, sample));
        same[0] += flipped == is_flipped(&stream, sample);
        same[1] += flipped == is_flipped(&seed, sample);
        same[2] += flipped == is_flipped(&twice, sample); /* the second flip did nothing */
    }
    for (int i = 0; i < 3; i++) ck_assert_msg(abs(same[i] - 500) < 80, "%d: %d of 1000", i, same[i]);
}
END_TEST

/* Fails at every allocation in turn until none is left to fail. */
START_TEST(augmenting_survives_lack_of_memory)
{
    Augment augment = augment_with(geometric, N_GEOMETRIC, 40, 30);
    RtStatus status = RT_MACHINE;
    long nth = 0;
    for (; status && nth < 100; nth++) {
        RtImage image, ids;
        RtError err = {0};
        make_blocks(48, 40, 8, &image, &ids);
        rt_alloc_fail_at(nth + 1);
        status = augment_apply(&augment, 2, &image, &ids, &err);
        rt_alloc_fail_at(0);
        ck_assert(status == RT_OK || status == RT_MACHINE);
        ck_assert(!status || err.text[0]);
        release(&image, &ids);
    }
    ck_assert_int_eq(status, RT_OK);
    ck_assert_int_gt(nth, 15);
}
END_TEST

START_TEST(sizes_that_no_picture_has_are_refused)
{
    static const ProgramAugment large = {.kind = AUGMENT_SIZE, .p = 1, .value = {65535, 65535}};
    Augment augment = augment_with(&large, 1, 8, 8);
    RtImage image, ids;
    RtError err = {0};
    make_blocks(8, 8, 8, &image, &ids);
    ck_assert_int_eq(augment_apply(&augment, 0, &image, &ids, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "65535"));
    release(&image, &ids);
}
END_TEST

/* ---- from the file to the program ------------------------------------------------------------------------
 */

static const char program_text[] = "segc: 1\n"
                                   "program: augmented\n"
                                   "settings: {shake: 0.25}\n"
                                   "inputs:\n"
                                   "  target: {image: [N, 3, H, W]}\n"
                                   "  source: {image: [N, 3, H, W]}\n"
                                   "  third: {image: [N, 3, H, W]}\n"
                                   "nodes:\n"
                                   "  s: {op: relu, in: source.image}\n"
                                   "  t: {op: relu, in: target.image}\n"
                                   "  u: {op: relu, in: third.image}\n"
                                   "outputs: {s: s, t: t, u: u}\n"
                                   "augment:\n"
                                   "  source:\n"
                                   "    - {resize: {size: [720, 1280]}}\n"
                                   "    - {resize: {scale: [0.5, $shake * 4]}}\n"
                                   "    - {horizontal_flip: }\n"
                                   "    - {rotation: {degrees: 5, p: 0.3}}\n"
                                   "    - {color_jitter: {brightness: $shake, hue: 1 / 10}}\n"
                                   "  third: []\n"
                                   "  target:\n"
                                   "    - {gaussian_blur: {kernel: 3}}\n"
                                   "    - {random_resized_crop: {scale: [0.5, 1]}}\n";

static void expect_operation(const ProgramAugment *got, ProgramAugmentKind kind, double p,
                             const double *value)
{
    ck_assert_int_eq(got->kind, kind);
    ck_assert_double_eq_tol((double)got->p, p, 1e-6);
    for (int i = 0; i < 4; i++) ck_assert_double_eq_tol((double)got->value[i], value[i], 1e-6);
}

START_TEST(files_reach_the_program)
{
    ScratchFolder scratch;
    scratch_open(&scratch);
    scratch_write(&scratch, "p.yaml", program_text);
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    ModelOptions model_options = {.height = 32, .width = 32};
    Model *model = model_load(arena, diag, scratch_path(&scratch, "p.yaml"), &model_options);
    ck_assert_msg(model, "%s", diag_text(diag));
    Build *build = build_graph(arena, model->graph, &(BuildOptions){.cpu = "host", .model = model});
    ck_assert_msg(build, "%s", diag_text(diag));
    size_t count;
    const ProgramAugment *list = augment_of_stream(build->image, "source", &count);
    ck_assert_uint_eq(count, 5);
    expect_operation(&list[0], AUGMENT_SIZE, 1, (const double[]){720, 1280, 0, 0});
    expect_operation(&list[1], AUGMENT_SCALE, 1, (const double[]){0.5, 1, 0, 0});
    expect_operation(&list[2], AUGMENT_FLIP, 0.5, (const double[]){0, 0, 0, 0});
    expect_operation(&list[3], AUGMENT_ROTATION, 0.3, (const double[]){5, 0, 0, 0});
    expect_operation(&list[4], AUGMENT_JITTER, 1, (const double[]){0.25, 0, 0, 0.1});
    list = augment_of_stream(build->image, "target", &count);
    ck_assert_uint_eq(count, 2);
    expect_operation(&list[0], AUGMENT_BLUR, 1, (const double[]){3, 0.1, 2, 0});
    expect_operation(&list[1], AUGMENT_CROP, 1, (const double[]){0.5, 1, 0.75, 4.0 / 3});
    ck_assert_ptr_null(augment_of_stream(build->image, "third", &count));
    ck_assert_uint_eq(count, 0);
    ck_assert_ptr_null(augment_of_stream(build->image, "sour", &count));
    arena_free(arena);
    scratch_close(&scratch);
}
END_TEST

Suite *augment_suite(void)
{
    TCase *together = tcase_create("together"), *geometry = tcase_create("geometry");
    tcase_add_loop_test(together, pictures_and_ids_stay_together, 0, N_GEOMETRIC);
    tcase_add_test(together, all_of_them_in_a_row_stay_together);
    tcase_add_test(together, no_operation_only_resizes);
    tcase_add_test(together, pictures_without_ids_become_the_same);
    tcase_add_loop_test(geometry, flip_mirrors, 0, 4);
    tcase_add_loop_test(geometry, rotation_is_what_geometry_says, 0, 20);
    tcase_add_test(geometry, no_degrees_turn_nothing);
    tcase_add_test(geometry, the_border_becomes_zero);
    tcase_add_test(geometry, crops_have_the_area_and_ratio_asked_for);
    tcase_add_test(geometry, crops_that_do_not_fit_fall_back);
    TCase *color = tcase_create("color"), *chance = tcase_create("chance"), *files = tcase_create("files");
    tcase_set_timeout(geometry, 60);
    tcase_add_loop_test(color, colors_are_torchvisions, 0, sizeof colors / sizeof *colors);
    tcase_add_loop_test(color, blur_of_tiny_pictures_keeps_flat_ones, 0, 5);
    tcase_add_test(color, jitter_of_nothing_changes_nothing);
    tcase_add_test(color, jitter_has_random_order);
    tcase_add_loop_test(chance, p_is_the_share_of_samples, 0, 4);
    tcase_add_test(chance, chance_depends_on_what_it_should);
    tcase_add_test(chance, augmenting_survives_lack_of_memory);
    tcase_add_test(chance, sizes_that_no_picture_has_are_refused);
    tcase_add_test(files, files_reach_the_program);
    Suite *suite = suite_create("augment");
    suite_add_tcase(suite, together);
    suite_add_tcase(suite, geometry);
    suite_add_tcase(suite, color);
    suite_add_tcase(suite, chance);
    suite_add_tcase(suite, files);
    return suite;
}
