"""Every backbone on maps of one row, of one column and of sizes that nothing divides, in both memory layouts."""

import copy
import importlib.util

import pytest
import torch
from torch import nn

from mmdet.models.backbones.darknet import Darknet
from mmdet.models.builder import BACKBONES, build_backbone
from mmdet.models.options.acceleration import to_channels_last

# height and width in px: one row, one column, one cell and 2 x 3 cells at stride 32, and what 4 does not divide
SIZES = [(32, 96), (96, 32), (32, 32), (64, 96), (45, 77), (77, 33)]
# windows of 3 patches of 4 px: 1 x 1, 1 x 3, 3 x 1 and 2 x 3 windows without padding, and some with it
WINDOW_SIZES = [(12, 12), (12, 36), (36, 12), (24, 36), (12, 24), (11, 37)]

DEPTH_50 = dict(depth=50, base_channels=4, norm_eval=False)
HR_STAGES = {
    f'stage{n}': dict(num_modules=1, num_branches=n, block=block, num_blocks=(1,) * n, num_channels=(4, 8, 8, 8)[:n])
    for n, block in ((1, 'BOTTLENECK'), (2, 'BASIC'), (3, 'BASIC'), (4, 'BASIC'))
}
PVT = dict(
    embed_dims=4, num_layers=[1] * 4, num_heads=[1, 2, 2, 2], sr_ratios=[4, 2, 2, 1], mlp_ratios=[2] * 4,
    pretrain_img_size=64, drop_path_rate=0.0,
)  # fmt: skip
REGNET = dict(w0=8, wa=8.0, wm=2.0, group_w=4, depth=8, bot_mul=1.0)

BACKBONES_AND_SIZES = {
    'CSPDarknet': (dict(widen_factor=0.125, deepen_factor=0.33), SIZES),
    'ConvNeXt': (
        dict(
            arch=dict(depths=[1, 1, 1, 1], channels=[4, 8, 8, 8]), out_indices=(0, 1, 2, 3), gap_before_final_norm=False
        ),
        SIZES,
    ),
    'Darknet': (dict(depth=9, norm_eval=False), SIZES),
    'DetectoRS_ResNeXt': (dict(**DEPTH_50, groups=2, base_width=2), SIZES),
    'DetectoRS_ResNet': (
        dict(
            **DEPTH_50,
            conv_cfg=dict(type='ConvAWS'),
            sac=dict(type='SAC', use_deform=True),
            stage_with_sac=(False, True, True, True),
        ),
        SIZES,
    ),
    'EfficientNet': (dict(arch='b0', out_indices=(2, 4, 5)), SIZES[:1] + SIZES[4:5]),
    'HRNet': (dict(extra=HR_STAGES, norm_eval=False), SIZES),
    'HourglassNet': (
        dict(downsample_times=2, num_stacks=1, stage_channels=(4, 4, 6), stage_blocks=(1, 1, 1), feat_channel=8),
        SIZES,
    ),
    'MobileNetV1': (dict(widen_factor=0.125), SIZES),
    'MobileNetV2': (dict(widen_factor=0.125, out_indices=(1, 2, 4, 7)), SIZES),
    'MobileNetV3': (dict(arch='small', widen_factor=0.25), SIZES),
    'PyramidVisionTransformer': (PVT, SIZES),
    'PyramidVisionTransformerV2': (PVT, SIZES),
    'RegNet': (dict(arch=REGNET, stem_channels=4, base_channels=4, norm_eval=False), SIZES),
    'Res2Net': (dict(**DEPTH_50, scales=4, base_width=8), SIZES),
    'ResNeSt': (dict(**DEPTH_50, stem_channels=8), SIZES),
    'ResNeXt': (dict(**DEPTH_50, groups=2, base_width=2), SIZES),
    'ResNet': (dict(**DEPTH_50, dcn=dict(type='DCNv2'), stage_with_dcn=(False, False, True, True)), SIZES),
    'ResNetV1d': (dict(depth=18, base_channels=4, norm_eval=False), SIZES),
    'SSDVGG': (dict(depth=11, out_feature_indices=(10, 24)), SIZES[4:5]),
    'SwinTransformer': (
        dict(
            embed_dims=4,
            depths=(2, 2),
            num_heads=(1, 2),
            strides=(4, 2),
            out_indices=(0, 1),
            window_size=3,
            drop_path_rate=0.0,
        ),
        WINDOW_SIZES + SIZES,
    ),
    'TIMMBackbone': (dict(model_name='resnet18', features_only=True, out_indices=(1, 3)), SIZES[:1] + SIZES[4:5]),
    'TridentResNet': (
        dict(
            **DEPTH_50,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
            num_branch=2,
            test_branch_idx=1,
            trident_dilations=(1, 2),
        ),
        SIZES,
    ),
    'VGG': (dict(depth=11, width=16), SIZES),
}


