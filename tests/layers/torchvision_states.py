"""Writes torchvision_states.txt, which full_size_test.cpp reads: the state dicts of torchvision's networks, names and shapes.

    pip install torch==2.15.0 torchvision==0.29.2
"""
import itertools
import pathlib

import torch
import torchvision.models

NETWORKS = "alexnet vgg11 vgg16 vgg19 vgg16_bn resnet18 resnet34 resnet50 resnet101 resnet152".split()

with open(pathlib.Path(__file__).with_suffix(".txt"), "w") as out, torch.device("meta"):
    for name in NETWORKS:
        out.write(f"{name}:\n")
        state = getattr(torchvision.models, name)().state_dict()
        for module, entries in itertools.groupby(state.items(), lambda entry: entry[0].rpartition(".")[0]):
            tensors = (f"{key.rpartition('.')[2]}[{', '.join(map(str, tensor.shape))}]" for key, tensor in entries)
            out.write(f"{module} {' '.join(tensors)}\n")
