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

void lower_fixed_buffer(Lowering *l, Storage *storage, BufferRole role)
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
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    lower_fixed_buffer(&l, layout_place(layout, node->in[0])->storage, BUFFER_IN);
    lower_fixed_buffer(&l, layout_place(layout, node->in[filters])->storage, BUFFER_IN);
    lower_fixed_buffer(&l, layout_place(layout, group->root)->storage, BUFFER_OUT);
    for (int i = 0; middle && i < 2; i++) lower_fixed_buffer(&l, middle[i], BUFFER_OUT);
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