def test_every_backbone_is_in_the_table():
    own = {name for name, kind in BACKBONES.module_dict.items() if kind.__module__.startswith('mmdet.models.backbones')}
    assert own == set(BACKBONES_AND_SIZES)


@pytest.fixture(autouse=True)
def small_darknet(monkeypatch):
    """A Darknet beside the one of 40 million weights, which would take most of the time."""
    narrow = ((1,) * 5, ((4, 8), (8, 8), (8, 8), (8, 8), (8, 8)))
    monkeypatch.setattr(Darknet, 'arch_settings', {**Darknet.arch_settings, 9: narrow})


def outputs(net: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    outs = net(images)
    return [outs] if isinstance(outs, torch.Tensor) else list(outs)


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """The same network for maps in the order (N, C, H, W), and for maps in the order (N, H, W, C)."""
    if name == 'TIMMBackbone' and importlib.util.find_spec('timm') is None:
        pytest.skip('timm, whose models TIMMBackbone builds, is not installed')
    torch.manual_seed(0)
    plain = build_backbone(dict(type=name, **copy.deepcopy(BACKBONES_AND_SIZES[name][0])))
    plain.init_weights()
    plain.double()
    return plain, to_channels_last(copy.deepcopy(plain))


@pytest.mark.parametrize('name', BACKBONES_AND_SIZES)
def test_inference_does_not_depend_on_batch_or_memory_layout(name):
    plain, channels_last = (net.eval() for net in pair(name))
    for size in BACKBONES_AND_SIZES[name][1]:
        images = torch.randn(2, 3, *size, dtype=torch.double)
        with torch.no_grad():
            together = outputs(plain, images)
            for i in (0, 1):
                alone = images[i : i + 1]
                for net, image in ((plain, alone), (channels_last, alone.to(memory_format=torch.channels_last))):
                    for out, want in zip(outputs(net, image), together, strict=True):
                        torch.testing.assert_close(out, want[i : i + 1], rtol=1e-6, atol=1e-9, msg=f'{size} px')


@pytest.mark.parametrize('name', BACKBONES_AND_SIZES)
def test_training_reaches_every_parameter_in_both_memory_layouts(name):
    plain, channels_last = (net.train() for net in pair(name))
    for size in BACKBONES_AND_SIZES[name][1]:
        images = torch.randn(2, 3, *size, dtype=torch.double)
        for net, batch in ((plain, images), (channels_last, images.to(memory_format=torch.channels_last))):
            net.zero_grad(set_to_none=True)
            sum((out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum() for out in outputs(net, batch)).backward()
        for (key, one), other in zip(plain.named_parameters(), channels_last.parameters(), strict=True):
            if one.requires_grad:
                scale = one.grad.abs().max().item()
                torch.testing.assert_close(
                    other.grad,
                    one.grad,
                    rtol=1e-5,
                    atol=1e-7 * scale + 1e-9,
                    msg=f'{key}, {size} px',
                )
