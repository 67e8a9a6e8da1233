/* Reading the text of graphs that graph_text.c prints, line by line:
 *
 *     line:    "graph" WORD | node | "output" WORD "=" ID | (nothing) | "#" anything
 *     node:    ID ":" type "=" OP [ID {"," ID}] ["{" attr {"," attr} "}"] ["#" [STRING] [PATH ":" INT]]
 *     type:    DTYPE "[" [INT {"," INT}] "]"
 *     attr:    NAME "=" (NUMBER | WORD | "[" INT {"," INT} "]")
 *
 * ID is % and a number; WORD is letters, digits and _ . - or a STRING in quotes. The first mistake ends the
 * parse. Every node goes through graph_infer, so that text from anywhere gives a graph whose types hold, or a
 * message. */
#include "graph_text.h"

#include "op.h"
#include "op_rules.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ID = 1000000, MAX_INPUTS = 10000 };

typedef struct Parser {
    Graph *graph;
    const Source *source;
    const char *line; /* the line being read, terminated */
    const char *at;   /* the next byte of it */
    int line_number;
    bool failed, headed;
    Node **by_id; /* n_by_id of them */
    int n_by_id, cap_by_id;
    const Source *place; /* the file that the last position named */
} Parser;

/* ---- errors and tokens -----------------------------------------------------------------------------------
 */

static Pos here(const Parser *p)
{
    return (Pos){p->source, p->line_number, (int)(p->at - p->line) + 1};
}

