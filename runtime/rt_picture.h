/* Pictures into a session and class ids out of it: segrt_set_picture and segrt_get_classes of segrt.h, and
 * what they are made of. A session's rules hold: one thread at a time. */
#ifndef RT_PICTURE_H
#define RT_PICTURE_H

#include "program.h"
#include "rt_image.h"
#include "segrt.h"

enum { PICTURE_MAX_CLASSES = 256 }; /* ids are bytes */

/* RT_OK if the program turns pictures into at most PICTURE_MAX_CLASSES classes; else RT_USAGE with what is in
 * the way. */
RtStatus picture_check(const ProgramHeader *header, RtError *err);
/* How many classes there are; PICTURE_MAX_CLASSES when the program doesn't say. For checked programs. */
int picture_class_count(const ProgramHeader *header);
/* Colours of the classes; without a class list, colours that differ well. */
RtPalette picture_palette(const ProgramHeader *header);

/* What each byte of each channel of the input becomes: x = (v * scale - mean) / std. */
typedef struct PictureScale {
    float value[3][256]; /* by channel of the input and byte */
    int sample[3];       /* which of R, G, B the channel is */
} PictureScale;

PictureScale picture_scale(const ProgramPreprocess *preprocess);
/* Rows begin..end-1 of the planes of an RGB picture; rows are counted through all three, planes hold 3 *
 * height * width. */
void picture_planes(const PictureScale *scale, const RtImage *rgb, int64_t begin, int64_t end, float *planes);

/* Puts a picture at index of the batch: resized to the network's height and width by Pillow's antialiased
 * bilinear filter unless it has that size already, then x = (v * scale - mean) / std. The session must have
 * passed picture_check. */
RtStatus picture_set(SegrtSession *session, int64_t index, const RtImage *rgb, RtError *err);
/* The class ids of the picture at index, one channel, at the size at which the network gives them. Of scores
 * the greatest wins, the first among equals. */
RtStatus picture_classes(const SegrtSession *session, int64_t index, RtImage *classes, RtError *err);
/* The same resized to width x height by nearest neighbour. */
RtStatus picture_classes_at(const SegrtSession *session, int64_t index, int width, int height,
                            RtImage *classes, RtError *err);

#endif
