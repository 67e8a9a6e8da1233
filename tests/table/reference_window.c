/* Windows: torch.nn.functional.max_pool2d, avg_pool2d and interpolate. */
#include "reference.h"

#include <math.h>
#include <string.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The stride defaults to the kernel. */
static int64_t stride_of(const Node *node, int axis)
{
    return node_attr(node, node_has(node, A_STRIDE) ? A_STRIDE : A_KERNEL)->i[axis];
}

/* ---- pools --------------------------------------------------------------------------------------- */

static double window_max(const Node *node, const double *plane, Type in, int64_t y, int64_t x)
{
    double most = -INFINITY;
    int64_t top = y * stride_of(node, 0) - node_rows(node, A_PADDING);
    int64_t left = x * stride_of(node, 1) - node_columns(node, A_PADDING);
    for (int64_t ky = 0; ky < node_rows(node, A_KERNEL); ky++) {
        for (int64_t kx = 0; kx < node_columns(node, A_KERNEL); kx++) {
            int64_t iy = top + ky * node_rows(node, A_DILATION),
                    ix = left + kx * node_columns(node, A_DILATION);
            if (iy < 0 || iy >= in.dim[2] || ix < 0 || ix >= in.dim[3]) continue;
            double value = plane[iy * in.dim[3] + ix];
            most = value > most ? value : most;
        }
    }
    return most;
}

void reference_max_pool2d(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t oh = out->type.dim[2], ow = out->type.dim[3];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        const double *plane = in[0].data + i / (oh * ow) * in[0].type.dim[2] * in[0].type.dim[3];
        out->data[i] = window_max(node, plane, in[0].type, i / ow % oh, i % ow);
    }
}

/* The window is cut at the padding's end (which ceil_mode can make it reach beyond): what is left counts when
 * count_include_pad, else what of it lies on the picture. */
static double window_mean(const Node *node, const double *plane, Type in, int64_t y, int64_t x)
{
    int64_t ph = node_rows(node, A_PADDING), pw = node_columns(node, A_PADDING);
    int64_t top = y * stride_of(node, 0) - ph, left = x * stride_of(node, 1) - pw;
    int64_t bottom = smaller(top + node_rows(node, A_KERNEL), in.dim[2] + ph);
    int64_t right = smaller(left + node_columns(node, A_KERNEL), in.dim[3] + pw);
    int64_t padded_area = (bottom - top) * (right - left);
    top = larger(top, 0);
    left = larger(left, 0);
    bottom = smaller(bottom, in.dim[2]);
    right = smaller(right, in.dim[3]);
    if (top >= bottom || left >= right) return 0;
    double sum = 0;
    for (int64_t iy = top; iy < bottom; iy++)
        for (int64_t ix = left; ix < right; ix++) sum += plane[iy * in.dim[3] + ix];
    int64_t area = (bottom - top) * (right - left);
    return sum / (double)(node_bool(node, A_COUNT_INCLUDE_PAD) ? padded_area : area);
}

void reference_avg_pool2d(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t oh = out->type.dim[2], ow = out->type.dim[3];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        const double *plane = in[0].data + i / (oh * ow) * in[0].type.dim[2] * in[0].type.dim[3];
        out->data[i] = window_mean(node, plane, in[0].type, i / ow % oh, i % ow);
    }
}

/* ---- gradients of pools ---------------------------------------------------------------------------- */

/* The tap that holds a window's first largest value. */
void reference_max_pool2d_tap(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t ih = in[0].type.dim[2], iw = in[0].type.dim[3], oh = out->type.dim[2], ow = out->type.dim[3];
    const int64_t *k = node_attr(node, A_KERNEL)->i, *s = node_attr(node, A_STRIDE)->i;
    const int64_t *p = node_attr(node, A_PADDING)->i, *d = node_attr(node, A_DILATION)->i;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        const double *plane = in[0].data + i / (oh * ow) * ih * iw;
        double most = -INFINITY;
        for (int64_t t = 0; t < k[0] * k[1]; t++) {
            int64_t y = i / ow % oh * s[0] - p[0] + t / k[1] * d[0],
                    x = i % ow * s[1] - p[1] + t % k[1] * d[1];
            if (y < 0 || y >= ih || x < 0 || x >= iw || plane[y * iw + x] <= most) continue;
            most = plane[y * iw + x];
            out->data[i] = (double)t;
        }
    }
}

