/* See model_value.h. A recursive-descent evaluator that works on the text itself: expressions are short, each
 * is evaluated once or twice, and an error's column is at hand. There is no tree of operators between.
 *
 *     comparison: sum [(== | != | < | <= | > | >=) sum]
 *     sum:        product {(+ | -) product}
 *     product:    unary {(* | / | // | %) unary}
 *     unary:      {+ | -} primary
 *     primary:    number | true | false | NAME | $NAME | (comparison) | (min | max)(comparison, ...)
 */
#define _GNU_SOURCE
#include "model_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_EVALUATION_DEPTH = 100 };

/* One text being evaluated. */
typedef struct Formula {
    Values *values;
    const Tree *tree;
    const Scope *scope;
    const char *at;
    bool integer; /* an integer is wanted: dividing integers floors */
} Formula;

bool value_is_name(const char *text)
{
    if (!isalnum((unsigned char)*text) && *text != '_') return false;
    while (isalnum((unsigned char)*text) || *text == '_' || *text == '-') text++;
    return *text == 0;
}

Symbol *scope_symbol(const Scope *scope, const char *name)
{
    for (; scope; scope = scope->outer)
        for (int i = 0; i < scope->n_symbols; i++)
            if (strcmp(scope->symbols[i].name, name) == 0) return &scope->symbols[i];
    return NULL;
}

/* ---- settings --------------------------------------------------------------------------------------------
 */

/* The setting of this name, marked as used. */
static Setting *find_setting(const Scope *scope, const char *name)
{
    for (; scope; scope = scope->outer) {
        const TreeEntry *entry = tree_find(scope->declared, name);
        if (!entry) continue;
        ptrdiff_t place = entry - scope->declared->entries;
        scope->used[place] = true;
        return &scope->settings[place];
    }
    return NULL;
}

static const char *nearest_setting(Values *values, const Scope *scope, const char *name)
{
    const char **names = NULL;
    int n = 0, capacity = 0;
    for (; scope && !diag_full(values->diag); scope = scope->outer)
        for (int i = 0; scope->declared && i < scope->declared->n; i++)
            ARENA_PUSH(values->arena, names, n, capacity, scope->declared->entries[i].key);
    return diag_nearest(name, names, n);
}

/* Whether a program calls a tunable so: then it is said what can be done with one. */
static bool report_tunable(Values *values, const Scope *scope, const char *name, Pos pos)
{
    while (scope && !tree_find(scope->tunables, name)) scope = scope->outer;
    if (!scope) return false;
    diag_error(
        values->diag, pos,
        "the tunable '%s' can't stand where a value is set: it changes at launch, and is an input of nodes, "
        "as in {op: mul, in: [x, %s]}",
        name, name);
    diag_note(values->diag, tree_find(scope->tunables, name)->pos,
              "for a value that stays, make it a setting");
    return true;
}

static void report_unknown_setting(Values *values, const Scope *scope, const char *name, Pos pos)
{
    if (report_tunable(values, scope, name, pos)) return;
    const char *near = nearest_setting(values, scope, name);
    if (near)
        diag_error(values->diag, pos, "unknown setting '$%s' (did you mean '$%s'?)", name, near);
    else
        diag_error(values->diag, pos, "unknown setting '$%s': %s has no such setting", name, scope->owner);
}

/* The setting behind `$` at text, its name's length in *length; NULL after reporting. */
static Setting *read_setting(Values *values, const Tree *tree, const Scope *scope, const char *text,
                             size_t *length)
{
    size_t n = 1;
    while (isalnum((unsigned char)text[n]) || text[n] == '_') n++;
    Pos pos = tree_text_pos(tree, (size_t)(text - tree->text));
    *length = n;
    if (n == 1) {
        diag_error(values->diag, pos, "the name of a setting is expected after '$'");
        return NULL;
    }
    const char *name = arena_strndup(values->arena, text + 1, n - 1);
    Setting *setting = find_setting(scope, name);
    if (!setting) report_unknown_setting(values, scope, name, pos);
    if (!setting || !setting->value) return NULL;
    if (setting->busy) {
        diag_error(values->diag, pos, "the setting '%s' is defined by itself", name);
        return NULL;
    }
    return setting;
}

