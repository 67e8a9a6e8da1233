/* Errors of the runtime: a status from one list, and a text that names the object and its sizes.
 *
 * Nothing in the runtime exits, and only rt_main.c and the verbs (rt_verb*.c) print. A function that can fail
 * takes an RtError to fill and returns its status; the caller either handles it or passes it on. The numbers
 * are the exit statuses of every command, so main returns them as they are. An RtError is plain data: it owns
 * nothing and may be copied.
 *
 *     RtError err;
 *     if (image_read(path, &image, &err)) return err.status;
 */
#ifndef RT_STATUS_H
#define RT_STATUS_H

#include <stddef.h>

/* name, number (= exit status), what it means */
#define RT_STATUSES(X)                                                                                       \
    X(RT_OK, 0, "done")                                                                                      \
    X(RT_BAD_INPUT, 1, "the input is at fault")                                                              \
    X(RT_USAGE, 2, "the command line is at fault")                                                           \
    X(RT_MACHINE, 3, "the machine is at fault: no memory, disk full, missing CPU feature")                   \
    X(RT_BUG, 4, "segc is at fault")

typedef enum RtStatus {
#define X(name, number, meaning) name = number,
    RT_STATUSES(X)
#undef X
} RtStatus;

typedef struct RtError {
    RtStatus status;
    char text[1000]; /* one line or several, without a final newline; cut with "..." when longer */
} RtError;

/* Fills err (which may be NULL) and returns status. */
RtStatus rt_fail(RtError *err, RtStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory: the runtime's only door to the heap, so that tests can make the Nth allocation fail.
 * rt_alloc returns zeroed memory aligned to 64 bytes, or NULL; size 0 is treated as 1. rt_free takes NULL.
 * Thread safe. */
void *rt_alloc(size_t size);
/* Grows or shrinks block (NULL: a new one) from old_size to new_size bytes; new bytes are zero. On failure
 * NULL, and block is still valid. */
void *rt_realloc(void *block, size_t old_size, size_t new_size);
void rt_free(void *block);
char *rt_strdup(const char *text);
/* For tests: the Nth allocation from now fails (1 = the next one), once; 0 turns it off. */
void rt_alloc_fail_at(long nth);

#endif
