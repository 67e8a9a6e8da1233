/* A pool of threads that divides the units of a loop among themselves.
 *
 * The threads are made once; the caller is one of them. Units are handed out in runs of consecutive numbers,
 * large at first and small towards the end, from one atomic counter: a thread that is held up delays the
 * others by one small run at most. Which thread gets which unit differs from run to run, so units must not
 * depend on each other; then results depend neither on that nor on the number of threads.
 *
 * Between two loops the threads spin for a moment, since the steps of a plan may last only some microseconds
 * each; then they sleep until the next loop, and cost nothing.
 *
 * A pool belongs to one caller at a time. Different pools are independent. All memory is the pool's, in one
 * block, released by pool_close.
 *
 *     Pool *pool;
 *     if (pool_open(4, &pool, &err)) return err.status;
 *     pool_run(pool, height, blur_rows, &picture);
 *     pool_close(pool);
 */
#ifndef RT_POOL_H
#define RT_POOL_H

#include "rt_status.h"

#include <stdint.h>

typedef struct Pool Pool;

/* Does units begin..end-1; thread is 0..threads-1 (0: the caller of pool_run). */
typedef void PoolFn(void *context, int64_t begin, int64_t end, int thread);

/* threads: 1..CPU_MAX_THREADS. RT_MACHINE when the system gives no memory or thread. */
RtStatus pool_open(int threads, Pool **pool, RtError *err);
/* Waits for the threads to end. NULL is harmless. */
void pool_close(Pool *pool);
int pool_threads(const Pool *pool);
/* Returns when all units are done; what they wrote is visible. A unit must not call pool_run on its pool. */
void pool_run(Pool *pool, int64_t units, PoolFn *fn, void *context);

#endif
