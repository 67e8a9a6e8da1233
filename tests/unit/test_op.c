/* The operator table: shapes and counts against PyTorch's, messages, parameters, scalar rules. */
#define _GNU_SOURCE
#include "op.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *op_suite(void);

static Arena *arena;
static Diag *diag;
static Graph *graph;
static const Source source = {.path = "net.yaml", .text = "", .size = 0};

static void set_up(void)
{
    arena = arena_new();
    diag = diag_new(arena);
    graph = graph_new(arena, diag, "test");
}

static void tear_down(void)
{
    arena_free(arena);
}

/* ---- graphs from short texts -----------------------------------------------------------------------------
 */

static Node *input(const char *name, Dtype dtype, const int64_t *dims, int rank, int line)
{
    Node *node = graph_add(graph, OP_INPUT, name, (Pos){&source, line, 1}, NULL, 0);
    node_set_ints(node, A_SHAPE, dims, rank);
    node_set_string(node, A_DTYPE, dtype_name(dtype));
    ck_assert(graph_infer(graph, node));
    return node;
}

/* "1,3,5,7; i32 1,3" makes two inputs, a and b. */
static int inputs(const char *text, Node **in)
{
    int count = 0;
    for (char *part = strtok(arena_strdup(arena, text), ";"); part; part = strtok(NULL, ";"), count++) {
        Dtype dtype = strstr(part, "i32") ? I32 : F32;
        int64_t dims[MAX_RANK];
        int rank = 0;
        for (char *at = dtype == I32 ? strstr(part, "i32") + 3 : part; *at; at += *at == ',')
            dims[rank++] = strtoll(at, &at, 10);
        in[count] = input((const char[]){(char)('a' + count), 0}, dtype, dims, rank, count + 1);
    }
    return count;
}

static void set_attr(Node *node, const char *key, char *value)
{
    AttrName name = attr_find(key);
    ck_assert_msg(name < ATTR_COUNT && op_attr_index(node->op, name) >= 0, "no attribute %s", key);
    AttrKind kind = attr_info(name)->kind;
    if (kind == ATTR_FLOAT) node_set_float(node, name, strtod(value, NULL));
    if (kind == ATTR_CHOICE) node_set_string(node, name, value);
    if (kind == ATTR_BOOL) node_set_bool(node, name, value[0] == 't');
    if (kind == ATTR_FLOAT || kind == ATTR_CHOICE || kind == ATTR_BOOL) return;
    int64_t numbers[MAX_INTS];
    int count = 0;
    for (char *at = value + strspn(value, "["); *at && *at != ']'; at += strspn(at, ", "))
        numbers[count++] = strtoll(at, &at, 10);
    if (kind == ATTR_PAIR && count == 1) numbers[count++] = numbers[0];
    node_set_ints(node, name, numbers, count);
}

/* "kernel: [3, 5], bias: false", as in the fixtures' manifest. */
static void set_attrs(Node *node, const char *text)
{
    char *at = arena_strdup(arena, text);
    while (*at) {
        char *colon = strchr(at, ':');
        *colon = 0;
        char *value = colon + 2, *end = *value == '[' ? strchr(value, ']') + 1 : value + strcspn(value, ",");
        char *next = *end ? end + 2 : end;
        *end = 0;
        set_attr(node, at, value);
        at = next;
    }
}

static Node *make(const char *op, const char *in_text, const char *attrs)
{
    Node *in[16];
    int n_in = inputs(in_text, in);
    ck_assert_msg(op_find(op) < OP_COUNT, "%s", op);
    Node *node = graph_add(graph, op_find(op), "n", (Pos){&source, 9, 3}, in, n_in);
    set_attrs(node, attrs);
    if (graph_declare_params(graph, node)) graph_infer(graph, node);
    return node;
}

/* ---- shapes ----------------------------------------------------------------------------------------------
 */

