/* See tree.h. libyaml's events are composed into trees by recursive descent, bounded in depth by
 * TREE_MAX_DEPTH. The bytes are checked before libyaml sees them, so that its less telling messages about
 * encodings never show. libyaml counts characters; a Cursor turns its marks into lines and bytes as the
 * diagnostics count them, going through the text once because marks only rise.
 */
#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

/* A position in the source that moves forward by characters. */
typedef struct Cursor {
    const Source *source;
    size_t start;      /* bytes of a byte order mark, which libyaml does not count */
    size_t characters; /* before the cursor */
    size_t offset;     /* bytes before the cursor */
    size_t line_start;
    int line;
} Cursor;

typedef struct Anchor {
    const char *name;
    Pos pos;
    const Tree *tree; /* NULL: its tree is not complete yet */
} Anchor;

typedef struct Reader {
    Arena *arena;
    Diag *diag;
    yaml_parser_t parser;
    Cursor cursor;
    Anchor *anchors;
    int n_anchors, cap_anchors;
    int depth;
    int values; /* made so far, shared ones as often as they occur */
} Reader;

/* ---- the bytes -------------------------------------------------------------------------------------------
 */

static size_t mark_length(const Source *source)
{
    return source->size >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static void cursor_reset(Cursor *cursor)
{
    cursor->characters = 0;
    cursor->offset = cursor->line_start = cursor->start;
    cursor->line = 1;
}

static void cursor_step(Cursor *cursor)
{
    const char *text = cursor->source->text;
    if (text[cursor->offset] == '\n') {
        cursor->line++;
        cursor->line_start = cursor->offset + 1;
    }
    cursor->offset++;
    while (cursor->offset < cursor->source->size && ((unsigned char)text[cursor->offset] & 0xc0) == 0x80)
        cursor->offset++;
    cursor->characters++;
}

static Pos mark_pos(Reader *reader, yaml_mark_t mark)
{
    Cursor *cursor = &reader->cursor;
    if (mark.index < cursor->characters) cursor_reset(cursor);
    while (cursor->characters < mark.index && cursor->offset < cursor->source->size) cursor_step(cursor);
    return (Pos){cursor->source, cursor->line, (int)(cursor->offset - cursor->line_start) + 1};
}

/* The place of a byte, for the checks before libyaml's turn. */
static Pos byte_pos(const Source *source, size_t offset)
{
    Pos pos = {source, 1, 1};
    for (size_t i = 0; i < offset; i++) {
        pos.column++;
        if (source->text[i] != '\n') continue;
        pos.line++;
        pos.column = 1;
    }
    return pos;
}

/* The length of the character at text, 0 when it is no UTF-8: overlong, a surrogate, or beyond U+10FFFF. */
static size_t character_length(const unsigned char *text, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (text[0] < 0x80) return 1;
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || length > left) return 0;
    uint32_t code = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    bool valid = code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return valid ? length : 0;
}

static bool check_bytes(Diag *diag, const Source *source)
{
    const unsigned char *text = (const unsigned char *)source->text;
    if (source->size >= 2 && ((text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff))) {
        diag_error(diag, (Pos){source, 0, 0}, "the file is UTF-16; save it as UTF-8");
        return false;
    }
    for (size_t i = 0; i < source->size;) {
        size_t length = character_length(text + i, source->size - i);
        const char *fault = length == 0    ? "not UTF-8"
                            : text[i] == 0 ? "a NUL byte"
                            : text[i] < 0x20 && text[i] != '\t' && text[i] != '\n' && text[i] != '\r'
                                ? "a control byte"
                            : text[i] == 0x7f ? "a control byte"
                                              : NULL;
        if (fault) {
            diag_error(diag, byte_pos(source, i), "%s (0x%02x) in the file", fault, text[i]);
            return false;
        }
        i += length;
    }
    return true;
}

/* ---- from events to trees --------------------------------------------------------------------------------
 */

/* libyaml's more common findings in the words of somebody who edits the file; others are shown as they are.
 */
