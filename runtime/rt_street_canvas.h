/* What street scenes are painted with: numbers by hashing, and upright rectangles in perspective.
 *
 * World: metres; x to the right of the camera, y up from the ground, z ahead of the camera. Things are
 * painted over each other, so the caller goes from far to near.
 *
 * Randomness is a pure function of a seed and the number of the question, never a sequence: the order in
 * which a compiler evaluates calls cannot matter.
 */
#ifndef RT_STREET_CANVAS_H
#define RT_STREET_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct StreetInk {
    unsigned char r, g, b;
} StreetInk;

typedef struct StreetCanvas {
    int width, height; /* pixels */
    unsigned char *rgb, *labels;
    float focal;        /* pixels per metre, one metre ahead */
    float u0, v0;       /* vanishing point, pixels */
    float eye;          /* height of the camera, metres */
    StreetInk fog;      /* colour of the haze */
    float fog_distance; /* metres at which it hides half */
} StreetCanvas;

/* A place on a thing's front or side. */
typedef struct StreetSpot {
    float s, t;  /* 0..1 from left (side: from near) to right (far), and from bottom to top */
    float x, y;  /* the same in metres */
    float grain; /* metres that a pixel covers here, the longer way */
} StreetSpot;

typedef struct StreetTexel {
    StreetInk ink;
    unsigned char label;
    unsigned char cover; /* 255: opaque; less lets what is behind show through */
} StreetTexel;

typedef struct StreetThing StreetThing;

/* Colour and label at a spot; false: nothing is there. The texel comes with the thing's label and full
 * cover. */
typedef bool StreetShader(const StreetThing *thing, const StreetSpot *spot, StreetTexel *texel);

enum { STREET_INKS = 3, STREET_FORMS = 5 };

/* A box, a board that faces the camera (no side), or one along the street (no front). */
struct StreetThing {
    StreetShader *front, *side; /* NULL: not there */
    float x, y, z;              /* middle, bottom, and nearest plane of the box */
    float width, height, length;
    float form[STREET_FORMS]; /* what its shader says */
    StreetInk ink[STREET_INKS];
    int light_front, light_side; /* brightness, 256ths */
    uint32_t seed;
    unsigned char label;
    bool thin; /* at least a pixel wide, however far */
};

/* A hash of two numbers. */
static inline uint32_t street_mix(uint32_t seed, uint32_t number)
{
    uint32_t h = seed ^ (number * 0x9e3779b1u + 0x7f4a7c15u);
    h = (h ^ h >> 16) * 0x21f0aaadu;
    h = (h ^ h >> 15) * 0x735a2d97u;
    return h ^ h >> 15;
}

/* Largest integer not above x. */
static inline int street_floor(float x)
{
    int whole = (int)x;
    return whole - ((float)whole > x);
}

/* A sample times light / 256, at most 255. */
static inline unsigned char street_scaled(int value, int light)
{
    int product = value * light / 256;
    return (unsigned char)(product > 255 ? 255 : product);
}

static inline StreetInk street_lit(StreetInk ink, int light)
{
    return (StreetInk){street_scaled(ink.r, light), street_scaled(ink.g, light), street_scaled(ink.b, light)};
}

/* From a (share 0) to b (share 256). */
static inline StreetInk street_blend(StreetInk a, StreetInk b, int share)
{
    int rest = 256 - share;
    return (StreetInk){(unsigned char)((a.r * rest + b.r * share) / 256),
                       (unsigned char)((a.g * rest + b.g * share) / 256),
                       (unsigned char)((a.b * rest + b.b * share) / 256)};
}

/* A number in 0..1 (1 excluded); in least..most; whether a thing that a share of all have is there. */
float street_unit(uint32_t seed, uint32_t number);
float street_pick(uint32_t seed, uint32_t number, float least, float most);
bool street_chance(uint32_t seed, uint32_t number, float share);
/* 0..count-1 */
int street_choose(uint32_t seed, uint32_t number, int count);
/* Smooth noise in 0..1 whose features are one unit apart. */
float street_noise(uint32_t seed, float x, float y);

/* Share of haze at a distance, 0..256. */
int street_fog(const StreetCanvas *canvas, float z);
void street_put(StreetCanvas *canvas, int column, int row, const StreetTexel *texel, int light, int fog);
void street_paint(StreetCanvas *canvas, const StreetThing *thing);
/* A soft shadow on the ground: an ellipse around (x, z); strength 0..256. */
void street_shadow(StreetCanvas *canvas, float x, float z, float half_width, float half_length, int strength);

#endif