static const struct {
    const char *op, *in, *attrs, *type;
    int64_t count;
} shapes[] = {
    {"conv2d", "1,3,512,1024", "filters: 64, kernel: 7, stride: 2, padding: 3, bias: false",
     "f32[1,64,256,512]", 64LL * 256 * 512 * 147},
    {"conv2d", "2,6,9,9", "filters: 4, kernel: 3, groups: 2", "f32[2,4,7,7]", 2 * 4 * 49 * 27},
    {"conv2d", "1,8,5,5", "filters: 8, kernel: 3, padding: 1, groups: 8", "f32[1,8,5,5]", 8 * 25 * 9},
    {"conv2d", "1,2,65,129", "filters: 19, kernel: 3, padding: 24, dilation: 24", "f32[1,19,65,129]",
     19LL * 65 * 129 * 18},
    {"conv2d", "1,3,4,4", "filters: 1, kernel: 4", "f32[1,1,1,1]", 48},
    {"conv2d", "1,1,7,9", "filters: 2, kernel: [3, 5], stride: [2, 3], padding: [0, 1]", "f32[1,2,3,3]",
     18 * 15},
    {"conv_transpose2d", "1,4,5,7", "filters: 6, kernel: 2, stride: 2, bias: false", "f32[1,6,10,14]",
     4 * 35 * 6 * 4},
    {"conv_transpose2d", "1,4,5,3", "filters: 8, kernel: 3, stride: 2, padding: 1, groups: 2", "f32[1,8,9,5]",
     4 * 15 * 4 * 9},
    {"conv_transpose2d", "1,1,3,3", "filters: 1, kernel: 2, dilation: 3, output_padding: 2", "f32[1,1,8,8]",
     36},
    {"linear", "3,19", "features: 7", "f32[3,7]", 3 * 19 * 7},
    {"linear", "2,5,19", "features: 7, bias: false", "f32[2,5,7]", 2 * 5 * 19 * 7},
    {"batch_norm", "2,3,4,5", "", "f32[2,3,4,5]", 240},
    {"batch_norm", "2,3", "", "f32[2,3]", 12},
    {"relu", "7", "", "f32[7]", 0},
    {"prelu", "2,3,4", "init: 0.1", "f32[2,3,4]", 0},
    {"affine", "2,3", "scale: 2", "f32[2,3]", 0},
    {"add", "2,3,4,5; 3,1,5", "", "f32[2,3,4,5]", 0},
    {"mul", "2,3,1,1; 1,3,4,5", "", "f32[2,3,4,5]", 0},
    {"sub", "5; 2,1", "", "f32[2,5]", 0},
    {"div", "1; 1,1,1", "", "f32[1,1,1]", 0},
    {"add", "1,4; 3,1; 2,1,1", "", "f32[2,3,4]", 0},
    {"max_pool2d", "1,64,256,512", "kernel: 3, stride: 2, padding: 1", "f32[1,64,128,256]", 0},
    {"max_pool2d", "1,64,256,512", "kernel: 3, stride: 2, padding: 1, ceil_mode: true", "f32[1,64,129,257]",
     0},
    {"max_pool2d", "1,1,5,5", "kernel: 2, stride: 4, padding: 1, ceil_mode: true", "f32[1,1,2,2]", 0},
    {"max_pool2d", "1,1,1,1", "kernel: 2, ceil_mode: true", "f32[1,1,1,1]", 0},
    {"avg_pool2d", "1,3,192,256", "kernel: 3, stride: 2, padding: 1", "f32[1,3,96,128]", 0},
    {"avg_pool2d", "1,3,6,6", "kernel: 2", "f32[1,3,3,3]", 0},
    {"resize", "1,19,64,128", "scale_factor: 8", "f32[1,19,512,1024]", 4LL * 19 * 512 * 1024},
    {"resize", "1,1,5,7", "scale_factor: 1.5", "f32[1,1,7,10]", 280},
    {"resize", "1,1,5,7", "size: [11, 9], mode: nearest", "f32[1,1,11,9]", 0},
    {"resize", "1,2,5,7; 3,4,6,8", "", "f32[1,2,6,8]", 384},
    {"resize", "1,2,5,7; i32 3,4,6,8", "align_corners: true", "f32[1,2,6,8]", 384},
    {"global_avg_pool", "2,3,4,5", "", "f32[2,3,1,1]", 120},
    {"softmax", "2,3,4,5", "dim: -1", "f32[2,3,4,5]", 0},
    {"log_softmax", "2,3", "", "f32[2,3]", 0},
    {"argmax", "2,3,4,5", "", "i32[2,4,5]", 0},
    {"argmax", "2,3,4,5", "dim: -2", "i32[2,3,5]", 0},
    {"concat", "1,2,3,4; 1,5,3,4; 1,1,3,4", "", "f32[1,8,3,4]", 0},
    {"concat", "i32 1,2; i32 1,3", "dim: -1", "i32[1,5]", 0},
    {"slice", "1,8,3,4", "start: 2, end: -1", "f32[1,5,3,4]", 0},
    {"slice", "1,8,3,4", "start: -3", "f32[1,3,3,4]", 0},
    {"slice", "1,8,3,4", "dim: -1, start: -9, end: 99", "f32[1,8,3,4]", 0},
    {"pad", "1,2,4,5", "pads: [1, 2, 3, 0]", "f32[1,2,7,8]", 0},
    {"pad", "1,2,4,5", "pads: [-1, 0, 0, -3]", "f32[1,2,1,4]", 0},
    {"pad", "1,2,4,5", "pads: [4, 4, 3, 3], pad_mode: reflect", "f32[1,2,10,13]", 0},
    {"pad", "1,3,1,1", "pads: [2, 1, 1, 2], pad_mode: replicate", "f32[1,3,4,4]", 0},
    {"flatten", "2,3,4,5", "", "f32[2,60]", 0},
    {"reshape", "2,3,4", "shape: [6, 1, 4]", "f32[6,1,4]", 0},
    {"rsqrt", "8", "eps: 1e-5", "f32[8]", 0},
    {"scale_shift", "2,3,4,5; 1,3,1,1; 1,3,1,1", "", "f32[2,3,4,5]", 0},
};

