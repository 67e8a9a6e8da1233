/* See rt_rand.h. The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", 2011); normal values come from it by Box and Muller's transform. Logarithm, sine and
 * cosine are computed here, from additions and multiplications only: the C library's differ between versions
 * and processors in the last bit, and with them every initial weight would. */
#include "rt_rand.h"

#include <math.h>
#include <stddef.h>

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

/* The natural logarithm of x in (0, 1]: x = m * 2^e with m near 1, log m = 2 atanh((m - 1) / (m + 1)). */
static double log_of(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
    for (int k = 19; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
    return 2 * s * sum + exponent * 0.69314718055994531;
}

/* Cosine and sine of turn * 2 pi, turn in [0, 1): Taylor's series within an eighth of a turn of an axis. */
static void circle_point(double turn, double *cosine, double *sine)
{
    int quarter = (int)(turn * 4 + 0.5);
    double a = (turn * 4 - quarter) * 1.5707963267948966, a2 = a * a;
    double c = 1, s = 1;
    for (int k = 14; k >= 2; k -= 2) {
        c = 1 - c * a2 / (k * (k - 1));
        s = 1 - s * a2 / (k * (k + 1));
    }
    s *= a;
    static const signed char turned[4][4] = {{1, 0, 0, 1}, {0, -1, 1, 0}, {-1, 0, 0, -1}, {0, 1, -1, 0}};
    const signed char *by = turned[quarter & 3];
    *cosine = by[0] * c + by[1] * s;
    *sine = by[2] * c + by[3] * s;
}

static double fraction(uint32_t word)
{
    return word * (1.0 / 4294967296.0);
}

static void normal_pair(uint32_t radius_word, uint32_t angle_word, double values[2])
{
    double radius = sqrt(-2 * log_of(fraction(radius_word) + 0.5 / 4294967296.0));
    circle_point(fraction(angle_word), &values[0], &values[1]);
    values[0] *= radius;
    values[1] *= radius;
}

void rand_normal(RandKey key, uint64_t first, uint64_t count, float std, float *values)
{
    for (uint64_t i = 0; i < count; i += RAND_GROUP) {
        RandBlock block = philox((first + i) / RAND_GROUP, key);
        double group[RAND_GROUP];
        normal_pair(block.word[0], block.word[1], group);
        normal_pair(block.word[2], block.word[3], group + 2);
        for (uint64_t k = 0; k < RAND_GROUP && i + k < count; k++) values[i + k] = (float)(group[k] * std);
    }
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
