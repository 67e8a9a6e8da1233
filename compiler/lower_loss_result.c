/* The other kernels of losses: what is made of a loss_pass's pieces. See loss.h. */
#include "lower_loss.h"
#include "op_rules.h"

#include <string.h>

/* Element i of a node of rank 1. */
static Expr *element(Lowering *l, const Node *node, Expr *i)
{
    Expr *zero = expr_int(l->b, 0);
    return lower_value(l, node, &(Coord){.block = 1, .n = zero, .cb = i, .lane = zero, .y = zero, .x = zero});
}

/* Over the pieces in order. */
Expr *loss_sums_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *pieces = node->in[0];
    int64_t sums = node->type.dim[0], units = loss_form(pieces).units;
    Expr *u = loop_open_n(b, LOOP_REDUCE, "u", units);
    Expr *total = loop_carry(b, "total", expr_float(b, 0));
    Expr *piece = element(l, pieces, expr_add(b, expr_scale(b, u, sums), at->cb));
    Expr *next = expr_op2(b, EXPR_ADD, total, piece);
    loop_close(b, &next);
    return total;
}

/* numerator / denominator, 0 where the denominator is. */
static Expr *ratio(LoopBuilder *b, Expr *numerator, Expr *denominator)
{
    Expr *zero = expr_float(b, 0), *known = expr_op2(b, EXPR_EQ, denominator, zero);
    Expr *safe = expr_op3(b, EXPR_SELECT, known, expr_float(b, 1), denominator);
    return expr_op3(b, EXPR_SELECT, known, zero, expr_op2(b, EXPR_DIV, numerator, safe));
}

/* The sums of one class. */
typedef struct ClassSums {
    Expr *both, *sum, *labels; /* 2 sum(p r) + eps; sum(p) + sum(r) + eps; sum(r) */
    Expr *weight;              /* 1 where the class is in the mean and has a Dice by the formula, else 0 */
    Expr *in_mean;             /* 1 where it is in the mean */
} ClassSums;

static ClassSums class_sums(Lowering *l, const Node *node, Expr *c)
{
    LoopBuilder *b = l->b;
    Expr *eps = expr_float(b, node_float(node, A_EPS)), *one = expr_float(b, 1), *zero = expr_float(b, 0);
    const char *absent = node_string(node, A_ABSENT);
    Expr *first = expr_scale(b, c, 3), *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = loop_let(b, "s", element(l, node->in[0], expr_add(b, first, expr_int(b, i))));
    ClassSums sums = {.labels = s[2], .weight = one, .in_mean = one};
    sums.both = expr_op3(b, EXPR_FMA, expr_float(b, 2), s[0], eps);
    sums.sum = expr_op2(b, EXPR_ADD, expr_op2(b, EXPR_ADD, s[1], s[2]), eps);
    if (strcmp(absent, "count"))
        sums.weight = expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_GT, s[2], zero), one, zero);
    if (!strcmp(absent, "skip")) sums.in_mean = sums.weight;
    return sums;
}

/* Sums over classes: of Dice, of classes in the mean, of labels. */
static void dice_totals(Lowering *l, const Node *node, Expr *total[3])
{
    LoopBuilder *b = l->b;
    Expr *c = loop_open_n(b, LOOP_REDUCE, "c", node->in[0]->type.dim[0] / 3), *next[3];
    for (int i = 0; i < 3; i++) total[i] = loop_carry(b, "total", expr_float(b, 0));
    ClassSums s = class_sums(l, node, c);
    Expr *dice = expr_op2(b, EXPR_DIV, s.both, s.sum);
    next[0] = expr_op3(b, EXPR_FMA, s.weight, dice, total[0]);
    next[1] = expr_op2(b, EXPR_ADD, total[1], s.in_mean);
    next[2] = expr_op2(b, EXPR_ADD, total[2], s.labels);
    loop_close(b, next);
}

static Expr *dice_value(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    Expr *total[3], *zero = expr_float(b, 0);
    dice_totals(l, node, total);
    Expr *loss = expr_op2(b, EXPR_SUB, expr_float(b, 1), ratio(b, total[0], total[1]));
    return expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_GT, total[2], zero), loss, zero);
}

/* dL/dp_c = -(1/M) (2 r_c / B_c - A_c / B_c^2) with A_c = 2 sum(p r) + eps, B_c = sum(p) + sum(r) + eps, M
 * classes in the mean. */
static Expr *dice_slope(Lowering *l, const Node *node, Expr *at)
{
    LoopBuilder *b = l->b;
    int64_t classes = node->in[0]->type.dim[0] / 3;
    Expr *total[3], *c = expr_op2(b, EXPR_MOD, at, expr_int(b, classes));
    dice_totals(l, node, total);
    ClassSums s = class_sums(l, node, c);
    Expr *share = loop_let(b, "share", ratio(b, expr_op2(b, EXPR_DIV, s.weight, s.sum), total[1]));
    Expr *of_label = expr_op2(b, EXPR_MUL, share, expr_float(b, -2));
    Expr *of_all = expr_op2(b, EXPR_MUL, share, expr_op2(b, EXPR_DIV, s.both, s.sum));
    return expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_LT, at, expr_int(b, classes)), of_label, of_all);
}

Expr *loss_result_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *sums = node->in[0];
    const char *result = node_string(node, A_RESULT);
    if (!strcmp(result, "dice")) return dice_value(l, node);
    if (!strcmp(result, "slopes")) return dice_slope(l, node, at->cb);
    Expr *first = loop_let(b, "first", element(l, sums, expr_int(b, 0)));
    Expr *second = loop_let(b, "second", element(l, sums, expr_int(b, 1)));
    return ratio(b, !strcmp(result, "mean") ? first : expr_float(b, 1), second);
}

/* A sample is the bottom right corner of the cell before it in both directions, and so on: see lower_loss.c.
 */
Expr *loss_gradient_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    LossForm f = loss_form(node->in[0]);
    Expr *c = coord_channel(l, at), *sum = NULL, *zero = expr_int(b, 0);
    Expr *start = expr_int(b, f.gradient_start);
    bool spare = at->block > 1 && f.c % at->block; /* lanes past the last channel have no piece */
    Expr *guard = spare ? expr_op2(b, EXPR_LT, c, expr_int(b, f.c)) : NULL;
    for (int part = 3; part >= (f.resized ? 0 : 3); part--) {
        Expr *row = expr_add(b, at->y, expr_int(b, part < 2)), *column = at->x;
        column = expr_add(b, column, expr_int(b, part % 2 == 0));
        Expr *unit = expr_add(b, expr_scale(b, at->n, f.rows), row), *line;
        if (f.resized) {
            line = expr_add(b, expr_scale(b, unit, 4), expr_int(b, part));
            line = expr_add(b, expr_scale(b, line, f.c), c);
        } else {
            line = expr_add(b, expr_scale(b, at->n, f.c), c);
            line = expr_add(b, expr_scale(b, line, f.h), row);
        }
        Expr *index = expr_add(b, expr_add(b, expr_scale(b, line, f.columns), column), start);
        Coord in = {.block = 1, .n = zero, .cb = index, .lane = zero, .y = zero, .x = zero};
        Expr *piece = lower_value_if(l, node->in[0], &in, guard);
        sum = sum ? expr_op2(b, EXPR_ADD, sum, piece) : piece;
    }
    return sum;
}
