/* Files of the language: found, read once, merged with what they extend, and taken apart into definitions,
 * with the keys and kinds of their parts checked. See model_parts.h and graphs/README.md.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- finding ---------------------------------------------------------------------------------------------
 */

static const char *folder_of(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(arena, path, (size_t)(slash - path) + 1) : "";
}

const char *file_find(Builder *builder, const Tree *name)
{
    if (name->kind != TREE_SCALAR || !*name->text) {
        diag_error(builder->diag, name->pos, "the name of a file is expected here, not %s",
                   tree_kind_text(name));
        return NULL;
    }
    const char *folder = folder_of(builder->arena, name->pos.source->path);
    const char *path = arena_printf(builder->arena, "%s%s", name->text[0] == '/' ? "" : folder, name->text);
    if (access(path, F_OK) == 0) return path;
    const char *const *dirs = name->text[0] == '/' ? NULL : builder->options->graph_dirs;
    for (int i = 0; dirs && dirs[i]; i++) {
        path = arena_printf(builder->arena, "%s/%s", dirs[i], name->text);
        if (access(path, F_OK) == 0) return path;
    }
    diag_error(builder->diag, name->pos, "there is no file '%s'", name->text);
    Text looked = text_new(builder->arena);
    text_printf(&looked, "%s", *folder ? folder : "./");
    for (int i = 0; dirs && dirs[i]; i++) text_printf(&looked, ", %s/", dirs[i]);
    diag_note(builder->diag, (Pos){0}, "looked in %s", looked.text);
    return NULL;
}

/* ---- parts -----------------------------------------------------------------------------------------------
 */

void file_check_keys(Builder *builder, const Tree *mapping, const char *what, const char *const *known, int n)
{
    for (int i = 0; i < mapping->n; i++) {
        const TreeEntry *entry = &mapping->entries[i];
        bool found = false;
        for (int j = 0; j < n && !found; j++) found = strcmp(entry->key, known[j]) == 0;
        if (found) continue;
        const char *near = diag_nearest(entry->key, known, n);
        if (near)
            diag_error(builder->diag, entry->pos, "unknown key '%s' (did you mean '%s'?)", entry->key, near);
        else
            diag_error(builder->diag, entry->pos, "unknown key '%s': %s no such key", entry->key, what);
    }
}

static const char *kind_name(TreeKind kind)
{
    return kind == TREE_MAPPING ? "a mapping" : kind == TREE_SEQUENCE ? "a list" : "a value";
}

const Tree *file_part(Builder *builder, const Tree *mapping, const char *key, TreeKind kind)
{
    const TreeEntry *entry = tree_find(mapping, key);
    if (!entry) return NULL;
    bool missing = kind == TREE_SCALAR && tree_is_null(entry->value);
    if (entry->value->kind == kind && !missing) return entry->value;
    diag_error(builder->diag, missing ? entry->pos : entry->value->pos, "'%s' is %s, not %s", key,
               kind_name(kind), tree_kind_text(entry->value));
    return NULL;
}

static void report_range(Builder *builder, const Tree *tree, const char *key, double least, double most,
                         double value)
{
    if (isfinite(most))
        diag_error(builder->diag, tree->pos, "'%s' is %g to %g, not %g", key, least, most, value);
    else
        diag_error(builder->diag, tree->pos, "'%s' is %g or more, not %g", key, least, value);
}

bool file_float(Builder *builder, const Tree *mapping, const char *key, const Scope *scope, double least,
                double most, double *out)
{
    const Tree *tree = tree_get(mapping, key);
    double value = *out;
    if (!tree) return true;
    if (!value_float(&builder->values, tree, scope, arena_printf(builder->arena, "'%s'", key), &value))
        return false;
    bool good = value >= least && value <= most && isfinite(value);
    if (!good) report_range(builder, tree, key, least, most, value);
    if (good) *out = value;
    return good;
}

bool file_int(Builder *builder, const Tree *mapping, const char *key, const Scope *scope, int64_t least,
              int64_t most, int64_t *out)
{
    const Tree *tree = tree_get(mapping, key);
    int64_t value = *out;
    if (!tree) return true;
    if (!value_int(&builder->values, tree, scope, arena_printf(builder->arena, "'%s'", key), &value))
        return false;
    bool good = value >= least && value <= most;
    if (!good)
        diag_error(builder->diag, tree->pos, "'%s' is %lld to %lld, not %lld", key, (long long)least,
                   (long long)most, (long long)value);
    if (good) *out = value;
    return good;
}

