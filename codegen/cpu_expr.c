/* Expressions of the loop IR as LLVM values. Indices are split into a variable part, shared within a basic
 * block, and a constant that ends up in the instruction's displacement. */
#include "cpu_llvm.h"

#include <assert.h>
#include <math.h>

static bool is_vector(LLVMValueRef value)
{
    return value && LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind;
}

void emit_bind(Emit *e, const Var *var, LLVMValueRef value, int64_t addend)
{
    assert(var->id < e->kernel->n_vars);
    e->vars[var->id] = (Binding){value, addend};
    if (var->type == SCALAR_INT) e->n_cache = 0;
}

/* How x changes from lane to lane: 0, a constant, or STRIDE_VARIES. */
static int64_t lane_stride(const Emit *e, const Expr *x)
{
    if (e->lanes == 1) return 0;
    int64_t a, b;
    switch (x->kind) {
    case EXPR_INT:
    case EXPR_FLOAT: return 0;
    case EXPR_VAR:
        if (x->var == e->vector_var) return 1;
        return is_vector(e->vars[x->var->id].value) ? STRIDE_VARIES : 0;
    case EXPR_ADD:
    case EXPR_SUB:
        a = lane_stride(e, x->arg[0]);
        b = lane_stride(e, x->arg[1]);
        if (a == STRIDE_VARIES || b == STRIDE_VARIES) return STRIDE_VARIES;
        return x->kind == EXPR_ADD ? a + b : a - b;
    case EXPR_MUL:
        a = lane_stride(e, x->arg[0]);
        b = lane_stride(e, x->arg[1]);
        if (a == STRIDE_VARIES || b == STRIDE_VARIES) return STRIDE_VARIES;
        if (b == 0 && x->arg[1]->kind == EXPR_INT) return a * x->arg[1]->i;
        if (a == 0 && x->arg[0]->kind == EXPR_INT) return b * x->arg[0]->i;
        return a == 0 && b == 0 ? 0 : STRIDE_VARIES;
    default:
        for (int i = 0; i < 3; i++)
            if (x->arg[i] && lane_stride(e, x->arg[i]) != 0) return STRIDE_VARIES;
        return 0;
    }
}

/* The variable part of an index: a sum of factor * value. */
typedef struct Terms {
    int n;
    LLVMValueRef value[8];
    int64_t factor[8];
    int64_t constant;
} Terms;

static LLVMValueRef emit_int_value(Emit *e, const Expr *x);

static void add_term(Emit *e, Terms *t, LLVMValueRef value, int64_t factor)
{
    for (int i = 0; i < t->n; i++)
        if (t->value[i] == value) {
            t->factor[i] += factor;
            return;
        }
    if (t->n == 8) { /* rare: fold what there is into one */
        LLVMValueRef scaled = LLVMBuildNSWMul(e->b, value, emit_int(e, factor), "");
        LLVMValueRef last = LLVMBuildNSWMul(e->b, t->value[7], emit_int(e, t->factor[7]), "");
        t->value[7] = LLVMBuildNSWAdd(e->b, last, scaled, "");
        t->factor[7] = 1;
        return;
    }
    t->value[t->n] = value;
    t->factor[t->n++] = factor;
}

static void collect(Emit *e, const Expr *x, int64_t factor, Terms *t)
{
    const Binding *binding;
    switch (x->kind) {
    case EXPR_INT: t->constant += factor * x->i; return;
    case EXPR_VAR:
        binding = &e->vars[x->var->id];
        t->constant += factor * binding->addend;
        if (binding->value) add_term(e, t, binding->value, factor);
        return;
    case EXPR_ADD:
        collect(e, x->arg[0], factor, t);
        collect(e, x->arg[1], factor, t);
        return;
    case EXPR_SUB:
        collect(e, x->arg[0], factor, t);
        collect(e, x->arg[1], -factor, t);
        return;
    case EXPR_MUL:
        if (x->arg[1]->kind == EXPR_INT) {
            collect(e, x->arg[0], factor * x->arg[1]->i, t);
            return;
        }
        if (x->arg[0]->kind == EXPR_INT) {
            collect(e, x->arg[1], factor * x->arg[0]->i, t);
            return;
        }
        break;
    default: break;
    }
    add_term(e, t, emit_int_value(e, x), factor);
}

