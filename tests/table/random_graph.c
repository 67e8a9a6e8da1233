/* See random_graph.h. A pool of values grows by one maker at a time; a maker picks its inputs from the pool
 * and returns NULL where it finds none that it can use. */
#include "random_graph.h"

#include "formula.h"
#include "op.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_POOL = 96,
    MOST_NODES = 25,
    MOST_ELEMENTS = 40000,
    MOST_WORK = 3000000, /* multiply-adds of a node */
    FEW_NODES = 6,       /* of graphs with larger values, */
    LARGER = 5,          /* by this */
};

typedef struct Value {
    Node *node;
    double size; /* about its largest magnitude */
    int uses;
} Value;

typedef struct Maker {
    Graph *graph;
    uint64_t state;
    Value pool[MAX_POOL];
    int n_pool, n_inputs;
    int64_t most_elements, most_work;
} Maker;

/* ---- chance -------------------------------------------------------------------------------------- */

static uint64_t next(Maker *m)
{
    uint64_t z = m->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static int64_t from_to(Maker *m, int64_t low, int64_t high)
{
    return low + (int64_t)(next(m) % (uint64_t)(high - low + 1));
}

static bool one_in(Maker *m, int n)
{
    return next(m) % (uint64_t)n == 0;
}

#define PICK(m, ...)                                                                                         \
    ((const int[]){__VA_ARGS__})[from_to((m), 0, (int64_t)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)) - 1)]

static int64_t pick_channels(Maker *m)
{
    return PICK(m, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 16, 17, 19, 24, 31, 32, 32, 33, 40, 48, 49, 64, 65);
}

/* ---- the pool ------------------------------------------------------------------------------------ */

static double size_of(const Maker *m, const Node *node)
{
    for (int i = 0; i < m->n_pool; i++)
        if (m->pool[i].node == node) return m->pool[i].size;
    return 1;
}

static Node *start(Maker *m, Op op, Node *const *in, int n_in)
{
    const char *kind = op == OP_PRELU ? "act" : "";
    for (int i = 0; i < n_in; i++)
        for (int k = 0; k < m->n_pool; k++) m->pool[k].uses += m->pool[k].node == in[i];
    return graph_add(m->graph, op, arena_printf(m->graph->arena, "v%d%s", m->n_pool, kind), (Pos){0}, in,
                     n_in);
}

/* Puts a node with its attributes set into the pool. What it needs is checked before: it is valid. */
static Node *finish(Maker *m, Node *node, double size)
{
    assert(m->n_pool < MAX_POOL);
    if (!graph_declare_params(m->graph, node) || !graph_infer(m->graph, node)) {
        diag_print(m->graph->diag, stderr);
        abort();
    }
    m->pool[m->n_pool++] = (Value){.node = node, .size = size};
    return node;
}

/* A value of the rank (0: any), the later the likelier. */
static Node *pick(Maker *m, int rank)
{
    for (int tries = 0; tries < 20; tries++) {
        int64_t i = one_in(m, 2) ? m->n_pool - 1 - from_to(m, 0, m->n_pool < 3 ? m->n_pool - 1 : 2)
                                 : from_to(m, 0, m->n_pool - 1);
        Node *node = m->pool[i].node;
        if (node->type.dtype == F32 && (rank == 0 || node->type.rank == rank)) return node;
    }
    return NULL;
}

static Node *new_input(Maker *m, const int64_t *dims, int rank)
{
    Node *input = graph_add(m->graph, OP_INPUT, arena_printf(m->graph->arena, "image%d", m->n_inputs++),
                            (Pos){0}, NULL, 0);
    node_set_ints(input, A_SHAPE, dims, rank);
    return finish(m, input, 1);
}

