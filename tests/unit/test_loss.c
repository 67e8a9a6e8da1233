/* Losses and their gradients: the study's values, finite differences of the reference, fused against unfused,
 * the same bits for any number of threads, and messages. */
#define _GNU_SOURCE
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/guarded.h"
#include "../table/interpreted.h"
#include "op.h"
#include "training.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

Suite *loss_suite(void);

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

/* ---- a loss with its gradient ----------------------------------------------------------------------------
 */

/* What the graph is run on: a case's values, an element of "image" moved, or all labels the same. */
typedef struct Values {
    const Case *c;
    int64_t moved; /* -1: none */
    float by;
    const float *image, *labels; /* NULL: the case's */
    bool ignored;                /* all labels 255 */
} Values;

static void fill(void *context, const Node *source, float *values)
{
    const Values *v = context;
    int64_t count = type_elements(source->type);
    bool is_image = strcmp(source->name, "image") == 0;
    case_fill((void *)v->c, source, values);
    if (v->image && is_image) memcpy(values, v->image, sizeof *values * (size_t)count);
    if (v->labels && !is_image) memcpy(values, v->labels, sizeof *values * (size_t)count);
    for (int64_t i = 0; i < count && v->ignored && source->type.dtype == I32; i++) values[i] = 255;
    if (is_image && v->moved >= 0) values[v->moved] += v->by;
}

static Graph *declared(const Case *c)
{
    Graph *graph = case_graph(arena, diag, c);
    ck_assert_msg(graph != NULL, "%s: %s", case_text(arena, c), diag_text(diag));
    return graph;
}

static Node *find(const Graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (strcmp(graph->nodes[i]->name, name) == 0) return graph->nodes[i];
    return NULL;
}

/* Adds the gradient of output y with respect to the input `of` as the output "gradient". */
static Graph *with_gradient(const Case *c, const char *of)
{
    Graph *graph = declared(c);
    fuse_losses(graph);
    Node *wrt = find(graph, of), *gradient = NULL;
    bool made = autodiff_gradients(graph, graph->outputs[0].node, &wrt, 1, &gradient);
    ck_assert_msg(made && gradient, "%s: %s", case_text(arena, c), diag_text(diag));
    ck_assert(type_equal(gradient->type, wrt->type));
    graph_output(graph, "gradient", gradient);
    graph_sort(graph);
    return graph;
}

typedef struct Result {
    float loss, *gradient;
    int64_t count;
} Result;

static Result room_for(const Graph *graph)
{
    int64_t count = type_elements(graph->outputs[1].node->type);
    return (Result){.gradient = ARENA_ARRAY(arena, float, count), .count = count};
}

static Result run_compiled(const Case *c, const Values *v, const BuildOptions *options, int threads)
{
    Graph *graph = with_gradient(c, "image");
    Result r = room_for(graph);
    const char *error =
        compiled_run(arena, graph, options, threads, fill, (void *)v, (float *[]){&r.loss, r.gradient});
    ck_assert_msg(!error, "%s: %s", case_text(arena, c), error);
    return r;
}

static const BuildOptions host = {.cpu = "host"};

/* ---- against finite differences of the reference ---------------------------------------------------------
 */

