"""What PyTorch computes in recurrent_test.cpp: recurrent layers, interpolation and embedding."""
import torch
import torch.nn.functional as F
from torch import nn

from frame import I, R, File

file = File(__file__)
op, module = file.op, file.module


def everything(net, x, *states):
    """Output and final states behind each other."""
    y, last = net(x, *([states if isinstance(net, nn.LSTM) else states[0]] if states else []))
    last = last if isinstance(last, tuple) else (last,)
    return torch.cat([part.reshape(-1) for part in (y, *last)])


x, state = R(3, 2, 4), R(4, 2, 3, low=-1.0, high=1.0)
deep = dict(num_layers=2, bidirectional=True)
module("lstm", nn.LSTM(4, 3), [x], everything)
module("lstm.deep", nn.LSTM(4, 3, **deep), [x, state, state], everything)
module("lstm.no_bias", nn.LSTM(4, 3, bias=False, batch_first=True, **deep), [x], everything)
module("gru", nn.GRU(4, 3), [x], everything)
module("gru.deep", nn.GRU(4, 3, **deep), [x, state], everything)
module("gru.no_bias", nn.GRU(4, 3, bias=False, batch_first=True, **deep), [x], everything)
module("rnn", nn.RNN(4, 3), [x], everything)
module("rnn.deep", nn.RNN(4, 3, **deep), [x, state], everything)
module("rnn.relu", nn.RNN(4, 3, nonlinearity="relu", bias=False, **deep), [x], everything)

image = [R(1, 2, 5, 7)]
op("upsample.nearest", image, lambda x: F.interpolate(x, scale_factor=2))
op("upsample.nearest.size", image, lambda x: F.interpolate(x, size=(8, 5)))
op("upsample.nearest.fraction", image, lambda x: F.interpolate(x, scale_factor=(1.7, 0.7)))
op("upsample.bilinear", image, lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))
op("upsample.bilinear.size", image, lambda x: F.interpolate(x, size=(8, 5), mode="bilinear"))
op("upsample.bilinear.fraction", image, lambda x: F.interpolate(x, scale_factor=(1.7, 0.7), mode="bilinear"))
op("upsample.bilinear.corners", image, lambda x: F.interpolate(x, size=(8, 5), mode="bilinear", align_corners=True))

module("embedding", nn.Embedding(6, 3), [I(2, 4, high=6)])
module("embedding.padding", nn.Embedding(6, 3, padding_idx=2), [I(2, 4, high=6)])

file.save()
