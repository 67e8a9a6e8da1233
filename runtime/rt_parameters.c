/* Setting a session's parameters: by their initialisation rules or from a file. See segrt.h. */
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
    segrt_parameters_changed(session);
    return RT_OK;
}
