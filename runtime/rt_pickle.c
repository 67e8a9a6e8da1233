/* See rt_pickle.h. One function per family of opcodes and a table of 256 rows that leads to them; the
 * meanings are those of Lib/pickletools.py.
 *
 * Bounds. Every opcode is at least one byte and makes at most one value, so values are bounded by the
 * pickle's size; a memo index beyond the number of opcodes so far cannot come from an honest pickler, and is
 * refused.
 */
#define _GNU_SOURCE
#include "rt_pickle.h"

#include <string.h>

enum { MAX_GLOBAL = 200 /* bytes of a module's or a name's text */ };

typedef struct Machine {
    const char *path;
    const unsigned char *data;
    size_t size, at; /* bytes: all, read */
    size_t opcode_at;
    size_t steps; /* opcodes run */
    const PickleHost *host;
    RtArena *arena;
    PickleValue **stack; /* NULL entries are marks */
    size_t depth, stack_room;
    PickleValue **memo;           /* NULL: not set */
    size_t memo_room, memo_count; /* entries: places, set */
    bool stopped;
    RtError *err;
} Machine;

/* number is the row's: a width in bytes, a count, or a value. */
typedef RtStatus OpcodeFn(Machine *machine, int number);

static RtStatus damaged(Machine *machine, const char *what)
{
    return rt_fail(machine->err, RT_BAD_INPUT, "%s: damaged pickle, byte %zu: %s", machine->path,
                   machine->opcode_at, what);
}

static RtStatus no_memory(Machine *machine)
{
    return rt_arena_fail(machine->arena, machine->path, machine->err);
}

PickleValue *pickle_new(RtArena *arena, PickleKind kind)
{
    PickleValue *value = rt_arena_alloc(arena, sizeof *value);
    if (value) value->kind = kind;
    return value;
}

bool pickle_append(RtArena *arena, PickleValue *container, PickleValue *item)
{
    PickleValue **list = rt_arena_grow(arena, container->items.list, container->items.count,
                                       &container->items.capacity, sizeof *list);
    if (!list) return false;
    container->items.list = list;
    list[container->items.count++] = item;
    return true;
}

bool pickle_is_text(const PickleValue *value, const char *text)
{
    const size_t length = strlen(text);
    return value->kind == PICKLE_TEXT && value->text.length == length &&
           !memcmp(value->text.start, text, length);
}

/* The stack. */

/* value is NULL when there was no memory for it, or for a mark. */
static RtStatus push_or_mark(Machine *machine, PickleValue *value)
{
    PickleValue **stack =
        rt_arena_grow(machine->arena, machine->stack, machine->depth, &machine->stack_room, sizeof *stack);
    if (!stack) return no_memory(machine);
    machine->stack = stack;
    stack[machine->depth++] = value;
    return RT_OK;
}

static RtStatus push(Machine *machine, PickleValue *value)
{
    return value ? push_or_mark(machine, value) : no_memory(machine);
}

static PickleValue *top(const Machine *machine)
{
    return machine->depth ? machine->stack[machine->depth - 1] : NULL;
}

static RtStatus pop(Machine *machine, PickleValue **value)
{
    *value = top(machine);
    if (!*value) return damaged(machine, "a value is missing on the stack");
    machine->depth--;
    return RT_OK;
}

/* The values above the last mark, which goes away too. They stay where they are until the next push. */
static RtStatus pop_marked(Machine *machine, PickleValue ***values, size_t *count)
{
    size_t below = machine->depth;
    while (below > 0 && machine->stack[below - 1]) below--;
    if (below == 0) return damaged(machine, "no mark on the stack");
    *values = machine->stack + below;
    *count = machine->depth - below;
    machine->depth = below - 1;
    return RT_OK;
}

/* Reading operands. */

static RtStatus take(Machine *machine, uint64_t count, const unsigned char **bytes)
{
    if (count > machine->size - machine->at)
        return damaged(machine, "it ends early (is the file truncated?)");
    *bytes = machine->data + machine->at;
    machine->at += count;
    return RT_OK;
}

