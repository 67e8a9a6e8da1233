/* Trying the runs of a study out: each run's weights through one session of the program that makes the
 * report. How long an image takes, and what the runs make of the same few pictures.
 *
 *     StudyPanel panel = {0};
 *     status = study_panel_open(&panel, header, "builtin:camera:20", 4, &err);
 *     for (size_t i = 0; i < study.run_count && !status; i++)
 *         status = study_panel_try(&panel, session, &study.runs[i], &err);
 *     study_panel_close(&panel);
 *
 * A panel owns its pictures; the predictions become the runs', to be freed by study_panel_forget. One thread.
 */
#ifndef RT_STUDY_PANEL_H
#define RT_STUDY_PANEL_H

#include "rt_data.h"
#include "rt_study.h"
#include "segrt.h"

enum {
    STUDY_MOST_PICTURES = 16,
    STUDY_PICTURE_SIDE = 480, /* pixels; larger ones are shown smaller */
    STUDY_WARM_UP = 3,        /* runs before those that are timed */
};

typedef struct StudyPicture {
    char name[200];
    RtImage image;          /* at its own size */
    int width, height;      /* as shown */
    RtEncoded shown, truth; /* PNG; truth empty: no labels */
} StudyPicture;

typedef struct StudyPanel {
    const char *spec;
    size_t count;
    StudyPicture pictures[STUDY_MOST_PICTURES];
    const ProgramHeader *header;
    RtPalette palette;
    double seconds_per_image; /* measured once, by the first run that fits; 0 before */
    int64_t timed;            /* runs that this is the mean of */
} StudyPanel;

/* Takes `count` pictures (or all, if there are fewer) spread evenly over the set. Fails as data_open_for,
 * picture_check and data_read do; closed is what is open then. */
RtStatus study_panel_open(StudyPanel *panel, const ProgramHeader *header, const char *spec, size_t count,
                          RtError *err);
void study_panel_close(StudyPanel *panel);

/* Loads the run's best weights, or its last, and fills what StudyRun says; of a panel without pictures only
 * the numbers. Weights that are not there or fit another network are no failure: run->why_not says so.
 * RT_MACHINE, RT_BUG. */
RtStatus study_panel_try(StudyPanel *panel, SegrtSession *session, StudyRun *run, RtError *err);
/* Frees a run's predictions. */
void study_panel_forget(const StudyPanel *panel, StudyRun *run);

#endif
