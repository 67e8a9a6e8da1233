/* The training form of programs: streams and tunables, players with their parameters, groups, optimisers and
 * schedules, what batch_norm does in each application, and the terms. Each mistake gets its sentence. */
#define _GNU_SOURCE
#include "model.h"
#include "op.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Arena *arena;
static Diag *diag;
static char folder[64];

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(arena_printf(arena, "%s/%s", folder, name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

/* A network with normalisation, two outputs, and a layer that no loss reaches. */
#define NETWORK                                                                                              \
    "segc: 1\nnetwork: seg\nsettings: {classes: 4}\ninputs: {image: [N, $classes // $classes * 3, H, W]}\n"  \
    "nodes:\n  conv: {op: conv2d, in: image, filters: $classes, kernel: 3, padding: 1}\n"                    \
    "  bn: {op: batch_norm, in: conv}\n  fc: {op: conv2d, in: bn, filters: 2, kernel: 1}\n"                  \
    "outputs: {logits: bn, fc: fc}\n"

/* Lines that most programs here have, and one player. */
#define HEAD                                                                                                 \
    "segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml, classes: 4}}\n"                                    \
    "inputs: {source: {image: [N, 3, H, W], label: [N, H, W]}}\npredict: {network: seg, output: logits}\n"   \
    "size: [8, 16]\n"
#define NODES        "nodes: {s: {op: seg, in: source.image}, loss: {op: mean, in: s.logits}}\n"
#define PLAYER(MORE) "players: {g: {minimizes: loss, updates: [seg], " MORE "}}\n"
#define ADAM         "optimizer: {adam: {lr: 0.1}}"

static void begin(void)
{
    arena = arena_new();
    diag = diag_new(arena);
    strcpy(folder, "/tmp/segc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    write_file("seg.yaml", NETWORK);
}

static void end(void)
{
    if (system(arena_printf(arena, "rm -r %s", folder))) abort();
    arena_free(arena);
}

static Model *load_with(const char *text, const ModelOptions *options)
{
    write_file("test.yaml", text);
    Model *model = model_load(arena, diag, arena_printf(arena, "%s/test.yaml", folder), options);
    ck_assert_msg(model != NULL, "%s", diag_text(diag));
    ck_assert_str_eq(diag_text(diag), "");
    ck_assert_ptr_null(graph_fault(model->graph));
    return model;
}

static Model *train(const char *text)
{
    Model *model = load_with(text, &(ModelOptions){.training = true});
    ck_assert_ptr_nonnull(model->training);
    return model;
}

static void refuse(const char *text, const char *message)
{
    write_file("test.yaml", text);
    const Model *model = model_load(arena, diag, arena_printf(arena, "%s/test.yaml", folder),
                                    &(ModelOptions){.training = true});
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(diag_text(diag), message) != NULL, "'%s' is not in: %s", message, diag_text(diag));
}

static const Node *find(const Model *model, const char *name)
{
    for (int i = 0; i < model->graph->n_nodes; i++)
        if (!strcmp(model->graph->nodes[i]->name, name)) return model->graph->nodes[i];
    ck_abort_msg("no node %s", name);
    return NULL;
}

static const char *names_of(const Player *player)
{
    Text text = text_new(arena);
    for (int i = 0; i < player->n_params; i++)
        text_printf(&text, "%s%s", i ? " " : "", player->params[i].param->name);
    return text.text;
}

static const char *terms_of(const Model *model)
{
    Text text = text_new(arena);
    for (int i = 0; i < model->training->n_terms; i++)
        text_printf(&text, "%s%s", i ? " " : "", model->training->terms[i]);
    return text.text;
}

static const Player *only_player(const Model *model)
{
    ck_assert_int_eq(model->training->n_players, 1);
    return &model->training->players[0];
}

/* ---- the two forms ---- */

START_TEST(the_inference_form_is_the_predicted_network_alone)
{
    const Model *model =
        load_with(HEAD NODES PLAYER(ADAM) "train: {batch: 4}\n", &(ModelOptions){.batch = 3});
    ck_assert(model->trains);
    ck_assert_ptr_null(model->training);
    ck_assert_str_eq(model->predict, "logits");
    ck_assert_int_eq(model->graph->n_outputs, 1);
    ck_assert_str_eq(type_text(arena, model->graph->outputs[0].node->type), "f32[1,4,8,16]");
    ck_assert_str_eq(node_string(model->graph->outputs[0].node, A_STATISTICS), "running");
}
END_TEST

START_TEST(the_training_form_has_the_program_s_nodes)
{
    const Model *model = train(HEAD NODES PLAYER(ADAM));
    ck_assert(model->trains);
    ck_assert_ptr_null(model->predict);
    ck_assert_int_eq(model->graph->n_outputs, 1);
    ck_assert_str_eq(model->graph->outputs[0].name, "loss");
    ck_assert_ptr_eq(model->graph->outputs[0].node, only_player(model)->loss);
}
END_TEST

START_TEST(both_forms_name_parameters_alike)
{
    const char *text = HEAD NODES PLAYER(ADAM);
    const Graph *one = train(text)->graph, *other = load_with(text, &(ModelOptions){0})->graph;
    ck_assert_int_eq(one->n_params, other->n_params);
    for (int i = 0; i < one->n_params; i++) ck_assert_str_eq(one->params[i]->name, other->params[i]->name);
    ck_assert_str_eq(one->params[0]->name, "seg.conv.weight");
}
END_TEST

START_TEST(a_file_without_players_has_one_form)
{
    const char *text = HEAD "nodes: {s: {op: seg, in: source.image}}\noutputs: {y: s.logits}\n";
    const Model *model = load_with(text, &(ModelOptions){.training = true});
    ck_assert(!model->trains);
    ck_assert_ptr_null(model->training);
    ck_assert_str_eq(model->predict, "logits");
    ck_assert_int_eq(model->graph->n_outputs, 2);
}
END_TEST

START_TEST(the_batch_is_the_file_s_or_the_command_line_s)
{
    const char *text = HEAD NODES PLAYER(ADAM) "train: {batch: 4}\n";
    ck_assert_int_eq(find(train(text), "source.image")->type.dim[0], 4);
    const Model *other = load_with(text, &(ModelOptions){.training = true, .batch = 3});
    ck_assert_int_eq(find(other, "source.image")->type.dim[0], 3);
}
END_TEST

START_TEST(a_label_map_is_of_integers)
{
    const Model *model = train("segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}}\n"
                               "inputs: {source: {image: [N, 3, H, W], label: [N, H, W]}}\nsize: [8, 16]\n"
                               "nodes: {s: {op: seg, in: source.image}, loss: {op: cross_entropy, "
                               "in: [s.logits, source.label]}}\n" PLAYER(ADAM));
    ck_assert_str_eq(type_text(arena, find(model, "source.label")->type), "i32[1,8,16]");
    ck_assert_str_eq(type_text(arena, find(model, "source.image")->type), "f32[1,3,8,16]");
}
END_TEST

START_TEST(a_stream_may_have_a_size_of_its_own)
{
    const Model *model =
        train("segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}}\nsettings: {rows: H}\n"
              "inputs: {source: {image: [N, 3, $rows + 2, 20]}}\nsize: [8, 16]\n" NODES PLAYER(ADAM));
    ck_assert_str_eq(type_text(arena, find(model, "source.image")->type), "f32[1,3,10,20]");
}
END_TEST

/* ---- players ---- */

START_TEST(a_player_owns_all_but_statistics)
{
    const Model *model = train(HEAD NODES PLAYER(ADAM));
    ck_assert_str_eq(names_of(only_player(model)),
                     "seg.conv.weight seg.conv.bias seg.bn.weight seg.bn.bias seg.fc.weight seg.fc.bias");
}
END_TEST

#define TWO                                                                                                  \
    "segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}, seg2: {use: seg.yaml}}\n"                         \
    "inputs: {source: {image: [N, 3, H, W]}}\nsize: [8, 16]\n"                                               \
    "nodes: {s: {op: seg, in: source.image}, d: {op: seg2, in: source.image}, loss: {op: mean, in: "         \
    "s.logits},"                                                                                             \
    " other: {op: mean, in: d.fc}, sum: {op: add, in: [loss, other]}}\n"

START_TEST(networks_whose_names_begin_alike_are_apart)
{
    const Model *model = train(TWO "players: {g: {minimizes: sum, updates: seg, " ADAM "}, "
                                   "d: {minimizes: other, updates: [seg2], " ADAM "}}\n");
    ck_assert_int_eq(model->training->n_players, 2);
    for (int p = 0; p < 2; p++) {
        const Player *player = &model->training->players[p];
        ck_assert_int_eq(player->n_params, 6);
        ck_assert_str_eq(player->params[0].param->name, p ? "seg2.conv.weight" : "seg.conv.weight");
    }
}
END_TEST

START_TEST(terms_are_the_numbers_that_losses_depend_on)
{
    ck_assert_str_eq(terms_of(train(TWO "players: {g: {minimizes: sum, updates: seg, " ADAM "}}\n")),
                     "loss other sum");
}
END_TEST

START_TEST(an_output_that_is_a_number_is_a_term)
{
    const Model *model =
        train(TWO "outputs: {also: other, map: d.fc}\nplayers: {g: {minimizes: loss, updates: seg, " ADAM
                  "}, x: {minimizes: sum, updates: seg2, " ADAM "}}\n");
    ck_assert_str_eq(terms_of(model), "loss other sum also");
    ck_assert_int_eq(model->graph->n_outputs, 5);
}
END_TEST

START_TEST(an_output_can_t_take_a_term_s_name)
{
    refuse(TWO "outputs: {loss: other}\nplayers: {g: {minimizes: sum, updates: seg, " ADAM "}}\n",
           "the output 'loss' is another node than 'loss', which the log shows under this name");
}
END_TEST

START_TEST(losses_ignore_what_the_file_ignores)
{
    const Model *model = train(HEAD "ignore_index: 2\nnodes:\n  s: {op: seg, in: source.image}\n"
                                    "  loss: {op: cross_entropy, in: [s.logits, source.label]}\n"
                                    "  own: {op: dice, in: [s.logits, source.label], ignore_index: 7}\n"
                                    "  sum: {op: add, in: [loss, own]}\n"
                                    "players: {g: {minimizes: sum, updates: [seg], " ADAM "}}\n");
    ck_assert_int_eq(node_int(find(model, "loss"), A_IGNORE_INDEX), 2);
    ck_assert_int_eq(node_int(find(model, "own"), A_IGNORE_INDEX), 7);
}
END_TEST

START_TEST(a_player_begins_when_it_says)
{
    ck_assert_int_eq(only_player(train(HEAD NODES PLAYER(ADAM ", from: 150")))->from, 150);
}
END_TEST

/* ---- optimisers ---- */

START_TEST(adam_has_pytorch_s_defaults)
{
    const Optimizer *o = &only_player(train(HEAD NODES PLAYER(ADAM)))->optimizer;
    ck_assert_int_eq(o->kind, OPTIMIZER_ADAM);
    ck_assert_double_eq(o->lr, 0.1);
    ck_assert_double_eq(o->beta1, 0.9);
    ck_assert_double_eq(o->beta2, 0.999);
    ck_assert_double_eq(o->eps, 1e-8);
    ck_assert_double_eq(o->clip_norm, 0);
}
END_TEST

START_TEST(adamw_decays_by_default)
{
    const Player *player = only_player(train(
        HEAD NODES PLAYER("optimizer: {adamw: {lr: 1 / 4, betas: [0.5, 0.75], eps: 1e-3}}, clip_norm: 2")));
    ck_assert_int_eq(player->optimizer.kind, OPTIMIZER_ADAMW);
    ck_assert_double_eq(player->optimizer.lr, 0.25);
    ck_assert_double_eq(player->optimizer.beta1, 0.5);
    ck_assert_double_eq(player->optimizer.beta2, 0.75);
    ck_assert_double_eq(player->optimizer.eps, 1e-3);
    ck_assert_double_eq(player->optimizer.clip_norm, 2);
    ck_assert_double_eq(player->params[0].weight_decay, 0.01);
}
END_TEST

START_TEST(sgd_takes_momentum_and_decay)
{
    const Player *player = only_player(train(
        HEAD NODES PLAYER("optimizer: {sgd: {lr: 1, momentum: 0.9, nesterov: true, weight_decay: 5e-4}}")));
    ck_assert_int_eq(player->optimizer.kind, OPTIMIZER_SGD);
    ck_assert_double_eq(player->optimizer.momentum, 0.9);
    ck_assert(player->optimizer.nesterov);
    ck_assert_double_eq(player->params[2].weight_decay, 5e-4);
}
END_TEST

static const struct {
    const char *text;
    ProgramSchedule expected;
} schedules[] = {
    {"", {.kind = SCHEDULE_CONSTANT}},
    {", schedule: constant", {.kind = SCHEDULE_CONSTANT}},
    {", schedule: {poly: {power: 0.5}}", {.kind = SCHEDULE_POLY, .power = 0.5}},
    {", schedule: poly", {.kind = SCHEDULE_POLY, .power = 0.9}},
    {", schedule: {step: {step_size: 30, gamma: 0.5}}",
     {.kind = SCHEDULE_STEP, .gamma = 0.5, .step_size = 30}},
    {", schedule: {step: {step_size: 7}}", {.kind = SCHEDULE_STEP, .gamma = 0.1, .step_size = 7}},
    {", schedule: {cosine: }", {.kind = SCHEDULE_COSINE}},
    {", schedule: {cosine: {lr_min: 1e-6}}, warmup: {steps: 10, factor: 0.25}",
     {.kind = SCHEDULE_COSINE, .lr_min = 1e-6, .warmup = 10, .warmup_factor = 0.25}},
};

START_TEST(schedules_are_read)
{
    const char *text = arena_printf(arena, HEAD NODES PLAYER(ADAM "%s"), schedules[_i].text);
    const ProgramSchedule *got = &only_player(train(text))->schedule, *expected = &schedules[_i].expected;
    ck_assert_int_eq(got->kind, expected->kind);
    if (expected->kind == SCHEDULE_POLY) ck_assert_double_eq(got->power, expected->power);
    if (expected->kind == SCHEDULE_STEP) ck_assert_double_eq(got->gamma, expected->gamma);
    if (expected->kind == SCHEDULE_STEP) ck_assert_int_eq(got->step_size, expected->step_size);
    if (expected->kind == SCHEDULE_COSINE) ck_assert_double_eq(got->lr_min, expected->lr_min);
    ck_assert_int_eq(got->warmup, expected->warmup);
    ck_assert_double_eq(got->warmup_factor, expected->warmup_factor);
}
END_TEST

START_TEST(the_first_group_that_matches_holds)
{
    const Player *player = only_player(train(HEAD NODES PLAYER(
        "optimizer: {sgd: {lr: 1, weight_decay: 0.5}}, groups: [{parameters: 'seg.*.bias', weight_decay: 0}, "
        "{parameters: [seg.fc.*, seg.conv.weight], lr_scale: 20}]")));
    const double scales[] = {20, 1, 1, 1, 20, 1}, decays[] = {0.5, 0, 0.5, 0, 0.5, 0};
    for (int i = 0; i < 6; i++) {
        ck_assert_double_eq(player->params[i].lr_scale, scales[i]);
        ck_assert_double_eq(player->params[i].weight_decay, decays[i]);
    }
}
END_TEST

/* ---- tunables and train ---- */

#define TUNED                                                                                                \
    HEAD "nodes: {s: {op: seg, in: source.image}, raw: {op: mean, in: s.logits}, loss: {op: mul, in: [raw, " \
         "weight]}}\n" PLAYER(ADAM)

START_TEST(a_tunable_is_an_input_of_nodes)
{
    const Model *model = train(TUNED "tunables: {weight: 1 / 2}\n");
    ck_assert_int_eq(model->training->n_tunables, 1);
    const Tunable *tunable = &model->training->tunables[0];
    ck_assert_str_eq(tunable->name, "weight");
    ck_assert_double_eq(tunable->value, 0.5);
    ck_assert_int_eq(tunable->from, 0);
    ck_assert_int_eq(tunable->node->op, OP_TUNABLE);
    ck_assert_int_eq(tunable->node->type.rank, 0);
    ck_assert_ptr_eq(find(model, "loss")->in[1], tunable->node);
    ck_assert_str_eq(terms_of(model), "raw loss");
}
END_TEST

START_TEST(the_command_line_sets_a_tunable)
{
    const char *name = "weight", *value = "0.125";
    const ModelOptions options = {
        .training = true, .n_settings = 1, .setting_names = &name, .setting_values = &value};
    const Model *model = load_with(TUNED "tunables: {weight: {value: 1, from: 7}}\n", &options);
    ck_assert_double_eq(model->training->tunables[0].value, 0.125);
    ck_assert_int_eq(model->training->tunables[0].from, 7);
}
END_TEST

START_TEST(the_inference_form_takes_settings_of_tunables)
{
    const char *name = "weight", *value = "0.125";
    load_with(TUNED "tunables: {weight: 1}\n",
              &(ModelOptions){.n_settings = 1, .setting_names = &name, .setting_values = &value});
}
END_TEST

START_TEST(train_says_how_long)
{
    const Training *training =
        train(HEAD NODES PLAYER(ADAM) "train: {iterations: 50, accumulate: 2, validate_every: 10}\n")
            ->training;
    ck_assert_int_eq(training->iterations, 50);
    ck_assert_int_eq(training->accumulate, 2);
    ck_assert_int_eq(training->validate_every, 10);
}
END_TEST

START_TEST(train_has_defaults)
{
    const Training *training = train(HEAD NODES PLAYER(ADAM))->training;
    ck_assert_int_eq(training->iterations, 1000);
    ck_assert_int_eq(training->accumulate, 1);
    ck_assert_int_eq(training->validate_every, 0);
}
END_TEST

/* ---- batch_norm ---- */

static const struct {
    const char *said, *statistics;
} policies[] = {
    {"", "batch"},
    {", batch_norm: shared", "batch"},
    {", batch_norm: source_only", "batch_only"},
    {", batch_norm: frozen", "running"},
};

START_TEST(an_application_says_what_normalises)
{
    const char *text = arena_printf(arena,
                                    HEAD "nodes: {s: {op: seg, in: source.image%s}, "
                                         "loss: {op: mean, in: s.logits}}\n" PLAYER(ADAM),
                                    policies[_i].said);
    ck_assert_str_eq(node_string(find(train(text), "s.bn"), A_STATISTICS), policies[_i].statistics);
}
END_TEST

START_TEST(a_network_that_nobody_updates_keeps_its_statistics)
{
    const Model *model = train(TWO "players: {g: {minimizes: sum, updates: seg, " ADAM "}}\n");
    ck_assert_str_eq(node_string(find(model, "s.bn"), A_STATISTICS), "batch");
    ck_assert_str_eq(node_string(find(model, "d.bn"), A_STATISTICS), "running");
}
END_TEST

/* ---- mistakes ---- */

static const struct {
    const char *text, *message;
} mistakes[] = {
    {HEAD NODES "players: 3\n", "'players' is a mapping, not a value"},
    {HEAD NODES "players: {}\n", "'players' names no player"},
    {HEAD NODES "players: {g: [seg]}\n", "the player 'g' is a mapping such as"},
    {HEAD NODES "players: {g: {updates: [seg], " ADAM "}}\n",
     "the player 'g' needs 'minimizes', the node that is its loss"},
    {HEAD NODES "players: {g: {minimizes: loss, " ADAM "}}\n",
     "the player 'g' needs 'updates', the networks it improves"},
    {HEAD NODES "players: {g: {minimizes: loss, updates: [], " ADAM "}}\n",
     "the player 'g' updates no network"},
    {HEAD NODES "players: {g: {minimizes: loss, updates: [[seg]], " ADAM "}}\n",
     "the name of a network is expected here, not a list"},
    {HEAD NODES "players: {g: {minimizes: loss, updates: [sge], " ADAM "}}\n",
     "there is no network 'sge' (did you mean 'seg'?)"},
    {HEAD NODES "players: {g: {minimizes: loss, updates: [seg, seg], " ADAM "}}\n",
     "the network 'seg' is named twice"},
    {TWO "players: {a: {minimizes: sum, updates: seg, " ADAM
         "}, b: {minimizes: sum, updates: [seg2, seg], " ADAM "}}\n",
     "the network 'seg' belongs to one player, and has one already"},
    {"segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}, seg2: {use: seg.yaml}}\n"
     "inputs: {source: {image: [N, 3, H, W]}}\n" NODES
     "players: {g: {minimizes: loss, updates: [seg, seg2], " ADAM "}}\n",
     "the player 'g' updates the network 'seg2', which no node applies"},
    {HEAD NODES "players: {g: {minimizes: los, updates: [seg], " ADAM "}}\n",
     "there is no node or input 'los' here (did you mean 'loss'?)"},
    {HEAD NODES "players: {g: {minimizes: s.logits, updates: [seg], " ADAM "}}\n",
     "a player minimises a single number, and 's.logits' is f32[1,4,8,16]"},
    {HEAD NODES "players: {g: {minimizes: s, updates: [seg], " ADAM "}}\n", "'s' has 2 outputs; say which"},
    {HEAD "nodes: {s: {op: seg, in: source.image}, loss: {op: mean, in: s.logits}}\ntunables: {weight: 1}\n"
          "players: {g: {minimizes: weight, updates: [seg], " ADAM "}}\n",
     "the player 'g' can't minimise the tunable 'weight'"},
    {HEAD NODES PLAYER(ADAM ", optimiser: adam"), "unknown key 'optimiser' (did you mean 'optimizer'?)"},
    {HEAD NODES PLAYER("from: 3"), "the player 'g' has no 'optimizer', such as {adam: {lr: 2.5e-4}}"},
    {HEAD NODES PLAYER(ADAM ", from: -1"), "'from' is 0 to"},
    {HEAD NODES PLAYER(ADAM ", from: 0.5"), "'from' is an integer, not 0.5"},
    {HEAD NODES PLAYER(ADAM ", clip_norm: -1"), "'clip_norm' is 0 or more, not -1"},
    {HEAD NODES PLAYER("optimizer: adam"), "'adam' of the player 'g' needs 'lr', the learning rate"},
    {HEAD NODES PLAYER("optimizer: {adam: {betas: [0, 0]}}"), "'adam' of the player 'g' needs 'lr'"},
    {HEAD NODES PLAYER("optimizer: {adm: {lr: 1}}"), "there is no optimizer 'adm' (did you mean 'adam'?)"},
    {HEAD NODES PLAYER("optimizer: {lion: {lr: 1}}"),
     "there is no optimizer 'lion'; there are adam, adamw, sgd"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1}, sgd: {lr: 1}}"),
     "in a file that extends another, 'adam: ~' takes this one out"},
    {HEAD NODES PLAYER("optimizer: [adam]"), "'optimizer' is one of adam, adamw, sgd, such as"},
    {HEAD NODES PLAYER("optimizer: {adam: 0.1}"), "'adam' is a mapping of what it needs, not a value"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: -0.1}}"), "'lr' is 0 or more, not -0.1"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: fast}}"), "'lr' is a number, not 'fast'"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, beta: 0.9}}"),
     "unknown key 'beta' (did you mean 'betas'?)"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, betas: [0.9]}}"), "'betas' are two numbers"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, betas: [0.9, 1]}}"),
     "of 'betas' each is at least 0 and less than 1, not 1"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, amsgrad: true}}"), "'amsgrad' is not supported"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, momentum: 0.9}}"), "unknown key 'momentum'"},
    {HEAD NODES PLAYER("optimizer: {adam: {lr: 1, weight_decay: -1}}"),
     "'weight_decay' is 0 or more, not -1"},
    {HEAD NODES PLAYER("optimizer: {sgd: {lr: 1, nesterov: true}}"), "'nesterov' needs a 'momentum' above 0"},
    {HEAD NODES PLAYER("optimizer: {sgd: {lr: 1, nesterov: true, momentum: 0.9, dampening: 0.1}}"),
     "'nesterov' needs a 'momentum' above 0 and no 'dampening'"},
    {HEAD NODES PLAYER(ADAM ", schedule: linear"), "there is no schedule 'linear'; there are constant, poly"},
    {HEAD NODES PLAYER(ADAM ", schedule: {poly: {pwer: 1}}"), "unknown key 'pwer' (did you mean 'power'?)"},
    {HEAD NODES PLAYER(ADAM ", schedule: step"), "'step' needs a 'step_size'"},
    {HEAD NODES PLAYER(ADAM ", schedule: {step: {step_size: 0}}"), "'step_size' is 1 to"},
    {HEAD NODES PLAYER(ADAM ", schedule: {constant: {power: 1}}"), "unknown key 'power'"},
    {HEAD NODES PLAYER(ADAM ", warmup: 10"), "'warmup' is a mapping, not a value"},
    {HEAD NODES PLAYER(ADAM ", warmup: {factor: 0.1}"), "'warmup' needs 'steps'"},
    {HEAD NODES PLAYER(ADAM ", warmup: {steps: 3, factor: 2}"), "'factor' is 0 to 1, not 2"},
    {HEAD NODES PLAYER(ADAM ", groups: {parameters: '*'}"), "'groups' is a list, not a mapping"},
    {HEAD NODES PLAYER(ADAM ", groups: [seg.conv]"), "a group is a mapping such as"},
    {HEAD NODES PLAYER(ADAM ", groups: [{lr_scale: 2}]"), "the group needs 'parameters'"},
    {HEAD NODES PLAYER(ADAM ", groups: [{parameters: seg.head.*, lr_scale: 2}]"),
     "'seg.head.*' matches no parameter that the player 'g' updates"},
    {HEAD NODES PLAYER(ADAM ", groups: [{parameters: '*running_mean'}]"), "matches no parameter"},
    {HEAD NODES PLAYER(ADAM ", groups: [{parameters: '*'}, {parameters: '*bias'}]"),
     "the groups before this one have all its parameters"},
    {HEAD NODES PLAYER(ADAM ", groups: [{parameters: '*', lr_scale: -1}]"),
     "'lr_scale' is 0 to 1e+06, not -1"},
    {HEAD NODES PLAYER(ADAM ", groups: [{parameters: '*', scale: 3}]"), "unknown key 'scale'"},
    {HEAD NODES PLAYER(ADAM) "tunables: {weight: 1}\n", "the tunable 'weight' reaches no player's loss"},
    {TUNED "tunables: {weight: {from: 3}}\n", "the tunable 'weight' has no 'value'"},
    {TUNED "tunables: {weight: {value: 1, until: 3}}\n", "unknown key 'until'"},
    {TUNED "tunables: {weight: much}\n", "the tunable 'weight' is a number, not 'much'"},
    {TUNED "tunables: {weight: [1]}\n", "the tunable 'weight' is a number, not a list"},
    {TUNED "tunables: {weight: 1}\nsettings: {weight: 1}\n", "the name 'weight' is taken"},
    {TUNED "tunables: {weight: 1, raw: 2}\n", "the name 'raw' is taken"},
    {HEAD
     "nodes: {s: {op: seg, in: source.image}, raw: {op: mean, in: s.logits}, loss: {op: affine, in: raw, "
     "scale: $weight}}\ntunables: {weight: 1}\n" PLAYER(ADAM),
     "the tunable 'weight' can't stand where a value is set"},
    {HEAD
     "nodes: {s: {op: seg, in: source.image}, raw: {op: mean, in: s.logits}, loss: {op: affine, in: raw, "
     "scale: weight}}\ntunables: {weight: 1}\n" PLAYER(ADAM),
     "the tunable 'weight' can't stand where a value is set"},
    {HEAD NODES PLAYER(ADAM) "train: {batch: 0}\n", "'batch' is 1 to"},
    {HEAD NODES PLAYER(ADAM) "train: {epochs: 3}\n", "unknown key 'epochs'"},
    {HEAD NODES PLAYER(ADAM) "train: {accumulate: 0}\n", "'accumulate' is 1 to"},
    {HEAD "train: {batch: 3}\n", "'train' is about training, and the program has no 'players'"},
    {HEAD "tunables: {a: 3}\n", "'tunables' is about training, and the program has no 'players'"},
    {HEAD "nodes: {s: {op: seg, in: source.image, batch_norm: target_only}, loss: {op: mean, in: "
          "s.logits}}\n" PLAYER(ADAM),
     "'batch_norm' is one of shared, source_only, frozen, not 'target_only'"},
    {HEAD "nodes: {s: {op: seg, in: source.image}, x: {op: batch_norm, in: s.logits}, loss: {op: mean, in: "
          "x}}\n" PLAYER(ADAM),
     "'x' has parameters, and stands outside of the networks that players update"},
    {HEAD "nodes: {s: {op: seg, in: source.image}, x: {op: relu, in: s.fc}, loss: {op: mean, in: "
          "s.logits}}\n" PLAYER(ADAM),
     "the node 'x' reaches no player's loss"},
    {TWO "players: {g: {minimizes: loss, updates: seg, " ADAM "}}\n",
     "the node 'sum' reaches no player's loss"},
    {"segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}}\ninputs: {source: {image: [N, 3, H, W]}, target: "
     "{image: [N, 3, H, W]}}\n" NODES PLAYER(ADAM),
     "the input 'target' of the program 'p' reaches no player's loss"},
    {"segc: 1\nnetwork: n\ninputs: {x: [N, 3, H, W]}\nnodes: {y: {op: batch_norm, in: x, statistics: "
     "batch}}\n"
     "outputs: {y: y}\n",
     "what normalises is for the program to say"},
    {"segc: 1\nnetwork: n\ninputs: {x: [N, 3, H, W]}\nnodes: {y: {op: relu, in: x}}\noutputs: {y: y}\n"
     "players: {g: }\n",
     "unknown key 'players': a network has no such key"},
};

