/* One use of a network or block: its settings are bound, its inputs checked, its members made. See
 * model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <ctype.h>
#include <string.h>

void block_explain(const Builder *builder, const Instance *instance, int errors)
{
    enum { SHOWN = 6 };
    int shown = 0;
    if (diag_errors(builder->diag) == errors) return;
    for (; instance && instance->pos.source && shown < SHOWN; instance = instance->parent, shown++)
        diag_note(builder->diag, instance->pos, "in this use of the %s '%s'", instance->of->kind,
                  instance->of->name);
}

/* ---- settings --------------------------------------------------------------------------------------------
 */

static bool listed(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static void report_no_setting(Builder *builder, const Definition *of, const TreeEntry *entry)
{
    const Tree *declared = of->settings;
    int n = declared && !diag_full(builder->diag) ? declared->n : 0;
    const char **names = ARENA_ARRAY(builder->arena, const char *, n);
    for (int i = 0; i < n; i++) names[i] = declared->entries[i].key;
    const char *near = diag_nearest(entry->key, names, n);
    if (near)
        diag_error(builder->diag, entry->pos, "the %s '%s' has no setting '%s' (did you mean '%s'?)",
                   of->kind, of->name, entry->key, near);
    else
        diag_error(builder->diag, entry->pos, "the %s '%s' has no setting '%s'", of->kind, of->name,
                   entry->key);
}

Scope *block_bind(Builder *builder, Definition *of, const Tree *given, const char *const *skipped,
                  const Scope *from, Pos pos, const Scope *outer)
{
    Scope *scope = ARENA_NEW(builder->arena, Scope);
    *scope = (Scope){.outer = outer, .declared = of->settings, .used = of->setting_used};
    scope->owner = arena_printf(builder->arena, "the %s '%s'", of->kind, of->name);
    int n = of->settings ? of->settings->n : 0;
    scope->settings = ARENA_ARRAY(builder->arena, Setting, n);
    for (int i = 0; given && i < given->n; i++)
        if (!listed(skipped, given->entries[i].key) && !tree_find(of->settings, given->entries[i].key))
            report_no_setting(builder, of, &given->entries[i]);
    for (int i = 0; i < n; i++) {
        const TreeEntry *declared = &of->settings->entries[i];
        const Tree *value = tree_get(given, declared->key);
        scope->settings[i] = (Setting){.value = value, .scope = from};
        if (value) continue;
        scope->settings[i] = (Setting){.value = declared->value, .scope = scope};
        if (!tree_is_null(declared->value)) continue;
        scope->settings[i].value = NULL;
        diag_error(builder->diag, pos, "the %s '%s' needs the setting '%s'", of->kind, of->name,
                   declared->key);
        diag_note(builder->diag, declared->pos, "declared here, without a default");
    }
    return scope;
}

void block_report_unused_settings(Builder *builder, const Definition *definition)
{
    for (int i = 0; definition->settings && i < definition->settings->n; i++) {
        const TreeEntry *entry = &definition->settings->entries[i];
        if (!definition->setting_used[i])
            diag_error(builder->diag, entry->pos, "the setting '%s' of the %s '%s' is never used", entry->key,
                       definition->kind, definition->name);
    }
}

/* ---- inputs ----------------------------------------------------------------------------------------------
 */

static int count_inputs(const Definition *of)
{
    return of->inputs ? of->inputs->n : 0;
}

static const char *input_name(const Definition *of, int i)
{
    return of->inputs->kind == TREE_MAPPING ? of->inputs->entries[i].key : of->inputs->items[i]->text;
}

static bool check_count(Builder *builder, const Definition *of, const NodeUse *use)
{
    int n = count_inputs(of);
    if (use->n_in == n) return true;
    Text names = text_new(builder->arena);
    for (int i = 0; i < n; i++) text_printf(&names, "%s%s", i ? ", " : "", input_name(of, i));
    diag_error(builder->diag, use->n_in > 0 ? use->in_pos[0] : use->pos,
               "the %s '%s' takes %d input%s%s%s%s, not %d", of->kind, of->name, n, n == 1 ? "" : "s",
               n ? " (" : "", names.text, n ? ")" : "", use->n_in);
    return false;
}

/* Whether a dimension is just a name, such as H. */
static bool is_symbol(const Tree *dim)
{
    return dim->kind == TREE_SCALAR && isalpha((unsigned char)dim->text[0]) && value_is_name(dim->text) &&
           strcmp(dim->text, "true") != 0 && strcmp(dim->text, "false") != 0;
}

/* The sizes that the inputs of a network name, not known yet. */
static void add_symbols(Builder *builder, const Definition *of, Scope *scope)
{
    int capacity = 0;
    for (int i = 0; i < count_inputs(of); i++) {
        const Tree *dims = of->inputs->entries[i].value;
        for (int j = 0; dims->kind == TREE_SEQUENCE && j < dims->n && j < MAX_RANK; j++) {
            if (!is_symbol(dims->items[j]) || scope_symbol(scope, dims->items[j]->text)) continue;
            if (scope->n_symbols == MODEL_MAX_INPUTS) return;
            Symbol symbol = {.name = dims->items[j]->text};
            ARENA_PUSH(builder->arena, scope->symbols, scope->n_symbols, capacity, symbol);
        }
    }
}

/* What a network's input should be: as it is declared, and once sizes are known in numbers too. */
static const char *wanted_text(Builder *builder, const Tree *dims, const Scope *scope, bool known)
{
    Text text = text_new(builder->arena), numbers = text_new(builder->arena);
    for (int i = 0; i < dims->n; i++) {
        int64_t value = 0;
        const Tree *dim = dims->items[i];
        text_printf(&text, "%s%s", i ? ", " : "[", dim->kind == TREE_SCALAR ? dim->text : "?");
        if (known && value_int(&builder->values, dim, scope, "a dimension", &value))
            text_printf(&numbers, "%s%lld", i ? "," : "] = [", (long long)value);
    }
    text_printf(&text, "%s]", numbers.text);
    return text.text;
}

static void report_input(Builder *builder, const TreeEntry *declared, const Scope *scope, const Node *given,
                         Pos pos, bool known)
{
    diag_error(builder->diag, pos, "the input '%s' should be %s, and is given %s", declared->key,
               wanted_text(builder, declared->value, scope, known), type_text(builder->arena, given->type));
    diag_note(builder->diag, declared->pos, "the input is declared here");
}

/* Learns the sizes that are declared by bare names. */
static bool learn_sizes(Builder *builder, const TreeEntry *declared, const Scope *scope, const Node *given,
                        Pos pos)
{
    const Tree *dims = declared->value;
    if (dims->n != given->type.rank) {
        report_input(builder, declared, scope, given, pos, false);
        return false;
    }
    for (int i = 0; i < dims->n; i++) {
        Symbol *symbol = is_symbol(dims->items[i]) ? scope_symbol(scope, dims->items[i]->text) : NULL;
        if (symbol && symbol->value == 0) symbol->value = given->type.dim[i];
    }
    return true;
}

static bool match_input(Builder *builder, const TreeEntry *declared, const Scope *scope, const Node *given,
                        Pos pos)
{
    for (int i = 0; i < declared->value->n; i++) {
        int64_t wanted;
        if (!value_int(&builder->values, declared->value->items[i], scope, "a dimension", &wanted))
            return false;
        if (wanted == given->type.dim[i]) continue;
        report_input(builder, declared, scope, given, pos, true);
        return false;
    }
    return true;
}

/* Sizes are learnt from all inputs before any is compared. An input that failed before leaves nothing to say.
 */
static bool match_inputs(Builder *builder, const Definition *of, const Scope *scope, const NodeUse *use)
{
    bool matched = true;
    for (int i = 0; i < use->n_in; i++) {
        const Tree *dims = of->inputs->entries[i].value;
        if (!use->in[i] || dims->kind != TREE_SEQUENCE || dims->n > MAX_RANK) return false;
        matched &= learn_sizes(builder, &of->inputs->entries[i], scope, use->in[i], use->in_pos[i]);
    }
    for (int i = 0; i < use->n_in && matched; i++)
        matched &= match_input(builder, &of->inputs->entries[i], scope, use->in[i], use->in_pos[i]);
    return matched;
}

/* ---- members ---------------------------------------------------------------------------------------------
 */

static Bundle expand_member(Builder *builder, const Instance *instance, const Members *members,
                            const Member *member)
{
    NodeUse use = {.name = member->name, .pos = member->pos, .spec = member->spec, .n_in = member->n_in};
    Pos *positions = ARENA_ARRAY(builder->arena, Pos, member->n_in);
    use.in = ARENA_ARRAY(builder->arena, Node *, member->n_in);
    for (int i = 0; i < member->n_in; i++) {
        use.in[i] = order_resolve(builder, members, &member->in[i]);
        positions[i] = member->in[i].tree->pos;
    }
    use.in_pos = positions;
    /* An unknown input fails this node and no other; what else it says is still looked at. */
    return node_expand(builder, instance, &use);
}

/* A chain as a whole is its last node; an empty one is what it would take. */
static Bundle chain_bundle(Builder *builder, const Members *members, const Member *member)
{
    if (member->n_in == 0 || member->in[0].member < 0) return bundle_of(builder->arena, NULL);
    if (!member->in[0].output) return members->items[member->in[0].member].bundle;
    return bundle_of(builder->arena, order_resolve(builder, members, &member->in[0]));
}

Members block_expand(Builder *builder, const Instance *instance, const InstanceInput *inputs, int n_inputs)
{
    Members members = order_members(builder, instance, inputs, n_inputs);
    for (int i = 0; i < members.n; i++) {
        Member *member = &members.items[members.order[i]];
        if (member->kind == MEMBER_CHAIN)
            member->bundle = chain_bundle(builder, &members, member);
        else if (member->kind == MEMBER_NODE && member->spec->kind == TREE_MAPPING)
            member->bundle = expand_member(builder, instance, &members, member);
        else if (member->kind == MEMBER_NODE)
            member->bundle = bundle_of(builder->arena, NULL);
    }
    return members;
}

Bundle block_outputs(Builder *builder, const Instance *instance, const Members *members)
{
    const Tree *outputs = instance->of->outputs;
    Bundle result = {.n = outputs ? outputs->n : 0};
    const char **names = ARENA_ARRAY(builder->arena, const char *, result.n);
    result.nodes = ARENA_ARRAY(builder->arena, Node *, result.n);
    for (int i = 0; i < result.n; i++) {
        names[i] = outputs->entries[i].key;
        result.nodes[i] = order_resolve(builder, members, &members->outputs[i]);
    }
    result.names = names;
    return result;
}

static bool enter(Builder *builder, const Instance *instance)
{
    const Definition *of = instance->of;
    int errors = diag_errors(builder->diag);
    if (!of->open && builder->depth < MODEL_MAX_DEPTH) return true;
    if (of->open)
        diag_error(builder->diag, instance->pos, "the %s '%s' contains itself", of->kind, of->name);
    else
        diag_error(builder->diag, instance->pos, "blocks are nested more than %d deep", MODEL_MAX_DEPTH);
    block_explain(builder, instance->parent, errors);
    return false;
}

Bundle block_apply(Builder *builder, Instance *instance, Scope *scope, const NodeUse *use)
{
    Definition *of = instance->of;
    if (of->faulty || !enter(builder, instance) || !check_count(builder, of, use))
        return bundle_of(builder->arena, NULL);
    bool network = of->inputs && of->inputs->kind == TREE_MAPPING;
    if (network) {
        int errors = diag_errors(builder->diag);
        add_symbols(builder, of, scope);
        if (!match_inputs(builder, of, scope, use)) {
            block_explain(builder, instance, errors);
            return bundle_of(builder->arena, NULL);
        }
    }
    InstanceInput *inputs = ARENA_ARRAY(builder->arena, InstanceInput, use->n_in);
    for (int i = 0; i < use->n_in; i++) {
        Pos pos = network ? of->inputs->entries[i].pos : of->inputs->items[i]->pos;
        inputs[i] = (InstanceInput){.name = input_name(of, i), .pos = pos};
        inputs[i].bundle = bundle_of(builder->arena, use->in[i]);
    }
    of->open = true;
    builder->depth++;
    const Members members = block_expand(builder, instance, inputs, use->n_in);
    const Bundle result = block_outputs(builder, instance, &members);
    builder->depth--;
    of->open = false;
    return result;
}
