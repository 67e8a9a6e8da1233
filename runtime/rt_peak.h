/* How fast this machine is at its best, measured: what kernels' speeds are compared with. Takes some 0.3 s
 * and three arrays that together exceed the caches several times. */
#ifndef RT_PEAK_H
#define RT_PEAK_H

#include "rt_pool.h"

typedef struct MachinePeak {
    double flops;         /* floating-point operations per second, all threads of the pool */
    double bytes;         /* bytes per second of a[i] = b[i] + s * c[i] out of memory; 12 bytes per i */
    int vector_bits;      /* of the instructions that reached flops */
    uint64_t array_bytes; /* what the three arrays took */
} MachinePeak;

/* Best of several rounds. RT_MACHINE without memory for the arrays. */
RtStatus peak_measure(Pool *pool, MachinePeak *peak, RtError *err);

#endif
