/* Minimal filtering of 3x3 filters: see conv_spec.h for the algorithm. Inputs of a block of tiles are
 * transformed for all channels, then 36 matrix products run through the template's micro-kernel (a tile is
 * its pixel), then products are transformed back and go through the epilogue. */
#include "cpu_conv.h"
#include "layout.h"

#include <assert.h>

typedef struct Wino {
    Emit *e;
    const ConvSpec *spec;
    const Winograd *w;
    LLVMValueRef table;            /* tiles: 5 integers each, as in WinogradTile, `in` in bytes */
    LLVMValueRef filter_of;        /* the transformed filter of each product */
    LLVMValueRef inputs, products; /* of the block (or of all tiles) */
    LLVMValueRef spare;            /* one tile of outputs */
    LLVMValueRef n, first, count;  /* picture; the block's first tile and how many it has */
} Wino;

static LLVMValueRef tile_table(Wino *w)
{
    Emit *e = w->e;
    int64_t count = w->w->n_tiles;
    LLVMValueRef *field = ARENA_ARRAY(e->arena, LLVMValueRef, 5 * count);
    for (int64_t i = 0; i < count; i++) {
        const WinogradTile *t = &w->w->tiles[i];
        const int64_t values[5] = {4 * t->in, t->y, t->x, t->rows, t->cols};
        for (int k = 0; k < 5; k++) field[5 * i + k] = emit_int(e, values[k]);
    }
    return emit_table(e, "tiles", field, 5 * count);
}

/* Which transformed filter each product takes. */
static LLVMValueRef filter_table(Wino *w)
{
    LLVMValueRef field[WINOGRAD_MOST * WINOGRAD_MOST];
    int points = w->w->points;
    for (int i = 0; i < points * points; i++) {
        int row = winograd_filter_of(w->w, i / points), column = winograd_filter_of(w->w, i % points);
        field[i] = emit_int(w->e, row * WINOGRAD_FILTERS + column);
    }
    return emit_table(w->e, "filter_of", field, (int64_t)points * points);
}

static LLVMValueRef tile_field(Wino *w, LLVMValueRef tile, int field)
{
    Emit *e = w->e;
    LLVMValueRef index =
        LLVMBuildNSWAdd(e->b, LLVMBuildNSWMul(e->b, tile, emit_int(e, 5), ""), emit_int(e, field), "");
    LLVMValueRef slot = LLVMBuildInBoundsGEP2(e->b, e->i64, w->table, &index, 1, "");
    return LLVMBuildLoad2(e->b, e->i64, slot, "");
}

static LLVMValueRef times(Wino *w, double factor, LLVMValueRef x)
{
    LLVMValueRef f = emit_splat(w->e, emit_float(w->e, factor), w->spec->schedule.block);
    return LLVMBuildFMul(w->e->b, f, x, "");
}

/* x*factor + y */
static LLVMValueRef plus_times(Wino *w, LLVMValueRef y, double factor, LLVMValueRef x)
{
    LLVMValueRef f = emit_splat(w->e, emit_float(w->e, factor), w->spec->schedule.block);
    return emit_fma(w->e, f, x, y);
}

static LLVMValueRef plus(Wino *w, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildFAdd(w->e->b, x, y, "");
}

static LLVMValueRef minus(Wino *w, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildFSub(w->e->b, x, y, "");
}

#define POINT_A 0.70710678118654752440
#define POINT_B 1.41421356237309504880

/* The points +-a, +-b and infinity on 5 inputs. Rows pair up into an even and an odd part; a^2 b^2 is 1. */
static void transform_five(Wino *w, const LLVMValueRef *d, LLVMValueRef *out)
{
    const double a = POINT_A, b = POINT_B, a2 = 0.5, b2 = 2;
    LLVMValueRef odd_a = plus_times(w, d[3], -b2, d[1]), even_a = plus_times(w, d[2], -b2, d[0]);
    LLVMValueRef odd_b = plus_times(w, d[3], -a2, d[1]), even_b = plus_times(w, d[2], -a2, d[0]);
    out[0] = plus_times(w, odd_a, a, even_a);
    out[1] = plus_times(w, odd_a, -a, even_a);
    out[2] = plus_times(w, odd_b, b, even_b);
    out[3] = plus_times(w, odd_b, -b, even_b);
    out[4] = plus_times(w, plus(w, d[0], d[4]), -(a2 + b2), d[2]);
}

