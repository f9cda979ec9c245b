"""Detectors of every family in small, and the batches that they train on."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filling import fill_module, make_batch, random_boxes
from mmcv import Config, ConfigDict
from mmcv.parallel import DataContainer
from torch import nn
from whole_models import deterministic, drop_nothing

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import build_detector

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
BOXES = ('gt_bboxes', 'gt_labels')
MASKS = (*BOXES, 'gt_masks')
WIDTHS = {
    'in_channels', 'out_channels', 'feat_channels', 'conv_out_channels', 'embed_dims', 'channels',
    'feedforward_channels', 'fc_out_channels', 'num_channels', 'dynamic_in_channels', 'input_feat_shape',
    'fc_channels', 'dynamic_feat_channels', 'in_channel', 'out_channel', 'hidden_channels', 'proposal_feature_channel',
    'cls_in_channels', 'reg_in_channels', 'cls_out_channels', 'reg_offset_out_channels', 'reg_cls_out_channels',
    'out_conv_channels', 'offset_channels', 'output_channels',
}  # fmt: skip
NARROW = {256: 32, 1024: 64, 2048: 64, 512: 48, 128: 16}
SCORES = [
    [r'(fc_cls|cls_embed|class_embed|cls_logits)\.weight$', 3.0],
    [r'(rpn_cls|retina_cls|conv_cls|_cls)\.weight$', 0.3],
    [r'roi_head.*fc_reg\.weight$', 0.1],
    # boxes around the middle of the image; those turned inside out have no masks to compare
    [r'init_proposal_bboxes\.weight$', dict(abs=True, scale=0.1, offset=0.5)],
]


class Case(NamedTuple):
    """What is trained, on what."""

    config: str  # below configs/
    keys: tuple[str, ...] = BOXES  # of the batch
    model: dict = {}  # noqa: RUF012 - further keys of the model, dots for nested ones
    metas: tuple[dict, dict] = ({}, {})  # of the two images
    size: tuple[int, int] = (96, 128)
    classes: int = 80
    tests: bool = True  # also inference
    wide: bool = False  # all layers as wide as in the config


FASTER, MASK = 'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', 'mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'
RETINA = 'retinanet/retinanet_r50_fpn_1x_coco.py'
CASCADE = 'cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco.py'
FEW_GROUPS = {'bbox_head.norm_cfg': dict(type='GN', num_groups=8)}
FAMILIES = {
    'faster_rcnn': Case(FASTER),
    'mask_rcnn': Case(MASK, MASKS),
    'faster_rcnn_ignore_regions': Case(FASTER, (*BOXES, 'gt_bboxes_ignore')),
    'cascade_mask_rcnn': Case(CASCADE, MASKS),
    'fast_rcnn': Case('fast_rcnn/fast_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'proposals')),
    'rpn': Case('rpn/rpn_r50_fpn_1x_coco.py', ('gt_bboxes',)),
    'retinanet': Case(RETINA),
    'fcos': Case('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py', model=FEW_GROUPS),
    'atss': Case('atss/atss_r50_fpn_1x_coco.py', model=FEW_GROUPS),
    'gfl': Case('gfl/gfl_r50_fpn_1x_coco.py', model=FEW_GROUPS),
    'fovea': Case('foveabox/fovea_r50_fpn_4x4_1x_coco.py'),
    'fovea_align': Case('foveabox/fovea_align_r50_fpn_gn-head_4x4_2x_coco.py'),
    'fsaf': Case('fsaf/fsaf_r50_fpn_1x_coco.py'),
    'free_anchor': Case('free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py'),
    'ghm': Case('ghm/retinanet_ghm_r50_fpn_1x_coco.py'),
    'pisa_retinanet': Case('pisa/pisa_retinanet_r50_fpn_1x_coco.py'),
    'pisa_faster_rcnn': Case('pisa/pisa_faster_rcnn_r50_fpn_1x_coco.py'),
    'sabl_retinanet': Case('sabl/sabl_retinanet_r50_fpn_1x_coco.py'),
    'sabl_faster_rcnn': Case('sabl/sabl_faster_rcnn_r50_fpn_1x_coco.py'),
    'ga_retinanet': Case('guided_anchoring/ga_retinanet_r50_caffe_fpn_1x_coco.py'),
    'ga_faster_rcnn': Case('guided_anchoring/ga_faster_r50_caffe_fpn_1x_coco.py'),
    'cascade_rpn': Case('cascade_rpn/crpn_r50_caffe_fpn_1x_coco.py', ('gt_bboxes',)),
    'cascade_rpn_faster_rcnn': Case('cascade_rpn/crpn_faster_rcnn_r50_caffe_fpn_1x_coco.py'),
    'libra_rcnn': Case('libra_rcnn/libra_faster_rcnn_r50_fpn_1x_coco.py'),
    'double_heads': Case('double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py'),
    'dynamic_rcnn': Case('dynamic_rcnn/dynamic_rcnn_r50_fpn_1x_coco.py'),
    'grid_rcnn': Case('grid_rcnn/grid_rcnn_r50_fpn_gn-head_1x_coco.py', model={'roi_head.grid_head.num_convs': 1}),
    'groie': Case('groie/faster_rcnn_r50_fpn_groie_1x_coco.py'),
    'ms_rcnn': Case('ms_rcnn/ms_rcnn_r50_fpn_1x_coco.py', MASKS),
    'point_rend': Case(
        'point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py', MASKS, {'test_cfg.rcnn.subdivision_steps': 2}
    ),
    'htc': Case('htc/htc_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'scnet': Case(
        'scnet/scnet_r50_fpn_1x_coco.py',
        (*MASKS, 'gt_semantic_seg'),
        {
            'roi_head.glbctx_head.conv_out_channels': 256,
            'roi_head.semantic_head.conv_out_channels': 256,
            'roi_head.feat_relay_head.out_conv_channels': 256,
        },
    ),
    'panoptic_fpn': Case('panoptic_fpn/panoptic_fpn_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'detr': Case('detr/detr_r50_8x2_150e_coco.py'),
    'deformable_detr': Case('deformable_detr/deformable_detr_r50_16x2_50e_coco.py'),
    'sparse_rcnn': Case('sparse_rcnn/sparse_rcnn_r50_fpn_1x_coco.py'),
    'queryinst': Case('queryinst/queryinst_r50_fpn_1x_coco.py', MASKS),
    'keypoint_rcnn': Case('keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'gt_keypoints'), classes=1),
    'carafe': Case('carafe/mask_rcnn_r50_fpn_carafe_1x_coco.py', MASKS),
    'trident': Case(
        'tridentnet/tridentnet_r50_caffe_1x_coco.py',
        model={
            'backbone.base_channels': 8,
            'rpn_head.in_channels': 128,
            'rpn_head.feat_channels': 32,
            'roi_head.shared_head': None,
            'roi_head.bbox_roi_extractor.out_channels': 128,
            'roi_head.bbox_roi_extractor.roi_layer.output_size': 4,
            'roi_head.bbox_head.in_channels': 128,
            'roi_head.bbox_head.roi_feat_size': 4,
        },
        size=(64, 64),
        wide=True,
    ),
    'ssd': Case('ssd/ssdlite_mobilenetv2_scratch_600e_coco.py', size=(96, 96), wide=True),
    'pisa_ssd': Case(
        'ssd/ssdlite_mobilenetv2_scratch_600e_coco.py',
        model={
            'bbox_head.type': 'PISASSDHead',
            'train_cfg.isr': dict(k=2.0, bias=0.0),
            'train_cfg.carl': dict(k=1.0, bias=0.2),
        },
        size=(96, 96),
        wide=True,
    ),
    'retina_sepbn': Case('nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco.py', size=(128, 256)),
    'deformable_convolutions': Case('dcnv2/faster_rcnn_r50_fpn_mdpool_1x_coco.py'),
    'vgg': Case(
        'faster_rcnn_vgg16/faster_rcnn_vgg16_voc07.py',
        model={
            'backbone.width': 16,
            'rpn_head.in_channels': 32,
            'rpn_head.feat_channels': 32,
            'roi_head.bbox_roi_extractor.out_channels': 32,
            'roi_head.bbox_roi_extractor.roi_layer.output_size': 2,
            'roi_head.bbox_head.in_channels': 32,
            'roi_head.bbox_head.roi_feat_size': 2,
        },
        classes=20,
        wide=True,
    ),
    'seesaw': Case('seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py', MASKS, classes=1203),
}

WEIGHED = dict(directives=dict(weights=True, ignore_negatives=True))
POLICIES = {
    'weights': {'rpn_head.loss_weight': 0.5, 'roi_head.loss_weight': 2.0},
    'mask_weight': {'mask_head.loss_weight': 0.3},
    'ignore_negatives': {'ignore_negatives': 1},
    'soft': {'negatives': dict(type='soft', weight=0.2)},
    'overlap': {'negatives': 'overlap'},
    'recalibrate': {'negatives': dict(type='recalibrate', score_thr=0.3, warmup=0)},
    'none': {'negatives': 'none'},
    'labeled': {'labeled_classes': [1, 2, 3, 70]},
    'unlabeled': {'unlabeled_classes': [0, 5, 6]},
    'negative_weight': {'rpn_head.negative_weight': 0.1, 'roi_head.negative_weight': 0.3},
}
RETINA_KEYS = {'rpn_head.loss_weight': 'bbox_head.loss_weight', 'rpn_head.negative_weight': 'bbox_head.negative_weight'}


def of_one_stage(directives: dict) -> dict:
    """The same directives for a detector that has one head."""
    return {RETINA_KEYS.get(key, key): value for key, value in directives.items() if not key.startswith('roi')}


DIRECTIVES = {
    f'mask_rcnn {name}': Case(MASK, MASKS, WEIGHED, ({}, meta), tests=False) for name, meta in POLICIES.items()
}
DIRECTIVES |= {
    f'retinanet {name}': Case(RETINA, model=WEIGHED, metas=({}, of_one_stage(meta)), tests=False)
    for name, meta in POLICIES.items()
    if not name.startswith('mask')
}
DIRECTIVES |= {
    f'mask_rcnn fixed_size {name}': Case(MASK, MASKS, dict(WEIGHED, fixed_size=True), ({}, POLICIES[name]), tests=False)
    for name in ('weights', 'ignore_negatives', 'overlap', 'recalibrate', 'labeled')
}
DIRECTIVES |= {
    f'{name} overlap': FAMILIES[name]._replace(
        model=dict(FAMILIES[name].model, directives=dict(weights=True)),
        metas=({}, {'negatives': 'overlap', 'bbox_head.loss_weight': 0.5}),
        tests=False,
    )
    for name in ('fcos', 'atss', 'gfl', 'fovea', 'sabl_retinanet', 'deformable_detr', 'sparse_rcnn', 'ga_retinanet')
}
IGNORED = ({}, {'ignore_negatives': 1})
# fewer than there are, so that samplers have to choose
RCNN = dict(num=16, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True)


def with_sampler(kind: str, metas: tuple[dict, dict] = ({}, {}), **settings: Any) -> Case:
    """Faster R-CNN whose second stage draws with another sampler."""
    return Case(FASTER, model={'train_cfg.rcnn.sampler': dict(type=kind, **RCNN, **settings)}, metas=metas, tests=False)


SAMPLERS = {
    'sampler RandomSampler': with_sampler('RandomSampler'),
    'sampler RandomSamplerWithIgnore': with_sampler('RandomSamplerWithIgnore', IGNORED),
    'sampler OHEMSampler': with_sampler('OHEMSampler'),
    'sampler OHEMSamplerWithIgnore': with_sampler('OHEMSamplerWithIgnore', IGNORED),
    'sampler IoUBalancedNegSampler': with_sampler('IoUBalancedNegSampler', floor_thr=-1, floor_fraction=0, num_bins=3),
    'sampler InstanceBalancedPosSampler': with_sampler('InstanceBalancedPosSampler'),
    'sampler CombinedSampler': with_sampler(
        'CombinedSampler',
        pos_sampler=dict(type='InstanceBalancedPosSampler'),
        neg_sampler=dict(type='IoUBalancedNegSampler', floor_thr=-1, floor_fraction=0, num_bins=3),
    ),
}
OPTIONS = {
    'option fixed_size faster_rcnn': Case(FASTER, model=dict(fixed_size=True)),
    'option fixed_size mask_rcnn': Case(MASK, MASKS, dict(fixed_size=True)),
    'option fixed_size retinanet': Case(RETINA, model=dict(fixed_size=True)),
    'option input_norm': Case(FASTER, model=dict(input_norm=dict(mean=[1.0, 2, 3], std=[1.0, 2, 3]))),
    'option channels_last fold_norm': Case(MASK, MASKS, dict(channels_last=True, fold_norm=True)),
    'option domain': Case(
        FASTER,
        model={
            'train_cfg.domain': dict(
                image=dict(in_channels=32, hidden_channels=16),
                instance=dict(in_channels=32, hidden_channels=16),
                consistency_weight=0.1,
            )
        },
        metas=({'domain': 0}, {'domain': 1}),
    ),
}
CASES = {**FAMILIES, **DIRECTIVES, **SAMPLERS, **OPTIONS}


def few_samples(node: Any) -> Any:
    """Samplers that draw 64, in place."""
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        few_samples(value)
    if isinstance(node, dict) and node.get('num', 0) == 1000000:
        node['num'] = 64
    return node


def narrowed(node: Any) -> Any:
    """A config with narrow layers and few proposals, in place."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in WIDTHS and type(value) is int and value in NARROW:
                node[key] = NARROW[value]
            elif key == 'num_groups':
                node[key] = 8
            elif key == 'nms_pre':
                node[key] = 100
            elif key == 'max_per_img' and value > 100:
                node[key] = 50
            else:
                narrowed(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            narrowed(value)


def small_model(case: Case) -> ConfigDict:
    """The case's model with a narrow ResNet-18 in the place of its ResNet, and narrow heads."""
    content = Config.fromfile(str(CONFIGS / case.config))._cfg_dict.to_dict()
    cfg = Config(dict(model=few_samples(deterministic(content['model']))))
    cfg.merge_from_dict({f'model.{key}': value for key, value in case.model.items()})
    model = cfg.model
    for part in (model.get('test_cfg') or {}, (model.get('test_cfg') or {}).get('rcnn') or {}):
        if 'score_thr' in part:
            part['score_thr'] = 0.01
    narrowed(model.get('train_cfg')), narrowed(model.get('test_cfg'))
    if model.backbone.type != 'ResNet' or case.wide:
        return model
    model.backbone.update(depth=18, base_channels=8, stem_channels=8)
    if 'DETR' in model.type:  # embeddings have one width everywhere, also in defaults
        narrow_transformer(model)
        return model
    for slot in ('neck', 'rpn_head', 'bbox_head', 'roi_head', 'semantic_head'):
        narrowed(model.get(slot))
    neck = model.neck[0] if isinstance(model.neck, list) else model.neck
    neck.in_channels = [8, 16, 32, 64][-len(neck.in_channels) :]
    return model


def narrow_transformer(model: ConfigDict) -> None:
    """Few layers and queries; the width stays."""
    if model.get('neck') is None:
        model.bbox_head.in_channels = 64
    else:
        model.neck.in_channels = [16, 32, 64]
    transformer = model.bbox_head.transformer
    transformer.encoder.num_layers, transformer.decoder.num_layers = 1, 2
    model.bbox_head.num_query = 20


def built(case: Case) -> nn.Module:
    model = build_detector(small_model(case))
    drop_nothing(model)
    model.CLASSES = [str(i) for i in range(case.classes)]
    return fill_module(model, 0, 1.0, SCORES)


def training_batch(case: Case, objects: bool = True) -> dict[str, DataContainer]:
    """A collated batch of two images."""
    height, width = case.size
    made = make_batch(0, h=height, w=width, num_classes=case.classes, empty=() if objects else (0, 1))
    for meta, directives in zip(made['img_metas'], case.metas):
        meta.update(copy.deepcopy(directives))
    rng = np.random.default_rng(1)
    made['gt_masks'] = [BitmapMasks(masks, height, width) for masks in made['gt_masks']]
    made['gt_semantic_seg'] = torch.from_numpy(rng.integers(0, 50, (2, 1, height // 8, width // 8)))
    made['proposals'] = [torch.from_numpy(random_boxes(rng, 20, height - 8, width - 16)) for _ in range(2)]
    made['gt_keypoints'] = [made_keypoints(rng, boxes) for boxes in made['gt_bboxes']]
    data = {key: DataContainer([made[key]], cpu_only=key == 'gt_masks') for key in case.keys}
    for key in ('img', 'gt_semantic_seg'):
        if key == 'img' or key in data:
            data[key] = DataContainer([made[key]], stack=True)
    return dict(data, img_metas=DataContainer([made['img_metas']], cpu_only=True))


def made_keypoints(rng: np.random.Generator, boxes: torch.Tensor) -> torch.Tensor:
    """(n, 17, 3) points in the boxes, with visibilities 0 to 2."""
    sides = (boxes[:, 2:] - boxes[:, :2]).numpy()
    points = boxes[:, None, :2].numpy() + rng.random((len(boxes), 17, 2)) * sides[:, None]
    return torch.from_numpy(np.concatenate([points, rng.integers(0, 3, (len(boxes), 17, 1))], 2).astype(np.float32))


def inference_batch(case: Case) -> dict[str, Any]:
    """The second image, for inference."""
    data = training_batch(case)
    metas = DataContainer([data['img_metas'].data[0][1:]], cpu_only=True)
    given: dict[str, Any] = dict(img=[data['img'].data[0][1:]], img_metas=[metas])
    if 'proposals' in case.keys:
        given['proposals'] = [DataContainer([data['proposals'].data[0][1:]])]
    return given
