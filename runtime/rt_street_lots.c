/* What stands on the lots of a street scene, and what closes it far away. See rt_street_scene.h. Everything
 * is added in the order in which it is painted: the view's end, then each side's lots from far to near, and
 * on a lot from the back to the street. */
#include "rt_street.h"
#include "rt_street_built.h"
#include "rt_street_scene.h"

#include <stddef.h>

static const StreetInk walls[] = {{158, 92, 74},  {196, 176, 142}, {214, 204, 184}, {150, 146, 140},
                                  {178, 128, 96}, {204, 186, 120}, {122, 112, 106}, {226, 222, 214},
                                  {136, 74, 62},  {170, 178, 176}};
static const StreetInk roofs[] = {{134, 62, 48}, {78, 74, 76}, {110, 84, 66}, {92, 96, 104}};
static const StreetInk shops[] = {{180, 40, 46}, {30, 92, 150}, {36, 120, 78}, {226, 180, 60}, {70, 66, 72}};
static const StreetInk stones[] = {{150, 144, 134}, {124, 108, 92}, {172, 166, 156}, {146, 90, 72}};
static const StreetInk bars[] = {{52, 58, 60}, {120, 90, 62}, {172, 170, 162}, {62, 92, 74}};
static const StreetInk greens[] = {{74, 108, 44}, {56, 92, 46}, {98, 120, 52}, {84, 102, 62}, {120, 118, 44}};

#define PICK(seed, number, list) list[street_choose(seed, number, (int)(sizeof(list) / sizeof *(list)))]

static float sided(int side, float distance)
{
    return side ? distance : -distance;
}

/* A house whose facade is at the given distance from the middle of the road. */
static void add_house(StreetScene *scene, int side, float facade, float from, float to, float height,
                      uint32_t seed)
{
    enum { DEPTH = 14 };
    StreetThing *house = street_scene_add(scene, STREET_BUILDING, sided(side, facade), from, seed);
    house->x = sided(side, facade + DEPTH / 2.0f);
    house->front = house->side = street_house;
    house->width = DEPTH;
    house->height = height;
    house->length = to - from;
    house->form[0] = street_pick(seed, 11, 2.8f, 3.8f);
    house->form[1] = street_pick(seed, 12, 1.8f, 4.2f);
    house->form[2] = street_pick(seed, 13, 0.3f, 0.8f);
    house->form[3] = street_pick(seed, 14, 0.35f, 0.6f);
    house->form[4] = street_chance(seed, 15, 0.6f) ? street_pick(seed, 16, 1.2f, 3.5f) : 0;
    house->ink[0] = street_lit(PICK(seed, 17, walls), 210 + street_choose(seed, 18, 70));
    house->ink[1] = PICK(seed, 19, roofs);
    house->ink[2] = PICK(seed, 20, shops);
    bool faces_sun = (side == 1) != (scene->sun_side == 1);
    house->light_side = faces_sun ? scene->light_sun : scene->light_shade;
    house->light_front = (scene->light_sun + 2 * scene->light_shade) / 3;
}

static void add_tree(StreetScene *scene, float x, float z, float height, uint32_t seed)
{
    StreetThing *tree = street_scene_add(scene, STREET_VEGETATION, x, z, seed);
    tree->front = street_tree;
    tree->height = height;
    tree->width = height * street_pick(seed, 11, 0.5f, 0.95f);
    tree->form[0] = street_pick(seed, 12, 0.58f, 0.68f);
    tree->form[1] = 1.05f - tree->form[0];
    tree->form[2] = street_pick(seed, 13, 0.6f, 1.3f);
    tree->ink[0] = street_lit(PICK(seed, 14, greens), 200 + street_choose(seed, 15, 100));
    tree->ink[1] = (StreetInk){84, 68, 54};
}

static void add_bush(StreetScene *scene, float x, float z, uint32_t seed)
{
    float height = street_pick(seed, 21, 0.7f, 2.2f);
    add_tree(scene, x, z, height, seed);
    StreetThing *bush = &scene->things[scene->thing_count - 1];
    bush->width = height * street_pick(seed, 22, 1.1f, 2.2f);
    bush->form[0] = 0.4f;
    bush->form[1] = 0.65f;
}

static void add_plants(StreetScene *scene, int side, const StreetLot *lot)
{
    int count = 2 + street_choose(lot->seed, 31, 4);
    float step = (lot->to - lot->from) / (float)count;
    for (int i = 0; i < count; i++) {
        uint32_t seed = street_mix(lot->seed, (uint32_t)(40 + i));
        float z = lot->to - ((float)i + street_unit(seed, 1)) * step;
        float x = sided(side, scene->facade[side] + street_pick(seed, 2, 1.2f, 12));
        if (street_chance(seed, 3, 0.35f))
            add_bush(scene, x, z, seed);
        else
            add_tree(scene, x, z, street_pick(seed, 4, 4.5f, 13), seed);
    }
}

