/* See data_check.h. Labels are read as they are stored and surveyed before they are mapped, so that messages
 * can speak of what is in the file. */
#define _GNU_SOURCE
#include "data_check.h"

#include "../runtime/rt_new_file.h"
#include "../runtime/rt_program.h"
#include "../runtime/rt_report.h"
#include "../runtime/rt_verbs.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 5 }; /* faults of a kind that are printed; the report has all */

#define FAULTS(X)                                                                                            \
    X(FAULT_MISSING, "missing: no counterpart, or no file")                                                  \
    X(FAULT_UNREADABLE, "cannot be read")                                                                    \
    X(FAULT_SIZES, "image and label of different sizes")                                                     \
    X(FAULT_KIND, "labels of another kind than the encoding's")                                              \
    X(FAULT_UNKNOWN, "ids or colours that the encoding does not know")                                       \
    X(FAULT_IGNORED, "labels without a single class")                                                        \
    X(FAULT_CONSTANT, "constant images: every pixel alike")

typedef enum Fault {
#define X(name, text) name,
    FAULTS(X)
#undef X
        FAULT_KINDS
} Fault;

static const char *const fault_texts[] = {
#define X(name, text) text,
    FAULTS(X)
#undef X
};

typedef struct Check {
    const DataCheckJob *job;
    Progress progress;
    FILE *lines; /* of all faults, in memory: for the report */
    char *text;
    size_t text_size;
    int64_t faults[FAULT_KINDS];
    int64_t pixels[256], pictures[256]; /* by class, the ignored id included */
    int64_t constant;                   /* labels of one class and nothing else */
    size_t read, faulty;                /* pairs */
    bool is_faulty;                     /* the pair in hand */
    Survey surveys[2];                  /* of the set's encoding, and of that of RGB labels */
} Check;

static void __attribute__((format(printf, 3, 4)))
add_fault(Check *check, Fault fault, const char *format, ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(check->lines, "%s\n", text);
    check->is_faulty = true;
    if (check->faults[fault]++ < SHOWN) progress_note(&check->progress, "error: %s", text);
    if (check->faults[fault] == SHOWN + 1)
        progress_note(&check->progress, "further faults of this kind are only counted (--report has all): %s",
                      fault_texts[fault]);
}

/* A failure that is the input's is a fault and no reason to stop; any other is passed on. */
static RtStatus note(Check *check, Fault fault, RtStatus status, const RtError *failure, RtError *err)
{
    if (status == RT_BAD_INPUT || status == RT_USAGE) {
        add_fault(check, fault, "%s", failure->text);
        return RT_OK;
    }
    if (status && err) *err = *failure;
    return status;
}

static void count_classes(Check *check, const DataPair *pair, const RtLabels *labels)
{
    size_t pixels = (size_t)labels->width * (size_t)labels->height, present = 0;
    int64_t counts[256] = {0};
    int ignore = check->job->set->encoding.ignore;
    for (size_t i = 0; i < pixels; i++) counts[labels->classes[i]]++;
    for (int c = 0; c < 256; c++) {
        check->pixels[c] += counts[c];
        check->pictures[c] += counts[c] > 0;
        present += counts[c] > 0;
    }
    if (counts[ignore] == (int64_t)pixels)
        add_fault(check, FAULT_IGNORED, "%s: not one of its %zu pixels is of a class", pair->label, pixels);
    else if (present == 1)
        check->constant++;
}

static RtStatus survey_labels(Check *check, const char *path, const RtLabels *labels, RtError *err)
{
    RtError failure = {0};
    const Encoding *encoding = data_encoding(check->job->set, labels);
    RtStatus status = encoding_check(encoding, path, labels, &failure);
    Fault fault = status == RT_USAGE ? FAULT_KIND : FAULT_UNKNOWN;
    bool fits = status != RT_USAGE;
    status = note(check, fault, status, &failure, err);
    if (!status && fits)
        status = survey_add(&check->surveys[encoding == &check->job->set->of_rgb], encoding, labels, err);
    return status;
}

