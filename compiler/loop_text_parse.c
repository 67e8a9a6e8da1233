/* Reading the text of loop kernels that loop_text.c prints: one function per rule.
 *
 *     kernel:  "kernel" [NAME] [STRING] "(" [buffer {"," buffer}] ")" ["scratch" INT] "{" block "}"
 *     buffer:  NAME ":" DTYPE "[" INT "]" ("in" | "out")
 *     block:   { loop | "let" NAME "=" expr | NAME "[" expr "]" "=" expr } ["yield" expr {"," expr}]
 *     loop:    ("parallel" | "for" | "vector" | "reduce") NAME expr ".." expr
 *              ["with" NAME "=" expr {"," NAME "=" expr}] "{" block "}"
 *     expr:    operators of loop.h by binding strength: "&&", comparison, "+ -", "* / %", atom;
 *              NAME "[" expr "]" "if" and-expression is a guarded load
 *
 * Nothing is folded, so the tree is the one that was written. Whatever the builder asserts is checked here
 * first, types and the places of parallel loops included: text from anywhere gives a kernel that the backends
 * may trust, or a message. The first error ends the parse (lex.h).
 */
#include "lex.h"
#include "loop.h"

#include <string.h>

enum {
    MAX_DEPTH = 200,      /* parentheses and calls inside each other: bounds the recursion here */
    MAX_OPERATORS = 4000, /* in one expression: bounds the recursion of whoever walks it */
    MAX_OPEN_LOOPS = 31,
};

typedef struct ScopeEntry {
    Pos pos;
    Var *var;
} ScopeEntry;

typedef struct Parser {
    Lexer lexer;
    Arena *arena;
    LoopBuilder builder;
    ScopeEntry *scope; /* names alive, innermost last */
    int n_scope, cap_scope;
    int depth, operators; /* of the expression being read */
} Parser;

/* ---- names alive --------------------------------------------------------------------------------- */

static ScopeEntry *find_var(const Parser *p, const char *name)
{
    for (int i = p->n_scope - 1; i >= 0; i--)
        if (strcmp(p->scope[i].var->name, name) == 0) return &p->scope[i];
    return NULL;
}

static void declare(Parser *p, Pos pos, Var *var)
{
    const ScopeEntry *other = find_var(p, var->name);
    if (other && !p->lexer.failed) {
        lex_fail(&p->lexer, pos, "the name '%s' is taken", var->name);
        diag_note(p->lexer.diag, other->pos, "by this one");
    }
    ScopeEntry entry = {pos, var};
    ARENA_PUSH(p->arena, p->scope, p->n_scope, p->cap_scope, entry);
}

static int find_buffer(const Parser *p, const char *name)
{
    const Kernel *k = p->builder.kernel;
    for (int i = 0; i < k->n_buffers; i++)
        if (strcmp(k->buffers[i].name, name) == 0) return i;
    return -1;
}

static const char *nearest_name(const Parser *p, const char *name, bool buffers)
{
    const Kernel *k = p->builder.kernel;
    int count = buffers ? k->n_buffers : p->n_scope;
    const char **names = ARENA_ARRAY(p->arena, const char *, count);
    for (int i = 0; i < count; i++) names[i] = buffers ? k->buffers[i].name : p->scope[i].var->name;
    const char *nearest = diag_nearest(name, names, count);
    return nearest ? arena_printf(p->arena, " (did you mean '%s'?)", nearest) : "";
}

/* ---- expressions --------------------------------------------------------------------------------- */

static Expr *parse_expr(Parser *p);

static Expr *make(const Parser *p, ExprKind kind, ScalarType type)
{
    Expr *e = ARENA_NEW(p->arena, Expr);
    e->kind = kind;
    e->type = type;
    return e;
}

static const char *type_name(ScalarType type)
{
    static const char *const names[] = {"float", "integer", "condition"};
    return names[type];
}

