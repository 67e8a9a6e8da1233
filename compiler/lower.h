/* From groups to kernels.
 *
 * Lowering is by pulling: the driver opens loops over the elements of a group's root and asks for the root's
 * value at that coordinate; each operator's rule asks for its inputs' values at the coordinates that it
 * derives, and so on until a value that has memory is loaded. A fused node is simply one whose value is
 * computed where it is asked for. For a contraction by template the driver writes a ConvSpec and the same
 * pulling makes its epilogue, in which the contraction's value is the accumulator.
 *
 * The result is a list of steps: a kernel (shared by all steps whose kernels read the same) and what its
 * buffers are.
 */
#ifndef LOWER_H
#define LOWER_H

#include "conv_spec.h"
#include "fuse.h"
#include "loop.h"
#include "op.h"

/* An element's coordinate. block 1: cb is the channel, lane is 0. Else the channel is cb*block + lane. */
typedef struct Coord {
    int block;
    Expr *n, *cb, *lane, *y, *x;
} Coord;

/* What a buffer of a kernel is in one step. */
typedef struct StepArg {
    Storage *storage; /* NULL: the table */
    const void *table;
    int64_t table_bytes;
} StepArg;

typedef struct Step {
    const char *name; /* the nodes it computes, for people */
    Kernel *kernel;
    int n_args;
    StepArg args[MAX_BUFFERS];
    bool is_static;
    int player; /* done when this player steps; -1: in every run */
    double flops, bytes;
    const Group *group;
} Step;

typedef struct StepList {
    Arena *arena;
    const Fusion *fusion; /* whose groups the steps compute */
    Step *steps;          /* static ones first */
    int n_steps, cap_steps;
    Kernel **kernels;
    int n_kernels, cap_kernels;
    const char **texts; /* of the kernels before they had names, by which equal ones are found */
    int n_texts, cap_texts;
} StepList;

StepList *lower_groups(const Fusion *fusion);

/* The text of all kernels, once each. */
const char *lower_text(const StepList *list);

/* What the rules in lower_*.c see. */
typedef struct Lowering {
    Arena *arena;
    const Layout *layout;
    const Fusion *fusion;
    const Group *group;
    LoopBuilder *b;
    Expr *accumulator; /* the anchor's raw sum, in an epilogue */
    Step *step;        /* under construction */
    /* Of a weight gradient, in its second step: where the sums of its pieces are. */
    const FilterSpec *filter;
    Storage *filter_sums;
} Lowering;

/* The value of node at a coordinate: computed here if it is of the group, else loaded. */
Expr *lower_value(Lowering *l, const Node *node, const Coord *at);
/* The same, 0 where guard is false (nothing is read there). */
Expr *lower_value_if(Lowering *l, const Node *node, const Coord *at, Expr *guard);
/* The axis of the view (0 N, 1 C, 2 H, 3 W) that dimension dim of a tensor of this rank is. */
int view_axis(int rank, int64_t dim);
/* The coordinate along an axis of the view. */
Expr **coord_axis(Coord *at, int axis);
/* Channel of a coordinate as one expression. */
Expr *coord_channel(Lowering *l, const Coord *at);
/* The buffer of a constant table (int32 or float, copied). */
int lower_table(Lowering *l, const char *name, Dtype dtype, const void *data, int64_t elements);
/* lower_window.c. Between which input samples a position lies, and the weight of the second; what resize
 * takes for "nearest".
 */
typedef struct ResizeTap {
    int32_t low, high;
    float weight;
} ResizeTap;
ResizeTap resize_tap(int64_t in, double position);
int32_t resize_nearest(int64_t in, int64_t out, double factor, int64_t o);
/* Where sample o of a bilinear enlargement lies between those of the input along an axis, before the border
 * (below 0 it is the first sample's, past in-1 the last's); factor: its scale_factor, 0 for a size. */
double resize_position(int64_t in, int64_t out, bool align_corners, double factor, int64_t o);
/* The buffer of a storage, added to the step on first use. */
int lower_storage(Lowering *l, Storage *storage, BufferRole role);
/* Index of an element in its storage. */
Expr *place_index(Lowering *l, const Place *place, const Coord *at);

/* A loop along an axis, or 0 where it has one element. */
Expr *lower_dimension(Lowering *l, LoopKind kind, const char *name, int64_t extent);

/* Kernels with loops of their own, in lower_reduce.c, lower_loss*.c and lower_pack.c. */
void lower_softmax_kernel(Lowering *l, const Node *node);
void lower_loss_kernel(Lowering *l, const Node *node); /* loss_pass */
void lower_softmax_grad_kernel(Lowering *l, const Node *node);
void lower_pack_kernel(Lowering *l, const Node *node);
/* lower_optim.c */
void lower_optimizer_kernel(Lowering *l, const Node *node);
/* lower_norm.c: row `row` of a table [rows,C] at the channel of a coordinate in a value of this rank, and
 * 1 / sqrt(variance + eps) of statistics, with the node's eps. */
Expr *lower_channel_value(Lowering *l, const Node *table, int rank, int row, const Coord *at);
Expr *lower_deviation(Lowering *l, const Node *node, const Node *statistics, int rank, const Coord *at);
/* lower_sum.c, of operators for which op_is_sum: a step for the pieces, and one for what they make together.
 */
void lower_sum(StepList *list, const Fusion *fusion, const Group *group);
/* lower_filter.c: sums of pieces, then what is made of them. */
void lower_filter(StepList *list, const Fusion *fusion, const Group *group);
Expr *lower_filter_sum(Lowering *l, const Node *node, const Coord *at);
/* The step of the template; operands: its buffers; how: said in its kind. */
void lower_filter_sums(StepList *list, const Fusion *fusion, const Group *group, const FilterSpec *spec,
                       Storage *const operands[3], const char *how);
/* lower_filter_winograd.c */
void lower_filter_winograd(StepList *list, const Fusion *fusion, const Group *group);
/* The next buffer of a template's kernel, which has the same ones always, even where two are one storage. */
void lower_fixed_buffer(Lowering *l, Storage *storage, BufferRole role);
/* Loops over the elements of a place that store root's value. */
void lower_elements(Lowering *l, const Node *root);
/* lower_conv.c: one step per phase. */
void lower_template(StepList *list, const Fusion *fusion, const Group *group);
/* A step for the group with its name and counts, no kernel yet; what lowers its kernel by b; what the kernel
 * is called; adding the step once it has one. */
Step lower_new_step(const Fusion *fusion, const Group *group);
Lowering lower_begin(StepList *list, const Fusion *fusion, const Group *group, LoopBuilder *b, Step *step);
const char *lower_kind(const Fusion *fusion, const Group *group);
void lower_finish_step(StepList *list, Step *step, Kernel *kernel);
/* The value to store: lanes past the last channel must hold finite numbers. */
Expr *lower_spare_lanes(Lowering *l, const Node *root, const Place *place, const Coord *at, Expr *value);

/* pack.c: gives every contraction its filters in the order in which the machine reads them (a static
 * pack_filter node for each phase in place of the weight), before layout_assign. */
void pack_filters(Graph *graph, const Target *target);

#endif
