/* What a file has against what a network wants; see weights_match in rt_weights.h. */
#define _GNU_SOURCE
#include "rt_weights_format.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LISTED = 20 /* tensors of a kind that are named */ };

typedef struct Matching {
    const WeightsFile *file;
    const WeightsWanted *wanted;
    size_t count;
    const size_t *found;      /* per wanted, the tensor of that name, whatever its shape */
    unsigned char *is_wanted; /* per tensor of the file */
    unsigned flags;
    WeightsMatch *match;
} Matching;

/* One line more; text is cut with "..." at its end. */
__attribute__((format(printf, 2, 3))) static void add_line(char text[sizeof((WeightsMatch *)0)->errors],
                                                           const char *format, ...)
{
    const size_t room = sizeof((WeightsMatch *)0)->errors;
    size_t used = strlen(text);
    if (used + 2 >= room) return;
    if (used) text[used++] = '\n';
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text + used, room - used, format, args);
    va_end(args);
    if ((size_t)length >= room - used) memcpy(text + room - 4, "...", 4);
}

static void add_rest(char *text, size_t count)
{
    if (count > LISTED) add_line(text, "  and %zu more", count - LISTED);
}

static bool same_shape(const WeightTensor *tensor, const WeightsWanted *wanted)
{
    if (tensor->rank != wanted->rank) return false;
    for (int i = 0; i < wanted->rank; i++) {
        if (tensor->dims[i] != wanted->dims[i]) return false;
    }
    return true;
}

static bool is_misshaped(const Matching *matching, size_t i)
{
    const size_t found = matching->found[i];
    return found != WEIGHTS_NONE && !same_shape(&matching->file->tensors[found], &matching->wanted[i]);
}

static bool is_missing(const Matching *matching, size_t i)
{
    return matching->found[i] == WEIGHTS_NONE && !matching->wanted[i].optional;
}

/* Counters of steps that PyTorch's batch_norm keeps and nothing uses. */
static bool is_step_counter(const char *name)
{
    static const char ending[] = "num_batches_tracked";
    const size_t length = strlen(name);
    return length >= sizeof ending - 1 && !strcmp(name + length - (sizeof ending - 1), ending);
}

static bool is_surplus(const Matching *matching, size_t i)
{
    const WeightTensor *tensor = &matching->file->tensors[i];
    return !matching->is_wanted[i] && !tensor->outside && !is_step_counter(tensor->name);
}

static void count_all(Matching *matching)
{
    WeightsMatch *match = matching->match;
    for (size_t i = 0; i < matching->count; i++) {
        const size_t found = matching->found[i];
        if (found != WEIGHTS_NONE) matching->is_wanted[found] = 1;
        match->missing += is_missing(matching, i);
        match->misshaped += is_misshaped(matching, i);
        match->taken += found != WEIGHTS_NONE && !is_misshaped(matching, i);
    }
    for (size_t i = 0; i < matching->file->count; i++) match->surplus += is_surplus(matching, i);
}

/* When no name fits, lists would say less than one example of each side. */
static void list_strangers(const Matching *matching, char *text)
{
    const char *name = matching->wanted[0].name;
    for (size_t i = matching->count; i-- > 0;) {
        if (!matching->wanted[i].optional) name = matching->wanted[i].name;
    }
    const WeightsFile *file = matching->file;
    add_line(
        text,
        "none of the network's %zu parameters is in the file: the network has names like %s, the file %s",
        matching->count, name, file->count ? file->tensors[0].name : "holds no tensors");
}

static void list_missing(const Matching *matching, char *text)
{
    const size_t count = matching->match->missing;
    size_t listed = 0;
    if (!count) return;
    if (!matching->match->taken && !matching->match->misshaped) {
        list_strangers(matching, text);
        return;
    }
    add_line(text, "%zu parameter%s of the network missing in the file:", count, count > 1 ? "s" : "");
    for (size_t i = 0; i < matching->count && listed < LISTED; i++) {
        if (!is_missing(matching, i)) continue;
        add_line(text, "  %s", matching->wanted[i].name);
        listed++;
    }
    add_rest(text, count);
}

/* Of those that are optional, or of the others. */
static void list_misshaped(const Matching *matching, bool optional, char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < matching->count; i++) {
        const WeightsWanted *wanted = &matching->wanted[i];
        if (wanted->optional != optional || !is_misshaped(matching, i)) continue;
        if (count++ == 0)
            add_line(text, "tensors of another shape than the network's%s:",
                     optional ? " (not taken, and nothing evaluates them)" : "");
        if (count > LISTED) continue;
        const WeightTensor *tensor = &matching->file->tensors[matching->found[i]];
        char has[WEIGHTS_SHAPE_TEXT], wants[WEIGHTS_SHAPE_TEXT];
        add_line(text, "  %s: the file has %s, the network wants %s", wanted->name,
                 weights_shape_text(tensor->dims, tensor->rank, has),
                 weights_shape_text(wanted->dims, wanted->rank, wants));
    }
    add_rest(text, count);
}

static void list_surplus(const Matching *matching, char *text)
{
    const size_t count = matching->match->surplus;
    size_t listed = 0;
    if (!count) return;
    add_line(text, "%zu tensor%s of the file that the network does not have:", count, count > 1 ? "s" : "");
    for (size_t i = 0; i < matching->file->count && listed < LISTED; i++) {
        if (!is_surplus(matching, i)) continue;
        add_line(text, "  %s", matching->file->tensors[i].name);
        listed++;
    }
    add_rest(text, count);
}

static bool has_errors(const Matching *matching)
{
    if (matching->match->missing && !(matching->flags & WEIGHTS_ALLOW_MISSING)) return true;
    if (matching->flags & WEIGHTS_ALLOW_MISSHAPED) return false;
    for (size_t i = 0; i < matching->count; i++) {
        if (!matching->wanted[i].optional && is_misshaped(matching, i)) return true;
    }
    return false;
}

static void report(const Matching *matching)
{
    WeightsMatch *match = matching->match;
    if (has_errors(matching)) add_line(match->errors, "%s: does not fit the network", matching->file->path);
    list_misshaped(matching, false,
                   matching->flags & WEIGHTS_ALLOW_MISSHAPED ? match->warnings : match->errors);
    list_missing(matching, matching->flags & WEIGHTS_ALLOW_MISSING ? match->warnings : match->errors);
    list_misshaped(matching, true, match->warnings);
    list_surplus(matching, match->warnings);
}

RtStatus weights_match(const WeightsFile *file, const WeightsWanted *wanted, size_t count, unsigned flags,
                       size_t *found, WeightsMatch *match, RtError *err)
{
    *match = (WeightsMatch){0};
    unsigned char *is_wanted = rt_alloc(file->count);
    if (!is_wanted) return rt_fail(err, RT_MACHINE, "%s: no memory to compare %zu names", file->path, count);
    for (size_t i = 0; i < count; i++) found[i] = weights_find(file, wanted[i].name);
    Matching matching = {file, wanted, count, found, is_wanted, flags, match};
    count_all(&matching);
    report(&matching);
    for (size_t i = 0; i < count; i++) {
        if (is_misshaped(&matching, i)) found[i] = WEIGHTS_NONE;
    }
    rt_free(is_wanted);
    return match->errors[0] ? rt_fail(err, RT_BAD_INPUT, "%s", match->errors) : RT_OK;
}
