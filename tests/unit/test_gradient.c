/* Gradients of everything but contractions and losses: what autodiff builds for the sum of y * gy, against
 * differences of the reference loops, then interpreted and compiled against the reference loops. And
 * batch_norm over the batch: texts, values, errors. */
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/gradient_case.h"
#include "../table/interpreted.h"
#include "../table/reference.h"
#include "graph_text.h"
#include "op.h"
#include "train_batch_norm.h"
#include "training.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *gradient_suite(void);

static const Case rows[] = {
    {"relu", "2,19,5,7", "", FILL_UNIT},
    {"leaky_relu", "2,3,5,7", "negative_slope: 0.2", FILL_UNIT},
    {"leaky_relu", "2,3,5,7", "negative_slope: -0.5", FILL_UNIT},
    {"prelu", "2,19,5,7", "", FILL_UNIT},
    {"prelu", "3,19", "", FILL_UNIT},
    {"prelu", "2,5,7", "", FILL_UNIT},
    {"sigmoid", "2,3,5,7", "", FILL_UNIT},
    {"affine", "2,3,5,7", "scale: -1.5, shift: 3", FILL_UNIT},
    {"rsqrt", "2,3,5,7", "eps: 0.5", FILL_POSITIVE},
    {"add", "2,19,5,7; 2,19,5,7; 19,1,1; 7", "", FILL_UNIT},
    {"sub", "2,3,5,7; 1,3,1,1", "", FILL_UNIT},
    {"sub", "5,1; 2,3,5,7", "", FILL_UNIT},
    {"mul", "2,19,5,7; 2,19,1,1", "", FILL_UNIT},
    {"mul", "2,3,5,7; 2,1,5,7; 1", "", FILL_UNIT},
    {"div", "2,3,5,7; 2,3,5,7", "", FILL_POSITIVE},
    {"div", "2,3,5,7; 1,3,1,1", "", FILL_POSITIVE},
    {"scale_shift", "2,19,5,7; 1,19,1,1; 1,19,1,1", "", FILL_UNIT},
    {"softmax", "2,19,3,5", "", FILL_UNIT},
    {"softmax", "3,19", "dim: 0", FILL_UNIT},
    {"log_softmax", "2,19,3,5", "", FILL_UNIT},
    {"log_softmax", "2,3,5", "dim: 2", FILL_UNIT},
    {"sum", "2,3,5,7", "", FILL_UNIT},
    {"mean", "2,19,5,7", "", FILL_UNIT},
    {"mean", "7", "", FILL_UNIT},
    {"l1", "2,3,5,7; 2,3,5,7", "", FILL_UNIT},
    {"sum_to", "2,19,5,7", "shape: [19, 1, 7]", FILL_UNIT},
    {"expand", "19,1,7", "shape: [2, 19, 5, 7]", FILL_UNIT},
    {"batch_norm", "2,19,5,7", "", FILL_UNIT},
    {"batch_norm", "2,5,7", "eps: 0.1", FILL_UNIT},
    {"batch_norm", "2,19,5,7", "statistics: batch", FILL_UNIT},
    {"batch_norm", "2,19,5,7", "statistics: batch_only, eps: 0.1", FILL_UNIT},
    {"batch_norm", "7,19", "statistics: batch, momentum: 0.5", FILL_UNIT},
    {"batch_norm", "2,5,7", "statistics: batch", FILL_UNIT},
    {"global_avg_pool", "2,19,5,7", "", FILL_UNIT},
    {"max_pool2d", "2,3,9,17", "kernel: 3, stride: 2, padding: 1", FILL_UNIT},
    {"max_pool2d", "1,19,9,7", "kernel: [2, 3], stride: [1, 2], dilation: 2", FILL_UNIT},
    {"max_pool2d", "1,3,8,8", "kernel: 3, stride: 2, ceil_mode: true", FILL_UNIT},
    {"max_pool2d", "1,3,9,1", "kernel: [3, 1], stride: 1, padding: [1, 0]", FILL_UNIT},
    {"avg_pool2d", "2,3,9,17", "kernel: 3, stride: 2, padding: 1", FILL_UNIT},
    {"avg_pool2d", "2,19,9,7", "kernel: [2, 3], padding: 1, count_include_pad: false", FILL_UNIT},
    {"avg_pool2d", "1,3,8,8", "kernel: 3, stride: 2, padding: 1, ceil_mode: true", FILL_UNIT},
    {"resize", "2,3,5,7", "scale_factor: 2", FILL_UNIT},
    {"resize", "1,19,5,7", "size: [17, 9], align_corners: true", FILL_UNIT},
    {"resize", "1,3,9,17", "size: [4, 7]", FILL_UNIT},
    {"resize", "1,3,5,7", "scale_factor: 2.3", FILL_UNIT},
    {"resize", "1,3,5,7; 2,1,11,7", "", FILL_UNIT},
    {"resize", "1,3,5,7", "size: [11, 5], mode: nearest", FILL_UNIT},
    {"concat", "2,3,5,7; 2,16,5,7; 2,5,5,7", "", FILL_UNIT},
    {"concat", "2,3,5,7; 1,3,5,7", "dim: 0", FILL_UNIT},
    {"slice", "2,19,5,7", "start: 3, end: 16", FILL_UNIT},
    {"slice", "2,3,5,7", "dim: 3, start: 2", FILL_UNIT},
    {"pad", "2,3,5,7", "pads: [1, 2, 3, 0], value: 2", FILL_UNIT},
    {"pad", "2,3,5,7", "pads: [-1, 2, 1, -2]", FILL_UNIT},
    {"pad", "2,3,5,7", "pads: [3, 2, 1, 4], pad_mode: reflect", FILL_UNIT},
    {"pad", "2,19,5,7", "pads: [3, 2, 0, 4], pad_mode: replicate", FILL_UNIT},
    {"flatten", "2,3,5,7", "", FILL_UNIT},
    {"reshape", "2,3,5,7", "shape: [2, 5, 21]", FILL_UNIT},
    /* In blocks, between convolutions. */
    {"graph", "2,3,9,17",
     "c = conv2d image {filters: 19, kernel: 3, padding: 1, bias: false}; b = batch_norm c {statistics: "
     "batch}; "
     "r = relu b; p = max_pool2d r {kernel: 3, stride: 2, padding: 1}; y = conv2d p {filters: 5, kernel: 1}",
     FILL_UNIT},
    {"graph", "2,3,9,17",
     "c = conv2d image {filters: 32, kernel: 1}; a = prelu c; d = conv2d a {filters: 32, kernel: 3, padding: "
     "1}; "
     "b = batch_norm d {statistics: batch_only}; s = add b a; r = leaky_relu s {negative_slope: 0.2}; "
     "y = avg_pool2d r {kernel: 2, stride: 2}",
     FILL_UNIT},
    {"graph", "2,3,9,17",
     "c = conv2d image {filters: 19, kernel: 1}; g = global_avg_pool c; a = conv2d g {filters: 19, kernel: "
     "1}; "
     "s = sigmoid a; m = mul c s; u = resize m {scale_factor: 2}; y = conv2d u {filters: 5, kernel: 1}",
     FILL_UNIT},
    {"graph", "2,3,9,17",
     "a = conv2d image {filters: 16, kernel: 1}; b = conv2d image {filters: 19, kernel: 1}; c = concat a b; "
     "d = conv2d c {filters: 16, kernel: 3, padding: 1}; e = slice d {start: 3, end: 11}; "
     "p = pad e {pads: [1, 1, 1, 1], pad_mode: reflect}; q = softmax p; y = mul q q",
     FILL_UNIT},
    {"graph", "2,3,9,17; 2,19,9,17",
     "c = conv2d image {filters: 19, kernel: 1}; r = sigmoid c; d = l1 r image2; m = mean c; e = mul d m; "
     "y = add e d",
     FILL_UNIT},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static Arena *arena;
static Diag *diag;

static void set_up(void)
{
    arena = arena_new();
    diag = diag_new(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

static GradientCase make_gradients(const Case *c)
{
    GradientCase made;
    const char *error = gradient_case_make(arena, diag, c, false, &made);
    ck_assert_msg(!error, "%s: %s", case_text(arena, c), error);
    return made;
}

static const Tensor *output_of(const Graph *graph, const Tensor *values, const char *name)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, name)) return &values[graph->outputs[i].node->id];
    ck_abort_msg("no output %s", name);
}