static bool fail(Parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(Parser *p, const char *format, ...)
{
    if (p->failed) return false;
    va_list args;
    va_start(args, format);
    diag_error(p->graph->diag, here(p), "%s", arena_vprintf(p->graph->arena, format, args));
    va_end(args);
    p->failed = true;
    return false;
}

static void skip_blanks(Parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
}

/* Whether the sign comes next; steps over it. */
static bool accept(Parser *p, char sign)
{
    skip_blanks(p);
    if (*p->at != sign) return false;
    p->at++;
    return true;
}

static bool expect(Parser *p, char sign)
{
    return accept(p, sign) || fail(p, "expected '%c'", sign);
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == '+';
}

/* A run of word bytes, NULL when there is none. */
static const char *bare_word(Parser *p)
{
    skip_blanks(p);
    const char *start = p->at;
    while (is_word_byte(*p->at)) p->at++;
    return p->at == start ? NULL : arena_strndup(p->graph->arena, start, (size_t)(p->at - start));
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* What stands between quotes, the first of which has been read. */
static const char *quoted(Parser *p)
{
    Text text = text_new(p->graph->arena);
    for (; *p->at && *p->at != '"'; p->at++) {
        char byte = *p->at;
        if (byte == '\\' && p->at[1] == 'x' && hex_digit(p->at[2]) >= 0 && hex_digit(p->at[3]) >= 0) {
            byte = (char)(hex_digit(p->at[2]) * 16 + hex_digit(p->at[3]));
            p->at += 3;
        } else if (byte == '\\' && (p->at[1] == '"' || p->at[1] == '\\')) {
            byte = *++p->at;
        }
        if (!byte) return fail(p, "a name can't hold a zero byte"), NULL;
        text_append(&text, &byte, 1);
    }
    return expect(p, '"') ? text.text : NULL;
}

static const char *word(Parser *p, const char *what)
{
    if (accept(p, '"')) return quoted(p);
    const char *found = bare_word(p);
    if (!found) fail(p, "expected %s", what);
    return found;
}

static bool integer(Parser *p, int64_t *value)
{
    const char *text = bare_word(p);
    char *end = NULL;
    errno = 0;
    *value = text ? strtoll(text, &end, 10) : 0;
    if (!text || *end || end == text || errno) return fail(p, "expected a whole number");
    return true;
}

static bool id(Parser *p, int64_t *value)
{
    if (!expect(p, '%') || !integer(p, value)) return false;
    if (*value < 1 || *value > MAX_ID) return fail(p, "node numbers are 1 to %d", MAX_ID);
    return true;
}

static Node *known_node(Parser *p)
{
    int64_t number;
    if (!id(p, &number)) return NULL;
    if (number < p->n_by_id && p->by_id[number]) return p->by_id[number];
    fail(p, "no node %%%lld stands above", (long long)number);
    return NULL;
}

/* Integers between brackets, the first of which has been read; at least one unless empty is allowed. */
static int integers(Parser *p, int64_t *values, int most, bool empty)
{
    int count = 0;
    if (empty && accept(p, ']')) return 0;
    do {
        if (count == most) return fail(p, "at most %d numbers", most), -1;
        if (!integer(p, &values[count++])) return -1;
    } while (accept(p, ','));
    return expect(p, ']') ? count : -1;
}

/* ---- nodes -----------------------------------------------------------------------------------------------
 */

static bool type(Parser *p, Type *type)
{
    const char *name = word(p, "an element type");
    if (!name) return false;
    bool found = false;
    for (Dtype dtype = F32; dtype <= U8 && !found; dtype++) {
        found = !strcmp(name, dtype_name(dtype));
        type->dtype = dtype;
    }
    if (!found) return fail(p, "no element type '%s'", name);
    if (!expect(p, '[')) return false;
    type->rank = integers(p, type->dim, MAX_RANK, true);
    return type->rank >= 0;
}

static bool real(Parser *p, double *value)
{
    const char *text = bare_word(p);
    char *end = NULL;
    *value = text ? strtod(text, &end) : 0;
    return text && !*end && end != text ? true : fail(p, "expected a number");
}

static bool float_value(Parser *p, Node *node, AttrName name)
{
    double value;
    if (!real(p, &value)) return false;
    node_set_float(node, name, value);
    return true;
}

static bool float_values(Parser *p, Node *node, AttrName name)
{
    double *values = ARENA_ARRAY(p->graph->arena, double, MAX_FLOATS);
    int count = 0;
    if (!expect(p, '[')) return false;
    do {
        if (count == MAX_FLOATS) return fail(p, "at most %d numbers", MAX_FLOATS);
        if (!real(p, &values[count++])) return false;
    } while (accept(p, ','));
    node_set_floats(node, name, values, count);
    return expect(p, ']');
}

static bool int_values(Parser *p, Node *node, AttrName name)
{
    bool is_pair = attr_info(name)->kind == ATTR_PAIR, is_list = attr_info(name)->kind == ATTR_INTS;
    int64_t values[MAX_INTS];
    int count = 1;
    if ((is_pair || is_list) && accept(p, '['))
        count = integers(p, values, is_pair ? 2 : MAX_INTS, false);
    else if (!integer(p, &values[0]))
        return false;
    if (count < 0) return false;
    if (is_pair && count == 1) values[1] = values[0];
    node_set_ints(node, name, values, is_pair ? 2 : count);
    return true;
}

static bool attr_value(Parser *p, Node *node, AttrName name)
{
    const char *text;
    switch (attr_info(name)->kind) {
    case ATTR_FLOAT: return float_value(p, node, name);
    case ATTR_FLOATS: return float_values(p, node, name);
    case ATTR_BOOL:
        if (!(text = word(p, "true or false"))) return false;
        if (strcmp(text, "true") && strcmp(text, "false")) return fail(p, "expected true or false");
        node_set_bool(node, name, *text == 't');
        return true;
    case ATTR_STRING:
    case ATTR_CHOICE:
        if (!(text = word(p, "a word"))) return false;
        node_set_string(node, name, text);
        return true;
    default: return int_values(p, node, name);
    }
}

static bool attrs(Parser *p, Node *node)
{
    bool seen[ATTR_COUNT] = {false};
    if (!accept(p, '{')) return true;
    do {
        const char *text = word(p, "an attribute");
        if (!text) return false;
        AttrName name = attr_find(text);
        if (name == ATTR_COUNT || op_attr_index(node->op, name) < 0 || graph_text_is_implied(node->op, name))
            return fail(p, "%s has no attribute '%s' here", op_info(node->op)->name, text);
        if (seen[name]) return fail(p, "'%s' is given twice", text);
        seen[name] = true;
        if (!expect(p, '=') || !attr_value(p, node, name)) return false;
    } while (accept(p, ','));
    return expect(p, '}');
}

/* The file of a position; consecutive nodes mostly share theirs. Its text isn't known. */
static const Source *place(Parser *p, const char *path, size_t length)
{
    if (p->place && strlen(p->place->path) == length && !memcmp(p->place->path, path, length))
        return p->place;
    Source *source = ARENA_NEW(p->graph->arena, Source);
    source->path = arena_strndup(p->graph->arena, path, length);
    source->text = "";
    return p->place = source;
}

static bool comment(Parser *p, const char **name, Pos *pos)
{
    *name = NULL;
    *pos = (Pos){0};
    if (!accept(p, '#')) return true;
    if (accept(p, '"') && !(*name = quoted(p))) return false;
    skip_blanks(p);
    if (!*p->at) return true;
    const char *path = p->at, *colon = strrchr(p->at, ':');
    if (!colon) return fail(p, "expected FILE:LINE");
    int64_t line;
    p->at = colon + 1;
    if (!integer(p, &line)) return false;
    if (line < 0 || line > INT32_MAX) return fail(p, "no such line");
    *pos = (Pos){place(p, path, (size_t)(colon - path)), (int)line, 0};
    return true;
}

static bool inputs(Parser *p, Node *node)
{
    int capacity = 0;
    skip_blanks(p);
    if (*p->at != '%') return true;
    do {
        Node *in = known_node(p);
        if (!in) return false;
        if (node->n_in == MAX_INPUTS) return fail(p, "at most %d inputs", MAX_INPUTS);
        ARENA_PUSH(p->graph->arena, node->in, node->n_in, capacity, in);
    } while (accept(p, ','));
    return true;
}

static void remember(Parser *p, Node *node)
{
    while (p->n_by_id <= node->id) ARENA_PUSH(p->graph->arena, p->by_id, p->n_by_id, p->cap_by_id, NULL);
    p->by_id[node->id] = node;
    if (p->graph->next_id <= node->id) p->graph->next_id = node->id + 1;
    if (node->op == OP_PARAM)
        ARENA_PUSH(p->graph->arena, p->graph->params, p->graph->n_params, p->graph->cap_params, node);
}

/* Types the node and compares with what the text says. Errors belong to the line of the text, not to the
 * place that the text names. */
static bool infer(Parser *p, Node *node, Pos start, Type written)
{
    if (op_info(node->op)->class == CLASS_SOURCE) {
        node_set_ints(node, A_SHAPE, written.dim, written.rank);
        if (op_attr_index(node->op, A_DTYPE) >= 0) node_set_string(node, A_DTYPE, dtype_name(written.dtype));
    }
    node->pos = start;
    if (!graph_infer(p->graph, node)) {
        p->failed = true;
        return false;
    }
    if (type_equal(node->type, written)) return true;
    return fail(p, "%s makes %s", op_info(node->op)->name, type_text(p->graph->arena, node->type));
}

static bool keyword(Parser *p, const char *text)
{
    size_t length = strlen(text);
    skip_blanks(p);
    if (strncmp(p->at, text, length) || is_word_byte(p->at[length])) return false;
    p->at += length;
    return true;
}

/* "for 0": the number of the player to whose update the node belongs. */
static bool player(Parser *p, Node *node)
{
    int64_t number;
    if (!keyword(p, "for")) return true;
    if (!integer(p, &number)) return false;
    if (number < 0 || number > INT16_MAX) return fail(p, "no such player");
    node->player = (int)number;
    return true;
}

static bool node_line(Parser *p)
{
    int64_t number;
    Type written = {0};
    const char *op_name;
    Pos start = here(p), pos;
    if (!id(p, &number)) return false;
    if (number < p->n_by_id && p->by_id[number])
        return fail(p, "node %%%lld is there already", (long long)number);
    if (!expect(p, ':') || !type(p, &written) || !expect(p, '=')) return false;
    if (!(op_name = word(p, "an operator"))) return false;
    Op op = op_find(op_name);
    if (op == OP_COUNT) return fail(p, "no operator '%s'", op_name);
    Node *node = graph_add(p->graph, op, NULL, start, NULL, 0);
    node->id = (int)number;
    if (!inputs(p, node) || !attrs(p, node) || !player(p, node) || !comment(p, &node->name, &pos))
        return false;
    if (!node->name && op_info(op)->class == CLASS_SOURCE)
        return fail(p, "%s needs a name: # \"NAME\"", op_name);
    if (!infer(p, node, start, written)) return false;
    node->pos = pos;
    remember(p, node);
    return true;
}

/* ---- lines -----------------------------------------------------------------------------------------------
 */

static bool update_line(Parser *p)
{
    Node *param = known_node(p);
    if (!param || !expect(p, '=')) return false;
    if (param->op != OP_PARAM) return fail(p, "%%%d is no parameter", param->id);
    Node *value = known_node(p);
    if (!value) return false;
    if (!type_equal(param->type, value->type)) return fail(p, "%%%d is of another type", value->id);
    graph_update(p->graph, param, value);
    return true;
}

static bool output_line(Parser *p)
{
    const char *name = word(p, "a name");
    if (!name || !expect(p, '=')) return false;
    Node *node = known_node(p);
    if (node) graph_output(p->graph, name, node);
    return node != NULL;
}

static bool header_line(Parser *p)
{
    const char *name = word(p, "a name");
    if (p->headed) return fail(p, "a second graph");
    p->headed = true;
    if (name) p->graph->name = name;
    return name != NULL;
}

static void parse_line(Parser *p)
{
    skip_blanks(p);
    if (!*p->at || *p->at == '#') return;
    bool done;
    if (keyword(p, "graph"))
        done = header_line(p);
    else if (!p->headed)
        done = fail(p, "expected 'graph NAME' first");
    else if (keyword(p, "output"))
        done = output_line(p);
    else if (keyword(p, "update"))
        done = update_line(p);
    else
        done = node_line(p);
    skip_blanks(p);
    if (done && *p->at) fail(p, "expected the end of the line");
}

Graph *graph_text_parse(Arena *arena, Diag *diag, const Source *source)
{
    Parser p = {.graph = graph_new(arena, diag, ""), .source = source, .line = "", .at = ""};
    const char *next = source->text, *end = source->text + source->size;
    while (next < end && !p.failed) {
        const char *newline = memchr(next, '\n', (size_t)(end - next));
        size_t length = (size_t)((newline ? newline : end) - next);
        p.line = p.at = arena_strndup(arena, next, length);
        p.line_number++;
        if (strlen(p.line) < length)
            fail(&p, "a zero byte");
        else
            parse_line(&p);
        next += length + 1;
    }
    if (!p.failed && !p.headed) fail(&p, "expected 'graph NAME'");
    return p.failed ? NULL : p.graph;
}
