/* Writing PNG files and drawing results. */
#define _GNU_SOURCE
#include "rt_image.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32], path[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/segc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out.png", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* fails if a temporary file was left */
}

static const RtPalette palette = {.count = 3, .rgb = {{10, 20, 30}, {200, 100, 0}, {255, 255, 255}}};

START_TEST(rgb_comes_back)
{
    unsigned char pixels[17 * 11 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (unsigned char)(i * i + 3 * i);
    RtError err;
    RtImage image;
    ck_assert_msg(!image_write_png(path, pixels, 17, 11, 3, NULL, &err), "%s", err.text);
    ck_assert_msg(!image_read_rgb(path, &image, &err), "%s", err.text);
    ck_assert_int_eq(image.width, 17);
    ck_assert_int_eq(image.height, 11);
    ck_assert_mem_eq(image.pixels, pixels, sizeof pixels);
    image_free(&image);
}
END_TEST

/* With and without a palette, ids come back as labels; a palette gives them colours. */
START_TEST(ids_come_back)
{
    const unsigned char ids[6] = {0, 1, 2, 255, 1, 0};
    RtError err;
    RtLabels labels;
    ck_assert_int_eq(image_write_png(path, ids, 3, 2, 1, _i ? &palette : NULL, &err), RT_OK);
    ck_assert_int_eq(image_read_labels(path, &labels, &err), RT_OK);
    ck_assert_int_eq(labels.palette.count, _i ? 256 : 0);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(labels.ids[i], ids[i]);
    image_labels_free(&labels);
}
END_TEST

START_TEST(palette_colors_are_seen)
{
    const unsigned char ids[2] = {1, 255};
    RtError err;
    RtImage image;
    ck_assert_int_eq(image_write_png(path, ids, 2, 1, 1, &palette, &err), RT_OK);
    ck_assert_int_eq(image_read_rgb(path, &image, &err), RT_OK);
    ck_assert_mem_eq(image.pixels, ((unsigned char[]){200, 100, 0, 0, 0, 0}), 6);
    image_free(&image);
}
END_TEST

START_TEST(writing_replaces)
{
    RtError err;
    RtImage image;
    ck_assert_int_eq(image_write_png(path, (unsigned char[]){1, 2, 3}, 1, 1, 3, NULL, &err), RT_OK);
    ck_assert_int_eq(image_write_png(path, (unsigned char[]){4, 5, 6}, 1, 1, 3, NULL, &err), RT_OK);
    ck_assert_int_eq(image_read_rgb(path, &image, &err), RT_OK);
    ck_assert_int_eq(image.pixels[0], 4);
    image_free(&image);
}
END_TEST

START_TEST(the_mode_follows_the_umask)
{
    RtError err;
    struct stat info;
    mode_t old = umask(027);
    ck_assert_int_eq(image_write_png(path, (unsigned char[]){1}, 1, 1, 1, NULL, &err), RT_OK);
    umask(old);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq((int)(info.st_mode & 0777), 0640);
}
END_TEST

START_TEST(a_missing_folder_is_named)
{
    RtError err;
    ck_assert_int_eq(image_write_png("no/such/out.png", (unsigned char[]){1}, 1, 1, 1, NULL, &err),
                     RT_BAD_INPUT);
    ck_assert_ptr_nonnull(
        strstr(err.text, "no/such/out.png: cannot be written: No such file or directory (after 0 of"));
}
END_TEST

/* A folder cannot be replaced by a file; remove_folder sees whether the temporary file went. */
START_TEST(failure_leaves_nothing)
{
    RtError err;
    ck_assert_int_eq(mkdir(path, 0700), 0);
    RtStatus status = image_write_png(path, (unsigned char[]){1}, 1, 1, 1, NULL, &err);
    rmdir(path);
    ck_assert_int_eq(status, RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot be written: Is a directory"));
}
END_TEST

START_TEST(writing_survives_lack_of_memory)
{
    static unsigned char pixels[64 * 64 * 3];
    RtStatus status = RT_MACHINE;
    RtError err;
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (unsigned char)(i * 2654435761u >> 13);
    for (long nth = 1; nth < 40; nth++) {
        rt_alloc_fail_at(nth);
        status = image_write_png(path, pixels, 64, 64, 3, NULL, &err);
        rt_alloc_fail_at(0);
        ck_assert_int_eq(access(path, F_OK) == 0, status == RT_OK);
        ck_assert(status == RT_OK || (status == RT_MACHINE && strstr(err.text, "memory")));
        unlink(path);
    }
    ck_assert_int_eq(status, RT_OK);
}
END_TEST

START_TEST(impossible_writes_are_our_bug)
{
    RtError err;
    const unsigned char pixel[4] = {0};
    ck_assert_int_eq(image_write_png(path, pixel, 0, 1, 1, NULL, &err), RT_BUG);
    ck_assert_int_eq(image_write_png(path, pixel, 1, 1, 2, NULL, &err), RT_BUG);
    ck_assert_int_eq(image_write_png(path, pixel, 1, 1, 3, &palette, &err), RT_BUG);
}
END_TEST

START_TEST(classes_get_their_colors)
{
    const RtImage classes = {3, 1, 1, (unsigned char[]){2, 0, 77}};
    RtImage rgb;
    RtError err;
    ck_assert_int_eq(image_draw_classes(&classes, &palette, &rgb, &err), RT_OK);
    ck_assert_mem_eq(rgb.pixels, ((unsigned char[]){255, 255, 255, 10, 20, 30, 0, 0, 0}), 9);
    image_free(&rgb);
}
END_TEST

START_TEST(an_overlay_is_half_and_half)
{
    const RtImage image = {2, 1, 3, (unsigned char[]){0, 101, 255, 9, 8, 7}};
    const RtImage classes = {2, 1, 1, (unsigned char[]){1, 255}};
    RtImage overlay;
    RtError err;
    ck_assert_int_eq(image_draw_overlay(&image, &classes, &palette, &overlay, &err), RT_OK);
    ck_assert_mem_eq(overlay.pixels, ((unsigned char[]){100, 101, 128, 9, 8, 7}), 6);
    image_free(&overlay);
}
END_TEST

START_TEST(an_overlay_needs_equal_sizes)
{
    const RtImage image = {2, 1, 3, (unsigned char[6]){0}}, classes = {1, 2, 1, (unsigned char[2]){0}};
    RtImage overlay;
    RtError err;
    ck_assert_int_eq(image_draw_overlay(&image, &classes, &palette, &overlay, &err), RT_BUG);
    ck_assert_str_eq(err.text, "image_draw_overlay: classes of 1x2 on an image of 2x1");
    ck_assert_ptr_null(overlay.pixels);
}
END_TEST

START_TEST(a_panel_has_white_gaps)
{
    const RtImage left = {1, 2, 3, (unsigned char[]){1, 2, 3, 4, 5, 6}};
    const RtImage right = {1, 2, 3, (unsigned char[]){7, 8, 9, 10, 11, 12}};
    unsigned char expected[2][6][3];
    memset(expected, 255, sizeof expected);
    for (int y = 0; y < 2; y++) {
        memcpy(expected[y][0], left.pixels + y * 3, 3);
        memcpy(expected[y][5], right.pixels + y * 3, 3);
    }
    RtImage panel;
    RtError err;
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&left, &right}, 2, 2, &panel, &err), RT_OK);
    ck_assert_int_eq(panel.width, 6);
    ck_assert_mem_eq(panel.pixels, expected, sizeof expected);
    image_free(&panel);
}
END_TEST

