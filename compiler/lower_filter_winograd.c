/* Weight gradients by minimal filtering: see filter_spec.h. Four steps with memory of all tiles between them:
 * inputs to points, gradients to points, the template's sums over tiles, and filters from their points. */
#include "filter_spec.h"
#include "lower.h"

#include <assert.h>

/* Transformed operands lie as [picture][point][block][tile][lane]. */
typedef struct Points {
    Storage *storage;
    int64_t n, point, block; /* strides */
} Points;

typedef struct FilterTiles {
    StepList *list;
    const Fusion *fusion;
    const Group *group;
    const Node *node;
    const Place *x, *gy;
    ConvSpec spec; /* of the inputs' transform */
    Points inputs, gradients;
} FilterTiles;

static Points make_points(const FilterTiles *t, int64_t channels)
{
    const Winograd *w = t->spec.winograd;
    int64_t lanes = t->spec.schedule.block, blocks = blocks_of(channels, lanes), all = winograd_products(w);
    Points p = {.block = w->n_tiles * lanes};
    p.point = blocks * p.block + lanes; /* off powers of two */
    p.n = all * p.point;
    p.storage = layout_storage(t->fusion->layout, STORAGE_ARENA, F32, t->spec.n * p.n);
    return p;
}

/* The convolution whose weight it is, as far as its inputs' transform has to know. */
static void describe_inputs(FilterTiles *t)
{
    const int64_t *out = t->node->in[1]->type.dim;
    Arena *arena = t->list->arena;
    ConvSpec *s = &t->spec;
    *s = (ConvSpec){.n = out[0],
                    .oh = out[2],
                    .ow = out[3],
                    .filter_blocks = 1,
                    .stride_y = 1,
                    .stride_x = 1,
                    .in_offset = t->x->offset,
                    .in_n = t->x->stride_n,
                    .in_block = t->x->stride_c,
                    .in_y = t->x->stride_y,
                    .in_x = t->x->stride_x,
                    .in_lane = 1,
                    .in_lanes = t->x->block,
                    .schedule = {.block = t->x->block, .pixels = 1}};
    Winograd *w = winograd_plan(arena, t->node, s);
    w->phase = WINOGRAD_INPUT;
    w->block_tiles = w->n_tiles;
    s->winograd = w;
    t->inputs = make_points(t, t->node->in[0]->type.dim[1]);
    t->gradients = make_points(t, out[1]);
    w->in_stride = t->inputs.point;
    w->product_stride = 0;
}

static Lowering begin(const FilterTiles *t, LoopBuilder *b, Step *step, const char *what)
{
    *step = lower_new_step(t->fusion, t->group);
    *b = loop_builder(t->list->arena,
                      arena_printf(t->list->arena, "conv2d_grad_filter 3x3 winograd %s", what));
    step->flops = 0;
    return lower_begin(t->list, t->fusion, t->group, b, step);
}

static void lower_inputs(const FilterTiles *t)
{
    Step step;
    LoopBuilder b;
    Lowering l = begin(t, &b, &step, "inputs");
    ConvSpec *spec = ARENA_NEW(t->list->arena, ConvSpec);
    *spec = t->spec;
    lower_fixed_buffer(&l, t->x->storage, BUFFER_IN);
    for (int i = 1; i < 5; i++) lower_fixed_buffer(&l, t->inputs.storage, BUFFER_OUT); /* 3 is written */
    Kernel *kernel = loop_finish(&b);
    kernel->units = spec->n * spec->winograd->in_blocks;
    kernel->conv = spec;
    lower_finish_step(t->list, &step, kernel);
}

/* A g for one column of 4: the points 0, +-1/sqrt 2, +-sqrt 2 and infinity. */
static void spread(LoopBuilder *b, Expr *const g[WINOGRAD_OUT], Expr *out[WINOGRAD_FILTERS])
{
    static const double points[2] = {0.70710678118654752440, 1.41421356237309504880};
    out[0] = g[0];
    for (int i = 0; i < 2; i++) {
        double a = points[i];
        Expr *even = expr_op3(b, EXPR_FMA, g[2], expr_float(b, a * a), g[0]);
        Expr *odd = expr_op2(b, EXPR_MUL, g[1], expr_float(b, a));
        odd = expr_op3(b, EXPR_FMA, g[3], expr_float(b, a * a * a), odd);
        even = loop_let(b, "even", even);
        odd = loop_let(b, "odd", odd);
        out[1 + 2 * i] = loop_let(b, "h", expr_op2(b, EXPR_ADD, even, odd));
        out[2 + 2 * i] = loop_let(b, "h", expr_op2(b, EXPR_SUB, even, odd));
    }
    out[5] = g[3];
}

