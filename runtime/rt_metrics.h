/* How well predicted classes agree with labels: one confusion matrix over a whole set of pictures.
 *
 * Counted are the pixels whose label is a class; the ignored label and classes that are void (ProgramClass.
 * ignored) as truth are not. Over counted pixels, IoU of a class is
 *     hits / (labelled + predicted - hits).
 * A prediction of a void class is a miss of the labelled one. A class neither labelled nor predicted has no
 * IoU and is not part of the mean.
 *
 *     Metrics metrics;
 *     if (metrics_open(&metrics, 19, 255, NULL, &err)) return err.status;
 *     ... metrics_add(&metrics, labels, classes, pixels) ...
 *     int counted;
 *     double miou = metrics_mean_iou(&metrics, &counted);
 *     metrics_close(&metrics);
 */
#ifndef RT_METRICS_H
#define RT_METRICS_H

#include "rt_status.h"

#include <stdbool.h>
#include <stdint.h>

enum { METRICS_MAX_CLASSES = 256 };

typedef struct Metrics {
    int classes;
    int64_t ignore_label;
    bool is_void[METRICS_MAX_CLASSES];
    int64_t *counts;     /* [truth * METRICS_MAX_CLASSES + predicted] */
    int64_t not_counted; /* pixels */
} Metrics;

/* voids: per class, 1 for void; NULL: none. RT_MACHINE without memory. */
RtStatus metrics_open(Metrics *metrics, int classes, int64_t ignore_label, const bool *voids, RtError *err);
void metrics_close(Metrics *metrics);
/* Back to nothing counted. */
void metrics_clear(Metrics *metrics);

/* Labels are classes and the ignored label, as rt_encoding.h makes them. */
void metrics_add(Metrics *metrics, const unsigned char *labels, const unsigned char *predicted,
                 size_t pixels);

int64_t metrics_hits(const Metrics *metrics, int class);
int64_t metrics_labelled(const Metrics *metrics, int class);  /* counted pixels of that truth */
int64_t metrics_predicted(const Metrics *metrics, int class); /* counted pixels of that prediction */
int64_t metrics_counted(const Metrics *metrics);              /* pixels */
/* In 0..1; false if the class has none. */
bool metrics_iou(const Metrics *metrics, int class, double *iou);
/* The mean over the classes that have one, and their number; NaN when none has. */
double metrics_mean_iou(const Metrics *metrics, int *classes);
/* Hits per counted pixel; NaN when none was counted. */
double metrics_accuracy(const Metrics *metrics);

#endif
