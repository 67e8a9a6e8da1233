/* The reference interpreter: what every expression and statement does, and what it refuses. Kernels are given
 * as loop text. */
#include "conv_spec.h"
#include "ref_interp.h"
#include "rt_status.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <string.h>

static Arena *arena;

static void setup(void)
{
    arena = arena_new();
}

static void teardown(void)
{
    arena_free(arena);
}

static Kernel *parse(const char *text)
{
    Source source = {"t", text, strlen(text)};
    Diag *diag = diag_new(arena);
    Kernel *kernel = loop_text_parse(arena, diag, &source);
    ck_assert_msg(kernel != NULL, "%s", diag_text(diag));
    return kernel;
}

static const float xs[] = {3, -2, 0.5f, NAN, INFINITY};
static const int32_t ts[] = {7, -3, 0, 2000000000};
static const uint8_t us[] = {0, 200, 255};

/* ---- expressions --------------------------------------------------------------------------------- */

/* An expression over x = xs, t = ts, u = us, as a float. */
static double value_of(const char *expression)
{
    Kernel *kernel = parse(arena_printf(
        arena, "kernel k(x: f32[5] in, t: i32[4] in, u: u8[3] in, y: f32[1] out) {\n  y[0] = %s\n}",
        expression));
    float y = -12345;
    ck_assert(interp_run(kernel, (void *[]){(void *)xs, (void *)ts, (void *)us, &y}));
    return (double)y;
}

static const struct {
    const char *expression;
    double value;
} values[] = {
    {"1.5 + 2.0", 3.5},
    {"x[0] - x[1]", 5},
    {"x[0]*x[1]", -6},
    {"x[0]/x[1]", -1.5},
    {"1.0/0.0", INFINITY},
    {"min(x[0], x[1])", -2},
    {"max(x[0], x[1])", 3},
    {"max(x[3], 1.0)", 1}, /* the second when the first is NaN */
    {"max(1.0, x[3])", NAN},
    {"min(x[3], 1.0)", 1},
    {"neg(x[0])", -3},
    {"exp(0.0)", 1},
    {"log(1.0)", 0},
    {"exp(x[4])", INFINITY},
    {"exp(neg(x[4]))", 0},
    {"sqrt(4.0)", 2},
    {"fma(x[0], x[1], 10.0)", 4},
    {"select(1 < 2, 1.0, 2.0)", 1},
    {"select(1 > 2, 1.0, 2.0)", 2},
    {"select(x[3] == x[3], 1.0, 2.0)", 2},
    {"select(x[1] <= -2.0 && x[0] > 2.0, 1.0, 2.0)", 1},
    {"select((1 < 2) == (3 < 4), 1.0, 2.0)", 1},
    {"select(select(1 < 2, 3 < 4, 4 < 3), 1.0, 2.0)", 1},
    {"float(7/2)", 3},
    {"float(7%3)", 1},
    {"float(3 - 5*2)", -7},
    {"float(min(t[0], t[1]))", -3},
    {"float(max(t[0], t[1]))", 7},
    {"float(neg(t[0]))", -7},
    {"float(select(t[2] == 0, 5, 6))", 5},
    {"float(fma(t[0], 2, t[1]))", 11},
    {"float(t[3] + t[3])", 4e9}, /* integers are wide */
    {"float(u[1] + u[2])", 455},
    {"float(int(x[2] + x[0]))", 3},
    {"float(int(-2.75))", -2}, /* towards zero */
    {"float(int(3))", 3},
    {"float(int(2 < 3))", 1},
    {"float(2 < 3)", 1},
    {"float(2.5)", 2.5},
    {"x[t[2]]", 3},
    {"x[1] if 1 < 2", -2},
    {"x[1] if 1 > 2", 0},
    {"x[9000000] if 1 > 2", 0}, /* not touched */
    {"float(t[0] if 1 > 2)", 0},
    {"float(u[2] if 1 < 2)", 255},
};
enum { N_VALUES = sizeof values / sizeof *values };

START_TEST(expressions_have_their_values)
{
    double got = value_of(values[_i].expression), want = values[_i].value;
    ck_assert_msg(got == want || (isnan(got) && isnan(want)), "%s is %g, not %g", values[_i].expression, got,
                  want);
}
END_TEST

/* In float, 1e8 + 1 is 1e8. */
START_TEST(floats_are_double_until_stored)
{
    ck_assert_double_eq(value_of("100000000.0 + 1.0 - 100000000.0"), 1);
    ck_assert_double_eq(value_of("0.1 + 0.2"), (double)(float)(0.1 + 0.2));
}
END_TEST

/* ---- statements ---------------------------------------------------------------------------------- */

START_TEST(reductions_carry_values)
{
    Kernel *kernel = parse("kernel fibonacci(y: f32[2] out) {\n"
                           "  reduce i 0..10 with a = 0.0, b = 1.0 {\n"
                           "    yield b, a + b\n"
                           "  }\n"
                           "  reduce j 5..5 with c = a {\n" /* no iteration: the initial value */
                           "    yield 0.0\n"
                           "  }\n"
                           "  y[0] = a\n"
                           "  y[1] = c\n"
                           "}\n");
    float y[2] = {0};
    ck_assert(interp_run(kernel, (void *[]){y}));
    ck_assert(y[0] == 55 && y[1] == 55);
}
END_TEST

