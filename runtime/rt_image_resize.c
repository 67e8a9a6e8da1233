/* Resizing; see rt_image.h.
 *
 * The filtered bilinear is defined by Pillow (src/libImaging/Resample.c): every output sample is a weighted
 * sum of the input samples within reach of its centre; the weights form a triangle whose half-width is one
 * input pixel, or one output pixel when that is larger. They are computed in double, normalised, rounded to
 * 22 bits, and applied along x, rounding to 8 bits, then along y (Pillow 12 and later turn the order round
 * when the height shrinks much more than the width, which can change a sample by 1). Networks fed by
 * torchvision saw exactly these numbers, and the tests compare them one by one, so the order of the
 * floating-point operations matters here. */
#include "rt_image_codec.h"

#include <math.h>
#include <string.h>

enum { WEIGHT_BITS = 22 };

/* The weights of one axis: output i is the sum over k < count[i] of weights[i * taps + k] * input[first[i] +
 * k]. */
typedef struct Filter {
    int taps; /* room per output */
    int *first, *count;
    int32_t *weights;
} Filter;

static void filter_free(Filter *filter)
{
    rt_free(filter->first);
    rt_free(filter->count);
    rt_free(filter->weights);
    *filter = (Filter){0};
}

/* Weights of output i, exact[] being room for them before rounding. */
static void filter_fill(Filter *filter, int i, int in, double scale, double *exact)
{
    double reach = scale < 1 ? 1 : scale, center = (i + 0.5) * scale, shrink = 1 / reach, sum = 0;
    int first = (int)(center - reach + 0.5), end = (int)(center + reach + 0.5);
    if (first < 0) first = 0;
    if (end > in) end = in;
    for (int k = 0; k < end - first; k++) {
        double distance = fabs((k + first - center + 0.5) * shrink);
        exact[k] = distance < 1 ? 1 - distance : 0;
        sum += exact[k];
    }
    int32_t *weights = filter->weights + (size_t)i * (size_t)filter->taps;
    for (int k = 0; k < end - first; k++) {
        double weight = sum != 0 ? exact[k] / sum : exact[k];
        weights[k] = (int32_t)(0.5 + weight * (1 << WEIGHT_BITS));
    }
    filter->first[i] = first;
    filter->count[i] = end - first;
}

static RtStatus filter_new(Filter *filter, int in, int out, RtError *err)
{
    double scale = (double)in / out;
    *filter = (Filter){.taps = 2 * (int)ceil(scale < 1 ? 1 : scale) + 1};
    size_t weights = (size_t)out * (size_t)filter->taps;
    filter->first = rt_alloc((size_t)out * sizeof *filter->first);
    filter->count = rt_alloc((size_t)out * sizeof *filter->count);
    filter->weights = rt_alloc(weights * sizeof *filter->weights);
    double *exact = rt_alloc((size_t)filter->taps * sizeof *exact);
    if (!filter->first || !filter->count || !filter->weights || !exact) {
        filter_free(filter);
        rt_free(exact);
        return image_no_memory("resize", weights * sizeof *filter->weights, err);
    }
    for (int i = 0; i < out; i++) filter_fill(filter, i, in, scale, exact);
    rt_free(exact);
    return RT_OK;
}

static unsigned char round_weighted(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return (unsigned char)(value > 255 ? 255 : value);
}

/* Along x: every row of from becomes the row of to. */
static void filter_rows(const Filter *filter, const RtImage *from, RtImage *to)
{
    int channels = from->channels;
    for (int y = 0; y < from->height; y++) {
        const unsigned char *in = from->pixels + (size_t)y * (size_t)(from->width * channels);
        unsigned char *out = to->pixels + (size_t)y * (size_t)(to->width * channels);
        for (int x = 0; x < to->width; x++, out += channels) {
            const int32_t *weights = filter->weights + (size_t)x * (size_t)filter->taps;
            const unsigned char *pixel = in + (size_t)filter->first[x] * (size_t)channels;
            int32_t sum[3] = {1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1), 1 << (WEIGHT_BITS - 1)};
            for (int k = 0; k < filter->count[x]; k++, pixel += channels) {
                sum[0] += pixel[0] * weights[k];
                if (channels == 1) continue;
                sum[1] += pixel[1] * weights[k];
                sum[2] += pixel[2] * weights[k];
            }
            for (int c = 0; c < channels; c++) out[c] = round_weighted(sum[c]);
        }
    }
}

