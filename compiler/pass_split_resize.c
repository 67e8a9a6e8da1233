/* Split resize: a bilinear enlargement that ends up plain (an argmax or softmax reads it, or it is an output)
 * becomes one of columns and one of rows, which compute the same: bilinear weights are products of a row's
 * and a column's. Only the columns then gather samples, on few rows; rows are sums of whole vectors. Lowering
 * fuses the rows into an argmax, so that each full-size logit is made of two values where it is compared and
 * never stored.
 *
 *     before: %2: f32[1,19,512,1024] = resize %1 {size=[512,1024]}
 *             %3: i32[1,512,1024] = argmax %2
 *     after:  %4: f32[1,19,64,1024] = resize %1 {size=[64,1024]}
 *             %5: f32[1,19,512,1024] = resize %4 {size=[512,1024]}
 *             %6: i32[1,512,1024] = argmax %5
 *
 * A resize along one axis leaves the other's samples where they are, in both conventions. A scale_factor is
 * one number for both axes, and without align_corners positions follow from it, not from the sizes: then it
 * can be written as sizes only when it leads to whole ones.
 */
#include "pass.h"
#include "pass_build.h"

#include <string.h>

static bool sizes_say_all(const Node *resize)
{
    if (!node_has(resize, A_SCALE_FACTOR) || node_bool(resize, A_ALIGN_CORNERS)) return true;
    double factor = node_float(resize, A_SCALE_FACTOR);
    Type in = resize->in[0]->type, out = resize->type;
    return (double)in.dim[2] * factor == (double)out.dim[2] &&
           (double)in.dim[3] * factor == (double)out.dim[3];
}

static bool ends_up_plain(const Graph *graph, const Node *resize)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i].node == resize) return true;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *user = graph->nodes[i];
        bool reduces = user->op == OP_ARGMAX || user->op == OP_SOFTMAX || user->op == OP_LOG_SOFTMAX;
        if (reduces && user->in[0] == resize && node_int(user, A_DIM) == 1) return true;
    }
    return false;
}

static bool can_split(const Graph *graph, const Node *resize)
{
    if (resize->op != OP_RESIZE || strcmp(node_string(resize, A_MODE), "bilinear")) return false;
    Type in = resize->in[0]->type, out = resize->type;
    bool enlarges = in.dim[2] < out.dim[2] && in.dim[3] < out.dim[3];
    return enlarges && sizes_say_all(resize) && ends_up_plain(graph, resize);
}

static Node *resize_to(Graph *graph, const Node *like, Node *in, int64_t rows, int64_t columns)
{
    Node *resize = graph_add(graph, OP_RESIZE, like->name, like->pos, &in, 1);
    node_set_pair(resize, A_SIZE, rows, columns);
    node_set_bool(resize, A_ALIGN_CORNERS, node_bool(like, A_ALIGN_CORNERS));
    return graph_settle(graph, resize);
}

bool pass_split_resize(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    int count = graph->n_nodes;
    for (int i = 0; i < count; i++) {
        Node *resize = graph->nodes[i];
        if (!can_split(graph, resize)) continue;
        Node *in = resize->in[0];
        Node *columns = resize_to(graph, resize, in, in->type.dim[2], resize->type.dim[3]);
        graph_replace(graph, resize,
                      resize_to(graph, resize, columns, resize->type.dim[2], resize->type.dim[3]));
        changed = true;
    }
    if (changed) graph_sort(graph);
    return changed;
}
