/* Counting is one walk over the graph in its order: the nodes that the predicted output needs are marked from
 * the output backwards, then each is counted by its operator's class and count rule. No operator is named
 * here: what is particular to one stands in its row of op.def.
 */
#include "stats.h"
#include "op.h"
#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Marks with `bit` what node needs, itself included. Inputs stand before their users in graph->nodes, so one
 * walk backwards sees every user before what it uses. */
static void mark_needed(const Graph *graph, Node *node, int bit)
{
    node->mark |= bit;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const Node *user = graph->nodes[i];
        if (!(user->mark & bit)) continue;
        for (int k = 0; k < user->n_in; k++) user->in[k]->mark |= bit;
    }
}

static Node *predicted_node(const Model *model)
{
    const Graph *graph = model->graph;
    for (int i = 0; i < graph->n_outputs; i++) {
        if (!strcmp(graph->outputs[i].name, model->predict)) return graph->outputs[i].node;
    }
    assert(!"the model's predict names one of its outputs");
    return NULL;
}

enum { NEEDED_BY_PREDICTION = 1, NEEDED_BY_AN_OUTPUT = 2, COUNTED = 4 };

static void mark_all(const Model *model)
{
    const Graph *graph = model->graph;
    for (int i = 0; i < graph->n_nodes; i++) graph->nodes[i]->mark = 0;
    for (int i = 0; i < graph->n_params; i++) graph->params[i]->mark = 0;
    mark_needed(graph, predicted_node(model), NEEDED_BY_PREDICTION);
    for (int i = 0; i < graph->n_outputs; i++)
        mark_needed(graph, graph->outputs[i].node, NEEDED_BY_AN_OUTPUT);
}

static bool is_learned(const Node *node)
{
    return node->op == OP_PARAM && !graph_param_init(node).statistic;
}

static int64_t kernel_area(const Node *node)
{
    return node_rows(node, A_KERNEL) * node_columns(node, A_KERNEL);
}

static int64_t count_flops(const Node *node, int64_t multiply_adds)
{
    const OpInfo *op = op_info(node->op);
    int64_t elements = type_elements(node->type);
    switch (op->class) {
    case CLASS_SOURCE: return 0;
    case CLASS_CONTRACTION: return 2 * multiply_adds;
    case CLASS_ELEMENTWISE:
        return op->count ? multiply_adds : elements * (node->n_in > 2 ? node->n_in - 1 : 1);
    case CLASS_WINDOW:
        return op_attr_index(node->op, A_KERNEL) >= 0 ? elements * kernel_area(node) : 2 * multiply_adds;
    case CLASS_REDUCTION: return type_elements(node->in[0]->type);
    case CLASS_LAYOUT: return 0;
    case CLASS_OPTIMIZER: return elements * (node->op == OP_ADAM ? 12 : 4);
    }
    return 0;
}

static int64_t count_bytes(const Node *node)
{
    int64_t bytes = type_bytes(node->type);
    for (int i = 0; i < node->n_in; i++) {
        bool again = false;
        for (int k = 0; k < i; k++) again |= node->in[k] == node->in[i];
        if (!again) bytes += type_bytes(node->in[i]->type);
    }
    return bytes;
}

static StatsNode count_node(const Node *node)
{
    const OpInfo *op = op_info(node->op);
    StatsNode row = {
        .name = node->name ? node->name : "", .op = op->name, .type = node->type, .pos = node->pos};
    row.multiply_adds = op->count ? op->count(node) : 0;
    row.flops = count_flops(node, row.multiply_adds);
    row.bytes = count_bytes(node);
    for (int i = 0; i < node->n_in; i++) {
        Node *in = node->in[i];
        if (!is_learned(in) || in->mark & COUNTED) continue;
        in->mark |= COUNTED;
        row.parameters += type_elements(in->type);
    }
    return row;
}

static void count_parameters(const Graph *graph, Stats *stats)
{
    for (int i = 0; i < graph->n_params; i++) {
        const Node *param = graph->params[i];
        if (!is_learned(param)) continue;
        int64_t elements = type_elements(param->type);
        stats->parameters_declared += elements;
        if (param->mark & NEEDED_BY_AN_OUTPUT) stats->parameters_outputs += elements;
        if (param->mark & NEEDED_BY_PREDICTION) stats->parameters_deployed += elements;
    }
}

static void add_to_totals(Stats *stats, const StatsNode *row, OpClass class)
{
    stats->multiply_adds += row->multiply_adds;
    if (class == CLASS_CONTRACTION) stats->conv_multiply_adds += row->multiply_adds;
    stats->flops += row->flops;
    stats->bytes += row->bytes;
}

