/* rt_weights.h on whatever format: opening, lookup, conversion, and the comparison with a network. */
#include "rt_weights.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

Suite *weights_suite(void);

#define FIXTURE(name) "tests/fixtures/weights/" name

static WeightsFile *open_fixture(const char *path)
{
    WeightsFile *file;
    RtError err = {0};
    weights_open(path, &file, &err);
    ck_assert_msg(file, "%s", err.text);
    return file;
}

/* Values of a small tensor. */
static const float *values_of(const WeightsFile *file, const char *name)
{
    static float values[64];
    const size_t i = weights_find(file, name);
    ck_assert_msg(i != WEIGHTS_NONE, "%s", name);
    ck_assert_int_le(file->tensors[i].count, 64);
    ck_assert_int_eq(weights_read_f32(file, i, values, NULL), RT_OK);
    return values;
}

START_TEST(converts_every_type)
{
    static const char *const names[] = {"float32", "float16", "bfloat16", "float64", "int64",  "int32",
                                        "int16",   "int8",    "uint8",    "uint16",  "uint32", "uint64"};
    WeightsFile *file = open_fixture(FIXTURE("types.pth"));
    const float *values = values_of(file, names[_i]);
    ck_assert_float_eq(values[0], 1);
    ck_assert_float_eq(values[1], 2);
    ck_assert_float_eq(values[2], 3);
    weights_close(file);
}
END_TEST

START_TEST(converts_bools_and_signs)
{
    WeightsFile *file = open_fixture(FIXTURE("types.pth"));
    const float *values = values_of(file, "bool");
    ck_assert(values[0] == 1 && values[1] == 0 && values[2] == 1);
    values = values_of(file, "negative");
    ck_assert(values[0] == -1 && values[1] == -2);
    weights_close(file);
}
END_TEST

START_TEST(converts_special_halves)
{
    WeightsFile *file = open_fixture(FIXTURE("types.pth"));
    const float *values = values_of(file, "halves");
    ck_assert_float_eq(values[0], 1.5f);
    ck_assert_float_eq(values[1], -65504.0f);
    ck_assert_float_eq(values[2], 0x1p-24f); /* 6e-8 is the smallest subnormal */
    ck_assert(isinf(values[3]) && values[3] > 0);
    ck_assert(values[4] == 0 && signbit(values[4]));
    weights_close(file);
}
END_TEST

START_TEST(finds_by_name)
{
    WeightsFile *file = open_fixture(FIXTURE("reference.safetensors"));
    for (size_t i = 0; i < file->count; i++) ck_assert_uint_eq(weights_find(file, file->tensors[i].name), i);
    ck_assert_uint_eq(weights_find(file, "conv"), WEIGHTS_NONE);
    ck_assert_uint_eq(weights_find(file, ""), WEIGHTS_NONE);
    ck_assert_uint_eq(weights_find(file, "zzz"), WEIGHTS_NONE);
    weights_close(file);
}
END_TEST

START_TEST(refuses_an_index_out_of_range)
{
    WeightsFile *file = open_fixture(FIXTURE("reference.safetensors"));
    float value;
    ck_assert_int_eq(weights_read_f32(file, file->count, &value, NULL), RT_BUG);
    weights_close(file);
}
END_TEST

