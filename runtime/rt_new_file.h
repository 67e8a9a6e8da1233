/* A file that appears under its name complete, or not at all.
 *
 * It is written beside its place under a temporary name, synchronised, renamed, and the folder synchronised:
 * after a crash at any moment the name leads to the old content or the new. A failed or dropped file leaves
 * nothing behind. The caller owns the struct; path must outlive it. Not thread safe.
 *
 *     RtNewFile file;
 *     if (new_file_open(&file, path, size, &err)) return err.status;
 *     if (new_file_write(&file, data, size, &err)) return err.status;      (already dropped)
 *     return new_file_finish(&file, &err);
 */
#ifndef RT_NEW_FILE_H
#define RT_NEW_FILE_H

#include "rt_status.h"

#include <stdint.h>

typedef struct RtNewFile {
    const char *path;
    char *beside;      /* the temporary name */
    int fd;            /* -1: not open */
    uint64_t expected; /* bytes in all, for messages */
    uint64_t written;
} RtNewFile;

/* expected is how many bytes will be written. Failures: RT_BAD_INPUT when path cannot be such a file (no such
 * folder, no permission, a folder itself), RT_MACHINE otherwise. */
RtStatus new_file_open(RtNewFile *file, const char *path, uint64_t expected, RtError *err);
/* RT_MACHINE with path and sizes when the disk is full or fails; the file is then dropped. */
RtStatus new_file_write(RtNewFile *file, const void *data, size_t size, RtError *err);
/* Puts the file in its place. Frees what file holds, whatever happens. */
RtStatus new_file_finish(RtNewFile *file, RtError *err);
/* Gives up: removes the temporary. Harmless after any other call. */
void new_file_drop(RtNewFile *file);

#endif