/* Along y: whole rows are weighted and added, which the compiler vectorises. sums is room for one row. */
static void filter_columns(const Filter *filter, const RtImage *from, RtImage *to, int32_t *sums)
{
    size_t stride = (size_t)(from->width * from->channels);
    for (int y = 0; y < to->height; y++) {
        for (size_t x = 0; x < stride; x++) sums[x] = 1 << (WEIGHT_BITS - 1);
        for (int k = 0; k < filter->count[y]; k++) {
            const unsigned char *in = from->pixels + (size_t)(filter->first[y] + k) * stride;
            int32_t weight = filter->weights[(size_t)y * (size_t)filter->taps + (size_t)k];
            for (size_t x = 0; x < stride; x++) sums[x] += in[x] * weight;
        }
        unsigned char *out = to->pixels + (size_t)y * stride;
        for (size_t x = 0; x < stride; x++) out[x] = round_weighted(sums[x]);
    }
}

static RtStatus resize_x(const RtImage *from, int width, RtImage *to, RtError *err)
{
    Filter filter;
    RtStatus status = image_new(to, width, from->height, from->channels, err);
    if (!status) status = filter_new(&filter, from->width, width, err);
    if (status) return status;
    filter_rows(&filter, from, to);
    filter_free(&filter);
    return RT_OK;
}

static RtStatus resize_y(const RtImage *from, int height, RtImage *to, RtError *err)
{
    Filter filter;
    RtStatus status = image_new(to, from->width, height, from->channels, err);
    if (!status) status = filter_new(&filter, from->height, height, err);
    if (status) return status;
    size_t size = (size_t)(from->width * from->channels) * sizeof(int32_t);
    int32_t *sums = rt_alloc(size);
    if (sums)
        filter_columns(&filter, from, to, sums);
    else
        status = image_no_memory("resize", size, err);
    rt_free(sums);
    filter_free(&filter);
    return status;
}

static RtStatus copy_image(const RtImage *from, RtImage *to, RtError *err)
{
    RtStatus status = image_new(to, from->width, from->height, from->channels, err);
    if (status) return status;
    memcpy(to->pixels, from->pixels, (size_t)from->width * (size_t)from->height * (size_t)from->channels);
    return RT_OK;
}

RtStatus image_resize_bilinear(const RtImage *from, int width, int height, RtImage *to, RtError *err)
{
    *to = (RtImage){0};
    RtStatus status = RT_OK;
    if (width < 1 || height < 1)
        return rt_fail(err, RT_BUG, "image_resize_bilinear: to %dx%d", width, height);
    if (width == from->width && height == from->height) return copy_image(from, to, err);
    if (width == from->width) {
        status = resize_y(from, height, to, err);
    } else if (height == from->height) {
        status = resize_x(from, width, to, err);
    } else {
        RtImage wide = {0};
        status = resize_x(from, width, &wide, err);
        if (!status) status = resize_y(&wide, height, to, err);
        image_free(&wide);
    }
    if (status) image_free(to);
    return status;
}

/* The input position of each output position. Pillow adds the step up instead of multiplying, and the last
 * bit of that sum decides at ties. */
static int *nearest_positions(int in, int out, RtError *err)
{
    int *positions = rt_alloc((size_t)out * sizeof *positions);
    if (!positions) {
        image_no_memory("resize", (size_t)out * sizeof *positions, err);
        return NULL;
    }
    double step = (double)in / out, at = step * 0.5;
    for (int i = 0; i < out; i++, at += step) positions[i] = at < in ? (int)at : in - 1;
    return positions;
}

