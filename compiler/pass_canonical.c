/* Canonical: one form for what can be said in several, so that later passes and backends know fewer.
 *
 * - linear over [N,C] is a 1x1 convolution of one pixel;
 * - add and mul of more than two inputs are chains of two, left to right (the order in which they are summed
 *   is part of the result);
 * - a flatten whose result is only reshaped, a reshape of a reshape, and a resize to the same size vanish.
 *
 *     before: %4: f32[1,10] = linear %1, %2, %3 {features=10}
 *     after:  %5: f32[1,64,1,1] = reshape %1 {shape=[1,64,1,1]}
 *             %6: f32[10,64,1,1] = reshape %2 {shape=[10,64,1,1]}
 *             %7: f32[1,10,1,1] = conv2d %5, %6, %3 {filters=10, kernel=1}
 *             %8: f32[1,10] = reshape %7 {shape=[1,10]}
 */
#include "op.h"
#include "pass.h"
#include "pass_build.h"

#include <string.h>

static Node *lower_linear(Graph *graph, Node *linear)
{
    Type in = linear->in[0]->type, weight = linear->in[1]->type;
    if (in.rank != 2) return NULL;
    Node *pixel = build_reshape(graph, linear, linear->in[0], type_picture(in.dim[0], in.dim[1], 1, 1));
    Node *filters =
        build_reshape(graph, linear, linear->in[1], type_picture(weight.dim[0], weight.dim[1], 1, 1));
    Node *parts[3] = {pixel, filters, linear->n_in == 3 ? linear->in[2] : NULL};
    Node *conv = graph_add(graph, OP_CONV2D, linear->name, linear->pos, parts, linear->n_in);
    node_set_int(conv, A_FILTERS, weight.dim[0]);
    node_set_pair(conv, A_KERNEL, 1, 1);
    node_set_bool(conv, A_BIAS, linear->n_in == 3);
    return build_reshape(graph, linear, graph_settle(graph, conv), linear->type);
}

static Node *pair_up(Graph *graph, Node *node)
{
    if (node->n_in < 3) return NULL;
    Node *value = node->in[0];
    for (int i = 1; i < node->n_in; i++)
        value = graph_make(graph, node->op, node, (Node *[]){value, node->in[i]}, 2);
    return value;
}

/* Dimensions that only change their grouping: what counts is the first input and the last shape. */
static Node *shorten_reshape(Graph *graph, Node *node)
{
    Node *in = node->in[0];
    if (type_equal(node->type, in->type)) return in;
    if (in->op != OP_RESHAPE && in->op != OP_FLATTEN) return NULL;
    return build_reshape(graph, node, in->in[0], node->type);
}

static Node *drop_resize(Node *node)
{
    bool same = type_equal(node->type, node->in[0]->type) && !node_has(node, A_SCALE_FACTOR);
    return same ? node->in[0] : NULL;
}

static Node *canonical_form(Graph *graph, Node *node)
{
    switch (node->op) {
    case OP_LINEAR: return lower_linear(graph, node);
    case OP_ADD:
    case OP_MUL: return pair_up(graph, node);
    case OP_RESHAPE:
    case OP_FLATTEN: return shorten_reshape(graph, node);
    case OP_RESIZE: return drop_resize(node);
    default: return NULL;
    }
}

bool pass_canonical(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    for (int i = 0; i < graph->n_nodes; i++) { /* new nodes come behind and have their turn too */
        Node *form = canonical_form(graph, graph->nodes[i]);
        if (!form) continue;
        graph_replace(graph, graph->nodes[i], form);
        changed = true;
    }
    if (changed) graph_sort(graph);
    return changed;
}