Stats *stats_collect(Arena *arena, const Model *model, int64_t memory_peak)
{
    const Graph *graph = model->graph;
    Stats *stats = ARENA_NEW(arena, Stats);
    *stats = (Stats){.name = model->name, .path = model->path, .predict = model->predict};
    stats->output = predicted_node(model)->type;
    stats->memory_peak = memory_peak;
    stats->nodes = ARENA_ARRAY(arena, StatsNode, graph->n_nodes);
    Output *inputs = ARENA_ARRAY(arena, Output, graph->n_nodes);
    stats->inputs = inputs;
    mark_all(model);
    for (int i = 0; i < graph->n_nodes; i++) {
        Node *node = graph->nodes[i];
        if (!(node->mark & NEEDED_BY_PREDICTION)) continue;
        OpClass class = op_info(node->op)->class;
        if (node->op == OP_INPUT) inputs[stats->n_inputs++] = (Output){.name = node->name, .node = node};
        if (class == CLASS_SOURCE) continue;
        StatsNode row = count_node(node);
        stats->nodes[stats->n_nodes++] = row;
        add_to_totals(stats, &row, class);
    }
    count_parameters(graph, stats);
    return stats;
}

/* ---- the table ---- */

/* 25632244434 as "25,632,244,434". */
static const char *grouped(Arena *arena, int64_t number)
{
    const char *digits = arena_printf(arena, "%" PRId64, number);
    size_t length = strlen(digits);
    Text text = text_new(arena);
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') text_append(&text, ",", 1);
        text_append(&text, &digits[i], 1);
    }
    return text.text;
}

enum { COLUMNS = 7 };
typedef struct Row {
    const char *cell[COLUMNS];
} Row;

/* Columns as wide as their widest cell; the first three are words (left), the others numbers (right). */
static void print_rows(Text *text, const Row *rows, int n_rows)
{
    int width[COLUMNS] = {0};
    for (int i = 0; i < n_rows; i++) {
        for (int k = 0; k < COLUMNS; k++) {
            int length = (int)strlen(rows[i].cell[k]);
            if (length > width[k]) width[k] = length;
        }
    }
    for (int i = 0; i < n_rows; i++) {
        for (int k = 0; k < COLUMNS; k++)
            text_printf(text, "%s%*s", k ? "  " : "", k < 3 ? -width[k] : width[k], rows[i].cell[k]);
        text_append(text, "\n", 1);
    }
}

static void print_nodes(Arena *arena, Text *text, const Stats *stats)
{
    Row *rows = ARENA_ARRAY(arena, Row, stats->n_nodes + 2);
    rows[0] = (Row){{"node", "op", "output", "parameters", "multiply-adds", "FLOPs", "bytes"}};
    for (int i = 0; i < stats->n_nodes; i++) {
        const StatsNode *node = &stats->nodes[i];
        rows[i + 1] = (Row){{node->name, node->op, type_text(arena, node->type),
                             grouped(arena, node->parameters), grouped(arena, node->multiply_adds),
                             grouped(arena, node->flops), grouped(arena, node->bytes)}};
    }
    rows[stats->n_nodes + 1] = (Row){{"total", "", "", grouped(arena, stats->parameters_deployed),
                                      grouped(arena, stats->multiply_adds), grouped(arena, stats->flops),
                                      grouped(arena, stats->bytes)}};
    print_rows(text, rows, stats->n_nodes + 2);
}

static void print_total(Arena *arena, Text *text, const char *what, int64_t number, const char *meaning)
{
    text_printf(text, "%-14s %15s  %s\n", what, grouped(arena, number), meaning);
}

const char *stats_table(Arena *arena, const Stats *stats)
{
    Text text = text_new(arena);
    print_nodes(arena, &text, stats);
    text_printf(&text, "\n%s (%s)\n", stats->name, stats->path);
    for (int i = 0; i < stats->n_inputs; i++) {
        text_printf(&text, "%-14s %s %s\n", i ? "" : "input", stats->inputs[i].name,
                    type_text(arena, stats->inputs[i].node->type));
    }
    text_printf(&text, "%-14s %s %s\n", "output", stats->predict, type_text(arena, stats->output));
    print_total(arena, &text, "parameters", stats->parameters_deployed,
                "deployed: the predicted output needs them");
    print_total(arena, &text, "", stats->parameters_outputs, "needed by any output of the file");
    print_total(arena, &text, "", stats->parameters_declared, "declared");
    print_total(arena, &text, "multiply-adds", stats->conv_multiply_adds, "convolutions and linear layers");
    print_total(arena, &text, "", stats->multiply_adds, "by the study's convention (fvcore's)");
    print_total(arena, &text, "FLOPs", stats->flops, "2 per multiply-add, and the elementwise work");
    print_total(arena, &text, "bytes moved", stats->bytes, "each node on its own, before fusion");
    if (stats->memory_peak != STATS_UNKNOWN)
        print_total(arena, &text, "memory peak", stats->memory_peak, "bytes, planned");
    return text.text;
}