static LLVMValueRef sum_terms(Emit *e, const Terms *t)
{
    LLVMBasicBlockRef block = LLVMGetInsertBlock(e->b);
    if (e->cache_block != block) e->n_cache = 0;
    e->cache_block = block;
    for (int i = 0; i < e->n_cache; i++) {
        bool same = e->cache[i].n == t->n;
        for (int k = 0; same && k < t->n; k++)
            same = e->cache[i].value[k] == t->value[k] && e->cache[i].factor[k] == t->factor[k];
        if (same) return e->cache[i].sum;
    }
    LLVMValueRef sum = NULL;
    for (int k = 0; k < t->n; k++) {
        LLVMValueRef factor = emit_int(e, t->factor[k]);
        LLVMValueRef part = t->factor[k] == 1 ? t->value[k] : LLVMBuildNSWMul(e->b, t->value[k], factor, "");
        sum = sum ? LLVMBuildNSWAdd(e->b, sum, part, "") : part;
    }
    if (e->n_cache < MAX_CACHED) {
        int slot = e->n_cache++;
        e->cache[slot].n = t->n;
        for (int k = 0; k < t->n; k++) {
            e->cache[slot].value[k] = t->value[k];
            e->cache[slot].factor[k] = t->factor[k];
        }
        e->cache[slot].sum = sum;
    }
    return sum;
}

static LLVMValueRef lane_numbers(Emit *e)
{
    LLVMValueRef lane[64];
    for (int i = 0; i < e->lanes; i++) lane[i] = emit_int(e, i);
    return LLVMConstVector(lane, (unsigned)e->lanes);
}

/* An integer as a scalar (uniform) or a vector (varying). Affine integers of the vector variable become a
 * vector of lanes. */
static LLVMValueRef emit_int_value(Emit *e, const Expr *x)
{
    if (x->kind == EXPR_INT) return emit_int(e, x->i);
    if (x->kind == EXPR_VAR) {
        const Binding *binding = &e->vars[x->var->id];
        LLVMValueRef value = binding->value ? binding->value : emit_int(e, binding->addend);
        if (binding->value && binding->addend)
            value = LLVMBuildNSWAdd(
                e->b, value, emit_splat(e, emit_int(e, binding->addend), is_vector(value) ? e->lanes : 1),
                "");
        if (x->var == e->vector_var && e->lanes > 1)
            value = LLVMBuildNSWAdd(e->b, emit_splat(e, value, e->lanes), lane_numbers(e), "");
        return value;
    }
    return emit_expr(e, x);
}

LLVMValueRef emit_scalar_int(Emit *e, const Expr *x)
{
    assert(lane_stride(e, x) == 0);
    Terms t = {0};
    collect(e, x, 1, &t);
    if (!t.n) return emit_int(e, t.constant);
    LLVMValueRef sum = sum_terms(e, &t);
    return t.constant ? LLVMBuildNSWAdd(e->b, sum, emit_int(e, t.constant), "") : sum;
}

static int element_bytes(Dtype dtype)
{
    return dtype == U8 ? 1 : 4;
}

static LLVMTypeRef element_type(Emit *e, Dtype dtype)
{
    return dtype == F32 ? e->f32 : dtype == I32 ? e->i32 : e->i8;
}

/* Address of buffer[index] for an index that is uniform or advances by constant steps (then of lane 0). */
static LLVMValueRef address_of(Emit *e, int buffer, const Expr *index, LLVMValueRef guard)
{
    int bytes = element_bytes(e->kernel->buffers[buffer].dtype);
    Terms t = {0};
    collect(e, index, bytes, &t);
    LLVMValueRef base = e->buffers[buffer];
    if (guard) { /* nothing outside is touched: a false guard reads element 0 */
        LLVMValueRef offset = t.n ? sum_terms(e, &t) : emit_int(e, 0);
        offset = LLVMBuildNSWAdd(e->b, offset, emit_int(e, t.constant), "");
        return emit_address(e, base, LLVMBuildSelect(e->b, guard, offset, emit_int(e, 0), ""));
    }
    if (t.n) base = emit_address(e, base, sum_terms(e, &t));
    return t.constant ? emit_address(e, base, emit_int(e, t.constant)) : base;
}

/* Narrow integers are read as i64, the loop IR's integer. */
static LLVMValueRef widen(Emit *e, LLVMValueRef value, Dtype dtype)
{
    if (dtype == F32) return value;
    LLVMTypeRef wide = emit_vector_type(e->i64, is_vector(value) ? e->lanes : 1);
    return dtype == I32 ? LLVMBuildSExt(e->b, value, wide, "") : LLVMBuildZExt(e->b, value, wide, "");
}

