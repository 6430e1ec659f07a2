"""What PyTorch computes in pointwise_test.cpp: element-wise operations, their edge cases, type promotion, factories."""
import torch
import torch.nn.functional as F
from torch import nn

from frame import I, R, File

file = File(__file__)
op, module = file.op, file.module
INF, NAN = float("inf"), float("nan")


class Listed:
    """An input of these numbers."""

    def __init__(self, *values):
        self.make = lambda stream: torch.tensor(values, dtype=torch.float64, requires_grad=True)


wide = R(3, 7, low=-5, high=5)
for f in [torch.expm1, torch.sin, torch.cos, torch.erf, torch.sign, torch.floor, torch.ceil, torch.round]:
    op(f.__name__, [wide], f)
op("log1p", [R(3, 7, low=-0.9, high=4)], torch.log1p)
op("rsqrt", [R(3, 7, low=0.1, high=4)], torch.rsqrt)
op("reciprocal", [R(3, 7, low=0.1, high=4)], torch.reciprocal)
op("round.halves", [Listed(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)], torch.round)


def hardsigmoid(x):
    """PyTorch's own, whose gradient holds 1 / 6 in single precision."""
    return F.relu6(x + 3) / 6


wider = R(3, 7, low=-8, high=8)
for f in [F.relu6, F.selu, hardsigmoid, F.hardswish, F.mish, F.gelu, F.softplus]:
    op(f.__name__, [wider], f)
op("logsigmoid", [wider], F.logsigmoid)
op("leaky_relu", [wide], lambda x: F.leaky_relu(x, 0.2))
op("elu", [wide], lambda x: F.elu(x, 1.5))
op("gelu.tanh", [wide], lambda x: F.gelu(x, approximate="tanh"))
op("softplus.options", [wide], lambda x: F.softplus(x, 2, 3))
ends = [Listed(-INF, -3, 0, 3, 6, INF)]
for f in [F.relu6, hardsigmoid, F.hardswish, F.selu, F.softplus]:
    op(f.__name__ + ".ends", ends if f is not F.hardswish else [Listed(-4, -3, 0, 3, 4)], f)
op("prelu", [R(2, 3, 4, 2), R(3)], F.prelu)
module("PReLU", nn.PReLU(), [R(2, 3, 4)])
module("PReLU.channels", nn.PReLU(3), [R(2, 3, 4)])

positive = R(2, 3, 4, low=0.2, high=3)
op("pow", [positive, R(3, 1)], torch.pow)
op("pow.edges", [Listed(0, 0, 0, -2, -2, 2, 3), Listed(0, 2, 0.5, 3, 2, 0, -1)], torch.pow)
for exponent in [2, 3, 0.5, -1, 0, 1.5, -2]:
    op(f"pow.{exponent}", [positive], lambda x: x**exponent)
op("pow.negative_base", [wide], lambda x: x**3)
op("pow.base", [wide], lambda x: 1.5**x)
op("pow.base_zero", [Listed(0, 1, 2.5)], lambda x: 0**x)
op("maximum", [R(2, 3, 4), R(3, 1)], torch.maximum)
op("minimum", [R(2, 3, 4), R(3, 1)], torch.minimum)
op("maximum.ties", [Listed(1, 2, 3), Listed(1, 3, 2)], torch.maximum)
op("minimum.ties", [Listed(1, 2, 3), Listed(1, 3, 2)], torch.minimum)
op("maximum.nan", [Listed(NAN, 1, 2), Listed(1, NAN, 2)], torch.maximum)
op("remainder", [wide, R(7, low=0.5, high=2)], torch.remainder)
op("remainder.negative", [wide, R(7, low=-2, high=-0.5)], torch.remainder)
op("remainder.integers", [I(40, low=-20, high=20), I(40, low=-5, high=-1)], torch.remainder)
op("floor_divide", [wide, R(7, low=0.5, high=2)], lambda a, b: torch.floor_divide(a.detach(), b.detach()))
op("floor_divide.integers", [I(40, low=-20, high=20), I(40, low=1, high=5)], torch.floor_divide)
op("atan2", [R(2, 3, 4), R(3, 1)], torch.atan2)

whole = [I(4, 5, low=-2, high=3), I(5, low=-2, high=3)]
for f in [torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.logical_and, torch.logical_or,
          torch.logical_xor]:
    op(f.__name__, whole, f)
op("logical_not", whole[:1], torch.logical_not)
special = [Listed(NAN, INF, -INF, 0, -0.0, 1)]
for f in [torch.isnan, torch.isinf, torch.isfinite]:
    op(f.__name__, special, f)
op("where", [I(4, 1, low=-2, high=3), R(4, 5), R(5)], lambda c, a, b: torch.where(c > 0, a, b))
op("where.number", [I(4, 5, low=-2, high=3), R(4, 5)], lambda c, a: torch.where(c > 0, a, 0.5))
op("masked_fill", [R(4, 5), I(4, 1, low=-2, high=3)], lambda x, c: x.masked_fill(c > 0, -3))

op("linspace", [], lambda: torch.linspace(-1, 2.5, 8))
op("linspace.integers", [], lambda: torch.linspace(0, 10, 4, dtype=torch.int64))
op("eye", [], lambda: torch.eye(3, 4))
op("one_hot", [I(2, 3, high=5)], F.one_hot)

# The number of the type of a result, -1 where the operation refuses the types.
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]


def type_of(f, *args):
    try:
        return TYPES.index(f(*args).dtype)
    except (RuntimeError, NotImplementedError):
        return -1


def promotion(name, f):
    vector = lambda t: torch.ones(2, dtype=t)
    scalar = lambda t: torch.ones((), dtype=t)
    torch.set_default_dtype(torch.float32)
    pairs = [[type_of(f, vector(a), vector(b)) for b in TYPES] for a in TYPES]
    scalars = [[type_of(f, vector(a), scalar(b)) for b in TYPES] for a in TYPES]
    left = [[type_of(f, scalar(a), vector(b)) for b in TYPES] for a in TYPES]
    both = [[type_of(f, scalar(a), scalar(b)) for b in TYPES] for a in TYPES]
    torch.set_default_dtype(torch.float64)
    op("promotion." + name, [], lambda: torch.tensor([pairs, scalars, left, both]))


def promotion_with_number(name, f):
    torch.set_default_dtype(torch.float32)
    table = [[[type_of(f, torch.ones(shape, dtype=a), n) for n in (2, 2.5)] for a in TYPES] for shape in [(2,), ()]]
    torch.set_default_dtype(torch.float64)
    op("promotion." + name + ".number", [], lambda: torch.tensor(table))


for f in [torch.add, torch.mul, torch.div, torch.pow, torch.maximum, torch.remainder, torch.floor_divide,
          torch.atan2, torch.eq]:
    promotion(f.__name__, f)
promotion("where", lambda a, b: torch.where(torch.ones(2, dtype=torch.bool), a, b))
for f in [torch.add, torch.mul, torch.div, torch.pow, torch.remainder, torch.floor_divide, torch.eq]:
    promotion_with_number(f.__name__, f)
promotion_with_number("where", lambda a, b: torch.where(torch.ones(2, dtype=torch.bool), a, b))
promotion_with_number("rpow", lambda a, b: b**a)

file.save()
