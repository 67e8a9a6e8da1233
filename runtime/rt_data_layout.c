/* Data sets by their layout: see rt_data.h. A layout has two path patterns, of the image and of the label, in
 * which {city}, {name} and the like stand for what varies within a folder or file name, and {split} for what
 * the specification says. Folders are walked along the pattern; what matches gives the values of the words,
 * and these put into the other pattern give the counterpart. Both directions are walked, so that labels
 * without an image are noticed too. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include "rt_options.h"
#include "rt_program.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_WORDS = 8, MOST_NAMES = 32 };

/* ---- patterns --------------------------------------------------------------------------------------------
 */

/* What the words of a pattern stand for in one path; points into both. */
typedef struct Words {
    size_t count;
    struct {
        const char *word, *value;
        size_t word_length, value_length;
    } items[MOST_WORDS];
} Words;

static size_t find_word(const Words *words, const char *word, size_t length)
{
    size_t i = 0;
    while (i < words->count &&
           (words->items[i].word_length != length || memcmp(words->items[i].word, word, length)))
        i++;
    return i;
}

/* Whether path is what the pattern says; a word stands for as little as possible, never for a '/'. */
static bool matches(const char *pattern, const char *path, Words *words)
{
    while (*pattern && *pattern != '{') {
        if (*pattern++ != *path++) return false;
    }
    if (!*pattern) return !*path;
    size_t length = strcspn(pattern + 1, "}"), at = find_word(words, pattern + 1, length);
    const char *rest = pattern + length + 2;
    if (at < words->count) {
        size_t known = words->items[at].value_length;
        return !strncmp(path, words->items[at].value, known) && matches(rest, path + known, words);
    }
    if (at == MOST_WORDS) return false;
    for (size_t taken = 1; path[taken - 1] && path[taken - 1] != '/'; taken++) {
        words->items[at].word = pattern + 1;
        words->items[at].word_length = length;
        words->items[at].value = path;
        words->items[at].value_length = taken;
        words->count = at + 1;
        if (matches(rest, path + taken, words)) return true;
    }
    words->count = at;
    return false;
}

/* The pattern with what the words stand for in their place; NULL without memory, or where it knows none. */
static char *fill(const char *pattern, const Words *words)
{
    size_t size = strlen(pattern) + 1, used = 0;
    for (size_t i = 0; i < words->count; i++) size += MOST_WORDS * words->items[i].value_length;
    char *path = rt_alloc(size);
    while (path && *pattern && used < size) {
        size_t length = *pattern == '{' ? strcspn(pattern + 1, "}") : 0;
        size_t at = length ? find_word(words, pattern + 1, length) : words->count;
        if (at < words->count) {
            memcpy(path + used, words->items[at].value, words->items[at].value_length);
            used += words->items[at].value_length;
            pattern += length + 2;
        } else {
            path[used++] = *pattern++;
        }
    }
    return path;
}

/* The pattern with the split put in. */
static char *fill_split(const char *pattern, const char *split)
{
    Words words = {.count = split != NULL};
    if (split) {
        words.items[0].word = "split";
        words.items[0].word_length = 5;
        words.items[0].value = split;
        words.items[0].value_length = strlen(split);
    }
    return fill(pattern, &words);
}

/* ---- walking ---------------------------------------------------------------------------------------------
 */

typedef struct Walk {
    const char *pattern;
    char path[PATH_MAX]; /* root, '/', and the part of the pattern that was followed */
    size_t root;         /* length of "root/" */
    char **found;        /* paths below the root */
    size_t count, capacity;
    bool no_memory;
} Walk;

static void walk_free(Walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) rt_free(walk->found[i]);
    rt_free(walk->found);
    walk->found = NULL;
    walk->count = 0;
}

static void add_found(Walk *walk)
{
    struct stat info;
    void *found = walk->found;
    Words words = {0}; /* a word that stands in two folders' names means the same in both */
    if (!matches(walk->pattern, walk->path + walk->root, &words)) return;
    if (stat(walk->path, &info) || S_ISDIR(info.st_mode)) return;
    bool room = data_grow(&found, walk->count, &walk->capacity, sizeof *walk->found);
    walk->found = found;
    char *copy = room ? rt_strdup(walk->path + walk->root) : NULL;
    walk->no_memory |= !copy;
    if (copy) walk->found[walk->count++] = copy;
}

