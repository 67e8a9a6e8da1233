/* See rt_train_log.h. */
#define _GNU_SOURCE
#include "rt_train_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

static RtStatus fail(const TrainLog *log, RtStatus status, const char *what, RtError *err)
{
    char text[128];
    return rt_fail(err, status, "%s: cannot be %s: %s", log->path, what,
                   strerror_r(errno, text, sizeof text));
}

/* Whether a line, with its end, is of an iteration up to that one. */
static bool is_kept(const char *line, size_t length, int64_t iteration)
{
    static const char key[] = "\"iteration\": ";
    const char *at = strstr(line, key);
    return at && line[length - 1] == '\n' && strtoll(at + sizeof key - 1, NULL, 10) <= iteration;
}

/* Bytes of the lines up to the first that is not kept. */
static off_t kept_bytes(FILE *file, int64_t iteration)
{
    char *line = NULL; /* getline's own */
    size_t room = 0;
    ssize_t length;
    off_t kept = 0;
    while ((length = getline(&line, &room, file)) > 0 && is_kept(line, (size_t)length, iteration))
        kept += length;
    free(line);
    return kept;
}

/* The lock goes with the file's being open, however the process ends. */
static RtStatus lock(const TrainLog *log, RtError *err)
{
    if (!flock(fileno(log->out), LOCK_EX | LOCK_NB)) return RT_OK;
    if (errno != EWOULDBLOCK) return RT_OK; /* a file system without locks */
    return rt_fail(err, RT_BAD_INPUT, "%s: another process is training into this folder", log->path);
}

RtStatus train_log_open(TrainLog *log, const char *path, int64_t after, RtError *err)
{
    *log = (TrainLog){.path = path, .out = fopen(path, "a+")};
    if (!log->out) return fail(log, RT_BAD_INPUT, "written", err);
    RtStatus status = lock(log, err);
    if (!status) {
        rewind(log->out);
        off_t kept = kept_bytes(log->out, after);
        if (ferror(log->out) || ftruncate(fileno(log->out), kept))
            status = fail(log, RT_MACHINE, "continued", err);
        fseek(log->out, 0, SEEK_END);
    }
    if (status) train_log_close(log);
    return status;
}

void train_log_begin(TrainLog *log, const char *event, int64_t iteration)
{
    log->json = (JsonOut){.out = log->out, .one_line = true, .digits = 9};
    json_out_open(&log->json, NULL, '{');
    json_out_text(&log->json, "event", event);
    json_out_integer(&log->json, "iteration", iteration);
}

RtStatus train_log_end(TrainLog *log, RtError *err)
{
    json_out_close(&log->json);
    errno = 0;
    if (!fflush(log->out) && !ferror(log->out)) return RT_OK;
    return fail(log, RT_MACHINE, "written", err);
}

void train_log_close(TrainLog *log)
{
    if (log->out) fclose(log->out);
    log->out = NULL;
}
