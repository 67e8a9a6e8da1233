/* The shipped graphs: that they load without a word, have the sizes and counts that are known of them, and
 * name their parameters as the weights that people have. */
#include "model.h"
#include "op.h"
#include "stats.h"
#include "tree.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

static Model *load_with(const char *path, ModelOptions options)
{
    Diag *diag = diag_new(arena);
    Model *model = model_load(arena, diag, path, &options);
    const char *said = diag_text(diag);
    ck_assert_msg(model != NULL && said[0] == 0, "%s: %s", path, said);
    return model;
}

static Model *load(const char *path)
{
    return load_with(path, (ModelOptions){0});
}

static const Node *output(const Model *model, const char *name)
{
    for (int i = 0; i < model->graph->n_outputs; i++)
        if (!strcmp(model->graph->outputs[i].name, name)) return model->graph->outputs[i].node;
    ck_abort_msg("%s has no output %s", model->name, name);
    return NULL;
}

static const Node *find_param(const Model *model, const char *name)
{
    for (int i = 0; i < model->graph->n_params; i++)
        if (!strcmp(model->graph->params[i]->name, name)) return model->graph->params[i];
    return NULL;
}

/* ---- every file ---- */

static const char *const folders[] = {"graphs", "graphs/programs"};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The YAML files of a folder in order of name. */
static int list_files(const char *folder, const char **paths, int limit)
{
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "%s is missing", folder);
    int n = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".yaml") != 0) continue;
        ck_assert_int_lt(n, limit);
        paths[n++] = arena_printf(arena, "%s/%s", folder, entry->d_name);
    }
    closedir(dir);
    qsort(paths, (size_t)n, sizeof *paths, compare_texts);
    return n;
}

enum { MAX_FILES = 100 };

START_TEST(every_file_loads_without_a_word)
{
    const char *paths[MAX_FILES];
    int n = list_files(folders[_i], paths, MAX_FILES);
    ck_assert_int_gt(n, 0);
    for (int i = 0; i < n; i++) load(paths[i]);
}
END_TEST

START_TEST(every_program_of_players_trains)
{
    const char *paths[MAX_FILES];
    int n = list_files(folders[_i], paths, MAX_FILES), trained = 0;
    for (int i = 0; i < n; i++) {
        const Model *model =
            load_with(paths[i], (ModelOptions){.training = true, .height = 128, .width = 256});
        const char *fault = graph_fault(model->graph);
        ck_assert_msg(fault == NULL, "%s: %s", paths[i], fault);
        ck_assert_int_eq(model->trains, model->training != NULL);
        trained += model->trains;
    }
    if (_i == 1) ck_assert_int_ge(trained, 20);
}
END_TEST

START_TEST(every_file_keeps_the_rules_of_graphs)
{
    const char *paths[MAX_FILES];
    int n = list_files(folders[_i], paths, MAX_FILES);
    for (int i = 0; i < n; i++) {
        const char *fault = graph_fault(load(paths[i])->graph);
        ck_assert_msg(fault == NULL, "%s: %s", paths[i], fault);
    }
}
END_TEST

START_TEST(no_two_parameters_have_one_name)
{
    const char *paths[MAX_FILES];
    int n = list_files(folders[_i], paths, MAX_FILES);
    for (int i = 0; i < n; i++) {
        const Graph *graph = load(paths[i])->graph;
        const char **names = ARENA_ARRAY(arena, const char *, graph->n_params);
        for (int k = 0; k < graph->n_params; k++) names[k] = graph->params[k]->name;
        qsort(names, (size_t)graph->n_params, sizeof *names, compare_texts);
        for (int k = 1; k < graph->n_params; k++)
            ck_assert_msg(strcmp(names[k - 1], names[k]) != 0, "%s: %s twice", paths[i], names[k]);
    }
}
END_TEST

/* ---- counts ---- */

/* At the file's own size. Parameters of ResNets are those torchvision publishes, of the others their papers'
 * and the study's; multiply_adds 0: by no publication. */
