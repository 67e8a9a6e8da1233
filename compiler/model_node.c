/* One node: an operator with its attributes and parameters, or a use of a block or network. See
 * model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <string.h>

Bundle bundle_of(Arena *arena, Node *node)
{
    Bundle bundle = {.n = 1, .nodes = ARENA_NEW(arena, Node *)};
    bundle.nodes[0] = node;
    return bundle;
}

/* ---- attributes ------------------------------------------------------------------------------------------
 */

static bool set_pair(Builder *builder, Node *node, AttrName name, const Tree *tree, const Scope *scope,
                     const char *what)
{
    int64_t rows, columns;
    if (!value_resolve(&builder->values, &tree, &scope)) return false;
    if (tree->kind != TREE_SEQUENCE) {
        if (!value_int(&builder->values, tree, scope, what, &rows)) return false;
        node_set_pair(node, name, rows, rows);
        return true;
    }
    if (tree->n != 2) {
        diag_error(builder->diag, tree->pos, "%s is one number or [rows, columns], not a list of %d", what,
                   tree->n);
        return false;
    }
    if (!value_int(&builder->values, tree->items[0], scope, what, &rows) ||
        !value_int(&builder->values, tree->items[1], scope, what, &columns))
        return false;
    node_set_pair(node, name, rows, columns);
    return true;
}

static bool set_ints(Builder *builder, Node *node, AttrName name, const Tree *tree, const Scope *scope,
                     const char *what)
{
    int64_t numbers[MAX_INTS];
    if (!value_resolve(&builder->values, &tree, &scope)) return false;
    if (tree->kind != TREE_SEQUENCE || tree->n > MAX_INTS) {
        diag_error(builder->diag, tree->pos, "%s is a list of at most %d integers: %s", what, MAX_INTS,
                   attr_info(name)->summary);
        return false;
    }
    for (int i = 0; i < tree->n; i++)
        if (!value_int(&builder->values, tree->items[i], scope, what, &numbers[i])) return false;
    node_set_ints(node, name, numbers, tree->n);
    return true;
}

static bool set_floats(Builder *builder, Node *node, AttrName name, const Tree *tree, const Scope *scope,
                       const char *what)
{
    if (!value_resolve(&builder->values, &tree, &scope)) return false;
    if (tree->kind != TREE_SEQUENCE || tree->n < 1 || tree->n > MAX_FLOATS) {
        diag_error(builder->diag, tree->pos, "%s is a list of 1 to %d numbers: %s", what, MAX_FLOATS,
                   attr_info(name)->summary);
        return false;
    }
    double *numbers = ARENA_ARRAY(builder->arena, double, tree->n);
    for (int i = 0; i < tree->n; i++)
        if (!value_float(&builder->values, tree->items[i], scope, what, &numbers[i])) return false;
    node_set_floats(node, name, numbers, tree->n);
    return true;
}

/* The words of a choice, as candidates and for the message. */
static bool set_choice(Builder *builder, Node *node, AttrName name, const Tree *tree, const Scope *scope,
                       const char *what)
{
    const char *word = value_text(&builder->values, tree, scope, what);
    if (!word) return false;
    if (attr_has_word(name, word)) {
        node_set_string(node, name, word);
        return true;
    }
    const char **words = NULL;
    int n = 0, capacity = 0;
    Text list = text_new(builder->arena);
    for (const char *at = attr_info(name)->words; *at; at += *at == '|') {
        size_t length = strcspn(at, "|");
        const char *copy = arena_strndup(builder->arena, at, length);
        text_printf(&list, "%s%s", n ? ", " : "", copy);
        ARENA_PUSH(builder->arena, words, n, capacity, copy);
        at += length;
    }
    if (!value_resolve(&builder->values, &tree, &scope)) return false;
    const char *near = diag_nearest(word, words, n);
    if (near)
        diag_error(builder->diag, tree->pos, "%s is one of %s, not '%s' (did you mean '%s'?)", what,
                   list.text, word, near);
    else
        diag_error(builder->diag, tree->pos, "%s is one of %s, not '%s'", what, list.text, word);
    return false;
}

