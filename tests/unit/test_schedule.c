/* Learning rates, and what else the host sets before a step. */
#include "../../runtime/rt_schedule.h"

#include <check.h>
#include <math.h>

Suite *schedule_suite(void);

/* Relative. */
static void near(double value, double expected, double tolerance)
{
    ck_assert_msg(fabs(value - expected) <= tolerance * fabs(expected), "%.17g is not %.17g", value,
                  expected);
}

START_TEST(poly)
{
    const ProgramSchedule schedule = {.kind = SCHEDULE_POLY, .power = 0.9};
    near(schedule_lr(&schedule, 2.5e-4, 0, 100), 2.5e-4, 1e-15);
    near(schedule_lr(&schedule, 2.5e-4, 1, 100), 2.477489e-4, 2e-7);
    near(schedule_lr(&schedule, 2.5e-4, 50, 100), 1.339717e-4, 2e-7);
    near(schedule_lr(&schedule, 2.5e-4, 99, 100), 3.962233e-6, 2e-7);
    ck_assert(schedule_lr(&schedule, 2.5e-4, 100, 100) == 0);
    ck_assert(schedule_lr(&schedule, 2.5e-4, 1000, 100) == 0);
    ck_assert(schedule_lr(&schedule, 2.5e-4, 0, 0) == 0);
}
END_TEST

START_TEST(poly_agrees_with_the_library)
{
    for (int i = 0; i <= 40; i++) {
        const ProgramSchedule schedule = {.kind = SCHEDULE_POLY, .power = i / 8.0};
        for (int t = 0; t < 997; t += 3) {
            double expected = pow(1 - t / 997.0, i / 8.0);
            near(schedule_lr(&schedule, 1, t, 997), expected, 1e-14);
        }
    }
}
END_TEST

START_TEST(cosine_agrees_with_the_library)
{
    const ProgramSchedule schedule = {.kind = SCHEDULE_COSINE, .lr_min = 0.125};
    for (int t = 0; t < 1000; t++) {
        double expected = 0.125 + (3 - 0.125) * (1 + cos(3.14159265358979323846 * t / 1000)) / 2;
        near(schedule_lr(&schedule, 3, t, 1000), expected, 1e-14);
    }
    near(schedule_lr(&schedule, 3, 1000, 1000), 0.125, 0);
    near(schedule_lr(&schedule, 3, 2000, 1000), 0.125, 0);
}
END_TEST

START_TEST(steps)
{
    const ProgramSchedule schedule = {.kind = SCHEDULE_STEP, .gamma = 0.5, .step_size = 30};
    near(schedule_lr(&schedule, 8, 29, 100), 8, 0);
    near(schedule_lr(&schedule, 8, 30, 100), 4, 0);
    near(schedule_lr(&schedule, 8, 89, 100), 2, 0);
    near(schedule_lr(&schedule, 8, 90, 100), 1, 0);
}
END_TEST

START_TEST(constant)
{
    const ProgramSchedule schedule = {.kind = SCHEDULE_CONSTANT};
    near(schedule_lr(&schedule, 0.3, 0, 10), 0.3, 0);
    near(schedule_lr(&schedule, 0.3, 50, 10), 0.3, 0);
}
END_TEST

START_TEST(warm_up)
{
    const ProgramSchedule schedule = {.kind = SCHEDULE_CONSTANT, .warmup = 4, .warmup_factor = 0.2};
    near(schedule_lr(&schedule, 1, 0, 10), 0.2, 1e-15);
    near(schedule_lr(&schedule, 1, 1, 10), 0.4, 1e-15);
    near(schedule_lr(&schedule, 1, 3, 10), 0.8, 1e-15);
    near(schedule_lr(&schedule, 1, 4, 10), 1, 0);
}
END_TEST

START_TEST(a_player_begins_late)
{
    const ProgramPlayer player = {.optimizer = OPTIMIZER_ADAM,
                                  .lr = 1e-3,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .from = 150,
                                  .schedule = {.kind = SCHEDULE_POLY, .power = 1}};
    float hypers[PROGRAM_HYPERS];
    schedule_hypers(&player, 149, 250, 0, hypers);
    ck_assert(hypers[HYPER_LR] == 0);
    schedule_hypers(&player, 150, 250, 0, hypers);
    ck_assert(hypers[HYPER_LR] == 1e-3f);
    ck_assert(hypers[HYPER_BIAS1] == 0.1f);
    ck_assert(hypers[HYPER_BIAS2] == 0.001f);
    ck_assert(hypers[HYPER_KEEP] == 0);
    schedule_hypers(&player, 200, 250, 1, hypers);
    ck_assert(hypers[HYPER_LR] == 5e-4f);
    near((double)hypers[HYPER_BIAS1], 1 - pow(0.9, 51), 1e-7);
    near((double)hypers[HYPER_BIAS2], 1 - pow(0.999, 51), 1e-7);
    ck_assert(hypers[HYPER_KEEP] == 1);
}
END_TEST

START_TEST(long_runs)
{
    const ProgramPlayer player = {.optimizer = OPTIMIZER_ADAM, .lr = 1, .beta1 = 0.9, .beta2 = 0.999};
    float hypers[PROGRAM_HYPERS];
    schedule_hypers(&player, 1000000, 2000000, 0, hypers);
    ck_assert(hypers[HYPER_BIAS1] == 1);
    ck_assert(hypers[HYPER_BIAS2] == 1);
}
END_TEST

/* torch.optim.SGD takes the first gradient whole. */
START_TEST(dampening_begins_late)
{
    const ProgramPlayer player = {.optimizer = OPTIMIZER_SGD, .lr = 1, .beta1 = 0.25, .from = 2};
    float hypers[PROGRAM_HYPERS];
    schedule_hypers(&player, 2, 10, 0, hypers);
    ck_assert(hypers[HYPER_BIAS1] == 1);
    schedule_hypers(&player, 3, 10, 0, hypers);
    ck_assert(hypers[HYPER_BIAS1] == 0.75f);
}
END_TEST

START_TEST(a_tunable_begins_late)
{
    const ProgramTunable tunable = {.value = 1, .from = 3};
    ck_assert(schedule_tunable(&tunable, 0.5, 2) == 0);
    ck_assert(schedule_tunable(&tunable, 0.5, 3) == 0.5f);
}
END_TEST

Suite *schedule_suite(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_test(tests, poly);
    tcase_add_test(tests, poly_agrees_with_the_library);
    tcase_add_test(tests, cosine_agrees_with_the_library);
    tcase_add_test(tests, steps);
    tcase_add_test(tests, constant);
    tcase_add_test(tests, warm_up);
    tcase_add_test(tests, a_player_begins_late);
    tcase_add_test(tests, long_runs);
    tcase_add_test(tests, dampening_begins_late);
    tcase_add_test(tests, a_tunable_begins_late);
    suite_add_tcase(suite, tests);
    return suite;
}
