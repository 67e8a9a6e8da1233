/* What a prediction is the greatest of. */
#ifndef SCORES_H
#define SCORES_H

#include "graph.h"

/* When "classes" is an argmax over channels: adds the output "classes.scores", what the argmax compares, from
 * before the bilinear enlargement that lowering would fuse into it; Output.align_corners says which kind that
 * is. So post-processing (PROG predict --crf) has scores in every program, where they lie in memory anyway,
 * and a plain run does nothing more. They are the network's logits up to what pass_argmax_input leaves out.
 * The graph must be typed, and through the passes. */
void scores_expose(Graph *graph);

#endif
