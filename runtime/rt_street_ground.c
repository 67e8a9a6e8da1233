/* See rt_street_ground.h. A row of the picture below the horizon is one distance z; along it x grows evenly.
 * So what depends on z alone (the lots to both sides, crossings, dashes) is found once per row. */
#include "rt_street_ground.h"

#include "rt_street.h"

#include <stddef.h>

enum { ASK_SKY = 1000, ASK_CLOUDS, ASK_ASPHALT, ASK_PAVING, ASK_DASH, ASK_ZEBRA, ASK_GRASS, ASK_PATCHES };

typedef struct Surface {
    StreetInk ink;
    unsigned char label;
    int depth; /* how uneven its brightness is, 256ths */
} Surface;

typedef struct Row {
    const StreetScene *scene;
    float z, footprint; /* distance, metres per pixel */
    bool crossing, zebra, dash;
    const StreetLot *lots[2];
    Surface road, walk[2], strip, behind[2];
} Row;

typedef struct SkyKind {
    StreetInk zenith, horizon, cloud;
    float cover; /* clouds begin where noise is above this */
} SkyKind;

static const SkyKind skies[] = {
    {{74, 126, 196}, {188, 212, 232}, {244, 244, 246}, 0.72f},  /* clear */
    {{92, 140, 200}, {202, 216, 228}, {238, 240, 242}, 0.5f},   /* clouds */
    {{110, 146, 190}, {232, 206, 176}, {250, 226, 200}, 0.6f},  /* low sun */
    {{168, 176, 186}, {214, 218, 220}, {196, 202, 208}, 0.42f}, /* overcast */
    {{190, 194, 198}, {222, 222, 218}, {206, 208, 210}, 0.5f},  /* white */
};

void street_sky(StreetCanvas *canvas, const StreetScene *scene)
{
    int choice =
        scene->sun ? street_choose(scene->seed, ASK_SKY, 3) : 3 + street_choose(scene->seed, ASK_SKY, 2);
    const SkyKind *sky = &skies[choice];
    canvas->fog = street_blend(sky->horizon, sky->zenith, 40);
    for (int row = 0; row < canvas->height && (float)row + 0.5f < canvas->v0; row++) {
        float up = (canvas->v0 - (float)row - 0.5f) / canvas->focal, far = 1 / (up + 0.12f);
        int high = (int)(256 * up / (up + 0.35f));
        for (int column = 0; column < canvas->width; column++) {
            float across = ((float)column + 0.5f - canvas->u0) / canvas->focal;
            StreetTexel texel = {street_blend(sky->horizon, sky->zenith, high), STREET_SKY, 255};
            float cloud = street_noise(scene->seed + ASK_CLOUDS, across * far * 1.3f, far * 1.6f) * 0.65f +
                          street_noise(scene->seed + ASK_CLOUDS + 1, across * far * 4, far * 5) * 0.35f;
            if (cloud > sky->cover) {
                int share = (int)((cloud - sky->cover) * 900);
                texel.ink = street_blend(texel.ink, sky->cloud, share > 220 ? 220 : share);
            }
            street_put(canvas, column, row, &texel, 256, 0);
        }
    }
}

static StreetInk paving(uint32_t seed)
{
    static const StreetInk stones[] = {{158, 150, 142}, {172, 168, 162}, {150, 126, 112}, {138, 138, 140}};
    return stones[street_choose(seed, ASK_PAVING, 4)];
}

static void prepare_surfaces(Row *row)
{
    const StreetScene *scene = row->scene;
    int grey = 78 + street_choose(scene->seed, ASK_ASPHALT, 46);
    row->road = (Surface){
        {(unsigned char)grey, (unsigned char)(grey + 1), (unsigned char)(grey + 4)}, STREET_ROAD, 22};
    StreetInk grass = {(unsigned char)(96 + street_choose(scene->seed, ASK_GRASS, 60)), 128, 62};
    row->strip = (Surface){grass, STREET_TERRAIN, 48};
    for (int side = 0; side < 2; side++)
        row->walk[side] = (Surface){paving(scene->seed + (uint32_t)side), STREET_SIDEWALK, 18};
}

static void enter_row(Row *row, float z, float focal)
{
    const StreetScene *scene = row->scene;
    row->z = z;
    row->footprint = z / focal;
    row->crossing = row->zebra = false;
    for (int i = 0; i < scene->crossing_count; i++) {
        float before = scene->crossing_from[i] - z;
        row->crossing |= before <= 0 && z < scene->crossing_to[i];
        row->zebra |= before > 0.8f && before < 3.8f &&
                      street_chance(scene->seed, (uint32_t)(ASK_ZEBRA + 20 * i), 0.7f);
    }
    float dash = z / 6;
    row->dash = dash - (float)street_floor(dash) < 0.5f;
    for (int side = 0; side < 2; side++) {
        const StreetLot *lot = row->lots[side] = street_scene_lot(scene, side, z);
        bool paved = lot && (lot->kind == LOT_HOUSE || (lot->kind == LOT_WALLED && lot->seed & 1));
        row->behind[side] = paved ? row->walk[side] : row->strip;
    }
}

