/* See formula.h. Every operation is rounded to double on its own; compile without contraction of a*b+c. */
#include "formula.h"

#include <math.h>
#include <string.h>

static uint32_t fnv1a(const char *name)
{
    uint32_t hash = 0x811C9DC5u;
    for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x01000193u;
    return hash;
}

static double uniform(uint32_t seed, int64_t j)
{
    uint64_t z = ((uint64_t)seed << 32) + (uint64_t)j + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 40) / 8388608.0 - 1.0;
}

void formula_uniform(const char *name, int64_t count, float *values)
{
    uint32_t seed = fnv1a(name);
    for (int64_t j = 0; j < count; j++) values[j] = (float)uniform(seed, j);
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static double parameter_value(const char *name, int rank, double scale, double u)
{
    if (rank > 1) return u * scale;
    if (ends_in(name, "running_var")) return 1 + 0.5 * fabs(u);
    if (ends_in(name, "act.weight")) return 0.25 + 0.125 * u;
    if (ends_in(name, "weight")) return 1 + 0.125 * u;
    return 0.125 * u;
}

void formula_parameter(const char *name, Type type, float *values)
{
    uint32_t seed = fnv1a(name);
    int64_t count = type_elements(type);
    int64_t fan_in = type.rank > 1 ? count / type.dim[0] : 1;
    double scale = sqrt(4.5 / (double)fan_in);
    for (int64_t j = 0; j < count; j++)
        values[j] = (float)parameter_value(name, type.rank, scale, uniform(seed, j));
}
