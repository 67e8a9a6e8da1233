/* Resizing against Pillow's results, which tests/peers/make_image_fixtures.py wrote, and against arithmetic.
 */
#include "rt_image.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define FOLDER "tests/fixtures/images/"

static const struct {
    int width, height;
} sizes[] = {{7, 5}, {26, 9}, {5, 20}, {1, 1}, {40, 3}, {13, 4}, {6, 9}, {13, 9}, {31, 23}, {2, 2}};
enum { SIZE_COUNT = sizeof sizes / sizeof *sizes };

typedef RtStatus Resize(const RtImage *, int, int, RtImage *, RtError *);

static void read_picture(RtImage *image)
{
    RtError err;
    ck_assert_msg(image_read_rgb(FOLDER "rgb8.png", image, &err) == RT_OK, "%s", err.text);
}

static void expect_file(const RtImage *image, const char *kind, int width, int height)
{
    char path[200];
    unsigned char expected[4096];
    snprintf(path, sizeof path, FOLDER "%s_%dx%d.rgb", kind, width, height);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    size_t size = fread(expected, 1, sizeof expected, file);
    fclose(file);
    ck_assert_uint_eq(size, (size_t)(width * height * 3));
    ck_assert_int_eq(image->width, width);
    ck_assert_int_eq(image->height, height);
    for (size_t i = 0; i < size; i++)
        ck_assert_msg(image->pixels[i] == expected[i], "%s: byte %zu is %d, expected %d", path, i,
                      image->pixels[i], expected[i]);
}

START_TEST(bilinear_is_pillows)
{
    RtImage image, resized;
    RtError err;
    read_picture(&image);
    ck_assert_int_eq(image_resize_bilinear(&image, sizes[_i].width, sizes[_i].height, &resized, &err), RT_OK);
    expect_file(&resized, "resize", sizes[_i].width, sizes[_i].height);
    image_free(&resized);
    image_free(&image);
}
END_TEST

START_TEST(nearest_is_pillows)
{
    RtImage image, resized;
    RtError err;
    read_picture(&image);
    ck_assert_int_eq(image_resize_nearest(&image, sizes[_i].width, sizes[_i].height, &resized, &err), RT_OK);
    expect_file(&resized, "nearest", sizes[_i].width, sizes[_i].height);
    image_free(&resized);
    image_free(&image);
}
END_TEST

/* One channel gives what each of three gives. */
START_TEST(one_channel_is_like_three)
{
    Resize *const resizes[] = {image_resize_bilinear, image_resize_nearest};
    RtImage image, grey, wanted, resized;
    RtError err;
    read_picture(&image);
    ck_assert_int_eq(image_new(&grey, image.width, image.height, 1, &err), RT_OK);
    for (int i = 0; i < image.width * image.height; i++) grey.pixels[i] = image.pixels[i * 3 + 1];
    ck_assert_int_eq(resizes[_i](&image, 9, 14, &wanted, &err), RT_OK);
    ck_assert_int_eq(resizes[_i](&grey, 9, 14, &resized, &err), RT_OK);
    ck_assert_int_eq(resized.channels, 1);
    for (int i = 0; i < 9 * 14; i++) ck_assert_int_eq(resized.pixels[i], wanted.pixels[i * 3 + 1]);
    image_free(&image);
    image_free(&grey);
    image_free(&wanted);
    image_free(&resized);
}
END_TEST

START_TEST(a_flat_picture_stays_flat)
{
    RtImage image, resized;
    RtError err;
    ck_assert_int_eq(image_new(&image, 1000, 3, 3, &err), RT_OK);
    memset(image.pixels, 255, 9000);
    ck_assert_int_eq(image_resize_bilinear(&image, 7, 2, &resized, &err), RT_OK);
    for (int i = 0; i < 7 * 2 * 3; i++) ck_assert_int_eq(resized.pixels[i], 255);
    image_free(&image);
    image_free(&resized);
}
END_TEST

START_TEST(labels_resize_like_pixels)
{
    RtLabels labels, resized;
    RtImage image, expected;
    RtError err;
    ck_assert_int_eq(image_read_labels(FOLDER "grey8.png", &labels, &err), RT_OK);
    ck_assert_int_eq(image_read_rgb(FOLDER "grey8.png", &image, &err), RT_OK);
    labels.ids[0] = 40000; /* beyond 8 bits */
    ck_assert_int_eq(image_resize_labels(&labels, 20, 7, &resized, &err), RT_OK);
    ck_assert_int_eq(image_resize_nearest(&image, 20, 7, &expected, &err), RT_OK);
    ck_assert_int_eq(resized.ids[0], 40000);
    for (int i = 2; i < 20 * 7; i++) ck_assert_int_eq(resized.ids[i], expected.pixels[i * 3]);
    image_labels_free(&labels);
    image_labels_free(&resized);
    image_free(&image);
    image_free(&expected);
}
END_TEST

START_TEST(colored_labels_resize_too)
{
    RtLabels labels, resized;
    RtError err;
    ck_assert_int_eq(image_read_labels(FOLDER "rgb8.png", &labels, &err), RT_OK);
    ck_assert_int_eq(image_resize_labels(&labels, 26, 9, &resized, &err), RT_OK);
    ck_assert_ptr_null(resized.ids);
    expect_file(&(RtImage){26, 9, 3, resized.colors}, "nearest", 26, 9);
    image_labels_free(&labels);
    image_labels_free(&resized);
}
END_TEST

