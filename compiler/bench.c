/* See bench.h. The variants' runs take turns, so that what else the machine does slows all alike. */
#define _GNU_SOURCE
#include "bench.h"
#include "command.h"
#include "op.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "../runtime/rt_program.h"
#include "../runtime/rt_session.h"

static const struct {
    const char *name;
    bool no_fuse, blas;
} ways[BENCH_VARIANTS] = {
    [BENCH_FUSED] = {"fused", false, false},
    [BENCH_UNFUSED] = {"not fused", true, false},
    [BENCH_BASELINE] = {"im2col + OpenBLAS", true, true},
};

/* More than rounding explains: a fault of the compiler. */
static const double MOST_DIFFERENCE = 1e-3, MOST_DIFFERING = 0.01;

/* Each variant is compiled from a model of its own, since compiling rewrites the graph. */
static RtStatus compile_variant(Command *c, BenchVariant *v, bool no_fuse, bool blas, RtError *err)
{
    Model *model = command_load(c);
    if (!model) return rt_fail(err, RT_BAD_INPUT, "%s", "");
    double start = session_clock();
    BuildOptions options = {.cpu = c->cpu,
                            .passes = command_outputs(c, model),
                            .no_fuse = no_fuse,
                            .no_winograd = c->no_winograd,
                            .no_reuse = c->no_reuse,
                            .blas = blas,
                            .model = model};
    v->build = build_graph(c->arena, model->graph, &options);
    if (!v->build) {
        diag_print(c->diag, stderr);
        return rt_fail(err, RT_BAD_INPUT, "%s", "");
    }
    const char *error = NULL;
    v->jit = build_jit(v->build, &error);
    v->compile_seconds = session_clock() - start;
    return v->jit ? RT_OK : rt_fail(err, RT_MACHINE, "%s", error);
}

static RtStatus open_variants(Command *c, Bench *bench, RtError *err)
{
    RtStatus status = RT_OK;
    for (int i = 0; i < BENCH_VARIANTS && !status; i++) {
        BenchVariant *v = &bench->variants[i];
        v->name = ways[i].name;
        status = compile_variant(c, v, ways[i].no_fuse, ways[i].blas, err);
        if (!status) status = segrt_open(build_program(v->jit), (int)c->threads, &v->session, err);
        if (!status) status = segrt_initialize(v->session, 0, err);
        if (!status) v->planned_bytes = segrt_memory(v->session).planned;
    }
    if (!status) bench->threads = segrt_threads(bench->variants[0].session);
    return status;
}

/* The threads of the session that ran before still spin for a moment. */
static void let_threads_sleep(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void compare_values(Bench *bench, BenchVariant *v, const float *want, const float *got, int64_t count)
{
    double largest = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs((double)want[i] - (double)got[i]);
        if (fabs((double)want[i]) > largest) largest = fabs((double)want[i]);
        if (!(difference <= most)) most = difference;
    }
    if (largest > 0) most /= largest;
    if (!(most <= v->difference)) v->difference = most;
    if (v == &bench->variants[BENCH_UNFUSED]) bench->values += count;
}

static void compare_classes(Bench *bench, BenchVariant *v, const void *want, const void *got, int64_t count,
                            size_t size)
{
    for (int64_t i = 0; i < count; i++) {
        size_t at = (size_t)i * size;
        if (memcmp((const char *)want + at, (const char *)got + at, size) != 0) v->differing++;
    }
    if (v == &bench->variants[BENCH_UNFUSED]) bench->classes += count;
}

