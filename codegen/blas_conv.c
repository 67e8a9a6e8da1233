/* See blas_conv.h. im2col and col2im as in Chellapilla, Puri and Simard 2006 and Caffe, a part at a time so
 * that every thread has a matrix of its own that stays in its caches, instead of one of the whole picture
 * that goes through memory. */
#include "blas_conv.h"
#include "blas_spec.h"

#include <cblas.h>
#include <string.h>

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The x of 0..count-1 for which x*stride + shift lies in 0..size-1: first..end-1. */
typedef struct Span {
    int64_t first, end;
} Span;

static Span inside(int64_t count, int64_t stride, int64_t shift, int64_t size)
{
    int64_t first = shift < 0 ? (-shift + stride - 1) / stride : 0;
    int64_t end = size - shift > 0 ? (size - shift - 1) / stride + 1 : 0;
    first = min64(first, count);
    return (Span){first, max64(first, min64(end, count))};
}

/* Pixels first..end-1 of one output row as one tap sees them, shift being where it finds pixel 0. from: the
 * input's row, NULL outside of the picture. */
static void gather_row(const BlasSpec *s, const float *from, int64_t shift, int64_t first, int64_t end,
                       float *to)
{
    if (!from) {
        memset(to, 0, sizeof *to * (size_t)(end - first));
        return;
    }
    Span valid = inside(s->ow, s->stride_x, shift, s->iw);
    int64_t lo = min64(max64(valid.first, first), end), hi = max64(lo, min64(valid.end, end));
    memset(to, 0, sizeof *to * (size_t)(lo - first));
    if (s->stride_x == 1)
        memcpy(to + (lo - first), from + lo + shift, sizeof *to * (size_t)(hi - lo));
    else
        for (int64_t x = lo; x < hi; x++) to[x - first] = from[x * s->stride_x + shift];
    memset(to + (hi - first), 0, sizeof *to * (size_t)(end - hi));
}

/* One row of the matrix: output pixels begin..end-1 as tap (ky, kx) of the plane sees them. */
static void gather_tap(const BlasSpec *s, const float *plane, int64_t ky, int64_t kx, int64_t begin,
                       int64_t end, float *to)
{
    int64_t shift = kx * s->dilation_x - s->padding_x;
    for (int64_t pixel = begin; pixel < end;) {
        int64_t y = pixel / s->ow, row = y * s->ow, stop = min64(row + s->ow, end);
        int64_t iy = y * s->stride_y + ky * s->dilation_y - s->padding_y;
        const float *from = iy >= 0 && iy < s->ih ? plane + iy * s->iw : NULL;
        gather_row(s, from, shift, pixel - row, stop - row, to);
        to += stop - pixel;
        pixel = stop;
    }
}

static void gather(const BlasSpec *s, const float *in, int64_t begin, int64_t end, float *matrix)
{
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t ky = 0; ky < s->kh; ky++)
            for (int64_t kx = 0; kx < s->kw; kx++) {
                gather_tap(s, in + c * s->ih * s->iw, ky, kx, begin, end, matrix);
                matrix += end - begin;
            }
}

/* The pointers of a unit's picture and group. bias is NULL where there is none. */
typedef struct Operands {
    const float *in, *weight, *bias;
    float *out;
} Operands;

static void fill(float *to, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++) to[i] = value;
}

static void convolve_part(const BlasSpec *s, const Operands *o, int64_t begin, int64_t end, float *matrix)
{
    int64_t depth = s->channels * s->kh * s->kw, area = s->oh * s->ow, pixels = end - begin;
    const float *right = o->in + begin;
    int64_t pitch = s->ih * s->iw;
    if (!blas_is_pointwise(s)) {
        gather(s, o->in, begin, end, matrix);
        right = matrix;
        pitch = pixels;
    }
    for (int64_t f = 0; o->bias && f < s->filters; f++) fill(o->out + f * area + begin, pixels, o->bias[f]);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->filters, (int)pixels, (int)depth, 1,
                o->weight, (int)depth, right, (int)pitch, o->bias ? 1 : 0, o->out + begin, (int)area);
}

/* Adds what one tap of one filter makes of every input pixel to the filter's plane. */
static void scatter_tap(const BlasSpec *s, const float *from, int64_t ky, int64_t kx, float *plane)
{
    int64_t shift_y = ky * s->dilation_y - s->padding_y, shift_x = kx * s->dilation_x - s->padding_x;
    Span rows = inside(s->ih, s->stride_y, shift_y, s->oh),
         columns = inside(s->iw, s->stride_x, shift_x, s->ow);
    for (int64_t y = rows.first; y < rows.end; y++) {
        float *to = plane + (y * s->stride_y + shift_y) * s->ow;
        for (int64_t x = columns.first; x < columns.end; x++)
            to[x * s->stride_x + shift_x] += from[y * s->iw + x];
    }
}

static void transpose_part(const BlasSpec *s, const Operands *o, int64_t begin, int64_t end, float *matrix)
{
    int64_t taps = s->kh * s->kw, pixels = s->ih * s->iw, pitch = s->filters * taps;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)((end - begin) * taps), (int)pixels,
                (int)s->channels, 1, o->weight + begin * taps, (int)pitch, o->in, (int)pixels, 0, matrix,
                (int)pixels);
    for (int64_t f = begin; f < end; f++) {
        float *plane = o->out + f * s->oh * s->ow;
        fill(plane, s->oh * s->ow, o->bias ? o->bias[f] : 0);
        for (int64_t tap = 0; tap < taps; tap++, matrix += pixels)
            scatter_tap(s, matrix, tap / s->kw, tap % s->kw, plane);
    }
}

static void run_unit(const BlasSpec *s, void *const *args, int64_t unit, float *matrix)
{
    int64_t part = unit % s->parts, group = unit / s->parts % s->groups, n = unit / s->parts / s->groups;
    int64_t weights = s->channels * s->filters * s->kh * s->kw;
    Operands o = {
        .in = (const float *)args[BLAS_IN] + s->in_offset + n * s->in_n + group * s->channels * s->ih * s->iw,
        .weight = (const float *)args[BLAS_WEIGHT] + s->weight_offset + group * weights,
        .out = (float *)args[BLAS_OUT] + s->out_offset + n * s->out_n + group * s->filters * s->oh * s->ow};
    if (s->has_bias) o.bias = (const float *)args[BLAS_BIAS] + s->bias_offset + group * s->filters;
    int64_t begin = part * s->size, end = min64(begin + s->size, s->transposed ? s->filters : s->oh * s->ow);
    (s->transposed ? transpose_part : convolve_part)(s, &o, begin, end, matrix);
}

static void blas_conv(void *const *args, int64_t begin, int64_t end, void *scratch)
{
    for (int64_t unit = begin; unit < end; unit++) run_unit(args[BLAS_SPEC], args, unit, scratch);
}

ProgramKernelFn *blas_conv_kernel(void)
{
    openblas_set_num_threads(1);
    return blas_conv;
}
