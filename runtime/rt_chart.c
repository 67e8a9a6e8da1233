/* See rt_chart.h. Coordinates are in the units of the viewBox, about a pixel of a page. */
#include "rt_chart.h"

#include <math.h>
#include <string.h>

enum {
    WIDTH = 620,
    LEFT = 52,
    RIGHT = 24,
    TOP = 38,
    PLOT_HEIGHT = 216,
    BELOW = 46,       /* tick labels and title of the x axis */
    LEGEND_LINE = 19, /* height of a row of the legend */
    LEGEND_SWATCH = 26,
    CHARACTER = 7, /* of the legend: an upper estimate of the mean width */
    MOST_POINTS = 500,
    MARKED_POINTS = 40, /* more dots would touch each other */
};

/* A thin line may widen the range of the thick ones by this share of it; what is beyond is cut off. */
static const double THIN_SHARE = 0.75;

ChartTicks chart_ticks(double least, double most, int intervals)
{
    if (!(most > least)) {
        const double around = fabs(least) * 0.5;
        least -= around;
        most = around > 0 ? most + around : 1;
    }
    static const double steps[] = {1, 2, 5, 10, 20, 50};
    double power = pow(10, floor(log10((most - least) / intervals)));
    ChartTicks ticks = {0};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        /* A limit that is a multiple but for rounding counts as one. */
        ticks.step = steps[i] * power;
        double from = floor(least / ticks.step + 1e-9), to = ceil(most / ticks.step - 1e-9);
        ticks.first = from * ticks.step;
        ticks.count = (int)(to - from) + 1;
        if (ticks.count - 1 <= intervals) break;
    }
    return ticks;
}

typedef struct Range {
    double least, most; /* least > most: empty */
} Range;

static const Range EMPTY = {INFINITY, -INFINITY};

static void include(Range *range, double value)
{
    if (value < range->least) range->least = value;
    if (value > range->most) range->most = value;
}

static void include_line(const Series *series, Range *x, Range *y)
{
    for (size_t i = 0; i < series->count; i++) {
        include(x, series->points[i].x);
        include(y, series->points[i].y); /* NaN compares false */
    }
}

typedef struct Frame {
    const Chart *chart;
    TextOut *out;
    RtArena *arena;
    ChartTicks x, y;
    double x_most; /* the frame ends here, not at a tick: curves fill it */
    double scale;  /* y labels are divided by it: a power of ten */
    int power;
    int clip; /* number of its clipping path, unique in the page */
} Frame;

static Frame make_frame(const Chart *chart, RtArena *arena, TextOut *out)
{
    Range x = EMPTY, thick = EMPTY, thin = EMPTY;
    for (size_t i = 0; i < chart->line_count; i++)
        include_line(chart->lines[i].series, &x, chart->lines[i].weight == CHART_THIN ? &thin : &thick);
    if (thick.least > thick.most) thick = thin;
    double room = (thick.most - thick.least) * THIN_SHARE;
    if (room > 0 && thin.least <= thin.most) {
        include(&thick, fmax(thin.least, thick.least - room));
        include(&thick, fmin(thin.most, thick.most + room));
    }
    if (chart->from_zero) include(&thick, 0);
    if (x.least > x.most) x = (Range){0, 1};
    if (thick.least > thick.most) thick = (Range){0, 1};
    Frame frame = {.chart = chart, .out = out, .arena = arena, .scale = 1};
    frame.x = chart_ticks(fmin(0, x.least), x.most, 8);
    frame.x_most = fmax(x.most, frame.x.first + frame.x.step * 0.5);
    frame.y = chart_ticks(thick.least, thick.most, 6);
    double largest = fmax(fabs(frame.y.first), fabs(frame.y.first + frame.y.step * (frame.y.count - 1)));
    if (largest < 0.01 || largest >= 1e5) frame.power = (int)floor(log10(largest));
    frame.scale = pow(10, frame.power);
    frame.clip = (int)out->size; /* no two charts begin at the same place */
    return frame;
}

static double x_at(const Frame *frame, double x)
{
    return LEFT + (x - frame->x.first) / (frame->x_most - frame->x.first) * (WIDTH - LEFT - RIGHT);
}

static double y_at(const Frame *frame, double y)
{
    return TOP + PLOT_HEIGHT - (y - frame->y.first) / (frame->y.step * (frame->y.count - 1)) * PLOT_HEIGHT;
}

/* Digits after the point that tell multiples of step apart. */
static int decimals(double step)
{
    int digits = (int)ceil(-log10(step) - 1e-9);
    return digits > 0 ? digits : 0;
}

static void draw_axes(const Frame *frame)
{
    TextOut *out = frame->out;
    for (int i = 0; i < frame->y.count; i++) {
        double value = frame->y.first + frame->y.step * i, y = y_at(frame, value);
        text_out(out, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", i ? "grid" : "axis",
                 LEFT, WIDTH - RIGHT, y, y);
        text_out(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n", LEFT - 7, y + 4,
                 decimals(frame->y.step / frame->scale), value / frame->scale);
    }
    for (int i = 0; i < frame->x.count; i++) {
        double value = frame->x.first + frame->x.step * i, x = x_at(frame, value);
        if (value > frame->x_most * (1 + 1e-9)) break;
        text_out(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x, x,
                 TOP + PLOT_HEIGHT, TOP + PLOT_HEIGHT + 4);
        text_out(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.*f</text>\n", x,
                 TOP + PLOT_HEIGHT + 18, decimals(frame->x.step), value);
    }
    text_out(out, "<text class=\"of\" x=\"%d\" y=\"%d\" text-anchor=\"end\">", WIDTH - RIGHT,
             TOP + PLOT_HEIGHT + 35);
    text_out_html(out, frame->chart->x_title);
    text_out(out, "</text>\n");
}

