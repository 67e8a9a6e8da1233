/* Reading pictures and labels: what is right, what is refused, and that nothing is left behind. The pictures
 * and what Pillow reads in them come from tests/peers/make_image_fixtures.py. */
#define _GNU_SOURCE
#include "rt_image.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "tests/fixtures/images/"

static const char *const good[] = {
    "grey1.png",
    "grey2.png",
    "grey4.png",
    "grey8.png",
    "grey16.png",
    "grey1_interlaced.png",
    "grey2_interlaced.png",
    "grey4_interlaced.png",
    "grey8_interlaced.png",
    "grey16_interlaced.png",
    "grey8_trns.png",
    "grey_alpha8.png",
    "grey_alpha16.png",
    "grey_alpha8_interlaced.png",
    "grey_alpha16_interlaced.png",
    "palette1.png",
    "palette2.png",
    "palette4.png",
    "palette8.png",
    "palette4_interlaced.png",
    "palette8_trns.png",
    "palette8_short.png",
    "rgb8.png",
    "rgb16.png",
    "rgb8_interlaced.png",
    "rgb16_interlaced.png",
    "rgb8_trns.png",
    "rgb8_gamma.png",
    "rgb8_odd_chunk.png",
    "rgb8_split.png",
    "rgb8_trailing.png",
    "rgb8_apng.png",
    "rgba8.png",
    "rgba16.png",
    "rgba8_interlaced.png",
    "rgba16_interlaced.png",
    "jpeg_444.jpg",
    "jpeg_422.jpg",
    "jpeg_420.jpg",
    "jpeg_grey.jpg",
    "jpeg_progressive.jpg",
    "jpeg_restart.jpg",
    "jpeg_cmyk.jpg",
    "jpeg_ycck.jpg",
    "jpeg_rgb.jpg",
    "jpeg_trailing.jpg",
    "jpeg_header_stray.jpg",
    "jpeg_exif1.jpg",
    "jpeg_exif2.jpg",
    "jpeg_exif3.jpg",
    "jpeg_exif4.jpg",
    "jpeg_exif5.jpg",
    "jpeg_exif6.jpg",
    "jpeg_exif7.jpg",
    "jpeg_exif8.jpg",
    "jpeg_exif9.jpg",
    "jpeg_exif_cut.jpg",
};
enum { GOOD_COUNT = sizeof good / sizeof *good, WIDTH = 13, HEIGHT = 9 };

/* A file of FOLDER/bad, and what its message must say after the path. */
static const struct {
    const char *file, *says;
} bad[] = {
    {"empty.png", "not a PNG or JPEG image (the file is empty)"},
    {"other.png", "not a PNG or JPEG image (starts with \"GIF89a\\x01\\x00\")"},
    {"png_crc.png", "damaged PNG: IDAT: CRC error"},
    {"png_header_crc.png", "damaged PNG: IHDR: CRC error"},
    {"png_adler.png", "damaged PNG: IDAT: incorrect data check"},
    {"png_short_data.png", "damaged PNG: Not enough image data"},
    {"png_no_data.png", "damaged PNG: it holds no pixels"},
    {"png_no_palette.png", "damaged PNG: IDAT: Missing PLTE before IDAT"},
    {"png_filter.png", "damaged PNG: bad adaptive filter value"},
    {"png_zero_wide.png", "damaged PNG: Image width is zero in IHDR"},
    {"png_depth.png", "damaged PNG: Invalid bit depth in IHDR"},
    {"png_critical_chunk.png", "damaged PNG: TeSt: unhandled critical chunk"},
    {"png_too_wide.png", "65536x1 pixels; at most 65535 on a side and 268435456 in all can be read"},
    {"png_too_many.png", "65535x65535 pixels; at most 65535 on a side and 268435456 in all can be read"},
    {"jpeg_too_many.jpg", "65500x65500 pixels; at most 65535 on a side and 268435456 in all can be read"},
    {"jpeg_12bit.jpg", "damaged or unsupported JPEG: Unsupported JPEG data precision 12"},
    {"jpeg_lossless.jpg", "damaged or unsupported JPEG: Unsupported JPEG process: SOF type 0xc3"},
    {"jpeg_zero_high.jpg", "damaged or unsupported JPEG: Empty JPEG image (DNL not supported)"},
    {"jpeg_end_early.jpg", "damaged or unsupported JPEG: Corrupt JPEG data: premature end of data segment"},
    {"jpeg_stray_in_scan.jpg",
     "damaged or unsupported JPEG: Corrupt JPEG data: 34 extraneous bytes before marker 0xd9"},
    {"jpeg_no_tables.jpg", "damaged or unsupported JPEG: Quantization table 0x00 was not defined"},
};
enum { BAD_COUNT = sizeof bad / sizeof *bad };

