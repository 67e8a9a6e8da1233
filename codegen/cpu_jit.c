/* Machine code in memory, by LLVM's LLJIT. Objects are compiled by machines of our own (their options are the
 * same as for programs) on two threads, each with a context of its own, and given to the JIT to link. */
#include "blas_conv.h"
#include "cpu_machine.h"

#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct BuildJit {
    LLVMOrcLLJITRef jit;
    ProgramKernelFn **kernels;
    Program program;
};

enum { COMPILE_THREADS = 2 };

/* Half of the kernels, compiled to one object. */
typedef struct Half {
    Build build; /* with an arena of its own */
    LLVMTargetMachineRef machine;
    int first, end;
    LLVMMemoryBufferRef object;
    const char *error;
} Half;

static void *compile_half(void *argument)
{
    Half *half = argument;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = machine_module(&half->build, context, half->machine, half->first, half->end);
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(half->machine, module, LLVMObjectFile, &message, &half->object)) {
        half->error = arena_strdup(half->build.arena, message);
        LLVMDisposeMessage(message);
    }
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return NULL;
}

static const char *take_error(Arena *arena, LLVMErrorRef failure)
{
    char *message = LLVMGetErrorMessage(failure);
    const char *text = arena_strdup(arena, message);
    LLVMDisposeErrorMessage(message);
    return text;
}

static bool compile_all(const Build *build, Half *halves, const char **error)
{
    int count = build->plan->list->n_kernels;
    pthread_t threads[COMPILE_THREADS];
    bool started[COMPILE_THREADS] = {false};
    for (int i = 0; i < COMPILE_THREADS; i++) {
        halves[i] = (Half){
            .build = *build, .first = count * i / COMPILE_THREADS, .end = count * (i + 1) / COMPILE_THREADS};
        halves[i].build.arena = arena_new();
        halves[i].machine = machine_new(build->target, build->arena, error);
        if (!halves[i].machine) return false;
    }
    for (int i = 1; i < COMPILE_THREADS; i++)
        started[i] = !pthread_create(&threads[i], NULL, compile_half, &halves[i]);
    for (int i = 0; i < COMPILE_THREADS; i++)
        if (!started[i]) compile_half(&halves[i]);
    for (int i = 0; i < COMPILE_THREADS; i++)
        if (started[i]) pthread_join(threads[i], NULL);
    for (int i = 0; i < COMPILE_THREADS; i++)
        if (halves[i].error) *error = arena_strdup(build->arena, halves[i].error);
    return !*error;
}

static bool link_all(const Build *build, BuildJit *jit, Half *halves, const char **error)
{
    LLVMErrorRef failure = LLVMOrcCreateLLJIT(&jit->jit, NULL);
    for (int i = 0; i < COMPILE_THREADS && !failure; i++) {
        failure =
            LLVMOrcLLJITAddObjectFile(jit->jit, LLVMOrcLLJITGetMainJITDylib(jit->jit), halves[i].object);
        halves[i].object = NULL; /* the JIT has it now, also when it failed */
    }
    for (int i = 0; i < build->plan->list->n_kernels && !failure; i++) {
        if (build->plan->list->kernels[i]->blas) {
            jit->kernels[i] = blas_conv_kernel();
            continue;
        }
        LLVMOrcExecutorAddress address = 0;
        failure = LLVMOrcLLJITLookup(jit->jit, &address, build->plan->list->kernels[i]->name);
        void *pointer = (void *)(uintptr_t)address;
        memcpy(&jit->kernels[i], &pointer, sizeof pointer);
    }
    if (failure) *error = take_error(build->arena, failure);
    return !failure;
}

BuildJit *build_jit(const Build *build, const char **error)
{
    Half halves[COMPILE_THREADS] = {{.error = NULL}};
    *error = NULL;
    BuildJit *jit = ARENA_NEW(build->arena, BuildJit);
    jit->kernels = ARENA_ARRAY(build->arena, ProgramKernelFn *, build->plan->list->n_kernels);
    jit->program = (Program){.header = build->image, .kernels = jit->kernels};
    bool done = compile_all(build, halves, error) && link_all(build, jit, halves, error);
    for (int i = 0; i < COMPILE_THREADS; i++) {
        if (halves[i].object) LLVMDisposeMemoryBuffer(halves[i].object);
        if (halves[i].machine) LLVMDisposeTargetMachine(halves[i].machine);
        arena_free(halves[i].build.arena);
    }
    if (done) return jit;
    build_jit_free(jit);
    return NULL;
}

void build_jit_join(BuildJit *jit, const BuildJit *training)
{
    jit->program.training = &training->program;
}

const Program *build_program(const BuildJit *jit)
{
    return &jit->program;
}

void build_jit_free(BuildJit *jit)
{
    if (!jit || !jit->jit) return;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->jit));
    jit->jit = NULL;
}
