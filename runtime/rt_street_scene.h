/* What a street scene consists of, before it is painted. Made from a seed alone; plain data.
 *
 * Here x is 0 in the middle of the road; side 0 is left (negative x), side 1 right. Across one side, from the
 * middle: lanes, parking, kerb, a strip of grass, the pavement, and from the facade line on the lots.
 */
#ifndef RT_STREET_SCENE_H
#define RT_STREET_SCENE_H

#include "rt_street_canvas.h"

enum { STREET_LOTS = 32, STREET_CROSSINGS = 2, STREET_THINGS = 400 };

typedef enum StreetLotKind { LOT_HOUSE, LOT_GARDEN, LOT_WALLED, LOT_FENCED, LOT_CROSSING } StreetLotKind;

typedef struct StreetLot {
    StreetLotKind kind;
    float from, to; /* along the street, metres */
    float height;   /* of what throws a shadow */
    uint32_t seed;
} StreetLot;

typedef struct StreetScene {
    uint32_t seed;

    /* Camera. */
    float camera_x, eye;            /* metres */
    float lens, vanish_x, vanish_y; /* focal length as a share of (width + height), vanishing point of each */

    /* Light. */
    bool sun;
    int sun_side;               /* where it comes from */
    float shadow_slope;         /* metres of shadow per metre of height */
    int light_sun, light_shade; /* 256ths */

    /* Across. */
    int lanes;                           /* in each direction */
    float lane;                          /* width */
    bool tramway;                        /* its track is the innermost lane of both directions */
    float parking[2], strip[2], walk[2]; /* widths; 0: none */
    float kerb[2], facade[2];            /* distances from the middle */

    /* Along. */
    int lot_count[2], crossing_count;
    StreetLot lots[2][STREET_LOTS];
    float crossing_from[STREET_CROSSINGS], crossing_to[STREET_CROSSINGS];

    /* Things: first what stands on the lots and behind them, in the order of painting, then what is in the
     * street, in any order. The last one is where things go when there is no room. */
    int thing_count, lot_things;
    StreetThing things[STREET_THINGS + 1];
} StreetScene;

/* Camera, light and layout; clear: share of scenes with sun. */
void street_scene_make(StreetScene *scene, uint64_t seed, float clear);
/* Fills the lots (rt_street_lots.c), then the street (rt_street_stock.c). */
void street_scene_build(StreetScene *scene);
void street_scene_stock(StreetScene *scene);

/* A new thing with that label at that place, lit as things there are. */
StreetThing *street_scene_add(StreetScene *scene, unsigned char label, float x, float z, uint32_t seed);
/* The lot at distance z; NULL beyond the last. */
const StreetLot *street_scene_lot(const StreetScene *scene, int side, float z);
/* Whether houses keep the sun from a place. */
bool street_scene_shaded(const StreetScene *scene, float x, float z);

#endif
