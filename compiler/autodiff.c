/* Gradients as graph nodes: see training.h.
 *
 * Reverse mode, one walk for each player: from its loss (whose gradient is 1) towards the parameters that it
 * owns, each operator's GradRule giving the gradients of its inputs. Only what lies between the loss and the
 * parameters is asked for, so nothing is ever detached by hand: the discriminators' weights get no gradient
 * of the segmenter's loss, though it flows through them. What is the same for two players is built twice, and
 * made one by cse.
 *
 *     before: %5: f32[] = cross_entropy %4, %2
 *     after:  %6: f32[] = constant {value=1}
 *             %7 ... = gradient of %4
 *             %8 ... = sgd %1, %7, %hyper
 *             update %1 = %8
 */
#include "op.h"
#include "pass_build.h"
#include "training.h"

#include <assert.h>
#include <math.h>
#include <string.h>

typedef struct Autodiff {
    Graph *graph;
    int n_nodes;     /* of the graph before anything was added: those that may be on the way */
    int room;        /* ids below this are theirs */
    bool *needs;     /* by id: a wanted node lies below it */
    Node **gradient; /* by id: sum so far; NULL: zero */
    Node **via;      /* by id: through which user the gradient came first */
} Autodiff;

/* ---- numbers known while compiling -----------------------------------------------------------------------
 */

static bool is_constant(const Node *node, double value)
{
    return node->op == OP_CONSTANT && node_float(node, A_VALUE) == value;
}

static Node *constant(Graph *graph, const Node *like, double value)
{
    Node *node = graph_add(graph, OP_CONSTANT, like->name, like->pos, NULL, 0);
    node_set_float(node, A_VALUE, value);
    return graph_settle(graph, node);
}

/* Scalars of constants are constants; a factor of 1 and a term of 0 vanish. Returns node where nothing is
 * known. */
static Node *simplify(Graph *graph, Node *node)
{
    Node *const *in = node->in;
    if (node->op == OP_AFFINE && node->type.rank == 0) {
        double scale = node_float(node, A_SCALE), shift = node_float(node, A_SHIFT);
        if (scale == 0) return constant(graph, node, shift);
        if (in[0]->op == OP_CONSTANT)
            return constant(graph, node, scale * node_float(in[0], A_VALUE) + shift);
    }
    if (node->op != OP_ADD && node->op != OP_MUL) return node;
    double unit = node->op == OP_ADD ? 0 : 1;
    for (int i = 0; i < 2 && node->n_in == 2; i++) {
        if (is_constant(in[i], unit) && type_equal(in[1 - i]->type, node->type)) return in[1 - i];
        if (node->op == OP_MUL && is_constant(in[i], 0) && node->type.rank == 0) return in[i];
    }
    bool both = node->n_in == 2 && in[0]->op == OP_CONSTANT && in[1]->op == OP_CONSTANT;
    if (!both) return node;
    double a = node_float(in[0], A_VALUE), b = node_float(in[1], A_VALUE);
    return constant(graph, node, node->op == OP_ADD ? a + b : a * b);
}

/* A loss whose weight is 0 is not computed, and numbers are worked out. */
static void simplify_all(Graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *simple = simplify(graph, graph->nodes[i]);
        if (simple != graph->nodes[i]) graph_replace(graph, graph->nodes[i], simple);
    }
    graph_sort(graph);
}

/* ---- the walk --------------------------------------------------------------------------------------------
 */

/* Which nodes depend on what is wanted. */
static void find_needs(Autodiff *a, Node *const *wrt, int n)
{
    for (int i = 0; i < n; i++)
        if (wrt[i]->id < a->room) a->needs[wrt[i]->id] = true;
    for (int k = 0; k < a->n_nodes; k++) {
        const Node *node = a->graph->nodes[k];
        for (int i = 0; i < node->n_in; i++) a->needs[node->id] |= a->needs[node->in[i]->id];
    }
}

