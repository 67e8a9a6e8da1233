/* Loading ahead: the same batches however they are made, resuming, epochs, and failures of background
 * threads. These tests also run under the thread sanitizer. */
#define _GNU_SOURCE
#include "rt_loader.h"

#include "rt_augment.h"
#include "rt_sampler.h"
#include "scratch_folder.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Suite *loader_suite(void);

enum { WIDTH = 32, HEIGHT = 32, PIXELS = WIDTH * HEIGHT, CLASSES = 19 };

/* A program's image as far as loaders look at it. */
static struct Image {
    ProgramHeader header;
    char source[8], target[8], class_name[8];
    ProgramAugment augments[4];
    ProgramClass classes[CLASSES];
} program;

static ScratchFolder scratch;
static DataSet source, target;

static ProgramRef ref(const void *place, uint32_t count)
{
    return (ProgramRef){(uint32_t)((const char *)place - (const char *)&program), count};
}

static void set_up(void)
{
    memset(&program, 0, sizeof program);
    memcpy(program.source, "source", 7);
    memcpy(program.target, "target", 7);
    memcpy(program.class_name, "class", 6);
    program.header.preprocess =
        (ProgramPreprocess){.scale = 1.0f / 255, .mean = {0.5f, 0.25f, 0.125f}, .std = {0.5f, 0.25f, 0.125f}};
    program.header.ignore_index = 255;
    ProgramRef of_source = ref(program.source, 6);
    program.augments[0] = (ProgramAugment){of_source, AUGMENT_CROP, 1, {0.5f, 1, 0.75f, 1.5f}};
    program.augments[1] = (ProgramAugment){of_source, AUGMENT_FLIP, 0.5f, {0}};
    program.augments[2] = (ProgramAugment){of_source, AUGMENT_JITTER, 1, {0.3f, 0.3f, 0.3f, 0.1f}};
    program.augments[3] = (ProgramAugment){ref(program.target, 6), AUGMENT_ROTATION, 1, {15}};
    program.header.augments = ref(program.augments, 4);
    for (int i = 0; i < CLASSES; i++) program.classes[i].name = ref(program.class_name, 5);
    program.header.classes = ref(program.classes, CLASSES);
    scratch_open(&scratch);
}

static void tear_down(void)
{
    data_close(&source);
    data_close(&target);
    scratch_close(&scratch);
}

static void open_set(const char *spec, DataSet *set)
{
    RtError err = {0};
    ck_assert_msg(!data_open_for(&program.header, spec, set, &err), "%s", err.text);
}

static void open_drawn(void)
{
    open_set("builtin:rendered:7,size=40x48", &source);
    open_set("builtin:camera:5,seed=100", &target);
}

/* Options with both streams; positions are in batches of 3. */
static LoaderOptions both(LoaderStream streams[2], int threads, int ahead, uint64_t batches)
{
    streams[0] = (LoaderStream){.name = "source", .set = &source, .labelled = true, .position = batches * 3};
    streams[1] = (LoaderStream){.name = "target", .set = &target, .position = batches * 3};
    return (LoaderOptions){.program = &program.header,
                           .streams = streams,
                           .stream_count = 2,
                           .batch = 3,
                           .height = HEIGHT,
                           .width = WIDTH,
                           .seed = 11,
                           .threads = threads,
                           .ahead = ahead};
}

static Loader *open_loader(const LoaderOptions *options)
{
    Loader *loader;
    RtError err = {0};
    ck_assert_msg(!loader_open(options, &loader, &err), "%s", err.text);
    return loader;
}

static LoaderBatch next(Loader *loader)
{
    LoaderBatch batch;
    RtError err = {0};
    ck_assert_msg(!loader_next(loader, &batch, &err), "%s", err.text);
    ck_assert_double_ge(batch.waited, 0);
    return batch;
}

static uint64_t hash(const void *data, size_t count, uint64_t h)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_batch(const LoaderBatch *batch)
{
    uint64_t h = hash(batch->images[0], 3 * 3 * PIXELS * sizeof(float), 0xcbf29ce484222325u);
    h = hash(batch->images[1], 3 * 3 * PIXELS * sizeof(float), h);
    return hash(batch->labels[0], 3 * PIXELS * sizeof(int32_t), h);
}

enum { BATCHES = 9 };

