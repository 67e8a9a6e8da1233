/* A case with its gradients: what autodiff makes of it, against differences of the reference loops. */
#ifndef GRADIENT_CASE_H
#define GRADIENT_CASE_H

#include "cases.h"

enum { GRADIENT_MOST_WRT = 24 };

typedef struct GradientCase {
    const Case *c;
    Graph *plain; /* as declared, batch_norm over the batch rewritten, with the output "total": the sum of y *
                     gy, where gy is an input */
    Graph *graph; /* the same as training has it, with the gradients of total as outputs "g0", "g1", ... */
    Node *wrt[GRADIENT_MOST_WRT]; /* of graph: inputs and parameters; NULL where the gradient is zero */
    int n;
} GradientCase;

/* fuse: losses over pixels become pixel_loss, as in training programs. NULL, or what went wrong. */
const char *gradient_case_make(Arena *arena, Diag *diag, const Case *c, bool fuse, GradientCase *made);

/* False where no slope is to be expected: max_pool2d of windows that hold nothing but padding. */
bool gradient_case_is_finite(Arena *arena, const GradientCase *made);

/* Moves wrt[input] in a direction that depends on seed by small steps both ways, and holds the difference of
 * total against the gradient's, whose elements are given: NULL, or a sentence when they differ by more than
 * tolerance times the sum of the parts' magnitudes. */
const char *gradient_case_fault(Arena *arena, const GradientCase *made, int input, int seed,
                                const double *gradient, double tolerance);

#endif
