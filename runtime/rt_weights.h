/* Weight files: safetensors, read and written, and PyTorch's .pth, read.
 *
 * The format is recognised by content, never by name. Of a .pth both kinds are read, the zip of torch >= 1.6
 * and the stream of pickles before it, by a restricted reader that knows tensors, parameters, and containers
 * of them, and refuses whatever else a pickle asks for, by name; nothing in a file is ever executed.
 *
 * Names. Tensors of nested dicts are named by the keys joined with '.'. When the outermost dict has an entry
 * `state_dict`, `model_state_dict` or `model` that holds tensors, those are named without it, and tensors
 * beside it (an optimiser's state) are marked `outside`: found by name, never called surplus. So are tensors
 * of a safetensors file whose metadata names them, a line each, under WEIGHTS_OUTSIDE_KEY. A `module.` common
 * to all names (left by DataParallel) is dropped. Names are unique but for those outside.
 *
 * Damage. Everything a header says is checked against the file's size when it is opened; a file that
 * contradicts itself is refused with one line that names the file and the tensor, and is never half-used.
 *
 * Memory. The file is mapped, not copied; one WeightsFile owns the mapping and all it points to, until
 * weights_close. As with any mapping, shortening the file in place meanwhile ends the process (SIGBUS);
 * replacing it by renaming, as weights_write does, is harmless. A WeightsFile may be read from several
 * threads.
 *
 * Errors. RT_BAD_INPUT: the file (missing, damaged, another format, refused); RT_MACHINE: no memory, or the
 * system cannot read or write; RT_BUG: arguments that no caller should pass.
 *
 *     WeightsFile *file;
 *     if (weights_open("street.safetensors", &file, &err)) return err.status;
 *     size_t i = weights_find(file, "conv1.weight");
 *     if (i != WEIGHTS_NONE && weights_read_f32(file, i, values, &err)) ...
 *     weights_close(file);
 */
#ifndef RT_WEIGHTS_H
#define RT_WEIGHTS_H

#include "rt_status.h"

#include <stdbool.h>
#include <stdint.h>

enum { WEIGHTS_MAX_RANK = 8 };
#define WEIGHTS_NONE        SIZE_MAX
#define WEIGHTS_OUTSIDE_KEY "segc.outside"

/* name, safetensors' name, PyTorch's storage class, PyTorch's dtype, bytes of an element */
#define WEIGHT_DTYPES(X)                                                                                     \
    X(WEIGHT_F32, "F32", "FloatStorage", "float32", 4)                                                       \
    X(WEIGHT_F16, "F16", "HalfStorage", "float16", 2)                                                        \
    X(WEIGHT_BF16, "BF16", "BFloat16Storage", "bfloat16", 2)                                                 \
    X(WEIGHT_F64, "F64", "DoubleStorage", "float64", 8)                                                      \
    X(WEIGHT_I64, "I64", "LongStorage", "int64", 8)                                                          \
    X(WEIGHT_I32, "I32", "IntStorage", "int32", 4)                                                           \
    X(WEIGHT_I16, "I16", "ShortStorage", "int16", 2)                                                         \
    X(WEIGHT_I8, "I8", "CharStorage", "int8", 1)                                                             \
    X(WEIGHT_U64, "U64", "UInt64Storage", "uint64", 8)                                                       \
    X(WEIGHT_U32, "U32", "UInt32Storage", "uint32", 4)                                                       \
    X(WEIGHT_U16, "U16", "UInt16Storage", "uint16", 2)                                                       \
    X(WEIGHT_U8, "U8", "ByteStorage", "uint8", 1)                                                            \
    X(WEIGHT_BOOL, "BOOL", "BoolStorage", "bool", 1)

typedef enum WeightDtype {
#define X(id, safetensors, storage, torch, size) id,
    WEIGHT_DTYPES(X)
#undef X
        WEIGHT_DTYPE_COUNT
} WeightDtype;

typedef struct WeightTensor {
    const char *name; /* UTF-8 without control characters */
    WeightDtype dtype;
    int rank; /* 0: a scalar */
    int64_t dims[WEIGHTS_MAX_RANK];
    int64_t count; /* elements: the product of dims */
    bool outside;  /* beside the state dict, see above */
    /* Where the elements are; for weights_read_f32. */
    const unsigned char *data;         /* element 0, 0, ... */
    int64_t strides[WEIGHTS_MAX_RANK]; /* elements */
    bool big_endian;
} WeightTensor;

