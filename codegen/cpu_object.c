/* Objects, executables and shared libraries: kernels, the image and a `main` that hands both to the runtime.
 */
#define _GNU_SOURCE
#include "cpu_machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <llvm-c/Linker.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static LLVMValueRef add_constant(LLVMModuleRef module, LLVMValueRef value, const char *name)
{
    LLVMValueRef global = LLVMAddGlobal(module, LLVMTypeOf(value), name);
    LLVMSetInitializer(global, value);
    LLVMSetGlobalConstant(global, true);
    return global;
}

/* The Program of runtime/program.h: { image, kernel table, training program or NULL }. */
static LLVMValueRef add_program(const Build *build, LLVMModuleRef module, LLVMContextRef context,
                                LLVMValueRef training, const char *name)
{
    const ProgramHeader *image = build->image;
    LLVMValueRef bytes =
        LLVMConstStringInContext(context, (const char *)image, (unsigned)image->image_bytes, true);
    LLVMValueRef data = add_constant(module, bytes, "segc_image");
    LLVMSetAlignment(data, 64);
    LLVMSetLinkage(data, LLVMPrivateLinkage);
    int count = build->plan->list->n_kernels;
    LLVMValueRef *kernel = ARENA_ARRAY(build->arena, LLVMValueRef, count);
    for (int i = 0; i < count; i++)
        kernel[i] = LLVMGetNamedFunction(module, build->plan->list->kernels[i]->name);
    LLVMTypeRef pointer = LLVMPointerTypeInContext(context, 0);
    LLVMValueRef table =
        add_constant(module, LLVMConstArray2(pointer, kernel, (uint64_t)count), "segc_kernels");
    LLVMSetLinkage(table, LLVMPrivateLinkage);
    LLVMValueRef fields[3] = {data, table, training};
    return add_constant(module, LLVMConstStructInContext(context, fields, 3, false), name);
}

/* int main(int argc, char **argv) { return segrt_main(argc, argv, &segc_program); } */
static void add_main(LLVMModuleRef module, LLVMContextRef context, LLVMValueRef program)
{
    LLVMTypeRef i32 = LLVMInt32TypeInContext(context), pointer = LLVMPointerTypeInContext(context, 0);
    LLVMTypeRef types[3] = {i32, pointer, pointer};
    LLVMTypeRef callee_type = LLVMFunctionType(i32, types, 3, false);
    LLVMValueRef callee = LLVMAddFunction(module, "segrt_main", callee_type);
    LLVMValueRef main_function = LLVMAddFunction(module, "main", LLVMFunctionType(i32, types, 2, false));
    LLVMBuilderRef b = LLVMCreateBuilderInContext(context);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(context, main_function, "entry"));
    LLVMValueRef args[3] = {LLVMGetParam(main_function, 0), LLVMGetParam(main_function, 1), program};
    LLVMBuildRet(b, LLVMBuildCall2(b, callee_type, callee, args, 3, ""));
    LLVMDisposeBuilder(b);
}

static LLVMModuleRef whole_module(const Build *build, LLVMContextRef context, LLVMTargetMachineRef machine,
                                  bool with_main)
{
    LLVMModuleRef module = machine_module(build, context, machine, 0, build->plan->list->n_kernels);
    LLVMValueRef training = LLVMConstPointerNull(LLVMPointerTypeInContext(context, 0));
    if (build->training) {
        const Build *also = build->training;
        LLVMModuleRef part = machine_module(also, context, machine, 0, also->plan->list->n_kernels);
        bool failed = LLVMLinkModules2(module, part);
        assert(!failed);
        (void)failed;
        training = add_program(also, module, context, training, "segc_training");
    }
    LLVMValueRef program = add_program(build, module, context, training, "segc_program");
    if (with_main) add_main(module, context, program);
    return module;
}

