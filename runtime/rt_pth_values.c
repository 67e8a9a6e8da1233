/* What a torch pickle may ask for. The pickle machine (rt_pickle.h) comes here with every import, call and
 * persistent id; GLOBALS is the whole list of what is understood. */
#define _GNU_SOURCE
#include "rt_pth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a global is for. */
typedef enum GlobalUse {
    USE_DICT,      /* call: a dict */
    USE_LIST,      /* call: a list or set */
    USE_NOTHING,   /* call: a value nobody needs */
    USE_TENSOR,    /* call: storage, offset, sizes, strides, ... */
    USE_TENSOR_V3, /* call: the same, and the dtype as the seventh */
    USE_PARAMETER, /* call: tensor, ... */
    USE_STORAGE,   /* names a storage's element type */
    USE_UNTYPED,   /* names a storage of bytes */
    USE_DTYPE,     /* names a tensor's element type */
} GlobalUse;

typedef struct Global {
    const char *module, *name;
    GlobalUse use;
    WeightDtype dtype;
} Global;

static const Global GLOBALS[] = {{"torch._utils", "_rebuild_tensor", USE_TENSOR, 0},
                                 {"torch._utils", "_rebuild_tensor_v2", USE_TENSOR, 0},
                                 {"torch._utils", "_rebuild_tensor_v3", USE_TENSOR_V3, 0},
                                 {"torch._utils", "_rebuild_parameter", USE_PARAMETER, 0},
                                 {"torch._utils", "_rebuild_parameter_with_state", USE_PARAMETER, 0},
                                 {"collections", "OrderedDict", USE_DICT, 0},
                                 {"builtins", "set", USE_LIST, 0},
                                 {"__builtin__", "set", USE_LIST, 0},
                                 {"torch", "Size", USE_LIST, 0},
                                 {"torch", "device", USE_NOTHING, 0},
                                 {"torch.storage", "UntypedStorage", USE_UNTYPED, WEIGHT_U8},
#define X(id, safetensors, storage, torch, size)                                                             \
    {"torch", storage, USE_STORAGE, id}, {"torch", torch, USE_DTYPE, id},
                                 WEIGHT_DTYPES(X)
#undef X
};

static RtStatus no_memory(const Pth *pth, RtError *err)
{
    return rt_arena_fail(&pth->arena, pth->file->path, err);
}

static RtStatus malformed(const Pth *pth, const char *what, RtError *err)
{
    return rt_fail(err, RT_BAD_INPUT, "%s: damaged pickle: %s", pth->file->path, what);
}

static PickleValue *new_object(Pth *pth, int tag, void *object)
{
    PickleValue *value = pickle_new(&pth->arena, PICKLE_OBJECT);
    if (!value) return NULL;
    value->tag = tag;
    value->object = object;
    return value;
}

/* The object behind a value, NULL if it is no object of that tag. */
static void *object_of(const PickleValue *value, int tag)
{
    return value->kind == PICKLE_OBJECT && value->tag == tag ? value->object : NULL;
}

static RtStatus find_global(void *context, const char *module, const char *name, PickleValue **result,
                            RtError *err)
{
    Pth *pth = context;
    for (size_t i = 0; i < sizeof GLOBALS / sizeof *GLOBALS; i++) {
        if (strcmp(module, GLOBALS[i].module) || strcmp(name, GLOBALS[i].name)) continue;
        *result = new_object(pth, PTH_GLOBAL, (void *)&GLOBALS[i]);
        return *result ? RT_OK : no_memory(pth, err);
    }
    return rt_fail(err, RT_BAD_INPUT,
                   "%s: refused: the pickle wants %s.%s; only tensors and state dicts are read",
                   pth->file->path, module, name);
}

/* Storages. */

RtStatus pth_place_storage(const Pth *pth, PthStorage *storage, const unsigned char *data, uint64_t size,
                           RtError *err)
{
    const size_t element = weights_dtype_size(storage->dtype);
    if ((uint64_t)storage->root_count > size / element)
        return rt_fail(
            err, RT_BAD_INPUT,
            "%s: storage %.200s should have %" PRId64 " elements of type %s; it has %" PRIu64 " bytes",
            pth->file->path, storage->key, storage->root_count, weights_dtype_name(storage->dtype), size);
    storage->data = data + (size_t)storage->first * element;
    return RT_OK;
}

