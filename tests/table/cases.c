/* From a row to a graph: see cases.h. */
#include "cases.h"
#include "formula.h"

#include "op.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CASE(op, inputs, ...)                  CASE_ROW(op, inputs, __VA_ARGS__, FILL_UNIT, )
#define CASE_ROW(op, inputs, attrs, fill, ...) {#op, inputs, attrs, fill},
const Case cases[] = {
#include "cases.def"
};
const int n_cases = sizeof cases / sizeof *cases;

/* ---- attributes as text -------------------------------------------------------------------------- */

static const char *skip_blanks(const char *at)
{
    while (*at == ' ') at++;
    return at;
}

/* Small labels more often than large ones, some that are ignored, some that are no class. */
static void fill_labels(int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        float unit = (values[i] + 1) / 2;
        int label = (int)(24 * unit * unit);
        values[i] = label == 3 ? 255 : label == 5 ? -1 : (float)label;
    }
}

/* Numbers up to ']' or one number; returns how many. */
static int parse_numbers(const char **at, double numbers[MAX_FLOATS])
{
    bool list = **at == '[';
    int count = 0;
    if (list) (*at)++;
    do {
        char *end;
        if (count == MAX_FLOATS) return 0;
        numbers[count++] = strtod(*at, &end);
        if (end == *at) return 0;
        *at = skip_blanks(end);
    } while (list && **at == ',' && (*at)++);
    if (list && *(*at)++ != ']') return 0;
    return count;
}

static bool set_numbers(Arena *arena, Node *node, AttrName name, const double *numbers, int count)
{
    double *floats = ARENA_ARRAY(arena, double, count);
    int64_t whole[MAX_FLOATS];
    for (int i = 0; i < count; i++) whole[i] = (int64_t)numbers[i];
    switch (attr_info(name)->kind) {
    case ATTR_INT: node_set_int(node, name, whole[0]); return count == 1;
    case ATTR_FLOAT: node_set_float(node, name, numbers[0]); return count == 1;
    case ATTR_PAIR: node_set_pair(node, name, whole[0], whole[count - 1]); return count <= 2;
    case ATTR_INTS: node_set_ints(node, name, whole, count); return true;
    case ATTR_FLOATS:
        memcpy(floats, numbers, sizeof *floats * (size_t)count);
        node_set_floats(node, name, floats, count);
        return true;
    default: return false;
    }
}

static const char *take_word(Arena *arena, const char **at)
{
    const char *start = *at;
    while (isalnum((unsigned char)**at) || **at == '_') (*at)++;
    return arena_strndup(arena, start, (size_t)(*at - start));
}

static bool set_value(Arena *arena, Node *node, AttrName name, const char **at)
{
    double numbers[MAX_FLOATS];
    if (!isalpha((unsigned char)**at)) {
        int count = parse_numbers(at, numbers);
        return count > 0 && set_numbers(arena, node, name, numbers, count);
    }
    const char *word = take_word(arena, at);
    if (attr_info(name)->kind == ATTR_BOOL)
        node_set_bool(node, name, strcmp(word, "true") == 0);
    else if (attr_info(name)->kind == ATTR_CHOICE)
        node_set_string(node, name, word);
    else
        return false;
    return true;
}

static bool set_attrs(Arena *arena, Node *node, const char *at)
{
    while (*(at = skip_blanks(at))) {
        AttrName name = attr_find(take_word(arena, &at));
        if (name == ATTR_COUNT || op_attr_index(node->op, name) < 0 || *at++ != ':') return false;
        at = skip_blanks(at);
        if (!set_value(arena, node, name, &at)) return false;
        if (*at == ',') at++;
    }
    return true;
}

/* ---- graphs -------------------------------------------------------------------------------------- */

enum { MAX_INPUTS = 8 };

