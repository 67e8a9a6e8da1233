/* See tree.h. Mappings of more than a few keys carry a hash table, so that a file of a hundred thousand keys
 * is read in the time of its length.
 */
#include "tree.h"

#include <stdint.h>
#include <string.h>

enum { SEARCHED = 8 }; /* up to so many keys are compared one after the other */

static uint32_t hash(const char *key)
{
    uint32_t h = 2166136261u;
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 16777619u;
    return h ^ h >> 15;
}

/* The slot of key in a table over entries: that of an equal key, else a free one. */
static uint32_t find_slot(const int *index, int size, const TreeEntry *entries, const char *key)
{
    uint32_t mask = (uint32_t)(size - 1), at = hash(key) & mask;
    while (index[at] && strcmp(entries[index[at] - 1].key, key) != 0) at = (at + 1) & mask;
    return at;
}

int tree_keys_find(const TreeKeys *keys, const char *key)
{
    return keys->size ? keys->index[find_slot(keys->index, keys->size, keys->entries, key)] - 1 : -1;
}

int tree_keys_add(Arena *arena, TreeKeys *keys, TreeEntry entry)
{
    if (2 * (keys->n + 1) > keys->size) {
        keys->size = keys->size ? 4 * keys->size : 16;
        keys->index = ARENA_ARRAY(arena, int, keys->size);
        for (int i = 0; i < keys->n; i++)
            keys->index[find_slot(keys->index, keys->size, keys->entries, keys->entries[i].key)] = i + 1;
    }
    keys->index[find_slot(keys->index, keys->size, keys->entries, entry.key)] = keys->n + 1;
    ARENA_PUSH(arena, keys->entries, keys->n, keys->capacity, entry);
    return keys->n - 1;
}

const Tree *tree_scalar(Arena *arena, const char *text, Pos pos)
{
    Tree *tree = ARENA_NEW(arena, Tree);
    *tree = (Tree){.kind = TREE_SCALAR, .pos = pos, .text = text, .weight = 1};
    return tree;
}

const Tree *tree_mapping(Arena *arena, Pos pos, const TreeEntry *entries, int n)
{
    Tree *tree = ARENA_NEW(arena, Tree);
    *tree = (Tree){.kind = TREE_MAPPING, .pos = pos, .n = n, .entries = entries, .weight = 1};
    for (int i = 0; i < n; i++) tree->weight += entries[i].value->weight;
    if (n <= SEARCHED) return tree;
    int size = 16;
    while (size < 2 * n) size *= 2;
    int *index = ARENA_ARRAY(arena, int, size);
    for (int i = 0; i < n; i++) index[find_slot(index, size, entries, entries[i].key)] = i + 1;
    tree->index = index;
    tree->index_size = size;
    return tree;
}

const TreeEntry *tree_find(const Tree *tree, const char *key)
{
    if (!tree || tree->kind != TREE_MAPPING) return NULL;
    if (tree->index_size > 0) {
        int place = tree->index[find_slot(tree->index, tree->index_size, tree->entries, key)];
        return place ? &tree->entries[place - 1] : NULL;
    }
    for (int i = 0; i < tree->n; i++)
        if (strcmp(tree->entries[i].key, key) == 0) return &tree->entries[i];
    return NULL;
}

const Tree *tree_get(const Tree *tree, const char *key)
{
    const TreeEntry *entry = tree_find(tree, key);
    return entry ? entry->value : NULL;
}

static bool null_word(const Tree *tree)
{
    return tree->kind == TREE_SCALAR && !tree->quoted &&
           (strcmp(tree->text, "~") == 0 || strcmp(tree->text, "null") == 0);
}

bool tree_is_null(const Tree *tree)
{
    return null_word(tree) || (tree->kind == TREE_SCALAR && !tree->quoted && !*tree->text);
}

Pos tree_text_pos(const Tree *tree, size_t offset)
{
    Pos pos = tree->pos;
    if (tree->verbatim) pos.column += tree->text_offset + (int)offset;
    return pos;
}

const char *tree_kind_text(const Tree *tree)
{
    if (tree->kind == TREE_SEQUENCE) return "a list";
    if (tree->kind == TREE_MAPPING) return "a mapping";
    return tree_is_null(tree) ? "nothing" : "a value";
}

/* `key: ~` is there to remove something. */
static void report_nothing_to_remove(Arena *arena, Diag *diag, const Tree *base, const TreeEntry *entry)
{
    const char **names = ARENA_ARRAY(arena, const char *, base->n);
    for (int i = 0; i < base->n; i++) names[i] = base->entries[i].key;
    const char *near = diag_nearest(entry->key, names, base->n);
    diag_error(diag, entry->pos, "what this extends has no '%s' to remove%s", entry->key,
               near ? arena_printf(arena, " (did you mean '%s'?)", near) : "");
}

const Tree *tree_merge(Arena *arena, Diag *diag, const Tree *base, const Tree *over)
{
    if (base->kind != TREE_MAPPING || over->kind != TREE_MAPPING) return over;
    TreeEntry *entries = ARENA_ARRAY(arena, TreeEntry, base->n + over->n);
    int n = 0;
    for (int i = 0; i < base->n; i++) {
        const TreeEntry *replaced = tree_find(over, base->entries[i].key);
        if (replaced && null_word(replaced->value)) continue;
        entries[n] = replaced ? *replaced : base->entries[i];
        if (replaced) entries[n].value = tree_merge(arena, diag, base->entries[i].value, replaced->value);
        n++;
    }
    for (int i = 0; i < over->n; i++) {
        if (tree_find(base, over->entries[i].key)) continue;
        if (null_word(over->entries[i].value))
            report_nothing_to_remove(arena, diag, base, &over->entries[i]);
        else
            entries[n++] = over->entries[i];
    }
    return tree_mapping(arena, over->pos, entries, n);
}
