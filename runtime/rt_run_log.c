/* See rt_run_log.h. A line is first checked as a whole, so that a damaged one leaves nothing behind. */
#define _GNU_SOURCE
#include "rt_run_log.h"

#include "rt_json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LOG_LIMIT = 1 << 30, /* bytes that one run's log may take in memory */
    SHOWN_WARNINGS = 3,
};

/* One line while it is read. */
typedef struct LogLine {
    RunLog *log;
    JsonReader reader;
    const char *event;
    int64_t iteration;
    RunValidation validation;
    bool is_best;
} LogLine;

__attribute__((format(printf, 2, 3))) static void note(RunLog *log, const char *format, ...)
{
    if (log->note_count == RUN_LOG_NOTES) return;
    va_list args;
    va_start(args, format);
    vsnprintf(log->notes[log->note_count++], sizeof log->notes[0], format, args);
    va_end(args);
}

const Series *run_log_series(const RunSeriesList *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i].name, name)) return &list->items[i].series;
    }
    return NULL;
}

static bool add_point(LogLine *line, Series *series, double y)
{
    double x = (double)line->iteration;
    if (series->count && series->points[series->count - 1].x >= x) return true; /* a run of two at once */
    return series_add(series, &line->log->arena, x, y) || ((line->reader.no_memory = true), false);
}

/* ---- values ---- */

typedef bool ReadFn(LogLine *line, void *to);

static bool read_text(LogLine *line, void *to)
{
    return json_text(&line->reader, &line->log->arena, to);
}

static bool read_number(LogLine *line, void *to)
{
    return json_number(&line->reader, to);
}

static bool read_seed(LogLine *line, void *to)
{
    return json_whole(&line->reader, to);
}

static bool read_point(LogLine *line, void *to)
{
    double value;
    return json_number(&line->reader, &value) && add_point(line, to, value);
}

static bool read_texts(LogLine *line, void *to)
{
    RunTextList *list = to;
    JsonReader *reader = &line->reader;
    RtArena *arena = &line->log->arena;
    list->count = 0;
    json_open(reader, '{');
    for (bool first = true; json_more(reader, '}', &first);) {
        RunText text;
        if (!json_key(reader, arena, &text.name) || !json_text(reader, arena, &text.value)) break;
        if (list->count < RUN_LOG_SERIES) list->items[list->count++] = text;
    }
    return !reader->problem;
}

/* The series of that name, a new one if need be; NULL when there is no more room. */
static Series *named(RunSeriesList *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!strcmp(list->items[i].name, name)) return &list->items[i].series;
    }
    if (list->count == RUN_LOG_SERIES) return NULL;
    list->items[list->count] = (RunSeries){.name = name};
    return &list->items[list->count++].series;
}

static bool read_points(LogLine *line, void *to)
{
    JsonReader *reader = &line->reader;
    json_open(reader, '{');
    for (bool first = true; json_more(reader, '}', &first);) {
        const char *name;
        double value;
        if (!json_key(reader, &line->log->arena, &name) || !json_number(reader, &value)) break;
        Series *series = named(to, name);
        if (series && !add_point(line, series, value)) return false;
    }
    return !reader->problem;
}

/* Of a resumed run: the later ones instead. */
static bool read_tunables(LogLine *line, void *to)
{
    ((RunSeriesList *)to)->count = 0;
    return read_points(line, to);
}

static size_t class_index(RunLog *log, const char *name)
{
    for (size_t i = 0; i < log->class_count; i++) {
        if (!strcmp(log->classes[i], name)) return i;
    }
    if (log->class_count == RUN_LOG_CLASSES) return RUN_LOG_CLASSES;
    log->classes[log->class_count] = name;
    return log->class_count++;
}

static bool read_iou(LogLine *line, void *to)
{
    (void)to;
    JsonReader *reader = &line->reader;
    json_open(reader, '{');
    for (bool first = true; json_more(reader, '}', &first);) {
        const char *name;
        double value;
        if (!json_key(reader, &line->log->arena, &name) || !json_number(reader, &value)) break;
        size_t class = class_index(line->log, name);
        if (class < RUN_LOG_CLASSES) line->validation.iou[class] = value;
    }
    return !reader->problem;
}

static bool read_miou(LogLine *line, void *to)
{
    return json_number(&line->reader, &line->validation.miou) && add_point(line, to, line->validation.miou);
}

static bool read_accuracy(LogLine *line, void *to)
{
    (void)to;
    return json_number(&line->reader, &line->validation.accuracy);
}

static bool read_best(LogLine *line, void *to)
{
    (void)to;
    return json_bool(&line->reader, &line->is_best);
}

