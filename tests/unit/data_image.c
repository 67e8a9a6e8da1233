/* See data_image.h. */
#include "data_image.h"

#include "../../codegen/build.h"
#include "scratch_folder.h"

#include <check.h>

const ProgramHeader *data_image_of(Arena *arena, const char *path)
{
    Diag *diag = diag_new(arena);
    const ModelData *data = model_data_load(arena, diag, path, NULL);
    ck_assert_msg(data != NULL, "%s", diag_text(diag));
    return image_write_data(arena, data);
}

const ProgramHeader *data_image(Arena *arena, const char *yaml)
{
    ScratchFolder scratch;
    scratch_open(&scratch);
    scratch_write(&scratch, "town.yaml", yaml);
    const ProgramHeader *program = data_image_of(arena, scratch_path(&scratch, "town.yaml"));
    scratch_close(&scratch);
    return program;
}
