/* The driver of lowering: see lower.h. */
#include "lower.h"
#include "blas_spec.h"

#include <assert.h>
#include <string.h>

Expr *coord_channel(Lowering *l, const Coord *at)
{
    if (at->block == 1) return at->cb;
    return expr_add(l->b, expr_scale(l->b, at->cb, at->block), at->lane);
}

int lower_storage(Lowering *l, Storage *storage, BufferRole role)
{
    Step *step = l->step;
    for (int i = 0; i < step->n_args; i++) {
        if (step->args[i].storage != storage) continue;
        if (role == BUFFER_OUT) l->b->kernel->buffers[i].role = BUFFER_OUT;
        return i;
    }
    const char *name = arena_printf(l->arena, "b%d", step->n_args);
    step->args[step->n_args++].storage = storage;
    return loop_buffer(l->b, name, storage->dtype, role, storage->elements);
}

int lower_table(Lowering *l, const char *name, Dtype dtype, const void *data, int64_t elements)
{
    Step *step = l->step;
    int64_t bytes = elements * 4;
    void *copy = arena_alloc(l->arena, (size_t)bytes);
    memcpy(copy, data, (size_t)bytes);
    step->args[step->n_args++] = (StepArg){.table = copy, .table_bytes = bytes};
    return loop_buffer(l->b, name, dtype, BUFFER_IN, elements);
}

Expr *place_index(Lowering *l, const Place *p, const Coord *at)
{
    LoopBuilder *b = l->b;
    Expr *index = expr_int(b, p->offset);
    if (p->view.n > 1) index = expr_add(b, index, expr_scale(b, at->n, p->stride_n));
    if (p->view.c > 1 && p->block == at->block) {
        index = expr_add(b, index, expr_scale(b, at->cb, p->stride_c));
        if (p->block > 1) index = expr_add(b, index, at->lane);
    } else if (p->view.c > 1 && p->block == 1) {
        index = expr_add(b, index, expr_scale(b, coord_channel(l, at), p->stride_c));
    } else if (p->view.c > 1) {
        Expr *block = expr_int(b, p->block), *channel = coord_channel(l, at);
        index = expr_add(b, index, expr_scale(b, expr_op2(b, EXPR_DIV, channel, block), p->stride_c));
        index = expr_add(b, index, expr_op2(b, EXPR_MOD, channel, block));
    }
    if (p->view.h > 1) index = expr_add(b, index, expr_scale(b, at->y, p->stride_y));
    if (p->view.w > 1) index = expr_add(b, index, expr_scale(b, at->x, p->stride_x));
    return index;
}

/* Where an element is stored. A single channel is read from lane 0 by all lanes, but each lane is written. */
static Expr *store_index(Lowering *l, const Place *p, const Coord *at)
{
    Expr *index = place_index(l, p, at);
    bool lane_is_missing = p->block > 1 && p->view.c == 1 && at->block == p->block;
    return lane_is_missing ? expr_add(l->b, index, at->lane) : index;
}

static Expr *both(Lowering *l, Expr *a, Expr *b)
{
    if (!a || !b) return a ? a : b;
    return expr_op2(l->b, EXPR_AND, a, b);
}

/* Lanes past the last channel must not read past a plain value. A static vector is followed by zeros instead.
 */
static Expr *guard_lanes(Lowering *l, const Place *p, const Coord *at)
{
    bool padded = p->storage->kind == STORAGE_PERSISTENT && p->stride_c == 1 && p->view.h * p->view.w == 1;
    if (p->block > 1 || at->block == 1 || p->view.c == 1 || p->view.c % at->block == 0 || padded) return NULL;
    return expr_op2(l->b, EXPR_LT, coord_channel(l, at), expr_int(l->b, p->view.c));
}

static Expr *load(Lowering *l, const Node *node, const Coord *at, Expr *guard)
{
    const Place *place = layout_place(l->layout, node);
    int buffer = lower_storage(l, place->storage, BUFFER_IN);
    return expr_load_if(l->b, buffer, place_index(l, place, at), both(l, guard, guard_lanes(l, place, at)));
}

