/* What `segc bench` found out, for people and as JSON. See bench.h. */
#include "bench.h"

#include "../runtime/rt_json_out.h"
#include "../runtime/rt_memory.h"
#include "../runtime/rt_program.h"
#include "../runtime/rt_report.h"

static double median(const Bench *bench, const BenchVariant *v)
{
    return bench_median(v->runs, bench->n_runs);
}

static double p95(const Bench *bench, const BenchVariant *v)
{
    return bench_percentile(v->runs, bench->n_runs, 0.95);
}

/* How many times as fast as the baseline. */
static double speedup(const Bench *bench, const BenchVariant *v)
{
    return median(bench, &bench->variants[BENCH_BASELINE]) / median(bench, v);
}

static double images_per_second(const Bench *bench, const BenchVariant *v)
{
    return (double)v->build->image->batch / median(bench, v);
}

static RtStatus print_variants(const Bench *bench, RtError *err)
{
    ReportTable table = {.columns = "<|>median ms|>p95 ms|>min ms|>images/s|>x baseline|>memory|>compile ms"};
    for (int i = 0; i < BENCH_VARIANTS; i++) {
        const BenchVariant *v = &bench->variants[i];
        char memory[MEMORY_TEXT];
        report_cell(&table, "%s", v->name);
        report_cell(&table, "%.3f", median(bench, v) * 1e3);
        report_cell(&table, "%.3f", p95(bench, v) * 1e3);
        report_cell(&table, "%.3f", v->runs[0] * 1e3);
        report_cell(&table, "%.2f", images_per_second(bench, v));
        report_cell(&table, "%.2f", speedup(bench, v));
        report_cell(&table, "%s", memory_text(v->planned_bytes, memory));
        report_cell(&table, "%.0f", v->compile_seconds * 1e3);
    }
    RtStatus status = report_print(&table, stdout, err);
    report_free(&table);
    return status;
}

static void print_differences(const Bench *bench)
{
    for (int i = 1; i < BENCH_VARIANTS; i++) {
        const BenchVariant *v = &bench->variants[i];
        printf("%s%s", i == 1 ? "\nagainst the fused outputs: " : "; ", v->name);
        if (bench->values) printf(" differs by at most %.2g of the largest value", v->difference);
        if (bench->classes)
            printf("%s in %lld of %lld classes", bench->values ? "," : " differs", (long long)v->differing,
                   (long long)bench->classes);
    }
    printf("\n\n");
}

static double total_seconds(const Bench *bench)
{
    double seconds = 0;
    for (int i = 0; i < bench->n_kernels; i++) seconds += bench->kernels[i].seconds;
    return seconds;
}

static void print_kernel(const Bench *bench, ReportTable *table, const BenchKernel *k, double total)
{
    BenchSpeed speed = bench_speed(k->flops, k->bytes, k->seconds, &bench->peak);
    report_cell(table, "%.3f", k->seconds * 1e3);
    report_cell(table, "%.1f", 100 * k->seconds / total);
    report_cell(table, "%.1f", speed.flops * 1e-9);
    report_cell(table, "%.0f", speed.flops_share);
    report_cell(table, "%.1f", speed.bytes * 1e-9);
    report_cell(table, "%.0f", speed.bytes_share);
    if (k->baseline_seconds >= 0) {
        report_cell(table, "%.3f", k->baseline_seconds * 1e3);
        report_cell(table, "%.2f", k->baseline_seconds / k->seconds);
    } else {
        report_cell(table, "-");
        report_cell(table, "-");
    }
    if (k->steps > 1)
        report_cell(table, "%s (%d steps)", k->kind, k->steps);
    else
        report_cell(table, "%s", k->kind);
    report_cell(table, "%s", k->name);
}

