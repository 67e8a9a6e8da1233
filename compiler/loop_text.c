/* Printing loop kernels: one statement per line, expressions infix with no more parentheses than they need.
 *
 *     kernel scale3 "scale" (x: f32[64] in, y: f32[64] out) {
 *       parallel n 0..4 {
 *         vector l 0..16 {
 *           let v = x[n*16 + l] if l < 15
 *           y[n*16 + l] = max(v*2.5, 0.0)
 *         }
 *       }
 *     }
 *
 * The string is the kernel's kind; it is left out where it equals the name, and stands alone in a kernel that
 * has no name yet. ` scratch BYTES` follows the buffers where the kernel has scratch memory.
 *
 * Names are the lowering's own. A variable whose name is taken by one that is still alive, or that is a word
 * of the language, gets _ID appended; a carried value stays alive after its loop, to the end of the block.
 * Floats always hold a '.', an exponent or a letter, integers never: that is how types survive. Adding a
 * negative integer constant prints as a subtraction, which is the one place where the text that comes back
 * is another expression of the same value. loop_text_parse.c reads all this back; a contraction by template
 * is the one line of conv_spec_text (blas_spec_text) instead of statements, for people only.
 */
#include "blas_spec.h"
#include "conv_spec.h"
#include "filter_spec.h"
#include "lex.h"
#include "loop.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

typedef struct LiveName {
    const Var *var;
    const char *name;
} LiveName;

typedef struct Printer {
    Text out;
    const Kernel *kernel;
    const char *buffer_names[MAX_BUFFERS];
    LiveName *live; /* innermost last */
    int n_live, cap_live;
    int indent; /* blanks */
} Printer;

/* ---- names --------------------------------------------------------------------------------------- */

static bool is_identifier(const char *name)
{
    if (!name || (!isalpha((unsigned char)*name) && *name != '_')) return false;
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_') return false;
    return !lex_is_reserved(name);
}

