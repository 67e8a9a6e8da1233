/* What stands in an instance and in which order it is made. A file may list nodes in any order; members are
 * made in the order of the file, each after what feeds it (a depth-first walk with its own stack, because a
 * file may be as long as it likes). See model_parts.h.
 */
#define _GNU_SOURCE
#include "model_parts.h"

#include <string.h>

/* ---- members ---------------------------------------------------------------------------------------------
 */

/* Adds a member unless its name is taken, which is reported. Returns its place, or -1. */
static int add_member(Builder *builder, Members *members, Member member)
{
    int first = tree_keys_find(&members->names, member.name);
    if (first >= 0) {
        members->faulty = true;
        diag_error(builder->diag, member.pos, "the name '%s' is taken", member.name);
        diag_note(builder->diag, members->items[first].pos, "by this %s",
                  members->items[first].kind == MEMBER_INPUT     ? "input"
                  : members->items[first].kind == MEMBER_TUNABLE ? "tunable"
                                                                 : "node");
        return -1;
    }
    tree_keys_add(builder->arena, &members->names, (TreeEntry){.key = member.name, .pos = member.pos});
    ARENA_PUSH(builder->arena, members->items, members->n, members->capacity, member);
    return members->n - 1;
}

static bool check_spec(Builder *builder, const TreeEntry *entry)
{
    if (entry->value->kind == TREE_MAPPING) return true;
    diag_error(builder->diag, entry->value->pos,
               "the node '%s' is a mapping such as {op: relu, in: x}, not %s", entry->key,
               tree_kind_text(entry->value));
    return false;
}

/* One bound of `1..4`, which stands offset bytes into the key. */
static bool read_bound(Builder *builder, const Instance *instance, const TreeEntry *entry, size_t offset,
                       size_t length, int64_t *out)
{
    const char *text = arena_strndup(builder->arena, entry->key + offset, length);
    Pos pos = entry->pos;
    pos.column += (int)offset;
    const Tree *tree = tree_scalar(builder->arena, text, pos);
    int errors = diag_errors(builder->diag);
    if (value_int(&builder->values, tree, instance->scope, "a bound of a chain", out)) return true;
    block_explain(builder, instance, errors);
    return false;
}

/* `first..last`: members by their numbers, each fed by the one before, then one for the chain as a whole. */
static void add_chain(Builder *builder, const Instance *instance, Members *members, const TreeEntry *entry)
{
    const char *dots = strstr(entry->key, "..");
    int64_t first = 0, last = 0;
    bool bad = !check_spec(builder, entry);
    size_t end = (size_t)(dots - entry->key);
    bad |= !read_bound(builder, instance, entry, 0, end, &first);
    bad |= !read_bound(builder, instance, entry, end + 2, strlen(dots + 2), &last);
    if (!bad && (first < 0 || last < first - 1)) {
        diag_error(builder->diag, entry->pos,
                   "a chain runs from a number to one not below it, not from %lld to %lld", (long long)first,
                   (long long)last);
        bad = true;
    } else if (!bad && last - first >= MODEL_MAX_NODES) {
        diag_error(builder->diag, entry->pos, "a chain has at most %d nodes", MODEL_MAX_NODES);
        bad = true;
    }
    bool chained = false;
    for (int64_t i = first; !bad && i <= last; i++, chained = true) {
        Member member = {.kind = MEMBER_NODE, .pos = entry->pos, .spec = entry->value, .chained = chained};
        member.name = arena_printf(builder->arena, "%lld", (long long)i);
        bad = add_member(builder, members, member) < 0;
    }
    add_member(builder, members,
               (Member){.kind = MEMBER_CHAIN,
                        .name = entry->key,
                        .pos = entry->pos,
                        .spec = entry->value,
                        .bad = bad,
                        .chained = chained});
}

