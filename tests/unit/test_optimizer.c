/* Optimisers, compiled, over 100 steps of given gradients, against PyTorch's formulas in double, and with
 * their schedules against PyTorch itself (tests/fixtures/training/optimizers.txt); and how a graph says that
 * it changes its parameters. */
#define _GNU_SOURCE
#include "build.h"
#include "formula.h"
#include "program.h"
#include "rt_schedule.h"
#include "segrt.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 7, COLUMNS = 13, COUNT = ROWS * COLUMNS, STEPS = 100 };

typedef struct Rule {
    const char *row;                /* of the graph's text, behind the inputs */
    bool adam, decoupled, nesterov; /* adam false: sgd */
    double lr_scale, decay, momentum, dampening, beta1, beta2, eps;
} Rule;

static const Rule rules[] = {
    {"sgd %1, %2, %3", .lr_scale = 1},
    {"sgd %1, %2, %3, %4 {momentum=0.9, weight_decay=0.01}", .lr_scale = 1, .momentum = 0.9, .decay = 0.01},
    {"sgd %1, %2, %3, %4 {momentum=0.8}", .lr_scale = 1, .momentum = 0.8, .dampening = 0.3},
    {"sgd %1, %2, %3, %4 {lr_scale=20, momentum=0.5, nesterov=true}", .lr_scale = 20, .momentum = 0.5,
     .nesterov = true},
    {"adam %1, %2, %3, %4, %5", .adam = true, .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
    {"adam %1, %2, %3, %4, %5 {lr_scale=20, beta2=0.99, weight_decay=0.05, eps=0.001}", .adam = true,
     .lr_scale = 20, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .decay = 0.05},
    {"adam %1, %2, %3, %4, %5 {weight_decay=0.01, decoupled=true}", .adam = true, .decoupled = true,
     .lr_scale = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01},
};
enum { N_RULES = sizeof rules / sizeof *rules };

static const double rate = 1e-3;

static const char *graph_of(Arena *arena, const Rule *rule)
{
    const char *type = arena_printf(arena, "f32[%d,%d]", ROWS, COLUMNS);
    bool states = strstr(rule->row, "%4") != NULL;
    Text text = text_new(arena);
    text_printf(&text, "graph steps\n%%1: %s = param {updated=true} # \"w\"\n%%2: %s = input # \"g\"\n", type,
                type);
    text_printf(&text, "%%3: f32[%d] = tunable # \"hyper\"\n", PROGRAM_HYPERS);
    if (states) text_printf(&text, "%%4: %s = param {state=true, updated=true} # \"m\"\n", type);
    if (rule->adam) text_printf(&text, "%%5: %s = param {state=true, updated=true} # \"v\"\n", type);
    text_printf(&text, "%%6: %s = %s\nupdate %%1 = %%6\n", type, rule->row);
    if (states) text_printf(&text, "update %%4 = %%4\n");
    if (rule->adam) text_printf(&text, "update %%5 = %%5\n");
    return text.text;
}

static Graph *parse(Arena *arena, Diag *diag, const char *text)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.path = "test", .text = text, .size = strlen(text)};
    return graph_text_parse(arena, diag, source);
}

/* One element, as torch.optim has it. */
static void reference(const Rule *r, int t, double g, double *p, double *m, double *v)
{
    double lr = rate * r->lr_scale;
    if (r->decoupled)
        *p -= lr * r->decay * *p;
    else
        g += r->decay * *p;
    if (!r->adam) {
        *m = t == 1 ? g : r->momentum * *m + (1 - r->dampening) * g;
        *p -= lr * (r->nesterov ? g + r->momentum * *m : *m);
        return;
    }
    *m = r->beta1 * *m + (1 - r->beta1) * g;
    *v = r->beta2 * *v + (1 - r->beta2) * g * g;
    double mean = *m / (1 - pow(r->beta1, t)), square = *v / (1 - pow(r->beta2, t));
    *p -= lr * mean / (sqrt(square) + r->eps);
}

static float *tensor(SegrtSession *session, const char *name)
{
    SegrtTensor found;
    RtError err;
    ck_assert_msg(!segrt_tensor(session, name, &found, &err), "%s", err.text);
    return found.data;
}

static void gradient(int t, float *values)
{
    char name[32];
    snprintf(name, sizeof name, "gradient %d", t);
    formula_uniform(name, COUNT, values);
}

