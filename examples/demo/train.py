#!/usr/bin/env python3
"""Trains street.yaml's network on the built-in streets with PyTorch and writes street.safetensors.

    python examples/demo/train.py [--scenes 2500] [--steps 1700] [--out examples/demo/street.safetensors]

Needs PyTorch, NumPy and a C compiler: the generator is compiled from runtime/rt_street*.c and called through
ctypes. Training scenes have seeds from 1,000,000 on; what `builtin:rendered:COUNT` shows are those from 0 on, which
training never sees. With one thread, the same PyTorch and the same processor, the same weights come out.
"""
import argparse
import ctypes
import json
import math
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, CLASSES, IGNORED = 192, 384, 19, 255
FIRST_TRAINING_SEED = 1_000_000
MEAN, STD = 0.45, 0.25                     # as street.yaml has them
NAMES = ("road sidewalk building wall fence pole light sign vegetation terrain sky person rider car truck bus train "
         "motorcycle bicycle").split()


class Streets:
    """The generator of runtime/rt_street.h."""

    def __init__(self, folder, look="rendered"):
        library = pathlib.Path(folder) / "libstreet.so"
        sources = sorted(ROOT.glob("runtime/rt_street*.c")) + [ROOT / "runtime/rt_status.c", ROOT / "runtime/rt_memory.c"]
        subprocess.run(["cc", "-std=c11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-o", library, *sources],
                       check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.street_look.restype = ctypes.c_void_p
        self.look = ctypes.c_void_p(self.library.street_look(look.encode()))

    def draw(self, seed, rgb, labels):
        height, width = labels.shape
        pointer = ctypes.c_void_p
        if self.library.street_draw(self.look, ctypes.c_uint64(seed), width, height, rgb.ctypes.data_as(pointer),
                                    labels.ctypes.data_as(pointer), None):
            raise RuntimeError("street_draw failed")

    def many(self, first, count):
        rgb = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
        labels = np.empty((count, HEIGHT, WIDTH), np.uint8)
        for i in range(count):
            self.draw(first + i, rgb[i], labels[i])
        return torch.from_numpy(rgb), torch.from_numpy(labels)


# The modules have the names of street.yaml's nodes, so that the parameters have the names that segc gives them.

class Unit(nn.Sequential):
    def __init__(self, channels, filters, kernel=3, stride=1, dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, kernel // 2 * dilation, dilation, bias=False)
        self.bn = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU()


class Residual(nn.Module):
    def __init__(self, filters, dilation=1):
        super().__init__()
        self.unit = Unit(filters, filters, dilation=dilation)

    def forward(self, x):
        return x + self.unit(x)


class Attention(nn.Module):
    def __init__(self, filters):
        super().__init__()
        self.conv = nn.Conv2d(filters, filters, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.conv(x.mean((2, 3), keepdim=True)))


def resize(x, like):
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class Street(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem1 = Unit(3, 16, stride=2)
        self.stem2 = Unit(16, 32, stride=2)
        self.detail = Unit(32, 32)
        self.down8 = Unit(32, 64, stride=2)
        self.context8a = Residual(64)
        self.context8b = Residual(64, dilation=2)
        self.down16 = Unit(64, 72, stride=2)
        self.context16 = Residual(72, dilation=2)
        self.attention = Attention(72)
        self.narrow16 = Unit(72, 64, kernel=1)
        self.narrow8 = Unit(64, 32, kernel=1)
        self.fusion = Unit(64, 32)
        self.classifier = nn.Conv2d(32, CLASSES, 1)

    def quarter(self, image):
        """Logits at a quarter of the image's size."""
        stem2 = self.stem2(self.stem1(image))
        detail = self.detail(stem2)
        context8 = self.context8b(self.context8a(self.down8(stem2)))
        context16 = self.attention(self.context16(self.down16(context8)))
        joined8 = resize(self.narrow16(context16), context8) + context8
        joined4 = torch.cat([detail, resize(self.narrow8(joined8), detail)], 1)
        return self.classifier(self.fusion(joined4))

    def forward(self, image):
        return resize(self.quarter(image), image)


def normalised(rgb):
    return (rgb.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def class_weights(labels):
    """Rare classes count more, by the logarithm of how rare they are."""
    counts = torch.bincount(labels[labels != IGNORED].flatten().long(), minlength=CLASSES).double()
    weights = 1 / torch.log(1.04 + counts / counts.sum())
    return (weights / (weights * counts).sum() * counts.sum()).float()


def batch_of(rgb, labels, chosen):
    """Some scenes, half of them mirrored, each with a brightness and contrast of its own."""
    images = normalised(rgb[chosen])
    truth = labels[chosen].long()
    mirrored = torch.rand(len(chosen)) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    truth[mirrored] = truth[mirrored].flip(2)
    contrast = 1 + 0.2 * (torch.rand(len(chosen), 1, 1, 1) * 2 - 1)
    return images * contrast + 0.2 * (torch.rand(len(chosen), 3, 1, 1) * 2 - 1), truth


def train(network, rgb, labels, steps, batch, rate):
    weights = class_weights(labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    started, order, shown = time.time(), torch.empty(0, dtype=torch.long), 0.0
    network.train()
    for step in range(1, steps + 1):
        if len(order) < batch:
            order = torch.randperm(len(rgb))
        images, truth = batch_of(rgb, labels, order[:batch])
        order = order[batch:]
        loss = F.cross_entropy(network(images), truth, weights, ignore_index=IGNORED)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        shown = loss.item() if step == 1 else 0.98 * shown + 0.02 * loss.item()
        if step % 50 == 0 or step == steps:
            print(f"step {step}/{steps}  loss {shown:.4f}  {(time.time() - started) / step:.3f} s per step", flush=True)


@torch.no_grad()
def evaluate(network, rgb, labels):
    network.eval()
    confusion = torch.zeros(CLASSES * CLASSES, dtype=torch.long)
    for i in range(len(rgb)):
        guess = network(normalised(rgb[i:i + 1])).argmax(1)[0]
        truth = labels[i].long()
        counted = truth != IGNORED
        confusion += torch.bincount(truth[counted] * CLASSES + guess[counted], minlength=CLASSES * CLASSES)
    confusion = confusion.view(CLASSES, CLASSES).double()
    hits = confusion.diag()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


def save(path, network):
    """A safetensors file of float16: a header of JSON, then the tensors' bytes."""
    header, blobs, at = {}, [], 0
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        blob = tensor.half().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        at += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def rounded(network):
    """What the file will hold: evaluating anything else would be flattery."""
    network.load_state_dict({k: v.half().float() if v.is_floating_point() else v
                             for k, v in network.state_dict().items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scenes", type=int, default=2500)
    parser.add_argument("--steps", type=int, default=1700)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default=str(pathlib.Path(__file__).with_name("street.safetensors")))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        streets = Streets(folder)
        rgb, labels = streets.many(FIRST_TRAINING_SEED, args.scenes)
        held_rgb, held_labels = streets.many(0, 40)
    print(f"{args.scenes} scenes drawn in {time.time() - started:.0f} s", flush=True)
    network = Street()
    train(network, rgb, labels, args.steps, args.batch, args.rate)
    rounded(network)
    iou = evaluate(network, held_rgb, held_labels)
    for name, value in zip(NAMES, iou.tolist()):
        print(f"{name:12} {'n/a' if math.isnan(value) else f'{100 * value:.2f}'}")
    save(args.out, network)
    print(f"mIoU {100 * iou.nanmean():.2f} on 40 scenes it was not trained on; {args.out} written after "
          f"{time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
