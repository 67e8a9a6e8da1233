/* Whole networks against PyTorch: graphs/NAME.yaml with the parameters and pictures of
 * tests/peers/README.md's formula, through the whole compiler, against the fixtures in
 * tests/fixtures/networks. */
#define _GNU_SOURCE
#include "compiled.h"
#include "formula.h"
#include "model.h"
#include "segrt.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHANNELS = 1000 };

typedef struct Fixture {
    char network[64];
    long long input[4], output[4];
    double largest;
    int step, kept, unsure;
    long long pixels[MAX_CHANNELS];
    float *values;
} Fixture;

static const struct {
    const char *file, *output;
} networks[] = {
    {"bisenet_64x128", "logits"},          {"bisenet_65x129", "logits"},
    {"bisenet_96x160", "logits"},          {"bisenet_b2_32x64", "logits"},
    {"deeplabv2_64x96", "logits"},         {"deeplabv2_65x129", "logits"},
    {"espnet_camvid_64x96", "logits"},     {"espnet_cityscapes_64x128", "logits"},
    {"fc_discriminator_64x128", "logits"}, {"resnet101_64x64", "logits"},
    {"resnet18_64x64", "logits"},
};

static void read_fixture(const char *name, Fixture *fixture)
{
    char path[256], key[32];
    snprintf(path, sizeof path, "tests/fixtures/networks/%s.bin", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    memset(fixture, 0, sizeof *fixture);
    long long *in = fixture->input, *out = fixture->output;
    ck_assert_int_eq(fscanf(file, "network %63s input %lld %lld %lld %lld output %lld %lld %lld %lld",
                            fixture->network, &in[0], &in[1], &in[2], &in[3], &out[0], &out[1], &out[2],
                            &out[3]),
                     9);
    ck_assert_int_eq(fscanf(file, " largest %lf step %d kept %d unsure %d %31s", &fixture->largest,
                            &fixture->step, &fixture->kept, &fixture->unsure, key),
                     5);
    ck_assert_str_eq(key, "pixels");
    for (int c = 0; c < out[1] && c < MAX_CHANNELS; c++)
        ck_assert_int_eq(fscanf(file, "%lld", &fixture->pixels[c]), 1);
    ck_assert_int_eq(fgetc(file), '\n');
    fixture->values = calloc((size_t)fixture->kept, sizeof(float));
    ck_assert_uint_eq(fread(fixture->values, sizeof(float), (size_t)fixture->kept, file),
                      (size_t)fixture->kept);
    fclose(file);
}

/* Only the named output is wanted. */
static Graph *load_graph(Arena *arena, const Fixture *fixture, const char *output)
{
    char path[256];
    snprintf(path, sizeof path, "graphs/%s.yaml", fixture->network);
    const char *folders[] = {"graphs", NULL};
    ModelOptions options = {.batch = fixture->input[0],
                            .height = fixture->input[2],
                            .width = fixture->input[3],
                            .graph_dirs = folders};
    Diag *diag = diag_new(arena);
    Model *model = model_load(arena, diag, path, &options);
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    Graph *graph = model->graph;
    int kept = 0;
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, output)) graph->outputs[kept++] = graph->outputs[i];
    ck_assert_int_eq(kept, 1);
    graph->n_outputs = 1;
    graph_sort(graph);
    return graph;
}

static void fill(void *context, const Node *source, float *values)
{
    (void)context;
    if (source->op == OP_INPUT)
        formula_uniform("image", type_elements(source->type), values);
    else
        formula_parameter(source->name, source->type, values);
}

static void compare_kept(const char *name, const Fixture *fixture, const float *got, int64_t count)
{
    double most = 0;
    ck_assert_int_eq((count + fixture->step - 1) / fixture->step, fixture->kept);
    for (int i = 0; i < fixture->kept; i++) {
        double difference = fabs((double)got[(int64_t)i * fixture->step] - (double)fixture->values[i]);
        if (!(difference <= most)) most = difference;
    }
    ck_assert_msg(most <= 1e-4 * fixture->largest, "%s: differs by %g of the largest output %g", name,
                  most / fixture->largest, fixture->largest);
}

/* Pixels per class. */
static void compare_classes(const char *name, const Fixture *fixture, const float *got)
{
    long long counts[MAX_CHANNELS] = {0}, area = fixture->output[2] * fixture->output[3],
              channels = fixture->output[1];
    ck_assert_int_le(channels, MAX_CHANNELS);
    for (long long n = 0; n < fixture->output[0]; n++)
        for (long long p = 0; p < area; p++) {
            long long best = 0;
            for (long long c = 1; c < channels; c++)
                if (got[(n * channels + c) * area + p] > got[(n * channels + best) * area + p]) best = c;
            counts[best]++;
        }
    for (int c = 0; c < channels; c++)
        ck_assert_msg(llabs(counts[c] - fixture->pixels[c]) <= fixture->unsure,
                      "%s: %lld pixels of class %d, not %lld", name, counts[c], c, fixture->pixels[c]);
}

