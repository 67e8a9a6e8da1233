/* YAML trees: kinds, positions, scalars as text, aliases, merging, and what is refused. */
#include "tree.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;
static Diag *diag;

static void begin(void)
{
    arena = arena_new();
    diag = diag_new(arena);
}

static void end(void)
{
    arena_free(arena);
}

static const Tree *parse_bytes(const char *text, size_t size)
{
    Source *source = ARENA_NEW(arena, Source);
    *source = (Source){"t.yaml", text, size};
    return yaml_parse(arena, diag, source);
}

static const Tree *parse(const char *text)
{
    const Tree *tree = parse_bytes(text, strlen(text));
    ck_assert_msg(tree != NULL, "%s", diag_text(diag));
    return tree;
}

static void refuse_bytes(const char *text, size_t size, const char *message)
{
    ck_assert_ptr_null(parse_bytes(text, size));
    ck_assert_msg(strstr(diag_text(diag), message) != NULL, "'%s' is not in: %s", message, diag_text(diag));
}

static void refuse(const char *text, const char *message)
{
    refuse_bytes(text, strlen(text), message);
}

/* ---- trees ---- */

START_TEST(a_mapping_keeps_its_order)
{
    const Tree *tree = parse("b: 1\na: 2\nc: 3\n");
    ck_assert_int_eq(tree->kind, TREE_MAPPING);
    ck_assert_int_eq(tree->n, 3);
    ck_assert_str_eq(tree->entries[0].key, "b");
    ck_assert_str_eq(tree->entries[2].key, "c");
    ck_assert_str_eq(tree_get(tree, "a")->text, "2");
    ck_assert_ptr_null(tree_get(tree, "d"));
}
END_TEST

START_TEST(every_value_knows_its_place)
{
    const Tree *tree = parse("a: 1\nlist:\n  - x\n  - {k: [v]}\n");
    const Tree *list = tree_get(tree, "list");
    ck_assert_int_eq(tree_find(tree, "list")->pos.line, 2);
    ck_assert_int_eq(tree_find(tree, "list")->pos.column, 1);
    ck_assert_int_eq(list->items[0]->pos.line, 3);
    ck_assert_int_eq(list->items[0]->pos.column, 5);
    const Tree *inner = tree_get(list->items[1], "k");
    ck_assert_int_eq(inner->pos.line, 4);
    ck_assert_int_eq(inner->pos.column, 9);
    ck_assert_int_eq(inner->items[0]->pos.column, 10);
}
END_TEST

START_TEST(columns_are_bytes)
{
    const Tree *tree = parse("# \xc3\xa4\xc3\xb6\n{\xc3\xa4: x, b: y}\n");
    ck_assert_int_eq(tree_find(tree, "b")->pos.line, 2);
    ck_assert_int_eq(tree_find(tree, "b")->pos.column, 9);
}
END_TEST

START_TEST(a_byte_order_mark_is_skipped)
{
    const Tree *tree = parse("\xef\xbb\xbf"
                             "a: 1\nb: 2\n");
    ck_assert_str_eq(tree->entries[0].key, "a");
    ck_assert_int_eq(tree->entries[1].pos.column, 1);
    ck_assert_int_eq(tree->entries[1].pos.line, 2);
}
END_TEST

START_TEST(windows_line_ends_are_line_ends)
{
    const Tree *tree = parse("a: 1\r\nb: x\r\n");
    ck_assert_str_eq(tree_get(tree, "b")->text, "x");
    ck_assert_int_eq(tree_find(tree, "b")->pos.line, 2);
    ck_assert_int_eq(tree_find(tree, "b")->pos.column, 1);
}
END_TEST

/* What YAML 1.1 would take for something else. */
static const char *const words[] = {"on",  "off",  "no",   "yes",  "y",     "n",     "0",
                                    "007", "1e-4", "true", "0x1f", "1_000", "12:30", ".5"};

START_TEST(scalars_stay_text)
{
    const Tree *tree = parse(arena_printf(arena, "%s: %s\n", words[_i], words[_i]));
    ck_assert_str_eq(tree->entries[0].key, words[_i]);
    ck_assert_str_eq(tree->entries[0].value->text, words[_i]);
    ck_assert(!tree_is_null(tree->entries[0].value));
}
END_TEST

