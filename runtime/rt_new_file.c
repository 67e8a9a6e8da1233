/* See rt_new_file.h. The temporary's name is ours alone by O_EXCL (mkstemp would give mode 0600 instead of
 * what the umask says); it ends in ".tmp" so that leftovers of a killed process are known for what they are.
 */
#define _GNU_SOURCE
#include "rt_new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What another path would repair is the user's; the rest is the machine's. */
static RtStatus status_of(int number)
{
    static const int inputs[] = {ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP, EACCES, EPERM, EINVAL};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (inputs[i] == number) return RT_BAD_INPUT;
    }
    return RT_MACHINE;
}

static RtStatus fail(RtNewFile *file, int number, RtError *err)
{
    char text[128];
    const char *reason = strerror_r(number, text, sizeof text);
    RtStatus status =
        rt_fail(err, status_of(number), "%s: cannot be written: %s (after %" PRIu64 " of %" PRIu64 " bytes)",
                file->path, reason, file->written, file->expected);
    new_file_drop(file);
    return status;
}

RtStatus new_file_open(RtNewFile *file, const char *path, uint64_t expected, RtError *err)
{
    static atomic_uint serial;
    *file = (RtNewFile){.path = path, .fd = -1, .expected = expected};
    struct stat place;
    if (!stat(path, &place) && S_ISDIR(place.st_mode)) return fail(file, EISDIR, err);
    const size_t size = strlen(path) + 40;
    char *beside = rt_alloc(size);
    if (!beside) return fail(file, ENOMEM, err);
    snprintf(beside, size, "%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    file->fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd < 0) {
        const int reason = errno;
        rt_free(beside);
        return fail(file, reason, err);
    }
    file->beside = beside;
    return RT_OK;
}

RtStatus new_file_write(RtNewFile *file, const void *data, size_t size, RtError *err)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t done = write(file->fd, bytes, size);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return fail(file, errno, err);
        bytes += done;
        size -= (size_t)done;
        file->written += (uint64_t)done;
    }
    return RT_OK;
}

/* So that the new name itself survives a crash. A folder that cannot be opened for reading, or a file system
 * that cannot synchronise folders, is no failure: the file is complete. */
static void synchronise_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = '\0';
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!fsync(fd);
    close(fd);
}

RtStatus new_file_finish(RtNewFile *file, RtError *err)
{
    if (fsync(file->fd)) return fail(file, errno, err);
    const int fd = file->fd;
    file->fd = -1;
    if (close(fd) || rename(file->beside, file->path)) return fail(file, errno, err);
    synchronise_folder(file->beside); /* the same folder; the name is not needed any more */
    rt_free(file->beside);
    file->beside = NULL;
    return RT_OK;
}

void new_file_drop(RtNewFile *file)
{
    if (file->fd >= 0) close(file->fd);
    if (file->beside) unlink(file->beside);
    rt_free(file->beside);
    file->beside = NULL;
    file->fd = -1;
}
