/* safetensors: every field of the header is checked; what is written comes back, and appears whole or not. */
#define _GNU_SOURCE
#include "rt_weights.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *safetensors_suite(void);

/* A file of that header and data_size zero bytes; the caller frees *bytes after closing the file. */
static RtStatus open_header(const char *header, size_t data_size, WeightsFile **file, unsigned char **bytes,
                            RtError *err)
{
    const size_t length = strlen(header);
    *bytes = calloc(8 + length + data_size, 1);
    ck_assert_ptr_nonnull(*bytes);
    for (int i = 0; i < 8; i++) (*bytes)[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(*bytes + 8, header, length);
    return weights_open_memory("f", *bytes, 8 + length + data_size, file, err);
}

#define T(fields) "{\"w\":{" fields "}}"
#define F32_2     "\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"

static const struct {
    const char *header;
    size_t data_size;
    const char *problem;
} BAD[] = {
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]"), 4,
     "w: bytes 0 to 8 of data that has 4 (is the file truncated?)"},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"), 8,
     "w: bytes 8 to 0 of data that has 8 (is the file truncated?)"},
    {T("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), 8,
     "w: [3] elements of type F32 reach beyond the 8 bytes it has"},
    {T("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]"), 8,
     "w: [1] elements of type F32 in 8 bytes"},
    {T("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]"), 8,
     "w: impossible shape [4294967296,4294967296]"},
    {T("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]"), 4,
     "w: more than 8 dimensions"},
    {T("\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]"), 4,
     "w: elements of a type that is not read: F8_E4M3"},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]"), 8, "w: more than two data_offsets"},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]"), 8, "w: data_offsets are not two numbers"},
    {T("\"dtype\":\"F32\",\"shape\":[2]"), 8, "w: no data_offsets"},
    {T("\"dtype\":\"F32\",\"data_offsets\":[0,8]"), 8, "w: no shape"},
    {T("\"shape\":[2],\"data_offsets\":[0,8]"), 8, "w: no dtype"},
    {T(F32_2 ",\"color\":1"), 8, "w: unknown header field color"},
    {"{\"\\n\\u001b[2J\":{\"\\u007f\":1}}", 0, "??[2J: unknown header field ?"},
    {T(F32_2 ",\"shape\":[2]"), 8, "w: twice in its header: shape"},
    {"{\"w\":{" F32_2 "},\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16,
     "w: two tensors have this name"},
    {"{\"a\":{" F32_2 "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     "b: shares 4 bytes with a"},
    {"{\"a\":{" F32_2 "},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}}", 20,
     "b: 4 bytes between it and a belong to nothing"},
    {T("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]"), 12,
     "w: 4 bytes between it and the header belong to nothing"},
    {T(F32_2), 12, "4 bytes after w belong to nothing"},
    {"{\"\":{" F32_2 "}}", 8, "tensor 0: a name of 0 bytes; 1 to 1000 are read"},
    {"{\"a\\nb\":{" F32_2 "}}", 8, "tensor 0: its name is not UTF-8 text of one line"},
    {"{\"a\xff\":{" F32_2 "}}", 8, "header not in UTF-8"},
    {"{\"a\xc0\x80\":{" F32_2 "}}", 8, "header not in UTF-8"},
    {"{\"a\xed\xa0\x80\":{" F32_2 "}}", 8, "header not in UTF-8"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "damaged header, byte 29: expected a string"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__: twice in the header"},
    {"{\"w\":[[[[[[[[]]]]]]]]}", 0, "damaged header, byte 13: expected '{'"},
    {T("\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]"), 8,
     "damaged header, byte 37: expected a whole number, not negative"},
    {T("\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]"), 8,
     "damaged header, byte 37: expected a whole number, not negative"},
    {T("\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]"), 8,
     "damaged header, byte 38: expected a whole number, not a fraction"},
    {T("\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]"), 8,
     "damaged header, byte 39: a number that starts with 0"},
    {T("\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]"), 8,
     "damaged header, byte 55: a number of 2^63 or more"},
    {"{\"w\" {}}", 0, "damaged header, byte 13: expected ':'"},
    {"{\"w", 0, "damaged header, byte 10: a string without an end"},
    {"{\"w\\", 0, "damaged header, byte 10: a string without an end"},
    {"{\"\\u00\":1}", 0, "damaged header, byte 14: expected four hexadecimal digits"},
    {"{\"\\ud800x\":1}", 0, "damaged header, byte 16: half of a surrogate pair"},
    {"{\"\\udc00\":1}", 0, "damaged header, byte 16: half of a surrogate pair"},
    {"{\"\\u0000\":1}", 0, "damaged header, byte 16: a NUL in a string"},
    {"{\"\\q\":1}", 0, "damaged header, byte 11: an unknown escape in a string"},
    {"{\"a\tb\":1}", 0, "damaged header, byte 11: a control character in a string"},
    {"{} x", 0, "damaged header, byte 11: text after the end"},
    {"{", 0, "damaged header, byte 9: expected a string"},
    {"{\"__metadata__\":{} \"w\":1}", 0, "damaged header, byte 27: expected ',' or '}'"},
};

START_TEST(refuses)
{
    WeightsFile *file;
    unsigned char *bytes;
    RtError err = {0};
    char expected[300];
    snprintf(expected, sizeof expected, "f: %s", BAD[_i].problem);
    ck_assert_int_eq(open_header(BAD[_i].header, BAD[_i].data_size, &file, &bytes, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, expected);
    ck_assert_ptr_null(file);
    free(bytes);
}
END_TEST

START_TEST(refuses_a_header_longer_than_the_file)
{
    static const unsigned char bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    WeightsFile *file;
    RtError err;
    ck_assert_int_eq(weights_open_memory("f", bytes, sizeof bytes, &file, &err), RT_BAD_INPUT);
    ck_assert_str_eq(err.text, "f: a safetensors header of 18446744073709551615 bytes; the file has 2 (is it "
                               "truncated?), and at most 100000000 are read");
}
END_TEST

START_TEST(reads_escapes_and_spaces)
{
    static const char header[] =
        " {\t\"__metadata__\" : {\"\\u00e9\\ud83d\\ude00\\/\" : \"\\\"\\\\\\n\"} ,\r\n\"w\": {"
        "\"data_offsets\": [ 0 , 0 ], \"shape\":[0,5], \"dtype\":\"I8\" } }   ";
    WeightsFile *file;
    unsigned char *bytes;
    RtError err = {0};
    /* A header starts with '{': the format says so, and it is what files are recognised by. */
    ck_assert_int_eq(open_header(header + 1, 0, &file, &bytes, &err), RT_OK);
    ck_assert_uint_eq(file->count, 1);
    ck_assert_int_eq(file->tensors[0].count, 0);
    ck_assert_str_eq(weights_metadata(file, "\xc3\xa9\xf0\x9f\x98\x80/"), "\"\\\n");
    ck_assert_ptr_null(weights_metadata(file, "w"));
    weights_close(file);
    free(bytes);
}
END_TEST

START_TEST(reads_a_file_without_tensors)
{
    WeightsFile *file;
    unsigned char *bytes;
    ck_assert_int_eq(open_header("{}", 0, &file, &bytes, NULL), RT_OK);
    ck_assert_uint_eq(file->count, 0);
    ck_assert_uint_eq(weights_find(file, "w"), WEIGHTS_NONE);
    weights_close(file);
    free(bytes);
}
END_TEST

START_TEST(reads_the_reference_writer)
{
    WeightsFile *file;
    RtError err = {0};
    ck_assert_int_eq(weights_open("tests/fixtures/weights/reference.safetensors", &file, &err), RT_OK);
    ck_assert_str_eq(file->format, "safetensors");
    ck_assert_uint_eq(file->count, 3);
    ck_assert_str_eq(weights_metadata(file, "by"), "safetensors");
    float values[6];
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "conv.weight"), values, &err), RT_OK);
    for (int i = 0; i < 6; i++) ck_assert_float_eq(values[i], (float)i);
    weights_close(file);
}
END_TEST