static void check_names(Builder *builder, const Tree *mapping, const char *what)
{
    for (int i = 0; mapping && i < mapping->n; i++) {
        const TreeEntry *entry = &mapping->entries[i];
        if (!value_is_name(entry->key))
            diag_error(builder->diag, entry->pos,
                       "'%s' can't be the name of %s: letters, digits, _ and - can stand in one", entry->key,
                       what);
    }
}

/* Settings stand beside these keys where they are given. */
static void check_settings(Builder *builder, const Tree *settings)
{
    check_names(builder, settings, "a setting");
    for (int i = 0; settings && i < settings->n; i++) {
        const TreeEntry *entry = &settings->entries[i];
        if (strcmp(entry->key, "op") == 0 || strcmp(entry->key, "in") == 0 || strcmp(entry->key, "use") == 0)
            diag_error(builder->diag, entry->pos,
                       "a setting can't be called '%s', which is a key of the language", entry->key);
        if (strchr(entry->key, '-'))
            diag_error(builder->diag, entry->pos,
                       "a setting can't be called '%s': in '$%s' the - would subtract", entry->key,
                       entry->key);
    }
}

/* The parts that networks, programs and blocks have alike. */
static void read_definition(Builder *builder, Definition *definition, const Tree *tree, TreeKind inputs)
{
    definition->settings = file_part(builder, tree, "settings", TREE_MAPPING);
    definition->inputs = file_part(builder, tree, "inputs", inputs);
    definition->nodes = file_part(builder, tree, "nodes", TREE_MAPPING);
    definition->outputs = file_part(builder, tree, "outputs", TREE_MAPPING);
    check_settings(builder, definition->settings);
    if (inputs == TREE_MAPPING) check_names(builder, definition->inputs, "an input");
    check_names(builder, definition->outputs, "an output");
    definition->setting_used =
        ARENA_ARRAY(builder->arena, bool, definition->settings ? definition->settings->n : 0);
}

static void want_key(Builder *builder, const Tree *tree, const char *key, Pos pos, const char *what)
{
    if (!tree_find(tree, key)) diag_error(builder->diag, pos, "%s has no '%s'", what, key);
}

/* A block's list of inputs: names, each once. */
static void check_block_inputs(Builder *builder, const Definition *block)
{
    if (block->inputs && block->inputs->n > MODEL_MAX_INPUTS) {
        diag_error(builder->diag, block->inputs->pos, "a block has at most %d inputs", MODEL_MAX_INPUTS);
        return;
    }
    for (int i = 0; block->inputs && i < block->inputs->n; i++) {
        const Tree *name = block->inputs->items[i];
        if (name->kind != TREE_SCALAR || !value_is_name(name->text)) {
            diag_error(builder->diag, name->pos, "an input of a block is a name, not %s",
                       name->kind == TREE_SCALAR ? arena_printf(builder->arena, "'%s'", name->text)
                                                 : tree_kind_text(name));
            continue;
        }
        for (int j = 0; j < i; j++) {
            const Tree *other = block->inputs->items[j];
            if (other->kind != TREE_SCALAR || strcmp(other->text, name->text) != 0) continue;
            diag_error(builder->diag, name->pos, "the input '%s' is declared twice", name->text);
            diag_note(builder->diag, other->pos, "first declared here");
            break;
        }
    }
}

static void read_block(Builder *builder, ModelFile *file, Definition *block, const TreeEntry *entry)
{
    int errors = diag_errors(builder->diag);
    static const char *const keys[] = {"settings", "inputs", "nodes", "outputs"};
    *block = (Definition){.kind = "block", .name = entry->key, .pos = entry->pos, .file = file};
    if (entry->value->kind != TREE_MAPPING) {
        diag_error(builder->diag, entry->value->pos, "the block '%s' is a mapping, not %s", entry->key,
                   tree_kind_text(entry->value));
        block->faulty = true;
        return;
    }
    file_check_keys(builder, entry->value, "a block has", keys, COUNT(keys));
    read_definition(builder, block, entry->value, TREE_SEQUENCE);
    check_block_inputs(builder, block);
    const char *what = arena_printf(builder->arena, "the block '%s'", entry->key);
    want_key(builder, entry->value, "nodes", entry->pos, what);
    want_key(builder, entry->value, "outputs", entry->pos, what);
    if (op_find(entry->key) != OP_COUNT && !op_info(op_find(entry->key))->internal)
        diag_error(builder->diag, entry->pos, "a block can't be called '%s', which is an operator",
                   entry->key);
    block->faulty = diag_errors(builder->diag) > errors;
}

