/* Opening a training run: see rt_train_run.h. What is resumed says what was not said again; what was said
 * otherwise is told or, where going on would make no sense, refused. */
#define _GNU_SOURCE
#include "rt_train_run.h"

#include "rt_output.h"
#include "rt_program.h"
#include "rt_session.h"

#include <dirent.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static void note(const TrainRun *run, const char *format, ...)
{
    char text[7000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    run->note(run->context, text);
}

/* ---- paths
 * ------------------------------------------------------------------------------------------------- */

static RtStatus make_paths(TrainRun *run, RtError *err)
{
    run->last_path = output_path(run->wish.folder, "last", ".safetensors");
    run->best_path = output_path(run->wish.folder, "best", ".safetensors");
    run->log_path = output_path(run->wish.folder, "log", ".jsonl");
    if (run->last_path && run->best_path && run->log_path) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for the paths of a run");
}

static RtStatus check_folder(const TrainRun *run, RtError *err)
{
    bool has_run = !access(run->last_path, F_OK);
    if (has_run && !run->wish.resume)
        return rt_fail(err, RT_USAGE,
                       "%s holds a run already: add --resume to go on with it, or take another folder",
                       run->wish.folder);
    if (!has_run && run->wish.resume)
        return rt_fail(err, RT_BAD_INPUT, "%s holds no run to resume: there is no %s", run->wish.folder,
                       run->last_path);
    return output_folder(run->wish.folder, err);
}

/* Of files that a killed process was writing. */
static void remove_leftovers(const TrainRun *run)
{
    DIR *folder = opendir(run->wish.folder);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *name = entry->d_name, *end = strrchr(name, '.');
        bool is_ours = !strncmp(name, "last.safetensors.", 17) || !strncmp(name, "best.safetensors.", 17);
        if (is_ours && !strcmp(end, ".tmp")) unlinkat(dirfd(folder), name, 0);
    }
    if (folder) closedir(folder);
}

/* ---- data
 * -------------------------------------------------------------------------------------------------- */

static void list_streams(const Training *training, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < training->stream_count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s--data %s=SPEC", i ? " " : "",
                                 training->streams[i].name);
}

/* The stream that "STREAM=SPEC" is for, and where its SPEC begins. */
static int stream_of(const Training *training, const char *word, const char **spec)
{
    size_t length = strcspn(word, "=");
    for (int i = 0; i < training->stream_count && word[length]; i++) {
        const char *name = training->streams[i].name;
        *spec = word + length + 1;
        if (strlen(name) == length && !strncmp(name, word, length)) return i;
    }
    *spec = word;
    return training->stream_count == 1 ? 0 : -1;
}

static RtStatus read_data_options(TrainRun *run, RtError *err)
{
    char streams[400];
    list_streams(&run->training, streams, sizeof streams);
    run->state.stream_count = run->training.stream_count;
    for (int i = 0; i < run->wish.data.count; i++) {
        const char *spec;
        int stream = stream_of(&run->training, run->wish.data.items[i], &spec);
        if (stream < 0)
            return rt_fail(err, RT_USAGE, "--data %s: for which stream? The program takes %s",
                           run->wish.data.items[i], streams);
        if (run->state.streams[stream].data)
            return rt_fail(err, RT_USAGE, "--data: stream %s was given twice",
                           run->training.streams[stream].name);
        run->state.streams[stream].data = spec;
    }
    return RT_OK;
}

static RtStatus check_data_options(const TrainRun *run, RtError *err)
{
    char streams[400];
    list_streams(&run->training, streams, sizeof streams);
    for (int i = 0; i < run->training.stream_count; i++) {
        if (!run->state.streams[i].data)
            return rt_fail(err, RT_USAGE, "no data for stream %s: the program takes %s",
                           run->training.streams[i].name, streams);
    }
    return RT_OK;
}

static RtStatus open_sets(TrainRun *run, RtError *err)
{
    RtStatus status = RT_OK;
    for (int i = 0; i < run->training.stream_count && !status; i++) {
        DataSet *set = &run->sets[i];
        status = data_open_for(run->program->header, run->state.streams[i].data, set, err);
        if (!status && run->training.streams[i].label)
            status = data_need_labels(set, run->state.streams[i].data, err);
        for (size_t k = 0; k < set->missing_count && !status; k++)
            note(run, "%s: left out: %s", run->training.streams[i].name, set->missing[k]);
    }
    return status;
}

