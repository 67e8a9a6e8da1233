/* See rt_rand.h. The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", 2011). */
#include "rt_rand.h"

typedef struct RandBlock {
    uint32_t word[RAND_GROUP];
} RandBlock;

static RandBlock philox_round(RandBlock counter, RandKey key)
{
    uint64_t low = 0xD2511F53ull * counter.word[0], high = 0xCD9E8D57ull * counter.word[2];
    return (RandBlock){{
        (uint32_t)(high >> 32) ^ counter.word[1] ^ key.word[0],
        (uint32_t)high,
        (uint32_t)(low >> 32) ^ counter.word[3] ^ key.word[1],
        (uint32_t)low,
    }};
}

static RandBlock philox(uint64_t counter, RandKey key)
{
    RandBlock block = {{(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0}};
    for (int round = 0; round < 10; round++) {
        block = philox_round(block, key);
        key.word[0] += 0x9E3779B9u;
        key.word[1] += 0xBB67AE85u;
    }
    return block;
}

/* splitmix64's finaliser: every bit of the result depends on every bit of x. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

RandKey rand_key(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3ull;
    uint64_t mixed = scramble(scramble(seed + 0x9e3779b97f4a7c15ull) ^ hash);
    return (RandKey){{(uint32_t)mixed, (uint32_t)(mixed >> 32)}};
}

void rand_uniform(RandKey key, uint64_t first, uint64_t count, float bound, float *values)
{
    for (uint64_t i = 0; i < count; i += RAND_GROUP) {
        RandBlock block = philox((first + i) / RAND_GROUP, key);
        /* 24 bits are what a float in [-1, 1) holds exactly. */
        for (uint64_t k = 0; k < RAND_GROUP && i + k < count; k++)
            values[i + k] = ((float)(block.word[k] >> 8) * 0x1p-23f - 1) * bound;
    }
}
