/* Filters in the order in which templates read them (pack.c says which): kernels that pull the raw weights.
 */
#include "lower.h"

/* sum of factor[p] * value[p], without what is zero */
static Expr *combine3(Lowering *l, const double *factor, Expr *const *value)
{
    LoopBuilder *b = l->b;
    Expr *sum = NULL;
    for (int p = 0; p < 3; p++) {
        if (factor[p] == 0) continue;
        Expr *part = expr_op2(b, EXPR_MUL, value[p], expr_float(b, factor[p]));
        sum = sum ? expr_op2(b, EXPR_ADD, sum, part) : part;
    }
    return sum;
}

/* A lane of a packed filter block as the loops over it give it: filter block*lanes + lane. */
typedef struct PackLane {
    int lanes; /* of the vector loop */
    Expr *block, *lane;
    Expr *within; /* the packed block */
} PackLane;

/* Weights that a run changes lie in blocks of input channels. Lanes are then those of one such block, so that
 * none is divided, but for groups that share blocks. */
static bool is_blocked(const Lowering *l, const Node *node)
{
    return layout_place(l->layout, node->in[0])->block > 1 && !node_bool(node, A_DENSE);
}

static PackLane open_lanes(Lowering *l, const Node *node, Expr *ob, int64_t block)
{
    LoopBuilder *b = l->b;
    int lanes = is_blocked(l, node) ? layout_place(l->layout, node->in[0])->block : (int)block;
    Expr *v = block == lanes ? expr_int(b, 0) : loop_open_n(b, LOOP_SERIAL, "v", block / lanes);
    PackLane at = {.lanes = lanes, .lane = loop_open_n(b, LOOP_VECTOR, "l", lanes)};
    at.block = expr_add(b, expr_scale(b, ob, block / lanes), v);
    at.within = expr_add(b, expr_scale(b, v, lanes), at.lane);
    return at;
}

/* Where the weight of a filter (a lane) and a channel of its group lies, and whether it exists. */
static Coord plain_weight(Lowering *l, const Node *node, const PackLane *at, Expr *i, Expr **guard)
{
    LoopBuilder *b = l->b;
    const Node *weight = node->in[0];
    int64_t groups = node_int(node, A_GROUPS), filters = node_int(node, A_FILTERS);
    bool transposed = node_bool(node, A_TRANSPOSED), dense = node_bool(node, A_DENSE);
    int64_t own_in =
        transposed ? weight->type.dim[0] / groups : weight->type.dim[1]; /* channels of a group */
    int64_t own_out = filters / groups, channels = dense ? own_in * groups : own_in;
    Expr *f = expr_add(b, expr_scale(b, at->block, at->lanes), at->lane);
    *guard = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_LT, f, expr_int(b, filters)),
                      expr_op2(b, EXPR_LT, i, expr_int(b, channels)));
    /* Coordinates stay inside, whatever the guard says: a fused value is computed before it is dropped. */
    f = expr_op2(b, EXPR_MIN, f, expr_int(b, filters - 1));
    i = expr_op2(b, EXPR_MIN, i, expr_int(b, channels - 1));
    Expr *group = expr_op2(b, EXPR_DIV, f, expr_int(b, own_out));
    if (dense) {
        Expr *same = expr_op2(b, EXPR_EQ, expr_op2(b, EXPR_DIV, i, expr_int(b, own_in)), group);
        *guard = expr_op2(b, EXPR_AND, *guard, same);
        i = transposed ? i : expr_op2(b, EXPR_MOD, i, expr_int(b, own_in));
    } else if (transposed && groups > 1) {
        i = expr_add(b, i, expr_scale(b, group, own_in));
    }
    if (transposed && groups > 1) f = expr_op2(b, EXPR_MOD, f, expr_int(b, own_out));
    return (Coord){.block = 1, .n = transposed ? i : f, .cb = transposed ? f : i, .lane = expr_int(b, 0)};
}

/* The same in blocks. A transposed weight's lanes are side by side; else they are a filter apart. */
static Coord blocked_weight(Lowering *l, const Node *node, const PackLane *at, Expr *i, Expr **guard)
{
    LoopBuilder *b = l->b;
    const Node *weight = node->in[0];
    int64_t groups = node_int(node, A_GROUPS), filters = node_int(node, A_FILTERS),
            own_out = filters / groups;
    bool transposed = node_bool(node, A_TRANSPOSED), whole = filters % at->lanes == 0;
    int64_t own_in = transposed ? weight->type.dim[0] / groups : weight->type.dim[1];
    Expr *f = expr_add(b, expr_scale(b, at->block, at->lanes), at->lane), *cb = at->block;
    *guard = whole ? NULL : expr_op2(b, EXPR_LT, f, expr_int(b, filters));
    if (own_in % node_int(node, A_UNIT)) {
        Expr *inside = expr_op2(b, EXPR_LT, i, expr_int(b, own_in));
        *guard = *guard ? expr_op2(b, EXPR_AND, *guard, inside) : inside;
        i = expr_op2(b, EXPR_MIN, i, expr_int(b, own_in - 1));
    }
    if (transposed && groups > 1) { /* groups fill blocks: they would be dense otherwise */
        Expr *blocks = expr_int(b, own_out / at->lanes);
        i = expr_add(b, i, expr_scale(b, expr_op2(b, EXPR_DIV, cb, blocks), own_in));
        cb = expr_op2(b, EXPR_MOD, cb, blocks);
    }
    if (transposed) return (Coord){.block = at->lanes, .n = i, .cb = cb, .lane = at->lane};
    if (!whole) f = expr_op2(b, EXPR_MIN, f, expr_int(b, filters - 1));
    Expr *lanes = expr_int(b, at->lanes);
    return (Coord){.block = at->lanes,
                   .n = f,
                   .cb = expr_op2(b, EXPR_DIV, i, lanes),
                   .lane = expr_op2(b, EXPR_MOD, i, lanes)};
}