static void walk_from(Walk *walk, size_t length, const char *pattern);

/* Follows one name of a folder, whose path has that length. */
static void walk_into(Walk *walk, size_t length, const char *name, size_t name_length, const char *rest)
{
    if (length + name_length + 2 > sizeof walk->path) return;
    memcpy(walk->path + length, name, name_length);
    walk->path[length + name_length] = 0;
    if (!*rest) {
        add_found(walk);
        return;
    }
    walk->path[length + name_length] = '/';
    walk->path[length + name_length + 1] = 0;
    walk_from(walk, length + name_length + 1, rest);
}

/* pattern: what is left of it at the folder that walk->path names up to length. */
static void walk_from(Walk *walk, size_t length, const char *pattern)
{
    size_t part = strcspn(pattern, "/");
    const char *rest = pattern + part + (pattern[part] == '/');
    if (!memchr(pattern, '{', part)) {
        walk_into(walk, length, pattern, part, rest);
        return;
    }
    walk->path[length] = 0;
    DIR *dir = opendir(walk->path);
    if (!dir) return;
    char own[NAME_MAX + 1];
    if (part >= sizeof own) part = sizeof own - 1;
    memcpy(own, pattern, part);
    own[part] = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) && !walk->no_memory;) {
        Words words = {0};
        if (entry->d_name[0] != '.' && matches(own, entry->d_name, &words))
            walk_into(walk, length, entry->d_name, strlen(entry->d_name), rest);
    }
    closedir(dir);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All files of the pattern below root, sorted. */
static RtStatus walk_pattern(Walk *walk, const char *root, const char *pattern, RtError *err)
{
    *walk = (Walk){.pattern = pattern};
    int length = snprintf(walk->path, sizeof walk->path, "%s%s", root,
                          *root && root[strlen(root) - 1] == '/' ? "" : "/");
    if (length < 0 || (size_t)length >= sizeof walk->path)
        return rt_fail(err, RT_BAD_INPUT, "the path %.200s... is too long", root);
    walk->root = (size_t)length;
    walk_from(walk, walk->root, pattern);
    if (walk->no_memory) return data_no_memory(err);
    if (walk->count) qsort(walk->found, walk->count, sizeof *walk->found, by_text);
    return RT_OK;
}

/* ---- one layout ------------------------------------------------------------------------------------------
 */

/* A layout at its place. */
typedef struct Place {
    const ProgramDataSet *data;
    const char *root, *split; /* split NULL: not said */
    char *image, *label;      /* patterns with the split in them; label NULL: no labels are wanted */
    DataSet *set;
    RtError *err;
} Place;

/* The counterpart of a path of one pattern by the other, with the root before it; NULL without memory. */
static char *counterpart(const Place *place, const char *pattern, const char *path, const char *other)
{
    Words words = {0};
    if (!matches(pattern, path, &words)) return NULL;
    char *below = fill(other, &words);
    char *whole = below ? data_join(place->root, below) : NULL;
    rt_free(below);
    return whole;
}

static RtStatus add_image(const Place *place, const char *path)
{
    char *image = data_join(place->root, path);
    char *label = place->label ? counterpart(place, place->image, path, place->label) : rt_strdup("");
    if (!image || !label || !*label || data_is_there(label))
        return data_add_pair(place->set, image, label, place->err);
    RtStatus status = data_add_missing(place->set, place->err, "no label for %s: no file %s", image, label);
    rt_free(image);
    rt_free(label);
    return status;
}

static RtStatus note_label(const Place *place, const char *path)
{
    char *image = counterpart(place, place->label, path, place->image);
    if (!image) return data_no_memory(place->err);
    RtStatus status = RT_OK;
    if (!data_is_there(image))
        status = data_add_missing(place->set, place->err, "no image for %s/%s: no file %s", place->root, path,
                                  image);
    rt_free(image);
    return status;
}

