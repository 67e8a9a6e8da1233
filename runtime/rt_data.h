/* Labelled pictures, found by a specification from the command line:
 *
 *   FILE, list:FILE          a list: "image label" per line, relative to the list's folder
 *   list:FILE@ROOT           the same, relative to ROOT
 *   images:DIR,labels:DIR    the pictures of one folder and the labels of the other, matched by base name
 *   builtin:LOOK:COUNT       streets that are drawn, not read (see rt_street.h): seeds 0..COUNT-1. After it
 *                            ",seed=S" for the first seed and ",size=HxW" for the size
 *
 * In a list, blank lines and lines that start with '#' are skipped; names that hold blanks are separated by a
 * tab. Nothing is left out silently: what has no counterpart, or no file, is a line of `missing`.
 *
 * A DataSet owns its texts; release it with data_close, after failures too. Not thread safe.
 *
 *     DataSet set;
 *     if (!data_open("list:val.txt@photos", &set, &err)) ... data_read(&set, i, &image, &labels, &err) ...
 *     data_close(&set);
 */
#ifndef RT_DATA_H
#define RT_DATA_H

#include "rt_image.h"
#include "rt_street.h"

typedef struct DataPair {
    char *image, *label; /* paths; of drawn pictures names, which no file has */
} DataPair;

typedef struct DataSet {
    size_t count, capacity;
    DataPair *pairs;
    size_t missing_count, missing_capacity;
    char **missing;         /* a sentence each */
    const StreetLook *look; /* of drawn pictures; NULL: they are files */
    uint64_t seed;          /* of the first drawn picture */
    int width, height;      /* of drawn pictures; 0: the specification does not say */
} DataSet;

/* RT_BAD_INPUT: a file or folder that is not there, a line that is no pair (with its number), or not a single
 * pair; RT_USAGE: no such specification. */
RtStatus data_open(const char *spec, DataSet *set, RtError *err);
void data_close(DataSet *set);
/* Whether a specification is of pictures that are drawn. */
bool data_is_drawn(const char *spec);
/* The size of drawn pictures whose specification does not say one. */
void data_default_size(DataSet *set, int width, int height);
/* Labels and picture number item, read or drawn; to be freed by the caller. On failure both are empty. Fails
 * as reading pictures does, the labels first, and RT_USAGE for a size that no drawn picture has. */
RtStatus data_read(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err);

#endif
