/* The compiler from graph to plan, as one readable list of stages; see compile.c. */
#ifndef COMPILE_H
#define COMPILE_H

#include "pass.h"
#include "plan.h"
#include "target.h"
#include "training.h"

typedef struct CompileOptions {
    const Target *target;
    PassOptions passes;
    Training *training; /* make it a training program (stage "joint"); NULL: inference */
    bool no_fuse;       /* every node a kernel of its own */
    bool no_reuse;      /* every value memory of its own */
    /* Told each stage as it is reached ("graph", each pass's name, "packed", "layout", "groups", "loops",
     * "plan") with its text; NULL: nobody asks, and no text is made. */
    void (*stage)(void *user, const char *stage, const char *text);
    void *user;
} CompileOptions;

/* Rewrites graph on the way. NULL after reporting in graph->diag. */
Plan *compile_graph(Graph *graph, const CompileOptions *options);

#endif
