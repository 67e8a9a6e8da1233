/* See rt_weights.h. This file opens files, picks the format, and does what all formats share; the formats are
 * in rt_safetensors.c and rt_pth.c, conversion to float in rt_weights_convert.c, the comparison with a
 * network in rt_weights_match.c. */
#define _GNU_SOURCE
#include "rt_json.h"
#include "rt_weights_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 1000 }; /* bytes */

static const struct {
    const char *name;
    size_t size;
} DTYPES[WEIGHT_DTYPE_COUNT] = {
#define X(id, safetensors, storage, torch, size) [id] = {safetensors, size},
    WEIGHT_DTYPES(X)
#undef X
};

const char *weights_dtype_name(WeightDtype dtype)
{
    return DTYPES[dtype].name;
}

size_t weights_dtype_size(WeightDtype dtype)
{
    return DTYPES[dtype].size;
}

const char *weights_shape_text(const int64_t *dims, int rank, char *text)
{
    char *to = text;
    *to++ = '[';
    for (int i = 0; i < rank; i++) to += sprintf(to, "%s%" PRId64, i ? "," : "", dims[i]);
    *to++ = ']';
    *to = '\0';
    return text;
}

bool weights_element_count(const int64_t *dims, int rank, int64_t *count)
{
    bool fits = true, none = false;
    *count = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        none = none || dims[i] == 0;
        if (fits) fits = !__builtin_mul_overflow(*count, dims[i], count);
    }
    if (none) *count = 0;
    return none || (fits && *count <= INT64_MAX / 8);
}

void weights_row_major(const int64_t *dims, int rank, int64_t *strides)
{
    uint64_t stride = 1; /* wraps only for tensors that have no elements or are refused */
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = (int64_t)stride;
        stride *= (uint64_t)dims[i];
    }
}

/* The name goes into one-line messages and onto terminals, so it must be a text of one line. */
static RtStatus check_name(const WeightsFile *file, const char *name, RtError *err)
{
    const size_t length = strlen(name);
    bool readable = json_is_utf8(name, length);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) readable = false;
    }
    if (length == 0 || length > MAX_NAME)
        return rt_fail(err, RT_BAD_INPUT, "%s: tensor %zu: a name of %zu bytes; 1 to %d are read", file->path,
                       file->count, length, MAX_NAME);
    if (!readable)
        return rt_fail(err, RT_BAD_INPUT, "%s: tensor %zu: its name is not UTF-8 text of one line",
                       file->path, file->count);
    return RT_OK;
}