/* Pixels of size bytes each, from in to out. */
static RtStatus pick_nearest(const void *from, int from_width, int from_height, void *to, int width,
                             int height, size_t size, RtError *err)
{
    int *columns = nearest_positions(from_width, width, err);
    int *rows = nearest_positions(from_height, height, err);
    if (columns && rows) {
        unsigned char *out = to;
        for (int y = 0; y < height; y++) {
            const unsigned char *in =
                (const unsigned char *)from + (size_t)rows[y] * (size_t)from_width * size;
            for (int x = 0; x < width; x++, out += size) memcpy(out, in + (size_t)columns[x] * size, size);
        }
    }
    RtStatus status = columns && rows ? RT_OK : RT_MACHINE;
    rt_free(columns);
    rt_free(rows);
    return status;
}

RtStatus image_resize_nearest(const RtImage *from, int width, int height, RtImage *to, RtError *err)
{
    RtStatus status = image_new(to, width, height, from->channels, err);
    if (status) return status;
    status = pick_nearest(from->pixels, from->width, from->height, to->pixels, width, height,
                          (size_t)from->channels, err);
    if (status) image_free(to);
    return status;
}

RtStatus image_resize_labels(const RtLabels *from, int width, int height, RtLabels *to, RtError *err)
{
    *to = (RtLabels){0};
    if (width < 1 || height < 1) return rt_fail(err, RT_BUG, "image_resize_labels: to %dx%d", width, height);
    RtStatus status = image_check_size("resize", (uint64_t)width, (uint64_t)height, err);
    if (status) return status;
    size_t pixel = from->ids ? sizeof *from->ids : 3, size = (size_t)width * (size_t)height * pixel;
    void *pixels = rt_alloc(size);
    if (!pixels) return image_no_memory("resize", size, err);
    *to = (RtLabels){.width = width, .height = height, .palette = from->palette};
    to->ids = from->ids ? pixels : NULL;
    to->colors = from->ids ? NULL : pixels;
    status = pick_nearest(from->ids ? (const void *)from->ids : from->colors, from->width, from->height,
                          pixels, width, height, pixel, err);
    if (status) image_labels_free(to);
    return status;
}

/* The two neighbours of an output position and how far it is from the first towards the second. */
typedef struct Between {
    int low, high;
    float part;
} Between;

static Between *between_new(int in, int out, RtError *err)
{
    Between *places = rt_alloc((size_t)out * sizeof *places);
    if (!places) {
        image_no_memory("resize", (size_t)out * sizeof *places, err);
        return NULL;
    }
    double scale = (double)in / out;
    for (int i = 0; i < out; i++) {
        double at = (i + 0.5) * scale - 0.5;
        if (at < 0) at = 0;
        int low = (int)at < in - 1 ? (int)at : in - 1;
        places[i] = (Between){low, low + 1 < in ? low + 1 : low, (float)(at - low)};
    }
    return places;
}

static void blend_channel(const RtImage *from, int channel, const Between *columns, int width,
                          const Between *rows, int height, float *plane)
{
    int step = from->channels;
    size_t stride = (size_t)(from->width * step);
    for (int y = 0; y < height; y++) {
        const unsigned char *low = from->pixels + (size_t)rows[y].low * stride + channel;
        const unsigned char *high = from->pixels + (size_t)rows[y].high * stride + channel;
        float down = rows[y].part;
        for (int x = 0; x < width; x++) {
            int left = columns[x].low * step, right = columns[x].high * step;
            float along = columns[x].part;
            float upper = (float)low[left] + along * (float)(low[right] - low[left]);
            float lower = (float)high[left] + along * (float)(high[right] - high[left]);
            *plane++ = upper + down * (lower - upper);
        }
    }
}

RtStatus image_resize_planes(const RtImage *from, int width, int height, float *const planes[], RtError *err)
{
    if (width < 1 || height < 1) return rt_fail(err, RT_BUG, "image_resize_planes: to %dx%d", width, height);
    Between *columns = between_new(from->width, width, err);
    Between *rows = between_new(from->height, height, err);
    RtStatus status = columns && rows ? RT_OK : RT_MACHINE;
    if (!status) {
        for (int c = 0; c < from->channels; c++)
            blend_channel(from, c, columns, width, rows, height, planes[c]);
    }
    rt_free(columns);
    rt_free(rows);
    return status;
}
