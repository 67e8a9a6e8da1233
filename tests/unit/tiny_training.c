/* See tiny_training.h. */
#include "tiny_training.h"

#include <math.h>
#include <string.h>

enum { MOST_CLASSES = 16, BLOCK = 2, WEIGHT_OF_CLASS = 4 /* floats: ceil(3 / BLOCK) * BLOCK */ };

/* Constants of the program, args[0] of every kernel. */
typedef struct Sizes {
    int64_t batch, classes, pixels;
    float poison;
} Sizes;

/* Places in persistent memory: gradients stay there from one micro-batch to the next. */
typedef struct Place {
    float weight[MOST_CLASSES * WEIGHT_OF_CLASS], weight_momentum[MOST_CLASSES * WEIGHT_OF_CLASS];
    float weight_grad[MOST_CLASSES * WEIGHT_OF_CLASS];
    float bias[MOST_CLASSES], bias_momentum[MOST_CLASSES], bias_grad[MOST_CLASSES];
    float critic, critic_grad, mean[3], var[3], scale;
    float model_hyper[PROGRAM_HYPERS], critic_hyper[PROGRAM_HYPERS];
} Place;

/* args: sizes, place, source image, label, target image, fit, scaled, follow. */
static void fit(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    const Sizes *sizes = args[0];
    Place *place = args[1];
    const float *image = args[2], *target = args[4];
    const int32_t *label = args[3];
    float *loss = args[5], *scaled = args[6], keep = place->model_hyper[HYPER_KEEP];
    int64_t counted = 0;
    for (int64_t i = 0; i < sizes->batch * sizes->pixels; i++) counted += label[i] != 255;
    for (int64_t i = 0; i < sizes->classes * WEIGHT_OF_CLASS; i++) place->weight_grad[i] *= keep;
    for (int64_t i = 0; i < sizes->classes; i++) place->bias_grad[i] *= keep;
    *loss = 0;
    if (sizes->poison > 0 && target[0] > sizes->poison) *loss = place->weight_grad[0] = NAN;
    for (int64_t i = 0; i < sizes->batch * sizes->pixels; i++) {
        const float *x = image + i / sizes->pixels * 3 * sizes->pixels + i % sizes->pixels;
        if (label[i] == 255) continue;
        for (int64_t c = 0; c < sizes->classes; c++) {
            float *grad = place->weight_grad + c * WEIGHT_OF_CLASS, score = place->bias[c];
            for (int k = 0; k < 3; k++)
                score += place->weight[c * WEIGHT_OF_CLASS + k] * x[k * sizes->pixels];
            float error = score - (label[i] == c ? 1 : 0);
            *loss += error * error / (float)counted;
            for (int k = 0; k < 3; k++)
                grad[k] += 2 * place->scale * error * x[k * sizes->pixels] / (float)counted;
            place->bias_grad[c] += 2 * place->scale * error / (float)counted;
        }
    }
    *scaled = *loss * place->scale;
}

static void move(float *values, float *momentum, const float *grad, int64_t count, float lr)
{
    for (int64_t i = 0; i < count; i++) {
        momentum[i] = 0.9f * momentum[i] + grad[i];
        values[i] -= lr * momentum[i];
    }
}

static void update_model(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    const Sizes *sizes = args[0];
    Place *place = args[1];
    float lr = place->model_hyper[HYPER_LR];
    move(place->weight, place->weight_momentum, place->weight_grad, sizes->classes * WEIGHT_OF_CLASS, lr);
    move(place->bias, place->bias_momentum, place->bias_grad, sizes->classes, lr);
}

static void follow(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    const Sizes *sizes = args[0];
    Place *place = args[1];
    const float *target = args[4];
    float *loss = args[7], all = 0;
    int64_t count = sizes->batch * sizes->pixels;
    for (int k = 0; k < 3; k++) {
        float sum = 0, squares = 0;
        for (int64_t i = 0; i < count; i++)
            sum += target[i / sizes->pixels * 3 * sizes->pixels + k * sizes->pixels + i % sizes->pixels];
        float mean = sum / (float)count;
        for (int64_t i = 0; i < count; i++) {
            float x =
                target[i / sizes->pixels * 3 * sizes->pixels + k * sizes->pixels + i % sizes->pixels] - mean;
            squares += x * x;
        }
        place->mean[k] += 0.25f * (mean - place->mean[k]);
        place->var[k] += 0.25f * (squares / (float)(count - 1) - place->var[k]);
        all += mean / 3;
    }
    float error = place->critic - all;
    *loss = error * error;
    place->critic_grad = place->critic_hyper[HYPER_KEEP] * place->critic_grad + 2 * error;
}

