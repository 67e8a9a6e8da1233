/* A pickle machine that can build data and nothing else.
 *
 * Python's pickles are programs for a stack machine that may import and call anything. This one builds
 * numbers, texts and containers by itself; whatever a pickle wants to import, call, or fetch from outside
 * goes to the host, which knows a fixed list and refuses the rest by name. Protocols 2 to 5 are read, except
 * for what no data needs (out-of-band buffers, object construction, the copyreg extension registry).
 *
 * The reader never recurses, and every value comes from the caller's arena, which bounds the memory. A value
 * may be reached on several paths, and a container may contain itself: who walks the result must bound the
 * walk.
 */
#ifndef RT_PICKLE_H
#define RT_PICKLE_H

#include "rt_arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum PickleKind {
    PICKLE_NONE,
    PICKLE_BOOL, /* whole */
    PICKLE_INT,  /* whole */
    PICKLE_BIG,  /* an integer of more than 64 bits; its value is not kept */
    PICKLE_FLOAT,
    PICKLE_TEXT,  /* text; Python 2's byte strings too */
    PICKLE_BYTES, /* text */
    PICKLE_TUPLE, /* items */
    PICKLE_LIST,  /* items; sets too */
    PICKLE_DICT,  /* items: key, value, key, value, in the order they were set */
    PICKLE_OBJECT /* object: the host's */
} PickleKind;

typedef struct PickleValue {
    PickleKind kind;
    int tag; /* object: what it is, by the host's numbering */
    union {
        int64_t whole;
        double real;
        struct {
            const char *start; /* in the pickle itself: not NUL-terminated */
            size_t length;
        } text;
        struct {
            struct PickleValue **list;
            size_t count, capacity;
        } items;
        void *object;
    };
} PickleValue;

/* What the machine asks of its host. Each fills *result or fails. */
typedef struct PickleHost {
    void *context;
    /* An import. module and name are clean enough for messages. */
    RtStatus (*global)(void *context, const char *module, const char *name, PickleValue **result,
                       RtError *err);
    /* A call; callee may be any value. */
    RtStatus (*call)(void *context, const PickleValue *callee, const PickleValue *arguments,
                     PickleValue **result, RtError *err);
    /* A persistent id: what the pickle keeps outside of itself. */
    RtStatus (*persistent)(void *context, const PickleValue *id, PickleValue **result, RtError *err);
} PickleHost;

/* Reads one pickle at the start of data. *used becomes its length in bytes. Failures: RT_BAD_INPUT for a
 * damaged pickle, with path and byte; what the host or the arena fail with. */
RtStatus pickle_read(const char *path, const unsigned char *data, size_t size, const PickleHost *host,
                     RtArena *arena, PickleValue **value, size_t *used, RtError *err);

PickleValue *pickle_new(RtArena *arena, PickleKind kind);
/* Appends to a list or dict; false when the arena has nothing left. */
bool pickle_append(RtArena *arena, PickleValue *container, PickleValue *item);
bool pickle_is_text(const PickleValue *value, const char *text);

#endif
