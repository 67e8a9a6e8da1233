/* PyTorch's .pth files: their two framings, and from the pickled value to named tensors; see rt_weights.h.
 *
 * Zip (torch >= 1.6): FOLDER/data.pkl is the pickle, FOLDER/data/KEY the bytes of each storage,
 * FOLDER/byteorder, if there, "little" or "big".
 * Stream (before): pickles of a magic number, of the protocol version 1001, of facts about the machine, of
 * the value, and of the list of storage keys; then for each key the number of elements (64 bits) and the
 * elements, little-endian always. */
#define _GNU_SOURCE
#include "rt_pth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_VERSION = 1001,
    MAX_DEPTH = 64,       /* dicts within dicts */
    MAX_VISITS = 1 << 20, /* entries of dicts, those of a dict found in two places counted twice */
    MAX_NAME_TEXT = 1000, /* bytes of the joined keys */
    MAGIC_WITHIN = 32,    /* bytes from the start: protocols 4 and 5 frame the magic number */
};

static const unsigned char MAGIC[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

bool rt_pth_is_zip(const unsigned char *data, size_t size)
{
    return size >= 4 && !memcmp(data, "PK\3\4", 4);
}

bool rt_pth_is_stream(const unsigned char *data, size_t size)
{
    const size_t start = size < MAGIC_WITHIN ? size : MAGIC_WITHIN;
    return size && data[0] == 0x80 && memmem(data, start, MAGIC, sizeof MAGIC);
}

/* From the value to named tensors. */

typedef struct Walk {
    Pth *pth;
    char name[MAX_NAME_TEXT + 1]; /* the keys down to here */
    size_t length;
    size_t visits;
    bool outside;
    RtError *err;
} Walk;

static RtStatus add_tensor(Walk *walk, const PthTensor *tensor)
{
    const PthStorage *storage = tensor->storage;
    const char *path = walk->pth->file->path;
    const uint64_t size = weights_dtype_size(tensor->dtype);
    const uint64_t bytes = (uint64_t)storage->count * weights_dtype_size(storage->dtype);
    if (!storage->data)
        return rt_fail(walk->err, RT_BAD_INPUT, "%s: %s: its storage %.200s is missing", path, walk->name,
                       storage->key);
    if (tensor->offset < 0 || (uint64_t)tensor->offset > bytes / size)
        return rt_fail(walk->err, RT_BAD_INPUT, "%s: %s: it starts at element %" PRId64 " of %" PRIu64, path,
                       walk->name, tensor->offset, bytes / size);
    WeightTensor added = {.name = walk->name,
                          .dtype = tensor->dtype,
                          .rank = tensor->rank,
                          .outside = walk->outside,
                          .data = storage->data + (uint64_t)tensor->offset * size,
                          .big_endian = walk->pth->big_endian};
    memcpy(added.dims, tensor->dims, sizeof added.dims);
    memcpy(added.strides, tensor->strides, sizeof added.strides);
    return weights_add(walk->pth->file, &added, bytes - (uint64_t)tensor->offset * size, walk->err);
}

/* Appends ".key"; false if the key is no text or integer, or there is no room. */
static bool enter(Walk *walk, const PickleValue *key)
{
    const size_t room = sizeof walk->name - walk->length;
    const char *dot = walk->length ? "." : "";
    int length = -1;
    if (key->kind == PICKLE_INT)
        length = snprintf(walk->name + walk->length, room, "%s%" PRId64, dot, key->whole);
    else if (key->kind == PICKLE_TEXT && key->text.length < room &&
             !memchr(key->text.start, '\0', key->text.length))
        length =
            snprintf(walk->name + walk->length, room, "%s%.*s", dot, (int)key->text.length, key->text.start);
    if (length < 0 || (size_t)length >= room) return false;
    walk->length += (size_t)length;
    return true;
}

static void leave(Walk *walk, size_t length)
{
    walk->length = length;
    walk->name[length] = '\0';
}

static RtStatus walk_dict(Walk *walk, const PickleValue *dict, int depth, const PickleValue *except);

/* A dict's entry. Lists, numbers and texts hold no named tensors. */
static RtStatus walk_entry(Walk *walk, const PickleValue *key, const PickleValue *value, int depth)
{
    const bool is_tensor = value->kind == PICKLE_OBJECT && value->tag == PTH_TENSOR;
    const char *path = walk->pth->file->path;
    if (walk->visits++ == MAX_VISITS)
        return rt_fail(walk->err, RT_BAD_INPUT, "%s: more than %d entries", path, MAX_VISITS);
    if (!is_tensor && value->kind != PICKLE_DICT) return RT_OK;
    const size_t length = walk->length;
    if (!enter(walk, key))
        return rt_fail(walk->err, RT_BAD_INPUT, "%s: below '%s': a key that makes no name of up to %d bytes",
                       path, walk->name, MAX_NAME_TEXT);
    RtStatus status = is_tensor ? add_tensor(walk, value->object) : walk_dict(walk, value, depth + 1, NULL);
    leave(walk, length);
    return status;
}

/* Recursion is at most MAX_DEPTH deep, also through a dict that contains itself. */
static RtStatus walk_dict(Walk *walk, const PickleValue *dict, int depth, const PickleValue *except)
{
    if (depth > MAX_DEPTH)
        return rt_fail(walk->err, RT_BAD_INPUT, "%s: dicts nested more than %d deep", walk->pth->file->path,
                       MAX_DEPTH);
    for (size_t i = 0; i + 1 < dict->items.count; i += 2) {
        const PickleValue *value = dict->items.list[i + 1];
        if (value == except) continue;
        RtStatus status = walk_entry(walk, dict->items.list[i], value, depth);
        if (status) return status;
    }
    return RT_OK;
}

/* The entry of a checkpoint that is the state dict, going by its key; NULL if there is none. */
static const PickleValue *find_state_dict(const PickleValue *dict)
{
    static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        for (size_t i = 0; i + 1 < dict->items.count; i += 2) {
            const PickleValue *value = dict->items.list[i + 1];
            if (value->kind == PICKLE_DICT && pickle_is_text(dict->items.list[i], keys[k])) return value;
        }
    }
    return NULL;
}

