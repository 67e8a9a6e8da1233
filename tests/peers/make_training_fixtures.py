"""Writes tests/fixtures/training/: steps of the study's programs, computed by PyTorch in double.

    make_training_fixtures.py [PROGRAM...]

README.md describes the files. Each step is computed in float too, which says how well conditioned it is.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import formula
import objectives

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "training"
STEPS, RATE, MOMENTUM, DECAY = 3, 1e-3, 0.9, 1e-4
WEIGHTS = {"lambda_adv": 0.5, "lambda_adv_level": 0.25, "lambda_seg_level": 0.1}
SAMPLES = 8
FLOOR = 1e-5  # gradients below this share of the player's largest are compared with it
SETTINGS = {"width": 16, "filters": 8}
SIZES = {"multi_level_spatial": (4, 64, 64), "multi_level_context1": (4, 64, 64), "multi_level_context2": (3, 128, 128)}
DEFAULT_SIZE = (4, 32, 64)
# A rectifier's input this near to 0, as a share of the root mean square, may have another sign in float, and the
# gradient then jumps: pictures are chosen so that there is none in the first step, whose gradients are compared, and
# none very near in the others. Networks are narrow so that such pictures can be found.
MARGIN, LATER_MARGIN = 3e-6, 3e-7


class Margin:
    """While it is in use, the smallest magnitude that any rectifier sees, as a share of the root mean square."""

    def __enter__(self):
        self.least = 1.0
        self.kept = F.relu, F.leaky_relu
        F.relu = lambda x: self.see(x) or self.kept[0](x)
        F.leaky_relu = lambda x, slope: self.see(x) or self.kept[1](x, slope)
        return self

    def __exit__(self, *_):
        F.relu, F.leaky_relu = self.kept

    def see(self, x):
        x = x.detach()
        self.least = min(self.least, (x.abs().min() / x.square().mean().sqrt()).item())


def picture(name, batch, height, width):
    values = formula.uniform(name, batch * 3 * height * width).astype(np.float32)
    return torch.from_numpy(values.reshape(batch, 3, height, width))


def labels(batch, height, width):
    """Classes 0 to 18, and 255 for two of 21."""
    u = formula.uniform("label", batch * height * width)
    ids = np.floor((u + 1) / 2 * 21).astype(np.int64)
    ids[ids >= 19] = 255
    return torch.from_numpy(ids.reshape(batch, height, width))


def sampled(tensor):
    """The largest magnitude, and values at fixed places."""
    flat = tensor.detach().double().flatten()
    places = [k * 2654435761 % flat.numel() for k in range(SAMPLES)]
    return [flat.abs().max().item()] + [flat[p].item() for p in places]


def train(game, source, label, target, margin=None):
    """Lines of the fixture: what a step finds, three times, then what it has made of the parameters. None if a rectifier
    came too near to 0."""
    rows = []
    momentum = {}
    for step in range(STEPS):
        terms, gradients = game.step(source, label, target)
        if margin and margin.least < (LATER_MARGIN if step else MARGIN):
            return None
        rows += [(f"term {step} {name}", [abs(v.item()), v.item()]) for name, v in terms.items()]
        for player, found in gradients.items():
            own = game.parameters(player)
            for name, g in found.items():
                if step == 0:
                    rows.append((f"gradient {player}/{name}", sampled(g)))
                with torch.no_grad():
                    g = g + DECAY * own[name]
                    momentum[name] = MOMENTUM * momentum[name] + g if name in momentum else g
                    own[name] -= RATE * momentum[name]
    for player in game.players:
        rows += [(f"parameter {name}", sampled(p)) for name, p in game.parameters(player).items()]
    rows += [(f"statistic {name}", sampled(s)) for name, s in game.statistics().items()]
    return rows


def write(kind):
    batch, height, width = SIZES.get(kind, DEFAULT_SIZE)
    label = labels(batch, height, width)
    for number in range(10000):
        source = picture(f"source.image {number}", batch, height, width)
        target = picture(f"target.image {number}", batch, height, width)
        game = objectives.Game(kind, **SETTINGS, **WEIGHTS).to(torch.float64)
        with Margin() as margin, torch.no_grad():
            statistics = {name: tensor.clone() for name, tensor in game.statistics().items()}
            game.losses(source.double(), label, target.double())
            for name, tensor in game.statistics().items():
                tensor.copy_(statistics[name])
        if margin.least < MARGIN:
            continue
        with Margin() as margin:
            exact = train(game, source.double(), label, target.double(), margin)
        if not exact:
            continue
        worst = compare(exact, train(objectives.Game(kind, **SETTINGS, **WEIGHTS), source, label, target))
        if worst["term"][0] < 2e-6 and worst["parameter"][0] < 2e-5:
            break
    lines = [f"program {kind}", f"input {batch} {height} {width} {number}"]
    lines += [" ".join([name] + [f"{v:.9g}" for v in values]) for name, values in exact]
    path = FIXTURES / f"{kind}.txt"
    path.write_text("\n".join(lines) + "\n")
    print(f"{path.name:28s} {path.stat().st_size:7d} bytes; float differs by "
          + ", ".join(f"{error:.1e} ({name})" for error, name in worst.values()), flush=True)


def compare(exact, close):
    """The largest difference among terms, gradients and so on, and where it is."""
    worst, largest = {}, {}
    for name, a in exact:
        group = name.split("/")[0]
        largest[group] = max(largest.get(group, 0), a[0])
    for (name, a), (_, b) in zip(exact, close):
        # A bias before a batch norm has no gradient but rounding.
        floor = FLOOR * largest[name.split("/")[0]] if name.startswith("gradient") else 1e-30
        error = max(abs(x - y) for x, y in zip(a, b)) / max(a[0], floor)
        group = name.split()[0]
        if error >= worst.get(group, (0,))[0]:
            worst[group] = (error, name)
    return worst


def main():
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for kind in sys.argv[1:] or objectives.KINDS:
        write(kind)


if __name__ == "__main__":
    main()
