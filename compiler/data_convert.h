/* `segc data convert`: writes the labels of a data set as PNGs of train ids (8 bits, grey) into a folder, and
 * beside them list.txt, which names each image with its new label and so is a data specification itself.
 *
 * Every file appears complete or not at all, and the list last: after an interrupt there is none. Results
 * are named after the labels (see rt_output.h) and replace what has their name, but never an input. Not
 * thread safe.
 */
#ifndef DATA_CONVERT_H
#define DATA_CONVERT_H

#include "../runtime/rt_data.h"

#include <stdio.h>

typedef struct DataConvertJob {
    const DataSet *set; /* open, and labelled */
    const char *spec;   /* as given */
    const char *folder; /* made where it is missing */
    FILE *out, *errors;
} DataConvertJob;

/* RT_BAD_INPUT with an empty err->text: labels that could not be read were left out, or pixels that the
 * encoding does not know became ignored; both were printed. RT_USAGE: a result would replace an input, or the
 * pictures are drawn. RT_MACHINE. */
RtStatus data_convert(const DataConvertJob *job, RtError *err);

#endif
