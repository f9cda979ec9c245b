"""Files with Detectron2's names and shapes, which fit our configs whole."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv import Config

from mmdet.apis.conversion import ConversionError, detectron2_to_mmdet, read_detectron2_file
from mmdet.models import build_detector

ROOT = Path(__file__).resolve().parents[3]
NORM = ('weight', 'bias', 'running_mean', 'running_var')


def convolution(name, out, into, kernel, bias=True):
    return {f'{name}.weight': (out, into, kernel, kernel)} | ({f'{name}.bias': (out,)} if bias else {})


def with_norm(name, out, into, kernel):
    return convolution(name, out, into, kernel, False) | {f'{name}.norm.{key}': (out,) for key in NORM}


def backbone():
    shapes = with_norm('backbone.bottom_up.stem.conv1', 64, 3, 7)
    into = 64
    for level, blocks in zip(range(2, 6), (3, 4, 6, 3)):
        width, out = 2 ** (level + 4), 2 ** (level + 6)
        for block in range(blocks):
            name = f'backbone.bottom_up.res{level}.{block}'
            if block == 0:
                shapes |= with_norm(f'{name}.shortcut', out, into, 1)
            shapes |= with_norm(f'{name}.conv1', width, into, 1) | with_norm(f'{name}.conv2', width, width, 3)
            shapes |= with_norm(f'{name}.conv3', out, width, 1)
            into = out
        shapes |= convolution(f'backbone.fpn_lateral{level}', 256, out, 1)
        shapes |= convolution(f'backbone.fpn_output{level}', 256, 256, 3)
    return shapes


def detector(classes, kind):
    shapes = backbone() | {'pixel_mean': (3, 1, 1), 'proposal_generator.anchor_generator.cell_anchors.0': (3, 4)}
    rpn = 'proposal_generator.rpn_head'
    shapes |= convolution(f'{rpn}.conv', 256, 256, 3) | convolution(f'{rpn}.objectness_logits', 3, 256, 1)
    shapes |= convolution(f'{rpn}.anchor_deltas', 12, 256, 1)
    for name, out, into in (
        ('box_head.fc1', 1024, 12544),
        ('box_head.fc2', 1024, 1024),
        ('box_predictor.cls_score', classes + 1, 1024),
        ('box_predictor.bbox_pred', 4 * classes, 1024),
    ):
        shapes |= {f'roi_heads.{name}.weight': (out, into), f'roi_heads.{name}.bias': (out,)}
    if kind == 'mask':
        for i in range(1, 5):
            shapes |= convolution(f'roi_heads.mask_head.mask_fcn{i}', 256, 256, 3)
        shapes |= convolution('roi_heads.mask_head.deconv', 256, 256, 2)
        shapes |= convolution('roi_heads.mask_head.predictor', classes, 256, 1)
    if kind == 'keypoint':
        for i in range(1, 9):
            shapes |= convolution(f'roi_heads.keypoint_head.conv_fcn{i}', 512, 512 if i > 1 else 256, 3)
        shapes |= {'roi_heads.keypoint_head.score_lowres.weight': (512, 17, 4, 4)}
        shapes |= {'roi_heads.keypoint_head.score_lowres.bias': (17,)}
    return shapes


@pytest.mark.parametrize(
    ('kind', 'config', 'classes'),
    [
        ('box', 'faster_rcnn/faster_rcnn_r50_caffe_fpn_1x_coco.py', 80),
        ('mask', 'mask_rcnn/mask_rcnn_r50_caffe_fpn_1x_coco.py', 80),
        ('keypoint', 'keypoint_rcnn/keypoint_rcnn_r50_caffe_fpn_1x_coco.py', 1),
    ],
)
def test_names_and_shapes_fit_the_config(kind, config, classes):
    state = {name: torch.zeros(shape) for name, shape in detector(classes, kind).items()}
    ours = detectron2_to_mmdet(state)
    cfg = Config.fromfile(str(ROOT / 'configs' / config))
    with torch.device('meta'):
        wanted = build_detector(cfg.model).state_dict()
    wanted = {name: tensor.shape for name, tensor in wanted.items() if not name.endswith('num_batches_tracked')}
    assert {name: tensor.shape for name, tensor in ours.items()} == wanted


def test_files_of_both_kinds_are_read(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps({'model': {'x': array}, '__author__': 'Detectron2'}, protocol=2))
    torch.save({'model': OrderedDict(x=torch.from_numpy(array)), 'iteration': 3}, tmp_path / 'a.pth')
    for name in ('a.pkl', 'a.pth'):
        content = read_detectron2_file(tmp_path / name)
        assert np.array_equal(np.asarray(content['x']), array)


def test_files_that_run_code_or_hold_no_model_are_refused(tmp_path):
    (tmp_path / 'evil.pkl').write_bytes(pickle.dumps({'model': {'x': print}}))
    with pytest.raises(pickle.UnpicklingError, match='wants to run builtins.print'):
        read_detectron2_file(tmp_path / 'evil.pkl')
    (tmp_path / 'empty.pkl').write_bytes(pickle.dumps([1]))
    with pytest.raises(ConversionError, match='holds no model'):
        read_detectron2_file(tmp_path / 'empty.pkl')
    with pytest.raises(ConversionError, match='1 entries are blobs of caffe2 .conv1_w..*detectron2pytorch.py'):
        detectron2_to_mmdet({'conv1_w': np.zeros(1), 'conv1_b': np.zeros(1)})
    with pytest.raises(ConversionError, match='not known of Detectron2 detectors: roi_heads.box_head.fc3.weight'):
        detectron2_to_mmdet({'roi_heads.box_head.fc3.weight': torch.zeros(1)})
