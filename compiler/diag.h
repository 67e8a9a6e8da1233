/* Diagnostics: what is wrong with the user's input, where, and what was expected.
 *
 * A Diag collects messages; nothing is printed until diag_print. Several mistakes are reported in one run: a
 * stage goes on as far as it sensibly can and its caller looks at diag_failed when it is done.
 *
 *     graphs/bisenet.yaml:12:18: error: unknown operator 'conv2' (did you mean 'conv2d'?)
 *        12 |   conv: {op: conv2, in: x}
 *           |              ^
 *     graphs/bisenet.yaml:3:1: note: blocks are defined here
 *
 * Sources and messages live in the arena. Not thread safe.
 */
#ifndef DIAG_H
#define DIAG_H

#include "arena.h"
#include <stdbool.h>
#include <stdio.h>

/* A file's text, kept so that its lines can be quoted. */
typedef struct Source {
    const char *path; /* as the user wrote it, or as found from the file that names it */
    const char *text; /* size bytes, may hold NULs */
    size_t size;
} Source;

/* A place in a source: 1-based line and column (a byte). source NULL: no place, only the sentence is printed;
 * line 0: the file as a whole. */
typedef struct Pos {
    const Source *source;
    int line, column;
} Pos;

typedef struct Diag Diag;

Diag *diag_new(Arena *arena);

/* An error at pos. The sentence starts in lower case and ends without a full stop. */
void diag_error(Diag *diag, Pos pos, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_warning(Diag *diag, Pos pos, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* More about the message before it: a second place, or (source NULL) a further sentence. */
void diag_note(Diag *diag, Pos pos, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* True once any error has been reported. */
bool diag_failed(const Diag *diag);
int diag_errors(const Diag *diag);
/* True once further errors are only counted: what makes them more helpful may be left out. */
bool diag_full(const Diag *diag);

/* Prints all messages with quoted lines and carets. At most 20 errors; the rest are counted. A long line is
 * cut around the caret, tabs and control bytes print as one blank or dot, so that the caret stands right. */
void diag_print(const Diag *diag, FILE *out);
/* The same as text in the arena. */
const char *diag_text(const Diag *diag);

/* The candidate nearest to name when it is near enough to be a slip (edit distance with transpositions at
 * most a third of the length, rounded up; case ignored), else NULL. candidates may hold NULLs. */
const char *diag_nearest(const char *name, const char *const *candidates, int count);

#endif