/* B^T d for one column. */
static void transform_input(Wino *w, const LLVMValueRef *d, LLVMValueRef *out)
{
    if (w->w->stride == 2) {
        const LLVMValueRef outer[5] = {d[0], d[2], d[4], d[6], d[8]};
        transform_five(w, outer, out);
        for (int i = 0; i < WINOGRAD_OUT; i++) out[5 + i] = d[2 * i + 1];
        return;
    }
    const double a2 = 0.5, b2 = 2;
    out[0] = plus_times(w, plus(w, d[0], d[4]), -(a2 + b2), d[2]); /* the point 0 */
    transform_five(w, d + 1, out + 1);
}

/* A^T m for one column. */
static void transform_product(Wino *w, const LLVMValueRef *m, LLVMValueRef *out)
{
    const double a = POINT_A, b = POINT_B;
    bool polyphase = w->w->stride == 2;
    const LLVMValueRef *p = polyphase ? m : m + 1; /* those of +-a, +-b, infinity */
    LLVMValueRef sum_a = plus(w, p[0], p[1]), difference_a = minus(w, p[0], p[1]);
    LLVMValueRef sum_b = plus(w, p[2], p[3]), difference_b = minus(w, p[2], p[3]);
    out[0] = plus(w, sum_a, sum_b);
    out[1] = plus_times(w, times(w, a, difference_a), b, difference_b);
    out[2] = plus_times(w, times(w, a * a, sum_a), b * b, sum_b);
    out[3] = plus_times(w, plus_times(w, p[4], a * a * a, difference_a), b * b * b, difference_b);
    if (!polyphase) out[0] = plus(w, m[0], out[0]);
    for (int i = 0; polyphase && i < WINOGRAD_OUT; i++) out[i] = plus(w, out[i], m[5 + i]);
}

static LLVMValueRef load(Wino *w, LLVMValueRef base, int64_t floats)
{
    Emit *e = w->e;
    int block = w->spec->schedule.block;
    LLVMValueRef value = LLVMBuildLoad2(e->b, emit_vector_type(e->f32, block),
                                        emit_address(e, base, emit_int(e, 4 * floats)), "");
    LLVMSetAlignment(value, (unsigned)(4 * block));
    return value;
}

static void store(Wino *w, LLVMValueRef value, LLVMValueRef base, int64_t floats)
{
    Emit *e = w->e;
    LLVMValueRef to = emit_address(e, base, emit_int(e, 4 * floats));
    LLVMSetAlignment(LLVMBuildStore(e->b, value, to), (unsigned)(4 * w->spec->schedule.block));
}

/* base + block * block_floats + slot * lanes: where a tile's values of one channel block lie, at point 0 */
static LLVMValueRef slot_address(Wino *w, LLVMValueRef base, LLVMValueRef block, LLVMValueRef slot)
{
    Emit *e = w->e;
    int lanes = w->spec->schedule.block;
    LLVMValueRef bytes = LLVMBuildNSWAdd(e->b, emit_scaled(e, block, 4 * w->w->block_tiles * lanes),
                                         emit_scaled(e, slot, 4 * lanes), "");
    return emit_address(e, base, bytes);
}

/* Tiles first..first+count of one input block. */
static void emit_inputs(Wino *w, LLVMValueRef in_block)
{
    Emit *e = w->e;
    const ConvSpec *s = w->spec;
    int64_t step_y = w->w->dilation * s->in_y, step_x = w->w->dilation * s->in_x;
    LLVMValueRef bytes = LLVMBuildNSWAdd(e->b, emit_scaled(e, w->n, 4 * s->in_n),
                                         emit_scaled(e, in_block, 4 * s->in_block), "");
    bytes = LLVMBuildNSWAdd(e->b, bytes, emit_int(e, 4 * s->in_offset), "");
    LLVMValueRef picture = emit_address(e, e->buffers[0], bytes);
    EmitLoop slot = emit_loop_begin(e, emit_int(e, 0), w->count, 1, NULL, 0, false);
    LLVMValueRef tile = LLVMBuildNSWAdd(e->b, w->first, slot.counter, "");
    LLVMValueRef in = emit_address(e, picture, tile_field(w, tile, 0));
    LLVMValueRef half[WINOGRAD_MOST][WINOGRAD_MOST];
    int points = w->w->points;
    for (int x = 0; x < points; x++) {
        LLVMValueRef column[WINOGRAD_MOST], out[WINOGRAD_MOST];
        for (int y = 0; y < points; y++) column[y] = load(w, in, y * step_y + x * step_x);
        transform_input(w, column, out);
        for (int y = 0; y < points; y++) half[y][x] = out[y];
    }
    LLVMValueRef to = slot_address(w, w->inputs, in_block, slot.counter);
    for (int y = 0; y < points; y++) {
        LLVMValueRef out[WINOGRAD_MOST];
        transform_input(w, half[y], out);
        for (int x = 0; x < points; x++) store(w, out[x], to, (y * points + x) * w->w->in_stride);
    }
    emit_loop_end(e, &slot, NULL, NULL);
}

