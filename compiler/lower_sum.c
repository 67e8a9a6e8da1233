/* Sums over many elements: to a shape, to a scalar, per channel (batch normalisation).
 *
 * The input is cut into pieces whose size depends on shapes only, so that a result has the same bits for any
 * number of threads. A first step sums each piece, every lane for itself, into memory of its own; a second,
 * small one adds the pieces in their order. A sum over rows starts again at each row, and pieces are a few
 * rows: the rounding error grows with the root of these lengths, not of the whole.
 *
 *     sum_to [1,C,1,1] of a blocked [N,C,H,W], p being a piece of rows:
 *         parallel n, cb, p { vector lane { partial[n][p][cb*16 + lane] = sum over y, x of p } }
 *         parallel cb { vector lane { out[cb*16 + lane] = sum over n, p of partial[n][p][cb*16 + lane] } }
 *
 * The summed value is pulled (see lower.h): what is computed from element to element before it needs no
 * memory.
 *
 * Mean and variance come of one pass over memory: a piece is walked twice while it is in the cache, for its
 * mean and for the squares of what differs from it, both counted from the channel's first value; the second
 * step adds the pieces as Chan, Golub and LeVeque do ("Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979).
 */
#include "lower.h"
#include "op_rules.h"

enum {
    PIECE = 16384,         /* elements of a piece, about: 64 KiB per input */
    PIECE_IN_CACHE = 4096, /* of one that is walked twice: 16 KiB */
    MOST_TERMS = 2
};

/* What becomes of an axis of the input's view. */
typedef enum AxisRole {
    AXIS_KEPT,  /* the output has it */
    AXIS_INNER, /* a piece holds all of it */
    AXIS_SPLIT, /* a piece holds a part of it */
    AXIS_OUTER, /* a piece holds one position of it */
} AxisRole;

typedef struct Axis {
    int64_t extent; /* of the channel axis of blocks: blocks; of the vector axis when it is summed: whole
                       vectors */
    AxisRole role;
    int64_t chunk,
        pieces; /* SPLIT: positions of each piece but the last, and pieces; else 1, or all positions */
} Axis;

enum { AXIS_N, AXIS_C, AXIS_Y, AXIS_X };

typedef struct Summing {
    Lowering *l;
    const Node *node;
    View view;
    int block; /* of the input */
    Axis axis[4];
    int vector; /* plain: the axis whose positions are done side by side; -1: lanes of a block */
    int64_t lanes,
        rest;         /* vector axis when it is summed: lanes of a whole vector, positions behind the last */
    int64_t slots;    /* sums of a piece that are added in the second step: lanes, if they are added */
    int64_t channels; /* stored side by side for each piece */
    int n_terms;
    Storage *partial;
    Expr *origin, *mean; /* of statistics: what values are counted from, and their mean from there */
} Summing;

/* What is summed at a coordinate. */
typedef void TermRule(Summing *s, const Coord *at, Expr **term);

static bool has_two_walks(const Summing *s)
{
    return s->node->op == OP_BATCH_STATISTICS;
}

/* ---- terms -----------------------------------------------------------------------------------------------
 */

static void input_term(Summing *s, const Coord *at, Expr **term)
{
    term[0] = lower_value(s->l, s->node->in[0], at);
}

static void distance_term(Summing *s, const Coord *at, Expr **term)
{
    LoopBuilder *b = s->l->b;
    Expr *x = lower_value(s->l, s->node->in[0], at), *y = lower_value(s->l, s->node->in[1], at);
    Expr *difference = loop_let(b, "d", expr_op2(b, EXPR_SUB, x, y));
    term[0] = expr_op2(b, EXPR_MAX, difference, expr_op1(b, EXPR_NEG, difference));
}

static void shifted_term(Summing *s, const Coord *at, Expr **term)
{
    term[0] = expr_op2(s->l->b, EXPR_SUB, lower_value(s->l, s->node->in[0], at), s->origin);
}

static void square_term(Summing *s, const Coord *at, Expr **term)
{
    LoopBuilder *b = s->l->b;
    shifted_term(s, at, term);
    Expr *difference = loop_let(b, "d", expr_op2(b, EXPR_SUB, term[0], s->mean));
    term[0] = expr_op2(b, EXPR_MUL, difference, difference);
}

