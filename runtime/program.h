/* The compiled program as the runtime sees it: one flat, position-independent image plus a table of kernels.
 *
 * The compiler (codegen/build.c) writes the image, the runtime (rt_session.c) reads it in place: JIT and
 * standalone program share the very same bytes. Every reference inside is an offset from the image's start;
 * strings are NUL-terminated; arrays are contiguous and 8-aligned; multi-byte values are in the machine's
 * order (an image never leaves the machine code it was made with). It is trusted input: it is part of the
 * executable.
 *
 * Running is: allocate the arena and the persistent memory; fill the parameters (from a weights file or by
 * their initialisation); run the PREPARE steps once (folding, packing: everything that depends on weights
 * only); then for each batch fill the inputs, run the RUN steps in order, read the outputs. A step runs its
 * kernel over work units 0..units-1, which may be divided among threads in any way; steps are separated by
 * barriers. Results don't depend on how units were divided.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

/* "SEGCPRG" and the format's number; the compiler and the runtime it links are of one version. */
#define PROGRAM_MAGIC    0x0147525043474553ull
#define PROGRAM_MAX_RANK 6

/* A kernel: runs work units begin..end-1. args are the step's pointers, in order; scratch is private to the
 * calling thread, 64-byte aligned, ProgramHeader.scratch_bytes long, content undefined. */
typedef void ProgramKernelFn(void *const *args, int64_t begin, int64_t end, void *scratch);

typedef struct ProgramRef {
    uint32_t offset; /* bytes from the image's start */
    uint32_t count;  /* elements (strings: length without the NUL) */
} ProgramRef;

/* Where a tensor lives. */
typedef enum ProgramSpace {
    SPACE_ARENA,      /* activations, inputs, outputs, temporaries: reused over time by the plan */
    SPACE_PERSISTENT, /* parameters and what PREPARE made of them: as long as the session */
    SPACE_CONST,      /* tables inside the image itself (ProgramHeader.constants) */
} ProgramSpace;

typedef enum ProgramDtype { DTYPE_F32, DTYPE_I32, DTYPE_U8 } ProgramDtype;

typedef enum ProgramInit {
    INIT_ZERO,
    INIT_ONE,
    INIT_KAIMING_NORMAL, /* normal, std = sqrt(2 / fan): He et al. 2015, equation 10 */
    INIT_NORMAL,         /* normal, std = init_value */
    INIT_CONSTANT,       /* init_value everywhere */
    INIT_UNIFORM,        /* uniform in +-init_value */
} ProgramInit;

typedef enum ProgramRole {
    ROLE_INPUT,     /* filled before each run */
    ROLE_OUTPUT,    /* valid after each run, until the next */
    ROLE_PARAMETER, /* a weight or running statistic that the program uses */
    ROLE_UNUSED,    /* a parameter of a branch that is not evaluated: named, counted, and accepted in weight
                       files */
} ProgramRole;

/* A named tensor, dense row-major with the given dims (NCHW for pictures). */
typedef struct ProgramTensor {
    ProgramRef name; /* the dotted path for parameters */
    uint8_t role, dtype, space, init;
    uint8_t statistic; /* parameter: 1 for running_mean and running_var, which no optimiser updates */
    uint8_t rank;
    uint16_t network; /* parameter: index into ProgramHeader.networks */
    float init_value; /* see ProgramInit; for KAIMING the fan */
    int64_t dims[PROGRAM_MAX_RANK];
    uint64_t offset, bytes; /* in its space; none for ROLE_UNUSED */
} ProgramTensor;

typedef struct ProgramArg {
    uint32_t space; /* ProgramSpace */
    uint32_t reserved;
    uint64_t offset; /* bytes */
} ProgramArg;

typedef enum ProgramPhase { PHASE_PREPARE, PHASE_RUN } ProgramPhase;

typedef struct ProgramStep {
    ProgramRef name; /* the graph nodes it computes, for people: "context_path.layer1.0.conv1+relu" */
    ProgramRef kind; /* the kernel's kind: "conv2d 3x3 direct", "resize", ... */
    uint32_t phase;
    uint32_t kernel; /* index into the kernel table */
    uint32_t first_arg, n_args;
    int64_t units;
    double flops; /* floating-point operations one run of the step does: 2 per multiply-add */
    double bytes; /* bytes it has to read and write at least once */
} ProgramStep;

/* How pictures become the input and what the output's classes are. */
typedef struct ProgramPreprocess {
    uint32_t channels; /* 0: RGB order, 1: BGR */
    float scale;       /* x = (v * scale - mean[c]) / std[c], v in 0..255, c in the order of the channels */
    float mean[3], std[3];
} ProgramPreprocess;

typedef struct ProgramClass {
    ProgramRef name;
    uint8_t color[3]; /* RGB */
    uint8_t ignored;  /* 1: a void output class: predicting it is a miss, and it has no IoU of its own */
} ProgramClass;

typedef struct ProgramHeader {
    uint64_t magic, image_bytes;
    ProgramRef name;    /* of the network or program */
    ProgramRef source;  /* the YAML file it was built from, as given */
    ProgramRef version; /* of segc */
    ProgramRef
        cpu_features;     /* comma-separated features the kernels need, "avx2,fma": empty for the baseline */
    ProgramRef networks;  /* ProgramRef each: names */
    ProgramRef tensors;   /* ProgramTensor */
    ProgramRef steps;     /* ProgramStep, all PREPARE before all RUN */
    ProgramRef args;      /* ProgramArg */
    ProgramRef classes;   /* ProgramClass; may be empty */
    ProgramRef constants; /* bytes, 64-aligned */
    ProgramPreprocess preprocess;
    uint64_t arena_bytes, persistent_bytes, scratch_bytes; /* scratch: per thread */
    int64_t batch, height, width;                          /* of the picture input */
    int64_t ignore_index; /* label value that is not counted, 255 unless said */
    /* Counts of the graph as declared, for `info` (see `segc stats`): */
    int64_t parameters_deployed, parameters_declared;
    int64_t multiply_adds, conv_multiply_adds;
    uint32_t n_kernels, vector_width;
} ProgramHeader;

/* What a program object defines (JIT: what the compiler hands over). */
typedef struct Program {
    const ProgramHeader *header;
    ProgramKernelFn *const *kernels; /* header->n_kernels of them */
} Program;

#define PROGRAM_ARRAY(header, type, ref) ((const type *)((const char *)(header) + (ref).offset))
#define PROGRAM_TEXT(header, ref)        ((const char *)(header) + (ref).offset)

#endif
