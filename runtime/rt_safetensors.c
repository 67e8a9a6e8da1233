/* Reading safetensors; see rt_weights.h.
 *
 * The format: a little-endian u64, the length of a JSON header; the header, one object of
 * "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]} and optionally
 * "__metadata__": {"key": "value"}, padded with spaces; then the data, which the offsets count from. The
 * tensors must tile the data: no gap, no overlap, nothing left at the end. */
#include "rt_json.h"
#include "rt_weights_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, MAX_HEADER = 100000000 /* as the reference reader has it */ };

/* One tensor as the header has it. */
typedef struct Entry {
    WeightTensor tensor;
    int64_t begin, end; /* bytes in the data */
    bool has_dtype, has_shape, has_offsets;
} Entry;

/* Which bytes belong to which tensor. */
typedef struct Range {
    int64_t begin, end;
    size_t tensor;
} Range;

typedef struct Reading {
    WeightsFile *file;
    JsonReader json;
    RtArena arena; /* strings, ranges */
    const unsigned char *data;
    uint64_t data_size;
    Range *ranges; /* one per tensor of file, in order */
    size_t capacity;
    bool has_metadata;
    RtError *err;
} Reading;

bool rt_safetensors_is(const unsigned char *data, size_t size)
{
    return size > LENGTH_BYTES && data[LENGTH_BYTES] == '{';
}

static RtStatus fail_json(Reading *reading)
{
    if (reading->json.no_memory) return rt_arena_fail(&reading->arena, reading->file->path, reading->err);
    return rt_fail(reading->err, RT_BAD_INPUT, "%s: damaged header, byte %zu: %s", reading->file->path,
                   LENGTH_BYTES + reading->json.at, reading->json.problem);
}

static RtStatus fail_tensor(Reading *reading, const char *name, const char *what, const char *detail)
{
    return rt_fail(reading->err, RT_BAD_INPUT, "%s: %s: %s%s", reading->file->path, name, what, detail);
}

static bool find_dtype(const char *name, WeightDtype *dtype)
{
    for (int i = 0; i < WEIGHT_DTYPE_COUNT; i++) {
        if (!strcmp(name, weights_dtype_name((WeightDtype)i))) return *dtype = (WeightDtype)i, true;
    }
    return false;
}

static RtStatus read_dtype(Reading *reading, Entry *entry)
{
    const char *name;
    if (!json_text(&reading->json, &reading->arena, &name)) return fail_json(reading);
    if (find_dtype(name, &entry->tensor.dtype)) return RT_OK;
    return fail_tensor(reading, entry->tensor.name, "elements of a type that is not read: ", name);
}

static RtStatus read_shape(Reading *reading, Entry *entry)
{
    if (!json_open(&reading->json, '[')) return fail_json(reading);
    WeightTensor *tensor = &entry->tensor;
    for (bool first = true; json_more(&reading->json, ']', &first);) {
        if (tensor->rank == WEIGHTS_MAX_RANK)
            return fail_tensor(reading, tensor->name, "more than 8 dimensions", "");
        if (!json_whole(&reading->json, &tensor->dims[tensor->rank++])) break;
    }
    return reading->json.problem ? fail_json(reading) : RT_OK;
}

static RtStatus read_offsets(Reading *reading, Entry *entry)
{
    JsonReader *json = &reading->json;
    int64_t *const values[] = {&entry->begin, &entry->end};
    if (!json_open(json, '[')) return fail_json(reading);
    int count = 0;
    for (bool first = true; json_more(json, ']', &first); count++) {
        if (count == 2) return fail_tensor(reading, entry->tensor.name, "more than two data_offsets", "");
        if (!json_whole(json, values[count])) break;
    }
    if (json->problem) return fail_json(reading);
    if (count != 2) return fail_tensor(reading, entry->tensor.name, "data_offsets are not two numbers", "");
    return RT_OK;
}

static RtStatus read_fields(Reading *reading, Entry *entry)
{
    const struct {
        const char *key;
        bool *had;
        RtStatus (*read)(Reading *reading, Entry *entry);
    } fields[] = {{"dtype", &entry->has_dtype, read_dtype},
                  {"shape", &entry->has_shape, read_shape},
                  {"data_offsets", &entry->has_offsets, read_offsets}};
    enum { FIELDS = sizeof fields / sizeof *fields };
    if (!json_open(&reading->json, '{')) return fail_json(reading);
    for (bool first = true; json_more(&reading->json, '}', &first);) {
        const char *key;
        if (!json_key(&reading->json, &reading->arena, &key)) break;
        int i = 0;
        while (i < FIELDS && strcmp(key, fields[i].key)) i++;
        if (i == FIELDS) return fail_tensor(reading, entry->tensor.name, "unknown header field ", key);
        if (*fields[i].had) return fail_tensor(reading, entry->tensor.name, "twice in its header: ", key);
        *fields[i].had = true;
        RtStatus status = fields[i].read(reading, entry);
        if (status) return status;
    }
    if (reading->json.problem) return fail_json(reading);
    for (int i = 0; i < FIELDS; i++) {
        if (!*fields[i].had) return fail_tensor(reading, entry->tensor.name, "no ", fields[i].key);
    }
    return RT_OK;
}

