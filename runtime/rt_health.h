/* Whether a discriminator's training is still of use: watches a player's loss for two states that last.
 *
 * Saturated: it tells the domains apart without fail (loss below HEALTH_LOW), so that what it returns to the
 * other player vanishes. Not learning: the loss stays at what a coin would get, within 1 %: ln 2 for the mean
 * of cross-entropies over both domains, 2 ln 2 for their sum, 1/4 and 1/2 for squared errors (LS-GAN).
 *
 *     Health health = {0};
 *     if (health_note(&health, loss) != HEALTH_WELL) ... say so ...
 */
#ifndef RT_HEALTH_H
#define RT_HEALTH_H

#include <stdint.h>

enum { HEALTH_PATIENCE = 200 /* steps that a state must last */ };
#define HEALTH_LOW 0.02

typedef enum HealthState { HEALTH_WELL, HEALTH_SATURATED, HEALTH_NOT_LEARNING } HealthState;

typedef struct Health {
    int64_t low, chance; /* steps in a row */
} Health;

/* Takes the loss of one step. Returns a state once each time that it has lasted long enough. */
HealthState health_note(Health *health, double loss);
/* A sentence for people. */
const char *health_text(HealthState state);

#endif
