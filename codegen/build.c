/* See build.h. */
#include "build.h"
#include "cpu_target.h"

Build *build_graph(Arena *arena, Graph *graph, const BuildOptions *options)
{
    const char *error = NULL;
    const Target *target = cpu_target(arena, options->cpu ? options->cpu : "host", &error);
    if (!target) {
        diag_error(graph->diag, (Pos){0}, "--cpu: %s", error);
        return NULL;
    }
    if (options->blas || options->no_winograd) {
        Target *asked = ARENA_NEW(arena, Target);
        *asked = *target;
        asked->blas = options->blas;
        asked->winograd = !options->no_winograd;
        target = asked;
    }
    CompileOptions compile = {.target = target,
                              .passes = options->passes,
                              .training = options->training,
                              .no_fuse = options->no_fuse,
                              .no_reuse = options->no_reuse,
                              .stage = options->stage,
                              .user = options->user};
    Plan *plan = compile_graph(graph, &compile);
    if (!plan) return NULL;
    Build *build = ARENA_NEW(arena, Build);
    *build = (Build){.arena = arena, .target = target, .plan = plan};
    build->image = image_write(arena, plan, target, options);
    return build;
}
