"""Merge cells: resizing, the three operations by hand, and the convolutions around them."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from mmdet.ops import BaseMergeCell, ConcatCell, GlobalPoolingCell, SumCell
from mmdet.ops.merge_cells import resize_map

FINE = torch.arange(16.0).view(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).view(1, 1, 2, 2)


def test_resizing_pools_maxima_repeats_or_keeps():
    assert resize_map(FINE, (2, 2)).flatten().tolist() == [5, 7, 13, 15]
    assert resize_map(COARSE, (4, 2))[0, 0].tolist() == [[100, 200], [100, 200], [300, 400], [300, 400]]
    assert resize_map(FINE, (4, 4)) is FINE


def test_resizing_pads_half_at_each_side_where_windows_do_not_fit():
    # 4 rows into 3: windows of 2 rows need 6, so that a row of zeros stands above and below
    assert resize_map(-1 - FINE, (3, 4))[0, 0, :, 0].tolist() == [0, -5, 0]


def test_resizing_may_grow_along_one_axis_and_shrink_along_the_other():
    assert resize_map(FINE, (2, 8)).shape == (1, 1, 2, 8)
    assert resize_map(FINE, (2, 8))[0, 0, 0].tolist() == [4, 4, 5, 5, 6, 6, 7, 7]


def test_sum_at_the_larger_size_or_at_the_one_asked_for():
    cell = SumCell(1, 1, with_out_conv=False)
    assert cell(COARSE, FINE)[0, 0, 0].tolist() == [100, 101, 202, 203]
    assert cell(COARSE, FINE, out_size=(2, 2))[0, 0].tolist() == [[105, 207], [313, 415]]
    assert cell(COARSE, FINE, out_size=torch.zeros(1, 1, 1, 1).shape[-2:]).flatten().tolist() == [415]


def test_global_pooling_weights_the_first_by_the_means_of_the_second():
    first = torch.ones(1, 2, 2, 2)
    second = torch.stack([torch.tensor([[1.0, -1.0], [3.0, -3.0]]), torch.full((2, 2), 2.0)])[None]
    out = GlobalPoolingCell(2, 2, with_out_conv=False)(first, second)
    torch.testing.assert_close(out[0, 0], second[0, 0] + 0.5)
    torch.testing.assert_close(out[0, 1], second[0, 1] + torch.tensor(2.0).sigmoid())


def test_concatenation_doubles_the_channels_that_the_convolution_sees():
    cell = ConcatCell(2, 3)
    assert cell.out_conv.conv.in_channels == 4
    assert cell(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2)).shape == (1, 3, 4, 4)
    first, second = ConcatCell(1, 1, with_out_conv=False)(FINE, COARSE)[0]
    assert torch.equal(first, FINE[0, 0]) and second[0].tolist() == [100, 100, 200, 200]


def test_out_convolution_sees_the_rectified_sum_and_is_followed_by_its_norm():
    cell = SumCell(1, 1, out_norm_cfg=dict(type='BN')).eval()
    nn.init.dirac_(cell.out_conv.conv.weight)
    nn.init.constant_(cell.out_conv.conv.bias, -1)
    out = cell(-FINE, torch.full_like(FINE, 2.5))
    torch.testing.assert_close(out.flatten()[:4], torch.tensor([1.5, 0.5, -0.5, -1.0]), rtol=1e-4, atol=1e-4)
    assert [k for k in cell.state_dict() if 'running' not in k and 'batches' not in k] == [
        'out_conv.conv.weight',
        'out_conv.conv.bias',
        'out_conv.bn.weight',
        'out_conv.bn.bias',
    ]


def test_input_convolutions_act_on_their_input_alone():
    cell = SumCell(1, 1, with_out_conv=False, with_input2_conv=True)
    assert not list(cell.input1_conv.parameters())
    nn.init.zeros_(cell.input2_conv.conv.weight)
    nn.init.constant_(cell.input2_conv.conv.bias, 3)
    assert torch.equal(cell(FINE, FINE), FINE + 3)


@pytest.mark.parametrize('cls', [SumCell, ConcatCell, GlobalPoolingCell])
def test_gradients(cls):
    cell = cls(2, 2).double()
    inputs = [torch.randn(1, 2, s, s, dtype=torch.double, requires_grad=True) for s in (4, 2)]
    assert gradcheck(cell, inputs, fast_mode=True)


@pytest.mark.parametrize(
    ('run', 'message'),
    [
        (lambda: SumCell(1, 1)(FINE, FINE.expand(2, 1, 4, 4)), 'equal numbers of images and channels'),
        (lambda: SumCell(1, 1)(FINE, FINE, out_size=(1, 1, 2, 2)), r'out_size must be \(height, width\)'),
        (lambda: SumCell(1, 1, upsample_mode='cubic'), "expected 'nearest' or 'bilinear', got 'cubic'"),
    ],
)
def test_what_does_not_fit_is_refused(run, message):
    with pytest.raises(ValueError, match=message):
        run()


def test_a_cell_of_ones_own_must_say_how_it_merges():
    with pytest.raises(NotImplementedError, match='BaseMergeCell must say how it merges'):
        BaseMergeCell(1, 1)(FINE, FINE)
