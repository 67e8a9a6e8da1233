/* See rt_output.h. Names are made again and again, at a higher level for those that still clash, until none
 * does. */
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

/* The last level components of path, joined with '_', without "." and "..", and without the extension. At
 * levels beyond the components the extension is added, then the number. */
static void make_name(const char *path, size_t number, int level, char *name)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    if (!dot || dot == base) dot = base + strlen(base);
    const char *start = base;
    int parents = 0;
    while (parents < level && start > path) {
        for (start--; start > path && start[-1] != '/'; start--) continue;
        parents++;
    }
    char *to = name;
    for (const char *at = start; at < dot;) {
        size_t length = strcspn(at, "/");
        if (at + length > dot) length = (size_t)(dot - at);
        bool skipped =
            at < base && (!length || (*at == '.' && (length == 1 || (length == 2 && at[1] == '.'))));
        if (!skipped) {
            if (to != name) *to++ = '_';
            memcpy(to, at, length);
            to += length;
        }
        at += length + (at + length < dot);
    }
    if (level > parents && *dot) to += sprintf(to, "_%s", dot + 1);
    if (level > parents + 1) to += sprintf(to, "_%zu", number + 1);
    *to = 0;
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

/* Raises the level of every owner of a file that has another owner too; true if there was any. */
static bool raise_levels(Claim *claims, size_t count, int *levels, int round)
{
    bool clash = false;
    qsort(claims, count, sizeof *claims, by_file);
    for (size_t i = 0; i + 1 < count; i++) {
        const Claim *a = &claims[i], *b = &claims[i + 1];
        if (by_file(a, b) || a->owner == b->owner) continue;
        levels[a->owner] = levels[b->owner] = round + 1;
        clash = true;
    }
    return clash;
}

static RtStatus find_levels(OutputNames *names, const char *const *inputs, const char *const *suffixes,
                            size_t suffix_count, int *levels, Claim *claims, RtError *err)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (size_t i = 0; i < names->count; i++) {
            make_name(inputs[i], i, levels[i], names->names[i]);
            for (size_t s = 0; s < suffix_count; s++)
                claims[i * suffix_count + s] = (Claim){names->names[i], suffixes[s], i};
        }
        if (!raise_levels(claims, names->count * suffix_count, levels, round)) return RT_OK;
    }
    return rt_fail(err, RT_USAGE, "cannot find different names for the results of all %zu inputs",
                   names->count);
}

RtStatus output_names(const char *const *inputs, size_t count, const char *const *suffixes,
                      size_t suffix_count, OutputNames *names, RtError *err)
{
    *names = (OutputNames){.names = rt_alloc(count * sizeof *names->names)};
    int *levels = rt_alloc(count * sizeof *levels);
    Claim *claims = rt_alloc(count * suffix_count * sizeof *claims);
    RtStatus status = names->names && levels && claims ? RT_OK : no_memory(count, err);
    for (size_t i = 0; i < count && !status; i++) {
        names->names[i] = rt_alloc(strlen(inputs[i]) + NAME_ROOM);
        if (!names->names[i]) status = no_memory(count, err);
        names->count++;
    }
    if (!status) status = find_levels(names, inputs, suffixes, suffix_count, levels, claims, err);
    for (size_t i = 0; i < count && levels; i++) names->renamed += levels[i] > 0;
    rt_free(levels);
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