static const char *plain_words(const char *problem)
{
    static const char *const words[][2] = {
        {"did not find expected key", "a key is expected here, indented like those it belongs with"},
        {"did not find expected ',' or ']'", "',' or ']' is expected here"},
        {"did not find expected ',' or '}'", "',' or '}' is expected here"},
        {"could not find expected ':'", "':' and a value are missing after this key"},
        {"mapping values are not allowed in this context",
         "': ' can't stand here; a text that holds it must be quoted"},
        {"did not find expected '-' indicator", "'-' is expected here, as for the items above"},
        {"found unexpected end of stream", "the file ends inside a quoted text"},
        {"found character that cannot start any token",
         "this character can't begin a value; a text must be quoted"},
        {"did not find expected node content", "a value is expected here"},
        {"block sequence entries are not allowed in this context", "a list item can't stand here"},
        {"did not find expected <document start>", "the file goes on after its end"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(problem, words[i][0]) == 0) return words[i][1];
    return problem;
}

/* "while parsing a block mapping" names what was being read; where it begins helps. */
static void note_context(Reader *reader)
{
    static const char *const parts[][2] = {
        {"block mapping", "the mapping begins here"},     {"flow mapping", "the mapping begins here"},
        {"block collection", "the list begins here"},     {"flow sequence", "the list begins here"},
        {"quoted scalar", "the quoted text begins here"}, {"simple key", "the key begins here"},
    };
    const yaml_parser_t *parser = &reader->parser;
    if (!parser->context || parser->context_mark.index == parser->problem_mark.index) return;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(parser->context, parts[i][0]))
            diag_note(reader->diag, mark_pos(reader, parser->context_mark), "%s", parts[i][1]);
}

static void report_syntax(Reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    Pos pos = mark_pos(reader, parser->problem_mark);
    size_t offset = reader->cursor.offset;
    const Source *source = reader->cursor.source;
    if (offset < source->size && source->text[offset] == '\t')
        diag_error(reader->diag, pos, "a tab can't be used here: YAML indents with blanks");
    else
        diag_error(reader->diag, pos, "%s", plain_words(parser->problem ? parser->problem : "not YAML"));
    note_context(reader);
}

static bool next_event(Reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event)) return true;
    if (reader->parser.error == YAML_MEMORY_ERROR)
        diag_error(reader->diag, (Pos){reader->cursor.source, 0, 0}, "not enough memory to read the file");
    else
        report_syntax(reader);
    return false;
}

/* Counts weight more values; an alias adds the whole of what it stands for. */
static bool count_values(Reader *reader, int weight, Pos pos)
{
    if (weight <= TREE_MAX_VALUES - reader->values) {
        reader->values += weight;
        return true;
    }
    diag_error(reader->diag, pos,
               "the file has more than %d values, each alias counted as what it stands for", TREE_MAX_VALUES);
    return false;
}

/* The number of the anchor that stands before the value at pos, -1 if none. */
static int open_anchor(Reader *reader, const yaml_char_t *name, Pos pos)
{
    if (!name) return -1;
    Anchor anchor = {arena_strdup(reader->arena, (const char *)name), pos, NULL};
    ARENA_PUSH(reader->arena, reader->anchors, reader->n_anchors, reader->cap_anchors, anchor);
    return reader->n_anchors - 1;
}

static const Tree *resolve_alias(Reader *reader, const char *name, Pos pos)
{
    for (int i = reader->n_anchors - 1; i >= 0; i--) {
        const Anchor *anchor = &reader->anchors[i];
        if (strcmp(anchor->name, name) != 0) continue;
        if (anchor->tree) return count_values(reader, anchor->tree->weight, pos) ? anchor->tree : NULL;
        diag_error(reader->diag, pos, "alias '*%s' stands inside what it names", name);
        diag_note(reader->diag, anchor->pos, "the anchor is here");
        return NULL;
    }
    diag_error(reader->diag, pos, "there is no anchor '&%s' above this alias", name);
    return NULL;
}

/* Whether text stands in the source as it is, at pos or behind its quote. */
static void find_verbatim(Tree *tree, const Source *source, size_t offset, size_t length)
{
    tree->text_offset = tree->quoted ? 1 : 0;
    size_t start = offset + (size_t)tree->text_offset;
    tree->verbatim = start <= source->size && length <= source->size - start &&
                     !memcmp(source->text + start, tree->text, length);
}

static const Tree *read_scalar(Reader *reader, const yaml_event_t *event, Pos pos)
{
    size_t offset = reader->cursor.offset, length = event->data.scalar.length;
    const char *text = (const char *)event->data.scalar.value;
    if (memchr(text, 0, length)) {
        diag_error(reader->diag, pos, "the escape \\0 makes a NUL byte, which no name or number has");
        return NULL;
    }
    Tree *tree = ARENA_NEW(reader->arena, Tree);
    *tree = (Tree){.kind = TREE_SCALAR, .pos = pos, .weight = 1};
    tree->text = arena_strndup(reader->arena, text, length);
    tree->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    find_verbatim(tree, reader->cursor.source, offset, length);
    return tree;
}

