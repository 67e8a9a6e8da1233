/* The command line of segc. Every command is: load, compile, and show or keep some of it.
 *
 * Exit status: 0 done; 1 the input is at fault (said with its place); 2 usage; 3 the machine; 4 our bug.
 */
#define _GNU_SOURCE
#include "../codegen/build.h"
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/segrt.h"

static int fail_usage(const char *text, const char *detail)
{
    fprintf(stderr, "segc: error: %s%s\nsegc help lists the commands\n", text, detail);
    return RT_USAGE;
}

static int fail_machine(const char *text)
{
    fprintf(stderr, "segc: error: %s\n", text);
    return RT_MACHINE;
}

static int print_text(const char *text)
{
    if (fputs(text, stdout) < 0 || fflush(stdout)) return fail_machine(strerror(errno));
    return RT_OK;
}

Model *command_load(Command *c)
{
    Model *model = model_load(c->arena, c->diag, c->file, &c->model_options);
    if (!model || diag_failed(c->diag)) {
        diag_print(c->diag, stderr);
        return NULL;
    }
    return model;
}

static const Output *find_output(const Graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, name)) return &graph->outputs[i];
    return NULL;
}

PassOptions command_outputs(Command *c, const Model *model)
{
    PassOptions passes = {.predict = model->predict};
    const char **wanted = ARENA_ARRAY(c->arena, const char *, c->n_outputs + 1);
    for (int i = 0; i < c->n_outputs; i++) {
        if (!strcmp(c->outputs[i], "classes"))
            passes.want_classes = true;
        else
            wanted[passes.n_wanted++] = c->outputs[i];
    }
    const Output *predicted = find_output(model->graph, model->predict);
    if (!c->n_outputs && predicted) {
        passes.want_classes = predicted->node->type.rank == 4 && predicted->node->type.dim[1] > 1;
        if (!passes.want_classes) wanted[passes.n_wanted++] = model->predict;
    }
    passes.wanted = wanted;
    return passes;
}

static Build *compile(Command *c, Model *model, void (*stage)(void *, const char *, const char *))
{
    Stats *stats = model->training ? NULL : stats_collect(c->arena, model, STATS_UNKNOWN);
    BuildOptions options = {.cpu = c->cpu,
                            .passes = model->training ? (PassOptions){0} : command_outputs(c, model),
                            .training = model->training,
                            .no_fuse = c->no_fuse,
                            .no_winograd = c->no_winograd,
                            .no_reuse = c->no_reuse,
                            .model = model,
                            .stats = stats,
                            .stage = stage,
                            .user = c};
    Build *build = build_graph(c->arena, model->graph, &options);
    if (!build) diag_print(c->diag, stderr);
    return build;
}

/* A line for each player: what it minimises, and what it steps with how. */
static void print_players(const Training *training)
{
    static const char *const optimizers[] = {
        [OPTIMIZER_SGD] = "sgd", [OPTIMIZER_ADAM] = "adam", [OPTIMIZER_ADAMW] = "adamw"};
    for (int i = 0; i < training->n_players; i++) {
        const Player *player = &training->players[i];
        int64_t elements = 0;
        for (int k = 0; k < player->n_params; k++) elements += type_elements(player->params[k].param->type);
        printf("  %s minimizes %s: %s, lr %g, %d parameters of %lld elements\n", player->name,
               player->loss->name, optimizers[player->optimizer.kind], player->optimizer.lr, player->n_params,
               (long long)elements);
    }
}

/* The file's program for inference, and, where it has players, the one that trains. */
static Build *compile_both(Command *c)
{
    Model *model = command_load(c);
    Build *build = model ? compile(c, model, NULL) : NULL;
    if (!build || !model->trains) return build;
    c->model_options.training = true;
    Model *trained = command_load(c);
    build->training = trained ? compile(c, trained, NULL) : NULL;
    return build->training ? build : NULL;
}

int command_check(Command *c)
{
    c->model_options.training = true;
    const Model *trained = command_load(c);
    if (!trained) return RT_BAD_INPUT;
    c->model_options.training = false;
    const Model *model = trained->training ? command_load(c) : trained;
    if (!model) return RT_BAD_INPUT;
    printf("%s: %s, %d nodes, %d parameters, output %s: %s\n", c->file, model->name, model->graph->n_nodes,
           model->graph->n_params, model->predict,
           type_text(c->arena, find_output(model->graph, model->predict)->node->type));
    if (trained->training) print_players(trained->training);
    return RT_OK;
}

static void keep_stage(void *user, const char *stage, const char *text)
{
    Command *c = user;
    Text *known = &c->stage_names;
    text_printf(known, "%s%s", known->length ? ", " : "", stage);
    if (!strcmp(stage, c->stage)) c->stage_text = text;
}

int command_show(Command *c)
{
    if (!c->stage) return fail_usage("show needs --stage NAME", "");
    c->model_options.training = c->training;
    Model *model = command_load(c);
    if (!model) return RT_BAD_INPUT;
    if (!strcmp(c->stage, "dot")) return print_text(graph_dot(model->graph));
    c->stage_names = text_new(c->arena);
    Build *build = compile(c, model, keep_stage);
    if (!build) return RT_BAD_INPUT;
    const char *error = NULL;
    if (!strcmp(c->stage, "llvm")) c->stage_text = build_llvm(build);
    if (!strcmp(c->stage, "asm")) c->stage_text = build_asm(build, &error);
    if (error) return fail_machine(error);
    if (c->stage_text) return print_text(c->stage_text);
    return fail_usage(arena_printf(c->arena, "no stage '%s'; there are dot, ", c->stage),
                      arena_printf(c->arena, "%s, llvm, asm", c->stage_names.text));
}

int command_stats(Command *c)
{
    Model *model = command_load(c);
    if (!model) return RT_BAD_INPUT;
    Stats *stats = stats_collect(c->arena, model, STATS_UNKNOWN);
    Build *build = compile(c, model, NULL);
    if (!build) return RT_BAD_INPUT;
    stats->memory_peak = build->plan->arena_bytes + build->plan->persistent_bytes;
    return print_text(c->json ? stats_json(c->arena, stats) : stats_table(c->arena, stats));
}

int command_build(Command *c)
{
    if (!c->out) return fail_usage("build needs -o FILE", "");
    const Build *build = compile_both(c);
    if (!build) return RT_BAD_INPUT;
    const char *archive = command_runtime_archive(c), *error = NULL;
    if (!archive && c->emit != EMIT_OBJECT)
        return fail_machine(
            "libsegrt.a is neither beside segc nor in ../lib/segc (set SEGC_RUNTIME to its path)");
    return build_write(build, c->emit, archive, c->out, &error) ? RT_OK : fail_machine(error);
}

int command_run(Command *c)
{
    const Build *build = compile_both(c);
    if (!build) return RT_BAD_INPUT;
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error), *trains = NULL;
    if (jit && build->training) trains = build_jit(build->training, &error);
    int status = RT_MACHINE;
    if (error)
        fail_machine(error);
    else {
        if (trains) build_jit_join(jit, trains);
        status = segrt_main(c->n_rest, c->rest, build_program(jit));
    }
    build_jit_free(trains);
    build_jit_free(jit);
    return status;
}

int main(int argc, char **argv)
{
    Command command;
    Arena *arena = arena_new();
    int status = command_parse(&command, arena, argc, argv);
    if (status == RT_OK && command.run) status = command.run(&command);
    arena_free(arena);
    return status;
}
