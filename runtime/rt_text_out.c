/* See rt_text_out.h. */
#define _GNU_SOURCE
#include "rt_text_out.h"

#include "rt_json.h"
#include "rt_new_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PRINTED = 4000, FIRST_CAPACITY = 1 << 16 };

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

static char *room(TextOut *out, size_t size)
{
    if (out->no_memory) return NULL;
    if (out->capacity - out->size < size) {
        size_t capacity = (out->capacity + size) * 2;
        if (capacity < FIRST_CAPACITY) capacity = FIRST_CAPACITY;
        char *text = rt_realloc(out->text, out->capacity, capacity);
        out->no_memory = !text;
        if (!text) return NULL;
        out->text = text;
        out->capacity = capacity;
    }
    return out->text + out->size;
}

static void add(TextOut *out, const char *text, size_t size)
{
    char *to = room(out, size);
    if (!to) return;
    memcpy(to, text, size);
    out->size += size;
}

void text_out(TextOut *out, const char *format, ...)
{
    char text[PRINTED];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add(out, text, length < PRINTED ? (size_t)length : PRINTED - 1);
}

/* Bytes of the character at text; 0 when it is none. */
static size_t character(const char *text)
{
    const size_t left = strnlen(text, 4);
    for (size_t length = 1; length <= left; length++) {
        if (json_is_utf8(text, length)) return length;
    }
    return 0;
}

/* What a character becomes in HTML; NULL: itself. */
static const char *entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return ((unsigned char)c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? REPLACEMENT : NULL;
    }
}

void text_out_html(TextOut *out, const char *text)
{
    while (*text) {
        const size_t length = character(text);
        const char *other = length ? entity(*text) : REPLACEMENT;
        add(out, other ? other : text, other ? strlen(other) : length);
        text += length ? length : 1;
    }
}

void text_out_markdown(TextOut *out, const char *text)
{
    for (; *text; text += character(text) ? character(text) : 1) {
        const size_t length = character(text);
        if (!length || (unsigned char)*text < 0x20)
            add(out, length ? " " : REPLACEMENT, length ? 1 : strlen(REPLACEMENT));
        else if (strchr("\\|`*<>[]~", *text))
            text_out(out, "\\%c", *text);
        else
            add(out, text, length);
    }
}

void text_out_base64(TextOut *out, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = data;
    char *to = room(out, (size + 2) / 3 * 4);
    if (!to) return;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned b1 = left > 1 ? from[i + 1] : 0, b2 = left > 2 ? from[i + 2] : 0;
        *to++ = digits[from[i] >> 2];
        *to++ = digits[(from[i] & 3) << 4 | b1 >> 4];
        *to++ = left > 1 ? digits[(b1 & 15) << 2 | b2 >> 6] : '=';
        *to++ = left > 2 ? digits[b2 & 63] : '=';
    }
    out->size += (size + 2) / 3 * 4;
}

RtStatus text_out_write(const TextOut *out, const char *path, RtError *err)
{
    if (out->no_memory) return rt_fail(err, RT_MACHINE, "%s: no memory to put it together", path);
    RtNewFile file;
    RtStatus status = new_file_open(&file, path, out->size, err);
    if (!status) status = new_file_write(&file, out->text, out->size, err);
    return status ? status : new_file_finish(&file, err);
}

void text_out_free(TextOut *out)
{
    rt_free(out->text);
    *out = (TextOut){0};
}
