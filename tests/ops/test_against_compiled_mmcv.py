"""The operators here give the numbers and gradients of a really compiled mmcv's (``make test-mmcv-full``)."""

import importlib

import pytest
import torch

pytest.importorskip('mmcv._ext', reason='needs a compiled mmcv: make test-mmcv-full')

from mmdet.ops.mmcv_ops import MODULES  # noqa: E402 - nothing below runs without a compiled mmcv

OURS = {name: operator for names in MODULES.values() for name, operator in names.items()}
RNG = torch.Generator().manual_seed(0)


def rand(*shape, low=0.0, high=1.0):
    return torch.rand(*shape, generator=RNG) * (high - low) + low


def randn(*shape):
    return torch.randn(*shape, generator=RNG)


def corners(n, size):
    start = rand(n, 2, high=size)
    return torch.cat([start, start + rand(n, 2, high=size)], dim=1)


def rotated(n, size):
    return torch.cat([rand(n, 2, high=size), rand(n, 2, low=1, high=size / 2), rand(n, 1, low=-9, high=9)], dim=1)


def with_image(boxes):
    return torch.cat([torch.arange(len(boxes))[:, None] % 2, boxes], dim=1)


BOXES, SCORES, CLASSES = corners(200, 50), rand(200), torch.arange(200) % 3
FEATURES, ROIS, ROTATED_ROIS = randn(2, 8, 20, 24), with_image(corners(9, 12)), with_image(rotated(9, 40))
OFFSETS = randn(2, 18, 20, 24)
ROTATED = rotated(60, 40)
ANGLES = torch.stack([torch.randperm(72, generator=RNG) + 1 for _ in range(8)], dim=1).reshape(8, 3, 3, 8).int()

CASES = [
    *[('nms', (BOXES, SCORES, 0.5, offset)) for offset in (0, 1)],
    ('nms', (BOXES, SCORES, 0.3, 0, 0.4, 7)),
    *[('soft_nms', (BOXES, SCORES, 0.3, 0.5, 1e-3, kind, 1)) for kind in ('linear', 'gaussian', 'naive')],
    *[('batched_nms', (BOXES, SCORES, CLASSES, dict(type=kind, iou_threshold=0.5))) for kind in ('nms', 'soft_nms')],
    ('batched_nms', (BOXES, SCORES, CLASSES, dict(type='nms', iou_threshold=0.5, max_num=5), True)),
    ('batched_nms', (BOXES, SCORES, CLASSES, dict(type='nms', iou_threshold=0.5, split_thr=10))),
    ('batched_nms', (BOXES, SCORES, CLASSES, None)),
    ('bbox_overlaps', (BOXES, BOXES[:9], 'iou', False, 1)),
    ('bbox_overlaps', (BOXES, BOXES.flip(0), 'iof', True, 0)),
    *[('box_iou_rotated', (ROTATED, ROTATED[:20], 'iou', False, turn)) for turn in (True, False)],
    ('box_iou_rotated', (ROTATED, ROTATED[:20], 'iof')),
    ('box_iou_rotated', (ROTATED, ROTATED.flip(0), 'iou', True)),
    ('nms_rotated', (ROTATED, SCORES[:60], 0.3)),
    ('active_rotated_filter', (randn(4, 2, 8, 3, 3), ANGLES)),
    *[('rotated_feature_align', (FEATURES, rand(2, 20, 24, 5, high=4), 0.25, points)) for points in (1, 5)],
    ('rel_roi_point_to_rel_img_point', (ROIS, rand(9, 5, 2), FEATURES, 0.5)),
    ('point_sample', (FEATURES, rand(2, 9, 2))),
]
DIFFERENTIABLE = [
    *[
        ('roi_align', (FEATURES, ROIS, (7, 5), 0.5, ratio, mode, aligned))
        for ratio in (0, 2)
        for mode in ('avg', 'max')
        for aligned in (True, False)
    ],
    *[
        ('roi_align_rotated', (FEATURES, ROTATED_ROIS, (5, 6), 0.5, 2, aligned, turn))
        for aligned in (True, False)
        for turn in (True, False)
    ],
    ('deform_conv2d', (FEATURES, OFFSETS, randn(6, 8, 3, 3), 1, 1)),
    ('deform_conv2d', (FEATURES, randn(2, 36, 10, 12), randn(6, 4, 3, 3), 2, 2, 2, 2, 2)),
    ('modulated_deform_conv2d', (FEATURES, OFFSETS, rand(2, 9, 20, 24), randn(6, 8, 3, 3), randn(6), 1, 1)),
]


