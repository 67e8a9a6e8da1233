/* See ref_interp.h. A walk over the tree: values live in an array indexed by Var.id, and evaluation is one
 * recursive function per type. Nothing is compiled or remembered, on purpose.
 */
#include "ref_interp.h"
#include "conv_spec.h"
#include "filter_spec.h"
#include "rt_status.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* By the type of the variable: floats in f; integers and conditions in i. */
typedef union Value {
    double f;
    int64_t i;
} Value;

typedef struct Interp {
    const Kernel *kernel;
    void *const *buffers;
    Value *vars; /* by Var.id */
} Interp;

/* A mistake of the compiler: says which, with the kernel, and stops. */
static void fault(const Interp *in, const char *what, int64_t value, const Buffer *buffer)
{
    Arena *arena = arena_new();
    const char *name = in->kernel->name ? in->kernel->name : in->kernel->kind;
    fprintf(stderr, "%s: %s: %lld", name, what, (long long)value);
    if (buffer) fprintf(stderr, " (buffer %s of %lld elements)", buffer->name, (long long)buffer->elements);
    fprintf(stderr, "\n%s", loop_text(arena, in->kernel));
    abort();
}

static const Buffer *checked_buffer(const Interp *in, int buffer, int64_t index)
{
    const Buffer *b = &in->kernel->buffers[buffer];
    if (index < 0 || index >= b->elements) fault(in, "index out of reach", index, b);
    return b;
}

/* ---- expressions --------------------------------------------------------------------------------- */

static int64_t eval_int(const Interp *in, const Expr *e);
static bool eval_bool(const Interp *in, const Expr *e);

static double eval_float(const Interp *in, const Expr *e)
{
    double x, y;
    switch (e->kind) {
    case EXPR_FLOAT: return e->f;
    case EXPR_VAR: return in->vars[e->var->id].f;
    case EXPR_LOAD: {
        if (e->arg[1] && !eval_bool(in, e->arg[1])) return 0;
        int64_t index = eval_int(in, e->arg[0]);
        checked_buffer(in, e->buffer, index);
        return ((const float *)in->buffers[e->buffer])[index];
    }
    case EXPR_SELECT: return eval_float(in, e->arg[eval_bool(in, e->arg[0]) ? 1 : 2]);
    case EXPR_TO_FLOAT:
        return e->arg[0]->type == SCALAR_F32    ? eval_float(in, e->arg[0])
               : e->arg[0]->type == SCALAR_BOOL ? eval_bool(in, e->arg[0])
                                                : (double)eval_int(in, e->arg[0]);
    case EXPR_NEG: return -eval_float(in, e->arg[0]);
    case EXPR_EXP: return exp(eval_float(in, e->arg[0]));
    case EXPR_LOG: return log(eval_float(in, e->arg[0]));
    case EXPR_SQRT: return sqrt(eval_float(in, e->arg[0]));
    default: break;
    }
    x = eval_float(in, e->arg[0]);
    y = eval_float(in, e->arg[1]);
    switch (e->kind) {
    case EXPR_ADD: return x + y;
    case EXPR_SUB: return x - y;
    case EXPR_MUL: return x * y;
    case EXPR_DIV: return x / y;
    case EXPR_MIN: return x < y ? x : y;
    case EXPR_MAX: return x > y ? x : y;
    case EXPR_FMA: return x * y + eval_float(in, e->arg[2]);
    default: fault(in, "not a float expression", e->kind, NULL); return 0;
    }
}

static int64_t load_int(const Interp *in, const Expr *e)
{
    if (e->arg[1] && !eval_bool(in, e->arg[1])) return 0;
    int64_t index = eval_int(in, e->arg[0]);
    const Buffer *b = checked_buffer(in, e->buffer, index);
    const void *data = in->buffers[e->buffer];
    return b->dtype == U8 ? ((const uint8_t *)data)[index] : ((const int32_t *)data)[index];
}

static int64_t float_to_int(const Interp *in, double x)
{
    if (!(fabs(x) < 9e18))
        fault(in, "float that no integer holds, about", x > 0 ? INT64_MAX : INT64_MIN, NULL);
    return (int64_t)x;
}

