/* From YAML to graph: expressions, settings, blocks, chains, networks used by others, programs, and what
 * besides nodes a file says. Messages about wrong files have their goldens in tests/text/errors. */
#define _GNU_SOURCE
#include "model.h"
#include "model_value.h"
#include "op.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Arena *arena;
static Diag *diag;
static char folder[64];

static void begin(void)
{
    arena = arena_new();
    diag = diag_new(arena);
    strcpy(folder, "/tmp/segc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    if (system(arena_printf(arena, "rm -r %s", folder))) abort();
    arena_free(arena);
}

static const char *write_file(const char *name, const char *text)
{
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static Model *load_with(const char *text, const ModelOptions *options)
{
    Model *model = model_load(arena, diag, write_file("test.yaml", text), options);
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    return model;
}

static Model *load(const char *text)
{
    return load_with(text, &(ModelOptions){.height = 16, .width = 32});
}

/* A network with one picture, of these further lines. */
static Model *load_network(const char *lines)
{
    return load(arena_printf(arena, "segc: 1\nnetwork: t\ninputs: {image: [N, 3, H, W]}\n%s", lines));
}

static void refuse_with(const char *text, const ModelOptions *options, const char *message)
{
    ck_assert_ptr_null(model_load(arena, diag, write_file("test.yaml", text), options));
    ck_assert_msg(strstr(diag_text(diag), message) != NULL, "'%s' is not in: %s", message, diag_text(diag));
}

static Node *output(const Model *model, const char *name)
{
    for (int i = 0; i < model->graph->n_outputs; i++)
        if (!strcmp(model->graph->outputs[i].name, name)) return model->graph->outputs[i].node;
    ck_abort_msg("no output %s", name);
    return NULL;
}

static void expect_type(const Node *node, const char *type)
{
    ck_assert_str_eq(type_text(arena, node->type), type);
}

static void expect_params(const Model *model, const char *names)
{
    Text text = text_new(arena);
    for (int i = 0; i < model->graph->n_params; i++)
        text_printf(&text, "%s%s", i ? " " : "", model->graph->params[i]->name);
    ck_assert_str_eq(text.text, names);
}

/* ---- expressions ---- */

static const struct {
    const char *text;
    int64_t integer; /* as an integer */
    double number;   /* as a number */
} expressions[] = {
    {"3", 3, 3},
    {"-3", -3, -3},
    {"007", 7, 7},
    {"2.0", 2, 2},
    {"1e3", 1000, 1000},
    {"1 + 2 * 3", 7, 7},
    {"(1 + 2) * 3", 9, 9},
    {"10 - 2 - 3", 5, 5},
    {"64 / 2 / 4", 8, 8},
    {"6 // 4", 1, 1},
    {"-7 // 2", -4, -4},
    {"-7 % 3", 2, 2},
    {"7 % -3", -2, -2},
    {"- - 3", 3, 3},
    {"-(3)", -3, -3},
    {"2 * -3", -6, -6},
    {"$k", 3, 3},
    {"$k/2*2", 2, 3},
    {"$k / 2", 1, 1.5},
    {"($k - 1) / 2 * $d", 4, 4},
    {"$half", 1, 1.5},
    {"$half + $half", 2, 3},
    {"max(2, $k, 1)", 3, 3},
    {"min(2, $k)", 2, 2},
    {"H / 8", 2, 2},
    {"W - H", 16, 16},
    {"9223372036854775807", INT64_MAX, 9223372036854775807.0},
    {"-9223372036854775807 - 1", INT64_MIN, -9223372036854775808.0},
    {"(-9223372036854775807 - 1) % -1", 0, 0},
};

static bool used[3];

static const Scope *test_scope(void)
{
    static Symbol symbols[] = {{"N", 2}, {"H", 16}, {"W", 32}};
    Scope *scope = ARENA_NEW(arena, Scope);
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){"settings", "", 0};
    TreeEntry *entries = ARENA_ARRAY(arena, TreeEntry, 3);
    Pos pos = {source, 1, 1};
    entries[0] = (TreeEntry){"k", pos, tree_scalar(arena, "3", pos)};
    entries[1] = (TreeEntry){"d", pos, tree_scalar(arena, "4", pos)};
    entries[2] = (TreeEntry){"half", pos, tree_scalar(arena, "$k / 2", pos)};
    *scope = (Scope){.owner = "the test",
                     .declared = tree_mapping(arena, pos, entries, 3),
                     .used = used,
                     .symbols = symbols,
                     .n_symbols = 3};
    scope->settings = ARENA_ARRAY(arena, Setting, 3);
    for (int i = 0; i < 3; i++) scope->settings[i] = (Setting){.value = entries[i].value, .scope = scope};
    return scope;
}

START_TEST(integers_are_evaluated)
{
    Values values = {arena, diag, 0};
    int64_t result = -12345;
    const Tree *tree = tree_scalar(arena, expressions[_i].text, (Pos){0});
    ck_assert_msg(value_int(&values, tree, test_scope(), "it", &result), "%s", diag_text(diag));
    ck_assert_int_eq(result, expressions[_i].integer);
}
END_TEST

START_TEST(numbers_are_evaluated)
{
    Values values = {arena, diag, 0};
    double result = -12345;
    const Tree *tree = tree_scalar(arena, expressions[_i].text, (Pos){0});
    ck_assert_msg(value_float(&values, tree, test_scope(), "it", &result), "%s", diag_text(diag));
    ck_assert_double_eq(result, expressions[_i].number);
}
END_TEST

static const struct {
    const char *text;
    double number;
} numbers[] = {{"1e-4", 1e-4},    {"2.5e-4", 2.5e-4}, {"1 / 255", 1.0 / 255},   {".5", 0.5},
               {"5.", 5},         {"1E+2", 100},      {"0.1 + 0.2", 0.1 + 0.2}, {"7.5 // 2", 3},
               {"-7.5 % 2", 0.5}, {"1 / 3 * 3", 1}};

START_TEST(fractions_are_evaluated)
{
    Values values = {arena, diag, 0};
    double result = -12345;
    const Tree *tree = tree_scalar(arena, numbers[_i].text, (Pos){0});
    ck_assert_msg(value_float(&values, tree, test_scope(), "it", &result), "%s", diag_text(diag));
    ck_assert_double_eq(result, numbers[_i].number);
}
END_TEST

static const struct {
    const char *text;
    bool truth;
} truths[] = {{"true", true},         {"false", false},
              {"$k == 3", true},      {"$k != 3", false},
              {"$k < 3", false},      {"$k <= 3", true},
              {"$k > 2.5", true},     {"$k >= 4", false},
              {"1 / 2 == 0.5", true}, {"9223372036854775807 > 9223372036854775806", true}};

START_TEST(truth_values_are_evaluated)
{
    Values values = {arena, diag, 0};
    bool result = !truths[_i].truth;
    const Tree *tree = tree_scalar(arena, truths[_i].text, (Pos){0});
    ck_assert_msg(value_bool(&values, tree, test_scope(), "it", &result), "%s", diag_text(diag));
    ck_assert_int_eq(result, truths[_i].truth);
}
END_TEST

static const char *const no_integers[] = {"",
                                          "x",
                                          "1 +",
                                          "* 2",
                                          "1 2",
                                          "(1",
                                          "1)",
                                          "1.5",
                                          "3 * 0.5",
                                          "$",
                                          "$nothing",
                                          "1 / 0",
                                          "1 // 0",
                                          "1 % 0",
                                          "1 / 0.0",
                                          "9223372036854775807 + 1",
                                          "-9223372036854775807 - 2",
                                          "9223372036854775807 * 2",
                                          "(-9223372036854775807 - 1) / -1",
                                          "-(-9223372036854775807 - 1)",
                                          "1e300",
                                          "1e999",
                                          "0x10",
                                          "1..2",
                                          "1 < 2",
                                          "true",
                                          "true + 1",
                                          "max()",
                                          "min 3",
                                          "1 = 1",
                                          "~",
                                          "1 ++",
                                          "3k",
                                          "1 & 2"};

START_TEST(no_integers_are_refused)
{
    Values values = {arena, diag, 0};
    int64_t result = 0;
    const Tree *tree = tree_scalar(arena, no_integers[_i], (Pos){0});
    ck_assert_msg(!value_int(&values, tree, test_scope(), "it", &result), "'%s' is %lld", no_integers[_i],
                  (long long)result);
    ck_assert_int_eq(diag_errors(diag), 1);
    ck_assert_int_eq(values.depth, 0);
}
END_TEST

START_TEST(a_used_setting_is_marked)
{
    Values values = {arena, diag, 0};
    int64_t result;
    memset(used, 0, sizeof used);
    ck_assert(value_int(&values, tree_scalar(arena, "$half", (Pos){0}), test_scope(), "it", &result));
    ck_assert(used[0] && !used[1] && used[2]);
}
END_TEST

/* ---- nodes ---- */

START_TEST(a_network_becomes_a_graph)
{
    Model *model =
        load_network("nodes: {conv: {op: conv2d, in: image, filters: 8, kernel: 3, stride: 2, padding: 1}}\n"
                     "outputs: {y: conv}\n");
    ck_assert_str_eq(model->name, "t");
    ck_assert_str_eq(model->predict, "y");
    expect_type(output(model, "y"), "f32[1,8,8,16]");
    expect_params(model, "conv.weight conv.bias");
    ck_assert_int_eq(output(model, "y")->pos.line, 4);
}
END_TEST

START_TEST(batch_and_size_are_the_options)
{
    const char *text = "segc: 1\nnetwork: t\nsize: [8, 4]\ninputs: {x: [N, 3, H, W]}\nnodes: {a: {op: relu, "
                       "in: x}}\noutputs: {y: a}\n";
    expect_type(output(load_with(text, NULL), "y"), "f32[1,3,8,4]");
    expect_type(output(load_with(text, &(ModelOptions){.batch = 5, .width = 6}), "y"), "f32[5,3,8,6]");
}
END_TEST

START_TEST(the_size_is_512_by_1024_if_nothing_else_is_said)
{
    Model *model = load_with("segc: 1\nnetwork: t\ninputs: {x: [N, 1, H / 8, W]}\nnodes: {a: {op: relu, in: "
                             "x}}\noutputs: {y: a}\n",
                             NULL);
    expect_type(output(model, "y"), "f32[1,1,64,1024]");
}
END_TEST

START_TEST(nodes_may_stand_in_any_order)
{
    Model *model = load_network("nodes:\n  c: {op: add, in: [b, a]}\n  b: {op: sigmoid, in: a}\n  a: {op: "
                                "relu, in: image}\noutputs: {y: c}\n");
    expect_type(output(model, "y"), "f32[1,3,16,32]");
    ck_assert_ptr_null(graph_fault(model->graph));
}
END_TEST

START_TEST(a_long_list_backwards_is_no_deep_recursion)
{
    Text text = text_new(arena);
    text_printf(&text, "nodes:\n");
    for (int i = 20000; i > 0; i--) text_printf(&text, "  n%d: {op: relu, in: n%d}\n", i, i - 1);
    text_printf(&text, "  n0: {op: relu, in: image}\noutputs: {y: n20000}\n");
    ck_assert_int_eq(load_network(text.text)->graph->n_nodes, 20002);
}
END_TEST

START_TEST(words_of_yaml_are_names)
{
    Model *model = load_network(
        "nodes:\n  on: {op: relu, in: image}\n  no: {op: relu, in: on}\n  y: {op: relu, in: no}\n"
        "  0: {op: relu, in: y}\n  1e-4: {op: relu, in: 0}\n  true: {op: relu, in: 1e-4}\noutputs: {off: "
        "'true'}\n");
    ck_assert_str_eq(output(model, "off")->name, "true");
}
END_TEST

START_TEST(attributes_hold_their_values)
{
    Model *model =
        load_network("settings: {k: [3, 5], slope: 1e-4, how: nearest, off: false}\n"
                     "nodes:\n"
                     "  a: {op: conv2d, in: image, filters: 4, kernel: $k, padding: [1, 2], bias: $off}\n"
                     "  b: {op: leaky_relu, in: a, negative_slope: $slope}\n"
                     "  c: {op: resize, in: b, size: [H * 2, W], mode: $how}\n"
                     "  d: {op: pad, in: c, pads: [0, 1, 2, 1 + 2]}\n"
                     "outputs: {y: d}\n");
    const Node *d = output(model, "y"), *c = d->in[0], *b = c->in[0], *a = b->in[0];
    ck_assert_int_eq(node_rows(a, A_KERNEL), 3);
    ck_assert_int_eq(node_columns(a, A_KERNEL), 5);
    ck_assert(!node_bool(a, A_BIAS));
    ck_assert_double_eq(node_float(b, A_NEGATIVE_SLOPE), 1e-4);
    ck_assert_str_eq(node_string(c, A_MODE), "nearest");
    expect_type(c, "f32[1,4,32,32]");
    ck_assert_int_eq(node_attr(d, A_PADS)->i[3], 3);
}
END_TEST

/* ---- blocks ---- */

#define CONV_BN                                                                                              \
    "blocks:\n"                                                                                              \
    "  conv_bn:\n"                                                                                           \
    "    settings: {filters: , kernel: 3}\n"                                                                 \
    "    inputs: [x]\n"                                                                                      \
    "    nodes:\n"                                                                                           \
    "      conv: {op: conv2d, in: x, filters: $filters, kernel: $kernel, padding: $kernel / 2, bias: "       \
    "false}\n"                                                                                               \
    "      bn: {op: batch_norm, in: conv}\n"                                                                 \
    "    outputs: {y: bn}\n"

START_TEST(a_block_names_its_parameters_by_path)
{
    Model *model = load_network(
        CONV_BN
        "nodes: {a: {op: conv_bn, in: image, filters: 4}, 0: {op: conv_bn, in: a, filters: 2, kernel: 1}}\n"
        "outputs: {y: 0}\n");
    expect_params(model, "a.conv.weight a.bn.weight a.bn.bias a.bn.running_mean a.bn.running_var "
                         "0.conv.weight 0.bn.weight 0.bn.bias 0.bn.running_mean 0.bn.running_var");
    expect_type(output(model, "y"), "f32[1,2,16,32]");
    ck_assert_str_eq(output(model, "y")->name, "0.bn");
}
END_TEST

START_TEST(a_block_within_a_block_sees_the_settings_given_to_it)
{
    Model *model = load_network(
        CONV_BN
        "  twice:\n"
        "    settings: {width: , filters: $width * 2}\n"
        "    inputs: [x]\n"
        "    nodes: {1: {op: conv_bn, in: x, filters: $width}, 2: {op: conv_bn, in: 1, filters: $filters}}\n"
        "    outputs: {y: 2}\n"
        "nodes: {a: {op: twice, in: image, width: 5}}\noutputs: {y: a}\n");
    expect_type(output(model, "y"), "f32[1,10,16,32]");
    ck_assert_str_eq(model->graph->params[0]->name, "a.1.conv.weight");
}
END_TEST

START_TEST(a_block_sees_the_settings_of_its_file)
{
    Model *model = load_network("settings: {classes: 7}\n"
                                "blocks: {head: {inputs: [x], nodes: {c: {op: conv2d, in: x, filters: "
                                "$classes, kernel: 1}}, outputs: {y: c}}}\n"
                                "nodes: {a: {op: head, in: image}}\noutputs: {y: a}\n");
    expect_type(output(model, "y"), "f32[1,7,16,32]");
}
END_TEST

START_TEST(outputs_are_chosen_by_name)
{
    Model *model = load_network("blocks: {b: {inputs: [x], nodes: {r: {op: relu, in: x}, s: {op: sigmoid, "
                                "in: x}}, outputs: {first: r, second: s}}}\n"
                                "nodes: {a: {op: b, in: image}, c: {op: add, in: [a.second, "
                                "a.first]}}\noutputs: {y: c, z: a.first}\n");
    ck_assert_int_eq(output(model, "y")->in[0]->op, OP_SIGMOID);
    ck_assert_int_eq(output(model, "z")->op, OP_RELU);
}
END_TEST

/* ---- chains ---- */

START_TEST(a_chain_feeds_each_node_by_the_one_before)
{
    Model *model = load_network(
        "settings: {n: 4}\nnodes: {1..$n - 1: {op: relu, in: image}}\noutputs: {y: 3, z: 1..$n - 1}\n");
    ck_assert_int_eq(model->graph->n_nodes, 4);
    ck_assert_str_eq(output(model, "y")->name, "3");
    ck_assert_str_eq(output(model, "y")->in[0]->name, "2");
    ck_assert_ptr_eq(output(model, "y"), output(model, "z"));
}
END_TEST

START_TEST(a_chain_of_none_is_its_input)
{
    Model *model = load_network("settings: {n: 1}\nnodes: {0: {op: relu, in: image}, 1..$n - 1: {op: "
                                "sigmoid, in: 0}}\noutputs: {y: 1..$n - 1}\n");
    ck_assert_int_eq(output(model, "y")->op, OP_RELU);
}
END_TEST

START_TEST(a_chain_keeps_the_other_inputs)
{
    Model *model =
        load_network("nodes: {a: {op: relu, in: image}, 1..3: {op: add, in: [image, a]}}\noutputs: {y: 3}\n");
    ck_assert_str_eq(output(model, "y")->in[0]->name, "2");
    ck_assert_str_eq(output(model, "y")->in[1]->name, "a");
}
END_TEST

/* ---- networks of other files ---- */

#define PART                                                                                                 \
    "segc: 1\nnetwork: part\nsettings: {filters: 4, classes: 9}\ninputs: {x: [N, C, H, W]}\nnodes:\n"        \
    "  body: {op: conv2d, in: x, filters: $filters, kernel: 1}\n"                                            \
    "  up: {op: resize, in: body, size: [H * 2, W * 2]}\n"                                                   \
    "  head: {op: conv2d, in: body, filters: $classes, kernel: 1}\noutputs: {y: up, logits: head}\n"

START_TEST(a_used_network_declares_all_its_parameters)
{
    write_file("part.yaml", PART);
    Model *model = load_network("use: {part: part.yaml}\nnodes: {half: {op: max_pool2d, in: image, kernel: "
                                "2}, a: {op: part, in: half, filters: 5}}\noutputs: {y: a.y}\n");
    expect_type(output(model, "y"), "f32[1,5,16,32]");
    expect_params(model, "a.body.weight a.body.bias a.head.weight a.head.bias");
}
END_TEST

START_TEST(each_use_has_parameters_of_its_own)
{
    write_file("part.yaml", PART);
    Model *model = load_network("use: {part: part.yaml}\nnodes: {a: {op: part, in: image}, b: {op: part, in: "
                                "image}}\noutputs: {y: a.y, z: b.y}\n");
    ck_assert_int_eq(model->graph->n_params, 8);
}
END_TEST

START_TEST(files_are_found_in_the_graph_folders)
{
    char path[128];
    snprintf(path, sizeof path, "%s/shared", folder);
    ck_assert_int_eq(system(arena_printf(arena, "mkdir %s", path)), 0);
    write_file("shared/part.yaml", PART);
    const char *dirs[] = {"no/such/folder", path, NULL};
    const char *text = "segc: 1\nnetwork: t\ninputs: {x: [N, 3, H, W]}\nuse: {part: part.yaml}\nnodes: {a: "
                       "{op: part, in: x}}\noutputs: {y: a.logits}\n";
    expect_type(output(load_with(text, &(ModelOptions){.graph_dirs = dirs, .height = 8, .width = 8}), "y"),
                "f32[1,9,8,8]");
}
END_TEST

START_TEST(a_file_extends_another)
{
    write_file("part.yaml", PART);
    Model *model = load("segc: 1\nnetwork: less\nextends: part.yaml\nsettings: {filters: 6, classes: "
                        "~}\ninputs: {x: [N, 1, H, W]}\n"
                        "nodes: {head: ~}\noutputs: {logits: ~}\n");
    ck_assert_str_eq(model->name, "less");
    ck_assert_int_eq(model->graph->n_outputs, 1);
    expect_type(output(model, "y"), "f32[1,6,32,64]");
}
END_TEST

/* ---- settings of the command line ---- */

#define CLASSES                                                                                              \
    "segc: 1\nnetwork: t\nsettings: {classes: 4}\ninputs: {x: [N, 3, H, W]}\nsize: [8, 8]\n"                 \
    "nodes: {a: {op: conv2d, in: x, filters: $classes, kernel: 1}}\noutputs: {y: a}\n"

static ModelOptions set(const char **name, const char **value)
{
    return (ModelOptions){.n_settings = 1, .setting_names = name, .setting_values = value};
}

START_TEST(the_command_line_sets_settings)
{
    const char *name = "classes", *value = "2 * 5";
    ModelOptions options = set(&name, &value);
    expect_type(output(load_with(CLASSES, &options), "y"), "f32[1,10,8,8]");
}
END_TEST

START_TEST(an_unknown_setting_of_the_command_line_is_refused)
{
    const char *name = "clases", *value = "5";
    ModelOptions options = set(&name, &value);
    refuse_with(CLASSES, &options,
                "--set:1:1: error: the network 't' has no setting 'clases' (did you mean 'classes'?)");
}
END_TEST

START_TEST(a_wrong_setting_of_the_command_line_is_refused)
{
    const char *name = "classes", *value = "many";
    ModelOptions options = set(&name, &value);
    refuse_with(CLASSES, &options, "--set:1:9: error: 'filters' is an integer, not 'many'");
}
END_TEST

START_TEST(sizes_are_checked)
{
    refuse_with(CLASSES, &(ModelOptions){.batch = -1}, "batch, height and width are 1 to");
}
END_TEST

/* ---- programs ---- */

#define DISCRIMINATOR                                                                                        \
    "segc: 1\nnetwork: d\nsettings: {channels: }\ninputs: {x: [N, $channels, H, W]}\n"                       \
    "nodes: {c: {op: conv2d, in: x, filters: 1, kernel: 1}}\noutputs: {y: c}\n"

START_TEST(uses_of_a_program_s_network_share_weights)
{
    write_file("d.yaml", DISCRIMINATOR);
    Model *model = load("segc: 1\nprogram: p\nnetworks: {disc: {use: d.yaml, channels: 3}}\n"
                        "inputs: {source: {image: [N, 3, H, W]}, target: {image: [N, 3, H, W]}}\n"
                        "nodes: {s: {op: disc, in: source}, t: {op: disc, in: target.image}, d: {op: sub, "
                        "in: [s, t]}}\noutputs: {y: d}\n");
    expect_params(model, "disc.c.weight disc.c.bias");
    const Node *difference = output(model, "y");
    ck_assert_str_eq(difference->in[0]->name, "s.c");
    ck_assert_str_eq(difference->in[1]->name, "t.c");
    ck_assert_ptr_eq(difference->in[0]->in[1], difference->in[1]->in[1]);
    ck_assert_int_eq(model->n_networks, 1);
    ck_assert_str_eq(model->networks[0].name, "disc");
}
END_TEST

START_TEST(a_program_predicts_with_one_of_its_networks)
{
    write_file("d.yaml", DISCRIMINATOR);
    Model *model = load(
        "segc: 1\nprogram: p\nnetworks: {d: {use: d.yaml, channels: 3}}\npredict: {network: d, output: y}\n");
    ck_assert_str_eq(model->predict, "y");
    expect_type(output(model, "y"), "f32[1,1,16,32]");
    ck_assert_str_eq(output(model, "y")->in[0]->name, "x");
    expect_params(model, "d.c.weight d.c.bias");
}
END_TEST

/* ---- what else a file says ---- */

#define RELU "nodes: {a: {op: relu, in: image}}\noutputs: {first: image, y: a}\n"

START_TEST(what_is_not_said_has_defaults)
{
    Model *model = load_network(RELU);
    ck_assert_str_eq(model->predict, "first");
    ck_assert_int_eq(model->n_classes, 0);
    ck_assert_int_eq(model->ignore_index, 255);
    ck_assert(!model->preprocess.bgr);
    ck_assert_double_eq(model->preprocess.scale, 1.0 / 255);
    ck_assert_double_eq(model->preprocess.mean[2], 0);
    ck_assert_double_eq(model->preprocess.std[2], 1);
}
END_TEST

START_TEST(predict_preprocess_and_classes_are_read)
{
    Model *model = load_network(
        RELU "predict: {output: y}\n"
             "preprocess: {channels: bgr, scale: 1, mean: [1, 2, 3.5], std: [57, 58, 1 / 2]}\n"
             "classes: [{name: on, color: [1, 2, 255]}, {name: '2'}, {name: void, ignored: true}]\n"
             "ignore_index: 2\n");
    ck_assert_str_eq(model->predict, "y");
    ck_assert(model->preprocess.bgr);
    ck_assert_double_eq(model->preprocess.scale, 1);
    ck_assert_double_eq(model->preprocess.mean[2], 3.5);
    ck_assert_double_eq(model->preprocess.std[2], 0.5);
    ck_assert_int_eq(model->n_classes, 3);
    ck_assert_str_eq(model->classes[0].name, "on");
    ck_assert_int_eq(model->classes[0].color[2], 255);
    ck_assert(model->classes[2].ignored && !model->classes[1].ignored);
    ck_assert_int_eq(model->ignore_index, 2);
}
END_TEST

START_TEST(classes_may_be_those_of_a_data_set)
{
    write_file("base.yaml", "segc: 1\ndata: base\nclasses: [{name: sky}, {name: road}, {name: "
                            "tree}]\nignore_index: 11\nlayouts: {}\n");
    write_file("streets.yaml", "segc: 1\ndata: streets\nextends: base.yaml\nencodings: {}\n");
    Model *model = load_network(RELU "classes: streets.yaml\n");
    ck_assert_int_eq(model->n_classes, 3);
    ck_assert_str_eq(model->classes[0].name, "sky");
    ck_assert_int_eq(model->ignore_index, 11);
}
END_TEST

START_TEST(an_unused_block_is_a_warning)
{
    load_network(CONV_BN RELU);
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "warning: the block 'conv_bn' is never used"));
}
END_TEST

