/* From YAML to graph: reads network and program files, checks every key, expands blocks, and builds the
 * graph.
 *
 * A program that has players has two forms. The inference form is the network that it predicts with, and
 * nothing else; the training form is all its nodes, with the losses as outputs, before autodiff. Both name
 * their parameters alike ("segmenter.conv.weight"), so that checkpoints of training load everywhere. Files
 * without players have the inference form only: their nodes and outputs, as written.
 *
 * graphs/README.md is the manual of the language. A Model is what a file says; its graph holds the nodes with
 * concrete shapes for the given batch and size. Every mistake is reported in diag, as many as can be found in
 * one run; model_load then returns NULL. Files named by `use` and `extends` are found relative to the file
 * that names them, then in ModelOptions.graph_dirs.
 */
#ifndef MODEL_H
#define MODEL_H

#include "graph.h"
#include "model_augment.h"
#include "model_data.h"
#include "training.h"

typedef struct ModelPreprocess {
    bool bgr;
    double
        scale; /* x = (v * scale - mean[c]) / std[c] for v in 0..255; 1/255, zeros and ones when not said */
    double mean[3], std[3];
} ModelPreprocess;

typedef struct ModelOptions {
    bool training;         /* the training form, if the file has players */
    int64_t batch;         /* of a program with players: of its training form, 0: the file's `train: {batch}`,
                              else 1 (its inference form takes 1 picture); of other files 0: 1 */
    int64_t height, width; /* 0: the file's `size`, else 512x1024 */
    int n_settings;        /* --set name=value, over the file's settings or tunables */
    const char *const *setting_names, *const *setting_values;
    const char *const *graph_dirs; /* where `use: name.yaml` is looked for after the file's own folder;
                                      NULL-terminated, may be NULL */
} ModelOptions;

/* A use of a network in a file, for counting parameters and naming them. */
typedef struct ModelNetwork {
    const char *name; /* "segmenter"; a network file alone: its own name */
} ModelNetwork;

typedef struct Model {
    const char *name;    /* of the network or program */
    const char *path;    /* as given */
    Graph *graph;        /* its outputs: every declared output of the file, in order; of the training form the
                            terms besides */
    const char *predict; /* name of the output to predict: `predict`, else the first; NULL: training form */
    bool trains;         /* the file has players */
    Training *training;  /* of the training form, else NULL */
    int n_classes;       /* 0: not said */
    ModelClass *classes;
    int64_t ignore_index;
    const ModelData **data; /* that the file names: the one that the classes are of first */
    int n_data, cap_data;
    ModelPreprocess preprocess;
    ModelAugment *augments; /* those of one stream follow each other, in their order */
    int n_augments;
    ModelNetwork *networks;
    int n_networks;
} Model;

Model *model_load(Arena *arena, Diag *diag, const char *path, const ModelOptions *options);

#endif
