"""A layer that hands its input on, for backbones of convolutions with norms."""

from torch import nn


def identity(conv_module):
    """Make a 1x1 or 3x3 convolution with norm, in evaluation mode, hand its input on where that is positive."""
    nn.init.dirac_(conv_module.conv.weight)
    conv_module.bn.eps = 0
    conv_module.eval()
    return conv_module
