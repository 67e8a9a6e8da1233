/* See layout.h. Three walks: which values are blocked (with relayouts where that changes), which borders are
 * read, and who shares storage with a concat; then strides follow. */
#include "layout.h"
#include "conv_spec.h"
#include "filter_spec.h"

#include "op.h"

#include <assert.h>
#include <string.h>

View view_of(Type type)
{
    const int64_t *d = type.dim;
    switch (type.rank) {
    case 0: return (View){1, 1, 1, 1};
    case 1: return (View){1, d[0], 1, 1};
    case 2: return (View){d[0], d[1], 1, 1};
    case 3: return (View){d[0], 1, d[1], d[2]};
    default: return (View){d[0], d[1], d[2], type_elements(type) / (d[0] * d[1] * d[2])};
    }
}

const Place *layout_place(const Layout *layout, const Node *node)
{
    assert(node->id < layout->n_places);
    return &layout->places[node->id];
}

bool node_is_static(const Layout *layout, const Node *node)
{
    return layout_place(layout, node)->is_static;
}

bool conv_uses_template(const Node *node)
{
    if (node->op == OP_CONV_TRANSPOSE2D || filter_uses_template(node)) return true;
    if (node->op != OP_CONV2D) return false;
    int64_t groups = node_int(node, A_GROUPS), channels = node->in[0]->type.dim[1];
    return groups == 1 || groups != channels || node->type.dim[1] != channels;
}

bool layout_contracts(const Layout *layout, const Node *node)
{
    bool blas = layout->target->blas;
    if (node->op == OP_CONV2D_GRAD_FILTER) return !blas && conv_uses_template(node);
    return conv_uses_template(node) || (blas && node->op == OP_CONV2D);
}

static int64_t at_least_0(int64_t value)
{
    return value > 0 ? value : 0;
}

Halo conv_halo(const Node *node, const Target *target)
{
    bool filters = node->op == OP_CONV2D_GRAD_FILTER;
    const int64_t *in = node->in[0]->type.dim, *out = filters ? node->in[1]->type.dim : node->type.dim;
    int64_t pad[2] = {node_rows(node, A_PADDING), node_columns(node, A_PADDING)};
    int64_t kernel[2] = {node_rows(node, A_KERNEL), node_columns(node, A_KERNEL)};
    int64_t stride[2] = {node_rows(node, A_STRIDE), node_columns(node, A_STRIDE)};
    int64_t dilation[2] = {node_rows(node, A_DILATION), node_columns(node, A_DILATION)};
    int64_t before[2], after[2];
    for (int i = 0; i < 2; i++) {
        int64_t reach = (kernel[i] - 1) * dilation[i];
        if (node->op != OP_CONV_TRANSPOSE2D) {
            before[i] = pad[i];
            int64_t last = out[2 + i] - 1;
            if (conv_is_winograd(node, target) ||
                filter_is_winograd(node, target)) { /* whole tiles of every sub-grid */
                int64_t grid = (out[2 + i] + dilation[i] - 1) / dilation[i];
                int64_t whole = (grid + WINOGRAD_OUT - 1) / WINOGRAD_OUT * WINOGRAD_OUT;
                last = whole * dilation[i] - 1;
            }
            after[i] = at_least_0(last * stride[i] - pad[i] + reach - (in[2 + i] - 1));
        } else { /* output o reads input (o + pad - k*dilation) / stride where that divides */
            before[i] = at_least_0((reach - pad[i] + stride[i] - 1) / stride[i]);
            after[i] = at_least_0((out[2 + i] - 1 + pad[i]) / stride[i] - (in[2 + i] - 1));
        }
    }
    return (Halo){before[0], before[1], after[0], after[1]};
}

static bool is_plain_by_nature(Op op)
{
    return op == OP_SOFTMAX || op == OP_LOG_SOFTMAX || op == OP_SOFTMAX_GRAD || op == OP_LOG_SOFTMAX_GRAD ||
           op == OP_ARGMAX || op == OP_FLATTEN || op == OP_RESHAPE || op == OP_LOSS_PASS;
}

