/* The built-in streets: the same bytes everywhere, labels that are classes, and all sizes. Drawn data sets.
 */
#include "rt_data.h"
#include "rt_street.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

Suite *street_suite(void);

static const StreetLook *look;

static void set_up(void)
{
    look = street_look("rendered");
    ck_assert_ptr_nonnull(look);
}

/* FNV-1a: only to compare. */
static uint64_t hash(const unsigned char *bytes, size_t count, uint64_t h)
{
    for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

/* Draws a scene; the caller frees both. */
static void draw(uint64_t seed, int width, int height, unsigned char **rgb, unsigned char **labels)
{
    size_t pixels = (size_t)width * (size_t)height;
    RtError err = {0};
    *rgb = malloc(pixels * 3);
    *labels = malloc(pixels);
    memset(*labels, 77, pixels);
    ck_assert_msg(!street_draw(look, seed, width, height, *rgb, *labels, &err), "%s", err.text);
}

static uint64_t hash_of(uint64_t seed, int width, int height)
{
    unsigned char *rgb, *labels;
    size_t pixels = (size_t)width * (size_t)height;
    draw(seed, width, height, &rgb, &labels);
    uint64_t h = hash(labels, pixels, hash(rgb, pixels * 3, 0xcbf29ce484222325u));
    free(rgb);
    free(labels);
    return h;
}

/* A change here changes the demo's data: train its network again. */
START_TEST(bytes_are_fixed)
{
    static const struct {
        uint64_t seed;
        int width, height;
        uint64_t hash;
    } scenes[] = {
        {0, 384, 192, 0xacee35a6d2ad8a2a},
        {7, 512, 256, 0x5dc7d11a74473e6c},
        {1000000, 97, 333, 0x0ef7b27903e163b2},
        {0xffffffffffffffffu, 64, 64, 0x134ac435f7293797},
    };
    uint64_t got = hash_of(scenes[_i].seed, scenes[_i].width, scenes[_i].height);
    ck_assert_msg(got == scenes[_i].hash, "scene %d has the hash 0x%016llx", _i, (unsigned long long)got);
}
END_TEST

/* The other domain: the same scenes with the same labels, as another camera sees them. */
START_TEST(bytes_of_the_camera_are_fixed)
{
    static const struct {
        uint64_t seed;
        int width, height;
        uint64_t hash;
    } scenes[] = {
        {0, 384, 192, 0xd1053eae14a4bf7b},
        {7, 512, 256, 0x5e5f9a0ad1133854},
        {1000000, 97, 333, 0x455b5b4d45a68189},
        {0xffffffffffffffffu, 64, 64, 0x3b2676424ec0451e},
    };
    look = street_look("camera");
    uint64_t got = hash_of(scenes[_i].seed, scenes[_i].width, scenes[_i].height);
    ck_assert_msg(got == scenes[_i].hash, "scene %d has the hash 0x%016llx", _i, (unsigned long long)got);
}
END_TEST

/* Mean brightness, mean excess of green, and mean difference of neighbours. */
static void describe(const unsigned char *rgb, int width, int height, double found[3])
{
    int pixels = width * height;
    memset(found, 0, 3 * sizeof *found);
    for (int i = 0; i < pixels; i++) {
        const unsigned char *at = rgb + i * 3;
        found[0] += (at[0] + at[1] + at[2]) / 3.0 / pixels;
        found[1] += (at[1] - (at[0] + at[2]) / 2.0) / pixels;
        if (i % width) found[2] += (double)abs(at[1] - at[-2]) / pixels;
    }
}

START_TEST(the_looks_share_labels_and_differ_in_pictures)
{
    double found[2][3], sums[2][2] = {{0}};
    for (uint64_t seed = 0; seed < 12; seed++) {
        unsigned char *rgb[2], *labels[2];
        look = street_look("rendered");
        draw(seed, 192, 96, &rgb[0], &labels[0]);
        look = street_look("camera");
        draw(seed, 192, 96, &rgb[1], &labels[1]);
        ck_assert_mem_eq(labels[0], labels[1], 192 * 96);
        for (int i = 0; i < 2; i++) {
            describe(rgb[i], 192, 96, found[i]);
            sums[i][0] += found[i][0] / 12;
            sums[i][1] += found[i][1] / 12;
            free(rgb[i]);
            free(labels[i]);
        }
        ck_assert_double_gt(found[1][2], found[0][2] * 0.5); /* no flat picture */
    }
    ck_assert_msg(sums[1][0] < sums[0][0] - 10, "brightness %g and %g", sums[0][0], sums[1][0]);
    ck_assert_msg(sums[1][1] > sums[0][1] + 2, "green %g and %g", sums[0][1], sums[1][1]);
}
END_TEST

START_TEST(twice_is_the_same_and_seeds_differ)
{
    ck_assert(hash_of(3, 128, 64) == hash_of(3, 128, 64));
    ck_assert(hash_of(3, 128, 64) != hash_of(4, 128, 64));
    ck_assert(hash_of(3, 128, 64) != hash_of(3 + (1ull << 32), 128, 64));
}
END_TEST

static void count_labels(uint64_t seed, int width, int height, int64_t counts[256])
{
    unsigned char *rgb, *labels;
    draw(seed, width, height, &rgb, &labels);
    for (int i = 0; i < width * height; i++) counts[labels[i]]++;
    free(rgb);
    free(labels);
}

START_TEST(every_class_and_no_other_appears)
{
    int64_t counts[256] = {0}, all = 0;
    for (uint64_t seed = 0; seed < 200; seed++) count_labels(seed, 256, 128, counts);
    for (int i = 0; i < 256; i++) {
        bool is_label = i < STREET_CLASSES || i == STREET_VOID;
        ck_assert_msg(is_label ? counts[i] >= 500 : !counts[i], "label %d: %lld pixels", i,
                      (long long)counts[i]);
        all += counts[i];
    }
    ck_assert_int_eq(all, 200 * 256 * 128);
    ck_assert_int_lt(counts[STREET_VOID], all / 20);
}
END_TEST

START_TEST(every_pixel_of_every_size_is_drawn)
{
    static const int sizes[][2] = {{32, 32}, {32, 400}, {700, 32}, {33, 65}, {1024, 512}, {129, 97}};
    for (uint64_t seed = 20; seed < 26; seed++) {
        int64_t counts[256] = {0};
        count_labels(seed, sizes[_i][0], sizes[_i][1], counts);
        int64_t labelled = counts[STREET_VOID];
        for (int c = 0; c < STREET_CLASSES; c++) labelled += counts[c];
        ck_assert_int_eq(labelled, sizes[_i][0] * sizes[_i][1]);
    }
}
END_TEST

/* A scene is the same at every size: the shares of the large classes hardly change. */
START_TEST(size_does_not_change_the_scene)
{
    int64_t small[256] = {0}, large[256] = {0};
    count_labels(11, 128, 64, small);
    count_labels(11, 512, 256, large);
    for (int c = 0; c < STREET_CLASSES; c++)
        ck_assert_msg(llabs(small[c] * 16 - large[c]) < 512 * 256 / 50, "class %d: %lld and %lld pixels", c,
                      (long long)small[c] * 16, (long long)large[c]);
}
END_TEST

START_TEST(sizes_out_of_range_are_refused)
{
    static const int sizes[][2] = {{31, 64}, {64, 31}, {8193, 64}, {64, 8193}, {0, 0}, {-1, 64}};
    RtError err = {0};
    unsigned char byte;
    ck_assert_int_eq(street_draw(look, 0, sizes[_i][0], sizes[_i][1], &byte, &byte, &err), RT_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "32 to 8192"));
}
END_TEST