/* The matrix product of one point: all filters, all tiles of the block. Spare slots of a last, shorter block
 * hold what was there before; their products are not read. */
static void emit_products(Wino *w, LLVMValueRef point)
{
    Emit *e = w->e;
    const ConvSpec *s = w->spec;
    int lanes = s->schedule.block;
    ConvSpec *product = ARENA_NEW(e->arena, ConvSpec);
    *product = (ConvSpec){.n = 1,
                          .oh = 1,
                          .ow = w->w->block_tiles,
                          .filter_blocks = s->filter_blocks,
                          .units = s->units,
                          .ny = 1,
                          .nx = 1,
                          .stride_y = 1,
                          .stride_x = 1,
                          .in_block = w->w->block_tiles * lanes,
                          .in_x = lanes,
                          .in_lane = 1,
                          .in_lanes = lanes,
                          .out_block = w->w->block_tiles * lanes,
                          .out_x = lanes,
                          .schedule = s->schedule};
    product->schedule.chunk_units = (int)s->units;
    int64_t tile_floats = s->units * s->schedule.unit * s->schedule.vectors * lanes;
    int64_t tiles = s->filter_blocks / s->schedule.vectors;
    LLVMValueRef in = emit_address(e, w->inputs, emit_scaled(e, point, 4 * w->w->in_stride));
    LLVMValueRef out = emit_address(e, w->products, emit_scaled(e, point, 4 * w->w->product_stride));
    LLVMValueRef slot = LLVMBuildInBoundsGEP2(e->b, e->i64, w->filter_of, &point, 1, "");
    LLVMValueRef filters = emit_address(
        e, e->buffers[1], emit_scaled(e, LLVMBuildLoad2(e->b, e->i64, slot, ""), 4 * tiles * tile_floats));
    EmitLoop tile = emit_loop_begin(e, emit_int(e, 0), emit_int(e, tiles), 1, NULL, 0, false);
    emit_conv_product(
        e, product, in, emit_address(e, filters, emit_scaled(e, tile.counter, 4 * tile_floats)),
        emit_address(e, out, emit_scaled(e, tile.counter, 4 * product->out_block * s->schedule.vectors)));
    emit_loop_end(e, &tile, NULL, NULL);
}

static void bind_output(Wino *w, LLVMValueRef filter_block)
{
    const ConvSpec *s = w->spec;
    w->e->lanes = s->schedule.block;
    w->e->vector_var = s->var_lane;
    emit_bind(w->e, s->var_n, w->n, 0);
    emit_bind(w->e, s->var_cb, filter_block, 0);
    emit_bind(w->e, s->var_lane, NULL, 0);
}

/* A whole tile: from registers. */
static void emit_whole_tile(Wino *w, LLVMValueRef y[WINOGRAD_OUT][WINOGRAD_OUT], LLVMValueRef tile_y,
                            LLVMValueRef tile_x, LLVMValueRef out)
{
    Emit *e = w->e;
    const ConvSpec *s = w->spec;
    int64_t d = w->w->dilation;
    for (int r = 0; r < WINOGRAD_OUT; r++)
        for (int c = 0; c < WINOGRAD_OUT; c++) {
            int kept = e->n_cache; /* only addends change */
            emit_bind(e, s->var_y, tile_y, r * d);
            emit_bind(e, s->var_x, tile_x, c * d);
            emit_bind(e, s->var_acc, y[r][c], 0);
            e->n_cache = kept;
            store(w, emit_epilogue(e, s), out, r * d * s->out_y + c * d * s->out_x);
        }
}