/* width bytes, at most 8, little-endian. */
static RtStatus take_number(Machine *machine, int width, uint64_t *number)
{
    const unsigned char *bytes = NULL;
    RtStatus status = take(machine, (uint64_t)width, &bytes);
    if (status) return status;
    *number = 0;
    for (int i = width - 1; i >= 0; i--) *number = *number << 8 | bytes[i];
    return RT_OK;
}

static int64_t sign_extended(uint64_t number, uint64_t bytes)
{
    if (bytes == 0) return 0;
    const int shift = 64 - 8 * (int)bytes;
    return (int64_t)(number << shift) >> shift;
}

/* Opcodes: simple values. */

static RtStatus push_whole(Machine *machine, PickleKind kind, int64_t whole)
{
    PickleValue *value = pickle_new(machine->arena, kind);
    if (value) value->whole = whole;
    return push(machine, value);
}

static RtStatus op_none(Machine *machine, int number)
{
    (void)number;
    return push(machine, pickle_new(machine->arena, PICKLE_NONE));
}

static RtStatus op_bool(Machine *machine, int truth)
{
    return push_whole(machine, PICKLE_BOOL, truth);
}

/* BININT is signed, its shorter forms are not. */
static RtStatus op_int(Machine *machine, int width)
{
    uint64_t number;
    RtStatus status = take_number(machine, width, &number);
    if (status) return status;
    return push_whole(machine, PICKLE_INT, width == 4 ? sign_extended(number, 4) : (int64_t)number);
}

static RtStatus op_long(Machine *machine, int width)
{
    uint64_t bytes = 0, number = 0;
    RtStatus status = take_number(machine, width, &bytes);
    if (status) return status;
    if (bytes > 8) {
        const unsigned char *ignored;
        status = take(machine, bytes, &ignored);
        return status ? status : push(machine, pickle_new(machine->arena, PICKLE_BIG));
    }
    status = take_number(machine, (int)bytes, &number);
    return status ? status : push_whole(machine, PICKLE_INT, sign_extended(number, bytes));
}

/* Big-endian, unlike everything else. */
static RtStatus op_float(Machine *machine, int width)
{
    uint64_t bits;
    RtStatus status = take_number(machine, width, &bits);
    if (status) return status;
    bits = __builtin_bswap64(bits);
    PickleValue *value = pickle_new(machine->arena, PICKLE_FLOAT);
    if (value) memcpy(&value->real, &bits, sizeof bits);
    return push(machine, value);
}

static RtStatus push_text(Machine *machine, PickleKind kind, int width)
{
    uint64_t length = 0;
    const unsigned char *bytes = NULL;
    RtStatus status = take_number(machine, width, &length);
    if (!status) status = take(machine, length, &bytes);
    if (status) return status;
    PickleValue *value = pickle_new(machine->arena, kind);
    if (value) {
        value->text.start = (const char *)bytes;
        value->text.length = length;
    }
    return push(machine, value);
}

static RtStatus op_text(Machine *machine, int width)
{
    return push_text(machine, PICKLE_TEXT, width);
}

static RtStatus op_bytes(Machine *machine, int width)
{
    return push_text(machine, PICKLE_BYTES, width);
}

/* Opcodes: containers. */

static RtStatus op_empty(Machine *machine, int kind)
{
    return push(machine, pickle_new(machine->arena, (PickleKind)kind));
}

/* Adds values of the stack to a container. A dict takes pairs. */
static RtStatus extend(Machine *machine, PickleValue *container, PickleKind kind, PickleValue *const *values,
                       size_t count)
{
    if (!container || container->kind != kind)
        return damaged(machine, "it adds to what is no such container");
    if (kind == PICKLE_DICT && count % 2) return damaged(machine, "a dict key without a value");
    for (size_t i = 0; i < count; i++) {
        if (!pickle_append(machine->arena, container, values[i])) return no_memory(machine);
    }
    return RT_OK;
}

static RtStatus push_container(Machine *machine, int kind, PickleValue *const *values, size_t count)
{
    PickleValue *value = pickle_new(machine->arena, (PickleKind)kind);
    if (!value) return no_memory(machine);
    RtStatus status = extend(machine, value, (PickleKind)kind, values, count);
    return status ? status : push(machine, value);
}

