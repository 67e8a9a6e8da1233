/* See rt_series.h. */
#include "rt_series.h"

#include <math.h>

bool series_add(Series *series, RtArena *arena, double x, double y)
{
    SeriesPoint *points =
        rt_arena_grow(arena, series->points, series->count, &series->capacity, sizeof *points);
    if (!points) return false;
    series->points = points;
    points[series->count++] = (SeriesPoint){x, y};
    return true;
}

/* The value at `at` of the straight line that fits points begin..end-1 best (least squares, by their
 * numbers); where points lie on both sides alike it is their mean. */
static double fit(const Series *series, size_t at, size_t begin, size_t end)
{
    double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t i = begin; i < end; i++) {
        const double x = (double)i - (double)at, y = series->points[i].y;
        if (isnan(y)) continue;
        n++, sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    const double determinant = n * sxx - sx * sx;
    return determinant > 0 ? (sxx * sy - sx * sxy) / determinant : sy / n;
}

bool series_smooth(const Series *series, size_t reach, RtArena *arena, Series *smooth)
{
    *smooth = (Series){0};
    for (size_t i = 0; i < series->count; i++) {
        const SeriesPoint *point = &series->points[i];
        size_t begin = i > reach ? i - reach : 0;
        size_t end = series->count - i > reach ? i + reach + 1 : series->count;
        double y = isnan(point->y) ? point->y : fit(series, i, begin, end);
        if (!series_add(smooth, arena, point->x, y)) return false;
    }
    return true;
}

/* The value at x, searching on from *at; NaN if there is none. */
static double value_at(const Series *series, double x, size_t *at)
{
    while (*at < series->count && series->points[*at].x < x) ++*at;
    return *at < series->count && series->points[*at].x <= x ? series->points[*at].y : (double)NAN;
}

bool series_mean(const Series *const *series, size_t count, RtArena *arena, Series *mean)
{
    *mean = (Series){0};
    size_t *at = rt_arena_alloc(arena, count * sizeof *at);
    if (!at) return false;
    for (size_t i = 0; count && i < series[0]->count; i++) {
        const double x = series[0]->points[i].x;
        double sum = 0;
        for (size_t s = 0; s < count; s++) sum += value_at(series[s], x, &at[s]);
        if (!isnan(sum) && !series_add(mean, arena, x, sum / (double)count)) return false;
    }
    return true;
}

/* The least and the greatest of points begin..end-1, in their order; a missing value if there is one, so that
 * gaps remain. */
static bool add_extremes(const Series *series, size_t begin, size_t end, RtArena *arena, Series *thin)
{
    size_t least = begin, most = begin;
    for (size_t i = begin; i < end; i++) {
        if (isnan(series->points[i].y)) return series_add(thin, arena, series->points[i].x, (double)NAN);
        if (series->points[i].y < series->points[least].y) least = i;
        if (series->points[i].y > series->points[most].y) most = i;
    }
    const SeriesPoint first = series->points[least < most ? least : most];
    const SeriesPoint second = series->points[least < most ? most : least];
    return series_add(thin, arena, first.x, first.y) &&
           (least == most || series_add(thin, arena, second.x, second.y));
}

bool series_thin(const Series *series, size_t most, RtArena *arena, Series *thin)
{
    *thin = *series;
    if (series->count <= most) return true;
    *thin = (Series){0};
    const size_t stretches = most / 2;
    for (size_t i = 0; i < stretches; i++) {
        size_t begin = series->count * i / stretches, end = series->count * (i + 1) / stretches;
        if (!add_extremes(series, begin, end, arena, thin)) return false;
    }
    return true;
}
