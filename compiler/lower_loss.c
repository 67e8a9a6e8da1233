/* Losses over pixels: one pass over the logits makes the sums of the loss and its gradient. See loss.h.
 *
 * Logits that are enlarged on the way are walked by cells. Cell (j, i) is the set of pixels that lie between
 * source rows j-1 and j and source columns i-1 and i (at the picture's borders both are the same), j = 0..h,
 * i = 0..w. A vector is a pixel of each of several neighbouring cells, at the same place in each:
 * interpolation then loads neighbouring logits, and the gradient of a cell's four corners is added up lane by
 * lane, with no sum across lanes. Where cells have different numbers of pixels some lanes idle.
 *
 *     for each cell row (a unit of work), for each vector of cells:
 *         corners of all classes -> work
 *         for each column p of pixels in the cell:
 *             top and bottom of that column, all classes -> work
 *             for each row k of pixels: the logits, their softmax, the loss; gradient added to top and bottom
 *             top and bottom's gradient added to the four corners'
 *
 * The corners' gradients of every cell row are the pieces that loss_gradient puts together: a source sample
 * is a corner of four cells. Logits of full size are walked by rows, their gradient is stored as it is.
 */
#include "lower_loss.h"

#include <math.h>
#include <string.h>

/* ---- logits of full size ---------------------------------------------------------------------------------
 */

static void walk_row_part(LossKernel *k, Expr *first, int64_t lanes)
{
    LoopBuilder *b = k->b;
    Pixels p = {0};
    k->lane = loop_open_n(b, LOOP_VECTOR, "l", lanes);
    p.x = expr_add(b, first, k->lane);
    Expr *zero = expr_int(b, 0);
    Coord at = {.block = 1, .n = k->n, .lane = zero, .y = k->row, .x = p.x, .cb = zero};
    pixels_read_label(k, &p, place_index(k->l, layout_place(k->l->layout, k->node->in[1]), &at), NULL);
    Expr *c = open_classes(k, LOOP_REDUCE);
    Expr *most = loop_carry(b, "most", number(k, -INFINITY));
    at.cb = c;
    Expr *value = loop_let(b, "v", lower_value(k->l, k->node->in[0], &at));
    work_store(k, WORK_VALUES, c, value);
    Expr *next = expr_op2(b, EXPR_MAX, most, value);
    loop_close(b, &next);
    pixels_finish(k, &p, most);
    loop_close(b, NULL);
}

static void walk_row(LossKernel *k)
{
    LoopBuilder *b = k->b;
    int64_t whole = k->form.w / k->lanes, rest = k->form.w % k->lanes;
    if (whole > 0) {
        Expr *chunk = loop_open_n(b, LOOP_SERIAL, "xs", whole);
        walk_row_part(k, expr_scale(b, chunk, k->lanes), k->lanes);
        loop_close(b, NULL);
    }
    if (rest > 0) walk_row_part(k, expr_int(b, whole * k->lanes), rest);
}

/* ---- logits that are enlarged on the way -----------------------------------------------------------------
 */

/* Tables of an axis of `in` samples that becomes one of `out`, in so many cells (spare ones are empty). */
static CellAxis cell_axis(LossKernel *k, const char *name, int64_t in, int64_t out, int64_t cells,
                          bool columns)
{
    Arena *arena = k->l->arena;
    bool corners = !strcmp(node_string(k->node, A_RESIZED), "align_corners");
    double factor = node_has(k->node, A_SCALE_FACTOR) ? node_float(k->node, A_SCALE_FACTOR) : 0;
    int32_t *start = ARENA_ARRAY(arena, int32_t, cells), *count = ARENA_ARRAY(arena, int32_t, cells);
    int32_t *low = ARENA_ARRAY(arena, int32_t, cells), *high = ARENA_ARRAY(arena, int32_t, cells);
    int64_t *cell = ARENA_ARRAY(arena, int64_t, out);
    float *share = ARENA_ARRAY(arena, float, out);
    CellAxis axis = {0};
    for (int64_t o = out - 1; o >= 0; o--) {
        double position = resize_position(in, out, corners, factor, o), below = floor(position);
        cell[o] = below < 0 ? 0 : below < (double)(in - 1) ? (int64_t)below + 1 : in;
        /* At a border all goes to the one sample that there is: as the right of the first, the left of the
         * last. */
        share[o] = cell[o] == 0 ? 1.0f : cell[o] == in ? 0.0f : (float)(position - below);
        start[cell[o]] = (int32_t)o;
        count[cell[o]]++;
        if (count[cell[o]] > axis.most) axis.most = count[cell[o]];
    }
    for (int64_t i = 0; i < cells; i++) {
        low[i] = (int32_t)(i == 0 ? 0 : i < in ? i - 1 : in - 1);
        high[i] = (int32_t)(i < in ? i : in - 1);
    }
    float *weight = share;
    if (columns) {
        weight = ARENA_ARRAY(arena, float, axis.most *cells);
        for (int64_t o = 0; o < out; o++) weight[(o - start[cell[o]]) * cells + cell[o]] = share[o];
    }
    axis.start = lower_table(k->l, arena_printf(arena, "%s_start", name), I32, start, cells);
    axis.count = lower_table(k->l, arena_printf(arena, "%s_count", name), I32, count, cells);
    axis.low = lower_table(k->l, arena_printf(arena, "%s_low", name), I32, low, cells);
    axis.high = lower_table(k->l, arena_printf(arena, "%s_high", name), I32, high, cells);
    axis.weight = lower_table(k->l, arena_printf(arena, "%s_weight", name), F32, weight,
                              columns ? axis.most * cells : out);
    return axis;
}

