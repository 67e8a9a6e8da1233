/* See rt_street_traffic.h. Silhouettes are made of a few ellipses, bands and capsules (all points within a
 * radius of a line), in metres: at the sizes of a picture of a street more is not seen. */
#include "rt_street_traffic.h"

static const StreetInk tyre = {24, 24, 26}, pane = {44, 54, 64}, under = {34, 34, 36},
                       plate = {220, 214, 190};

static float absolute(float x)
{
    return x < 0 ? -x : x;
}

static bool within(float x, float least, float most)
{
    return x > least && x < most;
}

static bool in_ellipse(float x, float y, float half_width, float half_height)
{
    float a = x / half_width, b = y / half_height;
    return a * a + b * b < 1;
}

typedef struct Capsule {
    float ax, ay, bx, by, radius;
} Capsule;

static bool in_capsule(const Capsule *c, float x, float y)
{
    float dx = c->bx - c->ax, dy = c->by - c->ay;
    float along = ((x - c->ax) * dx + (y - c->ay) * dy) / (dx * dx + dy * dy);
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    float ex = x - c->ax - along * dx, ey = y - c->ay - along * dy;
    return ex * ex + ey * ey < c->radius * c->radius;
}

static bool in_any(const Capsule *capsules, int count, float x, float y)
{
    for (int i = 0; i < count; i++)
        if (in_capsule(&capsules[i], x, y)) return true;
    return false;
}

/* Panes are lighter towards the top, where they mirror the sky. */
static StreetInk mirrored(float up)
{
    return street_lit(pane, 200 + (int)(up * 200));
}

/* Two tyres and the dark underneath, below clearance; true if the spot is there. *there: something is. */
static bool shade_under(const StreetThing *thing, const StreetSpot *spot, float clearance, bool *there,
                        StreetTexel *texel)
{
    if (spot->y > clearance) return false;
    float from_edge = spot->x < thing->width / 2 ? spot->x : thing->width - spot->x;
    bool wheel = within(from_edge, 0.06f, 0.32f);
    texel->ink = wheel ? tyre : under;
    *there = wheel || spot->y > clearance * 0.55f;
    return true;
}

bool street_car_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    bool there = true;
    if (shade_under(thing, spot, 0.26f, &there, texel)) return there;
    float t = spot->t, across = absolute(spot->s - 0.5f) * 2;
    if (t > 0.6f) { /* the cabin, narrower towards the roof */
        float half = 0.94f - (t - 0.6f) * 0.62f;
        if (across > half) return false;
        bool window = across < half - 0.1f && within(t, 0.63f, 0.92f);
        texel->ink = window ? mirrored((t - 0.6f) * 2.5f) : street_lit(thing->ink[0], 270);
        return true;
    }
    if (across > 0.98f) return false;
    texel->ink = street_lit(thing->ink[0], t > 0.52f ? 275 : t < 0.3f ? 190 : 235);
    if (within(t, 0.4f, 0.53f) && across > 0.68f) texel->ink = thing->ink[2];
    if (within(t, 0.3f, 0.38f) && across < 0.24f) texel->ink = plate;
    if (t < 0.23f) texel->ink = street_lit(under, 300);
    return true;
}

/* Wheels at the given places of a side; true if the spot is in one. */
static bool in_wheel(const StreetSpot *spot, const float *places, int count, float radius)
{
    for (int i = 0; i < count; i++)
        if (in_ellipse(spot->x - places[i], spot->y - radius, radius, radius)) return true;
    return false;
}

static void shade_wheel(const StreetSpot *spot, float radius, StreetTexel *texel)
{
    texel->ink = within(spot->y, radius * 0.6f, radius * 1.4f) ? (StreetInk){70, 70, 74} : tyre;
}

/* Length of the side seen: across the street, a front is one. */
static float side_length(const StreetThing *thing)
{
    return thing->length > 0 ? thing->length : thing->width;
}

