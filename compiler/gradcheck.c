/* See gradcheck.h.
 *
 * Of a program with players, each player's loss is held against the parameters that it updates, in the very
 * step that training does, but that gradients come out instead of going into optimisers. A file without
 * players gets a loss: the sum of its outputs, each element times a random number that stays; what is looked
 * at then are all parameters and all inputs that are no labels.
 *
 * Each tensor is looked at along two directions: up the compiled gradient, where the slope is that gradient's
 * length, which shows errors of size and sign at the best ratio of slope to rounding; and along random signs,
 * which has a part of every element, so that errors show that are no multiple of the gradient. See slope.h
 * for how. A slope that differs is looked at again along other directions and on shorter ways before it
 * counts.
 */
#define _GNU_SOURCE
#include "gradcheck.h"
#include "command.h"
#include "pass_build.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "../runtime/rt_program.h"
#include "../runtime/rt_status.h"

/* Steps begin at this share of the tensor's norm, or where the loss would move by that share of itself. */
static const double STEP_OF_TENSOR = 0.02, STEP_OF_LOSS = 0.02;
/* Errors of slopes beyond this share of them are worth another attempt. */
static const double FINE = 0.01;
enum { ATTEMPTS = 4, SMALL_HEIGHT = 64, SMALL_WIDTH = 128, SMALL_BATCH = 2 };

/* ---- a loss for networks ---------------------------------------------------------------------------------
 */

/* The sum of an output's elements, each times a number that stays. */
static Node *project(Graph *graph, const Output *output)
{
    Node *value = output->node;
    if (value->type.rank == 0) return value;
    const char *name = arena_printf(graph->arena, "projection of %s", output->name);
    Node *numbers = graph_add(graph, OP_INPUT, name, value->pos, NULL, 0);
    node_set_ints(numbers, A_SHAPE, value->type.dim, value->type.rank);
    graph_settle(graph, numbers);
    Node *product = build_binary(graph, OP_MUL, value, value, numbers);
    return graph_make(graph, OP_SUM, value, &product, 1);
}

static bool is_wanted(const Node *node)
{
    if (node->op == OP_INPUT) return node->type.dtype == F32;
    return node->op == OP_PARAM && !node_bool(node, A_STATISTIC);
}

/* One player, who minimises the projection of all outputs and owns everything. */
static Training *play_network(Arena *arena, Graph *graph)
{
    Training *training = ARENA_NEW(arena, Training);
    Player *player = ARENA_NEW(arena, Player);
    *player = (Player){.name = "", .params = ARENA_ARRAY(arena, PlayerParam, graph->n_nodes)};
    for (int i = 0; i < graph->n_nodes; i++)
        if (is_wanted(graph->nodes[i]))
            player->params[player->n_params++] = (PlayerParam){.param = graph->nodes[i]};
    Node *total = NULL;
    int n_outputs = graph->n_outputs;
    for (int i = 0; i < n_outputs; i++) {
        const Output *output = &graph->outputs[i];
        if (output->node->type.dtype != F32) continue;
        Node *part = project(graph, output);
        total = total ? build_binary(graph, OP_ADD, part, total, part) : part;
        player->pos = player->loss_pos = output->node->pos;
    }
    if (!total) return NULL;
    Node *loss = graph_add(graph, OP_AFFINE, "projection", total->pos, &total, 1);
    player->loss = graph_settle(graph, loss);
    graph->n_outputs = 0;
    graph_output(graph, "projection", loss);
    graph_sort(graph);
    *training = (Training){.n_players = 1, .players = player, .accumulate = 1};
    return training;
}

/* ---- the program -----------------------------------------------------------------------------------------
 */

/* Labels, and the channels of the logits that they are compared with. */
static GradLabels *find_labels(Arena *arena, const Graph *graph, int *count)
{
    GradLabels *labels = NULL;
    int capacity = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = graph->nodes[i];
        for (int k = 1; k < node->n_in; k++) {
            if (node->in[k]->op != OP_INPUT || node->in[k]->type.dtype != I32) continue;
            GradLabels found = {node->in[k]->name, node->in[0]->type.dim[1]};
            ARENA_PUSH(arena, labels, *count, capacity, found);
        }
    }
    return labels;
}

