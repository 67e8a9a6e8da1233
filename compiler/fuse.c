/* See fuse.h. One walk in order: each node decides which of its inputs it takes in. Greedy is enough here: an
 * input can be taken only by its one user, so the choices don't compete, but for the anchors of a sum of two
 * contractions, where the later one is taken (the earlier is then ready to be read). */
#include "fuse.h"
#include "op.h"

#include <string.h>

typedef struct Fuser {
    Layout *layout;
    Fusion *fusion;
    int *uses;     /* by node id */
    Node **anchor; /* by node id: the contraction whose epilogue ends here */
    /* By node id, of the node and all that is computed inside it: buffers that it may need, and nodes. */
    int *buffers, *members;
    int *place, *deadline; /* by node id: where in the order; the last place at which it can be computed */
} Fuser;

/* A kernel's size is bounded, so that chains of any length are compiled, in time that grows with their
 * length. */
enum { MOST_MEMBERS = 48 };

static bool is_elementwise(const Node *node)
{
    return op_info(node->op)->class == CLASS_ELEMENTWISE;
}

static bool same_domain(const Fuser *f, const Node *a, const Node *b)
{
    return type_equal(a->type, b->type) &&
           layout_place(f->layout, a)->block == layout_place(f->layout, b)->block;
}

static bool is_resize_of_rows(const Node *node)
{
    return node->op == OP_RESIZE && !strcmp(node_string(node, A_MODE), "bilinear") &&
           node->type.dim[3] == node->in[0]->type.dim[3];
}

/* A depthwise convolution makes whole blocks of channels: it can only be computed where those are asked for.
 */
static bool has_depthwise_inside(const Fuser *f, const Node *node)
{
    if (node->op == OP_CONV2D) return true;
    for (int i = 0; i < node->n_in; i++)
        if (f->fusion->inlined[node->in[i]->id] && has_depthwise_inside(f, node->in[i])) return true;
    return false;
}

/* Whether user reads each element of its input in exactly once, so that computing it there costs nothing
 * extra. */
static bool reads_once(const Fuser *f, const Node *user, const Node *in)
{
    if (!is_elementwise(user) && has_depthwise_inside(f, in)) return false;
    if (op_is_sum(user->op) && user->op != OP_BATCH_STATISTICS)
        return is_elementwise(in) && same_domain(f, user->in[0], in);
    switch (user->op) {
    case OP_RELAYOUT:
    case OP_PACK_FILTER: return true;
    case OP_GLOBAL_AVG_POOL: return is_elementwise(in);
    case OP_ARGMAX: return is_elementwise(in) || is_resize_of_rows(in);
    case OP_SGD:
    case OP_ADAM: return in == user->in[1] && is_elementwise(in) && same_domain(f, user, in);
    /* What is repeated is read in any layout. */
    default:
        return is_elementwise(user) &&
               (same_domain(f, user, in) || (in->op == OP_EXPAND && type_equal(user->type, in->type)));
    }
}

/* Whether node can be computed at a coordinate, by its rule. */
static bool has_value_rule(const Node *node)
{
    const OpInfo *info = op_info(node->op);
    if (info->class == CLASS_ELEMENTWISE) return true;
    return info->lower && !conv_uses_template(node);
}

/* Buffers of a kernel of the node alone: its result, its inputs, tables of a resize; of a contraction those
 * of the template, whatever its phases. */
static int own_buffers(const Node *node)
{
    if (conv_uses_template(node)) return 6;
    bool tables = node->op == OP_RESIZE || node->op == OP_MAX_POOL2D_GRAD || node->op == OP_AVG_POOL2D_GRAD ||
                  node->op == OP_RESIZE_GRAD || node->op == OP_PAD_GRAD;
    return 1 + node->n_in + (tables ? 6 : op_is_sum(node->op) ? 1 : 0);
}

