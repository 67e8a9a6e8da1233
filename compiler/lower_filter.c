/* Gradients of filters: the template's specs (filter_spec.h), and the rules for those that it does not
 * compute. */
#include "filter_spec.h"
#include "lower.h"
#include "op_rules.h"

#include <assert.h>

/* ---- by loops ---------------------------------------------------------------------------------------------
 */

/* Conv2d's filters seen from its input: rows of [in, out] in place of [out, in], last tap first. */
Expr *flip_filter_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    Expr *last_y = expr_int(b, node->type.dim[2] - 1), *last_x = expr_int(b, node->type.dim[3] - 1);
    Expr *channel = coord_channel(l, at);
    /* Spare lanes read the last filter. */
    if (node->type.dim[1] % at->block)
        channel = expr_op2(b, EXPR_MIN, channel, expr_int(b, node->type.dim[1] - 1));
    Coord in = {.block = 1, .n = channel, .cb = at->n, .lane = expr_int(b, 0)};
    in.y = expr_op2(b, EXPR_SUB, last_y, at->y);
    in.x = expr_op2(b, EXPR_SUB, last_x, at->x);
    return lower_value(l, node->in[0], &in);
}

/* Position of a tap along an axis, for output o, and whether it is inside. */
static Expr *tap_position(Lowering *l, const Node *node, int axis, Expr *o, Expr *tap, Expr **inside)
{
    LoopBuilder *b = l->b;
    Expr *first = expr_add(b, expr_scale(b, o, node_axis(node, A_STRIDE, axis)),
                           expr_int(b, -node_axis(node, A_PADDING, axis)));
    Expr *at = expr_add(b, first, expr_scale(b, tap, node_axis(node, A_DILATION, axis)));
    Expr *above = expr_op2(b, EXPR_GT, at, expr_int(b, -1));
    *inside =
        expr_op2(b, EXPR_AND, above, expr_op2(b, EXPR_LT, at, expr_int(b, node->in[0]->type.dim[2 + axis])));
    return at;
}

/* Groups that fill no blocks: the sum over pixels as it stands in op.def. */
Expr *conv2d_grad_filter_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Node *x = node->in[0], *gy = node->in[1];
    int64_t own_in = node->type.dim[1], own_out = node->type.dim[0] / node_int(node, A_GROUPS);
    Expr *channel = coord_channel(l, at), *zero = expr_int(b, 0);
    if (own_in % at->block) channel = expr_op2(b, EXPR_MIN, channel, expr_int(b, own_in - 1));
    Expr *group = expr_op2(b, EXPR_DIV, at->n, expr_int(b, own_out));
    Coord in = {.block = 1, .cb = expr_add(b, expr_scale(b, group, own_in), channel), .lane = zero};
    Coord out = {.block = 1, .cb = at->n, .lane = zero};
    Expr *inside[2], *sum[3];
    in.n = out.n = loop_open_n(b, LOOP_REDUCE, "n", gy->type.dim[0]);
    sum[0] = loop_carry(b, "sum", expr_float(b, 0));
    out.y = loop_open_n(b, LOOP_REDUCE, "oy", gy->type.dim[2]);
    sum[1] = loop_carry(b, "sum", sum[0]);
    out.x = loop_open_n(b, LOOP_REDUCE, "ox", gy->type.dim[3]);
    sum[2] = loop_carry(b, "sum", sum[1]);
    in.y = tap_position(l, node, 0, out.y, at->y, &inside[0]);
    in.x = tap_position(l, node, 1, out.x, at->x, &inside[1]);
    Expr *pixel = lower_value_if(l, x, &in, expr_op2(b, EXPR_AND, inside[0], inside[1]));
    Expr *next = expr_op3(b, EXPR_FMA, lower_value(l, gy, &out), pixel, sum[2]);
    loop_close(b, &next);
    loop_close(b, &sum[2]);
    loop_close(b, &sum[1]);
    return sum[0];
}

