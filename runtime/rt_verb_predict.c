/* `PROG predict`: class ids, colours and overlays for pictures. A picture that cannot be read is named, the
 * others are done; a result that cannot be written ends it. */
#include "rt_batch.h"
#include "rt_crf.h"
#include "rt_data.h"
#include "rt_output.h"
#include "rt_panel.h"
#include "rt_picture.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_session.h"
#include "rt_verbs.h"

enum { MOST_SUFFIXES = 5 };

/* What a slot of the batch needs again when its classes are there. */
typedef struct Waiting {
    RtImage picture, truth; /* truth: class ids, of drawn pictures only */
} Waiting;

typedef struct Predict {
    VerbSession wish;
    const char *folder;
    bool color, overlay;
    const char *panel_path; /* NULL: no panel */
    VerbCrf crf;
    const ProgramHeader *header;
    RtPalette palette;
    const char *suffixes[MOST_SUFFIXES];
    size_t suffix_count;
    RtImageList inputs;
    DataSet drawn;  /* in place of files, when it has pairs: the inputs are its names */
    bool has_truth; /* the drawn pictures' classes are the network's */
    OutputNames names;
    SegrtSession *session;
    Waiting *waiting; /* by slot of the batch */
    Panel panel;
    Progress progress;
    size_t done;
    char **failures; /* a line each; inputs.count of them at most */
    size_t failure_count;
} Predict;

static RtStatus write_image(const Predict *predict, size_t item, const char *suffix, const RtImage *image,
                            const RtPalette *palette, RtError *err)
{
    char *path = output_path(predict->folder, predict->names.names[item], suffix);
    if (!path) return rt_fail(err, RT_MACHINE, "no memory for the name of a file");
    RtStatus status =
        image_write_png(path, image->pixels, image->width, image->height, image->channels, palette, err);
    rt_free(path);
    return status;
}

static RtStatus write_results(const Predict *predict, size_t item, const Waiting *waiting,
                              const RtImage *classes, RtError *err)
{
    RtStatus status = write_image(predict, item, ".png", classes, NULL, err);
    if (!status && predict->color)
        status = write_image(predict, item, "_color.png", classes, &predict->palette, err);
    if (!status && predict->drawn.count)
        status = write_image(predict, item, "_picture.png", &waiting->picture, NULL, err);
    if (!status && predict->has_truth)
        status = write_image(predict, item, "_truth.png", &waiting->truth, &predict->palette, err);
    if (status || !predict->overlay) return status;
    RtImage overlay = {0};
    status = image_draw_overlay(&waiting->picture, classes, &predict->palette, &overlay, err);
    if (!status) status = write_image(predict, item, "_overlay.png", &overlay, NULL, err);
    image_free(&overlay);
    return status;
}

/* A row of the panel: the picture, the truth if it is known, and the prediction. */
static RtStatus add_to_panel(Predict *predict, const Waiting *waiting, const RtImage *classes, RtError *err)
{
    RtImage colors = {0}, truth = {0};
    RtStatus status = image_draw_classes(classes, &predict->palette, &colors, err);
    if (!status && predict->has_truth)
        status = image_draw_classes(&waiting->truth, &predict->palette, &truth, err);
    const RtImage *row[] = {&waiting->picture, &colors, NULL};
    if (predict->has_truth) row[1] = &truth, row[2] = &colors;
    predict->panel.columns = predict->has_truth ? 3 : 2;
    if (!status) status = panel_add(&predict->panel, row, err);
    image_free(&colors);
    image_free(&truth);
    return status;
}

static void forget(Waiting *waiting)
{
    image_free(&waiting->picture);
    image_free(&waiting->truth);
}

static RtStatus save(void *context, size_t item, int64_t slot, RtError *err)
{
    Predict *predict = context;
    Waiting *waiting = &predict->waiting[slot];
    RtImage classes = {0};
    const RtImage *picture = &waiting->picture;
    RtStatus status =
        predict->crf.text
            ? crf_picture(predict->session, slot, picture, &predict->crf.settings, &classes, err)
            : picture_classes_at(predict->session, slot, picture->width, picture->height, &classes, err);
    if (!status) status = write_results(predict, item, waiting, &classes, err);
    if (!status && predict->panel_path) status = add_to_panel(predict, waiting, &classes, err);
    image_free(&classes);
    forget(waiting);
    if (status) return status;
    predict->done++;
    progress_step(&predict->progress, "%s -> %s/%s.png", predict->inputs.paths[item], predict->folder,
                  predict->names.names[item]);
    return RT_OK;
}