static const struct {
    const char *path;
    int64_t deployed, outputs, declared, convolution, study;
    int rank;
    int64_t dim[4];
} known[] = {
    {"graphs/resnet18.yaml", 11689512, 11689512, 11689512, 1814073344, 0, 2, {1, 1000}},
    {"graphs/resnet101.yaml", 44549160, 44549160, 44549160, 7801405440, 0, 2, {1, 1000}},
    {"graphs/bisenet.yaml", 12054042, 12068672, 12581672, 25632244434, 25779775698, 4, {1, 19, 512, 1024}},
    {"graphs/deeplabv2.yaml",
     43901068,
     43901068,
     43901068,
     373656133632,
     374664739584,
     4,
     {1, 19, 512, 1024}},
    {"graphs/fc_discriminator.yaml", 2781121, 2781121, 2781121, 15439233024, 15439233024, 4, {1, 1, 16, 32}},
    {"graphs/espnet_camvid.yaml", 354517, 354517, 354517, 379824384, 0, 4, {1, 12, 192, 256}},
    {"graphs/espnet_cityscapes.yaml", 364569, 364569, 364569, 4709441536, 0, 4, {1, 20, 512, 1024}},
};

START_TEST(counts_are_those_known)
{
    const Stats *stats = stats_collect(arena, load(known[_i].path), STATS_UNKNOWN);
    ck_assert_int_eq(stats->parameters_deployed, known[_i].deployed);
    ck_assert_int_eq(stats->parameters_outputs, known[_i].outputs);
    ck_assert_int_eq(stats->parameters_declared, known[_i].declared);
    ck_assert_int_eq(stats->conv_multiply_adds, known[_i].convolution);
    if (known[_i].study) ck_assert_int_eq(stats->multiply_adds, known[_i].study);
}
END_TEST

START_TEST(the_predicted_output_has_the_known_shape)
{
    const Model *model = load(known[_i].path);
    Type type = output(model, model->predict)->type;
    ck_assert_int_eq(type.rank, known[_i].rank);
    for (int i = 0; i < type.rank; i++) ck_assert_int_eq(type.dim[i], known[_i].dim[i]);
}
END_TEST

START_TEST(batches_scale_the_counts)
{
    const Stats *one = stats_collect(arena, load("graphs/bisenet.yaml"), STATS_UNKNOWN);
    const Stats *three =
        stats_collect(arena, load_with("graphs/bisenet.yaml", (ModelOptions){.batch = 3}), STATS_UNKNOWN);
    ck_assert_int_eq(three->multiply_adds, 3 * one->multiply_adds);
    ck_assert_int_eq(three->parameters_declared, one->parameters_declared);
}
END_TEST

/* ---- shapes inside ---- */

static const struct {
    const char *path, *output;
    int64_t height, width; /* of the picture */
    int64_t dim[4];
} maps[] = {
    {"graphs/resnet18.yaml", "c2", 224, 224, {1, 64, 56, 56}},
    {"graphs/resnet18.yaml", "c5", 224, 224, {1, 512, 7, 7}},
    {"graphs/resnet101.yaml", "c2", 224, 224, {1, 256, 56, 56}},
    {"graphs/resnet101.yaml", "c5", 224, 224, {1, 2048, 7, 7}},
    {"graphs/bisenet.yaml", "aux1", 512, 1024, {1, 19, 512, 1024}},
    {"graphs/bisenet.yaml", "aux2", 512, 1024, {1, 19, 512, 1024}},
    {"graphs/bisenet.yaml", "spatial", 512, 1024, {1, 256, 64, 128}},
    {"graphs/bisenet.yaml", "context1", 512, 1024, {1, 256, 32, 64}},
    {"graphs/bisenet.yaml", "context2", 512, 1024, {1, 512, 16, 32}},
    {"graphs/bisenet.yaml", "logits", 65, 129, {1, 19, 65, 129}},
    {"graphs/bisenet.yaml", "spatial", 65, 129, {1, 256, 9, 17}},
    {"graphs/deeplabv2.yaml", "coarse", 512, 1024, {1, 19, 65, 129}},
    {"graphs/deeplabv2.yaml", "features", 512, 1024, {1, 2048, 65, 129}},
    {"graphs/deeplabv2.yaml", "logits", 65, 129, {1, 19, 65, 129}},
    {"graphs/espnet_camvid.yaml", "logits", 64, 96, {1, 12, 64, 96}},
};

