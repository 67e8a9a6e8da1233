/* `PROG calibrate`: new running statistics for batch_norm from pictures without labels (rt_calibrate.h), and
 * the weights written with them. Several sets take turns, batch by batch. */
#define _GNU_SOURCE
#include "rt_calibrate.h"
#include "rt_cpu.h"
#include "rt_loader.h"
#include "rt_parameters.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_session.h"
#include "rt_verbs.h"

#include <string.h>
#include <sys/stat.h>

enum { MOST_SETS = 4, MOST_BATCHES = 100 /* unless the command line says more */ };

typedef struct CalibrateVerb {
    const VerbCall *call;
    OptionTexts data;
    const char *weights, *out;
    int64_t batches, threads, loader_threads;
    Training training;
    Calibration calibration;
    DataSet sets[MOST_SETS];
    Loader *loaders[MOST_SETS];
} CalibrateVerb;

/* Whether the file has all that predicting needs, and if not, what is wrong with it. */
static RtStatus check_weights(const CalibrateVerb *verb, RtError *err)
{
    SegrtSession *predicting = NULL;
    VerbSession wish = {.weights = verb->weights, .threads = 1};
    RtStatus status = verb_open(verb->call, &wish, &predicting, err);
    segrt_close(predicting);
    return status;
}

static RtStatus load_weights(CalibrateVerb *verb, RtError *err)
{
    ParametersFound *found = rt_alloc(sizeof *found);
    if (!found) return rt_fail(err, RT_MACHINE, "no memory to compare weights");
    RtStatus status = segrt_initialize(verb->training.session, 0, err);
    if (!status)
        status = parameters_load(verb->training.session, verb->weights, WEIGHTS_ALLOW_MISSING, found, err);
    rt_free(found);
    return status;
}

/* Every stream gets pictures of the set, each other ones. */
static RtStatus open_loader(CalibrateVerb *verb, int index, RtError *err)
{
    const Training *training = &verb->training;
    const int64_t *dims = training->streams[0].image->dims;
    LoaderStream streams[TRAINING_MOST_STREAMS] = {0};
    for (int i = 0; i < training->stream_count; i++)
        streams[i] = (LoaderStream){.name = training->streams[i].name,
                                    .set = &verb->sets[index],
                                    .height = (int)training->streams[i].image->dims[2],
                                    .width = (int)training->streams[i].image->dims[3]};
    LoaderOptions options = {
        .program = training->header,
        .streams = streams,
        .stream_count = training->stream_count,
        .batch = dims[0],
        .height = (int)dims[2],
        .width = (int)dims[3],
        .plain = true,
        .threads = (int)verb->loader_threads,
        .ahead = 1,
    };
    return loader_open(&options, &verb->loaders[index], err);
}

/* As many batches as show each set once. */
static int64_t choose_batches(const CalibrateVerb *verb)
{
    int64_t most = 1, each = verb->training.streams[0].image->dims[0] * verb->training.stream_count;
    for (int i = 0; i < verb->data.count; i++) {
        int64_t batches = ((int64_t)verb->sets[i].count + each - 1) / each * verb->data.count;
        if (batches > most) most = batches;
    }
    return most > MOST_BATCHES ? MOST_BATCHES : most;
}

static RtStatus open_data(CalibrateVerb *verb, RtError *err)
{
    RtStatus status = RT_OK;
    for (int i = 0; i < verb->data.count && !status; i++) {
        DataSet *set = &verb->sets[i];
        status = data_open_for(verb->call->program->header, verb->data.items[i], set, err);
        for (size_t k = 0; k < set->missing_count && !status; k++)
            fprintf(stderr, "%s: note: left out: %s\n", verb->call->command, set->missing[k]);
        if (!status) status = open_loader(verb, i, err);
    }
    if (!verb->batches && !status) verb->batches = choose_batches(verb);
    return status;
}

static RtStatus run_batches(CalibrateVerb *verb, RtError *err)
{
    Progress progress;
    RtStatus status = RT_OK;
    progress_start(&progress, stderr, verb->batches);
    for (int64_t i = 0; i < verb->batches && !status; i++) {
        LoaderBatch batch;
        int set = (int)(i % verb->data.count);
        status = loader_next(verb->loaders[set], &batch, err);
        if (!status) status = calibration_add(&verb->calibration, batch.images, err);
        if (!status) progress_step(&progress, "%s", verb->data.items[set]);
    }
    progress_end(&progress);
    return status;
}

/* ---- the result
 * -------------------------------------------------------------------------------------------- */

typedef struct Result {
    const SegrtSession *session;
    const ProgramTensor **tensors;
    float *room;
} Result;

static const void *values_of(void *context, size_t index)
{
    const Result *result = context;
    return parameters_dense(result->session, result->tensors[index], result->room);
}

