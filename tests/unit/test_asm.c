/* The machine code of convolutions: the loop over taps, which is where the time goes, keeps its sums in
 * registers. Unrolled or scheduled otherwise it loses a third of its speed to stack references, and nothing
 * else shows that. */
#include "../table/cases.h"
#include "build.h"

#include <check.h>
#include <string.h>

static const struct {
    const char *name, *op, *inputs, *attrs;
} convolutions[] = {
    {"direct", "conv2d", "1,24,33,64", "filters: 64, kernel: 5, padding: 2"},
    {"direct, 3 vectors", "conv2d", "1,24,33,63", "filters: 48, kernel: 5, padding: 2"},
    {"direct, 19 classes", "conv2d", "1,64,33,65", "filters: 19, kernel: 1"},
    {"1x1", "conv2d", "1,128,32,64", "filters: 256, kernel: 1"},
    {"strided", "conv2d", "1,64,33,65", "filters: 128, kernel: 5, stride: 2, padding: 2"},
    {"stem", "conv2d", "1,3,64,128", "filters: 64, kernel: 7, stride: 2, padding: 3"},
    {"dilated", "conv2d", "1,24,33,65", "filters: 32, kernel: 3, padding: 4, dilation: 4"},
    {"narrow", "conv2d", "1,64,7,5", "filters: 32, kernel: 1"},
    {"winograd", "conv2d", "1,64,32,64", "filters: 64, kernel: 3, padding: 1"},
    {"winograd, stride 2", "conv2d", "1,64,32,64", "filters: 128, kernel: 3, stride: 2, padding: 1"},
    {"winograd, few tiles", "conv2d", "1,512,8,8", "filters: 512, kernel: 3, padding: 1"},
    {"weight gradient", "conv2d_grad_filter", "1,64,16,32; 1,64,16,32", "kernel: 3, padding: 1"},
    {"weight gradient, 3 vectors", "conv2d_grad_filter", "1,48,16,32; 1,64,16,32", "kernel: 3, padding: 1"},
    {"weight gradient, 2 vectors", "conv2d_grad_filter", "1,32,16,32; 1,64,16,32", "kernel: 1"},
    {"weight gradient, 1 vector", "conv2d_grad_filter", "1,8,16,32; 1,64,8,16",
     "kernel: 3, stride: 2, padding: 1"},
    {"weight gradient by channels", "conv2d_grad_filter", "1,19,16,32; 1,64,8,16",
     "kernel: 4, stride: 2, padding: 1"},
    {"weight gradient of the stem", "conv2d_grad_filter", "1,3,32,64; 1,64,16,32",
     "kernel: 7, stride: 2, padding: 3"},
};
enum { N_CONVOLUTIONS = sizeof convolutions / sizeof *convolutions };

static const char *const processors[] = {"x86-64-v3", "x86-64-v4"};

/* A line of the text, from its start to its end; NULL at the end of the text. */
typedef struct Line {
    const char *start;
    size_t length;
} Line;

static bool next_line(const char **at, Line *line)
{
    if (!**at) return false;
    line->start = *at;
    line->length = strcspn(*at, "\n");
    *at += line->length + ((*at)[line->length] != '\0');
    return true;
}

static bool has(const Line *line, const char *text)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i + length <= line->length; i++)
        if (!memcmp(line->start + i, text, length)) return true;
    return false;
}

/* A loop of one block: from its label to the jump back. */
typedef struct Block {
    char label[32];
    int multiply_adds, broadcasts, spills;
} Block;

static void start_block(Block *block, const Line *line)
{
    size_t length = line->length;
    for (size_t i = 0; i < line->length; i++)
        if (line->start[i] == ':') length = i;
    *block = (Block){.label = ""};
    if (length < sizeof block->label - 1) memcpy(block->label, line->start, length);
}

static bool is_label(const Line *line)
{
    return line->length > 1 && line->start[0] != '\t' && line->start[0] != ' ' && line->start[0] != '#' &&
           has(line, ":");
}

static bool jumps_to(const Line *line, const char *label)
{
    return line->length > 2 && line->start[0] == '\t' && line->start[1] == 'j' && *label && has(line, label);
}

typedef struct HotLoops {
    int count, multiply_adds, spills;
} HotLoops;

/* A value of memory, not a constant, in all lanes: the pixels of taps. Transforms of tiles have none. */
static bool is_broadcast(const Line *line)
{
    return (has(line, "vbroadcastss") || has(line, "{1to")) && has(line, "(") && !has(line, "(%rip)");
}

static HotLoops find_hot_loops(const char *text)
{
    HotLoops found = {0, 0, 0};
    Block block = {.label = ""};
    Line line;
    while (next_line(&text, &line)) {
        if (is_label(&line)) start_block(&block, &line);
        block.multiply_adds += has(&line, "\tvfmadd");
        block.broadcasts += is_broadcast(&line);
        block.spills += has(&line, "(%rsp)") && (has(&line, "%ymm") || has(&line, "%zmm"));
        if (!jumps_to(&line, block.label) || block.multiply_adds < 8 || block.broadcasts == 0) continue;
        found.count++;
        found.multiply_adds += block.multiply_adds;
        found.spills += block.spills;
    }
    return found;
}

START_TEST(sums_of_taps_stay_in_registers)
{
    for (int i = 0; i < N_CONVOLUTIONS; i++) {
        Arena *arena = arena_new();
        Case c = {.op = convolutions[i].op, .inputs = convolutions[i].inputs, .attrs = convolutions[i].attrs};
        Graph *graph = case_graph(arena, diag_new(arena), &c);
        ck_assert_ptr_nonnull(graph);
        const Build *build = build_graph(arena, graph, &(BuildOptions){.cpu = processors[_i]});
        const char *error = NULL, *text = build_asm(build, &error);
        ck_assert_msg(text != NULL, "%s", error);
        HotLoops loops = find_hot_loops(text);
        ck_assert_msg(loops.count > 0, "%s, %s: no loop of taps", convolutions[i].name, processors[_i]);
        /* A tile of 9 x 3 sums takes 31 of 32 registers, and the register allocator then moves one sum. */
        ck_assert_msg(loops.spills * 32 <= loops.multiply_adds,
                      "%s, %s: %d references to the stack in %d loops of taps", convolutions[i].name,
                      processors[_i], loops.spills, loops.count);
        arena_free(arena);
    }
}
END_TEST

/* That the search finds what it looks for. */
START_TEST(a_spill_is_found)
{
    HotLoops loops =
        find_hot_loops(".LBB0_1:                # inner\n\tvbroadcastss\t4(%rax,%rbx), %ymm1\n"
                       "\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm4\n"
                       "\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm4\n"
                       "\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm4\n"
                       "\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tvfmadd231ps\t32(%rsp), %ymm2, %ymm4\n"
                       "\tjne\t.LBB0_1\n\tvmovaps\t%ymm3, (%rsp)\n");
    ck_assert_int_eq(loops.count, 1);
    ck_assert_int_eq(loops.spills, 1);
}
END_TEST

Suite *asm_suite(void)
{
    Suite *suite = suite_create("asm");
    TCase *tests = tcase_create("asm");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, sums_of_taps_stay_in_registers, 0, 2);
    tcase_add_test(tests, a_spill_is_found);
    suite_add_tcase(suite, tests);
    return suite;
}
