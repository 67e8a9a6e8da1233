/* The operator table and what is checked for every operator alike: see op.h. The table is op.def, read twice:
 * once for the attributes' names, once for the rows. */
#include "op.h"

#include "op_rules.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const AttrInfo attr_table[ATTR_COUNT] = {
#define ATTR(id, name, kind, words, summary) [A_##id] = {name, kind, words, summary},
#include "op.def"
};

/* A row's attributes stand behind one that is not used, so that a row without any is still valid C. */
#define ATTRS(...)                                                                                           \
    {                                                                                                        \
        {.name = ATTR_COUNT}, __VA_ARGS__                                                                    \
    }
#define REQUIRED(id)                                                                                         \
    {                                                                                                        \
        A_##id, true,                                                                                        \
        {                                                                                                    \
            .name = A_##id                                                                                   \
        }                                                                                                    \
    }
#define OPTIONAL(id)                                                                                         \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id                                                                                   \
        }                                                                                                    \
    }
#define INT(id, v)                                                                                           \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id, .n = 1, .i = { v }                                                               \
        }                                                                                                    \
    }
#define BOOL(id, v)                                                                                          \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id, .n = 1, .i = { v }                                                               \
        }                                                                                                    \
    }
#define PAIR(id, v)                                                                                          \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id, .n = 2, .i = { v, v }                                                            \
        }                                                                                                    \
    }
#define FLOAT(id, v)                                                                                         \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id, .n = 1, .f = (v)                                                                 \
        }                                                                                                    \
    }
#define WORD(id, v)                                                                                          \
    {                                                                                                        \
        A_##id, false,                                                                                       \
        {                                                                                                    \
            .name = A_##id, .n = 1, .s = (v)                                                                 \
        }                                                                                                    \
    }

static const OpInfo op_table[OP_COUNT] = {
#define OP(id, op_name, op_class, low, high, is_internal, list, params_rule, shape_rule, count_rule,         \
           scalar_rule, lower_rule, gradient_rule, text)                                                     \
    [OP_##id] = {.name = op_name,                                                                            \
                 .class = CLASS_##op_class,                                                                  \
                 .min_in = low,                                                                              \
                 .max_in = high,                                                                             \
                 .internal = is_internal,                                                                    \
                 .summary = text,                                                                            \
                 .n_attrs = (int)(sizeof((const AttrDefault[])list) / sizeof(AttrDefault)) - 1,              \
                 .attrs = (const AttrDefault[])list + 1,                                                     \
                 .params = params_rule,                                                                      \
                 .shape = shape_rule,                                                                        \
                 .count = count_rule,                                                                        \
                 .scalar = scalar_rule,                                                                      \
                 .lower = lower_rule,                                                                        \
                 .gradient = gradient_rule},
#include "op.def"
};

const OpInfo *op_info(Op op)
{
    assert(op < OP_COUNT);
    return &op_table[op];
}

const AttrInfo *attr_info(AttrName name)
{
    assert(name < ATTR_COUNT);
    return &attr_table[name];
}

Op op_find(const char *name)
{
    for (Op op = 0; op < OP_COUNT; op++)
        if (!strcmp(op_table[op].name, name)) return op;
    return OP_COUNT;
}

AttrName attr_find(const char *name)
{
    for (AttrName attr = 0; attr < ATTR_COUNT; attr++)
        if (!strcmp(attr_table[attr].name, name)) return attr;
    return ATTR_COUNT;
}

int op_attr_index(Op op, AttrName name)
{
    const OpInfo *info = op_info(op);
    for (int i = 0; i < info->n_attrs; i++)
        if (info->attrs[i].name == name) return i;
    return -1;
}

bool op_shares_input(Op op)
{
    return op == OP_RESHAPE || op == OP_FLATTEN;
}

int op_data_inputs(const Node *node)
{
    const OpInfo *info = op_info(node->op);
    return info->params && node->n_in > info->min_in ? info->min_in : node->n_in;
}

bool attr_has_word(AttrName name, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = attr_info(name)->words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (!strncmp(at, word, length) && (at[length] == '|' || !at[length]))
            return length > 0 && !strchr(word, '|');
    return false;
}

