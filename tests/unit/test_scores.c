/* The scores behind "classes": which node they are, and that classes follow from them when the program runs.
 */
#include "../../runtime/rt_crf.h"
#include "../../runtime/rt_picture.h"
#include "../../runtime/rt_program.h"
#include "build.h"
#include "graph_text.h"
#include "scores.h"

#include <check.h>
#include <string.h>

Suite *scores_suite(void);

static Arena *arena;
static Diag *diag;

static void set_up(void)
{
    arena = arena_new();
    diag = diag_new(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

static Graph *parse(const char *text)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.path = "g.txt", .text = text, .size = strlen(text)};
    Graph *graph = graph_text_parse(arena, diag, source);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    return graph;
}

/* From `tail`, after %1: f32[1,3,8,16]; NULL when nothing is added. */
static const Output *expose(const char *tail)
{
    Text text = text_new(arena);
    text_printf(&text, "graph net\n%%1: f32[1,3,8,16] = input  # \"image\"\n%s", tail);
    Graph *graph = parse(text.text);
    int outputs = graph->n_outputs;
    scores_expose(graph);
    graph_check(graph);
    if (graph->n_outputs == outputs) return NULL;
    ck_assert_int_eq(graph->n_outputs, outputs + 1);
    ck_assert_str_eq(graph->outputs[outputs].name, "classes.scores");
    return &graph->outputs[outputs];
}

static const struct {
    const char *tail;
    int id; /* of the scores; 0: none */
    bool align_corners;
} tails[] = {
    {"%2: i32[1,8,16] = argmax %1\noutput classes = %2\n", 1, false},
    {"%2: f32[1,3,8,32] = resize %1 {size=[8,32]}\n%3: f32[1,3,16,32] = resize %2 {size=[16,32]}\n"
     "%4: i32[1,16,32] = argmax %3\noutput classes = %4\n",
     1, false},
    {"%2: f32[1,3,15,31] = resize %1 {size=[15,31], align_corners=true}\n"
     "%3: i32[1,15,31] = argmax %2\noutput classes = %3\n",
     1, true},
    /* Two enlargements of the same axes are not one. */
    {"%2: f32[1,3,16,32] = resize %1 {size=[16,32]}\n%3: f32[1,3,32,64] = resize %2 {size=[32,64]}\n"
     "%4: i32[1,32,64] = argmax %3\noutput classes = %4\n",
     2, false},
    {"%2: f32[1,3,8,32] = resize %1 {size=[8,32], align_corners=true}\n"
     "%3: f32[1,3,16,32] = resize %2 {size=[16,32]}\n%4: i32[1,16,32] = argmax %3\noutput classes = %4\n",
     2, false},
    {"%2: f32[1,3,16,32] = resize %1 {size=[16,32], mode=nearest}\n%3: i32[1,16,32] = argmax %2\n"
     "output classes = %3\n",
     2, false},
    {"%2: f32[1,3,4,8] = resize %1 {size=[4,8]}\n%3: i32[1,4,8] = argmax %2\noutput classes = %3\n", 2,
     false},
    {"%2: f32[1,3,12,25] = resize %1 {scale_factor=1.6}\n%3: i32[1,12,25] = argmax %2\noutput classes = %3\n",
     2, false},
    {"%2: i32[1,3,8] = argmax %1 {dim=3}\noutput classes = %2\n", 0, false},
    {"%2: i32[1,8,16] = argmax %1\noutput best = %2\n", 0, false},
    {"%2: i32[1,8,16] = argmax %1\noutput classes = %2\noutput classes.scores = %1\n", 0, false},
    {"%2: f32[1,3,8,16] = relu %1\noutput classes = %2\n", 0, false},
};

START_TEST(scores_are_before_the_enlargement)
{
    const Output *scores = expose(tails[_i].tail);
    if (!tails[_i].id) {
        ck_assert_ptr_null(scores);
        return;
    }
    ck_assert_ptr_nonnull(scores);
    ck_assert_int_eq(scores->node->id, tails[_i].id);
    ck_assert_int_eq(scores->align_corners, tails[_i].align_corners);
}
END_TEST

