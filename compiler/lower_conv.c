/* Convolutions: the template's specs (one per phase), and the rule for depthwise ones. */
#include "lower.h"
#include "op_rules.h"

#include <assert.h>
#include <string.h>

/* Geometry of the input: picture planes as they are, or blocks. */
static void describe_input(ConvSpec *spec, const Place *in, const ConvSchedule *s)
{
    bool planes = in->block == 1;
    spec->in_offset = in->offset;
    spec->in_n = in->stride_n;
    spec->in_y = in->stride_y;
    spec->in_x = in->stride_x;
    spec->in_block = in->stride_c * (planes ? s->unit : 1);
    spec->in_lane = planes ? in->stride_c : 1;
    spec->in_lanes = planes ? s->unit : in->block;
}

static void describe_output(ConvSpec *spec, const Place *out, const ConvPhase *y, const ConvPhase *x)
{
    spec->out_offset = out->offset + y->first * out->stride_y + x->first * out->stride_x;
    spec->out_n = out->stride_n;
    spec->out_block = out->stride_c;
    spec->out_y = out->stride_y * y->step;
    spec->out_x = out->stride_x * x->step;
}

static ConvSpec *describe(Arena *arena, const Fusion *fusion, const Node *node, const Node *root,
                          const Target *target, const ConvPhase *y, const ConvPhase *x)
{
    const Layout *layout = fusion->layout;
    ConvSpec *spec = ARENA_NEW(arena, ConvSpec);
    ConvSchedule s = conv_schedule(node, target);
    int64_t channels = node->in[0]->type.dim[1], groups = node_int(node, A_GROUPS);
    bool split = conv_splits_groups(node, s.block);
    *spec = (ConvSpec){.n = node->type.dim[0], .oh = y->count, .ow = x->count, .schedule = s};
    spec->filter_blocks = blocks_of(node->type.dim[1], s.block);
    spec->units = blocks_of(split ? channels / groups : channels, s.unit);
    spec->group_filters = split ? node->type.dim[1] / groups : 0;
    spec->ny = x->n_taps ? y->n_taps : 0;
    spec->nx = y->n_taps ? x->n_taps : 0;
    spec->dy = y->displacement;
    spec->dy_step = y->displacement_step;
    spec->dx = x->displacement;
    spec->dx_step = x->displacement_step;
    spec->stride_y = y->stride;
    spec->stride_x = x->stride;
    describe_input(spec, layout_place(layout, node->in[0]), &s);
    describe_output(spec, layout_place(layout, root), y, x);
    return spec;
}

/* The epilogue as a loop nest over the output whose accumulator is a let of zero: what prints, and where the
 * spec's variables and value come from. */
static void lower_epilogue(Lowering *l, ConvSpec *spec, const Node *root, const ConvPhase *y,
                           const ConvPhase *x)
{
    LoopBuilder *b = l->b;
    const Place *place = layout_place(l->layout, root);
    Expr *n = loop_open_n(b, LOOP_SERIAL, "n", spec->n);
    Expr *cb = loop_open_n(b, LOOP_SERIAL, "cb", spec->filter_blocks);
    Expr *row = loop_open_n(b, LOOP_SERIAL, "y", spec->oh);
    Expr *column = loop_open_n(b, LOOP_SERIAL, "x", spec->ow);
    Expr *lane = loop_open_n(b, LOOP_VECTOR, "l", spec->schedule.block);
    l->accumulator = loop_let(b, "acc", expr_float(b, 0));
    Coord at = {.block = spec->schedule.block, .n = n, .cb = cb, .lane = lane};
    at.y = expr_add(b, expr_scale(b, row, y->step), expr_int(b, y->first));
    at.x = expr_add(b, expr_scale(b, column, x->step), expr_int(b, x->first));
    spec->value = lower_spare_lanes(l, root, place, &at, lower_value(l, root, &at));
    loop_store(b, 2, place_index(l, place, &at), spec->value);
    spec->lets = b->open[b->n_open - 1]->body->next; /* behind acc */
    while (b->n_open) loop_close(b, NULL);
    spec->var_n = n->var;
    spec->var_cb = cb->var;
    spec->var_y = row->var;
    spec->var_x = column->var;
    spec->var_lane = lane->var;
    spec->var_acc = l->accumulator->var;
}

