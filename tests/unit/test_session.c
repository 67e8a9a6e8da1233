/* Sessions: memory, parameters, running, and what is said when something is wrong. */
#include "../../runtime/rt_rand.h"
#include "../../runtime/rt_session.h"
#include "tiny_program.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *session_suite(void);

static SegrtSession *open_session(const TinyProgram *tiny, int threads)
{
    RtError err = {0};
    SegrtSession *session = NULL;
    ck_assert_msg(!segrt_open(&tiny->program, threads, &session, &err), "%s", err.text);
    return session;
}

static SegrtTensor get(SegrtSession *session, const char *name)
{
    RtError err = {0};
    SegrtTensor tensor;
    ck_assert_msg(!segrt_tensor(session, name, &tensor, &err), "%s", err.text);
    return tensor;
}

/* Values that are neither constant nor symmetric. */
static void fill_image(SegrtSession *session)
{
    SegrtTensor image = get(session, "image");
    float *values = image.data;
    for (size_t i = 0; i < image.bytes / 4; i++) values[i] = (float)((i * 37 + i / 5) % 101) / 50 - 1;
}

static void run(SegrtSession *session)
{
    RtError err = {0};
    fill_image(session);
    ck_assert_msg(!segrt_run(session, &err), "%s", err.text);
}

START_TEST(computes_scores_and_classes)
{
    TinyProgram tiny = {.batch = 2, .height = 3, .width = 5, .classes = 4};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 2);
    ck_assert_int_eq(segrt_initialize(session, 7, NULL), RT_OK);
    run(session);
    const float *image = get(session, "image").data, *weight = get(session, "head.weight").data;
    const float *bias = get(session, "head.bias").data, *scores = get(session, "scores").data;
    const int32_t *classes = get(session, "classes").data;
    for (int n = 0; n < 2; n++) {
        for (int p = 0; p < 15; p++) {
            int best = 0;
            for (int c = 0; c < 4; c++) {
                double want = bias[c];
                for (int k = 0; k < 3; k++) want += (double)weight[c * 3 + k] * image[(n * 3 + k) * 15 + p];
                ck_assert_double_eq_tol(scores[(n * 4 + c) * 15 + p], want, 1e-5);
                if (scores[(n * 4 + c) * 15 + p] > scores[(n * 4 + best) * 15 + p]) best = c;
            }
            ck_assert_int_eq(classes[n * 15 + p], best);
        }
    }
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(threads_do_not_change_results)
{
    TinyProgram tiny = {.batch = 3, .height = 9, .width = 17, .classes = 7};
    tiny_build(&tiny);
    SegrtSession *one = open_session(&tiny, 1), *five = open_session(&tiny, 5);
    segrt_initialize(one, 1, NULL);
    segrt_initialize(five, 1, NULL);
    for (int i = 0; i < 20; i++) {
        run(one);
        run(five);
        SegrtTensor a = get(one, "scores"), b = get(five, "scores");
        ck_assert_mem_eq(a.data, b.data, a.bytes);
        ck_assert_mem_eq(get(one, "classes").data, get(five, "classes").data, get(one, "classes").bytes);
    }
    segrt_close(one);
    segrt_close(five);
    tiny_free(&tiny);
}
END_TEST

START_TEST(seeds_decide_weights)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 20};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 2);
    SegrtTensor weight = get(session, "head.weight");
    float first[60], second[60];
    segrt_initialize(session, 5, NULL);
    memcpy(first, weight.data, sizeof first);
    segrt_initialize(session, 6, NULL);
    memcpy(second, weight.data, sizeof second);
    ck_assert_mem_ne(first, second, sizeof first);
    segrt_initialize(session, 5, NULL);
    ck_assert_mem_eq(first, weight.data, sizeof first);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(new_weights_are_prepared)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 1);
    segrt_initialize(session, 5, NULL);
    run(session);
    memset(get(session, "head.weight").data, 0, get(session, "head.weight").bytes);
    ((float *)get(session, "head.bias").data)[1] = 42;
    segrt_parameters_changed(session);
    run(session);
    ck_assert_float_eq(((float *)get(session, "scores").data)[7], 42);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(prepares_once)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 1);
    segrt_initialize(session, 5, NULL);
    double seconds[3] = {-1, -1, -1};
    fill_image(session);
    ck_assert_int_eq(session_run_timed(session, seconds, NULL), RT_OK);
    for (int i = 0; i < 3; i++) ck_assert_double_gt(seconds[i], 0);
    fill_image(session);
    ck_assert_int_eq(session_run_timed(session, seconds, NULL), RT_OK);
    ck_assert_double_eq(seconds[0], 0);
    ck_assert_double_gt(seconds[1], 0);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(running_needs_weights)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 1);
    RtError err = {0};
    ck_assert_str_eq(segrt_last_error(session), "");
    ck_assert_int_eq(segrt_run(session, &err), RT_USAGE);
    ck_assert_str_eq(err.text, "tiny has no weights yet: load or initialise them before running");
    ck_assert_str_eq(segrt_last_error(session), err.text);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(tensors_by_name)
{
    TinyProgram tiny = {.batch = 2, .height = 3, .width = 5, .classes = 4};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 1);
    SegrtTensor classes = get(session, "classes");
    ck_assert_int_eq(classes.dtype, SEGRT_I32);
    ck_assert_int_eq(classes.rank, 3);
    ck_assert_int_eq(classes.dims[2], 5);
    ck_assert_uint_eq(classes.bytes, 2 * 3 * 5 * 4);
    RtError err = {0};
    ck_assert_int_eq(segrt_tensor(session, "klasses", &classes, &err), RT_USAGE);
    ck_assert_str_eq(err.text, "tiny has no tensor named klasses");
    ck_assert_int_eq(segrt_tensor(session, "aux.weight", &classes, &err), RT_USAGE);
    ck_assert_str_eq(err.text, "tiny: aux.weight is never evaluated, so it has no memory");
    ck_assert_ptr_null(classes.data);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(refuses_missing_features)
{
    TinyProgram tiny = {
        .batch = 1, .height = 2, .width = 2, .classes = 2, .cpu_features = "sse2,antigravity"};
    tiny_build(&tiny);
    SegrtSession *session = NULL;
    RtError err = {0};
    ck_assert_int_eq(segrt_open(&tiny.program, 1, &session, &err), RT_MACHINE);
    ck_assert_ptr_null(session);
    ck_assert_msg(strstr(err.text, "built for antigravity, which this machine lacks"), "%s", err.text);
    tiny_free(&tiny);
}
END_TEST

