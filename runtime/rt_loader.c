/* See rt_loader.h. A ring of ahead + 1 slots, each of which holds one batch; batch k is in slot k % slots.
 * Threads take samples one by one, in order through the streams of a batch and from batch to batch, as long
 * as the batch's slot is free; whoever finishes a batch's last sample wakes the caller. Everything that
 * threads share is behind one lock, which is held for some instructions at a time; samples are made without
 * it. */
#define _GNU_SOURCE
#include "rt_loader.h"

#include "rt_augment.h"
#include "rt_picture.h"
#include "rt_sampler.h"
#include "rt_session.h"

#include <pthread.h>
#include <string.h>

/* A decoded picture that is kept; pixels NULL: it is not. Never changed once it is there. */
typedef struct Kept {
    RtImage image, ids;
} Kept;

typedef struct Stream {
    char *name;
    DataSet *set;
    bool labelled;
    uint64_t position; /* of the first sample of batch 0 */
    int64_t height, width;
    Augment augment;
    int32_t label[256]; /* what the network is given for a class id; classes that it has not: NO_CLASS */
    Kept *kept;         /* one for each picture of the set; NULL: nothing is kept */
} Stream;

typedef struct Slot {
    float *images[LOADER_MOST_STREAMS];
    int32_t *labels[LOADER_MOST_STREAMS];
    int64_t left;   /* samples not finished yet */
    int64_t faulty; /* the first sample that failed; -1: none did */
    RtError err;    /* of it */
} Slot;