/* Filters that a run changes, and their gradients, lie in blocks of input channels, so that optimisers walk
 * over both side by side. A few channels would leave most of a block empty. */
static int filter_block(const Node *node, int vector)
{
    return node->type.dtype == F32 && node->type.rank == 4 && node->type.dim[1] > 4 ? vector : 1;
}

/* Block of the layout in which node makes its value, once its inputs' are known. */
static int block_made(const Node *node, const int *block, int vector)
{
    const OpInfo *info = op_info(node->op);
    if (node->op == OP_RELAYOUT) return (int)node_int(node, A_BLOCK);
    if (node->op == OP_PACK_FILTER || is_plain_by_nature(node->op) || op_is_sum(node->op)) return 1;
    if (node->op == OP_PARAM && node_bool(node, A_UPDATED)) return filter_block(node, vector);
    if (node->op == OP_CONV2D_GRAD_FILTER) return filter_block(node, vector);
    if (info->class == CLASS_SOURCE) return 1;
    if (info->class == CLASS_OPTIMIZER) return block[node->in[0]->id];
    if (info->class == CLASS_CONTRACTION && node->type.rank == 4) return vector;
    for (int i = 0; i < node->n_in; i++)
        if (block[node->in[i]->id] > 1 && node->in[i]->type.rank == 4) return block[node->in[i]->id];
    return 1;
}

/* Block in which node wants its input i, or 0: as it is. */
static int block_wanted(const Node *node, int i, const int *block, int vector)
{
    const Node *in = node->in[i];
    if (node->mark || in->mark) return 0; /* computed when weights are loaded: all plain */
    if (vector == 1) return 0;            /* the baseline: so is everything */
    bool wide = in->type.rank == 4;
    if (is_plain_by_nature(node->op)) return 1;
    switch (node->op) {
    case OP_CONV2D:
    case OP_CONV_TRANSPOSE2D:
        if (i != 0) return 0;
        /* A few channels (a picture) fill no block: the template walks planes instead. */
        return conv_uses_template(node) && in->type.dim[1] <= 4 && block[in->id] == 1 ? 1 : vector;
    case OP_CONV2D_GRAD_FILTER: {
        bool planes = i == 0 && filter_by_taps(node) && block[in->id] == 1;
        return !filter_uses_template(node) ? 0 : planes ? 1 : vector;
    }
    case OP_CONCAT: return wide && block_made(node, block, vector) > 1 ? vector : 0;
    default: return 0;
    }
}

static Node *relayout(Graph *graph, Node *value, int block)
{
    Node *moved = graph_add(graph, OP_RELAYOUT, value->name, value->pos, &value, 1);
    node_set_int(moved, A_BLOCK, block);
    bool typed = graph_infer(graph, moved);
    assert(typed);
    (void)typed;
    return moved;
}

/* What is known while blocks are decided; arrays by node id. */
typedef struct Blocks {
    Graph *graph;
    const Target *target;
    int vector;
    int *block;
    bool *plain; /* an enlargement that only plain readers want: its small input is moved, not its large
                    output */
    /* The relayout of a node, once made. Borders lie around a copy of its own: others want a dense one. */
    Node **moved[3];
} Blocks;

enum { TO_PLAIN, TO_BLOCKS, TO_BORDERED };

static Node *in_block(Blocks *b, Node *value, int block, int how)
{
    Node **moved = &b->moved[how][value->id];
    if (!*moved) {
        *moved = relayout(b->graph, value, block);
        b->block[(*moved)->id] = block;
    }
    return *moved;
}

/* True when the template convolution needs zeros around a plain value, which others expect to be dense. */
static bool needs_border_copy(const Node *node, int i, int wanted, const Target *target)
{
    if (i != 0 || wanted != 1 || !conv_uses_template(node)) return false;
    Halo halo = conv_halo(node, target);
    return halo.top || halo.left || halo.bottom || halo.right;
}