static void walk(const Rule *rule, SegrtSession *session)
{
    RtError err;
    double p[COUNT], m[COUNT] = {0}, v[COUNT] = {0}, largest = 0;
    float *w = tensor(session, "w"), *g = tensor(session, "g"), *hyper = tensor(session, "hyper");
    formula_uniform("w", COUNT, w);
    for (int i = 0; i < COUNT; i++) p[i] = (double)w[i];
    segrt_parameters_changed(session);
    for (int t = 1; t <= STEPS; t++) {
        gradient(t, g);
        hyper[HYPER_LR] = (float)rate;
        hyper[HYPER_BIAS1] = (float)(rule->adam ? 1 - pow(rule->beta1, t) : t == 1 ? 1 : 1 - rule->dampening);
        hyper[HYPER_BIAS2] = (float)(1 - pow(rule->beta2, t));
        for (int i = 0; i < COUNT; i++) reference(rule, t, (double)g[i], &p[i], &m[i], &v[i]);
        ck_assert_msg(!segrt_run(session, &err), "%s", err.text);
    }
    double most = 0;
    for (int i = 0; i < COUNT; i++) {
        most = fmax(most, fabs((double)w[i] - p[i]));
        largest = fmax(largest, fabs(p[i]));
    }
    ck_assert_msg(most <= 1e-6 * largest, "%s: differs by %g of %g", rule->row, most, largest);
}

/* A row compiled, in a session of its own. */
typedef struct Compiled {
    Arena *arena;
    BuildJit *jit;
    SegrtSession *session;
} Compiled;

static Compiled compile_rule(const Rule *rule)
{
    Compiled c = {.arena = arena_new()};
    Diag *diag = diag_new(c.arena);
    Graph *graph = parse(c.arena, diag, graph_of(c.arena, rule));
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    Build *build = build_graph(c.arena, graph, &(BuildOptions){0});
    ck_assert_msg(build != NULL, "%s", diag_text(diag));
    const char *error = NULL;
    c.jit = build_jit(build, &error);
    ck_assert_msg(c.jit != NULL, "%s", error);
    RtError err;
    ck_assert_msg(!segrt_open(build_program(c.jit), 2, &c.session, &err), "%s", err.text);
    return c;
}

static void close_rule(Compiled *c)
{
    segrt_close(c->session);
    build_jit_free(c->jit);
    arena_free(c->arena);
}

START_TEST(follows_the_formula)
{
    Compiled c = compile_rule(&rules[_i]);
    walk(&rules[_i], c.session);
    close_rule(&c);
}
END_TEST

/* What PyTorch was run with in tests/peers/make_optimizer_fixtures.py. */
static const struct {
    const char *name;
    Rule rule;
    ProgramPlayer player;
} peers[] = {
    {"sgd_poly",
     {.row = "sgd %1, %2, %3"},
     {.optimizer = OPTIMIZER_SGD, .lr = 1e-2, .schedule = {.kind = SCHEDULE_POLY, .power = 0.9}}},
    {"sgd_momentum_step",
     {.row = "sgd %1, %2, %3, %4 {momentum=0.9, weight_decay=0.01}"},
     {.optimizer = OPTIMIZER_SGD,
      .lr = 1e-2,
      .schedule = {.kind = SCHEDULE_STEP, .step_size = 30, .gamma = 0.5}}},
    {"sgd_dampening_constant",
     {.row = "sgd %1, %2, %3, %4 {momentum=0.8}"},
     {.optimizer = OPTIMIZER_SGD, .lr = 1e-2, .beta1 = 0.3}},
    {"sgd_nesterov_cosine",
     {.row = "sgd %1, %2, %3, %4 {momentum=0.5, nesterov=true}"},
     {.optimizer = OPTIMIZER_SGD, .lr = 1e-2, .schedule = {.kind = SCHEDULE_COSINE, .lr_min = 1e-5}}},
    {"adam_poly",
     {.row = "adam %1, %2, %3, %4, %5", .adam = true},
     {.optimizer = OPTIMIZER_ADAM,
      .lr = 2.5e-4,
      .beta1 = 0.9,
      .beta2 = 0.999,
      .schedule = {.kind = SCHEDULE_POLY, .power = 0.9}}},
    {"adam_decay_cosine",
     {.row = "adam %1, %2, %3, %4, %5 {beta2=0.99, weight_decay=0.05}", .adam = true},
     {.optimizer = OPTIMIZER_ADAM,
      .lr = 1e-3,
      .beta1 = 0.9,
      .beta2 = 0.99,
      .schedule = {.kind = SCHEDULE_COSINE, .lr_min = 1e-5}}},
    {"adamw_poly",
     {.row = "adam %1, %2, %3, %4, %5 {weight_decay=0.01, decoupled=true}", .adam = true},
     {.optimizer = OPTIMIZER_ADAMW,
      .lr = 1e-3,
      .beta1 = 0.9,
      .beta2 = 0.999,
      .schedule = {.kind = SCHEDULE_POLY, .power = 0.9}}},
    {"adamw_step",
     {.row = "adam %1, %2, %3, %4, %5 {beta1=0.8, eps=0.0001, weight_decay=0.1, decoupled=true}",
      .adam = true},
     {.optimizer = OPTIMIZER_ADAMW,
      .lr = 1e-3,
      .beta1 = 0.8,
      .beta2 = 0.999,
      .schedule = {.kind = SCHEDULE_STEP, .step_size = 30, .gamma = 0.5}}},
};
enum { N_PEERS = sizeof peers / sizeof *peers };

