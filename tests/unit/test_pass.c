/* Passes against what they are expected to make: every tests/text/pass/NAME/ holds files for the pass NAME.
 *
 * A file is a graph, a line "---", and the graph that the pass makes of it; "unchanged" stands for the same
 * graph. Comments say why; "# wanted: NAME..." names the outputs to keep, "# classes: NAME" the output of
 * want_classes. In the folder "all" the whole pipeline runs. SEGC_GOLDEN=rewrite writes the second half
 * again.
 */
#define _GNU_SOURCE
#include "pass.h"

#include "../table/formula.h"
#include "../table/reference.h"

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *pass_suite(void);

#define FOLDER "tests/text/pass"

enum { MAX_GOLDENS = 200, MAX_WANTED = 4 };
static char *goldens[MAX_GOLDENS]; /* NAME/file.txt */
static int n_goldens;

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

static Graph *parse(const char *path, const char *text)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){.path = path, .text = text, .size = strlen(text)};
    Graph *graph = graph_text_parse(arena, diag, source);
    ck_assert_msg(graph != NULL, "%s", diag_text(diag));
    return graph;
}

/* ---- goldens ---------------------------------------------------------------------------------------------
 */

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void find_goldens(void)
{
    struct dirent **folders, **files;
    int n_folders = scandir(FOLDER, &folders, is_visible, alphasort);
    for (int i = 0; i < n_folders; i++) {
        char path[600];
        snprintf(path, sizeof path, FOLDER "/%s", folders[i]->d_name);
        int n_files = scandir(path, &files, is_visible, alphasort);
        for (int j = 0; j < n_files; j++) {
            if (n_goldens < MAX_GOLDENS &&
                asprintf(&goldens[n_goldens], "%s/%s", folders[i]->d_name, files[j]->d_name) > 0)
                n_goldens++;
            free(files[j]);
        }
        if (n_files >= 0) free(files);
        free(folders[i]);
    }
    if (n_folders >= 0) free(folders);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    Text text = text_new(arena);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) text_append(&text, block, n);
    fclose(file);
    return text.text;
}

/* The words after "# KEY: " on a line of its own. */
static int words_of(const char *text, const char *key, const char **words)
{
    const char *line = strstr(text, arena_printf(arena, "# %s: ", key));
    int count = 0;
    if (!line) return 0;
    line = strchr(line, ':') + 1;
    char *copy = arena_strndup(arena, line, strcspn(line, "\n"));
    for (char *word = strtok(copy, " "); word && count < MAX_WANTED; word = strtok(NULL, " "))
        words[count++] = word;
    return count;
}

static bool run(Graph *graph, const char *pass, const PassOptions *options)
{
    if (strcmp(pass, "all")) {
        const PassInfo *info = pass_find(pass);
        ck_assert_msg(info != NULL, "no pass is called %s", pass);
        return info->run(graph, options);
    }
    ck_assert_msg(pass_run_all(graph, options, NULL, NULL), "%s", diag_text(diag));
    return true;
}

static void rewrite(const char *path, const char *before, const char *after)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%s---\n%s", before, after);
    fclose(file);
}

START_TEST(golden_is_met)
{
    const char *path = arena_printf(arena, FOLDER "/%s", goldens[_i]), *wanted[MAX_WANTED],
               *predict[MAX_WANTED];
    char *before = read_file(path), *rule = strstr(before, "---\n");
    ck_assert_msg(rule != NULL, "%s has no line ---", path);
    const char *after = arena_strdup(arena, rule + 4);
    *rule = 0;
    Graph *graph = parse(path, before);
    const char *unchanged = graph_text(graph);
    PassOptions options = {.wanted = wanted, .n_wanted = words_of(before, "wanted", wanted)};
    options.want_classes = words_of(before, "classes", predict) > 0;
    if (options.want_classes) options.predict = predict[0];
    char *pass = arena_strndup(arena, goldens[_i], strcspn(goldens[_i], "/"));
    bool changed = run(graph, pass, &options);
    ck_assert_msg(!graph_fault(graph), "%s: %s", path, graph_fault(graph));
    const char *made = changed ? graph_text(graph) : "unchanged\n";
    if (!changed) ck_assert_str_eq(graph_text(graph), unchanged);
    if (changed && strcmp(pass, "all"))
        ck_assert_msg(strcmp(made, unchanged) != 0, "%s: nothing changed", path);
    const char *golden = getenv("SEGC_GOLDEN");
    if (golden && !strcmp(golden, "rewrite"))
        rewrite(path, before, made);
    else
        ck_assert_msg(!strcmp(made, after), "%s: expected\n%s\ngot\n%s", path, after, made);
}
END_TEST

