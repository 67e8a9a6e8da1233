/* PyTorch's .pth files: what torch.save wrote (tests/peers/make_weight_fixtures.py) is read as it was, and
 * what is damaged or hostile is refused with the line it deserves. */
#include "rt_weights.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *weights_pth_suite(void);

#define FOLDER "tests/fixtures/weights/"

static WeightsFile *open_fixture(const char *name)
{
    char path[200];
    WeightsFile *file;
    RtError err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    weights_open(path, &file, &err);
    ck_assert_msg(file, "%s", err.text);
    return file;
}

/* That the tensor has these dims (to the first 0) and these values. */
static void expect(const WeightsFile *file, const char *name, const int64_t *dims, int rank,
                   const float *values)
{
    float read[64];
    const size_t i = weights_find(file, name);
    ck_assert_msg(i != WEIGHTS_NONE, "%s", name);
    const WeightTensor *tensor = &file->tensors[i];
    ck_assert_int_eq(tensor->rank, rank);
    for (int d = 0; d < rank; d++) ck_assert_int_eq(tensor->dims[d], dims[d]);
    ck_assert_int_le(tensor->count, 64);
    ck_assert_int_eq(weights_read_f32(file, i, read, NULL), RT_OK);
    for (int64_t k = 0; k < tensor->count; k++) ck_assert_float_eq(read[k], values[k]);
}

#define EXPECT(file, name, rank, dims, ...)                                                                  \
    expect(file, name, (const int64_t[])dims, rank, (const float[]){__VA_ARGS__})
#define DIMS(...)                                                                                            \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

static void expect_state(const WeightsFile *file)
{
    EXPECT(file, "conv.weight", 4, DIMS(2, 3, 1, 1), 0, 1, 2, 3, 4, 5);
    EXPECT(file, "conv.bias", 1, DIMS(2), 100, 101);
    EXPECT(file, "bn.num_batches_tracked", 0, DIMS(0), 7);
}

START_TEST(reads_every_framing)
{
    static const char *const names[] = {"zip.pth",       "zip_protocol4.pth",    "zip_without_checksums.pth",
                                        "stream.pth",    "stream_protocol4.pth", "module.pth",
                                        "checkpoint.pth"};
    WeightsFile *file = open_fixture(names[_i]);
    expect_state(file);
    ck_assert_uint_eq(file->count, strcmp(names[_i], "checkpoint.pth") ? 3 : 4);
    ck_assert_str_eq(file->format, strncmp(names[_i], "stream", 6) ? "PyTorch zip" : "PyTorch before 1.6");
    weights_close(file);
}
END_TEST

START_TEST(reads_handmade_archives)
{
    static const char *const names[] = {"zip64.pth", "big_endian.pth"};
    WeightsFile *file = open_fixture(names[_i]);
    EXPECT(file, "w", 2, DIMS(2, 3), 0, 1, 2, 3, 4, 5);
    weights_close(file);
}
END_TEST

/* PyTorch allows any stride for a dimension of 1. */
START_TEST(ignores_strides_that_are_never_stepped)
{
    WeightsFile *file = open_fixture("free_stride.pth");
    EXPECT(file, "w", 2, DIMS(1, 6), 0, 1, 2, 3, 4, 5);
    weights_close(file);
}
END_TEST

