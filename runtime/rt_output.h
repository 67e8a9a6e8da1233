/* Where results for a list of input files go: names in one folder that don't clash, and that don't destroy
 * what they are made from.
 *
 * A name is the input's base name without its extension. Inputs of different folders whose results would
 * share a file get the folders' names in front, as many as it takes ("day/x.png" and "dusk/x.png": day_x,
 * dusk_x); inputs of one folder get their extension ("x.png" and "x.jpg": x_png, x_jpg); if that is not
 * enough, their number in the list. Results are the name and a suffix (".png", "_color.png"), so x with a
 * "_color.png" and an input x_color clash too.
 */
#ifndef RT_OUTPUT_H
#define RT_OUTPUT_H

#include "rt_status.h"

#include <stdbool.h>

typedef struct OutputNames {
    size_t count;
    char **names;   /* one per input */
    size_t renamed; /* names that are not simply the input's */
} OutputNames;

/* Ownership: release with output_free, after failures too. RT_MACHINE without memory. */
RtStatus output_names(const char *const *inputs, size_t count, const char *const *suffixes,
                      size_t suffix_count, OutputNames *names, RtError *err);
void output_free(OutputNames *names);

/* FOLDER/NAME SUFFIX, to be released with rt_free; NULL without memory. */
char *output_path(const char *folder, const char *name, const char *suffix);
/* Makes the folder, and those above it. */
RtStatus output_folder(const char *folder, RtError *err);
/* RT_USAGE if a result would replace one of the inputs, by whatever path. */
RtStatus output_check(const char *folder, const OutputNames *names, const char *const *inputs,
                      const char *const *suffixes, size_t suffix_count, RtError *err);

#endif