/* ---- the manual ---- */

/* The line of the manual's table of operators that begins with this one. */
static const char *manual_row(const char *manual, const char *name)
{
    const char *start = strstr(manual, arena_printf(arena, "\n| `%s` |", name));
    ck_assert_msg(start != NULL, "graphs/README.md has no row for '%s'", name);
    return arena_strndup(arena, start + 1, strcspn(start + 1, "\n"));
}

START_TEST(the_manual_has_every_operator)
{
    char *manual = arena_alloc(arena, 1 << 17);
    FILE *file = fopen("graphs/README.md", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_lt(fread(manual, 1, 1 << 17, file), 1 << 17);
    fclose(file);
    const char *operators = strstr(manual, "\n## Operators\n");
    ck_assert_ptr_nonnull(operators);
    for (int op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = op_info((Op)op);
        if (info->internal) continue;
        const char *row = manual_row(operators, info->name);
        for (int i = 0; i < info->n_attrs; i++) {
            if (info->attrs[i].name == A_STATISTICS) continue; /* the program says it, not the node */
            const char *mark = info->attrs[i].required ? "**" : "";
            const char *name =
                arena_printf(arena, "%s`%s`%s", mark, attr_info(info->attrs[i].name)->name, mark);
            ck_assert_msg(strstr(row, name) != NULL, "%s is missing in: %s", name, row);
        }
    }
}
END_TEST

/* ---- what would grow without end ---- */

START_TEST(blocks_that_multiply_are_stopped)
{
    Text text = text_new(arena);
    text_printf(&text, "blocks:\n  b0: {inputs: [x], nodes: {r: {op: relu, in: x}}, outputs: {y: r}}\n");
    for (int i = 1; i < 12; i++)
        text_printf(&text, "  b%d: {inputs: [x], nodes: {1..10: {op: b%d, in: x}}, outputs: {y: 10}}\n", i,
                    i - 1);
    text_printf(&text, "nodes: {a: {op: b11, in: image}}\noutputs: {y: a}\n");
    refuse_with(arena_printf(arena, "segc: 1\nnetwork: t\ninputs: {image: [N, 3, H, W]}\n%s", text.text),
                NULL, "the graph has more than 30000 nodes");
}
END_TEST

START_TEST(settings_that_multiply_are_evaluated_once)
{
    Text text = text_new(arena);
    text_printf(&text, "settings:\n  s0: 1\n");
    for (int i = 1; i < 60; i++) text_printf(&text, "  s%d: $s%d - $s%d + 1\n", i, i - 1, i - 1);
    text_printf(&text,
                "nodes: {a: {op: conv2d, in: image, filters: $s59 + $s59, kernel: 1}}\noutputs: {y: a}\n");
    expect_type(output(load_network(text.text), "y"), "f32[1,2,16,32]");
}
END_TEST

Suite *model_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *values = tcase_create("values");
    tcase_add_checked_fixture(values, begin, end);
    tcase_add_loop_test(values, integers_are_evaluated, 0, sizeof expressions / sizeof *expressions);
    tcase_add_loop_test(values, numbers_are_evaluated, 0, sizeof expressions / sizeof *expressions);
    tcase_add_loop_test(values, fractions_are_evaluated, 0, sizeof numbers / sizeof *numbers);
    tcase_add_loop_test(values, truth_values_are_evaluated, 0, sizeof truths / sizeof *truths);
    tcase_add_loop_test(values, no_integers_are_refused, 0, sizeof no_integers / sizeof *no_integers);
    tcase_add_test(values, a_used_setting_is_marked);
    suite_add_tcase(suite, values);
    TCase *nodes = tcase_create("nodes");
    tcase_add_checked_fixture(nodes, begin, end);
    tcase_add_test(nodes, a_network_becomes_a_graph);
    tcase_add_test(nodes, batch_and_size_are_the_options);
    tcase_add_test(nodes, the_size_is_512_by_1024_if_nothing_else_is_said);
    tcase_add_test(nodes, nodes_may_stand_in_any_order);
    tcase_add_test(nodes, a_long_list_backwards_is_no_deep_recursion);
    tcase_add_test(nodes, words_of_yaml_are_names);
    tcase_add_test(nodes, attributes_hold_their_values);
    suite_add_tcase(suite, nodes);
    TCase *blocks = tcase_create("blocks");
    tcase_add_checked_fixture(blocks, begin, end);
    tcase_add_test(blocks, a_block_names_its_parameters_by_path);
    tcase_add_test(blocks, a_block_within_a_block_sees_the_settings_given_to_it);
    tcase_add_test(blocks, a_block_sees_the_settings_of_its_file);
    tcase_add_test(blocks, outputs_are_chosen_by_name);
    tcase_add_test(blocks, a_chain_feeds_each_node_by_the_one_before);
    tcase_add_test(blocks, a_chain_of_none_is_its_input);
    tcase_add_test(blocks, a_chain_keeps_the_other_inputs);
    tcase_add_test(blocks, blocks_that_multiply_are_stopped);
    tcase_add_test(blocks, settings_that_multiply_are_evaluated_once);
    suite_add_tcase(suite, blocks);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, begin, end);
    tcase_add_test(files, a_used_network_declares_all_its_parameters);
    tcase_add_test(files, each_use_has_parameters_of_its_own);
    tcase_add_test(files, files_are_found_in_the_graph_folders);
    tcase_add_test(files, a_file_extends_another);
    tcase_add_test(files, the_command_line_sets_settings);
    tcase_add_test(files, an_unknown_setting_of_the_command_line_is_refused);
    tcase_add_test(files, a_wrong_setting_of_the_command_line_is_refused);
    tcase_add_test(files, sizes_are_checked);
    tcase_add_test(files, uses_of_a_program_s_network_share_weights);
    tcase_add_test(files, a_program_predicts_with_one_of_its_networks);
    tcase_add_test(files, what_is_not_said_has_defaults);
    tcase_add_test(files, predict_preprocess_and_classes_are_read);
    tcase_add_test(files, classes_may_be_those_of_a_data_set);
    tcase_add_test(files, an_unused_block_is_a_warning);
    tcase_add_test(files, the_manual_has_every_operator);
    suite_add_tcase(suite, files);
    return suite;
}
