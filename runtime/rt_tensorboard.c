/* See rt_tensorboard.h. Field numbers are those of tensorflow/core/util/event.proto and
 * framework/summary.proto; the wire format is protobuf's: a key (field * 8 + kind), then a varint (kind 0), 8
 * bytes (1), a length and bytes (2), or 4 bytes (5), least significant first. */
#define _GNU_SOURCE
#include "rt_tensorboard.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION_LOG = 7,
    SUMMARY_VALUE = 1,
    VALUE_TAG = 1,
    VALUE_SIMPLE = 2,
    SESSION_STATUS = 1,
    SESSION_START = 1,
    KIND_VARINT = 0,
    KIND_8_BYTES = 1,
    KIND_BYTES = 2,
    KIND_4_BYTES = 5,
    MESSAGE_ROOM = 600,
    MOST_TAG = 400, /* bytes; longer ones are cut */
};

/* A message that is being built; everything written here fits. */
typedef struct Message {
    unsigned char bytes[MESSAGE_ROOM];
    size_t size;
} Message;

uint32_t tensorboard_crc32c(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < size; i++) { /* bit by bit: records are short */
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

static void put_fixed(Message *message, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) message->bytes[message->size++] = (unsigned char)(value >> 8 * i);
}

static void put_varint(Message *message, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) message->bytes[message->size++] = (unsigned char)(value | 0x80);
    message->bytes[message->size++] = (unsigned char)value;
}

static void put_key(Message *message, int field, int kind)
{
    put_varint(message, (uint64_t)(field * 8 + kind));
}

static void put_bytes(Message *message, int field, const void *bytes, size_t size)
{
    put_key(message, field, KIND_BYTES);
    put_varint(message, size);
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

static void put_integer(Message *message, int field, int64_t value)
{
    put_key(message, field, KIND_VARINT);
    put_varint(message, (uint64_t)value);
}

static Message begin_event(int64_t iteration)
{
    Message event = {.size = 0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(&event, EVENT_WALL_TIME, KIND_8_BYTES);
    put_fixed(&event, bits, 8);
    put_integer(&event, EVENT_STEP, iteration);
    return event;
}

/* TFRecord's mask, so that checksums of data that holds checksums stay useful. */
static uint32_t masked(const void *data, size_t size)
{
    uint32_t sum = tensorboard_crc32c(data, size);
    return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static RtStatus fail(const Tensorboard *board, RtStatus status, RtError *err)
{
    char text[128];
    return rt_fail(err, status, "%s: cannot be written: %s", board->path,
                   strerror_r(errno, text, sizeof text));
}

static RtStatus write_record(Tensorboard *board, const Message *event, RtError *err)
{
    Message head = {.size = 0}, tail = {.size = 0};
    put_fixed(&head, event->size, 8);
    put_fixed(&head, masked(head.bytes, 8), 4);
    put_fixed(&tail, masked(event->bytes, event->size), 4);
    errno = 0;
    fwrite(head.bytes, 1, head.size, board->out);
    fwrite(event->bytes, 1, event->size, board->out);
    fwrite(tail.bytes, 1, tail.size, board->out);
    return fflush(board->out) || ferror(board->out) ? fail(board, RT_MACHINE, err) : RT_OK;
}

static RtStatus write_start(Tensorboard *board, int64_t iteration, RtError *err)
{
    static const char version[] = "brain.Event:2";
    Message event = begin_event(0), log = {.size = 0};
    put_bytes(&event, EVENT_FILE_VERSION, version, sizeof version - 1);
    RtStatus status = write_record(board, &event, err);
    if (status || !iteration) return status;
    event = begin_event(iteration + 1); /* points from here on in other files are void */
    put_integer(&log, SESSION_STATUS, SESSION_START);
    put_bytes(&event, EVENT_SESSION_LOG, log.bytes, log.size);
    return write_record(board, &event, err);
}

RtStatus tensorboard_open(Tensorboard *board, const char *folder, int64_t iteration, RtError *err)
{
    char host[64] = "host";
    (void)gethostname(host, sizeof host - 1);
    const size_t size = strlen(folder) + sizeof host + 100;
    *board = (Tensorboard){.path = rt_alloc(size)};
    if (!board->path) return rt_fail(err, RT_MACHINE, "%s: no memory for an event file's name", folder);
    snprintf(board->path, size, "%s/events.out.tfevents.%010lld.%s.%ld.%lld", folder, (long long)time(NULL),
             host, (long)getpid(), (long long)iteration);
    board->out = fopen(board->path, "wb");
    RtStatus status = board->out ? write_start(board, iteration, err) : fail(board, RT_BAD_INPUT, err);
    if (status) tensorboard_close(board);
    return status;
}

RtStatus tensorboard_scalar(Tensorboard *board, const char *tag, int64_t iteration, float value, RtError *err)
{
    Message event = begin_event(iteration), summary = {.size = 0}, point = {.size = 0};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bytes(&point, VALUE_TAG, tag, strnlen(tag, MOST_TAG));
    put_key(&point, VALUE_SIMPLE, KIND_4_BYTES);
    put_fixed(&point, bits, 4);
    put_bytes(&summary, SUMMARY_VALUE, point.bytes, point.size);
    put_bytes(&event, EVENT_SUMMARY, summary.bytes, summary.size);
    return write_record(board, &event, err);
}

void tensorboard_close(Tensorboard *board)
{
    if (board->out) fclose(board->out);
    rt_free(board->path);
    *board = (Tensorboard){0};
}