static Node *new_picture(Maker *m)
{
    int64_t dims[4] = {PICK(m, 1, 1, 1, 2, 2, 3), pick_channels(m), from_to(m, 1, 20), from_to(m, 1, 20)};
    if (one_in(m, 2)) dims[2] = PICK(m, 8, 12, 15, 16, 28);
    if (one_in(m, 2)) dims[3] = PICK(m, 8, 12, 16, 31, 33);
    if (one_in(m, 3)) dims[1] = 3;
    for (int i = 2; i < 4 && m->most_elements > MOST_ELEMENTS; i++) dims[i] = from_to(m, 20, 80);
    while (dims[0] * dims[1] * dims[2] * dims[3] > m->most_elements) dims[2] = (dims[2] + 1) / 2;
    return new_input(m, dims, 4);
}

static bool fits(const Maker *m, int64_t n, int64_t c, int64_t h, int64_t w)
{
    return h >= 1 && w >= 1 && n * c * h * w <= m->most_elements;
}

/* ---- contractions -------------------------------------------------------------------------------- */

static void pick_groups(Maker *m, int64_t channels, int64_t *groups, int64_t *filters)
{
    *groups = 1;
    *filters = pick_channels(m);
    if (!one_in(m, 4)) return;
    int64_t divisor = PICK(m, 0, 0, 2, 2, 3, 4);
    *groups = divisor == 0 ? channels : divisor;
    if (channels % *groups) *groups = 1;
    if (*groups > 1) *filters = *groups == channels && !one_in(m, 4) ? channels : *groups * from_to(m, 1, 9);
    if (*groups == 2 && one_in(m, 2)) *filters = 64;
}

static Node *make_conv(Maker *m, Node *x, int64_t kernel, bool plain)
{
    const int64_t *in = x->type.dim;
    int64_t k[2] = {kernel, kernel}, stride = plain ? 1 : PICK(m, 1, 1, 1, 2, 2, 3);
    int64_t dilation = plain ? 1 : PICK(m, 1, 1, 1, 2, 3, 5), groups = 1, filters = pick_channels(m);
    if (!plain && one_in(m, 8)) k[next(m) % 2] = PICK(m, 1, 2, 7);
    if (!plain) pick_groups(m, in[1], &groups, &filters);
    int64_t padding[2], out[2];
    for (int i = 0; i < 2; i++) {
        int64_t span = (k[i] - 1) * dilation + 1;
        padding[i] = plain || !one_in(m, 4) ? span / 2 : from_to(m, 0, span);
        if (in[2 + i] + 2 * padding[i] < span) padding[i] = span;
        out[i] = (in[2 + i] + 2 * padding[i] - span) / stride + 1;
    }
    if (!fits(m, in[0], filters, out[0], out[1]) ||
        in[0] * filters * out[0] * out[1] * (in[1] / groups) * k[0] * k[1] > m->most_work)
        return NULL;
    Node *conv = start(m, OP_CONV2D, &x, 1);
    node_set_int(conv, A_FILTERS, filters);
    node_set_pair(conv, A_KERNEL, k[0], k[1]);
    node_set_pair(conv, A_STRIDE, stride, one_in(m, 10) ? stride : stride);
    node_set_pair(conv, A_PADDING, padding[0], padding[1]);
    node_set_pair(conv, A_DILATION, dilation, dilation);
    node_set_int(conv, A_GROUPS, groups);
    node_set_bool(conv, A_BIAS, !one_in(m, 3));
    return finish(m, conv, 3 * size_of(m, x));
}

static Node *conv2d(Maker *m)
{
    Node *x = pick(m, 4);
    return x ? make_conv(m, x, PICK(m, 1, 1, 1, 2, 3, 3, 3, 3, 4, 5, 7), one_in(m, 3)) : NULL;
}