START_TEST(null_is_no_value)
{
    const Tree *tree = parse("a:\nb: ~\nc: null\nd: \"\"\ne: '~'\nf: {x: , y: 1}\n");
    ck_assert(tree_is_null(tree_get(tree, "a")));
    ck_assert(tree_is_null(tree_get(tree, "b")));
    ck_assert(tree_is_null(tree_get(tree, "c")));
    ck_assert(!tree_is_null(tree_get(tree, "d")));
    ck_assert(!tree_is_null(tree_get(tree, "e")));
    ck_assert(tree_is_null(tree_get(tree_get(tree, "f"), "x")));
    ck_assert_str_eq(tree_kind_text(tree_get(tree, "a")), "nothing");
}
END_TEST

START_TEST(a_place_in_a_text_is_known_where_it_stands_as_it_is)
{
    const Tree *tree = parse("a: $k + 1\nb: \"$k + 1\"\nc: \"x\\n$k\"\n");
    ck_assert_int_eq(tree_text_pos(tree_get(tree, "a"), 5).column, 9);
    ck_assert_int_eq(tree_text_pos(tree_get(tree, "b"), 5).column, 10);
    ck_assert_int_eq(tree_text_pos(tree_get(tree, "c"), 2).column, 4);
}
END_TEST

START_TEST(many_keys_are_found)
{
    Text text = text_new(arena);
    for (int i = 0; i < 5000; i++) text_printf(&text, "key%d: %d\n", i, i);
    const Tree *tree = parse(text.text);
    ck_assert_int_eq(tree->n, 5000);
    for (int i = 0; i < 5000; i += 7) {
        const char *number = arena_printf(arena, "%d", i);
        ck_assert_str_eq(tree_get(tree, arena_printf(arena, "key%d", i))->text, number);
    }
    ck_assert_ptr_null(tree_get(tree, "key5000"));
}
END_TEST

/* ---- aliases ---- */

START_TEST(an_alias_is_its_anchor)
{
    const Tree *tree = parse("a: &x {k: 1}\nb: *x\nc: &y 3\nd: [*y, *y]\n");
    ck_assert_ptr_eq(tree_get(tree, "b"), tree_get(tree, "a"));
    ck_assert_str_eq(tree_get(tree, "d")->items[1]->text, "3");
    ck_assert_int_eq(tree_get(tree, "a")->pos.column, 7);
}
END_TEST

START_TEST(the_last_anchor_of_a_name_counts)
{
    const Tree *tree = parse("a: &x 1\nb: &x 2\nc: *x\n");
    ck_assert_str_eq(tree_get(tree, "c")->text, "2");
}
END_TEST

START_TEST(an_alias_bomb_is_refused)
{
    Text text = text_new(arena);
    text_printf(&text, "a0: &a0 [x]\n");
    for (int i = 1; i < 200; i++) text_printf(&text, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1, i - 1);
    refuse(text.text, "more than 1000000 values");
}
END_TEST

START_TEST(an_alias_in_its_own_anchor_is_refused)
{
    refuse("a: &x [*x]\n", "alias '*x' stands inside what it names");
}
END_TEST

/* ---- merging ---- */

static const Tree *merge(const char *base, const char *over)
{
    return tree_merge(arena, diag, parse(base), parse(over));
}

START_TEST(mappings_are_merged_at_every_depth)
{
    const Tree *tree = merge("a: {x: 1, y: 2}\nb: 3\n", "a: {y: 5, z: 6}\nc: 7\n");
    ck_assert_int_eq(tree->n, 3);
    ck_assert_str_eq(tree->entries[0].key, "a");
    ck_assert_str_eq(tree->entries[2].key, "c");
    const Tree *a = tree_get(tree, "a");
    ck_assert_str_eq(tree_get(a, "x")->text, "1");
    ck_assert_str_eq(tree_get(a, "y")->text, "5");
    ck_assert_str_eq(tree_get(a, "z")->text, "6");
}
END_TEST

START_TEST(lists_and_values_are_replaced)
{
    const Tree *tree = merge("a: [1, 2]\nb: 1\nc: {x: 1}\n", "a: [3]\nb: {y: 2}\nc: 4\n");
    ck_assert_int_eq(tree_get(tree, "a")->n, 1);
    ck_assert_int_eq(tree_get(tree, "b")->kind, TREE_MAPPING);
    ck_assert_str_eq(tree_get(tree, "c")->text, "4");
}
END_TEST

