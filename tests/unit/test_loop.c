/* Loop kernels: building them, how indices move, and the text that prints and parses. */
#include "loop.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- goldens: print(parse(t)) == t --------------------------------------------------------------- */

static const char *const goldens[] = {"max_pool2d", "expressions", "guards", "carries",
                                      "names",      "tables",      "floats", "empty"};
enum { N_GOLDENS = sizeof goldens / sizeof *goldens };

static const Source *read_golden(const char *name)
{
    Source *source = ARENA_NEW(arena, Source);
    source->path = arena_printf(arena, "tests/text/loops/%s.txt", name);
    FILE *file = fopen(source->path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s", source->path);
    Text text = text_new(arena);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) text_append(&text, block, n);
    fclose(file);
    source->text = text.text;
    source->size = text.length;
    return source;
}

static Source source_of(const char *text)
{
    return (Source){"t", text, strlen(text)};
}

static Kernel *parse_golden(const char *name)
{
    Diag *diag = diag_new(arena);
    Kernel *kernel = loop_text_parse(arena, diag, read_golden(name));
    ck_assert_msg(kernel != NULL, "%s", diag_text(diag));
    return kernel;
}

START_TEST(text_comes_back)
{
    ck_assert_str_eq(loop_text(arena, parse_golden(goldens[_i])), read_golden(goldens[_i])->text);
}
END_TEST

START_TEST(comments_and_blanks_are_skipped)
{
    Source source = source_of("# a kernel\n\tkernel nothing(\r\n) # with no\n{ # statements\n}");
    Kernel *kernel = loop_text_parse(arena, diag_new(arena), &source);
    ck_assert_ptr_nonnull(kernel);
    ck_assert_str_eq(loop_text(arena, kernel), "kernel nothing() {\n}\n");
}
END_TEST

START_TEST(parsing_counts_units_and_reads_the_header)
{
    Kernel *pool = parse_golden("max_pool2d");
    ck_assert_int_eq(pool->units, 16);
    ck_assert_int_eq(pool->n_buffers, 2);
    ck_assert_int_eq(pool->buffers[1].elements, 2048);
    ck_assert_int_eq(pool->buffers[1].role, BUFFER_OUT);
    ck_assert_int_eq(parse_golden("carries")->scratch, 128);
    ck_assert_ptr_null(parse_golden("floats")->name);
    ck_assert_str_eq(parse_golden("floats")->kind, "floats that must survive");
}
END_TEST

/* ---- what is not a kernel ------------------------------------------------------------------------ */

#define IN_KERNEL(statements) "kernel k(x: f32[4] in, t: i32[4] in, y: f32[4] out) {\n" statements "\n}\n"