/* A tile at the border: kept in memory, and only what is inside the picture goes on. */
static void emit_cut_tile(Wino *w, LLVMValueRef y[WINOGRAD_OUT][WINOGRAD_OUT], LLVMValueRef tile,
                          LLVMValueRef tile_y, LLVMValueRef tile_x, LLVMValueRef out)
{
    Emit *e = w->e;
    const ConvSpec *s = w->spec;
    int lanes = s->schedule.block;
    int64_t d = w->w->dilation;
    for (int r = 0; r < WINOGRAD_OUT; r++)
        for (int c = 0; c < WINOGRAD_OUT; c++) store(w, y[r][c], w->spare, (r * WINOGRAD_OUT + c) * lanes);
    EmitLoop row = emit_loop_begin(e, emit_int(e, 0), tile_field(w, tile, 3), 1, NULL, 0, false);
    EmitLoop column = emit_loop_begin(e, emit_int(e, 0), tile_field(w, tile, 4), 1, NULL, 0, false);
    LLVMValueRef index = LLVMBuildNSWAdd(e->b, emit_scaled(e, row.counter, WINOGRAD_OUT), column.counter, "");
    LLVMValueRef from = emit_address(e, w->spare, emit_scaled(e, index, 4 * lanes));
    emit_bind(e, s->var_y, LLVMBuildNSWAdd(e->b, tile_y, emit_scaled(e, row.counter, d), ""), 0);
    emit_bind(e, s->var_x, LLVMBuildNSWAdd(e->b, tile_x, emit_scaled(e, column.counter, d), ""), 0);
    emit_bind(e, s->var_acc, load(w, from, 0), 0);
    LLVMValueRef bytes = LLVMBuildNSWAdd(e->b, emit_scaled(e, row.counter, 4 * d * s->out_y),
                                         emit_scaled(e, column.counter, 4 * d * s->out_x), "");
    store(w, emit_epilogue(e, s), emit_address(e, out, bytes), 0);
    emit_loop_end(e, &column, NULL, NULL);
    emit_loop_end(e, &row, NULL, NULL);
}

static void emit_outputs(Wino *w, LLVMValueRef filter_block)
{
    Emit *e = w->e;
    const ConvSpec *s = w->spec;
    bind_output(w, filter_block);
    EmitLoop slot = emit_loop_begin(e, emit_int(e, 0), w->count, 1, NULL, 0, false);
    LLVMValueRef tile = LLVMBuildNSWAdd(e->b, w->first, slot.counter, "");
    LLVMValueRef from = slot_address(w, w->products, filter_block, slot.counter);
    LLVMValueRef half[WINOGRAD_OUT][WINOGRAD_MOST], y[WINOGRAD_OUT][WINOGRAD_OUT];
    int points = w->w->points;
    for (int x = 0; x < points; x++) {
        LLVMValueRef column[WINOGRAD_MOST], out[WINOGRAD_OUT];
        for (int r = 0; r < points; r++) column[r] = load(w, from, (r * points + x) * w->w->product_stride);
        transform_product(w, column, out);
        for (int r = 0; r < WINOGRAD_OUT; r++) half[r][x] = out[r];
    }
    for (int r = 0; r < WINOGRAD_OUT; r++) transform_product(w, half[r], y[r]);
    LLVMValueRef tile_y = tile_field(w, tile, 1), tile_x = tile_field(w, tile, 2);
    LLVMValueRef bytes = LLVMBuildNSWAdd(e->b, emit_scaled(e, w->n, 4 * s->out_n),
                                         emit_scaled(e, filter_block, 4 * s->out_block), "");
    bytes = LLVMBuildNSWAdd(e->b, bytes, emit_scaled(e, tile_y, 4 * s->out_y), "");
    bytes = LLVMBuildNSWAdd(e->b, bytes, emit_scaled(e, tile_x, 4 * s->out_x), "");
    LLVMValueRef out =
        emit_address(e, e->buffers[2], LLVMBuildNSWAdd(e->b, bytes, emit_int(e, 4 * s->out_offset), ""));
    LLVMValueRef inside = LLVMBuildNSWAdd(e->b, tile_field(w, tile, 3), tile_field(w, tile, 4), "");
    LLVMValueRef is_whole = LLVMBuildICmp(e->b, LLVMIntEQ, inside, emit_int(e, 2 * WINOGRAD_OUT), "");
    LLVMBasicBlockRef whole = LLVMAppendBasicBlockInContext(e->context, e->function, "whole");
    LLVMBasicBlockRef cut = LLVMAppendBasicBlockInContext(e->context, e->function, "cut");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->context, e->function, "next_tile");
    LLVMBuildCondBr(e->b, is_whole, whole, cut);
    LLVMPositionBuilderAtEnd(e->b, whole);
    emit_whole_tile(w, y, tile_y, tile_x, out);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, cut);
    emit_cut_tile(w, y, tile, tile_y, tile_x, out);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
    emit_loop_end(e, &slot, NULL, NULL);
    e->lanes = 1;
    e->vector_var = NULL;
}

