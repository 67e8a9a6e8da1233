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

static bool ends_in(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

/* The mean that stands beside a variance: "x.running_mean" for "x.running_var". */
static int find_partner(const Calibration *calibration, int index)
{
    static const char var[] = "running_var", mean[] = "running_mean";
    const ProgramHeader *header = calibration->training->header;
    const char *name = program_text(header, calibration->statistics[index].tensor->name);
    if (!ends_in(name, var)) return -1;
    const size_t stem = strlen(name) - (sizeof var - 1);
    for (int i = 0; i < calibration->count; i++) {
        const char *other = program_text(header, calibration->statistics[i].tensor->name);
        if (!strncmp(other, name, stem) && !strcmp(other + stem, mean)) return i;
    }
    return -1;
}

static RtStatus add_statistic(Calibration *calibration, const ProgramTensor *tensor, RtError *err)
{
    CalibrationStatistic *statistic = &calibration->statistics[calibration->count++];
    *statistic = (CalibrationStatistic){.tensor = tensor};
    size_t count = (size_t)count_of(statistic);
    statistic->old = rt_alloc(count * sizeof *statistic->old);
    statistic->sum = rt_alloc(count * sizeof *statistic->sum);
    statistic->square = rt_alloc(count * sizeof *statistic->square);
    if (!statistic->old || !statistic->sum || !statistic->square)
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
    for (int i = 0; i < calibration->count && !status; i++)
        calibration->statistics[i].partner = find_partner(calibration, i);
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
        for (int64_t k = 0; k < count_of(statistic); k++) {
            statistic->sum[k] += (double)values[k];
            statistic->square[k] += (double)values[k] * (double)values[k];
        }
    }
    return RT_OK;
}

static double average(double sum, const Calibration *calibration)
{
    return sum / (double)calibration->batches;
}

int calibration_finish(Calibration *calibration)
{
    int changed = 0;
    for (int i = 0; i < calibration->count && calibration->batches; i++) {
        const CalibrationStatistic *statistic = &calibration->statistics[i], *mean = NULL;
        float *values = values_of(calibration, statistic);
        if (statistic->is_frozen) continue;
        if (statistic->partner >= 0) mean = &calibration->statistics[statistic->partner];
        for (int64_t k = 0; k < count_of(statistic); k++) {
            double value = average(statistic->sum[k], calibration) / statistic->share;
            if (mean && !mean->is_frozen) {
                double middle = average(mean->sum[k], calibration) / mean->share;
                double square = average(mean->square[k], calibration) / (mean->share * mean->share);
                if (square > middle * middle) value += square - middle * middle;
            }
            values[k] = (float)value;
        }
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
        rt_free(calibration->statistics[i].square);
    }
    rt_free(calibration->statistics);
    rt_free(calibration->labels);
    *calibration = (Calibration){0};
}