static void read_blocks(Builder *builder, ModelFile *file)
{
    const Tree *blocks = file_part(builder, file->root, "blocks", TREE_MAPPING);
    if (!blocks) return;
    check_names(builder, blocks, "a block");
    file->blocks = ARENA_ARRAY(builder->arena, Definition, blocks->n);
    file->block_tree = blocks;
    for (int i = 0; i < blocks->n; i++) read_block(builder, file, &file->blocks[i], &blocks->entries[i]);
}

/* ---- networks that a file uses ---------------------------------------------------------------------------
 */

static void read_use(Builder *builder, ModelFile *file, NetworkUse *use, const TreeEntry *entry)
{
    *use = (NetworkUse){.name = entry->key, .pos = entry->pos};
    const Tree *name = entry->value;
    if (file->program) {
        if (name->kind != TREE_MAPPING || !tree_get(name, "use")) {
            diag_error(builder->diag, entry->pos,
                       "the network '%s' needs the file it is made from: {use: FILE, its settings}",
                       entry->key);
            return;
        }
        use->settings = name;
        name = tree_get(name, "use");
    }
    const TreeEntry *block = tree_find(file->block_tree, entry->key);
    if (block) {
        diag_error(builder->diag, entry->pos, "'%s' is the name of a block too", entry->key);
        diag_note(builder->diag, block->pos, "the block is here");
    }
    const char *path = file_find(builder, name);
    use->file = path ? file_open(builder, path) : NULL;
    if (!use->file || !use->file->program) return;
    diag_error(builder->diag, name->pos, "'%s' is a program; only a network can be used in another file",
               path);
    use->file = NULL;
}

static void read_uses(Builder *builder, ModelFile *file)
{
    const Tree *uses = file_part(builder, file->root, file->program ? "networks" : "use", TREE_MAPPING);
    if (!uses) return;
    check_names(builder, uses, "a network");
    file->uses = ARENA_ARRAY(builder->arena, NetworkUse, uses->n);
    file->use_tree = uses;
    for (int i = 0; i < uses->n; i++) read_use(builder, file, &file->uses[i], &uses->entries[i]);
}

NetworkUse *file_network(Builder *builder, const ModelFile *file, const Tree *name)
{
    const TreeEntry *entry = tree_find(file->use_tree, name->text);
    if (entry) return &file->uses[entry - file->use_tree->entries];
    int n = file->use_tree ? file->use_tree->n : 0;
    const char **names = ARENA_ARRAY(builder->arena, const char *, n);
    for (int i = 0; i < n; i++) names[i] = file->uses[i].name;
    const char *near = diag_nearest(name->text, names, n);
    if (near)
        diag_error(builder->diag, name->pos, "there is no network '%s' (did you mean '%s'?)", name->text,
                   near);
    else
        diag_error(builder->diag, name->pos, "there is no network '%s' in 'networks'", name->text);
    return NULL;
}

