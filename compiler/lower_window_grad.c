/* Gradients of what reads windows, samples or borders: pools, resize, pad. Each output o of the operator
 * reads a few inputs i, each with a weight; here every input gathers from the outputs that read it, so that
 * elements stay independent of each other. Who reads whom is known while compiling: along each axis apart, as
 * tables
 *
 *     count[i], from[i][k], weight[i][k]    for the k-th output that reads position i
 *
 * and the gradient at (y, x) is the sum over both axes' outputs of weight * weight * gradient. Where the
 * position is the same for all lanes count[i] bounds the loop; where lanes are positions all go to the
 * largest count, with weight 0 behind their own. */
#include "lower.h"
#include "op_rules.h"

#include <string.h>

/* One axis: who reads whom. */
typedef struct Reads {
    int64_t in, out; /* positions */
    int n, cap;
    struct Read {
        int32_t from, to; /* output, input */
        float weight;
    } * read;
} Reads;

static void add_read(Lowering *l, Reads *r, int64_t from, int64_t to, double weight)
{
    if (to < 0 || to >= r->in || weight == 0) return;
    struct Read read = {(int32_t)from, (int32_t)to, (float)weight};
    ARENA_PUSH(l->arena, r->read, r->n, r->cap, read);
}

/* The tables, and the loop over the outputs that read one position. */
typedef struct Gather {
    bool uniform;
    int64_t most;
    int count, from, weight; /* buffers; weight -1: always 1 */
} Gather;

/* What a weight is where nothing is read: for sums 0; a tap that no window has. */
static Gather make_gather(Lowering *l, const Reads *r, bool uniform, const char *axis, float nothing)
{
    Gather g = {.uniform = uniform, .most = 1, .weight = -1};
    int32_t *count = ARENA_ARRAY(l->arena, int32_t, r->in);
    bool has_weights = nothing != 0;
    for (int i = 0; i < r->n; i++) {
        if (++count[r->read[i].to] > g.most) g.most = count[r->read[i].to];
        has_weights |= r->read[i].weight != 1;
    }
    for (int64_t i = 0; i < r->in && !uniform; i++) has_weights |= count[i] != g.most;
    int32_t *from = ARENA_ARRAY(l->arena, int32_t, r->in * g.most);
    float *weight = ARENA_ARRAY(l->arena, float, r->in *g.most);
    for (int64_t i = 0; i < r->in * g.most; i++) weight[i] = nothing;
    memset(count, 0, sizeof *count * (size_t)r->in);
    for (int i = 0; i < r->n; i++) {
        int64_t at = r->read[i].to * g.most + count[r->read[i].to]++;
        from[at] = r->read[i].from;
        weight[at] = r->read[i].weight;
    }
    if (uniform) g.count = lower_table(l, arena_printf(l->arena, "%s_count", axis), I32, count, r->in);
    g.from = lower_table(l, arena_printf(l->arena, "%s_from", axis), I32, from, r->in * g.most);
    if (has_weights)
        g.weight = lower_table(l, arena_printf(l->arena, "%s_weight", axis), F32, weight, r->in * g.most);
    return g;
}

/* Whether a position along an axis (0 rows, 1 columns) is the same for all lanes: see open_domain in lower.c.
 */
static bool is_uniform(const Coord *at, Type type, int axis)
{
    return at->block > 1 || (axis == 0 ? type.dim[3] > 1 : type.dim[3] == 1);
}

/* Opens the loop over the outputs that read position i; *o is the output, *weight its weight or NULL. The
 * caller adds what it carries and closes. */
static void open_gather(Lowering *l, const Gather *g, Expr *i, const char *name, Expr **index)
{
    LoopBuilder *b = l->b;
    Expr *hi = g->uniform ? expr_load(b, g->count, i) : expr_int(b, g->most);
    Expr *k = loop_open(b, LOOP_REDUCE, name, expr_int(b, 0), hi);
    *index = expr_add(b, expr_scale(b, i, g->most), k);
}