typedef struct Bytes {
    unsigned char data[4096];
    size_t size;
} Bytes;

static Bytes load(const char *path)
{
    Bytes bytes;
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    bytes.size = fread(bytes.data, 1, sizeof bytes.data, file);
    fclose(file);
    ck_assert_uint_lt(bytes.size, sizeof bytes.data);
    return bytes;
}

static Bytes load_good(int i)
{
    char path[200];
    snprintf(path, sizeof path, FOLDER "%s", good[i]);
    return load(path);
}

START_TEST(reads_what_pillow_reads)
{
    char path[200], expected_path[200];
    snprintf(path, sizeof path, FOLDER "%s", good[_i]);
    snprintf(expected_path, sizeof expected_path, FOLDER "%.*s.rgb", (int)strlen(good[_i]) - 4, good[_i]);
    Bytes expected = load(expected_path);
    RtImage image;
    RtError err;
    ck_assert_msg(image_read_rgb(path, &image, &err) == RT_OK, "%s", err.text);
    bool turned = strpbrk(good[_i], "5678") && strstr(good[_i], "exif");
    ck_assert_int_eq(image.width, turned ? HEIGHT : WIDTH);
    ck_assert_int_eq(image.height, turned ? WIDTH : HEIGHT);
    ck_assert_int_eq(image.channels, 3);
    ck_assert_uint_eq(expected.size, WIDTH * HEIGHT * 3);
    for (size_t i = 0; i < expected.size; i++)
        ck_assert_msg(image.pixels[i] == expected.data[i], "%s: byte %zu is %d, expected %d", path, i,
                      image.pixels[i], expected.data[i]);
    image_free(&image);
}
END_TEST

START_TEST(refuses_bad_files)
{
    char path[200], text[300];
    snprintf(path, sizeof path, FOLDER "bad/%s", bad[_i].file);
    snprintf(text, sizeof text, "%s: %s", path, bad[_i].says);
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_read_rgb(path, &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, text);
    ck_assert_ptr_null(image.pixels);
    ck_assert_int_eq(image.width, 0);
    image_free(&image);
}
END_TEST

/* Cut anywhere, a picture is never half-used; the two with bytes after their end are whole before it. */
START_TEST(refuses_every_truncation)
{
    if (strstr(good[_i], "trailing")) return;
    Bytes bytes = load_good(_i);
    for (size_t size = 0; size < bytes.size; size++) {
        unsigned char *exact = malloc(size + 1); /* at its own size, so that reading past it is seen */
        memcpy(exact, bytes.data, size);
        RtImage image;
        RtError err;
        ck_assert_msg(image_decode_rgb("cut", exact, size, &image, &err) == RT_BAD_INPUT, "%s: %zu bytes",
                      good[_i], size);
        ck_assert_ptr_null(image.pixels);
        free(exact);
    }
}
END_TEST

/* Every allocation that we make is made to fail in turn; libpng may do without the small ones. */
START_TEST(survives_lack_of_memory)
{
    Bytes bytes = load_good(_i);
    RtStatus status = RT_MACHINE;
    for (long nth = 1; nth < 50; nth++) {
        RtImage image;
        RtError err = {0};
        rt_alloc_fail_at(nth);
        status = image_decode_rgb(good[_i], bytes.data, bytes.size, &image, &err);
        rt_alloc_fail_at(0);
        ck_assert_msg(status == RT_OK || status == RT_MACHINE, "allocation %ld: %d %s", nth, status,
                      err.text);
        ck_assert(status == RT_OK || (!image.pixels && strstr(err.text, "no memory")));
        image_free(&image);
    }
    ck_assert_int_eq(status, RT_OK);
}
END_TEST

