/* `PROG bench`: whole runs timed one by one; with --kernels also every step, compared with what the machine
 * can do. With --training the runs are whole training steps, of every player, with all micro-batches. */
#include "rt_bench.h"
#include "rt_json_out.h"
#include "rt_memory.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_session.h"
#include "rt_training.h"
#include "rt_verbs.h"

typedef struct Bench {
    VerbSession wish;
    int64_t runs, warmup;
    bool json, kernels, is_training;
    Training training; /* with --training */
    double *micro_seconds;
    SegrtSession *session;
    const ProgramHeader *header;
    double prepare;       /* seconds of the PREPARE steps */
    double *runs_seconds; /* ascending once measured */
    double *step_seconds; /* median of each step; with --kernels */
    uint32_t *order;      /* steps by falling time; with --kernels */
    SegrtMemory memory;   /* after the runs, before the peaks were measured */
    MachinePeak peak;     /* with --kernels */
} Bench;

/* Sums over micro-batches, whose inputs are filled outside of *seconds. steps: a time per step of the
 * program, or NULL. */
static RtStatus train_once(Bench *bench, double *steps, double *seconds, RtError *err)
{
    RtStatus status = RT_OK;
    uint32_t count = bench->header->steps.count;
    *seconds = 0;
    for (uint32_t i = 0; i < count && steps; i++) steps[i] = 0;
    for (int64_t micro = 0; micro < bench->training.accumulate && !status; micro++) {
        bench_fill_inputs(bench->session);
        double start = session_clock();
        status = training_run(&bench->training, micro, steps ? bench->micro_seconds : NULL, err);
        *seconds += session_clock() - start;
        for (uint32_t i = 0; i < count && steps; i++) steps[i] += bench->micro_seconds[i];
    }
    return status;
}

static RtStatus run_once(Bench *bench, double *seconds, RtError *err)
{
    return bench->is_training ? train_once(bench, NULL, seconds, err)
                              : bench_run(bench->session, seconds, err);
}

static RtStatus run_steps(Bench *bench, double *steps, RtError *err)
{
    double seconds;
    return bench->is_training ? train_once(bench, steps, &seconds, err)
                              : bench_run_steps(bench->session, steps, err);
}

/* The first run, which also prepares, and the others before timing; *seconds is the last one's. */
static RtStatus warm_up(Bench *bench, double *steps, double *seconds, RtError *err)
{
    RtStatus status = run_steps(bench, steps, err);
    for (uint32_t i = 0; i < bench->header->steps.count; i++) {
        double time = steps[i];
        *(program_steps(bench->header)[i].phase == PHASE_PREPARE ? &bench->prepare : seconds) += time;
    }
    for (int64_t i = 1; i < bench->warmup && !status; i++) status = run_once(bench, seconds, err);
    return status;
}

static RtStatus no_memory(const Bench *bench, RtError *err)
{
    return rt_fail(err, RT_MACHINE, "no memory for the times of %lld runs", (long long)bench->runs);
}

static RtStatus measure_runs(Bench *bench, RtError *err)
{
    double *steps = rt_alloc(bench->header->steps.count * sizeof *steps), seconds = 0;
    if (!steps) return no_memory(bench, err);
    RtStatus status = warm_up(bench, steps, &seconds, err);
    rt_free(steps);
    if (status) return status;
    if (!bench->runs) bench->runs = bench_choose_runs(seconds);
    bench->runs_seconds = rt_alloc((size_t)bench->runs * sizeof *bench->runs_seconds);
    if (!bench->runs_seconds) return no_memory(bench, err);
    for (int64_t i = 0; i < bench->runs && !status; i++)
        status = run_once(bench, &bench->runs_seconds[i], err);
    bench_sort(bench->runs_seconds, bench->runs);
    bench->memory = segrt_memory(bench->session);
    return status;
}

/* By falling time; insertion, since steps are some hundred. */
static void sort_steps(Bench *bench)
{
    for (uint32_t i = 0; i < bench->header->steps.count; i++) {
        uint32_t at = i;
        for (; at && bench->step_seconds[bench->order[at - 1]] < bench->step_seconds[i]; at--)
            bench->order[at] = bench->order[at - 1];
        bench->order[at] = i;
    }
}

static RtStatus measure_kernels(Bench *bench, RtError *err)
{
    uint32_t count = bench->header->steps.count;
    double *times = rt_alloc((size_t)bench->runs * count * sizeof *times);
    bench->step_seconds = rt_alloc(count * sizeof *bench->step_seconds);
    bench->order = rt_alloc(count * sizeof *bench->order);
    RtStatus status = RT_OK;
    if (!times || !bench->step_seconds || !bench->order) status = no_memory(bench, err);
    for (int64_t run = 0; run < bench->runs && !status; run++)
        status = run_steps(bench, times + run * count, err);
    if (!status) status = bench_step_medians(times, bench->runs, count, bench->step_seconds, err);
    if (!status) {
        sort_steps(bench);
        status = peak_measure(session_pool(bench->session), &bench->peak, err);
    }
    rt_free(times);
    return status;
}

