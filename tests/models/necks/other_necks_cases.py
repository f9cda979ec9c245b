"""Two levels, and convolutions that hand them on, so that what a neck adds can be read from its output."""

import torch
from torch import nn

FINE = torch.arange(16.0).reshape(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).reshape(1, 1, 2, 2)


def all_identities(neck):
    """Every convolution of one channel passes its input on."""
    for conv in neck.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
    return neck
