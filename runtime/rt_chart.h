/* Line charts as SVG elements inside an HTML page: axes with round ticks, lines, a legend. No script, no
 * outside resource. Colours are the page's, by classes, so that they follow its light or dark theme:
 *
 *     .chart            text colour and font        .grid, .axis       lines of the frame
 *     .k0 ... .k9       stroke and fill of colour 0..9
 *     .thin, .thick     weights of lines            .dot               markers
 *
 * A chart points to its lines and names and owns nothing.
 */
#ifndef RT_CHART_H
#define RT_CHART_H

#include "rt_series.h"
#include "rt_text_out.h"

enum { CHART_COLORS = 10 };

typedef enum ChartWeight {
    CHART_THIN,   /* one run as logged */
    CHART_THICK,  /* what to look at */
    CHART_MARKED, /* thick, with a dot at each point */
} ChartWeight;

typedef struct ChartLine {
    const Series *series;
    const char *name; /* shown when the pointer rests on it */
    int color;        /* 0 and up; from CHART_COLORS on they come again, dashed */
    ChartWeight weight;
} ChartLine;

typedef struct ChartName {
    const char *name;
    int color;
} ChartName;

typedef struct Chart {
    const char *title, *x_title;
    const ChartLine *lines;
    size_t line_count;
    const ChartName *names; /* of the legend */
    size_t name_count;
    bool from_zero; /* the y axis begins at 0 */
} Chart;

void chart_draw(const Chart *chart, RtArena *arena, TextOut *out);

/* Ticks at multiples of step, which is 1, 2 or 5 times a power of ten: count of them from first on, the
 * fewest that enclose least..most in at most `intervals` steps. */
typedef struct ChartTicks {
    double first, step;
    int count;
} ChartTicks;
ChartTicks chart_ticks(double least, double most, int intervals);

#endif