/* *labels stays empty when they are of no use. */
static RtStatus check_labels(Check *check, const DataPair *pair, RtLabels *labels, RtError *err)
{
    RtError failure = {0};
    RtStatus status = image_read_labels(pair->label, labels, &failure);
    bool there = !status;
    status = note(check, FAULT_UNREADABLE, status, &failure, err);
    if (status || !there) return status;
    const Encoding *encoding = data_encoding(check->job->set, labels);
    status = survey_labels(check, pair->label, labels, err);
    if (status || encoding_fits(encoding, pair->label, labels, NULL)) return status;
    status = encoding_map(encoding, pair->label, labels, err);
    if (!status) count_classes(check, pair, labels);
    return status;
}

static bool is_constant(const RtImage *image)
{
    size_t bytes = (size_t)image->width * (size_t)image->height * 3;
    return bytes <= 3 || !memcmp(image->pixels, image->pixels + 3, bytes - 3);
}

static RtStatus check_image(Check *check, const DataPair *pair, const RtLabels *labels, RtError *err)
{
    RtImage image = {0};
    RtError failure = {0};
    RtStatus status = image_read_rgb(pair->image, &image, &failure);
    status = note(check, FAULT_UNREADABLE, status, &failure, err);
    if (image.pixels && is_constant(&image))
        add_fault(check, FAULT_CONSTANT, "%s: every pixel is #%02x%02x%02x", pair->image, image.pixels[0],
                  image.pixels[1], image.pixels[2]);
    if (image.pixels && labels->width && (image.width != labels->width || image.height != labels->height))
        add_fault(check, FAULT_SIZES, "%s is %dx%d, but its labels %s are %dx%d", pair->image, image.width,
                  image.height, pair->label, labels->width, labels->height);
    image_free(&image);
    return status;
}

/* Drawn pictures need no proof, but their classes are counted. */
static RtStatus count_drawn(Check *check, size_t item, RtLabels *labels, RtError *err)
{
    RtImage image = {0};
    RtStatus status = data_read(check->job->set, item, &image, labels, err);
    if (!status && labels->classes) count_classes(check, &check->job->set->pairs[item], labels);
    image_free(&image);
    return status;
}

static RtStatus check_pair(Check *check, size_t item, RtError *err)
{
    const DataPair *pair = &check->job->set->pairs[item];
    RtLabels labels = {0};
    RtStatus status = RT_OK;
    check->is_faulty = false;
    if (check->job->set->look) {
        status = count_drawn(check, item, &labels, err);
    } else {
        if (pair->label) status = check_labels(check, pair, &labels, err);
        if (!status) status = check_image(check, pair, &labels, err);
    }
    image_labels_free(&labels);
    check->read++;
    check->faulty += check->is_faulty;
    progress_step(&check->progress, "%s", pair->image);
    return status;
}

static RtStatus check_all(Check *check, RtError *err)
{
    const DataSet *set = check->job->set;
    RtStatus status = RT_OK;
    progress_start(&check->progress, check->job->errors, (int64_t)set->count);
    for (size_t i = 0; i < set->missing_count; i++) add_fault(check, FAULT_MISSING, "%s", set->missing[i]);
    for (size_t i = 0; i < set->count && !status && !verb_interrupted(); i++)
        status = check_pair(check, i, err);
    progress_end(&check->progress);
    return status;
}

/* ---- what is printed -------------------------------------------------------------------------------------
 */

static RtStatus print_faults(const Check *check, FILE *out, RtError *err)
{
    ReportTable table = {.columns = ">count|<fault"};
    char number[REPORT_NUMBER];
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (!check->faults[i]) continue;
        report_cell(&table, "%s", report_number(check->faults[i], number));
        report_cell(&table, "%s", fault_texts[i]);
    }
    RtStatus status = table.count ? report_print(&table, out, err) : RT_OK;
    if (table.count) fputc('\n', out);
    report_free(&table);
    return status;
}

