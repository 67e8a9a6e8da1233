/* `PROG report`: runs side by side, as a page and as a table. Weights that fit this program are tried out on
 * it; of the other runs the log alone speaks. */
#include "rt_output.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_study_page.h"
#include "rt_verbs.h"

#include <stdio.h>

enum { PICTURES = 4 };

typedef struct ReportVerb {
    const VerbCall *call;
    VerbSession wish;
    const char *folder, *spec;
    int64_t pictures;
    Study study;
    StudyPanel panel;
    RtError no_pictures;
    SegrtSession *session;
    Progress progress;
} ReportVerb;

/* What was given, or else the first run's validation set. */
static const char *choose_data(const ReportVerb *verb)
{
    if (verb->spec) return verb->spec;
    for (size_t i = 0; i < verb->study.run_count; i++) {
        if (*verb->study.runs[i].log.validation) return verb->study.runs[i].log.validation;
    }
    return NULL;
}

/* Data that the user named must be there; those of a log may be gone by now. */
static RtStatus open_panel(ReportVerb *verb, RtError *err)
{
    const char *spec = choose_data(verb);
    verb->panel.header = verb->call->program->header;
    if (!verb->pictures || !spec) {
        snprintf(verb->no_pictures.text, sizeof verb->no_pictures.text, "%s",
                 spec ? "none were asked for" : "no run was validated, and no --data given");
        return RT_OK;
    }
    RtStatus status = study_panel_open(&verb->panel, verb->call->program->header, spec,
                                       (size_t)verb->pictures, &verb->no_pictures);
    if (!status) return RT_OK;
    study_panel_close(&verb->panel);
    if (verb->spec || status == RT_MACHINE || status == RT_BUG) {
        *err = verb->no_pictures;
        return status;
    }
    progress_note(&verb->progress, "%s: warning: no pictures: %s", verb->call->command,
                  verb->no_pictures.text);
    return RT_OK;
}

static RtStatus try_runs(ReportVerb *verb, RtError *err)
{
    RtStatus status = RT_OK;
    progress_start(&verb->progress, stderr, (int64_t)verb->study.run_count);
    for (size_t i = 0; i < verb->study.run_count && !status && !verb_interrupted(); i++) {
        StudyRun *run = &verb->study.runs[i];
        status = study_panel_try(&verb->panel, verb->session, run, err);
        progress_step(&verb->progress, "%s", run->log.folder);
        if (*run->why_not) progress_note(&verb->progress, "%s: %s", run->log.folder, run->why_not);
        for (size_t n = 0; n < run->log.note_count; n++)
            progress_note(&verb->progress, "%s: note: %s", run->log.folder, run->log.notes[n]);
    }
    progress_end(&verb->progress);
    return status;
}

static RtStatus write_text(const ReportVerb *verb, const char *suffix, const TextOut *out, RtError *err)
{
    char *path = output_path(verb->folder, "report", suffix);
    RtStatus status =
        path ? text_out_write(out, path, err) : rt_fail(err, RT_MACHINE, "no memory for a path");
    if (!status) printf("%s\n", path);
    rt_free(path);
    return status;
}

static RtStatus write_report(ReportVerb *verb, RtError *err)
{
    TextOut html = {0}, table = {0};
    const StudyPage page = {.study = &verb->study,
                            .panel = &verb->panel,
                            .no_pictures = verb->no_pictures.text,
                            .threads = segrt_threads(verb->session)};
    study_page(&page, &html);
    study_markdown(&verb->study, &table);
    RtStatus status = output_folder(verb->folder, err);
    if (!status) status = write_text(verb, ".html", &html, err);
    if (!status) status = write_text(verb, ".md", &table, err);
    text_out_free(&html);
    text_out_free(&table);
    return status;
}

static RtStatus run_report(ReportVerb *verb, RtError *err)
{
    progress_start(&verb->progress, stderr, 0);
    RtStatus status = study_open(&verb->study, verb->call->argv, (size_t)verb->call->argc, err);
    if (!status) status = verb_open(verb->call, &verb->wish, &verb->session, err);
    if (!status) status = open_panel(verb, err);
    if (status) return status;
    verb_catch_interrupts();
    status = try_runs(verb, err);
    return status || verb_interrupted() ? status : write_report(verb, err);
}

static void release(ReportVerb *verb)
{
    for (size_t i = 0; i < verb->study.run_count; i++) study_panel_forget(&verb->panel, &verb->study.runs[i]);
    study_panel_close(&verb->panel);
    study_close(&verb->study);
    segrt_close(verb->session);
    rt_free(verb);
}

RtStatus verb_report(VerbCall *call, RtError *err)
{
    ReportVerb *verb = rt_alloc(sizeof *verb);
    if (!verb) return rt_fail(err, RT_MACHINE, "no memory for a report");
    verb->call = call;
    verb->folder = "report";
    verb->pictures = PICTURES;
    verb->wish.random_is_fine = true;
    const Option options[] = {
        {"--out", 'o', OPTION_TEXT, &verb->folder, "DIR", "folder for report.html and report.md (report)", 0},
        {"--data", 0, OPTION_TEXT, &verb->spec, "SPEC", "pictures to predict (the runs' validation set)", 0},
        {"--pictures", 0, OPTION_COUNT, &verb->pictures, "N", "how many of them (4, at most 16)", 0},
        {"--threads", 0, OPTION_COUNT, &verb->wish.threads, "T",
         "threads to use (SEGRT_THREADS, or all processors)", 1},
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (call->help) {
        verb_explain_data();
        printf("RUN is a folder that `train --out RUN` made, by this program or another. Runs that differ in "
               "their\n"
               "seed alone are shown as one experiment.\n");
    }
    if (!status && !call->help) {
        if (!call->argc) status = rt_fail(err, RT_USAGE, "no runs given");
        if (!status && verb->pictures > STUDY_MOST_PICTURES)
            status = rt_fail(err, RT_USAGE, "--pictures %lld: at most %d", (long long)verb->pictures,
                             STUDY_MOST_PICTURES);
        if (!status) status = run_report(verb, err);
    }
    release(verb);
    return status;
}
