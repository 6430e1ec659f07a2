"""Makes torch_weights.safetensors and torch_weights.pt, and prints what torch_weights_test.cpp expects of them.

    pip install torch==2.15.0 torchvision==0.29.2 numpy safetensors==0.8.0
    python3 torch_weights.py

The net is a ResNet-8 for small images with two channels in its first stage, made of torchvision's blocks. It takes one
step, so that no weight and no running statistic is what it was at first. The .pt file is what torch.save makes.
"""
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock


class ResNet8(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(2)
        self.layer1 = nn.Sequential(BasicBlock(2, 2))
        self.layer2 = nn.Sequential(BasicBlock(2, 4, 2, self.projection(2, 4)))
        self.layer3 = nn.Sequential(BasicBlock(4, 8, 2, self.projection(4, 8)))
        self.fc = nn.Linear(8, classes)

    @staticmethod
    def projection(inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


folder = pathlib.Path(__file__).parent
torch.manual_seed(1)
torch.set_num_threads(1)
net = ResNet8(classes=3)
sgd = torch.optim.SGD(net.parameters(), lr=0.1)
nn.functional.cross_entropy(net(torch.randn(6, 3, 8, 8)), torch.arange(6) % 3).backward()
sgd.step()
save_file(net.state_dict(), folder / "torch_weights.safetensors")
torch.save({"fc.bias": net.fc.bias.detach()}, folder / "torch_weights.pt")

net.eval()
image = torch.arange(3 * 8 * 8).reshape(1, 3, 8, 8) / 192
print("scores", net(image).tolist())
