/* The program's image: see runtime/program.h. Written in one growing buffer; offsets are final as soon as
 * they are known. */
#include "build.h"

#include <assert.h>
#include <string.h>

typedef struct Image {
    Arena *arena;
    char *bytes;
    size_t size, capacity;
    const Plan *plan;
} Image;

/* Appends count elements (zeros when data is NULL), aligned; returns where. */
static ProgramRef append(Image *image, const void *data, size_t element, size_t count, size_t align)
{
    size_t start = (image->size + align - 1) / align * align, bytes = element * count;
    if (start + bytes > image->capacity) {
        size_t capacity = (start + bytes) * 2;
        char *larger = arena_alloc(image->arena, capacity + 64);
        larger += (64 - (uintptr_t)larger % 64) % 64;
        if (image->size) memcpy(larger, image->bytes, image->size);
        image->bytes = larger;
        image->capacity = capacity;
    }
    if (data && bytes) memcpy(image->bytes + start, data, bytes);
    image->size = start + bytes;
    return (ProgramRef){(uint32_t)start, (uint32_t)count};
}

static ProgramRef append_text(Image *image, const char *text)
{
    if (!text) text = "";
    ProgramRef ref = append(image, text, 1, strlen(text) + 1, 1);
    ref.count--;
    return ref;
}

static void set_place(ProgramTensor *tensor, const Storage *storage, const Place *place)
{
    assert(place->block == 1 || storage->kind == STORAGE_PERSISTENT);
    tensor->space = storage->kind == STORAGE_ARENA ? SPACE_ARENA : SPACE_PERSISTENT;
    tensor->offset = (uint64_t)(storage->offset + 4 * place->offset);
}

static ProgramTensor describe(Image *image, const Node *node, const char *name, ProgramRole role)
{
    ProgramTensor tensor = {.name = append_text(image, name), .role = (uint8_t)role};
    tensor.dtype = (uint8_t)(node->type.dtype == F32   ? DTYPE_F32
                             : node->type.dtype == I32 ? DTYPE_I32
                                                       : DTYPE_U8);
    tensor.rank = (uint8_t)node->type.rank;
    memcpy(tensor.dims, node->type.dim, sizeof(int64_t) * (size_t)node->type.rank);
    tensor.bytes = (uint64_t)type_bytes(node->type);
    tensor.block = 1;
    if (role == ROLE_UNUSED) {
        tensor.bytes = 0;
        return tensor;
    }
    const Place *place = layout_place(image->plan->layout, node);
    tensor.block = (uint32_t)place->block;
    set_place(&tensor, place->storage, place);
    return tensor;
}

static void set_init(ProgramTensor *tensor, const Node *param)
{
    static const uint8_t kinds[] = {[PARAM_ZERO] = INIT_ZERO,
                                    [PARAM_ONE] = INIT_ONE,
                                    [PARAM_CONSTANT] = INIT_CONSTANT,
                                    [PARAM_UNIFORM] = INIT_UNIFORM};
    ParamInit init = graph_param_init(param);
    tensor->init = kinds[init.kind];
    tensor->init_value = (float)init.value;
    tensor->statistic = init.statistic;
}

static bool has_memory(const Image *image, const Node *node)
{
    if (node->id >= image->plan->layout->n_places) return false;
    const Storage *storage = layout_place(image->plan->layout, node)->storage;
    return storage && storage->last >= 0;
}

static ProgramRef write_tensors(Image *image)
{
    const Graph *graph = image->plan->layout->graph;
    ProgramTensor *tensors =
        ARENA_ARRAY(image->arena, ProgramTensor, 2 * graph->n_nodes + graph->n_params + graph->n_outputs);
    size_t n = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->op == OP_INPUT)
            tensors[n++] = describe(image, graph->nodes[i], graph->nodes[i]->name, ROLE_INPUT);
    for (int i = 0; i < graph->n_outputs; i++) {
        tensors[n] = describe(image, graph->outputs[i].node, graph->outputs[i].name, ROLE_OUTPUT);
        tensors[n++].align_corners = graph->outputs[i].align_corners;
    }
    for (int i = 0; i < graph->n_params; i++) {
        const Node *param = graph->params[i];
        ProgramRole role = !has_memory(image, param)       ? ROLE_UNUSED
                           : graph_param_init(param).state ? ROLE_STATE
                                                           : ROLE_PARAMETER;
        tensors[n] = describe(image, param, param->name, role);
        set_init(&tensors[n++], param);
    }
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->op == OP_TUNABLE) {
            ProgramRole role = graph->nodes[i]->type.rank == 0 ? ROLE_TUNABLE : ROLE_HYPER;
            tensors[n++] = describe(image, graph->nodes[i], graph->nodes[i]->name, role);
        }
    return append(image, tensors, sizeof *tensors, n, 8);
}

