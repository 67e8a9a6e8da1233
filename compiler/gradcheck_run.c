/* See gradcheck.h. */
#include "gradcheck.h"

#include "../runtime/rt_parameters.h"
#include "../runtime/rt_program.h"
#include "../runtime/rt_rand.h"

#include <math.h>
#include <string.h>

/* Noise on what begins as a constant: enough to tell channels apart, too little to change a sign. */
static const float CONSTANT_NOISE = 0.2f;
/* One label in so many is ignored. */
enum { IGNORED_SHARE = 8, NOISE_RUNS = 6 };

/* ---- values ----------------------------------------------------------------------------------------------
 */

/* Room for RAND_GROUP more than count: streams are made in groups. */
static float *floats(Arena *arena, int64_t count)
{
    return ARENA_ARRAY(arena, float, count + RAND_GROUP);
}

static void fill_labels(Arena *arena, GradSource *source, RandKey key, int64_t classes, int64_t ignore_index)
{
    int64_t count = program_elements(source->tensor);
    float *unit = floats(arena, count);
    int32_t *labels = source->values;
    rand_uniform(key, 0, (uint64_t)count, 1, unit);
    for (int64_t i = 0; i < count; i++) {
        double share = ((double)unit[i] + 1) / 2 * IGNORED_SHARE;
        double left = share - floor(share);
        labels[i] = (int32_t)(share < 1 ? ignore_index : (int64_t)(left * (double)classes));
    }
}

static void fill_input(GradRun *run, Arena *arena, GradSource *source, const GradLabels *labels, int n_labels,
                       uint64_t seed)
{
    const char *name = program_text(run->header, source->tensor->name);
    RandKey key = rand_key(seed, name);
    int64_t count = program_elements(source->tensor), classes = 2;
    if (source->tensor->dtype == DTYPE_F32) {
        rand_uniform(key, 0, (uint64_t)count, sqrtf(3), source->values); /* of variance 1 */
        return;
    }
    for (int i = 0; i < n_labels; i++)
        if (!strcmp(labels[i].name, name)) classes = labels[i].classes;
    fill_labels(arena, source, key, classes, run->header->ignore_index);
}

static void fill_parameter(GradRun *run, Arena *arena, GradSource *source, uint64_t seed, float *room)
{
    const ProgramTensor *tensor = source->tensor;
    int64_t count = program_elements(tensor);
    float *values = source->values, *noise = floats(arena, count);
    memcpy(values, parameters_dense(run->session, tensor, room), sizeof *values * (size_t)count);
    if (tensor->init != INIT_ZERO && tensor->init != INIT_ONE && tensor->init != INIT_CONSTANT) return;
    RandKey key = rand_key(seed + 1, program_text(run->header, tensor->name));
    rand_uniform(key, 0, (uint64_t)count, CONSTANT_NOISE, noise);
    for (int64_t i = 0; i < count; i++) values[i] += noise[i];
}

static void set_tunables(const GradRun *run)
{
    const ProgramTunable *tunables = PROGRAM_ARRAY(run->header, ProgramTunable, run->header->tunables);
    for (uint32_t i = 0; i < run->header->tunables.count; i++) {
        if (tunables[i].tensor == UINT32_MAX) continue;
        float *value = session_address(run->session, &program_tensors(run->header)[tunables[i].tensor]);
        *value = tunables[i].value != 0 ? (float)tunables[i].value : 1;
    }
}

static void collect_sources(GradRun *run, Arena *arena)
{
    const ProgramTensor *tensors = program_tensors(run->header);
    int64_t most = 1;
    run->sources = ARENA_ARRAY(arena, GradSource, run->header->tensors.count);
    for (uint32_t i = 0; i < run->header->tensors.count; i++) {
        const ProgramTensor *tensor = &tensors[i];
        if (tensor->role != ROLE_INPUT && tensor->role != ROLE_PARAMETER) continue;
        bool changes = tensor->space == SPACE_ARENA || tensor->statistic;
        int64_t count = program_elements(tensor);
        run->sources[run->n_sources++] =
            (GradSource){.tensor = tensor, .values = floats(arena, count), .changes = changes};
        if (count > most) most = count;
    }
    run->room = floats(arena, most);
}

RtStatus grad_run_open(GradRun *run, Arena *arena, const Program *program, const GradLabels *labels,
                       int n_labels, int threads, uint64_t seed, RtError *err)
{
    *run = (GradRun){.header = program->header};
    RtStatus status = segrt_open(program, threads, &run->session, err);
    if (!status) status = segrt_initialize(run->session, seed, err);
    if (status) return status;
    collect_sources(run, arena);
    for (int i = 0; i < run->n_sources; i++) {
        GradSource *source = &run->sources[i];
        if (source->tensor->role == ROLE_INPUT)
            fill_input(run, arena, source, labels, n_labels, seed);
        else
            fill_parameter(run, arena, source, seed, run->room);
    }
    set_tunables(run);
    for (int i = 0; i < run->n_sources; i++)
        if (run->sources[i].tensor->role == ROLE_PARAMETER)
            parameters_put(run->session, run->sources[i].tensor, run->sources[i].values);
    return RT_OK;
}

