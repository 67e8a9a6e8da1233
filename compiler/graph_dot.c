/* The graph for Graphviz: one box per operator with its name and shape; parameters stand inside the box of
 * the node that reads them, since as boxes of their own they would hide the network. */
#include "graph.h"

#include "op.h"

static void print_label(Text *text, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') text_append(text, "\\", 1);
        text_append(text, (unsigned char)*s < 0x20 ? " " : s, 1);
    }
}

static void print_box(Text *text, const Node *node)
{
    text_printf(text, "  n%d [label=\"", node->id);
    print_label(text, node->name ? node->name : "");
    text_printf(text, "\\n%s", op_info(node->op)->name);
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i]->op == OP_PARAM) text_printf(text, " %s", type_text(text->arena, node->in[i]->type));
    text_printf(text, "\\n%s\"%s];\n", type_text(text->arena, node->type),
                node->op == OP_INPUT ? ", shape=ellipse" : "");
}

const char *graph_dot(const Graph *graph)
{
    Text text = text_new(graph->arena);
    text_printf(&text, "digraph \"");
    print_label(&text, graph->name);
    text_printf(&text, "\" {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n");
    for (int i = 0; i < graph->n_nodes; i++) {
        const Node *node = graph->nodes[i];
        if (node->op == OP_PARAM) continue;
        print_box(&text, node);
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j]->op != OP_PARAM) text_printf(&text, "  n%d -> n%d;\n", node->in[j]->id, node->id);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        text_printf(&text, "  out%d [label=\"", i);
        print_label(&text, graph->outputs[i].name);
        text_printf(&text, "\", shape=ellipse];\n  n%d -> out%d;\n", graph->outputs[i].node->id, i);
    }
    text_printf(&text, "}\n");
    return text.text;
}
