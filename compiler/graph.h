/* The dataflow graph: nodes that each make one tensor, in an order in which every node follows its inputs.
 *
 * A Graph is made by model.c from YAML (or by graph_text_parse from text), rewritten by the passes, and read
 * by lowering. Everything lives in its arena. Nodes are never freed; a node that nothing reaches any more
 * simply no longer stands in the order after graph_sort. Shapes are concrete: batch, height and width are
 * bound when the graph is made.
 *
 *     %3: f32[2,64,128,256] = conv2d %1, %2 {kernel=3, stride=2}  # "sp.conv" bisenet.yaml:12
 */
#ifndef GRAPH_H
#define GRAPH_H

#include "diag.h"
#include <stdbool.h>
#include <stdint.h>

enum { MAX_RANK = 6, MAX_ATTRS = 12, MAX_INTS = 16, MAX_FLOATS = 256 };

typedef enum Dtype { F32, I32, U8 } Dtype;

/* A tensor's type: dense, row-major; pictures are N, C, H, W. rank 0 is a scalar. */
typedef struct Type {
    Dtype dtype;
    int rank;
    int64_t dim[MAX_RANK];
} Type;

/* Operators: one per row of op.def. */
typedef enum Op {
#define OP(id, ...) OP_##id,
#include "op.def"
    OP_COUNT
} Op;

/* Attribute names and kinds: the ATTR rows of op.def. */
typedef enum AttrName {
#define ATTR(id, ...) A_##id,
#include "op.def"
    ATTR_COUNT
} AttrName;

typedef enum AttrKind {
    ATTR_INT,   /* i[0] */
    ATTR_BOOL,  /* i[0] is 0 or 1 */
    ATTR_FLOAT, /* f */
    ATTR_PAIR,  /* i[0] rows (height), i[1] columns (width); in YAML one number for both or [rows, columns] */
    ATTR_INTS,  /* i[0..n-1], at most 8 */
    ATTR_FLOATS, /* floats[0..n-1], at most MAX_FLOATS */
    ATTR_STRING, /* s */
    ATTR_CHOICE, /* s, one of the attribute's words */
} AttrKind;

typedef struct Attr {
    AttrName name;
    int n; /* numbers in i or floats (lists: any, ATTR_PAIR: 2, else 1); 0: not given and no default */
    int64_t i[MAX_INTS]; /* integers and booleans */
    double f;
    const double *floats;
    const char *s;
} Attr;

typedef struct Node Node;
struct Node {
    int id;           /* printed as %id; unique, grows with creation */
    Op op;            /* row of op.def */
    const char *name; /* dotted path, "context_path.layer1.0.conv1"; a parameter's is its weight name */
    Pos pos; /* where the node stands in the YAML; a node made by a pass has that of what it replaces */
    int n_in;
    Node **in;
    int n_attrs;
    Attr attr[MAX_ATTRS]; /* every attribute of the op, in the row's order, defaults filled in */
    Type type;            /* set by graph_infer */
    int mark;             /* scratch of whoever walks the graph; no meaning between calls */
    int player; /* number of the player whose update this node belongs to, and which is done only when that
                   player steps; -1: of every run */
};

/* A result of the graph that a program keeps: a name and the node that makes it. */
typedef struct Output {
    const char *name;
    Node *node;
    bool align_corners; /* of scores.h's: which enlargement leads from it to the classes */
} Output;

/* A parameter that a run changes (its attribute `updated` is set): when everything that reads it is done, it
 * becomes value, a node of its type. An optimiser's node writes the states among its inputs too, in place. */
typedef struct Update {
    Node *param, *value;
} Update;

typedef struct Graph {
    Arena *arena;
    Diag *diag;
    const char *name;
    Node **nodes; /* in order; includes inputs and parameters */
    int n_nodes, cap_nodes;
    Output *outputs;
    int n_outputs, cap_outputs;
    /* Changes of parameters, done after all else in this order; what they need is kept like outputs. At most
     * one for each parameter. */
    Update *updates;
    int n_updates, cap_updates;
    /* Every parameter the networks declare, in declaration order, also those that no output reaches. */
    Node **params;
    int n_params, cap_params;
    int next_id;
} Graph;

Graph *graph_new(Arena *arena, Diag *diag, const char *name);

/* Appends a node with the op's default attributes, no type yet. in is copied. The caller sets attributes with
 * node_set_*, then calls graph_infer. */
Node *graph_add(Graph *graph, Op op, const char *name, Pos pos, Node *const *in, int n_in);

/* Declares the parameters that the node's operator has: makes them as "NODE.weight" and so on, and appends
 * them to node->in, before it in the order. Called once, after attributes and data inputs are set and before
 * graph_infer; does nothing for operators without parameters. False after reporting. */
