/* See rt_lattice.h.
 *
 * The lattice. With d dimensions, features are mapped to the plane x_0 + ... + x_d = 0 of d+1 dimensions,
 * which is tiled by the simplices of the lattice A*_d: its corners have integer coordinates that are all
 * equal modulo d+1 (the remainder is the corner's colour, and a simplex has one corner of each). Rounding to
 * the nearest corner of colour 0 and ranking the differences finds a point's simplex and its barycentric
 * weights. The blur is the kernel 1/4, 1/2, 1/4 along each of the d+1 directions; together with the spreading
 * and gathering, each a triangle, its variance is that of the unit Gaussian when the map has the scale
 * sqrt(2/3) (d+1).
 *
 * Memory. Corners are numbered as they first appear, and found again through an open hash table, which is
 * dropped when the neighbours are known. Both directions are stored: for a point its d+1 corners with
 * weights, and for a corner its points, so that spreading is a gather too, which threads may divide in any
 * way. */
#include "rt_lattice.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    MAX_CORNERS = LATTICE_MAX_DIMS + 1,
    PIECE = 4096,     /* points embedded before their corners are looked up */
    POINT_UNIT = 64,  /* points of a unit of work */
    CORNER_UNIT = 32, /* corners of one */
};

struct Lattice {
    LatticePoints points;
    int n; /* dims + 1: corners of a simplex, directions of the blur */
    int width;
    int64_t corners;
    int32_t *corner; /* by point, n each */
    float *weight;   /* of these */
    int32_t *first;  /* by corner, and one more: where its points start in the next two */
    int32_t *point;
    float *share;      /* the weights again */
    int32_t *neighbor; /* by corner, 2 for each direction; `corners` where there is none: a row of zeros */
    Lanes *values, *blurred;
};

typedef struct Slot {
    uint32_t hash;
    int32_t corner; /* plus 1; 0: free */
} Slot;

/* The hash table while building. */
typedef struct Table {
    int dims;
    int32_t *keys; /* by corner: dims coordinates; the last follows from these */
    int64_t count, room;
    Slot *slots;
    size_t mask;
} Table;

static uint32_t hash_of(const int32_t *key, int dims)
{
    uint64_t hash = 0;
    for (int i = 0; i < dims; i++) hash = (hash ^ (uint32_t)key[i]) * 0x9E3779B97F4A7C15u ^ (hash >> 29);
    return (uint32_t)(hash >> 32);
}

/* The slot with this key, or the free one where it belongs. */
static size_t find_slot(const Table *table, const int32_t *key, uint32_t hash)
{
    size_t at = hash & table->mask;
    for (; table->slots[at].corner; at = (at + 1) & table->mask) {
        const int32_t *other = table->keys + (int64_t)(table->slots[at].corner - 1) * table->dims;
        if (table->slots[at].hash == hash && !memcmp(other, key, sizeof *key * (size_t)table->dims)) break;
    }
    return at;
}

/* Doubles the room, and has the table half full at most. */
static bool table_grow(Table *table)
{
    int64_t room = table->room ? 2 * table->room : 1 << 14;
    size_t size = sizeof *table->keys * (size_t)table->dims;
    int32_t *keys = rt_realloc(table->keys, size * (size_t)table->room, size * (size_t)room);
    if (!keys) return false;
    table->keys = keys;
    table->room = room;
    size_t old = table->slots ? table->mask + 1 : 0, slots = 2 * (size_t)room;
    Slot *before = table->slots;
    table->slots = rt_alloc(slots * sizeof *table->slots);
    if (!table->slots) {
        table->slots = before;
        return false;
    }
    table->mask = slots - 1;
    for (size_t i = 0; i < old; i++) {
        if (!before[i].corner) continue;
        size_t at = before[i].hash & table->mask;
        while (table->slots[at].corner) at = (at + 1) & table->mask;
        table->slots[at] = before[i];
    }
    rt_free(before);
    return true;
}

/* The corner's number; -1 when memory is short. */
static int32_t table_add(Table *table, const int32_t *key)
{
    uint32_t hash = hash_of(key, table->dims);
    size_t at = find_slot(table, key, hash);
    if (table->slots[at].corner) return table->slots[at].corner - 1;
    if (table->count == table->room) {
        if (!table_grow(table)) return -1;
        at = find_slot(table, key, hash);
    }
    memcpy(table->keys + table->count * table->dims, key, sizeof *key * (size_t)table->dims);
    table->slots[at] = (Slot){hash, (int32_t)++table->count};
    return (int32_t)table->count - 1;
}

/* Where a point lies: the corner of colour 0 of its simplex, and the place of each coordinate's difference
 * from it among all, the greatest first. */