START_TEST(shape_is_pytorchs)
{
    Node *node = make(shapes[_i].op, shapes[_i].in, shapes[_i].attrs);
    ck_assert_msg(!diag_failed(diag), "%s", diag_text(diag));
    ck_assert_str_eq(type_text(arena, node->type), shapes[_i].type);
    const OpInfo *info = op_info(node->op);
    ck_assert_int_eq(info->count ? info->count(node) : 0, shapes[_i].count);
}
END_TEST

/* Lines of the manifest: operator, offset, rank and dimensions of input and of output, attributes. */
START_TEST(shape_is_that_of_every_fixture)
{
    FILE *file = fopen("tests/fixtures/ops/manifest.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[1000], op[32];
    int lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        char *at = line, dims[2][100] = {"", ""};
        line[strcspn(line, "\n")] = 0;
        ck_assert_int_eq(sscanf(at, "%31s", op), 1);
        at += strlen(op);
        (void)strtol(at, &at, 10);
        for (int i = 0; i < 2; i++) {
            long rank = strtol(at, &at, 10);
            for (long j = 0; j < rank; j++)
                sprintf(dims[i] + strlen(dims[i]), "%s%ld", j ? "," : "", strtol(at, &at, 10));
        }
        Node *node = make(op, dims[0], at + strspn(at, " "));
        ck_assert_msg(!diag_failed(diag), "%s\n%s", line, diag_text(diag));
        ck_assert_str_eq(type_text(arena, node->type), arena_printf(arena, "f32[%s]", dims[1]));
    }
    fclose(file);
    ck_assert_int_gt(lines, 70);
}
END_TEST

START_TEST(resize_drops_the_input_that_gave_its_size)
{
    Node *node = make("resize", "1,2,5,7; 3,4,6,8", "");
    ck_assert_int_eq(node->n_in, 1);
    ck_assert_int_eq(node_rows(node, A_SIZE), 6);
    ck_assert_int_eq(node_columns(node, A_SIZE), 8);
}
END_TEST

START_TEST(negative_indices_are_resolved)
{
    Node *node = make("slice", "1,8,3,4", "dim: -3, start: -7, end: -2");
    ck_assert_int_eq(node_int(node, A_DIM), 1);
    ck_assert_int_eq(node_int(node, A_START), 1);
    ck_assert_int_eq(node_int(node, A_END), 6);
}
END_TEST

START_TEST(stride_of_a_pool_is_its_kernel)
{
    Node *node = make("max_pool2d", "1,1,9,9", "kernel: [2, 3]");
    ck_assert_int_eq(node_rows(node, A_STRIDE), 2);
    ck_assert_int_eq(node_columns(node, A_STRIDE), 3);
}
END_TEST