const GradSource *grad_run_source(const GradRun *run, const char *name)
{
    for (int i = 0; i < run->n_sources; i++)
        if (!strcmp(program_text(run->header, run->sources[i].tensor->name), name)) return &run->sources[i];
    return NULL;
}

/* ---- runs ------------------------------------------------------------------------------------------------
 */

static void put(GradRun *run, const GradSource *source)
{
    const ProgramTensor *tensor = source->tensor;
    const void *values = source->values;
    if (source == run->moved) {
        const float *from = source->values;
        for (int64_t i = 0; i < program_elements(tensor); i++)
            run->room[i] = (float)((double)from[i] + run->distance * (double)run->direction[i]);
        values = run->room;
    }
    if (tensor->role == ROLE_PARAMETER)
        parameters_put(run->session, tensor, values);
    else
        memcpy(session_address(run->session, tensor), values, tensor->bytes);
}

RtStatus grad_run_once(GradRun *run, RtError *err)
{
    for (int i = 0; i < run->n_sources; i++) {
        const GradSource *source = &run->sources[i];
        if (source->changes || source == run->moved) put(run, source);
    }
    session_parameters_set(run->session);
    RtStatus status = segrt_run(run->session, err);
    run->runs++;
    const GradSource *moved = run->moved;
    run->moved = NULL;
    if (moved && !moved->changes) put(run, moved);
    return status;
}

double grad_run_loss(const GradRun *run, int player)
{
    const ProgramPlayer *players = PROGRAM_ARRAY(run->header, ProgramPlayer, run->header->players);
    const float *loss = session_address(run->session, &program_tensors(run->header)[players[player].loss]);
    return (double)*loss;
}

const float *grad_run_output(const GradRun *run, const char *name)
{
    const ProgramTensor *tensor = program_find(run->header, ROLE_OUTPUT, name);
    return tensor ? session_address(run->session, tensor) : NULL;
}

void grad_run_signs(uint64_t seed, const char *name, int64_t count, float *direction)
{
    float size = (float)(1 / sqrt((double)count));
    rand_uniform(rand_key(seed, name), 0, (uint64_t)count, 1, direction);
    for (int64_t i = 0; i < count; i++) direction[i] = direction[i] < 0 ? -size : size;
}

/* ---- noise -----------------------------------------------------------------------------------------------
 */

/* A last bit more or less, or neither. */
static void move_last_bits(const GradSource *source, const float *from, uint64_t seed, float *unit)
{
    int64_t count = program_elements(source->tensor);
    float *values = source->values;
    rand_uniform(rand_key(seed, "noise"), 0, (uint64_t)count, 1.5f, unit);
    for (int64_t i = 0; i < count; i++) values[i] = from[i] + from[i] * 0x1p-23f * roundf(unit[i]);
}

static void add_losses(const GradRun *run, double *sums, double *squares)
{
    for (uint32_t p = 0; p < run->header->players.count; p++) {
        double loss = grad_run_loss(run, (int)p);
        sums[p] += loss;
        squares[p] += loss * loss;
    }
}

static float **keep_pictures(const GradRun *run, Arena *arena)
{
    float **kept = ARENA_ARRAY(arena, float *, run->n_sources);
    for (int i = 0; i < run->n_sources; i++) {
        const GradSource *source = &run->sources[i];
        if (source->tensor->role != ROLE_INPUT || source->tensor->dtype != DTYPE_F32) continue;
        kept[i] = floats(arena, program_elements(source->tensor));
        memcpy(kept[i], source->values, source->tensor->bytes);
    }
    return kept;
}

RtStatus grad_run_noise(GradRun *run, Arena *arena, double *noise, RtError *err)
{
    int n = (int)run->header->players.count;
    double *sums = ARENA_ARRAY(arena, double, n), *squares = ARENA_ARRAY(arena, double, n);
    float **kept = keep_pictures(run, arena);
    RtStatus status = RT_OK;
    for (uint64_t k = 0; k < NOISE_RUNS && !status; k++) {
        for (int i = 0; i < run->n_sources; i++)
            if (kept[i]) move_last_bits(&run->sources[i], kept[i], k, run->room);
        status = grad_run_once(run, err);
        add_losses(run, sums, squares);
    }
    for (int i = 0; i < run->n_sources; i++)
        if (kept[i]) memcpy(run->sources[i].values, kept[i], run->sources[i].tensor->bytes);
    for (int p = 0; p < n; p++) {
        double mean = sums[p] / NOISE_RUNS, variance = squares[p] / NOISE_RUNS - mean * mean;
        noise[p] = sqrt(fmax(0, variance)) + fabs(mean) * 0x1p-24;
    }
    return status;
}