def compiled(name):
    module = next(module for module, names in MODULES.items() if name in names)
    return getattr(importlib.import_module(f'mmcv.ops.{module}'), name)


def assert_close(ours, theirs):
    ours, theirs = ((item,) if torch.is_tensor(item) else item for item in (ours, theirs))
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=2e-5, check_dtype=False)


@pytest.mark.parametrize(
    ('name', 'args'), CASES + DIFFERENTIABLE, ids=lambda item: item if isinstance(item, str) else ''
)
def test_numbers_are_those_of_the_compiled_operator(name, args):
    assert_close(OURS[name](*args), compiled(name)(*args))


@pytest.mark.parametrize(('name', 'args'), DIFFERENTIABLE, ids=lambda item: item if isinstance(item, str) else '')
def test_gradients_are_those_of_the_compiled_operator(name, args):
    def gradients(operator):
        leaves = [arg.clone().requires_grad_() if torch.is_tensor(arg) else arg for arg in args]
        if 'roi' in name:
            leaves[1] = args[1]  # nothing learns from the places of boxes
        out = operator(*leaves)
        weights = torch.linspace(-1, 1, out.numel()).reshape(out.shape)
        (out * weights).sum().backward()
        return [leaf.grad for leaf in leaves if torch.is_tensor(leaf) and leaf.requires_grad]

    assert_close(gradients(OURS[name]), gradients(compiled(name)))


MAP = dict(in_channels=8, out_channels=8)
KERNEL = dict(MAP, kernel_size=3, padding=1)
LAYERS = [
    ('DeformConv2dPack', dict(KERNEL, deform_groups=2)),
    ('ModulatedDeformConv2dPack', dict(KERNEL, stride=2)),
    *[('SAConv2d', dict(KERNEL, use_deform=deform, bias=bias)) for deform in (True, False) for bias in (True, False)],
    ('MaskedConv2d', KERNEL),
    *[('CornerPool', dict(mode=mode)) for mode in ('left', 'right', 'top', 'bottom')],
    *[(name, MAP) for name in ('ConcatCell', 'SumCell', 'GlobalPoolingCell')],
]


@pytest.mark.parametrize(('name', 'args'), LAYERS, ids=lambda item: item if isinstance(item, str) else '')
def test_layers_load_the_compiled_ones_weights_and_give_their_numbers(name, args):
    theirs, ours = compiled(name)(**args).eval(), OURS[name](**args).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    inputs = (FEATURES, FEATURES[..., :10, :12]) if name.endswith('Cell') else (FEATURES,)
    assert_close(ours(*inputs), theirs(*inputs))


@pytest.mark.parametrize('numbers', [2, 4])
def test_deformable_attention_gives_the_numbers_of_the_compiled_one(numbers):
    args = dict(embed_dims=32, num_levels=3, num_heads=4)
    theirs, ours = (find('MultiScaleDeformableAttention')(**args).eval() for find in (compiled, OURS.get))
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    inputs = dict(
        query=randn(5, 2, 32),
        value=randn(84, 2, 32),
        reference_points=rand(2, 5, 3, numbers),
        spatial_shapes=torch.tensor([[8, 8], [4, 4], [2, 2]]),
        level_start_index=torch.tensor([0, 64, 80]),
        key_padding_mask=torch.arange(84).expand(2, 84) > 80,
    )
    assert_close(ours(**inputs), theirs(**inputs))
