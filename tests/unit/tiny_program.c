/* See tiny_program.h. The image is appended to piece by piece; the header stands at its start and is written
 * last. */
#include "tiny_program.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, IMAGE_CAPACITY = 1 << 16 };

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

void tiny_begin(TinyProgram *tiny)
{
    tiny->capacity = IMAGE_CAPACITY;
    tiny->image = aligned_alloc(ALIGN, tiny->capacity);
    assert(tiny->image);
    memset(tiny->image, 0, tiny->capacity);
    tiny->used = sizeof(ProgramHeader);
}

void tiny_end(TinyProgram *tiny, ProgramHeader *header, ProgramKernelFn *const *kernel_table)
{
    header->image_bytes = tiny->used;
    memcpy(tiny->image, header, sizeof *header);
    tiny->program = (Program){.header = (const ProgramHeader *)tiny->image, .kernels = kernel_table};
}

ProgramRef tiny_append(TinyProgram *tiny, const void *data, size_t bytes, size_t count)
{
    uint32_t offset = (uint32_t)aligned(tiny->used);
    assert(offset + bytes <= tiny->capacity);
    if (bytes) memcpy(tiny->image + offset, data, bytes);
    tiny->used = offset + (uint32_t)bytes;
    return (ProgramRef){offset, (uint32_t)count};
}

ProgramRef tiny_text(TinyProgram *tiny, const char *string)
{
    return tiny_append(tiny, string, strlen(string) + 1, strlen(string));
}

#define ARRAY(tiny, array, count) tiny_append(tiny, array, (size_t)(count) * sizeof *(array), (size_t)(count))

/* Kernels. Each reads its sizes from a constant table: classes, pixels per picture. */
static void pack(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const int64_t *sizes = args[0];
    const float *weight = args[1];
    float *packed = args[2];
    for (int64_t c = begin; c < end; c++) {
        for (int k = 0; k < 3; k++) packed[k * sizes[0] + c] = weight[c * 3 + k];
    }
}

/* One unit per picture and class; goes through scratch so that a shared scratch would be noticed. */
static void convolve(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    const int64_t *sizes = args[0];
    const float *image = args[1], *packed = args[2], *bias = args[3];
    float *scores = args[4], *sum = scratch;
    int64_t classes = sizes[0], pixels = sizes[1];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t n = unit / classes, c = unit % classes;
        for (int64_t p = 0; p < pixels; p++) sum[p] = bias[c];
        for (int k = 0; k < 3; k++) {
            for (int64_t p = 0; p < pixels; p++)
                sum[p] += packed[k * classes + c] * image[(n * 3 + k) * pixels + p];
        }
        memcpy(scores + unit * pixels, sum, (size_t)pixels * sizeof *sum);
    }
}

/* One unit per pixel of the batch. */
static void choose(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const int64_t *sizes = args[0];
    const float *scores = args[1];
    int32_t *ids = args[2];
    int64_t classes = sizes[0], pixels = sizes[1];
    for (int64_t unit = begin; unit < end; unit++) {
        const float *score = scores + unit / pixels * classes * pixels + unit % pixels;
        int32_t best = 0;
        for (int32_t c = 1; c < classes; c++) {
            if (score[c * pixels] > score[best * pixels]) best = c;
        }
        ids[unit] = best;
    }
}

static ProgramKernelFn *const kernels[] = {pack, convolve, choose};

/* Offsets of everything: the plan. */
typedef struct Plan {
    uint64_t image, scores, ids, arena;
    uint64_t weight, bias, packed, mean, var, persistent;
} Plan;

static Plan make_plan(const TinyProgram *tiny)
{
    uint64_t pixels = (uint64_t)(tiny->batch * tiny->height * tiny->width), classes = (uint64_t)tiny->classes;
    Plan plan = {.scores = aligned(pixels * 3 * 4)};
    plan.ids = plan.scores + aligned(pixels * classes * 4);
    plan.arena = plan.ids + aligned(pixels * 4) + tiny->arena_extra;
    plan.bias = aligned(classes * 3 * 4);
    plan.packed = plan.bias + aligned(classes * 4);
    plan.mean = plan.packed + aligned(classes * 3 * 4);
    plan.var = plan.mean + ALIGN;
    plan.persistent = plan.var + ALIGN;
    return plan;
}

static void add_tensors(TinyProgram *tiny, ProgramHeader *header, const Plan *plan)
{
    int64_t n = tiny->batch, c = tiny->classes, h = tiny->height, w = tiny->width;
    ProgramTensor tensors[8] = {
        {.role = ROLE_INPUT, .rank = 4, .dims = {n, 3, h, w}, .offset = plan->image},
        {.role = ROLE_PARAMETER,
         .space = SPACE_PERSISTENT,
         .init = INIT_UNIFORM,
         .init_value = 1.4F,
         .rank = 4,
         .dims = {c, 3, 1, 1},
         .offset = plan->weight},
        {.role = ROLE_PARAMETER,
         .space = SPACE_PERSISTENT,
         .init = INIT_UNIFORM,
         .init_value = 0.5f,
         .rank = 1,
         .dims = {c},
         .offset = plan->bias},
        {.role = ROLE_UNUSED, .rank = 1, .dims = {5}},
    };
    const char *names[8] = {"image", "head.weight", "head.bias", "aux.weight"};
    int count = 4;
    if (tiny->with_norm) {
        ProgramTensor norm = {.role = ROLE_PARAMETER, .space = SPACE_PERSISTENT, .rank = 1, .dims = {3}};
        names[count] = "norm.running_mean";
        tensors[count] = norm;
        tensors[count++].offset = plan->mean;
        names[count] = "norm.running_var";
        tensors[count] = norm;
        tensors[count++].offset = plan->var;
    }
    if (!tiny->no_scores) {
        names[count] = "scores";
        tensors[count++] =
            (ProgramTensor){.role = ROLE_OUTPUT, .rank = 4, .dims = {n, c, h, w}, .offset = plan->scores};
    }
    if (!tiny->no_classes) {
        names[count] = "classes";
        tensors[count++] = (ProgramTensor){
            .role = ROLE_OUTPUT, .dtype = DTYPE_I32, .rank = 3, .dims = {n, h, w}, .offset = plan->ids};
    }
    for (int i = 0; i < count; i++) {
        tensors[i].name = tiny_text(tiny, names[i]);
        if (tensors[i].role == ROLE_UNUSED) continue;
        tensors[i].bytes = 4;
        for (int d = 0; d < tensors[i].rank; d++) tensors[i].bytes *= (uint64_t)tensors[i].dims[d];
    }
    header->tensors = ARRAY(tiny, tensors, count);
}