/* The gradient, and the gradient times the distance from the mean. */
static void norm_terms(Summing *s, const Coord *at, Expr **term)
{
    LoopBuilder *b = s->l->b;
    Expr *g = loop_let(b, "g", lower_value(s->l, s->node->in[0], at));
    Expr *x = lower_value(s->l, s->node->in[1], at);
    Expr *mean = lower_channel_value(s->l, s->node->in[2], s->node->in[1]->type.rank, 0, at);
    term[0] = g;
    term[1] = expr_op2(b, EXPR_MUL, g, expr_op2(b, EXPR_SUB, x, mean));
}

static TermRule *term_rule(Op op)
{
    return op == OP_L1 ? distance_term : op == OP_BATCH_NORM_SUMS ? norm_terms : input_term;
}

/* ---- pieces ----------------------------------------------------------------------------------------------
 */

/* Which axes of the input's view the output keeps. */
static void find_kept(Summing *s, bool kept[4])
{
    const Node *node = s->node;
    Type in = node->in[0]->type, out = node->type;
    for (int i = 0; i < 4; i++) kept[i] = false;
    if (node->op == OP_BATCH_STATISTICS || node->op == OP_BATCH_NORM_SUMS) {
        kept[view_axis(in.rank, 1)] = true;
        return;
    }
    for (int d = 0; d < out.rank; d++)
        if (out.dim[d] > 1) kept[view_axis(in.rank, d + in.rank - out.rank)] = true;
}

/* The innermost summed axes make up a piece, as many as it has room for. */
static void cut(Summing *s)
{
    int64_t room = has_two_walks(s) ? PIECE_IN_CACHE : PIECE;
    room /= s->vector < 0 ? s->block : s->axis[s->vector].role == AXIS_KEPT ? 1 : s->lanes;
    for (int i = 3; i >= 0; i--) {
        Axis *a = &s->axis[i];
        bool lanes_added = i == AXIS_C && s->vector < 0;
        a->pieces = 1;
        a->chunk = a->extent;
        if (a->role == AXIS_KEPT) {
            a->pieces = a->extent;
        } else if (room <= 1 || (lanes_added && a->extent > 1)) {
            a->role = a->extent > 1 ? AXIS_OUTER : AXIS_INNER;
            a->pieces = a->extent > 1 ? a->extent : 1;
            a->chunk = a->extent > 1 ? 1 : a->extent;
            room = 0;
        } else if (a->extent <= room) {
            room /= a->extent > 0 ? a->extent : 1;
        } else {
            a->role = AXIS_SPLIT;
            a->pieces = (a->extent + room - 1) / room;
            a->chunk = (a->extent + a->pieces - 1) / a->pieces;
            a->pieces = (a->extent + a->chunk - 1) / a->chunk;
            room = 0;
        }
    }
}

static Summing plan_sum(const Layout *layout, const Node *node)
{
    const Place *place = layout_place(layout, node->in[0]);
    View v = place->view;
    Summing s = {.node = node, .view = v, .block = place->block, .vector = -1, .slots = 1};
    int64_t extent[4] = {v.n, blocks_of(v.c, place->block), v.h, v.w};
    bool kept[4];
    find_kept(&s, kept);
    for (int i = 0; i < 4; i++)
        s.axis[i] = (Axis){.extent = extent[i], .role = kept[i] ? AXIS_KEPT : AXIS_INNER};
    if (place->block == 1) {
        s.vector = AXIS_X;
        while (s.vector > 0 && extent[s.vector] == 1) s.vector--;
        Axis *a = &s.axis[s.vector];
        s.lanes = layout->target->vector;
        s.rest = a->extent % s.lanes;
        if (a->role != AXIS_KEPT) {
            a->extent /= s.lanes;
            s.slots = (a->extent > 0 ? s.lanes : 0) + s.rest;
        }
    } else if (!kept[AXIS_C]) {
        s.slots = place->block;
    }
    cut(&s);
    s.channels = s.axis[AXIS_C].pieces * (kept[AXIS_C] ? place->block : 1);
    s.n_terms = node->op == OP_BATCH_STATISTICS || node->op == OP_BATCH_NORM_SUMS ? 2 : 1;
    return s;
}

/* Index of a term's sum: position[] is the piece's along each axis, of kept ones the coordinate; the channel,
 * or the piece of the channel axis, comes last, side by side. */
static Expr *partial_index(const Summing *s, int term, Expr *const position[4], Expr *slot)
{
    LoopBuilder *b = s->l->b;
    Expr *index = expr_int(b, term);
    const int order[3] = {AXIS_N, AXIS_Y, AXIS_X};
    for (int i = 0; i < 3; i++)
        index = expr_add(b, expr_scale(b, index, s->axis[order[i]].pieces), position[order[i]]);
    index = expr_add(b, expr_scale(b, index, s->slots), slot);
    return expr_add(b, expr_scale(b, index, s->channels), position[AXIS_C]);
}

