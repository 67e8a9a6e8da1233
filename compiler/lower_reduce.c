/* Values that reduce whole dimensions: means, softmax, argmax. */
#include "lower.h"
#include "op_rules.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Rows are summed apart and then together: the rounding error grows with the root of a row's length only. */
Expr *global_avg_pool_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    int64_t height = from->type.dim[2], width = from->type.dim[3];
    Expr *y = loop_open_n(b, LOOP_REDUCE, "y", height);
    Expr *total = loop_carry(b, "total", expr_float(b, 0));
    Expr *x = loop_open_n(b, LOOP_REDUCE, "x", width);
    Expr *row = loop_carry(b, "row", expr_float(b, 0));
    Coord in = *at;
    in.y = y;
    in.x = x;
    Expr *next = expr_op2(b, EXPR_ADD, row, lower_value(l, from, &in));
    loop_close(b, &next);
    next = expr_op2(b, EXPR_ADD, total, row);
    loop_close(b, &next);
    return expr_op2(b, EXPR_MUL, total, expr_float(b, 1.0 / (double)(height * width)));
}

int view_axis(int rank, int64_t dim)
{
    if (rank == 1) return 1;
    if (rank == 3 && dim > 0) return (int)dim + 1;
    return (int)dim;
}

Expr **coord_axis(Coord *at, int axis)
{
    Expr **axes[4] = {&at->n, &at->cb, &at->y, &at->x};
    return axes[axis];
}

/* The input's coordinate for an output of one rank less; the removed dimension is left to the caller. */
static Coord insert_dim(Lowering *l, const Coord *at, int out_rank, int64_t dim)
{
    Coord from = *at, in = {.block = 1, .lane = expr_int(l->b, 0)};
    for (int axis = 0; axis < 4; axis++) *coord_axis(&in, axis) = expr_int(l->b, 0);
    for (int d = 0; d < out_rank; d++)
        *coord_axis(&in, view_axis(out_rank + 1, d < dim ? d : d + 1)) =
            *coord_axis(&from, view_axis(out_rank, d));
    return in;
}

/* The index is carried as a float, exact below 2^24, so that it is selected by the comparison's own mask. */
Expr *argmax_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    int64_t dim = node_int(node, A_DIM), extent = from->type.dim[dim];
    assert(at->block == 1);
    Coord in = insert_dim(l, at, node->type.rank, dim);
    Expr *c = loop_open_n(b, LOOP_REDUCE, "c", extent);
    Expr *best = loop_carry(b, "best", expr_float(b, -INFINITY));
    Expr *index = loop_carry(b, "index", expr_float(b, 0));
    *coord_axis(&in, view_axis(from->type.rank, dim)) = c;
    Expr *value = loop_let(b, "v", lower_value(l, from, &in));
    Expr *better = expr_op2(b, EXPR_GT, value, best);
    Expr *next[2] = {expr_op3(b, EXPR_SELECT, better, value, best),
                     expr_op3(b, EXPR_SELECT, better, expr_op1(b, EXPR_TO_FLOAT, c), index)};
    loop_close(b, next);
    return expr_op1(b, EXPR_TO_INT, index);
}

/* Over the last dimension of a tensor that canonical form has not made a 1x1 convolution of. */
Expr *linear_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    int rank = node->type.rank, last = view_axis(rank, rank - 1);
    Coord in = *at, weight = {.block = 1, .lane = expr_int(b, 0), .y = expr_int(b, 0), .x = expr_int(b, 0)};
    weight.n = *coord_axis(&in, last);
    Coord bias = {
        .block = 1, .n = expr_int(b, 0), .cb = weight.n, .lane = weight.lane, .y = weight.y, .x = weight.x};
    Expr *start = node_bool(node, A_BIAS) ? lower_value(l, node->in[2], &bias) : expr_float(b, 0);
    Expr *i = loop_open_n(b, LOOP_REDUCE, "i", from->type.dim[rank - 1]);
    Expr *sum = loop_carry(b, "sum", start);
    *coord_axis(&in, last) = i;
    weight.cb = i;
    Expr *next = expr_op3(b, EXPR_FMA, lower_value(l, from, &in), lower_value(l, node->in[1], &weight), sum);
    loop_close(b, &next);
    return sum;
}

