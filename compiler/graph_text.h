/* What printing and parsing of graphs share; the functions that others call are in graph.h. */
#ifndef GRAPH_TEXT_H
#define GRAPH_TEXT_H

#include "graph.h"

/* The attribute is not printed because the node's type says it. */
bool graph_text_is_implied(Op op, AttrName name);
/* Two values of the same attribute. */
bool graph_text_same_value(const Attr *a, const Attr *b);

#endif
