/* Writing safetensors; the format is described in rt_safetensors.c.
 *
 * The header is made in memory first, since its length comes before it. It is padded so that the data starts
 * at a multiple of 8. */
#define _GNU_SOURCE
#include "rt_json.h"
#include "rt_new_file.h"
#include "rt_weights_format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Header {
    char *text;
    size_t size, capacity;
    bool no_memory;
} Header;

static void put_bytes(Header *header, const char *bytes, size_t size)
{
    if (header->no_memory) return;
    if (size > header->capacity - header->size) {
        const size_t capacity = (header->size + size) * 2;
        char *text = rt_realloc(header->text, header->size, capacity);
        if (!text) {
            header->no_memory = true;
            return;
        }
        header->text = text;
        header->capacity = capacity;
    }
    memcpy(header->text + header->size, bytes, size);
    header->size += size;
}

__attribute__((format(printf, 2, 3))) static void put(Header *header, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_bytes(header, text, (size_t)length);
}

static void put_string(Header *header, const char *text)
{
    put(header, "\"");
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            put(header, "\\%c", c);
        else if (c < 0x20)
            put(header, "\\u%04x", c);
        else
            put_bytes(header, text, 1);
    }
    put(header, "\"");
}

static void put_part(Header *header, const WeightsPart *part, uint64_t begin, uint64_t end)
{
    char shape[WEIGHTS_SHAPE_TEXT];
    put_string(header, part->name);
    put(header, ":{\"dtype\":\"%s\",\"shape\":%s", weights_dtype_name(part->dtype),
        weights_shape_text(part->dims, part->rank, shape));
    put(header, ",\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

static void put_metadata(Header *header, const WeightsText *metadata, size_t count)
{
    put(header, "\"__metadata__\":{");
    for (size_t i = 0; i < count; i++) {
        if (i) put(header, ",");
        put_string(header, metadata[i].key);
        put(header, ":");
        put_string(header, metadata[i].value);
    }
    put(header, "}");
}

static uint64_t part_bytes(const WeightsPart *part)
{
    int64_t count = 0;
    weights_element_count(part->dims, part->rank, &count);
    return (uint64_t)count * weights_dtype_size(part->dtype);
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static RtStatus check_unique(const char *path, const WeightsPart *parts, size_t count, RtError *err)
{
    const char **names = rt_alloc(count * sizeof *names);
    if (!names) return rt_fail(err, RT_MACHINE, "%s: no memory to write %zu tensors", path, count);
    for (size_t i = 0; i < count; i++) names[i] = parts[i].name;
    qsort(names, count, sizeof *names, by_text);
    RtStatus status = RT_OK;
    for (size_t i = 1; i < count && !status; i++) {
        if (!strcmp(names[i - 1], names[i]))
            status = rt_fail(err, RT_BUG, "%s: two tensors to write are named %s", path, names[i]);
    }
    rt_free(names);
    return status;
}

static RtStatus check_parts(const char *path, const WeightsPart *parts, size_t count, RtError *err)
{
    for (size_t i = 0; i < count; i++) {
        const WeightsPart *part = &parts[i];
        int64_t elements;
        if (part->rank < 0 || part->rank > WEIGHTS_MAX_RANK || (int)part->dtype < 0 ||
            part->dtype >= WEIGHT_DTYPE_COUNT || !weights_element_count(part->dims, part->rank, &elements))
            return rt_fail(err, RT_BUG, "%s: cannot write %s: bad shape or type", path, part->name);
        if (!part->name[0] || !strcmp(part->name, "__metadata__") ||
            !json_is_utf8(part->name, strlen(part->name)))
            return rt_fail(err, RT_BUG, "%s: tensor %zu to write has an impossible name", path, i);
    }
    return check_unique(path, parts, count, err);
}

static void make_header(Header *header, const WeightsPart *parts, size_t count, const WeightsText *metadata,
                        size_t metadata_count)
{
    uint64_t begin = 0;
    put(header, "{");
    if (metadata_count) put_metadata(header, metadata, metadata_count);
    for (size_t i = 0; i < count; i++) {
        const uint64_t end = begin + part_bytes(&parts[i]);
        if (i || metadata_count) put(header, ",");
        put_part(header, &parts[i], begin, end);
        begin = end;
    }
    put(header, "}");
    while (header->size % 8 && !header->no_memory) put(header, " ");
}

/* Where the data of tensors comes from. */
typedef struct Source {
    WeightsSourceFn *of;
    void *context;
} Source;

static RtStatus write_all(RtNewFile *out, const Header *header, const WeightsPart *parts, size_t count,
                          Source source, RtError *err)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->size >> 8 * i);
    RtStatus status = new_file_write(out, length, sizeof length, err);
    if (!status) status = new_file_write(out, header->text, header->size, err);
    for (size_t i = 0; i < count && !status; i++)
        status = new_file_write(out, source.of(source.context, i), part_bytes(&parts[i]), err);
    return status ? status : new_file_finish(out, err);
}

RtStatus weights_write_from(const char *path, const WeightsPart *parts, size_t count,
                            const WeightsText *metadata, size_t metadata_count, WeightsSourceFn *source,
                            void *context, RtError *err)
{
    for (size_t i = 0; i < metadata_count; i++) {
        if (!json_is_utf8(metadata[i].key, strlen(metadata[i].key)) ||
            !json_is_utf8(metadata[i].value, strlen(metadata[i].value)))
            return rt_fail(err, RT_BUG, "%s: metadata to write is not UTF-8", path);
    }
    RtStatus status = check_parts(path, parts, count, err);
    if (status) return status;
    Header header = {0};
    make_header(&header, parts, count, metadata, metadata_count);
    RtNewFile out;
    uint64_t size = 8 + header.size;
    for (size_t i = 0; i < count; i++) size += part_bytes(&parts[i]);
    status = header.no_memory ? rt_fail(err, RT_MACHINE, "%s: no memory for its header", path)
                              : new_file_open(&out, path, size, err);
    if (!status) status = write_all(&out, &header, parts, count, (Source){source, context}, err);
    rt_free(header.text);
    return status;
}

static const void *data_of(void *context, size_t index)
{
    const WeightsPart *const *parts = context;
    return (*parts)[index].data;
}

RtStatus weights_write(const char *path, const WeightsPart *parts, size_t count, const WeightsText *metadata,
                       size_t metadata_count, RtError *err)
{
    return weights_write_from(path, parts, count, metadata, metadata_count, data_of, &parts, err);
}
