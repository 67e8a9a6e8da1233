/* See rt_cpu.h. CPUID is read directly: the compilers' own __builtin_cpu_supports know different sets of
 * names. */
#define _GNU_SOURCE
#include "rt_cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Registers that the operating system must save for a feature to be usable: bits of XCR0. */
enum { STATE_NONE = 0, STATE_YMM = 0x6, STATE_ZMM = 0xe6 };

/* name, leaf, subleaf, register (0..3: eax ebx ecx edx), bit, state */
#define CPU_FEATURES(X)                                                                                      \
    X("sse3", 1, 0, 2, 0, STATE_NONE)                                                                        \
    X("pclmul", 1, 0, 2, 1, STATE_NONE)                                                                      \
    X("ssse3", 1, 0, 2, 9, STATE_NONE)                                                                       \
    X("fma", 1, 0, 2, 12, STATE_YMM)                                                                         \
    X("cx16", 1, 0, 2, 13, STATE_NONE)                                                                       \
    X("sse4.1", 1, 0, 2, 19, STATE_NONE)                                                                     \
    X("sse4.2", 1, 0, 2, 20, STATE_NONE)                                                                     \
    X("movbe", 1, 0, 2, 22, STATE_NONE)                                                                      \
    X("popcnt", 1, 0, 2, 23, STATE_NONE)                                                                     \
    X("aes", 1, 0, 2, 25, STATE_NONE)                                                                        \
    X("xsave", 1, 0, 2, 26, STATE_NONE)                                                                      \
    X("avx", 1, 0, 2, 28, STATE_YMM)                                                                         \
    X("f16c", 1, 0, 2, 29, STATE_YMM)                                                                        \
    X("sse", 1, 0, 3, 25, STATE_NONE)                                                                        \
    X("sse2", 1, 0, 3, 26, STATE_NONE)                                                                       \
    X("bmi", 7, 0, 1, 3, STATE_NONE)                                                                         \
    X("avx2", 7, 0, 1, 5, STATE_YMM)                                                                         \
    X("bmi2", 7, 0, 1, 8, STATE_NONE)                                                                        \
    X("avx512f", 7, 0, 1, 16, STATE_ZMM)                                                                     \
    X("avx512dq", 7, 0, 1, 17, STATE_ZMM)                                                                    \
    X("adx", 7, 0, 1, 19, STATE_NONE)                                                                        \
    X("avx512ifma", 7, 0, 1, 21, STATE_ZMM)                                                                  \
    X("avx512cd", 7, 0, 1, 28, STATE_ZMM)                                                                    \
    X("avx512bw", 7, 0, 1, 30, STATE_ZMM)                                                                    \
    X("avx512vl", 7, 0, 1, 31, STATE_ZMM)                                                                    \
    X("avx512vbmi", 7, 0, 2, 1, STATE_ZMM)                                                                   \
    X("avx512vbmi2", 7, 0, 2, 6, STATE_ZMM)                                                                  \
    X("gfni", 7, 0, 2, 8, STATE_NONE)                                                                        \
    X("vaes", 7, 0, 2, 9, STATE_YMM)                                                                         \
    X("vpclmulqdq", 7, 0, 2, 10, STATE_YMM)                                                                  \
    X("avx512vnni", 7, 0, 2, 11, STATE_ZMM)                                                                  \
    X("avx512bitalg", 7, 0, 2, 12, STATE_ZMM)                                                                \
    X("avx512vpopcntdq", 7, 0, 2, 14, STATE_ZMM)                                                             \
    X("avx512fp16", 7, 0, 3, 23, STATE_ZMM)                                                                  \
    X("avxvnni", 7, 1, 0, 4, STATE_YMM)                                                                      \
    X("avx512bf16", 7, 1, 0, 5, STATE_ZMM)                                                                   \
    X("lzcnt", 0x80000001, 0, 2, 5, STATE_NONE)                                                              \
    X("sse4a", 0x80000001, 0, 2, 6, STATE_NONE)                                                              \
    X("prfchw", 0x80000001, 0, 2, 8, STATE_NONE)

typedef struct Feature {
    const char *name;
    unsigned leaf, subleaf, reg, bit, state;
} Feature;

static const Feature features_known[] = {
#define X(name, leaf, subleaf, reg, bit, state) {name, leaf, subleaf, reg, bit, state},
    CPU_FEATURES(X)
#undef X
};

