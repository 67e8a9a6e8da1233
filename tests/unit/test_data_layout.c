/* Data sets in the layouts that their files declare, subsets, encodings and sets without labels: the parts of
 * a specification that need a program's data sets, and those that follow the place. */
#include "../../runtime/rt_data.h"
#include "data_image.h"
#include "scratch_folder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

Suite *data_layout_suite(void);

static ScratchFolder scratch;
static Arena *arena;
static const ProgramHeader *town;
static DataSet set;
static RtError err;

static void set_up(void)
{
    arena = arena_new();
    town = data_image(arena, DATA_IMAGE_YAML);
    scratch_open(&scratch);
}

static void tear_down(void)
{
    data_close(&set);
    scratch_close(&scratch);
    arena_free(arena);
}

static void make_folders(const char *path)
{
    char part[512];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0777);
    }
}

static void picture(const char *name, int channels, int value)
{
    make_folders(scratch_path(&scratch, name));
    scratch_picture(&scratch, name, 4, 2, channels, value, value);
}

/* One pair of the official layout. */
static void pair(const char *split, const char *city, const char *name, int id)
{
    char path[256];
    snprintf(path, sizeof path, "photos/%s/%s/%s_photo.png", split, city, name);
    picture(path, 3, 50);
    snprintf(path, sizeof path, "fine/%s/%s/%s_raw.png", split, city, name);
    picture(path, 1, id);
}

/* Opens "BEFORE scratch-folder AFTER". */
static RtStatus open_spec(const char *before, const char *after)
{
    char spec[1024];
    snprintf(spec, sizeof spec, "%s%s%s", before, scratch.path, after);
    data_close(&set);
    err = (RtError){0};
    return data_open_for(town, spec, &set, &err);
}

static void check_open(const char *before, const char *after, size_t count, size_t missing)
{
    RtStatus status = open_spec(before, after);
    ck_assert_msg(!status, "%s", err.text);
    ck_assert_uint_eq(set.count, count);
    ck_assert_uint_eq(set.missing_count, missing);
}

static void check_error(RtStatus status, RtStatus want, const char *part)
{
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' is not in: %s", part, err.text);
    ck_assert_int_eq(status, want);
}

static void check_class(size_t item, int class)
{
    RtImage image = {0};
    RtLabels labels = {0};
    ck_assert_msg(!data_read(&set, item, &image, &labels, &err), "%s", err.text);
    ck_assert_int_eq(labels.classes[0], class);
    ck_assert_int_eq(image.width, 4);
    image_free(&image);
    image_labels_free(&labels);
}

/* ---- layouts ---- */

START_TEST(a_layout_finds_its_pairs)
{
    pair("train", "ulm", "ulm_000_2", 10);
    pair("train", "bern", "bern_7", 21);
    pair("val", "kiel", "kiel_1", 20);
    picture("fine/train/ulm/ulm_000_2_color.png", 3, 1); /* is no label of the layout */
    check_open("town:", "@train", 2, 0);
    ck_assert(set.labelled);
    ck_assert_str_eq(set.encoding.name, "raw");
    ck_assert_str_eq(set.pairs[0].image, scratch_path(&scratch, "photos/train/bern/bern_7_photo.png"));
    ck_assert_str_eq(set.pairs[1].label, scratch_path(&scratch, "fine/train/ulm/ulm_000_2_raw.png"));
    check_class(0, 2);
    check_class(1, 1);
    check_open("town:", "/@val", 1, 0);
    check_class(0, 3);
}
END_TEST

START_TEST(what_has_no_counterpart_is_named)
{
    pair("train", "ulm", "a", 10);
    picture("photos/train/ulm/b_photo.png", 3, 9);
    picture("fine/train/kiel/c_raw.png", 1, 10);
    check_open("town:", "@train", 1, 2);
    ck_assert_msg(strstr(set.missing[0], "no label for ") && strstr(set.missing[0], "ulm/b_raw.png"), "%s",
                  set.missing[0]);
    ck_assert_msg(strstr(set.missing[1], "no image for ") && strstr(set.missing[1], "kiel/c_photo.png"), "%s",
                  set.missing[1]);
}
END_TEST