static RtStatus op_from_mark(Machine *machine, int kind)
{
    PickleValue **values;
    size_t count;
    RtStatus status = pop_marked(machine, &values, &count);
    return status ? status : push_container(machine, kind, values, count);
}

static RtStatus op_short_tuple(Machine *machine, int count)
{
    PickleValue *values[3];
    for (int i = count - 1; i >= 0; i--) {
        RtStatus status = pop(machine, &values[i]);
        if (status) return status;
    }
    return push_container(machine, PICKLE_TUPLE, values, (size_t)count);
}

static RtStatus op_append(Machine *machine, int number)
{
    (void)number;
    PickleValue *value;
    RtStatus status = pop(machine, &value);
    return status ? status : extend(machine, top(machine), PICKLE_LIST, &value, 1);
}

static RtStatus op_set_item(Machine *machine, int number)
{
    (void)number;
    PickleValue *pair[2];
    RtStatus status = pop(machine, &pair[1]);
    if (!status) status = pop(machine, &pair[0]);
    return status ? status : extend(machine, top(machine), PICKLE_DICT, pair, 2);
}

static RtStatus op_extend(Machine *machine, int kind)
{
    PickleValue **values;
    size_t count;
    RtStatus status = pop_marked(machine, &values, &count);
    return status ? status : extend(machine, top(machine), (PickleKind)kind, values, count);
}

/* Opcodes: the stack and the memo. */

static RtStatus op_mark(Machine *machine, int number)
{
    (void)number;
    return push_or_mark(machine, NULL);
}

/* POP takes a mark away as well. */
static RtStatus op_pop(Machine *machine, int number)
{
    (void)number;
    if (!machine->depth) return damaged(machine, "a value is missing on the stack");
    machine->depth--;
    return RT_OK;
}

static RtStatus op_pop_mark(Machine *machine, int number)
{
    (void)number;
    PickleValue **values;
    size_t count;
    return pop_marked(machine, &values, &count);
}

static RtStatus op_dup(Machine *machine, int number)
{
    (void)number;
    return top(machine) ? push(machine, top(machine)) : damaged(machine, "a value is missing on the stack");
}

static RtStatus remember(Machine *machine, uint64_t index)
{
    if (!top(machine)) return damaged(machine, "a value is missing on the stack");
    if (index >= machine->steps) return damaged(machine, "a memo index out of range");
    while (index >= machine->memo_room) {
        /* Growing fills with zeroes, which stand for "not set". */
        const size_t room = machine->memo_room;
        PickleValue **memo =
            rt_arena_grow(machine->arena, machine->memo, room, &machine->memo_room, sizeof *memo);
        if (!memo) return no_memory(machine);
        machine->memo = memo;
    }
    if (!machine->memo[index]) machine->memo_count++;
    machine->memo[index] = top(machine);
    return RT_OK;
}

static RtStatus op_put(Machine *machine, int width)
{
    uint64_t index;
    RtStatus status = take_number(machine, width, &index);
    return status ? status : remember(machine, index);
}

static RtStatus op_memoize(Machine *machine, int number)
{
    (void)number;
    return remember(machine, machine->memo_count);
}

static RtStatus op_get(Machine *machine, int width)
{
    uint64_t index;
    RtStatus status = take_number(machine, width, &index);
    if (status) return status;
    PickleValue *value = index < machine->memo_room ? machine->memo[index] : NULL;
    return value ? push(machine, value) : damaged(machine, "a memo index that was never set");
}

/* Opcodes: what goes to the host. */

/* A copy for lookup and messages: identifiers and dots as they are, all else as '?'. */
static void clean_text(const char *start, size_t length, char to[MAX_GLOBAL + 1])
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.<>";
    if (length > MAX_GLOBAL) length = MAX_GLOBAL;
    for (size_t i = 0; i < length; i++) to[i] = start[i] && strchr(allowed, start[i]) ? start[i] : '?';
    to[length] = '\0';
}

