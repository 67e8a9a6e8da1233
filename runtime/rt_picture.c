/* See rt_picture.h. */
#include "rt_picture.h"

#include "rt_pool.h"
#include "rt_program.h"
#include "rt_session.h"

#include <stdbool.h>
#include <string.h>

static bool fits_image(const ProgramTensor *tensor)
{
    int64_t height = tensor->dims[tensor->rank - 2], width = tensor->dims[tensor->rank - 1];
    return height <= IMAGE_MAX_SIDE && width <= IMAGE_MAX_SIDE && height * width <= IMAGE_MAX_PIXELS;
}

RtStatus picture_check(const ProgramHeader *header, RtError *err)
{
    const char *name = program_text(header, header->name);
    const ProgramTensor *picture = program_picture(header), *prediction = program_prediction(header);
    if (!picture)
        return rt_fail(err, RT_USAGE,
                       "%s does not take pictures: that needs exactly one input, of type f32 and shape "
                       "[N,3,H,W] (`info` lists the inputs)",
                       name);
    if (!prediction)
        return rt_fail(err, RT_USAGE,
                       "%s does not predict classes: that needs an output i32[N,H,W] of class ids or "
                       "f32[N,C,H,W] of scores (`info` lists the outputs)",
                       name);
    int64_t classes = prediction->rank == 4 ? prediction->dims[1] : header->classes.count;
    if (classes > PICTURE_MAX_CLASSES)
        return rt_fail(err, RT_USAGE, "%s predicts %lld classes; pictures of classes hold at most %d", name,
                       (long long)classes, PICTURE_MAX_CLASSES);
    if (!fits_image(picture) || !fits_image(prediction) || picture->dims[0] != prediction->dims[0])
        return rt_fail(err, RT_USAGE, "%s: its input and output are no batch of pictures", name);
    return RT_OK;
}

int picture_class_count(const ProgramHeader *header)
{
    const ProgramTensor *prediction = program_prediction(header);
    if (prediction->rank == 4) return (int)prediction->dims[1];
    return header->classes.count ? (int)header->classes.count : PICTURE_MAX_CLASSES;
}

/* Colour i without a class list: the bits of i, dealt out to red, green and blue from the top. Near numbers
 * get far colours, and all 256 differ. */
static void made_up_color(int i, unsigned char rgb[3])
{
    unsigned bits = (unsigned)i + 1;
    memset(rgb, 0, 3);
    for (int place = 7; bits; place--, bits >>= 3) {
        for (int c = 0; c < 3; c++) rgb[c] |= (unsigned char)((bits >> c & 1) << place);
    }
}

RtPalette picture_palette(const ProgramHeader *header)
{
    RtPalette palette = {.count = picture_class_count(header)};
    for (int i = 0; i < palette.count; i++) {
        if (i < (int)header->classes.count)
            memcpy(palette.rgb[i], program_classes(header)[i].color, 3);
        else
            made_up_color(i, palette.rgb[i]);
    }
    return palette;
}

PictureScale picture_scale(const ProgramPreprocess *preprocess)
{
    PictureScale scale;
    for (int c = 0; c < 3; c++) {
        scale.sample[c] = preprocess->channels ? 2 - c : c;
        for (int v = 0; v < 256; v++)
            scale.value[c][v] = ((float)v * preprocess->scale - preprocess->mean[c]) / preprocess->std[c];
    }
    return scale;
}

void picture_planes(const PictureScale *scale, const RtImage *rgb, int64_t begin, int64_t end, float *planes)
{
    int64_t width = rgb->width, height = rgb->height;
    for (int64_t row = begin; row < end; row++) {
        int64_t channel = row / height, y = row % height;
        const unsigned char *from = rgb->pixels + y * width * 3 + scale->sample[channel];
        float *to = planes + row * width;
        for (int64_t x = 0; x < width; x++) to[x] = scale->value[channel][from[x * 3]];
    }
}

/* One row of one channel per unit. */
typedef struct Normalising {
    const RtImage *rgb;
    float *planes;
    PictureScale scale;
} Normalising;

static void normalise_rows(void *context, int64_t begin, int64_t end, int thread)
{
    (void)thread;
    const Normalising *job = context;
    picture_planes(&job->scale, job->rgb, begin, end, job->planes);
}

static void normalise(SegrtSession *session, const RtImage *rgb, float *planes)
{
    Normalising job = {.rgb = rgb, .planes = planes};
    job.scale = picture_scale(&session_program(session)->preprocess);
    pool_run(session_pool(session), 3 * (int64_t)rgb->height, normalise_rows, &job);
}

