/* See rt_verbs.h. */
#define _GNU_SOURCE
#include "rt_verbs.h"

#include "rt_cpu.h"
#include "rt_parameters.h"
#include "rt_program.h"

#include <signal.h>
#include <stdio.h>

RtStatus verb_options(VerbCall *call, const Option *options, RtError *err)
{
    if (!call->help) return options_parse(options, &call->argc, call->argv, err);
    printf("usage: %s %s %s\n%s\n\n", call->command, call->verb, call->usage, call->summary);
    options_print(options, stdout);
    return RT_OK;
}

void verb_explain_data(void)
{
    printf(
        "\nSPEC is one of\n"
        "  FILE, list:FILE          \"image label\" lines, relative to FILE's folder\n"
        "  list:FILE@ROOT           the same, relative to ROOT\n"
        "  images:DIR,labels:DIR    pictures and labels of the same base names\n"
        "  SET:DIR@SPLIT            a data set that the program knows: cityscapes:DIR@val\n"
        "  builtin:LOOK:COUNT       drawn streets, rendered or camera; then ,seed=S and ,size=HxW if wanted\n"
        "and, but for the last: ,encoding=NAME ,only=FILE ,count=N,seed=S\n");
}

RtStatus verb_no_operands(const VerbCall *call, RtError *err)
{
    if (!call->argc) return RT_OK;
    return rt_fail(err, RT_USAGE, "'%s' is not expected here", call->argv[0]);
}

static RtStatus load(const VerbCall *call, SegrtSession *session, const char *path, RtError *err)
{
    ParametersFound found;
    const WeightsMatch *match = &found.match;
    RtStatus status = parameters_load(session, path, 0, &found, err);
    if (!status && *match->warnings) fprintf(stderr, "%s: warning: %s\n", call->command, match->warnings);
    if (status && *match->errors) {
        fprintf(stderr, "%s: error: %s\n", call->command, match->errors);
        err->text[0] = 0;
    }
    return status;
}

RtStatus verb_open(const VerbCall *call, const VerbSession *wish, SegrtSession **session, RtError *err)
{
    if (wish->threads > CPU_MAX_THREADS)
        return rt_fail(err, RT_USAGE, "--threads %lld: at most %d", (long long)wish->threads,
                       CPU_MAX_THREADS);
    RtStatus status = segrt_open(call->program, (int)wish->threads, session, err);
    if (status) return status;
    if (wish->weights) {
        status = load(call, *session, wish->weights, err);
    } else {
        status = segrt_initialize(*session, (uint64_t)wish->seed, err);
        if (!status && !wish->random_is_fine)
            fprintf(stderr, "%s: warning: no --weights: weights are random (seed %lld)\n", call->command,
                    (long long)wish->seed);
    }
    if (!status) return RT_OK;
    segrt_close(*session);
    *session = NULL;
    return status;
}

RtStatus verb_crf(VerbCrf *crf, const ProgramHeader *header, RtError *err)
{
    if (!crf->text) return RT_OK;
    crf->settings = crf_defaults();
    RtStatus status = crf_parse(crf->text, &crf->settings, err);
    return status ? status : crf_check(header, err);
}

/* The one piece of global state: signals have no other way to reach us. */
static volatile sig_atomic_t interrupt;

static void on_interrupt(int signal_number)
{
    interrupt = signal_number;
}

void verb_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int verb_interrupted(void)
{
    return interrupt;
}

void verb_forget_interrupt(void)
{
    interrupt = 0;
}
