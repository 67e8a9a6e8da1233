/* What the two halves of the .pth reader share: rt_pth.c does the framing and the names, rt_pth_values.c
 * stands behind the pickle machine and knows what torch puts into pickles. Users include rt_weights.h.
 */
#ifndef RT_PTH_H
#define RT_PTH_H

#include "rt_pickle.h"
#include "rt_weights_format.h"
#include "rt_zip.h"

/* Tags of the PICKLE_OBJECTs that rt_pth_values.c makes. */
enum { PTH_GLOBAL, PTH_STORAGE, PTH_TENSOR };

/* A run of elements kept outside of the pickle; several tensors may lie in it. */
typedef struct PthStorage {
    const char *key;           /* its name in the file */
    WeightDtype dtype;         /* U8 for an untyped one, which counts bytes */
    int64_t root_count;        /* elements of the whole storage of that key */
    int64_t first, count;      /* elements of it that belong here */
    const unsigned char *data; /* the element `first`; NULL: not found as yet */
} PthStorage;

typedef struct PthTensor {
    const PthStorage *storage;
    WeightDtype dtype;
    int64_t offset; /* elements of dtype from the storage's data */
    int rank;
    int64_t dims[WEIGHTS_MAX_RANK], strides[WEIGHTS_MAX_RANK];
} PthTensor;

/* One file being read. */
typedef struct Pth {
    WeightsFile *file;
    RtArena arena;      /* the pickle's values; gone when reading is over */
    const Zip *zip;     /* NULL in a stream */
    const char *folder; /* zip: what all entries' names begin with, "archive/" */
    bool big_endian;
    PthStorage **storages; /* stream: all of them, to be found behind the pickles */
    size_t storage_count, storage_room;
} Pth;

PickleHost pth_host(Pth *pth);

/* Sets where a storage is, given the bytes of the whole storage of its key. RT_BAD_INPUT: too few. */
RtStatus pth_place_storage(const Pth *pth, PthStorage *storage, const unsigned char *data, uint64_t size,
                           RtError *err);

#endif