/* Wide enough for minimal filtering. */
static Node *wide_conv(Maker *m)
{
    Node *x = pick(m, 4);
    if (!x) return NULL;
    const int64_t *in = x->type.dim;
    if (in[2] < 3 || in[3] < 3) return NULL;
    int64_t channels = PICK(m, 32, 33, 40, 48, 64), filters = PICK(m, 16, 19, 32, 33, 48);
    int64_t stride = PICK(m, 1, 1, 2), dilation = stride == 2 ? 1 : PICK(m, 1, 1, 1, 2, 4);
    int64_t padding = one_in(m, 4) ? from_to(m, 0, 3) : dilation;
    if (in[2] + 2 * padding < 2 * dilation + 1 || in[3] + 2 * padding < 2 * dilation + 1) padding = dilation;
    if (!fits(m, in[0], channels, in[2] + 6, in[3] + 6)) return NULL;
    if (in[0] * in[2] * in[3] * channels * filters * 9 > 2 * m->most_work) return NULL;
    if (in[1] < 32) {
        Node *more = start(m, OP_CONV2D, &x, 1);
        node_set_int(more, A_FILTERS, channels);
        node_set_pair(more, A_KERNEL, 1, 1);
        x = finish(m, more, 3 * size_of(m, x));
    }
    Node *conv = start(m, OP_CONV2D, &x, 1);
    node_set_int(conv, A_FILTERS, filters);
    node_set_pair(conv, A_KERNEL, 3, 3);
    node_set_pair(conv, A_STRIDE, stride, stride);
    node_set_pair(conv, A_PADDING, padding, padding);
    node_set_pair(conv, A_DILATION, dilation, dilation);
    node_set_bool(conv, A_BIAS, one_in(m, 2));
    return finish(m, conv, 3 * size_of(m, x));
}

static Node *conv_transpose2d(Maker *m)
{
    Node *x = pick(m, 4);
    if (!x) return NULL;
    const int64_t *in = x->type.dim;
    int64_t groups, filters, out[2], stride[2], padding[2], extra[2], k[2], dilation = PICK(m, 1, 1, 1, 2);
    pick_groups(m, in[1], &groups, &filters);
    for (int i = 0; i < 2; i++) {
        k[i] = i == 1 && !one_in(m, 5) ? k[0] : PICK(m, 1, 2, 2, 3, 3, 4, 5);
        stride[i] = i == 1 && !one_in(m, 5) ? stride[0] : PICK(m, 1, 2, 2, 2, 3, 4);
        extra[i] = one_in(m, 3) ? from_to(m, 0, stride[i] - 1) : 0;
        padding[i] = one_in(m, 2) ? from_to(m, 0, k[i] - 1) : 0;
        out[i] = (in[2 + i] - 1) * stride[i] - 2 * padding[i] + (k[i] - 1) * dilation + 1 + extra[i];
    }
    if (!fits(m, in[0], filters, out[0], out[1]) ||
        type_elements(x->type) * (filters / groups) * k[0] * k[1] > m->most_work)
        return NULL;
    Node *conv = start(m, OP_CONV_TRANSPOSE2D, &x, 1);
    node_set_int(conv, A_FILTERS, filters);
    node_set_pair(conv, A_KERNEL, k[0], k[1]);
    node_set_pair(conv, A_STRIDE, stride[0], stride[1]);
    node_set_pair(conv, A_PADDING, padding[0], padding[1]);
    node_set_pair(conv, A_OUTPUT_PADDING, extra[0], extra[1]);
    node_set_pair(conv, A_DILATION, dilation, dilation);
    node_set_int(conv, A_GROUPS, groups);
    node_set_bool(conv, A_BIAS, !one_in(m, 3));
    return finish(m, conv, 3 * size_of(m, x));
}

static Node *linear(Maker *m)
{
    Node *x = pick(m, PICK(m, 2, 2, 0));
    if (!x || x->type.rank < 1) return NULL;
    int64_t features = pick_channels(m), rows = type_elements(x->type) / x->type.dim[x->type.rank - 1];
    if (rows * features > m->most_elements || type_elements(x->type) * features > m->most_work) return NULL;
    Node *node = start(m, OP_LINEAR, &x, 1);
    node_set_int(node, A_FEATURES, features);
    node_set_bool(node, A_BIAS, !one_in(m, 3));
    return finish(m, node, 3 * size_of(m, x));
}

/* ---- elementwise --------------------------------------------------------------------------------- */

static Node *unary(Maker *m, Op op, Node *x, double size)
{
    return finish(m, start(m, op, &x, 1), size);
}

