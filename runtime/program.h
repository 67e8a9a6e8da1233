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
 * only); then for each batch fill the inputs, run the RUN steps in order, read the outputs. A training
 * program has players besides: among the RUN steps stand UPDATE steps, which write new parameters and states
 * in place, and which are left out for players that don't step (in all micro-batches but a step's last: for
 * all). A step runs its kernel over work units 0..units-1, which may be divided among threads in any way;
 * steps are separated by barriers. Results don't depend on how units were divided.
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
    INIT_CONSTANT, /* init_value everywhere */
    INIT_UNIFORM,  /* uniform in +-init_value */
} ProgramInit;

typedef enum ProgramRole {
    ROLE_INPUT,     /* filled before each run */
    ROLE_OUTPUT,    /* valid after each run, until the next */
    ROLE_PARAMETER, /* a weight or running statistic that the program uses */
    ROLE_UNUSED,    /* a parameter of a branch that is not evaluated: named, counted, and accepted in weight
                       files */
    ROLE_STATE,   /* an optimiser's own, named PLAYER.PARAMETER.exp_avg and so on: persistent, begins at zero,
                     belongs in checkpoints */
    ROLE_TUNABLE, /* a scalar that the host sets before runs: persistent */
    ROLE_HYPER,   /* f32[PROGRAM_HYPERS] of a player, that the host sets before each run: persistent */
} ProgramRole;

/* A named tensor, dense row-major with the given dims (NCHW for pictures). */
typedef struct ProgramTensor {
    ProgramRef name; /* the dotted path for parameters */
    uint8_t role, dtype, space, init;
    uint8_t statistic; /* parameter: 1 for running_mean and running_var, which no optimiser updates */
    uint8_t rank;
    uint16_t network; /* parameter: index into ProgramHeader.networks */
    float init_value; /* see ProgramInit */
    uint32_t block;   /* 1: dense. More: parameters and states of rank 4 that updates change lie as
                         [d0][ceil(d1/block)][d2][d3][block], whatever stands beyond d1 */
    /* Of the output "classes.scores", what "classes" are the greatest of, maybe of fewer pixels: how it is
       enlarged (bilinear) to them. 1: corners on corners, 0: outline on outline */
    uint32_t align_corners;
    int64_t dims[PROGRAM_MAX_RANK];
    uint64_t offset, bytes; /* in its space, of the dense form; none for ROLE_UNUSED */
} ProgramTensor;

typedef struct ProgramArg {
    uint32_t space; /* ProgramSpace */
    uint32_t reserved;
    uint64_t offset; /* bytes */
} ProgramArg;

typedef enum ProgramPhase { PHASE_PREPARE, PHASE_RUN, PHASE_UPDATE } ProgramPhase;

