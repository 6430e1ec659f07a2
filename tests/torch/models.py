"""What PyTorch computes in models_test.cpp: torchvision's networks made narrow, and others written here.

    pip install torchvision==0.29.2      # besides what frame.py needs
"""
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import nn
from torchvision.models.resnet import BasicBlock

from frame import R, File

CLASSES = 5
file = File(__file__)


def narrowed(make, factor, **options):
    """A network of torchvision's with its widths divided by the factor, for images of 2 channels."""
    with torch.device("meta"):
        net = make(**options)

    def narrow(n):
        assert n % factor == 0
        return n // factor

    def rebuilt(m):
        if isinstance(m, nn.Conv2d):
            of = 2 if m.in_channels == 3 else narrow(m.in_channels)
            return nn.Conv2d(of, narrow(m.out_channels), m.kernel_size, m.stride, m.padding, bias=m.bias is not None)
        if isinstance(m, nn.BatchNorm2d):
            return nn.BatchNorm2d(narrow(m.num_features))
        if isinstance(m, nn.Linear):
            out = CLASSES if m.out_features == 1000 else narrow(m.out_features)
            return nn.Linear(narrow(m.in_features), out)
        for name, child in m.named_children():
            setattr(m, name, rebuilt(child))
        return m

    return rebuilt(net)


class AlexNet2012(nn.Module):
    """The network of the paper, for images of 2 channels; the sums of response normalisation are no means."""

    def __init__(self, width, size, dropout=0.5):
        super().__init__()
        tower, hidden = width // 6, 4096 * width // 96
        self.dropout = dropout
        self.conv1 = nn.Conv2d(2, width, 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(width, 16 * tower, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(16 * tower, 24 * tower, 3, padding=1)
        self.conv4 = nn.Conv2d(24 * tower, 24 * tower, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(24 * tower, 16 * tower, 3, padding=1, groups=2)
        with torch.no_grad():
            features = self.features(torch.zeros(1, 2, size, size)).numel()
        self.fc6 = nn.Linear(features, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, CLASSES)

    def features(self, x):
        for conv in self.conv1, self.conv2:
            x = F.local_response_norm(F.relu(conv(x)), 5, alpha=5 * 1e-4, beta=0.75, k=2.0)
            x = F.max_pool2d(x, 3, 2)
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        return F.max_pool2d(F.relu(self.conv5(x)), 3, 2)

    def forward(self, x):
        x = self.features(x).flatten(1)
        for fc in self.fc6, self.fc7:
            x = F.dropout(F.relu(fc(x)), self.dropout, self.training)
        return self.fc8(x)


class PaddedIdentity(nn.Module):
    """Every second pixel, and zeros as the new channels."""

    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))


class PlainBlock(BasicBlock):
    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


class ResNetCifar(nn.Module):
    """The network of section 4.2 of the paper, of torchvision's blocks."""

    def __init__(self, n, width, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(2, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self.stage(n, width, width, shortcut)
        self.layer2 = self.stage(n, width, 2 * width, shortcut)
        self.layer3 = self.stage(n, 2 * width, 4 * width, shortcut)
        self.fc = nn.Linear(4 * width, CLASSES)

    @staticmethod
    def stage(n, inside, out, shortcut):
        block = PlainBlock if shortcut == "none" else BasicBlock
        if inside == out:
            return nn.Sequential(*[block(out, out) for _ in range(n)])
        change = {
            "none": lambda: None,
            "identity": lambda: PaddedIdentity(out - inside),
            "projection": lambda: nn.Sequential(nn.Conv2d(inside, out, 1, stride=2, bias=False), nn.BatchNorm2d(out)),
        }[shortcut]()
        return nn.Sequential(block(inside, out, 2, change), *[block(out, out) for _ in range(n - 1)])

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def compare(name, make, shape):
    """In training, without dropout, and in evaluation."""
    file.network(name, make(dropout=0.0), [R(*shape)])
    file.network(name + ".eval", make(dropout=0.5).eval(), [R(*shape)])


def compare_resnet(name, make, shape):
    file.network(name, make(), [R(*shape)])
    file.network(name + ".eval", make().eval(), [R(*shape)])


compare("alexnet", lambda **dropout: narrowed(tv.alexnet, 8, **dropout), (2, 2, 95, 127))
compare("alexnet2012", lambda **dropout: AlexNet2012(12, 95, **dropout), (2, 2, 95, 95))
compare("vgg11", lambda **dropout: narrowed(tv.vgg11, 16, **dropout), (2, 2, 64, 96))
compare("vgg16", lambda **dropout: narrowed(tv.vgg16, 16, **dropout), (2, 2, 64, 96))
compare("vgg19", lambda **dropout: narrowed(tv.vgg19, 16, **dropout), (2, 2, 64, 96))
compare("vgg16_bn", lambda **dropout: narrowed(tv.vgg16_bn, 16, **dropout), (2, 2, 64, 96))
for depth in 18, 34:
    make = getattr(tv, f"resnet{depth}")
    compare_resnet(f"resnet{depth}", lambda: narrowed(make, 8), (2, 2, 64, 96))
for depth in 50, 101, 152:
    make = getattr(tv, f"resnet{depth}")
    compare_resnet(f"resnet{depth}", lambda: narrowed(make, 16), (2, 2, 64, 96))
for depth in 20, 56:
    compare_resnet(f"resnet_cifar{depth}", lambda: ResNetCifar((depth - 2) // 6, 4, "identity"), (2, 2, 16, 24))
    compare_resnet(f"plain_cifar{depth}", lambda: ResNetCifar((depth - 2) // 6, 4, "none"), (2, 2, 16, 24))
compare_resnet("resnet_cifar20.projection", lambda: ResNetCifar(3, 4, "projection"), (2, 2, 16, 24))

file.save()
