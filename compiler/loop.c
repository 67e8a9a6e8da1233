/* Building kernels: see loop.h. Expressions fold as they are made, so lowering rules can be written plainly.
 */
#include "loop.h"

#include <assert.h>
#include <math.h>
#include <string.h>

LoopBuilder loop_builder(Arena *arena, const char *kind)
{
    LoopBuilder b = {.arena = arena, .kernel = ARENA_NEW(arena, Kernel)};
    b.kernel->kind = kind;
    b.tail = &b.kernel->body;
    return b;
}

/* Product of the extents of the parallel loops, which lowering opens first and with constant bounds. */
static int64_t count_units(const Stmt *stmt)
{
    if (!stmt || stmt->kind != STMT_LOOP || stmt->loop != LOOP_PARALLEL) return 1;
    assert(stmt->lo->kind == EXPR_INT && stmt->hi->kind == EXPR_INT && !stmt->next);
    return (stmt->hi->i - stmt->lo->i) * count_units(stmt->body);
}

Kernel *loop_finish(LoopBuilder *b)
{
    assert(b->n_open == 0);
    b->kernel->units = count_units(b->kernel->body);
    b->kernel->n_vars = b->next_var;
    return b->kernel;
}

int loop_buffer(LoopBuilder *b, const char *name, Dtype dtype, BufferRole role, int64_t elements)
{
    assert(b->kernel->n_buffers < MAX_BUFFERS);
    b->kernel->buffers[b->kernel->n_buffers] = (Buffer){name, dtype, role, elements};
    return b->kernel->n_buffers++;
}

static Expr *expr_new(LoopBuilder *b, ExprKind kind, ScalarType type)
{
    Expr *e = ARENA_NEW(b->arena, Expr);
    e->kind = kind;
    e->type = type;
    return e;
}

Expr *expr_int(LoopBuilder *b, int64_t value)
{
    Expr *e = expr_new(b, EXPR_INT, SCALAR_INT);
    e->i = value;
    return e;
}

Expr *expr_float(LoopBuilder *b, double value)
{
    Expr *e = expr_new(b, EXPR_FLOAT, SCALAR_F32);
    e->f = value;
    return e;
}

Expr *expr_var(LoopBuilder *b, Var *var)
{
    Expr *e = expr_new(b, EXPR_VAR, var->type);
    e->var = var;
    return e;
}

Expr *expr_load_if(LoopBuilder *b, int buffer, Expr *index, Expr *guard)
{
    const Buffer *from = &b->kernel->buffers[buffer];
    Expr *e = expr_new(b, EXPR_LOAD, from->dtype == F32 ? SCALAR_F32 : SCALAR_INT);
    e->buffer = buffer;
    e->arg[0] = index;
    e->arg[1] = guard;
    return e;
}

Expr *expr_load(LoopBuilder *b, int buffer, Expr *index)
{
    return expr_load_if(b, buffer, index, NULL);
}

static bool is_int(const Expr *e, int64_t value)
{
    return e->kind == EXPR_INT && e->i == value;
}

static bool is_float(const Expr *e, double value)
{
    return e->kind == EXPR_FLOAT && e->f == value;
}

Expr *expr_op1(LoopBuilder *b, ExprKind op, Expr *x)
{
    ScalarType type = op == EXPR_TO_FLOAT ? SCALAR_F32 : op == EXPR_TO_INT ? SCALAR_INT : x->type;
    if (op == EXPR_TO_FLOAT && x->kind == EXPR_INT) return expr_float(b, (double)x->i);
    if (op == EXPR_NEG && x->kind == EXPR_FLOAT) return expr_float(b, -x->f);
    if (op == EXPR_NEG && x->kind == EXPR_INT) return expr_int(b, -x->i);
    Expr *e = expr_new(b, op, type);
    e->arg[0] = x;
    return e;
}

static Expr *fold_ints(LoopBuilder *b, ExprKind op, int64_t x, int64_t y)
{
    switch (op) {
    case EXPR_ADD: return expr_int(b, x + y);
    case EXPR_SUB: return expr_int(b, x - y);
    case EXPR_MUL: return expr_int(b, x * y);
    case EXPR_DIV: return y ? expr_int(b, x / y) : NULL;
    case EXPR_MOD: return y ? expr_int(b, x % y) : NULL;
    case EXPR_MIN: return expr_int(b, x < y ? x : y);
    case EXPR_MAX: return expr_int(b, x > y ? x : y);
    default: return NULL;
    }
}

/* Identities that hold for every value, NaN and infinities included for floats. */
static Expr *fold_identity(ExprKind op, Expr *x, Expr *y)
{
    if (op == EXPR_ADD && is_int(x, 0)) return y;
    if ((op == EXPR_ADD || op == EXPR_SUB) && is_int(y, 0)) return x;
    if (op == EXPR_MUL && (is_int(x, 1) || is_float(x, 1))) return y;
    if ((op == EXPR_MUL || op == EXPR_DIV) && (is_int(y, 1) || is_float(y, 1))) return x;
    if (op == EXPR_MUL && is_int(x, 0)) return x;
    if (op == EXPR_MUL && is_int(y, 0)) return y;
    return NULL;
}

