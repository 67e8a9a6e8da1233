/* The operator table walked: every operator has test cases, the reference loops agree with PyTorch's
 * fixtures, and compiled programs agree with the reference. */
#include "../table/cases.h"
#include "../table/compare.h"
#include "../table/formula.h"
#include "../table/reference.h"
#include "op.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Graph *make_graph(Arena *arena, const Case *c)
{
    Diag *diag = diag_new(arena);
    Graph *graph = case_graph(arena, diag, c);
    ck_assert_msg(graph != NULL, "%s: %s", case_text(arena, c), diag_text(diag));
    return graph;
}

static const Tensor *reference_output(Arena *arena, const Graph *graph, const Case *c)
{
    Tensor *values = reference_run(arena, graph, case_fill, (void *)c);
    ck_assert_ptr_nonnull(values);
    return &values[graph->outputs[0].node->id];
}

/* ---- the formula --------------------------------------------------------------------------------- */

START_TEST(formula_gives_the_documented_values)
{
    float u[3], weight[64 * 3 * 7 * 7], var[2];
    formula_uniform("image", 3, u);
    ck_assert(u[0] == 0x1.dbde9p-2f && u[1] == 0x1.df2fdcp-1f && u[2] == 0x1.ea471p-2f);
    formula_parameter("conv1.weight", type_picture(64, 3, 7, 7), weight);
    ck_assert(weight[0] == 0x1.6af74p-4f && weight[1] == -0x1.fe663p-4f && weight[9407] == -0x1.083884p-5f);
    formula_parameter("bn1.running_var", (Type){.rank = 1, .dim = {2}}, var);
    ck_assert(var[0] == 0x1.7d025p+0f && var[1] == 0x1.6840acp+0f);
}
END_TEST

/* ---- references against PyTorch ------------------------------------------------------------------ */

#define OPS_FIXTURES "tests/fixtures/ops/"

/* A line of the manifest: operator, offset in floats, input rank and dims, output rank and dims, attributes.
 */
typedef struct Fixture {
    char op[32];
    long offset;
    char input[100];
    Type output;
    char attrs[400];
} Fixture;

static bool read_dims(FILE *file, Type *type)
{
    if (fscanf(file, "%d", &type->rank) != 1 || type->rank < 1 || type->rank > MAX_RANK) return false;
    for (int i = 0; i < type->rank; i++) {
        long long dim;
        if (fscanf(file, "%lld", &dim) != 1) return false;
        type->dim[i] = dim;
    }
    return true;
}

static bool read_fixture(FILE *manifest, Fixture *f)
{
    Type input = {0};
    *f = (Fixture){0};
    if (fscanf(manifest, "%31s %ld", f->op, &f->offset) != 2) return false;
    if (!read_dims(manifest, &input) || !read_dims(manifest, &f->output)) return false;
    for (int i = 0; i < input.rank; i++) {
        size_t length = strlen(f->input);
        snprintf(f->input + length, sizeof f->input - length, "%s%lld", i ? "," : "",
                 (long long)input.dim[i]);
    }
    if (!fgets(f->attrs, sizeof f->attrs, manifest)) return false;
    f->attrs[strcspn(f->attrs, "\n")] = 0;
    return true;
}

static int count_fixtures(void)
{
    FILE *manifest = fopen(OPS_FIXTURES "manifest.txt", "r");
    Fixture f;
    int count = 0;
    while (manifest && read_fixture(manifest, &f)) count++;
    if (manifest) fclose(manifest);
    return count;
}

static void find_fixture(int index, Fixture *f)
{
    FILE *manifest = fopen(OPS_FIXTURES "manifest.txt", "r");
    ck_assert_ptr_nonnull(manifest);
    for (int i = 0; i <= index; i++) ck_assert(read_fixture(manifest, f));
    fclose(manifest);
}

