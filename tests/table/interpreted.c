/* See interpreted.h. Whatever a step reads before it is written, after its memory went to another value, or
 * beside its place shows as NaN, as a wrong number, or as an index out of reach. */
#include "interpreted.h"

#include "ref_interp.h"

#include <assert.h>
#include <string.h>

typedef struct Memory {
    char *arena, *persistent;
} Memory;

static void *address(const Memory *memory, const Storage *storage)
{
    return (storage->kind == STORAGE_ARENA ? memory->arena : memory->persistent) + storage->offset;
}

/* Where the element of a dense row-major tensor lies in its place. */
static int64_t index_of(const Place *p, int64_t element)
{
    int64_t x = element % p->view.w, y = element / p->view.w % p->view.h;
    int64_t c = element / (p->view.w * p->view.h) % p->view.c;
    int64_t n = element / (p->view.w * p->view.h) / p->view.c;
    return p->offset + n * p->stride_n + c / p->block * p->stride_c + c % p->block + y * p->stride_y +
           x * p->stride_x;
}

static void write_sources(const Plan *plan, const Memory *memory, Op op, SourceFill *fill, void *context)
{
    const Graph *graph = plan->layout->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = graph->nodes[i];
        if (node->op != op) continue;
        const Place *place = layout_place(plan->layout, node);
        int64_t count = type_elements(node->type);
        float *values = ARENA_ARRAY(graph->arena, float, count), *to = address(memory, place->storage);
        source_write(fill, context, node, values);
        for (int64_t k = 0; k < count; k++) memcpy(&to[index_of(place, k)], &values[k], sizeof *to);
    }
}

static void run_steps(const Plan *plan, const Memory *memory)
{
    for (int i = 0; i < plan->list->n_steps; i++) {
        const Step *step = &plan->list->steps[i];
        void *buffers[MAX_BUFFERS];
        for (int k = 0; k < step->n_args; k++) {
            const StepArg *arg = &step->args[k];
            buffers[k] = arg->storage ? address(memory, arg->storage) : (void *)arg->table;
        }
        bool had_memory = interp_run(step->kernel, buffers);
        assert(had_memory);
        (void)had_memory;
    }
}

static void read_output(const Plan *plan, const Memory *memory, const Node *node, float *values)
{
    const Place *place = layout_place(plan->layout, node);
    const void *from = address(memory, place->storage);
    for (int64_t k = 0; k < type_elements(node->type); k++) {
        int64_t at = index_of(place, k);
        values[k] = node->type.dtype == F32   ? ((const float *)from)[at]
                    : node->type.dtype == I32 ? (float)((const int32_t *)from)[at]
                                              : (float)((const uint8_t *)from)[at];
    }
}

void interpreted_run(Arena *arena, Graph *graph, const CompileOptions *options, SourceFill *fill,
                     void *context, float *const *outputs)
{
    const Plan *plan = compile_graph(graph, options);
    assert(plan);
    Memory memory = {arena_alloc(arena, (size_t)plan->arena_bytes),
                     arena_alloc(arena, (size_t)plan->persistent_bytes)};
    memset(memory.arena, 0xff, (size_t)plan->arena_bytes);
    write_sources(plan, &memory, OP_PARAM, fill, context);
    write_sources(plan, &memory, OP_INPUT, fill, context);
    run_steps(plan, &memory);
    for (int k = 0; k < graph->n_outputs; k++) read_output(plan, &memory, graph->outputs[k].node, outputs[k]);
}
