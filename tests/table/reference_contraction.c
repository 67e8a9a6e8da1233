/* Contractions: torch.nn.functional.conv2d, conv_transpose2d and linear. */
#include "reference.h"

typedef struct Window {
    int64_t kh, kw, sh, sw, ph, pw, dh, dw, groups;
} Window;

static Window window_of(const Node *node)
{
    return (Window){
        node_rows(node, A_KERNEL),    node_columns(node, A_KERNEL),   node_rows(node, A_STRIDE),
        node_columns(node, A_STRIDE), node_rows(node, A_PADDING),     node_columns(node, A_PADDING),
        node_rows(node, A_DILATION),  node_columns(node, A_DILATION), node_int(node, A_GROUPS)};
}

static void add_bias(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t pixels = out->type.dim[2] * out->type.dim[3];
    if (node->n_in < 3) return;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] += in[2].data[i / pixels % out->type.dim[1]];
}

/* out[y][x] += in[y*sh + dy][x*sw + dx] * weight, where that is inside: one tap over one plane. */
static void add_tap(const Window *w, double weight, int64_t dy, int64_t dx, const double *in, int64_t ih,
                    int64_t iw, double *out, int64_t oh, int64_t ow)
{
    for (int64_t y = 0; y < oh; y++) {
        int64_t iy = y * w->sh + dy;
        if (iy < 0 || iy >= ih) continue;
        for (int64_t x = 0; x < ow; x++) {
            int64_t ix = x * w->sw + dx;
            if (ix >= 0 && ix < iw) out[y * ow + x] += in[iy * iw + ix] * weight;
        }
    }
}

/* weight [filters, channels / groups, kh, kw] */
void reference_conv2d(const Node *node, const Tensor *in, Tensor *out)
{
    const Window w = window_of(node);
    int64_t channels = in[0].type.dim[1], ih = in[0].type.dim[2], iw = in[0].type.dim[3];
    int64_t filters = out->type.dim[1], oh = out->type.dim[2], ow = out->type.dim[3];
    int64_t per_group = channels / w.groups, filters_per_group = filters / w.groups;
    for (int64_t plane = 0; plane < out->type.dim[0] * filters; plane++) {
        int64_t n = plane / filters, f = plane % filters;
        for (int64_t i = 0; i < per_group * w.kh * w.kw; i++) {
            int64_t c = i / (w.kh * w.kw), ky = i / w.kw % w.kh, kx = i % w.kw;
            int64_t from = n * channels + f / filters_per_group * per_group + c;
            add_tap(&w, in[1].data[f * per_group * w.kh * w.kw + i], ky * w.dh - w.ph, kx * w.dw - w.pw,
                    in[0].data + from * ih * iw, ih, iw, out->data + plane * oh * ow, oh, ow);
        }
    }
    add_bias(node, in, out);
}

/* out[y*sh + dy][x*sw + dx] += in[y][x] * weight, where that is inside. */
static void scatter_tap(const Window *w, double weight, int64_t dy, int64_t dx, const double *in, int64_t ih,
                        int64_t iw, double *out, int64_t oh, int64_t ow)
{
    for (int64_t y = 0; y < ih; y++) {
        int64_t oy = y * w->sh + dy;
        if (oy < 0 || oy >= oh) continue;
        for (int64_t x = 0; x < iw; x++) {
            int64_t ox = x * w->sw + dx;
            if (ox >= 0 && ox < ow) out[oy * ow + ox] += in[y * iw + x] * weight;
        }
    }
}

/* weight [channels, filters / groups, kh, kw]; every input pixel is spread over the window that it would have
 * been gathered from. */
void reference_conv_transpose2d(const Node *node, const Tensor *in, Tensor *out)
{
    const Window w = window_of(node);
    int64_t channels = in[0].type.dim[1], ih = in[0].type.dim[2], iw = in[0].type.dim[3];
    int64_t filters = out->type.dim[1], oh = out->type.dim[2], ow = out->type.dim[3];
    int64_t per_group = channels / w.groups, filters_per_group = filters / w.groups;
    for (int64_t plane = 0; plane < in[0].type.dim[0] * channels; plane++) {
        int64_t n = plane / channels, c = plane % channels;
        for (int64_t i = 0; i < filters_per_group * w.kh * w.kw; i++) {
            int64_t f = i / (w.kh * w.kw), ky = i / w.kw % w.kh, kx = i % w.kw;
            int64_t to = n * filters + c / per_group * filters_per_group + f;
            scatter_tap(&w, in[1].data[c * filters_per_group * w.kh * w.kw + i], ky * w.dh - w.ph,
                        kx * w.dw - w.pw, in[0].data + plane * ih * iw, ih, iw, out->data + to * oh * ow, oh,
                        ow);
        }
    }
    add_bias(node, in, out);
}

/* weight [features, inputs], over the last dimension */
void reference_linear(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t inputs = in[1].type.dim[1], features = in[1].type.dim[0];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t row = i / features, f = i % features;
        double sum = node->n_in > 2 ? in[2].data[f] : 0;
        for (int64_t k = 0; k < inputs; k++) sum += in[0].data[row * inputs + k] * in[1].data[f * inputs + k];
        out->data[i] = sum;
    }
}

/* The sum of gy[y][x] * in[y*sh + dy][x*sw + dx], where that is inside: one tap's gradient in one plane. */
static double sum_tap(const Window *w, int64_t dy, int64_t dx, const double *in, int64_t ih, int64_t iw,
                      const double *gy, int64_t oh, int64_t ow)
{
    double sum = 0;
    for (int64_t y = 0; y < oh; y++) {
        int64_t iy = y * w->sh + dy;
        if (iy < 0 || iy >= ih) continue;
        for (int64_t x = 0; x < ow; x++) {
            int64_t ix = x * w->sw + dx;
            if (ix >= 0 && ix < iw) sum += in[iy * iw + ix] * gy[y * ow + x];
        }
    }
    return sum;
}

/* [filters, channels / groups, kh, kw]: how the sum of gy * conv2d(in) changes with every weight */
void reference_conv2d_grad_filter(const Node *node, const Tensor *in, Tensor *out)
{
    const Window w = window_of(node);
    int64_t channels = in[0].type.dim[1], ih = in[0].type.dim[2], iw = in[0].type.dim[3];
    int64_t filters = in[1].type.dim[1], oh = in[1].type.dim[2], ow = in[1].type.dim[3];
    int64_t per_group = channels / w.groups, filters_per_group = filters / w.groups;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t f = i / (per_group * w.kh * w.kw), c = i / (w.kh * w.kw) % per_group;
        int64_t ky = i / w.kw % w.kh, kx = i % w.kw, from = f / filters_per_group * per_group + c;
        for (int64_t n = 0; n < in[0].type.dim[0]; n++)
            out->data[i] +=
                sum_tap(&w, ky * w.dh - w.ph, kx * w.dw - w.pw, in[0].data + (n * channels + from) * ih * iw,
                        ih, iw, in[1].data + (n * filters + f) * oh * ow, oh, ow);
    }
}

void reference_flip_filter(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    int64_t filters = in[0].type.dim[0], channels = in[0].type.dim[1];
    int64_t taps = in[0].type.dim[2] * in[0].type.dim[3];
    for (int64_t i = 0; i < filters * channels * taps; i++) {
        int64_t f = i / (channels * taps), c = i / taps % channels, tap = i % taps;
        out->data[(c * filters + f) * taps + taps - 1 - tap] = in[0].data[i];
    }
}
