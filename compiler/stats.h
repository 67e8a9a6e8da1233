/* What a network costs: parameters, multiply-adds, floating-point operations and bytes moved, per node and in
 * total, counted on the graph as declared, before any optimisation.
 *
 * Two counts of work stand side by side, because both are in use and they differ:
 *
 *   multiply_adds  the study's convention, which is fvcore's (op.def's count column): one per multiply-add of
 *                  a contraction, batch_norm 2 per element, bilinear resize 4 per output element, global
 *                  average pool 1 per input element, everything else nothing.
 *   flops          additions, multiplications, comparisons and the like that a plain evaluation does:
 *                    contraction  2 per multiply-add (a bias starts the sum and costs nothing)
 *                    elementwise  one per operand after the first, at least one, per output element;
 *                                 batch_norm as above
 *                    window       one per element of the kernel and output element; resize 2 per
 *                                 multiply-add
 *                    reduction    one per input element
 *                    layout       none
 *
 * Bytes moved are those a node run on its own must touch: its inputs, its parameters, its output, once each.
 * Running statistics are read, so they count as bytes; they are not learned, so they are no parameters.
 *
 *     Stats *stats = stats_collect(arena, model, STATS_UNKNOWN);
 *     fputs(stats_table(arena, stats), stdout);
 *
 * Everything lives in the arena given; names point into the model. Nothing here can fail. Not thread safe:
 * collecting writes the marks of the model's nodes.
 */
#ifndef STATS_H
#define STATS_H

#include "model.h"

enum { STATS_UNKNOWN = -1 };

/* One node that makes the predicted output, sources left out. */
typedef struct StatsNode {
    const char *name, *op;
    Type type;             /* of its output */
    Pos pos;               /* in the YAML */
    int64_t parameters;    /* elements; a parameter used twice counts where it is used first */
    int64_t multiply_adds; /* by the study's convention */
    int64_t flops;
    int64_t bytes;
} StatsNode;

typedef struct Stats {
    const char *name, *path, *predict; /* of the model */
    Type output;                       /* type of the predicted output */
    const Output *inputs;              /* name and node of each input that the predicted output needs */
    int n_inputs;
    StatsNode *nodes;
    int n_nodes;
    int64_t parameters_deployed; /* reachable from the predicted output */
    int64_t parameters_outputs;  /* reachable from any output of the file: with the auxiliary heads */
    int64_t parameters_declared; /* all, also those that no output reaches */
    /* Totals over nodes. */
    int64_t conv_multiply_adds; /* of contractions alone */
    int64_t multiply_adds;
    int64_t flops;
    int64_t bytes;
    int64_t memory_peak; /* bytes, from the plan; STATS_UNKNOWN: not planned */
} Stats;

/* Counts what model->predict needs. The model has at least one output, and predict names one of them. */
Stats *stats_collect(Arena *arena, const Model *model, int64_t memory_peak);

/* A table for people: one line per node, then the totals. Numbers are exact, in groups of three digits. */
const char *stats_table(Arena *arena, const Stats *stats);

/* One JSON object with the same content; an unknown memory peak is null. Text that is not UTF-8 (a file's
 * path may be anything) has U+FFFD for each wrong byte. */
const char *stats_json(Arena *arena, const Stats *stats);

#endif
