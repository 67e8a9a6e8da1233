/* See rt_image.h. This file takes bytes from and to the file system and picks the decoder; rt_png.c and
 * rt_jpeg.c do the formats, rt_image_resize.c, rt_draw.c and rt_image_list.c the rest of the interface.
 */
#define _GNU_SOURCE
#include "rt_image_codec.h"
#include "rt_new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    START_BYTES = 8,          /* what image_format and the "starts with" of messages look at */
    MAX_FILE_BYTES = 1 << 30, /* a PNG of 2^28 pixels without any compression still fits in 8-bit RGB */
};

RtFormat image_format(const unsigned char *start, size_t size)
{
    static const unsigned char png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const unsigned char jpeg[3] = {0xff, 0xd8, 0xff};
    if (size >= sizeof png && !memcmp(start, png, sizeof png)) return FORMAT_PNG;
    if (size >= sizeof jpeg && !memcmp(start, jpeg, sizeof jpeg)) return FORMAT_JPEG;
    return FORMAT_OTHER;
}

RtStatus image_no_memory(const char *name, size_t size, RtError *err)
{
    return rt_fail(err, RT_MACHINE, "%s: no memory for %zu bytes", name, size);
}

RtStatus image_fail_errno(const char *name, const char *verb, int number, RtError *err)
{
    /* What the user can repair by naming another file; anything else is the machine's. */
    static const int inputs[] = {ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP, EACCES, EPERM, EINVAL};
    RtStatus status = RT_MACHINE;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (inputs[i] == number) status = RT_BAD_INPUT;
    }
    char text[128];
    return rt_fail(err, status, "%s: cannot %s: %s", name, verb, strerror_r(number, text, sizeof text));
}

