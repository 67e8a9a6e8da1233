/* libFuzzer on the weight files: any bytes are read, or refused with one line, and nothing is read out of
 * bounds or left allocated. What opens is found by its names, and comes back from our own safetensors
 * unchanged.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Iruntime tests/fuzz/fuzz_weights.c \
 *         runtime/rt_{weights,safetensors,pth}*.c runtime/rt_{zip,pickle,json,arena,new_file,status}.c -lz
 * -lm
 *     ./a.out corpus tests/fixtures/weights tests/fixtures/weights/bad */
#define _GNU_SOURCE
#include "rt_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ELEMENTS = 1 << 16 }; /* an expanded tensor may have far more than the file has bytes */

static void expect(bool truth)
{
    if (!truth) abort();
}

/* Reads a tensor into memory of its own size, so that a write beyond it is seen. */
static float *read_values(const WeightsFile *file, size_t i)
{
    float *values = malloc((size_t)file->tensors[i].count * sizeof *values);
    expect(values || file->tensors[i].count == 0);
    expect(!weights_read_f32(file, i, values, NULL));
    return values;
}

static bool is_small(const WeightsFile *file)
{
    int64_t elements = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensors[i].outside || file->tensors[i].count > MAX_ELEMENTS) return false;
        elements += file->tensors[i].count;
    }
    return elements <= MAX_ELEMENTS && file->count <= 100;
}

/* Writes the values as safetensors and compares what is read back. */
static void expect_round_trip(const WeightsFile *file)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/segc-fuzz-weights-%ld", (long)getpid());
    WeightsPart *parts = calloc(file->count + 1, sizeof *parts);
    WeightsFile *again = NULL;
    expect(parts != NULL);
    for (size_t i = 0; i < file->count; i++) {
        const WeightTensor *tensor = &file->tensors[i];
        parts[i] = (WeightsPart){tensor->name, WEIGHT_F32, tensor->rank, tensor->dims, read_values(file, i)};
    }
    expect(!weights_write(path, parts, file->count, file->metadata, file->metadata_count, NULL));
    expect(!weights_open(path, &again, NULL) && again->count == file->count);
    for (size_t i = 0; i < file->count; i++) {
        float *values = read_values(again, i);
        const size_t bytes = (size_t)file->tensors[i].count * sizeof *values;
        expect(bytes == 0 || !memcmp(values, parts[i].data, bytes));
        free(values);
        free((void *)parts[i].data);
    }
    weights_close(again);
    unlink(path);
    free(parts);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static unsigned runs;
    WeightsFile *file;
    RtError err;
    if (weights_open_memory("fuzz", data, size, &file, &err)) {
        expect(err.status == RT_BAD_INPUT && !file && !strchr(err.text, '\n'));
        return 0;
    }
    for (size_t i = 0; i < file->count; i++) {
        expect(weights_find(file, file->tensors[i].name) == i || file->tensors[i].outside);
        if (file->tensors[i].count <= MAX_ELEMENTS) free(read_values(file, i));
    }
    if (runs++ % 64 == 0 && is_small(file)) expect_round_trip(file);
    weights_close(file);
    return 0;
}
