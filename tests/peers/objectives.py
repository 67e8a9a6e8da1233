"""The study's objectives in PyTorch: what graphs/programs/ says, written a second time.

    game = objectives.Game("single_level")            # networks by the formula, in training mode
    terms, gradients = game.step(source, label, target)

A game has players (`generator`, `discriminator`, `level_discriminator`), each with parameters of its own and a loss.
All losses come from the same forward values, and each gradient is of one player's loss with respect to that
player's parameters. Names of parameters are those of the programs: "segmenter.conv.weight".
"""
import torch
import torch.nn.functional as F
from torch import nn

import formula
import networks

KINDS = ("supervised_bisenet", "single_level", "multi_level_spatial", "multi_level_context1", "multi_level_context2")
# The map of the second level, and its channels per channel of the narrowest layer.
LEVELS = {"multi_level_spatial": ("spatial", 4), "multi_level_context1": ("context1", 4),
          "multi_level_context2": ("context2", 8)}


class LevelClassifier(nn.Module):
    def __init__(self, channels, classes=19):
        super().__init__()
        self.conv = nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        return self.conv(x)


class LevelDiscriminator(nn.Module):
    def __init__(self, channels=19, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 4, 2, 1)
        self.conv2 = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 3, 1, 1)
        self.classifier = nn.Conv2d(4 * width, 1, 3, 1, 1)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.leaky_relu(conv(x), 0.2)
        return self.classifier(x)


def with_levels(net, x):
    """BiSeNet's three heads and the maps that a second discriminator can look at."""
    size = x.shape[-2:]
    spatial = net.spatial_path(x)
    stages = net.context_path.stages(x)
    tail = stages[3].mean((2, 3), keepdim=True)
    context1 = net.attention_refinement_module1(stages[2])
    context2 = net.attention_refinement_module2(stages[3])
    small1 = networks.bilinear(context1, spatial.shape[-2:])
    small2 = networks.bilinear(context2 * tail, spatial.shape[-2:])
    fused = net.feature_fusion_module(spatial, torch.cat((small1, small2), 1))
    return {
        # a 1x1 convolution and an enlargement commute
        "logits": networks.bilinear(net.conv(fused), size),
        "aux1": networks.bilinear(net.supervision1(small1), size),
        "aux2": networks.bilinear(net.supervision2(small2), size),
        "spatial": spatial, "context1": context1, "context2": context2,
    }


def judged(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


class Game:
    def __init__(self, kind, lambda_adv=0.001, lambda_adv_level=0.0002, lambda_seg_level=0.1, width=64, filters=64,
                 by_formula=True):
        self.kind = kind
        self.weights = lambda_adv, lambda_adv_level, lambda_seg_level
        self.nets = {"segmenter": networks.BiSeNet(base=width)}
        self.players = {"generator": ["segmenter"]}
        if kind != "supervised_bisenet":
            self.nets["discriminator"] = networks.FcDiscriminator(width=filters)
            self.players["discriminator"] = ["discriminator"]
        if kind in LEVELS:
            self.nets["level"] = LevelClassifier(LEVELS[kind][1] * width)
            self.nets["level_discriminator"] = LevelDiscriminator(width=filters)
            self.players["generator"].append("level")
            self.players["level_discriminator"] = ["level_discriminator"]
        for net in self.nets.values():
            net.train()
            for key, tensor in net.state_dict().items():
                if by_formula and not key.endswith("num_batches_tracked"):
                    tensor.copy_(torch.from_numpy(formula.parameter(key, tensor.shape)))

    def to(self, dtype):
        for net in self.nets.values():
            net.to(dtype)
        return self

    def parameters(self, player):
        """name -> parameter, without those that the network never evaluates."""
        return {f"{name}.{key}": parameter for name in self.players[player]
                for key, parameter in self.nets[name].named_parameters() if not key.startswith("context_path.fc.")}

    def statistics(self):
        return {f"{name}.{key}": tensor for name, net in self.nets.items()
                for key, tensor in net.named_buffers() if key.endswith(("running_mean", "running_var"))}

    def losses(self, source, label, target):
        """Every term, and the loss of each player."""
        terms = {}
        s = with_levels(self.nets["segmenter"], source)
        for name, head in (("main", "logits"), ("aux1", "aux1"), ("aux2", "aux2")):
            terms[name] = F.cross_entropy(s[head], label, ignore_index=255)
        seg = terms["seg"] = terms["main"] + terms["aux1"] + terms["aux2"]
        if self.kind == "supervised_bisenet":
            return terms, {"generator": seg}
        lambda_adv, lambda_adv_level, lambda_seg_level = self.weights
        t = with_levels(self.nets["segmenter"], target)
        d = self.nets["discriminator"]
        d_source, d_target = d(s["logits"].softmax(1)), d(t["logits"].softmax(1))
        terms["fool"] = judged(d_target, 0)
        loss = seg + lambda_adv * terms["fool"]
        terms["loss_discriminator"] = (judged(d_source, 0) + judged(d_target, 1)) / 2
        losses = {"discriminator": terms["loss_discriminator"]}
        if self.kind in LEVELS:
            level, d = self.nets["level"], self.nets["level_discriminator"]
            name = LEVELS[self.kind][0]
            level_s, level_t = level(s[name]), level(t[name])
            terms["level_main"] = F.cross_entropy(networks.bilinear(level_s, label.shape[-2:]), label, ignore_index=255)
            d_source, d_target = d(level_s.softmax(1)), d(level_t.softmax(1))
            terms["level_fool"] = judged(d_target, 0)
            loss = loss + lambda_adv_level * terms["level_fool"] + lambda_seg_level * terms["level_main"]
            terms["loss_level_discriminator"] = (judged(d_source, 0) + judged(d_target, 1)) / 2
            losses["level_discriminator"] = terms["loss_level_discriminator"]
        terms["loss"] = losses["generator"] = loss
        return terms, losses

    def step(self, source, label, target):
        """The terms, and each player's gradients: {player: {parameter: gradient}}. The simple way: a walk back for
        each player through everything."""
        terms, losses = self.losses(source, label, target)
        gradients = {}
        for player in self.players:
            own = self.parameters(player)
            found = torch.autograd.grad(losses[player], list(own.values()), retain_graph=True)
            gradients[player] = dict(zip(own, found))
        return terms, gradients