static const Case gradients[] = {
    {"cross_entropy", "2,19,5,17; i32 2,5,17", "", FILL_UNIT},
    {"cross_entropy", "1,2,9,33; i32 1,9,33", "ignore_index: 1, label_smoothing: 0.1", FILL_UNIT},
    {"cross_entropy", "1,11,7,3; i32 1,7,3",
     "weight: [1, 2, 0.5, 1, 0, 3, 1, 1, 1, 0.25, 1], label_smoothing: 0.3", FILL_POSITIVE},
    {"cross_entropy", "1,20,3,49; i32 1,3,49",
     "weight: [1, 2, 0, 1, 1, 3, 1, 1, 1, 2, 1, 4, 1, 1, 1, 2, 1, 1, 1, 1]", FILL_COARSE},
    {"focal", "2,19,5,17; i32 2,5,17", "", FILL_UNIT},
    {"focal", "1,2,9,33; i32 1,9,33", "gamma: 0.5, ignore_index: 0", FILL_UNIT},
    {"focal", "1,11,7,3; i32 1,7,3", "gamma: 3, weight: [1, 2, 0.5, 1, 0, 3, 1, 1, 1, 0.25, 1]", FILL_UNIT},
    {"focal", "1,20,5,5; i32 1,5,5", "gamma: 1", FILL_UNIT},
    {"focal", "1,20,5,5; i32 1,5,5", "gamma: 2.5", FILL_POSITIVE},
    {"dice", "2,19,5,17; i32 2,5,17", "", FILL_UNIT},
    {"dice", "1,2,9,33; i32 1,9,33", "ignore_index: 1, absent: zero, eps: 0.5", FILL_UNIT},
    {"dice", "2,20,5,7; i32 2,5,7", "absent: skip", FILL_UNIT},
    {"dice", "2,20,5,7; i32 2,5,7", "absent: zero", FILL_UNIT},
    {"bce_with_logits", "2,1,5,17", "target: 1", FILL_UNIT},
    {"bce_with_logits", "2,3,5,17", "target: 0.1", FILL_UNIT},
    {"bce_with_logits", "3,5; 3,5", "", FILL_UNIT},
    {"mse", "2,1,5,17", "target: 1", FILL_UNIT},
    {"mse", "2,1,5,7; 2,1,5,7", "", FILL_UNIT},
    {"entropy", "2,19,5,7", "", FILL_POSITIVE},
    {"graph", "2,7,5,9; i32 2,5,9",
     "a = cross_entropy image image2; b = dice image image2; c = affine a {scale: 0.1}; y = add b c",
     FILL_UNIT},
    {"graph", "2,3,5,9", "m = entropy_map image; y = mse m {target: 0.25}", FILL_POSITIVE},
    /* From here on the logits are enlarged on the way. */
    {"graph", "2,19,3,5; i32 2,24,40", "u = resize image {scale_factor: 8}; y = cross_entropy u image2",
     FILL_UNIT},
    {"graph", "1,20,5,17; i32 1,20,68",
     "u = resize image {size: [20, 68]}; y = cross_entropy u image2 {label_smoothing: 0.2}", FILL_UNIT},
    {"graph", "1,11,7,5; i32 1,28,20",
     "u = resize image {size: [28, 20], align_corners: true}; y = focal u image2", FILL_UNIT},
    {"graph", "1,2,7,5; i32 1,19,33", "u = resize image {size: [19, 33]}; y = dice u image2", FILL_UNIT},
    {"graph", "1,2,5,9; i32 1,33,65",
     "u = resize image {size: [33, 65], align_corners: true}; y = dice u image2 {absent: zero}", FILL_UNIT},
    {"graph", "1,11,3,7; i32 1,8,18", "u = resize image {scale_factor: 2.7}; y = focal u image2 {gamma: 1.5}",
     FILL_UNIT},
    {"graph", "1,3,1,1; i32 1,5,7", "u = resize image {size: [5, 7]}; y = cross_entropy u image2", FILL_UNIT},
    {"graph", "1,3,4,1; i32 1,4,7",
     "u = resize image {size: [4, 7], align_corners: true}; y = cross_entropy u image2", FILL_UNIT},
    {"graph", "1,5,4,6; i32 1,4,6", "u = resize image {size: [4, 6]}; y = dice u image2 {absent: skip}",
     FILL_UNIT},
    /* The gradient goes on into blocks of channels. */
    {"graph", "1,3,5,9; i32 1,20,36",
     "c = conv2d image {filters: 19, kernel: 1}; u = resize c {size: [20, 36]}; y = cross_entropy u image2",
     FILL_UNIT},
    {"graph", "2,3,5,9; i32 2,5,9", "c = conv2d image {filters: 5, kernel: 3, padding: 1}; y = dice c image2",
     FILL_UNIT},
    {"graph", "2,3,5,9; i32 2,5,9",
     "c = conv2d image {filters: 19, kernel: 1}; a = focal c image2; p = softmax c; e = entropy p; d = "
     "conv2d c {filters: 1, kernel: 3}; "
     "m = mse d {target: 1}; f = bce_with_logits d {target: 0}; y = add a e m f",
     FILL_UNIT},
    {"graph", "1,5,3,4; i32 1,9,16",
     "u = resize image {size: [9, 16]}; a = cross_entropy u image2; b = focal u image2; "
     "c = dice u image2; s = add a b; y = add s c",
     FILL_UNIT},
};
enum { N_GRADIENTS = sizeof gradients / sizeof *gradients, SAMPLES = 24 };

