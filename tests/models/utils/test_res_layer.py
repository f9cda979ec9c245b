import pytest
import torch
from torch import nn

from mmdet.models.builder import MODELS  # noqa: F401
from mmdet.models.utils.res_layer import ResLayer, SimplifiedBasicBlock


@pytest.mark.parametrize('downsample_first', [True, False])
def test_res_layer_strides_in_its_first_or_last_block(downsample_first):
    layer = ResLayer(SimplifiedBasicBlock, 4, 8, 3, stride=2, downsample_first=downsample_first)
    assert [block.stride for block in layer] == ([2, 1, 1] if downsample_first else [1, 1, 2])
    assert [block.downsample is not None for block in layer] == [s == 2 for s in (block.stride for block in layer)]
    assert [b.conv1.in_channels for b in layer] == ([4, 8, 8] if downsample_first else [4, 4, 4])
    assert [b.conv2.out_channels for b in layer] == ([8, 8, 8] if downsample_first else [4, 4, 8])


def test_simplified_basic_block_without_norm_is_not_rectified():
    block = SimplifiedBasicBlock(1, 1, norm_cfg=None)
    for conv in (block.conv1, block.conv2):
        nn.init.dirac_(conv.weight)
        nn.init.zeros_(conv.bias)
    assert block(torch.tensor([[[[-3.0, 2.0]]]])).flatten().tolist() == [-3, 4]
    assert block.norm1 is None and block.norm2 is None
    with pytest.raises(ValueError, match='SimplifiedBasicBlock'):
        SimplifiedBasicBlock(1, 1, plugins=[dict()])
