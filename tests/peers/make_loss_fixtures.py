"""Writes tests/fixtures/losses/losses.txt: losses and their gradients, computed by PyTorch in double.

README.md describes the file. Logits are the formula's `image`; labels are made from its `image2` as tests/table/cases.c
does (fill_labels); a second input of other losses is `image2` itself.
"""
import math
from pathlib import Path

import torch
import torch.nn.functional as F

import formula

FILE = Path(__file__).resolve().parent.parent / "fixtures" / "losses" / "losses.txt"
KEPT = 48  # elements kept of a gradient, at most

W11 = [1, 2, 0.5, 1, 0, 3, 1, 1, 1, 0.25, 1]
# loss, its attributes, logits, size of the labels where they are larger, attributes of the resize
PIXELS = [
    ("cross_entropy", {}, (2, 19, 9, 17), None, {}),
    ("cross_entropy", {"ignore_index": 1}, (1, 2, 9, 33), None, {}),
    ("cross_entropy", {"label_smoothing": 0.1}, (2, 20, 5, 7), None, {}),
    ("cross_entropy", {"weight": W11}, (1, 11, 7, 13), None, {}),
    ("cross_entropy", {"weight": W11, "label_smoothing": 0.3, "ignore_index": 4}, (2, 11, 7, 13), None, {}),
    ("focal", {}, (2, 19, 9, 17), None, {}),
    ("focal", {"gamma": 0.5, "weight": W11}, (1, 11, 7, 13), None, {}),
    ("focal", {"gamma": 0}, (1, 20, 7, 13), None, {}),
    ("dice", {}, (2, 19, 9, 17), None, {}),
    ("dice", {"absent": "skip"}, (1, 20, 7, 13), None, {}),
    ("dice", {"absent": "zero", "eps": 0.5}, (1, 20, 7, 13), None, {}),
    ("cross_entropy", {}, (2, 19, 5, 9), (40, 72), {"scale_factor": 8}),
    ("cross_entropy", {"weight": W11, "label_smoothing": 0.2}, (1, 11, 5, 9), (33, 65), {"align_corners": True}),
    ("cross_entropy", {}, (1, 2, 7, 5), (19, 37), {}),
    ("focal", {}, (1, 20, 5, 9), (20, 36), {}),
    ("focal", {"gamma": 1.5}, (1, 19, 5, 9), (13, 24), {"scale_factor": 2.7}),
    ("dice", {}, (2, 19, 5, 9), (40, 72), {"scale_factor": 8}),
    ("dice", {"absent": "skip"}, (1, 11, 5, 9), (33, 65), {"align_corners": True}),
]
# loss, target or None, shape
ELEMENTS = [
    ("bce_with_logits", 1, (2, 1, 5, 17)),
    ("bce_with_logits", 0.1, (2, 3, 5, 17)),
    ("bce_with_logits", None, (3, 7)),
    ("mse", 0, (2, 1, 5, 17)),
    ("mse", None, (2, 3, 5)),
]


def uniform(name, shape):
    return torch.from_numpy(formula.uniform(name, math.prod(shape)).reshape(shape))


def labels_of(shape):
    unit = (uniform("image2", shape).float() + 1) / 2
    label = (24 * unit * unit).int().long()
    return torch.where(label == 3, 255, torch.where(label == 5, -1, label))


def counted(labels, classes, ignore_index=255):
    return (labels >= 0) & (labels < classes) & (labels != ignore_index)


def cross_entropy(x, labels, ignore_index=255, label_smoothing=0.0, weight=None):
    """PyTorch refuses labels that are no class, so they are ignored beforehand."""
    labels = torch.where(counted(labels, x.shape[1], ignore_index), labels, ignore_index)
    weight = None if weight is None else torch.tensor(weight, dtype=x.dtype)
    return F.cross_entropy(x, labels, weight, ignore_index=ignore_index, label_smoothing=label_smoothing)