static double reference_loss(const Graph *graph, const Values *v)
{
    const Tensor *values = reference_run(arena, graph, fill, (void *)v);
    ck_assert_ptr_nonnull(values);
    return values[graph->outputs[0].node->id].data[0];
}

/* Of second order, on values that are exact in float. */
static double slope_at(const Graph *graph, const Case *c, int64_t element)
{
    const float step = 1.0f / 512;
    Values up = {.c = c, .moved = element, .by = step}, down = {.c = c, .moved = element, .by = -step};
    return (reference_loss(graph, &up) - reference_loss(graph, &down)) / (2 * (double)step);
}

static void check_gradient(const Case *c, const Result *r)
{
    const Graph *graph = declared(c);
    const Values v = {.c = c, .moved = -1};
    double want = reference_loss(graph, &v), largest = 0;
    ck_assert_msg(fabs(want - (double)r->loss) <= 2e-6 * fabs(want), "%s: loss %.9g, reference %.9g",
                  case_text(arena, c), (double)r->loss, want);
    for (int64_t i = 0; i < r->count; i++) largest = fmax(largest, fabs((double)r->gradient[i]));
    ck_assert(largest > 0);
    for (int64_t k = 0; k < SAMPLES; k++) {
        int64_t element = r->count <= SAMPLES ? k % r->count : (k * 7919 + 13) % r->count;
        double slope = slope_at(graph, c, element), got = (double)r->gradient[element];
        ck_assert_msg(fabs(slope - got) <= 1e-4 * largest, "%s: gradient %lld is %g, finite difference %g",
                      case_text(arena, c), (long long)element, got, slope);
    }
}

START_TEST(gradient_is_the_finite_difference)
{
    const Case *c = &gradients[_i];
    const Values v = {.c = c, .moved = -1};
    Result r = run_compiled(c, &v, &host, 2);
    check_gradient(c, &r);
}
END_TEST

START_TEST(interpreted_gradient_is_the_finite_difference)
{
    static const Target target = {
        .name = "test", .vector = 4, .registers = 16, .l1_bytes = 32768, .l2_bytes = 1 << 20};
    const Case *c = &gradients[_i];
    Values v = {.c = c, .moved = -1};
    Graph *graph = with_gradient(c, "image");
    Result r = room_for(graph);
    interpreted_run(arena, graph, &(CompileOptions){.target = &target}, fill, &v,
                    (float *[]){&r.loss, r.gradient});
    check_gradient(c, &r);
}
END_TEST

START_TEST(gradient_of_the_target)
{
    static const Case both[] = {{"mse", "2,3,5; 2,3,5", "", FILL_UNIT},
                                {"bce_with_logits", "4,7; 4,7", "", FILL_UNIT}};
    const Case *c = &both[_i];
    Values v = {.c = c, .moved = -1};
    Graph *graph = with_gradient(c, "image2");
    Result r = room_for(graph);
    const char *error = compiled_run(arena, graph, &host, 1, fill, &v, (float *[]){&r.loss, r.gradient});
    ck_assert_msg(!error, "%s", error);
    const Graph *plain = declared(c);
    const Tensor *x = reference_run(arena, plain, fill, &v);
    for (int64_t i = 0; i < r.count; i++) {
        double a = x[find(plain, "image")->id].data[i], b = x[find(plain, "image2")->id].data[i];
        double want = (_i == 0 ? 2 * (b - a) : -a) / (double)r.count;
        ck_assert_double_eq_tol((double)r.gradient[i], want, 1e-6);
    }
}
END_TEST

/* ---- against PyTorch
 * ---------------------------------------------------------------------------------------
 */

#define FIXTURES "tests/fixtures/losses/losses.txt"

/* One loss of the file: see tests/peers/README.md. */
typedef struct Fixture {
    Case c;
    double loss, largest, kept[64];
    int64_t step;
    int n_kept;
} Fixture;