struct Loader {
    int stream_count, thread_count, slot_count;
    int64_t batch;
    Stream streams[LOADER_MOST_STREAMS];
    Slot *slots;
    PictureScale scale;
    uint64_t seed;
    size_t cache_left;
    pthread_t threads[LOADER_MOST_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* a slot is free, or the end; a batch is finished */
    bool stop;
    uint64_t next_sample; /* to be taken by a thread, counted through all batches */
    uint64_t handed_out;  /* batches; the last one is in use */
};

enum { NO_CLASS = INT32_MIN };

/* ---- one sample ------------------------------------------------------------------------------------------
 */

static RtStatus no_memory(RtError *err)
{
    return rt_fail(err, RT_MACHINE, "no memory for batches of pictures");
}

static RtStatus copy_image(const RtImage *from, RtImage *to, RtError *err)
{
    *to = (RtImage){0};
    if (!from->pixels) return RT_OK;
    RtStatus status = image_new(to, from->width, from->height, from->channels, err);
    if (!status)
        memcpy(to->pixels, from->pixels, (size_t)from->width * (size_t)from->height * (size_t)from->channels);
    return status;
}

static RtStatus check_labels(const Stream *stream, size_t item, const RtImage *image, const RtImage *ids,
                             RtError *err)
{
    const DataPair *pair = &stream->set->pairs[item];
    if (ids->width != image->width || ids->height != image->height)
        return rt_fail(
            err, RT_BAD_INPUT,
            "%.300s: labels of %dx%d pixels for a picture of %dx%d (%.300s); `segc data check` finds all "
            "such pairs",
            pair->label, ids->width, ids->height, image->width, image->height, pair->image);
    size_t pixels = (size_t)ids->width * (size_t)ids->height;
    for (size_t i = 0; i < pixels; i++) {
        if (stream->label[ids->pixels[i]] == NO_CLASS)
            return rt_fail(err, RT_BAD_INPUT,
                           "%.300s: the label %d at (%zu, %zu) is no class of the program, and not ignored",
                           pair->label, ids->pixels[i], i % (size_t)ids->width, i / (size_t)ids->width);
    }
    return RT_OK;
}

static RtStatus decode(const Stream *stream, size_t item, RtImage *image, RtImage *ids, RtError *err)
{
    RtLabels labels = {0};
    RtStatus status = data_read(stream->set, item, image, stream->labelled ? &labels : NULL, err);
    if (!status && stream->labelled) status = data_check_kind(stream->set, item, &labels, err);
    if (!status && stream->labelled) {
        *ids = (RtImage){labels.width, labels.height, 1, labels.classes};
        labels.classes = NULL;
        status = check_labels(stream, item, image, ids, err);
    }
    image_labels_free(&labels);
    return status;
}

/* What is kept of an item; NULL: nothing. */
static const Kept *find_kept(Loader *loader, const Stream *stream, size_t item)
{
    if (!stream->kept) return NULL;
    pthread_mutex_lock(&loader->lock);
    const Kept *kept = stream->kept[item].image.pixels ? &stream->kept[item] : NULL;
    pthread_mutex_unlock(&loader->lock);
    return kept;
}

/* Keeps copies if there is room; without memory for them nothing is kept. */
static void keep(Loader *loader, Stream *stream, size_t item, const RtImage *image, const RtImage *ids)
{
    size_t bytes = (size_t)image->width * (size_t)image->height * (ids->pixels ? 4 : 3);
    pthread_mutex_lock(&loader->lock);
    bool room = stream->kept && !stream->kept[item].image.pixels && bytes <= loader->cache_left;
    if (room) loader->cache_left -= bytes;
    pthread_mutex_unlock(&loader->lock);
    if (!room) return;
    Kept kept = {{0}, {0}};
    bool copied = !copy_image(image, &kept.image, NULL) && !copy_image(ids, &kept.ids, NULL);
    pthread_mutex_lock(&loader->lock);
    bool first = copied && !stream->kept[item].image.pixels;
    if (first)
        stream->kept[item] = kept;
    else
        loader->cache_left += bytes;
    pthread_mutex_unlock(&loader->lock);
    if (first) return;
    image_free(&kept.image);
    image_free(&kept.ids);
}

/* An item's picture and ids, for the caller to change. */
static RtStatus fetch(Loader *loader, Stream *stream, size_t item, RtImage *image, RtImage *ids, RtError *err)
{
    const Kept *kept = find_kept(loader, stream, item);
    if (kept) {
        RtStatus status = copy_image(&kept->image, image, err);
        return status ? status : copy_image(&kept->ids, ids, err);
    }
    RtStatus status = decode(stream, item, image, ids, err);
    if (!status) keep(loader, stream, item, image, ids);
    return status;
}

static void fill(const Loader *loader, const Stream *stream, const RtImage *image, const RtImage *ids,
                 float *planes, int32_t *labels)
{
    int64_t pixels = stream->height * stream->width;
    picture_planes(&loader->scale, image, 0, 3 * stream->height, planes);
    for (int64_t i = 0; labels && i < pixels; i++) labels[i] = stream->label[ids->pixels[i]];
}

/* Sample number `number` (counted from the loader's first) of all streams together. */
static RtStatus make_sample(Loader *loader, uint64_t number, RtError *err)
{
    uint64_t per_batch = (uint64_t)loader->stream_count * (uint64_t)loader->batch;
    uint64_t batch = number / per_batch, place = number % per_batch % (uint64_t)loader->batch;
    int s = (int)(number % per_batch / (uint64_t)loader->batch);
    Stream *stream = &loader->streams[s];
    Slot *slot = &loader->slots[batch % (uint64_t)loader->slot_count];
    uint64_t sample = stream->position + batch * (uint64_t)loader->batch + place;
    size_t item = (size_t)sampler_item(loader->seed, stream->name, sample, stream->set->count);
    size_t pixels = (size_t)stream->height * (size_t)stream->width;
    RtImage image = {0}, ids = {0};
    RtStatus status = fetch(loader, stream, item, &image, &ids, err);
    if (!status) status = augment_apply(&stream->augment, sample, &image, &ids, err);
    if (!status)
        fill(loader, stream, &image, &ids, slot->images[s] + place * 3 * pixels,
             slot->labels[s] ? slot->labels[s] + place * pixels : NULL);
    image_free(&image);
    image_free(&ids);
    return status;
}

/* ---- threads ---------------------------------------------------------------------------------------------
 */

static uint64_t samples_per_batch(const Loader *loader)
{
    return (uint64_t)loader->stream_count * (uint64_t)loader->batch;
}

/* Whether the next sample's slot is free: that of the batch in use is not, nor are those not used yet. */
static bool may_take(const Loader *loader)
{
    uint64_t in_use = loader->handed_out ? loader->handed_out - 1 : 0;
    return loader->next_sample / samples_per_batch(loader) < in_use + (uint64_t)loader->slot_count;
}

/* Under the lock. The error kept is that of the first sample, whichever thread is first. */
static void finish(Loader *loader, uint64_t number, RtStatus status, const RtError *err)
{
    Slot *slot = &loader->slots[number / samples_per_batch(loader) % (uint64_t)loader->slot_count];
    int64_t place = (int64_t)(number % samples_per_batch(loader));
    if (status && (slot->faulty < 0 || place < slot->faulty)) {
        slot->faulty = place;
        slot->err = *err;
    }
    if (--slot->left == 0) pthread_cond_signal(&loader->ready);
}

static void *work(void *argument)
{
    Loader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        if (!may_take(loader)) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        RtError err = {0};
        uint64_t number = loader->next_sample++;
        pthread_mutex_unlock(&loader->lock);
        RtStatus status = make_sample(loader, number, &err);
        pthread_mutex_lock(&loader->lock);
        finish(loader, number, status, &err);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

RtStatus loader_next(Loader *loader, LoaderBatch *batch, RtError *err)
{
    double start = session_clock();
    *batch = (LoaderBatch){.waited = 0};
    pthread_mutex_lock(&loader->lock);
    Slot *slot = &loader->slots[loader->handed_out % (uint64_t)loader->slot_count];
    while (slot->left) pthread_cond_wait(&loader->ready, &loader->lock);
    if (slot->faulty < 0) {
        /* The slot of the batch that was in use can be filled again. */
        if (loader->handed_out) {
            Slot *used = &loader->slots[(loader->handed_out - 1) % (uint64_t)loader->slot_count];
            used->left = (int64_t)samples_per_batch(loader);
        }
        loader->handed_out++;
        pthread_cond_broadcast(&loader->work);
    }
    pthread_mutex_unlock(&loader->lock);
    if (slot->faulty >= 0) {
        if (err) *err = slot->err;
        return slot->err.status;
    }
    for (int s = 0; s < loader->stream_count; s++) {
        batch->images[s] = slot->images[s];
        batch->labels[s] = slot->labels[s];
    }
    batch->waited = session_clock() - start;
    return RT_OK;
}

uint64_t loader_position(const Loader *loader, int stream)
{
    return loader->streams[stream].position + loader->handed_out * (uint64_t)loader->batch;
}

/* ---- opening and closing ---------------------------------------------------------------------------------
 */

static bool good_size(int height, int width)
{
    return height >= 1 && width >= 1 && height <= IMAGE_MAX_SIDE && width <= IMAGE_MAX_SIDE;
}

static bool in_range(const LoaderOptions *options)
{
    for (int s = 0; s < options->stream_count && s < LOADER_MOST_STREAMS; s++) {
        const LoaderStream *stream = &options->streams[s];
        if ((stream->height || stream->width) && !good_size(stream->height, stream->width)) return false;
    }
    return options->stream_count >= 1 && options->stream_count <= LOADER_MOST_STREAMS &&
           options->threads >= 1 && options->threads <= LOADER_MOST_THREADS && options->ahead >= 1 &&
           options->ahead <= LOADER_MOST_AHEAD && options->batch >= 1 &&
           good_size(options->height, options->width);
}

static void set_label_values(const ProgramHeader *program, Stream *stream)
{
    int classes = encoding_classes(program);
    for (int i = 0; i < 256; i++) stream->label[i] = i < classes ? i : NO_CLASS;
    stream->label[stream->set->encoding.ignore] = (int32_t)program->ignore_index;
}

static RtStatus open_stream(const LoaderOptions *options, const LoaderStream *from, Stream *stream,
                            RtError *err)
{
    const ProgramHeader *program = options->program;
    int height = from->height ? from->height : options->height,
        width = from->height ? from->width : options->width;
    *stream = (Stream){.set = from->set,
                       .labelled = from->labelled,
                       .position = from->position,
                       .height = height,
                       .width = width};
    stream->name = rt_strdup(from->name);
    if (!stream->name) return no_memory(err);
    if (from->labelled) {
        RtStatus status = data_need_labels(from->set, from->name, err);
        if (status) return status;
    }
    data_default_size(from->set, width, height);
    set_label_values(program, stream);
    stream->augment = (Augment){.stream = stream->name,
                                .seed = options->seed,
                                .width = width,
                                .height = height,
                                .ignored = from->set->encoding.ignore};
    augment_border(&program->preprocess, stream->augment.border);
    if (!options->plain)
        stream->augment.operations = augment_of_stream(program, from->name, &stream->augment.count);
    if (!options->cache_bytes) return RT_OK;
    stream->kept = rt_alloc(from->set->count * sizeof *stream->kept);
    return stream->kept ? RT_OK : no_memory(err);
}

static RtStatus open_slot(Loader *loader, Slot *slot, RtError *err)
{
    slot->left = (int64_t)samples_per_batch(loader);
    slot->faulty = -1;
    for (int s = 0; s < loader->stream_count; s++) {
        const Stream *stream = &loader->streams[s];
        size_t pixels = (size_t)loader->batch * (size_t)stream->height * (size_t)stream->width;
        slot->images[s] = rt_alloc(3 * pixels * sizeof(float));
        bool wanted = stream->labelled;
        if (wanted) slot->labels[s] = rt_alloc(pixels * sizeof(int32_t));
        if (!slot->images[s] || (wanted && !slot->labels[s])) return no_memory(err);
    }
    return RT_OK;
}

static RtStatus open_parts(Loader *loader, const LoaderOptions *options, RtError *err)
{
    for (int s = 0; s < options->stream_count; s++) {
        loader->stream_count = s + 1;
        RtStatus status = open_stream(options, &options->streams[s], &loader->streams[s], err);
        if (status) return status;
    }
    loader->slots = rt_alloc((size_t)(options->ahead + 1) * sizeof *loader->slots);
    if (!loader->slots) return no_memory(err);
    for (int i = 0; i <= options->ahead; i++) {
        loader->slot_count = i + 1;
        RtStatus status = open_slot(loader, &loader->slots[i], err);
        if (status) return status;
    }
    return RT_OK;
}

static RtStatus start_threads(Loader *loader, int count, RtError *err)
{
    for (int i = 0; i < count; i++) {
        int failed = pthread_create(&loader->threads[i], NULL, work, loader);
        if (failed)
            return rt_fail(err, RT_MACHINE, "cannot start a thread that loads pictures: %s",
                           strerror(failed));
        loader->thread_count = i + 1;
    }
    return RT_OK;
}

RtStatus loader_open(const LoaderOptions *options, Loader **opened, RtError *err)
{
    *opened = NULL;
    if (!in_range(options)) return rt_fail(err, RT_BUG, "options of a loader that are out of range");
    Loader *loader = rt_alloc(sizeof *loader);
    if (!loader) return no_memory(err);
    loader->batch = options->batch;
    loader->seed = options->seed;
    loader->cache_left = options->cache_bytes;
    loader->scale = picture_scale(&options->program->preprocess);
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    RtStatus status = open_parts(loader, options, err);
    if (!status) status = start_threads(loader, options->threads, err);
    if (!status)
        *opened = loader;
    else
        loader_close(loader);
    return status;
}

static void free_stream(Stream *stream)
{
    for (size_t i = 0; stream->kept && i < stream->set->count; i++) {
        image_free(&stream->kept[i].image);
        image_free(&stream->kept[i].ids);
    }
    rt_free(stream->kept);
    rt_free(stream->name);
}

void loader_close(Loader *loader)
{
    if (!loader) return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->thread_count; i++) pthread_join(loader->threads[i], NULL);
    for (int i = 0; i < loader->slot_count; i++) {
        for (int s = 0; s < loader->stream_count; s++) {
            rt_free(loader->slots[i].images[s]);
            rt_free(loader->slots[i].labels[s]);
        }
    }
    for (int s = 0; s < loader->stream_count; s++) free_stream(&loader->streams[s]);
    rt_free(loader->slots);
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->work);
    pthread_cond_destroy(&loader->ready);
    rt_free(loader);
}
