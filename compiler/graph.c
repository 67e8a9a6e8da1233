/* Making and rewriting graphs: see graph.h. */
#include "graph.h"

#include "op.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A node without a type: rank 0 as graph_infer's contract says, told from a scalar by its first dimension. */
static const Type untyped = {.rank = 0, .dim = {-1}};

Graph *graph_new(Arena *arena, Diag *diag, const char *name)
{
    Graph *graph = ARENA_NEW(arena, Graph);
    graph->arena = arena;
    graph->diag = diag;
    graph->name = arena_strdup(arena, name);
    graph->next_id = 1;
    return graph;
}

Node *graph_add(Graph *graph, Op op, const char *name, Pos pos, Node *const *in, int n_in)
{
    const OpInfo *info = op_info(op);
    assert(info->n_attrs <= MAX_ATTRS);
    Node *node = ARENA_NEW(graph->arena, Node);
    node->id = graph->next_id++;
    node->op = op;
    node->name = name ? arena_strdup(graph->arena, name) : NULL;
    node->pos = pos;
    node->n_in = n_in;
    node->in = ARENA_ARRAY(graph->arena, Node *, n_in);
    if (n_in) memcpy(node->in, in, sizeof *in * (size_t)n_in);
    node->player = -1;
    node->n_attrs = info->n_attrs;
    for (int i = 0; i < info->n_attrs; i++) node->attr[i] = info->attrs[i].value;
    node->type = untyped;
    ARENA_PUSH(graph->arena, graph->nodes, graph->n_nodes, graph->cap_nodes, node);
    return node;
}

bool graph_infer(Graph *graph, Node *node)
{
    const OpInfo *info = op_info(node->op);
    node->type = untyped;
    for (int i = 0; i < node->n_in; i++)
        if (!type_known(node->in[i]->type)) return false; /* reported where it arose */
    if (!op_check_inputs(graph, node) || !op_check_attrs(graph, node)) return false;
    if (info->params && !op_check_params(graph, node)) return false;
    node->type = (Type){.dtype = F32};
    if (info->shape(graph, node) && op_check_result(graph, node)) return true;
    node->type = untyped;
    return false;
}

Node *graph_settle(Graph *graph, Node *node)
{
    bool inferred = graph_infer(graph, node);
    assert(inferred);
    (void)inferred;
    return node;
}

Node *graph_make(Graph *graph, Op op, const Node *like, Node *const *in, int n_in)
{
    return graph_settle(graph, graph_add(graph, op, like->name, like->pos, in, n_in));
}

/* ---- parameters ------------------------------------------------------------------------------------------
 */

static const char *const init_words[] = {
    [PARAM_ZERO] = "zero",
    [PARAM_ONE] = "one",
    [PARAM_CONSTANT] = "constant",
    [PARAM_UNIFORM] = "uniform",
};
enum { N_INIT_WORDS = sizeof init_words / sizeof *init_words };

static const char *const dtype_names[] = {[F32] = "f32", [I32] = "i32", [U8] = "u8"};

Node *graph_param(Graph *graph, const char *name, Pos pos, Type type, ParamInit init)
{
    assert(type.dtype == F32);
    Node *node = graph_add(graph, OP_PARAM, name, pos, NULL, 0);
    node_set_ints(node, A_SHAPE, type.dim, type.rank);
    node_set_string(node, A_PARAM_INIT, init_words[init.kind]);
    node_set_float(node, A_VALUE, init.value);
    node_set_bool(node, A_STATISTIC, init.statistic);
    node_set_bool(node, A_STATE, init.state);
    ARENA_PUSH(graph->arena, graph->params, graph->n_params, graph->cap_params, node);
    return graph_settle(graph, node);
}

ParamInit graph_param_init(const Node *param)
{
    assert(param->op == OP_PARAM);
    ParamInit init = {.value = node_float(param, A_VALUE),
                      .statistic = node_bool(param, A_STATISTIC),
                      .state = node_bool(param, A_STATE)};
    const char *word = node_string(param, A_PARAM_INIT);
    for (int i = 0; i < N_INIT_WORDS; i++)
        if (!strcmp(init_words[i], word)) init.kind = i;
    return init;
}

