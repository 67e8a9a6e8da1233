/* Every row of op.def that has a gradient, on every small case of cases.def that is of the row: compiled
 * gradients against differences of the reference loops. A row without a case fails. */
#include "../table/compiled.h"
#include "../table/gradient_case.h"
#include "op.h"

#include <check.h>
#include <string.h>

Suite *grad_table_suite(void);

/* Elements and multiply-adds of a case that is looked at, and how many cases a row needs at least. */
enum { MOST_WORK = 70000, LEAST_CASES = 2 };

/* Rows that are made from others before gradients are taken, and have a gradient as what they are made from
 * only: batch_norm_train's statistics are inputs in their own cases, and depend on the first input in truth.
 */
static const struct {
    const char *row, *from, *attrs;
} made_from[] = {
    {"batch_norm_train", "batch_norm", "statistics: batch"},
    {"pixel_loss", "cross_entropy", ""},
    {"pixel_loss", "focal", ""},
    {"pixel_loss", "dice", ""},
};
enum { N_MADE = sizeof made_from / sizeof *made_from };

static int64_t work_of(const Graph *graph)
{
    int64_t work = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        const OpInfo *info = op_info(graph->nodes[i]->op);
        work += type_elements(graph->nodes[i]->type);
        if (info->count) work += info->count(graph->nodes[i]);
    }
    return work;
}

static bool has_row(const Graph *graph, Op op)
{
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i]->op == op) return true;
    return false;
}

static const double *find_gradient(Arena *arena, const Graph *graph, float *const *outputs, const char *name,
                                   int64_t count)
{
    double *values = ARENA_ARRAY(arena, double, count);
    for (int k = 0; k < graph->n_outputs; k++)
        for (int64_t i = 0; i < count && !strcmp(graph->outputs[k].name, name); i++)
            values[i] = (double)outputs[k][i];
    return values;
}

static int check_gradients(Arena *arena, const GradientCase *made, float *const *outputs)
{
    int checked = 0;
    for (int input = 0; input < made->n; input++) {
        if (!made->wrt[input]) continue;
        const double *gradient = find_gradient(arena, made->graph, outputs, arena_printf(arena, "g%d", input),
                                               type_elements(made->wrt[input]->type));
        for (int seed = 0; seed < 2; seed++) {
            const char *fault = gradient_case_fault(arena, made, input, seed, gradient, 1e-5);
            ck_assert_msg(!fault, "%s", fault);
        }
        checked++;
    }
    return checked;
}

/* Whether the case is one of the row, and small; its gradients hold then. Equal values and saturation, which
 * some cases are about, have no slope: their shapes are taken with other values. */
static bool check_case(Op op, const Case *row, const char *attrs)
{
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    Case c = *row;
    bool fuse = op == OP_PIXEL_LOSS;
    c.attrs = *attrs && *c.attrs ? arena_printf(arena, "%s, %s", c.attrs, attrs) : *attrs ? attrs : c.attrs;
    c.fill = c.fill == FILL_POSITIVE ? FILL_POSITIVE : FILL_UNIT;
    const Graph *declared = case_graph(arena, diag, &c);
    bool fits = declared && work_of(declared) <= MOST_WORK;
    if (fits) {
        GradientCase made, again;
        const char *error = gradient_case_make(arena, diag, &c, fuse, &made);
        if (!error) error = gradient_case_make(arena, diag, &c, fuse, &again);
        ck_assert_msg(!error, "%s: %s", case_text(arena, &c), error);
        fits = has_row(made.graph, op) && gradient_case_is_finite(arena, &made);
        float **outputs = ARENA_ARRAY(arena, float *, made.graph->n_outputs);
        for (int k = 0; k < made.graph->n_outputs; k++)
            outputs[k] = ARENA_ARRAY(arena, float, type_elements(made.graph->outputs[k].node->type));
        error = compiled_run(arena, again.graph, &(BuildOptions){.cpu = "host"}, 1, case_fill, &c, outputs);
        ck_assert_msg(!error, "%s: %s", case_text(arena, &c), error);
        ck_assert_msg(!fits || check_gradients(arena, &made, outputs) > 0, "%s: no gradient",
                      case_text(arena, &c));
    }
    arena_free(arena);
    return fits;
}

static int check_cases(Op op, const char *from, const char *attrs)
{
    int checked = 0;
    for (int k = 0; k < n_cases; k++)
        if (!strcmp(cases[k].op, from)) checked += check_case(op, &cases[k], attrs);
    return checked;
}

START_TEST(every_row_holds)
{
    const OpInfo *info = op_info((Op)_i);
    int checked = 0;
    if (!info->gradient) return;
    bool is_made = false;
    for (int m = 0; m < N_MADE; m++) {
        if (strcmp(made_from[m].row, info->name)) continue;
        is_made = true;
        checked += check_cases((Op)_i, made_from[m].from, made_from[m].attrs);
    }
    if (!is_made) checked = check_cases((Op)_i, info->name, "");
    ck_assert_msg(checked >= LEAST_CASES, "row %s has %d gradient cases: cases.def needs small ones of it",
                  info->name, checked);
}
END_TEST

Suite *grad_table_suite(void)
{
    Suite *suite = suite_create("grad_table");
    TCase *tests = tcase_create("grad_table");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_row_holds, 0, OP_COUNT);
    suite_add_tcase(suite, tests);
    return suite;
}