static const char *template_kind(Arena *arena, const Fusion *fusion, const Group *group, const ConvSpec *spec)
{
    static const char *const phases[] = {"", " inputs", " products", " outputs"};
    const Node *node = group->anchor;
    Text text = text_new(arena);
    text_printf(&text, "%s %lldx%lld", lower_kind(fusion, group), (long long)node_rows(node, A_KERNEL),
                (long long)node_columns(node, A_KERNEL));
    if (node_rows(node, A_STRIDE) > 1)
        text_printf(&text, " stride %lld", (long long)node_rows(node, A_STRIDE));
    if (node_rows(node, A_DILATION) > 1)
        text_printf(&text, " dilation %lld", (long long)node_rows(node, A_DILATION));
    if (spec->winograd) text_printf(&text, " winograd%s", phases[spec->winograd->phase]);
    return text.text;
}

/* The template's buffers are the same ones always, even where input and output are one storage (parts of a
 * concat). */
static void fixed_buffer(Lowering *l, Storage *storage, BufferRole role)
{
    const char *name = arena_printf(l->arena, "b%d", l->step->n_args);
    l->step->args[l->step->n_args++].storage = storage;
    loop_buffer(l->b, name, storage->dtype, role, storage->elements);
}

static int64_t count_spec_units(const ConvSpec *spec)
{
    const Winograd *w = spec->winograd;
    const ConvSchedule *s = &spec->schedule;
    if (!w) return spec->n * s->filter_parts * blocks_of(spec->oh, s->rows);
    switch (w->phase) {
    case WINOGRAD_FUSED: return spec->n * blocks_of(w->n_tiles, w->block_tiles);
    case WINOGRAD_INPUT: return spec->n * w->in_blocks;
    case WINOGRAD_PRODUCT: return spec->n * winograd_products(w);
    default: return spec->n * spec->filter_blocks;
    }
}

/* Private memory of a unit: a block's transformed inputs and products, and a tile. */
static int64_t scratch_bytes(const ConvSpec *spec)
{
    const Winograd *w = spec->winograd;
    if (!w) return 0;
    int64_t tile = WINOGRAD_OUT * WINOGRAD_OUT * spec->schedule.block;
    int64_t blocks =
        w->phase == WINOGRAD_FUSED ? winograd_products(w) * (w->in_stride + w->product_stride) : 0;
    return 4 * (blocks + tile);
}

/* One step: a phase of a transposed convolution's stride, or of minimal filtering; middle[] is the latter's
 * memory between its phases. */
static void lower_spec(StepList *list, const Fusion *fusion, const Group *group, ConvSpec *spec, int filters,
                       Storage *const *middle, const ConvPhase *y, const ConvPhase *x)
{
    const Layout *layout = fusion->layout;
    const Node *node = group->anchor;
    Step step = lower_new_step(fusion, group);
    int shares = conv_phases(node, 0) * conv_phases(node, 1);
    bool has_products = !spec->winograd || spec->winograd->phase == WINOGRAD_FUSED ||
                        spec->winograd->phase == WINOGRAD_PRODUCT;
    step.flops = has_products ? step.flops / shares : 0;
    step.bytes /= shares;
    LoopBuilder b = loop_builder(list->arena, template_kind(list->arena, fusion, group, spec));
    Lowering l = {
        .arena = list->arena, .layout = layout, .fusion = fusion, .group = group, .b = &b, .step = &step};
    fixed_buffer(&l, layout_place(layout, node->in[0])->storage, BUFFER_IN);
    fixed_buffer(&l, layout_place(layout, node->in[filters])->storage, BUFFER_IN);
    fixed_buffer(&l, layout_place(layout, group->root)->storage, BUFFER_OUT);
    for (int i = 0; middle && i < 2; i++) fixed_buffer(&l, middle[i], BUFFER_OUT);
    bool stores = !spec->winograd || spec->winograd->phase == WINOGRAD_FUSED ||
                  spec->winograd->phase == WINOGRAD_OUTPUT;
    if (stores) lower_epilogue(&l, spec, group->root, y, x);
    Kernel *kernel = loop_finish(&b);
    kernel->units = count_spec_units(spec);
    kernel->scratch = scratch_bytes(spec);
    kernel->conv = spec;
    lower_finish_step(list, &step, kernel);
}

