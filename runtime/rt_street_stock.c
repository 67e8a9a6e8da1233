/* What is in the street of a scene: traffic, people, posts and trees. See rt_street_scene.h. */
#include "rt_street.h"
#include "rt_street_built.h"
#include "rt_street_scene.h"
#include "rt_street_traffic.h"

#include <stddef.h>

static const StreetInk bodies[] = {{214, 216, 218}, {168, 172, 178}, {96, 100, 106}, {34, 36, 40},
                                   {172, 36, 38},   {38, 68, 130},   {54, 90, 76},   {196, 164, 60},
                                   {120, 84, 62},   {226, 222, 206}};
static const StreetInk cargo[] = {
    {226, 226, 222}, {200, 190, 170}, {70, 110, 160}, {190, 60, 50}, {86, 130, 92}};
static const StreetInk buses[] = {
    {226, 180, 40}, {190, 40, 44}, {60, 120, 190}, {230, 228, 220}, {90, 160, 90}};
static const StreetInk trains[] = {{212, 52, 48}, {240, 214, 120}, {52, 92, 160}, {60, 140, 110}};
static const StreetInk tops[] = {{180, 44, 50},  {44, 62, 120},  {36, 38, 44},   {200, 196, 186},
                                 {70, 120, 84},  {214, 170, 70}, {120, 70, 110}, {100, 104, 112},
                                 {210, 110, 60}, {90, 150, 180}};
static const StreetInk trousers[] = {
    {40, 50, 80}, {34, 34, 38}, {110, 100, 84}, {70, 74, 82}, {150, 140, 120}};
static const StreetInk skins[] = {{224, 182, 150}, {188, 140, 104}, {120, 84, 62}, {240, 204, 176}};
static const StreetInk posts[] = {{92, 96, 98}, {128, 130, 130}, {58, 66, 62}, {160, 158, 150}};
static const StreetInk leaf[] = {{80, 114, 46}, {62, 98, 50}, {104, 122, 56}, {132, 118, 48}};
static const StreetInk red_lamp = {214, 36, 34}, white_lamp = {246, 242, 220};

#define PICK(seed, number, list) list[street_choose(seed, number, (int)(sizeof(list) / sizeof *(list)))]

static float sided(int side, float distance)
{
    return side ? distance : -distance;
}

/* A vehicle along the street; its near end is its front if it comes towards us. */
static StreetThing *add_vehicle(StreetScene *scene, unsigned char label, float x, float z, bool oncoming,
                                uint32_t seed)
{
    StreetThing *thing = street_scene_add(scene, label, x, z, seed);
    thing->ink[2] = oncoming ? white_lamp : red_lamp;
    return thing;
}

static void size_vehicle(StreetThing *thing, float width, float height, float length)
{
    float scale = street_pick(thing->seed, 51, 0.93f, 1.08f);
    thing->width = width * scale;
    thing->height = height * scale;
    thing->length = length * scale;
}

static float add_car(StreetScene *scene, float x, float z, bool oncoming, uint32_t seed)
{
    StreetThing *car = add_vehicle(scene, STREET_CAR, x, z, oncoming, seed);
    car->front = street_car_end;
    car->side = street_car_side;
    size_vehicle(car, 1.8f, street_chance(seed, 52, 0.25f) ? 1.8f : 1.48f, 4.3f);
    car->ink[0] = PICK(seed, 53, bodies);
    return car->length;
}

static float add_truck(StreetScene *scene, float x, float z, bool oncoming, uint32_t seed)
{
    StreetThing *truck = add_vehicle(scene, STREET_TRUCK, x, z, oncoming, seed);
    truck->front = street_truck_end;
    truck->side = street_truck_side;
    size_vehicle(truck, 2.45f, 3.4f, street_pick(seed, 52, 6.5f, 11));
    truck->form[0] = oncoming;
    truck->ink[0] = PICK(seed, 53, bodies);
    truck->ink[1] = PICK(seed, 54, cargo);
    return truck->length;
}