static LLVMValueRef zero_like(LLVMValueRef value)
{
    return LLVMConstNull(LLVMTypeOf(value));
}

/* A vector of pointers for an index that varies arbitrarily or by steps other than 1. */
static LLVMValueRef addresses(Emit *e, int buffer, const Expr *index)
{
    LLVMValueRef offsets = emit_splat(e, emit_expr(e, index), e->lanes);
    LLVMTypeRef type = element_type(e, e->kernel->buffers[buffer].dtype);
    /* Half as wide, twice as many addresses per instruction. */
    if (e->kernel->buffers[buffer].elements <= INT32_MAX)
        offsets = LLVMBuildTrunc(e->b, offsets, emit_vector_type(e->i32, e->lanes), "");
    return LLVMBuildInBoundsGEP2(e->b, type, e->buffers[buffer], &offsets, 1, "");
}

static LLVMValueRef gather(Emit *e, int buffer, const Expr *index, LLVMValueRef guard)
{
    Dtype dtype = e->kernel->buffers[buffer].dtype;
    LLVMTypeRef type = emit_vector_type(element_type(e, dtype), e->lanes);
    LLVMValueRef pointers = addresses(e, buffer, index);
    LLVMTypeRef types[2] = {type, LLVMTypeOf(pointers)};
    LLVMTypeRef mask_type = emit_vector_type(e->i1, e->lanes);
    LLVMValueRef mask = guard ? emit_splat(e, guard, e->lanes) : LLVMConstAllOnes(mask_type);
    LLVMValueRef align = LLVMConstInt(e->i32, (unsigned)element_bytes(dtype), false);
    LLVMValueRef args[4] = {pointers, align, mask, LLVMConstNull(type)};
    return emit_intrinsic(e, "llvm.masked.gather", types, 2, args, 4);
}

static LLVMValueRef masked_load(Emit *e, int buffer, const Expr *index, LLVMValueRef mask)
{
    Dtype dtype = e->kernel->buffers[buffer].dtype;
    LLVMTypeRef types[2] = {emit_vector_type(element_type(e, dtype), e->lanes), e->ptr};
    LLVMValueRef align = LLVMConstInt(e->i32, (unsigned)element_bytes(dtype), false);
    LLVMValueRef args[4] = {address_of(e, buffer, index, NULL), align, mask, LLVMConstNull(types[0])};
    return emit_intrinsic(e, "llvm.masked.load", types, 2, args, 4);
}

static LLVMValueRef emit_load(Emit *e, const Expr *x)
{
    Dtype dtype = e->kernel->buffers[x->buffer].dtype;
    int64_t stride = lane_stride(e, x->arg[0]);
    LLVMValueRef guard = x->arg[1] ? emit_expr(e, x->arg[1]) : NULL, value;
    if (stride != 0 && stride != 1) return widen(e, gather(e, x->buffer, x->arg[0], guard), dtype);
    if (stride == 1 && is_vector(guard)) return widen(e, masked_load(e, x->buffer, x->arg[0], guard), dtype);
    bool varying_guard = is_vector(guard); /* of a uniform index: read it if any lane wants it */
    if (varying_guard) return widen(e, gather(e, x->buffer, x->arg[0], guard), dtype);
    LLVMTypeRef type = emit_vector_type(element_type(e, dtype), stride == 1 ? e->lanes : 1);
    value = LLVMBuildLoad2(e->b, type, address_of(e, x->buffer, x->arg[0], guard), "");
    LLVMSetAlignment(value, (unsigned)element_bytes(dtype));
    if (guard) value = LLVMBuildSelect(e->b, guard, value, zero_like(value), "");
    return widen(e, value, dtype);
}

static LLVMValueRef constant_like(Emit *e, LLVMValueRef like, double value)
{
    return emit_splat(e, emit_float(e, value), is_vector(like) ? e->lanes : 1);
}

static LLVMValueRef int_like(Emit *e, LLVMValueRef like, int64_t value)
{
    LLVMValueRef constant = LLVMConstInt(e->i32, (unsigned long long)value, true);
    return emit_splat(e, constant, is_vector(like) ? e->lanes : 1);
}