static RtStatus open_loader(TrainRun *run, RtError *err)
{
    LoaderStream streams[TRAINING_MOST_STREAMS] = {0};
    const ProgramTensor *first = run->training.streams[0].image;
    for (int i = 0; i < run->training.stream_count; i++) {
        const TrainingStream *stream = &run->training.streams[i];
        streams[i] = (LoaderStream){.name = stream->name,
                                    .set = &run->sets[i],
                                    .labelled = stream->label,
                                    .position = run->state.streams[i].position,
                                    .height = (int)stream->image->dims[2],
                                    .width = (int)stream->image->dims[3]};
    }
    LoaderOptions options = {
        .program = run->training.header,
        .streams = streams,
        .stream_count = run->training.stream_count,
        .batch = first->dims[0],
        .height = (int)first->dims[2],
        .width = (int)first->dims[3],
        .seed = run->state.seed,
        .threads = (int)run->wish.loader_threads,
        .ahead = 2,
        .cache_bytes = (size_t)run->wish.cache_mib << 20,
    };
    return loader_open(&options, &run->loader, err);
}

/* ---- what is resumed
 * --------------------------------------------------------------------------------------- */

/* A copy that lives as long as the run. */
static const char *keep(TrainRun *run, const char *text)
{
    char *copy = rt_strdup(text);
    if (copy) run->texts[run->text_count++] = copy;
    return copy;
}

static RtStatus check_origin(const TrainRun *run, RtError *err)
{
    const Checkpoint *from = &run->from;
    const char *name = program_text(run->training.header, run->training.header->name);
    if (strcmp(from->program, name))
        return rt_fail(err, RT_BAD_INPUT, "%s was trained by the program %s; this is %s", run->last_path,
                       from->program, name);
    if (run->wish.seed >= 0 && (uint64_t)run->wish.seed != from->state.seed)
        return rt_fail(err, RT_USAGE, "--seed %lld: the run was begun with seed %llu",
                       (long long)run->wish.seed, (unsigned long long)from->state.seed);
    if (run->wish.iterations > 0 && run->wish.iterations < from->state.iteration)
        return rt_fail(err, RT_USAGE, "--iterations %lld: the run has %lld behind it",
                       (long long)run->wish.iterations, (long long)from->state.iteration);
    if (checkpoint_fingerprint(run->training.header) != from->fingerprint)
        note(run,
             "the program was compiled anew since the run was saved: results may differ from those of an "
             "unbroken run");
    if (run->wish.iterations > 0 && run->wish.iterations != from->state.iterations)
        note(run, "--iterations %lld: the run was begun with %lld; learning rates follow the new number",
             (long long)run->wish.iterations, (long long)from->state.iterations);
    if (run->wish.weights) note(run, "--weights %s: not read, since the run is resumed", run->wish.weights);
    return RT_OK;
}

/* Data of a stream or of the validation: what was given now, or else before. */
static const char *choose_data(TrainRun *run, const char *what, const char *now, const char *before)
{
    if (!now) return keep(run, before);
    if (strcmp(now, before))
        note(run, "%s is now %s; the run was begun with %s", what, now, *before ? before : "none");
    return now;
}

static RtStatus take_streams(TrainRun *run, RtError *err)
{
    const CheckpointState *before = &run->from.state;
    if (before->stream_count != run->state.stream_count)
        return rt_fail(err, RT_BAD_INPUT, "%s has %d streams of data; this program %d", run->last_path,
                       before->stream_count, run->state.stream_count);
    for (int i = 0; i < before->stream_count; i++) {
        struct CheckpointStream *stream = &run->state.streams[i];
        const char *name = run->training.streams[i].name;
        if (strcmp(before->streams[i].name, name))
            return rt_fail(err, RT_BAD_INPUT, "%s has a stream %s where this program has %s", run->last_path,
                           before->streams[i].name, name);
        char what[100];
        snprintf(what, sizeof what, "the data of %s", name);
        stream->data = choose_data(run, what, stream->data, before->streams[i].data);
        if (!stream->data) return rt_fail(err, RT_MACHINE, "no memory for the name of a data set");
        stream->position = before->streams[i].position;
    }
    return RT_OK;
}

/* The tunables as the run had them; those that the command line sets come after. */
static RtStatus take_settings(TrainRun *run, RtError *err)
{
    RtStatus status = RT_OK;
    for (const char *at = run->from.state.settings; *at && !status;) {
        char assignment[200];
        size_t length = strcspn(at, "\n");
        snprintf(assignment, sizeof assignment, "%.*s", (int)length, at);
        status = training_set_tunable(&run->training, assignment, err);
        at += length + (at[length] == '\n');
    }
    return status;
}

