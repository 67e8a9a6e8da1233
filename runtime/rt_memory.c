/* See rt_memory.h. The page after a block is never mapped readable, so that running over the end of a plan
 * by more than the rest of a page stops there. */
#define _GNU_SOURCE
#include "rt_memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

static RtStatus no_memory(uint64_t bytes, const char *what, const char *why, RtError *err)
{
    char text[MEMORY_TEXT];
    return rt_fail(err, RT_MACHINE, "no memory for %s: it needs %s (%s)", what, memory_text(bytes, text),
                   why);
}

RtStatus memory_map(uint64_t bytes, const char *what, MemoryBlock *block, RtError *err)
{
    *block = (MemoryBlock){0};
    if (!bytes) return RT_OK;
    if (bytes > UINT64_MAX / 4) return no_memory(bytes, what, "more than any machine has", err);
    uint64_t used = round_up(bytes, MEMORY_PAGE), mapped = used + MEMORY_HUGE_PAGE + MEMORY_PAGE;
    char *mapping = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return no_memory(bytes, what, strerror(errno), err);
    uint64_t skip = round_up((uint64_t)(uintptr_t)mapping, MEMORY_HUGE_PAGE) - (uint64_t)(uintptr_t)mapping;
    if (mprotect(mapping + skip, used, PROT_READ | PROT_WRITE)) {
        int failed = errno;
        munmap(mapping, mapped);
        return no_memory(bytes, what, strerror(failed), err);
    }
    madvise(mapping + skip, used, MADV_HUGEPAGE); /* advice: without it we are slower, not wrong */
    *block = (MemoryBlock){.base = mapping + skip, .bytes = bytes, .mapping = mapping, .mapped = mapped};
    return RT_OK;
}

void memory_unmap(MemoryBlock *block)
{
    if (block->mapping) munmap(block->mapping, block->mapped);
    *block = (MemoryBlock){0};
}

void memory_touch(const MemoryBlock *block, uint64_t begin, uint64_t end)
{
    volatile char *bytes = block->base;
    for (uint64_t at = begin; at < end && at < block->bytes; at += MEMORY_PAGE) bytes[at] = bytes[at];
}

uint64_t memory_peak(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}

char *memory_text(uint64_t bytes, char *text)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 999.95 && unit < 6; unit++) value /= 1000;
    snprintf(text, MEMORY_TEXT, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}
