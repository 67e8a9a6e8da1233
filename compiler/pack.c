/* Filters in the order in which the contraction template reads them.
 *
 *     before: %4 = conv2d %1, %2, %3 {filters=64, kernel=3}
 *     after:  %5 = pack_filter %2 {filters=64, block=32, unit=8, taps_y=[0,1,3], taps_x=[0,1,3]}
 *             %4 = conv2d %1, %5, %3 {filters=64, kernel=3}
 *
 * This is done once, when weights are loaded, or in every run where they change.
 *
 * A conv_transpose2d gets one pack per phase of its stride, in place of its weight: rows outer, columns
 * inner. A flip_filter before a pack is a matter of the pack's attributes:
 *
 *     before: %4 = flip_filter %2      %5 = conv2d %1, %4 {filters=32, kernel=3}
 *     after:  %6 = pack_filter %2 {filters=32, ..., taps_y=[2,-1,3], taps_x=[2,-1,3], transposed=true}
 */
#include "conv_spec.h"
#include "lower.h"

#include <assert.h>
#include <string.h>

/* last >= 0: the taps of a flipped filter, counted from its last one. */
static void set_taps(Node *packed, AttrName name, const ConvPhase *phase, int64_t last)
{
    int64_t first = last < 0 ? phase->tap : last - phase->tap;
    int64_t step = last < 0 ? phase->tap_step : -phase->tap_step;
    node_set_ints(packed, name, (const int64_t[]){first, step, phase->n_taps}, 3);
}

static Node *pack_phase(Graph *graph, Node *node, int64_t block, int64_t unit, bool dense, int64_t winograd,
                        const ConvPhase *y, const ConvPhase *x)
{
    bool flipped = node->in[1]->op == OP_FLIP_FILTER;
    Node *weight = flipped ? node->in[1]->in[0] : node->in[1];
    Node *packed = graph_add(graph, OP_PACK_FILTER, weight->name, node->pos, &weight, 1);
    node_set_int(packed, A_FILTERS, node->type.dim[1]);
    node_set_int(packed, A_BLOCK, block);
    node_set_int(packed, A_UNIT, unit);
    set_taps(packed, A_TAPS_Y, y, flipped ? weight->type.dim[2] - 1 : -1);
    set_taps(packed, A_TAPS_X, x, flipped ? weight->type.dim[3] - 1 : -1);
    node_set_int(packed, A_GROUPS, node_int(node, A_GROUPS));
    node_set_bool(packed, A_DENSE, dense);
    node_set_bool(packed, A_TRANSPOSED, (node->op == OP_CONV_TRANSPOSE2D) != flipped);
    node_set_int(packed, A_WINOGRAD, winograd);
    bool typed = graph_infer(graph, packed);
    assert(typed);
    (void)typed;
    return packed;
}

static void pack_template(Graph *graph, Node *node, const Target *target)
{
    ConvSchedule s = conv_schedule(node, target);
    bool dense = node_int(node, A_GROUPS) > 1 && !conv_splits_groups(node, s.block);
    int64_t winograd = conv_is_winograd(node, target) ? node_rows(node, A_STRIDE) : 0;
    int ny = conv_phases(node, 0), nx = conv_phases(node, 1), n_in = 0;
    Node **in = ARENA_ARRAY(graph->arena, Node *, ny * nx + 2);
    in[n_in++] = node->in[0];
    for (int i = 0; i < ny * nx; i++) {
        ConvPhase y = conv_phase(node, 0, i / nx), x = conv_phase(node, 1, i % nx);
        /* A phase without taps only adds the bias: any buffer does. */
        bool has_taps = y.n_taps > 0 && x.n_taps > 0;
        in[n_in++] =
            has_taps ? pack_phase(graph, node, (int64_t)s.block * s.vectors, s.unit, dense, winograd, &y, &x)
                     : node->in[1];
    }
    if (node_bool(node, A_BIAS)) in[n_in++] = node->in[2];
    node->in = in;
    node->n_in = n_in;
}

/* Depthwise: each lane is a channel with its own filter. */
static void pack_depthwise(Graph *graph, Node *node, const Target *target)
{
    ConvPhase y = conv_phase(node, 0, 0), x = conv_phase(node, 1, 0);
    node->in[1] = pack_phase(graph, node, target->vector, 1, false, 0, &y, &x);
}

void pack_filters(Graph *graph, const Target *target)
{
    int count = graph->n_nodes;
    Node **nodes = ARENA_ARRAY(graph->arena, Node *, count);
    memcpy(nodes, graph->nodes, sizeof *nodes * (size_t)count);
    for (int k = 0; k < count; k++) {
        if (nodes[k]->op != OP_CONV2D && nodes[k]->op != OP_CONV_TRANSPOSE2D) continue;
        if (conv_uses_template(nodes[k]))
            pack_template(graph, nodes[k], target);
        else
            pack_depthwise(graph, nodes[k], target);
    }
    graph_sort(graph);
}
