/* Batch normalisation over the batch's own statistics, and what its gradient is made of: see
 * train_batch_norm.h. The sums are in lower_sum.c; what is here is per channel, or an element from the
 * channel's numbers. */
#include "lower.h"
#include "op_rules.h"

Expr *lower_channel_value(Lowering *l, const Node *table, int rank, int row, const Coord *at)
{
    Expr *zero = expr_int(l->b, 0);
    Coord in = {
        .block = at->block, .n = expr_int(l->b, row), .cb = at->cb, .lane = at->lane, .y = zero, .x = zero};
    if (rank == 3) { /* whose channels are the view's rows */
        in.block = 1;
        in.cb = at->y;
        in.lane = zero;
    }
    return lower_value(l, table, &in);
}

Expr *lower_deviation(Lowering *l, const Node *node, const Node *statistics, int rank, const Coord *at)
{
    LoopBuilder *b = l->b;
    Expr *variance = lower_channel_value(l, statistics, rank, 1, at);
    Expr *shifted = expr_op2(b, EXPR_ADD, variance, expr_float(b, node_float(node, A_EPS)));
    return expr_op2(b, EXPR_DIV, expr_float(b, 1), expr_op1(b, EXPR_SQRT, shifted));
}

/* Where a vector [C] is read for an element of a table [rows,C]. */
static Coord vector_coord(Lowering *l, const Coord *at)
{
    Coord in = *at;
    in.n = expr_int(l->b, 0);
    return in;
}

/* rows[i] for row i of a table. */
static Expr *choose_row(LoopBuilder *b, const Coord *at, Expr *const *rows, int n)
{
    Expr *value = rows[n - 1];
    for (int i = n - 2; i >= 0; i--)
        value = expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_EQ, at->n, expr_int(b, i)), rows[i], value);
    return value;
}

/* scale = weight / sqrt(variance + eps), shift = bias - mean * scale */
Expr *batch_norm_scale_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    Coord channel = vector_coord(l, at);
    Expr *weight = lower_value(l, node->in[0], &channel), *bias = lower_value(l, node->in[1], &channel);
    Expr *mean = lower_channel_value(l, node->in[2], 2, 0, at);
    Expr *scale = expr_op2(b, EXPR_MUL, weight, lower_deviation(l, node, node->in[2], 2, at));
    scale = loop_let(b, "scale", scale);
    Expr *rows[2] = {scale, expr_op2(b, EXPR_SUB, bias, expr_op2(b, EXPR_MUL, mean, scale))};
    return choose_row(b, at, rows, 2);
}

Expr *batch_norm_train_lower(Lowering *l, const Node *node, const Coord *at)
{
    int rank = node->type.rank;
    Expr *x = lower_value(l, node->in[0], at);
    Expr *scale = lower_channel_value(l, node->in[4], rank, 0, at);
    return expr_op3(l->b, EXPR_FMA, x, scale, lower_channel_value(l, node->in[4], rank, 1, at));
}

/* With d = 1 / sqrt(variance + eps), s0 and s1 the sums of g and of g * (x - mean) * d, and m elements:
 *
 *     dx = weight * d * (g - s0 / m - (x - mean) * d * s1 / m) = a * g + b * (x - mean) + c
 *
 * Rows a, b, c, mean. */
Expr *batch_norm_slopes_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    Coord channel = vector_coord(l, at);
    Expr *weight = lower_value(l, node->in[0], &channel);
    Expr *share = expr_float(b, -node_float(node, A_SCALE));
    Expr *sum = lower_channel_value(l, node->in[2], 2, 0, at),
         *product = lower_channel_value(l, node->in[2], 2, 1, at);
    Expr *d = loop_let(b, "d", lower_deviation(l, node, node->in[1], 2, at));
    Expr *slope = loop_let(b, "a", expr_op2(b, EXPR_MUL, weight, d));
    Expr *shared = loop_let(b, "s", expr_op2(b, EXPR_MUL, slope, share));
    Expr *rows[4] = {slope, expr_op2(b, EXPR_MUL, expr_op2(b, EXPR_MUL, shared, d), product),
                     expr_op2(b, EXPR_MUL, shared, sum), lower_channel_value(l, node->in[1], 2, 0, at)};
    return choose_row(b, at, rows, 4);
}

Expr *batch_norm_input_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    Expr *row[4];
    for (int i = 0; i < 4; i++) row[i] = lower_channel_value(l, node->in[2], node->type.rank, i, at);
    Expr *centred = expr_op2(b, EXPR_SUB, lower_value(l, node->in[1], at), row[3]);
    Expr *rest = expr_op3(b, EXPR_FMA, centred, row[1], row[2]);
    return expr_op3(b, EXPR_FMA, lower_value(l, node->in[0], at), row[0], rest);
}

Expr *table_row_lower(Lowering *l, const Node *node, const Coord *at)
{
    return lower_channel_value(l, node->in[0], 1, (int)node_int(node, A_START), at);
}

/* (1 - momentum) * old + momentum * scale * new */
Expr *running_statistic_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    double momentum = node_float(node, A_MOMENTUM);
    Expr *fresh = lower_channel_value(l, node->in[1], 1, (int)node_int(node, A_START), at);
    Expr *kept = expr_op2(b, EXPR_MUL, lower_value(l, node->in[0], at), expr_float(b, 1 - momentum));
    return expr_op3(b, EXPR_FMA, fresh, expr_float(b, momentum * node_float(node, A_SCALE)), kept);
}
