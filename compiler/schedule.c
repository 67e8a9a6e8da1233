/* How contractions are cut: tiles, chunks, rows. See conv_spec.h. The figures behind the choices are in
 * compiler/README.md. */
#include "conv_spec.h"
#include "layout.h"
#include "op.h"

#include <assert.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Filter blocks of one tile: the most that divides the block count, so that no tile is partly empty. */
static int choose_vectors(int64_t blocks, const Target *target)
{
    int most = target->registers >= 32 ? 4 : 3;
    for (int v = most; v > 1; v--)
        if (blocks % v == 0) return v;
    return 1;
}

/* Registers: P*V accumulators, V filter vectors and one for the broadcast pixel (none where it is an
 * operand). */
static int most_pixels(int vectors, const Target *target)
{
    int room = target->registers - vectors - (target->broadcast_operand ? 1 : 2);
    int most = room / vectors;
    return most > 14 ? 14 : most;
}

/* Pixels of a tile: the width that leaves the least to the tail tile, the larger of equals. A tile of fewer
 * than 8 accumulators waits for the multiply-add's latency. */
static int choose_pixels(int64_t width, int vectors, const Target *target)
{
    int most = most_pixels(vectors, target), best = most;
    double best_cost = 1e30;
    for (int p = most; p >= 1 && p >= most / 2; p--) {
        int64_t tail = width % p;
        double full = p * vectors < 8 ? 8 : p * vectors,
               part = tail * vectors < 8 ? 8 : (double)(tail * vectors);
        /* Filters are loaded once per tile and tap: more pixels share the cost of the loads. */
        double cost = (double)(width / p) * (full + 0.6 * vectors) + (tail ? part + 0.6 * vectors : 0);
        if (cost < best_cost * 0.999) best_cost = cost, best = p;
    }
    return (int)min64(best, width);
}

bool conv_splits_groups(const Node *node, int block)
{
    int64_t groups = node_int(node, A_GROUPS);
    return groups > 1 && node->type.dim[1] / groups % block == 0 &&
           node->in[0]->type.dim[1] / groups % block == 0;
}

ConvSchedule conv_schedule(const Node *node, const Target *target)
{
    assert(conv_uses_template(node));
    Type in = node->in[0]->type, out = node->type;
    int64_t channels = in.dim[1], groups = node_int(node, A_GROUPS);
    bool planes = channels <= 4;
    ConvSchedule s = {.block = target->vector};
    int64_t blocks = blocks_of(out.dim[1], s.block);
    int64_t own = conv_splits_groups(node, s.block) ? out.dim[1] / groups / s.block : blocks;
    s.vectors = choose_vectors(own, target);
    int64_t width = node->op == OP_CONV2D ? out.dim[3] : blocks_of(out.dim[3], node_columns(node, A_STRIDE));
    bool winograd = conv_is_winograd(node, target); /* pixels are then tiles, in blocks of many */
    s.pixels = winograd ? most_pixels(s.vectors, target) : choose_pixels(width, s.vectors, target);
    s.unit = planes ? (int)channels : 8 < s.block ? 8 : s.block;
    /* Chunks of 32 channels (64 for 1x1), so that a row block of the input stays in the second-level cache.
     */
    int64_t area = node_rows(node, A_KERNEL) * node_columns(node, A_KERNEL);
    int64_t chunk_channels = area == 1 ? 64 : 32;
    s.chunk_units = planes ? 1 : (int)(chunk_channels / s.unit);
    int64_t row_bytes = in.dim[3] * 4 * (planes ? channels : chunk_channels) * node_rows(node, A_STRIDE);
    int64_t rows = target->l2_bytes * 5 / 16 / (row_bytes > 0 ? row_bytes : 1);
    int64_t height = node->op == OP_CONV2D ? out.dim[2] : blocks_of(out.dim[2], node_rows(node, A_STRIDE));
    /* At least 8 row blocks where the picture has them, so that threads share evenly. */
    rows = min64(rows, blocks_of(height, 8));
    s.rows = (int)(rows < 1 ? 1 : rows);
    int64_t tiles = blocks / s.vectors, row_units = blocks_of(height, s.rows) * out.dim[0];
    s.filter_parts = (int)(row_units >= 8 ? 1 : min64(tiles, 8 / row_units));
    return s;
}

