/* Loop IR: what a kernel computes, as loops over flat buffers. Every operator but the contractions' templates
 * is lowered to it; the CPU, the GPU and the reference interpreter all read it.
 *
 * Values are in SSA form: a loop that reduces carries its values explicitly (no mutable variables), so that a
 * backend emits phis directly. Buffers are flat arrays of one element type; indices are in elements and may
 * be any integer expression, also one that reads a table.
 *
 *     kernel max_pool2d(x: f32[8192] in, y: f32[2048] out) {
 *       parallel n 0..1 { parallel y 0..32 { for x 0..32 { vector l 0..8 {
 *         reduce i max(0, y*2-1)..min(64, y*2+2) with m = -inf {
 *           reduce j ... with m2 = m { yield max(m2, x[i*64 + j]) }
 *           yield m2
 *         }
 *         y[...] = m
 *       } } } }
 *     }
 *
 * Work units: the loops of kind PARALLEL stand outermost, directly inside each other; their iterations, the
 * first outermost, are numbered 0..units-1 and are independent of each other.
 */
#ifndef LOOP_H
#define LOOP_H

#include "arena.h"
#include "diag.h"
#include "graph.h"

typedef enum ScalarType { SCALAR_F32, SCALAR_INT, SCALAR_BOOL } ScalarType;

/* id, printed name, arguments, infix */
#define EXPR_OPS(X)                                                                                          \
    X(ADD, "+", 2, true)                                                                                     \
    X(SUB, "-", 2, true)                                                                                     \
    X(MUL, "*", 2, true)                                                                                     \
    X(DIV, "/", 2, true) /* integers: truncates; operands are never negative */                              \
    X(MOD, "%", 2, true) /* integers only */                                                                 \
    X(MIN, "min", 2, false)                                                                                  \
    X(MAX, "max", 2, false) /* floats: the second when the first is NaN, else the larger */                  \
    X(LT, "<", 2, true)                                                                                      \
    X(LE, "<=", 2, true)                                                                                     \
    X(GT, ">", 2, true)                                                                                      \
    X(EQ, "==", 2, true)                                                                                     \
    X(AND, "&&", 2, true)                                                                                    \
    X(NEG, "neg", 1, false)                                                                                  \
    X(EXP, "exp", 1, false)                                                                                  \
    X(LOG, "log", 1, false)                                                                                  \
    X(SQRT, "sqrt", 1, false)                                                                                \
    X(FMA, "fma", 3, false) /* a * b + c, rounded once where the machine has it */                           \
    X(SELECT, "select", 3, false)                                                                            \
    X(TO_FLOAT, "float", 1, false)                                                                           \
    X(TO_INT, "int", 1, false)

typedef enum ExprKind {
    EXPR_INT,   /* integer constant */
    EXPR_FLOAT, /* float constant */
    EXPR_VAR,   /* a loop's variable, a carried value, a let: by identity */
    EXPR_LOAD,  /* buffer[index]; with a guard: 0 unless guard */
#define X(id, ...) EXPR_##id,
    EXPR_OPS(X)
#undef X
} ExprKind;

typedef struct Var {
    const char *name;
    ScalarType type;
    int id; /* unique in its kernel */
} Var;

typedef struct Expr Expr;
struct Expr {
    ExprKind kind;
    ScalarType type;
    int64_t i;    /* EXPR_INT */
    double f;     /* EXPR_FLOAT */
    Var *var;     /* EXPR_VAR */
    int buffer;   /* EXPR_LOAD: index into Kernel.buffers */
    Expr *arg[3]; /* operands; LOAD: index, guard (or NULL) */
};

typedef enum LoopKind {
    LOOP_PARALLEL, /* independent iterations: work units */
    LOOP_SERIAL,   /* in order */
    LOOP_VECTOR,   /* independent iterations, to be done side by side; constant bounds; holds no other vector
                      loop */
    LOOP_REDUCE,   /* in order, carrying values */
} LoopKind;

/* A value carried around a loop: starts as init; every iteration yields next; after the loop var is the last.
 */
typedef struct Carry {
    Var *var;
    Expr *init, *next;
} Carry;

typedef enum StmtKind { STMT_LOOP, STMT_LET, STMT_STORE } StmtKind;