static bool is_per_channel(const Node *node)
{
    return node->op == OP_BATCH_NORM || node->op == OP_PRELU;
}

/* A broadcasting operator aligns shapes at the right, which differs from a value's own view when the ranks
 * differ; such an input is plain and dense. */
static bool aligns_right(const Node *node, const Node *in)
{
    return !is_per_channel(node) && in->type.rank != node->type.rank && in->type.rank > 0;
}

/* Where the parameters of a per-channel operator are read: by dimension 1, which at rank 3 is the view's
 * rows.
 */
static Coord parameter_coord(Lowering *l, const Node *node, const Coord *at)
{
    if (node->type.rank != 3) return *at;
    Expr *zero = expr_int(l->b, 0);
    return (Coord){.block = 1, .n = zero, .cb = at->y, .lane = zero, .y = zero, .x = zero};
}

static Expr *load_aligned_right(Lowering *l, const Node *node, const Node *in, const Coord *at)
{
    LoopBuilder *b = l->b;
    const Place *place = layout_place(l->layout, in);
    Expr *full[4] = {at->n, coord_channel(l, at), at->y, at->x}, *axes[4] = {NULL, NULL, NULL, NULL};
    int rank = node->type.rank, n = 0;
    for (int axis = 0; axis < 4; axis++) { /* the coordinates that the rank has: see View */
        bool has =
            rank == 4 || (rank == 3 && axis != 1) || (rank == 2 && axis < 2) || (rank == 1 && axis == 1);
        if (has) axes[n++] = full[axis];
    }
    Expr *index = expr_int(b, place->offset), *guard = NULL;
    int64_t stride = 1;
    for (int i = in->type.rank - 1; i >= 0; i--) {
        Expr *axis = axes[n - in->type.rank + i];
        int64_t extent = in->type.dim[i];
        if (extent > 1) index = expr_add(b, index, expr_scale(b, axis, stride));
        /* lanes past the last channel must not read past the value */
        if (extent > 1 && axis == full[1] && extent % at->block)
            guard = expr_op2(b, EXPR_LT, axis, expr_int(b, extent));
        stride *= extent;
    }
    int buffer = lower_storage(l, place->storage, BUFFER_IN);
    return expr_load_if(b, buffer, index, guard);
}

static bool in_group(const Lowering *l, const Node *node)
{
    return l->fusion->inlined[node->id] || (node == l->group->root && l->group->kind == GROUP_LOOPS) ||
           (node == l->group->root && l->group->kind == GROUP_TEMPLATE);
}

static Expr *elementwise(Lowering *l, const Node *node, const Coord *at)
{
    Expr *in[8 + MAX_PARAM_SPECS];
    assert(node->n_in <= (int)(sizeof in / sizeof *in));
    for (int i = 0; i < node->n_in; i++) {
        bool right = aligns_right(node, node->in[i]) && !in_group(l, node->in[i]);
        Coord own = i > 0 && is_per_channel(node) ? parameter_coord(l, node, at) : *at;
        in[i] = right ? load_aligned_right(l, node, node->in[i], at) : lower_value(l, node->in[i], &own);
        /* Rules use an operand more than once. */
        bool plain = in[i]->kind == EXPR_LOAD || in[i]->kind == EXPR_VAR || in[i]->kind == EXPR_FLOAT;
        if (!plain) in[i] = loop_let(l->b, op_info(node->in[i]->op)->name, in[i]);
    }
    return op_info(node->op)->scalar(l->b, node, in);
}

/* The contraction's own value: its sum and its bias, the last input. */
static Expr *anchor_value(Lowering *l, const Node *node, const Coord *at)
{
    if (l->filter) return lower_filter_sum(l, node, at);
    if (node->op == OP_CONV2D_GRAD_FILTER || !node_bool(node, A_BIAS)) return l->accumulator;
    return expr_op2(l->b, EXPR_ADD, l->accumulator, load(l, node->in[node->n_in - 1], at, NULL));
}

