/* `PROG train`: trains the program's players; see rt_train_run.h for what it leaves in its folder. SIGINT and
 * SIGTERM finish the step, save, and end with status 0. */
#include "rt_cpu.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_train_run.h"
#include "rt_verbs.h"

#include <string.h>

enum {
    LOG_EVERY = 10,
    SAVE_EVERY = 500,
    CACHE_MIB = 256,
};

typedef struct TrainVerb {
    const VerbCall *call;
    TrainWish wish;
    int64_t stop_at; /* iterations; 0: not given */
    TrainRun run;
    Progress progress, validating;
} TrainVerb;

static void note(void *context, const char *text)
{
    TrainVerb *verb = context;
    progress_note(&verb->progress, "%s: note: %s", verb->call->command, text);
}

static void told(void *context, const char *image, const char *error)
{
    TrainVerb *verb = context;
    if (error) progress_note(&verb->validating, "error: %s", error);
    if (verb->validating.terminal && image) progress_step(&verb->validating, "validating: %s", image);
}

/* "lr 0.00021  5.1 images/s  loader wait 2 %  ce 0.412  fool 0.69": a narrow terminal cuts the terms. */
static void show_step(TrainVerb *verb)
{
    const Training *training = &verb->run.training;
    char text[1024];
    size_t used =
        (size_t)snprintf(text, sizeof text, "lr %.3g  %.1f images/s  loader wait %.0f %%", training->rates[0],
                         verb->run.images_per_second, 100 * verb->run.wait_share);
    for (int i = 0; i < training->term_count && used < sizeof text - 200; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "  %.100s %.4g", training->terms[i].name,
                                 training->terms[i].value);
    if (verb->progress.terminal || train_log_due(&verb->run))
        progress_set(&verb->progress, training->iteration, "%s", text);
}

static RtStatus validate(TrainVerb *verb, RtError *err)
{
    TrainRun *run = &verb->run;
    progress_start(&verb->validating, stderr, (int64_t)run->evaluation.set.count);
    RtStatus status = train_validate(run, told, verb, err);
    progress_end(&verb->validating);
    if (status) return status;
    int counted;
    double score = metrics_mean_iou(&run->evaluation.metrics, &counted);
    if (!counted) {
        progress_note(&verb->progress, "iteration %lld: no pixel of the validation set is labelled",
                      (long long)run->training.iteration);
        return RT_OK;
    }
    bool is_best = run->state.best_iteration == run->training.iteration;
    progress_note(&verb->progress, "iteration %lld: mIoU %.2f over %d classes%s",
                  (long long)run->training.iteration, 100 * score, counted,
                  is_best ? ", the best so far" : "");
    return RT_OK;
}

static bool is_finished(const TrainVerb *verb)
{
    return verb->run.training.iteration >= verb->run.training.iterations;
}

/* Whether the loop is to end here, for now. */
static bool is_stopped(const TrainVerb *verb)
{
    return verb_interrupted() || (verb->stop_at && verb->run.training.iteration >= verb->stop_at);
}

static RtStatus train_on(TrainVerb *verb, RtError *err)
{
    TrainRun *run = &verb->run;
    RtStatus status = RT_OK;
    progress_start(&verb->progress, stderr, run->training.iterations);
    verb->progress.first = verb->progress.done = run->training.iteration;
    while (!status && !is_finished(verb) && !is_stopped(verb)) {
        status = train_step(run, err);
        if (status) break;
        show_step(verb);
        if (train_validation_due(run)) status = validate(verb, err);
        if (status)
            train_save(run, NULL); /* what could not be compared is not lost */
        else if (train_save_due(run))
            status = train_save(run, err);
    }
    /* A run that is resumed at its end. */
    if (!status && is_finished(verb) && train_validation_due(run)) status = validate(verb, err);
    progress_end(&verb->progress);
    return status;
}

/* ---- ends
 * -------------------------------------------------------------------------------------------------- */

static RtStatus end_failed(TrainVerb *verb, RtStatus status, RtError *err)
{
    char reason[1100];
    snprintf(reason, sizeof reason, "failed: %s", err->text);
    if (verb->run.log.out) train_end(&verb->run, reason, NULL);
    fprintf(stderr, "%s: %s is as of the last save\n", verb->call->command, verb->run.last_path);
    return status;
}

static RtStatus end_stopped(TrainVerb *verb, RtError *err)
{
    RtStatus status = train_save(&verb->run, err);
    if (!status) status = train_end(&verb->run, verb_interrupted() ? "interrupted" : "stopped", err);
    verb_forget_interrupt();
    if (!status)
        printf("stopped after iteration %lld of %lld; to go on: %s train --out %s --resume\n",
               (long long)verb->run.training.iteration, (long long)verb->run.training.iterations,
               verb->call->command, verb->wish.folder);
    return status;
}

