/* See arena.h. Chunks that double in size; a large block gets a chunk of its own. */
#define _GNU_SOURCE
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chunk {
    struct Chunk *next;
    size_t size, used;
    _Alignas(16) unsigned char bytes[];
} Chunk;

struct Arena {
    Chunk *chunks; /* the first is the one being filled */
    size_t used;
};

static void *out_of_memory(size_t size)
{
    fprintf(stderr, "segc: error: out of memory (%zu more bytes were needed)\n", size);
    exit(3);
}

static Chunk *chunk_new(size_t size)
{
    Chunk *chunk = size > SIZE_MAX - sizeof(Chunk) ? NULL : calloc(1, sizeof(Chunk) + size);
    if (!chunk) return out_of_memory(size);
    chunk->size = size;
    return chunk;
}

Arena *arena_new(void)
{
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena) return out_of_memory(sizeof *arena);
    arena->chunks = chunk_new(1 << 16);
    return arena;
}

void arena_free(Arena *arena)
{
    if (!arena) return;
    for (Chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void *arena_alloc(Arena *arena, size_t size)
{
    if (size > SIZE_MAX - 15) return out_of_memory(size);
    size_t rounded = size ? (size + 15) & ~(size_t)15 : 16;
    Chunk *chunk = arena->chunks;
    if (chunk->size - chunk->used < rounded) {
        size_t next_size = chunk->size * 2 < (16u << 20) ? chunk->size * 2 : (16u << 20);
        Chunk *fresh = chunk_new(rounded > next_size ? rounded : next_size);
        fresh->next = chunk;
        arena->chunks = chunk = fresh;
    }
    void *block = chunk->bytes + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    return block;
}

char *arena_strndup(Arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(Arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void *arena_grow(Arena *arena, void *items, int count, int *capacity, size_t item_size)
{
    if (count < *capacity) return items;
    int larger = *capacity ? *capacity * 2 : 8;
    void *moved = arena_alloc(arena, (size_t)larger * item_size);
    if (count) memcpy(moved, items, (size_t)count * item_size);
    *capacity = larger;
    return moved;
}

Text text_new(Arena *arena)
{
    return (Text){.arena = arena, .text = arena_alloc(arena, 256), .capacity = 256};
}

void text_append(Text *text, const char *bytes, size_t length)
{
    if (text->length + length + 1 > text->capacity) {
        size_t capacity = (text->length + length + 1) * 2;
        char *moved = arena_alloc(text->arena, capacity);
        memcpy(moved, text->text, text->length);
        text->text = moved;
        text->capacity = capacity;
    }
    memcpy(text->text + text->length, bytes, length);
    text->length += length;
    text->text[text->length] = 0;
}

void text_printf(Text *text, const char *format, ...)
{
    char line[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(line, sizeof line, format, args);
    if (length < (int)sizeof line) {
        text_append(text, line, (size_t)length);
    } else {
        char *longer = arena_vprintf(text->arena, format, again);
        text_append(text, longer, (size_t)length);
    }
    va_end(again);
    va_end(args);
}

size_t arena_used(const Arena *arena)
{
    return arena->used;
}
