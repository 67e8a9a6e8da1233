/* See rt_program.h. */
#include "rt_program.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *program_text(const ProgramHeader *header, ProgramRef text)
{
    return PROGRAM_TEXT(header, text);
}

const ProgramTensor *program_tensors(const ProgramHeader *header)
{
    return PROGRAM_ARRAY(header, ProgramTensor, header->tensors);
}

const ProgramStep *program_steps(const ProgramHeader *header)
{
    return PROGRAM_ARRAY(header, ProgramStep, header->steps);
}

const ProgramClass *program_classes(const ProgramHeader *header)
{
    return PROGRAM_ARRAY(header, ProgramClass, header->classes);
}

const ProgramTensor *program_find(const ProgramHeader *header, ProgramRole role, const char *name)
{
    const ProgramTensor *tensors = program_tensors(header);
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        if (tensors[i].role == role && !strcmp(program_text(header, tensors[i].name), name))
            return &tensors[i];
    }
    return NULL;
}

int64_t program_elements(const ProgramTensor *tensor)
{
    int64_t elements = 1;
    for (int i = 0; i < tensor->rank; i++) elements *= tensor->dims[i];
    return elements;
}

size_t program_dtype_bytes(unsigned dtype)
{
    return dtype == DTYPE_U8 ? 1 : 4;
}

char *program_shape(const ProgramTensor *tensor, char *text)
{
    static const char *const names[] = {[DTYPE_F32] = "f32", [DTYPE_I32] = "i32", [DTYPE_U8] = "u8"};
    int used = snprintf(text, PROGRAM_SHAPE_TEXT, "%s[", names[tensor->dtype]);
    for (int i = 0; i < tensor->rank; i++)
        used += snprintf(text + used, (size_t)(PROGRAM_SHAPE_TEXT - used), "%s%lld", i ? "," : "",
                         (long long)tensor->dims[i]);
    snprintf(text + used, (size_t)(PROGRAM_SHAPE_TEXT - used), "]");
    return text;
}

const ProgramTensor *program_picture(const ProgramHeader *header)
{
    const ProgramTensor *tensors = program_tensors(header), *picture = NULL;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        if (tensors[i].role != ROLE_INPUT) continue;
        if (picture || tensors[i].dtype != DTYPE_F32 || tensors[i].rank != 4 || tensors[i].dims[1] != 3)
            return NULL;
        picture = &tensors[i];
    }
    return picture;
}

const ProgramTensor *program_prediction(const ProgramHeader *header)
{
    const ProgramTensor *tensors = program_tensors(header), *ids = NULL, *scores = NULL;
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &tensors[i];
        if (tensor->role != ROLE_OUTPUT) continue;
        bool named = !strcmp(program_text(header, tensor->name), "classes");
        if (tensor->dtype != DTYPE_F32 && tensor->rank == 3 && (!ids || named)) ids = tensor;
        if (tensor->dtype == DTYPE_F32 && tensor->rank == 4 && !scores) scores = tensor;
    }
    return ids ? ids : scores;
}

const ProgramTensor *program_scores(const ProgramHeader *header)
{
    const ProgramTensor *scores = program_find(header, ROLE_OUTPUT, "classes.scores");
    if (!scores) scores = program_prediction(header);
    return scores && scores->dtype == DTYPE_F32 && scores->rank == 4 ? scores : NULL;
}
