/* The template of weight gradients: see filter_spec.h for what it computes.
 *
 * A work unit is a piece of the output's rows, some tiles of values, one tile of vectors:
 *
 *     for chunk of rows of the piece     its operands stay in the first-level cache
 *       for tile of values, for tap      sums start at zero, or go on from memory (chunks after the first)
 *         for row, for pixel             V loads, P broadcasts, P*V multiply-adds
 *         store sums
 *
 * Pixels are not unrolled: the one loop over them is the hot one.
 */
#include "cpu_conv.h"
#include "filter_spec.h"

#include <assert.h>

typedef struct Filter {
    Emit *e;
    const FilterSpec *spec;
    LLVMValueRef tiles, taps; /* tables of byte offsets: [one, many, sum] */
    /* Of the loops that are open */
    LLVMValueRef is_first, rows;  /* of the chunk */
    LLVMValueRef one, many, sums; /* at the chunk's first pixel; of the piece and the vectors' tile */
} Filter;

static LLVMValueRef plus(Emit *e, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildNSWAdd(e->b, x, y, "");
}

static void make_tables(Filter *f)
{
    Emit *e = f->e;
    const FilterSpec *s = f->spec;
    LLVMValueRef *values =
        ARENA_ARRAY(e->arena, LLVMValueRef, 3 * (s->n_tiles > s->n_taps ? s->n_tiles : s->n_taps));
    for (int64_t i = 0; i < s->n_tiles; i++) {
        values[3 * i] = emit_int(e, 4 * s->tiles[i].one);
        values[3 * i + 1] = emit_int(e, 4 * s->tiles[i].many);
        values[3 * i + 2] = emit_int(e, 4 * s->tiles[i].sum);
    }
    f->tiles = emit_table(e, "tiles", values, 3 * s->n_tiles);
    for (int64_t i = 0; i < s->n_taps; i++) {
        values[3 * i] = emit_int(e, 4 * s->taps[i].one);
        values[3 * i + 1] = emit_int(e, 4 * s->taps[i].many);
        values[3 * i + 2] = emit_int(e, 4 * s->taps[i].sum);
    }
    f->taps = emit_table(e, "taps", values, 3 * s->n_taps);
}

/* base + table[row][column] bytes */
static LLVMValueRef moved(Emit *e, LLVMValueRef base, LLVMValueRef table, LLVMValueRef row, int column)
{
    LLVMValueRef index = plus(e, emit_scaled(e, row, 3), emit_int(e, column));
    LLVMValueRef slot = LLVMBuildInBoundsGEP2(e->b, e->i64, table, &index, 1, "");
    return emit_address(e, base, LLVMBuildLoad2(e->b, e->i64, slot, ""));
}

static LLVMTypeRef vector_type(const Filter *f)
{
    return emit_vector_type(f->e->f32, f->spec->block);
}

static LLVMValueRef load_vector(const Filter *f, LLVMValueRef address)
{
    LLVMValueRef value = LLVMBuildLoad2(f->e->b, vector_type(f), address, "");
    LLVMSetAlignment(value, (unsigned)(4 * f->spec->block));
    return value;
}

static LLVMValueRef sum_address(const Filter *f, LLVMValueRef sums, int p, int v)
{
    return emit_offset(f->e, sums, p * f->spec->sum_value + v * f->spec->sum_vector);
}

/* Zero in the piece's first chunk, later what is in memory. */
static void start_sums(Filter *f, int values, LLVMValueRef sums, LLVMValueRef *sum)
{
    Emit *e = f->e;
    int vectors = f->spec->shape.vectors, count = values * vectors;
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef again = LLVMAppendBasicBlockInContext(e->context, e->function, "again");
    LLVMBasicBlockRef go = LLVMAppendBasicBlockInContext(e->context, e->function, "go");
    LLVMBuildCondBr(e->b, f->is_first, go, again);
    LLVMPositionBuilderAtEnd(e->b, again);
    LLVMValueRef before[64], zero = LLVMConstNull(vector_type(f));
    for (int i = 0; i < count; i++)
        before[i] = load_vector(f, sum_address(f, sums, i / vectors, i % vectors));
    LLVMBuildBr(e->b, go);
    LLVMPositionBuilderAtEnd(e->b, go);
    for (int i = 0; i < count; i++) {
        sum[i] = LLVMBuildPhi(e->b, vector_type(f), "");
        LLVMAddIncoming(sum[i], &zero, &from, 1);
        LLVMAddIncoming(sum[i], &before[i], &again, 1);
    }
}