static void check_type(Parser *p, Pos pos, const Expr *e, ScalarType type, const char *what)
{
    if (e->type != type)
        lex_fail(&p->lexer, pos, "%s must be of type %s, not %s", what, type_name(type), type_name(e->type));
}

static const struct {
    const char *name;
    int args;
    bool infix;
} ops[] = {
#define X(id, name, args, infix) [EXPR_##id] = {name, args, infix},
    EXPR_OPS(X)
#undef X
};
enum { N_KINDS = sizeof ops / sizeof *ops };

/* The type of an operator's value, after checking the types of its operands. */
static ScalarType op_type(Parser *p, Pos pos, ExprKind kind, Expr *const *arg)
{
    const char *name = ops[kind].name;
    for (int i = 1; i < ops[kind].args; i++) {
        const Expr *like = kind == EXPR_SELECT ? arg[1] : arg[0];
        if (kind == EXPR_SELECT && i == 1) continue;
        if (arg[i]->type != like->type)
            lex_fail(&p->lexer, pos, "'%s' takes operands of one type, not %s and %s", name,
                     type_name(like->type), type_name(arg[i]->type));
    }
    ScalarType type = kind == EXPR_SELECT ? arg[1]->type : arg[0]->type;
    bool is_condition = arg[0]->type == SCALAR_BOOL;
    bool wants_condition = kind == EXPR_AND || kind == EXPR_SELECT;
    bool takes_any = kind == EXPR_EQ || kind == EXPR_TO_FLOAT || kind == EXPR_TO_INT;
    if (is_condition != wants_condition && !takes_any)
        lex_fail(&p->lexer, pos,
                 wants_condition ? "'%s' takes a condition" : "'%s' takes numbers, not a condition", name);
    switch (kind) {
    case EXPR_MOD:
        if (type != SCALAR_INT) lex_fail(&p->lexer, pos, "'%%' takes integers");
        return SCALAR_INT;
    case EXPR_EXP:
    case EXPR_LOG:
    case EXPR_SQRT:
        if (type != SCALAR_F32) lex_fail(&p->lexer, pos, "'%s' takes a float", name);
        return SCALAR_F32;
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_EQ: return SCALAR_BOOL;
    case EXPR_TO_FLOAT: return SCALAR_F32;
    case EXPR_TO_INT: return SCALAR_INT;
    default: return type;
    }
}

static Expr *make_op(Parser *p, Pos pos, ExprKind kind, Expr *const *arg)
{
    if (++p->operators > MAX_OPERATORS)
        lex_fail(&p->lexer, pos, "expression of more than %d operators", MAX_OPERATORS);
    Expr *e = make(p, kind, op_type(p, pos, kind, arg));
    for (int i = 0; i < ops[kind].args; i++) e->arg[i] = arg[i];
    return e;
}

static Expr *parse_number(Parser *p, bool negative)
{
    Token t = p->lexer.token;
    lex_advance(&p->lexer);
    Expr *e = make(p, t.kind == T_INT ? EXPR_INT : EXPR_FLOAT, t.kind == T_INT ? SCALAR_INT : SCALAR_F32);
    if (t.kind == T_INT)
        e->i = negative ? -t.i : t.i;
    else
        e->f = negative ? -t.f : t.f;
    return e;
}

static Expr *parse_call(Parser *p, Pos pos, const char *name)
{
    const char *names[N_KINDS] = {0};
    int kind = 0;
    for (int i = 0; i < N_KINDS; i++) {
        if (!ops[i].name || ops[i].infix) continue;
        names[i] = ops[i].name;
        if (strcmp(name, names[i]) == 0) kind = i;
    }
    if (!kind) {
        const char *near = diag_nearest(name, names, N_KINDS);
        lex_fail(&p->lexer, pos, "no function '%s'%s", name,
                 near ? arena_printf(p->arena, " (did you mean '%s'?)", near) : "");
        return make(p, EXPR_INT, SCALAR_INT);
    }
    Expr *arg[3] = {0};
    for (int i = 0; i < ops[kind].args; i++) {
        if (i) lex_expect(&p->lexer, ",");
        arg[i] = parse_expr(p);
    }
    lex_expect(&p->lexer, ")");
    return make_op(p, pos, (ExprKind)kind, arg);
}