static RtStatus add_pairs(const Place *place)
{
    Walk walk;
    RtStatus status = walk_pattern(&walk, place->root, place->image, place->err);
    for (size_t i = 0; i < walk.count && !status; i++) status = add_image(place, walk.found[i]);
    walk_free(&walk);
    if (status || !place->label) return status;
    status = walk_pattern(&walk, place->root, place->label, place->err);
    for (size_t i = 0; i < walk.count && !status; i++) status = note_label(place, walk.found[i]);
    walk_free(&walk);
    return status;
}

/* Forgets what another layout did not find. */
static void forget(DataSet *set)
{
    for (size_t i = 0; i < set->missing_count; i++) rt_free(set->missing[i]);
    set->missing_count = 0;
}

/* Adds the layout's pairs, if there are any. */
static RtStatus try_layout(Place *place, const ProgramLayout *layout, bool no_labels)
{
    const ProgramHeader *program = place->set->program;
    const char *image = program_text(program, layout->image), *label = program_text(program, layout->label);
    place->image = fill_split(image, place->split);
    place->label = no_labels ? NULL : fill_split(label, place->split);
    RtStatus status =
        place->image && (no_labels || place->label) ? add_pairs(place) : data_no_memory(place->err);
    rt_free(place->image);
    rt_free(place->label);
    if (status || !place->set->count) return status;
    const char *name = strstr(image, "{name}");
    place->set->ending = name ? name + strlen("{name}") : NULL;
    place->set->labelled = !no_labels;
    place->set->encoding =
        encoding_of(program, place->data,
                    &PROGRAM_ARRAY(program, ProgramEncoding, place->data->encodings)[layout->encoding]);
    place->set->of_rgb = (Encoding){0};
    return RT_OK;
}

/* ---- which layout ----------------------------------------------------------------------------------------
 */

static const ProgramLayout *layouts(const Place *place)
{
    return PROGRAM_ARRAY(place->set->program, ProgramLayout, place->data->layouts);
}

/* The folders that a pattern's {split} could stand for, "test, train", into text. */
static void list_splits(const Place *place, const char *pattern, char *text, size_t size)
{
    char folder[PATH_MAX], *names[MOST_NAMES];
    size_t count = 0, used = 0, before = (size_t)(strstr(pattern, "{split}") - pattern);
    snprintf(folder, sizeof folder, "%s/%.*s", place->root, (int)before, pattern);
    char *slash = strrchr(folder, '/'), **all = names;
    *slash = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && (entry = readdir(dir)) && count < MOST_NAMES;)
        if (entry->d_name[0] != '.' && (all[count] = rt_strdup(entry->d_name))) count++;
    if (dir) closedir(dir);
    if (count) qsort(names, count, sizeof *names, by_text);
    *text = 0;
    for (size_t i = 0; i < count; i++) {
        if (used < size) used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
        rt_free(names[i]);
    }
}

/* A split is said if the layout has one, and only then. */
static RtStatus check_split(const Place *place, const ProgramLayout *layout)
{
    const ProgramHeader *program = place->set->program;
    const char *image = program_text(program, layout->image),
               *name = program_text(program, place->data->name);
    bool wanted = strstr(image, "{split}");
    char splits[300];
    if (wanted == !!place->split) return RT_OK;
    if (!wanted)
        return rt_fail(place->err, RT_USAGE, "%s has no splits: say %s:%.200s", name, name, place->root);
    list_splits(place, image, splits, sizeof splits);
    return rt_fail(place->err, RT_USAGE, "%s is divided: say %s:%.200s@SPLIT%s%s", name, name, place->root,
                   *splits ? "; there are: " : "", splits);
}

