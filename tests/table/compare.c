/* See compare.h. */
#include "compare.h"

#include <math.h>

Difference compare_values(const double *want, const float *got, int64_t count)
{
    Difference d = {0};
    for (int64_t i = 0; i < count; i++) {
        double g = (double)got[i], apart = want[i] == g ? 0 : fabs(want[i] - g);
        if (isnan(apart)) apart = isnan(want[i]) && isnan(g) ? 0 : INFINITY;
        if (apart > d.most) d.at = i;
        d.most = fmax(d.most, apart);
        if (isfinite(want[i])) d.largest = fmax(d.largest, fabs(want[i]));
    }
    return d;
}
