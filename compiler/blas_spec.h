/* The baseline's convolution: what its function (codegen/blas_conv.c) has to know.
 *
 * With Target.blas every value is plain (NCHW), nothing is packed, and each conv2d and conv_transpose2d is a
 * step of its own that calls that function instead of machine code made for it. The spec reaches the function
 * as a constant table: plain numbers in elements, no pointers. The step's buffers: 0 in, 1 weight, 2 out,
 * 3 the spec, 4 the bias where there is one.
 *
 * Work unit u of n * groups * parts does part u % parts of group u / parts % groups of picture
 * u / parts / groups.
 * conv2d: a part is `size` output pixels: their inputs are gathered into a matrix of channels*kh*kw rows
 * (im2col), which the weights multiply. conv_transpose2d: a part is `size` filters: their weights multiply
 * the picture, and the products are added to where they belong (col2im).
 */
#ifndef BLAS_SPEC_H
#define BLAS_SPEC_H

#include "lower.h"

struct BlasSpec {
    int64_t transposed; /* 1: conv_transpose2d */
    int64_t n, groups;
    int64_t channels, filters; /* of one group */
    int64_t ih, iw, oh, ow;
    int64_t kh, kw;
    int64_t stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
    int64_t in_offset, in_n, weight_offset, out_offset, out_n, bias_offset;
    int64_t has_bias;
    int64_t parts, size;
};

enum { BLAS_IN, BLAS_WEIGHT, BLAS_OUT, BLAS_SPEC, BLAS_BIAS };

/* lower_blas.c: the step of a convolution. */
void lower_blas(StepList *list, const Fusion *fusion, const Group *group);
/* Whether im2col would only copy: a 1x1 kernel that takes every pixel. */
static inline bool blas_is_pointwise(const BlasSpec *s)
{
    return s->kh == 1 && s->kw == 1 && s->stride_y == 1 && s->stride_x == 1 && s->padding_y == 0 &&
           s->padding_x == 0;
}

/* The spec as a line of text, for the kernel's printed form. */
const char *blas_spec_text(Arena *arena, const BlasSpec *spec);

#endif
