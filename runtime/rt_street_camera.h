/* The camera that takes the picture of a painted street: optics, response, colours, exposure, noise. What it
 * does is chosen from a look and a scene's seed; labels are not touched. */
#ifndef RT_STREET_CAMERA_H
#define RT_STREET_CAMERA_H

#include "rt_street.h"
#include "rt_street_canvas.h"

/* Turns what is painted into what the camera sees, in place. */
void street_expose(StreetCanvas *canvas, const StreetLook *look, uint32_t seed);

#endif
