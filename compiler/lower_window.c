/* Values that read a window of their input: pools and resize. */
#include "lower.h"
#include "op_rules.h"

#include <math.h>
#include <string.h>

/* One axis of a pooling window at output position o: taps lo..hi that fall inside, and where tap 0 lies. */
typedef struct WindowAxis {
    Expr *first, *lo, *hi;
    int64_t kernel, stride, padding, dilation, size;
} WindowAxis;

static WindowAxis window_axis(Lowering *l, const Node *node, int axis, Expr *o)
{
    LoopBuilder *b = l->b;
    bool rows = axis == 0;
    bool own_stride = node_has(node, A_STRIDE);
    WindowAxis w = {.size = node->in[0]->type.dim[2 + axis], .dilation = 1};
    w.kernel = rows ? node_rows(node, A_KERNEL) : node_columns(node, A_KERNEL);
    w.stride = !own_stride ? w.kernel : rows ? node_rows(node, A_STRIDE) : node_columns(node, A_STRIDE);
    w.padding = rows ? node_rows(node, A_PADDING) : node_columns(node, A_PADDING);
    if (node_has(node, A_DILATION))
        w.dilation = rows ? node_rows(node, A_DILATION) : node_columns(node, A_DILATION);
    w.first = expr_add(b, expr_scale(b, o, w.stride), expr_int(b, -w.padding));
    /* lo = ceil(-first / dilation), hi = floor((size-1 - first) / dilation) + 1, by divisions of what is not
     * negative */
    Expr *zero = expr_int(b, 0), *d = expr_int(b, w.dilation);
    Expr *before = expr_op2(b, EXPR_SUB, expr_int(b, w.dilation - 1), w.first);
    w.lo = expr_op2(b, EXPR_DIV, expr_op2(b, EXPR_MAX, before, zero), d);
    Expr *after = expr_op2(b, EXPR_SUB, expr_int(b, w.size - 1), w.first);
    Expr *fit = expr_add(b, expr_op2(b, EXPR_DIV, expr_op2(b, EXPR_MAX, after, zero), d), expr_int(b, 1));
    w.hi = expr_op2(b, EXPR_MIN, fit, expr_int(b, w.kernel));
    return w;
}

/* The value at one tap, `start` where the tap is outside. */
static Expr *tap_value(Lowering *l, const Node *from, const Coord *in, double start)
{
    LoopBuilder *b = l->b;
    Expr *minus_one = expr_int(b, -1);
    Expr *rows = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, in->y, minus_one),
                          expr_op2(b, EXPR_LT, in->y, expr_int(b, from->type.dim[2])));
    Expr *columns = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, in->x, minus_one),
                             expr_op2(b, EXPR_LT, in->x, expr_int(b, from->type.dim[3])));
    Expr *inside = expr_op2(b, EXPR_AND, rows, columns);
    Expr *value = lower_value_if(l, from, in, inside);
    return start == 0 ? value : expr_op3(b, EXPR_SELECT, inside, value, expr_float(b, start));
}

/* Combines the window's values, row by row. In blocks the taps inside are the same for all lanes and bound
 * the loops; in a plain value the lanes are pixels, whose windows differ: all taps are visited and those
 * outside left out. */
static Expr *reduce_window(Lowering *l, const Node *node, const Coord *at, const WindowAxis *y,
                           const WindowAxis *x, ExprKind combine, double start)
{
    LoopBuilder *b = l->b;
    bool blocked = at->block > 1;
    Expr *zero = expr_int(b, 0);
    Expr *i =
        loop_open(b, LOOP_REDUCE, "ty", blocked ? y->lo : zero, blocked ? y->hi : expr_int(b, y->kernel));
    Expr *outer = loop_carry(b, "r", expr_float(b, start));
    Expr *j =
        loop_open(b, LOOP_REDUCE, "tx", blocked ? x->lo : zero, blocked ? x->hi : expr_int(b, x->kernel));
    Expr *inner = loop_carry(b, "r", outer);
    Coord in = *at;
    in.y = expr_add(b, y->first, expr_scale(b, i, y->dilation));
    in.x = expr_add(b, x->first, expr_scale(b, j, x->dilation));
    Expr *value = blocked ? lower_value(l, node->in[0], &in) : tap_value(l, node->in[0], &in, start);
    Expr *next = expr_op2(b, combine, inner, value);
    loop_close(b, &next);
    loop_close(b, &inner);
    return outer;
}

