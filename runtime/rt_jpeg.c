/* JPEG by libjpeg-turbo. See rt_image.h for what is promised, rt_image_codec.h for the rules of decoding.
 *
 * libjpeg goes on after damage with a warning and makes up the rest of the picture. Here a warning ends the
 * decoding like an error; the exceptions are listed at on_message. The numbers of its messages are in
 * jerror.h, which is installed with it. */
#include "rt_image_codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum {
    MAX_SCANS =
        500, /* of a progressive picture; real ones have about 10, and each costs a walk over all pixels */
    ORIENTATION_TAG = 0x0112,
    EXIF_SHORT = 3,
};

typedef struct JpegReader {
    struct jpeg_error_mgr errors; /* first: libjpeg hands back its address */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf jump;
    const RtSource *source;
    RtImage *image;     /* as stored, before turning */
    unsigned char *row; /* one CMYK row, else NULL */
    int orientation;    /* EXIF: 1 upright ... 8 */
    bool no_memory;
    char problem[JMSG_LENGTH_MAX];
    RtError *err;
} JpegReader;

static void give_up(j_common_ptr jpeg)
{
    JpegReader *reader = (JpegReader *)jpeg->err;
    if (!reader->problem[0]) jpeg->err->format_message(jpeg, reader->problem);
    reader->no_memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    longjmp(reader->jump, 1);
}

/* Level -1 is a warning, above are traces. Harmless are an Adobe colour transform that libjpeg does not know
 * (it then assumes the usual one) and stray bytes between the segments of the header. */
static void on_message(j_common_ptr jpeg, int level)
{
    const JpegReader *reader = (const JpegReader *)jpeg->err;
    int code = jpeg->err->msg_code;
    bool in_header = reader->jpeg.input_scan_number == 0;
    if (level >= 0 || code == JWRN_ADOBE_XFORM || (code == JWRN_EXTRANEOUS_DATA && in_header)) return;
    give_up(jpeg);
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void on_progress(j_common_ptr jpeg)
{
    JpegReader *reader = (JpegReader *)jpeg->err;
    if (reader->jpeg.input_scan_number <= MAX_SCANS) return;
    snprintf(reader->problem, sizeof reader->problem, "more than %d scans", MAX_SCANS);
    give_up(jpeg);
}

/* Numbers in an EXIF block, in its own byte order. */
typedef struct Exif {
    const unsigned char *data; /* from the TIFF header on */
    size_t size;
    bool big_endian;
} Exif;

static unsigned exif_16(const Exif *exif, size_t at)
{
    const unsigned char *byte = exif->data + at;
    return exif->big_endian ? (unsigned)(byte[0] << 8 | byte[1]) : (unsigned)(byte[1] << 8 | byte[0]);
}

static size_t exif_32(const Exif *exif, size_t at)
{
    size_t first = exif_16(exif, at), second = exif_16(exif, at + 2);
    return exif->big_endian ? first << 16 | second : second << 16 | first;
}

/* The orientation tag of the first directory; 1 when there is none or the block makes no sense, since EXIF
 * written wrongly is common and says nothing about the pixels. Entries: tag, type, count, value: 2 + 2 + 4 +
 * 4 bytes. */
static int exif_orientation(Exif exif)
{
    if (exif.size < 14) return 1;
    if (memcmp(exif.data, "II", 2) && memcmp(exif.data, "MM", 2)) return 1;
    exif.big_endian = exif.data[0] == 'M';
    if (exif_16(&exif, 2) != 42) return 1;
    size_t at = exif_32(&exif, 4);
    if (at > exif.size - 2) return 1;
    unsigned entries = exif_16(&exif, at);
    at += 2;
    for (unsigned i = 0; i < entries && exif.size - at >= 12; i++, at += 12) {
        if (exif_16(&exif, at) != ORIENTATION_TAG) continue;
        unsigned value = exif_16(&exif, at + 2) == EXIF_SHORT ? exif_16(&exif, at + 8) : 1;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 || memcmp(marker->data, "Exif\0\0", 6)) continue;
        return exif_orientation((Exif){.data = marker->data + 6, .size = marker->data_length - 6});
    }
    return 1;
}

/* Inverted CMYK, as stored: a sample is the light that its ink lets pass, so a channel is its sample times
 * black's, rounded the way Pillow rounds products (it works on inks, hence the detour through 255 - v). */
