/* See model_data.h. Classes that stand in a network or program itself are read here too, by the same rules.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { MAX_COLORS = 512, MAX_WORDS = 8 };

/* ---- classes ---------------------------------------------------------------------------------------------
 */

/* A number from 0 to most; false after reporting. */
static bool read_number(Builder *builder, const Tree *tree, const Scope *scope, const char *what,
                        int64_t most, int64_t *out)
{
    if (!value_int(&builder->values, tree, scope, what, out)) return false;
    if (*out >= 0 && *out <= most) return true;
    diag_error(builder->diag, tree->pos, "%s is 0 to %lld, not %lld", what, (long long)most, (long long)*out);
    return false;
}

static bool read_color(Builder *builder, const Tree *tree, const Scope *scope, uint8_t color[3])
{
    if (tree->n != 3) {
        diag_error(builder->diag, tree->pos, "'color' is [red, green, blue], not a list of %d", tree->n);
        return false;
    }
    for (int i = 0; i < 3; i++) {
        int64_t value = 0;
        if (!read_number(builder, tree->items[i], scope, "a color", 255, &value)) return false;
        color[i] = (uint8_t)value;
    }
    return true;
}

static void read_class(Builder *builder, const Tree *tree, const Scope *scope, ModelClass *out)
{
    static const char *const keys[] = {"name", "color", "ignored"};
    if (tree->kind != TREE_MAPPING) {
        diag_error(builder->diag, tree->pos,
                   "a class is a mapping such as {name: road, color: [128, 64, 128]}, not %s",
                   tree_kind_text(tree));
        return;
    }
    file_check_keys(builder, tree, "a class has", keys, COUNT(keys));
    const Tree *name = file_part(builder, tree, "name", TREE_SCALAR),
               *color = file_part(builder, tree, "color", TREE_SEQUENCE);
    if (!tree_find(tree, "name")) diag_error(builder->diag, tree->pos, "the class has no 'name'");
    if (name) out->name = name->text;
    if (color) read_color(builder, color, scope, out->color);
    const Tree *ignored = tree_get(tree, "ignored");
    if (ignored) value_bool(&builder->values, ignored, scope, "'ignored'", &out->ignored);
}

/* The number of classes; 0 after reporting. */
static int read_classes(Builder *builder, const Tree *list, const Scope *scope, ModelClass **classes)
{
    if (list->n < 1 || list->n > MODEL_MAX_CLASSES) {
        diag_error(builder->diag, list->pos, "there are 1 to %d classes, not %d", MODEL_MAX_CLASSES, list->n);
        return 0;
    }
    *classes = ARENA_ARRAY(builder->arena, ModelClass, list->n);
    for (int i = 0; i < list->n; i++) read_class(builder, list->items[i], scope, &(*classes)[i]);
    return list->n;
}

/* ---- encodings -------------------------------------------------------------------------------------------
 */

/* One encoding while it is read. */
typedef struct Encoder {
    Builder *builder;
    const Scope *scope;
    const ModelData *data;
    ModelEncoding *encoding;
    Pos given[256]; /* of ids: where each was said; source NULL: it was not */
} Encoder;

static void report_twice(Encoder *encoder, const char *what, Pos pos, Pos first)
{
    diag_error(encoder->builder->diag, pos, "%s is given twice", what);
    diag_note(encoder->builder->diag, first, "first given here");
}

static void set_id(Encoder *encoder, int64_t id, unsigned meaning, Pos pos)
{
    if (encoder->given[id].source)
        report_twice(encoder, arena_printf(encoder->builder->arena, "the id %d", (int)id), pos,
                     encoder->given[id]);
    encoder->given[id] = pos;
    encoder->encoding->map[id] = (uint16_t)meaning;
}

static void set_color(Encoder *encoder, const uint8_t rgb[3], unsigned meaning, Pos pos)
{
    ModelEncoding *encoding = encoder->encoding;
    Builder *builder = encoder->builder;
    for (int i = 0; i < encoding->n_colors; i++) {
        if (memcmp(encoding->colors[i].rgb, rgb, 3)) continue;
        report_twice(encoder, arena_printf(builder->arena, "the color [%d, %d, %d]", rgb[0], rgb[1], rgb[2]),
                     pos, encoding->colors[i].pos);
        return;
    }
    if (encoding->n_colors == MAX_COLORS) {
        diag_error(builder->diag, pos, "an encoding has at most %d colors", MAX_COLORS);
        return;
    }
    ModelColor color = {{rgb[0], rgb[1], rgb[2]}, (uint16_t)meaning, pos};
    ARENA_PUSH(builder->arena, encoding->colors, encoding->n_colors, encoding->cap_colors, color);
}

