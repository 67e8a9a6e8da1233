/* A training run's steps, validations and saves; opening is in rt_train_open.c. See rt_train_run.h. */
#include "rt_train_run.h"

#include "rt_program.h"
#include "rt_session.h"

#include <math.h>
#include <stdio.h>

/* ---- the log
 * ----------------------------------------------------------------------------------------------- */

bool train_log_due(const TrainRun *run)
{
    int64_t iteration = run->training.iteration;
    return iteration % run->wish.log_every == 0 || iteration == run->training.iterations;
}

static void log_step(TrainRun *run)
{
    const Training *training = &run->training;
    const ProgramHeader *header = training->header;
    JsonOut *json = &run->log.json;
    train_log_begin(&run->log, "step", training->iteration);
    json_out_open(json, "terms", '{');
    for (int i = 0; i < training->term_count; i++)
        json_out_number(json, training->terms[i].name, training->terms[i].value);
    json_out_close(json);
    json_out_open(json, "lr", '{');
    for (int i = 0; i < training->player_count; i++)
        json_out_number(json, program_text(header, training_players(header)[i].name), training->rates[i]);
    json_out_close(json);
    json_out_open(json, "tunables", '{');
    for (int i = 0; i < training->tunable_count; i++) {
        const ProgramTunable *tunable = &training_tunables(header)[i];
        bool begun = training->iteration > tunable->from;
        json_out_number(json, program_text(header, tunable->name), begun ? training->tunables[i] : 0);
    }
    json_out_close(json);
    json_out_number(json, "seconds", run->seconds);
    json_out_number(json, "images_per_second", run->images_per_second);
    json_out_number(json, "loader_wait", run->wait_share);
}

static RtStatus draw_step(TrainRun *run, RtError *err)
{
    const Training *training = &run->training;
    const ProgramHeader *header = training->header;
    RtStatus status = RT_OK;
    char tag[300];
    for (int i = 0; i < training->term_count && !status; i++) {
        snprintf(tag, sizeof tag, "terms/%s", training->terms[i].name);
        status =
            tensorboard_scalar(&run->board, tag, training->iteration, (float)training->terms[i].value, err);
    }
    for (int i = 0; i < training->player_count && !status; i++) {
        snprintf(tag, sizeof tag, "lr/%s", program_text(header, training_players(header)[i].name));
        status = tensorboard_scalar(&run->board, tag, training->iteration, (float)training->rates[i], err);
    }
    if (!status)
        status = tensorboard_scalar(&run->board, "speed/images_per_second", training->iteration,
                                    (float)run->images_per_second, err);
    return status;
}

static RtStatus note_step(TrainRun *run, RtError *err)
{
    const Training *training = &run->training;
    double images = (double)(training->header->batch * training->stream_count * training->accumulate);
    run->images_per_second = run->seconds > 0 ? images * (double)run->steps / run->seconds : 0;
    run->wait_share = run->seconds > 0 ? run->waited / run->seconds : 0;
    log_step(run);
    RtStatus status = train_log_end(&run->log, err);
    if (!status) status = draw_step(run, err);
    run->seconds = run->waited = 0;
    run->steps = 0;
    return status;
}

/* ---- discriminators
 * ---------------------------------------------------------------------------------------- */

static double loss_of(const Training *training, const ProgramPlayer *player)
{
    const ProgramTensor *loss = &program_tensors(training->header)[player->loss];
    for (int i = 0; i < training->term_count; i++) {
        if (training->terms[i].tensor == loss) return training->terms[i].value;
    }
    return NAN;
}

/* Each time in the log, once to the caller. */
static RtStatus warn(TrainRun *run, int index, HealthState state, RtError *err)
{
    const ProgramPlayer *player = &training_players(run->training.header)[index];
    char text[400];
    snprintf(text, sizeof text, "player %.100s is %s", program_text(run->training.header, player->name),
             health_text(state));
    if (!(run->warned[index] & 1u << state)) run->note(run->context, text);
    run->warned[index] |= 1u << state;
    train_log_begin(&run->log, "warning", run->training.iteration);
    json_out_text(&run->log.json, "text", text);
    return train_log_end(&run->log, err);
}

/* The first player is the one that the others serve. */
static RtStatus watch_health(TrainRun *run, RtError *err)
{
    const Training *training = &run->training;
    RtStatus status = RT_OK;
    for (int i = 1; i < training->player_count && !status; i++) {
        const ProgramPlayer *player = &training_players(training->header)[i];
        if (training->iteration <= player->from) continue;
        HealthState state = health_note(&run->health[i], loss_of(training, player));
        if (state != HEALTH_WELL) status = warn(run, i, state, err);
    }
    return status;
}

/* ---- steps
 * ------------------------------------------------------------------------------------------------- */

static RtStatus step(TrainRun *run, RtError *err)
{
    RtStatus status = RT_OK;
    for (int64_t micro = 0; micro < run->training.accumulate && !status; micro++) {
        LoaderBatch batch;
        status = loader_next(run->loader, &batch, err);
        if (status) break;
        run->waited += batch.waited;
        training_fill(&run->training, batch.images, batch.labels);
        status = training_run(&run->training, micro, NULL, err);
    }
    return status;
}

