/* Encodings: from what label pictures hold to classes, and what is said where they hold something else. */
#include "../../runtime/rt_encoding.h"
#include "data_image.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *encoding_suite(void);

static Arena *arena;
static const ProgramHeader *town;
static RtLabels labels;

static void set_up(void)
{
    arena = arena_new();
    town = data_image(arena, DATA_IMAGE_YAML);
}

static void tear_down(void)
{
    image_labels_free(&labels);
    arena_free(arena);
}

static Encoding find(const ProgramHeader *program, const char *name)
{
    Encoding encoding;
    RtError err = {0};
    ck_assert_msg(!encoding_find(program, name, &encoding, &err), "%s", err.text);
    return encoding;
}

/* Labels of count pixels in a row. */
static void set_ids(const uint16_t *ids, int count)
{
    image_labels_free(&labels);
    labels = (RtLabels){.width = count, .height = 1, .ids = rt_alloc((size_t)count * sizeof *ids)};
    memcpy(labels.ids, ids, (size_t)count * sizeof *ids);
}

static void set_colors(const uint32_t *colors, int count)
{
    image_labels_free(&labels);
    labels = (RtLabels){.width = count, .height = 1, .colors = rt_alloc((size_t)count * 3)};
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) labels.colors[3 * i + c] = (unsigned char)(colors[i] >> (16 - 8 * c));
}

static void set_palette(const uint32_t *colors, int count)
{
    labels.palette.count = count;
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) labels.palette.rgb[i][c] = (unsigned char)(colors[i] >> (16 - 8 * c));
}

static void check_map(const Encoding *encoding, const unsigned char *want, int count, int64_t unknown)
{
    RtError err = {0};
    ck_assert_msg(!encoding_map(encoding, "a.png", &labels, &err), "%s", err.text);
    ck_assert_ptr_null(labels.ids);
    ck_assert_ptr_null(labels.colors);
    ck_assert_mem_eq(labels.classes, want, (size_t)count);
    ck_assert_int_eq(labels.unknown, unknown);
}