void reference_max_pool2d_grad(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t ih = out->type.dim[2], iw = out->type.dim[3], oh = in[0].type.dim[2], ow = in[0].type.dim[3];
    const int64_t *k = node_attr(node, A_KERNEL)->i, *s = node_attr(node, A_STRIDE)->i;
    const int64_t *p = node_attr(node, A_PADDING)->i, *d = node_attr(node, A_DILATION)->i;
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        int64_t t = (int64_t)in[1].data[i];
        int64_t y = i / ow % oh * s[0] - p[0] + t / k[1] * d[0], x = i % ow * s[1] - p[1] + t % k[1] * d[1];
        if (y < 0 || y >= ih || x < 0 || x >= iw || (double)t != in[1].data[i] || t >= k[0] * k[1] || t < 0)
            continue;
        out->data[(i / (oh * ow) * ih + y) * iw + x] += in[0].data[i];
    }
}

void reference_avg_pool2d_grad(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t ih = out->type.dim[2], iw = out->type.dim[3], oh = in[0].type.dim[2], ow = in[0].type.dim[3];
    const int64_t *k = node_attr(node, A_KERNEL)->i, *s = node_attr(node, A_STRIDE)->i;
    const int64_t *p = node_attr(node, A_PADDING)->i;
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        int64_t top = i / ow % oh * s[0] - p[0], left = i % ow * s[1] - p[1];
        int64_t bottom = smaller(top + k[0], ih + p[0]), right = smaller(left + k[1], iw + p[1]);
        int64_t padded = (bottom - top) * (right - left);
        top = larger(top, 0);
        left = larger(left, 0);
        bottom = smaller(bottom, ih);
        right = smaller(right, iw);
        int64_t area = node_bool(node, A_COUNT_INCLUDE_PAD) ? padded : (bottom - top) * (right - left);
        for (int64_t y = top; y < bottom; y++)
            for (int64_t x = left; x < right; x++)
                out->data[(i / (oh * ow) * ih + y) * iw + x] += in[0].data[i] / (double)area;
    }
}

/* ---- resize -------------------------------------------------------------------------------------- */

/* One axis of one output: two neighbours and how far it is from the first to the second. */
typedef struct Sample {
    int64_t first, second;
    double part;
} Sample;

/* Input pixels per output pixel. A scale factor that is given counts as it is, also where the output's size
 * had to be rounded. */
static double scale_of(const Node *node, int64_t in, int64_t out)
{
    if (node_bool(node, A_ALIGN_CORNERS)) return out > 1 ? (double)(in - 1) / (double)(out - 1) : 0;
    if (node_has(node, A_SCALE_FACTOR)) return 1 / node_float(node, A_SCALE_FACTOR);
    return (double)in / (double)out;
}

static Sample bilinear_sample(const Node *node, int64_t at, int64_t in, int64_t out)
{
    double scale = scale_of(node, in, out);
    double from = node_bool(node, A_ALIGN_CORNERS) ? scale * (double)at : scale * ((double)at + 0.5) - 0.5;
    if (from < 0) from = 0;
    int64_t first = smaller((int64_t)from, in - 1);
    return (Sample){first, smaller(first + 1, in - 1), from - (double)first};
}

/* PyTorch finds the neighbour in float; that decides where a boundary falls, so it is done here too. */
static Sample nearest_sample(const Node *node, int64_t at, int64_t in, int64_t out)
{
    float scale = node_has(node, A_SCALE_FACTOR) ? (float)(1 / node_float(node, A_SCALE_FACTOR))
                                                 : (float)in / (float)out;
    int64_t first = smaller((int64_t)floorf((float)at * scale), in - 1);
    return (Sample){first, first, 0};
}

static Sample sample_axis(const Node *node, int64_t at, int64_t in, int64_t out)
{
    bool nearest = strcmp(node_string(node, A_MODE), "nearest") == 0;
    return nearest ? nearest_sample(node, at, in, out) : bilinear_sample(node, at, in, out);
}

void reference_resize(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t ih = in[0].type.dim[2], iw = in[0].type.dim[3], oh = out->type.dim[2], ow = out->type.dim[3];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        const double *plane = in[0].data + i / (oh * ow) * ih * iw;
        Sample y = sample_axis(node, i / ow % oh, ih, oh), x = sample_axis(node, i % ow, iw, ow);
        const double *upper = plane + y.first * iw, *lower = plane + y.second * iw;
        double above = upper[x.first] * (1 - x.part) + upper[x.second] * x.part;
        double below = lower[x.first] * (1 - x.part) + lower[x.second] * x.part;
        out->data[i] = above * (1 - y.part) + below * y.part;
    }
}

void reference_resize_grad(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t dim = node_int(node, A_DIM), size = in[0].type.dim[dim], target = out->type.dim[dim];
    int64_t inner = dim == 2 ? in[0].type.dim[3] : 1;
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        Sample s = sample_axis(node, i / inner % size, target, size);
        double *line = out->data + i / (inner * size) * target * inner + i % inner;
        line[s.first * inner] += in[0].data[i] * (1 - s.part);
        line[s.second * inner] += in[0].data[i] * s.part;
    }
}