static bool write_object(const Build *build, const char *path, bool with_main, const char **error)
{
    LLVMTargetMachineRef machine = machine_new(build->target, build->arena, error);
    if (!machine) return false;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = whole_module(build, context, machine, with_main);
    char *message = NULL;
    bool failed = LLVMTargetMachineEmitToFile(machine, module, (char *)path, LLVMObjectFile, &message);
    if (failed) {
        *error = arena_printf(build->arena, "cannot write %s: %s", path, message);
        LLVMDisposeMessage(message);
    }
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return !failed;
}

static bool run_linker(const Build *build, BuildEmit emit, const char *object, const char *archive,
                       const char *out, const char **error)
{
    const char *cc = getenv("CC") && *getenv("CC") ? getenv("CC") : "cc";
    const char *slash = strrchr(archive, '/');
    const char *images =
        arena_printf(build->arena, "%.*slibsegrt_images.a", slash ? (int)(slash + 1 - archive) : 0, archive);
    /* A library exports the runtime's interface, so all of it; the image libraries are then the system's. */
    const char *shared[] = {cc,          "-shared",
                            "-o",        out,
                            object,      "-Wl,--whole-archive",
                            archive,     "-Wl,--no-whole-archive",
                            "-lpng16",   "-ljpeg",
                            "-lz",       "-lm",
                            "-lpthread", NULL};
    const char *program[] = {cc,  "-o", out, object, archive, images, "-lm", "-lpthread", "-Wl,--gc-sections",
                             NULL};
    pid_t child;
    int status = 0;
    const char *const *command = emit == EMIT_SHARED ? shared : program;
    int failed = posix_spawnp(&child, cc, NULL, NULL, (char *const *)command, environ);
    if (failed) {
        *error = arena_printf(build->arena, "cannot run the linker %s: %s (set CC to a C compiler)", cc,
                              strerror(failed));
        return false;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    *error = arena_printf(build->arena, "%s could not link %s", cc, out);
    return false;
}

/* The finished file takes path's name only when its bytes are on the disk. */
static bool publish(const Build *build, const char *temporary, const char *path, const char **error)
{
    int fd = open(temporary, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (good && rename(temporary, path) == 0) return true;
    *error = arena_printf(build->arena, "cannot write %s: %s", path, strerror(errno));
    return false;
}

bool build_write(const Build *build, BuildEmit emit, const char *runtime_archive, const char *path,
                 const char **error)
{
    const char *object = arena_printf(build->arena, "%s.%ld.o", path, (long)getpid());
    const char *linked = arena_printf(build->arena, "%s.%ld.tmp", path, (long)getpid());
    assert(!build->target->blas);
    *error = NULL;
    bool good = write_object(build, object, emit == EMIT_PROGRAM, error);
    if (good && emit == EMIT_OBJECT)
        good = publish(build, object, path, error);
    else if (good)
        good = run_linker(build, emit, object, runtime_archive, linked, error) &&
               publish(build, linked, path, error);
    unlink(object);
    unlink(linked);
    return good;
}

const char *build_llvm(const Build *build)
{
    const char *error = NULL;
    LLVMTargetMachineRef machine = machine_new(build->target, build->arena, &error);
    if (!machine) return error;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = machine_module(build, context, machine, 0, build->plan->list->n_kernels);
    char *printed = LLVMPrintModuleToString(module);
    const char *text = arena_strdup(build->arena, printed);
    LLVMDisposeMessage(printed);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return text;
}

const char *build_asm(const Build *build, const char **error)
{
    LLVMTargetMachineRef machine = machine_new(build->target, build->arena, error);
    if (!machine) return NULL;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = machine_module(build, context, machine, 0, build->plan->list->n_kernels);
    LLVMMemoryBufferRef buffer = NULL;
    char *message = NULL;
    const char *text = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMAssemblyFile, &message, &buffer)) {
        *error = arena_strdup(build->arena, message);
        LLVMDisposeMessage(message);
    } else {
        text = arena_strndup(build->arena, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
        LLVMDisposeMemoryBuffer(buffer);
    }
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return text;
}
