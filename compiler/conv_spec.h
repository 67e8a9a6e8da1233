/* The contraction template: what a backend has to know to write one convolution kernel.
 *
 * Computes, for picture n, filter f = cb*block + lane, output pixel (y, x) of an oh x ow grid:
 *
 *     acc = sum over units u, taps (ty, tx), k in 0..unit of
 *           in[in_offset + n*in_n + channel(u,k) + (y*stride_y + dy[ty])*in_y + (x*stride_x + dx[tx])*in_x]
 *         * filter[((((cb/V * units + u) * ny + ty) * nx + tx) * unit + k) * V*block + (cb%V)*block + lane]
 *     out[out_offset + n*out_n + cb*out_block + y*out_y + x*out_x + lane] = value(acc, n, cb, lane, y, x)
 *
 * where channel(u,k) = (u*unit / in_lanes) * in_block + (u*unit % in_lanes + k) * in_lane. dx and dy may be
 * negative: the input has a halo. With filter groups (group_filters > 0) filter block cb reads units starting
 * at (cb*block / group_filters) * units.
 *
 * One micro-kernel serves every conv2d, and conv_transpose2d as one spec per phase of its stride: they differ
 * in tables only. Buffers of the kernel: 0 in, 1 filters, 2 out, then those of the epilogue.
 *
 * Everything about how (tile, chunks, rows) is data here too: schedule.c decides it, backends obey.
 */
#ifndef CONV_SPEC_H
#define CONV_SPEC_H

#include "graph.h"
#include "loop.h"
#include "target.h"

/* How a convolution is cut into pieces. */
typedef struct ConvSchedule {
    int block;        /* lanes of a vector: channels side by side */
    int vectors;      /* V: filter blocks of one tile */
    int pixels;       /* P: pixels of one tile */
    int unit;         /* input channels unrolled in the inner loop */
    int chunk_units;  /* units per pass over the output; the output is re-read between passes */
    int rows;         /* output rows of one work unit */
    int filter_parts; /* work units a row block is split into, by filters */
} ConvSchedule;

/* Winograd's minimal filtering (Lavin and Gray 2016, arXiv 1509.09308) of 3x3 filters g on tiles of 4x4
 * outputs Y from inputs d:
 *
 *     Y = A^T [ (G g G^T) . (B^T d B) ] A        the product, summed over input channels, is a matrix product
 * per point over tiles
 *
 * Stride 1 is F(4x4, 3x3): 6 points per axis, 0, +-1/sqrt 2, +-sqrt 2 and infinity, which keep the rounding
 * error near that of direct convolution; 36 products in place of 144. A dilated convolution is the same on
 * the interleaved sub-grids of pixels that see each other.
 *
 * Stride 2 goes by polyphase pieces: along an axis, output j is g0*d[2j] + g2*d[2j+2], an F(4, 2) on every
 * other input with the points
 * +-1/sqrt 2, +-sqrt 2 and infinity, plus g1*d[2j+1], four products with the same filter. So 9 points per
 * axis on 9 inputs, of which the last four share one transformed filter: 81 products in place of 144, and 6
 * filters per axis again. */
enum {
    WINOGRAD_OUT = 4,     /* outputs of a tile along an axis */
    WINOGRAD_FILTERS = 6, /* transformed filters along an axis */
    WINOGRAD_MOST = 9,    /* points, and inputs, along an axis at most */
};

typedef struct WinogradTile {
    int64_t in;         /* element of d(0,0) in the input, from the picture's and channel block's start */
    int64_t y, x;       /* first output pixel; the others follow in steps of the dilation */
    int64_t rows, cols; /* of the 4x4 outputs, those inside the picture */
} WinogradTile;

typedef enum WinogradPhase {
    WINOGRAD_FUSED,   /* a unit: a block of tiles, all three phases in scratch memory */
    WINOGRAD_INPUT,   /* few tiles: a kernel per phase; a unit is an input block, */
    WINOGRAD_PRODUCT, /* a point, */
    WINOGRAD_OUTPUT,  /* or an output block. Buffers 3 and 4 hold transformed inputs and products. */
} WinogradPhase;

typedef struct Winograd {
    WinogradPhase phase;
    int64_t stride, dilation;
    int points;                   /* along an axis, and as many inputs: 6 or 9 */
    int64_t n_tiles, block_tiles; /* of one picture; of one unit */
    const WinogradTile *tiles;
    /* Floats of a block's transformed inputs [36][in blocks][block_tiles][block] and products [36][filter
     * blocks][...]; the strides of the 36 are off powers of two. */
    int64_t in_blocks, in_stride, product_stride;
} Winograd;

/* G, rows first, for a stride of 1 or 2. */
extern const double winograd_filter[3][WINOGRAD_FILTERS][3];
/* Which of the transformed filters a point has, along an axis. */
int winograd_filter_of(const Winograd *w, int point);
/* points^2 */
int64_t winograd_products(const Winograd *w);

struct ConvSpec {
    const Winograd *winograd; /* NULL: direct */
    int64_t n, oh, ow;
    int64_t filter_blocks; /* a multiple of V */
    int64_t units;         /* of one group */
    int64_t group_filters; /* 0: one group */
    int ny, nx;
    /* Displacement of the taps, in input pixels: dy[t] is dy + t*dy_step. */
    int64_t dy, dy_step, dx, dx_step;
    int64_t stride_y, stride_x;
    int64_t in_offset, in_n, in_block, in_y, in_x, in_lane, in_lanes;
    int64_t out_offset, out_n, out_block, out_y, out_x;
    ConvSchedule schedule;
    /* The epilogue: an expression over these variables, the kernel's buffers and the lets that stand first in
     * `lets`. acc, lane and the value are of one vector. */
    Var *var_n, *var_cb, *var_lane, *var_y, *var_x, *var_acc;
    const Stmt *lets;
    Expr *value;
};

/* Whether the convolution is done by minimal filtering on this machine; its input's halo is then wider. */
bool conv_is_winograd(const Node *node, const Target *target);
/* Likewise for a conv2d_grad_filter: see filter_spec.h. */
bool filter_is_winograd(const Node *node, const Target *target);
/* Tiles, blocks and strides. phase is WINOGRAD_FUSED, or WINOGRAD_INPUT when the tiles are too few to share
 * among threads. */
Winograd *winograd_plan(Arena *arena, const Node *node, const ConvSpec *spec);

/* Tile, chunks and rows for a convolution (template only) on this machine. */
ConvSchedule conv_schedule(const Node *node, const Target *target);

/* Whether a grouped convolution's groups fill whole blocks, so that each filter block reads only its own
 * group's input. The others are done as one dense convolution with zeros across groups. */
bool conv_splits_groups(const Node *node, int block);

/* The taps of one phase of a contraction along one axis: output o = first + step*j of `count` outputs reads
 * input j*stride + displacement + t*displacement_step through filter index tap + t*tap_step, for t below
 * n_taps. */
typedef struct ConvPhase {
    int64_t first, step, count, stride;
    int n_taps;
    int64_t tap, tap_step, displacement, displacement_step;
} ConvPhase;
/* axis 0: rows, 1: columns. conv2d has one phase, conv_transpose2d `stride` of them; a phase may have no
 * taps. */
int conv_phases(const Node *node, int axis);
ConvPhase conv_phase(const Node *node, int axis, int phase);

/* The spec as a line of text, part of `segc show --stage loops` and of the key by which kernels are shared.
 */
const char *conv_spec_text(Arena *arena, const Kernel *kernel);

#endif
