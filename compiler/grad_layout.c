/* Gradients of operators that move elements: they move back. */
#include "op_rules.h"
#include "pass_build.h"

#include <string.h>

Node *concat_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    int64_t dim = node_int(node, A_DIM), start = 0;
    for (int i = 0; i < input; i++) start += node->in[i]->type.dim[dim];
    if (node->n_in == 1) return gradient;
    Node *part = graph_add(graph, OP_SLICE, node->name, node->pos, &gradient, 1);
    node_set_int(part, A_DIM, dim);
    node_set_int(part, A_START, start);
    node_set_int(part, A_END, start + node->in[input]->type.dim[dim]);
    return graph_settle(graph, part);
}

Node *slice_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Type from = node->in[input]->type;
    Node *whole = graph_add(graph, OP_SLICE_GRAD, node->name, node->pos, &gradient, 1);
    node_set_int(whole, A_DIM, node_int(node, A_DIM));
    node_set_int(whole, A_START, node_int(node, A_START));
    node_set_int(whole, A_END, from.dim[node_int(node, A_DIM)]);
    return graph_settle(graph, whole);
}

/* The gradient of the inside of a constant border is cut out, which is a border of less than nothing;
 * elements that repeat or mirror others gather. */
Node *pad_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    (void)input;
    const Attr *pads = node_attr(node, A_PADS);
    bool constant = !strcmp(node_string(node, A_PAD_MODE), "constant");
    int64_t sides[4];
    for (int i = 0; i < 4; i++) sides[i] = constant ? -pads->i[i] : pads->i[i];
    Node *made = graph_add(graph, constant ? OP_PAD : OP_PAD_GRAD, node->name, node->pos, &gradient, 1);
    node_set_ints(made, A_PADS, sides, 4);
    node_set_string(made, A_PAD_MODE, node_string(node, A_PAD_MODE));
    return graph_settle(graph, made);
}

Node *reshape_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    return build_reshape(graph, node, gradient, node->in[input]->type);
}
