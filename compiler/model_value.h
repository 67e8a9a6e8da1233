/* Values: what a scalar of the file means where a number, a truth value or a word is expected.
 *
 * Every value may be an expression over `$settings` and the sizes N, H, W: + - * / // % ( ) comparisons, min
 * and max. A setting is not evaluated where it is given but where it is used, as what is expected there, with
 * its own `$names` looked up where it was given; so `kernel: 3` and `mode: nearest` need no types, and
 * `padding: $kernel / 2` is 1 as an integer. All functions report in diag and return false (or NULL); the
 * caller may add notes to the message.
 *
 *     int64_t filters;
 *     if (!value_int(values, tree, scope, "'filters'", &filters)) return false;
 */
#ifndef MODEL_VALUE_H
#define MODEL_VALUE_H

#include "tree.h"
#include <stdint.h>

typedef struct Scope Scope;

/* A number as an expression makes it. */
typedef struct Number {
    enum { NUMBER_INT, NUMBER_FLOAT, NUMBER_BOOL } kind;
    int64_t i; /* INT, BOOL */
    double f;  /* FLOAT */
} Number;

/* A setting of one use of a network or block. */
typedef struct Setting {
    const Tree *value;  /* NULL: required and not given, which has been reported */
    const Scope *scope; /* where value's own names are looked up */
    bool busy;          /* being evaluated, to find settings that are defined by themselves */
    bool known[2];      /* result of each evaluation: as float, as integer */
    Number number[2];
} Setting;

/* A size that a network's inputs name: N, H, W. */
typedef struct Symbol {
    const char *name;
    int64_t value; /* 0: not known */
} Symbol;

/* What `$name` and a bare name mean at one place. */
struct Scope {
    const Scope *outer;   /* looked in next; NULL: none */
    const char *owner;    /* "block 'conv'", for messages */
    const Tree *declared; /* the settings mapping; NULL: none */
    Setting *settings;    /* one for each entry of declared */
    bool *used;           /* one for each entry of declared: set once its value is asked for */
    Symbol *symbols;
    int n_symbols;
    const Tree *tunables; /* mapping whose keys can't stand where a value is expected; NULL: none */
};

typedef struct Values {
    Arena *arena;
    Diag *diag;
    int depth; /* of nested evaluations */
} Values;

/* what names the thing in messages: "'filters'". An integer is what is left of a division by flooring, when
 * both sides are integers; other fractions are errors. */
bool value_int(Values *values, const Tree *tree, const Scope *scope, const char *what, int64_t *out);
bool value_float(Values *values, const Tree *tree, const Scope *scope, const char *what, double *out);
bool value_bool(Values *values, const Tree *tree, const Scope *scope, const char *what, bool *out);
const char *value_text(Values *values, const Tree *tree, const Scope *scope, const char *what);
/* Follows a value that is just `$name` to what was given for it, so that it may be a list. */
bool value_resolve(Values *values, const Tree **tree, const Scope **scope);

/* The symbol of this name in scope or outside it, NULL if there is none. */
Symbol *scope_symbol(const Scope *scope, const char *name);
/* Whether text is a name: letters, digits, _ and -, not empty. */
bool value_is_name(const char *text);

#endif
