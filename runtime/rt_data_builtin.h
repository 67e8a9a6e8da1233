/* The data sets that are drawn (see rt_data.h), and what making them shares with those of files. */
#ifndef RT_DATA_BUILTIN_H
#define RT_DATA_BUILTIN_H

#include "rt_data.h"

RtStatus data_builtin_open(const char *spec, DataSet *set, RtError *err);
RtStatus data_builtin_draw(const DataSet *set, size_t item, RtImage *image, RtLabels *labels, RtError *err);
/* Adds a pair and takes over both texts, which may be NULL for want of memory. */
RtStatus data_add_pair(DataSet *set, char *image, char *label, RtError *err);

#endif
