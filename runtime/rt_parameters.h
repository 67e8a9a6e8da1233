/* Setting a session's parameters, by their initialisation rules or from a file: segrt_initialize and
 * segrt_load_weights of segrt.h, and what the command line needs beyond them. */
#ifndef RT_PARAMETERS_H
#define RT_PARAMETERS_H

#include "rt_weights.h"
#include "segrt.h"

/* segrt_load_weights that also tells what it found: warnings on success, and on RT_BAD_INPUT the full list of
 * which err has the beginning (match->errors is "" when the file could not be read at all). */
RtStatus parameters_load(SegrtSession *session, const char *path, WeightsMatch *match, RtError *err);

#endif
