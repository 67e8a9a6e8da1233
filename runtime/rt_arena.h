/* Memory that is freed all at once, with a ceiling.
 *
 * For readers of untrusted files: a file that asks for more than the ceiling in all is refused before the
 * machine suffers. Not thread safe; blocks stay where they are until rt_arena_free.
 *
 *     RtArena arena = {.limit = 1 << 20};
 *     char *name = rt_arena_text(&arena, bytes, length);
 *     if (!name) return rt_arena_fail(&arena, path, err);
 *     rt_arena_free(&arena);
 */
#ifndef RT_ARENA_H
#define RT_ARENA_H

#include "rt_status.h"

typedef struct RtArena {
    size_t limit; /* bytes that may be handed out in all; set by the owner before first use */
    size_t used;  /* bytes handed out */
    struct RtArenaChunk *chunks;
} RtArena;

/* Zeroed, 16-byte aligned; NULL over the limit or without memory. */
void *rt_arena_alloc(RtArena *arena, size_t size);
/* Room for more items in an array of count items of item_size bytes that has capacity: the array, moved and
 * doubled when it was full, or NULL as above (the old one is still valid). */
void *rt_arena_grow(RtArena *arena, void *items, size_t count, size_t *capacity, size_t item_size);
/* A copy of length bytes with a NUL behind them. */
char *rt_arena_text(RtArena *arena, const void *bytes, size_t length);
/* The error after NULL: RT_BAD_INPUT when the limit was met, RT_MACHINE when memory ran out. */
RtStatus rt_arena_fail(const RtArena *arena, const char *path, RtError *err);
/* Frees every block; the arena is then as new. */
void rt_arena_free(RtArena *arena);

#endif