static RtStatus nothing_there(const Place *place, const ProgramLayout *first)
{
    const ProgramHeader *program = place->set->program;
    const char *name = program_text(program, place->data->name), *image = program_text(program, first->image);
    char splits[300] = "";
    if (!data_is_there(place->root))
        return rt_fail(place->err, RT_BAD_INPUT, "no folder %s: %s", place->root, strerror(ENOENT));
    if (place->set->missing_count)
        return rt_fail(place->err, RT_BAD_INPUT, "%s: no image below %s has a label (first: %.300s)", name,
                       place->root, place->set->missing[0]);
    if (place->split) list_splits(place, image, splits, sizeof splits);
    char *wanted = fill_split(image, place->split);
    RtStatus status =
        rt_fail(place->err, RT_BAD_INPUT, "%s: no picture below %s; looked for %s%s%s", name, place->root,
                wanted ? wanted : image, *splits ? "; splits there: " : "", splits);
    rt_free(wanted);
    return status;
}

/* The one of that name, or the first of which there is something. */
static RtStatus open_layouts(Place *place, const char *wanted, bool no_labels)
{
    const ProgramHeader *program = place->set->program;
    const char *names[MOST_NAMES + 1] = {NULL};
    const ProgramLayout *tried = NULL;
    RtStatus status = RT_OK;
    for (uint32_t i = 0; i < place->data->layouts.count && !status && !place->set->count; i++) {
        const ProgramLayout *layout = &layouts(place)[i];
        if (i < MOST_NAMES) names[i] = program_text(program, layout->name);
        if (wanted && strcmp(program_text(program, layout->name), wanted)) continue;
        if (tried) forget(place->set);
        if (!tried) tried = layout;
        status = check_split(place, layout);
        if (!status) status = try_layout(place, layout, no_labels);
    }
    if (status || place->set->count) return status;
    const char *set_name = program_text(program, place->data->name);
    if (!place->data->layouts.count)
        return rt_fail(place->err, RT_USAGE, "%s declares no layouts: name its files by a list or folders",
                       set_name);
    if (tried) return nothing_there(place, tried);
    const char *near = options_nearest(wanted, names);
    return rt_fail(place->err, RT_USAGE, "%s has no layout '%.100s' (%s%s%s)", set_name, wanted,
                   near ? "did you mean '" : "the first is '", near ? near : names[0], near ? "'?" : "'");
}

static RtStatus no_such_set(const ProgramHeader *program, const char *name, RtError *err)
{
    char known[300] = "";
    size_t used = 0;
    for (uint32_t i = 0; program && i < program->data_sets.count && used < sizeof known; i++) {
        const ProgramDataSet *data = &PROGRAM_ARRAY(program, ProgramDataSet, program->data_sets)[i];
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 program_text(program, data->name));
    }
    return rt_fail(err, RT_USAGE,
                   "'%.100s' is no kind of data specification, and no data set that this program knows "
                   "(%s%s); expected list:, images:, builtin: or one of these",
                   name, *known ? "it knows " : "it knows none", known);
}

static const ProgramDataSet *find_set(const ProgramHeader *program, const char *name)
{
    for (uint32_t i = 0; program && i < program->data_sets.count; i++) {
        const ProgramDataSet *data = &PROGRAM_ARRAY(program, ProgramDataSet, program->data_sets)[i];
        if (!strcmp(program_text(program, data->name), name)) return data;
    }
    return NULL;
}

/* text: the specification, which is cut up. */
static RtStatus open_text(char *text, bool no_labels, DataSet *set, RtError *err)
{
    char *root = strchr(text, ':');
    *root++ = 0;
    char *layout = strchr(text, '.');
    if (layout) *layout++ = 0;
    Place place = {.data = find_set(set->program, text), .set = set, .err = err};
    if (!place.data) return no_such_set(set->program, text, err);
    place.split = data_cut_at(root);
    place.root = root;
    if (place.split && (!*place.split || strchr(place.split, '/')))
        return rt_fail(err, RT_USAGE, "'%.100s' is no name of a split", place.split);
    return open_layouts(&place, layout, no_labels);
}

RtStatus data_layout_open(const char *spec, bool no_labels, DataSet *set, RtError *err)
{
    char *text = rt_strdup(spec);
    if (!text) return data_no_memory(err);
    RtStatus status = open_text(text, no_labels, set, err);
    rt_free(text);
    return status;
}