/* After "name [". */
static Expr *parse_load(Parser *p, Pos pos, const char *name)
{
    int buffer = find_buffer(p, name);
    if (buffer < 0) {
        lex_fail(&p->lexer, pos, "no buffer '%s'%s", name, nearest_name(p, name, true));
        return make(p, EXPR_INT, SCALAR_INT);
    }
    Dtype dtype = p->builder.kernel->buffers[buffer].dtype;
    Expr *e = make(p, EXPR_LOAD, dtype == F32 ? SCALAR_F32 : SCALAR_INT);
    e->buffer = buffer;
    Pos index = p->lexer.token.pos;
    e->arg[0] = parse_expr(p);
    check_type(p, index, e->arg[0], SCALAR_INT, "an index");
    lex_expect(&p->lexer, "]");
    return e;
}

static Expr *parse_named(Parser *p)
{
    Pos pos = p->lexer.token.pos;
    const char *name = lex_expect_name(&p->lexer, "a value");
    if (lex_accept(&p->lexer, T_SIGN, "(")) return parse_call(p, pos, name);
    if (lex_accept(&p->lexer, T_SIGN, "[")) return parse_load(p, pos, name);
    const ScopeEntry *entry = find_var(p, name);
    if (!entry) {
        lex_fail(&p->lexer, pos, "no value '%s' here%s", name, nearest_name(p, name, false));
        return make(p, EXPR_INT, SCALAR_INT);
    }
    Expr *e = make(p, EXPR_VAR, entry->var->type);
    e->var = entry->var;
    return e;
}

static Expr *parse_atom(Parser *p)
{
    if (lex_accept(&p->lexer, T_SIGN, "(")) {
        Expr *e = parse_expr(p);
        lex_expect(&p->lexer, ")");
        return e;
    }
    bool negative = lex_accept(&p->lexer, T_SIGN, "-");
    if (p->lexer.token.kind == T_INT || p->lexer.token.kind == T_FLOAT) return parse_number(p, negative);
    if (negative) lex_fail_expected(&p->lexer, "a number after '-' (neg(x) negates a value)");
    if (p->lexer.token.kind == T_NAME) return parse_named(p);
    lex_fail_expected(&p->lexer, "a value");
    return make(p, EXPR_INT, SCALAR_INT);
}

/* The infix operators by level, loosest first. */
enum { N_LEVELS = 4, COMPARE = 1 };
static const ExprKind levels[N_LEVELS][4] = {
    {EXPR_AND}, {EXPR_LT, EXPR_LE, EXPR_GT, EXPR_EQ}, {EXPR_ADD, EXPR_SUB}, {EXPR_MUL, EXPR_DIV, EXPR_MOD}};

static ExprKind infix_here(const Parser *p, int level)
{
    for (int i = 0; i < 4 && levels[level][i]; i++)
        if (lex_looks_at(&p->lexer, T_SIGN, ops[levels[level][i]].name)) return levels[level][i];
    return EXPR_INT;
}

static Expr *parse_infix(Parser *p, int level)
{
    if (level == N_LEVELS) return parse_atom(p);
    Expr *arg[2] = {parse_infix(p, level + 1)};
    for (ExprKind kind; (kind = infix_here(p, level)) != EXPR_INT;) {
        Pos pos = p->lexer.token.pos;
        lex_advance(&p->lexer);
        arg[1] = parse_infix(p, level + 1);
        arg[0] = make_op(p, pos, kind, arg);
        if (level == COMPARE) break;
    }
    return arg[0];
}

