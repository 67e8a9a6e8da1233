/* The compiled side of the tests: a graph through the whole compiler, run in this process as a user of
 * segrt.h would. */
#ifndef COMPILED_H
#define COMPILED_H

#include "build.h"
#include "cases.h"
#include "reference.h"

/* Compiles the graph (which it rewrites), fills parameters and inputs by fill, runs on the given number of
 * threads, and puts output k as floats into outputs[k], which have room for it. Runs a second time, which
 * must give the same bits. NULL, or a sentence about what went wrong. */
const char *compiled_run(Arena *arena, Graph *graph, const BuildOptions *options, int threads,
                         SourceFill *fill, void *context, float *const *outputs);

/* Compiles the case, runs it, and compares it with the reference: what differs by more than 1e-5 of the
 * largest magnitude, or went wrong, in a sentence; NULL when all is well. */
const char *compiled_fault(Arena *arena, const Case *c, const BuildOptions *options, int threads);

#endif