START_TEST(maps_have_the_sizes_of_their_papers)
{
    ModelOptions options = {.height = maps[_i].height, .width = maps[_i].width};
    Type type = output(load_with(maps[_i].path, options), maps[_i].output)->type;
    ck_assert_int_eq(type.rank, 4);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(type.dim[i], maps[_i].dim[i]);
}
END_TEST

/* ---- names of parameters ---- */

static const struct {
    const char *path, *name;
    int rank;
    int64_t dim[4];
} params[] = {
    {"graphs/resnet18.yaml", "conv1.weight", 4, {64, 3, 7, 7}},
    {"graphs/resnet18.yaml", "bn1.running_var", 1, {64}},
    {"graphs/resnet18.yaml", "layer1.0.conv1.weight", 4, {64, 64, 3, 3}},
    {"graphs/resnet18.yaml", "layer2.0.downsample.0.weight", 4, {128, 64, 1, 1}},
    {"graphs/resnet18.yaml", "layer2.0.downsample.1.running_mean", 1, {128}},
    {"graphs/resnet18.yaml", "layer4.1.bn2.bias", 1, {512}},
    {"graphs/resnet18.yaml", "fc.weight", 2, {1000, 512}},
    {"graphs/resnet101.yaml", "layer1.0.downsample.0.weight", 4, {256, 64, 1, 1}},
    {"graphs/resnet101.yaml", "layer3.22.conv2.weight", 4, {256, 256, 3, 3}},
    {"graphs/resnet101.yaml", "layer4.2.bn3.weight", 1, {2048}},
    {"graphs/resnet101.yaml", "fc.bias", 1, {1000}},
    {"graphs/bisenet.yaml", "spatial_path.convblock1.conv.weight", 4, {64, 3, 3, 3}},
    {"graphs/bisenet.yaml", "spatial_path.convblock3.bn.running_var", 1, {256}},
    {"graphs/bisenet.yaml", "context_path.layer3.0.downsample.0.weight", 4, {256, 128, 1, 1}},
    {"graphs/bisenet.yaml", "context_path.fc.weight", 2, {1000, 512}},
    {"graphs/bisenet.yaml", "attention_refinement_module1.conv.bias", 1, {256}},
    {"graphs/bisenet.yaml", "attention_refinement_module2.bn.weight", 1, {512}},
    {"graphs/bisenet.yaml", "supervision1.weight", 4, {19, 256, 1, 1}},
    {"graphs/bisenet.yaml", "supervision2.bias", 1, {19}},
    {"graphs/bisenet.yaml", "feature_fusion_module.convblock.conv.weight", 4, {19, 1024, 3, 3}},
    {"graphs/bisenet.yaml", "feature_fusion_module.conv2.weight", 4, {19, 19, 1, 1}},
    {"graphs/bisenet.yaml", "conv.bias", 1, {19}},
    {"graphs/deeplabv2.yaml", "layer3.22.conv3.weight", 4, {1024, 256, 1, 1}},
    {"graphs/deeplabv2.yaml", "layer5.conv2d_list.0.weight", 4, {19, 2048, 3, 3}},
    {"graphs/deeplabv2.yaml", "layer5.conv2d_list.3.bias", 1, {19}},
    {"graphs/fc_discriminator.yaml", "conv1.weight", 4, {64, 19, 4, 4}},
    {"graphs/fc_discriminator.yaml", "classifier.bias", 1, {1}},
    {"graphs/espnet_camvid.yaml", "encoder.level1.act.weight", 1, {16}},
    {"graphs/espnet_camvid.yaml", "encoder.level2_0.d1.conv.weight", 4, {16, 12, 3, 3}},
    {"graphs/espnet_camvid.yaml", "encoder.level2_0.bn.running_mean", 1, {64}},
    {"graphs/espnet_camvid.yaml", "encoder.level3.7.bn.bn.weight", 1, {128}},
    {"graphs/espnet_camvid.yaml", "encoder.level3.7.d16.conv.weight", 4, {25, 25, 3, 3}},
    {"graphs/espnet_camvid.yaml", "combine_l2_l3.1.c1.conv.weight", 4, {2, 24, 1, 1}},
    {"graphs/espnet_camvid.yaml", "up_l2.0.weight", 4, {12, 12, 2, 2}},
    {"graphs/espnet_camvid.yaml", "classifier.weight", 4, {12, 12, 2, 2}},
    {"graphs/espnet_cityscapes.yaml", "combine_l2_l3.1.d1.conv.weight", 4, {4, 4, 3, 3}},
    {"graphs/espnet_cityscapes.yaml", "up_l2.1.act.weight", 1, {20}},
    {"graphs/espnet_cityscapes.yaml", "br.running_var", 1, {20}},
    /* Where the two published decoders differ. */
    {"graphs/espnet_camvid.yaml", "conv.conv.weight", 4, {12, 12 + 19, 3, 3}},
    {"graphs/espnet_cityscapes.yaml", "conv.conv.weight", 4, {20, 20 + 16, 3, 3}},
};

