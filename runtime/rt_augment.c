/* See rt_augment.h. Each operation reads the picture, and its ids beside it, and replaces both. */
#include "rt_augment.h"

#include "rt_augment_color.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DRAWS = 64,     /* numbers that an operation may draw for one sample */
    CROP_TRIES = 10 /* torchvision's */
};

const ProgramAugment *augment_of_stream(const ProgramHeader *header, const char *stream, size_t *count)
{
    const ProgramAugment *all = PROGRAM_ARRAY(header, ProgramAugment, header->augments);
    size_t n = header->augments.count, first = 0;
    while (first < n && strcmp(PROGRAM_TEXT(header, all[first].stream), stream) != 0) first++;
    size_t end = first;
    while (end < n && strcmp(PROGRAM_TEXT(header, all[end].stream), stream) == 0) end++;
    *count = end - first;
    return *count ? all + first : NULL;
}

void augment_border(const ProgramPreprocess *preprocess, unsigned char rgb[3])
{
    for (int c = 0; c < 3; c++) {
        float value = preprocess->mean[preprocess->channels ? 2 - c : c] / preprocess->scale;
        rgb[c] = (unsigned char)(value > 255 ? 255 : value > 0 ? value + 0.5f : 0);
    }
}

/* Takes the place of what image was. */
static void replace(RtImage *image, RtImage *by)
{
    image_free(image);
    *image = *by;
    *by = (RtImage){0};
}

/* ---- geometry --------------------------------------------------------------------------------------------
 */

static RtStatus resize(RtImage *image, RtImage *ids, int width, int height, RtError *err)
{
    RtImage picture = {0}, classes = {0};
    if (image->width == width && image->height == height) return RT_OK;
    RtStatus status = image_resize_bilinear(image, width, height, &picture, err);
    if (!status && ids->pixels) status = image_resize_nearest(ids, width, height, &classes, err);
    if (!status) {
        replace(image, &picture);
        if (ids->pixels) replace(ids, &classes);
    }
    image_free(&picture);
    image_free(&classes);
    return status;
}

static RtStatus scale(RtImage *image, RtImage *ids, float factor, RtError *err)
{
    int width = (int)((float)image->width * factor + 0.5f);
    int height = (int)((float)image->height * factor + 0.5f);
    return resize(image, ids, width > 0 ? width : 1, height > 0 ? height : 1, err);
}

static void flip(RtImage *image)
{
    size_t pixel = (size_t)image->channels, stride = (size_t)image->width * pixel;
    for (int y = 0; image->pixels && y < image->height; y++) {
        unsigned char *left = image->pixels + (size_t)y * stride, *right = left + stride - pixel;
        for (; left < right; left += pixel, right -= pixel) {
            for (size_t c = 0; c < pixel; c++) {
                unsigned char kept = left[c];
                left[c] = right[c];
                right[c] = kept;
            }
        }
    }
}

static RtStatus cut(const RtImage *from, int x, int y, int width, int height, RtImage *to, RtError *err)
{
    RtStatus status = image_new(to, width, height, from->channels, err);
    if (status) return status;
    size_t pixel = (size_t)from->channels, stride = (size_t)width * pixel;
    for (int row = 0; row < height; row++) {
        size_t at = ((size_t)(y + row) * (size_t)from->width + (size_t)x) * pixel;
        memcpy(to->pixels + (size_t)row * stride, from->pixels + at, stride);
    }
    return RT_OK;
}

typedef struct Part {
    int x, y, width, height;
} Part;

/* The largest part in the middle whose ratio is in range. */
static Part middle_part(const RtImage *image, float least, float most)
{
    float ratio = (float)image->width / (float)image->height;
    Part part = {.width = image->width, .height = image->height};
    if (ratio < least) part.height = (int)((float)image->width / least + 0.5f);
    if (ratio > most) part.width = (int)((float)image->height * most + 0.5f);
    if (part.height < 1) part.height = 1;
    if (part.width < 1) part.width = 1;
    part.x = (image->width - part.width) / 2;
    part.y = (image->height - part.height) / 2;
    return part;
}

static Part choose_part(const RtImage *image, const float value[4], AugmentChance *chance)
{
    double area = (double)image->width * image->height;
    double least = log((double)value[2]), most = log((double)value[3]);
    for (int i = 0; i < CROP_TRIES; i++) {
        double target = area * (double)augment_between(chance, value[0], value[1]);
        double ratio = exp(least + (double)augment_unit(chance) * (most - least));
        double width = rint(sqrt(target * ratio)), height = rint(sqrt(target / ratio));
        float x = augment_unit(chance), y = augment_unit(chance);
        if (width < 1 || height < 1 || width > image->width || height > image->height) continue;
        Part part = {.width = (int)width, .height = (int)height};
        part.x = (int)(x * (float)(image->width - part.width + 1));
        part.y = (int)(y * (float)(image->height - part.height + 1));
        return part;
    }
    return middle_part(image, value[2], value[3]);
}

static RtStatus crop(const Augment *augment, RtImage *image, RtImage *ids, const float value[4],
                     AugmentChance *chance, RtError *err)
{
    Part part = choose_part(image, value, chance);
    RtImage picture = {0}, classes = {0};
    RtStatus status = cut(image, part.x, part.y, part.width, part.height, &picture, err);
    if (!status && ids->pixels) status = cut(ids, part.x, part.y, part.width, part.height, &classes, err);
    if (!status) {
        replace(image, &picture);
        if (ids->pixels) replace(ids, &classes);
    }
    image_free(&picture);
    image_free(&classes);
    return status ? status : resize(image, ids, augment->width, augment->height, err);
}

