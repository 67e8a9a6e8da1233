/* Losses, and what they are made of.
 *
 * Over pixels: logits f32[N,C,h,w] and labels i32[N,H,W]. A pixel counts when its label is one of 0..C-1 and
 * not ignore_index; V are the counted pixels, y the label, p = softmax of the pixel's logits, w the class
 * weights (1 where none are given).
 *
 *     cross_entropy  sum over V of (1-s) w_y (-log p_y) + s/C sum_c w_c (-log p_c), over sum over V of w_y,
 *                    s = label_smoothing: torch.nn.functional.cross_entropy, to the letter
 *     focal          sum over V of w_y (1 - p_y)^gamma (-log p_y), over sum over V of w_y (Lin et al. 2017);
 *                    gamma 0 is cross_entropy by the same code
 *     dice           1 - mean over classes of D_c = (2 sum_V p_c r_c + eps) / (sum_V p_c + sum_V r_c + eps),
 *                    r_c = 1 where y = c, sums over the whole batch. A class with no r_c = 1: `absent: count`
 *                    takes its D_c as the formula gives it; `skip` leaves it out of the mean; `zero` counts
 *                    it as D_c = 0 with no gradient
 *
 * When nothing counts (V is empty, or its weights are all 0) the loss is 0 and so is the gradient.
 *
 * The rows of the YAML are rewritten twice (pass_fuse_loss.c). Before gradients are taken, a loss over pixels
 * becomes a pixel_loss, which takes in a bilinear enlargement of its logits: the gradient is then one of the
 * small logits, and nothing of the labels' size is ever made of them. Afterwards it becomes
 *
 *     loss_pass {gradient}     f32[...]: sums of pieces, then the gradient without its factor, in pieces
 *     loss_sums                f32[S]: over the pieces, in order
 *     loss_result {result}
 *         mean                 sum_0 / sum_1
 *         share                1 / sum_1
 *         dice                 the loss of the sums
 *         slopes               f32[2C]: dL/dp_c = r_c * slopes[c] + slopes[C+c]
 *     loss_gradient            the gradient's pieces put together
 *
 * and losses of one element each are the mean of an elementwise value. Pieces are fixed by the shapes, so
 * results are the same for any number of threads. The gradient of Dice needs the sums first: two passes.
 */
#ifndef LOSS_H
#define LOSS_H

#include "graph.h"

typedef enum LossKind { LOSS_CROSS_ENTROPY, LOSS_FOCAL, LOSS_DICE } LossKind;

/* What a loss_pass does and how its result is laid out. */
typedef struct LossForm {
    LossKind kind;
    bool resized, gradient;
    int64_t n, c, h, w;     /* of the logits */
    int64_t height, width;  /* of the labels */
    int64_t units, sums;    /* pieces, and numbers that each sums: the first units*sums floats */
    int64_t gradient_start; /* in floats; then, not resized, [n,c,h,w]; */
    int64_t rows, columns;  /* resized: [n][rows][bottom, right][c][columns], see lower_loss.c */
    int64_t elements;
} LossForm;
LossForm loss_form(const Node *pass);

/* Pieces are summed, and the columns of a resized gradient padded, by as many. */
enum { LOSS_LANES = 16 };

/* The pixel_loss that a cross_entropy, focal or dice means; node itself when it is one. */
Node *loss_of_pixels(Graph *graph, Node *node);
/* The loss_pass of a pixel_loss; slopes for the gradient of Dice, else NULL. */
Node *loss_pass_of(Graph *graph, const Node *loss, Node *slopes, bool gradient);
Node *loss_sums_of(Graph *graph, Node *pass);
Node *loss_result_of(Graph *graph, const Node *loss, Node *sums, const char *result);
/* The second input, or the constant `target`, of a bce_with_logits or mse. */
Node *loss_target(Graph *graph, Node *node);

#endif
