/* Conv before resize: a 1x1 convolution sums over channels, a resize over pixels, so they commute; the bias
 * too, since the weights of each interpolated pixel sum to 1. Before an enlargement the convolution has fewer
 * pixels, and when it makes no more channels than it reads the resize has no more to do either. On BiSeNet's
 * classifier, behind x8, this is 30 ms against 3.5.
 *
 *     before: %4: f32[1,256,512,1024] = resize %1 {size=[512,1024]}
 *             %5: f32[1,19,512,1024] = conv2d %4, %2, %3 {filters=19, kernel=1}
 *     after:  %6: f32[1,19,64,128] = conv2d %1, %2, %3 {filters=19, kernel=1}
 *             %7: f32[1,19,512,1024] = resize %6 {size=[512,1024]}
 */
#include "pass.h"
#include "pass_build.h"

static bool is_1x1(const Node *node)
{
    if (node->op != OP_CONV2D || node_int(node, A_GROUPS) != 1) return false;
    for (int axis = 0; axis < 2; axis++)
        if (node_attr(node, A_KERNEL)->i[axis] != 1 || node_attr(node, A_STRIDE)->i[axis] != 1 ||
            node_attr(node, A_PADDING)->i[axis] != 0)
            return false;
    return node->type.dim[1] <= node->in[0]->type.dim[1];
}

static bool enlarges(const Node *node)
{
    if (node->op != OP_RESIZE) return false;
    Type in = node->in[0]->type;
    return node->type.dim[2] >= in.dim[2] && node->type.dim[3] >= in.dim[3];
}

static Node *commute(Graph *graph, Node *conv)
{
    Node *resize = conv->in[0], *in[3] = {resize->in[0], conv->in[1], conv->n_in == 3 ? conv->in[2] : NULL};
    Node *before = build_again(graph, conv, in, conv->n_in);
    return build_again(graph, resize, &before, 1);
}

/* Moves the first convolution that can be moved; what it replaced must be gone before uses are counted again,
 * since a convolution may move on past another resize. */
static bool commute_one(Graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *conv = graph->nodes[i];
        if (!is_1x1(conv) || !enlarges(conv->in[0]) || graph_uses(graph, conv->in[0]) != 1) continue;
        graph_replace(graph, conv, commute(graph, conv));
        graph_sort(graph);
        return true;
    }
    return false;
}

bool pass_conv_before_resize(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    while (commute_one(graph)) changed = true;
    return changed;
}