/* The rates of steps 1, 50 and 99, and the parameter after 100. */
static void read_peer(const char *name, double rates[3], double values[COUNT])
{
    char found[64] = "";
    FILE *file = fopen("tests/fixtures/training/optimizers.txt", "r");
    ck_assert_ptr_nonnull(file);
    while (strcmp(found, name) != 0) {
        ck_assert_int_eq(fscanf(file, "%63s %lf %lf %lf", found, &rates[0], &rates[1], &rates[2]), 4);
        for (int i = 0; i < COUNT; i++) ck_assert_int_eq(fscanf(file, "%lf", &values[i]), 1);
    }
    fclose(file);
}

START_TEST(follows_pytorch)
{
    const ProgramPlayer *player = &peers[_i].player;
    double rates[3], want[COUNT], most = 0, largest = 0;
    read_peer(peers[_i].name, rates, want);
    Compiled c = compile_rule(&peers[_i].rule);
    RtError err;
    float *w = tensor(c.session, "w"), *g = tensor(c.session, "g"), *hyper = tensor(c.session, "hyper");
    formula_uniform("w", COUNT, w);
    segrt_parameters_changed(c.session);
    for (int t = 0; t < STEPS; t++) {
        gradient(t + 1, g);
        schedule_hypers(player, t, STEPS, 0, hyper);
        ck_assert_msg(!segrt_run(c.session, &err), "%s", err.text);
    }
    for (int i = 0; i < COUNT; i++) {
        most = fmax(most, fabs((double)w[i] - want[i]));
        largest = fmax(largest, fabs(want[i]));
    }
    ck_assert_msg(most <= 1e-6 * largest, "%s: differs by %g of %g", peers[_i].name, most, largest);
    static const int steps[3] = {1, 50, 99};
    for (int i = 0; i < 3; i++) {
        double lr = schedule_lr(&player->schedule, player->lr, steps[i], STEPS);
        ck_assert_msg(fabs(lr - rates[i]) <= 1e-8 * rates[i], "%s: %.10g at step %d", peers[_i].name, lr,
                      steps[i]);
    }
    close_rule(&c);
}
END_TEST

START_TEST(text_says_what_changes)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    const char *text = "graph g\n"
                       "%1: f32[3] = param {updated=true}  # \"w\"\n"
                       "%2: f32[3] = input  # \"x\"\n"
                       "%3: f32[3] = add %1, %2 for 1\n"
                       "update %1 = %3\n";
    Graph *graph = parse(arena, diag, text);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    ck_assert_str_eq(graph_text(graph), text);
    ck_assert_int_eq(graph->nodes[2]->player, 1);
    ck_assert_ptr_eq(graph_current(graph, graph->params[0]), graph->nodes[2]);
    arena_free(arena);
}
END_TEST

static const struct {
    const char *lines, *message;
} faulty[] = {
    {"update %2 = %3", "%2 is no parameter"},
    {"update %1 = %9", "%9"},
    {"update %1 = %2", "of another type"},
    {"update %1", "expected '='"},
    {"%4: f32[3] = relu %3 for -1", "no such player"},
};

