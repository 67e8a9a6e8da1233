/* The operator tests as data: graphs of one operator each, and small graphs of several that meet in ways that
 * fusion, layout and planning must get right. Parameters and inputs are from the formula.
 *
 * The rows are in cases.def. Loop IR and compiled programs are tried on each of them against the reference,
 * which is itself held against PyTorch's fixtures. An operator without a row fails a test of its own.
 */
#ifndef CASES_H
#define CASES_H

#include "graph.h"

/* The values of the inputs. */
typedef enum Fill {
    FILL_UNIT,     /* the formula's, in [-1, 1) */
    FILL_WIDE,     /* in [-100, 100): saturates exponentials */
    FILL_POSITIVE, /* in [1, 3) */
    FILL_COARSE,   /* multiples of 1/4 in [-1, 1]: equal values abound */
} Fill;

typedef struct Case {
    const char *op;     /* "graph" for one of several nodes */
    const char *inputs; /* shapes: "1,3,5,17; 1,3,1,1"; of labels "i32 1,5,17" */
    const char *attrs;  /* "kernel: 3, padding: [1, 2]"; of a graph its nodes: see cases.def */
    Fill fill;
} Case;

extern const Case cases[];
extern const int n_cases;

/* The graph: inputs "image", "image2", ..., one node "act" of the operator with its parameters, one output
 * "y"; or the nodes that the row tells. NULL after reporting in diag. */
Graph *case_graph(Arena *arena, Diag *diag, const Case *c);
/* A SourceFill; context is the Case. */
void case_fill(void *context, const Node *source, float *values);
/* "conv2d 1,3,5,17 {kernel: 3}", for messages. */
const char *case_text(Arena *arena, const Case *c);

#endif