static Coord weight_coord(Lowering *l, const Node *node, const PackLane *at, Expr *i, Expr **guard)
{
    return (is_blocked(l, node) ? blocked_weight : plain_weight)(l, node, at, i, guard);
}

/* G g G^T of every filter: [point][filter block][input channel][lane]. */
static void lower_pack_winograd(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    int64_t blocks = node->type.dim[1], units = node->type.dim[2], unit = node->type.dim[3],
            block = node->type.dim[4];
    const Attr *taps_y = node_attr(node, A_TAPS_Y), *taps_x = node_attr(node, A_TAPS_X);
    int out = lower_storage(l, layout_place(l->layout, node)->storage, BUFFER_OUT);
    Expr *ob = loop_open_n(b, LOOP_PARALLEL, "ob", blocks), *u = loop_open_n(b, LOOP_PARALLEL, "u", units);
    Expr *k = loop_open_n(b, LOOP_SERIAL, "k", unit), *guard;
    const PackLane lane = open_lanes(l, node, ob, block);
    Expr *i = expr_add(b, expr_scale(b, u, unit), k);
    Coord at = weight_coord(l, node, &lane, i, &guard);
    Expr *g[3][3], *half[WINOGRAD_FILTERS][3];
    const double(*matrix)[3] = winograd_filter[node_int(node, A_WINOGRAD)];
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 3; x++) {
            at.y = expr_int(b, taps_y->i[0] + y * taps_y->i[1]);
            at.x = expr_int(b, taps_x->i[0] + x * taps_x->i[1]);
            g[x][y] = loop_let(b, "g", lower_value_if(l, node->in[0], &at, guard));
        }
    for (int p = 0; p < WINOGRAD_FILTERS; p++)
        for (int x = 0; x < 3; x++) half[p][x] = loop_let(b, "h", combine3(l, matrix[p], g[x]));
    Expr *to = expr_scale(b, expr_add(b, expr_scale(b, ob, units * unit), i), block);
    to = expr_add(b, to, lane.within);
    for (int p = 0; p < WINOGRAD_FILTERS * WINOGRAD_FILTERS; p++) {
        Expr *value = combine3(l, matrix[p % WINOGRAD_FILTERS], half[p / WINOGRAD_FILTERS]);
        loop_store(b, out, expr_add(b, to, expr_int(b, p * blocks * units * unit * block)), value);
    }
    while (b->n_open) loop_close(b, NULL);
}

/* The taps of a packed filter along an axis: attribute [first, step, count]. Opens a loop over several;
 * returns the tap's number, and its row or column of the filter in *at. */
static Expr *open_taps(LoopBuilder *b, const Attr *taps, const char *name, Expr **at)
{
    Expr *tap = taps->i[2] == 1 ? expr_int(b, 0) : loop_open_n(b, LOOP_SERIAL, name, taps->i[2]);
    *at = expr_add(b, expr_scale(b, tap, taps->i[1]), expr_int(b, taps->i[0]));
    return tap;
}

/* Packs filters for the template: see conv_spec.h for the order. Value at (filter f, channel i, row, column)
 * of the raw weight is pulled, so that a folded batch_norm's scale is multiplied on the way. */
void lower_pack_kernel(Lowering *l, const Node *node)
{
    if (node_int(node, A_WINOGRAD)) {
        lower_pack_winograd(l, node);
        return;
    }
    LoopBuilder *b = l->b;
    const Attr *taps_y = node_attr(node, A_TAPS_Y), *taps_x = node_attr(node, A_TAPS_X);
    int64_t block = node_int(node, A_BLOCK), unit = node_int(node, A_UNIT), units = node->type.dim[1];
    int out = lower_storage(l, layout_place(l->layout, node)->storage, BUFFER_OUT);
    Expr *ob = loop_open_n(b, LOOP_PARALLEL, "ob", node->type.dim[0]), *row, *column, *guard;
    Expr *u = loop_open_n(b, LOOP_PARALLEL, "u", units);
    Expr *ty = open_taps(b, taps_y, "ty", &row), *tx = open_taps(b, taps_x, "tx", &column);
    Expr *k = loop_open_n(b, LOOP_SERIAL, "k", unit);
    const PackLane lane = open_lanes(l, node, ob, block);
    Coord at = weight_coord(l, node, &lane, expr_add(b, expr_scale(b, u, unit), k), &guard);
    at.y = row;
    at.x = column;
    Expr *to = expr_add(b, expr_scale(b, ob, units), u);
    to = expr_add(b, expr_scale(b, to, taps_y->i[2]), ty);
    to = expr_add(b, expr_scale(b, to, taps_x->i[2]), tx);
    to = expr_add(b, expr_scale(b, to, unit), k);
    to = expr_add(b, expr_scale(b, to, block), lane.within);
    loop_store(b, out, to, lower_value_if(l, node->in[0], &at, guard));
    while (b->n_open) loop_close(b, NULL);
}
