/* See rt_study_panel.h. */
#define _GNU_SOURCE
#include "rt_study_panel.h"

#include "rt_batch.h"
#include "rt_bench.h"
#include "rt_output.h"
#include "rt_parameters.h"
#include "rt_picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- pictures ---- */

static void choose_size(StudyPicture *picture)
{
    const RtImage *image = &picture->image;
    int longer = image->width > image->height ? image->width : image->height;
    double scale = longer > STUDY_PICTURE_SIDE ? (double)STUDY_PICTURE_SIDE / longer : 1;
    picture->width = (int)fmax(1, round(image->width * scale));
    picture->height = (int)fmax(1, round(image->height * scale));
}

static RtStatus encode_image(StudyPicture *picture, RtError *err)
{
    const RtImage *image = &picture->image;
    if (image->width == picture->width && image->height == picture->height)
        return rt_png_encode(picture->name, image, NULL, &picture->shown, err);
    RtImage small = {0};
    RtStatus status = image_resize_bilinear(image, picture->width, picture->height, &small, err);
    if (!status) status = rt_png_encode(picture->name, &small, NULL, &picture->shown, err);
    image_free(&small);
    return status;
}

static RtStatus encode_truth(const StudyPanel *panel, StudyPicture *picture, const RtLabels *labels,
                             RtError *err)
{
    const RtImage classes = {labels->width, labels->height, 1, labels->classes};
    RtImage small = {0};
    RtStatus status = image_resize_nearest(&classes, picture->width, picture->height, &small, err);
    if (!status) status = rt_png_encode(picture->name, &small, &panel->palette, &picture->truth, err);
    image_free(&small);
    return status;
}

static RtStatus read_picture(StudyPanel *panel, const DataSet *set, size_t item, RtError *err)
{
    StudyPicture *picture = &panel->pictures[panel->count];
    RtLabels labels = {0};
    RtStatus status = data_read(set, item, &picture->image, set->labelled ? &labels : NULL, err);
    if (status) return status;
    panel->count++;
    const char *slash = strrchr(set->pairs[item].image, '/');
    snprintf(picture->name, sizeof picture->name, "%s", slash ? slash + 1 : set->pairs[item].image);
    choose_size(picture);
    status = encode_image(picture, err);
    if (!status && labels.classes) status = encode_truth(panel, picture, &labels, err);
    image_labels_free(&labels);
    return status;
}

RtStatus study_panel_open(StudyPanel *panel, const ProgramHeader *header, const char *spec, size_t count,
                          RtError *err)
{
    DataSet set = {0};
    *panel = (StudyPanel){.spec = spec, .header = header};
    RtStatus status = picture_check(header, err);
    if (status) return status;
    panel->palette = picture_palette(header);
    status = data_open_for(header, spec, &set, err);
    data_default_size(&set, (int)header->width, (int)header->height);
    if (count > set.count) count = set.count;
    if (count > STUDY_MOST_PICTURES) count = STUDY_MOST_PICTURES;
    for (size_t i = 0; i < count && !status; i++)
        status = read_picture(panel, &set, set.count * (2 * i + 1) / (2 * count), err);
    data_close(&set);
    return status;
}

void study_panel_close(StudyPanel *panel)
{
    for (size_t i = 0; i < panel->count; i++) {
        image_free(&panel->pictures[i].image);
        rt_free(panel->pictures[i].shown.data);
        rt_free(panel->pictures[i].truth.data);
    }
    panel->count = 0;
}

/* ---- runs ---- */

static RtStatus measure(StudyPanel *panel, SegrtSession *session, RtError *err)
{
    double seconds = 0, sum = 0;
    RtStatus status = RT_OK;
    for (int i = 0; i < STUDY_WARM_UP && !status; i++) status = bench_run(session, &seconds, err);
    panel->timed = bench_choose_runs(seconds);
    for (int64_t i = 0; i < panel->timed && !status; i++) {
        status = bench_run(session, &seconds, err);
        sum += seconds;
    }
    panel->seconds_per_image = sum / (double)panel->timed / (double)panel->header->batch;
    return status;
}

