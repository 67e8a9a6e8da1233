/* The operator table: one row per operator, in op.def; everything that is known of an operator hangs there.
 *
 * To add an operator: a row in op.def, its rules in the op_*.c of its family, a plain loop in tests/table. A
 * rule that is missing does not link. No code outside the rules switches on the operator to decide what it
 * computes.
 */
#ifndef OP_H
#define OP_H

#include "graph.h"
#include "loop.h"

struct Lowering;
struct Coord;

typedef enum OpClass {
    CLASS_SOURCE,      /* input, param, constant: no work */
    CLASS_ELEMENTWISE, /* one output element from one element (or broadcast) of each input: fuses anywhere */
    CLASS_CONTRACTION, /* sums over products: conv2d and its kin */
    CLASS_WINDOW,      /* reads a window of elements: pools, resize */
    CLASS_REDUCTION,   /* many to one over dimensions */
    CLASS_LAYOUT,      /* moves elements: concat, slice, pad, flatten */
    CLASS_OPTIMIZER,   /* a parameter's next value; writes it and its states in place */
} OpClass;

/* A parameter that an operator declares under its own name: conv2d in node "a.b" has "a.b.weight". */
typedef struct ParamSpec {
    const char *suffix; /* "weight", "bias", "running_mean", ... as in PyTorch's state dict */
    Type type;
    ParamInit init;
} ParamSpec;
enum { MAX_PARAM_SPECS = 4 };

/* The parameters of node (whose attributes and data inputs are set) in the order in which they follow its
 * data inputs; returns their count, or -1 after reporting through shape_error. */
typedef int ParamsRule(Graph *graph, Node *node, ParamSpec specs[MAX_PARAM_SPECS]);
/* Sets node->type from its inputs' types and its attributes, or returns false after shape_error. */
typedef bool ShapeRule(Graph *graph, Node *node);
/* Multiply-adds of the node by the study's convention (fvcore's): see op.def. */
typedef int64_t CountRule(const Node *node);
/* ELEMENTWISE: the scalar expression for one output element from one element of each input (a row that reads
 * tables per channel has a LowerRule in its place). */
typedef Expr *ScalarRule(LoopBuilder *b, const Node *node, Expr *const *in);
/* Other classes: the value of one output element, from values of the inputs at the coordinates that the rule
 * derives; may open and close loops on the way (see lower.h). */
typedef Expr *LowerRule(struct Lowering *lowering, const Node *node, const struct Coord *at);
/* The gradient of a loss with respect to input number `input` of node, from that with respect to node (of
 * node's type): nodes added to the graph, settled, named and placed as node, of the input's type. NULL: it is
 * zero everywhere (a label, a running statistic). Called for inputs on the way to a wanted parameter only, so
 * an input that has no gradient is never asked for. What the gradients of several inputs have in common may
 * be made once for each: cse merges it. */
typedef Node *GradRule(Graph *graph, Node *node, Node *gradient, int input);

typedef struct AttrDefault {
    AttrName name;
    bool required;
    Attr value; /* the default; n == 0: none */
} AttrDefault;

typedef struct OpInfo {
    const char *name; /* in YAML and in printed graphs */
    OpClass class;
    int min_in, max_in;  /* data inputs, without parameters; max_in -1: any number */
    bool internal;       /* made by passes only: not for YAML */
    const char *summary; /* a sentence for the manual and the schema */
    int n_attrs;
    const AttrDefault *attrs; /* n_attrs of them */
    ParamsRule *params;       /* NULL: declares none */
    ShapeRule *shape;
    CountRule *count;   /* NULL: counts nothing */
    ScalarRule *scalar; /* ELEMENTWISE */
    LowerRule *lower;   /* the others; NULL for sources */
    GradRule *gradient; /* NULL: not differentiable */
} OpInfo;

typedef struct AttrInfo {
    const char *name;
    AttrKind kind;
    const char *words;   /* ATTR_CHOICE: the words, separated by '|' */
    const char *summary; /* a sentence for the manual and the schema */
} AttrInfo;

const OpInfo *op_info(Op op);
const AttrInfo *attr_info(AttrName name);
/* The operator of this YAML name, OP_COUNT if there is none. Internal ones are found too. */
Op op_find(const char *name);
/* Whether the op has the attribute, and at which place in OpInfo.attrs (-1: no). */
int op_attr_index(Op op, AttrName name);
/* The attribute of this YAML name, ATTR_COUNT if there is none. */
AttrName attr_find(const char *name);
/* Whether word is one of the words of this ATTR_CHOICE. */
bool attr_has_word(AttrName name, const char *word);
/* Whether it sums many elements, piece by piece: see lower_sum.c. It reads any layout and makes a plain
 * value. */
bool op_is_sum(Op op);
/* Whether its value is its input, of other dimensions: the same elements in the same memory. */
bool op_shares_input(Op op);
/* How many of the node's inputs are data; parameters follow them. */
int op_data_inputs(const Node *node);

/* The steps of graph_infer around the shape rule; each reports through shape_error. */
bool op_check_inputs(Graph *graph, const Node *node); /* how many */
bool op_check_attrs(Graph *graph, const Node *node);  /* required ones given, words known, numbers in range */
bool op_check_params(Graph *graph, Node *node);       /* parameters as the params rule declares them */
bool op_check_result(Graph *graph, const Node *node); /* no dimension zero, none too large */

/* Reports a shape (or attribute) error at node and, as notes, the chain of shapes that led there; returns
 * false. */
bool shape_error(Graph *graph, const Node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
