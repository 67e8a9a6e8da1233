/* The contraction template: one batch-reduce micro-kernel, a tile of P pixels x V filter vectors whose sums
 * stay in registers over one run-time loop through a constant table of taps (input unit, row, column). See
 * conv_spec.h for what it computes.
 *
 * A work unit is a block of output rows and a part of the filters of one picture:
 *
 *     for chunk of input units           the input's rows of a chunk stay in the second-level cache
 *       for tile of V filter blocks      a chunk's filters for a tile stay in the first
 *         for row, for tile of P pixels  sums start at zero, or go on from the output (chunks after the
 * first) for tap, for channel of the unit: P broadcasts, V loads, P*V multiply-adds store sums; in the last
 * chunk, the epilogue's value of them
 *
 * Only the channels of a unit are unrolled: unrolling taps makes the code generator merge equal broadcasts
 * and spill.
 */
#include "cpu_conv.h"
#include "layout.h"

#include <assert.h>

typedef struct Conv {
    Emit *e;
    const ConvSpec *spec;
    int chunks, taps_per_unit;
    LLVMValueRef taps; /* the table: byte offsets of a chunk's taps, as i64 */
    /* Of the loops that are open */
    LLVMValueRef n, y, chunk, tile, n_taps;
    LLVMValueRef
        in; /* the picture's input at row y, chunk's first channel, tap displacement (0,0), column 0 */
    LLVMValueRef filters; /* of this tile and chunk */
    LLVMValueRef out;     /* at row y, the tile's first block, column 0 */
} Conv;

/* The offsets of a full chunk, unit by unit, row by row; a shorter last chunk uses the beginning. */
static LLVMValueRef tap_table(Conv *c)
{
    const ConvSpec *s = c->spec;
    Emit *e = c->e;
    int64_t units = s->schedule.chunk_units < s->units ? s->schedule.chunk_units : s->units;
    int64_t count = units * c->taps_per_unit, n = 0;
    LLVMValueRef *offset = ARENA_ARRAY(e->arena, LLVMValueRef, count);
    for (int64_t u = 0; u < units; u++) {
        int64_t channel = u * s->schedule.unit;
        int64_t base = channel / s->in_lanes * s->in_block + channel % s->in_lanes * s->in_lane;
        for (int y = 0; y < s->ny; y++)
            for (int x = 0; x < s->nx; x++) {
                int64_t dy = s->dy + y * s->dy_step, dx = s->dx + x * s->dx_step;
                offset[n++] = emit_int(e, 4 * (base + dy * s->in_y + dx * s->in_x));
            }
    }
    return emit_table(e, "taps", offset, count);
}

static LLVMTypeRef vector_type(Conv *c)
{
    return emit_vector_type(c->e->f32, c->spec->schedule.block);
}

static LLVMValueRef load_vector(Conv *c, LLVMValueRef address)
{
    LLVMValueRef value = LLVMBuildLoad2(c->e->b, vector_type(c), address, "");
    LLVMSetAlignment(value, (unsigned)(4 * c->spec->schedule.block));
    return value;
}

/* Adds all taps of the chunk to the sums: the hot loop. */
static void emit_taps(Conv *c, int pixels, LLVMValueRef in, LLVMValueRef *sum)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    int vectors = s->schedule.vectors, block = s->schedule.block, unit = s->schedule.unit;
    LLVMValueRef init[64];
    for (int i = 0; i < pixels * vectors; i++) init[i] = sum[i];
    EmitLoop loop = emit_loop_begin(e, emit_int(e, 0), c->n_taps, 1, init, pixels * vectors, false);
    for (int i = 0; i < pixels * vectors; i++) sum[i] = loop.phi[i];
    LLVMValueRef slot = LLVMBuildInBoundsGEP2(e->b, e->i64, c->taps, &loop.counter, 1, "");
    LLVMValueRef pixel = emit_address(e, in, LLVMBuildLoad2(e->b, e->i64, slot, ""));
    LLVMValueRef filter =
        emit_address(e, c->filters, emit_scaled(e, loop.counter, 4LL * unit * vectors * block));
    for (int k = 0; k < unit; k++) {
        LLVMValueRef w[8];
        for (int v = 0; v < vectors; v++)
            w[v] = load_vector(c, emit_offset(e, filter, (int64_t)(k * vectors + v) * block));
        for (int p = 0; p < pixels; p++) {
            LLVMValueRef one = LLVMBuildLoad2(
                e->b, e->f32, emit_offset(e, pixel, p * s->stride_x * s->in_x + k * s->in_lane), "");
            LLVMSetAlignment(one, 4);
            LLVMValueRef x = emit_splat(e, one, block);
            for (int v = 0; v < vectors; v++)
                sum[p * vectors + v] = emit_fma(e, x, w[v], sum[p * vectors + v]);
        }
    }
    emit_loop_end(e, &loop, sum, sum);
}

