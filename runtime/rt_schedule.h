/* The learning rate of a player over its steps, and the other numbers that its update takes from the host.
 *
 * Everything is computed in double and from additions, multiplications and divisions only (rt_schedule.c has
 * its own logarithm, exponential and cosine), so that every machine gets the same bits; the C library's
 * differ between versions and processors in the last one. Against exact arithmetic the error is below 1e-14,
 * relative. Pure functions.
 *
 *     schedule_lr(&player->schedule, player->lr, 50, 100)      poly, 2.5e-4, power 0.9: 1.339717e-4
 */
#ifndef RT_SCHEDULE_H
#define RT_SCHEDULE_H

#include "program.h"

/* The learning rate at the player's step t = 0, 1, ... of total: see ProgramSchedule. */
double schedule_lr(const ProgramSchedule *schedule, double lr, int64_t t, int64_t total);
/* What the player's ROLE_HYPER tensor holds in iteration `iteration` (from 0) of `iterations`, in micro-batch
 * `micro` (from 0) of the step. Before the player's first step the learning rate is 0. */
void schedule_hypers(const ProgramPlayer *player, int64_t iteration, int64_t iterations, int64_t micro,
                     float hypers[PROGRAM_HYPERS]);
/* A tunable in that iteration, for the value that it was given. */
float schedule_tunable(const ProgramTunable *tunable, double value, int64_t iteration);

#endif