def picked(x, labels, ignore_index):
    """Logits and labels of the counted pixels: [V, C] and [V]."""
    mask = counted(labels, x.shape[1], ignore_index)
    return x.movedim(1, 3)[mask], labels[mask]


def focal(x, labels, gamma=2.0, ignore_index=255, weight=None):
    x, labels = picked(x, labels, ignore_index)
    log_p = F.log_softmax(x, 1).gather(1, labels[:, None])[:, 0]
    w = torch.ones(x.shape[1], dtype=x.dtype) if weight is None else torch.tensor(weight, dtype=x.dtype)
    return -(w[labels] * (1 - log_p.exp()) ** gamma * log_p).sum() / w[labels].sum()


def dice(x, labels, eps=1e-6, absent="count", ignore_index=255):
    x, labels = picked(x, labels, ignore_index)
    p, r = F.softmax(x, 1), F.one_hot(labels, x.shape[1]).to(x.dtype)
    d = (2 * (p * r).sum(0) + eps) / (p.sum(0) + r.sum(0) + eps)
    present = r.sum(0) > 0
    if absent == "skip":
        d = d[present]
    if absent == "zero":
        d = torch.where(present, d, torch.zeros_like(d))
    return 1 - d.mean()


def value(v):
    return str(v).lower() if isinstance(v, bool) else f"[{', '.join(map(str, v))}]" if isinstance(v, (list, tuple)) else str(v)


def attributes(attrs):
    return ", ".join(f"{k}: {value(v)}" for k, v in attrs.items())


def shape_text(shape):
    return ",".join(map(str, shape))


def write(out, op, inputs, attrs, loss, x):
    loss.backward()
    gradient = x.grad.flatten()
    step = math.ceil(gradient.numel() / KEPT) | 1
    kept = gradient[::step].tolist()
    out.append(f"{op} | {inputs} | {attrs}")
    out.append(f"{loss.item():.10g} {gradient.abs().max().item():.9g} {step} {len(kept)}")
    out.append(" ".join(f"{g:.8g}" for g in kept))


def main():
    out = []
    for op, attrs, shape, size, resize in PIXELS:
        x = uniform("image", shape).double().requires_grad_()
        labels = labels_of((shape[0], *(size or shape[2:])))
        up = x
        if size:
            how = {"scale_factor": resize["scale_factor"]} if "scale_factor" in resize else {"size": size}
            up = F.interpolate(x, **how, mode="bilinear", align_corners=resize.get("align_corners", False))
            assert up.shape[2:] == size
        loss = {"cross_entropy": cross_entropy, "focal": focal, "dice": dice}[op](up, labels, **attrs)
        inputs = f"{shape_text(shape)}; i32 {shape_text(labels.shape)}"
        text = attributes(attrs)
        if size:
            resize = resize if "scale_factor" in resize else {"size": size, **resize}
            text = f"u = resize image {{{attributes(resize)}}}; y = {op} u image2 {{{text}}}"
        write(out, "graph" if size else op, inputs, text, loss, x)
    for op, target, shape in ELEMENTS:
        x = uniform("image", shape).double().requires_grad_()
        other = uniform("image2", shape).double() if target is None else torch.full(shape, float(target), dtype=torch.double)
        loss = (F.binary_cross_entropy_with_logits if op == "bce_with_logits" else F.mse_loss)(x, other)
        inputs = f"{shape_text(shape)}; {shape_text(shape)}" if target is None else shape_text(shape)
        write(out, op, inputs, "" if target is None else f"target: {target}", loss, x)
    x = uniform("image", (2, 19, 5, 7)).double().requires_grad_()
    p = F.softmax(x, 1)
    write(out, "graph", "2,19,5,7", "p = softmax image; y = entropy p",
          -(p * torch.log2(p + 1e-30)).sum() / (2 * 5 * 7 * math.log2(19)), x)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("\n".join(out) + "\n")
    print(f"{len(out) // 3} losses, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