/* The hot loop: a row of pixels. */
static void add_row(Filter *f, int values, LLVMValueRef one, LLVMValueRef many, LLVMValueRef *sum)
{
    Emit *e = f->e;
    const FilterSpec *s = f->spec;
    int vectors = s->shape.vectors, count = values * vectors;
    EmitLoop x = emit_loop_begin(e, emit_int(e, 0), emit_int(e, s->ow), 1, sum, count, false);
    LLVMValueRef value = emit_address(e, one, emit_scaled(e, x.counter, 4 * s->one.x));
    LLVMValueRef vector = emit_address(e, many, emit_scaled(e, x.counter, 4 * s->many.x));
    LLVMValueRef w[4];
    for (int v = 0; v < vectors; v++) w[v] = load_vector(f, emit_offset(e, vector, v * s->many.step));
    for (int p = 0; p < values; p++) {
        LLVMValueRef single = LLVMBuildLoad2(e->b, e->f32, emit_offset(e, value, p * s->one.step), "");
        LLVMSetAlignment(single, 4);
        LLVMValueRef spread = emit_splat(e, single, s->block);
        for (int v = 0; v < vectors; v++)
            sum[p * vectors + v] = emit_fma(e, spread, w[v], x.phi[p * vectors + v]);
    }
    emit_loop_end(e, &x, sum, sum);
}

/* A tile at a tap, over the chunk's rows. */
static void emit_tap(Filter *f, int values, LLVMValueRef one, LLVMValueRef many, LLVMValueRef sums)
{
    Emit *e = f->e;
    const FilterSpec *s = f->spec;
    int vectors = s->shape.vectors, count = values * vectors;
    LLVMValueRef sum[64];
    start_sums(f, values, sums, sum);
    EmitLoop y = emit_loop_begin(e, emit_int(e, 0), f->rows, 1, sum, count, false);
    for (int i = 0; i < count; i++) sum[i] = y.phi[i];
    add_row(f, values, emit_address(e, one, emit_scaled(e, y.counter, 4 * s->one.y)),
            emit_address(e, many, emit_scaled(e, y.counter, 4 * s->many.y)), sum);
    emit_loop_end(e, &y, sum, sum);
    for (int i = 0; i < count; i++) {
        LLVMValueRef store = LLVMBuildStore(e->b, sum[i], sum_address(f, sums, i / vectors, i % vectors));
        LLVMSetAlignment(store, (unsigned)(4 * s->block));
    }
}

typedef struct Range {
    LLVMValueRef first, end;
} Range;

/* Tiles of as many values each, at taps. Points are outermost: each has operands of its own. */
static void emit_tiles(Filter *f, int values, Range tiles, Range taps)
{
    Emit *e = f->e;
    bool by_points = f->spec->by_points;
    Range out = by_points ? taps : tiles, in = by_points ? tiles : taps;
    LLVMValueRef at_out[3], at_in[3], start[3] = {f->one, f->many, f->sums};
    EmitLoop outer = emit_loop_begin(e, out.first, out.end, 1, NULL, 0, true);
    for (int i = 0; i < 3; i++)
        at_out[i] = moved(e, start[i], by_points ? f->taps : f->tiles, outer.counter, i);
    EmitLoop inner = emit_loop_begin(e, in.first, in.end, 1, NULL, 0, false);
    for (int i = 0; i < 3; i++)
        at_in[i] = moved(e, at_out[i], by_points ? f->tiles : f->taps, inner.counter, i);
    emit_tap(f, values, at_in[0], at_in[1], at_in[2]);
    emit_loop_end(e, &inner, NULL, NULL);
    emit_loop_end(e, &outer, NULL, NULL);
}

static LLVMValueRef smaller(Emit *e, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, x, y, ""), x, y, "");
}

static LLVMValueRef larger(Emit *e, LLVMValueRef x, LLVMValueRef y)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, x, y, ""), x, y, "");
}

