"""What PyTorch computes in indexing_test.cpp: indexing, order, shapes, batched products."""
import torch
import torch.nn.functional as F

from frame import I, R, File

file = File(__file__)
op = file.op

op("index_select", [R(4, 3, 2), I(5, high=3)], lambda x, i: x.index_select(1, i))
op("gather", [R(3, 4), I(2, 6, high=4)], lambda x, i: x.gather(1, i))
op("scatter_add", [R(3, 4), I(5, 4, high=3), R(5, 4)], lambda x, i, s: x.scatter_add(0, i, s))
op("index_add", [R(3, 4), I(6, high=3), R(6, 4)], lambda x, i, s: x.index_add(0, i, s, alpha=2))
op("take", [R(3, 4), I(2, 3, high=12)], torch.take)
op("masked_select", [R(3, 4)], lambda x: x.masked_select(torch.arange(12).reshape(3, 4) % 3 == 1))
op("index", [R(4, 3, 5)], lambda x: x[1:3, None, -1, ..., ::2])
op("index.tensor", [R(4, 3, 5), I(2, 3, high=3)], lambda x, i: x[:, i, 1:])
op("index.mask", [R(4, 3, 5)], lambda x: x[:, torch.arange(15).reshape(3, 5) % 4 == 0])
op("sort", [R(3, 7)], lambda x: x.sort(0, descending=True).values)
op("sort.indices", [R(3, 7)], lambda x: x.sort(1).indices.double())
op("topk", [R(3, 7)], lambda x: x.topk(3, 1).values)
op("topk.indices", [R(3, 7)], lambda x: x.topk(3, 1, largest=False).indices.double())
op("cumsum", [R(3, 4, 5)], lambda x: x.cumsum(1))

op("stack", [R(3, 4), R(3, 4)], lambda a, b: torch.stack([a, b], 1))
op("split", [R(3, 7)], lambda x: x.split(3, 1)[2])
op("split.sizes", [R(3, 7)], lambda x: x.split([2, 4, 1], 1)[1])
op("chunk", [R(3, 7)], lambda x: x.chunk(3, 1)[1])
op("unbind", [R(3, 7)], lambda x: x.unbind(1)[5])
op("pad", [R(2, 3, 4, 5)], lambda x: F.pad(x, (1, 2, -1, 3), value=0.5))
op("pad.reflect", [R(2, 3, 4, 5)], lambda x: F.pad(x, (2, 1, 3, 0), mode="reflect"))
op("pad.replicate", [R(2, 3, 4, 5)], lambda x: F.pad(x, (2, 1, 3, 7), mode="replicate"))
op("permute", [R(2, 3, 4)], lambda x: x.permute(2, 0, 1))
op("movedim", [R(2, 3, 4)], lambda x: x.movedim(0, 2))
op("repeat", [R(2, 3)], lambda x: x.repeat(2, 3, 2))
op("tile", [R(2, 1, 3)], lambda x: x.tile(3, 2))
op("flip", [R(2, 3, 4)], lambda x: x.flip(0, 2))
op("roll", [R(2, 5)], lambda x: x.roll(2, 1))
op("tril", [R(2, 4, 5)], lambda x: x.tril(1))
op("triu", [R(4, 3)], lambda x: x.triu(-1))
op("diagonal", [R(3, 4, 5)], lambda x: x.diagonal(-1, 2, 0))

op("bmm", [R(3, 4, 5), R(3, 5, 2)], torch.bmm)
op("matmul.batch", [R(2, 1, 4, 5), R(3, 5, 2)], torch.matmul)
op("matmul.matrix", [R(2, 3, 4, 5), R(5, 2)], torch.matmul)
op("matmul.left", [R(4, 5), R(3, 5, 2)], torch.matmul)
op("matmul.vectors", [R(5), R(5)], torch.matmul)
op("matmul.row", [R(5), R(3, 5, 2)], torch.matmul)
op("matmul.column", [R(3, 4, 5), R(5)], torch.matmul)
op("outer", [R(4), R(3)], torch.outer)

file.save()