START_TEST(refuses_other_versions)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2};
    tiny_build(&tiny);
    ((ProgramHeader *)tiny.image)->magic += 1ull << 56;
    SegrtSession *session = NULL;
    ck_assert_int_eq(segrt_open(&tiny.program, 1, &session, NULL), RT_BUG);
    tiny_free(&tiny);
}
END_TEST

START_TEST(reports_too_large_an_arena)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2, .arena_extra = 1ull << 60};
    tiny_build(&tiny);
    SegrtSession *session = NULL;
    RtError err = {0};
    ck_assert_int_eq(segrt_open(&tiny.program, 1, &session, &err), RT_MACHINE);
    ck_assert_msg(strstr(err.text, "no memory for the activations of tiny: it needs 1.2 EB"), "%s", err.text);
    tiny_free(&tiny);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
    TinyProgram tiny = {.batch = 1, .height = 2, .width = 2, .classes = 2};
    tiny_build(&tiny);
    int failures = 0;
    for (;; failures++) {
        SegrtSession *session = NULL;
        RtError err = {0};
        rt_alloc_fail_at(failures + 1);
        RtStatus status = segrt_open(&tiny.program, 2, &session, &err);
        rt_alloc_fail_at(0);
        segrt_close(session);
        if (!status) break;
        ck_assert_int_eq(status, RT_MACHINE);
        ck_assert_str_ne(err.text, "");
    }
    ck_assert_int_ge(failures, 3);
    tiny_free(&tiny);
}
END_TEST

START_TEST(memory_is_as_planned)
{
    TinyProgram tiny = {.batch = 1, .height = 8, .width = 8, .classes = 2, .arena_extra = 3 << 20};
    tiny_build(&tiny);
    SegrtSession *session = open_session(&tiny, 2);
    const ProgramHeader *header = session_program(session);
    SegrtMemory memory = segrt_memory(session);
    ck_assert_uint_ge(memory.planned, header->arena_bytes + header->persistent_bytes);
    ck_assert_uint_le(memory.planned, header->arena_bytes + header->persistent_bytes + 2 * 4096);
    ck_assert_uint_ge(memory.resident, 3 << 20);
    ck_assert_uint_eq((uintptr_t)get(session, "image").data % 64, 0);
    segrt_close(session);
    tiny_free(&tiny);
}
END_TEST

START_TEST(streams_do_not_depend_on_pieces)
{
    float whole[100], pieces[100];
    RandKey key = rand_key(11, "w");
    rand_uniform(key, 0, 100, 1, whole);
    rand_uniform(key, 0, 8, 1, pieces);
    rand_uniform(key, 8, 92, 1, pieces + 8);
    ck_assert_mem_eq(whole, pieces, sizeof whole);
    for (int i = 0; i < 100; i++) ck_assert(whole[i] >= -1 && whole[i] < 1);
}
END_TEST

/* The vector published with Philox4x32-10 for counter 0 and key 0. */
START_TEST(generator_is_philox)
{
    static const uint32_t published[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    float values[4];
    rand_uniform((RandKey){{0, 0}}, 0, 4, 1, values);
    for (int i = 0; i < 4; i++) ck_assert_uint_eq((uint32_t)((values[i] + 1) * 0x1p23f), published[i] >> 8);
}
END_TEST

Suite *session_suite(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, computes_scores_and_classes);
    tcase_add_test(tests, threads_do_not_change_results);
    tcase_add_test(tests, seeds_decide_weights);
    tcase_add_test(tests, new_weights_are_prepared);
    tcase_add_test(tests, prepares_once);
    tcase_add_test(tests, running_needs_weights);
    tcase_add_test(tests, tensors_by_name);
    tcase_add_test(tests, refuses_missing_features);
    tcase_add_test(tests, refuses_other_versions);
    tcase_add_test(tests, reports_too_large_an_arena);
    tcase_add_test(tests, any_allocation_may_fail);
    tcase_add_test(tests, memory_is_as_planned);
    tcase_add_test(tests, streams_do_not_depend_on_pieces);
    tcase_add_test(tests, generator_is_philox);
    suite_add_tcase(suite, tests);
    return suite;
}
