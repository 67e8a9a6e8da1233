/* Whole training steps against PyTorch: programs of graphs/programs with the parameters, pictures and labels
 * of tests/peers/README.md's formula, through the whole compiler, against tests/fixtures/training: every term
 * of the first three steps, every gradient of every player in the first, and what three steps of SGD have
 * made of parameters and statistics. */
#define _GNU_SOURCE
#include "build.h"
#include "formula.h"
#include "rt_parameters.h"
#include "rt_session.h"
#include "rt_status.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3, SAMPLES = 8, MAX_PLAYERS = 4, LINE = 2048 };

static const double rate = 1e-3, momentum = 0.9, decay = 1e-4;

static const struct {
    const char *name;
    float value;
} tunables[] = {{"lambda_adv", 0.5F}, {"lambda_adv_level", 0.25F}, {"lambda_seg_level", 0.1F}};

static const char *const programs[] = {"supervised_bisenet", "single_level", "multi_level_spatial",
                                       "multi_level_context1", "multi_level_context2"};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

/* A line of a fixture: "gradient PLAYER/NAME largest v0 ... v7". */
typedef struct Line {
    char kind[16], name[256];
    int step; /* of a term */
    double largest, value[SAMPLES];
} Line;

typedef struct Fixture {
    long batch, height, width, pictures; /* the number of the pictures in their names */
    int n;
    Line *lines;
} Fixture;

static bool read_line(char *text, Line *line)
{
    *line = (Line){.step = -1};
    int at = 0, used;
    if (sscanf(text, "%15s%n", line->kind, &at) != 1) return false;
    if (!strcmp(line->kind, "term") && sscanf(text + at, "%d%n", &line->step, &used) == 1) at += used;
    if (sscanf(text + at, "%255s %lf%n", line->name, &line->largest, &used) != 2) return false;
    at += used;
    for (int i = 0; i < SAMPLES && sscanf(text + at, "%lf%n", &line->value[i], &used) == 1; i++) at += used;
    return true;
}

static Fixture read_fixture(Arena *arena, const char *program)
{
    Fixture fixture = {0};
    char text[LINE], name[64];
    int capacity = 0;
    const char *path = arena_printf(arena, "tests/fixtures/training/%s.txt", program);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is missing", path);
    ck_assert_int_eq(fscanf(file, "program %63s input %ld %ld %ld %ld ", name, &fixture.batch,
                            &fixture.height, &fixture.width, &fixture.pictures),
                     5);
    while (fgets(text, sizeof text, file)) {
        Line line;
        ck_assert_msg(read_line(text, &line), "%s: %s", path, text);
        ARENA_PUSH(arena, fixture.lines, fixture.n, capacity, line);
    }
    fclose(file);
    return fixture;
}

/* ---- the program -----------------------------------------------------------------------------------------
 */

typedef struct Trained {
    BuildJit *jit;
    SegrtSession *session;
    const ProgramHeader *header;
    float *room;
} Trained;

static Model *load(Arena *arena, const char *program, const Fixture *fixture)
{
    const char *folders[] = {"graphs", NULL}, *path = arena_printf(arena, "graphs/programs/%s.yaml", program);
    ModelOptions options = {.training = true,
                            .batch = fixture->batch,
                            .height = fixture->height,
                            .width = fixture->width,
                            .n_settings = strcmp(program, programs[0]) ? 2 : 1,
                            .setting_names = (const char *[]){"width", "discriminator_filters"},
                            .setting_values = (const char *[]){"16", "8"},
                            .graph_dirs = folders};
    Diag *diag = diag_new(arena);
    Model *model = model_load(arena, diag, path, &options);
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    return model;
}

static void use_sgd(Training *training)
{
    for (int p = 0; p < training->n_players; p++) {
        Player *player = &training->players[p];
        player->optimizer = (Optimizer){.kind = OPTIMIZER_SGD, .lr = rate, .momentum = momentum};
        for (int i = 0; i < player->n_params; i++)
            player->params[i].lr_scale = 1, player->params[i].weight_decay = decay;
    }
}