static void hash_batches(const LoaderOptions *options, int count, uint64_t hashes[])
{
    Loader *loader = open_loader(options);
    for (int i = 0; i < count; i++) {
        LoaderBatch batch = next(loader);
        hashes[i] = hash_batch(&batch);
    }
    loader_close(loader);
}

/* ---- the same batches ------------------------------------------------------------------------------------
 */

START_TEST(batches_do_not_depend_on_how_they_are_made)
{
    static const struct {
        int threads, ahead;
        size_t cache;
    } ways[] = {{1, 1, 0},       {2, 1, 0},       {3, 2, 1 << 20}, {1, 3, 1 << 20},
                {5, 4, 1 << 14}, {8, 2, 1 << 14}, {2, 2, 1 << 12}};
    uint64_t expected[BATCHES], hashes[BATCHES];
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 1, 2, 0);
    hash_batches(&options, BATCHES, expected);
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        options.threads = ways[way].threads;
        options.ahead = ways[way].ahead;
        options.cache_bytes = ways[way].cache;
        hash_batches(&options, BATCHES, hashes);
        ck_assert_mem_eq(hashes, expected, sizeof hashes);
    }
    for (int i = 1; i < BATCHES; i++) ck_assert(expected[i] != expected[i - 1]);
}
END_TEST

START_TEST(resuming_goes_on_where_it_was)
{
    uint64_t expected[BATCHES], hashes[BATCHES];
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 2, 2, 0);
    hash_batches(&options, BATCHES, expected);
    for (uint64_t done = 1; done < BATCHES; done++) {
        Loader *loader = open_loader(&options);
        for (uint64_t i = 0; i < done; i++) next(loader);
        uint64_t first = loader_position(loader, 0), second = loader_position(loader, 1);
        loader_close(loader);
        ck_assert_uint_eq(first, 3 * done);
        LoaderStream resumed[2];
        LoaderOptions rest = both(resumed, 1, 1, 0);
        resumed[0].position = first;
        resumed[1].position = second;
        hash_batches(&rest, (int)(BATCHES - done), hashes);
        ck_assert_mem_eq(hashes, expected + done, (BATCHES - done) * sizeof *hashes);
    }
}
END_TEST

START_TEST(seeds_differ)
{
    uint64_t one[2], other[2];
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 2, 2, 0);
    hash_batches(&options, 2, one);
    options.seed++;
    hash_batches(&options, 2, other);
    ck_assert(one[0] != other[0] && one[1] != other[1]);
}
END_TEST

/* A batch stays as it is while the next ones are made. */
START_TEST(a_batch_is_left_alone_until_the_next)
{
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 3, 1, 0);
    options.cache_bytes = 1 << 20;
    Loader *loader = open_loader(&options);
    for (int i = 0; i < 4; i++) {
        LoaderBatch batch = next(loader);
        uint64_t before = hash_batch(&batch);
        usleep(20000);
        ck_assert(hash_batch(&batch) == before);
    }
    loader_close(loader);
}
END_TEST

/* ---- what is in them -------------------------------------------------------------------------------------
 */

/* Pictures 0..count-1 whose grey is 10 times their number and whose labels are their number. */
static void write_set(int count)
{
    char list[1024], name[64];
    int length = 0;
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "img/%d.png", i);
        scratch_picture(&scratch, name, WIDTH, HEIGHT, 3, 10 * i, 10 * i);
        snprintf(name, sizeof name, "lbl/%d.png", i);
        scratch_picture(&scratch, name, WIDTH, HEIGHT, 1, i, i);
        length += snprintf(list + length, sizeof list - (size_t)length, "img/%d.png lbl/%d.png\n", i, i);
    }
    scratch_write(&scratch, "set.txt", list);
}

static LoaderOptions plain(LoaderStream *stream, int batch)
{
    *stream = (LoaderStream){.name = "source", .set = &source, .labelled = true};
    return (LoaderOptions){.program = &program.header,
                           .streams = stream,
                           .stream_count = 1,
                           .batch = batch,
                           .height = HEIGHT,
                           .width = WIDTH,
                           .seed = 2,
                           .plain = true,
                           .threads = 2,
                           .ahead = 2};
}

