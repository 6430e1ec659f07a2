#!/usr/bin/env python3
"""PyTorch on the recipes of `train` for CIFAR-10: the peer of docs/benchmarks/cifar10.md.

    python3 torch_cifar.py --data cifar-10-batches-bin --recipe ../recipes/resnet20.json --device cuda
    python3 torch_cifar.py --data cifar-10-batches-bin --recipe ../recipes/cifar10.json --no-augment --epochs 2

The images lie on the device as one normalised float tensor, the order is a random permutation. Crops and flips are drawn a whole
batch at once; with --no-augment nothing is done to the images, so that what is timed is the training itself. Prints one JSON line
for each epoch: seconds of training and of testing, loss, test accuracy.
"""
import argparse
import json
import pathlib
import re
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def load(folder, names):
    rows = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    images = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
    images = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
    return images, torch.from_numpy(rows[:, 0].astype(np.int64))


def load_train(folder):
    return load(folder, [f"data_batch_{i}.bin" for i in range(1, 6)])


class Block(nn.Module):
    def __init__(self, cin, out, stride, plain):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.grow, self.plain = stride, out - cin, plain

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.plain:
            return F.relu(y)
        if self.grow:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.grow))
        return F.relu(y + x)


class ResNetCifar(nn.Module):
    """The networks of section 4.2 of He et al., with identity shortcuts or without any."""

    def __init__(self, depth, width=16, plain=False):
        super().__init__()
        stage = lambda cin, out, stride: nn.Sequential(
            *[Block(out if i else cin, out, 1 if i else stride, plain) for i in range((depth - 2) // 6)])
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.layer1, self.layer2 = stage(width, width, 1), stage(width, 2 * width, 2)
        self.layer3, self.fc = stage(2 * width, 4 * width, 2), nn.Linear(4 * width, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def augmented(x, crop, flip):
    n, device = len(x), x.device
    dy, dx = torch.randint(0, 2 * crop + 1, (2, n, 1), device=device)
    sides = torch.arange(32, device=device)
    mirrored = (torch.rand(n, 1, device=device) < 0.5) & flip
    rows, columns = dy + sides, dx + torch.where(mirrored, 31 - sides, sides)
    padded = F.pad(x, (crop,) * 4)
    return padded[torch.arange(n, device=device).view(-1, 1, 1, 1), torch.arange(3, device=device).view(1, 3, 1, 1),
                  rows.view(n, 1, 32, 1), columns.view(n, 1, 1, 32)]


def schedule_for(recipe, optimizer, steps):
    if recipe["schedule"] == "step":
        milestones = recipe.get("milestones", [steps // 2, steps * 3 // 4])
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    if recipe["schedule"] == "one-cycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe["lr"], total_steps=steps + 1, cycle_momentum=False)
    raise SystemExit(f"torch_cifar: schedule {recipe['schedule']} is not there, expected step or one-cycle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the folder with data_batch_1.bin ...")
    parser.add_argument("--recipe", type=pathlib.Path, required=True, help="JSON file of options of train")
    parser.add_argument("--epochs", type=int, help="in place of the recipe's")
    parser.add_argument("--steps", type=int, default=0, help="stop an epoch after so many steps: for timing alone")
    parser.add_argument("--no-augment", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    recipe = json.loads(options.recipe.read_text())
    model = re.fullmatch(r"(resnet|plain)(\d+)", recipe["model"])
    if model is None or int(model[2]) % 6 != 2 or recipe["data"] != "cifar10" or recipe["optimizer"] != "sgd":
        raise SystemExit("torch_cifar: expected a recipe of resnetN or plainN, N = 6 n + 2, on cifar10 with sgd")
    if unknown := {"label-smoothing", "clip-norm", "cutout", "size"} & set(recipe):
        raise SystemExit(f"torch_cifar: {', '.join(sorted(unknown))} is not there")

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    images, labels = (x.to(options.device) for x in load_train(options.data))
    test_images, test_labels = (x.to(options.device) for x in load(options.data, ["test_batch.bin"]))
    order = {"memory_format": torch.channels_last} if options.channels_last else {}
    net = ResNetCifar(int(model[2]), recipe.get("width", 16), model[1] == "plain").to(options.device, **order)
    sgd = torch.optim.SGD(net.parameters(), lr=recipe["lr"], momentum=recipe["momentum"],
                          nesterov=recipe.get("nesterov", False), weight_decay=recipe["weight-decay"], fused=True)
    epochs, batch = options.epochs or recipe["epochs"], recipe["batch"]
    steps = len(images) // batch
    schedule = schedule_for(recipe, sgd, epochs * steps)
    for epoch in range(epochs):
        net.train()
        start, losses = time.perf_counter(), []
        done = min(steps, options.steps) if options.steps else steps
        for chosen in torch.randperm(len(images), device=options.device)[: done * batch].view(done, -1):
            x = images[chosen]
            if not options.no_augment:
                x = augmented(x, recipe.get("crop", 0), recipe.get("flip", False))
            loss = F.cross_entropy(net(x.contiguous(**order)), labels[chosen])
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
            schedule.step()
            losses.append(loss.detach())
        loss = torch.stack(losses).mean().item()
        middle = time.perf_counter()
        net.eval()
        with torch.no_grad():
            right = sum((net(x.contiguous(**order)).argmax(1) == y).sum()
                        for x, y in zip(test_images.split(500), test_labels.split(500))).item()
        print(json.dumps({"framework": "torch", "version": torch.__version__, "model": recipe["model"],
                          "width": recipe.get("width", 16), "device": options.device, "threads": options.threads,
                          "batch": batch, "mode": "channels_last" if options.channels_last else "eager",
                          "seed": options.seed, "epoch": epoch + 1, "steps": done,
                          "train_seconds": round(middle - start, 2),
                          "test_seconds": round(time.perf_counter() - middle, 2), "loss": round(loss, 4),
                          "test_accuracy": right / len(test_images)}), flush=True)


if __name__ == "__main__":
    main()