START_TEST(follows_strides_into_shared_storage)
{
    WeightsFile *file = open_fixture(_i ? "strided_stream.pth" : "strided.pth");
    EXPECT(file, "same", 2, DIMS(3, 4), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    EXPECT(file, "transposed", 2, DIMS(4, 3), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
    EXPECT(file, "column", 1, DIMS(3), 1, 5, 9);
    EXPECT(file, "every_other", 2, DIMS(2, 2), 4, 6, 8, 10);
    EXPECT(file, "expanded", 2, DIMS(2, 3), 5, 5, 5, 6, 6, 6);
    EXPECT(file, "scalar", 0, DIMS(0), 9);
    EXPECT(file, "empty", 2, DIMS(0, 4), 0);
    weights_close(file);
}
END_TEST

START_TEST(joins_keys_of_nested_dicts)
{
    WeightsFile *file = open_fixture("parameters.pth");
    EXPECT(file, "layer.w", 1, DIMS(2), 3, 4);
    EXPECT(file, "layer.0", 1, DIMS(1), 4);
    weights_close(file);
}
END_TEST

START_TEST(marks_what_is_beside_the_state_dict)
{
    WeightsFile *file = open_fixture("checkpoint.pth");
    const size_t i = weights_find(file, "optimizer.state.0.exp_avg");
    ck_assert_uint_ne(i, WEIGHTS_NONE);
    ck_assert(file->tensors[i].outside);
    ck_assert(!file->tensors[weights_find(file, "conv.bias")].outside);
    weights_close(file);
}
END_TEST

static const struct {
    const char *name, *problem;
} BAD[] = {
    {"no_tensors", "it holds no tensors"},
    {"one_tensor", "it holds no dict of named tensors, but a tensor without a name"},
    {"model",
     "refused: the pickle wants torch.nn.modules.linear.Linear; only tensors and state dicts are read"},
    {"bad/system", "refused: the pickle wants posix.system; only tensors and state dicts are read"},
    {"bad/system_protocol4", "refused: the pickle wants posix.system; only tensors and state dicts are read"},
    {"bad/opcode", "refused: the pickle wants os.system; only tensors and state dicts are read"},
    {"bad/new_object", "refused: the pickle's byte 28 is opcode 0x81, which is not read"},
    {"bad/script", "refused: a TorchScript archive; save the model's state_dict()"},
    {"bad/no_pickle", "a zip archive, but not one of torch.save: it has no data.pkl"},
    {"bad/beyond", "w: [2,4] elements of type F32 reach beyond the 24 bytes it has"},
    {"bad/offset", "w: [2,3] elements of type F32 reach beyond the 20 bytes it has"},
    {"bad/offset_beyond", "w: it starts at element 7 of 6"},
    {"bad/negative_stride", "w: [2,3] elements of type F32 reach beyond the 24 bytes it has"},
    {"bad/wrapping_stride", "w: [2,3] elements of type F32 reach beyond the 24 bytes it has"},
    {"bad/negative_size", "w: impossible shape [-2,3]"},
    {"bad/overflow", "w: impossible shape [4611686018427387904,8]"},
    {"bad/rank", "damaged pickle: a tensor's sizes, strides or offset (at most 8 dimensions are read)"},
    {"bad/short_storage", "storage 0 should have 7 elements of type F32; it has 24 bytes"},
    {"bad/no_storage", "its entry archive/data/1 is missing"},
    {"bad/memo_get", "damaged pickle, byte 2: a memo index that was never set"},
    {"bad/memo_put", "damaged pickle, byte 3: a memo index out of range"},
    {"bad/underflow", "damaged pickle, byte 2: a value is missing on the stack"},
    {"bad/no_mark", "damaged pickle, byte 3: no mark on the stack"},
    {"bad/build", "damaged pickle, byte 3: a value is missing on the stack"},
    {"bad/truncated_text", "damaged pickle, byte 2: it ends early (is the file truncated?)"},
    {"bad/self", "dicts nested more than 64 deep"},
    {"bad/wide", "more than 1048576 entries"},
    {"bad/compressed", "its entry archive/data.pkl is compressed; torch.save stores entries as they are"},
    {"bad/checksum", "its entry zip/data/1 is damaged: its checksum is wrong"},
    {"bad/truncated_zip", "damaged zip archive: no directory at its end (is the file truncated?)"},
};

START_TEST(refuses)
{
    WeightsFile *file;
    RtError err = {0};
    char path[200], expected[400];
    snprintf(path, sizeof path, FOLDER "%s.pth", BAD[_i].name);
    snprintf(expected, sizeof expected, "%s: %s", path, BAD[_i].problem);
    ck_assert_int_eq(weights_open(path, &file, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, expected);
    ck_assert_ptr_null(file);
}
END_TEST

/* Cut anywhere, a file is refused: all of it is needed, but for what follows a stream's last storage. */
START_TEST(refuses_every_truncation)
{
    static const char *const names[] = {"zip.pth", "stream.pth"};
    static unsigned char data[10000];
    char path[200];
    snprintf(path, sizeof path, FOLDER "%s", names[_i]);
    FILE *whole = fopen(path, "rb");
    ck_assert_ptr_nonnull(whole);
    const size_t size = fread(data, 1, sizeof data, whole);
    fclose(whole);
    for (size_t cut = 0; cut < size; cut++) {
        WeightsFile *file;
        RtError err;
        ck_assert_int_eq(weights_open_memory("cut", data, cut, &file, &err), RT_BAD_INPUT);
        ck_assert_ptr_null(strchr(err.text, '\n'));
    }
}
END_TEST

Suite *weights_pth_suite(void)
{
    Suite *suite = suite_create("weights_pth");
    TCase *reading = tcase_create("reading");
    tcase_add_loop_test(reading, reads_every_framing, 0, 7);
    tcase_add_loop_test(reading, reads_handmade_archives, 0, 2);
    tcase_add_loop_test(reading, follows_strides_into_shared_storage, 0, 2);
    tcase_add_test(reading, ignores_strides_that_are_never_stepped);
    tcase_add_test(reading, joins_keys_of_nested_dicts);
    tcase_add_test(reading, marks_what_is_beside_the_state_dict);
    suite_add_tcase(suite, reading);
    TCase *refusing = tcase_create("refusing");
    tcase_add_loop_test(refusing, refuses, 0, sizeof BAD / sizeof *BAD);
    tcase_add_loop_test(refusing, refuses_every_truncation, 0, 2);
    suite_add_tcase(suite, refusing);
    return suite;
}