START_TEST(gradients_are_slopes)
{
    const Case *c = &rows[_i];
    GradientCase made = make_gradients(c);
    const Tensor *values = reference_run(arena, made.graph, case_fill, (void *)c);
    ck_assert_ptr_nonnull(values);
    int checked = 0;
    for (int input = 0; input < made.n; input++) {
        if (!made.wrt[input]) continue;
        const Tensor *gradient = output_of(made.graph, values, arena_printf(arena, "g%d", input));
        for (int seed = 0; seed < 3; seed++, checked++) {
            const char *fault = gradient_case_fault(arena, &made, input, seed, gradient->data, 1e-6);
            ck_assert_msg(!fault, "%s", fault);
        }
    }
    ck_assert_int_gt(checked, 0);
}
END_TEST

/* ---- kernels ---------------------------------------------------------------------------------------------
 */

static float **make_room(const Graph *graph)
{
    float **got = ARENA_ARRAY(arena, float *, graph->n_outputs);
    for (int k = 0; k < graph->n_outputs; k++)
        got[k] = ARENA_ARRAY(arena, float, type_elements(graph->outputs[k].node->type));
    return got;
}

static void compare_outputs(const Case *c, float *const *got)
{
    const Graph *graph = make_gradients(c).graph;
    const Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
    ck_assert_ptr_nonnull(values);
    for (int k = 0; k < graph->n_outputs; k++) {
        const Tensor *want = &values[graph->outputs[k].node->id];
        Difference d = compare_values(want->data, got[k], type_elements(want->type));
        ck_assert_msg(d.most <= 2e-5 * d.largest + 1e-5, "%s: %s differs by %g of %g at %lld",
                      case_text(arena, c), graph->outputs[k].name, d.most, d.largest, (long long)d.at);
    }
}

