/* Where and how each value lies in memory.
 *
 * On the CPU, values around convolutions are channel-blocked (nChw16c with 16 floats in a vector: N, C/16, H,
 * W, 16), others are plain (NCHW). layout_assign decides which, inserts relayout nodes where one meets the
 * other, lets the producers of a concat write their slice of it directly, and gives every value that a
 * convolution reads a border of zeros wide enough for its taps (a halo), so that the kernels' inner loops
 * need no guards.
 *
 *     before: %5: f32[1,64,8,8] = relu %4          after: %9 = relayout %5 {block=1}   (softmax reads plain
 * values) %6: f32[1,64,8,8] = softmax %5              %6 = softmax %9
 *
 * Lanes of the last block beyond the channels hold finite values, which filters multiply with zero.
 *
 * A parameter that runs change is persistent, like what is static, and its next value lies where it does.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include "graph.h"
#include "target.h"

typedef enum StorageKind {
    STORAGE_ARENA,      /* made and used within one run */
    STORAGE_PERSISTENT, /* made when weights are loaded, used by every run */
} StorageKind;

/* A piece of memory. Several places can share one: a concat and its parts. */
typedef struct Storage {
    int id;
    StorageKind kind;
    int64_t elements; /* of the dtype */
    Dtype dtype;
    bool has_halo;          /* borders must be zero before anything reads them */
    bool keep;              /* lives until the end of the run: outputs */
    int first, last;        /* steps that touch it first and last; plan.c */
    int64_t offset;         /* bytes in its space; plan.c */
    struct Storage *inside; /* plan.c: shares the memory of this one (in place) */
} Storage;

/* A tensor of any rank is seen as N, C, H, W: rank 2 is [N,C,1,1], rank 1 [1,C,1,1], rank 3 [N,1,H,W]. */
typedef struct View {
    int64_t n, c, h, w;
} View;

typedef struct Place {
    bool is_static; /* computed once, when weights are loaded */
    Storage *storage;
    View view;
    int block;      /* channels side by side; 1: plain */
    int64_t offset; /* elements from the storage's start to element (0,0,0,0) */
    int64_t stride_n, stride_c, stride_y, stride_x;   /* elements; stride_c steps one block */
    int halo_top, halo_left, halo_bottom, halo_right; /* of the whole storage, in pixels */
} Place;

typedef struct Layout {
    Arena *arena;
    Graph *graph;
    const Target *target;
    Place *places; /* by node id; storage NULL: the node needs none (fused away) */
    int n_places;
    Storage **storages;
    int n_storages, cap_storages;
} Layout;

/* Decides layouts for the whole graph (rewriting it as said above) and fills the places of every node. The
 * graph must be typed and sorted; its outputs become plain. */
Layout *layout_assign(Graph *graph, const Target *target);

View view_of(Type type);
static inline int64_t blocks_of(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}
const Place *layout_place(const Layout *layout, const Node *node);
bool node_is_static(const Layout *layout, const Node *node);

/* Whether this conv2d or conv_transpose2d is done by the contraction template, this conv2d_grad_filter by its
 * own (else by loops: depthwise). */
bool conv_uses_template(const Node *node);
/* Whether node is done by the template or, in the baseline, by BLAS: the anchor of a group. */
bool layout_contracts(const Layout *layout, const Node *node);
/* Rows and columns of zeros that a template convolution reads around its input. */
typedef struct Halo {
    int64_t top, left, bottom, right;
} Halo;
Halo conv_halo(const Node *node, const Target *target);

/* More memory, for what a lowering needs besides values. */
Storage *layout_storage(Layout *layout, StorageKind kind, Dtype dtype, int64_t elements);

const char *layout_text(const Layout *layout);

#endif