static RtStatus end_finished(TrainVerb *verb, RtError *err)
{
    TrainRun *run = &verb->run;
    RtStatus status = train_end(run, "done", err);
    if (status) return status;
    if (!*run->state.validation) {
        printf("done: %s (no --val: nothing was compared)\n", run->last_path);
        return RT_OK;
    }
    status = evaluation_print(&run->evaluation, stdout, err);
    if (!status && run->state.best_iteration)
        printf("best mIoU %.2f, after iteration %lld: %s\n", 100 * run->state.best_score,
               (long long)run->state.best_iteration, run->best_path);
    return status;
}

static RtStatus run_train(TrainVerb *verb, RtError *err)
{
    progress_start(&verb->progress, stderr, 0);
    RtStatus status = train_open(&verb->run, verb->call->program, &verb->wish, note, verb, err);
    if (status) return status;
    verb_catch_interrupts();
    status = train_on(verb, err);
    if (status) return end_failed(verb, status, err);
    return is_finished(verb) ? end_finished(verb, err) : end_stopped(verb, err);
}

/* ---- options
 * ----------------------------------------------------------------------------------------------- */

static RtStatus check_wish(TrainVerb *verb, RtError *err)
{
    TrainWish *wish = &verb->wish;
    const Program *training = verb->call->program->training;
    if (!wish->folder) return rt_fail(err, RT_USAGE, "no folder for the run: add --out RUN");
    if (wish->threads > CPU_MAX_THREADS || wish->loader_threads > LOADER_MOST_THREADS)
        return rt_fail(err, RT_USAGE, "--threads %lld, --loader-threads %lld: at most %d and %d",
                       (long long)wish->threads, (long long)wish->loader_threads, CPU_MAX_THREADS,
                       LOADER_MOST_THREADS);
    if (wish->cache_mib > 1 << 20)
        return rt_fail(err, RT_USAGE, "--cache %lld: at most %d MiB", (long long)wish->cache_mib, 1 << 20);
    if (wish->validate_every < 0 && training) wish->validate_every = training->header->validate_every;
    return RT_OK;
}

static void explain(const VerbCall *call)
{
    verb_explain_data();
    printf("Streams that have labels train on them; of others the pictures are enough.\n");
    if (!call->program->training) return;
    const ProgramHeader *header = call->program->training->header;
    for (uint32_t i = 0; i < header->tunables.count; i++)
        printf("%s%s=%g", i ? "  " : "\nTunables: ", program_text(header, training_tunables(header)[i].name),
               training_tunables(header)[i].value);
    if (header->tunables.count) printf("\n");
}

RtStatus verb_train(VerbCall *call, RtError *err)
{
    TrainVerb *verb = rt_alloc(sizeof *verb);
    if (!verb) return rt_fail(err, RT_MACHINE, "no memory for a run");
    TrainWish *wish = &verb->wish;
    verb->call = call;
    *wish = (TrainWish){.seed = -1,
                        .validate_every = -1,
                        .save_every = SAVE_EVERY,
                        .log_every = LOG_EVERY,
                        .loader_threads = 1,
                        .cache_mib = CACHE_MIB};
    const Option options[] = {
        {"--data", 0, OPTION_TEXTS, &wish->data, "STREAM=SPEC", "what to train on, for each stream", 0},
        {"--val", 0, OPTION_TEXT, &wish->validation, "SPEC", "labelled pictures to validate on", 0},
        {"--out", 'o', OPTION_TEXT, &wish->folder, "RUN", "the run's folder: checkpoints, log", 0},
        {"--resume", 0, OPTION_FLAG, &wish->resume, NULL, "go on with the run in that folder", 0},
        {"--iterations", 0, OPTION_COUNT, &wish->iterations, "N", "steps (as the program says)", 1},
        {"--set", 0, OPTION_TEXTS, &wish->settings, "NAME=VALUE", "give a tunable another value", 0},
        {"--seed", 0, OPTION_COUNT, &wish->seed, "S", "of initial weights, order, augmentation (0)", 0},
        {"--weights", 0, OPTION_TEXT, &wish->weights, "FILE", "begin from these, also of a part only", 0},
        {"--validate-every", 0, OPTION_COUNT, &wish->validate_every, "N", "steps; 0: at the end only", 0},
        {"--save-every", 0, OPTION_COUNT, &wish->save_every, "N", "steps (500), and after validations", 1},
        {"--log-every", 0, OPTION_COUNT, &wish->log_every, "N", "steps (10)", 1},
        {"--stop-at", 0, OPTION_COUNT, &verb->stop_at, "N", "save and end after step N, as if interrupted",
         1},
        {"--threads", 0, OPTION_COUNT, &wish->threads, "T", "to compute (SEGRT_THREADS, or all processors)",
         1},
        {"--loader-threads", 0, OPTION_COUNT, &wish->loader_threads, "T", "to read and vary pictures (1)", 1},
        {"--cache", 0, OPTION_COUNT, &wish->cache_mib, "MIB", "memory for decoded pictures (256)", 0},
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help) explain(call);
    if (!status && !call->help) {
        status = verb_no_operands(call, err);
        if (!status) status = check_wish(verb, err);
        if (!status) status = run_train(verb, err);
        train_close(&verb->run);
    }
    rt_free(verb);
    return status;
}
