"""What PyTorch computes in optim_test.cpp: 20 steps of each optimizer, 12 rates of each schedule."""
import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop
from torch.optim import lr_scheduler as s

from frame import File, hashed

file = File(__file__)


def trajectory(name, make):
    """The parameters after each step [20, 7]; the gradient of step t is hashed(t) + w / 10."""
    w = hashed((7,), 0, -2, 2).requires_grad_()
    optimizer, rows = make([w]), []
    for t in range(1, 21):
        w.grad = hashed((7,), t, -1, 1) + 0.1 * w.detach()
        optimizer.step()
        rows.append(w.detach().clone())
    file.store(f"{name}/y", torch.stack(rows))


def rates(name, make):
    """The learning rate of steps 0 to 11 [12], the largest one being 1."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, row = make(optimizer), []
    for _ in range(12):
        row.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    file.store(f"{name}/y", torch.tensor(row))


trajectory("sgd", lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01))
trajectory("sgd.nesterov", lambda p: SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True))
trajectory("sgd.dampening", lambda p: SGD(p, lr=0.1, momentum=0.9, dampening=0.5))
trajectory("adam", lambda p: Adam(p, lr=0.05, weight_decay=0.01))
trajectory("adamw", lambda p: AdamW(p, lr=0.05, weight_decay=0.1))
trajectory("rmsprop", lambda p: RMSprop(p, lr=0.01, weight_decay=0.01))
trajectory("rmsprop.centered", lambda p: RMSprop(p, lr=0.01, momentum=0.9, centered=True))
trajectory("adagrad", lambda p: Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.01, initial_accumulator_value=0.5))

rates("step", lambda o: s.StepLR(o, 3, 0.5))
rates("multi_step", lambda o: s.MultiStepLR(o, [2, 5], 0.1))
rates("exponential", lambda o: s.ExponentialLR(o, 0.9))
rates("polynomial", lambda o: s.PolynomialLR(o, 8, 2.0))
rates("cosine", lambda o: s.CosineAnnealingLR(o, 12, 0.1))
rates("one_cycle", lambda o: s.OneCycleLR(o, 1.0, total_steps=13, pct_start=0.4))
rates("warmup", lambda o: s.SequentialLR(
    o, [s.LinearLR(o, 0.25, 1.0, 4), s.CosineAnnealingLR(o, 8)], [4]))

file.save()
