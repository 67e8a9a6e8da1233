/* Street scenes made by arithmetic: pictures with exact labels, for trying a network, training a small one
 * and testing, with no download. A scene is a straight street in perspective (houses, crossings, traffic,
 * people, trees, sun and shade), drawn far to near. Labels are the 19 Cityscapes train ids; STREET_VOID marks
 * what belongs to no class (the camera car's bonnet, bins).
 *
 * Same look, seed and size: the same bytes, with any compiler and on any machine. Everything is integers, or
 * floats put through + - * / and conversions only, each rounded once (so it must be compiled with
 * -ffp-contract=off, as the Makefile does). A seed is the same scene at every size.
 *
 * Nothing is allocated or kept; thread safe. About 10 ms for 512x256 pixels.
 *
 *     unsigned char rgb[256 * 512 * 3], labels[256 * 512];
 *     const StreetLook *look = street_look("rendered");
 *     if (street_draw(look, 7, 512, 256, rgb, labels, &err)) return err.status;
 */
#ifndef RT_STREET_H
#define RT_STREET_H

#include "rt_status.h"

#include <stdint.h>

typedef enum StreetClass {
    STREET_ROAD,
    STREET_SIDEWALK,
    STREET_BUILDING,
    STREET_WALL,
    STREET_FENCE,
    STREET_POLE,
    STREET_LIGHT,
    STREET_SIGN,
    STREET_VEGETATION,
    STREET_TERRAIN,
    STREET_SKY,
    STREET_PERSON,
    STREET_RIDER,
    STREET_CAR,
    STREET_TRUCK,
    STREET_BUS,
    STREET_TRAIN,
    STREET_MOTORCYCLE,
    STREET_BICYCLE,
    STREET_CLASSES,
    STREET_VOID = 255,
} StreetClass;

enum { STREET_LEAST_SIDE = 32, STREET_MOST_SIDE = 8192 };

/* How the camera and the weather make a picture of a scene; the scene itself does not depend on it. */
typedef struct StreetLook {
    const char *name;
    float clear;               /* share of scenes with sun and shadows; the others are overcast */
    float fog_near, fog_far;   /* range of the distance, in metres, at which haze hides half */
    int gain_least, gain_most; /* range of the exposure, 256ths */
    int saturation;            /* 256ths: 0 is grey, 256 as painted */
    int cast;                  /* most that a channel's gain differs from the exposure, 256ths */
    int tint[3];               /* 256ths by which each channel is multiplied: the cast of every picture */
    int tone_least, tone_most; /* range of how far the response bends, 256ths: 0 is linear */
    int veil;                  /* stray light, added to every sample, of 255 */
    int blur_most;             /* 1..blur_most times the lens blurs by 1 2 1; 0: not at all */
    int noise;                 /* greatest deviation of a sample, of 255 */
    int vignette;              /* how much darker the corners are, 256ths */
} StreetLook;

/* The look of that name, NULL if there is none. "rendered" is clean and colourful, as a game draws. "camera"
 * is the same streets as a cheap camera takes them: duller weather and haze, a blurred lens, dark and
 * contrasty response, faded colours with a green cast, stray light, dark corners, much noise. A network that
 * was trained on one look alone loses about half of its mIoU on the other. A seed is the same scene, and the
 * same labels, in both: for two data sets that don't show each other's scenes give each seeds of its own. */
const StreetLook *street_look(const char *name);
/* Draws scene number seed: rgb holds height * width * 3 bytes, labels height * width. RT_USAGE when a side is
 * not STREET_LEAST_SIDE..STREET_MOST_SIDE. */
RtStatus street_draw(const StreetLook *look, uint64_t seed, int width, int height, unsigned char *rgb,
                     unsigned char *labels, RtError *err);

#endif
