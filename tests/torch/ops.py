"""What PyTorch computes in ops_test.cpp: the operations on tensors."""
import torch
import torch.nn.functional as F

from frame import I, R, File

file = File(__file__)
op = file.op
x23 = R(3, 5)

for f in [torch.neg, torch.abs, torch.exp, torch.square, F.relu, torch.sigmoid, torch.tanh, F.silu]:
    op(f.__name__, [x23], f)
for f in [torch.log, torch.sqrt]:
    op(f.__name__, [R(3, 5, low=0.1, high=4)], f)
op("div", [R(2, 3, 4), R(3, 1, low=0.5, high=2)], torch.div)
op("softmax", [R(3, 4, 5)], lambda x: F.softmax(x, 1))
op("log_softmax", [R(3, 4, 5)], lambda x: F.log_softmax(x, -1))
op("conv2d", [R(2, 4, 7, 6), R(6, 2, 3, 2), R(6)],
   lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2))
op("linear", [R(2, 3, 5), R(4, 5), R(4)], F.linear)
op("matmul", [R(3, 5), R(5, 2)], torch.matmul)
op("max_pool2d", [R(2, 3, 7, 6)], lambda x: F.max_pool2d(x, 3, 2, 1))
op("avg_pool2d", [R(2, 3, 7, 6)], lambda x: F.avg_pool2d(x, (3, 2), (2, 2), (1, 1)))
op("avg_pool2d.exclude", [R(2, 3, 7, 6)], lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
op("batch_norm", [R(4, 3, 2, 5), R(3), R(3)], lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True))
op("sum", [R(2, 3, 4)], lambda x: x.sum((0, 2)))
op("mean", [R(2, 3, 4)], lambda x: x.mean(1, keepdim=True))

file.save()