START_TEST(parameters_have_the_names_of_published_weights)
{
    const Node *param = find_param(load(params[_i].path), params[_i].name);
    ck_assert_msg(param != NULL, "%s has no parameter %s", params[_i].path, params[_i].name);
    ck_assert_int_eq(param->type.rank, params[_i].rank);
    for (int i = 0; i < params[_i].rank; i++) ck_assert_int_eq(param->type.dim[i], params[_i].dim[i]);
}
END_TEST

/* Tensors in a state dict, without the counters that PyTorch's batch norms keep. */
static const struct {
    const char *path;
    int tensors;
} totals[] = {
    {"graphs/resnet18.yaml", 102},          {"graphs/resnet101.yaml", 522},
    {"graphs/bisenet.yaml", 144},           {"graphs/deeplabv2.yaml", 528},
    {"graphs/fc_discriminator.yaml", 10},   {"graphs/espnet_camvid.yaml", 189},
    {"graphs/espnet_cityscapes.yaml", 189},
};

START_TEST(there_are_as_many_parameters_as_in_the_weights)
{
    ck_assert_int_eq(load(totals[_i].path)->graph->n_params, totals[_i].tensors);
}
END_TEST

/* ---- settings, classes, preprocessing ---- */

static const char *const classes_name[] = {"classes"}, *const channels_name[] = {"channels"};

START_TEST(settings_reach_the_blocks)
{
    const char *eleven[] = {"11"};
    ModelOptions options = {.n_settings = 1, .setting_names = channels_name, .setting_values = eleven};
    const Model *model = load_with("graphs/fc_discriminator.yaml", options);
    ck_assert_int_eq(find_param(model, "conv1.weight")->type.dim[1], 11);
    options.setting_names = classes_name;
    model = load_with("graphs/resnet18.yaml", options);
    ck_assert_int_eq(output(model, "logits")->type.dim[1], 11);
}
END_TEST

START_TEST(classes_and_outputs_must_agree)
{
    const char *eleven[] = {"11"};
    ModelOptions options = {.n_settings = 1, .setting_names = classes_name, .setting_values = eleven};
    Diag *diag = diag_new(arena);
    ck_assert(model_load(arena, diag, "graphs/bisenet.yaml", &options) == NULL);
    ck_assert_msg(strstr(diag_text(diag), "19 classes") != NULL, "%s", diag_text(diag));
}
END_TEST

static const struct {
    const char *path;
    int classes, first[3];
    const char *name; /* of the last class but `voids` */
    int voids;
} listed[] = {
    {"graphs/bisenet.yaml", 19, {128, 64, 128}, "bicycle", 0},
    {"graphs/deeplabv2.yaml", 19, {128, 64, 128}, "bicycle", 0},
    {"graphs/programs/demo.yaml", 19, {128, 64, 128}, "bicycle", 0},
    {"graphs/espnet_camvid.yaml", 12, {128, 128, 128}, "bicyclist", 1},
    {"graphs/espnet_cityscapes.yaml", 20, {128, 64, 128}, "bicycle", 1},
};

