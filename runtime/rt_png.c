/* PNG by libpng. See rt_image.h for what is promised, rt_image_codec.h for the rules of decoding.
 *
 * libpng only undoes the file format here: rows arrive as stored (1, 2 and 4-bit samples one to a byte,
 * 16-bit ones high byte first), and this file turns them into colours or labels. Its own transformations
 * would do, but the two uses need different ones, and what Pillow does is easier to see written down.
 * Ancillary chunks are skipped unread (tRNS too, since alpha is dropped), so their mistakes cannot spoil a
 * good picture. */
#include "rt_image_codec.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct PngReader {
    const RtSource *source;
    size_t position; /* bytes of source consumed */
    png_structp png;
    png_infop info;
    int width, height, depth, color_type; /* as IHDR has them */
    RtPalette palette;
    unsigned char *rows; /* one stored row, or all of them when they come interlaced */
    RtImage *image;      /* exactly one of image and labels is the goal */
    RtLabels *labels;
    bool no_memory;
    char problem[200]; /* the first thing libpng found wrong */
    RtError *err;
} PngReader;

static void note_problem(PngReader *reader, const char *message)
{
    if (!reader->problem[0]) snprintf(reader->problem, sizeof reader->problem, "%s", message);
}

static void on_error(png_structp png, png_const_charp message)
{
    bool empty = !strcmp(message, "IEND: out of place");
    note_problem(png_get_error_ptr(png), empty ? "it holds no pixels" : message);
    png_longjmp(png, 1);
}

/* A warning about the header is the reason of the error that follows, whose own text is "Invalid IHDR data".
 * One about the pixel data means that what was decoded cannot be trusted, unless it is bytes after the end of
 * a complete and checked stream. Others concern chunks we do not read. */
static void on_warning(png_structp png, png_const_charp message)
{
    PngReader *reader = png_get_error_ptr(png);
    if (reader->width == 0 && strstr(message, "IHDR")) note_problem(reader, message);
    if (!strncmp(message, "IDAT", 4) && !strstr(message, "Extra compressed data")) on_error(png, message);
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    PngReader *reader = png_get_mem_ptr(png);
    void *block = rt_alloc(size);
    if (!block) reader->no_memory = true;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    rt_free(block);
}

static void on_read(png_structp png, png_bytep bytes, size_t size)
{
    PngReader *reader = png_get_io_ptr(png);
    if (size > reader->source->size - reader->position) on_error(png, "the file ends early (truncated)");
    memcpy(bytes, reader->source->data + reader->position, size);
    reader->position += size;
}

static int samples_per_pixel(int color_type)
{
    if (color_type == PNG_COLOR_TYPE_PALETTE) return 1;
    return (color_type & PNG_COLOR_MASK_COLOR ? 3 : 1) + (color_type & PNG_COLOR_MASK_ALPHA ? 1 : 0);
}

/* 16 bits to 8: the nearest of v / 257, halves upwards. */
static unsigned char to_8_bits(const unsigned char *sample)
{
    unsigned v = (unsigned)sample[0] << 8 | sample[1];
    return (unsigned char)((v * 255 + 32895) >> 16);
}

static void row_to_rgb(const PngReader *reader, const unsigned char *row, unsigned char *rgb)
{
    int samples = samples_per_pixel(reader->color_type);
    int bytes = reader->depth == 16 ? 2 : 1;
    int stretch = reader->depth < 8 ? 255 / ((1 << reader->depth) - 1) : 1;
    bool colored = reader->color_type & PNG_COLOR_MASK_COLOR;
    for (int x = 0; x < reader->width; x++, rgb += 3) {
        const unsigned char *pixel = row + (size_t)x * (size_t)(samples * bytes);
        if (reader->color_type == PNG_COLOR_TYPE_PALETTE) {
            memcpy(rgb, reader->palette.rgb[*pixel], 3);
            continue;
        }
        for (int c = 0; c < 3; c++) {
            const unsigned char *sample = pixel + (colored ? c * bytes : 0);
            rgb[c] = bytes == 2 ? to_8_bits(sample) : (unsigned char)(*sample * stretch);
        }
    }
}

/* Ids of a grey or palette row, unscaled. */
static void row_to_ids(const PngReader *reader, const unsigned char *row, uint16_t *ids)
{
    int samples = samples_per_pixel(reader->color_type);
    for (int x = 0; x < reader->width; x++) {
        const unsigned char *sample = row + (size_t)x * (size_t)(samples * (reader->depth == 16 ? 2 : 1));
        ids[x] = reader->depth == 16 ? (uint16_t)(sample[0] << 8 | sample[1]) : *sample;
    }
}

