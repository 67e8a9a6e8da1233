/* See rt_street_camera.h. In the order of light: the lens blurs, the response bends, colours fade and take a
 * cast, the exposure scales, corners darken, stray light lifts, and the sensor adds noise. */
#include "rt_street_camera.h"

#include <string.h>

enum { ASK_GAIN = 2001, ASK_CAST, ASK_NOISE = ASK_CAST + 5, ASK_TONE, ASK_BLUR };

typedef struct Camera {
    int gain[3], saturation, noise, vignette, veil, blur;
    unsigned char tone[256];
    uint32_t seed;
} Camera;

static unsigned char sample(int value)
{
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static Camera choose_camera(const StreetLook *look, uint32_t seed)
{
    Camera camera = {.saturation = look->saturation,
                     .noise = look->noise,
                     .vignette = look->vignette,
                     .veil = look->veil,
                     .seed = street_mix(seed, ASK_NOISE)};
    int gain = look->gain_least + street_choose(seed, ASK_GAIN, look->gain_most - look->gain_least + 1);
    for (uint32_t c = 0; c < 3; c++) {
        int own = gain - look->cast + street_choose(seed, ASK_CAST + c, 2 * look->cast + 1);
        camera.gain[c] = own * look->tint[c] / 256;
    }
    /* A share of v is replaced by the parabola v * v / 255, which presses dark samples down. */
    int press = look->tone_least + street_choose(seed, ASK_TONE, look->tone_most - look->tone_least + 1);
    for (int v = 0; v < 256; v++) camera.tone[v] = (unsigned char)(v - press * v * (255 - v) / (255 * 256));
    camera.blur = look->blur_most ? 1 + street_choose(seed, ASK_BLUR, look->blur_most) : 0;
    return camera;
}

/* Weights 1 2 1 along x, in place; the ends count twice. */
static void blur_row(unsigned char *row, int width)
{
    for (int c = 0; c < 3; c++) {
        int before = row[c], here = row[c];
        for (int column = 0; column < width; column++) {
            unsigned char *at = row + column * 3 + c;
            int after = column + 1 < width ? at[3] : here;
            *at = (unsigned char)((before + 2 * here + after + 2) / 4);
            before = here;
            here = after;
        }
    }
}

/* The same along y. above: the row above as it was. */
static void blur_down(StreetCanvas *canvas)
{
    unsigned char above[STREET_MOST_SIDE * 3];
    size_t stride = (size_t)canvas->width * 3;
    memcpy(above, canvas->rgb, stride);
    for (int row = 0; row < canvas->height; row++) {
        unsigned char *at = canvas->rgb + (size_t)row * stride;
        const unsigned char *below = row + 1 < canvas->height ? at + stride : at;
        for (size_t i = 0; i < stride; i++) {
            int here = at[i];
            at[i] = (unsigned char)((above[i] + 2 * here + below[i] + 2) / 4);
            above[i] = (unsigned char)here;
        }
    }
}

static void blur(StreetCanvas *canvas)
{
    for (int row = 0; row < canvas->height; row++)
        blur_row(canvas->rgb + (size_t)row * (size_t)canvas->width * 3, canvas->width);
    blur_down(canvas);
}

static void expose_row(const StreetCanvas *canvas, const Camera *camera, int row)
{
    int64_t width = canvas->width, height = canvas->height, dy = 2 * row + 1 - height;
    unsigned char *to = canvas->rgb + (size_t)row * (size_t)width * 3;
    for (int64_t column = 0; column < width; column++, to += 3) {
        int64_t dx = 2 * column + 1 - width;
        int64_t out =
            128 * dx * dx / (width * width) + 128 * dy * dy / (height * height); /* 256 in a corner */
        int light = 256 - (int)(out * camera->vignette / 256);
        int rgb[3] = {camera->tone[to[0]], camera->tone[to[1]], camera->tone[to[2]]};
        int grey = (rgb[0] * 77 + rgb[1] * 150 + rgb[2] * 29) / 256;
        uint32_t grain = street_mix(camera->seed, (uint32_t)(row * width + column));
        for (int c = 0; c < 3; c++) {
            int value = (grey * (256 - camera->saturation) + rgb[c] * camera->saturation) / 256;
            int noise = (int)(grain >> (8 * c) & 255) % (2 * camera->noise + 1) - camera->noise;
            value = value * camera->gain[c] / 256 * light / 256;
            to[c] = sample(value + camera->veil + noise);
        }
    }
}

void street_expose(StreetCanvas *canvas, const StreetLook *look, uint32_t seed)
{
    Camera camera = choose_camera(look, seed);
    for (int pass = 0; pass < camera.blur; pass++) blur(canvas);
    for (int row = 0; row < canvas->height; row++) expose_row(canvas, &camera, row);
}
