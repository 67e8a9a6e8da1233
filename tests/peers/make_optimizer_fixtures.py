"""Writes tests/fixtures/training/optimizers.txt: 100 steps of PyTorch's optimisers and schedules, in double.

A line is a name, the learning rates of steps 1, 50 and 99, and all 91 elements of the parameter afterwards. Parameter and
gradients are the formula's: u("w", j) and u("gradient T", j) for T = 1 .. 100.
"""
import numpy as np
import torch

import formula
from make_training_fixtures import FIXTURES

COUNT, STEPS = 91, 100
ADAM = dict(lr=2.5e-4)
RULES = {
    "sgd_poly": (torch.optim.SGD, dict(lr=1e-2), "poly"),
    "sgd_momentum_step": (torch.optim.SGD, dict(lr=1e-2, momentum=0.9, weight_decay=0.01), "step"),
    "sgd_dampening_constant": (torch.optim.SGD, dict(lr=1e-2, momentum=0.8, dampening=0.3), "constant"),
    "sgd_nesterov_cosine": (torch.optim.SGD, dict(lr=1e-2, momentum=0.5, nesterov=True), "cosine"),
    "adam_poly": (torch.optim.Adam, ADAM, "poly"),
    "adam_decay_cosine": (torch.optim.Adam, dict(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05), "cosine"),
    "adamw_poly": (torch.optim.AdamW, dict(lr=1e-3, weight_decay=0.01), "poly"),
    "adamw_step": (torch.optim.AdamW, dict(lr=1e-3, betas=(0.8, 0.999), eps=1e-4, weight_decay=0.1), "step"),
}


def schedule(kind, optimizer):
    s = torch.optim.lr_scheduler
    return {
        "poly": lambda: s.PolynomialLR(optimizer, STEPS, 0.9),
        "step": lambda: s.StepLR(optimizer, 30, 0.5),
        "cosine": lambda: s.CosineAnnealingLR(optimizer, STEPS, 1e-5),
        "constant": lambda: s.ConstantLR(optimizer, 1.0),
    }[kind]()


def run(make, options, kind):
    w = torch.nn.Parameter(torch.from_numpy(formula.uniform("w", COUNT).astype(np.float32)).double())
    optimizer = make([w], **options)
    rates = schedule(kind, optimizer)
    seen = []
    for t in range(1, STEPS + 1):
        w.grad = torch.from_numpy(formula.uniform(f"gradient {t}", COUNT).astype(np.float32)).double()
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rates.step()
    return [seen[1], seen[50], seen[99]] + w.tolist()


def main():
    lines = [" ".join([name] + [f"{v:.9g}" for v in run(*rule)]) for name, rule in RULES.items()]
    (FIXTURES / "optimizers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