/* The node stands before the parameters just added; moves it, and its number, behind them. */
static void move_last(Graph *graph, Node *node, int n)
{
    Node **tail = graph->nodes + graph->n_nodes - n - 1;
    assert(*tail == node);
    memmove(tail, tail + 1, sizeof *tail * (size_t)n);
    tail[n] = node;
    for (int i = 0; i <= n; i++) tail[i]->id = graph->next_id - n - 1 + i;
}

bool graph_declare_params(Graph *graph, Node *node)
{
    const OpInfo *info = op_info(node->op);
    ParamSpec specs[MAX_PARAM_SPECS];
    if (!info->params) return true;
    for (int i = 0; i < node->n_in; i++)
        if (!type_known(node->in[i]->type)) return false;
    if (!op_check_inputs(graph, node) || !op_check_attrs(graph, node)) return false;
    if (node->n_in != info->min_in)
        return shape_error(graph, node, "takes %d input%s, not %d", info->min_in,
                           info->min_in == 1 ? "" : "s", node->n_in);
    assert(graph->nodes[graph->n_nodes - 1] == node && node->id == graph->next_id - 1);
    int n = info->params(graph, node, specs);
    if (n < 0) return false;
    for (int i = 0; i < n; i++)
        if (specs[i].type.dim[0] < 1)
            return shape_error(graph, node, "the %s would be %s", specs[i].suffix,
                               type_text(graph->arena, specs[i].type));
    Node **in = ARENA_ARRAY(graph->arena, Node *, node->n_in + n);
    memcpy(in, node->in, sizeof *in * (size_t)node->n_in);
    for (int i = 0; i < n; i++) {
        const char *name = arena_printf(graph->arena, "%s.%s", node->name, specs[i].suffix);
        in[node->n_in + i] = graph_param(graph, name, node->pos, specs[i].type, specs[i].init);
    }
    node->in = in;
    node->n_in += n;
    move_last(graph, node, n);
    return true;
}

/* ---- rewriting -------------------------------------------------------------------------------------------
 */

void graph_output(Graph *graph, const char *name, Node *node)
{
    Output output = {.name = arena_strdup(graph->arena, name), .node = node};
    ARENA_PUSH(graph->arena, graph->outputs, graph->n_outputs, graph->cap_outputs, output);
}

void graph_update(Graph *graph, Node *param, Node *value)
{
    assert(param->op == OP_PARAM && type_equal(param->type, value->type));
    node_set_bool(param, A_UPDATED, true);
    for (int i = 0; i < graph->n_updates; i++)
        if (graph->updates[i].param == param) {
            graph->updates[i].value = value;
            return;
        }
    Update update = {param, value};
    ARENA_PUSH(graph->arena, graph->updates, graph->n_updates, graph->cap_updates, update);
}

Node *graph_current(const Graph *graph, Node *param)
{
    for (int i = 0; i < graph->n_updates; i++)
        if (graph->updates[i].param == param) return graph->updates[i].value;
    return param;
}

void graph_replace(Graph *graph, Node *from, Node *to)
{
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i]->n_in; j++)
            if (graph->nodes[i]->in[j] == from) graph->nodes[i]->in[j] = to;
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i].node == from) graph->outputs[i].node = to;
    for (int i = 0; i < graph->n_updates; i++)
        if (graph->updates[i].value == from) graph->updates[i].value = to;
}

int graph_uses(const Graph *graph, const Node *node)
{
    int uses = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i]->n_in; j++) uses += graph->nodes[i]->in[j] == node;
    for (int i = 0; i < graph->n_outputs; i++) uses += graph->outputs[i].node == node;
    for (int i = 0; i < graph->n_updates; i++) uses += graph->updates[i].value == node;
    return uses;
}

