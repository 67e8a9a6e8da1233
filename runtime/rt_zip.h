/* Reading a zip archive of stored (uncompressed) entries that lies in memory.
 *
 * torch.save writes such archives so that tensors can be mapped; zip64 is understood. The archive's directory
 * is checked when it is opened; an entry's own header, place and checksum when it is found. The data is
 * borrowed and must outlive the archive, whose table is the caller's arena's. */
#ifndef RT_ZIP_H
#define RT_ZIP_H

#include "rt_arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ZipEntry {
    const char *name;
    uint64_t size;          /* bytes */
    uint64_t stored_size;   /* bytes in the archive */
    uint64_t header_offset; /* of its local header, bytes from the archive's start */
    uint32_t crc;           /* 0: the writer did not compute it */
    uint16_t method, flags;
    bool checked; /* its checksum has been verified */
} ZipEntry;

typedef struct Zip {
    const char *path; /* for messages */
    const unsigned char *data;
    size_t size;
    size_t count;
    ZipEntry *entries;       /* sorted by name */
    const char *first_entry; /* name of the first in the archive's own order */
} Zip;

/* RT_BAD_INPUT: no archive, damaged, truncated, or a name twice. */
RtStatus zip_open(Zip *zip, const char *path, const unsigned char *data, size_t size, RtArena *arena,
                  RtError *err);
bool zip_has(const Zip *zip, const char *name);
/* RT_BAD_INPUT: absent, compressed, encrypted, out of bounds, or its checksum is wrong. */
RtStatus zip_find(const Zip *zip, const char *name, const unsigned char **data, uint64_t *size, RtError *err);

#endif
