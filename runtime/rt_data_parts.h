/* What the files of rt_data.h share: rt_data.c (specifications), rt_data_list.c, rt_data_folder.c,
 * rt_data_layout.c and rt_data_builtin.c (one way each to find pictures), rt_data_subset.c (some of them). */
#ifndef RT_DATA_PARTS_H
#define RT_DATA_PARTS_H

#include "rt_data.h"

/* Each adds what it finds; of a set that shall have no labels (no_labels), images alone. */
RtStatus data_list_open(const char *spec, bool no_labels, DataSet *set, RtError *err);
RtStatus data_folder_open(const char *spec, bool no_labels, DataSet *set, RtError *err);
/* A layout sets the encoding, too. */
RtStatus data_layout_open(const char *spec, bool no_labels, DataSet *set, RtError *err);
RtStatus data_builtin_open(const char *spec, DataSet *set, RtError *err);
RtStatus data_builtin_draw(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err);

/* Keeps the pairs that the file names, or count of them. */
RtStatus data_keep_only(DataSet *set, const char *path, RtError *err);
RtStatus data_keep_count(DataSet *set, int64_t count, uint64_t seed, RtError *err);

RtStatus data_no_memory(RtError *err);
/* Room for one more of count items of the given size; false without memory. */
bool data_grow(void **items, size_t count, size_t *capacity, size_t size);
/* Adds a pair and takes over both texts, which may be NULL for want of memory; label "" is no label. */
RtStatus data_add_pair(DataSet *set, char *image, char *label, RtError *err);
RtStatus data_add_missing(DataSet *set, RtError *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool data_is_there(const char *path);
/* root/name, or name itself when it is absolute or there is no root; NULL without memory. */
char *data_join(const char *root, const char *name);
/* "PATH@PART" cut at its last '@', unless a file has that very name; returns PART, or NULL. */
char *data_cut_at(char *path);

#endif
