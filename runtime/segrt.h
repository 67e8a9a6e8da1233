/* The runtime's interface for C and C++: running a compiled program inside another one.
 *
 * A Program is what the compiler made (see program.h); a session is one copy of it with its own weights,
 * memory and threads. Several sessions, also of one program, may exist in a process; there is no global
 * state. A session is for one thread at a time; different sessions are independent.
 *
 * A session starts without weights: load them, or initialise them. What depends on weights alone is computed
 * in the first run after they changed.
 *
 *     RtError err;
 *     SegrtSession *session = NULL;
 *     if (segrt_open(program, 0, &session, &err) || segrt_load_weights(session, "street.safetensors", &err))
 *         return report(err.text);
 *     segrt_set_picture(session, 0, rgb, width, height, &err);
 *     segrt_run(session, &err);
 *     segrt_get_classes(session, 0, classes, width, height, &err);
 *     segrt_close(session);
 *
 * Every function that can fail returns a status, RT_OK (0) or one of rt_status.h, and fills err, which may be
 * NULL; segrt_last_error has the text too. Failing leaves the session as usable as before, except that
 * weights that were being loaded may be mixed with the old ones.
 */
#ifndef SEGRT_H
#define SEGRT_H

#include "rt_status.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Program Program;
typedef struct SegrtSession SegrtSession;

/* The program in what `segc build --emit shared` and `--emit object` write. */
extern const Program segc_program;

enum { SEGRT_MAX_RANK = 6 };

typedef enum SegrtDtype { SEGRT_F32, SEGRT_I32, SEGRT_U8 } SegrtDtype;

/* A view of a named tensor: dense, the last dimension running fastest. It is valid until segrt_close. An
 * input must be filled before each run, since the run may reuse its memory; an output is valid from one run
 * to the next, or to the filling of an input. */
typedef struct SegrtTensor {
    const char *name;
    int dtype; /* SegrtDtype */
    int rank;
    int64_t dims[SEGRT_MAX_RANK];
    void *data;
    size_t bytes;
} SegrtTensor;

/* Memory in bytes. */
typedef struct SegrtMemory {
    uint64_t planned;  /* arena, persistent memory and all threads' scratch: all a run touches */
    uint64_t resident; /* the most that this process has had in memory so far, code and libraries included */
} SegrtMemory;

/* Allocates everything a run needs. threads: 0 for the environment's SEGRT_THREADS, or else as many as this
 * process may use. RT_MACHINE: too little memory, or a CPU without a feature that the program was built for.
 */
RtStatus segrt_open(const Program *program, int threads, SegrtSession **session, RtError *err);
/* NULL is harmless. */
void segrt_close(SegrtSession *session);

/* Sets every parameter by its initialisation rule; equal seeds give equal bits. */
RtStatus segrt_initialize(SegrtSession *session, uint64_t seed, RtError *err);
/* Sets every parameter from a safetensors or PyTorch file; RT_BAD_INPUT lists what is missing, surplus, or
 * has another shape. */
RtStatus segrt_load_weights(SegrtSession *session, const char *path, RtError *err);
/* To be called after writing to parameters through segrt_tensor. Between loading or initialising and the
 * first run; a run overwrites weights of which only folded and packed copies are needed, and then all must be
 * set again first (the next run says so with RT_USAGE). */
void segrt_parameters_changed(SegrtSession *session);

/* Finds an input, output or parameter by name; RT_USAGE if there is none, or if it has no memory because
 * nothing evaluates it. */
RtStatus segrt_tensor(SegrtSession *session, const char *name, SegrtTensor *tensor, RtError *err);
/* Computes the outputs from the inputs. RT_USAGE before any weights were set. */
RtStatus segrt_run(SegrtSession *session, RtError *err);

/* For programs from pictures to classes. index is a position in the batch, 0..N-1; rgb is packed R G B rows,
 * resized to the network's size if need be and normalised as the program says. */
RtStatus segrt_set_picture(SegrtSession *session, int64_t index, const unsigned char *rgb, int width,
                           int height, RtError *err);
/* Class ids of the batch's picture, width * height of them, resized by nearest neighbour. */
RtStatus segrt_get_classes(SegrtSession *session, int64_t index, unsigned char *classes, int width,
                           int height, RtError *err);

SegrtMemory segrt_memory(const SegrtSession *session);
int segrt_threads(const SegrtSession *session);
/* The text of the session's last failure; "" when there was none. Valid until the next call. */
const char *segrt_last_error(const SegrtSession *session);

/* The command line of a program (info, predict, eval, bench); returns the exit status. Prints. */
int segrt_main(int argc, char **argv, const Program *program);

#ifdef __cplusplus
}
#endif

#endif