static void find_plain_resizes(Blocks *b)
{
    const Graph *graph = b->graph;
    for (int k = 0; k < graph->n_nodes; k++) b->plain[graph->nodes[k]->id] = graph->nodes[k]->op == OP_RESIZE;
    for (int k = graph->n_nodes - 1; k >= 0; k--) { /* readers come later in the order */
        const Node *reader = graph->nodes[k];
        if (is_plain_by_nature(reader->op) || b->plain[reader->id]) continue;
        for (int i = 0; i < reader->n_in; i++) b->plain[reader->in[i]->id] = false;
    }
}

static void decide_blocks(Blocks *b)
{
    find_plain_resizes(b);
    int count = b->graph->n_nodes;
    Node **nodes = ARENA_ARRAY(b->graph->arena, Node *, count);
    memcpy(nodes, b->graph->nodes, sizeof *nodes * (size_t)count);
    for (int k = 0; k < count; k++) {
        Node *node = nodes[k];
        for (int i = 0; i < node->n_in; i++) {
            int wanted = b->plain[node->id] ? 1 : block_wanted(node, i, b->block, b->vector);
            if (needs_border_copy(node, i, wanted, b->target))
                node->in[i] = in_block(b, node->in[i], wanted, TO_BORDERED);
            else if (wanted && wanted != b->block[node->in[i]->id])
                node->in[i] = in_block(b, node->in[i], wanted, wanted > 1 ? TO_BLOCKS : TO_PLAIN);
        }
        b->block[node->id] = node->mark ? 1 : block_made(node, b->block, b->vector);
    }
    for (int i = 0; i < b->graph->n_outputs; i++) {
        Output *output = &b->graph->outputs[i];
        if (b->block[output->node->id] != 1 || op_info(output->node->op)->class == CLASS_SOURCE)
            output->node = in_block(b, output->node, 1, TO_PLAIN);
    }
}

static Storage *storage_new(Layout *layout, StorageKind kind, Dtype dtype)
{
    Storage *storage = ARENA_NEW(layout->arena, Storage);
    *storage = (Storage){.id = layout->n_storages, .kind = kind, .dtype = dtype, .first = -1, .last = -1};
    ARENA_PUSH(layout->arena, layout->storages, layout->n_storages, layout->cap_storages, storage);
    return storage;
}

Storage *layout_storage(Layout *layout, StorageKind kind, Dtype dtype, int64_t elements)
{
    Storage *storage = storage_new(layout, kind, dtype);
    storage->elements = elements;
    return storage;
}

static int max_int(int64_t a, int64_t b)
{
    return (int)(a > b ? a : b);
}

/* The borders that the template convolutions among node's users read. */
static void grow_halo(Place *place, Halo halo)
{
    place->halo_top = max_int(place->halo_top, halo.top);
    place->halo_left = max_int(place->halo_left, halo.left);
    place->halo_bottom = max_int(place->halo_bottom, halo.bottom);
    place->halo_right = max_int(place->halo_right, halo.right);
}

static void find_halos(Layout *layout)
{
    if (layout->target->blas) return;
    for (int k = 0; k < layout->graph->n_nodes; k++) {
        const Node *node = layout->graph->nodes[k];
        if (conv_uses_template(node))
            grow_halo(&layout->places[node->in[0]->id], conv_halo(node, layout->target));
    }
}

/* Whether a part may live inside the concat: made by a kernel here, in the same blocks, by nobody else's
 * storage. Plain values are taken to be dense by outputs and by those that share their memory, so between
 * the pictures of a batch nothing else may lie. */
static bool can_be_placed(const Layout *layout, const Node *part, const Place *whole, int64_t channel)
{
    const Place *place = layout_place(layout, part);
    bool made_here = op_info(part->op)->class != CLASS_SOURCE && !part->mark && !op_shares_input(part->op) &&
                     part->op != OP_CONCAT;
    return made_here && !place->storage && place->block == whole->block && channel % whole->block == 0 &&
           (whole->block > 1 || whole->view.n == 1);
}

/* Gives each concat its storage and puts the parts that can be inside it; place->offset is then the channel
 * offset, in blocks, until strides are known. Only when every part but the last fills whole blocks do
 * neighbours not overlap. */
