/* libFuzzer target of the front end: any bytes as a file of the language, to a graph or to messages.
 *
 * `make fuzz` builds and runs it. Good seeds are graphs, tests/text/errors and tests/text/errors/used, with
 * -max_len=4000.
 *
 * Every message is printed too: quoting lines of odd bytes is where a diagnostic goes wrong.
 */
#define _GNU_SOURCE
#include "model.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The input as a file that never touches a disk: `use` and `extends` of its own path work too. */
static const char *as_file(const uint8_t *bytes, size_t size)
{
    static char path[64];
    static int file = -1;
    if (file < 0) {
        file = memfd_create("fuzz.yaml", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) || pwrite(file, bytes, size, 0) != (ssize_t)size) abort();
    return path;
}

/* One of the two forms that a program with players has. */
static void load(const uint8_t *bytes, size_t size, bool training)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    const char *dirs[] = {"graphs", "graphs/programs", NULL};
    ModelOptions options = {.height = 64, .width = 96, .graph_dirs = dirs, .training = training};
    const Model *model = model_load(arena, diag, as_file(bytes, size), &options);
    /* Either a model or a reason, and never both. */
    if (!model != diag_failed(diag)) abort();
    if (model && graph_fault(model->graph)) abort();
    if (strlen(diag_text(diag)) > 200000) abort();
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    load(bytes, size, false);
    load(bytes, size, true);
    return 0;
}
