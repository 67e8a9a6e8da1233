/* The whole compiler but the writing of machine code. */
#include "compile.h"
#include "train_batch_norm.h"

#include "scores.h"

static void tell_pass(void *user, const PassReport *report)
{
    const CompileOptions *options = user;
    if (options->stage) options->stage(options->user, report->pass->name, graph_text(report->graph));
}

/* Texts are large: they are made only for who asks. */
#define TELL(name, text)                                                                                     \
    do {                                                                                                     \
        if (options->stage) options->stage(options->user, (name), (text));                                   \
    } while (0)

/* From the networks and losses of a program to the joint step of its players. What rewrites the networks for
 * speed comes first, so that gradients are taken of what is computed. */
static bool make_joint(Graph *graph, const CompileOptions *options)
{
    pass_prune(graph, &options->passes);
    pass_canonical(graph, &options->passes);
    pass_cse(graph, &options->passes);
    pass_conv_before_resize(graph, &options->passes);
    train_batch_norms(graph);
    fuse_losses(graph);
    if (!autodiff_players(graph, options->training)) return false;
    TELL("joint", graph_text(graph));
    return true;
}

Plan *compile_graph(Graph *graph, const CompileOptions *options)
{
    TELL("graph", graph_text(graph));
    if (options->training && !make_joint(graph, options)) return NULL;
    CompileOptions *told = ARENA_NEW(graph->arena, CompileOptions);
    *told = *options;
    if (!pass_run_all(graph, &options->passes, tell_pass, told)) return NULL;
    if (options->passes.want_classes) scores_expose(graph);
    if (!options->target->blas) pack_filters(graph, options->target);
    TELL("packed", graph_text(graph));
    Layout *layout = layout_assign(graph, options->target);
    TELL("layout", layout_text(layout));
    Fusion *fusion = fuse_groups(layout, !options->no_fuse && !options->target->blas);
    TELL("groups", fuse_text(fusion));
    StepList *steps = lower_groups(fusion);
    TELL("loops", lower_text(steps));
    Plan *plan = plan_make(steps, layout, !options->no_reuse);
    TELL("plan", plan_text(plan));
    return plan;
}
