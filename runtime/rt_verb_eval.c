/* `PROG eval`: IoU per class over a labelled set, compared at the labels' own size. A pair that cannot be
 * read is named and left out, and the exit status is 1 then; labels that are of another kind end it at once,
 * since the others will be too. Whatever the encoding, classes are compared (see rt_encoding.h). */
#include "rt_batch.h"
#include "rt_data.h"
#include "rt_json_out.h"
#include "rt_metrics.h"
#include "rt_picture.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_session.h"
#include "rt_verbs.h"

#include <stdlib.h>
#include <string.h>

/* The sizes that labels have had. */
typedef struct Sizes {
    int least_width, least_height, most_width, most_height;
} Sizes;

typedef struct Eval {
    VerbSession wish;
    const char *spec;
    bool json;
    const ProgramHeader *header;
    DataSet set;
    Metrics metrics;
    SegrtSession *session;
    RtLabels *labels; /* by slot of the batch: what waits for its prediction */
    Sizes sizes;
    Progress progress;
    size_t done, failed;
    int64_t unknown; /* pixels whose colour is none of the encoding's */
} Eval;

static void note_size(Sizes *sizes, int width, int height)
{
    if (!sizes->most_width) *sizes = (Sizes){width, height, width, height};
    if (width < sizes->least_width) sizes->least_width = width;
    if (height < sizes->least_height) sizes->least_height = height;
    if (width > sizes->most_width) sizes->most_width = width;
    if (height > sizes->most_height) sizes->most_height = height;
}

static RtStatus compare(void *context, size_t item, int64_t slot, RtError *err)
{
    Eval *eval = context;
    RtLabels *labels = &eval->labels[slot];
    RtImage classes = {0};
    RtStatus status = picture_classes_at(eval->session, slot, labels->width, labels->height, &classes, err);
    if (status) return status;
    size_t pixels = (size_t)labels->width * (size_t)labels->height;
    metrics_add(&eval->metrics, labels->classes, classes.pixels, pixels);
    note_size(&eval->sizes, labels->width, labels->height);
    image_free(&classes);
    image_labels_free(labels);
    eval->done++;
    progress_step(&eval->progress, "%s", eval->set.pairs[item].image);
    return RT_OK;
}

/* Ids that are no classes mean that the labels are of another kind. A few pixels of odd colours don't:
 * smoothed edges make them, say. */
