/* IoU per class over a labelled set, compared at the labels' own size: what `PROG eval` does once and `PROG
 * train` every so often. A pair that cannot be read is told and left out; labels that are of another kind end
 * it at once, since the others will be too. Whatever the encoding, classes are compared (see rt_encoding.h).
 *
 *     Evaluation eval;
 *     RtStatus status = evaluation_open(&eval, header, "builtin:camera:20", &err);
 *     if (!status) status = evaluation_run(&eval, session, tell, NULL, &err);
 *     if (!status) status = evaluation_print(&eval, stdout, &err);
 *     evaluation_close(&eval);
 *
 * It owns its set and counts; the program must outlive it. One thread.
 */
#ifndef RT_EVALUATION_H
#define RT_EVALUATION_H

#include "rt_crf.h"
#include "rt_data.h"
#include "rt_metrics.h"
#include "segrt.h"

#include <stdio.h>

/* The sizes that labels have had. */
typedef struct LabelSizes {
    int least_width, least_height, most_width, most_height;
} LabelSizes;

/* Told of a picture that was compared (its name), or of one that is left out (image NULL; why). */
typedef void EvaluationToldFn(void *context, const char *image, const char *error);

typedef struct Evaluation {
    const ProgramHeader *header;
    const char *spec;
    DataSet set;
    Metrics metrics; /* of the last run */
    LabelSizes sizes;
    size_t done, failed;
    double seconds_per_image; /* spent in predicting; NaN when one batch was enough */
    int64_t unknown;          /* pixels whose colour is none of the encoding's */
    const CrfSettings *crf;   /* post-processing, to be set after evaluation_open; NULL: none */
    /* While it runs: */
    SegrtSession *session;
    RtLabels *labels;  /* by slot of the batch: what waits for its prediction */
    RtImage *pictures; /* likewise */
    EvaluationToldFn *told;
    void *context;
} Evaluation;

/* Fails as picture_check and data_open_for do, or if a picture has no labels. To be closed after failures
 * too. */
RtStatus evaluation_open(Evaluation *eval, const ProgramHeader *header, const char *spec, RtError *err);
/* RT_BAD_INPUT if the first pair has labels of another kind, which evaluation_run would say in its time. */
RtStatus evaluation_check(Evaluation *eval, RtError *err);
void evaluation_close(Evaluation *eval);

/* Predicts the whole set with the session's weights; results replace those of the run before. */
RtStatus evaluation_run(Evaluation *eval, SegrtSession *session, EvaluationToldFn *told, void *context,
                        RtError *err);
/* Pictures that could not be compared, missing ones included. */
size_t evaluation_left_out(const Evaluation *eval);
/* Pixels with a label where a void class was predicted. */
int64_t evaluation_missed(const Evaluation *eval);
/* Whether a class is to be shown: without a class list, only those that occur are of interest. */
bool evaluation_lists(const Evaluation *eval, int class);
/* Its name; text is room for a made-up one. */
const char *evaluation_class_name(const Evaluation *eval, int class, char *text, size_t size);
/* The table of classes and the sums, for people. */
RtStatus evaluation_print(const Evaluation *eval, FILE *out, RtError *err);

#endif