static float add_bus(StreetScene *scene, float x, float z, bool oncoming, uint32_t seed)
{
    StreetThing *bus = add_vehicle(scene, STREET_BUS, x, z, oncoming, seed);
    bus->front = street_bus_end;
    bus->side = street_bus_side;
    size_vehicle(bus, 2.5f, 3.05f, 11.5f);
    bus->ink[0] = PICK(seed, 53, buses);
    bus->ink[1] = street_chance(seed, 54, 0.5f) ? bus->ink[0] : PICK(seed, 55, bodies);
    return bus->length;
}

static float add_train(StreetScene *scene, float x, float z, bool oncoming, uint32_t seed)
{
    StreetThing *train = add_vehicle(scene, STREET_TRAIN, x, z, oncoming, seed);
    train->front = street_train_end;
    train->side = street_train_side;
    size_vehicle(train, 2.6f, 3.7f, street_pick(seed, 52, 18, 34));
    train->ink[0] = (StreetInk){228, 226, 218};
    train->ink[1] = PICK(seed, 53, trains);
    return train->length;
}

/* A bicycle or motorcycle, along or across the street, and who rides it. */
static void add_cycle(StreetScene *scene, bool motor, bool across, bool ridden, float x, float z,
                      uint32_t seed)
{
    StreetThing *cycle = street_scene_add(scene, motor ? STREET_MOTORCYCLE : STREET_BICYCLE, x, z, seed);
    if (motor)
        cycle->front = across ? street_motorcycle_side : street_motorcycle_end;
    else
        cycle->front = across ? street_bicycle_side : street_bicycle_end;
    cycle->width = across ? 2 : 0.8f;
    cycle->height = motor ? 1.1f : 1.08f;
    cycle->ink[0] = street_lit(PICK(seed, 56, tops), motor ? 230 : 180);
    cycle->ink[2] = red_lamp;
    if (!ridden) return;
    StreetThing *rider = street_scene_add(scene, STREET_RIDER, x, z - 0.01f, seed);
    rider->front = across ? street_rider_side : street_rider_end;
    rider->width = across ? 1.4f : 0.7f;
    rider->height = 1.8f;
    rider->ink[0] = PICK(seed, 57, tops);
    rider->ink[1] = PICK(seed, 58, trousers);
    rider->ink[2] = PICK(seed, 59, skins);
}

static float add_mover(StreetScene *scene, float x, float z, bool oncoming, uint32_t seed)
{
    float kind = street_unit(seed, 60);
    if (kind < 0.56f) return add_car(scene, x, z, oncoming, seed);
    if (kind < 0.7f) return add_truck(scene, x, z, oncoming, seed);
    if (kind < 0.82f) return add_bus(scene, x, z, oncoming, seed);
    float aside = street_pick(seed, 61, -0.8f, 0.8f);
    add_cycle(scene, kind < 0.91f, false, true, x + aside, z, seed);
    return 2;
}

static void fill_lane(StreetScene *scene, int side, int lane)
{
    uint32_t base = street_mix(scene->seed, (uint32_t)(300 + lane * 2 + side));
    float x = sided(side, ((float)lane + 0.5f) * scene->lane);
    bool oncoming = side == 0, ours = side && x < scene->camera_x + 1.6f && x > scene->camera_x - 1.6f;
    bool tram = scene->tramway && lane == 0;
    float z = street_pick(base, 1, ours ? 9 : 4, ours ? 34 : 26);
    for (uint32_t i = 2; z < 110; i++) {
        uint32_t seed = street_mix(base, i);
        if (tram && street_chance(seed, 62, 0.5f))
            z += add_train(scene, x, z, oncoming, seed);
        else if (street_chance(seed, 63, 0.75f))
            z += add_mover(scene, x, z, oncoming, seed);
        z += street_pick(seed, 64, 5, 34);
    }
}