static int by_id(const void *a, const void *b)
{
    const Node *x = *(Node *const *)a, *y = *(Node *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

enum { UNSEEN, REACHED, OPEN, PLACED }; /* what graph_sort's walks put into mark */

/* A list of nodes with room for more, for walks that must not recurse: graphs may be deep. */
typedef struct NodeList {
    Arena *arena;
    Node **items;
    int count, capacity;
} NodeList;

static void push(NodeList *list, Node *node)
{
    ARENA_PUSH(list->arena, list->items, list->count, list->capacity, node);
}

static void add_reached(NodeList *found, Node *node)
{
    if (node->mark == REACHED) return;
    node->mark = REACHED;
    push(found, node);
}

/* Everything that outputs and updates need, each once and marked REACHED. */
static NodeList reach(Graph *graph)
{
    NodeList found = {.arena = graph->arena};
    for (int i = 0; i < graph->n_outputs; i++) add_reached(&found, graph->outputs[i].node);
    for (int i = 0; i < graph->n_updates; i++) {
        add_reached(&found, graph->updates[i].param);
        add_reached(&found, graph->updates[i].value);
    }
    for (int i = 0; i < found.count; i++)
        for (int j = 0; j < found.items[i]->n_in; j++) add_reached(&found, found.items[i]->in[j]);
    return found;
}

/* Puts what node needs, then node, behind the order. A node stays on the stack, OPEN, while its inputs are
 * placed; meeting an OPEN one among the inputs again would be a cycle. */
static void place(NodeList *order, NodeList *stack, Node *node)
{
    push(stack, node);
    while (stack->count > 0) {
        Node *top = stack->items[stack->count - 1];
        if (top->mark == REACHED) {
            top->mark = OPEN;
            for (int i = top->n_in - 1; i >= 0; i--) {
                assert(top->in[i]->mark != OPEN);
                if (top->in[i]->mark == REACHED) push(stack, top->in[i]);
            }
            continue;
        }
        stack->count--;
        if (top->mark == OPEN) {
            top->mark = PLACED;
            push(order, top);
        }
    }
}

static void clear_marks(Node **nodes, int count)
{
    for (int i = 0; i < count; i++) {
        nodes[i]->mark = UNSEEN;
        for (int j = 0; j < nodes[i]->n_in; j++) nodes[i]->in[j]->mark = UNSEEN;
    }
}

/* What must come after everything that reads old parameters. */
static void defer_updates(Graph *graph, bool *deferred)
{
    for (int i = 0; i < graph->n_updates; i++)
        if (graph->updates[i].value != graph->updates[i].param) deferred[graph->updates[i].value->id] = true;
}

/* The first player whose updates need a node, by id; n_players: none. What a later player alone needs is
 * computed when the earlier ones are done, so that both don't need memory at once. */
static const int *find_players(Graph *graph, int *n_players)
{
    int *wanted_by = ARENA_ARRAY(graph->arena, int, graph->next_id);
    int most = 0;
    for (int i = 0; i < graph->n_updates; i++)
        if (graph->updates[i].value->player >= most) most = graph->updates[i].value->player + 1;
    for (int i = 0; i < graph->next_id; i++) wanted_by[i] = most;
    NodeList stack = {.arena = graph->arena};
    for (int player = 0; player < most; player++)
        for (int i = 0; i < graph->n_updates; i++) {
            if (graph->updates[i].value->player != player) continue;
            push(&stack, graph->updates[i].value);
            while (stack.count > 0) {
                Node *node = stack.items[--stack.count];
                if (wanted_by[node->id] < most) continue;
                wanted_by[node->id] = player;
                for (int k = 0; k < node->n_in; k++) push(&stack, node->in[k]);
            }
        }
    *n_players = most;
    return wanted_by;
}

/* Where an update may stand at the earliest: behind its inputs and everything that reads the old parameter.
 */
static int earliest_place(const Graph *graph, const Update *update, const int *last_read, const int *position)
{
    int place = last_read[update->param->id];
    for (int i = 0; i < update->value->n_in; i++) {
        const Node *in = update->value->in[i];
        if (in->player >= 0) return graph->n_nodes; /* it waits for others, as a clipped gradient does */
        if (position[in->id] > place) place = position[in->id];
    }
    return place;
}

/* Moves updates from the end to where all that they need is done, so that gradients don't all live until
 * then. */
static void hasten_updates(Graph *graph)
{
    Arena *arena = graph->arena;
    int n = graph->n_nodes;
    int *last_read = ARENA_ARRAY(arena, int, graph->next_id),
        *position = ARENA_ARRAY(arena, int, graph->next_id);
    int *next = ARENA_ARRAY(arena, int, graph->n_updates), *first = ARENA_ARRAY(arena, int, n + 1);
    bool *moved = ARENA_ARRAY(arena, bool, graph->next_id);
    const Node **owner =
        ARENA_ARRAY(arena, const Node *, graph->next_id); /* of an update's value: its parameter */
    const Node **memory = ARENA_ARRAY(arena, const Node *, graph->next_id); /* whose a node's value lies in */
    for (int i = 0; i < graph->n_updates; i++) owner[graph->updates[i].value->id] = graph->updates[i].param;
    for (int k = 0; k < n; k++) {
        const Node *node = graph->nodes[k];
        position[node->id] = k;
        memory[node->id] = op_shares_input(node->op) ? memory[node->in[0]->id] : node;
        for (int i = 0; i < node->n_in; i++)
            if (owner[node->id] != node->in[i]) last_read[memory[node->in[i]->id]->id] = k;
        first[k] = -1;
    }
    for (int i = graph->n_updates - 1; i >= 0; i--) {
        const Update *update = &graph->updates[i];
        if (update->value == update->param || moved[update->value->id]) continue;
        int place = earliest_place(graph, update, last_read, position);
        if (place >= position[update->value->id]) continue;
        moved[update->value->id] = true;
        next[i] = first[place];
        first[place] = i;
    }
    Node **order = ARENA_ARRAY(arena, Node *, graph->cap_nodes);
    int count = 0;
    for (int k = 0; k < n; k++) {
        if (!moved[graph->nodes[k]->id]) order[count++] = graph->nodes[k];
        for (int i = first[k]; i >= 0; i = next[i]) order[count++] = graph->updates[i].value;
    }
    assert(count == n);
    graph->nodes = order;
}

void graph_sort(Graph *graph)
{
    clear_marks(graph->nodes, graph->n_nodes);
    for (int i = 0; i < graph->n_outputs; i++) graph->outputs[i].node->mark = UNSEEN;
    for (int i = 0; i < graph->n_updates; i++)
        graph->updates[i].param->mark = graph->updates[i].value->mark = UNSEEN;
    NodeList found = reach(graph), order = {.arena = graph->arena}, stack = {.arena = graph->arena};
    if (found.count > 0) qsort(found.items, (size_t)found.count, sizeof *found.items, by_id);
    bool *deferred = ARENA_ARRAY(graph->arena, bool, graph->next_id);
    defer_updates(graph, deferred);
    int n_players;
    const int *wanted_by = find_players(graph, &n_players);
    for (int last = 0; last < n_players + 3;
         last++) /* by player, the rest, updates of every run, of players */
        for (int i = 0; i < found.count; i++) {
            Node *node = found.items[i];
            int turn = node->player >= 0    ? n_players + 2
                       : deferred[node->id] ? n_players + 1
                                            : wanted_by[node->id];
            if (node->mark == REACHED && turn == last) place(&order, &stack, node);
        }
    graph->nodes = order.items;
    graph->n_nodes = order.count;
    graph->cap_nodes = order.capacity;
    if (graph->n_updates > 0) hasten_updates(graph);
}

void graph_mark_static(Graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *node = graph->nodes[i];
        node->mark = (node->op == OP_PARAM && !node_bool(node, A_UPDATED)) || node->n_in > 0;
        for (int j = 0; j < node->n_in; j++) node->mark &= node->in[j]->mark;
    }
}

/* ---- attributes ------------------------------------------------------------------------------------------
 */

static Attr *attr_of(Node *node, AttrName name)
{
    int index = op_attr_index(node->op, name);
    assert(index >= 0);
    return &node->attr[index];
}

const Attr *node_attr(const Node *node, AttrName name)
{
    int index = op_attr_index(node->op, name);
    assert(index >= 0);
    return &node->attr[index];
}

bool node_has(const Node *node, AttrName name)
{
    int index = op_attr_index(node->op, name);
    return index >= 0 && node->attr[index].n > 0;
}

int64_t node_int(const Node *node, AttrName name)
{
    assert(node_has(node, name));
    return node_attr(node, name)->i[0];
}

int64_t node_rows(const Node *node, AttrName name)
{
    return node_int(node, name);
}

int64_t node_columns(const Node *node, AttrName name)
{
    assert(node_attr(node, name)->n == 2);
    return node_attr(node, name)->i[1];
}

int64_t node_axis(const Node *node, AttrName name, int axis)
{
    return axis == 0 ? node_rows(node, name) : node_columns(node, name);
}

double node_float(const Node *node, AttrName name)
{
    assert(node_has(node, name));
    return node_attr(node, name)->f;
}

bool node_bool(const Node *node, AttrName name)
{
    return node_int(node, name) != 0;
}

const char *node_string(const Node *node, AttrName name)
{
    assert(node_has(node, name));
    return node_attr(node, name)->s;
}

void node_set_int(Node *node, AttrName name, int64_t value)
{
    node_set_ints(node, name, &value, 1);
}

void node_set_pair(Node *node, AttrName name, int64_t rows, int64_t columns)
{
    node_set_ints(node, name, (const int64_t[]){rows, columns}, 2);
}

void node_copy_pair(Node *to, const Node *from, AttrName name)
{
    node_set_pair(to, name, node_rows(from, name), node_columns(from, name));
}

void node_set_ints(Node *node, AttrName name, const int64_t *values, int count)
{
    assert(count >= 0 && count <= MAX_INTS);
    Attr *attr = attr_of(node, name);
    attr->n = count;
    for (int i = 0; i < count; i++) attr->i[i] = values[i];
}

void node_set_float(Node *node, AttrName name, double value)
{
    Attr *attr = attr_of(node, name);
    attr->n = 1;
    attr->f = value;
}

void node_set_floats(Node *node, AttrName name, const double *values, int count)
{
    assert(count >= 0 && count <= MAX_FLOATS);
    Attr *attr = attr_of(node, name);
    attr->n = count;
    attr->floats = values;
}

void node_set_bool(Node *node, AttrName name, bool value)
{
    node_set_int(node, name, value);
}

void node_set_string(Node *node, AttrName name, const char *value)
{
    Attr *attr = attr_of(node, name);
    attr->n = 1;
    attr->s = value;
}

void node_copy_attrs(Node *to, const Node *from)
{
    assert(to->op == from->op);
    memcpy(to->attr, from->attr, sizeof to->attr);
}

/* ---- types -----------------------------------------------------------------------------------------------
 */

bool type_known(Type type)
{
    return type.rank > 0 || type.dim[0] >= 0;
}

int64_t type_elements(Type type)
{
    int64_t elements = 1;
    for (int i = 0; i < type.rank; i++) elements *= type.dim[i];
    return elements;
}

int64_t type_bytes(Type type)
{
    return type_elements(type) * (type.dtype == U8 ? 1 : 4);
}

bool type_equal(Type a, Type b)
{
    if (a.dtype != b.dtype || a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

Type type_picture(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (Type){.dtype = F32, .rank = 4, .dim = {n, c, h, w}};
}

const char *dtype_name(Dtype dtype)
{
    return dtype_names[dtype];
}

const char *type_text(Arena *arena, Type type)
{
    if (!type_known(type)) return "unknown";
    Text text = text_new(arena);
    text_printf(&text, "%s[", dtype_name(type.dtype));
    for (int i = 0; i < type.rank; i++) text_printf(&text, "%s%lld", i ? "," : "", (long long)type.dim[i]);
    text_append(&text, "]", 1);
    return text.text;
}