/* Opens loops over every axis but one: rows of the reduction. The last axis that has an extent is the
 * vector's. */
static Coord open_other_axes(Lowering *l, View v, int axis)
{
    int64_t extent[4] = {v.n, v.c, v.h, v.w};
    const char *names[4] = {"n", "c", "y", "x"};
    int vector = -1;
    for (int i = 0; i < 4; i++)
        if (i != axis && extent[i] > 1) vector = i;
    Coord at = {.block = 1, .lane = expr_int(l->b, 0)};
    for (int i = 0; i < 4; i++) {
        bool open = i != axis && extent[i] > 1;
        *coord_axis(&at, i) =
            open ? loop_open_n(l->b, i == vector ? LOOP_VECTOR : LOOP_PARALLEL, names[i], extent[i])
                 : expr_int(l->b, 0);
    }
    return at;
}

/* As many values along the dimension as vector registers hold with what is computed from them: they are read
 * once then, and lie in no memory in between. (From channel to channel of a large picture is often a power of
 * two, so that a second walk would find its values driven out of the cache by each other.) */
enum { MOST_IN_REGISTERS = 24 };

/* The values of node along a dimension, each in a let. */
static void read_along(Lowering *l, const Node *node, Coord *at, Expr **along, int64_t extent, Expr **value)
{
    for (int64_t i = 0; i < extent; i++) {
        *along = expr_int(l->b, i);
        value[i] = loop_let(l->b, "v", lower_value(l, node, at));
    }
}

static void store_along(Lowering *l, const Place *place, Coord *at, Expr **along, int64_t extent,
                        Expr *const *value)
{
    int out = lower_storage(l, place->storage, BUFFER_OUT);
    for (int64_t i = 0; i < extent; i++) {
        *along = expr_int(l->b, i);
        loop_store(l->b, out, place_index(l, place, at), value[i]);
    }
}

static void softmax_in_registers(Lowering *l, const Node *node, Coord *at, Expr **along)
{
    LoopBuilder *b = l->b;
    bool logarithm = node->op == OP_LOG_SOFTMAX;
    int64_t extent = node->type.dim[node_int(node, A_DIM)];
    Expr *value[MOST_IN_REGISTERS], *most = expr_float(b, -INFINITY), *sum = expr_float(b, 0);
    read_along(l, node->in[0], at, along, extent, value);
    for (int i = 0; i < extent; i++) most = expr_op2(b, EXPR_MAX, most, value[i]);
    most = loop_let(b, "most", most);
    for (int i = 0; i < extent; i++) {
        value[i] = loop_let(b, "d", expr_op2(b, EXPR_SUB, value[i], most));
        Expr *power = loop_let(b, "e", expr_op1(b, EXPR_EXP, value[i]));
        sum = expr_op2(b, EXPR_ADD, sum, power);
        if (!logarithm) value[i] = power;
    }
    Expr *scale = logarithm ? expr_op1(b, EXPR_LOG, sum) : expr_op2(b, EXPR_DIV, expr_float(b, 1), sum);
    scale = loop_let(b, "scale", scale);
    for (int i = 0; i < extent; i++) value[i] = expr_op2(b, logarithm ? EXPR_SUB : EXPR_MUL, value[i], scale);
    store_along(l, layout_place(l->layout, node), at, along, extent, value);
}

static void softmax_grad_in_registers(Lowering *l, const Node *node, Coord *at, Expr **along)
{
    LoopBuilder *b = l->b;
    bool logarithm = node->op == OP_LOG_SOFTMAX_GRAD;
    int64_t extent = node->type.dim[node_int(node, A_DIM)];
    Expr *g[MOST_IN_REGISTERS], *y[MOST_IN_REGISTERS], *sum = expr_float(b, 0);
    read_along(l, node->in[0], at, along, extent, g);
    read_along(l, node->in[1], at, along, extent, y);
    for (int i = 0; i < extent; i++)
        sum = logarithm ? expr_op2(b, EXPR_ADD, sum, g[i]) : expr_op3(b, EXPR_FMA, g[i], y[i], sum);
    sum = loop_let(b, "sum", sum);
    for (int i = 0; i < extent; i++)
        g[i] = logarithm
                   ? expr_op2(b, EXPR_SUB, g[i], expr_op2(b, EXPR_MUL, expr_op1(b, EXPR_EXP, y[i]), sum))
                   : expr_op2(b, EXPR_MUL, y[i], expr_op2(b, EXPR_SUB, g[i], sum));
    store_along(l, layout_place(l->layout, node), at, along, extent, g);
}

