/* What a program says of a data set, made from the text of its YAML file as segc makes it. Whatever is wrong
 * with the text fails the test. */
#ifndef DATA_IMAGE_H
#define DATA_IMAGE_H

#include "../../compiler/arena.h"
#include "../../runtime/program.h"

/* 4 classes (sky grey, road purple, tree green, car blue) in the encodings
 *   train_ids   the ids themselves
 *   raw         ids 10: road, 11: road, 20: car, 21: tree; 0 and 5 are void
 *   colors      of the classes; black is void
 *   paint       colours #ffffff: sky, #ff0000: road
 * and the layouts of DATA_IMAGE_LAYOUTS. */
#define DATA_IMAGE_YAML                                                                                      \
    "segc: 1\ndata: town\nclasses:\n  - {name: sky, color: [128, 128, 128]}\n"                               \
    "  - {name: road, color: [128, 64, 128]}\n  - {name: tree, color: [0, 128, 0]}\n"                        \
    "  - {name: car, color: [0, 0, 142]}\nignore_index: 255\nencodings:\n  train_ids: {kind: ids}\n"         \
    "  raw: {kind: ids, map: {10: 1, 11: 1, 20: 3, 21: 2}, void: [0, 5]}\n"                                  \
    "  colors: {kind: colors, void: [[0, 0, 0]]}\n"                                                          \
    "  paint: {kind: colors, map: {'#ffffff': 0, '#ff0000': 1}}\n" DATA_IMAGE_LAYOUTS
#define DATA_IMAGE_LAYOUTS                                                                                   \
    "layouts:\n  official:\n    image: 'photos/{split}/{city}/{name}_photo.png'\n"                           \
    "    label: 'fine/{split}/{city}/{name}_raw.png'\n    encoding: raw\n"                                   \
    "  flat: {image: 'i/{split}/{name}.png', label: 'l/{split}/{name}.png', encoding: train_ids}\n"

const ProgramHeader *data_image(Arena *arena, const char *yaml);
/* Of a file. */
const ProgramHeader *data_image_of(Arena *arena, const char *path);

#endif