START_TEST(values_are_normalised_and_labels_whole)
{
    LoaderStream stream;
    program.header.ignore_index = -100;
    scratch_picture(&scratch, "img/a.png", WIDTH, HEIGHT, 3, 51, 255);
    scratch_picture(&scratch, "lbl/a.png", WIDTH, HEIGHT, 1, 7, 255);
    scratch_write(&scratch, "set.txt", "img/a.png lbl/a.png\n");
    open_set(scratch_path(&scratch, "set.txt"), &source);
    LoaderOptions options = plain(&stream, 2);
    Loader *loader = open_loader(&options);
    LoaderBatch batch = next(loader);
    for (int i = 0; i < 2; i++) {
        const float *image = batch.images[0] + i * 3 * PIXELS;
        const int32_t *labels = batch.labels[0] + i * PIXELS;
        ck_assert_float_eq_tol(image[0], 1, 1e-6f);
        ck_assert_float_eq_tol(image[1], (0.2f - 0.5f) / 0.5f, 1e-6f);
        ck_assert_float_eq_tol(image[PIXELS], (0.2f - 0.25f) / 0.25f, 1e-6f);
        ck_assert_float_eq_tol(image[3 * PIXELS - 1], (0.2f - 0.125f) / 0.125f, 1e-6f);
        ck_assert_int_eq(labels[0], -100);
        ck_assert_int_eq(labels[1], 7);
        ck_assert_int_eq(labels[PIXELS - 1], 7);
    }
    loader_close(loader);
}
END_TEST

/* 7 pictures in batches of 3: batches run over the ends of epochs, and each epoch shows every picture once.
 */
START_TEST(epochs_show_each_picture_once)
{
    enum { COUNT = 7, EPOCHS = 6 };
    LoaderStream stream;
    int order[COUNT * EPOCHS], same = 0;
    write_set(COUNT);
    open_set(scratch_path(&scratch, "set.txt"), &source);
    LoaderOptions options = plain(&stream, 3);
    Loader *loader = open_loader(&options);
    for (int i = 0; i < COUNT * EPOCHS; i += 3) {
        LoaderBatch batch = next(loader);
        for (int k = 0; k < 3; k++) {
            order[i + k] = batch.labels[0][k * PIXELS];
            float value = batch.images[0][k * 3 * PIXELS];
            ck_assert_float_eq_tol(value, ((float)order[i + k] * 10 / 255 - 0.5f) / 0.5f, 1e-5f);
            ck_assert_int_eq(order[i + k], (int)sampler_item(2, "source", (uint64_t)(i + k), COUNT));
        }
    }
    loader_close(loader);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int seen[COUNT] = {0};
        for (int i = 0; i < COUNT; i++) seen[order[epoch * COUNT + i]]++;
        for (int i = 0; i < COUNT; i++) ck_assert_int_eq(seen[i], 1);
        same += memcmp(order, order + epoch * COUNT, COUNT * sizeof *order) == 0;
    }
    ck_assert_int_eq(same, 1); /* the first with itself */
}
END_TEST

START_TEST(a_batch_may_be_larger_than_its_set)
{
    LoaderStream stream;
    int seen[2] = {0};
    write_set(2);
    open_set(scratch_path(&scratch, "set.txt"), &source);
    LoaderOptions options = plain(&stream, 6);
    Loader *loader = open_loader(&options);
    LoaderBatch batch = next(loader);
    for (int k = 0; k < 6; k++) seen[batch.labels[0][k * PIXELS]]++;
    ck_assert(seen[0] == 3 && seen[1] == 3);
    loader_close(loader);
}
END_TEST

START_TEST(streams_without_labels_have_none)
{
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 2, 2, 0);
    Loader *loader = open_loader(&options);
    LoaderBatch batch = next(loader);
    ck_assert_ptr_nonnull(batch.labels[0]);
    ck_assert_ptr_null(batch.labels[1]);
    loader_close(loader);
    ck_assert_int_eq(target.width, WIDTH); /* it said no size */
    ck_assert_int_eq(source.width, 48);
}
END_TEST

START_TEST(kept_pictures_are_not_read_again)
{
    LoaderStream stream;
    write_set(3);
    open_set(scratch_path(&scratch, "set.txt"), &source);
    LoaderOptions options = plain(&stream, 3);
    options.cache_bytes = 3 * PIXELS * 4;
    Loader *loader = open_loader(&options);
    /* All three are kept with the first batch; nobody still reads one after some more. */
    for (int i = 0; i < 6; i++) next(loader);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/%d.png", i);
        ck_assert_int_eq(unlink(scratch_path(&scratch, name)), 0);
    }
    for (int i = 0; i < 20; i++) next(loader);
    loader_close(loader);
}
END_TEST