static Trained open_program(Arena *arena, Model *model)
{
    Trained t = {0};
    BuildOptions options = {.model = model, .training = model->training};
    Build *build = build_graph(arena, model->graph, &options);
    ck_assert_msg(build != NULL, "%s", diag_text(model->graph->diag));
    const char *error = NULL;
    t.jit = build_jit(build, &error);
    ck_assert_msg(t.jit != NULL, "%s", error);
    RtError err;
    ck_assert_msg(!segrt_open(build_program(t.jit), 2, &t.session, &err), "%s", err.text);
    t.header = session_program(t.session);
    ck_assert_msg(!parameters_room(t.header, &t.room, &err), "%s", err.text);
    return t;
}

static void close_program(Trained *t)
{
    rt_free(t->room);
    segrt_close(t->session);
    build_jit_free(t->jit);
}

static const ProgramTensor *tensor_at(const Trained *t, uint32_t i)
{
    return &PROGRAM_ARRAY(t->header, ProgramTensor, t->header->tensors)[i];
}

/* The formula knows a network's own names. */
static void fill_parameter(Arena *arena, const Trained *t, const ProgramTensor *tensor)
{
    const char *name = PROGRAM_TEXT(t->header, tensor->name), *own = strchr(name, '.');
    Type type = {.dtype = F32, .rank = tensor->rank};
    memcpy(type.dim, tensor->dims, sizeof(int64_t) * tensor->rank);
    float *values = ARENA_ARRAY(arena, float, type_elements(type));
    formula_parameter(own ? own + 1 : name, type, values);
    parameters_put(t->session, tensor, values);
}

static void fill_labels(Arena *arena, int32_t *ids, int64_t count)
{
    float *u = ARENA_ARRAY(arena, float, count);
    formula_uniform("label", count, u);
    for (int64_t i = 0; i < count; i++) {
        int id = (int)floor(((double)u[i] + 1) / 2 * 21);
        ids[i] = id >= 19 ? 255 : id;
    }
}

static void fill_hyper(float *values)
{
    memset(values, 0, sizeof *values * PROGRAM_HYPERS);
    values[HYPER_LR] = (float)rate;
    values[HYPER_BIAS1] = 1;
}

/* Inputs are the program's memory, which a run reuses. */
static void fill_inputs(Arena *arena, const Trained *t, const Fixture *fixture)
{
    for (uint32_t i = 0; i < t->header->tensors.count; i++) {
        const ProgramTensor *tensor = tensor_at(t, i);
        if (tensor->role != ROLE_INPUT) continue;
        void *data = session_address(t->session, tensor);
        int64_t count = (int64_t)tensor->bytes / 4;
        if (tensor->dtype == DTYPE_I32)
            fill_labels(arena, data, count);
        else
            formula_uniform(
                arena_printf(arena, "%s %ld", PROGRAM_TEXT(t->header, tensor->name), fixture->pictures),
                count, data);
    }
}

static void fill_kept(Arena *arena, const Trained *t)
{
    for (uint32_t i = 0; i < t->header->tensors.count; i++) {
        const ProgramTensor *tensor = tensor_at(t, i);
        const char *name = PROGRAM_TEXT(t->header, tensor->name);
        float *data = session_address(t->session, tensor);
        if (tensor->role == ROLE_PARAMETER) fill_parameter(arena, t, tensor);
        if (tensor->role == ROLE_HYPER) fill_hyper(data);
        for (size_t k = 0; tensor->role == ROLE_TUNABLE && k < sizeof tunables / sizeof *tunables; k++)
            if (!strcmp(name, tunables[k].name)) *data = tunables[k].value;
    }
    session_parameters_set(t->session);
}

/* ---- comparing -------------------------------------------------------------------------------------------
 */

static const ProgramTensor *find(const Trained *t, ProgramRole role, const char *name)
{
    for (uint32_t i = 0; i < t->header->tensors.count; i++)
        if (tensor_at(t, i)->role == role && !strcmp(PROGRAM_TEXT(t->header, tensor_at(t, i)->name), name))
            return tensor_at(t, i);
    ck_abort_msg("the program has no %s", name);
    return NULL;
}

static double difference(const Line *line, const float *got, int64_t count)
{
    double most = 0;
    for (int64_t k = 0; k < SAMPLES; k++) {
        double d = fabs((double)got[k * 2654435761 % count] - line->value[k]);
        if (!(d <= most)) most = d;
    }
    return most;
}

static int64_t elements(const ProgramTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->dims[i];
    return count;
}