static const Target targets[] = {
    {.name = "16 lanes",
     .vector = 16,
     .registers = 32,
     .fma = true,
     .broadcast_operand = true,
     .l1_bytes = 32 << 10,
     .l2_bytes = 1 << 20},
    {.name = "4 lanes", .vector = 4, .registers = 16, .l1_bytes = 1 << 10, .l2_bytes = 4 << 10},
};
enum { N_TARGETS = sizeof targets / sizeof *targets };

START_TEST(lowered_gradients_agree)
{
    const Case *c = &rows[_i];
    for (int i = 0; i <= N_TARGETS; i++) {
        Graph *graph = make_gradients(c).graph;
        float **got = make_room(graph);
        CompileOptions options = {.target = &targets[i % N_TARGETS], .no_fuse = i == N_TARGETS};
        interpreted_run(arena, graph, &options, case_fill, (void *)c, got);
        compare_outputs(c, got);
    }
}
END_TEST

/* With one thread and with two: the same bits. */
START_TEST(compiled_gradients_agree)
{
    const Case *c = &rows[_i];
    float **got[2];
    const Graph *graph = make_gradients(c).graph;
    for (int threads = 1; threads <= 2; threads++) {
        got[threads - 1] = make_room(graph);
        const char *error = compiled_run(arena, make_gradients(c).graph, &(BuildOptions){.cpu = "host"},
                                         threads, case_fill, (void *)c, got[threads - 1]);
        ck_assert_msg(!error, "%s: %s", case_text(arena, c), error);
    }
    compare_outputs(c, got[0]);
    for (int k = 0; k < graph->n_outputs; k++)
        ck_assert_mem_eq(got[0][k], got[1][k],
                         sizeof(float) * (size_t)type_elements(graph->outputs[k].node->type));
}
END_TEST

/* ---- the table -------------------------------------------------------------------------------------------
 */

START_TEST(every_operator_of_yaml_has_a_gradient)
{
    for (Op op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = op_info(op);
        if (info->internal || op == OP_ARGMAX) continue;
        ck_assert_msg(info->gradient != NULL, "%s has no gradient", info->name);
    }
}
END_TEST

typedef struct Fault {
    const char *op, *inputs, *attrs, *expected;
} Fault;

