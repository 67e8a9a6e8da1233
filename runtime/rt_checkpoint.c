/* See rt_checkpoint.h. Tensors are brought into their dense form one by one, twice: for the checksum, which
 * the header holds, and for the file. That is cheaper than memory for all of them. */
#include "rt_checkpoint.h"

#include "rt_parameters.h"
#include "rt_program.h"
#include "rt_session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define KEY_CHECKSUM "segc.crc32"
#define KEY_FORMAT   "segc.checkpoint"
#define FORMAT       "1"

enum {
    MOST_TEXTS = 16 + 3 * CHECKPOINT_STREAMS,
    NUMBER = 40, /* bytes of a number's text */
};

static bool is_kept(const ProgramTensor *tensor)
{
    return tensor->role == ROLE_PARAMETER || tensor->role == ROLE_STATE;
}

uint64_t checkpoint_fingerprint(const ProgramHeader *header)
{
    return crc32_z(0, (const unsigned char *)header, header->image_bytes);
}

/* ---- checksum
 * ---------------------------------------------------------------------------------------------- */

static unsigned long add_text(unsigned long sum, const char *text)
{
    return crc32_z(sum, (const unsigned char *)text, strlen(text) + 1);
}

static unsigned long add_tensor(unsigned long sum, const char *name, const int64_t *dims, int rank,
                                const void *data, size_t bytes)
{
    sum = add_text(sum, name);
    sum = crc32_z(sum, (const unsigned char *)dims, (size_t)rank * sizeof *dims);
    return crc32_z(sum, data, bytes);
}

static unsigned long add_metadata(unsigned long sum, const WeightsText *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(texts[i].key, KEY_CHECKSUM)) continue;
        sum = add_text(add_text(sum, texts[i].key), texts[i].value);
    }
    return sum;
}

/* ---- saving
 * ------------------------------------------------------------------------------------------------ */

typedef struct Saving {
    const SegrtSession *session;
    const ProgramHeader *header;
    size_t count;
    WeightsPart *parts;
    const ProgramTensor **tensors;
    float *room;
    char *outside; /* names, a line each */
    size_t text_count;
    WeightsText texts[MOST_TEXTS];
    char keys[3 * CHECKPOINT_STREAMS][NUMBER], numbers[8 + CHECKPOINT_STREAMS][NUMBER];
    int keys_used, numbers_used;
} Saving;

static void put(Saving *saving, const char *key, const char *value)
{
    saving->texts[saving->text_count++] = (WeightsText){key, value};
}

__attribute__((format(printf, 3, 4))) static void put_number(Saving *saving, const char *key,
                                                             const char *format, ...)
{
    char *text = saving->numbers[saving->numbers_used++];
    va_list args;
    va_start(args, format);
    vsnprintf(text, NUMBER, format, args);
    va_end(args);
    put(saving, key, text);
}

static const char *stream_key(Saving *saving, int stream, const char *what)
{
    char *key = saving->keys[saving->keys_used++];
    snprintf(key, NUMBER, "segc.stream.%d.%s", stream, what);
    return key;
}

static void put_state(Saving *saving, const CheckpointState *state)
{
    put(saving, KEY_FORMAT, FORMAT);
    put(saving, "segc.program", program_text(saving->header, saving->header->name));
    put_number(saving, "segc.fingerprint", "%" PRIu64, checkpoint_fingerprint(saving->header));
    put_number(saving, "segc.seed", "%" PRIu64, state->seed);
    put_number(saving, "segc.iteration", "%" PRId64, state->iteration);
    put_number(saving, "segc.iterations", "%" PRId64, state->iterations);
    put_number(saving, "segc.best_iteration", "%" PRId64, state->best_iteration);
    put_number(saving, "segc.best_score", "%a", state->best_score);
    put(saving, "segc.settings", state->settings);
    put(saving, "segc.validation", state->validation);
    for (int i = 0; i < state->stream_count; i++) {
        put(saving, stream_key(saving, i, "name"), state->streams[i].name);
        put(saving, stream_key(saving, i, "data"), state->streams[i].data);
        put_number(saving, stream_key(saving, i, "position"), "%" PRIu64, state->streams[i].position);
    }
    put(saving, WEIGHTS_OUTSIDE_KEY, saving->outside);
}

/* No weight of the program that predicts. */
static bool is_outside(const ProgramHeader *predicting, const ProgramTensor *tensor, const char *name)
{
    return tensor->role == ROLE_STATE ||
           (!program_find(predicting, ROLE_PARAMETER, name) && !program_find(predicting, ROLE_UNUSED, name));
}

