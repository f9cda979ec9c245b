import pytest
import torch

from mmdet.models.builder import NECKS
from mmdet.models.necks.ssd_neck import L2Norm

CFG = dict(
    type='SSDNeck', in_channels=(4, 8), out_channels=(4, 8, 8, 6), level_strides=(2, 1), level_paddings=(1, 0)
)  # fmt: skip


def test_l2_norm_gives_every_cell_the_same_length():
    x = torch.randn(2, 4, 3, 3)
    out = L2Norm(4, scale=5)(x)
    torch.testing.assert_close(out.norm(dim=1), torch.full((2, 3, 3), 5.0))
    torch.testing.assert_close(out / out.norm(dim=1, keepdim=True), x / x.norm(dim=1, keepdim=True))


def test_l2_norm_of_zeros_is_zero_and_of_half_precision_half():
    assert not L2Norm(4)(torch.zeros(1, 4, 2, 2)).any()
    large = torch.full((1, 4, 1, 1), 500.0, dtype=torch.float16)  # its square is no half-precision number
    out = L2Norm(4)(large)
    assert out.dtype == torch.float16
    assert out.flatten().tolist() == [10] * 4


def test_further_levels_follow_the_last_one():
    neck = NECKS.build(CFG)
    neck.init_weights()
    x = [torch.randn(1, 4, 8, 8), torch.randn(1, 8, 6, 6)]
    outs = neck(x)
    assert [o.shape for o in outs] == [(1, 4, 8, 8), (1, 8, 6, 6), (1, 8, 3, 3), (1, 6, 1, 1)]
    assert outs[1] is x[1]
    torch.testing.assert_close(outs[0], neck.l2_norm(x[0]))
    assert neck.l2_norm.weight.tolist() == [20] * 4


def test_norm_may_be_left_out_and_convolutions_be_depthwise():
    neck = NECKS.build(CFG | dict(l2_norm_scale=None, use_depthwise=True))
    x = [torch.randn(1, 4, 8, 8), torch.randn(1, 8, 6, 6)]
    assert neck(x)[0] is x[0]
    assert type(neck.extra_layers[0][1]).__name__ == 'DepthwiseSeparableConvModule'


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='must go on after in_channels'):
        NECKS.build(CFG | dict(out_channels=(4, 9, 8, 6)))
    with pytest.raises(ValueError, match='2 further levels, but 1 level_strides and 2 level_paddings'):
        NECKS.build(CFG | dict(level_strides=(2,)))