/* The name with everything an identifier may not hold made '_'. */
static const char *clean_name(Printer *p, const char *name)
{
    if (is_identifier(name)) return name;
    if (!name || !*name) return "v";
    if (lex_is_reserved(name)) return arena_printf(p->out.arena, "%s_", name);
    bool digit = isdigit((unsigned char)*name);
    char *clean = arena_printf(p->out.arena, "%s%s", digit ? "_" : "", name);
    for (char *c = clean; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    return clean;
}

static bool is_live(const Printer *p, const char *name)
{
    for (int i = p->n_live - 1; i >= 0; i--)
        if (strcmp(p->live[i].name, name) == 0) return true;
    return false;
}

/* Makes var alive under a name of its own. */
static const char *declare(Printer *p, const Var *var)
{
    const char *name = clean_name(p, var->name);
    while (is_live(p, name)) name = arena_printf(p->out.arena, "%s_%d", name, var->id);
    LiveName live = {var, name};
    ARENA_PUSH(p->out.arena, p->live, p->n_live, p->cap_live, live);
    return name;
}

/* A use outside of its variable's block is a mistake of some pass; '?' makes it visible, and unparseable. */
static const char *var_name(const Printer *p, const Var *var)
{
    for (int i = p->n_live - 1; i >= 0; i--)
        if (p->live[i].var == var) return p->live[i].name;
    return arena_printf(p->out.arena, "?%s_%d", var->name, var->id);
}

static void name_buffers(Printer *p)
{
    for (int i = 0; i < p->kernel->n_buffers; i++) {
        const char *name = clean_name(p, p->kernel->buffers[i].name);
        for (int j = 0; j < i; j++) {
            if (strcmp(p->buffer_names[j], name) != 0) continue;
            name = arena_printf(p->out.arena, "%s_%d", name, i);
            j = -1;
        }
        p->buffer_names[i] = name;
    }
}

/* ---- expressions --------------------------------------------------------------------------------- */

/* How tightly an expression binds; an operand that binds less tightly than its place asks for is
 * parenthesised. */
enum Level { LEVEL_GUARD, LEVEL_AND, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_ATOM };

static enum Level level_of(const Expr *e)
{
    switch (e->kind) {
    case EXPR_LOAD: return e->arg[1] ? LEVEL_GUARD : LEVEL_ATOM;
    case EXPR_AND: return LEVEL_AND;
    case EXPR_LT:
    case EXPR_LE:
    case EXPR_GT:
    case EXPR_EQ: return LEVEL_COMPARE;
    case EXPR_ADD:
    case EXPR_SUB: return LEVEL_SUM;
    case EXPR_MUL:
    case EXPR_DIV:
    case EXPR_MOD: return LEVEL_PRODUCT;
    default: return LEVEL_ATOM;
    }
}

static const char *op_text(ExprKind kind)
{
    switch (kind) {
#define X(id, text, ...)                                                                                     \
    case EXPR_##id: return text;
        EXPR_OPS(X)
#undef X
    default: return "?";
    }
}

static void print_float(Text *out, double value)
{
    if (isnan(value) || isinf(value)) {
        text_printf(out, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    char digits[40];
    snprintf(digits, sizeof digits, "%.9g", value);
    text_printf(out, "%s%s", digits, strpbrk(digits, ".e") ? "" : ".0");
}

static void print_expr(Printer *p, const Expr *e, enum Level least);

static void print_load(Printer *p, const Expr *e)
{
    text_printf(&p->out, "%s[", p->buffer_names[e->buffer]);
    print_expr(p, e->arg[0], LEVEL_GUARD);
    text_printf(&p->out, "]");
    if (!e->arg[1]) return;
    text_printf(&p->out, " if ");
    print_expr(p, e->arg[1], LEVEL_AND);
}

static void print_call(Printer *p, const Expr *e)
{
    text_printf(&p->out, "%s(", op_text(e->kind));
    for (int i = 0; i < 3 && e->arg[i]; i++) {
        if (i) text_printf(&p->out, ", ");
        print_expr(p, e->arg[i], LEVEL_GUARD);
    }
    text_printf(&p->out, ")");
}

/* Operators group to the left; comparisons don't chain. Products stand close, sums wide. */
static void print_infix(Printer *p, const Expr *e, enum Level level)
{
    const Expr *right = e->arg[1];
    print_expr(p, e->arg[0], level == LEVEL_COMPARE ? LEVEL_SUM : level);
    if (level == LEVEL_SUM && right->kind == EXPR_INT && right->i < 0 && right->i > INT64_MIN) {
        text_printf(&p->out, " %s %lld", e->kind == EXPR_ADD ? "-" : "+", (long long)-right->i);
        return;
    }
    const char *blank = level == LEVEL_PRODUCT ? "" : " ";
    text_printf(&p->out, "%s%s%s", blank, op_text(e->kind), blank);
    print_expr(p, right, level + 1);
}

static void print_expr(Printer *p, const Expr *e, enum Level least)
{
    enum Level level = level_of(e);
    if (level < least) text_printf(&p->out, "(");
    switch (e->kind) {
    case EXPR_INT: text_printf(&p->out, "%lld", (long long)e->i); break;
    case EXPR_FLOAT: print_float(&p->out, e->f); break;
    case EXPR_VAR: text_printf(&p->out, "%s", var_name(p, e->var)); break;
    case EXPR_LOAD: print_load(p, e); break;
    default:
        if (level == LEVEL_ATOM)
            print_call(p, e);
        else
            print_infix(p, e, level);
    }
    if (level < least) text_printf(&p->out, ")");
}

/* ---- statements ---------------------------------------------------------------------------------- */

static void start_line(Printer *p)
{
    text_printf(&p->out, "%*s", p->indent, "");
}

static const char *loop_word(LoopKind kind)
{
    static const char *const words[] = {[LOOP_PARALLEL] = "parallel",
                                        [LOOP_SERIAL] = "for",
                                        [LOOP_VECTOR] = "vector",
                                        [LOOP_REDUCE] = "reduce"};
    return words[kind];
}

static void print_block(Printer *p, const Stmt *stmt);

static void print_yield(Printer *p, const Stmt *loop)
{
    start_line(p);
    for (int i = 0; i < loop->n_carries; i++) {
        text_printf(&p->out, i ? ", " : "yield ");
        print_expr(p, loop->carries[i].next, LEVEL_GUARD);
    }
    text_printf(&p->out, "\n");
}

static void print_loop(Printer *p, const Stmt *loop)
{
    text_printf(&p->out, "%s ", loop_word(loop->loop));
    int first = p->n_live;
    for (int i = 0; i < loop->n_carries; i++) declare(p, loop->carries[i].var);
    int outside = p->n_live;
    text_printf(&p->out, "%s ", declare(p, loop->var));
    print_expr(p, loop->lo, LEVEL_GUARD);
    text_printf(&p->out, "..");
    print_expr(p, loop->hi, LEVEL_GUARD);
    for (int i = 0; i < loop->n_carries; i++) {
        text_printf(&p->out, "%s%s = ", i ? ", " : " with ", p->live[first + i].name);
        print_expr(p, loop->carries[i].init, LEVEL_GUARD);
    }
    text_printf(&p->out, " {\n");
    p->indent += 2;
    print_block(p, loop->body);
    if (loop->n_carries) print_yield(p, loop);
    p->indent -= 2;
    p->n_live = outside;
    start_line(p);
    text_printf(&p->out, "}\n");
}

static void print_let(Printer *p, const Stmt *let)
{
    text_printf(&p->out, "let %s = ", declare(p, let->var));
    print_expr(p, let->value, LEVEL_GUARD);
    text_printf(&p->out, "\n");
}

static void print_store(Printer *p, const Stmt *store)
{
    text_printf(&p->out, "%s[", p->buffer_names[store->buffer]);
    print_expr(p, store->index, LEVEL_GUARD);
    text_printf(&p->out, "] = ");
    print_expr(p, store->value, LEVEL_GUARD);
    text_printf(&p->out, "\n");
}

/* Variables made inside the statements are still alive when it returns, so that a yield can use them. */
static void print_block(Printer *p, const Stmt *stmt)
{
    for (; stmt; stmt = stmt->next) {
        start_line(p);
        switch (stmt->kind) {
        case STMT_LOOP: print_loop(p, stmt); break;
        case STMT_LET: print_let(p, stmt); break;
        case STMT_STORE: print_store(p, stmt); break;
        }
    }
}

/* A kind is free text for people; what would end the string early is left out. */
static void print_string(Text *out, const char *text)
{
    text_append(out, "\"", 1);
    for (const char *c = text ? text : ""; *c; c++)
        if (*c != '"' && (unsigned char)*c >= ' ') text_append(out, c, 1);
    text_append(out, "\"", 1);
}

static void print_header(Printer *p)
{
    const Kernel *k = p->kernel;
    text_printf(&p->out, "kernel ");
    if (k->name) text_printf(&p->out, "%s", clean_name(p, k->name));
    bool kind_told = k->name && k->kind && strcmp(k->name, k->kind) == 0 && is_identifier(k->kind);
    if (!kind_told) {
        if (k->name) text_printf(&p->out, " ");
        print_string(&p->out, k->kind);
        text_printf(&p->out, " ");
    }
    text_printf(&p->out, "(");
    for (int i = 0; i < k->n_buffers; i++) {
        const Buffer *b = &k->buffers[i];
        text_printf(&p->out, "%s%s: %s[%lld] %s", i ? ", " : "", p->buffer_names[i], dtype_name(b->dtype),
                    (long long)b->elements, b->role == BUFFER_IN ? "in" : "out");
    }
    text_printf(&p->out, ")");
    if (k->scratch) text_printf(&p->out, " scratch %lld", (long long)k->scratch);
    text_printf(&p->out, " {\n");
}

const char *loop_text(Arena *arena, const Kernel *kernel)
{
    Printer p = {.out = text_new(arena), .kernel = kernel};
    name_buffers(&p);
    print_header(&p);
    p.indent = 2;
    print_block(&p, kernel->body);
    if (kernel->conv) text_printf(&p.out, "  %s\n", conv_spec_text(arena, kernel));
    if (kernel->filter) text_printf(&p.out, "  %s\n", filter_spec_text(arena, kernel->filter));
    if (kernel->blas) text_printf(&p.out, "  %s\n", blas_spec_text(arena, kernel->blas));
    text_printf(&p.out, "}\n");
    return p.out.text;
}