START_TEST(every_pass_has_goldens)
{
    const PassInfo *pass = &pass_list(&(int){0})[_i];
    int found = 0, still = 0;
    for (int i = 0; i < n_goldens; i++) {
        size_t length = strlen(pass->name);
        if (strncmp(goldens[i], pass->name, length) || goldens[i][length] != '/') continue;
        found++;
        still += strstr(read_file(arena_printf(arena, FOLDER "/%s", goldens[i])), "---\nunchanged\n") != NULL;
    }
    ck_assert_msg(found >= 3, "%s has %d goldens", pass->name, found);
    ck_assert_msg(still >= 1, "%s has no golden where nothing changes", pass->name);
}
END_TEST

/* A second run finds nothing more to do. */
START_TEST(pass_is_done_after_one_run)
{
    const char *path = arena_printf(arena, FOLDER "/%s", goldens[_i]), *wanted[MAX_WANTED];
    char *before = read_file(path), *pass = arena_strndup(arena, goldens[_i], strcspn(goldens[_i], "/"));
    *strstr(before, "---\n") = 0;
    Graph *graph = parse(path, before);
    PassOptions options = {.wanted = wanted, .n_wanted = words_of(before, "wanted", wanted)};
    if (!strcmp(pass, "all")) return;
    pass_find(pass)->run(graph, &options);
    const char *once = graph_text(graph);
    ck_assert_msg(!pass_find(pass)->run(graph, &options), "%s", path);
    ck_assert_str_eq(graph_text(graph), once);
}
END_TEST

/* ---- values ----------------------------------------------------------------------------------------------
 */

static void fill(void *context, const Node *source, float *values)
{
    (void)context;
    if (source->op == OP_PARAM)
        formula_parameter(source->name, source->type, values);
    else
        formula_uniform(source->name, type_elements(source->type), values);
}

static const Output *output_called(const Graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (!strcmp(graph->outputs[i].name, name)) return &graph->outputs[i];
    return NULL;
}

/* Computed in double, so what differs is not rounding. What fuse_loss makes has no meaning of its own, only
 * as a whole: see test_loss.c. */
START_TEST(pass_keeps_values)
{
    const char *path = arena_printf(arena, FOLDER "/%s", goldens[_i]), *wanted[MAX_WANTED];
    char *before = read_file(path), *pass = arena_strndup(arena, goldens[_i], strcspn(goldens[_i], "/"));
    if (!strcmp(pass, "fuse_loss")) return;
    *strstr(before, "---\n") = 0;
    PassOptions options = {.wanted = wanted, .n_wanted = words_of(before, "wanted", wanted)};
    Graph *plain = parse(path, before), *passed = parse(path, before);
    run(passed, pass, &options);
    Tensor *expected = reference_run(arena, plain, fill, NULL),
           *got = reference_run(arena, passed, fill, NULL);
    ck_assert(expected && got);
    for (int i = 0; i < passed->n_outputs; i++) {
        const Output *output = output_called(plain, passed->outputs[i].name);
        const Tensor *x = &expected[output->node->id], *y = &got[passed->outputs[i].node->id];
        ck_assert(type_equal(x->type, y->type));
        for (int64_t j = 0; j < type_elements(x->type); j++)
            ck_assert_msg(fabs(x->data[j] - y->data[j]) <= 1e-12 * (1 + fabs(x->data[j])),
                          "%s: %s[%lld]: %g, not %g", path, output->name, (long long)j, y->data[j],
                          x->data[j]);
    }
}
END_TEST

/* ---- the driver ------------------------------------------------------------------------------------------
 */

static const char two_outputs[] =
    "graph net\n%1: f32[1,3,4,4] = input  # \"image\"\n%2: f32[1,3,4,4] = relu %1\n"
    "%3: f32[1,3,4,4] = sigmoid %1\noutput logits = %2\noutput aux = %3\n";

static void count_reports(void *user, const PassReport *report)
{
    int count, *seen = user;
    ck_assert_ptr_eq(report->pass, &pass_list(&count)[*seen]);
    ck_assert_double_ge(report->seconds, 0);
    ck_assert_ptr_nonnull(report->graph);
    (*seen)++;
}

