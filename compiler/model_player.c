/* Players: who minimises what, which networks' parameters each owns, and how. See model_parts.h.
 *
 * What players update must be known before nodes are made (a network that nobody updates keeps its
 * statistics), what they minimise only afterwards; hence two visits.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <fnmatch.h>
#include <string.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { MOST_GROUPS = 256 };

static const int64_t most_steps = (int64_t)1 << 40;

/* ---- before the nodes ------------------------------------------------------------------------------------
 */

/* `updates: [segmenter]`: each network belongs to one player. */
static void claim_network(Builder *builder, ModelFile *file, const TreeEntry *player, const Tree *name)
{
    if (name->kind != TREE_SCALAR || tree_is_null(name)) {
        diag_error(builder->diag, name->pos, "the name of a network is expected here, not %s",
                   tree_kind_text(name));
        return;
    }
    NetworkUse *network = file_network(builder, file, name);
    if (!network) return;
    if (network->owner == player) {
        diag_error(builder->diag, name->pos, "the network '%s' is named twice", name->text);
    } else if (network->owner) {
        diag_error(builder->diag, name->pos, "the network '%s' belongs to one player, and has one already",
                   name->text);
        diag_note(builder->diag, network->owner->pos, "the player '%s' updates it", network->owner->key);
    } else {
        network->owner = player;
    }
}

static void claim(Builder *builder, ModelFile *file, const TreeEntry *player, const Tree **loss)
{
    static const char *const keys[] = {"minimizes", "updates", "optimizer", "schedule",
                                       "warmup",    "from",    "clip_norm", "groups"};
    if (!value_is_name(player->key))
        diag_error(builder->diag, player->pos,
                   "'%s' can't be the name of a player: letters, digits, _ and - can stand in one",
                   player->key);
    if (player->value->kind != TREE_MAPPING) {
        diag_error(builder->diag, player->value->pos,
                   "the player '%s' is a mapping such as {minimizes: loss, updates: [network], optimizer: "
                   "{adam: {lr: 2.5e-4}}}, not %s",
                   player->key, tree_kind_text(player->value));
        return;
    }
    file_check_keys(builder, player->value, "a player has", keys, COUNT(keys));
    *loss = tree_get(player->value, "minimizes");
    const Tree *updates = tree_get(player->value, "updates");
    if (!*loss)
        diag_error(builder->diag, player->pos, "the player '%s' needs 'minimizes', the node that is its loss",
                   player->key);
    if (!updates)
        diag_error(builder->diag, player->pos, "the player '%s' needs 'updates', the networks it improves",
                   player->key);
    else if (updates->kind != TREE_SEQUENCE)
        claim_network(builder, file, player, updates);
    else if (updates->n == 0)
        diag_error(builder->diag, updates->pos, "the player '%s' updates no network", player->key);
    for (int i = 0; updates && updates->kind == TREE_SEQUENCE && i < updates->n; i++)
        claim_network(builder, file, player, updates->items[i]);
}

void players_claim(Builder *builder, ModelFile *file, Instance *program)
{
    const Tree *players = file_part(builder, file->root, "players", TREE_MAPPING);
    if (!players) return;
    if (players->n == 0) diag_error(builder->diag, players->pos, "'players' names no player");
    const Tree **losses = ARENA_ARRAY(builder->arena, const Tree *, players->n);
    for (int i = 0; i < players->n; i++) claim(builder, file, &players->entries[i], &losses[i]);
    program->losses = losses;
    program->n_losses = players->n;
}

/* ---- parameters ------------------------------------------------------------------------------------------
 */

static bool belongs(const ModelFile *file, const TreeEntry *player, const char *param)
{
    for (int i = 0; file->use_tree && i < file->use_tree->n; i++) {
        size_t length = strlen(file->uses[i].name);
        if (file->uses[i].owner == player && strncmp(param, file->uses[i].name, length) == 0 &&
            param[length] == '.')
            return true;
    }
    return false;
}

/* A network that no node applies has no parameters yet. */
static bool check_applied(Builder *builder, const ModelFile *file, const TreeEntry *player)
{
    bool applied = true;
    for (int i = 0; file->use_tree && i < file->use_tree->n; i++) {
        const NetworkUse *network = &file->uses[i];
        if (network->owner != player || network->used) continue;
        diag_error(builder->diag, player->pos,
                   "the player '%s' updates the network '%s', which no node applies", player->key,
                   network->name);
        diag_note(builder->diag, network->pos, "the network is named here");
        applied = false;
    }
    return applied;
}

static void collect_params(Builder *builder, const ModelFile *file, const TreeEntry *player, Player *out)
{
    const Graph *graph = builder->graph;
    out->params = ARENA_ARRAY(builder->arena, PlayerParam, graph->n_params);
    for (int i = 0; i < graph->n_params; i++) {
        Node *param = graph->params[i];
        if (graph_param_init(param).statistic || !belongs(file, player, param->name)) continue;
        out->params[out->n_params++] = (PlayerParam){.param = param, .lr_scale = 1};
    }
    if (out->n_params == 0)
        diag_error(builder->diag, player->pos, "what the player '%s' updates has no parameters", player->key);
}

/* ---- groups ----------------------------------------------------------------------------------------------
 */

/* Puts the parameters that one pattern matches into a group, unless they are in an earlier one. Returns how
 * many were put. */
