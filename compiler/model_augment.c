/* See model_augment.h. One row per operation and one per key of it; a pair of values is [least, most]. */
#define _GNU_SOURCE
#include "model_parts.h"

#include <math.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { MOST_OPERATIONS = 64, KEYS = 4, MOST_SIDE = 65535, MOST_KERNEL = 255 };

typedef struct AugmentKey {
    const char *name; /* NULL: no more keys */
    int first;        /* of ModelAugment.value; -1: p */
    bool pair, whole;
    double initial[2];
    double least, most;
} AugmentKey;

typedef struct AugmentRow {
    const char *name;
    ModelAugmentKind kind;
    double p; /* when not given */
    AugmentKey keys[KEYS];
} AugmentRow;

static const AugmentRow rows[] = {
    {"resize",
     MODEL_AUGMENT_SCALE,
     1,
     {{.name = "size", .pair = true, .whole = true, .least = 1, .most = MOST_SIDE},
      {.name = "scale", .pair = true, .initial = {1, 1}, .least = 0.01, .most = 100}}},
    {"horizontal_flip", MODEL_AUGMENT_FLIP, 0.5, {{0}}},
    {"rotation", MODEL_AUGMENT_ROTATION, 1, {{.name = "degrees", .initial = {10}, .most = 180}}},
    {"color_jitter",
     MODEL_AUGMENT_JITTER,
     1,
     {{.name = "brightness", .first = 0, .most = 10},
      {.name = "contrast", .first = 1, .most = 10},
      {.name = "saturation", .first = 2, .most = 10},
      {.name = "hue", .first = 3, .most = 0.5}}},
    {"gaussian_blur",
     MODEL_AUGMENT_BLUR,
     1,
     {{.name = "kernel", .first = 0, .whole = true, .initial = {5}, .least = 1, .most = MOST_KERNEL},
      {.name = "sigma", .first = 1, .pair = true, .initial = {0.1, 2}, .least = 0.01, .most = 100}}},
    {"random_resized_crop",
     MODEL_AUGMENT_CROP,
     1,
     {{.name = "scale", .first = 0, .pair = true, .initial = {0.08, 1}, .least = 0.001, .most = 1},
      {.name = "ratio", .first = 2, .pair = true, .initial = {0.75, 4.0 / 3}, .least = 0.05, .most = 20}}},
};

static void unknown(Builder *builder, Pos pos, const char *what, const char *name, const char *const *known,
                    int n)
{
    const char *near = diag_nearest(name, known, n);
    if (near) {
        diag_error(builder->diag, pos, "there is no %s '%s' (did you mean '%s'?)", what, name, near);
        return;
    }
    Text list = text_new(builder->arena);
    for (int i = 0; i < n; i++) text_printf(&list, "%s%s", i ? ", " : "", known[i]);
    diag_error(builder->diag, pos, "there is no %s '%s'; there are %s", what, name, list.text);
}

static bool read_number(Builder *builder, const Tree *tree, const Scope *scope, const AugmentKey *key,
                        double *out)
{
    int64_t whole = 0;
    const char *what = arena_printf(builder->arena, "'%s'", key->name);
    if (key->whole && !value_int(&builder->values, tree, scope, what, &whole)) return false;
    if (!key->whole && !value_float(&builder->values, tree, scope, what, out)) return false;
    if (key->whole) *out = (double)whole;
    if (*out >= key->least && *out <= key->most) return true;
    diag_error(builder->diag, tree->pos, "'%s' is %g to %g, not %g", key->name, key->least, key->most, *out);
    return false;
}

static void read_pair(Builder *builder, const Tree *tree, const Scope *scope, const AugmentKey *key,
                      double out[2])
{
    bool size = strcmp(key->name, "size") == 0;
    if (tree->kind != TREE_SEQUENCE || tree->n != 2) {
        diag_error(builder->diag, tree->pos, "'%s' is %s", key->name,
                   size ? "[rows, columns]" : "a range [least, most]");
        return;
    }
    bool good = read_number(builder, tree->items[0], scope, key, &out[0]);
    good &= read_number(builder, tree->items[1], scope, key, &out[1]);
    if (good && !size && out[0] > out[1])
        diag_error(builder->diag, tree->pos, "'%s' is [least, most], and %g is more than %g", key->name,
                   out[0], out[1]);
}

static void read_key(Builder *builder, const Tree *given, const Scope *scope, const AugmentKey *key,
                     ModelAugment *out)
{
    const Tree *tree = tree_get(given, key->name);
    double *value = key->first < 0 ? &out->p : &out->value[key->first];
    if (!tree || tree_is_null(tree)) return;
    if (key->pair)
        read_pair(builder, tree, scope, key, value);
    else
        read_number(builder, tree, scope, key, value);
}

