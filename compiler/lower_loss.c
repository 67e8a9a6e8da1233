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
#include "loss.h"
#include "lower.h"
#include "op_rules.h"

#include <math.h>
#include <string.h>

/* Arrays in a unit's own memory, each [classes][lanes]. */
typedef enum WorkArray {
    WORK_VALUES, /* a pixel's logits, then their exponentials */
    /* Logits at the corners: left, and right - left, of both source rows. */
    WORK_TOP_LEFT,
    WORK_TOP_STEP,
    WORK_BOTTOM_LEFT,
    WORK_BOTTOM_STEP,
    WORK_TOP, /* at a column between them: top, and bottom - top */
    WORK_DROP,
    WORK_TOP_GRADIENT,
    WORK_BOTTOM_GRADIENT,
    WORK_ARRAYS
} WorkArray;

/* One axis of cells. */
typedef struct CellAxis {
    int start, count; /* tables by cell: its first pixel, how many */
    int low, high;    /* source positions around it */
    int weight;       /* of high: by pixel (rows), by place in the cell and cell (columns) */
    int64_t most;     /* largest count */
} CellAxis;

typedef struct LossKernel {
    Lowering *l;
    LoopBuilder *b;
    const Node *node;
    LossForm form;
    int logits, labels, out, work, weights, slopes; /* buffers; weights, slopes: -1 where there are none */
    CellAxis rows, columns;
    int64_t lanes;
    Expr *n, *row, *unit;
    Expr *lane;
} LossKernel;

/* What is known of the vector of pixels at hand. */
typedef struct Pixels {
    Expr *label;         /* as a float; -1 where it does not count */
    Expr *counted;       /* whether it does */
    Expr *weight;        /* of its class; 0 where it does not count */
    Expr *sum;           /* of exponentials */
    Expr *lower, *upper; /* resized: shares of top and bottom */
    Expr *x;             /* not resized: the column */
} Pixels;

/* ---- expressions -----------------------------------------------------------------------------------------
 */

static Expr *sum_of(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_ADD, x, y);
}

static Expr *difference(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_SUB, x, y);
}

static Expr *product(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_MUL, x, y);
}

static Expr *quotient(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_DIV, x, y);
}

static Expr *fma_of(LossKernel *k, Expr *x, Expr *y, Expr *z)
{
    return expr_op3(k->b, EXPR_FMA, x, y, z);
}

static Expr *select_of(LossKernel *k, Expr *condition, Expr *yes, Expr *no)
{
    return expr_op3(k->b, EXPR_SELECT, condition, yes, no);
}

static Expr *number(LossKernel *k, double value)
{
    return expr_float(k->b, value);
}

/* index = a * factor + b */
static Expr *scaled_index(LossKernel *k, Expr *a, int64_t factor, Expr *b)
{
    return expr_add(k->b, expr_scale(k->b, a, factor), b);
}

/* ---- a unit's own memory ---------------------------------------------------------------------------------
 */

static int64_t work_size(const LossKernel *k)
{
    int64_t arrays = k->form.resized ? WORK_ARRAYS : WORK_VALUES + 1;
    return (arrays * k->form.c + k->form.sums) * k->lanes;
}

static Expr *work_index(LossKernel *k, Expr *line)
{
    Expr *base = expr_add(k->b, expr_scale(k->b, k->unit, work_size(k)), k->lane);
    return scaled_index(k, line, k->lanes, base);
}

static Expr *work_at(LossKernel *k, WorkArray array, Expr *c)
{
    return work_index(k, expr_add(k->b, c, expr_int(k->b, array * k->form.c)));
}

static Expr *work_load(LossKernel *k, WorkArray array, Expr *c)
{
    return expr_load(k->b, k->work, work_at(k, array, c));
}

static void work_store(LossKernel *k, WorkArray array, Expr *c, Expr *value)
{
    loop_store(k->b, k->work, work_at(k, array, c), value);
}

static void work_add(LossKernel *k, WorkArray array, Expr *c, Expr *factor, Expr *value)
{
    work_store(k, array, c, fma_of(k, factor, value, work_load(k, array, c)));
}

/* Running sums stand behind the arrays, a line for each. */
static Expr *sum_line(LossKernel *k, Expr *number)
{
    int64_t arrays = k->form.resized ? WORK_ARRAYS : WORK_VALUES + 1;
    return expr_add(k->b, number, expr_int(k->b, arrays * k->form.c));
}

