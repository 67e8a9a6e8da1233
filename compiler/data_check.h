/* `segc data check`: reads every pair of a data set and says what is wrong with it: files that are missing or
 * cannot be read, labels of another size or kind, values that the encoding does not know, with the likely
 * cause, labels without any class, constant pictures; and how many pixels each class has.
 *
 * Each fault is a line on errors (the first few of a kind) and in the report, which has them all. Not thread
 * safe.
 */
#ifndef DATA_CHECK_H
#define DATA_CHECK_H

#include "../runtime/rt_data.h"

#include <stdio.h>

typedef struct DataCheckJob {
    const ProgramHeader *program;
    const DataSet *set; /* open, drawn pictures with a size */
    const char *spec;   /* as given */
    const char *report; /* file to write all faults and the tables to; NULL: none */
    FILE *out, *errors; /* tables; faults and progress */
} DataCheckJob;

/* RT_OK: nothing is at fault. RT_BAD_INPUT with an empty err->text: faults were printed. RT_MACHINE, or the
 * report can't be written. After an interrupt it stops early, and nothing is written. */
RtStatus data_check(const DataCheckJob *job, RtError *err);

#endif
