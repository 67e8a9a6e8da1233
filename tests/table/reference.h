/* What every operator means: one plain loop per operator, in double, over dense row-major tensors.
 *
 * Written from PyTorch's documented semantics, apart from the compiler: nothing of it is used but the
 * attributes and types of nodes. It is the oracle of the operator tests and of whole graphs.
 *
 *     Tensor *values = reference_run(arena, graph, fill, context);
 *     values[graph->outputs[0].node->id].data[0] ...
 *
 * Everything made lives in the arena. To add an operator: a rule in the reference_*.c of its family, declared
 * below, and its row in reference.c.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "graph.h"

typedef struct Tensor {
    Type type;
    double *data; /* integers too; NULL for a node outside of the order */
} Tensor;

/* Sets data from in[], one per input of the node (parameters after the data inputs). out->data is zero. */
typedef void ReferenceRule(const Node *node, const Tensor *in, Tensor *out);

/* The rule of an operator, NULL for sources and for those that only move values into other layouts. */
ReferenceRule *reference_rule(Op op);

/* Puts the values of an input or a parameter. Floats, so that a compiled program gets the same ones. */
typedef void SourceFill(void *context, const Node *source, float *values);

/* Fills memory in which the source lies densely as its own type: labels are integers. */
void source_write(SourceFill *fill, void *context, const Node *source, void *to);

/* The value of every node in the graph's order, by Node.id (up to graph->next_id); NULL when an operator has
 * no rule. */
Tensor *reference_run(Arena *arena, const Graph *graph, SourceFill *fill, void *context);

ReferenceRule reference_conv2d, reference_conv_transpose2d, reference_linear, reference_conv2d_grad_filter,
    reference_flip_filter;
ReferenceRule reference_max_pool2d, reference_avg_pool2d, reference_resize;
ReferenceRule reference_global_avg_pool, reference_softmax, reference_log_softmax, reference_argmax;
ReferenceRule reference_cross_entropy, reference_focal, reference_dice, reference_bce_with_logits,
    reference_mse, reference_entropy, reference_entropy_map;
ReferenceRule reference_concat, reference_slice, reference_pad, reference_copy;
ReferenceRule reference_constant, reference_clip_factor, reference_batch_norm, reference_prelu,
    reference_relu, reference_leaky_relu, reference_sigmoid, reference_affine, reference_rsqrt, reference_add,
    reference_sub, reference_mul, reference_div, reference_scale_shift;
ReferenceRule reference_cross_entropy, reference_focal, reference_dice, reference_bce_with_logits,
    reference_mse, reference_entropy, reference_entropy_map;
ReferenceRule reference_sum_to, reference_expand, reference_mean, reference_l1, reference_l1_grad,
    reference_relu_grad, reference_leaky_relu_grad, reference_prelu_grad, reference_prelu_weight_grad,
    reference_sigmoid_grad, reference_softmax_grad, reference_log_softmax_grad, reference_batch_statistics,
    reference_batch_norm_scale, reference_batch_norm_train, reference_batch_norm_sums,
    reference_batch_norm_slopes, reference_batch_norm_input_grad, reference_running_statistic,
    reference_table_row;
ReferenceRule reference_max_pool2d_tap, reference_max_pool2d_grad, reference_avg_pool2d_grad,
    reference_resize_grad, reference_slice_grad, reference_pad_grad;

#endif
