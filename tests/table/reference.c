/* The table of rules and the walk over a graph: see reference.h. */
#include "reference.h"

#include <string.h>

static ReferenceRule *const rules[OP_COUNT] = {
    [OP_CONSTANT] = reference_constant,
    [OP_CLIP_FACTOR] = reference_clip_factor,
    [OP_CONV2D] = reference_conv2d,
    [OP_CONV_TRANSPOSE2D] = reference_conv_transpose2d,
    [OP_LINEAR] = reference_linear,
    [OP_CONV2D_GRAD_FILTER] = reference_conv2d_grad_filter,
    [OP_FLIP_FILTER] = reference_flip_filter,
    [OP_BATCH_NORM] = reference_batch_norm,
    [OP_RELU] = reference_relu,
    [OP_LEAKY_RELU] = reference_leaky_relu,
    [OP_PRELU] = reference_prelu,
    [OP_SIGMOID] = reference_sigmoid,
    [OP_AFFINE] = reference_affine,
    [OP_RSQRT] = reference_rsqrt,
    [OP_ADD] = reference_add,
    [OP_SUB] = reference_sub,
    [OP_MUL] = reference_mul,
    [OP_DIV] = reference_div,
    [OP_SCALE_SHIFT] = reference_scale_shift,
    [OP_MAX_POOL2D] = reference_max_pool2d,
    [OP_AVG_POOL2D] = reference_avg_pool2d,
    [OP_RESIZE] = reference_resize,
    [OP_GLOBAL_AVG_POOL] = reference_global_avg_pool,
    [OP_SOFTMAX] = reference_softmax,
    [OP_LOG_SOFTMAX] = reference_log_softmax,
    [OP_ARGMAX] = reference_argmax,
    [OP_CONCAT] = reference_concat,
    [OP_SLICE] = reference_slice,
    [OP_PAD] = reference_pad,
    [OP_SUM] = reference_sum_to,
    [OP_SUM_TO] = reference_sum_to,
    [OP_EXPAND] = reference_expand,
    [OP_MEAN] = reference_mean,
    [OP_L1] = reference_l1,
    [OP_L1_GRAD] = reference_l1_grad,
    [OP_RELU_GRAD] = reference_relu_grad,
    [OP_LEAKY_RELU_GRAD] = reference_leaky_relu_grad,
    [OP_PRELU_GRAD] = reference_prelu_grad,
    [OP_PRELU_WEIGHT_GRAD] = reference_prelu_weight_grad,
    [OP_SIGMOID_GRAD] = reference_sigmoid_grad,
    [OP_SOFTMAX_GRAD] = reference_softmax_grad,
    [OP_LOG_SOFTMAX_GRAD] = reference_log_softmax_grad,
    [OP_BATCH_STATISTICS] = reference_batch_statistics,
    [OP_BATCH_NORM_SCALE] = reference_batch_norm_scale,
    [OP_BATCH_NORM_TRAIN] = reference_batch_norm_train,
    [OP_BATCH_NORM_SUMS] = reference_batch_norm_sums,
    [OP_BATCH_NORM_SLOPES] = reference_batch_norm_slopes,
    [OP_BATCH_NORM_INPUT_GRAD] = reference_batch_norm_input_grad,
    [OP_RUNNING_STATISTIC] = reference_running_statistic,
    [OP_TABLE_ROW] = reference_table_row,
    [OP_CROSS_ENTROPY] = reference_cross_entropy,
    [OP_FOCAL] = reference_focal,
    [OP_DICE] = reference_dice,
    [OP_BCE_WITH_LOGITS] = reference_bce_with_logits,
    [OP_MSE] = reference_mse,
    [OP_ENTROPY] = reference_entropy,
    [OP_ENTROPY_MAP] = reference_entropy_map,
    [OP_MAX_POOL2D_TAP] = reference_max_pool2d_tap,
    [OP_MAX_POOL2D_GRAD] = reference_max_pool2d_grad,
    [OP_AVG_POOL2D_GRAD] = reference_avg_pool2d_grad,
    [OP_RESIZE_GRAD] = reference_resize_grad,
    [OP_SLICE_GRAD] = reference_slice_grad,
    [OP_PAD_GRAD] = reference_pad_grad,
    [OP_FLATTEN] = reference_copy,
    [OP_RESHAPE] = reference_copy,
};

ReferenceRule *reference_rule(Op op)
{
    return rules[op];
}

void source_write(SourceFill *fill, void *context, const Node *source, void *to)
{
    fill(context, source, to);
    for (int64_t i = 0; source->type.dtype == I32 && i < type_elements(source->type); i++) {
        float value;
        memcpy(&value, (char *)to + i * 4, sizeof value);
        int32_t whole = (int32_t)value;
        memcpy((char *)to + i * 4, &whole, sizeof whole);
    }
}

static void read_source(Arena *arena, const Node *node, SourceFill *fill, void *context, Tensor *out)
{
    int64_t count = type_elements(node->type);
    float *values = ARENA_ARRAY(arena, float, count);
    fill(context, node, values);
    for (int64_t i = 0; i < count; i++) out->data[i] = (double)values[i];
}

Tensor *reference_run(Arena *arena, const Graph *graph, SourceFill *fill, void *context)
{
    Tensor *values = ARENA_ARRAY(arena, Tensor, graph->next_id);
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = graph->nodes[i];
        Tensor *out = &values[node->id];
        out->type = node->type;
        out->data = ARENA_ARRAY(arena, double, type_elements(node->type));
        if (node->op == OP_INPUT || node->op == OP_PARAM) {
            read_source(arena, node, fill, context, out);
            continue;
        }
        if (!rules[node->op]) return NULL;
        Tensor *in = ARENA_ARRAY(arena, Tensor, node->n_in);
        for (int k = 0; k < node->n_in; k++) in[k] = values[node->in[k]->id];
        rules[node->op](node, in, out);
    }
    return values;
}
