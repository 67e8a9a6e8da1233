/* What a file says besides its nodes: the graph's inputs, what is predicted, and how pictures are prepared.
 * See model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- inputs ----------------------------------------------------------------------------------------------
 */

/* The dimensions of a declared input; false after reporting. */
static bool read_dims(Builder *builder, const TreeEntry *entry, const Scope *scope, int64_t dims[MAX_RANK])
{
    const Tree *list = entry->value;
    if (list->kind != TREE_SEQUENCE || list->n < 1 || list->n > MAX_RANK) {
        diag_error(builder->diag, list->pos,
                   "the input '%s' is a list of 1 to %d dimensions such as [N, 3, H, W]", entry->key,
                   MAX_RANK);
        return false;
    }
    bool good = true;
    for (int i = 0; i < list->n; i++) {
        const Tree *dim = list->items[i];
        if (dim->kind == TREE_SCALAR && value_is_name(dim->text) &&
            (dim->text[0] < '0' || dim->text[0] > '9') && !scope_symbol(scope, dim->text)) {
            diag_error(builder->diag, dim->pos, "the size '%s' is not known: a program is given N, H and W",
                       dim->text);
            good = false;
        } else {
            good &= value_int(&builder->values, dim, scope, "a dimension", &dims[i]);
        }
    }
    return good;
}

/* The graph's input for one declared; NULL after reporting. */
static Node *add_input(Builder *builder, const TreeEntry *entry, const Scope *scope, const char *prefix)
{
    int64_t dims[MAX_RANK];
    if (!read_dims(builder, entry, scope, dims)) return NULL;
    const char *name = arena_printf(builder->arena, "%s%s", prefix, entry->key);
    Node *node = graph_add(builder->graph, OP_INPUT, name, entry->pos, NULL, 0);
    node_set_ints(node, A_SHAPE, dims, entry->value->n);
    if (*prefix && entry->value->n == 3) node_set_string(node, A_DTYPE, "i32"); /* a stream's label map */
    return graph_infer(builder->graph, node) ? node : NULL;
}

InstanceInput *program_inputs(Builder *builder, const Definition *of, const Scope *scope, const char *prefix)
{
    int n = of->inputs ? of->inputs->n : 0;
    InstanceInput *inputs = ARENA_ARRAY(builder->arena, InstanceInput, n);
    for (int i = 0; i < n; i++) {
        const TreeEntry *entry = &of->inputs->entries[i];
        inputs[i] = (InstanceInput){.name = entry->key, .pos = entry->pos};
        inputs[i].bundle = bundle_of(builder->arena, add_input(builder, entry, scope, prefix));
    }
    return inputs;
}

/* A stream's picture or labels as training fills them: batches of N, pictures of three channels, labels of
 * the picture's size. False after reporting. */
static bool check_part(Builder *builder, const Node *part, const Node *image, int64_t batch)
{
    const int64_t *dim = part->type.dim, *of_image = image->type.dim;
    const char *found = type_text(builder->arena, part->type);
    if (part == image) {
        if (part->type.rank == 4 && dim[0] == batch && dim[1] == 3) return true;
        diag_error(builder->diag, part->pos,
                   "pictures to train on are [N, 3, height, width], N being %lld here, not %s",
                   (long long)batch, found);
        return false;
    }
    bool fits = part->type.rank == 3 && dim[0] == batch && dim[1] == of_image[2] && dim[2] == of_image[3];
    if (!fits)
        diag_error(builder->diag, part->pos,
                   "labels to train on have their pictures' size, i32[%lld,%lld,%lld], not %s",
                   (long long)batch, (long long)of_image[2], (long long)of_image[3], found);
    return fits;
}

/* What data sets give to a stream is known. */
static void check_stream(Builder *builder, const TreeEntry *stream, const Bundle *bundle, int64_t batch)
{
    const Node *image = NULL;
    bool named = false;
    for (int i = 0; i < bundle->n; i++) {
        bool is_image = strcmp(bundle->names[i], "image") == 0;
        named |= is_image;
        if (is_image) image = bundle->nodes[i];
        if (!is_image && strcmp(bundle->names[i], "label") != 0)
            diag_error(builder->diag, stream->value->entries[i].pos,
                       "data sets have pictures, 'image', and labels, 'label': there is none for '%s'",
                       bundle->names[i]);
    }
    if (!named)
        diag_error(builder->diag, stream->pos, "the stream '%s' has no 'image' to train on", stream->key);
    if (!image || !check_part(builder, image, image, batch)) return;
    for (int i = 0; i < bundle->n; i++)
        if (strcmp(bundle->names[i], "label") == 0 && bundle->nodes[i])
            check_part(builder, bundle->nodes[i], image, batch);
}

