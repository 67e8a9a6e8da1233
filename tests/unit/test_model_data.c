/* Files of data sets: what is read from them, and what is said of mistakes; the data sets that a network or
 * program names, down to the image of the compiled program. */
#include "../../codegen/build.h"
#include "../../runtime/rt_encoding.h"
#include "data_image.h"
#include "scratch_folder.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

Suite *model_data_suite(void);

static ScratchFolder scratch;
static Arena *arena;
static Diag *diag;

static void set_up(void)
{
    scratch_open(&scratch);
    arena = arena_new();
    diag = diag_new(arena);
}

static void tear_down(void)
{
    arena_free(arena);
    scratch_close(&scratch);
}

static const ModelData *load(const char *text)
{
    scratch_write(&scratch, "set.yaml", text);
    return model_data_load(arena, diag, scratch_path(&scratch, "set.yaml"), NULL);
}

START_TEST(a_file_is_read_wholly)
{
    const ModelData *data = load(DATA_IMAGE_YAML);
    ck_assert_msg(data != NULL, "%s", diag_text(diag));
    ck_assert_str_eq(data->name, "town");
    ck_assert_int_eq(data->n_classes, 4);
    ck_assert_int_eq(data->classes[3].color[2], 142);
    ck_assert_int_eq(data->ignore_index, 255);
    ck_assert_int_eq(data->n_encodings, 4);
    const ModelEncoding *raw = &data->encodings[1], *colors = &data->encodings[2];
    ck_assert_int_eq(raw->map[21], 2);
    ck_assert_int_eq(raw->map[0], MODEL_VOID);
    ck_assert_int_eq(raw->map[1], MODEL_UNKNOWN);
    ck_assert_int_eq(raw->map[255], MODEL_VOID);
    ck_assert_int_eq(data->encodings[0].map[3], 3);
    ck_assert_int_eq(data->encodings[0].map[4], MODEL_UNKNOWN);
    ck_assert(colors->by_color);
    ck_assert_int_eq(colors->n_colors, 5);
    ck_assert_int_eq(colors->colors[4].id, MODEL_VOID);
    ck_assert_int_eq(data->encodings[3].n_colors, 2);
    ck_assert_int_eq(data->n_layouts, 2);
    ck_assert_int_eq(data->layouts[0].encoding, 1);
    ck_assert_str_eq(data->layouts[1].label, "l/{split}/{name}.png");
}
END_TEST

/* Between "data: d" and the classes' end, what makes a good file; then the part under test. */
#define HEAD    "segc: 1\ndata: d\n"
#define CLASSES HEAD "classes: [{name: a, color: [1, 2, 3]}, {name: b, color: [4, 5, 6]}]\n"
#define LAYOUT(image, label)                                                                                 \
    CLASSES "encodings: {train_ids: {kind: ids}}\nlayouts: {l: {image: " image ", label: " label             \
            ", encoding: train_ids}}\n"