static int64_t partial_elements(const Summing *s)
{
    return s->n_terms * s->axis[AXIS_N].pieces * s->axis[AXIS_Y].pieces * s->axis[AXIS_X].pieces * s->slots *
           s->channels;
}

/* ---- the first step --------------------------------------------------------------------------------------
 */

/* Sums of the terms over the axes from `axis` on, of which those in a piece are walked; the vector axis is
 * counted in whole vectors, to which the lane is added. */
typedef struct Walk {
    TermRule *term;
    int n_terms;
    Expr *const *piece; /* of SPLIT axes */
    Expr *lane;         /* NULL: not added to the vector axis' coordinate */
    bool behind;        /* the positions behind the last whole vector */
} Walk;

static const char *const axis_names[4] = {"n", "c", "y", "x"};

static void bounds(const Summing *s, int axis, Expr *piece, Expr **lo, Expr **hi)
{
    LoopBuilder *b = s->l->b;
    const Axis *a = &s->axis[axis];
    *lo = expr_int(b, 0);
    *hi = expr_int(b, a->extent);
    if (a->role != AXIS_SPLIT) return;
    *lo = expr_scale(b, piece, a->chunk);
    *hi = expr_add(b, *lo, expr_int(b, a->chunk));
    if (a->extent % a->chunk) *hi = expr_op2(b, EXPR_MIN, *hi, expr_int(b, a->extent));
}

static bool is_walked(const Summing *s, const Walk *w, int axis)
{
    const Axis *a = &s->axis[axis];
    if (axis == s->vector && w->behind) return false;
    return a->role == AXIS_SPLIT || (a->role == AXIS_INNER && (a->extent > 1 || axis == s->vector));
}

/* Spare lanes of the last block hold anything finite. */
static void leave_out_spare_lanes(Summing *s, const Coord *at, Expr **term, int n)
{
    LoopBuilder *b = s->l->b;
    bool added = s->block > 1 && s->axis[AXIS_C].role != AXIS_KEPT && s->view.c % s->block;
    if (!added) return;
    Expr *inside = expr_op2(b, EXPR_LT, coord_channel(s->l, at), expr_int(b, s->view.c));
    for (int i = 0; i < n; i++) term[i] = expr_op3(b, EXPR_SELECT, inside, term[i], expr_float(b, 0));
}

static void walk(Summing *s, const Walk *w, Coord *at, int axis, Expr **sum)
{
    LoopBuilder *b = s->l->b;
    while (axis < 4 && !is_walked(s, w, axis)) axis++;
    if (axis == 4) {
        w->term(s, at, sum);
        leave_out_spare_lanes(s, at, sum, w->n_terms);
        return;
    }
    Expr *lo, *hi, *total[MOST_TERMS], *part[MOST_TERMS], *next[MOST_TERMS];
    bounds(s, axis, w->piece[axis], &lo, &hi);
    Expr *i = loop_open(b, LOOP_REDUCE, axis_names[axis], lo, hi);
    for (int t = 0; t < w->n_terms; t++) total[t] = loop_carry(b, "total", expr_float(b, 0));
    if (axis == s->vector) i = expr_add(b, expr_scale(b, i, s->lanes), w->lane);
    *coord_axis(at, axis) = i;
    walk(s, w, at, axis + 1, part);
    for (int t = 0; t < w->n_terms; t++) next[t] = expr_op2(b, EXPR_ADD, total[t], part[t]);
    loop_close(b, next);
    for (int t = 0; t < w->n_terms; t++) sum[t] = total[t];
}

/* How many positions of one lane a piece holds, as an integer. */
static Expr *count_positions(const Summing *s, bool behind, Expr *const piece[4])
{
    LoopBuilder *b = s->l->b;
    Expr *count = expr_int(b, 1);
    for (int i = 0; i < 4; i++) {
        const Axis *a = &s->axis[i];
        if (a->role == AXIS_KEPT || a->role == AXIS_OUTER || (i == s->vector && behind)) continue;
        Expr *lo, *hi;
        bounds(s, i, piece[i], &lo, &hi);
        count = expr_op2(b, EXPR_MUL, count, expr_op2(b, EXPR_SUB, hi, lo));
    }
    return count;
}

/* The channel's first value. Whatever it is, values counted from there differ from their mean by little,
 * unlike those of a channel with a large mean counted from 0. */
