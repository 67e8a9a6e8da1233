/* `PROG info`: what the program is and needs. It never opens a session, so that it can tell about a program
 * that cannot run here. */
#include "rt_cpu.h"
#include "rt_json_out.h"
#include "rt_memory.h"
#include "rt_program.h"
#include "rt_report.h"
#include "rt_training.h"
#include "rt_verbs.h"

#include <string.h>

static const char *channel_order(const ProgramHeader *header)
{
    return header->preprocess.channels ? "BGR" : "RGB";
}

static void print_tensors(const ProgramHeader *header, ProgramRole role, const char *title)
{
    char shape[PROGRAM_SHAPE_TEXT];
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != role) continue;
        printf("%-15s %s  %s\n", title, program_text(header, tensor->name), program_shape(tensor, shape));
    }
}

static void print_preprocess(const ProgramHeader *header)
{
    const ProgramPreprocess *p = &header->preprocess;
    if (!program_picture(header)) return;
    printf("%-15s %s, (v * %.9g - mean) / std, mean %.9g %.9g %.9g, std %.9g %.9g %.9g\n", "pictures as",
           channel_order(header), (double)p->scale, (double)p->mean[0], (double)p->mean[1],
           (double)p->mean[2], (double)p->std[0], (double)p->std[1], (double)p->std[2]);
}

static void print_counts(const ProgramHeader *header)
{
    char a[REPORT_NUMBER], b[REPORT_NUMBER];
    printf("%-15s %s deployed, %s declared\n", "parameters", report_number(header->parameters_deployed, a),
           report_number(header->parameters_declared, b));
    printf("%-15s %s, of which convolutions %s\n", "multiply-adds", report_number(header->multiply_adds, a),
           report_number(header->conv_multiply_adds, b));
}

static void print_machine(const ProgramHeader *header)
{
    const char *features = program_text(header, header->cpu_features);
    bool runs = cpu_check(features, NULL) == RT_OK;
    printf("%-15s %s, vectors of %u floats (this machine %s)\n", "CPU features",
           *features ? features : "the baseline's", header->vector_width,
           runs ? "has them" : "lacks some: it cannot run the program");
}

static void print_memory(const ProgramHeader *header)
{
    char a[MEMORY_TEXT], b[MEMORY_TEXT], c[MEMORY_TEXT];
    printf("%-15s activations %s, parameters %s, scratch %s per thread\n", "memory",
           memory_text(header->arena_bytes, a), memory_text(header->persistent_bytes, b),
           memory_text(header->scratch_bytes, c));
}

static uint32_t count_steps(const ProgramHeader *header, ProgramPhase phase)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < header->steps.count; i++) count += program_steps(header)[i].phase == phase;
    return count;
}

static void print_classes(const ProgramHeader *header)
{
    if (!header->classes.count) return;
    printf("%-15s %u:", "classes", header->classes.count);
    for (uint32_t i = 0; i < header->classes.count; i++) {
        const ProgramClass *class = &program_classes(header)[i];
        printf("%s %s%s", i ? "," : "", program_text(header, class->name), class->ignored ? " (void)" : "");
    }
    printf("\n%-15s %lld\n", "ignored label", (long long)header->ignore_index);
}

/* ---- training
 * ---------------------------------------------------------------------------------------------- */

static const char *const schedules[] = {
    [SCHEDULE_CONSTANT] = "constant",
    [SCHEDULE_POLY] = "poly",
    [SCHEDULE_STEP] = "step",
    [SCHEDULE_COSINE] = "cosine",
};
static const char *const optimizers[] = {
    [OPTIMIZER_SGD] = "sgd",
    [OPTIMIZER_ADAM] = "adam",
    [OPTIMIZER_ADAMW] = "adamw",
};

static const char *loss_name(const ProgramHeader *header, const ProgramPlayer *player)
{
    return program_text(header, program_tensors(header)[player->loss].name);
}

static void print_players(const ProgramHeader *header)
{
    for (uint32_t i = 0; i < header->players.count; i++) {
        const ProgramPlayer *player = &training_players(header)[i];
        printf("%-15s %s minimizes %s: %s, learning rate %g, schedule %s", "player",
               program_text(header, player->name), loss_name(header, player), optimizers[player->optimizer],
               player->lr, schedules[player->schedule.kind]);
        if (player->from) printf(", from iteration %lld", (long long)player->from);
        printf("\n");
    }
}

