/* The table of rules and the walk over a graph: see reference.h. */
#include "reference.h"

static ReferenceRule *const rules[OP_COUNT] = {
    [OP_CONV2D] = reference_conv2d,
    [OP_CONV_TRANSPOSE2D] = reference_conv_transpose2d,
    [OP_LINEAR] = reference_linear,
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
    [OP_FLATTEN] = reference_copy,
    [OP_RESHAPE] = reference_copy,
};

ReferenceRule *reference_rule(Op op)
{
    return rules[op];
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
