/* See rt_data.h. */
#define _GNU_SOURCE
#include "rt_data.h"

#include "rt_data_builtin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static RtStatus no_memory(RtError *err)
{
    return rt_fail(err, RT_MACHINE, "no memory for a list of pictures");
}

/* Room for one more of count items of the given size; false without memory. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size)
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
    bool room = image && label && grow(&pairs, set->count, &set->capacity, sizeof *set->pairs);
    set->pairs = pairs;
    if (room) {
        set->pairs[set->count++] = (DataPair){image, label};
        return RT_OK;
    }
    rt_free(image);
    rt_free(label);
    return no_memory(err);
}

static RtStatus __attribute__((format(printf, 3, 4)))
add_missing(DataSet *set, RtError *err, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    void *missing = set->missing;
    bool room = grow(&missing, set->missing_count, &set->missing_capacity, sizeof *set->missing);
    set->missing = missing;
    char *copy = room ? rt_strdup(text) : NULL;
    if (!copy) return no_memory(err);
    set->missing[set->missing_count++] = copy;
    return RT_OK;
}

static bool is_there(const char *path)
{
    return !access(path, F_OK);
}

/* root/name, or name itself when it is absolute or there is no root; NULL without memory. */
static char *join(const char *root, const char *name)
{
    if (*name == '/' || !*root) return rt_strdup(name);
    size_t size = strlen(root) + strlen(name) + 2;
    char *path = rt_alloc(size);
    if (path) snprintf(path, size, "%s%s%s", root, root[strlen(root) - 1] == '/' ? "" : "/", name);
    return path;
}

/* Splits a line into its two names, in place; false if it isn't two. */
static bool split_line(char *line, char **image, char **label)
{
    const char *blanks = strchr(line, '\t') ? "\t" : " ";
    char *rest;
    *image = strtok_r(line, blanks, &rest);
    *label = strtok_r(NULL, blanks, &rest);
    return *image && *label && !strtok_r(NULL, blanks, &rest);
}

static RtStatus add_line(DataSet *set, const char *path, int number, const char *root, char *line,
                         RtError *err)
{
    char *image, *label;
    size_t length = strlen(line);
    while (length && strchr(" \t\r\n", line[length - 1])) line[--length] = 0;
    line += strspn(line, " ");
    if (!*line || *line == '#') return RT_OK;
    if (!split_line(line, &image, &label))
        return rt_fail(err, RT_BAD_INPUT,
                       "%s:%d: expected \"image label\"; names that hold blanks are separated by a tab", path,
                       number);
    image = join(root, image);
    label = join(root, label);
    const char *gone = image && !is_there(image) ? image : label && !is_there(label) ? label : NULL;
    if (!gone) return data_add_pair(set, image, label, err);
    RtStatus status = add_missing(set, err, "%s:%d: no file %s", path, number, gone);
    rt_free(image);
    rt_free(label);
    return status;
}

static RtStatus read_lines(DataSet *set, FILE *file, const char *path, const char *root, RtError *err)
{
    char line[LINE_MAX_BYTES];
    RtStatus status = RT_OK;
    for (int number = 1; !status && fgets(line, sizeof line, file); number++) {
        if (strlen(line) == sizeof line - 1)
            return rt_fail(err, RT_BAD_INPUT, "%s:%d: a line of %d bytes or more, or binary data: not a list",
                           path, number, LINE_MAX_BYTES - 1);
        status = add_line(set, path, number, root, line, err);
    }
    if (!status && ferror(file))
        return rt_fail(err, RT_MACHINE, "%s: cannot read: %s", path, strerror(errno));
    return status;
}

/* The folder of path, "" for the current one; NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return rt_strdup("");
    char *folder = rt_strdup(path);
    if (folder) folder[slash == path ? 1 : slash - path] = 0;
    return folder;
}

/* Whether the list would make sense one folder further up: then that is what the user needs to hear. */
static bool fits_above(const char *path, const char *folder)
{
    char line[LINE_MAX_BYTES], *image, *label;
    FILE *file = fopen(path, "re");
    bool fits = false;
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line || *line == '#' || !split_line(line, &image, &label)) continue;
        char tried[2 * LINE_MAX_BYTES];
        snprintf(tried, sizeof tried, "%s%s../%.8000s", folder, *folder ? "/" : "", image);
        fits = is_there(tried);
        break;
    }
    if (file) fclose(file);
    return fits;
}

static RtStatus no_pairs(const DataSet *set, const char *path, const char *root, bool given, RtError *err)
{
    if (!set->missing_count) return rt_fail(err, RT_BAD_INPUT, "%s names no pictures", path);
    const char *hint = "";
    char text[600] = "";
    if (!given && fits_above(path, root)) {
        snprintf(text, sizeof text, "; did you mean list:%.200s@%.200s%s.. ?", path, root, *root ? "/" : "");
        hint = text;
    }
    return rt_fail(err, RT_BAD_INPUT, "%s: none of its %zu pairs is there, relative to %s (first: %.200s)%s",
                   path, set->missing_count, *root ? root : "the current folder", set->missing[0], hint);
}

static RtStatus open_list(const char *path, const char *root, DataSet *set, RtError *err)
{
    struct stat info;
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        return rt_fail(err, RT_USAGE, "%s is a folder; for folders say images:DIR,labels:DIR", path);
    FILE *file = fopen(path, "re");
    if (!file) return rt_fail(err, RT_BAD_INPUT, "cannot open the list %s: %s", path, strerror(errno));
    char *folder = root ? rt_strdup(root) : folder_of(path);
    RtStatus status = folder ? read_lines(set, file, path, folder, err) : no_memory(err);
    fclose(file);
    if (folder && !status && !set->count) status = no_pairs(set, path, folder, root != NULL, err);
    rt_free(folder);
    return status;
}