/* ---- JSON ---- */

/* Bytes of the UTF-8 sequence at s, 0 when it is none. Overlong forms and surrogates are none. */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80) return 1;
    int length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0;
    }
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0;
    if (s[0] == 0xED && s[1] > 0x9F) return 0;
    if (s[0] == 0xF0 && s[1] < 0x90) return 0;
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0;
    return length;
}

static void json_string(Text *text, const char *value)
{
    const unsigned char *s = (const unsigned char *)value;
    text_append(text, "\"", 1);
    while (*s) {
        int length = utf8_length(s);
        if (*s == '"' || *s == '\\') {
            text_printf(text, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7F) {
            text_printf(text, "\\u%04x", *s);
        } else if (length == 0) {
            text_printf(text, "\\ufffd");
        } else {
            text_append(text, (const char *)s, (size_t)length);
        }
        s += length ? length : 1;
    }
    text_append(text, "\"", 1);
}

static void json_type(Text *text, Type type)
{
    text_printf(text, "\"dtype\": \"%s\", \"shape\": [", dtype_name(type.dtype));
    for (int i = 0; i < type.rank; i++) text_printf(text, "%s%" PRId64, i ? ", " : "", type.dim[i]);
    text_append(text, "]", 1);
}

static void json_tensor(Text *text, const char *name, Type type)
{
    text_printf(text, "{\"name\": ");
    json_string(text, name);
    text_printf(text, ", ");
    json_type(text, type);
    text_append(text, "}", 1);
}

static void json_node(Text *text, const StatsNode *node)
{
    text_printf(text, "    {\"name\": ");
    json_string(text, node->name);
    text_printf(text, ", \"op\": \"%s\", ", node->op);
    json_type(text, node->type);
    text_printf(text, ", \"parameters\": %" PRId64 ", \"multiply_adds\": %" PRId64, node->parameters,
                node->multiply_adds);
    text_printf(text, ", \"flops\": %" PRId64 ", \"bytes\": %" PRId64 ", \"source\": ", node->flops,
                node->bytes);
    if (node->pos.source) {
        json_string(text, node->pos.source->path);
    } else {
        text_printf(text, "null");
    }
    text_printf(text, ", \"line\": %d}", node->pos.line);
}

static void json_totals(Text *text, const Stats *stats)
{
    text_printf(text,
                "  \"parameters\": {\"deployed\": %" PRId64 ", \"outputs\": %" PRId64
                ", \"declared\": %" PRId64 "},\n",
                stats->parameters_deployed, stats->parameters_outputs, stats->parameters_declared);
    text_printf(text, "  \"multiply_adds\": {\"convolution\": %" PRId64 ", \"study\": %" PRId64 "},\n",
                stats->conv_multiply_adds, stats->multiply_adds);
    text_printf(text, "  \"flops\": %" PRId64 ",\n  \"bytes\": %" PRId64 ",\n", stats->flops, stats->bytes);
    if (stats->memory_peak == STATS_UNKNOWN) {
        text_printf(text, "  \"memory_peak\": null,\n");
    } else {
        text_printf(text, "  \"memory_peak\": %" PRId64 ",\n", stats->memory_peak);
    }
}

const char *stats_json(Arena *arena, const Stats *stats)
{
    Text text = text_new(arena);
    text_printf(&text, "{\n  \"name\": ");
    json_string(&text, stats->name);
    text_printf(&text, ",\n  \"file\": ");
    json_string(&text, stats->path);
    text_printf(&text, ",\n  \"inputs\": [");
    for (int i = 0; i < stats->n_inputs; i++) {
        if (i) text_printf(&text, ", ");
        json_tensor(&text, stats->inputs[i].name, stats->inputs[i].node->type);
    }
    text_printf(&text, "],\n  \"output\": ");
    json_tensor(&text, stats->predict, stats->output);
    text_printf(&text, ",\n");
    json_totals(&text, stats);
    text_printf(&text, "  \"nodes\": [\n");
    for (int i = 0; i < stats->n_nodes; i++) {
        json_node(&text, &stats->nodes[i]);
        text_printf(&text, i + 1 < stats->n_nodes ? ",\n" : "\n");
    }
    text_printf(&text, "  ]\n}\n");
    return text.text;
}