static void add_nodes(Builder *builder, const Instance *instance, Members *members)
{
    const Tree *nodes = instance->of->nodes;
    for (int i = 0; nodes && i < nodes->n; i++) {
        const TreeEntry *entry = &nodes->entries[i];
        if (strstr(entry->key, "..")) {
            add_chain(builder, instance, members, entry);
            continue;
        }
        bool named = value_is_name(entry->key);
        if (!named)
            diag_error(builder->diag, entry->pos,
                       "'%s' can't be the name of a node: letters, digits, _ and - can stand in one",
                       entry->key);
        Member member = {.kind = MEMBER_NODE, .name = entry->key, .pos = entry->pos, .spec = entry->value};
        member.bad = !check_spec(builder, entry) || !named;
        add_member(builder, members, member);
    }
}

/* ---- references ------------------------------------------------------------------------------------------
 */

static Reference unknown_reference(Builder *builder, const Members *members, const Tree *tree)
{
    int n = diag_full(builder->diag) ? 0 : members->n;
    const char **names = ARENA_ARRAY(builder->arena, const char *, n);
    for (int i = 0; i < n; i++) names[i] = members->items[i].name;
    const char *near = diag_nearest(tree->text, names, n);
    if (near)
        diag_error(builder->diag, tree->pos, "there is no node or input '%s' here (did you mean '%s'?)",
                   tree->text, near);
    else
        diag_error(builder->diag, tree->pos, "there is no node or input '%s' here", tree->text);
    return (Reference){.member = -1, .tree = tree};
}

/* `name` or `name.output`. */
static Reference read_reference(Builder *builder, const Members *members, const Tree *tree)
{
    if (tree->kind != TREE_SCALAR || tree_is_null(tree)) {
        diag_error(builder->diag, tree->pos, "the name of a node or input is expected here, not %s",
                   tree_kind_text(tree));
        return (Reference){.member = -1, .tree = tree};
    }
    int member = tree_keys_find(&members->names, tree->text);
    if (member >= 0) return (Reference){.member = member, .tree = tree};
    const char *dot = strrchr(tree->text, '.');
    if (!dot) return unknown_reference(builder, members, tree);
    const char *name = arena_strndup(builder->arena, tree->text, (size_t)(dot - tree->text));
    member = tree_keys_find(&members->names, name);
    if (member < 0) return unknown_reference(builder, members, tree);
    return (Reference){.member = member, .output = dot + 1, .tree = tree};
}

/* The references of a node's `in`. Those of a chained one are the first's, with the one before in front. */
static void read_in(Builder *builder, Members *members, int place)
{
    Member *member = &members->items[place];
    const Tree *in = tree_get(member->spec, "in");
    bool list = in && in->kind == TREE_SEQUENCE, behind = member->chained;
    bool whole = member->kind == MEMBER_CHAIN && member->chained;
    if (list && in->n > MODEL_MAX_INPUTS) {
        diag_error(builder->diag, in->pos, "a node has at most %d inputs", MODEL_MAX_INPUTS);
        member->bad = true;
        return;
    }
    member->n_in = list ? in->n : in ? 1 : 0;
    if (behind && member->n_in == 0) member->n_in = 1;
    if (whole) member->n_in = 1;
    member->in = ARENA_ARRAY(builder->arena, Reference, member->n_in);
    for (int i = 0; i < member->n_in; i++) {
        if (i == 0 && behind)
            member->in[i] = (Reference){.member = place - 1, .tree = in ? in : member->spec};
        else
            member->in[i] = read_reference(builder, members, list ? in->items[i] : in);
        if (member->in[i].member < 0) member->bad = true;
    }
}

static void report_output(Builder *builder, const Member *member, const Reference *reference)
{
    const Bundle *bundle = &member->bundle;
    Text list = text_new(builder->arena);
    for (int i = 0; i < bundle->n && i < 10; i++) text_printf(&list, "%s%s", i ? ", " : "", bundle->names[i]);
    if (!reference->output)
        diag_error(builder->diag, reference->tree->pos, "'%s' has %d outputs; say which, as in '%s.%s'",
                   member->name, bundle->n, member->name, bundle->n > 0 ? bundle->names[0] : "x");
    else if (diag_nearest(reference->output, bundle->names, bundle->n))
        diag_error(builder->diag, reference->tree->pos, "'%s' has no output '%s' (did you mean '%s'?)",
                   member->name, reference->output,
                   diag_nearest(reference->output, bundle->names, bundle->n));
    else
        diag_error(builder->diag, reference->tree->pos, "'%s' has no output '%s'", member->name,
                   reference->output);
    diag_note(builder->diag, (Pos){0}, "its outputs: %s", list.text);
}

