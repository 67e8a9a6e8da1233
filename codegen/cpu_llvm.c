/* The module, the kernel's frame, counted loops. See cpu_llvm.h. */
#include "cpu_llvm.h"
#include "cpu_conv.h"

#include <assert.h>
#include <string.h>

Emit *emit_new(Arena *arena, const Target *target, const char *name, LLVMContextRef context)
{
    Emit *e = ARENA_NEW(arena, Emit);
    *e = (Emit){.arena = arena, .target = target, .context = context, .lanes = 1};
    e->module = LLVMModuleCreateWithNameInContext(name, context);
    e->b = LLVMCreateBuilderInContext(context);
    e->f32 = LLVMFloatTypeInContext(context);
    e->i64 = LLVMInt64TypeInContext(context);
    e->i32 = LLVMInt32TypeInContext(context);
    e->i8 = LLVMInt8TypeInContext(context);
    e->i1 = LLVMInt1TypeInContext(context);
    e->ptr = LLVMPointerTypeInContext(context, 0);
    return e;
}

LLVMValueRef emit_int(Emit *e, int64_t value)
{
    return LLVMConstInt(e->i64, (unsigned long long)value, true);
}

LLVMValueRef emit_float(Emit *e, double value)
{
    return LLVMConstReal(e->f32, value);
}

LLVMTypeRef emit_vector_type(LLVMTypeRef element, int lanes)
{
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMValueRef emit_splat(Emit *e, LLVMValueRef scalar, int lanes)
{
    if (lanes == 1 || LLVMGetTypeKind(LLVMTypeOf(scalar)) == LLVMVectorTypeKind) return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    LLVMValueRef zero = LLVMConstInt(e->i32, 0, false);
    LLVMValueRef one = LLVMBuildInsertElement(e->b, LLVMGetPoison(type), scalar, zero, "");
    LLVMValueRef mask = LLVMConstNull(LLVMVectorType(e->i32, (unsigned)lanes));
    return LLVMBuildShuffleVector(e->b, one, LLVMGetPoison(type), mask, "");
}

LLVMValueRef emit_intrinsic(Emit *e, const char *name, LLVMTypeRef *types, int n_types, LLVMValueRef *args,
                            int n_args)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    assert(id);
    LLVMValueRef callee = LLVMGetIntrinsicDeclaration(e->module, id, types, (size_t)n_types);
    return LLVMBuildCall2(e->b, LLVMGlobalGetValueType(callee), callee, args, (unsigned)n_args, "");
}

LLVMValueRef emit_fma(Emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    if (!e->target->fma) return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, a, b, ""), c, "");
    LLVMTypeRef type = LLVMTypeOf(c);
    LLVMValueRef args[3] = {a, b, c};
    return emit_intrinsic(e, "llvm.fma", &type, 1, args, 3);
}

LLVMValueRef emit_scaled(Emit *e, LLVMValueRef value, int64_t factor)
{
    return LLVMBuildNSWMul(e->b, value, emit_int(e, factor), "");
}

LLVMValueRef emit_address(Emit *e, LLVMValueRef base, LLVMValueRef bytes)
{
    return LLVMBuildInBoundsGEP2(e->b, e->i8, base, &bytes, 1, "");
}

LLVMValueRef emit_offset(Emit *e, LLVMValueRef base, int64_t floats)
{
    return floats ? emit_address(e, base, emit_int(e, 4 * floats)) : base;
}

LLVMValueRef emit_table(Emit *e, const char *name, LLVMValueRef *values, int64_t count)
{
    LLVMValueRef table = LLVMAddGlobal(e->module, LLVMArrayType2(e->i64, (uint64_t)count), name);
    LLVMSetInitializer(table, LLVMConstArray2(e->i64, values, (uint64_t)count));
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMPrivateLinkage);
    return table;
}

