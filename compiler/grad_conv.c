/* Gradients of contractions, with gy that of the result (its type is the node's):
 *
 *     of y = conv2d x, w
 *         x: conv2d gy, flip_filter w      where the stride is 1, so that minimal filtering serves it
 *            conv_transpose2d gy, w        elsewhere
 *         w: conv2d_grad_filter x, gy
 *     of y = conv_transpose2d x, w
 *         x: conv2d gy, w
 *         w: conv2d_grad_filter gy, x      input and result have changed places
 *     of both
 *         b: the sum of gy over all but the channels
 *
 * linear is a 1x1 convolution of pictures of one pixel. */
#include "op_rules.h"
#include "pass_build.h"

static void copy_window(Node *to, const Node *from)
{
    static const AttrName window[] = {A_KERNEL, A_STRIDE, A_PADDING, A_DILATION};
    for (int i = 0; i < 4; i++) node_copy_pair(to, from, window[i]);
    node_set_int(to, A_GROUPS, node_int(from, A_GROUPS));
}

/* A convolution of either kind with node's window, without a bias. */
static Node *convolve(Graph *graph, Op op, const Node *node, Node *value, Node *weight, int64_t filters)
{
    Node *made = graph_add(graph, op, node->name, node->pos, (Node *[]){value, weight}, 2);
    node_set_int(made, A_FILTERS, filters);
    copy_window(made, node);
    node_set_bool(made, A_BIAS, false);
    return made;
}

static Node *filter_gradient(Graph *graph, const Node *node, Node *x, Node *gy)
{
    Node *made = graph_add(graph, OP_CONV2D_GRAD_FILTER, node->name, node->pos, (Node *[]){x, gy}, 2);
    copy_window(made, node);
    return graph_settle(graph, made);
}

static Node *bias_gradient(Graph *graph, const Node *node, Node *gradient)
{
    int64_t channels = gradient->type.dim[1];
    Node *sum = build_sum_to(graph, node, gradient, type_picture(1, channels, 1, 1));
    return build_reshape(graph, node, sum, (Type){.dtype = F32, .rank = 1, .dim = {channels}});
}

/* Every input pixel lies under each tap once, as in a convolution the other way, with this padding. */
static int64_t mirrored_padding(const Node *node, int axis)
{
    return node_axis(node, A_DILATION, axis) * (node_axis(node, A_KERNEL, axis) - 1) -
           node_axis(node, A_PADDING, axis);
}

static bool is_mirrored(const Node *node)
{
    bool mirrored = node_int(node, A_GROUPS) == 1;
    for (int axis = 0; axis < 2; axis++)
        mirrored &= node_axis(node, A_STRIDE, axis) == 1 && mirrored_padding(node, axis) >= 0;
    return mirrored;
}

static Node *mirror(Graph *graph, const Node *node, Node *gradient)
{
    Node *flipped = graph_make(graph, OP_FLIP_FILTER, node, &node->in[1], 1);
    Node *made = convolve(graph, OP_CONV2D, node, gradient, flipped, node->in[0]->type.dim[1]);
    node_set_pair(made, A_PADDING, mirrored_padding(node, 0), mirrored_padding(node, 1));
    return graph_settle(graph, made);
}

/* Rows at the end that no whole window covers, fewer than the stride, are output padding the other way. */
static Node *spread(Graph *graph, const Node *node, Node *gradient)
{
    int64_t left[2];
    for (int axis = 0; axis < 2; axis++) {
        int64_t span = node_axis(node, A_DILATION, axis) * (node_axis(node, A_KERNEL, axis) - 1) + 1;
        int64_t padded = node->in[0]->type.dim[2 + axis] + 2 * node_axis(node, A_PADDING, axis);
        left[axis] = (padded - span) % node_axis(node, A_STRIDE, axis);
    }
    Node *made = convolve(graph, OP_CONV_TRANSPOSE2D, node, gradient, node->in[1], node->in[0]->type.dim[1]);
    node_set_pair(made, A_OUTPUT_PADDING, left[0], left[1]);
    return graph_settle(graph, made);
}

Node *conv2d_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    switch (input) {
    case 0: return is_mirrored(node) ? mirror(graph, node, gradient) : spread(graph, node, gradient);
    case 1: return filter_gradient(graph, node, node->in[0], gradient);
    default: return bias_gradient(graph, node, gradient);
    }
}

/* An output padding of a stride or more (below the dilation) leaves room for more windows than the input has
 * pixels. */
