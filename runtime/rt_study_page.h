/* A study as texts: one HTML page that needs nothing else (its charts are SVG, its pictures are inside), and
 * a Markdown table. What runs have as names and texts is escaped. Functions only add to the text; want of
 * memory is the text's (rt_text_out.h). Not thread safe. */
#ifndef RT_STUDY_PAGE_H
#define RT_STUDY_PAGE_H

#include "rt_study_panel.h"
#include "rt_text_out.h"

typedef struct StudyPage {
    Study *study; /* its arena is worked in */
    const StudyPanel *panel;
    const char *no_pictures; /* why the panel has none; "" when it has */
    int threads;             /* that the latency was measured with */
} StudyPage;

void study_page(const StudyPage *page, TextOut *out);
/* The sections of results and of IoU per class. */
void study_page_tables(const StudyPage *page, TextOut *out);
/* A run's folder, as the page shows it. */
void study_page_folder(const StudyRun *run, TextOut *out);
/* The section of curves: mIoU, each term of the losses, each player's learning rate. */
void study_page_charts(Study *study, TextOut *out);
/* A row per run, and of each group of several their mean and deviation. */
void study_markdown(const Study *study, TextOut *out);

#endif
