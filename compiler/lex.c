/* See lex.h. */
#include "lex.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors -------------------------------------------------------------------------------------- */

void lex_fail(Lexer *l, Pos pos, const char *format, ...)
{
    if (l->failed) return;
    va_list args;
    va_start(args, format);
    diag_error(l->diag, pos, "%s", arena_vprintf(l->arena, format, args));
    va_end(args);
    l->failed = true;
    l->token.kind = T_END;
    l->token.text = "";
}

static const char *token_text(const Lexer *l)
{
    const Token *t = &l->token;
    switch (t->kind) {
    case T_END: return "the end";
    case T_INT: return arena_printf(l->arena, "%lld", (long long)t->i);
    case T_FLOAT: return arena_printf(l->arena, "%g", t->f);
    default: return arena_printf(l->arena, "'%s'", t->text);
    }
}

void lex_fail_expected(Lexer *l, const char *what)
{
    lex_fail(l, l->token.pos, "expected %s, found %s", what, token_text(l));
}

/* ---- tokens -------------------------------------------------------------------------------------- */

static int byte_at(const Lexer *l, size_t offset)
{
    size_t at = l->at + offset;
    return at < l->source->size ? (unsigned char)l->source->text[at] : -1;
}

static void skip_blanks(Lexer *l)
{
    for (int c = byte_at(l, 0); c >= 0; c = byte_at(l, 0)) {
        if (c == '#') {
            while (byte_at(l, 0) >= 0 && byte_at(l, 0) != '\n') l->at++;
        } else if (c == '\n') {
            l->at++;
            l->line++;
            l->line_at = l->at;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            l->at++;
        } else {
            return;
        }
    }
}

static void lex_name(Lexer *l)
{
    size_t start = l->at;
    while (byte_at(l, 0) == '_' || (byte_at(l, 0) >= 0 && isalnum(byte_at(l, 0)))) l->at++;
    l->token.kind = T_NAME;
    l->token.text = arena_strndup(l->arena, l->source->text + start, l->at - start);
    if (strcmp(l->token.text, "inf") != 0 && strcmp(l->token.text, "nan") != 0) return;
    l->token.kind = T_FLOAT;
    l->token.f = l->token.text[0] == 'i' ? INFINITY : NAN;
}

static bool digit_at(const Lexer *l, size_t offset)
{
    int c = byte_at(l, offset);
    return c >= '0' && c <= '9';
}

static void skip_digits(Lexer *l)
{
    while (digit_at(l, 0)) l->at++;
}

/* 0..8 is a range: a '.' belongs to the number only before a digit. */
static void lex_number(Lexer *l)
{
    size_t start = l->at;
    bool is_float = false;
    skip_digits(l);
    if (byte_at(l, 0) == '.' && digit_at(l, 1)) {
        is_float = true;
        l->at++;
        skip_digits(l);
    }
    bool sign = byte_at(l, 1) == '-' || byte_at(l, 1) == '+';
    if (byte_at(l, 0) == 'e' && digit_at(l, sign ? 2 : 1)) {
        is_float = true;
        l->at += sign ? 2 : 1;
        skip_digits(l);
    }
    const char *digits = arena_strndup(l->arena, l->source->text + start, l->at - start);
    l->token.text = digits;
    l->token.kind = is_float ? T_FLOAT : T_INT;
    errno = 0;
    if (is_float) {
        l->token.f = strtod(digits, NULL);
        if (isinf(l->token.f)) lex_fail(l, l->token.pos, "%s is too large for a float", digits);
    } else {
        l->token.i = strtoll(digits, NULL, 10);
        if (errno) lex_fail(l, l->token.pos, "%s is too large for an integer", digits);
    }
}

static void lex_string(Lexer *l)
{
    size_t start = ++l->at;
    while (byte_at(l, 0) >= ' ' && byte_at(l, 0) != '"') l->at++;
    l->token.kind = T_STRING;
    l->token.text = arena_strndup(l->arena, l->source->text + start, l->at - start);
    if (byte_at(l, 0) != '"')
        lex_fail(l, l->token.pos, "this string does not end on its line");
    else
        l->at++;
}

static void lex_sign(Lexer *l)
{
    static const char *const signs[] = {"..", "&&", "<=", "==", "<", ">", "+", "-", "*", "/",
                                        "%",  "=",  "(",  ")",  "[", "]", "{", "}", ",", ":"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t length = strlen(signs[i]);
        if (byte_at(l, 0) != signs[i][0] || (length == 2 && byte_at(l, 1) != signs[i][1])) continue;
        l->token.kind = T_SIGN;
        l->token.text = signs[i];
        l->at += length;
        return;
    }
    int c = byte_at(l, 0);
    if (c > ' ' && c < 127)
        lex_fail(l, l->token.pos, "unexpected character '%c'", c);
    else
        lex_fail(l, l->token.pos, "unexpected byte 0x%02x", (unsigned)c);
}

void lex_advance(Lexer *l)
{
    if (l->failed) return;
    skip_blanks(l);
    l->token = (Token){.pos = {l->source, l->line, (int)(l->at - l->line_at) + 1}, .text = ""};
    int c = byte_at(l, 0);
    if (c < 0) return;
    if (isalpha(c) || c == '_')
        lex_name(l);
    else if (isdigit(c))
        lex_number(l);
    else if (c == '"')
        lex_string(l);
    else
        lex_sign(l);
}

bool lex_looks_at(const Lexer *l, TokenKind kind, const char *text)
{
    return l->token.kind == kind && strcmp(l->token.text, text) == 0;
}

bool lex_accept(Lexer *l, TokenKind kind, const char *text)
{
    if (!lex_looks_at(l, kind, text)) return false;
    lex_advance(l);
    return true;
}

void lex_expect(Lexer *l, const char *sign)
{
    if (!lex_accept(l, T_SIGN, sign)) lex_fail_expected(l, arena_printf(l->arena, "'%s'", sign));
}

bool lex_is_reserved(const char *name)
{
    static const char *const words[] = {"kernel", "parallel", "for", "vector", "reduce", "with",
                                        "yield",  "let",      "if",  "inf",    "nan"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(name, words[i]) == 0) return true;
    return false;
}

const char *lex_expect_name(Lexer *l, const char *what)
{
    const char *name = l->token.text;
    if (l->token.kind != T_NAME || lex_is_reserved(name)) {
        lex_fail_expected(l, what);
        return "";
    }
    lex_advance(l);
    return name;
}

int64_t lex_expect_int(Lexer *l, const char *what)
{
    int64_t value = l->token.i;
    if (l->token.kind != T_INT) {
        lex_fail_expected(l, what);
        return 0;
    }
    lex_advance(l);
    return value;
}

Lexer lex_start(Arena *arena, Diag *diag, const Source *source)
{
    Lexer lexer = {.arena = arena, .diag = diag, .source = source, .line = 1};
    lex_advance(&lexer);
    return lexer;
}
