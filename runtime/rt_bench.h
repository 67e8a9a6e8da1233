/* Measuring sessions: what `PROG bench` and `segc bench` share.
 *
 * Before each run, outside the time, the inputs are filled anew, since a run may overwrite them and odd
 * numbers (denormals) could be slow. Times are in seconds.
 */
#ifndef RT_BENCH_H
#define RT_BENCH_H

#include "rt_peak.h"
#include "segrt.h"

/* Puts uniform values of about the size that normalised pictures have into every input; always the same. */
void bench_fill_inputs(SegrtSession *session);
/* One whole run. */
RtStatus bench_run(SegrtSession *session, double *seconds, RtError *err);
/* One run with a time per step of the program, 0 for PREPARE steps that did not run. */
RtStatus bench_run_steps(SegrtSession *session, double *step_seconds, RtError *err);
/* How many runs of this length to time when the user did not say. */
int64_t bench_choose_runs(double seconds);

void bench_sort(double *seconds, int64_t count);
/* Of sorted times. The percentile is the smallest time that at least the given share of runs did not exceed.
 */
double bench_median(const double *sorted, int64_t count);
double bench_percentile(const double *sorted, int64_t count, double share);
/* times holds runs rows of one time per step; medians receives the median of each. RT_MACHINE without memory.
 */
RtStatus bench_step_medians(const double *times, int64_t runs, uint32_t steps, double *medians, RtError *err);

/* What a step reached. */
typedef struct BenchSpeed {
    double flops, bytes;             /* per second */
    double flops_share, bytes_share; /* of the machine's peak, in percent */
} BenchSpeed;
BenchSpeed bench_speed(double flops, double bytes, double seconds, const MachinePeak *peak);

#endif
