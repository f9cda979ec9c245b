import pytest
import torch
from torch import nn

from mmdet.models.backbones.res2net import Bottle2neck, Res2Net


def identity_middle(stage_type):
    """A middle of three slices of one channel whose convolutions and norms pass their input on."""
    block = Bottle2neck(12, 1, scales=3, base_width=1, base_channels=1, stage_type=stage_type).eval()
    for conv in block.convs:
        nn.init.dirac_(conv.weight)
    return block


@pytest.mark.parametrize(('stage_type', 'want'), [('normal', [1, 3, 4]), ('stage', [1, 2, 4])])
def test_res2net_slices_see_the_slice_before(stage_type, want):
    x = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert torch.allclose(identity_middle(stage_type)._middle(x).flatten(), torch.tensor(want).float(), atol=1e-4)


def test_res2net_pools_the_last_slice_where_it_strides():
    net = Res2Net(depth=50, scales=2, base_width=2, base_channels=4).eval()
    assert isinstance(net.layer2[0].pool, nn.AvgPool2d) and not hasattr(net.layer1[0], 'pool')
    assert [out.shape[-1] for out in net(torch.rand(1, 3, 64, 64))] == [16, 8, 4, 2]


def test_res2net_refuses_one_slice():
    with pytest.raises(ValueError, match='scales >= 2'):
        Bottle2neck(16, 4, scales=1)