static void add_row(ReportTable *table, const char *name, int64_t pixels, int64_t pictures, int64_t all)
{
    char number[REPORT_NUMBER];
    report_cell(table, "%s", name);
    report_cell(table, "%.3f", all ? 100 * (double)pixels / (double)all : 0);
    report_cell(table, "%s", report_number(pixels, number));
    report_cell(table, "%s", report_number(pictures, number));
}

static RtStatus print_classes(const Check *check, FILE *out, RtError *err)
{
    const ProgramHeader *program = check->job->program;
    int ignore = check->job->set->encoding.ignore;
    int64_t all = 0;
    ReportTable table = {.columns = "<class|>pixels %|>pixels|>pictures"};
    for (int c = 0; c < 256; c++) all += check->pixels[c];
    for (int c = 0; c < (int)program->classes.count; c++) {
        if (c == ignore) continue;
        const char *name = program_text(program, program_classes(program)[c].name);
        add_row(&table, name, check->pixels[c], check->pictures[c], all);
    }
    add_row(&table, "(ignored)", check->pixels[ignore], check->pictures[ignore], all);
    RtStatus status = report_print(&table, out, err);
    report_free(&table);
    return status;
}

/* The whole set's unknown values: more telling than any picture's. */
static void print_unknown(const Check *check, FILE *out)
{
    const DataSet *set = check->job->set;
    for (int i = 0; i < 2; i++) {
        RtError what = {0};
        size_t values;
        const Encoding *encoding = i ? &set->of_rgb : &set->encoding;
        int64_t pixels = survey_unknown(&check->surveys[i], encoding, &values);
        if (!pixels || !survey_explain(&check->surveys[i], encoding, "all together", &what)) continue;
        fprintf(out, "\n%s\n", what.text);
    }
}

static RtStatus print_check(const Check *check, FILE *out, RtError *err)
{
    const DataSet *set = check->job->set;
    RtStatus status = print_faults(check, out, err);
    if (!status && set->labelled) status = print_classes(check, out, err);
    if (status) return status;
    print_unknown(check, out);
    fprintf(out, "\n%s: %zu %s read, %zu with faults, %lld missing\n", check->job->spec, check->read,
            set->labelled ? "pairs" : "images", check->faulty, (long long)check->faults[FAULT_MISSING]);
    if (set->labelled && !set->look)
        fprintf(out, "labels by %s%s%s%s%s%s%s\n", set->encoding.data, *set->encoding.data ? "." : "",
                set->encoding.name, set->of_rgb.color_count ? ", RGB labels by " : "",
                set->of_rgb.color_count ? set->of_rgb.data : "", set->of_rgb.color_count ? "." : "",
                set->of_rgb.color_count ? set->of_rgb.name : "");
    if (check->constant) fprintf(out, "%lld labels are of one class alone\n", (long long)check->constant);
    return RT_OK;
}

static RtStatus write_report(const Check *check, RtError *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return rt_fail(err, RT_MACHINE, "no memory for the report");
    RtStatus status = print_check(check, out, err);
    if (check->text_size) fprintf(out, "\n%s", check->text);
    fclose(out);
    RtNewFile file;
    if (!status) status = new_file_open(&file, check->job->report, size, err);
    if (!status) status = new_file_write(&file, text, size, err);
    if (!status) status = new_file_finish(&file, err);
    free(text);
    return status;
}

RtStatus data_check(const DataCheckJob *job, RtError *err)
{
    Check check = {.job = job};
    check.lines = open_memstream(&check.text, &check.text_size);
    if (!check.lines) return rt_fail(err, RT_MACHINE, "no memory for the report");
    RtStatus status = check_all(&check, err);
    fclose(check.lines);
    if (!status && !verb_interrupted()) status = print_check(&check, job->out, err);
    if (!status && !verb_interrupted() && job->report) status = write_report(&check, err);
    free(check.text);
    for (int i = 0; i < 2; i++) survey_free(&check.surveys[i]);
    if (status) return status;
    bool fine = true;
    for (int i = 0; i < FAULT_KINDS; i++) fine &= !check.faults[i];
    return fine ? RT_OK : rt_fail(err, RT_BAD_INPUT, "%s", "");
}
