/* See rt_sampler.h. The shuffle is a small block cipher: a Feistel network is a permutation of the 4^n
 * numbers below a power of four whatever its round function is; what it sends beyond count is sent on until
 * it comes back (cycle walking; Black and Rogaway 2002), three times at most on average. So no epoch needs a
 * table, and any sample can be looked up by itself. */
#include "rt_sampler.h"

#include "rt_rand.h"

#include <stdio.h>

enum { ROUNDS = 8 };

static uint32_t scrambled(uint32_t x)
{
    x = (x ^ x >> 16) * 0x21f0aaadu;
    x = (x ^ x >> 15) * 0x735a2d97u;
    return x ^ x >> 15;
}

static uint64_t permuted(uint64_t number, int half_bits, RandKey key)
{
    uint32_t mask = (uint32_t)((UINT64_C(1) << half_bits) - 1);
    uint32_t left = (uint32_t)(number >> half_bits) & mask, right = (uint32_t)number & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t mixed = scrambled(scrambled(right ^ key.word[0]) + key.word[1] + round * 0x9e3779b9u);
        uint32_t next = left ^ (mixed & mask);
        left = right;
        right = next;
    }
    return (uint64_t)left << half_bits | right;
}

uint64_t sampler_item(uint64_t seed, const char *stream, uint64_t sample, uint64_t count)
{
    char name[200];
    int half_bits = 2;
    while (half_bits < 16 && UINT64_C(1) << (2 * half_bits) < count) half_bits++;
    snprintf(name, sizeof name, "order of epoch %llu of %.120s", (unsigned long long)(sample / count),
             stream);
    RandKey key = rand_key(seed, name);
    uint64_t number = sample % count;
    do number = permuted(number, half_bits, key);
    while (number >= count);
    return number;
}
