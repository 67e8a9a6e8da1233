/* How a player steps: its optimiser, the schedule of its learning rate, and warm-up. Names and defaults are
 * PyTorch's. See model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <math.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static const int64_t most_steps = (int64_t)1 << 40;

/* ---- one of several --------------------------------------------------------------------------------------
 */

/* `{adam: {lr: 1e-4}}` or, with nothing to say, `adam`: which of the words, and what it is given (NULL:
 * nothing). -1 after reporting. */
static int read_choice(Builder *builder, const Tree *tree, const char *key, const char *example,
                       const char *const *words, int n, const Tree **given)
{
    *given = NULL;
    Text list = text_new(builder->arena);
    for (int i = 0; i < n; i++) text_printf(&list, "%s%s", i ? ", " : "", words[i]);
    bool word = tree->kind == TREE_SCALAR && !tree_is_null(tree);
    if (!word && (tree->kind != TREE_MAPPING || tree->n != 1)) {
        diag_error(builder->diag, tree->pos, "'%s' is one of %s, such as %s, not %s", key, list.text, example,
                   tree->kind == TREE_MAPPING ? "several" : tree_kind_text(tree));
        if (tree->kind == TREE_MAPPING && tree->n > 1)
            diag_note(builder->diag, tree->entries[0].pos,
                      "in a file that extends another, '%s: ~' takes this one out", tree->entries[0].key);
        return -1;
    }
    const char *name = word ? tree->text : tree->entries[0].key;
    Pos pos = word ? tree->pos : tree->entries[0].pos;
    const Tree *value = word ? NULL : tree->entries[0].value;
    int found = 0;
    while (found < n && strcmp(name, words[found]) != 0) found++;
    const char *near = diag_nearest(name, words, n);
    if (found == n && near)
        diag_error(builder->diag, pos, "there is no %s '%s' (did you mean '%s'?)", key, name, near);
    else if (found == n)
        diag_error(builder->diag, pos, "there is no %s '%s'; there are %s", key, name, list.text);
    else if (value && value->kind != TREE_MAPPING && !tree_is_null(value))
        diag_error(builder->diag, value->pos, "'%s' is a mapping of what it needs, not %s", name,
                   tree_kind_text(value));
    else if (value && value->kind == TREE_MAPPING)
        *given = value;
    return found < n ? found : -1;
}

/* ---- optimiser -------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    ProgramOptimizer kind;
    double weight_decay;
    const char *keys[5];
    int n_keys;
} optimizers[] = {
    {"adam", OPTIMIZER_ADAM, 0, {"lr", "betas", "eps", "weight_decay"}, 4},
    {"adamw", OPTIMIZER_ADAMW, 0.01, {"lr", "betas", "eps", "weight_decay"}, 4},
    {"sgd", OPTIMIZER_SGD, 0, {"lr", "momentum", "dampening", "nesterov", "weight_decay"}, 5},
};

static void read_beta(Builder *builder, const Tree *tree, const Scope *scope, double *beta)
{
    if (!value_float(&builder->values, tree, scope, "'betas'", beta)) return;
    if (!(*beta >= 0 && *beta < 1))
        diag_error(builder->diag, tree->pos, "of 'betas' each is at least 0 and less than 1, not %g", *beta);
}

static void read_betas(Builder *builder, const Tree *given, const Scope *scope, Optimizer *out)
{
    const Tree *list = file_part(builder, given, "betas", TREE_SEQUENCE);
    if (!list) return;
    if (list->n != 2) {
        diag_error(builder->diag, list->pos, "'betas' are two numbers, such as [0.9, 0.999], not %d",
                   list->n);
        return;
    }
    read_beta(builder, list->items[0], scope, &out->beta1);
    read_beta(builder, list->items[1], scope, &out->beta2);
}

/* Keys of the optimiser, but for those of PyTorch's that we leave out on purpose. */
static void check_optimizer_keys(Builder *builder, const Tree *given, int row)
{
    const TreeEntry *amsgrad = tree_find(given, "amsgrad");
    const char *keys[COUNT(optimizers[0].keys) + 1];
    int n = optimizers[row].n_keys;
    memcpy(keys, optimizers[row].keys, sizeof *keys * (size_t)n);
    if (amsgrad) {
        diag_error(builder->diag, amsgrad->pos,
                   "'amsgrad' is not supported: the largest squared gradient so far is not kept");
        keys[n++] = "amsgrad";
    }
    file_check_keys(builder, given, arena_printf(builder->arena, "'%s' has", optimizers[row].name), keys, n);
}

