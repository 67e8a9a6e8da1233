/* A strict JSON reader that hands out one value at a time: the caller asks for what must come next.
 *
 * Nothing is built, so nesting is as deep as the caller's own calls and a hostile text cannot cost more
 * memory than its strings. After the first mistake every call returns false and `problem` says what was
 * wrong; `at` stays where it was.
 *
 *     json_open(&reader, '{');
 *     for (bool first = true; json_more(&reader, '}', &first);) {
 *         if (!json_key(&reader, &arena, &name) || !json_whole(&reader, &number)) break;
 *     }
 *     if (reader.problem) ... reader.problem, reader.at ...
 */
#ifndef RT_JSON_H
#define RT_JSON_H

#include "rt_arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct JsonReader {
    const char *text; /* need not end in NUL */
    size_t size;
    size_t at;           /* bytes read */
    const char *problem; /* a constant sentence; NULL while all is well */
    bool no_memory;      /* the problem was the arena's */
} JsonReader;

/* The bracket that opens an object or array. */
bool json_open(JsonReader *reader, char bracket);
/* True if an element follows, having read the comma before it; false after reading the closing bracket (or
 * on a problem). first is true before the first element. */
bool json_more(JsonReader *reader, char closing, bool *first);
/* A string, without escapes, NUL-terminated in the arena. One that holds a NUL is refused. */
bool json_text(JsonReader *reader, RtArena *arena, const char **text);
/* A string and the colon behind it. */
bool json_key(JsonReader *reader, RtArena *arena, const char **key);
/* A number that is whole, not negative, and below 2^63. */
bool json_whole(JsonReader *reader, int64_t *value);
/* Any number, or null, which becomes NaN. Refused: one of more than 60 characters or beyond a double's range.
 */
bool json_number(JsonReader *reader, double *value);
bool json_bool(JsonReader *reader, bool *value);
/* Passes over one value of any kind; nested at most 32 deep. */
bool json_skip(JsonReader *reader);
/* Only white space is left. */
bool json_end(JsonReader *reader);

/* Whether size bytes are UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF. */
bool json_is_utf8(const char *text, size_t size);

#endif