static RtStatus place_in_zip(const Pth *pth, PthStorage *storage, RtError *err)
{
    char name[600];
    const int length = snprintf(name, sizeof name, "%sdata/%s", pth->folder, storage->key);
    if (length >= (int)sizeof name) return malformed(pth, "a storage's key is too long", err);
    const unsigned char *data = NULL;
    uint64_t size = 0;
    RtStatus status = zip_find(pth->zip, name, &data, &size, err);
    return status ? status : pth_place_storage(pth, storage, data, size, err);
}

static RtStatus note_storage(Pth *pth, PthStorage *storage, RtError *err)
{
    PthStorage **storages =
        rt_arena_grow(&pth->arena, pth->storages, pth->storage_count, &pth->storage_room, sizeof *storages);
    if (!storages) return no_memory(pth, err);
    pth->storages = storages;
    storages[pth->storage_count++] = storage;
    return RT_OK;
}

/* In a stream, a storage may be a part of another: (key, first element, elements). */
static bool take_view(const PickleValue *view, PthStorage *storage)
{
    if (view->kind == PICKLE_NONE) return true;
    if (view->kind != PICKLE_TUPLE || view->items.count != 3) return false;
    const PickleValue *first = view->items.list[1], *count = view->items.list[2];
    if (first->kind != PICKLE_INT || count->kind != PICKLE_INT) return false;
    storage->first = first->whole;
    storage->count = count->whole;
    return storage->first >= 0 && storage->first <= storage->root_count && storage->count >= 0 &&
           storage->count <= storage->root_count - storage->first;
}

/* The id of a storage: ("storage", type, key, device, elements) and, in a stream, a view or None. */
static RtStatus find_storage(void *context, const PickleValue *id, PickleValue **result, RtError *err)
{
    Pth *pth = context;
    const bool is_tuple = id->kind == PICKLE_TUPLE && (id->items.count == 5 || id->items.count == 6);
    PickleValue *const *items = is_tuple ? id->items.list : NULL;
    if (!items || !pickle_is_text(items[0], "storage") || items[2]->kind != PICKLE_TEXT ||
        items[4]->kind != PICKLE_INT || items[4]->whole < 0)
        return malformed(pth, "a persistent id that is no storage's", err);
    const Global *type = object_of(items[1], PTH_GLOBAL);
    if (!type || (type->use != USE_STORAGE && type->use != USE_UNTYPED))
        return malformed(pth, "a storage without a type", err);
    PthStorage *storage = rt_arena_alloc(&pth->arena, sizeof *storage);
    char *key = rt_arena_text(&pth->arena, items[2]->text.start, items[2]->text.length);
    if (!storage || !key) return no_memory(pth, err);
    *storage = (PthStorage){
        .key = key, .dtype = type->dtype, .root_count = items[4]->whole, .count = items[4]->whole};
    if (id->items.count == 6 && !take_view(items[5], storage))
        return malformed(pth, "a storage's view reaches beyond it", err);
    RtStatus status = pth->zip ? place_in_zip(pth, storage, err) : note_storage(pth, storage, err);
    if (status) return status;
    *result = new_object(pth, PTH_STORAGE, storage);
    return *result ? RT_OK : no_memory(pth, err);
}

/* Calls. */

/* Pairs of a list, which Python 2 gives to OrderedDict, become those of the dict. */
static RtStatus call_dict(Pth *pth, const PickleValue *arguments, PickleValue **result, RtError *err)
{
    *result = pickle_new(&pth->arena, PICKLE_DICT);
    if (!*result) return no_memory(pth, err);
    if (arguments->items.count == 0) return RT_OK;
    const PickleValue *pairs = arguments->items.list[0];
    if (arguments->items.count > 1 || (pairs->kind != PICKLE_LIST && pairs->kind != PICKLE_TUPLE))
        return malformed(pth, "a dict that is not made of pairs", err);
    for (size_t i = 0; i < pairs->items.count; i++) {
        const PickleValue *pair = pairs->items.list[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->items.count != 2)
            return malformed(pth, "a dict that is not made of pairs", err);
        for (int side = 0; side < 2; side++) {
            if (!pickle_append(&pth->arena, *result, pair->items.list[side])) return no_memory(pth, err);
        }
    }
    return RT_OK;
}