/* ---- messages --------------------------------------------------------------------------------------------
 */

enum { CHAIN_NOTES = 6 };

static void note_shape(Graph *graph, const Node *node)
{
    diag_note(graph->diag, node->pos, "%s: %s", node->name ? node->name : op_info(node->op)->name,
              type_text(graph->arena, node->type));
}

/* The shapes of the data inputs, then on along the first input of each, nearest first. */
static void note_chain(Graph *graph, const Node *node)
{
    int left = CHAIN_NOTES, n_data = op_data_inputs(node);
    for (int i = 0; i < n_data && left > 0; i++, left--)
        if (i == 0 || node->in[i] != node->in[0]) note_shape(graph, node->in[i]);
    if (n_data == 0) return;
    for (const Node *at = node->in[0]; at->n_in > 0 && left > 0; at = at->in[0]) {
        const Node *in = at->in[0];
        if (in->n_in > 0 && type_equal(in->type, in->in[0]->type)) continue; /* leaves the shape as it was */
        note_shape(graph, in);
        left--;
    }
}

bool shape_error(Graph *graph, const Node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *sentence = arena_vprintf(graph->arena, format, args);
    va_end(args);
    const char *op = op_info(node->op)->name;
    if (node->name)
        diag_error(graph->diag, node->pos, "%s '%s': %s", op, node->name, sentence);
    else
        diag_error(graph->diag, node->pos, "%s: %s", op, sentence);
    note_chain(graph, node);
    return false;
}

/* ---- checks for every operator ---------------------------------------------------------------------------
 */

bool op_check_inputs(Graph *graph, const Node *node)
{
    const OpInfo *info = op_info(node->op);
    int n = node->n_in;
    if (n >= info->min_in && (info->params || info->max_in < 0 || n <= info->max_in)) return true;
    if (info->max_in < 0) return shape_error(graph, node, "takes %d inputs or more, not %d", info->min_in, n);
    if (info->min_in == info->max_in)
        return shape_error(graph, node, "takes %d input%s, not %d", info->min_in,
                           info->min_in == 1 ? "" : "s", n);
    return shape_error(graph, node, "takes %d to %d inputs, not %d", info->min_in, info->max_in, n);
}

static bool check_attr(Graph *graph, const Node *node, const Attr *attr)
{
    const AttrInfo *info = attr_info(attr->name);
    switch (info->kind) {
    case ATTR_FLOATS:
        for (int i = 0; i < attr->n; i++)
            if (isnan(attr->floats[i])) return shape_error(graph, node, "'%s' is not a number", info->name);
        return true;
    case ATTR_CHOICE:
        if (attr_has_word(attr->name, attr->s)) return true;
        return shape_error(graph, node, "'%s' can be %s, not '%s'", info->name, info->words, attr->s);
    case ATTR_FLOAT:
        if (!isnan(attr->f)) return true;
        return shape_error(graph, node, "'%s' is not a number", info->name);
    case ATTR_STRING: return true;
    case ATTR_INT:
    case ATTR_BOOL:
    case ATTR_PAIR:
    case ATTR_INTS: break;
    }
    assert(attr->n <= MAX_INTS);
    for (int i = 0; i < attr->n; i++)
        if (attr->i[i] > OP_MAX_NUMBER || attr->i[i] < -OP_MAX_NUMBER)
            return shape_error(graph, node, "'%s' is out of range: %lld", info->name, (long long)attr->i[i]);
    return true;
}

bool op_check_attrs(Graph *graph, const Node *node)
{
    const OpInfo *info = op_info(node->op);
    for (int i = 0; i < info->n_attrs; i++) {
        const Attr *attr = &node->attr[i];
        assert(attr->name == info->attrs[i].name);
        if (attr->n == 0 && info->attrs[i].required)
            return shape_error(graph, node, "'%s' is missing", attr_info(attr->name)->name);
        if (attr->n > 0 && !check_attr(graph, node, attr)) return false;
    }
    return true;
}

/* After pack.c filters stand in the machine's order, a conv_transpose2d's by phases: they are not what was
 * declared. */