static RtStatus import(Machine *machine, const char *module, size_t module_length, const char *name,
                       size_t name_length)
{
    char module_text[MAX_GLOBAL + 1], name_text[MAX_GLOBAL + 1];
    clean_text(module, module_length, module_text);
    clean_text(name, name_length, name_text);
    PickleValue *value = NULL;
    RtStatus status =
        machine->host->global(machine->host->context, module_text, name_text, &value, machine->err);
    return status ? status : push(machine, value);
}

static RtStatus take_line(Machine *machine, const char **line, size_t *length)
{
    *line = (const char *)machine->data + machine->at;
    const char *end = memchr(*line, '\n', machine->size - machine->at);
    if (!end) return damaged(machine, "it ends early (is the file truncated?)");
    *length = (size_t)(end - *line);
    machine->at += *length + 1;
    return RT_OK;
}

static RtStatus op_global(Machine *machine, int number)
{
    (void)number;
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    RtStatus status = take_line(machine, &module, &module_length);
    if (!status) status = take_line(machine, &name, &name_length);
    return status ? status : import(machine, module, module_length, name, name_length);
}

static RtStatus op_stack_global(Machine *machine, int number)
{
    (void)number;
    PickleValue *module, *name;
    RtStatus status = pop(machine, &name);
    if (!status) status = pop(machine, &module);
    if (status) return status;
    if (module->kind != PICKLE_TEXT || name->kind != PICKLE_TEXT)
        return damaged(machine, "an import that is not by name");
    return import(machine, module->text.start, module->text.length, name->text.start, name->text.length);
}

static RtStatus op_reduce(Machine *machine, int number)
{
    (void)number;
    PickleValue *callee, *arguments, *value = NULL;
    RtStatus status = pop(machine, &arguments);
    if (!status) status = pop(machine, &callee);
    if (status) return status;
    if (arguments->kind != PICKLE_TUPLE) return damaged(machine, "a call without a tuple of arguments");
    status = machine->host->call(machine->host->context, callee, arguments, &value, machine->err);
    return status ? status : push(machine, value);
}

/* Sets attributes of an object, which data has none of: an OrderedDict's _metadata is all that occurs. */
static RtStatus op_build(Machine *machine, int number)
{
    (void)number;
    PickleValue *state;
    RtStatus status = pop(machine, &state);
    if (status) return status;
    return top(machine) ? RT_OK : damaged(machine, "a value is missing on the stack");
}

static RtStatus op_persistent(Machine *machine, int number)
{
    (void)number;
    PickleValue *id, *value = NULL;
    RtStatus status = pop(machine, &id);
    if (!status) status = machine->host->persistent(machine->host->context, id, &value, machine->err);
    return status ? status : push(machine, value);
}

/* Opcodes: framing. */

static RtStatus op_protocol(Machine *machine, int number)
{
    (void)number;
    uint64_t protocol;
    RtStatus status = take_number(machine, 1, &protocol);
    if (status) return status;
    return protocol >= 2 && protocol <= 5 ? RT_OK : damaged(machine, "a protocol other than 2 to 5");
}

static RtStatus op_frame(Machine *machine, int width)
{
    uint64_t length;
    return take_number(machine, width, &length);
}

static RtStatus op_stop(Machine *machine, int number)
{
    (void)number;
    machine->stopped = true;
    return RT_OK;
}

