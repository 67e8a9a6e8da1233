/* The thread pool: every unit is done exactly once, by any number of threads, many times over. */
#define _GNU_SOURCE
#include "../../runtime/rt_cpu.h"
#include "../../runtime/rt_pool.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Suite *pool_suite(void);

enum { UNITS = 1000 };

typedef struct Count {
    atomic_int done[UNITS];
    atomic_int threads_seen[CPU_MAX_THREADS];
} Count;

static void count_units(void *context, int64_t begin, int64_t end, int thread)
{
    Count *count = context;
    atomic_fetch_add(&count->threads_seen[thread], 1);
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&count->done[i], 1);
}

static Pool *open_pool(int threads)
{
    RtError err = {0};
    Pool *pool = NULL;
    ck_assert_msg(!pool_open(threads, &pool, &err), "%s", err.text);
    return pool;
}

static void check_units_done_once(int threads, int64_t units)
{
    Pool *pool = open_pool(threads);
    Count *count = calloc(1, sizeof *count);
    pool_run(pool, units, count_units, count);
    for (int64_t i = 0; i < UNITS; i++) ck_assert_int_eq(atomic_load(&count->done[i]), i < units);
    free(count);
    pool_close(pool);
}

START_TEST(each_unit_once)
{
    static const int threads[] = {1, 2, 3, 5, 8};
    static const int64_t units[] = {0, 1, 2, 3, 7, 64, 999, UNITS};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) check_units_done_once(threads[t], units[u]);
    }
}
END_TEST

/* Plain memory, no atomics: a loop must see what the loop before it wrote, on any thread. */
static void double_units(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const unsigned *from = ((unsigned **)context)[0];
    unsigned *to = ((unsigned **)context)[1];
    for (int64_t i = begin; i < end; i++) to[i] = from[(i + 1) % UNITS] + 1;
}

START_TEST(loops_are_barriers)
{
    Pool *pool = open_pool(4);
    static unsigned a[UNITS], b[UNITS];
    for (unsigned i = 0; i < UNITS; i++) a[i] = b[i] = 0;
    unsigned *there[] = {a, b}, *back[] = {b, a};
    for (int round = 0; round < 1000; round++) {
        pool_run(pool, UNITS, double_units, there);
        pool_run(pool, UNITS, double_units, back);
    }
    for (int i = 0; i < UNITS; i++) ck_assert_uint_eq(a[i], 2000);
    pool_close(pool);
}
END_TEST

static void count_one(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    atomic_fetch_add((atomic_long *)context, (long)(end - begin));
}

/* Pauses of all lengths around the moment at which threads go to sleep: no wake-up may be lost. */
START_TEST(work_after_sleep)
{
    Pool *pool = open_pool(3);
    atomic_long total = 0;
    for (int round = 0; round < 300; round++) {
        struct timespec pause = {.tv_nsec = round * 2000};
        nanosleep(&pause, NULL);
        pool_run(pool, 50, count_one, &total);
        ck_assert_int_eq(atomic_load(&total), (round + 1) * 50);
    }
    pool_close(pool);
}
END_TEST

static void pause_for_a_while(void *context, int64_t begin, int64_t end, int thread)
{
    count_one(context, begin, end, thread);
    for (; begin < end; begin++) nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
}

/* The caller itself has to sleep here. */
START_TEST(slow_units)
{
    Pool *pool = open_pool(4);
    atomic_long total = 0;
    for (int round = 0; round < 5; round++) pool_run(pool, 5, pause_for_a_while, &total);
    ck_assert_int_eq(atomic_load(&total), 25);
    pool_close(pool);
}
END_TEST

START_TEST(pools_are_independent)
{
    Pool *first = open_pool(2), *second = open_pool(2);
    atomic_long a = 0, b = 0;
    for (int i = 0; i < 100; i++) {
        pool_run(first, 10, count_one, &a);
        pool_run(second, 20, count_one, &b);
    }
    pool_close(first);
    pool_run(second, 20, count_one, &b);
    ck_assert_int_eq(atomic_load(&a), 1000);
    ck_assert_int_eq(atomic_load(&b), 2020);
    pool_close(second);
}
END_TEST

