/* See rt_parameters.h and segrt.h. */
#include "rt_parameters.h"
#include "rt_program.h"
#include "rt_rand.h"
#include "rt_session.h"

#include <math.h>

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
    case INIT_NORMAL: rand_normal(fill->key, at, length, given, values); break;
    case INIT_KAIMING_NORMAL: rand_normal(fill->key, at, length, sqrtf(2 / given), values); break;
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

RtStatus segrt_initialize(SegrtSession *session, uint64_t seed, RtError *err)
{
    (void)err;
    const ProgramHeader *header = session_program(session);
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != ROLE_PARAMETER) continue;
        Fill fill = {
            .tensor = tensor,
            .key = rand_key(seed, program_text(header, tensor->name)),
            .values = session_address(session, tensor),
            .elements = program_elements(tensor),
        };
        pool_run(session_pool(session), (fill.elements + FILL_UNIT - 1) / FILL_UNIT, fill_units, &fill);
    }
    session_parameters_set(session);
    return RT_OK;
}

static bool is_parameter(const ProgramTensor *tensor)
{
    return tensor->role == ROLE_PARAMETER || tensor->role == ROLE_UNUSED;
}

/* The parameters that a file may hold, and for each the program's tensor and the file's. */
typedef struct Wish {
    size_t count;
    WeightsWanted *wanted;
    const ProgramTensor **tensors;
    size_t *found;
} Wish;

static void wish_free(Wish *wish)
{
    rt_free(wish->wanted);
    rt_free(wish->tensors);
    rt_free(wish->found);
}

static RtStatus wish_make(const ProgramHeader *header, Wish *wish, RtError *err)
{
    size_t most = header->tensors.count;
    wish->wanted = rt_alloc(most * sizeof *wish->wanted);
    wish->tensors = rt_alloc(most * sizeof *wish->tensors);
    wish->found = rt_alloc(most * sizeof *wish->found);
    if (!wish->wanted || !wish->tensors || !wish->found)
        return rt_fail(err, RT_MACHINE, "no memory for a list of %zu tensors", most);
    for (uint32_t i = 0; i < most; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (!is_parameter(tensor)) continue;
        wish->tensors[wish->count] = tensor;
        wish->wanted[wish->count++] = (WeightsWanted){
            .name = program_text(header, tensor->name),
            .rank = tensor->rank,
            .dims = tensor->dims,
            .optional = tensor->role == ROLE_UNUSED,
        };
    }
    return RT_OK;
}

static RtStatus read_found(SegrtSession *session, const WeightsFile *file, const Wish *wish)
{
    for (size_t i = 0; i < wish->count; i++) {
        float *values = session_address(session, wish->tensors[i]);
        if (!values || wish->found[i] == WEIGHTS_NONE) continue;
        RtStatus status = weights_read_f32(file, wish->found[i], values, session_error(session));
        if (status) return status;
    }
    session_parameters_set(session);
    return RT_OK;
}

RtStatus parameters_load(SegrtSession *session, const char *path, WeightsMatch *match, RtError *err)
{
    RtError *failure = session_error(session);
    WeightsFile *file = NULL;
    Wish wish = {0};
    *match = (WeightsMatch){0};
    RtStatus status = weights_open(path, &file, failure);
    if (!status) status = wish_make(session_program(session), &wish, failure);
    if (!status) status = weights_match(file, wish.wanted, wish.count, 0, wish.found, match, failure);
    if (!status) status = read_found(session, file, &wish);
    wish_free(&wish);
    weights_close(file);
    return session_return(session, status, err);
}

RtStatus segrt_load_weights(SegrtSession *session, const char *path, RtError *err)
{
    WeightsMatch *match = rt_alloc(sizeof *match); /* too large for a stack we know nothing about */
    if (!match) return rt_fail(err, RT_MACHINE, "no memory to compare weights");
    RtStatus status = parameters_load(session, path, match, err);
    rt_free(match);
    return status;
}
