/* `segc gradcheck`: compiled gradients of any file against finite differences of its compiled losses.
 *
 * gradcheck.c makes the program and decides; gradcheck_run.c holds its values and runs it; gradcheck_text.c
 * prints. Part of the command line, like main.c. Everything lives in the command's arena but the session and
 * machine code, which gradcheck.c releases.
 */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include "../codegen/build.h"
#include "slope.h"

#include "../runtime/rt_session.h"

/* ---- a program and all its values ------------------------------------------------------------------------
 */

/* An input or parameter, as it is set before each run. */
typedef struct GradSource {
    const ProgramTensor *tensor;
    void *values; /* dense */
    bool changes; /* a run may leave other values */
} GradSource;

/* Of an input of labels: how many classes its loss tells apart. */
typedef struct GradLabels {
    const char *name;
    int64_t classes;
} GradLabels;

typedef struct GradRun {
    SegrtSession *session;
    const ProgramHeader *header;
    GradSource *sources;
    int n_sources;
    const GradSource *moved; /* that is set to values + distance * direction; NULL: none */
    const float *direction;
    double distance;
    float *room;  /* for the largest source */
    int64_t runs; /* so far */
} GradRun;

/* Values for everything, from the seed: parameters as training begins, but for those that begin as a
 * constant, which get noise, so that no gradient is 0 for that reason alone; pictures; labels, some of them
 * ignored; tunables as the program says, or 1 where that is 0. */
RtStatus grad_run_open(GradRun *run, Arena *arena, const Program *program, const GradLabels *labels,
                       int n_labels, int threads, uint64_t seed, RtError *err);
const GradSource *grad_run_source(const GradRun *run, const char *name);
/* Runs on the values. */
RtStatus grad_run_once(GradRun *run, RtError *err);
/* The value of a player's loss in the last run. */
double grad_run_loss(const GradRun *run, int player);
/* The values of an output after a run; NULL: there is none of the name. */
const float *grad_run_output(const GradRun *run, const char *name);
/* How far a player's loss moves when the last bits of all inputs do: what rounding makes of it. */
RtStatus grad_run_noise(GradRun *run, Arena *arena, double *noise, RtError *err);
/* A direction of length 1 with components of equal size and random signs. */
void grad_run_signs(uint64_t seed, const char *name, int64_t count, float *direction);

/* ---- what is found ---------------------------------------------------------------------------------------
 */

/* Slopes of the loss along one direction. */
typedef struct GradSlope {
    bool done;
    Slope slope;
    double scale;
    SlopeVerdict verdict;
} GradSlope;

/* A parameter of a player, or an input or parameter of a network. */
typedef struct GradRow {
    const char *player, *name, *loss; /* player: "" of a file without players */
    int player_number;
    Pos pos;
    const GradSource *source;
    const float *gradient;   /* on the values; NULL: none was made, which says that it is zero */
    const char *output;      /* that it is */
    GradSlope along, random; /* up the gradient, the steepest; a random one */
    SlopeVerdict verdict;
} GradRow;

typedef struct Gradcheck {
    const char *file;
    GradRun run;
    GradRow *rows;
    int n_rows, cap_rows;
    int counts[SLOPE_DIFFERS + 1]; /* rows by verdict */
    double seconds;
} Gradcheck;

RtStatus gradcheck_print(const Gradcheck *check, RtError *err);
void gradcheck_print_json(const Gradcheck *check);

#endif