/* Largest value first, so that no exponential overflows; then the sum; then the values. */
void lower_softmax_kernel(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    const Place *place = layout_place(l->layout, node);
    int64_t dim = node_int(node, A_DIM), extent = node->type.dim[dim];
    int axis = view_axis(node->type.rank, dim);
    assert(place->block == 1);
    int out = lower_storage(l, place->storage, BUFFER_OUT);
    Coord at = open_other_axes(l, place->view, axis);
    Expr **along = coord_axis(&at, axis);
    if (extent <= MOST_IN_REGISTERS) {
        softmax_in_registers(l, node, &at, along);
        while (b->n_open) loop_close(b, NULL);
        return;
    }

    *along = loop_open_n(b, LOOP_REDUCE, "i", extent);
    Expr *most = loop_carry(b, "most", expr_float(b, -INFINITY));
    Expr *next = expr_op2(b, EXPR_MAX, most, lower_value(l, from, &at));
    loop_close(b, &next);

    *along = loop_open_n(b, LOOP_REDUCE, "i", extent);
    Expr *sum = loop_carry(b, "sum", expr_float(b, 0));
    Expr *distance = expr_op2(b, EXPR_SUB, lower_value(l, from, &at), most);
    next = expr_op2(b, EXPR_ADD, sum, expr_op1(b, EXPR_EXP, distance));
    loop_close(b, &next);

    bool logarithm = node->op == OP_LOG_SOFTMAX;
    Expr *scale = logarithm ? expr_op1(b, EXPR_LOG, sum) : expr_op2(b, EXPR_DIV, expr_float(b, 1), sum);
    scale = loop_let(b, "scale", scale);
    *along = loop_open_n(b, LOOP_SERIAL, "i", extent);
    distance = expr_op2(b, EXPR_SUB, lower_value(l, from, &at), most);
    Expr *value = logarithm ? expr_op2(b, EXPR_SUB, distance, scale)
                            : expr_op2(b, EXPR_MUL, expr_op1(b, EXPR_EXP, distance), scale);
    loop_store(b, out, place_index(l, place, &at), value);
    while (b->n_open) loop_close(b, NULL);
}

/* softmax: y (g - sum of g y); log_softmax: g - exp(y) sum of g. */
void lower_softmax_grad_kernel(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    const Place *place = layout_place(l->layout, node);
    bool logarithm = node->op == OP_LOG_SOFTMAX_GRAD;
    int64_t dim = node_int(node, A_DIM), extent = node->type.dim[dim];
    int axis = view_axis(node->type.rank, dim);
    assert(place->block == 1);
    int out = lower_storage(l, place->storage, BUFFER_OUT);
    Coord at = open_other_axes(l, place->view, axis);
    Expr **along = coord_axis(&at, axis);
    if (extent <= MOST_IN_REGISTERS) {
        softmax_grad_in_registers(l, node, &at, along);
        while (b->n_open) loop_close(b, NULL);
        return;
    }

    *along = loop_open_n(b, LOOP_REDUCE, "i", extent);
    Expr *sum = loop_carry(b, "sum", expr_float(b, 0));
    Expr *g = lower_value(l, node->in[0], &at);
    Expr *next = logarithm ? expr_op2(b, EXPR_ADD, sum, g)
                           : expr_op3(b, EXPR_FMA, g, lower_value(l, node->in[1], &at), sum);
    loop_close(b, &next);

    *along = loop_open_n(b, LOOP_SERIAL, "i", extent);
    g = lower_value(l, node->in[0], &at);
    Expr *y = lower_value(l, node->in[1], &at);
    Expr *value = logarithm ? expr_op2(b, EXPR_SUB, g, expr_op2(b, EXPR_MUL, expr_op1(b, EXPR_EXP, y), sum))
                            : expr_op2(b, EXPR_MUL, y, expr_op2(b, EXPR_SUB, g, sum));
    loop_store(b, out, place_index(l, place, &at), value);
    while (b->n_open) loop_close(b, NULL);
}