typedef struct Stmt Stmt;
struct Stmt {
    StmtKind kind;
    Stmt *next; /* in the same block */
    Var *var;   /* LOOP, LET */
    /* LOOP */
    LoopKind loop;
    Expr *lo, *hi;
    Stmt *body;
    Carry *carries;
    int n_carries;
    /* LET, STORE */
    Expr *value;
    int buffer; /* STORE */
    Expr *index;
};

typedef enum BufferRole { BUFFER_IN, BUFFER_OUT } BufferRole;

typedef struct Buffer {
    const char *name;
    Dtype dtype;
    BufferRole role;
    int64_t elements; /* in reach of any index */
} Buffer;

enum { MAX_BUFFERS = 24 };

/* A contraction by template: see conv_spec.h. */
typedef struct ConvSpec ConvSpec;
/* A weight gradient by template: see filter_spec.h. */
typedef struct FilterSpec FilterSpec;
/* A convolution of the baseline, by a function that comes with the compiler: see blas_spec.h. */
typedef struct BlasSpec BlasSpec;

typedef struct Kernel {
    const char *name; /* unique; from the kind and a number */
    const char *kind; /* "max_pool2d", "conv2d 3x3 stride 2": for tables that people read */
    int n_buffers;
    Buffer buffers[MAX_BUFFERS];
    int64_t units;
    int n_vars;               /* Var.id are below this */
    Stmt *body;               /* loop kernels */
    const ConvSpec *conv;     /* template kernels: body is NULL */
    const FilterSpec *filter; /* likewise */
    const BlasSpec *blas;     /* kernels of the baseline: no body, no code of their own */
    int64_t scratch;          /* bytes of private memory per thread */
} Kernel;

/* Builds a kernel. Constants fold, and x+0, x*1, x*0 disappear, as expressions are made. */
typedef struct LoopBuilder {
    Arena *arena;
    Kernel *kernel;
    int next_var;
    Stmt **tail;    /* where the next statement goes */
    Stmt *open[32]; /* loops that are open, innermost last */
    int n_open;
} LoopBuilder;

LoopBuilder loop_builder(Arena *arena, const char *kind);
/* Finishes: counts units; the builder may not be used after. */
Kernel *loop_finish(LoopBuilder *b);

int loop_buffer(LoopBuilder *b, const char *name, Dtype dtype, BufferRole role, int64_t elements);

Expr *expr_int(LoopBuilder *b, int64_t value);
Expr *expr_float(LoopBuilder *b, double value);
Expr *expr_var(LoopBuilder *b, Var *var);
Expr *expr_load(LoopBuilder *b, int buffer, Expr *index);
Expr *expr_load_if(LoopBuilder *b, int buffer, Expr *index, Expr *guard);
Expr *expr_op1(LoopBuilder *b, ExprKind op, Expr *x);
Expr *expr_op2(LoopBuilder *b, ExprKind op, Expr *x, Expr *y);
Expr *expr_op3(LoopBuilder *b, ExprKind op, Expr *x, Expr *y, Expr *z);
/* index arithmetic: x + y, x * constant */
Expr *expr_add(LoopBuilder *b, Expr *x, Expr *y);
Expr *expr_scale(LoopBuilder *b, Expr *x, int64_t factor);

/* Opens a loop; returns its variable as an expression. */
Expr *loop_open(LoopBuilder *b, LoopKind kind, const char *name, Expr *lo, Expr *hi);
Expr *loop_open_n(LoopBuilder *b, LoopKind kind, const char *name, int64_t count); /* 0..count */
/* Adds a carried value to the loop just opened; returns the value at the start of an iteration. */
Expr *loop_carry(LoopBuilder *b, const char *name, Expr *init);
/* Closes the innermost loop; next[i] is what carry i becomes. After this the carried expressions mean the
 * final values. */
void loop_close(LoopBuilder *b, Expr *const *next);
Expr *loop_let(LoopBuilder *b, const char *name, Expr *value);
void loop_store(LoopBuilder *b, int buffer, Expr *index, Expr *value);

/* How an index changes when var grows by one: 0 or a constant stride, or STRIDE_VARIES when it is not affine
 * in it. */
#define STRIDE_VARIES INT64_MIN
int64_t expr_stride(const Expr *index, const Var *var);

/* loop_text.c: printed form, and back; print(parse(t)) == t for loop kernels. */
const char *loop_text(Arena *arena, const Kernel *kernel);
Kernel *loop_text_parse(Arena *arena, Diag *diag, const Source *source);

#endif
