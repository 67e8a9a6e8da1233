/* See rt_data.h: the specification's parts, and reading one picture of a set. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include "rt_options.h"
#include "rt_program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

RtStatus data_no_memory(RtError *err)
{
    return rt_fail(err, RT_MACHINE, "no memory for a list of pictures");
}

bool data_grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 64;
    void *larger = rt_realloc(*items, *capacity * size, more * size);
    if (!larger) return false;
    *items = larger;
    *capacity = more;
    return true;
}

RtStatus data_add_pair(DataSet *set, char *image, char *label, RtError *err)
{
    void *pairs = set->pairs;
    bool room = image && label && data_grow(&pairs, set->count, &set->capacity, sizeof *set->pairs);
    set->pairs = pairs;
    if (!room) {
        rt_free(image);
        rt_free(label);
        return data_no_memory(err);
    }
    if (!*label) {
        rt_free(label);
        label = NULL;
    }
    set->pairs[set->count++] = (DataPair){image, label};
    return RT_OK;
}

RtStatus data_add_missing(DataSet *set, RtError *err, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    void *missing = set->missing;
    bool room = data_grow(&missing, set->missing_count, &set->missing_capacity, sizeof *set->missing);
    set->missing = missing;
    char *copy = room ? rt_strdup(text) : NULL;
    if (!copy) return data_no_memory(err);
    set->missing[set->missing_count++] = copy;
    return RT_OK;
}

bool data_is_there(const char *path)
{
    return !access(path, F_OK);
}

char *data_join(const char *root, const char *name)
{
    if (*name == '/' || !*root) return rt_strdup(name);
    size_t size = strlen(root) + strlen(name) + 2;
    char *path = rt_alloc(size);
    if (path) snprintf(path, size, "%s%s%s", root, root[strlen(root) - 1] == '/' ? "" : "/", name);
    return path;
}

char *data_cut_at(char *path)
{
    char *at = data_is_there(path) ? NULL : strrchr(path, '@');
    if (at) *at++ = 0;
    return at;
}

/* ---- the specification -----------------------------------------------------------------------------------
 */

/* What follows the place; the texts are those of the specification's copy, cut up. */
typedef struct Wish {
    const char *encoding, *only;
    int64_t count, seed; /* -1: not said */
    bool no_labels;
} Wish;

static RtStatus read_wish(const char *key, const char *value, Wish *wish, RtError *err)
{
    if (!strcmp(key, "encoding"))
        wish->encoding = value;
    else if (!strcmp(key, "only"))
        wish->only = value;
    else if (!strcmp(key, "count") && !options_count(value, 1, &wish->count))
        return rt_fail(err, RT_USAGE, "count=%.100s: a whole number from 1 up is expected", value);
    else if (!strcmp(key, "seed") && !options_count(value, 0, &wish->seed))
        return rt_fail(err, RT_USAGE, "seed=%.100s: a whole number from 0 up is expected", value);
    else if (!strcmp(key, "labels") && strcmp(value, "none"))
        return rt_fail(err, RT_USAGE,
                       "labels=%.100s: only labels=none can be said (for a folder say labels:DIR)", value);
    wish->no_labels |= !strcmp(key, "labels");
    return RT_OK;
}

/* Whether text is "word=...", cut into the two then. */
static bool split_option(char *text, char **value)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
    if (!length || text[length] != '=') return false;
    text[length] = 0;
    *value = text + length + 1;
    return true;
}

static RtStatus unknown_option(const char *key, const char *const *known, RtError *err)
{
    const char *near = options_nearest(key, known);
    return rt_fail(err, RT_USAGE,
                   "a data specification has no ',%.100s='%s%s%s; there are ,encoding= ,only= "
                   ",count= ,seed= ,labels=none",
                   key, near ? " (did you mean ," : "", near ? near : "", near ? "=?)" : "");
}

/* Cuts options off the end. A file that has the very name holds none. */
static RtStatus cut_options(char *spec, Wish *wish, RtError *err)
{
    static const char *const known[] = {"encoding", "only", "count", "seed", "labels", NULL};
    const char *file = spec + (strncmp(spec, "list:", 5) ? 0 : 5);
    for (char *comma; !data_is_there(file) && (comma = strrchr(spec, ','));) {
        char *key = comma + 1, *value;
        if (!split_option(key, &value)) return RT_OK;
        int k = 0;
        while (known[k] && strcmp(known[k], key)) k++;
        if (!known[k]) return unknown_option(key, known, err);
        RtStatus status = read_wish(key, value, wish, err);
        if (status) return status;
        *comma = 0;
    }
    return RT_OK;
}

/* "name:" or "set.layout:" before a folder. */
static bool names_a_set(const char *spec)
{
    size_t length = strcspn(spec, ":/@");
    return length && spec[length] == ':' && !data_is_there(spec);
}