Expr *expr_op2(LoopBuilder *b, ExprKind op, Expr *x, Expr *y)
{
    assert(x->type == y->type);
    if (x->kind == EXPR_INT && y->kind == EXPR_INT) {
        Expr *folded = fold_ints(b, op, x->i, y->i);
        if (folded) return folded;
    }
    Expr *same = fold_identity(op, x, y);
    if (same) return same;
    bool compares = op == EXPR_LT || op == EXPR_LE || op == EXPR_GT || op == EXPR_EQ;
    Expr *e = expr_new(b, op, compares ? SCALAR_BOOL : x->type);
    e->arg[0] = x;
    e->arg[1] = y;
    return e;
}

Expr *expr_op3(LoopBuilder *b, ExprKind op, Expr *x, Expr *y, Expr *z)
{
    Expr *e = expr_new(b, op, y->type);
    e->arg[0] = x;
    e->arg[1] = y;
    e->arg[2] = z;
    return e;
}

Expr *expr_add(LoopBuilder *b, Expr *x, Expr *y)
{
    return expr_op2(b, EXPR_ADD, x, y);
}

Expr *expr_scale(LoopBuilder *b, Expr *x, int64_t factor)
{
    return expr_op2(b, EXPR_MUL, x, expr_int(b, factor));
}

static void append(LoopBuilder *b, Stmt *stmt)
{
    *b->tail = stmt;
    b->tail = &stmt->next;
}

static Var *var_new(LoopBuilder *b, const char *name, ScalarType type)
{
    Var *var = ARENA_NEW(b->arena, Var);
    *var = (Var){.name = name, .type = type, .id = b->next_var++};
    return var;
}

Expr *loop_open(LoopBuilder *b, LoopKind kind, const char *name, Expr *lo, Expr *hi)
{
    assert(b->n_open < (int)(sizeof b->open / sizeof *b->open));
    Stmt *loop = ARENA_NEW(b->arena, Stmt);
    *loop = (Stmt){.kind = STMT_LOOP, .loop = kind, .var = var_new(b, name, SCALAR_INT), .lo = lo, .hi = hi};
    append(b, loop);
    b->open[b->n_open++] = loop;
    b->tail = &loop->body;
    return expr_var(b, loop->var);
}

Expr *loop_open_n(LoopBuilder *b, LoopKind kind, const char *name, int64_t count)
{
    return loop_open(b, kind, name, expr_int(b, 0), expr_int(b, count));
}

Expr *loop_carry(LoopBuilder *b, const char *name, Expr *init)
{
    Stmt *loop = b->open[b->n_open - 1];
    assert(loop->loop == LOOP_REDUCE);
    Carry *more = ARENA_ARRAY(b->arena, Carry, loop->n_carries + 1);
    if (loop->n_carries) memcpy(more, loop->carries, sizeof *more * (size_t)loop->n_carries);
    more[loop->n_carries] = (Carry){.var = var_new(b, name, init->type), .init = init};
    loop->carries = more;
    return expr_var(b, more[loop->n_carries++].var);
}

void loop_close(LoopBuilder *b, Expr *const *next)
{
    Stmt *loop = b->open[--b->n_open];
    for (int i = 0; i < loop->n_carries; i++) loop->carries[i].next = next[i];
    b->tail = &loop->next;
}

Expr *loop_let(LoopBuilder *b, const char *name, Expr *value)
{
    Stmt *let = ARENA_NEW(b->arena, Stmt);
    *let = (Stmt){.kind = STMT_LET, .var = var_new(b, name, value->type), .value = value};
    append(b, let);
    return expr_var(b, let->var);
}

void loop_store(LoopBuilder *b, int buffer, Expr *index, Expr *value)
{
    Stmt *store = ARENA_NEW(b->arena, Stmt);
    *store = (Stmt){.kind = STMT_STORE, .buffer = buffer, .index = index, .value = value};
    append(b, store);
}

/* A let inside a vector loop may hide the loop's variable: such an index is treated as not affine unless its
 * value is known not to vary, which only loop variables of other loops guarantee; see expr_stride's callers.
 */
int64_t expr_stride(const Expr *index, const Var *var)
{
    int64_t x, y;
    switch (index->kind) {
    case EXPR_INT:
    case EXPR_FLOAT: return 0;
    case EXPR_VAR: return index->var == var ? 1 : 0;
    case EXPR_ADD:
    case EXPR_SUB:
        x = expr_stride(index->arg[0], var);
        y = expr_stride(index->arg[1], var);
        if (x == STRIDE_VARIES || y == STRIDE_VARIES) return STRIDE_VARIES;
        return index->kind == EXPR_ADD ? x + y : x - y;
    case EXPR_MUL:
        x = expr_stride(index->arg[0], var);
        y = expr_stride(index->arg[1], var);
        if (x == 0 && y == 0) return 0;
        if (x == STRIDE_VARIES || y == STRIDE_VARIES) return STRIDE_VARIES;
        if (y == 0 && index->arg[1]->kind == EXPR_INT) return x * index->arg[1]->i;
        if (x == 0 && index->arg[0]->kind == EXPR_INT) return y * index->arg[0]->i;
        return STRIDE_VARIES;
    default:
        for (int i = 0; i < 3; i++)
            if (index->arg[i] && expr_stride(index->arg[i], var) != 0) return STRIDE_VARIES;
        return 0;
    }
}
