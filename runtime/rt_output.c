/* See rt_output.h. Names are made again and again, longer ones for those that still clash, until none does.
 */
#define _GNU_SOURCE
#include "rt_output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ROUNDS_MAX = 100, /* deeper paths than this get no further */
    NAME_ROOM = 64,   /* bytes for a number, beyond the path's length */
};

static RtStatus no_memory(size_t count, RtError *err)
{
    return rt_fail(err, RT_MACHINE, "no memory for the names of %zu results", count);
}

/* What a name is made of beside the base name. */
typedef struct Naming {
    int folders; /* how many of the folders above go in front */
    bool extension, number;
    int round; /* the last in which it became longer, counted from 1 */
} Naming;

static bool is_plain(const Naming *naming)
{
    return !naming->round;
}

/* "." and ".." and nothing are no part of a name. */
static bool is_skipped(const char *folder, size_t length)
{
    return !length || (*folder == '.' && (length == 1 || (length == 2 && folder[1] == '.')));
}

/* Writes the name of the result number for path, its parts joined by '_'. */
static void make_name(const char *path, size_t number, const Naming *naming, char *name)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    if (!dot || dot == base) dot = base + strlen(base);
    const char *start = base;
    for (int i = 0; i < naming->folders && start > path; i++) {
        for (start--; start > path && start[-1] != '/'; start--) continue;
    }
    char *to = name;
    for (size_t length; start < base; start += length + 1) {
        length = strcspn(start, "/");
        if (is_skipped(start, length)) continue;
        to += sprintf(to, "%.*s_", (int)length, start);
    }
    to += sprintf(to, "%.*s", (int)(dot - base), base);
    if (naming->extension && *dot) to += sprintf(to, "_%s", dot + 1);
    if (naming->number) sprintf(to, "_%zu", number + 1);
}

/* A file that a result would be written to. */
typedef struct Claim {
    const char *name, *suffix;
    size_t owner;
} Claim;

/* Order of name and suffix as one text. */
static int by_file(const void *a, const void *b)
{
    const Claim *x = a, *y = b;
    const char *p = x->name, *q = y->name;
    bool p_suffix = false, q_suffix = false;
    for (;;) {
        if (!*p && !p_suffix) p = x->suffix, p_suffix = true;
        if (!*q && !q_suffix) q = y->suffix, q_suffix = true;
        if (*p != *q || !*p) return (unsigned char)*p - (unsigned char)*q;
        p++, q++;
    }
}

static bool same_folder(const char *a, const char *b)
{
    const char *p = strrchr(a, '/'), *q = strrchr(b, '/');
    size_t m = p ? (size_t)(p - a) : 0, n = q ? (size_t)(q - b) : 0;
    return m == n && !strncmp(a, b, m);
}

static int depth(const char *path)
{
    int slashes = 0;
    for (; *path; path++) slashes += *path == '/';
    return slashes;
}

/* The next longer name, once per round; folders help only between inputs of different ones. */
static void lengthen(Naming *naming, const char *path, const char *other, int round)
{
    if (naming->round == round) return;
    naming->round = round;
    if (!same_folder(path, other) && naming->folders < depth(path))
        naming->folders++;
    else if (!naming->extension)
        naming->extension = true;
    else
        naming->number = true;
}

/* Lengthens the name of every owner of a file that has another owner too; true if there was any. */
static bool resolve_clashes(Claim *claims, size_t count, const char *const *inputs, Naming *namings,
                            int round)
{
    bool clash = false;
    qsort(claims, count, sizeof *claims, by_file);
    for (size_t i = 0; i + 1 < count; i++) {
        size_t a = claims[i].owner, b = claims[i + 1].owner;
        if (a == b || by_file(&claims[i], &claims[i + 1])) continue;
        lengthen(&namings[a], inputs[a], inputs[b], round);
        lengthen(&namings[b], inputs[b], inputs[a], round);
        clash = true;
    }
    return clash;
}

static RtStatus find_names(OutputNames *names, const char *const *inputs, const char *const *suffixes,
                           size_t suffix_count, Naming *namings, Claim *claims, RtError *err)
{
    for (int round = 1; round <= ROUNDS_MAX; round++) {
        for (size_t i = 0; i < names->count; i++) {
            make_name(inputs[i], i, &namings[i], names->names[i]);
            for (size_t s = 0; s < suffix_count; s++)
                claims[i * suffix_count + s] = (Claim){names->names[i], suffixes[s], i};
        }
        if (!resolve_clashes(claims, names->count * suffix_count, inputs, namings, round)) return RT_OK;
    }
    return rt_fail(err, RT_USAGE, "cannot find different names for the results of all %zu inputs",
                   names->count);
}