static RtStatus check_labels(Eval *eval, size_t item, const RtLabels *labels, RtError *err)
{
    int64_t pixels = (int64_t)labels->width * labels->height;
    bool by_color = eval->set.encoding.by_color || eval->set.of_rgb.color_count;
    eval->unknown += labels->unknown;
    if (!labels->unknown || (by_color && labels->unknown < pixels / 2)) return RT_OK;
    return data_explain(&eval->set, item, err);
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
static RtStatus read_pair(Eval *eval, size_t item, RtImage *image, RtLabels *labels, bool *refused,
                          RtError *err)
{
    const DataPair *pair = &eval->set.pairs[item];
    RtStatus status = data_read(&eval->set, item, image, labels, err);
    if (status) return status;
    status = check_labels(eval, item, labels, err);
    *refused = status == RT_BAD_INPUT;
    return status ? status : check_shapes(pair, image, labels, err);
}

static RtStatus eval_one(Eval *eval, Batch *batch, size_t item, RtError *err)
{
    RtImage image = {0};
    RtLabels *labels = &eval->labels[batch_next_slot(batch)];
    bool refused = false;
    RtStatus status = read_pair(eval, item, &image, labels, &refused, err);
    if (!status) {
        status = batch_add(batch, item, &image, err);
    } else if (status == RT_BAD_INPUT && !refused) {
        eval->failed++;
        eval->progress.total--;
        progress_note(&eval->progress, "error: %s", err->text);
        image_labels_free(labels);
        status = RT_OK;
    }
    image_free(&image);
    return status;
}

static RtStatus eval_all(Eval *eval, RtError *err)
{
    Batch batch;
    RtStatus status = batch_open(&batch, eval->session, compare, eval, err);
    if (status) return status;
    eval->labels = rt_alloc((size_t)batch.size * sizeof *eval->labels);
    if (!eval->labels)
        status = rt_fail(err, RT_MACHINE, "no memory for a batch of %lld labels", (long long)batch.size);
    progress_start(&eval->progress, stderr, (int64_t)eval->set.count);
    for (size_t i = 0; i < eval->set.missing_count; i++)
        progress_note(&eval->progress, "error: %s", eval->set.missing[i]);
    for (size_t i = 0; i < eval->set.count && !status; i++) status = eval_one(eval, &batch, i, err);
    if (!status) status = batch_flush(&batch, err);
    progress_end(&eval->progress);
    for (int64_t slot = 0; eval->labels && slot < batch.size; slot++) image_labels_free(&eval->labels[slot]);
    rt_free(eval->labels);
    batch_close(&batch);
    return status;
}

static const char *class_name(const Eval *eval, int class, char *text, size_t size)
{
    if (class < (int)eval->header->classes.count)
        return program_text(eval->header, program_classes(eval->header)[class].name);
    snprintf(text, size, "class %d", class);
    return text;
}

/* Without a class list, only the classes that occur are of interest. */
static bool is_listed(const Eval *eval, int class)
{
    if (eval->metrics.is_void[class]) return false;
    return class < (int)eval->header->classes.count || metrics_labelled(&eval->metrics, class) ||
           metrics_predicted(&eval->metrics, class);
}

/* Pixels with a label where a void class was predicted. */
static int64_t predicted_void(const Eval *eval)
{
    int64_t sum = 0;
    for (int c = 0; c < eval->metrics.classes; c++)
        sum += eval->metrics.is_void[c] ? metrics_predicted(&eval->metrics, c) : 0;
    return sum;
}

static const char *size_text(const Sizes *sizes, char *text, size_t size)
{
    if (sizes->least_width == sizes->most_width && sizes->least_height == sizes->most_height)
        snprintf(text, size, "%dx%d", sizes->most_width, sizes->most_height);
    else
        snprintf(text, size, "%dx%d to %dx%d", sizes->least_width, sizes->least_height, sizes->most_width,
                 sizes->most_height);
    return text;
}

static RtStatus print_classes(const Eval *eval, RtError *err)
{
    ReportTable table = {.columns = "<class|>IoU %|>labelled|>predicted"};
    for (int c = 0; c < eval->metrics.classes; c++) {
        double iou;
        char text[REPORT_NUMBER];
        if (!is_listed(eval, c)) continue;
        report_cell(&table, "%s", class_name(eval, c, text, sizeof text));
        if (metrics_iou(&eval->metrics, c, &iou))
            report_cell(&table, "%.2f", 100 * iou);
        else
            report_cell(&table, "n/a");
        report_cell(&table, "%s", report_number(metrics_labelled(&eval->metrics, c), text));
        report_cell(&table, "%s", report_number(metrics_predicted(&eval->metrics, c), text));
    }
    RtStatus status = report_print(&table, stdout, err);
    report_free(&table);
    return status;
}

static RtStatus print_eval(const Eval *eval, RtError *err)
{
    RtStatus status = print_classes(eval, err);
    if (status) return status;
    int counted;
    double mean = metrics_mean_iou(&eval->metrics, &counted);
    char sizes[64], number[REPORT_NUMBER], other[REPORT_NUMBER];
    if (counted)
        printf("\nmIoU %.2f over %d classes, pixel accuracy %.2f %%\n", 100 * mean, counted,
               100 * metrics_accuracy(&eval->metrics));
    else
        printf("\nmIoU n/a: no pixel is labelled\n");
    printf(
        "%zu pairs, compared at the labels' own size (width x height %s): %s pixels counted, %s not (void)\n",
        eval->done, size_text(&eval->sizes, sizes, sizeof sizes),
        report_number(metrics_counted(&eval->metrics), number),
        report_number(eval->metrics.not_counted, other));
    int64_t missed = predicted_void(eval);
    if (missed)
        printf("%s counted pixels were predicted as void: they are misses\n", report_number(missed, number));
    if (eval->unknown)
        printf("%s pixels of unknown colours are among those not counted (`segc data check` shows them)\n",
               report_number(eval->unknown, number));
    size_t left_out = eval->failed + eval->set.missing_count;
    if (left_out) printf("%zu left out: see the errors above\n", left_out);
    return RT_OK;
}

static void json_classes(JsonOut *json, const Eval *eval)
{
    json_out_open(json, "classes", '[');
    for (int c = 0; c < eval->metrics.classes; c++) {
        double iou;
        char text[REPORT_NUMBER];
        if (!is_listed(eval, c)) continue;
        json_out_open(json, NULL, '{');
        json_out_integer(json, "id", c);
        json_out_text(json, "name", class_name(eval, c, text, sizeof text));
        if (metrics_iou(&eval->metrics, c, &iou))
            json_out_number(json, "iou", iou);
        else
            json_out_null(json, "iou");
        json_out_integer(json, "hits", metrics_hits(&eval->metrics, c));
        json_out_integer(json, "labelled", metrics_labelled(&eval->metrics, c));
        json_out_integer(json, "predicted", metrics_predicted(&eval->metrics, c));
        json_out_close(json);
    }
    json_out_close(json);
}

static void json_eval(const Eval *eval)
{
    int counted;
    double mean = metrics_mean_iou(&eval->metrics, &counted);
    JsonOut json = {.out = stdout};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", program_text(eval->header, eval->header->name));
    json_out_text(&json, "data", eval->spec);
    json_out_number(&json, "miou", mean);
    json_out_integer(&json, "classes_counted", counted);
    json_out_number(&json, "pixel_accuracy", metrics_accuracy(&eval->metrics));
    json_out_integer(&json, "pairs", (int64_t)eval->done);
    json_out_integer(&json, "left_out", (int64_t)(eval->failed + eval->set.missing_count));
    json_out_integer(&json, "pixels_counted", metrics_counted(&eval->metrics));
    json_out_integer(&json, "pixels_void", eval->metrics.not_counted);
    json_out_integer(&json, "pixels_unknown", eval->unknown);
    json_out_integer(&json, "pixels_predicted_void", predicted_void(eval));
    json_out_open(&json, "label_sizes", '[');
    json_out_integer(&json, NULL, eval->sizes.least_width);
    json_out_integer(&json, NULL, eval->sizes.least_height);
    json_out_integer(&json, NULL, eval->sizes.most_width);
    json_out_integer(&json, NULL, eval->sizes.most_height);
    json_out_close(&json);
    json_classes(&json, eval);
    json_out_close(&json);
}

static RtStatus open_metrics(Eval *eval, RtError *err)
{
    bool voids[METRICS_MAX_CLASSES] = {false};
    int classes = picture_class_count(eval->header);
    for (int c = 0; c < classes && c < (int)eval->header->classes.count; c++)
        voids[c] = program_classes(eval->header)[c].ignored;
    return metrics_open(&eval->metrics, classes, encoding_ignore(eval->header), voids, err);
}

static RtStatus run_eval(Eval *eval, const VerbCall *call, RtError *err)
{
    RtStatus status = picture_check(eval->header, err);
    if (!status) status = data_open_for(eval->header, eval->spec, &eval->set, err);
    if (!status) status = data_need_labels(&eval->set, eval->spec, err);
    data_default_size(&eval->set, (int)eval->header->width, (int)eval->header->height);
    if (!status) status = open_metrics(eval, err);
    if (!status) status = verb_open(call, &eval->wish, &eval->session, err);
    if (!status) status = eval_all(eval, err);
    if (status) return status;
    err->text[0] = 0;
    if (eval->json)
        json_eval(eval);
    else
        status = print_eval(eval, err);
    return status ? status : eval->failed || eval->set.missing_count ? RT_BAD_INPUT : RT_OK;
}

RtStatus verb_eval(VerbCall *call, RtError *err)
{
    Eval eval = {.header = call->program->header};
    const Option options[] = {
        {"--data", 0, OPTION_TEXT, &eval.spec, "SPEC", "labelled pictures, see below", 0},
        {"--json", 0, OPTION_FLAG, &eval.json, NULL, "print JSON", 0},
        VERB_SESSION_OPTIONS(eval.wish),
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help)
        printf("\nSPEC is one of\n"
               "  FILE, list:FILE          \"image label\" lines, relative to FILE's folder\n"
               "  list:FILE@ROOT           the same, relative to ROOT\n"
               "  images:DIR,labels:DIR    pictures and labels of the same base names\n"
               "  SET:DIR@SPLIT            a data set that the program knows: cityscapes:DIR@val\n"
               "  builtin:rendered:COUNT   drawn streets; then ,seed=S and ,size=HxW if wanted\n"
               "and, but for the last: ,encoding=NAME ,only=FILE ,count=N,seed=S\n"
               "Labels are PNGs of class ids, grey or palette, unless the encoding says otherwise. They are\n"
               "compared at their own size: predictions are resized to it by nearest neighbour.\n");
    if (status || call->help) return status;
    status = verb_no_operands(call, err);
    if (!status && !eval.spec) status = rt_fail(err, RT_USAGE, "no data given: add --data SPEC");
    if (!status) status = run_eval(&eval, call, err);
    segrt_close(eval.session);
    metrics_close(&eval.metrics);
    data_close(&eval.set);
    return status;
}
