import pytest
import torch

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.conv_upsample import ConvUpsample


def test_conv_upsample_doubles_after_the_first_convolutions():
    layer = ConvUpsample(2, 3, num_layers=3, num_upsample=1)
    assert layer(torch.rand(1, 2, 4, 6)).shape == (1, 3, 8, 12)
    assert ConvUpsample(2, 3, num_layers=2)(torch.rand(1, 2, 4, 6)).shape == (1, 3, 16, 24)
    with pytest.raises(ValueError, match='num_upsample=2 is more than num_layers=1'):
        ConvUpsample(2, 3, num_upsample=2)