START_TEST(the_first_layout_with_files_is_taken)
{
    picture("photos/train/ulm/a_photo.png", 3, 9); /* without a label: not this layout */
    picture("i/train/x.png", 3, 9);
    picture("l/train/x.png", 1, 3);
    check_open("town:", "@train", 1, 0);
    ck_assert_str_eq(set.encoding.name, "train_ids");
    check_class(0, 3);
    check_error(open_spec("town.official:", "@train"), RT_BAD_INPUT, "town: no image below ");
    check_open("town.flat:", "@train", 1, 0);
    check_open("town.official:", "@train,labels=none", 1, 0);
    check_open("town.flat:", "@train,encoding=raw", 1, 0);
    ck_assert_str_eq(set.encoding.name, "raw");
}
END_TEST

START_TEST(a_word_means_the_same_everywhere)
{
    town =
        data_image(arena, "segc: 1\ndata: town\nclasses: [{name: a}]\nencodings: {train_ids: {kind: ids}}\n"
                          "layouts: {l: {image: 'i/{city}/{city}_{name}.png', label: "
                          "'l/{city}_{name}.png', encoding: train_ids}}\n");
    picture("i/ulm/ulm_1_2.png", 3, 9);
    picture("i/ulm/bern_1.png", 3, 9);
    picture("l/ulm_1_2.png", 1, 0);
    check_open("town:", "", 1, 0);
    check_class(0, 0);
}
END_TEST

START_TEST(splits_are_said_and_listed)
{
    pair("train", "ulm", "a", 10);
    pair("val", "ulm", "b", 10);
    check_error(open_spec("town:", ""), RT_USAGE, "@SPLIT; there are: train, val");
    check_error(open_spec("town:", "@test"), RT_BAD_INPUT,
                "looked for photos/test/{city}/{name}_photo.png; splits there: train, val");
    check_error(open_spec("town:", "@a/b"), RT_USAGE, "'a/b' is no name of a split");
    check_error(open_spec("town:", "@"), RT_USAGE, "'' is no name of a split");
    check_error(open_spec("town:", "/gone@val"), RT_BAD_INPUT, "no folder ");
}
END_TEST

START_TEST(unknown_sets_and_layouts_are_explained)
{
    check_error(open_spec("twon:", "@val"), RT_USAGE, "no data set that this program knows (it knows town)");
    check_error(open_spec("town.flta:", "@val"), RT_USAGE, "no layout 'flta' (did you mean 'flat'?)");
    town = data_image_of(arena, "graphs/data/gta5.yaml");
    check_error(open_spec("gta5:", "@val"), RT_USAGE, "gta5 has no splits: say gta5:");
    town = NULL;
    check_error(open_spec("town:", ""), RT_USAGE, "(it knows none)");
}
END_TEST

START_TEST(gta5_has_colours)
{
    const unsigned char labels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    RtPalette palette = {.count = 8, .rgb = {{128, 64, 128}, {0, 0, 0}}};
    town = data_image_of(arena, "graphs/data/gta5.yaml");
    picture("images/00001.png", 3, 9);
    picture("labels/00001.png", 1, 9);
    ck_assert(!image_write_png(scratch_path(&scratch, "labels/00001.png"), labels, 4, 2, 1, &palette, &err));
    check_open("gta5:", "", 1, 0);
    ck_assert_str_eq(set.encoding.name, "colors");
    check_class(0, 0);
}
END_TEST

/* ---- labels or none ---- */

START_TEST(images_alone)
{
    picture("img/a.png", 3, 1);
    picture("img/a.PNG", 3, 1); /* of one base name: nothing has to be matched */
    check_open("images:", "/img", 2, 0);
    ck_assert(!set.labelled);
    ck_assert_int_eq(data_need_labels(&set, "images:img", &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, "images:img has no labels, which are needed here"), "%s", err.text);
    RtImage image;
    RtLabels labels;
    ck_assert_int_eq(data_read(&set, 0, &image, &labels, &err), RT_OK);
    ck_assert_ptr_null(labels.classes);
    image_free(&image);
    ck_assert_int_eq(data_read(&set, 0, &image, NULL, &err), RT_OK);
    image_free(&image);
}
END_TEST

START_TEST(lists_of_one_column)
{
    picture("img/a.png", 3, 1);
    picture("img/b.png", 3, 1);
    picture("lbl/b.png", 1, 1);
    scratch_write(&scratch, "one.txt", "img/a.png\nimg/b.png\nimg/c.png\n");
    check_open("", "/one.txt", 2, 1);
    ck_assert(!set.labelled);
    scratch_write(&scratch, "mixed.txt", "img/a.png\nimg/b.png lbl/b.png\n");
    check_error(open_spec("", "/mixed.txt"), RT_BAD_INPUT,
                "mixed.txt:2: expected an image alone, as in the lines before");
    scratch_write(&scratch, "three.txt", "img/a.png img/b.png lbl/b.png\n");
    check_error(open_spec("", "/three.txt"), RT_BAD_INPUT, "three.txt:1: expected \"image label\" or");
}
END_TEST

