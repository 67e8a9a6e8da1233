/* One training run in its folder: what `PROG train` does, without the talking.
 *
 *   RUN/last.safetensors     the state after the last save (rt_checkpoint.h)
 *   RUN/best.safetensors     that which validated best
 *   RUN/log.jsonl            rt_train_log.h
 *   RUN/events.out.…         rt_tensorboard.h
 *
 *     status = train_open(&run, program, &wish, note, context, &err);
 *     while (!status && run.training.iteration < run.training.iterations) {
 *         status = train_step(&run, &err);
 *         if (!status && train_validation_due(&run)) status = train_validate(&run, told, context, &err);
 *         if (!status && train_save_due(&run)) status = train_save(&run, &err);
 *     }
 *     train_close(&run);
 *
 * A step's results depend on the program, the seed, the data and the settings alone, so that a run that was
 * stopped and resumed ends in the same bytes as one that was not.
 */
#ifndef RT_TRAIN_RUN_H
#define RT_TRAIN_RUN_H

#include "rt_checkpoint.h"
#include "rt_evaluation.h"
#include "rt_health.h"
#include "rt_loader.h"
#include "rt_options.h"
#include "rt_parameters.h"
#include "rt_tensorboard.h"
#include "rt_train_log.h"
#include "rt_training.h"

_Static_assert((int)TRAINING_MOST_STREAMS == (int)LOADER_MOST_STREAMS &&
                   (int)TRAINING_MOST_STREAMS == (int)CHECKPOINT_STREAMS,
               "a stream has its place in each");

/* What the command line says; -1, or NULL: nothing. Texts must outlive the run. */
typedef struct TrainWish {
    const char *folder;
    OptionTexts data, settings; /* "STREAM=SPEC" or, for a program of one stream, "SPEC"; "TUNABLE=VALUE" */
    const char *validation, *weights;
    bool resume;
    int64_t seed, iterations;
    int64_t validate_every, save_every, log_every; /* iterations */
    int64_t threads, loader_threads, cache_mib;
} TrainWish;

/* Told of something worth knowing that is no failure. */
typedef void TrainNoteFn(void *context, const char *text);

typedef struct TrainRun {
    const Program *program;
    TrainWish wish;
    TrainNoteFn *note;
    void *context;
    Training training;
    Checkpoint from; /* what is resumed, while opening */
    CheckpointState state;
    char *last_path, *best_path, *log_path, *settings;
    char *texts[2 + CHECKPOINT_STREAMS]; /* taken over from the checkpoint */
    int text_count;
    DataSet sets[TRAINING_MOST_STREAMS];
    Loader *loader;
    TrainLog log;
    Tensorboard board;
    SegrtSession *predicting; /* opened by the first validation */
    Evaluation evaluation;    /* when there is a validation set */
    Health health[TRAINING_MOST_PLAYERS];
    unsigned warned[TRAINING_MOST_PLAYERS]; /* states (bits) that were told already */
    double seconds, waited; /* spent in steps, and of that for the loader, since the last line of the log */
    int64_t steps;          /* since then */
    double images_per_second, wait_share; /* as the log last said */
    bool validated;                       /* at this iteration */
} TrainRun;

/* Opens everything, sets the parameters, makes the folder and its first checkpoint, or takes up the last.
 * Fails with RT_USAGE when streams lack data, names are unknown, or the folder holds a run and resume is not
 * wished; RT_BAD_INPUT when what is to be resumed is damaged or of another program or seed. To be closed
 * after failures too. */
RtStatus train_open(TrainRun *run, const Program *program, const TrainWish *wish, TrainNoteFn *note,
                    void *context, RtError *err);
void train_close(TrainRun *run);

/* One iteration, and its line of the log if one is due. Fails as training_run and loader_next do. */
RtStatus train_step(TrainRun *run, RtError *err);
bool train_log_due(const TrainRun *run);

/* There is a validation set, and this iteration is to be validated and has not been. */
bool train_validation_due(const TrainRun *run);
/* Predicts the validation set with the parameters as they are; saves best.safetensors if the mean IoU is
 * higher than ever. */
RtStatus train_validate(TrainRun *run, EvaluationToldFn *told, void *context, RtError *err);

bool train_save_due(const TrainRun *run);
RtStatus train_save(TrainRun *run, RtError *err);
/* The log's last line: "done", "interrupted", "stopped", "failed: …". */
RtStatus train_end(TrainRun *run, const char *reason, RtError *err);

#endif
