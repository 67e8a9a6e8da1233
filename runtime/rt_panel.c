/* See rt_panel.h. */
#include "rt_panel.h"

#include <string.h>

static RtStatus copy_at_size(const RtImage *from, int width, int height, RtImage *to, RtError *err)
{
    if (from->width != width || from->height != height)
        return image_resize_bilinear(from, width, height, to, err);
    RtStatus status = image_new(to, width, height, from->channels, err);
    if (!status) memcpy(to->pixels, from->pixels, (size_t)width * (size_t)height * (size_t)from->channels);
    return status;
}

RtStatus panel_add(Panel *panel, const RtImage *const images[], RtError *err)
{
    if (panel->rows == PANEL_MOST_ROWS) return RT_OK;
    RtImage *row = panel->cells + panel->rows * panel->columns;
    const RtImage *first = panel->rows ? &panel->cells[0] : images[0];
    RtStatus status = RT_OK;
    for (size_t i = 0; i < panel->columns && !status; i++)
        status = copy_at_size(images[i], first->width, first->height, &row[i], err);
    if (!status) {
        panel->rows++;
        return RT_OK;
    }
    for (size_t i = 0; i < panel->columns; i++) image_free(&row[i]);
    return status;
}

RtStatus panel_write(const Panel *panel, const char *path, RtError *err)
{
    const RtImage *cells[PANEL_MOST_ROWS * PANEL_MOST_COLUMNS];
    size_t count = panel->rows * panel->columns;
    RtImage sheet = {0};
    if (!count) return RT_OK;
    for (size_t i = 0; i < count; i++) cells[i] = &panel->cells[i];
    RtStatus status = image_draw_panel(cells, count, panel->columns, &sheet, err);
    if (!status) status = image_write_png(path, sheet.pixels, sheet.width, sheet.height, 3, NULL, err);
    image_free(&sheet);
    return status;
}

void panel_free(Panel *panel)
{
    for (size_t i = 0; i < panel->rows * panel->columns; i++) image_free(&panel->cells[i]);
    panel->rows = 0;
}