static int64_t eval_int(const Interp *in, const Expr *e)
{
    int64_t x, y;
    switch (e->kind) {
    case EXPR_INT: return e->i;
    case EXPR_VAR: return in->vars[e->var->id].i;
    case EXPR_LOAD: return load_int(in, e);
    case EXPR_SELECT: return eval_int(in, e->arg[eval_bool(in, e->arg[0]) ? 1 : 2]);
    case EXPR_TO_INT:
        return e->arg[0]->type == SCALAR_F32    ? float_to_int(in, eval_float(in, e->arg[0]))
               : e->arg[0]->type == SCALAR_BOOL ? eval_bool(in, e->arg[0])
                                                : eval_int(in, e->arg[0]);
    case EXPR_NEG: return -eval_int(in, e->arg[0]);
    default: break;
    }
    x = eval_int(in, e->arg[0]);
    y = eval_int(in, e->arg[1]);
    switch (e->kind) {
    case EXPR_ADD: return x + y;
    case EXPR_SUB: return x - y;
    case EXPR_MUL: return x * y;
    case EXPR_DIV:
    case EXPR_MOD:
        if (y <= 0) fault(in, "division by", y, NULL);
        if (x < 0) fault(in, "division of", x, NULL);
        return e->kind == EXPR_DIV ? x / y : x % y;
    case EXPR_MIN: return x < y ? x : y;
    case EXPR_MAX: return x > y ? x : y;
    case EXPR_FMA: return x * y + eval_int(in, e->arg[2]);
    default: fault(in, "not an integer expression", e->kind, NULL); return 0;
    }
}

static bool compare_floats(ExprKind kind, double x, double y)
{
    return kind == EXPR_LT ? x < y : kind == EXPR_LE ? x <= y : kind == EXPR_GT ? x > y : x == y;
}

static bool compare_ints(ExprKind kind, int64_t x, int64_t y)
{
    return kind == EXPR_LT ? x < y : kind == EXPR_LE ? x <= y : kind == EXPR_GT ? x > y : x == y;
}

static bool eval_bool(const Interp *in, const Expr *e)
{
    const Expr *x = e->arg[0], *y = e->arg[1];
    switch (e->kind) {
    case EXPR_VAR: return in->vars[e->var->id].i != 0;
    case EXPR_AND: return eval_bool(in, x) && eval_bool(in, y);
    case EXPR_SELECT: return eval_bool(in, eval_bool(in, x) ? y : e->arg[2]);
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_EQ: break;
    default: fault(in, "not a condition", e->kind, NULL);
    }
    switch (x->type) {
    case SCALAR_F32: return compare_floats(e->kind, eval_float(in, x), eval_float(in, y));
    case SCALAR_INT: return compare_ints(e->kind, eval_int(in, x), eval_int(in, y));
    default: return compare_ints(e->kind, eval_bool(in, x), eval_bool(in, y));
    }
}

static Value eval(const Interp *in, const Expr *e)
{
    switch (e->type) {
    case SCALAR_F32: return (Value){.f = eval_float(in, e)};
    case SCALAR_INT: return (Value){.i = eval_int(in, e)};
    default: return (Value){.i = eval_bool(in, e)};
    }
}

/* ---- statements ---------------------------------------------------------------------------------- */

static void store(const Interp *in, int buffer, int64_t index, const Expr *value)
{
    const Buffer *b = checked_buffer(in, buffer, index);
    if ((b->dtype == F32) != (value->type == SCALAR_F32)) fault(in, "value of another type stored", index, b);
    if (b->dtype == F32) {
        ((float *)in->buffers[buffer])[index] = (float)eval_float(in, value);
        return;
    }
    int64_t i = value->type == SCALAR_BOOL ? eval_bool(in, value) : eval_int(in, value);
    bool fits = b->dtype == U8 ? i >= 0 && i <= UINT8_MAX : i >= INT32_MIN && i <= INT32_MAX;
    if (!fits) fault(in, "integer too large for its buffer", i, b);
    if (b->dtype == U8)
        ((uint8_t *)in->buffers[buffer])[index] = (uint8_t)i;
    else
        ((int32_t *)in->buffers[buffer])[index] = (int32_t)i;
}

static void run_block(Interp *in, const Stmt *stmt);

