/* See rt_metrics.h. */
#include "rt_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    VALUES = 65536,   /* of a label */
    LISTED = 8,       /* wrong values that a message names */
    STEP_OF_GREYS = 9 /* grey renderings of classes keep at least this distance between values */
};

RtStatus metrics_open(Metrics *metrics, int classes, int64_t ignore_label, const bool *voids, RtError *err)
{
    *metrics = (Metrics){.classes = classes, .ignore_label = ignore_label};
    if (voids) memcpy(metrics->is_void, voids, (size_t)classes * sizeof *voids);
    size_t cells = (size_t)classes * METRICS_MAX_CLASSES;
    metrics->counts = rt_alloc(cells * sizeof *metrics->counts);
    if (metrics->counts) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for a confusion matrix of %d classes", classes);
}

void metrics_close(Metrics *metrics)
{
    rt_free(metrics->counts);
    *metrics = (Metrics){0};
}

static bool is_wrong(const Metrics *metrics, int value)
{
    return value >= metrics->classes && value != metrics->ignore_label;
}

/* What a label picture's values say. */
typedef struct Values {
    int64_t *counts; /* by value */
    int distinct, lowest_step, highest, wrong;
    int64_t wrong_pixels;
} Values;

static void count_values(const Metrics *metrics, const uint16_t *labels, size_t pixels, Values *values)
{
    for (size_t i = 0; i < pixels; i++) values->counts[labels[i]]++;
    values->lowest_step = VALUES;
    int last = -1;
    for (int value = 0; value < VALUES; value++) {
        if (!values->counts[value]) continue;
        if (last >= 0 && value - last < values->lowest_step) values->lowest_step = value - last;
        last = value;
        values->distinct++;
        values->highest = value;
        if (!is_wrong(metrics, value)) continue;
        values->wrong++;
        values->wrong_pixels += values->counts[value];
    }
}

static const char *likely_cause(const Metrics *metrics, const Values *values)
{
    if (values->highest >= 1000 && values->highest / 1000 <= 33)
        return "these look like Cityscapes instance ids (class * 1000 + number): use the label pictures";
    if (metrics->classes == 19 && values->highest <= 33)
        return "these look like Cityscapes label ids (0..33): convert them to train ids";
    if (values->distinct > 2 && values->lowest_step >= STEP_OF_GREYS)
        return "these look like a grey rendering of classes, not like class ids";
    if (values->distinct > metrics->classes + 8 && values->distinct > 48)
        return "this looks like a photograph, not like class ids";
    if (values->wrong == 1 && values->highest == metrics->classes)
        return "if that value means void, make it the ignored label";
    return "the labels are of another set of classes";
}

/* "value 33 (120 pixels), ..." */
static void list_wrong(const Metrics *metrics, const Values *values, char *text, size_t size)
{
    size_t used = 0;
    int listed = 0;
    for (int value = 0; value < VALUES && listed < LISTED; value++) {
        if (!values->counts[value] || !is_wrong(metrics, value)) continue;
        used += (size_t)snprintf(text + used, size - used, "%s%d (%lld pixels)", listed ? ", " : "", value,
                                 (long long)values->counts[value]);
        listed++;
    }
    if (values->wrong > listed) snprintf(text + used, size - used, " and %d others", values->wrong - listed);
}

static RtStatus refuse(const Metrics *metrics, const char *name, const Values *values, RtError *err)
{
    char wrong[400], ignored[64] = "";
    list_wrong(metrics, values, wrong, sizeof wrong);
    if (metrics->ignore_label >= 0)
        snprintf(ignored, sizeof ignored, " or %lld (ignored)", (long long)metrics->ignore_label);
    return rt_fail(err, RT_BAD_INPUT, "%s: labels out of range: %s; expected 0..%d%s; %s", name, wrong,
                   metrics->classes - 1, ignored, likely_cause(metrics, values));
}

RtStatus metrics_check(const Metrics *metrics, const char *name, const uint16_t *labels, size_t pixels,
                       RtError *err)
{
    bool wrong = false;
    for (size_t i = 0; i < pixels && !wrong; i++) wrong = is_wrong(metrics, labels[i]);
    if (!wrong) return RT_OK;
    Values values = {.counts = rt_alloc(VALUES * sizeof *values.counts)};
    if (!values.counts) return rt_fail(err, RT_MACHINE, "no memory to count label values");
    count_values(metrics, labels, pixels, &values);
    RtStatus status = refuse(metrics, name, &values, err);
    rt_free(values.counts);
    return status;
}

void metrics_add(Metrics *metrics, const uint16_t *labels, const unsigned char *predicted, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        int truth = labels[i];
        if (truth == metrics->ignore_label || metrics->is_void[truth])
            metrics->not_counted++;
        else
            metrics->counts[truth * METRICS_MAX_CLASSES + predicted[i]]++;
    }
}

int64_t metrics_hits(const Metrics *metrics, int class)
{
    return metrics->counts[class * METRICS_MAX_CLASSES + class];
}

int64_t metrics_labelled(const Metrics *metrics, int class)
{
    int64_t sum = 0;
    for (int p = 0; p < METRICS_MAX_CLASSES; p++) sum += metrics->counts[class * METRICS_MAX_CLASSES + p];
    return sum;
}

int64_t metrics_predicted(const Metrics *metrics, int class)
{
    int64_t sum = 0;
    for (int t = 0; t < metrics->classes; t++) sum += metrics->counts[t * METRICS_MAX_CLASSES + class];
    return sum;
}

int64_t metrics_counted(const Metrics *metrics)
{
    int64_t sum = 0;
    for (int t = 0; t < metrics->classes; t++) sum += metrics_labelled(metrics, t);
    return sum;
}

bool metrics_iou(const Metrics *metrics, int class, double *iou)
{
    int64_t hits = metrics_hits(metrics, class);
    int64_t either = metrics_labelled(metrics, class) + metrics_predicted(metrics, class) - hits;
    if (!either || metrics->is_void[class]) return false;
    *iou = (double)hits / (double)either;
    return true;
}

double metrics_mean_iou(const Metrics *metrics, int *classes)
{
    double sum = 0, iou;
    *classes = 0;
    for (int c = 0; c < metrics->classes; c++) {
        if (!metrics_iou(metrics, c, &iou)) continue;
        sum += iou;
        ++*classes;
    }
    return *classes ? sum / *classes : (double)NAN;
}

double metrics_accuracy(const Metrics *metrics)
{
    int64_t hits = 0, counted = metrics_counted(metrics);
    for (int c = 0; c < metrics->classes; c++) hits += metrics_hits(metrics, c);
    return counted ? (double)hits / (double)counted : (double)NAN;
}