START_TEST(labels_none_does_not_look_for_labels)
{
    picture("img/a.png", 3, 1);
    scratch_write(&scratch, "two.txt", "img/a.png lbl/gone.png\n");
    check_open("", "/two.txt,labels=none", 1, 0);
    ck_assert(!set.labelled);
    ck_assert_ptr_null(set.pairs[0].label);
    pair("train", "ulm", "a", 10);
    check_open("town:", "@train,labels=none", 1, 0);
    ck_assert(!set.labelled);
    check_error(open_spec("", "/two.txt,labels=all"), RT_USAGE, "only labels=none can be said");
    data_close(&set);
    ck_assert_int_eq(data_open("builtin:camera:2,labels=none", &set, &err), RT_OK);
    ck_assert(!set.labelled);
}
END_TEST

START_TEST(drawn_streets_need_their_classes)
{
    ck_assert_int_eq(data_open_for(town, "builtin:camera:2", &set, &err), RT_USAGE);
    ck_assert_msg(strstr(err.text, "drawn streets have 19 classes, and the program 4"), "%s", err.text);
}
END_TEST

START_TEST(either_half_may_be_read_alone)
{
    pair("train", "ulm", "a", 10);
    check_open("town:", "@train", 1, 0);
    RtLabels labels;
    ck_assert_int_eq(data_read(&set, 0, NULL, &labels, &err), RT_OK);
    ck_assert_int_eq(labels.classes[7], 1);
    image_labels_free(&labels);
}
END_TEST

/* ---- encodings ---- */

START_TEST(encodings_are_chosen)
{
    picture("img/a.png", 3, 1);
    picture("lbl/a.png", 1, 10);
    scratch_write(&scratch, "list.txt", "img/a.png lbl/a.png\n");
    check_open("", "/list.txt,encoding=raw", 1, 0);
    check_class(0, 1);
    check_open("", "/list.txt", 1, 0);
    check_class(0, 255);
    ck_assert_int_eq(data_explain(&set, 0, &err), RT_BAD_INPUT);
    ck_assert_msg(strstr(err.text, "add ,encoding=town.raw"), "%s", err.text);
    check_error(open_spec("", "/list.txt,encoding=rwa"), RT_USAGE, "there is no encoding 'rwa' of labels");
}
END_TEST

START_TEST(rgb_labels_go_by_colours_unless_said)
{
    picture("img/a.png", 3, 1);
    picture("lbl/a.png", 3, 128);
    scratch_write(&scratch, "list.txt", "img/a.png lbl/a.png\n");
    check_open("", "/list.txt", 1, 0);
    check_class(0, 0);
    check_open("", "/list.txt,encoding=train_ids", 1, 0);
    RtImage image;
    RtLabels labels;
    ck_assert_int_eq(data_read(&set, 0, &image, &labels, &err), RT_USAGE);
    ck_assert_ptr_null(labels.colors);
    ck_assert_ptr_null(image.pixels);
}
END_TEST

/* ---- subsets ---- */

static void ten_images(void)
{
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/p%d.png", i);
        picture(name, 3, i);
    }
}

static int digit(size_t item)
{
    return set.pairs[item].image[strlen(set.pairs[item].image) - 5] - '0';
}

START_TEST(a_count_is_drawn_by_seed)
{
    ten_images();
    int seen[10] = {0}, first[3];
    for (int seed = 0; seed < 20; seed++) {
        char after[64];
        snprintf(after, sizeof after, "/img,count=3,seed=%d", seed);
        check_open("images:", after, 3, 0);
        for (size_t i = 0; i < 3; i++) {
            seen[digit(i)]++;
            if (!seed) first[i] = digit(i);
            if (i) ck_assert_int_lt(digit(i - 1), digit(i)); /* none twice, in their order */
        }
    }
    for (int i = 0; i < 10; i++) ck_assert_int_gt(seen[i], 0);
    check_open("images:", "/img,seed=0,count=3", 3, 0);
    for (size_t i = 0; i < 3; i++) ck_assert_int_eq(digit(i), first[i]);
    check_open("images:", "/img,count=10", 10, 0);
    check_error(open_spec("images:", "/img,count=11"), RT_BAD_INPUT, "count=11, but there are only 10");
    check_error(open_spec("images:", "/img,count=0"), RT_USAGE, "count=0: a whole number from 1 up");
    check_error(open_spec("images:", "/img,count=3,seed=-1"), RT_USAGE, "seed=-1: a whole number");
    check_error(open_spec("images:", "/img,seed=1"), RT_USAGE, "draws nothing without ,count=N");
}
END_TEST

