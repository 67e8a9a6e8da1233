/* Data sets as the files of graphs/data describe them: the classes, how label files say them (encodings), and
 * where pictures and labels are (layouts). graphs/README.md is the manual; runtime/rt_encoding.h and
 * rt_data.h say what is done with them. Everything is in the arena.
 */
#ifndef MODEL_DATA_H
#define MODEL_DATA_H

#include "diag.h"
#include <stdint.h>

typedef struct ModelClass {
    const char *name;
    uint8_t color[3]; /* RGB */
    bool ignored;     /* a void output class */
} ModelClass;

/* Beside classes 0..255: on purpose no class; not said what it is. */
enum { MODEL_VOID = 256, MODEL_UNKNOWN = 257 };

typedef struct ModelColor {
    uint8_t rgb[3];
    uint16_t id; /* a class or MODEL_VOID */
    Pos pos;
} ModelColor;

typedef struct ModelEncoding {
    const char *name;
    bool by_color;
    uint16_t map[256];  /* of ids: what each stored value means */
    ModelColor *colors; /* of colours: no two alike */
    int n_colors, cap_colors;
} ModelEncoding;

typedef struct ModelLayout {
    const char *name, *image, *label; /* patterns */
    int encoding;                     /* place among the encodings */
} ModelLayout;

typedef struct ModelData {
    const char *name, *path;
    ModelClass *classes;
    int n_classes;
    int64_t ignore_index; /* 0..255; 255 unless said */
    ModelEncoding *encodings;
    int n_encodings;
    ModelLayout *layouts;
    int n_layouts;
} ModelData;

/* The data set of a file; NULL after reporting. graph_dirs: as in ModelOptions. */
const ModelData *model_data_load(Arena *arena, Diag *diag, const char *path, const char *const *graph_dirs);

#endif
