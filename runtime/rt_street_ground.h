/* The sky and the ground of a street scene: every pixel of the canvas, before things are painted on it. */
#ifndef RT_STREET_GROUND_H
#define RT_STREET_GROUND_H

#include "rt_street_scene.h"

/* Sky above the vanishing point; also chooses the canvas's haze colour, so it comes first. */
void street_sky(StreetCanvas *canvas, const StreetScene *scene);
void street_ground(StreetCanvas *canvas, const StreetScene *scene);

#endif