static bool read_fixture(FILE *file, Fixture *f)
{
    char line[500];
    if (!fgets(line, sizeof line, file)) return false;
    line[strcspn(line, "\n")] = 0;
    char *inputs = strstr(line, " | "), *attrs = inputs ? strstr(inputs + 3, " | ") : NULL;
    if (!attrs) return false;
    *inputs = *attrs = 0;
    f->c = (Case){arena_strdup(arena, line), arena_strdup(arena, inputs + 3), arena_strdup(arena, attrs + 3),
                  FILL_UNIT};
    long long step;
    if (fscanf(file, "%lf %lf %lld %d", &f->loss, &f->largest, &step, &f->n_kept) != 4 || f->n_kept > 64)
        return false;
    f->step = step;
    for (int i = 0; i < f->n_kept; i++)
        if (fscanf(file, "%lf", &f->kept[i]) != 1) return false;
    return fgets(line, sizeof line, file) != NULL;
}

START_TEST(losses_are_those_of_pytorch)
{
    FILE *file = fopen(FIXTURES, "r");
    ck_assert_ptr_nonnull(file);
    Fixture f;
    int count = 0;
    for (; read_fixture(file, &f); count++) {
        const Values v = {.c = &f.c, .moved = -1};
        Result r = run_compiled(&f.c, &v, &host, 2);
        ck_assert_msg(fabs((double)r.loss - f.loss) <= 2e-6 * fabs(f.loss), "%s: %.9g, PyTorch %.9g",
                      case_text(arena, &f.c), (double)r.loss, f.loss);
        for (int k = 0; k < f.n_kept; k++) {
            double got = (double)r.gradient[k * f.step];
            ck_assert_msg(fabs(got - f.kept[k]) <= 5e-6 * f.largest,
                          "%s: gradient %lld is %.9g, PyTorch %.9g", case_text(arena, &f.c),
                          (long long)(k * f.step), got, f.kept[k]);
        }
    }
    fclose(file);
    ck_assert_int_eq(count, 24);
}
END_TEST

/* ---- bits ------------------------------------------------------------------------------------------------
 */

static void check_same(const Result *a, const Result *b)
{
    ck_assert(memcmp(&a->loss, &b->loss, sizeof a->loss) == 0);
    ck_assert(memcmp(a->gradient, b->gradient, sizeof *a->gradient * (size_t)a->count) == 0);
}

START_TEST(threads_change_no_bit)
{
    const Case *c = &gradients[_i];
    const Values v = {.c = c, .moved = -1};
    Result one = run_compiled(c, &v, &host, 1), many = run_compiled(c, &v, &host, 5);
    check_same(&one, &many);
}
END_TEST

/* In memory that ends where each value does. */
START_TEST(nothing_is_read_beside_its_place)
{
    const Case *c = &gradients[_i];
    Values v = {.c = c, .moved = -1};
    Graph *graph = with_gradient(c, "image");
    Result r = room_for(graph);
    const char *error = guarded_run(arena, graph, &host, fill, &v, (float *[]){&r.loss, r.gradient});
    ck_assert_msg(!error, "%s", error);
    check_gradient(c, &r);
}
END_TEST

START_TEST(every_way_of_compiling_agrees)
{
    static const BuildOptions ways[] = {{.cpu = "host", .no_fuse = true},
                                        {.cpu = "host", .no_reuse = true},
                                        {.cpu = "x86-64-v3"},
                                        {.cpu = "x86-64-v2"},
                                        {.cpu = "host", .blas = true}};
    const Case *c = &gradients[_i];
    const Values v = {.c = c, .moved = -1};
    for (int way = 0; way < (int)(sizeof ways / sizeof *ways); way++) {
        Result r = run_compiled(c, &v, &ways[way], 1);
        check_gradient(c, &r);
    }
}
END_TEST

START_TEST(gamma_0_is_cross_entropy)
{
    static const Case pairs[][2] = {
        {{"focal", "2,19,5,17; i32 2,5,17", "gamma: 0", FILL_UNIT},
         {"cross_entropy", "2,19,5,17; i32 2,5,17", "", FILL_UNIT}},
        {{"graph", "1,11,7,5; i32 1,28,20",
          "u = resize image {size: [28, 20]}; y = focal u image2 {gamma: 0}", FILL_UNIT},
         {"graph", "1,11,7,5; i32 1,28,20", "u = resize image {size: [28, 20]}; y = cross_entropy u image2",
          FILL_UNIT}},
    };
    Result r[2];
    for (int i = 0; i < 2; i++)
        r[i] = run_compiled(&pairs[_i][i], &(Values){.c = &pairs[_i][i], .moved = -1}, &host, 1);
    check_same(&r[0], &r[1]);
}
END_TEST

