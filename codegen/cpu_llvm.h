/* Writing LLVM IR for kernels. Internal to codegen/cpu_*.c, the only files that see LLVM.
 *
 * The IR is written in its final form: values and phis, no memory slots for variables, vectors where the loop
 * IR has vector loops; no optimisation passes run over it (they would double the compile time for under 1 %
 * of speed). What the code generator itself does (address folding, hoisting out of loops) is relied on.
 *
 * One Emit per module. Vector context: inside a vector loop `lanes` iterations are done at once; a value that
 * varies with the loop's variable is a vector, others stay scalar until they meet one.
 */
#ifndef CPU_LLVM_H
#define CPU_LLVM_H

#include "conv_spec.h"
#include "loop.h"
#include "target.h"
#include <llvm-c/Core.h>

/* What a variable of the loop IR is at this point of the code. */
typedef struct Binding {
    LLVMValueRef value; /* NULL for an integer that is just addend */
    int64_t addend;     /* integers: known part, kept apart so that addresses fold */
} Binding;

enum { MAX_CACHED = 64 };

typedef struct Emit {
    Arena *arena;
    const Target *target;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTypeRef f32, i64, i32, i8, i1, ptr;
    /* The kernel being written */
    const Kernel *kernel;
    LLVMValueRef function;
    LLVMValueRef buffers[MAX_BUFFERS], scratch;
    Binding *vars; /* by Var.id */
    /* Vector context */
    int lanes;             /* 1: none */
    const Var *vector_var; /* whose consecutive values the lanes have; NULL: none */
    /* Sums of an index's variable part, valid in one basic block until a variable is bound again. */
    struct {
        int n;
        LLVMValueRef value[8];
        int64_t factor[8];
        LLVMValueRef sum;
    } cache[MAX_CACHED];
    int n_cache;
    LLVMBasicBlockRef cache_block;
} Emit;

/* A fresh module in a context of its own. */
Emit *emit_new(Arena *arena, const Target *target, const char *name, LLVMContextRef context);

/* Writes the function `kernel->name`: void(ptr args, i64 begin, i64 end, ptr scratch). */
void emit_kernel(Emit *e, const Kernel *kernel);

LLVMValueRef emit_int(Emit *e, int64_t value);
LLVMValueRef emit_float(Emit *e, double value);
LLVMTypeRef emit_vector_type(LLVMTypeRef element, int lanes); /* lanes 1: the element */
LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, int lanes);
LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, int n_types, LLVMValueRef *args,
                            int n_args);
LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
LLVMValueRef emit_scaled(Emit *e, LLVMValueRef value, int64_t factor);
/* base + offset in bytes, in floats */
LLVMValueRef emit_address(Emit *e, LLVMValueRef base, LLVMValueRef bytes);
LLVMValueRef emit_offset(Emit *e, LLVMValueRef base, int64_t floats);
/* A constant array of i64. */
LLVMValueRef emit_table(Emit *e, const char *name, LLVMValueRef *values, int64_t count);

/* A counted loop with phis. Iterations lo, lo+step, ... while below hi. */
typedef struct EmitLoop {
    LLVMBasicBlockRef header, exit, from;
    LLVMValueRef counter, hi, step;
    LLVMValueRef phi[64];
    int n_phis;
    bool checked; /* may run no iteration */
} EmitLoop;
/* init: what phis start as. With checked false at least one iteration must be known to run. */
EmitLoop emit_loop_begin(Emit *e, LLVMValueRef lo, LLVMValueRef hi, int64_t step, LLVMValueRef *init, int n,
                         bool checked);
/* next: what phis become; out receives the values after the loop. */
void emit_loop_end(Emit *e, EmitLoop *loop, LLVMValueRef *next, LLVMValueRef *out);

/* cpu_expr.c. A float or boolean expression; integers come as i64 (vectors where they vary). */
LLVMValueRef emit_expr(Emit *e, const Expr *x);
/* The same, a vector of the context's lanes whatever it is. */
LLVMValueRef emit_expr_vector(Emit *e, const Expr *x);
void emit_store(Emit *e, int buffer, const Expr *index, const Expr *value);
/* The same for a value already made (float, in the context's lanes). */
void emit_store_value(Emit *e, int buffer, const Expr *index, LLVMValueRef value);
void emit_bind(Emit *e, const Var *var, LLVMValueRef value, int64_t addend);
LLVMValueRef emit_scalar_int(Emit *e, const Expr *x); /* must not vary */

#endif