void file_report_unused(Builder *builder, const ModelFile *file)
{
    for (int i = 0; file->block_tree && i < file->block_tree->n; i++)
        if (!file->blocks[i].used)
            diag_warning(builder->diag, file->blocks[i].pos, "the block '%s' is never used",
                         file->blocks[i].name);
    for (int i = 0; file->use_tree && i < file->use_tree->n; i++)
        if (!file->uses[i].used)
            diag_warning(builder->diag, file->uses[i].pos, "the network '%s' is never used",
                         file->uses[i].name);
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

/* `segc: 1` stands first, so that a reader of any version knows at once what it reads. */
static bool check_version(Builder *builder, const Tree *root)
{
    Pos whole = {root->pos.source, 1, 1};
    if (root->kind != TREE_MAPPING) {
        diag_error(builder->diag, root->pos, "a file is a mapping that begins with 'segc: 1', not %s",
                   tree_kind_text(root));
        return false;
    }
    const TreeEntry *entry = tree_find(root, "segc");
    if (!entry) {
        diag_error(builder->diag, whole, "the file does not begin with 'segc: 1'");
        return false;
    }
    if (entry != root->entries)
        diag_error(builder->diag, entry->pos, "'segc' must be the first key of the file");
    if (entry->value->kind == TREE_SCALAR && strcmp(entry->value->text, "1") == 0) return true;
    diag_error(builder->diag, entry->value->pos, "this segc reads version 1 of the language, not '%s'",
               entry->value->kind == TREE_SCALAR ? entry->value->text : tree_kind_text(entry->value));
    return false;
}

/* A file being extended, and the one that asked for it. */
typedef struct Extending {
    const struct Extending *by;
    const char *real_path;
    int depth;
} Extending;

const char *file_real_path(Builder *builder, const char *path)
{
    char *resolved = realpath(path, NULL);
    const char *copy = arena_strdup(builder->arena, resolved ? resolved : path);
    free(resolved);
    return copy;
}

/* The file's tree over that of the file it extends. */
static const Tree *load_extended(Builder *builder, const char *path, const Extending *by)
{
    const Tree *root = yaml_load(builder->arena, builder->diag, path);
    if (!root || !check_version(builder, root)) return NULL;
    const Tree *base_name = tree_get(root, "extends");
    if (!base_name) return root;
    const char *base_path = file_find(builder, base_name);
    if (!base_path) return NULL;
    Extending this = {by, file_real_path(builder, path), by ? by->depth + 1 : 1};
    const char *base_real = file_real_path(builder, base_path);
    bool cycle = this.depth > MODEL_MAX_EXTENDS;
    for (const Extending *at = &this; at && !cycle; at = at->by)
        cycle = strcmp(at->real_path, base_real) == 0;
    if (cycle) {
        diag_error(builder->diag, base_name->pos, "'%s' extends itself, directly or through others",
                   base_name->text);
        return NULL;
    }
    const Tree *base = load_extended(builder, base_path, &this);
    return base ? tree_merge(builder->arena, builder->diag, base, root) : NULL;
}

const Tree *file_tree(Builder *builder, const char *path)
{
    return load_extended(builder, path, NULL);
}

/* Whether the file is a network or a program, and its name. */
static bool read_name(Builder *builder, ModelFile *file)
{
    const TreeEntry *network = tree_find(file->root, "network"), *program = tree_find(file->root, "program");
    if (!network == !program) {
        const char *fault = network ? "a file is a network or a program, not both"
                            : tree_find(file->root, "data")
                                ? "this is a data set: `segc data check SPEC --data FILE` reads it"
                                : "the file has neither 'network' nor 'program', which names it";
        diag_error(builder->diag, network ? program->pos : file->root->entries[0].pos, "%s", fault);
        return false;
    }
    file->program = program != NULL;
    const char *kind = program ? "program" : "network";
    const Tree *name = file_part(builder, file->root, kind, TREE_SCALAR);
    if (name && !value_is_name(name->text))
        diag_error(builder->diag, name->pos,
                   "'%s' can't be the name of a %s: letters, digits, _ and - can stand in one", name->text,
                   kind);
    file->main = (Definition){.kind = kind,
                              .name = name ? name->text : "?",
                              .pos = (program ? program : network)->pos,
                              .file = file};
    return name != NULL;
}

static void read_parts(Builder *builder, ModelFile *file)
{
    static const char *const network_keys[] = {
        "segc",    "network", "extends",    "settings", "inputs", "use",          "blocks", "nodes",
        "outputs", "predict", "preprocess", "classes",  "size",   "ignore_index", "data",
    };
    static const char *const program_keys[] = {
        "segc",    "program", "extends", "settings",   "networks", "inputs", "blocks",
        "nodes",   "outputs", "predict", "preprocess", "classes",  "size",   "ignore_index",
        "augment", "data",    "players", "tunables",   "train",
    };
    file_check_keys(builder, file->root, file->program ? "a program has" : "a network has",
                    file->program ? program_keys : network_keys,
                    file->program ? COUNT(program_keys) : COUNT(network_keys));
    read_definition(builder, &file->main, file->root, TREE_MAPPING);
    read_blocks(builder, file);
    read_uses(builder, file);
    if (file->program) return;
    const char *what = arena_printf(builder->arena, "the network '%s'", file->main.name);
    want_key(builder, file->root, "inputs", file->main.pos, what);
    want_key(builder, file->root, "nodes", file->main.pos, what);
    want_key(builder, file->root, "outputs", file->main.pos, what);
}

ModelFile *file_open(Builder *builder, const char *path)
{
    const char *real = file_real_path(builder, path);
    for (ModelFile *file = builder->files; file; file = file->next)
        if (strcmp(file->real_path, real) == 0) return file->root ? file : NULL;
    ModelFile *file = ARENA_NEW(builder->arena, ModelFile);
    file->path = path;
    file->real_path = real;
    file->next = builder->files;
    builder->files = file;
    file->root = file_tree(builder, path);
    if (!file->root) return NULL;
    if (!read_name(builder, file)) {
        file->root = NULL;
        return NULL;
    }
    read_parts(builder, file);
    return file;
}