/* A text and what must be said of it, with the place. */
static const struct {
    const char *text, *message;
} wrong[] = {
    {"", "t:1:1: error: expected 'kernel', found the end"},
    {"kernel", "t:1:7: error: expected a name or a kind in quotes, found the end"},
    {"kernel k(x: f16[4] in) {\n}", "t:1:13: error: expected f32, i32 or u8, found 'f16'"},
    {"kernel k(x: f32[4] inout) {\n}", "t:1:20: error: expected 'in' or 'out', found 'inout'"},
    {"kernel k(x: f32[4] in, x: f32[4] in) {\n}", "t:1:24: error: a second buffer 'x'"},
    {"kernel k(x: f32[99999999999999999999] in) {\n}",
     "t:1:17: error: 99999999999999999999 is too large for an integer"},
    {"kernel \"k", "t:1:8: error: this string does not end on its line"},
    {"kernel k() {\n} more", "t:2:3: error: expected nothing more, found 'more'"},
    {"kernel k() {\n", "t:2:1: error: expected '}', found the end"},
    {"kernel k() @", "t:1:12: error: unexpected character '@'"},
    {"kernel k() \x01", "t:1:12: error: unexpected byte 0x01"},
    {IN_KERNEL("y[0] = x[0"), "t:3:1: error: expected ']', found '}'"},
    {IN_KERNEL("y[0] = z[0]"), "t:2:8: error: no buffer 'z'"},
    {IN_KERNEL("yy[0] = 1.0"), "t:2:1: error: no buffer 'yy' (did you mean 'y'?)"},
    {IN_KERNEL("x[0] = 1.0"), "t:2:1: error: 'x' is an input"},
    {IN_KERNEL("y[0] = 1"), "t:2:8: error: what is stored here must be of type float, not integer"},
    {IN_KERNEL("y[0.5] = 1.0"), "t:2:3: error: an index must be of type integer, not float"},
    {IN_KERNEL("y[0] = 1.0 + 1"), "t:2:12: error: '+' takes operands of one type, not float and integer"},
    {IN_KERNEL("y[0] = 1.0 % 2.0"), "t:2:12: error: '%' takes integers"},
    {IN_KERNEL("y[0] = exp(1)"), "t:2:8: error: 'exp' takes a float"},
    {IN_KERNEL("y[0] = expo(1.0)"), "t:2:8: error: no function 'expo' (did you mean 'exp'?)"},
    {IN_KERNEL("y[0] = max(1.0)"), "t:2:15: error: expected ',', found ')'"},
    {IN_KERNEL("y[0] = select(1, 1.0, 2.0)"), "t:2:8: error: 'select' takes a condition"},
    {IN_KERNEL("y[0] = float(1 < 2 < 3)"), "t:2:20: error: expected ')', found '<'"},
    {IN_KERNEL("y[0] = -x[0]"), "expected a number after '-' (neg(x) negates a value), found 'x'"},
    {IN_KERNEL("y[0] = 1.0 if 1 < 2"), "t:2:12: error: 'if' can follow a load only"},
    {IN_KERNEL("y[0] = x[0] if 1"),
     "t:2:16: error: what follows 'if' must be of type condition, not integer"},
    {IN_KERNEL("y[0] = v"), "t:2:8: error: no value 'v' here"},
    {IN_KERNEL("for i 0..4 {\n}\ny[i] = 1.0"), "t:4:3: error: no value 'i' here"},
    {IN_KERNEL("let v = 1\nlet v = 2"), "t:3:5: error: the name 'v' is taken"},
    {IN_KERNEL("let v = 1\nlet v = 2"), "t:2:5: note: by this one"},
    {IN_KERNEL("let if = 1"), "t:2:5: error: expected a name, found 'if'"},
    {IN_KERNEL("for i 0..1.5 {\n}"), "t:2:10: error: a bound must be of type integer, not float"},
    {IN_KERNEL("for i 0..4 with s = 0.0 {\n}"), "t:2:12: error: only a reduce loop carries values"},
    {IN_KERNEL("reduce i 0..4 with s = 0.0 {\n}"),
     "t:3:1: error: expected 'yield', as this loop carries values, found '}'"},
    {IN_KERNEL("reduce i 0..4 with s = 0.0 {\nyield 1\n}"),
     "t:3:7: error: this next value must be of type float, not integer"},
    {IN_KERNEL("reduce i 0..4 with s = 0.0, r = 1 {\nyield s\n}"), "t:4:1: error: expected ',', found '}'"},
    {IN_KERNEL("for i 0..4 {\nyield 1\n}"), "t:3:1: error: expected '}', found 'yield'"},
    {IN_KERNEL("vector i 0..t[0] {\n}"), "t:2:8: error: a parallel or vector loop has constant bounds"},
    {IN_KERNEL("vector i 0..4 {\nvector j 0..4 {\n}\n}"), "t:3:8: error: a vector loop inside a vector loop"},
    {IN_KERNEL("for i 0..4 {\nparallel j 0..4 {\n}\n}"), "t:3:10: error: parallel loops stand outermost"},
    {IN_KERNEL("parallel j 0..4 {\n}\ny[0] = 1.0"), "t:4:1: error: a statement beside a parallel loop"},
    {IN_KERNEL("parallel j 4..0 {\n}"), "t:2:10: error: the bounds of this loop are in the wrong order"},
};
enum { N_WRONG = sizeof wrong / sizeof *wrong };

START_TEST(wrong_text_is_told)
{
    Diag *diag = diag_new(arena);
    Source source = source_of(wrong[_i].text);
    ck_assert_ptr_null(loop_text_parse(arena, diag, &source));
    ck_assert_msg(strstr(diag_text(diag), wrong[_i].message), "wanted: %s\ngot: %s", wrong[_i].message,
                  diag_text(diag));
    ck_assert_int_eq(diag_errors(diag), 1);
}
END_TEST