static Node *affine(Maker *m, Node *x, double scale, double shift)
{
    Node *node = start(m, OP_AFFINE, &x, 1);
    node_set_float(node, A_SCALE, scale);
    node_set_float(node, A_SHIFT, shift);
    return finish(m, node, size_of(m, x) * scale + shift);
}

static Node *activation(Maker *m)
{
    Node *x = pick(m, one_in(m, 5) ? 0 : 4);
    if (!x) return NULL;
    double size = size_of(m, x);
    switch (from_to(m, 0, 5)) {
    case 0: return unary(m, OP_SIGMOID, x, 1);
    case 1: return x->type.rank < 2 ? NULL : unary(m, OP_PRELU, x, size);
    case 2: return affine(m, x, 0.5, 0.75);
    case 3: return unary(m, OP_LEAKY_RELU, x, size);
    default: return unary(m, OP_RELU, x, size);
    }
}

static Node *batch_norm(Maker *m)
{
    Node *x = pick(m, one_in(m, 6) ? 0 : 4);
    return x && x->type.rank >= 2 ? unary(m, OP_BATCH_NORM, x, 1.2 * size_of(m, x) + 0.5) : NULL;
}

/* Whether the result of broadcasting b to a is not larger than a. */
static bool broadcasts_to(const Node *a, const Node *b)
{
    int shift = a->type.rank - b->type.rank;
    if (shift < 0 || b->type.dtype != F32) return false;
    for (int i = 0; i < b->type.rank; i++)
        if (b->type.dim[i] != 1 && b->type.dim[i] != a->type.dim[shift + i]) return false;
    return true;
}

/* A value that broadcasts to x: of the pool, pooled or squeezed from x, or a new input. */
static Node *partner(Maker *m, Node *x)
{
    const int64_t *d = x->type.dim;
    int rank = x->type.rank;
    if (one_in(m, 2))
        for (int tries = 0; tries < 12; tries++) {
            Node *other = pick(m, 0);
            if (other && broadcasts_to(x, other)) return other;
        }
    if (rank == 4 && one_in(m, 3)) return unary(m, OP_GLOBAL_AVG_POOL, x, size_of(m, x));
    if (rank == 4 && one_in(m, 5)) {
        Node *one = start(m, OP_CONV2D, &x, 1);
        node_set_int(one, A_FILTERS, 1);
        node_set_pair(one, A_KERNEL, 1, 1);
        return finish(m, one, 3 * size_of(m, x));
    }
    int64_t dims[4];
    int from = one_in(m, 2) ? 0 : (int)from_to(m, 0, rank - 1);
    for (int i = from; i < rank; i++) dims[i - from] = one_in(m, 2) ? 1 : d[i];
    if (one_in(m, 4)) memcpy(dims, d + from, sizeof *dims * (size_t)(rank - from));
    return new_input(m, dims, rank - from);
}

static Node *bounded(Maker *m, Node *x)
{
    return size_of(m, x) > 2 ? unary(m, OP_SIGMOID, x, 1) : x;
}

static Node *binary(Maker *m)
{
    Node *x = pick(m, one_in(m, 4) ? 0 : 4), *y = x && x->type.rank ? partner(m, x) : NULL;
    if (!y) return NULL;
    int kind = PICK(m, 0, 0, 0, 1, 1, 2, 3);
    double a = size_of(m, x), b = size_of(m, y);
    Node *in[3] = {x, y, x};
    if (kind == 0) {
        int n = one_in(m, 4) ? 3 : 2;
        if (one_in(m, 4)) in[0] = y, in[1] = x;
        if (n == 3 && one_in(m, 2)) in[2] = partner(m, x);
        return finish(m, start(m, OP_ADD, in, n), a + b + (n == 3 ? size_of(m, in[2]) : 0));
    }
    bool swapped = one_in(m, 3);
    if (kind == 1) {
        in[1] = bounded(m, y);
        if (swapped) in[0] = in[1], in[1] = x;
        return finish(m, start(m, OP_MUL, in, 2), 2 * a);
    }
    if (kind == 2) {
        if (swapped) in[0] = y, in[1] = x;
        return finish(m, start(m, OP_SUB, in, 2), a + b);
    }
    Node *divided = swapped ? y : x, *divisor = unary(m, OP_SIGMOID, swapped ? x : y, 1);
    Node *pair[2] = {divided, affine(m, divisor, 1, 0.5)};
    return finish(m, start(m, OP_DIV, pair, 2), 2 * size_of(m, divided));
}