static void compare_tensors(const Trained *t, const Fixture *fixture, const char *kind, ProgramRole role,
                            double tolerance)
{
    int compared = 0;
    for (int i = 0; i < fixture->n; i++) {
        const Line *line = &fixture->lines[i];
        if (strcmp(line->kind, kind) != 0) continue;
        const ProgramTensor *tensor = find(t, role, line->name);
        const float *values = parameters_dense(t->session, tensor, t->room);
        double most = difference(line, values, elements(tensor));
        ck_assert_msg(most <= tolerance * line->largest, "%s %s differs by %g of %g", kind, line->name, most,
                      line->largest);
        compared++;
    }
    ck_assert_int_gt(compared, 0);
}

static void compare_terms(const Trained *t, const Fixture *fixture, int step)
{
    int compared = 0;
    for (int i = 0; i < fixture->n; i++) {
        const Line *line = &fixture->lines[i];
        if (line->step != step) continue;
        double got = (double)*(float *)session_address(t->session, find(t, ROLE_OUTPUT, line->name));
        ck_assert_msg(fabs(got - line->value[0]) <= 1e-5 * line->largest,
                      "step %d, %s: %.8g, PyTorch has %.8g", step, line->name, got, line->value[0]);
        compared++;
    }
    ck_assert_int_gt(compared, 0);
}

/* Gradients that are nothing but rounding even in double (of a bias before a batch norm) are held to the
 * player's largest. */
static void compare_gradients(const Trained *t, const Fixture *fixture, double tolerance)
{
    int compared = 0;
    for (int i = 0; i < fixture->n; i++) {
        const Line *line = &fixture->lines[i];
        if (strcmp(line->kind, "gradient") != 0) continue;
        size_t player = strcspn(line->name, "/");
        double floor = 0;
        for (int k = 0; k < fixture->n; k++)
            if (!strcmp(fixture->lines[k].kind, "gradient") &&
                !strncmp(fixture->lines[k].name, line->name, player + 1))
                floor = fmax(floor, fixture->lines[k].largest);
        const ProgramTensor *tensor = find(t, ROLE_OUTPUT, line->name);
        double most = difference(line, session_address(t->session, tensor), elements(tensor));
        double scale = line->largest > 1e-9 * floor ? line->largest : 1e-3 * floor;
        ck_assert_msg(most <= tolerance * scale, "gradient %s differs by %g of %g", line->name, most,
                      line->largest);
        compared++;
    }
    ck_assert_int_gt(compared, 0);
}

START_TEST(gradients_are_pytorchs)
{
    Arena *arena = arena_new();
    Fixture fixture = read_fixture(arena, programs[_i]);
    Model *model = load(arena, programs[_i], &fixture);
    use_sgd(model->training);
    model->training->gradients_only = true;
    Trained t = open_program(arena, model);
    RtError err;
    fill_kept(arena, &t);
    fill_inputs(arena, &t, &fixture);
    ck_assert_msg(!segrt_run(t.session, &err), "%s", err.text);
    compare_terms(&t, &fixture, 0);
    compare_gradients(&t, &fixture, 1e-4);
    close_program(&t);
    arena_free(arena);
}
END_TEST

START_TEST(steps_are_pytorchs)
{
    static const bool all[MAX_PLAYERS] = {true, true, true, true};
    Arena *arena = arena_new();
    Fixture fixture = read_fixture(arena, programs[_i]);
    Model *model = load(arena, programs[_i], &fixture);
    use_sgd(model->training);
    Trained t = open_program(arena, model);
    RtError err;
    fill_kept(arena, &t);
    for (int step = 0; step < STEPS; step++) {
        fill_inputs(arena, &t, &fixture);
        ck_assert_msg(!session_train(t.session, all, NULL, &err), "%s", err.text);
        compare_terms(&t, &fixture, step);
    }
    compare_tensors(&t, &fixture, "parameter", ROLE_PARAMETER, 1e-4);
    compare_tensors(&t, &fixture, "statistic", ROLE_PARAMETER, 1e-5);
    close_program(&t);
    arena_free(arena);
}
END_TEST

/* ---- what is done to gradients before a step -------------------------------------------------------------
 */