static Expr *origin(Summing *s, const Coord *at)
{
    Coord first = *at;
    for (int i = 0; i < 4; i++)
        if (s->axis[i].role != AXIS_KEPT) *coord_axis(&first, i) = expr_int(s->l->b, 0);
    return loop_let(s->l->b, "origin", lower_value(s->l, s->node->in[0], &first));
}

/* Mean, and squares of what differs from it. */
static void walk_twice(Summing *s, Walk *w, Coord *at, Expr **sum)
{
    LoopBuilder *b = s->l->b;
    s->origin = origin(s, at);
    w->n_terms = 1;
    w->term = shifted_term;
    walk(s, w, at, 0, sum);
    Expr *count = expr_op1(b, EXPR_TO_FLOAT, count_positions(s, w->behind, w->piece));
    sum[0] = s->mean = loop_let(b, "mean", expr_op2(b, EXPR_DIV, sum[0], count));
    w->term = square_term;
    walk(s, w, at, 0, &sum[1]);
}

/* The sums of one piece and lane. Behind the last whole vector only the last piece has any. */
static void sum_piece(Summing *s, Walk *w, Coord *at, Expr **sum)
{
    LoopBuilder *b = s->l->b;
    w->term = term_rule(s->node->op);
    w->n_terms = s->n_terms;
    if (has_two_walks(s))
        walk_twice(s, w, at, sum);
    else
        walk(s, w, at, 0, sum);
    if (!w->behind || s->axis[s->vector].role != AXIS_SPLIT) return;
    Expr *last = expr_op2(b, EXPR_EQ, w->piece[s->vector], expr_int(b, s->axis[s->vector].pieces - 1));
    for (int t = 0; t < s->n_terms; t++) sum[t] = expr_op3(b, EXPR_SELECT, last, sum[t], expr_float(b, 0));
}

/* Opens the loops over all pieces and kept positions but those of lanes. */
static Coord open_pieces(Summing *s, Expr *piece[4])
{
    Lowering *l = s->l;
    Coord at = {.block = s->block, .lane = expr_int(l->b, 0)};
    for (int i = 0; i < 4; i++) {
        bool apart = s->axis[i].pieces > 1 && !(i == s->vector && s->axis[i].role == AXIS_KEPT);
        piece[i] =
            apart ? loop_open_n(l->b, LOOP_PARALLEL, axis_names[i], s->axis[i].pieces) : expr_int(l->b, 0);
        *coord_axis(&at, i) = piece[i];
    }
    return at;
}

/* Sums for `lanes` lanes side by side, stored from slot `first` on. */
static void lower_lanes(Summing *s, Coord at, Expr *const piece[4], int64_t lanes, int64_t first, bool behind)
{
    LoopBuilder *b = s->l->b;
    if (lanes == 0) return;
    Expr *sum[MOST_TERMS], *position[4] = {piece[0], piece[1], piece[2], piece[3]};
    Expr *lane = loop_open_n(b, LOOP_VECTOR, "l", lanes), *slot = expr_int(b, 0);
    bool kept = s->vector >= 0 && s->axis[s->vector].role == AXIS_KEPT;
    if (s->vector < 0)
        at.lane = lane;
    else if (kept)
        *coord_axis(&at, s->vector) = position[s->vector] = lane;
    else if (behind)
        *coord_axis(&at, s->vector) = expr_add(b, lane, expr_int(b, s->axis[s->vector].extent * s->lanes));
    if (s->vector < 0 && s->axis[AXIS_C].role == AXIS_KEPT)
        position[AXIS_C] = expr_add(b, expr_scale(b, piece[AXIS_C], s->block), lane);
    else if (!kept)
        slot = expr_add(b, lane, expr_int(b, first));
    Walk w = {.piece = piece, .lane = lane, .behind = behind};
    sum_piece(s, &w, &at, sum);
    int out = lower_storage(s->l, s->partial, BUFFER_OUT);
    for (int t = 0; t < s->n_terms; t++) loop_store(b, out, partial_index(s, t, position, slot), sum[t]);
    loop_close(b, NULL);
}

static void lower_pieces(Summing *s)
{
    Expr *piece[4];
    Coord at = open_pieces(s, piece);
    if (s->vector < 0) {
        lower_lanes(s, at, piece, s->block, 0, false);
    } else if (s->axis[s->vector].role == AXIS_KEPT) {
        lower_lanes(s, at, piece, s->axis[s->vector].extent, 0, false);
    } else {
        int64_t whole = s->slots - s->rest;
        lower_lanes(s, at, piece, whole, 0, false);
        lower_lanes(s, at, piece, s->rest, whole, true);
    }
    while (s->l->b->n_open) loop_close(s->l->b, NULL);
}

