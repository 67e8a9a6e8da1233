/* See rt_study.h. */
#include "rt_study.h"

#include "rt_memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STUDY_LIMIT = 1 << 30 };

static const char DASH[] = "\xe2\x80\x93";

/* ---- groups ---- */

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The value a run gave a tunable; NaN: it has none of that name. */
static double tunable(const RunLog *log, const char *name)
{
    const Series *series = run_log_series(&log->tunables, name);
    return series && series->count ? series->points[0].y : (double)NAN;
}

static bool same_tunables(const RunLog *a, const RunLog *b)
{
    if (a->tunables.count != b->tunables.count) return false;
    for (size_t i = 0; i < a->tunables.count; i++) {
        const char *name = a->tunables.items[i].name;
        if (!same_number(tunable(a, name), tunable(b, name))) return false;
    }
    return true;
}

static bool same_data(const RunLog *a, const RunLog *b)
{
    if (a->data.count != b->data.count) return false;
    for (size_t i = 0; i < a->data.count; i++) {
        if (strcmp(a->data.items[i].name, b->data.items[i].name) ||
            strcmp(a->data.items[i].value, b->data.items[i].value))
            return false;
    }
    return true;
}

static bool same_size(const RunLog *a, const RunLog *b)
{
    return same_number(a->height, b->height) && same_number(a->width, b->width) &&
           same_number(a->batch, b->batch) && same_number(a->accumulate, b->accumulate) &&
           same_number(a->parameters, b->parameters) && same_number(a->multiply_adds, b->multiply_adds);
}

static bool same_but_for_seed(const RunLog *a, const RunLog *b)
{
    return !strcmp(a->program, b->program) && !strcmp(a->validation, b->validation) &&
           !strcmp(a->weights, b->weights) && same_number(a->iterations, b->iterations) && same_size(a, b) &&
           same_tunables(a, b) && same_data(a, b);
}

__attribute__((format(printf, 3, 4))) static size_t add(char *name, size_t used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (used < STUDY_NAME) used += (size_t)vsnprintf(name + used, STUDY_NAME - used, format, args);
    va_end(args);
    return used;
}

/* What of a run is unlike a run of another group of the same program; each thing once. */
static size_t add_differences(char *name, size_t used, const RunLog *log, const RunLog *other)
{
    char part[STUDY_NAME];
    for (size_t i = 0; i < log->tunables.count; i++) {
        const char *of = log->tunables.items[i].name;
        if (same_number(tunable(log, of), tunable(other, of))) continue;
        snprintf(part, sizeof part, ", %s %g", of, tunable(log, of));
        if (!strstr(name, part)) used = add(name, used, "%s", part);
    }
    if (!same_number(log->iterations, other->iterations) && !strstr(name, " iterations"))
        used = add(name, used, ", %.0f iterations", log->iterations);
    if (!same_size(log, other) && !strstr(name, ", batch "))
        used = add(name, used, ", batch %.0f at %.0fx%.0f", log->batch * log->accumulate, log->height,
                   log->width);
    for (size_t i = 0; i < log->data.count && !same_data(log, other); i++) {
        snprintf(part, sizeof part, ", %s %.100s", log->data.items[i].name, log->data.items[i].value);
        if (!strstr(name, part)) used = add(name, used, "%s", part);
    }
    if (strcmp(log->weights, other->weights) && !strstr(name, ", from "))
        used = add(name, used, ", from %.100s", *log->weights ? log->weights : "random weights");
    if (strcmp(log->validation, other->validation) && !strstr(name, ", validated on "))
        used = add(name, used, ", validated on %.100s", *log->validation ? log->validation : "nothing");
    return used;
}

static const RunLog *first_of(const Study *study, size_t group)
{
    size_t i = 0;
    while (study->runs[i].group != group) i++;
    return &study->runs[i].log;
}

static void name_groups(Study *study)
{
    for (size_t g = 0; g < study->group_count; g++) {
        const RunLog *log = first_of(study, g);
        char *name = study->groups[g].name;
        size_t used = add(name, 0, "%s", log->program);
        for (size_t o = 0; o < study->group_count; o++) {
            const RunLog *other = first_of(study, o);
            if (o != g && !strcmp(other->program, log->program))
                used = add_differences(name, used, log, other);
        }
    }
}