typedef struct Simplex {
    int32_t base[MAX_CORNERS];
    int32_t rank[MAX_CORNERS];
} Simplex;

/* To the plane; the matrix is triangular, so that sums run along. */
static void elevate(const Lattice *lattice, const float *feature, float *elevated)
{
    int n = lattice->n;
    float scale = sqrtf(2.0f / 3.0f) * (float)n, sum = 0;
    for (int i = n - 1; i > 0; i--) {
        float x = feature[i - 1] * scale / sqrtf((float)(i * (i + 1)));
        elevated[i] = sum - (float)i * x;
        sum += x;
    }
    elevated[0] = sum;
}

static void find_simplex(int n, const float *elevated, Simplex *simplex)
{
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        int32_t multiple = (int32_t)lrintf(elevated[i] / (float)n);
        simplex->base[i] = multiple * n;
        simplex->rank[i] = 0;
        sum += multiple;
    }
    for (int i = 0; i < n; i++) {
        for (int j = i + 1; j < n; j++) {
            bool less = elevated[i] - (float)simplex->base[i] < elevated[j] - (float)simplex->base[j];
            simplex->rank[less ? i : j]++;
        }
    }
    /* Rounding may have left the plane by a multiple; the coordinates that were rounded furthest go back. */
    for (int i = 0; i < n; i++) {
        simplex->rank[i] += sum;
        int wrap = simplex->rank[i] < 0 ? 1 : simplex->rank[i] >= n ? -1 : 0;
        simplex->rank[i] += wrap * n;
        simplex->base[i] += wrap * n;
    }
}

static void find_weights(int n, const float *elevated, const Simplex *simplex, float *weight)
{
    float sorted[MAX_CORNERS] = {0};
    for (int i = 0; i < n; i++) sorted[simplex->rank[i]] = (elevated[i] - (float)simplex->base[i]) / (float)n;
    weight[0] = 1 - sorted[0] + sorted[n - 1];
    for (int k = 1; k < n; k++) weight[k] = sorted[n - 1 - k] - sorted[n - k];
}

/* The key of the corner of colour k. */
static void find_corner(int n, const Simplex *simplex, int k, int32_t *key)
{
    for (int i = 0; i < n - 1; i++) key[i] = simplex->base[i] + k - (simplex->rank[i] >= n - k ? n : 0);
}

/* Points of one piece. */
typedef struct Embedding {
    const Lattice *lattice;
    int64_t begin, end;
    Simplex *simplices; /* PIECE of them */
} Embedding;

static void embed(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Embedding *job = context;
    const LatticePoints *points = &job->lattice->points;
    int n = job->lattice->n;
    int64_t from = job->begin + begin * POINT_UNIT, to = job->begin + end * POINT_UNIT;
    for (int64_t p = from; p < to && p < job->end; p++) {
        float feature[LATTICE_MAX_DIMS], elevated[MAX_CORNERS];
        Simplex *simplex = &job->simplices[p - job->begin];
        points->feature(points->context, p, feature);
        elevate(job->lattice, feature, elevated);
        find_simplex(n, elevated, simplex);
        find_weights(n, elevated, simplex, job->lattice->weight + p * n);
    }
}

/* Numbers are given in the order of points, by one thread. */
static bool add_corners(const Embedding *job, Table *table)
{
    int n = job->lattice->n;
    for (int64_t p = job->begin; p < job->end; p++) {
        for (int k = 0; k < n; k++) {
            int32_t key[MAX_CORNERS];
            find_corner(n, &job->simplices[p - job->begin], k, key);
            int32_t corner = table_add(table, key);
            if (corner < 0) return false;
            job->lattice->corner[p * n + k] = corner;
        }
    }
    return true;
}

static bool find_corners(Lattice *lattice, Pool *pool, Table *table)
{
    Embedding job = {.lattice = lattice, .simplices = rt_alloc(PIECE * sizeof *job.simplices)};
    bool good = job.simplices && table_grow(table);
    for (; good && job.begin < lattice->points.count; job.begin = job.end) {
        job.end = job.begin + PIECE < lattice->points.count ? job.begin + PIECE : lattice->points.count;
        pool_run(pool, (job.end - job.begin + POINT_UNIT - 1) / POINT_UNIT, embed, &job);
        good = add_corners(&job, table);
    }
    rt_free(job.simplices);
    lattice->corners = table->count;
    return good;
}