static const char *skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\n') text++;
    return text;
}

bool value_resolve(Values *values, const Tree **tree, const Scope **scope)
{
    for (int steps = 0; (*tree)->kind == TREE_SCALAR; steps++) {
        size_t length = 0;
        const char *text = skip_blanks((*tree)->text);
        if (*text != '$') return true;
        for (length = 1; isalnum((unsigned char)text[length]) || text[length] == '_';) length++;
        if (*skip_blanks(text + length)) return true;
        if (steps == MAX_EVALUATION_DEPTH) {
            diag_error(values->diag, (*tree)->pos,
                       "the setting '%s' is defined by itself, or in too many steps", text + 1);
            return false;
        }
        Setting *setting = read_setting(values, *tree, *scope, text, &length);
        if (!setting) return false;
        *tree = setting->value;
        *scope = setting->scope;
    }
    return true;
}

/* ---- expressions -----------------------------------------------------------------------------------------
 */

static bool compare(Formula *formula, Number *out);
static bool evaluate(Values *values, const Tree *tree, const Scope *scope, bool integer, Number *out);

__attribute__((format(printf, 3, 4))) static bool fault(const Formula *formula, const char *at,
                                                        const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(formula->values->arena, format, args);
    va_end(args);
    diag_error(formula->values->diag, tree_text_pos(formula->tree, (size_t)(at - formula->tree->text)), "%s",
               text);
    return false;
}

static bool skip(Formula *formula, const char *sign)
{
    const char *at = skip_blanks(formula->at);
    size_t length = strlen(sign);
    if (strncmp(at, sign, length) != 0) return false;
    formula->at = at + length;
    return true;
}

static double as_float(Number number)
{
    return number.kind == NUMBER_FLOAT ? number.f : (double)number.i;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* One arithmetic sign on two integers; false when the result has no 64 bits. Divisors are not zero. */
static bool integer_arithmetic(char sign, int64_t a, int64_t b, int64_t *out)
{
    if (sign == '+') return !__builtin_add_overflow(a, b, out);
    if (sign == '-') return !__builtin_sub_overflow(a, b, out);
    if (sign == '*') return !__builtin_mul_overflow(a, b, out);
    if (b == -1) { /* the one quotient that overflows, and a remainder that traps */
        *out = 0;
        return sign == '%' || !__builtin_sub_overflow((int64_t)0, a, out);
    }
    *out = sign == '%' ? a - b * floor_divide(a, b) : floor_divide(a, b);
    return true;
}

static double float_arithmetic(char sign, double a, double b)
{
    switch (sign) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '/': return a / b;
    case 'f': return floor(a / b);
    default: return a - b * floor(a / b);
    }
}

/* left = left sign right; sign 'f' is //. at is the sign's place. */
static bool arithmetic(Formula *formula, const char *at, char sign, Number *left, Number right)
{
    bool divides = sign == '/' || sign == 'f' || sign == '%';
    if (left->kind == NUMBER_BOOL || right.kind == NUMBER_BOOL)
        return fault(formula, at, "true and false can't be calculated with");
    if (divides && as_float(right) == 0) return fault(formula, at, "division by zero");
    bool integers = left->kind == NUMBER_INT && right.kind == NUMBER_INT;
    bool exact = integers && (sign != '/' || formula->integer || right.i == -1 || left->i % right.i == 0);
    if (exact) {
        if (integer_arithmetic(sign, left->i, right.i, &left->i)) return true;
        return fault(formula, at, "the result does not fit 64 bits");
    }
    double result = float_arithmetic(sign, as_float(*left), as_float(right));
    if (!isfinite(result)) return fault(formula, at, "the result is no finite number");
    *left = (Number){.kind = NUMBER_FLOAT, .f = result};
    return true;
}

