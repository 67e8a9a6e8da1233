/* See rt_blocked.h. */
#include "rt_blocked.h"

#include "rt_program.h"

#include <string.h>

/* One outermost slice: channels of planes, dense or in blocks. */
typedef struct Slice {
    int64_t channels, block, blocks, plane;
} Slice;

static Slice slice_of(const ProgramTensor *tensor)
{
    int64_t block = tensor->block, channels = tensor->dims[1];
    return (Slice){
        .channels = channels,
        .block = block,
        .blocks = (channels + block - 1) / block,
        .plane = tensor->dims[2] * tensor->dims[3],
    };
}

int64_t blocked_elements(const ProgramTensor *tensor)
{
    if (tensor->block <= 1) return program_elements(tensor);
    Slice slice = slice_of(tensor);
    return tensor->dims[0] * slice.blocks * slice.plane * slice.block;
}

/* Where a channel begins in a slice; its elements are `block` apart. */
static int64_t start_of(const Slice *slice, int64_t channel)
{
    return channel / slice->block * slice->plane * slice->block + channel % slice->block;
}

void blocked_from_dense(const ProgramTensor *tensor, const float *dense, float *blocked)
{
    if (tensor->block <= 1) {
        memcpy(blocked, dense, (size_t)program_elements(tensor) * sizeof *dense);
        return;
    }
    const Slice slice = slice_of(tensor);
    memset(blocked, 0, (size_t)blocked_elements(tensor) * sizeof *blocked);
    for (int64_t i = 0; i < tensor->dims[0]; i++) {
        for (int64_t c = 0; c < slice.channels; c++) {
            float *channel = blocked + start_of(&slice, c);
            for (int64_t p = 0; p < slice.plane; p++) channel[p * slice.block] = *dense++;
        }
        blocked += slice.blocks * slice.plane * slice.block;
    }
}

void blocked_to_dense(const ProgramTensor *tensor, const float *blocked, float *dense)
{
    if (tensor->block <= 1) {
        memcpy(dense, blocked, (size_t)program_elements(tensor) * sizeof *dense);
        return;
    }
    const Slice slice = slice_of(tensor);
    for (int64_t i = 0; i < tensor->dims[0]; i++) {
        for (int64_t c = 0; c < slice.channels; c++) {
            const float *channel = blocked + start_of(&slice, c);
            for (int64_t p = 0; p < slice.plane; p++) *dense++ = channel[p * slice.block];
        }
        blocked += slice.blocks * slice.plane * slice.block;
    }
}