static void check_said(const Encoding *encoding, const char *text)
{
    RtError err = {0};
    ck_assert_int_eq(encoding_check(encoding, "a.png", &labels, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, text);
}

START_TEST(train_ids_are_the_classes)
{
    const Encoding plain = encoding_plain(NULL), own = find(town, "train_ids");
    set_ids((const uint16_t[]){0, 254, 255, 256, 1000}, 5);
    check_map(&plain, (const unsigned char[]){0, 254, 255, 255, 255}, 5, 2);
    set_ids((const uint16_t[]){0, 3, 255, 4}, 4);
    check_map(&own, (const unsigned char[]){0, 3, 255, 255}, 4, 1);
}
END_TEST

START_TEST(ids_are_mapped)
{
    const Encoding raw = find(town, "raw");
    set_ids((const uint16_t[]){10, 11, 20, 21, 0, 5, 255, 7, 300}, 9);
    check_map(&raw, (const unsigned char[]){1, 1, 3, 2, 255, 255, 255, 255, 255}, 9, 2);
}
END_TEST

START_TEST(colors_are_mapped)
{
    const Encoding colors = find(town, "colors"), paint = find(town, "town.paint");
    set_colors((const uint32_t[]){0x808080, 0x804080, 0x804080, 0x00008e, 0, 0x123456}, 6);
    check_map(&colors, (const unsigned char[]){0, 1, 1, 3, 255, 255}, 6, 1);
    set_colors((const uint32_t[]){0xff0000, 0xffffff, 0}, 3);
    check_map(&paint, (const unsigned char[]){1, 0, 255}, 3, 1);
}
END_TEST

START_TEST(palettes_are_indices_to_ids_and_colours_to_colours)
{
    const uint32_t palette[] = {0x00008e, 0x804080};
    const Encoding ids = find(town, "train_ids"), colors = find(town, "colors");
    set_ids((const uint16_t[]){0, 1, 1, 9}, 4);
    set_palette(palette, 2);
    check_map(&ids, (const unsigned char[]){0, 1, 1, 255}, 4, 1);
    set_ids((const uint16_t[]){0, 1, 1, 9}, 4); /* past its end a palette is black */
    set_palette(palette, 2);
    check_map(&colors, (const unsigned char[]){3, 1, 1, 255}, 4, 0);
}
END_TEST

START_TEST(the_other_kind_is_refused)
{
    RtError err = {0};
    const Encoding ids = find(town, "raw"), colors = find(town, "colors");
    set_colors((const uint32_t[]){0}, 1);
    ck_assert_int_eq(encoding_map(&ids, "a.png", &labels, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, "a.png: labels as RGB colours; town.raw expects a grey or palette PNG"),
                  "%s", err.text);
    ck_assert_msg(strstr(err.text, "chooses among town.train_ids, town.raw, town.colors, town.paint)"), "%s",
                  err.text);
    ck_assert_ptr_nonnull(labels.colors);
    set_ids((const uint16_t[]){0}, 1);
    ck_assert_int_eq(encoding_map(&colors, "a.png", &labels, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, "labels in grey; town.colors expects an RGB or palette PNG"), "%s",
                  err.text);
}
END_TEST

START_TEST(names_are_found_or_listed)
{
    Encoding encoding;
    RtError err = {0};
    ck_assert_int_eq(encoding_find(town, "rgb", &encoding, &err), RT_USAGE);
    ck_assert_str_eq(err.text, "there is no encoding 'rgb' of labels; there are: town.train_ids, town.raw, "
                               "town.colors, town.paint");
    ck_assert_int_eq(encoding_find(town, "city.raw", &encoding, &err), RT_USAGE);
    ck_assert_int_eq(encoding_find(NULL, "raw", &encoding, &err), RT_USAGE);
    ck_assert(encoding_first_colors(town, &encoding));
    ck_assert_str_eq(encoding.name, "colors");
    ck_assert(!encoding_first_colors(NULL, &encoding));
    encoding = find(town, "town.raw");
    ck_assert_str_eq(encoding.data, "town");
    ck_assert_int_eq(encoding.classes, 4);
}
END_TEST

START_TEST(good_labels_pass)
{
    const Encoding raw = find(town, "raw");
    set_ids((const uint16_t[]){10, 0, 255}, 3);
    ck_assert_int_eq(encoding_check(&raw, "a.png", &labels, NULL), RT_OK);
}
END_TEST

START_TEST(suggests_the_encoding_that_fits)
{
    const Encoding ids = find(town, "train_ids"), colors = find(town, "colors");
    set_ids((const uint16_t[]){10, 0, 10, 20}, 4);
    check_said(&ids, "a.png: labels out of range: 10 (2 pixels), 20 (1 pixels); expected 0..3 or 255 "
                     "(ignored); town.raw knows all of them: add ,encoding=town.raw");
    set_colors((const uint32_t[]){0xff0000, 0xffffff, 0xffffff}, 3);
    check_said(&colors, "a.png: unknown colours: #ffffff (2 pixels), #ff0000 (1 pixels); expected the "
                        "colours of town.colors; town.paint knows all of them: add ,encoding=town.paint");
}
END_TEST

START_TEST(sees_cityscapes_ids)
{
    const ProgramHeader *city = data_image_of(arena, "graphs/data/cityscapes.yaml");
    const Encoding ids = find(city, "train_ids");
    set_ids((const uint16_t[]){7, 7, 33, 26, 26, 26, 4}, 7);
    check_said(&ids, "a.png: labels out of range: 26 (3 pixels), 33 (1 pixels); expected 0..18 or 255 "
                     "(ignored); cityscapes.label_ids knows all of them: add ,encoding=cityscapes.label_ids");
    const ProgramHeader *game = data_image_of(arena, "graphs/data/gta5.yaml"); /* has no label ids */
    const Encoding train_ids = find(game, "train_ids");
    check_said(&train_ids,
               "a.png: labels out of range: 26 (3 pixels), 33 (1 pixels); expected 0..18 or 255 (ignored); "
               "these look like Cityscapes label ids (0..33): convert them to train ids");
}
END_TEST

START_TEST(sees_instance_ids)
{
    const Encoding ids = find(town, "train_ids");
    set_ids((const uint16_t[]){3, 26001, 26002}, 3);
    check_said(&ids, "a.png: labels out of range: 26001 (1 pixels), 26002 (1 pixels); expected 0..3 or 255 "
                     "(ignored); these look like Cityscapes instance ids (class * 1000 + number): use the "
                     "label pictures");
}
END_TEST

/* The luminance of the town's colours: 128, 90, 75, 16. */
START_TEST(sees_luminance_and_grey_renderings)
{
    const Encoding ids = find(town, "train_ids");
    set_ids((const uint16_t[]){128, 90, 75, 16}, 4);
    check_said(&ids, "a.png: labels out of range: 16 (1 pixels), 75 (1 pixels), 90 (1 pixels), 128 (1 "
                     "pixels); expected 0..3 or 255 (ignored); these look like the luminance of the class "
                     "colours: an RGB label saved as grey");
    set_ids((const uint16_t[]){0, 85, 170, 255}, 4);
    check_said(&ids, "a.png: labels out of range: 85 (1 pixels), 170 (1 pixels); expected 0..3 or 255 "
                     "(ignored); these look like a grey rendering of classes, not like class ids");
}
END_TEST

START_TEST(sees_photographs)
{
    const Encoding ids = find(town, "train_ids"), colors = find(town, "colors");
    uint16_t grey[200];
    uint32_t rgb[1000];
    RtError err = {0};
    for (int i = 0; i < 200; i++) grey[i] = (uint16_t)i;
    for (uint32_t i = 0; i < 1000; i++) rgb[i] = i * 16001;
    set_ids(grey, 200);
    ck_assert_int_eq(encoding_check(&ids, "a.png", &labels, &err), RT_BAD_INPUT);
    ck_assert_msg(strstr(err.text, "11 (1 pixels) and 188 others"), "%s", err.text);
    ck_assert_msg(strstr(err.text, "looks like a photograph"), "%s", err.text);
    set_colors(rgb, 1000);
    ck_assert_int_eq(encoding_check(&colors, "a.png", &labels, &err), RT_BAD_INPUT);
    ck_assert_msg(strstr(err.text, "looks like a photograph"), "%s", err.text);
}
END_TEST

START_TEST(suggests_void_grey_and_indices)
{
    const Encoding ids = find(town, "train_ids"), colors = find(town, "colors");
    set_ids((const uint16_t[]){0, 1, 2, 3, 4}, 5);
    check_said(&ids,
               "a.png: labels out of range: 4 (1 pixels); expected 0..3 or 255 (ignored); if that value "
               "means void, make it the ignored label");
    set_colors((const uint32_t[]){0x010101, 0x020202}, 2);
    check_said(&colors,
               "a.png: unknown colours: #010101 (1 pixels), #020202 (1 pixels); expected the colours "
               "of town.colors; every pixel is grey: these are ids, or a grey picture, saved as RGB");
    set_ids((const uint16_t[]){1, 2}, 2);
    set_palette((const uint32_t[]){0, 0x0000aa, 0x00bb00}, 3);
    check_said(&colors,
               "a.png: unknown colours: #0000aa (1 pixels), #00bb00 (1 pixels); expected the colours "
               "of town.colors; in a palette PNG the indices may be the ids: try "
               ",encoding=train_ids");
}
END_TEST

/* More colours than are told apart are counted all the same. */
START_TEST(a_survey_has_an_end)
{
    enum { PIXELS = SURVEY_MOST + 100 };
    const Encoding colors = find(town, "colors");
    uint32_t *rgb = malloc(PIXELS * sizeof *rgb);
    for (uint32_t i = 0; i < PIXELS; i++) rgb[i] = i + 0x010000;
    set_colors(rgb, PIXELS);
    free(rgb);
    Survey survey = {0};
    size_t values;
    ck_assert_int_eq(survey_add(&survey, &colors, &labels, NULL), RT_OK);
    ck_assert_int_eq(survey_unknown(&survey, &colors, &values), PIXELS);
    ck_assert_uint_eq(values, SURVEY_MOST);
    ck_assert_int_eq(survey.lost, 100);
    survey_free(&survey);
}
END_TEST

START_TEST(mapping_survives_lack_of_memory)
{
    const Encoding ids = find(town, "train_ids");
    set_ids((const uint16_t[]){0, 9}, 2);
    RtError err = {0};
    rt_alloc_fail_at(1);
    ck_assert_int_eq(encoding_map(&ids, "a.png", &labels, &err), RT_MACHINE);
    ck_assert_ptr_nonnull(labels.ids);
    for (long nth = 1; nth <= 2; nth++) {
        rt_alloc_fail_at(nth);
        ck_assert_int_eq(encoding_check(&ids, "a.png", &labels, &err), RT_MACHINE);
    }
    rt_alloc_fail_at(0);
}
END_TEST

Suite *encoding_suite(void)
{
    TCase *tests = tcase_create("encoding");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, train_ids_are_the_classes);
    tcase_add_test(tests, ids_are_mapped);
    tcase_add_test(tests, colors_are_mapped);
    tcase_add_test(tests, palettes_are_indices_to_ids_and_colours_to_colours);
    tcase_add_test(tests, the_other_kind_is_refused);
    tcase_add_test(tests, names_are_found_or_listed);
    tcase_add_test(tests, good_labels_pass);
    tcase_add_test(tests, suggests_the_encoding_that_fits);
    tcase_add_test(tests, sees_cityscapes_ids);
    tcase_add_test(tests, sees_instance_ids);
    tcase_add_test(tests, sees_luminance_and_grey_renderings);
    tcase_add_test(tests, sees_photographs);
    tcase_add_test(tests, suggests_void_grey_and_indices);
    tcase_add_test(tests, a_survey_has_an_end);
    tcase_add_test(tests, mapping_survives_lack_of_memory);
    Suite *suite = suite_create("encoding");
    suite_add_tcase(suite, tests);
    return suite;
}
