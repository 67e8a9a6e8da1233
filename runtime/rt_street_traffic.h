/* Shaders of what moves in a street: see StreetShader. Inks of vehicles: body, second colour, lamps of the
 * end that is seen (red behind, white in front). Inks of people: top, trousers, skin. Form 0 of a person: how
 * far the legs are apart; of bicycles and motorcycles: nothing. */
#ifndef RT_STREET_TRAFFIC_H
#define RT_STREET_TRAFFIC_H

#include "rt_street_canvas.h"

StreetShader street_car_end, street_car_side;
/* Truck: form 0 is 1 when the cab is at the near end, 0 when it is at the far one. */
StreetShader street_truck_end, street_truck_side;
StreetShader street_bus_end, street_bus_side;
StreetShader street_train_end, street_train_side;
StreetShader street_person;
/* Riders and what they ride, along the street (end) and across it (side). */
StreetShader street_rider_end, street_rider_side;
StreetShader street_bicycle_end, street_bicycle_side;
StreetShader street_motorcycle_end, street_motorcycle_side;

#endif