typedef struct WeightsText {
    const char *key, *value; /* UTF-8 */
} WeightsText;

typedef struct WeightsFile {
    const char *path;
    const char *format; /* for people: "safetensors", "PyTorch zip", "PyTorch before 1.6" */
    size_t count;
    WeightTensor *tensors; /* in the file's order */
    size_t metadata_count;
    WeightsText *metadata;        /* safetensors' __metadata__, in the file's order; none in a .pth */
    struct WeightsInside *inside; /* the mapping and the memory behind all this */
} WeightsFile;

/* On failure *file is NULL. */
RtStatus weights_open(const char *path, WeightsFile **file, RtError *err);
/* The same from memory, which must outlive the file; path stands in messages. */
RtStatus weights_open_memory(const char *path, const void *data, size_t size, WeightsFile **file,
                             RtError *err);
/* Takes NULL. */
void weights_close(WeightsFile *file);

/* Index of the tensor of that name, or WEIGHTS_NONE; takes log n comparisons. */
size_t weights_find(const WeightsFile *file, const char *name);
/* Value of a metadata key, or NULL. */
const char *weights_metadata(const WeightsFile *file, const char *key);
/* Writes tensors[index].count floats in row-major order. Halves and bfloat16 are exact; doubles and integers
 * are rounded to the nearest; bool is 0 or 1. RT_BUG: no such index. */
RtStatus weights_read_f32(const WeightsFile *file, size_t index, float *out, RtError *err);

const char *weights_dtype_name(WeightDtype dtype); /* safetensors' */
size_t weights_dtype_size(WeightDtype dtype);      /* bytes of an element */

/* A tensor to write: dense, row-major, in the machine's byte order. */
typedef struct WeightsPart {
    const char *name;
    WeightDtype dtype;
    int rank;
    const int64_t *dims;
    const void *data;
} WeightsPart;

/* Writes a safetensors file, which appears complete or not at all (rt_new_file.h). Tensors lie in it in the
 * given order; those of wide elements first keeps all of them aligned. RT_BUG: a name twice or not UTF-8, or
 * a bad shape. */
RtStatus weights_write(const char *path, const WeightsPart *parts, size_t count, const WeightsText *metadata,
                       size_t metadata_count, RtError *err);
/* The same for tensors that are made one by one: source returns the data of tensor index, valid until its
 * next call; parts[i].data are not looked at. */
typedef const void *WeightsSourceFn(void *context, size_t index);
RtStatus weights_write_from(const char *path, const WeightsPart *parts, size_t count,
                            const WeightsText *metadata, size_t metadata_count, WeightsSourceFn *source,
                            void *context, RtError *err);

/* A parameter that a network has. */
typedef struct WeightsWanted {
    const char *name;
    int rank;
    const int64_t *dims;
    bool optional; /* of a branch that is not evaluated: taken if it is there and fits */
} WeightsWanted;

enum {
    WEIGHTS_ALLOW_MISSING = 1,   /* a parameter without a tensor is a warning */
    WEIGHTS_ALLOW_MISSHAPED = 2, /* so is one whose tensor has another shape; it is then not taken */
};

/* Plain data. The texts have a line per tensor, the first 20 of each kind and a count; without a final
 * newline; empty when there is nothing to say. */
typedef struct WeightsMatch {
    size_t taken;     /* parameters that a tensor was found for */
    size_t missing;   /* parameters, not optional, without a tensor */
    size_t misshaped; /* parameters whose tensor has another shape */
    size_t surplus;   /* tensors that no parameter took; num_batches_tracked and outside ones not counted */
    char errors[6000];
    char warnings[6000];
} WeightsMatch;

/* Compares parameters with a file. found[i] becomes the index of the tensor for wanted[i], or WEIGHTS_NONE.
 * RT_BAD_INPUT when something that flags don't allow is missing or of another shape; err then begins as
 * match->errors does, which has more room. Surplus tensors, and optional parameters of another shape, are
 * warnings always. */
RtStatus weights_match(const WeightsFile *file, const WeightsWanted *wanted, size_t count, unsigned flags,
                       size_t *found, WeightsMatch *match, RtError *err);

#endif