static bool read_number(Formula *formula, Number *out)
{
    const char *start = formula->at, *at = start;
    bool integer = true;
    while (isdigit((unsigned char)*at)) at++;
    if (*at == '.' && at[1] != '.') {
        integer = false;
        for (at++; isdigit((unsigned char)*at);) at++;
    }
    const char *exponent = at + 1 + (at[0] && (at[1] == '+' || at[1] == '-'));
    if ((*at == 'e' || *at == 'E') && isdigit((unsigned char)*exponent)) {
        integer = false;
        for (at = exponent; isdigit((unsigned char)*at);) at++;
    }
    if (isalnum((unsigned char)*at) || *at == '_' || *at == '.')
        return fault(formula, start, "'%s' is not a number", formula->tree->text);
    const char *digits = arena_strndup(formula->values->arena, start, (size_t)(at - start));
    formula->at = at;
    errno = 0;
    if (integer)
        *out = (Number){.kind = NUMBER_INT, .i = strtoll(digits, NULL, 10)};
    else
        *out = (Number){.kind = NUMBER_FLOAT, .f = strtod(digits, NULL)};
    if (errno == ERANGE && (integer || !isfinite(out->f)))
        return fault(formula, start, "the number is too large");
    return true;
}

static bool read_setting_number(Formula *formula, Number *out)
{
    const char *start = formula->at;
    size_t length;
    Setting *setting = read_setting(formula->values, formula->tree, formula->scope, start, &length);
    if (!setting) return false;
    formula->at += length;
    int way = formula->integer;
    if (!setting->known[way]) {
        setting->busy = true;
        bool done = evaluate(formula->values, setting->value, setting->scope, formula->integer,
                             &setting->number[way]);
        setting->busy = false;
        if (!done) {
            diag_note(formula->values->diag,
                      tree_text_pos(formula->tree, (size_t)(start - formula->tree->text)),
                      "'%.*s' is used as a number here", (int)length, start);
            return false;
        }
        setting->known[way] = true;
    }
    *out = setting->number[way];
    return true;
}

/* (comparison, ...) behind min or max. */
static bool read_extreme(Formula *formula, const char *name, Number *out)
{
    bool largest = strcmp(name, "max") == 0;
    if (!skip(formula, "(")) return fault(formula, formula->at, "'(' is expected after '%s'", name);
    if (!compare(formula, out)) return false;
    while (skip(formula, ",")) {
        Number next;
        if (!compare(formula, &next)) return false;
        if (largest ? as_float(next) > as_float(*out) : as_float(next) < as_float(*out)) *out = next;
    }
    return skip(formula, ")") || fault(formula, formula->at, "')' is expected here");
}

static bool read_word(Formula *formula, Number *out)
{
    const char *start = formula->at;
    while (isalnum((unsigned char)*formula->at) || *formula->at == '_') formula->at++;
    const char *word = arena_strndup(formula->values->arena, start, (size_t)(formula->at - start));
    if (strcmp(word, "min") == 0 || strcmp(word, "max") == 0) return read_extreme(formula, word, out);
    *out = (Number){.kind = NUMBER_BOOL, .i = strcmp(word, "true") == 0};
    if (out->i || strcmp(word, "false") == 0) return true;
    const Symbol *symbol = scope_symbol(formula->scope, word);
    *out = (Number){.kind = NUMBER_INT, .i = symbol ? symbol->value : 0};
    if (symbol && symbol->value > 0) return true;
    if (symbol)
        return fault(formula, start, "the size '%s' is not known here: no input has it as a dimension", word);
    for (const Scope *scope = formula->scope; scope; scope = scope->outer)
        if (tree_find(scope->declared, word))
            return fault(formula, start, "'%s' is not a number (did you mean '$%s'?)", word, word);
    return fault(formula, start, "'%s' is not a number", word);
}