/* Three steps with memory of all tiles between them. */
static void lower_winograd_phases(StepList *list, const Fusion *fusion, const Group *group,
                                  const ConvSpec *spec, const ConvPhase *y, const ConvPhase *x)
{
    const Winograd *w = spec->winograd;
    Layout *layout = fusion->layout;
    Storage *middle[2] = {
        layout_storage(layout, STORAGE_ARENA, F32, spec->n * winograd_products(w) * w->in_stride),
        layout_storage(layout, STORAGE_ARENA, F32, spec->n * winograd_products(w) * w->product_stride),
    };
    for (int phase = WINOGRAD_INPUT; phase <= WINOGRAD_OUTPUT; phase++) {
        ConvSpec *part = ARENA_NEW(list->arena, ConvSpec);
        Winograd *plan = ARENA_NEW(list->arena, Winograd);
        *part = *spec;
        *plan = *w;
        plan->phase = (WinogradPhase)phase;
        part->winograd = plan;
        lower_spec(list, fusion, group, part, 1, middle, y, x);
    }
}

void lower_template(StepList *list, const Fusion *fusion, const Group *group)
{
    const Node *node = group->anchor;
    const Target *target = fusion->layout->target;
    int nx = conv_phases(node, 1), phases = conv_phases(node, 0) * nx;
    for (int phase = 0; phase < phases; phase++) {
        ConvPhase y = conv_phase(node, 0, phase / nx), x = conv_phase(node, 1, phase % nx);
        if (y.count == 0 || x.count == 0) continue;
        ConvSpec *spec = describe(list->arena, fusion, node, group->root, target, &y, &x);
        if (conv_is_winograd(node, target)) spec->winograd = winograd_plan(list->arena, node, spec);
        if (spec->winograd && spec->winograd->phase == WINOGRAD_INPUT)
            lower_winograd_phases(list, fusion, group, spec, &y, &x);
        else
            lower_spec(list, fusion, group, spec, 1 + phase, NULL, &y, &x);
    }
}

/* Depthwise: every channel is convolved with its own filter, so a vector of channels is a vector of
 * independent convolutions. Filters are packed [channel block][tap][lane]. */
Expr *conv2d_lower(Lowering *l, const Node *node, const Coord *at)
{
    LoopBuilder *b = l->b;
    assert(!conv_uses_template(node) && at->block == l->layout->target->vector);
    const Node *from = node->in[0];
    int64_t ny = node_rows(node, A_KERNEL), nx = node_columns(node, A_KERNEL);
    Expr *top = expr_add(b, expr_scale(b, at->y, node_rows(node, A_STRIDE)),
                         expr_int(b, -node_rows(node, A_PADDING)));
    Expr *left = expr_add(b, expr_scale(b, at->x, node_columns(node, A_STRIDE)),
                          expr_int(b, -node_columns(node, A_PADDING)));
    int filters = lower_storage(l, layout_place(l->layout, node->in[1])->storage, BUFFER_IN);
    Expr *start = node_bool(node, A_BIAS) ? lower_value(l, node->in[2], at) : expr_float(b, 0);
    Expr *i = loop_open_n(b, LOOP_REDUCE, "ty", ny);
    Expr *outer = loop_carry(b, "sum", start);
    Expr *j = loop_open_n(b, LOOP_REDUCE, "tx", nx);
    Expr *sum = loop_carry(b, "sum", outer);
    Coord in = *at;
    in.y = expr_add(b, top, expr_scale(b, i, node_rows(node, A_DILATION)));
    in.x = expr_add(b, left, expr_scale(b, j, node_columns(node, A_DILATION)));
    Expr *minus_one = expr_int(b, -1);
    Expr *rows = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, in.y, minus_one),
                          expr_op2(b, EXPR_LT, in.y, expr_int(b, from->type.dim[2])));
    Expr *columns = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_GT, in.x, minus_one),
                             expr_op2(b, EXPR_LT, in.x, expr_int(b, from->type.dim[3])));
    Expr *tap = expr_add(b, expr_scale(b, expr_add(b, expr_scale(b, at->cb, ny), i), nx), j);
    Expr *weight = expr_load(b, filters, expr_add(b, expr_scale(b, tap, at->block), at->lane));
    Expr *pixel = lower_value_if(l, from, &in, expr_op2(b, EXPR_AND, rows, columns));
    Expr *next = expr_op3(b, EXPR_FMA, pixel, weight, sum);
    loop_close(b, &next);
    loop_close(b, &sum);
    return outer;
}

