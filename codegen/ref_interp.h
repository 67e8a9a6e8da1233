/* The reference interpreter: runs loop kernels with plain loops, in double.
 *
 * It is the oracle of the backends: slow, obvious, and strict. Floats are doubles until they are stored, so
 * its results are those of exact arithmetic rounded once; integers are 64 bits wide. A guarded load does not
 * touch memory unless its guard holds. What no lowering may do stops the process with the kernel's name and
 * text, as an assert does: an index outside of its buffer (Buffer.elements), a division by zero or of a
 * negative integer, a float that no integer can hold, an integer that the stored type can't.
 *
 *     void *buffers[] = {x, y};          one pointer per Kernel.buffers, of its dtype
 *     interp_run(kernel, buffers);
 *
 * Allocates one array from rt_alloc; false when there is no memory, and nothing is done then. Thread safe as
 * long as the buffers are.
 */
#ifndef REF_INTERP_H
#define REF_INTERP_H

#include "loop.h"

/* Runs all work units in order. */
bool interp_run(const Kernel *kernel, void *const *buffers);
/* Runs work units begin..end-1. A kernel by template has no units here: it runs whole, and only when asked
 * for all. */
bool interp_run_units(const Kernel *kernel, void *const *buffers, int64_t begin, int64_t end);

#endif
