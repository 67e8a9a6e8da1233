/* See rt_metrics.h. */
#include "rt_metrics.h"

#include <math.h>
#include <string.h>

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

void metrics_clear(Metrics *metrics)
{
    memset(metrics->counts, 0, (size_t)metrics->classes * METRICS_MAX_CLASSES * sizeof *metrics->counts);
    metrics->not_counted = 0;
}

void metrics_add(Metrics *metrics, const unsigned char *labels, const unsigned char *predicted, size_t pixels)
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
