/* See rt_street_built.h. Patterns finer than a pixel are replaced by their mean, as a camera does. */
#include "rt_street_built.h"

/* Questions for street_mix; those of a window are its storey and column. */
enum { WALL_NOISE = 1, COLUMNS = 64, LEAF_SHAPE = 3, LEAF_LIGHT = 4, STONES = 5, TWIGS = 6 };

static float absolute(float x)
{
    return x < 0 ? -x : x;
}

/* ink with a brightness between 256 - depth and 256 + depth. */
static StreetInk mottled(StreetInk ink, float noise, int depth)
{
    return street_lit(ink, 256 + (int)((noise * 2 - 1) * (float)depth));
}

static StreetInk glass(uint32_t seed, int storey, int column, float up)
{
    uint32_t pane = street_mix(seed, (uint32_t)(storey * COLUMNS + column + 1000));
    if (pane % 16 == 0) return (StreetInk){226, 205, 140}; /* a light is on */
    if (pane % 5 == 0) return (StreetInk){176, 172, 164};  /* curtains */
    int sky = 40 + (int)(up * 38) + (int)(pane % 23);
    return (StreetInk){(unsigned char)(sky * 3 / 4), (unsigned char)(sky * 7 / 8), (unsigned char)sky};
}

static void shade_shop(const StreetThing *thing, const StreetSpot *spot, float up, StreetTexel *texel)
{
    float across = spot->x / 4.5f;
    int shop = street_floor(across);
    across -= (float)shop;
    StreetInk front = thing->ink[2];
    if (shop & 1) front = street_blend((StreetInk){front.b, front.r, front.g}, thing->ink[0], 110);
    if (up > 0.78f)
        texel->ink = up < 0.95f ? front : thing->ink[0];
    else if (across > 0.06f && across < 0.94f && up > 0.12f)
        texel->ink = glass(thing->seed, -1, shop, up * 1.4f);
    else
        texel->ink = street_lit(front, 130);
}

static void shade_storey(const StreetThing *thing, const StreetSpot *spot, int storey, float up,
                         StreetTexel *texel)
{
    float across = spot->x / thing->form[1];
    int column = street_floor(across);
    across = absolute(across - (float)column - 0.5f) * 2;
    float wide = thing->form[2], tall = thing->form[3];
    if (spot->grain > thing->form[1] * 0.6f) {
        int share = (int)(wide * tall * 256);
        texel->ink = street_blend(texel->ink, (StreetInk){62, 72, 84}, share);
    } else if (across < wide && up > 0.28f && up < 0.28f + tall) {
        bool frame = across > wide - 0.07f || up < 0.33f;
        texel->ink = frame && spot->grain < 0.25f ? street_lit(thing->ink[0], 300)
                                                  : glass(thing->seed, storey, column, (up - 0.28f) / tall);
    }
}

bool street_house(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float noise = street_noise(thing->seed + WALL_NOISE, spot->x * 0.7f, spot->y * 0.7f);
    float below = thing->height - thing->form[4];
    if (spot->y > below) {
        float ridge = spot->grain < 0.3f ? spot->y * 3 - (float)street_floor(spot->y * 3) : 0.5f;
        texel->ink = mottled(thing->ink[1], noise * 0.6f + ridge * 0.4f, 40);
        return true;
    }
    texel->ink = mottled(thing->ink[0], noise, 26);
    if (spot->y > below - 0.4f) {
        texel->ink = street_lit(thing->ink[0], 290);
        return true;
    }
    int storey = street_floor(spot->y / thing->form[0]);
    float up = spot->y / thing->form[0] - (float)storey;
    if (storey == 0 && thing->seed & 1)
        shade_shop(thing, spot, up, texel);
    else if ((float)(storey + 1) * thing->form[0] <= below)
        shade_storey(thing, spot, storey, up, texel);
    return true;
}

bool street_wall(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    if (spot->y > thing->height - 0.15f) {
        texel->ink = thing->ink[1];
        return true;
    }
    float noise = street_noise(thing->seed + STONES, spot->x * 1.3f, spot->y * 1.3f);
    texel->ink = mottled(thing->ink[0], noise, 40);
    float courses = thing->form[0];
    if (courses > 0 && spot->grain < 0.5f / courses) {
        float up = spot->y * courses;
        int course = street_floor(up);
        float along = spot->x * courses * 0.6f + (course & 1 ? 0.5f : 0);
        int stone = street_floor(along);
        int tint = (int)(street_mix(thing->seed, (uint32_t)(course * COLUMNS + stone)) % 50);
        texel->ink = street_lit(texel->ink, 230 + tint);
        if (up - (float)course < 0.14f || along - (float)stone < 0.08f)
            texel->ink = street_lit(texel->ink, 170);
    }
    return true;
}

