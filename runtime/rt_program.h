/* Reading a program's image (program.h): lookups and texts. Nothing here allocates or fails; the image is
 * part of the executable and trusted. Thread safe. */
#ifndef RT_PROGRAM_H
#define RT_PROGRAM_H

#include "program.h"

#include <stddef.h>

enum { PROGRAM_SHAPE_TEXT = 160 };

const char *program_text(const ProgramHeader *header, ProgramRef text);
const ProgramTensor *program_tensors(const ProgramHeader *header); /* header->tensors.count */
const ProgramStep *program_steps(const ProgramHeader *header);     /* header->steps.count */
const ProgramClass *program_classes(const ProgramHeader *header);  /* header->classes.count */

/* The tensor of that name and role; NULL if there is none. */
const ProgramTensor *program_find(const ProgramHeader *header, ProgramRole role, const char *name);
int64_t program_elements(const ProgramTensor *tensor);
size_t program_dtype_bytes(unsigned dtype);
/* Writes "f32[1,3,512,1024]" into text, of PROGRAM_SHAPE_TEXT bytes, and returns it. */
char *program_shape(const ProgramTensor *tensor, char *text);

/* The input that pictures are written to: the one of type f32 and shape [N,3,H,W]; NULL unless there is
 * exactly one input and it is that. */
const ProgramTensor *program_picture(const ProgramHeader *header);
/* The output that classes are read from: one of [N,H,W] in i32 or u8 (class ids), "classes" before others;
 * else one of [N,C,H,W] in f32 (scores, to be compared); else NULL. */
const ProgramTensor *program_prediction(const ProgramHeader *header);
/* The output f32[N,C,H,W] that these classes are the greatest of: "classes.scores", or the prediction itself
 * when it is scores; else NULL. */
const ProgramTensor *program_scores(const ProgramHeader *header);

#endif
