/* Folders of pictures, matched by base name: see rt_data.h. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
            status = data_add_missing(set, err, "no label for %s", images->paths[i++]);
        else if (order > 0)
            status = data_add_missing(set, err, "no image for %s", labels->paths[k++]);
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
    return image_list(&folder, 1, list, err);
}

static RtStatus note_skipped(DataSet *set, const RtImageList *list, RtError *err)
{
    RtStatus status = RT_OK;
    for (size_t i = 0; i < list->skipped_count && !status; i++)
        status = data_add_missing(set, err, "no picture: %s", list->skipped[i]);
    return status;
}

static RtStatus open_images(const char *folder, DataSet *set, RtError *err)
{
    RtImageList images = {0};
    RtStatus status = list_folder(folder, &images, err);
    for (size_t i = 0; i < images.count && !status; i++)
        status = data_add_pair(set, rt_strdup(images.paths[i]), rt_strdup(""), err);
    if (!status) status = note_skipped(set, &images, err);
    image_list_free(&images);
    return status;
}

static RtStatus open_folders(const char *images_folder, const char *labels_folder, DataSet *set, RtError *err)
{
    RtImageList images = {0}, labels = {0};
    RtStatus status = list_folder(images_folder, &images, err);
    if (!status) status = list_folder(labels_folder, &labels, err);
    if (!status) status = sort_folder(&images, err);
    if (!status) status = sort_folder(&labels, err);
    if (!status) status = match(set, &images, &labels, err);
    if (!status) status = note_skipped(set, &images, err);
    if (!status) status = note_skipped(set, &labels, err);
    image_list_free(&images);
    image_list_free(&labels);
    set->labelled = true;
    if (!status && !set->count)
        status = rt_fail(err, RT_BAD_INPUT, "no base name is both in %s and in %s (first: %s)", images_folder,
                         labels_folder, set->missing_count ? set->missing[0] : "both are empty");
    return status;
}

RtStatus data_folder_open(const char *spec, bool no_labels, DataSet *set, RtError *err)
{
    char *images = rt_strdup(spec);
    if (!images) return data_no_memory(err);
    char *comma = strstr(images, ",labels:");
    if (comma) *comma = 0;
    RtStatus status = comma && !no_labels ? open_folders(images, comma + strlen(",labels:"), set, err)
                                          : open_images(images, set, err);
    rt_free(images);
    return status;
}
