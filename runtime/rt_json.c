/* See rt_json.h; the grammar is RFC 8259's. */
#include "rt_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_LENGTH = 60, SKIP_DEPTH = 32 };

static bool fail(JsonReader *reader, const char *problem)
{
    if (!reader->problem) reader->problem = problem;
    return false;
}

/* The next byte that is not white space, or 0 at the end. */
static char peek(JsonReader *reader)
{
    while (reader->at < reader->size && strchr(" \t\r\n", reader->text[reader->at]) &&
           reader->text[reader->at])
        reader->at++;
    return reader->at < reader->size ? reader->text[reader->at] : '\0';
}

static bool accept(JsonReader *reader, char wanted)
{
    if (reader->problem || peek(reader) != wanted || reader->at == reader->size) return false;
    reader->at++;
    return true;
}

bool json_open(JsonReader *reader, char bracket)
{
    return accept(reader, bracket) || fail(reader, bracket == '{' ? "expected '{'" : "expected '['");
}

bool json_more(JsonReader *reader, char closing, bool *first)
{
    if (reader->problem || accept(reader, closing)) return false;
    if (!*first && !accept(reader, ','))
        return fail(reader, closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    *first = false;
    return true;
}

static bool hex4(JsonReader *reader, uint32_t *value)
{
    static const char digits[] = "0123456789abcdef";
    *value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = reader->at < reader->size ? reader->text[reader->at] : '\0';
        const char lower = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
        const char *digit = lower ? strchr(digits, lower) : NULL;
        if (!digit) return fail(reader, "expected four hexadecimal digits");
        *value = *value * 16 + (uint32_t)(digit - digits);
        reader->at++;
    }
    return true;
}

static size_t put_utf8(uint32_t code, char *to)
{
    const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[more] | code >> 6 * more);
    for (int i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3f));
    return (size_t)more + 1;
}