START_TEST(bad_updates_are_reported)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    const char *text = arena_printf(arena,
                                    "graph g\n%%1: f32[3] = param # \"w\"\n%%2: f32[2] = input # \"x\"\n"
                                    "%%3: f32[3] = relu %%1\n%s\n",
                                    faulty[_i].lines);
    ck_assert_ptr_null(parse(arena, diag, text));
    ck_assert_msg(strstr(diag_text(diag), faulty[_i].message) != NULL, "%s", diag_text(diag));
    arena_free(arena);
}
END_TEST

/* What reads a parameter comes before its update, whatever the nodes' numbers. */
START_TEST(updates_come_last)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    Graph *graph = parse(arena, diag,
                         "graph g\n%1: f32[3] = param # \"w\"\n%2: f32[3] = input # \"x\"\n"
                         "%3: f32[3] = add %1, %2\n%4: f32[3] = sub %2, %1\noutput y = %4\nupdate %1 = %3\n");
    graph_sort(graph);
    ck_assert_int_eq(graph->nodes[graph->n_nodes - 1]->id, 3);
    graph_check(graph);
    arena_free(arena);
}
END_TEST

/* Graphs that read a parameter, w = 1, when its update (by -g, g = 1) could be done already: y is what they
 * read.
 */
static const char *const readers[] = {
    /* by another name for the same memory, after another of its readers */
    "graph g\n%1: f32[16] = param {updated=true} # \"w\"\n%2: f32[16] = input # \"g\"\n"
    "%3: f32[4] = tunable # \"hyper\"\n%4: f32[4,4] = reshape %1 {shape=[4,4]}\n%5: f32[4,4] = softmax %4 "
    "{dim=1}\n"
    "%6: f32[16] = reshape %5 {shape=[16]}\n%7: f32[16] = sub %6, %6\n%8: f32[16] = add %2, %7\n"
    "%9: f32[4,4] = affine %4 {scale=1}\n%10: f32[16] = sgd %1, %2, %3\noutput a = %8\noutput y = %9\n"
    "update %1 = %10\n",
    /* computed inside a later node */
    "graph g\n%1: f32[16] = param {updated=true} # \"w\"\n%2: f32[16] = input # \"g\"\n"
    "%3: f32[4] = tunable # \"hyper\"\n%4: f32[16] = affine %1 {scale=2}\n%5: f32[16] = relu %2\n"
    "%6: f32[16] = sub %4, %5\n%7: f32[16] = sgd %1, %2, %3\noutput y = %6\noutput b = %5\nupdate %1 = %7\n",
};

START_TEST(updates_wait_for_readers)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    Graph *graph = parse(arena, diag, readers[_i]);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    Build *build = build_graph(arena, graph, &(BuildOptions){0});
    ck_assert_msg(build != NULL, "%s", diag_text(diag));
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error);
    ck_assert_msg(jit != NULL, "%s", error);
    SegrtSession *session;
    RtError err;
    ck_assert_msg(!segrt_open(build_program(jit), 1, &session, &err), "%s", err.text);
    float *w = tensor(session, "w"), *g = tensor(session, "g");
    for (int i = 0; i < 16; i++) w[i] = g[i] = 1;
    tensor(session, "hyper")[HYPER_LR] = 1;
    segrt_parameters_changed(session);
    ck_assert_msg(!segrt_run(session, &err), "%s", err.text);
    for (int i = 0; i < 16; i++) {
        ck_assert_msg(tensor(session, "y")[i] == 1, "%d: %g", i, (double)tensor(session, "y")[i]);
        ck_assert(tensor(session, "w")[i] == 0);
    }
    segrt_close(session);
    build_jit_free(jit);
    arena_free(arena);
}
END_TEST

Suite *optimizer_suite(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *steps = tcase_create("steps"), *text = tcase_create("text");
    tcase_set_timeout(steps, 60);
    tcase_add_loop_test(steps, follows_the_formula, 0, N_RULES);
    tcase_add_loop_test(steps, follows_pytorch, 0, N_PEERS);
    tcase_add_test(text, text_says_what_changes);
    tcase_add_loop_test(text, bad_updates_are_reported, 0, (int)(sizeof faulty / sizeof *faulty));
    tcase_add_test(text, updates_come_last);
    tcase_add_loop_test(text, updates_wait_for_readers, 0, (int)(sizeof readers / sizeof *readers));
    suite_add_tcase(suite, steps);
    suite_add_tcase(suite, text);
    return suite;
}
