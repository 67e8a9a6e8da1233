/* From a graph to something that runs: the program's image, machine code in memory, or an object file.
 *
 *     BuildOptions options = {.cpu = "host", .passes = {.predict = "logits", .want_classes = true}};
 *     Build *build = build_graph(arena, graph, &options);          // NULL: see graph->diag
 *     BuildJit *jit = build_jit(build, &error);
 *     segrt_open(build_program(jit), 0, &session, &err); ... ; segrt_close(session);
 *     build_jit_free(jit);
 *
 * Everything but machine code lives in the arena.
 */
#ifndef BUILD_H
#define BUILD_H

#include "compile.h"
#include "model.h"
#include "program.h"
#include "stats.h"
#include "training.h"

typedef struct BuildOptions {
    const char *cpu; /* NULL: "host"; see cpu_target.h */
    PassOptions passes;
    bool no_fuse, no_reuse;
    bool no_winograd;   /* direct convolutions only: see winograd in target.h */
    bool blas;          /* the baseline: nothing fused, convolutions by im2col and OpenBLAS; in memory only */
    const Model *model; /* for the program's name, classes and preprocessing; NULL: a bare graph, for tests */
    Training *training; /* the graph is to become a training program: see training.h; NULL: inference */
    const Stats *stats; /* of the graph as declared, for the program's own account; NULL: zeros */
    /* As in CompileOptions; further stages "llvm" and "asm" come from build_llvm and build_asm. */
    void (*stage)(void *user, const char *stage, const char *text);
    void *user;
} BuildOptions;

typedef struct Build {
    Arena *arena;
    const Target *target;
    const Plan *plan;
    const ProgramHeader *image; /* image->image_bytes long */
    /* The same model as a training program, to be written with this one; NULL: none. Set by who builds both;
     * of build_jit each has its own, and build_jit_join makes the one's Program point to the other's. */
    const struct Build *training;
} Build;

/* Compiles up to the plan and writes the image. NULL after reporting in graph->diag. */
Build *build_graph(Arena *arena, Graph *graph, const BuildOptions *options);

/* Machine code in this process. NULL with a sentence in *error. */
typedef struct BuildJit BuildJit;
BuildJit *build_jit(const Build *build, const char **error);
const Program *build_program(const BuildJit *jit);
void build_jit_join(BuildJit *jit, const BuildJit *training);
/* No session of the program may be open any more. */
void build_jit_free(BuildJit *jit);

typedef enum BuildEmit { EMIT_PROGRAM, EMIT_SHARED, EMIT_OBJECT } BuildEmit;
/* Writes an executable, shared library or object to path, under a temporary name first. Executables and
 * libraries are linked by the C compiler driver ($CC, else cc) with the runtime archive and,
 * for executables, libsegrt_images.a beside it. False with a
 * sentence in *error. */
bool build_write(const Build *build, BuildEmit emit, const char *runtime_archive, const char *path,
                 const char **error);

/* Texts for `segc show`. */
const char *build_llvm(const Build *build);
const char *build_asm(const Build *build, const char **error);

/* image.c: the flat image that runtime/program.h describes. */
const ProgramHeader *image_write(Arena *arena, const Plan *plan, const Target *target,
                                 const BuildOptions *options);

/* What a program says of its classes and data sets, alone: for reading data without a program. */
const ProgramHeader *image_write_data(Arena *arena, const ModelData *data);

#define SEGC_VERSION "0.1"

#endif
