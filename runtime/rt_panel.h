/* A sheet that shows results side by side: a row per picture, columns of one kind each (the picture, the
 * truth, the prediction). All cells have the size of the first; others are resized to it. At most
 * PANEL_MOST_ROWS rows are kept, so that a long run does not fill the memory; later ones are left out.
 *
 * A Panel owns copies of its images; release with panel_free. Not thread safe.
 *
 *     Panel panel = {.columns = 2};
 *     status = panel_add(&panel, (const RtImage *[]){&picture, &colors}, &err);
 *     if (!status) status = panel_write(&panel, "panel.png", &err);
 *     panel_free(&panel);
 */
#ifndef RT_PANEL_H
#define RT_PANEL_H

#include "rt_image.h"

enum { PANEL_MOST_ROWS = 32, PANEL_MOST_COLUMNS = 4 };

typedef struct Panel {
    size_t columns, rows;
    RtImage cells[PANEL_MOST_ROWS * PANEL_MOST_COLUMNS];
} Panel;

/* Adds a row of as many RGB images as there are columns. RT_MACHINE without memory. */
RtStatus panel_add(Panel *panel, const RtImage *const images[], RtError *err);
/* RT_BAD_INPUT when the sheet is larger than a picture may be; errors of writing; nothing when there is no
 * row. */
RtStatus panel_write(const Panel *panel, const char *path, RtError *err);
void panel_free(Panel *panel);

#endif
