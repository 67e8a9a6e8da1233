/* Which convolutions are done by minimal filtering, and how their pixels are cut into tiles. See conv_spec.h.
 */
#include "conv_spec.h"
#include "layout.h"
#include "op.h"

#include <assert.h>

/* Rows of G: that of point p is (1, p, p^2) / N(p), N the product of the differences to the other finite
 * points; for infinity the last power alone. With a = 1/sqrt 2 and b = sqrt 2. For stride 2 the powers go to
 * the outer two taps, and the last row is the middle tap. */
#define A 0.70710678118654752440
#define B 1.41421356237309504880
const double winograd_filter[3][WINOGRAD_FILTERS][3] = {
    [1] = {{1, 0, 0},
           {1 / -1.5, A / -1.5, 0.5 / -1.5},
           {1 / -1.5, -A / -1.5, 0.5 / -1.5},
           {1 / 6.0, B / 6.0, 2 / 6.0},
           {1 / 6.0, -B / 6.0, 2 / 6.0},
           {0, 0, 1}},
    [2] = {{1 / (-3 * A), 0, 1 / -3.0},
           {1 / (3 * A), 0, 1 / -3.0},
           {1 / (3 * B), 0, 1 / 3.0},
           {1 / (-3 * B), 0, 1 / 3.0},
           {0, 0, 1},
           {0, 1, 0}},
};
#undef A
#undef B

int winograd_filter_of(const Winograd *w, int point)
{
    return w->stride == 2 && point >= WINOGRAD_FILTERS - 1 ? WINOGRAD_FILTERS - 1 : point;
}

int64_t winograd_products(const Winograd *w)
{
    return (int64_t)w->points * w->points;
}

/* Tiles of one sub-grid along an axis of `size` outputs, the sub-grid starting at `first`. */
static int64_t tiles_along(int64_t size, int64_t first, int64_t dilation)
{
    int64_t count = first < size ? (size - first + dilation - 1) / dilation : 0;
    return blocks_of(count, WINOGRAD_OUT);
}

static int64_t count_tiles(int64_t height, int64_t width, int64_t dilation)
{
    int64_t rows = 0, columns = 0;
    for (int64_t i = 0; i < dilation; i++) {
        rows += tiles_along(height, i, dilation);
        columns += tiles_along(width, i, dilation);
    }
    return rows * columns;
}

/* A kernel has a table of its tiles, 40 bytes each. Pictures larger than 4096 x 4096 have more. */
enum { MOST_TILES = 1 << 20 };

/* Of a window over in that makes out. */
static bool suits(const Node *node, const int64_t *in, const int64_t *out)
{
    if (node_int(node, A_GROUPS) != 1) return false;
    bool three = node_rows(node, A_KERNEL) == 3 && node_columns(node, A_KERNEL) == 3;
    int64_t stride = node_rows(node, A_STRIDE), dilation = node_rows(node, A_DILATION);
    bool square = stride == node_columns(node, A_STRIDE) && dilation == node_columns(node, A_DILATION);
    if (!three || !square || stride > 2 || (stride == 2 && dilation > 1)) return false;
    /* The transforms cost as much as some 20 channels of products, on both sides; partly filled tiles are
     * wasted. */
    if (in[1] < 32 || out[1] < 16) return false;
    int64_t tiles = count_tiles(out[2], out[3], dilation);
    return tiles <= MOST_TILES && tiles * WINOGRAD_OUT * WINOGRAD_OUT * 2 <= out[2] * out[3] * 3;
}

bool conv_is_winograd(const Node *node, const Target *target)
{
    return target->winograd && node->op == OP_CONV2D && suits(node, node->in[0]->type.dim, node->type.dim);
}

/* Both operands are transformed, and so are the sums: that pays for many channels of each, and many tiles to
 * a sum. */
bool filter_is_winograd(const Node *node, const Target *target)
{
    if (!target->winograd || node->op != OP_CONV2D_GRAD_FILTER || node_rows(node, A_STRIDE) != 1)
        return false;
    const int64_t *in = node->in[0]->type.dim, *out = node->in[1]->type.dim;
    int64_t tiles = out[0] * count_tiles(out[2], out[3], node_rows(node, A_DILATION));
    return in[1] >= 64 && out[1] >= 64 && tiles >= 32 && suits(node, in, out);
}

static void add_tiles(WinogradTile *tiles, int64_t *n, const Node *node, const ConvSpec *spec,
                      int64_t first_y, int64_t first_x, int64_t dilation)
{
    int64_t height = spec->oh, width = spec->ow, pad_y = node_rows(node, A_PADDING),
            pad_x = node_columns(node, A_PADDING);
    for (int64_t ty = 0; ty < tiles_along(height, first_y, dilation); ty++)
        for (int64_t tx = 0; tx < tiles_along(width, first_x, dilation); tx++) {
            WinogradTile *t = &tiles[(*n)++];
            t->y = first_y + ty * WINOGRAD_OUT * dilation;
            t->x = first_x + tx * WINOGRAD_OUT * dilation;
            t->in =
                (t->y * spec->stride_y - pad_y) * spec->in_y + (t->x * spec->stride_x - pad_x) * spec->in_x;
            t->rows = (height - t->y + dilation - 1) / dilation;
            t->cols = (width - t->x + dilation - 1) / dilation;
            if (t->rows > WINOGRAD_OUT) t->rows = WINOGRAD_OUT;
            if (t->cols > WINOGRAD_OUT) t->cols = WINOGRAD_OUT;
        }
}

/* About 32 tiles, fewer where many channels would overflow the caches, in whole tiles of the product's
 * pixels. */
static int64_t choose_block_tiles(int64_t n_tiles, int64_t channels, int64_t stride, int pixels)
{
    int64_t most = channels >= 1024 || stride == 2 ? 18 : 32;
    if (n_tiles <= most) return n_tiles;
    int64_t whole = most / pixels * pixels;
    return whole > 0 ? whole : most;
}

Winograd *winograd_plan(Arena *arena, const Node *node, const ConvSpec *spec)
{
    Winograd *w = ARENA_NEW(arena, Winograd);
    w->stride = node_rows(node, A_STRIDE);
    w->dilation = node_rows(node, A_DILATION);
    w->points = w->stride == 2 ? WINOGRAD_MOST : WINOGRAD_FILTERS;
    WinogradTile *tiles = ARENA_ARRAY(arena, WinogradTile, count_tiles(spec->oh, spec->ow, w->dilation));
    for (int64_t y = 0; y < w->dilation; y++)
        for (int64_t x = 0; x < w->dilation; x++)
            add_tiles(tiles, &w->n_tiles, node, spec, y, x, w->dilation);
    w->tiles = tiles;
    int block = spec->schedule.block;
    w->in_blocks = blocks_of(node->in[0]->type.dim[1], block);
    w->block_tiles =
        choose_block_tiles(w->n_tiles, node->in[0]->type.dim[1], w->stride, spec->schedule.pixels);
    /* Few blocks leave threads idle, and each reads all filters: then each phase is shared in its own way. */
    w->phase = spec->n * blocks_of(w->n_tiles, w->block_tiles) >= 4 ? WINOGRAD_FUSED : WINOGRAD_INPUT;
    if (w->phase == WINOGRAD_INPUT) w->block_tiles = w->n_tiles;
    w->in_stride = w->in_blocks * w->block_tiles * block + block;
    w->product_stride = spec->filter_blocks * w->block_tiles * block + block;
    return w;
}
