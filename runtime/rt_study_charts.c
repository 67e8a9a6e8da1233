/* Curves of rt_study_page.h. A group's thick line is the mean of its runs' smoothed curves, the thin ones are
 * what they logged. */
#include "rt_chart.h"
#include "rt_study_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SMOOTHED_SHARE = 40 /* a value becomes the mean of the 2/40 of the run around it */ };

/* Which series of a run a chart is of. */
typedef struct Subject {
    char title[200];
    const RunSeriesList *(*list)(const RunLog *log); /* NULL: the mIoU */
    const char *name;
    bool is_smoothed, is_percent, is_marked, from_zero;
} Subject;

static const RunSeriesList *terms_of(const RunLog *log)
{
    return &log->terms;
}

static const RunSeriesList *rates_of(const RunLog *log)
{
    return &log->rates;
}

static const Series *series_of(const Subject *subject, const RunLog *log)
{
    const Series *series = subject->list ? run_log_series(subject->list(log), subject->name) : &log->miou;
    return series && series->count ? series : NULL;
}

/* Lines and names of one chart; room for a thin line per run and a thick one per group. */
typedef struct Drawing {
    Study *study;
    const Subject *subject;
    ChartLine *lines;
    ChartName *names;
    Series *room; /* that the thick lines show */
    size_t line_count, name_count;
} Drawing;

/* Smoothed or in percent, as the subject wants it; false without memory. */
static bool prepare(const Drawing *drawing, const Series *from, Series *to)
{
    const Subject *subject = drawing->subject;
    size_t reach = subject->is_smoothed ? from->count / SMOOTHED_SHARE : 0;
    if (!series_smooth(from, reach, &drawing->study->arena, to)) return false;
    for (size_t i = 0; subject->is_percent && i < to->count; i++) to->points[i].y *= 100;
    return true;
}

static void add_line(Drawing *drawing, const Series *series, const char *name, size_t group,
                     ChartWeight weight)
{
    drawing->lines[drawing->line_count++] =
        (ChartLine){.series = series, .name = name, .color = (int)group, .weight = weight};
}

static void add_group(Drawing *drawing, size_t group)
{
    Study *study = drawing->study;
    const Subject *subject = drawing->subject;
    const StudyGroup *of = &study->groups[group];
    Series *smooth = rt_arena_alloc(&study->arena, of->count * sizeof *smooth);
    const Series **parts = rt_arena_alloc(&study->arena, of->count * sizeof *parts);
    size_t count = 0;
    for (size_t i = 0; smooth && parts && i < study->run_count; i++) {
        const Series *series = study->runs[i].group == group ? series_of(subject, &study->runs[i].log) : NULL;
        if (!series || !prepare(drawing, series, &smooth[count])) continue;
        parts[count] = &smooth[count];
        if (subject->is_smoothed || of->count > 1)
            add_line(drawing, subject->is_smoothed ? series : parts[count], study->runs[i].log.folder, group,
                     CHART_THIN);
        count++;
    }
    if (!count || !series_mean(parts, count, &study->arena, &drawing->room[group])) return;
    add_line(drawing, &drawing->room[group], of->name, group,
             subject->is_marked ? CHART_MARKED : CHART_THICK);
    drawing->names[drawing->name_count++] = (ChartName){of->name, (int)group};
}

static void draw(Study *study, const Subject *subject, TextOut *out)
{
    RtArena *arena = &study->arena;
    Drawing drawing = {
        .study = study,
        .subject = subject,
        .lines = rt_arena_alloc(arena, (study->run_count + study->group_count) * sizeof(ChartLine)),
        .names = rt_arena_alloc(arena, study->group_count * sizeof(ChartName)),
        .room = rt_arena_alloc(arena, study->group_count * sizeof(Series)),
    };
    if (!drawing.lines || !drawing.names || !drawing.room) {
        out->no_memory = true;
        return;
    }
    for (size_t g = 0; g < study->group_count; g++) add_group(&drawing, g);
    if (!drawing.line_count) return;
    const Chart chart = {.title = subject->title,
                         .x_title = "iteration",
                         .lines = drawing.lines,
                         .line_count = drawing.line_count,
                         .names = drawing.names,
                         .name_count = drawing.name_count,
                         .from_zero = subject->from_zero};
    chart_draw(&chart, arena, out);
}

/* Whether a run before this one has a series of that name: then its chart is drawn. */
static bool is_drawn(const Study *study, size_t run, const Subject *subject)
{
    for (size_t i = 0; i < run; i++) {
        if (run_log_series(subject->list(&study->runs[i].log), subject->name)) return true;
    }
    return false;
}

/* A chart for each name that occurs in some run's list. */
static void draw_named(Study *study, const char *what, Subject subject, TextOut *out)
{
    for (size_t i = 0; i < study->run_count; i++) {
        const RunSeriesList *list = subject.list(&study->runs[i].log);
        for (size_t s = 0; s < list->count; s++) {
            subject.name = list->items[s].name;
            if (is_drawn(study, i, &subject)) continue;
            bool says_so = !strcmp(what, subject.name);
            snprintf(subject.title, sizeof subject.title, says_so ? "%s" : "%s: %.150s", what, subject.name);
            draw(study, &subject, out);
        }
    }
}

void study_page_charts(Study *study, TextOut *out)
{
    /* The more thin lines lie upon each other, the fainter each. */
    double faint = fmax(0.07, fmin(0.3, 1.8 / (double)study->run_count));
    text_out(out, "<div class=\"charts\" style=\"--thin:%.2f\">\n", faint);
    draw(study,
         &(Subject){.title = "mIoU on the validation set, %",
                    .is_percent = true,
                    .is_marked = true,
                    .from_zero = true},
         out);
    draw_named(study, "loss", (Subject){.list = terms_of, .is_smoothed = true}, out);
    draw_named(study, "learning rate", (Subject){.list = rates_of, .from_zero = true}, out);
    text_out(out, "</div>\n");
}