static LLVMValueRef clamp(Emit *e, LLVMValueRef x, double lo, double hi)
{
    LLVMValueRef low = constant_like(e, x, lo), high = constant_like(e, x, hi);
    x = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, x, low, ""), low, x, "");
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, x, high, ""), high, x, "");
}

/* exp(x) = 2^n * e^r with n = round(x / ln 2): the Taylor series of e^r to r^7 is within 2 ulp for |r| <=
 * ln(2)/2. Below -87.3, where the result would be subnormal, it is 0; NaN stays NaN. */
static LLVMValueRef emit_exp(Emit *e, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x), int_type = emit_vector_type(e->i32, is_vector(x) ? e->lanes : 1);
    LLVMValueRef tiny = LLVMBuildFCmp(e->b, LLVMRealOLT, x, constant_like(e, x, -87.33654), "");
    LLVMValueRef huge = LLVMBuildFCmp(e->b, LLVMRealOGT, x, constant_like(e, x, 88.72283), "");
    LLVMValueRef y = clamp(e, x, -87.33654, 88.72283);
    LLVMValueRef n = LLVMBuildFMul(e->b, y, constant_like(e, x, 1.4426950408889634), "");
    n = emit_intrinsic(e, "llvm.rint", &type, 1, &n, 1);
    LLVMValueRef r = emit_fma(e, n, constant_like(e, x, -0.693359375), y);
    r = emit_fma(e, n, constant_like(e, x, 2.12194440054690583e-4), r);
    static const double factorial[8] = {1, 1, 2, 6, 24, 120, 720, 5040};
    LLVMValueRef p = constant_like(e, x, 1 / factorial[7]);
    for (int i = 6; i >= 0; i--) p = emit_fma(e, p, r, constant_like(e, x, 1 / factorial[i]));
    /* 2^n in two factors: n may be 128 */
    LLVMValueRef whole = LLVMBuildFPToSI(e->b, n, int_type, "");
    LLVMValueRef half = LLVMBuildAShr(e->b, whole, int_like(e, x, 1), "");
    LLVMValueRef rest = LLVMBuildSub(e->b, whole, half, "");
    LLVMValueRef parts[2] = {half, rest};
    for (int i = 0; i < 2; i++) {
        LLVMValueRef bits = LLVMBuildAdd(e->b, parts[i], int_like(e, x, 127), "");
        bits = LLVMBuildShl(e->b, bits, int_like(e, x, 23), "");
        p = LLVMBuildFMul(e->b, p, LLVMBuildBitCast(e->b, bits, type, ""), "");
    }
    p = LLVMBuildSelect(e->b, tiny, LLVMConstNull(type), p, "");
    p = LLVMBuildSelect(e->b, huge, constant_like(e, x, INFINITY), p, "");
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""), x, p, "");
}

/* log(x) = k ln 2 + log(m), m in [sqrt(1/2), sqrt 2): with s = (m-1)/(m+1), log(m) = 2 atanh(s) by its series
 * to s^9, within 3 ulp. x <= 0 gives -infinity (0) or NaN; infinity and NaN stay. Subnormals are read as 0.
 */
static LLVMValueRef emit_log(Emit *e, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x), int_type = emit_vector_type(e->i32, is_vector(x) ? e->lanes : 1);
    LLVMValueRef bits = LLVMBuildBitCast(e->b, x, int_type, "");
    /* Shift the exponent's zero to sqrt(1/2), so that the quotient is the k wanted. */
    LLVMValueRef moved = LLVMBuildSub(e->b, bits, int_like(e, x, 0x3f3504f3), "");
    LLVMValueRef k = LLVMBuildAShr(e->b, moved, int_like(e, x, 23), "");
    LLVMValueRef mantissa = LLVMBuildSub(e->b, bits, LLVMBuildShl(e->b, k, int_like(e, x, 23), ""), "");
    LLVMValueRef m = LLVMBuildBitCast(e->b, mantissa, type, "");
    LLVMValueRef one = constant_like(e, x, 1);
    LLVMValueRef s =
        LLVMBuildFDiv(e->b, LLVMBuildFSub(e->b, m, one, ""), LLVMBuildFAdd(e->b, m, one, ""), "");
    LLVMValueRef z = LLVMBuildFMul(e->b, s, s, "");
    LLVMValueRef p = constant_like(e, x, 2.0 / 9);
    for (int i = 7; i >= 3; i -= 2) p = emit_fma(e, p, z, constant_like(e, x, 2.0 / i));
    p = emit_fma(e, LLVMBuildFMul(e->b, p, z, ""), s, LLVMBuildFMul(e->b, s, constant_like(e, x, 2), ""));
    LLVMValueRef scale = LLVMBuildSIToFP(e->b, k, type, "");
    p = emit_fma(e, scale, constant_like(e, x, -2.12194440054690583e-4), p);
    p = emit_fma(e, scale, constant_like(e, x, 0.693359375), p);
    LLVMValueRef zero = LLVMConstNull(type), smallest = constant_like(e, x, 0x1p-126);
    LLVMValueRef small = LLVMBuildFCmp(e->b, LLVMRealOLT, x, smallest, "");
    LLVMValueRef negative = LLVMBuildFCmp(e->b, LLVMRealOLT, x, zero, "");
    p = LLVMBuildSelect(e->b, small, constant_like(e, x, -INFINITY), p, "");
    p = LLVMBuildSelect(e->b, negative, constant_like(e, x, NAN), p, "");
    LLVMValueRef not_finite = LLVMBuildFCmp(e->b, LLVMRealUGT, x, constant_like(e, x, 0x1.fffffep127), "");
    return LLVMBuildSelect(e->b, not_finite, x, p, "");
}

