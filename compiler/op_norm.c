/* Batch normalisation as torch.nn.BatchNorm2d: over running statistics, and what it is made of in training.
 */
#include "op_rules.h"

#include <string.h>

/* weight 1, bias 0, mean 0, variance 1: an untrained network normalises nothing. */
int batch_norm_params(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS])
{
    if (!op_want_rank(graph, node, 2)) return -1;
    Type type = {.dtype = F32, .rank = 1, .dim = {node->in[0]->type.dim[1]}};
    specs[0] = (ParamSpec){"weight", type, {.kind = PARAM_ONE}};
    specs[1] = (ParamSpec){"bias", type, {.kind = PARAM_ZERO}};
    specs[2] = (ParamSpec){"running_mean", type, {.kind = PARAM_ZERO, .statistic = true}};
    specs[3] = (ParamSpec){"running_var", type, {.kind = PARAM_ONE, .statistic = true}};
    return 4;
}

bool batch_norm_shape(Graph *graph, Node *node)
{
    if (node_float(node, A_EPS) < 0)
        return shape_error(graph, node, "'eps' must not be negative: %g", node_float(node, A_EPS));
    Type type = node->in[0]->type;
    if (strcmp(node_string(node, A_STATISTICS), "running") != 0 && type_elements(type) == type.dim[1])
        return shape_error(graph, node, "batch_norm over 1 value per channel in training: %s must grow",
                           type.rank > 2 ? "batch, height or width" : "the batch");
    node->type = type;
    return true;
}

/* A scale and a shift: 2 per element. */
int64_t batch_norm_count(const Node *node)
{
    return 2 * type_elements(node->in[0]->type);
}

Expr *batch_norm_scalar(LoopBuilder *b, const Node *node, Expr *const *in)
{
    Expr *x = in[0], *weight = in[1], *bias = in[2], *mean = in[3], *variance = in[4];
    Expr *root =
        expr_op1(b, EXPR_SQRT, expr_op2(b, EXPR_ADD, variance, expr_float(b, node_float(node, A_EPS))));
    Expr *normal = expr_op2(b, EXPR_DIV, expr_op2(b, EXPR_SUB, x, mean), root);
    return expr_op2(b, EXPR_ADD, expr_op2(b, EXPR_MUL, normal, weight), bias);
}

/* ---- over the batch's statistics -------------------------------------------------------------------------
 */

static Type table(int64_t rows, int64_t channels)
{
    return (Type){.dtype = F32, .rank = 2, .dim = {rows, channels}};
}

/* Input number index is a table of that many rows for the channels, or (rows 0) a vector of them. */
static bool want_channels(Graph *graph, const Node *node, int index, int64_t rows, int64_t channels)
{
    Type want = rows ? table(rows, channels) : (Type){.dtype = F32, .rank = 1, .dim = {channels}};
    if (type_equal(node->in[index]->type, want)) return true;
    return shape_error(graph, node, "input %d is %s where %s belongs", index,
                       type_text(graph->arena, node->in[index]->type), type_text(graph->arena, want));
}

bool batch_statistics_shape(Graph *graph, Node *node)
{
    if (!op_want_f32(graph, node, 0) || !op_want_rank(graph, node, 2)) return false;
    node->type = table(2, node->in[0]->type.dim[1]);
    return true;
}

bool batch_norm_scale_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 1)) return false;
    int64_t channels = node->in[0]->type.dim[0];
    if (!want_channels(graph, node, 0, 0, channels) || !want_channels(graph, node, 1, 0, channels) ||
        !want_channels(graph, node, 2, 2, channels))
        return false;
    node->type = table(2, channels);
    return true;
}

/* A value and tables for its channels: batch_norm_train has weight, bias, statistics, factors and shifts;
 * batch_norm_input_grad the value, its gradient and slopes. */
bool batch_norm_train_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 2)) return false;
    Type type = node->in[0]->type;
    bool forward = node->op == OP_BATCH_NORM_TRAIN, fit = true;
    for (int i = 1; forward && fit && i < 5; i++)
        fit = want_channels(graph, node, i, i < 3 ? 0 : 2, type.dim[1]);
    if (!forward) fit = gradient_pair_shape(graph, node) && want_channels(graph, node, 2, 4, type.dim[1]);
    node->type = type;
    return fit;
}

bool batch_norm_sums_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 2) || !gradient_pair_shape(graph, node)) return false;
    int64_t channels = node->in[0]->type.dim[1];
    node->type = table(2, channels);
    return want_channels(graph, node, 2, 2, channels);
}

bool batch_norm_slopes_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 1)) return false;
    int64_t channels = node->in[0]->type.dim[0];
    node->type = table(4, channels);
    return want_channels(graph, node, 0, 0, channels) && want_channels(graph, node, 1, 2, channels) &&
           want_channels(graph, node, 2, 2, channels);
}

/* Whether row `start` is one of the table's. */
static bool want_row(Graph *graph, const Node *node, int index)
{
    Type type = node->in[index]->type;
    long long start = node_int(node, A_START);
    if (type.rank == 2 && start >= 0 && start < type.dim[0]) return true;
    return shape_error(graph, node, "%s has no row %lld", type_text(graph->arena, type), start);
}

bool running_statistic_shape(Graph *graph, Node *node)
{
    if (!op_want_rank(graph, node, 1) || !want_row(graph, node, 1)) return false;
    node->type = node->in[0]->type;
    return want_channels(graph, node, 1, node->in[1]->type.dim[0], node->type.dim[0]);
}

bool table_row_shape(Graph *graph, Node *node)
{
    if (!op_want_f32(graph, node, 0) || !want_row(graph, node, 0)) return false;
    node->type = (Type){.dtype = F32, .rank = 1, .dim = {node->in[0]->type.dim[1]}};
    return true;
}
