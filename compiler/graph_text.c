/* The printed form of a graph, one node per line; graph_text_parse.c has the grammar and reads it back.
 *
 *     graph bisenet
 *     %1: f32[1,3,32,64] = input  # "image" bisenet.yaml:3
 *     %2: f32[64,3,3,3] = param {param_init=uniform, value=0.2}  # "sp.conv.weight" bisenet.yaml:12
 *     %3: f32[1,64,16,32] = conv2d %1, %2 {filters=64, kernel=3, stride=2, padding=1, bias=false}  #
 * "sp.conv" output logits = %3
 *
 * An attribute is left out when it has its default; the shape and element type of a source are those of the
 * type in front. */
#include "graph_text.h"

#include "op.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool graph_text_is_implied(Op op, AttrName name)
{
    return op_info(op)->class == CLASS_SOURCE && (name == A_SHAPE || name == A_DTYPE);
}

static void print_quoted(Text *text, const char *s)
{
    text_append(text, "\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_printf(text, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            text_printf(text, "\\x%02x", (unsigned)*s);
        else
            text_append(text, s, 1);
    }
    text_append(text, "\"", 1);
}

/* A name that reads as one word stands as it is. */
static void print_word(Text *text, const char *s)
{
    bool plain = *s;
    for (const char *c = s; *c; c++) plain &= isalnum((unsigned char)*c) || strchr("_.-", *c);
    if (plain)
        text_append(text, s, strlen(s));
    else
        print_quoted(text, s);
}

/* The shortest decimal that reads back as the same number. */
static void print_float(Text *text, double value)
{
    char number[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value) break;
    }
    text_append(text, number, strlen(number));
}

static void print_ints(Text *text, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++) text_printf(text, "%s%lld", i ? "," : "[", (long long)values[i]);
    text_printf(text, "]");
}

static void print_floats(Text *text, const double *values, int count)
{
    for (int i = 0; i < count; i++) {
        text_append(text, i ? "," : "[", 1);
        print_float(text, values[i]);
    }
    text_append(text, "]", 1);
}

static void print_value(Text *text, const Attr *attr)
{
    switch (attr_info(attr->name)->kind) {
    case ATTR_INT: text_printf(text, "%lld", (long long)attr->i[0]); break;
    case ATTR_BOOL: text_printf(text, attr->i[0] ? "true" : "false"); break;
    case ATTR_FLOAT: print_float(text, attr->f); break;
    case ATTR_PAIR:
        if (attr->i[0] == attr->i[1])
            text_printf(text, "%lld", (long long)attr->i[0]);
        else
            print_ints(text, attr->i, 2);
        break;
    case ATTR_INTS: print_ints(text, attr->i, attr->n); break;
    case ATTR_FLOATS: print_floats(text, attr->floats, attr->n); break;
    case ATTR_STRING:
    case ATTR_CHOICE: print_word(text, attr->s); break;
    }
}

bool graph_text_same_value(const Attr *a, const Attr *b)
{
    if (a->n != b->n) return false;
    if (a->n == 0) return true;
    switch (attr_info(a->name)->kind) {
    case ATTR_FLOAT: return a->f == b->f;
    case ATTR_FLOATS: /* no NaN: see op_check_attrs */
        for (int i = 0; i < a->n; i++)
            if (a->floats[i] != b->floats[i]) return false;
        return true;
    case ATTR_STRING:
    case ATTR_CHOICE: return !strcmp(a->s, b->s);
    default: return !memcmp(a->i, b->i, sizeof *a->i * (size_t)a->n);
    }
}

static void print_attrs(Text *text, const Node *node)
{
    const OpInfo *info = op_info(node->op);
    int printed = 0;
    for (int i = 0; i < node->n_attrs; i++) {
        const Attr *attr = &node->attr[i];
        if (graph_text_is_implied(node->op, attr->name) || graph_text_same_value(attr, &info->attrs[i].value))
            continue;
        text_printf(text, "%s%s=", printed++ ? ", " : " {", attr_info(attr->name)->name);
        print_value(text, attr);
    }
    if (printed) text_append(text, "}", 1);
}

static void print_node(Text *text, const Node *node)
{
    text_printf(text, "%%%d: %s = %s", node->id, type_text(text->arena, node->type), op_info(node->op)->name);
    for (int i = 0; i < node->n_in; i++) text_printf(text, "%s%%%d", i ? ", " : " ", node->in[i]->id);
    print_attrs(text, node);
    if (node->player >= 0) text_printf(text, " for %d", node->player);
    if (node->name || node->pos.source) text_printf(text, "  #");
    if (node->name) {
        text_append(text, " ", 1);
        print_quoted(text, node->name);
    }
    if (node->pos.source) text_printf(text, " %s:%d", node->pos.source->path, node->pos.line);
    text_append(text, "\n", 1);
}

const char *graph_text(const Graph *graph)
{
    Text text = text_new(graph->arena);
    text_printf(&text, "graph ");
    print_word(&text, graph->name);
    text_append(&text, "\n", 1);
    for (int i = 0; i < graph->n_nodes; i++) print_node(&text, graph->nodes[i]);
    for (int i = 0; i < graph->n_outputs; i++) {
        text_printf(&text, "output ");
        print_word(&text, graph->outputs[i].name);
        text_printf(&text, " = %%%d\n", graph->outputs[i].node->id);
    }
    for (int i = 0; i < graph->n_updates; i++)
        text_printf(&text, "update %%%d = %%%d\n", graph->updates[i].param->id, graph->updates[i].value->id);
    return text.text;
}