static Expr *parse_expr(Parser *p)
{
    if (++p->depth > MAX_DEPTH)
        lex_fail(&p->lexer, p->lexer.token.pos, "expressions more than %d deep", MAX_DEPTH);
    Expr *e = parse_infix(p, 0);
    if (lex_looks_at(&p->lexer, T_NAME, "if")) {
        if (e->kind != EXPR_LOAD || e->arg[1])
            lex_fail(&p->lexer, p->lexer.token.pos, "'if' can follow a load only");
        lex_advance(&p->lexer);
        Pos pos = p->lexer.token.pos;
        e->arg[1] = parse_infix(p, 0);
        check_type(p, pos, e->arg[1], SCALAR_BOOL, "what follows 'if'");
    }
    p->depth--;
    return e;
}

static Expr *parse_whole_expr(Parser *p)
{
    p->depth = p->operators = 0;
    return parse_expr(p);
}

static Expr *parse_int_expr(Parser *p, const char *what)
{
    Pos pos = p->lexer.token.pos;
    Expr *e = parse_whole_expr(p);
    check_type(p, pos, e, SCALAR_INT, what);
    return e;
}

/* ---- statements ---------------------------------------------------------------------------------- */

static void parse_block(Parser *p);

static void parse_let(Parser *p)
{
    Pos pos = p->lexer.token.pos;
    const char *name = lex_expect_name(&p->lexer, "a name");
    lex_expect(&p->lexer, "=");
    Expr *value = parse_whole_expr(p);
    declare(p, pos, loop_let(&p->builder, name, value)->var);
}

static void parse_store(Parser *p)
{
    Pos pos = p->lexer.token.pos;
    const char *name = lex_expect_name(&p->lexer, "a statement");
    lex_expect(&p->lexer, "[");
    Expr *index = parse_int_expr(p, "an index");
    lex_expect(&p->lexer, "]");
    lex_expect(&p->lexer, "=");
    Pos value_pos = p->lexer.token.pos;
    Expr *value = parse_whole_expr(p);
    if (p->lexer.failed) return;
    int buffer = find_buffer(p, name);
    const Buffer *to = buffer < 0 ? NULL : &p->builder.kernel->buffers[buffer];
    if (!to)
        lex_fail(&p->lexer, pos, "no buffer '%s'%s", name, nearest_name(p, name, true));
    else if (to->role != BUFFER_OUT)
        lex_fail(&p->lexer, pos, "'%s' is an input", name);
    else
        check_type(p, value_pos, value, to->dtype == F32 ? SCALAR_F32 : SCALAR_INT, "what is stored here");
    if (!p->lexer.failed) loop_store(&p->builder, buffer, index, value);
}

static bool is_constant(const Expr *e)
{
    return e->kind == EXPR_INT;
}

/* Where the loop may stand, by its kind: see loop.h. */
static void check_loop(Parser *p, Pos pos, LoopKind kind, const Expr *lo, const Expr *hi)
{
    const LoopBuilder *b = &p->builder;
    bool in_parallel = true;
    for (int i = 0; i < b->n_open; i++) {
        if (b->open[i]->loop != LOOP_PARALLEL) in_parallel = false;
        if (kind == LOOP_VECTOR && b->open[i]->loop == LOOP_VECTOR)
            lex_fail(&p->lexer, pos, "a vector loop inside a vector loop");
    }
    const Stmt *first = b->n_open ? b->open[b->n_open - 1]->body : b->kernel->body;
    if (kind == LOOP_PARALLEL && (!in_parallel || first))
        lex_fail(&p->lexer, pos, "parallel loops stand outermost, directly inside each other");
    if (b->n_open == MAX_OPEN_LOOPS)
        lex_fail(&p->lexer, pos, "more than %d loops inside each other", MAX_OPEN_LOOPS);
    if (kind != LOOP_PARALLEL && kind != LOOP_VECTOR) return;
    int64_t count;
    if (!is_constant(lo) || !is_constant(hi))
        lex_fail(&p->lexer, pos, "a parallel or vector loop has constant bounds");
    else if (__builtin_sub_overflow(hi->i, lo->i, &count) || count < 0)
        lex_fail(&p->lexer, pos, "the bounds of this loop are in the wrong order or too far apart");
}