static const struct {
    const char *logits, *resize, *op;
    int n, classes, height, width;
} enlarged[] = {
    {"2,19,9,17", "scale_factor: 8", "cross_entropy", 2, 19, 72, 136},
    {"1,19,9,17", "size: [37, 66], align_corners: true", "dice", 1, 19, 37, 66},
    {"1,20,9,33", "size: [37, 132]", "focal", 1, 20, 37, 132},
};

/* The loss of one pass, without its gradient and with it, is that of the logits at full size. */
START_TEST(fused_is_unfused)
{
    const int n = enlarged[_i].n, classes = enlarged[_i].classes, h = enlarged[_i].height,
              w = enlarged[_i].width;
    const char *op = enlarged[_i].op, *labels = arena_printf(arena, "i32 %d,%d,%d", n, h, w);
    const Case resize = {"resize", enlarged[_i].logits, enlarged[_i].resize, FILL_WIDE};
    const Case plain = {op, arena_printf(arena, "%d,%d,%d,%d; %s", n, classes, h, w, labels), "", FILL_WIDE};
    const Case fused = {
        "graph", arena_printf(arena, "%s; %s", enlarged[_i].logits, labels),
        arena_printf(arena, "u = resize image {%s}; y = %s u image2", enlarged[_i].resize, op), FILL_WIDE};
    float *logits = ARENA_ARRAY(arena, float, n *classes *h *w), loss[2];
    Values small = {.c = &resize, .moved = -1}, large = {.c = &plain, .moved = -1, .image = logits},
           on_way = {.c = &fused, .moved = -1};
    ck_assert_ptr_null(compiled_run(arena, declared(&resize), &host, 1, fill, &small, &logits));
    ck_assert_ptr_null(compiled_run(arena, declared(&plain), &host, 1, fill, &large, (float *[]){&loss[0]}));
    ck_assert_ptr_null(compiled_run(arena, declared(&fused), &host, 1, fill, &on_way, (float *[]){&loss[1]}));
    ck_assert_double_eq_tol((double)loss[1], (double)loss[0], 1e-6 * fabs((double)loss[0]));
    Result r = run_compiled(&fused, &on_way, &host, 1);
    ck_assert_double_eq_tol((double)r.loss, (double)loss[0], 1e-6 * fabs((double)loss[0]));
}
END_TEST

/* ---- values ----------------------------------------------------------------------------------------------
 */

/* The study's: four pixels, three classes, the third pixel ignored. */
static const float four_logits[12] = {2, 0, 9, 0, 0, 2, 9, 0, 0, 0, -9, 2}, four_labels[4] = {0, 1, 255, 2};

static const struct {
    const char *op, *attrs;
    double want;
} four[] = {
    {"cross_entropy", "", 0.2395448},
    {"dice", "", 0.2130139},
    {"focal", "", 0.0108693},
    {"focal", "gamma: 0", 0.2395448},
    {"dice", "absent: skip", 0.2130139},
};

START_TEST(values_of_the_study)
{
    const Case c = {four[_i].op, "1,3,1,4; i32 1,1,4", four[_i].attrs, FILL_UNIT};
    const Values v = {.c = &c, .moved = -1, .image = four_logits, .labels = four_labels};
    Result r = run_compiled(&c, &v, &host, 1);
    ck_assert_double_eq_tol((double)r.loss, four[_i].want, 5e-8);
    for (int k = 0; k < 3; k++) ck_assert(r.gradient[4 * k + 2] == 0);
}
END_TEST

START_TEST(nothing_counts)
{
    const Case *c = &gradients[_i];
    if (!strstr(c->inputs, "i32") || strstr(c->attrs, "ignore_index") || strstr(c->attrs, "mse")) return;
    const Values v = {.c = c, .moved = -1, .ignored = true};
    Result r = run_compiled(c, &v, &host, 1);
    ck_assert(r.loss == 0);
    for (int64_t i = 0; i < r.count; i++) ck_assert(r.gradient[i] == 0);
}
END_TEST