static void draw_title(const Frame *frame)
{
    text_out(frame->out, "<text class=\"title\" x=\"0\" y=\"16\">");
    text_out_html(frame->out, frame->chart->title);
    if (frame->power)
        text_out(
            frame->out,
            "<tspan class=\"of\" dx=\"8\">\xc3\x97 10<tspan class=\"power\" dy=\"-5\">%s%d</tspan></tspan>",
            frame->power < 0 ? "\xe2\x88\x92" : "", frame->power < 0 ? -frame->power : frame->power);
    text_out(frame->out, "</text>\n");
}

/* "k3", and "k3 dashed" the second time round. */
static void write_color(TextOut *out, int color)
{
    text_out(out, "k%d%s", color % CHART_COLORS, color / CHART_COLORS % 2 ? " dashed" : "");
}

static void draw_path(const Frame *frame, const Series *series)
{
    bool down = false; /* the pen: lifted where a value is missing */
    text_out(frame->out, " d=\"");
    for (size_t i = 0; i < series->count; i++) {
        const SeriesPoint *point = &series->points[i];
        bool is_there = !isnan(point->y);
        if (is_there)
            text_out(frame->out, "%c%.1f %.1f", down ? 'L' : 'M', x_at(frame, point->x),
                     y_at(frame, point->y));
        down = is_there;
    }
    text_out(frame->out, "\"");
}

static void draw_dots(const Frame *frame, const ChartLine *line)
{
    for (size_t i = 0; i < line->series->count; i++) {
        const SeriesPoint *point = &line->series->points[i];
        if (isnan(point->y)) continue;
        text_out(frame->out, "<circle class=\"dot k%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n",
                 line->color % CHART_COLORS, x_at(frame, point->x), y_at(frame, point->y));
    }
}

/* Beyond memory for fewer points, all are drawn. */
static void draw_line(const Frame *frame, const ChartLine *line)
{
    static const char *const weights[] = {"thin", "thick", "thick"};
    Series thin;
    if (!series_thin(line->series, MOST_POINTS, frame->arena, &thin)) thin = *line->series;
    text_out(frame->out, "<path class=\"%s ", weights[line->weight]);
    write_color(frame->out, line->color);
    text_out(frame->out, "\"");
    draw_path(frame, &thin);
    text_out(frame->out, "><title>");
    text_out_html(frame->out, line->name);
    text_out(frame->out, "</title></path>\n");
    bool dotted = line->weight == CHART_MARKED || line->series->count == 1;
    if (dotted && line->series->count <= MARKED_POINTS) draw_dots(frame, line);
}

/* Places the names in rows, left to right, and draws them if asked to; returns the number of rows. */
static int lay_legend(const Frame *frame, bool draw)
{
    const Chart *chart = frame->chart;
    int x = LEFT, row = 0;
    for (size_t i = 0; i < chart->name_count; i++) {
        int width = LEGEND_SWATCH + (int)strlen(chart->names[i].name) * CHARACTER + 12;
        if (x > LEFT && x + width > WIDTH) x = LEFT, row++;
        int y = TOP + PLOT_HEIGHT + BELOW + row * LEGEND_LINE + 10;
        if (draw) {
            text_out(frame->out, "<path class=\"thick ");
            write_color(frame->out, chart->names[i].color);
            text_out(frame->out, "\" d=\"M%d %dh18\"/><text x=\"%d\" y=\"%d\">", x, y - 4, x + LEGEND_SWATCH,
                     y);
            text_out_html(frame->out, chart->names[i].name);
            text_out(frame->out, "</text>\n");
        }
        x += width;
    }
    return chart->name_count ? row + 1 : 0;
}

void chart_draw(const Chart *chart, RtArena *arena, TextOut *out)
{
    Frame frame = make_frame(chart, arena, out);
    int height = TOP + PLOT_HEIGHT + BELOW + lay_legend(&frame, false) * LEGEND_LINE;
    text_out(out,
             "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
             "aria-label=\"",
             WIDTH, height);
    text_out_html(out, chart->title);
    text_out(out,
             "\">\n<clipPath id=\"clip%d\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n",
             frame.clip, LEFT - 4, TOP - 4, WIDTH - LEFT - RIGHT + 8, PLOT_HEIGHT + 8);
    draw_title(&frame);
    draw_axes(&frame);
    text_out(out, "<g clip-path=\"url(#clip%d)\">\n", frame.clip);
    for (size_t pass = 0; pass < 2; pass++) { /* thick ones over thin ones */
        for (size_t i = 0; i < chart->line_count; i++) {
            if ((chart->lines[i].weight != CHART_THIN) == pass) draw_line(&frame, &chart->lines[i]);
        }
    }
    text_out(out, "</g>\n");
    lay_legend(&frame, true);
    text_out(out, "</svg>\n");
}
