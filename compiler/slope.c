/* The mean is by Simpson's rule on 4, 8, 16, 32 parts of the way, each using the points of the one before;
 * its error is taken to be the difference of the last two, which is that of the coarser one. */
#include "slope.h"

#include <math.h>

enum { LEAST_PARTS = 4, MOST_PARTS = 32 };

/* A slope counts as seen where the error is below this share of the scale. */
static const double COARSE = 0.05;

/* Of the points in the middle of the parts. */
static double sum_of_middles(SlopeFunction *function, void *context, double step, int parts)
{
    double sum = 0;
    for (int i = 0; i < parts; i++) sum += function(context, step * ((2 * i + 1) / (double)parts - 1)).slope;
    return sum;
}

Slope slope_compare(SlopeFunction *function, void *context, double step, double noise, double enough)
{
    SlopePoint low = function(context, -step), high = function(context, step);
    double rounding = noise / step, trapezoids = (low.slope + high.slope) / 2, simpson = trapezoids;
    Slope slope = {
        .difference = (high.value - low.value) / (2 * step), .error = INFINITY, .rounding = rounding};
    for (int parts = 2; parts <= MOST_PARTS; parts *= 2) {
        double before = simpson, coarser = trapezoids;
        trapezoids = coarser / 2 + sum_of_middles(function, context, step, parts / 2) / parts;
        simpson = trapezoids + (trapezoids - coarser) / 3;
        slope.error = fabs(simpson - before) + rounding;
        if (parts >= LEAST_PARTS && slope.error <= fmax(enough, 2 * rounding)) break;
    }
    slope.computed = simpson;
    return slope;
}

SlopeVerdict slope_verdict(const Slope *slope, double scale)
{
    double difference = fabs(slope->computed - slope->difference);
    if (!isfinite(difference) || difference > SLOPE_TOLERANCE * scale + 3 * slope->error)
        return SLOPE_DIFFERS;
    return slope->error > COARSE * scale ? SLOPE_UNCLEAR : SLOPE_AGREES;
}