/* All next values are made before any carried value changes: one may use the others. */
static void step_carries(Interp *in, const Stmt *loop)
{
    enum { FEW = 16 };
    Value few[FEW];
    Value *next = loop->n_carries <= FEW ? few : rt_alloc(sizeof *next * (size_t)loop->n_carries);
    if (!next) fault(in, "no memory for carried values, of which there are", loop->n_carries, NULL);
    for (int i = 0; i < loop->n_carries; i++) next[i] = eval(in, loop->carries[i].next);
    for (int i = 0; i < loop->n_carries; i++) in->vars[loop->carries[i].var->id] = next[i];
    if (next != few) rt_free(next);
}

static void run_loop(Interp *in, const Stmt *loop)
{
    int64_t lo = eval_int(in, loop->lo), hi = eval_int(in, loop->hi);
    for (int i = 0; i < loop->n_carries; i++)
        in->vars[loop->carries[i].var->id] = eval(in, loop->carries[i].init);
    for (int64_t i = lo; i < hi; i++) {
        in->vars[loop->var->id].i = i;
        run_block(in, loop->body);
        step_carries(in, loop);
    }
}

static void run_block(Interp *in, const Stmt *stmt)
{
    for (; stmt; stmt = stmt->next) {
        switch (stmt->kind) {
        case STMT_LOOP: run_loop(in, stmt); break;
        case STMT_LET: in->vars[stmt->var->id] = eval(in, stmt->value); break;
        case STMT_STORE: store(in, stmt->buffer, eval_int(in, stmt->index), stmt->value); break;
        }
    }
}

static bool is_parallel(const Stmt *stmt)
{
    return stmt && stmt->kind == STMT_LOOP && stmt->loop == LOOP_PARALLEL;
}

/* Sets the variables of the parallel loops from the unit's number, the first loop outermost, and runs what is
 * inside. */
static void run_unit(Interp *in, int64_t unit)
{
    int64_t inner = in->kernel->units;
    const Stmt *stmt = in->kernel->body;
    for (; is_parallel(stmt); stmt = stmt->body) {
        inner /= stmt->hi->i - stmt->lo->i;
        in->vars[stmt->var->id].i = stmt->lo->i + unit / inner;
        unit %= inner;
    }
    run_block(in, stmt);
}

/* ---- contractions by template -------------------------------------------------------------------- */

/* acc of conv_spec.h for one filter and pixel. */
static double conv_sum(const Interp *in, const ConvSpec *c, int64_t n, int64_t cb, int64_t y, int64_t x)
{
    int64_t block = c->schedule.block, vectors = c->schedule.vectors, unit = c->schedule.unit;
    int64_t lane = in->vars[c->var_lane->id].i;
    int64_t first = c->group_filters > 0 ? cb * block / c->group_filters * c->units : 0;
    double sum = 0;
    for (int64_t u = 0; u < c->units; u++) {
        for (int64_t tap = 0; tap < (int64_t)c->ny * c->nx; tap++) {
            int64_t ty = tap / c->nx, tx = tap % c->nx;
            int64_t pixel = c->in_offset + n * c->in_n +
                            (y * c->stride_y + c->dy + ty * c->dy_step) * c->in_y +
                            (x * c->stride_x + c->dx + tx * c->dx_step) * c->in_x;
            for (int64_t k = 0; k < unit; k++) {
                int64_t channel = (first + u) * unit;
                int64_t at =
                    pixel + channel / c->in_lanes * c->in_block + (channel % c->in_lanes + k) * c->in_lane;
                int64_t weight = ((((cb / vectors * c->units + u) * c->ny + ty) * c->nx + tx) * unit + k) *
                                     vectors * block +
                                 cb % vectors * block + lane;
                checked_buffer(in, 0, at);
                checked_buffer(in, 1, weight);
                sum += (double)((const float *)in->buffers[0])[at] *
                       (double)((const float *)in->buffers[1])[weight];
            }
        }
    }
    return sum;
}

