/* What rt_weights.c and the formats behind it share; users of weights include rt_weights.h alone.
 *
 * A format's reader is handed the whole file in memory. It adds tensors with weights_add, which does the
 * checks that all formats need, and otherwise only says what is wrong; opening, names, lookup and freeing are
 * rt_weights.c's. Everything a reader allocates comes from one of two arenas: `inside->kept` for what the
 * open file needs, and one of its own for what it needs while reading.
 */
#ifndef RT_WEIGHTS_FORMAT_H
#define RT_WEIGHTS_FORMAT_H

#include "rt_arena.h"
#include "rt_weights.h"

/* No description of tensors, however many, is this large: see rt_arena.h. */
#define WEIGHTS_ARENA_LIMIT ((size_t)512 << 20)

typedef struct WeightsInside {
    RtArena kept;
    const unsigned char *data; /* the whole file */
    size_t size;
    bool mapped;      /* data is ours to unmap */
    size_t *by_name;  /* indices of tensors, sorted by name; those outside after their namesake */
    size_t capacity;  /* of tensors */
    size_t text_room; /* of metadata */
} WeightsInside;

/* Adds a tensor whose elements lie within room bytes from tensor->data; strides must be set; count is
 * computed here. The name is copied. */
RtStatus weights_add(WeightsFile *file, const WeightTensor *tensor, uint64_t room, RtError *err);
RtStatus weights_add_metadata(WeightsFile *file, const char *key, const char *value, RtError *err);

/* Product of dims; false if one is negative or it has no room in 2^63 bytes. */
bool weights_element_count(const int64_t *dims, int rank, int64_t *count);
/* Strides of a dense row-major tensor of those dims. */
void weights_row_major(const int64_t *dims, int rank, int64_t *strides);

/* How many chars fit "[16,3,3,3]". */
enum { WEIGHTS_SHAPE_TEXT = WEIGHTS_MAX_RANK * 21 + 3 };
const char *weights_shape_text(const int64_t *dims, int rank, char *text);

/* Whether the bytes begin as the format does. */
bool rt_safetensors_is(const unsigned char *data, size_t size);
bool rt_pth_is_zip(const unsigned char *data, size_t size);
bool rt_pth_is_stream(const unsigned char *data, size_t size);
RtStatus rt_safetensors_read(WeightsFile *file, RtError *err);
RtStatus rt_pth_read_zip(WeightsFile *file, RtError *err);
RtStatus rt_pth_read_stream(WeightsFile *file, RtError *err);

#endif