static bool in_crossing(const StreetScene *scene, float z, float margin)
{
    for (int i = 0; i < scene->crossing_count; i++)
        if (z > scene->crossing_from[i] - margin && z < scene->crossing_to[i] + margin) return true;
    return false;
}

static void park(StreetScene *scene, int side)
{
    if (scene->parking[side] <= 0) return;
    float x = sided(side, scene->kerb[side] - 1.25f), z = 2;
    for (uint32_t i = 0; z < 90; i++) {
        uint32_t seed = street_mix(scene->seed, 400 + i * 2 + (uint32_t)side);
        float length = 5;
        if (in_crossing(scene, z + 2.5f, 6) || !street_chance(seed, 65, 0.65f))
            length = 4;
        else if (street_chance(seed, 66, 0.08f))
            add_cycle(scene, true, true, false, x, z + 1, seed);
        else if (street_chance(seed, 67, 0.06f))
            length = add_truck(scene, x, z, side == 0, seed);
        else
            length = add_car(scene, x, z, side == 0, seed);
        z += length + street_pick(seed, 68, 0.6f, 1.8f);
    }
}

/* Vehicles and people on their way over a crossing. */
static void fill_crossing(StreetScene *scene, int crossing)
{
    uint32_t seed = street_mix(scene->seed, (uint32_t)(500 + crossing));
    float z = scene->crossing_from[crossing] + street_pick(seed, 1, 2, 4);
    float x = street_pick(seed, 2, -9, 9);
    StreetThing *thing = NULL;
    int kind = street_choose(seed, 3, 7);
    if (kind == 0) {
        add_car(scene, x, z, false, seed);
        thing = &scene->things[scene->thing_count - 1];
        thing->front = street_car_side;
    } else if (kind == 1) {
        add_bus(scene, x, z, false, seed);
        thing = &scene->things[scene->thing_count - 1];
        thing->front = street_bus_side;
    } else if (kind == 2) {
        add_truck(scene, x, z, false, seed);
        thing = &scene->things[scene->thing_count - 1];
        thing->front = street_truck_side;
        thing->form[0] = seed & 1;
    } else if (kind < 6) {
        add_cycle(scene, kind == 3, true, true, x, z, seed);
    }
    if (!thing) return;
    thing->width = thing->length;
    thing->length = 0;
    thing->side = NULL;
}

static void add_person(StreetScene *scene, float x, float z, uint32_t seed)
{
    StreetThing *person = street_scene_add(scene, STREET_PERSON, x, z, seed);
    person->front = street_person;
    person->height = street_chance(seed, 71, 0.12f) ? street_pick(seed, 72, 1.05f, 1.4f)
                                                    : street_pick(seed, 72, 1.6f, 1.9f);
    person->width = 0.75f * person->height / 1.75f;
    person->form[0] = street_pick(seed, 73, 0, 0.22f);
    person->ink[0] = PICK(seed, 74, tops);
    person->ink[1] = PICK(seed, 75, trousers);
    person->ink[2] = PICK(seed, 76, skins);
}

static void fill_pavement(StreetScene *scene, int side)
{
    uint32_t base = street_mix(scene->seed, (uint32_t)(600 + side));
    int people = street_choose(base, 1, 9), cycles = street_choose(base, 2, 4);
    float near = scene->facade[side] - scene->walk[side] + 0.4f, far = scene->facade[side] - 0.4f;
    for (int i = 0; i < people; i++) {
        uint32_t seed = street_mix(base, (uint32_t)(10 + i));
        float at = street_unit(seed, 2), x = sided(side, street_pick(seed, 1, near, far));
        float z = 4 + at * at * 46;
        add_person(scene, x, z, seed);
        if (street_chance(seed, 3, 0.3f)) add_person(scene, x + 0.6f, z + 0.2f, street_mix(seed, 4));
    }
    for (int i = 0; i < cycles; i++) {
        uint32_t seed = street_mix(base, (uint32_t)(30 + i));
        bool motor = street_chance(seed, 1, 0.3f), ridden = street_chance(seed, 2, 0.25f);
        add_cycle(scene, motor, !ridden, ridden, sided(side, street_pick(seed, 3, near, far)),
                  street_pick(seed, 4, 5, 32), seed);
    }
}

