/* See model.h. The driver: reads the file and what it uses, binds its settings and sizes, makes its nodes,
 * and reads what else it says. The parts are in model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <string.h>

enum { DEFAULT_HEIGHT = 512, DEFAULT_WIDTH = 1024, MAX_SIZE = 1 << 20 };
enum { SIZE_N, SIZE_H, SIZE_W };

/* The settings of the command line as a mapping; of a name given twice the last counts. */
static const Tree *options_tree(Builder *builder)
{
    const ModelOptions *options = builder->options;
    TreeKeys keys = {0};
    for (int i = 0; i < options->n_settings; i++) {
        Source *source = ARENA_NEW(builder->arena, Source);
        const char *name = options->setting_names[i], *value = options->setting_values[i];
        source->path = "--set";
        source->text = arena_printf(builder->arena, "%s=%s", name, value);
        source->size = strlen(source->text);
        Pos pos = {source, 1, 1}, value_pos = {source, 1, (int)strlen(name) + 2};
        TreeEntry entry = {name, pos,
                           tree_scalar(builder->arena, arena_strdup(builder->arena, value), value_pos)};
        int place = tree_keys_find(&keys, name);
        if (place >= 0)
            keys.entries[place] = entry;
        else
            tree_keys_add(builder->arena, &keys, entry);
    }
    return tree_mapping(builder->arena, (Pos){0}, keys.entries, keys.n);
}

/* Sets N, H and W: the options' if given, else the file's `size`, else the default. */
static void read_sizes(Builder *builder, const ModelFile *file, const Scope *scope, Symbol *sizes)
{
    const ModelOptions *options = builder->options;
    const Tree *size = file_part(builder, file->root, "size", TREE_SEQUENCE);
    int64_t height = DEFAULT_HEIGHT, width = DEFAULT_WIDTH;
    if (size && size->n != 2)
        diag_error(builder->diag, size->pos, "'size' is [height, width], not a list of %d", size->n);
    if (size && size->n == 2 && value_int(&builder->values, size->items[0], scope, "'size'", &height) &&
        value_int(&builder->values, size->items[1], scope, "'size'", &width) &&
        (height < 1 || width < 1 || height > MAX_SIZE || width > MAX_SIZE))
        diag_error(builder->diag, size->pos, "a size is 1 to %d, not %lld x %lld", MAX_SIZE,
                   (long long)height, (long long)width);
    int64_t batch = options->batch;
    if (builder->training && !batch) batch = train_batch(builder, file, scope);
    if (train_has_players(file) && !builder->training) batch = 1;
    sizes[SIZE_N].value = batch ? batch : 1;
    sizes[SIZE_H].value = options->height ? options->height : height > 0 ? height : 1;
    sizes[SIZE_W].value = options->width ? options->width : width > 0 ? width : 1;
}

static void check_sizes(Builder *builder, const char *path)
{
    const ModelOptions *options = builder->options;
    Source *source = ARENA_NEW(builder->arena, Source);
    source->path = path;
    if (options->batch < 0 || options->height < 0 || options->width < 0 || options->batch > MAX_SIZE ||
        options->height > MAX_SIZE || options->width > MAX_SIZE)
        diag_error(builder->diag, (Pos){source, 0, 0}, "batch, height and width are 1 to %d", MAX_SIZE);
}

static void add_outputs(Builder *builder, const Bundle *outputs)
{
    for (int i = 0; i < outputs->n; i++)
        if (outputs->nodes[i] && outputs->names)
            graph_output(builder->graph, outputs->names[i], outputs->nodes[i]);
}

