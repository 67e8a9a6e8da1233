/* Loop kernels: statements of the loop IR. See cpu_llvm.h. */
#include "cpu_llvm.h"

#include <assert.h>

static void emit_block(Emit *e, const Stmt *stmt);

static bool constant_bounds(const Stmt *loop)
{
    return loop->lo->kind == EXPR_INT && loop->hi->kind == EXPR_INT;
}

/* Iterations lo.. of `lanes` at a time, as many as fit below hi. Returns where it stopped. */
static int64_t emit_lanes(Emit *e, const Stmt *loop, int64_t lo, int64_t hi, int lanes)
{
    int64_t turns = (hi - lo) / lanes, stop = lo + turns * lanes;
    if (turns == 0) return lo;
    const Var *outer = e->vector_var;
    int outer_lanes = e->lanes;
    if (lanes > 1) {
        e->lanes = lanes;
        e->vector_var = loop->var;
    }
    if (turns == 1) {
        emit_bind(e, loop->var, NULL, lo);
        emit_block(e, loop->body);
    } else {
        EmitLoop l = emit_loop_begin(e, emit_int(e, lo), emit_int(e, stop), lanes, NULL, 0, false);
        emit_bind(e, loop->var, l.counter, 0);
        emit_block(e, loop->body);
        emit_loop_end(e, &l, NULL, NULL);
        e->n_cache = 0;
    }
    e->lanes = outer_lanes;
    e->vector_var = outer;
    return stop;
}

/* Full vectors, then one narrower vector if it pays, then singles. */
static void emit_vector_loop(Emit *e, const Stmt *loop)
{
    assert(constant_bounds(loop));
    int64_t lo = loop->lo->i, hi = loop->hi->i;
    for (int lanes = e->target->vector; lanes >= 1; lanes = lanes > 4 ? 4 : lanes > 1 ? 1 : 0)
        lo = emit_lanes(e, loop, lo, hi, lanes);
}

static void emit_plain_loop(Emit *e, const Stmt *loop)
{
    LLVMValueRef init[8], next[8], out[8];
    int n = loop->n_carries;
    assert(n <= 8);
    for (int i = 0; i < n; i++) init[i] = emit_expr_vector(e, loop->carries[i].init);
    bool known = constant_bounds(loop);
    if (known && loop->hi->i <= loop->lo->i) {
        for (int i = 0; i < n; i++) emit_bind(e, loop->carries[i].var, init[i], 0);
        return;
    }
    LLVMValueRef lo = emit_scalar_int(e, loop->lo), hi = emit_scalar_int(e, loop->hi);
    EmitLoop l = emit_loop_begin(e, lo, hi, 1, init, n, !known);
    emit_bind(e, loop->var, l.counter, 0);
    for (int i = 0; i < n; i++) emit_bind(e, loop->carries[i].var, l.phi[i], 0);
    emit_block(e, loop->body);
    for (int i = 0; i < n; i++) next[i] = emit_expr_vector(e, loop->carries[i].next);
    emit_loop_end(e, &l, next, out);
    e->n_cache = 0;
    for (int i = 0; i < n; i++) emit_bind(e, loop->carries[i].var, out[i], 0);
}

static void emit_block(Emit *e, const Stmt *stmt)
{
    for (; stmt; stmt = stmt->next) {
        if (stmt->kind == STMT_LET)
            emit_bind(e, stmt->var, emit_expr(e, stmt->value), 0);
        else if (stmt->kind == STMT_STORE)
            emit_store(e, stmt->buffer, stmt->index, stmt->value);
        else if (stmt->loop == LOOP_VECTOR)
            emit_vector_loop(e, stmt);
        else
            emit_plain_loop(e, stmt);
    }
}

void emit_units(Emit *e);

/* The unit number is taken apart into the parallel loops' variables, the innermost fastest. */
void emit_units(Emit *e)
{
    LLVMValueRef begin = LLVMGetParam(e->function, 1), end = LLVMGetParam(e->function, 2);
    EmitLoop units = emit_loop_begin(e, begin, end, 1, NULL, 0, true);
    const Stmt *parallel[8], *body = e->kernel->body;
    int n = 0;
    while (body && body->kind == STMT_LOOP && body->loop == LOOP_PARALLEL) {
        assert(n < 8 && constant_bounds(body));
        parallel[n++] = body;
        body = body->body;
    }
    LLVMValueRef rest = units.counter;
    for (int i = n - 1; i >= 0; i--) {
        LLVMValueRef extent = emit_int(e, parallel[i]->hi->i - parallel[i]->lo->i);
        LLVMValueRef value = i == 0 ? rest : LLVMBuildURem(e->b, rest, extent, "");
        emit_bind(e, parallel[i]->var, value, parallel[i]->lo->i);
        if (i > 0) rest = LLVMBuildUDiv(e->b, rest, extent, "");
    }
    emit_block(e, body);
    emit_loop_end(e, &units, NULL, NULL);
}