/* '#rrggbb'. */
static bool parse_color(const char *text, uint8_t rgb[3])
{
    if (text[0] != '#' || strlen(text) != 7 || strspn(text + 1, "0123456789abcdefABCDEF") != 6) return false;
    unsigned long value = strtoul(text + 1, NULL, 16);
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(value >> (16 - 8 * i));
    return true;
}

/* A whole number of at most three digits, as the key of a map is one. */
static bool parse_id(const char *text, int64_t *id)
{
    size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 3 || text[digits]) return false;
    *id = strtol(text, NULL, 10);
    return *id <= 255;
}

static void read_map_entry(Encoder *encoder, const TreeEntry *entry)
{
    Builder *builder = encoder->builder;
    int64_t id, class;
    uint8_t rgb[3];
    if (!read_number(builder, entry->value, encoder->scope, "a class of the map",
                     encoder->data->n_classes - 1, &class))
        return;
    if (encoder->encoding->by_color && parse_color(entry->key, rgb))
        set_color(encoder, rgb, (unsigned)class, entry->pos);
    else if (encoder->encoding->by_color)
        diag_error(builder->diag, entry->pos, "a color to be mapped is written '#rrggbb', not '%s'",
                   entry->key);
    else if (parse_id(entry->key, &id))
        set_id(encoder, id, (unsigned)class, entry->pos);
    else
        diag_error(builder->diag, entry->pos, "an id to be mapped is 0 to 255, not '%s'", entry->key);
}

static void read_void(Encoder *encoder, const Tree *item)
{
    Builder *builder = encoder->builder;
    int64_t id;
    uint8_t rgb[3];
    if (!encoder->encoding->by_color) {
        if (read_number(builder, item, encoder->scope, "a void id", 255, &id))
            set_id(encoder, id, MODEL_VOID, item->pos);
    } else if (item->kind == TREE_SEQUENCE) {
        if (read_color(builder, item, encoder->scope, rgb)) set_color(encoder, rgb, MODEL_VOID, item->pos);
    } else if (item->kind == TREE_SCALAR && parse_color(item->text, rgb)) {
        set_color(encoder, rgb, MODEL_VOID, item->pos);
    } else {
        diag_error(builder->diag, item->pos, "a void color is [red, green, blue] or '#rrggbb'");
    }
}

/* Without a map, ids and colours are those of the classes themselves. */
static void map_classes(Encoder *encoder, const Tree *list, Pos pos)
{
    const ModelData *data = encoder->data;
    for (int i = 0; i < data->n_classes; i++) {
        if (!encoder->encoding->by_color) {
            set_id(encoder, i, (unsigned)i, pos);
        } else if (!tree_find(list->items[i], "color")) {
            diag_error(encoder->builder->diag, pos, "the class '%s' has no 'color' to be known by",
                       data->classes[i].name ? data->classes[i].name : "?");
        } else {
            set_color(encoder, data->classes[i].color, (unsigned)i, list->items[i]->pos);
        }
    }
}

/* The ignored label itself is always known: many tools write it whatever the encoding. */
static void finish_ids(Encoder *encoder)
{
    uint16_t *ignored = &encoder->encoding->map[encoder->data->ignore_index];
    if (*ignored == MODEL_UNKNOWN) *ignored = MODEL_VOID;
}