START_TEST(unknown_looks_are_none)
{
    ck_assert_ptr_null(street_look("camera obscura"));
    ck_assert_ptr_null(street_look(""));
}
END_TEST

START_TEST(a_drawn_set_is_its_scenes)
{
    DataSet set;
    RtImage image;
    RtLabels labels;
    RtError err = {0};
    unsigned char *rgb, *ids;
    ck_assert_msg(!data_open("builtin:rendered:3,seed=40,size=48x96", &set, &err), "%s", err.text);
    ck_assert_uint_eq(set.count, 3);
    ck_assert_str_eq(set.pairs[2].image, "rendered_42");
    data_default_size(&set, 500, 500);
    ck_assert_msg(!data_read(&set, 2, &image, &labels, &err), "%s", err.text);
    ck_assert_int_eq(image.width, 96);
    ck_assert_int_eq(labels.height, 48);
    draw(42, 96, 48, &rgb, &ids);
    ck_assert_mem_eq(image.pixels, rgb, 96 * 48 * 3);
    for (int i = 0; i < 96 * 48; i++) ck_assert_int_eq(labels.classes[i], ids[i]);
    free(rgb);
    free(ids);
    image_free(&image);
    image_labels_free(&labels);
    data_close(&set);
}
END_TEST

START_TEST(a_drawn_set_takes_the_callers_size)
{
    DataSet set;
    RtImage image;
    RtLabels labels;
    RtError err = {0};
    ck_assert_int_eq(data_open("builtin:rendered:1", &set, &err), RT_OK);
    ck_assert_int_eq(data_read(&set, 0, &image, &labels, &err), RT_BUG); /* still without a size */
    ck_assert_ptr_null(image.pixels);
    ck_assert_ptr_null(labels.classes);
    data_default_size(&set, 80, 40);
    ck_assert_int_eq(data_read(&set, 0, &image, &labels, &err), RT_OK);
    ck_assert_int_eq(image.width, 80);
    image_free(&image);
    image_labels_free(&labels);
    data_close(&set);
}
END_TEST