static Bundle add_stream(Builder *builder, const TreeEntry *stream, const Scope *scope)
{
    const Tree *parts = stream->value;
    if (parts->kind != TREE_MAPPING) {
        diag_error(builder->diag, parts->pos,
                   "the input '%s' of a program is a mapping such as {image: [N, 3, H, W]}, not %s",
                   stream->key, tree_kind_text(parts));
        return bundle_of(builder->arena, NULL);
    }
    const char **names = ARENA_ARRAY(builder->arena, const char *, parts->n);
    Bundle bundle = {.n = parts->n, .names = names, .nodes = ARENA_ARRAY(builder->arena, Node *, parts->n)};
    const char *prefix = arena_printf(builder->arena, "%s.", stream->key);
    for (int i = 0; i < parts->n; i++) {
        names[i] = parts->entries[i].key;
        bundle.nodes[i] = add_input(builder, &parts->entries[i], scope, prefix);
    }
    if (builder->training) check_stream(builder, stream, &bundle, scope_symbol(scope, "N")->value);
    return bundle;
}

InstanceInput *program_streams(Builder *builder, const Definition *of, const Scope *scope)
{
    int n = of->inputs ? of->inputs->n : 0;
    InstanceInput *inputs = ARENA_ARRAY(builder->arena, InstanceInput, n);
    for (int i = 0; i < n; i++) {
        const TreeEntry *entry = &of->inputs->entries[i];
        inputs[i] = (InstanceInput){.name = entry->key, .pos = entry->pos};
        inputs[i].bundle = add_stream(builder, entry, scope);
    }
    return inputs;
}

/* ---- predict ---------------------------------------------------------------------------------------------
 */

static const Output *find_output(const Graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (strcmp(graph->outputs[i].name, name) == 0) return &graph->outputs[i];
    return NULL;
}

static void report_no_output(Builder *builder, const Tree *name, const char *const *names, int n)
{
    const char *near = diag_nearest(name->text, names, n);
    if (near)
        diag_error(builder->diag, name->pos, "there is no output '%s' (did you mean '%s'?)", name->text,
                   near);
    else
        diag_error(builder->diag, name->pos, "there is no output '%s'", name->text);
}

/* One of the outputs that the file declares. */
static void predict_output(Builder *builder, const ModelFile *file, const Tree *name, Model *model)
{
    const Graph *graph = builder->graph;
    if (find_output(graph, name->text)) {
        model->predict = name->text;
        return;
    }
    if (tree_find(file->main.outputs, name->text)) return; /* what makes it has failed, and is reported */
    const char **names = ARENA_ARRAY(builder->arena, const char *, graph->n_outputs);
    for (int i = 0; i < graph->n_outputs; i++) names[i] = graph->outputs[i].name;
    report_no_output(builder, name, names, graph->n_outputs);
}

/* The network by itself on pictures of the program's size, with the weights that all its uses share. */
static Bundle apply_network(Builder *builder, NetworkUse *network, const Scope *scope, Pos pos)
{
    static const char *const use_keys[] = {"use", NULL};
    Definition *of = &network->file->main;
    Instance instance = {.of = of, .pos = pos, .shares = true};
    instance.path = instance.param_path = arena_printf(builder->arena, "%s.", network->name);
    Scope *own = block_bind(builder, of, network->settings, use_keys, scope, network->pos, scope->outer);
    instance.scope = instance.file_scope = own;
    of->used = network->used = true;
    InstanceInput *inputs = program_inputs(builder, of, own, "");
    NodeUse use = {.name = network->name, .pos = pos, .n_in = of->inputs ? of->inputs->n : 0};
    Pos *positions = ARENA_ARRAY(builder->arena, Pos, use.n_in);
    use.in = ARENA_ARRAY(builder->arena, Node *, use.n_in);
    for (int i = 0; i < use.n_in; i++) {
        use.in[i] = inputs[i].bundle.nodes[0];
        positions[i] = inputs[i].pos;
    }
    use.in_pos = positions;
    return block_apply(builder, &instance, own, &use);
}

static void predict_network(Builder *builder, ModelFile *file, const Scope *scope, const Tree *predict,
                            Model *model)
{
    const Tree *name = file_part(builder, predict, "network", TREE_SCALAR);
    const Tree *output = file_part(builder, predict, "output", TREE_SCALAR);
    NetworkUse *network = name ? file_network(builder, file, name) : NULL;
    if (!network || !network->file) return;
    Bundle bundle = apply_network(builder, network, scope, name->pos);
    if (!bundle.names) return;
    int place = 0;
    while (output && place < bundle.n && strcmp(bundle.names[place], output->text) != 0) place++;
    if (place == bundle.n) {
        if (output) report_no_output(builder, output, bundle.names, bundle.n);
        return;
    }
    if (!bundle.nodes[place]) return;
    const char *result = bundle.names[place];
    if (find_output(builder->graph, result))
        result = arena_printf(builder->arena, "%s.%s", network->name, result);
    graph_output(builder->graph, result, bundle.nodes[place]);
    model->predict = result;
}

