/* Fuse loss: losses as what computes them.
 *
 * fuse_losses, before gradients are taken, makes a pixel_loss of every loss over pixels, in its place, which
 * takes in a bilinear enlargement of its logits to the labels' size:
 *
 *     before: %4: f32[1,19,512,1024] = resize %3 {size=[512,1024]}       (%3: f32[1,19,64,128])
 *             %5: f32[] = cross_entropy %4, %2
 *     after:  %5: f32[] = pixel_loss %3, %2 {loss=cross_entropy, resized=yes}
 *
 * The pass does the same for graphs without gradients, then writes losses over pixels as sums of pieces, and
 * those of one element each as the mean of an elementwise value:
 *
 *     before: %5: f32[] = pixel_loss %3, %2 {loss=cross_entropy, resized=yes}
 *     after:  %6: f32[144] = loss_pass %3, %2 {loss=cross_entropy, resized=yes}
 *             %7: f32[2] = loss_sums %6
 *             %8: f32[] = loss_result %7 {result=mean}
 *
 *     before: %5: f32[] = bce_with_logits %3, %4
 *     after:  %6: f32[4,1,8,16] = bce_term %3, %4
 *             %7: f32[] = mean %6
 *
 * Where the gradient is wanted its rule has made a loss_pass of both: the loss is taken from that one. The
 * enlargement is taken in even when it has other uses: the loss then still reads the small logits, and its
 * gradient need not be brought down from the large ones.
 */
#include "graph_text.h"
#include "loss.h"
#include "op.h"
#include "pass.h"
#include "pass_build.h"

#include <string.h>

static bool is_pixel_loss(Op op)
{
    return op == OP_CROSS_ENTROPY || op == OP_FOCAL || op == OP_DICE || op == OP_PIXEL_LOSS;
}

static bool enlarges_logits(const Node *node)
{
    const Node *resize = node->in[0];
    if (resize->op != OP_RESIZE || strcmp(node_string(resize, A_MODE), "bilinear")) return false;
    const int64_t *small = resize->in[0]->type.dim, *large = resize->type.dim;
    return small[2] <= large[2] && small[3] <= large[3];
}

static void take_in_resize(Node *loss)
{
    const Node *resize = loss->in[0];
    node_set_string(loss, A_RESIZED, node_bool(resize, A_ALIGN_CORNERS) ? "align_corners" : "yes");
    if (node_has(resize, A_SCALE_FACTOR))
        node_set_float(loss, A_SCALE_FACTOR, node_float(resize, A_SCALE_FACTOR));
    loss->in[0] = resize->in[0];
}

/* The node stays the same one: players and outputs know their losses by it. */
static void become(Node *node, const Node *other)
{
    node->op = other->op;
    node->in = other->in;
    node->n_in = other->n_in;
    node->n_attrs = other->n_attrs;
    memcpy(node->attr, other->attr, sizeof node->attr);
}

void fuse_losses(Graph *graph)
{
    int count = graph->n_nodes;
    for (int i = 0; i < count; i++) {
        Node *node = graph->nodes[i];
        if (!is_pixel_loss(node->op)) continue;
        if (node->op != OP_PIXEL_LOSS) become(node, loss_of_pixels(graph, node));
        if (enlarges_logits(node) && !strcmp(node_string(node, A_RESIZED), "no")) take_in_resize(node);
    }
    graph_sort(graph);
}

/* The pass that makes the gradient of this loss, and its sums too: made by its gradient rule. That of Dice
 * needs other sums first. */
static Node *pass_with_gradient(const Graph *graph, const Node *loss)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *pass = graph->nodes[i];
        if (pass->op != OP_LOSS_PASS || !node_bool(pass, A_GRADIENT) || pass->n_in != 2) continue;
        bool same = pass->in[0] == loss->in[0] && pass->in[1] == loss->in[1];
        for (int k = 0; same && k < loss->n_attrs; k++)
            same = graph_text_same_value(&loss->attr[k], node_attr(pass, loss->attr[k].name));
        if (same) return pass;
    }
    return NULL;
}

static Node *pixels_as_sums(Graph *graph, Node *loss)
{
    bool is_dice = !strcmp(node_string(loss, A_LOSS), "dice");
    Node *pass = pass_with_gradient(graph, loss);
    if (!pass) pass = loss_pass_of(graph, loss, NULL, false);
    return loss_result_of(graph, loss, loss_sums_of(graph, pass), is_dice ? "dice" : "mean");
}

/* The elementwise value whose mean the loss is. */
static Node *term_of(Graph *graph, Node *loss)
{
    Node *x = loss->in[0];
    if (loss->op == OP_ENTROPY) return graph_make(graph, OP_ENTROPY_MAP, loss, &x, 1);
    Node *target = loss_target(graph, loss);
    if (loss->op == OP_BCE_WITH_LOGITS) return build_binary(graph, OP_BCE_TERM, loss, x, target);
    Node *apart = build_binary(graph, OP_SUB, loss, x, target);
    return build_binary(graph, OP_MUL, loss, apart, apart);
}

static Node *mean_of_term(Graph *graph, Node *loss)
{
    Node *term = term_of(graph, loss), *mean = graph_make(graph, OP_MEAN, loss, &term, 1);
    /* An entropy is a sum over classes, and the mean over pixels. */
    return loss->op == OP_ENTROPY ? build_scaled(graph, loss, mean, (double)term->type.dim[1]) : mean;
}

bool pass_fuse_loss(Graph *graph, const PassOptions *options)
{
    (void)options;
    bool changed = false;
    fuse_losses(graph);
    int count = graph->n_nodes;
    Node **nodes = ARENA_ARRAY(graph->arena, Node *, count);
    memcpy(nodes, graph->nodes, sizeof *nodes * (size_t)count);
    for (int i = 0; i < count; i++) {
        Node *node = nodes[i];
        bool of_elements = node->op == OP_BCE_WITH_LOGITS || node->op == OP_MSE || node->op == OP_ENTROPY;
        if (!of_elements && node->op != OP_PIXEL_LOSS) continue;
        graph_replace(graph, node, of_elements ? mean_of_term(graph, node) : pixels_as_sums(graph, node));
        changed = true;
    }
    if (changed) graph_sort(graph);
    return changed;
}
