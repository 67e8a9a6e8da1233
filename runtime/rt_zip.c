/* See rt_zip.h; field offsets are those of PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16. */
#include "rt_zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END_SIZE = 22, /* end of central directory, without its comment */
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    CENTRAL_SIZE = 46, /* entry of the central directory, without its texts */
    LOCAL_SIZE = 30,
    MAX_COMMENT = 65535,
};

/* Where the central directory is. */
typedef struct Directory {
    uint64_t offset, size, entries;
} Directory;

static uint64_t number_at(const unsigned char *bytes, int width)
{
    uint64_t number = 0;
    for (int i = width - 1; i >= 0; i--) number = number << 8 | bytes[i];
    return number;
}

static bool is_signature(const unsigned char *bytes, const char *last_two)
{
    return bytes[0] == 'P' && bytes[1] == 'K' && !memcmp(bytes + 2, last_two, 2);
}

static RtStatus damaged(const Zip *zip, const char *what, RtError *err)
{
    return rt_fail(err, RT_BAD_INPUT, "%s: damaged zip archive: %s", zip->path, what);
}

/* The end record is the last one whose comment reaches to the end of the file exactly. */
static const unsigned char *find_end(const Zip *zip)
{
    for (size_t comment = 0; comment <= MAX_COMMENT && comment + END_SIZE <= zip->size; comment++) {
        const unsigned char *end = zip->data + zip->size - END_SIZE - comment;
        if (is_signature(end, "\5\6") && number_at(end + 20, 2) == comment) return end;
    }
    return NULL;
}

/* Archives over 4 GiB or 65,535 entries have a larger end record, which a locator before the end points to.
 */
static RtStatus find_directory64(const Zip *zip, size_t end_at, Directory *directory, RtError *err)
{
    const unsigned char *locator = zip->data + end_at - LOCATOR_SIZE;
    const uint64_t offset = number_at(locator + 8, 8);
    if (offset > zip->size || zip->size - offset < END64_SIZE || !is_signature(zip->data + offset, "\6\6"))
        return damaged(zip, "its zip64 directory is not where it should be", err);
    const unsigned char *end = zip->data + offset;
    *directory = (Directory){
        .entries = number_at(end + 32, 8), .size = number_at(end + 40, 8), .offset = number_at(end + 48, 8)};
    return RT_OK;
}

static RtStatus find_directory(const Zip *zip, Directory *directory, RtError *err)
{
    const unsigned char *end = find_end(zip);
    if (!end) return damaged(zip, "no directory at its end (is the file truncated?)", err);
    const size_t end_at = (size_t)(end - zip->data);
    *directory = (Directory){
        .entries = number_at(end + 10, 2), .size = number_at(end + 12, 4), .offset = number_at(end + 16, 4)};
    RtStatus status = RT_OK;
    if (end_at >= LOCATOR_SIZE && is_signature(end - LOCATOR_SIZE, "\6\7"))
        status = find_directory64(zip, end_at, directory, err);
    if (status) return status;
    if (directory->offset > end_at || directory->size > end_at - directory->offset ||
        directory->entries > directory->size / CENTRAL_SIZE)
        return damaged(zip, "its directory does not fit into the file", err);
    return RT_OK;
}

/* The zip64 extra field holds, in this order, those of the values that are all ones in the entry. */
static bool widen(ZipEntry *entry, const unsigned char *extra, size_t size)
{
    uint64_t *const values[] = {&entry->size, &entry->stored_size, &entry->header_offset};
    while (size >= 4) {
        const size_t length = number_at(extra + 2, 2);
        if (length > size - 4) return false;
        const unsigned char *field = extra + 4, *end = field + length;
        for (int i = 0; number_at(extra, 2) == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX) continue;
            if (end - field < 8) return false;
            *values[i] = number_at(field, 8);
            field += 8;
        }
        size -= 4 + length;
        extra = end;
    }
    return true;
}

