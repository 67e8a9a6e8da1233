/* What the files of the model share: model.c (the driver), model_file.c (files and their definitions),
 * model_block.c (one use of a network or block), model_order.c (its nodes in order), model_node.c (one node),
 * model_program.c (programs, and what networks and programs say besides nodes), model_train.c (tunables and
 * what training is given), model_player.c and model_optimizer.c (players), model_data.c (data sets and
 * classes).
 *
 * A file becomes Definitions, read once: its own and one per block. Each use of a definition is an Instance:
 * its settings are bound, its Members (inputs and nodes) are put in order, and each node becomes operator
 * nodes of the graph or an Instance in turn. All of it lives in the arena.
 */
#ifndef MODEL_PARTS_H
#define MODEL_PARTS_H

#include "model.h"
#include "model_value.h"
#include "op.h"

enum {
    MODEL_MAX_DEPTH = 50,    /* of instances within instances */
    MODEL_MAX_NODES = 30000, /* of one graph */
    MODEL_MAX_EXTENDS = 20,  /* files that extend one another */
    MODEL_MAX_CLASSES = 256,
    MODEL_MAX_INPUTS = 64, /* of a node or block */
};

typedef struct ModelFile ModelFile;
typedef struct Instance Instance;

/* A network, a program or a block as written. The trees are of the right kind; NULL: not given. */
typedef struct Definition {
    const char *kind; /* "network", "program", "block" */
    const char *name;
    Pos pos;
    ModelFile *file;
    const Tree *settings;        /* mapping */
    const Tree *inputs;          /* mapping; a block's: sequence of names */
    const Tree *nodes, *outputs; /* mappings */
    bool *setting_used;          /* one per setting, set by any instance */
    bool used;                   /* some node asks for it */
    bool open;                   /* an instance of it is being expanded */
    bool faulty; /* a block in which something is wrong by itself: its uses say nothing more */
} Definition;

/* A name under `use` or `networks`. */
typedef struct NetworkUse {
    const char *name;
    Pos pos;
    const Tree *settings; /* mapping of `networks`, with the key `use` among the settings; else NULL */
    ModelFile *file;      /* NULL: not readable, reported */
    bool used;
    const TreeEntry *owner; /* the player that updates it; NULL: none does */
} NetworkUse;

struct ModelFile {
    ModelFile *next;
    const char *path, *real_path;
    const Tree *root; /* after `extends` */
    bool program;
    Definition main;
    const Tree *block_tree; /* `blocks`; NULL: none */
    Definition *blocks;     /* one per entry */
    const Tree *use_tree;   /* `use` or `networks`; NULL: none */
    NetworkUse *uses;       /* one per entry */
};

/* What a node or an input makes: one or several named tensors. */
typedef struct Bundle {
    int n;
    const char **names; /* NULL: one without a name */
    Node **nodes;       /* a NULL among them: failed, and reported */
} Bundle;

/* The parameters of one operator of a network of a program, which all uses of the network share. */
typedef struct SharedParams {
    Node **nodes;
    int n;
} SharedParams;

typedef struct Builder {
    Arena *arena;
    Diag *diag;
    Graph *graph;
    const ModelOptions *options;
    bool training; /* this is the training form of a program with players */
    Values values;
    ModelFile *files;      /* every file read so far */
    TreeKeys shared_names; /* of operators' nodes within their network, with the network's name before it */
    SharedParams *shared;  /* one for each */
    int n_shared, cap_shared;
    Node **ignoring; /* nodes that take the program's ignore_index, since they give none */
    int n_ignoring, cap_ignoring;
    int depth;  /* of instances */
    int n_uses; /* nodes expanded so far, blocks and networks counted like operators */
} Builder;

/* An input of an instance: its name, where it is declared, and what is given for it. */
typedef struct InstanceInput {
    const char *name;
    Pos pos;
    Bundle bundle;
    bool tunable; /* of a program: not a stream but a number that changes at launch */
} InstanceInput;

