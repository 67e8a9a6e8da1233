/* Compiled kernels in memory that catches what they must not touch.
 *
 * Every storage of the plan gets a mapping of its own that ends (in its last 64 bytes, to which storages are
 * rounded) at a page that may not be touched, and so does every constant table: reading or writing past the
 * end stops the process with a signal. All activations start as NaN, so that what is read before it is
 * written reaches the results. Work units are done one at a time, the last first.
 */
#ifndef GUARDED_H
#define GUARDED_H

#include "build.h"
#include "reference.h"

/* Like compiled_run, once: outputs[k] receives output k as floats. NULL, or a sentence. */
const char *guarded_run(Arena *arena, Graph *graph, const BuildOptions *options, SourceFill *fill,
                        void *context, float *const *outputs);

#endif