/* Index of a corner's gradient: part 0..3 is top left, top right, bottom left, bottom right. */
static Expr *corner_index(LoopBuilder *b, const LossForm *f, Expr *unit, int part, Expr *c, Expr *column)
{
    Expr *line = expr_add(b, expr_scale(b, unit, 4), expr_int(b, part));
    line = expr_add(b, expr_scale(b, line, f->c), c);
    Expr *at = expr_add(b, expr_scale(b, line, f->columns), column);
    return expr_add(b, at, expr_int(b, f->gradient_start));
}

static void read_corners(LossKernel *k, Expr *cell, Expr *row_low, Expr *row_high)
{
    LoopBuilder *b = k->b;
    Expr *rows[2] = {row_low, row_high}, *corner[4];
    Expr *left = loop_let(b, "left", expr_load(b, k->columns.low, cell));
    Expr *right = loop_let(b, "right", expr_load(b, k->columns.high, cell));
    Expr *c = open_classes(k, LOOP_SERIAL);
    for (int i = 0; i < 4; i++) {
        Coord at = {.block = 1, .n = k->n, .cb = c, .lane = expr_int(b, 0), .y = rows[i / 2]};
        at.x = i % 2 ? right : left;
        corner[i] = loop_let(b, "corner", lower_value(k->l, k->node->in[0], &at));
    }
    work_store(k, WORK_TOP_LEFT, c, corner[0]);
    work_store(k, WORK_TOP_STEP, c, difference(k, corner[1], corner[0]));
    work_store(k, WORK_BOTTOM_LEFT, c, corner[2]);
    work_store(k, WORK_BOTTOM_STEP, c, difference(k, corner[3], corner[2]));
    for (int part = 0; part < 4 && k->form.gradient; part++)
        loop_store(b, k->out, corner_index(b, &k->form, k->unit, part, c, cell), number(k, 0));
    loop_close(b, NULL);
}

static void read_column(LossKernel *k, Expr *share)
{
    Expr *c = open_classes(k, LOOP_SERIAL);
    Expr *top = fma_of(k, share, work_load(k, WORK_TOP_STEP, c), work_load(k, WORK_TOP_LEFT, c));
    Expr *bottom = fma_of(k, share, work_load(k, WORK_BOTTOM_STEP, c), work_load(k, WORK_BOTTOM_LEFT, c));
    top = loop_let(k->b, "top", top);
    work_store(k, WORK_TOP, c, top);
    work_store(k, WORK_DROP, c, difference(k, bottom, top));
    if (k->form.gradient) {
        work_store(k, WORK_TOP_GRADIENT, c, number(k, 0));
        work_store(k, WORK_BOTTOM_GRADIENT, c, number(k, 0));
    }
    loop_close(k->b, NULL);
}

static void finish_column(LossKernel *k, Expr *cell, Expr *right)
{
    LoopBuilder *b = k->b;
    Expr *left = loop_let(b, "rest", difference(k, number(k, 1), right));
    Expr *c = open_classes(k, LOOP_SERIAL);
    for (int part = 0; part < 4; part++) {
        Expr *at = corner_index(b, &k->form, k->unit, part, c, cell);
        Expr *gradient = work_load(k, part < 2 ? WORK_TOP_GRADIENT : WORK_BOTTOM_GRADIENT, c);
        loop_store(b, k->out, at, fma_of(k, part % 2 ? right : left, gradient, expr_load(b, k->out, at)));
    }
    loop_close(b, NULL);
}

static void walk_pixel_row(LossKernel *k, Expr *x, Expr *y, Expr *inside)
{
    LoopBuilder *b = k->b;
    Pixels p = {0};
    p.lower = loop_let(b, "lower", expr_load(b, k->rows.weight, y));
    p.upper = loop_let(b, "upper", difference(k, number(k, 1), p.lower));
    Coord at = {.block = 1, .n = k->n, .cb = expr_int(b, 0), .lane = expr_int(b, 0), .y = y, .x = x};
    pixels_read_label(k, &p, place_index(k->l, layout_place(k->l->layout, k->node->in[1]), &at), inside);
    Expr *c = open_classes(k, LOOP_REDUCE);
    Expr *most = loop_carry(b, "most", number(k, -INFINITY));
    Expr *value = fma_of(k, p.lower, work_load(k, WORK_DROP, c), work_load(k, WORK_TOP, c));
    value = loop_let(b, "v", value);
    work_store(k, WORK_VALUES, c, value);
    Expr *next = expr_op2(b, EXPR_MAX, most, value);
    loop_close(b, &next);
    pixels_finish(k, &p, most);
}

