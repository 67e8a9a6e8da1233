/* What the schedule has to know of the machine that a program is compiled for: numbers, no behaviour.
 *
 * codegen/cpu_target.c fills it from --cpu; everything in the compiler that depends on the machine takes it
 * from here, so that a vector width is a parameter, never a constant. Plain data.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Target {
    const char *name;       /* as asked for: "host", "x86-64-v3" */
    const char *features;   /* LLVM's feature string, "+avx2,+fma" */
    const char *required;   /* what the program checks at start, comma-separated: "avx2,fma" */
    int vector;             /* floats in a vector register */
    int registers;          /* vector registers */
    bool fma;               /* fused multiply-add in one instruction */
    bool broadcast_operand; /* an arithmetic instruction can splat a scalar from memory by itself */
    bool winograd; /* 3x3 convolutions by minimal filtering: less than half the work, up to twice the rounding
                      error */
    bool blas;     /* the baseline: plain values, convolutions by BLAS; see blas_spec.h */
    int64_t l1_bytes, l2_bytes; /* caches of one core */
} Target;

#endif