START_TEST(a_mistake_has_its_sentence)
{
    refuse(mistakes[_i].text, mistakes[_i].message);
}
END_TEST

START_TEST(a_program_that_trains_predicts_with_a_network)
{
    write_file("test.yaml", "segc: 1\nprogram: p\nnetworks: {seg: {use: seg.yaml}}\n"
                            "inputs: {source: {image: [N, 3, H, W]}}\n" NODES PLAYER(ADAM));
    const char *path = arena_printf(arena, "%s/test.yaml", folder);
    ck_assert_ptr_null(model_load(arena, diag, path, NULL));
    ck_assert_ptr_nonnull(strstr(diag_text(diag), "a program with players says which of its networks"));
}
END_TEST

/* ---- the manual ---- */

/* The block of YAML that follows a heading. */
static const char *example_after(const char *heading)
{
    enum { LIMIT = 1 << 17 };
    char *manual = arena_alloc(arena, LIMIT);
    FILE *file = fopen("graphs/README.md", "r");
    ck_assert_ptr_nonnull(file);
    const size_t size = fread(manual, 1, LIMIT - 1, file);
    fclose(file);
    ck_assert_uint_lt(size, LIMIT - 1);
    manual[size] = 0;
    const char *at = strstr(manual, heading);
    ck_assert_ptr_nonnull(at);
    at = strstr(at, "```yaml\n") + strlen("```yaml\n");
    return arena_strndup(arena, at, (size_t)(strstr(at, "```\n") - at));
}