RtStatus train_step(TrainRun *run, RtError *err)
{
    double start = session_clock();
    RtStatus status = step(run, err);
    run->seconds += session_clock() - start;
    run->steps++;
    run->validated = false;
    if (!status) status = watch_health(run, err);
    if (!status && train_log_due(run)) status = note_step(run, err);
    return status;
}

/* ---- validation
 * -------------------------------------------------------------------------------------------- */

bool train_validation_due(const TrainRun *run)
{
    int64_t iteration = run->training.iteration, every = run->wish.validate_every;
    bool at_end = iteration == run->training.iterations;
    return *run->state.validation && !run->validated && (at_end || (every > 0 && iteration % every == 0));
}

static RtStatus log_validation(TrainRun *run, double score, int counted, bool is_best, RtError *err)
{
    const Evaluation *eval = &run->evaluation;
    JsonOut *json = &run->log.json;
    train_log_begin(&run->log, "validation", run->training.iteration);
    json_out_number(json, "miou", score);
    json_out_integer(json, "classes_counted", counted);
    json_out_number(json, "pixel_accuracy", metrics_accuracy(&eval->metrics));
    json_out_bool(json, "best", is_best);
    json_out_open(json, "iou", '{');
    for (int c = 0; c < eval->metrics.classes; c++) {
        char room[40];
        double iou;
        if (!evaluation_lists(eval, c)) continue;
        const char *name = evaluation_class_name(eval, c, room, sizeof room);
        json_out_number(json, name, metrics_iou(&eval->metrics, c, &iou) ? iou : NAN);
    }
    json_out_close(json);
    json_out_number(json, "seconds_per_image", eval->seconds_per_image);
    return train_log_end(&run->log, err);
}

static RtStatus draw_validation(TrainRun *run, double score, RtError *err)
{
    const Evaluation *eval = &run->evaluation;
    int64_t iteration = run->training.iteration;
    RtStatus status = tensorboard_scalar(&run->board, "validation/miou", iteration, (float)score, err);
    for (int c = 0; c < eval->metrics.classes && !status; c++) {
        char room[40], tag[300];
        double iou;
        if (!evaluation_lists(eval, c) || !metrics_iou(&eval->metrics, c, &iou)) continue;
        snprintf(tag, sizeof tag, "iou/%s", evaluation_class_name(eval, c, room, sizeof room));
        status = tensorboard_scalar(&run->board, tag, iteration, (float)iou, err);
    }
    return status;
}

static CheckpointState state_now(const TrainRun *run)
{
    CheckpointState state = run->state;
    state.iteration = run->training.iteration;
    state.iterations = run->training.iterations;
    state.stream_count = run->training.stream_count;
    for (int i = 0; i < state.stream_count; i++) {
        state.streams[i].name = run->training.streams[i].name;
        state.streams[i].position = loader_position(run->loader, i);
    }
    return state;
}

static RtStatus save_as(TrainRun *run, const char *path, RtError *err)
{
    CheckpointState state = state_now(run);
    RtStatus status = training_check(&run->training, err);
    if (status) return status;
    return checkpoint_save(path, run->training.session, run->program->header, &state, err);
}

RtStatus train_validate(TrainRun *run, EvaluationToldFn *told, void *context, RtError *err)
{
    RtStatus status = training_check(&run->training, err);
    if (!status && !run->predicting)
        status = segrt_open(run->program, (int)run->wish.threads, &run->predicting, err);
    if (!status) status = parameters_copy(run->training.session, run->predicting, err);
    if (!status) status = evaluation_run(&run->evaluation, run->predicting, told, context, err);
    if (status) return status;
    int counted;
    double score = metrics_mean_iou(&run->evaluation.metrics, &counted);
    bool is_best = counted && (!run->state.best_iteration || score > run->state.best_score);
    if (is_best) {
        run->state.best_score = score;
        run->state.best_iteration = run->training.iteration;
        status = save_as(run, run->best_path, err);
    }
    if (!status) status = log_validation(run, score, counted, is_best, err);
    if (!status) status = draw_validation(run, score, err);
    run->validated = true;
    return status;
}

/* ---- saving
 * ------------------------------------------------------------------------------------------------ */

bool train_save_due(const TrainRun *run)
{
    int64_t iteration = run->training.iteration;
    return run->validated || iteration == run->training.iterations || iteration % run->wish.save_every == 0;
}

RtStatus train_save(TrainRun *run, RtError *err)
{
    return save_as(run, run->last_path, err);
}

RtStatus train_end(TrainRun *run, const char *reason, RtError *err)
{
    train_log_begin(&run->log, "end", run->training.iteration);
    json_out_text(&run->log.json, "reason", reason);
    json_out_integer(&run->log.json, "best_iteration", run->state.best_iteration);
    if (run->state.best_iteration) json_out_number(&run->log.json, "best_miou", run->state.best_score);
    json_out_integer(&run->log.json, "peak_bytes", (int64_t)segrt_memory(run->training.session).resident);
    return train_log_end(&run->log, err);
}