/* After "\u": one code point, from two escapes where they are a surrogate pair. */
static bool unicode_escape(JsonReader *reader, char *to, size_t *length)
{
    uint32_t code, low;
    if (!hex4(reader, &code)) return false;
    if (code >= 0xd800 && code < 0xdc00) {
        const bool paired = reader->size - reader->at >= 2 && !memcmp(reader->text + reader->at, "\\u", 2);
        if (!paired) return fail(reader, "half of a surrogate pair");
        reader->at += 2;
        if (!hex4(reader, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return fail(reader, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
        return fail(reader, "half of a surrogate pair");
    }
    if (code == 0) return fail(reader, "a NUL in a string");
    *length += put_utf8(code, to + *length);
    return true;
}

static bool escape(JsonReader *reader, char *to, size_t *length)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char c = reader->at < reader->size ? reader->text[reader->at] : '\0';
    const char *name = c ? strchr(names, c) : NULL;
    if (name) to[(*length)++] = meanings[name - names];
    if (!name && c != 'u') return fail(reader, "an unknown escape in a string");
    reader->at++;
    return name || unicode_escape(reader, to, length);
}

bool json_text(JsonReader *reader, RtArena *arena, const char **text)
{
    if (!accept(reader, '"')) return fail(reader, "expected a string");
    const char *start = reader->text + reader->at;
    size_t raw = 0; /* to the closing quote; what it stands for is never longer */
    const size_t left = reader->size - reader->at;
    while (raw < left && start[raw] != '"') raw += start[raw] == '\\' ? 2 : 1;
    if (raw >= left) return fail(reader, "a string without an end");
    char *to = rt_arena_alloc(arena, raw + 1);
    if (!to) return reader->no_memory = true, fail(reader, "no memory");
    size_t length = 0;
    while (reader->text[reader->at] != '"') {
        const char c = reader->text[reader->at];
        if ((unsigned char)c < 0x20) return fail(reader, "a control character in a string");
        reader->at++;
        if (c != '\\')
            to[length++] = c;
        else if (!escape(reader, to, &length))
            return false;
    }
    reader->at++;
    *text = to;
    return true;
}

bool json_key(JsonReader *reader, RtArena *arena, const char **key)
{
    if (!json_text(reader, arena, key)) return false;
    return accept(reader, ':') || fail(reader, "expected ':'");
}

bool json_whole(JsonReader *reader, int64_t *value)
{
    if (reader->problem) return false;
    const char start = peek(reader);
    if (start < '0' || start > '9') return fail(reader, "expected a whole number, not negative");
    const size_t first = reader->at;
    int64_t number = 0;
    for (; reader->at < reader->size; reader->at++) {
        const char c = reader->text[reader->at];
        if (c == '.' || c == 'e' || c == 'E') return fail(reader, "expected a whole number, not a fraction");
        if (c < '0' || c > '9') break;
        if (number > (INT64_MAX - (c - '0')) / 10) return fail(reader, "a number of 2^63 or more");
        number = number * 10 + (c - '0');
    }
    if (start == '0' && reader->at - first > 1) return fail(reader, "a number that starts with 0");
    *value = number;
    return true;
}

/* The word, if it stands next. */
static bool word(JsonReader *reader, const char *wanted)
{
    const size_t length = strlen(wanted);
    if (reader->problem || !peek(reader)) return false;
    if (reader->size - reader->at < length || memcmp(reader->text + reader->at, wanted, length)) return false;
    reader->at += length;
    return true;
}

static const char *digits(const char *at)
{
    while (*at >= '0' && *at <= '9') at++;
    return at;
}

/* Where the number that starts at text ends; text itself if none does. */
static const char *number_end(const char *text)
{
    const char *start = text + (*text == '-'), *at = digits(start);
    if (at == start || (*start == '0' && at - start > 1)) return text;
    if (*at == '.') {
        const char *fraction = at + 1;
        at = digits(fraction);
        if (at == fraction) return text;
    }
    if (*at == 'e' || *at == 'E') {
        const char *power = at + 1 + (at[1] == '-' || at[1] == '+');
        at = digits(power);
        if (at == power) return text;
    }
    return at;
}

bool json_number(JsonReader *reader, double *value)
{
    if (word(reader, "null")) return *value = (double)NAN, true;
    if (reader->problem) return false;
    char text[NUMBER_LENGTH + 1] = "";
    size_t length = 0;
    for (peek(reader); length < NUMBER_LENGTH && reader->at + length < reader->size; length++) {
        const char c = reader->text[reader->at + length];
        if (!c || !strchr("+-.eE0123456789", c)) break;
        text[length] = c;
    }
    if (!length || number_end(text) != text + length) return fail(reader, "expected a number or null");
    *value = strtod(text, NULL);
    if (!isfinite(*value)) return fail(reader, "a number that is too large");
    reader->at += length;
    return true;
}

bool json_bool(JsonReader *reader, bool *value)
{
    *value = word(reader, "true");
    return *value || word(reader, "false") || fail(reader, "expected true or false");
}

static bool skip_text(JsonReader *reader)
{
    if (!accept(reader, '"')) return fail(reader, "expected a string");
    for (; reader->at < reader->size && reader->text[reader->at] != '"'; reader->at++)
        reader->at += reader->text[reader->at] == '\\';
    return accept(reader, '"') || fail(reader, "a string without an end");
}

static bool skip_value(JsonReader *reader, int depth)
{
    const char start = peek(reader);
    if (start == '"') return skip_text(reader);
    if (start != '{' && start != '[') {
        double number;
        return word(reader, "true") || word(reader, "false") || json_number(reader, &number);
    }
    if (!depth) return fail(reader, "brackets nested too deep");
    const char closing = start == '{' ? '}' : ']';
    json_open(reader, start);
    for (bool first = true; json_more(reader, closing, &first);) {
        if (start == '{' && (!skip_text(reader) || !accept(reader, ':'))) return fail(reader, "expected ':'");
        if (!skip_value(reader, depth - 1)) return false;
    }
    return !reader->problem;
}

bool json_skip(JsonReader *reader)
{
    return !reader->problem && skip_value(reader, SKIP_DEPTH);
}

bool json_end(JsonReader *reader)
{
    if (reader->problem) return false;
    return (peek(reader) == '\0' && reader->at == reader->size) || fail(reader, "text after the end");
}

/* Length in bytes of the code point at text, 0 if it is not one. Table 3-7 of the Unicode standard. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    const unsigned char lead = text[0];
    if (lead < 0x80) return 1;
    const size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                          : (lead & 0xf0) == 0xe0        ? 3
                          : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                         : 0;
    if (length == 0 || left < length) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
    const bool surrogate = lead == 0xed && text[1] > 0x9f;
    const bool beyond = lead == 0xf4 && text[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

bool json_is_utf8(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t length = utf8_length((const unsigned char *)text + at, size - at);
        if (!length) return false;
        at += length;
    }
    return true;
}