/* Each corner's points, in order. */
static bool find_points(Lattice *lattice)
{
    int64_t corners = lattice->corners, entries = lattice->points.count * lattice->n;
    lattice->first = rt_alloc(((size_t)corners + 2) * sizeof *lattice->first);
    lattice->point = rt_alloc((size_t)entries * sizeof *lattice->point);
    lattice->share = rt_alloc((size_t)entries * sizeof *lattice->share);
    if (!lattice->first || !lattice->point || !lattice->share) return false;
    int32_t *next = lattice->first + 1; /* of a corner: its start, and in the end its end */
    for (int64_t e = 0; e < entries; e++) next[lattice->corner[e] + 1]++;
    for (int64_t c = 0; c < corners; c++) next[c + 1] += next[c];
    for (int64_t e = 0; e < entries; e++) {
        int32_t at = next[lattice->corner[e]]++;
        lattice->point[at] = (int32_t)(e / lattice->n);
        lattice->share[at] = lattice->weight[e];
    }
    return true;
}

typedef struct Linking {
    Lattice *lattice;
    const Table *table;
} Linking;

/* One step along a direction adds 1 to all coordinates but that one, which loses n - 1. */
static int32_t find_neighbor(const Table *table, const int32_t *key, int direction, int step)
{
    int32_t near[MAX_CORNERS];
    for (int i = 0; i < table->dims; i++) near[i] = key[i] + (i == direction ? -step * table->dims : step);
    int32_t corner = table->slots[find_slot(table, near, hash_of(near, table->dims))].corner;
    return corner ? corner - 1 : (int32_t)table->count;
}

static void link_corners(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Linking *job = context;
    int n = job->lattice->n;
    for (int64_t c = begin * CORNER_UNIT; c < end * CORNER_UNIT && c < job->lattice->corners; c++) {
        for (int direction = 0; direction < n; direction++) {
            const int32_t *key = job->table->keys + c * job->table->dims;
            int32_t *neighbor = job->lattice->neighbor + (direction * job->lattice->corners + c) * 2;
            neighbor[0] = find_neighbor(job->table, key, direction, -1);
            neighbor[1] = find_neighbor(job->table, key, direction, 1);
        }
    }
}

static int64_t corner_units(const Lattice *lattice)
{
    return (lattice->corners + CORNER_UNIT - 1) / CORNER_UNIT;
}

static bool find_neighbors(Lattice *lattice, Pool *pool, const Table *table)
{
    lattice->neighbor = rt_alloc((size_t)(lattice->corners * lattice->n) * 2 * sizeof *lattice->neighbor);
    if (!lattice->neighbor) return false;
    Linking job = {lattice, table};
    pool_run(pool, corner_units(lattice), link_corners, &job);
    return true;
}

static bool build(Lattice *lattice, Pool *pool)
{
    size_t entries = (size_t)lattice->points.count * (size_t)lattice->n;
    lattice->corner = rt_alloc(entries * sizeof *lattice->corner);
    lattice->weight = rt_alloc(entries * sizeof *lattice->weight);
    Table table = {.dims = lattice->points.dims};
    bool good = lattice->corner && lattice->weight && find_corners(lattice, pool, &table) &&
                find_neighbors(lattice, pool, &table);
    rt_free(table.keys);
    rt_free(table.slots);
    if (!good || !find_points(lattice)) return false;
    size_t row = sizeof(Lanes) * (size_t)lattice->width;
    lattice->values = rt_alloc(((size_t)lattice->corners + 1) * row);
    lattice->blurred = rt_alloc(((size_t)lattice->corners + 1) * row);
    return lattice->values && lattice->blurred;
}

RtStatus lattice_open(const LatticePoints *points, Pool *pool, Lattice **result, RtError *err)
{
    *result = NULL;
    Lattice *lattice = rt_alloc(sizeof *lattice);
    if (lattice) {
        *lattice = (Lattice){.points = *points, .n = points->dims + 1, .width = points->width};
        if (build(lattice, pool)) {
            *result = lattice;
            return RT_OK;
        }
    }
    lattice_close(lattice);
    return rt_fail(err, RT_MACHINE, "no memory to filter %lld points of %d values in %d dimensions",
                   (long long)points->count, points->width * LANES, points->dims);
}

void lattice_close(Lattice *lattice)
{
    if (!lattice) return;
    rt_free(lattice->corner);
    rt_free(lattice->weight);
    rt_free(lattice->first);
    rt_free(lattice->point);
    rt_free(lattice->share);
    rt_free(lattice->neighbor);
    rt_free(lattice->values);
    rt_free(lattice->blurred);
    rt_free(lattice);
}

int64_t lattice_corners(const Lattice *lattice)
{
    return lattice->corners;
}

typedef struct Blurring {
    const Lattice *lattice;
    const Lanes *from;
    Lanes *to;
    int direction;
} Blurring;

