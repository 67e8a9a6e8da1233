/* See cpu_machine.h. */
#include "cpu_machine.h"
#include "cpu_llvm.h"

#include <assert.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <stdio.h>
#include <stdlib.h>

LLVMTargetMachineRef machine_new(const Target *target, Arena *arena, const char **error)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    char *triple = LLVMGetDefaultTargetTriple(), *message = NULL;
    LLVMTargetRef llvm_target;
    LLVMTargetMachineRef machine = NULL;
    if (LLVMGetTargetFromTriple(triple, &llvm_target, &message)) {
        *error = arena_printf(arena, "LLVM has no code generator for %s: %s", triple, message);
        LLVMDisposeMessage(message);
    } else {
        machine = LLVMCreateTargetMachine(llvm_target, triple, "x86-64", target->features,
                                          LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
    }
    LLVMDisposeMessage(triple);
    return machine;
}

LLVMModuleRef machine_module(const Build *build, LLVMContextRef context, LLVMTargetMachineRef machine,
                             int first, int end)
{
    const StepList *list = build->plan->list;
    Emit *e = emit_new(build->arena, build->target, "segc", context);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMDisposeTargetData(layout);
    char *triple = LLVMGetTargetMachineTriple(machine);
    LLVMSetTarget(e->module, triple);
    LLVMDisposeMessage(triple);
    for (int i = first; i < end; i++)
        if (!list->kernels[i]->blas) emit_kernel(e, list->kernels[i]);
    LLVMDisposeBuilder(e->b);
    char *message = NULL;
    if (LLVMVerifyModule(e->module, LLVMReturnStatusAction, &message)) {
        fprintf(stderr, "segc: internal error: LLVM refuses the generated code: %s\n", message);
        abort();
    }
    LLVMDisposeMessage(message);
    return e->module;
}