static RtStatus note_range(Reading *reading, const Entry *entry)
{
    const size_t count = reading->file->count - 1; /* the tensor was just added */
    Range *ranges =
        rt_arena_grow(&reading->arena, reading->ranges, count, &reading->capacity, sizeof *ranges);
    if (!ranges) return rt_arena_fail(&reading->arena, reading->file->path, reading->err);
    reading->ranges = ranges;
    ranges[count] = (Range){entry->begin, entry->end, count};
    return RT_OK;
}

static RtStatus add_entry(Reading *reading, Entry *entry)
{
    WeightTensor *tensor = &entry->tensor;
    const char *path = reading->file->path;
    if (entry->begin > entry->end || (uint64_t)entry->end > reading->data_size)
        return rt_fail(reading->err, RT_BAD_INPUT,
                       "%s: %s: bytes %" PRId64 " to %" PRId64 " of data that has %" PRIu64
                       " (is the file truncated?)",
                       path, tensor->name, entry->begin, entry->end, reading->data_size);
    const uint64_t bytes = (uint64_t)(entry->end - entry->begin);
    tensor->data = reading->data + entry->begin;
    weights_row_major(tensor->dims, tensor->rank, tensor->strides);
    RtStatus status = weights_add(reading->file, tensor, bytes, reading->err);
    if (status) return status;
    const WeightTensor *added = &reading->file->tensors[reading->file->count - 1];
    char shape[WEIGHTS_SHAPE_TEXT];
    if ((uint64_t)added->count * weights_dtype_size(added->dtype) != bytes)
        return rt_fail(reading->err, RT_BAD_INPUT, "%s: %s: %s elements of type %s in %" PRIu64 " bytes",
                       path, added->name, weights_shape_text(added->dims, added->rank, shape),
                       weights_dtype_name(added->dtype), bytes);
    return note_range(reading, entry);
}

static RtStatus read_metadata(Reading *reading)
{
    WeightsFile *file = reading->file;
    if (reading->has_metadata) return fail_tensor(reading, "__metadata__", "twice in the header", "");
    reading->has_metadata = true;
    if (!json_open(&reading->json, '{')) return fail_json(reading);
    for (bool first = true; json_more(&reading->json, '}', &first);) {
        const char *key, *value;
        if (!json_key(&reading->json, &reading->arena, &key)) break;
        if (!json_text(&reading->json, &reading->arena, &value)) break;
        RtStatus status = weights_add_metadata(file, key, value, reading->err);
        if (status) return status;
    }
    return reading->json.problem ? fail_json(reading) : RT_OK;
}

static RtStatus read_header(Reading *reading)
{
    if (!json_open(&reading->json, '{')) return fail_json(reading);
    for (bool first = true; json_more(&reading->json, '}', &first);) {
        const char *name;
        if (!json_key(&reading->json, &reading->arena, &name)) break;
        RtStatus status;
        if (!strcmp(name, "__metadata__")) {
            status = read_metadata(reading);
        } else {
            Entry entry = {.tensor.name = name};
            status = read_fields(reading, &entry);
            if (!status) status = add_entry(reading, &entry);
        }
        if (status) return status;
    }
    return json_end(&reading->json) ? RT_OK : fail_json(reading);
}

static int by_place(const void *left, const void *right)
{
    const Range *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

/* The tensors, in the order of their bytes, must tile the data. */
static RtStatus check_tiling(Reading *reading)
{
    const WeightsFile *file = reading->file;
    const char *before = "the header";
    int64_t end = 0;
    if (file->count) qsort(reading->ranges, file->count, sizeof *reading->ranges, by_place);
    for (size_t i = 0; i < file->count; i++) {
        const Range *range = &reading->ranges[i];
        const char *name = file->tensors[range->tensor].name;
        if (range->begin < end)
            return rt_fail(reading->err, RT_BAD_INPUT, "%s: %s: shares %" PRId64 " bytes with %s", file->path,
                           name, end - range->begin, before);
        if (range->begin > end)
            return rt_fail(reading->err, RT_BAD_INPUT,
                           "%s: %s: %" PRId64 " bytes between it and %s belong to nothing", file->path, name,
                           range->begin - end, before);
        end = range->end;
        before = name;
    }
    if ((uint64_t)end == reading->data_size) return RT_OK;
    return rt_fail(reading->err, RT_BAD_INPUT, "%s: %" PRIu64 " bytes after %s belong to nothing", file->path,
                   reading->data_size - (uint64_t)end, before);
}

RtStatus rt_safetensors_read(WeightsFile *file, RtError *err)
{
    const WeightsInside *inside = file->inside;
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | inside->data[i];
    const uint64_t rest = inside->size - LENGTH_BYTES;
    if (length > rest || length > MAX_HEADER)
        return rt_fail(err, RT_BAD_INPUT,
                       "%s: a safetensors header of %" PRIu64 " bytes; the file has %" PRIu64
                       " (is it truncated?), and at most %d are read",
                       file->path, length, rest, MAX_HEADER);
    const char *header = (const char *)inside->data + LENGTH_BYTES;
    if (!json_is_utf8(header, length))
        return rt_fail(err, RT_BAD_INPUT, "%s: header not in UTF-8", file->path);
    Reading reading = {.file = file,
                       .json = {.text = header, .size = length},
                       .arena = {.limit = WEIGHTS_ARENA_LIMIT},
                       .data = inside->data + LENGTH_BYTES + length,
                       .data_size = rest - length,
                       .err = err};
    RtStatus status = read_header(&reading);
    if (!status) status = check_tiling(&reading);
    rt_arena_free(&reading.arena);
    return status;
}
