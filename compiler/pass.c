/* The driver of passes: see pass.h. */
#define _GNU_SOURCE
#include "pass.h"

#include "op.h"

#include <string.h>
#include <time.h>

static const PassInfo passes[] = {
#define PASS(id, summary) {#id, summary, pass_##id},
#include "pass.def"
};
enum { N_PASSES = sizeof passes / sizeof *passes };

const PassInfo *pass_list(int *count)
{
    *count = N_PASSES;
    return passes;
}

const PassInfo *pass_find(const char *name)
{
    for (int i = 0; i < N_PASSES; i++)
        if (!strcmp(passes[i].name, name)) return &passes[i];
    return NULL;
}

static const Output *find_output(const Graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, name)) return &graph->outputs[i];
    const char **names = ARENA_ARRAY(graph->arena, const char *, graph->n_outputs);
    for (int i = 0; i < graph->n_outputs; i++) names[i] = graph->outputs[i].name;
    const char *near = diag_nearest(name, names, graph->n_outputs);
    diag_error(graph->diag, (Pos){0}, "%s has no output '%s'%s%s%s", graph->name, name,
               near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return NULL;
}

/* An output that is called "classes" already gives way. */
static void set_classes(Graph *graph, Node *classes)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, "classes")) {
            graph->outputs[i].node = classes;
            return;
        }
    graph_output(graph, "classes", classes);
}

static bool add_classes(Graph *graph, const PassOptions *options)
{
    const Output *output = find_output(graph, options->predict);
    if (!output) return false;
    Node *classes = output->node;
    if (classes->type.dtype == F32) { /* else the network ends in an argmax of its own */
        classes = graph_add(graph, OP_ARGMAX, "classes", classes->pos, &classes, 1);
        if (!graph_infer(graph, classes)) return false;
    }
    set_classes(graph, classes);
    return true;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

bool pass_run_all(Graph *graph, const PassOptions *options, PassHook *hook, void *user)
{
    for (int i = 0; i < options->n_wanted; i++)
        if (!find_output(graph, options->wanted[i])) return false;
    if (options->want_classes && !add_classes(graph, options)) return false;
    for (int i = 0; i < N_PASSES; i++) {
        double start = now();
        PassReport report = {.pass = &passes[i], .graph = graph};
        report.changed = passes[i].run(graph, options);
        report.seconds = now() - start;
        graph_check(graph);
        if (hook) hook(user, &report);
    }
    return true;
}