/* "FILE@ROOT", unless a file has that very name. */
static RtStatus open_list_spec(const char *spec, DataSet *set, RtError *err)
{
    char *path = rt_strdup(spec);
    if (!path) return no_memory(err);
    char *at = is_there(spec) ? NULL : strrchr(path, '@');
    if (at) *at++ = 0;
    RtStatus status = open_list(path, at, set, err);
    rt_free(path);
    return status;
}

/* The part of a path that pairs are matched by: from the last '/' to the last '.'. */
static size_t stem(const char *path, const char **start)
{
    const char *slash = strrchr(path, '/');
    *start = slash ? slash + 1 : path;
    const char *dot = strrchr(*start, '.');
    return dot && dot != *start ? (size_t)(dot - *start) : strlen(*start);
}

static int by_stem(const void *a, const void *b)
{
    const char *x, *y;
    size_t m = stem(*(char *const *)a, &x), n = stem(*(char *const *)b, &y);
    int order = memcmp(x, y, m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

/* Sorts a folder's files; two of one base name could not be told apart. */
static RtStatus sort_folder(RtImageList *list, RtError *err)
{
    qsort(list->paths, list->count, sizeof *list->paths, by_stem);
    for (size_t i = 1; i < list->count; i++) {
        if (!by_stem(&list->paths[i - 1], &list->paths[i]))
            return rt_fail(err, RT_BAD_INPUT, "%s and %s have the same base name", list->paths[i - 1],
                           list->paths[i]);
    }
    return RT_OK;
}

/* Walks both sorted folders side by side. */
static RtStatus match(DataSet *set, const RtImageList *images, const RtImageList *labels, RtError *err)
{
    RtStatus status = RT_OK;
    for (size_t i = 0, k = 0; (i < images->count || k < labels->count) && !status;) {
        int order = i == images->count   ? 1
                    : k == labels->count ? -1
                                         : by_stem(&images->paths[i], &labels->paths[k]);
        if (order < 0)
            status = add_missing(set, err, "no label for %s", images->paths[i++]);
        else if (order > 0)
            status = add_missing(set, err, "no image for %s", labels->paths[k++]);
        else
            status = data_add_pair(set, rt_strdup(images->paths[i++]), rt_strdup(labels->paths[k++]), err);
    }
    return status;
}

static RtStatus list_folder(const char *folder, RtImageList *list, RtError *err)
{
    struct stat info;
    if (stat(folder, &info)) return rt_fail(err, RT_BAD_INPUT, "no folder %s: %s", folder, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return rt_fail(err, RT_BAD_INPUT, "%s is no folder", folder);
    RtStatus status = image_list(&folder, 1, list, err);
    return status ? status : sort_folder(list, err);
}

static RtStatus open_folders(const char *images_folder, const char *labels_folder, DataSet *set, RtError *err)
{
    RtImageList images = {0}, labels = {0};
    RtStatus status = list_folder(images_folder, &images, err);
    if (!status) status = list_folder(labels_folder, &labels, err);
    if (!status) status = match(set, &images, &labels, err);
    for (size_t i = 0; i < images.skipped_count && !status; i++)
        status = add_missing(set, err, "no picture: %s", images.skipped[i]);
    for (size_t i = 0; i < labels.skipped_count && !status; i++)
        status = add_missing(set, err, "no picture: %s", labels.skipped[i]);
    image_list_free(&images);
    image_list_free(&labels);
    if (!status && !set->count)
        status = rt_fail(err, RT_BAD_INPUT, "no base name is both in %s and in %s (first: %s)", images_folder,
                         labels_folder, set->missing_count ? set->missing[0] : "both are empty");
    return status;
}

/* "DIR,labels:DIR". */
static RtStatus open_folders_spec(const char *spec, DataSet *set, RtError *err)
{
    const char *comma = strstr(spec, ",labels:");
    if (!comma) return rt_fail(err, RT_USAGE, "images:%s: expected images:DIR,labels:DIR", spec);
    char *images = rt_strdup(spec);
    if (!images) return no_memory(err);
    images[comma - spec] = 0;
    RtStatus status = open_folders(images, comma + strlen(",labels:"), set, err);
    rt_free(images);
    return status;
}

RtStatus data_open(const char *spec, DataSet *set, RtError *err)
{
    *set = (DataSet){0};
    if (data_is_drawn(spec)) return data_builtin_open(spec, set, err);
    if (!strncmp(spec, "list:", 5)) return open_list_spec(spec + 5, set, err);
    if (!strncmp(spec, "images:", 7)) return open_folders_spec(spec + 7, set, err);
    if (!strncmp(spec, "labels:", 7))
        return rt_fail(err, RT_USAGE, "%s: expected images:DIR,labels:DIR", spec);
    return open_list(spec, NULL, set, err);
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

RtStatus data_read(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err)
{
    *image = (RtImage){0};
    if (set->look) return data_builtin_draw(set, item, image, labels, err);
    RtStatus status = image_read_labels(set->pairs[item].label, labels, err);
    if (!status) status = image_read_rgb(set->pairs[item].image, image, err);
    if (status) image_labels_free(labels);
    return status;
}