Expr *max_pool2d_lower(Lowering *l, const Node *node, const Coord *at)
{
    WindowAxis y = window_axis(l, node, 0, at->y), x = window_axis(l, node, 1, at->x);
    return reduce_window(l, node, at, &y, &x, EXPR_MAX, -INFINITY);
}

/* The largest value so far and where it was, as in reduce_window; the number is carried as a float, exact
 * here. */
Expr *max_pool2d_tap_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    WindowAxis y = window_axis(l, node, 0, at->y), x = window_axis(l, node, 1, at->x);
    bool blocked = at->block > 1;
    Expr *zero = expr_int(b, 0), *outer[2], *inner[2],
         *start[2] = {expr_float(b, -INFINITY), expr_float(b, 0)};
    Expr *i = loop_open(b, LOOP_REDUCE, "ty", blocked ? y.lo : zero, blocked ? y.hi : expr_int(b, y.kernel));
    for (int k = 0; k < 2; k++) outer[k] = loop_carry(b, k ? "tap" : "r", start[k]);
    Expr *j = loop_open(b, LOOP_REDUCE, "tx", blocked ? x.lo : zero, blocked ? x.hi : expr_int(b, x.kernel));
    for (int k = 0; k < 2; k++) inner[k] = loop_carry(b, k ? "tap" : "r", outer[k]);
    Coord in = *at;
    in.y = expr_add(b, y.first, expr_scale(b, i, y.dilation));
    in.x = expr_add(b, x.first, expr_scale(b, j, x.dilation));
    Expr *value = blocked ? lower_value(l, node->in[0], &in) : tap_value(l, node->in[0], &in, -INFINITY);
    value = loop_let(b, "v", value);
    Expr *tap = expr_op1(b, EXPR_TO_FLOAT, expr_add(b, expr_scale(b, i, x.kernel), j));
    Expr *better = expr_op2(b, EXPR_GT, value, inner[0]);
    Expr *next[2] = {expr_op3(b, EXPR_SELECT, better, value, inner[0]),
                     expr_op3(b, EXPR_SELECT, better, tap, inner[1])};
    loop_close(b, next);
    loop_close(b, inner);
    return outer[1];
}

/* How many elements the mean is over along one axis: with the padding (but never past its end) or without. */
static Expr *window_count(Lowering *l, const WindowAxis *w, bool with_padding)
{
    LoopBuilder *b = l->b;
    if (!with_padding) return expr_op2(b, EXPR_SUB, w->hi, w->lo);
    Expr *room = expr_op2(b, EXPR_SUB, expr_int(b, w->size + w->padding), w->first);
    return expr_op2(b, EXPR_MIN, room, expr_int(b, w->kernel));
}

Expr *avg_pool2d_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    WindowAxis y = window_axis(l, node, 0, at->y), x = window_axis(l, node, 1, at->x);
    Expr *sum = reduce_window(l, node, at, &y, &x, EXPR_ADD, 0);
    bool with_padding = node_bool(node, A_COUNT_INCLUDE_PAD);
    Expr *count = expr_op2(b, EXPR_MUL, window_count(l, &y, with_padding), window_count(l, &x, with_padding));
    return expr_op2(b, EXPR_DIV, sum, expr_op1(b, EXPR_TO_FLOAT, count));
}

/* Where an output sample lies between input samples along one axis: ATen's area_pixel_compute_source_index,
 * in double. */
double resize_position(int64_t in, int64_t out, bool align_corners, double factor, int64_t o)
{
    if (align_corners) return out > 1 ? (double)o * (double)(in - 1) / (double)(out - 1) : 0;
    double scale = factor > 0 ? 1 / factor : (double)in / (double)out;
    return scale * ((double)o + 0.5) - 0.5;
}

static double source_position(const Node *node, int axis, int64_t o)
{
    int64_t in = node->in[0]->type.dim[2 + axis], out = node->type.dim[2 + axis];
    double factor = node_has(node, A_SCALE_FACTOR) ? node_float(node, A_SCALE_FACTOR) : 0;
    double position = resize_position(in, out, node_bool(node, A_ALIGN_CORNERS), factor, o);
    return position > 0 ? position : 0;
}

ResizeTap resize_tap(int64_t in, double position)
{
    if (position < 0) position = 0;
    int64_t low = (int64_t)position < in - 1 ? (int64_t)position : in - 1;
    int64_t high = low < in - 1 ? low + 1 : low;
    return (ResizeTap){(int32_t)low, (int32_t)high, (float)(position - (double)low)};
}

