/* Pictures gathered until the program's batch is full, then run together. The last batch may be part empty;
 * its rest is zeros. One thread at a time; the session must have passed picture_check and outlive the batch.
 *
 *     Batch batch;
 *     if (batch_open(&batch, session, save, &job, &err)) return err.status;
 *     for (size_t i = 0; i < count && !status; i++) status = batch_add(&batch, i, &images[i], &err);
 *     if (!status) status = batch_flush(&batch, &err);
 *     batch_close(&batch);
 */
#ifndef RT_BATCH_H
#define RT_BATCH_H

#include "rt_image.h"
#include "segrt.h"

/* Called for each picture after its run; slot is where its results are in the batch. */
typedef RtStatus BatchDoneFn(void *context, size_t item, int64_t slot, RtError *err);

typedef struct Batch {
    SegrtSession *session;
    BatchDoneFn *done;
    void *context;
    int64_t size, filled;
    size_t *items;  /* size of them: what the slots hold */
    double seconds; /* spent in runs after the first, which also prepares the weights */
    int64_t runs;   /* all of them */
} Batch;

RtStatus batch_open(Batch *batch, SegrtSession *session, BatchDoneFn *done, void *context, RtError *err);
/* The slot that the next picture will get. */
int64_t batch_next_slot(const Batch *batch);
/* Takes a copy of the picture, and runs when the batch is full. */
RtStatus batch_add(Batch *batch, size_t item, const RtImage *rgb, RtError *err);
/* Runs what is waiting, if anything. */
RtStatus batch_flush(Batch *batch, RtError *err);
/* Drops what is waiting. Harmless after a failed batch_open, and twice. */
void batch_close(Batch *batch);

#endif
