"""Detectors and made batches for `detectors.py`."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv import Config
from mmcv.parallel import DataContainer
from torch import nn

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import build_detector

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MASKS = ('gt_masks',)


class Case(NamedTuple):
    """A detector: its config, what it is trained on beside boxes and labels, further keys of its model."""

    config: str
    extras: tuple[str, ...] = ()
    options: dict = {}  # noqa: B006, RUF012 - never changed


CASES = {
    'faster_rcnn': Case('faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'),
    'faster_rcnn_static': Case(
        'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', (), dict(fixed_size=True, channels_last=True, fold_norm=True)
    ),
    'mask_rcnn': Case('mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py', MASKS),
    'retinanet': Case('retinanet/retinanet_r50_fpn_1x_coco.py'),
    'cascade_mask_rcnn': Case('cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco.py', MASKS),
    'deformable_detr': Case('deformable_detr/deformable_detr_r50_16x2_50e_coco.py'),
    'keypoint_rcnn': Case('keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py', ('gt_keypoints',)),
    'fcos': Case('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py'),
    'mask_rcnn_dcn': Case('dcnv2/mask_rcnn_r50_fpn_mdconv_c3-c5_1x_coco.py', MASKS),
    'point_rend': Case('point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py', MASKS),
    'queryinst': Case('queryinst/queryinst_r50_fpn_1x_coco.py', MASKS),
    'mask_rcnn_weights': Case(
        'mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py', MASKS, dict(directives=dict(weights=True, ignore_negatives=True))
    ),
    'swin': Case('swin/mask_rcnn_swin-t-p4-w7_fpn_1x_coco.py', MASKS),
}


def built(case: Case) -> nn.Module:
    """The detector with fixed random weights, nothing dropped at random, and all detections kept."""
    cfg = Config.fromfile(str(CONFIGS / case.config)).model
    without_checkpoints(cfg)
    cfg.update(copy.deepcopy(case.options))
    test_cfg = cfg.get('test_cfg') or {}
    for part in (test_cfg, test_cfg.get('rcnn') or {}):
        if 'score_thr' in part:
            part['score_thr'] = 0.0
    torch.manual_seed(0)
    model = build_detector(cfg)
    model.init_weights()
    without_dropout(model)
    tame(model)
    model.CLASSES = [str(i) for i in range(80)]
    return model


def without_checkpoints(node: Any) -> None:
    """Take every checkpoint out of a config, in place."""
    if isinstance(node, dict):
        if isinstance(node.get('init_cfg'), dict) and node['init_cfg'].get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('pretrained'):
            node['pretrained'] = None
    if isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            without_checkpoints(value)


def without_dropout(model: nn.Module) -> None:
    """Draws of a CPU and of a GPU differ: switch off what drops values at random."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
        if isinstance(getattr(module, 'drop_prob', None), float):
            module.drop_prob = 0.0


@torch.no_grad()
def tame(model: nn.Module) -> None:
    """Keep features of random networks from growing block by block, and make scores differ."""
    for name, weight in model.named_parameters():
        if name.endswith(('bn3.weight', 'bn2.weight')) and 'layer' in name:
            weight.mul_(0.3)
        if weight.ndim > 1 and any(part in name for part in ('fc_cls', 'retina_cls', 'conv_cls', 'rpn_cls')):
            weight.mul_(10)


def number_of_classes(model: nn.Module) -> int:
    """Classes that the last head tells apart."""
    heads = [m for m in model.modules() if hasattr(m, 'num_classes') and hasattr(m, 'loss')]
    heads = [m for m in heads if 'RPN' not in type(m).__name__]
    return heads[0].num_classes if heads else 80


def made_batch(classes: int, extras: tuple[str, ...], size: tuple[int, int], images: int = 2) -> dict[str, Any]:
    """A collated batch of noise with 3 and 4 objects, the second image smaller than the canvas (h, w)."""
    rng = np.random.default_rng(0)
    height, width = size
    canvas = rng.standard_normal((images, 3, height, width)).astype(np.float32)
    made = [_made_image(rng, canvas[i], (height - 8, width - 16) if i else size, 3 + i, classes) for i in range(images)]
    data = dict(
        img=DataContainer([torch.from_numpy(canvas)], stack=True),
        img_metas=DataContainer([[one['meta'] for one in made]], cpu_only=True),
        gt_masks=DataContainer([[one['gt_masks'] for one in made]], cpu_only=True),
        **{key: DataContainer([[one[key] for one in made]]) for key in ('gt_bboxes', 'gt_labels', 'gt_keypoints')},
    )
    wanted = ('img', 'img_metas', 'gt_bboxes', 'gt_labels', *extras)
    return {key: data[key] for key in wanted}


def _made_image(
    rng: np.random.Generator, canvas: np.ndarray, inner: tuple[int, int], objects: int, classes: int
) -> dict:
    """Objects of one image of ``inner`` (h, w) on a canvas (3, H, W), which they are drawn on."""
    (height, width), (rows, columns) = canvas.shape[1:], inner
    canvas[:, rows:], canvas[:, :, columns:] = 0, 0
    sides = rng.uniform(0.15, 0.6, (objects, 2)) * (columns, rows)
    corners = rng.uniform(0, 1, (objects, 2)) * ((columns, rows) - sides)
    boxes = np.concatenate([corners, corners + sides], 1).astype(np.float32)
    masks = np.zeros((objects, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().astype(int)):
        canvas[:, y1:y2, x1:x2] += rng.standard_normal((3, 1, 1))
        mask[y1:y2, x1:x2] = 1
    points = boxes[:, None, :2] + rng.random((objects, 17, 2)) * sides[:, None]
    points = np.concatenate([points, rng.integers(0, 3, (objects, 17, 1))], 2).astype(np.float32)
    shape = (rows, columns, 3)
    meta = dict(filename='made.png', ori_filename='made.png', ori_shape=shape, img_shape=shape, pad_shape=shape)
    meta |= dict(scale_factor=np.ones(4, np.float32), flip=False, flip_direction=None)
    return dict(
        meta=dict(meta, batch_input_shape=(height, width)),
        gt_bboxes=torch.from_numpy(boxes),
        gt_labels=torch.from_numpy(rng.integers(0, classes, objects)),
        gt_masks=BitmapMasks(masks, height, width),
        gt_keypoints=torch.from_numpy(points),
    )