static uint32_t kernel_index(const Plan *plan, const Kernel *kernel)
{
    uint32_t i = 0;
    while (plan->list->kernels[i] != kernel) i++;
    return i;
}

/* Steps, their arguments and the tables among these. */
static void write_steps(Image *image, ProgramHeader *header)
{
    const Plan *plan = image->plan;
    const StepList *list = plan->list;
    size_t n_args = 0, a = 0, tables = 0;
    for (int i = 0; i < list->n_steps; i++) n_args += (size_t)list->steps[i].n_args;
    ProgramStep *steps = ARENA_ARRAY(image->arena, ProgramStep, list->n_steps);
    ProgramArg *args = ARENA_ARRAY(image->arena, ProgramArg, n_args);
    char *constants = arena_alloc(image->arena, (size_t)plan->const_bytes);
    for (int i = 0; i < list->n_steps; i++) {
        const Step *step = &list->steps[i];
        steps[i] = (ProgramStep){.name = append_text(image, step->name),
                                 .kind = append_text(image, step->kernel->kind),
                                 .phase = step->is_static     ? PHASE_PREPARE
                                          : step->player >= 0 ? PHASE_UPDATE
                                                              : PHASE_RUN,
                                 .player = step->player,
                                 .kernel = kernel_index(plan, step->kernel),
                                 .first_arg = (uint32_t)a,
                                 .n_args = (uint32_t)step->n_args,
                                 .units = step->kernel->units,
                                 .flops = step->flops,
                                 .bytes = step->bytes};
        for (int k = 0; k < step->n_args; k++) {
            const StepArg *arg = &step->args[k];
            if (arg->storage) {
                uint32_t space = arg->storage->kind == STORAGE_ARENA ? SPACE_ARENA : SPACE_PERSISTENT;
                args[a++] = (ProgramArg){.space = space, .offset = (uint64_t)arg->storage->offset};
            } else {
                memcpy(constants + tables, arg->table, (size_t)arg->table_bytes);
                args[a++] = (ProgramArg){.space = SPACE_CONST, .offset = tables};
                tables += ((size_t)arg->table_bytes + 63) / 64 * 64;
            }
        }
    }
    header->steps = append(image, steps, sizeof *steps, (size_t)list->n_steps, 8);
    header->args = append(image, args, sizeof *args, n_args, 8);
    header->constants = append(image, constants, 1, tables, 64);
}

static void write_augments(Image *image, ProgramHeader *header, const Model *model)
{
    static const uint32_t kinds[] = {
        [MODEL_AUGMENT_SIZE] = AUGMENT_SIZE,     [MODEL_AUGMENT_SCALE] = AUGMENT_SCALE,
        [MODEL_AUGMENT_FLIP] = AUGMENT_FLIP,     [MODEL_AUGMENT_ROTATION] = AUGMENT_ROTATION,
        [MODEL_AUGMENT_JITTER] = AUGMENT_JITTER, [MODEL_AUGMENT_BLUR] = AUGMENT_BLUR,
        [MODEL_AUGMENT_CROP] = AUGMENT_CROP};
    ProgramAugment *augments = ARENA_ARRAY(image->arena, ProgramAugment, model->n_augments);
    for (int i = 0; i < model->n_augments; i++) {
        const ModelAugment *from = &model->augments[i];
        augments[i] = (ProgramAugment){
            .stream = append_text(image, from->stream), .kind = kinds[from->kind], .p = (float)from->p};
        for (int k = 0; k < 4; k++) augments[i].value[k] = (float)from->value[k];
    }
    header->augments = append(image, augments, sizeof *augments, (size_t)model->n_augments, 8);
}

_Static_assert((int)MODEL_VOID == (int)PROGRAM_VOID && (int)MODEL_UNKNOWN == (int)PROGRAM_UNKNOWN,
               "the compiler and the runtime number what is no class alike");