static const Tree *read_value(Reader *reader, const yaml_event_t *event);

static const Tree *read_sequence(Reader *reader, Pos pos)
{
    const Tree **items = NULL;
    int n = 0, capacity = 0, weight = 1;
    for (yaml_event_t event;;) {
        if (!next_event(reader, &event)) return NULL;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        const Tree *item = end ? NULL : read_value(reader, &event);
        yaml_event_delete(&event);
        if (end) break;
        if (!item) return NULL;
        ARENA_PUSH(reader->arena, items, n, capacity, item);
        weight += item->weight;
    }
    Tree *tree = ARENA_NEW(reader->arena, Tree);
    *tree = (Tree){.kind = TREE_SEQUENCE, .pos = pos, .n = n, .items = items, .weight = weight};
    return tree;
}

/* The key of an entry, NULL after reporting. */
static const char *read_key(Reader *reader, const yaml_event_t *event, Pos *pos)
{
    *pos = mark_pos(reader, event->start_mark);
    if (event->type != YAML_SCALAR_EVENT) {
        diag_error(reader->diag, *pos, "a key must be a name");
        return NULL;
    }
    const Tree *key = read_value(reader, event);
    if (!key) return NULL;
    if (!key->quoted && strcmp(key->text, "<<") == 0) {
        diag_error(reader->diag, *pos,
                   "merge keys are not supported: write the keys out, or make a block with settings");
        return NULL;
    }
    return key->text;
}

/* Adds an entry unless the key is there already, which is reported; reading goes on after that. */
static void add_entry(Reader *reader, TreeKeys *keys, TreeEntry entry)
{
    int first = tree_keys_find(keys, entry.key);
    if (first < 0) {
        tree_keys_add(reader->arena, keys, entry);
        return;
    }
    diag_error(reader->diag, entry.pos, "the key '%s' is given twice", entry.key);
    diag_note(reader->diag, keys->entries[first].pos, "first given here");
}

static const Tree *read_mapping(Reader *reader, Pos pos)
{
    TreeKeys keys = {0};
    for (yaml_event_t event;;) {
        TreeEntry entry = {0};
        if (!next_event(reader, &event)) return NULL;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end) entry.key = read_key(reader, &event, &entry.pos);
        yaml_event_delete(&event);
        if (end) break;
        if (!entry.key || !next_event(reader, &event)) return NULL;
        entry.value = read_value(reader, &event);
        yaml_event_delete(&event);
        if (!entry.value) return NULL;
        add_entry(reader, &keys, entry);
    }
    return tree_mapping(reader->arena, pos, keys.entries, keys.n);
}

static const Tree *read_nested(Reader *reader, const yaml_event_t *event, Pos pos)
{
    if (reader->depth == TREE_MAX_DEPTH) {
        diag_error(reader->diag, pos, "nested more than %d deep", TREE_MAX_DEPTH);
        return NULL;
    }
    reader->depth++;
    const Tree *tree =
        event->type == YAML_SEQUENCE_START_EVENT ? read_sequence(reader, pos) : read_mapping(reader, pos);
    reader->depth--;
    return tree;
}

/* Where the value itself begins: libyaml's mark of one with an anchor is that of the anchor. */
static Pos value_pos(Reader *reader, const yaml_event_t *event, bool anchored)
{
    Pos pos = mark_pos(reader, event->start_mark);
    if (!anchored) return pos;
    Cursor *cursor = &reader->cursor;
    const char *text = cursor->source->text;
    size_t size = cursor->source->size;
    while (cursor->offset < size && !strchr(" \n", text[cursor->offset])) cursor_step(cursor);
    while (cursor->offset < size && strchr(" \n", text[cursor->offset])) cursor_step(cursor);
    return (Pos){cursor->source, cursor->line, (int)(cursor->offset - cursor->line_start) + 1};
}

static bool reject_tag(Reader *reader, const yaml_char_t *tag, Pos pos)
{
    if (!tag || strcmp((const char *)tag, "!") == 0) return true;
    diag_error(reader->diag, pos, "tags such as '%s' are not supported", (const char *)tag);
    return false;
}

