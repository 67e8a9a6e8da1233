/* Random graphs, for trying the compiler against the reference on what nobody thought of.
 *
 * A seed makes one valid graph of some 3 to 25 nodes over every operator that YAML has: odd shapes, batches,
 * broadcasts, values used several times, parts of several concats, outputs that are used on. Every value that
 * nothing reads is an output. Values stay small: what grows is scaled down, and divisors are at least 1/2.
 *
 *     Graph *graph = random_graph(arena, diag, seed);
 *     reference_run(arena, graph, random_fill, NULL);
 */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "graph.h"

/* Sorted and typed. Equal seeds give equal graphs. */
Graph *random_graph(Arena *arena, Diag *diag, uint64_t seed);
/* A SourceFill, without a context: values from the formula. */
void random_fill(void *context, const Node *source, float *values);

#endif
