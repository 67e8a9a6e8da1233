/* Batch normalisation over running statistics, as torch.nn.BatchNorm2d in eval mode. */
#include "op_rules.h"

/* weight 1, bias 0, mean 0, variance 1: an untrained network normalises nothing. */
int batch_norm_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    if (!op_want_rank(graph, node, 2)) return -1;
    Type type = {.dtype = F32, .rank = 1, .dim = {node->in[0]->type.dim[1]}};
    specs[0] = (ParamSpec){"weight", type, {.kind = PARAM_ONE}};
    specs[1] = (ParamSpec){"bias", type, {.kind = PARAM_ZERO}};
    specs[2] = (ParamSpec){"running_mean", type, {.kind = PARAM_ZERO, .statistic = true}};
    specs[3] = (ParamSpec){"running_var", type, {.kind = PARAM_ONE, .statistic = true}};
    return 4;
}

bool batch_norm_shape(Graph *graph, Node *node)
{
    if (node_float(node, A_EPS) < 0)
        return shape_error(graph, node, "'eps' must not be negative: %g", node_float(node, A_EPS));
    node->type = node->in[0]->type;
    return true;
}

/* A scale and a shift: 2 per element. */
int64_t batch_norm_count(const Node *node)
{
    return 2 * type_elements(node->in[0]->type);
}

Expr *batch_norm_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *x = in[0], *weight = in[1], *bias = in[2], *mean = in[3], *variance = in[4];
    Expr *root =
        expr_op1(b, EXPR_SQRT, expr_op2(b, EXPR_ADD, variance, expr_float(b, node_float(node, A_EPS))));
    Expr *normal = expr_op2(b, EXPR_DIV, expr_op2(b, EXPR_SUB, x, mean), root);
    return expr_op2(b, EXPR_ADD, expr_op2(b, EXPR_MUL, normal, weight), bias);
}
