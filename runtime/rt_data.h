/* Pictures with or without labels, found by a specification from the command line:
 *
 *   FILE, list:FILE          a list: "image label" or "image" per line, relative to the list's folder
 *   list:FILE@ROOT           the same, relative to ROOT
 *   images:DIR,labels:DIR    the pictures of one folder and the labels of the other, matched by base name
 *   images:DIR               pictures without labels
 *   SET:DIR@SPLIT            a data set that the program knows, in its first layout whose files are there:
 *                            cityscapes:DIR@train, gta5:DIR. SET.LAYOUT:DIR@SPLIT for a particular layout
 *   builtin:LOOK:COUNT       streets that are drawn, not read (see rt_street.h): seeds 0..COUNT-1. After it
 *                            ",seed=S" for the first seed and ",size=HxW" for the size
 *
 * After all but the last:
 *   ,encoding=NAME           how label files say the class (see rt_encoding.h); not said: a layout's own,
 * else the number of the class, and RGB labels by colours if a known data set has them ,only=FILE of these,
 * those that a file names: a line each, the end of the image's path, with or without its extension (of a
 * layout: with or without what follows {name}) ,count=N                 of these N, drawn without replacement
 * by ",seed=S" (0); their order stays ,labels=none             without labels, which are not even looked for
 *
 * In a list, blank lines and lines that start with '#' are skipped; names that hold blanks are separated by a
 * tab. Nothing is left out silently: what has no counterpart, or no file, is a line of `missing`.
 *
 * A DataSet owns its texts; release it with data_close, after failures too. It points into the program, which
 * must outlive it. Once open, data_read may be called by several threads at a time.
 *
 *     DataSet set;
 *     if (!data_open_for(program, "list:val.txt@photos", &set, &err))
 *         ... data_read(&set, i, &image, &labels, &err) ... labels.classes[y * labels.width + x] ...
 *     data_close(&set);
 */
#ifndef RT_DATA_H
#define RT_DATA_H

#include "rt_encoding.h"
#include "rt_image.h"
#include "rt_street.h"

typedef struct DataPair {
    char *image, *label; /* paths; of drawn pictures names, which no file has; label NULL: none */
} DataPair;

typedef struct DataSet {
    size_t count, capacity;
    DataPair *pairs;
    size_t missing_count, missing_capacity;
    char **missing;               /* a sentence each */
    bool labelled;                /* every pair has a label */
    Encoding encoding;            /* of its labels */
    Encoding of_rgb;              /* of those that are RGB pictures; color_count 0: the same */
    const char *ending;           /* of a layout's pictures: what follows {name}; NULL: no layout */
    const ProgramHeader *program; /* NULL: it knows no data sets */
    const StreetLook *look;       /* of drawn pictures; NULL: they are files */
    uint64_t seed;                /* of the first drawn picture */
    int width, height;            /* of drawn pictures; 0: the specification does not say */
} DataSet;

/* RT_BAD_INPUT: a file or folder that is not there, a line that is no pair (with its number), or not a single
 * pair; RT_USAGE: no such specification, data set, layout or encoding. */
RtStatus data_open_for(const ProgramHeader *program, const char *spec, DataSet *set, RtError *err);
/* The same for nobody in particular: no data sets, ids 0..254 are classes. */
RtStatus data_open(const char *spec, DataSet *set, RtError *err);
void data_close(DataSet *set);
/* RT_USAGE unless every picture has labels. */
RtStatus data_need_labels(const DataSet *set, const char *spec, RtError *err);
/* Whether a specification is of pictures that are drawn. */
bool data_is_drawn(const char *spec);
/* The size of drawn pictures whose specification does not say one. */
void data_default_size(DataSet *set, int width, int height);
/* Picture number item and its labels, read or drawn; to be freed by the caller. labels->classes holds the
 * classes and the ignored id (set->encoding.ignore); of a set without labels it is NULL. Either may be NULL:
 * it is not wanted, and not read. On failure both are empty. Fails as reading pictures and encoding_map do,
 * the labels first, and RT_USAGE for a size that no drawn picture has. */
RtStatus data_read(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err);
/* Whether item's labels, as data_read left them, are of the kind that the encoding is for. Ids that are no
 * classes mean that they are not; of colours a few pixels don't, since smoothed edges make them: half of the
 * picture does. RT_BAD_INPUT as data_explain. */
RtStatus data_check_kind(const DataSet *set, size_t item, const RtLabels *labels, RtError *err);
/* Why item's labels have unknown pixels: reads them again, and fails with what survey_explain says. */
RtStatus data_explain(const DataSet *set, size_t item, RtError *err);
/* The encoding by which these labels of the set, as stored, are to be mapped. */
const Encoding *data_encoding(const DataSet *set, const RtLabels *labels);

#endif
