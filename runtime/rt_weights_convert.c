/* Elements of a weight file to floats; see weights_read_f32 in rt_weights.h.
 *
 * A tensor is read in runs: a dense one is a single run, a strided one a run per row of its innermost
 * dimension. Elements are at any byte address (old .pth files align nothing), hence the memcpy, which
 * compiles to a plain load. The machine is little-endian, as every target of the compiler is. */
#include "rt_weights_format.h"

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are loaded as little-endian");

/* count elements, step bytes apart; big: their bytes are in the other order. */
typedef void ConvertFn(const unsigned char *from, size_t step, size_t count, bool big, float *to);

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return from_bits(sign | 0x7f800000 | fraction << 13); /* infinity, NaN */
    if (exponent) return from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    const float small = (float)fraction * 0x1p-24f; /* zero, subnormal: exact in float */
    return sign ? -small : small;
}

static float from_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

static uint8_t swap8(uint8_t bits)
{
    return bits;
}

static uint16_t swap16(uint16_t bits)
{
    return __builtin_bswap16(bits);
}

static uint32_t swap32(uint32_t bits)
{
    return __builtin_bswap32(bits);
}

static uint64_t swap64(uint64_t bits)
{
    return __builtin_bswap64(bits);
}

#define CONVERT(name, width, value)                                                                          \
    static void name(const unsigned char *from, size_t step, size_t count, bool big, float *to)              \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            uint##width##_t bits;                                                                            \
            memcpy(&bits, from + i * step, sizeof bits);                                                     \
            if (big) bits = swap##width(bits);                                                               \
            to[i] = value;                                                                                   \
        }                                                                                                    \
    }

CONVERT(convert_f32, 32, from_bits(bits))
CONVERT(convert_f16, 16, from_half(bits))
CONVERT(convert_bf16, 16, from_bits((uint32_t)bits << 16))
CONVERT(convert_f64, 64, from_double(bits))
CONVERT(convert_i64, 64, (float)(int64_t)bits)
CONVERT(convert_i32, 32, (float)(int32_t)bits)
CONVERT(convert_i16, 16, (float)(int16_t)bits)
CONVERT(convert_i8, 8, (float)(int8_t)bits)
CONVERT(convert_u64, 64, (float)bits)
CONVERT(convert_u32, 32, (float)bits)
CONVERT(convert_u16, 16, (float)bits)
CONVERT(convert_u8, 8, (float)bits)
CONVERT(convert_bool, 8, bits ? 1.0f : 0.0f)

static ConvertFn *const CONVERTS[WEIGHT_DTYPE_COUNT] = {
    [WEIGHT_F32] = convert_f32,   [WEIGHT_F16] = convert_f16, [WEIGHT_BF16] = convert_bf16,
    [WEIGHT_F64] = convert_f64,   [WEIGHT_I64] = convert_i64, [WEIGHT_I32] = convert_i32,
    [WEIGHT_I16] = convert_i16,   [WEIGHT_I8] = convert_i8,   [WEIGHT_U64] = convert_u64,
    [WEIGHT_U32] = convert_u32,   [WEIGHT_U16] = convert_u16, [WEIGHT_U8] = convert_u8,
    [WEIGHT_BOOL] = convert_bool,
};

static bool is_dense(const WeightTensor *tensor)
{
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->dims[i] != 1 && tensor->strides[i] != stride) return false;
        stride *= tensor->dims[i];
    }
    return true;
}

/* Row by row; at[] counts through the dimensions but the innermost, offset follows it. */
static void read_strided(const WeightTensor *tensor, float *out)
{
    const int inner = tensor->rank - 1;
    const size_t size = weights_dtype_size(tensor->dtype);
    const int64_t width = tensor->dims[inner];
    int64_t at[WEIGHTS_MAX_RANK] = {0}, offset = 0;
    for (int64_t done = 0; done < tensor->count; done += width) {
        CONVERTS[tensor->dtype](tensor->data + (size_t)offset * size, (size_t)tensor->strides[inner] * size,
                                (size_t)width, tensor->big_endian, out + done);
        for (int i = inner - 1; i >= 0; i--) {
            offset += tensor->strides[i];
            if (++at[i] < tensor->dims[i]) break;
            offset -= tensor->strides[i] * tensor->dims[i];
            at[i] = 0;
        }
    }
}

RtStatus weights_read_f32(const WeightsFile *file, size_t index, float *out, RtError *err)
{
    if (index >= file->count)
        return rt_fail(err, RT_BUG, "%s: tensor %zu of %zu wanted", file->path, index, file->count);
    const WeightTensor *tensor = &file->tensors[index];
    if (tensor->count == 0) return RT_OK;
    if (!is_dense(tensor)) {
        read_strided(tensor, out);
    } else if (tensor->dtype == WEIGHT_F32 && !tensor->big_endian) {
        memcpy(out, tensor->data, (size_t)tensor->count * sizeof *out);
    } else {
        CONVERTS[tensor->dtype](tensor->data, weights_dtype_size(tensor->dtype), (size_t)tensor->count,
                                tensor->big_endian, out);
    }
    return RT_OK;
}