static void find_group(Study *study, size_t run)
{
    StudyRun *runs = study->runs;
    size_t like = 0;
    while (like < run && !same_but_for_seed(&runs[like].log, &runs[run].log)) like++;
    runs[run].group = like < run ? runs[like].group : study->group_count++;
    study->groups[runs[run].group].count++;
}

/* Runs of a group together, in the order given: insertion, since they are few. */
static void sort_runs(Study *study)
{
    for (size_t i = 1; i < study->run_count; i++) {
        StudyRun moved = study->runs[i];
        size_t at = i;
        for (; at && study->runs[at - 1].group > moved.group; at--) study->runs[at] = study->runs[at - 1];
        study->runs[at] = moved;
    }
}

static void add_classes(Study *study, const RunLog *log)
{
    for (size_t c = 0; c < log->class_count; c++) {
        size_t i = 0;
        while (i < study->class_count && strcmp(study->classes[i], log->classes[c])) i++;
        if (i == study->class_count && i < RUN_LOG_CLASSES)
            study->classes[study->class_count++] = log->classes[c];
    }
}

/* ---- opening ---- */

static RtStatus check_twice(const Study *study, const char *folder, RtError *err)
{
    for (size_t i = 0; i < study->run_count; i++) {
        if (!strcmp(study->runs[i].log.folder, folder))
            return rt_fail(err, RT_USAGE, "%s is named twice", folder);
    }
    return RT_OK;
}

static RtStatus add_run(Study *study, const char *folder, RtError *err)
{
    StudyRun *run = &study->runs[study->run_count];
    run->seconds_per_image = run->predicting_bytes = (double)NAN;
    RtStatus status = run_log_read(folder, &run->log, err);
    if (!status) status = check_twice(study, run->log.folder, err);
    if (status) {
        run_log_close(&run->log);
        return status;
    }
    bool is_like_first = !strcmp(run->log.validation, study->runs[0].log.validation);
    study->same_validation = is_like_first && (!study->run_count || study->same_validation);
    find_group(study, study->run_count++);
    add_classes(study, &run->log);
    return RT_OK;
}

RtStatus study_open(Study *study, char *const *folders, size_t count, RtError *err)
{
    *study = (Study){.arena = {.limit = STUDY_LIMIT}};
    study->runs = rt_alloc(count * sizeof *study->runs);
    study->groups = rt_alloc(count * sizeof *study->groups);
    if (!study->runs || !study->groups) return rt_fail(err, RT_MACHINE, "no memory for %zu runs", count);
    RtStatus status = RT_OK;
    for (size_t i = 0; i < count && !status; i++) status = add_run(study, folders[i], err);
    if (status) return status;
    sort_runs(study);
    name_groups(study);
    return RT_OK;
}

void study_close(Study *study)
{
    for (size_t i = 0; i < study->run_count; i++) run_log_close(&study->runs[i].log);
    rt_arena_free(&study->arena);
    rt_free(study->runs);
    rt_free(study->groups);
    *study = (Study){0};
}

/* ---- numbers ---- */

double study_iou(const Study *study, const StudyRun *run, size_t class)
{
    for (size_t c = 0; c < run->log.class_count; c++) {
        if (!strcmp(run->log.classes[c], study->classes[class])) return run->log.best.iou[c];
    }
    return (double)NAN;
}

static double best_miou(const StudyRun *run)
{
    return run->log.best.miou;
}

static double last_miou(const StudyRun *run)
{
    return run->log.last.miou;
}

static double parameters(const StudyRun *run)
{
    return run->log.parameters;
}

static double multiply_adds(const StudyRun *run)
{
    return run->log.multiply_adds;
}

static double latency(const StudyRun *run)
{
    return isnan(run->seconds_per_image) ? run->log.seconds_per_image : run->seconds_per_image;
}

static double predicting_bytes(const StudyRun *run)
{
    return run->predicting_bytes;
}

static double training_bytes(const StudyRun *run)
{
    return isnan(run->log.peak_bytes) ? run->log.planned_bytes : run->log.peak_bytes;
}

static double training_seconds(const StudyRun *run)
{
    return run->log.seconds > 0 ? run->log.seconds : (double)NAN;
}