/* Three integers of a tile: where its first pixel lies, its rows and columns inside the picture. */
static int tile_table(const FilterTiles *t, Lowering *l)
{
    const Winograd *w = t->spec.winograd;
    int32_t *fields = ARENA_ARRAY(l->arena, int32_t, 3 * w->n_tiles);
    for (int64_t i = 0; i < w->n_tiles; i++) {
        const WinogradTile *tile = &w->tiles[i];
        fields[3 * i] = (int32_t)(tile->y * t->gy->stride_y + tile->x * t->gy->stride_x);
        fields[3 * i + 1] = (int32_t)tile->rows;
        fields[3 * i + 2] = (int32_t)tile->cols;
    }
    return lower_table(l, "tiles", I32, fields, 3 * w->n_tiles);
}

static void lower_gradients(const FilterTiles *t)
{
    Step step;
    LoopBuilder b;
    Lowering l = begin(t, &b, &step, "gradients");
    const Winograd *w = t->spec.winograd;
    int64_t lanes = t->gy->block, d = w->dilation, blocks = blocks_of(t->gy->view.c, lanes);
    int from = lower_storage(&l, t->gy->storage, BUFFER_IN), table = tile_table(t, &l);
    int to = lower_storage(&l, t->gradients.storage, BUFFER_OUT);
    Expr *n = loop_open_n(&b, LOOP_PARALLEL, "n", t->spec.n),
         *cb = loop_open_n(&b, LOOP_PARALLEL, "cb", blocks);
    Expr *tile = loop_open_n(&b, LOOP_SERIAL, "t", w->n_tiles), *field[3];
    for (int i = 0; i < 3; i++)
        field[i] = loop_let(&b, "tile",
                            expr_load(&b, table, expr_add(&b, expr_scale(&b, tile, 3), expr_int(&b, i))));
    Expr *lane = loop_open_n(&b, LOOP_VECTOR, "l", lanes);
    Expr *first = expr_add(&b, expr_scale(&b, n, t->gy->stride_n), expr_scale(&b, cb, t->gy->stride_c));
    first = expr_add(&b, expr_add(&b, first, field[0]), expr_add(&b, lane, expr_int(&b, t->gy->offset)));
    Expr *half[WINOGRAD_OUT][WINOGRAD_FILTERS];
    for (int x = 0; x < WINOGRAD_OUT; x++) {
        Expr *column[WINOGRAD_OUT];
        for (int y = 0; y < WINOGRAD_OUT; y++) {
            Expr *inside = expr_op2(&b, EXPR_AND, expr_op2(&b, EXPR_GT, field[1], expr_int(&b, y)),
                                    expr_op2(&b, EXPR_GT, field[2], expr_int(&b, x)));
            Expr *pixel = expr_add(&b, first, expr_int(&b, d * (y * t->gy->stride_y + x * t->gy->stride_x)));
            column[y] = loop_let(&b, "g", expr_load_if(&b, from, pixel, inside));
        }
        spread(&b, column, half[x]);
    }
    Expr *slot = expr_add(&b, expr_scale(&b, n, t->gradients.n), expr_scale(&b, cb, t->gradients.block));
    slot = expr_add(&b, expr_add(&b, slot, expr_scale(&b, tile, lanes)), lane);
    for (int y = 0; y < WINOGRAD_FILTERS; y++) {
        Expr *row[WINOGRAD_OUT], *out[WINOGRAD_FILTERS];
        for (int x = 0; x < WINOGRAD_OUT; x++) row[x] = half[x][y];
        spread(&b, row, out);
        for (int x = 0; x < WINOGRAD_FILTERS; x++)
            loop_store(&b, to,
                       expr_add(&b, slot, expr_int(&b, (y * WINOGRAD_FILTERS + x) * t->gradients.point)),
                       out[x]);
    }
    while (b.n_open) loop_close(&b, NULL);
    lower_finish_step(t->list, &step, loop_finish(&b));
}

static FilterSide side_of(const Points *p, int64_t lanes, int64_t step)
{
    return (FilterSide){.n = p->n, .x = lanes, .step = step};
}

