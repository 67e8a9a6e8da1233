/* A folder for a test's files, which is made empty and disappears with everything in it.
 *
 *     ScratchFolder scratch;
 *     scratch_open(&scratch);
 *     scratch_write(&scratch, "lists/val.txt", "a.png b.png\n");
 *     ... scratch_path(&scratch, "lists/val.txt") ...
 *     scratch_close(&scratch);
 *
 * Whatever fails, fails the test. */
#ifndef SCRATCH_FOLDER_H
#define SCRATCH_FOLDER_H

#include <stdbool.h>

typedef struct ScratchFolder {
    char path[64];
    char joined[4][512]; /* the last four results of scratch_path */
    int next;
} ScratchFolder;

void scratch_open(ScratchFolder *scratch);
void scratch_close(ScratchFolder *scratch);
/* Valid until the fourth call after. */
const char *scratch_path(ScratchFolder *scratch, const char *name);
/* Makes a text file, and the folder it is in (one level). */
void scratch_write(ScratchFolder *scratch, const char *name, const char *text);
/* Makes a PNG: channels 1 or 3, every sample the given value but the first, which is first. */
void scratch_picture(ScratchFolder *scratch, const char *name, int width, int height, int channels, int value,
                     int first);
bool scratch_has(ScratchFolder *scratch, const char *name);

#endif
