/* Operators that move elements: shapes. Negative dimensions and indices are replaced by what they mean, so
 * that later stages see one form. */
#include "op_rules.h"

#include <string.h>

/* Lowering sees values as N, C, H, W. More dimensions occur inside of what is made of parameters only. */
enum { MAX_INPUT_RANK = 4 };

/* Whether a dataflow input is one (INPUT) or a weight (PARAM), its type is what its attributes say. */
bool source_shape(Graph *graph, Node *node)
{
    const Attr *shape = node_attr(node, A_SHAPE);
    int most = node->op == OP_INPUT ? MAX_INPUT_RANK : MAX_RANK;
    if (shape->n > most) return shape_error(graph, node, "has %d dimensions; the most is %d", shape->n, most);
    node->type.rank = shape->n;
    for (int i = 0; i < shape->n; i++) node->type.dim[i] = shape->i[i];
    node->type.dtype = F32;
    if (op_attr_index(node->op, A_DTYPE) < 0) return true;
    for (Dtype dtype = F32; dtype <= U8; dtype++)
        if (!strcmp(node_string(node, A_DTYPE), dtype_name(dtype))) node->type.dtype = dtype;
    return true;
}

bool concat_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    if (!op_resolve_dim(graph, node, type.rank)) return false;
    int dim = (int)node_int(node, A_DIM);
    for (int i = 1; i < node->n_in; i++) {
        Type other = node->in[i]->type, expected = type;
        if (other.rank == type.rank) expected.dim[dim] = other.dim[dim];
        if (!type_equal(other, expected))
            return shape_error(graph, node, "%s and %s differ in more than dimension %d",
                               type_text(graph->arena, type), type_text(graph->arena, other), dim);
        type.dim[dim] += other.dim[dim];
    }
    node->type = type;
    return true;
}

/* A negative index counts from the end; what lies outside is cut off, as in PyTorch and Python. */
static int64_t slice_index(int64_t index, int64_t size)
{
    if (index < 0) index += size;
    return index < 0 ? 0 : index > size ? size : index;
}

bool slice_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    if (!op_resolve_dim(graph, node, type.rank)) return false;
    int dim = (int)node_int(node, A_DIM);
    long long size = type.dim[dim], given = node_int(node, A_START);
    int64_t start = slice_index(given, size), end = size;
    if (node_has(node, A_END)) end = slice_index(node_int(node, A_END), size);
    if (end <= start)
        return shape_error(graph, node, "from %lld to %lld leaves nothing of %lld", given,
                           node_has(node, A_END) ? (long long)node_int(node, A_END) : size, size);
    node_set_int(node, A_START, start);
    if (node_has(node, A_END)) node_set_int(node, A_END, end);
    type.dim[dim] = end - start;
    node->type = type;
    return true;
}

bool slice_grad_shape(Graph *graph, Node *node)
{
    Type type = node->in[0]->type;
    if (!op_want_f32(graph, node, 0) || !op_resolve_dim(graph, node, type.rank)) return false;
    int dim = (int)node_int(node, A_DIM);
    long long start = node_int(node, A_START), end = node_int(node, A_END);
    if (start < 0 || start + type.dim[dim] > end)
        return shape_error(graph, node, "%lld from %lld on do not fit into %lld", (long long)type.dim[dim],
                           start, end);
    type.dim[dim] = end;
    node->type = type;
    return true;
}

/* One side of one axis. Only a constant border may be negative, which cuts. */
static bool check_pad(Graph *graph, const Node *node, long long pad, long long size)
{
    const char *mode = node_string(node, A_PAD_MODE);
    if (!strcmp(mode, "constant")) return true;
    if (pad < 0) return shape_error(graph, node, "a %s border can't be negative: %lld", mode, pad);
    if (!strcmp(mode, "replicate") || pad < size) return true;
    return shape_error(graph, node, "a reflect border of %lld needs more than %lld to reflect", pad, size);
}