static RtStatus note_failure(Predict *predict, const RtError *failure, RtError *err)
{
    char *line = rt_strdup(failure->text);
    if (!line) return rt_fail(err, RT_MACHINE, "no memory for a message");
    predict->failures[predict->failure_count++] = line;
    predict->progress.total--;
    progress_note(&predict->progress, "error: %s", failure->text);
    return RT_OK;
}

static RtStatus draw_input(const Predict *predict, size_t item, Waiting *waiting, RtError *err)
{
    RtLabels labels;
    RtStatus status = data_read(&predict->drawn, item, &waiting->picture, &labels, err);
    waiting->truth = (RtImage){labels.width, labels.height, 1, labels.classes};
    return status;
}

static RtStatus read_input(const Predict *predict, size_t item, Waiting *waiting, RtError *err)
{
    if (predict->drawn.count) return draw_input(predict, item, waiting, err);
    return image_read_rgb(predict->inputs.paths[item], &waiting->picture, err);
}

static RtStatus predict_one(Predict *predict, Batch *batch, size_t item, RtError *err)
{
    Waiting *waiting = &predict->waiting[batch_next_slot(batch)];
    RtError failure = {0};
    RtStatus status = read_input(predict, item, waiting, &failure);
    if (status == RT_BAD_INPUT) return note_failure(predict, &failure, err);
    if (!status) return batch_add(batch, item, &waiting->picture, err);
    *err = failure;
    return status;
}

static RtStatus predict_all(Predict *predict, RtError *err)
{
    Batch batch;
    RtStatus status = batch_open(&batch, predict->session, save, predict, err);
    if (status) return status;
    size_t count = predict->inputs.count;
    predict->waiting = rt_alloc((size_t)batch.size * sizeof *predict->waiting);
    predict->failures = rt_alloc(count * sizeof *predict->failures);
    if (!predict->waiting || !predict->failures)
        status = rt_fail(err, RT_MACHINE, "no memory for a batch of %lld pictures", (long long)batch.size);
    progress_start(&predict->progress, stderr, (int64_t)count);
    verb_catch_interrupts();
    for (size_t i = 0; i < count && !status && !verb_interrupted(); i++)
        status = predict_one(predict, &batch, i, err);
    if (!status && !verb_interrupted()) status = batch_flush(&batch, err);
    progress_end(&predict->progress);
    for (int64_t slot = 0; predict->waiting && slot < batch.size; slot++) forget(&predict->waiting[slot]);
    batch_close(&batch);
    return status || !predict->panel_path ? status : panel_write(&predict->panel, predict->panel_path, err);
}

/* The end of the output says what did not work, where nobody overlooks it. */
static RtStatus sum_up(const Predict *predict)
{
    printf("%zu of %zu pictures segmented, %zu files in %s\n", predict->done, predict->inputs.count,
           predict->done * predict->suffix_count, predict->folder);
    if (predict->panel.rows)
        printf("%s shows %zu of them: picture, %sprediction\n", predict->panel_path, predict->panel.rows,
               predict->has_truth ? "truth, " : "");
    if (predict->drawn.count && !predict->has_truth)
        printf("no truth is shown: the network's classes are not those of the drawn streets\n");
    if (predict->names.renamed)
        printf("%zu results have longer names than their pictures, which would be the same\n",
               predict->names.renamed);
    for (size_t i = 0; i < predict->inputs.skipped_count; i++)
        printf("not a picture, skipped: %s\n", predict->inputs.skipped[i]);
    if (!predict->failure_count) return RT_OK;
    fflush(stdout);
    fprintf(stderr, "%zu could not be read:\n", predict->failure_count);
    for (size_t i = 0; i < predict->failure_count; i++) fprintf(stderr, "  %s\n", predict->failures[i]);
    return RT_BAD_INPUT;
}