Node *order_resolve(Builder *builder, const Members *members, const Reference *reference)
{
    if (reference->member < 0) return NULL;
    const Member *member = &members->items[reference->member];
    const Bundle *bundle = &member->bundle;
    if (!bundle->names) {
        if (reference->output && bundle->n == 1 && bundle->nodes[0])
            diag_error(builder->diag, reference->tree->pos, "'%s' is one tensor: it has no output '%s'",
                       member->name, reference->output);
        return bundle->n == 1 && !reference->output ? bundle->nodes[0] : NULL;
    }
    if (!reference->output && bundle->n == 1) return bundle->nodes[0];
    for (int i = 0; reference->output && i < bundle->n; i++)
        if (strcmp(bundle->names[i], reference->output) == 0) return bundle->nodes[i];
    report_output(builder, member, reference);
    return NULL;
}

/* ---- order -----------------------------------------------------------------------------------------------
 */

enum { FRESH, OPEN, DONE };

typedef struct Step {
    int member, next; /* the next of its references to follow */
} Step;

/* stack[from..depth-1] feed one another in a circle. */
static void report_cycle(Builder *builder, Members *members, const Step *stack, int from, int depth)
{
    enum { SHOWN = 20 };
    Text names = text_new(builder->arena);
    for (int i = from; i < depth && i - from < SHOWN; i++)
        text_printf(&names, "%s <- ", members->items[stack[i].member].name);
    const Member *first = &members->items[stack[from].member];
    diag_error(builder->diag, first->pos, "the node '%s' depends on itself: %s%s%s", first->name, names.text,
               depth - from > SHOWN ? "... <- " : "", first->name);
    for (int i = from; i < depth && i - from < SHOWN; i++) {
        const Member *member = &members->items[stack[i].member];
        const Reference *reference = &member->in[stack[i].next - 1];
        diag_note(builder->diag, reference->tree->pos, "'%s' takes '%s' here", member->name,
                  members->items[reference->member].name);
    }
}

/* Visits what root depends on and root itself, appending each to the order when it is complete. */
static int visit(Builder *builder, Members *members, int root, Step *stack, int n_order)
{
    int depth = 0;
    stack[depth++] = (Step){root, 0};
    members->items[root].state = OPEN;
    while (depth > 0) {
        Step *step = &stack[depth - 1];
        Member *member = &members->items[step->member];
        if (step->next == member->n_in) {
            member->state = DONE;
            members->order[n_order++] = step->member;
            depth--;
            continue;
        }
        Reference *reference = &member->in[step->next++];
        if (reference->member < 0) continue;
        Member *feeder = &members->items[reference->member];
        if (feeder->state == FRESH) {
            feeder->state = OPEN;
            stack[depth++] = (Step){reference->member, 0};
        } else if (feeder->state == OPEN) {
            int from = depth - 1;
            while (stack[from].member != reference->member) from--;
            report_cycle(builder, members, stack, from, depth);
            reference->member = -1;
            member->bad = true;
        }
    }
    return n_order;
}

static void order(Builder *builder, Members *members)
{
    Step *stack = ARENA_ARRAY(builder->arena, Step, members->n);
    members->order = ARENA_ARRAY(builder->arena, int, members->n);
    int n_order = 0;
    for (int i = 0; i < members->n; i++)
        if (members->items[i].state == FRESH) n_order = visit(builder, members, i, stack, n_order);
}

/* ---- what is not needed ----------------------------------------------------------------------------------
 */

enum { UNUSED, TAKEN, REACHED }; /* taken: some member takes it, but no output comes of that */