RtStatus image_check_size(const char *name, uint64_t width, uint64_t height, RtError *err)
{
    bool fits = width <= IMAGE_MAX_SIDE && height <= IMAGE_MAX_SIDE && width * height <= IMAGE_MAX_PIXELS;
    if (fits && width > 0 && height > 0) return RT_OK;
    if (fits)
        return rt_fail(err, RT_BAD_INPUT, "%s: an image of %" PRIu64 "x%" PRIu64 " pixels has none", name,
                       width, height);
    return rt_fail(err, RT_BAD_INPUT,
                   "%s: %" PRIu64 "x%" PRIu64 " pixels; at most %d on a side and %d in all can be read", name,
                   width, height, IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
}

RtStatus image_new_for(const char *name, RtImage *image, int width, int height, int channels, RtError *err)
{
    *image = (RtImage){0};
    if (width < 0 || height < 0 || (channels != 1 && channels != 3))
        return rt_fail(err, RT_BUG, "%s: %dx%d pixels of %d channels", name, width, height, channels);
    RtStatus status = image_check_size(name, (uint64_t)width, (uint64_t)height, err);
    if (status) return status;
    size_t size = (size_t)width * (size_t)height * (size_t)channels;
    unsigned char *pixels = rt_alloc(size);
    if (!pixels) return image_no_memory(name, size, err);
    *image = (RtImage){.width = width, .height = height, .channels = channels, .pixels = pixels};
    return RT_OK;
}

RtStatus image_new(RtImage *image, int width, int height, int channels, RtError *err)
{
    return image_new_for("new image", image, width, height, channels, err);
}

void image_free(RtImage *image)
{
    rt_free(image->pixels);
    *image = (RtImage){0};
}

void image_labels_free(RtLabels *labels)
{
    rt_free(labels->ids);
    rt_free(labels->colors);
    rt_free(labels->classes);
    *labels = (RtLabels){0};
}

/* Says what a file that is neither PNG nor JPEG starts with, its unprintable bytes escaped. */
static RtStatus fail_format(const RtSource *source, RtError *err)
{
    if (source->size == 0)
        return rt_fail(err, RT_BAD_INPUT, "%s: not a PNG or JPEG image (the file is empty)", source->name);
    char start[START_BYTES * 4 + 1] = "";
    size_t length = 0;
    for (size_t i = 0; i < source->size && i < START_BYTES; i++) {
        unsigned char byte = source->data[i];
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        length += (size_t)snprintf(start + length, sizeof start - length, plain ? "%c" : "\\x%02x", byte);
    }
    return rt_fail(err, RT_BAD_INPUT, "%s: not a PNG or JPEG image (starts with \"%s\")", source->name,
                   start);
}

/* Fills block from fd; stops short only at the end of the file. */
static ssize_t read_fully(int fd, unsigned char *block, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, block + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static RtStatus load_open_file(const char *path, int fd, RtSource *source, RtError *err)
{
    struct stat info;
    if (fstat(fd, &info)) return image_fail_errno(path, "read", errno, err);
    if (S_ISDIR(info.st_mode)) return rt_fail(err, RT_BAD_INPUT, "%s: a folder, not an image", path);
    if (!S_ISREG(info.st_mode)) return rt_fail(err, RT_BAD_INPUT, "%s: not a regular file", path);
    /* The start first: a huge file of another format is not worth reading. */
    unsigned char start[START_BYTES];
    ssize_t got = read_fully(fd, start, sizeof start);
    if (got < 0) return image_fail_errno(path, "read", errno, err);
    if (image_format(start, (size_t)got) == FORMAT_OTHER)
        return fail_format(&(RtSource){path, start, (size_t)got}, err);
    if (info.st_size > MAX_FILE_BYTES)
        return rt_fail(err, RT_BAD_INPUT, "%s: %" PRIdMAX " bytes; files of at most %d are read", path,
                       (intmax_t)info.st_size, MAX_FILE_BYTES);
    size_t size = info.st_size < got ? (size_t)got : (size_t)info.st_size;
    unsigned char *data = rt_alloc(size);
    if (!data) return image_no_memory(path, size, err);
    memcpy(data, start, (size_t)got);
    ssize_t rest = read_fully(fd, data + got, size - (size_t)got);
    if (rest < 0) {
        RtStatus status = image_fail_errno(path, "read", errno, err);
        rt_free(data);
        return status;
    }
    *source = (RtSource){path, data, (size_t)(got + rest)};
    return RT_OK;
}

/* The whole file in an rt_alloc block, which the caller frees as (void *)source->data. */
static RtStatus load_file(const char *path, RtSource *source, RtError *err)
{
    /* Not blocking, so that a FIFO is refused instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return image_fail_errno(path, "open", errno, err);
    RtStatus status = load_open_file(path, fd, source, err);
    close(fd);
    return status;
}

RtStatus image_decode_rgb(const char *name, const void *data, size_t size, RtImage *image, RtError *err)
{
    RtSource source = {name, data, size};
    *image = (RtImage){0};
    switch (image_format(data, size)) {
    case FORMAT_PNG: return rt_png_read_rgb(&source, image, err);
    case FORMAT_JPEG: return rt_jpeg_read_rgb(&source, image, err);
    case FORMAT_OTHER: break;
    }
    return fail_format(&source, err);
}

RtStatus image_decode_labels(const char *name, const void *data, size_t size, RtLabels *labels, RtError *err)
{
    RtSource source = {name, data, size};
    *labels = (RtLabels){0};
    switch (image_format(data, size)) {
    case FORMAT_PNG: return rt_png_read_labels(&source, labels, err);
    case FORMAT_JPEG:
        return rt_fail(err, RT_BAD_INPUT,
                       "%s: a JPEG cannot hold labels: its lossy compression changes class ids; use PNG",
                       name);
    case FORMAT_OTHER: break;
    }
    return fail_format(&source, err);
}

RtStatus image_read_rgb(const char *path, RtImage *image, RtError *err)
{
    *image = (RtImage){0};
    RtSource source;
    RtStatus status = load_file(path, &source, err);
    if (status) return status;
    status = image_decode_rgb(path, source.data, source.size, image, err);
    rt_free((void *)source.data);
    return status;
}

RtStatus image_read_labels(const char *path, RtLabels *labels, RtError *err)
{
    *labels = (RtLabels){0};
    RtSource source;
    RtStatus status = load_file(path, &source, err);
    if (status) return status;
    status = image_decode_labels(path, source.data, source.size, labels, err);
    rt_free((void *)source.data);
    return status;
}

RtStatus image_write_png(const char *path, const unsigned char *pixels, int width, int height, int channels,
                         const RtPalette *palette, RtError *err)
{
    if (width < 1 || height < 1 || (channels != 1 && channels != 3) || (palette && channels != 1))
        return rt_fail(err, RT_BUG, "image_write_png: %dx%d pixels of %d channels", width, height, channels);
    /* The cast drops const only to fit RtImage; encoding reads. */
    const RtImage image = {width, height, channels, (unsigned char *)pixels};
    RtEncoded encoded;
    RtStatus status = rt_png_encode(path, &image, palette, &encoded, err);
    if (status) return status;
    RtNewFile file;
    status = new_file_open(&file, path, encoded.size, err);
    if (!status) status = new_file_write(&file, encoded.data, encoded.size, err);
    if (!status) status = new_file_finish(&file, err);
    rt_free(encoded.data);
    return status;
}