static RtStatus take_up(TrainRun *run, RtError *err)
{
    RtStatus status = checkpoint_open(run->last_path, &run->from, err);
    if (!status) status = check_origin(run, err);
    if (!status) status = take_streams(run, err);
    if (!status) status = take_settings(run, err);
    if (!status) status = checkpoint_restore(&run->from, run->training.session, err);
    if (status) return status;
    const CheckpointState *before = &run->from.state;
    run->state.seed = before->seed;
    run->state.best_iteration = before->best_iteration;
    run->state.best_score = before->best_score;
    run->state.validation = choose_data(run, "the validation data", run->wish.validation, before->validation);
    if (!run->state.validation) return rt_fail(err, RT_MACHINE, "no memory for the name of a data set");
    run->training.iteration = before->iteration;
    run->training.iterations = run->wish.iterations > 0 ? run->wish.iterations : before->iterations;
    return RT_OK;
}

/* ---- a new run
 * --------------------------------------------------------------------------------------------- */

static RtStatus load_weights(TrainRun *run, RtError *err)
{
    ParametersFound *found = rt_alloc(sizeof *found);
    if (!found) return rt_fail(err, RT_MACHINE, "no memory to compare weights");
    RtStatus status = parameters_load(run->training.session, run->wish.weights,
                                      WEIGHTS_ALLOW_MISSING | WEIGHTS_ALLOW_MISSHAPED, found, err);
    if (!status && !found->match.taken)
        status = rt_fail(err, RT_BAD_INPUT, "%s: none of its tensors is a parameter of the program",
                         run->wish.weights);
    if (!status) {
        note(run, "%s: %zu parameters taken%s%s%s; the others begin as a new run's", run->wish.weights,
             found->match.taken, *found->prefix ? ", those below " : "", found->prefix,
             found->file_has_prefix ? " of the file" : "");
        if (*found->match.warnings) note(run, "%s", found->match.warnings);
    }
    rt_free(found);
    return status;
}

static RtStatus begin(TrainRun *run, RtError *err)
{
    run->state.seed = run->wish.seed > 0 ? (uint64_t)run->wish.seed : 0;
    run->state.validation = run->wish.validation ? run->wish.validation : "";
    if (run->wish.iterations > 0) run->training.iterations = run->wish.iterations;
    if (run->training.iterations < 1)
        return rt_fail(err, RT_USAGE,
                       "for how many iterations? Neither the program nor --iterations says so");
    RtStatus status = segrt_initialize(run->training.session, run->state.seed, err);
    return status || !run->wish.weights ? status : load_weights(run, err);
}

/* ---- settings and log
 * -------------------------------------------------------------------------------------- */

static RtStatus set_tunables(TrainRun *run, RtError *err)
{
    RtStatus status = RT_OK;
    for (int i = 0; i < run->wish.settings.count && !status; i++)
        status = training_set_tunable(&run->training, run->wish.settings.items[i], err);
    size_t room = 1;
    const ProgramTunable *tunables = training_tunables(run->training.header);
    for (int i = 0; i < run->training.tunable_count; i++) room += tunables[i].name.count + 40;
    run->settings = rt_alloc(room);
    if (!run->settings) return rt_fail(err, RT_MACHINE, "no memory for the settings of a run");
    char *to = run->settings;
    for (int i = 0; i < run->training.tunable_count; i++)
        to += sprintf(to, "%s%s=%.17g", i ? "\n" : "", program_text(run->training.header, tunables[i].name),
                      run->training.tunables[i]);
    run->state.settings = run->settings;
    if (!status && run->wish.resume && strcmp(run->settings, run->from.state.settings))
        note(run, "tunables are set otherwise than when the run was begun");
    return status;
}

/* What would begin after the run's end. */
static void note_late(const TrainRun *run)
{
    const Training *training = &run->training;
    const ProgramHeader *header = training->header;
    for (int i = 0; i < training->player_count; i++) {
        const ProgramPlayer *player = &training_players(header)[i];
        if (player->from >= training->iterations)
            note(run, "the player %s never steps: it begins at iteration %lld of %lld",
                 program_text(header, player->name), (long long)player->from,
                 (long long)training->iterations);
    }
    for (int i = 0; i < training->tunable_count; i++) {
        const ProgramTunable *tunable = &training_tunables(header)[i];
        if (tunable->from >= training->iterations)
            note(run, "%s stays 0: it begins at iteration %lld of %lld", program_text(header, tunable->name),
                 (long long)tunable->from, (long long)training->iterations);
    }
}