/* ---- the second step -------------------------------------------------------------------------------------
 */

/* What is added for a piece and slot, given where its terms lie. */
typedef Expr *PieceRule(Summing *s, Expr *const position[4], Expr *slot, int term);

static Expr *stored_sum(Summing *s, Expr *const position[4], Expr *slot, int term)
{
    int in = lower_storage(s->l, s->partial, BUFFER_IN);
    return expr_load(s->l->b, in, partial_index(s, term, position, slot));
}

/* How many values a piece and slot holds, as a float. */
static Expr *count_values(Summing *s, Expr *const position[4], Expr *slot)
{
    LoopBuilder *b = s->l->b;
    Expr *count = count_positions(s, false, position);
    if (s->vector >= 0 && s->axis[s->vector].role != AXIS_KEPT) {
        Expr *rest = count_positions(s, true, position);
        if (s->axis[s->vector].role == AXIS_SPLIT) {
            Expr *last =
                expr_op2(b, EXPR_EQ, position[s->vector], expr_int(b, s->axis[s->vector].pieces - 1));
            rest = expr_op3(b, EXPR_SELECT, last, rest, expr_int(b, 0));
        }
        Expr *is_whole = expr_op2(b, EXPR_LT, slot, expr_int(b, s->slots - s->rest));
        count = expr_op3(b, EXPR_SELECT, is_whole, count, rest);
    }
    return expr_op1(b, EXPR_TO_FLOAT, count);
}

/* A piece's mean, as often as it has values. */
static Expr *weighted_mean(Summing *s, Expr *const position[4], Expr *slot, int term)
{
    Expr *mean = stored_sum(s, position, slot, term);
    return expr_op2(s->l->b, EXPR_MUL, count_values(s, position, slot), mean);
}

/* Squares about the mean of all: those about the piece's, and of how far that is off, as often as it has
 * values. */
static Expr *moved_squares(Summing *s, Expr *const position[4], Expr *slot, int term)
{
    LoopBuilder *b = s->l->b;
    Expr *off = loop_let(b, "off", expr_op2(b, EXPR_SUB, stored_sum(s, position, slot, 0), s->mean));
    Expr *moved = expr_op2(b, EXPR_MUL, count_values(s, position, slot), expr_op2(b, EXPR_MUL, off, off));
    return expr_op2(b, EXPR_ADD, stored_sum(s, position, slot, term), moved);
}

/* Loops over what is left to add: pieces of axis `axis` and after, then slots (axis 4). */
static Expr *add_pieces(Summing *s, PieceRule *rule, Expr **position, int axis, int term)
{
    LoopBuilder *b = s->l->b;
    while (axis < 4 && (s->axis[axis].role == AXIS_KEPT || s->axis[axis].pieces == 1)) axis++;
    if (axis == 4 && s->slots == 1) return rule(s, position, expr_int(b, 0), term);
    int64_t count = axis < 4 ? s->axis[axis].pieces : s->slots;
    Expr *i = loop_open_n(b, LOOP_REDUCE, axis < 4 ? axis_names[axis] : "slot", count);
    Expr *total = loop_carry(b, "total", expr_float(b, 0));
    if (axis < 4) position[axis] = i;
    Expr *part = axis < 4 ? add_pieces(s, rule, position, axis + 1, term) : rule(s, position, i, term);
    Expr *next = expr_op2(b, EXPR_ADD, total, part);
    loop_close(b, &next);
    return total;
}

static int64_t summed_elements(const Summing *s)
{
    int64_t outer = s->node->type.rank ? type_elements(s->node->type) : 1;
    return type_elements(s->node->in[0]->type) / (s->n_terms == 2 ? outer / 2 : outer);
}

static void store_at(Summing *s, Coord at, int term, Expr *value)
{
    const Place *place = layout_place(s->l->layout, s->node);
    Coord out = at;
    Type in = s->node->in[0]->type, type = s->node->type;
    out.lane = expr_int(s->l->b, 0);
    if (s->n_terms == 2) {
        out.n = expr_int(s->l->b, term);
        out.cb = *coord_axis(&at, view_axis(in.rank, 1));
    } else {
        for (int d = 0; d < type.rank; d++)
            *coord_axis(&out, view_axis(type.rank, d)) =
                *coord_axis(&at, view_axis(in.rank, d + in.rank - type.rank));
    }
    loop_store(s->l->b, lower_storage(s->l, place->storage, BUFFER_OUT), place_index(s->l, place, &out),
               value);
}