Expr *lower_value(Lowering *l, const Node *node, const Coord *at)
{
    if (node == l->group->anchor) return anchor_value(l, node, at);
    if (!in_group(l, node)) return load(l, node, at, NULL);
    const OpInfo *info = op_info(node->op);
    return info->lower ? info->lower(l, node, at) : elementwise(l, node, at);
}

Expr *lower_value_if(Lowering *l, const Node *node, const Coord *at, Expr *guard)
{
    if (!guard) return lower_value(l, node, at);
    if (!in_group(l, node)) return load(l, node, at, guard);
    Expr *value = lower_value(l, node, at);
    Expr *zero = value->type == SCALAR_F32 ? expr_float(l->b, 0) : expr_int(l->b, 0);
    return expr_op3(l->b, EXPR_SELECT, guard, value, zero);
}

Expr *lower_dimension(Lowering *l, LoopKind kind, const char *name, int64_t extent)
{
    return extent == 1 ? expr_int(l->b, 0) : loop_open_n(l->b, kind, name, extent);
}

/* Opens the loops over a place's elements and returns their coordinate. The vector loop runs over the lanes
 * of a block, or, in a plain place, over the last dimension that has an extent. */
static Coord open_domain(Lowering *l, const Place *p)
{
    View v = p->view;
    Coord at = {.block = p->block};
    bool pixel = v.h * v.w == 1;
    at.n = lower_dimension(l, LOOP_PARALLEL, "n", v.n);
    if (p->block == 1) {
        at.cb = lower_dimension(l, pixel ? LOOP_VECTOR : LOOP_PARALLEL, "c", v.c);
        at.y = lower_dimension(l, v.w == 1 && v.h > 1 ? LOOP_VECTOR : LOOP_PARALLEL, "y", v.h);
        at.x = lower_dimension(l, LOOP_VECTOR, "x", v.w);
        at.lane = expr_int(l->b, 0);
    } else {
        at.cb = lower_dimension(l, LOOP_PARALLEL, "cb", blocks_of(v.c, p->block));
        at.y = lower_dimension(l, LOOP_PARALLEL, "y", v.h);
        at.x = lower_dimension(l, LOOP_SERIAL, "x", v.w);
        at.lane = loop_open_n(l->b, LOOP_VECTOR, "l", p->block);
    }
    return at;
}

static void close_all(Lowering *l)
{
    while (l->b->n_open) loop_close(l->b, NULL);
}

/* A quotient of the zeros in the last block's spare lanes is no number; the lanes' contract is to be finite.
 */
static bool may_be_not_finite(const Fusion *fusion, const Node *node)
{
    if (node->op == OP_DIV || node->op == OP_RSQRT) return true;
    for (int i = 0; i < node->n_in; i++)
        if (fusion->inlined[node->in[i]->id] && may_be_not_finite(fusion, node->in[i])) return true;
    return false;
}

Expr *lower_spare_lanes(Lowering *l, const Node *root, const Place *place, const Coord *at, Expr *value)
{
    if (place->block == 1 || place->view.c % place->block == 0 || !may_be_not_finite(l->fusion, root))
        return value;
    Expr *inside = expr_op2(l->b, EXPR_LT, coord_channel(l, at), expr_int(l->b, place->view.c));
    return expr_op3(l->b, EXPR_SELECT, inside, value, expr_float(l->b, 0));
}

void lower_elements(Lowering *l, const Node *root)
{
    const Place *place = layout_place(l->layout, root);
    Coord at = open_domain(l, place);
    int out = lower_storage(l, place->storage, BUFFER_OUT);
    Expr *value = lower_spare_lanes(l, root, place, &at, lower_value(l, root, &at));
    loop_store(l->b, out, store_index(l, place, &at), value);
    close_all(l);
}

/* Lanes lo..hi of the part's block s, which all go to one block of the concat, where the part starts at
 * channel `start`. */
