/* CSE: of nodes with equal operator, attributes and inputs, the first stands for all.
 *
 * One walk is enough: inputs come before uses, so by the time a node is looked at its inputs are already the
 * ones that stand for them. Inputs and parameters are never equal to each other.
 *
 *     before: %2: ... = relu %1            after: %2: ... = relu %1
 *             %3: ... = relu %1                   %4: ... = add %2, %2
 *             %4: ... = add %2, %3
 */
#include "graph_text.h"
#include "op.h"
#include "pass.h"

static bool same(const Node *a, const Node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || op_info(a->op)->class == CLASS_SOURCE) return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i]) return false;
    for (int i = 0; i < a->n_attrs; i++)
        if (!graph_text_same_value(&a->attr[i], &b->attr[i])) return false;
    return true;
}

static unsigned hash(const Node *node)
{
    unsigned value = (unsigned)node->op + 1;
    for (int i = 0; i < node->n_in; i++) value = value * 31 + (unsigned)node->in[i]->id;
    return value * 2654435761u >> 8;
}

/* The slot of an open table that holds a node equal to this one, or is free for it. */
static Node **slot(Node **table, unsigned size, const Node *node)
{
    unsigned at = hash(node) & (size - 1);
    while (table[at] && !same(table[at], node)) at = (at + 1) & (size - 1);
    return &table[at];
}

bool pass_cse(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    unsigned size = 64;
    while (size < 2 * (unsigned)graph->n_nodes) size *= 2;
    Node **table = ARENA_ARRAY(graph->arena, Node *, size);
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *node = graph->nodes[i], **first = slot(table, size, node);
        if (*first) {
            graph_replace(graph, node, *first);
            changed = true;
        } else {
            *first = node;
        }
    }
    if (changed) graph_sort(graph);
    return changed;
}
