/* The baseline's convolution, as a frame of work around OpenBLAS's sgemm would do it. */
#ifndef BLAS_CONV_H
#define BLAS_CONV_H

#include "program.h"

/* The kernel of all steps whose Kernel.blas is set: compiler/blas_spec.h says what its arguments are. Holds
 * OpenBLAS to one thread per call, for the whole process: the work units are what is shared among threads. */
ProgramKernelFn *blas_conv_kernel(void);

#endif