static bool read_primary(Formula *formula, Number *out)
{
    formula->at = skip_blanks(formula->at);
    const char *at = formula->at;
    if (isdigit((unsigned char)*at) || (*at == '.' && isdigit((unsigned char)at[1])))
        return read_number(formula, out);
    if (*at == '$') return read_setting_number(formula, out);
    if (isalpha((unsigned char)*at) || *at == '_') return read_word(formula, out);
    if (skip(formula, "("))
        return compare(formula, out) &&
               (skip(formula, ")") || fault(formula, formula->at, "')' is expected here"));
    if (*at) return fault(formula, at, "a number is expected here, not '%s'", at);
    return fault(formula, at, "a number is expected at the end of '%s'", formula->tree->text);
}

static bool read_unary(Formula *formula, Number *out)
{
    const char *at = skip_blanks(formula->at);
    bool negative = false;
    for (;;) {
        if (skip(formula, "-"))
            negative = !negative;
        else if (!skip(formula, "+"))
            break;
    }
    if (!read_primary(formula, out)) return false;
    if (!negative) return true;
    Number positive = *out;
    *out = (Number){.kind = NUMBER_INT, .i = 0};
    if (positive.kind == NUMBER_FLOAT)
        *out = (Number){.kind = NUMBER_FLOAT, .f = -positive.f};
    else
        return arithmetic(formula, at, '-', out, positive);
    return true;
}

static bool read_product(Formula *formula, Number *out)
{
    if (!read_unary(formula, out)) return false;
    for (;;) {
        const char *at = skip_blanks(formula->at);
        char sign = *at;
        if (skip(formula, "//"))
            sign = 'f';
        else if (!skip(formula, "*") && !skip(formula, "/") && !skip(formula, "%"))
            return true;
        Number right;
        if (!read_unary(formula, &right) || !arithmetic(formula, at, sign, out, right)) return false;
    }
}

static bool read_sum(Formula *formula, Number *out)
{
    if (!read_product(formula, out)) return false;
    for (;;) {
        const char *at = skip_blanks(formula->at);
        char sign = *at;
        if (!skip(formula, "+") && !skip(formula, "-")) return true;
        Number right;
        if (!read_product(formula, &right) || !arithmetic(formula, at, sign, out, right)) return false;
    }
}

static bool compare_with(int order, const char *sign)
{
    switch (sign[0]) {
    case '=': return order == 0;
    case '!': return order != 0;
    case '<': return order < 0 || (sign[1] && order == 0);
    default: return order > 0 || (sign[1] && order == 0);
    }
}

static bool compare(Formula *formula, Number *out)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
    if (formula->values->depth == MAX_EVALUATION_DEPTH)
        return fault(formula, formula->at, "the expression is nested too deep");
    formula->values->depth++;
    bool done = read_sum(formula, out);
    for (size_t i = 0; done && i < sizeof signs / sizeof *signs; i++) {
        if (!skip(formula, signs[i])) continue;
        Number right;
        done = read_sum(formula, &right);
        if (!done) break;
        double a = as_float(*out), b = as_float(right);
        int order = out->kind == NUMBER_FLOAT || right.kind == NUMBER_FLOAT
                        ? (a > b) - (a < b)
                        : (out->i > right.i) - (out->i < right.i);
        *out = (Number){.kind = NUMBER_BOOL, .i = compare_with(order, signs[i])};
        break;
    }
    formula->values->depth--;
    return done;
}

/* The number that a scalar's text is. */
static bool evaluate(Values *values, const Tree *tree, const Scope *scope, bool integer, Number *out)
{
    if (tree->kind != TREE_SCALAR || tree_is_null(tree)) {
        diag_error(values->diag, tree->pos, "a number is expected here, not %s", tree_kind_text(tree));
        return false;
    }
    Formula formula = {values, tree, scope, tree->text, integer};
    if (!compare(&formula, out)) return false;
    formula.at = skip_blanks(formula.at);
    if (*formula.at)
        return fault(&formula, formula.at, "an operator or the end is expected here, not '%s'", formula.at);
    return true;
}

/* ---- typed values ----------------------------------------------------------------------------------------
 */

