/* See rt_street_canvas.h. A front is a rectangle of the picture. A side is drawn column by column: each
 * column of the picture meets the plane x = constant at one distance, which fixes the rows it fills. */
#include "rt_street_canvas.h"

#include "rt_street.h"

#include <stddef.h>

/* Nothing nearer than this is drawn, metres. */
static const float NEAREST = 0.6f;

float street_unit(uint32_t seed, uint32_t number)
{
    return (float)(street_mix(seed, number) >> 8) * (1.0f / 16777216);
}

float street_pick(uint32_t seed, uint32_t number, float least, float most)
{
    return least + street_unit(seed, number) * (most - least);
}

bool street_chance(uint32_t seed, uint32_t number, float share)
{
    return street_unit(seed, number) < share;
}

int street_choose(uint32_t seed, uint32_t number, int count)
{
    return (int)((street_mix(seed, number) >> 8) % (uint32_t)count);
}

/* One value of a lattice's row, whose key is already well mixed. */
static float lattice(uint32_t row, int x)
{
    uint32_t h = (row ^ (uint32_t)x * 0x9e3779b1u) * 0x21f0aaadu;
    return (float)((h ^ h >> 15) * 0x735a2d97u >> 24) * (1.0f / 255);
}

float street_noise(uint32_t seed, float x, float y)
{
    int left = street_floor(x), low = street_floor(y);
    uint32_t row = street_mix(seed, (uint32_t)low), next = street_mix(seed, (uint32_t)low + 1);
    float fx = x - (float)left, fy = y - (float)low;
    fx = fx * fx * (3 - 2 * fx);
    fy = fy * fy * (3 - 2 * fy);
    float a = lattice(row, left), b = lattice(row, left + 1);
    float c = lattice(next, left), d = lattice(next, left + 1);
    float lower = a + (b - a) * fx, upper = c + (d - c) * fx;
    return lower + (upper - lower) * fy;
}

int street_fog(const StreetCanvas *canvas, float z)
{
    return (int)(256 * z / (z + canvas->fog_distance));
}

void street_put(StreetCanvas *canvas, int column, int row, const StreetTexel *texel, int light, int fog)
{
    size_t at = (size_t)row * (size_t)canvas->width + (size_t)column;
    unsigned char *to = canvas->rgb + at * 3;
    StreetInk ink = street_blend(street_lit(texel->ink, light), canvas->fog, fog);
    if (texel->cover < 255) ink = street_blend((StreetInk){to[0], to[1], to[2]}, ink, texel->cover);
    to[0] = ink.r;
    to[1] = ink.g;
    to[2] = ink.b;
    canvas->labels[at] = texel->label;
}

/* The first pixel whose centre is at or after edge, 0..count. */
static int first_pixel(float edge, int count)
{
    if (!(edge > 0.5f)) return 0;
    if (edge > (float)count) return count;
    int pixel = street_floor(edge - 0.5f);
    return (float)pixel < edge - 0.5f ? pixel + 1 : pixel;
}

static void paint_spot(StreetCanvas *canvas, const StreetThing *thing, StreetShader *shader,
                       const StreetSpot *spot, int column, int row, int light, int fog)
{
    StreetTexel texel = {.label = thing->label, .cover = 255};
    if (shader(thing, spot, &texel)) street_put(canvas, column, row, &texel, light, fog);
}