START_TEST(labels_survive_lack_of_memory)
{
    Bytes bytes = load(FOLDER "palette8.png");
    RtStatus status = RT_MACHINE;
    for (long nth = 1; nth < 50; nth++) {
        RtLabels labels;
        RtError err;
        rt_alloc_fail_at(nth);
        status = image_decode_labels("labels", bytes.data, bytes.size, &labels, &err);
        rt_alloc_fail_at(0);
        ck_assert(status == RT_OK || (status == RT_MACHINE && !labels.ids && strstr(err.text, "no memory")));
        image_labels_free(&labels);
    }
    ck_assert_int_eq(status, RT_OK);
}
END_TEST

START_TEST(names_a_missing_file)
{
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_read_rgb("no/such.png", &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "no/such.png: cannot open: No such file or directory");
}
END_TEST

START_TEST(names_a_folder)
{
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_read_rgb("tests/fixtures", &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "tests/fixtures: a folder, not an image");
}
END_TEST

START_TEST(does_not_wait_for_a_fifo)
{
    char folder[] = "/tmp/segc-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe.png", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    RtImage image;
    RtError err;
    RtStatus status = image_read_rgb(path, &image, &err);
    unlink(path);
    rmdir(folder);
    ck_assert_int_eq(status, RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
}
END_TEST

START_TEST(the_error_may_be_null)
{
    RtImage image;
    ck_assert_int_eq(image_read_rgb("no/such.png", &image, NULL), RT_BAD_INPUT);
    ck_assert_int_eq(image_read_rgb(FOLDER "bad/png_crc.png", &image, NULL), RT_BAD_INPUT);
}
END_TEST

START_TEST(one_line_even_for_binary_starts)
{
    RtImage image;
    RtError err;
    ck_assert_int_eq(image_decode_rgb("f", "a\"\n\\\0\x80", 6, &image, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "f: not a PNG or JPEG image (starts with \"a\\x22\\x0a\\x5c\\x00\\x80\")");
}
END_TEST

/* Sample c of pixel (x, y) in the fixtures. */
static int sample(int x, int y, int c, int depth)
{
    return ((x * 5003 + y * 977 + c * 31013 + x * y * 211) >> 3) & ((1 << depth) - 1);
}

static const struct {
    const char *file;
    int depth, palette;
} id_files[] = {
    {"grey1.png", 1, 0},
    {"grey2.png", 2, 0},
    {"grey4.png", 4, 0},
    {"grey8.png", 8, 0},
    {"grey16.png", 16, 0},
    {"grey2_interlaced.png", 2, 0},
    {"grey16_interlaced.png", 16, 0},
    {"grey8_trns.png", 8, 0},
    {"palette1.png", 1, 2},
    {"palette2.png", 2, 4},
    {"palette4.png", 4, 16},
    {"palette4_interlaced.png", 4, 16},
    {"palette8.png", 8, 256},
};
enum { ID_COUNT = sizeof id_files / sizeof *id_files };

START_TEST(labels_are_the_stored_samples)
{
    char path[200];
    snprintf(path, sizeof path, FOLDER "%s", id_files[_i].file);
    RtLabels labels;
    RtError err;
    ck_assert_msg(image_read_labels(path, &labels, &err) == RT_OK, "%s", err.text);
    ck_assert_int_eq(labels.width, WIDTH);
    ck_assert_int_eq(labels.height, HEIGHT);
    ck_assert_int_eq(labels.palette.count, id_files[_i].palette);
    ck_assert_ptr_null(labels.colors);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            ck_assert_int_eq(labels.ids[y * WIDTH + x], sample(x, y, 0, id_files[_i].depth));
    image_labels_free(&labels);
}
END_TEST

START_TEST(label_palettes_are_kept)
{
    RtLabels labels;
    RtError err;
    ck_assert_int_eq(image_read_labels(FOLDER "palette4.png", &labels, &err), RT_OK);
    const unsigned char third[3] = {3 * 37, (3 * 101 + 60) & 255, 255 - 3 * 13};
    ck_assert_mem_eq(labels.palette.rgb[3], third, 3);
    image_labels_free(&labels);
}
END_TEST

START_TEST(colored_labels_keep_their_colors)
{
    const char *const files[] = {FOLDER "rgb8.png", FOLDER "rgba8_interlaced.png"};
    RtLabels labels;
    RtError err;
    ck_assert_int_eq(image_read_labels(files[_i], &labels, &err), RT_OK);
    ck_assert_ptr_null(labels.ids);
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        ck_assert_int_eq(labels.colors[i], sample(i / 3 % WIDTH, i / 3 / WIDTH, i % 3, 8));
    image_labels_free(&labels);
}
END_TEST

START_TEST(labels_drop_alpha)
{
    RtLabels labels;
    RtError err;
    ck_assert_int_eq(image_read_labels(FOLDER "grey_alpha16.png", &labels, &err), RT_OK);
    ck_assert_int_eq(labels.ids[WIDTH + 2], sample(2, 1, 0, 16));
    image_labels_free(&labels);
}
END_TEST

static const struct {
    const char *file, *says;
} bad_labels[] = {
    {"jpeg_444.jpg", "a JPEG cannot hold labels: its lossy compression changes class ids; use PNG"},
    {"rgb16.png", "labels as 16-bit RGB; expected 8-bit RGB, grey or a palette"},
    {"bad/png_crc.png", "damaged PNG: IDAT: CRC error"},
    {"bad/png_too_many.png", "65535x65535 pixels; at most 65535 on a side and 268435456 in all can be read"},
    {"bad/empty.png", "not a PNG or JPEG image (the file is empty)"},
    {"missing.png", "cannot open: No such file or directory"},
};
enum { BAD_LABEL_COUNT = sizeof bad_labels / sizeof *bad_labels };

START_TEST(refuses_bad_labels)
{
    char path[200], text[300];
    snprintf(path, sizeof path, FOLDER "%s", bad_labels[_i].file);
    snprintf(text, sizeof text, "%s: %s", path, bad_labels[_i].says);
    RtLabels labels;
    RtError err;
    ck_assert_int_eq(image_read_labels(path, &labels, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, text);
    ck_assert_ptr_null(labels.ids);
    ck_assert_ptr_null(labels.colors);
}
END_TEST

Suite *image_suite(void);

Suite *image_suite(void)
{
    TCase *rgb = tcase_create("rgb");
    tcase_add_loop_test(rgb, reads_what_pillow_reads, 0, GOOD_COUNT);
    tcase_add_loop_test(rgb, refuses_bad_files, 0, BAD_COUNT);
    tcase_add_loop_test(rgb, refuses_every_truncation, 0, GOOD_COUNT);
    tcase_add_loop_test(rgb, survives_lack_of_memory, 0, GOOD_COUNT);
    tcase_add_test(rgb, names_a_missing_file);
    tcase_add_test(rgb, names_a_folder);
    tcase_add_test(rgb, does_not_wait_for_a_fifo);
    tcase_add_test(rgb, the_error_may_be_null);
    tcase_add_test(rgb, one_line_even_for_binary_starts);
    TCase *labels = tcase_create("labels");
    tcase_add_loop_test(labels, labels_are_the_stored_samples, 0, ID_COUNT);
    tcase_add_loop_test(labels, colored_labels_keep_their_colors, 0, 2);
    tcase_add_loop_test(labels, refuses_bad_labels, 0, BAD_LABEL_COUNT);
    tcase_add_test(labels, label_palettes_are_kept);
    tcase_add_test(labels, labels_drop_alpha);
    tcase_add_test(labels, labels_survive_lack_of_memory);
    Suite *suite = suite_create("image");
    suite_add_tcase(suite, rgb);
    suite_add_tcase(suite, labels);
    return suite;
}
