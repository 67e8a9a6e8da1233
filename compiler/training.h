/* What a program says about training, as autodiff and the program's image need it. Made by model_player.c
 * from `players`, `tunables` and `train`; everything lives in the model's arena.
 */
#ifndef TRAINING_H
#define TRAINING_H

#include "graph.h"
#include "program.h"

/* A parameter that a player owns. */
typedef struct PlayerParam {
    Node *param;
    double lr_scale, weight_decay; /* of its group */
} PlayerParam;

typedef struct Optimizer {
    ProgramOptimizer kind;
    double lr;
    double beta1, beta2, eps;   /* ADAM, ADAMW */
    double momentum, dampening; /* SGD */
    bool nesterov;              /* SGD */
    double clip_norm;           /* largest norm of the player's gradients together; 0: none */
} Optimizer;

typedef struct Player {
    const char *name;
    Pos pos;
    Node *loss; /* a scalar */
    Pos loss_pos;
    PlayerParam *params;
    int n_params;
    Optimizer optimizer;
    ProgramSchedule schedule;
    int64_t from;
    Node *hyper; /* made by autodiff: its ROLE_HYPER tensor, a param node */
} Player;

typedef struct Tunable {
    const char *name;
    double value;
    int64_t from;
    Node *node; /* OP_TUNABLE, a scalar named as the tunable */
} Tunable;

typedef struct Training {
    int n_players, n_tunables;
    Player *players;
    Tunable *tunables;
    int64_t iterations, accumulate, validate_every;
    /* Scalars that the log shows, in the order of the file: names of graph outputs (rank 0). The players'
     * losses are among them. */
    const char **terms;
    int n_terms, n_declared; /* so many of the graph's first outputs the file asks for itself */
    /* For tests and gradcheck: the gradients become outputs "PLAYER/PARAMETER", and no optimiser steps. */
    bool gradients_only;
} Training;

/* autodiff.c: adds gradients of every player's loss with respect to its parameters, and the updates that its
 * optimiser makes of them. False after reporting: an operator without a gradient on the way (at its node,
 * with the way as notes), a parameter that the loss does not depend on (at the player). */
bool autodiff_players(Graph *graph, Training *training);

/* Gradients of a scalar with respect to nodes: out[i] for wrt[i], NULL where it is zero. False after
 * reporting. */
bool autodiff_gradients(Graph *graph, Node *scalar, Node *const *wrt, int n, Node **out);

/* By node id: whether a player's loss depends on it, of nodes in order of use. In the graph's arena. */
bool *training_needs(const Graph *graph, const Training *training);

#endif