static void paint_front(StreetCanvas *canvas, const StreetThing *thing)
{
    if (thing->z < NEAREST) return;
    float scale = canvas->focal / thing->z; /* pixels per metre */
    float middle = canvas->u0 + thing->x * scale, half = thing->width * scale / 2;
    if (thing->thin && half < 0.5f) half = 0.5f;
    float left = middle - half, bottom = canvas->v0 + (canvas->eye - thing->y) * scale;
    float tall = thing->height * scale;
    int right_end = first_pixel(middle + half, canvas->width), fog = street_fog(canvas, thing->z);
    int bottom_end = first_pixel(bottom, canvas->height);
    StreetSpot spot = {.grain = 1 / scale};
    for (int row = first_pixel(bottom - tall, canvas->height); row < bottom_end; row++) {
        spot.t = (bottom - (float)row - 0.5f) / tall;
        spot.y = spot.t * thing->height;
        for (int column = first_pixel(left, canvas->width); column < right_end; column++) {
            spot.s = ((float)column + 0.5f - left) / (2 * half);
            spot.x = spot.s * thing->width;
            paint_spot(canvas, thing, thing->front, &spot, column, row, thing->light_front, fog);
        }
    }
}

static void paint_column(StreetCanvas *canvas, const StreetThing *thing, float x, int column)
{
    float z = canvas->focal * x / ((float)column + 0.5f - canvas->u0);
    float scale = canvas->focal / z, across = x < 0 ? -x : x;
    float bottom = canvas->v0 + (canvas->eye - thing->y) * scale, tall = thing->height * scale;
    int end = first_pixel(bottom, canvas->height), fog = street_fog(canvas, z);
    StreetSpot spot = {.x = z - thing->z, .grain = z / (scale * across)};
    spot.s = spot.x / thing->length;
    if (1 / scale > spot.grain) spot.grain = 1 / scale;
    float step = 1 / tall;
    for (int row = first_pixel(bottom - tall, canvas->height); row < end; row++) {
        spot.t = (bottom - (float)row - 0.5f) * step;
        spot.y = spot.t * thing->height;
        paint_spot(canvas, thing, thing->side, &spot, column, row, thing->light_side, fog);
    }
}

/* The side that faces the camera, if one does. */
static void paint_side(StreetCanvas *canvas, const StreetThing *thing)
{
    float half = thing->width / 2, far = thing->z + thing->length;
    float near = thing->z < NEAREST ? NEAREST : thing->z;
    float x = thing->x < 0 ? thing->x + half : thing->x - half;
    if ((thing->x < 0) != (x < 0) || far <= near) return;
    float first = canvas->u0 + canvas->focal * x / (x < 0 ? near : far);
    float last = canvas->u0 + canvas->focal * x / (x < 0 ? far : near);
    int end = first_pixel(last, canvas->width);
    for (int column = first_pixel(first, canvas->width); column < end; column++)
        paint_column(canvas, thing, x, column);
}

void street_paint(StreetCanvas *canvas, const StreetThing *thing)
{
    if (thing->side) paint_side(canvas, thing);
    if (thing->front) paint_front(canvas, thing);
}

void street_shadow(StreetCanvas *canvas, float x, float z, float half_width, float half_length, int strength)
{
    float near = z - half_length < NEAREST ? NEAREST : z - half_length, far = z + half_length;
    if (far <= near) return;
    int end = first_pixel(canvas->v0 + canvas->focal * canvas->eye / near, canvas->height);
    int row = first_pixel(canvas->v0 + canvas->focal * canvas->eye / far, canvas->height);
    for (; row < end; row++) {
        float depth = canvas->focal * canvas->eye / ((float)row + 0.5f - canvas->v0);
        float scale = canvas->focal / depth, dz = (depth - z) / half_length;
        int last = first_pixel(canvas->u0 + (x + half_width) * scale, canvas->width);
        for (int column = first_pixel(canvas->u0 + (x - half_width) * scale, canvas->width); column < last;
             column++) {
            float dx = (((float)column + 0.5f - canvas->u0) / scale - x) / half_width;
            float left = 1 - dx * dx - dz * dz;
            if (left <= 0) continue;
            int light = 256 - (int)((float)strength * (left > 0.4f ? 1 : left / 0.4f));
            unsigned char *to = canvas->rgb + ((size_t)row * (size_t)canvas->width + (size_t)column) * 3;
            for (int c = 0; c < 3; c++) to[c] = street_scaled(to[c], light);
        }
    }
}
