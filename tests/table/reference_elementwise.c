/* Elementwise operators: torch.relu, leaky_relu, prelu, sigmoid, batch_norm (eval mode), and arithmetic with
 * broadcasting. */
#include "reference.h"

#include <math.h>

void reference_constant(const Node *node, const Tensor *in, Tensor *out)
{
    (void)in;
    out->data[0] = node_float(node, A_VALUE);
}

/* Of the sum of squares; as torch.nn.utils.clip_grad_norm_. */
void reference_clip_factor(const Node *node, const Tensor *in, Tensor *out)
{
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = fmin(1, node_float(node, A_VALUE) / (sqrt(in[0].data[i]) + 1e-6));
}

/* ---- one input ----------------------------------------------------------------------------------- */

void reference_relu(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double x = in[0].data[i];
        out->data[i] = x > 0 ? x : 0;
    }
}

void reference_leaky_relu(const Node *node, const Tensor *in, Tensor *out)
{
    double slope = node_float(node, A_NEGATIVE_SLOPE);
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double x = in[0].data[i];
        out->data[i] = x > 0 ? x : slope * x;
    }
}

void reference_sigmoid(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) out->data[i] = 1 / (1 + exp(-in[0].data[i]));
}

void reference_affine(const Node *node, const Tensor *in, Tensor *out)
{
    double scale = node_float(node, A_SCALE), shift = node_float(node, A_SHIFT);
    for (int64_t i = 0; i < type_elements(out->type); i++) out->data[i] = scale * in[0].data[i] + shift;
}

void reference_rsqrt(const Node *node, const Tensor *in, Tensor *out)
{
    double eps = node_float(node, A_EPS);
    for (int64_t i = 0; i < type_elements(out->type); i++) out->data[i] = 1 / sqrt(in[0].data[i] + eps);
}

/* ---- one value per channel, which is dimension 1 ------------------------------------------------- */

static int64_t channel_of(Type type, int64_t element)
{
    for (int d = type.rank - 1; d > 1; d--) element /= type.dim[d];
    return element % type.dim[1];
}

void reference_prelu(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double x = in[0].data[i], slope = in[1].data[channel_of(out->type, i)];
        out->data[i] = x > 0 ? x : slope * x;
    }
}

/* Parameters in the order weight, bias, running_mean, running_var. */
void reference_batch_norm(const Node *node, const Tensor *in, Tensor *out)
{
    double eps = node_float(node, A_EPS);
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t c = channel_of(out->type, i);
        double weight = in[1].data[c], bias = in[2].data[c], mean = in[3].data[c], var = in[4].data[c];
        out->data[i] = (in[0].data[i] - mean) / sqrt(var + eps) * weight + bias;
    }
}

/* ---- several inputs, broadcast ------------------------------------------------------------------- */

/* The element of a tensor that stands at an element of a result that it is broadcast to: dimensions are
 * aligned at the last; a dimension of 1 repeats. */
static double broadcast(Type to, int64_t element, const Tensor *from)
{
    int64_t at = 0, stride = 1;
    for (int d = to.rank - 1, f = from->type.rank - 1; f >= 0; d--, f--) {
        int64_t coordinate = element % to.dim[d];
        if (from->type.dim[f] > 1) at += coordinate * stride;
        stride *= from->type.dim[f];
        element /= to.dim[d];
    }
    return from->data[at];
}

void reference_add(const Node *node, const Tensor *in, Tensor *out)
{
    for (int64_t i = 0; i < type_elements(out->type); i++)
        for (int k = 0; k < node->n_in; k++) out->data[i] += broadcast(out->type, i, &in[k]);
}

void reference_sub(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = broadcast(out->type, i, &in[0]) - broadcast(out->type, i, &in[1]);
}

void reference_mul(const Node *node, const Tensor *in, Tensor *out)
{
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        out->data[i] = 1;
        for (int k = 0; k < node->n_in; k++) out->data[i] *= broadcast(out->type, i, &in[k]);
    }
}

void reference_div(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = broadcast(out->type, i, &in[0]) / broadcast(out->type, i, &in[1]);
}

void reference_scale_shift(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = broadcast(out->type, i, &in[0]) * broadcast(out->type, i, &in[1]) +
                       broadcast(out->type, i, &in[2]);
}
