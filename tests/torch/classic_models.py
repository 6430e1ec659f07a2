"""What PyTorch computes in classic_models_test.cpp: the networks before AlexNet, at full size the result alone, at
reduced size with all gradients."""
import torch
import torch.nn.functional as F
from torch import nn

from frame import R, File

file = File(__file__)


class ScaledTanh(nn.Module):
    def forward(self, x):
        return 1.7159 * torch.tanh(2 / 3 * x)


class LeNet1989(nn.Module):
    """Convolutions of two thirds of the maps, one after another."""

    def __init__(self, width=12, h3=30):
        super().__init__()
        self.third = width // 3
        self.h1 = nn.Conv2d(1, width, 5, stride=2, bias=False)
        self.h2 = nn.Conv2d(2 * width, width, 5, groups=3, bias=False)  # for its weight alone
        self.h1_bias = nn.Parameter(torch.empty(width, 8, 8))
        self.h2_bias = nn.Parameter(torch.empty(width, 4, 4))
        self.h3 = nn.Linear(width * 16, h3)
        self.output = nn.Linear(h3, 10)
        self.squash = ScaledTanh()

    def forward(self, x):
        n = self.third
        x = self.squash(self.h1(F.pad(x, [2] * 4, value=-1.0)) + self.h1_bias)
        x = F.pad(x, [2] * 4, value=-1.0)
        seen = [x[:, : 2 * n], x[:, n:], torch.cat([x[:, :n], x[:, 2 * n :]], 1)]
        parts = [F.conv2d(maps, self.h2.weight[n * i : n * (i + 1)], stride=2) for i, maps in enumerate(seen)]
        x = self.squash(torch.cat(parts, 1) + self.h2_bias)
        return self.squash(self.output(self.squash(self.h3(x.flatten(1)))))


class LastState(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[1][0][-1]


def mlp(*sizes, unit=nn.ReLU):
    layers = [nn.Flatten()]
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), unit()]
    return nn.Sequential(*layers[:-1])


def lenet5(w=6, side=5):
    wide = lambda own: own * w // 6
    return nn.Sequential(
        nn.Conv2d(1, wide(6), 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(wide(6), wide(16), 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(wide(16) * side * side, wide(120)), nn.ReLU(),
        nn.Linear(wide(120), wide(84)), nn.ReLU(), nn.Linear(wide(84), 10))


def row_lstm(channels, size, hidden):
    return nn.Sequential(nn.Flatten(1, 2), LastState(size, hidden, batch_first=True), nn.Linear(hidden, 10))


def ciresan(channels, side, stages, neurons):
    layers = []
    for maps, kernel, pooling in stages:
        layers += [nn.Conv2d(channels, maps, kernel), ScaledTanh(), nn.MaxPool2d(pooling, ceil_mode=True)]
        channels, side = maps, -((side - kernel + 1) // -pooling)
    layers += [nn.Flatten()]
    sizes = [channels * side * side, *neurons, 10]
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), ScaledTanh()]
    return nn.Sequential(*layers[:-1])


def both(name, full, image, reduced, small_image, scale, small_scale):
    file.module(name, full, [image], scale=scale, gradients=False)
    file.module(name + ".reduced", reduced, [small_image], scale=small_scale)


digit = R(2, 1, 28, 28)
both("mlp", mlp(784, 128, 10), digit, mlp(18, 7, 5, 10), R(3, 2, 3, 3), 0.1, 0.5)
both("hinton2006", mlp(784, 500, 500, 2000, 10, unit=nn.Sigmoid), digit,
     mlp(9, 3, 3, 12, 10, unit=nn.Sigmoid), R(3, 1, 3, 3), 0.1, 0.5)
both("lenet1989", LeNet1989(), R(2, 1, 16, 16, low=-1.0, high=1.0), LeNet1989(6, 15), R(2, 1, 16, 16, low=-1.0, high=1.0),
     0.1, 0.2)
both("lenet5", lenet5(), digit, lenet5(3, 1), R(2, 1, 12, 12), 0.1, 0.3)
both("row_lstm", row_lstm(1, 28, 128), digit, row_lstm(2, 5, 4), R(2, 2, 3, 5), 0.1, 0.5)
both("ciresan2011", ciresan(1, 28, [(20, 4, 2), (40, 5, 3)], [150]), digit,
     ciresan(1, 13, [(2, 4, 2), (4, 5, 3)], [15]), R(2, 1, 13, 13), 0.1, 0.3)
cifar = lambda maps: [(maps, 3, 2), (maps, 2, 2), (maps, 3, 2), (maps, 2, 2)]
both("ciresan2011_cifar", ciresan(3, 32, cifar(300), [300, 100]), R(1, 3, 32, 32),
     ciresan(1, 21, cifar(3), [3, 1]), R(2, 1, 21, 21), 0.05, 0.5)

file.save()