/* A loop of a phase over its blocks or points. */
static void emit_all(Wino *w, int64_t count, void (*phase)(Wino *w, LLVMValueRef index))
{
    EmitLoop loop = emit_loop_begin(w->e, emit_int(w->e, 0), emit_int(w->e, count), 1, NULL, 0, false);
    phase(w, loop.counter);
    emit_loop_end(w->e, &loop, NULL, NULL);
}

static void emit_fused_unit(Wino *w, LLVMValueRef unit)
{
    Emit *e = w->e;
    int64_t tiles = w->w->n_tiles, size = w->w->block_tiles, blocks = blocks_of(tiles, size);
    w->n = LLVMBuildUDiv(e->b, unit, emit_int(e, blocks), "");
    w->first = emit_scaled(e, LLVMBuildURem(e->b, unit, emit_int(e, blocks), ""), size);
    LLVMValueRef left = LLVMBuildNSWSub(e->b, emit_int(e, tiles), w->first, "");
    LLVMValueRef full = LLVMBuildICmp(e->b, LLVMIntSGT, left, emit_int(e, size), "");
    w->count = LLVMBuildSelect(e->b, full, emit_int(e, size), left, "");
    emit_all(w, w->w->in_blocks, emit_inputs);
    emit_all(w, winograd_products(w->w), emit_products);
    emit_all(w, w->spec->filter_blocks, emit_outputs);
}

/* One phase over all tiles; a unit is a picture's block or point. */
static void emit_phase_unit(Wino *w, LLVMValueRef unit)
{
    Emit *e = w->e;
    WinogradPhase phase = w->w->phase;
    int64_t per_picture = phase == WINOGRAD_INPUT     ? w->w->in_blocks
                          : phase == WINOGRAD_PRODUCT ? winograd_products(w->w)
                                                      : w->spec->filter_blocks;
    w->n = LLVMBuildUDiv(e->b, unit, emit_int(e, per_picture), "");
    LLVMValueRef index = LLVMBuildURem(e->b, unit, emit_int(e, per_picture), "");
    w->inputs =
        emit_address(e, e->buffers[3], emit_scaled(e, w->n, 4 * winograd_products(w->w) * w->w->in_stride));
    w->products = emit_address(e, e->buffers[4],
                               emit_scaled(e, w->n, 4 * winograd_products(w->w) * w->w->product_stride));
    w->first = emit_int(e, 0);
    w->count = emit_int(e, w->w->n_tiles);
    if (phase == WINOGRAD_INPUT)
        emit_inputs(w, index);
    else if (phase == WINOGRAD_PRODUCT)
        emit_products(w, index);
    else
        emit_outputs(w, index);
}

void emit_winograd_units(Emit *e)
{
    const ConvSpec *s = e->kernel->conv;
    Wino w = {.e = e, .spec = s, .w = s->winograd};
    assert(s->in_lanes == s->schedule.block);
    w.table = tile_table(&w);
    w.filter_of = filter_table(&w);
    int64_t inputs = 4 * winograd_products(w.w) * w.w->in_stride,
            products = 4 * winograd_products(w.w) * w.w->product_stride;
    w.inputs = e->scratch;
    w.products = emit_address(e, e->scratch, emit_int(e, inputs));
    w.spare = emit_address(e, e->scratch, emit_int(e, w.w->phase == WINOGRAD_FUSED ? inputs + products : 0));
    EmitLoop unit =
        emit_loop_begin(e, LLVMGetParam(e->function, 1), LLVMGetParam(e->function, 2), 1, NULL, 0, true);
    if (w.w->phase == WINOGRAD_FUSED)
        emit_fused_unit(&w, unit.counter);
    else
        emit_phase_unit(&w, unit.counter);
    emit_loop_end(e, &unit, NULL, NULL);
}
