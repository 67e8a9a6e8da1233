/* See rt_pool.h.
 *
 * The whole protocol is two counters. `unclaimed` is the number of units nobody has taken; a thread takes
 * some by lowering it with compare-and-swap, and only then reads what the loop is. `unfinished` is the number
 * not yet done; who takes units owes the same number to `unfinished`. The loop's description may be rewritten
 * only when unfinished is 0, so whoever holds a claim reads a stable description, however late the thread
 * wakes; and the caller waits for units, never for threads that got none.
 *
 * Sleeping threads are woken through a futex: a thread announces itself in `sleepers`, looks once more, and
 * sleeps; the caller stores the work, then looks at `sleepers`. Both orders are sequentially consistent, so
 * one of the two sees the other.
 */
#define _GNU_SOURCE
#include "rt_pool.h"

#include "rt_cpu.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    SPIN_NANOSECONDS = 200000, /* several times what waking a thread costs */
    SPIN_ROUND = 64,           /* looks between two looks at the clock */
};

typedef struct Worker {
    Pool *pool;
    pthread_t thread;
    int index;
} Worker;

struct Pool {
    /* The loop in progress. */
    PoolFn *fn;
    void *context;
    int64_t units;
    int threads;
    bool spins; /* false where threads outnumber processors: spinning would keep the others from running */
    alignas(64) atomic_int_fast64_t unclaimed;
    alignas(64) atomic_int_fast64_t unfinished;
    alignas(64) atomic_uint wakeups; /* workers sleep on it */
    atomic_int sleepers;
    atomic_bool closing;
    alignas(64) atomic_uint caller_sleeps; /* the caller sleeps on it while it is 1 */
    Worker workers[];
};

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Takes a share of what is left; 0 when nothing is. *left tells which: the last *left units, from the first
 * of them on. */
static int64_t claim(Pool *pool, int64_t *left)
{
    int_fast64_t seen = atomic_load_explicit(&pool->unclaimed, memory_order_relaxed);
    while (seen > 0) {
        int64_t share = seen / (2 * pool->threads);
        if (share < 1) share = 1;
        if (atomic_compare_exchange_weak_explicit(&pool->unclaimed, &seen, seen - share, memory_order_acquire,
                                                  memory_order_relaxed)) {
            *left = seen;
            return share;
        }
    }
    return 0;
}

/* Works until nothing is left to take. */
static void work(Pool *pool, int thread)
{
    int64_t left, share;
    while ((share = claim(pool, &left)) > 0) {
        int64_t begin = pool->units - left;
        pool->fn(pool->context, begin, begin + share, thread);
        if (atomic_fetch_sub(&pool->unfinished, share) == share && atomic_load(&pool->caller_sleeps) &&
            atomic_exchange(&pool->caller_sleeps, 0))
            futex_wake(&pool->caller_sleeps, 1);
    }
}

static bool has_news(Pool *pool)
{
    return atomic_load(&pool->unclaimed) > 0 || atomic_load(&pool->closing);
}

/* Waits, awake, for a moment; true if there is news. */
static bool spin_for_news(Pool *pool)
{
    int64_t until = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPIN_ROUND; i++) {
            if (atomic_load_explicit(&pool->unclaimed, memory_order_relaxed) > 0) return true;
            cpu_relax();
        }
        if (atomic_load_explicit(&pool->closing, memory_order_relaxed)) return true;
    } while (pool->spins && nanoseconds() < until);
    return false;
}

static void sleep_for_news(Pool *pool)
{
    unsigned wakeups = atomic_load(&pool->wakeups);
    atomic_fetch_add(&pool->sleepers, 1);
    if (!has_news(pool)) futex_wait(&pool->wakeups, wakeups);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void wake_sleepers(Pool *pool)
{
    if (!atomic_load(&pool->sleepers)) return;
    atomic_fetch_add(&pool->wakeups, 1);
    futex_wake(&pool->wakeups, INT_MAX);
}

static void *worker_main(void *argument)
{
    Worker *worker = argument;
    Pool *pool = worker->pool;
    while (!atomic_load(&pool->closing)) {
        work(pool, worker->index);
        if (!spin_for_news(pool)) sleep_for_news(pool);
    }
    return NULL;
}

/* The caller's wait for the units that others have taken. */
static void wait_until_finished(Pool *pool)
{
    int64_t until = 0;
    for (int i = 0; atomic_load(&pool->unfinished) > 0; i++) {
        cpu_relax();
        if (i % SPIN_ROUND) continue;
        if (!until) until = nanoseconds() + (pool->spins ? SPIN_NANOSECONDS : 0);
        if (nanoseconds() <= until) continue;
        atomic_store(&pool->caller_sleeps, 1);
        if (atomic_load(&pool->unfinished) > 0) futex_wait(&pool->caller_sleeps, 1);
        atomic_store(&pool->caller_sleeps, 0);
    }
}

void pool_run(Pool *pool, int64_t units, PoolFn *fn, void *context)
{
    if (units <= 0) return;
    if (units == 1 || pool->threads == 1) {
        fn(context, 0, units, 0);
        return;
    }
    pool->fn = fn;
    pool->context = context;
    pool->units = units;
    atomic_store_explicit(&pool->unfinished, units, memory_order_relaxed);
    atomic_store(&pool->unclaimed, units);
    wake_sleepers(pool);
    work(pool, 0);
    wait_until_finished(pool);
}

/* Signals are for the thread that called us: workers take none. */
static int start_worker(Worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

RtStatus pool_open(int threads, Pool **result, RtError *err)
{
    *result = NULL;
    if (threads < 1 || threads > CPU_MAX_THREADS)
        return rt_fail(err, RT_USAGE, "%d threads; expected a number from 1 to %d", threads, CPU_MAX_THREADS);
    Pool *pool = rt_alloc(sizeof *pool + (size_t)threads * sizeof *pool->workers);
    if (!pool) return rt_fail(err, RT_MACHINE, "no memory for a pool of %d threads", threads);
    pool->spins = threads <= cpu_available();
    for (pool->threads = 1; pool->threads < threads; pool->threads++) {
        Worker *worker = &pool->workers[pool->threads];
        *worker = (Worker){.pool = pool, .index = pool->threads};
    }
    for (int i = 1; i < threads; i++) {
        int failed = start_worker(&pool->workers[i]);
        if (!failed) continue;
        pool->threads = i; /* those that have started see it only after the join below */
        pool_close(pool);
        return rt_fail(err, RT_MACHINE, "cannot start thread %d of %d: %s", i + 1, threads, strerror(failed));
    }
    *result = pool;
    return RT_OK;
}

void pool_close(Pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->closing, true);
    atomic_fetch_add(&pool->wakeups, 1);
    futex_wake(&pool->wakeups, INT_MAX);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    rt_free(pool);
}

int pool_threads(const Pool *pool)
{
    return pool->threads;
}