START_TEST(null_removes_and_nothing_does_not)
{
    const Tree *tree = merge("a: 1\nb: 2\nc: 3\n", "a: ~\nb: null\nc:\n");
    ck_assert_int_eq(tree->n, 1);
    ck_assert(tree_is_null(tree_get(tree, "c")));
}
END_TEST

START_TEST(taking_out_what_is_not_there_is_an_error)
{
    merge("a: {first: 1}\n", "a: {frist: ~}\n");
    ck_assert_int_eq(diag_errors(diag), 1);
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "t.yaml:1:5: error: "));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "(did you mean 'first'?)"));
}
END_TEST

START_TEST(merged_parts_keep_their_places)
{
    const Tree *tree = merge("\n\na: {x: 1}\n", "a: {y: 2}\n");
    ck_assert_int_eq(tree_get(tree_get(tree, "a"), "x")->pos.line, 3);
    ck_assert_int_eq(tree_get(tree_get(tree, "a"), "y")->pos.line, 1);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *text, *message;
} refused[] = {
    {"", "the file is empty"},
    {"# only\n# comments\n", "the file is empty"},
    {"   \n\n", "the file is empty"},
    {"a: 1\na: 2\n", "t.yaml:2:1: error: the key 'a' is given twice"},
    {"a: 1\na: 2\n", "t.yaml:1:1: note: first given here"},
    {"{a: 1, 'a': 2}\n", "the key 'a' is given twice"},
    {"a:\n\tb: 1\n", "a tab can't be used here"},
    {"a: \xff\n", "not UTF-8 (0xff)"},
    {"a: \xc0\x80\n", "not UTF-8 (0xc0)"},
    {"a: \xed\xa0\x80\n", "not UTF-8 (0xed)"},
    {"a: \xf4\x90\x80\x80\n", "not UTF-8 (0xf4)"},
    {"a: \xc3", "not UTF-8 (0xc3)"},
    {"a: \x02\n", "a control byte (0x02)"},
    {"a: \"\\0\"\n", "makes a NUL byte"},
    {"\"a\\0b\": 1\n", "makes a NUL byte"},
    {"a: [1, 2\n", "',' or ']' is expected here"},
    {"a: 'x\n", "the file ends inside a quoted text"},
    {"a: b: c\n", "': ' can't stand here"},
    {"a: *b\n", "there is no anchor '&b'"},
    {"a: !!str x\n", "are not supported"},
    {"<<: {a: 1}\n", "merge keys are not supported"},
    {"{a: 1}: 2\n", "a key must be a name"},
    {"a: 1\n---\nb: 2\n", "a second document begins here"},
    {"a: 1\n...\nb: 2\n", "error"},
};

START_TEST(wrong_yaml_is_refused)
{
    refuse(refused[_i].text, refused[_i].message);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    refuse_bytes("a: x\0y\n", 7, "t.yaml:1:5: error: a NUL byte (0x00) in the file");
}
END_TEST

START_TEST(utf16_is_named)
{
    refuse_bytes("\xff\xfe"
                 "a\0:\0",
                 6, "t.yaml: error: the file is UTF-16");
}
END_TEST

static char *repeat(char byte, size_t count)
{
    char *text = arena_alloc(arena, count + 1);
    memset(text, byte, count);
    return text;
}

START_TEST(ten_thousand_levels_are_refused)
{
    refuse(repeat('[', 10000), "nested more than 100 deep");
}
END_TEST

START_TEST(ten_thousand_block_levels_are_refused)
{
    Text text = text_new(arena);
    for (int i = 0; i < 10000; i++) text_printf(&text, "- ");
    refuse(text.text, "nested more than 100 deep");
}
END_TEST

START_TEST(a_hundred_levels_are_read)
{
    Text text = text_new(arena);
    for (int i = 0; i < 99; i++) text_printf(&text, "[");
    text_printf(&text, "x");
    for (int i = 0; i < 99; i++) text_printf(&text, "]");
    const Tree *tree = parse(text.text);
    while (tree->kind == TREE_SEQUENCE) tree = tree->items[0];
    ck_assert_str_eq(tree->text, "x");
}
END_TEST