/* Every beginning of a right text, and the text with any one byte replaced, is refused or accepted. */
START_TEST(damaged_text_never_crashes)
{
    const Source *golden = read_golden(goldens[_i]);
    static const char replacements[] = {'(', '}', '0', 'a', '.', '"', '\0', '\xff'};
    for (size_t at = 0; at < golden->size; at++) {
        Arena *outer = arena;
        arena = arena_new();
        Source start = {"t", golden->text, at};
        loop_text_parse(arena, diag_new(arena), &start);
        char *copy = arena_strndup(arena, golden->text, golden->size);
        copy[at] = replacements[at % sizeof replacements];
        Source damaged = {"t", copy, golden->size};
        Kernel *kernel = loop_text_parse(arena, diag_new(arena), &damaged);
        if (kernel) loop_text(arena, kernel);
        arena_free(arena);
        arena = outer;
    }
}
END_TEST

static void expect_refused(const char *text, const char *message)
{
    Diag *diag = diag_new(arena);
    Source source = source_of(text);
    ck_assert_ptr_null(loop_text_parse(arena, diag, &source));
    ck_assert_msg(strstr(diag_text(diag), message), "%s", diag_text(diag));
}

START_TEST(depth_and_length_are_bounded)
{
    Text deep = text_new(arena), calls = text_new(arena), chain = text_new(arena), loops = text_new(arena);
    for (int i = 0; i < 100000; i++) {
        text_printf(&deep, "(");
        text_printf(&calls, "neg(");
        text_printf(&chain, "1.0 + ");
        text_printf(&loops, "for i%d 0..1 {\n", i);
    }
    const char *head = "kernel k(y: f32[1] out) {\n";
    expect_refused(arena_printf(arena, "%sy[0] = %s", head, deep.text), "more than 200 deep");
    expect_refused(arena_printf(arena, "%sy[0] = %s", head, calls.text), "more than 200 deep");
    expect_refused(arena_printf(arena, "%sy[0] = %s", head, chain.text), "more than 4000 operators");
    expect_refused(arena_printf(arena, "%s%s", head, loops.text), "more than 31 loops");
}
END_TEST

/* ---- building ------------------------------------------------------------------------------------ */

START_TEST(building_folds_constants)
{
    LoopBuilder b = loop_builder(arena, "fold");
    Expr *x = loop_open_n(&b, LOOP_SERIAL, "x", 4);
    ck_assert_ptr_eq(expr_add(&b, x, expr_int(&b, 0)), x);
    ck_assert_ptr_eq(expr_scale(&b, x, 1), x);
    ck_assert_int_eq(expr_scale(&b, x, 0)->kind, EXPR_INT);
    ck_assert_int_eq(expr_op2(&b, EXPR_MOD, expr_int(&b, 17), expr_int(&b, 5))->i, 2);
    ck_assert_int_eq(expr_op2(&b, EXPR_MIN, expr_int(&b, 3), expr_int(&b, -5))->i, -5);
    loop_close(&b, NULL);
    loop_finish(&b);
}
END_TEST

/* 0 * NaN is not 0, and NaN + 0 is NaN only if it stays. */
START_TEST(building_keeps_floats_exact)
{
    LoopBuilder b = loop_builder(arena, "fold");
    int buffer = loop_buffer(&b, "x", F32, BUFFER_IN, 1);
    Expr *x = expr_load(&b, buffer, expr_int(&b, 0));
    ck_assert_int_eq(expr_op2(&b, EXPR_MUL, x, expr_float(&b, 0))->kind, EXPR_MUL);
    ck_assert_int_eq(expr_op2(&b, EXPR_ADD, x, expr_float(&b, 0))->kind, EXPR_ADD);
    ck_assert_ptr_eq(expr_op2(&b, EXPR_DIV, x, expr_float(&b, 1)), x);
    loop_finish(&b);
}
END_TEST

START_TEST(built_kernel_prints)
{
    LoopBuilder b = loop_builder(arena, "sum of rows");
    int x = loop_buffer(&b, "x", F32, BUFFER_IN, 12), y = loop_buffer(&b, "y", F32, BUFFER_OUT, 3);
    Expr *row = loop_open_n(&b, LOOP_PARALLEL, "row", 3);
    Expr *i = loop_open_n(&b, LOOP_REDUCE, "i", 4);
    Expr *sum = loop_carry(&b, "sum", expr_float(&b, 0));
    Expr *at = expr_add(&b, expr_scale(&b, row, 4), i);
    loop_close(&b, (Expr *[]){expr_op2(&b, EXPR_ADD, sum, expr_load(&b, x, at))});
    loop_store(&b, y, row, sum);
    loop_close(&b, NULL);
    ck_assert_str_eq(loop_text(arena, loop_finish(&b)),
                     "kernel \"sum of rows\" (x: f32[12] in, y: f32[3] out) {\n"
                     "  parallel row 0..3 {\n"
                     "    reduce i 0..4 with sum = 0.0 {\n"
                     "      yield sum + x[row*4 + i]\n"
                     "    }\n"
                     "    y[row] = sum\n"
                     "  }\n"
                     "}\n");
    ck_assert_int_eq(b.kernel->units, 3);
}
END_TEST

