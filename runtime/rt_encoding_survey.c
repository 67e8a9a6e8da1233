/* What label pictures hold and what is probably wrong with them: the surveys of rt_encoding.h. */
#include "rt_encoding.h"

#include "rt_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LISTED = 8,        /* wrong values that a message names */
    STEP_OF_GREYS = 9, /* grey renderings of classes keep at least this distance between values */
};

typedef struct SurveyValue SurveyValue;

static SurveyValue *place_of(const Survey *survey, uint32_t value)
{
    size_t place = ((value * 0x9e3779b1u) >> 8) & (survey->places - 1);
    while (survey->table[place].pixels && survey->table[place].value != value)
        place = (place + 1) & (survey->places - 1);
    return &survey->table[place];
}

/* Twice the places; false without memory. */
static bool grow(Survey *survey)
{
    Survey larger = *survey;
    larger.places = survey->places ? survey->places * 2 : 512;
    larger.table = rt_alloc(larger.places * sizeof *larger.table);
    if (!larger.table) return false;
    for (size_t i = 0; i < survey->places; i++)
        if (survey->table[i].pixels) *place_of(&larger, survey->table[i].value) = survey->table[i];
    rt_free(survey->table);
    *survey = larger;
    return true;
}

static bool add_value(Survey *survey, uint32_t value, int64_t pixels)
{
    if (survey->count * 2 >= survey->places && !grow(survey)) return false;
    SurveyValue *place = place_of(survey, value);
    survey->pixels += pixels;
    if (!place->pixels && survey->count == SURVEY_MOST) {
        survey->lost += pixels;
        return true;
    }
    if (!place->pixels) survey->count++;
    place->value = value;
    place->pixels += pixels;
    return true;
}

