/* The rules that op.def names, and the checks that they share (op.c). Included by op.c and by the files that
 * define rules: op_*.c (parameters, shapes, counts, scalar expressions) and lower_*.c.
 *
 * A rule may assume what graph_infer has checked before it: the number of inputs, that they have types, that
 * required attributes are given, words are known and numbers are within +-OP_MAX_NUMBER.
 */
#ifndef OP_RULES_H
#define OP_RULES_H

#include "op.h"

/* Attributes and dimensions stay below this, so that no formula of a shape rule can overflow. */
#define OP_MAX_NUMBER (INT64_C(1) << 30)
/* A tensor has no more elements than this. */
#define OP_MAX_ELEMENTS (INT64_C(1) << 40)

ParamsRule conv2d_params, conv_transpose2d_params, linear_params, batch_norm_params, prelu_params;

ShapeRule source_shape, conv2d_shape, conv_transpose2d_shape, linear_shape, batch_norm_shape, unary_shape,
    prelu_shape, broadcast_shape, max_pool2d_shape, avg_pool2d_shape, resize_shape, global_avg_pool_shape,
    softmax_shape, argmax_shape, concat_shape, slice_shape, pad_shape, flatten_shape, reshape_shape,
    pack_filter_shape, flip_filter_shape, conv2d_grad_filter_shape, scalar_shape, tunable_shape,
    optimizer_shape;

CountRule conv2d_count, conv2d_grad_filter_count, conv_transpose2d_count, linear_count, batch_norm_count,
    resize_count, global_avg_pool_count;

ScalarRule batch_norm_scalar, relu_scalar, leaky_relu_scalar, prelu_scalar, sigmoid_scalar, affine_scalar,
    rsqrt_scalar, add_scalar, sub_scalar, mul_scalar, div_scalar, scale_shift_scalar, constant_scalar,
    clip_factor_scalar;

LowerRule conv2d_lower, conv2d_grad_filter_lower, flip_filter_lower, linear_lower, max_pool2d_lower,
    avg_pool2d_lower, resize_lower, global_avg_pool_lower, argmax_lower, slice_lower, pad_lower,
    relayout_lower;

/* Sums, gradients of elementwise operators and of norms. */
ShapeRule sum_to_shape, expand_shape, total_shape, batch_statistics_shape, batch_norm_scale_shape,
    batch_norm_train_shape, batch_norm_sums_shape, batch_norm_slopes_shape, running_statistic_shape,
    table_row_shape, gradient_pair_shape, softmax_grad_shape;

ScalarRule relu_grad_scalar, leaky_relu_grad_scalar, prelu_grad_scalar, prelu_weight_grad_scalar,
    sigmoid_grad_scalar, expand_scalar, l1_grad_scalar;

LowerRule batch_norm_scale_lower, batch_norm_train_lower, batch_norm_slopes_lower,
    batch_norm_input_grad_lower, running_statistic_lower, table_row_lower;

/* Gradients of windows and of what moves elements. */
ShapeRule pool_grad_shape, resize_grad_shape, slice_grad_shape, pad_grad_shape;

LowerRule max_pool2d_tap_lower, max_pool2d_grad_lower, avg_pool2d_grad_lower, resize_grad_lower,
    slice_grad_lower, pad_grad_lower;

GradRule max_pool2d_gradient, avg_pool2d_gradient, global_avg_pool_gradient, resize_gradient, concat_gradient,
    slice_gradient, pad_gradient, reshape_gradient;

GradRule relu_gradient, leaky_relu_gradient, prelu_gradient, sigmoid_gradient, affine_gradient,
    rsqrt_gradient, add_gradient, sub_gradient, mul_gradient, div_gradient, scale_shift_gradient,
    sum_to_gradient, expand_gradient, mean_gradient, l1_gradient, softmax_gradient, log_softmax_gradient,
    batch_norm_gradient, batch_norm_train_gradient;

GradRule conv2d_gradient, conv_transpose2d_gradient, linear_gradient;

/* Losses. */
ShapeRule pixel_loss_shape, target_loss_shape, entropy_shape, loss_pass_shape, loss_sums_shape,
    loss_result_shape, loss_gradient_shape;
ScalarRule entropy_map_scalar, bce_term_scalar, entropy_slope_scalar;
LowerRule loss_sums_lower, loss_result_lower, loss_gradient_lower;
GradRule pixel_loss_gradient, target_loss_gradient, entropy_gradient;

/* In a row's lowering column: no value of one element at a time. The contraction template makes it, the
 * driver in lower.c has a kernel for it, it shares its input's memory, or a pass has rewritten it. */
#define by_driver NULL
/* In its gradient column. */
#define no_gradient NULL

/* Each reports through shape_error and returns false when it does not hold. */

/* Input number index is f32. */
bool op_want_f32(Graph *graph, const Node *node, int index);
/* The first input is f32 with this many dimensions at least. */
bool op_want_rank(Graph *graph, const Node *node, int rank);
/* The first input is f32[N,C,H,W]. */
bool op_want_picture(Graph *graph, const Node *node);
/* Every number of the attribute is at least low. */
bool op_want_at_least(Graph *graph, const Node *node, AttrName name, int64_t low);
/* `dim` names one of rank dimensions; a negative one is replaced by what it counts from the end. */
bool op_resolve_dim(Graph *graph, Node *node, int rank);

/* Reports that a window finds no place along an axis (0: height, 1: width), with the formula's numbers. */
bool op_no_place(Graph *graph, const Node *node, int axis, int64_t dilation);

#endif