/* ---- by the template --------------------------------------------------------------------------------------
 */

static FilterSide side_of(const Place *place, int64_t stride_y, int64_t stride_x)
{
    return (FilterSide){.offset = place->offset,
                        .n = place->stride_n,
                        .y = place->stride_y * stride_y,
                        .x = place->stride_x * stride_x};
}

/* x of output pixel (0,0) at tap (0,0). */
static FilterSide input_side(const Node *node, const Place *x)
{
    FilterSide side = side_of(x, node_rows(node, A_STRIDE), node_columns(node, A_STRIDE));
    side.offset -= node_rows(node, A_PADDING) * x->stride_y + node_columns(node, A_PADDING) * x->stride_x;
    return side;
}

/* From tap to tap. */
static int64_t tap_step(const Node *node, const Place *x, int axis)
{
    return node_axis(node, A_DILATION, axis) * (axis == 0 ? x->stride_y : x->stride_x);
}

/* All taps; step: between the sums of two. */
static void set_taps(Arena *arena, FilterSpec *s, const Node *node, const Place *x, int64_t step)
{
    const int64_t *dim = node->type.dim;
    FilterTap *taps = ARENA_ARRAY(arena, FilterTap, dim[2] * dim[3]);
    s->n_taps = dim[2] * dim[3];
    for (int64_t i = 0; i < s->n_taps; i++) {
        int64_t shift = i / dim[3] * tap_step(node, x, 0) + i % dim[3] * tap_step(node, x, 1);
        taps[i] = (FilterTap){s->by_filters ? 0 : shift, s->by_filters ? shift : 0, i * step};
    }
    s->taps = taps;
}

/* Values are filters of gy; vectors are channels of x, read for every tap. */
static void describe_by_filters(Arena *arena, FilterSpec *s, const Node *node, const Place *x,
                                const Place *gy)
{
    const int64_t *dim = node->type.dim;
    int64_t blocks = blocks_of(dim[1], s->block);
    s->by_filters = true;
    s->one = side_of(gy, 1, 1);
    s->one.step = 1;
    s->many = input_side(node, x);
    s->many.step = x->stride_c;
    s->many_tiles = blocks / s->shape.vectors;
    set_taps(arena, s, node, x, s->block);
    s->sum_vector = s->n_taps * s->block;
    s->sum_value = blocks * s->sum_vector;
    filter_set_tiles(arena, s, dim[0], gy->stride_c, dim[0] / node_int(node, A_GROUPS), blocks * x->stride_c);
}

/* Values are channels of x, read for every tap; vectors are filters of gy. */
static void describe_by_channels(Arena *arena, FilterSpec *s, const Node *node, const Place *x,
                                 const Place *gy)
{
    int64_t filters = blocks_of(node->type.dim[0], s->block) * s->block, channels = node->type.dim[1];
    s->one = input_side(node, x);
    s->one.step = 1;
    s->many = side_of(gy, 1, 1);
    s->many.step = gy->stride_c;
    s->many_tiles = filters / s->block / s->shape.vectors;
    set_taps(arena, s, node, x, filters);
    s->sum_vector = s->block;
    s->sum_value = s->n_taps * filters;
    filter_set_tiles(arena, s, channels, x->stride_c, channels, 0);
}

