/* The data sets that are drawn: see rt_data.h. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include "rt_options.h"

#include <stdlib.h>
#include <string.h>

static const char prefix[] = "builtin:";

enum { MOST_PICTURES = 1000000, NAME_BYTES = 80 };

bool data_is_drawn(const char *spec)
{
    return !strncmp(spec, prefix, sizeof prefix - 1);
}

static RtStatus bad_spec(const char *spec, const char *what, RtError *err)
{
    return rt_fail(err, RT_USAGE,
                   "%.200s: %s; expected builtin:rendered:COUNT, then ,seed=S and ,size=HxW if wanted", spec,
                   what);
}

static bool read_size(char *text, DataSet *set)
{
    int64_t width, height;
    char *cross = strchr(text, 'x');
    if (!cross) return false;
    *cross = 0;
    bool fine = options_count(text, STREET_LEAST_SIDE, &height) && height <= STREET_MOST_SIDE &&
                options_count(cross + 1, STREET_LEAST_SIDE, &width) && width <= STREET_MOST_SIDE;
    if (!fine) return false;
    set->width = (int)width;
    set->height = (int)height;
    return true;
}

/* "seed=S", "size=HxW" or "labels=none". */
static RtStatus read_option(const char *spec, char *option, DataSet *set, RtError *err)
{
    int64_t seed;
    if (!strcmp(option, "labels=none")) {
        set->labelled = false;
        return RT_OK;
    }
    if (!strncmp(option, "size=", 5)) {
        if (read_size(option + 5, set)) return RT_OK;
        return bad_spec(spec, "a size is HxW pixels, sides of 32 to 8192", err);
    }
    if (strncmp(option, "seed=", 5)) return bad_spec(spec, "only seed and size can be said", err);
    if (!options_count(option + 5, 0, &seed))
        return bad_spec(spec, "a seed is a whole number from 0 up", err);
    set->seed = (uint64_t)seed;
    return RT_OK;
}

/* text: what follows the prefix; it is cut up. */
static RtStatus read_spec(const char *spec, char *text, DataSet *set, int64_t *count, RtError *err)
{
    char *rest, *option, *look = strtok_r(text, ":", &rest), *number = strtok_r(NULL, ",", &rest);
    set->look = look ? street_look(look) : NULL;
    if (!set->look) return bad_spec(spec, "there is no such look", err);
    if (!number || !options_count(number, 1, count) || *count > MOST_PICTURES)
        return bad_spec(spec, "the count is a whole number of 1 to 1000000", err);
    RtStatus status = RT_OK;
    set->labelled = true;
    while (!status && (option = strtok_r(NULL, ",", &rest))) status = read_option(spec, option, set, err);
    return status;
}

static RtStatus add_names(DataSet *set, int64_t count, RtError *err)
{
    RtStatus status = RT_OK;
    for (int64_t i = 0; i < count && !status; i++) {
        char image[NAME_BYTES], label[NAME_BYTES];
        unsigned long long seed = set->seed + (uint64_t)i;
        snprintf(image, sizeof image, "%s_%llu", set->look->name, seed);
        snprintf(label, sizeof label, "labels of %s_%llu", set->look->name, seed);
        status = data_add_pair(set, rt_strdup(image), rt_strdup(set->labelled ? label : ""), err);
    }
    return status;
}

RtStatus data_builtin_open(const char *spec, DataSet *set, RtError *err)
{
    int64_t count = 0;
    char *text = rt_strdup(spec + sizeof prefix - 1);
    if (!text) return rt_fail(err, RT_MACHINE, "no memory for a specification");
    RtStatus status = read_spec(spec, text, set, &count, err);
    rt_free(text);
    if (!status && set->labelled && set->encoding.classes < STREET_CLASSES)
        return rt_fail(err, RT_USAGE,
                       "%s: drawn streets have %d classes, and the program %d (,labels=none "
                       "leaves the labels out)",
                       spec, STREET_CLASSES, set->encoding.classes);
    return status ? status : add_names(set, count, err);
}

void data_default_size(DataSet *set, int width, int height)
{
    if (!set->look || set->width) return;
    set->width = width;
    set->height = height;
}

RtStatus data_builtin_draw(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err)
{
    RtImage rgb = {0}, ids = {0};
    if (!set->width) return rt_fail(err, RT_BUG, "%s has no size", set->pairs[item].image);
    RtStatus status = image_new(&rgb, set->width, set->height, 3, err);
    if (!status) status = image_new(&ids, set->width, set->height, 1, err);
    if (!status)
        status =
            street_draw(set->look, set->seed + item, set->width, set->height, rgb.pixels, ids.pixels, err);
    if (!status && labels) {
        for (int i = 0; i < ids.width * ids.height; i++)
            if (ids.pixels[i] == STREET_VOID) ids.pixels[i] = set->encoding.ignore;
        *labels = (RtLabels){.width = ids.width, .height = ids.height, .classes = ids.pixels};
        ids.pixels = NULL;
    }
    if (!status && image) {
        *image = rgb;
        rgb.pixels = NULL;
    }
    image_free(&rgb);
    image_free(&ids);
    return status;
}
