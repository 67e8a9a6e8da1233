/* Random graphs against the reference, compiled in every way. SEGC_RANDOM=COUNT tries more of them,
 * SEGC_RANDOM_FIRST=SEED others; a test's number is added to the first seed. */
#include "../table/compare.h"
#include "../table/compiled.h"
#include "../table/guarded.h"
#include "../table/random_graph.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { USUAL_COUNT = 60 };

static int from_environment(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

/* What a graph should give, and one array of floats per output for what it gave. */
typedef struct Trial {
    Arena *arena;
    uint64_t seed;
    Graph *graph; /* as declared */
    const Tensor *values;
    double size; /* largest magnitude anywhere in the graph */
} Trial;

static Graph *make_graph(Arena *arena, uint64_t seed)
{
    Diag *diag = diag_new(arena);
    Graph *graph = random_graph(arena, diag, seed);
    ck_assert_msg(diag_errors(diag) == 0, "seed %llu: %s", (unsigned long long)seed, diag_text(diag));
    return graph;
}

static Trial begin_trial(uint64_t seed)
{
    Arena *arena = arena_new();
    Trial t = {.arena = arena, .seed = seed, .graph = make_graph(arena, seed)};
    t.values = reference_run(arena, t.graph, random_fill, NULL);
    ck_assert_ptr_nonnull(t.values);
    for (int i = 0; i < t.graph->n_nodes; i++) {
        const Tensor *value = &t.values[t.graph->nodes[i]->id];
        for (int64_t k = 0; k < type_elements(value->type); k++)
            if (fabs(value->data[k]) > t.size && isfinite(value->data[k])) t.size = fabs(value->data[k]);
    }
    return t;
}

static float **new_outputs(const Trial *t)
{
    float **outputs = ARENA_ARRAY(t->arena, float *, t->graph->n_outputs);
    for (int k = 0; k < t->graph->n_outputs; k++)
        outputs[k] = ARENA_ARRAY(t->arena, float, type_elements(t->graph->outputs[k].node->type));
    return outputs;
}

/* An index is right when the value there is as large as the largest, within the rounding of values. */
static const char *check_indices(const Trial *t, const Node *argmax, const float *got, double most)
{
    const Tensor *from = &t->values[argmax->in[0]->id];
    int64_t dim = node_int(argmax, A_DIM), extent = from->type.dim[dim], inner = 1;
    for (int i = (int)dim + 1; i < from->type.rank; i++) inner *= from->type.dim[i];
    for (int64_t i = 0; i < type_elements(argmax->type); i++) {
        const double *along = from->data + i / inner * extent * inner + i % inner;
        int64_t best = (int64_t)t->values[argmax->id].data[i], index = (int64_t)got[i];
        if (index < 0 || index >= extent || along[best * inner] - along[index * inner] > most)
            return arena_printf(t->arena, "index %lld at %lld, reference %lld", (long long)index,
                                (long long)i, (long long)best);
    }
    return NULL;
}

static const char *check_output(const Trial *t, const Node *node, const float *got)
{
    const Tensor *want = &t->values[node->id];
    if (node->op == OP_ARGMAX) return check_indices(t, node, got, 1e-5 * t->size);
    Difference d = compare_values(want->data, got, type_elements(want->type));
    if (d.most <= 3e-5 * t->size) return NULL;
    return arena_printf(t->arena, "differs by %g of %g at %lld (%g, reference %g)", d.most, t->size,
                        (long long)d.at, (double)got[d.at], want->data[d.at]);
}

static void check_outputs(const Trial *t, const char *way, float *const *got)
{
    for (int k = 0; k < t->graph->n_outputs; k++) {
        const Output *output = &t->graph->outputs[k];
        const char *fault = check_output(t, output->node, got[k]);
        ck_assert_msg(!fault, "seed %llu, %s: output %s %s\n%s", (unsigned long long)t->seed, way,
                      output->name, fault, graph_text(t->graph));
    }
}

static float **run(const Trial *t, const char *way, const BuildOptions *options, int threads)
{
    float **outputs = new_outputs(t);
    Graph *graph = make_graph(t->arena, t->seed);
    const char *error = threads ? compiled_run(t->arena, graph, options, threads, random_fill, NULL, outputs)
                                : guarded_run(t->arena, graph, options, random_fill, NULL, outputs);
    ck_assert_msg(!error, "seed %llu, %s: %s\n%s", (unsigned long long)t->seed, way, error,
                  graph_text(t->graph));
    check_outputs(t, way, outputs);
    return outputs;
}

static const struct {
    const char *name;
    BuildOptions options;
    int threads; /* 0: in guarded memory */
} ways[] = {
    {"host, 3 threads", {.cpu = "host"}, 3},
    {"host, no_fuse", {.cpu = "host", .no_fuse = true}, 1},
    {"host, guarded", {.cpu = "host"}, 0},
    {"x86-64-v3, no_reuse", {.cpu = "x86-64-v3", .no_reuse = true}, 2},
    {"x86-64-v3, guarded", {.cpu = "x86-64-v3"}, 0},
    {"x86-64", {.cpu = "x86-64"}, 1},
    {"baseline", {.cpu = "host", .blas = true}, 1},
};
enum { N_WAYS = sizeof ways / sizeof *ways };

START_TEST(random_graph_agrees)
{
    Trial t = begin_trial((uint64_t)(from_environment("SEGC_RANDOM_FIRST", 1) + _i));
    float **one = run(&t, "host, 1 thread", &(BuildOptions){.cpu = "host"}, 1);
    for (int way = 0; way < N_WAYS; way++) {
        float **got = run(&t, ways[way].name, &ways[way].options, ways[way].threads);
        for (int k = 0; way == 0 && k < t.graph->n_outputs; k++)
            ck_assert_msg(!memcmp(one[k], got[k],
                                  sizeof(float) * (size_t)type_elements(t.graph->outputs[k].node->type)),
                          "seed %llu: 1 and 3 threads give other bits", (unsigned long long)t.seed);
    }
    arena_free(t.arena);
}
END_TEST

Suite *random_suite(void)
{
    Suite *suite = suite_create("random");
    TCase *tests = tcase_create("random");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, random_graph_agrees, 0, from_environment("SEGC_RANDOM", USUAL_COUNT));
    suite_add_tcase(suite, tests);
    return suite;
}