/* The inference form of a program that trains is one of its networks, which the training form takes for used.
 */
static bool predicts_here(Builder *builder, const ModelFile *file, const Tree *predict)
{
    const TreeEntry *name = tree_find(predict, "network");
    if (builder->training) {
        const TreeEntry *use =
            name && name->value->kind == TREE_SCALAR ? tree_find(file->use_tree, name->value->text) : NULL;
        if (use) file->uses[use - file->use_tree->entries].used = true;
        return false;
    }
    if (!name) {
        diag_error(builder->diag, predict ? predict->pos : file->main.pos,
                   "a program with players says which of its networks it predicts and is validated with: "
                   "predict: {network: NAME, output: NAME}");
        return false;
    }
    return true;
}

void program_predict(Builder *builder, ModelFile *file, const Scope *scope, Model *model)
{
    static const char *const keys[] = {"output", "network"};
    const Tree *predict = file_part(builder, file->root, "predict", TREE_MAPPING);
    if (model->trains && !predicts_here(builder, file, predict)) return;
    if (builder->graph->n_outputs > 0) model->predict = builder->graph->outputs[0].name;
    if (!predict) return;
    file_check_keys(builder, predict, file->program ? "'predict' has" : "'predict' of a network has", keys,
                    file->program ? 2 : 1);
    const Tree *output = file_part(builder, predict, "output", TREE_SCALAR);
    if (file->program && tree_find(predict, "network"))
        predict_network(builder, file, scope, predict, model);
    else if (output)
        predict_output(builder, file, output, model);
    else if (!tree_find(predict, "output"))
        diag_error(builder->diag, predict->pos, "'predict' names no 'output'");
}

/* ---- preprocess ------------------------------------------------------------------------------------------
 */

static void read_channels(Builder *builder, const Tree *tree, const Scope *scope, const char *key,
                          double out[3])
{
    const Tree *list = file_part(builder, tree, key, TREE_SEQUENCE);
    const char *what = arena_printf(builder->arena, "'%s'", key);
    if (!list) return;
    if (list->n != 3) {
        diag_error(builder->diag, list->pos, "'%s' has one number for each of 3 channels, not %d", key,
                   list->n);
        return;
    }
    for (int i = 0; i < 3; i++) {
        if (!value_float(&builder->values, list->items[i], scope, what, &out[i])) continue;
        if (out[i] == 0 && strcmp(key, "std") == 0)
            diag_error(builder->diag, list->items[i]->pos, "'std' divides, and is 0 here");
    }
}

void program_preprocess(Builder *builder, const ModelFile *file, const Scope *scope, Model *model)
{
    static const char *const keys[] = {"channels", "scale", "mean", "std"};
    const Tree *tree = file_part(builder, file->root, "preprocess", TREE_MAPPING);
    ModelPreprocess *preprocess = &model->preprocess;
    *preprocess = (ModelPreprocess){.scale = 1.0 / 255, .std = {1, 1, 1}};
    if (!tree) return;
    file_check_keys(builder, tree, "'preprocess' has", keys, COUNT(keys));
    const Tree *channels = file_part(builder, tree, "channels", TREE_SCALAR);
    if (channels && strcmp(channels->text, "rgb") != 0 && strcmp(channels->text, "bgr") != 0)
        diag_error(builder->diag, channels->pos, "'channels' is one of rgb, bgr, not '%s'", channels->text);
    preprocess->bgr = channels && strcmp(channels->text, "bgr") == 0;
    const Tree *scale = tree_get(tree, "scale");
    if (scale) value_float(&builder->values, scale, scope, "'scale'", &preprocess->scale);
    read_channels(builder, tree, scope, "mean", preprocess->mean);
    read_channels(builder, tree, scope, "std", preprocess->std);
}

/* The predicted map has one channel for each class. */
void program_check_classes(Builder *builder, const Tree *classes, const Model *model)
{
    const Output *output = model->predict ? find_output(builder->graph, model->predict) : NULL;
    if (!output || output->node->type.dtype != F32 || output->node->type.rank != 4) return;
    int64_t channels = output->node->type.dim[1];
    if (channels == model->n_classes) return;
    diag_error(builder->diag, classes->pos,
               "there are %d classes here, but the predicted output '%s' has %lld channels", model->n_classes,
               output->name, (long long)channels);
    diag_note(builder->diag, output->node->pos, "'%s': %s", output->name,
              type_text(builder->arena, output->node->type));
}
