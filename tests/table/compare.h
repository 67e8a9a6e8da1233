/* How far a result is from what it should be. */
#ifndef COMPARE_H
#define COMPARE_H

#include <stdint.h>

typedef struct Difference {
    double largest; /* magnitude of what is wanted; infinities aside */
    double most;    /* difference of any element; infinite where only one is a number */
    int64_t at;     /* the element that differs most */
} Difference;

Difference compare_values(const double *want, const float *got, int64_t count);

#endif