/* Exponentials saturate; the gradient is still a number, and the loss that of the reference. */
START_TEST(large_logits)
{
    static const Case large[] = {
        {"cross_entropy", "1,19,5,17; i32 1,5,17", "label_smoothing: 0.1", FILL_WIDE},
        {"focal", "1,19,5,17; i32 1,5,17", "gamma: 0.5", FILL_WIDE},
        {"focal", "1,19,5,17; i32 1,5,17", "", FILL_WIDE},
        {"dice", "1,19,5,17; i32 1,5,17", "", FILL_WIDE},
        {"bce_with_logits", "1,19,5,17", "target: 0", FILL_WIDE},
    };
    const Case *c = &large[_i];
    const Values v = {.c = c, .moved = -1};
    Result r = run_compiled(c, &v, &host, 1);
    double want = reference_loss(declared(c), &v);
    ck_assert_double_eq_tol((double)r.loss, want, 2e-6 * fabs(want));
    for (int64_t i = 0; i < r.count; i++) ck_assert(isfinite(r.gradient[i]));
}
END_TEST

/* ---- what is made ----------------------------------------------------------------------------------------
 */

/* No tensor of the labels' size but the labels, and one pass for value and gradient. */
START_TEST(nothing_large_is_made)
{
    const Case c = {"graph", "1,19,8,16; i32 1,64,128",
                    "u = resize image {scale_factor: 8}; y = cross_entropy u image2", FILL_UNIT};
    static const Target target = {
        .name = "test", .vector = 8, .registers = 16, .l1_bytes = 32768, .l2_bytes = 1 << 20};
    Graph *graph = with_gradient(&c, "image");
    const Plan *plan = compile_graph(graph, &(CompileOptions){.target = &target});
    int passes = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        passes += graph->nodes[i]->op == OP_LOSS_PASS;
        ck_assert(graph->nodes[i]->op == OP_INPUT ||
                  type_elements(graph->nodes[i]->type) < 19 * 64 * 128 / 4);
    }
    ck_assert_int_eq(passes, 1);
    ck_assert_int_lt(plan->arena_bytes, 64 * 128 * 4 + 19 * 64 * 128 * 4 / 3);
}
END_TEST

START_TEST(without_a_gradient_none_is_made)
{
    const Case c = {"graph", "1,19,8,16; i32 1,64,128",
                    "u = resize image {scale_factor: 8}; y = cross_entropy u image2", FILL_UNIT};
    static const Target target = {
        .name = "test", .vector = 8, .registers = 16, .l1_bytes = 32768, .l2_bytes = 1 << 20};
    Graph *graph = declared(&c);
    compile_graph(graph, &(CompileOptions){.target = &target});
    int passes = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i]->op != OP_LOSS_PASS) continue;
        ck_assert(!node_bool(graph->nodes[i], A_GRADIENT));
        passes++;
    }
    ck_assert_int_eq(passes, 1);
}
END_TEST

/* ---- messages --------------------------------------------------------------------------------------------
 */

