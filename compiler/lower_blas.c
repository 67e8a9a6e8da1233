/* Convolutions of the baseline: see blas_spec.h. */
#include "blas_spec.h"

#include <assert.h>

/* The best of 256 KB..4 MB and 128..1024 pixels for BiSeNet on cores with 1 MB of second-level cache;
 * neighbours are within 5 %. */
enum {
    PART_BYTES = 1 << 20, /* of a part's matrix */
    PART_PIXELS = 256,    /* at least: what packing the weights costs sgemm is shared by these */
    WANTED_UNITS = 8,     /* so that threads share evenly */
};

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Pixels (conv2d) or filters (conv_transpose2d) of a part, and how many parts that makes. */
static void cut_parts(BlasSpec *s)
{
    int64_t whole = s->transposed ? s->filters : s->oh * s->ow;
    int64_t row_bytes = 4 * s->kh * s->kw * (s->transposed ? s->ih * s->iw : s->channels);
    int64_t least = s->transposed ? 1 : PART_PIXELS;
    int64_t fair = blocks_of(whole * s->n * s->groups, WANTED_UNITS);
    s->size = clamp(PART_BYTES / row_bytes, least, fair > least ? fair : least);
    s->size = clamp(s->size, 1, whole);
    s->parts = blocks_of(whole, s->size);
}

static BlasSpec describe(const Layout *layout, const Node *node)
{
    const Place *in = layout_place(layout, node->in[0]), *out = layout_place(layout, node);
    int64_t groups = node_int(node, A_GROUPS);
    assert(in->block == 1 && out->block == 1 && in->stride_y == in->view.w && out->stride_y == out->view.w);
    BlasSpec s = {.transposed = node->op == OP_CONV_TRANSPOSE2D,
                  .n = in->view.n,
                  .groups = groups,
                  .channels = in->view.c / groups,
                  .filters = out->view.c / groups,
                  .ih = in->view.h,
                  .iw = in->view.w,
                  .oh = out->view.h,
                  .ow = out->view.w,
                  .kh = node_rows(node, A_KERNEL),
                  .kw = node_columns(node, A_KERNEL),
                  .stride_y = node_rows(node, A_STRIDE),
                  .stride_x = node_columns(node, A_STRIDE),
                  .padding_y = node_rows(node, A_PADDING),
                  .padding_x = node_columns(node, A_PADDING),
                  .dilation_y = node_rows(node, A_DILATION),
                  .dilation_x = node_columns(node, A_DILATION),
                  .in_offset = in->offset,
                  .in_n = in->stride_n,
                  .weight_offset = layout_place(layout, node->in[1])->offset,
                  .out_offset = out->offset,
                  .out_n = out->stride_n,
                  .has_bias = node_bool(node, A_BIAS)};
    if (s.has_bias) s.bias_offset = layout_place(layout, node->in[2])->offset;
    cut_parts(&s);
    return s;
}

static const char *kind_of(Arena *arena, const Node *node)
{
    return arena_printf(arena, "%s %lldx%lld by BLAS", op_info(node->op)->name,
                        (long long)node_rows(node, A_KERNEL), (long long)node_columns(node, A_KERNEL));
}

/* A part's matrix, private to the thread. */
static int64_t scratch_bytes(const BlasSpec *s)
{
    int64_t taps = s->kh * s->kw;
    if (s->transposed) return 4 * s->size * taps * s->ih * s->iw;
    return blas_is_pointwise(s) ? 0 : 4 * s->size * taps * s->channels;
}

/* Buffers are not shared, also where a concat's storage is both read and written: the function counts on
 * their order. */
static void add_storage(Lowering *l, const Node *node, BufferRole role)
{
    Storage *storage = layout_place(l->layout, node)->storage;
    const char *name = arena_printf(l->arena, "b%d", l->step->n_args);
    l->step->args[l->step->n_args++].storage = storage;
    loop_buffer(l->b, name, storage->dtype, role, storage->elements);
}

void lower_blas(StepList *list, const Fusion *fusion, const Group *group)
{
    const Node *node = group->anchor;
    assert(node == group->root);
    Step step = lower_new_step(fusion, group);
    LoopBuilder b = loop_builder(list->arena, kind_of(list->arena, node));
    Lowering l = lower_begin(list, fusion, group, &b, &step);
    BlasSpec *spec = ARENA_NEW(list->arena, BlasSpec);
    *spec = describe(fusion->layout, node);
    add_storage(&l, node->in[0], BUFFER_IN);
    add_storage(&l, node->in[1], BUFFER_IN);
    add_storage(&l, node, BUFFER_OUT);
    lower_table(&l, "spec", I32, spec, (int64_t)(sizeof *spec / 4));
    if (spec->has_bias) add_storage(&l, node->in[2], BUFFER_IN);
    Kernel *kernel = loop_finish(&b);
    kernel->blas = spec;
    kernel->units = spec->n * spec->groups * spec->parts;
    kernel->scratch = scratch_bytes(spec);
    lower_finish_step(list, &step, kernel);
}

const char *blas_spec_text(Arena *arena, const BlasSpec *s)
{
    return arena_printf(
        arena,
        "blas %s n=%lld groups=%lld channels=%lld filters=%lld in=%lldx%lld out=%lldx%lld kernel=%lldx%lld "
        "stride=%lld,%lld padding=%lld,%lld dilation=%lld,%lld in=%lld+%lld weight=%lld out=%lld+%lld "
        "bias=%lld+%lld parts=%lldx%lld",
        s->transposed ? "conv_transpose2d" : "conv2d", (long long)s->n, (long long)s->groups,
        (long long)s->channels, (long long)s->filters, (long long)s->ih, (long long)s->iw, (long long)s->oh,
        (long long)s->ow, (long long)s->kh, (long long)s->kw, (long long)s->stride_y, (long long)s->stride_x,
        (long long)s->padding_y, (long long)s->padding_x, (long long)s->dilation_y, (long long)s->dilation_x,
        (long long)s->in_offset, (long long)s->in_n, (long long)s->weight_offset, (long long)s->out_offset,
        (long long)s->out_n, (long long)s->has_bias, (long long)s->bias_offset, (long long)s->parts,
        (long long)s->size);
}