static Expr *times(LoopBuilder *b, Expr *x, double factor)
{
    return factor == 1 ? x : expr_op2(b, EXPR_MUL, x, expr_float(b, factor));
}

static Expr *add_all(Summing *s, PieceRule *rule, Expr *const kept[4], int term)
{
    Expr *position[4] = {kept[0], kept[1], kept[2], kept[3]};
    return add_pieces(s, rule, position, 0, term);
}

static void lower_statistics(Summing *s, Coord at, Expr *const kept[4])
{
    LoopBuilder *b = s->l->b;
    double each = 1 / (double)summed_elements(s);
    s->mean = loop_let(b, "mean", times(b, add_all(s, weighted_mean, kept, 0), each));
    store_at(s, at, 0, expr_op2(b, EXPR_ADD, origin(s, &at), s->mean));
    store_at(s, at, 1, times(b, add_all(s, moved_squares, kept, 1), each));
}

/* at: the kept coordinates, in the plain output. */
static void lower_results(Summing *s, Coord at, Expr *const kept[4])
{
    LoopBuilder *b = s->l->b;
    Op op = s->node->op;
    for (int t = 0; t < s->n_terms; t++) {
        Expr *value = add_all(s, stored_sum, kept, t);
        if (op == OP_MEAN || op == OP_L1) value = times(b, value, 1 / (double)summed_elements(s));
        if (op == OP_BATCH_NORM_SUMS && t == 1)
            value = expr_op2(b, EXPR_MUL, value,
                             lower_deviation(s->l, s->node, s->node->in[2], s->node->in[1]->type.rank, &at));
        store_at(s, at, t, value);
    }
}

static void lower_whole(Summing *s)
{
    Lowering *l = s->l;
    LoopBuilder *b = l->b;
    View v = s->view;
    int64_t extent[4] = {v.n, v.c, v.h, v.w};
    int vector = -1;
    for (int i = 0; i < 4; i++) {
        if (s->axis[i].role != AXIS_KEPT) extent[i] = 1;
        if (extent[i] > 1) vector = i;
    }
    if (extent[AXIS_C] > 1) vector = AXIS_C; /* side by side in memory */
    Coord at = {.block = 1, .lane = expr_int(b, 0)};
    int64_t lanes = l->layout->target->vector;
    for (int i = 0; i < 4; i++)
        *coord_axis(&at, i) = extent[i] > 1 && i != vector
                                  ? loop_open_n(b, LOOP_PARALLEL, axis_names[i], extent[i])
                                  : expr_int(b, 0);
    if (vector >= 0) {
        bool whole = extent[vector] % lanes == 0;
        Expr *start = whole ? expr_scale(b, loop_open_n(b, LOOP_PARALLEL, "v", extent[vector] / lanes), lanes)
                            : expr_int(b, 0);
        Expr *lane = loop_open_n(b, LOOP_VECTOR, "l", whole ? lanes : extent[vector]);
        *coord_axis(&at, vector) = expr_add(b, start, lane);
    }
    Expr *kept[4] = {at.n, at.cb, at.y, at.x};
    (has_two_walks(s) ? lower_statistics : lower_results)(s, at, kept);
    while (b->n_open) loop_close(b, NULL);
}

static void lower_step(StepList *list, const Fusion *fusion, const Group *group, Summing *s, bool whole)
{
    Step step = lower_new_step(fusion, group);
    const char *kind = lower_kind(fusion, group);
    LoopBuilder b = loop_builder(list->arena, whole ? kind : arena_printf(list->arena, "%s pieces", kind));
    Lowering l = {.arena = list->arena,
                  .layout = fusion->layout,
                  .fusion = fusion,
                  .group = group,
                  .b = &b,
                  .step = &step};
    s->l = &l;
    if (whole) step.flops = step.bytes = 0;
    (whole ? lower_whole : lower_pieces)(s);
    lower_finish_step(list, &step, loop_finish(&b));
}

void lower_sum(StepList *list, const Fusion *fusion, const Group *group)
{
    Summing s = plan_sum(fusion->layout, group->root);
    s.partial = layout_storage(fusion->layout, STORAGE_ARENA, F32, partial_elements(&s));
    lower_step(list, fusion, group, &s, false);
    lower_step(list, fusion, group, &s, true);
}