bool street_car_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float length = side_length(thing), t = spot->t, s = spot->s;
    const float wheels[2] = {length * 0.19f, length * 0.8f};
    if (in_wheel(spot, wheels, 2, 0.31f)) {
        shade_wheel(spot, 0.31f, texel);
        return true;
    }
    if (t < 0.16f) return false;
    if (t < 0.6f) {
        float round = t > 0.5f ? (t - 0.5f) * 0.25f : 0;
        texel->ink = street_lit(thing->ink[0], t > 0.52f ? 285 : t < 0.26f ? 170 : 236);
        if (spot->grain < 0.08f && (absolute(s - 0.34f) < 0.008f || absolute(s - 0.58f) < 0.008f))
            texel->ink = street_lit(texel->ink, 150);
        return within(s, round, 1 - round);
    }
    float slope = (t - 0.6f) * 0.34f, from = 0.14f + slope, to = 0.82f - slope;
    if (!within(s, from, to)) return false;
    bool pillar = absolute(s - 0.47f) < 0.018f || s < from + 0.03f || s > to - 0.03f;
    texel->ink = t < 0.93f && !pillar ? mirrored((t - 0.6f) * 2.5f) : street_lit(thing->ink[0], 280);
    return true;
}

bool street_truck_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    bool there = true;
    if (shade_under(thing, spot, 0.6f, &there, texel)) return there;
    float t = spot->t, across = absolute(spot->s - 0.5f) * 2;
    bool cab = thing->form[0] > 0.5f;
    if (t < 0.24f) {
        texel->ink = across > 0.7f ? thing->ink[2] : across < 0.2f ? plate : under;
    } else if (!cab) { /* two doors and their bars */
        bool bar = across < 0.03f || absolute(across - 0.5f) < 0.025f || across > 0.95f || t > 0.96f;
        texel->ink = street_lit(thing->ink[1], bar ? 170 : 250);
    } else if (t > 0.8f) {
        texel->ink = street_lit(thing->ink[1], 260);
    } else {
        bool window = within(t, 0.5f, 0.74f) && across < 0.86f;
        texel->ink = window ? mirrored((t - 0.5f) * 4) : street_lit(thing->ink[0], t < 0.4f ? 215 : 260);
        if (within(t, 0.3f, 0.42f) && across < 0.6f) texel->ink = street_lit(thing->ink[0], 120);
    }
    return true;
}

bool street_truck_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float length = side_length(thing), from_cab = thing->form[0] > 0.5f ? spot->x : length - spot->x;
    const float wheels[4] = {1.3f, length - 1.1f, length - 2.2f, length * 0.55f};
    StreetSpot turned = *spot;
    turned.x = from_cab;
    if (in_wheel(&turned, wheels, 4, 0.48f)) {
        shade_wheel(spot, 0.48f, texel);
        return true;
    }
    if (spot->y < 0.5f) return false;
    if (from_cab < 2.1f) {
        bool window = within(spot->t, 0.5f, 0.72f) && within(from_cab, 0.4f, 1.5f);
        texel->ink = window ? mirrored((spot->t - 0.5f) * 4) : street_lit(thing->ink[0], 245);
        return spot->t < 0.82f + from_cab * 0.05f;
    }
    if (from_cab < 2.4f || spot->y < 0.95f) {
        texel->ink = under;
        return spot->y < 1.1f;
    }
    float band = spot->x * 0.8f - (float)street_floor(spot->x * 0.8f);
    bool stripe = within(spot->t, 0.42f, 0.6f) && thing->seed & 1;
    texel->ink =
        stripe ? thing->ink[0] : street_lit(thing->ink[1], band < 0.06f && spot->grain < 0.2f ? 200 : 250);
    return true;
}

bool street_bus_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    bool there = true;
    if (shade_under(thing, spot, 0.35f, &there, texel)) return there;
    float t = spot->t, across = absolute(spot->s - 0.5f) * 2;
    texel->ink = street_lit(thing->ink[t < 0.3f ? 1 : 0], t > 0.95f ? 290 : 245);
    if (within(t, 0.42f, 0.82f) && across < 0.9f) texel->ink = mirrored((t - 0.42f) * 2);
    if (within(t, 0.85f, 0.94f) && across < 0.6f) texel->ink = (StreetInk){30, 26, 20};
    if (within(t, 0.87f, 0.92f) && across < 0.4f) texel->ink = (StreetInk){250, 170, 40}; /* where it goes */
    if (within(t, 0.17f, 0.25f) && across > 0.66f) texel->ink = thing->ink[2];
    return across < 0.99f;
}

