/* Argmax input: a function that keeps the order of the values it maps changes no argmax, so it need not be
 * computed. softmax and log_softmax keep it along their own dimension; sigmoid, an affine with a positive
 * factor and a leaky_relu with a positive slope everywhere.
 *
 *     before: %2: ... = softmax %1         after: %4: ... = argmax %1
 *             %3: ... = argmax %2
 */
#include "pass.h"
#include "pass_build.h"

static bool keeps_order(const Node *node, int64_t dim)
{
    switch (node->op) {
    case OP_SOFTMAX:
    case OP_LOG_SOFTMAX: return node_int(node, A_DIM) == dim;
    case OP_SIGMOID: return true;
    case OP_AFFINE: return node_float(node, A_SCALE) > 0;
    case OP_LEAKY_RELU: return node_float(node, A_NEGATIVE_SLOPE) > 0;
    default: return false;
    }
}

bool pass_argmax_input(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    int count = graph->n_nodes;
    for (int i = 0; i < count; i++) {
        Node *node = graph->nodes[i];
        if (node->op != OP_ARGMAX) continue;
        Node *in = node->in[0];
        while (keeps_order(in, node_int(node, A_DIM))) in = in->in[0];
        if (in == node->in[0]) continue;
        graph_replace(graph, node, build_again(graph, node, &in, 1));
        changed = true;
    }
    if (changed) graph_sort(graph);
    return changed;
}