bool graph_declare_params(Graph *graph, Node *node);

/* Checks arity, attributes and shapes by the op's rule and sets node->type. On failure reports at node->pos,
 * with the chain of shapes that led there as notes, and returns false (type.rank is then 0). */
bool graph_infer(Graph *graph, Node *node);

/* graph_infer for compiler code whose own graphs can't be wrong: asserts; returns node. */
Node *graph_settle(Graph *graph, Node *node);
/* The same for a node whose attributes are the defaults: adds it with the name and place of like. */
Node *graph_make(Graph *graph, Op op, const Node *like, Node *const *in, int n_in);

/* The OP_PARAM node called name with this type and initialisation, added to graph->params. */
typedef struct ParamInit {
    enum { PARAM_ZERO, PARAM_ONE, PARAM_CONSTANT, PARAM_UNIFORM } kind;
    double value;   /* CONSTANT: the value; UNIFORM: the bound */
    bool statistic; /* a running statistic: no optimiser updates it */
    bool state;     /* an optimiser's own, beside a parameter */
} ParamInit;
Node *graph_param(Graph *graph, const char *name, Pos pos, Type type, ParamInit init);
ParamInit graph_param_init(const Node *param);

void graph_output(Graph *graph, const char *name, Node *node);

/* Adds the update of a parameter, or, where it has one already, makes value its new one (the caller has then
 * made value from the old: see graph_current). Sets `updated`. */
void graph_update(Graph *graph, Node *param, Node *value);
/* What a parameter will be after the updates so far: its update's value, else itself. */
Node *graph_current(const Graph *graph, Node *param);

/* Replaces every use of from (inputs of nodes in the order, outputs, values of updates) by to. */
void graph_replace(Graph *graph, Node *from, Node *to);

/* Rebuilds graph->nodes: what outputs and updates reach, each after its inputs, otherwise in order of id;
 * updates as soon as what they need is there and the old parameter has been read. */
void graph_sort(Graph *graph);

/* How many nodes in the order, outputs and updates use node. */
int graph_uses(const Graph *graph, const Node *node);

/* True when node depends on constants and parameters that no run changes only, so that it is computed once,
 * when weights are loaded. Valid after graph_mark_static, which puts the answer into every node's mark (1
 * static, 0 not). */
void graph_mark_static(Graph *graph);

/* Attributes. The getters assert that the op has the attribute. */
const Attr *node_attr(const Node *node, AttrName name);
bool node_has(const Node *node, AttrName name); /* the op has it and it is given */
int64_t node_int(const Node *node, AttrName name);
int64_t node_rows(const Node *node, AttrName name);           /* first of a pair */
int64_t node_columns(const Node *node, AttrName name);        /* second of a pair */
int64_t node_axis(const Node *node, AttrName name, int axis); /* either, by axis 0 or 1 */
double node_float(const Node *node, AttrName name);
bool node_bool(const Node *node, AttrName name);
const char *node_string(const Node *node, AttrName name);
void node_set_int(Node *node, AttrName name, int64_t value);
void node_set_pair(Node *node, AttrName name, int64_t rows, int64_t columns);
void node_copy_pair(Node *to, const Node *from, AttrName name);
void node_set_ints(Node *node, AttrName name, const int64_t *values, int count);
void node_set_float(Node *node, AttrName name, double value);
void node_set_floats(Node *node, AttrName name, const double *values, int count); /* not copied */
void node_set_bool(Node *node, AttrName name, bool value);
void node_set_string(Node *node, AttrName name, const char *value); /* kept as it is, not copied */
void node_copy_attrs(Node *to, const Node *from);                   /* of the same op */

/* Types. */
bool type_known(Type type); /* false before graph_infer and after it failed */
int64_t type_elements(Type type);
int64_t type_bytes(Type type);
bool type_equal(Type a, Type b);
Type type_picture(int64_t n, int64_t c, int64_t h, int64_t w); /* f32, rank 4 */
const char *type_text(Arena *arena, Type type);                /* "f32[2,64,128,256]" */
const char *dtype_name(Dtype dtype);

/* graph_text.c: the printed form, and back. print(parse(t)) == t. */
const char *graph_text(const Graph *graph);
/* NULL after reporting in diag. */
Graph *graph_text_parse(Arena *arena, Diag *diag, const Source *source);
const char *graph_dot(const Graph *graph);

/* graph_check.c: asserts the invariants of the order (inputs before uses, types as the rules say). Debug
 * builds, after each pass. */
void graph_check(const Graph *graph);
/* The first invariant that does not hold, as a sentence in the arena; NULL when all do. */
const char *graph_fault(const Graph *graph);

#endif
