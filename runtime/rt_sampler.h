/* The order in which a stream's samples come: every epoch is a shuffle of the whole set, and samples are
 * numbered through all epochs, so that the number of samples already taken is all there is to remember. */
#ifndef RT_SAMPLER_H
#define RT_SAMPLER_H

#include <stdint.h>

/* The item (0..count-1) that is sample number `sample` of a stream: epoch sample / count shows each item
 * once, in an order of its own. A pure function: the same everywhere. count: 1..2^32. */
uint64_t sampler_item(uint64_t seed, const char *stream, uint64_t sample, uint64_t count);

#endif
