/* Event files that TensorBoard reads: scalars over iterations.
 *
 * A file is a sequence of TFRecords: 8 bytes of length, their checksum, the data, its checksum (CRC-32C,
 * masked as TFRecord wants it); the data is an Event in protobuf's wire format. Both are written here by
 * hand: the fields that scalars need are few and their encoding will not change, while
 * the libraries that write them (TensorFlow's, protobuf's) are larger than all of segc, and a program needs
 * libc only.
 *
 *     status = tensorboard_open(&board, "run", 0, &err);
 *     status = tensorboard_scalar(&board, "loss/ce", 20, 1.25f, &err);
 *     tensorboard_close(&board);
 */
#ifndef RT_TENSORBOARD_H
#define RT_TENSORBOARD_H

#include "rt_status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Tensorboard {
    FILE *out;
    char *path;
} Tensorboard;

/* Makes a new file FOLDER/events.out.tfevents.…; iteration > 0: it goes on after that one, and what other
 * files of the folder say of later ones counts no more. RT_BAD_INPUT when it cannot be written there. */
RtStatus tensorboard_open(Tensorboard *board, const char *folder, int64_t iteration, RtError *err);
/* Adds a point to the curve `tag`, UTF-8. RT_MACHINE when it cannot be written. */
RtStatus tensorboard_scalar(Tensorboard *board, const char *tag, int64_t iteration, float value,
                            RtError *err);
/* Harmless for one that is not open, and twice. */
void tensorboard_close(Tensorboard *board);

/* CRC-32C (Castagnoli) of bytes, as in RFC 3720. */
uint32_t tensorboard_crc32c(const void *data, size_t size);

#endif