RtStatus output_names(const char *const *inputs, size_t count, const char *const *suffixes,
                      size_t suffix_count, OutputNames *names, RtError *err)
{
    *names = (OutputNames){.names = rt_alloc(count * sizeof *names->names)};
    Naming *namings = rt_alloc(count * sizeof *namings);
    Claim *claims = rt_alloc(count * suffix_count * sizeof *claims);
    RtStatus status = names->names && namings && claims ? RT_OK : no_memory(count, err);
    for (size_t i = 0; i < count && !status; i++) {
        names->names[i] = rt_alloc(strlen(inputs[i]) + NAME_ROOM);
        if (!names->names[i]) status = no_memory(count, err);
        names->count++;
    }
    if (!status) status = find_names(names, inputs, suffixes, suffix_count, namings, claims, err);
    for (size_t i = 0; i < count && namings; i++) names->renamed += !is_plain(&namings[i]);
    rt_free(namings);
    rt_free(claims);
    return status;
}

void output_free(OutputNames *names)
{
    for (size_t i = 0; i < names->count; i++) rt_free(names->names[i]);
    rt_free(names->names);
    *names = (OutputNames){0};
}

char *output_path(const char *folder, const char *name, const char *suffix)
{
    size_t size = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    char *path = rt_alloc(size);
    if (path) snprintf(path, size, "%s/%s%s", folder, name, suffix);
    return path;
}

static RtStatus make_folder(const char *folder, RtError *err)
{
    struct stat info;
    if (!mkdir(folder, 0777)) return RT_OK;
    int failed = errno;
    if (failed == EEXIST && !stat(folder, &info) && S_ISDIR(info.st_mode)) return RT_OK;
    if (failed == EEXIST) return rt_fail(err, RT_BAD_INPUT, "%s is in the way: it is no folder", folder);
    bool machine = failed == ENOSPC || failed == EIO || failed == EDQUOT;
    return rt_fail(err, machine ? RT_MACHINE : RT_BAD_INPUT, "cannot make the folder %s: %s", folder,
                   strerror(failed));
}

RtStatus output_folder(const char *folder, RtError *err)
{
    char *path = rt_strdup(folder);
    if (!path) return rt_fail(err, RT_MACHINE, "no memory for the name of a folder");
    RtStatus status = RT_OK;
    for (char *slash = strchr(path + 1, '/'); slash && !status; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        status = make_folder(path, err);
        *slash = '/';
    }
    if (!status) status = make_folder(path, err);
    rt_free(path);
    return status;
}

/* What a file is, however it is reached. */
typedef struct Identity {
    dev_t device;
    ino_t inode;
} Identity;

static int by_identity(const void *a, const void *b)
{
    const Identity *x = a, *y = b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

static bool identify(const char *path, Identity *identity)
{
    struct stat info;
    if (stat(path, &info)) return false;
    *identity = (Identity){info.st_dev, info.st_ino};
    return true;
}

static RtStatus check_result(const char *folder, const char *name, const char *suffix, const Identity *known,
                             size_t count, RtError *err)
{
    char *path = output_path(folder, name, suffix);
    if (!path) return no_memory(count, err);
    Identity identity;
    RtStatus status = RT_OK;
    if (identify(path, &identity) && bsearch(&identity, known, count, sizeof *known, by_identity))
        status = rt_fail(err, RT_USAGE,
                         "%s is one of the inputs, and a result would replace it: choose another -o", path);
    rt_free(path);
    return status;
}

RtStatus output_check(const char *folder, const OutputNames *names, const char *const *inputs,
                      const char *const *suffixes, size_t suffix_count, RtError *err)
{
    Identity *known = rt_alloc(names->count * sizeof *known);
    if (!known) return no_memory(names->count, err);
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) count += identify(inputs[i], &known[count]);
    qsort(known, count, sizeof *known, by_identity);
    RtStatus status = RT_OK;
    for (size_t i = 0; i < names->count && !status; i++) {
        for (size_t s = 0; s < suffix_count && !status; s++)
            status = check_result(folder, names->names[i], suffixes[s], known, count, err);
    }
    rt_free(known);
    return status;
}
