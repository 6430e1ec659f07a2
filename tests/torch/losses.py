"""What PyTorch computes in losses_test.cpp."""
import torch
import torch.nn.functional as F

from frame import I, R, File

file = File(__file__)
op = file.op
logits, labels, pair = R(6, 5), I(6, high=5), [R(4, 3), R(4, 3)]
weight = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0])

op("cross_entropy", [logits, labels], F.cross_entropy)
op("cross_entropy.none", [logits, labels], lambda x, t: F.cross_entropy(x, t, reduction="none"))
op("cross_entropy.weight", [logits, labels], lambda x, t: F.cross_entropy(x, t, weight))
op("cross_entropy.ignore", [logits, labels], lambda x, t: F.cross_entropy(x, t, weight, ignore_index=2))
op("cross_entropy.smoothing", [logits, labels],
   lambda x, t: F.cross_entropy(x, t, weight, ignore_index=2, label_smoothing=0.1))
op("cross_entropy.image", [R(2, 5, 3, 4), I(2, 3, 4, high=5)],
   lambda x, t: F.cross_entropy(x, t, weight, label_smoothing=0.2))
op("cross_entropy.probabilities", [logits, R(6, 5, low=0, high=1)],
   lambda x, t: F.cross_entropy(x, t, weight, label_smoothing=0.1))
op("nll_loss", [logits, labels], lambda x, t: F.nll_loss(x, t, weight, ignore_index=2))
op("mse_loss", pair, F.mse_loss)
op("l1_loss", pair, F.l1_loss)
op("smooth_l1_loss", pair, lambda x, t: F.smooth_l1_loss(x, t, beta=0.7))
op("huber_loss", pair, lambda x, t: F.huber_loss(x, t, delta=0.7))
probabilities = [R(4, 3, low=-8, high=8), R(4, 3, low=0, high=1)]
op("bce_with_logits", probabilities, F.binary_cross_entropy_with_logits)
op("bce_with_logits.weights", probabilities,
   lambda x, t: F.binary_cross_entropy_with_logits(x, t, torch.tensor([1.0, 2, 0.5]), pos_weight=torch.tensor([3.0, 1, 2])))
op("kl_div", [R(4, 3), R(4, 3, low=0.1, high=1)], lambda x, t: F.kl_div(x, t, reduction="batchmean"))
op("kl_div.log", pair, lambda x, t: F.kl_div(x, t, reduction="sum", log_target=True))

file.save()
