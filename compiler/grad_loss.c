/* Gradients of losses: see loss.h. */
#include "loss.h"
#include "op_rules.h"
#include "pass_build.h"

#include <string.h>

/* ---- the nodes that losses are made of -------------------------------------------------------------------
 */

/* Attributes that both operators have. */
static void share_attrs(Node *to, const Node *from)
{
    for (int i = 0; i < from->n_attrs; i++) {
        int at = op_attr_index(to->op, from->attr[i].name);
        if (at >= 0) to->attr[at] = from->attr[i];
    }
}

/* Focal loss with gamma 0 is cross-entropy, and made as that. */
Node *loss_of_pixels(Graph *graph, Node *node)
{
    if (node->op == OP_PIXEL_LOSS) return node;
    Node *loss = graph_add(graph, OP_PIXEL_LOSS, node->name, node->pos, node->in, node->n_in);
    share_attrs(loss, node);
    bool plain = node->op == OP_CROSS_ENTROPY || (node->op == OP_FOCAL && node_float(node, A_GAMMA) == 0);
    node_set_string(loss, A_LOSS, plain ? "cross_entropy" : op_info(node->op)->name);
    return graph_settle(graph, loss);
}

Node *loss_pass_of(Graph *graph, const Node *loss, Node *slopes, bool gradient)
{
    Node *in[3] = {loss->in[0], loss->in[1], slopes};
    Node *pass = graph_add(graph, OP_LOSS_PASS, loss->name, loss->pos, in, slopes ? 3 : 2);
    share_attrs(pass, loss);
    node_set_bool(pass, A_GRADIENT, gradient);
    return graph_settle(graph, pass);
}

Node *loss_sums_of(Graph *graph, Node *pass)
{
    return graph_make(graph, OP_LOSS_SUMS, pass, &pass, 1);
}

Node *loss_result_of(Graph *graph, const Node *loss, Node *sums, const char *result)
{
    Node *node = graph_add(graph, OP_LOSS_RESULT, loss->name, loss->pos, &sums, 1);
    share_attrs(node, loss);
    node_set_string(node, A_RESULT, result);
    return graph_settle(graph, node);
}

Node *loss_target(Graph *graph, Node *node)
{
    if (node->n_in == 2) return node->in[1];
    Node *target = graph_add(graph, OP_CONSTANT, node->name, node->pos, NULL, 0);
    node_set_float(target, A_VALUE, node_float(node, A_TARGET));
    return graph_settle(graph, target);
}

/* ---- rules -----------------------------------------------------------------------------------------------
 */

Node *pixel_loss_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    if (input != 0) return NULL;
    Node *loss = loss_of_pixels(graph, node), *slopes = NULL;
    bool is_dice = !strcmp(node_string(loss, A_LOSS), "dice");
    if (is_dice) {
        Node *sums = loss_sums_of(graph, loss_pass_of(graph, loss, NULL, false));
        slopes = loss_result_of(graph, loss, sums, "slopes");
    }
    Node *pass = loss_pass_of(graph, loss, slopes, true), *factor = gradient;
    if (!is_dice) {
        Node *share = loss_result_of(graph, loss, loss_sums_of(graph, pass), "share");
        factor = build_binary(graph, OP_MUL, loss, gradient, share);
    }
    Node *raw = graph_make(graph, OP_LOSS_GRADIENT, loss, &pass, 1);
    return build_binary(graph, OP_MUL, loss, raw, factor);
}

/* bce: (sigmoid(x) - t) / n, and -x / n for the target; mse: +-2 (x - t) / n. */
Node *target_loss_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    bool is_bce = node->op == OP_BCE_WITH_LOGITS;
    double share = (is_bce ? 1 : 2) / (double)type_elements(node->in[0]->type);
    Node *x = node->in[0], *slope = x;
    if (!is_bce || input == 0) {
        Node *target = loss_target(graph, node);
        Node *value = is_bce ? graph_make(graph, OP_SIGMOID, node, &x, 1) : x;
        slope = build_binary(graph, OP_SUB, node, value, target);
    }
    Node *factor = build_scaled(graph, node, gradient, input == 0 ? share : -share);
    return build_binary(graph, OP_MUL, node, slope, factor);
}

Node *entropy_gradient(Graph *graph, Node *node, Node *gradient, int input)
{
    Type type = node->in[input]->type;
    Node *slope = graph_make(graph, OP_ENTROPY_SLOPE, node, node->in, 1);
    if (node->op == OP_ENTROPY)
        gradient = build_scaled(graph, node, gradient, 1 / (double)(type.dim[0] * type.dim[2] * type.dim[3]));
    return build_binary(graph, OP_MUL, node, slope, gradient);
}
