import pytest
import torch
from torch import nn

from mmdet.models.necks.fpn_carafe import FPN_CARAFE
from mmdet.ops import CARAFEPack

FINE = torch.arange(16.0).reshape(1, 1, 4, 4)
COARSE = torch.tensor([[100.0, 200.0], [300.0, 400.0]]).reshape(1, 1, 2, 2)
NEAREST = dict(type='nearest')


def identity_neck(**kwargs):
    """A neck of one channel whose convolutions all pass their input on."""
    neck = FPN_CARAFE(**{**dict(in_channels=[1, 1], out_channels=1, num_outs=2, upsample_cfg=NEAREST), **kwargs})
    for conv in (*neck.lateral_convs, *neck.fpn_convs):
        nn.init.dirac_(conv.conv.weight)
        nn.init.zeros_(conv.conv.bias)
    return neck


def test_nearest_upsampling_is_the_ordinary_pyramid():
    fine, coarse = identity_neck()((FINE, COARSE))
    assert fine[0, 0, :2].tolist() == [[100, 101, 202, 203], [104, 105, 206, 207]]
    assert torch.equal(coarse, COARSE)


def test_extra_levels_take_part_in_the_top_down_way():
    outs = identity_neck(num_outs=4)((FINE, COARSE))
    # COARSE strided: 100, strided again: 100; then added downwards
    assert [out.flatten()[0].item() for out in outs] == [300, 300, 200, 100]
    assert [out.shape[-1] for out in outs] == [4, 2, 1, 1]


def test_first_extra_level_reads_the_last_input():
    neck = FPN_CARAFE([2, 3], 4, num_outs=4)
    assert [conv.conv.in_channels for conv in neck.lateral_convs] == [2, 3, 3, 4]
    assert [conv.conv.stride[0] for conv in neck.lateral_convs] == [1, 1, 2, 2]
    assert len(neck.upsample_modules) == 3


def test_odd_sizes_are_cropped_and_too_small_ones_refused():
    outs = identity_neck()((FINE[..., :3, :], COARSE))
    assert outs[0].shape == (1, 1, 3, 4) and outs[0][0, 0, 2].tolist() == [308, 309, 410, 411]
    with pytest.raises(ValueError, match=r'\(4, 4\) cells does not cover the finer level of \(5, 4\)'):
        identity_neck()((torch.zeros(1, 1, 5, 4), COARSE))


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='bilinear'),
        dict(type='deconv', upsample_kernel=3),
        dict(type='pixel_shuffle', upsample_kernel=3),
        dict(type='carafe', up_kernel=3, compressed_channels=2),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_every_upsampling_doubles_the_size_and_learns(cfg):
    neck = FPN_CARAFE([2, 3], 4, num_outs=3, upsample_cfg=cfg)
    neck.init_weights()
    outs = neck((torch.rand(2, 2, 8, 8), torch.rand(2, 3, 4, 4)))
    assert [out.shape for out in outs] == [(2, 4, s, s) for s in (8, 4, 2)]
    sum(out.square().sum() for out in outs).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_no_upsampling_is_for_levels_of_equal_size():
    outs = identity_neck(upsample_cfg=dict(type=None))((FINE, FINE))
    assert torch.equal(outs[0], 2 * FINE)


def test_norm_takes_the_place_of_the_bias_and_order_is_kept():
    order = ('act', 'conv', 'norm')
    neck = FPN_CARAFE([1, 1], 1, 2, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'), order=order)
    assert all(conv.conv.bias is None and conv.order == order for conv in neck.fpn_convs)


def test_start_and_end_level_choose_the_inputs():
    neck = FPN_CARAFE([2, 3, 4, 5], 1, num_outs=2, start_level=1, end_level=2)
    assert [conv.conv.in_channels for conv in neck.lateral_convs] == [3, 4]
    outs = neck(tuple(torch.rand(1, c, s, s) for c, s in zip((2, 3, 4, 5), (16, 8, 4, 2))))
    assert [out.shape[-1] for out in outs] == [8, 4]


def test_init_weights_leaves_upsampling_kernels_nearly_equal():
    neck = FPN_CARAFE([2, 3], 4, num_outs=2)
    neck.init_weights()
    (upsample,) = neck.upsample_modules
    assert isinstance(upsample, CARAFEPack) and upsample.content_encoder.weight.std() < 0.002
    assert neck.lateral_convs[0].conv.weight.std() > 0.1 and not neck.lateral_convs[0].conv.bias.any()


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(upsample_cfg=dict(type='caraffe')), "got 'caraffe'; did you mean 'carafe'"),
        (dict(upsample_cfg=dict(type='deconv')), "'deconv' needs upsample_kernel"),
        (dict(order=('conv', 'conv')), 'order: expected'),
        (dict(init_cfg=dict(type='Kaiming')), 'init_cfg must be None'),
        (dict(num_outs=1), 'num_outs=1 is less than the 2 inputs used'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        identity_neck(**kwargs)


def test_another_number_of_inputs_is_refused():
    with pytest.raises(ValueError, match='FPN_CARAFE: expected 2 inputs, got 1'):
        identity_neck()((FINE,))
