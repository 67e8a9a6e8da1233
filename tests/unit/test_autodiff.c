/* What autodiff makes of a graph with players: what is shared, what is left out, what is reported. The values
 * are checked elsewhere (grad_table, training_steps). */
#define _GNU_SOURCE
#include "op.h"
#include "training.h"

#include <check.h>
#include <string.h>

static const char *const head =
    "graph g\n"
    "%1: f32[1,3,4,4] = input # \"x\"\n"
    "%2: f32[2,3,1,1] = param # \"w\"\n"
    "%3: f32[2,2,1,1] = param # \"v\"\n"
    "%4: f32[1,2,4,4] = conv2d %1, %2 {filters=2, kernel=1, bias=false} # \"y\" test.yaml:4\n";

typedef struct Game {
    Arena *arena;
    Diag *diag;
    Graph *graph;
    Training training;
} Game;

/* The graph of head and lines, whose players minimise the outputs of their names and own the parameters
 * named. */
static Game game(const char *lines, int n, const char *const names[], const char *const owned[])
{
    Game g = {.arena = arena_new()};
    g.diag = diag_new(g.arena);
    Source *source = ARENA_NEW(g.arena, Source);
    source->path = "test";
    source->text = arena_printf(g.arena, "%s%s", head, lines);
    source->size = strlen(source->text);
    g.graph = graph_text_parse(g.arena, g.diag, source);
    ck_assert_msg(g.graph != NULL, "%s", diag_text(g.diag));
    g.training = (Training){.n_players = n, .accumulate = 1};
    g.training.players = ARENA_ARRAY(g.arena, Player, n);
    for (int p = 0; p < n; p++) {
        Player *player = &g.training.players[p];
        *player = (Player){.name = names[p], .optimizer = {.kind = OPTIMIZER_SGD, .lr = 1}};
        player->params = ARENA_ARRAY(g.arena, PlayerParam, 2);
        for (int i = 0; i < g.graph->n_params; i++)
            if (strstr(owned[p], g.graph->params[i]->name))
                player->params[player->n_params++] =
                    (PlayerParam){.param = g.graph->params[i], .lr_scale = 1};
        for (int i = 0; i < g.graph->n_outputs; i++)
            if (!strcmp(g.graph->outputs[i].name, names[p])) player->loss = g.graph->outputs[i].node;
        ck_assert_ptr_nonnull(player->loss);
    }
    return g;
}

static int count(const Graph *graph, Op op)
{
    int found = 0;
    for (int i = 0; i < graph->n_nodes; i++) found += graph->nodes[i]->op == op;
    return found;
}

static const char *const one[] = {"a"}, *const both[] = {"a", "b"};

START_TEST(a_loss_of_weight_0_is_not_computed)
{
    Game g = game("%5: f32[] = mean %4 # \"l\"\n"
                  "%6: f32[1,2,4,4] = conv2d %4, %3 {filters=2, kernel=1, bias=false} # \"z\"\n"
                  "%7: f32[] = sum %6 # \"m\"\n%8: f32[] = affine %7 {scale=0} # \"n\"\n"
                  "%9: f32[] = add %5, %8 # \"a\"\noutput m = %7\noutput a = %9\n",
                  1, one, (const char *[]){"w v"});
    ck_assert(autodiff_players(g.graph, &g.training));
    graph_check(g.graph);
    ck_assert_int_eq(count(g.graph, OP_CONV2D), 1); /* y */
    ck_assert_int_eq(count(g.graph, OP_SUM), 0);
    ck_assert_int_eq(count(g.graph, OP_SGD), 1); /* w alone */
    ck_assert_int_eq(g.graph->n_outputs, 1);
    arena_free(g.arena);
}
END_TEST

/* Of the file's own outputs those that are numbers: they are for the log. */
START_TEST(a_number_that_is_asked_for_is_computed)
{
    Game g = game("%5: f32[] = mean %4 # \"a\"\n%6: f32[] = sum %4 # \"m\"\n%7: f32[1,2,4,4] = relu %4\n"
                  "output m = %6\noutput map = %7\noutput a = %5\n",
                  1, one, (const char *[]){"w"});
    g.training.n_declared = 2;
    g.training.terms = (const char *[]){"m", "a"};
    g.training.n_terms = 2;
    ck_assert(autodiff_players(g.graph, &g.training));
    ck_assert_int_eq(g.graph->n_outputs, 2);
    ck_assert_str_eq(g.graph->outputs[0].name, "m");
    ck_assert_int_eq(g.training.n_terms, 2);
    arena_free(g.arena);
}
END_TEST

START_TEST(who_has_nothing_to_minimise_does_not_play)
{
    Game g = game("%5: f32[] = mean %4 # \"a\"\n%6: f32[] = affine %5 {scale=0} # \"b\"\n"
                  "output a = %5\noutput b = %6\n",
                  2, both, (const char *[]){"w", "v"});
    ck_assert(autodiff_players(g.graph, &g.training));
    ck_assert_int_eq(g.training.n_players, 1);
    ck_assert_str_eq(g.training.players[0].name, "a");
    ck_assert_int_eq(count(g.graph, OP_TUNABLE), 1);
    arena_free(g.arena);
}
END_TEST

