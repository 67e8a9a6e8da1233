/* Reading the command line. One table of commands, one of options; both also print the help. */
#define _GNU_SOURCE
#include "command.h"
#include "../codegen/cpu_target.h"
#include "data_command.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../runtime/rt_status.h"

static const struct CommandInfo {
    const char *name, *arguments, *summary;
    int (*run)(Command *c);
} commands[] = {
    {"check", "FILE", "read a network or program and report its mistakes", command_check},
    {"show", "FILE --stage STAGE", "print a stage of the compilation (an unknown one lists them)",
     command_show},
    {"stats", "FILE [--json]", "parameters, multiply-adds, FLOPs, bytes and memory, per node and in total",
     command_stats},
    {"build", "FILE -o PROG", "write a standalone program", command_build},
    {"run", "FILE VERB ...",
     "compile in memory and do what the program would: info, predict, eval, bench, train, ...", command_run},
    {"bench", "FILE [--json]", "time it fused, not fused, and as im2col + OpenBLAS does it; every kernel",
     command_bench},
    {"gradcheck", "FILE [--json]", "hold the compiled gradients of its losses against finite differences",
     command_gradcheck},
    {"data", "check|convert SPEC", "prove a data set's labels; make PNGs of class ids (data --help)",
     command_data},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static bool parse_count(const char *text, char **end, int64_t *value)
{
    errno = 0;
    long long number = strtoll(text, end, 10);
    *value = number;
    return *end != text && errno == 0 && number > 0 && number <= 1 << 20;
}

static bool set_size(Command *c, const char *text)
{
    char *end;
    if (!parse_count(text, &end, &c->model_options.height) || (*end != 'x' && *end != 'X')) return false;
    return parse_count(end + 1, &end, &c->model_options.width) && !*end;
}

static bool set_batch(Command *c, const char *text)
{
    char *end;
    return parse_count(text, &end, &c->model_options.batch) && !*end;
}

static bool set_runs(Command *c, const char *text)
{
    char *end;
    return parse_count(text, &end, &c->runs) && !*end;
}

static bool set_threads(Command *c, const char *text)
{
    char *end;
    return parse_count(text, &end, &c->threads) && !*end;
}

static bool set_seed(Command *c, const char *text)
{
    char *end;
    errno = 0;
    c->seed = strtoll(text, &end, 10);
    return *text && !*end && !errno && c->seed >= 0;
}

static bool set_parameters(Command *c, const char *text)
{
    c->parameters = text;
    return *text != 0;
}

static bool set_setting(Command *c, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text) return false;
    int n = c->model_options.n_settings++;
    ((const char **)c->model_options.setting_names)[n] =
        arena_strndup(c->arena, text, (size_t)(equals - text));
    ((const char **)c->model_options.setting_values)[n] = equals + 1;
    return true;
}

static bool set_cpu(Command *c, const char *text)
{
    c->cpu = text;
    return true;
}

static bool set_device(Command *c, const char *text)
{
    (void)c;
    return !strcmp(text, "cpu") || !strcmp(text, "auto");
}

static bool set_emit(Command *c, const char *text)
{
    static const char *const words[] = {
        [EMIT_PROGRAM] = "program", [EMIT_SHARED] = "shared", [EMIT_OBJECT] = "object"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(words[i], text)) {
            c->emit = (BuildEmit)i;
            return true;
        }
    return false;
}

static bool set_stage(Command *c, const char *text)
{
    c->stage = text;
    return true;
}

static bool set_out(Command *c, const char *text)
{
    c->out = text;
    return *text != 0;
}

static bool set_output(Command *c, const char *text)
{
    c->outputs[c->n_outputs++] = text;
    return *text != 0;
}

static bool set_json(Command *c, const char *text)
{
    (void)text;
    return c->json = true;
}

/* A precision switch: see "Which convolutions are Winograd" in the README. */
static bool set_winograd(Command *c, const char *text)
{
    c->no_winograd = !strcmp(text, "off");
    return c->no_winograd || !strcmp(text, "on");
}

