/* See rt_report.h. */
#define _GNU_SOURCE
#include "rt_report.h"

#include "rt_session.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BAR_WIDTH = 24,
    CELL_GAP = 2,
};

static const double DRAW_EVERY = 0.05; /* seconds */

static bool grow(ReportTable *table)
{
    if (table->count < table->capacity) return true;
    size_t capacity = table->capacity ? table->capacity * 2 : 64, size = sizeof *table->cells;
    char **cells = rt_realloc(table->cells, table->capacity * size, capacity * size);
    if (!cells) return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void report_cell(ReportTable *table, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = grow(table) ? rt_strdup(text) : NULL;
    if (copy)
        table->cells[table->count++] = copy;
    else
        table->no_memory = true;
}

/* Characters of a UTF-8 text, taken as one column each. */
static int text_width(const char *text, size_t bytes)
{
    int width = 0;
    for (size_t i = 0; i < bytes; i++) width += (text[i] & 0xc0) != 0x80;
    return width;
}

typedef struct Column {
    const char *title;
    size_t title_bytes;
    bool right;
    int width;
} Column;

static size_t read_columns(const ReportTable *table, Column columns[REPORT_COLUMNS])
{
    size_t count = 0, all = 1;
    for (const char *at = table->columns; *at; at++) all += *at == '|';
    for (const char *at = table->columns; *at && count < REPORT_COLUMNS; count++) {
        Column *column = &columns[count];
        *column = (Column){.right = *at == '>', .title = at + 1, .title_bytes = strcspn(at, "|") - 1};
        column->width = text_width(column->title, column->title_bytes);
        for (size_t i = count; i < table->count; i += all) {
            int width = text_width(table->cells[i], strlen(table->cells[i]));
            if (width > column->width) column->width = width;
        }
        at += column->title_bytes + 1;
        at += *at == '|';
    }
    return count;
}

static void print_cell(FILE *out, const Column *column, const char *text, size_t bytes, bool last)
{
    int pad = column->width - text_width(text, bytes);
    if (column->right) fprintf(out, "%*s", pad, "");
    fwrite(text, 1, bytes, out);
    if (last)
        fputc('\n', out);
    else
        fprintf(out, "%*s", CELL_GAP + (column->right ? 0 : pad), "");
}

RtStatus report_print(const ReportTable *table, FILE *out, RtError *err)
{
    if (table->no_memory) return rt_fail(err, RT_MACHINE, "no memory for a table of %zu cells", table->count);
    Column columns[REPORT_COLUMNS];
    size_t count = read_columns(table, columns);
    for (size_t c = 0; c < count; c++)
        print_cell(out, &columns[c], columns[c].title, columns[c].title_bytes, c + 1 == count);
    for (size_t i = 0; i < table->count; i++)
        print_cell(out, &columns[i % count], table->cells[i], strlen(table->cells[i]),
                   i % count + 1 == count);
    return RT_OK;
}

void report_free(ReportTable *table)
{
    for (size_t i = 0; i < table->count; i++) rt_free(table->cells[i]);
    rt_free(table->cells);
    *table = (ReportTable){0};
}

char *report_number(int64_t value, char *text)
{
    char digits[REPORT_NUMBER];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)value), used = 0;
    for (int i = 0; i < length; i++) {
        if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

void progress_start(Progress *progress, FILE *out, int64_t total)
{
    *progress = (Progress){.out = out, .total = total, .started = session_clock()};
    progress->terminal = isatty(fileno(out));
    struct winsize size;
    progress->width = 80;
    if (progress->terminal && !ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col)
        progress->width = size.ws_col;
}

static void clear_line(const Progress *progress)
{
    if (progress->terminal) fputs("\r\033[K", progress->out);
}

/* "[######------] 12/233  4.1/s  54 s left  name", cut to the terminal. */
static void draw(Progress *progress, const char *text)
{
    double now = session_clock(), elapsed = now - progress->started;
    if (progress->done < progress->total && now - progress->drawn < DRAW_EVERY) return;
    progress->drawn = now;
    char bar[BAR_WIDTH + 1], line[2048];
    int filled = (int)(progress->done * BAR_WIDTH / (progress->total ? progress->total : 1));
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < filled ? '#' : '-';
    bar[BAR_WIDTH] = 0;
    double rate = elapsed > 0 ? (double)(progress->done - progress->first) / elapsed : 0;
    double left = rate > 0 ? (double)(progress->total - progress->done) / rate : 0;
    snprintf(line, sizeof line, "[%s] %lld/%lld  %.1f/s  %.0f s left  %s", bar, (long long)progress->done,
             (long long)progress->total, rate, left, text);
    clear_line(progress);
    fprintf(progress->out, "%.*s", progress->width - 1, line);
    fflush(progress->out);
}

static void show(Progress *progress, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    if (progress->terminal)
        draw(progress, text);
    else
        fprintf(progress->out, "%lld/%lld  %s\n", (long long)progress->done, (long long)progress->total,
                text);
}

void progress_step(Progress *progress, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    progress->done++;
    show(progress, format, args);
    va_end(args);
}

void progress_set(Progress *progress, int64_t done, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    progress->done = done;
    show(progress, format, args);
    va_end(args);
}

void progress_note(Progress *progress, const char *format, ...)
{
    clear_line(progress);
    va_list args;
    va_start(args, format);
    vfprintf(progress->out, format, args);
    va_end(args);
    fputc('\n', progress->out);
}

void progress_end(Progress *progress)
{
    clear_line(progress);
    fflush(progress->out);
}
