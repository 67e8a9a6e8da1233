/* From label pictures as stored to classes: how the values or colours of a label file name them.
 *
 * A program knows the data sets that its YAML names, each with encodings (graphs/data/ and graphs/README.md
 * say what these are). An encoding of ids maps the stored number, which for a palette PNG is the index; one
 * of colours maps RGB, which for a palette PNG is the index's colour. Luminance is never used. What is mapped
 * is a class (0..255); what is known to be no class becomes the ignored id; so does anything else, but that
 * is counted as unknown, since it may mean that the encoding is the wrong one.
 *
 *     Encoding encoding;
 *     if (encoding_find(program, "label_ids", &encoding, &err)) return err.status;
 *     if (encoding_map(&encoding, path, &labels, &err)) return err.status;      (labels.classes is set)
 *
 * An Encoding is plain data that points into the program's image; it may be copied and owns nothing. Every
 * function is thread safe.
 */
#ifndef RT_ENCODING_H
#define RT_ENCODING_H

#include "program.h"
#include "rt_image.h"

typedef struct Encoding {
    const ProgramHeader *program; /* whose other encodings messages suggest; NULL: none */
    const char *data, *name;      /* "cityscapes", "label_ids"; data "" when it is of no data set */
    bool by_color;
    int classes;                /* ids 0..classes-1 */
    unsigned char ignore;       /* the ignored id */
    uint16_t map[256];          /* ids: the class, PROGRAM_VOID or PROGRAM_UNKNOWN of each stored value */
    const ProgramColor *colors; /* by_color */
    size_t color_count;
} Encoding;

/* How many classes a program's labels have: those of its class list, else of its prediction, else 256. */
int encoding_classes(const ProgramHeader *program);
/* The id that is not counted: the program's, or 255 where that is no byte. */
unsigned char encoding_ignore(const ProgramHeader *program);

/* The number of the class itself, and the ignored one. program NULL: 0..254 and 255. */
Encoding encoding_plain(const ProgramHeader *program);
/* One of a data set of the program. */
Encoding encoding_of(const ProgramHeader *program, const ProgramDataSet *set, const ProgramEncoding *from);
/* NAME, of the first data set that has it, or SET.NAME. RT_USAGE with the names that there are. "train_ids"
 * is always there. */
RtStatus encoding_find(const ProgramHeader *program, const char *name, Encoding *encoding, RtError *err);
/* The first encoding of colours; false if there is none. */
bool encoding_first_colors(const ProgramHeader *program, Encoding *encoding);
/* "cityscapes.train_ids, cityscapes.label_ids, ..." into text, which is returned. */
char *encoding_names(const ProgramHeader *program, char *text, size_t size);

/* Sets labels->classes and labels->unknown, and frees what was stored. name is the file's, for messages.
 * Fails as encoding_fits does, and for want of memory; labels are then as before. */
RtStatus encoding_map(const Encoding *encoding, const char *name, RtLabels *labels, RtError *err);
/* RT_USAGE if the labels are of the other kind, so that another encoding must be said: RGB where ids are
 * expected, grey where colours are. */
RtStatus encoding_fits(const Encoding *encoding, const char *name, const RtLabels *labels, RtError *err);

/* How often each value (stored id, or red << 16 | green << 8 | blue) occurs in label pictures. Owns its
 * table; zeroed at first, released with survey_free. Not thread safe. */
typedef struct Survey {
    struct SurveyValue {
        uint32_t value;
        int64_t pixels; /* 0: a free place */
    } * table;
    size_t places, count; /* places: a power of two */
    int64_t pixels, lost; /* lost: pixels of further values than SURVEY_MOST */
    bool grey_colors;     /* so far every RGB pixel had equal channels */
    bool by_color;        /* RGB pictures, or palettes looked up */
    bool palettes;        /* some of them */
} Survey;
enum { SURVEY_MOST = 1 << 16 };

/* Adds the pixels of a label picture that is not mapped yet, as the encoding sees it. RT_MACHINE. */
RtStatus survey_add(Survey *survey, const Encoding *encoding, const RtLabels *labels, RtError *err);
/* RT_OK if the encoding knows all that was surveyed; else RT_BAD_INPUT with what it does not know and what
 * that probably means: "NAME: labels out of range: 77 (191 pixels); expected 0..3 or 255 (ignored); ...".
 */
RtStatus survey_explain(const Survey *survey, const Encoding *encoding, const char *name, RtError *err);
/* Pixels of values that the encoding does not know, and how many such values there are. */
int64_t survey_unknown(const Survey *survey, const Encoding *encoding, size_t *values);
void survey_free(Survey *survey);
/* Both for one label picture that is not mapped yet. */
RtStatus encoding_check(const Encoding *encoding, const char *name, const RtLabels *labels, RtError *err);
/* The class, PROGRAM_VOID or PROGRAM_UNKNOWN of a value as surveys count it. */
unsigned encoding_meaning(const Encoding *encoding, uint32_t value);

#endif
