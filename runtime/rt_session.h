/* What the rest of the runtime sees of a session beyond segrt.h. Same rules: one thread at a time, all memory
 * the session's.
 *
 * The functions of segrt.h live in rt_session.c (memory, running), rt_parameters.c (setting the weights) and
 * rt_picture.c (pictures in, classes out). */
#ifndef RT_SESSION_H
#define RT_SESSION_H

#include "program.h"
#include "rt_pool.h"
#include "segrt.h"

#include <stdbool.h>

const ProgramHeader *session_program(const SegrtSession *session);
Pool *session_pool(SegrtSession *session);
/* The address of a tensor that has memory; NULL for ROLE_UNUSED. */
void *session_address(const SegrtSession *session, const ProgramTensor *tensor);

/* All parameters were given values: as segrt_parameters_changed, also after a run. */
void session_parameters_set(SegrtSession *session);

/* As segrt_run; besides, seconds[i] receives what step i of the program took (header->steps.count of them;
 * PREPARE steps that did not run get 0). */
RtStatus session_run_timed(SegrtSession *session, double *seconds, RtError *err);
/* The same for one (micro-)step of a training program: players[p] says whether player p steps, that is,
 * whether its UPDATE steps are done, in their place in the list; NULL: none does. seconds may be NULL. */
RtStatus session_train(SegrtSession *session, const bool *players, double *seconds, RtError *err);

/* Where functions of segrt.h put their failures, and how they then return: the status, after handing the
 * user a copy. */
RtError *session_error(SegrtSession *session);
RtStatus session_return(SegrtSession *session, RtStatus status, RtError *err);

/* Seconds on a clock that never goes back. */
double session_clock(void);

#endif
