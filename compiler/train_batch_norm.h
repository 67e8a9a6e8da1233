/* batch_norm over the batch's own statistics, for training programs.
 *
 * Rewrites every batch_norm whose attribute `statistics` is batch or batch_only, before autodiff:
 *
 *     before: %6: f32[2,8,5,5] = batch_norm %1, %w, %b, %m, %v {statistics=batch}
 *     after:  %7: f32[2,8] = batch_statistics %1             mean and biased variance of each channel
 *             %8: f32[2,8] = batch_norm_scale %w, %b, %7     its factor and shift
 *             %9: f32[2,8,5,5] = batch_norm_train %1, %w, %b, %7, %8
 *             %10: f32[8] = running_statistic %m, %7 {start=0}
 *             %11: f32[8] = running_statistic %v, %7 {start=1, scale=1.0204...}
 *             update %m = %10
 *             update %v = %11
 *
 * batch_norm_train computes from its first input and its last alone; the others are there for its gradient,
 * so that autodiff sees the whole operator as one node. With batch_only there are no updates. Where a network
 * is applied more than once, each application moves the running statistics from where the one before left
 * them. The variance that goes there is the unbiased one (scale is n / (n - 1)), as in PyTorch.
 */
#ifndef TRAIN_BATCH_NORM_H
#define TRAIN_BATCH_NORM_H

#include "graph.h"

/* The graph must be typed and sorted; it is sorted after. (That no channel has a single value only, whose
 * variance would be 0, is for the operator's shape rule to see.) */
void train_batch_norms(Graph *graph);

#endif