/* ---- windows and reductions ---------------------------------------------------------------------- */

static Node *pool2d(Maker *m)
{
    Node *x = pick(m, 4);
    if (!x) return NULL;
    Op op = one_in(m, 2) ? OP_MAX_POOL2D : OP_AVG_POOL2D;
    int64_t k = PICK(m, 1, 2, 2, 3, 3, 5), padding = from_to(m, 0, k / 2), stride = from_to(m, 1, 3);
    int64_t dilation = op == OP_MAX_POOL2D && padding == 0 && one_in(m, 4) ? 2 : 1;
    int64_t span = (k - 1) * dilation + 1;
    if (x->type.dim[2] + 2 * padding < span || x->type.dim[3] + 2 * padding < span) return NULL;
    if (stride == 1 && type_elements(x->type) > m->most_elements / 2) return NULL;
    Node *node = start(m, op, &x, 1);
    node_set_pair(node, A_KERNEL, k, k);
    if (!one_in(m, 4) || stride == 1) node_set_pair(node, A_STRIDE, stride, stride);
    node_set_pair(node, A_PADDING, padding, padding);
    node_set_bool(node, A_CEIL_MODE, one_in(m, 3));
    if (op == OP_MAX_POOL2D) node_set_pair(node, A_DILATION, dilation, dilation);
    if (op == OP_AVG_POOL2D) node_set_bool(node, A_COUNT_INCLUDE_PAD, one_in(m, 2));
    return finish(m, node, size_of(m, x));
}

static Node *resize(Maker *m)
{
    Node *x = pick(m, 4), *like = one_in(m, 3) ? pick(m, 4) : NULL;
    if (!x) return NULL;
    const int64_t *in = x->type.dim;
    int64_t rows = like ? like->type.dim[2] : from_to(m, 1, 24);
    int64_t columns = like ? like->type.dim[3] : from_to(m, 1, 24);
    static const double factors[] = {2, 4, 0.5, 1.5, 1.3, 8};
    double factor = !like && one_in(m, 2) ? factors[from_to(m, 0, 5)] : 0;
    if (factor != 0) {
        rows = (int64_t)((double)in[2] * factor);
        columns = (int64_t)((double)in[3] * factor);
    }
    if (!fits(m, in[0], in[1], rows, columns)) return NULL;
    Node *node = start(m, OP_RESIZE, (Node *[]){x, like}, like ? 2 : 1);
    if (factor != 0)
        node_set_float(node, A_SCALE_FACTOR, factor);
    else if (!like)
        node_set_pair(node, A_SIZE, rows, columns);
    if (one_in(m, 3))
        node_set_string(node, A_MODE, "nearest");
    else
        node_set_bool(node, A_ALIGN_CORNERS, one_in(m, 2));
    return finish(m, node, size_of(m, x));
}

static Node *softmax(Maker *m)
{
    Node *x = pick(m, one_in(m, 3) ? 0 : 4);
    if (!x || x->type.rank < 1) return NULL;
    bool logarithm = one_in(m, 3);
    Node *node = start(m, logarithm ? OP_LOG_SOFTMAX : OP_SOFTMAX, &x, 1);
    node_set_int(node, A_DIM, x->type.rank > 1 && !one_in(m, 3) ? 1 : from_to(m, 0, x->type.rank - 1));
    return finish(m, node, logarithm ? 2 * size_of(m, x) + 10 : 1);
}

static Node *global_avg_pool(Maker *m)
{
    Node *x = pick(m, 4);
    return x ? unary(m, OP_GLOBAL_AVG_POOL, x, size_of(m, x)) : NULL;
}

