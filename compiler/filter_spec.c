/* How weight gradients are cut. See filter_spec.h. */
#include "filter_spec.h"
#include "layout.h"
#include "op.h"

#include <assert.h>

enum {
    FEW_CHANNELS = 4,    /* fill no block */
    MOST_LANES = 16,     /* of any target */
    WANTED_UNITS = 16,   /* so that threads share evenly */
    LEAST_VALUES = 64,   /* of a share, before pixels are cut into pieces instead */
    MOST_SUMS = 4 << 20, /* bytes that all pieces' sums may take */
    LATENCY = 8,         /* multiply-adds that must be under way */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

bool filter_by_taps(const Node *node)
{
    return node_int(node, A_GROUPS) == 1 && node->in[0]->type.dim[1] <= FEW_CHANNELS;
}

bool filter_uses_template(const Node *node)
{
    if (node->op != OP_CONV2D_GRAD_FILTER) return false;
    int64_t groups = node_int(node, A_GROUPS), filters = node->type.dim[0] / groups;
    return groups == 1 || (node->type.dim[1] % MOST_LANES == 0 && filters % MOST_LANES == 0);
}

/* Time of a tile for a pixel: multiply-adds, and loads, of which four take as long. */
static double tile_cost(int64_t values, int64_t vectors)
{
    return (double)max64(values * vectors, LATENCY) + 0.25 * (double)(values + vectors);
}

/* P*V sums, V vectors and one value, unless that is an operand, stay in registers. Values of a run of filters
 * are of one block, so P divides it; a shorter tile at a run's end costs what it does. */
FilterShape filter_shape(int64_t run, int64_t runs, int64_t blocks, int block, bool by_taps,
                         const Target *target)
{
    FilterShape best = {.cost = 1e300};
    int room = target->registers - (target->broadcast_operand ? 1 : 2);
    for (int vectors = 1; vectors <= 4; vectors++) {
        if (blocks % vectors) continue;
        for (int values = 1; values * vectors + vectors <= room && values <= block; values++) {
            if (by_taps ? values > run : block % values != 0) continue;
            int64_t whole = by_taps ? run / values : blocks_of(run, values),
                    rest = by_taps ? run % values : 0;
            double cost = (double)whole * tile_cost(values, vectors) + (rest ? tile_cost(rest, vectors) : 0);
            cost *= (double)(runs * (blocks / vectors));
            if (cost < best.cost * 0.999) best = (FilterShape){values, vectors, cost};
        }
    }
    return best;
}

int64_t filter_chunks(const FilterSpec *spec)
{
    return blocks_of(spec->oh, spec->chunk_rows);
}

void filter_set_tiles(Arena *arena, FilterSpec *s, int64_t count, int64_t stride_c, int64_t group,
                      int64_t group_step)
{
    s->n_tiles = s->n_full = blocks_of(count, s->shape.values);
    FilterTile *tiles = ARENA_ARRAY(arena, FilterTile, s->n_tiles);
    for (int64_t i = 0; i < s->n_tiles; i++) {
        int64_t first = i * s->shape.values;
        tiles[i] = (FilterTile){.one = first / s->block * stride_c + first % s->block,
                                .many = first / group * group_step,
                                .sum = first * s->sum_value,
                                .values = s->shape.values};
    }
    s->tiles = tiles;
    s->sum_piece = s->n_tiles * s->shape.values * s->sum_value;
}

/* A chunk's vectors and values stay in the first-level cache over all taps and tiles; the sums of a share in
 * the second. Where that makes too few units, shares get smaller, and then pixels are cut into pieces. */
void filter_cut(FilterSpec *s, const Target *target)
{
    int64_t row_bytes = s->ow * 4 * s->block * (s->shape.vectors + 1);
    s->chunk_rows = max64(1, min64(s->oh, target->l1_bytes * 3 / 4 / row_bytes));
    int64_t tile_bytes = 4LL * s->shape.values * s->shape.vectors * s->block * s->n_taps;
    int64_t tiles = max64(1, target->l2_bytes / 4 / tile_bytes);
    s->shares = blocks_of(s->n_tiles, tiles);
    int64_t apart = max64(1, s->n_tiles * s->shape.values / LEAST_VALUES);
    s->shares = max64(s->shares, min64(apart, blocks_of(WANTED_UNITS, s->many_tiles)));
    s->shares = min64(s->shares, s->n_tiles);
    int64_t units = s->shares * s->many_tiles;
    s->pieces = min64(blocks_of(WANTED_UNITS, units), s->n * filter_chunks(s));
    s->pieces = max64(1, min64(s->pieces, MOST_SUMS / (4 * s->sum_piece)));
}

/* Equal tables have equal sums (FNV-1a): a line of text need not hold them. */
static uint64_t hash(uint64_t sum, int64_t value)
{
    for (int i = 0; i < 8; i++) sum = (sum ^ ((uint64_t)value >> 8 * i & 0xff)) * 0x100000001b3;
    return sum;
}

static uint64_t hash_tables(const FilterSpec *s)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (int64_t i = 0; i < s->n_tiles; i++) {
        const FilterTile *t = &s->tiles[i];
        sum = hash(hash(hash(hash(sum, t->one), t->many), t->sum), t->values);
    }
    for (int64_t i = 0; i < s->n_taps; i++) {
        const FilterTap *t = &s->taps[i];
        sum = hash(hash(hash(sum, t->one), t->many), t->sum);
    }
    return sum;
}

static void side_text(Text *t, const char *name, const FilterSide *side)
{
    text_printf(t, " %s=%lld+%lld,%lld,%lld step %lld", name, (long long)side->offset, (long long)side->n,
                (long long)side->y, (long long)side->x, (long long)side->step);
}

const char *filter_spec_text(Arena *arena, const FilterSpec *s)
{
    Text t = text_new(arena);
    text_printf(&t, "grad_filter n=%lld out=%lldx%lld", (long long)s->n, (long long)s->oh, (long long)s->ow);
    side_text(&t, "one", &s->one);
    side_text(&t, "many", &s->many);
    text_printf(&t, " sums=%lld,%lld,%lld", (long long)s->sum_piece, (long long)s->sum_value,
                (long long)s->sum_vector);
    text_printf(&t, " tile=%dx%d block=%d tiles=%lld/%lld by %lld taps=%lld tables=%016llx", s->shape.values,
                s->shape.vectors, s->block, (long long)s->n_full, (long long)s->n_tiles,
                (long long)s->many_tiles, (long long)s->n_taps, (unsigned long long)hash_tables(s));
    text_printf(&t, " rows=%lld pieces=%lld shares=%lld%s", (long long)s->chunk_rows, (long long)s->pieces,
                (long long)s->shares, s->by_points ? " of points" : "");
    return t.text;
}
