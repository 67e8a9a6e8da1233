/* Curves of a run: values over iterations, and what is made of them to be looked at.
 *
 * Points stand in rising order of x; y is NaN where a value is missing. All memory is an arena's; functions
 * return false when it has no more. */
#ifndef RT_SERIES_H
#define RT_SERIES_H

#include "rt_arena.h"

#include <stdbool.h>

typedef struct SeriesPoint {
    double x, y;
} SeriesPoint;

typedef struct Series {
    size_t count, capacity;
    SeriesPoint *points;
} Series;

bool series_add(Series *series, RtArena *arena, double x, double y);
/* Each value replaced by that of the straight line through up to `reach` ones on either side and itself:
 * their mean where they lie evenly, and no bend towards the middle at the ends. Missing values stay missing.
 */
bool series_smooth(const Series *series, size_t reach, RtArena *arena, Series *smooth);
/* The mean of several at each x where all of them have a value. */
bool series_mean(const Series *const *series, size_t count, RtArena *arena, Series *mean);
/* At most `most` points that look the same: of each stretch the least and the greatest. */
bool series_thin(const Series *series, size_t most, RtArena *arena, Series *thin);

#endif
