"""Writes tests/fixtures/weights/: small weight files as PyTorch and safetensors make them, and damaged or hostile ones.

    make_weight_fixtures.py

Values are simple: element i of a tensor counts up from a start of its own, so that a test can state them.
"""
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "weights"


def counting(start, *shape, dtype=torch.float32):
    count = 1
    for dim in shape:
        count *= dim
    return (torch.arange(count) + start).reshape(shape).to(dtype)


def state():
    return OrderedDict([
        ("conv.weight", counting(0, 2, 3, 1, 1)),
        ("conv.bias", counting(100, 2)),
        ("bn.num_batches_tracked", torch.tensor(7)),
    ])


def save(name, value, **options):
    torch.save(value, FOLDER / name, **options)


def pth_files():
    save("zip.pth", state())
    save("zip_protocol4.pth", state(), pickle_protocol=4)
    save("stream.pth", state(), _use_new_zipfile_serialization=False)
    save("stream_protocol4.pth", state(), _use_new_zipfile_serialization=False, pickle_protocol=4)
    torch.serialization.set_crc32_options(False)
    save("zip_without_checksums.pth", state())
    torch.serialization.set_crc32_options(True)
    save("types.pth", {str(t)[6:]: counting(1, 3, dtype=t) for t in (
        torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.int16,
        torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64)} | {
        "bool": torch.tensor([True, False, True]), "negative": torch.tensor([-1, -2], dtype=torch.int64),
        "halves": torch.tensor([1.5, -65504.0, 6e-8, float("inf"), -0.0], dtype=torch.float16)})
    base = counting(0, 3, 4)
    strided = {"transposed": base.t(), "column": base[:, 1], "every_other": base[1:, ::2], "same": base,
               "expanded": counting(5, 2, 1).expand(2, 3), "scalar": torch.tensor(9.0), "empty": torch.zeros(0, 4)}
    save("strided.pth", strided)
    save("strided_stream.pth", strided, _use_new_zipfile_serialization=False)
    save("parameters.pth", {"layer": {"w": torch.nn.Parameter(counting(3, 2)), 0: counting(4, 1)}})
    save("module.pth", OrderedDict(("module." + k, v) for k, v in state().items()))
    save("checkpoint.pth", {
        "epoch": 3, "best": 0.5, "note": "ü", "none": None, "flag": True, "big": 1 << 80, "list": [1, (2, 3)],
        "size": torch.Size([1, 2]), "set": {1, 2}, "dtype": torch.float16, "device": torch.device("cpu"),
        "state_dict": OrderedDict(("module." + k, v) for k, v in state().items()),
        "optimizer": {"state": {0: {"exp_avg": counting(50, 2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}})
    save("one_tensor.pth", counting(0, 2))
    save("no_tensors.pth", {"epoch": 1})
    save("model.pth", torch.nn.Linear(1, 1))


class System:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def zip_with(name, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(FOLDER / name, "w", compression) as archive:
        for entry, data in entries.items():
            archive.writestr(zipfile.ZipInfo("archive/" + entry, (1980, 1, 1, 0, 0, 0)), data, compression)


def hand_made_pickle(offset=0, size=(2, 3), stride=(3, 1), elements=6, key=b"0"):
    """data.pkl of {"w": one tensor}, every number free."""
    def integer(value):
        return b"\x8a\x08" + struct.pack("<q", value)

    def integers(values):
        return b"(" + b"".join(map(integer, values)) + b"t"

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value

    storage = b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(key) + text(b"cpu") + integer(elements) + b"tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integer(offset) + integers(size) + integers(stride)
    return b"\x80\x02}" + text(b"w") + tensor + b"\x89)tRs."


def hostile_files():
    pickled = pickle.dumps({"w": System()}, protocol=2)
    zip_with("bad/system.pth", {"data.pkl": pickled, "version": "3\n"})
    zip_with("bad/system_protocol4.pth", {"data.pkl": pickle.dumps({"w": System()}, protocol=4)})
    stream = io.BytesIO()
    torch.save(state(), stream, _use_new_zipfile_serialization=False)
    parts = stream.getvalue()
    for name, data in {
            "beyond": hand_made_pickle(size=(2, 4), stride=(4, 1)),
            "offset_beyond": hand_made_pickle(offset=7),
            "offset": hand_made_pickle(offset=1),
            "negative_stride": hand_made_pickle(stride=(-3, 1)),
            "negative_size": hand_made_pickle(size=(-2, 3)),
            "overflow": hand_made_pickle(size=(1 << 62, 8)),
            "wrapping_stride": hand_made_pickle(stride=(1 << 62, 1 << 62)),
            "rank": hand_made_pickle(size=(1,) * 9, stride=(1,) * 9),
            "short_storage": hand_made_pickle(elements=7),
            "no_storage": hand_made_pickle(key=b"1"),
            "memo_get": b"\x80\x02h\x05.",
            "memo_put": b"\x80\x02Nr\xff\xff\xff\xff.",
            "underflow": b"\x80\x020.",
            "no_mark": b"\x80\x02Nt.",
            "truncated_text": b"\x80\x02X\xff\xff\xff\xffabc",
            "self": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
            "wide": b"\x80\x02}" + b"".join(b"}q%c(X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%cu0" % (i, i - 1, i - 1)
                                            if i else b"}q\x000" for i in range(60)) + b"X\x01\x00\x00\x00ch\x3bs.",
            "build": b"\x80\x02Nb.",
            "opcode": b"\x80\x02cos\nsystem\n)\x81.",
            "new_object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    }.items():
        zip_with(f"bad/{name}.pth", {"data.pkl": data, "data/0": struct.pack("<6f", *range(6))})
    zip_with("bad/compressed.pth", {"data.pkl": hand_made_pickle(), "data/0": bytes(24)}, zipfile.ZIP_DEFLATED)
    zip_with("bad/no_pickle.pth", {"readme": b"hello"})
    zip_with("bad/script.pth", {"data.pkl": b"", "constants.pkl": b""})
    whole = (FOLDER / "zip.pth").read_bytes()
    (FOLDER / "bad/truncated_zip.pth").write_bytes(whole[: len(whole) // 2])
    (FOLDER / "bad/truncated_stream.pth").write_bytes(parts[:-4])
    flipped = bytearray(whole)
    flipped[whole.index(struct.pack("<2f", 100, 101))] ^= 1
    (FOLDER / "bad/checksum.pth").write_bytes(flipped)
    zip_with("big_endian.pth", {"data.pkl": hand_made_pickle(), "byteorder": "big",
                                "data/0": struct.pack(">6f", *range(6))})
    zip_with("free_stride.pth", {"data.pkl": hand_made_pickle(size=(1, 6), stride=((1 << 63) - 1, 1)),
                                 "data/0": struct.pack("<6f", *range(6))})
    zip64(FOLDER / "zip64.pth", hand_made_pickle(), struct.pack("<6f", *range(6)))


def zip64(path, pickled, storage):
    """An archive whose every size and offset stands in the zip64 fields."""
    ones, out, central = 0xFFFFFFFF, b"", b""
    for name, data in ((b"a/data.pkl", pickled), (b"a/data/0", storage)):
        at = len(out)
        out += struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, ones, ones, len(name), 20) + name
        out += struct.pack("<2H2Q", 1, 16, len(data), len(data)) + data
        central += struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 0, 0, 33, 0, ones, ones, len(name), 28, 0, 0, 0,
                               0, ones) + name + struct.pack("<2H3Q", 1, 24, len(data), len(data), at)
    at = len(out)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(central), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + len(central), 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, ones, ones, 0)
    path.write_bytes(out + central + end64 + locator + end)


def safetensors_files():
    from safetensors.torch import save_file
    save_file({k: v.contiguous() for k, v in state().items()}, FOLDER / "reference.safetensors", {"by": "safetensors"})


def main():
    (FOLDER / "bad").mkdir(parents=True, exist_ok=True)
    pth_files()
    hostile_files()
    safetensors_files()
    for path in FOLDER.rglob("*"):
        assert path.is_dir() or path.stat().st_size < 10000, path


if __name__ == "__main__":
    main()