/* ---- messages --------------------------------------------------------------------------------------------
 */

static const struct {
    const char *op, *in, *attrs, *message;
} mistakes[] = {
    {"conv2d", "1,3,1,9", "filters: 4, kernel: 4, padding: 1",
     "kernel 4 over height 1 + 2*1 padding leaves no row"},
    {"conv2d", "1,3,9,1", "filters: 4, kernel: 4, padding: 1",
     "kernel 4 over width 1 + 2*1 padding leaves no column"},
    {"conv2d", "1,3,9,9", "filters: 4, kernel: 3, dilation: 12",
     "kernel 3 with dilation 12, which spans 25 rows, over height 9 + 2*0 padding leaves no row"},
    {"conv2d", "1,3,9,9", "filters: 4, kernel: 3, groups: 2", "3 input channels do not divide into 2 groups"},
    {"conv2d", "1,4,9,9", "filters: 3, kernel: 3, groups: 2", "3 filters do not divide into 2 groups"},
    {"conv2d", "1,4,9,9", "filters: 4, kernel: 3, groups: 0", "'groups' must be at least 1, not 0"},
    {"conv2d", "1,4,9,9", "filters: 0, kernel: 3", "'filters' must be at least 1, not 0"},
    {"conv2d", "1,4,9,9", "filters: 4, kernel: [3, 0]", "'kernel' must be at least 1, not 0"},
    {"conv2d", "1,4,9,9", "filters: 4, kernel: 3, stride: 0", "'stride' must be at least 1, not 0"},
    {"conv2d", "1,4,9,9", "filters: 4, kernel: 3, padding: -1", "'padding' must be at least 0, not -1"},
    {"conv2d", "1,4,9,9", "filters: 4", "'kernel' is missing"},
    {"conv2d", "1,4,9,9", "filters: 9999999999999, kernel: 3", "'filters' is out of range: 9999999999999"},
    {"conv2d", "1,4,90000,90000", "filters: 900000, kernel: 1",
     "the result is too large: f32[1,900000,90000,90000]"},
    {"conv2d", "4,9", "filters: 4, kernel: 3", "takes [N,C,H,W], not f32[4,9]"},
    {"conv2d", "i32 1,4,9,9", "filters: 4, kernel: 3", "takes f32, not i32"},
    {"conv2d", "1,4,9,9; 1,4,9,9", "filters: 4, kernel: 3", "takes 1 input, not 2"},
    {"conv_transpose2d", "1,4,5,5", "filters: 4, kernel: 3, stride: 2, output_padding: 2",
     "'output_padding' 2 must be smaller than the stride 2 or the dilation 1"},
    {"conv_transpose2d", "1,4,1,5", "filters: 4, kernel: 1, padding: 1",
     "(height 1 - 1) * stride 1 - 2*1 padding + 1 leaves no row"},
    {"linear", "3,4", "features: 0", "'features' must be at least 1, not 0"},
    {"batch_norm", "3", "", "takes 2 dimensions or more, not f32[3]"},
    {"batch_norm", "3,4", "eps: -1", "'eps' must not be negative: -1"},
    {"add", "2,3; 2,4", "", "f32[2,3] and f32[2,4] do not broadcast"},
    {"add", "2,3", "", "takes 2 to 8 inputs, not 1"},
    {"sub", "2; 2; 2", "", "takes 2 inputs, not 3"},
    {"max_pool2d", "1,1,9,9", "kernel: 3, padding: 2", "'padding' 2 is more than half of the kernel 3"},
    {"max_pool2d", "1,1,1,9", "kernel: 2", "kernel 2 over height 1 + 2*0 padding leaves no row"},
    {"max_pool2d", "1,1,9,3", "kernel: 3, dilation: 2",
     "spans 5 columns, over width 3 + 2*0 padding leaves no column"},
    {"resize", "1,1,9,9", "",
     "takes the new size from one of 'size', 'scale_factor' or a second input; none is given"},
    {"resize", "1,1,9,9; 1,1,3,3", "size: 4", "; more than one is given"},
    {"resize", "1,1,9,9; 3,3", "", "must be [N,C,H,W], not f32[3,3]"},
    {"resize", "1,1,1,9", "scale_factor: 0.5", "height 1 * scale_factor 0.5 leaves no row"},
    {"resize", "1,1,9,9", "scale_factor: -2", "height 9 * scale_factor -2 leaves no row"},
    {"resize", "1,1,9,9", "scale_factor: 1e30", "height 9 * scale_factor 1e+30 leaves no sensible size"},
    {"resize", "1,1,9,9", "scale_factor: nan", "'scale_factor' is not a number"},
    {"resize", "1,1,9,9", "size: 0", "'size' must be at least 1, not 0"},
    {"resize", "1,1,9,9", "size: 4, mode: cubic", "'mode' can be bilinear|nearest, not 'cubic'"},
    {"resize", "1,1,9,9", "size: 4, mode: near", "'mode' can be bilinear|nearest, not 'near'"},
    {"resize", "1,1,9,9", "size: 4, mode: nearest, align_corners: true",
     "'align_corners' goes with mode bilinear only"},
    {"softmax", "2,3", "dim: 2", "'dim' is 2, and the input has 2 dimensions"},
    {"argmax", "2,3", "dim: -3", "'dim' is -3, and the input has 2 dimensions"},
    {"concat", "1,2,3,4; 1,2,3,5", "", "f32[1,2,3,4] and f32[1,2,3,5] differ in more than dimension 1"},
    {"concat", "1,2,3; 1,2", "", "f32[1,2,3] and f32[1,2] differ in more than dimension 1"},
    {"concat", "1,2,3; i32 1,2,3", "", "differ in more than dimension 1"},
    {"slice", "1,8,3,4", "start: 3, end: 3", "from 3 to 3 leaves nothing of 8"},
    {"slice", "1,8,3,4", "start: 8", "from 8 to 8 leaves nothing of 8"},
    {"pad", "1,2,4,5", "pads: [1, 2]", "'pads' is [left, right, top, bottom], not 2 numbers"},
    {"pad", "1,2,4,5", "pads: [5, 0, 0, 0], pad_mode: reflect",
     "a reflect border of 5 needs more than 5 to reflect"},
    {"pad", "1,2,4,5", "pads: [-1, 0, 0, 0], pad_mode: replicate",
     "a replicate border can't be negative: -1"},
    {"pad", "1,2,4,5", "pads: [0, 0, -2, -2]", "-2 + height 4 + -2 leaves no row"},
    {"flatten", "9", "", "takes 2 dimensions or more, not f32[9]"},
    {"reshape", "2,3", "shape: [2, 4]", "f32[2,3] has 6 elements, which do not fill the shape"},
    {"reshape", "2,3", "shape: [-2, -3]", "which do not fill the shape"},
};

