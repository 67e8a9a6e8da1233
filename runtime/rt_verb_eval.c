/* `PROG eval`: IoU per class over a labelled set (rt_evaluation.h). The exit status is 1 when a pair had to
 * be left out. */
#include "rt_evaluation.h"
#include "rt_json_out.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_verbs.h"

typedef struct EvalVerb {
    VerbSession wish;
    const char *spec;
    bool json;
    VerbCrf crf;
    Evaluation evaluation;
    SegrtSession *session;
    Progress progress;
} EvalVerb;

static void json_classes(JsonOut *json, const Evaluation *eval)
{
    json_out_open(json, "classes", '[');
    for (int c = 0; c < eval->metrics.classes; c++) {
        double iou;
        char text[REPORT_NUMBER];
        if (!evaluation_lists(eval, c)) continue;
        json_out_open(json, NULL, '{');
        json_out_integer(json, "id", c);
        json_out_text(json, "name", evaluation_class_name(eval, c, text, sizeof text));
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

static void json_eval(const Evaluation *eval)
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
    json_out_integer(&json, "left_out", (int64_t)evaluation_left_out(eval));
    json_out_integer(&json, "pixels_counted", metrics_counted(&eval->metrics));
    json_out_integer(&json, "pixels_void", eval->metrics.not_counted);
    json_out_integer(&json, "pixels_unknown", eval->unknown);
    json_out_integer(&json, "pixels_predicted_void", evaluation_missed(eval));
    json_out_open(&json, "label_sizes", '[');
    json_out_integer(&json, NULL, eval->sizes.least_width);
    json_out_integer(&json, NULL, eval->sizes.least_height);
    json_out_integer(&json, NULL, eval->sizes.most_width);
    json_out_integer(&json, NULL, eval->sizes.most_height);
    json_out_close(&json);
    json_classes(&json, eval);
    json_out_close(&json);
}

static void tell(void *context, const char *image, const char *error)
{
    Progress *progress = context;
    if (image) {
        progress_step(progress, "%s", image);
    } else {
        progress->total--;
        progress_note(progress, "error: %s", error);
    }
}

static RtStatus evaluate(EvalVerb *verb, RtError *err)
{
    Evaluation *eval = &verb->evaluation;
    progress_start(&verb->progress, stderr, (int64_t)eval->set.count);
    for (size_t i = 0; i < eval->set.missing_count; i++)
        progress_note(&verb->progress, "error: %s", eval->set.missing[i]);
    RtStatus status = evaluation_run(eval, verb->session, tell, &verb->progress, err);
    progress_end(&verb->progress);
    return status;
}

static RtStatus run_eval(EvalVerb *verb, const VerbCall *call, RtError *err)
{
    Evaluation *eval = &verb->evaluation;
    RtStatus status = verb_crf(&verb->crf, call->program->header, err);
    if (!status) status = evaluation_open(eval, call->program->header, verb->spec, err);
    if (verb->crf.text) eval->crf = &verb->crf.settings;
    if (!status) status = verb_open(call, &verb->wish, &verb->session, err);
    if (!status) status = evaluate(verb, err);
    if (status) return status;
    err->text[0] = 0;
    if (verb->json)
        json_eval(eval);
    else
        status = evaluation_print(eval, stdout, err);
    return status ? status : evaluation_left_out(eval) ? RT_BAD_INPUT : RT_OK;
}

RtStatus verb_eval(VerbCall *call, RtError *err)
{
    EvalVerb verb = {0};
    const Option options[] = {
        {"--data", 0, OPTION_TEXT, &verb.spec, "SPEC", "labelled pictures, see below", 0},
        {"--json", 0, OPTION_FLAG, &verb.json, NULL, "print JSON", 0},
        VERB_CRF_OPTION(verb.crf),
        VERB_SESSION_OPTIONS(verb.wish),
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help) {
        verb_explain_data();
        printf("Labels are PNGs of class ids, grey or palette, unless the encoding says otherwise. They are\n"
               "compared at their own size: predictions are resized to it by nearest "
               "neighbour.\n" VERB_CRF_HELP);
    }
    if (status || call->help) return status;
    status = verb_no_operands(call, err);
    if (!status && !verb.spec) status = rt_fail(err, RT_USAGE, "no data given: add --data SPEC");
    if (!status) status = run_eval(&verb, call, err);
    segrt_close(verb.session);
    evaluation_close(&verb.evaluation);
    return status;
}