static const struct {
    OpcodeFn *run;
    int number;
} OPCODES[256] = {
    [0x80] = {op_protocol, 0},            /* PROTO */
    [0x95] = {op_frame, 8},               /* FRAME */
    ['.'] = {op_stop, 0},                 /* STOP */
    ['N'] = {op_none, 0},                 /* NONE */
    [0x88] = {op_bool, 1},                /* NEWTRUE */
    [0x89] = {op_bool, 0},                /* NEWFALSE */
    ['K'] = {op_int, 1},                  /* BININT1 */
    ['M'] = {op_int, 2},                  /* BININT2 */
    ['J'] = {op_int, 4},                  /* BININT */
    [0x8a] = {op_long, 1},                /* LONG1 */
    [0x8b] = {op_long, 4},                /* LONG4 */
    ['G'] = {op_float, 8},                /* BINFLOAT */
    ['U'] = {op_text, 1},                 /* SHORT_BINSTRING */
    ['T'] = {op_text, 4},                 /* BINSTRING */
    [0x8c] = {op_text, 1},                /* SHORT_BINUNICODE */
    ['X'] = {op_text, 4},                 /* BINUNICODE */
    [0x8d] = {op_text, 8},                /* BINUNICODE8 */
    ['C'] = {op_bytes, 1},                /* SHORT_BINBYTES */
    ['B'] = {op_bytes, 4},                /* BINBYTES */
    [0x8e] = {op_bytes, 8},               /* BINBYTES8 */
    [0x96] = {op_bytes, 8},               /* BYTEARRAY8 */
    [']'] = {op_empty, PICKLE_LIST},      /* EMPTY_LIST */
    [0x8f] = {op_empty, PICKLE_LIST},     /* EMPTY_SET */
    ['}'] = {op_empty, PICKLE_DICT},      /* EMPTY_DICT */
    [')'] = {op_empty, PICKLE_TUPLE},     /* EMPTY_TUPLE */
    ['l'] = {op_from_mark, PICKLE_LIST},  /* LIST */
    [0x91] = {op_from_mark, PICKLE_LIST}, /* FROZENSET */
    ['d'] = {op_from_mark, PICKLE_DICT},  /* DICT */
    ['t'] = {op_from_mark, PICKLE_TUPLE}, /* TUPLE */
    [0x85] = {op_short_tuple, 1},         /* TUPLE1 */
    [0x86] = {op_short_tuple, 2},         /* TUPLE2 */
    [0x87] = {op_short_tuple, 3},         /* TUPLE3 */
    ['a'] = {op_append, 0},               /* APPEND */
    ['e'] = {op_extend, PICKLE_LIST},     /* APPENDS */
    [0x90] = {op_extend, PICKLE_LIST},    /* ADDITEMS */
    ['s'] = {op_set_item, 0},             /* SETITEM */
    ['u'] = {op_extend, PICKLE_DICT},     /* SETITEMS */
    ['('] = {op_mark, 0},                 /* MARK */
    ['0'] = {op_pop, 0},                  /* POP */
    ['1'] = {op_pop_mark, 0},             /* POP_MARK */
    ['2'] = {op_dup, 0},                  /* DUP */
    ['q'] = {op_put, 1},                  /* BINPUT */
    ['r'] = {op_put, 4},                  /* LONG_BINPUT */
    [0x94] = {op_memoize, 0},             /* MEMOIZE */
    ['h'] = {op_get, 1},                  /* BINGET */
    ['j'] = {op_get, 4},                  /* LONG_BINGET */
    ['c'] = {op_global, 0},               /* GLOBAL */
    [0x93] = {op_stack_global, 0},        /* STACK_GLOBAL */
    ['R'] = {op_reduce, 0},               /* REDUCE */
    ['b'] = {op_build, 0},                /* BUILD */
    ['Q'] = {op_persistent, 0},           /* BINPERSID */
};

static RtStatus step(Machine *machine)
{
    const unsigned char *opcode = NULL;
    machine->opcode_at = machine->at;
    RtStatus status = take(machine, 1, &opcode);
    if (status) return status;
    if (!OPCODES[*opcode].run)
        return rt_fail(machine->err, RT_BAD_INPUT,
                       "%s: refused: the pickle's byte %zu is opcode 0x%02x, which is not read",
                       machine->path, machine->opcode_at, *opcode);
    machine->steps++;
    return OPCODES[*opcode].run(machine, OPCODES[*opcode].number);
}

RtStatus pickle_read(const char *path, const unsigned char *data, size_t size, const PickleHost *host,
                     RtArena *arena, PickleValue **value, size_t *used, RtError *err)
{
    Machine machine = {.path = path, .data = data, .size = size, .host = host, .arena = arena, .err = err};
    while (!machine.stopped) {
        RtStatus status = step(&machine);
        if (status) return status;
    }
    *used = machine.at;
    return pop(&machine, value);
}
