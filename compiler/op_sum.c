/* Sums, and what gives their gradients: shapes. How they are summed is in lower_sum.c. */
#include "op_rules.h"

bool op_is_sum(Op op)
{
    return op == OP_SUM_TO || op == OP_SUM || op == OP_MEAN || op == OP_L1 || op == OP_BATCH_STATISTICS ||
           op == OP_BATCH_NORM_SUMS;
}

/* The shape that an internal operator's attribute names; none: a scalar. */
static Type named_shape(const Node *node)
{
    const Attr *shape = node_attr(node, A_SHAPE);
    Type type = {.dtype = F32, .rank = shape->n};
    for (int i = 0; i < shape->n; i++) type.dim[i] = shape->i[i];
    return type;
}

/* Whether a value of type low, aligned at the last dimension, stretches to type high. */
static bool stretches(Type low, Type high)
{
    int shift = high.rank - low.rank;
    if (shift < 0) return false;
    for (int i = 0; i < low.rank; i++)
        if (low.dim[i] != high.dim[shift + i] && low.dim[i] != 1) return false;
    return true;
}

bool sum_to_shape(Graph *graph, Node *node)
{
    node->type = named_shape(node);
    if (!op_want_f32(graph, node, 0)) return false;
    if (stretches(node->type, node->in[0]->type)) return true;
    return shape_error(graph, node, "%s does not stretch to %s", type_text(graph->arena, node->type),
                       type_text(graph->arena, node->in[0]->type));
}

bool expand_shape(Graph *graph, Node *node)
{
    node->type = named_shape(node);
    if (!op_want_f32(graph, node, 0)) return false;
    if (stretches(node->in[0]->type, node->type)) return true;
    return shape_error(graph, node, "%s does not stretch to %s", type_text(graph->arena, node->in[0]->type),
                       type_text(graph->arena, node->type));
}

/* All elements to one number. */
bool total_shape(Graph *graph, Node *node)
{
    Type first = node->in[0]->type;
    for (int i = 0; i < node->n_in; i++) {
        if (!op_want_f32(graph, node, i)) return false;
        if (!type_equal(node->in[i]->type, first))
            return shape_error(graph, node, "takes two values of one shape, not %s and %s",
                               type_text(graph->arena, first), type_text(graph->arena, node->in[i]->type));
    }
    node->type = (Type){.dtype = F32, .rank = 0};
    return true;
}
