#!/usr/bin/env python3
"""PyTorch on the workloads of `bench`: the peer of docs/benchmarks.md.

    python3 torch_bench.py --device cpu --threads 2 --modes eager,channels_last,compile
    python3 torch_bench.py --device cuda --precision bf16,tf32 --workloads resnet50 --phases train
    python3 torch_bench.py --device cuda --workloads resnet50 --phases train --precision bf16 --kernels kernels.jsonl

Prints a JSON object a line for each case, with the fields of `bench`. A step is an optimisation step (train) or a forward pass
(infer) on a batch that already lies on the device. A CPU case runs in a process of its own, so that its peak memory is its own.
Modes:
  eager           as written; on a GPU in channels_last
  channels_last   the same on a CPU, for networks that take colour images
  compile         torch.compile, max-autotune
  graph           the whole step captured as a CUDA graph
  graph16         sixteen steps in one CUDA graph
  compile-graph   a compiled step in a CUDA graph
On a GPU cudnn.benchmark and fused optimizers are on. With bf16 and fp16 training runs under autocast with float32 weights, inference
with weights of 16 bits; fp16 scales the loss. With --kernels one more step runs under torch.profiler and each kernel's launches
and time go to that file; with --mark-step one more step runs between cudaProfilerStart and cudaProfilerStop, for ncu --profile-from-start off.
Needs PyTorch 2.4 or later.
"""
import argparse
import dataclasses
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


# ---- the networks -----------------------------------------------------------------------------------------------------

def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class RowLstm(nn.Module):
    """Reads an image row by row."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.classify = nn.Linear(128, 10)

    def forward(self, x):
        states, _ = self.lstm(x.flatten(1, 2))
        return self.classify(states[:, -1])


def classifier(features, hidden, classes, dropout_first):
    """The three fully connected layers of AlexNet: with dropout before the first two, or after them."""
    block = lambda size: ([nn.Dropout(0.5), nn.Linear(size, hidden), nn.ReLU()] if dropout_first else
                          [nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(0.5)])
    return [nn.Flatten(), *block(features), *block(hidden), nn.Linear(hidden, classes)]


def alexnet():
    """Krizhevsky 2014, one tower."""
    conv = lambda *a, **k: [nn.Conv2d(*a, **k), nn.ReLU()]
    pool = lambda: nn.MaxPool2d(3, 2)
    return nn.Sequential(
        *conv(3, 64, 11, stride=4, padding=2), pool(), *conv(64, 192, 5, padding=2), pool(), *conv(192, 384, 3, padding=1),
        *conv(384, 256, 3, padding=1), *conv(256, 256, 3, padding=1), pool(), *classifier(9216, 4096, 1000, True))


def alexnet2012():
    """Krizhevsky et al. 2012: two towers as groups, local response normalisation (PyTorch divides alpha by the window)."""
    conv = lambda *a, **k: [nn.Conv2d(*a, **k), nn.ReLU()]
    normalised_pool = lambda: [nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0), nn.MaxPool2d(3, 2)]
    return nn.Sequential(
        *conv(3, 96, 11, stride=4), *normalised_pool(), *conv(96, 256, 5, padding=2, groups=2), *normalised_pool(),
        *conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2), *conv(384, 256, 3, padding=1, groups=2),
        nn.MaxPool2d(3, 2), *classifier(9216, 4096, 1000, False))


def conv_bn(cin, cout, taps, stride=1):
    return [nn.Conv2d(cin, cout, taps, stride, taps // 2, bias=False), nn.BatchNorm2d(cout)]


class Residual(nn.Module):
    """Two 3x3 convolutions, or with a bottleneck 1x1, 3x3 and 1x1; a projection where the shape changes."""

    def __init__(self, cin, width, stride, bottleneck):
        super().__init__()
        self.channels = 4 * width if bottleneck else width
        if bottleneck:
            body = [*conv_bn(cin, width, 1), nn.ReLU(), *conv_bn(width, width, 3, stride), nn.ReLU(),
                    *conv_bn(width, self.channels, 1)]
        else:
            body = [*conv_bn(cin, width, 3, stride), nn.ReLU(), *conv_bn(width, width, 3)]
        self.body = nn.Sequential(*body)
        same = stride == 1 and cin == self.channels
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_bn(cin, self.channels, 1, stride))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet(stem, channels, width, depths, bottleneck, classes):
    layers = list(stem)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            block = Residual(channels, width << stage, 2 if stage > 0 and i == 0 else 1, bottleneck)
            layers.append(block)
            channels = block.channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def imagenet_resnet(depths, bottleneck):
    stem = [*conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return resnet(stem, 64, 64, depths, bottleneck, 1000)


def resnet20():
    return resnet([*conv_bn(3, 16, 3), nn.ReLU()], 16, 16, [3, 3, 3], False, 10)


@dataclasses.dataclass
class Workload:
    network: Callable
    sample: tuple
    classes: int
    cpu_batch: int
    gpu_batch: int
    adam: bool

    def optimizer(self, parameters, **options):
        if self.adam:
            return torch.optim.Adam(parameters, lr=1e-3, **options)
        options.pop("capturable", None)
        return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, weight_decay=1e-4, **options)


DIGIT, LARGE = (1, 28, 28), (3, 224, 224)
WORKLOADS = {
    "mlp": Workload(mlp, DIGIT, 10, 32, 32, True),
    "lenet5": Workload(lenet5, DIGIT, 10, 64, 64, False),
    "lstm-rows": Workload(RowLstm, DIGIT, 10, 128, 128, True),
    "resnet20-cifar": Workload(resnet20, (3, 32, 32), 10, 128, 128, False),
    "alexnet2012": Workload(alexnet2012, (3, 227, 227), 1000, 32, 512, False),
    "alexnet": Workload(alexnet, LARGE, 1000, 32, 512, False),
    "resnet18": Workload(lambda: imagenet_resnet([2, 2, 2, 2], False), LARGE, 1000, 16, 256, False),
    "resnet50": Workload(lambda: imagenet_resnet([3, 4, 6, 3], True), LARGE, 1000, 8, 256, False),
}
MODES = {"cpu": ["eager", "channels_last", "compile"], "cuda": ["eager", "graph", "graph16", "compile", "compile-graph"]}
PRECISIONS = {"cpu": ["fp32"], "cuda": ["tf32", "bf16", "fp32", "fp16"]}


# ---- measuring --------------------------------------------------------------------------------------------------------

def resident(field):
    """VmRSS or VmHWM of this process, in bytes."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(field))