START_TEST(a_line_of_ten_megabytes_is_read)
{
    size_t size = 10 << 20;
    const Tree *tree = parse(arena_printf(arena, "a: %s\nb: 1\n", repeat('x', size)));
    ck_assert_uint_eq(strlen(tree_get(tree, "a")->text), size);
    ck_assert_int_eq(tree_find(tree, "b")->pos.line, 2);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    ck_assert_ptr_null(yaml_load(arena, diag, "tests/no_such_file.yaml"));
    ck_assert_str_eq(diag_text(diag),
                     "tests/no_such_file.yaml: error: can't be read: No such file or directory\n");
}
END_TEST

START_TEST(a_folder_is_no_file)
{
    ck_assert_ptr_null(yaml_load(arena, diag, "tests"));
    ck_assert_str_eq(diag_text(diag), "tests: error: can't be read: Is a directory\n");
}
END_TEST

START_TEST(keys_are_added_and_found)
{
    TreeKeys keys = {0};
    ck_assert_int_eq(tree_keys_find(&keys, "a"), -1);
    for (int i = 0; i < 1000; i++) {
        TreeEntry entry = {.key = arena_printf(arena, "k%d", i)};
        ck_assert_int_eq(tree_keys_find(&keys, entry.key), -1);
        ck_assert_int_eq(tree_keys_add(arena, &keys, entry), i);
    }
    ck_assert_int_eq(tree_keys_find(&keys, "k500"), 500);
}
END_TEST

Suite *yaml_suite(void)
{
    Suite *suite = suite_create("yaml");
    TCase *trees = tcase_create("trees");
    tcase_add_checked_fixture(trees, begin, end);
    tcase_add_test(trees, a_mapping_keeps_its_order);
    tcase_add_test(trees, every_value_knows_its_place);
    tcase_add_test(trees, columns_are_bytes);
    tcase_add_test(trees, a_byte_order_mark_is_skipped);
    tcase_add_test(trees, windows_line_ends_are_line_ends);
    tcase_add_loop_test(trees, scalars_stay_text, 0, sizeof words / sizeof *words);
    tcase_add_test(trees, null_is_no_value);
    tcase_add_test(trees, a_place_in_a_text_is_known_where_it_stands_as_it_is);
    tcase_add_test(trees, many_keys_are_found);
    tcase_add_test(trees, keys_are_added_and_found);
    suite_add_tcase(suite, trees);
    TCase *aliases = tcase_create("aliases");
    tcase_add_checked_fixture(aliases, begin, end);
    tcase_add_test(aliases, an_alias_is_its_anchor);
    tcase_add_test(aliases, the_last_anchor_of_a_name_counts);
    tcase_add_test(aliases, an_alias_bomb_is_refused);
    tcase_add_test(aliases, an_alias_in_its_own_anchor_is_refused);
    suite_add_tcase(suite, aliases);
    TCase *merging = tcase_create("merging");
    tcase_add_checked_fixture(merging, begin, end);
    tcase_add_test(merging, mappings_are_merged_at_every_depth);
    tcase_add_test(merging, lists_and_values_are_replaced);
    tcase_add_test(merging, null_removes_and_nothing_does_not);
    tcase_add_test(merging, taking_out_what_is_not_there_is_an_error);
    tcase_add_test(merging, merged_parts_keep_their_places);
    suite_add_tcase(suite, merging);
    TCase *wrong = tcase_create("wrong");
    tcase_add_checked_fixture(wrong, begin, end);
    tcase_add_loop_test(wrong, wrong_yaml_is_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(wrong, a_nul_byte_is_refused);
    tcase_add_test(wrong, utf16_is_named);
    tcase_add_test(wrong, ten_thousand_levels_are_refused);
    tcase_add_test(wrong, ten_thousand_block_levels_are_refused);
    tcase_add_test(wrong, a_hundred_levels_are_read);
    tcase_add_test(wrong, a_line_of_ten_megabytes_is_read);
    tcase_add_test(wrong, a_missing_file_is_named);
    tcase_add_test(wrong, a_folder_is_no_file);
    tcase_set_timeout(wrong, 30);
    suite_add_tcase(suite, wrong);
    return suite;
}
