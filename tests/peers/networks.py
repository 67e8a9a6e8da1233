"""The shipped networks in PyTorch, as the reference that compiled graphs are checked against.

The state-dict names are the parameter names of the graphs: torchvision's for the ResNets, the
published ones for ESPNet. Batch norm and everything else is meant for eval mode, except that
`BiSeNet` also returns its auxiliary heads in training mode.

    net = networks.make("bisenet")        # eval mode, weights from formula.py
    logits = net(networks.image(3, 64, 128))
"""
import torch
import torch.nn.functional as F
from torch import nn

import formula


def bilinear(x, size):
    """Resizes to (height, width) with half-pixel centres (align_corners=False)."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


# ---- ResNet ------------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs, width, stride, dilation, shortcut, stride_first):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut

    def forward(self, x):
        kept = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + kept)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut. The stride is on the first 1x1 (Caffe, DeepLab) or the 3x3 (torchvision)."""

    expansion = 4

    def __init__(self, inputs, width, stride, dilation, shortcut, stride_first):
        super().__init__()
        first, second = (stride, 1) if stride_first else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = shortcut

    def forward(self, x):
        kept = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + kept)


class ResNet(nn.Module):
    """A ResNet by torchvision's names. `strides` and `dilations` are per stage; classes=0 leaves out fc."""

    def __init__(self, block, counts, classes=1000, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1),
                 ceil_mode=False, stride_first=False, base=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=ceil_mode)
        channels = base
        for i, (width, count) in enumerate(zip((base, 2 * base, 4 * base, 8 * base), counts)):
            stage = []
            for j in range(count):
                stride = strides[i] if j == 0 else 1
                out = width * block.expansion
                shortcut = None
                if j == 0 and (stride != 1 or channels != out):
                    shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                stage.append(block(channels, width, stride, dilations[i], shortcut, stride_first))
                channels = out
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        if classes:
            self.fc = nn.Linear(channels, classes)

    def stages(self, x):
        """The outputs of layer1..layer4."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x):
        return self.fc(self.stages(x)[-1].mean((2, 3)))


def resnet18(base=64):
    return ResNet(BasicBlock, (2, 2, 2, 2), base=base)


def resnet101():
    return ResNet(Bottleneck, (3, 4, 23, 3))


# ---- BiSeNet -----------------------------------------------------------------------------------


class ConvBlock(nn.Module):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class SpatialPath(nn.Module):
    """Three strided blocks: 256 channels at 1/8."""

    def __init__(self, base=64):
        super().__init__()
        self.convblock1 = ConvBlock(3, base, 2)
        self.convblock2 = ConvBlock(base, 2 * base, 2)
        self.convblock3 = ConvBlock(2 * base, 4 * base, 2)

    def forward(self, x):
        return self.convblock3(self.convblock2(self.convblock1(x)))


class AttentionRefinementModule(nn.Module):
    """x * sigmoid(bn(conv1x1(global average of x)))."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return x * torch.sigmoid(self.bn(self.conv(x.mean((2, 3), keepdim=True))))


