/* See rt_augment_color.h and rt_augment.h. Factors and weights are fixed-point numbers of 16 bits, so that
 * rounding does not depend on the order in which a compiler adds. */
#include "rt_augment_color.h"

#include <math.h>
#include <string.h>

enum { ONE = 1 << 16 };

float augment_unit(AugmentChance *chance)
{
    float value;
    rand_uniform(chance->key, chance->next, 1, 0.5f, &value);
    chance->next += RAND_GROUP;
    return value + 0.5f;
}

float augment_between(AugmentChance *chance, float least, float most)
{
    return least + augment_unit(chance) * (most - least);
}

/* ---- colours ---------------------------------------------------------------------------------------------
 */

static size_t pixels_of(const RtImage *image)
{
    return (size_t)image->width * (size_t)image->height;
}

/* ITU-R 601 luma, as Pillow rounds it. */
static int grey_of(const unsigned char *rgb)
{
    return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + (1 << 15)) >> 16;
}

/* value * factor + other * (1 - factor), 0..255. */
static unsigned char blended(int value, int other, int64_t factor)
{
    int64_t sum = value * factor + other * (ONE - factor) + ONE / 2;
    return (unsigned char)(sum < 0 ? 0 : sum >= 256 * (int64_t)ONE ? 255 : sum >> 16);
}

static void blend_all(RtImage *image, int other, int64_t factor)
{
    unsigned char table[256];
    for (int v = 0; v < 256; v++) table[v] = blended(v, other, factor);
    size_t samples = pixels_of(image) * 3;
    for (size_t i = 0; i < samples; i++) image->pixels[i] = table[image->pixels[i]];
}

/* Towards the mean of the picture's luma, or away from it. */
static void adjust_contrast(RtImage *image, int64_t factor)
{
    size_t pixels = pixels_of(image);
    uint64_t sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (uint64_t)grey_of(image->pixels + i * 3);
    blend_all(image, (int)((sum + pixels / 2) / pixels), factor);
}

static void adjust_saturation(RtImage *image, int64_t factor)
{
    size_t pixels = pixels_of(image);
    for (size_t i = 0; i < pixels; i++) {
        unsigned char *rgb = image->pixels + i * 3;
        int grey = grey_of(rgb);
        for (int c = 0; c < 3; c++) rgb[c] = blended(rgb[c], grey, factor);
    }
}

/* Where the colour stands on the circle, in sixths from red by yellow, green and blue; most > least. */
static float hue_of(const unsigned char *rgb, int most, int least)
{
    float range = (float)(most - least);
    if (rgb[0] == most) return (float)(rgb[1] - rgb[2]) / range + (rgb[1] < rgb[2] ? 6 : 0);
    if (rgb[1] == most) return (float)(rgb[2] - rgb[0]) / range + 2;
    return (float)(rgb[0] - rgb[1]) / range + 4;
}

/* A channel's share of the range between least and most, at a hue. */
static float channel_at(float sixths, int channel)
{
    float away = sixths - (float)(2 * channel);
    if (away < 0) away += 6;
    if (away > 3) away = 6 - away;
    return away <= 1 ? 1 : away >= 2 ? 0 : 2 - away;
}

static void turn_hue(RtImage *image, float turn)
{
    size_t pixels = pixels_of(image);
    for (size_t i = 0; i < pixels; i++) {
        unsigned char *rgb = image->pixels + i * 3;
        int most = rgb[0] > rgb[1] ? rgb[0] : rgb[1], least = rgb[0] < rgb[1] ? rgb[0] : rgb[1];
        if (rgb[2] > most) most = rgb[2];
        if (rgb[2] < least) least = rgb[2];
        if (most == least) continue;
        float hue = hue_of(rgb, most, least) + turn * 6;
        hue += hue < 0 ? 6 : hue >= 6 ? -6 : 0;
        for (int c = 0; c < 3; c++) {
            float share = channel_at(hue, c);
            rgb[c] = (unsigned char)((float)least + share * (float)(most - least) + 0.5f);
        }
    }
}

static void adjust(RtImage *image, int what, float by)
{
    int64_t factor = (int64_t)(by * ONE + 0.5f);
    if (what == 0) blend_all(image, 0, factor);
    if (what == 1) adjust_contrast(image, factor);
    if (what == 2) adjust_saturation(image, factor);
    if (what == 3) turn_hue(image, by);
}