/* Both have run on the same inputs. */
static RtStatus compare_outputs(Bench *bench, BenchVariant *v, RtError *err)
{
    SegrtSession *fused = bench->variants[BENCH_FUSED].session;
    const ProgramHeader *header = session_program(fused);
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != ROLE_OUTPUT) continue;
        SegrtTensor got;
        RtStatus status = segrt_tensor(v->session, program_text(header, tensor->name), &got, err);
        if (status) return status;
        const void *want = session_address(fused, tensor);
        int64_t count = program_elements(tensor);
        if (tensor->dtype == DTYPE_F32)
            compare_values(bench, v, want, got.data, count);
        else
            compare_classes(bench, v, want, got.data, count, program_dtype_bytes(tensor->dtype));
    }
    bool good = v->difference <= MOST_DIFFERENCE &&
                (double)v->differing <= ceil(MOST_DIFFERING * (double)bench->classes);
    if (good) return RT_OK;
    return rt_fail(
        err, RT_BUG,
        "'%s' computes something else: differs by %g of the largest value, and in %lld of %lld classes",
        v->name, v->difference, (long long)v->differing, (long long)bench->classes);
}

/* The first runs, which also prepare; seconds receives what the last took, summed over the variants. */
static RtStatus warm_up(Bench *bench, double *seconds, RtError *err)
{
    RtStatus status = RT_OK;
    for (int64_t k = 0; k < bench->warmup && !status; k++) {
        *seconds = 0;
        for (int i = 0; i < BENCH_VARIANTS && !status; i++) {
            double one = 0;
            let_threads_sleep();
            status = bench_run(bench->variants[i].session, &one, err);
            *seconds += one;
        }
        for (int i = 1; i < BENCH_VARIANTS && !status && k == 0; i++)
            status = compare_outputs(bench, &bench->variants[i], err);
    }
    return status;
}

static RtStatus measure_runs(Arena *arena, Bench *bench, RtError *err)
{
    RtStatus status = RT_OK;
    for (int i = 0; i < BENCH_VARIANTS; i++)
        bench->variants[i].runs = ARENA_ARRAY(arena, double, bench->n_runs);
    for (int64_t run = 0; run < bench->n_runs && !status; run++)
        for (int i = 0; i < BENCH_VARIANTS && !status; i++) {
            let_threads_sleep();
            status = bench_run(bench->variants[i].session, &bench->variants[i].runs[run], err);
        }
    for (int i = 0; i < BENCH_VARIANTS; i++) bench_sort(bench->variants[i].runs, bench->n_runs);
    return status;
}

/* Of the fused variant and the baseline, whose steps are compared. */
static RtStatus measure_steps(Arena *arena, Bench *bench, RtError *err)
{
    static const int measured[] = {BENCH_FUSED, BENCH_BASELINE};
    double *times[BENCH_VARIANTS];
    RtStatus status = RT_OK;
    for (int k = 0; k < 2; k++) {
        BenchVariant *v = &bench->variants[measured[k]];
        v->steps = ARENA_ARRAY(arena, double, v->build->image->steps.count);
        times[k] = ARENA_ARRAY(arena, double, bench->n_runs * v->build->image->steps.count);
    }
    for (int64_t run = 0; run < bench->n_runs && !status; run++)
        for (int k = 0; k < 2 && !status; k++) {
            BenchVariant *v = &bench->variants[measured[k]];
            let_threads_sleep();
            status = bench_run_steps(v->session, times[k] + run * v->build->image->steps.count, err);
        }
    for (int k = 0; k < 2 && !status; k++) {
        BenchVariant *v = &bench->variants[measured[k]];
        status = bench_step_medians(times[k], bench->n_runs, v->build->image->steps.count, v->steps, err);
    }
    if (!status) status = peak_measure(session_pool(bench->variants[BENCH_FUSED].session), &bench->peak, err);
    return status;
}

/* Nodes that only a layout needs are numbered differently in each variant; all others alike. */
static bool is_of_layout(const Node *node)
{
    return node->op == OP_RELAYOUT || node->op == OP_PACK_FILTER;
}

