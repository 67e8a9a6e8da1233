/* Fusion: which nodes are computed together, in one kernel.
 *
 * A group makes the value of its root. It holds at most one contraction (the anchor), whose elementwise users
 * are its epilogue up to the root; everything else in it is computed where it is read, once per element.
 * Nodes of a group other than the root have no memory.
 *
 *     %4 = conv2d %1, %2      group %6: anchor %4, then %5, %6
 *     %5 = add %4, %3
 *     %6 = relu %5
 *
 * Groups stand in the order of their roots, which is an order of execution. A concat is a group per part that
 * is not already written in place.
 */
#ifndef FUSE_H
#define FUSE_H

#include "layout.h"

typedef enum GroupKind {
    GROUP_LOOPS,    /* loops over the elements of the root */
    GROUP_TEMPLATE, /* a contraction and its epilogue */
    GROUP_PART,     /* copies input `part` of a concat to its place */
} GroupKind;

typedef struct Group {
    GroupKind kind;
    Node *root;
    Node *anchor;   /* TEMPLATE */
    int part;       /* PART */
    bool is_static; /* done once, when weights are loaded */
    int player;     /* as of its root */
} Group;

typedef struct Fusion {
    Layout *layout;
    Group *groups;
    int n_groups, cap_groups;
    bool *inlined; /* by node id: computed inside its user's group */
} Fusion;

/* With fuse false every node is a group of its own (the oracle and the baseline of `segc bench`). */
Fusion *fuse_groups(Layout *layout, bool fuse);

const char *fuse_text(const Fusion *fusion);

#endif
