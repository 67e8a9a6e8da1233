/* resize: torch.nn.functional.interpolate with mode bilinear or nearest. */
#include "op_rules.h"

#include <math.h>
#include <string.h>

/* The size of the second input becomes the attribute, so that later stages see one form less; the input is
 * dropped, since its values are never read. */
static bool take_size(Graph *graph, Node *node)
{
    Type like = node->in[1]->type;
    if (like.rank != 4)
        return shape_error(graph, node,
                           "the second input gives height and width and must be [N,C,H,W], not %s",
                           type_text(graph->arena, like));
    node_set_pair(node, A_SIZE, like.dim[2], like.dim[3]);
    node->n_in = 1;
    return true;
}

static bool set_by_factor(Graph *graph, Node *node)
{
    double factor = node_float(node, A_SCALE_FACTOR);
    for (int axis = 0; axis < 2; axis++) {
        long long size = node->in[0]->type.dim[2 + axis];
        double scaled = floor((double)size * factor);
        if (!(scaled >= 1 && scaled <= (double)OP_MAX_NUMBER))
            return shape_error(graph, node, "%s %lld * scale_factor %g leaves no %s",
                               axis == 0 ? "height" : "width", size, factor,
                               scaled < 1 ? (axis == 0 ? "row" : "column") : "sensible size");
        node->type.dim[2 + axis] = (int64_t)scaled;
    }
    return true;
}

bool resize_shape(Graph *graph, Node *node)
{
    int given = (node->n_in == 2) + node_has(node, A_SIZE) + node_has(node, A_SCALE_FACTOR);
    if (!op_want_picture(graph, node)) return false;
    if (given != 1)
        return shape_error(
            graph, node, "takes the new size from one of 'size', 'scale_factor' or a second input; %s given",
            given == 0 ? "none is" : "more than one is");
    if (node_bool(node, A_ALIGN_CORNERS) && strcmp(node_string(node, A_MODE), "bilinear"))
        return shape_error(graph, node, "'align_corners' goes with mode bilinear only");
    node->type = node->in[0]->type;
    if (node_has(node, A_SCALE_FACTOR)) return set_by_factor(graph, node);
    if (node->n_in == 2 && !take_size(graph, node)) return false;
    if (!op_want_at_least(graph, node, A_SIZE, 1)) return false;
    node->type.dim[2] = node_rows(node, A_SIZE);
    node->type.dim[3] = node_columns(node, A_SIZE);
    return true;
}

/* Bilinear: 4 products per output element. */
int64_t resize_count(const Node *node)
{
    return strcmp(node_string(node, A_MODE), "bilinear") ? 0 : 4 * type_elements(node->type);
}

bool resize_grad_shape(Graph *graph, Node *node)
{
    if (!op_want_picture(graph, node) || !op_want_at_least(graph, node, A_DIM, 2) ||
        !op_want_at_least(graph, node, A_END, 1))
        return false;
    if (!op_resolve_dim(graph, node, 4)) return false;
    node->type = node->in[0]->type;
    node->type.dim[node_int(node, A_DIM)] = node_int(node, A_END);
    return true;
}
