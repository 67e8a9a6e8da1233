/* A vector of pixels: from its logits to the loss's sums and the gradient. See lower_loss.h. */
#include "lower_loss.h"

#include <math.h>

/* ---- a unit's own memory ---------------------------------------------------------------------------------
 */

int lower_work(Lowering *l, int64_t elements)
{
    return lower_storage(l, layout_storage(l->fusion->layout, STORAGE_ARENA, F32, elements), BUFFER_OUT);
}

int64_t work_size(const LossKernel *k)
{
    int64_t arrays = k->form.resized ? WORK_ARRAYS : WORK_VALUES + 1;
    return (arrays * k->form.c + k->form.sums) * k->lanes;
}

Expr *work_index(LossKernel *k, Expr *line)
{
    Expr *base = expr_add(k->b, expr_scale(k->b, k->unit, work_size(k)), k->lane);
    return scaled_index(k, line, k->lanes, base);
}

static Expr *work_at(LossKernel *k, WorkArray array, Expr *c)
{
    return work_index(k, expr_add(k->b, c, expr_int(k->b, array * k->form.c)));
}

Expr *work_load(LossKernel *k, WorkArray array, Expr *c)
{
    return expr_load(k->b, k->work, work_at(k, array, c));
}

void work_store(LossKernel *k, WorkArray array, Expr *c, Expr *value)
{
    loop_store(k->b, k->work, work_at(k, array, c), value);
}

/* += factor * value */
static void work_add(LossKernel *k, WorkArray array, Expr *c, Expr *factor, Expr *value)
{
    work_store(k, array, c, fma_of(k, factor, value, work_load(k, array, c)));
}

/* Running sums stand behind the arrays, a line for each. */
Expr *work_sum_line(LossKernel *k, Expr *number)
{
    int64_t arrays = k->form.resized ? WORK_ARRAYS : WORK_VALUES + 1;
    return expr_add(k->b, number, expr_int(k->b, arrays * k->form.c));
}

static void add_to_sum(LossKernel *k, Expr *number, Expr *value)
{
    Expr *at = work_index(k, work_sum_line(k, number));
    loop_store(k->b, k->work, at, sum_of(k, expr_load(k->b, k->work, at), value));
}

/* ---- labels and exponentials -----------------------------------------------------------------------------
 */

static Expr *is_label(LossKernel *k, const Pixels *p, Expr *c)
{
    return expr_op2(k->b, EXPR_EQ, p->label, expr_op1(k->b, EXPR_TO_FLOAT, c));
}

/* The label as a float, which is compared and selected in the lanes of the logits; guard: whether the pixel
 * is there at all (NULL: it is). */
void pixels_read_label(LossKernel *k, Pixels *p, Expr *index, Expr *guard)
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
void pixels_finish(LossKernel *k, Pixels *p, Expr *most)
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
