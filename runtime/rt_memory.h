/* The large blocks a session computes in, straight from the system: aligned to huge pages, asked to be made
 * of them, and freed at once. Contents start as zeros. rt_alloc is for everything else. Thread safe. */
#ifndef RT_MEMORY_H
#define RT_MEMORY_H

#include "rt_status.h"

#include <stdint.h>

typedef struct MemoryBlock {
    void *base;     /* aligned to MEMORY_HUGE_PAGE; NULL when bytes is 0 */
    uint64_t bytes; /* usable */
    void *mapping;  /* what the system gave, and how much */
    uint64_t mapped;
} MemoryBlock;

enum { MEMORY_HUGE_PAGE = 2 << 20, MEMORY_PAGE = 4096 };

/* what names the block in messages. RT_MACHINE if the system has not that much; block is then empty. */
RtStatus memory_map(uint64_t bytes, const char *what, MemoryBlock *block, RtError *err);
/* Leaves block empty; harmless on an empty one. */
void memory_unmap(MemoryBlock *block);
/* Makes the system back bytes begin..end-1 with memory now rather than during the first run. */
void memory_touch(const MemoryBlock *block, uint64_t begin, uint64_t end);
/* The most this process has had in memory so far, in bytes. */
uint64_t memory_peak(void);
/* Writes a size for people, "41.2 MB" (powers of 1000), into text of MEMORY_TEXT bytes; returns it. */
enum { MEMORY_TEXT = 24 };
char *memory_text(uint64_t bytes, char *text);

#endif
