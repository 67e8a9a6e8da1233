/* Tokens of loop text, and the errors of whoever reads them.
 *
 * One error ends a parse: from then on every token is T_END and further errors are ignored, so that a
 * recursive-descent parser runs out by itself, without a check after every call.
 *
 *     Lexer lexer = lex_start(arena, diag, source);
 *     const char *name = lex_expect_name(&lexer, "the kernel's name");
 *     lex_expect(&lexer, "(");
 *
 * A token is a name, an integer, a float (inf and nan too), a string between quotes, or a sign; '#' starts a
 * comment. Texts live in the arena.
 */
#ifndef LEX_H
#define LEX_H

#include "diag.h"
#include <stdint.h>

typedef enum TokenKind { T_END, T_NAME, T_INT, T_FLOAT, T_STRING, T_SIGN } TokenKind;

typedef struct Token {
    TokenKind kind;
    Pos pos;
    const char *text; /* as written; STRING without its quotes; END "" */
    int64_t i;        /* INT; never negative: the sign is a token of its own */
    double f;         /* FLOAT */
} Token;

typedef struct Lexer {
    Arena *arena;
    Diag *diag;
    const Source *source;
    size_t at;      /* of the next byte */
    int line;       /* of that byte */
    size_t line_at; /* where its line starts */
    Token token;    /* the one being looked at */
    bool failed;
} Lexer;

/* The first token is looked at. */
Lexer lex_start(Arena *arena, Diag *diag, const Source *source);
void lex_advance(Lexer *lexer);

bool lex_looks_at(const Lexer *lexer, TokenKind kind, const char *text);
/* Advances over the token if it is the one. */
bool lex_accept(Lexer *lexer, TokenKind kind, const char *text);

/* Each advances over what it wants, or fails. */
void lex_expect(Lexer *lexer, const char *sign);
const char *lex_expect_name(Lexer *lexer, const char *what); /* not a word of the language; "" on failure */
int64_t lex_expect_int(Lexer *lexer, const char *what);      /* 0 on failure */

/* Whether the name is a word of the language, which no variable, buffer or kernel can have. */
bool lex_is_reserved(const char *name);

/* Reports the first error. */
void lex_fail(Lexer *lexer, Pos pos, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "expected WHAT, found ...", at the token. */
void lex_fail_expected(Lexer *lexer, const char *what);

#endif
