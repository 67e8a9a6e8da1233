/* See rt_crf.h.
 *
 * With the Potts model a message is, up to a constant over classes, the filtered probability of the class
 * itself. So an iteration is: filter the probabilities by both kernels (rt_lattice.h), add the results to the
 * scores, and take the softmax; the last one takes the greatest instead. Scores are never stored at the
 * picture's size: each iteration interpolates them again, which costs less than reading them would. The
 * probabilities are stored once, pixel by pixel, in whole vectors of classes; the classes that fill the last
 * vector have scores so low that their probability is 0. */
#include "rt_crf.h"

#include "rt_lattice.h"
#include "rt_picture.h"
#include "rt_program.h"
#include "rt_session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LANES = PICTURE_MAX_CLASSES / LANES };

static const float NO_SCORE = -1e30f;
/* Deviations below this would make features so large that floats can't tell neighbours apart. */
static const double LEAST_DEVIATION = 0.1;

CrfSettings crf_defaults(void)
{
    return (CrfSettings){.w1 = 4, .xy = 67, .rgb = 3, .w2 = 3, .gxy = 3, .iterations = 10};
}

/* A number of the settings, by its name. */
static float *find_number(CrfSettings *settings, const char *name, size_t length, double *least)
{
    const struct {
        const char *name;
        float *value;
        double least;
    } numbers[] = {{"w1", &settings->w1, 0},
                   {"xy", &settings->xy, LEAST_DEVIATION},
                   {"rgb", &settings->rgb, LEAST_DEVIATION},
                   {"w2", &settings->w2, 0},
                   {"gxy", &settings->gxy, LEAST_DEVIATION}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strlen(numbers[i].name) != length || strncmp(numbers[i].name, name, length) != 0) continue;
        *least = numbers[i].least;
        return numbers[i].value;
    }
    return NULL;
}

static RtStatus parse_one(const char *text, size_t length, CrfSettings *settings, RtError *err)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals ? (size_t)(equals - text) : length;
    double least, value = 0;
    char *end = NULL;
    bool counts = name == strlen("iterations") && !strncmp(text, "iterations", name);
    float *number = counts ? NULL : find_number(settings, text, name, &least);
    if (!equals || (!counts && !number))
        return rt_fail(err, RT_USAGE,
                       "--crf %.*s: expected NAME=VALUE, with a NAME of w1, xy, rgb, w2, gxy, iterations",
                       (int)length, text);
    value = strtod(equals + 1, &end);
    bool whole = end == text + length && end > equals + 1;
    if (counts && whole && value >= 1 && value <= 1000 && value == floor(value)) {
        settings->iterations = (int64_t)value;
        return RT_OK;
    }
    if (counts)
        return rt_fail(err, RT_USAGE, "--crf %.*s: expected a whole number from 1 to 1000", (int)length,
                       text);
    if (!whole || !(value >= least && value <= 1e6))
        return rt_fail(err, RT_USAGE, "--crf %.*s: expected a number from %g to 1e6", (int)length, text,
                       least);
    *number = (float)value;
    return RT_OK;
}

RtStatus crf_parse(const char *text, CrfSettings *settings, RtError *err)
{
    RtStatus status = RT_OK;
    while (*text && !status) {
        size_t length = strcspn(text, ",");
        status = parse_one(text, length, settings, err);
        text += length + (text[length] == ',' && text[length + 1]);
        if (!status && text[0] == ',') return rt_fail(err, RT_USAGE, "--crf: a setting is missing after ','");
    }
    return status;
}

/* Where a row or column of the picture lies among the scores. */
typedef struct Between {
    int32_t before, after;
    float part; /* of the way to after */
} Between;

typedef struct Crf {
    const RtImage *rgb;
    const CrfScores *scores;
    CrfSettings settings;
    int lanes;    /* of a pixel's classes */
    Lanes *score; /* by score position: the planes, position by position */
    Between *row, *column;
    Lanes *probability; /* by pixel */
    Lattice *bilateral, *spatial;
    bool last;
    RtImage *classes;
} Crf;

static void find_between(int from, int to, bool align_corners, Between *between)
{
    double scale = !align_corners ? (double)from / to : to > 1 ? (double)(from - 1) / (to - 1) : 0;
    for (int i = 0; i < to; i++) {
        double at = align_corners ? i * scale : (i + 0.5) * scale - 0.5;
        if (at < 0) at = 0;
        int before = (int)at;
        if (before > from - 1) before = from - 1;
        between[i] = (Between){before, before + (before < from - 1), (float)(at - before)};
    }
}

