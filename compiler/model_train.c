/* What a program says about its training besides players: `tunables`, `train`, and the terms that the log
 * shows. See model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <math.h>
#include <string.h>

enum { MOST_BATCH = 1 << 20, DEFAULT_ITERATIONS = 1000 };

static const int64_t most_steps = (int64_t)1 << 40;

bool train_has_players(const ModelFile *file)
{
    const Tree *players = tree_get(file->root, "players");
    return file->program && players && !tree_is_null(players);
}

void train_check_players(Builder *builder, const ModelFile *file)
{
    static const char *const keys[] = {"tunables", "train"};
    if (!file->program || train_has_players(file)) return;
    for (int i = 0; i < 2; i++) {
        const TreeEntry *entry = tree_find(file->root, keys[i]);
        if (entry)
            diag_error(builder->diag, entry->pos, "'%s' is about training, and the program has no 'players'",
                       entry->key);
    }
}

/* ---- tunables --------------------------------------------------------------------------------------------
 */

/* `name: 0.001` or `name: {value: 0.001, from: 150}`; on the command line the value alone. */
static void read_tunable(Builder *builder, const TreeEntry *entry, const Scope *scope, const Tree *given,
                         Tunable *out)
{
    static const char *const keys[] = {"value", "from"};
    const Tree *value = entry->value, *over = tree_get(given, entry->key);
    *out = (Tunable){.name = entry->key};
    if (value->kind == TREE_MAPPING) {
        file_check_keys(builder, value, "a tunable has", keys, 2);
        file_int(builder, value, "from", scope, 0, most_steps, &out->from);
        if (!tree_find(value, "value"))
            diag_error(builder->diag, entry->pos, "the tunable '%s' has no 'value'", entry->key);
        value = tree_get(value, "value");
    }
    const char *what = arena_printf(builder->arena, "the tunable '%s'", entry->key);
    if (!value || !value_float(&builder->values, over ? over : value, scope, what, &out->value)) return;
    if (!isfinite(out->value))
        diag_error(builder->diag, value->pos, "the tunable '%s' is not a finite number", entry->key);
}

static Node *add_tunable(Builder *builder, const TreeEntry *entry)
{
    Node *node = graph_add(builder->graph, OP_TUNABLE, entry->key, entry->pos, NULL, 0);
    return graph_infer(builder->graph, node) ? node : NULL;
}

/* Names that could be meant by `$name` too. */
static void check_name(Builder *builder, const ModelFile *file, const TreeEntry *entry)
{
    const TreeEntry *setting = tree_find(file->main.settings, entry->key);
    if (!value_is_name(entry->key))
        diag_error(builder->diag, entry->pos,
                   "'%s' can't be the name of a tunable: letters, digits, _ and - can stand in one",
                   entry->key);
    if (!setting) return;
    diag_error(builder->diag, entry->pos, "the name '%s' is taken", entry->key);
    diag_note(builder->diag, setting->pos, "by this setting");
}

int train_tunables(Builder *builder, const ModelFile *file, const Scope *scope, const Tree *given,
                   Training *training, InstanceInput **inputs, int n_inputs)
{
    const Tree *tree = scope->tunables;
    int n = tree ? tree->n : 0;
    InstanceInput *all = ARENA_ARRAY(builder->arena, InstanceInput, n_inputs + n);
    for (int i = 0; i < n_inputs; i++) all[i] = (*inputs)[i];
    training->tunables = ARENA_ARRAY(builder->arena, Tunable, n);
    training->n_tunables = n;
    for (int i = 0; i < n; i++) {
        const TreeEntry *entry = &tree->entries[i];
        Tunable *tunable = &training->tunables[i];
        check_name(builder, file, entry);
        read_tunable(builder, entry, scope, given, tunable);
        tunable->node = add_tunable(builder, entry);
        all[n_inputs + i] = (InstanceInput){.name = entry->key, .pos = entry->pos, .tunable = true};
        all[n_inputs + i].bundle = bundle_of(builder->arena, tunable->node);
    }
    *inputs = all;
    return n_inputs + n;
}

/* ---- train -----------------------------------------------------------------------------------------------
 */

int64_t train_batch(Builder *builder, const ModelFile *file, const Scope *scope)
{
    int64_t batch = 0;
    const Tree *train = tree_get(file->root, "train");
    if (train && train->kind == TREE_MAPPING) file_int(builder, train, "batch", scope, 1, MOST_BATCH, &batch);
    return batch;
}

static void read_train(Builder *builder, const ModelFile *file, const Scope *scope, Training *training)
{
    static const char *const keys[] = {"batch", "iterations", "accumulate", "validate_every"};
    const Tree *train = file_part(builder, file->root, "train", TREE_MAPPING);
    training->iterations = DEFAULT_ITERATIONS;
    training->accumulate = 1;
    if (!train) return;
    file_check_keys(builder, train, "'train' has", keys, 4);
    file_int(builder, train, "iterations", scope, 1, most_steps, &training->iterations);
    file_int(builder, train, "accumulate", scope, 1, MOST_BATCH, &training->accumulate);
    file_int(builder, train, "validate_every", scope, 0, most_steps, &training->validate_every);
}

/* ---- terms -----------------------------------------------------------------------------------------------
 */

static bool is_number(const Node *node)
{
    return type_known(node->type) && node->type.rank == 0 && node->type.dtype == F32;
}

typedef struct Terms {
    Builder *builder;
    const ModelFile *file;
    TreeKeys names;
} Terms;

/* Adds a term, and its output where it is not there yet. */
static void add_term(Terms *terms, const char *name, Node *node)
{
    Graph *graph = terms->builder->graph;
    if (tree_keys_find(&terms->names, name) >= 0) return;
    tree_keys_add(terms->builder->arena, &terms->names, (TreeEntry){.key = name, .pos = node->pos});
    for (int i = 0; i < graph->n_outputs; i++) {
        if (strcmp(graph->outputs[i].name, name) != 0) continue;
        if (graph->outputs[i].node == node) return;
        diag_error(terms->builder->diag, tree_find(terms->file->main.outputs, name)->pos,
                   "the output '%s' is another node than '%s', which the log shows under this name", name,
                   name);
        return;
    }
    graph_output(graph, name, node);
}

/* The program's nodes that are numbers and that a loss depends on, in the order of the file, under their
 * nodes' names; then the outputs that are numbers. */
static void find_terms(Builder *builder, const ModelFile *file, const Members *members, Training *training)
{
    Graph *graph = builder->graph;
    const bool *needed = training_needs(builder->graph, training);
    Terms terms = {.builder = builder, .file = file};
    int declared = graph->n_outputs;
    for (int i = 0; i < members->n; i++) {
        const Bundle *bundle = &members->items[i].bundle;
        for (int k = 0; members->items[i].kind == MEMBER_NODE && k < bundle->n; k++) {
            Node *node = bundle->nodes[k];
            if (node && is_number(node) && needed[node->id]) add_term(&terms, node->name, node);
        }
    }
    for (int i = 0; i < declared; i++)
        if (is_number(graph->outputs[i].node))
            add_term(&terms, graph->outputs[i].name, graph->outputs[i].node);
    training->n_declared = declared;
    training->n_terms = terms.names.n;
    training->terms = ARENA_ARRAY(builder->arena, const char *, training->n_terms);
    for (int i = 0; i < training->n_terms; i++) training->terms[i] = terms.names.entries[i].key;
}

void train_finish(Builder *builder, const ModelFile *file, const Scope *scope, const Members *members,
                  Training *training)
{
    read_train(builder, file, scope, training);
    find_terms(builder, file, members, training);
}
