/* See rt_evaluation.h. */
#include "rt_evaluation.h"

#include "rt_batch.h"
#include "rt_picture.h"
#include "rt_program.h"
#include "rt_report.h"

#include <string.h>

static void note_size(LabelSizes *sizes, int width, int height)
{
    if (!sizes->most_width) *sizes = (LabelSizes){width, height, width, height};
    if (width < sizes->least_width) sizes->least_width = width;
    if (height < sizes->least_height) sizes->least_height = height;
    if (width > sizes->most_width) sizes->most_width = width;
    if (height > sizes->most_height) sizes->most_height = height;
}

/* At the labels' size, at which post-processing sees the picture too. */
static RtStatus find_classes(const Evaluation *eval, int64_t slot, RtImage *classes, RtError *err)
{
    int width = eval->labels[slot].width, height = eval->labels[slot].height;
    if (!eval->crf) return picture_classes_at(eval->session, slot, width, height, classes, err);
    const RtImage *picture = &eval->pictures[slot];
    RtImage resized = {0};
    RtStatus status = RT_OK;
    if (picture->width != width || picture->height != height) {
        status = image_resize_bilinear(picture, width, height, &resized, err);
        picture = &resized;
    }
    if (!status) status = crf_picture(eval->session, slot, picture, eval->crf, classes, err);
    image_free(&resized);
    return status;
}

static RtStatus compare(void *context, size_t item, int64_t slot, RtError *err)
{
    Evaluation *eval = context;
    RtLabels *labels = &eval->labels[slot];
    RtImage classes = {0};
    RtStatus status = find_classes(eval, slot, &classes, err);
    image_free(&eval->pictures[slot]);
    if (status) return status;
    size_t pixels = (size_t)labels->width * (size_t)labels->height;
    metrics_add(&eval->metrics, labels->classes, classes.pixels, pixels);
    note_size(&eval->sizes, labels->width, labels->height);
    image_free(&classes);
    image_labels_free(labels);
    eval->done++;
    eval->told(eval->context, eval->set.pairs[item].image, NULL);
    return RT_OK;
}

/* A label picture of quite another shape belongs to another picture. */
static RtStatus check_shapes(const DataPair *pair, const RtImage *image, const RtLabels *labels, RtError *err)
{
    double ratio = (double)image->width * labels->height / ((double)image->height * labels->width);
    if (ratio > 1 / 1.05 && ratio < 1.05) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT, "%s is %dx%d, but its labels %s are %dx%d: another shape", pair->image,
                   image->width, image->height, pair->label, labels->width, labels->height);
}

/* *refused: the labels are of another kind. */
static RtStatus read_pair(Evaluation *eval, size_t item, RtImage *image, RtLabels *labels, bool *refused,
                          RtError *err)
{
    const DataPair *pair = &eval->set.pairs[item];
    RtStatus status = data_read(&eval->set, item, image, labels, err);
    if (status) return status;
    eval->unknown += labels->unknown;
    status = data_check_kind(&eval->set, item, labels, err);
    *refused = status == RT_BAD_INPUT;
    return status ? status : check_shapes(pair, image, labels, err);
}

static RtStatus eval_one(Evaluation *eval, Batch *batch, size_t item, RtError *err)
{
    int64_t slot = batch_next_slot(batch);
    RtImage *image = &eval->pictures[slot];
    RtLabels *labels = &eval->labels[slot];
    bool refused = false;
    RtStatus status = read_pair(eval, item, image, labels, &refused, err);
    if (!status) {
        status = batch_add(batch, item, image, err);
    } else if (status == RT_BAD_INPUT && !refused) {
        eval->failed++;
        eval->told(eval->context, NULL, err->text);
        image_labels_free(labels);
        image_free(image);
        status = RT_OK;
    }
    return status;
}

static RtStatus eval_all(Evaluation *eval, RtError *err)
{
    Batch batch;
    RtStatus status = batch_open(&batch, eval->session, compare, eval, err);
    if (status) return status;
    eval->labels = rt_alloc((size_t)batch.size * sizeof *eval->labels);
    eval->pictures = rt_alloc((size_t)batch.size * sizeof *eval->pictures);
    if (!eval->labels || !eval->pictures)
        status = rt_fail(err, RT_MACHINE, "no memory for a batch of %lld labels", (long long)batch.size);
    for (size_t i = 0; i < eval->set.count && !status; i++) status = eval_one(eval, &batch, i, err);
    if (!status) status = batch_flush(&batch, err);
    for (int64_t slot = 0; eval->labels && slot < batch.size; slot++) image_labels_free(&eval->labels[slot]);
    for (int64_t slot = 0; eval->pictures && slot < batch.size; slot++) image_free(&eval->pictures[slot]);
    rt_free(eval->labels);
    rt_free(eval->pictures);
    eval->seconds_per_image = batch.seconds / (double)((batch.runs - 1) * batch.size);
    batch_close(&batch);
    return status;
}

static RtStatus open_metrics(Evaluation *eval, RtError *err)
{
    bool voids[METRICS_MAX_CLASSES] = {false};
    int classes = picture_class_count(eval->header);
    for (int c = 0; c < classes && c < (int)eval->header->classes.count; c++)
        voids[c] = program_classes(eval->header)[c].ignored;
    return metrics_open(&eval->metrics, classes, encoding_ignore(eval->header), voids, err);
}