static void transpose_row(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Crf *crf = context;
    const CrfScores *scores = crf->scores;
    int64_t plane = (int64_t)scores->height * scores->width;
    for (int64_t i = begin * scores->width; i < end * scores->width; i++) {
        float *to = (float *)(crf->score + i * crf->lanes);
        for (int c = 0; c < crf->lanes * LANES; c++)
            to[c] = c < scores->classes ? scores->planes[c * plane + i] : NO_SCORE;
    }
}

static void interpolate(const Crf *crf, Between y, Between x, Lanes *to)
{
    int64_t width = crf->scores->width;
    const Lanes *a = crf->score + (y.before * width + x.before) * crf->lanes;
    const Lanes *b = crf->score + (y.before * width + x.after) * crf->lanes;
    const Lanes *c = crf->score + (y.after * width + x.before) * crf->lanes;
    const Lanes *d = crf->score + (y.after * width + x.after) * crf->lanes;
    for (int l = 0; l < crf->lanes; l++) {
        Lanes above = a[l] + x.part * (b[l] - a[l]), below = c[l] + x.part * (d[l] - c[l]);
        to[l] = above + y.part * (below - above);
    }
}

typedef int32_t Bits __attribute__((vector_size(16), may_alias));

/* e^x for x <= 0, to 2e-7 of it; 0 below -60, so that probabilities never become denormal numbers, on which
 * processors are slow. 2^t is the power of the nearest whole number, which adding 1.5 * 2^23 leaves in the
 * last bits, times a Taylor polynomial for the rest. */
static Lanes exponential(Lanes x)
{
    const float magic = 12582912;
    Bits kept = x > -60.0f;
    Lanes t = x * 1.44269504f, rounded = t + magic, rest = t - (rounded - magic);
    Lanes sum = 1.5403530e-4f * rest + 1.3333558e-3f;
    sum = sum * rest + 9.6181291e-3f;
    sum = sum * rest + 5.5504109e-2f;
    sum = sum * rest + 2.4022651e-1f;
    sum = sum * rest + 6.9314718e-1f;
    sum = sum * rest + 1.0f;
    Bits power = ((Bits)rounded - 0x4B400000 + 127) << 23;
    return (Lanes)((Bits)(sum * (Lanes)power) & kept);
}

static float greatest(const Lanes *values, int lanes)
{
    Lanes best = values[0];
    for (int l = 1; l < lanes; l++) {
        Bits more = values[l] > best;
        best = (Lanes)(((Bits)values[l] & more) | ((Bits)best & ~more));
    }
    float left = best[0] > best[1] ? best[0] : best[1], right = best[2] > best[3] ? best[2] : best[3];
    return left > right ? left : right;
}

static void softmax(const Lanes *values, int lanes, Lanes *to)
{
    float most = greatest(values, lanes);
    Lanes sum = {0};
    for (int l = 0; l < lanes; l++) {
        to[l] = exponential(values[l] - most);
        sum += to[l];
    }
    float factor = 1 / (sum[0] + sum[1] + sum[2] + sum[3]);
    for (int l = 0; l < lanes; l++) to[l] *= factor;
}

static int first_greatest(const float *values, int count)
{
    int best = 0;
    for (int c = 1; c < count; c++)
        if (values[c] > values[best]) best = c;
    return best;
}

/* Scores, and what the filters say to them, which they do from the second time on. */
static void update_row(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Crf *crf = context;
    int width = crf->rgb->width;
    Lanes sums[MOST_LANES];
    for (int64_t i = begin * width; i < end * width; i++) {
        interpolate(crf, crf->row[i / width], crf->column[i % width], sums);
        if (crf->bilateral) lattice_gather(crf->bilateral, i, crf->settings.w1, sums);
        if (crf->spatial) lattice_gather(crf->spatial, i, crf->settings.w2, sums);
        if (crf->last)
            crf->classes->pixels[i] =
                (unsigned char)first_greatest((const float *)sums, crf->scores->classes);
        else
            softmax(sums, crf->lanes, crf->probability + i * crf->lanes);
    }
}

static void place_and_color(const void *context, int64_t point, float *feature)
{
    const Crf *crf = context;
    const unsigned char *color = crf->rgb->pixels + point * 3;
    feature[0] = (float)(point % crf->rgb->width) / crf->settings.xy;
    feature[1] = (float)(point / crf->rgb->width) / crf->settings.xy;
    for (int c = 0; c < 3; c++) feature[2 + c] = (float)color[c] / crf->settings.rgb;
}

