/* Gradients of elementwise operators, of sums and of softmax: see GradRule in op.h. Where inputs were
 * stretched to the output's shape, their gradients are summed back to theirs. */
#include "op_rules.h"
#include "pass_build.h"

Node *relu_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input; /* by the output, so that the input need not be kept */
    return build_binary(graph, OP_RELU_GRAD, node, gradient, node);
}

/* With a slope above 0 the output has the input's sign, so that the input need not be kept. */
Node *leaky_relu_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    double slope = node_float(node, A_NEGATIVE_SLOPE);
    Node *in[2] = {gradient, slope >= 0 ? node : node->in[0]};
    Node *made = graph_add(graph, OP_LEAKY_RELU_GRAD, node->name, node->pos, in, 2);
    node_set_float(made, A_NEGATIVE_SLOPE, slope);
    return graph_settle(graph, made);
}

Node *prelu_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *weight = node->in[1];
    Type per_channel = {.dtype = F32, .rank = node->type.rank};
    for (int d = 0; d < per_channel.rank; d++) per_channel.dim[d] = d == 1 ? weight->type.dim[0] : 1;
    if (input == 0) {
        Node *slope = build_reshape(graph, node, weight, per_channel);
        Node *in[3] = {gradient, node->in[0], slope};
        return graph_make(graph, OP_PRELU_GRAD, node, in, 3);
    }
    Node *part = build_binary(graph, OP_PRELU_WEIGHT_GRAD, node, gradient, node->in[0]);
    return build_reshape(graph, node, build_sum_to(graph, node, part, per_channel), weight->type);
}

Node *sigmoid_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    return build_binary(graph, OP_SIGMOID_GRAD, node, gradient, node);
}

Node *affine_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    return build_scaled(graph, node, gradient, node_float(node, A_SCALE));
}

/* y = (x + eps)^-1/2: dy/dx = -y^3 / 2 */
Node *rsqrt_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    Node *in[4] = {gradient, node, node, node};
    return build_scaled(graph, node, graph_make(graph, OP_MUL, node, in, 4), -0.5);
}

Node *add_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    return build_sum_to(graph, node, gradient, node->in[input]->type);
}

Node *sub_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *part = input == 0 ? gradient : build_scaled(graph, node, gradient, -1);
    return build_sum_to(graph, node, part, node->in[input]->type);
}

Node *mul_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *part = gradient;
    for (int i = 0; i < node->n_in; i++)
        if (i != input) part = build_binary(graph, OP_MUL, node, part, node->in[i]);
    return build_sum_to(graph, node, part, node->in[input]->type);
}

/* y = a / b: da = g / b, db = -g y / b */
Node *div_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *part = build_binary(graph, OP_DIV, node, gradient, node->in[1]);
    if (input == 1) {
        part = build_binary(graph, OP_MUL, node, part, node);
        part = build_scaled(graph, node, part, -1);
    }
    return build_sum_to(graph, node, part, node->in[input]->type);
}

Node *scale_shift_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *part = gradient;
    if (input < 2) part = build_binary(graph, OP_MUL, node, gradient, node->in[1 - input]);
    return build_sum_to(graph, node, part, node->in[input]->type);
}

Node *sum_to_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    return build_expand(graph, node, gradient, node->in[input]->type);
}

Node *expand_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    return build_sum_to(graph, node, gradient, node->in[input]->type);
}

static Node *share(Graph *graph, const Node *node, Node *gradient)
{
    return build_scaled(graph, node, gradient, 1.0 / (double)type_elements(node->in[0]->type));
}

Node *mean_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    return build_expand(graph, node, share(graph, node, gradient), node->in[input]->type);
}

Node *l1_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *in[3] = {share(graph, node, gradient), node->in[input], node->in[1 - input]};
    return graph_make(graph, OP_L1_GRAD, node, in, 3);
}

static Node *along_dim(Graph *graph, Op op, Node *node, Node *gradient)
{
    Node *in[2] = {gradient, node};
    Node *made = graph_add(graph, op, node->name, node->pos, in, 2);
    node_set_int(made, A_DIM, node_int(node, A_DIM));
    return graph_settle(graph, made);
}

Node *softmax_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    return along_dim(graph, OP_SOFTMAX_GRAD, node, gradient);
}

Node *log_softmax_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    return along_dim(graph, OP_LOG_SOFTMAX_GRAD, node, gradient);
}