static void take_row(const PngReader *reader, int y, const unsigned char *row)
{
    size_t first = (size_t)y * (size_t)reader->width;
    if (reader->labels && reader->labels->ids)
        row_to_ids(reader, row, reader->labels->ids + first);
    else
        row_to_rgb(reader, row,
                   (reader->labels ? reader->labels->colors : reader->image->pixels) + first * 3);
}

static void read_palette(PngReader *reader)
{
    png_colorp colors = NULL;
    int count = 0;
    if (!png_get_PLTE(reader->png, reader->info, &colors, &count)) return;
    reader->palette.count = count;
    for (int i = 0; i < count && i < 256; i++)
        memcpy(reader->palette.rgb[i], (unsigned char[3]){colors[i].red, colors[i].green, colors[i].blue}, 3);
}

static RtStatus read_header(PngReader *reader)
{
    static const png_byte skipped[] = "tRNS";
    png_set_read_fn(reader->png, reader, on_read);
    png_set_user_limits(reader->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, skipped, 1);
    png_read_info(reader->png, reader->info);
    png_uint_32 width, height;
    png_get_IHDR(reader->png, reader->info, &width, &height, &reader->depth, &reader->color_type, NULL, NULL,
                 NULL);
    RtStatus status = image_check_size(reader->source->name, width, height, reader->err);
    if (status) return status;
    reader->width = (int)width;
    reader->height = (int)height;
    if (reader->color_type == PNG_COLOR_TYPE_PALETTE) read_palette(reader);
    return RT_OK;
}

/* Memory for the labels: ids, or colours when the file has them. */
static RtStatus new_labels(PngReader *reader)
{
    RtLabels *labels = reader->labels;
    size_t pixels = (size_t)reader->width * (size_t)reader->height;
    bool indexed = reader->color_type == PNG_COLOR_TYPE_PALETTE;
    bool colored = !indexed && (reader->color_type & PNG_COLOR_MASK_COLOR);
    if (colored && reader->depth == 16)
        return rt_fail(reader->err, RT_BAD_INPUT,
                       "%s: labels as 16-bit RGB; expected 8-bit RGB, grey or a palette",
                       reader->source->name);
    labels->width = reader->width;
    labels->height = reader->height;
    if (indexed) labels->palette = reader->palette;
    if (colored)
        labels->colors = rt_alloc(pixels * 3);
    else
        labels->ids = rt_alloc(pixels * sizeof *labels->ids);
    if (labels->colors || labels->ids) return RT_OK;
    return image_no_memory(reader->source->name, pixels * (colored ? 3 : sizeof *labels->ids), reader->err);
}

static RtStatus read_pixels(PngReader *reader)
{
    if (reader->depth < 8) png_set_packing(reader->png);
    int passes = png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    size_t stride = png_get_rowbytes(reader->png, reader->info);
    size_t size = stride * (size_t)(passes > 1 ? reader->height : 1);
    reader->rows = rt_alloc(size);
    if (!reader->rows) return image_no_memory(reader->source->name, size, reader->err);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < reader->height; y++) {
            unsigned char *row = reader->rows + (passes > 1 ? stride * (size_t)y : 0);
            png_read_row(reader->png, row, NULL);
            if (pass == passes - 1) take_row(reader, y, row);
        }
    }
    /* The end holds the checksums of the last pixels. */
    png_read_end(reader->png, NULL);
    return RT_OK;
}

static RtStatus read_all(PngReader *reader)
{
    RtStatus status = read_header(reader);
    if (!status)
        status = reader->labels ? new_labels(reader)
                                : image_new_for(reader->source->name, reader->image, reader->width,
                                                reader->height, 3, reader->err);
    return status ? status : read_pixels(reader);
}

/* Everything that libpng may leave by longjmp happens in read_all, and lives in *reader. */
static RtStatus read_guarded(PngReader *reader)
{
    if (!setjmp(png_jmpbuf(reader->png))) return read_all(reader);
    if (reader->no_memory)
        return rt_fail(reader->err, RT_MACHINE, "%s: no memory to decode it", reader->source->name);
    return rt_fail(reader->err, RT_BAD_INPUT, "%s: damaged PNG: %s", reader->source->name, reader->problem);
}

