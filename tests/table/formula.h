/* Weights and pictures from a formula, bit for bit those of tests/peers/formula.py (tests/peers/README.md
 * states it): so both sides have the same numbers, and none is committed. */
#ifndef FORMULA_H
#define FORMULA_H

#include "graph.h"

/* values[j] = u(name, j) in [-1, 1), exact in float. A picture is this under the name "image". */
void formula_uniform(const char *name, int64_t count, float *values);
/* The parameter of that name and type. */
void formula_parameter(const char *name, Type type, float *values);

#endif
