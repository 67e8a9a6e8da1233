/* See rt_schedule.h. The logarithm is 2 atanh((m - 1) / (m + 1)) of a mantissa near 1; the exponential and
 * the cosine are their Taylor series after the argument was brought near 0. */
#include "rt_schedule.h"

#include <stdbool.h>

#include <math.h>

static const double LN_2 = 0.69314718055994530942, PI = 3.14159265358979323846;

/* Natural logarithm of x > 0; |s| <= 0.1716, so that s^2k falls below 1e-16 before k = 11. */
static double log_of(double x)
{
    int exponent;
    double m = frexp(x, &exponent); /* exact */
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), square = s * s, sum = 0;
    for (int k = 12; k >= 0; k--) sum = sum * square + 1.0 / (2 * k + 1);
    return exponent * LN_2 + 2 * s * sum;
}

/* e^x: 2^n e^r with |r| <= ln 2 / 2. */
static double exp_of(double x)
{
    double n = floor(x / LN_2 + 0.5), r = x - n * LN_2, sum = 1;
    for (int k = 18; k >= 1; k--) sum = 1 + r / k * sum;
    return ldexp(sum, (int)n);
}

/* cos(pi x), x in 0..1: by symmetry about 1/2, and by the half angle, |angle| <= pi / 4. */
static double cos_of_pi(double x)
{
    if (x > 0.5) return -cos_of_pi(1 - x);
    double half = PI * x / 2, square = half * half, sum = 1;
    for (int k = 18; k >= 2; k -= 2) sum = 1 - square / (k * (k - 1)) * sum;
    return 2 * sum * sum - 1;
}

static double to_power(double x, double power)
{
    return x <= 0 ? 0 : exp_of(power * log_of(x));
}

/* By squaring. */
static double to_whole_power(double x, int64_t n)
{
    double result = 1;
    for (; n > 0; n >>= 1) {
        if (n & 1) result *= x;
        x *= x;
    }
    return result;
}

static double decayed(const ProgramSchedule *schedule, double lr, int64_t t, int64_t total)
{
    double done = total > 0 && t < total ? (double)t / (double)total : 1;
    switch ((ProgramScheduleKind)schedule->kind) {
    case SCHEDULE_CONSTANT: break;
    case SCHEDULE_POLY: return done < 1 ? lr * to_power(1 - done, schedule->power) : 0;
    case SCHEDULE_STEP:
        return schedule->step_size < 1 ? lr : lr * to_whole_power(schedule->gamma, t / schedule->step_size);
    case SCHEDULE_COSINE: return schedule->lr_min + (lr - schedule->lr_min) * (1 + cos_of_pi(done)) / 2;
    }
    return lr;
}

double schedule_lr(const ProgramSchedule *schedule, double lr, int64_t t, int64_t total)
{
    double now = decayed(schedule, lr, t, total);
    if (t >= schedule->warmup) return now;
    double done = (double)t / (double)schedule->warmup;
    return now * (schedule->warmup_factor + (1 - schedule->warmup_factor) * done);
}

void schedule_hypers(const ProgramPlayer *player, int64_t iteration, int64_t iterations, int64_t micro,
                     float hypers[PROGRAM_HYPERS])
{
    int64_t t = iteration - player->from;
    double lr = t < 0 ? 0 : schedule_lr(&player->schedule, player->lr, t, iterations - player->from);
    if (t < 0) t = 0;
    hypers[HYPER_LR] = (float)lr;
    bool sgd = player->optimizer == OPTIMIZER_SGD;
    hypers[HYPER_BIAS1] =
        (float)(sgd ? (t ? 1 - player->beta1 : 1) : 1 - to_whole_power(player->beta1, t + 1));
    hypers[HYPER_BIAS2] = (float)(1 - to_whole_power(player->beta2, t + 1));
    hypers[HYPER_KEEP] = micro ? 1 : 0;
}

float schedule_tunable(const ProgramTunable *tunable, double value, int64_t iteration)
{
    return iteration < tunable->from ? 0 : (float)value;
}