START_TEST(inner_reductions_see_outer_values)
{
    Kernel *kernel = parse("kernel largest(x: f32[6] in, y: f32[1] out) {\n"
                           "  reduce i 0..2 with m = -inf {\n"
                           "    reduce j 0..i*2 + 1 with m2 = m {\n"
                           "      let v = x[i*3 + j]\n"
                           "      yield max(v, m2)\n"
                           "    }\n"
                           "    yield m2\n"
                           "  }\n"
                           "  y[0] = m\n"
                           "}\n");
    float x[] = {1, 9, 9, 4, 5, 3}, y[1];
    ck_assert(interp_run(kernel, (void *[]){x, y}));
    ck_assert(y[0] == 5);
}
END_TEST

START_TEST(stores_round_to_the_buffers_type)
{
    Kernel *kernel = parse("kernel k(f: f32[1] out, i: i32[2] out, u: u8[2] out) {\n"
                           "  f[0] = 1.00000001\n"
                           "  i[0] = -2147483648\n"
                           "  i[1] = 2147483647\n"
                           "  u[0] = 0\n"
                           "  u[1] = 255\n"
                           "}\n");
    float f[1];
    int32_t i[2];
    uint8_t u[2];
    ck_assert(interp_run(kernel, (void *[]){f, i, u}));
    ck_assert(f[0] == 1 && i[0] == INT32_MIN && i[1] == INT32_MAX && u[0] == 0 && u[1] == 255);
}
END_TEST

static const char *const grid = "kernel grid(y: f32[24] out) {\n"
                                "  parallel a 1..3 {\n"
                                "    parallel b 0..3 {\n"
                                "      vector l 0..4 {\n"
                                "        y[((a - 1)*3 + b)*4 + l] = float(a*100 + b*10 + l)\n"
                                "      }\n"
                                "    }\n"
                                "  }\n"
                                "}\n";

START_TEST(units_are_numbered_outermost_first)
{
    Kernel *kernel = parse(grid);
    float y[24] = {0};
    ck_assert_int_eq(kernel->units, 6);
    ck_assert(interp_run_units(kernel, (void *[]){y}, 2, 5));
    for (int i = 0; i < 24; i++) {
        int unit = i / 4, a = 1 + unit / 3, b = unit % 3;
        float want = unit < 2 || unit > 4 ? 0 : (float)(a * 100 + b * 10 + i % 4);
        ck_assert_msg(y[i] == want, "element %d is %g, not %g", i, (double)y[i], (double)want);
    }
}
END_TEST

START_TEST(units_in_parts_are_the_whole)
{
    Kernel *kernel = parse(grid);
    float whole[24] = {0}, parts[24] = {0};
    ck_assert(interp_run(kernel, (void *[]){whole}));
    for (int unit = 5; unit >= 0; unit--)
        ck_assert(interp_run_units(kernel, (void *[]){parts}, unit, unit + 1));
    ck_assert_mem_eq(whole, parts, sizeof whole);
}
END_TEST

START_TEST(no_memory_is_told)
{
    Kernel *kernel = parse(grid);
    float y[24] = {0};
    rt_alloc_fail_at(1);
    ck_assert(!interp_run(kernel, (void *[]){y}));
    rt_alloc_fail_at(0);
    ck_assert(y[0] == 0);
}
END_TEST

/* ---- contractions by template -------------------------------------------------------------------- */

/* One picture of 2 channels side by side in lanes, 3 x 4 pixels with a border of one all around; 1 x 3 taps;
 * 4 filters in blocks of 2; the epilogue is max(0, acc + bias). */
static Kernel *conv_kernel(void)
{
    LoopBuilder b = loop_builder(arena, "conv");
    loop_buffer(&b, "in", F32, BUFFER_IN, 5 * 6 * 2);
    loop_buffer(&b, "filters", F32, BUFFER_IN, 2 * 3 * 2 * 2);
    loop_buffer(&b, "out", F32, BUFFER_OUT, 2 * 3 * 4 * 2);
    int bias = loop_buffer(&b, "bias", F32, BUFFER_IN, 4);
    ConvSpec *c = ARENA_NEW(arena, ConvSpec);
    *c = (ConvSpec){.n = 1, .oh = 3, .ow = 4, .filter_blocks = 2, .units = 1, .ny = 1, .nx = 3};
    c->dx = -1, c->dx_step = 1;
    c->stride_y = c->stride_x = 1;
    c->in_offset = (1 * 6 + 1) * 2, c->in_n = 60, c->in_block = 60, c->in_y = 12, c->in_x = 2, c->in_lane = 1;
    c->in_lanes = 2;
    c->out_n = 48, c->out_block = 24, c->out_y = 8, c->out_x = 2;
    c->schedule =
        (ConvSchedule){.block = 2, .vectors = 1, .pixels = 2, .unit = 2, .chunk_units = 1, .rows = 1};
    Var **vars[] = {&c->var_n, &c->var_cb, &c->var_lane, &c->var_y, &c->var_x, &c->var_acc};
    for (int i = 0; i < 6; i++) {
        *vars[i] = ARENA_NEW(arena, Var);
        **vars[i] = (Var){.name = "v", .type = i < 5 ? SCALAR_INT : SCALAR_F32, .id = i};
    }
    Expr *filter = expr_add(&b, expr_scale(&b, expr_var(&b, c->var_cb), 2), expr_var(&b, c->var_lane));
    Expr *sum = expr_op2(&b, EXPR_ADD, expr_var(&b, c->var_acc), expr_load(&b, bias, filter));
    c->value = expr_op2(&b, EXPR_MAX, expr_float(&b, 0), sum);
    b.kernel->conv = c;
    b.next_var = 6;
    return loop_finish(&b);
}

