/* Reductions over dimensions: shapes and counts. */
#include "op_rules.h"

bool global_avg_pool_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    if (!op_want_picture(graph, node)) return false;
    node->type = type_picture(in.dim[0], in.dim[1], 1, 1);
    return true;
}

/* One per input element. */
int64_t global_avg_pool_count(const Node *node)
{
    return type_elements(node->in[0]->type);
}

bool softmax_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 1) || !op_resolve_dim(graph, node, node->in[0]->type.rank)) return false;
    node->type = node->in[0]->type;
    return true;
}

/* A gradient and the operator's output, along the same dimension. */
bool softmax_grad_shape(Graph *graph, Node *node)
{
    return softmax_shape(graph, node) && gradient_pair_shape(graph, node);
}

/* Indices are compared as floats, which hold integers up to this. */
enum { MAX_ARGMAX = 1 << 24 };

bool argmax_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    if (!op_want_rank(graph, node, 2) || !op_resolve_dim(graph, node, in.rank)) return false;
    int dim = (int)node_int(node, A_DIM), kept = 0;
    if (in.dim[dim] > MAX_ARGMAX)
        return shape_error(graph, node, "over %lld values; the most is %lld", (long long)in.dim[dim],
                           (long long)MAX_ARGMAX);
    node->type = (Type){.dtype = I32, .rank = in.rank - 1};
    for (int i = 0; i < in.rank; i++)
        if (i != dim) node->type.dim[kept++] = in.dim[i];
    return true;
}
