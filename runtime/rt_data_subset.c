/* Parts of a data set: see rt_data.h. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include "rt_rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192 };

static void drop_pair(DataPair *pair)
{
    rt_free(pair->image);
    rt_free(pair->label);
}

/* ---- by name ---------------------------------------------------------------------------------------------
 */

typedef struct Wanted {
    char *name;
    int line;
    bool found;
} Wanted;

typedef struct WantedList {
    Wanted *items;
    size_t count, capacity;
} WantedList;

static void wanted_free(WantedList *list)
{
    for (size_t i = 0; i < list->count; i++) rt_free(list->items[i].name);
    rt_free(list->items);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Wanted *)a)->name, ((const Wanted *)b)->name);
}

static RtStatus add_name(WantedList *list, const char *name, int line, RtError *err)
{
    void *items = list->items;
    bool room = data_grow(&items, list->count, &list->capacity, sizeof *list->items);
    list->items = items;
    char *copy = room ? rt_strdup(name) : NULL;
    if (!copy) return data_no_memory(err);
    list->items[list->count++] = (Wanted){.name = copy, .line = line};
    return RT_OK;
}

static RtStatus read_names(const char *path, WantedList *list, RtError *err)
{
    char line[LINE_MAX_BYTES];
    FILE *file = fopen(path, "re");
    if (!file) return rt_fail(err, RT_BAD_INPUT, "cannot open the names %s: %s", path, strerror(errno));
    RtStatus status = RT_OK;
    for (int number = 1; !status && fgets(line, sizeof line, file); number++) {
        size_t length = strlen(line);
        while (length && strchr(" \t\r\n", line[length - 1])) line[--length] = 0;
        if (*line && *line != '#') status = add_name(list, line, number, err);
    }
    if (!status && ferror(file))
        status = rt_fail(err, RT_MACHINE, "%s: cannot read: %s", path, strerror(errno));
    fclose(file);
    if (!status && !list->count) status = rt_fail(err, RT_BAD_INPUT, "%s names no pictures", path);
    if (list->count) qsort(list->items, list->count, sizeof *list->items, by_name);
    return status;
}

/* Whether a name of the list is text, of which length bytes count. */
static bool take(WantedList *list, const char *text, size_t length)
{
    char name[LINE_MAX_BYTES];
    if (!length || length >= sizeof name) return false;
    memcpy(name, text, length);
    name[length] = 0;
    const Wanted key = {.name = name};
    Wanted *found = bsearch(&key, list->items, list->count, sizeof *list->items, by_name);
    if (found) found->found = true;
    return found;
}

/* The whole path and each end of it that starts at a name; each with, and without, its extension and what a
 * layout puts after {name}. */
static bool is_wanted(WantedList *list, const char *path, const char *ending)
{
    size_t length = strlen(path), end = ending ? strlen(ending) : 0;
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    bool ends = end && end < length && !strcmp(path + length - end, ending), found = false;
    for (const char *start = path; start; start = strchr(start, '/') ? strchr(start, '/') + 1 : NULL) {
        found |= take(list, start, strlen(start));
        if (dot && dot > start) found |= take(list, start, (size_t)(dot - start));
        if (ends && strlen(start) > end) found |= take(list, start, strlen(start) - end);
    }
    return found;
}

/* Names given twice stand side by side, and only one of them is marked. */
static RtStatus report_unfound(DataSet *set, const char *path, const WantedList *list, RtError *err)
{
    RtStatus status = RT_OK;
    for (size_t i = 0, next; i < list->count && !status; i = next) {
        bool found = list->items[i].found;
        for (next = i + 1; next < list->count && !by_name(&list->items[i], &list->items[next]); next++)
            found |= list->items[next].found;
        if (!found)
            status = data_add_missing(set, err, "%s:%d: the set has no picture '%s'", path,
                                      list->items[i].line, list->items[i].name);
    }
    return status;
}

RtStatus data_keep_only(DataSet *set, const char *path, RtError *err)
{
    WantedList list = {0};
    RtStatus status = read_names(path, &list, err);
    size_t kept = 0;
    for (size_t i = 0; i < set->count && !status; i++) {
        if (is_wanted(&list, set->pairs[i].image, set->ending))
            set->pairs[kept++] = set->pairs[i];
        else
            drop_pair(&set->pairs[i]);
    }
    if (!status) set->count = kept;
    if (!status) status = report_unfound(set, path, &list, err);
    if (!status && !kept)
        status = rt_fail(err, RT_BAD_INPUT, "%s: no picture of the set has one of its %zu names (first: %s)",
                         path, list.count, list.items[0].name);
    wanted_free(&list);
    return status;
}

/* ---- by lot ----------------------------------------------------------------------------------------------
 */

typedef struct Lot {
    float value;
    size_t item;
} Lot;

static int by_lot(const void *a, const void *b)
{
    const Lot *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static int by_item(const void *a, const void *b)
{
    const Lot *x = a, *y = b;
    return (x->item > y->item) - (x->item < y->item);
}

/* Each pair draws a number that depends on the seed and its place alone; the count least win. */
static void draw(DataSet *set, size_t count, uint64_t seed, float *values, Lot *lots)
{
    rand_uniform(rand_key(seed, "subset"), 0, set->count, 1, values);
    for (size_t i = 0; i < set->count; i++) lots[i] = (Lot){values[i], i};
    qsort(lots, set->count, sizeof *lots, by_lot);
    for (size_t i = count; i < set->count; i++) drop_pair(&set->pairs[lots[i].item]);
    qsort(lots, count, sizeof *lots, by_item);
    for (size_t i = 0; i < count; i++) set->pairs[i] = set->pairs[lots[i].item];
    set->count = count;
}

RtStatus data_keep_count(DataSet *set, int64_t count, uint64_t seed, RtError *err)
{
    if ((uint64_t)count > set->count)
        return rt_fail(err, RT_BAD_INPUT, "count=%lld, but there are only %zu pictures", (long long)count,
                       set->count);
    float *values = rt_alloc((set->count + RAND_GROUP) * sizeof *values);
    Lot *lots = rt_alloc(set->count * sizeof *lots);
    RtStatus status = values && lots ? RT_OK : data_no_memory(err);
    if (!status) draw(set, (size_t)count, seed, values, lots);
    rt_free(values);
    rt_free(lots);
    return status;
}