/* sum of factor[p] * value[p], without what is zero */
static Expr *combine3(Lowering *l, const double *factor, Expr *const *value)
{
    LoopBuilder *b = l->b;
    Expr *sum = NULL;
    for (int p = 0; p < 3; p++) {
        if (factor[p] == 0) continue;
        Expr *part = expr_op2(b, EXPR_MUL, value[p], expr_float(b, factor[p]));
        sum = sum ? expr_op2(b, EXPR_ADD, sum, part) : part;
    }
    return sum;
}

/* G g G^T of every filter: [point][filter block][input channel][lane]. */
static void lower_pack_winograd(Lowering *l, const Node *node)
{
    LoopBuilder *b = l->b;
    const Node *weight = node->in[0];
    int64_t blocks = node->type.dim[1], units = node->type.dim[2], unit = node->type.dim[3],
            block = node->type.dim[4];
    bool transposed = node_bool(node, A_TRANSPOSED);
    const Attr *taps_y = node_attr(node, A_TAPS_Y), *taps_x = node_attr(node, A_TAPS_X);
    int64_t filters = node_int(node, A_FILTERS), channels = weight->type.dim[transposed ? 0 : 1];
    int out = lower_storage(l, layout_place(l->layout, node)->storage, BUFFER_OUT);
    Expr *ob = loop_open_n(b, LOOP_PARALLEL, "ob", blocks), *u = loop_open_n(b, LOOP_PARALLEL, "u", units);
    Expr *k = loop_open_n(b, LOOP_SERIAL, "k", unit), *lane = loop_open_n(b, LOOP_VECTOR, "l", block);
    Expr *f = expr_add(b, expr_scale(b, ob, block), lane), *i = expr_add(b, expr_scale(b, u, unit), k);
    Expr *guard = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_LT, f, expr_int(b, filters)),
                           expr_op2(b, EXPR_LT, i, expr_int(b, channels)));
    Coord at = {.block = 1, .lane = expr_int(b, 0)};
    at.n = expr_op2(b, EXPR_MIN, f, expr_int(b, filters - 1));
    at.cb = expr_op2(b, EXPR_MIN, i, expr_int(b, channels - 1));
    if (transposed) {
        Expr *own = at.n;
        at.n = at.cb;
        at.cb = own;
    }
    Expr *g[3][3], *half[WINOGRAD_FILTERS][3];
    const double(*matrix)[3] = winograd_filter[node_int(node, A_WINOGRAD)];
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 3; x++) {
            at.y = expr_int(b, taps_y->i[0] + y * taps_y->i[1]);
            at.x = expr_int(b, taps_x->i[0] + x * taps_x->i[1]);
            g[x][y] = loop_let(b, "g", lower_value_if(l, weight, &at, guard));
        }
    for (int p = 0; p < WINOGRAD_FILTERS; p++)
        for (int x = 0; x < 3; x++) half[p][x] = loop_let(b, "h", combine3(l, matrix[p], g[x]));
    Expr *to = expr_add(b, expr_scale(b, expr_add(b, expr_scale(b, ob, units * unit), i), block), lane);
    for (int p = 0; p < WINOGRAD_FILTERS * WINOGRAD_FILTERS; p++) {
        Expr *value = combine3(l, matrix[p % WINOGRAD_FILTERS], half[p / WINOGRAD_FILTERS]);
        loop_store(b, out, expr_add(b, to, expr_int(b, p * blocks * units * unit * block)), value);
    }
    while (b->n_open) loop_close(b, NULL);
}

