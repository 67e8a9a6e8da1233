/* See rt_parameters.h and segrt.h. */
#include "rt_parameters.h"

#include "rt_blocked.h"
#include "rt_program.h"
#include "rt_rand.h"
#include "rt_session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FILL_UNIT = 1 << 14 }; /* elements; a multiple of RAND_GROUP */

typedef struct Fill {
    const ProgramTensor *tensor;
    RandKey key;
    float *values;
    int64_t elements;
} Fill;

static void fill_constant(float *values, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++) values[i] = value;
}

static void fill_range(const Fill *fill, int64_t first, int64_t count)
{
    float *values = fill->values + first, given = fill->tensor->init_value;
    uint64_t at = (uint64_t)first, length = (uint64_t)count;
    switch ((ProgramInit)fill->tensor->init) {
    case INIT_ZERO: fill_constant(values, count, 0); break;
    case INIT_ONE: fill_constant(values, count, 1); break;
    case INIT_CONSTANT: fill_constant(values, count, given); break;
    case INIT_UNIFORM: rand_uniform(fill->key, at, length, given, values); break;
    }
}

static void fill_units(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Fill *fill = context;
    int64_t first = begin * FILL_UNIT, last = end * FILL_UNIT;
    if (last > fill->elements) last = fill->elements;
    fill_range(fill, first, last - first);
}

static void initialize(SegrtSession *session, const ProgramTensor *tensor, uint64_t seed, float *room)
{
    float *values = session_address(session, tensor);
    Fill fill = {
        .tensor = tensor,
        .key = rand_key(seed, program_text(session_program(session), tensor->name)),
        .values = tensor->block > 1 ? room : values,
        .elements = program_elements(tensor),
    };
    pool_run(session_pool(session), (fill.elements + FILL_UNIT - 1) / FILL_UNIT, fill_units, &fill);
    if (tensor->block > 1) blocked_from_dense(tensor, room, values);
}

RtStatus segrt_initialize(SegrtSession *session, uint64_t seed, RtError *err)
{
    const ProgramHeader *header = session_program(session);
    float *room = NULL;
    RtStatus status = parameters_room(header, &room, session_error(session));
    for (uint32_t i = 0; i < header->tensors.count && !status; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role == ROLE_PARAMETER) initialize(session, tensor, seed, room);
        if (tensor->role == ROLE_STATE)
            memset(session_address(session, tensor), 0, (size_t)blocked_elements(tensor) * sizeof(float));
    }
    rt_free(room);
    if (!status) session_parameters_set(session);
    return session_return(session, status, err);
}

RtStatus parameters_room(const ProgramHeader *header, float **room, RtError *err)
{
    int64_t most = 1;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->block > 1 && program_elements(tensor) > most) most = program_elements(tensor);
    }
    *room = rt_alloc((size_t)most * sizeof **room);
    if (*room) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for a parameter of %lld elements", (long long)most);
}

const float *parameters_dense(const SegrtSession *session, const ProgramTensor *tensor, float *room)
{
    const float *values = session_address(session, tensor);
    if (tensor->block <= 1) return values;
    blocked_to_dense(tensor, values, room);
    return room;
}

void parameters_put(SegrtSession *session, const ProgramTensor *tensor, const float *dense)
{
    blocked_from_dense(tensor, dense, session_address(session, tensor));
}

RtStatus parameters_cover(const ProgramHeader *from, const ProgramHeader *to, RtError *err)
{
    for (uint32_t i = 0; i < to->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(to)[i];
        const char *name = program_text(to, tensor->name);
        if (tensor->role != ROLE_PARAMETER) continue;
        const ProgramTensor *source = program_find(from, ROLE_PARAMETER, name);
        if (!source || program_elements(source) != program_elements(tensor))
            return rt_fail(err, RT_USAGE, "%s: prediction needs %s, which no player trains or uses",
                           program_text(to, to->name), name);
    }
    return RT_OK;
}

RtStatus parameters_copy(const SegrtSession *from, SegrtSession *to, RtError *err)
{
    const ProgramHeader *header = session_program(to);
    float *room = NULL;
    RtStatus status = parameters_cover(session_program(from), header, err);
    if (!status) status = parameters_room(session_program(from), &room, err);
    for (uint32_t i = 0; i < header->tensors.count && !status; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != ROLE_PARAMETER) continue;
        const ProgramTensor *source =
            program_find(session_program(from), ROLE_PARAMETER, program_text(header, tensor->name));
        parameters_put(to, tensor, parameters_dense(from, source, room));
    }
    rt_free(room);
    if (!status) session_parameters_set(to);
    return status;
}

static bool is_parameter(const ProgramTensor *tensor)
{
    return tensor->role == ROLE_PARAMETER || tensor->role == ROLE_UNUSED;
}

/* ---- names
 * -------------------------------------------------------------------------------------------------
 *
 * A backbone's file has layer1.0.conv1.weight where the network has
 * segmenter.context_path.layer1.0.conv1.weight; a training program's has the whole where a network alone has
 * less. When no name is found as it is, a prefix is looked for that the one side has before the other's
 * names: the one under which most are found. */

static bool ends_in(const char *text, const char *end, size_t *prefix)
{
    const size_t length = strlen(text), tail = strlen(end);
    if (length < tail + 2 || text[length - tail - 1] != '.' || strcmp(text + length - tail, end))
        return false;
    *prefix = length - tail;
    return true;
}

