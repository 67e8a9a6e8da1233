/* A program made by hand, so that the runtime can be tested without the compiler: a picture, a 1x1
 * convolution to class scores whose weights are packed in the PREPARE phase, and the best class per pixel.
 *
 *     TinyProgram tiny = {.batch = 2, .height = 4, .width = 6, .classes = 3};
 *     tiny_build(&tiny);
 *     segrt_open(&tiny.program, 1, &session, &err);
 *     ...
 *     tiny_free(&tiny);
 *
 * Its tensors: image f32[N,3,H,W]; head.weight f32[C,3,1,1] and head.bias f32[C]; aux.weight f32[5], which
 * nothing evaluates; scores f32[N,C,H,W] and classes i32[N,H,W], each an output unless left out. Building
 * aborts the test when memory is short.
 */
#ifndef TINY_PROGRAM_H
#define TINY_PROGRAM_H

#include "../../runtime/program.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct TinyProgram {
    /* Set these before building. */
    int64_t batch, height, width, classes;
    bool no_classes, no_scores; /* outputs to leave out */
    bool last_is_void;          /* the last class is ignored */
    bool unnamed_classes;       /* the class list is empty */
    bool with_norm;             /* parameters norm.running_mean and norm.running_var f32[3], for nothing */
    const char *cpu_features;   /* NULL: none */
    uint64_t arena_extra;       /* bytes more than are used */
    /* Results. */
    Program program;
    char *image;
    uint32_t used, capacity;
} TinyProgram;

void tiny_build(TinyProgram *tiny);
void tiny_free(TinyProgram *tiny);

/* Building another program by hand: an empty image, what is appended to it, and its header at last. */
void tiny_begin(TinyProgram *tiny);
ProgramRef tiny_append(TinyProgram *tiny, const void *data, size_t bytes, size_t count);
ProgramRef tiny_text(TinyProgram *tiny, const char *string);
void tiny_end(TinyProgram *tiny, ProgramHeader *header, ProgramKernelFn *const *kernel_table);

#endif