/* Follows `$name` and sees to it that what is there is a scalar that says something. */
static bool want_scalar(Values *values, const Tree **tree, const Scope **scope, const char *what,
                        const char *kind)
{
    if (!value_resolve(values, tree, scope)) return false;
    if ((*tree)->kind == TREE_SCALAR && !tree_is_null(*tree)) return true;
    diag_error(values->diag, (*tree)->pos, "%s is %s, not %s", what, kind, tree_kind_text(*tree));
    return false;
}

/* A plain word where a number or truth value should be: said as a whole, instead of as a failed expression.
 */
static bool reject_word(Values *values, const Tree *tree, const Scope *scope, const char *what,
                        const char *kind)
{
    const char *text = tree->text;
    if (!value_is_name(text) || isdigit((unsigned char)*text) || scope_symbol(scope, text) ||
        !strcmp(text, "true") || !strcmp(text, "false"))
        return true;
    for (const Scope *at = scope; at; at = at->outer) {
        if (!tree_find(at->declared, text)) continue;
        diag_error(values->diag, tree->pos, "%s is %s, not '%s' (did you mean '$%s'?)", what, kind, text,
                   text);
        return false;
    }
    if (!report_tunable(values, scope, text, tree->pos))
        diag_error(values->diag, tree->pos, "%s is %s, not '%s'", what, kind, text);
    return false;
}

bool value_int(Values *values, const Tree *tree, const Scope *scope, const char *what, int64_t *out)
{
    Number number;
    if (!want_scalar(values, &tree, &scope, what, "an integer") ||
        !reject_word(values, tree, scope, what, "an integer") ||
        !evaluate(values, tree, scope, true, &number))
        return false;
    if (number.kind == NUMBER_FLOAT && number.f == floor(number.f) && fabs(number.f) < 9e18)
        number = (Number){.kind = NUMBER_INT, .i = (int64_t)number.f};
    *out = number.i;
    if (number.kind == NUMBER_INT) return true;
    if (number.kind == NUMBER_BOOL)
        diag_error(values->diag, tree->pos, "%s is an integer, not true or false", what);
    else
        diag_error(values->diag, tree->pos, "%s is an integer, not %g", what, number.f);
    return false;
}

bool value_float(Values *values, const Tree *tree, const Scope *scope, const char *what, double *out)
{
    Number number;
    if (!want_scalar(values, &tree, &scope, what, "a number") ||
        !reject_word(values, tree, scope, what, "a number") || !evaluate(values, tree, scope, false, &number))
        return false;
    *out = as_float(number);
    if (number.kind != NUMBER_BOOL) return true;
    diag_error(values->diag, tree->pos, "%s is a number, not true or false", what);
    return false;
}

/* The truth value that another YAML reader would take the word for. */
static const char *meant_bool(const char *text)
{
    static const char *const words[][2] = {
        {"yes", "true"}, {"on", "true"},   {"y", "true"},      {"no", "false"}, {"off", "false"},
        {"n", "false"},  {"true", "true"}, {"false", "false"}, {"1", "true"},   {"0", "false"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i][0]) == 0) return words[i][1];
    return NULL;
}

bool value_bool(Values *values, const Tree *tree, const Scope *scope, const char *what, bool *out)
{
    Number number;
    if (!want_scalar(values, &tree, &scope, what, "true or false")) return false;
    const char *text = tree->text, *meant = meant_bool(text);
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0) return true;
    if (meant) {
        diag_error(values->diag, tree->pos, "%s is true or false, not '%s' (did you mean '%s'?)", what, text,
                   meant);
        return false;
    }
    if (!reject_word(values, tree, scope, what, "true or false") ||
        !evaluate(values, tree, scope, false, &number))
        return false;
    *out = number.i != 0;
    if (number.kind == NUMBER_BOOL) return true;
    diag_error(values->diag, tree->pos, "%s is true or false, not a number", what);
    return false;
}

const char *value_text(Values *values, const Tree *tree, const Scope *scope, const char *what)
{
    return want_scalar(values, &tree, &scope, what, "a word") ? tree->text : NULL;
}