START_TEST(conv_spec_means_its_formula)
{
    float in[60] = {0}, filters[24], out[48] = {0}, bias[4] = {0.5f, -1, 0, 3};
    for (int i = 0; i < 24; i++) filters[i] = (float)(i * 7 % 11 - 5);
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 8; x++) in[((y + 1) * 6 + 1) * 2 + x] = (float)((y * 8 + x) * 5 % 13 - 6);
    ck_assert(interp_run(conv_kernel(), (void *[]){in, filters, out, bias}));
    for (int i = 0; i < 48; i++) {
        int lane = i % 2, x = i / 2 % 4, y = i / 8 % 3, cb = i / 24;
        float sum = bias[cb * 2 + lane];
        for (int k = 0; k < 6; k++)
            sum += in[((y + 1) * 6 + x + k / 2) * 2 + k % 2] *
                   filters[((cb * 3 + k / 2) * 2 + k % 2) * 2 + lane];
        ck_assert_msg(out[i] == (sum > 0 ? sum : 0), "element %d is %g, not %g", i, (double)out[i],
                      (double)sum);
    }
}
END_TEST

START_TEST(conv_prints_as_its_spec)
{
    const char *text = loop_text(arena, conv_kernel());
    ck_assert_msg(strstr(text, "kernel \"conv\" (in: f32[60] in,") == text, "%s", text);
    ck_assert_msg(strstr(text, "\n  conv n=1 out=3x4 filter_blocks=2 "), "%s", text);
}
END_TEST

/* ---- what stops the process ---------------------------------------------------------------------- */

static const char *const faults[] = {
    "x[5]",                         /* behind the buffer */
    "x[-1]",                        /* before it */
    "x[t[1]]",                      /* by a table */
    "float(1/t[2])",                /* by zero */
    "float(t[1]/2)",                /* of a negative */
    "float(t[0]%t[1])",             /* by a negative */
    "float(int(x[3]))",             /* no integer is NaN */
    "float(int(exp(100.0)))",       /* nor that large */
    "float(u[3])",                  /* of bytes */
    "select(x[7] > 0.0, 1.0, 2.0)", /* in a condition */
    "x[2] if x[9] > 0.0",           /* in a guard */
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

/* The message goes to stderr, which a test should not fill. */
static void silence(void)
{
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
}

START_TEST(faults_stop_the_process)
{
    silence();
    value_of(faults[_i]);
}
END_TEST

START_TEST(store_out_of_reach_stops_the_process)
{
    silence();
    float y[1];
    interp_run(parse("kernel k(y: f32[1] out) {\n  y[1] = 0.0\n}"), (void *[]){y});
}
END_TEST

START_TEST(store_that_does_not_fit_stops_the_process)
{
    silence();
    uint8_t y[1];
    interp_run(parse("kernel k(y: u8[1] out) {\n  y[0] = 256\n}"), (void *[]){y});
}
END_TEST

Suite *interp_suite(void)
{
    Suite *suite = suite_create("interp");
    TCase *tests = tcase_create("interp");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, expressions_have_their_values, 0, N_VALUES);
    tcase_add_test(tests, floats_are_double_until_stored);
    tcase_add_test(tests, reductions_carry_values);
    tcase_add_test(tests, inner_reductions_see_outer_values);
    tcase_add_test(tests, stores_round_to_the_buffers_type);
    tcase_add_test(tests, units_are_numbered_outermost_first);
    tcase_add_test(tests, units_in_parts_are_the_whole);
    tcase_add_test(tests, no_memory_is_told);
    tcase_add_test(tests, conv_spec_means_its_formula);
    tcase_add_test(tests, conv_prints_as_its_spec);
    tcase_add_loop_test_raise_signal(tests, faults_stop_the_process, SIGABRT, 0, N_FAULTS);
    tcase_add_test_raise_signal(tests, store_out_of_reach_stops_the_process, SIGABRT);
    tcase_add_test_raise_signal(tests, store_that_does_not_fit_stops_the_process, SIGABRT);
    suite_add_tcase(suite, tests);
    return suite;
}