START_TEST(mistake_is_named)
{
    Node *node = make(mistakes[_i].op, mistakes[_i].in, mistakes[_i].attrs);
    const char *text = diag_text(diag);
    ck_assert_int_eq(diag_errors(diag), 1);
    ck_assert_int_eq(node->type.rank, 0);
    ck_assert(!type_known(node->type));
    ck_assert_msg(strstr(text, mistakes[_i].message) != NULL, "%s", text);
    const char *where = arena_printf(arena, "net.yaml:9:3: error: %s 'n': ", mistakes[_i].op);
    ck_assert_msg(strstr(text, where) != NULL, "%s", text);
}
END_TEST

START_TEST(message_shows_the_chain_of_shapes)
{
    Node *at = input("image", F32, (const int64_t[]){1, 3, 32, 64}, 4, 2);
    for (int i = 0; i < 7; i++) {
        Node *pool = graph_add(graph, OP_MAX_POOL2D, arena_printf(arena, "pool%d", i),
                               (Pos){&source, i + 3, 3}, &at, 1);
        node_set_pair(pool, A_KERNEL, 2, 2);
        bool inferred = graph_infer(graph, pool);
        ck_assert_int_eq(inferred, i < 5);
        if (!inferred) break;
        at = pool;
    }
    ck_assert_str_eq(
        diag_text(diag),
        "net.yaml:8:3: error: max_pool2d 'pool5': kernel 2 over height 1 + 2*0 padding leaves no row\n"
        "net.yaml:7:3: note: pool4: f32[1,3,1,2]\n"
        "net.yaml:6:3: note: pool3: f32[1,3,2,4]\n"
        "net.yaml:5:3: note: pool2: f32[1,3,4,8]\n"
        "net.yaml:4:3: note: pool1: f32[1,3,8,16]\n"
        "net.yaml:3:3: note: pool0: f32[1,3,16,32]\n"
        "net.yaml:2:1: note: image: f32[1,3,32,64]\n");
}
END_TEST

