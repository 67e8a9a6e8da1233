/* The order of samples: every epoch is a shuffle of its own. */
#include "rt_sampler.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *sampler_suite(void);

static const uint64_t counts[] = {1, 2, 3, 4, 5, 15, 16, 17, 100, 255, 256, 257, 1572, 2500, 24966, 65537};
enum { N_COUNTS = sizeof counts / sizeof *counts };

START_TEST(an_epoch_shows_each_item_once)
{
    uint64_t count = counts[_i];
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        unsigned char *seen = calloc(count, 1);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t item = sampler_item(7, "source", epoch * count + i, count);
            ck_assert_uint_lt(item, count);
            ck_assert_msg(!seen[item], "epoch %d shows item %d twice", (int)epoch, (int)item);
            seen[item] = 1;
        }
        free(seen);
    }
}
END_TEST

/* How many of 1000 items two orders have at the same place; unrelated orders have about one. */
static int alike(uint64_t seed, const char *stream, uint64_t first)
{
    int same = 0;
    for (uint64_t i = 0; i < 1000; i++)
        same += sampler_item(7, "source", i, 1000) == sampler_item(seed, stream, first + i, 1000);
    return same;
}

START_TEST(orders_are_unrelated)
{
    ck_assert_int_eq(alike(7, "source", 0), 1000);
    ck_assert_int_lt(alike(7, "source", 1000), 12);
    ck_assert_int_lt(alike(8, "source", 0), 12);
    ck_assert_int_lt(alike(7, "target", 0), 12);
    int sorted = 0;
    for (uint64_t i = 0; i < 1000; i++) sorted += sampler_item(7, "source", i, 1000) == i;
    ck_assert_int_lt(sorted, 12);
}
END_TEST

/* Over many epochs every item comes first, and every item comes anywhere, about equally often. */
START_TEST(places_are_even)
{
    enum { COUNT = 10, EPOCHS = 5000 };
    int times[COUNT][COUNT] = {{0}};
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (uint64_t place = 0; place < COUNT; place++)
            times[place][sampler_item(1, "s", epoch * COUNT + place, COUNT)]++;
    for (int place = 0; place < COUNT; place++)
        for (int item = 0; item < COUNT; item++)
            ck_assert_msg(abs(times[place][item] - EPOCHS / COUNT) < 110, "item %d at %d: %d of %d", item,
                          place, times[place][item], EPOCHS);
}
END_TEST

/* So that checkpoints of one version resume in the next. */
START_TEST(the_order_is_fixed)
{
    static const uint64_t expected[] = {15, 17, 42, 73, 76, 36, 10, 31};
    for (uint64_t i = 0; i < 8; i++) {
        uint64_t item = sampler_item(1, "source", i, 100);
        ck_assert_msg(item == expected[i], "sample %d is item %d", (int)i, (int)item);
    }
}
END_TEST

Suite *sampler_suite(void)
{
    TCase *tests = tcase_create("sampler");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, an_epoch_shows_each_item_once, 0, N_COUNTS);
    tcase_add_test(tests, orders_are_unrelated);
    tcase_add_test(tests, places_are_even);
    tcase_add_test(tests, the_order_is_fixed);
    Suite *suite = suite_create("sampler");
    suite_add_tcase(suite, tests);
    return suite;
}
