"""What the scripts of this folder share: numbers from an integer hash, and the recording of what PyTorch computes.

    pip install torch==2.15.0 numpy safetensors      # the CPU is enough
    python3 ops.py layers.py losses.py ...           # each writes vectors/<its name>.safetensors

Inputs and weights are not stored: both sides compute them (`hashed`, vectors.h). A file holds for every case the result
in float64 (`<case>/y`) and the gradients of sum(y * hashed(y.shape, stream 99)) by each floating input (`<case>/x0`, ...)
and each parameter (`<case>/<its name>`). Of a network it holds a few numbers of every gradient instead (`File.network`).
"""
import math
import pathlib

import numpy as np
import torch
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

# Streams: of the weights in a digest, of the upstream gradient, of the first parameter and buffer; input i has stream i.
DIGEST, UPSTREAM, PARAMETERS, BUFFERS = 98, 99, 1000, 100000


def uniform(count, stream):
    """Numbers in [-1, 1): the splitmix64 finaliser of stream * 2^32 + place + 1."""
    with np.errstate(over="ignore"):
        x = (np.uint64(stream) << np.uint64(32)) + np.arange(1, count + 1, dtype=np.uint64)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def hashed(shape, stream, low=-1.0, high=1.0):
    """A tensor of numbers in [low, high)."""
    values = uniform(math.prod(shape), stream)
    return torch.from_numpy(low + (values + 1.0) * 0.5 * (high - low)).reshape(tuple(shape))


class R:
    """A floating input."""

    def __init__(self, *shape, low=-2.0, high=2.0):
        self.make = lambda stream: hashed(shape, stream, low, high).requires_grad_()


class I:
    """An int64 input, low <= i < high."""

    def __init__(self, *shape, high, low=0):
        self.make = lambda stream: hashed(shape, stream, low, high).floor().long()


def range_of(name, tensor):
    """The numbers of a parameter or buffer of a network: with these, rounding errors do not grow with its depth."""
    if tensor.dim() >= 2:  # variance 2 / fan: what ReLU needs
        bound = math.sqrt(6 / math.prod(tensor.shape[1:]))
        return -bound, bound
    if name.endswith("running_var"):
        return 0.2, 0.6
    return (0.25, 0.75) if name.endswith("weight") else (-0.25, 0.75)


def digest(gradient):
    weighted = (gradient * hashed(gradient.shape, DIGEST)).flatten()
    return torch.nn.functional.pad(weighted, (0, -weighted.numel() % 8)).reshape(-1, 8).sum(0)


class File:
    """The cases of one script."""

    def __init__(self, script):
        self.path = pathlib.Path(script).parent / "vectors" / (pathlib.Path(script).stem + ".safetensors")
        self.tensors = {}

    def store(self, key, tensor):
        assert key not in self.tensors, key
        self.tensors[key] = tensor.detach().clone().contiguous()

    def record(self, name, y, leaves, gradients=True):
        self.store(f"{name}/y", y)
        if not gradients:
            return
        leaves = {key: leaf for key, leaf in leaves.items() if leaf.requires_grad}
        if not y.requires_grad or not leaves:
            return
        gradients = torch.autograd.grad((y * hashed(y.shape, UPSTREAM)).sum(), list(leaves.values()), allow_unused=True)
        for key, gradient in zip(leaves, gradients):
            if gradient is not None:
                self.store(f"{name}/{key}", gradient)

    def op(self, name, inputs, f):
        """A function of the inputs."""
        xs = [x.make(i) for i, x in enumerate(inputs)]
        self.record(name, f(*xs), {f"x{i}": x for i, x in enumerate(xs)})

    def module(self, name, net, inputs, call=lambda net, *xs: net(*xs), scale=0.5, gradients=True):
        """A module whose parameters, in the order of their names, are numbers in [-scale, scale). Large ones go without
        gradients."""
        named = dict(sorted(net.named_parameters()))
        with torch.no_grad():
            for i, parameter in enumerate(named.values()):
                parameter.copy_(hashed(parameter.shape, PARAMETERS + i, -scale, scale))
        xs = [x.make(i) for i, x in enumerate(inputs)]
        self.record(name, call(net, *xs), {f"x{i}": x for i, x in enumerate(xs)} | named, gradients)

    def network(self, name, net, inputs):
        """A network of any depth: its weights keep the size of what passes through them, its running statistics are not
        trivial, and `<case>/gradients` holds a digest of the gradient of each input, then of each parameter in the order
        of their names: eight sums, of every eighth element by a hashed number."""
        floating = {key: buffer for key, buffer in net.named_buffers() if buffer.is_floating_point()}
        named = dict(sorted(net.named_parameters()))
        with torch.no_grad():
            for first, tensors in (PARAMETERS, named), (BUFFERS, dict(sorted(floating.items()))):
                for i, (key, tensor) in enumerate(tensors.items()):
                    tensor.copy_(hashed(tensor.shape, first + i, *range_of(key, tensor)))
        xs = [x.make(i) for i, x in enumerate(inputs)]
        y = net(*xs)
        self.store(f"{name}/y", y)
        leaves = [x for x in xs if x.requires_grad] + list(named.values())
        gradients = torch.autograd.grad((y * hashed(y.shape, UPSTREAM)).sum(), leaves)
        self.store(f"{name}/gradients", torch.stack([digest(gradient) for gradient in gradients]))

    def save(self):
        self.path.parent.mkdir(exist_ok=True)
        save_file(self.tensors, self.path, metadata={"torch": torch.__version__.split("+")[0]})
        print(f"{self.path.name}: {len(self.tensors)} tensors, {self.path.stat().st_size} bytes")