typedef struct CarryText {
    Pos pos;
    const char *name;
    Expr *init;
} CarryText;

enum { MAX_CARRIES = 64 };

/* with a = x, b = y */
static int parse_carries(Parser *p, LoopKind kind, CarryText carries[MAX_CARRIES])
{
    Pos pos = p->lexer.token.pos;
    int count = 0;
    if (!lex_accept(&p->lexer, T_NAME, "with")) return 0;
    if (kind != LOOP_REDUCE) lex_fail(&p->lexer, pos, "only a reduce loop carries values");
    do {
        if (count == MAX_CARRIES)
            lex_fail(&p->lexer, p->lexer.token.pos, "more than %d carried values", MAX_CARRIES);
        if (p->lexer.failed) return 0;
        CarryText *c = &carries[count++];
        c->pos = p->lexer.token.pos;
        c->name = lex_expect_name(&p->lexer, "a name");
        lex_expect(&p->lexer, "=");
        c->init = parse_whole_expr(p);
    } while (lex_accept(&p->lexer, T_SIGN, ","));
    return count;
}

static void parse_yield(Parser *p, const Stmt *loop, Expr **next)
{
    if (!loop->n_carries) return;
    if (!lex_accept(&p->lexer, T_NAME, "yield"))
        lex_fail_expected(&p->lexer, "'yield', as this loop carries values");
    for (int i = 0; i < loop->n_carries && !p->lexer.failed; i++) {
        if (i) lex_expect(&p->lexer, ",");
        Pos pos = p->lexer.token.pos;
        next[i] = parse_whole_expr(p);
        check_type(p, pos, next[i], loop->carries[i].var->type, "this next value");
    }
}

static void parse_loop(Parser *p, LoopKind kind)
{
    Pos pos = p->lexer.token.pos;
    const char *name = lex_expect_name(&p->lexer, "the loop's variable");
    Expr *lo = parse_int_expr(p, "a bound");
    lex_expect(&p->lexer, "..");
    Expr *hi = parse_int_expr(p, "a bound");
    CarryText carries[MAX_CARRIES];
    int n_carries = parse_carries(p, kind, carries);
    check_loop(p, pos, kind, lo, hi);
    if (p->lexer.failed) return;
    Expr *var = loop_open(&p->builder, kind, name, lo, hi);
    const Stmt *loop = p->builder.open[p->builder.n_open - 1];
    for (int i = 0; i < n_carries; i++)
        declare(p, carries[i].pos, loop_carry(&p->builder, carries[i].name, carries[i].init)->var);
    int outside = p->n_scope;
    declare(p, pos, var->var);
    lex_expect(&p->lexer, "{");
    parse_block(p);
    Expr *next[MAX_CARRIES];
    parse_yield(p, loop, next);
    lex_expect(&p->lexer, "}");
    p->n_scope = outside;
    if (!p->lexer.failed) loop_close(&p->builder, next);
}

static bool after_parallel(const Parser *p)
{
    const LoopBuilder *b = &p->builder;
    const Stmt *first = b->n_open ? b->open[b->n_open - 1]->body : b->kernel->body;
    return first && first->kind == STMT_LOOP && first->loop == LOOP_PARALLEL;
}

/* Statements up to a '}' or a yield. */
static void parse_block(Parser *p)
{
    static const char *const words[] = {"parallel", "for", "vector", "reduce"};
    static const LoopKind kinds[] = {LOOP_PARALLEL, LOOP_SERIAL, LOOP_VECTOR, LOOP_REDUCE};
    while (p->lexer.token.kind != T_END && !lex_looks_at(&p->lexer, T_SIGN, "}") &&
           !lex_looks_at(&p->lexer, T_NAME, "yield")) {
        if (after_parallel(p)) lex_fail(&p->lexer, p->lexer.token.pos, "a statement beside a parallel loop");
        int loop = -1;
        for (int i = 0; i < 4 && loop < 0; i++)
            if (lex_accept(&p->lexer, T_NAME, words[i])) loop = i;
        if (loop >= 0)
            parse_loop(p, kinds[loop]);
        else if (lex_accept(&p->lexer, T_NAME, "let"))
            parse_let(p);
        else
            parse_store(p);
    }
}

