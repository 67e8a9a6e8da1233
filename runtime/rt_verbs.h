/* The verbs of a program's command line, one file each (rt_verb_*.c), and what they share (rt_verbs.c).
 * These and rt_main.c are the only files of the runtime that print. Results go to stdout; progress, warnings
 * and errors to stderr. */
#ifndef RT_VERBS_H
#define RT_VERBS_H

#include "program.h"
#include "rt_crf.h"
#include "rt_options.h"
#include "segrt.h"

/* name, what follows it on the command line, what it does */
#define VERBS(X)                                                                                             \
    X(info, "[--json]", "what the program is and needs")                                                     \
    X(predict, "IMAGE... -o DIR [--weights FILE]", "segments pictures")                                      \
    X(eval, "--data SPEC --weights FILE", "compares predictions with labels: IoU per class")                 \
    X(train, "--data STREAM=SPEC... -o RUN", "trains it")                                                    \
    X(calibrate, "--data SPEC --weights FILE -o W", "new batch_norm statistics, without labels")             \
    X(report, "RUN... [--out DIR] [--data SPEC]", "training runs side by side: a page, a table")             \
    X(bench, "[--kernels] [--training]", "measures how fast it runs")

typedef struct VerbCall {
    const Program *program;
    const char *command; /* how the program was called, for messages */
    const char *verb, *usage, *summary;
    int argc; /* what follows the verb; after verb_options, what is no option */
    char **argv;
    bool help; /* asked for help: verb_options prints it, and nothing else is to be done */
} VerbCall;

/* A verb's function. RT_BAD_INPUT with an empty err->text: what is wrong was already printed. */
#define X(name, usage, summary) RtStatus verb_##name(VerbCall *call, RtError *err);
VERBS(X)
#undef X

/* Reads the options, or prints help. */
RtStatus verb_options(VerbCall *call, const Option *options, RtError *err);
/* What the SPEC of --data may be; for help. */
void verb_explain_data(void);
/* Refuses words that are no options, for verbs that take none. */
RtStatus verb_no_operands(const VerbCall *call, RtError *err);

/* The session that most verbs need, and its options. */
typedef struct VerbSession {
    const char *weights; /* NULL: initialised from seed, with a warning */
    int64_t seed, threads;
    bool random_is_fine; /* don't warn of weights that are not loaded */
} VerbSession;

#define VERB_SESSION_OPTIONS(wish)                                                                           \
    {"--weights", 0, OPTION_TEXT, &(wish).weights, "FILE", "weights: safetensors or PyTorch .pth", 0},       \
        {"--seed", 0, OPTION_COUNT, &(wish).seed, "S", "without weights: initialise from this seed (0)", 0}, \
    {                                                                                                        \
        "--threads", 0, OPTION_COUNT, &(wish).threads, "T",                                                  \
            "threads to use (SEGRT_THREADS, or all processors)", 1                                           \
    }

/* Opens it and sets its weights; on failure *session is NULL. */
RtStatus verb_open(const VerbCall *call, const VerbSession *wish, SegrtSession **session, RtError *err);

/* The post-processing that verbs which predict offer. */
typedef struct VerbCrf {
    const char *text; /* NULL: none */
    CrfSettings settings;
} VerbCrf;

#define VERB_CRF_OPTION(crf)                                                                                 \
    {                                                                                                        \
        "--crf", 0, OPTION_SETTINGS, &(crf).text, "[SETTINGS]",                                              \
            "move edges to the picture's by a CRF, see below", 0                                             \
    }
#define VERB_CRF_HELP                                                                                        \
    "--crf alone is --crf w1=4,xy=67,rgb=3,w2=3,gxy=3,iterations=10: weight and deviations (pixels, grey\n"  \
    "levels) of the bilateral kernel, weight and deviation of the spatial one; name those to change.\n"

/* Fills the settings, if there are any, and does crf_check. */
RtStatus verb_crf(VerbCrf *crf, const ProgramHeader *header, RtError *err);

/* From now on, an interrupt (SIGINT, SIGTERM) only sets a flag, so that no file stays half-written; a second
 * one ends the process as usual. rt_main.c ends the process by the same signal when the verb is done. */
void verb_catch_interrupts(void);
/* The signal that came; 0 for none. */
int verb_interrupted(void);
/* What had to be done about it is done: the process ends as if it had not come. */
void verb_forget_interrupt(void);

#endif