bool street_fence(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float along = spot->x / thing->form[0], share = thing->form[1];
    along -= (float)street_floor(along);
    bool rail = absolute(spot->t - 0.15f) < 0.05f || absolute(spot->t - 0.9f) < 0.05f;
    texel->ink = thing->ink[0];
    if (rail) return true;
    if (spot->grain > thing->form[0] * 0.5f)
        texel->cover = (unsigned char)(share * 200 + 40);
    else if (along > share)
        texel->cover = 30;
    else
        texel->ink = street_lit(thing->ink[0], along < share * 0.3f ? 290 : 240);
    return true;
}

/* Leaves around a point (0, 0) of a crown, y up: lit from above, with clumps. */
static StreetInk leaves(const StreetThing *thing, const StreetSpot *spot, float up)
{
    float clump = street_noise(thing->seed + LEAF_LIGHT, spot->x * 1.9f, spot->y * 1.9f);
    float leaf = spot->grain < 0.35f ? street_noise(thing->seed + TWIGS, spot->x * 7, spot->y * 7) : 0.5f;
    int light = 170 + (int)(up * 60 + clump * 90 + leaf * 70 - 50);
    return street_lit(thing->ink[0], light);
}

bool street_tree(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float dx = (spot->s - 0.5f) * 2, dy = (spot->t - thing->form[0]) / thing->form[1];
    float ragged = street_noise(thing->seed + LEAF_SHAPE, spot->x * 1.1f, spot->y * 1.1f) - 0.5f;
    if (dx * dx + dy * dy + ragged * thing->form[2] < 0.85f) {
        bool gap = spot->grain < 0.3f && street_noise(thing->seed + TWIGS, spot->x * 4, spot->y * 4) > 0.9f;
        texel->ink = leaves(thing, spot, dy);
        return !gap;
    }
    texel->ink = mottled(thing->ink[1], street_unit(thing->seed, (uint32_t)(spot->y * 8)), 30);
    float half = 0.09f + 0.014f * thing->height;
    return spot->t < thing->form[0] && absolute(spot->x - thing->width / 2) < half;
}

bool street_hedge(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float scale = 2.5f / thing->height;
    float top = 1 - thing->form[0] * street_noise(thing->seed + LEAF_SHAPE, spot->x * scale, 0.5f);
    if (spot->t > top) return false;
    texel->ink = leaves(thing, spot, spot->t * 2 - 1);
    return true;
}

bool street_post(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    texel->ink = street_lit(thing->ink[0], spot->s < 0.35f ? 310 : 236);
    return true;
}

bool street_signal(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    static const StreetInk lamps[3] = {{40, 235, 130}, {255, 190, 40}, {255, 50, 40}};
    int lamp = (int)(spot->t * 3);
    float dx = (spot->s - 0.5f) * thing->width, dy = (spot->t * 3 - (float)lamp - 0.5f) * thing->height / 3;
    texel->ink = thing->ink[0];
    if (dx * dx + dy * dy > 0.016f) return true;
    texel->ink = lamp == (int)thing->form[0] ? lamps[lamp] : street_lit(lamps[lamp], 70);
    return true;
}

/* How far out a spot is in a sign of that shape: 1 at the rim. */
static float out_of(int shape, float dx, float dy)
{
    float across = absolute(dx), up = absolute(dy);
    if (shape == 0) return dx * dx + dy * dy;
    if (shape == 1) return across + (dy + 1) * 0.5f > -dy ? across + (dy + 1) * 0.5f : -dy;
    if (shape == 2) return across > up ? across : up;
    return across + up;
}

bool street_sign(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float dx = spot->s * 2 - 1, dy = spot->t * 2 - 1;
    float out = out_of((int)thing->form[0], dx, dy);
    if (out > 1) return false;
    texel->ink = thing->ink[out > 0.66f ? 0 : 1];
    if (absolute(dx) < 0.32f && absolute(dy) < 0.16f) texel->ink = thing->ink[2];
    return true;
}

bool street_bin(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    texel->ink = street_lit(thing->ink[0], spot->t > 0.85f ? 180 : 230 + (int)(spot->s * 50));
    return spot->t > 0.06f || absolute(spot->s - 0.5f) > 0.25f;
}
