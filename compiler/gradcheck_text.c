/* What `segc gradcheck` found out, for people and as JSON. See gradcheck.h. */
#include "gradcheck.h"

#include "../runtime/rt_json_out.h"
#include "../runtime/rt_program.h"
#include "../runtime/rt_report.h"

#include <math.h>

static const char *const verdicts[] = {
    [SLOPE_AGREES] = "agrees", [SLOPE_UNCLEAR] = "unclear", [SLOPE_DIFFERS] = "WRONG"};

static double relative(const GradSlope *taken)
{
    double difference = fabs(taken->slope.computed - taken->slope.difference);
    return taken->scale > 0 ? difference / taken->scale : difference;
}

static void print_row(ReportTable *table, const GradRow *row)
{
    const GradSlope *taken = row->along.done ? &row->along : &row->random;
    report_cell(table, "%s", row->player);
    report_cell(table, "%.6g", taken->slope.computed);
    report_cell(table, "%.6g", taken->slope.difference);
    report_cell(table, "%.1g", taken->slope.error);
    report_cell(table, "%.1e", relative(taken));
    report_cell(table, "%.1e", relative(&row->random));
    report_cell(table, "%s", verdicts[row->verdict]);
    report_cell(table, "%s", row->name);
}

RtStatus gradcheck_print(const Gradcheck *check, RtError *err)
{
    const ProgramHeader *header = check->run.header;
    printf("%s  %lldx%lld, batch %lld, %d threads\n\n", program_text(header, header->name),
           (long long)header->height, (long long)header->width, (long long)header->batch,
           segrt_threads(check->run.session));
    ReportTable table = {.columns =
                             "<player|>compiled|>difference|>+-|>relative|>at random|<|<with respect to"};
    for (int i = 0; i < check->n_rows; i++) print_row(&table, &check->rows[i]);
    RtStatus status = report_print(&table, stdout, err);
    report_free(&table);
    printf(
        "\nThe slope of the loss up the compiled gradient (along random signs where that is 0): compiled, "
        "the mean "
        "over a short\nway; difference, of the loss over the way's length; +-, how much they may differ, for "
        "points "
        "and rounding. At random:\nthe relative error along random signs. Unclear: too little beside the "
        "rounding of "
        "the loss to tell more.\n%d gradients: %d agree, %d are unclear, %d are wrong (%lld runs, %.1f s)\n",
        check->n_rows, check->counts[SLOPE_AGREES], check->counts[SLOPE_UNCLEAR],
        check->counts[SLOPE_DIFFERS], (long long)check->run.runs, check->seconds);
    return status;
}

static void json_slope(JsonOut *json, const char *key, const GradSlope *taken)
{
    if (!taken->done) {
        json_out_null(json, key);
        return;
    }
    json_out_open(json, key, '{');
    json_out_number(json, "compiled", taken->slope.computed);
    json_out_number(json, "difference", taken->slope.difference);
    json_out_number(json, "error", taken->slope.error);
    json_out_number(json, "relative_error", relative(taken));
    json_out_close(json);
}

void gradcheck_print_json(const Gradcheck *check)
{
    static const char *const words[] = {
        [SLOPE_AGREES] = "agrees", [SLOPE_UNCLEAR] = "unclear", [SLOPE_DIFFERS] = "differs"};
    const ProgramHeader *header = check->run.header;
    JsonOut json = {.out = stdout, .digits = 9};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", program_text(header, header->name));
    json_out_text(&json, "file", check->file);
    json_out_integer(&json, "height", header->height);
    json_out_integer(&json, "width", header->width);
    json_out_integer(&json, "batch", header->batch);
    json_out_integer(&json, "runs", check->run.runs);
    json_out_open(&json, "gradients", '[');
    for (int i = 0; i < check->n_rows; i++) {
        const GradRow *row = &check->rows[i];
        json_out_open(&json, NULL, '{');
        json_out_text(&json, "player", row->player);
        json_out_text(&json, "loss", row->loss);
        json_out_text(&json, "parameter", row->name);
        json_slope(&json, "along", &row->along);
        json_slope(&json, "random", &row->random);
        json_out_text(&json, "verdict", words[row->verdict]);
        json_out_close(&json);
    }
    json_out_close(&json);
    for (int i = 0; i <= SLOPE_DIFFERS; i++) json_out_integer(&json, words[i], check->counts[i]);
    json_out_close(&json);
}
