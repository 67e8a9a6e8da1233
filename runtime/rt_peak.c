/* See rt_peak.h. Arithmetic: twelve independent chains of fused multiply-adds, enough to hide the latency of
 * 4 to 5 cycles on two units; as one asm statement, so that no compiler flag changes what is measured.
 * Memory: STREAM's triad (McCalpin 1995). */
#include "rt_peak.h"

#include "rt_cpu.h"
#include "rt_memory.h"
#include "rt_session.h"

#include <stdbool.h>
#include <unistd.h>

enum {
    CHAINS = 12,
    CHAIN_LENGTH = 100000, /* per unit */
    ROUNDS = 5,
    TRIAD_UNIT = 1 << 16,   /* floats */
    CACHE_REACH = 32 << 20, /* bytes of last-level cache that a thread may find for itself */
};

typedef float Vector4 __attribute__((vector_size(16)));

#if defined(__x86_64__)
typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector16 __attribute__((vector_size(64)));

#define FMA(chain) "vfmadd231ps %12, %13, %" #chain "\n\t"
#define FMA_UNIT(name, features, Vector, constraint)                                                         \
    __attribute__((target(features))) static void name(void *context, int64_t begin, int64_t end,            \
                                                       int thread)                                           \
    {                                                                                                        \
        (void)context, (void)thread;                                                                         \
        Vector a[CHAINS] = {{0}}, b = {0}, c = {0};                                                          \
        b += 0.5f;                                                                                           \
        c += 1e-3f;                                                                                          \
        for (int64_t i = 0; i < (end - begin) * CHAIN_LENGTH; i++) {                                         \
            __asm__ volatile(                                                                                \
                FMA(0) FMA(1) FMA(2) FMA(3) FMA(4) FMA(5) FMA(6) FMA(7) FMA(8) FMA(9) FMA(10) FMA(11)        \
                : "+" constraint(a[0]), "+" constraint(a[1]), "+" constraint(a[2]), "+" constraint(a[3]),    \
                  "+" constraint(a[4]), "+" constraint(a[5]), "+" constraint(a[6]), "+" constraint(a[7]),    \
                  "+" constraint(a[8]), "+" constraint(a[9]), "+" constraint(a[10]), "+" constraint(a[11])   \
                : constraint(b), constraint(c));                                                             \
        }                                                                                                    \
    }
FMA_UNIT(fma_256, "avx2,fma", Vector8, "x")
FMA_UNIT(fma_512, "avx512f", Vector16, "v")
#endif

/* Without fused multiply-add: a multiplication and an addition each. The result must be used, or it is not
 * computed. */
static void multiply_add_128(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    Vector4 a[CHAINS] = {{0}}, b = {0}, c = {0};
    b += 0.5f;
    c += 1e-3f;
    for (int64_t i = 0; i < (end - begin) * CHAIN_LENGTH; i++) {
        for (int chain = 0; chain < CHAINS; chain++) a[chain] = a[chain] * b + c;
    }
    for (int chain = 1; chain < CHAINS; chain++) a[0] += a[chain];
    if (a[0][0] == 12345) *(bool *)context = true;
}

/* Operations per second of the best round. */
static double measure_arithmetic(Pool *pool, PoolFn *unit, int lanes)
{
    double best = 0, work = (double)CHAINS * CHAIN_LENGTH * lanes * 2;
    bool sink = false;
    int64_t units = pool_threads(pool) * 8;
    for (int round = 0; round < ROUNDS; round++) {
        double start = session_clock();
        pool_run(pool, units, unit, &sink);
        double speed = (double)units * work / (session_clock() - start);
        if (speed > best) best = speed;
    }
    return best;
}

static void keep_faster(MachinePeak *peak, double flops, int bits)
{
    if (flops <= peak->flops) return;
    peak->flops = flops;
    peak->vector_bits = bits;
}

typedef struct Triad {
    float *a, *b, *c;
} Triad;

static void triad_units(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Triad *triad = context;
    Vector4 scale = {3, 3, 3, 3};
    for (int64_t i = begin * TRIAD_UNIT; i < end * TRIAD_UNIT; i += 8) {
        Vector4 *a = (Vector4 *)(triad->a + i);
        const Vector4 *b = (const Vector4 *)(triad->b + i), *c = (const Vector4 *)(triad->c + i);
        a[0] = b[0] + scale * c[0];
        a[1] = b[1] + scale * c[1];
    }
}

/* Bytes of one array: together, the three are four times the last cache, within reason. Virtual machines tell
 * the size of all the caches of their host; what few threads can reach of that is limited. */
static uint64_t triad_bytes(const Pool *pool)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    uint64_t reach = (uint64_t)CACHE_REACH * (uint64_t)pool_threads(pool);
    uint64_t bytes = (cache > 0 && (uint64_t)cache < reach ? (uint64_t)cache : reach) * 4 / 3;
    if (bytes < 32 << 20) bytes = 32 << 20;
    if (bytes > 256 << 20) bytes = 256 << 20;
    return bytes / (TRIAD_UNIT * sizeof(float)) * (TRIAD_UNIT * sizeof(float));
}

static RtStatus measure_memory(Pool *pool, MachinePeak *peak, RtError *err)
{
    MemoryBlock block;
    uint64_t bytes = triad_bytes(pool);
    RtStatus status = memory_map(bytes * 3, "measuring the memory's speed", &block, err);
    if (status) return status;
    float *values = block.base;
    uint64_t length = bytes / sizeof *values;
    Triad triad = {values, values + length, values + 2 * length};
    memory_touch(&block, 0, block.bytes);
    for (int round = 0; round < ROUNDS; round++) {
        double start = session_clock();
        pool_run(pool, (int64_t)(length / TRIAD_UNIT), triad_units, &triad);
        double speed = (double)bytes * 3 / (session_clock() - start);
        if (speed > peak->bytes) peak->bytes = speed;
    }
    peak->array_bytes = block.bytes;
    memory_unmap(&block);
    return RT_OK;
}

RtStatus peak_measure(Pool *pool, MachinePeak *peak, RtError *err)
{
    *peak = (MachinePeak){0};
    keep_faster(peak, measure_arithmetic(pool, multiply_add_128, 4), 128);
#if defined(__x86_64__)
    if (cpu_has("avx2") && cpu_has("fma")) keep_faster(peak, measure_arithmetic(pool, fma_256, 8), 256);
    if (cpu_has("avx512f")) keep_faster(peak, measure_arithmetic(pool, fma_512, 16), 512);
#endif
    return measure_memory(pool, peak, err);
}
