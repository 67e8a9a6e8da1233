/* LLVM modules of a build and the machine that compiles them. Internal to codegen/cpu_*.c. */
#ifndef CPU_MACHINE_H
#define CPU_MACHINE_H

#include "build.h"
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

/* A target machine for this host's object format with the target's features; position independent. NULL with
 * *error. */
LLVMTargetMachineRef machine_new(const Target *target, Arena *arena, const char **error);

/* Kernels first..end-1 of the build as a verified module in context. The caller owns the module. */
LLVMModuleRef machine_module(const Build *build, LLVMContextRef context, LLVMTargetMachineRef machine,
                             int first, int end);

#endif
