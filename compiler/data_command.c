/* See data_command.h. The data set's file becomes the same image that programs carry, so that a specification
 * means here what it will mean to them. */
#define _GNU_SOURCE
#include "data_command.h"

#include "data_check.h"
#include "data_convert.h"

#include <signal.h>
#include <string.h>

#include "../runtime/rt_verbs.h"

enum { DRAWN_HEIGHT = 512, DRAWN_WIDTH = 1024 };

static const char usage[] =
    "usage: segc data check SPEC --data FILE [--report FILE]\n"
    "       segc data convert SPEC --data FILE -o DIR\n"
    "check reads every image and label and says what is wrong with them; convert writes the labels as PNGs\n"
    "of class ids, and a list of the pairs.\n\n";

static const char specs[] =
    "\nSPEC is one of\n"
    "  SET:DIR@SPLIT            a data set in its own layout: cityscapes:DIR@train, gta5:DIR\n"
    "  FILE, list:FILE[@ROOT]   \"image label\" lines\n"
    "  images:DIR,labels:DIR    pictures and labels of the same base names\n"
    "  images:DIR               pictures alone\n"
    "and then, if wanted: ,encoding=NAME ,only=FILE ,count=N,seed=S ,labels=none\n";

typedef struct DataCommand {
    Command *c;
    bool convert;
    const char *spec, *data, *report, *folder;
    const ProgramHeader *program;
    DataSet set;
} DataCommand;

/* A name is that of a shipped file: cityscapes is data/cityscapes.yaml. */
static const ProgramHeader *load_data(DataCommand *d)
{
    Command *c = d->c;
    const char *name = d->data;
    if (!strpbrk(name, "./")) name = arena_printf(c->arena, "data/%s.yaml", name);
    const ModelData *data =
        model_data_load(c->arena, c->diag, command_find_file(c, name), c->model_options.graph_dirs);
    if (!data) diag_print(c->diag, stderr);
    return data ? image_write_data(c->arena, data) : NULL;
}

static RtStatus run_job(DataCommand *d, RtError *err)
{
    RtStatus status = data_open_for(d->program, d->spec, &d->set, err);
    if (status) return status;
    data_default_size(&d->set, DRAWN_WIDTH, DRAWN_HEIGHT);
    if (!d->convert) {
        const DataCheckJob job = {d->program, &d->set, d->spec, d->report, stdout, stderr};
        return data_check(&job, err);
    }
    status = data_need_labels(&d->set, d->spec, err);
    const DataConvertJob job = {&d->set, d->spec, d->folder, stdout, stderr};
    return status ? status : data_convert(&job, err);
}

static RtStatus check_words(DataCommand *d, int argc, char **argv, RtError *err)
{
    if (!argc) return rt_fail(err, RT_USAGE, "no data given: add a SPEC");
    if (argc > 1) return rt_fail(err, RT_USAGE, "one SPEC at a time, and '%s' is a second", argv[1]);
    if (!d->data)
        return rt_fail(err, RT_USAGE, "no data set given: add --data cityscapes, gta5, camvid or a file");
    if (d->convert && !d->folder) return rt_fail(err, RT_USAGE, "convert needs -o DIR");
    if (!d->convert && d->folder) return rt_fail(err, RT_USAGE, "check writes no folder: -o is convert's");
    if (d->convert && d->report) return rt_fail(err, RT_USAGE, "convert writes no report: check does");
    d->spec = argv[0];
    return RT_OK;
}

/* Prints what is wrong, unless that was done, and ends by the signal that came, if one did. */
static int finish(RtStatus status, const RtError *err)
{
    if (status && *err->text) fprintf(stderr, "segc: error: %s\n", err->text);
    if (status == RT_USAGE) fprintf(stderr, "segc data --help says what can be given\n");
    if (!status && (fflush(stdout) || ferror(stdout))) {
        fprintf(stderr, "segc: error: cannot write the output\n");
        status = RT_MACHINE;
    }
    if (verb_interrupted()) {
        fprintf(stderr, "segc: interrupted\n");
        raise(verb_interrupted());
    }
    return status;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

int command_data(Command *c)
{
    DataCommand d = {.c = c};
    RtError err = {0};
    int argc = c->n_rest;
    const Option options[] = {
        {"--data", 0, OPTION_TEXT, &d.data, "FILE", "the data set: classes, encodings, layouts", 0},
        {"--report", 0, OPTION_TEXT, &d.report, "FILE", "check: write every fault to a file", 0},
        {"--output", 'o', OPTION_TEXT, &d.folder, "DIR", "convert: where the labels go", 0},
        {0},
    };
    if (asks_for_help(argc, c->rest)) {
        fputs(usage, stdout);
        options_print(options, stdout);
        fputs(specs, stdout);
        return finish(RT_OK, &err);
    }
    const char *what = argc ? c->rest[0] : "";
    d.convert = !strcmp(what, "convert");
    if (!d.convert && strcmp(what, "check"))
        return finish(rt_fail(&err, RT_USAGE, "data does check or convert, not '%s'", what), &err);
    argc--;
    RtStatus status = options_parse(options, &argc, c->rest + 1, &err);
    if (!status) status = check_words(&d, argc, c->rest + 1, &err);
    if (!status) d.program = load_data(&d);
    if (!status && !d.program) return RT_BAD_INPUT;
    verb_catch_interrupts();
    if (!status) status = run_job(&d, &err);
    data_close(&d.set);
    return finish(status, &err);
}
