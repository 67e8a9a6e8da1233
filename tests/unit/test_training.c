/* The parts that training is made of: tensors in blocks, event files, the log, discriminators' health; and a
 * training step against its formulas. rt_schedule and whole runs have suites of their own. */
#include "../../runtime/rt_blocked.h"
#include "../../runtime/rt_health.h"
#include "../../runtime/rt_parameters.h"
#include "../../runtime/rt_program.h"
#include "../../runtime/rt_session.h"
#include "../../runtime/rt_tensorboard.h"
#include "../../runtime/rt_train_log.h"
#include "../../runtime/rt_training.h"
#include "scratch_folder.h"
#include "tiny_training.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *training_suite(void);

static ScratchFolder scratch;

static void set_up(void)
{
    scratch_open(&scratch);
}

static void tear_down(void)
{
    scratch_close(&scratch);
}

/* ---- blocks
 * ------------------------------------------------------------------------------------------------ */

START_TEST(blocks_hold_channels_side_by_side)
{
    const ProgramTensor tensor = {.rank = 4, .dims = {2, 3, 1, 2}, .block = 2};
    const float dense[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const float expected[16] = {1, 3, 2, 4, 5, 0, 6, 0, 7, 9, 8, 10, 11, 0, 12, 0};
    float blocked[16], again[12];
    ck_assert_int_eq(blocked_elements(&tensor), 16);
    blocked_from_dense(&tensor, dense, blocked);
    ck_assert_mem_eq(blocked, expected, sizeof expected);
    blocked_to_dense(&tensor, blocked, again);
    ck_assert_mem_eq(again, dense, sizeof dense);
}
END_TEST

START_TEST(a_block_of_one_is_dense)
{
    const ProgramTensor tensor = {.rank = 1, .dims = {5}, .block = 1};
    const float dense[5] = {1, 2, 3, 4, 5};
    float same[5];
    ck_assert_int_eq(blocked_elements(&tensor), 5);
    blocked_from_dense(&tensor, dense, same);
    ck_assert_mem_eq(same, dense, sizeof dense);
}
END_TEST

START_TEST(blocks_wider_than_the_tensor)
{
    const ProgramTensor tensor = {.rank = 4, .dims = {1, 3, 2, 1}, .block = 16};
    const float dense[6] = {1, 2, 3, 4, 5, 6};
    float blocked[32], again[6];
    ck_assert_int_eq(blocked_elements(&tensor), 32);
    blocked_from_dense(&tensor, dense, blocked);
    ck_assert(blocked[0] == 1 && blocked[1] == 3 && blocked[2] == 5 && blocked[3] == 0 && blocked[16] == 2);
    blocked_to_dense(&tensor, blocked, again);
    ck_assert_mem_eq(again, dense, sizeof dense);
}
END_TEST

/* ---- a step
 * ------------------------------------------------------------------------------------------------ */

static void open_tiny(TinyTraining *tiny, Training *training)
{
    RtError err;
    *tiny = (TinyTraining){.batch = 1, .height = 1, .width = 2, .classes = 2, .iterations = 10};
    tiny_training_build(tiny);
    ck_assert_msg(!training_open(training, &tiny->predict.program, 1, &err), "%s", err.text);
    ck_assert_int_eq(segrt_initialize(training->session, 1, &err), RT_OK);
}

START_TEST(streams_and_terms_are_found)
{
    TinyTraining tiny;
    Training training;
    open_tiny(&tiny, &training);
    ck_assert_int_eq(training.stream_count, 2);
    ck_assert_str_eq(training.streams[0].name, "source");
    ck_assert_ptr_nonnull(training.streams[0].label);
    ck_assert_str_eq(training.streams[1].name, "target");
    ck_assert_ptr_null(training.streams[1].label);
    ck_assert_int_eq(training.term_count, 3);
    ck_assert_str_eq(training.terms[2].name, "follow");
    training_close(&training);
    tiny_training_free(&tiny);
}
END_TEST

/* The critic by hand: w -= 0.1 * 2 (w - mean), every iteration. */
START_TEST(a_step_is_its_formula)
{
    TinyTraining tiny;
    Training training;
    open_tiny(&tiny, &training);
    const float source[6] = {0}, target[6] = {1, 1, 2, 2, 3, 3};
    const int32_t label[2] = {0, 255};
    const ProgramTensor *critic = program_find(training.header, ROLE_PARAMETER, "critic.weight");
    float weight = *(const float *)session_address(training.session, critic);
    for (int i = 0; i < 3; i++) {
        training_fill(&training, (const float *const[]){source, target},
                      (const int32_t *const[]){label, NULL});
        ck_assert_int_eq(training_run(&training, 0, NULL, NULL), RT_OK);
        ck_assert_double_eq_tol(training.terms[2].value, (double)((weight - 2) * (weight - 2)), 1e-6);
        weight -= 0.1f * 2 * (weight - 2);
        ck_assert_float_eq_tol(*(const float *)session_address(training.session, critic), weight, 1e-6f);
    }
    ck_assert_int_eq(training.iteration, 3);
    training_close(&training);
    tiny_training_free(&tiny);
}
END_TEST

START_TEST(forward_moves_no_weight)
{
    TinyTraining tiny;
    Training training;
    open_tiny(&tiny, &training);
    const float source[6] = {0}, target[6] = {1, 1, 2, 2, 3, 3};
    const int32_t label[2] = {0, 1};
    float *room, before[6], after[6];
    const ProgramTensor *weight = program_find(training.header, ROLE_PARAMETER, "head.weight");
    ck_assert_int_eq(parameters_room(training.header, &room, NULL), RT_OK);
    memcpy(before, parameters_dense(training.session, weight, room), sizeof before);
    training_fill(&training, (const float *const[]){source, target}, (const int32_t *const[]){label, NULL});
    ck_assert_int_eq(training_forward(&training, NULL), RT_OK);
    memcpy(after, parameters_dense(training.session, weight, room), sizeof after);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert_int_eq(training.iteration, 0);
    rt_free(room);
    training_close(&training);
    tiny_training_free(&tiny);
}
END_TEST

/* ---- event files
 * ------------------------------------------------------------------------------------------- */

START_TEST(crc32c)
{
    /* RFC 3720, B.4, and the usual check value. */
    unsigned char bytes[32] = {0};
    ck_assert_uint_eq(tensorboard_crc32c("123456789", 9), 0xe3069283u);
    ck_assert_uint_eq(tensorboard_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    ck_assert_uint_eq(tensorboard_crc32c(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    ck_assert_uint_eq(tensorboard_crc32c(bytes, 32), 0x46dd794eu);
}
END_TEST

static uint64_t little(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}

static bool fits(const unsigned char *data, size_t size, const unsigned char *stored)
{
    uint32_t masked = (uint32_t)little(stored, 4) - 0xa282ead8u;
    return (masked << 15 | masked >> 17) == tensorboard_crc32c(data, size);
}

/* Takes a varint; *at moves behind it. */
static uint64_t varint(const unsigned char **at)
{
    uint64_t value = 0;
    int shift = 0;
    for (; **at & 0x80; shift += 7) value |= (uint64_t)(*(*at)++ & 0x7f) << shift;
    return value | (uint64_t) * (*at)++ << shift;
}

typedef struct Event {
    uint64_t step, session_status;
    char version[20], tag[500];
    float value;
} Event;

static void read_message(const unsigned char *at, const unsigned char *end, int depth, Event *event)
{
    while (at < end) {
        uint64_t key = varint(&at), field = key >> 3;
        if ((key & 7) == 0) {
            uint64_t value = varint(&at);
            *(depth ? &event->session_status : &event->step) = value;
        } else if ((key & 7) == 1) {
            at += 8;
        } else if ((key & 7) == 5) {
            uint32_t bits = (uint32_t)little(at, 4);
            memcpy(&event->value, &bits, 4);
            at += 4;
        } else {
            uint64_t length = varint(&at);
            if (depth == 0 && field == 3)
                memcpy(event->version, at, length);
            else if (depth == 2 && field == 1)
                memcpy(event->tag, at, length);
            else
                read_message(at, at + length, depth + 1, event);
            at += length;
        }
    }
    ck_assert_ptr_eq(at, end);
}

/* Reads the only event file of the folder; returns how many events it has. */
static int read_events(Event *events, int room)
{
    static unsigned char bytes[1 << 16];
    DIR *folder = opendir(scratch.path);
    size_t size = 0, at = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, "events.out.tfevents.", 20)) continue;
        FILE *file = fopen(scratch_path(&scratch, entry->d_name), "rb");
        size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
    }
    closedir(folder);
    int count = 0;
    while (at < size) {
        ck_assert_int_lt(count, room);
        uint64_t length = little(bytes + at, 8);
        ck_assert(fits(bytes + at, 8, bytes + at + 8));
        ck_assert(fits(bytes + at + 12, length, bytes + at + 12 + length));
        events[count] = (Event){0};
        read_message(bytes + at + 12, bytes + at + 12 + length, 0, &events[count++]);
        at += 16 + length;
    }
    return count;
}

START_TEST(events_read_back)
{
    Tensorboard board;
    Event events[8];
    ck_assert_int_eq(tensorboard_open(&board, scratch.path, 0, NULL), RT_OK);
    ck_assert_int_eq(tensorboard_scalar(&board, "terms/ce", 300, 1.25f, NULL), RT_OK);
    ck_assert_int_eq(tensorboard_scalar(&board, "lr/generator", 1000000, 2.5e-4f, NULL), RT_OK);
    tensorboard_close(&board);
    tensorboard_close(&board);
    ck_assert_int_eq(read_events(events, 8), 3);
    ck_assert_str_eq(events[0].version, "brain.Event:2");
    ck_assert_str_eq(events[1].tag, "terms/ce");
    ck_assert_uint_eq(events[1].step, 300);
    ck_assert(events[1].value == 1.25f);
    ck_assert_str_eq(events[2].tag, "lr/generator");
    ck_assert_uint_eq(events[2].step, 1000000);
    ck_assert(events[2].value == 2.5e-4f);
}
END_TEST

START_TEST(going_on_voids_later_points)
{
    Tensorboard board;
    Event events[8];
    ck_assert_int_eq(tensorboard_open(&board, scratch.path, 50, NULL), RT_OK);
    tensorboard_close(&board);
    ck_assert_int_eq(read_events(events, 8), 2);
    ck_assert_uint_eq(events[1].step, 51);
    ck_assert_uint_eq(events[1].session_status, 1);
}
END_TEST

START_TEST(long_tags_are_cut)
{
    Tensorboard board;
    Event events[8];
    char tag[2000];
    memset(tag, 'x', sizeof tag - 1);
    tag[sizeof tag - 1] = 0;
    ck_assert_int_eq(tensorboard_open(&board, scratch.path, 0, NULL), RT_OK);
    ck_assert_int_eq(tensorboard_scalar(&board, tag, 1, 1, NULL), RT_OK);
    tensorboard_close(&board);
    ck_assert_int_eq(read_events(events, 8), 2);
    ck_assert_uint_eq(strlen(events[1].tag), 400);
}
END_TEST

START_TEST(no_folder_for_events)
{
    Tensorboard board;
    RtError err;
    ck_assert_int_eq(tensorboard_open(&board, scratch_path(&scratch, "none"), 0, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot be written: No such file"));
    tensorboard_close(&board);
}
END_TEST

/* ---- the log
 * ----------------------------------------------------------------------------------------------- */

static void add_line(TrainLog *log, int64_t iteration)
{
    train_log_begin(log, "step", iteration);
    json_out_number(&log->json, "x", 1.0 / 3);
    ck_assert_int_eq(train_log_end(log, NULL), RT_OK);
}

static void log_is(const char *expected)
{
    char text[2000];
    FILE *file = fopen(scratch_path(&scratch, "log.jsonl"), "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    ck_assert_str_eq(text, expected);
}

START_TEST(a_line_is_an_object)
{
    TrainLog log;
    ck_assert_int_eq(train_log_open(&log, scratch_path(&scratch, "log.jsonl"), -1, NULL), RT_OK);
    train_log_begin(&log, "start", 0);
    json_out_open(&log.json, "data", '{');
    json_out_text(&log.json, "source", "a \"b\"");
    json_out_close(&log.json);
    json_out_open(&log.json, "none", '[');
    json_out_close(&log.json);
    json_out_number(&log.json, "bad", NAN);
    ck_assert_int_eq(train_log_end(&log, NULL), RT_OK);
    train_log_close(&log);
    log_is("{\"event\": \"start\", \"iteration\": 0, \"data\": {\"source\": \"a \\\"b\\\"\"}, \"none\": [], "
           "\"bad\": null}\n");
}
END_TEST

START_TEST(the_log_is_cut_and_goes_on)
{
    TrainLog log;
    const char *path = scratch_path(&scratch, "log.jsonl");
    ck_assert_int_eq(train_log_open(&log, path, -1, NULL), RT_OK);
    for (int i = 1; i < 5; i++) add_line(&log, 10 * i);
    train_log_close(&log);
    ck_assert_int_eq(train_log_open(&log, path, 20, NULL), RT_OK);
    add_line(&log, 21);
    train_log_close(&log);
    log_is("{\"event\": \"step\", \"iteration\": 10, \"x\": 0.333333333}\n"
           "{\"event\": \"step\", \"iteration\": 20, \"x\": 0.333333333}\n"
           "{\"event\": \"step\", \"iteration\": 21, \"x\": 0.333333333}\n");
    ck_assert_int_eq(train_log_open(&log, path, -1, NULL), RT_OK);
    train_log_close(&log);
    log_is("");
}
END_TEST

START_TEST(a_log_has_one_writer)
{
    TrainLog log, other;
    RtError err;
    const char *path = scratch_path(&scratch, "log.jsonl");
    ck_assert_int_eq(train_log_open(&log, path, -1, NULL), RT_OK);
    add_line(&log, 1);
    ck_assert_int_eq(train_log_open(&other, path, -1, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "another process"));
    train_log_close(&other);
    train_log_close(&log);
    log_is("{\"event\": \"step\", \"iteration\": 1, \"x\": 0.333333333}\n");
}
END_TEST

/* ---- health
 * ------------------------------------------------------------------------------------------------ */

/* The step at which a state is reported; 0: never within 1000. */
static int first_report(double loss, HealthState expected)
{
    Health health = {0};
    int first = 0;
    for (int i = 1; i <= 1000; i++) {
        HealthState state = health_note(&health, loss);
        if (state == HEALTH_WELL) continue;
        ck_assert_int_eq(state, expected);
        ck_assert_int_eq(first, 0);
        first = i;
    }
    return first;
}

START_TEST(states_that_last_are_reported_once)
{
    ck_assert_int_eq(first_report(0.001, HEALTH_SATURATED), 200);
    ck_assert_int_eq(first_report(0.693, HEALTH_NOT_LEARNING), 200);
    ck_assert_int_eq(first_report(1.3863, HEALTH_NOT_LEARNING), 200);
    ck_assert_int_eq(first_report(0.25, HEALTH_NOT_LEARNING), 200);
    ck_assert_int_eq(first_report(0.4, HEALTH_WELL), 0);
}
END_TEST

START_TEST(one_good_step_is_enough)
{
    Health health = {0};
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(health_note(&health, i % 150 ? 0.001 : 0.4), HEALTH_WELL);
}
END_TEST

Suite *training_suite(void)
{
    Suite *suite = suite_create("training");
    TCase *tests = tcase_create("training");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, blocks_hold_channels_side_by_side);
    tcase_add_test(tests, a_block_of_one_is_dense);
    tcase_add_test(tests, blocks_wider_than_the_tensor);
    tcase_add_test(tests, streams_and_terms_are_found);
    tcase_add_test(tests, a_step_is_its_formula);
    tcase_add_test(tests, forward_moves_no_weight);
    tcase_add_test(tests, crc32c);
    tcase_add_test(tests, events_read_back);
    tcase_add_test(tests, going_on_voids_later_points);
    tcase_add_test(tests, long_tags_are_cut);
    tcase_add_test(tests, no_folder_for_events);
    tcase_add_test(tests, a_line_is_an_object);
    tcase_add_test(tests, the_log_is_cut_and_goes_on);
    tcase_add_test(tests, a_log_has_one_writer);
    tcase_add_test(tests, states_that_last_are_reported_once);
    tcase_add_test(tests, one_good_step_is_enough);
    suite_add_tcase(suite, tests);
    return suite;
}