static void add_to_sum(LossKernel *k, Expr *number, Expr *value)
{
    Expr *at = work_index(k, sum_line(k, number));
    loop_store(k->b, k->work, at, sum_of(k, expr_load(k->b, k->work, at), value));
}

/* ---- a vector of pixels ----------------------------------------------------------------------------------
 */

static Expr *open_classes(LossKernel *k, LoopKind kind)
{
    return loop_open_n(k->b, kind, "c", k->form.c);
}

static Expr *is_label(LossKernel *k, const Pixels *p, Expr *c)
{
    return expr_op2(k->b, EXPR_EQ, p->label, expr_op1(k->b, EXPR_TO_FLOAT, c));
}

/* The label as a float, which is compared and selected in the lanes of the logits; guard: whether the pixel
 * is there at all (NULL: it is). */
static void read_label(LossKernel *k, Pixels *p, Expr *index, Expr *guard)
{
    LoopBuilder *b = k->b;
    Expr *minus = number(k, -1), *none = number(k, -0.5), *classes = number(k, (double)k->form.c);
    int64_t ignored = node_int(k->node, A_IGNORE_INDEX);
    Expr *raw = loop_let(b, "raw", expr_op1(b, EXPR_TO_FLOAT, expr_load_if(b, k->labels, index, guard)));
    Expr *good = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, raw, none), expr_op2(b, EXPR_LT, raw, classes));
    if (guard) good = expr_op2(b, EXPR_AND, good, guard);
    Expr *label = select_of(k, good, raw, minus);
    if (ignored >= 0 && ignored < k->form.c)
        label = select_of(k, expr_op2(b, EXPR_EQ, raw, number(k, (double)ignored)), minus, label);
    p->label = loop_let(b, "label", label);
    p->counted = loop_let(b, "counted", expr_op2(b, EXPR_GT, p->label, none));
}

/* Factors of CE's general form: -sum_c q_c log p_c with q_c = one [c = y] + spread w_c, Q = sum_c q_c. */
typedef struct Targets {
    Expr *one, *spread, *all; /* spread NULL: no smoothing */
} Targets;

static double weight_of(const LossKernel *k, int64_t c)
{
    const Attr *weights = node_attr(k->node, A_CLASS_WEIGHTS);
    return weights->n ? weights->floats[c] : 1;
}

static double sum_of_weights(const LossKernel *k)
{
    double sum = 0;
    for (int64_t c = 0; c < k->form.c; c++) sum += weight_of(k, c);
    return sum;
}

static Expr *weight_at(LossKernel *k, Expr *c)
{
    return k->weights >= 0 ? expr_load(k->b, k->weights, c) : number(k, 1);
}

/* Exponentials of values - most into work, their sum, and what the loss needs besides. */
typedef struct Exponentials {
    Expr *sum, *others;      /* others: without the label's */
    Expr *at_label, *spread; /* value - most at the label; sum of w_c (value - most) */
    Expr *weight;            /* of the label's class */
} Exponentials;

static Exponentials read_exponentials(LossKernel *k, const Pixels *p, Expr *most)
{
    LoopBuilder *b = k->b;
    Exponentials e;
    bool smooth = node_float(k->node, A_LABEL_SMOOTHING) > 0, focal = k->form.kind == LOSS_FOCAL;
    Expr *c = open_classes(k, LOOP_REDUCE), *zero = number(k, 0), *next[5];
    int n = 0;
    e.sum = loop_carry(b, "sum", zero);
    e.at_label = loop_carry(b, "at_label", zero);
    e.others = focal ? loop_carry(b, "others", zero) : NULL;
    e.spread = smooth ? loop_carry(b, "spread", zero) : NULL;
    e.weight = k->weights >= 0 ? loop_carry(b, "weight", zero) : NULL;
    Expr *apart = loop_let(b, "d", difference(k, work_load(k, WORK_VALUES, c), most));
    Expr *exponential = loop_let(b, "e", expr_op1(b, EXPR_EXP, apart));
    Expr *here = is_label(k, p, c);
    if (k->form.gradient || k->form.kind == LOSS_DICE) work_store(k, WORK_VALUES, c, exponential);
    next[n++] = sum_of(k, e.sum, exponential);
    next[n++] = select_of(k, here, apart, e.at_label);
    if (focal) next[n++] = sum_of(k, e.others, select_of(k, here, zero, exponential));
    if (smooth) next[n++] = fma_of(k, weight_at(k, c), apart, e.spread);
    if (e.weight) next[n++] = select_of(k, here, weight_at(k, c), e.weight);
    loop_close(b, next);
    return e;
}