static StreetThing *add_post(StreetScene *scene, unsigned char label, float x, float z, float width,
                             float height, uint32_t seed)
{
    StreetThing *post = street_scene_add(scene, label, x, z, seed);
    post->front = street_post;
    post->width = width;
    post->height = height;
    post->thin = true;
    post->ink[0] = PICK(seed, 81, posts);
    return post;
}

static void add_lamp_post(StreetScene *scene, int side, float x, float z, uint32_t seed)
{
    float height = street_pick(seed, 82, 5.5f, 9), arm = street_pick(seed, 83, 0.8f, 2.4f);
    add_post(scene, STREET_POLE, x, z, 0.2f, height, seed);
    StreetThing *boom = add_post(scene, STREET_POLE, x - sided(side, arm / 2), z - 0.01f, arm, 0.18f, seed);
    boom->y = height - 0.1f;
}

static void add_sign(StreetScene *scene, float x, float z, float height, uint32_t seed)
{
    static const StreetInk inks[4][3] = {{{200, 30, 36}, {244, 244, 240}, {40, 40, 44}},
                                         {{200, 30, 36}, {246, 246, 242}, {246, 246, 242}},
                                         {{24, 78, 170}, {28, 84, 180}, {240, 240, 240}},
                                         {{244, 244, 240}, {238, 186, 30}, {238, 186, 30}}};
    StreetThing *sign = street_scene_add(scene, STREET_SIGN, x, z - 0.02f, seed);
    int shape = street_choose(seed, 84, 4);
    sign->front = street_sign;
    sign->y = height;
    sign->width = street_pick(seed, 85, 0.65f, 0.95f);
    sign->height = shape == 2 ? sign->width * street_pick(seed, 86, 0.7f, 1.4f) : sign->width;
    sign->form[0] = (float)shape;
    for (int i = 0; i < STREET_INKS; i++) sign->ink[i] = inks[shape][i];
}

/* An overhead board, as large as a car. */
static void add_board(StreetScene *scene, float x, float z, uint32_t seed)
{
    add_sign(scene, x, z, 4.6f, seed);
    StreetThing *board = &scene->things[scene->thing_count - 1];
    board->width = 3;
    board->height = 1.6f;
    board->form[0] = 2;
    board->ink[0] = board->ink[2] = (StreetInk){236, 238, 236};
    board->ink[1] = seed & 1 ? (StreetInk){24, 84, 170} : (StreetInk){28, 110, 74};
    for (int end = 0; end < 2; end++)
        add_post(scene, STREET_POLE, x + sided(end, 1.2f), z, 0.18f, 4.8f, seed);
}

static void add_signal(StreetScene *scene, float x, float z, float height, uint32_t seed)
{
    StreetThing *signal = street_scene_add(scene, STREET_LIGHT, x, z - 0.02f, seed);
    signal->front = street_signal;
    signal->y = height;
    signal->width = 0.48f;
    signal->height = 1.25f;
    signal->form[0] = (float)street_choose(seed, 87, 3);
    signal->ink[0] = seed & 8 ? (StreetInk){34, 38, 36} : (StreetInk){60, 62, 48};
}

