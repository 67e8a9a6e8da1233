"""Writes tests/fixtures/networks/ and tests/fixtures/ops/, computed by PyTorch in double.

    make_fixtures.py [networks|ops]

Each result is computed in float too and must agree with the double one, so that no fixture sits
on a rounding edge. README.md describes the files.
"""
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

import formula
import networks

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
KEPT = 6000  # floats kept of a network's output, at most
UNSURE = 2e-4  # two best logits closer than this share of the largest: the class is not certain

# network, batch, input channels, height, width
NETWORKS = [
    ("bisenet", 1, 3, 64, 128),
    ("bisenet", 1, 3, 96, 160),
    ("bisenet", 1, 3, 65, 129),
    ("bisenet", 2, 3, 32, 64),
    ("deeplabv2", 1, 3, 65, 129),
    ("deeplabv2", 1, 3, 64, 96),
    ("espnet_camvid", 1, 3, 64, 96),
    ("espnet_cityscapes", 1, 3, 64, 128),
    ("fc_discriminator", 1, 19, 64, 128),
    ("resnet18", 1, 3, 64, 64),
    ("resnet101", 1, 3, 64, 64),
]


def both(run, *inputs):
    """run(inputs) in double, after checking that float gives the same."""
    exact = run(*(x.double() for x in inputs))
    close = run(*inputs)
    error = (exact - close).abs().max() / exact.abs().max()
    if error > 3e-5:
        sys.exit(f"float and double differ by {error:.2g} of the largest value")
    return exact, error.item()


# ---- networks ----------------------------------------------------------------------------------


def next_prime(n, not_dividing):
    """The smallest prime >= n that does not divide the number given."""
    while any(n % d == 0 for d in range(2, math.isqrt(n) + 1)) or not_dividing % n == 0:
        n += 1
    return n


def sampling_step(y):
    """1 if the output is small; else a prime that walks through every column and channel."""
    return 1 if y.numel() <= KEPT else next_prime(math.ceil(y.numel() / KEPT), y.shape[-1])


def class_lines(y):
    """How many pixels go to each class, and how many of them are not certain."""
    best = y.topk(2, dim=1).values
    unsure = ((best[:, 0] - best[:, 1]) < UNSURE * y.abs().max()).sum().item()
    counts = torch.bincount(y.argmax(1).flatten(), minlength=y.shape[1]).tolist()
    return [f"unsure {unsure}", "pixels " + " ".join(map(str, counts))]


def write_network(name, batch, channels, height, width):
    net = networks.make(name)
    twin = networks.make(name).double()
    x = networks.image(channels, height, width, batch)
    with torch.inference_mode():
        y, error = both(lambda v: (twin if v.dtype == torch.float64 else net)(v), x)
    while y.ndim < 4:
        y = y.unsqueeze(-1)
    step = sampling_step(y)
    kept = y.flatten()[::step].float().numpy()
    lines = [
        f"network {name}",
        f"input {batch} {channels} {height} {width}",
        "output " + " ".join(map(str, y.shape)),
        f"largest {y.abs().max().item():.9g}",
        f"step {step}",
        f"kept {kept.size}",
        *(class_lines(y) if y.shape[1] > 1 else ["unsure 0", f"pixels {y.numel() // y.shape[1]}"]),
    ]
    tag = f"b{batch}_" if batch > 1 else ""
    path = FIXTURES / "networks" / f"{name}_{tag}{height}x{width}.bin"
    path.write_bytes(("\n".join(lines) + "\n").encode() + kept.astype("<f4").tobytes())
    print(f"{path.name:32s} {path.stat().st_size:6d} bytes   float differs by {error:.1e}")


# ---- operators ---------------------------------------------------------------------------------


def parameters(x, *shapes):
    """`act.weight` and `act.bias` of the shapes given, in the input's precision."""
    names = ("act.weight", "act.bias")
    return [torch.from_numpy(formula.parameter(n, s)).to(x.dtype) for n, s in zip(names, shapes)]


def pair(value):
    return tuple(value) if isinstance(value, list) else (value, value)