/* x^power for x >= 0: products for small whole powers, else exp(power log x) with x held away from 0. */
static Expr *power_of(LossKernel *k, Expr *x, double power)
{
    if (power >= 0 && power <= 8 && power == floor(power)) {
        Expr *value = number(k, 1);
        for (int i = 0; i < (int)power; i++) value = product(k, value, x);
        return value;
    }
    Expr *held = expr_op2(k->b, EXPR_MAX, x, number(k, 1e-30));
    Expr *logarithm = expr_op1(k->b, EXPR_LOG, held);
    return expr_op1(k->b, EXPR_EXP, product(k, logarithm, number(k, power)));
}

/* The sums of focal loss; its gradient is that of cross-entropy times (1-p)^g - g p (1-p)^(g-1) log p. */
static Targets focal_targets(LossKernel *k, const Pixels *p, const Exponentials *e)
{
    LoopBuilder *b = k->b;
    double gamma = node_float(k->node, A_GAMMA);
    Expr *logarithm = loop_let(b, "log_p", difference(k, e->at_label, expr_op1(b, EXPR_LOG, e->sum)));
    Expr *rest = loop_let(b, "rest", quotient(k, e->others, e->sum));
    Expr *before = loop_let(b, "before", power_of(k, rest, gamma - 1));
    Expr *power = loop_let(b, "power", product(k, before, rest));
    Expr *loss = product(k, p->weight, product(k, power, expr_op1(b, EXPR_NEG, logarithm)));
    add_to_sum(k, expr_int(b, 0), select_of(k, p->counted, loss, number(k, 0)));
    add_to_sum(k, expr_int(b, 1), p->weight);
    Expr *probability = difference(k, number(k, 1), rest);
    Expr *slope = product(k, product(k, product(k, number(k, gamma), probability), before), logarithm);
    Expr *one = loop_let(b, "q", product(k, p->weight, difference(k, power, slope)));
    return (Targets){.one = one, .all = one};
}

static Targets cross_entropy_targets(LossKernel *k, const Pixels *p, const Exponentials *e)
{
    LoopBuilder *b = k->b;
    double smoothing = node_float(k->node, A_LABEL_SMOOTHING);
    Targets t = {.one = p->weight, .all = p->weight};
    Expr *logarithm = loop_let(b, "log_sum", expr_op1(b, EXPR_LOG, e->sum)), *loss;
    if (smoothing == 0) {
        loss = product(k, p->weight, difference(k, logarithm, e->at_label));
    } else {
        Expr *share = number(k, smoothing / (double)k->form.c), *zero = number(k, 0);
        double all = sum_of_weights(k);
        t.one = loop_let(b, "q", product(k, p->weight, number(k, 1 - smoothing)));
        t.spread = loop_let(b, "share", select_of(k, p->counted, share, zero));
        t.all = loop_let(b, "all", fma_of(k, t.spread, number(k, all), t.one));
        Expr *spread = difference(k, product(k, number(k, all), logarithm), e->spread);
        loss = product(k, t.one, difference(k, logarithm, e->at_label));
        loss = fma_of(k, t.spread, spread, loss);
    }
    add_to_sum(k, expr_int(b, 0), select_of(k, p->counted, loss, number(k, 0)));
    add_to_sum(k, expr_int(b, 1), p->weight);
    return t;
}

/* Where the gradient of class c goes. */
static void put_gradient(LossKernel *k, const Pixels *p, Expr *c, Expr *value)
{
    LoopBuilder *b = k->b;
    const LossForm *f = &k->form;
    if (f->resized) {
        Expr *gradient = loop_let(b, "g", value);
        work_add(k, WORK_TOP_GRADIENT, c, p->upper, gradient);
        work_add(k, WORK_BOTTOM_GRADIENT, c, p->lower, gradient);
        return;
    }
    Expr *line = scaled_index(k, scaled_index(k, k->n, f->c, c), f->h, k->row);
    Expr *at = scaled_index(k, line, f->w, p->x);
    loop_store(b, k->out, expr_add(b, at, expr_int(b, f->gradient_start)), value);
}

