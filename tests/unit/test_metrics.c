/* Confusion matrix and IoU. */
#include "../../runtime/rt_metrics.h"

#include <check.h>
#include <math.h>

Suite *metrics_suite(void);

static Metrics open_metrics(int classes, const bool *voids)
{
    Metrics metrics;
    ck_assert_int_eq(metrics_open(&metrics, classes, 255, voids, NULL), RT_OK);
    return metrics;
}

START_TEST(iou_by_hand)
{
    Metrics metrics = open_metrics(3, NULL);
    const unsigned char labels[] = {0, 0, 0, 0, 1, 1, 255, 255};
    const unsigned char predicted[] = {0, 0, 1, 0, 1, 0, 1, 2};
    metrics_add(&metrics, labels, predicted, 8);
    double iou;
    ck_assert(metrics_iou(&metrics, 0, &iou));
    ck_assert_double_eq_tol(iou, 3.0 / 5, 1e-12);
    ck_assert(metrics_iou(&metrics, 1, &iou));
    ck_assert_double_eq_tol(iou, 1.0 / 3, 1e-12);
    int counted;
    ck_assert_double_eq_tol(metrics_mean_iou(&metrics, &counted), (0.6 + 1 / 3.0) / 2, 1e-12);
    ck_assert_int_eq(counted, 2);
    ck_assert_double_eq_tol(metrics_accuracy(&metrics), 4 / 6.0, 1e-12);
    ck_assert_int_eq(metrics_counted(&metrics), 6);
    ck_assert_int_eq(metrics.not_counted, 2);
    metrics_close(&metrics);
}
END_TEST

START_TEST(absent_class_has_no_iou)
{
    Metrics metrics = open_metrics(3, NULL);
    metrics_add(&metrics, (const unsigned char[]){0, 1}, (const unsigned char[]){0, 1}, 2);
    double iou;
    int counted;
    ck_assert(!metrics_iou(&metrics, 2, &iou));
    ck_assert_double_eq(metrics_mean_iou(&metrics, &counted), 1);
    ck_assert_int_eq(counted, 2);
    metrics_close(&metrics);
}
END_TEST

/* Predicted but never labelled: the class is wrong everywhere it was predicted, and counts. */
START_TEST(only_predicted_counts_as_zero)
{
    Metrics metrics = open_metrics(3, NULL);
    metrics_add(&metrics, (const unsigned char[]){0, 1}, (const unsigned char[]){0, 2}, 2);
    double iou;
    int counted;
    ck_assert(metrics_iou(&metrics, 2, &iou));
    ck_assert_double_eq(iou, 0);
    ck_assert_double_eq_tol(metrics_mean_iou(&metrics, &counted), 1 / 3.0, 1e-12);
    ck_assert_int_eq(counted, 3);
    metrics_close(&metrics);
}
END_TEST

START_TEST(predicting_void_is_a_miss)
{
    const bool voids[] = {false, false, true};
    Metrics metrics = open_metrics(3, voids);
    metrics_add(&metrics, (const unsigned char[]){0, 0, 1, 2, 255}, (const unsigned char[]){0, 2, 1, 0, 0},
                5);
    double iou;
    int counted;
    ck_assert(metrics_iou(&metrics, 0, &iou));
    ck_assert_double_eq(iou, 0.5);
    ck_assert(!metrics_iou(&metrics, 2, &iou));
    ck_assert_double_eq(metrics_mean_iou(&metrics, &counted), 0.75);
    ck_assert_int_eq(counted, 2);
    ck_assert_int_eq(metrics_counted(&metrics), 3);
    ck_assert_int_eq(metrics.not_counted, 2);
    ck_assert_int_eq(metrics_predicted(&metrics, 2), 1);
    metrics_close(&metrics);
}
END_TEST

START_TEST(nothing_labelled)
{
    Metrics metrics = open_metrics(2, NULL);
    metrics_add(&metrics, (const unsigned char[]){255, 255}, (const unsigned char[]){0, 1}, 2);
    int counted;
    ck_assert(isnan(metrics_mean_iou(&metrics, &counted)));
    ck_assert_int_eq(counted, 0);
    ck_assert(isnan(metrics_accuracy(&metrics)));
    metrics_close(&metrics);
}
END_TEST

/* The mean of the set is not the mean of its pictures. */
START_TEST(pictures_add_up)
{
    Metrics metrics = open_metrics(2, NULL);
    metrics_add(&metrics, (const unsigned char[]){0, 1, 1}, (const unsigned char[]){0, 1, 0}, 3);
    metrics_add(&metrics, (const unsigned char[]){0}, (const unsigned char[]){0}, 1);
    double iou;
    ck_assert(metrics_iou(&metrics, 0, &iou));
    ck_assert_double_eq_tol(iou, 2 / 3.0, 1e-12);
    metrics_close(&metrics);
}
END_TEST

Suite *metrics_suite(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_test(tests, iou_by_hand);
    tcase_add_test(tests, absent_class_has_no_iou);
    tcase_add_test(tests, only_predicted_counts_as_zero);
    tcase_add_test(tests, predicting_void_is_a_miss);
    tcase_add_test(tests, nothing_labelled);
    tcase_add_test(tests, pictures_add_up);
    suite_add_tcase(suite, tests);
    return suite;
}