/* How a parameter is called in the file; NULL: it is not under the prefix. */
static const char *name_in_file(const char *name, const ParametersFound *found, char *room)
{
    const size_t length = strlen(found->prefix);
    if (!length) return name;
    if (!found->file_has_prefix) return strncmp(name, found->prefix, length) ? NULL : name + length;
    snprintf(room, PARAMETERS_NAME, "%s%s", found->prefix, name);
    return room;
}

static bool is_found(const WeightsFile *file, const char *name, const ParametersFound *found)
{
    char room[PARAMETERS_NAME];
    const char *in_file = name_in_file(name, found, room);
    return in_file && weights_find(file, in_file) != WEIGHTS_NONE;
}

static size_t count_found(const ProgramHeader *header, const WeightsFile *file, const ParametersFound *found)
{
    size_t count = 0;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (is_parameter(tensor)) count += is_found(file, program_text(header, tensor->name), found);
    }
    return count;
}

/* Prefixes by which this tensor of the file could be a parameter, each tried with all others. */
static size_t try_tensor(const ProgramHeader *header, const WeightsFile *file, const char *in_file,
                         ParametersFound *best)
{
    size_t most = 0;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        const char *name = program_text(header, tensor->name);
        ParametersFound now = {0};
        size_t prefix;
        if (!is_parameter(tensor)) continue;
        if (!ends_in(name, in_file, &prefix)) {
            now.file_has_prefix = ends_in(in_file, name, &prefix);
            if (!now.file_has_prefix) continue;
        }
        if (prefix >= sizeof now.prefix) continue;
        memcpy(now.prefix, now.file_has_prefix ? in_file : name, prefix);
        size_t count = count_found(header, file, &now);
        if (count <= most) continue;
        most = count;
        *best = now;
    }
    return most;
}

static void choose_prefix(const ProgramHeader *header, const WeightsFile *file, ParametersFound *found)
{
    if (count_found(header, file, found)) return;
    for (size_t i = 0; i < file->count; i++) {
        if (!file->tensors[i].outside && try_tensor(header, file, file->tensors[i].name, found)) return;
    }
}

/* ---- loading
 * -----------------------------------------------------------------------------------------------
 */

/* The parameters that a file may hold, and for each the program's tensor and the file's. */
typedef struct Wish {
    size_t count;
    WeightsWanted *wanted;
    char (*names)[PARAMETERS_NAME]; /* of those that are called otherwise in the file */
    const ProgramTensor **tensors;
    size_t *found;
} Wish;

static void wish_free(Wish *wish)
{
    rt_free(wish->wanted);
    rt_free(wish->names);
    rt_free(wish->tensors);
    rt_free(wish->found);
}

static RtStatus wish_make(const ProgramHeader *header, const ParametersFound *found, bool partial, Wish *wish,
                          RtError *err)
{
    size_t most = header->tensors.count;
    wish->wanted = rt_alloc(most * sizeof *wish->wanted);
    wish->tensors = rt_alloc(most * sizeof *wish->tensors);
    wish->found = rt_alloc(most * sizeof *wish->found);
    wish->names = rt_alloc((found->file_has_prefix ? most : 1) * sizeof *wish->names);
    if (!wish->wanted || !wish->tensors || !wish->found || !wish->names)
        return rt_fail(err, RT_MACHINE, "no memory for a list of %zu tensors", most);
    for (uint32_t i = 0; i < most; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (!is_parameter(tensor)) continue;
        const char *own = program_text(header, tensor->name);
        const char *name = name_in_file(own, found, wish->names[found->file_has_prefix ? wish->count : 0]);
        if (!name && partial) continue;
        wish->tensors[wish->count] = tensor;
        wish->wanted[wish->count++] = (WeightsWanted){
            .name = name ? name : own,
            .rank = tensor->rank,
            .dims = tensor->dims,
            .optional = tensor->role == ROLE_UNUSED,
        };
    }
    return RT_OK;
}

static RtStatus read_found(SegrtSession *session, const WeightsFile *file, const Wish *wish)
{
    float *room = NULL;
    RtStatus status = parameters_room(session_program(session), &room, session_error(session));
    for (size_t i = 0; i < wish->count && !status; i++) {
        const ProgramTensor *tensor = wish->tensors[i];
        float *values = session_address(session, tensor);
        if (!values || wish->found[i] == WEIGHTS_NONE) continue;
        float *dense = tensor->block > 1 ? room : values;
        status = weights_read_f32(file, wish->found[i], dense, session_error(session));
        if (!status && dense == room) parameters_put(session, tensor, room);
    }
    rt_free(room);
    if (!status) session_parameters_set(session);
    return status;
}

RtStatus parameters_load(SegrtSession *session, const char *path, unsigned flags, ParametersFound *found,
                         RtError *err)
{
    RtError *failure = session_error(session);
    WeightsFile *file = NULL;
    Wish wish = {0};
    *found = (ParametersFound){0};
    RtStatus status = weights_open(path, &file, failure);
    if (!status) {
        choose_prefix(session_program(session), file, found);
        status = wish_make(session_program(session), found, flags & WEIGHTS_ALLOW_MISSING, &wish, failure);
    }
    if (!status)
        status = weights_match(file, wish.wanted, wish.count, flags, wish.found, &found->match, failure);
    if (!status) status = read_found(session, file, &wish);
    wish_free(&wish);
    weights_close(file);
    return session_return(session, status, err);
}

RtStatus segrt_load_weights(SegrtSession *session, const char *path, RtError *err)
{
    ParametersFound *found = rt_alloc(sizeof *found); /* too large for a stack we know nothing about */
    if (!found) return rt_fail(err, RT_MACHINE, "no memory to compare weights");
    RtStatus status = parameters_load(session, path, 0, found, err);
    rt_free(found);
    return status;
}