static bool has_packed_filters(const Node *node)
{
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i]->op == OP_PACK_FILTER) return true;
    return false;
}

bool op_check_params(Graph *graph, Node *node)
{
    const OpInfo *info = op_info(node->op);
    if (has_packed_filters(node)) return true;
    ParamSpec specs[MAX_PARAM_SPECS];
    int n = info->params(graph, node, specs);
    if (n < 0) return false;
    if (node->n_in != info->min_in + n)
        return shape_error(graph, node, "has %d inputs, and %d parameters are declared", node->n_in, n);
    for (int i = 0; i < n; i++) {
        Type given = node->in[info->min_in + i]->type;
        if (!type_equal(given, specs[i].type))
            return shape_error(graph, node, "the %s is %s, not %s", specs[i].suffix,
                               type_text(graph->arena, specs[i].type), type_text(graph->arena, given));
    }
    return true;
}

bool op_check_result(Graph *graph, const Node *node)
{
    int64_t elements = 1;
    for (int i = 0; i < node->type.rank; i++) {
        int64_t dim = node->type.dim[i];
        if (dim < 1) return shape_error(graph, node, "dimension %d of the result is %lld", i, (long long)dim);
        if (dim > OP_MAX_NUMBER || (elements *= dim) > OP_MAX_ELEMENTS)
            return shape_error(graph, node, "the result is too large: %s",
                               type_text(graph->arena, node->type));
    }
    return true;
}

/* ---- checks that rules share ------------------------------------------------------------------------------
 */

bool op_want_f32(Graph *graph, const Node *node, int index)
{
    Dtype dtype = node->in[index]->type.dtype;
    if (dtype == F32) return true;
    return shape_error(graph, node, "takes f32, not %s", dtype_name(dtype));
}

bool op_want_rank(Graph *graph, const Node *node, int rank)
{
    Type type = node->in[0]->type;
    if (!op_want_f32(graph, node, 0)) return false;
    if (type.rank >= rank) return true;
    return shape_error(graph, node, "takes %d dimension%s or more, not %s", rank, rank == 1 ? "" : "s",
                       type_text(graph->arena, type));
}

bool op_want_picture(Graph *graph, const Node *node)
{
    Type type = node->in[0]->type;
    if (!op_want_f32(graph, node, 0)) return false;
    if (type.rank == 4) return true;
    return shape_error(graph, node, "takes [N,C,H,W], not %s", type_text(graph->arena, type));
}

bool op_want_at_least(Graph *graph, const Node *node, AttrName name, int64_t low)
{
    const Attr *attr = node_attr(node, name);
    for (int i = 0; i < attr->n; i++)
        if (attr->i[i] < low)
            return shape_error(graph, node, "'%s' must be at least %lld, not %lld", attr_info(name)->name,
                               (long long)low, (long long)attr->i[i]);
    return true;
}

bool op_resolve_dim(Graph *graph, Node *node, int rank)
{
    int64_t dim = node_int(node, A_DIM);
    if (dim < -rank || dim >= rank)
        return shape_error(graph, node, "'dim' is %lld, and the input has %d dimensions", (long long)dim,
                           rank);
    if (dim < 0) node_set_int(node, A_DIM, dim + rank);
    return true;
}

bool op_no_place(Graph *graph, const Node *node, int axis, int64_t dilation)
{
    long long kernel = node_attr(node, A_KERNEL)->i[axis], padding = node_attr(node, A_PADDING)->i[axis];
    long long size = node->in[0]->type.dim[2 + axis], step = dilation;
    const char *side = axis == 0 ? "height" : "width", *line = axis == 0 ? "row" : "column";
    if (dilation == 1)
        return shape_error(graph, node, "kernel %lld over %s %lld + 2*%lld padding leaves no %s", kernel,
                           side, size, padding, line);
    return shape_error(graph, node,
                       "kernel %lld with dilation %lld, which spans %lld %ss, over %s %lld + 2*%lld padding "
                       "leaves no %s",
                       kernel, step, (kernel - 1) * step + 1, line, side, size, padding, line);
}