/* The tree that begins with event, which stays the caller's; NULL after reporting. */
static const Tree *read_value(Reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *name = NULL, *tag = NULL;
    Pos start = mark_pos(reader, event->start_mark);
    switch (event->type) {
    case YAML_ALIAS_EVENT: return resolve_alias(reader, (const char *)event->data.alias.anchor, start);
    case YAML_SCALAR_EVENT:
        name = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        name = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        name = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default: diag_error(reader->diag, start, "a value is expected here"); return NULL;
    }
    if (!reject_tag(reader, tag, start) || !count_values(reader, 1, start)) return NULL;
    int anchor = open_anchor(reader, name, start);
    Pos pos = value_pos(reader, event, name != NULL);
    const Tree *tree =
        event->type == YAML_SCALAR_EVENT ? read_scalar(reader, event, pos) : read_nested(reader, event, pos);
    if (anchor >= 0) reader->anchors[anchor].tree = tree;
    return tree;
}

/* Takes the next event, which must be of this type; false after reporting. */
static bool expect_event(Reader *reader, yaml_event_type_t type)
{
    yaml_event_t event;
    if (!next_event(reader, &event)) return false;
    bool right = event.type == type;
    if (!right && event.type == YAML_DOCUMENT_START_EVENT)
        diag_error(reader->diag, mark_pos(reader, event.start_mark),
                   "a second document begins here; a file holds one");
    else if (!right)
        diag_error(reader->diag, (Pos){reader->cursor.source, 0, 0},
                   "the file is empty: it holds no key, only blanks or comments");
    yaml_event_delete(&event);
    return right;
}

static const Tree *read_document(Reader *reader)
{
    yaml_event_t event;
    if (!expect_event(reader, YAML_STREAM_START_EVENT) || !expect_event(reader, YAML_DOCUMENT_START_EVENT))
        return NULL;
    if (!next_event(reader, &event)) return NULL;
    const Tree *root = read_value(reader, &event);
    yaml_event_delete(&event);
    if (!root || !expect_event(reader, YAML_DOCUMENT_END_EVENT) ||
        !expect_event(reader, YAML_STREAM_END_EVENT))
        return NULL;
    return root;
}

const Tree *yaml_parse(Arena *arena, Diag *diag, const Source *source)
{
    int errors = diag_errors(diag);
    if (!check_bytes(diag, source)) return NULL;
    Reader reader = {
        .arena = arena, .diag = diag, .cursor = {.source = source, .start = mark_length(source)}};
    cursor_reset(&reader.cursor);
    if (!yaml_parser_initialize(&reader.parser)) {
        diag_error(diag, (Pos){source, 0, 0}, "not enough memory to read the file");
        return NULL;
    }
    const unsigned char *text = (const unsigned char *)source->text + reader.cursor.start;
    yaml_parser_set_input_string(&reader.parser, text, source->size - reader.cursor.start);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    const Tree *root = read_document(&reader);
    yaml_parser_delete(&reader.parser);
    return diag_errors(diag) == errors ? root : NULL;
}

/* ---- files -----------------------------------------------------------------------------------------------
 */

/* The bytes of a file, NULL with errno set when it can't be read. */
static char *read_file(Arena *arena, const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file) return NULL;
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(file);
        errno = EISDIR;
        return NULL;
    }
    /* Read to its end rather than by its size, so that pipes work. */
    Text text = text_new(arena);
    char block[1 << 14];
    size_t count;
    while (text.length <= TREE_MAX_BYTES && (count = fread(block, 1, sizeof block, file)) > 0)
        text_append(&text, block, count);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    errno = failed;
    *size = text.length;
    return failed ? NULL : text.text;
}

const Tree *yaml_load(Arena *arena, Diag *diag, const char *path)
{
    Source *source = ARENA_NEW(arena, Source);
    source->path = arena_strdup(arena, path);
    source->text = read_file(arena, path, &source->size);
    if (!source->text) {
        diag_error(diag, (Pos){source, 0, 0}, "can't be read: %s", strerror(errno));
        return NULL;
    }
    if (source->size > TREE_MAX_BYTES) {
        diag_error(diag, (Pos){source, 0, 0}, "larger than %d MB", TREE_MAX_BYTES >> 20);
        return NULL;
    }
    return yaml_parse(arena, diag, source);
}
