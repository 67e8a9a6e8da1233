/* See rt_options.h. */
#include "rt_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NEAR_MAX = 40 }; /* longer names are not compared */

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, with a swap of neighbours as one step. */
static int distance(const char *a, const char *b)
{
    int rows = (int)strlen(a), columns = (int)strlen(b);
    if (rows > NEAR_MAX || columns > NEAR_MAX) return NEAR_MAX;
    int table[NEAR_MAX + 1][NEAR_MAX + 1];
    for (int i = 0; i <= rows; i++) {
        for (int j = 0; j <= columns; j++) {
            if (!i || !j) {
                table[i][j] = i + j;
                continue;
            }
            int change = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            table[i][j] = least(change, 1 + least(table[i - 1][j], table[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                table[i][j] = least(table[i][j], table[i - 2][j - 2] + 1);
        }
    }
    return table[rows][columns];
}

const char *options_nearest(const char *name, const char *const *names)
{
    const char *best = NULL;
    int limit = ((int)strlen(name) + 2) / 3 + 1;
    for (; *names; names++) {
        int steps = distance(name, *names);
        if (steps >= limit) continue;
        best = *names;
        limit = steps;
    }
    return best;
}

bool options_count(const char *text, int64_t minimum, int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno || number < minimum) return false;
    *value = number;
    return true;
}

static const Option *find(const Option *options, const char *name, size_t length)
{
    for (; options->name; options++) {
        if (strlen(options->name) == length && !strncmp(options->name, name, length)) return options;
        if (options->letter && length == 2 && name[0] == '-' && name[1] == options->letter) return options;
    }
    return NULL;
}

static RtStatus unknown(const Option *options, const char *name, RtError *err)
{
    const char *names[64];
    size_t count = 0;
    for (; options->name && count < 62; options++) names[count++] = options->name;
    names[count++] = "--help";
    names[count] = NULL;
    const char *nearest = options_nearest(name, names);
    if (!nearest) return rt_fail(err, RT_USAGE, "unknown option %s", name);
    return rt_fail(err, RT_USAGE, "unknown option %s (did you mean %s?)", name, nearest);
}

static RtStatus add_text(const Option *option, const char *text, RtError *err)
{
    OptionTexts *texts = option->value;
    if (texts->count == OPTION_MOST_TEXTS)
        return rt_fail(err, RT_USAGE, "%s: given more than %d times", option->name, OPTION_MOST_TEXTS);
    texts->items[texts->count++] = text;
    return RT_OK;
}

static RtStatus set_value(const Option *option, const char *text, RtError *err)
{
    if (option->kind == OPTION_TEXT || option->kind == OPTION_TEXTS) {
        if (!*text)
            return rt_fail(err, RT_USAGE, "%s needs a %s, not nothing", option->name, option->argument);
        if (option->kind == OPTION_TEXTS) return add_text(option, text, err);
        *(const char **)option->value = text;
        return RT_OK;
    }
    if (!options_count(text, option->minimum, option->value))
        return rt_fail(err, RT_USAGE, "%s %s: expected a whole number of at least %lld", option->name, text,
                       (long long)option->minimum);
    return RT_OK;
}

/* Whether text is "NAME=...". */
static bool is_setting(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
    return length && text[length] == '=';
}

/* Reads the option at argv[*at], and moves *at to its last word. */
static RtStatus take_option(const Option *options, int argc, char **argv, int *at, RtError *err)
{
    const char *word = argv[*at], *value = NULL;
    size_t length = strcspn(word, "=");
    if (word[1] != '-' && word[2]) length = 2;
    const Option *option = find(options, word, length);
    if (!option) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, word);
        return unknown(options, name, err);
    }
    if (word[length]) value = word + length + (word[length] == '=');
    if (option->kind == OPTION_FLAG) {
        if (value) return rt_fail(err, RT_USAGE, "%s takes no value", option->name);
        *(bool *)option->value = true;
        return RT_OK;
    }
    if (option->kind == OPTION_SETTINGS) {
        if (!value && *at + 1 < argc && is_setting(argv[*at + 1])) value = argv[++*at];
        *(const char **)option->value = value ? value : "";
        return RT_OK;
    }
    if (!value && *at + 1 >= argc)
        return rt_fail(err, RT_USAGE, "%s needs a %s", option->name, option->argument);
    return set_value(option, value ? value : argv[++*at], err);
}

RtStatus options_parse(const Option *options, int *argc, char **argv, RtError *err)
{
    int kept = 0, given = *argc;
    bool ended = false;
    for (int i = 0; i < given; i++) {
        if (!ended && !strcmp(argv[i], "--")) {
            ended = true;
        } else if (ended || argv[i][0] != '-' || !argv[i][1]) {
            argv[kept++] = argv[i];
        } else {
            RtStatus status = take_option(options, given, argv, &i, err);
            if (status) return status;
        }
    }
    *argc = kept;
    return RT_OK;
}

void options_print(const Option *options, FILE *out)
{
    for (; options->name; options++) {
        char left[64];
        int used = options->letter ? snprintf(left, sizeof left, "-%c, ", options->letter) : 0;
        snprintf(left + used, sizeof left - (size_t)used, "%s%s%s", options->name,
                 options->argument ? " " : "", options->argument ? options->argument : "");
        fprintf(out, "  %-20s %s\n", left, options->help);
    }
}