bool street_bus_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float length = side_length(thing), t = spot->t;
    const float wheels[2] = {length * 0.24f, length * 0.74f};
    if (in_wheel(spot, wheels, 2, 0.46f)) {
        shade_wheel(spot, 0.46f, texel);
        return true;
    }
    if (spot->y < 0.32f) return false;
    float place = spot->x / 1.4f;
    int number = street_floor(place);
    bool pillar = place - (float)number < 0.1f, door = number % 4 == 1 && thing->seed & 1;
    texel->ink = street_lit(thing->ink[t < 0.3f ? 1 : 0], t > 0.93f ? 285 : 240);
    if (!pillar && (within(t, 0.45f, 0.83f) || (door && within(t, 0.14f, 0.83f))))
        texel->ink = mirrored(t - 0.3f);
    return true;
}

bool street_train_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float t = spot->t, across = absolute(spot->s - 0.5f) * 2;
    float half = t > 0.75f ? 1 - (t - 0.75f) * 0.4f : t < 0.1f ? 0.95f + t * 0.5f : 1;
    if (across > half) return false;
    texel->ink = street_lit(thing->ink[t < 0.42f ? 1 : 0], t > 0.9f ? 200 : 250);
    if (within(t, 0.46f, 0.8f) && across < half - 0.12f) texel->ink = mirrored((t - 0.46f) * 2);
    if (within(t, 0.82f, 0.89f) && across < 0.4f) texel->ink = (StreetInk){250, 190, 60};
    if (in_ellipse(absolute(spot->x - thing->width / 2) - 0.8f, spot->y - 0.95f, 0.16f, 0.16f))
        texel->ink = thing->ink[2];
    if (t < 0.1f) texel->ink = under;
    return true;
}

bool street_train_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float t = spot->t, place = spot->x / 2.2f;
    int number = street_floor(place);
    place -= (float)number;
    bool joint = number % 5 == 4 && place > 0.7f, door = number % 3 == 1;
    texel->ink = street_lit(thing->ink[t < 0.42f ? 1 : 0], 245);
    if (t > 0.9f) texel->ink = street_lit(thing->ink[0], 150); /* what is on the roof */
    if (within(t, 0.5f, 0.8f) && within(place, 0.08f, 0.92f)) texel->ink = mirrored(t - 0.2f);
    if (door && within(t, 0.12f, 0.82f) && within(place, 0.25f, 0.75f))
        texel->ink = absolute(place - 0.5f) < 0.03f ? under : mirrored(t - 0.3f);
    if (joint || t < 0.08f) texel->ink = under;
    return true;
}

/* A head of the given middle; true if the spot is in it. */
static bool shade_head(const StreetThing *thing, float x, float y, StreetTexel *texel)
{
    if (!in_ellipse(x, y, 0.11f, 0.135f)) return false;
    bool hair = y > 0.03f || thing->seed & 2;
    texel->ink = hair ? street_lit(thing->ink[2], 80) : thing->ink[2];
    return true;
}

bool street_person(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float size = thing->height / 1.75f, x = (spot->x - thing->width / 2) / size, y = spot->y / size;
    if (shade_head(thing, x, y - 1.61f, texel)) return true;
    float across = absolute(x);
    if (y > 0.82f) {
        texel->ink = street_lit(thing->ink[0], across > 0.19f ? 200 : 256);
        float shoulder = y > 1.36f ? (y - 1.36f) * 1.2f : 0;
        return y < 1.5f && across < 0.29f - shoulder && (across < 0.2f || y > 0.86f);
    }
    float middle = 0.085f + thing->form[0] * (0.85f - y);
    texel->ink = y < 0.08f ? tyre : street_lit(thing->ink[1], x < 0 ? 256 : 210);
    return absolute(across - middle) < 0.088f;
}

bool street_rider_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float x = spot->x - thing->width / 2, y = spot->y, across = absolute(x);
    if (shade_head(thing, x, y - 1.62f, texel)) return true;
    if (within(y, 0.92f, 1.5f)) {
        texel->ink = street_lit(thing->ink[0], across > 0.2f ? 200 : 256);
        return across < 0.3f - (y > 1.36f ? y - 1.36f : 0);
    }
    texel->ink = y < 0.42f ? tyre : thing->ink[1];
    return within(y, 0.34f, 0.95f) && within(across, 0.1f, 0.24f);
}