START_TEST(driver_reports_every_pass)
{
    int seen = 0, count;
    pass_list(&count);
    ck_assert(pass_run_all(parse("g.txt", two_outputs), &(PassOptions){0}, count_reports, &seen));
    ck_assert_int_eq(seen, count);
}
END_TEST

START_TEST(driver_keeps_all_outputs_unless_told)
{
    Graph *graph = parse("g.txt", two_outputs);
    ck_assert(pass_run_all(graph, &(PassOptions){0}, NULL, NULL));
    ck_assert_int_eq(graph->n_outputs, 2);
}
END_TEST

START_TEST(driver_adds_classes)
{
    Graph *graph = parse("g.txt", two_outputs);
    ck_assert(pass_run_all(graph, &(PassOptions){.predict = "logits", .want_classes = true}, NULL, NULL));
    ck_assert_int_eq(graph->n_outputs, 1);
    ck_assert_str_eq(graph->outputs[0].name, "classes");
    ck_assert_str_eq(type_text(arena, graph->outputs[0].node->type), "i32[1,4,4]");
}
END_TEST

START_TEST(driver_adds_classes_beside_wanted_outputs)
{
    Graph *graph = parse("g.txt", two_outputs);
    const char *const wanted[] = {"aux"};
    PassOptions options = {.predict = "logits", .want_classes = true, .wanted = wanted, .n_wanted = 1};
    ck_assert(pass_run_all(graph, &options, NULL, NULL));
    ck_assert_int_eq(graph->n_outputs, 2);
    ck_assert_str_eq(graph->outputs[0].name, "aux");
    ck_assert_str_eq(graph->outputs[1].name, "classes");
}
END_TEST

START_TEST(driver_takes_classes_that_are_there)
{
    Graph *graph =
        parse("g.txt", "graph net\n%1: f32[1,3,4,4] = input  # \"image\"\n%2: i32[1,4,4] = argmax %1\n"
                       "output classes = %2\n");
    ck_assert(pass_run_all(graph, &(PassOptions){.predict = "classes", .want_classes = true}, NULL, NULL));
    ck_assert_int_eq(graph->n_outputs, 1);
    ck_assert_int_eq(graph->outputs[0].node->op, OP_ARGMAX);
}
END_TEST

START_TEST(driver_names_an_unknown_output)
{
    const char *const wanted[] = {"logit"};
    PassOptions options = {.wanted = wanted, .n_wanted = 1};
    ck_assert(!pass_run_all(parse("g.txt", two_outputs), &options, NULL, NULL));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "net has no output 'logit' (did you mean 'logits'?)"));
}
END_TEST

START_TEST(driver_refuses_classes_of_one_dimension)
{
    Graph *graph = parse("g.txt", "graph net\n%1: f32[4] = input  # \"x\"\noutput y = %1\n");
    ck_assert(!pass_run_all(graph, &(PassOptions){.predict = "y", .want_classes = true}, NULL, NULL));
    ck_assert_ptr_nonnull(
        strstr(diag_text(diag), "argmax 'classes': takes 2 dimensions or more, not f32[4]"));
}
END_TEST

Suite *pass_suite(void)
{
    Suite *suite = suite_create("pass");
    TCase *golden = tcase_create("goldens"), *driver = tcase_create("driver");
    tcase_add_checked_fixture(golden, set_up, tear_down);
    tcase_add_checked_fixture(driver, set_up, tear_down);
    suite_add_tcase(suite, golden);
    suite_add_tcase(suite, driver);
    int n_passes;
    pass_list(&n_passes);
    if (n_goldens == 0) find_goldens();
    tcase_add_loop_test(golden, golden_is_met, 0, n_goldens);
    tcase_add_loop_test(golden, pass_is_done_after_one_run, 0, n_goldens);
    tcase_add_loop_test(golden, pass_keeps_values, 0, n_goldens);
    tcase_add_loop_test(golden, every_pass_has_goldens, 0, n_passes);
    tcase_add_test(driver, driver_reports_every_pass);
    tcase_add_test(driver, driver_keeps_all_outputs_unless_told);
    tcase_add_test(driver, driver_adds_classes);
    tcase_add_test(driver, driver_adds_classes_beside_wanted_outputs);
    tcase_add_test(driver, driver_takes_classes_that_are_there);
    tcase_add_test(driver, driver_names_an_unknown_output);
    tcase_add_test(driver, driver_refuses_classes_of_one_dimension);
    return suite;
}