/* ---- kernels ------------------------------------------------------------------------------------- */

static Dtype parse_dtype(Parser *p)
{
    static const Dtype all[] = {F32, I32, U8};
    for (int i = 0; i < 3; i++)
        if (lex_accept(&p->lexer, T_NAME, dtype_name(all[i]))) return all[i];
    lex_fail_expected(&p->lexer, "f32, i32 or u8");
    return F32;
}

static void parse_buffer(Parser *p)
{
    Pos pos = p->lexer.token.pos;
    const char *name = lex_expect_name(&p->lexer, "a buffer's name");
    lex_expect(&p->lexer, ":");
    Dtype dtype = parse_dtype(p);
    lex_expect(&p->lexer, "[");
    int64_t elements = lex_expect_int(&p->lexer, "the number of elements");
    lex_expect(&p->lexer, "]");
    bool is_out = lex_looks_at(&p->lexer, T_NAME, "out");
    if (!is_out && !lex_looks_at(&p->lexer, T_NAME, "in")) lex_fail_expected(&p->lexer, "'in' or 'out'");
    lex_advance(&p->lexer);
    if (find_buffer(p, name) >= 0) lex_fail(&p->lexer, pos, "a second buffer '%s'", name);
    if (p->builder.kernel->n_buffers == MAX_BUFFERS)
        lex_fail(&p->lexer, pos, "more than %d buffers", MAX_BUFFERS);
    if (!p->lexer.failed) loop_buffer(&p->builder, name, dtype, is_out ? BUFFER_OUT : BUFFER_IN, elements);
}

static void parse_header(Parser *p)
{
    Kernel *k = p->builder.kernel;
    if (!lex_accept(&p->lexer, T_NAME, "kernel")) lex_fail_expected(&p->lexer, "'kernel'");
    if (p->lexer.token.kind == T_NAME) k->name = k->kind = lex_expect_name(&p->lexer, "the kernel's name");
    if (p->lexer.token.kind == T_STRING) {
        k->kind = p->lexer.token.text;
        lex_advance(&p->lexer);
    }
    if (!k->kind) lex_fail_expected(&p->lexer, "a name or a kind in quotes");
    lex_expect(&p->lexer, "(");
    if (!lex_looks_at(&p->lexer, T_SIGN, ")")) {
        do parse_buffer(p);
        while (lex_accept(&p->lexer, T_SIGN, ","));
    }
    lex_expect(&p->lexer, ")");
    if (lex_accept(&p->lexer, T_NAME, "scratch")) k->scratch = lex_expect_int(&p->lexer, "a number of bytes");
}

static void check_units(Parser *p, Pos pos)
{
    int64_t units = 1;
    for (const Stmt *s = p->builder.kernel->body; s && s->kind == STMT_LOOP && s->loop == LOOP_PARALLEL;
         s = s->body)
        if (__builtin_mul_overflow(units, s->hi->i - s->lo->i, &units))
            lex_fail(&p->lexer, pos, "too many parallel iterations");
}

Kernel *loop_text_parse(Arena *arena, Diag *diag, const Source *source)
{
    Parser p = {
        .lexer = lex_start(arena, diag, source), .arena = arena, .builder = loop_builder(arena, NULL)};
    Pos pos = p.lexer.token.pos;
    parse_header(&p);
    lex_expect(&p.lexer, "{");
    parse_block(&p);
    lex_expect(&p.lexer, "}");
    if (p.lexer.token.kind != T_END) lex_fail_expected(&p.lexer, "nothing more");
    if (!p.lexer.failed) check_units(&p, pos);
    return p.lexer.failed ? NULL : loop_finish(&p.builder);
}
