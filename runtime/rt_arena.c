/* See rt_arena.h. A list of chunks, each at least twice the size of the one before up to LARGEST_CHUNK, so
 * that a small file costs a page and a large one few calls. */
#include "rt_arena.h"

#include <stdbool.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 20 };

typedef struct RtArenaChunk {
    struct RtArenaChunk *before;
    size_t size, used; /* bytes of this block, this header included */
} RtArenaChunk;

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool new_chunk(RtArena *arena, size_t needed)
{
    const size_t header = aligned(sizeof(RtArenaChunk));
    size_t size = arena->chunks ? arena->chunks->size * 2 : FIRST_CHUNK;
    if (size > LARGEST_CHUNK) size = LARGEST_CHUNK;
    if (size < needed + header) size = needed + header;
    RtArenaChunk *chunk = rt_alloc(size);
    if (!chunk) return false;
    *chunk = (RtArenaChunk){.before = arena->chunks, .size = size, .used = header};
    arena->chunks = chunk;
    return true;
}

void *rt_arena_alloc(RtArena *arena, size_t size)
{
    if (size > arena->limit || arena->used > arena->limit - size) {
        arena->used = arena->limit + 1;
        return NULL;
    }
    const size_t needed = aligned(size ? size : 1);
    const RtArenaChunk *last = arena->chunks;
    if ((!last || last->size - last->used < needed) && !new_chunk(arena, needed)) return NULL;
    RtArenaChunk *chunk = arena->chunks;
    void *block = (char *)chunk + chunk->used;
    chunk->used += needed;
    arena->used += size;
    return block;
}

void *rt_arena_grow(RtArena *arena, void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) return items;
    const size_t doubled = *capacity ? *capacity * 2 : 4;
    void *larger = rt_arena_alloc(arena, doubled * item_size);
    if (!larger) return NULL;
    if (count) memcpy(larger, items, count * item_size);
    *capacity = doubled;
    return larger;
}

char *rt_arena_text(RtArena *arena, const void *bytes, size_t length)
{
    char *copy = rt_arena_alloc(arena, length + 1);
    if (copy && length) memcpy(copy, bytes, length);
    return copy;
}

RtStatus rt_arena_fail(const RtArena *arena, const char *path, RtError *err)
{
    if (arena->used > arena->limit)
        return rt_fail(err, RT_BAD_INPUT, "%s: its description of the tensors needs more than %zu MiB", path,
                       arena->limit >> 20);
    return rt_fail(err, RT_MACHINE, "%s: no memory beyond the %zu bytes its description took", path,
                   arena->used);
}

void rt_arena_free(RtArena *arena)
{
    while (arena->chunks) {
        RtArenaChunk *before = arena->chunks->before;
        rt_free(arena->chunks);
        arena->chunks = before;
    }
    arena->used = 0;
}