static Node *argmax(Maker *m)
{
    Node *x = pick(m, one_in(m, 4) ? 0 : 4);
    if (!x || x->type.rank < 2) return NULL;
    Node *node = start(m, OP_ARGMAX, &x, 1);
    if (one_in(m, 4)) node_set_int(node, A_DIM, from_to(m, 0, x->type.rank - 1));
    return finish(m, node, 1);
}

/* Classes of an enlarged map: rewritten by passes, and fused. */
static Node *classes(Maker *m)
{
    Node *x = pick(m, 4);
    if (!x || !fits(m, x->type.dim[0], x->type.dim[1], x->type.dim[2] * 2, x->type.dim[3] * 2)) return NULL;
    Node *large = start(m, OP_RESIZE, &x, 1);
    node_set_pair(large, A_SIZE, x->type.dim[2] * 2 - 1, x->type.dim[3] * 2);
    node_set_bool(large, A_ALIGN_CORNERS, one_in(m, 2));
    large = finish(m, large, size_of(m, x));
    if (one_in(m, 2)) large = unary(m, OP_SOFTMAX, large, 1);
    return finish(m, start(m, OP_ARGMAX, &large, 1), 1);
}

/* ---- layout -------------------------------------------------------------------------------------- */

/* Whether the two can stand in one concat along dim. */
static bool stand_together(const Node *a, const Node *b, int dim)
{
    if (a->type.rank != b->type.rank || a->type.dtype != b->type.dtype) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (i != dim && a->type.dim[i] != b->type.dim[i]) return false;
    return true;
}

static Node *concat(Maker *m)
{
    Node *x = pick(m, one_in(m, 5) ? 0 : 4), *in[5];
    if (!x || x->type.rank < 1) return NULL;
    int dim = x->type.rank > 1 && !one_in(m, 4) ? 1 : (int)from_to(m, 0, x->type.rank - 1);
    int n = (int)from_to(m, 1, 5);
    int64_t extent = 0;
    double size = 0;
    for (int i = 0; i < n; i++) {
        in[i] = x;
        for (int tries = 0; tries < 6 && in[i] == x && !one_in(m, 8); tries++) {
            Node *other = pick(m, x->type.rank);
            if (other && stand_together(x, other, dim)) in[i] = other;
        }
        if (in[i] == x && x->type.rank == 4 && dim == 1 && one_in(m, 2)) in[i] = make_conv(m, x, 1, true);
        if (!in[i]) in[i] = x;
        extent += in[i]->type.dim[dim];
        if (size_of(m, in[i]) > size) size = size_of(m, in[i]);
    }
    if (type_elements(x->type) / x->type.dim[dim] * extent > m->most_elements) return NULL;
    /* x first is the usual case, but not the only one */
    int64_t other = from_to(m, 0, n - 1);
    Node *swap = in[0];
    in[0] = in[other];
    in[other] = swap;
    Node *node = start(m, OP_CONCAT, in, n);
    node_set_int(node, A_DIM, dim);
    return finish(m, node, size);
}

static Node *slice(Maker *m)
{
    Node *x = pick(m, one_in(m, 4) ? 0 : 4);
    if (!x || x->type.rank < 1) return NULL;
    int dim = x->type.rank > 1 && !one_in(m, 3) ? 1 : (int)from_to(m, 0, x->type.rank - 1);
    int64_t size = x->type.dim[dim], first = from_to(m, 0, size - 1), end = from_to(m, first + 1, size);
    if (dim == 1 && size >= 16 && one_in(m, 2)) first = first / 8 * 8;
    Node *node = start(m, OP_SLICE, &x, 1);
    node_set_int(node, A_DIM, dim);
    node_set_int(node, A_START, one_in(m, 4) ? first - size : first);
    if (end < size || one_in(m, 2)) node_set_int(node, A_END, end < size && one_in(m, 4) ? end - size : end);
    return finish(m, node, size_of(m, x));
}