/* The taps of a packed filter along an axis: attribute [first, step, count]. Opens a loop over several;
 * returns the tap's number, and its row or column of the filter in *at. */
static Expr *open_taps(LoopBuilder *b, const Attr *taps, const char *name, Expr **at)
{
    Expr *tap = taps->i[2] == 1 ? expr_int(b, 0) : loop_open_n(b, LOOP_SERIAL, name, taps->i[2]);
    *at = expr_add(b, expr_scale(b, tap, taps->i[1]), expr_int(b, taps->i[0]));
    return tap;
}

/* Packs filters for the template: see conv_spec.h for the order. Value at (filter f, channel i, row, column)
 * of the raw weight is pulled, so that a folded batch_norm's scale is multiplied on the way. */
void lower_pack_kernel(Lowering *l, const Node *node)
{
    if (node_int(node, A_WINOGRAD)) {
        lower_pack_winograd(l, node);
        return;
    }
    LoopBuilder *b = l->b;
    const Node *weight = node->in[0];
    const Attr *taps_y = node_attr(node, A_TAPS_Y), *taps_x = node_attr(node, A_TAPS_X);
    int64_t block = node_int(node, A_BLOCK), unit = node_int(node, A_UNIT), groups = node_int(node, A_GROUPS);
    int64_t filters = node_int(node, A_FILTERS), units = node->type.dim[1];
    bool transposed = node_bool(node, A_TRANSPOSED), dense = node_bool(node, A_DENSE);
    int64_t own_in =
        transposed ? weight->type.dim[0] / groups : weight->type.dim[1]; /* channels of a group */
    int64_t own_out = filters / groups, channels = dense ? own_in * groups : own_in;
    int out = lower_storage(l, layout_place(l->layout, node)->storage, BUFFER_OUT);
    Coord at = {.block = 1, .lane = expr_int(b, 0)};
    Expr *ob = loop_open_n(b, LOOP_PARALLEL, "ob", node->type.dim[0]);
    Expr *u = loop_open_n(b, LOOP_PARALLEL, "u", units);
    Expr *ty = open_taps(b, taps_y, "ty", &at.y), *tx = open_taps(b, taps_x, "tx", &at.x);
    Expr *k = loop_open_n(b, LOOP_SERIAL, "k", unit), *lane = loop_open_n(b, LOOP_VECTOR, "l", block);
    Expr *f = expr_add(b, expr_scale(b, ob, block), lane), *i = expr_add(b, expr_scale(b, u, unit), k);
    Expr *guard = expr_op2(b, EXPR_AND, expr_op2(b, EXPR_LT, f, expr_int(b, filters)),
                           expr_op2(b, EXPR_LT, i, expr_int(b, channels)));
    /* Coordinates stay inside, whatever the guard says: a fused value is computed before it is dropped. */
    f = expr_op2(b, EXPR_MIN, f, expr_int(b, filters - 1));
    i = expr_op2(b, EXPR_MIN, i, expr_int(b, channels - 1));
    Expr *group = expr_op2(b, EXPR_DIV, f, expr_int(b, own_out));
    if (dense) {
        Expr *same = expr_op2(b, EXPR_EQ, expr_op2(b, EXPR_DIV, i, expr_int(b, own_in)), group);
        guard = expr_op2(b, EXPR_AND, guard, same);
        i = transposed ? i : expr_op2(b, EXPR_MOD, i, expr_int(b, own_in));
    } else if (transposed && groups > 1) {
        i = expr_add(b, i, expr_scale(b, group, own_in));
    }
    if (transposed && groups > 1) f = expr_op2(b, EXPR_MOD, f, expr_int(b, own_out));
    at.n = transposed ? i : f;
    at.cb = transposed ? f : i;
    Expr *to = expr_add(b, expr_scale(b, ob, units), u);
    to = expr_add(b, expr_scale(b, to, taps_y->i[2]), ty);
    to = expr_add(b, expr_scale(b, to, taps_x->i[2]), tx);
    to = expr_add(b, expr_scale(b, to, unit), k);
    to = expr_add(b, expr_scale(b, to, block), lane);
    loop_store(b, out, to, lower_value_if(l, weight, &at, guard));
    while (b->n_open) loop_close(b, NULL);
}