/* At a crossing: a post with lamps, and sometimes lamps over the road. */
static void add_signals(StreetScene *scene, int side, float z, uint32_t seed)
{
    float x = sided(side, scene->kerb[side] + 0.4f);
    add_post(scene, STREET_POLE, x, z, 0.18f, 4.2f, seed);
    add_signal(scene, x, z, 2.6f, seed);
    if (!street_chance(seed, 88, 0.4f)) return;
    float arm = scene->kerb[side] * 0.7f;
    StreetThing *boom = add_post(scene, STREET_POLE, x - sided(side, arm / 2), z, arm, 0.16f, seed);
    boom->y = 5.6f;
    add_post(scene, STREET_POLE, x, z, 0.2f, 5.7f, seed);
    add_signal(scene, x - sided(side, arm), z, 4.7f, seed);
}

static void add_street_tree(StreetScene *scene, float x, float z, uint32_t seed)
{
    StreetThing *tree = street_scene_add(scene, STREET_VEGETATION, x, z, seed);
    tree->front = street_tree;
    tree->height = street_pick(seed, 91, 5, 11);
    tree->width = tree->height * street_pick(seed, 92, 0.5f, 0.8f);
    tree->form[0] = 0.66f;
    tree->form[1] = 0.38f;
    tree->form[2] = street_pick(seed, 93, 0.5f, 1.2f);
    tree->ink[0] = street_lit(PICK(seed, 94, leaf), 200 + street_choose(seed, 95, 90));
    tree->ink[1] = (StreetInk){90, 74, 58};
}

static void add_bin(StreetScene *scene, float x, float z, uint32_t seed)
{
    StreetThing *bin = street_scene_add(scene, STREET_VOID, x, z, seed);
    bin->front = street_bin;
    bin->width = 0.6f;
    bin->height = 1.05f;
    bin->ink[0] = PICK(seed, 96, posts);
}

static void line_kerb(StreetScene *scene, int side)
{
    uint32_t base = street_mix(scene->seed, (uint32_t)(700 + side));
    bool trees = street_chance(base, 1, 0.45f), lamps = street_chance(base, 2, 0.8f);
    float x = sided(side, scene->kerb[side] + (scene->strip[side] > 0 ? scene->strip[side] / 2 : 0.45f));
    float step = street_pick(base, 3, 6, 11), z = street_pick(base, 4, 4, 10);
    for (uint32_t i = 0; z < 90; i++, z += step) {
        uint32_t seed = street_mix(base, 10 + i);
        if (in_crossing(scene, z, 1.5f)) continue;
        if (lamps && i % 3 == 1)
            add_lamp_post(scene, side, x, z, seed);
        else if (trees && street_chance(seed, 5, 0.75f))
            add_street_tree(scene, x, z, seed);
        else if (street_chance(seed, 6, 0.3f)) {
            float height = street_pick(seed, 8, 2.1f, 2.9f);
            add_post(scene, STREET_POLE, x, z, 0.11f, height + 0.3f, seed);
            add_sign(scene, x, z, height, seed);
        } else if (street_chance(seed, 7, 0.12f)) {
            add_bin(scene, x, z, seed);
        }
    }
}

void street_scene_stock(StreetScene *scene)
{
    for (int side = 0; side < 2; side++) {
        for (int lane = 0; lane < scene->lanes; lane++) fill_lane(scene, side, lane);
        park(scene, side);
        fill_pavement(scene, side);
        line_kerb(scene, side);
    }
    for (int i = 0; i < scene->crossing_count; i++) {
        fill_crossing(scene, i);
        uint32_t seed = street_mix(scene->seed, (uint32_t)(800 + i));
        for (int side = 0; side < 2; side++) {
            if (!street_chance(seed, (uint32_t)(10 + side), 0.9f)) continue;
            float z = side ? scene->crossing_from[i] - 1 : scene->crossing_to[i] + 1;
            add_signals(scene, side, z, street_mix(seed, (uint32_t)side));
        }
    }
    if (street_chance(scene->seed, 900, 0.2f))
        add_board(scene, scene->kerb[1] - 2, street_pick(scene->seed, 901, 16, 45),
                  street_mix(scene->seed, 902));
}
