/* What the kernels of losses over pixels share: the state of one under construction, its work memory, and
 * what is done for a vector of pixels. lower_loss.c walks the logits and says how; lower_loss_pixels.c makes
 * sums and gradient of a vector of pixels. Everything lives in the arena; nothing can fail.
 */
#ifndef LOWER_LOSS_H
#define LOWER_LOSS_H

#include "loss.h"
#include "lower.h"

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
    int labels, out, work, weights, slopes; /* buffers; weights, slopes: -1 where there are none */
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

/* Expressions by short names. */
static inline Expr *sum_of(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_ADD, x, y);
}

static inline Expr *difference(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_SUB, x, y);
}

static inline Expr *product(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_MUL, x, y);
}

static inline Expr *quotient(LossKernel *k, Expr *x, Expr *y)
{
    return expr_op2(k->b, EXPR_DIV, x, y);
}

static inline Expr *fma_of(LossKernel *k, Expr *x, Expr *y, Expr *z)
{
    return expr_op3(k->b, EXPR_FMA, x, y, z);
}

static inline Expr *select_of(LossKernel *k, Expr *condition, Expr *yes, Expr *no)
{
    return expr_op3(k->b, EXPR_SELECT, condition, yes, no);
}

static inline Expr *number(LossKernel *k, double value)
{
    return expr_float(k->b, value);
}

/* index = a * factor + b */
static inline Expr *scaled_index(LossKernel *k, Expr *a, int64_t factor, Expr *b)
{
    return expr_add(k->b, expr_scale(k->b, a, factor), b);
}

/* Opens a loop over the classes. */
static inline Expr *open_classes(LossKernel *k, LoopKind kind)
{
    return loop_open_n(k->b, kind, "c", k->form.c);
}

/* The buffer of so many floats that only this kernel uses. */
int lower_work(Lowering *l, int64_t elements);
/* A unit's own memory: the arrays, then a line of lanes for each running sum; in floats. */
int64_t work_size(const LossKernel *k);
/* Index of line number `line` at the lane at hand. */
Expr *work_index(LossKernel *k, Expr *line);
Expr *work_load(LossKernel *k, WorkArray array, Expr *c);
void work_store(LossKernel *k, WorkArray array, Expr *c, Expr *value);
/* The line of a running sum. */
Expr *work_sum_line(LossKernel *k, Expr *number);

/* The labels at an index; guard: whether the pixels are there at all (NULL: they are). */
void pixels_read_label(LossKernel *k, Pixels *p, Expr *index, Expr *guard);
/* From the values in WORK_VALUES (whose largest is most) to sums and gradient. */
void pixels_finish(LossKernel *k, Pixels *p, Expr *most);

#endif