/* Whether every element lies within room bytes of the first. */
static bool is_within(const WeightTensor *tensor, uint64_t room)
{
    int64_t last = 0;
    if (tensor->count == 0) return true;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t reach;
        if (tensor->strides[i] < 0 ||
            __builtin_mul_overflow(tensor->dims[i] - 1, tensor->strides[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return (uint64_t)last < room / DTYPES[tensor->dtype].size;
}

/* One tensor more in the array, which moves when it is full. */
static WeightTensor *add_place(WeightsFile *file)
{
    WeightTensor *tensors = rt_arena_grow(&file->inside->kept, file->tensors, file->count,
                                          &file->inside->capacity, sizeof *tensors);
    if (!tensors) return NULL;
    file->tensors = tensors;
    return &tensors[file->count];
}

RtStatus weights_add(WeightsFile *file, const WeightTensor *tensor, uint64_t room, RtError *err)
{
    RtStatus status = check_name(file, tensor->name, err);
    if (status) return status;
    WeightTensor added = *tensor;
    char shape[WEIGHTS_SHAPE_TEXT];
    weights_shape_text(added.dims, added.rank, shape);
    if (!weights_element_count(added.dims, added.rank, &added.count))
        return rt_fail(err, RT_BAD_INPUT, "%s: %s: impossible shape %s", file->path, added.name, shape);
    if (!is_within(&added, room))
        return rt_fail(err, RT_BAD_INPUT,
                       "%s: %s: %s elements of type %s reach beyond the %" PRIu64 " bytes it has", file->path,
                       added.name, shape, DTYPES[added.dtype].name, room);
    for (int i = 0; i < added.rank; i++) {
        if (added.dims[i] < 2) added.strides[i] = 0; /* never stepped over, so any value was allowed */
    }
    WeightTensor *place = add_place(file);
    added.name = place ? rt_arena_text(&file->inside->kept, added.name, strlen(added.name)) : NULL;
    if (!added.name) return rt_arena_fail(&file->inside->kept, file->path, err);
    *place = added;
    file->count++;
    return RT_OK;
}

RtStatus weights_add_metadata(WeightsFile *file, const char *key, const char *value, RtError *err)
{
    RtArena *kept = &file->inside->kept;
    WeightsText *texts =
        rt_arena_grow(kept, file->metadata, file->metadata_count, &file->inside->text_room, sizeof *texts);
    if (!texts) return rt_arena_fail(kept, file->path, err);
    file->metadata = texts;
    const WeightsText text = {rt_arena_text(kept, key, strlen(key)),
                              rt_arena_text(kept, value, strlen(value))};
    if (!text.key || !text.value) return rt_arena_fail(kept, file->path, err);
    texts[file->metadata_count++] = text;
    return RT_OK;
}

/* DataParallel puts its field's name before every parameter. */
static void drop_module_prefix(WeightsFile *file)
{
    static const char prefix[] = "module.";
    const size_t length = sizeof prefix - 1;
    size_t inner = 0;
    for (size_t i = 0; i < file->count; i++) {
        const WeightTensor *tensor = &file->tensors[i];
        if (tensor->outside) continue;
        if (strncmp(tensor->name, prefix, length) || !tensor->name[length]) return;
        inner++;
    }
    for (size_t i = 0; inner && i < file->count; i++) {
        if (!file->tensors[i].outside) file->tensors[i].name += length;
    }
}

static int by_name(const void *left, const void *right, void *context)
{
    const WeightTensor *tensors = context;
    const size_t i = *(const size_t *)left, j = *(const size_t *)right;
    const int order = strcmp(tensors[i].name, tensors[j].name);
    if (order) return order;
    if (tensors[i].outside != tensors[j].outside) return tensors[i].outside ? 1 : -1;
    return (i > j) - (i < j);
}

static RtStatus index_names(WeightsFile *file, RtError *err)
{
    size_t *index = rt_arena_alloc(&file->inside->kept, file->count * sizeof *index);
    if (!index) return rt_arena_fail(&file->inside->kept, file->path, err);
    for (size_t i = 0; i < file->count; i++) index[i] = i;
    if (file->count) qsort_r(index, file->count, sizeof *index, by_name, file->tensors);
    file->inside->by_name = index;
    for (size_t i = 1; i < file->count; i++) {
        const WeightTensor *tensor = &file->tensors[index[i]];
        if (!tensor->outside && !strcmp(tensor->name, file->tensors[index[i - 1]].name))
            return rt_fail(err, RT_BAD_INPUT, "%s: %s: two tensors have this name", file->path, tensor->name);
    }
    return RT_OK;
}

size_t weights_find(const WeightsFile *file, const char *name)
{
    size_t low = 0, high = file->count; /* the first of that name is at low or after, before or at high */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(file->tensors[file->inside->by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == file->count) return WEIGHTS_NONE;
    const size_t index = file->inside->by_name[low];
    return strcmp(file->tensors[index].name, name) ? WEIGHTS_NONE : index;
}

const char *weights_metadata(const WeightsFile *file, const char *key)
{
    for (size_t i = 0; i < file->metadata_count; i++) {
        if (!strcmp(file->metadata[i].key, key)) return file->metadata[i].value;
    }
    return NULL;
}

/* What a checkpoint holds beside the weights of the network that predicts. */
static RtStatus mark_outside(WeightsFile *file, RtError *err)
{
    const char *names = weights_metadata(file, WEIGHTS_OUTSIDE_KEY);
    RtStatus status = RT_OK;
    while (names && *names && !status) {
        const size_t length = strcspn(names, "\n");
        const char *name = rt_arena_text(&file->inside->kept, names, length);
        if (!name) return rt_arena_fail(&file->inside->kept, file->path, err);
        const size_t found = weights_find(file, name);
        if (found == WEIGHTS_NONE)
            status = rt_fail(err, RT_BAD_INPUT, "%s: its metadata speaks of a tensor %s, which is not there",
                             file->path, name);
        else
            file->tensors[found].outside = true;
        names += length + (names[length] == '\n');
    }
    return status;
}

/* What else the file may be: the mistakes people make with downloads. */
static RtStatus fail_format(const WeightsFile *file, RtError *err)
{
    static const struct {
        size_t at;
        const char *start, *meaning;
    } known[] = {
        {0, "version https://git-lfs", "it is a Git LFS pointer; the weights themselves were not downloaded"},
        {0, "<", "it looks like a web page, saved instead of the weights"},
        {0, "\x89HDF\r\n\x1a\n", "it is an HDF5 file (Keras?)"},
        {0, "GGUF", "it is a GGUF file"},
        {0, "\x1f\x8b", "it is compressed with gzip; unpack it first"},
        {257, "ustar", "it is a tar archive"},
        {0, "\x80", "it is a pickle, but not one written by torch.save"},
    };
    const WeightsInside *inside = file->inside;
    const char *meaning = "it begins like neither";
    for (size_t i = sizeof known / sizeof *known; i-- > 0;) {
        const size_t length = strlen(known[i].start);
        if (inside->size >= known[i].at + length &&
            !memcmp(inside->data + known[i].at, known[i].start, length))
            meaning = known[i].meaning;
    }
    return rt_fail(err, RT_BAD_INPUT, "%s: not a safetensors or PyTorch file: %s", file->path,
                   inside->size ? meaning : "it is empty");
}

static RtStatus read_format(WeightsFile *file, RtError *err)
{
    static const struct {
        const char *name;
        bool (*is)(const unsigned char *data, size_t size);
        RtStatus (*read)(WeightsFile *file, RtError *err);
    } formats[] = {
        {"PyTorch zip", rt_pth_is_zip, rt_pth_read_zip},
        {"PyTorch before 1.6", rt_pth_is_stream, rt_pth_read_stream},
        {"safetensors", rt_safetensors_is, rt_safetensors_read},
    };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (!formats[i].is(file->inside->data, file->inside->size)) continue;
        file->format = formats[i].name;
        RtStatus status = formats[i].read(file, err);
        if (status) return status;
        if (!weights_metadata(file, WEIGHTS_OUTSIDE_KEY)) drop_module_prefix(file);
        status = index_names(file, err);
        return status ? status : mark_outside(file, err);
    }
    return fail_format(file, err);
}

/* The file and its memory, empty as yet. */
static WeightsFile *new_file(const char *path)
{
    WeightsFile *file = rt_alloc(sizeof *file);
    WeightsInside *inside = rt_alloc(sizeof *inside);
    if (file && inside) {
        file->inside = inside;
        inside->kept.limit = WEIGHTS_ARENA_LIMIT;
        file->path = rt_arena_text(&inside->kept, path, strlen(path));
        if (file->path) return file;
        rt_arena_free(&inside->kept);
    }
    rt_free(inside);
    rt_free(file);
    return NULL;
}

static RtStatus fail_errno(const char *path, int number, RtError *err)
{
    static const int inputs[] = {ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EACCES, EPERM};
    RtStatus status = RT_MACHINE;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (inputs[i] == number) status = RT_BAD_INPUT;
    }
    char text[128];
    return rt_fail(err, status, "%s: cannot be read: %s", path, strerror_r(number, text, sizeof text));
}

/* An empty file cannot be mapped; it stays without data. */
static RtStatus map_file(WeightsFile *file, RtError *err)
{
    const int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat about;
    if (fd < 0) return fail_errno(file->path, errno, err);
    RtStatus status = RT_OK;
    if (fstat(fd, &about)) {
        status = fail_errno(file->path, errno, err);
    } else if (!S_ISREG(about.st_mode)) {
        status = rt_fail(err, RT_BAD_INPUT, "%s: %s; weights are read from files", file->path,
                         S_ISDIR(about.st_mode) ? "this is a folder" : "this is a device or pipe");
    } else if (about.st_size > 0) {
        void *data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = fail_errno(file->path, errno, err);
        } else {
            file->inside->data = data;
            file->inside->size = (size_t)about.st_size;
            file->inside->mapped = true;
        }
    }
    close(fd);
    return status;
}

/* Messages quote names and keys that no check has passed. Here they become the one line that was promised,
 * and harmless to a terminal. */
static void clean_message(const char *path, RtError *err)
{
    if (!err) return;
    const size_t quoted = strncmp(err->text, path, strlen(path)) ? 0 : strlen(path);
    for (char *c = err->text + quoted; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    }
}

/* Hands the file over if it was opened, else closes it. */
static RtStatus finish(WeightsFile *opening, RtStatus status, WeightsFile **file, RtError *err)
{
    if (status) {
        clean_message(opening->path, err);
        weights_close(opening);
    } else {
        *file = opening;
    }
    return status;
}

RtStatus weights_open(const char *path, WeightsFile **file, RtError *err)
{
    *file = NULL;
    WeightsFile *opening = new_file(path);
    if (!opening) return rt_fail(err, RT_MACHINE, "%s: no memory to open it", path);
    RtStatus status = map_file(opening, err);
    if (!status) status = read_format(opening, err);
    return finish(opening, status, file, err);
}

RtStatus weights_open_memory(const char *path, const void *data, size_t size, WeightsFile **file,
                             RtError *err)
{
    *file = NULL;
    WeightsFile *opening = new_file(path);
    if (!opening) return rt_fail(err, RT_MACHINE, "%s: no memory to open it", path);
    opening->inside->data = data;
    opening->inside->size = size;
    return finish(opening, read_format(opening, err), file, err);
}

void weights_close(WeightsFile *file)
{
    if (!file) return;
    WeightsInside *inside = file->inside;
    if (inside->mapped) munmap((void *)inside->data, inside->size);
    rt_arena_free(&inside->kept);
    rt_free(inside);
    rt_free(file);
}
