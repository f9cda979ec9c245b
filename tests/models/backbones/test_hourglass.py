import pytest
import torch

from mmdet.models.backbones.csp_darknet import CSPDarknet
from mmdet.models.backbones.darknet import Darknet
from mmdet.models.backbones.hourglass import HourglassModule, HourglassNet
from mmdet.models.builder import build_backbone


@pytest.mark.parametrize(
    ('build', 'kwargs', 'error', 'message'),
    [
        (Darknet, dict(depth=54), KeyError, r'knows the depths \[53\], not 54'),
        (Darknet, dict(out_indices=(6,)), ValueError, r'out_indices: expected numbers in \[0, 6\)'),
        (Darknet, dict(frozen_stages=7), ValueError, 'frozen_stages'),
        (CSPDarknet, dict(arch='P7'), KeyError, "expected 'P5' or 'P6', got 'P7'"),
        (CSPDarknet, dict(out_indices=(5,)), ValueError, r'out_indices: expected numbers in \[0, 5\)'),
        (CSPDarknet, dict(frozen_stages=5), ValueError, 'frozen_stages'),
        (HourglassNet, dict(num_stacks=0), ValueError, 'num_stacks: expected 1 or more'),
        (HourglassNet, dict(stage_blocks=(2, 2)), ValueError, r'at least depth \+ 1 = 6 entries'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, kwargs, error, message, no_random_numbers):
    with pytest.raises(error, match=message):
        build(**kwargs)


@pytest.mark.parametrize('stacks', [1, 3])
def test_hourglasses_each_give_an_output_and_all_is_trained(stacks):
    net = build_backbone(
        dict(
            type='HourglassNet',
            downsample_times=2,
            num_stacks=stacks,
            stage_channels=(4, 4, 6),
            stage_blocks=(1, 2, 1),
            feat_channel=8,
        )
    )
    net.init_weights()
    outs = net(torch.rand(2, 3, 36, 52))  # 9 x 13 at stride 4: sizes that halve and double to others
    assert [tuple(out.shape) for out in outs] == [(2, 8, 9, 13)] * stacks
    sum(out.square().sum() for out in outs).backward()
    unused = {name for name, p in net.named_parameters() if p.grad is None}
    assert {name.split('.')[0] for name in unused} == ({'inters'} if stacks == 1 else set())


def test_hourglass_adds_the_enlarged_map_to_what_it_kept():
    module = HourglassModule(1, (2, 2), (1, 1)).eval()
    x = torch.arange(8.0).view(1, 2, 2, 2)
    kept, low = module.up1(x), module.low3(module.low2(module.low1(x)))
    assert low.shape[-2:] == (1, 1)
    assert torch.allclose(module(x), kept + low)
    scaled = HourglassModule(1, (2, 2), (1, 1), upsample_cfg=dict(scale_factor=2)).eval()
    scaled.load_state_dict(module.state_dict())
    assert torch.allclose(scaled(x), module(x))