static void open_only(const char *before, const char *place, const char *names, size_t count, size_t missing)
{
    char after[512];
    scratch_write(&scratch, "names.txt", names);
    snprintf(after, sizeof after, "%s,only=%s", place, scratch_path(&scratch, "names.txt"));
    check_open(before, after, count, missing);
}

START_TEST(only_what_a_file_names)
{
    ten_images();
    open_only("images:", "/img", "# some\np7\nimg/p2.png\r\n\np7\n", 2, 0);
    ck_assert_int_eq(digit(0), 2);
    ck_assert_int_eq(digit(1), 7);
    open_only("images:", "/img", "p7\nq1\n", 1, 1);
    ck_assert_msg(strstr(set.missing[0], "names.txt:2: the set has no picture 'q1'"), "%s", set.missing[0]);
    pair("train", "ulm", "ulm_1", 10);
    pair("train", "ulm", "ulm_2", 10);
    pair("train", "bern", "ulm_2", 10);
    open_only("town:", "@train", "ulm_2\n", 2, 0); /* what {name} stands for */
    open_only("town:", "@train", "bern/ulm_2_photo\n", 1, 0);
    char after[512];
    scratch_write(&scratch, "names.txt", "q\n");
    snprintf(after, sizeof after, "/img,only=%s", scratch_path(&scratch, "names.txt"));
    check_error(open_spec("images:", after), RT_BAD_INPUT, "no picture of the set has one of its 1 names");
    scratch_write(&scratch, "names.txt", "\n");
    check_error(open_spec("images:", after), RT_BAD_INPUT, "names no pictures");
    check_error(open_spec("images:", "/img,only=/gone"), RT_BAD_INPUT, "cannot open the names /gone");
}
END_TEST

START_TEST(unknown_options_are_explained)
{
    ten_images();
    check_error(open_spec("images:", "/img,conut=3"), RT_USAGE, "no ',conut=' (did you mean ,count=?)");
    scratch_write(&scratch, "a,count=3", "img/p1.png\n"); /* a file of that very name */
    check_open("", "/a,count=3", 1, 0);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    pair("train", "ulm", "a", 10);
    pair("train", "ulm", "b", 10);
    picture("fine/train/ulm/c_raw.png", 1, 10);
    scratch_write(&scratch, "names.txt", "a\nb\nd\n");
    char after[512];
    snprintf(after, sizeof after, "@train,only=%s,count=1", scratch_path(&scratch, "names.txt"));
    long nth = 1;
    for (;; nth++) {
        rt_alloc_fail_at(nth);
        RtStatus status = open_spec("town:", after);
        rt_alloc_fail_at(0);
        if (!status) break;
        ck_assert_int_eq(status, RT_MACHINE);
    }
    ck_assert_int_gt(nth, 20);
}
END_TEST

Suite *data_layout_suite(void)
{
    TCase *tests = tcase_create("data_layout");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_layout_finds_its_pairs);
    tcase_add_test(tests, what_has_no_counterpart_is_named);
    tcase_add_test(tests, the_first_layout_with_files_is_taken);
    tcase_add_test(tests, a_word_means_the_same_everywhere);
    tcase_add_test(tests, splits_are_said_and_listed);
    tcase_add_test(tests, unknown_sets_and_layouts_are_explained);
    tcase_add_test(tests, gta5_has_colours);
    tcase_add_test(tests, images_alone);
    tcase_add_test(tests, lists_of_one_column);
    tcase_add_test(tests, labels_none_does_not_look_for_labels);
    tcase_add_test(tests, drawn_streets_need_their_classes);
    tcase_add_test(tests, either_half_may_be_read_alone);
    tcase_add_test(tests, encodings_are_chosen);
    tcase_add_test(tests, rgb_labels_go_by_colours_unless_said);
    tcase_add_test(tests, a_count_is_drawn_by_seed);
    tcase_add_test(tests, only_what_a_file_names);
    tcase_add_test(tests, unknown_options_are_explained);
    tcase_add_test(tests, any_allocation_may_fail);
    Suite *suite = suite_create("data_layout");
    suite_add_tcase(suite, tests);
    return suite;
}