static Node *cut(Graph *graph, const Node *node, Node *value)
{
    for (int axis = 0; axis < 2; axis++) {
        int64_t size = node->in[0]->type.dim[2 + axis];
        if (value->type.dim[2 + axis] == size) continue;
        value = graph_add(graph, OP_SLICE, node->name, node->pos, &value, 1);
        node_set_int(value, A_DIM, 2 + axis);
        node_set_int(value, A_END, size);
        graph_settle(graph, value);
    }
    return value;
}

Node *conv_transpose2d_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    switch (input) {
    case 0: {
        int64_t channels = node->in[0]->type.dim[1];
        Node *gathered = convolve(graph, OP_CONV2D, node, gradient, node->in[1], channels);
        return cut(graph, node, graph_settle(graph, gathered));
    }
    case 1: return filter_gradient(graph, node, gradient, node->in[0]);
    default: return bias_gradient(graph, node, gradient);
    }
}

Node *linear_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Type in = node->in[0]->type, weight = node->in[1]->type;
    int64_t features = weight.dim[0], inputs = weight.dim[1], pixels = type_elements(in) / inputs;
    Node *gy = build_reshape(graph, node, gradient, type_picture(pixels, features, 1, 1));
    if (input == 2) return bias_gradient(graph, node, gy);
    Node *other = node->in[1 - input], *made;
    if (input == 0) {
        Node *filters = build_reshape(graph, node, other, type_picture(features, inputs, 1, 1));
        made = graph_add(graph, OP_CONV_TRANSPOSE2D, node->name, node->pos, (Node *[]){gy, filters}, 2);
        node_set_int(made, A_FILTERS, inputs);
        node_set_bool(made, A_BIAS, false);
    } else {
        Node *x = build_reshape(graph, node, other, type_picture(pixels, inputs, 1, 1));
        made = graph_add(graph, OP_CONV2D_GRAD_FILTER, node->name, node->pos, (Node *[]){x, gy}, 2);
    }
    node_set_pair(made, A_KERNEL, 1, 1);
    return build_reshape(graph, node, graph_settle(graph, made), node->in[input]->type);
}

/* ---- what gradients are made of ---------------------------------------------------------------------------
 */

bool flip_filter_shape(Graph *graph, Node *node)
{
    if (!op_want_picture(graph, node)) return false;
    Type in = node->in[0]->type;
    node->type = type_picture(in.dim[1], in.dim[0], in.dim[2], in.dim[3]);
    return true;
}

static bool check_windows(Graph *graph, const Node *node, int axis)
{
    static const char *const what[2] = {"rows", "columns"};
    long long span = node_axis(node, A_DILATION, axis) * (node_axis(node, A_KERNEL, axis) - 1) + 1;
    long long size = node->in[0]->type.dim[2 + axis], windows = node->in[1]->type.dim[2 + axis];
    long long padded = size + 2 * node_axis(node, A_PADDING, axis);
    long long needed = (windows - 1) * node_axis(node, A_STRIDE, axis) + span;
    if (needed <= padded) return true;
    return shape_error(graph, node, "%lld %s of windows span %lld, and the padded input has %lld", windows,
                       what[axis], needed, padded);
}

bool conv2d_grad_filter_shape(Graph *graph, Node *node)
{
    Type x = node->in[0]->type, gy = node->in[1]->type;
    if (!op_want_picture(graph, node) || !op_want_f32(graph, node, 1)) return false;
    if (gy.rank != 4 || gy.dim[0] != x.dim[0])
        return shape_error(graph, node, "takes gradients of as many pictures as there are, not %s",
                           type_text(graph->arena, gy));
    if (!op_want_at_least(graph, node, A_KERNEL, 1) || !op_want_at_least(graph, node, A_STRIDE, 1) ||
        !op_want_at_least(graph, node, A_PADDING, 0) || !op_want_at_least(graph, node, A_DILATION, 1) ||
        !op_want_at_least(graph, node, A_GROUPS, 1))
        return false;
    long long groups = node_int(node, A_GROUPS), channels = x.dim[1], filters = gy.dim[1];
    if (channels % groups || filters % groups)
        return shape_error(graph, node, "%lld channels and %lld filters do not divide into %lld groups",
                           channels, filters, groups);
    if (!check_windows(graph, node, 0) || !check_windows(graph, node, 1)) return false;
    node->type =
        type_picture(filters, channels / groups, node_rows(node, A_KERNEL), node_columns(node, A_KERNEL));
    return true;
}

/* As many as the convolution: each product of a filter's element is one here. */
int64_t conv2d_grad_filter_count(const Node *node)
{
    return type_elements(node->in[1]->type) * (type_elements(node->type) / node->type.dim[0]);
}
