/* `segc bench`: one graph compiled in three ways, measured side by side.
 *
 * bench.c compiles, compares and measures; bench_text.c prints. Part of the command line, like main.c.
 * Everything lives in the command's arena but sessions and machine code, which bench.c releases.
 */
#ifndef BENCH_H
#define BENCH_H

#include "../codegen/build.h"

#include "../runtime/rt_bench.h"

enum { BENCH_FUSED, BENCH_UNFUSED, BENCH_BASELINE, BENCH_VARIANTS };

typedef struct BenchVariant {
    const char *name;
    const Build *build;
    BuildJit *jit;
    SegrtSession *session;
    double compile_seconds; /* from the graph to machine code */
    double *runs;           /* seconds of each run, sorted */
    double *steps;          /* median seconds of each step; NULL: not measured */
    uint64_t planned_bytes;
    double difference; /* from the fused outputs: largest of f32 ones, as a share of the largest value */
    int64_t differing; /* elements of the others (classes) that are not equal */
} BenchVariant;

/* The steps of a group, which the fused program does for some nodes. */
typedef struct BenchKernel {
    const char *name, *kind;
    int steps;
    double seconds, flops, bytes;
    double baseline_seconds; /* what the baseline took for the same nodes; negative: not the same ones */
} BenchKernel;

typedef struct Bench {
    const char *file;
    int64_t n_runs, warmup;
    int threads;
    BenchVariant variants[BENCH_VARIANTS];
    BenchKernel *kernels; /* of the fused variant, the slowest first */
    int n_kernels, cap_kernels;
    int64_t values, classes; /* f32 and other elements of all outputs */
    MachinePeak peak;
} Bench;

RtStatus bench_print(const Bench *bench, RtError *err);
void bench_print_json(const Bench *bench);

#endif