static void copy_lanes(Lowering *l, const Node *from, const Place *to, Coord at, int64_t start, int64_t lo,
                       int64_t hi)
{
    LoopBuilder *b = l->b;
    if (lo >= hi) return;
    int64_t shift = start % to->block,
            next = shift + lo >= to->block; /* whether that is the block after the first */
    at.lane = loop_open(b, LOOP_VECTOR, "l", expr_int(b, lo), expr_int(b, hi));
    Coord target = at;
    target.cb = expr_add(b, at.cb, expr_int(b, start / to->block + next));
    target.lane = expr_add(b, at.lane, expr_int(b, shift - next * to->block));
    Expr *value = lower_value(l, from, &at);
    loop_store(b, lower_storage(l, to->storage, BUFFER_OUT), place_index(l, to, &target), value);
    loop_close(b, NULL);
}

/* A part that shares blocks with its neighbours: each of its blocks goes to two of the concat's. The last
 * part also zeroes the spare lanes behind it. */
static void lower_shifted_part(Lowering *l, const Node *from, const Place *to, int64_t start, bool last)
{
    LoopBuilder *b = l->b;
    View v = view_of(from->type);
    int64_t block = to->block, first = block - start % block, whole = v.c / block, rest = v.c % block;
    Coord at = {.block = (int)block};
    at.n = lower_dimension(l, LOOP_PARALLEL, "n", v.n);
    at.y = lower_dimension(l, LOOP_PARALLEL, "y", v.h);
    at.x = lower_dimension(l, LOOP_SERIAL, "x", v.w);
    if (whole > 0) {
        at.cb = loop_open_n(b, LOOP_SERIAL, "cb", whole);
        copy_lanes(l, from, to, at, start, 0, first);
        copy_lanes(l, from, to, at, start, first, block);
        loop_close(b, NULL);
    }
    at.cb = expr_int(b, whole);
    copy_lanes(l, from, to, at, start, 0, rest < first ? rest : first);
    copy_lanes(l, from, to, at, start, first, rest);
    int64_t end = start + v.c;
    if (last && end % block) {
        at.cb = expr_int(b, end / block);
        at.lane = loop_open(b, LOOP_VECTOR, "l", expr_int(b, end % block), expr_int(b, block));
        loop_store(b, lower_storage(l, to->storage, BUFFER_OUT), place_index(l, to, &at), expr_float(b, 0));
    }
    close_all(l);
}

/* Copies a part of a concat to where it belongs: whole blocks, or by lanes where its blocks are not the
 * concat's. */
static void lower_part(Lowering *l, const Node *concat, int part)
{
    LoopBuilder *b = l->b;
    const Node *from = concat->in[part];
    Place to = *layout_place(l->layout, concat);
    int dim = (int)node_int(concat, A_DIM), rank = concat->type.rank;
    int64_t start = 0;
    for (int i = 0; i < part; i++) start += concat->in[i]->type.dim[dim];
    int axis = rank == 3 && dim > 0 ? dim + 1 : rank == 1 ? 1 : dim; /* in the view */
    Place domain = to;
    domain.view = view_of(from->type);
    bool last = part == concat->n_in - 1;
    if (axis == 1 && to.block > 1 && (start % to.block != 0 || (domain.view.c % to.block != 0 && !last))) {
        lower_shifted_part(l, from, &to, start, last);
        return;
    }
    Coord at = open_domain(l, &domain), shifted = at;
    Expr *by = expr_int(b, axis == 1 ? start / to.block : start);
    if (axis == 0) shifted.n = expr_add(b, at.n, by);
    if (axis == 1) shifted.cb = expr_add(b, at.cb, by);
    if (axis == 2) shifted.y = expr_add(b, at.y, by);
    if (axis == 3) shifted.x = expr_add(b, at.x, by);
    int out = lower_storage(l, to.storage, BUFFER_OUT);
    loop_store(b, out, store_index(l, &to, &shifted), lower_value(l, from, &at));
    close_all(l);
}