static bool set_training(Command *c, const char *text)
{
    (void)text;
    return c->training = true;
}

static bool set_no_fuse(Command *c, const char *text)
{
    (void)text;
    return c->no_fuse = true;
}

static bool set_no_reuse(Command *c, const char *text)
{
    (void)text;
    return c->no_reuse = true;
}

static const struct OptionInfo {
    const char *name, *argument, *summary;
    bool (*set)(Command *c, const char *text); /* false: the argument is not what is expected */
} options[] = {
    {"--size", "HxW", "height and width of the picture, 512x1024 unless the file says", set_size},
    {"--batch", "N", "pictures done at once, 1", set_batch},
    {"--set", "NAME=VALUE", "a setting of the file", set_setting},
    {"--cpu", "host|NAME[,+F,-F]", "processor to compile for: this one, a level (x86-64-v3), or a name",
     set_cpu},
    {"--device", "cpu|auto", "device to compile for", set_device},
    {"--output", "NAME", "what to compute: classes, or an output of the file; may be repeated", set_output},
    {"--emit", "program|shared|object", "what build writes", set_emit},
    {"-o", "FILE", "where build writes it", set_out},
    {"--stage", "STAGE", "what show prints", set_stage},
    {"--training", NULL, "show the training form of a program with players", set_training},
    {"--winograd", "on|off", "3x3 convolutions by minimal filtering (on) or all direct (off: less rounding)",
     set_winograd},
    {"--no-fuse", NULL, "a kernel for every node", set_no_fuse},
    {"--no-reuse", NULL, "memory of its own for every value", set_no_reuse},
    {"--runs", "N", "runs that bench times (as many as fit in 3 s, 10 to 200)", set_runs},
    {"--threads", "T", "threads that bench and gradcheck use (SEGRT_THREADS, or all processors)",
     set_threads},
    {"--seed", "S", "of the weights and pictures that gradcheck makes", set_seed},
    {"--parameter", "GLOB", "what gradcheck looks at: names like segmenter.conv.*, or PLAYER/NAME",
     set_parameters},
    {"--json", NULL, "stats, bench and gradcheck as JSON", set_json},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

static int print_help(void)
{
    printf("segc " SEGC_VERSION ": compiles segmentation networks to standalone programs\n\nusage: segc "
           "COMMAND FILE [OPTION...]\n\n");
    for (int i = 0; i < N_COMMANDS; i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", commands[i].name, commands[i].arguments);
        printf("  %-26s %s\n", call, commands[i].summary);
    }
    printf("  %-26s %s\n\noptions:\n", "help, --version", "this text; the version");
    for (int i = 0; i < N_OPTIONS; i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", options[i].name, options[i].argument ? options[i].argument : "");
        printf("  %-30s %s\n", call, options[i].summary);
    }
    printf("\nexit status: 0 done, 1 the input is at fault, 2 usage, 3 the machine, 4 a bug of segc\n");
    return RT_OK;
}

static int unknown(Command *c, const char *what, const char *word, const char *const *known, int count)
{
    const char *near = diag_nearest(word, known, count);
    fprintf(stderr, "segc: error: unknown %s '%s'%s\nsegc help lists what there is\n", what, word,
            near ? arena_printf(c->arena, " (did you mean '%s'?)", near) : "");
    return RT_USAGE;
}

static int parse_option(Command *c, int argc, char **argv, int *i)
{
    const char *known[N_OPTIONS];
    for (int k = 0; k < N_OPTIONS; k++) {
        known[k] = options[k].name;
        if (strcmp(options[k].name, argv[*i])) continue;
        const char *text = options[k].argument ? (*i + 1 < argc ? argv[*i + 1] : NULL) : "";
        if (!text || !options[k].set(c, text)) {
            fprintf(stderr, "segc: error: %s expects %s%s%s\n", options[k].name, options[k].argument,
                    text ? ", not " : "", text ? text : "");
            return RT_USAGE;
        }
        *i += options[k].argument ? 1 : 0;
        return RT_OK;
    }
    return unknown(c, "option", argv[*i], known, N_OPTIONS);
}

/* Folder of this executable, in the arena; NULL when the system does not say. */
static const char *executable_folder(Command *c)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return NULL;
    return dirname(arena_strndup(c->arena, path, (size_t)length));
}

