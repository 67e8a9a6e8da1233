/* YAML text as a tree that knows where everything stands.
 *
 * A Tree is a scalar, a sequence or a mapping. Scalars stay text: `on`, `no`, `0` and `1e-4` mean what the
 * place where they are used expects (see model_value.h), never what a YAML schema guesses. Mappings keep the
 * order of the file. Trees are immutable, live in the arena, and may be shared: an alias is the very tree of
 * its anchor.
 *
 * Errors are reported in diag: what libyaml finds, and besides duplicate keys (both places), tabs, NUL and
 * control bytes, text that is not UTF-8, nesting deeper than TREE_MAX_DEPTH, more than TREE_MAX_VALUES values
 * (aliases counted as often as they are used), tags, merge keys, keys that are not names, several documents.
 *
 *     const Tree *root = yaml_load(arena, diag, "bisenet.yaml");
 *     if (!root) return false;
 *     const Tree *nodes = tree_get(root, "nodes");
 */
#ifndef TREE_H
#define TREE_H

#include "diag.h"

enum { TREE_MAX_DEPTH = 100, TREE_MAX_VALUES = 1000000, TREE_MAX_BYTES = 64 << 20 };

typedef enum TreeKind { TREE_SCALAR, TREE_SEQUENCE, TREE_MAPPING } TreeKind;

typedef struct Tree Tree;

typedef struct TreeEntry {
    const char *key;
    Pos pos; /* of the key */
    const Tree *value;
} TreeEntry;

struct Tree {
    TreeKind kind;
    Pos pos;
    const char *text; /* SCALAR: its text, holds no NUL */
    bool quoted;      /* SCALAR: quoted or a block scalar, so never null */
    bool verbatim;    /* SCALAR: text stands as it is in the source, from text_offset bytes behind pos on */
    int text_offset;
    int n;                    /* items or entries */
    const Tree *const *items; /* SEQUENCE */
    const TreeEntry *entries; /* MAPPING, in the order of the file, keys unique */
    const int *index;         /* MAPPING: hash table of 1 + place in entries; 0: free */
    int index_size;           /* a power of two; 0: small enough to be searched */
    int weight;               /* values in it, itself included, shared ones as often as they occur */
};

/* yaml.c: the tree of a file; NULL after reporting in diag. An empty file is an error. */
const Tree *yaml_load(Arena *arena, Diag *diag, const char *path);
/* The tree of a text; source must live as long as the tree. */
const Tree *yaml_parse(Arena *arena, Diag *diag, const Source *source);

/* A plain scalar at pos that is not part of any file's tree, such as a command line's value. */
const Tree *tree_scalar(Arena *arena, const char *text, Pos pos);
/* A mapping of these entries, whose keys must be unique. entries is kept, not copied. */
const Tree *tree_mapping(Arena *arena, Pos pos, const TreeEntry *entries, int n);

/* The entry or value of a key of a mapping, NULL if there is none or tree is no mapping. */
const TreeEntry *tree_find(const Tree *tree, const char *key);
const Tree *tree_get(const Tree *tree, const char *key);

/* No value given: `key:`, `key: ~` or `key: null`. */
bool tree_is_null(const Tree *tree);
/* The place of the byte at offset of a scalar's text, as exactly as is known. */
Pos tree_text_pos(const Tree *tree, size_t offset);
/* "a value", "a list", "a mapping", "nothing". */
const char *tree_kind_text(const Tree *tree);
/* A growing list of unique keys that is searched fast; zeroed at first. */
typedef struct TreeKeys {
    TreeEntry *entries;
    int n, capacity;
    int *index; /* as in Tree */
    int size;
} TreeKeys;
/* The place of key in entries, -1 if it is not there. */
int tree_keys_find(const TreeKeys *keys, const char *key);
/* Appends an entry, whose key must not be there, and returns its place. */
int tree_keys_add(Arena *arena, TreeKeys *keys, TreeEntry entry);

/* base with over's entries put over it: mappings are merged key by key at every depth, anything else is
 * replaced, and a key whose value in over is `~` or `null` is left out; one that base does not have is
 * reported. Positions stay those of the origin.
 */
const Tree *tree_merge(Arena *arena, Diag *diag, const Tree *base, const Tree *over);

#endif