static void report_no_gradient(const Autodiff *a, const Node *node)
{
    Diag *diag = a->graph->diag;
    diag_error(diag, node->pos,
               "'%s' has no gradient, and a player's loss depends on its parameters through it",
               op_info(node->op)->name);
    int shown = 0;
    for (const Node *at = a->via[node->id]; at && shown < 8; at = a->via[at->id], shown++)
        diag_note(diag, at->pos, "on the way from the loss: '%s' (%s)", at->name ? at->name : "",
                  op_info(at->op)->name);
}

static void contribute(Autodiff *a, Node *user, Node *in, Node *part)
{
    Node **sum = &a->gradient[in->id];
    if (part && part->op == OP_CONSTANT && node_float(part, A_VALUE) == 0) part = NULL;
    if (!part) return;
    assert(type_equal(part->type, in->type));
    if (!*sum) a->via[in->id] = user;
    *sum = *sum ? simplify(a->graph, build_binary(a->graph, OP_ADD, in, *sum, part)) : part;
}

/* Gives the inputs of a node their parts of its gradient. */
static bool pass_on(Autodiff *a, Node *node)
{
    const OpInfo *info = op_info(node->op);
    Node *gradient = a->gradient[node->id];
    if (info->class == CLASS_SOURCE) return true;
    if (!info->gradient) {
        report_no_gradient(a, node);
        return false;
    }
    for (int i = 0; i < node->n_in; i++) {
        if (!a->needs[node->in[i]->id]) continue;
        Node *part = info->gradient(a->graph, node, gradient, i);
        contribute(a, node, node->in[i], part ? simplify(a->graph, part) : NULL);
    }
    return true;
}

bool autodiff_gradients(Graph *graph, Node *scalar, Node *const *wrt, int n, Node **out)
{
    assert(scalar->type.rank == 0);
    Autodiff a = {.graph = graph, .n_nodes = graph->n_nodes, .room = graph->next_id};
    a.needs = ARENA_ARRAY(graph->arena, bool, a.room);
    a.gradient = ARENA_ARRAY(graph->arena, Node *, a.room);
    a.via = ARENA_ARRAY(graph->arena, Node *, a.room);
    find_needs(&a, wrt, n);
    a.gradient[scalar->id] = constant(graph, scalar, 1);
    for (int k = a.n_nodes - 1; k >= 0; k--) {
        Node *node = graph->nodes[k];
        if (a.gradient[node->id] && a.needs[node->id] && !pass_on(&a, node)) return false;
    }
    for (int i = 0; i < n; i++) out[i] = wrt[i]->id < a.room ? a.gradient[wrt[i]->id] : NULL;
    return true;
}

/* ---- optimisers ------------------------------------------------------------------------------------------
 */

static Node *make_state(Graph *graph, const Player *player, const Node *param, const char *what)
{
    const char *name = arena_printf(graph->arena, "%s.%s.%s", player->name, param->name, what);
    Node *state =
        graph_param(graph, name, param->pos, param->type, (ParamInit){.kind = PARAM_ZERO, .state = true});
    graph_update(graph, state, state);
    return state;
}

static Node *make_sgd(Graph *graph, const Player *player, const PlayerParam *owned, Node *gradient)
{
    const Optimizer *o = &player->optimizer;
    Node *in[4] = {owned->param, gradient, player->hyper, NULL};
    if (o->momentum != 0) in[3] = make_state(graph, player, owned->param, "momentum_buffer");
    Node *node = graph_add(graph, OP_SGD, owned->param->name, player->pos, in, in[3] ? 4 : 3);
    node_set_float(node, A_MOMENTUM, o->momentum);
    node_set_bool(node, A_NESTEROV, o->nesterov);
    return node;
}

static Node *make_adam(Graph *graph, const Player *player, const PlayerParam *owned, Node *gradient)
{
    const Optimizer *o = &player->optimizer;
    Node *in[5] = {owned->param, gradient, player->hyper, NULL, NULL};
    in[3] = make_state(graph, player, owned->param, "exp_avg");
    in[4] = make_state(graph, player, owned->param, "exp_avg_sq");
    Node *node = graph_add(graph, OP_ADAM, owned->param->name, player->pos, in, 5);
    node_set_float(node, A_BETA1, o->beta1);
    node_set_float(node, A_BETA2, o->beta2);
    node_set_float(node, A_EPS, o->eps);
    node_set_bool(node, A_DECOUPLED, o->kind == OPTIMIZER_ADAMW);
    return node;
}

