"""What PyTorch computes in reductions_test.cpp."""
import torch

from frame import R, File

file = File(__file__)
op = file.op

op("var", [R(3, 4, 5)], lambda x: x.var((0, 2)))
op("var.biased", [R(3, 4, 5)], lambda x: x.var(1, correction=0, keepdim=True))
op("std", [R(3, 4, 5)], lambda x: x.std(-1))
op("prod", [R(3, 4)], lambda x: x.prod(1))
op("prod.zeros", [R(3, 4)], lambda x: (x * (torch.arange(12).reshape(3, 4) % 5 > 0)).prod(1))
op("max", [R(3, 4, 5)], lambda x: x.max(1).values)
op("min", [R(3, 4, 5)], lambda x: x.min(2).values)
op("argmin", [R(3, 4, 5)], lambda x: x.argmin(1).double())
op("norm.1", [R(3, 4, 5)], lambda x: x.norm(1, (1, 2)))
op("norm.2", [R(3, 4, 5)], lambda x: x.norm(2, 0))
op("norm.3", [R(3, 4, 5)], lambda x: x.norm(3, 1, keepdim=True))
op("norm.half", [R(3, 4)], lambda x: x.norm(0.5))
op("norm.inf", [R(3, 4, 5)], lambda x: torch.linalg.vector_norm(x, float("inf"), (0, 2)))
op("norm.zero", [R(3, 4)], lambda x: (x * 0).norm(2, 1))
op("logsumexp", [R(3, 4, 5, low=-500, high=500)], lambda x: x.logsumexp((0, 2)))
op("any", [R(3, 4)], lambda x: (x > 1.9).any(1).double())
op("all", [R(3, 4)], lambda x: (x > -1.5).all(1).double())

file.save()