static void update_critic(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    Place *place = args[1];
    place->critic -= place->critic_hyper[HYPER_LR] * place->critic_grad;
}

static ProgramKernelFn *const kernels[] = {fit, update_model, follow, update_critic};

#define PLACE(field) offsetof(Place, field)

typedef struct Arena {
    uint64_t image, label, target, fit, scaled, follow, bytes;
} Arena;

static Arena make_arena(const TinyTraining *training)
{
    uint64_t pixels = (uint64_t)(training->batch * training->height * training->width) * 4;
    return (Arena){
        .label = pixels * 3,
        .target = pixels * 4,
        .fit = pixels * 7,
        .scaled = pixels * 7 + 4,
        .follow = pixels * 7 + 8,
        .bytes = pixels * 7 + 12,
    };
}

static void add_tensors(TinyTraining *training, ProgramHeader *header, const Arena *arena)
{
    int64_t n = training->batch, c = training->classes, h = training->height, w = training->width;
    const struct {
        const char *name;
        ProgramTensor tensor;
    } list[] = {
        {"source.image", {.role = ROLE_INPUT, .rank = 4, .dims = {n, 3, h, w}, .offset = arena->image}},
        {"source.label",
         {.role = ROLE_INPUT, .dtype = DTYPE_I32, .rank = 3, .dims = {n, h, w}, .offset = arena->label}},
        {"target.image", {.role = ROLE_INPUT, .rank = 4, .dims = {n, 3, h, w}, .offset = arena->target}},
        {"head.weight",
         {.role = ROLE_PARAMETER,
          .init = INIT_UNIFORM,
          .init_value = 1.4F,
          .block = BLOCK,
          .rank = 4,
          .dims = {c, 3, 1, 1},
          .offset = PLACE(weight)}},
        {"head.bias", {.role = ROLE_PARAMETER, .rank = 1, .dims = {c}, .offset = PLACE(bias)}},
        {"critic.weight", {.role = ROLE_PARAMETER, .rank = 1, .dims = {1}, .offset = PLACE(critic)}},
        {"norm.running_mean",
         {.role = ROLE_PARAMETER, .statistic = 1, .rank = 1, .dims = {3}, .offset = PLACE(mean)}},
        {"norm.running_var",
         {.role = ROLE_PARAMETER,
          .statistic = 1,
          .init = INIT_ONE,
          .rank = 1,
          .dims = {3},
          .offset = PLACE(var)}},
        {"model.head.weight.momentum",
         {.role = ROLE_STATE,
          .block = BLOCK,
          .rank = 4,
          .dims = {c, 3, 1, 1},
          .offset = PLACE(weight_momentum)}},
        {"model.head.bias.momentum",
         {.role = ROLE_STATE, .rank = 1, .dims = {c}, .offset = PLACE(bias_momentum)}},
        {"scale", {.role = ROLE_TUNABLE, .offset = PLACE(scale)}},
        {"model.hyper",
         {.role = ROLE_HYPER, .rank = 1, .dims = {PROGRAM_HYPERS}, .offset = PLACE(model_hyper)}},
        {"critic.hyper",
         {.role = ROLE_HYPER, .rank = 1, .dims = {PROGRAM_HYPERS}, .offset = PLACE(critic_hyper)}},
        {"fit", {.role = ROLE_OUTPUT, .offset = arena->fit}},
        {"scaled", {.role = ROLE_OUTPUT, .offset = arena->scaled}},
        {"follow", {.role = ROLE_OUTPUT, .offset = arena->follow}},
    };
    enum { COUNT = sizeof list / sizeof *list };
    ProgramTensor tensors[COUNT];
    for (int i = 0; i < COUNT; i++) {
        tensors[i] = list[i].tensor;
        tensors[i].name = tiny_text(&training->train, list[i].name);
        if (!tensors[i].block) tensors[i].block = 1;
        tensors[i].bytes = 4;
        for (int d = 0; d < tensors[i].rank; d++) tensors[i].bytes *= (uint64_t)tensors[i].dims[d];
        bool is_run = tensors[i].role == ROLE_INPUT || tensors[i].role == ROLE_OUTPUT;
        tensors[i].space = is_run ? SPACE_ARENA : SPACE_PERSISTENT;
    }
    header->tensors = tiny_append(&training->train, tensors, sizeof tensors, COUNT);
}

