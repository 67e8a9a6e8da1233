/* See scores.h. Of an enlargement in several steps (split_resize makes columns, then rows) those are skipped
 * that are one enlargement together: each axis once, in one convention. */
#include "scores.h"

#include "op.h"

#include <string.h>

static const Output *find_classes(const Graph *graph)
{
    const Output *classes = NULL;
    for (int i = 0; i < graph->n_outputs; i++) {
        if (!strcmp(graph->outputs[i].name, "classes.scores")) return NULL;
        if (!strcmp(graph->outputs[i].name, "classes")) classes = &graph->outputs[i];
    }
    return classes;
}

/* A scale_factor that is still there led to no whole sizes, which then don't say where samples lie. */
static bool is_enlargement(const Node *node)
{
    if (node->op != OP_RESIZE || strcmp(node_string(node, A_MODE), "bilinear") != 0) return false;
    Type in = node->in[0]->type, out = node->type;
    return !node_has(node, A_SCALE_FACTOR) && in.dim[2] <= out.dim[2] && in.dim[3] <= out.dim[3];
}

static Node *before_enlargement(Node *node, bool *align_corners)
{
    bool resized[2] = {false, false};
    for (; is_enlargement(node); node = node->in[0]) {
        bool align = node_bool(node, A_ALIGN_CORNERS);
        if ((resized[0] || resized[1]) && align != *align_corners) break;
        bool again = false;
        for (int axis = 0; axis < 2; axis++) {
            bool changes = node->in[0]->type.dim[2 + axis] != node->type.dim[2 + axis];
            again = again || (changes && resized[axis]);
            resized[axis] = resized[axis] || changes;
        }
        if (again) break;
        *align_corners = align;
    }
    return node;
}

void scores_expose(Graph *graph)
{
    const Output *classes = find_classes(graph);
    if (!classes || classes->node->op != OP_ARGMAX) return;
    Node *compared = classes->node->in[0];
    if (compared->type.dtype != F32 || compared->type.rank != 4 || node_int(classes->node, A_DIM) != 1)
        return;
    bool align_corners = false;
    Node *scores = before_enlargement(compared, &align_corners);
    graph_output(graph, "classes.scores", scores);
    graph->outputs[graph->n_outputs - 1].align_corners = align_corners;
}
