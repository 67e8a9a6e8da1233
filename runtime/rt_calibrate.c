/* See rt_calibrate.h. */
#include "rt_calibrate.h"

#include "rt_program.h"
#include "rt_session.h"

#include <math.h>
#include <string.h>

static float *values_of(const Calibration *calibration, const CalibrationStatistic *statistic)
{
    return session_address(calibration->training->session, statistic->tensor);
}

static int64_t count_of(const CalibrationStatistic *statistic)
{
    return program_elements(statistic->tensor);
}

static RtStatus add_statistic(Calibration *calibration, const ProgramTensor *tensor, RtError *err)
{
    CalibrationStatistic *statistic = &calibration->statistics[calibration->count++];
    *statistic = (CalibrationStatistic){.tensor = tensor};
    size_t count = (size_t)count_of(statistic);
    statistic->old = rt_alloc(count * sizeof *statistic->old);
    statistic->sum = rt_alloc(count * sizeof *statistic->sum);
    if (!statistic->old || !statistic->sum)
        return rt_fail(err, RT_MACHINE, "no memory for running statistics");
    memcpy(statistic->old, values_of(calibration, statistic), count * sizeof *statistic->old);
    return RT_OK;
}

static RtStatus ignore_labels(Calibration *calibration, RtError *err)
{
    size_t most = 0;
    const Training *training = calibration->training;
    for (int i = 0; i < training->stream_count; i++) {
        const ProgramTensor *label = training->streams[i].label;
        if (label && label->bytes / sizeof(int32_t) > most) most = label->bytes / sizeof(int32_t);
    }
    calibration->labels = rt_alloc(most * sizeof *calibration->labels);
    if (!calibration->labels) return rt_fail(err, RT_MACHINE, "no memory for a batch of labels");
    for (size_t i = 0; i < most; i++) calibration->labels[i] = (int32_t)training->header->ignore_index;
    return RT_OK;
}

RtStatus calibration_open(Calibration *calibration, Training *training, RtError *err)
{
    *calibration = (Calibration){.training = training};
    const ProgramHeader *header = training->header;
    calibration->statistics = rt_alloc(header->tensors.count * sizeof *calibration->statistics);
    if (!calibration->statistics) return rt_fail(err, RT_MACHINE, "no memory for running statistics");
    RtStatus status = ignore_labels(calibration, err);
    for (uint32_t i = 0; i < header->tensors.count && !status; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role == ROLE_PARAMETER && tensor->statistic)
            status = add_statistic(calibration, tensor, err);
    }
    if (!status && !calibration->count)
        status = rt_fail(err, RT_USAGE, "%s has no batch_norm with running statistics: nothing to calibrate",
                         program_text(header, header->name));
    return status;
}

static RtStatus run(Calibration *calibration, const float *const *images, RtError *err)
{
    const int32_t *labels[TRAINING_MOST_STREAMS];
    for (int i = 0; i < TRAINING_MOST_STREAMS; i++) labels[i] = calibration->labels;
    training_fill(calibration->training, images, labels);
    return training_forward(calibration->training, err);
}

/* Frozen statistics are what their batch_norm goes by, so they keep their values throughout. */
static RtStatus find_frozen(Calibration *calibration, const float *const *images, RtError *err)
{
    RtStatus status = run(calibration, images, err);
    for (int i = 0; i < calibration->count && !status; i++) {
        CalibrationStatistic *statistic = &calibration->statistics[i];
        size_t bytes = (size_t)count_of(statistic) * sizeof(float);
        statistic->is_frozen = !memcmp(values_of(calibration, statistic), statistic->old, bytes);
    }
    return status;
}

static RtStatus run_from(Calibration *calibration, float value, const float *const *images, RtError *err)
{
    for (int i = 0; i < calibration->count; i++) {
        CalibrationStatistic *statistic = &calibration->statistics[i];
        float *values = values_of(calibration, statistic);
        for (int64_t k = 0; k < count_of(statistic) && !statistic->is_frozen; k++) values[k] = value;
    }
    return run(calibration, images, err);
}

/* a is what a run from 1 gives above a run from 0. The channel with the smallest values shows it best. */
static RtStatus find_shares(Calibration *calibration, const float *const *images, RtError *err)
{
    RtStatus status = run_from(calibration, 1, images, err);
    for (int i = 0; i < calibration->count && !status; i++) {
        CalibrationStatistic *statistic = &calibration->statistics[i];
        const float *values = values_of(calibration, statistic);
        for (int64_t k = 0; k < count_of(statistic); k++) statistic->sum[k] = (double)values[k];
    }
    if (!status) status = run_from(calibration, 0, images, err);
    for (int i = 0; i < calibration->count && !status; i++) {
        CalibrationStatistic *statistic = &calibration->statistics[i];
        const float *values = values_of(calibration, statistic);
        int64_t best = 0;
        for (int64_t k = 1; k < count_of(statistic); k++) {
            if (fabsf(values[k]) < fabsf(values[best])) best = k;
        }
        statistic->share = 1 - (statistic->sum[best] - (double)values[best]);
        memset(statistic->sum, 0, (size_t)count_of(statistic) * sizeof *statistic->sum);
    }
    return status;
}

static RtStatus run_first(Calibration *calibration, const float *const *images, RtError *err)
{
    RtStatus status = find_frozen(calibration, images, err);
    return status ? status : find_shares(calibration, images, err);
}

RtStatus calibration_add(Calibration *calibration, const float *const *images, RtError *err)
{
    RtStatus status =
        calibration->batches ? run_from(calibration, 0, images, err) : run_first(calibration, images, err);
    if (status) return status;
    calibration->batches++;
    for (int i = 0; i < calibration->count; i++) {
        CalibrationStatistic *statistic = &calibration->statistics[i];
        const float *values = values_of(calibration, statistic);
        for (int64_t k = 0; k < count_of(statistic); k++) statistic->sum[k] += (double)values[k];
    }
    return RT_OK;
}

int calibration_finish(Calibration *calibration)
{
    int changed = 0;
    for (int i = 0; i < calibration->count && calibration->batches; i++) {
        const CalibrationStatistic *statistic = &calibration->statistics[i];
        const double scale = 1 / (statistic->share * (double)calibration->batches);
        float *values = values_of(calibration, statistic);
        if (statistic->is_frozen) continue;
        for (int64_t k = 0; k < count_of(statistic); k++) values[k] = (float)(statistic->sum[k] * scale);
        changed++;
    }
    session_parameters_set(calibration->training->session);
    return changed;
}

void calibration_close(Calibration *calibration)
{
    for (int i = 0; i < calibration->count; i++) {
        rt_free(calibration->statistics[i].old);
        rt_free(calibration->statistics[i].sum);
    }
    rt_free(calibration->statistics);
    rt_free(calibration->labels);
    *calibration = (Calibration){0};
}