static void walk_cells(LossKernel *k)
{
    LoopBuilder *b = k->b;
    const LossForm *f = &k->form;
    Expr *y_start = loop_let(b, "y_start", expr_load(b, k->rows.start, k->row));
    Expr *y_count = loop_let(b, "y_count", expr_load(b, k->rows.count, k->row));
    Expr *row_low = loop_let(b, "row_low", expr_load(b, k->rows.low, k->row));
    Expr *row_high = loop_let(b, "row_high", expr_load(b, k->rows.high, k->row));
    Expr *chunk = loop_open_n(b, LOOP_SERIAL, "cells", (f->w + k->lanes) / k->lanes);
    k->lane = loop_open_n(b, LOOP_VECTOR, "l", k->lanes);
    Expr *cell = scaled_index(k, chunk, k->lanes, k->lane);
    Expr *x_start = loop_let(b, "x_start", expr_load(b, k->columns.start, cell));
    Expr *x_count = loop_let(b, "x_count", expr_load(b, k->columns.count, cell));
    read_corners(k, cell, row_low, row_high);
    Expr *place = loop_open_n(b, LOOP_SERIAL, "p", k->columns.most);
    Expr *inside = loop_let(b, "inside", expr_op2(b, EXPR_LT, place, x_count));
    Expr *x = loop_let(b, "x", expr_add(b, x_start, place));
    Expr *share = expr_load(b, k->columns.weight, scaled_index(k, place, f->columns, cell));
    share = loop_let(b, "share", share);
    read_column(k, share);
    Expr *i = loop_open(b, LOOP_SERIAL, "k", expr_int(b, 0), y_count);
    walk_pixel_row(k, x, expr_add(b, y_start, i), inside);
    loop_close(b, NULL);
    if (f->gradient) finish_column(k, cell, share);
    for (int loops = 0; loops < 3; loops++) loop_close(b, NULL);
}

/* ---- kernels ---------------------------------------------------------------------------------------------
 */

static void clear_sums(LossKernel *k)
{
    k->lane = loop_open_n(k->b, LOOP_VECTOR, "l", k->lanes);
    Expr *s = loop_open_n(k->b, LOOP_SERIAL, "s", k->form.sums);
    loop_store(k->b, k->work, work_index(k, work_sum_line(k, s)), number(k, 0));
    loop_close(k->b, NULL);
    loop_close(k->b, NULL);
}

/* Lanes are added up in order. */
static void store_sums(LossKernel *k)
{
    LoopBuilder *b = k->b;
    Expr *s = loop_open_n(b, LOOP_SERIAL, "s", k->form.sums);
    k->lane = loop_open_n(b, LOOP_REDUCE, "l", k->lanes);
    Expr *total = loop_carry(b, "total", number(k, 0));
    Expr *next = sum_of(k, total, expr_load(b, k->work, work_index(k, work_sum_line(k, s))));
    loop_close(b, &next);
    loop_store(b, k->out, scaled_index(k, k->unit, k->form.sums, s), total);
    loop_close(b, NULL);
}

static int weight_table(Lowering *l, const Node *node)
{
    const Attr *weights = node_attr(node, A_CLASS_WEIGHTS);
    float values[MAX_FLOATS];
    if (weights->n == 0) return -1;
    for (int i = 0; i < weights->n; i++) values[i] = (float)weights->floats[i];
    return lower_table(l, "weight", F32, values, weights->n);
}

void lower_loss_kernel(Lowering *l, const Node *node)
{
    const Layout *layout = l->layout;
    LossKernel k = {.l = l, .b = l->b, .node = node, .form = loss_form(node), .slopes = -1};
    const LossForm *f = &k.form;
    int vector = layout->target->vector;
    k.lanes = vector > LOSS_LANES ? LOSS_LANES : vector;
    lower_storage(l, layout_place(layout, node->in[0])->storage, BUFFER_IN); /* the first buffer: logits */
    k.labels = lower_storage(l, layout_place(layout, node->in[1])->storage, BUFFER_IN);
    if (node->n_in == 3) k.slopes = lower_storage(l, layout_place(layout, node->in[2])->storage, BUFFER_IN);
    k.out = lower_storage(l, layout_place(layout, node)->storage, BUFFER_OUT);
    k.work = lower_work(l, f->units * work_size(&k));
    k.weights = weight_table(l, node);
    if (f->resized) {
        k.rows = cell_axis(&k, "row", f->h, f->height, f->rows, false);
        k.columns = cell_axis(&k, "column", f->w, f->width, f->columns, true);
    }
    k.n = loop_open_n(k.b, LOOP_PARALLEL, "n", f->n);
    k.row = loop_open_n(k.b, LOOP_PARALLEL, "row", f->rows);
    k.unit = scaled_index(&k, k.n, f->rows, k.row);
    clear_sums(&k);
    (f->resized ? walk_cells : walk_row)(&k);
    store_sums(&k);
    while (k.b->n_open) loop_close(k.b, NULL);
}
