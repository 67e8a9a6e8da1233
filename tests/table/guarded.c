/* See guarded.h. */
#define _GNU_SOURCE
#include "guarded.h"

#include "op.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROUND = 64 };

typedef struct Region {
    char *mapping, *start;
    size_t mapped;
} Region;

typedef struct Regions {
    Arena *arena;
    const Plan *plan;
    Region *items;
    int count, capacity;
    Region scratch;
    int *of_storage; /* by Storage.id */
} Regions;

static size_t round_up(size_t value, size_t to)
{
    return (value + to - 1) / to * to;
}

static Region map_region(size_t bytes, int fill)
{
    size_t used = round_up(bytes ? bytes : 1, ROUND), readable = round_up(used, PAGE);
    Region r = {.mapped = readable + 2 * (size_t)PAGE};
    r.mapping = mmap(NULL, r.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (r.mapping == MAP_FAILED || mprotect(r.mapping + PAGE, readable, PROT_READ | PROT_WRITE))
        return (Region){NULL, NULL, 0};
    memset(r.mapping + PAGE, fill, readable);
    r.start = r.mapping + PAGE + readable - used;
    return r;
}

static int add_region(Regions *all, size_t bytes, int fill)
{
    ARENA_PUSH(all->arena, all->items, all->count, all->capacity, map_region(bytes, fill));
    return all->count - 1;
}

static bool map_all(Regions *all)
{
    const Layout *layout = all->plan->layout;
    all->of_storage = ARENA_ARRAY(all->arena, int, layout->n_storages);
    for (int i = 0; i < layout->n_storages; i++) {
        const Storage *s = layout->storages[i];
        size_t bytes = (size_t)s->elements * (s->dtype == U8 ? 1 : 4);
        all->of_storage[s->id] = add_region(all, bytes, s->kind == STORAGE_ARENA ? 0xff : 0);
        if (!all->items[all->count - 1].mapping) return false;
    }
    all->scratch = map_region((size_t)all->plan->scratch_bytes, 0xff);
    return all->scratch.mapping;
}

static void unmap_all(Regions *all)
{
    for (int i = 0; i < all->count; i++)
        if (all->items[i].mapping) munmap(all->items[i].mapping, all->items[i].mapped);
    if (all->scratch.mapping) munmap(all->scratch.mapping, all->scratch.mapped);
}

static char *address_of(const Regions *all, const Node *node, const Place **place)
{
    *place = layout_place(all->plan->layout, node);
    return all->items[all->of_storage[(*place)->storage->id]].start;
}

/* Sources and outputs are dense from their offset on: that is what the program's image promises. */
static void fill_sources(const Regions *all, SourceFill *fill, void *context)
{
    const Graph *graph = all->plan->layout->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (op_info(graph->nodes[i]->op)->class != CLASS_SOURCE) continue;
        const Place *place;
        float *to = (float *)(void *)address_of(all, graph->nodes[i], &place);
        source_write(fill, context, graph->nodes[i], to + place->offset);
    }
}

static void read_outputs(const Regions *all, float *const *outputs)
{
    const Graph *graph = all->plan->layout->graph;
    for (int k = 0; k < graph->n_outputs; k++) {
        const Place *place;
        const void *from = address_of(all, graph->outputs[k].node, &place);
        Type type = graph->outputs[k].node->type;
        for (int64_t i = 0; i < type_elements(type); i++)
            outputs[k][i] = type.dtype == F32   ? ((const float *)from)[place->offset + i]
                            : type.dtype == I32 ? (float)((const int32_t *)from)[place->offset + i]
                                                : (float)((const uint8_t *)from)[place->offset + i];
    }
}

static bool run_step(Regions *all, const Step *step, ProgramKernelFn *kernel)
{
    void *args[MAX_BUFFERS];
    for (int i = 0; i < step->n_args; i++) {
        const StepArg *arg = &step->args[i];
        int region =
            arg->storage ? all->of_storage[arg->storage->id] : add_region(all, (size_t)arg->table_bytes, 0);
        args[i] = all->items[region].start;
        if (!args[i]) return false;
        if (!arg->storage) memcpy(args[i], arg->table, (size_t)arg->table_bytes);
    }
    for (int64_t unit = step->kernel->units - 1; unit >= 0; unit--)
        kernel(args, unit, unit + 1, all->scratch.start);
    return true;
}

static bool run_all(Regions *all, const Program *program)
{
    const StepList *list = all->plan->list;
    for (int i = 0; i < list->n_steps; i++) {
        int k = 0;
        while (list->kernels[k] != list->steps[i].kernel) k++;
        if (!run_step(all, &list->steps[i], program->kernels[k])) return false;
    }
    return true;
}

const char *guarded_run(Arena *arena, Graph *graph, const BuildOptions *options, SourceFill *fill,
                        void *context, float *const *outputs)
{
    Build *build = build_graph(arena, graph, options);
    if (!build) return diag_text(graph->diag);
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error);
    if (!jit) return error;
    Regions all = {.arena = arena, .plan = build->plan};
    bool mapped = map_all(&all);
    if (mapped) {
        fill_sources(&all, fill, context);
        mapped = run_all(&all, build_program(jit));
    }
    if (mapped) read_outputs(&all, outputs);
    unmap_all(&all);
    build_jit_free(jit);
    return mapped ? NULL : "no memory for guarded storages";
}
