/* A training run on disk: everything that going on from here needs, in one safetensors file.
 *
 * It holds the parameters and running statistics under their names, so that predict and eval load it as
 * weights, and the optimisers' states, which are marked as no weights (WEIGHTS_OUTSIDE_KEY), as are
 * parameters that the program that predicts does not have (discriminators). Its metadata holds the rest, with
 * keys "segc.…": the program, the seed, the iteration, the best score so far, and of each stream the data and
 * how many samples were taken. Chance is a function of seed and sample number (rt_rand.h, rt_loader.h), so no
 * generator's state is kept. Nothing in it depends on the time or on threads: equal runs have equal files.
 *
 * A file appears complete or not at all (rt_new_file.h). "segc.crc32" is over all tensors' bytes, names and
 * shapes and all other metadata; a file that it does not fit is refused.
 *
 *     status = checkpoint_save("run/last.safetensors", session, predicting, &state, &err);
 *     ...
 *     status = checkpoint_open("run/last.safetensors", &checkpoint, &err);
 *     ... checkpoint.state.iteration ...
 *     if (!status) status = checkpoint_restore(&checkpoint, session, &err);
 *     checkpoint_close(&checkpoint);
 */
#ifndef RT_CHECKPOINT_H
#define RT_CHECKPOINT_H

#include "program.h"
#include "rt_weights.h"
#include "segrt.h"

enum { CHECKPOINT_STREAMS = 8 };

/* Texts point to where they came from: the command line, or the open checkpoint. */
typedef struct CheckpointState {
    uint64_t seed;
    int64_t iteration, iterations; /* done, and of the whole run */
    int64_t best_iteration;        /* 0: nothing was validated yet */
    double best_score;
    const char *settings;   /* "lambda_adv=0.001", the tunables that were set, a line each; "" for none */
    const char *validation; /* its data; "" for none */
    int stream_count;
    struct CheckpointStream {
        const char *name, *data;
        uint64_t position; /* samples taken */
    } streams[CHECKPOINT_STREAMS];
} CheckpointState;

typedef struct Checkpoint {
    WeightsFile *file;
    const char *program;   /* its name */
    uint64_t fingerprint;  /* of the compiled program, see checkpoint_fingerprint */
    CheckpointState state; /* its texts are the file's */
} Checkpoint;

/* A number of the compiled program: another one after any change that may change results. */
uint64_t checkpoint_fingerprint(const ProgramHeader *header);

/* predicting: the program whose weights the file is to be. Fails as weights_write; RT_BUG for names or data
 * that hold a line's end. */
RtStatus checkpoint_save(const char *path, const SegrtSession *session, const ProgramHeader *predicting,
                         const CheckpointState *state, RtError *err);
/* RT_BAD_INPUT: not a checkpoint, or a damaged one; the message names the file. On failure nothing is to be
 * closed. */
RtStatus checkpoint_open(const char *path, Checkpoint *checkpoint, RtError *err);
/* Sets every parameter and state. RT_BAD_INPUT when the program has other ones: names the first that differs.
 */
RtStatus checkpoint_restore(const Checkpoint *checkpoint, SegrtSession *session, RtError *err);
void checkpoint_close(Checkpoint *checkpoint);

#endif
