/* Whether a function's computed slope is its slope: what `segc gradcheck` holds gradients against.
 *
 * On the way from -step to +step a function gains the integral of its slope, so its difference, divided by
 * the length of the way, is the mean of the slopes on it. Other than a difference against the slope in the
 * middle, this holds for steps of any size, large enough to be well above the rounding of the function, and
 * for functions with kinks (relu, max_pool2d), which have a slope everywhere but at some points of the way.
 *
 *     Slope slope = slope_compare(loss_at, &walk, 0.1, 1e-6, 1e-4);
 *     if (slope_verdict(&slope, scale) == SLOPE_DIFFERS) ...
 */
#ifndef SLOPE_H
#define SLOPE_H

/* A function, and what is to be its slope, at a signed distance from the middle of the way. */
typedef struct SlopePoint {
    double value, slope;
} SlopePoint;
typedef SlopePoint SlopeFunction(void *context, double distance);

typedef struct Slope {
    double computed;   /* the mean of the slopes */
    double difference; /* of the values at both ends, by the length of the way */
    double error;      /* how much these may differ: the mean is of some points, and values are rounded */
    double rounding;   /* the part of it that a shorter way would make larger */
} Slope;

/* step: half of the way, above 0; noise: the error of one value; enough: an error at which no further points
 * are asked for. At least 5 points and at most 33. */
Slope slope_compare(SlopeFunction *function, void *context, double step, double noise, double enough);

typedef enum SlopeVerdict {
    SLOPE_AGREES,
    SLOPE_UNCLEAR, /* nothing contradicts, but the error is too large to say more */
    SLOPE_DIFFERS,
} SlopeVerdict;

/* Slopes that differ by no more than this share of the scale agree. */
#define SLOPE_TOLERANCE 2e-3

/* scale: a size that slopes of this kind have. */
SlopeVerdict slope_verdict(const Slope *slope, double scale);

#endif