class FeatureFusionModule(nn.Module):
    """Joins both paths, then weights the channels: f + f * attention(f)."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.convblock = ConvBlock(inputs, classes, 1)
        self.conv1 = nn.Conv2d(classes, classes, 1)
        self.conv2 = nn.Conv2d(classes, classes, 1)

    def forward(self, spatial, context):
        f = self.convblock(torch.cat((spatial, context), 1))
        w = torch.sigmoid(self.conv2(F.relu(self.conv1(f.mean((2, 3), keepdim=True)))))
        return f * w + f


class BiSeNet(nn.Module):
    """BiSeNet with a ResNet-18 context path. Training mode returns (logits, aux1, aux2)."""

    def __init__(self, classes=19, base=64):
        super().__init__()
        self.spatial_path = SpatialPath(base)
        self.context_path = resnet18(base)  # its fc is carried and never evaluated
        self.attention_refinement_module1 = AttentionRefinementModule(4 * base)
        self.attention_refinement_module2 = AttentionRefinementModule(8 * base)
        self.supervision1 = nn.Conv2d(4 * base, classes, 1)
        self.supervision2 = nn.Conv2d(8 * base, classes, 1)
        self.feature_fusion_module = FeatureFusionModule(16 * base, classes)
        self.conv = nn.Conv2d(classes, classes, 1)

    def forward(self, x):
        size = x.shape[-2:]
        spatial = self.spatial_path(x)
        stages = self.context_path.stages(x)
        tail = stages[3].mean((2, 3), keepdim=True)
        context1 = bilinear(self.attention_refinement_module1(stages[2]), spatial.shape[-2:])
        context2 = bilinear(self.attention_refinement_module2(stages[3]) * tail, spatial.shape[-2:])
        fused = self.feature_fusion_module(spatial, torch.cat((context1, context2), 1))
        logits = self.conv(bilinear(fused, size))
        if not self.training:
            return logits
        return logits, bilinear(self.supervision1(context1), size), bilinear(self.supervision2(context2), size)


# ---- DeepLabV2 ---------------------------------------------------------------------------------


class Aspp(nn.Module):
    """The sum of four dilated 3x3 convolutions."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.conv2d_list = nn.ModuleList(nn.Conv2d(inputs, classes, 3, 1, d, d) for d in (6, 12, 18, 24))

    def forward(self, x):
        first, *rest = self.conv2d_list
        total = first(x)
        for conv in rest:
            total = total + conv(x)
        return total


class DeepLabV2(ResNet):
    """ResNet-101 at output stride 8 (ceil_mode max-pool, dilations 2 and 4), ASPP, bilinear to the image's size."""

    def __init__(self, classes=19):
        super().__init__(Bottleneck, (3, 4, 23, 3), classes=0, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4),
                         ceil_mode=True, stride_first=True)
        self.layer5 = Aspp(2048, classes)

    def forward(self, x):
        return bilinear(self.layer5(self.stages(x)[-1]), x.shape[-2:])


# ---- discriminator -----------------------------------------------------------------------------


class FcDiscriminator(nn.Module):
    """Five 4x4 convolutions of stride 2 with leaky ReLU 0.2 between them."""

    def __init__(self, channels=19, width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 4, 2, 1)
        self.conv2 = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 4, 2, 1)
        self.conv4 = nn.Conv2d(4 * width, 8 * width, 4, 2, 1)
        self.classifier = nn.Conv2d(8 * width, 1, 4, 2, 1)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.leaky_relu(conv(x), 0.2)
        return self.classifier(x)


# ---- ESPNet ------------------------------------------------------------------------------------

ESP_EPS = 1e-3  # of every batch norm in ESPNet


class Conv(nn.Module):
    """A square convolution without bias that keeps the size (before its stride)."""

    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2 * dilation, dilation, bias=False)

    def forward(self, x):
        return self.conv(x)


class BnAct(nn.Module):
    """Batch norm, PReLU."""

    def __init__(self, channels):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=ESP_EPS)
        self.act = nn.PReLU(channels)

    def forward(self, x):
        return self.act(self.bn(x))


class ConvBnAct(BnAct):
    """3x3 convolution, batch norm, PReLU."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__(outputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)

    def forward(self, x):
        return super().forward(self.conv(x))


class EspPyramid(nn.Module):
    """Reduce, five dilated branches, the four widest summed step by step, all concatenated."""

    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        n = outputs // 5
        self.c1 = Conv(inputs, n, kernel, stride)
        self.d1 = Conv(n, outputs - 4 * n, 3)
        self.d2 = Conv(n, n, 3, dilation=2)
        self.d4 = Conv(n, n, 3, dilation=4)
        self.d8 = Conv(n, n, 3, dilation=8)
        self.d16 = Conv(n, n, 3, dilation=16)

    def forward(self, x):
        x = self.c1(x)
        parts = [self.d1(x), self.d2(x)]
        for branch in (self.d4, self.d8, self.d16):
            parts.append(parts[-1] + branch(x))
        return torch.cat(parts, 1)


class EspDown(EspPyramid):
    """An ESP block that halves the size."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, 2)
        self.bn = nn.BatchNorm2d(outputs, eps=ESP_EPS)
        self.act = nn.PReLU(outputs)

    def forward(self, x):
        return self.act(self.bn(super().forward(x)))


