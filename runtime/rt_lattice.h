/* Gaussian filtering of points in a few dimensions by the permutohedral lattice: Adams, Baek and Davis, "Fast
 * High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
 *
 * Each point i has a feature vector f_i, in standard deviations, and a row of values v_i. Filtering gives
 * every point the sum over all points j of about exp(-|f_i - f_j|^2 / 2) v_j, up to a factor that is the same
 * everywhere, in time linear in the number of points: values are spread to the corners of the lattice's
 * simplex around each point, blurred along the lattice's directions, and gathered again. Only corners that
 * some point touches exist, so where points lie apart by more than a deviation, the tails between them are
 * cut.
 *
 * A lattice is built once for its points and used for any number of values. Results don't depend on the
 * number of threads: every sum has one order. Rows are of `width` Lanes, whole vectors of 4 floats. All
 * memory is the lattice's; only lattice_open can fail. One caller at a time.
 *
 *     Lattice *lattice;
 *     LatticePoints points = {.count = pixels, .dims = 5, .width = 5, .feature = color_and_place, .context =
 * &picture}; if (lattice_open(&points, pool, &lattice, &err)) return err.status; lattice_normalise(lattice,
 * pool); lattice_blur(lattice, values, pool); for (i ...) lattice_gather(lattice, i, 1, sums + i * 5);
 *     lattice_close(lattice);
 */
#ifndef RT_LATTICE_H
#define RT_LATTICE_H

#include "rt_pool.h"

#include <stdint.h>

enum {
    LANES = 4, /* floats in Lanes */
    LATTICE_MAX_DIMS = 8,
};
typedef float Lanes __attribute__((vector_size(16), may_alias));

typedef struct LatticePoints {
    int64_t count; /* at most 2^28 */
    int dims;      /* 1..LATTICE_MAX_DIMS */
    int width;     /* Lanes in a row of values */
    /* Writes the dims features of a point; called from all threads. Their absolute values should be below
     * 2^20, where floats still tell neighbours apart. */
    void (*feature)(const void *context, int64_t point, float *feature);
    const void *context;
} LatticePoints;

typedef struct Lattice Lattice;

/* RT_MACHINE when memory is short. */
RtStatus lattice_open(const LatticePoints *points, Pool *pool, Lattice **lattice, RtError *err);
/* NULL is harmless. */
void lattice_close(Lattice *lattice);
/* Corners in use. */
int64_t lattice_corners(const Lattice *lattice);
/* From now on the kernel k(i, j) is k(i, j) / sqrt(n_i n_j), where n_i is the sum of k(i, j) over j. */
void lattice_normalise(Lattice *lattice, Pool *pool);
/* Spreads count rows of values, and blurs. */
void lattice_blur(Lattice *lattice, const Lanes *values, Pool *pool);
/* Adds factor times the filtered row of the point to sums, after lattice_blur. Thread safe. */
void lattice_gather(const Lattice *lattice, int64_t point, float factor, Lanes *sums);

#endif
