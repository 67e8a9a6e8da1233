/* See scratch_folder.h. */
#define _GNU_SOURCE
#include "scratch_folder.h"

#include "../../runtime/rt_image.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void scratch_open(ScratchFolder *scratch)
{
    *scratch = (ScratchFolder){.path = "/tmp/segc-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(scratch->path));
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void scratch_close(ScratchFolder *scratch)
{
    nftw(scratch->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(ScratchFolder *scratch, const char *name)
{
    char *joined = scratch->joined[scratch->next++ % 4];
    size_t used = strlen(scratch->path);
    memcpy(joined, scratch->path, used);
    snprintf(joined + used, sizeof scratch->joined[0] - used, "/%s", name);
    return joined;
}

static void make_parent(const char *path)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    mkdir(folder, 0777);
}

void scratch_write(ScratchFolder *scratch, const char *name, const char *text)
{
    const char *path = scratch_path(scratch, name);
    make_parent(path);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

void scratch_picture(ScratchFolder *scratch, const char *name, int width, int height, int channels, int value,
                     int first)
{
    const char *path = scratch_path(scratch, name);
    make_parent(path);
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    unsigned char *pixels = malloc(bytes);
    memset(pixels, value, bytes);
    pixels[0] = (unsigned char)first;
    RtError err = {0};
    ck_assert_msg(!image_write_png(path, pixels, width, height, channels, NULL, &err), "%s", err.text);
    free(pixels);
}

bool scratch_has(ScratchFolder *scratch, const char *name)
{
    return !access(scratch_path(scratch, name), F_OK);
}
