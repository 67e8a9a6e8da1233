#!/usr/bin/env python3
"""What torchvision makes of the picture in tests/unit/test_augment.c: the numbers of its table `colors`.

    python tests/peers/make_augment_fixtures.py        needs PyTorch and torchvision

Colours are changed in floating point and rounded once; blurring is that of 8-bit pictures. The second argument of
each is what seed 5 of the stream "test" draws there (runtime/rt_rand.h).
"""
import torch
from torchvision.transforms import functional as F

PICTURE = [10, 20, 30, 200, 100, 50, 0, 255, 128, 255, 255, 255, 90, 90, 90, 12, 250, 250,
           180, 20, 220, 255, 0, 0, 0, 0, 255, 60, 180, 75, 128, 128, 0, 33, 66, 99]
COLORS = [(F.adjust_brightness, 1.62335253), (F.adjust_contrast, 1.16095638), (F.adjust_saturation, 0.31409061),
          (F.adjust_hue, 0.282524109)]
BLURS = [(3, 1.62168276), (5, 1.62168276)]


def show(name, pixels):
    print(name, ", ".join(str(int(v)) for v in pixels.permute(1, 2, 0).flatten()))


def main():
    picture = torch.tensor(PICTURE, dtype=torch.uint8).reshape(3, 4, 3).permute(2, 0, 1)
    for adjust, value in COLORS:
        show(adjust.__name__, (adjust(picture / 255, value) * 255).round())
    for kernel, sigma in BLURS:
        show(f"gaussian_blur {kernel}", F.gaussian_blur(picture, [kernel, kernel], [sigma, sigma]))


if __name__ == "__main__":
    main()