START_TEST(classes_have_names_and_colours)
{
    const Model *model = load(listed[_i].path);
    int n = listed[_i].classes - listed[_i].voids;
    ck_assert_int_eq(model->n_classes, listed[_i].classes);
    ck_assert_int_eq(model->ignore_index, 255);
    ck_assert_str_eq(model->classes[n - 1].name, listed[_i].name);
    for (int i = 0; i < 3; i++) ck_assert_int_eq(model->classes[0].color[i], listed[_i].first[i]);
    for (int i = 0; i < model->n_classes; i++) ck_assert_int_eq(model->classes[i].ignored, i >= n);
}
END_TEST

/* A data set's list of classes. */
static const Tree *data_classes(const char *path)
{
    Diag *diag = diag_new(arena);
    const Tree *root = yaml_load(arena, diag, path);
    ck_assert_msg(root != NULL, "%s", diag_text(diag));
    const Tree *list = tree_get(root, "classes");
    ck_assert(list != NULL && list->kind == TREE_SEQUENCE);
    return list;
}

/* What is written twice, because a network's void class or another folder layout comes on top. */
static const struct {
    const char *data, *model;
} same_classes[] = {
    {"graphs/data/cityscapes.yaml", "graphs/bisenet.yaml"},
    {"graphs/data/gta5.yaml", "graphs/bisenet.yaml"},
    {"graphs/data/cityscapes.yaml", "graphs/espnet_cityscapes.yaml"},
    {"graphs/data/camvid.yaml", "graphs/espnet_camvid.yaml"},
};

START_TEST(data_sets_and_networks_agree_on_classes)
{
    const Tree *list = data_classes(same_classes[_i].data);
    const Model *model = load(same_classes[_i].model);
    int voids = model->classes[model->n_classes - 1].ignored;
    ck_assert_int_eq(list->n, model->n_classes - voids);
    for (int i = 0; i < list->n; i++) {
        const Tree *color = tree_get(list->items[i], "color");
        ck_assert_str_eq(tree_get(list->items[i], "name")->text, model->classes[i].name);
        for (int c = 0; c < 3; c++)
            ck_assert_int_eq(strtol(color->items[c]->text, NULL, 10), model->classes[i].color[c]);
    }
}
END_TEST

START_TEST(no_two_classes_look_alike)
{
    const Model *model = load(listed[_i].path);
    for (int i = 0; i < model->n_classes; i++) {
        for (int k = 0; k < i; k++) {
            ck_assert_str_ne(model->classes[i].name, model->classes[k].name);
            ck_assert(memcmp(model->classes[i].color, model->classes[k].color, 3) != 0);
        }
    }
}
END_TEST

START_TEST(pictures_are_prepared_as_imagenet_was)
{
    const ModelPreprocess *prepare = &load("graphs/bisenet.yaml")->preprocess;
    ck_assert(!prepare->bgr);
    ck_assert_double_eq_tol(prepare->scale, 1.0 / 255, 1e-12);
    ck_assert_double_eq_tol(prepare->mean[0], 0.485, 1e-12);
    ck_assert_double_eq_tol(prepare->std[2], 0.225, 1e-12);
}
END_TEST

/* The published preparation is (v - mean) / std / 255. */
static const struct {
    const char *path;
    double mean[3], std[3];
} published[] = {
    {"graphs/espnet_camvid.yaml",
     {110.33102643, 108.40886315, 105.03319369},
     {72.12571015, 72.69074534, 69.90434816}},
    {"graphs/espnet_cityscapes.yaml",
     {72.3923111, 82.90893555, 73.15840149},
     {45.3192215, 46.15289307, 44.91483307}},
};