static const Fault faults[] = {
    {"sum_to", "2,3,5,7", "shape: [1, 2, 1, 1]", "f32[1,2,1,1] does not stretch to f32[2,3,5,7]"},
    {"sum_to", "3", "shape: [1, 3]", "f32[1,3] does not stretch to f32[3]"},
    {"expand", "2,3", "shape: [3]", "f32[2,3] does not stretch to f32[3]"},
    {"expand", "2", "shape: [3, 5]", "f32[2] does not stretch to f32[3,5]"},
    {"l1", "2,3; 2,4", "", "takes two values of one shape, not f32[2,3] and f32[2,4]"},
    {"relu_grad", "2,3; 3", "", "the gradient is f32[2,3], the value f32[3]"},
    {"softmax_grad", "2,3; 2,3", "dim: 2", "'dim'"},
    {"batch_statistics", "5", "", "2 dimensions or more"},
    {"batch_norm_scale", "5; 4; 2,5", "", "input 1 is f32[4] where f32[5] belongs"},
    {"batch_norm_train", "2,5; 5; 5; 2,5; 3,5", "", "input 4 is f32[3,5] where f32[2,5] belongs"},
    {"batch_norm_sums", "2,5,7; 2,5,7; 2,7", "", "input 2 is f32[2,7] where f32[2,5] belongs"},
    {"batch_norm_slopes", "5; 2,5; 5", "scale: 1", "input 2 is f32[5] where f32[2,5] belongs"},
    {"batch_norm_input_grad", "2,5; 2,5; 2,5", "", "input 2 is f32[2,5] where f32[4,5] belongs"},
    {"running_statistic", "5; 2,5", "start: 2", "f32[2,5] has no row 2"},
    {"running_statistic", "4; 2,5", "start: 0", "input 1 is f32[2,5] where f32[2,4] belongs"},
    {"table_row", "5", "start: 0", "f32[5] has no row 0"},
    {"max_pool2d_grad", "1,3,4,4; 1,3,4,5", "kernel: 2, stride: 2, size: [8, 8]", "the value f32[1,3,4,5]"},
    {"avg_pool2d_grad", "3,4", "kernel: 2, stride: 2, size: [8, 8]", "[N,C,H,W]"},
    {"resize_grad", "1,3,4,4", "dim: 1, end: 3", "'dim'"},
    {"slice_grad", "5", "dim: 0, start: 3, end: 7", "5 from 3 on do not fit into 7"},
    {"pad_grad", "1,3,4,4", "pads: [2, 2, 0, 0], pad_mode: reflect", "inside of f32[1,3,4,4]"},
    {"pad_grad", "1,3,4,4", "pads: [1, 1], pad_mode: reflect", "'pads' is [left, right, top, bottom]"},
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

START_TEST(wrong_shapes_are_told)
{
    const Fault *f = &faults[_i];
    const Case c = {f->op, f->inputs, f->attrs, FILL_UNIT};
    ck_assert_ptr_null(case_graph(arena, diag, &c));
    ck_assert_msg(strstr(diag_text(diag), f->expected) != NULL, "%s: %s", f->op, diag_text(diag));
}
END_TEST

/* ---- batch_norm over the batch ---------------------------------------------------------------------------
 */

#define FOLDER "tests/text/train_batch_norm/"

static const char *const goldens[] = {"batch", "batch_only", "running_stays", "twice_in_order", "linear"};
enum { N_GOLDENS = sizeof goldens / sizeof *goldens };

static char *read_golden(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    Text text = text_new(arena);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) text_append(&text, block, n);
    fclose(file);
    return text.text;
}

static Graph *parse(const char *path, const char *text)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.path = path, .text = text, .size = strlen(text)};
    Graph *graph = graph_text_parse(arena, diag, source);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    return graph;
}

/* A graph, "---", and what becomes of it. */
START_TEST(golden_is_met)
{
    const char *path = arena_printf(arena, FOLDER "%s.txt", goldens[_i]);
    char *before = read_golden(path), *rule = strstr(before, "---\n");
    ck_assert_msg(rule != NULL, "%s has no line ---", path);
    const char *after = arena_strdup(arena, rule + 4);
    *rule = 0;
    Graph *graph = parse(path, before);
    train_batch_norms(graph);
    const char *made = graph_text(graph), *golden = getenv("SEGC_GOLDEN");
    if (golden && !strcmp(golden, "rewrite")) {
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        fprintf(file, "%s---\n%s", before, made);
        fclose(file);
    } else {
        ck_assert_msg(!strcmp(made, after), "%s: expected\n%s\ngot\n%s", path, after, made);
    }
}
END_TEST

typedef struct Refusal {
    const char *inputs, *expected;
} Refusal;

static const Refusal refusals[] = {
    {"1,8,1,1", "batch_norm over 1 value per channel in training: batch, height or width must grow"},
    {"1,8", "batch_norm over 1 value per channel in training: the batch must grow"},
};

START_TEST(one_value_per_channel_is_an_error)
{
    const Case c = {"graph", refusals[_i].inputs, "b = batch_norm image {statistics: batch}; y = relu b",
                    FILL_UNIT};
    ck_assert_ptr_null(case_graph(arena, diag, &c));
    ck_assert_msg(strstr(diag_text(diag), refusals[_i].expected) != NULL, "%s", diag_text(diag));
}
END_TEST

/* Applied where the statistics stay, one value is enough. */
START_TEST(one_value_per_channel_is_enough_for_running_statistics)
{
    const Case c = {"batch_norm", "1,8,1,1", "", FILL_UNIT};
    ck_assert_ptr_nonnull(case_graph(arena, diag, &c));
}
END_TEST

