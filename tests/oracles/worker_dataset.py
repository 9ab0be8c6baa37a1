"""A dataset whose samples a network computes; in a module that spawned workers can import."""

import os

import torch
from torch import nn
from torch.utils.data import Dataset

from spikesim.neurons import LI, LIF
from spikesim.nn import Mean, Network


class Encoded(Dataset):
    """Samples that a network encodes, with the gradient of a loss: a worker that even trains."""

    def __init__(self):
        torch.manual_seed(0)
        self.net = Network(nn.Sequential(nn.Linear(8, 64), LIF(learnable="tau"), LI()), readout=Mean())

    def __len__(self):
        return 3

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        x = torch.rand(40, 32, 8, generator=generator) * 3
        out = self.net(x)
        (gradient,) = torch.autograd.grad(out.square().mean(), self.net.module[0].weight)
        return out.detach(), gradient, os.getpid()
