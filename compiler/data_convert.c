/* See data_convert.h. */
#define _GNU_SOURCE
#include "data_convert.h"

#include "../runtime/rt_new_file.h"
#include "../runtime/rt_output.h"
#include "../runtime/rt_report.h"
#include "../runtime/rt_verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const suffixes[] = {".png"};
static const char list_name[] = "list";

typedef struct Convert {
    const DataConvertJob *job;
    const char **inputs; /* one per pair: its label, then its image */
    OutputNames names;
    Progress progress;
    FILE *list; /* in memory until all labels are written */
    char *text;
    size_t text_size;
    size_t written, failed, odd; /* labels; odd: with unknown pixels */
    int64_t unknown;
} Convert;

/* Whether path is one of the files that a specification names: a list, or names to keep. */
static bool is_named(const char *spec, const char *path)
{
    struct stat own, other;
    char *text = strdup(spec), *rest = text;
    bool found = false;
    if (!text || stat(path, &own)) {
        free(text);
        return false;
    }
    for (char *part; !found && (part = strsep(&rest, ",:=@"));)
        found = *part && !stat(part, &other) && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
    found |= !stat(spec, &other) && own.st_dev == other.st_dev && own.st_ino == other.st_ino;
    free(text);
    return found;
}

static RtStatus check_list(const Convert *convert, RtError *err)
{
    char *path = output_path(convert->job->folder, list_name, ".txt");
    if (!path) return rt_fail(err, RT_MACHINE, "no memory for a path");
    RtStatus status = RT_OK;
    if (is_named(convert->job->spec, path))
        status = rt_fail(err, RT_USAGE, "%s is an input: give another folder by -o", path);
    rt_free(path);
    return status;
}

/* Names for all results; neither a label nor an image may be replaced by one. */
static RtStatus plan_names(Convert *convert, RtError *err)
{
    const DataSet *set = convert->job->set;
    const char *folder = convert->job->folder;
    convert->inputs = rt_alloc(set->count * sizeof *convert->inputs);
    if (!convert->inputs) return rt_fail(err, RT_MACHINE, "no memory for %zu names", set->count);
    for (size_t i = 0; i < set->count; i++) convert->inputs[i] = set->pairs[i].label;
    RtStatus status = output_names(convert->inputs, set->count, suffixes, 1, &convert->names, err);
    if (!status) status = output_check(folder, &convert->names, convert->inputs, suffixes, 1, err);
    for (size_t i = 0; i < set->count; i++) convert->inputs[i] = set->pairs[i].image;
    if (!status) status = output_check(folder, &convert->names, convert->inputs, suffixes, 1, err);
    return status ? status : check_list(convert, err);
}

static void note_unknown(Convert *convert, size_t item, int64_t unknown)
{
    RtError why = {0};
    convert->unknown += unknown;
    if (convert->odd++) return; /* the first says what is wrong with the others */
    data_explain(convert->job->set, item, &why);
    progress_note(&convert->progress, "warning: %s", why.text);
}

static RtStatus write_labels(Convert *convert, size_t item, const RtLabels *labels, RtError *err)
{
    const DataPair *pair = &convert->job->set->pairs[item];
    const char *name = convert->names.names[item];
    char *path = output_path(convert->job->folder, name, suffixes[0]), *image = realpath(pair->image, NULL);
    RtStatus status = path && image ? RT_OK : rt_fail(err, RT_MACHINE, "no memory for a path");
    if (!status) status = image_write_png(path, labels->classes, labels->width, labels->height, 1, NULL, err);
    if (!status) fprintf(convert->list, "%s\t%s%s\n", image, name, suffixes[0]);
    if (!status) progress_step(&convert->progress, "%s -> %s", pair->label, path);
    convert->written += !status;
    rt_free(path);
    free(image);
    return status;
}

static RtStatus convert_one(Convert *convert, size_t item, RtError *err)
{
    RtLabels labels = {0};
    RtError failure = {0};
    RtStatus status = data_read(convert->job->set, item, NULL, &labels, &failure);
    if (status == RT_BAD_INPUT) {
        convert->failed++;
        convert->progress.total--;
        progress_note(&convert->progress, "error: %s", failure.text);
        return RT_OK;
    }
    if (status) {
        *err = failure;
        return status;
    }
    if (labels.unknown) note_unknown(convert, item, labels.unknown);
    status = write_labels(convert, item, &labels, err);
    image_labels_free(&labels);
    return status;
}

static RtStatus write_list(const Convert *convert, RtError *err)
{
    RtNewFile file;
    char *path = output_path(convert->job->folder, list_name, ".txt");
    if (!path) return rt_fail(err, RT_MACHINE, "no memory for a path");
    RtStatus status = new_file_open(&file, path, convert->text_size, err);
    if (!status) status = new_file_write(&file, convert->text, convert->text_size, err);
    if (!status) status = new_file_finish(&file, err);
    rt_free(path);
    return status;
}

static RtStatus convert_all(Convert *convert, RtError *err)
{
    const DataSet *set = convert->job->set;
    RtStatus status = output_folder(convert->job->folder, err);
    progress_start(&convert->progress, convert->job->errors, (int64_t)set->count);
    for (size_t i = 0; i < set->missing_count && !status; i++)
        progress_note(&convert->progress, "error: %s", set->missing[i]);
    for (size_t i = 0; i < set->count && !status && !verb_interrupted(); i++)
        status = convert_one(convert, i, err);
    progress_end(&convert->progress);
    if (fclose(convert->list) && !status) status = rt_fail(err, RT_MACHINE, "no memory for the list");
    convert->list = NULL;
    return status || verb_interrupted() || !convert->written ? status : write_list(convert, err);
}

static void print_result(const Convert *convert)
{
    const DataConvertJob *job = convert->job;
    char number[REPORT_NUMBER];
    fprintf(job->out, "%zu labels written to %s", convert->written, job->folder);
    if (convert->written)
        fprintf(job->out, "; %s/%s.txt names them with their images", job->folder, list_name);
    fputc('\n', job->out);
    if (convert->unknown)
        fprintf(job->out, "%s pixels of %zu labels are unknown to the encoding and became %d (ignored)\n",
                report_number(convert->unknown, number), convert->odd, job->set->encoding.ignore);
    size_t left_out = convert->failed + job->set->missing_count;
    if (left_out) fprintf(job->out, "%zu left out: see the errors above\n", left_out);
}

RtStatus data_convert(const DataConvertJob *job, RtError *err)
{
    Convert convert = {.job = job};
    if (job->set->look)
        return rt_fail(err, RT_USAGE, "%s: drawn streets have no label files to convert", job->spec);
    RtStatus status = plan_names(&convert, err);
    convert.list = status ? NULL : open_memstream(&convert.text, &convert.text_size);
    if (!status && !convert.list) status = rt_fail(err, RT_MACHINE, "no memory for the list");
    if (!status) status = convert_all(&convert, err);
    if (!status && !verb_interrupted()) print_result(&convert);
    free(convert.text);
    rt_free(convert.inputs);
    output_free(&convert.names);
    if (status) return status;
    bool fine = !convert.failed && !convert.unknown && !job->set->missing_count;
    return fine ? RT_OK : rt_fail(err, RT_BAD_INPUT, "%s", "");
}