RtStatus evaluation_open(Evaluation *eval, const ProgramHeader *header, const char *spec, RtError *err)
{
    *eval = (Evaluation){.header = header, .spec = spec};
    RtStatus status = picture_check(header, err);
    if (!status) status = data_open_for(header, spec, &eval->set, err);
    if (!status) status = data_need_labels(&eval->set, spec, err);
    data_default_size(&eval->set, (int)header->width, (int)header->height);
    return status ? status : open_metrics(eval, err);
}

RtStatus evaluation_check(Evaluation *eval, RtError *err)
{
    RtImage image = {0};
    RtLabels labels = {0};
    bool refused = false;
    RtStatus status = read_pair(eval, 0, &image, &labels, &refused, err);
    image_free(&image);
    image_labels_free(&labels);
    return refused || status == RT_MACHINE ? status : RT_OK;
}

void evaluation_close(Evaluation *eval)
{
    metrics_close(&eval->metrics);
    data_close(&eval->set);
}

RtStatus evaluation_run(Evaluation *eval, SegrtSession *session, EvaluationToldFn *told, void *context,
                        RtError *err)
{
    eval->session = session;
    eval->told = told;
    eval->context = context;
    eval->sizes = (LabelSizes){0};
    eval->done = eval->failed = 0;
    eval->unknown = 0;
    metrics_clear(&eval->metrics);
    return eval_all(eval, err);
}

size_t evaluation_left_out(const Evaluation *eval)
{
    return eval->failed + eval->set.missing_count;
}

const char *evaluation_class_name(const Evaluation *eval, int class, char *text, size_t size)
{
    if (class < (int)eval->header->classes.count)
        return program_text(eval->header, program_classes(eval->header)[class].name);
    snprintf(text, size, "class %d", class);
    return text;
}

bool evaluation_lists(const Evaluation *eval, int class)
{
    if (eval->metrics.is_void[class]) return false;
    return class < (int)eval->header->classes.count || metrics_labelled(&eval->metrics, class) ||
           metrics_predicted(&eval->metrics, class);
}

int64_t evaluation_missed(const Evaluation *eval)
{
    int64_t sum = 0;
    for (int c = 0; c < eval->metrics.classes; c++)
        sum += eval->metrics.is_void[c] ? metrics_predicted(&eval->metrics, c) : 0;
    return sum;
}

static const char *size_text(const LabelSizes *sizes, char *text, size_t size)
{
    if (sizes->least_width == sizes->most_width && sizes->least_height == sizes->most_height)
        snprintf(text, size, "%dx%d", sizes->most_width, sizes->most_height);
    else
        snprintf(text, size, "%dx%d to %dx%d", sizes->least_width, sizes->least_height, sizes->most_width,
                 sizes->most_height);
    return text;
}

static RtStatus print_classes(const Evaluation *eval, FILE *out, RtError *err)
{
    ReportTable table = {.columns = "<class|>IoU %|>labelled|>predicted"};
    for (int c = 0; c < eval->metrics.classes; c++) {
        double iou;
        char text[REPORT_NUMBER];
        if (!evaluation_lists(eval, c)) continue;
        report_cell(&table, "%s", evaluation_class_name(eval, c, text, sizeof text));
        if (metrics_iou(&eval->metrics, c, &iou))
            report_cell(&table, "%.2f", 100 * iou);
        else
            report_cell(&table, "n/a");
        report_cell(&table, "%s", report_number(metrics_labelled(&eval->metrics, c), text));
        report_cell(&table, "%s", report_number(metrics_predicted(&eval->metrics, c), text));
    }
    RtStatus status = report_print(&table, out, err);
    report_free(&table);
    return status;
}

RtStatus evaluation_print(const Evaluation *eval, FILE *out, RtError *err)
{
    RtStatus status = print_classes(eval, out, err);
    if (status) return status;
    int counted;
    double mean = metrics_mean_iou(&eval->metrics, &counted);
    char sizes[64], number[REPORT_NUMBER], other[REPORT_NUMBER];
    if (counted)
        fprintf(out, "\nmIoU %.2f over %d classes, pixel accuracy %.2f %%\n", 100 * mean, counted,
                100 * metrics_accuracy(&eval->metrics));
    else
        fprintf(out, "\nmIoU n/a: no pixel is labelled\n");
    fprintf(
        out,
        "%zu pairs, compared at the labels' own size (width x height %s): %s pixels counted, %s not (void)\n",
        eval->done, size_text(&eval->sizes, sizes, sizeof sizes),
        report_number(metrics_counted(&eval->metrics), number),
        report_number(eval->metrics.not_counted, other));
    int64_t missed = evaluation_missed(eval);
    if (missed)
        fprintf(out, "%s counted pixels were predicted as void: they are misses\n",
                report_number(missed, number));
    if (eval->unknown)
        fprintf(out,
                "%s pixels of unknown colours are among those not counted (`segc data check` shows them)\n",
                report_number(eval->unknown, number));
    size_t left_out = evaluation_left_out(eval);
    if (left_out) fprintf(out, "%zu left out: see the errors above\n", left_out);
    return RT_OK;
}