/* Reads the entry at central, which left bytes are left for; *length becomes its own. */
static RtStatus read_entry(Zip *zip, const unsigned char *central, size_t left, RtArena *arena,
                           size_t *length, RtError *err)
{
    if (left < CENTRAL_SIZE || !is_signature(central, "\1\2"))
        return damaged(zip, "its directory ends early", err);
    const size_t name = number_at(central + 28, 2), extra = number_at(central + 30, 2);
    *length = CENTRAL_SIZE + name + extra + number_at(central + 32, 2);
    if (*length > left) return damaged(zip, "its directory ends early", err);
    const unsigned char *text = central + CENTRAL_SIZE;
    ZipEntry *entry = &zip->entries[zip->count];
    *entry = (ZipEntry){.name = rt_arena_text(arena, text, name),
                        .flags = (uint16_t)number_at(central + 8, 2),
                        .method = (uint16_t)number_at(central + 10, 2),
                        .crc = (uint32_t)number_at(central + 16, 4),
                        .stored_size = number_at(central + 20, 4),
                        .size = number_at(central + 24, 4),
                        .header_offset = number_at(central + 42, 4)};
    if (!entry->name) return rt_arena_fail(arena, zip->path, err);
    if (!widen(entry, text + name, extra)) return damaged(zip, "an entry's sizes are cut off", err);
    zip->count++;
    return RT_OK;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const ZipEntry *)left)->name, ((const ZipEntry *)right)->name);
}

RtStatus zip_open(Zip *zip, const char *path, const unsigned char *data, size_t size, RtArena *arena,
                  RtError *err)
{
    *zip = (Zip){.path = path, .data = data, .size = size};
    Directory directory = {0};
    RtStatus status = find_directory(zip, &directory, err);
    if (status) return status;
    zip->entries = rt_arena_alloc(arena, directory.entries * sizeof *zip->entries);
    if (!zip->entries) return rt_arena_fail(arena, path, err);
    const unsigned char *central = data + directory.offset;
    size_t left = directory.size;
    while (zip->count < directory.entries) {
        size_t length = 0;
        status = read_entry(zip, central, left, arena, &length, err);
        if (status) return status;
        central += length;
        left -= length;
    }
    zip->first_entry = zip->count ? zip->entries[0].name : "";
    if (zip->count) qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++) {
        if (!by_name(&zip->entries[i - 1], &zip->entries[i]))
            return damaged(zip, "two entries of one name", err);
    }
    return RT_OK;
}

static ZipEntry *find(const Zip *zip, const char *name)
{
    const ZipEntry wanted = {.name = name};
    if (!zip->count) return NULL;
    return bsearch(&wanted, zip->entries, zip->count, sizeof wanted, by_name);
}

bool zip_has(const Zip *zip, const char *name)
{
    return find(zip, name) != NULL;
}

static bool has_right_checksum(ZipEntry *entry, const unsigned char *data)
{
    if (!entry->checked && entry->crc) entry->checked = crc32_z(0, data, entry->size) == entry->crc;
    return entry->checked || !entry->crc;
}

RtStatus zip_find(const Zip *zip, const char *name, const unsigned char **data, uint64_t *size, RtError *err)
{
    static const char prefix[] = "its entry ";
    ZipEntry *entry = find(zip, name);
    const char *problem = NULL;
    if (!entry) problem = "is missing";
    if (entry && (entry->flags & 1)) problem = "is encrypted";
    if (entry && entry->method) problem = "is compressed; torch.save stores entries as they are";
    if (problem) return rt_fail(err, RT_BAD_INPUT, "%s: %s%.200s %s", zip->path, prefix, name, problem);
    const uint64_t at = entry->header_offset;
    if (at > zip->size || zip->size - at < LOCAL_SIZE || !is_signature(zip->data + at, "\3\4"))
        return rt_fail(err, RT_BAD_INPUT, "%s: %s%.200s is not where the directory says", zip->path, prefix,
                       name);
    const uint64_t skip = LOCAL_SIZE + number_at(zip->data + at + 26, 2) + number_at(zip->data + at + 28, 2);
    if (skip > zip->size - at || entry->size > zip->size - at - skip || entry->stored_size != entry->size)
        return rt_fail(err, RT_BAD_INPUT, "%s: %s%.200s of %" PRIu64 " bytes reaches beyond the file's end",
                       zip->path, prefix, name, entry->size);
    *data = zip->data + at + skip;
    *size = entry->size;
    if (has_right_checksum(entry, *data)) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT, "%s: %s%.200s is damaged: its checksum is wrong", zip->path, prefix,
                   name);
}
