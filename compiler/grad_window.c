/* Gradients of pools and of resize: each input gathers from the outputs that read it. See
 * lower_window_grad.c. */
#include "op_rules.h"
#include "pass_build.h"

/* A node of this operator with the pool's window, of a result as large as the pool's input. */
static Node *pool_gradient(Graph *graph, Op op, const Node *pool, Node *const *in, int n_in)
{
    Type from = pool->in[0]->type;
    Node *node = graph_add(graph, op, pool->name, pool->pos, in, n_in);
    node_copy_pair(node, pool, A_KERNEL);
    node_copy_pair(node, pool, A_STRIDE);
    node_copy_pair(node, pool, A_PADDING);
    node_set_pair(node, A_SIZE, from.dim[2], from.dim[3]);
    return node;
}

/* Which element of each window was the largest is looked up once more, then everyone asks its windows. */
Node *max_pool2d_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Node *tap = graph_add(graph, OP_MAX_POOL2D_TAP, node->name, node->pos, &node->in[input], 1);
    node_copy_pair(tap, node, A_KERNEL);
    node_copy_pair(tap, node, A_STRIDE);
    node_copy_pair(tap, node, A_PADDING);
    node_copy_pair(tap, node, A_DILATION);
    node_set_bool(tap, A_CEIL_MODE, node_bool(node, A_CEIL_MODE));
    graph_settle(graph, tap);
    Node *in[2] = {gradient, tap};
    Node *made = pool_gradient(graph, OP_MAX_POOL2D_GRAD, node, in, 2);
    node_copy_pair(made, node, A_DILATION);
    return graph_settle(graph, made);
}

Node *avg_pool2d_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    Node *made = pool_gradient(graph, OP_AVG_POOL2D_GRAD, node, &gradient, 1);
    node_set_bool(made, A_COUNT_INCLUDE_PAD, node_bool(node, A_COUNT_INCLUDE_PAD));
    return graph_settle(graph, made);
}

Node *global_avg_pool_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Type type = node->in[input]->type;
    Node *share = build_scaled(graph, node, gradient, 1.0 / (double)(type.dim[2] * type.dim[3]));
    return build_expand(graph, node, share, type);
}

/* Rows first, then columns of what is left: each is one axis. */
Node *resize_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    if (input > 0) return NULL; /* gives the size only */
    Type from = node->in[0]->type;
    for (int dim = 2; dim < 4; dim++) {
        if (gradient->type.dim[dim] == from.dim[dim] && !node_has(node, A_SCALE_FACTOR)) continue;
        Node *axis = graph_add(graph, OP_RESIZE_GRAD, node->name, node->pos, &gradient, 1);
        node_set_int(axis, A_DIM, dim);
        node_set_int(axis, A_END, from.dim[dim]);
        node_set_string(axis, A_MODE, node_string(node, A_MODE));
        node_set_bool(axis, A_ALIGN_CORNERS, node_bool(node, A_ALIGN_CORNERS));
        if (node_has(node, A_SCALE_FACTOR))
            node_set_float(axis, A_SCALE_FACTOR, node_float(node, A_SCALE_FACTOR));
        gradient = graph_settle(graph, axis);
    }
    return gradient;
}
