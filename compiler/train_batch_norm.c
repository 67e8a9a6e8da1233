/* See train_batch_norm.h. */
#include "train_batch_norm.h"

#include "op.h"

#include <string.h>

static int64_t values_per_channel(const Node *norm)
{
    return type_elements(norm->type) / norm->type.dim[1];
}

static void move_running(Graph *graph, const Node *norm, Node *param, Node *statistics, int row, double scale)
{
    Node *in[2] = {graph_current(graph, param), statistics};
    Node *moved = graph_add(graph, OP_RUNNING_STATISTIC, norm->name, norm->pos, in, 2);
    node_set_float(moved, A_MOMENTUM, node_float(norm, A_MOMENTUM));
    node_set_int(moved, A_START, row);
    node_set_float(moved, A_SCALE, scale);
    graph_update(graph, param, graph_settle(graph, moved));
}

static Node *over_the_batch(Graph *graph, const Node *norm, Node *statistics)
{
    Node *x = norm->in[0], *weight = norm->in[1], *bias = norm->in[2];
    Node *from[3] = {weight, bias, statistics};
    Node *scale = graph_add(graph, OP_BATCH_NORM_SCALE, norm->name, norm->pos, from, 3);
    node_set_float(scale, A_EPS, node_float(norm, A_EPS));
    graph_settle(graph, scale);
    Node *in[5] = {x, weight, bias, statistics, scale};
    Node *made = graph_add(graph, OP_BATCH_NORM_TRAIN, norm->name, norm->pos, in, 5);
    node_set_float(made, A_EPS, node_float(norm, A_EPS));
    return graph_settle(graph, made);
}

void train_batch_norms(Graph *graph)
{
    int n_nodes = graph->n_nodes;
    for (int i = 0; i < n_nodes; i++) {
        Node *norm = graph->nodes[i];
        if (norm->op != OP_BATCH_NORM || !strcmp(node_string(norm, A_STATISTICS), "running")) continue;
        Node *statistics = graph_make(graph, OP_BATCH_STATISTICS, norm, norm->in, 1);
        if (!strcmp(node_string(norm, A_STATISTICS), "batch")) {
            double n = (double)values_per_channel(norm);
            move_running(graph, norm, norm->in[3], statistics, 0, 1);
            move_running(graph, norm, norm->in[4], statistics, 1, n / (n - 1));
        }
        graph_replace(graph, norm, over_the_batch(graph, norm, statistics));
    }
    graph_sort(graph);
}