static ProgramEncoding describe_encoding(Image *image, const ModelEncoding *from)
{
    ProgramEncoding encoding = {.name = append_text(image, from->name), .by_color = from->by_color};
    ProgramColor *colors = ARENA_ARRAY(image->arena, ProgramColor, from->n_colors);
    for (int i = 0; i < from->n_colors; i++) {
        memcpy(colors[i].rgb, from->colors[i].rgb, 3);
        colors[i].id = from->colors[i].id;
    }
    encoding.colors = append(image, colors, sizeof *colors, (size_t)from->n_colors, 8);
    memcpy(encoding.map, from->map, sizeof encoding.map);
    return encoding;
}

static ProgramDataSet describe_data(Image *image, const ModelData *from)
{
    ProgramDataSet set = {.name = append_text(image, from->name)};
    ProgramEncoding *encodings = ARENA_ARRAY(image->arena, ProgramEncoding, from->n_encodings);
    ProgramLayout *layouts = ARENA_ARRAY(image->arena, ProgramLayout, from->n_layouts);
    for (int i = 0; i < from->n_encodings; i++) encodings[i] = describe_encoding(image, &from->encodings[i]);
    for (int i = 0; i < from->n_layouts; i++)
        layouts[i] = (ProgramLayout){.name = append_text(image, from->layouts[i].name),
                                     .image = append_text(image, from->layouts[i].image),
                                     .label = append_text(image, from->layouts[i].label),
                                     .encoding = (uint32_t)from->layouts[i].encoding};
    set.encodings = append(image, encodings, sizeof *encodings, (size_t)from->n_encodings, 8);
    set.layouts = append(image, layouts, sizeof *layouts, (size_t)from->n_layouts, 8);
    return set;
}

static void write_data_sets(Image *image, ProgramHeader *header, const ModelData *const *data, int n)
{
    ProgramDataSet *sets = ARENA_ARRAY(image->arena, ProgramDataSet, n);
    for (int i = 0; i < n; i++) sets[i] = describe_data(image, data[i]);
    header->data_sets = append(image, sets, sizeof *sets, (size_t)n, 8);
}

static void write_classes(Image *image, ProgramHeader *header, const ModelClass *from, int n)
{
    ProgramClass *classes = ARENA_ARRAY(image->arena, ProgramClass, n);
    for (int i = 0; i < n; i++) {
        classes[i].name = append_text(image, from[i].name);
        memcpy(classes[i].color, from[i].color, 3);
        classes[i].ignored = from[i].ignored;
    }
    header->classes = append(image, classes, sizeof *classes, (size_t)n, 8);
}

static void write_model(Image *image, ProgramHeader *header, const Model *model)
{
    if (!model) {
        header->preprocess = (ProgramPreprocess){.scale = 1, .std = {1, 1, 1}};
        header->ignore_index = 255;
        return;
    }
    write_classes(image, header, model->classes, model->n_classes);
    write_data_sets(image, header, model->data, model->n_data);
    header->source = append_text(image, model->path);
    header->preprocess.channels = model->preprocess.bgr;
    header->preprocess.scale = (float)model->preprocess.scale;
    for (int i = 0; i < 3; i++) {
        header->preprocess.mean[i] = (float)model->preprocess.mean[i];
        header->preprocess.std[i] = (float)model->preprocess.std[i];
    }
    header->ignore_index = model->ignore_index;
    write_augments(image, header, model);
}

static uint32_t tensor_index(const Image *image, const ProgramHeader *header, ProgramRole role,
                             const char *name)
{
    const ProgramTensor *tensors = (const void *)(image->bytes + header->tensors.offset);
    for (uint32_t i = 0; i < header->tensors.count; i++)
        if (tensors[i].role == role && !strcmp(image->bytes + tensors[i].name.offset, name)) return i;
    return UINT32_MAX;
}

