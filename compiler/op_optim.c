/* What training programs hold besides networks: constants, numbers that the host sets, and optimisers. How an
 * optimiser's kernel looks is in lower_optim.c. */
#include "op_rules.h"

bool scalar_shape(Graph *graph, Node *node)
{
    (void)graph;
    node->type = (Type){.dtype = F32, .rank = 0};
    return true;
}

Expr *constant_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)in;
    return expr_float(b, node_float(node, A_VALUE));
}

bool tunable_shape(Graph *graph, Node *node)
{
    (void)graph;
    const Attr *shape = node_attr(node, A_SHAPE);
    node->type = (Type){.dtype = F32, .rank = shape->n};
    for (int i = 0; i < shape->n; i++) node->type.dim[i] = shape->i[i];
    return true;
}

/* Inputs: parameter, gradient, hyper, states. All of the parameter's type but hyper. */
bool optimizer_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    for (int i = 1; i < node->n_in; i++)
        if (i != 2 && !type_equal(node->in[i]->type, type))
            return shape_error(graph, node, "the parameter is %s, and input %d is %s",
                               type_text(graph->arena, type), i, type_text(graph->arena, node->in[i]->type));
    node->type = type;
    return true;
}

/* As torch.nn.utils.clip_grad_norm_. */
Expr *clip_factor_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *norm = expr_op2(b, EXPR_ADD, expr_op1(b, EXPR_SQRT, in[0]), expr_float(b, 1e-6));
    Expr *factor = expr_op2(b, EXPR_DIV, expr_float(b, node_float(node, A_VALUE)), norm);
    return expr_op2(b, EXPR_MIN, factor, expr_float(b, 1));
}
