"""What PyTorch computes in layers_test.cpp: layers and the operations behind them."""
import torch.nn.functional as F
from torch import nn

from frame import R, File

file = File(__file__)
op, module = file.op, file.module
image = [R(2, 4, 5, 6)]

module("linear", nn.Linear(5, 3), [R(2, 5)])
module("conv2d", nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), image)
module("conv1d", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), [R(2, 4, 9)])
module("conv_transpose2d", nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), image)
module("conv_transpose2d.dilated", nn.ConvTranspose2d(4, 2, (3, 2), stride=(3, 1), dilation=(1, 2), bias=False), image)
module("batch_norm2d", nn.BatchNorm2d(4), image)
module("batch_norm2d.eval", nn.BatchNorm2d(4).eval(), image)
module("batch_norm1d", nn.BatchNorm1d(4), [R(6, 4)])
module("batch_norm1d.sequence", nn.BatchNorm1d(4), [R(2, 4, 5)])
module("layer_norm", nn.LayerNorm(6), [R(3, 2, 6)])
module("layer_norm.dims", nn.LayerNorm((5, 6)), image)
module("group_norm", nn.GroupNorm(2, 4), image)
module("instance_norm2d", nn.InstanceNorm2d(4), image)
module("instance_norm2d.affine", nn.InstanceNorm2d(4, affine=True), image)
module("instance_norm1d", nn.InstanceNorm1d(4), [R(2, 4, 7)])
op("local_response_norm", [R(2, 7, 3, 4)], lambda x: F.local_response_norm(x, 5, alpha=5e-2, beta=0.75, k=2.0))
op("local_response_norm.even", [R(2, 7, 3)], lambda x: F.local_response_norm(x, 4, alpha=0.5))
op("adaptive_avg_pool2d", [R(2, 3, 7, 8)], lambda x: F.adaptive_avg_pool2d(x, (3, 5)))
op("adaptive_avg_pool2d.global", image, lambda x: F.adaptive_avg_pool2d(x, 1))
op("adaptive_max_pool2d", [R(2, 3, 7, 8)], lambda x: F.adaptive_max_pool2d(x, (3, 5)))
op("max_pool1d", [R(2, 3, 9)], lambda x: F.max_pool1d(x, 3, 2, 1))
op("avg_pool1d", [R(2, 3, 9)], lambda x: F.avg_pool1d(x, 3, 2, 1))

file.save()