static void add_hedge(StreetScene *scene, int side, const StreetLot *lot, float distance, float height)
{
    StreetThing *hedge =
        street_scene_add(scene, STREET_VEGETATION, sided(side, distance), lot->from, lot->seed);
    hedge->side = street_hedge;
    hedge->height = height;
    hedge->length = lot->to - lot->from;
    hedge->form[0] = height > 4 ? 0.5f : 0.15f;
    hedge->ink[0] = PICK(lot->seed, 33, greens);
}

static void add_wall(StreetScene *scene, int side, const StreetLot *lot)
{
    StreetThing *wall =
        street_scene_add(scene, STREET_WALL, sided(side, scene->facade[side]), lot->from, lot->seed);
    wall->side = street_wall;
    wall->front = street_wall;
    wall->width = 0.5f;
    wall->x = sided(side, scene->facade[side] + 0.25f);
    wall->height = lot->height;
    wall->length = lot->to - lot->from;
    wall->form[0] = street_chance(lot->seed, 34, 0.6f) ? street_pick(lot->seed, 35, 2, 4) : 0;
    wall->ink[0] = PICK(lot->seed, 36, stones);
    wall->ink[1] = street_lit(wall->ink[0], 290);
}

static void add_fence(StreetScene *scene, int side, const StreetLot *lot)
{
    StreetThing *fence =
        street_scene_add(scene, STREET_FENCE, sided(side, scene->facade[side]), lot->from, lot->seed);
    fence->side = street_fence;
    fence->height = lot->height;
    fence->length = lot->to - lot->from;
    fence->form[0] = street_pick(lot->seed, 37, 0.18f, 0.5f);
    fence->form[1] = street_pick(lot->seed, 38, 0.35f, 0.75f);
    fence->ink[0] = PICK(lot->seed, 39, bars);
}

static void build_lot(StreetScene *scene, int side, const StreetLot *lot)
{
    float facade = scene->facade[side];
    if (lot->kind == LOT_CROSSING) return;
    if (lot->kind == LOT_HOUSE) {
        add_house(scene, side, facade, lot->from, lot->to, lot->height, lot->seed);
        return;
    }
    if (street_chance(lot->seed, 30, 0.4f))
        add_house(scene, side, facade + 9, lot->from + 1, lot->to - 1, street_pick(lot->seed, 32, 5, 15),
                  lot->seed);
    else
        add_hedge(scene, side, lot, facade + 13, street_pick(lot->seed, 32, 5, 12));
    add_plants(scene, side, lot);
    if (lot->kind == LOT_WALLED) add_wall(scene, side, lot);
    if (lot->kind == LOT_FENCED) add_fence(scene, side, lot);
    if (lot->kind == LOT_GARDEN && street_chance(lot->seed, 41, 0.4f))
        add_hedge(scene, side, lot, facade, street_pick(lot->seed, 42, 0.7f, 1.6f));
}

/* Woods and houses that close the view, at about 160 metres. */
static void close_view(StreetScene *scene)
{
    enum { BOARDS = 16, BOARD_WIDTH = 26 };
    for (int i = 0; i < BOARDS; i++) {
        uint32_t seed = street_mix(scene->seed, (uint32_t)(200 + i));
        bool wood = street_chance(seed, 1, 0.5f);
        float x = ((float)i - (BOARDS - 1) / 2.0f) * BOARD_WIDTH, height = street_pick(seed, 2, 6, 22);
        if (wood) {
            StreetThing *board = street_scene_add(scene, STREET_VEGETATION, x, 165, seed);
            board->front = street_hedge;
            board->width = BOARD_WIDTH + 6;
            board->height = height;
            board->form[0] = 0.5f;
            board->ink[0] = PICK(seed, 3, greens);
        } else {
            add_house(scene, 1, 0, 158, 170, height, seed);
            StreetThing *house = &scene->things[scene->thing_count - 1];
            house->side = NULL;
            house->x = x;
            house->width = street_pick(seed, 4, 14, BOARD_WIDTH + 2);
        }
    }
}

void street_scene_build(StreetScene *scene)
{
    close_view(scene);
    for (int side = 0; side < 2; side++)
        for (int i = scene->lot_count[side] - 1; i >= 0; i--) build_lot(scene, side, &scene->lots[side][i]);
    scene->lot_things = scene->thing_count;
}