START_TEST(message_shows_every_input)
{
    make("concat", "1,2,3,4; 1,2,3,5", "");
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "net.yaml:1:1: note: a: f32[1,2,3,4]\n"));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "net.yaml:2:1: note: b: f32[1,2,3,5]\n"));
}
END_TEST

START_TEST(user_of_a_mistake_is_quiet)
{
    Node *bad = make("relu", "i32 4", "");
    Node *user = graph_add(graph, OP_RELU, "user", (Pos){0}, &bad, 1);
    ck_assert(!graph_infer(graph, user));
    Node *conv = graph_add(graph, OP_CONV2D, "conv", (Pos){0}, &bad, 1);
    ck_assert(!graph_declare_params(graph, conv));
    ck_assert_int_eq(diag_errors(diag), 1);
}
END_TEST

/* ---- parameters ------------------------------------------------------------------------------------------
 */

static void check_param(int index, const char *name, const char *type, int kind, double value)
{
    ck_assert_int_lt(index, graph->n_params);
    ParamInit init = graph_param_init(graph->params[index]);
    ck_assert_str_eq(graph->params[index]->name, name);
    ck_assert_str_eq(type_text(arena, graph->params[index]->type), type);
    ck_assert_int_eq(init.kind, kind);
    ck_assert_double_eq(init.value, value);
    ck_assert_int_eq(init.statistic, strstr(name, "running") != NULL);
}

START_TEST(conv2d_declares_weight_and_bias)
{
    Node *node = make("conv2d", "1,6,9,9", "filters: 4, kernel: [3, 5], groups: 2");
    check_param(0, "n.weight", "f32[4,3,3,5]", PARAM_UNIFORM, 1 / sqrt(45));
    check_param(1, "n.bias", "f32[4]", PARAM_UNIFORM, 1 / sqrt(45));
    ck_assert_int_eq(node->n_in, 3);
    ck_assert_int_eq(op_data_inputs(node), 1);
    ck_assert_ptr_eq(node->in[2], graph->params[1]);
}
END_TEST

START_TEST(conv2d_without_bias_declares_weight_only)
{
    ck_assert_int_eq(make("conv2d", "1,6,9,9", "filters: 4, kernel: 3, bias: false")->n_in, 2);
    ck_assert_int_eq(graph->n_params, 1);
}
END_TEST

START_TEST(conv_transpose2d_stores_inputs_first)
{
    make("conv_transpose2d", "1,4,5,5", "filters: 6, kernel: 4, stride: 2, groups: 2");
    check_param(0, "n.weight", "f32[4,3,4,4]", PARAM_UNIFORM, 1 / sqrt(48));
    check_param(1, "n.bias", "f32[6]", PARAM_UNIFORM, 1 / sqrt(48));
}
END_TEST

START_TEST(linear_stores_outputs_first)
{
    make("linear", "3,19", "features: 7");
    check_param(0, "n.weight", "f32[7,19]", PARAM_UNIFORM, 1 / sqrt(19));
    check_param(1, "n.bias", "f32[7]", PARAM_UNIFORM, 1 / sqrt(19));
}
END_TEST

START_TEST(batch_norm_declares_statistics)
{
    make("batch_norm", "2,3,4,5", "");
    check_param(0, "n.weight", "f32[3]", PARAM_ONE, 0);
    check_param(1, "n.bias", "f32[3]", PARAM_ZERO, 0);
    check_param(2, "n.running_mean", "f32[3]", PARAM_ZERO, 0);
    check_param(3, "n.running_var", "f32[3]", PARAM_ONE, 0);
}
END_TEST

START_TEST(prelu_declares_a_slope_per_channel)
{
    make("prelu", "2,3,4,5", "");
    check_param(0, "n.weight", "f32[3]", PARAM_CONSTANT, 0.25);
}
END_TEST