/* See filter_part. */
static LLVMValueRef part_start(Emit *e, int64_t count, LLVMValueRef part, int64_t parts)
{
    return LLVMBuildUDiv(e->b, emit_scaled(e, part, count), emit_int(e, parts), "");
}

static LLVMValueRef operand(Filter *f, int buffer, const FilterSide *side, LLVMValueRef n, LLVMValueRef y)
{
    Emit *e = f->e;
    LLVMValueRef bytes = plus(e, emit_scaled(e, n, 4 * side->n), emit_scaled(e, y, 4 * side->y));
    return emit_address(e, e->buffers[buffer], plus(e, bytes, emit_int(e, 4 * side->offset)));
}

static void emit_chunk(Filter *f, LLVMValueRef chunk, LLVMValueRef share, LLVMValueRef many_tile)
{
    Emit *e = f->e;
    const FilterSpec *s = f->spec;
    LLVMValueRef chunks = emit_int(e, filter_chunks(s));
    LLVMValueRef n = LLVMBuildUDiv(e->b, chunk, chunks, "");
    LLVMValueRef y = emit_scaled(e, LLVMBuildURem(e->b, chunk, chunks, ""), s->chunk_rows);
    LLVMValueRef left = LLVMBuildNSWSub(e->b, emit_int(e, s->oh), y, "");
    f->rows = smaller(e, left, emit_int(e, s->chunk_rows));
    f->one = operand(f, 0, &s->one, n, y);
    f->many = emit_address(e, operand(f, 1, &s->many, n, y),
                           emit_scaled(e, many_tile, 4 * s->shape.vectors * s->many.step));
    int64_t shared = s->by_points ? s->n_taps : s->n_tiles;
    const Range own = {part_start(e, shared, share, s->shares),
                       part_start(e, shared, plus(e, share, emit_int(e, 1)), s->shares)};
    LLVMValueRef zero = emit_int(e, 0), full = emit_int(e, s->n_full);
    if (s->by_points) {
        emit_tiles(f, s->shape.values, (Range){zero, full}, own);
        return;
    }
    const Range taps = {zero, emit_int(e, s->n_taps)};
    if (s->n_full > 0) emit_tiles(f, s->shape.values, (Range){own.first, smaller(e, own.end, full)}, taps);
    if (s->n_full < s->n_tiles)
        emit_tiles(f, s->tiles[s->n_full].values, (Range){larger(e, own.first, full), own.end}, taps);
}

void emit_filter_units(Emit *e)
{
    const FilterSpec *s = e->kernel->filter;
    Filter f = {.e = e, .spec = s};
    assert(s->shape.values * s->shape.vectors <= 64 && s->shape.vectors <= 4);
    make_tables(&f);
    EmitLoop unit =
        emit_loop_begin(e, LLVMGetParam(e->function, 1), LLVMGetParam(e->function, 2), 1, NULL, 0, true);
    LLVMValueRef many_tile = LLVMBuildURem(e->b, unit.counter, emit_int(e, s->many_tiles), "");
    LLVMValueRef rest = LLVMBuildUDiv(e->b, unit.counter, emit_int(e, s->many_tiles), "");
    LLVMValueRef share = LLVMBuildURem(e->b, rest, emit_int(e, s->shares), "");
    LLVMValueRef piece = LLVMBuildUDiv(e->b, rest, emit_int(e, s->shares), "");
    f.sums = emit_address(e, e->buffers[2],
                          plus(e, emit_scaled(e, piece, 4 * s->sum_piece),
                               emit_scaled(e, many_tile, 4 * s->shape.vectors * s->sum_vector)));
    int64_t chunks = s->n * filter_chunks(s);
    LLVMValueRef first = part_start(e, chunks, piece, s->pieces);
    LLVMValueRef end = part_start(e, chunks, plus(e, piece, emit_int(e, 1)), s->pieces);
    EmitLoop chunk = emit_loop_begin(e, first, end, 1, NULL, 0, false);
    f.is_first = LLVMBuildICmp(e->b, LLVMIntEQ, chunk.counter, first, "");
    emit_chunk(&f, chunk.counter, share, many_tile);
    emit_loop_end(e, &chunk, NULL, NULL);
    emit_loop_end(e, &unit, NULL, NULL);
}
