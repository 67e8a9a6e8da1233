/* Gradients of batch_norm: over running statistics, which are constants here, and over the batch's own. */
#include "op_rules.h"
#include "pass_build.h"

static Type per_channel(const Node *node)
{
    Type type = {.dtype = F32, .rank = node->type.rank};
    for (int d = 0; d < type.rank; d++) type.dim[d] = d == 1 ? node->type.dim[1] : 1;
    return type;
}

/* y = (x - mean) * d * weight + bias, d = 1 / sqrt(variance + eps) */
Node *batch_norm_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *x = node->in[0], *weight = node->in[1], *mean = node->in[3], *variance = node->in[4];
    Type channels = per_channel(node);
    if (input > 2) return NULL;
    if (input == 2)
        return build_reshape(graph, node, build_sum_to(graph, node, gradient, channels), weight->type);
    Node *deviation = graph_add(graph, OP_RSQRT, node->name, node->pos, &variance, 1);
    node_set_float(deviation, A_EPS, node_float(node, A_EPS));
    graph_settle(graph, deviation);
    if (input == 0) {
        Node *scale = build_binary(graph, OP_MUL, node, weight, deviation);
        return build_binary(graph, OP_MUL, node, gradient, build_reshape(graph, node, scale, channels));
    }
    Node *centred = build_binary(graph, OP_SUB, node, x, build_reshape(graph, node, mean, channels));
    Node *sum = build_sum_to(graph, node, build_binary(graph, OP_MUL, node, gradient, centred), channels);
    return build_binary(graph, OP_MUL, node, build_reshape(graph, node, sum, weight->type), deviation);
}

static Node *norm_sums(Graph *graph, Node *node, Node *gradient)
{
    Node *in[3] = {gradient, node->in[0], node->in[3]};
    Node *sums = graph_add(graph, OP_BATCH_NORM_SUMS, node->name, node->pos, in, 3);
    node_set_float(sums, A_EPS, node_float(node, A_EPS));
    return graph_settle(graph, sums);
}

static Node *input_gradient(Graph *graph, Node *node, Node *gradient, Node *sums)
{
    Node *from[3] = {node->in[1], node->in[3], sums};
    Node *slopes = graph_add(graph, OP_BATCH_NORM_SLOPES, node->name, node->pos, from, 3);
    node_set_float(slopes, A_EPS, node_float(node, A_EPS));
    node_set_float(slopes, A_SCALE, (double)node->type.dim[1] / (double)type_elements(node->type));
    graph_settle(graph, slopes);
    Node *in[3] = {gradient, node->in[0], slopes};
    return graph_make(graph, OP_BATCH_NORM_INPUT_GRAD, node, in, 3);
}

/* The gradient of x counts what x does to the statistics, so these have none of their own. */
Node *batch_norm_train_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    if (input > 2) return NULL;
    Node *sums = norm_sums(graph, node, gradient);
    if (input == 0) return input_gradient(graph, node, gradient, sums);
    Node *row = graph_add(graph, OP_TABLE_ROW, node->name, node->pos, &sums, 1);
    node_set_int(row, A_START, input == 1 ? 1 : 0);
    return graph_settle(graph, row);
}