/* ---- rotation --------------------------------------------------------------------------------------------
 */

/* Places are whole numbers of 2^-25 pixels: sine and cosine have 24 bits, and are multiplied by half pixels
 * from the middle. */
enum { TURN_BITS = 24, PLACE_BITS = TURN_BITS + 1 };

typedef struct Turn {
    int64_t cosine, sine;
} Turn;

/* The two neighbours on one axis of a place, and the share of the second, 256ths; beyond the outermost
 * centres there is only the outermost. */
static void neighbours(int64_t place, int count, int *low, int *high, int *share)
{
    int64_t from_centre = place - ((int64_t)1 << TURN_BITS);
    if (from_centre < 0) from_centre = 0;
    *low = (int)(from_centre >> PLACE_BITS);
    *high = *low + 1 < count ? *low + 1 : *low;
    *share = (int)(from_centre >> (PLACE_BITS - 8) & 255);
}

static void blend_place(const RtImage *from, int64_t u, int64_t v, unsigned char *to)
{
    int left, right, along, top, bottom, down;
    neighbours(u, from->width, &left, &right, &along);
    neighbours(v, from->height, &top, &bottom, &down);
    const unsigned char *upper = from->pixels + (size_t)top * (size_t)from->width * 3;
    const unsigned char *lower = from->pixels + (size_t)bottom * (size_t)from->width * 3;
    for (int c = 0; c < 3; c++) {
        int above = upper[left * 3 + c] * (256 - along) + upper[right * 3 + c] * along;
        int below = lower[left * 3 + c] * (256 - along) + lower[right * 3 + c] * along;
        to[c] = (unsigned char)((above * (256 - down) + below * down + (1 << 15)) >> 16);
    }
}

/* Every pixel of the results fetches what the turn brings there. */
static void turn_rows(const Augment *augment, Turn turn, const RtImage *image, const RtImage *ids,
                      RtImage *picture, RtImage *classes)
{
    int64_t width = image->width, height = image->height;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < width; x++) {
            int64_t dx = 2 * x + 1 - width, dy = 2 * y + 1 - height, at = y * width + x;
            int64_t u = turn.cosine * dx - turn.sine * dy + (width << TURN_BITS);
            int64_t v = turn.sine * dx + turn.cosine * dy + (height << TURN_BITS);
            bool inside = u >= 0 && v >= 0 && u < width << PLACE_BITS && v < height << PLACE_BITS;
            if (inside)
                blend_place(image, u, v, picture->pixels + at * 3);
            else
                memcpy(picture->pixels + at * 3, augment->border, 3);
            if (!classes->pixels) continue;
            classes->pixels[at] =
                inside ? ids->pixels[(v >> PLACE_BITS) * width + (u >> PLACE_BITS)] : augment->ignored;
        }
    }
}

/* degrees: counter-clockwise. */
static RtStatus rotate(const Augment *augment, RtImage *image, RtImage *ids, float degrees, RtError *err)
{
    double angle = (double)degrees * (3.14159265358979323846 / 180), one = 1 << TURN_BITS;
    Turn turn = {(int64_t)rint(cos(angle) * one), (int64_t)rint(sin(angle) * one)};
    RtImage picture = {0}, classes = {0};
    RtStatus status = image_new(&picture, image->width, image->height, 3, err);
    if (!status && ids->pixels) status = image_new(&classes, image->width, image->height, 1, err);
    if (!status) {
        turn_rows(augment, turn, image, ids, &picture, &classes);
        replace(image, &picture);
        if (ids->pixels) replace(ids, &classes);
    }
    image_free(&picture);
    image_free(&classes);
    return status;
}

/* ---- the list --------------------------------------------------------------------------------------------
 */

static RtStatus apply(const Augment *augment, const ProgramAugment *operation, AugmentChance *chance,
                      RtImage *image, RtImage *ids, RtError *err)
{
    const float *value = operation->value;
    switch ((ProgramAugmentKind)operation->kind) {
    case AUGMENT_SIZE: return resize(image, ids, (int)value[1], (int)value[0], err);
    case AUGMENT_SCALE: return scale(image, ids, augment_between(chance, value[0], value[1]), err);
    case AUGMENT_FLIP:
        flip(image);
        flip(ids);
        return RT_OK;
    case AUGMENT_ROTATION:
        return rotate(augment, image, ids, augment_between(chance, -value[0], value[0]), err);
    case AUGMENT_JITTER: augment_jitter(image, value, chance); return RT_OK;
    case AUGMENT_BLUR: return augment_blur(image, value, chance, err);
    case AUGMENT_CROP: return crop(augment, image, ids, value, chance, err);
    }
    return rt_fail(err, RT_BUG, "no augmentation has the number %u", (unsigned)operation->kind);
}

RtStatus augment_apply(const Augment *augment, uint64_t sample, RtImage *image, RtImage *ids, RtError *err)
{
    RtStatus status = RT_OK;
    for (size_t i = 0; i < augment->count && !status; i++) {
        char name[200];
        snprintf(name, sizeof name, "augment %zu of %.150s", i, augment->stream);
        AugmentChance chance = {rand_key(augment->seed, name), sample * DRAWS * RAND_GROUP};
        const ProgramAugment *operation = &augment->operations[i];
        if (augment_unit(&chance) < operation->p)
            status = apply(augment, operation, &chance, image, ids, err);
    }
    return status ? status : resize(image, ids, augment->width, augment->height, err);
}