/* The formula of conv_spec.h, as it stands there. */
static void run_conv(Interp *in)
{
    const ConvSpec *c = in->kernel->conv;
    int64_t block = c->schedule.block, pixels = c->oh * c->ow;
    for (int64_t i = 0; i < c->n * c->filter_blocks * pixels * block; i++) {
        int64_t lane = i % block, x = i / block % c->ow, y = i / block / c->ow % c->oh;
        int64_t cb = i / block / pixels % c->filter_blocks, n = i / block / pixels / c->filter_blocks;
        in->vars[c->var_n->id].i = n;
        in->vars[c->var_cb->id].i = cb;
        in->vars[c->var_lane->id].i = lane;
        in->vars[c->var_y->id].i = y;
        in->vars[c->var_x->id].i = x;
        in->vars[c->var_acc->id].f = conv_sum(in, c, n, cb, y, x);
        for (const Stmt *let = c->lets; let && let->kind == STMT_LET; let = let->next)
            in->vars[let->var->id] = eval(in, let->value);
        store(in, 2, c->out_offset + n * c->out_n + cb * c->out_block + y * c->out_y + x * c->out_x + lane,
              c->value);
    }
}

/* ---- weight gradients by template ---------------------------------------------------------------- */

/* One sum of filter_spec.h over the chunks of a piece. */
static double filter_sum(const Interp *in, const FilterSpec *s, int64_t piece, int64_t one, int64_t many)
{
    int64_t chunks = filter_chunks(s), all = s->n * chunks;
    double sum = 0;
    for (int64_t c = filter_part(all, piece, s->pieces); c < filter_part(all, piece + 1, s->pieces); c++)
        for (int64_t i = 0; i < s->chunk_rows * s->ow; i++) {
            int64_t y = c % chunks * s->chunk_rows + i / s->ow, x = i % s->ow, n = c / chunks;
            if (y >= s->oh) break;
            int64_t value = one + s->one.offset + n * s->one.n + y * s->one.y + x * s->one.x;
            int64_t vector = many + s->many.offset + n * s->many.n + y * s->many.y + x * s->many.x;
            checked_buffer(in, 0, value);
            checked_buffer(in, 1, vector);
            sum += (double)((const float *)in->buffers[0])[value] *
                   (double)((const float *)in->buffers[1])[vector];
        }
    return sum;
}

/* All sums of a tile: values, taps, vectors of all vector tiles, lanes. */
static void run_filter_tile(const Interp *in, const FilterSpec *s, int64_t piece, const FilterTile *tile)
{
    int64_t vectors = s->many_tiles * s->shape.vectors;
    for (int64_t i = 0; i < tile->values * s->n_taps * vectors * s->block; i++) {
        int64_t lane = i % s->block, v = i / s->block % vectors;
        int64_t p = i / s->block / vectors % tile->values, tap = i / s->block / vectors / tile->values;
        int64_t to =
            piece * s->sum_piece + tile->sum + s->taps[tap].sum + p * s->sum_value + v * s->sum_vector + lane;
        checked_buffer(in, 2, to);
        ((float *)in->buffers[2])[to] =
            (float)filter_sum(in, s, piece, tile->one + s->taps[tap].one + p * s->one.step,
                              tile->many + s->taps[tap].many + v * s->many.step + lane);
    }
}

static void run_filter(const Interp *in)
{
    const FilterSpec *s = in->kernel->filter;
    for (int64_t piece = 0; piece < s->pieces; piece++)
        for (int64_t i = 0; i < s->n_tiles; i++) run_filter_tile(in, s, piece, &s->tiles[i]);
}

/* ---- kernels ------------------------------------------------------------------------------------- */

bool interp_run_units(const Kernel *kernel, void *const *buffers, int64_t begin, int64_t end)
{
    Value *vars = rt_alloc(sizeof *vars * (size_t)(kernel->n_vars + 1));
    if (!vars) return false;
    Interp in = {kernel, buffers, vars};
    if (kernel->conv) {
        assert(begin == 0 && end == kernel->units);
        run_conv(&in);
    } else if (kernel->filter) {
        assert(begin == 0 && end == kernel->units);
        run_filter(&in);
    } else {
        for (int64_t unit = begin; unit < end; unit++) run_unit(&in, unit);
    }
    rt_free(vars);
    return true;
}

bool interp_run(const Kernel *kernel, void *const *buffers)
{
    return interp_run_units(kernel, buffers, 0, kernel->units);
}