/* p_c Q - q_c */
static void target_gradient(LossKernel *k, const Pixels *p, const Targets *t)
{
    Expr *scale = loop_let(k->b, "scale", quotient(k, t->all, p->sum)), *zero = number(k, 0);
    Expr *c = open_classes(k, LOOP_SERIAL);
    Expr *wanted = select_of(k, is_label(k, p, c), t->one, zero);
    if (t->spread) wanted = fma_of(k, t->spread, weight_at(k, c), wanted);
    put_gradient(k, p, c, difference(k, product(k, work_load(k, WORK_VALUES, c), scale), wanted));
    loop_close(k->b, NULL);
}

/* Of class c: sum of p r, of p, of r. */
static void dice_sums(LossKernel *k, const Pixels *p)
{
    LoopBuilder *b = k->b;
    Expr *zero = number(k, 0), *one = number(k, 1);
    Expr *scale = loop_let(b, "scale", select_of(k, p->counted, quotient(k, one, p->sum), zero));
    Expr *c = open_classes(k, LOOP_SERIAL);
    Expr *probability = loop_let(b, "p", product(k, work_load(k, WORK_VALUES, c), scale));
    Expr *here = is_label(k, p, c), *first = expr_scale(b, c, 3);
    add_to_sum(k, first, select_of(k, here, probability, zero));
    add_to_sum(k, expr_add(b, first, expr_int(b, 1)), probability);
    add_to_sum(k, expr_add(b, first, expr_int(b, 2)), select_of(k, here, one, zero));
    loop_close(b, NULL);
}

/* s_c = dL/dp_c = slopes[c] r_c + slopes[C+c]; the gradient is p_c (s_c - sum_k p_k s_k). */
static void dice_gradient(LossKernel *k, const Pixels *p)
{
    LoopBuilder *b = k->b;
    Expr *zero = number(k, 0), *one = number(k, 1), *classes = expr_int(b, k->form.c);
    Expr *scale = loop_let(b, "scale", select_of(k, p->counted, quotient(k, one, p->sum), zero));
    Expr *mean = NULL;
    for (int turn = 0; turn < 2; turn++) {
        Expr *c = open_classes(k, turn == 0 ? LOOP_REDUCE : LOOP_SERIAL);
        if (turn == 0) mean = loop_carry(b, "mean", zero);
        Expr *probability = product(k, work_load(k, WORK_VALUES, c), scale);
        Expr *of_label = select_of(k, is_label(k, p, c), expr_load(b, k->slopes, c), zero);
        Expr *slope = sum_of(k, of_label, expr_load(b, k->slopes, expr_add(b, c, classes)));
        Expr *next = turn == 0 ? fma_of(k, probability, slope, mean) : NULL;
        if (turn == 1) put_gradient(k, p, c, product(k, probability, difference(k, slope, mean)));
        loop_close(b, turn == 0 ? &next : NULL);
    }
}

/* From the values in work (whose largest is most) to sums and gradient. */
static void finish_pixels(LossKernel *k, Pixels *p, Expr *most)
{
    LoopBuilder *b = k->b;
    Exponentials e = read_exponentials(k, p, most);
    p->sum = e.sum;
    if (k->form.kind == LOSS_DICE) {
        (k->form.gradient ? dice_gradient : dice_sums)(k, p);
        return;
    }
    Expr *weight = e.weight ? e.weight : select_of(k, p->counted, number(k, 1), number(k, 0));
    p->weight = loop_let(b, "w", weight);
    Targets t = (k->form.kind == LOSS_FOCAL ? focal_targets : cross_entropy_targets)(k, p, &e);
    if (k->form.gradient) target_gradient(k, p, &t);
}

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
    read_label(k, &p, place_index(k->l, layout_place(k->l->layout, k->node->in[1]), &at), NULL);
    Expr *c = open_classes(k, LOOP_REDUCE);
    Expr *most = loop_carry(b, "most", number(k, -INFINITY));
    at.cb = c;
    Expr *value = loop_let(b, "v", lower_value(k->l, k->node->in[0], &at));
    work_store(k, WORK_VALUES, c, value);
    Expr *next = expr_op2(b, EXPR_MAX, most, value);
    loop_close(b, &next);
    finish_pixels(k, &p, most);
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
    read_label(k, &p, place_index(k->l, layout_place(k->l->layout, k->node->in[1]), &at), inside);
    Expr *c = open_classes(k, LOOP_REDUCE);
    Expr *most = loop_carry(b, "most", number(k, -INFINITY));
    Expr *value = fma_of(k, p.lower, work_load(k, WORK_DROP, c), work_load(k, WORK_TOP, c));
    value = loop_let(b, "v", value);
    work_store(k, WORK_VALUES, c, value);
    Expr *next = expr_op2(b, EXPR_MAX, most, value);
    loop_close(b, &next);
    finish_pixels(k, &p, most);
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

