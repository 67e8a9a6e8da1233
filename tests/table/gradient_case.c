/* See gradient_case.h. */
#include "gradient_case.h"

#include "op.h"
#include "pass.h"
#include "reference.h"
#include "train_batch_norm.h"
#include "training.h"

#include <math.h>
#include <string.h>

static bool is_wanted(const Node *node)
{
    if (node->op == OP_INPUT) return node->type.dtype == F32;
    return node->op == OP_PARAM && !node_bool(node, A_STATISTIC);
}

/* The sum of y * gy, as output "total". */
static Node *add_total(Graph *graph)
{
    Node *y = graph->outputs[graph->n_outputs - 1].node;
    Node *gy = graph_add(graph, OP_INPUT, "gy", (Pos){0}, NULL, 0);
    node_set_ints(gy, A_SHAPE, y->type.rank ? y->type.dim : (const int64_t[]){1},
                  y->type.rank ? y->type.rank : 1);
    graph_settle(graph, gy);
    Node *product = graph_make(graph, OP_MUL, y, (Node *[]){y, gy}, 2);
    Node *total = graph_make(graph, OP_SUM, y, &product, 1);
    graph_output(graph, "total", total);
    graph_sort(graph);
    return total;
}

static const char *add_gradients(GradientCase *made, Node *total)
{
    Graph *graph = made->graph;
    Node *gradient[GRADIENT_MOST_WRT];
    if (!autodiff_gradients(graph, total, made->wrt, made->n, gradient)) return diag_text(graph->diag);
    for (int i = 0; i < made->n; i++) {
        if (!gradient[i]) made->wrt[i] = NULL;
        if (!gradient[i]) continue;
        if (!type_equal(gradient[i]->type, made->wrt[i]->type))
            return "a gradient is of another type than its input";
        graph_output(graph, arena_printf(graph->arena, "g%d", i), gradient[i]);
    }
    graph_sort(graph);
    return graph_fault(graph);
}

const char *gradient_case_make(Arena *arena, Diag *diag, const Case *c, bool fuse, GradientCase *made)
{
    *made = (GradientCase){c, case_graph(arena, diag, c), case_graph(arena, diag, c), {0}, 0};
    if (!made->graph) return diag_text(diag);
    train_batch_norms(made->plain);
    add_total(made->plain);
    Graph *graph = made->graph;
    train_batch_norms(graph);
    if (fuse) fuse_losses(graph);
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!is_wanted(graph->nodes[i])) continue;
        if (made->n == GRADIENT_MOST_WRT) return "more inputs than GRADIENT_MOST_WRT";
        made->wrt[made->n++] = graph->nodes[i];
    }
    return add_gradients(made, add_total(graph));
}

/* The case's values, of which one source is moved. */
typedef struct Moved {
    const Case *c;
    const char *name;
    const float *by;
    float times;
} Moved;

static void moved_fill(void *context, const Node *source, float *values)
{
    const Moved *moved = context;
    case_fill((void *)moved->c, source, values);
    if (strcmp(source->name, moved->name) != 0) return;
    for (int64_t i = 0; i < type_elements(source->type); i++) values[i] += moved->times * moved->by[i];
}

static double total_of(Arena *arena, const GradientCase *made, Moved *moved)
{
    const Tensor *values = reference_run(arena, made->plain, moved_fill, moved);
    const Node *total = made->plain->outputs[made->plain->n_outputs - 1].node;
    return values ? values[total->id].data[0] : NAN;
}

bool gradient_case_is_finite(Arena *arena, const GradientCase *made)
{
    Moved moved = {.c = made->c, .name = ""};
    return isfinite(total_of(arena, made, &moved));
}

/* Values are floats, so that a step is what is left of it; all else is computed in double, so that steps may
 * be few last bits: hardly ever do they lead over the edge of a relu or to another largest value of a window.
 */
const char *gradient_case_fault(Arena *arena, const GradientCase *made, int input, int seed,
                                const double *gradient, double tolerance)
{
    const Node *wrt = made->wrt[input];
    int64_t count = type_elements(wrt->type);
    float *step = ARENA_ARRAY(arena, float, count);
    for (int64_t i = 0; i < count; i++) step[i] = (float)((i * 7 + seed * 5 + i / 3) % 11 - 5) * 0x1p-24f;
    float *lower = ARENA_ARRAY(arena, float, count), *upper = ARENA_ARRAY(arena, float, count);
    Moved back = {made->c, wrt->name, step, -1}, on = {made->c, wrt->name, step, 1};
    moved_fill(&back, wrt, lower);
    moved_fill(&on, wrt, upper);
    double difference = total_of(arena, made, &on) - total_of(arena, made, &back);
    double slope = 0, size = 1e-12;
    for (int64_t i = 0; i < count; i++) {
        double part = gradient[i] * ((double)upper[i] - (double)lower[i]);
        slope += part;
        size += fabs(part);
    }
    if (fabs(slope - difference) <= tolerance * size + 1e-12) return NULL;
    return arena_printf(arena, "%s, %s: slope %.12g, difference %.12g of %.12g", case_text(arena, made->c),
                        wrt->name, slope, difference, size);
}