static double median(const Bench *bench)
{
    return bench_median(bench->runs_seconds, bench->runs);
}

static double p95(const Bench *bench)
{
    return bench_percentile(bench->runs_seconds, bench->runs, 0.95);
}

static double images_per_second(const Bench *bench)
{
    double images = (double)bench->header->batch;
    if (bench->is_training) images *= (double)(bench->training.stream_count * bench->training.accumulate);
    return images / median(bench);
}

static BenchSpeed step_speed(const Bench *bench, uint32_t step)
{
    const ProgramStep *s = &program_steps(bench->header)[step];
    return bench_speed(s->flops, s->bytes, bench->step_seconds[step], &bench->peak);
}

static bool is_run_step(const Bench *bench, uint32_t step)
{
    return program_steps(bench->header)[step].phase != PHASE_PREPARE;
}

static RtStatus print_kernels(const Bench *bench, RtError *err)
{
    ReportTable table = {.columns = ">ms|>%|>GFLOP/s|>% of peak|>GB/s|>% of memory|<kernel|<computes"};
    double total = 0;
    for (uint32_t i = 0; i < bench->header->steps.count; i++) total += bench->step_seconds[i];
    for (uint32_t i = 0; i < bench->header->steps.count; i++) {
        uint32_t step = bench->order[i];
        if (!is_run_step(bench, step)) continue;
        const ProgramStep *s = &program_steps(bench->header)[step];
        BenchSpeed speed = step_speed(bench, step);
        report_cell(&table, "%.3f", bench->step_seconds[step] * 1e3);
        report_cell(&table, "%.1f", 100 * bench->step_seconds[step] / total);
        report_cell(&table, "%.1f", speed.flops * 1e-9);
        report_cell(&table, "%.0f", speed.flops_share);
        report_cell(&table, "%.1f", speed.bytes * 1e-9);
        report_cell(&table, "%.0f", speed.bytes_share);
        report_cell(&table, "%s", program_text(bench->header, s->kind));
        report_cell(&table, "%s", program_text(bench->header, s->name));
    }
    printf("\n");
    RtStatus status = report_print(&table, stdout, err);
    report_free(&table);
    char arrays[MEMORY_TEXT];
    printf("\n%.3f ms in all. Peak, measured here on the same threads: %.1f GFLOP/s (%d-bit vectors), %.1f "
           "GB/s\n"
           "(a = b + s * c over %s; what stays in the caches can be faster).\n",
           total * 1e3, bench->peak.flops * 1e-9, bench->peak.vector_bits, bench->peak.bytes * 1e-9,
           memory_text(bench->peak.array_bytes, arrays));
    return status;
}

static RtStatus print_bench(const Bench *bench, RtError *err)
{
    const ProgramHeader *header = bench->header;
    char planned[MEMORY_TEXT], resident[MEMORY_TEXT];
    printf("%s%s  %lldx%lld, batch %lld, %d threads, %lld runs after %lld for warming up\n",
           program_text(header, header->name), bench->is_training ? ", training steps" : "",
           (long long)header->height, (long long)header->width, (long long)header->batch,
           segrt_threads(bench->session), (long long)bench->runs, (long long)bench->warmup);
    printf("median   %9.3f ms   %.2f images/s\n", median(bench) * 1e3, images_per_second(bench));
    printf("p95      %9.3f ms\n", p95(bench) * 1e3);
    printf("min      %9.3f ms\n", bench->runs_seconds[0] * 1e3);
    printf("prepare  %9.3f ms   once, after loading weights\n", bench->prepare * 1e3);
    printf("memory   %s planned, %s peak of the process\n", memory_text(bench->memory.planned, planned),
           memory_text(bench->memory.resident, resident));
    return bench->kernels ? print_kernels(bench, err) : RT_OK;
}

