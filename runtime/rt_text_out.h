/* Text that is put together in memory and then becomes a file: a page, a table.
 *
 * Want of memory is remembered, not reported at once: what follows is dropped, and writing the file says so.
 * A zeroed TextOut is empty; release with text_out_free. Not thread safe.
 *
 *     TextOut out = {0};
 *     text_out(&out, "<td>%.2f</td><td>", iou);
 *     text_out_html(&out, name);
 *     status = text_out_write(&out, "report.html", &err);
 *     text_out_free(&out);
 */
#ifndef RT_TEXT_OUT_H
#define RT_TEXT_OUT_H

#include "rt_status.h"

#include <stdbool.h>

typedef struct TextOut {
    char *text; /* not NUL-terminated */
    size_t size, capacity;
    bool no_memory; /* something was dropped */
} TextOut;

/* As printf; one call makes at most 4000 bytes. */
void text_out(TextOut *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text for HTML and SVG, inside elements and quoted attributes: markup becomes entities; bytes that are no
 * UTF-8, and control characters, become U+FFFD. */
void text_out_html(TextOut *out, const char *text);
/* A text inside a cell of a Markdown table: what Markdown would read is escaped. */
void text_out_markdown(TextOut *out, const char *text);
void text_out_base64(TextOut *out, const void *data, size_t size);

/* The file appears complete or not at all (rt_new_file.h). RT_MACHINE when memory was short. */
RtStatus text_out_write(const TextOut *out, const char *path, RtError *err);
void text_out_free(TextOut *out);

#endif