/* The argument stands for the list that it would become. */
static RtStatus call_list(Pth *pth, const PickleValue *arguments, PickleValue **result, RtError *err)
{
    const PickleValue *first = arguments->items.count ? arguments->items.list[0] : NULL;
    if (first && (first->kind == PICKLE_LIST || first->kind == PICKLE_TUPLE)) {
        *result = arguments->items.list[0];
        return RT_OK;
    }
    *result = pickle_new(&pth->arena, PICKLE_LIST);
    return *result ? RT_OK : no_memory(pth, err);
}

/* At most WEIGHTS_MAX_RANK integers of a tuple; -1 if it is anything else. */
static int take_integers(const PickleValue *tuple, int64_t *integers)
{
    if ((tuple->kind != PICKLE_TUPLE && tuple->kind != PICKLE_LIST) || tuple->items.count > WEIGHTS_MAX_RANK)
        return -1;
    for (size_t i = 0; i < tuple->items.count; i++) {
        const PickleValue *item = tuple->items.list[i];
        if (item->kind != PICKLE_INT) return -1;
        integers[i] = item->whole;
    }
    return (int)tuple->items.count;
}

/* Whether the tensor's elements are within the storage is checked when its name is known. */
static RtStatus call_tensor(Pth *pth, const Global *callee, const PickleValue *arguments,
                            PickleValue **result, RtError *err)
{
    const size_t needed = callee->use == USE_TENSOR_V3 ? 7 : 4;
    PickleValue *const *items = arguments->items.list;
    const PthStorage *storage = arguments->items.count >= needed ? object_of(items[0], PTH_STORAGE) : NULL;
    if (!storage) return malformed(pth, "a tensor without a storage", err);
    const Global *dtype = needed == 7 ? object_of(items[6], PTH_GLOBAL) : NULL;
    if (needed == 7 && (!dtype || dtype->use != USE_DTYPE))
        return malformed(pth, "a tensor without an element type", err);
    PthTensor *tensor = rt_arena_alloc(&pth->arena, sizeof *tensor);
    if (!tensor) return no_memory(pth, err);
    tensor->storage = storage;
    tensor->dtype = dtype ? dtype->dtype : storage->dtype;
    tensor->rank = take_integers(items[2], tensor->dims);
    const int stride_count = take_integers(items[3], tensor->strides);
    if (tensor->rank < 0 || tensor->rank != stride_count || items[1]->kind != PICKLE_INT)
        return malformed(pth, "a tensor's sizes, strides or offset (at most 8 dimensions are read)", err);
    tensor->offset = items[1]->whole;
    *result = new_object(pth, PTH_TENSOR, tensor);
    return *result ? RT_OK : no_memory(pth, err);
}

static RtStatus call_parameter(const Pth *pth, const PickleValue *arguments, PickleValue **result,
                               RtError *err)
{
    if (arguments->items.count == 0 || !object_of(arguments->items.list[0], PTH_TENSOR))
        return malformed(pth, "a parameter without a tensor", err);
    *result = arguments->items.list[0];
    return RT_OK;
}

static RtStatus call(void *context, const PickleValue *callee, const PickleValue *arguments,
                     PickleValue **result, RtError *err)
{
    Pth *pth = context;
    const Global *global = object_of(callee, PTH_GLOBAL);
    if (!global) return malformed(pth, "a call of what is no function", err);
    switch (global->use) {
    case USE_DICT: return call_dict(pth, arguments, result, err);
    case USE_LIST: return call_list(pth, arguments, result, err);
    case USE_TENSOR:
    case USE_TENSOR_V3: return call_tensor(pth, global, arguments, result, err);
    case USE_PARAMETER: return call_parameter(pth, arguments, result, err);
    case USE_NOTHING:
        *result = pickle_new(&pth->arena, PICKLE_NONE);
        return *result ? RT_OK : no_memory(pth, err);
    case USE_STORAGE:
    case USE_UNTYPED:
    case USE_DTYPE: break;
    }
    return malformed(pth, "a call of what is no function", err);
}

PickleHost pth_host(Pth *pth)
{
    return (PickleHost){.context = pth, .global = find_global, .call = call, .persistent = find_storage};
}
