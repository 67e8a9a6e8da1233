/* Losses: torch.nn.functional.cross_entropy, focal and Dice as compiler/loss.h states them,
 * binary_cross_entropy_with_logits, mse_loss, and ADVENT's entropy. */
#include "reference.h"

#include <math.h>
#include <string.h>

/* Logits and labels of a loss over pixels. */
typedef struct Pixels {
    const double *logits, *labels;
    int64_t n, c, area;
    int64_t ignored;
    const Attr *weights; /* NULL: none */
} Pixels;

static Pixels pixels_of(const Node *node, const Tensor *in)
{
    const int64_t *d = in[0].type.dim;
    return (Pixels){.logits = in[0].data,
                    .labels = in[1].data,
                    .n = d[0],
                    .c = d[1],
                    .area = d[2] * d[3],
                    .ignored = node_int(node, A_IGNORE_INDEX),
                    .weights = node->op != OP_DICE && node_has(node, A_CLASS_WEIGHTS)
                                   ? node_attr(node, A_CLASS_WEIGHTS)
                                   : NULL};
}

/* The label of pixel i of all, -1 where it does not count. */
static int64_t label_of(const Pixels *p, int64_t i)
{
    int64_t label = (int64_t)p->labels[i];
    return label < 0 || label >= p->c || label == p->ignored ? -1 : label;
}

static double log_softmax_of(const Pixels *p, int64_t i, int64_t c)
{
    const double *line = p->logits + i / p->area * p->c * p->area + i % p->area;
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < p->c; k++) most = fmax(most, line[k * p->area]);
    for (int64_t k = 0; k < p->c; k++) sum += exp(line[k * p->area] - most);
    return line[c * p->area] - most - log(sum);
}

static double weight_of(const Pixels *p, int64_t c)
{
    return p->weights ? (double)(float)p->weights->floats[c] : 1;
}

void reference_cross_entropy(const Node *node, const Tensor *in, Tensor *out)
{
    Pixels p = pixels_of(node, in);
    double smoothing = node_float(node, A_LABEL_SMOOTHING), sum = 0, weights = 0;
    for (int64_t i = 0; i < p.n * p.area; i++) {
        int64_t label = label_of(&p, i);
        if (label < 0) continue;
        weights += weight_of(&p, label);
        sum -= (1 - smoothing) * weight_of(&p, label) * log_softmax_of(&p, i, label);
        for (int64_t c = 0; c < p.c && smoothing > 0; c++)
            sum -= smoothing / (double)p.c * weight_of(&p, c) * log_softmax_of(&p, i, c);
    }
    out->data[0] = weights > 0 ? sum / weights : 0;
}

void reference_focal(const Node *node, const Tensor *in, Tensor *out)
{
    Pixels p = pixels_of(node, in);
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < p.n * p.area; i++) {
        int64_t label = label_of(&p, i);
        if (label < 0) continue;
        double logarithm = log_softmax_of(&p, i, label);
        weights += weight_of(&p, label);
        sum -= weight_of(&p, label) * pow(-expm1(logarithm), node_float(node, A_GAMMA)) * logarithm;
    }
    out->data[0] = weights > 0 ? sum / weights : 0;
}

void reference_dice(const Node *node, const Tensor *in, Tensor *out)
{
    Pixels p = pixels_of(node, in);
    const char *absent = node_string(node, A_ABSENT);
    double eps = node_float(node, A_EPS), total = 0, classes = 0, counted = 0;
    for (int64_t c = 0; c < p.c; c++) {
        double both = 0, probabilities = 0, labels = 0;
        for (int64_t i = 0; i < p.n * p.area; i++) {
            int64_t label = label_of(&p, i);
            if (label < 0) continue;
            double probability = exp(log_softmax_of(&p, i, c));
            probabilities += probability;
            if (label != c) continue;
            both += probability;
            labels++;
        }
        counted += labels;
        bool present = labels > 0 || !strcmp(absent, "count");
        if (present) total += (2 * both + eps) / (probabilities + labels + eps);
        if (present || !strcmp(absent, "zero")) classes++;
    }
    out->data[0] = counted > 0 ? 1 - total / classes : 0;
}

static double target_of(const Node *node, const Tensor *in, int64_t i)
{
    return node->n_in == 2 ? in[1].data[i] : (double)(float)node_float(node, A_TARGET);
}

void reference_bce_with_logits(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t count = type_elements(in[0].type);
    for (int64_t i = 0; i < count; i++) {
        double x = in[0].data[i];
        out->data[0] += (fmax(x, 0) - x * target_of(node, in, i) + log1p(exp(-fabs(x)))) / (double)count;
    }
}

void reference_mse(const Node *node, const Tensor *in, Tensor *out)
{
    int64_t count = type_elements(in[0].type);
    for (int64_t i = 0; i < count; i++) {
        double apart = in[0].data[i] - target_of(node, in, i);
        out->data[0] += apart * apart / (double)count;
    }
}

void reference_entropy_map(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        double p = in[0].data[i];
        out->data[i] = -p * log2(p + 1e-30) / log2((double)in[0].type.dim[1]);
    }
}

void reference_entropy(const Node *node, const Tensor *in, Tensor *out)
{
    (void)node;
    const int64_t *d = in[0].type.dim;
    for (int64_t i = 0; i < type_elements(in[0].type); i++) {
        double p = in[0].data[i];
        out->data[0] -= p * log2(p + 1e-30) / log2((double)d[1]) / (double)(d[0] * d[2] * d[3]);
    }
}