def time_on_gpu(call):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def time_on_cpu(call):
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


def time_calls(call, cuda, seconds):
    """Sorted milliseconds of single calls, after a warm-up, and the median; on a GPU that of calls back to back if it is lower."""
    one = time_on_gpu if cuda else time_on_cpu
    began = time.perf_counter()
    for i in range(20):
        one(call)
        if i >= 2 and time.perf_counter() - began > seconds / 2:
            break
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times, began = [], time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - began < seconds and len(times) < 2000):
        times.append(one(call))
    median = statistics.median(times)
    if cuda:
        count = max(5, min(500, int(1e3 * seconds / 2 / max(median, 1e-3))))
        median = min(median, time_on_gpu(lambda: [call() for _ in range(count)]) / count)
    return sorted(times), median


def captured(step, steps):
    """A call that replays so many steps."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(steps):
            step()
    return graph.replay


@dataclasses.dataclass
class Case:
    workload: str
    phase: str
    precision: str
    mode: str
    device: str

    def __post_init__(self):
        for kind, value, known in (("workload", self.workload, WORKLOADS), ("phase", self.phase, ["train", "infer"]),
                                   ("precision", self.precision, PRECISIONS[self.device]),
                                   ("mode", self.mode, MODES[self.device])):
            if value not in known:
                raise ValueError(f"{kind} is {value}, expected one of {', '.join(known)} (device {self.device})")

    @property
    def cuda(self):
        return self.device == "cuda"

    def possible(self):
        return self.mode != "channels_last" or WORKLOADS[self.workload].sample[0] == 3

    def step(self, batch):
        """The step, and where it leaves its loss."""
        work = WORKLOADS[self.workload]
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        device = torch.device(self.device)
        net, x = work.network().to(device), torch.randn(batch, *work.sample, device=device)
        labels = torch.randint(0, work.classes, (batch,), device=device)
        if work.sample[0] == 3 and (self.cuda or self.mode == "channels_last"):
            net, x = (t.to(memory_format=torch.channels_last) for t in (net, x))
        graph, last = "graph" in self.mode, [None]
        compiled = lambda f: f
        if "compile" in self.mode:
            kind = "max-autotune" if self.cuda and not graph else "max-autotune-no-cudagraphs"
            compiled = lambda f: torch.compile(f, mode=kind)
        if self.phase == "infer":
            net.eval()
            if half:
                net, x = net.to(half), x.to(half)
            forward = compiled(net)

            def infer():
                with torch.inference_mode():
                    forward(x)
            return infer, last
        options = {"fused": True, "capturable": graph} if self.cuda else {}
        optimizer = work.optimizer(net.parameters(), **options)

        def loss_of(x, labels):
            with torch.autocast(self.device, half, enabled=half is not None, cache_enabled=not graph):
                return F.cross_entropy(net(x).float(), labels)
        loss_of = compiled(loss_of)
        scaler = torch.amp.GradScaler(self.device, enabled=self.precision == "fp16")

        def train():
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x, labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            last[0] = loss.detach()
        return train, last


def run(case, args):
    work = WORKLOADS[case.workload]
    batch = args.batch or (work.gpu_batch if case.cuda else work.cpu_batch)
    torch.manual_seed(0)
    if case.cuda:
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = case.precision != "fp32"
        torch.cuda.empty_cache()
    before = resident("VmRSS")
    step, last = case.step(batch)
    steps = 16 if case.mode == "graph16" else 1
    call = captured(step, steps) if "graph" in case.mode else step
    times, median = time_calls(call, case.cuda, args.seconds)
    if case.cuda:
        # A graph's tensors are reserved when it is captured, before the peak is counted anew.
        peak = torch.cuda.max_memory_reserved() if "graph" in case.mode else torch.cuda.max_memory_allocated()
    else:
        peak = resident("VmHWM") - before
    loss = None if last[0] is None else float(last[0])
    if loss is not None and not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}, expected a finite number")
    row = {"framework": "pytorch", "version": torch.__version__, "device": case.device, "workload": case.workload,
           "phase": case.phase, "dtype": case.precision, "mode": case.mode, "batch": batch,
           "threads": None if case.cuda else torch.get_num_threads(), "median_ms": median / steps,
           "min_ms": times[0] / steps, "p90_ms": times[(9 * len(times) - 1) // 10] / steps, "max_ms": times[-1] / steps,
           "samples_per_s": 1e3 * batch * steps / median, "loss": loss, "peak_bytes": peak}
    if args.kernels:
        write_kernels(call, row, args.kernels)
    if args.mark_step:
        torch.cuda.synchronize()
        torch.cuda.profiler.start()
        call()
        torch.cuda.synchronize()
        torch.cuda.profiler.stop()
    return row


def write_kernels(call, row, path):
    """One line for each kernel of a step: launches and microseconds, the most expensive first."""
    activity = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[activity.CUDA if row["device"] == "cuda" else activity.CPU]) as profile:
        call()
        if row["device"] == "cuda":
            torch.cuda.synchronize()
    what = {name: row[name] for name in ("framework", "version", "device", "workload", "phase", "dtype", "mode", "batch")}
    with open(path, "a") as file:
        spent = lambda e: e.self_device_time_total if row["device"] == "cuda" else e.self_cpu_time_total
        for event in sorted(profile.key_averages(), key=spent, reverse=True):
            if spent(event) > 0:
                line = what | {"kernel": event.key, "launches": event.count, "us": spent(event), "bytes": None}
                file.write(json.dumps(line) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workloads", type=names, default=list(WORKLOADS), help="all by default")
    parser.add_argument("--phases", type=names, default=["train", "infer"])
    parser.add_argument("--precision", type=names, help="fp32 on a CPU; on a GPU tf32,bf16 by default, also fp32,fp16")
    parser.add_argument("--modes", type=names, help="all of the device by default")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU kernels; 0: as PyTorch chooses")
    parser.add_argument("--batch", type=int, default=0, help="samples of a step; 0: the workload's own number")
    parser.add_argument("--seconds", type=float, default=3, help="about how long to time each case")
    parser.add_argument("--kernels", help="a file for the kernels of one step")
    parser.add_argument("--mark-step", action="store_true", help="one more step for a profiler")
    parser.add_argument("--alone", action="store_true", help="measure in this process, as a GPU's cases always are")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    precisions = args.precision or PRECISIONS[args.device][:2]
    try:
        cases = [Case(w, phase, precision, mode, args.device) for w in args.workloads for phase in args.phases
                 for precision in precisions for mode in args.modes or MODES[args.device]]
    except ValueError as error:
        sys.exit(f"torch_bench: {error}")
    failed = False
    for case in filter(Case.possible, cases):
        try:
            if case.cuda or args.alone:
                print(json.dumps(run(case, args)), flush=True)
                torch.compiler.reset()
            else:
                child = [sys.executable, __file__, "--alone", "--device", case.device, "--workloads", case.workload,
                         "--phases", case.phase, "--precision", case.precision, "--modes", case.mode, "--threads",
                         str(args.threads), "--batch", str(args.batch), "--seconds", str(args.seconds)]
                child += ["--kernels", args.kernels] if args.kernels else []
                failed = subprocess.run(child).returncode != 0 or failed
        except Exception as error:  # what a mode cannot run is a fact about it, and the others go on
            failed = True
            text = " ".join(str(error).split())[:300]
            print(f"torch_bench: {case.workload} {case.phase} {case.precision} {case.mode}: {type(error).__name__}: {text}",
                  file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
