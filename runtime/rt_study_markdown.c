/* The Markdown of rt_study_page.h: one table. */
#include "rt_study_page.h"

#include <math.h>
#include <stdio.h>

static void titles(const Study *study, TextOut *out)
{
    text_out(out, "| experiment | seed |");
    for (int c = 0; c < STUDY_COLUMNS; c++) {
        if (c == STUDY_SCORES) {
            for (size_t k = 0; k < study->class_count; k++) {
                text_out(out, " ");
                text_out_markdown(out, study->classes[k]);
                text_out(out, " |");
            }
        }
        text_out(out, *study_columns[c].unit ? " %s, %s |" : " %s |", study_columns[c].title,
                 study_columns[c].unit);
    }
    text_out(out, "\n|:--|--:|");
    for (size_t c = 0; c < STUDY_COLUMNS + study->class_count; c++) text_out(out, "--:|");
    text_out(out, "\n");
}

static void cell(StudyUnit unit, double value, double deviation, TextOut *out)
{
    char text[STUDY_CELL];
    text_out(out, " %s", study_number(unit, value, text));
    if (deviation > 0) text_out(out, " \xc2\xb1 %s", study_number(unit, deviation, text));
    text_out(out, " |");
}

static void run_row(const Study *study, const StudyRun *run, TextOut *out)
{
    text_out(out, "| ");
    text_out_markdown(out, study->groups[run->group].name);
    text_out(out, " (");
    text_out_markdown(out, run->log.folder);
    text_out(out, ") | %lld |", (long long)run->log.seed);
    for (int c = 0; c < STUDY_COLUMNS; c++) {
        for (size_t k = 0; c == STUDY_SCORES && k < study->class_count; k++)
            cell(STUDY_PERCENT, study_iou(study, run, k), 0, out);
        cell(study_columns[c].kind, study_columns[c].value(run), 0, out);
    }
    text_out(out, "\n");
}

static void group_row(const Study *study, size_t group, TextOut *out)
{
    text_out(out, "| **");
    text_out_markdown(out, study->groups[group].name);
    text_out(out, "** | %zu seeds |", study->groups[group].count);
    for (int c = 0; c < STUDY_COLUMNS; c++) {
        for (size_t k = 0; c == STUDY_SCORES && k < study->class_count; k++) {
            StudySpread spread = study_iou_spread(study, group, k);
            cell(STUDY_PERCENT, spread.mean, spread.deviation, out);
        }
        StudySpread spread = study_spread(study, group, &study_columns[c]);
        cell(study_columns[c].kind, spread.mean, study_columns[c].varies ? spread.deviation : 0, out);
    }
    text_out(out, "\n");
}

void study_markdown(const Study *study, TextOut *out)
{
    titles(study, out);
    for (size_t g = 0; g < study->group_count; g++) {
        for (size_t i = 0; i < study->run_count; i++) {
            if (study->runs[i].group == g) run_row(study, &study->runs[i], out);
        }
        if (study->groups[g].count > 1) group_row(study, g, out);
    }
}