START_TEST(very_many_units)
{
    Pool *pool = open_pool(2);
    atomic_long total = 0;
    pool_run(pool, 1ll << 40, count_one, &total);
    ck_assert_int_eq(atomic_load(&total), 1ll << 40);
    pool_close(pool);
}
END_TEST

START_TEST(open_and_close_at_once)
{
    for (int i = 0; i < 100; i++) pool_close(open_pool(1 + i % 6));
    pool_close(NULL);
}
END_TEST

START_TEST(refuses_bad_counts)
{
    RtError err = {0};
    Pool *pool = NULL;
    ck_assert_int_eq(pool_open(0, &pool, &err), RT_USAGE);
    ck_assert_int_eq(pool_open(CPU_MAX_THREADS + 1, &pool, &err), RT_USAGE);
    ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(reports_no_memory)
{
    RtError err = {0};
    Pool *pool = NULL;
    rt_alloc_fail_at(1);
    ck_assert_int_eq(pool_open(2, &pool, &err), RT_MACHINE);
    rt_alloc_fail_at(0);
    ck_assert_str_eq(err.text, "no memory for a pool of 2 threads");
}
END_TEST

START_TEST(quota_rounds_up)
{
    ck_assert_int_eq(cpu_quota("max 100000\n"), 0);
    ck_assert_int_eq(cpu_quota("100000 100000\n"), 1);
    ck_assert_int_eq(cpu_quota("150000 100000"), 2);
    ck_assert_int_eq(cpu_quota("50000 100000"), 1);
    ck_assert_int_eq(cpu_quota("-1 100000"), 0);
    ck_assert_int_eq(cpu_quota("100000 0"), 0);
    ck_assert_int_eq(cpu_quota(""), 0);
}
END_TEST

START_TEST(environment_sets_threads)
{
    RtError err = {0};
    int threads = 0;
    setenv("SEGRT_THREADS", "3", 1);
    ck_assert_int_eq(cpu_threads(0, &threads, &err), RT_OK);
    ck_assert_int_eq(threads, 3);
    ck_assert_int_eq(cpu_threads(2, &threads, &err), RT_OK);
    ck_assert_int_eq(threads, 2);
    setenv("SEGRT_THREADS", "many", 1);
    ck_assert_int_eq(cpu_threads(0, &threads, &err), RT_USAGE);
    ck_assert_str_eq(err.text, "SEGRT_THREADS is \"many\"; expected a number from 1 to 512");
    unsetenv("SEGRT_THREADS");
    ck_assert_int_eq(cpu_threads(0, &threads, &err), RT_OK);
    ck_assert_int_eq(threads, cpu_available());
}
END_TEST

START_TEST(names_missing_features)
{
    RtError err = {0};
    ck_assert_int_eq(cpu_check("", &err), RT_OK);
    ck_assert_int_eq(cpu_check("sse2,sse", &err), RT_OK);
    ck_assert_int_eq(cpu_check("sse2,warp,telepathy", &err), RT_MACHINE);
    ck_assert_msg(strstr(err.text, "built for warp, telepathy, which this machine lacks"), "%s", err.text);
}
END_TEST

Suite *pool_suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("pool");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_unit_once);
    tcase_add_test(tests, loops_are_barriers);
    tcase_add_test(tests, work_after_sleep);
    tcase_add_test(tests, slow_units);
    tcase_add_test(tests, pools_are_independent);
    tcase_add_test(tests, very_many_units);
    tcase_add_test(tests, open_and_close_at_once);
    tcase_add_test(tests, refuses_bad_counts);
    tcase_add_test(tests, reports_no_memory);
    tcase_add_test(tests, quota_rounds_up);
    tcase_add_test(tests, environment_sets_threads);
    tcase_add_test(tests, names_missing_features);
    suite_add_tcase(suite, tests);
    return suite;
}