/* The file's own nodes and outputs. */
static void expand_main(Builder *builder, ModelFile *file, const Scope *scope, const Tree *given,
                        Training *training)
{
    Definition *of = &file->main;
    Instance instance = {.of = of, .path = "", .param_path = "", .scope = scope, .file_scope = scope};
    int n = of->inputs ? of->inputs->n : 0;
    InstanceInput *inputs =
        file->program ? program_streams(builder, of, scope) : program_inputs(builder, of, scope, "");
    if (training) {
        n = train_tunables(builder, file, scope, given, training, &inputs, n);
        players_claim(builder, file, &instance);
    }
    of->open = true;
    const Members members = block_expand(builder, &instance, inputs, n);
    of->open = false;
    const Bundle outputs = block_outputs(builder, &instance, &members);
    add_outputs(builder, &outputs);
    if (training) {
        players_finish(builder, file, scope, &members, training);
        train_finish(builder, file, scope, &members, training);
        return;
    }
    if (file->program && !tree_find(file->root, "predict") && !tree_find(file->root, "outputs"))
        diag_error(builder->diag, of->pos,
                   "the program '%s' has neither 'predict' nor 'outputs': it computes nothing", of->name);
}

/* What is declared and not used shows only when everything else is right. */
static void report_unused(Builder *builder)
{
    if (diag_failed(builder->diag)) return;
    for (const ModelFile *file = builder->files; file; file = file->next) {
        if (!file->main.used) continue;
        if (train_has_players(file) && !builder->training) continue; /* most of it is for the other form */
        block_report_unused_settings(builder, &file->main);
        for (int i = 0; file->block_tree && i < file->block_tree->n; i++)
            if (file->blocks[i].used) block_report_unused_settings(builder, &file->blocks[i]);
        file_report_unused(builder, file);
    }
}

static void list_networks(Builder *builder, const ModelFile *file, Model *model)
{
    int n = file->program && file->use_tree ? file->use_tree->n : 0;
    model->n_networks = file->program ? n : 1;
    model->networks = ARENA_ARRAY(builder->arena, ModelNetwork, model->n_networks);
    for (int i = 0; i < n; i++) model->networks[i].name = file->uses[i].name;
    if (!file->program) model->networks[0].name = file->main.name;
}

/* The keys of tunables, which the command line may set too; NULL-terminated. */
static const char *const *tunable_names(Builder *builder, const Tree *tunables)
{
    int n = tunables ? tunables->n : 0;
    const char **names = ARENA_ARRAY(builder->arena, const char *, n + 1);
    for (int i = 0; i < n; i++) names[i] = tunables->entries[i].key;
    return names;
}

static Model *build(Builder *builder, ModelFile *file, const char *path)
{
    Symbol sizes[] = {{"N", 0}, {"H", 0}, {"W", 0}};
    Scope outer = {.owner = file->main.name, .symbols = sizes, .n_symbols = 3};
    Model *model = ARENA_NEW(builder->arena, Model);
    *model = (Model){.name = file->main.name, .path = path, .trains = train_has_players(file)};
    builder->training = model->trains && builder->options->training;
    if (builder->training) model->training = ARENA_NEW(builder->arena, Training);
    file->main.used = true;
    model->graph = builder->graph = graph_new(builder->arena, builder->diag, file->main.name);
    const Tree *given = options_tree(builder);
    const Tree *tunables = file->program ? file_part(builder, file->root, "tunables", TREE_MAPPING) : NULL;
    Scope *scope = block_bind(builder, &file->main, given, tunable_names(builder, tunables), &outer,
                              file->main.pos, &outer);
    scope->tunables = tunables;
    read_sizes(builder, file, scope, sizes);
    if (model->trains == builder->training) expand_main(builder, file, scope, given, model->training);
    program_predict(builder, file, scope, model);
    program_preprocess(builder, file, scope, model);
    model_augment(builder, file, scope, model);
    model_classes(builder, file, scope, model);
    list_networks(builder, file, model);
    train_check_players(builder, file);
    report_unused(builder);
    return model;
}

Model *model_load(Arena *arena, Diag *diag, const char *path, const ModelOptions *options)
{
    static const ModelOptions none = {0};
    Builder builder = {
        .arena = arena, .diag = diag, .options = options ? options : &none, .values = {arena, diag, 0}};
    check_sizes(&builder, path);
    ModelFile *file = diag_failed(diag) ? NULL : file_open(&builder, arena_strdup(arena, path));
    Model *model = file ? build(&builder, file, path) : NULL;
    return diag_failed(diag) ? NULL : model;
}
