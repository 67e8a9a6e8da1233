/* See diag.h. Messages are kept in the order in which they were reported, each note behind its message; all
 * formatting happens when they are printed, into one Text, so that printing and diag_text can't differ.
 */
#include "diag.h"

#include <ctype.h>
#include <string.h>

enum {
    MAX_PRINTED = 20,   /* of errors, and of warnings */
    MAX_SENTENCE = 600, /* bytes; a sentence that quotes a monstrous name is cut in its middle */
    LINE_BEFORE = 60,   /* columns kept before and after the caret of a long line */
    LINE_AFTER = 40,
    MAX_NAME = 64, /* longer names are not compared in search of a slip */
};

typedef enum Severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_NOTE } Severity;

typedef struct Message {
    Severity severity;
    Pos pos;
    const char *text;
} Message;

struct Diag {
    Arena *arena;
    Message *messages;
    int n_messages, cap_messages;
    int n_errors, n_warnings;
    bool muted; /* the message before was dropped: its notes are dropped with it */
};

Diag *diag_new(Arena *arena)
{
    Diag *diag = ARENA_NEW(arena, Diag);
    diag->arena = arena;
    return diag;
}

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the valid UTF-8 sequence at text, 0 if there is none. */
static size_t sequence_length(const unsigned char *text, size_t left)
{
    size_t length = text[0] < 0x80             ? 1
                    : (text[0] & 0xe0) == 0xc0 ? 2
                    : (text[0] & 0xf0) == 0xe0 ? 3
                    : (text[0] & 0xf8) == 0xf0 ? 4
                                               : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if (!continues(text[i])) return 0;
    return length;
}

/* Appends bytes so that they take one column per character whatever they are: a tab is a blank, a control
 * byte or a stray one a dot. Returns the number of columns. */
static int append_clean(Text *out, const char *bytes, size_t length)
{
    int columns = 0;
    for (size_t i = 0; i < length; columns++) {
        const unsigned char *at = (const unsigned char *)bytes + i;
        size_t size = sequence_length(at, length - i);
        if (size == 1 && (at[0] < 0x20 || at[0] == 0x7f)) {
            text_append(out, at[0] == '\t' ? " " : ".", 1);
        } else if (size == 0) {
            text_append(out, ".", 1);
            size = 1;
        } else {
            text_append(out, bytes + i, size);
        }
        i += size;
    }
    return columns;
}

/* The sentence as it is kept: clean, and of a length that a reader can take. */
static const char *sentence(Arena *arena, const char *format, va_list args)
{
    const char *text = arena_vprintf(arena, format, args);
    size_t length = strlen(text);
    Text out = text_new(arena);
    if (length <= MAX_SENTENCE) {
        append_clean(&out, text, length);
        return out.text;
    }
    size_t head = MAX_SENTENCE / 2, tail = length - MAX_SENTENCE / 3;
    while (head > 0 && continues((unsigned char)text[head])) head--;
    while (tail < length && continues((unsigned char)text[tail])) tail++;
    append_clean(&out, text, head);
    text_printf(&out, "...");
    append_clean(&out, text + tail, length - tail);
    return out.text;
}

/* A block that is used many times makes the same mistake each time; once is enough. */
static bool repeated(const Diag *diag, Severity severity, Pos pos, const char *text)
{
    for (int i = 0; i < diag->n_messages; i++) {
        const Message *m = &diag->messages[i];
        if (m->severity == severity && m->pos.source == pos.source && m->pos.line == pos.line &&
            m->pos.column == pos.column && strcmp(m->text, text) == 0)
            return true;
    }
    return false;
}

/* What will not be printed is only counted: a file of a million mistakes must not take a gigabyte. */
static void report(Diag *diag, Severity severity, Pos pos, const char *text)
{
    if (severity != SEVERITY_NOTE) diag->muted = repeated(diag, severity, pos, text);
    if (diag->muted) return;
    if (severity == SEVERITY_ERROR) diag->muted = ++diag->n_errors > MAX_PRINTED;
    if (severity == SEVERITY_WARNING) diag->muted = ++diag->n_warnings > MAX_PRINTED;
    if (diag->muted) return;
    Message message = {severity, pos, text};
    ARENA_PUSH(diag->arena, diag->messages, diag->n_messages, diag->cap_messages, message);
}

void diag_error(Diag *diag, Pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(diag, SEVERITY_ERROR, pos, sentence(diag->arena, format, args));
    va_end(args);
}

void diag_warning(Diag *diag, Pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(diag, SEVERITY_WARNING, pos, sentence(diag->arena, format, args));
    va_end(args);
}