/* Each player's loss reaches both parameters; each gets a gradient for its own. */
START_TEST(gradients_are_of_what_is_owned)
{
    Game g = game("%5: f32[1,2,4,4] = conv2d %4, %3 {filters=2, kernel=1, bias=false} # \"z\"\n"
                  "%6: f32[] = mean %5 # \"a\"\n%7: f32[] = sum %5 # \"b\"\noutput a = %6\noutput b = %7\n",
                  2, both, (const char *[]){"w", "v"});
    ck_assert(autodiff_players(g.graph, &g.training));
    graph_check(g.graph);
    ck_assert_int_eq(count(g.graph, OP_SGD), 2);
    ck_assert_int_eq(count(g.graph, OP_CONV2D_GRAD_FILTER), 2);
    ck_assert_int_eq(g.graph->n_updates, 2);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(g.graph->updates[i].value->player, i);
    /* The old v is read for the gradient of w before v's update. */
    const Node *update = graph_current(g.graph, g.graph->params[1]);
    for (int i = 0, passed = 0; i < g.graph->n_nodes; i++) {
        passed |= g.graph->nodes[i] == update;
        for (int k = 0; passed && g.graph->nodes[i] != update && k < g.graph->nodes[i]->n_in; k++)
            ck_assert_ptr_ne(g.graph->nodes[i]->in[k], g.graph->params[1]);
    }
    arena_free(g.arena);
}
END_TEST

START_TEST(a_loss_that_depends_on_nothing_owned_is_reported)
{
    Game g = game("%5: f32[] = mean %4 # \"a\"\noutput a = %5\n", 1, one, (const char *[]){"v"});
    ck_assert(!autodiff_players(g.graph, &g.training));
    ck_assert_msg(strstr(diag_text(g.diag),
                         "the loss 'a' does not depend on any parameter that the player 'a' updates"),
                  "%s", diag_text(g.diag));
    arena_free(g.arena);
}
END_TEST

/* An integer's way is no way: with the node's place, and what lies between it and the loss. */
START_TEST(an_operator_without_gradient_is_reported)
{
    Game g = game("%5: f32[1,2,4,4] = clip_factor %4 {value=1} # \"z\" test.yaml:7\n"
                  "%6: f32[1,2,4,4] = sigmoid %5 # \"s\" test.yaml:8\n%7: f32[] = mean %6 # \"a\" "
                  "test.yaml:9\noutput a = %7\n",
                  1, one, (const char *[]){"w"});
    ck_assert(!autodiff_players(g.graph, &g.training));
    const char *text = diag_text(g.diag);
    ck_assert_msg(strstr(text, "test.yaml:7:0: error: 'clip_factor' has no gradient"), "%s", text);
    ck_assert_msg(strstr(text, "test.yaml:8:0: note: on the way from the loss: 's' (sigmoid)"), "%s", text);
    ck_assert_msg(strstr(text, "the player 'a' minimises 'a'"), "%s", text);
    arena_free(g.arena);
}
END_TEST

/* A factor of 1 is no node, and numbers are worked out. */
START_TEST(numbers_are_simplified)
{
    Game g = game("%5: f32[] = mean %4 # \"l\"\n%6: f32[] = affine %5 {scale=0.5} # \"h\"\n"
                  "%7: f32[] = affine %6 {scale=2} # \"a\"\noutput a = %7\n",
                  1, one, (const char *[]){"w"});
    ck_assert(autodiff_players(g.graph, &g.training));
    for (int i = 0; i < g.graph->n_nodes; i++) {
        const Node *node = g.graph->nodes[i];
        bool of_numbers = node->n_in > 0 && node->type.rank == 0;
        for (int k = 0; k < node->n_in; k++) of_numbers &= node->in[k]->op == OP_CONSTANT;
        ck_assert_msg(!of_numbers, "%s of numbers", op_info(node->op)->name);
    }
    arena_free(g.arena);
}
END_TEST

Suite *autodiff_suite(void)
{
    Suite *suite = suite_create("autodiff");
    TCase *graphs = tcase_create("graphs");
    tcase_add_test(graphs, a_loss_of_weight_0_is_not_computed);
    tcase_add_test(graphs, a_number_that_is_asked_for_is_computed);
    tcase_add_test(graphs, who_has_nothing_to_minimise_does_not_play);
    tcase_add_test(graphs, gradients_are_of_what_is_owned);
    tcase_add_test(graphs, a_loss_that_depends_on_nothing_owned_is_reported);
    tcase_add_test(graphs, an_operator_without_gradient_is_reported);
    tcase_add_test(graphs, numbers_are_simplified);
    suite_add_tcase(suite, graphs);
    return suite;
}