static uint32_t pack(const unsigned char rgb[3])
{
    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

/* The value of pixel i as the encoding sees it. */
static uint32_t value_at(const Encoding *encoding, const RtLabels *labels, size_t i)
{
    if (labels->colors) return pack(&labels->colors[3 * i]);
    unsigned id = labels->ids[i];
    return encoding->by_color && labels->palette.count ? pack(labels->palette.rgb[id & 255]) : id;
}

RtStatus survey_add(Survey *survey, const Encoding *encoding, const RtLabels *labels, RtError *err)
{
    size_t pixels = (size_t)labels->width * (size_t)labels->height;
    bool is_color = labels->colors || (encoding->by_color && labels->palette.count), grey = is_color;
    bool room = true;
    for (size_t i = 0; i < pixels && room;) {
        uint32_t value = value_at(encoding, labels, i);
        size_t end = i + 1;
        while (end < pixels && value_at(encoding, labels, end) == value) end++;
        grey &= (value >> 16) == (value & 255) && (value >> 8 & 255) == (value & 255);
        room = add_value(survey, value, (int64_t)(end - i));
        i = end;
    }
    survey->grey_colors = grey && (survey->grey_colors || survey->pixels == (int64_t)pixels);
    survey->by_color |= is_color;
    survey->palettes |= is_color && labels->ids;
    return room ? RT_OK : rt_fail(err, RT_MACHINE, "no memory to count label values");
}

void survey_free(Survey *survey)
{
    rt_free(survey->table);
    *survey = (Survey){0};
}

int64_t survey_unknown(const Survey *survey, const Encoding *encoding, size_t *values)
{
    int64_t pixels = survey->lost;
    *values = 0;
    for (size_t i = 0; i < survey->places; i++) {
        const SurveyValue *at = &survey->table[i];
        if (!at->pixels || encoding_meaning(encoding, at->value) != PROGRAM_UNKNOWN) continue;
        pixels += at->pixels;
        ++*values;
    }
    return pixels;
}

/* ---- causes ----------------------------------------------------------------------------------------------
 */

/* What the values of a survey say. */
typedef struct Range {
    uint32_t least, most, step; /* step: the smallest distance of two values */
} Range;

static int by_value(const void *a, const void *b)
{
    const SurveyValue *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

/* Most frequent first. */
static int by_pixels(const void *a, const void *b)
{
    const SurveyValue *x = a, *y = b;
    return x->pixels != y->pixels ? (x->pixels < y->pixels ? 1 : -1) : by_value(a, b);
}

/* The values in an array of survey->count, to be freed; NULL without memory. */
static SurveyValue *gather(const Survey *survey)
{
    SurveyValue *values = rt_alloc(survey->count * sizeof *values);
    size_t n = 0;
    for (size_t i = 0; values && i < survey->places; i++)
        if (survey->table[i].pixels) values[n++] = survey->table[i];
    return values;
}

static Range range_of(SurveyValue *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    Range range = {values[0].value, values[count - 1].value, UINT32_MAX};
    for (size_t i = 1; i < count; i++) {
        uint32_t step = values[i].value - values[i - 1].value;
        if (step < range.step) range.step = step;
    }
    return range;
}

/* Another encoding that knows every value: most likely the one that is meant. */
static bool find_better(const Survey *survey, const Encoding *encoding, char *text, size_t size)
{
    const ProgramHeader *program = encoding->program;
    for (uint32_t i = 0; program && i < program->data_sets.count; i++) {
        const ProgramDataSet *set = &PROGRAM_ARRAY(program, ProgramDataSet, program->data_sets)[i];
        for (uint32_t k = 0; k < set->encodings.count; k++) {
            Encoding other =
                encoding_of(program, set, &PROGRAM_ARRAY(program, ProgramEncoding, set->encodings)[k]);
            size_t unknown;
            if (other.by_color != survey->by_color || survey_unknown(survey, &other, &unknown)) continue;
            if (!strcmp(other.name, encoding->name) && !strcmp(other.data, encoding->data)) continue;
            snprintf(text, size, "%s.%s knows all of them: add ,encoding=%s.%s", other.data, other.name,
                     other.data, other.name);
            return true;
        }
    }
    return false;
}

/* Whether every value is the luminance of a class colour, as Pillow's convert("L") makes it. */
static bool is_luminance(const SurveyValue *values, size_t count, const ProgramHeader *program)
{
    size_t found = 0;
    for (size_t i = 0; program && i < count; i++) {
        bool hit = values[i].value == 0 || values[i].value == 255;
        for (uint32_t c = 0; c < program->classes.count && !hit; c++) {
            const uint8_t *rgb = program_classes(program)[c].color;
            hit = (rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16 == values[i].value;
        }
        found += hit;
    }
    return program && count > 2 && found == count;
}

static const char *cause_of_ids(SurveyValue *values, size_t count, size_t unknown, const Encoding *encoding)
{
    Range range = range_of(values, count);
    if (range.most >= 1000 && range.most / 1000 <= 33)
        return "these look like Cityscapes instance ids (class * 1000 + number): use the label pictures";
    if (encoding->classes == 19 && range.most <= 33)
        return "these look like Cityscapes label ids (0..33): convert them to train ids";
    if (is_luminance(values, count, encoding->program))
        return "these look like the luminance of the class colours: an RGB label saved as grey";
    if (count > 2 && range.step >= STEP_OF_GREYS)
        return "these look like a grey rendering of classes, not like class ids";
    if (count > (size_t)encoding->classes + 8 && count > 48)
        return "this looks like a photograph, not like class ids";
    if (unknown == 1 && range.most == (uint32_t)encoding->classes)
        return "if that value means void, make it the ignored label";
    return "the labels are of another set of classes";
}

static const char *cause_of_colors(const Survey *survey, size_t unknown)
{
    if (survey->palettes && unknown + 1 >= survey->count)
        return "in a palette PNG the indices may be the ids: try ,encoding=train_ids";
    if (survey->grey_colors) return "every pixel is grey: these are ids, or a grey picture, saved as RGB";
    if (survey->count > 400) return "this looks like a photograph, or like labels that were smoothed";
    return "the labels are of another set of classes";
}

/* ---- the message -----------------------------------------------------------------------------------------
 */

/* "77 (191 pixels), ..." or "#4080ff (191 pixels), ...": ids in their order, of colours the most frequent. */
static void list_unknown(SurveyValue *values, size_t count, const Encoding *encoding, size_t unknown,
                         char *text, size_t size)
{
    size_t used = 0, listed = 0;
    qsort(values, count, sizeof *values, encoding->by_color ? by_pixels : by_value);
    for (size_t i = 0; i < count && listed < LISTED && used < size; i++) {
        if (encoding_meaning(encoding, values[i].value) != PROGRAM_UNKNOWN) continue;
        used += (size_t)snprintf(text + used, size - used,
                                 encoding->by_color ? "%s#%06x (%lld pixels)" : "%s%u (%lld pixels)",
                                 listed ? ", " : "", values[i].value, (long long)values[i].pixels);
        listed++;
    }
    if (unknown > listed && used < size)
        snprintf(text + used, size - used, " and %zu others", unknown - listed);
}

static void say_expected(const Encoding *encoding, char *text, size_t size)
{
    if (encoding->by_color)
        snprintf(text, size, "the colours of %s.%s", encoding->data, encoding->name);
    else if (strcmp(encoding->name, "train_ids"))
        snprintf(text, size, "the ids of %s.%s", encoding->data, encoding->name);
    else
        snprintf(text, size, "0..%d or %d (ignored)", encoding->classes - 1, encoding->ignore);
}

RtStatus survey_explain(const Survey *survey, const Encoding *encoding, const char *name, RtError *err)
{
    size_t unknown;
    char listed[400] = "", expected[200], better[200];
    if (!survey_unknown(survey, encoding, &unknown)) return RT_OK;
    SurveyValue *values = gather(survey);
    if (!values) return rt_fail(err, RT_MACHINE, "no memory to count label values");
    list_unknown(values, survey->count, encoding, unknown, listed, sizeof listed);
    say_expected(encoding, expected, sizeof expected);
    const char *cause = better;
    if (!find_better(survey, encoding, better, sizeof better))
        cause = encoding->by_color ? cause_of_colors(survey, unknown)
                                   : cause_of_ids(values, survey->count, unknown, encoding);
    rt_free(values);
    return rt_fail(err, RT_BAD_INPUT, "%s: %s: %s; expected %s; %s", name,
                   encoding->by_color ? "unknown colours" : "labels out of range", listed, expected, cause);
}

RtStatus encoding_check(const Encoding *encoding, const char *name, const RtLabels *labels, RtError *err)
{
    Survey survey = {0};
    RtStatus status = encoding_fits(encoding, name, labels, err);
    if (!status) status = survey_add(&survey, encoding, labels, err);
    if (!status) status = survey_explain(&survey, encoding, name, err);
    survey_free(&survey);
    return status;
}