static void print_tunables(const ProgramHeader *header)
{
    for (uint32_t i = 0; i < header->tunables.count; i++) {
        const ProgramTunable *tunable = &training_tunables(header)[i];
        printf("%-15s %s = %g", "tunable", program_text(header, tunable->name), tunable->value);
        if (tunable->from) printf(", 0 before iteration %lld", (long long)tunable->from);
        printf("\n");
    }
}

static void print_training(const ProgramHeader *header)
{
    printf("\n%-15s %lld iterations", "training", (long long)header->iterations);
    if (header->accumulate > 1) printf(" of %lld micro-batches", (long long)header->accumulate);
    printf("\n");
    print_tensors(header, ROLE_INPUT, "stream");
    print_players(header);
    print_tunables(header);
    print_memory(header);
    printf("%-15s %u, and %u of updates\n", "steps", count_steps(header, PHASE_RUN),
           count_steps(header, PHASE_UPDATE));
}

/* ---- for people
 * -------------------------------------------------------------------------------------------- */

static void print_info(const ProgramHeader *header)
{
    printf("%-15s %s, from %s, by segc %s\n", "program", program_text(header, header->name),
           program_text(header, header->source), program_text(header, header->version));
    print_tensors(header, ROLE_INPUT, "input");
    print_preprocess(header);
    print_tensors(header, ROLE_OUTPUT, "output");
    print_classes(header);
    print_counts(header);
    print_memory(header);
    printf("%-15s %u per run, %u after loading weights\n", "steps", count_steps(header, PHASE_RUN),
           count_steps(header, PHASE_PREPARE));
    print_machine(header);
}

static void json_tensors(JsonOut *json, const ProgramHeader *header, ProgramRole role, const char *key)
{
    static const char *const names[] = {[DTYPE_F32] = "f32", [DTYPE_I32] = "i32", [DTYPE_U8] = "u8"};
    json_out_open(json, key, '[');
    for (uint32_t i = 0; i < header->tensors.count; i++) {
        const ProgramTensor *tensor = &program_tensors(header)[i];
        if (tensor->role != role) continue;
        json_out_open(json, NULL, '{');
        json_out_text(json, "name", program_text(header, tensor->name));
        json_out_text(json, "dtype", names[tensor->dtype]);
        json_out_open(json, "dims", '[');
        for (int d = 0; d < tensor->rank; d++) json_out_integer(json, NULL, tensor->dims[d]);
        json_out_close(json);
        json_out_close(json);
    }
    json_out_close(json);
}

static void json_triple(JsonOut *json, const char *key, const float *values)
{
    json_out_open(json, key, '[');
    for (int i = 0; i < 3; i++) json_out_number(json, NULL, (double)values[i]);
    json_out_close(json);
}

static void json_preprocess(JsonOut *json, const ProgramHeader *header)
{
    json_out_open(json, "preprocess", '{');
    json_out_text(json, "channels", channel_order(header));
    json_out_number(json, "scale", (double)header->preprocess.scale);
    json_triple(json, "mean", header->preprocess.mean);
    json_triple(json, "std", header->preprocess.std);
    json_out_close(json);
}

static void json_classes(JsonOut *json, const ProgramHeader *header)
{
    json_out_open(json, "classes", '[');
    for (uint32_t i = 0; i < header->classes.count; i++) {
        const ProgramClass *class = &program_classes(header)[i];
        json_out_open(json, NULL, '{');
        json_out_text(json, "name", program_text(header, class->name));
        json_out_open(json, "color", '[');
        for (int c = 0; c < 3; c++) json_out_integer(json, NULL, class->color[c]);
        json_out_close(json);
        json_out_bool(json, "void", class->ignored);
        json_out_close(json);
    }
    json_out_close(json);
}

static void json_features(JsonOut *json, const ProgramHeader *header)
{
    const char *at = program_text(header, header->cpu_features);
    json_out_bool(json, "runs_on_this_machine", cpu_check(at, NULL) == RT_OK);
    json_out_open(json, "cpu_features", '[');
    while (*at) {
        char name[32];
        size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        json_out_text(json, NULL, name);
        at += length + (at[length] == ',');
    }
    json_out_close(json);
}

