/* Post-processing by a fully connected conditional random field: Kraehenbuehl and Koltun, "Efficient
 * Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011.
 *
 * Every pair of pixels of different classes costs
 *     w1 exp(-|p_i - p_j|^2 / 2 xy^2 - |I_i - I_j|^2 / 2 rgb^2) + w2 exp(-|p_i - p_j|^2 / 2 gxy^2)
 * where p are places in pixels and I colours, 0..255; a class costs a pixel the negative logarithm of its
 * softmax. The mean-field approximation of the labelling's distribution is iterated, all pixels at once, from
 * the softmax. Both kernels are normalised symmetrically, k(i,j) / sqrt(sum_j k(i,j) sum_i k(i,j)), as the
 * authors' code does by default; like there, a pixel is its own neighbour. So edges of the classes move to
 * edges of the picture, and specks go.
 *
 * Defaults. DeepLab (Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous
 * Convolution, and Fully Connected CRFs", TPAMI 2018) takes w2 = 3, gxy = 3 and 10 iterations, and searched
 * the others on validation pictures; w1 = 4, xy = 67, rgb = 3 is what it published with its ResNet-101. Those
 * pictures had about 500 pixels a side.
 *
 *     CrfSettings settings = crf_defaults();
 *     if (crf_parse("w1=5,iterations=5", &settings, &err) || crf_check(header, &err)) return err.status;
 *     ... picture_set, segrt_run ...
 *     if (crf_picture(session, slot, &picture, &settings, &classes, &err)) return err.status;
 */
#ifndef RT_CRF_H
#define RT_CRF_H

#include "program.h"
#include "rt_image.h"
#include "rt_pool.h"
#include "segrt.h"

typedef struct CrfSettings {
    float w1, xy, rgb; /* bilateral kernel: weight; deviations in pixels and in grey levels */
    float w2, gxy;     /* spatial kernel: weight; deviation in pixels */
    int64_t iterations;
} CrfSettings;

/* A network's scores before its softmax, and the enlargement that leads from them to the picture. */
typedef struct CrfScores {
    const float *planes; /* classes * height * width */
    int classes, height, width;
    bool align_corners; /* the outermost scores lie on the picture's outermost pixels; else both have the same
                           outline */
} CrfScores;

CrfSettings crf_defaults(void);
/* Changes what text names: "NAME=VALUE,..." of w1, xy, rgb, w2, gxy, iterations; empty text nothing.
 * RT_USAGE. */
RtStatus crf_parse(const char *text, CrfSettings *settings, RtError *err);
/* The class ids of an RGB picture, at its size, from scores of 2 to 256 classes, enlarged bilinearly. The
 * same for any number of threads. A call takes about 4 * classes + 150 bytes for each pixel, and 8 * classes
 * + 50 for each corner of the lattices: a photograph has half as many corners as pixels. RT_MACHINE when
 * memory is short. */
RtStatus crf_classes(const RtImage *rgb, const CrfScores *scores, const CrfSettings *settings, Pool *pool,
                     RtImage *classes, RtError *err);

/* RT_USAGE unless the program gives scores. */
RtStatus crf_check(const ProgramHeader *header, RtError *err);
/* The same from a session's scores of the picture at index of the batch. */
RtStatus crf_picture(SegrtSession *session, int64_t index, const RtImage *rgb, const CrfSettings *settings,
                     RtImage *classes, RtError *err);

#endif