/* ---- failures --------------------------------------------------------------------------------------------
 */

static void expect_open_error(const LoaderOptions *options, RtStatus want, const char *part)
{
    Loader *loader;
    RtError err = {0};
    ck_assert_int_eq(loader_open(options, &loader, &err), want);
    ck_assert_ptr_null(loader);
    ck_assert_msg(strstr(err.text, part), "'%s' is not in: %s", part, err.text);
}

START_TEST(labels_that_are_wanted_must_be_there)
{
    LoaderStream stream;
    char spec[600];
    write_set(2);
    snprintf(spec, sizeof spec, "images:%s", scratch_path(&scratch, "img"));
    open_set(spec, &source);
    LoaderOptions options = plain(&stream, 2);
    expect_open_error(&options, RT_USAGE, "label");
    stream.labelled = false;
    loader_close(open_loader(&options));
}
END_TEST

/* Each stream its own size: the memory that batches have goes by it (the sanitizer looks), and drawn
 * pictures. */
START_TEST(streams_may_differ_in_size)
{
    LoaderStream streams[2];
    open_drawn();
    LoaderOptions options = both(streams, 2, 2, 0);
    streams[1].height = 2 * HEIGHT;
    streams[1].width = WIDTH + 3;
    Loader *loader = open_loader(&options);
    for (int i = 0; i < 3; i++) {
        LoaderBatch batch = next(loader);
        const float *image = batch.images[1];
        size_t end = (size_t)3 * 3 * 2 * HEIGHT * (WIDTH + 3);
        ck_assert(isfinite(batch.images[0][3 * 3 * PIXELS - 1]) && isfinite(image[end - 1]));
        ck_assert(memcmp(image, image + end / 3, end / 3 * sizeof *image) != 0);
    }
    loader_close(loader);
    ck_assert_int_eq(target.height, 2 * HEIGHT);
    ck_assert_int_eq(target.width, WIDTH + 3);
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
    LoaderStream streams[2];
    open_drawn();
    const LoaderOptions good = both(streams, 1, 1, 0);
    LoaderOptions bad[] = {good, good, good, good, good, good, good};
    bad[0].threads = 0;
    bad[1].threads = LOADER_MOST_THREADS + 1;
    bad[2].ahead = 0;
    bad[3].stream_count = 0;
    bad[4].batch = 0;
    bad[5].height = 0;
    streams[1].width = _i == 6 ? 8 : 0; /* without a height */
    expect_open_error(&bad[_i], RT_BUG, "out of range");
}
END_TEST

/* The batch that holds the first sample of a spoiled item fails, those before it don't, whatever the threads
 * do; and it goes on failing. */
static void expect_failure(int threads, int item, RtStatus want, const char *part)
{
    LoaderStream stream;
    LoaderOptions options = plain(&stream, 2);
    LoaderBatch batch;
    RtError err = {0};
    uint64_t first = 0;
    while (sampler_item(2, "source", first, source.count) != (uint64_t)item) first++;
    options.threads = threads;
    Loader *loader = open_loader(&options);
    for (uint64_t i = 0; i < first / 2; i++) next(loader);
    for (int again = 0; again < 3; again++) {
        memset(&err, 0, sizeof err);
        ck_assert_int_eq(loader_next(loader, &batch, &err), want);
        ck_assert_int_eq(err.status, want);
        ck_assert_msg(strstr(err.text, part), "'%s' is not in: %s", part, err.text);
        ck_assert_ptr_null(batch.images[0]);
    }
    ck_assert_uint_eq(loader_position(loader, 0), first / 2 * 2);
    loader_close(loader);
}

START_TEST(damaged_files_are_named)
{
    write_set(9);
    scratch_write(&scratch, "img/4.png", "no picture");
    open_set(scratch_path(&scratch, "set.txt"), &source);
    expect_failure(1 + _i, 4, RT_BAD_INPUT, scratch_path(&scratch, "img/4.png"));
}
END_TEST

START_TEST(missing_files_are_named)
{
    write_set(9);
    open_set(scratch_path(&scratch, "set.txt"), &source);
    ck_assert_int_eq(unlink(scratch_path(&scratch, "lbl/2.png")), 0);
    expect_failure(2, 2, RT_BAD_INPUT, scratch_path(&scratch, "lbl/2.png"));
}
END_TEST