static int own_memory(Lowering *l, int64_t elements)
{
    return lower_storage(l, layout_storage(l->fusion->layout, STORAGE_ARENA, F32, elements), BUFFER_OUT);
}

static void clear_sums(LossKernel *k)
{
    k->lane = loop_open_n(k->b, LOOP_VECTOR, "l", k->lanes);
    Expr *s = loop_open_n(k->b, LOOP_SERIAL, "s", k->form.sums);
    loop_store(k->b, k->work, work_index(k, sum_line(k, s)), number(k, 0));
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
    Expr *next = sum_of(k, total, expr_load(b, k->work, work_index(k, sum_line(k, s))));
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
    k.logits = lower_storage(l, layout_place(layout, node->in[0])->storage, BUFFER_IN);
    k.labels = lower_storage(l, layout_place(layout, node->in[1])->storage, BUFFER_IN);
    if (node->n_in == 3) k.slopes = lower_storage(l, layout_place(layout, node->in[2])->storage, BUFFER_IN);
    k.out = lower_storage(l, layout_place(layout, node)->storage, BUFFER_OUT);
    k.work = own_memory(l, f->units * work_size(&k));
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

/* Sums rows of a channel by lanes, then the lanes. */
void lower_element_sums(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    const Node *from = node->in[0];
    View v = view_of(from->type);
    int64_t pieces = (v.h + LOSS_ROWS - 1) / LOSS_ROWS, lanes = LOSS_LANES, whole = v.w / lanes;
    int out = lower_storage(l, layout_place(l->layout, node)->storage, BUFFER_OUT);
    int work = own_memory(l, v.n * v.c * pieces * lanes);
    Coord at = {.block = 1, .lane = expr_int(b, 0)};
    at.n = loop_open_n(b, LOOP_PARALLEL, "n", v.n);
    at.cb = loop_open_n(b, LOOP_PARALLEL, "c", v.c);
    Expr *piece = loop_open_n(b, LOOP_PARALLEL, "piece", pieces), *first = expr_scale(b, piece, LOSS_ROWS);
    Expr *unit = expr_add(b, expr_scale(b, at.n, v.c), at.cb);
    unit = expr_add(b, expr_scale(b, unit, pieces), piece);
    Expr *base = expr_scale(b, unit, lanes);
    Expr *lane = loop_open_n(b, LOOP_VECTOR, "l", lanes);
    loop_store(b, work, expr_add(b, base, lane), expr_float(b, 0));
    loop_close(b, NULL);
    Expr *end = expr_op2(b, EXPR_MIN, expr_add(b, first, expr_int(b, LOSS_ROWS)), expr_int(b, v.h));
    at.y = loop_open(b, LOOP_SERIAL, "y", first, end);
    for (int rest = 0; rest < 2; rest++) {
        int64_t count = rest ? v.w % lanes : lanes;
        if (count == 0 || (!rest && whole == 0)) continue;
        Expr *chunk = rest ? expr_int(b, whole) : loop_open_n(b, LOOP_SERIAL, "xs", whole);
        lane = loop_open_n(b, LOOP_VECTOR, "l", count);
        at.x = expr_add(b, expr_scale(b, chunk, lanes), lane);
        Expr *sum = expr_add(b, base, lane);
        Expr *value = lower_value(l, from, &at);
        loop_store(b, work, sum, expr_op2(b, EXPR_ADD, expr_load(b, work, sum), value));
        loop_close(b, NULL);
        if (!rest) loop_close(b, NULL);
    }
    loop_close(b, NULL);
    lane = loop_open_n(b, LOOP_REDUCE, "l", lanes);
    Expr *total = loop_carry(b, "total", expr_float(b, 0));
    Expr *next = expr_op2(b, EXPR_ADD, total, expr_load(b, work, expr_add(b, base, lane)));
    loop_close(b, &next);
    loop_store(b, out, unit, total);
    while (b->n_open) loop_close(b, NULL);
}
