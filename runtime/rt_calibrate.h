/* New running statistics of batch_norm, from pictures without labels: AdaBN (Li et al. 2016).
 *
 * Batches run through the training program with no player stepping. Each batch_norm that keeps running
 * statistics then has, per channel, new = a * old + (1 - a) * batch, where a depends on its momentum and on
 * how often the program applies it; a comes out of the first batch by running it from old = 0 and from old =
 * 1, and later ones start from 0. Statistics that don't change from their old values are left as they were
 * (frozen ones).
 *
 * The result is the mean over batches, of means and of (unbiased) variances alike, as PyTorch's batch_norm
 * with momentum None has it. The variance of the means is not added: the network was trained with what single
 * batches vary by, and it made predictions a little worse wherever it was tried.
 *
 * The cost: a batch takes a training step's time without the updates, most of it for gradients that nobody
 * uses.
 *
 *     status = calibration_open(&calibration, &training, &err);
 *     for (...) status = calibration_add(&calibration, images, &err);
 *     calibration_finish(&calibration);             (now training.session has the new statistics)
 *     calibration_close(&calibration);
 */
#ifndef RT_CALIBRATE_H
#define RT_CALIBRATE_H

#include "rt_training.h"

/* One tensor of running means or variances. */
typedef struct CalibrationStatistic {
    const ProgramTensor *tensor;
    float *old;
    bool is_frozen; /* the program does not change it */
    double share;   /* 1 - a */
    double *sum;    /* of the batches' values */
} CalibrationStatistic;

typedef struct Calibration {
    Training *training;
    int count;
    CalibrationStatistic *statistics;
    int32_t *labels; /* all ignored */
    int64_t batches;
} Calibration;

/* RT_USAGE when the program keeps no running statistics. To be closed after failures too. */
RtStatus calibration_open(Calibration *calibration, Training *training, RtError *err);
/* Pictures by stream, as training_fill. */
RtStatus calibration_add(Calibration *calibration, const float *const *images, RtError *err);
/* Puts the new statistics in place. Returns how many tensors changed. */
int calibration_finish(Calibration *calibration);
void calibration_close(Calibration *calibration);

#endif