bool street_rider_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    static const Capsule top[] = {{-0.2f, 1.0f, 0.14f, 1.42f, 0.15f}, {0.14f, 1.38f, 0.42f, 1.02f, 0.06f}};
    static const Capsule legs[] = {{-0.18f, 0.95f, 0.12f, 0.68f, 0.09f}, {0.12f, 0.68f, 0.02f, 0.28f, 0.07f}};
    float x = spot->x - thing->width / 2, y = spot->y;
    if (thing->seed & 4) x = -x;
    if (shade_head(thing, x - 0.26f, y - 1.63f, texel)) return true;
    texel->ink = thing->ink[0];
    if (in_any(top, 2, x, y)) return true;
    texel->ink = thing->ink[1];
    return in_any(legs, 2, x, y);
}

bool street_bicycle_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float across = absolute(spot->x - thing->width / 2), y = spot->y;
    texel->ink = y < 0.68f ? tyre : thing->ink[0];
    if (y < 0.68f) return across < 0.06f;
    if (absolute(y - 0.98f) < 0.05f) return across < 0.29f;
    return across < 0.05f && y < 1.02f;
}

bool street_bicycle_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    static const Capsule frame[] = {
        {-0.52f, 0.34f, -0.02f, 0.32f, 0.035f}, {-0.02f, 0.32f, -0.2f, 0.9f, 0.035f},
        {-0.02f, 0.32f, 0.36f, 0.8f, 0.035f},   {-0.18f, 0.78f, 0.36f, 0.84f, 0.035f},
        {0.52f, 0.34f, 0.36f, 1.0f, 0.035f},    {-0.3f, 0.93f, -0.1f, 0.93f, 0.05f},
        {0.3f, 1.0f, 0.46f, 1.03f, 0.04f},      {-0.52f, 0.34f, -0.18f, 0.78f, 0.025f}};
    float x = spot->x - thing->width / 2, y = spot->y;
    if (thing->seed & 4) x = -x;
    texel->ink = thing->ink[0];
    if (in_any(frame, 8, x, y)) return true;
    float dx = absolute(x) - 0.52f, dy = y - 0.34f, out = dx * dx + dy * dy;
    texel->ink = tyre;
    if (out < 0.27f * 0.27f) texel->cover = 60; /* spokes */
    return out < 0.34f * 0.34f;
}

bool street_motorcycle_end(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    float across = absolute(spot->x - thing->width / 2), y = spot->y;
    texel->ink = y < 0.4f ? tyre : thing->ink[0];
    if (y < 0.4f) return across < 0.1f;
    if (y < 0.86f) {
        if (across < 0.09f && within(y, 0.66f, 0.78f)) texel->ink = thing->ink[2];
        return across < 0.23f;
    }
    texel->ink = under;
    return across < (y > 0.98f ? 0.38f : 0.16f);
}

bool street_motorcycle_side(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel)
{
    static const Capsule body[] = {{-0.3f, 0.72f, 0.28f, 0.74f, 0.15f}, {-0.8f, 0.82f, -0.3f, 0.74f, 0.08f}};
    static const Capsule dark[] = {{-0.1f, 0.42f, 0.12f, 0.42f, 0.2f},
                                   {0.64f, 0.32f, 0.38f, 1.0f, 0.05f},
                                   {-0.66f, 0.32f, -0.1f, 0.4f, 0.06f},
                                   {0.3f, 1.0f, 0.46f, 1.04f, 0.05f}};
    float x = spot->x - thing->width / 2, y = spot->y;
    if (thing->seed & 4) x = -x;
    texel->ink = thing->ink[0];
    if (in_any(body, 2, x, y)) return true;
    texel->ink = under;
    if (in_any(dark, 4, x, y)) return true;
    bool hub = in_ellipse(absolute(x) - 0.65f, y - 0.32f, 0.16f, 0.16f);
    texel->ink = hub ? (StreetInk){96, 96, 100} : tyre;
    return in_ellipse(absolute(x) - 0.65f, y - 0.32f, 0.32f, 0.32f);
}