static void place(const void *context, int64_t point, float *feature)
{
    const Crf *crf = context;
    feature[0] = (float)(point % crf->rgb->width) / crf->settings.gxy;
    feature[1] = (float)(point / crf->rgb->width) / crf->settings.gxy;
}

static RtStatus open_kernels(const Crf *crf, Pool *pool, Lattice *kernels[2], RtError *err)
{
    LatticePoints points = {.count = (int64_t)crf->rgb->width * crf->rgb->height, .width = crf->lanes};
    points.context = crf;
    points.dims = 5;
    points.feature = place_and_color;
    RtStatus status = lattice_open(&points, pool, &kernels[0], err);
    points.dims = 2;
    points.feature = place;
    if (!status) status = lattice_open(&points, pool, &kernels[1], err);
    for (int k = 0; k < 2 && !status; k++) lattice_normalise(kernels[k], pool);
    return status;
}

static RtStatus allocate(Crf *crf, RtError *err)
{
    size_t pixels = (size_t)crf->rgb->width * (size_t)crf->rgb->height;
    size_t positions = (size_t)crf->scores->width * (size_t)crf->scores->height;
    size_t row = sizeof(Lanes) * (size_t)crf->lanes;
    crf->score = rt_alloc(positions * row);
    crf->row = rt_alloc((size_t)crf->rgb->height * sizeof *crf->row);
    crf->column = rt_alloc((size_t)crf->rgb->width * sizeof *crf->column);
    crf->probability = rt_alloc(pixels * row);
    if (crf->score && crf->row && crf->column && crf->probability) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for the probabilities of %d classes in %dx%d pixels",
                   crf->scores->classes, crf->rgb->width, crf->rgb->height);
}

static void iterate(Crf *crf, Pool *pool, Lattice *const kernels[2])
{
    pool_run(pool, crf->scores->height, transpose_row, crf);
    find_between(crf->scores->height, crf->rgb->height, crf->scores->align_corners, crf->row);
    find_between(crf->scores->width, crf->rgb->width, crf->scores->align_corners, crf->column);
    pool_run(pool, crf->rgb->height, update_row, crf);
    crf->bilateral = kernels[0];
    crf->spatial = kernels[1];
    for (int64_t i = 1; i <= crf->settings.iterations; i++) {
        for (int k = 0; k < 2; k++) lattice_blur(kernels[k], crf->probability, pool);
        crf->last = i == crf->settings.iterations;
        pool_run(pool, crf->rgb->height, update_row, crf);
    }
}

RtStatus crf_classes(const RtImage *rgb, const CrfScores *scores, const CrfSettings *settings, Pool *pool,
                     RtImage *classes, RtError *err)
{
    Crf crf = {.rgb = rgb, .scores = scores, .settings = *settings, .classes = classes};
    crf.lanes = (scores->classes + LANES - 1) / LANES;
    Lattice *kernels[2] = {NULL, NULL};
    RtStatus status = image_new(classes, rgb->width, rgb->height, 1, err);
    if (!status) status = allocate(&crf, err);
    if (!status) status = open_kernels(&crf, pool, kernels, err);
    if (!status) iterate(&crf, pool, kernels);
    for (int k = 0; k < 2; k++) lattice_close(kernels[k]);
    rt_free(crf.score);
    rt_free(crf.row);
    rt_free(crf.column);
    rt_free(crf.probability);
    if (status) image_free(classes);
    return status;
}

RtStatus crf_check(const ProgramHeader *header, RtError *err)
{
    const ProgramTensor *scores = program_scores(header);
    if (scores && scores->dims[1] >= 2) return RT_OK;
    return rt_fail(err, RT_USAGE, "%s has no scores of classes, which --crf needs (`info` lists the outputs)",
                   program_text(header, header->name));
}

RtStatus crf_picture(SegrtSession *session, int64_t index, const RtImage *rgb, const CrfSettings *settings,
                     RtImage *classes, RtError *err)
{
    const ProgramTensor *tensor = program_scores(session_program(session));
    const float *all = session_address(session, tensor);
    CrfScores scores = {.planes = all + index * tensor->dims[1] * tensor->dims[2] * tensor->dims[3],
                        .classes = (int)tensor->dims[1],
                        .height = (int)tensor->dims[2],
                        .width = (int)tensor->dims[3],
                        .align_corners = tensor->align_corners != 0};
    return crf_classes(rgb, &scores, settings, session_pool(session), classes, err);
}