static const struct {
    const char *text, *part;
} wrong[] = {
    {"segc: 1\nclasses: [{name: a}]\n", "is no data set: it has no 'data', which names it"},
    {HEAD, "the data set 'd' has no list 'classes'"},
    {HEAD "classes: []\n", "there are 1 to 256 classes, not 0"},
    {HEAD "classes: [{name: a, colour: [1, 2, 3]}]\n", "unknown key 'colour' (did you mean 'color'?)"},
    {HEAD "classes: [{name: a, color: [1, 2, 300]}]\n", "a color is 0 to 255, not 300"},
    {"segc: 1\ndata: list\nclasses: [{name: a}]\n", "a data set can't be called 'list'"},
    {"segc: 1\ndata: a b\nclasses: [{name: a}]\n", "'a b' can't be the name of a data set"},
    {CLASSES "encoding: {}\n", "unknown key 'encoding' (did you mean 'encodings'?)"},
    {CLASSES "ignore_index: 256\n", "'ignore_index' of a data set is 0 to 255, not 256"},
    {CLASSES "encodings: {e: ids}\n", "an encoding is a mapping such as {kind: ids}, not a value"},
    {CLASSES "encodings: {e: {}}\n", "the encoding 'e' has no 'kind' (ids or colors)"},
    {CLASSES "encodings: {e: {kind: rgb}}\n", "'kind' is one of ids, colors, not 'rgb'"},
    {CLASSES "encodings: {e: {kind: ids, mapp: {}}}\n", "unknown key 'mapp' (did you mean 'map'?)"},
    {CLASSES "encodings: {e: {kind: ids, map: {7: 2}}}\n", "a class of the map is 0 to 1, not 2"},
    {CLASSES "encodings: {e: {kind: ids, map: {256: 0}}}\n", "an id to be mapped is 0 to 255, not '256'"},
    {CLASSES "encodings: {e: {kind: ids, map: {x: 0}}}\n", "an id to be mapped is 0 to 255, not 'x'"},
    {CLASSES "encodings: {e: {kind: ids, map: {7: 0, 07: 1}}}\n", "the id 7 is given twice"},
    {CLASSES "encodings: {e: {kind: ids, map: {7: 0}, void: [7]}}\n", "the id 7 is given twice"},
    {CLASSES "encodings: {e: {kind: ids, void: [1]}}\n", "the id 1 is given twice"},
    {CLASSES "encodings: {e: {kind: ids, void: [-1]}}\n", "a void id is 0 to 255, not -1"},
    {CLASSES "encodings: {e: {kind: colors, void: [4]}}\n",
     "a void color is [red, green, blue] or '#rrggbb'"},
    {CLASSES "encodings: {e: {kind: colors, void: [[4, 5]]}}\n", "not a list of 2"},
    {CLASSES "encodings: {e: {kind: colors, void: ['#010203']}}\n", "the color [1, 2, 3] is given twice"},
    {CLASSES "encodings: {e: {kind: colors, map: {red: 0}}}\n", "is written '#rrggbb', not 'red'"},
    {HEAD "classes: [{name: a}]\nencodings: {e: {kind: colors}}\n", "the class 'a' has no 'color'"},
    {HEAD "classes: [{name: a, color: [1, 1, 1]}, {name: b, color: [1, 1, 1]}]\nencodings: {e: {kind: "
          "colors}}\n",
     "the color [1, 1, 1] is given twice"},
    {CLASSES "layouts: {l: 3}\n", "a layout is a mapping of image, label and encoding, not a value"},
    {CLASSES "layouts: {l: {image: '{name}'}}\n", "the layout 'l' has no 'label'"},
    {CLASSES "encodings: {ids: {kind: ids}}\nlayouts: {l: {image: '{name}', label: '{name}', encoding: "
             "id}}\n",
     "there is no encoding 'id' (did you mean 'ids'?)"},
    {CLASSES "layouts: {l: {image: '{name}', label: '{name}', encoding: x}}\n",
     "there is no encoding 'x' in 'encodings'"},
    {LAYOUT("'{name'", "'{name}'"), "{ } hold a word of small letters"},
    {LAYOUT("'{}'", "'{name}'"), "{ } hold a word of small letters"},
    {LAYOUT("'a}'", "'{name}'"), "{ } hold a word of small letters"},
    {LAYOUT("'i.png'", "'{name}'"), "the pattern has no {name}: it would be one file"},
    {LAYOUT("'/i/{name}'", "'{name}'"), "starts below the folder given"},
    {LAYOUT("'{name}'", "'{city}/{name}'"), "the pattern has no {city}, which that of the label has"},
    {LAYOUT("'{city}/{name}'", "'{name}'"), "the pattern has no {city}, which that of the image has"},
    {LAYOUT("'{a}{b}{c}{d}{e}{f}{g}{h}{i}'", "'{name}'"), "at most 8 different words"},
};

START_TEST(mistakes_are_explained)
{
    const ModelData *data = load(wrong[_i].text);
    ck_assert_ptr_null(data);
    ck_assert_msg(strstr(diag_text(diag), wrong[_i].part) != NULL, "'%s' is not in: %s", wrong[_i].part,
                  diag_text(diag));
}
END_TEST

static const char *const shipped[] = {"graphs/data/camvid.yaml", "graphs/data/cityscapes.yaml",
                                      "graphs/data/gta5.yaml"};

START_TEST(shipped_files_are_good)
{
    const ModelData *data = model_data_load(arena, diag, shipped[_i], NULL);
    ck_assert_msg(data != NULL, "%s", diag_text(diag));
    ck_assert_int_gt(data->n_encodings, 1);
    ck_assert_int_gt(data->n_layouts, 0);
}
END_TEST

START_TEST(cityscapes_says_every_id)
{
    const ModelData *data = model_data_load(arena, diag, "graphs/data/cityscapes.yaml", NULL);
    for (int id = 0; id <= 33; id++) ck_assert_int_ne(data->encodings[1].map[id], MODEL_UNKNOWN);
    ck_assert_int_eq(data->encodings[1].map[33], 18);
    ck_assert_int_eq(data->encodings[1].map[34], MODEL_UNKNOWN);
}
END_TEST

/* ---- data sets of a program ---- */

#define NETWORK                                                                                              \
    "segc: 1\nnetwork: n\ninputs: {image: [N, 3, H, W]}\nsize: [8, 8]\n"                                     \
    "nodes: {a: {op: conv2d, in: image, filters: 4, kernel: 1}}\noutputs: {y: a}\n"

static Model *load_network(const char *text)
{
    scratch_write(&scratch, "town.yaml", DATA_IMAGE_YAML);
    scratch_write(&scratch, "n.yaml", text);
    return model_load(arena, diag, scratch_path(&scratch, "n.yaml"), NULL);
}