static void list_tensors(Saving *saving, const ProgramHeader *predicting)
{
    const ProgramHeader *header = saving->header;
    char *to = saving->outside;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        const char *name = program_text(header, tensor->name);
        if (!is_kept(tensor)) continue;
        saving->tensors[saving->count] = tensor;
        saving->parts[saving->count++] =
            (WeightsPart){.name = name, .dtype = WEIGHT_F32, .rank = tensor->rank, .dims = tensor->dims};
        if (is_outside(predicting, tensor, name)) to += sprintf(to, "%s\n", name);
    }
    if (to != saving->outside) to[-1] = 0;
}

static RtStatus saving_open(Saving *saving, RtError *err)
{
    const ProgramHeader *header = saving->header;
    size_t most = header->tensors.count, names = 1;
    for (uint32_t i = 0; i < most; i++) names += program_tensors(header)[i].name.count + 1;
    saving->parts = rt_alloc(most * sizeof *saving->parts);
    saving->tensors = rt_alloc(most * sizeof *saving->tensors);
    saving->outside = rt_alloc(names);
    if (!saving->parts || !saving->tensors || !saving->outside)
        return rt_fail(err, RT_MACHINE, "no memory for a list of %zu tensors", most);
    return parameters_room(header, &saving->room, err);
}

static void saving_close(Saving *saving)
{
    rt_free(saving->parts);
    rt_free(saving->tensors);
    rt_free(saving->outside);
    rt_free(saving->room);
    rt_free(saving);
}

static const void *dense(void *context, size_t index)
{
    const Saving *saving = context;
    return parameters_dense(saving->session, saving->tensors[index], saving->room);
}

static unsigned long checksum(Saving *saving)
{
    unsigned long sum = add_metadata(0, saving->texts, saving->text_count);
    for (size_t i = 0; i < saving->count; i++) {
        const WeightsPart *part = &saving->parts[i];
        size_t bytes = (size_t)program_elements(saving->tensors[i]) * sizeof(float);
        sum = add_tensor(sum, part->name, part->dims, part->rank, dense(saving, i), bytes);
    }
    return sum;
}

RtStatus checkpoint_save(const char *path, const SegrtSession *session, const ProgramHeader *predicting,
                         const CheckpointState *state, RtError *err)
{
    Saving *saving = rt_alloc(sizeof *saving);
    if (!saving) return rt_fail(err, RT_MACHINE, "%s: no memory to write it", path);
    saving->session = session;
    saving->header = session_program(session);
    RtStatus status = saving_open(saving, err);
    if (!status) {
        list_tensors(saving, predicting);
        put_state(saving, state);
        put_number(saving, KEY_CHECKSUM, "%08lx", checksum(saving));
        status = weights_write_from(path, saving->parts, saving->count, saving->texts, saving->text_count,
                                    dense, saving, err);
    }
    saving_close(saving);
    return status;
}

/* ---- opening
 * ----------------------------------------------------------------------------------------------- */

static RtStatus damaged(const Checkpoint *checkpoint, const char *what, RtError *err)
{
    return rt_fail(err, RT_BAD_INPUT, "%s: this checkpoint is damaged: %s", checkpoint->file->path, what);
}

static RtStatus check_sum(const Checkpoint *checkpoint, RtError *err)
{
    const WeightsFile *file = checkpoint->file;
    const char *said = weights_metadata(file, KEY_CHECKSUM);
    unsigned long sum = add_metadata(0, file->metadata, file->metadata_count);
    for (size_t i = 0; i < file->count; i++) {
        const WeightTensor *tensor = &file->tensors[i];
        size_t bytes = (size_t)tensor->count * weights_dtype_size(tensor->dtype);
        sum = add_tensor(sum, tensor->name, tensor->dims, tensor->rank, tensor->data, bytes);
    }
    char text[NUMBER];
    snprintf(text, sizeof text, "%08lx", sum);
    if (said && !strcmp(said, text)) return RT_OK;
    return damaged(checkpoint, "its content does not fit its checksum", err);
}

static const char *text_of(const Checkpoint *checkpoint, const char *key, bool *good)
{
    const char *text = weights_metadata(checkpoint->file, key);
    if (!text) *good = false;
    return text ? text : "";
}

static uint64_t number_of(const Checkpoint *checkpoint, const char *key, bool *good)
{
    char *end;
    const char *text = text_of(checkpoint, key, good);
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || *end || errno) *good = false;
    return value;
}

