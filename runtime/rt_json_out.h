/* Writing JSON to a stream, one value at a time; commas and indentation are put in. Nothing is allocated, and
 * write errors stay in the stream (ferror). Strings that are no UTF-8 come out with U+FFFD in place of the
 * wrong bytes; numbers that JSON has no word for (infinite, NaN) as null. Not thread safe.
 *
 *     JsonOut json = {.out = stdout};
 *     json_out_open(&json, NULL, '{');
 *     json_out_text(&json, "name", "bisenet");
 *     json_out_number(&json, "ms", 12.5);
 *     json_out_close(&json);
 *
 * Inside an array, keys are NULL.
 */
#ifndef RT_JSON_OUT_H
#define RT_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { JSON_OUT_DEPTH = 16 };

typedef struct JsonOut {
    FILE *out;
    bool one_line;                /* no line breaks and indentation inside */
    int digits;                   /* significant digits of numbers; 0: six */
    int depth;                    /* brackets that are open, at most JSON_OUT_DEPTH */
    char closing[JSON_OUT_DEPTH]; /* their counterparts */
    bool filled[JSON_OUT_DEPTH];  /* whether an element was written inside */
} JsonOut;

/* bracket is '{' or '['. */
void json_out_open(JsonOut *json, const char *key, char bracket);
/* The last bracket; the outermost ends the line. */
void json_out_close(JsonOut *json);
void json_out_text(JsonOut *json, const char *key, const char *value);
void json_out_number(JsonOut *json, const char *key, double value);
void json_out_integer(JsonOut *json, const char *key, int64_t value);
void json_out_bool(JsonOut *json, const char *key, bool value);
void json_out_null(JsonOut *json, const char *key);

#endif
