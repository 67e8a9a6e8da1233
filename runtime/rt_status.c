/* See rt_status.h. */
#define _GNU_SOURCE
#include "rt_status.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

RtStatus rt_fail(RtError *err, RtStatus status, const char *format, ...)
{
    if (!err) return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (length >= (int)sizeof err->text) memcpy(err->text + sizeof err->text - 4, "...", 4);
    return status;
}

static atomic_long fail_countdown;

void rt_alloc_fail_at(long nth)
{
    atomic_store(&fail_countdown, nth);
}

/* True for the allocation that a test asked to fail. */
static int fails_now(void)
{
    return atomic_load(&fail_countdown) > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *rt_alloc(size_t size)
{
    if (fails_now()) return NULL;
    if (size == 0) size = 1;
    void *block = NULL;
    if (posix_memalign(&block, 64, size)) return NULL;
    memset(block, 0, size);
    return block;
}

void *rt_realloc(void *block, size_t old_size, size_t new_size)
{
    void *larger = rt_alloc(new_size);
    if (!larger) return NULL;
    if (block) memcpy(larger, block, old_size < new_size ? old_size : new_size);
    rt_free(block);
    return larger;
}

void rt_free(void *block)
{
    free(block);
}

char *rt_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = rt_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}
