/* From arguments to image files; see rt_image.h.
 *
 * Every path found gets a number. At the end the paths are sorted by text and then number, repetitions fall
 * out, and the rest is sorted back by number: n log n, also for the 25,000 arguments that a shell can make of
 * a pattern. */
#define _GNU_SOURCE
#include "rt_image_codec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Found {
    char *path;
    size_t order;
} Found;

/* A growing array; owns its paths. */
typedef struct FoundList {
    Found *items;
    size_t count, capacity;
} FoundList;

typedef struct Search {
    FoundList images, skipped;
    RtError *err;
} Search;

static void found_free(FoundList *list)
{
    for (size_t i = 0; i < list->count; i++) rt_free(list->items[i].path);
    rt_free(list->items);
    *list = (FoundList){0};
}

/* Takes path over, which may be NULL for "no memory". */
static RtStatus found_add(FoundList *list, char *path, RtError *err)
{
    if (path && list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        Found *items = rt_realloc(list->items, list->count * sizeof *items, capacity * sizeof *items);
        if (!items) {
            rt_free(path);
            path = NULL;
        } else {
            list->items = items;
            list->capacity = capacity;
        }
    }
    if (!path) return rt_fail(err, RT_MACHINE, "no memory for a list of %zu paths", list->count + 1);
    list->items[list->count] = (Found){path, list->count};
    list->count++;
    return RT_OK;
}

static int by_path(const void *left, const void *right)
{
    const Found *a = left, *b = right;
    int order = strcmp(a->path, b->path);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

static int by_order(const void *left, const void *right)
{
    const Found *a = left, *b = right;
    return (a->order > b->order) - (a->order < b->order);
}

/* Sorts what was added since start, which was the count then, and numbers it anew. */
static void found_sort_since(FoundList *list, size_t start)
{
    if (list->count > start) qsort(list->items + start, list->count - start, sizeof *list->items, by_path);
    for (size_t i = start; i < list->count; i++) list->items[i].order = i;
}

static void found_drop_repeats(FoundList *list)
{
    if (list->count == 0) return;
    qsort(list->items, list->count, sizeof *list->items, by_path);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->items[i].path, list->items[kept - 1].path))
            list->items[kept++] = list->items[i];
        else
            rt_free(list->items[i].path);
    }
    list->count = kept;
    qsort(list->items, list->count, sizeof *list->items, by_order);
}

static char *join_path(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    size_t size = length + strlen(name) + 2;
    char *path = rt_alloc(size);
    if (path)
        snprintf(path, size, "%.*s%s%s", (int)length, folder, folder[length - 1] == '/' ? "" : "/", name);
    return path;
}

/* Whether the file at path is worth trying: an image, or one that cannot be looked at, so that reading it
 * will say why. Only a file that was read and is something else is not. */
static bool may_be_image(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return true;
    unsigned char start[8];
    ssize_t got = read(fd, start, sizeof start);
    close(fd);
    return got < 0 || image_format(start, (size_t)got) != FORMAT_OTHER;
}

static RtStatus add_entry(Search *search, const char *folder, const char *name)
{
    char *path = join_path(folder, name);
    struct stat info;
    if (path && !stat(path, &info) && S_ISDIR(info.st_mode)) {
        rt_free(path);
        return RT_OK;
    }
    return found_add(path && !may_be_image(path) ? &search->skipped : &search->images, path, search->err);
}

static RtStatus add_folder(Search *search, const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) return image_fail_errno(folder, "open this folder", errno, search->err);
    RtStatus status = RT_OK;
    for (struct dirent *entry = NULL; !status && (errno = 0, entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            status = add_entry(search, folder, entry->d_name);
    }
    if (!status && errno) status = image_fail_errno(folder, "read this folder", errno, search->err);
    closedir(dir);
    return status;
}

static RtStatus add_named(Search *search, const char *path)
{
    struct stat info;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) return add_folder(search, path);
    return found_add(&search->images, rt_strdup(path), search->err);
}

static RtStatus add_pattern(Search *search, const char *pattern)
{
    glob_t matches = {0};
    RtStatus status = RT_OK;
    int result = glob(pattern, GLOB_NOSORT, NULL, &matches);
    if (result == GLOB_NOMATCH)
        status = rt_fail(search->err, RT_BAD_INPUT, "%s: no file matches this pattern", pattern);
    else if (result)
        status = rt_fail(search->err, RT_MACHINE, "%s: cannot look for files of this pattern", pattern);
    for (size_t i = 0; !status && i < matches.gl_pathc; i++) status = add_named(search, matches.gl_pathv[i]);
    globfree(&matches);
    return status;
}

static RtStatus add_argument(Search *search, const char *argument)
{
    size_t images = search->images.count, skipped = search->skipped.count;
    struct stat info;
    bool exists = !lstat(argument, &info);
    int reason = errno;
    RtStatus status = RT_OK;
    if (exists)
        status = add_named(search, argument);
    else if (strpbrk(argument, "*?["))
        status = add_pattern(search, argument);
    else
        status = image_fail_errno(argument[0] ? argument : "\"\"", "open", reason, search->err);
    if (status) return status;
    found_sort_since(&search->images, images);
    found_sort_since(&search->skipped, skipped);
    if (search->images.count > images) return RT_OK;
    return rt_fail(search->err, RT_BAD_INPUT, "%s: holds no PNG or JPEG image (other files: %zu)", argument,
                   search->skipped.count - skipped);
}

/* The paths alone; the list keeps what it has on failure. */
static RtStatus take_paths(FoundList *list, char ***paths, size_t *count, RtError *err)
{
    found_drop_repeats(list);
    *paths = rt_alloc(list->count * sizeof **paths);
    if (!*paths) return image_no_memory("list of images", list->count * sizeof **paths, err);
    for (size_t i = 0; i < list->count; i++) (*paths)[i] = list->items[i].path;
    *count = list->count;
    list->count = 0;
    return RT_OK;
}

RtStatus image_list(const char *const arguments[], size_t count, RtImageList *list, RtError *err)
{
    *list = (RtImageList){0};
    Search search = {.err = err};
    RtStatus status = RT_OK;
    for (size_t i = 0; !status && i < count; i++) status = add_argument(&search, arguments[i]);
    if (!status) status = take_paths(&search.images, &list->paths, &list->count, err);
    if (!status) status = take_paths(&search.skipped, &list->skipped, &list->skipped_count, err);
    found_free(&search.images);
    found_free(&search.skipped);
    if (status) image_list_free(list);
    return status;
}

void image_list_free(RtImageList *list)
{
    for (size_t i = 0; i < list->count; i++) rt_free(list->paths[i]);
    for (size_t i = 0; i < list->skipped_count; i++) rt_free(list->skipped[i]);
    rt_free(list->paths);
    rt_free(list->skipped);
    *list = (RtImageList){0};
}
