/* See rt_session.h and segrt.h.
 *
 * A session is four blocks: arena, persistent memory, one scratch area per thread, and a small one with the
 * session itself and the pointers of all steps, resolved once. Running walks the steps; nothing is allocated
 * and no system call made, except for threads that went to sleep. */
#define _GNU_SOURCE
#include "rt_session.h"

#include "rt_cpu.h"
#include "rt_memory.h"
#include "rt_program.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SCRATCH_ALIGN = 4096 }; /* threads' scratch areas share no page */

struct SegrtSession {
    const Program *program;
    const ProgramHeader *header;
    Pool *pool;
    MemoryBlock arena, persistent, scratch;
    uint64_t scratch_stride; /* bytes from one thread's scratch to the next */
    void **args;             /* as header->args */
    bool has_parameters, is_prepared;
    bool overwrites; /* raw weights that only PREPARE reads lie in the arena: a run overwrites them */
    bool overwritten;
    RtError last;
};

static_assert(SEGRT_MAX_RANK == PROGRAM_MAX_RANK, "segrt.h and program.h");
static_assert(SEGRT_F32 == (int)DTYPE_F32 && SEGRT_U8 == (int)DTYPE_U8, "segrt.h and program.h");

double session_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *address(const SegrtSession *session, unsigned space, uint64_t offset)
{
    switch ((ProgramSpace)space) {
    case SPACE_ARENA: return (char *)session->arena.base + offset;
    case SPACE_PERSISTENT: return (char *)session->persistent.base + offset;
    case SPACE_CONST: break;
    }
    /* Kernels take void *; none writes to a constant. */
    return (void *)(uintptr_t)(PROGRAM_TEXT(session->header, session->header->constants) + offset);
}

static void touch_units(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    memory_touch(context, (uint64_t)begin * MEMORY_HUGE_PAGE, (uint64_t)end * MEMORY_HUGE_PAGE);
}

static RtStatus map_touched(SegrtSession *session, uint64_t bytes, const char *what, MemoryBlock *block)
{
    char name[200];
    snprintf(name, sizeof name, "%s of %s", what, program_text(session->header, session->header->name));
    RtStatus status = memory_map(bytes, name, block, &session->last);
    if (!status)
        pool_run(session->pool, (int64_t)((bytes + MEMORY_HUGE_PAGE - 1) / MEMORY_HUGE_PAGE), touch_units,
                 block);
    return status;
}

static RtStatus map_blocks(SegrtSession *session)
{
    const ProgramHeader *header = session->header;
    session->scratch_stride = (header->scratch_bytes + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
    uint64_t scratch = session->scratch_stride * (uint64_t)pool_threads(session->pool);
    RtStatus status = map_touched(session, header->arena_bytes, "the activations", &session->arena);
    if (!status)
        status = map_touched(session, header->persistent_bytes, "the parameters", &session->persistent);
    if (!status) status = map_touched(session, scratch, "the threads' scratch", &session->scratch);
    return status;
}

static RtStatus resolve_args(SegrtSession *session)
{
    const ProgramHeader *header = session->header;
    const ProgramArg *args = PROGRAM_ARRAY(header, ProgramArg, header->args);
    session->args = rt_alloc(header->args.count * sizeof *session->args);
    if (!session->args)
        return rt_fail(&session->last, RT_MACHINE, "no memory for the addresses of %u arguments",
                       header->args.count);
    for (uint32_t i = 0; i < header->args.count; i++)
        session->args[i] = address(session, args[i].space, args[i].offset);
    return RT_OK;
}

static RtStatus set_up(SegrtSession *session, int threads)
{
    const ProgramHeader *header = session->header;
    RtStatus status = cpu_check(program_text(header, header->cpu_features), &session->last);
    if (!status) status = cpu_threads(threads, &threads, &session->last);
    if (!status) status = pool_open(threads, &session->pool, &session->last);
    if (!status) status = map_blocks(session);
    if (!status) status = resolve_args(session);
    /* Without parameters there is nothing to wait for. */
    session->has_parameters = true;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        if (program_tensors(header)[i].role != ROLE_PARAMETER) continue;
        session->has_parameters = false;
        if (program_tensors(header)[i].space == SPACE_ARENA) session->overwrites = true;
    }
    return status;
}

RtStatus segrt_open(const Program *program, int threads, SegrtSession **result, RtError *err)
{
    *result = NULL;
    if (program->header->magic != PROGRAM_MAGIC)
        return rt_fail(err, RT_BUG, "the program is damaged, or made for another version of this runtime");
    SegrtSession *session = rt_alloc(sizeof *session);
    if (!session) return rt_fail(err, RT_MACHINE, "no memory for a session");
    session->program = program;
    session->header = program->header;
    RtStatus status = session_return(session, set_up(session, threads), err);
    if (status)
        segrt_close(session);
    else
        *result = session;
    return status;
}

void segrt_close(SegrtSession *session)
{
    if (!session) return;
    pool_close(session->pool);
    memory_unmap(&session->arena);
    memory_unmap(&session->persistent);
    memory_unmap(&session->scratch);
    rt_free(session->args);
    rt_free(session);
}

