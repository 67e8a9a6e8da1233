/* A program of somebody else's that uses a compiled network through segrt.h: prints the most frequent class
 * of a grey picture. Compiles as C and as C++; program.sh builds it both ways. */
#include "segrt.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 30, HEIGHT = 20 };

static int fail(const RtError *err)
{
    fprintf(stderr, "client: %s\n", err->text);
    return err->status;
}

static void print_most_frequent(const unsigned char *classes)
{
    int counts[256] = {0}, best = 0;
    for (int i = 0; i < WIDTH * HEIGHT; i++) counts[classes[i]]++;
    for (int c = 1; c < 256; c++) {
        if (counts[c] > counts[best]) best = c;
    }
    printf("class %d in %d of %d pixels\n", best, counts[best], WIDTH * HEIGHT);
}

int main(void)
{
    static unsigned char rgb[WIDTH * HEIGHT * 3], classes[WIDTH * HEIGHT];
    SegrtSession *session = NULL;
    RtError err;
    memset(rgb, 128, sizeof rgb);
    if (segrt_open(&segc_program, 2, &session, &err)) return fail(&err);
    RtStatus status = segrt_initialize(session, 1, &err);
    if (!status) status = segrt_set_picture(session, 0, rgb, WIDTH, HEIGHT, &err);
    if (!status) status = segrt_run(session, &err);
    if (!status) status = segrt_get_classes(session, 0, classes, WIDTH, HEIGHT, &err);
    segrt_close(session);
    if (status) return fail(&err);
    print_most_frequent(classes);
    return 0;
}