static void add_steps(TinyProgram *tiny, ProgramHeader *header, const Plan *plan)
{
    const ProgramArg sizes = {.space = SPACE_CONST};
    ProgramArg args[] = {
        sizes,
        {SPACE_PERSISTENT, 0, plan->weight},
        {SPACE_PERSISTENT, 0, plan->packed},
        sizes,
        {SPACE_ARENA, 0, plan->image},
        {SPACE_PERSISTENT, 0, plan->packed},
        {SPACE_PERSISTENT, 0, plan->bias},
        {SPACE_ARENA, 0, plan->scores},
        sizes,
        {SPACE_ARENA, 0, plan->scores},
        {SPACE_ARENA, 0, plan->ids},
    };
    double pixels = (double)(tiny->batch * tiny->height * tiny->width), classes = (double)tiny->classes;
    ProgramStep steps[] = {
        {.name = tiny_text(tiny, "head.weight"),
         .kind = tiny_text(tiny, "pack"),
         .phase = PHASE_PREPARE,
         .kernel = 0,
         .first_arg = 0,
         .n_args = 3,
         .units = tiny->classes,
         .bytes = classes * 24},
        {.name = tiny_text(tiny, "head"),
         .kind = tiny_text(tiny, "conv2d 1x1"),
         .phase = PHASE_RUN,
         .kernel = 1,
         .first_arg = 3,
         .n_args = 5,
         .units = tiny->batch * tiny->classes,
         .flops = pixels * classes * 6,
         .bytes = pixels * 4 * (3 + classes)},
        {.name = tiny_text(tiny, "classes"),
         .kind = tiny_text(tiny, "argmax"),
         .phase = PHASE_RUN,
         .kernel = 2,
         .first_arg = 8,
         .n_args = 3,
         .units = tiny->batch * tiny->height * tiny->width,
         .bytes = pixels * 4 * (classes + 1)},
    };
    header->args = ARRAY(tiny, args, sizeof args / sizeof *args);
    header->steps = ARRAY(tiny, steps, tiny->no_classes ? 2 : 3);
}

static void add_classes(TinyProgram *tiny, ProgramHeader *header)
{
    ProgramClass classes[256];
    for (int64_t i = 0; i < tiny->classes; i++) {
        char name[16];
        snprintf(name, sizeof name, "thing%d", (int)i);
        classes[i] =
            (ProgramClass){.name = tiny_text(tiny, name), .color = {(uint8_t)(i * 40), (uint8_t)i, 200}};
        classes[i].ignored = tiny->last_is_void && i == tiny->classes - 1;
    }
    header->classes = ARRAY(tiny, classes, tiny->unnamed_classes ? 0 : tiny->classes);
}

void tiny_build(TinyProgram *tiny)
{
    tiny_begin(tiny);
    Plan plan = make_plan(tiny);
    int64_t pixels = tiny->height * tiny->width;
    ProgramHeader header = {
        .magic = PROGRAM_MAGIC,
        .name = tiny_text(tiny, "tiny"),
        .source = tiny_text(tiny, "tests/tiny.yaml"),
        .version = tiny_text(tiny, "0.0"),
        .cpu_features = tiny_text(tiny, tiny->cpu_features ? tiny->cpu_features : ""),
        .preprocess = {.scale = 1 / 255.0f, .std = {1, 1, 1}},
        .arena_bytes = plan.arena,
        .persistent_bytes = plan.persistent,
        .scratch_bytes = (uint64_t)pixels * 4,
        .batch = tiny->batch,
        .height = tiny->height,
        .width = tiny->width,
        .ignore_index = 255,
        .parameters_deployed = tiny->classes * 4,
        .parameters_declared = tiny->classes * 4 + 5,
        .multiply_adds = pixels * tiny->classes * 3,
        .conv_multiply_adds = pixels * tiny->classes * 3,
        .n_kernels = 3,
        .vector_width = 1,
    };
    add_tensors(tiny, &header, &plan);
    add_steps(tiny, &header, &plan);
    add_classes(tiny, &header);
    const int64_t sizes[] = {tiny->classes, pixels};
    header.constants = tiny_append(tiny, sizes, sizeof sizes, sizeof sizes);
    tiny_end(tiny, &header, kernels);
}

void tiny_free(TinyProgram *tiny)
{
    free(tiny->image);
}
