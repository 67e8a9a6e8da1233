/* Parameters and states that lie in blocks of channels (ProgramTensor.block), and their dense form.
 *
 * A tensor [d0, d1, d2, d3] in blocks of b lies as [d0][ceil(d1 / b)][d2][d3][b]; what stands beyond d1 means
 * nothing, and is 0 when written from here. Pure functions, for tensors of any block (1: both forms are one).
 */
#ifndef RT_BLOCKED_H
#define RT_BLOCKED_H

#include "program.h"

/* Floats that the tensor takes where it lies. */
int64_t blocked_elements(const ProgramTensor *tensor);
/* From the dense form to where it lies, and back. */
void blocked_from_dense(const ProgramTensor *tensor, const float *dense, float *blocked);
void blocked_to_dense(const ProgramTensor *tensor, const float *blocked, float *dense);

#endif
