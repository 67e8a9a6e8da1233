/* Passes: rewriting a graph for inference, one file pass_NAME.c each, in the order of pass.def.
 *
 * A pass takes a sorted, typed graph and leaves one (graph_check holds after each, in debug builds), and
 * computes the same outputs; what it does is shown at the top of its file. Passes can't fail: a graph that
 * was typed stays so. New nodes have the place in the YAML of what they replace.
 *
 *     PassOptions options = {.predict = model->predict, .want_classes = true};
 *     if (!pass_run_all(graph, &options, NULL, NULL)) ...
 */
#ifndef PASS_H
#define PASS_H

#include "graph.h"

typedef struct PassOptions {
    const char *predict; /* the output that want_classes is about */
    bool want_classes;   /* add an output "classes": the largest channel of `predict`, i32[N,H,W] */
    /* Outputs to keep, besides "classes". None named: only "classes" where that is wanted, else all. */
    const char *const *wanted;
    int n_wanted;
} PassOptions;

/* Returns whether it changed the graph. */
typedef bool PassRun(Graph *graph, const PassOptions *options);

typedef struct PassInfo {
    const char *name;
    const char *summary;
    PassRun *run;
} PassInfo;

/* The passes in order; their count goes to *count. */
const PassInfo *pass_list(int *count);
/* NULL when there is none of this name. */
const PassInfo *pass_find(const char *name);

/* What is told after each pass. */
typedef struct PassReport {
    const PassInfo *pass;
    const Graph *graph; /* as the pass left it */
    bool changed;
    double seconds;
} PassReport;
typedef void PassHook(void *user, const PassReport *report);

/* Adds "classes" if it is wanted, then runs every pass. hook may be NULL. False, after reporting, when an
 * output that options name does not exist or has no channels. */
bool pass_run_all(Graph *graph, const PassOptions *options, PassHook *hook, void *user);

/* pass_fuse_loss.c: every loss over pixels becomes a pixel_loss, in its place, which takes in the enlargement
 * of its logits: before gradients are taken. See loss.h. */
void fuse_losses(Graph *graph);

#define PASS(id, summary) PassRun pass_##id;
#include "pass.def"

#endif
