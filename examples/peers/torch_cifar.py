#!/usr/bin/env python3
"""PyTorch on the network of `train --recipe examples/recipes/cifar10.json`: the peer of docs/benchmarks/cifar10.md.

    python3 torch_cifar.py --data cifar-10-batches-bin --depth 8 --epochs 2 --threads 2

The images lie in memory as one normalised float tensor, the order is a random permutation, and nothing else is done to
them unless --augment is given (random crop of 2 and flip, a whole batch at once): what is timed is the training itself.
Prints one JSON line for each epoch: seconds of training and of testing, loss, test accuracy.
"""
import argparse
import json
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def load(folder, names):
    rows = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    images = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
    mean, deviation = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    return (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1), torch.from_numpy(rows[:, 0].astype(np.int64))


class Block(nn.Module):
    def __init__(self, cin, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.grow = stride, out - cin

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grow:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.grow))
        return F.relu(y + x)


def resnet_cifar(depth, width):
    n = (depth - 2) // 6
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    cin = width
    for stage in range(3):
        for i in range(n):
            out = width << stage
            layers.append(Block(cin, out, 2 if stage and i == 0 else 1))
            cin = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, 10))


def augmented(x):
    n = len(x)
    dy, dx = torch.randint(0, 5, (n,)), torch.randint(0, 5, (n,))
    flip = torch.rand(n) < 0.5
    rows = dy.view(-1, 1) + torch.arange(32)
    columns = dx.view(-1, 1) + torch.where(flip.view(-1, 1), 31 - torch.arange(32), torch.arange(32))
    padded = F.pad(x, (2, 2, 2, 2))
    return padded[torch.arange(n).view(-1, 1, 1, 1), torch.arange(3).view(1, 3, 1, 1), rows.view(n, 1, 32, 1),
                  columns.view(n, 1, 1, 32)]


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with data_batch_1.bin ...")
parser.add_argument("--depth", type=int, default=8)
parser.add_argument("--width", type=int, default=24)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--lr", type=float, default=0.2)
parser.add_argument("--weight-decay", type=float, default=5e-4)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--steps", type=int, default=0, help="stop an epoch after so many steps: for timing alone")
parser.add_argument("--augment", action="store_true")
parser.add_argument("--channels-last", action="store_true")
options = parser.parse_args()

torch.set_num_threads(options.threads)
torch.manual_seed(options.seed)
images, labels = load(options.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
test_images, test_labels = load(options.data, ["test_batch.bin"])
order = {"memory_format": torch.channels_last} if options.channels_last else {}
net = resnet_cifar(options.depth, options.width).to(**order)
sgd = torch.optim.SGD(net.parameters(), lr=options.lr, momentum=0.9, nesterov=True,
                      weight_decay=options.weight_decay, fused=True)
steps = len(images) // options.batch
schedule = torch.optim.lr_scheduler.OneCycleLR(sgd, options.lr, total_steps=options.epochs * steps + 1,
                                               cycle_momentum=False)
for epoch in range(options.epochs):
    net.train()
    start, total = time.perf_counter(), 0.0
    done = min(steps, options.steps) if options.steps else steps
    for chosen in torch.randperm(len(images))[: done * options.batch].view(done, -1):
        x = augmented(images[chosen]) if options.augment else images[chosen]
        loss = F.cross_entropy(net(x.contiguous(**order)), labels[chosen])
        sgd.zero_grad(set_to_none=True)
        loss.backward()
        sgd.step()
        schedule.step()
        total += loss.item()
    middle = time.perf_counter()
    net.eval()
    with torch.no_grad():
        right = sum((net(x.contiguous(**order)).argmax(1) == y).sum().item()
                    for x, y in zip(test_images.split(500), test_labels.split(500)))
    print(json.dumps({"framework": "torch", "version": torch.__version__, "model": f"resnet{options.depth}",
                      "width": options.width, "threads": options.threads, "batch": options.batch,
                      "mode": "channels_last" if options.channels_last else "eager", "seed": options.seed,
                      "epoch": epoch + 1, "steps": done, "train_seconds": round(middle - start, 2),
                      "test_seconds": round(time.perf_counter() - middle, 2), "loss": round(total / done, 4),
                      "test_accuracy": right / len(test_images)}), flush=True)
