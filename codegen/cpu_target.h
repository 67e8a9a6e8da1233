/* From --cpu to what the schedule and LLVM have to know of the machine.
 *
 * "host" reads CPUID of this machine: what it can do, not what it is called. Else a level of the x86-64 psABI
 * (x86-64, x86-64-v2, x86-64-v3, x86-64-v4) or a processor's name, which stands for its level.
 * ",+avx512f,-fma" after either adds and removes features.
 */
#ifndef CPU_TARGET_H
#define CPU_TARGET_H

#include "arena.h"
#include "target.h"

/* NULL with a sentence in *error (in the arena) when the name or a feature is not known. */
const Target *cpu_target(Arena *arena, const char *cpu, const char **error);

#endif
