/* See plan.h. Lives are intervals of steps. Offsets are found greedily, the largest storage first, each at
 * the lowest offset where it meets nobody of its time: for inference graphs this comes out at the lower bound
 * or within a few per cent of it. */
#include "plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

static int64_t round_up(int64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static int64_t storage_bytes(const Storage *storage)
{
    return round_up(storage->elements * (storage->dtype == U8 ? 1 : 4));
}

static void touch(Storage *storage, int step)
{
    if (storage->first < 0 || step < storage->first) storage->first = step;
    if (step > storage->last) storage->last = step;
}

/* Lives, from the steps' arguments. Inputs and parameters are there before everything: whoever fills an input
 * for the first run does so before that run starts with the preparation. */
static void find_lives(Plan *plan)
{
    const Graph *graph = plan->layout->graph;
    for (int i = 0; i < plan->layout->n_storages; i++) {
        plan->layout->storages[i]->first = -1;
        plan->layout->storages[i]->last = -1;
    }
    for (int i = 0; i < plan->list->n_steps; i++)
        for (int a = 0; a < plan->list->steps[i].n_args; a++)
            if (plan->list->steps[i].args[a].storage) touch(plan->list->steps[i].args[a].storage, i);
    for (int i = 0; i < graph->n_nodes; i++) {
        Storage *storage = layout_place(plan->layout, graph->nodes[i])->storage;
        Op op = graph->nodes[i]->op;
        if (op == OP_INPUT || op == OP_PARAM || op == OP_TUNABLE) touch(storage, 0);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        Storage *storage = layout_place(plan->layout, graph->outputs[i].node)->storage;
        storage->keep = true;
        touch(storage, plan->list->n_steps);
    }
}

/* What runs read must outlive the preparation; what only the preparation reads need not, unless it is to be
 * saved again after training. */
static void settle_kinds(Plan *plan)
{
    if (plan->layout->graph->n_updates > 0) return;
    for (int i = 0; i < plan->layout->n_storages; i++) {
        Storage *storage = plan->layout->storages[i];
        if (storage->kind == STORAGE_PERSISTENT && storage->last < plan->n_prepare)
            storage->kind = STORAGE_ARENA;
    }
}

static bool meet(const Storage *a, const Storage *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int larger_first(const void *left, const void *right)
{
    const Storage *a = *(Storage *const *)left, *b = *(Storage *const *)right;
    int64_t x = storage_bytes(a), y = storage_bytes(b);
    if (x != y) return x < y ? 1 : -1;
    return a->id - b->id;
}

static int by_offset(const void *left, const void *right)
{
    const Storage *a = *(Storage *const *)left, *b = *(Storage *const *)right;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return a->id - b->id;
}

/* The lowest gap between the placed storages of its time that it fits in. */
static int64_t lowest_gap(Storage **placed, int count, Storage **scratch, const Storage *storage)
{
    int n = 0;
    for (int i = 0; i < count; i++)
        if (meet(placed[i], storage)) scratch[n++] = placed[i];
    qsort(scratch, (size_t)n, sizeof *scratch, by_offset);
    int64_t offset = 0;
    for (int i = 0; i < n; i++) {
        if (offset + storage_bytes(storage) <= scratch[i]->offset) break;
        int64_t end = scratch[i]->offset + storage_bytes(scratch[i]);
        if (end > offset) offset = end;
    }
    return offset;
}

static void place_arena(Plan *plan, bool reuse)
{
    Arena *arena = plan->list->arena;
    int count = 0, n = plan->layout->n_storages;
    Storage **sorted = ARENA_ARRAY(arena, Storage *, n), **scratch = ARENA_ARRAY(arena, Storage *, n);
    for (int i = 0; i < n; i++) {
        Storage *storage = plan->layout->storages[i];
        if (storage->kind == STORAGE_ARENA && storage->last >= 0) sorted[count++] = storage;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, larger_first);
    for (int i = 0; i < count; i++) {
        sorted[i]->offset = reuse ? lowest_gap(sorted, i, scratch, sorted[i]) : plan->arena_bytes;
        int64_t end = sorted[i]->offset + storage_bytes(sorted[i]);
        if (end > plan->arena_bytes) plan->arena_bytes = end;
    }
}

static void place_persistent(Plan *plan)
{
    for (int i = 0; i < plan->layout->n_storages; i++) {
        Storage *storage = plan->layout->storages[i];
        if (storage->kind != STORAGE_PERSISTENT) continue;
        storage->offset = plan->persistent_bytes;
        plan->persistent_bytes += storage_bytes(storage);
    }
}

static void find_bound(Plan *plan)
{
    for (int step = 0; step <= plan->list->n_steps; step++) {
        int64_t alive = 0;
        for (int i = 0; i < plan->layout->n_storages; i++) {
            const Storage *storage = plan->layout->storages[i];
            if (storage->kind == STORAGE_ARENA && storage->first <= step && step <= storage->last)
                alive += storage_bytes(storage);
        }
        if (alive > plan->live_bytes_bound) plan->live_bytes_bound = alive;
    }
}

Plan *plan_make(const StepList *list, const Layout *layout, bool reuse)
{
    Plan *plan = ARENA_NEW(list->arena, Plan);
    *plan = (Plan){.list = list, .layout = layout};
    while (plan->n_prepare < list->n_steps && list->steps[plan->n_prepare].is_static) plan->n_prepare++;
    find_lives(plan);
    settle_kinds(plan);
    place_arena(plan, reuse);
    place_persistent(plan);
    find_bound(plan);
    for (int i = 0; i < list->n_steps; i++) {
        if (list->steps[i].kernel->scratch > plan->scratch_bytes)
            plan->scratch_bytes = list->steps[i].kernel->scratch;
        for (int a = 0; a < list->steps[i].n_args; a++)
            if (!list->steps[i].args[a].storage)
                plan->const_bytes += round_up(list->steps[i].args[a].table_bytes);
    }
    return plan;
}

static void text_args(Text *text, const Step *step)
{
    for (int a = 0; a < step->n_args; a++) {
        const Storage *storage = step->args[a].storage;
        if (storage)
            text_printf(text, " s%d", storage->id);
        else
            text_printf(text, " table(%lld)", (long long)step->args[a].table_bytes);
    }
}

const char *plan_text(const Plan *plan)
{
    Text text = text_new(plan->list->arena);
    text_printf(&text, "plan arena %lld bytes (bound %lld), persistent %lld, scratch %lld\n",
                (long long)plan->arena_bytes, (long long)plan->live_bytes_bound,
                (long long)plan->persistent_bytes, (long long)plan->scratch_bytes);
    for (int i = 0; i < plan->layout->n_storages; i++) {
        const Storage *s = plan->layout->storages[i];
        if (s->last < 0) continue;
        text_printf(&text, "s%d: %s %lld..%lld steps %d..%d%s\n", s->id,
                    s->kind == STORAGE_ARENA ? "arena" : "persistent", (long long)s->offset,
                    (long long)(s->offset + storage_bytes(s)), s->first, s->last, s->keep ? " output" : "");
    }
    for (int i = 0; i < plan->list->n_steps; i++) {
        const Step *step = &plan->list->steps[i];
        text_printf(&text, "step %d%s: %s", i, step->is_static ? " once" : "", step->kernel->name);
        text_args(&text, step);
        text_printf(&text, "  # %s: %s, %lld units\n", step->name ? step->name : "", step->kernel->kind,
                    (long long)step->kernel->units);
    }
    return text.text;
}
