/* See rt_encoding.h. Colours are found by a hash table of 1024 places that is made for each picture: a table
 * of 34 colours costs less than a row of pixels, and nothing has to be kept or shared. Runs of one colour,
 * which labels are made of, don't even ask it. */
#include "rt_encoding.h"

#include "rt_picture.h"
#include "rt_program.h"

#include <stdio.h>
#include <string.h>

int encoding_classes(const ProgramHeader *program)
{
    if (program->classes.count) return (int)program->classes.count;
    const ProgramTensor *prediction = program_prediction(program);
    int64_t classes = prediction && prediction->rank == 4 ? prediction->dims[1] : PICTURE_MAX_CLASSES;
    return classes < PICTURE_MAX_CLASSES ? (int)classes : PICTURE_MAX_CLASSES;
}

unsigned char encoding_ignore(const ProgramHeader *program)
{
    bool fits = program->ignore_index >= 0 && program->ignore_index <= 255;
    return fits ? (unsigned char)program->ignore_index : 255;
}

Encoding encoding_plain(const ProgramHeader *program)
{
    Encoding encoding = {.program = program,
                         .data = "",
                         .name = "train_ids",
                         .classes = program ? encoding_classes(program) : 255,
                         .ignore = program ? encoding_ignore(program) : 255};
    for (int id = 0; id < 256; id++)
        encoding.map[id] = (uint16_t)(id < encoding.classes ? id : PROGRAM_UNKNOWN);
    encoding.map[encoding.ignore] = PROGRAM_VOID;
    return encoding;
}

/* ---- finding ---------------------------------------------------------------------------------------------
 */

static const ProgramDataSet *data_sets(const ProgramHeader *program)
{
    return PROGRAM_ARRAY(program, ProgramDataSet, program->data_sets);
}

Encoding encoding_of(const ProgramHeader *program, const ProgramDataSet *set, const ProgramEncoding *from)
{
    Encoding encoding = {.program = program,
                         .data = program_text(program, set->name),
                         .name = program_text(program, from->name),
                         .by_color = from->by_color,
                         .classes = encoding_classes(program),
                         .ignore = encoding_ignore(program),
                         .colors = PROGRAM_ARRAY(program, ProgramColor, from->colors),
                         .color_count = from->colors.count};
    memcpy(encoding.map, from->map, sizeof encoding.map);
    return encoding;
}

/* Whether name is this encoding's, with or without its data set's before it. */
static bool has_name(const ProgramHeader *program, const ProgramDataSet *set, const ProgramEncoding *encoding,
                     const char *name)
{
    const char *own = program_text(program, encoding->name);
    size_t length = set->name.count;
    if (!strcmp(own, name)) return true;
    return !strncmp(name, program_text(program, set->name), length) && name[length] == '.' &&
           !strcmp(name + length + 1, own);
}

/* The first encoding that wanted accepts. */
static bool find(const ProgramHeader *program, const char *name, Encoding *encoding)
{
    for (uint32_t i = 0; program && i < program->data_sets.count; i++) {
        const ProgramDataSet *set = &data_sets(program)[i];
        const ProgramEncoding *all = PROGRAM_ARRAY(program, ProgramEncoding, set->encodings);
        for (uint32_t k = 0; k < set->encodings.count; k++) {
            if (name ? !has_name(program, set, &all[k], name) : !all[k].by_color) continue;
            *encoding = encoding_of(program, set, &all[k]);
            return true;
        }
    }
    return false;
}

bool encoding_first_colors(const ProgramHeader *program, Encoding *encoding)
{
    return find(program, NULL, encoding);
}

char *encoding_names(const ProgramHeader *program, char *text, size_t size)
{
    size_t used = 0;
    *text = 0;
    for (uint32_t i = 0; program && i < program->data_sets.count; i++) {
        const ProgramDataSet *set = &data_sets(program)[i];
        const ProgramEncoding *all = PROGRAM_ARRAY(program, ProgramEncoding, set->encodings);
        for (uint32_t k = 0; k < set->encodings.count && used < size; k++)
            used += (size_t)snprintf(text + used, size - used, "%s%s.%s", used ? ", " : "",
                                     program_text(program, set->name), program_text(program, all[k].name));
    }
    if (!*text) snprintf(text, size, "train_ids");
    return text;
}

RtStatus encoding_find(const ProgramHeader *program, const char *name, Encoding *encoding, RtError *err)
{
    if (find(program, name, encoding)) return RT_OK;
    if (!strcmp(name, "train_ids")) {
        *encoding = encoding_plain(program);
        return RT_OK;
    }
    char names[600];
    return rt_fail(err, RT_USAGE, "there is no encoding '%.100s' of labels; there are: %s", name,
                   encoding_names(program, names, sizeof names));
}

/* ---- mapping ---------------------------------------------------------------------------------------------
 */

enum { PLACES = 1024, NO_COLOR = 1 << 24 };