/* Zeros around a value, before its maker runs: memory is reused, so what was there is anything. */
static void lower_halo(Lowering *l, const Place *p)
{
    LoopBuilder *b = l->b;
    int out = lower_storage(l, p->storage, BUFFER_OUT);
    int64_t width = p->stride_y,
            height = (p->offset % p->stride_c) / p->stride_y + p->view.h + p->halo_bottom;
    Expr *n = lower_dimension(l, LOOP_PARALLEL, "n", p->view.n);
    Expr *cb = lower_dimension(l, LOOP_PARALLEL, "cb", p->stride_n / p->stride_c);
    Expr *base = expr_add(b, expr_scale(b, n, p->stride_n), expr_scale(b, cb, p->stride_c));
    int64_t rows[2][2] = {{0, p->halo_top}, {height - p->halo_bottom, height}};
    for (int i = 0; i < 2; i++) {
        if (rows[i][0] == rows[i][1]) continue;
        Expr *x = loop_open_n(b, LOOP_VECTOR, "i", (rows[i][1] - rows[i][0]) * width);
        loop_store(b, out, expr_add(b, expr_add(b, base, expr_int(b, rows[i][0] * width)), x),
                   expr_float(b, 0));
        loop_close(b, NULL);
    }
    int64_t left = p->halo_left * p->stride_x, right = p->halo_right * p->stride_x;
    if (left + right > 0) {
        Expr *y =
            loop_open(b, LOOP_SERIAL, "y", expr_int(b, p->halo_top), expr_int(b, height - p->halo_bottom));
        Expr *row = expr_add(b, base, expr_scale(b, y, width));
        int64_t columns[2][2] = {{0, left}, {width - right, right}};
        for (int i = 0; i < 2; i++) {
            if (columns[i][1] == 0) continue;
            Expr *x = loop_open_n(b, LOOP_VECTOR, "i", columns[i][1]);
            loop_store(b, out, expr_add(b, expr_add(b, row, expr_int(b, columns[i][0])), x),
                       expr_float(b, 0));
            loop_close(b, NULL);
        }
        loop_close(b, NULL);
    }
    close_all(l);
}

/* Shares the kernel with an earlier step that reads the same. */
void lower_finish_step(StepList *list, Step *step, Kernel *kernel)
{
    const char *text = loop_text(list->arena, kernel);
    for (int i = 0; i < list->n_kernels && !step->kernel; i++)
        if (!strcmp(list->texts[i], text)) step->kernel = list->kernels[i];
    if (!step->kernel) {
        step->kernel = kernel;
        ARENA_PUSH(list->arena, list->kernels, list->n_kernels, list->cap_kernels, kernel);
        ARENA_PUSH(list->arena, list->texts, list->n_texts, list->cap_texts, text);
    }
    ARENA_PUSH(list->arena, list->steps, list->n_steps, list->cap_steps, *step);
}

static void kind_of(const Fusion *fusion, Text *text, const Node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (fusion->inlined[node->in[i]->id]) kind_of(fusion, text, node->in[i]);
    if (node->op == OP_RELAYOUT && text->length) return;
    text_printf(text, "%s%s", text->length ? "+" : "", op_info(node->op)->name);
}

const char *lower_kind(const Fusion *fusion, const Group *group)
{
    Text text = text_new(fusion->layout->arena);
    kind_of(fusion, &text, group->root);
    return text.text;
}

/* Bytes that the group has to read and write at least: its outside inputs and its root. */
static double group_bytes(const Fusion *fusion, const Node *node, bool root)
{
    double bytes = root ? (double)type_bytes(node->type) : 0;
    for (int i = 0; i < node->n_in; i++)
        bytes += fusion->inlined[node->in[i]->id] ? group_bytes(fusion, node->in[i], false)
                                                  : (double)type_bytes(node->in[i]->type);
    return bytes;
}

/* Two per multiply-add of contractions, one per element for the rest: see stats.h. */
static double group_flops(const Fusion *fusion, const Node *node)
{
    const OpInfo *info = op_info(node->op);
    double flops = info->class == CLASS_CONTRACTION ? 2.0 * (double)info->count(node)
                   : info->class == CLASS_LAYOUT    ? 0
                                                    : (double)type_elements(node->type);
    for (int i = 0; i < node->n_in; i++)
        if (fusion->inlined[node->in[i]->id]) flops += group_flops(fusion, node->in[i]);
    return flops;
}