/* Names of the graph may be anything; those that collide get their number. */
START_TEST(names_are_made_printable_and_unique)
{
    LoopBuilder b = loop_builder(arena, "say \"x\"");
    b.kernel->name = "3 conv/x";
    loop_buffer(&b, "layer1.0.weight", F32, BUFFER_IN, 1);
    loop_buffer(&b, "layer1.0.weight", F32, BUFFER_OUT, 1);
    Expr *outer = loop_open_n(&b, LOOP_SERIAL, "if", 2);
    Expr *inner = loop_open_n(&b, LOOP_SERIAL, "if", 2);
    loop_store(&b, 1, outer, expr_load(&b, 0, inner));
    loop_close(&b, NULL);
    loop_close(&b, NULL);
    const char *text = loop_text(arena, loop_finish(&b));
    ck_assert_str_eq(
        text, "kernel _3_conv_x \"say x\" (layer1_0_weight: f32[1] in, layer1_0_weight_1: f32[1] out) {\n"
              "  for if_ 0..2 {\n"
              "    for if__1 0..2 {\n"
              "      layer1_0_weight_1[if_] = layer1_0_weight[if__1]\n"
              "    }\n"
              "  }\n"
              "}\n");
    Source source = source_of(text);
    ck_assert_str_eq(loop_text(arena, loop_text_parse(arena, diag_new(arena), &source)), text);
}
END_TEST

/* ---- strides ------------------------------------------------------------------------------------- */

/* The index of the load in "let v = x[...]" of a loop over i, with j around it. */
static int64_t stride_of(const char *index)
{
    const char *text = arena_printf(
        arena, "kernel k(x: f32[9] in, t: i32[9] in) {\nfor j 0..3 {\nfor i 0..3 {\nlet v = x[%s]\n}\n}\n}",
        index);
    Source source = source_of(text);
    Diag *diag = diag_new(arena);
    Kernel *kernel = loop_text_parse(arena, diag, &source);
    ck_assert_msg(kernel != NULL, "%s", diag_text(diag));
    const Stmt *inner = kernel->body->body;
    return expr_stride(inner->body->value->arg[0], inner->var);
}

START_TEST(strides_of_indices)
{
    ck_assert_int_eq(stride_of("i"), 1);
    ck_assert_int_eq(stride_of("j*8 + 3"), 0);
    ck_assert_int_eq(stride_of("(j*64 + i)*8 - i*2"), 6);
    ck_assert_int_eq(stride_of("4*(i - 1) + t[j]"), 4);
    ck_assert_int_eq(stride_of("j*j + i"), 1);
    ck_assert_int_eq(stride_of("i*j"), STRIDE_VARIES);
    ck_assert_int_eq(stride_of("i/2"), STRIDE_VARIES);
    ck_assert_int_eq(stride_of("t[i]"), STRIDE_VARIES);
    ck_assert_int_eq(stride_of("max(i, j)"), STRIDE_VARIES);
    ck_assert_int_eq(stride_of("max(j, 2)"), 0);
}
END_TEST

Suite *loop_suite(void)
{
    Suite *suite = suite_create("loop");
    TCase *tests = tcase_create("loop");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, text_comes_back, 0, N_GOLDENS);
    tcase_add_test(tests, comments_and_blanks_are_skipped);
    tcase_add_test(tests, parsing_counts_units_and_reads_the_header);
    tcase_add_loop_test(tests, wrong_text_is_told, 0, N_WRONG);
    tcase_add_loop_test(tests, damaged_text_never_crashes, 0, N_GOLDENS);
    tcase_add_test(tests, depth_and_length_are_bounded);
    tcase_add_test(tests, building_folds_constants);
    tcase_add_test(tests, building_keeps_floats_exact);
    tcase_add_test(tests, built_kernel_prints);
    tcase_add_test(tests, names_are_made_printable_and_unique);
    tcase_add_test(tests, strides_of_indices);
    suite_add_tcase(suite, tests);
    return suite;
}