static void update_param(Graph *graph, const Player *player, const PlayerParam *owned, Node *gradient)
{
    bool sgd = player->optimizer.kind == OPTIMIZER_SGD;
    Node *node = (sgd ? make_sgd : make_adam)(graph, player, owned, gradient);
    node_set_float(node, A_LR_SCALE, owned->lr_scale);
    node_set_float(node, A_WEIGHT_DECAY, owned->weight_decay);
    graph_update(graph, owned->param, graph_settle(graph, node));
}

/* sum = keep * sum + gradient / count, where keep is 0 in the first micro-batch. */
static Node *accumulate(Graph *graph, const Player *player, const Node *param, Node *gradient, int64_t count)
{
    Node *sum = make_state(graph, player, param, "grad");
    Node *keep = graph_add(graph, OP_SLICE, param->name, param->pos, &player->hyper, 1);
    node_set_int(keep, A_DIM, 0);
    node_set_int(keep, A_START, HYPER_KEEP);
    node_set_int(keep, A_END, HYPER_KEEP + 1);
    graph_settle(graph, keep);
    Node *share = build_scaled(graph, param, gradient, 1.0 / (double)count);
    Node *kept = build_binary(graph, OP_MUL, param, sum, keep);
    Node *next = build_binary(graph, OP_ADD, param, kept, share);
    graph_update(graph, sum, next);
    return next;
}

/* The factor by which the player's gradients together have at most that norm. */
static Node *clip_factor(Graph *graph, const Player *player, Node *const *gradient)
{
    Node *total = NULL;
    for (int i = 0; i < player->n_params; i++) {
        Node *g = gradient[i];
        if (!g) continue;
        Node *square = build_binary(graph, OP_MUL, g, g, g);
        Node *sum = graph_make(graph, OP_SUM, g, &square, 1);
        total = total ? build_binary(graph, OP_ADD, g, total, sum) : sum;
    }
    Node *factor = graph_add(graph, OP_CLIP_FACTOR, player->name, player->pos, &total, 1);
    node_set_float(factor, A_VALUE, player->optimizer.clip_norm);
    return graph_settle(graph, factor);
}

/* What the player does with its gradients; all of it belongs to it, so that it can be left out. */
static void add_updates(Graph *graph, const Player *player, int number, Node **gradient)
{
    int first = graph->next_id;
    Node *factor = player->optimizer.clip_norm > 0 ? clip_factor(graph, player, gradient) : NULL;
    for (int i = 0; i < player->n_params; i++) {
        if (!gradient[i]) continue;
        Node *used = factor ? build_binary(graph, OP_MUL, gradient[i], gradient[i], factor) : gradient[i];
        update_param(graph, player, &player->params[i], used);
    }
    for (int i = graph->n_nodes - 1; i >= 0 && graph->nodes[i]->id >= first; i--)
        if (op_info(graph->nodes[i]->op)->class != CLASS_SOURCE) graph->nodes[i]->player = number;
}

static void add_outputs(Graph *graph, const Player *player, Node **gradient)
{
    for (int i = 0; i < player->n_params; i++) {
        const char *name = player->params[i].param->name;
        if (gradient[i])
            graph_output(graph, arena_printf(graph->arena, "%s/%s", player->name, name), gradient[i]);
    }
}

static Node *make_hyper(Graph *graph, const Player *player)
{
    Node *hyper = graph_add(graph, OP_TUNABLE, player->name, player->pos, NULL, 0);
    node_set_ints(hyper, A_SHAPE, (const int64_t[]){PROGRAM_HYPERS}, 1);
    return graph_settle(graph, hyper);
}