/* Whether a kernel of both is not too large. The value in between needs no buffer then, on either side. */
static bool fits_inside(const Fuser *f, const Node *user, const Node *in)
{
    return f->buffers[user->id] + f->buffers[in->id] - 2 <= MAX_BUFFERS &&
           f->members[user->id] + f->members[in->id] <= MOST_MEMBERS;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Parameters change in the middle of the order, as soon as who reads them has been there; what is computed
 * inside a later node reads them later. */
static void find_deadlines(Fuser *f)
{
    const Graph *graph = f->layout->graph;
    for (int k = 0; k < graph->n_nodes; k++) {
        f->place[graph->nodes[k]->id] = k;
        f->deadline[graph->nodes[k]->id] = graph->n_nodes;
    }
    for (int i = 0; i < graph->n_updates; i++) {
        const Update *update = &graph->updates[i];
        if (update->value != update->param) f->deadline[update->param->id] = f->place[update->value->id];
    }
    for (int k = 0; k < graph->n_nodes; k++) {
        const Node *node = graph->nodes[k];
        for (int i = 0; i < node->n_in; i++) {
            const Node *in = node->in[i];
            bool in_place = op_info(in->op)->class == CLASS_SOURCE || op_shares_input(in->op);
            if (in_place) f->deadline[node->id] = least(f->deadline[node->id], f->deadline[in->id]);
        }
    }
}

static bool reads_in_time(const Fuser *f, const Node *user, const Node *in)
{
    return f->place[user->id] <= f->deadline[in->id];
}

static void take_in(Fuser *f, const Node *user, const Node *in)
{
    f->deadline[user->id] = least(f->deadline[user->id], f->deadline[in->id]);
    f->fusion->inlined[in->id] = true;
    f->buffers[user->id] += f->buffers[in->id] - 2;
    f->members[user->id] += f->members[in->id];
}

static bool only_use(const Fuser *f, const Node *node)
{
    return f->uses[node->id] == 1 && op_info(node->op)->class != CLASS_SOURCE;
}

/* The input whose contraction takes user in as its epilogue, or -1. */
static int input_with_anchor(const Fuser *f, const Node *user)
{
    int best = -1;
    for (int i = 0; i < user->n_in; i++) {
        const Node *in = user->in[i];
        if (!f->anchor[in->id] || !only_use(f, in) || !is_elementwise(user) || !same_domain(f, user, in) ||
            !fits_inside(f, user, in) || !reads_in_time(f, user, in))
            continue;
        if (best < 0 || in->id > user->in[best]->id) best = i;
    }
    return best;
}

static void take_inputs(Fuser *f, Node *user)
{
    int anchored = input_with_anchor(f, user);
    if (anchored >= 0) {
        f->anchor[user->id] = f->anchor[user->in[anchored]->id];
        take_in(f, user, user->in[anchored]);
    }
    for (int i = 0; i < user->n_in; i++) {
        Node *in = user->in[i];
        if (i == anchored || f->anchor[in->id] || !only_use(f, in) || !has_value_rule(in)) continue;
        if (node_is_static(f->layout, in) != node_is_static(f->layout, user)) continue;
        if (in->player >= 0 && in->player != user->player) continue;
        /* An epilogue has no place for loops. */
        if (f->anchor[user->id] && !is_elementwise(in)) continue;
        if (reads_once(f, user, in) && fits_inside(f, user, in) && reads_in_time(f, user, in))
            take_in(f, user, in);
    }
}

/* An epilogue is an expression: what was inlined into a user before it joined a contraction may hold loops.
 */
static bool has_loops_inside(const Fuser *f, const Node *node)
{
    if (!is_elementwise(node)) return true;
    for (int i = 0; i < node->n_in; i++)
        if (f->fusion->inlined[node->in[i]->id] && !f->anchor[node->in[i]->id] &&
            has_loops_inside(f, node->in[i]))
            return true;
    return false;
}

static void keep_epilogues_plain(Fuser *f)
{
    for (int k = 0; k < f->layout->graph->n_nodes; k++) {
        Node *user = f->layout->graph->nodes[k];
        if (!f->anchor[user->id] || !is_elementwise(user)) continue;
        for (int i = 0; i < user->n_in; i++) {
            Node *in = user->in[i];
            if (f->fusion->inlined[in->id] && !f->anchor[in->id] && has_loops_inside(f, in))
                f->fusion->inlined[in->id] = false;
        }
    }
}

static void add_group(Fusion *fusion, Group group)
{
    group.is_static = node_is_static(fusion->layout, group.root);
    group.player = group.root->player;
    ARENA_PUSH(fusion->layout->arena, fusion->groups, fusion->n_groups, fusion->cap_groups, group);
}

/* Whether input i was made where it belongs. A value that stands in a concat twice is so only once. */
static bool is_in_place(const Fusion *fusion, const Node *concat, int i)
{
    const Place *whole = layout_place(fusion->layout, concat),
                *part = layout_place(fusion->layout, concat->in[i]);
    int64_t channel = 0;
    if (part->storage != whole->storage) return false;
    for (int k = 0; k < i; k++) channel += concat->in[k]->type.dim[1];
    return channel % whole->block == 0 &&
           part->offset == whole->offset + channel / whole->block * whole->stride_c;
}

static void add_concat(Fusion *fusion, Node *concat)
{
    for (int i = 0; i < concat->n_in; i++)
        if (!is_in_place(fusion, concat, i))
            add_group(fusion, (Group){.kind = GROUP_PART, .root = concat, .part = i});
}

Fusion *fuse_groups(Layout *layout, bool fuse)
{
    Arena *arena = layout->arena;
    Graph *graph = layout->graph;
    Fusion *fusion = ARENA_NEW(arena, Fusion);
    *fusion = (Fusion){.layout = layout, .inlined = ARENA_ARRAY(arena, bool, layout->n_places)};
    Fuser f = {.layout = layout, .fusion = fusion};
    f.uses = ARENA_ARRAY(arena, int, layout->n_places);
    f.anchor = ARENA_ARRAY(arena, Node *, layout->n_places);
    f.buffers = ARENA_ARRAY(arena, int, layout->n_places);
    f.members = ARENA_ARRAY(arena, int, layout->n_places);
    f.place = ARENA_ARRAY(arena, int, layout->n_places);
    f.deadline = ARENA_ARRAY(arena, int, layout->n_places);
    find_deadlines(&f);
    for (int k = 0; k < graph->n_nodes; k++)
        for (int i = 0; i < graph->nodes[k]->n_in; i++) f.uses[graph->nodes[k]->in[i]->id]++;
    for (int i = 0; i < graph->n_outputs; i++) f.uses[graph->outputs[i].node->id] += 2;
    for (int i = 0; i < graph->n_updates; i++) f.uses[graph->updates[i].value->id] += 2;
    for (int k = 0; k < graph->n_nodes; k++) {
        Node *node = graph->nodes[k];
        f.buffers[node->id] = own_buffers(node);
        f.members[node->id] = 1;
        if (layout_contracts(layout, node))
            f.anchor[node->id] = node;
        else if (fuse)
            take_inputs(&f, node);
    }
    keep_epilogues_plain(&f);
    for (int k = 0; k < graph->n_nodes; k++) {
        Node *node = graph->nodes[k];
        if (op_info(node->op)->class == CLASS_SOURCE || fusion->inlined[node->id] ||
            op_shares_input(node->op))
            continue;
        if (node->op == OP_CONCAT)
            add_concat(fusion, node);
        else if (f.anchor[node->id])
            add_group(fusion, (Group){.kind = GROUP_TEMPLATE, .root = node, .anchor = f.anchor[node->id]});
        else
            add_group(fusion, (Group){.kind = GROUP_LOOPS, .root = node});
    }
    return fusion;
}

static void text_members(const Fusion *fusion, Text *text, const Node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (fusion->inlined[node->in[i]->id]) text_members(fusion, text, node->in[i]);
    text_printf(text, " %%%d %s", node->id, op_info(node->op)->name);
}

const char *fuse_text(const Fusion *fusion)
{
    Text text = text_new(fusion->layout->arena);
    for (int i = 0; i < fusion->n_groups; i++) {
        const Group *group = &fusion->groups[i];
        text_printf(&text, "group%s %s:", group->is_static ? " once" : "",
                    group->kind == GROUP_TEMPLATE ? "template"
                    : group->kind == GROUP_PART   ? "part"
                                                  : "loops");
        text_members(fusion, &text, group->root);
        if (group->kind == GROUP_PART) text_printf(&text, " input %d", group->part);
        text_printf(&text, "\n");
    }
    return text.text;
}