/* One use of a definition. */
struct Instance {
    const Instance *parent; /* the instance whose node this is; NULL: none */
    Definition *of;
    Pos pos;                /* of the use */
    const char *path;       /* of its nodes' names, "" or "layer1.0." */
    const char *param_path; /* of its parameters' names */
    bool shares;            /* parameters are found in Builder.shared */
    const Scope *scope;
    const Scope *file_scope; /* that of the network or program that a block stands in */
    const char *statistics;  /* what batch_norm does in it, as its attribute says; NULL: the default */
    /* A program's: the nodes that its players minimise, which are kept beside the outputs; NULL among them:
     * not said. */
    const Tree *const *losses;
    int n_losses;
};

/* One node as it is to be made: what it says, and its inputs. */
typedef struct NodeUse {
    const char *name;
    Pos pos;
    const Tree *spec;
    Node **in; /* a NULL among them: failed, and reported */
    const Pos *in_pos;
    int n_in;
} NodeUse;

/* Where a node's input or an output comes from. */
typedef struct Reference {
    int member;         /* -1: unknown, reported */
    const char *output; /* behind the dot; NULL: the only one */
    const Tree *tree;   /* as written */
} Reference;

/* A name that references can mean. */
typedef struct Member {
    enum {
        MEMBER_INPUT,
        MEMBER_TUNABLE,
        MEMBER_NODE,
        MEMBER_CHAIN, /* `1..4` as a whole: what its first reference makes */
    } kind;
    const char *name;
    Pos pos;
    const Tree *spec; /* NODE, CHAIN; else NULL */
    Reference *in;
    int n_in;
    bool bad;      /* reported, not to be made */
    bool chained;  /* fed by the member before it */
    Bundle bundle; /* set for inputs, and once it is made */
    int state;     /* scratch of walks */
} Member;

/* The members of an instance, and an order in which each follows what feeds it. */
typedef struct Members {
    Member *items;
    int n, capacity;
    TreeKeys names;
    Reference *outputs; /* one for each output of the definition */
    Reference *losses;  /* one for each of the instance */
    int *order;
    bool faulty; /* some member could not be added */
} Members;

/* ---- model_file.c ---- */

/* The file's definitions; NULL after reporting. Each file is read once; files it uses are read too. */
ModelFile *file_open(Builder *builder, const char *path);
/* The file's tree over that of the file it extends, if any; NULL after reporting. */
const Tree *file_tree(Builder *builder, const char *path);
/* The path of a file that the scalar name names: in the folder of the file where name stands, then in the
 * folders of the options. NULL after reporting. */
const char *file_find(Builder *builder, const Tree *name);
/* The path without links and dots, or itself where there is no such file. */
const char *file_real_path(Builder *builder, const char *path);
/* Reports keys of a mapping that are not among known. what: "a network file has", "a block has". */
void file_check_keys(Builder *builder, const Tree *mapping, const char *what, const char *const *known,
                     int n);
/* The value of a key if it has the kind wanted; NULL if it is not given, or not of this kind (reported). */
const Tree *file_part(Builder *builder, const Tree *mapping, const char *key, TreeKind kind);
/* The number of a key, which is least to most; out stays as it is where the key is not given. False after
 * reporting. */
bool file_float(Builder *builder, const Tree *mapping, const char *key, const Scope *scope, double least,
                double most, double *out);
bool file_int(Builder *builder, const Tree *mapping, const char *key, const Scope *scope, int64_t least,
              int64_t most, int64_t *out);
/* The network of this name in a program; NULL after reporting. */
NetworkUse *file_network(Builder *builder, const ModelFile *file, const Tree *name);
/* Warns of blocks and networks of the file that no node uses. */
void file_report_unused(Builder *builder, const ModelFile *file);

/* ---- model_block.c ---- */

/* Makes the scope of an instance: settings from given (a mapping with further keys; NULL: none) evaluated in
 * from, else their defaults. skipped are keys of given that are no settings, NULL-terminated. */
Scope *block_bind(Builder *builder, Definition *of, const Tree *given, const char *const *skipped,
                  const Scope *from, Pos pos, const Scope *outer);