static void spread(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Blurring *job = context;
    const Lattice *lattice = job->lattice;
    int width = lattice->width;
    for (int64_t c = begin * CORNER_UNIT; c < end * CORNER_UNIT && c < lattice->corners; c++) {
        Lanes *to = job->to + c * width;
        for (int l = 0; l < width; l++) to[l] = (Lanes){0};
        for (int32_t e = lattice->first[c]; e < lattice->first[c + 1]; e++) {
            const Lanes *from = job->from + (int64_t)lattice->point[e] * width;
            for (int l = 0; l < width; l++) to[l] += lattice->share[e] * from[l];
        }
    }
}

static void blur(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Blurring *job = context;
    const Lattice *lattice = job->lattice;
    int width = lattice->width;
    const int32_t *neighbor = lattice->neighbor + job->direction * lattice->corners * 2;
    for (int64_t c = begin * CORNER_UNIT; c < end * CORNER_UNIT && c < lattice->corners; c++) {
        const Lanes *at = job->from + c * width, *before = job->from + (int64_t)neighbor[2 * c] * width;
        const Lanes *after = job->from + (int64_t)neighbor[2 * c + 1] * width;
        Lanes *to = job->to + c * width;
        for (int l = 0; l < width; l++) to[l] = 0.5f * at[l] + 0.25f * (before[l] + after[l]);
    }
}

/* The row past the corners stands for those that don't exist. */
static void clear_last_rows(Lattice *lattice)
{
    for (int l = 0; l < lattice->width; l++) {
        lattice->values[lattice->corners * lattice->width + l] = (Lanes){0};
        lattice->blurred[lattice->corners * lattice->width + l] = (Lanes){0};
    }
}

static void spread_and_blur(Lattice *lattice, PoolFn *first, const Lanes *values, Pool *pool)
{
    clear_last_rows(lattice);
    Blurring job = {.lattice = lattice, .from = values, .to = lattice->blurred};
    pool_run(pool, corner_units(lattice), first, &job);
    for (job.direction = 0; job.direction < lattice->n; job.direction++) {
        job.from = lattice->blurred;
        job.to = lattice->values;
        pool_run(pool, corner_units(lattice), blur, &job);
        lattice->values = lattice->blurred;
        lattice->blurred = job.to;
    }
}

void lattice_blur(Lattice *lattice, const Lanes *values, Pool *pool)
{
    spread_and_blur(lattice, spread, values, pool);
}

void lattice_gather(const Lattice *lattice, int64_t point, float factor, Lanes *sums)
{
    int n = lattice->n, width = lattice->width;
    const int32_t *corner = lattice->corner + point * n;
    const float *weight = lattice->weight + point * n;
    for (int k = 0; k < n; k++) {
        const Lanes *row = lattice->blurred + (int64_t)corner[k] * width;
        float share = factor * weight[k];
        for (int l = 0; l < width; l++) sums[l] += share * row[l];
    }
}

static void spread_ones(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Blurring *job = context;
    const Lattice *lattice = job->lattice;
    for (int64_t c = begin * CORNER_UNIT; c < end * CORNER_UNIT && c < lattice->corners; c++) {
        float sum = 0;
        for (int32_t e = lattice->first[c]; e < lattice->first[c + 1]; e++) sum += lattice->share[e];
        job->to[c] = (Lanes){sum};
    }
}

static void scale_weights(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Lattice *lattice = context;
    for (int64_t p = begin * POINT_UNIT; p < end * POINT_UNIT && p < lattice->points.count; p++) {
        Lanes sum = {0};
        lattice_gather(lattice, p, 1, &sum);
        float factor = 1 / sqrtf(sum[0]);
        for (int k = 0; k < lattice->n; k++) lattice->weight[p * lattice->n + k] *= factor;
    }
}

/* A corner's shares are its points' weights. */
static void copy_weights(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Lattice *lattice = context;
    for (int64_t c = begin * CORNER_UNIT; c < end * CORNER_UNIT && c < lattice->corners; c++) {
        for (int32_t e = lattice->first[c]; e < lattice->first[c + 1]; e++) {
            int64_t k = (int64_t)lattice->point[e] * lattice->n;
            while (lattice->corner[k] != c) k++;
            lattice->share[e] = lattice->weight[k];
        }
    }
}

/* The sums of the kernel are what filtering ones gives. A point's is never 0: it has a corner of weight
 * 1 / n or more, of which every direction of the blur leaves it half. */
void lattice_normalise(Lattice *lattice, Pool *pool)
{
    int width = lattice->width;
    lattice->width = 1;
    spread_and_blur(lattice, spread_ones, NULL, pool);
    pool_run(pool, (lattice->points.count + POINT_UNIT - 1) / POINT_UNIT, scale_weights, lattice);
    pool_run(pool, corner_units(lattice), copy_weights, lattice);
    lattice->width = width;
}