static const char *const nets[] = {
    "%4: f32[2,5,24,40] = resize %3 {size=[24,40]}\noutput y = %4\n",
    "%4: f32[2,5,24,40] = resize %3 {size=[24,40], align_corners=true}\noutput y = %4\n",
    "%4: f32[2,5,6,10] = softmax %3\noutput y = %4\n",
    "%4: f32[2,5,12,20] = resize %3 {size=[12,20]}\n%5: f32[2,5,24,40] = resize %4 {size=[24,40]}\noutput y "
    "= %5\n",
};

static void fill_pictures(SegrtSession *session, RtImage *picture)
{
    ck_assert_int_eq(image_new(picture, 40, 24, 3, NULL), RT_OK);
    for (int slot = 0; slot < 2; slot++) {
        for (int i = 0; i < 40 * 24 * 3; i++) picture->pixels[i] = (unsigned char)(i * i * (7 + slot) / 13);
        ck_assert_int_eq(picture_set(session, slot, picture, NULL), RT_OK);
    }
}

/* Post-processing without kernels gives the classes again, but where two scores are nearly the same. */
static void check_classes(SegrtSession *session)
{
    CrfSettings settings = crf_defaults();
    settings.w1 = settings.w2 = 0;
    RtImage picture = {0};
    fill_pictures(session, &picture);
    ck_assert_int_eq(segrt_run(session, NULL), RT_OK);
    for (int slot = 0; slot < 2; slot++) {
        RtImage want = {0}, got = {0};
        ck_assert_int_eq(picture_classes(session, slot, &want, NULL), RT_OK);
        RtImage size = {.width = want.width, .height = want.height, .channels = 3, .pixels = picture.pixels};
        ck_assert_int_eq(crf_picture(session, slot, &size, &settings, &got, NULL), RT_OK);
        int different = 0, changes = 0;
        for (int i = 0; i < want.width * want.height; i++) {
            different += want.pixels[i] != got.pixels[i];
            changes += i && want.pixels[i] != want.pixels[i - 1];
        }
        ck_assert_int_le(different, want.width * want.height / 200);
        ck_assert_int_ge(changes, 10);
        image_free(&want);
        image_free(&got);
    }
    image_free(&picture);
}

START_TEST(programs_give_them)
{
    Text text = text_new(arena);
    text_printf(
        &text,
        "graph net\n%%1: f32[2,3,24,40] = input  # \"image\"\n"
        "%%2: f32[5,3,4,4] = param {param_init=uniform, value=0.14433756729740646}  # \"conv.weight\"\n"
        "%%3: f32[2,5,6,10] = conv2d %%1, %%2 {filters=5, kernel=4, stride=4, bias=false}\n%s",
        nets[_i / 2]);
    BuildOptions options = {.passes = {.predict = "y", .want_classes = true}, .no_fuse = _i % 2 == 1};
    Build *build = build_graph(arena, parse(text.text), &options);
    ck_assert_msg(build != NULL, "%s", diag_text(diag));
    const char *error = NULL;
    BuildJit *jit = build_jit(build, &error);
    ck_assert_msg(jit != NULL, "%s", error);
    SegrtSession *session = NULL;
    RtError err = {0};
    ck_assert_msg(!segrt_open(build_program(jit), 1, &session, &err), "%s", err.text);
    ck_assert_int_eq(crf_check(build->image, NULL), RT_OK);
    ck_assert_int_eq(segrt_initialize(session, 1, NULL), RT_OK);
    check_classes(session);
    segrt_close(session);
    build_jit_free(jit);
}
END_TEST

Suite *scores_suite(void)
{
    Suite *suite = suite_create("scores");
    TCase *tests = tcase_create("scores");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, scores_are_before_the_enlargement, 0, (int)(sizeof tails / sizeof *tails));
    tcase_add_loop_test(tests, programs_give_them, 0, 2 * (int)(sizeof nets / sizeof *nets));
    suite_add_tcase(suite, tests);
    return suite;
}