static RtStatus add_tensors(Pth *pth, const PickleValue *value, RtError *err)
{
    Walk walk = {.pth = pth, .err = err};
    const WeightsFile *file = pth->file;
    if (value->kind != PICKLE_DICT)
        return rt_fail(err, RT_BAD_INPUT, "%s: it holds no dict of named tensors, but %s", file->path,
                       value->kind == PICKLE_OBJECT ? "a tensor without a name" : "something else");
    const PickleValue *inner = find_state_dict(value);
    RtStatus status = inner ? walk_dict(&walk, inner, 1, NULL) : RT_OK;
    if (status) return status;
    walk.outside = file->count > 0;
    status = walk_dict(&walk, value, 0, walk.outside ? inner : NULL);
    if (!status && file->count == 0)
        status = rt_fail(err, RT_BAD_INPUT, "%s: it holds no tensors", file->path);
    return status;
}

/* Zip. */

/* All entries are in one folder, that of the first one. */
static RtStatus find_folder(Pth *pth, RtError *err)
{
    const char *first = pth->zip->first_entry;
    const char *slash = strchr(first, '/');
    char *folder = rt_arena_text(&pth->arena, first, slash ? (size_t)(slash - first) + 1 : 0);
    if (!folder) return rt_arena_fail(&pth->arena, pth->file->path, err);
    pth->folder = folder;
    return RT_OK;
}

/* folder and name in one text from the arena; NULL without memory. */
static char *in_folder(Pth *pth, const char *name)
{
    const size_t size = strlen(pth->folder) + strlen(name) + 1;
    char *path = rt_arena_alloc(&pth->arena, size);
    if (path) snprintf(path, size, "%s%s", pth->folder, name);
    return path;
}

static RtStatus read_byte_order(Pth *pth, RtError *err)
{
    const char *name = in_folder(pth, "byteorder");
    if (!name) return rt_arena_fail(&pth->arena, pth->file->path, err);
    if (!zip_has(pth->zip, name)) return RT_OK;
    const unsigned char *text = NULL;
    uint64_t size = 0;
    RtStatus status = zip_find(pth->zip, name, &text, &size, err);
    if (status) return status;
    pth->big_endian = size == 3 && !memcmp(text, "big", 3);
    if (pth->big_endian || (size == 6 && !memcmp(text, "little", 6))) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT, "%s: its byte order is neither little nor big", pth->file->path);
}

static RtStatus find_pickle(Pth *pth, const unsigned char **data, uint64_t *size, RtError *err)
{
    const char *name = in_folder(pth, "data.pkl"), *script = in_folder(pth, "constants.pkl");
    if (!name || !script) return rt_arena_fail(&pth->arena, pth->file->path, err);
    if (zip_has(pth->zip, script))
        return rt_fail(err, RT_BAD_INPUT, "%s: refused: a TorchScript archive; save the model's state_dict()",
                       pth->file->path);
    if (!zip_has(pth->zip, name))
        return rt_fail(err, RT_BAD_INPUT, "%s: a zip archive, but not one of torch.save: it has no data.pkl",
                       pth->file->path);
    return zip_find(pth->zip, name, data, size, err);
}

static RtStatus read_zip(Pth *pth, RtError *err)
{
    const unsigned char *data = NULL;
    uint64_t size = 0;
    RtStatus status = find_folder(pth, err);
    if (!status) status = find_pickle(pth, &data, &size, err);
    if (!status) status = read_byte_order(pth, err);
    if (status) return status;
    const PickleHost host = pth_host(pth);
    PickleValue *value = NULL;
    size_t used = 0;
    status = pickle_read(pth->file->path, data, size, &host, &pth->arena, &value, &used, err);
    return status ? status : add_tensors(pth, value, err);
}