START_TEST(a_panel_of_one_is_the_image)
{
    const RtImage only = {2, 1, 3, (unsigned char[]){1, 2, 3, 4, 5, 6}};
    RtImage panel;
    RtError err;
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&only}, 1, 1, &panel, &err), RT_OK);
    ck_assert_int_eq(panel.width, 2);
    ck_assert_mem_eq(panel.pixels, only.pixels, 6);
    image_free(&panel);
}
END_TEST

START_TEST(a_panel_needs_equal_sizes)
{
    const RtImage left = {1, 2, 3, (unsigned char[6]){0}}, right = {2, 1, 3, (unsigned char[6]){0}};
    RtImage panel;
    RtError err;
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&left, &right}, 2, 2, &panel, &err), RT_BUG);
    ck_assert_int_eq(image_draw_panel(NULL, 0, 1, &panel, &err), RT_BUG);
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&left}, 1, 2, &panel, &err), RT_BUG);
}
END_TEST

/* Three of one pixel in two columns: two rows, five pixels apart, and white where the fourth would be. */
START_TEST(a_panel_has_rows)
{
    const RtImage a = {1, 1, 3, (unsigned char[]){1, 2, 3}}, b = {1, 1, 3, (unsigned char[]){4, 5, 6}},
                  c = {1, 1, 3, (unsigned char[]){7, 8, 9}};
    RtImage panel;
    RtError err;
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&a, &b, &c}, 3, 2, &panel, &err), RT_OK);
    ck_assert_int_eq(panel.width, 6);
    ck_assert_int_eq(panel.height, 6);
    ck_assert_mem_eq(panel.pixels, a.pixels, 3);
    ck_assert_mem_eq(panel.pixels + 15, b.pixels, 3);
    ck_assert_mem_eq(panel.pixels + 90, c.pixels, 3);
    ck_assert_int_eq(panel.pixels[105], 255);
    ck_assert_int_eq(panel.pixels[18], 255);
    image_free(&panel);
}
END_TEST

START_TEST(a_panel_too_wide_is_refused)
{
    static unsigned char pixels[40000 * 3];
    const RtImage wide = {40000, 1, 3, pixels};
    RtImage panel;
    RtError err;
    ck_assert_int_eq(image_draw_panel((const RtImage *[]){&wide, &wide}, 2, 2, &panel, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "80004x1 pixels"));
}
END_TEST

Suite *image_draw_suite(void);

Suite *image_draw_suite(void)
{
    TCase *write = tcase_create("write");
    tcase_add_checked_fixture(write, make_folder, remove_folder);
    tcase_add_test(write, rgb_comes_back);
    tcase_add_loop_test(write, ids_come_back, 0, 2);
    tcase_add_test(write, palette_colors_are_seen);
    tcase_add_test(write, writing_replaces);
    tcase_add_test(write, the_mode_follows_the_umask);
    tcase_add_test(write, a_missing_folder_is_named);
    tcase_add_test(write, failure_leaves_nothing);
    tcase_add_test(write, writing_survives_lack_of_memory);
    tcase_add_test(write, impossible_writes_are_our_bug);
    TCase *draw = tcase_create("draw");
    tcase_add_test(draw, classes_get_their_colors);
    tcase_add_test(draw, an_overlay_is_half_and_half);
    tcase_add_test(draw, an_overlay_needs_equal_sizes);
    tcase_add_test(draw, a_panel_has_white_gaps);
    tcase_add_test(draw, a_panel_of_one_is_the_image);
    tcase_add_test(draw, a_panel_has_rows);
    tcase_add_test(draw, a_panel_needs_equal_sizes);
    tcase_add_test(draw, a_panel_too_wide_is_refused);
    Suite *suite = suite_create("image_draw");
    suite_add_tcase(suite, write);
    suite_add_tcase(suite, draw);
    return suite;
}
