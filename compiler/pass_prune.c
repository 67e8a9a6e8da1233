/* Prune: keeps the wanted outputs and what they need, sorted.
 *
 * Auxiliary heads and unused levels go here. Their parameters stay in graph->params: they are still declared,
 * counted and accepted in weight files.
 *
 *     wanted: logits
 *     before: %2: ... = relu %1                    after: %2: ... = relu %1
 *             %3: ... = sigmoid %1                        output logits = %2
 *             output logits = %2
 *             output aux = %3
 */
#include "pass.h"

#include <string.h>

static bool is_wanted(const PassOptions *options, const char *name)
{
    if (options->n_wanted == 0 && !options->want_classes) return true;
    if (options->want_classes && !strcmp(name, "classes")) return true;
    for (int i = 0; i < options->n_wanted; i++)
        if (!strcmp(options->wanted[i], name)) return true;
    return false;
}

bool pass_prune(Graph *graph, const PassOptions *options)
{
    int nodes = graph->n_nodes, kept = 0;
    for (int i = 0; i < graph->n_outputs; i++)
        if (is_wanted(options, graph->outputs[i].name)) graph->outputs[kept++] = graph->outputs[i];
    bool changed = kept < graph->n_outputs;
    graph->n_outputs = kept;
    graph_sort(graph);
    return changed || graph->n_nodes < nodes;
}