START_TEST(labels_of_another_size_are_named)
{
    write_set(5);
    scratch_picture(&scratch, "lbl/3.png", WIDTH, HEIGHT / 2, 1, 0, 0);
    open_set(scratch_path(&scratch, "set.txt"), &source);
    expect_failure(2, 3, RT_BAD_INPUT, "lbl/3.png: labels of 32x16 pixels for a picture of 32x32");
}
END_TEST

/* A set that was opened for no program in particular has classes that this one has not. */
START_TEST(labels_of_no_class_are_named)
{
    RtError err = {0};
    write_set(5);
    scratch_picture(&scratch, "lbl/1.png", WIDTH, HEIGHT, 1, 0, 19);
    ck_assert_int_eq(data_open(scratch_path(&scratch, "set.txt"), &source, &err), RT_OK);
    expect_failure(2, 1, RT_BAD_INPUT, "lbl/1.png: the label 19 at (0, 0) is no class");
}
END_TEST

START_TEST(closing_needs_nothing_before)
{
    LoaderStream streams[2];
    open_drawn();
    for (int i = 0; i < 12; i++) {
        LoaderOptions options = both(streams, 1 + i % 4, 2, 0);
        Loader *loader = open_loader(&options);
        if (i % 3 == 1) usleep(1000 * i);
        if (i % 3 == 2) next(loader);
        loader_close(loader);
    }
    loader_close(NULL);
}
END_TEST

/* Fails at every allocation in turn, on whichever thread it falls, until none is left to fail (what
 * is read ahead may not come to it, so a success is not the end). */
START_TEST(loading_survives_lack_of_memory)
{
    RtStatus status = RT_MACHINE;
    LoaderStream streams[2];
    long nth = 0;
    open_drawn();
    for (int good = 0; good < 20 && nth < 400; nth++) {
        LoaderOptions options = both(streams, 2, 1, 0);
        Loader *loader;
        LoaderBatch batch;
        RtError err = {0};
        options.cache_bytes = 1 << 20;
        rt_alloc_fail_at(nth + 1);
        status = loader_open(&options, &loader, &err);
        for (int i = 0; i < 3 && !status; i++) status = loader_next(loader, &batch, &err);
        rt_alloc_fail_at(0);
        ck_assert(status == RT_OK || status == RT_MACHINE);
        ck_assert(!status || err.text[0]);
        loader_close(loader);
        good = status ? 0 : good + 1;
    }
    ck_assert_int_eq(status, RT_OK);
    ck_assert_int_gt(nth, 20);
}
END_TEST

Suite *loader_suite(void)
{
    TCase *same = tcase_create("same"), *content = tcase_create("content"),
          *failures = tcase_create("failures");
    TCase *const cases[] = {same, content, failures};
    for (int i = 0; i < 3; i++) {
        tcase_add_checked_fixture(cases[i], set_up, tear_down);
        tcase_set_timeout(cases[i], 120);
    }
    tcase_add_test(same, batches_do_not_depend_on_how_they_are_made);
    tcase_add_test(same, resuming_goes_on_where_it_was);
    tcase_add_test(same, seeds_differ);
    tcase_add_test(same, a_batch_is_left_alone_until_the_next);
    tcase_add_test(content, values_are_normalised_and_labels_whole);
    tcase_add_test(content, epochs_show_each_picture_once);
    tcase_add_test(content, a_batch_may_be_larger_than_its_set);
    tcase_add_test(content, streams_without_labels_have_none);
    tcase_add_test(content, kept_pictures_are_not_read_again);
    tcase_add_test(failures, labels_that_are_wanted_must_be_there);
    tcase_add_loop_test(failures, options_out_of_range_are_refused, 0, 7);
    tcase_add_test(failures, streams_may_differ_in_size);
    tcase_add_loop_test(failures, damaged_files_are_named, 0, 4);
    tcase_add_test(failures, missing_files_are_named);
    tcase_add_test(failures, labels_of_another_size_are_named);
    tcase_add_test(failures, labels_of_no_class_are_named);
    tcase_add_test(failures, closing_needs_nothing_before);
    tcase_add_test(failures, loading_survives_lack_of_memory);
    Suite *suite = suite_create("loader");
    for (int i = 0; i < 3; i++) suite_add_tcase(suite, cases[i]);
    return suite;
}
