/* `PROG predict`: class ids, colours and overlays for pictures. A picture that cannot be read is named, the
 * others are done; a result that cannot be written ends it. */
#include "rt_batch.h"
#include "rt_output.h"
#include "rt_picture.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_session.h"
#include "rt_verbs.h"

enum { MOST_SUFFIXES = 3 };

typedef struct Predict {
    VerbSession wish;
    const char *folder;
    bool color, overlay;
    const ProgramHeader *header;
    RtPalette palette;
    const char *suffixes[MOST_SUFFIXES];
    size_t suffix_count;
    RtImageList inputs;
    OutputNames names;
    SegrtSession *session;
    RtImage *pictures; /* by slot of the batch: what waits for its classes */
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

static RtStatus write_results(const Predict *predict, size_t item, const RtImage *picture,
                              const RtImage *classes, RtError *err)
{
    RtStatus status = write_image(predict, item, ".png", classes, NULL, err);
    if (!status && predict->color)
        status = write_image(predict, item, "_color.png", classes, &predict->palette, err);
    if (status || !predict->overlay) return status;
    RtImage overlay = {0};
    status = image_draw_overlay(picture, classes, &predict->palette, &overlay, err);
    if (!status) status = write_image(predict, item, "_overlay.png", &overlay, NULL, err);
    image_free(&overlay);
    return status;
}

static RtStatus save(void *context, size_t item, int64_t slot, RtError *err)
{
    Predict *predict = context;
    RtImage *picture = &predict->pictures[slot], classes = {0};
    RtStatus status =
        picture_classes_at(predict->session, slot, picture->width, picture->height, &classes, err);
    if (!status) status = write_results(predict, item, picture, &classes, err);
    image_free(&classes);
    image_free(picture);
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

static RtStatus predict_one(Predict *predict, Batch *batch, size_t item, RtError *err)
{
    RtImage *picture = &predict->pictures[batch_next_slot(batch)];
    RtError failure = {0};
    RtStatus status = image_read_rgb(predict->inputs.paths[item], picture, &failure);
    if (status == RT_BAD_INPUT) return note_failure(predict, &failure, err);
    if (!status) return batch_add(batch, item, picture, err);
    *err = failure;
    return status;
}

static RtStatus predict_all(Predict *predict, RtError *err)
{
    Batch batch;
    RtStatus status = batch_open(&batch, predict->session, save, predict, err);
    if (status) return status;
    size_t count = predict->inputs.count;
    predict->pictures = rt_alloc((size_t)batch.size * sizeof *predict->pictures);
    predict->failures = rt_alloc(count * sizeof *predict->failures);
    if (!predict->pictures || !predict->failures)
        status = rt_fail(err, RT_MACHINE, "no memory for a batch of %lld pictures", (long long)batch.size);
    progress_start(&predict->progress, stderr, (int64_t)count);
    verb_catch_interrupts();
    for (size_t i = 0; i < count && !status && !verb_interrupted(); i++)
        status = predict_one(predict, &batch, i, err);
    if (!status && !verb_interrupted()) status = batch_flush(&batch, err);
    progress_end(&predict->progress);
    for (int64_t slot = 0; predict->pictures && slot < batch.size; slot++)
        image_free(&predict->pictures[slot]);
    batch_close(&batch);
    return status;
}

/* The end of the output says what did not work, where nobody overlooks it. */
static RtStatus sum_up(const Predict *predict)
{
    printf("%zu of %zu pictures segmented, %zu files in %s\n", predict->done, predict->inputs.count,
           predict->done * predict->suffix_count, predict->folder);
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

/* Everything that can be known to be wrong before weights are loaded. */
static RtStatus plan_files(Predict *predict, const VerbCall *call, RtError *err)
{
    predict->suffixes[predict->suffix_count++] = ".png";
    if (predict->color) predict->suffixes[predict->suffix_count++] = "_color.png";
    if (predict->overlay) predict->suffixes[predict->suffix_count++] = "_overlay.png";
    RtStatus status = image_list((const char *const *)call->argv, (size_t)call->argc, &predict->inputs, err);
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
    rt_free(predict->pictures);
    output_free(&predict->names);
    image_list_free(&predict->inputs);
}

RtStatus verb_predict(VerbCall *call, RtError *err)
{
    Predict predict = {.header = call->program->header};
    const Option options[] = {
        {"--output", 'o', OPTION_TEXT, &predict.folder, "DIR", "folder for the results; made if need be", 0},
        {"--color", 0, OPTION_FLAG, &predict.color, NULL, "write NAME_color.png too", 0},
        {"--overlay", 0, OPTION_FLAG, &predict.overlay, NULL, "write NAME_overlay.png too", 0},
        VERB_SESSION_OPTIONS(predict.wish),
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help)
        printf(
            "\nIMAGE is a PNG or JPEG file, a folder of them, or a pattern. NAME.png holds a class id per\n"
            "pixel, at the picture's size. Pictures of another size than the network's are resized to it\n"
            "(bilinear, antialiased), and the classes back (nearest).\n");
    if (status || call->help) return status;
    if (!call->argc) return rt_fail(err, RT_USAGE, "no pictures given");
    if (!predict.folder) return rt_fail(err, RT_USAGE, "no folder for the results given: add -o DIR");
    status = run_predict(&predict, call, err);
    release(&predict);
    return status;
}
