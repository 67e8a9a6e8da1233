/* How a stream's pictures are varied for training: the key `augment` of a program.
 *
 *     augment: {source: [{horizontal_flip: {p: 0.5}}, {color_jitter: {brightness: 0.3}}]}
 *
 * What each operation does is said in runtime/rt_augment.h; here they are only read and checked. Everything
 * is in the arena. */
#ifndef MODEL_AUGMENT_H
#define MODEL_AUGMENT_H

typedef enum ModelAugmentKind {
    MODEL_AUGMENT_SIZE,
    MODEL_AUGMENT_SCALE,
    MODEL_AUGMENT_FLIP,
    MODEL_AUGMENT_ROTATION,
    MODEL_AUGMENT_JITTER,
    MODEL_AUGMENT_BLUR,
    MODEL_AUGMENT_CROP,
} ModelAugmentKind;

typedef struct ModelAugment {
    const char *stream; /* of the program's inputs */
    ModelAugmentKind kind;
    double p;        /* share of pictures that it is done to */
    double value[4]; /* as ProgramAugment has them */
} ModelAugment;

#endif
