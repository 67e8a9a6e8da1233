/* The compiled side of the operator tests: a graph through the whole compiler, run in this process. */
#ifndef COMPILED_H
#define COMPILED_H

#include "reference.h"

/* Compiles the graph (which it may rewrite) for this machine's CPU, fills parameters and inputs by fill, runs
 * once, and puts output k as floats into outputs[k], which have room for it. NULL, or what went wrong. */
const char *compiled_run(Arena *arena, Graph *graph, SourceFill *fill, void *context, float *const *outputs);

#endif
