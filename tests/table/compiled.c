/* See compiled.h. */
#include "compiled.h"

#include "compare.h"
#include "rt_parameters.h"
#include "rt_program.h"
#include "rt_session.h"
#include "segrt.h"

#include <string.h>

/* The graph as it was declared: names are what is left of it after compiling. */
typedef struct Declared {
    const Node **sources;
    int n_sources, cap_sources;
    const char **outputs;
    int64_t *elements; /* of each output */
    int n_outputs;
} Declared;

static Declared remember(Arena *arena, const Graph *graph)
{
    Declared d = {.outputs = ARENA_ARRAY(arena, const char *, graph->n_outputs),
                  .elements = ARENA_ARRAY(arena, int64_t, graph->n_outputs),
                  .n_outputs = graph->n_outputs};
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->op == OP_INPUT || graph->nodes[i]->op == OP_PARAM)
            ARENA_PUSH(arena, d.sources, d.n_sources, d.cap_sources, graph->nodes[i]);
    for (int k = 0; k < graph->n_outputs; k++) {
        d.outputs[k] = graph->outputs[k].name;
        d.elements[k] = type_elements(graph->outputs[k].node->type);
    }
    return d;
}

/* A parameter that lies in blocks has no dense view. */
static void fill_blocked(Arena *arena, SegrtSession *session, const Node *source, SourceFill *fill,
                         void *context)
{
    const ProgramTensor *tensor = program_find(session_program(session), ROLE_PARAMETER, source->name);
    if (!tensor || tensor->block <= 1) return;
    float *values = ARENA_ARRAY(arena, float, type_elements(source->type));
    fill(context, source, values);
    parameters_put(session, tensor, values);
}

/* A parameter or input that nothing evaluates has no memory. */
static void fill_sources(Arena *arena, SegrtSession *session, const Declared *d, Op op, SourceFill *fill,
                         void *context)
{
    for (int i = 0; i < d->n_sources; i++) {
        SegrtTensor tensor;
        if (d->sources[i]->op != op) continue;
        if (!segrt_tensor(session, d->sources[i]->name, &tensor, NULL))
            source_write(fill, context, d->sources[i], tensor.data);
        else
            fill_blocked(arena, session, d->sources[i], fill, context);
    }
}

static void read_tensor(const SegrtTensor *tensor, int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = tensor->dtype == SEGRT_F32   ? ((const float *)tensor->data)[i]
                    : tensor->dtype == SEGRT_I32 ? (float)((const int32_t *)tensor->data)[i]
                                                 : (float)((const uint8_t *)tensor->data)[i];
}

static const char *run_once(Arena *arena, SegrtSession *session, const Declared *d, SourceFill *fill,
                            void *context, float *const *outputs)
{
    RtError err;
    fill_sources(arena, session, d, OP_INPUT, fill, context);
    if (segrt_run(session, &err)) return arena_strdup(arena, err.text);
    for (int k = 0; k < d->n_outputs; k++) {
        SegrtTensor tensor;
        if (segrt_tensor(session, d->outputs[k], &tensor, &err)) return arena_strdup(arena, err.text);
        read_tensor(&tensor, d->elements[k], outputs[k]);
    }
    return NULL;
}

static const char *run_twice(Arena *arena, SegrtSession *session, const Declared *d, SourceFill *fill,
                             void *context, float *const *outputs)
{
    float **again = ARENA_ARRAY(arena, float *, d->n_outputs);
    for (int k = 0; k < d->n_outputs; k++) again[k] = ARENA_ARRAY(arena, float, d->elements[k]);
    fill_sources(arena, session, d, OP_PARAM, fill, context);
    segrt_parameters_changed(session);
    const char *error = run_once(arena, session, d, fill, context, outputs);
    if (!error) error = run_once(arena, session, d, fill, context, again);
    for (int k = 0; k < d->n_outputs && !error; k++)
        if (memcmp(outputs[k], again[k], sizeof(float) * (size_t)d->elements[k]) != 0)
            error = "a second run gives other values";
    return error;
}

const char *compiled_run(Arena *arena, Graph *graph, const BuildOptions *options, int threads,
                         SourceFill *fill, void *context, float *const *outputs)
{
    Declared declared = remember(arena, graph);
    Build *build = build_graph(arena, graph, options);
    if (!build) return diag_text(graph->diag);
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error);
    if (!jit) return error;
    SegrtSession *session = NULL;
    RtError err;
    if (segrt_open(build_program(jit), threads, &session, &err))
        error = arena_strdup(arena, err.text);
    else
        error = run_twice(arena, session, &declared, fill, context, outputs);
    segrt_close(session);
    build_jit_free(jit);
    return error;
}

static const char *find_difference(Arena *arena, const Case *c, const Graph *graph, const Tensor *values,
                                   float *const *got)
{
    for (int k = 0; k < graph->n_outputs; k++) {
        const Tensor *want = &values[graph->outputs[k].node->id];
        Difference d = compare_values(want->data, got[k], type_elements(want->type));
        if (!(d.most <= 1e-5 * d.largest))
            return arena_printf(arena, "%s: %s differs by %g of %g at %lld (%g, reference %g)",
                                case_text(arena, c), graph->outputs[k].name, d.most, d.largest,
                                (long long)d.at, (double)got[k][d.at], want->data[d.at]);
    }
    return NULL;
}

const char *compiled_fault(Arena *arena, const Case *c, const BuildOptions *options, int threads)
{
    Diag *diag = diag_new(arena);
    const Graph *graph = case_graph(arena, diag, c);
    if (!graph) return arena_printf(arena, "%s: %s", case_text(arena, c), diag_text(diag));
    const Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
    if (!values) return arena_printf(arena, "%s: the reference has no rule", case_text(arena, c));
    float **got = ARENA_ARRAY(arena, float *, graph->n_outputs);
    for (int k = 0; k < graph->n_outputs; k++)
        got[k] = ARENA_ARRAY(arena, float, type_elements(graph->outputs[k].node->type));
    const char *error =
        compiled_run(arena, case_graph(arena, diag, c), options, threads, case_fill, (void *)c, got);
    if (error) return arena_printf(arena, "%s: %s", case_text(arena, c), error);
    return find_difference(arena, c, graph, values, got);
}