static void read_nesterov(Builder *builder, const Tree *given, const Scope *scope, Optimizer *out)
{
    const Tree *tree = tree_get(given, "nesterov");
    if (!tree || !value_bool(&builder->values, tree, scope, "'nesterov'", &out->nesterov)) return;
    if (out->nesterov && (out->momentum == 0 || out->dampening != 0))
        diag_error(builder->diag, tree->pos, "'nesterov' needs a 'momentum' above 0 and no 'dampening'");
}

static void read_optimizer(Builder *builder, const TreeEntry *player, const Scope *scope, Optimizer *out,
                           double *weight_decay)
{
    const char *const words[] = {"adam", "adamw", "sgd"};
    const Tree *tree = tree_get(player->value, "optimizer"), *given;
    if (!tree) {
        diag_error(builder->diag, player->pos,
                   "the player '%s' has no 'optimizer', such as {adam: {lr: 2.5e-4}}", player->key);
        return;
    }
    int row = read_choice(builder, tree, "optimizer", "{adam: {lr: 2.5e-4}}", words, COUNT(words), &given);
    if (row < 0) return;
    *out = (Optimizer){.kind = optimizers[row].kind, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    *weight_decay = optimizers[row].weight_decay;
    if (!tree_find(given, "lr"))
        diag_error(builder->diag, tree->pos, "'%s' of the player '%s' needs 'lr', the learning rate",
                   words[row], player->key);
    if (!given) return;
    check_optimizer_keys(builder, given, row);
    file_float(builder, given, "lr", scope, 0, INFINITY, &out->lr);
    file_float(builder, given, "weight_decay", scope, 0, INFINITY, weight_decay);
    file_float(builder, given, "eps", scope, 0, INFINITY, &out->eps);
    file_float(builder, given, "momentum", scope, 0, INFINITY, &out->momentum);
    file_float(builder, given, "dampening", scope, 0, INFINITY, &out->dampening);
    read_nesterov(builder, given, scope, out);
    read_betas(builder, given, scope, out);
}

/* ---- schedule --------------------------------------------------------------------------------------------
 */

static void read_schedule(Builder *builder, const TreeEntry *player, const Scope *scope, ProgramSchedule *out)
{
    static const char *const words[] = {"constant", "poly", "step", "cosine"};
    static const char *const keys[][2] = {{"", ""}, {"power", ""}, {"step_size", "gamma"}, {"lr_min", ""}};
    static const ProgramScheduleKind kinds[] = {SCHEDULE_CONSTANT, SCHEDULE_POLY, SCHEDULE_STEP,
                                                SCHEDULE_COSINE};
    static const int n_keys[] = {0, 1, 2, 1};
    const Tree *tree = tree_get(player->value, "schedule"), *given;
    *out = (ProgramSchedule){.kind = SCHEDULE_CONSTANT, .power = 0.9, .gamma = 0.1, .step_size = 1};
    if (!tree) return;
    int row = read_choice(builder, tree, "schedule", "{poly: {power: 0.9}}", words, COUNT(words), &given);
    if (row < 0) return;
    out->kind = kinds[row];
    if (given)
        file_check_keys(builder, given, arena_printf(builder->arena, "'%s' has", words[row]), keys[row],
                        n_keys[row]);
    if (out->kind == SCHEDULE_STEP && !tree_find(given, "step_size"))
        diag_error(builder->diag, tree->pos,
                   "'step' needs a 'step_size', the steps after which the rate falls");
    file_float(builder, given, "power", scope, 0, INFINITY, &out->power);
    file_float(builder, given, "gamma", scope, 0, INFINITY, &out->gamma);
    file_float(builder, given, "lr_min", scope, 0, INFINITY, &out->lr_min);
    file_int(builder, given, "step_size", scope, 1, most_steps, &out->step_size);
}

static void read_warmup(Builder *builder, const TreeEntry *player, const Scope *scope, ProgramSchedule *out)
{
    static const char *const keys[] = {"steps", "factor"};
    const Tree *tree = file_part(builder, player->value, "warmup", TREE_MAPPING);
    if (!tree) return;
    file_check_keys(builder, tree, "'warmup' has", keys, COUNT(keys));
    if (!tree_find(tree, "steps"))
        diag_error(builder->diag, tree->pos, "'warmup' needs 'steps', the number of steps it lasts");
    file_int(builder, tree, "steps", scope, 1, most_steps, &out->warmup);
    file_float(builder, tree, "factor", scope, 0, 1, &out->warmup_factor);
}

void optimizer_read(Builder *builder, const TreeEntry *player, const Scope *scope, Player *out,
                    double *weight_decay)
{
    read_optimizer(builder, player, scope, &out->optimizer, weight_decay);
    file_float(builder, player->value, "clip_norm", scope, 0, INFINITY, &out->optimizer.clip_norm);
    read_schedule(builder, player, scope, &out->schedule);
    read_warmup(builder, player, scope, &out->schedule);
}