START_TEST(bad_specifications_are_explained)
{
    static const struct {
        const char *spec, *part;
    } bad[] = {
        {"builtin:", "no such look"},
        {"builtin:oil:4", "no such look"},
        {"builtin:rendered", "count"},
        {"builtin:rendered:0", "count"},
        {"builtin:rendered:-2", "count"},
        {"builtin:rendered:1000001", "count"},
        {"builtin:rendered:many", "count"},
        {"builtin:rendered:4,size=16x64", "sides of 32 to 8192"},
        {"builtin:rendered:4,size=64", "HxW"},
        {"builtin:rendered:4,size=64x9000", "HxW"},
        {"builtin:rendered:4,seed=x", "seed is a whole number"},
        {"builtin:rendered:4,angle=3", "only seed and size"},
    };
    DataSet set;
    RtError err = {0};
    ck_assert_int_eq(data_open(bad[_i].spec, &set, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, bad[_i].part), "'%s' is not in: %s", bad[_i].part, err.text);
    ck_assert_msg(strstr(err.text, bad[_i].spec), "the specification is not in: %s", err.text);
    data_close(&set);
}
END_TEST

/* Fails at every allocation in turn until none is left to fail. */
START_TEST(drawing_survives_lack_of_memory)
{
    RtStatus status = RT_MACHINE;
    long nth = 0;
    for (; status && nth < 20; nth++) {
        DataSet set;
        RtImage image = {0};
        RtLabels labels = {0};
        RtError err = {0};
        rt_alloc_fail_at(nth + 1);
        status = data_open("builtin:rendered:2,size=32x32", &set, &err);
        if (!status) status = data_read(&set, 1, &image, &labels, &err);
        rt_alloc_fail_at(0);
        ck_assert(status == RT_OK || status == RT_MACHINE);
        image_free(&image);
        image_labels_free(&labels);
        data_close(&set);
    }
    ck_assert_int_eq(status, RT_OK);
    ck_assert_int_gt(nth, 5);
}
END_TEST

Suite *street_suite(void)
{
    TCase *drawing = tcase_create("drawing");
    tcase_add_checked_fixture(drawing, set_up, NULL);
    tcase_set_timeout(drawing, 60);
    tcase_add_loop_test(drawing, bytes_are_fixed, 0, 4);
    tcase_add_loop_test(drawing, bytes_of_the_camera_are_fixed, 0, 4);
    tcase_add_test(drawing, the_looks_share_labels_and_differ_in_pictures);
    tcase_add_test(drawing, twice_is_the_same_and_seeds_differ);
    tcase_add_test(drawing, every_class_and_no_other_appears);
    tcase_add_loop_test(drawing, every_pixel_of_every_size_is_drawn, 0, 6);
    tcase_add_test(drawing, size_does_not_change_the_scene);
    tcase_add_loop_test(drawing, sizes_out_of_range_are_refused, 0, 6);
    tcase_add_test(drawing, unknown_looks_are_none);
    TCase *sets = tcase_create("sets");
    tcase_add_checked_fixture(sets, set_up, NULL);
    tcase_add_test(sets, a_drawn_set_is_its_scenes);
    tcase_add_test(sets, a_drawn_set_takes_the_callers_size);
    tcase_add_loop_test(sets, bad_specifications_are_explained, 0, 12);
    tcase_add_test(sets, drawing_survives_lack_of_memory);
    Suite *suite = suite_create("street");
    suite_add_tcase(suite, drawing);
    suite_add_tcase(suite, sets);
    return suite;
}