/* Players, and the tunables that still matter. */
static void write_training(Image *image, ProgramHeader *header, const Training *training)
{
    ProgramPlayer *players = ARENA_ARRAY(image->arena, ProgramPlayer, training->n_players);
    ProgramTunable *tunables = ARENA_ARRAY(image->arena, ProgramTunable, training->n_tunables);
    for (int i = 0; i < training->n_players; i++) {
        const Player *from = &training->players[i];
        bool sgd = from->optimizer.kind == OPTIMIZER_SGD;
        players[i] = (ProgramPlayer){.name = append_text(image, from->name),
                                     .optimizer = from->optimizer.kind,
                                     .hyper = tensor_index(image, header, ROLE_HYPER, from->name),
                                     .lr = from->optimizer.lr,
                                     .beta1 = sgd ? from->optimizer.dampening : from->optimizer.beta1,
                                     .beta2 = from->optimizer.beta2,
                                     .schedule = from->schedule,
                                     .from = from->from};
        const Graph *graph = image->plan->layout->graph;
        for (int k = 0; k < graph->n_outputs; k++)
            if (!strcmp(graph->outputs[k].name, from->loss->name))
                players[i].loss = tensor_index(image, header, ROLE_OUTPUT, graph->outputs[k].name);
    }
    for (int i = 0; i < training->n_tunables; i++) {
        const Tunable *from = &training->tunables[i];
        tunables[i] = (ProgramTunable){.name = append_text(image, from->name),
                                       .tensor = tensor_index(image, header, ROLE_TUNABLE, from->name),
                                       .value = from->value,
                                       .from = from->from};
    }
    header->players = append(image, players, sizeof *players, (size_t)training->n_players, 8);
    header->tunables = append(image, tunables, sizeof *tunables, (size_t)training->n_tunables, 8);
    header->iterations = training->iterations;
    header->accumulate = training->accumulate;
    header->validate_every = training->validate_every;
}

static void set_picture_size(Image *image, ProgramHeader *header)
{
    const Graph *graph = image->plan->layout->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (graph->nodes[i]->op != OP_INPUT || graph->nodes[i]->type.rank != 4) continue;
        header->batch = graph->nodes[i]->type.dim[0];
        header->height = graph->nodes[i]->type.dim[2];
        header->width = graph->nodes[i]->type.dim[3];
        return;
    }
}

static void write_counts(ProgramHeader *header, const Stats *stats)
{
    header->parameters_deployed = stats->parameters_deployed;
    header->parameters_declared = stats->parameters_declared;
    header->multiply_adds = stats->multiply_adds;
    header->conv_multiply_adds = stats->conv_multiply_adds;
}

/* The header last: what it says of the image is known then. */
static const ProgramHeader *finish(Image *image, ProgramHeader *header)
{
    append(image, NULL, 1, 0, 64);
    header->image_bytes = image->size;
    memcpy(image->bytes, header, sizeof *header);
    return (const ProgramHeader *)(const void *)image->bytes;
}

const ProgramHeader *image_write_data(Arena *arena, const ModelData *data)
{
    Image image = {.arena = arena};
    ProgramHeader header = {.magic = PROGRAM_MAGIC, .ignore_index = data->ignore_index};
    append(&image, NULL, sizeof header, 1, 64);
    header.name = append_text(&image, data->name);
    header.source = append_text(&image, data->path);
    header.version = append_text(&image, SEGC_VERSION);
    write_classes(&image, &header, data->classes, data->n_classes);
    write_data_sets(&image, &header, &data, 1);
    return finish(&image, &header);
}

const ProgramHeader *image_write(Arena *arena, const Plan *plan, const Target *target,
                                 const BuildOptions *options)
{
    const Model *model = options->model;
    Image image = {.arena = arena, .plan = plan};
    ProgramHeader header = {.magic = PROGRAM_MAGIC};
    append(&image, NULL, sizeof header, 1, 64);
    const char *name = model ? model->name : plan->layout->graph->name;
    header.name = append_text(&image, name);
    header.version = append_text(&image, SEGC_VERSION);
    header.cpu_features = append_text(&image, target->required);
    ProgramRef network = append_text(&image, name);
    header.networks = append(&image, &network, sizeof network, 1, 8);
    header.tensors = write_tensors(&image);
    write_steps(&image, &header);
    write_model(&image, &header, model);
    if (options->training) write_training(&image, &header, options->training);
    if (options->stats) write_counts(&header, options->stats);
    set_picture_size(&image, &header);
    header.arena_bytes = (uint64_t)plan->arena_bytes;
    header.persistent_bytes = (uint64_t)plan->persistent_bytes;
    header.scratch_bytes = (uint64_t)plan->scratch_bytes;
    header.n_kernels = (uint32_t)plan->list->n_kernels;
    header.vector_width = (uint32_t)target->vector;
    return finish(&image, &header);
}
