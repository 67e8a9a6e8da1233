/* See rt_street.h. The order of painting: sky, ground, shadows of things, lots, things from far to near, the
 * camera car's bonnet; then the camera (rt_street_camera.c). */
#include "rt_street.h"

#include "rt_street_camera.h"
#include "rt_street_ground.h"

#include <string.h>

static const StreetLook looks[] = {
    {.name = "rendered",
     .clear = 0.6f,
     .fog_near = 350,
     .fog_far = 1200,
     .gain_least = 225,
     .gain_most = 290,
     .saturation = 256,
     .cast = 10,
     .tint = {256, 256, 256},
     .noise = 6,
     .vignette = 24},
    {.name = "camera",
     .clear = 0.35f,
     .fog_near = 70,
     .fog_far = 260,
     .gain_least = 190,
     .gain_most = 330,
     .saturation = 120,
     .cast = 14,
     .tint = {240, 258, 250},
     .tone_least = 60,
     .tone_most = 180,
     .veil = 12,
     .blur_most = 2,
     .noise = 16,
     .vignette = 90},
};

enum { ASK_FOG = 2000, ASK_BONNET = 2005, ASK_BONNET_INK };

const StreetLook *street_look(const char *name)
{
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (!strcmp(looks[i].name, name)) return &looks[i];
    return NULL;
}

static void paint_shadows(StreetCanvas *canvas, const StreetScene *scene)
{
    for (int i = scene->lot_things; i < scene->thing_count; i++) {
        const StreetThing *thing = &scene->things[i];
        if (thing->y > 0 || thing->thin) continue;
        float half_length = thing->side ? thing->length * 0.56f : 0.3f + thing->width * 0.1f;
        float half_width = thing->label == STREET_VEGETATION ? thing->width * 0.4f : thing->width * 0.62f;
        street_shadow(canvas, thing->x, thing->z + thing->length / 2, half_width, half_length,
                      scene->sun ? 150 : 110);
    }
}

/* Far to near; of two at one distance, the first added. */
static void paint_things(StreetCanvas *canvas, const StreetScene *scene)
{
    int order[STREET_THINGS], count = 0;
    for (int i = scene->lot_things; i < scene->thing_count; i++) {
        int at = count++;
        for (; at > 0 && scene->things[order[at - 1]].z < scene->things[i].z; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < scene->lot_things; i++) street_paint(canvas, &scene->things[i]);
    for (int i = 0; i < count; i++) street_paint(canvas, &scene->things[order[i]]);
}

static void paint_bonnet(StreetCanvas *canvas, uint32_t seed)
{
    if (!street_chance(seed, ASK_BONNET, 0.35f)) return;
    int ink = 30 + street_choose(seed, ASK_BONNET_INK, 60), tall = canvas->height / 14;
    for (int row = canvas->height - tall; row < canvas->height; row++) {
        float up = (float)(canvas->height - row) / (float)tall;
        for (int column = 0; column < canvas->width; column++) {
            float across = ((float)column + 0.5f) / (float)canvas->width * 2 - 1;
            if (across * across + up * 0.9f > 0.95f) continue;
            int shine = ink + (int)(up * 50);
            StreetTexel texel = {
                {(unsigned char)shine, (unsigned char)shine, (unsigned char)(shine + 6)}, STREET_VOID, 255};
            street_put(canvas, column, row, &texel, 256, 0);
        }
    }
}

static void draw(const StreetLook *look, StreetScene *scene, StreetCanvas *canvas)
{
    street_scene_build(scene);
    street_scene_stock(scene);
    for (int i = 0; i < scene->thing_count; i++) scene->things[i].x -= scene->camera_x;
    canvas->eye = scene->eye;
    canvas->focal = scene->lens * (float)(canvas->width + canvas->height);
    canvas->u0 = scene->vanish_x * (float)canvas->width;
    canvas->v0 = scene->vanish_y * (float)canvas->height;
    canvas->fog_distance = street_pick(scene->seed, ASK_FOG, look->fog_near, look->fog_far);
    street_sky(canvas, scene);
    street_ground(canvas, scene);
    paint_shadows(canvas, scene);
    paint_things(canvas, scene);
    paint_bonnet(canvas, scene->seed);
    street_expose(canvas, look, scene->seed);
}

RtStatus street_draw(const StreetLook *look, uint64_t seed, int width, int height, unsigned char *rgb,
                     unsigned char *labels, RtError *err)
{
    if (width < STREET_LEAST_SIDE || height < STREET_LEAST_SIDE || width > STREET_MOST_SIDE ||
        height > STREET_MOST_SIDE)
        return rt_fail(err, RT_USAGE, "a street of %dx%d pixels: built-in streets have sides of %d to %d",
                       width, height, STREET_LEAST_SIDE, STREET_MOST_SIDE);
    StreetScene scene;
    StreetCanvas canvas = {.width = width, .height = height, .rgb = rgb, .labels = labels};
    street_scene_make(&scene, seed, look->clear);
    draw(look, &scene, &canvas);
    return RT_OK;
}
