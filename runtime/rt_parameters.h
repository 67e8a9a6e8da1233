/* Setting a session's parameters, by their initialisation rules or from a file: segrt_initialize and
 * segrt_load_weights of segrt.h, and what the command line and training need beyond them.
 *
 * Parameters and states may lie in blocks of channels (rt_blocked.h); here they are seen dense. */
#ifndef RT_PARAMETERS_H
#define RT_PARAMETERS_H

#include "program.h"
#include "rt_weights.h"
#include "segrt.h"

enum { PARAMETERS_NAME = 1200 /* bytes of a name with its prefix */ };

typedef struct ParametersFound {
    WeightsMatch match;
    /* What the names of one side have before those of the other, "segmenter.context_path."; "": nothing. */
    char prefix[160];
    bool file_has_prefix; /* that side is the file */
} ParametersFound;

/* segrt_load_weights that also tells what it found: warnings on success, and on RT_BAD_INPUT the full list of
 * which err has the beginning (match.errors is "" when the file could not be read at all). flags are those of
 * weights_match; with WEIGHTS_ALLOW_MISSING, parameters outside of the prefix are not spoken of. */
RtStatus parameters_load(SegrtSession *session, const char *path, unsigned flags, ParametersFound *found,
                         RtError *err);

/* Allocates floats for the largest tensor that lies in blocks (one, if none does); rt_free. */
RtStatus parameters_room(const ProgramHeader *header, float **room, RtError *err);
/* The values of a parameter or state: where they lie, or in room. */
const float *parameters_dense(const SegrtSession *session, const ProgramTensor *tensor, float *room);
/* Sets a parameter or state; when all are set, session_parameters_set is to be called. */
void parameters_put(SegrtSession *session, const ProgramTensor *tensor, const float *dense);
/* Whether a program has all parameters of another, under the same names. RT_USAGE names the first it lacks.
 */
RtStatus parameters_cover(const ProgramHeader *from, const ProgramHeader *to, RtError *err);
/* Gives a session all its parameters from another's, whose program must have them. */
RtStatus parameters_copy(const SegrtSession *from, SegrtSession *to, RtError *err);

#endif
