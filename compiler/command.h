/* What the command line says. See command.c for the options; main.c for what each command does. */
#ifndef COMMAND_H
#define COMMAND_H

#include "../codegen/build.h"
#include "model.h"

typedef struct Command Command;
struct Command {
    Arena *arena;
    Diag *diag;
    int (*run)(Command *c); /* NULL: help was printed */
    const char *program;    /* argv[0] */
    const char *file;
    ModelOptions model_options;
    const char *cpu;
    bool no_fuse, no_reuse, no_winograd, json, training;
    int64_t runs, threads;  /* of bench, gradcheck; 0: not said */
    int64_t seed;           /* of gradcheck */
    const char *parameters; /* --parameter of gradcheck: a pattern; NULL: all */
    const char *stage, *out;
    BuildEmit emit;
    const char **outputs; /* --output */
    int n_outputs;
    int n_rest; /* run: the program's own words, rest[0] is the file; data: what follows the command */
    char **rest;
    /* show */
    Text stage_names;
    const char *stage_text;
};

int command_check(Command *c);
int command_show(Command *c);
int command_stats(Command *c);
int command_build(Command *c);
int command_run(Command *c);
int command_bench(Command *c);     /* bench.c */
int command_gradcheck(Command *c); /* gradcheck.c */

/* What every command starts with: the model, or NULL after its mistakes were printed. */
Model *command_load(Command *c);
/* Classes where the predicted output has a channel per class, else the output itself; or what --output names.
 */
PassOptions command_outputs(Command *c, const Model *model);

/* Fills command from argv; prints help, or what is wrong, and then returns an exit status other than 0 or
 * leaves run NULL. */
int command_parse(Command *command, Arena *arena, int argc, char **argv);

/* A file that is not here may be one of the shipped graphs: then its path, else name. */
const char *command_find_file(Command *c, const char *name);

/* The runtime archive that programs link: $SEGC_RUNTIME, beside the executable, or in ../lib/segc from it.
 * NULL: not found. */
const char *command_runtime_archive(Command *c);

#endif
