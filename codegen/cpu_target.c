/* See cpu_target.h. Features are a bit set; a target is derived from the set alone. */
#define _GNU_SOURCE
#include "cpu_target.h"
#include "diag.h"
#include "rt_cpu.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* LLVM's feature names in the order of the levels that bring them. Only what the generated code gains from.
 */
static const struct {
    const char *name;
    int level;
} features[] = {
    {"sse3", 2},     {"ssse3", 2},    {"sse4.1", 2},   {"sse4.2", 2},   {"popcnt", 2}, {"avx", 3},
    {"avx2", 3},     {"fma", 3},      {"bmi", 3},      {"bmi2", 3},     {"f16c", 3},   {"avx512f", 4},
    {"avx512cd", 4}, {"avx512bw", 4}, {"avx512dq", 4}, {"avx512vl", 4},
};
enum { N_FEATURES = sizeof features / sizeof *features };

static const struct {
    const char *name;
    int level;
} processors[] = {
    {"x86-64", 1},      {"x86-64-v2", 2},      {"x86-64-v3", 3},      {"x86-64-v4", 4}, {"nehalem", 2},
    {"sandybridge", 2}, {"haswell", 3},        {"broadwell", 3},      {"skylake", 3},   {"skylake-avx512", 4},
    {"cascadelake", 4}, {"icelake-server", 4}, {"sapphirerapids", 4}, {"alderlake", 3}, {"znver1", 3},
    {"znver2", 3},      {"znver3", 3},         {"znver4", 4},         {"znver5", 4},
};
enum { N_PROCESSORS = sizeof processors / sizeof *processors };

static int feature_index(const char *name, size_t length)
{
    for (int i = 0; i < N_FEATURES; i++)
        if (strlen(features[i].name) == length && !strncmp(features[i].name, name, length)) return i;
    return -1;
}

static unsigned bit(const char *name)
{
    return 1u << feature_index(name, strlen(name));
}

static bool base_features(Arena *arena, const char *name, unsigned *set, const char **error)
{
    *set = 0;
    if (!strcmp(name, "host")) {
        for (int i = 0; i < N_FEATURES; i++)
            if (cpu_has(features[i].name)) *set |= 1u << i;
        return true;
    }
    const char *known[N_PROCESSORS + 1] = {"host"};
    for (int p = 0; p < N_PROCESSORS; p++) {
        known[p + 1] = processors[p].name;
        if (strcmp(processors[p].name, name)) continue;
        for (int i = 0; i < N_FEATURES; i++)
            if (features[i].level <= processors[p].level) *set |= 1u << i;
        return true;
    }
    const char *near = diag_nearest(name, known, N_PROCESSORS + 1);
    *error =
        near ? arena_printf(arena, "unknown processor '%s' (did you mean '%s'?)", name, near)
             : arena_printf(arena, "unknown processor '%s'; use host, or a level such as x86-64-v3", name);
    return false;
}

/* "+f,-f,...": false for a feature that is not known. */
static bool adjust(Arena *arena, const char *list, unsigned *set, const char **error)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        int index = length > 1 ? feature_index(list + 1, length - 1) : -1;
        if ((*list != '+' && *list != '-') || index < 0) {
            *error = arena_printf(arena, "'%.*s' is no feature that can be added (+) or removed (-)",
                                  (int)length, list);
            return false;
        }
        if (*list == '+')
            *set |= 1u << index;
        else
            *set &= ~(1u << index);
        list += length + (list[length] == ',');
    }
    return true;
}

/* A set that the code generator can work with: no wide vectors without what they rest on. */
static unsigned consistent(unsigned set)
{
    unsigned wide = bit("avx512f") | bit("avx512bw") | bit("avx512dq") | bit("avx512vl") | bit("avx512cd");
    if (!(set & bit("avx"))) set &= ~(bit("avx2") | bit("fma") | bit("f16c"));
    if (!(set & bit("avx2")) || !(set & bit("fma")) || (set & wide) != wide) set &= ~wide;
    return set;
}

static int64_t cache_bytes(int name, int64_t otherwise)
{
    long bytes = sysconf(name);
    return bytes > 0 ? bytes : otherwise;
}

const Target *cpu_target(Arena *arena, const char *cpu, const char **error)
{
    const char *comma = strchr(cpu, ',');
    char *name = comma ? arena_strndup(arena, cpu, (size_t)(comma - cpu)) : arena_strdup(arena, cpu);
    unsigned set;
    if (!base_features(arena, name, &set, error)) return NULL;
    if (comma && !adjust(arena, comma + 1, &set, error)) return NULL;
    set = consistent(set);
    Text llvm = text_new(arena), required = text_new(arena);
    for (int i = 0; i < N_FEATURES; i++) {
        bool has = set & 1u << i;
        text_printf(&llvm, "%s%c%s", llvm.length ? "," : "", has ? '+' : '-', features[i].name);
        if (has) text_printf(&required, "%s%s", required.length ? "," : "", features[i].name);
    }
    bool avx512 = set & bit("avx512f"), avx = set & bit("avx");
    Target *target = ARENA_NEW(arena, Target);
    *target = (Target){.name = cpu,
                       .features = llvm.text,
                       .required = required.text,
                       .vector = avx512 ? 16
                                 : avx  ? 8
                                        : 4,
                       .registers = avx512 ? 32 : 16,
                       .fma = set & bit("fma"),
                       .broadcast_operand = avx512,
                       .winograd = true,
                       .l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32 << 10),
                       .l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512 << 10)};
    return target;
}
