/* What a training run left in its log (rt_train_log.h), read for a report.
 *
 * A killed run may leave a last line that is not whole: it is passed over, and a note says so, as for lines
 * that are damaged. Of a run that was resumed the later settings count. A RunLog owns its memory; release
 * with run_log_close, after failures too.
 *
 *     RunLog log;
 *     if (run_log_read("runs/source_only", &log, &err)) return err.status;
 *     ... log.program, log.miou.points[i].y ...
 *     run_log_close(&log);
 */
#ifndef RT_RUN_LOG_H
#define RT_RUN_LOG_H

#include "rt_series.h"

#include <stdint.h>

enum {
    RUN_LOG_CLASSES = 256,
    RUN_LOG_SERIES = 64, /* of one kind; more are passed over */
    RUN_LOG_NOTES = 8,
};

/* A named value over iterations, or a named setting. */
typedef struct RunSeries {
    const char *name;
    Series series;
} RunSeries;

typedef struct RunSeriesList {
    size_t count;
    RunSeries items[RUN_LOG_SERIES];
} RunSeriesList;

typedef struct RunText {
    const char *name, *value;
} RunText;

typedef struct RunTextList {
    size_t count;
    RunText items[RUN_LOG_SERIES];
} RunTextList;

/* One validation; iou by RunLog.classes, NaN: none. Iteration 0: there was none. */
typedef struct RunValidation {
    int64_t iteration;
    double miou, accuracy; /* 0..1 */
    double iou[RUN_LOG_CLASSES];
} RunValidation;

typedef struct RunLog {
    const char *folder; /* as given, without slashes at its end */
    RtArena arena;
    /* Settings; texts "", numbers NaN when the log doesn't say. */
    const char *program, *validation, *weights;
    RunTextList data;       /* by stream */
    RunSeriesList tunables; /* one point each: the value it was set to */
    int64_t seed;
    double iterations, batch, accumulate, height, width, threads;
    double parameters, multiply_adds; /* of the program that predicts */
    double planned_bytes, peak_bytes; /* of training */
    /* Course. */
    RunSeriesList terms, rates;
    Series images_per_second, loader_wait, miou;
    double seconds;    /* spent in steps */
    int64_t iteration; /* the last that the log speaks of */
    size_t class_count;
    const char *classes[RUN_LOG_CLASSES];
    RunValidation best, last;
    double seconds_per_image; /* of predicting, in the last validation; NaN */
    const char *end;          /* the reason of its end; NULL: the log does not say */
    size_t warnings;
    size_t note_count;
    char notes[RUN_LOG_NOTES][300]; /* warnings of the run, and what was wrong with its log */
} RunLog;

/* RT_BAD_INPUT: no such folder, no log in it, or no line of it says what was run. RT_MACHINE. */
RtStatus run_log_read(const char *folder, RunLog *log, RtError *err);
void run_log_close(RunLog *log);
/* The series of that name; NULL if there is none. */
const Series *run_log_series(const RunSeriesList *list, const char *name);

#endif
