/* Several training runs set side by side: runs that differ in nothing but their seed form a group, whose
 * numbers are a mean and a standard deviation; numbers that are tables' columns; classes of all of them.
 *
 *     Study study;
 *     if (study_open(&study, folders, count, &err)) return err.status;
 *     ... study.groups[0].name, study_spread(&study, 0, &study_columns[0]).mean ...
 *     study_close(&study);
 *
 * A Study owns its runs; release with study_close, after failures too. */
#ifndef RT_STUDY_H
#define RT_STUDY_H

#include "rt_image_codec.h"
#include "rt_run_log.h"

enum { STUDY_NAME = 240, STUDY_CELL = 48 };

typedef struct StudyRun {
    RunLog log;
    size_t group;
    /* What trying it out added (rt_study_panel.h); NaN, and no pictures, before. */
    double seconds_per_image, predicting_bytes;
    RtEncoded *pictures; /* as many as the panel has; NULL: none */
    char why_not[400];   /* there are none */
} StudyRun;

typedef struct StudyGroup {
    char name[STUDY_NAME]; /* the program, and in what its runs differ from those of other groups */
    size_t count;          /* runs */
} StudyGroup;

typedef struct Study {
    RtArena arena;
    size_t run_count, group_count, class_count;
    bool same_validation; /* all runs were validated on one set: their mIoU may be compared */
    StudyRun *runs;       /* those of a group together */
    StudyGroup *groups;
    const char *classes[RUN_LOG_CLASSES]; /* in the order of the first run that has them */
} Study;

/* Fails as run_log_read does; RT_USAGE for a folder that is named twice. */
RtStatus study_open(Study *study, char *const *folders, size_t count, RtError *err);
void study_close(Study *study);

/* The run's best (or, if not, last) IoU of a class of the study, 0..1; NaN: none. */
double study_iou(const Study *study, const StudyRun *run, size_t class);

/* A number that each run has. */
typedef enum StudyUnit {
    STUDY_PERCENT,
    STUDY_COUNT,
    STUDY_LATENCY,
    STUDY_BYTES,
    STUDY_TIME,
    STUDY_RATE
} StudyUnit;

typedef struct StudyColumn {
    const char *title, *unit, *meaning;
    StudyUnit kind;
    bool varies;                          /* from seed to seed: a deviation says something */
    bool is_best;                         /* the greatest is the one to look at */
    double (*value)(const StudyRun *run); /* NaN: none */
} StudyColumn;

enum { STUDY_SCORES = 2, STUDY_COSTS = 7, STUDY_COLUMNS = STUDY_SCORES + STUDY_COSTS };
extern const StudyColumn study_columns[STUDY_COLUMNS]; /* mIoU first */

/* Mean and standard deviation (of a sample, n - 1) over the runs that have a value. */
typedef struct StudySpread {
    double mean, deviation; /* NaN: no value; deviation 0 for a single one */
    size_t count;
} StudySpread;

StudySpread study_spread(const Study *study, size_t group, const StudyColumn *column);
StudySpread study_iou_spread(const Study *study, size_t group, size_t class);

/* A value for people into text, of STUDY_CELL bytes, which is returned: "46.80", "12.58 M", "56.1 min"; a
 * dash for NaN. */
char *study_number(StudyUnit unit, double value, char *text);

#endif