/* Rows of one channel, from -> to, as half-pixel centres have it. */
static const struct {
    int in, out;
    unsigned char from[4];
    float to[8];
} lines[] = {
    {2, 4, {0, 100}, {0, 25, 75, 100}}, {4, 2, {0, 10, 20, 40}, {5, 30}},
    {4, 1, {0, 10, 20, 40}, {15}},      {1, 3, {7}, {7, 7, 7}},
    {3, 3, {1, 2, 250}, {1, 2, 250}},   {2, 8, {0, 8}, {0, 0, 1, 3, 5, 7, 8, 8}},
};
enum { LINE_COUNT = sizeof lines / sizeof *lines };

START_TEST(planes_interpolate_between_centres)
{
    const RtImage row = {lines[_i].in, 1, 1, (unsigned char *)lines[_i].from};
    const RtImage column = {1, lines[_i].in, 1, (unsigned char *)lines[_i].from};
    float along[8], down[8];
    RtError err;
    ck_assert_int_eq(image_resize_planes(&row, lines[_i].out, 1, (float *[]){along}, &err), RT_OK);
    ck_assert_int_eq(image_resize_planes(&column, 1, lines[_i].out, (float *[]){down}, &err), RT_OK);
    /* 2 -> 8 has eighths of a pixel: 0.125 and 0.375 of the way at first. */
    for (int i = 0; i < lines[_i].out; i++) {
        ck_assert_float_eq_tol(along[i], lines[_i].to[i], 1e-5f);
        ck_assert_float_eq_tol(down[i], lines[_i].to[i], 1e-5f);
    }
}
END_TEST

START_TEST(planes_take_any_order_of_channels)
{
    const RtImage pixel = {1, 1, 3, (unsigned char[]){10, 20, 30}};
    float bgr[3];
    RtError err;
    ck_assert_int_eq(image_resize_planes(&pixel, 1, 1, (float *[]){bgr + 2, bgr + 1, bgr}, &err), RT_OK);
    ck_assert_float_eq(bgr[0], 30);
    ck_assert_float_eq(bgr[2], 10);
}
END_TEST

START_TEST(lack_of_memory_is_reported)
{
    RtImage image;
    RtLabels labels;
    RtError err;
    float plane[3][25 * 20];
    read_picture(&image);
    ck_assert_int_eq(image_read_labels(FOLDER "grey8.png", &labels, &err), RT_OK);
    for (long nth = 1; nth <= 3; nth++) {
        RtImage resized;
        RtLabels resized_labels;
        rt_alloc_fail_at(nth);
        ck_assert_int_eq(image_resize_nearest(&image, 25, 20, &resized, &err), RT_MACHINE);
        ck_assert_ptr_null(resized.pixels);
        rt_alloc_fail_at(nth);
        ck_assert_int_eq(image_resize_labels(&labels, 25, 20, &resized_labels, &err), RT_MACHINE);
        ck_assert_ptr_null(resized_labels.ids);
    }
    for (long nth = 1; nth <= 11; nth++) {
        RtImage resized;
        rt_alloc_fail_at(nth);
        ck_assert_int_eq(image_resize_bilinear(&image, 25, 20, &resized, &err), RT_MACHINE);
        ck_assert_ptr_null(resized.pixels);
    }
    for (long nth = 1; nth <= 2; nth++) {
        rt_alloc_fail_at(nth);
        ck_assert_int_eq(image_resize_planes(&image, 25, 20, (float *[]){plane[0], plane[1], plane[2]}, &err),
                         RT_MACHINE);
    }
    rt_alloc_fail_at(0);
    image_free(&image);
    image_labels_free(&labels);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    RtImage image, resized;
    RtError err;
    read_picture(&image);
    ck_assert_int_eq(image_resize_bilinear(&image, 0, 5, &resized, &err), RT_BUG);
    ck_assert_int_eq(image_resize_bilinear(&image, 65536, 5, &resized, &err), RT_BAD_INPUT);
    ck_assert_int_eq(image_resize_nearest(&image, 65000, 65000, &resized, &err), RT_BAD_INPUT);
    image_free(&image);
}
END_TEST

Suite *image_resize_suite(void);

Suite *image_resize_suite(void)
{
    TCase *tests = tcase_create("resize");
    tcase_add_loop_test(tests, bilinear_is_pillows, 0, SIZE_COUNT);
    tcase_add_loop_test(tests, nearest_is_pillows, 0, SIZE_COUNT);
    tcase_add_loop_test(tests, one_channel_is_like_three, 0, 2);
    tcase_add_test(tests, a_flat_picture_stays_flat);
    tcase_add_test(tests, labels_resize_like_pixels);
    tcase_add_test(tests, colored_labels_resize_too);
    tcase_add_loop_test(tests, planes_interpolate_between_centres, 0, LINE_COUNT);
    tcase_add_test(tests, planes_take_any_order_of_channels);
    tcase_add_test(tests, lack_of_memory_is_reported);
    tcase_add_test(tests, impossible_sizes_are_refused);
    Suite *suite = suite_create("image_resize");
    suite_add_tcase(suite, tests);
    return suite;
}