static void read_streams(Checkpoint *checkpoint, bool *good)
{
    CheckpointState *state = &checkpoint->state;
    for (int i = 0; i < CHECKPOINT_STREAMS; i++) {
        char name[NUMBER], data[NUMBER], position[NUMBER];
        snprintf(name, sizeof name, "segc.stream.%d.name", i);
        snprintf(data, sizeof data, "segc.stream.%d.data", i);
        snprintf(position, sizeof position, "segc.stream.%d.position", i);
        if (!weights_metadata(checkpoint->file, name)) return;
        state->streams[state->stream_count++] = (struct CheckpointStream){
            .name = text_of(checkpoint, name, good),
            .data = text_of(checkpoint, data, good),
            .position = number_of(checkpoint, position, good),
        };
    }
}

static RtStatus read_state(Checkpoint *checkpoint, RtError *err)
{
    bool good = true;
    char *end;
    CheckpointState *state = &checkpoint->state;
    checkpoint->program = text_of(checkpoint, "segc.program", &good);
    checkpoint->fingerprint = number_of(checkpoint, "segc.fingerprint", &good);
    state->seed = number_of(checkpoint, "segc.seed", &good);
    state->iteration = (int64_t)number_of(checkpoint, "segc.iteration", &good);
    state->iterations = (int64_t)number_of(checkpoint, "segc.iterations", &good);
    state->best_iteration = (int64_t)number_of(checkpoint, "segc.best_iteration", &good);
    state->settings = text_of(checkpoint, "segc.settings", &good);
    state->validation = text_of(checkpoint, "segc.validation", &good);
    const char *score = text_of(checkpoint, "segc.best_score", &good);
    state->best_score = strtod(score, &end);
    if (end == score || *end) good = false;
    read_streams(checkpoint, &good);
    return good ? RT_OK : damaged(checkpoint, "its metadata lacks something", err);
}

static RtStatus check_format(const Checkpoint *checkpoint, RtError *err)
{
    const char *format = weights_metadata(checkpoint->file, KEY_FORMAT), *path = checkpoint->file->path;
    if (!format)
        return rt_fail(err, RT_BAD_INPUT,
                       "%s: these are weights, but no checkpoint that training could go on from", path);
    if (!strcmp(format, FORMAT)) return RT_OK;
    return rt_fail(err, RT_BAD_INPUT, "%s: a checkpoint of format '%.20s'; this program reads format %s",
                   path, format, FORMAT);
}

RtStatus checkpoint_open(const char *path, Checkpoint *checkpoint, RtError *err)
{
    *checkpoint = (Checkpoint){0};
    RtStatus status = weights_open(path, &checkpoint->file, err);
    if (!status) status = check_format(checkpoint, err);
    if (!status) status = check_sum(checkpoint, err);
    if (!status) status = read_state(checkpoint, err);
    if (status) checkpoint_close(checkpoint);
    return status;
}

void checkpoint_close(Checkpoint *checkpoint)
{
    weights_close(checkpoint->file);
    *checkpoint = (Checkpoint){0};
}

/* ---- going on from it
 * -------------------------------------------------------------------------------------- */

static bool same_shape(const WeightTensor *stored, const ProgramTensor *tensor)
{
    return stored->rank == tensor->rank &&
           !memcmp(stored->dims, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
}

static RtStatus restore(const Checkpoint *checkpoint, SegrtSession *session, const ProgramTensor *tensor,
                        float *room, RtError *err)
{
    const WeightsFile *file = checkpoint->file;
    const char *name = program_text(session_program(session), tensor->name);
    size_t found = weights_find(file, name);
    if (found == WEIGHTS_NONE)
        return rt_fail(err, RT_BAD_INPUT, "%s: it is of another program: it lacks %s", file->path, name);
    if (!same_shape(&file->tensors[found], tensor))
        return rt_fail(err, RT_BAD_INPUT, "%s: it is of another program: its %s has another shape",
                       file->path, name);
    float *values = session_address(session, tensor), *to = tensor->block > 1 ? room : values;
    RtStatus status = weights_read_f32(file, found, to, err);
    if (!status && to == room) parameters_put(session, tensor, room);
    return status;
}

RtStatus checkpoint_restore(const Checkpoint *checkpoint, SegrtSession *session, RtError *err)
{
    const ProgramHeader *header = session_program(session);
    float *room = NULL;
    size_t count = 0;
    RtStatus status = parameters_room(header, &room, err);
    for (uint32_t i = 0; i < header->tensors.count && !status; i++) {
        if (!is_kept(&program_tensors(header)[i])) continue;
        status = restore(checkpoint, session, &program_tensors(header)[i], room, err);
        count++;
    }
    rt_free(room);
    if (!status && count != checkpoint->file->count)
        status = rt_fail(err, RT_BAD_INPUT, "%s: it is of another program: it has %zu tensors, this one %zu",
                         checkpoint->file->path, checkpoint->file->count, count);
    if (!status) session_parameters_set(session);
    return status;
}
