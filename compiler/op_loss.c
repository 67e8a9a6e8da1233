/* Losses: shapes, messages, scalar expressions. What they compute is said in loss.h. */
#include "layout.h"
#include "loss.h"
#include "op_rules.h"

#include <math.h>
#include <string.h>

/* ---- over pixels -----------------------------------------------------------------------------------------
 */

static bool want_labels(Graph *graph, const Node *node)
{
    Type logits = node->in[0]->type, labels = node->in[1]->type;
    if (logits.dtype == I32 && labels.dtype == F32)
        return shape_error(graph, node, "takes the logits first, then the labels");
    if (labels.dtype == I32 && labels.rank == 3) return true;
    return shape_error(graph, node, "the labels are i32[N,H,W], not %s", type_text(graph->arena, labels));
}

/* Passes may enlarge the logits on the way; the graph's author writes a resize. */
static bool want_same_size(Graph *graph, const Node *node)
{
    const int64_t *logits = node->in[0]->type.dim, *labels = node->in[1]->type.dim;
    if (logits[0] != labels[0])
        return shape_error(graph, node, "logits of %lld pictures, and labels of %lld", (long long)logits[0],
                           (long long)labels[0]);
    bool same = logits[2] == labels[1] && logits[3] == labels[2];
    bool resized = op_attr_index(node->op, A_RESIZED) >= 0 && strcmp(node_string(node, A_RESIZED), "no");
    if (same || resized) return true;
    return shape_error(graph, node,
                       "the logits are %lldx%lld and the labels %lldx%lld: resize the logits to the labels' "
                       "size before it (op: resize, size: [%lld, %lld])",
                       (long long)logits[2], (long long)logits[3], (long long)labels[1], (long long)labels[2],
                       (long long)labels[1], (long long)labels[2]);
}

static bool refuse_softmax(Graph *graph, const Node *node)
{
    const Node *from = node->in[0];
    while (from->op == OP_RESIZE) from = from->in[0];
    if (from->op != OP_SOFTMAX && from->op != OP_LOG_SOFTMAX) return true;
    return shape_error(graph, node, "applies softmax itself and takes the logits, but '%s' is a %s",
                       from->name ? from->name : "its input", op_info(from->op)->name);
}

static bool want_weights(Graph *graph, const Node *node)
{
    const Attr *weights = node_attr(node, A_CLASS_WEIGHTS);
    long long classes = node->in[0]->type.dim[1];
    if (weights->n == 0) return true;
    if (weights->n != classes)
        return shape_error(graph, node, "'weight' has %d number%s, and the logits have %lld classes",
                           weights->n, weights->n == 1 ? "" : "s", classes);
    for (int i = 0; i < weights->n; i++)
        if (!(weights->floats[i] >= 0 && isfinite(weights->floats[i])))
            return shape_error(graph, node, "'weight' of class %d is %g; weights are 0 or more", i,
                               weights->floats[i]);
    return true;
}

static bool want_between(Graph *graph, const Node *node, AttrName name, double low, double high)
{
    if (op_attr_index(node->op, name) < 0) return true;
    double value = node_float(node, name);
    if (value >= low && value <= high) return true;
    if (isinf(high))
        return shape_error(graph, node, "'%s' must be at least %g, not %g", attr_info(name)->name, low,
                           value);
    return shape_error(graph, node, "'%s' must be from %g to %g, not %g", attr_info(name)->name, low, high,
                       value);
}

bool pixel_loss_shape(Graph *graph, Node *node)
{
    if (!want_labels(graph, node) || !op_want_picture(graph, node)) return false;
    if (!refuse_softmax(graph, node) || !want_same_size(graph, node)) return false;
    if (op_attr_index(node->op, A_CLASS_WEIGHTS) >= 0 && !want_weights(graph, node)) return false;
    if (!want_between(graph, node, A_LABEL_SMOOTHING, 0, 1)) return false;
    if (!want_between(graph, node, A_GAMMA, 0, INFINITY) || !want_between(graph, node, A_EPS, 1e-30, 1e30))
        return false;
    return scalar_shape(graph, node);
}

/* ---- of elements -----------------------------------------------------------------------------------------
 */

bool target_loss_shape(Graph *graph, Node *node)
{
    bool is_bce = node->op == OP_BCE_WITH_LOGITS;
    int given = (node->n_in == 2) + node_has(node, A_TARGET);
    if (!op_want_f32(graph, node, 0) || !op_want_f32(graph, node, node->n_in - 1)) return false;
    if (given != 1)
        return shape_error(graph, node,
                           "takes what it compares with from 'target' or a second input; %s given",
                           given == 0 ? "none is" : "both are");
    if (node->n_in == 2 && !type_equal(node->in[0]->type, node->in[1]->type))
        return shape_error(graph, node, "compares inputs of one shape, not %s and %s",
                           type_text(graph->arena, node->in[0]->type),
                           type_text(graph->arena, node->in[1]->type));
    if (is_bce && node->in[0]->op == OP_SIGMOID)
        return shape_error(graph, node, "applies sigmoid itself and takes the logits, but '%s' is a sigmoid",
                           node->in[0]->name ? node->in[0]->name : "its input");
    if (is_bce && node->n_in == 1 && !want_between(graph, node, A_TARGET, 0, 1)) return false;
    return scalar_shape(graph, node);
}