/* Sums start at zero in the first chunk, and from the output afterwards. */
static void emit_start(Conv *c, int pixels, LLVMValueRef out, LLVMValueRef *sum)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    int vectors = s->schedule.vectors, count = pixels * vectors;
    LLVMValueRef zero = LLVMConstNull(vector_type(c));
    for (int i = 0; i < count; i++) sum[i] = zero;
    if (c->chunks == 1) return;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef again = LLVMAppendBasicBlockInContext(e->context, e->function, "again");
    LLVMBasicBlockRef go = LLVMAppendBasicBlockInContext(e->context, e->function, "go");
    LLVMValueRef first = LLVMBuildICmp(e->b, LLVMIntEQ, c->chunk, emit_int(e, 0), "");
    LLVMBuildCondBr(e->b, first, go, again);
    LLVMPositionBuilderAtEnd(e->b, again);
    LLVMValueRef before[64];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            before[p * vectors + v] = load_vector(c, emit_offset(e, out, p * s->out_x + v * s->out_block));
    LLVMBuildBr(e->b, go);
    LLVMPositionBuilderAtEnd(e->b, go);
    for (int i = 0; i < count; i++) {
        sum[i] = LLVMBuildPhi(e->b, vector_type(c), "");
        LLVMAddIncoming(sum[i], &zero, &from, 1);
        LLVMAddIncoming(sum[i], &before[i], &again, 1);
    }
}

static void store_vector(Conv *c, LLVMValueRef value, LLVMValueRef address)
{
    LLVMSetAlignment(LLVMBuildStore(c->e->b, value, address), (unsigned)(4 * c->spec->schedule.block));
}

LLVMValueRef emit_epilogue(Emit *e, const ConvSpec *spec)
{
    for (const Stmt *let = spec->lets; let && let->kind == STMT_LET; let = let->next)
        emit_bind(e, let->var, emit_expr(e, let->value), 0);
    return emit_expr_vector(e, spec->value);
}

/* The epilogue's value of every sum. Each is stored at once: loads of the next can then not be gathered in
 * front of it, where they would need registers that the sums occupy. */
static void emit_values(Conv *c, int pixels, LLVMValueRef x0, LLVMValueRef out, LLVMValueRef *sum)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    int vectors = s->schedule.vectors;
    e->lanes = s->schedule.block;
    e->vector_var = s->var_lane;
    emit_bind(e, s->var_n, c->n, 0);
    emit_bind(e, s->var_y, c->y, 0);
    emit_bind(e, s->var_lane, NULL, 0);
    LLVMValueRef first_block = emit_scaled(e, c->tile, vectors);
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++) {
            /* The sums of an index's variable parts stay valid: only addends change. */
            int kept = e->n_cache;
            emit_bind(e, s->var_x, x0, p);
            emit_bind(e, s->var_cb, first_block, v);
            emit_bind(e, s->var_acc, sum[p * vectors + v], 0);
            e->n_cache = kept;
            store_vector(c, emit_epilogue(e, s), emit_offset(e, out, p * s->out_x + v * s->out_block));
        }
    e->lanes = 1;
    e->vector_var = NULL;
}

static void store_sums(Conv *c, int pixels, LLVMValueRef out, LLVMValueRef *sum)
{
    const ConvSpec *s = c->spec;
    int vectors = s->schedule.vectors;
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++)
            store_vector(c, sum[p * vectors + v], emit_offset(c->e, out, p * s->out_x + v * s->out_block));
}