START_TEST(parameters_stand_before_their_node)
{
    Node *node = make("conv2d", "1,6,9,9", "filters: 4, kernel: 3");
    ck_assert_ptr_eq(graph->nodes[graph->n_nodes - 1], node);
    for (int i = 0; i < graph->n_nodes; i++) ck_assert_int_eq(graph->nodes[i]->id, i + 1);
    ck_assert_ptr_null(graph_fault(graph));
}
END_TEST

START_TEST(parameters_of_another_shape_are_refused)
{
    Node *node = make("conv2d", "1,6,9,9", "filters: 4, kernel: 3");
    node_set_int(node, A_FILTERS, 8);
    ck_assert(!graph_infer(graph, node));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "the weight is f32[8,6,3,3], not f32[4,6,3,3]"));
}
END_TEST

START_TEST(missing_parameters_are_refused)
{
    Node *node = make("conv2d", "1,6,9,9", "filters: 4, kernel: 3");
    node->n_in = 1;
    ck_assert(!graph_infer(graph, node));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "has 1 inputs, and 2 parameters are declared"));
}
END_TEST

/* ---- the table itself ------------------------------------------------------------------------------------
 */

START_TEST(row_is_whole)
{
    const OpInfo *info = op_info((Op)_i);
    ck_assert_int_eq(op_find(info->name), _i);
    ck_assert(info->shape != NULL);
    ck_assert_int_gt(strlen(info->summary), 0);
    ck_assert_int_le(info->n_attrs, MAX_ATTRS);
    if (info->scalar) ck_assert(info->class == CLASS_ELEMENTWISE);
    if (info->class == CLASS_ELEMENTWISE) ck_assert((info->scalar != NULL) != (info->lower != NULL));
    if (info->lower) ck_assert(info->class != CLASS_SOURCE);
    if (info->params) ck_assert_int_eq(info->min_in, info->max_in);
    for (int i = 0; i < info->n_attrs; i++) {
        ck_assert_int_eq(op_attr_index((Op)_i, info->attrs[i].name), i);
        ck_assert(info->attrs[i].value.name == info->attrs[i].name);
        if (info->attrs[i].required) ck_assert_int_eq(info->attrs[i].value.n, 0);
        if (attr_info(info->attrs[i].name)->kind == ATTR_CHOICE && info->attrs[i].value.n)
            ck_assert(attr_has_word(info->attrs[i].name, info->attrs[i].value.s));
    }
}
END_TEST

START_TEST(words_are_whole)
{
    ck_assert(attr_has_word(A_PAD_MODE, "reflect"));
    ck_assert(attr_has_word(A_PAD_MODE, "constant"));
    ck_assert(attr_has_word(A_PAD_MODE, "replicate"));
    ck_assert(!attr_has_word(A_PAD_MODE, "repl"));
    ck_assert(!attr_has_word(A_PAD_MODE, ""));
    ck_assert(!attr_has_word(A_PAD_MODE, "constant|reflect"));
    ck_assert_int_eq(op_find("no_such"), OP_COUNT);
    ck_assert_int_eq(attr_find("no_such"), ATTR_COUNT);
}
END_TEST

/* ---- scalar rules ----------------------------------------------------------------------------------------
 */

/* The value of an expression without loads or variables. */
static double value_of(const Expr *e)
{
    double x = e->arg[0] ? value_of(e->arg[0]) : 0, y = e->arg[1] ? value_of(e->arg[1]) : 0;
    switch (e->kind) {
    case EXPR_INT: return (double)e->i;
    case EXPR_FLOAT: return e->f;
    case EXPR_ADD: return x + y;
    case EXPR_SUB: return x - y;
    case EXPR_MUL: return x * y;
    case EXPR_DIV: return x / y;
    case EXPR_MAX: return x > y ? x : y;
    case EXPR_LT: return x < y;
    case EXPR_NEG: return -x;
    case EXPR_EXP: return exp(x);
    case EXPR_SQRT: return sqrt(x);
    case EXPR_FMA: return fma(x, y, value_of(e->arg[2]));
    case EXPR_SELECT: return x != 0 ? y : value_of(e->arg[2]);
    default: ck_abort_msg("kind %d", e->kind);
    }
    return 0;
}

