/* Sums and the pieces that gradients are made of, from the formulas of what they are gradients of. */
#include "reference.h"

#include <math.h>

/* The element of a tensor of type small that element i of one of type large is stretched from. */
static int64_t stretched_from(Type small, Type large, int64_t i)
{
    int64_t index = 0, stride = 1;
    for (int d = large.rank - 1; d >= 0; d--) {
        int64_t at = i % large.dim[d];
        int own = d - (large.rank - small.rank);
        i /= large.dim[d];
        if (own < 0) continue;
        if (small.dim[own] > 1) index += at * stride;
        stride *= small.dim[own];
    }
    return index;
}

void reference_sum_to(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(in[0].type); i++)
        out->data[stretched_from(out->type, in[0].type, i)] += in[0].data[i];
}

void reference_expand(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = in[0].data[stretched_from(in[0].type, out->type, i)];
}

void reference_mean(const Node *node, const Tensor *in, Tensor *out)
{
    reference_sum_to(node, in, out);
    out->data[0] /= (double)type_elements(in[0].type);
}

void reference_l1(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    int64_t count = type_elements(in[0].type);
    for (int64_t i = 0; i < count; i++) out->data[0] += fabs(in[0].data[i] - in[1].data[i]) / (double)count;
}

void reference_l1_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double a = in[1].data[stretched_from(in[1].type, out->type, i)];
        double b = in[2].data[stretched_from(in[2].type, out->type, i)];
        double g = in[0].data[stretched_from(in[0].type, out->type, i)];
        out->data[i] = g * ((a > b) - (a < b));
    }
}

void reference_relu_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = in[1].data[i] > 0 ? in[0].data[i] : 0;
}

void reference_leaky_relu_grad(const Node *node, const Tensor *in, Tensor *out)
{
    double slope = (double)(float)node_float(node, A_NEGATIVE_SLOPE);
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = in[1].data[i] > 0 ? in[0].data[i] : slope * in[0].data[i];
}

void reference_prelu_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double slope = in[2].data[stretched_from(in[2].type, out->type, i)];
        out->data[i] = in[1].data[i] > 0 ? in[0].data[i] : slope * in[0].data[i];
    }
}

void reference_prelu_weight_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = in[1].data[i] > 0 ? 0 : in[0].data[i] * in[1].data[i];
}

void reference_sigmoid_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++)
        out->data[i] = in[0].data[i] * in[1].data[i] * (1 - in[1].data[i]);
}

/* Along dim, over the sums of other[]. */
static void softmax_gradient(const Node *node, const Tensor *in, Tensor *out, bool logarithm)
{
    int64_t dim = node_int(node, A_DIM), size = out->type.dim[dim], inner = 1;
    for (int d = (int)dim + 1; d < out->type.rank; d++) inner *= out->type.dim[d];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t start = i / (size * inner) * size * inner + i % inner;
        double sum = 0;
        for (int64_t k = 0; k < size; k++) {
            int64_t at = start + k * inner;
            sum += in[0].data[at] * (logarithm ? 1 : in[1].data[at]);
        }
        double g = in[0].data[i], y = in[1].data[i];
        out->data[i] = logarithm ? g - exp(y) * sum : y * (g - sum);
    }
}

void reference_softmax_grad(const Node *node, const Tensor *in, Tensor *out)
{
    softmax_gradient(node, in, out, false);
}

void reference_log_softmax_grad(const Node *node, const Tensor *in, Tensor *out)
{
    softmax_gradient(node, in, out, true);
}

/* ---- batch normalisation over the batch ------------------------------------------------------------------
 */

static int64_t channel_of(Type type, int64_t i)
{
    int64_t inner = 1;
    for (int d = 2; d < type.rank; d++) inner *= type.dim[d];
    return i / inner % type.dim[1];
}

void reference_batch_statistics(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    Type type = in[0].type;
    int64_t channels = type.dim[1], count = type_elements(type);
    double each = (double)channels / (double)count;
    for (int64_t i = 0; i < count; i++) out->data[channel_of(type, i)] += in[0].data[i] * each;
    for (int64_t i = 0; i < count; i++) {
        int64_t c = channel_of(type, i);
        out->data[channels + c] += pow(in[0].data[i] - out->data[c], 2) * each;
    }
}

static double deviation(const Node *node, const Tensor *statistics, int64_t c)
{
    int64_t channels = statistics->type.dim[1];
    return 1 / sqrt(statistics->data[channels + c] + (double)(float)node_float(node, A_EPS));
}

void reference_batch_norm_scale(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t channels = out->type.dim[1];
    for (int64_t c = 0; c < channels; c++) {
        out->data[c] = in[0].data[c] * deviation(node, &in[2], c);
        out->data[channels + c] = in[1].data[c] - in[2].data[c] * out->data[c];
    }
}

void reference_batch_norm_train(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        int64_t c = channel_of(out->type, i);
        out->data[i] = in[0].data[i] * in[4].data[c] + in[4].data[out->type.dim[1] + c];
    }
}

void reference_batch_norm_sums(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t channels = out->type.dim[1];
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        int64_t c = channel_of(in[0].type, i);
        out->data[c] += in[0].data[i];
        out->data[channels + c] +=
            in[0].data[i] * (in[1].data[i] - in[2].data[c]) * deviation(node, &in[2], c);
    }
}

void reference_batch_norm_slopes(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t channels = out->type.dim[1];
    double share = node_float(node, A_SCALE);
    for (int64_t c = 0; c < channels; c++) {
        double d = deviation(node, &in[1], c), a = in[0].data[c] * d;
        out->data[c] = a;
        out->data[channels + c] = -a * d * share * in[2].data[channels + c];
        out->data[2 * channels + c] = -a * share * in[2].data[c];
        out->data[3 * channels + c] = in[1].data[c];
    }
}

void reference_batch_norm_input_grad(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    int64_t channels = out->type.dim[1];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        const double *slope = in[2].data + channel_of(out->type, i);
        out->data[i] = slope[0] * in[0].data[i] + slope[channels] * (in[1].data[i] - slope[3 * channels]) +
                       slope[2 * channels];
    }
}

void reference_running_statistic(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t channels = out->type.dim[0], row = node_int(node, A_START);
    double momentum = node_float(node, A_MOMENTUM), scale = node_float(node, A_SCALE);
    for (int64_t c = 0; c < channels; c++)
        out->data[c] = (1 - momentum) * in[0].data[c] + momentum * scale * in[1].data[row * channels + c];
}

void reference_table_row(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t channels = out->type.dim[0], row = node_int(node, A_START);
    for (int64_t c = 0; c < channels; c++) out->data[c] = in[0].data[row * channels + c];
}