static bool read_seconds(LogLine *line, void *to)
{
    double seconds;
    if (!json_number(&line->reader, &seconds)) return false;
    *(double *)to += isnan(seconds) ? 0 : seconds;
    return true;
}

static bool read_warning(LogLine *line, void *to)
{
    (void)to;
    const char *text;
    if (!read_text(line, &text)) return false;
    if (line->log->warnings++ < SHOWN_WARNINGS)
        note(line->log, "iteration %lld: %s", (long long)line->iteration, text);
    return true;
}

/* What a key of a line means; "resume" lines are as "start". */
typedef struct LogKey {
    const char *event, *name;
    ReadFn *read;
    size_t to;
} LogKey;

#define IN_LOG(field) offsetof(RunLog, field)
static const LogKey keys[] = {
    {"start", "program", read_text, IN_LOG(program)},
    {"start", "validation", read_text, IN_LOG(validation)},
    {"start", "weights", read_text, IN_LOG(weights)},
    {"start", "data", read_texts, IN_LOG(data)},
    {"start", "tunables", read_tunables, IN_LOG(tunables)},
    {"start", "seed", read_seed, IN_LOG(seed)},
    {"start", "iterations", read_number, IN_LOG(iterations)},
    {"start", "batch", read_number, IN_LOG(batch)},
    {"start", "accumulate", read_number, IN_LOG(accumulate)},
    {"start", "height", read_number, IN_LOG(height)},
    {"start", "width", read_number, IN_LOG(width)},
    {"start", "threads", read_number, IN_LOG(threads)},
    {"start", "parameters_deployed", read_number, IN_LOG(parameters)},
    {"start", "multiply_adds", read_number, IN_LOG(multiply_adds)},
    {"start", "planned_bytes", read_number, IN_LOG(planned_bytes)},
    {"step", "terms", read_points, IN_LOG(terms)},
    {"step", "lr", read_points, IN_LOG(rates)},
    {"step", "seconds", read_seconds, IN_LOG(seconds)},
    {"step", "images_per_second", read_point, IN_LOG(images_per_second)},
    {"step", "loader_wait", read_point, IN_LOG(loader_wait)},
    {"validation", "miou", read_miou, IN_LOG(miou)},
    {"validation", "pixel_accuracy", read_accuracy, 0},
    {"validation", "best", read_best, 0},
    {"validation", "iou", read_iou, 0},
    {"validation", "seconds_per_image", read_number, IN_LOG(seconds_per_image)},
    {"warning", "text", read_warning, 0},
    {"end", "reason", read_text, IN_LOG(end)},
    {"end", "peak_bytes", read_number, IN_LOG(peak_bytes)},
};

static const LogKey *find_key(const char *event, const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(keys[i].event, event) && !strcmp(keys[i].name, name)) return &keys[i];
    }
    return NULL;
}

/* ---- lines ---- */

static bool read_beginning(LogLine *line)
{
    JsonReader *reader = &line->reader;
    RtArena *arena = &line->log->arena;
    const char *name;
    bool first = true;
    return json_open(reader, '{') && json_more(reader, '}', &first) && json_key(reader, arena, &name) &&
           !strcmp(name, "event") && json_text(reader, arena, &line->event) &&
           json_more(reader, '}', &first) && json_key(reader, arena, &name) && !strcmp(name, "iteration") &&
           json_whole(reader, &line->iteration);
}

static bool read_members(LogLine *line)
{
    JsonReader *reader = &line->reader;
    const bool resumes = !strcmp(line->event, "resume");
    for (bool first = false; json_more(reader, '}', &first);) {
        const char *name;
        if (!json_key(reader, &line->log->arena, &name)) return false;
        const LogKey *key = find_key(resumes ? "start" : line->event, name);
        if (!(key ? key->read(line, (char *)line->log + key->to) : json_skip(reader))) return false;
    }
    return !reader->problem;
}

static void finish_line(LogLine *line)
{
    RunLog *log = line->log;
    if (line->iteration > log->iteration) log->iteration = line->iteration;
    if (!strcmp(line->event, "resume")) {
        log->end = NULL;
        note(log, "resumed after iteration %lld", (long long)line->iteration);
    }
    if (strcmp(line->event, "validation")) return;
    line->validation.iteration = line->iteration;
    log->last = line->validation;
    if (line->is_best || (!log->best.iteration && !isnan(line->validation.miou)))
        log->best = line->validation;
}

