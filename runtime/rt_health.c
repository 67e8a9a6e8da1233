/* See rt_health.h. */
#include "rt_health.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

static bool is_chance(double loss)
{
    static const double levels[] = {0.69314718, 2 * 0.69314718, 0.25, 0.5};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (fabs(loss - levels[i]) <= 0.01 * levels[i]) return true;
    }
    return false;
}

HealthState health_note(Health *health, double loss)
{
    health->low = loss < HEALTH_LOW ? health->low + 1 : 0;
    health->chance = is_chance(loss) ? health->chance + 1 : 0;
    if (health->low == HEALTH_PATIENCE) return HEALTH_SATURATED;
    return health->chance == HEALTH_PATIENCE ? HEALTH_NOT_LEARNING : HEALTH_WELL;
}

const char *health_text(HealthState state)
{
    switch (state) {
    case HEALTH_SATURATED:
        return "saturated: it has told the domains apart without fail for 200 steps, so it teaches the "
               "others nothing; a lower learning rate of its own, or a later start, may help";
    case HEALTH_NOT_LEARNING:
        return "not learning: for 200 steps it has been no better than a coin; a higher learning rate of its "
               "own may help";
    case HEALTH_WELL: break;
    }
    return "well";
}