static void log_names(TrainRun *run)
{
    JsonOut *json = &run->log.json;
    const ProgramHeader *header = run->training.header;
    json_out_text(json, "program", program_text(header, header->name));
    json_out_text(json, "source", program_text(header, header->source));
    json_out_text(json, "version", program_text(header, header->version));
    json_out_integer(json, "seed", (int64_t)run->state.seed);
    json_out_integer(json, "iterations", run->training.iterations);
    json_out_open(json, "data", '{');
    for (int i = 0; i < run->state.stream_count; i++)
        json_out_text(json, run->training.streams[i].name, run->state.streams[i].data);
    json_out_close(json);
    json_out_text(json, "validation", run->state.validation);
}

static void log_numbers(TrainRun *run)
{
    JsonOut *json = &run->log.json;
    const ProgramHeader *header = run->training.header, *deployed = run->program->header;
    json_out_open(json, "tunables", '{');
    for (int i = 0; i < run->training.tunable_count; i++)
        json_out_number(json, program_text(header, training_tunables(header)[i].name),
                        run->training.tunables[i]);
    json_out_close(json);
    json_out_open(json, "players", '[');
    for (int i = 0; i < run->training.player_count; i++)
        json_out_text(json, NULL, program_text(header, training_players(header)[i].name));
    json_out_close(json);
    json_out_integer(json, "batch", header->batch);
    json_out_integer(json, "accumulate", run->training.accumulate);
    json_out_integer(json, "height", header->height);
    json_out_integer(json, "width", header->width);
    json_out_integer(json, "parameters_deployed", deployed->parameters_deployed);
    json_out_integer(json, "parameters_declared", deployed->parameters_declared);
    json_out_integer(json, "multiply_adds", deployed->multiply_adds);
    json_out_text(json, "weights", run->wish.weights ? run->wish.weights : "");
    json_out_integer(json, "threads", segrt_threads(run->training.session));
    json_out_integer(json, "planned_bytes", (int64_t)segrt_memory(run->training.session).planned);
}

static RtStatus open_logs(TrainRun *run, RtError *err)
{
    int64_t iteration = run->training.iteration;
    RtStatus status = train_log_open(&run->log, run->log_path, run->wish.resume ? iteration : -1, err);
    if (status) return status;
    remove_leftovers(run);
    train_log_begin(&run->log, run->wish.resume ? "resume" : "start", iteration);
    log_names(run);
    log_numbers(run);
    status = train_log_end(&run->log, err);
    return status ? status : tensorboard_open(&run->board, run->wish.folder, iteration, err);
}

static RtStatus open_validation(TrainRun *run, RtError *err)
{
    if (!*run->state.validation) return RT_OK;
    RtStatus status = parameters_cover(run->training.header, run->program->header, err);
    if (!status) status = evaluation_open(&run->evaluation, run->program->header, run->state.validation, err);
    const DataSet *set = &run->evaluation.set;
    for (size_t i = 0; i < set->missing_count && !status; i++)
        note(run, "validation: left out: %s", set->missing[i]);
    return status ? status : evaluation_check(&run->evaluation, err);
}

/* What takes no time, and what the user most likely got wrong, comes first. */
static RtStatus open_all(TrainRun *run, RtError *err)
{
    RtStatus status = training_open(&run->training, run->program, (int)run->wish.threads, err);
    if (!status) status = read_data_options(run, err);
    if (!status) status = make_paths(run, err);
    if (!status) status = check_folder(run, err);
    if (!status) status = run->wish.resume ? take_up(run, err) : begin(run, err);
    if (!status) status = check_data_options(run, err);
    if (!status) status = set_tunables(run, err);
    if (!status) note_late(run);
    if (!status) status = open_sets(run, err);
    if (!status) status = open_validation(run, err);
    if (!status) status = open_logs(run, err);
    checkpoint_close(&run->from);
    if (!status) status = open_loader(run, err);
    return status || run->wish.resume ? status : train_save(run, err);
}

RtStatus train_open(TrainRun *run, const Program *program, const TrainWish *wish, TrainNoteFn *note_fn,
                    void *context, RtError *err)
{
    *run = (TrainRun){.program = program, .wish = *wish, .note = note_fn, .context = context};
    return open_all(run, err);
}

void train_close(TrainRun *run)
{
    loader_close(run->loader);
    for (int i = 0; i < TRAINING_MOST_STREAMS; i++) data_close(&run->sets[i]);
    evaluation_close(&run->evaluation);
    segrt_close(run->predicting);
    training_close(&run->training);
    checkpoint_close(&run->from);
    train_log_close(&run->log);
    tensorboard_close(&run->board);
    for (int i = 0; i < run->text_count; i++) rt_free(run->texts[i]);
    rt_free(run->last_path);
    rt_free(run->best_path);
    rt_free(run->log_path);
    rt_free(run->settings);
    *run = (TrainRun){0};
}
