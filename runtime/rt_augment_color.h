/* The operations of rt_augment.h that change colours only, in place, and the numbers they draw. */
#ifndef RT_AUGMENT_COLOR_H
#define RT_AUGMENT_COLOR_H

#include "program.h"
#include "rt_image.h"
#include "rt_rand.h"

/* A sequence of random numbers that one operation draws for one sample. */
typedef struct AugmentChance {
    RandKey key;
    uint64_t next;
} AugmentChance;

/* The next number, in 0..1 (1 excluded); in least..most. */
float augment_unit(AugmentChance *chance);
float augment_between(AugmentChance *chance, float least, float most);

/* For three channels; value: as in ProgramAugment. */
void augment_jitter(RtImage *image, const float value[4], AugmentChance *chance);
RtStatus augment_blur(RtImage *image, const float value[4], AugmentChance *chance, RtError *err);

#endif
