/* See rt_training.h. */
#include "rt_training.h"

#include "rt_blocked.h"
#include "rt_options.h"
#include "rt_parameters.h"
#include "rt_pool.h"
#include "rt_program.h"
#include "rt_schedule.h"
#include "rt_session.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQUARES ".exp_avg_sq" /* what autodiff.c calls Adam's second state */

const ProgramPlayer *training_players(const ProgramHeader *header)
{
    return PROGRAM_ARRAY(header, ProgramPlayer, header->players);
}

const ProgramTunable *training_tunables(const ProgramHeader *header)
{
    return PROGRAM_ARRAY(header, ProgramTunable, header->tunables);
}

/* ---- opening
 * ----------------------------------------------------------------------------------------------- */

static TrainingStream *stream_of(Training *training, const char *name, size_t length)
{
    for (int i = 0; i < training->stream_count; i++) {
        TrainingStream *stream = &training->streams[i];
        if (!strncmp(stream->name, name, length) && !stream->name[length]) return stream;
    }
    if (training->stream_count == TRAINING_MOST_STREAMS || length >= sizeof training->streams[0].name)
        return NULL;
    TrainingStream *stream = &training->streams[training->stream_count++];
    memcpy(stream->name, name, length);
    return stream;
}

static RtStatus add_input(Training *training, const ProgramTensor *tensor, RtError *err)
{
    const char *name = program_text(training->header, tensor->name), *dot = strrchr(name, '.');
    TrainingStream *stream = dot ? stream_of(training, name, (size_t)(dot - name)) : NULL;
    bool is_image = dot && !strcmp(dot, ".image") && tensor->dtype == DTYPE_F32 && tensor->rank == 4;
    bool is_label = dot && !strcmp(dot, ".label") && tensor->dtype == DTYPE_I32 && tensor->rank == 3;
    if (!stream || (!is_image && !is_label)) {
        char shape[PROGRAM_SHAPE_TEXT];
        return rt_fail(err, RT_BUG, "%s: its input %s, %s, is neither pictures nor labels of a stream",
                       program_text(training->header, training->header->name), name,
                       program_shape(tensor, shape));
    }
    *(is_image ? &stream->image : &stream->label) = tensor;
    return RT_OK;
}

static RtStatus add_term(Training *training, const ProgramTensor *tensor, RtError *err)
{
    if (training->term_count == TRAINING_MOST_TERMS)
        return rt_fail(err, RT_BUG, "a program of more than %d loss terms", TRAINING_MOST_TERMS);
    training->terms[training->term_count++] =
        (TrainingTerm){.name = program_text(training->header, tensor->name), .tensor = tensor};
    return RT_OK;
}

static RtStatus find_tensors(Training *training, RtError *err)
{
    const ProgramHeader *header = training->header;
    RtStatus status = RT_OK;
    for (uint32_t i = 0; i < header->tensors.count && !status; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role == ROLE_INPUT) status = add_input(training, tensor, err);
        if (tensor->role == ROLE_OUTPUT && tensor->rank == 0) status = add_term(training, tensor, err);
    }
    for (int i = 0; i < training->stream_count && !status; i++) {
        if (!training->streams[i].image)
            status = rt_fail(err, RT_BUG, "stream %s has labels, but no pictures", training->streams[i].name);
    }
    return status;
}

/* Whether one of Adam's states has the squares of this parameter's gradients. */
static bool has_squares(const ProgramHeader *header, const char *parameter)
{
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        if (program_tensors(header)[i].role != ROLE_STATE) continue;
        const char *name = program_text(header, program_tensors(header)[i].name);
        const char *own = strstr(name, parameter);
        if (own > name && own[-1] == '.' && !strcmp(own + strlen(parameter), SQUARES)) return true;
    }
    return false;
}

/* A gradient that is not finite, or whose square is not, stays in the mean of squares that Adam keeps; other
 * optimisers take it to the parameter itself. */
static RtStatus find_watched(Training *training, RtError *err)
{
    const ProgramHeader *header = training->header;
    training->watched = rt_alloc((header->tensors.count + 1) * sizeof *training->watched);
    if (!training->watched) return rt_fail(err, RT_MACHINE, "no memory for a list of parameters");
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        const char *name = program_text(header, tensor->name), *end = strrchr(name, '.');
        if (tensor->role == ROLE_STATE ? !end || strcmp(end, SQUARES) != 0
                                       : tensor->role != ROLE_PARAMETER || has_squares(header, name))
            continue;
        training->watched[training->watched_count++] = tensor;
    }
    return RT_OK;
}