/* False with reader.problem, or NULL there for want of a beginning. */
static bool read_line(RunLog *log, const char *text, size_t size, LogLine *line)
{
    *line = (LogLine){.log = log, .reader = {.text = text, .size = size}};
    if (!json_skip(&line->reader) || !json_end(&line->reader)) return false;
    line->reader = (JsonReader){.text = text, .size = size};
    line->validation.miou = line->validation.accuracy = (double)NAN;
    for (int c = 0; c < RUN_LOG_CLASSES; c++) line->validation.iou[c] = (double)NAN;
    if (!read_beginning(line) || !read_members(line)) return false;
    finish_line(line);
    return true;
}

static RtStatus no_memory(const char *path, RtError *err)
{
    return rt_fail(err, RT_MACHINE, "%s: no memory for what it says", path);
}

/* What a look at the damaged lines would show. */
typedef struct Damage {
    size_t count, first; /* first: a line's number */
    const char *problem;
    bool is_cut; /* the last line has no end */
} Damage;

static void tell_damage(RunLog *log, const Damage *damage)
{
    if (log->warnings > SHOWN_WARNINGS)
        note(log, "%zu more warnings in its log", log->warnings - SHOWN_WARNINGS);
    if (damage->count)
        note(log, "%zu line%s of its log could not be read and %s left out (line %zu: %s)", damage->count,
             damage->count > 1 ? "s" : "", damage->count > 1 ? "were" : "was", damage->first,
             damage->problem);
    if (damage->is_cut) note(log, "the last line of its log is cut off and was left out");
}

static RtStatus read_lines(RunLog *log, FILE *file, const char *path, RtError *err)
{
    char *text = NULL; /* getline's own */
    size_t room = 0, number = 0;
    ssize_t length;
    Damage damage = {0};
    LogLine line = {0};
    while (!line.reader.no_memory && (length = getline(&text, &room, file)) > 0) {
        number++;
        damage.is_cut = text[length - 1] != '\n';
        if (damage.is_cut || read_line(log, text, (size_t)length, &line)) continue;
        if (damage.count++) continue;
        damage.first = number;
        damage.problem = line.reader.problem ? line.reader.problem : "no \"event\" and \"iteration\"";
    }
    free(text);
    if (line.reader.no_memory) return no_memory(path, err);
    if (ferror(file)) return rt_fail(err, RT_MACHINE, "%s: cannot be read: %s", path, strerror(errno));
    tell_damage(log, &damage);
    return RT_OK;
}

static RtStatus check(const RunLog *log, const char *path, RtError *err)
{
    if (*log->program) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT, "%s: no line of it says what was trained: not the log of a run", path);
}

static RtStatus read_file(RunLog *log, const char *path, RtError *err)
{
    struct stat place;
    if (stat(log->folder, &place))
        return rt_fail(err, RT_BAD_INPUT, "%s: no such run: %s", log->folder, strerror(errno));
    if (!S_ISDIR(place.st_mode))
        return rt_fail(err, RT_BAD_INPUT,
                       "%s is not a folder: a run is named by the folder that `train --out` made",
                       log->folder);
    FILE *file = fopen(path, "r");
    if (!file)
        return rt_fail(err, RT_BAD_INPUT, "%s: not the folder of a run: cannot open %s: %s", log->folder,
                       path, strerror(errno));
    RtStatus status = read_lines(log, file, path, err);
    fclose(file);
    return status ? status : check(log, path, err);
}

static void set_unknown(RunLog *log)
{
    double *const numbers[] = {&log->iterations,    &log->batch,
                               &log->height,        &log->width,
                               &log->threads,       &log->parameters,
                               &log->multiply_adds, &log->planned_bytes,
                               &log->peak_bytes,    &log->best.miou,
                               &log->best.accuracy, &log->last.miou,
                               &log->last.accuracy, &log->seconds_per_image};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) *numbers[i] = (double)NAN;
    for (int c = 0; c < RUN_LOG_CLASSES; c++) log->best.iou[c] = log->last.iou[c] = (double)NAN;
    log->accumulate = 1;
    log->program = log->validation = log->weights = "";
}

/* The folder without slashes at its end, and the log's path, in the arena. */
static char *make_path(RunLog *log, const char *folder)
{
    static const char name[] = "/log.jsonl";
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    log->folder = rt_arena_text(&log->arena, folder, length);
    char *path = rt_arena_alloc(&log->arena, length + sizeof name);
    if (!log->folder || !path) return NULL;
    memcpy(path, folder, length);
    memcpy(path + length, name, sizeof name);
    return path;
}

RtStatus run_log_read(const char *folder, RunLog *log, RtError *err)
{
    *log = (RunLog){.arena = {.limit = LOG_LIMIT}};
    set_unknown(log);
    const char *path = make_path(log, folder);
    return path ? read_file(log, path, err) : no_memory(folder, err);
}

void run_log_close(RunLog *log)
{
    rt_arena_free(&log->arena);
}