static RtStatus read_png(PngReader *reader)
{
    reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning, reader,
                                           on_alloc, on_free);
    if (reader->png) reader->info = png_create_info_struct(reader->png);
    RtStatus status = RT_OK;
    if (!reader->info)
        status = rt_fail(reader->err, RT_MACHINE, "%s: no memory to decode it", reader->source->name);
    else
        status = read_guarded(reader);
    png_destroy_read_struct(&reader->png, &reader->info, NULL);
    rt_free(reader->rows);
    return status;
}

RtStatus rt_png_read_rgb(const RtSource *source, RtImage *image, RtError *err)
{
    PngReader reader = {.source = source, .image = image, .err = err};
    RtStatus status = read_png(&reader);
    if (status) image_free(image);
    return status;
}

RtStatus rt_png_read_labels(const RtSource *source, RtLabels *labels, RtError *err)
{
    PngReader reader = {.source = source, .labels = labels, .err = err};
    RtStatus status = read_png(&reader);
    if (status) image_labels_free(labels);
    return status;
}

typedef struct PngWriter {
    png_structp png;
    png_infop info;
    const RtImage *image;
    const RtPalette *palette;
    RtEncoded *encoded;
} PngWriter;

static void on_write_error(png_structp png, png_const_charp message)
{
    (void)message;
    png_longjmp(png, 1);
}

static void on_write_warning(png_structp png, png_const_charp message)
{
    (void)png, (void)message;
}

static png_voidp on_write_alloc(png_structp png, png_alloc_size_t size)
{
    (void)png;
    return rt_alloc(size);
}

static void on_write(png_structp png, png_bytep bytes, size_t size)
{
    RtEncoded *encoded = ((PngWriter *)png_get_io_ptr(png))->encoded;
    if (encoded->capacity - encoded->size < size) {
        size_t capacity = (encoded->capacity + size) * 2;
        unsigned char *data = rt_realloc(encoded->data, encoded->size, capacity);
        if (!data) on_write_error(png, "no memory");
        encoded->data = data;
        encoded->capacity = capacity;
    }
    memcpy(encoded->data + encoded->size, bytes, size);
    encoded->size += size;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void write_all(PngWriter *writer)
{
    const RtImage *image = writer->image;
    int color_type = image->channels == 3 ? PNG_COLOR_TYPE_RGB
                     : writer->palette    ? PNG_COLOR_TYPE_PALETTE
                                          : PNG_COLOR_TYPE_GRAY;
    png_set_write_fn(writer->png, writer, on_write, on_flush);
    png_set_IHDR(writer->png, writer->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 color_type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (writer->palette) {
        png_color colors[256];
        for (int i = 0; i < 256; i++) {
            const unsigned char *rgb = writer->palette->rgb[i];
            colors[i] = (png_color){.red = rgb[0], .green = rgb[1], .blue = rgb[2]};
        }
        png_set_PLTE(writer->png, writer->info, colors, 256);
    }
    /* On a street picture of 2048x1024, one filter and level 2 take an eighth of the time of libpng's
     * defaults for 13 % more bytes. Class maps are quick at any level. */
    bool colored = image->channels == 3;
    png_set_filter(writer->png, PNG_FILTER_TYPE_BASE, colored ? PNG_FILTER_AVG : PNG_FILTER_NONE);
    png_set_compression_level(writer->png, colored ? 2 : 6);
    png_write_info(writer->png, writer->info);
    for (int y = 0; y < image->height; y++)
        png_write_row(writer->png, image->pixels + (size_t)y * (size_t)(image->width * image->channels));
    png_write_end(writer->png, NULL);
}

/* Encoding a valid picture to memory can only fail for want of memory. */
static bool write_guarded(PngWriter *writer)
{
    if (setjmp(png_jmpbuf(writer->png))) return false;
    write_all(writer);
    return true;
}

RtStatus rt_png_encode(const char *name, const RtImage *image, const RtPalette *palette, RtEncoded *encoded,
                       RtError *err)
{
    *encoded = (RtEncoded){0};
    PngWriter writer = {.image = image, .palette = palette, .encoded = encoded};
    writer.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, NULL, on_write_error, on_write_warning,
                                           NULL, on_write_alloc, on_free);
    if (writer.png) writer.info = png_create_info_struct(writer.png);
    bool done = writer.info && write_guarded(&writer);
    png_destroy_write_struct(&writer.png, &writer.info);
    if (done) return RT_OK;
    rt_free(encoded->data);
    *encoded = (RtEncoded){0};
    return rt_fail(err, RT_MACHINE, "%s: no memory to encode %dx%d pixels", name, image->width,
                   image->height);
}
