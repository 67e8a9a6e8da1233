/* See rt_bench.h. */
#include "rt_bench.h"

#include "rt_program.h"
#include "rt_rand.h"
#include "rt_session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_RUNS = 10, /* as many as fit in RUN_SECONDS, within these bounds */
    MOST_RUNS = 200,
};

static const double RUN_SECONDS = 3;

/* Classes in patches of some pixels, as pictures have them. */
static void fill_labels(int32_t *labels, int64_t count, int64_t classes)
{
    for (int64_t i = 0; i < count; i++) labels[i] = classes ? (int32_t)(i / 61 * 7 % classes) : 0;
}

void bench_fill_inputs(SegrtSession *session)
{
    const ProgramHeader *header = session_program(session);
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != ROLE_INPUT) continue;
        void *data = session_address(session, tensor);
        if (tensor->dtype == DTYPE_F32)
            rand_uniform(rand_key(1, "bench"), 0, tensor->bytes / 4, 2, data);
        else if (tensor->dtype == DTYPE_I32)
            fill_labels(data, program_elements(tensor), (int64_t)header->classes.count);
        else
            memset(data, 0, tensor->bytes);
    }
}

RtStatus bench_run(SegrtSession *session, double *seconds, RtError *err)
{
    bench_fill_inputs(session);
    double start = session_clock();
    RtStatus status = segrt_run(session, err);
    *seconds = session_clock() - start;
    return status;
}

RtStatus bench_run_steps(SegrtSession *session, double *step_seconds, RtError *err)
{
    bench_fill_inputs(session);
    return session_run_timed(session, step_seconds, err);
}

int64_t bench_choose_runs(double seconds)
{
    double fit = seconds > 0 ? RUN_SECONDS / seconds : MOST_RUNS;
    return fit < LEAST_RUNS ? LEAST_RUNS : fit > MOST_RUNS ? MOST_RUNS : (int64_t)fit;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_sort(double *seconds, int64_t count)
{
    qsort(seconds, (size_t)count, sizeof *seconds, by_value);
}

double bench_median(const double *sorted, int64_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

double bench_percentile(const double *sorted, int64_t count, double share)
{
    int64_t rank = (int64_t)ceil(share * (double)count);
    return sorted[rank < 1 ? 0 : rank - 1];
}

RtStatus bench_step_medians(const double *times, int64_t runs, uint32_t steps, double *medians, RtError *err)
{
    double *column = rt_alloc((size_t)runs * sizeof *column);
    if (!column) return rt_fail(err, RT_MACHINE, "no memory for the times of %lld runs", (long long)runs);
    for (uint32_t step = 0; step < steps; step++) {
        for (int64_t run = 0; run < runs; run++) column[run] = times[run * steps + step];
        bench_sort(column, runs);
        medians[step] = column[runs / 2];
    }
    rt_free(column);
    return RT_OK;
}

BenchSpeed bench_speed(double flops, double bytes, double seconds, const MachinePeak *peak)
{
    BenchSpeed speed = {.flops = flops / seconds, .bytes = bytes / seconds};
    speed.flops_share = 100 * speed.flops / peak->flops;
    speed.bytes_share = 100 * speed.bytes / peak->bytes;
    return speed;
}