int32_t resize_nearest(int64_t in, int64_t out, double factor, int64_t o)
{
    float scale = factor > 0 ? (float)(1 / factor) : (float)in / (float)out;
    int64_t position = (int64_t)floorf((float)o * scale);
    return (int32_t)(position < in - 1 ? position : in - 1);
}

static bool axis_unchanged(const Node *node, int axis)
{
    for (int64_t o = 0; o < node->type.dim[2 + axis]; o++)
        if (source_position(node, axis, o) != (double)o) return false;
    return node->type.dim[2 + axis] == node->in[0]->type.dim[2 + axis];
}

typedef struct LerpAxis {
    Expr *low, *high, *weight; /* weight of high; NULL: the axis is unchanged, low is the position */
} LerpAxis;

static LerpAxis lerp_axis(Lowering *l, const Node *node, int axis, Expr *o)
{
    if (axis_unchanged(node, axis)) return (LerpAxis){.low = o};
    int64_t in = node->in[0]->type.dim[2 + axis], out = node->type.dim[2 + axis];
    int32_t *low = ARENA_ARRAY(l->arena, int32_t, out), *high = ARENA_ARRAY(l->arena, int32_t, out);
    float *weight = ARENA_ARRAY(l->arena, float, out);
    for (int64_t i = 0; i < out; i++) {
        ResizeTap tap = resize_tap(in, source_position(node, axis, i));
        low[i] = tap.low;
        high[i] = tap.high;
        weight[i] = tap.weight;
    }
    const char *name = axis == 0 ? "row" : "column";
    LerpAxis r;
    r.low = expr_load(l->b, lower_table(l, arena_printf(l->arena, "%s_low", name), I32, low, out), o);
    r.high = expr_load(l->b, lower_table(l, arena_printf(l->arena, "%s_high", name), I32, high, out), o);
    r.weight =
        expr_load(l->b, lower_table(l, arena_printf(l->arena, "%s_weight", name), F32, weight, out), o);
    r.low = loop_let(l->b, "low", r.low);
    r.high = loop_let(l->b, "high", r.high);
    r.weight = loop_let(l->b, "w", r.weight);
    return r;
}

static Expr *lerp(Lowering *l, Expr *a, Expr *b, Expr *weight)
{
    Expr *start = loop_let(l->b, "a", a);
    return expr_op3(l->b, EXPR_FMA, expr_op2(l->b, EXPR_SUB, b, start), weight, start);
}

static Expr *lerp_columns(Lowering *l, const Node *node, const Coord *at, Expr *y, const LerpAxis *x)
{
    Coord in = *at;
    in.y = y;
    in.x = x->low;
    Expr *low = lower_value(l, node->in[0], &in);
    if (!x->weight) return low;
    in.x = x->high;
    return lerp(l, low, lower_value(l, node->in[0], &in), x->weight);
}

/* PyTorch's "nearest": floor(o * scale), with the scale and the product in single precision as there. */
static Expr *nearest_axis(Lowering *l, const Node *node, int axis, Expr *o)
{
    int64_t in = node->in[0]->type.dim[2 + axis], out = node->type.dim[2 + axis];
    if (in == out && !node_has(node, A_SCALE_FACTOR)) return o;
    double factor = node_has(node, A_SCALE_FACTOR) ? node_float(node, A_SCALE_FACTOR) : 0;
    int32_t *from = ARENA_ARRAY(l->arena, int32_t, out);
    for (int64_t i = 0; i < out; i++) from[i] = resize_nearest(in, out, factor, i);
    int table = lower_table(l, axis == 0 ? "row" : "column", I32, from, out);
    return expr_load(l->b, table, o);
}

Expr *resize_lower(Lowering *l, const Node *node, const Coord *at)
{
    Coord in = *at;
    if (!strcmp(node_string(node, A_MODE), "nearest")) {
        in.y = nearest_axis(l, node, 0, at->y);
        in.x = nearest_axis(l, node, 1, at->x);
        return lower_value(l, node->in[0], &in);
    }
    LerpAxis y = lerp_axis(l, node, 0, at->y), x = lerp_axis(l, node, 1, at->x);
    Expr *low = lerp_columns(l, node, at, y.low, &x);
    if (!y.weight) return low;
    low = loop_let(l->b, "top", low);
    return lerp(l, low, lerp_columns(l, node, at, y.high, &x), y.weight);
}
