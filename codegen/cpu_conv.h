/* The contraction template's micro-kernel for others that are made of products. Internal to codegen/cpu_*.c.
 */
#ifndef CPU_CONV_H
#define CPU_CONV_H

#include "cpu_llvm.h"

/* The bodies of template kernels: direct (cpu_conv.c), minimal filtering (cpu_winograd.c), gradients of
 * filters (cpu_filter.c). */
void emit_conv_units(Emit *e);
void emit_winograd_units(Emit *e);
void emit_filter_units(Emit *e);

/* The epilogue's value, once its variables are bound. */
LLVMValueRef emit_epilogue(Emit *e, const ConvSpec *spec);

/* One row of a product: spec (one chunk, no epilogue, 1x1) from in, with a tile's filters, to out. */
void emit_conv_product(Emit *e, const ConvSpec *spec, LLVMValueRef in, LLVMValueRef filters,
                       LLVMValueRef out);

#endif