typedef struct ProgramStep {
    ProgramRef name; /* the graph nodes it computes, for people: "context_path.layer1.0.conv1+relu" */
    ProgramRef kind; /* the kernel's kind: "conv2d 3x3 direct", "resize", ... */
    uint32_t phase;
    uint32_t kernel; /* index into the kernel table */
    uint32_t first_arg, n_args;
    int32_t player; /* PHASE_UPDATE: done when this player steps; else -1 */
    uint32_t reserved;
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

/* What is done to the pictures of a stream, and to their labels, before they are trained on: rt_augment.h
 * says how. */
typedef enum ProgramAugmentKind {
    AUGMENT_SIZE,     /* value: rows, columns */
    AUGMENT_SCALE,    /* value: least and most factor */
    AUGMENT_FLIP,     /* left to right */
    AUGMENT_ROTATION, /* value: most degrees, to either side */
    AUGMENT_JITTER,   /* value: brightness, contrast, saturation, hue */
    AUGMENT_BLUR,     /* value: kernel, least and most sigma, pixels */
    AUGMENT_CROP,     /* value: least and most share of the area, least and most width / height */
} ProgramAugmentKind;

typedef struct ProgramAugment {
    ProgramRef stream; /* "source": the part before the dot of its inputs' names */
    uint32_t kind;     /* ProgramAugmentKind */
    float p;           /* share of pictures that it is done to */
    float value[4];
} ProgramAugment;

typedef struct ProgramClass {
    ProgramRef name;
    uint8_t color[3]; /* RGB */
    uint8_t ignored;  /* 1: a void output class: predicting it is a miss, and it has no IoU of its own */
} ProgramClass;

/* What a ROLE_HYPER tensor holds. */
typedef enum ProgramHyper {
    HYPER_LR,    /* learning rate of this step, before the multipliers of groups */
    HYPER_BIAS1, /* Adam: 1 - beta1^t, t counting the player's steps from 1. SGD: the share of a new gradient
                    in the momentum, 1 in the first step, then 1 - dampening, as PyTorch has it */
    HYPER_BIAS2, /* Adam: 1 - beta2^t */
    HYPER_KEEP,  /* 0 in the first micro-batch of a step, then 1: what remains of the accumulated gradient */
    PROGRAM_HYPERS,
} ProgramHyper;

typedef enum ProgramOptimizer { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW } ProgramOptimizer;

typedef enum ProgramScheduleKind {
    SCHEDULE_CONSTANT,
    SCHEDULE_POLY,   /* lr * (1 - t / total)^power, 0 from total on */
    SCHEDULE_STEP,   /* lr * gamma^floor(t / step_size) */
    SCHEDULE_COSINE, /* lr_min + (lr - lr_min) * (1 + cos(pi t / total)) / 2, lr_min from total on */
} ProgramScheduleKind;

/* The learning rate as a function of the player's steps t = 0, 1, ... (total: iterations of the run minus
 * `from`). During the first `warmup` steps the result is multiplied by
 * warmup_factor + (1 - warmup_factor) * t / warmup. */
typedef struct ProgramSchedule {
    uint32_t kind; /* ProgramScheduleKind */
    uint32_t reserved;
    double power, gamma, lr_min, warmup_factor;
    int64_t step_size, warmup;
} ProgramSchedule;

typedef struct ProgramPlayer {
    ProgramRef name;
    uint32_t optimizer;   /* ProgramOptimizer */
    uint32_t hyper, loss; /* indices of tensors: its ROLE_HYPER, and the output that it minimises */
    uint32_t reserved;
    double lr, beta1, beta2; /* SGD: beta1 is its dampening */
    ProgramSchedule schedule;
    int64_t from; /* its first step is that of this iteration, counted from 0 */
} ProgramPlayer;

typedef struct ProgramTunable {
    ProgramRef name;
    uint32_t tensor; /* its ROLE_TUNABLE */
    uint32_t reserved;
    double value; /* unless the command line says another */
    int64_t from; /* 0 before this iteration */
} ProgramTunable;

/* A data set that the program's YAML names: how its label files say the class, and where its files are. */
enum { PROGRAM_VOID = 256, PROGRAM_UNKNOWN = 257 }; /* beside 0..255, which are classes */

typedef struct ProgramColor {
    uint8_t rgb[3], reserved;
    uint32_t id; /* a class or PROGRAM_VOID */
} ProgramColor;

typedef struct ProgramEncoding {
    ProgramRef name;
    ProgramRef colors; /* ProgramColor, no two of one colour; of an encoding of ids empty */
    uint32_t by_color;
    uint16_t map[256]; /* of ids: what each stored value means */
} ProgramEncoding;

/* Paths below the folder given; {split}, {name} and the like stand in them. */
typedef struct ProgramLayout {
    ProgramRef name, image, label;
    uint32_t encoding, reserved; /* index into the data set's encodings */
} ProgramLayout;

typedef struct ProgramDataSet {
    ProgramRef name;
    ProgramRef encodings; /* ProgramEncoding */
    ProgramRef layouts;   /* ProgramLayout */
} ProgramDataSet;

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
    ProgramRef data_sets; /* ProgramDataSet, that of the classes first; may be empty */
    ProgramRef constants; /* bytes, 64-aligned */
    ProgramRef augments;  /* ProgramAugment, those of one stream together in their order; may be empty */
    ProgramPreprocess preprocess;
    uint64_t arena_bytes, persistent_bytes, scratch_bytes; /* scratch: per thread */
    ProgramRef players;                                    /* ProgramPlayer; none: not a training program */
    ProgramRef tunables;                                   /* ProgramTunable */
    int64_t iterations, accumulate; /* of training: steps by default; micro-batches in a step */
    int64_t validate_every;         /* iterations between validations by default; 0: at the end only */
    int64_t batch, height, width;   /* of the picture input */
    int64_t ignore_index;           /* label value that is not counted, 255 unless said */
    /* Counts of the graph as declared, for `info` (see `segc stats`): */
    int64_t parameters_deployed, parameters_declared;
    int64_t multiply_adds, conv_multiply_adds;
    uint32_t n_kernels, vector_width;
} ProgramHeader;

/* What a program object defines (JIT: what the compiler hands over). */
typedef struct Program {
    const ProgramHeader *header;
    ProgramKernelFn *const *kernels; /* header->n_kernels of them */
    const struct Program *training;  /* the same networks as a training program; NULL: no players */
} Program;

#define PROGRAM_ARRAY(header, type, ref) ((const type *)((const char *)(header) + (ref).offset))
#define PROGRAM_TEXT(header, ref)        ((const char *)(header) + (ref).offset)

#endif
