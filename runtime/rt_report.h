/* Output for people: tables, numbers, and progress. Writes to the stream it is given; write errors stay in
 * the stream (ferror). Not thread safe.
 */
#ifndef RT_REPORT_H
#define RT_REPORT_H

#include "rt_status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A table whose columns are as wide as their widest cell. It owns its cells; release with report_free.
 *
 *     ReportTable table = {.columns = "<class|>IoU"};     (< left, > right; the titles)
 *     report_cell(&table, "%s", name);
 *     report_cell(&table, "%.2f", iou);
 *     status = report_print(&table, stdout, &err);
 *     report_free(&table);
 */
typedef struct ReportTable {
    const char *columns; /* at most REPORT_COLUMNS */
    char **cells;        /* row by row */
    size_t count, capacity;
    bool no_memory; /* a cell was lost: report_print will say so */
} ReportTable;

enum { REPORT_COLUMNS = 16 };

void report_cell(ReportTable *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* RT_MACHINE when there was not enough memory for the cells; then nothing is printed. */
RtStatus report_print(const ReportTable *table, FILE *out, RtError *err);
void report_free(ReportTable *table);

/* A number with thousands separated, "12,054,042". text holds REPORT_NUMBER bytes and is returned. */
enum { REPORT_NUMBER = 32 };
char *report_number(int64_t value, char *text);

/* How far a long job has come: on a terminal one line that is drawn over and over, else a line per step.
 *
 *     Progress progress;
 *     progress_start(&progress, stderr, count);
 *     for (...) progress_step(&progress, "%s -> %s", from, to);
 *     progress_end(&progress);
 */
typedef struct Progress {
    FILE *out;
    bool terminal;
    int width;                  /* of the terminal, in characters */
    int64_t total, done, first; /* first: done before it started */
    double started, drawn;      /* seconds */
} Progress;

void progress_start(Progress *progress, FILE *out, int64_t total);
/* One more step is done; the text says what it was. */
void progress_step(Progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* So many steps are done now. */
void progress_set(Progress *progress, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line that stays, above the bar if there is one. */
void progress_note(Progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Leaves the cursor at the start of an empty line. */
void progress_end(Progress *progress);

#endif
