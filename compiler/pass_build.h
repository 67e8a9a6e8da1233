/* Nodes that several passes make. They take name and place of `like`.
 *
 * One call per statement: C leaves the order of calls among arguments and initialisers open, and with it the
 * numbers of the nodes. */
#ifndef PASS_BUILD_H
#define PASS_BUILD_H

#include "graph.h"

/* value under other dimensions; value itself when they are the same. */
Node *build_reshape(Graph *graph, const Node *like, Node *value, Type type);
/* One of the operators with default attributes. */
Node *build_binary(Graph *graph, Op op, const Node *like, Node *x, Node *y);
/* The op of node with its attributes, over other inputs. */
Node *build_again(Graph *graph, const Node *node, Node *const *in, int n_in);
/* value times a number. */
Node *build_scaled(Graph *graph, const Node *like, Node *value, double factor);
/* value summed over the dimensions in which type has none or 1, or repeated along them; value itself when it
 * is of that type. */
Node *build_sum_to(Graph *graph, const Node *like, Node *value, Type type);
Node *build_expand(Graph *graph, const Node *like, Node *value, Type type);

#endif
