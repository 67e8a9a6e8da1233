/* See rt_json_out.h. */
#include "rt_json_out.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at text; 0 if there is none (overlong forms and surrogates are none). */
static int sequence_length(const unsigned char *text)
{
    if (text[0] < 0x80) return 1;
    int length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4) return 0;
    for (int i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
    }
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f)) return 0;
    if ((text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f)) return 0;
    return length;
}

static void write_string(FILE *out, const char *value)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)value; *at;) {
        int length = sequence_length(at);
        if (!length)
            fputs("\\ufffd", out);
        else if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fwrite(at, 1, (size_t)length, out);
        at += length ? length : 1;
    }
    fputc('"', out);
}

static void new_line(JsonOut *json)
{
    fprintf(json->out, "\n%*s", json->depth * 2, "");
}

/* The comma and line before an element, and its key. */
static void begin(JsonOut *json, const char *key)
{
    if (json->depth) {
        bool is_first = !json->filled[json->depth - 1];
        if (!is_first) fputs(json->one_line ? ", " : ",", json->out);
        json->filled[json->depth - 1] = true;
        if (!json->one_line) new_line(json);
    }
    if (!key) return;
    write_string(json->out, key);
    fputs(": ", json->out);
}

void json_out_open(JsonOut *json, const char *key, char bracket)
{
    assert(json->depth < JSON_OUT_DEPTH);
    begin(json, key);
    fputc(bracket, json->out);
    json->closing[json->depth] = bracket == '{' ? '}' : ']';
    json->filled[json->depth++] = false;
}

void json_out_close(JsonOut *json)
{
    assert(json->depth > 0);
    json->depth--;
    if (json->filled[json->depth] && !json->one_line) new_line(json);
    fputc(json->closing[json->depth], json->out);
    if (!json->depth) fputc('\n', json->out);
}

void json_out_text(JsonOut *json, const char *key, const char *value)
{
    begin(json, key);
    write_string(json->out, value);
}

void json_out_number(JsonOut *json, const char *key, double value)
{
    if (!isfinite(value)) {
        json_out_null(json, key);
        return;
    }
    begin(json, key);
    fprintf(json->out, "%.*g", json->digits ? json->digits : 6, value);
}

void json_out_integer(JsonOut *json, const char *key, int64_t value)
{
    begin(json, key);
    fprintf(json->out, "%lld", (long long)value);
}

void json_out_bool(JsonOut *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_out_null(JsonOut *json, const char *key)
{
    begin(json, key);
    fputs("null", json->out);
}
