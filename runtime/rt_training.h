/* A training program at work: its session, the numbers that the host sets before each step, and what comes
 * out.
 *
 * An iteration is one step of every player that has begun (ProgramPlayer.from), made of header->accumulate
 * micro-batches. What it computes depends on the parameters, the batches and the iteration's number alone.
 *
 *     Training training;
 *     if (training_open(&training, program, 0, &err)) return err.status;
 *     segrt_initialize(training.session, seed, &err);
 *     training.iterations = 300;
 *     while (training.iteration < training.iterations) {
 *         for (int64_t micro = 0; micro < training.accumulate; micro++) {
 *             loader_next(loader, &batch, &err);
 *             training_fill(&training, batch.images, batch.labels);
 *             if (training_run(&training, micro, NULL, &err)) return err.status;
 *         }
 *         ... training.terms[0].value ...
 *     }
 *     training_close(&training);
 *
 * Ownership: the program must outlive it; the rest is released by training_close, also after failures. One
 * thread.
 */
#ifndef RT_TRAINING_H
#define RT_TRAINING_H

#include "program.h"
#include "segrt.h"

#include <stdbool.h>

enum {
    TRAINING_MOST_STREAMS = 8,
    TRAINING_MOST_TERMS = 64,
    TRAINING_MOST_PLAYERS = 16,
    TRAINING_MOST_TUNABLES = 64,
};

typedef struct TrainingStream {
    char name[64];              /* of its inputs, before the dot */
    const ProgramTensor *image; /* f32[B,3,H,W] */
    const ProgramTensor *label; /* i32[B,H,W]; NULL: the stream has none */
} TrainingStream;

/* A scalar output: a player's loss, or a part of it. */
typedef struct TrainingTerm {
    const char *name;
    const ProgramTensor *tensor;
    double value; /* of the last iteration: the mean over its micro-batches */
} TrainingTerm;

typedef struct Training {
    const ProgramHeader *header; /* of the training form */
    SegrtSession *session;
    int64_t iterations; /* of the whole run: what schedules are stretched over */
    int64_t iteration;  /* done so far */
    int64_t accumulate;
    int stream_count, term_count, player_count, tunable_count;
    TrainingStream streams[TRAINING_MOST_STREAMS];
    TrainingTerm terms[TRAINING_MOST_TERMS];
    double rates[TRAINING_MOST_PLAYERS];     /* learning rates of the last iteration */
    double tunables[TRAINING_MOST_TUNABLES]; /* as given; by header->tunables */
    const ProgramTensor **watched;           /* what shows in each step whether gradients were finite */
    int watched_count;
} Training;

const ProgramPlayer *training_players(const ProgramHeader *header);
const ProgramTunable *training_tunables(const ProgramHeader *header);

/* RT_USAGE for a program without players; RT_BUG for one whose inputs are no streams of pictures; else as
 * segrt_open. Parameters are not set yet. */
RtStatus training_open(Training *training, const Program *program, int threads, RtError *err);
void training_close(Training *training);

/* "NAME=VALUE". RT_USAGE: no such tunable (suggesting the nearest), or no finite number. */
RtStatus training_set_tunable(Training *training, const char *assignment, RtError *err);

/* Copies a batch, by stream, into the program's inputs. */
void training_fill(Training *training, const float *const *images, const int32_t *const *labels);
/* Runs micro-batch `micro` of the iteration; players step in the last, which also counts the iteration.
 * seconds: as session_train, or NULL. RT_BAD_INPUT when a term is not finite, or what a player's step left:
 * the message names the iteration, the first such term, and the first parameter or state, in the program's
 * order, that is not finite, if any. */
RtStatus training_run(Training *training, int64_t micro, double *seconds, RtError *err);
/* Whether parameters and states may be kept: RT_BAD_INPUT when one is not finite, though the terms may have
 * been; the message names the first. Reads all of them: for saves, not for steps. */
RtStatus training_check(const Training *training, RtError *err);
/* Runs a batch through the forward and backward passes without any player stepping, for what they do besides:
 * running statistics. */
RtStatus training_forward(Training *training, RtError *err);

#endif
