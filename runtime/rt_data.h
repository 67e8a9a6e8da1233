/* Labelled pictures, found by a specification from the command line:
 *
 *   FILE, list:FILE          a list: "image label" per line, relative to the list's folder
 *   list:FILE@ROOT           the same, relative to ROOT
 *   images:DIR,labels:DIR    the pictures of one folder and the labels of the other, matched by base name
 *
 * In a list, blank lines and lines that start with '#' are skipped; names that hold blanks are separated by a
 * tab. Nothing is left out silently: what has no counterpart, or no file, is a line of `missing`.
 *
 * A DataSet owns its texts; release it with data_close, after failures too. Not thread safe.
 *
 *     DataSet set;
 *     if (!data_open("list:val.txt@photos", &set, &err)) ... set.pairs[i].image ...
 *     data_close(&set);
 */
#ifndef RT_DATA_H
#define RT_DATA_H

#include "rt_status.h"

typedef struct DataPair {
    char *image, *label; /* paths */
} DataPair;

typedef struct DataSet {
    size_t count, capacity;
    DataPair *pairs;
    size_t missing_count, missing_capacity;
    char **missing; /* a sentence each */
} DataSet;

/* RT_BAD_INPUT: a file or folder that is not there, a line that is no pair (with its number), or not a single
 * pair; RT_USAGE: no such specification. */
RtStatus data_open(const char *spec, DataSet *set, RtError *err);
void data_close(DataSet *set);

#endif
