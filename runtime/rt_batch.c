/* See rt_batch.h. */
#include "rt_batch.h"

#include "rt_picture.h"
#include "rt_program.h"
#include "rt_session.h"

#include <string.h>

RtStatus batch_open(Batch *batch, SegrtSession *session, BatchDoneFn *done, void *context, RtError *err)
{
    *batch = (Batch){.session = session, .done = done, .context = context};
    batch->size = program_picture(session_program(session))->dims[0];
    batch->items = rt_alloc((size_t)batch->size * sizeof *batch->items);
    if (batch->items) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for a batch of %lld pictures", (long long)batch->size);
}

int64_t batch_next_slot(const Batch *batch)
{
    return batch->filled;
}

RtStatus batch_add(Batch *batch, size_t item, const RtImage *rgb, RtError *err)
{
    RtStatus status = picture_set(batch->session, batch->filled, rgb, err);
    if (status) return status;
    batch->items[batch->filled++] = item;
    return batch->filled == batch->size ? batch_flush(batch, err) : RT_OK;
}

/* The run before may have left anything in the input's memory. */
static void clear_rest(const Batch *batch)
{
    const ProgramTensor *picture = program_picture(session_program(batch->session));
    size_t slot_bytes = picture->bytes / (size_t)batch->size;
    char *data = session_address(batch->session, picture);
    memset(data + (size_t)batch->filled * slot_bytes, 0, (size_t)(batch->size - batch->filled) * slot_bytes);
}

RtStatus batch_flush(Batch *batch, RtError *err)
{
    int64_t filled = batch->filled;
    if (!filled) return RT_OK;
    clear_rest(batch);
    batch->filled = 0;
    double start = session_clock();
    RtStatus status = segrt_run(batch->session, err);
    if (batch->runs++) batch->seconds += session_clock() - start;
    for (int64_t slot = 0; slot < filled && !status; slot++)
        status = batch->done(batch->context, batch->items[slot], slot, err);
    return status;
}

void batch_close(Batch *batch)
{
    rt_free(batch->items);
    batch->items = NULL;
    batch->filled = 0;
}