static Expr *weighted(Lowering *l, const Gather *g, Expr *index, Expr *value)
{
    if (g->weight < 0) return value;
    return expr_op2(l->b, EXPR_MUL, value, expr_load(l->b, g->weight, index));
}

/* The sum over rows (NULL: the row itself) and columns (likewise). */
static Expr *gather(Lowering *l, const Node *from, const Coord *at, const Gather *y, const Gather *x)
{
    LoopBuilder *b = l->b;
    Coord in = *at;
    Expr *index_y = NULL, *index_x = NULL, *rows = NULL, *columns = NULL;
    if (y) {
        open_gather(l, y, at->y, "ky", &index_y);
        rows = loop_carry(b, "rows", expr_float(b, 0));
        in.y = loop_let(b, "row", expr_load(b, y->from, index_y));
    }
    if (x) {
        open_gather(l, x, at->x, "kx", &index_x);
        columns = loop_carry(b, "columns", expr_float(b, 0));
        in.x = expr_load(b, x->from, index_x);
    }
    Expr *value = lower_value(l, from, &in);
    if (x) {
        Expr *next = expr_op2(b, EXPR_ADD, columns, weighted(l, x, index_x, value));
        loop_close(b, &next);
        value = columns;
    }
    if (!y) return value;
    Expr *next = expr_op2(b, EXPR_ADD, rows, weighted(l, y, index_y, value));
    loop_close(b, &next);
    return rows;
}

static Expr *gather_reads(Lowering *l, const Node *node, const Coord *at, const Reads *y, const Reads *x)
{
    Gather rows, columns;
    if (y) rows = make_gather(l, y, is_uniform(at, node->type, 0), "row", 0);
    if (x) columns = make_gather(l, x, is_uniform(at, node->type, 1), "column", 0);
    return gather(l, node->in[0], at, y ? &rows : NULL, x ? &columns : NULL);
}

static Reads axis_reads(const Node *node, int axis)
{
    return (Reads){.in = node->type.dim[2 + axis], .out = node->in[0]->type.dim[2 + axis]};
}

/* ---- resize and pad --------------------------------------------------------------------------------------
 */

Expr *resize_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    int axis = (int)node_int(node, A_DIM) - 2;
    Reads r = axis_reads(node, axis);
    double factor = node_has(node, A_SCALE_FACTOR) ? node_float(node, A_SCALE_FACTOR) : 0;
    bool nearest = !strcmp(node_string(node, A_MODE), "nearest"), corners = node_bool(node, A_ALIGN_CORNERS);
    for (int64_t o = 0; o < r.out; o++) {
        if (nearest) {
            add_read(l, &r, o, resize_nearest(r.in, r.out, factor, o), 1);
            continue;
        }
        ResizeTap tap = resize_tap(r.in, resize_position(r.in, r.out, corners, factor, o));
        bool one = tap.low == tap.high;
        add_read(l, &r, o, tap.low, one ? 1 : 1 - (double)tap.weight);
        if (!one) add_read(l, &r, o, tap.high, (double)tap.weight);
    }
    return gather_reads(l, node, at, axis == 0 ? &r : NULL, axis == 0 ? NULL : &r);
}

/* What stands `before` positions into a border that repeats or mirrors the input. */
static int64_t border_source(int64_t position, int64_t size, bool reflect)
{
    if (position < 0) return reflect ? -position : 0;
    if (position >= size) return reflect ? 2 * (size - 1) - position : size - 1;
    return position;
}

Expr *pad_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    const Attr *pads = node_attr(node, A_PADS);
    bool reflect = !strcmp(node_string(node, A_PAD_MODE), "reflect");
    Reads r[2];
    for (int axis = 0; axis < 2; axis++) {
        r[axis] = axis_reads(node, axis);
        int64_t before = pads->i[axis == 0 ? 2 : 0];
        for (int64_t o = 0; o < r[axis].out; o++)
            add_read(l, &r[axis], o, border_source(o - before, r[axis].in, reflect), 1);
    }
    return gather_reads(l, node, at, &r[0], &r[1]);
}

