/* Memory of one compilation: everything the compiler makes lives in one arena and dies with it.
 *
 * Nothing in compiler/ or codegen/ frees a node, a string or a list: arena_free at the end does. When memory
 * is out the process is told so through the handler of arena_new and does not return from it: a compile can't
 * go on without memory, and no caller could do better. Not thread safe: one arena per thread of compilation.
 *
 *     Arena *arena = arena_new();
 *     Node *node = ARENA_NEW(arena, Node);
 *     arena_free(arena);
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdarg.h>
#include <stddef.h>

/* Told to the compiler, so that neither it nor an analyser considers the other case. */
#define ARENA_NEVER_NULL __attribute__((returns_nonnull))

typedef struct Arena Arena;

/* An empty arena. Exits with status 3 and a sentence when the machine has no memory, now or in any later
 * call. */
ARENA_NEVER_NULL Arena *arena_new(void);
void arena_free(Arena *arena);

/* Zeroed, aligned to 16 bytes; size 0 gives a valid unique pointer. */
ARENA_NEVER_NULL void *arena_alloc(Arena *arena, size_t size);
#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (size_t)(count)))

ARENA_NEVER_NULL char *arena_strdup(Arena *arena, const char *text);
ARENA_NEVER_NULL char *arena_strndup(Arena *arena, const char *text, size_t length);
ARENA_NEVER_NULL char *arena_printf(Arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
ARENA_NEVER_NULL char *arena_vprintf(Arena *arena, const char *format, va_list args);

/* A growing array in an arena: ARENA_PUSH(arena, list.items, list.count, list.capacity, value). */
ARENA_NEVER_NULL void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t item_size);
#define ARENA_PUSH(arena, items, count, capacity, value)                                                     \
    ((items) = arena_grow((arena), (items), (count), &(capacity), sizeof *(items)),                          \
     (items)[(count)++] = (value))

/* A growing text in an arena, for everything that prints. text is always terminated. */
typedef struct Text {
    Arena *arena;
    char *text;
    size_t length, capacity;
} Text;
Text text_new(Arena *arena);
void text_printf(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_append(Text *text, const char *bytes, size_t length);

/* Bytes handed out so far (for `segc stats` and tests). */
size_t arena_used(const Arena *arena);

#endif
