/* The template of weight gradients (conv2d_grad_filter): what a backend has to know to write one kernel.
 *
 * A weight's gradient is a sum over output pixels, of a product of one element of gy and one of the input. A
 * tile multiplies P values of one side, broadcast, with V vectors of the other, and keeps the P*V sums in
 * registers while it walks over a chunk of output rows:
 *
 *     sum[p][v][lane] += one[pixel + tile.one + tap.one + p*one.step] *
 *                        many[pixel + tile.many + tap.many + v*many.step + lane]
 *
 * Usually the values are those of P filters of gy and the vectors are blocks of input channels, read again
 * for every tap; the sums then lie as filters in blocks do. The other way round the vectors are blocks of
 * filters, and sums are [channel][row][column][filter]: where the input is a picture of a few channels, the
 * values are P neighbouring taps of one channel; else they are P channels, where that leaves less of the
 * blocks empty.
 *
 * A piece is a part of the chunks; pieces write sums of their own, which a second kernel adds up in order, so
 * that results do not depend on who computed what. A work unit is a piece of a share of the tiles. Buffers of
 * the kernel: 0 one, 1 many, 2 sums. Everything about how is data: lower_filter.c decides it, backends obey.
 *
 * Minimal filtering the other way (3x3, stride 1; see conv_spec.h): where Y = A^T [(G g G^T) . (B^T d B)] A,
 * the gradient of g is G^T [sum over tiles of (A gy A^T) . (B^T d B)] G. The sum is the template's, with
 * tiles for pixels and the 36 points for taps.
 */
#ifndef FILTER_SPEC_H
#define FILTER_SPEC_H

#include "graph.h"
#include "loop.h"
#include "target.h"

/* Where an operand lies: strides in elements, of pictures, output rows and output columns. */
typedef struct FilterSide {
    int64_t offset, n, y, x;
    int64_t step; /* from one value, or vector, of a tile to the next */
} FilterSide;

/* Elements from the operands' pixel and the sums' start. */
typedef struct FilterTile {
    int64_t one, many, sum;
    int values; /* of P */
} FilterTile;

typedef struct FilterTap {
    int64_t one, many, sum;
} FilterTap;

/* Registers of a tile. */
typedef struct FilterShape {
    int values, vectors; /* P, V */
    double cost;         /* of all tiles, for a pixel and a tap, in multiply-adds of vectors */
} FilterShape;

struct FilterSpec {
    int64_t n, oh, ow;
    FilterSide one, many;
    int block;       /* lanes of a vector */
    bool by_filters; /* the values are filters' */
    FilterShape shape;
    const FilterTile *tiles; /* those of P values first, then, if there are any, others, of equal numbers */
    int64_t n_tiles, n_full;
    const FilterTap *taps;
    int64_t n_taps;
    int64_t many_tiles; /* of V vectors each */
    /* Elements between the sums of two pieces, two values of a tile, two vectors. Tiles may write sums past
     * the last value's: the buffer has room. */
    int64_t sum_piece, sum_value, sum_vector;
    int64_t chunk_rows; /* output rows that are done for all tiles of a unit before the next */
    int64_t pieces, shares;
    bool by_points; /* shares are parts of the taps, which are outermost: each has operands of its own */
};

/* Chunks of one picture; the range of them (over all pictures) that a piece does, of tiles that a share
 * does. */
int64_t filter_chunks(const FilterSpec *spec);
static inline int64_t filter_part(int64_t count, int64_t part, int64_t parts)
{
    return count * part / parts;
}

/* Whether the template computes this conv2d_grad_filter: its groups, if it has several, fill blocks of any
 * size. */
bool filter_uses_template(const Node *node);
/* Whether its values are taps. */
bool filter_by_taps(const Node *node);

/* P and V for runs of so many values (`runs` of them) and so many blocks of lanes; V divides blocks. */
FilterShape filter_shape(int64_t run, int64_t runs, int64_t blocks, int block, bool by_taps,
                         const Target *target);
/* Sets tiles and sum_piece: `count` values of channels that lie in blocks stride_c apart, the last tile
 * perhaps past the end; group: values that see the same vectors, which are group_step from those of the next.
 */
void filter_set_tiles(Arena *arena, FilterSpec *spec, int64_t count, int64_t stride_c, int64_t group,
                      int64_t group_step);
/* Sets chunk_rows, pieces and shares; all else but by_points is known. */
void filter_cut(FilterSpec *spec, const Target *target);

/* The spec as a line of text: see conv_spec_text. */
const char *filter_spec_text(Arena *arena, const FilterSpec *spec);

#endif
