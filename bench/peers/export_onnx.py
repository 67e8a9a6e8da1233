"""Writes build/peers/NETWORK_HxW.onnx with the formula's weights, for ONNX Runtime and OpenVINO.

    export_onnx.py NETWORK HEIGHT WIDTH [--classes]
"""
import sys
import warnings

import paths
import torch

import networks


class Classes(torch.nn.Module):
    """A network that answers with the class of each pixel instead of logits."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).argmax(1)


def build(network, classes):
    """The network that every peer runs."""
    net = networks.make(network)
    return Classes(net).eval() if classes else net


def main():
    words = [w for w in sys.argv[1:] if w != "--classes"]
    if len(words) != 3:
        sys.exit(__doc__)
    classes = "--classes" in sys.argv
    name, height, width = words[0], int(words[1]), int(words[2])
    paths.MODELS.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.onnx.export(build(name, classes), (networks.image(3, height, width),),
                      str(paths.onnx_file(name, height, width, classes)), dynamo=False, opset_version=17,
                      input_names=["image"], output_names=["out"])


if __name__ == "__main__":
    main()