/* Inputs count from 1 on; parameters are 1, statistics 0. */
static void count_up(void *context, const Node *source, float *values)
{
    const double *step = context;
    bool is_input = source->op == OP_INPUT, is_statistic = !is_input && node_bool(source, A_STATISTIC);
    bool variance = strstr(source->name, "running_var") != NULL;
    for (int64_t i = 0; i < type_elements(source->type); i++)
        values[i] = is_input                    ? (float)(step[0] + step[1] * (double)(i % 4 + 1))
                    : is_statistic && !variance ? 0
                                                : 1;
}

/* The graph of one batch_norm, with what its running statistics become as outputs. */
static Graph *norm_graph(const char *inputs, const char *attrs)
{
    const Case c = {"batch_norm", inputs, attrs, FILL_UNIT};
    Graph *graph = case_graph(arena, diag, &c);
    ck_assert_ptr_nonnull(graph);
    train_batch_norms(graph);
    for (int i = 0; i < graph->n_updates; i++)
        graph_output(graph, i == 0 ? "mean" : "variance", graph->updates[i].value);
    graph->n_updates = 0;
    graph_sort(graph);
    return graph;
}

START_TEST(running_statistics_are_pytorch_s)
{
    float y[4], mean[1], variance[1], *got[3] = {y, mean, variance};
    double step[2] = {0, 1};
    const char *error = compiled_run(arena, norm_graph("2,1,1,2", "statistics: batch"),
                                     &(BuildOptions){.cpu = "host"}, 1, count_up, step, got);
    ck_assert_msg(!error, "%s", error);
    ck_assert_float_eq_tol(mean[0], 0.25f, 1e-7f);
    ck_assert_float_eq_tol(variance[0], 1.0666667f, 1e-6f);
    ck_assert_float_eq_tol(y[0], -0.3416355f, 1e-6f);
    ck_assert_float_eq_tol(y[3], 2.3416355f, 1e-6f);
}
END_TEST

/* A mean of 4096 deviations: squares of the values themselves would leave nothing of the variance. */
START_TEST(variance_is_accurate_beside_a_large_mean)
{
    static const char *const shapes[] = {"2,3,65,129", "2,19,33,33", "1,3,7,4099", "3000,5"};
    for (int i = 0; i < 4; i++) {
        const Case c = {"batch_statistics", shapes[i], "", FILL_UNIT};
        Graph *graph = case_graph(arena, diag, &c);
        double step[2] = {4096, 1};
        const Tensor *want = reference_run(arena, graph, count_up, step);
        const Node *node = graph->outputs[0].node;
        int64_t count = type_elements(node->type);
        float *got = ARENA_ARRAY(arena, float, count);
        const double *expected = want[node->id].data;
        const char *error =
            compiled_run(arena, graph, &(BuildOptions){.cpu = "host"}, 2, count_up, step, &got);
        ck_assert_msg(!error, "%s", error);
        for (int64_t k = 0; k < count; k++)
            ck_assert_msg(fabs((double)got[k] - expected[k]) <= 2e-6 * expected[k], "%s: %g is not %g",
                          shapes[i], (double)got[k], expected[k]);
    }
}
END_TEST

Suite *gradient_suite(void)
{
    Suite *suite = suite_create("gradient");
    TCase *kernels = tcase_create("kernels"), *norm = tcase_create("batch_norm");
    tcase_set_timeout(kernels, 60);
    tcase_add_checked_fixture(kernels, set_up, tear_down);
    tcase_add_checked_fixture(norm, set_up, tear_down);
    tcase_add_loop_test(kernels, gradients_are_slopes, 0, N_ROWS);
    tcase_add_loop_test(kernels, lowered_gradients_agree, 0, N_ROWS);
    tcase_add_loop_test(kernels, compiled_gradients_agree, 0, N_ROWS);
    tcase_add_test(kernels, every_operator_of_yaml_has_a_gradient);
    tcase_add_loop_test(kernels, wrong_shapes_are_told, 0, N_FAULTS);
    tcase_add_loop_test(norm, golden_is_met, 0, N_GOLDENS);
    tcase_add_loop_test(norm, one_value_per_channel_is_an_error, 0, 2);
    tcase_add_test(norm, one_value_per_channel_is_enough_for_running_statistics);
    tcase_add_test(norm, running_statistics_are_pytorch_s);
    tcase_add_test(norm, variance_is_accurate_beside_a_large_mean);
    suite_add_tcase(suite, kernels);
    suite_add_tcase(suite, norm);
    return suite;
}
