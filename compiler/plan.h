/* Where everything lies: offsets of all storages in two memories, so that a run allocates nothing.
 *
 * The arena holds what is made and used within one run; two storages share bytes when their lives don't
 * overlap. The persistent memory holds parameters that runs read and what was made from parameters once
 * (folded, packed). Parameters that only the once-only steps read lie in the arena until these have run.
 *
 * With reuse false every storage has bytes of its own: the oracle against which reuse is tested
 * (`--no-reuse`).
 */
#ifndef PLAN_H
#define PLAN_H

#include "lower.h"

typedef struct Plan {
    const StepList *list;
    const Layout *layout;
    int n_prepare; /* steps 0..n_prepare-1 are done once, the rest in every run */
    int64_t arena_bytes, persistent_bytes, scratch_bytes;
    int64_t const_bytes;      /* tables, each 64-aligned, in order of steps' arguments */
    int64_t live_bytes_bound; /* most bytes alive at any step: no placement can do with less arena */
} Plan;

Plan *plan_make(const StepList *list, const Layout *layout, bool reuse);

const char *plan_text(const Plan *plan);

#endif