/* Values are taps of a row and channel of x; vectors are filters of gy. */
static void describe_by_taps(Arena *arena, FilterSpec *s, const Node *node, const Place *x, const Place *gy)
{
    static const FilterTap none;
    const int64_t *dim = node->type.dim;
    int64_t blocks = blocks_of(dim[0], s->block), rows = dim[1] * dim[2], columns = dim[3];
    s->one = input_side(node, x);
    s->one.step = tap_step(node, x, 1);
    s->many = side_of(gy, 1, 1);
    s->many.step = gy->stride_c;
    s->many_tiles = blocks / s->shape.vectors;
    s->taps = &none;
    s->n_taps = 1;
    s->sum_vector = s->block;
    s->sum_value = blocks * s->block;
    s->sum_piece = rows * columns * s->sum_value;
    int64_t values = s->shape.values, whole = columns / values, rest = columns % values;
    int64_t per_row = whole + (rest > 0);
    s->n_tiles = rows * per_row;
    s->n_full = rows * whole;
    FilterTile *tiles = ARENA_ARRAY(arena, FilterTile, s->n_tiles);
    for (int64_t i = 0; i < s->n_tiles; i++) {
        bool full = i < s->n_full;
        int64_t row = full ? i / whole : i - s->n_full, column = full ? i % whole * values : whole * values;
        int64_t channel = row / dim[2] * (x->block == 1 ? x->stride_c : 1);
        tiles[i] = (FilterTile){.one = channel + row % dim[2] * tap_step(node, x, 0) + column * s->one.step,
                                .sum = (row * columns + column) * s->sum_value,
                                .values = (int)(full ? values : rest)};
    }
    s->tiles = tiles;
}

/* The sums of the first piece as a value of the node's type lies. */
static Place place_of_sums(const FilterSpec *s, const Node *node, Storage *storage)
{
    int64_t rows = node->type.dim[2], columns = node->type.dim[3];
    Place place = {.storage = storage, .view = view_of(node->type), .block = s->by_filters ? s->block : 1};
    place.stride_n = s->by_filters ? s->sum_value : 1;
    place.stride_x = s->by_filters ? s->block : blocks_of(node->type.dim[0], s->block) * s->block;
    place.stride_y = columns * place.stride_x;
    place.stride_c = rows * place.stride_y;
    return place;
}

/* One piece whose sums lie where the result belongs, which nothing else has to be done to. The last tile's
 * sums may go past the last filter, so the storage grows. */
static bool is_direct(const FilterSpec *s, const Node *node, const Node *root, const Place *place)
{
    bool alone = s->pieces == 1 && node == root && s->by_filters && place->offset == 0;
    return alone && place->storage->kind == STORAGE_ARENA && place->block == s->block &&
           place->stride_n == s->sum_value && place->stride_c == s->sum_vector;
}

Expr *lower_filter_sum(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    const FilterSpec *s = l->filter;
    const Place sums = place_of_sums(s, node, l->filter_sums);
    int buffer = lower_storage(l, l->filter_sums, BUFFER_IN);
    Expr *index = place_index(l, &sums, at);
    /* Spare lanes of a block are past the sums of a plain row. */
    if (sums.block == 1 && at->block > 1 && sums.view.c % at->block)
        index = expr_op2(b, EXPR_MIN, index, expr_int(b, s->sum_piece - 1));
    if (s->pieces == 1) return expr_load(b, buffer, index);
    Expr *piece = loop_open_n(b, LOOP_REDUCE, "piece", s->pieces);
    Expr *sum = loop_carry(b, "sum", expr_float(b, 0));
    Expr *part = expr_load(b, buffer, expr_add(b, index, expr_scale(b, piece, s->sum_piece)));
    Expr *next = expr_op2(b, EXPR_ADD, sum, part);
    loop_close(b, &next);
    return sum;
}

typedef void Describe(Arena *arena, FilterSpec *s, const Node *node, const Place *x, const Place *gy);

/* Which way round. Sums by filters need no second step, so the other way must be worth one. */
static Describe *choose_shape(FilterSpec *s, const Node *node, const Target *target)
{
    const int64_t *dim = node->type.dim;
    int64_t filters = blocks_of(dim[0], s->block), channels = blocks_of(dim[1], s->block);
    if (filter_by_taps(node)) {
        s->shape = filter_shape(dim[3], dim[1] * dim[2], filters, s->block, true, target);
        return describe_by_taps;
    }
    FilterShape other = filter_shape(dim[1], 1, filters, s->block, false, target);
    s->shape = filter_shape(dim[0], 1, channels, s->block, false, target);
    if (node_int(node, A_GROUPS) > 1 || other.cost > 0.9 * s->shape.cost) return describe_by_filters;
    s->shape = other;
    return describe_by_channels;
}