START_TEST(the_manual_s_example_is_right)
{
    static const char *const dirs[] = {"graphs", NULL};
    const ModelOptions options = {.training = true, .graph_dirs = dirs, .height = 64, .width = 128};
    const Model *model = load_with(example_after("### Training"), &options);
    ck_assert_int_eq(model->training->n_players, 2);
    ck_assert_str_eq(terms_of(model), "seg fool pull loss told_source told_target told loss_discriminator");
    ck_assert_int_eq(find(model, "source.image")->type.dim[0], 6);
    ck_assert_str_eq(node_string(find(model, "t.spatial_path.convblock1.bn"), A_STATISTICS), "batch_only");
    ck_assert_str_eq(node_string(find(model, "t.context_path.bn1"), A_STATISTICS), "batch_only");
}
END_TEST

Suite *model_train_suite(void)
{
    Suite *suite = suite_create("model_train");
    TCase *forms = tcase_create("forms");
    tcase_add_checked_fixture(forms, begin, end);
    tcase_add_test(forms, the_inference_form_is_the_predicted_network_alone);
    tcase_add_test(forms, the_training_form_has_the_program_s_nodes);
    tcase_add_test(forms, both_forms_name_parameters_alike);
    tcase_add_test(forms, a_file_without_players_has_one_form);
    tcase_add_test(forms, the_batch_is_the_file_s_or_the_command_line_s);
    tcase_add_test(forms, a_label_map_is_of_integers);
    tcase_add_test(forms, a_stream_may_have_a_size_of_its_own);
    tcase_add_test(forms, a_program_that_trains_predicts_with_a_network);
    suite_add_tcase(suite, forms);
    TCase *players = tcase_create("players");
    tcase_add_checked_fixture(players, begin, end);
    tcase_add_test(players, a_player_owns_all_but_statistics);
    tcase_add_test(players, networks_whose_names_begin_alike_are_apart);
    tcase_add_test(players, terms_are_the_numbers_that_losses_depend_on);
    tcase_add_test(players, an_output_that_is_a_number_is_a_term);
    tcase_add_test(players, an_output_can_t_take_a_term_s_name);
    tcase_add_test(players, losses_ignore_what_the_file_ignores);
    tcase_add_test(players, a_player_begins_when_it_says);
    tcase_add_test(players, adam_has_pytorch_s_defaults);
    tcase_add_test(players, adamw_decays_by_default);
    tcase_add_test(players, sgd_takes_momentum_and_decay);
    tcase_add_loop_test(players, schedules_are_read, 0, sizeof schedules / sizeof *schedules);
    tcase_add_test(players, the_first_group_that_matches_holds);
    suite_add_tcase(suite, players);
    TCase *rest = tcase_create("tunables, train, batch_norm");
    tcase_add_checked_fixture(rest, begin, end);
    tcase_add_test(rest, a_tunable_is_an_input_of_nodes);
    tcase_add_test(rest, the_command_line_sets_a_tunable);
    tcase_add_test(rest, the_inference_form_takes_settings_of_tunables);
    tcase_add_test(rest, train_says_how_long);
    tcase_add_test(rest, train_has_defaults);
    tcase_add_loop_test(rest, an_application_says_what_normalises, 0, sizeof policies / sizeof *policies);
    tcase_add_test(rest, the_manual_s_example_is_right);
    tcase_add_test(rest, a_network_that_nobody_updates_keeps_its_statistics);
    suite_add_tcase(suite, rest);
    TCase *wrong = tcase_create("mistakes");
    tcase_add_checked_fixture(wrong, begin, end);
    tcase_add_loop_test(wrong, a_mistake_has_its_sentence, 0, sizeof mistakes / sizeof *mistakes);
    suite_add_tcase(suite, wrong);
    return suite;
}