static void json_kernels(JsonOut *json, const Bench *bench)
{
    json_out_number(json, "peak_gflops", bench->peak.flops * 1e-9);
    json_out_number(json, "peak_gbytes_per_second", bench->peak.bytes * 1e-9);
    json_out_open(json, "kernels", '[');
    for (uint32_t i = 0; i < bench->header->steps.count; i++) {
        uint32_t step = bench->order[i];
        if (!is_run_step(bench, step)) continue;
        const ProgramStep *s = &program_steps(bench->header)[step];
        BenchSpeed speed = step_speed(bench, step);
        json_out_open(json, NULL, '{');
        json_out_text(json, "name", program_text(bench->header, s->name));
        json_out_text(json, "kind", program_text(bench->header, s->kind));
        json_out_number(json, "ms", bench->step_seconds[step] * 1e3);
        json_out_number(json, "gflops", speed.flops * 1e-9);
        json_out_number(json, "percent_of_peak", speed.flops_share);
        json_out_number(json, "gbytes_per_second", speed.bytes * 1e-9);
        json_out_number(json, "percent_of_memory", speed.bytes_share);
        json_out_close(json);
    }
    json_out_close(json);
}

static void json_bench(const Bench *bench)
{
    const ProgramHeader *header = bench->header;
    JsonOut json = {.out = stdout};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", program_text(header, header->name));
    json_out_bool(&json, "training", bench->is_training);
    json_out_integer(&json, "height", header->height);
    json_out_integer(&json, "width", header->width);
    json_out_integer(&json, "batch", header->batch);
    json_out_integer(&json, "threads", segrt_threads(bench->session));
    json_out_integer(&json, "runs", bench->runs);
    json_out_integer(&json, "warmup", bench->warmup);
    json_out_number(&json, "median_ms", median(bench) * 1e3);
    json_out_number(&json, "p95_ms", p95(bench) * 1e3);
    json_out_number(&json, "min_ms", bench->runs_seconds[0] * 1e3);
    json_out_number(&json, "prepare_ms", bench->prepare * 1e3);
    json_out_number(&json, "images_per_second", images_per_second(bench));
    json_out_integer(&json, "planned_bytes", (int64_t)bench->memory.planned);
    json_out_integer(&json, "peak_resident_bytes", (int64_t)bench->memory.resident);
    if (bench->kernels) json_kernels(&json, bench);
    json_out_close(&json);
}

/* All players step: the iteration is that of the last one's beginning. It is taken for the run's end as well,
 * so that decaying learning rates are 0: the work is the same, and weights do not run away on noise. */
static RtStatus open_training(Bench *bench, const VerbCall *call, RtError *err)
{
    RtStatus status = training_open(&bench->training, call->program, (int)bench->wish.threads, err);
    if (status) return status;
    bench->header = bench->training.header;
    bench->session = bench->training.session;
    for (int i = 0; i < bench->training.player_count; i++) {
        int64_t from = training_players(bench->header)[i].from;
        if (from > bench->training.iteration) bench->training.iteration = from;
    }
    bench->training.iterations = bench->training.iteration;
    bench->micro_seconds = rt_alloc(bench->header->steps.count * sizeof *bench->micro_seconds);
    if (!bench->micro_seconds) return no_memory(bench, err);
    return segrt_initialize(bench->session, (uint64_t)bench->wish.seed, err);
}

static RtStatus run_bench(Bench *bench, const VerbCall *call, RtError *err)
{
    if (bench->is_training && bench->wish.weights)
        return rt_fail(err, RT_USAGE, "--weights: training steps are timed with random weights");
    RtStatus status = bench->is_training ? open_training(bench, call, err)
                                         : verb_open(call, &bench->wish, &bench->session, err);
    if (!status) status = measure_runs(bench, err);
    if (!status && bench->kernels) status = measure_kernels(bench, err);
    if (status) return status;
    if (!bench->json) return print_bench(bench, err);
    json_bench(bench);
    return RT_OK;
}

RtStatus verb_bench(VerbCall *call, RtError *err)
{
    Bench bench = {.warmup = 3, .wish = {.random_is_fine = true}, .header = call->program->header};
    const Option options[] = {
        {"--runs", 0, OPTION_COUNT, &bench.runs, "N", "runs to time (as many as fit in 3 s, 10 to 200)", 1},
        {"--warmup", 0, OPTION_COUNT, &bench.warmup, "N", "runs before that (3)", 1},
        {"--kernels", 0, OPTION_FLAG, &bench.kernels, NULL, "time every kernel and the machine's peak", 0},
        {"--training", 0, OPTION_FLAG, &bench.is_training, NULL, "time steps of training", 0},
        {"--json", 0, OPTION_FLAG, &bench.json, NULL, "print JSON", 0},
        VERB_SESSION_OPTIONS(bench.wish),
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (status || call->help) return status;
    status = verb_no_operands(call, err);
    if (!status) status = run_bench(&bench, call, err);
    if (bench.is_training)
        training_close(&bench.training);
    else
        segrt_close(bench.session);
    rt_free(bench.micro_seconds);
    rt_free(bench.runs_seconds);
    rt_free(bench.step_seconds);
    rt_free(bench.order);
    return status;
}