static Node *add_input(Graph *graph, int number, const char **shape)
{
    int64_t dims[MAX_RANK];
    int rank = 0;
    bool labels = strncmp(*shape, "i32 ", 4) == 0;
    if (labels) *shape += 4;
    do {
        char *end;
        dims[rank++] = strtoll(*shape, &end, 10);
        *shape = end;
    } while (**shape == ',' && rank < MAX_RANK && (*shape)++);
    const char *name = number == 1 ? "image" : arena_printf(graph->arena, "image%d", number);
    Node *input = graph_add(graph, OP_INPUT, name, (Pos){0}, NULL, 0);
    node_set_ints(input, A_SHAPE, dims, rank);
    if (labels) node_set_string(input, A_DTYPE, "i32");
    return graph_infer(graph, input) ? input : NULL;
}

/* "NAME" of an input or an earlier node; 0 where there is none. */
static Node *find_node(const Graph *graph, const char *name)
{
    for (int i = graph->n_nodes - 1; i >= 0; i--)
        if (strcmp(graph->nodes[i]->name, name) == 0) return graph->nodes[i];
    return NULL;
}

static Node *add_node(Graph *graph, const char *op_name, const char *name, Node *const *in, int n_in,
                      const char *attrs)
{
    Op op = op_find(op_name);
    if (op == OP_COUNT) return NULL;
    Node *node = graph_add(graph, op, name, (Pos){0}, in, n_in);
    bool made =
        set_attrs(graph->arena, node, attrs) && graph_declare_params(graph, node) && graph_infer(graph, node);
    return made ? node : NULL;
}

/* NAME = OP INPUT ... {ATTRIBUTES} */
static Node *add_statement(Graph *graph, const char *at)
{
    Arena *arena = graph->arena;
    Node *in[MAX_INPUTS];
    int n_in = 0;
    const char *name = take_word(arena, &at);
    at = skip_blanks(at);
    if (*at++ != '=') return NULL;
    at = skip_blanks(at);
    const char *op = take_word(arena, &at);
    for (at = skip_blanks(at); *at && *at != '{'; at = skip_blanks(at)) {
        in[n_in] = find_node(graph, take_word(arena, &at));
        if (!in[n_in] || ++n_in == MAX_INPUTS) return NULL;
    }
    const char *attrs = *at ? arena_strndup(arena, at + 1, strcspn(at + 1, "}")) : "";
    return add_node(graph, op, name, in, n_in, attrs);
}

static bool add_statements(Graph *graph, const char *at)
{
    Node *node = NULL;
    while (*(at = skip_blanks(at))) {
        size_t length = strcspn(at, ";");
        node = add_statement(graph, arena_strndup(graph->arena, at, length));
        if (!node) return false;
        at += length + (at[length] == ';');
        if (strncmp(node->name, "out", 3) == 0 && *skip_blanks(at)) graph_output(graph, node->name, node);
    }
    if (node) graph_output(graph, "y", node);
    return node != NULL;
}

Graph *case_graph(Arena *arena, Diag *diag, const Case *c)
{
    Graph *graph = graph_new(arena, diag, c->op);
    Node *in[MAX_INPUTS];
    int n_in = 0;
    for (const char *at = c->inputs; *at;) {
        if (n_in == MAX_INPUTS || !(in[n_in] = add_input(graph, n_in + 1, &at))) return NULL;
        n_in++;
        if (*at == ';') at = skip_blanks(at + 1);
    }
    if (strcmp(c->op, "graph") == 0) {
        if (!add_statements(graph, c->attrs)) return NULL;
    } else {
        Node *node = add_node(graph, c->op, "act", in, n_in, c->attrs);
        if (!node) return NULL;
        graph_output(graph, "y", node);
    }
    graph_sort(graph);
    return graph;
}

void case_fill(void *context, const Node *source, float *values)
{
    const Case *c = context;
    int64_t count = type_elements(source->type);
    if (source->op == OP_PARAM) {
        formula_parameter(source->name, source->type, values);
        return;
    }
    formula_uniform(source->name, count, values);
    if (source->type.dtype == I32) {
        fill_labels(count, values);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        switch (c->fill) {
        case FILL_UNIT: break;
        case FILL_WIDE: values[i] *= 100; break;
        case FILL_POSITIVE: values[i] += 2; break;
        case FILL_COARSE: values[i] = roundf(values[i] * 4) / 4; break;
        }
    }
}

const char *case_text(Arena *arena, const Case *c)
{
    return arena_printf(arena, "%s %s {%s}", c->op, c->inputs, c->attrs);
}
