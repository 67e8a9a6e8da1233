/* What this machine's processor can do and how much of it this process may use.
 *
 * Features carry LLVM's names ("avx2", "fma", "avx512f", "sse4.1"), since those are what a program lists in
 * ProgramHeader.cpu_features. A feature counts only if the operating system saves its registers. Thread safe;
 * nothing is cached.
 *
 *     if (cpu_check("avx2,fma", &err)) return err.status;  // "this program was built for avx2, which ..."
 */
#ifndef RT_CPU_H
#define RT_CPU_H

#include "rt_status.h"

#include <stdbool.h>

enum { CPU_MAX_THREADS = 512 };

/* False too for a name that is not known. */
bool cpu_has(const char *feature);
/* RT_OK if the machine has all of the comma-separated features; else RT_MACHINE, naming those it lacks. */
RtStatus cpu_check(const char *features, RtError *err);

/* How many threads to use: requested if it is above 0, else the environment's SEGRT_THREADS, else
 * cpu_available(). RT_USAGE for a count that is no number from 1 to CPU_MAX_THREADS. */
RtStatus cpu_threads(int requested, int *threads, RtError *err);
/* Processors that the affinity mask and the cgroup's CPU limit leave us; at least 1. */
int cpu_available(void);
/* The processors that a cgroup limit amounts to, rounded up; 0 for "no limit" or text that is no limit. The
 * text is that of cpu.max: "150000 100000" is 2, "max 100000" is 0. */
int cpu_quota(const char *text);

/* A hint that we are waiting for another thread. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