int conv_phases(const Node *node, int axis)
{
    if (node->op == OP_CONV2D) return 1;
    return (int)(axis == 0 ? node_rows(node, A_STRIDE) : node_columns(node, A_STRIDE));
}

/* Taps follow each other in even steps. */
static void add_tap(ConvPhase *p, int64_t tap, int64_t displacement)
{
    if (p->n_taps == 0) {
        p->tap = tap;
        p->displacement = displacement;
    } else if (p->n_taps == 1) {
        p->tap_step = tap - p->tap;
        p->displacement_step = displacement - p->displacement;
    }
    assert(tap == p->tap + p->n_taps * p->tap_step);
    p->n_taps++;
}

/* Output o takes tap k where (o + padding - k*dilation) is a multiple of the stride; the quotient is the
 * input's index. */
static ConvPhase transposed_phase(const Node *node, int axis, int phase)
{
    int64_t stride = node_axis(node, A_STRIDE, axis), padding = node_axis(node, A_PADDING, axis);
    int64_t dilation = node_axis(node, A_DILATION, axis), size = node->type.dim[2 + axis];
    ConvPhase p = {.first = phase, .step = stride, .stride = 1};
    p.count = phase < size ? (size - phase + stride - 1) / stride : 0;
    for (int64_t k = 0; k < node_axis(node, A_KERNEL, axis); k++) {
        int64_t from = phase + padding - k * dilation;
        if (from % stride == 0) add_tap(&p, k, from / stride);
    }
    return p;
}

ConvPhase conv_phase(const Node *node, int axis, int phase)
{
    if (node->op == OP_CONV_TRANSPOSE2D) return transposed_phase(node, axis, phase);
    ConvPhase p = {.step = 1, .count = node->type.dim[2 + axis], .stride = node_axis(node, A_STRIDE, axis)};
    for (int64_t k = 0; k < node_axis(node, A_KERNEL, axis); k++)
        add_tap(&p, k, k * node_axis(node, A_DILATION, axis) - node_axis(node, A_PADDING, axis));
    return p;
}

const char *conv_spec_text(Arena *arena, const Kernel *kernel)
{
    const ConvSpec *c = kernel->conv;
    const ConvSchedule *s = &c->schedule;
    Text t = text_new(arena);
    const Winograd *w = c->winograd;
    if (w)
        text_printf(&t, "winograd phase %d stride %lld dilation %lld tiles %lld by %lld strides %lld,%lld ",
                    w->phase, (long long)w->stride, (long long)w->dilation, (long long)w->n_tiles,
                    (long long)w->block_tiles, (long long)w->in_stride, (long long)w->product_stride);
    text_printf(
        &t, "conv n=%lld out=%lldx%lld filter_blocks=%lld units=%lld group_filters=%lld stride=%lld,%lld",
        (long long)c->n, (long long)c->oh, (long long)c->ow, (long long)c->filter_blocks, (long long)c->units,
        (long long)c->group_filters, (long long)c->stride_y, (long long)c->stride_x);
    text_printf(&t, " dy=[");
    for (int i = 0; i < c->ny; i++)
        text_printf(&t, "%s%lld", i ? "," : "", (long long)(c->dy + i * c->dy_step));
    text_printf(&t, "] dx=[");
    for (int i = 0; i < c->nx; i++)
        text_printf(&t, "%s%lld", i ? "," : "", (long long)(c->dx + i * c->dx_step));
    text_printf(&t, "] in=%lld+%lld,%lld,%lld,%lld lane %lld/%lld", (long long)c->in_offset,
                (long long)c->in_n, (long long)c->in_block, (long long)c->in_y, (long long)c->in_x,
                (long long)c->in_lane, (long long)c->in_lanes);
    text_printf(&t, " out=%lld+%lld,%lld,%lld,%lld", (long long)c->out_offset, (long long)c->out_n,
                (long long)c->out_block, (long long)c->out_y, (long long)c->out_x);
    text_printf(&t, " tile=%dx%d block=%d unit=%d chunk=%d rows=%d parts=%d", s->pixels, s->vectors, s->block,
                s->unit, s->chunk_units, s->rows, s->filter_parts);
    return t.text;
}