/* a*b+c may become one rounding where the machine has it. */
static LLVMValueRef contractible(LLVMValueRef value)
{
    if (LLVMIsAInstruction(value)) LLVMSetFastMathFlags(value, LLVMFastMathAllowContract);
    return value;
}

static LLVMValueRef emit_compare(Emit *e, ExprKind kind, LLVMValueRef a, LLVMValueRef b, bool floats)
{
    LLVMRealPredicate real = kind == EXPR_LT   ? LLVMRealOLT
                             : kind == EXPR_LE ? LLVMRealOLE
                             : kind == EXPR_GT ? LLVMRealOGT
                                               : LLVMRealOEQ;
    LLVMIntPredicate integer = kind == EXPR_LT   ? LLVMIntSLT
                               : kind == EXPR_LE ? LLVMIntSLE
                               : kind == EXPR_GT ? LLVMIntSGT
                                                 : LLVMIntEQ;
    return floats ? LLVMBuildFCmp(e->b, real, a, b, "") : LLVMBuildICmp(e->b, integer, a, b, "");
}

static LLVMValueRef emit_binary(Emit *e, ExprKind kind, LLVMValueRef a, LLVMValueRef b, bool floats)
{
    switch (kind) {
    case EXPR_ADD:
        return floats ? contractible(LLVMBuildFAdd(e->b, a, b, "")) : LLVMBuildNSWAdd(e->b, a, b, "");
    case EXPR_SUB:
        return floats ? contractible(LLVMBuildFSub(e->b, a, b, "")) : LLVMBuildNSWSub(e->b, a, b, "");
    case EXPR_MUL:
        return floats ? contractible(LLVMBuildFMul(e->b, a, b, "")) : LLVMBuildNSWMul(e->b, a, b, "");
    case EXPR_DIV: return floats ? LLVMBuildFDiv(e->b, a, b, "") : LLVMBuildUDiv(e->b, a, b, "");
    case EXPR_MOD: return LLVMBuildURem(e->b, a, b, "");
    case EXPR_MIN: return LLVMBuildSelect(e->b, emit_compare(e, EXPR_LT, a, b, floats), a, b, "");
    case EXPR_MAX: return LLVMBuildSelect(e->b, emit_compare(e, EXPR_GT, a, b, floats), a, b, "");
    case EXPR_AND: return LLVMBuildAnd(e->b, a, b, "");
    default: return emit_compare(e, kind, a, b, floats);
    }
}

static LLVMValueRef emit_unary(Emit *e, const Expr *x, LLVMValueRef a)
{
    int lanes = is_vector(a) ? e->lanes : 1;
    LLVMTypeRef type = LLVMTypeOf(a);
    switch (x->kind) {
    case EXPR_NEG: return x->type == SCALAR_F32 ? LLVMBuildFNeg(e->b, a, "") : LLVMBuildNSWNeg(e->b, a, "");
    case EXPR_EXP: return emit_exp(e, a);
    case EXPR_LOG: return emit_log(e, a);
    case EXPR_SQRT: return emit_intrinsic(e, "llvm.sqrt", &type, 1, &a, 1);
    case EXPR_TO_FLOAT: return LLVMBuildSIToFP(e->b, a, emit_vector_type(e->f32, lanes), "");
    case EXPR_TO_INT: return LLVMBuildFPToSI(e->b, a, emit_vector_type(e->i64, lanes), "");
    default: assert(!"not a unary expression"); return NULL;
    }
}