/* The parameters of the first player after one step of plain descent at rate 1, in one array. */
static float *after_step(Arena *arena, const Fixture *fixture, double clip_norm, int accumulate,
                         int64_t *count)
{
    static const bool all[MAX_PLAYERS] = {true, true, true, true};
    Model *model = load(arena, "supervised_bisenet", fixture);
    Player *player = &model->training->players[0];
    player->optimizer = (Optimizer){.kind = OPTIMIZER_SGD, .lr = 1, .clip_norm = clip_norm};
    for (int i = 0; i < player->n_params; i++) player->params[i].lr_scale = 1;
    model->training->accumulate = accumulate;
    Trained t = open_program(arena, model);
    RtError err;
    fill_kept(arena, &t);
    for (int micro = 0; micro < accumulate; micro++) {
        fill_inputs(arena, &t, fixture);
        float *hyper = session_address(t.session, find(&t, ROLE_HYPER, player->name));
        hyper[HYPER_LR] = 1;
        hyper[HYPER_KEEP] = micro ? 1 : 0;
        bool last = micro == accumulate - 1;
        ck_assert_msg(!session_train(t.session, last ? all : NULL, NULL, &err), "%s", err.text);
    }
    float *values = NULL;
    int64_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (uint32_t i = 0; i < t.header->tensors.count; i++) {
            const ProgramTensor *tensor = tensor_at(&t, i);
            if (tensor->role != ROLE_PARAMETER || tensor->statistic) continue;
            const float *dense = parameters_dense(t.session, tensor, t.room);
            if (values) memcpy(values + n, dense, sizeof *values * (size_t)elements(tensor));
            n += elements(tensor);
        }
        if (!values) values = ARENA_ARRAY(arena, float, n);
    }
    *count = n;
    close_program(&t);
    return values;
}

/* How far a step went, and how far two results are apart. */
static double distance(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

/* The norm counts every element once and nothing else (19 classes fill no block), and the direction stays. */
START_TEST(clipping_shortens_the_step)
{
    Arena *arena = arena_new();
    Fixture fixture = {.batch = 2, .height = 64, .width = 64};
    int64_t n;
    float *whole = after_step(arena, &fixture, 0, 1, &n), *loose = after_step(arena, &fixture, 1e6, 1, &n);
    float *half = after_step(arena, &fixture, 0.5, 1, &n),
          *quarter = after_step(arena, &fixture, 0.25, 1, &n);
    ck_assert(!memcmp(whole, loose, sizeof *whole * (size_t)n));
    /* From half to quarter the step grows by 0.25: the norms of both are as asked for. */
    double between = distance(half, quarter, n), rest = distance(whole, half, n),
           all = distance(whole, quarter, n);
    ck_assert_msg(fabs(between - 0.25) < 1e-4, "%g", between);
    ck_assert_msg(fabs(all - rest - between) < 1e-3 * all, "%g is not %g + %g: the direction changed", all,
                  rest, between);
    ck_assert_double_gt(rest, 0.1);
    arena_free(arena);
}
END_TEST

/* The mean over micro-batches that are alike is the gradient of one. */
START_TEST(accumulated_gradients_are_a_mean)
{
    Arena *arena = arena_new();
    Fixture fixture = {.batch = 2, .height = 64, .width = 64};
    int64_t n;
    float *once = after_step(arena, &fixture, 0, 1, &n), *thrice = after_step(arena, &fixture, 0, 3, &n);
    float *nothing = after_step(arena, &fixture, 1e-9, 1, &n);
    double step = distance(once, nothing, n), apart = distance(once, thrice, n);
    ck_assert_double_gt(step, 0.1);
    ck_assert_msg(apart <= 1e-5 * step, "%g apart, of a step of %g", apart, step);
    arena_free(arena);
}
END_TEST

Suite *training_steps_suite(void)
{
    Suite *suite = suite_create("training_steps");
    TCase *whole = tcase_create("whole");
    tcase_set_timeout(whole, 300);
    tcase_add_loop_test(whole, gradients_are_pytorchs, 0, N_PROGRAMS);
    tcase_add_loop_test(whole, steps_are_pytorchs, 0, N_PROGRAMS);
    tcase_add_test(whole, clipping_shortens_the_step);
    tcase_add_test(whole, accumulated_gradients_are_a_mean);
    suite_add_tcase(suite, whole);
    return suite;
}