static RtStatus print_kernels(const Bench *bench, RtError *err)
{
    ReportTable table = {.columns = ">ms|>%|>GFLOP/s|>% of peak|>GB/s|>% of memory|>baseline ms|>x baseline|"
                                    "<kernel|<computes"};
    double total = total_seconds(bench);
    for (int i = 0; i < bench->n_kernels; i++) print_kernel(bench, &table, &bench->kernels[i], total);
    RtStatus status = report_print(&table, stdout, err);
    report_free(&table);
    char arrays[MEMORY_TEXT];
    printf(
        "\n%.3f ms in all, fused, each kernel timed. baseline ms: the same nodes in the baseline; -: nodes "
        "it has no\n"
        "steps for. Peak, measured here on the same threads: %.1f GFLOP/s (%d-bit vectors), %.1f GB/s\n"
        "(a = b + s * c over %s; what stays in the caches can be faster). FLOPs are those of the plain\n"
        "algorithm: one that needs fewer can exceed the peak.\n",
        total * 1e3, bench->peak.flops * 1e-9, bench->peak.vector_bits, bench->peak.bytes * 1e-9,
        memory_text(bench->peak.array_bytes, arrays));
    return status;
}

RtStatus bench_print(const Bench *bench, RtError *err)
{
    const ProgramHeader *header = bench->variants[0].build->image;
    printf("%s  %lldx%lld, batch %lld, %d threads, %lld runs each, in turn, after %lld for warming up\n\n",
           program_text(header, header->name), (long long)header->height, (long long)header->width,
           (long long)header->batch, bench->threads, (long long)bench->n_runs, (long long)bench->warmup);
    RtStatus status = print_variants(bench, err);
    if (status) return status;
    print_differences(bench);
    return print_kernels(bench, err);
}

static void json_variant(JsonOut *json, const Bench *bench, const BenchVariant *v)
{
    json_out_open(json, NULL, '{');
    json_out_text(json, "name", v->name);
    json_out_number(json, "median_ms", median(bench, v) * 1e3);
    json_out_number(json, "p95_ms", p95(bench, v) * 1e3);
    json_out_number(json, "min_ms", v->runs[0] * 1e3);
    json_out_number(json, "images_per_second", images_per_second(bench, v));
    json_out_number(json, "times_baseline", speedup(bench, v));
    json_out_integer(json, "planned_bytes", (int64_t)v->planned_bytes);
    json_out_number(json, "compile_ms", v->compile_seconds * 1e3);
    json_out_number(json, "largest_difference", v->difference);
    json_out_integer(json, "differing_classes", v->differing);
    json_out_close(json);
}

static void json_kernel(JsonOut *json, const Bench *bench, const BenchKernel *k)
{
    BenchSpeed speed = bench_speed(k->flops, k->bytes, k->seconds, &bench->peak);
    json_out_open(json, NULL, '{');
    json_out_text(json, "name", k->name);
    json_out_text(json, "kind", k->kind);
    json_out_integer(json, "steps", k->steps);
    json_out_number(json, "ms", k->seconds * 1e3);
    json_out_number(json, "gflops", speed.flops * 1e-9);
    json_out_number(json, "percent_of_peak", speed.flops_share);
    json_out_number(json, "gbytes_per_second", speed.bytes * 1e-9);
    json_out_number(json, "percent_of_memory", speed.bytes_share);
    if (k->baseline_seconds >= 0)
        json_out_number(json, "baseline_ms", k->baseline_seconds * 1e3);
    else
        json_out_null(json, "baseline_ms");
    json_out_close(json);
}

void bench_print_json(const Bench *bench)
{
    const ProgramHeader *header = bench->variants[0].build->image;
    JsonOut json = {.out = stdout};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", program_text(header, header->name));
    json_out_text(&json, "file", bench->file);
    json_out_integer(&json, "height", header->height);
    json_out_integer(&json, "width", header->width);
    json_out_integer(&json, "batch", header->batch);
    json_out_integer(&json, "threads", bench->threads);
    json_out_integer(&json, "runs", bench->n_runs);
    json_out_integer(&json, "warmup", bench->warmup);
    json_out_integer(&json, "output_values", bench->values);
    json_out_integer(&json, "output_classes", bench->classes);
    json_out_open(&json, "variants", '[');
    for (int i = 0; i < BENCH_VARIANTS; i++) json_variant(&json, bench, &bench->variants[i]);
    json_out_close(&json);
    json_out_number(&json, "peak_gflops", bench->peak.flops * 1e-9);
    json_out_number(&json, "peak_gbytes_per_second", bench->peak.bytes * 1e-9);
    json_out_open(&json, "kernels", '[');
    for (int i = 0; i < bench->n_kernels; i++) json_kernel(&json, bench, &bench->kernels[i]);
    json_out_close(&json);
    json_out_close(&json);
}