void diag_note(Diag *diag, Pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(diag, SEVERITY_NOTE, pos, sentence(diag->arena, format, args));
    va_end(args);
}

bool diag_failed(const Diag *diag)
{
    return diag->n_errors > 0;
}

int diag_errors(const Diag *diag)
{
    return diag->n_errors;
}

bool diag_full(const Diag *diag)
{
    return diag->n_errors >= MAX_PRINTED;
}

/* The bytes of a 1-based line without its end; false if the source has fewer lines. */
static bool find_line(const Source *source, int line, const char **start, size_t *length)
{
    const char *at = source->text, *end = source->text + source->size;
    for (int i = 1; i < line; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) return false;
        at = newline + 1;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    *start = at;
    *length = (size_t)((newline ? newline : end) - at);
    if (*length > 0 && at[*length - 1] == '\r') --*length;
    return true;
}

/* Moves at by up to count characters: backward (step -1) not before 0, forward not behind length. */
static size_t move(const char *line, size_t length, size_t at, int count, int step)
{
    for (; count > 0 && (step < 0 ? at > 0 : at < length); count--) {
        do at = step < 0 ? at - 1 : at + 1;
        while (at > 0 && at < length && continues((unsigned char)line[at]));
    }
    return at;
}

static void quote_line(Text *out, Pos pos)
{
    const char *line;
    size_t length;
    if (!find_line(pos.source, pos.line, &line, &length)) return;
    size_t caret = pos.column > 0 ? (size_t)pos.column - 1 : 0;
    if (caret > length) caret = length;
    size_t from = move(line, length, caret, LINE_BEFORE, -1), to = move(line, length, caret, LINE_AFTER, 1);
    /* A line that fits as a whole is not cut. */
    if (length <= LINE_BEFORE + LINE_AFTER) {
        from = 0;
        to = length;
    }
    text_printf(out, "%5d | %s", pos.line, from > 0 ? "..." : "");
    int columns = append_clean(out, line + from, caret - from) + (from > 0 ? 3 : 0);
    append_clean(out, line + caret, to - caret);
    text_printf(out, "%s\n      | %*s^\n", to < length ? "..." : "", columns, "");
}

static void print_message(Text *out, const Message *message)
{
    static const char *const words[] = {"error", "warning", "note"};
    Pos pos = message->pos;
    if (pos.source) {
        append_clean(out, pos.source->path, strlen(pos.source->path));
        if (pos.line > 0) text_printf(out, ":%d:%d", pos.line, pos.column);
        text_printf(out, ": ");
    }
    text_printf(out, "%s: %s\n", words[message->severity], message->text);
    if (pos.source && pos.line > 0 && pos.source->text) quote_line(out, pos);
}

static void print_hidden(Text *out, int count, const char *what)
{
    int hidden = count - MAX_PRINTED;
    if (hidden > 0) text_printf(out, "%d more %s%s not shown\n", hidden, what, hidden == 1 ? " is" : "s are");
}

const char *diag_text(const Diag *diag)
{
    Text out = text_new(diag->arena);
    for (int i = 0; i < diag->n_messages; i++) print_message(&out, &diag->messages[i]);
    print_hidden(&out, diag->n_errors, "error");
    print_hidden(&out, diag->n_warnings, "warning");
    return out.text;
}

void diag_print(const Diag *diag, FILE *out)
{
    fputs(diag_text(diag), out);
}

static int min3(int a, int b, int c)
{
    int least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment: insertions, deletions, replacements and swaps of neighbours. Both lengths are at
 * most MAX_NAME. */
static int edit_distance(const char *a, int n, const char *b, int m)
{
    int row[3][MAX_NAME + 1]; /* the last three rows of the table, row i at i % 3 */
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *earlier = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == cb)
                now[j] = min3(now[j], earlier[j - 2] + 1, now[j]);
        }
    }
    return row[n % 3][m];
}

const char *diag_nearest(const char *name, const char *const *candidates, int count)
{
    size_t length = strlen(name);
    if (length == 0 || length > MAX_NAME) return NULL;
    const char *nearest = NULL;
    int least = ((int)length + 2) / 3 + 1;
    for (int i = 0; i < count; i++) {
        size_t size = candidates[i] ? strlen(candidates[i]) : 0;
        if (size == 0 || size > MAX_NAME) continue;
        int distance = edit_distance(name, (int)length, candidates[i], (int)size);
        /* All letters replaced is no slip: 'x' is not a misspelt 'y'. */
        int longer = length > size ? (int)length : (int)size;
        if (distance < least && distance < longer) {
            least = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