Step lower_new_step(const Fusion *fusion, const Group *group)
{
    const Node *named = group->anchor ? group->anchor : group->root;
    return (Step){.name = named->name ? named->name : op_info(named->op)->name,
                  .is_static = group->is_static,
                  .player = group->player,
                  .group = group,
                  .flops = group_flops(fusion, group->root),
                  .bytes = group_bytes(fusion, group->root, true)};
}

Lowering lower_begin(StepList *list, const Fusion *fusion, const Group *group, LoopBuilder *b, Step *step)
{
    return (Lowering){.arena = list->arena,
                      .layout = fusion->layout,
                      .fusion = fusion,
                      .group = group,
                      .b = b,
                      .step = step};
}

/* Rows whose kernels have loops of their own, in place of a value for each element. */
typedef void KernelRule(Lowering *l, const Node *node);
static KernelRule *const kernels[OP_COUNT] = {
    [OP_SOFTMAX] = lower_softmax_kernel,
    [OP_LOG_SOFTMAX] = lower_softmax_kernel,
    [OP_SOFTMAX_GRAD] = lower_softmax_grad_kernel,
    [OP_LOG_SOFTMAX_GRAD] = lower_softmax_grad_kernel,
    [OP_LOSS_PASS] = lower_loss_kernel,
    [OP_PACK_FILTER] = lower_pack_kernel,
    [OP_SGD] = lower_optimizer_kernel,
    [OP_ADAM] = lower_optimizer_kernel,
};

static void lower_group(StepList *list, const Fusion *fusion, const Group *group)
{
    if (group->kind == GROUP_TEMPLATE) {
        bool blas = fusion->layout->target->blas, filter = group->anchor->op == OP_CONV2D_GRAD_FILTER;
        (filter ? lower_filter : blas ? lower_blas : lower_template)(list, fusion, group);
        return;
    }
    if (group->kind == GROUP_LOOPS && op_is_sum(group->root->op)) {
        lower_sum(list, fusion, group);
        return;
    }
    Step step = lower_new_step(fusion, group);
    LoopBuilder b = loop_builder(list->arena, lower_kind(fusion, group));
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    Op op = group->root->op;
    if (group->kind == GROUP_PART)
        lower_part(&l, group->root, group->part);
    else if (kernels[op])
        kernels[op](&l, group->root);
    else
        lower_elements(&l, group->root);
    lower_finish_step(list, &step, loop_finish(&b));
}

/* The step that zeroes the borders of the place that a group is the first to write. */
static void lower_halo_before(StepList *list, const Fusion *fusion, const Group *group, bool *cleared)
{
    const Place *place = layout_place(fusion->layout, group->root);
    if (!place->storage->has_halo || cleared[place->storage->id]) return;
    cleared[place->storage->id] = true;
    Step step = {
        .name = group->root->name, .is_static = group->is_static, .player = group->player, .group = group};
    LoopBuilder b = loop_builder(list->arena, "zero border");
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    Place whole = *place;
    whole.offset = whole.halo_top * whole.stride_y + whole.halo_left * whole.stride_x;
    lower_halo(&l, &whole);
    lower_finish_step(list, &step, loop_finish(&b));
}

StepList *lower_groups(const Fusion *fusion)
{
    Arena *arena = fusion->layout->arena;
    StepList *list = ARENA_NEW(arena, StepList);
    list->arena = arena;
    list->fusion = fusion;
    bool *cleared = ARENA_ARRAY(arena, bool, fusion->layout->n_storages);
    for (int once = 1; once >= 0; once--)
        for (int i = 0; i < fusion->n_groups; i++) {
            const Group *group = &fusion->groups[i];
            if (group->is_static != (once == 1)) continue;
            lower_halo_before(list, fusion, group, cleared);
            lower_group(list, fusion, group);
        }
    for (int i = 0; i < list->n_kernels; i++)
        list->kernels[i]->name = arena_printf(arena, "%s%d", fusion->layout->graph->n_updates ? "t" : "k", i);
    return list;
}

const char *lower_text(const StepList *list)
{
    Text text = text_new(list->arena);
    for (int i = 0; i < list->n_kernels; i++)
        text_printf(&text, "%s\n", loop_text(list->arena, list->kernels[i]));
    return text.text;
}