RtStatus training_open(Training *training, const Program *program, int threads, RtError *err)
{
    *training = (Training){0};
    const char *name = program_text(program->header, program->header->name);
    if (!program->training)
        return rt_fail(err, RT_USAGE,
                       "%s has no players, so there is nothing to train: build a program with 'players'",
                       name);
    const ProgramHeader *header = program->training->header;
    if (header->players.count > TRAINING_MOST_PLAYERS || header->tunables.count > TRAINING_MOST_TUNABLES)
        return rt_fail(err, RT_BUG, "%s: more than %d players or %d tunables", name, TRAINING_MOST_PLAYERS,
                       TRAINING_MOST_TUNABLES);
    training->header = header;
    training->iterations = header->iterations;
    training->accumulate = header->accumulate > 1 ? header->accumulate : 1;
    training->player_count = (int)header->players.count;
    training->tunable_count = (int)header->tunables.count;
    for (int i = 0; i < training->tunable_count; i++)
        training->tunables[i] = training_tunables(header)[i].value;
    RtStatus status = find_tensors(training, err);
    if (!status) status = find_watched(training, err);
    return status ? status : segrt_open(program->training, threads, &training->session, err);
}

void training_close(Training *training)
{
    segrt_close(training->session);
    rt_free(training->watched);
    training->session = NULL;
    training->watched = NULL;
}

/* ---- tunables
 * ---------------------------------------------------------------------------------------------- */

static RtStatus no_tunable(const Training *training, const char *name, RtError *err)
{
    const char *names[TRAINING_MOST_TUNABLES + 1] = {0};
    for (int i = 0; i < training->tunable_count; i++)
        names[i] = program_text(training->header, training_tunables(training->header)[i].name);
    const char *nearest = options_nearest(name, names);
    if (!training->tunable_count)
        return rt_fail(err, RT_USAGE, "--set %s: the program has no tunables", name);
    if (nearest) return rt_fail(err, RT_USAGE, "--set %s: no such tunable (did you mean %s?)", name, nearest);
    return rt_fail(err, RT_USAGE, "--set %s: no such tunable (`info` lists them; %s is the first)", name,
                   names[0]);
}

RtStatus training_set_tunable(Training *training, const char *assignment, RtError *err)
{
    char name[128], *end;
    const size_t length = strcspn(assignment, "=");
    if (!assignment[length] || !length || length >= sizeof name)
        return rt_fail(err, RT_USAGE, "--set %s: expected NAME=VALUE", assignment);
    memcpy(name, assignment, length);
    name[length] = 0;
    for (int i = 0; i < training->tunable_count; i++) {
        const ProgramTunable *tunable = &training_tunables(training->header)[i];
        if (strcmp(program_text(training->header, tunable->name), name)) continue;
        double value = strtod(assignment + length + 1, &end);
        if (end == assignment + length + 1 || *end || !isfinite((float)value))
            return rt_fail(err, RT_USAGE, "--set %s: '%s' is no finite number", name,
                           assignment + length + 1);
        training->tunables[i] = value;
        return RT_OK;
    }
    return no_tunable(training, name, err);
}

/* ---- running
 * ----------------------------------------------------------------------------------------------- */

void training_fill(Training *training, const float *const *images, const int32_t *const *labels)
{
    for (int i = 0; i < training->stream_count; i++) {
        const TrainingStream *stream = &training->streams[i];
        memcpy(session_address(training->session, stream->image), images[i], stream->image->bytes);
        if (stream->label)
            memcpy(session_address(training->session, stream->label), labels[i], stream->label->bytes);
    }
}