static bool play(Graph *graph, Player *player, Node **gradient)
{
    Node **wrt = ARENA_ARRAY(graph->arena, Node *, player->n_params);
    for (int i = 0; i < player->n_params; i++) wrt[i] = player->params[i].param;
    if (!autodiff_gradients(graph, player->loss, wrt, player->n_params, gradient)) {
        diag_note(graph->diag, player->pos, "the player '%s' minimises '%s'", player->name,
                  player->loss->name);
        return false;
    }
    bool any = false;
    for (int i = 0; i < player->n_params; i++) any |= gradient[i] != NULL;
    if (!any)
        diag_error(graph->diag, player->loss_pos,
                   "the loss '%s' does not depend on any parameter that the player '%s' updates",
                   player->loss->name, player->name);
    return any;
}

bool *training_needs(const Graph *graph, const Training *training)
{
    bool *needed = ARENA_ARRAY(graph->arena, bool, graph->next_id);
    for (int i = 0; i < training->n_players; i++)
        if (training->players[i].loss) needed[training->players[i].loss->id] = true;
    for (int k = graph->n_nodes - 1; k >= 0; k--)
        for (int i = 0; needed[graph->nodes[k]->id] && i < graph->nodes[k]->n_in; i++)
            needed[graph->nodes[k]->in[i]->id] = true;
    return needed;
}

/* A number that the file asks for is shown whether a loss needs it or not. */
static bool is_asked_for(const Graph *graph, const Training *training, int output)
{
    return output < training->n_declared && graph->outputs[output].node->type.rank == 0;
}

/* Terms that no player's loss needs are not computed, unless they were asked for. */
static void drop_terms(Graph *graph, Training *training)
{
    const bool *needed = training_needs(graph, training);
    int outputs = 0, terms = 0;
    for (int i = 0; i < graph->n_outputs; i++)
        if (needed[graph->outputs[i].node->id] || is_asked_for(graph, training, i))
            graph->outputs[outputs++] = graph->outputs[i];
    graph->n_outputs = outputs;
    for (int i = 0; i < training->n_terms; i++)
        for (int k = 0; k < outputs; k++)
            if (!strcmp(training->terms[i], graph->outputs[k].name)) {
                training->terms[terms++] = training->terms[i];
                break;
            }
    training->n_terms = terms;
}

/* The players' losses may have been replaced by simpler nodes: outputs know them by name. */
static void follow_losses(Graph *graph, Training *training, const char *const *names)
{
    for (int i = 0; i < training->n_players; i++)
        for (int k = 0; k < graph->n_outputs; k++)
            if (!strcmp(graph->outputs[k].name, names[i])) training->players[i].loss = graph->outputs[k].node;
}

/* Who has nothing to minimise, since the weight of all its loss is 0, does not play. */
static void drop_idle_players(Training *training)
{
    int n = 0;
    for (int i = 0; i < training->n_players; i++)
        if (training->players[i].loss->op != OP_CONSTANT) training->players[n++] = training->players[i];
    training->n_players = n;
}

bool autodiff_players(Graph *graph, Training *training)
{
    const char **names = ARENA_ARRAY(graph->arena, const char *, training->n_players);
    for (int i = 0; i < training->n_players; i++) names[i] = training->players[i].loss->name;
    graph_sort(graph);
    simplify_all(graph);
    follow_losses(graph, training, names);
    drop_idle_players(training);
    drop_terms(graph, training);
    graph_sort(graph);
    int n = training->n_players;
    Node ***gradients = ARENA_ARRAY(graph->arena, Node **, n);
    for (int p = 0; p < n; p++) {
        Player *player = &training->players[p];
        gradients[p] = ARENA_ARRAY(graph->arena, Node *, player->n_params);
        if (!play(graph, player, gradients[p])) return false;
        player->hyper = make_hyper(graph, player);
        for (int i = 0; i < player->n_params && training->accumulate > 1; i++)
            if (gradients[p][i])
                gradients[p][i] =
                    accumulate(graph, player, player->params[i].param, gradients[p][i], training->accumulate);
    }
    for (int p = 0; p < n; p++)
        if (training->gradients_only)
            add_outputs(graph, &training->players[p], gradients[p]);
        else
            add_updates(graph, &training->players[p], p, gradients[p]);
    simplify_all(graph);
    return true;
}