const char *command_runtime_archive(Command *c)
{
    const char *given = getenv("SEGC_RUNTIME"), *folder = executable_folder(c);
    const char *candidates[3] = {given, NULL, NULL};
    if (folder) {
        candidates[1] = arena_printf(c->arena, "%s/libsegrt.a", folder);
        candidates[2] = arena_printf(c->arena, "%s/../lib/segc/libsegrt.a", folder);
    }
    for (int i = 0; i < 3; i++)
        if (candidates[i] && !access(candidates[i], R_OK)) return candidates[i];
    return NULL;
}

/* The shipped graphs: beside the build folder of a checkout, or where `make install` put them. */
static void set_graph_folders(Command *c)
{
    const char *folder = executable_folder(c);
    const char **folders = ARENA_ARRAY(c->arena, const char *, 3);
    if (folder) {
        folders[0] = arena_printf(c->arena, "%s/../graphs", folder);
        folders[1] = arena_printf(c->arena, "%s/../share/segc/graphs", folder);
    }
    c->model_options.graph_dirs = folders;
}

const char *command_find_file(Command *c, const char *name)
{
    if (name[0] == '/' || !access(name, F_OK)) return name;
    for (const char *const *folder = c->model_options.graph_dirs; *folder; folder++) {
        const char *shipped = arena_printf(c->arena, "%s/%s", *folder, name);
        if (!access(shipped, R_OK)) return shipped;
    }
    return name;
}

static int parse_words(Command *c, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        bool is_option = argv[i][0] == '-' && argv[i][1];
        if (c->file && c->run == command_run && !is_option) { /* the verb: the rest is the program's */
            c->rest = &argv[i - 1];
            c->rest[0] = (char *)c->file;
            c->n_rest = argc - i + 1;
            return RT_OK;
        }
        if (is_option) {
            int status = parse_option(c, argc, argv, &i);
            if (status) return status;
        } else if (!c->file) {
            c->file = command_find_file(c, argv[i]);
        } else {
            fprintf(stderr, "segc: error: one file at a time, and '%s' is a second\n", argv[i]);
            return RT_USAGE;
        }
    }
    if (!c->file) {
        fprintf(stderr, "segc: error: %s needs a file\n", argv[1]);
        return RT_USAGE;
    }
    c->rest = ARENA_ARRAY(c->arena, char *, 2);
    c->rest[0] = (char *)c->file;
    c->n_rest = 1;
    return RT_OK;
}

int command_parse(Command *c, Arena *arena, int argc, char **argv)
{
    *c = (Command){.arena = arena, .diag = diag_new(arena), .program = argv[0], .cpu = "host"};
    c->outputs = ARENA_ARRAY(arena, const char *, argc);
    c->model_options.setting_names = ARENA_ARRAY(arena, const char *, argc);
    c->model_options.setting_values = ARENA_ARRAY(arena, const char *, argc);
    set_graph_folders(c);
    if (argc < 2) {
        print_help();
        return RT_USAGE;
    }
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) return print_help();
    if (!strcmp(argv[1], "--version")) {
        printf("segc " SEGC_VERSION "\n");
        return RT_OK;
    }
    const char *known[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++) {
        known[i] = commands[i].name;
        if (!strcmp(commands[i].name, argv[1])) c->run = commands[i].run;
    }
    if (!c->run) return unknown(c, "command", argv[1], known, N_COMMANDS);
    if (c->run == command_data) { /* has options of its own */
        c->rest = argv + 2;
        c->n_rest = argc - 2;
        return RT_OK;
    }
    int status = parse_words(c, argc, argv);
    const char *error = NULL;
    if (status == RT_OK && !cpu_target(arena, c->cpu, &error)) {
        fprintf(stderr, "segc: error: --cpu: %s\n", error);
        status = RT_USAGE;
    }
    return status;
}