static FilterSpec *describe(const Fusion *fusion, const Node *node)
{
    const Layout *layout = fusion->layout;
    const Place *x = layout_place(layout, node->in[0]), *gy = layout_place(layout, node->in[1]);
    const int64_t *out = node->in[1]->type.dim;
    FilterSpec *s = ARENA_NEW(layout->arena, FilterSpec);
    *s = (FilterSpec){.n = out[0], .oh = out[2], .ow = out[3], .block = gy->block};
    assert(gy->block == layout->target->vector && (x->block == gy->block || filter_by_taps(node)));
    choose_shape(s, node, layout->target)(layout->arena, s, node, x, gy);
    filter_cut(s, layout->target);
    return s;
}

void lower_filter_sums(StepList *list, const Fusion *fusion, const Group *group, const FilterSpec *s,
                       Storage *const operands[3], const char *how)
{
    const Node *node = group->anchor;
    Step step = lower_new_step(fusion, group);
    const char *kind =
        arena_printf(list->arena, "conv2d_grad_filter %lldx%lld%s", (long long)node_rows(node, A_KERNEL),
                     (long long)node_columns(node, A_KERNEL), how);
    LoopBuilder b = loop_builder(list->arena, kind);
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    for (int i = 0; i < 3; i++) lower_fixed_buffer(&l, operands[i], i == 2 ? BUFFER_OUT : BUFFER_IN);
    Kernel *kernel = loop_finish(&b);
    kernel->units = s->pieces * s->shares * s->many_tiles;
    kernel->filter = s;
    lower_finish_step(list, &step, kernel);
}

static void lower_sums(StepList *list, const Fusion *fusion, const Group *group, const FilterSpec *s,
                       Storage *sums)
{
    const Node *node = group->anchor, *one = node->in[s->by_filters ? 1 : 0],
               *many = node->in[s->by_filters ? 0 : 1];
    Storage *operands[3] = {layout_place(fusion->layout, one)->storage,
                            layout_place(fusion->layout, many)->storage, sums};
    const char *how = s->by_filters ? "" : filter_by_taps(node) ? " by taps" : " by channels";
    lower_filter_sums(list, fusion, group, s, operands, how);
}

/* The second step: what becomes of the sums. */
static void lower_total(StepList *list, const Fusion *fusion, const Group *group, const FilterSpec *s,
                        Storage *sums)
{
    Step step = lower_new_step(fusion, group);
    LoopBuilder b =
        loop_builder(list->arena, arena_printf(list->arena, "%s sums", lower_kind(fusion, group)));
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    l.filter = s;
    l.filter_sums = sums;
    step.flops = 0;
    lower_elements(&l, group->root);
    lower_finish_step(list, &step, loop_finish(&b));
}

void lower_filter(StepList *list, const Fusion *fusion, const Group *group)
{
    const Node *node = group->anchor;
    if (filter_is_winograd(node, fusion->layout->target)) {
        lower_filter_winograd(list, fusion, group);
        return;
    }
    const FilterSpec *s = describe(fusion, node);
    const Place *place = layout_place(fusion->layout, group->root);
    if (is_direct(s, node, group->root, place)) {
        if (place->storage->elements < s->sum_piece) place->storage->elements = s->sum_piece;
        lower_sums(list, fusion, group, s, place->storage);
        return;
    }
    Storage *sums = layout_storage(fusion->layout, STORAGE_ARENA, F32, s->pieces * s->sum_piece);
    lower_sums(list, fusion, group, s, sums);
    lower_total(list, fusion, group, s, sums);
}