/* The names of drawn pictures as inputs. */
static RtStatus list_drawn(Predict *predict, const VerbCall *call, RtError *err)
{
    if (call->argc > 1)
        return rt_fail(err, RT_USAGE, "%s: drawn pictures and others are not segmented together",
                       call->argv[0]);
    RtStatus status = data_open(call->argv[0], &predict->drawn, err);
    if (status) return status;
    data_default_size(&predict->drawn, (int)predict->header->width, (int)predict->header->height);
    size_t count = predict->drawn.count;
    predict->inputs.paths = rt_alloc(count * sizeof *predict->inputs.paths);
    for (size_t i = 0; i < count && predict->inputs.paths && !status; i++) {
        predict->inputs.paths[i] = rt_strdup(predict->drawn.pairs[i].image);
        if (!predict->inputs.paths[i]) break;
        predict->inputs.count++;
    }
    predict->has_truth = predict->drawn.labelled && picture_class_count(predict->header) >= STREET_CLASSES;
    if (predict->inputs.count == count) return RT_OK;
    return rt_fail(err, RT_MACHINE, "no memory for the names of %zu pictures", count);
}

static RtStatus list_inputs(Predict *predict, const VerbCall *call, RtError *err)
{
    if (data_is_drawn(call->argv[0])) return list_drawn(predict, call, err);
    return image_list((const char *const *)call->argv, (size_t)call->argc, &predict->inputs, err);
}

static void add_suffix(Predict *predict, bool wanted, const char *suffix)
{
    if (wanted) predict->suffixes[predict->suffix_count++] = suffix;
}

/* Everything that can be known to be wrong before weights are loaded. */
static RtStatus plan_files(Predict *predict, const VerbCall *call, RtError *err)
{
    RtStatus status = list_inputs(predict, call, err);
    add_suffix(predict, true, ".png");
    add_suffix(predict, predict->color, "_color.png");
    add_suffix(predict, predict->overlay, "_overlay.png");
    add_suffix(predict, predict->drawn.count > 0, "_picture.png");
    add_suffix(predict, predict->has_truth, "_truth.png");
    const char *const *inputs = (const char *const *)predict->inputs.paths;
    if (!status)
        status = output_names(inputs, predict->inputs.count, predict->suffixes, predict->suffix_count,
                              &predict->names, err);
    if (!status) status = output_folder(predict->folder, err);
    if (!status)
        status = output_check(predict->folder, &predict->names, inputs, predict->suffixes,
                              predict->suffix_count, err);
    return status;
}

static RtStatus run_predict(Predict *predict, const VerbCall *call, RtError *err)
{
    RtStatus status = picture_check(predict->header, err);
    if (!status) status = verb_crf(&predict->crf, predict->header, err);
    if (!status) status = plan_files(predict, call, err);
    if (!status) status = verb_open(call, &predict->wish, &predict->session, err);
    if (status) return status;
    predict->palette = picture_palette(predict->header);
    status = predict_all(predict, err);
    return status ? status : sum_up(predict);
}

static void release(Predict *predict)
{
    segrt_close(predict->session);
    for (size_t i = 0; i < predict->failure_count; i++) rt_free(predict->failures[i]);
    rt_free(predict->failures);
    rt_free(predict->waiting);
    panel_free(&predict->panel);
    output_free(&predict->names);
    data_close(&predict->drawn);
    image_list_free(&predict->inputs);
}

RtStatus verb_predict(VerbCall *call, RtError *err)
{
    Predict predict = {.header = call->program->header};
    const Option options[] = {
        {"--output", 'o', OPTION_TEXT, &predict.folder, "DIR", "folder for the results; made if need be", 0},
        {"--color", 0, OPTION_FLAG, &predict.color, NULL, "write NAME_color.png too", 0},
        {"--overlay", 0, OPTION_FLAG, &predict.overlay, NULL, "write NAME_overlay.png too", 0},
        {"--panel", 0, OPTION_TEXT, &predict.panel_path, "FILE", "write pictures and results side by side",
         0},
        VERB_CRF_OPTION(predict.crf),
        VERB_SESSION_OPTIONS(predict.wish),
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help)
        printf(
            "\nIMAGE is a PNG or JPEG file, a folder of them, or a pattern. NAME.png holds a class id per\n"
            "pixel, at the picture's size. Pictures of another size than the network's are resized to it\n"
            "(bilinear, antialiased), and the classes back (nearest).\n"
            "builtin:rendered:COUNT instead draws streets (then ,seed=S and ,size=HxW if wanted), writes\n"
            "them as NAME_picture.png, and their true classes in colour as NAME_truth.png.\n" VERB_CRF_HELP);
    if (status || call->help) return status;
    if (!call->argc) return rt_fail(err, RT_USAGE, "no pictures given");
    if (!predict.folder) return rt_fail(err, RT_USAGE, "no folder for the results given: add -o DIR");
    status = run_predict(&predict, call, err);
    release(&predict);
    return status;
}
