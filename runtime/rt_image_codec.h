/* What rt_image.c and the decoders behind it share; users of pictures include rt_image.h alone.
 *
 * A decoder is handed the whole file in memory, so it never meets a read error, and a file that shrinks
 * meanwhile cannot hurt it. All state that must survive a longjmp out of libpng or libjpeg lives in a struct
 * of the caller's frame, and setjmp stands alone in a function that changes no local variable afterwards.
 */
#ifndef RT_IMAGE_CODEC_H
#define RT_IMAGE_CODEC_H

#include "rt_image.h"

typedef struct RtSource {
    const char *name; /* for messages: the path */
    const unsigned char *data;
    size_t size; /* bytes */
} RtSource;

typedef enum RtFormat { FORMAT_OTHER, FORMAT_PNG, FORMAT_JPEG } RtFormat;

/* The format by its first bytes; 8 are enough. */
RtFormat image_format(const unsigned char *start, size_t size);
/* Refuses a size that is zero or over the limits, with a sentence that starts with name. */
RtStatus image_check_size(const char *name, uint64_t width, uint64_t height, RtError *err);
/* image_new, whose messages start with name. */
RtStatus image_new_for(const char *name, RtImage *image, int width, int height, int channels, RtError *err);
/* RT_MACHINE for "out of memory" with the size that was wanted. */
RtStatus image_no_memory(const char *name, size_t size, RtError *err);
/* RT_BAD_INPUT or RT_MACHINE, by errno's value number: "NAME: cannot VERB: strerror". */
RtStatus image_fail_errno(const char *name, const char *verb, int number, RtError *err);

RtStatus rt_png_read_rgb(const RtSource *source, RtImage *image, RtError *err);
RtStatus rt_png_read_labels(const RtSource *source, RtLabels *labels, RtError *err);
RtStatus rt_jpeg_read_rgb(const RtSource *source, RtImage *image, RtError *err);

/* An encoded picture in one rt_alloc block of capacity bytes, size of them used. */
typedef struct RtEncoded {
    unsigned char *data;
    size_t size, capacity;
} RtEncoded;

/* name is used in messages only. On failure encoded is empty. */
RtStatus rt_png_encode(const char *name, const RtImage *image, const RtPalette *palette, RtEncoded *encoded,
                       RtError *err);

#endif