/* Makes the nodes of an instance, whose scope is bound. */
Members block_expand(Builder *builder, const Instance *instance, const InstanceInput *inputs, int n_inputs);
/* The outputs of an instance whose nodes are made. */
Bundle block_outputs(Builder *builder, const Instance *instance, const Members *members);
/* A network or block applied to inputs. scope is the instance's, to which a network's sizes are added. */
Bundle block_apply(Builder *builder, Instance *instance, Scope *scope, const NodeUse *use);
/* Adds notes that say through which uses the message before came about, if there are more than errors
 * messages: what failed because of something reported earlier has reported nothing itself. */
void block_explain(const Builder *builder, const Instance *instance, int errors);
/* Reports settings that nothing uses. */
void block_report_unused_settings(Builder *builder, const Definition *definition);

/* ---- model_order.c ---- */

/* Finds the members of an instance, resolves their references, orders them, and reports unknown names, cycles
 * and what reaches no output. */
Members order_members(Builder *builder, const Instance *instance, const InstanceInput *inputs, int n_inputs);
/* What a reference means once its member is made; NULL when that failed, or after reporting. */
Node *order_resolve(Builder *builder, const Members *members, const Reference *reference);

/* ---- model_node.c ---- */

/* Makes what one node says. */
Bundle node_expand(Builder *builder, const Instance *instance, const NodeUse *use);
/* A bundle of one tensor; NULL: of a failure. */
Bundle bundle_of(Arena *arena, Node *node);

/* ---- model_program.c ---- */

/* Graph inputs for the inputs that a network declares, with N, H and W from scope. */
InstanceInput *program_inputs(Builder *builder, const Definition *of, const Scope *scope, const char *prefix);
/* A program's: one bundle for each stream. */
InstanceInput *program_streams(Builder *builder, const Definition *of, const Scope *scope);
/* `predict`, after the outputs are in the graph: fills model->predict. */
void program_predict(Builder *builder, ModelFile *file, const Scope *scope, Model *model);
/* `preprocess`. */
void program_preprocess(Builder *builder, const ModelFile *file, const Scope *scope, Model *model);
/* Reports, at the classes' place, a predicted output that has not a channel for each of the model's. */
void program_check_classes(Builder *builder, const Tree *classes, const Model *model);

/* ---- model_data.c ---- */

/* `classes`, `data`, `ignore_index`. */
void model_classes(Builder *builder, const ModelFile *file, const Scope *scope, Model *model);

/* ---- model_train.c ---- */

/* Whether the file is a program with players. */
bool train_has_players(const ModelFile *file);
/* Reports what a program says about training without having players. */
void train_check_players(Builder *builder, const ModelFile *file);
/* The batch that the file trains with; 0: not said. */
int64_t train_batch(Builder *builder, const ModelFile *file, const Scope *scope);
/* Appends `tunables` to the n_inputs inputs of the program, with the values of given (the command line) or
 * else of the file, and lists them in training. Returns how many inputs there are then. */
int train_tunables(Builder *builder, const ModelFile *file, const Scope *scope, const Tree *given,
                   Training *training, InstanceInput **inputs, int n_inputs);
/* `train`, and the terms, once the nodes are made and the declared outputs are in the graph. */
void train_finish(Builder *builder, const ModelFile *file, const Scope *scope, const Members *members,
                  Training *training);

/* ---- model_player.c ---- */

/* `players`, before nodes are made: which networks they update, and in program->losses what they minimise. */
void players_claim(Builder *builder, ModelFile *file, Instance *program);
/* The rest, once the nodes are made. */
void players_finish(Builder *builder, const ModelFile *file, const Scope *scope, const Members *members,
                    Training *training);

/* ---- model_optimizer.c ---- */

/* `optimizer`, `clip_norm`, `schedule` and `warmup` of a player. weight_decay is that of its parameters
 * unless a group says another. */
void optimizer_read(Builder *builder, const TreeEntry *player, const Scope *scope, Player *out,
                    double *weight_decay);

/* ---- model_augment.c ---- */

/* `augment`: fills model->augments. */
void model_augment(Builder *builder, const ModelFile *file, const Scope *scope, Model *model);

#endif
