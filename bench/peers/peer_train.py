"""Times training steps of one of the study's programs in PyTorch and prints one JSON line.

    peer_train.py PROGRAM [--size HxW] [--batch N] [--threads N] [--warmup N] [--runs N] [--channels_last]

The objective is tests/peers/objectives.py's, the way one would write it for speed: as AdaptSegNet does, the
discriminators' weights take no gradients while the segmenter's are found, D(target) is computed for each of its
uses, and Adam updates all players (foreach, PyTorch's own choice).
"""
import argparse
import json
import os
import statistics
import time
import warnings

import paths
import torch
import torch.nn.functional as F

from peer import rss_mb
import objectives
from objectives import judged, with_levels


def bce_on(discriminator, maps, target):
    return judged(discriminator(maps), target)


class Trainer:
    def __init__(self, kind, channels_last):
        self.game = game = objectives.Game(kind, by_formula=False)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        for net in game.nets.values():
            net.to(memory_format=self.format)
        rates = {"generator": (2.5e-4, (0.9, 0.999))}
        self.optimizers = []
        for player in game.players:
            lr, betas = rates.get(player, (1e-4, (0.9, 0.99)))
            self.optimizers.append(torch.optim.Adam(list(game.parameters(player).values()), lr, betas))
        self.judges = [name for name in game.nets if name.endswith("discriminator")]

    def judge(self, wanted):
        for name in self.judges:
            self.game.nets[name].requires_grad_(wanted)

    def maps(self, outputs):
        """What each discriminator looks at, and the enlarged logits of the second level."""
        found = {"discriminator": outputs["logits"].softmax(1)}
        level = None
        if self.game.kind in objectives.LEVELS:
            level = self.game.nets["level"](outputs[objectives.LEVELS[self.game.kind][0]])
            found["level_discriminator"] = level.softmax(1)
        return found, level

    def step(self, source, label, target):
        game = self.game
        lambda_adv = dict(zip(("discriminator", "level_discriminator"), game.weights))
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.judge(False)
        s = with_levels(game.nets["segmenter"], source)
        loss = sum(F.cross_entropy(s[h], label, ignore_index=255) for h in ("logits", "aux1", "aux2"))
        maps_s = maps_t = None
        if self.judges:
            maps_s, level = self.maps(s)
            if level is not None:
                up = F.interpolate(level, size=label.shape[-2:], mode="bilinear", align_corners=False)
                loss = loss + game.weights[2] * F.cross_entropy(up, label, ignore_index=255)
        loss.backward()
        if self.judges:
            maps_t, _ = self.maps(with_levels(game.nets["segmenter"], target))
            sum(lambda_adv[name] * bce_on(game.nets[name], m, 0) for name, m in maps_t.items()).backward()
            self.judge(True)
            for name in self.judges:
                (bce_on(game.nets[name], maps_s[name].detach(), 0) / 2).backward()
                (bce_on(game.nets[name], maps_t[name].detach(), 1) / 2).backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.item()


def main():
    parser = argparse.ArgumentParser(description="time PyTorch's training steps")
    parser.add_argument("program", choices=objectives.KINDS)
    parser.add_argument("--size", default="256x512")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--channels_last", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    height, width = map(int, args.size.split("x"))
    trainer = Trainer(args.program, args.channels_last)
    source, target = (torch.randn(args.batch, 3, height, width).to(memory_format=trainer.format) for _ in range(2))
    label = torch.randint(0, 19, (args.batch, height, width))
    times = []
    for i in range(args.warmup + args.runs):
        start = time.perf_counter()
        loss = trainer.step(source, label, target)
        if i >= args.warmup:
            times.append(1000 * (time.perf_counter() - start))
    print(json.dumps({
        "name": "torch_cl" if args.channels_last else "torch", "version": torch.__version__, "program": args.program,
        "median_ms": round(statistics.median(times), 1), "min_ms": round(min(times), 1), "max_ms": round(max(times), 1),
        "runs": args.runs, "peak_rss_mb": round(rss_mb(), 1), "output": f"loss {loss:.4g}",
    }))


if __name__ == "__main__":
    main()
