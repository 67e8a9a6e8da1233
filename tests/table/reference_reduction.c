/* Reductions: torch.softmax, log_softmax, argmax and the mean over height and width. */
#include "reference.h"

#include <math.h>

void reference_global_avg_pool(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    int64_t pixels = in[0].type.dim[2] * in[0].type.dim[3];
    for (int64_t i = 0; i < type_elements(out->type); i++) {
        double sum = 0;
        for (int64_t k = 0; k < pixels; k++) sum += in[0].data[i * pixels + k];
        out->data[i] = sum / (double)pixels;
    }
}

/* A tensor seen as [outer, size, inner], size being the dimension that is reduced. */
typedef struct Lines {
    int64_t outer, size, inner;
} Lines;

static Lines lines_of(const Node *node, Type type)
{
    int64_t dim = node_int(node, A_DIM);
    if (dim < 0) dim += type.rank;
    Lines lines = {1, type.dim[dim], 1};
    for (int d = 0; d < type.rank; d++) {
        if (d < dim) lines.outer *= type.dim[d];
        if (d > dim) lines.inner *= type.dim[d];
    }
    return lines;
}

static double line_max(const double *line, Lines lines)
{
    double most = line[0];
    for (int64_t k = 1; k < lines.size; k++) most = fmax(most, line[k * lines.inner]);
    return most;
}

static double line_sum_exp(const double *line, Lines lines, double most)
{
    double sum = 0;
    for (int64_t k = 0; k < lines.size; k++) sum += exp(line[k * lines.inner] - most);
    return sum;
}

void reference_softmax(const Node *node, const Tensor *in, Tensor *out)
{
    Lines lines = lines_of(node, in[0].type);
    for (int64_t i = 0; i < lines.outer * lines.inner; i++) {
        int64_t start = i / lines.inner * lines.size * lines.inner + i % lines.inner;
        const double *line = in[0].data + start;
        double most = line_max(line, lines), sum = line_sum_exp(line, lines, most);
        for (int64_t k = 0; k < lines.size; k++)
            out->data[start + k * lines.inner] = exp(line[k * lines.inner] - most) / sum;
    }
}

void reference_log_softmax(const Node *node, const Tensor *in, Tensor *out)
{
    Lines lines = lines_of(node, in[0].type);
    for (int64_t i = 0; i < lines.outer * lines.inner; i++) {
        int64_t start = i / lines.inner * lines.size * lines.inner + i % lines.inner;
        const double *line = in[0].data + start;
        double most = line_max(line, lines), sum = line_sum_exp(line, lines, most);
        for (int64_t k = 0; k < lines.size; k++)
            out->data[start + k * lines.inner] = line[k * lines.inner] - most - log(sum);
    }
}

/* The first of equals. */
void reference_argmax(const Node *node, const Tensor *in, Tensor *out)
{
    Lines lines = lines_of(node, in[0].type);
    for (int64_t i = 0; i < lines.outer * lines.inner; i++) {
        const double *line = in[0].data + i / lines.inner * lines.size * lines.inner + i % lines.inner;
        int64_t best = 0;
        for (int64_t k = 1; k < lines.size; k++)
            if (line[k * lines.inner] > line[best * lines.inner]) best = k;
        out->data[i] = (double)best;
    }
}