EmitLoop emit_loop_begin(Emit *e, LLVMValueRef lo, LLVMValueRef hi, int64_t step, LLVMValueRef *init, int n,
                         bool checked)
{
    EmitLoop loop = {.n_phis = n, .hi = hi, .step = emit_int(e, step), .checked = checked};
    assert(n <= (int)(sizeof loop.phi / sizeof *loop.phi));
    loop.from = LLVMGetInsertBlock(e->b);
    loop.header = LLVMAppendBasicBlockInContext(e->context, e->function, "loop");
    loop.exit = LLVMAppendBasicBlockInContext(e->context, e->function, "done");
    if (checked)
        LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, ""), loop.header, loop.exit);
    else
        LLVMBuildBr(e->b, loop.header);
    LLVMPositionBuilderAtEnd(e->b, loop.header);
    loop.counter = LLVMBuildPhi(e->b, e->i64, "i");
    LLVMAddIncoming(loop.counter, &lo, &loop.from, 1);
    for (int i = 0; i < n; i++) {
        loop.phi[i] = LLVMBuildPhi(e->b, LLVMTypeOf(init[i]), "");
        LLVMAddIncoming(loop.phi[i], &init[i], &loop.from, 1);
    }
    return loop;
}

void emit_loop_end(Emit *e, EmitLoop *loop, LLVMValueRef *next, LLVMValueRef *out)
{
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->b);
    LLVMValueRef after = LLVMBuildNSWAdd(e->b, loop->counter, loop->step, "");
    LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntSLT, after, loop->hi, "");
    LLVMBuildCondBr(e->b, more, loop->header, loop->exit);
    LLVMAddIncoming(loop->counter, &after, &latch, 1);
    for (int i = 0; i < loop->n_phis; i++) LLVMAddIncoming(loop->phi[i], &next[i], &latch, 1);
    LLVMMoveBasicBlockAfter(loop->exit, latch);
    LLVMPositionBuilderAtEnd(e->b, loop->exit);
    for (int i = 0; i < loop->n_phis; i++) {
        out[i] = next[i];
        if (!loop->checked) continue;
        LLVMValueRef phi = LLVMBuildPhi(e->b, LLVMTypeOf(next[i]), "");
        LLVMValueRef init = LLVMGetIncomingValue(loop->phi[i], 0);
        LLVMAddIncoming(phi, &next[i], &latch, 1);
        LLVMAddIncoming(phi, &init, &loop->from, 1);
        out[i] = phi;
    }
}

static void add_attribute(Emit *e, const char *key, const char *value)
{
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(e->context, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(e->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static void add_enum_attribute(Emit *e, LLVMAttributeIndex index, const char *name)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(e->function, index, LLVMCreateEnumAttribute(e->context, kind, 0));
}

/* The function, its pointers loaded from the argument array. */
static void begin_function(Emit *e)
{
    LLVMTypeRef parameters[4] = {e->ptr, e->i64, e->i64, e->ptr};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), parameters, 4, false);
    e->function = LLVMAddFunction(e->module, e->kernel->name, type);
    LLVMSetVisibility(e->function, LLVMHiddenVisibility);
    add_attribute(e, "target-cpu", "x86-64");
    add_attribute(e, "target-features", e->target->features);
    add_attribute(e, "min-legal-vector-width", "512");
    add_enum_attribute(e, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->context, e->function, "entry"));
    for (int i = 0; i < e->kernel->n_buffers; i++) {
        LLVMValueRef slot = emit_address(e, LLVMGetParam(e->function, 0), emit_int(e, 8 * i));
        e->buffers[i] = LLVMBuildLoad2(e->b, e->ptr, slot, e->kernel->buffers[i].name);
    }
    e->scratch = LLVMGetParam(e->function, 3);
}

void emit_units(Emit *e); /* cpu_loops.c */

void emit_kernel(Emit *e, const Kernel *kernel)
{
    e->kernel = kernel;
    e->lanes = 1;
    e->vector_var = NULL;
    e->n_cache = 0;
    e->vars = ARENA_ARRAY(e->arena, Binding, kernel->n_vars);
    begin_function(e);
    if (kernel->conv && kernel->conv->winograd)
        emit_winograd_units(e);
    else if (kernel->conv)
        emit_conv_units(e);
    else if (kernel->filter)
        emit_filter_units(e);
    else
        emit_units(e);
    LLVMBuildRetVoid(e->b);
}