static void add_players(TinyTraining *training, ProgramHeader *header)
{
    TinyProgram *tiny = &training->train;
    const ProgramPlayer players[] = {
        {.name = tiny_text(tiny, "model"),
         .hyper = 11,
         .loss = 14,
         .lr = 0.05,
         .schedule = {.kind = SCHEDULE_POLY, .power = 0.9}},
        {.name = tiny_text(tiny, "critic"),
         .hyper = 12,
         .loss = 15,
         .lr = 0.1,
         .from = training->critic_from},
    };
    const ProgramTunable tunables[] = {{.name = tiny_text(tiny, "scale"), .tensor = 10, .value = 1}};
    header->players = tiny_append(tiny, players, sizeof players, 2);
    header->tunables = tiny_append(tiny, tunables, sizeof tunables, 1);
}

static void add_steps(TinyTraining *training, ProgramHeader *header, const Arena *arena)
{
    TinyProgram *tiny = &training->train;
    const ProgramArg args[] = {
        {.space = SPACE_CONST},    {.space = SPACE_PERSISTENT}, {.offset = arena->image},
        {.offset = arena->label},  {.offset = arena->target},   {.offset = arena->fit},
        {.offset = arena->scaled}, {.offset = arena->follow},
    };
    ProgramStep steps[] = {
        {.name = tiny_text(tiny, "fit"), .phase = PHASE_RUN, .kernel = 0, .player = -1},
        {.name = tiny_text(tiny, "model"), .phase = PHASE_UPDATE, .kernel = 1, .player = 0},
        {.name = tiny_text(tiny, "follow"), .phase = PHASE_RUN, .kernel = 2, .player = -1},
        {.name = tiny_text(tiny, "critic"), .phase = PHASE_UPDATE, .kernel = 3, .player = 1},
    };
    for (int i = 0; i < 4; i++) {
        steps[i].kind = tiny_text(tiny, "by hand");
        steps[i].n_args = 8;
        steps[i].units = 1;
    }
    header->args = tiny_append(tiny, args, sizeof args, 8);
    header->steps = tiny_append(tiny, steps, sizeof steps, 4);
}

void tiny_training_build(TinyTraining *training)
{
    training->predict = (TinyProgram){.batch = training->batch,
                                      .height = training->height,
                                      .width = training->width,
                                      .classes = training->classes,
                                      .with_norm = training->norm_in_predict};
    tiny_build(&training->predict);
    TinyProgram *tiny = &training->train;
    tiny_begin(tiny);
    const Arena arena = make_arena(training);
    ProgramHeader header = {
        .magic = PROGRAM_MAGIC,
        .name = tiny_text(tiny, training->name ? training->name : "tiny"),
        .source = tiny_text(tiny, "tests/tiny.yaml"),
        .version = tiny_text(tiny, "0.0"),
        .cpu_features = tiny_text(tiny, ""),
        .preprocess = {.scale = 1 / 255.0f, .std = {1, 1, 1}},
        .arena_bytes = arena.bytes,
        .persistent_bytes = sizeof(Place),
        .scratch_bytes = 64,
        .iterations = training->iterations,
        .accumulate = training->accumulate,
        .batch = training->batch,
        .height = training->height,
        .width = training->width,
        .ignore_index = 255,
        .n_kernels = 4,
        .vector_width = 1,
    };
    const Sizes sizes = {training->batch, training->classes, training->height * training->width,
                         training->poison};
    add_tensors(training, &header, &arena);
    add_players(training, &header);
    add_steps(training, &header, &arena);
    header.constants = tiny_append(tiny, &sizes, sizeof sizes, sizeof sizes);
    ProgramClass classes[MOST_CLASSES] = {0};
    for (int64_t i = 0; i < training->classes; i++)
        classes[i] = (ProgramClass){.name = tiny_text(tiny, "thing"), .color = {(uint8_t)(40 * i), 0, 9}};
    header.classes =
        tiny_append(tiny, classes, (size_t)training->classes * sizeof *classes, (size_t)training->classes);
    tiny_end(tiny, &header, kernels);
    training->predict.program.training = &tiny->program;
}

void tiny_training_free(TinyTraining *training)
{
    tiny_free(&training->predict);
    tiny_free(&training->train);
}