static void emit_end(Conv *c, int pixels, LLVMValueRef x0, LLVMValueRef out, LLVMValueRef *sum)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    if (!s->value) {
        store_sums(c, pixels, out, sum);
        return;
    }
    if (c->chunks == 1) {
        emit_values(c, pixels, x0, out, sum);
        return;
    }
    LLVMBasicBlockRef last = LLVMAppendBasicBlockInContext(e->context, e->function, "last");
    LLVMBasicBlockRef more = LLVMAppendBasicBlockInContext(e->context, e->function, "more");
    LLVMBasicBlockRef done = LLVMAppendBasicBlockInContext(e->context, e->function, "tile_done");
    LLVMValueRef is_last = LLVMBuildICmp(e->b, LLVMIntEQ, c->chunk, emit_int(e, c->chunks - 1), "");
    LLVMBuildCondBr(e->b, is_last, last, more);
    LLVMPositionBuilderAtEnd(e->b, more);
    store_sums(c, pixels, out, sum);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, last);
    emit_values(c, pixels, x0, out, sum);
    LLVMBuildBr(e->b, done);
    LLVMPositionBuilderAtEnd(e->b, done);
}

static void emit_tile(Conv *c, int pixels, LLVMValueRef x0)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    LLVMValueRef sum[64];
    LLVMValueRef in = emit_address(e, c->in, emit_scaled(e, x0, 4 * s->stride_x * s->in_x));
    LLVMValueRef out = emit_address(e, c->out, emit_scaled(e, x0, 4 * s->out_x));
    emit_start(c, pixels, out, sum);
    if (c->taps_per_unit > 0) emit_taps(c, pixels, in, sum);
    emit_end(c, pixels, x0, out, sum);
}

static void emit_row(Conv *c)
{
    Emit *e = c->e;
    int64_t pixels = c->spec->schedule.pixels, width = c->spec->ow, whole = width / pixels * pixels;
    if (whole > 0) {
        EmitLoop x = emit_loop_begin(e, emit_int(e, 0), emit_int(e, whole), pixels, NULL, 0, false);
        emit_tile(c, (int)pixels, x.counter);
        emit_loop_end(e, &x, NULL, NULL);
    }
    if (whole < width) emit_tile(c, (int)(width - whole), emit_int(e, whole));
}

/* Where the tile's input starts: the chunk's first channel, after those of other groups. */
static LLVMValueRef input_start(Conv *c)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    LLVMValueRef bytes = emit_scaled(e, c->n, 4 * s->in_n);
    int64_t chunk_channels = (int64_t)s->schedule.chunk_units * s->schedule.unit;
    if (c->chunks > 1) {
        assert(chunk_channels % s->in_lanes == 0);
        LLVMValueRef by_chunk = emit_scaled(e, c->chunk, 4 * (chunk_channels / s->in_lanes * s->in_block));
        bytes = LLVMBuildNSWAdd(e->b, bytes, by_chunk, "");
    }
    if (s->group_filters) {
        LLVMValueRef filter = emit_scaled(e, c->tile, (int64_t)s->schedule.vectors * s->schedule.block);
        LLVMValueRef group = LLVMBuildUDiv(e->b, filter, emit_int(e, s->group_filters), "");
        LLVMValueRef by_group =
            emit_scaled(e, group, 4 * (s->units * s->schedule.unit / s->in_lanes * s->in_block));
        bytes = LLVMBuildNSWAdd(e->b, bytes, by_group, "");
    }
    bytes = LLVMBuildNSWAdd(e->b, bytes, emit_int(e, 4 * s->in_offset), "");
    return emit_address(e, e->buffers[0], bytes);
}

/* Of this tile and chunk: the taps of a tile's earlier chunks lie before it. */
static LLVMValueRef filters_start(Conv *c)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    int64_t unit_floats =
        (int64_t)c->taps_per_unit * s->schedule.unit * s->schedule.vectors * s->schedule.block;
    LLVMValueRef bytes = emit_scaled(e, c->tile, 4 * s->units * unit_floats);
    LLVMValueRef by_chunk = emit_scaled(e, c->chunk, 4 * s->schedule.chunk_units * unit_floats);
    return emit_address(e, e->buffers[1], LLVMBuildNSWAdd(e->b, bytes, by_chunk, ""));
}

static void emit_rows(Conv *c, LLVMValueRef from, LLVMValueRef to)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    LLVMValueRef in = input_start(c);
    c->filters = filters_start(c);
    LLVMValueRef bytes = LLVMBuildNSWAdd(e->b, emit_scaled(e, c->n, 4 * s->out_n),
                                         emit_scaled(e, c->tile, 4 * s->out_block * s->schedule.vectors), "");
    bytes = LLVMBuildNSWAdd(e->b, bytes, emit_int(e, 4 * s->out_offset), "");
    LLVMValueRef out = emit_address(e, e->buffers[2], bytes);
    EmitLoop y = emit_loop_begin(e, from, to, 1, NULL, 0, false);
    c->y = y.counter;
    c->in = emit_address(e, in, emit_scaled(e, c->y, 4 * s->stride_y * s->in_y));
    c->out = emit_address(e, out, emit_scaled(e, c->y, 4 * s->out_y));
    emit_row(c);
    emit_loop_end(e, &y, NULL, NULL);
}