static RtStatus open_place(const char *place, bool no_labels, DataSet *set, RtError *err)
{
    if (!strncmp(place, "list:", 5)) return data_list_open(place + 5, no_labels, set, err);
    if (!strncmp(place, "images:", 7)) return data_folder_open(place + 7, no_labels, set, err);
    if (!strncmp(place, "labels:", 7))
        return rt_fail(err, RT_USAGE, "%s: expected images:DIR,labels:DIR", place);
    if (names_a_set(place)) return data_layout_open(place, no_labels, set, err);
    return data_list_open(place, no_labels, set, err);
}

static RtStatus narrow(DataSet *set, const Wish *wish, RtError *err)
{
    RtStatus status = RT_OK;
    if (wish->encoding) {
        set->of_rgb = (Encoding){0};
        status = encoding_find(set->program, wish->encoding, &set->encoding, err);
    }
    if (!status && wish->only) status = data_keep_only(set, wish->only, err);
    if (!status && wish->count >= 0)
        status = data_keep_count(set, wish->count, (uint64_t)(wish->seed < 0 ? 0 : wish->seed), err);
    if (!status && wish->seed >= 0 && wish->count < 0)
        status = rt_fail(err, RT_USAGE, "seed=%lld draws nothing without ,count=N", (long long)wish->seed);
    return status;
}

static RtStatus open_files(const char *spec, DataSet *set, RtError *err)
{
    Wish wish = {.count = -1, .seed = -1};
    char *copy = rt_strdup(spec);
    if (!copy) return data_no_memory(err);
    RtStatus status = cut_options(copy, &wish, err);
    if (!status) status = open_place(copy, wish.no_labels, set, err);
    if (!status) status = narrow(set, &wish, err);
    rt_free(copy);
    return status;
}

RtStatus data_open_for(const ProgramHeader *program, const char *spec, DataSet *set, RtError *err)
{
    *set = (DataSet){.program = program};
    RtStatus status = encoding_find(program, "train_ids", &set->encoding, err);
    if (status) return status;
    encoding_first_colors(program, &set->of_rgb);
    return data_is_drawn(spec) ? data_builtin_open(spec, set, err) : open_files(spec, set, err);
}

RtStatus data_open(const char *spec, DataSet *set, RtError *err)
{
    return data_open_for(NULL, spec, set, err);
}

void data_close(DataSet *set)
{
    for (size_t i = 0; i < set->count; i++) {
        rt_free(set->pairs[i].image);
        rt_free(set->pairs[i].label);
    }
    for (size_t i = 0; i < set->missing_count; i++) rt_free(set->missing[i]);
    rt_free(set->pairs);
    rt_free(set->missing);
    *set = (DataSet){0};
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

RtStatus data_need_labels(const DataSet *set, const char *spec, RtError *err)
{
    if (set->labelled) return RT_OK;
    return rt_fail(err, RT_USAGE,
                   "%.300s has no labels, which are needed here: for folders add ,labels:DIR, in a list put "
                   "\"image label\" on each line",
                   spec);
}

const Encoding *data_encoding(const DataSet *set, const RtLabels *labels)
{
    return labels->colors && set->of_rgb.color_count ? &set->of_rgb : &set->encoding;
}

static RtStatus read_labels(const DataSet *set, const char *path, RtLabels *labels, RtError *err)
{
    RtStatus status = image_read_labels(path, labels, err);
    return status ? status : encoding_map(data_encoding(set, labels), path, labels, err);
}

RtStatus data_explain(const DataSet *set, size_t item, RtError *err)
{
    RtLabels labels = {0};
    const char *path = set->pairs[item].label;
    RtStatus status = image_read_labels(path, &labels, err);
    if (!status) status = encoding_check(data_encoding(set, &labels), path, &labels, err);
    image_labels_free(&labels);
    return status;
}

RtStatus data_check_kind(const DataSet *set, size_t item, const RtLabels *labels, RtError *err)
{
    int64_t pixels = (int64_t)labels->width * labels->height;
    if (!labels->unknown || (labels->by_color && labels->unknown < pixels / 2)) return RT_OK;
    return data_explain(set, item, err);
}

RtStatus data_read(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err)
{
    const DataPair *pair = &set->pairs[item];
    if (image) *image = (RtImage){0};
    if (labels) *labels = (RtLabels){0};
    if (!pair->label) labels = NULL;
    if (set->look) return data_builtin_draw(set, item, image, labels, err);
    RtStatus status = labels ? read_labels(set, pair->label, labels, err) : RT_OK;
    if (!status && image) status = image_read_rgb(pair->image, image, err);
    if (status && labels) image_labels_free(labels);
    return status;
}