def conv2d(x, filters, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True):
    w, b = parameters(x, (filters, x.shape[1] // groups, *pair(kernel)), (filters,))
    return F.conv2d(x, w, b if bias else None, pair(stride), pair(padding), pair(dilation), groups)


def conv_transpose2d(x, filters, kernel, stride=1, padding=0, output_padding=0, dilation=1, groups=1, bias=True):
    w, b = parameters(x, (x.shape[1], filters // groups, *pair(kernel)), (filters,))
    return F.conv_transpose2d(x, w, b if bias else None, pair(stride), pair(padding), pair(output_padding), groups,
                              pair(dilation))


def linear(x, features, bias=True):
    w, b = parameters(x, (features, x.shape[-1]), (features,))
    return F.linear(x, w, b if bias else None)


def prelu(x):
    return F.prelu(x, *parameters(x, (x.shape[1],)))


def resize(x, size=None, scale_factor=None, mode="bilinear", align_corners=False):
    size = None if size is None else pair(size)
    if mode == "nearest":
        return F.interpolate(x, size, scale_factor, mode)
    return F.interpolate(x, size, scale_factor, mode, align_corners)


def max_pool2d(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False):
    return F.max_pool2d(x, pair(kernel), stride and pair(stride), pair(padding), pair(dilation), ceil_mode)


def avg_pool2d(x, kernel, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return F.avg_pool2d(x, pair(kernel), stride and pair(stride), pair(padding), ceil_mode, count_include_pad)


def pad(x, pads, pad_mode="constant", value=0):
    return F.pad(x, pads, pad_mode, value) if pad_mode == "constant" else F.pad(x, pads, pad_mode)


def softmax(x, dim=1):
    return F.softmax(x, dim)


def log_softmax(x, dim=1):
    return F.log_softmax(x, dim)


def leaky_relu(x, negative_slope=0.01):
    return F.leaky_relu(x, negative_slope)


OPERATORS = (conv2d, conv_transpose2d, linear, prelu, leaky_relu, resize, max_pool2d, avg_pool2d, pad, softmax,
             log_softmax)

# operator: [(input shape, attributes)]
CASES = {
    "conv2d": [
        ((1, 3, 7, 9), dict(filters=5, kernel=3)),
        ((2, 3, 7, 9), dict(filters=4, kernel=[3, 5], stride=[2, 1], padding=[1, 2], bias=False)),
        ((1, 6, 9, 8), dict(filters=8, kernel=3, padding=2, dilation=2, groups=2)),
        ((1, 7, 6, 5), dict(filters=7, kernel=3, stride=2, padding=1, groups=7)),
        ((1, 4, 5, 6), dict(filters=12, kernel=1, groups=4)),
        ((1, 5, 13, 11), dict(filters=3, kernel=4, stride=2, padding=1)),
        ((1, 2, 13, 11), dict(filters=3, kernel=3, padding=12, dilation=12)),
    ],
    "conv_transpose2d": [
        ((1, 4, 5, 7), dict(filters=6, kernel=2, stride=2, bias=False)),
        ((1, 3, 5, 4), dict(filters=5, kernel=3)),
        ((2, 3, 5, 4), dict(filters=4, kernel=3, stride=2, padding=1, output_padding=1)),
        ((1, 4, 3, 5), dict(filters=6, kernel=4, stride=2, padding=1)),
        ((1, 4, 5, 3), dict(filters=8, kernel=3, stride=2, padding=1, groups=2)),
        ((1, 6, 4, 4), dict(filters=6, kernel=3, stride=2, padding=1, output_padding=1, groups=6)),
        ((1, 3, 4, 5), dict(filters=2, kernel=3, padding=2, dilation=2)),
        ((1, 4, 4, 5), dict(filters=6, kernel=[3, 2], stride=[3, 2], padding=[2, 0], output_padding=[2, 1],
                            dilation=[2, 3], groups=2)),
        ((1, 5, 1, 1), dict(filters=3, kernel=4, stride=2, padding=1)),
    ],
    "linear": [
        ((3, 19), dict(features=7)),
        ((1, 65), dict(features=5, bias=False)),
    ],
    "prelu": [((2, 5, 3, 4), {}), ((1, 1, 5, 7), {})],
    "leaky_relu": [((1, 3, 4, 5), {}), ((1, 3, 4, 5), dict(negative_slope=0.2))],
    "resize": [
        (shape, dict(size=size, **how))
        for shape, size in (
            ((1, 2, 5, 7), [11, 9]), ((1, 2, 5, 7), [10, 14]), ((1, 1, 5, 9), [33, 65]), ((1, 3, 13, 9), [5, 4]),
            ((2, 1, 5, 7), [3, 12]), ((1, 3, 1, 1), [4, 5]), ((1, 2, 6, 5), [1, 1]), ((1, 2, 1, 6), [3, 6]),
        )
        for how in (dict(mode="bilinear"), dict(mode="bilinear", align_corners=True), dict(mode="nearest"))
    ] + [
        ((1, 2, 5, 7), dict(scale_factor=scale, mode=mode))
        for scale in (2, 8, 0.5, 1.5)
        for mode in ("bilinear", "nearest")
    ] + [((1, 2, 5, 7), dict(scale_factor=2, align_corners=True))],
    "max_pool2d": [
        ((1, 2, 8, 9), dict(kernel=2)),
        ((1, 2, 9, 17), dict(kernel=3, stride=2, padding=1)),
        ((1, 2, 9, 17), dict(kernel=3, stride=2, padding=1, ceil_mode=True)),
        ((1, 2, 8, 16), dict(kernel=3, stride=2, padding=1, ceil_mode=True)),
        ((1, 2, 7, 6), dict(kernel=2, stride=2, ceil_mode=True)),
        ((1, 2, 7, 10), dict(kernel=[2, 3], stride=[3, 2], padding=[1, 0], ceil_mode=True)),
        ((1, 2, 9, 9), dict(kernel=3, stride=2, padding=1, dilation=2)),
        ((2, 1, 5, 5), dict(kernel=2, stride=4, padding=1, ceil_mode=True)),
        ((1, 1, 1, 1), dict(kernel=3, stride=2, padding=1, ceil_mode=True)),
    ],
    "avg_pool2d": [
        ((1, 2, 8, 9), dict(kernel=2)),
        *(
            (shape, dict(stride=stride, padding=padding, kernel=kernel, ceil_mode=ceil, count_include_pad=include))
            for shape, kernel, stride, padding in (((1, 2, 8, 9), 3, 2, 1), ((1, 2, 7, 10), [2, 3], [3, 2], [1, 0]),
                                                   ((2, 1, 5, 5), 2, 4, 1))
            for ceil in (False, True)
            for include in (True, False)
        ),
    ],
    "pad": [
        ((1, 2, 4, 5), dict(pads=[1, 2, 3, 0])),
        ((1, 2, 4, 5), dict(pads=[0, 1, 2, 1], value=-1.5)),
        ((1, 2, 4, 5), dict(pads=[3, 2, 1, 3], pad_mode="reflect")),
        ((1, 2, 4, 5), dict(pads=[4, 4, 3, 3], pad_mode="reflect")),
        ((2, 1, 4, 5), dict(pads=[6, 2, 0, 7], pad_mode="replicate")),
        ((1, 3, 1, 1), dict(pads=[2, 1, 1, 2], pad_mode="replicate")),
    ],
    "softmax": [((2, 19, 3, 5), {}), ((1, 5, 3, 7), dict(dim=3)), ((1, 5, 3, 7), dict(dim=2)), ((3, 10), dict(dim=1))],
    "log_softmax": [((2, 19, 3, 5), {}), ((1, 5, 3, 7), dict(dim=3)), ((3, 10), dict(dim=1))],
}


def flow(value):
    """A value as YAML's flow style has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def write_operator(run, cases, manifest):
    """One file of results per operator; one manifest line per case."""
    data = b""
    for shape, attributes in cases:
        x = torch.from_numpy(formula.uniform("image", math.prod(shape))).float().reshape(shape)
        y, _ = both(lambda v: run(v, **attributes), x)
        words = [run.__name__, len(data) // 4, len(shape), *shape, y.ndim, *y.shape]
        words += [", ".join(f"{k}: {flow(v)}" for k, v in attributes.items())]
        manifest.append(" ".join(map(str, words)).rstrip())
        data += y.float().numpy().astype("<f4").tobytes()
    (FIXTURES / "ops" / f"{run.__name__}.bin").write_bytes(data)
    print(f"{run.__name__:32s} {len(data):6d} bytes   {len(cases)} cases")


def main():
    parts = sys.argv[1:] or ["networks", "ops"]
    if not set(parts) <= {"networks", "ops"}:
        sys.exit(__doc__)
    for part in parts:
        (FIXTURES / part).mkdir(parents=True, exist_ok=True)
    if "networks" in parts:
        for row in NETWORKS:
            write_network(*row)
    if "ops" in parts:
        manifest = []
        for run in OPERATORS:
            write_operator(run, CASES[run.__name__], manifest)
        (FIXTURES / "ops" / "manifest.txt").write_text("\n".join(manifest) + "\n")


if __name__ == "__main__":
    main()
