/* Reading a verb's command line by a table of its options.
 *
 *     int64_t runs = 0;
 *     bool json = false;
 *     const Option options[] = {
 *         {"--runs", 0, OPTION_COUNT, &runs, "N", "how many runs to time", .minimum = 1},
 *         {"--json", 0, OPTION_FLAG, &json, NULL, "print JSON"},
 *         {0},
 *     };
 *     status = options_parse(options, &argc, argv, &err);
 *
 * Options may stand anywhere; "--name=value" and "--name value", "-oVALUE" and "-o VALUE" are the same; "--"
 * ends them. Texts point into argv. Nothing is allocated.
 */
#ifndef RT_OPTIONS_H
#define RT_OPTIONS_H

#include "rt_status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum OptionKind {
    /* value: const char *, "NAME=VALUE,..."; "" when the option stands alone. The next word is its value only
       if it begins with a NAME of letters and digits and a '='. */
    OPTION_SETTINGS,
    OPTION_FLAG,  /* value: bool, set to true */
    OPTION_COUNT, /* value: int64_t, whole, from minimum up */
    OPTION_TEXT,  /* value: const char *, not empty */
    OPTION_TEXTS, /* value: OptionTexts; may be given several times */
} OptionKind;

enum { OPTION_MOST_TEXTS = 32 };
typedef struct OptionTexts {
    int count;
    const char *items[OPTION_MOST_TEXTS];
} OptionTexts;

typedef struct Option {
    const char *name; /* with its dashes; NULL ends a table */
    char letter;      /* a short form, 0 for none */
    OptionKind kind;
    void *value;
    const char *argument; /* what the help calls the value */
    const char *help;
    int64_t minimum;
} Option;

/* Fills the values, and moves what is no option to the start of argv, argc being their number then. RT_USAGE
 * with a sentence that suggests the nearest name, when there is one. Values keep what they held before when
 * their option is absent. */
RtStatus options_parse(const Option *options, int *argc, char **argv, RtError *err);
/* One line per option. */
void options_print(const Option *options, FILE *out);
/* A name among those that differs from the given one by a slip or two; NULL if none does. names ends in
 * NULL. */
const char *options_nearest(const char *name, const char *const *names);
/* A whole number from minimum up; false for anything else. */
bool options_count(const char *text, int64_t minimum, int64_t *value);

#endif