static const struct {
    Case c;
    const char *want;
} wrong[] = {
    {{"cross_entropy", "1,19,64,128; i32 1,512,1024", "", FILL_UNIT},
     "the logits are 64x128 and the labels 512x1024: resize the logits to the labels' size before it (op: "
     "resize, "
     "size: [512, 1024])"},
    {{"cross_entropy", "1,19,8,8; 1,8,8", "", FILL_UNIT}, "the labels are i32[N,H,W], not f32[1,8,8]"},
    {{"cross_entropy", "1,19,8,8; i32 1,1,8,8", "", FILL_UNIT},
     "the labels are i32[N,H,W], not i32[1,1,8,8]"},
    {{"dice", "i32 1,8,8; 1,19,8,8", "", FILL_UNIT}, "takes the logits first, then the labels"},
    {{"focal", "2,19,8,8; i32 1,8,8", "", FILL_UNIT}, "logits of 2 pictures, and labels of 1"},
    {{"cross_entropy", "1,3,8,8; i32 1,8,8", "weight: [1, 2]", FILL_UNIT},
     "'weight' has 2 numbers, and the logits have 3 classes"},
    {{"focal", "1,3,8,8; i32 1,8,8", "weight: [1]", FILL_UNIT},
     "'weight' has 1 number, and the logits have 3 classes"},
    {{"focal", "1,3,8,8; i32 1,8,8", "weight: [1, -2, 1]", FILL_UNIT},
     "'weight' of class 1 is -2; weights are 0 or more"},
    {{"cross_entropy", "1,3,8,8; i32 1,8,8", "label_smoothing: 1.5", FILL_UNIT},
     "'label_smoothing' must be from 0 to 1, not 1.5"},
    {{"focal", "1,3,8,8; i32 1,8,8", "gamma: -1", FILL_UNIT}, "'gamma' must be at least 0, not -1"},
    {{"dice", "1,3,8,8; i32 1,8,8", "eps: 0", FILL_UNIT}, "'eps' must be from 1e-30 to 1e+30, not 0"},
    {{"graph", "1,3,8,8; i32 1,8,8", "p = softmax image; y = cross_entropy p image2", FILL_UNIT},
     "applies softmax itself and takes the logits, but 'p' is a softmax"},
    {{"graph", "1,3,4,4; i32 1,8,8", "p = log_softmax image; u = resize p {size: 8}; y = dice u image2",
      FILL_UNIT},
     "applies softmax itself and takes the logits, but 'p' is a log_softmax"},
    {{"graph", "1,3,8,8", "p = sigmoid image; y = bce_with_logits p {target: 1}", FILL_UNIT},
     "applies sigmoid itself and takes the logits, but 'p' is a sigmoid"},
    {{"bce_with_logits", "1,3,8,8", "", FILL_UNIT},
     "takes what it compares with from 'target' or a second input; none is given"},
    {{"mse", "3,5; 3,5", "target: 1", FILL_UNIT},
     "takes what it compares with from 'target' or a second input; both are given"},
    {{"mse", "3,5; 5,3", "", FILL_UNIT}, "compares inputs of one shape, not f32[3,5] and f32[5,3]"},
    {{"bce_with_logits", "3,5", "target: 2", FILL_UNIT}, "'target' must be from 0 to 1, not 2"},
    {{"entropy", "1,1,8,8", "", FILL_UNIT}, "takes probabilities of 2 classes or more"},
    {{"graph", "1,3,8,8", "p = log_softmax image; y = entropy p", FILL_UNIT},
     "takes probabilities: a softmax, not a log_softmax"},
};

START_TEST(message)
{
    ck_assert_ptr_null(case_graph(arena, diag, &wrong[_i].c));
    ck_assert_msg(strstr(diag_text(diag), wrong[_i].want) != NULL, "%s", diag_text(diag));
}
END_TEST

#define N(list) ((int)(sizeof(list) / sizeof *(list)))

Suite *loss_suite(void)
{
    Suite *suite = suite_create("loss");
    TCase *tests = tcase_create("loss");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gradient_is_the_finite_difference, 0, N_GRADIENTS);
    tcase_add_loop_test(tests, interpreted_gradient_is_the_finite_difference, 0, N_GRADIENTS);
    tcase_add_test(tests, losses_are_those_of_pytorch);
    tcase_add_loop_test(tests, gradient_of_the_target, 0, 2);
    tcase_add_loop_test(tests, threads_change_no_bit, 0, N_GRADIENTS);
    tcase_add_loop_test(tests, nothing_is_read_beside_its_place, 0, N_GRADIENTS);
    tcase_add_loop_test(tests, every_way_of_compiling_agrees, 0, N_GRADIENTS);
    tcase_add_loop_test(tests, gamma_0_is_cross_entropy, 0, 2);
    tcase_add_loop_test(tests, fused_is_unfused, 0, 3);
    tcase_add_loop_test(tests, values_of_the_study, 0, N(four));
    tcase_add_loop_test(tests, nothing_counts, 0, N_GRADIENTS);
    tcase_add_loop_test(tests, large_logits, 0, 5);
    tcase_add_test(tests, nothing_large_is_made);
    tcase_add_test(tests, without_a_gradient_none_is_made);
    tcase_add_loop_test(tests, message, 0, N(wrong));
    suite_add_tcase(suite, tests);
    return suite;
}