/* What belongs together in one operation. */
static void check_together(Builder *builder, const TreeEntry *entry, const ModelAugment *augment)
{
    const Tree *given = entry->value;
    if (augment->kind == MODEL_AUGMENT_SIZE && tree_find(given, "scale"))
        diag_error(builder->diag, tree_find(given, "scale")->pos, "'resize' has either 'size' or 'scale'");
    if (augment->kind == MODEL_AUGMENT_SCALE && !tree_find(given, "scale"))
        diag_error(builder->diag, entry->pos,
                   "'resize' needs a 'size' [rows, columns] or a 'scale' [least, most]");
    if (augment->kind == MODEL_AUGMENT_BLUR && fmod(augment->value[0], 2) != 1)
        diag_error(builder->diag, tree_get(given, "kernel")->pos, "'kernel' is an odd number, not %g",
                   augment->value[0]);
}

static void read_keys(Builder *builder, const TreeEntry *entry, const Scope *scope, const AugmentRow *row,
                      ModelAugment *out)
{
    static const AugmentKey share = {.name = "p", .first = -1, .least = 0, .most = 1};
    const Tree *given = entry->value;
    const char *names[KEYS + 1] = {share.name};
    int n = 1;
    out->kind = row->kind;
    out->p = row->p;
    if (row->kind == MODEL_AUGMENT_SCALE && tree_find(given, "size")) out->kind = MODEL_AUGMENT_SIZE;
    for (int i = 0; i < KEYS && row->keys[i].name; i++) {
        const AugmentKey *key = &row->keys[i];
        names[n++] = key->name;
        for (int k = 0; k < 1 + key->pair; k++) out->value[key->first + k] = key->initial[k];
    }
    if (given->kind != TREE_MAPPING && !tree_is_null(given)) {
        diag_error(builder->diag, given->pos, "'%s' is a mapping of what it needs, such as {p: 0.5}, not %s",
                   row->name, tree_kind_text(given));
        return;
    }
    int errors = diag_errors(builder->diag);
    if (given->kind == TREE_MAPPING)
        file_check_keys(builder, given, arena_printf(builder->arena, "'%s' has", row->name), names, n);
    read_key(builder, given, scope, &share, out);
    for (int i = 0; i < n - 1; i++)
        if (out->kind != MODEL_AUGMENT_SIZE || i == 0) read_key(builder, given, scope, &row->keys[i], out);
    if (diag_errors(builder->diag) == errors) check_together(builder, entry, out);
}

/* One item of a stream's list: a mapping of one key, the operation. */
static void read_operation(Builder *builder, const Tree *item, const Scope *scope, ModelAugment *out)
{
    if (item->kind != TREE_MAPPING || item->n != 1) {
        diag_error(builder->diag, item->pos,
                   "one operation is expected here, such as {horizontal_flip: {p: 0.5}}, not %s",
                   item->kind == TREE_MAPPING ? "several keys" : tree_kind_text(item));
        return;
    }
    const TreeEntry *entry = &item->entries[0];
    const char *names[COUNT(rows)];
    int row = -1;
    for (int i = 0; i < COUNT(rows); i++) {
        names[i] = rows[i].name;
        if (strcmp(entry->key, rows[i].name) == 0) row = i;
    }
    if (row < 0)
        unknown(builder, entry->pos, "augmentation", entry->key, names, COUNT(rows));
    else
        read_keys(builder, entry, scope, &rows[row], out);
}

static bool is_stream(Builder *builder, const ModelFile *file, const TreeEntry *entry)
{
    const Tree *inputs = file->main.inputs;
    if (tree_find(inputs, entry->key)) return true;
    int n = inputs ? inputs->n : 0;
    const char **names = ARENA_ARRAY(builder->arena, const char *, n);
    for (int i = 0; i < n; i++) names[i] = inputs->entries[i].key;
    unknown(builder, entry->pos, "stream", entry->key, names, n);
    return false;
}

static void read_stream(Builder *builder, const TreeEntry *entry, const Scope *scope, Model *model)
{
    const Tree *list = entry->value;
    if (tree_is_null(list)) return;
    if (list->kind != TREE_SEQUENCE || list->n > MOST_OPERATIONS) {
        diag_error(
            builder->diag, list->pos,
            "what is done to '%s' is a list of up to %d operations, such as [{horizontal_flip: {p: 0.5}}]",
            entry->key, MOST_OPERATIONS);
        return;
    }
    for (int i = 0; i < list->n; i++) {
        ModelAugment *augment = &model->augments[model->n_augments++];
        augment->stream = entry->key;
        read_operation(builder, list->items[i], scope, augment);
    }
}

void model_augment(Builder *builder, const ModelFile *file, const Scope *scope, Model *model)
{
    const Tree *tree = file_part(builder, file->root, "augment", TREE_MAPPING);
    if (!tree || !file->program) return;
    model->augments = ARENA_ARRAY(builder->arena, ModelAugment, MOST_OPERATIONS * tree->n);
    for (int i = 0; i < tree->n; i++)
        if (is_stream(builder, file, &tree->entries[i]))
            read_stream(builder, &tree->entries[i], scope, model);
}
