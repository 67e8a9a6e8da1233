"""Writes a network's formula weights as a safetensors file.

    export_weights.py bisenet bisenet.safetensors
"""
import json
import struct
import sys

import networks


def write_safetensors(path, tensors):
    """The format in full: header length (u64), JSON header, the data in order."""
    header, parts, end = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.contiguous().float().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in networks.NETWORKS:
        sys.exit(f"use: export_weights.py {'|'.join(networks.NETWORKS)} FILE.safetensors")
    state = networks.make(sys.argv[1]).state_dict()
    write_safetensors(sys.argv[2], {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})


if __name__ == "__main__":
    main()