static const char *row_name(Arena *arena, const Player *player, const Node *param)
{
    return arena_printf(arena, "%s/%s", player->name, param->name);
}

static void add_rows(Command *c, Gradcheck *check, const Training *training)
{
    for (int p = 0; p < training->n_players; p++) {
        const Player *player = &training->players[p];
        for (int i = 0; i < player->n_params; i++) {
            Node *param = player->params[i].param;
            if (param->op == OP_PARAM) node_set_bool(param, A_UPDATED, true); /* it lies as in training */
            if (c->parameters && fnmatch(c->parameters, param->name, 0) &&
                fnmatch(c->parameters, row_name(c->arena, player, param), 0))
                continue;
            GradRow row = {.player = player->name,
                           .name = param->name,
                           .loss = player->loss->name,
                           .player_number = p,
                           .pos = param->pos};
            ARENA_PUSH(c->arena, check->rows, check->n_rows, check->cap_rows, row);
        }
    }
}

static RtStatus no_rows(const Command *c, const Training *training, RtError *err)
{
    if (!c->parameters) return rt_fail(err, RT_BAD_INPUT, "%s has no parameters to check", c->file);
    return rt_fail(err, RT_USAGE, "--parameter %s: no parameter is named so (the first is %s)", c->parameters,
                   training->players[0].n_params ? training->players[0].params[0].param->name : "absent");
}

static RtStatus reported(const Command *c, RtError *err)
{
    diag_print(c->diag, stderr);
    return rt_fail(err, RT_BAD_INPUT, "%s", "");
}

static RtStatus compile(Command *c, Gradcheck *check, BuildJit **jit, GradLabels **labels, int *n_labels,
                        RtError *err)
{
    ModelOptions *options = &c->model_options;
    options->training = true;
    if (!options->height) options->height = SMALL_HEIGHT, options->width = SMALL_WIDTH;
    if (!options->batch) options->batch = SMALL_BATCH;
    Model *model = command_load(c);
    if (!model) return rt_fail(err, RT_BAD_INPUT, "%s", "");
    Training *training = model->training ? model->training : play_network(c->arena, model->graph);
    if (!training) return rt_fail(err, RT_BAD_INPUT, "%s has no output with a gradient", c->file);
    training->gradients_only = true;
    training->accumulate = 1;
    add_rows(c, check, training);
    if (!check->n_rows) return no_rows(c, training, err);
    *labels = find_labels(c->arena, model->graph, n_labels);
    BuildOptions build_options = {.cpu = c->cpu,
                                  .training = training,
                                  .no_fuse = c->no_fuse,
                                  .no_winograd = c->no_winograd,
                                  .no_reuse = c->no_reuse,
                                  .model = model};
    Build *build = build_graph(c->arena, model->graph, &build_options);
    if (!build) return reported(c, err);
    const char *error = NULL;
    *jit = build_jit(build, &error);
    return *jit ? RT_OK : rt_fail(err, RT_MACHINE, "%s", error);
}

/* ---- slopes ----------------------------------------------------------------------------------------------
 */

typedef struct Walk {
    GradRun *run;
    const GradRow *row;
    const float *direction;
    RtStatus status;
    RtError *err;
} Walk;