/* Writing. */

static char folder[] = "/tmp/segc-XXXXXX";
static char path[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/segc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w.safetensors", folder);
}

static int files_in_folder(void)
{
    int count = 0;
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (const struct dirent *entry = readdir(entries); entry; entry = readdir(entries))
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static const float FLOATS[] = {1.5f, -2, 3, 4, 5, 6};
static const int64_t STEP[] = {123456};
static const int64_t SHAPE[] = {2, 3}, EMPTY[] = {0, 7};
static const WeightsPart PARTS[] = {
    {"layer.\"w\"\\ é", WEIGHT_F32, 2, SHAPE, FLOATS},
    {"step", WEIGHT_I64, 0, NULL, STEP},
    {"none", WEIGHT_F16, 2, EMPTY, NULL},
};
static const WeightsText TEXTS[] = {{"format", "pt"}, {"note", "a\nb\t\"c\""}};

START_TEST(writes_what_it_reads)
{
    make_folder();
    RtError err = {0};
    WeightsFile *file;
    ck_assert_msg(!weights_write(path, PARTS, 3, TEXTS, 2, &err), "%s", err.text);
    ck_assert_int_eq(files_in_folder(), 1);
    ck_assert_msg(!weights_open(path, &file, &err), "%s", err.text);
    ck_assert_uint_eq(file->count, 3);
    ck_assert_str_eq(weights_metadata(file, "note"), TEXTS[1].value);
    float values[6];
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, PARTS[0].name), values, &err), RT_OK);
    ck_assert_mem_eq(values, FLOATS, sizeof FLOATS);
    ck_assert_int_eq(weights_read_f32(file, weights_find(file, "step"), values, &err), RT_OK);
    ck_assert_float_eq(values[0], 123456);
    ck_assert_int_eq(file->tensors[2].count, 0);
    weights_close(file);
    remove_folder();
}
END_TEST