LLVMValueRef emit_expr(Emit *e, const Expr *x)
{
    if (x->kind == EXPR_FLOAT) return emit_float(e, x->f);
    if (x->kind == EXPR_LOAD) return emit_load(e, x);
    if (x->kind == EXPR_VAR && x->type != SCALAR_INT) return e->vars[x->var->id].value;
    if (x->kind == EXPR_VAR || x->kind == EXPR_INT) return emit_int_value(e, x);
    bool sum = x->kind == EXPR_ADD || x->kind == EXPR_SUB;
    bool multiple = x->kind == EXPR_MUL && (x->arg[0]->kind == EXPR_INT || x->arg[1]->kind == EXPR_INT);
    if (x->type == SCALAR_INT && (sum || multiple) && lane_stride(e, x) == 0) return emit_scalar_int(e, x);
    LLVMValueRef arg[3];
    int n = 0, lanes = 1;
    for (; n < 3 && x->arg[n]; n++) {
        arg[n] = emit_expr(e, x->arg[n]);
        if (is_vector(arg[n])) lanes = e->lanes;
    }
    for (int i = 0; i < n; i++) {
        /* A select may keep a scalar condition. */
        if (x->kind == EXPR_SELECT && i == 0 && !is_vector(arg[0])) continue;
        arg[i] = emit_splat(e, arg[i], lanes);
    }
    if (x->kind == EXPR_SELECT) return LLVMBuildSelect(e->b, arg[0], arg[1], arg[2], "");
    if (x->kind == EXPR_FMA) return emit_fma(e, arg[0], arg[1], arg[2]);
    if (n == 1) return emit_unary(e, x, arg[0]);
    return emit_binary(e, x->kind, arg[0], arg[1], x->arg[0]->type == SCALAR_F32);
}

LLVMValueRef emit_expr_vector(Emit *e, const Expr *x)
{
    return emit_splat(e, emit_expr(e, x), e->lanes);
}

/* One element at a time, for destinations that are not side by side. */
static void scatter(Emit *e, int buffer, const Expr *index, LLVMValueRef value)
{
    LLVMValueRef pointers = addresses(e, buffer, index);
    for (int i = 0; i < e->lanes; i++) {
        LLVMValueRef lane = LLVMConstInt(e->i32, (unsigned)i, false);
        LLVMValueRef to = LLVMBuildExtractElement(e->b, pointers, lane, "");
        LLVMValueRef one = LLVMBuildExtractElement(e->b, value, lane, "");
        LLVMSetAlignment(LLVMBuildStore(e->b, one, to),
                         (unsigned)element_bytes(e->kernel->buffers[buffer].dtype));
    }
}

void emit_store_value(Emit *e, int buffer, const Expr *index, LLVMValueRef value)
{
    int64_t stride = lane_stride(e, index);
    value = emit_splat(e, value, e->lanes);
    if (e->lanes > 1 && stride != 1) {
        assert(stride != 0);
        scatter(e, buffer, index, value);
        return;
    }
    LLVMValueRef store = LLVMBuildStore(e->b, value, address_of(e, buffer, index, NULL));
    LLVMSetAlignment(store, (unsigned)element_bytes(e->kernel->buffers[buffer].dtype));
}

void emit_store(Emit *e, int buffer, const Expr *index, const Expr *value)
{
    Dtype dtype = e->kernel->buffers[buffer].dtype;
    LLVMTypeRef narrow = element_type(e, dtype);
    LLVMValueRef made;
    if (dtype != F32 && value->kind == EXPR_TO_INT) { /* straight from float, without the detour over i64 */
        LLVMValueRef from = emit_expr(e, value->arg[0]);
        int lanes = is_vector(from) ? e->lanes : 1;
        made = LLVMBuildFPToSI(e->b, from, emit_vector_type(e->i32, lanes), "");
        if (dtype == U8) made = LLVMBuildTrunc(e->b, made, emit_vector_type(narrow, lanes), "");
    } else {
        made = emit_expr(e, value);
        if (dtype != F32)
            made = LLVMBuildTrunc(e->b, made, emit_vector_type(narrow, is_vector(made) ? e->lanes : 1), "");
    }
    emit_store_value(e, buffer, index, made);
}