static bool near_to(float x, float line, float half)
{
    return x > line - half && x < line + half;
}

/* Paint on the road; x from the middle, without sign in across. */
static bool is_marked(const Row *row, float x, float across)
{
    const StreetScene *scene = row->scene;
    float half = row->footprint * 0.6f > 0.08f ? row->footprint * 0.6f : 0.08f;
    if (row->footprint > 0.3f || row->crossing) return false;
    if (row->zebra) {
        float stripe = x;
        return stripe - (float)street_floor(stripe) < 0.5f;
    }
    if (scene->tramway && near_to(across, scene->lane, half)) return true;
    for (int lane = 1; lane < scene->lanes; lane++)
        if (near_to(across, (float)lane * scene->lane, half) && row->dash) return true;
    bool middle = near_to(across, 0, half) && (scene->lanes > 1 || row->dash);
    return middle && street_chance(scene->seed, ASK_DASH, 0.8f);
}

/* Rails: dark lines in the innermost lane. */
static bool is_rail(const Row *row, float across)
{
    float half = row->footprint * 0.6f > 0.06f ? row->footprint * 0.6f : 0.06f;
    if (!row->scene->tramway || row->footprint > 0.25f) return false;
    float from_middle = across - row->scene->lane / 2;
    return near_to(from_middle, 0.72f, half) || near_to(from_middle, -0.72f, half);
}

static Surface surface_at(const Row *row, float x)
{
    const StreetScene *scene = row->scene;
    int side = x > 0;
    float across = side ? x : -x, kerb = scene->kerb[side];
    const StreetLot *lot = row->lots[side];
    if (across < kerb || row->crossing) {
        Surface road = row->road;
        if (across < kerb - scene->parking[side] && is_marked(row, x, across))
            road.ink = (StreetInk){206, 206, 200};
        if (is_rail(row, across)) road.ink = (StreetInk){60, 56, 54};
        return road;
    }
    if (lot && lot->kind == LOT_CROSSING) return row->road;
    if (across < kerb + 0.18f) return (Surface){{186, 184, 178}, STREET_SIDEWALK, 8};
    if (across < kerb + scene->strip[side]) return row->zebra ? row->walk[side] : row->strip;
    if (across < scene->facade[side]) return row->walk[side];
    return row->behind[side];
}

/* Joints between the slabs of a pavement, where they can be seen. */
static bool is_joint(const Row *row, float x)
{
    if (row->footprint > 0.05f) return false;
    float u = x * 1.4f, v = row->z * 1.1f;
    return u - (float)street_floor(u) < 0.06f || v - (float)street_floor(v) < 0.06f;
}

static void paint_ground(StreetCanvas *canvas, const Row *row, float x, int column, int at, int fog)
{
    const StreetScene *scene = row->scene;
    Surface surface = surface_at(row, x);
    float coarse = street_noise(scene->seed + ASK_PATCHES, x * 0.4f, row->z * 0.25f);
    float fine =
        row->footprint < 0.12f ? street_noise(scene->seed + ASK_PATCHES + 1, x * 5, row->z * 5) : 0.5f;
    int light = street_scene_shaded(scene, x, row->z) ? scene->light_shade : scene->light_sun;
    light = light * (256 + (int)((coarse + fine - 1) * (float)surface.depth)) / 256;
    if (surface.label == STREET_SIDEWALK && is_joint(row, x)) light = light * 7 / 8;
    StreetTexel texel = {surface.ink, surface.label, 255};
    street_put(canvas, column, at, &texel, light, fog);
}

void street_ground(StreetCanvas *canvas, const StreetScene *scene)
{
    Row row = {.scene = scene};
    prepare_surfaces(&row);
    int at = canvas->v0 > 0 ? street_floor(canvas->v0 + 0.5f) : 0;
    for (; at < canvas->height; at++) {
        float below = (float)at + 0.5f - canvas->v0;
        if (below <= 0) continue;
        float z = canvas->focal * canvas->eye / below;
        enter_row(&row, z < 100000 ? z : 100000, canvas->focal);
        int fog = street_fog(canvas, row.z);
        float left = scene->camera_x - canvas->u0 * row.footprint;
        for (int column = 0; column < canvas->width; column++)
            paint_ground(canvas, &row, left + ((float)column + 0.5f) * row.footprint, column, at, fog);
    }
}
