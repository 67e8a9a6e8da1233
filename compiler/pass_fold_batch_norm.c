/* Fold batch_norm: with running statistics it is a scale and a shift per channel, known once weights are.
 *
 *     scale = weight / sqrt(running_var + eps)
 *     shift = bias - running_mean * scale
 *
 * After a convolution that nobody else reads they go into its filters and bias, at no cost per image.
 * Anywhere else (after a concat or an add) one scale_shift remains. All of it is made of ordinary nodes over
 * parameters, so it is computed when weights are loaded, by the same kernels as everything else.
 *
 *     before: %4: ... = conv2d %1, %2 {filters=8, kernel=3, bias=false}
 *             %5: ... = batch_norm %4, %w, %b, %m, %v
 *     after:  %6: f32[8] = rsqrt %v {eps=1e-05}
 *             %7: f32[8] = mul %w, %6
 *             %8: f32[8,1,1,1] = reshape %7 {shape=[8,1,1,1]}
 *             %9: ... = mul %2, %8
 *             %10: f32[8] = mul %m, %7
 *             %11: f32[8] = sub %b, %10
 *             %12: ... = conv2d %1, %9, %11 {filters=8, kernel=3}
 */
#include "pass.h"
#include "pass_build.h"

typedef struct ScaleShift {
    Node *scale, *shift; /* f32[C] */
} ScaleShift;

/* before: what the convolution adds per channel before the norm, or NULL. */
static ScaleShift scale_shift_of(Graph *graph, Node *norm, Node *before)
{
    Node *weight = norm->in[1], *bias = norm->in[2], *mean = norm->in[3], *variance = norm->in[4];
    Node *root = graph_add(graph, OP_RSQRT, norm->name, norm->pos, &variance, 1);
    node_set_float(root, A_EPS, node_float(norm, A_EPS));
    graph_settle(graph, root);
    Node *scale = build_binary(graph, OP_MUL, norm, weight, root);
    Node *shift;
    if (before) {
        Node *centred = build_binary(graph, OP_SUB, norm, before, mean);
        shift = build_binary(graph, OP_ADD, norm, bias, build_binary(graph, OP_MUL, norm, centred, scale));
    } else {
        shift = build_binary(graph, OP_SUB, norm, bias, build_binary(graph, OP_MUL, norm, mean, scale));
    }
    return (ScaleShift){scale, shift};
}

/* Filters times the scale of the channel that they make. Those of a transposed convolution are stored
 * [groups * in, out, kh, kw], in and out of one group: the scale belongs to a group's part of the first
 * dimension and to the second, so groups get a dimension of their own. */
static Node *scale_filters(Graph *graph, Node *conv, Node *scale)
{
    Node *filters = conv->in[1];
    Type type = filters->type;
    int64_t channels = scale->type.dim[0], groups = node_int(conv, A_GROUPS);
    if (conv->op == OP_CONV2D)
        return build_binary(graph, OP_MUL, conv, filters,
                            build_reshape(graph, conv, scale, type_picture(channels, 1, 1, 1)));
    if (groups == 1)
        return build_binary(graph, OP_MUL, conv, filters,
                            build_reshape(graph, conv, scale, type_picture(1, channels, 1, 1)));
    Type apart = {F32, 5, {groups, type.dim[0] / groups, type.dim[1], type.dim[2], type.dim[3]}};
    Type factor = {F32, 5, {groups, 1, channels / groups, 1, 1}};
    Node *parts = build_reshape(graph, conv, filters, apart);
    Node *factors = build_reshape(graph, conv, scale, factor);
    Node *scaled = build_binary(graph, OP_MUL, conv, parts, factors);
    return build_reshape(graph, conv, scaled, type);
}

static Node *fold_into_conv(Graph *graph, Node *norm, Node *conv)
{
    ScaleShift known = scale_shift_of(graph, norm, node_bool(conv, A_BIAS) ? conv->in[2] : NULL);
    Node *in[3] = {conv->in[0], scale_filters(graph, conv, known.scale), known.shift};
    Node *folded = graph_add(graph, conv->op, conv->name, conv->pos, in, 3);
    node_copy_attrs(folded, conv);
    node_set_bool(folded, A_BIAS, true);
    return graph_settle(graph, folded);
}

static Node *make_scale_shift(Graph *graph, Node *norm)
{
    ScaleShift known = scale_shift_of(graph, norm, NULL);
    Type type = {.dtype = F32, .rank = norm->type.rank};
    for (int i = 0; i < type.rank; i++) type.dim[i] = i == 1 ? norm->type.dim[1] : 1;
    Node *scale = build_reshape(graph, norm, known.scale, type);
    Node *shift = build_reshape(graph, norm, known.shift, type);
    Node *in[3] = {norm->in[0], scale, shift};
    return graph_make(graph, OP_SCALE_SHIFT, norm, in, 3);
}

bool pass_fold_batch_norm(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *norm = graph->nodes[i];
        if (norm->op != OP_BATCH_NORM) continue;
        Node *in = norm->in[0];
        bool conv = in->op == OP_CONV2D || in->op == OP_CONV_TRANSPOSE2D;
        Node *folded = conv && graph_uses(graph, in) == 1 ? fold_into_conv(graph, norm, in)
                                                          : make_scale_shift(graph, norm);
        graph_replace(graph, norm, folded);
        changed = true;
    }
    if (changed) graph_sort(graph);
    return changed;
}
