/* Operators that move elements: torch.cat, narrowing by a slice, torch.nn.functional.pad, flatten, reshape.
 */
#include "reference.h"

#include <string.h>

/* Elements of all dimensions behind dim. */
static int64_t inner_of(Type type, int64_t dim)
{
    int64_t inner = 1;
    for (int d = (int)dim + 1; d < type.rank; d++) inner *= type.dim[d];
    return inner;
}

static int64_t dim_of(const Node *node, Type type)
{
    int64_t dim = node_int(node, A_DIM);
    return dim < 0 ? dim + type.rank : dim;
}

void reference_concat(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t dim = dim_of(node, out->type), inner = inner_of(out->type, dim), first = 0;
    int64_t size = out->type.dim[dim];
    for (int k = 0; k < node->n_in; k++) {
        int64_t part = in[k].type.dim[dim];
        for (int64_t i = 0; i < type_elements(in[k].type); i++) {
            int64_t outer = i / (part * inner), at = i / inner % part;
            out->data[(outer * size + first + at) * inner + i % inner] = in[k].data[i];
        }
        first += part;
    }
}

void reference_slice(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t dim = dim_of(node, out->type), inner = inner_of(out->type, dim);
    int64_t size = in[0].type.dim[dim], part = out->type.dim[dim], start = node_int(node, A_START);
    if (start < 0) start += size;
    if (start < 0) start = 0;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t outer = i / (part * inner), at = i / inner % part;
        out->data[i] = in[0].data[(outer * size + start + at) * inner + i % inner];
    }
}

/* Where the border takes its value from: -1 for the constant. */
static int64_t pad_source(const char *mode, int64_t at, int64_t size)
{
    if (at >= 0 && at < size) return at;
    if (strcmp(mode, "replicate") == 0) return at < 0 ? 0 : size - 1;
    if (strcmp(mode, "reflect") == 0) return at < 0 ? -at : 2 * (size - 1) - at;
    return -1;
}

void reference_pad(const Node *node, const Tensor *in, Tensor *out)
{
    const char *mode = node_string(node, A_PAD_MODE);
    int64_t left = node_attr(node, A_PADS)->i[0], top = node_attr(node, A_PADS)->i[2];
    int64_t ih = in[0].type.dim[2], iw = in[0].type.dim[3], oh = out->type.dim[2], ow = out->type.dim[3];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t plane = i / (oh * ow);
        int64_t y = pad_source(mode, i / ow % oh - top, ih), x = pad_source(mode, i % ow - left, iw);
        out->data[i] = y < 0 || x < 0 ? node_float(node, A_VALUE) : in[0].data[(plane * ih + y) * iw + x];
    }
}

void reference_pad_grad(const Node *node, const Tensor *in, Tensor *out)
{
    const char *mode = node_string(node, A_PAD_MODE);
    int64_t left = node_attr(node, A_PADS)->i[0], top = node_attr(node, A_PADS)->i[2];
    int64_t oh = in[0].type.dim[2], ow = in[0].type.dim[3], ih = out->type.dim[2], iw = out->type.dim[3];
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        int64_t y = pad_source(mode, i / ow % oh - top, ih), x = pad_source(mode, i % ow - left, iw);
        out->data[(i / (oh * ow) * ih + y) * iw + x] += in[0].data[i];
    }
}

void reference_slice_grad(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t dim = node_int(node, A_DIM), part = in[0].type.dim[dim], size = out->type.dim[dim], inner = 1;
    for (int d = (int)dim + 1; d < out->type.rank; d++) inner *= out->type.dim[d];
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        int64_t outer = i / (part * inner), at = i / inner % part + node_int(node, A_START);
        out->data[(outer * size + at) * inner + i % inner] = in[0].data[i];
    }
}

void reference_copy(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    memcpy(out->data, in[0].data, sizeof *out->data * (size_t)type_elements(out->type));
}