static bool set_attr(Builder *builder, Node *node, AttrName name, const Tree *tree, const Scope *scope)
{
    const char *what = arena_printf(builder->arena, "'%s'", attr_info(name)->name);
    int64_t i;
    double f;
    bool b;
    switch (attr_info(name)->kind) {
    case ATTR_PAIR: return set_pair(builder, node, name, tree, scope, what);
    case ATTR_INTS: return set_ints(builder, node, name, tree, scope, what);
    case ATTR_FLOATS: return set_floats(builder, node, name, tree, scope, what);
    case ATTR_CHOICE: return set_choice(builder, node, name, tree, scope, what);
    case ATTR_INT:
        if (!value_int(&builder->values, tree, scope, what, &i)) return false;
        node_set_int(node, name, i);
        return true;
    case ATTR_FLOAT:
        if (!value_float(&builder->values, tree, scope, what, &f)) return false;
        node_set_float(node, name, f);
        return true;
    case ATTR_BOOL:
        if (!value_bool(&builder->values, tree, scope, what, &b)) return false;
        node_set_bool(node, name, b);
        return true;
    case ATTR_STRING: break;
    }
    const char *text = value_text(&builder->values, tree, scope, what);
    if (text) node_set_string(node, name, text);
    return text != NULL;
}

static void report_no_attr(Builder *builder, Op op, const TreeEntry *entry)
{
    const OpInfo *info = op_info(op);
    const char *names[MAX_ATTRS];
    Text list = text_new(builder->arena);
    for (int i = 0; i < info->n_attrs; i++) {
        names[i] = attr_info(info->attrs[i].name)->name;
        text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = diag_nearest(entry->key, names, info->n_attrs);
    if (near)
        diag_error(builder->diag, entry->pos, "'%s' has no attribute '%s' (did you mean '%s'?)", info->name,
                   entry->key, near);
    else
        diag_error(builder->diag, entry->pos, "'%s' has no attribute '%s'", info->name, entry->key);
    if (info->n_attrs > 0)
        diag_note(builder->diag, (Pos){0}, "its attributes: %s", list.text);
    else
        diag_note(builder->diag, (Pos){0}, "it has none");
}

/* Sets the attributes that the node gives, and finds those missing; false after reporting. */
static bool set_attrs(Builder *builder, const Instance *instance, Node *node, const NodeUse *use)
{
    const OpInfo *info = op_info(node->op);
    bool good = true;
    for (int i = 0; i < use->spec->n; i++) {
        const TreeEntry *entry = &use->spec->entries[i];
        if (strcmp(entry->key, "op") == 0 || strcmp(entry->key, "in") == 0) continue;
        int errors = diag_errors(builder->diag);
        AttrName name = attr_find(entry->key);
        if (name == A_STATISTICS && node->op == OP_BATCH_NORM) {
            diag_error(builder->diag, entry->pos,
                       "what normalises is for the program to say, where it applies the network: "
                       "'batch_norm: shared', 'source_only' or 'frozen'");
            good = false;
        } else if (name == ATTR_COUNT || op_attr_index(node->op, name) < 0) {
            report_no_attr(builder, node->op, entry);
            good = false;
        } else if (!set_attr(builder, node, name, entry->value, instance->scope)) {
            block_explain(builder, instance, errors);
            good = false;
        }
    }
    for (int i = 0; i < info->n_attrs; i++) {
        const char *name = attr_info(info->attrs[i].name)->name;
        if (!info->attrs[i].required || tree_find(use->spec, name)) continue;
        diag_error(builder->diag, use->pos, "the node '%s' needs '%s', the %s", use->name, name,
                   attr_info(info->attrs[i].name)->summary);
        good = false;
    }
    return good;
}

/* ---- operators -------------------------------------------------------------------------------------------
 */

static bool check_arity(Builder *builder, Op op, const NodeUse *use)
{
    const OpInfo *info = op_info(op);
    int n = use->n_in;
    if (n >= info->min_in && (info->max_in < 0 || n <= info->max_in)) return true;
    const char *range = info->max_in < 0 ? arena_printf(builder->arena, "%d inputs or more", info->min_in)
                        : info->max_in > info->min_in
                            ? arena_printf(builder->arena, "%d to %d inputs", info->min_in, info->max_in)
                        : info->min_in == 1 ? "1 input"
                                            : arena_printf(builder->arena, "%d inputs", info->min_in);
    if (n == 0)
        diag_error(builder->diag, use->pos, "the node '%s' needs 'in': '%s' takes %s", use->name, info->name,
                   range);
    else
        diag_error(builder->diag, use->in_pos[0], "'%s' takes %s, not %d", info->name, range, n);
    return false;
}

/* The operator's parameters behind the node's data inputs: declared, or those of an earlier use of the
 * network. */
static bool attach_params(Builder *builder, const Instance *instance, Node *node, const char *local)
{
    const char *name = arena_printf(builder->arena, "%s%s", instance->param_path, local);
    int known = instance->shares ? tree_keys_find(&builder->shared_names, name) : -1;
    int n_data = node->n_in;
    if (known >= 0) {
        const SharedParams *shared = &builder->shared[known];
        Node **in = ARENA_ARRAY(builder->arena, Node *, n_data + shared->n);
        memcpy(in, node->in, sizeof *in * (size_t)n_data);
        for (int i = 0; i < shared->n; i++) in[n_data + i] = shared->nodes[i];
        node->in = in;
        node->n_in = n_data + shared->n;
        return true;
    }
    const char *own = node->name;
    node->name = name;
    bool declared = graph_declare_params(builder->graph, node);
    node->name = own;
    if (declared && builder->training && !instance->shares && node->n_in > n_data) {
        diag_error(
            builder->diag, node->pos,
            "'%s' has parameters, and stands outside of the networks that players update: put it into a "
            "network file, and that under 'networks'",
            local);
        return false;
    }
    if (!declared || !instance->shares || node->n_in == n_data) return declared;
    SharedParams shared = {node->in + n_data, node->n_in - n_data};
    tree_keys_add(builder->arena, &builder->shared_names, (TreeEntry){.key = name, .pos = node->pos});
    ARENA_PUSH(builder->arena, builder->shared, builder->n_shared, builder->cap_shared, shared);
    return true;
}

static Bundle expand_operator(Builder *builder, const Instance *instance, const NodeUse *use, Op op)
{
    bool whole = true;
    for (int i = 0; i < use->n_in; i++) whole &= use->in[i] != NULL;
    const char *name = arena_printf(builder->arena, "%s%s", instance->path, use->name);
    Node *node = graph_add(builder->graph, op, name, use->pos, use->in, whole ? use->n_in : 0);
    bool good = check_arity(builder, op, use);
    good &= set_attrs(builder, instance, node, use);
    if (!good || !whole) return bundle_of(builder->arena, NULL);
    if (op_attr_index(op, A_IGNORE_INDEX) >= 0 && !tree_find(use->spec, "ignore_index"))
        ARENA_PUSH(builder->arena, builder->ignoring, builder->n_ignoring, builder->cap_ignoring, node);
    if (op == OP_BATCH_NORM && instance->statistics)
        node_set_string(node, A_STATISTICS, instance->statistics);
    int errors = diag_errors(builder->diag);
    good = attach_params(builder, instance, node, use->name) && graph_infer(builder->graph, node);
    if (!good) block_explain(builder, instance, errors);
    return bundle_of(builder->arena, good ? node : NULL);
}

/* ---- blocks and networks ---------------------------------------------------------------------------------
 */

static Instance *nested(Builder *builder, const Instance *parent, Definition *of, const NodeUse *use)
{
    Instance *instance = ARENA_NEW(builder->arena, Instance);
    *instance = (Instance){.parent = parent, .of = of, .pos = use->pos, .shares = parent->shares};
    instance->statistics = parent->statistics;
    instance->path = arena_printf(builder->arena, "%s%s.", parent->path, use->name);
    instance->param_path = arena_printf(builder->arena, "%s%s.", parent->param_path, use->name);
    of->used = true;
    return instance;
}

static const char *const node_keys[] = {"op", "in", NULL};

static Bundle expand_block(Builder *builder, const Instance *parent, const NodeUse *use, Definition *block)
{
    Instance *instance = nested(builder, parent, block, use);
    Scope *scope =
        block_bind(builder, block, use->spec, node_keys, parent->scope, use->pos, parent->file_scope);
    instance->scope = scope;
    instance->file_scope = parent->file_scope;
    return block_apply(builder, instance, scope, use);
}

/* `batch_norm` of a node that applies a network: what normalises there in training. A network that no player
 * updates keeps its statistics too. */
static const char *read_policy(Builder *builder, const Tree *spec, const NetworkUse *network)
{
    static const char *const words[] = {"shared", "source_only", "frozen"};
    static const char *const statistics[] = {"batch", "batch_only", "running"};
    const Tree *tree = file_part(builder, spec, "batch_norm", TREE_SCALAR);
    int chosen = network->owner ? 0 : 2;
    for (int i = 0; tree && i < 3; i++)
        if (strcmp(tree->text, words[i]) == 0) chosen = i;
    if (tree && strcmp(tree->text, words[chosen]) != 0)
        diag_error(builder->diag, tree->pos, "'batch_norm' is one of shared, source_only, frozen, not '%s'",
                   tree->text);
    return builder->training ? statistics[chosen] : NULL;
}

/* A network under `use` has parameters of its own at each use; one under `networks` has its settings and
 * parameters once. */
static Bundle expand_network(Builder *builder, const Instance *parent, const NodeUse *use,
                             NetworkUse *network)
{
    static const char *const use_keys[] = {"use", NULL};
    network->used = true;
    if (!network->file) return bundle_of(builder->arena, NULL);
    Instance *instance = nested(builder, parent, &network->file->main, use);
    Scope *scope;
    if (network->settings) {
        instance->shares = true;
        instance->param_path = arena_printf(builder->arena, "%s.", network->name);
        instance->statistics = read_policy(builder, use->spec, network);
        scope = block_bind(builder, instance->of, network->settings, use_keys, parent->file_scope,
                           network->pos, NULL);
        for (int i = 0; i < use->spec->n; i++)
            if (strcmp(use->spec->entries[i].key, "op") != 0 &&
                strcmp(use->spec->entries[i].key, "in") != 0 &&
                strcmp(use->spec->entries[i].key, "batch_norm") != 0)
                diag_error(builder->diag, use->spec->entries[i].pos,
                           "settings of the network '%s' stand under 'networks', for all its uses",
                           network->name);
    } else {
        scope = block_bind(builder, instance->of, use->spec, node_keys, parent->scope, use->pos, NULL);
    }
    instance->scope = instance->file_scope = scope;
    return block_apply(builder, instance, scope, use);
}

/* ---- which -----------------------------------------------------------------------------------------------
 */

static void report_no_op(Builder *builder, const ModelFile *file, const Tree *op)
{
    const char **names = NULL;
    int n = 0, capacity = 0;
    for (int i = 0; i < OP_COUNT; i++)
        if (!op_info((Op)i)->internal) ARENA_PUSH(builder->arena, names, n, capacity, op_info((Op)i)->name);
    bool full = diag_full(builder->diag);
    for (int i = 0; !full && file->block_tree && i < file->block_tree->n; i++)
        ARENA_PUSH(builder->arena, names, n, capacity, file->blocks[i].name);
    for (int i = 0; !full && file->use_tree && i < file->use_tree->n; i++)
        ARENA_PUSH(builder->arena, names, n, capacity, file->uses[i].name);
    const char *near = diag_nearest(op->text, names, n);
    if (near)
        diag_error(builder->diag, op->pos, "unknown operator '%s' (did you mean '%s'?)", op->text, near);
    else
        diag_error(builder->diag, op->pos,
                   "unknown operator '%s': it is neither an operator nor a block or network of this file",
                   op->text);
}

/* Every use counts, so that blocks within blocks can't multiply without end. */
static bool within_limit(Builder *builder, const NodeUse *use)
{
    if (builder->n_uses == MODEL_MAX_NODES)
        diag_error(builder->diag, use->pos, "the graph has more than %d nodes", MODEL_MAX_NODES);
    if (builder->n_uses <= MODEL_MAX_NODES) builder->n_uses++;
    return builder->n_uses <= MODEL_MAX_NODES;
}

Bundle node_expand(Builder *builder, const Instance *instance, const NodeUse *use)
{
    const ModelFile *file = instance->of->file;
    const Tree *op = tree_get(use->spec, "op");
    if (!within_limit(builder, use)) return bundle_of(builder->arena, NULL);
    if (!op) {
        diag_error(builder->diag, use->pos, "the node '%s' has no 'op'", use->name);
        return bundle_of(builder->arena, NULL);
    }
    if (op->kind != TREE_SCALAR) {
        diag_error(builder->diag, op->pos, "'op' is the name of an operator, block or network, not %s",
                   tree_kind_text(op));
        return bundle_of(builder->arena, NULL);
    }
    const TreeEntry *block = tree_find(file->block_tree, op->text),
                    *network = tree_find(file->use_tree, op->text);
    if (block) return expand_block(builder, instance, use, &file->blocks[block - file->block_tree->entries]);
    if (network)
        return expand_network(builder, instance, use, &file->uses[network - file->use_tree->entries]);
    Op known = op_find(op->text);
    if (known != OP_COUNT && !op_info(known)->internal) return expand_operator(builder, instance, use, known);
    report_no_op(builder, file, op);
    return bundle_of(builder->arena, NULL);
}