START_TEST(writes_files_others_may_read)
{
    make_folder();
    struct stat about;
    const mode_t before = umask(022);
    ck_assert_int_eq(weights_write(path, PARTS, 1, NULL, 0, NULL), RT_OK);
    umask(before);
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_int_eq(about.st_mode & 0777, 0644);
    remove_folder();
}
END_TEST

/* A limit on the size of files stands in for a full disk: the old file stays, nothing is left beside it. */
START_TEST(failed_writing_keeps_the_old_file)
{
    make_folder();
    static float many[4096];
    const int64_t shape[] = {4096};
    const WeightsPart large = {"w", WEIGHT_F32, 1, shape, many};
    RtError err = {0};
    WeightsFile *file;
    ck_assert_int_eq(weights_write(path, PARTS, 1, NULL, 0, &err), RT_OK);
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 8192, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    const RtStatus status = weights_write(path, &large, 1, NULL, 0, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    ck_assert_int_eq(status, RT_MACHINE);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_ptr_nonnull(strstr(err.text, "File too large (after 8192 of "));
    ck_assert_int_eq(files_in_folder(), 1);
    ck_assert_int_eq(weights_open(path, &file, &err), RT_OK);
    ck_assert_str_eq(file->tensors[0].name, PARTS[0].name);
    weights_close(file);
    remove_folder();
}
END_TEST

START_TEST(writing_names_a_bad_place)
{
    RtError err = {0};
    ck_assert_int_eq(weights_write("/tmp/segc-absent/w", PARTS, 1, NULL, 0, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(
        strstr(err.text, "/tmp/segc-absent/w: cannot be written: No such file or directory"));
    ck_assert_int_eq(weights_write("/tmp", PARTS, 1, NULL, 0, &err), RT_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "/tmp: cannot be written: Is a directory"));
}
END_TEST

START_TEST(refuses_to_write_nonsense)
{
    static const int64_t negative[] = {-1};
    static const WeightsPart twice[] = {{"a", WEIGHT_I64, 0, NULL, STEP}, {"a", WEIGHT_I64, 0, NULL, STEP}};
    static const WeightsPart bad[] = {
        {"", WEIGHT_I64, 0, NULL, STEP},      {"__metadata__", WEIGHT_I64, 0, NULL, STEP},
        {"a\xff", WEIGHT_I64, 0, NULL, STEP}, {"a", WEIGHT_I64, 1, negative, STEP},
        {"a", WEIGHT_I64, 9, SHAPE, STEP},    {"a", WEIGHT_DTYPE_COUNT, 0, NULL, STEP},
    };
    static const WeightsText text = {"a", "\xff"};
    make_folder();
    ck_assert_int_eq(weights_write(path, twice, 2, NULL, 0, NULL), RT_BUG);
    ck_assert_int_eq(weights_write(path, PARTS, 1, &text, 1, NULL), RT_BUG);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(weights_write(path, &bad[i], 1, NULL, 0, NULL), RT_BUG);
    ck_assert_int_eq(files_in_folder(), 0);
    remove_folder();
}
END_TEST

START_TEST(writing_survives_lack_of_memory)
{
    make_folder();
    int nth = 0;
    RtStatus status = RT_MACHINE;
    while (status != RT_OK) {
        rt_alloc_fail_at(++nth);
        status = weights_write(path, PARTS, 3, TEXTS, 2, NULL);
        rt_alloc_fail_at(0);
        if (status) ck_assert_int_eq(files_in_folder(), 0);
        ck_assert_int_lt(nth, 100);
    }
    ck_assert_int_gt(nth, 2);
    remove_folder();
}
END_TEST

Suite *safetensors_suite(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *reading = tcase_create("reading");
    tcase_add_loop_test(reading, refuses, 0, sizeof BAD / sizeof *BAD);
    tcase_add_test(reading, refuses_a_header_longer_than_the_file);
    tcase_add_test(reading, reads_escapes_and_spaces);
    tcase_add_test(reading, reads_a_file_without_tensors);
    tcase_add_test(reading, reads_the_reference_writer);
    suite_add_tcase(suite, reading);
    TCase *writing = tcase_create("writing");
    tcase_add_test(writing, writes_what_it_reads);
    tcase_add_test(writing, writes_files_others_may_read);
    tcase_add_test(writing, failed_writing_keeps_the_old_file);
    tcase_add_test(writing, writing_names_a_bad_place);
    tcase_add_test(writing, refuses_to_write_nonsense);
    tcase_add_test(writing, writing_survives_lack_of_memory);
    suite_add_tcase(suite, writing);
    return suite;
}
