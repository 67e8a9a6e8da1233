/* See rt_street_scene.h. */
#include "rt_street_scene.h"

#include <stddef.h>

/* Questions that the scene's seed answers. */
enum {
    ASK_LANES = 1,
    ASK_LANE,
    ASK_TRAMWAY,
    ASK_CAMERA,
    ASK_EYE,
    ASK_LENS,
    ASK_VANISH_X,
    ASK_VANISH_Y,
    ASK_SUN,
    ASK_SUN_SIDE,
    ASK_SLOPE,
    ASK_LIGHT,
    ASK_DISTRICT,
    ASK_CROSSING = 20, /* several from here on */
    ASK_SIDE = 40,
    ASK_LOTS = 60,
};

static const float FIRST_LOT = -3, LAST_LOT = 150;

static void place_camera(StreetScene *scene)
{
    uint32_t seed = scene->seed;
    int lane = street_choose(seed, ASK_CAMERA, scene->lanes);
    scene->camera_x = ((float)lane + 0.5f) * scene->lane + street_pick(seed, ASK_CAMERA + 100, -0.5f, 0.5f);
    scene->eye = street_pick(seed, ASK_EYE, 1.25f, 2.1f);
    scene->lens = street_pick(seed, ASK_LENS, 0.4f, 0.58f);
    scene->vanish_x = street_pick(seed, ASK_VANISH_X, 0.38f, 0.62f);
    scene->vanish_y = street_pick(seed, ASK_VANISH_Y, 0.38f, 0.5f);
}

static void set_light(StreetScene *scene, float clear)
{
    uint32_t seed = scene->seed;
    scene->sun = street_chance(seed, ASK_SUN, clear);
    scene->sun_side = street_choose(seed, ASK_SUN_SIDE, 2);
    scene->shadow_slope = street_pick(seed, ASK_SLOPE, 0.2f, 1.4f);
    int level = (int)street_pick(seed, ASK_LIGHT, -20, 20);
    scene->light_sun = (scene->sun ? 282 : 236) + level;
    scene->light_shade = (scene->sun ? 166 : 222) + level;
}

static void divide_across(StreetScene *scene)
{
    uint32_t seed = scene->seed;
    scene->lanes = 1 + street_choose(seed, ASK_LANES, 2);
    scene->lane = street_pick(seed, ASK_LANE, 2.9f, 3.6f);
    scene->tramway = street_chance(seed, ASK_TRAMWAY, 0.3f);
    if (scene->tramway) scene->lanes = 2;
    for (int side = 0; side < 2; side++) {
        uint32_t own = street_mix(seed, (uint32_t)(ASK_SIDE + side));
        scene->parking[side] = street_chance(own, 1, 0.55f) ? 2.3f : 0;
        scene->strip[side] = street_chance(own, 2, 0.4f) ? street_pick(own, 3, 1, 3) : 0;
        scene->walk[side] = street_pick(own, 4, 1.8f, 4.5f);
        scene->kerb[side] = (float)scene->lanes * scene->lane + scene->parking[side] + 0.3f;
        scene->facade[side] = scene->kerb[side] + scene->strip[side] + scene->walk[side];
    }
}

static void place_crossings(StreetScene *scene)
{
    float from = 0;
    for (int i = 0; i < STREET_CROSSINGS; i++) {
        uint32_t seed = street_mix(scene->seed, (uint32_t)(ASK_CROSSING + i));
        from += street_pick(seed, 1, 16, 55);
        if (!street_chance(seed, 2, 0.7f)) continue;
        int at = scene->crossing_count++;
        scene->crossing_from[at] = from;
        scene->crossing_to[at] = from += street_pick(seed, 3, 7, 12);
    }
}

/* Shares of houses, gardens, walls and fences by the kind of district. */
static StreetLotKind choose_lot(uint32_t seed, int district)
{
    static const float shares[3][3] = {{0.84f, 0.9f, 0.95f}, {0.5f, 0.68f, 0.84f}, {0.18f, 0.55f, 0.75f}};
    float at = street_unit(seed, 1);
    for (int kind = LOT_HOUSE; kind < LOT_FENCED; kind++)
        if (at < shares[district][kind]) return (StreetLotKind)kind;
    return LOT_FENCED;
}

static float lot_height(StreetLotKind kind, uint32_t seed)
{
    if (kind == LOT_HOUSE) return street_pick(seed, 2, 7, 24);
    if (kind == LOT_WALLED) return street_pick(seed, 3, 1.2f, 3.4f);
    if (kind == LOT_FENCED) return street_pick(seed, 4, 1, 2);
    return 0;
}

static void add_lot(StreetScene *scene, int side, StreetLotKind kind, float from, float to, uint32_t seed)
{
    int *count = &scene->lot_count[side];
    if (*count == STREET_LOTS) return;
    scene->lots[side][(*count)++] =
        (StreetLot){.kind = kind, .from = from, .to = to, .height = lot_height(kind, seed), .seed = seed};
}

static void divide_side(StreetScene *scene, int side, int district)
{
    float at = FIRST_LOT;
    int crossing = 0;
    for (uint32_t i = 0; at < LAST_LOT; i++) {
        uint32_t seed = street_mix(scene->seed, ASK_LOTS + i * 2 + (uint32_t)side);
        float to = at + street_pick(seed, 0, 8, 22);
        bool cut = crossing < scene->crossing_count && to > scene->crossing_from[crossing] - 3;
        if (cut) to = scene->crossing_from[crossing];
        add_lot(scene, side, choose_lot(seed, district), at, to, seed);
        if (cut) {
            at = scene->crossing_to[crossing++];
            add_lot(scene, side, LOT_CROSSING, to, at, seed);
        } else {
            at = to;
        }
    }
}

void street_scene_make(StreetScene *scene, uint64_t seed, float clear)
{
    *scene = (StreetScene){.seed = street_mix((uint32_t)seed, (uint32_t)(seed >> 32))};
    divide_across(scene);
    place_camera(scene);
    set_light(scene, clear);
    place_crossings(scene);
    int district = street_choose(scene->seed, ASK_DISTRICT, 3);
    for (int side = 0; side < 2; side++) divide_side(scene, side, district);
}

StreetThing *street_scene_add(StreetScene *scene, unsigned char label, float x, float z, uint32_t seed)
{
    StreetThing *thing = &scene->things[scene->thing_count];
    if (scene->thing_count < STREET_THINGS) scene->thing_count++;
    bool shaded = street_scene_shaded(scene, x, z), faces_sun = (x > 0) != (scene->sun_side == 1);
    /* What the sun does not reach head on is between the two lights. */
    int light = shaded ? scene->light_shade : (scene->light_sun * 3 + scene->light_shade) / 4;
    *thing = (StreetThing){.label = label, .x = x, .z = z, .seed = seed, .light_front = light};
    thing->light_side = !faces_sun || shaded ? scene->light_shade : scene->light_sun;
    return thing;
}

const StreetLot *street_scene_lot(const StreetScene *scene, int side, float z)
{
    for (int i = 0; i < scene->lot_count[side]; i++)
        if (z < scene->lots[side][i].to) return &scene->lots[side][i];
    return NULL;
}

bool street_scene_shaded(const StreetScene *scene, float x, float z)
{
    const StreetLot *lot = street_scene_lot(scene, scene->sun_side, z);
    if (!scene->sun || !lot) return false;
    float from_facade = scene->facade[scene->sun_side] + (scene->sun_side ? -x : x);
    return from_facade < lot->height * scene->shadow_slope;
}