class EspBlock(EspPyramid):
    """An ESP block, residual unless told otherwise. Its `bn` is batch norm and PReLU together."""

    def __init__(self, inputs, outputs, residual=True):
        super().__init__(inputs, outputs, 1, 1)
        self.bn = BnAct(outputs)
        self.residual = residual

    def forward(self, x):
        y = super().forward(x)
        return self.bn(x + y if self.residual else y)


class EspEncoder(nn.Module):
    """ESPNet-C. Returns (level 1, level 1 with the image, level 2 with the image, classes at 1/8)."""

    def __init__(self, classes, p, q):
        super().__init__()
        self.level1 = ConvBnAct(3, 16, 2)
        self.b1 = BnAct(16 + 3)
        self.level2_0 = EspDown(16 + 3, 64)
        self.level2 = nn.ModuleList(EspBlock(64, 64) for _ in range(p))
        self.b2 = BnAct(128 + 3)
        self.level3_0 = EspDown(128 + 3, 128)
        self.level3 = nn.ModuleList(EspBlock(128, 128) for _ in range(q))
        self.b3 = BnAct(256)
        self.classifier = Conv(256, classes, 1)

    def forward(self, x):
        half = F.avg_pool2d(x, 3, 2, 1)  # the padding counts as zeros
        quarter = F.avg_pool2d(half, 3, 2, 1)
        level1 = self.level1(x)
        cat1 = self.b1(torch.cat((level1, half), 1))
        first2 = last2 = self.level2_0(cat1)
        for block in self.level2:
            last2 = block(last2)
        cat2 = self.b2(torch.cat((last2, first2, quarter), 1))
        first3 = last3 = self.level3_0(cat2)
        for block in self.level3:
            last3 = block(last3)
        return level1, cat1, cat2, self.classifier(self.b3(torch.cat((first3, last3), 1)))


class EspNet(nn.Module):
    """ESPNet with its decoder.

    `skip` says which level-1 map the last 3x3 sees: "level1" (16 channels; the Cityscapes
    weights) or "cat1" (19 channels, after the image is joined; the CamVid weights).
    """

    def __init__(self, classes, p=2, q=8, skip="level1"):
        super().__init__()
        self.encoder = EspEncoder(classes, p, q)
        self.level3_C = Conv(128 + 3, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=ESP_EPS)
        self.conv = ConvBnAct(classes + (16 if skip == "level1" else 19), classes)
        self.up_l3 = nn.Sequential(nn.ConvTranspose2d(classes, classes, 2, 2, bias=False))
        self.combine_l2_l3 = nn.Sequential(BnAct(2 * classes), EspBlock(2 * classes, classes, residual=False))
        self.up_l2 = nn.Sequential(nn.ConvTranspose2d(classes, classes, 2, 2, bias=False), BnAct(classes))
        self.classifier = nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)
        self.skip = skip

    def forward(self, x):
        level1, cat1, cat2, coarse = self.encoder(x)
        up = self.up_l3(self.br(coarse))
        merged = self.up_l2(self.combine_l2_l3(torch.cat((self.level3_C(cat2), up), 1)))
        fine = self.conv(torch.cat((merged, level1 if self.skip == "level1" else cat1), 1))
        return self.classifier(fine)


# ---- by name -----------------------------------------------------------------------------------

NETWORKS = {
    "resnet18": resnet18,
    "resnet101": resnet101,
    "bisenet": BiSeNet,
    "deeplabv2": DeepLabV2,
    "fc_discriminator": FcDiscriminator,
    "espnet_camvid": lambda: EspNet(12, skip="cat1"),
    "espnet_cityscapes": lambda: EspNet(20, skip="level1"),
}


def make(name):
    """The network of that name in eval mode, its parameters and running statistics by the formula."""
    net = NETWORKS[name]().eval()
    for key, tensor in net.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(formula.parameter(key, tensor.shape)))
    return net


def image(channels, height, width, batch=1):
    """The formula's picture as a tensor."""
    return torch.from_numpy(formula.image(channels, height, width, batch))