static void read_encoding(Builder *builder, const TreeEntry *entry, const Scope *scope, const Tree *list,
                          const ModelData *data, ModelEncoding *encoding)
{
    static const char *const keys[] = {"kind", "map", "void"};
    const Tree *tree = entry->value;
    Encoder encoder = {.builder = builder, .scope = scope, .data = data, .encoding = encoding};
    encoding->name = entry->key;
    for (int i = 0; i < 256; i++) encoding->map[i] = MODEL_UNKNOWN;
    if (tree->kind != TREE_MAPPING) {
        diag_error(builder->diag, tree->pos, "an encoding is a mapping such as {kind: ids}, not %s",
                   tree_kind_text(tree));
        return;
    }
    file_check_keys(builder, tree, "an encoding has", keys, COUNT(keys));
    const Tree *kind = file_part(builder, tree, "kind", TREE_SCALAR),
               *map = file_part(builder, tree, "map", TREE_MAPPING),
               *voids = file_part(builder, tree, "void", TREE_SEQUENCE);
    if (!tree_find(tree, "kind"))
        diag_error(builder->diag, entry->pos, "the encoding '%s' has no 'kind' (ids or colors)", entry->key);
    if (kind && strcmp(kind->text, "ids") && strcmp(kind->text, "colors"))
        diag_error(builder->diag, kind->pos, "'kind' is one of ids, colors, not '%s'", kind->text);
    encoding->by_color = kind && !strcmp(kind->text, "colors");
    if (!tree_find(tree, "map")) map_classes(&encoder, list, entry->pos);
    for (int i = 0; map && i < map->n; i++) read_map_entry(&encoder, &map->entries[i]);
    for (int i = 0; voids && i < voids->n; i++) read_void(&encoder, voids->items[i]);
    if (!encoding->by_color) finish_ids(&encoder);
}

static void read_encodings(Builder *builder, const Tree *root, const Scope *scope, ModelData *data)
{
    const Tree *tree = file_part(builder, root, "encodings", TREE_MAPPING), *list = tree_get(root, "classes");
    if (!tree) return;
    data->n_encodings = tree->n;
    data->encodings = ARENA_ARRAY(builder->arena, ModelEncoding, tree->n);
    for (int i = 0; i < tree->n; i++) {
        const TreeEntry *entry = &tree->entries[i];
        if (!value_is_name(entry->key))
            diag_error(builder->diag, entry->pos,
                       "'%s' can't be the name of an encoding: letters, digits, _ and - can stand in one",
                       entry->key);
        read_encoding(builder, entry, scope, list, data, &data->encodings[i]);
    }
}

/* ---- layouts ---------------------------------------------------------------------------------------------
 */

/* The {words} of a pattern, each once. */
typedef struct Words {
    int n;
    const char *items[MAX_WORDS];
} Words;

static bool has_word(const Words *words, const char *word)
{
    for (int i = 0; i < words->n; i++)
        if (!strcmp(words->items[i], word)) return true;
    return false;
}

static bool read_words(Builder *builder, const Tree *pattern, Words *words)
{
    for (const char *at = pattern->text; (at = strpbrk(at, "{}")); at++) {
        size_t length = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (*at == '}' || !length || at[1 + length] != '}') {
            diag_error(builder->diag, tree_text_pos(pattern, (size_t)(at - pattern->text)),
                       "in a pattern, { } hold a word of small letters such as {name}");
            return false;
        }
        const char *word = arena_strndup(builder->arena, at + 1, length);
        if (has_word(words, word)) {
            at += length + 1;
            continue;
        }
        if (words->n == MAX_WORDS) {
            diag_error(builder->diag, pattern->pos, "a pattern has at most %d different words", MAX_WORDS);
            return false;
        }
        words->items[words->n++] = word;
        at += length + 1;
    }
    if (*pattern->text != '/' && words->n) return true;
    diag_error(builder->diag, pattern->pos,
               words->n ? "a pattern starts below the folder given, not with '/'"
                        : "the pattern has no {name}: it would be one file");
    return false;
}

static void compare_words(Builder *builder, const Tree *pattern, const Words *words, const Words *others,
                          const char *other)
{
    for (int i = 0; i < others->n; i++)
        if (!has_word(words, others->items[i]))
            diag_error(builder->diag, pattern->pos, "the pattern has no {%s}, which that of the %s has",
                       others->items[i], other);
}

static int find_encoding(Builder *builder, const ModelData *data, const Tree *name)
{
    const char **names = ARENA_ARRAY(builder->arena, const char *, data->n_encodings);
    for (int i = 0; i < data->n_encodings; i++) {
        names[i] = data->encodings[i].name;
        if (!strcmp(names[i], name->text)) return i;
    }
    const char *near = diag_nearest(name->text, names, data->n_encodings);
    if (near)
        diag_error(builder->diag, name->pos, "there is no encoding '%s' (did you mean '%s'?)", name->text,
                   near);
    else
        diag_error(builder->diag, name->pos, "there is no encoding '%s' in 'encodings'", name->text);
    return 0;
}