/* max(x, 0) - x t + log(1 + e), e = exp(-|x|) <= 1. log(1 + e) is e log(u) / (u - 1) with u = 1 + e rounded,
 * which keeps the digits of a small e (Kahan). */
Expr *bce_term_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    (void)node;
    Expr *x = in[0], *zero = expr_float(b, 0), *one = expr_float(b, 1);
    Expr *size = expr_op2(b, EXPR_MAX, x, expr_op1(b, EXPR_NEG, x));
    Expr *e = loop_let(b, "e", expr_op1(b, EXPR_EXP, expr_op1(b, EXPR_NEG, size)));
    Expr *u = loop_let(b, "u", expr_op2(b, EXPR_ADD, one, e));
    Expr *less = expr_op2(b, EXPR_SUB, u, one);
    Expr *exact = expr_op2(b, EXPR_DIV, expr_op2(b, EXPR_MUL, e, expr_op1(b, EXPR_LOG, u)), less);
    Expr *log1p = expr_op3(b, EXPR_SELECT, expr_op2(b, EXPR_EQ, u, one), e, exact);
    Expr *linear = expr_op2(b, EXPR_SUB, expr_op2(b, EXPR_MAX, x, zero), expr_op2(b, EXPR_MUL, x, in[1]));
    return expr_op2(b, EXPR_ADD, linear, log1p);
}

/* ---- entropy ---------------------------------------------------------------------------------------------
 */

bool entropy_shape(Graph *graph, Node *node)
{
    const Node *from = node->in[0];
    if (!op_want_picture(graph, node)) return false;
    if (from->type.dim[1] < 2) return shape_error(graph, node, "takes probabilities of 2 classes or more");
    if (from->op == OP_LOG_SOFTMAX)
        return shape_error(graph, node, "takes probabilities: a softmax, not a log_softmax");
    if (node->op == OP_ENTROPY) return scalar_shape(graph, node);
    node->type = from->type;
    return true;
}

/* ADVENT's code adds 1e-30 so that 0 log 0 is 0. */
static Expr *shifted(LoopBuilder *b, Expr *p)
{
    return expr_op2(b, EXPR_ADD, p, expr_float(b, 1e-30));
}

static Expr *per_log_classes(LoopBuilder *b, const Node *node, Expr *value)
{
    return expr_op2(b, EXPR_MUL, value, expr_float(b, -1 / log((double)node->in[0]->type.dim[1])));
}

Expr *entropy_map_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *logarithm = expr_op1(b, EXPR_LOG, shifted(b, in[0]));
    return per_log_classes(b, node, expr_op2(b, EXPR_MUL, in[0], logarithm));
}

Expr *entropy_slope_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *p = loop_let(b, "p", shifted(b, in[0]));
    Expr *rest = expr_op2(b, EXPR_DIV, in[0], p);
    return per_log_classes(b, node, expr_op2(b, EXPR_ADD, expr_op1(b, EXPR_LOG, p), rest));
}

/* ---- what losses are made of -----------------------------------------------------------------------------
 */

static LossKind kind_of(const Node *node)
{
    const char *word = node_string(node, A_LOSS);
    return !strcmp(word, "dice") ? LOSS_DICE : !strcmp(word, "focal") ? LOSS_FOCAL : LOSS_CROSS_ENTROPY;
}

static int64_t round_up(int64_t value)
{
    return (value + LOSS_LANES - 1) / LOSS_LANES * LOSS_LANES;
}

LossForm loss_form(const Node *pass)
{
    const int64_t *logits = pass->in[0]->type.dim, *labels = pass->in[1]->type.dim;
    LossForm f = {.kind = kind_of(pass),
                  .resized = strcmp(node_string(pass, A_RESIZED), "no") != 0,
                  .gradient = node_bool(pass, A_GRADIENT),
                  .n = logits[0],
                  .c = logits[1],
                  .h = logits[2],
                  .w = logits[3],
                  .height = labels[1],
                  .width = labels[2]};
    f.rows = f.resized ? f.h + 1 : f.h;
    f.columns = f.resized ? round_up(f.w + 1) : f.w;
    f.units = f.n * f.rows;
    f.sums = f.kind == LOSS_DICE ? 3 * f.c : 2;
    f.gradient_start = round_up(f.units * f.sums);
    f.elements = f.gradient_start;
    if (f.gradient) f.elements += f.n * f.rows * f.c * f.columns * (f.resized ? 4 : 1);
    return f;
}

static bool flat(Node *node, int64_t elements)
{
    node->type = (Type){.dtype = F32, .rank = 1, .dim = {elements}};
    return true;
}

bool loss_pass_shape(Graph *graph, Node *node)
{
    return pixel_loss_shape(graph, node) && flat(node, loss_form(node).elements);
}

bool loss_sums_shape(Graph *graph, Node *node)
{
    (void)graph;
    return flat(node, loss_form(node->in[0]).sums);
}

bool loss_result_shape(Graph *graph, Node *node)
{
    if (!strcmp(node_string(node, A_RESULT), "slopes")) return flat(node, node->in[0]->type.dim[0] / 3 * 2);
    return scalar_shape(graph, node);
}

bool loss_gradient_shape(Graph *graph, Node *node)
{
    (void)graph;
    node->type = node->in[0]->in[0]->type;
    return true;
}
