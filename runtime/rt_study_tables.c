/* Tables of rt_study_page.h: results and costs, IoU per class. */
#include "rt_chart.h"
#include "rt_program.h"
#include "rt_study_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void study_page_folder(const StudyRun *run, TextOut *out)
{
    text_out(out, "<span class=\"folder\">");
    text_out_html(out, run->log.folder);
    text_out(out, "</span>");
}

/* One cell, or two where the deviation stands in one of its own, so that the points of numbers align. */
static void value_cells(const StudyColumn *column, double value, double deviation, bool marked, TextOut *out)
{
    char text[STUDY_CELL];
    text_out(out, "<td class=\"%s%s\">%s</td>", column->varies ? "num" : "", marked ? " best" : "",
             study_number(column->kind, value, text));
    if (!column->varies) return;
    text_out(out, "<td class=\"pm dev\">");
    if (deviation > 0) text_out(out, "\xc2\xb1 %s", study_number(column->kind, deviation, text));
    text_out(out, "</td>");
}

/* Whether no group has a greater mean, where there are several that may be compared. */
static bool is_best(const Study *study, size_t group, const StudyColumn *column)
{
    const double mean = study_spread(study, group, column).mean;
    for (size_t g = 0; g < study->group_count; g++) {
        if (study_spread(study, g, column).mean > mean) return false;
    }
    return study->group_count > 1 && study->same_validation && mean > 0;
}

static void column_titles(TextOut *out)
{
    text_out(out, "<thead><tr><th>experiment<small>run</small></th><th>seed</th>");
    for (int c = 0; c < STUDY_COLUMNS; c++) {
        const StudyColumn *column = &study_columns[c];
        const char *comma = strchr(column->title, ',');
        int length = comma ? (int)(comma - column->title) : (int)strlen(column->title);
        text_out(out, "<th%s title=\"%s\">%.*s<small>%s%s%s</small></th>",
                 column->varies ? " colspan=\"2\"" : "", column->meaning, length, column->title,
                 comma ? comma + 2 : "", comma && *column->unit ? ", " : "", column->unit);
    }
    text_out(out, "</tr></thead>\n");
}

static void group_cells(const Study *study, size_t group, TextOut *out)
{
    for (int c = 0; c < STUDY_COLUMNS; c++) {
        const StudyColumn *column = &study_columns[c];
        const StudySpread spread = study_spread(study, group, column);
        bool marked = column->is_best && is_best(study, group, column);
        value_cells(column, spread.mean, spread.deviation, marked, out);
    }
}

/* The only run of a group, or NULL. */
static const StudyRun *only_run(const Study *study, size_t group)
{
    for (size_t i = 0; i < study->run_count && study->groups[group].count == 1; i++) {
        if (study->runs[i].group == group) return &study->runs[i];
    }
    return NULL;
}

static void group_name(const Study *study, size_t group, TextOut *out)
{
    bool is_again = group / CHART_COLORS % 2;
    text_out(out, "<th scope=\"row\"><span class=\"key%s\" style=\"%s:var(--k%zu)\"></span>",
             is_again ? " again" : "", is_again ? "border-color" : "background", group % CHART_COLORS);
    text_out_html(out, study->groups[group].name);
    if (only_run(study, group)) study_page_folder(only_run(study, group), out);
    text_out(out, "</th>");
}

static void run_row(const StudyRun *run, TextOut *out)
{
    text_out(out, "<tr class=\"run\"><td>");
    study_page_folder(run, out);
    text_out(out, "</td><td>%lld</td>", (long long)run->log.seed);
    for (int c = 0; c < STUDY_COLUMNS; c++)
        value_cells(&study_columns[c], study_columns[c].value(run), 0, false, out);
    text_out(out, "</tr>\n");
}

static void group_rows(const Study *study, size_t group, TextOut *out)
{
    const StudyRun *only = only_run(study, group);
    text_out(out, "<tr class=\"group\">");
    group_name(study, group, out);
    if (only)
        text_out(out, "<td>%lld</td>", (long long)only->log.seed);
    else
        text_out(out, "<td>mean</td>");
    group_cells(study, group, out);
    text_out(out, "</tr>\n");
    for (size_t i = 0; i < study->run_count && !only; i++) {
        if (study->runs[i].group == group) run_row(&study->runs[i], out);
    }
}

