/* Shaders of what stands still in a street: see StreetShader. Each says what a thing's forms and inks mean.
 */
#ifndef RT_STREET_BUILT_H
#define RT_STREET_BUILT_H

#include "rt_street_canvas.h"

/* A house. Forms: storey and window pitch in metres, window width and height as shares of them, height of
 * the roof in metres. Inks: wall, roof, shop front. */
StreetShader street_house;
/* Stones or concrete with a coping. Form 0: courses per metre, 0 for concrete. Ink: wall, coping. */
StreetShader street_wall;
/* Bars or boards. Forms: pitch in metres, share of a pitch that is bar. Ink: bars. */
StreetShader street_fence;
/* A crown on a trunk. Forms: middle and half height of the crown as shares of the height, raggedness. Inks:
 * leaves, trunk. A bush is a tree whose crown reaches the ground. */
StreetShader street_tree;
/* A hedge or a wood seen from afar. Form 0: raggedness of the top. Ink: leaves. */
StreetShader street_hedge;
/* Ink 0 all over, with a lighter left edge. */
StreetShader street_post;
/* A head with three lamps. Form 0: which is lit, 0 (green) to 2 (red). Ink: housing. */
StreetShader street_signal;
/* Form 0: 0 disc, 1 triangle, 2 board, 3 rhombus. Inks: rim, field, mark. */
StreetShader street_sign;
/* A box with a lid. Ink: box. */
StreetShader street_bin;

#endif
