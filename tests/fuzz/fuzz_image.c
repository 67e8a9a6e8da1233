/* libFuzzer on the picture decoders: any bytes are decoded, or refused with one line, and nothing is read or
 * written out of bounds or left allocated. What decodes must also come back from our own PNG unchanged.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Iruntime tests/fuzz/fuzz_image.c runtime/rt_image*.c
 * \ runtime/rt_png.c runtime/rt_jpeg.c runtime/rt_status.c -lpng -ljpeg -lm -o fuzz_image
 *     ./fuzz_image corpus tests/fixtures/images tests/fixtures/images/bad */
#include "rt_image_codec.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIXELS = 1 << 20 }; /* larger ones are legal and only slow */

static size_t big_endian(const unsigned char *bytes, int count)
{
    size_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

/* A width and height in a place where a header could have them that make a large picture. */
static bool is_large(const unsigned char *data, size_t size)
{
    if (image_format(data, size) == FORMAT_PNG)
        return size >= 24 && big_endian(data + 16, 4) * big_endian(data + 20, 4) > MAX_PIXELS;
    for (size_t i = 0; i + 9 < size; i++) {
        if (data[i] == 0xff && data[i + 1] >= 0xc0 && data[i + 1] <= 0xcf &&
            big_endian(data + i + 5, 2) * big_endian(data + i + 7, 2) > MAX_PIXELS)
            return true;
    }
    return false;
}

static void expect(bool truth)
{
    if (!truth) abort();
}

static void expect_round_trip(const RtImage *image)
{
    RtEncoded encoded;
    RtImage again;
    expect(!rt_png_encode("fuzz", image, NULL, &encoded, NULL));
    expect(!image_decode_rgb("fuzz", encoded.data, encoded.size, &again, NULL));
    expect(again.width == image->width && again.height == image->height);
    expect(!memcmp(again.pixels, image->pixels, (size_t)image->width * (size_t)image->height * 3));
    rt_free(encoded.data);
    image_free(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (is_large(data, size)) return 0;
    RtImage image;
    RtLabels labels;
    RtError err;
    if (!image_decode_rgb("fuzz", data, size, &image, &err)) {
        if (image.width * image.height < 1 << 14) expect_round_trip(&image);
    } else {
        expect(err.status == RT_BAD_INPUT && !image.pixels && !strchr(err.text, '\n'));
    }
    if (image_decode_labels("fuzz", data, size, &labels, &err))
        expect(err.status == RT_BAD_INPUT && !labels.ids && !labels.colors && !strchr(err.text, '\n'));
    image_free(&image);
    image_labels_free(&labels);
    return 0;
}