static void json_players(JsonOut *json, const ProgramHeader *header)
{
    json_out_open(json, "players", '[');
    for (uint32_t i = 0; i < header->players.count; i++) {
        const ProgramPlayer *player = &training_players(header)[i];
        json_out_open(json, NULL, '{');
        json_out_text(json, "name", program_text(header, player->name));
        json_out_text(json, "minimizes", loss_name(header, player));
        json_out_text(json, "optimizer", optimizers[player->optimizer]);
        json_out_number(json, "lr", player->lr);
        json_out_text(json, "schedule", schedules[player->schedule.kind]);
        json_out_integer(json, "from", player->from);
        json_out_close(json);
    }
    json_out_close(json);
}

static void json_training(JsonOut *json, const ProgramHeader *header)
{
    json_out_open(json, "training", '{');
    json_out_integer(json, "iterations", header->iterations);
    json_out_integer(json, "accumulate", header->accumulate);
    json_tensors(json, header, ROLE_INPUT, "streams");
    json_players(json, header);
    json_out_open(json, "tunables", '[');
    for (uint32_t i = 0; i < header->tunables.count; i++) {
        const ProgramTunable *tunable = &training_tunables(header)[i];
        json_out_open(json, NULL, '{');
        json_out_text(json, "name", program_text(header, tunable->name));
        json_out_number(json, "value", tunable->value);
        json_out_integer(json, "from", tunable->from);
        json_out_close(json);
    }
    json_out_close(json);
    json_out_integer(json, "arena_bytes", (int64_t)header->arena_bytes);
    json_out_integer(json, "persistent_bytes", (int64_t)header->persistent_bytes);
    json_out_integer(json, "scratch_bytes_per_thread", (int64_t)header->scratch_bytes);
    json_out_close(json);
}

static void json_info(const Program *program)
{
    const ProgramHeader *header = program->header;
    JsonOut json = {.out = stdout};
    json_out_open(&json, NULL, '{');
    json_out_text(&json, "name", program_text(header, header->name));
    json_out_text(&json, "source", program_text(header, header->source));
    json_out_text(&json, "version", program_text(header, header->version));
    json_out_integer(&json, "batch", header->batch);
    json_out_integer(&json, "height", header->height);
    json_out_integer(&json, "width", header->width);
    json_tensors(&json, header, ROLE_INPUT, "inputs");
    json_tensors(&json, header, ROLE_OUTPUT, "outputs");
    json_preprocess(&json, header);
    json_classes(&json, header);
    json_out_integer(&json, "ignore_index", header->ignore_index);
    json_out_integer(&json, "parameters_deployed", header->parameters_deployed);
    json_out_integer(&json, "parameters_declared", header->parameters_declared);
    json_out_integer(&json, "multiply_adds", header->multiply_adds);
    json_out_integer(&json, "conv_multiply_adds", header->conv_multiply_adds);
    json_out_integer(&json, "arena_bytes", (int64_t)header->arena_bytes);
    json_out_integer(&json, "persistent_bytes", (int64_t)header->persistent_bytes);
    json_out_integer(&json, "scratch_bytes_per_thread", (int64_t)header->scratch_bytes);
    json_out_integer(&json, "run_steps", count_steps(header, PHASE_RUN));
    json_out_integer(&json, "prepare_steps", count_steps(header, PHASE_PREPARE));
    json_out_integer(&json, "vector_width", header->vector_width);
    json_features(&json, header);
    if (program->training) json_training(&json, program->training->header);
    json_out_close(&json);
}

RtStatus verb_info(VerbCall *call, RtError *err)
{
    bool json = false;
    const Option options[] = {
        {"--json", 0, OPTION_FLAG, &json, NULL, "print JSON", 0},
        {0},
    };
    RtStatus status = verb_options(call, options, err);
    if (status || call->help) return status;
    status = verb_no_operands(call, err);
    if (status) return status;
    const Program *program = call->program;
    if (json) {
        json_info(program);
    } else {
        print_info(program->header);
        if (program->training) print_training(program->training->header);
    }
    return RT_OK;
}