static float *read_values(Arena *arena, const Fixture *f)
{
    int64_t count = type_elements(f->output);
    float *values = ARENA_ARRAY(arena, float, count);
    FILE *file = fopen(arena_printf(arena, OPS_FIXTURES "%s.bin", f->op), "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, f->offset * 4, SEEK_SET), 0);
    ck_assert_uint_eq(fread(values, sizeof *values, (size_t)count, file), (size_t)count);
    fclose(file);
    return values;
}

START_TEST(reference_agrees_with_pytorch)
{
    Arena *arena = arena_new();
    Fixture f;
    find_fixture(_i, &f);
    const Case c = {f.op, f.input, f.attrs, FILL_UNIT};
    const Graph *graph = make_graph(arena, &c);
    const Tensor *want = reference_output(arena, graph, &c);
    ck_assert_msg(type_equal(want->type, f.output), "%s: %s, PyTorch has %s", case_text(arena, &c),
                  type_text(arena, want->type), type_text(arena, f.output));
    Difference d = compare_values(want->data, read_values(arena, &f), type_elements(want->type));
    ck_assert_msg(d.most <= 1e-6 * d.largest, "%s: differs by %g of %g at %lld", case_text(arena, &c), d.most,
                  d.largest, (long long)d.at);
    arena_free(arena);
}
END_TEST

START_TEST(fixtures_are_there)
{
    ck_assert_int_ge(count_fixtures(), 80);
}
END_TEST

/* ---- coverage ------------------------------------------------------------------------------------ */

/* Sources compute nothing; optimisers have test_optimizer.c; the others are made by layout.c around
 * convolutions, and of losses, and are run by their cases. */
static bool needs_no_case(Op op)
{
    bool of_a_loss = op >= OP_PIXEL_LOSS && op <= OP_ENTROPY_SLOPE;
    OpClass class = op_info(op)->class;
    return class == CLASS_SOURCE || class == CLASS_OPTIMIZER || op == OP_RELAYOUT || op == OP_PACK_FILTER ||
           of_a_loss;
}

START_TEST(every_operator_has_cases_and_a_reference)
{
    for (Op op = 0; op < OP_COUNT; op++) {
        int count = 0;
        for (int i = 0; i < n_cases; i++)
            if (strcmp(cases[i].op, op_info(op)->name) == 0) count++;
        if (needs_no_case(op)) continue;
        ck_assert_msg(count >= 2, "%s has %d rows in tests/table/cases.def", op_info(op)->name, count);
        ck_assert_msg(reference_rule(op) != NULL, "%s has no reference rule", op_info(op)->name);
    }
}
END_TEST

/* Every attribute of a public operator is set to something by some case: an attribute that nobody sets is
 * not tested. momentum and statistics change nothing at inference (test_gradient.c has them), init only what
 * an untrained network starts from. */
START_TEST(every_attribute_is_set_by_some_case)
{
    for (Op op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = op_info(op);
        for (int k = 0; k < info->n_attrs && !needs_no_case(op); k++) {
            const char *name = attr_info(info->attrs[k].name)->name;
            bool set = info->attrs[k].name == A_MOMENTUM || info->attrs[k].name == A_STATISTICS;
            for (int i = 0; i < n_cases; i++)
                if (strcmp(cases[i].op, info->name) == 0 && strstr(cases[i].attrs, name)) set = true;
            ck_assert_msg(set, "no case of %s sets %s", info->name, name);
        }
    }
}
END_TEST

Suite *table_suite(void)
{
    Suite *suite = suite_create("table");
    TCase *fixtures = tcase_create("references");
    tcase_add_test(fixtures, formula_gives_the_documented_values);
    tcase_add_test(fixtures, fixtures_are_there);
    tcase_add_loop_test(fixtures, reference_agrees_with_pytorch, 0, count_fixtures());
    suite_add_tcase(suite, fixtures);
    TCase *coverage = tcase_create("coverage");
    tcase_add_test(coverage, every_operator_has_cases_and_a_reference);
    tcase_add_test(coverage, every_attribute_is_set_by_some_case);
    suite_add_tcase(suite, coverage);
    return suite;
}
