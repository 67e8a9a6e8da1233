/* Batches for training, made ahead by threads of their own: files are decoded (or streets drawn), augmented
 * (rt_augment.h), brought to the network's size and normalised while the compute threads are busy.
 *
 * A stream is a data set of the program's inputs. Samples are numbered from 0 through all epochs
 * (rt_sampler.h); streams go through their epochs independently, and a batch that reaches an epoch's end goes
 * on into the next. What a batch holds depends on the seed and the numbers of its samples alone: not on how
 * many threads there are, nor on where training was resumed.
 *
 * Pictures that have been decoded are kept until they fill cache_bytes, since a small set is seen many times;
 * what does not fit is decoded each time.
 *
 * Ownership. The loader owns its batches; the data sets must stay open, and their program in place, until
 * loader_close. One thread uses a loader; its own threads touch nothing of the caller's. Errors of theirs
 * (unreadable files, labels of another size or of no class, no memory) come out of loader_next, at the batch
 * that they spoil, and stay.
 *
 *     LoaderStream streams[] = {{.name = "source", .set = &source, .labelled = true},
 *                               {.name = "target", .set = &target}};
 *     LoaderOptions options = {.program = header, .streams = streams, .stream_count = 2, .batch = 4,
 *                              .height = 512, .width = 1024, .seed = 1, .threads = 2, .ahead = 2};
 *     status = loader_open(&options, &loader, &err);
 *     while (!status && ...) status = loader_next(loader, &batch, &err); ... batch.images[0] ...
 *     loader_close(loader);
 */
#ifndef RT_LOADER_H
#define RT_LOADER_H

#include "rt_data.h"

enum { LOADER_MOST_STREAMS = 8, LOADER_MOST_THREADS = 64, LOADER_MOST_AHEAD = 64 };

typedef struct LoaderStream {
    const char *name;  /* of the program's inputs; chance depends on it */
    DataSet *set;      /* open; drawn pictures without a size are given the stream's */
    bool labelled;     /* its labels are wanted */
    uint64_t position; /* samples already taken: 0, or what loader_position said when the run was saved */
    int height, width; /* pixels; 0: those of the options */
} LoaderStream;

typedef struct LoaderOptions {
    const ProgramHeader *program; /* for preprocessing, augmentation, classes and the ignored label */
    const LoaderStream *streams;  /* copied */
    int stream_count;             /* 1..LOADER_MOST_STREAMS */
    int64_t batch;                /* samples of each stream in a batch */
    int height, width;            /* pixels, of streams that say no other size */
    uint64_t seed;
    bool plain;         /* no augmentation, whatever the program says */
    int threads;        /* 1..LOADER_MOST_THREADS */
    int ahead;          /* batches made ahead of the one in use, 1..LOADER_MOST_AHEAD */
    size_t cache_bytes; /* of decoded pictures that are kept; 0: none */
} LoaderOptions;

/* By stream, in the order of the options. */
typedef struct LoaderBatch {
    const float *images[LOADER_MOST_STREAMS];   /* [batch, 3, height, width] */
    const int32_t *labels[LOADER_MOST_STREAMS]; /* [batch, height, width]; NULL: not labelled */
    double waited;                              /* seconds that loader_next had to wait */
} LoaderBatch;

typedef struct Loader Loader;

/* RT_USAGE when a labelled stream's set has no labels; RT_MACHINE without memory or threads; RT_BUG for
 * options out of range. On failure *loader is NULL. */
RtStatus loader_open(const LoaderOptions *options, Loader **loader, RtError *err);
/* The next batch, valid until the next call. Waits until it is there. */
RtStatus loader_next(Loader *loader, LoaderBatch *batch, RtError *err);
/* Samples of a stream in all batches handed out so far, those before the loader was opened counted too. */
uint64_t loader_position(const Loader *loader, int stream);
/* Stops the threads and waits for them. NULL is harmless. */
void loader_close(Loader *loader);

#endif
