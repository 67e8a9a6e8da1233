/* Values that only move: slice, pad, relayout. (concat is copied part by part by the driver; reshape and
 * flatten share memory.) */
#include "lower.h"
#include "op_rules.h"

#include <assert.h>
#include <string.h>

Expr *relayout_lower(Lowering *l, const Node *node, const Coord *at)
{
    return lower_value(l, node->in[0], at);
}

Expr *slice_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    int64_t dim = node_int(node, A_DIM), start = node_int(node, A_START);
    int rank = node->type.rank;
    if (start < 0) start += node->in[0]->type.dim[dim];
    int axis = rank == 1 ? 1 : rank == 3 && dim > 0 ? (int)dim + 1 : (int)dim;
    Coord in = *at;
    Expr *by = expr_int(b, start);
    if (axis == 0) in.n = expr_add(b, at->n, by);
    if (axis == 2) in.y = expr_add(b, at->y, by);
    if (axis == 3) in.x = expr_add(b, at->x, by);
    if (axis == 1 && start % at->block == 0) {
        in.cb = expr_add(b, at->cb, expr_int(b, start / at->block));
    } else if (axis == 1) { /* lanes come from two blocks: by channel; spare lanes repeat the last channel */
        Expr *channel = expr_add(b, coord_channel(l, at), by);
        in.cb = expr_op2(b, EXPR_MIN, channel, expr_int(b, node->in[0]->type.dim[1] - 1));
        in.lane = expr_int(b, 0);
        in.block = 1;
    }
    return lower_value(l, node->in[0], &in);
}

/* Zeros where slice took nothing. What is computed there is read from inside all the same. */
Expr *slice_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    int64_t dim = node_int(node, A_DIM), start = node_int(node, A_START), size = node->in[0]->type.dim[dim];
    int axis = view_axis(node->type.rank, dim);
    Coord in = *at;
    bool whole = axis == 1 && start % at->block == 0; /* blocks are blocks of the input */
    Expr *position = axis == 1 ? coord_channel(l, at) : *coord_axis(&in, axis);
    Expr *guard = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, position, expr_int(b, start - 1)),
                           expr_op2(b, EXPR_LT, position, expr_int(b, start + size)));
    if (axis == 1 && !whole) {
        in.block = 1;
        in.lane = expr_int(b, 0);
        in.cb = position;
    }
    int64_t block = whole ? at->block : 1, last = (size - 1) / block;
    Expr *from = expr_add(b, *coord_axis(&in, axis), expr_int(b, -(start / block)));
    from = expr_op2(b, EXPR_MIN, expr_op2(b, EXPR_MAX, from, expr_int(b, 0)), expr_int(b, last));
    *coord_axis(&in, axis) = from;
    return expr_op3(b, EXPR_SELECT, guard, lower_value(l, node->in[0], &in), expr_float(b, 0));
}

/* Source position of a padded one: clamped (replicate) or mirrored (reflect). */
static Expr *bordered(Lowering *l, Expr *position, int64_t size, bool reflect)
{
    LoopBuilder *b = l->b;
    Expr *zero = expr_int(b, 0), *last = expr_int(b, size - 1);
    if (!reflect) return expr_op2(b, EXPR_MIN, expr_op2(b, EXPR_MAX, position, zero), last);
    Expr *folded = expr_op2(b, EXPR_MAX, position, expr_op2(b, EXPR_SUB, zero, position));
    return expr_op2(b, EXPR_MIN, folded, expr_op2(b, EXPR_SUB, expr_int(b, 2 * (size - 1)), folded));
}

static Expr *inside(Lowering *l, Expr *position, int64_t size)
{
    LoopBuilder *b = l->b;
    return expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, position, expr_int(b, -1)),
                    expr_op2(b, EXPR_LT, position, expr_int(b, size)));
}

Expr *pad_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    const Attr *pads = node_attr(node, A_PADS);
    const char *mode = node_string(node, A_PAD_MODE);
    int64_t height = from->type.dim[2], width = from->type.dim[3];
    Coord in = *at;
    in.x = expr_add(b, at->x, expr_int(b, -pads->i[0]));
    in.y = expr_add(b, at->y, expr_int(b, -pads->i[2]));
    if (strcmp(mode, "constant")) {
        in.x = bordered(l, in.x, width, !strcmp(mode, "reflect"));
        in.y = bordered(l, in.y, height, !strcmp(mode, "reflect"));
        return lower_value(l, from, &in);
    }
    Expr *guard = expr_op2(b, EXPR_AND, inside(l, in.y, height), inside(l, in.x, width));
    /* What is computed where nothing is read must still be read from inside. */
    Coord safe = in;
    safe.x = bordered(l, in.x, width, false);
    safe.y = bordered(l, in.y, height, false);
    return expr_op3(b, EXPR_SELECT, guard, lower_value(l, from, &safe),
                    expr_float(b, node_float(node, A_VALUE)));
}
