/* The command line of a program: finds the verb, runs it, prints what went wrong. See segrt.h, rt_verbs.h. */
#include "rt_program.h"
#include "rt_verbs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct Verb {
    const char *name, *usage, *summary;
    RtStatus (*run)(VerbCall *call, RtError *err);
} Verb;

static const Verb verbs[] = {
#define X(name, usage, summary) {#name, usage, summary, verb_##name},
    VERBS(X)
#undef X
};

enum { VERB_COUNT = sizeof verbs / sizeof *verbs };

static void print_usage(FILE *out, const char *command, const ProgramHeader *header)
{
    fprintf(out, "usage: %s VERB ...   (%s, compiled by segc %s)\n\n", command,
            program_text(header, header->name), program_text(header, header->version));
    for (int i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-9s %-35s %s\n", verbs[i].name, verbs[i].usage, verbs[i].summary);
    fprintf(out,
            "\n'%s VERB --help' lists a verb's options. Exit status: 0 done, 1 the input is at fault,\n"
            "2 the command line, 3 the machine, 4 segc.\n",
            command);
}

static const Verb *find_verb(const char *name)
{
    for (int i = 0; i < VERB_COUNT; i++) {
        if (!strcmp(verbs[i].name, name)) return &verbs[i];
    }
    return NULL;
}

static RtStatus unknown_verb(const char *command, const char *name, const ProgramHeader *header)
{
    const char *names[VERB_COUNT + 1] = {0};
    for (int i = 0; i < VERB_COUNT; i++) names[i] = verbs[i].name;
    const char *nearest = options_nearest(name, names);
    fprintf(stderr, "%s: error: unknown %s '%s'", command, name[0] == '-' ? "option" : "verb", name);
    if (nearest) fprintf(stderr, " (did you mean %s?)", nearest);
    fputs("\n\n", stderr);
    print_usage(stderr, command, header);
    return RT_USAGE;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
        if (is_help(argv[i])) return true;
    }
    return false;
}

static RtStatus run_verb(const Verb *verb, VerbCall *call)
{
    RtError err = {0};
    RtStatus status = verb->run(call, &err);
    if (!status && (fflush(stdout) || ferror(stdout)))
        status = rt_fail(&err, RT_MACHINE, "cannot write the output");
    if (status && *err.text) fprintf(stderr, "%s: error: %s\n", call->command, err.text);
    if (status == RT_USAGE) fprintf(stderr, "Try '%s %s --help'.\n", call->command, verb->name);
    if (verb_interrupted()) {
        fprintf(stderr, "%s: interrupted\n", call->command);
        raise(verb_interrupted()); /* so that the caller, a shell say, knows */
    }
    return status;
}

int segrt_main(int argc, char **argv, const Program *program)
{
    const char *command = argc ? argv[0] : program_text(program->header, program->header->name);
    if (argc < 2) {
        print_usage(stderr, command, program->header);
        return RT_USAGE;
    }
    if (is_help(argv[1]) || !strcmp(argv[1], "help")) {
        print_usage(stdout, command, program->header);
        return RT_OK;
    }
    const Verb *verb = find_verb(argv[1]);
    if (!verb) return unknown_verb(command, argv[1], program->header);
    VerbCall call = {
        .program = program,
        .command = command,
        .verb = verb->name,
        .usage = verb->usage,
        .summary = verb->summary,
        .argc = argc - 2,
        .argv = argv + 2,
        .help = asks_for_help(argc - 2, argv + 2),
    };
    return run_verb(verb, &call);
}