/* What was measured is the program's that makes the report: true of runs of the same network and size. */
static bool is_same_work(const StudyPanel *panel, const RunLog *log)
{
    const ProgramHeader *header = panel->header;
    return log->multiply_adds == (double)header->multiply_adds && log->height == (double)header->height &&
           log->width == (double)header->width;
}

typedef struct Trial {
    const StudyPanel *panel;
    SegrtSession *session;
    StudyRun *run;
} Trial;

static RtStatus keep(void *context, size_t item, int64_t slot, RtError *err)
{
    Trial *trial = context;
    const StudyPicture *picture = &trial->panel->pictures[item];
    RtImage classes = {0};
    RtStatus status =
        picture_classes_at(trial->session, slot, picture->width, picture->height, &classes, err);
    if (!status)
        status =
            rt_png_encode(picture->name, &classes, &trial->panel->palette, &trial->run->pictures[item], err);
    image_free(&classes);
    return status;
}

static RtStatus predict(Trial *trial, RtError *err)
{
    const StudyPanel *panel = trial->panel;
    trial->run->pictures = rt_alloc(panel->count * sizeof *trial->run->pictures);
    if (!trial->run->pictures) return rt_fail(err, RT_MACHINE, "no memory for %zu pictures", panel->count);
    Batch batch;
    RtStatus status = batch_open(&batch, trial->session, keep, trial, err);
    if (status) return status;
    for (size_t i = 0; i < panel->count && !status; i++)
        status = batch_add(&batch, i, &panel->pictures[i].image, err);
    if (!status) status = batch_flush(&batch, err);
    batch_close(&batch);
    return status;
}

/* The message in one line, up to the first thing that it lists. */
static void say_why_not(StudyRun *run, const char *text)
{
    enum { LINES = 3 }; /* what is wrong, in what way, the first tensor */
    size_t used = 0;
    for (int i = 0; i < LINES && *text && used < sizeof run->why_not; i++) {
        const size_t length = strcspn(text, "\n");
        used += (size_t)snprintf(run->why_not + used, sizeof run->why_not - used, "%s%.*s",
                                 !i                              ? ""
                                 : run->why_not[used - 1] == ':' ? " "
                                                                 : "; ",
                                 (int)length, text);
        text += length;
        text += strspn(text, "\n ");
    }
}

/* Weights of a network that is not this program's: RT_OK, and why_not. */
static RtStatus load(SegrtSession *session, StudyRun *run, RtError *err)
{
    char *best = output_path(run->log.folder, "best", ".safetensors");
    char *last = output_path(run->log.folder, "last", ".safetensors");
    ParametersFound *found = rt_alloc(sizeof *found);
    RtStatus status = RT_OK;
    RtError failure = {0};
    if (!best || !last || !found)
        status = rt_fail(&failure, RT_MACHINE, "no memory to compare weights");
    else if (access(best, F_OK) && access(last, F_OK))
        snprintf(run->why_not, sizeof run->why_not, "its folder holds no weights");
    else
        status = parameters_load(session, access(best, F_OK) ? last : best, 0, found, &failure);
    if (status == RT_BAD_INPUT) {
        say_why_not(run, failure.text);
        status = RT_OK;
    }
    rt_free(best);
    rt_free(last);
    rt_free(found);
    if (status && err) *err = failure;
    return status;
}

RtStatus study_panel_try(StudyPanel *panel, SegrtSession *session, StudyRun *run, RtError *err)
{
    RtStatus status = load(session, run, err);
    if (status || *run->why_not) return status;
    if (panel->seconds_per_image <= 0) status = measure(panel, session, err);
    if (!status && is_same_work(panel, &run->log)) {
        run->seconds_per_image = panel->seconds_per_image;
        run->predicting_bytes = (double)segrt_memory(session).planned;
    }
    if (status || !panel->count) return status;
    return predict(&(Trial){panel, session, run}, err);
}

void study_panel_forget(const StudyPanel *panel, StudyRun *run)
{
    for (size_t i = 0; run->pictures && i < panel->count; i++) rt_free(run->pictures[i].data);
    rt_free(run->pictures);
    run->pictures = NULL;
}
