/* Elementwise operators: shapes, and the scalar expression of one element. A per-channel parameter and a
 * broadcast input arrive in `in` as the value that belongs to the element. */
#include "op_rules.h"

/* ---- shapes ----------------------------------------------------------------------------------------------
 */

bool unary_shape(Graph *graph, Node *node)
{
    if (op_info(node->op)->class == CLASS_ELEMENTWISE && !op_want_f32(graph, node, 0)) return false;
    node->type = node->in[0]->type;
    return true;
}

int prelu_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    if (!op_want_rank(graph, node, 2)) return -1;
    Type type = {.dtype = F32, .rank = 1, .dim = {node->in[0]->type.dim[1]}};
    specs[0] = (ParamSpec){"weight", type, {.kind = PARAM_CONSTANT, .value = node_float(node, A_INIT)}};
    return 1;
}

bool prelu_shape(Graph *graph, Node *node)
{
    (void)graph;
    node->type = node->in[0]->type;
    return true;
}

/* A gradient, and what the operator read or made. */
bool gradient_pair_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    if (!op_want_f32(graph, node, 0) || !op_want_f32(graph, node, 1)) return false;
    if (!type_equal(node->in[1]->type, type))
        return shape_error(graph, node, "the gradient is %s, the value %s", type_text(graph->arena, type),
                           type_text(graph->arena, node->in[1]->type));
    node->type = type;
    return true;
}

/* PyTorch's rule: aligned at the last dimension; a dimension of 1, or none, stretches to the other's. */
static bool broadcast(Type *type, Type other)
{
    Type low = type->rank < other.rank ? *type : other, high = type->rank < other.rank ? other : *type;
    int shift = high.rank - low.rank;
    for (int i = 0; i < low.rank; i++) {
        int64_t a = low.dim[i], *b = &high.dim[shift + i];
        if (a != *b && a != 1 && *b != 1) return false;
        if (*b == 1) *b = a;
    }
    *type = high;
    return true;
}

bool broadcast_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    for (int i = 0; i < node->n_in; i++) {
        if (!op_want_f32(graph, node, i)) return false;
        if (!broadcast(&type, node->in[i]->type))
            return shape_error(graph, node,
                               "%s and %s do not broadcast: each pair of dimensions, from the last, must be "
                               "equal or hold a 1",
                               type_text(graph->arena, type), type_text(graph->arena, node->in[i]->type));
    }
    node->type = type;
    return true;
}

/* ---- scalar rules ----------------------------------------------------------------------------------------
 */

/* max passes a NaN on only from its second argument, and PyTorch's relu of NaN is NaN: hence the order. */
Expr *relu_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    return expr_op2(b, EXPR_MAX, expr_float(b, 0), in[0]);
}

static Expr *slope_below_zero(LoopBuilder *b, Expr *x, Expr *slope)
{
    Expr *positive = expr_op2(b, EXPR_LT, expr_float(b, 0), x);
    return expr_op3(b, EXPR_SELECT, positive, x, expr_op2(b, EXPR_MUL, slope, x));
}

Expr *leaky_relu_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    return slope_below_zero(b, in[0], expr_float(b, node_float(node, A_NEGATIVE_SLOPE)));
}

Expr *prelu_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    return slope_below_zero(b, in[0], in[1]);
}

Expr *sigmoid_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    Expr *one = expr_float(b, 1), *power = expr_op1(b, EXPR_EXP, expr_op1(b, EXPR_NEG, in[0]));
    return expr_op2(b, EXPR_DIV, one, expr_op2(b, EXPR_ADD, one, power));
}

Expr *affine_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *scale = expr_float(b, node_float(node, A_SCALE)), *shift = expr_float(b, node_float(node, A_SHIFT));
    return expr_op2(b, EXPR_ADD, expr_op2(b, EXPR_MUL, in[0], scale), shift);
}

Expr *rsqrt_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *shifted = expr_op2(b, EXPR_ADD, in[0], expr_float(b, node_float(node, A_EPS)));
    return expr_op2(b, EXPR_DIV, expr_float(b, 1), expr_op1(b, EXPR_SQRT, shifted));
}

static Expr *chain(LoopBuilder *b, const Node *node, Expr *const *in, ExprKind op)
{
    Expr *value = in[0];
    for (int i = 1; i < node->n_in; i++) value = expr_op2(b, op, value, in[i]);
    return value;
}

Expr *add_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    return chain(b, node, in, EXPR_ADD);
}

Expr *sub_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    return chain(b, node, in, EXPR_SUB);
}

Expr *mul_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    return chain(b, node, in, EXPR_MUL);
}

Expr *div_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    return chain(b, node, in, EXPR_DIV);
}

Expr *scale_shift_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    return expr_op3(b, EXPR_FMA, in[0], in[1], in[2]);
}

/* ---- gradients: the first input is the output's gradient -------------------------------------------------
 */

static Expr *where_positive(LoopBuilder *b, Expr *x, Expr *above, Expr *below)
{
    return expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_LT, expr_float(b, 0), x), above, below);
}

/* A NaN's gradient passes, as PyTorch's does. */
Expr *relu_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    Expr *cut = expr_op2(b, EXPR_LE, in[1], expr_float(b, 0));
    return expr_op3(b, EXPR_SELECT, cut, expr_float(b, 0), in[0]);
}

Expr *leaky_relu_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *slope = expr_float(b, node_float(node, A_NEGATIVE_SLOPE));
    return where_positive(b, in[1], in[0], expr_op2(b, EXPR_MUL, slope, in[0]));
}

Expr *prelu_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    return where_positive(b, in[1], in[0], expr_op2(b, EXPR_MUL, in[2], in[0]));
}

Expr *prelu_weight_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    return where_positive(b, in[1], expr_float(b, 0), expr_op2(b, EXPR_MUL, in[0], in[1]));
}

Expr *sigmoid_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    Expr *slope = expr_op2(b, EXPR_MUL, in[1], expr_op2(b, EXPR_SUB, expr_float(b, 1), in[1]));
    return expr_op2(b, EXPR_MUL, in[0], slope);
}

/* Where the two are equal it is 0, as PyTorch's. */
Expr *l1_grad_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    Expr *below = expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_LT, in[1], in[2]), expr_op1(b, EXPR_NEG, in[0]),
                           expr_float(b, 0));
    return expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_GT, in[1], in[2]), in[0], below);
}

Expr *expand_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)b;
    (void)node;
    return in[0];
}
