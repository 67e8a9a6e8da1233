"""IoU per class of the published CamVid weights of ESPNet on a list of image and label pairs.

    check_espnet.py WEIGHTS.pth ROOT LIST

LIST holds "image label" lines relative to ROOT; labels are 0..10 and 255 (void, not counted).
Images enter at their own size, BGR, no resizing. Output 11 is void: where the label has a class it is a miss.
"""
import sys

import numpy as np
import torch
from PIL import Image

import networks

CLASSES = "sky building pole road pavement tree sign fence car pedestrian bicyclist".split()
MEAN = (110.33102643, 108.40886315, 105.03319369)  # of B, G, R
STD = (72.12571015, 72.69074534, 69.90434816)


def prepare(path):
    """The picture as the network wants it: (x - mean) / std / 255, channels BGR."""
    bgr = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)[:, :, ::-1]
    x = (bgr - np.float32(MEAN)) / np.float32(STD) / np.float32(255)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None]


def confusion(net, root, pairs):
    """counts[truth, predicted] over all labelled pixels; 11 rows, 12 columns."""
    counts = np.zeros((11, 12), dtype=np.int64)
    with torch.inference_mode():
        for image, label in pairs:
            truth = np.asarray(Image.open(f"{root}/{label}"))
            predicted = net(prepare(f"{root}/{image}")).argmax(1)[0].numpy()
            seen = truth != 255
            counts += np.bincount(truth[seen] * 12 + predicted[seen], minlength=132).reshape(11, 12)
    return counts


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    weights, root, listing = sys.argv[1:]
    net = networks.NETWORKS["espnet_camvid"]().eval()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    with open(listing) as f:
        pairs = [line.split() for line in f if line.strip()]
    counts = confusion(net, root, pairs)
    hits = np.diag(counts)
    iou = 100 * hits / (counts.sum(1) + counts[:, :11].sum(0) - hits)
    for name, value in zip(CLASSES, iou):
        print(f"{name:12s} {value:6.2f}")
    print(f"{'mIoU':12s} {iou.mean():6.2f}   {len(pairs)} pairs, {counts.sum()} pixels, {counts[:, 11].sum()} as void")


if __name__ == "__main__":
    main()
