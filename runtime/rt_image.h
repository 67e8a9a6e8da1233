/* Pictures: reading PNG and JPEG, writing PNG, resizing, drawing, and finding the files to read.
 *
 * What a picture is. 8-bit samples, rows packed from top to bottom, R G B within a pixel (one sample when
 * channels is 1). The format is recognised by a file's content, never by its name. What is read is what
 * Pillow's open(path).convert("RGB") gives, because the networks were trained on that:
 *   - alpha and tRNS are dropped, not composited: the colour under a transparent pixel is used;
 *   - gamma, ICC profiles and background colours are ignored; an animated PNG gives its default image;
 *   - 1, 2 and 4-bit grey is stretched to 0..255, a palette is looked up (an index past its end is black);
 *   - CMYK and YCCK are taken as Adobe writes them (inverted), as every reader does.
 * Two differences: a JPEG is turned upright by its EXIF orientation (as ImageOps.exif_transpose does; PNG's
 * eXIf is ignored), and 16-bit samples are rounded, (v * 255 + 32895) >> 16, where Pillow takes the upper
 * byte of colours and cuts grey off at 255.
 *
 * Damage. A picture is read whole or not at all: a truncated file, a failed checksum, or anything the
 * decoders call corrupt is an error that names the file. Bytes after the end of the picture are no damage.
 * More than 65535 pixels on a side, or 2^28 in all, is refused.
 *
 * Ownership. Functions that fill an RtImage, RtLabels or RtImageList allocate what it points to; release it
 * with image_free, image_labels_free, image_list_free. On failure the result is left empty, and freeing it is
 * harmless.
 *
 * Errors. RT_BAD_INPUT: the file (missing, damaged, another format); RT_MACHINE: no memory, or the system
 * cannot read or write; RT_BUG: sizes that no caller should pass. Every function is thread safe.
 *
 *     RtImage image;
 *     if (image_read_rgb("street.jpg", &image, &err)) return err.status;
 *     ... image.pixels[(y * image.width + x) * 3] is the red of (x, y) ...
 *     image_free(&image);
 */
#ifndef RT_IMAGE_H
#define RT_IMAGE_H

#include "rt_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    IMAGE_MAX_SIDE = 65535,
    IMAGE_MAX_PIXELS = 1 << 28,
};

typedef struct RtImage {
    int width, height;     /* pixels */
    int channels;          /* 1: grey or class ids; 3: RGB */
    unsigned char *pixels; /* height * width * channels */
} RtImage;

/* Colours of class ids. All 256 entries are always there; those from count on belong to no class (usually
 * black). */
typedef struct RtPalette {
    int count;
    unsigned char rgb[256][3];
} RtPalette;

/* A label picture, as stored: nothing is scaled, looked up or converted, until an encoding does (see
 * rt_encoding.h), which then replaces what was stored by classes. */
typedef struct RtLabels {
    int width, height; /* pixels */
    uint16_t *ids;     /* height * width samples of a grey PNG, or indices of a palette PNG; NULL for RGB */
    unsigned char *colors;  /* height * width * 3 of an RGB PNG, for the caller to map to ids; else NULL */
    RtPalette palette;      /* of a palette PNG; else count is 0 */
    unsigned char *classes; /* height * width class ids and ignored ones, once mapped; else NULL */
    int64_t unknown;        /* pixels that became ignored because the encoding knows nothing of them */
    bool by_color;          /* mapped by their colours */
} RtLabels;

/* Files to read, in order, and what was passed over. */
typedef struct RtImageList {
    size_t count, skipped_count;
    char **paths;
    char **skipped; /* files of a named folder that are neither PNG nor JPEG */
} RtImageList;

/* Reading. The result of image_read_rgb always has three channels. */
RtStatus image_read_rgb(const char *path, RtImage *image, RtError *err);
/* The same from memory; name stands for the path in messages. */
RtStatus image_decode_rgb(const char *name, const void *data, size_t size, RtImage *image, RtError *err);
/* Labels come from PNG only; a JPEG is refused, since its compression changes ids. Alpha is dropped. */
RtStatus image_read_labels(const char *path, RtLabels *labels, RtError *err);
RtStatus image_decode_labels(const char *name, const void *data, size_t size, RtLabels *labels, RtError *err);

/* Writing. 8 bits; channels is 1 or 3; with a palette (channels 1 only) pixels are its indices. The file
 * appears under its name complete or not at all: it is written beside it, synchronised, and renamed. */
RtStatus image_write_png(const char *path, const unsigned char *pixels, int width, int height, int channels,
                         const RtPalette *palette, RtError *err);

/* A zeroed image of the given size; limits as in reading. */
RtStatus image_new(RtImage *image, int width, int height, int channels, RtError *err);
void image_free(RtImage *image);
void image_labels_free(RtLabels *labels);

/* Resizing to width x height. Bilinear is Pillow's (up to version 11), bit for bit: a triangle filter that
 * widens when shrinking, weights in 22-bit fixed point, horizontal before vertical. Nearest is Pillow's too;
 * for ids it is the only one. */
RtStatus image_resize_bilinear(const RtImage *from, int width, int height, RtImage *to, RtError *err);
RtStatus image_resize_nearest(const RtImage *from, int width, int height, RtImage *to, RtError *err);
RtStatus image_resize_labels(const RtLabels *from, int width, int height, RtLabels *to, RtError *err);
/* Plain bilinear between the four neighbours, half-pixel centres, no filter when shrinking: cv2.resize of a
 * float image, torch's interpolate without antialias. Writes channel c, range 0..255, to planes[c] (height *
 * width). */
RtStatus image_resize_planes(const RtImage *from, int width, int height, float *const planes[], RtError *err);

/* Drawing; classes is a one-channel picture of class ids. */
RtStatus image_draw_classes(const RtImage *classes, const RtPalette *palette, RtImage *rgb, RtError *err);
/* Half picture, half class colour; pixels of ids that are no class (palette count or more) show the picture
 * alone. */
RtStatus image_draw_overlay(const RtImage *image, const RtImage *classes, const RtPalette *palette,
                            RtImage *overlay, RtError *err);
/* RGB images of one size in rows of that many columns, 4 white pixels between neighbours; where the last row
 * has none, white. */
RtStatus image_draw_panel(const RtImage *const images[], size_t count, size_t columns, RtImage *panel,
                          RtError *err);

/* Finding files. Each argument is a file (taken whatever it holds, so that reading it can say what is wrong),
 * a folder (the PNG and JPEG files directly in it, by content; subfolders are not entered), or a glob(3)
 * pattern, whose matches are treated as if each had been named. A name that exists is never taken as a
 * pattern. Within an argument the order is bytewise; a path that appears again is dropped. An argument that
 * yields nothing is an error that names it. */
RtStatus image_list(const char *const arguments[], size_t count, RtImageList *list, RtError *err);
void image_list_free(RtImageList *list);

#endif