static const struct {
    const char *op, *in, *attrs;
    double x[5], y;
} scalars[] = {
    {"relu", "4", "", {-2}, 0},
    {"relu", "4", "", {3}, 3},
    {"leaky_relu", "4", "negative_slope: 0.5", {-2}, -1},
    {"leaky_relu", "4", "negative_slope: 0.5", {2}, 2},
    {"leaky_relu", "4", "negative_slope: 2", {-2}, -4},
    {"prelu", "1,4", "", {-2, 0.125}, -0.25},
    {"prelu", "1,4", "", {2, 0.125}, 2},
    {"sigmoid", "4", "", {0}, 0.5},
    {"sigmoid", "4", "", {-1000}, 0},
    {"sigmoid", "4", "", {1000}, 1},
    {"affine", "4", "scale: 3, shift: -1", {2}, 5},
    {"rsqrt", "4", "eps: 1", {3}, 0.5},
    {"add", "4; 4; 4", "", {1, 2, 4}, 7},
    {"mul", "4; 4; 4", "", {2, 3, 4}, 24},
    {"sub", "4; 4", "", {2, 3}, -1},
    {"div", "4; 4", "", {3, 2}, 1.5},
    {"scale_shift", "4; 4; 4", "", {2, 3, 4}, 10},
    {"batch_norm", "1,4", "eps: 1", {5, 3, 7, 1, 3}, 13}, /* (5 - 1) / sqrt(3 + 1) * 3 + 7 */
};

/* The inputs are lets, so that nothing folds; their values are put in afterwards. */
START_TEST(scalar_rule_computes)
{
    LoopBuilder b = loop_builder(arena, "test");
    Node *node = make(scalars[_i].op, scalars[_i].in, scalars[_i].attrs);
    Expr *in[5];
    for (int i = 0; i < 5; i++) in[i] = loop_let(&b, "x", expr_float(&b, scalars[_i].x[i]));
    Expr *value = op_info(node->op)->scalar(&b, node, in);
    for (int i = 0; i < 5; i++) *in[i] = (Expr){.kind = EXPR_FLOAT, .f = scalars[_i].x[i]};
    ck_assert_double_eq(value_of(value), scalars[_i].y);
}
END_TEST

#define N_OF(array) (int)(sizeof(array) / sizeof *(array))

Suite *op_suite(void)
{
    Suite *suite = suite_create("op");
    TCase *shape = tcase_create("shapes"), *message = tcase_create("messages");
    TCase *param = tcase_create("parameters"), *table = tcase_create("table");
    TCase *cases[] = {shape, message, param, table};
    for (int i = 0; i < N_OF(cases); i++) {
        tcase_add_checked_fixture(cases[i], set_up, tear_down);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_loop_test(shape, shape_is_pytorchs, 0, N_OF(shapes));
    tcase_add_test(shape, shape_is_that_of_every_fixture);
    tcase_add_test(shape, resize_drops_the_input_that_gave_its_size);
    tcase_add_test(shape, negative_indices_are_resolved);
    tcase_add_test(shape, stride_of_a_pool_is_its_kernel);
    tcase_add_loop_test(message, mistake_is_named, 0, N_OF(mistakes));
    tcase_add_test(message, message_shows_the_chain_of_shapes);
    tcase_add_test(message, message_shows_every_input);
    tcase_add_test(message, user_of_a_mistake_is_quiet);
    tcase_add_test(param, conv2d_declares_weight_and_bias);
    tcase_add_test(param, conv2d_without_bias_declares_weight_only);
    tcase_add_test(param, conv_transpose2d_stores_inputs_first);
    tcase_add_test(param, linear_stores_outputs_first);
    tcase_add_test(param, batch_norm_declares_statistics);
    tcase_add_test(param, prelu_declares_a_slope_per_channel);
    tcase_add_test(param, parameters_stand_before_their_node);
    tcase_add_test(param, parameters_of_another_shape_are_refused);
    tcase_add_test(param, missing_parameters_are_refused);
    tcase_add_loop_test(table, row_is_whole, 0, OP_COUNT);
    tcase_add_test(table, words_are_whole);
    tcase_add_loop_test(table, scalar_rule_computes, 0, N_OF(scalars));
    return suite;
}