static void place_concats(Layout *layout)
{
    for (int k = layout->graph->n_nodes - 1; k >= 0; k--) {
        const Node *node = layout->graph->nodes[k];
        bool by_channel = node->type.rank == 4 && node->op == OP_CONCAT && node_int(node, A_DIM) == 1;
        if (!by_channel || node->mark) continue;
        Place *whole = &layout->places[node->id];
        if (!whole->storage) whole->storage = storage_new(layout, STORAGE_ARENA, node->type.dtype);
        int64_t channel = 0;
        for (int i = 0; i < node->n_in; i++) {
            Place *part = &layout->places[node->in[i]->id];
            int64_t channels = node->in[i]->type.dim[1];
            bool whole_blocks = channels % whole->block == 0 || i == node->n_in - 1;
            if (whole_blocks && can_be_placed(layout, node->in[i], whole, channel)) {
                part->storage = whole->storage;
                part->offset = whole->offset + channel / whole->block;
                grow_halo(whole,
                          (Halo){part->halo_top, part->halo_left, part->halo_bottom, part->halo_right});
            }
            channel += channels;
        }
    }
}

/* A stride of a multiple of 4 KiB puts the same pixel of every block into the same cache set. */
static int64_t off_powers_of_two(int64_t stride, int block)
{
    return block > 1 && stride % 1024 == 0 ? stride + block : stride;
}

static void set_strides(Place *place, int64_t pitch_h, int64_t pitch_w)
{
    place->stride_x = place->block;
    place->stride_y = pitch_w * place->block;
    place->stride_c = pitch_h * place->stride_y;
}

/* What the host or the optimiser's state keeps outlives a run. */
static bool is_kept(const Node *node)
{
    return node->mark || node->op == OP_TUNABLE || node->op == OP_PARAM;
}

/* Strides of a value with storage of its own, or of a concat; parts copy those of their whole. */
static void finish_place(Layout *layout, const Node *node)
{
    Place *place = &layout->places[node->id];
    bool kept = is_kept(node);
    if (!place->storage)
        place->storage = storage_new(layout, kept ? STORAGE_PERSISTENT : STORAGE_ARENA, node->type.dtype);
    View v = place->view;
    set_strides(place, v.h + place->halo_top + place->halo_bottom,
                v.w + place->halo_left + place->halo_right);
    if (!kept) place->stride_c = off_powers_of_two(place->stride_c, place->block);
    place->stride_n = blocks_of(v.c, place->block) * place->stride_c;
    place->offset = place->halo_top * place->stride_y + place->halo_left * place->stride_x;
    int64_t elements = v.n * place->stride_n;
    /* Blocked users read whole vectors of a plain one: see guard_lanes in lower.c. */
    if (kept && place->stride_c == 1 && v.h * v.w == 1)
        elements = blocks_of(elements, layout->target->vector) * layout->target->vector;
    place->storage->elements = elements;
    place->storage->has_halo = place->halo_top || place->halo_left || place->halo_bottom || place->halo_right;
}

static void finish_part(const Place *whole, Place *part)
{
    int64_t channel_blocks = part->offset;
    *part = (Place){.storage = whole->storage,
                    .view = part->view,
                    .block = whole->block,
                    .offset = whole->offset + channel_blocks * whole->stride_c,
                    .stride_n = whole->stride_n,
                    .stride_c = whole->stride_c,
                    .stride_y = whole->stride_y,
                    .stride_x = whole->stride_x,
                    .halo_top = whole->halo_top,
                    .halo_left = whole->halo_left,
                    .halo_bottom = whole->halo_bottom,
                    .halo_right = whole->halo_right};
}

/* The same elements, dense, where the input has them. */
static void finish_alias(Layout *layout, const Node *node)
{
    Place *place = &layout->places[node->id];
    const Place *in = &layout->places[node->in[0]->id];
    assert(in->block == 1 && !in->storage->has_halo);
    place->storage = in->storage;
    place->offset = in->offset;
    View v = place->view;
    set_strides(place, v.h, v.w);
    place->stride_n = v.c * place->stride_c;
}