static void set_hypers(Training *training, int64_t micro)
{
    for (int i = 0; i < training->player_count; i++) {
        const ProgramPlayer *player = &training_players(training->header)[i];
        const ProgramTensor *tensor = &program_tensors(training->header)[player->hyper];
        float *hypers = session_address(training->session, tensor);
        schedule_hypers(player, training->iteration, training->iterations, micro, hypers);
        training->rates[i] = (double)hypers[HYPER_LR];
    }
    for (int i = 0; i < training->tunable_count; i++) {
        const ProgramTunable *tunable = &training_tunables(training->header)[i];
        const ProgramTensor *tensor = &program_tensors(training->header)[tunable->tensor];
        *(float *)session_address(training->session, tensor) =
            schedule_tunable(tunable, training->tunables[i], training->iteration);
    }
}

static bool is_finite(const float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

/* In the program's order; NULL: all are finite, or there is no memory to look. */
static const ProgramTensor *first_not_finite(const Training *training)
{
    const ProgramTensor *first = NULL;
    float *room;
    if (parameters_room(training->header, &room, NULL)) return NULL;
    for (uint32_t i = 0; i < training->header->tensors.count && !first; i++) {
        const ProgramTensor *tensor = &program_tensors(training->header)[i];
        if (tensor->role != ROLE_PARAMETER && tensor->role != ROLE_STATE) continue;
        if (!is_finite(parameters_dense(training->session, tensor, room), program_elements(tensor)))
            first = tensor;
    }
    rt_free(room);
    return first;
}

static RtStatus not_finite(const Training *training, const TrainingTerm *term, float value, RtError *err)
{
    const ProgramTensor *tensor = first_not_finite(training);
    char cause[300] = "all parameters and states are finite";
    if (tensor)
        snprintf(cause, sizeof cause, "the first parameter or state that is not finite is %.200s",
                 program_text(training->header, tensor->name));
    return rt_fail(err, RT_BAD_INPUT, "iteration %lld: the loss term %s is %f; after that step %s",
                   (long long)training->iteration + 1, term->name, (double)value, cause);
}

RtStatus training_check(const Training *training, RtError *err)
{
    const ProgramTensor *tensor = first_not_finite(training);
    if (!tensor) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT,
                   "after iteration %lld all loss terms are finite, but the parameter or state %.200s is not",
                   (long long)training->iteration, program_text(training->header, tensor->name));
}

static RtStatus add_terms(Training *training, int64_t micro, RtError *err)
{
    for (int i = 0; i < training->term_count; i++) {
        TrainingTerm *term = &training->terms[i];
        float value = *(const float *)session_address(training->session, term->tensor);
        if (!isfinite(value)) return not_finite(training, term, value, err);
        term->value = (micro ? term->value : 0) + (double)value / (double)training->accumulate;
    }
    return RT_OK;
}

typedef struct Look {
    const Training *training;
    atomic_bool found;
} Look;

/* As they lie in memory, spare lanes of blocks too: what is found is looked at once more, as dense tensors.
 */
static void look_at(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    Look *look = context;
    for (int64_t i = begin; i < end; i++) {
        const ProgramTensor *tensor = look->training->watched[i];
        const float *values = session_address(look->training->session, tensor);
        int64_t count = blocked_elements(tensor);
        uint32_t high = 0; /* bit 31: an exponent of ones overflowed */
        for (int64_t k = 0; k < count; k++) {
            uint32_t bits;
            memcpy(&bits, &values[k], sizeof bits);
            high |= (bits & 0x7f800000U) + 0x00800000U;
        }
        if (high >> 31) atomic_store(&look->found, true);
    }
}

static RtStatus check_steps(Training *training, RtError *err)
{
    Look look = {.training = training};
    pool_run(session_pool(training->session), training->watched_count, look_at, &look);
    return atomic_load(&look.found) ? training_check(training, err) : RT_OK;
}

RtStatus training_run(Training *training, int64_t micro, double *seconds, RtError *err)
{
    bool is_last = micro + 1 == training->accumulate, steps[TRAINING_MOST_PLAYERS];
    set_hypers(training, micro);
    for (int i = 0; i < training->player_count; i++)
        steps[i] = is_last && training->iteration >= training_players(training->header)[i].from;
    RtStatus status = session_train(training->session, steps, seconds, err);
    if (!status) status = add_terms(training, micro, err);
    if (!status && is_last) training->iteration++;
    if (!status && is_last) status = check_steps(training, err);
    return status;
}

RtStatus training_forward(Training *training, RtError *err)
{
    set_hypers(training, 0);
    return session_train(training->session, NULL, NULL, err);
}
