/* JPEGs that Pillow cannot write, made here with libjpeg: arithmetic coding, and progressive pictures of many
 * scans. */
#include "rt_image.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { WIDTH = 24, HEIGHT = 16, MOST_SCANS = 3 * 63 * 4 + 1 };

typedef struct Encoded {
    unsigned char *data; /* malloc */
    unsigned long size;
} Encoded;

/* Two components are samples without a colour space. */
static Encoded encode(int components, bool arithmetic, const jpeg_scan_info *scans, int scan_count)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    Encoded encoded = {0};
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &encoded.data, &encoded.size);
    jpeg.image_width = WIDTH;
    jpeg.image_height = HEIGHT;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 3 ? JCS_RGB : JCS_UNKNOWN;
    jpeg_set_defaults(&jpeg);
    jpeg.arith_code = arithmetic;
    jpeg.scan_info = scans;
    jpeg.num_scans = scan_count;
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < HEIGHT; y++) {
        unsigned char pixels[WIDTH * 3];
        for (int i = 0; i < WIDTH * 3; i++) pixels[i] = (unsigned char)(i * y + 11 * i);
        JSAMPROW row = pixels;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return encoded;
}

/* The legal script of one scan for all DC values and, for each component, one for every AC coefficient and
 * each of its bits below the last but lowest_bits. */
static int write_script(jpeg_scan_info *scans, int lowest_bits)
{
    int count = 0;
    scans[count++] = (jpeg_scan_info){3, {0, 1, 2}, 0, 0, 0, 0};
    for (int component = 0; component < 3; component++) {
        for (int k = 1; k < 64; k++) {
            scans[count++] = (jpeg_scan_info){1, {component}, k, k, 0, lowest_bits};
            for (int bit = lowest_bits; bit > 0; bit--)
                scans[count++] = (jpeg_scan_info){1, {component}, k, k, bit, bit - 1};
        }
    }
    return count;
}

static void expect_equal(const Encoded *left, const Encoded *right)
{
    RtImage a, b;
    RtError err;
    ck_assert_msg(!image_decode_rgb("left", left->data, left->size, &a, &err), "%s", err.text);
    ck_assert_msg(!image_decode_rgb("right", right->data, right->size, &b, &err), "%s", err.text);
    ck_assert_int_eq(a.width, WIDTH);
    ck_assert_int_eq(a.height, HEIGHT);
    ck_assert_mem_eq(a.pixels, b.pixels, WIDTH * HEIGHT * 3);
    image_free(&a);
    image_free(&b);
}

START_TEST(arithmetic_coding_gives_the_same_picture)
{
    Encoded huffman = encode(3, false, NULL, 0), arithmetic = encode(3, true, NULL, 0);
    expect_equal(&huffman, &arithmetic);
    free(huffman.data);
    free(arithmetic.data);
}
END_TEST

START_TEST(two_hundred_scans_give_the_same_picture)
{
    static jpeg_scan_info scans[MOST_SCANS];
    Encoded one = encode(3, false, NULL, 0), many = encode(3, false, scans, write_script(scans, 0));
    expect_equal(&one, &many);
    free(one.data);
    free(many.data);
}
END_TEST

/* A small file of a large size and hundreds of scans would take minutes. */
START_TEST(too_many_scans_are_refused)
{
    static jpeg_scan_info scans[MOST_SCANS];
    Encoded many = encode(3, false, scans, write_script(scans, 3));
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_decode_rgb("bomb", many.data, many.size, &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "bomb: damaged or unsupported JPEG: more than 500 scans");
    ck_assert_ptr_null(image.pixels);
    free(many.data);
}
END_TEST

START_TEST(two_components_are_refused)
{
    Encoded two = encode(2, false, NULL, 0);
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_decode_rgb("two", two.data, two.size, &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "two: a JPEG of 2 components; 1 (grey), 3 (colour) and 4 (CMYK) can be read");
    ck_assert_ptr_null(image.pixels);
    free(two.data);
}
END_TEST

Suite *image_jpeg_suite(void);

Suite *image_jpeg_suite(void)
{
    TCase *tests = tcase_create("jpeg");
    tcase_add_test(tests, arithmetic_coding_gives_the_same_picture);
    tcase_add_test(tests, two_hundred_scans_give_the_same_picture);
    tcase_add_test(tests, too_many_scans_are_refused);
    tcase_add_test(tests, two_components_are_refused);
    Suite *suite = suite_create("image_jpeg");
    suite_add_tcase(suite, tests);
    return suite;
}