START_TEST(pictures_are_prepared_as_espnet_was)
{
    const ModelPreprocess *prepare = &load(published[_i].path)->preprocess;
    ck_assert(prepare->bgr);
    for (int c = 0; c < 3; c++) {
        double theirs = (200 - published[_i].mean[c]) / published[_i].std[c] / 255;
        double ours = (200 * prepare->scale - prepare->mean[c]) / prepare->std[c];
        ck_assert_double_eq_tol(ours, theirs, 1e-12);
    }
}
END_TEST

/* ---- the schema ---- */

static const char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s is missing", path);
    enum { LIMIT = 1 << 20 };
    char *text = arena_alloc(arena, LIMIT);
    size_t size = fread(text, 1, LIMIT - 1, file);
    fclose(file);
    ck_assert_uint_lt(size, LIMIT - 1);
    return text;
}

START_TEST(the_schema_knows_every_operator)
{
    const char *schema = read_text("graphs/segc.schema.json");
    for (Op op = 0; op < OP_COUNT; op++) {
        const char *key = arena_printf(arena, "\"op_%s\":", op_info(op)->name);
        ck_assert_msg(!strstr(schema, key) == op_info(op)->internal, "%s: run tests/peers/check_schema.py",
                      op_info(op)->name);
    }
}
END_TEST

START_TEST(the_schema_knows_every_attribute)
{
    const char *schema = read_text("graphs/segc.schema.json");
    for (Op op = 0; op < OP_COUNT; op++) {
        if (op_info(op)->internal) continue;
        const char *own = strstr(schema, arena_printf(arena, "\"op_%s\":", op_info(op)->name));
        ck_assert_msg(own != NULL, "%s", op_info(op)->name);
        const char *end_of_own = strstr(own, "additionalProperties");
        for (int i = 0; i < op_info(op)->n_attrs; i++) {
            const char *name = attr_info(op_info(op)->attrs[i].name)->name;
            if (op_info(op)->attrs[i].name == A_STATISTICS) continue; /* the program says it, not the node */
            const char *found = strstr(own, arena_printf(arena, "#/$defs/attr_%s\"", name));
            ck_assert_msg(found && found < end_of_own, "%s of %s", name, op_info(op)->name);
        }
    }
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

Suite *graphs_suite(void);

Suite *graphs_suite(void)
{
    TCase *tests = tcase_create("graphs");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, every_file_loads_without_a_word, 0, COUNT(folders));
    tcase_add_loop_test(tests, every_program_of_players_trains, 0, COUNT(folders));
    tcase_add_loop_test(tests, every_file_keeps_the_rules_of_graphs, 0, COUNT(folders));
    tcase_add_loop_test(tests, no_two_parameters_have_one_name, 0, COUNT(folders));
    tcase_add_loop_test(tests, counts_are_those_known, 0, COUNT(known));
    tcase_add_loop_test(tests, the_predicted_output_has_the_known_shape, 0, COUNT(known));
    tcase_add_test(tests, batches_scale_the_counts);
    tcase_add_loop_test(tests, maps_have_the_sizes_of_their_papers, 0, COUNT(maps));
    tcase_add_loop_test(tests, parameters_have_the_names_of_published_weights, 0, COUNT(params));
    tcase_add_loop_test(tests, there_are_as_many_parameters_as_in_the_weights, 0, COUNT(totals));
    tcase_add_test(tests, settings_reach_the_blocks);
    tcase_add_test(tests, classes_and_outputs_must_agree);
    tcase_add_loop_test(tests, classes_have_names_and_colours, 0, COUNT(listed));
    tcase_add_loop_test(tests, data_sets_and_networks_agree_on_classes, 0, COUNT(same_classes));
    tcase_add_loop_test(tests, no_two_classes_look_alike, 0, COUNT(listed));
    tcase_add_test(tests, pictures_are_prepared_as_imagenet_was);
    tcase_add_loop_test(tests, pictures_are_prepared_as_espnet_was, 0, COUNT(published));
    tcase_add_test(tests, the_schema_knows_every_operator);
    tcase_add_test(tests, the_schema_knows_every_attribute);
    Suite *suite = suite_create("graphs");
    suite_add_tcase(suite, tests);
    return suite;
}