static double images_per_second(const StudyRun *run)
{
    const Series *series = &run->log.images_per_second;
    double sum = 0;
    size_t counted = 0;
    for (size_t i = 0; i < series->count; i++) {
        if (isnan(series->points[i].y)) continue;
        sum += series->points[i].y;
        counted++;
    }
    return counted ? sum / (double)counted : (double)NAN;
}

const StudyColumn study_columns[STUDY_COLUMNS] = {
    {"mIoU, best", "%", "highest mIoU of the run's validations", STUDY_PERCENT, true, true, best_miou},
    {"mIoU, last", "%", "mIoU of the run's last validation", STUDY_PERCENT, true, true, last_miou},
    {"parameters", "", "of the network that predicts", STUDY_COUNT, false, false, parameters},
    {"multiply-adds", "", "of one run of the program that predicts", STUDY_COUNT, false, false,
     multiply_adds},
    {"latency", "ms", "mean time to predict one image", STUDY_LATENCY, false, false, latency},
    {"memory, predicting", "", "of a session that predicts, weights included", STUDY_BYTES, false, false,
     predicting_bytes},
    {"memory, training", "", "peak of the process; as planned where the run has not ended", STUDY_BYTES,
     false, false, training_bytes},
    {"training time", "", "spent in steps, without validations", STUDY_TIME, true, false, training_seconds},
    {"images/s", "", "mean over the training", STUDY_RATE, true, false, images_per_second},
};

typedef double ValueFn(const Study *study, const StudyRun *run, const void *of);

static StudySpread spread(const Study *study, size_t group, ValueFn *value, const void *of)
{
    StudySpread result = {0};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < study->run_count; i++) {
        double v = study->runs[i].group == group ? value(study, &study->runs[i], of) : (double)NAN;
        if (isnan(v)) continue;
        sum += v;
        result.count++;
    }
    result.mean = result.count ? sum / (double)result.count : (double)NAN;
    for (size_t i = 0; i < study->run_count; i++) {
        double v = study->runs[i].group == group ? value(study, &study->runs[i], of) : (double)NAN;
        if (!isnan(v)) squares += (v - result.mean) * (v - result.mean);
    }
    result.deviation = result.count > 1 ? sqrt(squares / (double)(result.count - 1)) : 0;
    return result;
}

static double column_value(const Study *study, const StudyRun *run, const void *of)
{
    (void)study;
    return ((const StudyColumn *)of)->value(run);
}

static double class_value(const Study *study, const StudyRun *run, const void *of)
{
    return study_iou(study, run, *(const size_t *)of);
}

StudySpread study_spread(const Study *study, size_t group, const StudyColumn *column)
{
    return spread(study, group, column_value, column);
}

StudySpread study_iou_spread(const Study *study, size_t group, size_t class)
{
    return spread(study, group, class_value, &class);
}

/* "12.58 M" */
static void write_count(double value, char *text)
{
    static const struct {
        double from;
        const char *unit;
    } units[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (value < units[i].from * 0.999995) continue;
        snprintf(text, STUDY_CELL, "%.2f%s", value / units[i].from, units[i].unit);
        return;
    }
    snprintf(text, STUDY_CELL, "%.0f", value);
}

static void write_time(double seconds, char *text)
{
    if (seconds < 99.95)
        snprintf(text, STUDY_CELL, "%.1f s", seconds);
    else if (seconds < 99.95 * 60)
        snprintf(text, STUDY_CELL, "%.1f min", seconds / 60);
    else
        snprintf(text, STUDY_CELL, "%.1f h", seconds / 3600);
}

/* Three digits at least. */
static void write_rate(double value, char *text)
{
    snprintf(text, STUDY_CELL, "%.*f", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

char *study_number(StudyUnit unit, double value, char *text)
{
    char bytes[MEMORY_TEXT];
    snprintf(text, STUDY_CELL, "%s", DASH);
    if (!isfinite(value)) return text;
    switch (unit) {
    case STUDY_PERCENT: snprintf(text, STUDY_CELL, "%.2f", 100 * value); break;
    case STUDY_COUNT: write_count(value, text); break;
    case STUDY_LATENCY: write_rate(1e3 * value, text); break;
    case STUDY_BYTES:
        snprintf(text, STUDY_CELL, "%s", memory_text(value > 0 ? (uint64_t)value : 0, bytes));
        break;
    case STUDY_TIME: write_time(value, text); break;
    case STUDY_RATE: write_rate(value, text); break;
    }
    return text;
}