/* What a pool's thread needs to run units of a step. */
typedef struct StepCall {
    ProgramKernelFn *kernel;
    void *const *args;
    char *scratch;
    uint64_t scratch_stride;
} StepCall;

static void call_kernel(void *context, int64_t begin, int64_t end, int thread)
{
    const StepCall *call = context;
    call->kernel(call->args, begin, end, call->scratch + (uint64_t)thread * call->scratch_stride);
}

static void run_step(SegrtSession *session, const ProgramStep *step)
{
    StepCall call = {
        .kernel = session->program->kernels[step->kernel],
        .args = session->args + step->first_arg,
        .scratch = session->scratch.base,
        .scratch_stride = session->scratch_stride,
    };
    pool_run(session->pool, step->units, call_kernel, &call);
}

/* players: of PHASE_UPDATE, those whose steps are done; NULL: none. */
static void run_phases(SegrtSession *session, bool prepare, const bool *players, double *seconds)
{
    const ProgramStep *steps = program_steps(session->header);
    for (uint32_t i = 0; i < session->header->steps.count; i++) {
        bool is_update = steps[i].phase == PHASE_UPDATE;
        if ((steps[i].phase == PHASE_PREPARE) != prepare) continue;
        if (is_update && !(players && players[steps[i].player])) continue;
        double start = seconds ? session_clock() : 0;
        run_step(session, &steps[i]);
        if (seconds) seconds[i] = session_clock() - start;
    }
}

RtStatus session_train(SegrtSession *session, const bool *players, double *seconds, RtError *err)
{
    if (!session->has_parameters) {
        rt_fail(&session->last, RT_USAGE,
                session->overwritten ? "%s's weights changed after a run, which overwrites some: load or "
                                       "initialise all of them again"
                                     : "%s has no weights yet: load or initialise them before running",
                program_text(session->header, session->header->name));
        return session_return(session, RT_USAGE, err);
    }
    if (seconds) memset(seconds, 0, session->header->steps.count * sizeof *seconds);
    if (!session->is_prepared) run_phases(session, true, NULL, seconds);
    session->is_prepared = true;
    session->overwritten = session->overwrites;
    run_phases(session, false, players, seconds);
    return RT_OK;
}

RtStatus session_run_timed(SegrtSession *session, double *seconds, RtError *err)
{
    return session_train(session, NULL, seconds, err);
}

RtStatus segrt_run(SegrtSession *session, RtError *err)
{
    return session_run_timed(session, NULL, err);
}

void session_parameters_set(SegrtSession *session)
{
    session->overwritten = false;
    segrt_parameters_changed(session);
}

void segrt_parameters_changed(SegrtSession *session)
{
    session->has_parameters = !session->overwritten;
    session->is_prepared = false;
}

static const ProgramTensor *find_any(const ProgramHeader *header, const char *name)
{
    const ProgramTensor *tensor = NULL;
    for (int role = ROLE_INPUT; role <= ROLE_HYPER && !tensor; role++)
        tensor = program_find(header, (ProgramRole)role, name);
    return tensor;
}

RtStatus segrt_tensor(SegrtSession *session, const char *name, SegrtTensor *result, RtError *err)
{
    *result = (SegrtTensor){0};
    const ProgramTensor *tensor = find_any(session->header, name);
    if (!tensor || tensor->role == ROLE_UNUSED || tensor->block > 1) {
        rt_fail(&session->last, RT_USAGE,
                !tensor             ? "%s has no tensor named %s"
                : tensor->block > 1 ? "%s: %s lies in blocks of channels, of which there is no dense view"
                                    : "%s: %s is never evaluated, so it has no memory",
                program_text(session->header, session->header->name), name);
        return session_return(session, RT_USAGE, err);
    }
    *result = (SegrtTensor){
        .name = program_text(session->header, tensor->name),
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .data = session_address(session, tensor),
        .bytes = tensor->bytes,
    };
    memcpy(result->dims, tensor->dims, sizeof result->dims);
    return RT_OK;
}

const ProgramHeader *session_program(const SegrtSession *session)
{
    return session->header;
}

Pool *session_pool(SegrtSession *session)
{
    return session->pool;
}

void *session_address(const SegrtSession *session, const ProgramTensor *tensor)
{
    return tensor->role == ROLE_UNUSED ? NULL : address(session, tensor->space, tensor->offset);
}

SegrtMemory segrt_memory(const SegrtSession *session)
{
    return (SegrtMemory){
        .planned = session->arena.bytes + session->persistent.bytes + session->scratch.bytes,
        .resident = memory_peak(),
    };
}

int segrt_threads(const SegrtSession *session)
{
    return pool_threads(session->pool);
}

const char *segrt_last_error(const SegrtSession *session)
{
    return session->last.text;
}

RtError *session_error(SegrtSession *session)
{
    return &session->last;
}

RtStatus session_return(SegrtSession *session, RtStatus status, RtError *err)
{
    if (status && err) *err = session->last;
    return status;
}