START_TEST(open_fails_without_a_file)
{
    WeightsFile *file;
    RtError err;
    ck_assert_int_eq(weights_open("tests/fixtures/weights/absent", &file, &err), RT_BAD_INPUT);
    ck_assert_ptr_null(file);
    ck_assert_str_eq(err.text, "tests/fixtures/weights/absent: cannot be read: No such file or directory");
    ck_assert_int_eq(weights_open("tests/fixtures", &file, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "tests/fixtures: this is a folder; weights are read from files");
    ck_assert_int_eq(weights_open("/dev/null", &file, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "/dev/null: this is a device or pipe; weights are read from files");
}
END_TEST

static const struct {
    const char *content, *problem;
} STRANGERS[] = {
    {"", "it is empty"},
    {"hello, world", "it begins like neither"},
    {"version https://git-lfs.github.com/spec/v1\n",
     "it is a Git LFS pointer; the weights themselves were not downloaded"},
    {"<!DOCTYPE html>", "it looks like a web page, saved instead of the weights"},
    {"GGUF\3", "it is a GGUF file"},
    {"\x1f\x8b\x08", "it is compressed with gzip; unpack it first"},
    {"\x80\x02}.", "it is a pickle, but not one written by torch.save"},
};

START_TEST(names_other_formats)
{
    WeightsFile *file;
    RtError err;
    char expected[200];
    snprintf(expected, sizeof expected, "x: not a safetensors or PyTorch file: %s", STRANGERS[_i].problem);
    ck_assert_int_eq(
        weights_open_memory("x", STRANGERS[_i].content, strlen(STRANGERS[_i].content), &file, &err),
        RT_BAD_INPUT);
    ck_assert_str_eq(err.text, expected);
}
END_TEST

/* Each allocation in turn fails: an error, never a crash or a leak. */
START_TEST(open_survives_lack_of_memory)
{
    static const char *const paths[] = {FIXTURE("checkpoint.pth"), FIXTURE("stream.pth"),
                                        FIXTURE("reference.safetensors")};
    WeightsFile *file = NULL;
    RtError err;
    int nth = 0;
    RtStatus status = RT_MACHINE;
    while (status != RT_OK) {
        rt_alloc_fail_at(++nth);
        status = weights_open(paths[_i], &file, &err);
        rt_alloc_fail_at(0);
        if (status) ck_assert_int_eq(status, RT_MACHINE);
        ck_assert_int_lt(nth, 1000);
    }
    ck_assert_int_gt(nth, 2);
    weights_close(file);
}
END_TEST

/* The comparison. */

static const int64_t CONV[] = {2, 3, 1, 1}, TWO[] = {2}, THREE[] = {3};

static RtStatus match(const WeightsWanted *wanted, size_t count, unsigned flags, size_t *found,
                      WeightsMatch *result, RtError *err)
{
    WeightsFile *file = open_fixture(FIXTURE("reference.safetensors"));
    RtStatus status = weights_match(file, wanted, count, flags, found, result, err);
    for (size_t i = 0; i < count; i++) {
        if (found[i] != WEIGHTS_NONE) ck_assert_str_eq(file->tensors[found[i]].name, wanted[i].name);
    }
    weights_close(file);
    return status;
}

START_TEST(match_is_silent_when_all_fits)
{
    const WeightsWanted wanted[] = {{"conv.weight", 4, CONV, false}, {"conv.bias", 1, TWO, false}};
    size_t found[2];
    WeightsMatch result;
    ck_assert_int_eq(match(wanted, 2, 0, found, &result, NULL), RT_OK);
    ck_assert_uint_eq(result.taken, 2);
    ck_assert_uint_eq(result.surplus, 0); /* num_batches_tracked is none */
    ck_assert_str_eq(result.errors, "");
    ck_assert_str_eq(result.warnings, "");
}
END_TEST

START_TEST(match_lists_what_does_not_fit)
{
    const WeightsWanted wanted[] = {{"conv.weight", 1, THREE, false}, {"head.weight", 1, THREE, false}};
    size_t found[2];
    WeightsMatch result;
    RtError err;
    ck_assert_int_eq(match(wanted, 2, 0, found, &result, &err), RT_BAD_INPUT);
    ck_assert_str_eq(
        err.text,
        FIXTURE("reference.safetensors") ": does not fit the network\n"
                                         "tensors of another shape than the network's:\n"
                                         "  conv.weight: the file has [2,3,1,1], the network wants [3]\n"
                                         "1 parameter of the network missing in the file:\n"
                                         "  head.weight");
    ck_assert_str_eq(result.errors, err.text);
    ck_assert_str_eq(result.warnings, "1 tensor of the file that the network does not have:\n  conv.bias");
    ck_assert(found[0] == WEIGHTS_NONE && found[1] == WEIGHTS_NONE);
    ck_assert(result.taken == 0 && result.missing == 1 && result.misshaped == 1 && result.surplus == 1);
}
END_TEST

START_TEST(match_allows_what_flags_say)
{
    const WeightsWanted wanted[] = {
        {"conv.weight", 1, THREE, false}, {"head.weight", 1, THREE, false}, {"conv.bias", 1, TWO, false}};
    size_t found[3];
    WeightsMatch result;
    ck_assert_int_eq(match(wanted, 3, WEIGHTS_ALLOW_MISSING | WEIGHTS_ALLOW_MISSHAPED, found, &result, NULL),
                     RT_OK);
    ck_assert_str_eq(result.errors, "");
    ck_assert_ptr_nonnull(strstr(result.warnings, "  head.weight"));
    ck_assert_ptr_nonnull(
        strstr(result.warnings, "  conv.weight: the file has [2,3,1,1], the network wants [3]"));
    ck_assert_int_eq(match(wanted, 3, WEIGHTS_ALLOW_MISSING, found, &result, NULL), RT_BAD_INPUT);
    ck_assert_int_eq(match(wanted, 3, WEIGHTS_ALLOW_MISSHAPED, found, &result, NULL), RT_BAD_INPUT);
    ck_assert(found[0] == WEIGHTS_NONE && found[1] == WEIGHTS_NONE && found[2] != WEIGHTS_NONE);
}
END_TEST

START_TEST(match_takes_optional_parameters_that_fit)
{
    const WeightsWanted wanted[] = {
        {"conv.weight", 4, CONV, true}, {"conv.bias", 1, THREE, true}, {"aux.bias", 1, THREE, true}};
    size_t found[3];
    WeightsMatch result;
    ck_assert_int_eq(match(wanted, 3, 0, found, &result, NULL), RT_OK);
    ck_assert(found[0] != WEIGHTS_NONE && found[1] == WEIGHTS_NONE && found[2] == WEIGHTS_NONE);
    ck_assert_str_eq(result.warnings,
                     "tensors of another shape than the network's (not taken, and nothing evaluates them):\n"
                     "  conv.bias: the file has [2], the network wants [3]");
}
END_TEST

START_TEST(match_of_strangers_shows_one_name_of_each)
{
    const WeightsWanted wanted[] = {{"a", 1, TWO, true}, {"b.weight", 1, TWO, false}};
    size_t found[2];
    WeightsMatch result;
    RtError err;
    ck_assert_int_eq(match(wanted, 2, 0, found, &result, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text,
                                 "none of the network's 2 parameters is in the file: the network has "
                                 "names like b.weight, the file bn.num_batches_tracked"));
}
END_TEST

/* 30 names of which 20 are shown, and names so long that the text has no room for them. */
START_TEST(match_cuts_long_lists)
{
    enum { COUNT = 30 };
    static char names[COUNT][900];
    WeightsWanted wanted[COUNT + 1] = {{"conv.bias", 1, TWO, false}};
    size_t found[COUNT + 1];
    WeightsMatch result;
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        wanted[i + 1] = (WeightsWanted){names[i], 1, TWO, false};
    }
    ck_assert_int_eq(match(wanted, COUNT + 1, 0, found, &result, NULL), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(result.errors, "30 parameters of the network missing"));
    ck_assert_ptr_nonnull(strstr(result.errors, "  p19\n  and 10 more"));
    ck_assert_ptr_null(strstr(result.errors, "p20"));
    for (int i = 0; i < COUNT; i++) memset(names[i], 'a' + i % 26, sizeof names[i] - 1);
    ck_assert_int_eq(match(wanted, COUNT + 1, 0, found, &result, NULL), RT_BAD_INPUT);
    ck_assert_uint_eq(strlen(result.errors), sizeof result.errors - 1);
    ck_assert_str_eq(result.errors + sizeof result.errors - 4, "...");
}
END_TEST

START_TEST(match_ignores_tensors_beside_the_state_dict)
{
    const WeightsWanted wanted[] = {{"conv.weight", 4, CONV, false}, {"conv.bias", 1, TWO, false}};
    size_t found[2];
    WeightsMatch result;
    WeightsFile *file = open_fixture(FIXTURE("checkpoint.pth"));
    ck_assert_int_eq(weights_match(file, wanted, 2, 0, found, &result, NULL), RT_OK);
    ck_assert_uint_eq(result.surplus, 0);
    weights_close(file);
}
END_TEST

Suite *weights_suite(void)
{
    Suite *suite = suite_create("weights");
    TCase *opening = tcase_create("opening");
    tcase_add_test(opening, open_fails_without_a_file);
    tcase_add_loop_test(opening, names_other_formats, 0, sizeof STRANGERS / sizeof *STRANGERS);
    tcase_add_loop_test(opening, open_survives_lack_of_memory, 0, 3);
    tcase_add_test(opening, finds_by_name);
    suite_add_tcase(suite, opening);
    TCase *conversion = tcase_create("conversion");
    tcase_add_loop_test(conversion, converts_every_type, 0, 12);
    tcase_add_test(conversion, converts_bools_and_signs);
    tcase_add_test(conversion, converts_special_halves);
    tcase_add_test(conversion, refuses_an_index_out_of_range);
    suite_add_tcase(suite, conversion);
    TCase *comparison = tcase_create("comparison");
    tcase_add_test(comparison, match_is_silent_when_all_fits);
    tcase_add_test(comparison, match_lists_what_does_not_fit);
    tcase_add_test(comparison, match_allows_what_flags_say);
    tcase_add_test(comparison, match_takes_optional_parameters_that_fit);
    tcase_add_test(comparison, match_of_strangers_shows_one_name_of_each);
    tcase_add_test(comparison, match_cuts_long_lists);
    tcase_add_test(comparison, match_ignores_tensors_beside_the_state_dict);
    suite_add_tcase(suite, comparison);
    return suite;
}