START_TEST(data_sets_reach_the_program)
{
    scratch_write(
        &scratch, "data/more.yaml",
        "segc: 1\ndata: more\nextends: ../town.yaml\nencodings: {extra: {kind: ids, map: {9: 3}}}\n");
    Model *model = load_network(NETWORK "classes: town.yaml\ndata: [more, town.yaml]\n");
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    ck_assert_int_eq(model->n_data, 2);
    ck_assert_int_eq(model->n_classes, 4);
    BuildOptions options = {.passes = {.predict = "y", .want_classes = true}, .model = model};
    const Build *build = build_graph(arena, model->graph, &options);
    ck_assert_ptr_nonnull(build);
    Encoding encoding;
    ck_assert_int_eq(build->image->data_sets.count, 2);
    ck_assert(!encoding_find(build->image, "raw", &encoding, NULL));
    ck_assert_str_eq(encoding.data, "town");
    ck_assert(!encoding_find(build->image, "extra", &encoding, NULL));
    ck_assert_str_eq(encoding.data, "more");
    ck_assert_int_eq(encoding_meaning(&encoding, 9), 3);
    ck_assert(!encoding_find(build->image, "colors", &encoding, NULL));
    ck_assert_int_eq(encoding_meaning(&encoding, 0x00008e), 3);
    ck_assert_int_eq(encoding_meaning(&encoding, 0), PROGRAM_VOID);
}
END_TEST

START_TEST(data_alone_gives_the_classes)
{
    Model *model = load_network(NETWORK "data: town.yaml\n");
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    ck_assert_str_eq(model->classes[1].name, "road");
    ck_assert_int_eq(model->n_data, 1);
}
END_TEST

START_TEST(void_outputs_may_follow_the_classes)
{
    scratch_write(&scratch, "three.yaml",
                  "segc: 1\ndata: three\nclasses: [{name: a}, {name: b}, {name: c}]\n");
    Model *model = load_network(
        NETWORK
        "classes: [{name: a}, {name: b}, {name: c}, {name: void, ignored: true}]\ndata: three.yaml\n");
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    ck_assert_int_eq(model->n_classes, 4);
}
END_TEST

static const struct {
    const char *text, *part;
} disagreeing[] = {
    {NETWORK "classes: town.yaml\ndata: [five.yaml]\n", "the data set 'five' has 5 classes, and this 4"},
    {NETWORK "classes: town.yaml\ndata: [other.yaml]\n",
     "the data set 'other' has other classes: its class 1 is 'lane', here it is 'road'"},
    {NETWORK "classes: town.yaml\ndata: [again.yaml]\n", "are both called 'town'"},
    {NETWORK "classes: town.yaml\ndata: {a: b}\n", "'data' is a list of data sets"},
    {NETWORK "classes: town.yaml\ndata: [gone]\n", "there is no file 'data/gone.yaml'"},
    {NETWORK "classes: town.yaml\ndata: [[town]]\n", "the name of a file is expected here, not a list"},
    {NETWORK "classes: n.yaml\n", "is no data set: it has no 'data', which names it"},
    {NETWORK "data: five.yaml\n", "there are 5 classes here, but the predicted output 'y' has 4 channels"},
};

START_TEST(data_sets_must_agree)
{
    scratch_write(&scratch, "five.yaml",
                  "segc: 1\ndata: five\nclasses: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]\n");
    scratch_write(&scratch, "other.yaml",
                  "segc: 1\ndata: other\nclasses: [{name: sky}, {name: lane}, {name: tree}, {name: car}]\n");
    scratch_write(&scratch, "again.yaml", DATA_IMAGE_YAML);
    ck_assert_ptr_null(load_network(disagreeing[_i].text));
    ck_assert_msg(strstr(diag_text(diag), disagreeing[_i].part) != NULL, "'%s' is not in: %s",
                  disagreeing[_i].part, diag_text(diag));
}
END_TEST

Suite *model_data_suite(void)
{
    TCase *tests = tcase_create("model_data");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_file_is_read_wholly);
    tcase_add_loop_test(tests, mistakes_are_explained, 0, sizeof wrong / sizeof *wrong);
    tcase_add_loop_test(tests, shipped_files_are_good, 0, sizeof shipped / sizeof *shipped);
    tcase_add_test(tests, cityscapes_says_every_id);
    tcase_add_test(tests, data_sets_reach_the_program);
    tcase_add_test(tests, data_alone_gives_the_classes);
    tcase_add_test(tests, void_outputs_may_follow_the_classes);
    tcase_add_loop_test(tests, data_sets_must_agree, 0, sizeof disagreeing / sizeof *disagreeing);
    Suite *suite = suite_create("model_data");
    suite_add_tcase(suite, tests);
    return suite;
}