void augment_jitter(RtImage *image, const float value[4], AugmentChance *chance)
{
    int order[4] = {0, 1, 2, 3};
    float by[4];
    for (int i = 3; i > 0; i--) {
        int other = (int)(augment_unit(chance) * (float)(i + 1)), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (int i = 0; i < 3; i++)
        by[i] = augment_between(chance, value[i] < 1 ? 1 - value[i] : 0, 1 + value[i]);
    by[3] = augment_between(chance, -value[3], value[3]);
    for (int i = 0; i < 4; i++)
        if (value[order[i]] > 0) adjust(image, order[i], by[order[i]]);
}

/* ---- blur ------------------------------------------------------------------------------------------------
 */

enum { MOST_TAPS = 255 };

/* taps weights whose sum is ONE. */
static void gaussian(int taps, double sigma, uint32_t weights[MOST_TAPS])
{
    double exact[MOST_TAPS], sum = 0;
    int64_t rest = ONE;
    for (int i = 0; i < taps; i++) {
        double away = (i - taps / 2) / sigma;
        sum += exact[i] = exp(-0.5 * away * away);
    }
    for (int i = 0; i < taps; i++) rest -= weights[i] = (uint32_t)(exact[i] / sum * ONE + 0.5);
    weights[taps / 2] = (uint32_t)(weights[taps / 2] + rest);
}

/* The place that stands for place i of n when the picture is mirrored at its outermost pixels. */
static int mirrored(int i, int n)
{
    int period = 2 * n - 2;
    if (n == 1) return 0;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
}

/* One row; padded has room for taps - 1 more pixels than it, sums for its samples. 8 bits more come out. */
static void blur_row(const unsigned char *row, int width, const uint32_t *weights, int taps,
                     unsigned char *padded, uint32_t *sums, uint16_t *to)
{
    size_t samples = (size_t)width * 3;
    for (int x = 0; x < width + taps - 1; x++)
        memcpy(padded + (size_t)x * 3, row + (size_t)mirrored(x - taps / 2, width) * 3, 3);
    memset(sums, 0, samples * sizeof *sums);
    for (int k = 0; k < taps; k++) {
        const unsigned char *from = padded + (size_t)k * 3;
        for (size_t i = 0; i < samples; i++) sums[i] += from[i] * weights[k];
    }
    for (size_t i = 0; i < samples; i++) to[i] = (uint16_t)((sums[i] + 128) >> 8);
}

static void blur_columns(const uint16_t *rows, RtImage *image, const uint32_t *weights, int taps,
                         uint32_t *sums)
{
    size_t samples = (size_t)image->width * 3;
    for (int y = 0; y < image->height; y++) {
        memset(sums, 0, samples * sizeof *sums);
        for (int k = 0; k < taps; k++) {
            const uint16_t *from = rows + (size_t)mirrored(y + k - taps / 2, image->height) * samples;
            for (size_t i = 0; i < samples; i++) sums[i] += from[i] * weights[k];
        }
        unsigned char *to = image->pixels + (size_t)y * samples;
        for (size_t i = 0; i < samples; i++) to[i] = (unsigned char)((sums[i] + (1 << 23)) >> 24);
    }
}

RtStatus augment_blur(RtImage *image, const float value[4], AugmentChance *chance, RtError *err)
{
    int taps = (int)value[0];
    uint32_t weights[MOST_TAPS];
    size_t samples = (size_t)image->width * 3;
    gaussian(taps, augment_between(chance, value[1], value[2]), weights);
    uint16_t *rows = rt_alloc(samples * (size_t)image->height * sizeof *rows);
    unsigned char *padded = rt_alloc(samples + (size_t)(taps - 1) * 3);
    uint32_t *sums = rt_alloc(samples * sizeof *sums);
    bool room = rows && padded && sums;
    for (int y = 0; room && y < image->height; y++)
        blur_row(image->pixels + (size_t)y * samples, image->width, weights, taps, padded, sums,
                 rows + (size_t)y * samples);
    if (room) blur_columns(rows, image, weights, taps, sums);
    rt_free(rows);
    rt_free(padded);
    rt_free(sums);
    if (room) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory to blur a picture of %dx%d", image->width, image->height);
}