/* Taps of a chunk: all of a full one, what is left in the last. */
static LLVMValueRef count_taps(Conv *c)
{
    Emit *e = c->e;
    const ConvSpec *s = c->spec;
    int64_t full = s->schedule.chunk_units, left = s->units - (c->chunks - 1) * full;
    if (left == full || c->chunks == 1)
        return emit_int(e, (c->chunks == 1 ? s->units : full) * c->taps_per_unit);
    LLVMValueRef is_last = LLVMBuildICmp(e->b, LLVMIntEQ, c->chunk, emit_int(e, c->chunks - 1), "");
    return LLVMBuildSelect(e->b, is_last, emit_int(e, left * c->taps_per_unit),
                           emit_int(e, full * c->taps_per_unit), "");
}

/* lo + (hi - lo) * index / parts */
static LLVMValueRef share(Emit *e, int64_t count, LLVMValueRef index, int64_t parts)
{
    return LLVMBuildUDiv(e->b, emit_scaled(e, index, count), emit_int(e, parts), "");
}

void emit_conv_product(Emit *e, const ConvSpec *spec, LLVMValueRef in, LLVMValueRef filters, LLVMValueRef out)
{
    Conv c = {
        .e = e, .spec = spec, .chunks = 1, .taps_per_unit = 1, .in = in, .filters = filters, .out = out};
    c.taps = tap_table(&c);
    c.n_taps = emit_int(e, spec->units);
    emit_row(&c);
}

void emit_conv_units(Emit *e)
{
    const ConvSpec *s = e->kernel->conv;
    const ConvSchedule *schedule = &s->schedule;
    Conv c = {.e = e, .spec = s, .taps_per_unit = s->ny * s->nx};
    assert(s->filter_blocks % schedule->vectors == 0 && schedule->vectors <= 8);
    c.chunks = c.taps_per_unit ? (int)blocks_of(s->units, schedule->chunk_units) : 1;
    c.taps = c.taps_per_unit ? tap_table(&c) : NULL;
    int64_t row_blocks = blocks_of(s->oh, schedule->rows), tiles = s->filter_blocks / schedule->vectors;

    EmitLoop unit =
        emit_loop_begin(e, LLVMGetParam(e->function, 1), LLVMGetParam(e->function, 2), 1, NULL, 0, true);
    LLVMValueRef row_block = LLVMBuildURem(e->b, unit.counter, emit_int(e, row_blocks), "");
    LLVMValueRef rest = LLVMBuildUDiv(e->b, unit.counter, emit_int(e, row_blocks), "");
    LLVMValueRef part = LLVMBuildURem(e->b, rest, emit_int(e, schedule->filter_parts), "");
    c.n = LLVMBuildUDiv(e->b, rest, emit_int(e, schedule->filter_parts), "");
    LLVMValueRef from = emit_scaled(e, row_block, schedule->rows);
    LLVMValueRef to = LLVMBuildNSWAdd(e->b, from, emit_int(e, schedule->rows), "");
    LLVMValueRef below = LLVMBuildICmp(e->b, LLVMIntSLT, to, emit_int(e, s->oh), "");
    to = LLVMBuildSelect(e->b, below, to, emit_int(e, s->oh), "");
    LLVMValueRef first = share(e, tiles, part, schedule->filter_parts);
    LLVMValueRef next = LLVMBuildNSWAdd(e->b, part, emit_int(e, 1), "");
    LLVMValueRef end = share(e, tiles, next, schedule->filter_parts);

    EmitLoop chunk = emit_loop_begin(e, emit_int(e, 0), emit_int(e, c.chunks), 1, NULL, 0, false);
    c.chunk = chunk.counter;
    c.n_taps = count_taps(&c);
    EmitLoop tile = emit_loop_begin(e, first, end, 1, NULL, 0, true);
    c.tile = tile.counter;
    emit_rows(&c, from, to);
    emit_loop_end(e, &tile, NULL, NULL);
    emit_loop_end(e, &chunk, NULL, NULL);
    emit_loop_end(e, &unit, NULL, NULL);
}