static int match_pattern(Builder *builder, const Tree *pattern, int group, const Player *player,
                         int *group_of)
{
    int matched = 0, taken = 0;
    if (pattern->kind != TREE_SCALAR || tree_is_null(pattern)) {
        diag_error(builder->diag, pattern->pos,
                   "a pattern of parameter names such as 'segmenter.conv.*' is expected here, not %s",
                   tree_kind_text(pattern));
        return 1;
    }
    for (int i = 0; i < player->n_params; i++) {
        if (fnmatch(pattern->text, player->params[i].param->name, 0) != 0) continue;
        matched++;
        if (group_of[i] >= 0) continue;
        group_of[i] = group;
        taken++;
    }
    if (matched > 0) return taken;
    diag_error(builder->diag, pattern->pos, "'%s' matches no parameter that the player '%s' updates",
               pattern->text, player->name);
    if (player->n_params > 0)
        diag_note(builder->diag, (Pos){0}, "its parameters are named as '%s'", player->params[0].param->name);
    return 1;
}

static void read_group(Builder *builder, const Tree *tree, const Scope *scope, int group, Player *player,
                       int *group_of)
{
    static const char *const keys[] = {"parameters", "lr_scale", "weight_decay"};
    if (tree->kind != TREE_MAPPING) {
        diag_error(builder->diag, tree->pos,
                   "a group is a mapping such as {parameters: 'segmenter.conv.*', lr_scale: 20}, not %s",
                   tree_kind_text(tree));
        return;
    }
    file_check_keys(builder, tree, "a group has", keys, COUNT(keys));
    const Tree *patterns = tree_get(tree, "parameters");
    int taken = 0;
    if (!patterns) {
        diag_error(builder->diag, tree->pos, "the group needs 'parameters', which names are in it");
        return;
    }
    if (patterns->kind == TREE_SEQUENCE)
        for (int i = 0; i < patterns->n; i++)
            taken += match_pattern(builder, patterns->items[i], group, player, group_of);
    else
        taken = match_pattern(builder, patterns, group, player, group_of);
    if (taken == 0)
        diag_error(builder->diag, tree->pos, "the groups before this one have all its parameters");
    PlayerParam values = {.lr_scale = 1, .weight_decay = -1};
    file_float(builder, tree, "lr_scale", scope, 0, 1e6, &values.lr_scale);
    file_float(builder, tree, "weight_decay", scope, 0, 1e6, &values.weight_decay);
    for (int i = 0; i < player->n_params; i++) {
        if (group_of[i] != group) continue;
        player->params[i].lr_scale = values.lr_scale;
        if (values.weight_decay >= 0) player->params[i].weight_decay = values.weight_decay;
    }
}

static void read_groups(Builder *builder, const TreeEntry *entry, const Scope *scope, Player *player)
{
    const Tree *groups = file_part(builder, entry->value, "groups", TREE_SEQUENCE);
    if (!groups) return;
    if (groups->n > MOST_GROUPS) {
        diag_error(builder->diag, groups->pos, "a player has at most %d groups", MOST_GROUPS);
        return;
    }
    int *group_of = ARENA_ARRAY(builder->arena, int, player->n_params);
    for (int i = 0; i < player->n_params; i++) group_of[i] = -1;
    for (int i = 0; i < groups->n; i++) read_group(builder, groups->items[i], scope, i, player, group_of);
}

/* ---- after the nodes -------------------------------------------------------------------------------------
 */

static void check_loss(Builder *builder, const Player *player, const Tree *said)
{
    const Node *loss = player->loss;
    if (!loss) return;
    if (loss->op == OP_TUNABLE) {
        diag_error(builder->diag, said->pos, "the player '%s' can't minimise the tunable '%s'", player->name,
                   loss->name);
    } else if (loss->type.rank != 0 || loss->type.dtype != F32) {
        diag_error(builder->diag, said->pos,
                   "a player minimises a single number, and '%s' is %s: take its mean, or its sum",
                   said->text, type_text(builder->arena, loss->type));
        diag_note(builder->diag, loss->pos, "it is made here");
    }
}

/* Whether all nodes could be made, so that all parameters are there. */
static bool all_made(const Members *members)
{
    for (int i = 0; i < members->n; i++) {
        const Bundle *bundle = &members->items[i].bundle;
        for (int k = 0; k < bundle->n; k++)
            if (!bundle->nodes[k]) return false;
    }
    return true;
}

static void finish(Builder *builder, const ModelFile *file, const TreeEntry *entry, const Scope *scope,
                   const Members *members, int place, Player *out)
{
    const Reference *loss = &members->losses[place];
    double weight_decay = 0;
    *out = (Player){.name = entry->key, .pos = entry->pos, .loss_pos = entry->pos};
    if (entry->value->kind != TREE_MAPPING) return;
    if (loss->tree) out->loss_pos = loss->tree->pos;
    out->loss = order_resolve(builder, members, loss);
    check_loss(builder, out, loss->tree);
    file_int(builder, entry->value, "from", scope, 0, most_steps, &out->from);
    optimizer_read(builder, entry, scope, out, &weight_decay);
    if (!check_applied(builder, file, entry) || !all_made(members)) return;
    collect_params(builder, file, entry, out);
    for (int i = 0; i < out->n_params; i++) out->params[i].weight_decay = weight_decay;
    read_groups(builder, entry, scope, out);
}

void players_finish(Builder *builder, const ModelFile *file, const Scope *scope, const Members *members,
                    Training *training)
{
    const Tree *players = tree_get(file->root, "players");
    if (players->kind != TREE_MAPPING) return;
    training->n_players = players->n;
    training->players = ARENA_ARRAY(builder->arena, Player, players->n);
    for (int i = 0; i < players->n; i++)
        finish(builder, file, &players->entries[i], scope, members, i, &training->players[i]);
}