#if defined(__x86_64__)
/* The register states that the operating system saves; 0 without XSAVE. */
static unsigned enabled_states(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool machine_has(const Feature *feature)
{
    unsigned regs[4];
    if (!__get_cpuid_count(feature->leaf, feature->subleaf, &regs[0], &regs[1], &regs[2], &regs[3]))
        return false;
    if (!(regs[feature->reg] >> feature->bit & 1)) return false;
    return (enabled_states() & feature->state) == feature->state;
}
#else
static bool machine_has(const Feature *feature)
{
    (void)feature;
    return false;
}
#endif

bool cpu_has(const char *feature)
{
    for (size_t i = 0; i < sizeof features_known / sizeof *features_known; i++) {
        if (!strcmp(features_known[i].name, feature)) return machine_has(&features_known[i]);
    }
    return false;
}

RtStatus cpu_check(const char *features, RtError *err)
{
    char lacking[200] = "";
    for (const char *at = features; *at;) {
        size_t length = strcspn(at, ",");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        size_t used = strlen(lacking);
        if (length && !cpu_has(name))
            snprintf(lacking + used, sizeof lacking - used, "%s%s", used ? ", " : "", name);
        at += length + (at[length] == ',');
    }
    if (!*lacking) return RT_OK;
    return rt_fail(err, RT_MACHINE,
                   "this program was built for %s, which this machine lacks; build it again with --cpu host "
                   "on this machine, or with --cpu x86-64 for any",
                   lacking);
}

int cpu_quota(const char *text)
{
    long long quota = 0, period = 0;
    if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return 0;
    long long processors = quota / period + (quota % period != 0);
    return processors < CPU_MAX_THREADS ? (int)processors : CPU_MAX_THREADS;
}

/* Reads the first line of DIR/NAME; false when there is none. */
static bool read_line(const char *folder, const char *name, char *line, int size)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(line, size, file) != NULL;
    fclose(file);
    return got;
}

/* The limit set in one cgroup folder, of either version; 0 if none. */
static int folder_quota(const char *folder)
{
    char line[64], period[32];
    if (read_line(folder, "cpu.max", line, sizeof line)) return cpu_quota(line);
    if (!read_line(folder, "cpu.cfs_quota_us", line, 32)) return 0;
    if (!read_line(folder, "cpu.cfs_period_us", period, sizeof period)) return 0;
    line[strcspn(line, "\n")] = 0;
    char both[100];
    snprintf(both, sizeof both, "%s %s", line, period);
    return cpu_quota(both);
}

/* The tightest limit from the group at root + path up to the root; 0 if none. */
static int tree_quota(const char *root, char *path)
{
    int tightest = 0;
    for (;;) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s%s", root, path);
        int quota = folder_quota(folder);
        if (quota && (!tightest || quota < tightest)) tightest = quota;
        char *last = strrchr(path, '/');
        if (!last) return tightest;
        *last = 0;
    }
}

/* /proc/self/cgroup has a line "ID:CONTROLLERS:PATH" per hierarchy; version 2 has no controllers. */
static int cgroup_quota(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file) return 0;
    int tightest = 0;
    char line[2048];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        bool unified = controllers[1] == 0;
        if (!unified && !strstr(controllers, "cpu")) continue;
        int quota = tree_quota(unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu", path);
        if (quota && (!tightest || quota < tightest)) tightest = quota;
    }
    fclose(file);
    return tightest;
}

int cpu_available(void)
{
    cpu_set_t mask;
    int count = 1;
    if (!sched_getaffinity(0, sizeof mask, &mask)) count = CPU_COUNT(&mask);
    int quota = cgroup_quota();
    if (quota && quota < count) count = quota;
    return count < 1 ? 1 : count > CPU_MAX_THREADS ? CPU_MAX_THREADS : count;
}

RtStatus cpu_threads(int requested, int *threads, RtError *err)
{
    const char *text = requested == 0 ? getenv("SEGRT_THREADS") : NULL;
    *threads = requested;
    if (text && *text) {
        char *end;
        long value = strtol(text, &end, 10);
        if (*end || value < 1 || value > CPU_MAX_THREADS)
            return rt_fail(err, RT_USAGE, "SEGRT_THREADS is \"%s\"; expected a number from 1 to %d", text,
                           CPU_MAX_THREADS);
        *threads = (int)value;
    } else if (requested == 0) {
        *threads = cpu_available();
    } else if (requested < 0 || requested > CPU_MAX_THREADS) {
        return rt_fail(err, RT_USAGE, "%d threads; expected a number from 1 to %d", requested,
                       CPU_MAX_THREADS);
    }
    return RT_OK;
}