/* Seconds the baseline took for a node (for the part of a concat), or -1 where it has no step for it. */
static double baseline_node(const BenchVariant *baseline, const Node *node, int part)
{
    const StepList *list = baseline->build->plan->list;
    double seconds = -1;
    for (int i = 0; i < list->n_steps; i++) {
        const Group *group = list->steps[i].group;
        if (group->is_static || group->root->id != node->id || is_of_layout(group->root)) continue;
        if (group->kind == GROUP_PART && group->part != part) continue;
        seconds = (seconds < 0 ? 0 : seconds) + baseline->steps[i];
    }
    return seconds;
}

/* The same for a node and all that the group computes for it; -1 where any of them has no step. */
static double baseline_nodes(const BenchVariant *baseline, const Fusion *fusion, const Node *node, int part)
{
    double seconds = is_of_layout(node) ? 0 : baseline_node(baseline, node, part);
    for (int i = 0; i < node->n_in && seconds >= 0; i++) {
        if (!fusion->inlined[node->in[i]->id]) continue;
        double more = baseline_nodes(baseline, fusion, node->in[i], 0);
        seconds = more < 0 ? -1 : seconds + more;
    }
    return seconds;
}

/* The kernel's share of the group's time decides what the row is called. */
static void add_step(BenchKernel *kernel, const Step *step, double seconds, double *longest)
{
    if (seconds >= *longest) {
        *longest = seconds;
        kernel->kind = step->kernel->kind;
        if (step->name) kernel->name = step->name;
    }
    kernel->steps++;
    kernel->seconds += seconds;
    kernel->flops += step->flops;
    kernel->bytes += step->bytes;
}

static void insert_kernel(Arena *arena, Bench *bench, BenchKernel kernel)
{
    ARENA_PUSH(arena, bench->kernels, bench->n_kernels, bench->cap_kernels, kernel);
    int at = bench->n_kernels - 1;
    for (; at > 0 && bench->kernels[at - 1].seconds < kernel.seconds; at--)
        bench->kernels[at] = bench->kernels[at - 1];
    bench->kernels[at] = kernel;
}

/* Steps of a group follow each other. */
static void collect_kernels(Arena *arena, Bench *bench)
{
    const BenchVariant *fused = &bench->variants[BENCH_FUSED];
    const StepList *list = fused->build->plan->list;
    for (int i = 0; i < list->n_steps;) {
        const Group *group = list->steps[i].group;
        BenchKernel kernel = {.name = ""};
        double longest = 0;
        for (; i < list->n_steps && list->steps[i].group == group; i++)
            add_step(&kernel, &list->steps[i], fused->steps[i], &longest);
        if (group->is_static) continue;
        kernel.baseline_seconds =
            baseline_nodes(&bench->variants[BENCH_BASELINE], list->fusion, group->root, group->part);
        /* A group that only moves values has no counterpart. */
        if (kernel.baseline_seconds == 0) kernel.baseline_seconds = -1;
        insert_kernel(arena, bench, kernel);
    }
}

static RtStatus measure(Command *c, Bench *bench, RtError *err)
{
    double seconds = 0;
    RtStatus status = open_variants(c, bench, err);
    if (!status) status = warm_up(bench, &seconds, err);
    if (status) return status;
    bench->n_runs = c->runs ? c->runs : bench_choose_runs(seconds);
    status = measure_runs(c->arena, bench, err);
    if (!status) status = measure_steps(c->arena, bench, err);
    if (!status) collect_kernels(c->arena, bench);
    return status;
}

int command_bench(Command *c)
{
    Bench bench = {.file = c->file, .warmup = 3};
    RtError err = {0};
    RtStatus status = measure(c, &bench, &err);
    if (!status && c->json)
        bench_print_json(&bench);
    else if (!status)
        status = bench_print(&bench, &err);
    for (int i = 0; i < BENCH_VARIANTS; i++) {
        segrt_close(bench.variants[i].session);
        build_jit_free(bench.variants[i].jit);
    }
    if (status && *err.text) fprintf(stderr, "segc: error: %s\n", err.text);
    return (int)status;
}