static void cmyk_to_rgb(const unsigned char *cmyk, int width, unsigned char *rgb)
{
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        int light = cmyk[3];
        for (int c = 0; c < 3; c++) {
            int product = (255 - cmyk[c]) * light + 128;
            rgb[c] = (unsigned char)(light - ((product + (product >> 8)) >> 8));
        }
    }
}

static RtStatus read_header(JpegReader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    jpeg_mem_src(jpeg, reader->source->data, reader->source->size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    reader->orientation = find_orientation(jpeg);
    RtStatus status =
        image_check_size(reader->source->name, jpeg->image_width, jpeg->image_height, reader->err);
    if (status) return status;
    int components = jpeg->num_components;
    if (components != 1 && components != 3 && components != 4)
        return rt_fail(reader->err, RT_BAD_INPUT,
                       "%s: a JPEG of %d components; 1 (grey), 3 (colour) and 4 (CMYK) can be read",
                       reader->source->name, components);
    jpeg->out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
    return RT_OK;
}

static RtStatus read_all(JpegReader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &reader->progress;
    RtStatus status = read_header(reader);
    if (status) return status;
    jpeg_start_decompress(jpeg);
    int width = (int)jpeg->output_width;
    status =
        image_new_for(reader->source->name, reader->image, width, (int)jpeg->output_height, 3, reader->err);
    if (status) return status;
    if (jpeg->out_color_space == JCS_CMYK) {
        reader->row = rt_alloc((size_t)width * 4);
        if (!reader->row) return image_no_memory(reader->source->name, (size_t)width * 4, reader->err);
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *rgb = reader->image->pixels + (size_t)jpeg->output_scanline * (size_t)width * 3;
        JSAMPROW row = reader->row ? reader->row : rgb;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (reader->row) cmyk_to_rgb(reader->row, width, rgb);
    }
    jpeg_finish_decompress(jpeg);
    return RT_OK;
}

/* Everything that libjpeg may leave by longjmp happens in read_all, and lives in *reader. */
static RtStatus read_guarded(JpegReader *reader)
{
    if (!setjmp(reader->jump)) return read_all(reader);
    if (reader->no_memory)
        return rt_fail(reader->err, RT_MACHINE, "%s: no memory to decode it", reader->source->name);
    return rt_fail(reader->err, RT_BAD_INPUT, "%s: damaged or unsupported JPEG: %s", reader->source->name,
                   reader->problem);
}

/* Where pixel (x, y) of the upright picture is stored: a step per x, a step per y, and a start, in pixels.
 *     stored corner at top left after turning:  1 top left   2 top right  3 bottom right  4 bottom left
 *                                               5 top left   6 bottom left 7 bottom right  8 top right
 * (5 to 8 exchange rows and columns). */
static RtStatus turn_upright(const char *name, RtImage *image, int orientation, RtError *err)
{
    if (orientation == 1) return RT_OK;
    bool exchange = orientation >= 5;
    bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    ptrdiff_t column = from_right ? -1 : 1, row = from_bottom ? -(ptrdiff_t)image->width : image->width;
    ptrdiff_t start = (from_right ? image->width - 1 : 0) +
                      (from_bottom ? (ptrdiff_t)(image->height - 1) * image->width : 0);
    ptrdiff_t step_x = exchange ? row : column, step_y = exchange ? column : row;
    RtImage upright;
    RtStatus status = image_new_for(name, &upright, exchange ? image->height : image->width,
                                    exchange ? image->width : image->height, 3, err);
    if (status) return status;
    unsigned char *to = upright.pixels;
    for (int y = 0; y < upright.height; y++) {
        const unsigned char *from = image->pixels + (start + y * step_y) * 3;
        for (int x = 0; x < upright.width; x++, to += 3, from += step_x * 3) memcpy(to, from, 3);
    }
    image_free(image);
    *image = upright;
    return RT_OK;
}

RtStatus rt_jpeg_read_rgb(const RtSource *source, RtImage *image, RtError *err)
{
    JpegReader reader = {.source = source, .image = image, .err = err, .orientation = 1};
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = give_up;
    reader.errors.emit_message = on_message;
    reader.errors.output_message = on_output;
    reader.progress.progress_monitor = on_progress;
    RtStatus status = read_guarded(&reader);
    jpeg_destroy_decompress(&reader.jpeg);
    rt_free(reader.row);
    if (!status) status = turn_upright(source->name, image, reader.orientation, err);
    if (status) image_free(image);
    return status;
}