static double dot(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static SlopePoint loss_at(void *context, double distance)
{
    Walk *walk = context;
    const GradRow *row = walk->row;
    GradRun *run = walk->run;
    run->moved = row->source;
    run->direction = walk->direction;
    run->distance = distance;
    if (!walk->status) walk->status = grad_run_once(run, walk->err);
    SlopePoint point = {.value = grad_run_loss(run, row->player_number)};
    if (row->gradient)
        point.slope =
            dot(grad_run_output(run, row->output), walk->direction, program_elements(row->source->tensor));
    return point;
}

/* What the player's loss is, and how exactly it is known. */
typedef struct LossValue {
    double value, noise;
} LossValue;

static RtStatus take_slope(GradRun *run, const GradRow *row, const float *direction, const LossValue *loss,
                           double shrink, GradSlope *taken, RtError *err)
{
    Walk walk = {.run = run, .row = row, .direction = direction, .err = err};
    const float *values = row->source->values;
    int64_t count = program_elements(row->source->tensor);
    double step = STEP_OF_TENSOR * sqrt(dot(values, values, count)), steepness = 0, length = 0;
    if (row->gradient) {
        steepness = fabs(dot(row->gradient, direction, count));
        length = sqrt(dot(row->gradient, row->gradient, count));
    }
    double scale = fmax(steepness, length / sqrt((double)count));
    if (steepness * step > STEP_OF_LOSS * fabs(loss->value) && loss->value != 0)
        step = STEP_OF_LOSS * fabs(loss->value) / steepness;
    if (!(step > 0)) step = STEP_OF_TENSOR;
    Slope slope = slope_compare(loss_at, &walk, step * shrink, loss->noise, FINE / 2 * scale);
    scale = fmax(length / sqrt((double)count), fmax(fabs(slope.difference), fabs(slope.computed)));
    *taken = (GradSlope){true, slope, scale, slope_verdict(&slope, scale)};
    return walk.status;
}

/* The gradient's direction; later attempts lean to one side of it. */
static void make_uphill(const GradRow *row, int attempt, float *direction)
{
    int64_t count = program_elements(row->source->tensor);
    double length = sqrt(dot(row->gradient, row->gradient, count));
    for (int64_t i = 0; i < count; i++) {
        double sideways = attempt ? (double)direction[i] / 2 : 0;
        direction[i] = (float)((double)row->gradient[i] / length + sideways);
    }
    length = sqrt(dot(direction, direction, count));
    for (int64_t i = 0; i < count; i++) direction[i] = (float)((double)direction[i] / length);
}

/* Whether another attempt, on a shorter way, may say more. */
static bool is_worth_more(const GradSlope *taken)
{
    if (taken->verdict == SLOPE_DIFFERS) return true;
    return taken->slope.error > FINE * taken->scale && taken->slope.error > 4 * taken->slope.rounding;
}

/* Takes a slope up to ATTEMPTS times; the first stands unless a later one says more. */
static RtStatus try_slope(GradRun *run, const GradRow *row, bool uphill, const LossValue *loss,
                          float *direction, GradSlope *best, RtError *err)
{
    int64_t count = program_elements(row->source->tensor);
    RtStatus status = RT_OK;
    double shrink = 1;
    for (int attempt = 0; attempt < ATTEMPTS && !status; attempt++, shrink /= 4) {
        GradSlope taken;
        grad_run_signs((uint64_t)attempt, row->name, count, direction);
        if (uphill) make_uphill(row, attempt, direction);
        status = take_slope(run, row, direction, loss, shrink, &taken, err);
        bool agrees = taken.verdict == SLOPE_AGREES, agreed = best->verdict == SLOPE_AGREES;
        if (attempt == 0 || (agrees && (!agreed || taken.slope.error < best->slope.error))) *best = taken;
        if (!is_worth_more(&taken)) break;
    }
    return status;
}

static RtStatus check_row(Gradcheck *check, GradRow *row, const LossValue *loss, float *direction,
                          RtError *err)
{
    RtStatus status = RT_OK;
    int64_t count = program_elements(row->source->tensor);
    if (row->gradient && dot(row->gradient, row->gradient, count) > 0)
        status = try_slope(&check->run, row, true, loss, direction, &row->along, err);
    if (!status) status = try_slope(&check->run, row, false, loss, direction, &row->random, err);
    row->verdict = row->random.verdict;
    if (row->along.done && (row->along.verdict == SLOPE_DIFFERS || row->verdict != SLOPE_DIFFERS))
        row->verdict = row->along.verdict;
    return status;
}

/* ---- all of them -----------------------------------------------------------------------------------------
 */

/* Rows of parameters that nothing evaluates go: what has no memory has no gradient. */
static void find_sources(Gradcheck *check)
{
    int kept = 0;
    for (int i = 0; i < check->n_rows; i++) {
        check->rows[i].source = grad_run_source(&check->run, check->rows[i].name);
        if (check->rows[i].source) check->rows[kept++] = check->rows[i];
    }
    check->n_rows = kept;
}

/* Outputs are valid until the next run. */
static void keep_gradients(Arena *arena, Gradcheck *check)
{
    for (int i = 0; i < check->n_rows; i++) {
        GradRow *row = &check->rows[i];
        row->output = arena_printf(arena, "%s/%s", row->player, row->name);
        const float *gradient = grad_run_output(&check->run, row->output);
        int64_t count = program_elements(row->source->tensor);
        if (!gradient) continue;
        float *kept = ARENA_ARRAY(arena, float, count);
        memcpy(kept, gradient, sizeof *kept * (size_t)count);
        row->gradient = kept;
    }
}

static RtStatus take_losses(Arena *arena, Gradcheck *check, LossValue *losses, RtError *err)
{
    int n = (int)check->run.header->players.count;
    double *noise = ARENA_ARRAY(arena, double, n);
    for (int p = 0; p < n; p++) {
        losses[p].value = grad_run_loss(&check->run, p);
        if (!isfinite(losses[p].value))
            return rt_fail(err, RT_BAD_INPUT, "the loss is %g, which has no slope: try another --seed",
                           losses[p].value);
    }
    RtStatus status = grad_run_noise(&check->run, arena, noise, err);
    for (int p = 0; p < n; p++) losses[p].noise = noise[p];
    return status;
}

static void report(Command *c, const GradRow *row)
{
    const GradSlope *taken = row->along.verdict == SLOPE_DIFFERS ? &row->along : &row->random;
    diag_error(c->diag, row->pos,
               "the gradient of '%s' with respect to '%s' is wrong: along %s it is %.6g, and finite "
               "differences are %.6g",
               row->loss, row->name, taken == &row->along ? "itself" : "random signs", taken->slope.computed,
               taken->slope.difference);
}

static RtStatus check_all(Command *c, Gradcheck *check, RtError *err)
{
    double start = session_clock();
    RtStatus status = grad_run_once(&check->run, err);
    if (status) return status;
    find_sources(check);
    keep_gradients(c->arena, check);
    LossValue *losses = ARENA_ARRAY(c->arena, LossValue, check->run.header->players.count);
    status = take_losses(c->arena, check, losses, err);
    int64_t most = 1;
    for (int i = 0; i < check->run.n_sources; i++)
        most = program_elements(check->run.sources[i].tensor) > most
                   ? program_elements(check->run.sources[i].tensor)
                   : most;
    float *direction = ARENA_ARRAY(c->arena, float, most + 4);
    for (int i = 0; i < check->n_rows && !status; i++) {
        GradRow *row = &check->rows[i];
        status = check_row(check, row, &losses[row->player_number], direction, err);
        check->counts[row->verdict]++;
        if (!status && row->verdict == SLOPE_DIFFERS) report(c, row);
    }
    check->seconds = session_clock() - start;
    return status;
}

int command_gradcheck(Command *c)
{
    Gradcheck check = {.file = c->file};
    GradLabels *labels = NULL;
    int n_labels = 0;
    BuildJit *jit = NULL;
    RtError err = {0};
    RtStatus status = compile(c, &check, &jit, &labels, &n_labels, &err);
    if (!status)
        status = grad_run_open(&check.run, c->arena, build_program(jit), labels, n_labels, (int)c->threads,
                               (uint64_t)c->seed, &err);
    if (!status) status = check_all(c, &check, &err);
    if (!status && c->json)
        gradcheck_print_json(&check);
    else if (!status)
        status = gradcheck_print(&check, &err);
    segrt_close(check.run.session);
    build_jit_free(jit);
    if (status && *err.text) fprintf(stderr, "segc: error: %s\n", err.text);
    if (!status && check.counts[SLOPE_DIFFERS]) {
        diag_print(c->diag, stderr);
        return RT_BAD_INPUT;
    }
    return (int)status;
}
