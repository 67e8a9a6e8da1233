/* Pictures of results: class colours, overlays, panels. See rt_image.h. Integers only, so that a result is
 * the same bytes on every machine. */
#include "rt_image_codec.h"

#include <string.h>

enum { PANEL_GAP = 4, PANEL_GAP_COLOR = 255 };

static size_t pixel_count(const RtImage *image)
{
    return (size_t)image->width * (size_t)image->height;
}

RtStatus image_draw_classes(const RtImage *classes, const RtPalette *palette, RtImage *rgb, RtError *err)
{
    RtStatus status = image_new(rgb, classes->width, classes->height, 3, err);
    if (status) return status;
    for (size_t i = 0; i < pixel_count(classes); i++)
        memcpy(rgb->pixels + i * 3, palette->rgb[classes->pixels[i]], 3);
    return RT_OK;
}

RtStatus image_draw_overlay(const RtImage *image, const RtImage *classes, const RtPalette *palette,
                            RtImage *overlay, RtError *err)
{
    *overlay = (RtImage){0};
    if (image->channels != 3 || classes->channels != 1 || image->width != classes->width ||
        image->height != classes->height)
        return rt_fail(err, RT_BUG, "image_draw_overlay: classes of %dx%d on an image of %dx%d",
                       classes->width, classes->height, image->width, image->height);
    RtStatus status = image_new(overlay, image->width, image->height, 3, err);
    if (status) return status;
    for (size_t i = 0; i < pixel_count(image); i++) {
        int id = classes->pixels[i];
        const unsigned char *under = image->pixels + i * 3;
        const unsigned char *over = id < palette->count ? palette->rgb[id] : under;
        for (int c = 0; c < 3; c++)
            overlay->pixels[i * 3 + (size_t)c] = (unsigned char)((under[c] + over[c] + 1) / 2);
    }
    return RT_OK;
}

static RtStatus check_panel(const RtImage *const images[], size_t count, size_t columns, RtError *err)
{
    if (count == 0 || count > IMAGE_MAX_SIDE || columns == 0 || columns > count)
        return rt_fail(err, RT_BUG, "image_draw_panel: %zu images in %zu columns", count, columns);
    for (size_t i = 0; i < count; i++) {
        const RtImage *image = images[i];
        if (image->channels != 3 || image->width != images[0]->width || image->height != images[0]->height)
            return rt_fail(err, RT_BUG,
                           "image_draw_panel: image %zu is %dx%d with %d channels, image 0 is %dx%d", i,
                           image->width, image->height, image->channels, images[0]->width, images[0]->height);
    }
    return RT_OK;
}

/* Copies image to where its left upper corner is (left, top). */
static void paste(const RtImage *image, RtImage *panel, size_t left, size_t top)
{
    size_t bytes = (size_t)image->width * 3, stride = (size_t)panel->width * 3;
    for (size_t y = 0; y < (size_t)image->height; y++)
        memcpy(panel->pixels + (top + y) * stride + left * 3, image->pixels + y * bytes, bytes);
}

RtStatus image_draw_panel(const RtImage *const images[], size_t count, size_t columns, RtImage *panel,
                          RtError *err)
{
    *panel = (RtImage){0};
    RtStatus status = check_panel(images, count, columns, err);
    if (status) return status;
    uint64_t step_x = (uint64_t)images[0]->width + PANEL_GAP,
             step_y = (uint64_t)images[0]->height + PANEL_GAP;
    uint64_t width = columns * step_x - PANEL_GAP,
             height = (count + columns - 1) / columns * step_y - PANEL_GAP;
    status = image_check_size("panel", width, height, err);
    if (!status) status = image_new(panel, (int)width, (int)height, 3, err);
    if (status) return status;
    memset(panel->pixels, PANEL_GAP_COLOR, pixel_count(panel) * 3);
    for (size_t i = 0; i < count; i++) paste(images[i], panel, i % columns * step_x, i / columns * step_y);
    return RT_OK;
}