RtStatus picture_set(SegrtSession *session, int64_t index, const RtImage *rgb, RtError *err)
{
    const ProgramTensor *tensor = program_picture(session_program(session));
    int width = (int)tensor->dims[3], height = (int)tensor->dims[2];
    float *planes = (float *)session_address(session, tensor) + index * 3 * width * height;
    if (rgb->width == width && rgb->height == height) {
        normalise(session, rgb, planes);
        return RT_OK;
    }
    RtImage resized = {0};
    RtStatus status = image_resize_bilinear(rgb, width, height, &resized, err);
    if (!status) normalise(session, &resized, planes);
    image_free(&resized);
    return status;
}

static RtStatus copy_ids(const ProgramTensor *tensor, const void *data, int64_t index, RtImage *classes,
                         RtError *err)
{
    int64_t pixels = tensor->dims[1] * tensor->dims[2];
    if (tensor->dtype == DTYPE_U8) {
        memcpy(classes->pixels, (const unsigned char *)data + index * pixels, (size_t)pixels);
        return RT_OK;
    }
    const int32_t *ids = (const int32_t *)data + index * pixels;
    for (int64_t i = 0; i < pixels; i++) {
        if (ids[i] < 0 || ids[i] >= PICTURE_MAX_CLASSES)
            return rt_fail(err, RT_BUG, "the program predicted class %d, which no picture can hold", ids[i]);
        classes->pixels[i] = (unsigned char)ids[i];
    }
    return RT_OK;
}

/* Class by class over all pixels, so that each plane is read once, in order. The best score so far is found
 * again through the id. */
static void choose_best(const ProgramTensor *tensor, const float *scores, int64_t index, RtImage *classes)
{
    int64_t count = tensor->dims[1], pixels = tensor->dims[2] * tensor->dims[3];
    scores += index * count * pixels;
    for (int64_t c = 1; c < count; c++) {
        const float *plane = scores + c * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            if (plane[i] > scores[classes->pixels[i] * pixels + i]) classes->pixels[i] = (unsigned char)c;
        }
    }
}

RtStatus picture_classes(const SegrtSession *session, int64_t index, RtImage *classes, RtError *err)
{
    const ProgramTensor *tensor = program_prediction(session_program(session));
    int height = (int)tensor->dims[tensor->rank - 2], width = (int)tensor->dims[tensor->rank - 1];
    RtStatus status = image_new(classes, width, height, 1, err);
    if (status) return status;
    const void *data = session_address(session, tensor);
    if (tensor->rank == 4)
        choose_best(tensor, data, index, classes);
    else
        status = copy_ids(tensor, data, index, classes, err);
    if (status) image_free(classes);
    return status;
}

RtStatus picture_classes_at(const SegrtSession *session, int64_t index, int width, int height,
                            RtImage *classes, RtError *err)
{
    RtStatus status = picture_classes(session, index, classes, err);
    if (status || (classes->width == width && classes->height == height)) return status;
    RtImage resized = {0};
    status = image_resize_nearest(classes, width, height, &resized, err);
    image_free(classes);
    *classes = resized;
    return status;
}

/* What the functions of segrt.h check first: their callers are strangers. */
static RtStatus check_call(SegrtSession *session, int64_t index, int width, int height)
{
    const ProgramHeader *header = session_program(session);
    RtStatus status = picture_check(header, session_error(session));
    if (status) return status;
    int64_t batch = program_picture(header)->dims[0];
    if (index < 0 || index >= batch)
        return rt_fail(session_error(session), RT_USAGE, "picture %lld of a batch of %lld", (long long)index,
                       (long long)batch);
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE)
        return rt_fail(session_error(session), RT_USAGE, "a picture of %dx%d pixels", width, height);
    return RT_OK;
}

RtStatus segrt_set_picture(SegrtSession *session, int64_t index, const unsigned char *rgb, int width,
                           int height, RtError *err)
{
    RtStatus status = check_call(session, index, width, height);
    /* RtImage has no const variant; picture_set doesn't write. */
    RtImage image = {width, height, 3, (unsigned char *)(uintptr_t)rgb};
    if (!status) status = picture_set(session, index, &image, session_error(session));
    return session_return(session, status, err);
}

RtStatus segrt_get_classes(SegrtSession *session, int64_t index, unsigned char *classes, int width,
                           int height, RtError *err)
{
    RtImage image = {0};
    RtStatus status = check_call(session, index, width, height);
    if (!status) status = picture_classes_at(session, index, width, height, &image, session_error(session));
    if (!status) memcpy(classes, image.pixels, (size_t)width * (size_t)height);
    image_free(&image);
    return session_return(session, status, err);
}
