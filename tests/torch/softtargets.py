"""What PyTorch computes in softtargets_test.cpp: cross-entropy whose targets are probabilities."""
import torch
import torch.nn.functional as F

from frame import R, File

file = File(__file__)
rows, image = [R(6, 5), R(6, 5, low=0, high=1)], [R(2, 5, 3, 4), R(2, 5, 3, 4, low=0, high=1)]
single = [R(5), R(5, low=0, high=1)]
weight = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0])

for name, inputs in {"rows": rows, "image": image, "single": single}.items():
    file.op(name, inputs, F.cross_entropy)
    for reduction in ["sum", "none", "mean"]:
        file.op(f"{name}.{reduction}", inputs,
                lambda x, t: F.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=0.3))

file.save()