bool pad_shape(Graph *graph, Node *node)
{
    const Attr *pads = node_attr(node, A_PADS);
    if (!op_want_picture(graph, node)) return false;
    if (pads->n != 4)
        return shape_error(graph, node, "'pads' is [left, right, top, bottom], not %d number%s", pads->n,
                           pads->n == 1 ? "" : "s");
    node->type = node->in[0]->type;
    for (int axis = 0; axis < 2; axis++) {
        long long before = pads->i[axis == 0 ? 2 : 0], after = pads->i[axis == 0 ? 3 : 1];
        long long size = node->type.dim[2 + axis];
        if (!check_pad(graph, node, before, size) || !check_pad(graph, node, after, size)) return false;
        node->type.dim[2 + axis] = size + before + after;
        if (size + before + after < 1)
            return shape_error(graph, node, "%lld + %s %lld + %lld leaves no %s", before,
                               axis == 0 ? "height" : "width", size, after, axis == 0 ? "row" : "column");
    }
    return true;
}

/* What pad made its output from. */
bool pad_grad_shape(Graph *graph, Node *node)
{
    const Attr *pads = node_attr(node, A_PADS);
    if (!op_want_picture(graph, node)) return false;
    node->type = node->in[0]->type;
    for (int axis = 0; axis < 2; axis++) {
        int64_t before = pads->i[axis == 0 ? 2 : 0], after = pads->i[axis == 0 ? 3 : 1];
        node->type.dim[2 + axis] -= before + after;
        if (pads->n != 4 || before < 0 || after < 0 || node->type.dim[2 + axis] < 1)
            return shape_error(graph, node, "'pads' is [left, right, top, bottom], inside of %s",
                               type_text(graph->arena, node->in[0]->type));
    }
    return true;
}

bool flatten_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    if (in.rank < 2)
        return shape_error(graph, node, "takes 2 dimensions or more, not %s", type_text(graph->arena, in));
    node->type = (Type){.dtype = in.dtype, .rank = 2, .dim = {in.dim[0], type_elements(in) / in.dim[0]}};
    return true;
}

bool reshape_shape(Graph *graph, Node *node)
{
    const Attr *shape = node_attr(node, A_SHAPE);
    Type in = node->in[0]->type;
    int64_t elements = 1;
    if (shape->n > MAX_RANK)
        return shape_error(graph, node, "has %d dimensions; the most is %d", shape->n, MAX_RANK);
    node->type = (Type){.dtype = in.dtype, .rank = shape->n};
    for (int i = 0; i < shape->n; i++) {
        node->type.dim[i] = shape->i[i];
        if (shape->i[i] < 1 || (elements *= shape->i[i]) > OP_MAX_ELEMENTS) break;
    }
    if (elements == type_elements(in)) return true;
    return shape_error(graph, node, "%s has %lld elements, which do not fill the shape",
                       type_text(graph->arena, in), (long long)type_elements(in));
}

/* The filters of one group's channels stand side by side, groups one after the other. */
bool pack_filter_shape(Graph *graph, Node *node)
{
    Type in = node->in[0]->type;
    int64_t filters = node_int(node, A_FILTERS), block = node_int(node, A_BLOCK),
            unit = node_int(node, A_UNIT);
    if (!op_want_picture(graph, node) || !op_want_at_least(graph, node, A_FILTERS, 1) ||
        !op_want_at_least(graph, node, A_BLOCK, 1) || !op_want_at_least(graph, node, A_UNIT, 1) ||
        !op_want_at_least(graph, node, A_GROUPS, 1))
        return false;
    int64_t groups = node_int(node, A_GROUPS);
    int64_t channels = node_bool(node, A_TRANSPOSED) ? in.dim[0] / groups : in.dim[1];
    if (node_bool(node, A_DENSE)) channels *= groups;
    const Attr *taps_y = node_attr(node, A_TAPS_Y), *taps_x = node_attr(node, A_TAPS_X);
    if (taps_y->n != 3 || taps_x->n != 3)
        return shape_error(graph, node, "'taps_y' and 'taps_x' are [first, step, count]");
    int64_t taps = taps_y->i[2] * taps_x->i[2];
    node->type = (Type){.dtype = F32, .rank = 5};
    int64_t blocks = (filters + block - 1) / block, units = (channels + unit - 1) / unit;
    bool winograd = node_int(node, A_WINOGRAD) != 0;
    int64_t dims[5] = {winograd ? 36 : blocks, winograd ? blocks : units, winograd ? units : taps, unit,
                       block};
    for (int i = 0; i < 5; i++) node->type.dim[i] = dims[i];
    return true;
}