static void mark_reached(Members *members, const Instance *instance)
{
    const Definition *of = instance->of;
    for (int i = 0; i < members->n; i++) members->items[i].state = UNUSED;
    for (int i = 0; i < members->n; i++)
        for (int j = 0; j < members->items[i].n_in; j++)
            if (members->items[i].kind == MEMBER_NODE)
                members->items[members->items[i].in[j].member].state = TAKEN;
    for (int i = 0; of->outputs && i < of->outputs->n; i++)
        members->items[members->outputs[i].member].state = REACHED;
    for (int i = 0; i < instance->n_losses; i++) members->items[members->losses[i].member].state = REACHED;
    /* In the order every member stands behind what feeds it. */
    for (int i = members->n - 1; i >= 0; i--) {
        const Member *member = &members->items[members->order[i]];
        if (member->state != REACHED) continue;
        for (int j = 0; j < member->n_in; j++) members->items[member->in[j].member].state = REACHED;
    }
}

/* Only the last of several nodes that lead nowhere is reported: the others follow from it. */
static void report_unused(Builder *builder, Members *members, const Instance *instance)
{
    const Definition *of = instance->of;
    mark_reached(members, instance);
    for (int i = 0; i < members->n; i++) {
        const Member *member = &members->items[i];
        if (member->kind == MEMBER_INPUT && member->state != REACHED)
            diag_error(builder->diag, member->pos, "the input '%s' of the %s '%s' reaches no %s",
                       member->name, of->kind, of->name, instance->n_losses > 0 ? "player's loss" : "output");
        else if (member->kind == MEMBER_TUNABLE && member->state != REACHED)
            diag_error(builder->diag, member->pos, "the tunable '%s' reaches no player's loss", member->name);
        else if (member->kind == MEMBER_NODE && member->state == UNUSED && instance->n_losses > 0)
            diag_error(builder->diag, member->pos,
                       "the node '%s' reaches no player's loss: use it, add it to 'outputs', or remove it",
                       member->name);
        else if (member->kind == MEMBER_NODE && member->state == UNUSED)
            diag_error(builder->diag, member->pos,
                       "the node '%s' reaches no output: add it to 'outputs', or remove it", member->name);
    }
}

static bool all_known(const Members *members, const Instance *instance)
{
    const Definition *of = instance->of;
    if (members->faulty) return false;
    for (int i = 0; i < members->n; i++)
        if (members->items[i].bad) return false;
    for (int i = 0; of->outputs && i < of->outputs->n; i++)
        if (members->outputs[i].member < 0) return false;
    for (int i = 0; i < instance->n_losses; i++)
        if (members->losses[i].member < 0) return false;
    return true;
}

Members order_members(Builder *builder, const Instance *instance, const InstanceInput *inputs, int n_inputs)
{
    Members members = {0};
    const Definition *of = instance->of;
    for (int i = 0; i < n_inputs; i++)
        add_member(builder, &members,
                   (Member){.kind = inputs[i].tunable ? MEMBER_TUNABLE : MEMBER_INPUT,
                            .name = inputs[i].name,
                            .pos = inputs[i].pos,
                            .bundle = inputs[i].bundle});
    add_nodes(builder, instance, &members);
    for (int i = 0; i < members.n; i++)
        if (members.items[i].spec && members.items[i].spec->kind == TREE_MAPPING)
            read_in(builder, &members, i);
    int n_outputs = of->outputs ? of->outputs->n : 0;
    members.outputs = ARENA_ARRAY(builder->arena, Reference, n_outputs);
    for (int i = 0; i < n_outputs; i++)
        members.outputs[i] = read_reference(builder, &members, of->outputs->entries[i].value);
    members.losses = ARENA_ARRAY(builder->arena, Reference, instance->n_losses);
    for (int i = 0; i < instance->n_losses; i++)
        members.losses[i] = instance->losses[i] ? read_reference(builder, &members, instance->losses[i])
                                                : (Reference){.member = -1};
    order(builder, &members);
    if (all_known(&members, instance)) report_unused(builder, &members, instance);
    return members;
}