/* What predicting needs, under the names that it has there. */
static RtStatus write_parts(const CalibrateVerb *verb, Result *result, WeightsPart *parts, RtError *err)
{
    const ProgramHeader *predicting = verb->call->program->header, *header = verb->training.header;
    size_t count = 0;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        const char *name = program_text(header, tensor->name);
        if (tensor->role != ROLE_PARAMETER || !program_find(predicting, ROLE_PARAMETER, name)) continue;
        result->tensors[count] = tensor;
        parts[count++] =
            (WeightsPart){.name = name, .dtype = WEIGHT_F32, .rank = tensor->rank, .dims = tensor->dims};
    }
    char data[1000] = "";
    for (int i = 0; i < verb->data.count; i++) {
        size_t used = strlen(data);
        snprintf(data + used, sizeof data - used, "%s%s", i ? "\n" : "", verb->data.items[i]);
    }
    const WeightsText texts[] = {{"segc.calibrated_on", data}};
    return weights_write_from(verb->out, parts, count, texts, 1, values_of, result, err);
}

static RtStatus write_weights(const CalibrateVerb *verb, RtError *err)
{
    size_t most = verb->training.header->tensors.count;
    Result result = {.session = verb->training.session, .tensors = rt_alloc(most * sizeof *result.tensors)};
    WeightsPart *parts = rt_alloc(most * sizeof *parts);
    RtStatus status = parameters_room(verb->training.header, &result.room, err);
    if (!status && (!parts || !result.tensors))
        status = rt_fail(err, RT_MACHINE, "no memory for a list of %zu tensors", most);
    if (!status) status = write_parts(verb, &result, parts, err);
    rt_free(result.tensors);
    rt_free(result.room);
    rt_free(parts);
    return status;
}

static RtStatus calibrate(CalibrateVerb *verb, RtError *err)
{
    RtStatus status = training_open(&verb->training, verb->call->program, (int)verb->threads, err);
    if (!status) status = check_weights(verb, err);
    if (!status) status = load_weights(verb, err);
    if (!status) status = open_data(verb, err);
    if (!status) status = calibration_open(&verb->calibration, &verb->training, err);
    double start = session_clock();
    if (!status) status = run_batches(verb, err);
    if (status) return status;
    int changed = calibration_finish(&verb->calibration);
    status = write_weights(verb, err);
    if (!status)
        printf("%d running statistics from %lld batches in %.1f s: %s\n", changed, (long long)verb->batches,
               session_clock() - start, verb->out);
    return status;
}

/* A checkpoint holds more than the weights that would take its place. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static RtStatus check_options(const CalibrateVerb *verb, RtError *err)
{
    if (!verb->data.count) return rt_fail(err, RT_USAGE, "no pictures given: add --data SPEC");
    if (verb->data.count > MOST_SETS) return rt_fail(err, RT_USAGE, "--data: at most %d sets", MOST_SETS);
    if (!verb->weights) return rt_fail(err, RT_USAGE, "no weights given: add --weights FILE");
    if (!verb->out) return rt_fail(err, RT_USAGE, "no file for the result: add --out FILE");
    if (is_same_file(verb->weights, verb->out))
        return rt_fail(err, RT_USAGE, "--out %s: the result would replace the weights that are read",
                       verb->out);
    if (verb->threads > CPU_MAX_THREADS || verb->loader_threads > LOADER_MOST_THREADS)
        return rt_fail(err, RT_USAGE, "too many threads: at most %d, and %d of the loader", CPU_MAX_THREADS,
                       LOADER_MOST_THREADS);
    return RT_OK;
}

RtStatus verb_calibrate(VerbCall *call, RtError *err)
{
    CalibrateVerb verb = {.call = call, .loader_threads = 1};
    const Option options[] = {
        {"--data", 0, OPTION_TEXTS, &verb.data, "SPEC", "pictures; sets given so take turns", 0},
        {"--weights", 0, OPTION_TEXT, &verb.weights, "FILE", "weights or a checkpoint", 0},
        {"--out", 'o', OPTION_TEXT, &verb.out, "FILE", "where the weights go, with the new statistics", 0},
        {"--batches", 0, OPTION_COUNT, &verb.batches, "N", "batches (every picture once, at most 100)", 1},
        {"--threads", 0, OPTION_COUNT, &verb.threads, "T", "to compute (SEGRT_THREADS, or all processors)",
         1},
        {"--loader-threads", 0, OPTION_COUNT, &verb.loader_threads, "T", "to read pictures (1)", 1},
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help) {
        verb_explain_data();
        printf("Labels are not looked at. Each batch costs a training step without its updates.\n");
    }
    if (status || call->help) return status;
    status = verb_no_operands(call, err);
    if (!status) status = check_options(&verb, err);
    if (!status) status = calibrate(&verb, err);
    for (int i = 0; i < MOST_SETS; i++) {
        loader_close(verb.loaders[i]);
        data_close(&verb.sets[i]);
    }
    calibration_close(&verb.calibration);
    training_close(&verb.training);
    return status;
}