static void results(const StudyPage *page, TextOut *out)
{
    const Study *study = page->study;
    text_out(out, "<h2>Results</h2>\n<div class=\"wide\"><table>\n");
    column_titles(out);
    text_out(out, "<tbody>\n");
    for (size_t g = 0; g < study->group_count; g++) group_rows(study, g, out);
    text_out(
        out,
        "</tbody></table></div>\n<p class=\"soft\">Runs that differ in their seed alone are one experiment: "
        "mean \xc2\xb1 standard deviation (n \xe2\x88\x92 1). "
        "\xe2\x80\x9c"
        "Best\xe2\x80\x9d is the highest of a run\xe2\x80\x99s validations and so chosen on the very "
        "pictures "
        "it is given for; \xe2\x80\x9clast\xe2\x80\x9d is not chosen. ");
    if (page->panel->timed)
        text_out(out,
                 "Latency was measured for this report: the mean of %lld runs on %d thread%s, after %d to "
                 "warm up, "
                 "from normalised pictures to classes. ",
                 (long long)page->panel->timed, page->threads, page->threads > 1 ? "s" : "", STUDY_WARM_UP);
    text_out(out, "Multiply-adds are counted once (the FLOPs of many papers). "
                  "\xe2\x80\x93: not known.</p>\n");
}

/* The colour of the class of that name in the program that makes the report; NULL: it has none. */
static const unsigned char *class_color(const StudyPage *page, const char *name)
{
    const ProgramHeader *header = page->panel->header;
    for (uint32_t c = 0; c < header->classes.count; c++) {
        const ProgramClass *class = &program_classes(header)[c];
        if (!strcmp(program_text(header, class->name), name)) return class->color;
    }
    return NULL;
}

static void class_titles(const StudyPage *page, TextOut *out)
{
    text_out(out, "<thead><tr><th>experiment<small>run</small></th><th><div>mIoU</div><i></i></th>");
    for (size_t c = 0; c < page->study->class_count; c++) {
        const unsigned char *color = class_color(page, page->study->classes[c]);
        text_out(out, "<th><div>");
        text_out_html(out, page->study->classes[c]);
        text_out(out, "</div><i");
        if (color) text_out(out, " style=\"background:#%02x%02x%02x\"", color[0], color[1], color[2]);
        text_out(out, "></i></th>");
    }
    text_out(out, "</tr></thead>\n");
}

static void heat_cell(double value, double deviation, bool marked, TextOut *out)
{
    if (isnan(value)) {
        text_out(out, "<td>\xe2\x80\x93</td>");
        return;
    }
    text_out(out, "<td class=\"heat%s\" style=\"--v:%.3f\">%.1f", marked ? " best" : "", value, 100 * value);
    if (deviation > 0) text_out(out, "<span class=\"dev\">\xc2\xb1 %.1f</span>", 100 * deviation);
    text_out(out, "</td>");
}

static bool is_best_class(const Study *study, size_t group, size_t class)
{
    double mean = study_iou_spread(study, group, class).mean;
    for (size_t g = 0; g < study->group_count; g++) {
        if (study_iou_spread(study, g, class).mean > mean) return false;
    }
    return study->group_count > 1 && study->same_validation && mean > 0;
}

static void class_row(const Study *study, size_t group, TextOut *out)
{
    text_out(out, "<tr class=\"group\">");
    group_name(study, group, out);
    StudySpread spread = study_spread(study, group, &study_columns[0]);
    heat_cell(spread.mean, spread.deviation, is_best(study, group, &study_columns[0]), out);
    for (size_t c = 0; c < study->class_count; c++) {
        spread = study_iou_spread(study, group, c);
        heat_cell(spread.mean, spread.deviation, is_best_class(study, group, c), out);
    }
    text_out(out, "</tr>\n");
}

static void class_run_row(const Study *study, const StudyRun *run, TextOut *out)
{
    text_out(out, "<tr class=\"run\"><td>");
    study_page_folder(run, out);
    text_out(out, "</td>");
    for (size_t c = 0; c <= study->class_count; c++) {
        double value = c ? study_iou(study, run, c - 1) : run->log.best.miou;
        text_out(out, isnan(value) ? "<td>\xe2\x80\x93</td>" : "<td>%.1f</td>", 100 * value);
    }
    text_out(out, "</tr>\n");
}

static void classes(const StudyPage *page, TextOut *out)
{
    const Study *study = page->study;
    text_out(out, "<h2>IoU per class, %%</h2>\n");
    if (!study->class_count) {
        text_out(out, "<p class=\"soft\">No run was validated.</p>\n");
        return;
    }
    text_out(out, "<div class=\"wide\"><table class=\"classes\">\n");
    class_titles(page, out);
    text_out(out, "<tbody>\n");
    for (size_t g = 0; g < study->group_count; g++) {
        class_row(study, g, out);
        for (size_t i = 0; i < study->run_count && study->groups[g].count > 1; i++) {
            if (study->runs[i].group == g) class_run_row(study, &study->runs[i], out);
        }
    }
    text_out(out, "</tbody></table></div>\n<p class=\"soft\">Of each run\xe2\x80\x99s best validation. "
                  "\xe2\x80\x93: neither in the labels nor in the predictions; not part of the mean.</p>\n");
}

void study_page_tables(const StudyPage *page, TextOut *out)
{
    results(page, out);
    classes(page, out);
}
