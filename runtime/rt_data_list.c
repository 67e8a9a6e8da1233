/* Lists of pictures: see rt_data.h. The first line says how many names the others have. */
#define _GNU_SOURCE
#include "rt_data_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_MAX_BYTES = 8192 };

typedef struct List {
    const char *path, *root;
    bool no_labels;
    int names; /* on a line; 0: no line was read yet */
    DataSet *set;
    RtError *err;
} List;

/* Splits a line into its names, in place; returns how many there are. */
static int split_line(char *line, char **image, char **label)
{
    const char *blanks = strchr(line, '\t') ? "\t" : " ";
    char *rest;
    *image = strtok_r(line, blanks, &rest);
    *label = strtok_r(NULL, blanks, &rest);
    if (!*image || !*label) return *image != NULL;
    return strtok_r(NULL, blanks, &rest) ? 3 : 2;
}

static RtStatus bad_line(const List *list, int number)
{
    return rt_fail(list->err, RT_BAD_INPUT,
                   "%s:%d: expected %s; names that hold blanks are separated by a tab", list->path, number,
                   list->names == 2   ? "\"image label\", as in the lines before"
                   : list->names == 1 ? "an image alone, as in the lines before"
                                      : "\"image label\" or an image alone");
}

/* Cuts the end of the line off; returns what is left of a line that says something, else NULL. */
static char *trim(char *line)
{
    size_t length = strlen(line);
    while (length && strchr(" \t\r\n", line[length - 1])) line[--length] = 0;
    line += strspn(line, " ");
    return *line && *line != '#' ? line : NULL;
}

static RtStatus add_line(List *list, int number, char *line)
{
    char *image, *label;
    int names = split_line(line, &image, &label);
    if (names > 2 || names < 1 || (list->names && names != list->names)) return bad_line(list, number);
    list->names = names;
    image = data_join(list->root, image);
    label = names == 2 && !list->no_labels ? data_join(list->root, label) : rt_strdup("");
    const char *gone = image && !data_is_there(image)             ? image
                       : label && *label && !data_is_there(label) ? label
                                                                  : NULL;
    if (!gone) return data_add_pair(list->set, image, label, list->err);
    RtStatus status = data_add_missing(list->set, list->err, "%s:%d: no file %s", list->path, number, gone);
    rt_free(image);
    rt_free(label);
    return status;
}

static bool is_text(const char *line)
{
    for (; *line; line++)
        if ((unsigned char)*line < ' ' && !strchr("\t\r\n", *line)) return false;
    return true;
}

static RtStatus read_lines(List *list, FILE *file)
{
    char line[LINE_MAX_BYTES];
    RtStatus status = RT_OK;
    for (int number = 1; !status && fgets(line, sizeof line, file); number++) {
        if (strlen(line) == sizeof line - 1)
            return rt_fail(list->err, RT_BAD_INPUT,
                           "%s:%d: a line of %d bytes or more, or binary data: not a list", list->path,
                           number, LINE_MAX_BYTES - 1);
        if (!is_text(line))
            return rt_fail(list->err, RT_BAD_INPUT, "%s:%d: binary data: not a list", list->path, number);
        char *said = trim(line);
        if (said) status = add_line(list, number, said);
    }
    if (!status && ferror(file))
        return rt_fail(list->err, RT_MACHINE, "%s: cannot read: %s", list->path, strerror(errno));
    return status;
}

/* The folder of path, "" for the current one; NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return rt_strdup("");
    char *folder = rt_strdup(path);
    if (folder) folder[slash == path ? 1 : slash - path] = 0;
    return folder;
}

/* Whether the list would make sense one folder further up: then that is what the user needs to hear. */
static bool fits_above(const List *list)
{
    char line[LINE_MAX_BYTES], tried[2 * LINE_MAX_BYTES], *image, *label;
    FILE *file = fopen(list->path, "re");
    bool fits = false;
    while (file && fgets(line, sizeof line, file)) {
        char *said = trim(line);
        if (!said || !split_line(said, &image, &label)) continue;
        snprintf(tried, sizeof tried, "%s%s../%.8000s", list->root, *list->root ? "/" : "", image);
        fits = data_is_there(tried);
        break;
    }
    if (file) fclose(file);
    return fits;
}

static RtStatus no_pairs(const List *list, bool given)
{
    const DataSet *set = list->set;
    if (!set->missing_count) return rt_fail(list->err, RT_BAD_INPUT, "%s names no pictures", list->path);
    char hint[600] = "";
    if (!given && fits_above(list))
        snprintf(hint, sizeof hint, "; did you mean list:%.200s@%.200s%s.. ?", list->path, list->root,
                 *list->root ? "/" : "");
    return rt_fail(list->err, RT_BAD_INPUT,
                   "%s: none of its %zu pairs is there, relative to %s (first: %.200s)%s", list->path,
                   set->missing_count, *list->root ? list->root : "the current folder", set->missing[0],
                   hint);
}

static RtStatus open_list(const char *path, const char *root, bool no_labels, DataSet *set, RtError *err)
{
    struct stat info;
    if (!stat(path, &info) && S_ISDIR(info.st_mode))
        return rt_fail(err, RT_USAGE, "%s is a folder; for folders say images:DIR,labels:DIR", path);
    FILE *file = fopen(path, "re");
    if (!file) return rt_fail(err, RT_BAD_INPUT, "cannot open the list %s: %s", path, strerror(errno));
    char *folder = root ? rt_strdup(root) : folder_of(path);
    List list = {.path = path, .root = folder, .no_labels = no_labels, .set = set, .err = err};
    RtStatus status = folder ? read_lines(&list, file) : data_no_memory(err);
    fclose(file);
    if (folder && !status && !set->count) status = no_pairs(&list, root != NULL);
    set->labelled = list.names == 2 && !no_labels;
    rt_free(folder);
    return status;
}

RtStatus data_list_open(const char *spec, bool no_labels, DataSet *set, RtError *err)
{
    char *path = rt_strdup(spec);
    if (!path) return data_no_memory(err);
    const char *root = data_cut_at(path);
    RtStatus status = open_list(path, root, no_labels, set, err);
    rt_free(path);
    return status;
}
