/* Convolutions and linear: parameters, shapes, counts. Formulas, conditions and initial values are those of
 * torch.nn.Conv2d, ConvTranspose2d and Linear: weights and biases start uniform within 1 / sqrt(fan), fan
 * being the elements of one slice of the weight along its first axis. */
#include "op_rules.h"

#include <math.h>

static bool check_groups(Graph *graph, const Node *node)
{
    long long groups = node_int(node, A_GROUPS), filters = node_int(node, A_FILTERS);
    long long channels = node->in[0]->type.dim[1];
    if (!op_want_at_least(graph, node, A_GROUPS, 1) || !op_want_at_least(graph, node, A_FILTERS, 1))
        return false;
    if (channels % groups)
        return shape_error(graph, node, "%lld input channels do not divide into %lld groups", channels,
                           groups);
    if (filters % groups)
        return shape_error(graph, node, "%lld filters do not divide into %lld groups", filters, groups);
    return true;
}

/* What conv2d and conv_transpose2d ask for alike, before any formula. */
static bool check_conv(Graph *graph, const Node *node)
{
    return op_want_picture(graph, node) && op_want_at_least(graph, node, A_KERNEL, 1) &&
           op_want_at_least(graph, node, A_STRIDE, 1) && op_want_at_least(graph, node, A_PADDING, 0) &&
           op_want_at_least(graph, node, A_DILATION, 1) && check_groups(graph, node);
}

/* The weight and, if the node has one, the bias; returns how many. */
static int affine_params(const Node *node, Type weight, int64_t outputs, ParamSpec specs[MAX_PARAM_SPECS])
{
    double fan = (double)type_elements(weight) / (double)weight.dim[0];
    ParamInit init = {.kind = PARAM_UNIFORM, .value = 1 / sqrt(fan)};
    specs[0] = (ParamSpec){"weight", weight, init};
    if (!node_bool(node, A_BIAS)) return 1;
    specs[1] = (ParamSpec){"bias", {.dtype = F32, .rank = 1, .dim = {outputs}}, init};
    return 2;
}

int conv2d_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    if (!check_conv(graph, node)) return -1;
    int64_t filters = node_int(node, A_FILTERS), inputs = node->in[0]->type.dim[1] / node_int(node, A_GROUPS);
    int64_t rows = node_rows(node, A_KERNEL), columns = node_columns(node, A_KERNEL);
    return affine_params(node, type_picture(filters, inputs, rows, columns), filters, specs);
}

bool conv2d_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    node->type = type_picture(in.dim[0], node_int(node, A_FILTERS), 0, 0);
    for (int axis = 0; axis < 2; axis++) {
        int64_t dilation = node_attr(node, A_DILATION)->i[axis], stride = node_attr(node, A_STRIDE)->i[axis];
        int64_t span = dilation * (node_attr(node, A_KERNEL)->i[axis] - 1) + 1;
        int64_t padded = in.dim[2 + axis] + 2 * node_attr(node, A_PADDING)->i[axis];
        if (padded < span) return op_no_place(graph, node, axis, dilation);
        node->type.dim[2 + axis] = (padded - span) / stride + 1;
    }
    return true;
}

/* One per product; the bias is free. */
/* From attributes: a packed filter's shape is another. */
int64_t conv2d_count(const Node *node)
{
    int64_t window = node_rows(node, A_KERNEL) * node_columns(node, A_KERNEL);
    return type_elements(node->type) * (node->in[0]->type.dim[1] / node_int(node, A_GROUPS)) * window;
}

int conv_transpose2d_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    if (!check_conv(graph, node)) return -1;
    int64_t filters = node_int(node, A_FILTERS), groups = node_int(node, A_GROUPS);
    int64_t inputs = node->in[0]->type.dim[1];
    int64_t rows = node_rows(node, A_KERNEL), columns = node_columns(node, A_KERNEL);
    return affine_params(node, type_picture(inputs, filters / groups, rows, columns), filters, specs);
}

static bool check_output_padding(Graph *graph, const Node *node, int axis)
{
    long long extra = node_attr(node, A_OUTPUT_PADDING)->i[axis];
    long long stride = node_attr(node, A_STRIDE)->i[axis], dilation = node_attr(node, A_DILATION)->i[axis];
    if (!op_want_at_least(graph, node, A_OUTPUT_PADDING, 0)) return false;
    if (extra < stride || extra < dilation) return true;
    return shape_error(graph, node,
                       "'output_padding' %lld must be smaller than the stride %lld or the dilation %lld",
                       extra, stride, dilation);
}

bool conv_transpose2d_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    node->type = type_picture(in.dim[0], node_int(node, A_FILTERS), 0, 0);
    for (int axis = 0; axis < 2; axis++) {
        if (!check_output_padding(graph, node, axis)) return false;
        long long stride = node_attr(node, A_STRIDE)->i[axis], padding = node_attr(node, A_PADDING)->i[axis];
        long long span = node_attr(node, A_DILATION)->i[axis] * (node_attr(node, A_KERNEL)->i[axis] - 1) + 1;
        long long extra = node_attr(node, A_OUTPUT_PADDING)->i[axis], size = in.dim[2 + axis];
        node->type.dim[2 + axis] = (size - 1) * stride - 2 * padding + span + extra;
        if (node->type.dim[2 + axis] < 1)
            return shape_error(graph, node,
                               "(%s %lld - 1) * stride %lld - 2*%lld padding + %lld leaves no %s",
                               axis == 0 ? "height" : "width", size, stride, padding, span + extra,
                               axis == 0 ? "row" : "column");
    }
    return true;
}

/* One per product, counted from the input's side: every input element meets every tap of its filters. */
int64_t conv_transpose2d_count(const Node *node)
{
    int64_t window = node_rows(node, A_KERNEL) * node_columns(node, A_KERNEL);
    return type_elements(node->in[0]->type) * (node->type.dim[1] / node_int(node, A_GROUPS)) * window;
}

int linear_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    Type in = node->in[0]->type;
    if (!op_want_rank(graph, node, 1) || !op_want_at_least(graph, node, A_FEATURES, 1)) return -1;
    int64_t features = node_int(node, A_FEATURES), inputs = in.dim[in.rank - 1];
    return affine_params(node, (Type){.dtype = F32, .rank = 2, .dim = {features, inputs}}, features, specs);
}

bool linear_shape(Graph *graph, Node *node)
{
    (void)graph;
    node->type = node->in[0]->type;
    node->type.dim[node->type.rank - 1] = node_int(node, A_FEATURES);
    return true;
}

int64_t linear_count(const Node *node)
{
    return type_elements(node->type) * node->in[1]->type.dim[1];
}
