/* A graph through the whole compiler but machine code, then through the reference interpreter: tells a fault
 * of lowering or planning from one of a backend. */
#ifndef INTERPRETED_H
#define INTERPRETED_H

#include "compile.h"
#include "reference.h"

/* Compiles (rewriting the graph), then does what a session does in its first run: parameters and inputs are
 * filled, then all steps are run, in the memory that the plan laid out. The arena starts full of NaN. Puts
 * output k as floats into outputs[k], which have room for it. */
void interpreted_run(Arena *arena, Graph *graph, const CompileOptions *options, SourceFill *fill,
                     void *context, float *const *outputs);

#endif
