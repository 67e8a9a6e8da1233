/* Random numbers by counting: element i of a stream depends on the stream's key and i alone, so that any
 * number of threads, and any machine, makes the same bits. Pure functions; nothing can fail.
 *
 *     RandKey key = rand_key(seed, "layer1.0.conv1.weight");
 *     rand_uniform(key, 0, count, 0.1f, values);
 */
#ifndef RT_RAND_H
#define RT_RAND_H

#include <stdint.h>

typedef struct RandKey {
    uint32_t word[2];
} RandKey;

/* Elements are made in groups of this many: first must be a multiple of it. */
enum { RAND_GROUP = 4 };

/* The key of a named stream: equal for equal seed and name, unrelated otherwise. */
RandKey rand_key(uint64_t seed, const char *name);
/* Elements first..first+count-1 of the stream, uniform in [-bound, bound). */
void rand_uniform(RandKey key, uint64_t first, uint64_t count, float bound, float *values);

#endif