typedef struct ColorTable {
    uint32_t color[PLACES]; /* red << 16 | green << 8 | blue, NO_COLOR: a free place */
    uint16_t meaning[PLACES];
} ColorTable;

static uint32_t pack_color(const unsigned char rgb[3])
{
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

/* The place of a color, or the free one where it would be. */
static unsigned place_of(const ColorTable *table, uint32_t color)
{
    unsigned place = (color * 0x9e3779b1u) >> 22;
    while (table->color[place] != color && table->color[place] != NO_COLOR) place = (place + 1) % PLACES;
    return place;
}

/* At most 512 colours: the compiler sees to it. */
static void make_table(const Encoding *encoding, ColorTable *table)
{
    for (int i = 0; i < PLACES; i++) table->color[i] = NO_COLOR;
    for (size_t i = 0; i < encoding->color_count; i++) {
        uint32_t color = pack_color(encoding->colors[i].rgb);
        unsigned place = place_of(table, color);
        table->color[place] = color;
        table->meaning[place] = (uint16_t)encoding->colors[i].id;
    }
}

static uint16_t look_up(const ColorTable *table, uint32_t color)
{
    unsigned place = place_of(table, color);
    return table->color[place] == color ? table->meaning[place] : PROGRAM_UNKNOWN;
}

unsigned encoding_meaning(const Encoding *encoding, uint32_t value)
{
    if (!encoding->by_color) return value < 256 ? encoding->map[value] : PROGRAM_UNKNOWN;
    for (size_t i = 0; i < encoding->color_count; i++)
        if (pack_color(encoding->colors[i].rgb) == value) return encoding->colors[i].id;
    return PROGRAM_UNKNOWN;
}

/* Writes what a meaning stands for; returns 1 for an unknown one. */
static int put(const Encoding *encoding, unsigned meaning, unsigned char *class)
{
    *class = meaning < PROGRAM_VOID ? (unsigned char)meaning : encoding->ignore;
    return meaning == PROGRAM_UNKNOWN;
}

static void map_ids(const Encoding *encoding, RtLabels *labels, const uint16_t meanings[256], size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        unsigned id = labels->ids[i], meaning = id < 256 ? meanings[id] : PROGRAM_UNKNOWN;
        labels->unknown += put(encoding, meaning, &labels->classes[i]);
    }
}

static void map_colors(const Encoding *encoding, RtLabels *labels, const ColorTable *table, size_t pixels)
{
    uint32_t last = NO_COLOR;
    unsigned meaning = 0;
    for (size_t i = 0; i < pixels; i++) {
        uint32_t color = pack_color(&labels->colors[3 * i]);
        if (color != last) meaning = look_up(table, color);
        last = color;
        labels->unknown += put(encoding, meaning, &labels->classes[i]);
    }
}

static void map_pixels(const Encoding *encoding, RtLabels *labels, size_t pixels)
{
    ColorTable table;
    if (!encoding->by_color) {
        map_ids(encoding, labels, encoding->map, pixels);
        return;
    }
    make_table(encoding, &table);
    if (labels->colors) {
        map_colors(encoding, labels, &table, pixels);
        return;
    }
    uint16_t meanings[256];
    for (int i = 0; i < 256; i++)
        meanings[i] = look_up(&table, pack_color(labels->palette.rgb[i])); /* black past its end */
    map_ids(encoding, labels, meanings, pixels);
}

RtStatus encoding_fits(const Encoding *encoding, const char *name, const RtLabels *labels, RtError *err)
{
    bool rgb = labels->colors, grey = labels->ids && !labels->palette.count;
    if (encoding->by_color ? !grey : !rgb) return RT_OK;
    char names[400];
    const char *what = rgb ? "labels as RGB colours" : "labels in grey";
    const char *wanted =
        rgb ? "a grey or palette PNG of class ids" : "an RGB or palette PNG of class colours";
    return rt_fail(err, RT_USAGE, "%s: %s; %s%s%s expects %s (,encoding=NAME chooses among %s)", name, what,
                   encoding->data, *encoding->data ? "." : "", encoding->name, wanted,
                   encoding_names(encoding->program, names, sizeof names));
}

RtStatus encoding_map(const Encoding *encoding, const char *name, RtLabels *labels, RtError *err)
{
    RtStatus status = encoding_fits(encoding, name, labels, err);
    if (status) return status;
    size_t pixels = (size_t)labels->width * (size_t)labels->height;
    labels->classes = rt_alloc(pixels);
    if (!labels->classes)
        return rt_fail(err, RT_MACHINE, "%s: no memory for %dx%d classes", name, labels->width,
                       labels->height);
    labels->unknown = 0;
    labels->by_color = encoding->by_color;
    map_pixels(encoding, labels, pixels);
    rt_free(labels->ids);
    rt_free(labels->colors);
    labels->ids = NULL;
    labels->colors = NULL;
    return RT_OK;
}