static void check_network(const char *name, const char *output, const BuildOptions *options)
{
    Fixture fixture;
    read_fixture(name, &fixture);
    Arena *arena = arena_new();
    Graph *graph = load_graph(arena, &fixture, output);
    int64_t count = type_elements(graph->outputs[0].node->type);
    float *got = calloc((size_t)count, sizeof(float));
    const char *error = compiled_run(arena, graph, options, 2, fill, NULL, &got);
    ck_assert_msg(!error, "%s: %s", name, error);
    compare_kept(name, &fixture, got, count);
    compare_classes(name, &fixture, got);
    free(got);
    free(fixture.values);
    arena_free(arena);
}

START_TEST(equals_pytorch)
{
    check_network(networks[_i].file, networks[_i].output, &(BuildOptions){.cpu = "host"});
}
END_TEST

/* What `segc bench` compares with. */
START_TEST(baseline_equals_pytorch)
{
    static const char *const files[] = {"bisenet_64x128", "deeplabv2_65x129", "espnet_camvid_64x96"};
    check_network(files[_i], "logits", &(BuildOptions){.cpu = "host", .blas = true});
}
END_TEST

/* Every stage that is a graph prints a text that reads back as itself. */
static void reads_back(void *user, const char *stage, const char *text)
{
    if (strncmp(text, "graph ", 6)) return;
    Source source = {.path = stage, .text = text, .size = strlen(text)};
    Arena *arena = user;
    Diag *diag = diag_new(arena);
    Graph *graph = graph_text_parse(arena, diag, &source);
    ck_assert_msg(graph != NULL, "%s: %s", stage, diag_text(diag));
    ck_assert_str_eq(graph_text(graph), text);
}

START_TEST(stages_read_back)
{
    Fixture fixture;
    read_fixture(networks[_i].file, &fixture);
    Arena *arena = arena_new();
    Graph *graph = load_graph(arena, &fixture, networks[_i].output);
    BuildOptions options = {.cpu = "x86-64-v3", .stage = reads_back, .user = arena};
    ck_assert_ptr_nonnull(build_graph(arena, graph, &options));
    free(fixture.values);
    arena_free(arena);
}
END_TEST

/* A run reuses the memory of weights that were packed: changing one afterwards must not go unnoticed. */
START_TEST(weights_changed_after_a_run_are_set_again)
{
    Fixture fixture;
    read_fixture("fc_discriminator_64x128", &fixture);
    Arena *arena = arena_new();
    Graph *graph = load_graph(arena, &fixture, "logits");
    BuildOptions options = {.cpu = "host"};
    Build *build = build_graph(arena, graph, &options);
    ck_assert_ptr_nonnull(build);
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error);
    ck_assert_msg(jit != NULL, "%s", error);
    SegrtSession *session = NULL;
    RtError err;
    ck_assert_int_eq(segrt_open(build_program(jit), 1, &session, &err), RT_OK);
    ck_assert_int_eq(segrt_initialize(session, 1, &err), RT_OK);
    ck_assert_int_eq(segrt_run(session, &err), RT_OK);
    segrt_parameters_changed(session);
    ck_assert_int_eq(segrt_run(session, &err), RT_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "load or initialise all of them again"));
    ck_assert_int_eq(segrt_initialize(session, 1, &err), RT_OK);
    segrt_parameters_changed(session);
    ck_assert_int_eq(segrt_run(session, &err), RT_OK);
    segrt_close(session);
    build_jit_free(jit);
    free(fixture.values);
    arena_free(arena);
}
END_TEST

Suite *networks_suite(void)
{
    Suite *suite = suite_create("networks");
    TCase *pytorch = tcase_create("pytorch");
    tcase_set_timeout(pytorch, 120);
    tcase_add_loop_test(pytorch, equals_pytorch, 0, (int)(sizeof networks / sizeof *networks));
    tcase_add_loop_test(pytorch, baseline_equals_pytorch, 0, 3);
    tcase_add_loop_test(pytorch, stages_read_back, 0, (int)(sizeof networks / sizeof *networks));
    tcase_add_test(pytorch, weights_changed_after_a_run_are_set_again);
    suite_add_tcase(suite, pytorch);
    return suite;
}
