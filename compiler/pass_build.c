/* See pass_build.h. */
#include "pass_build.h"

Node *build_reshape(Graph *graph, const Node *like, Node *value, Type type)
{
    if (type_equal(value->type, type)) return value;
    Node *node = graph_add(graph, OP_RESHAPE, like->name, like->pos, &value, 1);
    node_set_ints(node, A_SHAPE, type.dim, type.rank);
    return graph_settle(graph, node);
}

Node *build_binary(Graph *graph, Op op, const Node *like, Node *x, Node *y)
{
    return graph_make(graph, op, like, (Node *[]){x, y}, 2);
}

Node *build_again(Graph *graph, const Node *node, Node *const *in, int n_in)
{
    Node *again = graph_add(graph, node->op, node->name, node->pos, in, n_in);
    node_copy_attrs(again, node);
    return graph_settle(graph, again);
}

Node *build_scaled(Graph *graph, const Node *like, Node *value, double factor)
{
    Node *node = graph_add(graph, OP_AFFINE, like->name, like->pos, &value, 1);
    node_set_float(node, A_SCALE, factor);
    return graph_settle(graph, node);
}

static Node *to_shape(Graph *graph, Op op, const Node *like, Node *value, Type type)
{
    if (type_equal(value->type, type)) return value;
    Node *node = graph_add(graph, op, like->name, like->pos, &value, 1);
    node_set_ints(node, A_SHAPE, type.dim, type.rank);
    return graph_settle(graph, node);
}

Node *build_sum_to(Graph *graph, const Node *like, Node *value, Type type)
{
    return to_shape(graph, OP_SUM_TO, like, value, type);
}

Node *build_expand(Graph *graph, const Node *like, Node *value, Type type)
{
    return to_shape(graph, OP_EXPAND, like, value, type);
}