static Node *pad(Maker *m)
{
    Node *x = pick(m, 4);
    if (!x) return NULL;
    int mode = (int)from_to(m, 0, 2);
    int64_t pads[4], size[2] = {x->type.dim[3], x->type.dim[2]};
    for (int i = 0; i < 4; i++) {
        int64_t most = mode == 1 && size[i / 2] - 1 < 3 ? size[i / 2] - 1 : 3;
        pads[i] = from_to(m, mode == 0 && size[i / 2] > 3 ? -1 : 0, most);
    }
    if (!fits(m, x->type.dim[0], x->type.dim[1], size[1] + 6, size[0] + 6)) return NULL;
    Node *node = start(m, OP_PAD, &x, 1);
    node_set_ints(node, A_PADS, pads, 4);
    node_set_string(node, A_PAD_MODE, mode == 0 ? "constant" : mode == 1 ? "reflect" : "replicate");
    if (mode == 0) node_set_float(node, A_VALUE, one_in(m, 2) ? 0 : -1.5);
    return finish(m, node, size_of(m, x) + 1.5);
}

static Node *flatten(Maker *m)
{
    Node *x = pick(m, one_in(m, 5) ? 0 : 4);
    return x && x->type.rank >= 2 ? unary(m, OP_FLATTEN, x, size_of(m, x)) : NULL;
}

/* ---- graphs -------------------------------------------------------------------------------------- */

typedef Node *MakeNode(Maker *m);

/* The oftener a maker stands here, the likelier it is. */
static MakeNode *const makers[] = {
    conv2d,     conv2d,          conv2d,     conv2d,     wide_conv, wide_conv, conv_transpose2d,
    activation, activation,      activation, batch_norm, binary,    binary,    binary,
    pool2d,     resize,          concat,     concat,     concat,    slice,     pad,
    softmax,    global_avg_pool, flatten,    linear,     argmax,    classes,
};
enum { N_MAKERS = sizeof makers / sizeof *makers };

static void keep_small(Maker *m)
{
    const Value *last = &m->pool[m->n_pool - 1];
    if (last->size > 20) affine(m, last->node, 1 / last->size, 0);
}

/* A rank that only inputs bring. */
static void new_small_input(Maker *m)
{
    int64_t dims[3] = {from_to(m, 1, 5), pick_channels(m), from_to(m, 1, 17)};
    int rank = (int)from_to(m, 1, 3);
    new_input(m, dims + (one_in(m, 2) ? 0 : 3 - rank), rank);
}

Graph *random_graph(Arena *arena, Diag *diag, uint64_t seed)
{
    Maker m = {.graph = graph_new(arena, diag, "random"), .state = seed};
    bool large = one_in(&m, 6);
    m.most_elements = MOST_ELEMENTS * (large ? LARGER : 1);
    m.most_work = MOST_WORK * (large ? LARGER : 1);
    int nodes = (int)from_to(&m, 3, large ? FEW_NODES : MOST_NODES), inputs = PICK(&m, 1, 1, 2);
    for (int i = 0; i < inputs; i++) new_picture(&m);
    if (one_in(&m, 8)) new_small_input(&m);
    for (int tries = 0; tries < 200 && m.n_pool < nodes; tries++)
        if (makers[from_to(&m, 0, N_MAKERS - 1)](&m)) keep_small(&m);
    for (int i = 0; i < m.n_pool; i++) {
        const Value *value = &m.pool[i];
        if (value->node->op == OP_INPUT ? one_in(&m, 12) : !value->uses || one_in(&m, 8))
            graph_output(m.graph, arena_printf(arena, "out%d", i), value->node);
    }
    if (m.graph->n_outputs == 0) graph_output(m.graph, "out", m.pool[m.n_pool - 1].node);
    graph_sort(m.graph);
    return m.graph;
}

void random_fill(void *context, const Node *source, float *values)
{
    (void)context;
    if (source->op == OP_PARAM)
        formula_parameter(source->name, source->type, values);
    else
        formula_uniform(source->name, type_elements(source->type), values);
}