RtStatus rt_pth_read_zip(WeightsFile *file, RtError *err)
{
    Zip zip;
    Pth pth = {.file = file, .arena = {.limit = WEIGHTS_ARENA_LIMIT}, .zip = &zip};
    RtStatus status = zip_open(&zip, file->path, file->inside->data, file->inside->size, &pth.arena, err);
    if (!status) status = read_zip(&pth, err);
    rt_arena_free(&pth.arena);
    return status;
}

/* Stream. */

/* The rest of the file from *at. */
static RtStatus next_pickle(Pth *pth, size_t *at, PickleValue **value, RtError *err)
{
    const WeightsInside *inside = pth->file->inside;
    const PickleHost host = pth_host(pth);
    size_t used = 0;
    RtStatus status = pickle_read(pth->file->path, inside->data + *at, inside->size - *at, &host, &pth->arena,
                                  value, &used, err);
    *at += used;
    return status;
}

static int by_key(const void *left, const void *right)
{
    return strcmp((*(const PthStorage *const *)left)->key, (*(const PthStorage *const *)right)->key);
}

/* Where storages of that key begin in the sorted list; its end if there are none. */
static size_t find_key(const Pth *pth, const char *key)
{
    size_t low = 0, high = pth->storage_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(pth->storages[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pth->storage_count && !strcmp(pth->storages[low]->key, key) ? low : pth->storage_count;
}

/* The storage at *at belongs to everything of that key. The pickle must agree with itself about its type,
 * since that alone says how many bytes to skip. */
static RtStatus place_key(Pth *pth, const char *key, size_t *at, RtError *err)
{
    const WeightsInside *inside = pth->file->inside;
    const char *path = pth->file->path;
    size_t i = find_key(pth, key);
    if (i == pth->storage_count)
        return rt_fail(err, RT_BAD_INPUT, "%s: storage %.200s belongs to no tensor", path, key);
    const WeightDtype dtype = pth->storages[i]->dtype;
    int64_t count = 0;
    const uint64_t left = inside->size - *at;
    if (left >= sizeof count) memcpy(&count, inside->data + *at, sizeof count);
    if (left < sizeof count || count < 0 ||
        (uint64_t)count > (left - sizeof count) / weights_dtype_size(dtype))
        return rt_fail(err, RT_BAD_INPUT,
                       "%s: storage %.200s of %" PRId64
                       " elements reaches beyond the file's end (is it truncated?)",
                       path, key, count);
    *at += sizeof count;
    const uint64_t size = (uint64_t)count * weights_dtype_size(dtype);
    for (; i < pth->storage_count && !strcmp(pth->storages[i]->key, key); i++) {
        if (pth->storages[i]->dtype != dtype)
            return rt_fail(err, RT_BAD_INPUT, "%s: storage %.200s is of two types", path, key);
        RtStatus status = pth_place_storage(pth, pth->storages[i], inside->data + *at, size, err);
        if (status) return status;
    }
    *at += size;
    return RT_OK;
}

static RtStatus place_storages(Pth *pth, const PickleValue *keys, size_t at, RtError *err)
{
    if (keys->kind != PICKLE_LIST)
        return rt_fail(err, RT_BAD_INPUT, "%s: damaged: no list of storages", pth->file->path);
    if (pth->storage_count) qsort(pth->storages, pth->storage_count, sizeof *pth->storages, by_key);
    for (size_t i = 0; i < keys->items.count; i++) {
        const PickleValue *item = keys->items.list[i];
        char *key = item->kind == PICKLE_TEXT
                        ? rt_arena_text(&pth->arena, item->text.start, item->text.length)
                        : NULL;
        if (item->kind != PICKLE_TEXT)
            return rt_fail(err, RT_BAD_INPUT, "%s: damaged: a storage's key is no text", pth->file->path);
        if (!key) return rt_arena_fail(&pth->arena, pth->file->path, err);
        RtStatus status = place_key(pth, key, &at, err);
        if (status) return status;
    }
    return RT_OK;
}

static RtStatus read_stream(Pth *pth, RtError *err)
{
    enum { MAGIC_NUMBER, VERSION, MACHINE, VALUE, KEYS, PICKLES };
    PickleValue *values[PICKLES];
    size_t at = 0;
    for (int i = 0; i < PICKLES; i++) {
        RtStatus status = next_pickle(pth, &at, &values[i], err);
        if (status) return status;
        if (i == VERSION && (values[i]->kind != PICKLE_INT || values[i]->whole != STREAM_VERSION))
            return rt_fail(err, RT_BAD_INPUT, "%s: a PyTorch file of a version other than %d",
                           pth->file->path, STREAM_VERSION);
    }
    RtStatus status = place_storages(pth, values[KEYS], at, err);
    return status ? status : add_tensors(pth, values[VALUE], err);
}

RtStatus rt_pth_read_stream(WeightsFile *file, RtError *err)
{
    Pth pth = {.file = file, .arena = {.limit = WEIGHTS_ARENA_LIMIT}};
    RtStatus status = read_stream(&pth, err);
    rt_arena_free(&pth.arena);
    return status;
}