/* The template's sums: a tile is a pixel, a point a tap. */
static FilterSpec *describe_products(const FilterTiles *t)
{
    Arena *arena = t->list->arena;
    const int64_t *dim = t->node->type.dim;
    const Winograd *w = t->spec.winograd;
    FilterSpec *s = ARENA_NEW(arena, FilterSpec);
    *s = (FilterSpec){.n = t->spec.n, .oh = 1, .ow = w->n_tiles, .block = t->gy->block, .by_filters = true};
    int64_t blocks = blocks_of(dim[1], s->block);
    s->shape = filter_shape(dim[0], 1, blocks, s->block, false, t->fusion->layout->target);
    s->one = side_of(&t->gradients, s->block, 1);
    s->many = side_of(&t->inputs, s->block, t->inputs.block);
    s->many_tiles = blocks / s->shape.vectors;
    s->n_taps = winograd_products(w);
    FilterTap *taps = ARENA_ARRAY(arena, FilterTap, s->n_taps);
    for (int64_t i = 0; i < s->n_taps; i++)
        taps[i] = (FilterTap){i * t->gradients.point, i * t->inputs.point, i * s->block};
    s->taps = taps;
    s->sum_vector = s->n_taps * s->block;
    s->sum_value = blocks * s->sum_vector;
    filter_set_tiles(arena, s, dim[0], t->gradients.block, dim[0], 0);
    s->chunk_rows = s->pieces = 1;
    s->shares = s->n_taps;
    s->by_points = true;
    return s;
}

/* sum of factor[p][k] * value[p] over the points */
static Expr *gather(LoopBuilder *b, int k, Expr *const value[WINOGRAD_FILTERS])
{
    Expr *sum = NULL;
    for (int p = 0; p < WINOGRAD_FILTERS; p++) {
        double factor = winograd_filter[1][p][k];
        if (factor == 0) continue;
        sum = sum ? expr_op3(b, EXPR_FMA, value[p], expr_float(b, factor), sum)
                  : expr_op2(b, EXPR_MUL, value[p], expr_float(b, factor));
    }
    return loop_let(b, "w", sum);
}

/* G^T m G of every filter, and what becomes of it. */
static void lower_filters(const FilterTiles *t, const FilterSpec *s, Storage *sums)
{
    Step step;
    LoopBuilder b;
    Lowering l = begin(t, &b, &step, "filters");
    const Node *root = t->group->root;
    const Place *place = layout_place(t->fusion->layout, root);
    int from = lower_storage(&l, sums, BUFFER_IN), to = lower_storage(&l, place->storage, BUFFER_OUT);
    Coord at = {.block = s->block};
    at.n = loop_open_n(&b, LOOP_PARALLEL, "n", t->node->type.dim[0]);
    at.cb = loop_open_n(&b, LOOP_SERIAL, "cb", blocks_of(t->node->type.dim[1], s->block));
    at.lane = loop_open_n(&b, LOOP_VECTOR, "l", s->block);
    Expr *first = expr_add(&b, expr_scale(&b, at.n, s->sum_value), expr_scale(&b, at.cb, s->sum_vector));
    first = expr_add(&b, first, at.lane);
    Expr *half[3][WINOGRAD_FILTERS];
    for (int x = 0; x < WINOGRAD_FILTERS; x++) {
        Expr *column[WINOGRAD_FILTERS];
        for (int y = 0; y < WINOGRAD_FILTERS; y++) {
            Expr *index = expr_add(&b, first, expr_int(&b, (y * WINOGRAD_FILTERS + x) * s->block));
            column[y] = loop_let(&b, "m", expr_load(&b, from, index));
        }
        for (int k = 0; k < 3; k++) half[k][x] = gather(&b, k, column);
    }
    for (int i = 0; i < 9; i++) {
        at.y = expr_int(&b, i / 3);
        at.x = expr_int(&b, i % 3);
        l.accumulator = gather(&b, i % 3, half[i / 3]);
        Expr *value = lower_spare_lanes(&l, root, place, &at, lower_value(&l, root, &at));
        loop_store(&b, to, place_index(&l, place, &at), value);
    }
    while (b.n_open) loop_close(&b, NULL);
    lower_finish_step(t->list, &step, loop_finish(&b));
}

void lower_filter_winograd(StepList *list, const Fusion *fusion, const Group *group)
{
    const Node *node = group->anchor;
    FilterTiles t = {.list = list, .fusion = fusion, .group = group, .node = node};
    t.x = layout_place(fusion->layout, node->in[0]);
    t.gy = layout_place(fusion->layout, node->in[1]);
    assert(t.x->block == t.gy->block && t.gy->block == fusion->layout->target->vector);
    describe_inputs(&t);
    const FilterSpec *s = describe_products(&t);
    Storage *sums = layout_storage(fusion->layout, STORAGE_ARENA, F32, s->sum_piece);
    Storage *operands[3] = {t.gradients.storage, t.inputs.storage, sums};
    lower_inputs(&t);
    lower_gradients(&t);
    lower_filter_sums(list, fusion, group, s, operands, " winograd products");
    lower_filters(&t, s, sums);
}