static void finish_places(Layout *layout)
{
    bool *part = ARENA_ARRAY(layout->arena, bool, layout->n_places);
    const Node **whole_of = ARENA_ARRAY(layout->arena, const Node *, layout->n_places);
    for (int k = 0; k < layout->graph->n_nodes; k++) {
        const Node *node = layout->graph->nodes[k];
        if (node->op != OP_CONCAT) continue;
        for (int i = 0; i < node->n_in; i++) {
            int id = node->in[i]->id;
            const Storage *storage = layout->places[id].storage;
            if (storage && storage == layout->places[node->id].storage) part[id] = true, whole_of[id] = node;
        }
    }
    for (int k = 0; k < layout->graph->n_nodes; k++) {
        const Node *node = layout->graph->nodes[k];
        if (!part[node->id] && !op_shares_input(node->op)) finish_place(layout, node);
    }
    for (int k = 0; k < layout->graph->n_nodes; k++) {
        int id = layout->graph->nodes[k]->id;
        if (part[id]) finish_part(&layout->places[whole_of[id]->id], &layout->places[id]);
    }
    for (int k = 0; k < layout->graph->n_nodes; k++)
        if (op_shares_input(layout->graph->nodes[k]->op)) finish_alias(layout, layout->graph->nodes[k]);
    for (int i = 0; i < layout->graph->n_updates; i++) {
        const Update *update = &layout->graph->updates[i];
        Place *from = &layout->places[update->param->id], *to = &layout->places[update->value->id];
        assert(from->block == to->block);
        *to = *from;
    }
}

Layout *layout_assign(Graph *graph, const Target *target)
{
    graph_mark_static(graph);
    int room = graph->next_id + 3 * graph->n_nodes + graph->n_outputs + 1; /* ids that relayouts may take */
    Blocks blocks = {.graph = graph, .target = target, .vector = target->blas ? 1 : target->vector};
    blocks.block = ARENA_ARRAY(graph->arena, int, room);
    blocks.plain = ARENA_ARRAY(graph->arena, bool, room);
    for (int i = 0; i < 3; i++) blocks.moved[i] = ARENA_ARRAY(graph->arena, Node *, room);
    decide_blocks(&blocks);
    graph_sort(graph);
    graph_mark_static(graph);

    Layout *layout = ARENA_NEW(graph->arena, Layout);
    *layout = (Layout){.arena = graph->arena, .graph = graph, .target = target, .n_places = graph->next_id};
    layout->places = ARENA_ARRAY(graph->arena, Place, graph->next_id);
    for (int k = 0; k < graph->n_nodes; k++) {
        const Node *node = graph->nodes[k];
        layout->places[node->id] =
            (Place){.is_static = node->mark, .view = view_of(node->type), .block = blocks.block[node->id]};
    }
    find_halos(layout);
    place_concats(layout);
    finish_places(layout);
    return layout;
}

const char *layout_text(const Layout *layout)
{
    Text text = text_new(layout->arena);
    for (int k = 0; k < layout->graph->n_nodes; k++) {
        const Node *node = layout->graph->nodes[k];
        const Place *p = layout_place(layout, node);
        text_printf(&text, "%%%d: %s = %s in s%d", node->id, type_text(layout->arena, node->type),
                    op_info(node->op)->name, p->storage->id);
        if (p->storage->kind == STORAGE_PERSISTENT) text_printf(&text, " persistent");
        if (p->block > 1) text_printf(&text, " block %d", p->block);
        if (p->offset) text_printf(&text, " from %lld", (long long)p->offset);
        text_printf(&text, " strides %lld,%lld,%lld,%lld", (long long)p->stride_n, (long long)p->stride_c,
                    (long long)p->stride_y, (long long)p->stride_x);
        if (p->storage->has_halo)
            text_printf(&text, " halo %d,%d,%d,%d", p->halo_top, p->halo_left, p->halo_bottom, p->halo_right);
        text_printf(&text, "\n");
    }
    return text.text;
}