/* ---- pools -----------------------------------------------------------------------------------------------
 */

typedef struct Pool {
    int64_t kernel, stride, padding, dilation;
} Pool;

static Pool pool_axis(const Node *node, int axis)
{
    Pool p = {.kernel = node_attr(node, A_KERNEL)->i[axis],
              .stride = node_attr(node, A_STRIDE)->i[axis],
              .padding = node_attr(node, A_PADDING)->i[axis],
              .dilation = 1};
    if (node_has(node, A_DILATION)) p.dilation = node_attr(node, A_DILATION)->i[axis];
    return p;
}

/* How many elements window o is averaged over: see window_count in lower_window.c. */
static double averaged(const Pool *p, int64_t in, int64_t o, bool with_padding)
{
    int64_t first = o * p->stride - p->padding, last = first + p->kernel;
    int64_t end = with_padding ? in + p->padding : in;
    if (last > end) last = end;
    if (!with_padding && first < 0) first = 0;
    return (double)(last - first);
}

Expr *avg_pool2d_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    Reads r[2];
    for (int axis = 0; axis < 2; axis++) {
        Pool p = pool_axis(node, axis);
        r[axis] = axis_reads(node, axis);
        for (int64_t o = 0; o < r[axis].out; o++) {
            double count = averaged(&p, r[axis].in, o, node_bool(node, A_COUNT_INCLUDE_PAD));
            for (int64_t t = 0; t < p.kernel; t++)
                add_read(l, &r[axis], o, o * p.stride - p.padding + t, 1 / count);
        }
    }
    return gather_reads(l, node, at, &r[0], &r[1]);
}

/* The weight of a read is the number of the tap here, plus 1 since 0 is no weight; columns count in ones,
 * rows in kernel widths: their sum is compared with the tap that held the largest value. */
static Gather tap_gather(Lowering *l, const Node *node, const Coord *at, int axis)
{
    Pool p = pool_axis(node, axis);
    Reads r = axis_reads(node, axis);
    int64_t step = axis == 0 ? node_columns(node, A_KERNEL) : 1;
    for (int64_t o = 0; o < r.out; o++)
        for (int64_t t = 0; t < p.kernel; t++)
            add_read(l, &r, o, o * p.stride - p.padding + t * p.dilation, (double)(t * step + 1));
    return make_gather(l, &r, is_uniform(at, node->type, axis), axis == 0 ? "row" : "column", -1e9F);
}

Expr *max_pool2d_grad_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    Coord in = *at;
    Gather y = tap_gather(l, node, at, 0), x = tap_gather(l, node, at, 1);
    Expr *index_y, *index_x;
    open_gather(l, &y, at->y, "ky", &index_y);
    Expr *rows = loop_carry(b, "sum", expr_float(b, 0));
    in.y = loop_let(b, "row", expr_load(b, y.from, index_y));
    Expr *tap = expr_op2(b, EXPR_SUB, expr_load(b, y.weight, index_y), expr_float(b, 2));
    tap = loop_let(b, "tap", tap);
    open_gather(l, &x, at->x, "kx", &index_x);
    Expr *sum = loop_carry(b, "sum", rows);
    in.x = loop_let(b, "column", expr_load(b, x.from, index_x));
    Expr *own = expr_op2(b, EXPR_ADD, tap, expr_load(b, x.weight, index_x));
    Expr *held = expr_op2(b, EXPR_EQ, lower_value(l, node->in[1], &in), own);
    Expr *part = expr_op3(b, EXPR_SELECT, held, lower_value(l, node->in[0], &in), expr_float(b, 0));
    Expr *next = expr_op2(b, EXPR_ADD, sum, part);
    loop_close(b, &next);
    loop_close(b, &sum);
    return rows;
}
