"""ResNet-20 on CIFAR-10 in PyTorch, from weights and batches that training_curve.cpp repeats.

    python3 training_curve.py start curve.safetensors --steps 1170      # the weights and the images of every batch
    python3 training_curve.py train curve.safetensors --data cifar-10-batches-bin --out torch.json
    build/release/tests/torch/dnn_training_curve curve.safetensors dnn.json 0.1 float32 cpu
    python3 training_curve.py compare torch.json dnn.json

The paper's network (identity shortcuts) with its optimizer: momentum 0.9, weight decay 1e-4, learning rate 0.1 unless --lr says
otherwise; batches of 128 and nothing augmented, so that both sides see the same numbers. An epoch has 390 steps.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples" / "peers"))
from torch_cifar import ResNetCifar, load_train

EPOCH, BATCH, IMAGES = 390, 128, 50000


def start(args):
    torch.manual_seed(args.seed)
    epochs = [torch.randperm(IMAGES)[:EPOCH * BATCH].view(EPOCH, BATCH) for _ in range(-(-args.steps // EPOCH))]
    order = torch.cat(epochs)[:args.steps].contiguous()
    weights = {f"model.{name}": tensor for name, tensor in ResNetCifar(20).state_dict().items()}
    save_file(weights | {"order": order}, args.file)


def train(args):
    torch.set_num_threads(args.threads)
    state = load_file(args.file)
    order = state.pop("order")
    state = {name.removeprefix("model."): tensor for name, tensor in state.items()}
    images, labels = load_train(args.data)
    net = ResNetCifar(20)
    net.load_state_dict(state)
    dtype = getattr(torch, args.dtype)
    net.to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter *= 1 + args.disturb
    sgd = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    losses, begin = [], time.time()
    for indices in order:
        loss = F.cross_entropy(net(images[indices].to(dtype)), labels[indices])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
        if len(losses) % EPOCH == 0:
            print(f"step {len(losses)}: {np.mean(losses[-EPOCH:]):.4f}, {time.time() - begin:.0f} s", flush=True)
    pathlib.Path(args.out).write_text(json.dumps(
        {"library": f"PyTorch {torch.__version__}", "lr": args.lr, "dtype": args.dtype, "losses": losses}))


def compare(args):
    a, b = (json.loads(pathlib.Path(p).read_text()) for p in (args.file, args.other))
    x, y = np.array(a["losses"]), np.array(b["losses"])
    early = np.abs(x[:20] - y[:20]) / x[:20]
    print(f"largest relative difference of the first 20 losses: {early.max():.2e}")
    for epoch in range(len(x) // EPOCH):
        p, q = (z[epoch * EPOCH:(epoch + 1) * EPOCH].mean() for z in (x, y))
        print(f"epoch {epoch + 1}: {a['library']} {p:.4f}, {b['library']} {q:.4f}, {100 * (q / p - 1):+.2f} %")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("command", choices=["start", "train", "compare"])
parser.add_argument("file")
parser.add_argument("other", nargs="?")
parser.add_argument("--steps", type=int, default=3 * EPOCH)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--data", type=pathlib.Path, default="cifar-10-batches-bin")
parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--disturb", type=float, default=0, help="factor of the first weights, minus 1: what rounding does")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--out", default="torch.json")
args = parser.parse_args()
{"start": start, "train": train, "compare": compare}[args.command](args)
