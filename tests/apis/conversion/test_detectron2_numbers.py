"""A made checkpoint with Detectron2's names computes the same here as in a plain writing of its architecture."""

import pickle
from pathlib import Path

import detectron2_reference as reference
import numpy as np
import pytest
import torch
from mmcv import Config
from test_detectron2_conversion import detector

from mmdet.apis.conversion import detectron2_to_mmdet, read_detectron2_file
from mmdet.core import bbox2roi
from mmdet.datasets.pipelines import Compose
from mmdet.models import build_detector

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
FILES = dict(
    mask='mask_rcnn/mask_rcnn_r50_caffe_fpn_1x_coco.py',
    keypoint='keypoint_rcnn/keypoint_rcnn_r50_caffe_fpn_1x_coco.py',
)
CLASSES = dict(mask=3, keypoint=1)
HEIGHT, WIDTH = 96, 128
BOXES = torch.tensor([[10.0, 12, 40, 50], [0, 0, 127.5, 95], [60.3, 20.7, 90.1, 80.2], [100, 60, 104, 66]])


def made_weights(kind):
    """Arrays with the names and shapes of a file; activations stay of size one."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in detector(CLASSES[kind], kind).items():
        value = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith('running_var'):
            value = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        elif name.endswith('norm.weight'):
            value = rng.uniform(0.2, 0.4, shape) if '.conv3.' in name else rng.uniform(0.7, 1.3, shape)
        elif len(shape) == 1:
            value *= 0.1
        elif 'anchor_deltas' in name or 'bbox_pred' in name:
            value *= 0.3 / shape[1] ** 0.5
        else:
            value *= (2 / np.prod(shape[1:])) ** 0.5
        if 'fpn_lateral' in name:
            value *= 0.05
        arrays[name] = np.asarray(value, np.float32)
    arrays['backbone.bottom_up.stem.conv1.weight'] /= 64  # pixels are not divided by a deviation
    return arrays


def picture():
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope='module', params=list(FILES))
def case(request, tmp_path_factory):
    """Kind, arrays as tensors, their feature maps, our detector from the file, its input and meta information."""
    kind, arrays = request.param, made_weights(request.param)
    file = tmp_path_factory.mktemp(kind) / 'model_final.pkl'
    file.write_bytes(pickle.dumps(dict(model=arrays, __author__='Detectron2'), protocol=2))
    cfg = Config.fromfile(str(CONFIGS / FILES[kind]))
    cfg.model.backbone.init_cfg = None
    for head in ('bbox_head', 'mask_head'):
        if head in cfg.model.roi_head:
            cfg.model.roi_head[head].num_classes = CLASSES[kind]
    model = build_detector(cfg.model).eval()
    result = model.load_state_dict(detectron2_to_mmdet(read_detectron2_file(file)), strict=False)
    assert not result.unexpected_keys and all(key.endswith('num_batches_tracked') for key in result.missing_keys)
    cfg.data.test.pipeline[1].img_scale = (WIDTH, HEIGHT)
    image = picture()
    shape = dict(img_shape=image.shape, ori_shape=image.shape, filename=None, ori_filename=None, img_fields=['img'])
    data = Compose(cfg.data.test.pipeline[1:])(dict(img=image, **shape))
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    with torch.no_grad():
        maps = reference.pyramid(reference.pixels(image), tensors)
    return kind, tensors, maps, model, data['img'][0][None], data['img_metas'][0].data


def close(got, want, atol=1e-4):
    torch.testing.assert_close(got, want, rtol=1e-4, atol=atol)


def test_pixels_are_bgr_without_their_mean_and_features_are_equal(case):
    _, _, maps, model, image, _ = case
    close(image, reference.pixels(picture()))
    with torch.no_grad():
        feats = model.extract_feat(image)
    assert [level.shape[2:] for level in feats] == [(24, 32), (12, 16), (6, 8), (3, 4), (2, 2)]
    for got, want in zip(feats, maps):
        assert 0.1 < want.std() < 30
        close(got, want)


def test_rpn_and_its_anchors_are_equal(case):
    _, p, maps, model, _, meta = case
    with torch.no_grad():
        scores, codes = model.rpn_head(maps)
        for got_score, got_codes, (want_score, want_codes) in zip(scores, codes, reference.rpn_outputs(maps, p)):
            close(got_score, want_score)
            close(got_codes, want_codes)
        anchors = model.rpn_head.prior_generator.grid_priors([level.shape[2:] for level in maps], device='cpu')
        for got, stride, level in zip(anchors, reference.STRIDES, maps):
            close(got, reference.anchors_of(stride, *level.shape[2:]))
        (got,) = model.rpn_head.simple_test_rpn(maps, [meta])
        want = reference.proposals(maps, p, (HEIGHT, WIDTH))
    assert len(got) == len(want) > 50
    assert (got[:, None, :4] - want).abs().amax(-1).amin(1).max() < 1e-2


def test_box_head_is_equal_with_background_last(case):
    _, p, maps, model, _, meta = case
    rois = bbox2roi([BOXES])
    with torch.no_grad():
        out = model.roi_head._bbox_forward(maps, rois)
        boxes, scores = model.roi_head.bbox_head.get_bboxes(
            rois, out['cls_score'], out['bbox_pred'], None, meta['scale_factor'], rescale=False, cfg=None
        )
        want_scores, want_boxes = reference.box_outputs(maps, p, BOXES)
    assert want_scores.std(0).min() > 1e-3
    close(scores, want_scores)
    close(boxes, want_boxes.flatten(1), atol=1e-3)


def test_detections_are_equal(case):
    kind, p, maps, model, image, meta = case
    with torch.no_grad():
        boxes, scores, labels = reference.detections(maps, p, (HEIGHT, WIDTH))
        feats = model.extract_feat(image)
        found = model.rpn_head.simple_test_rpn(feats, [meta])
        (got,), (got_labels,) = model.roi_head.simple_test_bboxes(feats, [meta], found, model.roi_head.test_cfg)
    assert len(got) == len(boxes) > 10 and labels.unique().numel() == CLASSES[kind]
    close(got[:, 4].sort().values, scores.sort().values)
    distance = (got[None, :, :4] - boxes[:, None]).abs().amax(-1)
    distance = distance.masked_fill(got_labels[None] != labels[:, None], float('inf'))
    assert distance.amin(1).max() < 2e-2


def test_masks_and_keypoints_are_equal(case):
    kind, p, maps, model, _, _ = case
    rois = bbox2roi([BOXES])
    with torch.no_grad():
        if kind == 'mask':
            close(model.roi_head._mask_forward(maps, rois)['mask_pred'], reference.mask_logits(maps, p, BOXES))
        else:
            want = reference.heatmaps(maps, p, BOXES)
            assert want.std() > 0.1
            close(model.roi_head._keypoint_forward(maps, rois), want)
            close(model.roi_head._decode(want, BOXES), reference.keypoints(want, BOXES), atol=1e-3)


def test_both_kinds_of_file_give_the_same_weights(tmp_path):
    arrays = {name: value for name, value in made_weights('mask').items() if value.size < 1e5}
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(dict(model=arrays)))
    torch.save(dict(model={name: torch.from_numpy(value) for name, value in arrays.items()}), tmp_path / 'a.pth')
    first, second = (detectron2_to_mmdet(read_detectron2_file(tmp_path / name)) for name in ('a.pkl', 'a.pth'))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
