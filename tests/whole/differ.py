"""Whether two checkpoints differ in the segmenter, and in what: its statistics alone, or its weights.

    differ.py FILE FILE statistics|weights
"""
import json, sys
def tensors(path):
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {name: data[start + t["data_offsets"][0]:start + t["data_offsets"][1]]
            for name, t in header.items() if name.startswith("segmenter.")}
one, two = tensors(sys.argv[1]), tensors(sys.argv[2])
assert one.keys() == two.keys() and len(one) > 100
differ = [name for name in one if one[name] != two[name]]
if sys.argv[3] == "statistics":
    assert differ and all(".running_" in name for name in differ), differ
else:
    assert any(name.endswith("conv.weight") for name in differ)
