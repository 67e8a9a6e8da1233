/* The invariants that every pass must leave true. */
#include "graph.h"

#include "op.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Types the node again, as a copy and with its messages put aside. */
static bool type_holds(const Graph *graph, const Node *node)
{
    Graph aside = *graph;
    aside.diag = diag_new(graph->arena);
    Node again = *node;
    again.in = ARENA_ARRAY(graph->arena, Node *, node->n_in);
    if (node->n_in) memcpy(again.in, node->in, sizeof *again.in * (size_t)node->n_in);
    return graph_infer(&aside, &again) && type_equal(again.type, node->type);
}

static const char *node_fault(const Graph *graph, const Node *node, const bool *above, int limit)
{
    Arena *arena = graph->arena;
    if (node->id < 1 || node->id >= limit)
        return arena_printf(arena, "%%%d is not a number given out", node->id);
    if (above[node->id]) return arena_printf(arena, "%%%d stands there twice", node->id);
    for (int i = 0; i < node->n_in; i++) {
        const Node *in = node->in[i];
        if (in->id < 1 || in->id >= limit || !above[in->id])
            return arena_printf(arena, "%%%d reads %%%d, which does not stand above it", node->id, in->id);
    }
    if (!type_holds(graph, node))
        return arena_printf(arena, "%%%d is %s, which %s does not make of its inputs", node->id,
                            type_text(arena, node->type), op_info(node->op)->name);
    return NULL;
}

const char *graph_fault(const Graph *graph)
{
    bool *above = ARENA_ARRAY(graph->arena, bool, graph->next_id);
    for (int i = 0; i < graph->n_nodes; i++) {
        const char *fault = node_fault(graph, graph->nodes[i], above, graph->next_id);
        if (fault) return fault;
        above[graph->nodes[i]->id] = true;
    }
    for (int i = 0; i < graph->n_outputs; i++)
        if (!above[graph->outputs[i].node->id])
            return arena_printf(graph->arena, "output %s is not in the order", graph->outputs[i].name);
    for (int i = 0; i < graph->n_updates; i++) {
        const Update *update = &graph->updates[i];
        if (!above[update->param->id] || !above[update->value->id])
            return arena_printf(graph->arena, "the update of %%%d is not in the order", update->param->id);
        if (!node_bool(update->param, A_UPDATED))
            return arena_printf(graph->arena, "%%%d has an update and does not say so", update->param->id);
    }
    return NULL;
}

void graph_check(const Graph *graph)
{
#ifdef NDEBUG
    (void)graph;
#else
    const char *fault = graph_fault(graph);
    if (fault) fprintf(stderr, "segc: bug: graph %s: %s\n", graph->name, fault);
    assert(!fault);
#endif
}
