/* Augmentation: what a program's `augment` says is done to a stream's pictures, and to their class ids alike,
 * each time before they are trained on; then both are brought to the program's size.
 *
 *   AUGMENT_SIZE, _SCALE   resized; Pillow's antialiased bilinear for pictures, nearest for ids, as
 * everywhere AUGMENT_FLIP           left and right change places AUGMENT_ROTATION       by an angle uniform
 * in +-degrees, about the middle, size kept; plain bilinear, ids nearest. What comes in from outside is the
 * border colour, and `ignored` for ids AUGMENT_JITTER         torchvision's ColorJitter: brightness,
 * contrast, saturation by factors uniform in [max(0, 1 - v), 1 + v], hue turned by a share of the circle
 * uniform in +-v, in random order, each rounded to 8 bits AUGMENT_BLUR           torchvision's GaussianBlur:
 * kernel x kernel, sigma uniform, mirrored at the edges AUGMENT_CROP           torchvision's
 * RandomResizedCrop: a part of a random share of the area and a random ratio of width to height (uniform in
 * its logarithm), brought to the program's size; after ten parts that don't fit, the largest in the middle
 * whose ratio is in range
 *
 * Chance is a pure function of the seed, the stream, the number of the sample and the operation's place in
 * the list: the same bits for any number and order of threads. Functions are thread safe and print nothing.
 *
 *     Augment augment = {.stream = "source", .seed = 1, .width = 1024, .height = 512, .ignored = 255};
 *     augment.operations = augment_of_stream(header, "source", &augment.count);
 *     if (augment_apply(&augment, 17, &image, &ids, &err)) return err.status;
 */
#ifndef RT_AUGMENT_H
#define RT_AUGMENT_H

#include "program.h"
#include "rt_image.h"

typedef struct Augment {
    const ProgramAugment *operations; /* count of them, in order */
    size_t count;
    const char *stream; /* its name, for chance */
    uint64_t seed;
    int width, height;       /* of what comes out */
    unsigned char border[3]; /* RGB of what is outside of a turned picture */
    unsigned char ignored;   /* class id of the same */
} Augment;

/* The operations of a stream of the program; NULL and 0: none. */
const ProgramAugment *augment_of_stream(const ProgramHeader *header, const char *stream, size_t *count);
/* The colour that becomes (nearly) 0 in the network's input, RGB. */
void augment_border(const ProgramPreprocess *preprocess, unsigned char rgb[3]);

/* Replaces image and ids (one channel, of the picture's size; pixels NULL: there are none) by what they
 * become as sample number `sample` of the stream. On failure both are still valid, in some state between, and
 * to be freed by the caller. RT_MACHINE without memory; RT_BAD_INPUT for a size that no image has. */
RtStatus augment_apply(const Augment *augment, uint64_t sample, RtImage *image, RtImage *ids, RtError *err);

#endif
