"""Keypoint R-CNN: its layers one by one, and what it draws."""

from pathlib import Path

import numpy as np
import pytest
import torch.nn as nn
from mmcv import Config

from mmdet.core.visualization.keypoints import draw_keypoints
from mmdet.models.builder import build_detector

ROOT = Path(__file__).resolve().parents[3]

# Layers of the person detector as Detectron2 prints them: our name, its name, in, out, kernel, stride, padding, bias.
LAYERS = {
    'backbone.conv1': ('bottom_up.stem.conv1', 3, 64, 7, 2, 3, False),
    'neck.lateral_convs.0.conv': ('fpn_lateral2', 256, 256, 1, 1, 0, True),
    'neck.lateral_convs.1.conv': ('fpn_lateral3', 512, 256, 1, 1, 0, True),
    'neck.lateral_convs.2.conv': ('fpn_lateral4', 1024, 256, 1, 1, 0, True),
    'neck.lateral_convs.3.conv': ('fpn_lateral5', 2048, 256, 1, 1, 0, True),
    **{f'neck.fpn_convs.{i}.conv': (f'fpn_output{i + 2}', 256, 256, 3, 1, 1, True) for i in range(4)},
    'rpn_head.rpn_conv': ('rpn_head.conv', 256, 256, 3, 1, 1, True),
    'rpn_head.rpn_cls': ('rpn_head.objectness_logits', 256, 3, 1, 1, 0, True),
    'rpn_head.rpn_reg': ('rpn_head.anchor_deltas', 256, 12, 1, 1, 0, True),
    'roi_head.bbox_head.shared_fcs.0': ('box_head.fc1', 12544, 1024),
    'roi_head.bbox_head.shared_fcs.1': ('box_head.fc2', 1024, 1024),
    'roi_head.bbox_head.fc_cls': ('box_predictor.cls_score', 1024, 2),
    'roi_head.bbox_head.fc_reg': ('box_predictor.bbox_pred', 1024, 4),
    'roi_head.keypoint_head.convs.0.conv': ('keypoint_head.conv_fcn1', 256, 512, 3, 1, 1, True),
    **{
        f'roi_head.keypoint_head.convs.{i}.conv': (f'keypoint_head.conv_fcn{i + 1}', 512, 512, 3, 1, 1, True)
        for i in range(1, 8)
    },
    'roi_head.keypoint_head.upsample': ('keypoint_head.score_lowres', 512, 17, 4, 2, 1, True),
}
# blocks, width inside, width outside of res2 to res5; the first block of each has a shortcut, of stride 1 in res2
RESIDUAL = ((3, 64, 256), (4, 128, 512), (6, 256, 1024), (3, 512, 2048))
POOLERS = dict(bbox=7, keypoint=14)


def residual_layers():
    """The rows of ``LAYERS`` for the residual blocks."""
    rows, width = {}, 64
    for stage, (blocks, inner, outer) in enumerate(RESIDUAL):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            ours, theirs = f'backbone.layer{stage + 1}.{block}', f'bottom_up.res{stage + 2}.{block}'
            rows[f'{ours}.conv1'] = (f'{theirs}.conv1', width, inner, 1, stride, 0, False)
            rows[f'{ours}.conv2'] = (f'{theirs}.conv2', inner, inner, 3, 1, 1, False)
            rows[f'{ours}.conv3'] = (f'{theirs}.conv3', inner, outer, 1, 1, 0, False)
            if block == 0:
                rows[f'{ours}.downsample.0'] = (f'{theirs}.shortcut', width, outer, 1, stride, 0, False)
            width = outer
    return rows


def describe(layer):
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    pairs = {name: getattr(layer, name) for name in ('kernel_size', 'stride', 'padding')}
    assert all(a == b for a, b in pairs.values())
    return layer.in_channels, layer.out_channels, *(pair[0] for pair in pairs.values()), layer.bias is not None


@pytest.fixture(scope='module')
def person_detector():
    """The config's detector, with strides where Detectron2's weights have them; initial values do not matter."""
    patch = pytest.MonkeyPatch()
    for name in dir(nn.init):
        if name.endswith('_') and not name.startswith('_'):
            patch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
    cfg = Config.fromfile(ROOT / 'configs/keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py')
    cfg.model.backbone.update(init_cfg=None, style='caffe')
    yield build_detector(cfg.model)
    patch.undo()


def test_layers_are_those_of_the_print_out(person_detector):
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    have = {name: describe(m) for name, m in person_detector.named_modules() if isinstance(m, kinds)}
    want = LAYERS | residual_layers()
    assert have == {name: row[1:] for name, row in want.items()}
    assert len({row[0] for row in want.values()}) == len(want) == 53 + 8 + 3 + 4 + 9


def test_normalisation_and_poolers_are_those_of_the_print_out(person_detector):
    norms = [m for m in person_detector.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 53 and all(m.eps == 1e-5 for m in norms)
    for name, size in POOLERS.items():
        layers = getattr(person_detector.roi_head, f'{name}_roi_extractor').roi_layers
        assert [layer.spatial_scale for layer in layers] == [1 / 4, 1 / 8, 1 / 16, 1 / 32]
        assert all(layer.output_size == (size, size) and layer.sampling_ratio == 0 for layer in layers)
        assert all(layer.aligned for layer in layers)
    assert person_detector.roi_head.keypoint_head.heatmap_size == 56


def test_draw_keypoints_leaves_out_weak_points_and_lines_to_them():
    image = np.zeros((40, 40, 3), np.uint8)
    points = np.array([[[5.5, 5.5, 0.9], [35.5, 5.5, 0.9], [5.5, 35.5, 0.1]]])
    picture = draw_keypoints(image, points, [(0, 1), (0, 2)], score_thr=0.5)
    assert picture[5, 20].any() and picture[5, 35].any()
    assert not picture[35, 5].any() and not picture[20, 5].any() and not image.any()


def test_draw_keypoints_of_nothing_and_far_outside():
    image = np.full((20, 20, 3), 9, np.uint8)
    assert np.array_equal(draw_keypoints(image, np.zeros((0, 5, 3)), [(0, 1)]), image)
    assert np.array_equal(draw_keypoints(image, np.array([[[1e9, -1e9, 1.0]]])), image)
    with pytest.raises(ValueError, match=r'\(n, K, 3\)'):
        draw_keypoints(image, np.zeros((5, 3)))