static void read_layout(Builder *builder, const TreeEntry *entry, const ModelData *data, ModelLayout *layout)
{
    static const char *const keys[] = {"image", "label", "encoding"};
    const Tree *tree = entry->value, *parts[3];
    layout->name = entry->key;
    if (tree->kind != TREE_MAPPING) {
        diag_error(builder->diag, tree->pos, "a layout is a mapping of image, label and encoding, not %s",
                   tree_kind_text(tree));
        return;
    }
    file_check_keys(builder, tree, "a layout has", keys, COUNT(keys));
    for (int i = 0; i < 3; i++) {
        parts[i] = file_part(builder, tree, keys[i], TREE_SCALAR);
        if (!tree_find(tree, keys[i]))
            diag_error(builder->diag, entry->pos, "the layout '%s' has no '%s'", entry->key, keys[i]);
    }
    Words image = {0}, label = {0};
    if (parts[2]) layout->encoding = find_encoding(builder, data, parts[2]);
    if (!parts[0] || !parts[1]) return;
    layout->image = parts[0]->text;
    layout->label = parts[1]->text;
    if (!read_words(builder, parts[0], &image) || !read_words(builder, parts[1], &label)) return;
    compare_words(builder, parts[0], &image, &label, "label");
    compare_words(builder, parts[1], &label, &image, "image");
}

static void read_layouts(Builder *builder, const Tree *root, ModelData *data)
{
    const Tree *tree = file_part(builder, root, "layouts", TREE_MAPPING);
    if (!tree) return;
    data->n_layouts = tree->n;
    data->layouts = ARENA_ARRAY(builder->arena, ModelLayout, tree->n);
    for (int i = 0; i < tree->n; i++) {
        if (!value_is_name(tree->entries[i].key))
            diag_error(builder->diag, tree->entries[i].pos,
                       "'%s' can't be the name of a layout: letters, digits, _ and - can stand in one",
                       tree->entries[i].key);
        read_layout(builder, &tree->entries[i], data, &data->layouts[i]);
    }
}

/* ---- a file ----------------------------------------------------------------------------------------------
 */

static void read_data_name(Builder *builder, const Tree *root, ModelData *data)
{
    static const char *const taken[] = {"list", "images", "labels", "builtin"};
    const Tree *name = file_part(builder, root, "data", TREE_SCALAR);
    if (!name) return;
    data->name = name->text;
    if (!value_is_name(name->text))
        diag_error(builder->diag, name->pos,
                   "'%s' can't be the name of a data set: letters, digits, _ and - can stand in one",
                   name->text);
    for (int i = 0; i < COUNT(taken); i++)
        if (!strcmp(taken[i], name->text))
            diag_error(builder->diag, name->pos,
                       "a data set can't be called '%s', which begins other data "
                       "specifications",
                       name->text);
}

/* NULL after reporting. */
static const ModelData *read_file(Builder *builder, const char *path, Pos asked)
{
    static const char *const keys[] = {"segc",         "data",      "extends", "classes",
                                       "ignore_index", "encodings", "layouts"};
    int errors = diag_errors(builder->diag);
    const Tree *root = file_tree(builder, path);
    if (!root) return NULL;
    if (!tree_find(root, "data")) {
        diag_error(builder->diag, asked.source ? asked : root->pos,
                   "'%s' is no data set: it has no 'data', which names it", path);
        return NULL;
    }
    file_check_keys(builder, root, "a data set has", keys, COUNT(keys));
    ModelData *data = ARENA_NEW(builder->arena, ModelData);
    *data = (ModelData){.name = "?", .path = path, .ignore_index = 255};
    read_data_name(builder, root, data);
    const Scope scope = {.owner = arena_printf(builder->arena, "the data set '%s'", data->name)};
    const Tree *classes = file_part(builder, root, "classes", TREE_SEQUENCE),
               *ignore = tree_get(root, "ignore_index");
    if (!tree_find(root, "classes"))
        diag_error(builder->diag, tree_find(root, "data")->pos, "the data set '%s' has no list 'classes'",
                   data->name);
    if (ignore &&
        !read_number(builder, ignore, &scope, "'ignore_index' of a data set", 255, &data->ignore_index))
        data->ignore_index = 255;
    if (classes) data->n_classes = read_classes(builder, classes, &scope, &data->classes);
    if (diag_errors(builder->diag) > errors) return NULL;
    read_encodings(builder, root, &scope, data);
    read_layouts(builder, root, data);
    return diag_errors(builder->diag) > errors ? NULL : data;
}

