/* The operator tests as data: graphs of one operator each, with parameters and inputs from the formula.
 *
 * The rows are in cases.def. Each is tried twice: the reference against PyTorch where a fixture has it, and
 * the compiled program against the reference. An operator without a row fails a test of its own.
 */
#ifndef CASES_H
#define CASES_H

#include "../../compiler/graph.h"

/* The values of the inputs. */
typedef enum Fill {
    FILL_UNIT,     /* the formula's, in [-1, 1) */
    FILL_WIDE,     /* in [-100, 100): saturates exponentials */
    FILL_POSITIVE, /* in [1, 3) */
    FILL_COARSE,   /* multiples of 1/4 in [-1, 1]: equal values abound */
} Fill;

typedef struct Case {
    const char *op;
    const char *inputs; /* "1,3,5,17; 1,3,1,1" */
    const char *attrs;  /* "kernel: 3, padding: [1, 2]" */
    Fill fill;
} Case;

extern const Case cases[];
extern const int n_cases;

/* The graph: inputs "image", "image2", ..., one node "act" of the operator with its parameters, one output
 * "y". NULL after reporting in diag. */
Graph *case_graph(Arena *arena, Diag *diag, const Case *c);
/* A SourceFill; context is the Case. */
void case_fill(void *context, const Node *source, float *values);
/* "conv2d 1,3,5,17 {kernel: 3}", for messages. */
const char *case_text(Arena *arena, const Case *c);

#endif