const ModelData *model_data_load(Arena *arena, Diag *diag, const char *path, const char *const *graph_dirs)
{
    const ModelOptions options = {.graph_dirs = graph_dirs};
    Builder builder = {.arena = arena, .diag = diag, .options = &options, .values = {arena, diag, 0}};
    return read_file(&builder, arena_strdup(arena, path), (Pos){0});
}

/* ---- what a network or program says ----------------------------------------------------------------------
 */

/* `cityscapes` or a file: added to the model, once. */
static const ModelData *add_data(Builder *builder, const Tree *name, Model *model)
{
    Tree file = *name;
    if (name->kind == TREE_SCALAR && !strrchr(name->text, '.'))
        file.text = arena_printf(builder->arena, "data/%s.yaml", name->text);
    const char *path = file_find(builder, &file);
    if (!path) return NULL;
    for (int i = 0; i < model->n_data; i++)
        if (!strcmp(model->data[i]->path, path)) return model->data[i];
    const ModelData *data = read_file(builder, path, name->pos);
    if (!data) return NULL;
    for (int i = 0; i < model->n_data; i++) {
        if (strcmp(model->data[i]->name, data->name)) continue;
        if (strcmp(file_real_path(builder, model->data[i]->path), file_real_path(builder, path)))
            diag_error(builder->diag, name->pos, "'%s' and '%s' are both called '%s'", model->data[i]->path,
                       path, data->name);
        return model->data[i];
    }
    ARENA_PUSH(builder->arena, model->data, model->n_data, model->cap_data, data);
    return data;
}

static void take_classes(Model *model, const ModelData *data)
{
    model->classes = data->classes;
    model->n_classes = data->n_classes;
    model->ignore_index = data->ignore_index;
}

/* Class ids mean the same in every data set: the program's classes, but for void ones behind them. */
static void check_same_classes(Builder *builder, const Tree *name, const ModelData *data, const Model *model)
{
    int n = model->n_classes;
    while (n > data->n_classes && model->classes[n - 1].ignored) n--;
    if (n != data->n_classes) {
        diag_error(builder->diag, name->pos, "the data set '%s' has %d classes, and this %d", data->name,
                   data->n_classes, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *ours = model->classes[i].name, *theirs = data->classes[i].name;
        if (!ours || !theirs || !strcmp(ours, theirs)) continue;
        diag_error(builder->diag, name->pos,
                   "the data set '%s' has other classes: its class %d is '%s', here it is '%s'", data->name,
                   i, theirs, ours);
        return;
    }
}

/* `data`: a name, or a list of them. */
static void read_data(Builder *builder, const Tree *tree, Model *model)
{
    const Tree *const one[] = {tree}, *const *names = tree->kind == TREE_SEQUENCE ? tree->items : one;
    int n = tree->kind == TREE_SEQUENCE ? tree->n : 1;
    if (tree->kind == TREE_MAPPING || tree_is_null(tree)) {
        diag_error(builder->diag, tree->pos,
                   "'data' is a list of data sets such as [cityscapes, gta5], not %s", tree_kind_text(tree));
        return;
    }
    for (int i = 0; i < n; i++) {
        const ModelData *data = add_data(builder, names[i], model);
        if (!data) continue;
        if (!model->n_classes) take_classes(model, data);
        check_same_classes(builder, names[i], data, model);
    }
}

void model_classes(Builder *builder, const ModelFile *file, const Scope *scope, Model *model)
{
    const Tree *classes = tree_get(file->root, "classes"), *data = tree_get(file->root, "data"),
               *ignore = tree_get(file->root, "ignore_index");
    int errors = diag_errors(builder->diag);
    model->ignore_index = 255;
    if (classes && classes->kind == TREE_SEQUENCE) {
        model->n_classes = read_classes(builder, classes, scope, &model->classes);
    } else if (classes && classes->kind == TREE_SCALAR && !tree_is_null(classes)) {
        const ModelData *from = add_data(builder, classes, model);
        if (from) take_classes(model, from);
    } else if (classes) {
        diag_error(builder->diag, classes->pos, "'classes' is a list, or the name of a data set, not %s",
                   tree_kind_text(classes));
    }
    if (data && diag_errors(builder->diag) == errors) read_data(builder, data, model);
    if (ignore) value_int(&builder->values, ignore, scope, "'ignore_index'", &model->ignore_index);
    for (int i = 0; i < builder->n_ignoring; i++)
        node_set_int(builder->ignoring[i], A_IGNORE_INDEX, model->ignore_index);
    if (model->n_classes > 0) program_check_classes(builder, classes ? classes : data, model);
}
