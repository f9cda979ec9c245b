"""Configs of the tree on drawn shapes: narrow detectors on small images, from scratch or from one narrow ResNet-50."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mmdet  # noqa: F401 - hides an announcement of mmcv

from mmcv import Config
from torch import nn

CLASSES = ('disc', 'square', 'triangle')
FACTOR = 4  # channels are divided by it
# endings of keys of models that hold numbers of channels
CHANNEL_ENDS = ('channels', 'channel', 'dims', 'num_feats', 'hidden_dim', 'dim', 'filters')
FEWEST = 64  # numbers of channels below that stay
# numbers of samples, proposals and queries, at most
MOST = dict(
    nms_pre=200,
    nms_post=100,
    max_per_img=50,
    max_num=50,
    num=64,
    mask_num=50,
    num_points=1024,
    num_queries=30,
    num_proposals=30,
    num_query=30,
    num_layers=3,
    two_stage_num_proposals=30,
)
KNOWN_CLASSES = (80, 1203, 81, 20, 601, 365)
# backbones whose width one argument sets
WIDTH_KNOWN = ('ResNet', 'ResNetV1d', 'DetectoRS_ResNet')
NORMS = ('BN', 'SyncBN', 'BN2d')


def mapped(node: Any, change: Callable[[dict], dict]) -> Any:
    """A copy of a config in which every dict, the inner ones first, went through ``change``."""
    if isinstance(node, dict):
        return change({key: mapped(value, change) for key, value in node.items()})
    return type(node)(mapped(part, change) for part in node) if isinstance(node, (list, tuple)) else node


def without_downloads(node: dict) -> dict:
    """A part without the weights that it would fetch."""
    node = {key: value for key, value in node.items() if key != 'pretrained'}
    if isinstance(node.get('init_cfg'), dict) and 'checkpoint' in node['init_cfg']:
        node['init_cfg'] = None
    if str(node.get('type')).startswith('VGGBBoxHead'):
        node['pretrained_fcs'] = None
    return node


def learnable_norm(node: dict) -> dict:
    """A part whose normalisation and first stages are learnt, by one process."""
    if node.get('type') in NORMS:
        return {**node, 'type': 'BN', 'requires_grad': True}
    changed = dict(norm_eval=False, frozen_stages=-1)
    return {**node, **{key: value for key, value in changed.items() if key in node}}


def at_most(node: dict, most: Mapping[str, int]) -> dict:
    """A part in which no number of ``most`` is exceeded."""
    return {key: min(value, most[key]) if key in most and is_count(value) else value for key, value in node.items()}


def few_rows(node: dict) -> dict:
    """A part with few samples, proposals, queries and layers, for the classes of the shapes."""
    node = at_most(node, MOST)
    if node.get('num_classes') in KNOWN_CLASSES:
        node['num_classes'] = len(CLASSES)
    if 'num_things_classes' in node:
        node.update(num_things_classes=len(CLASSES), num_stuff_classes=0)
        if 'class_weight' in node.get('loss_cls', {}):
            weights = node['loss_cls']['class_weight']
            node['loss_cls'] = {**node['loss_cls'], 'class_weight': weights[: len(CLASSES)] + weights[-1:]}
    return node


def is_count(value: Any) -> bool:
    """Whether a value is a whole number, which True is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def narrowed(node: Any, with_backbone: bool, factor: int = FACTOR) -> Any:
    """A model's config with a ``factor``-th of the channels.

    Args:
        node: the config, or a part of it.
        with_backbone: the backbone takes ``base_channels``; else its outputs, the neck's inputs, stay as they are.
        factor: see there; fewer channels than ``FEWEST`` stay.
    """
    if isinstance(node, (list, tuple)):
        return type(node)(narrowed(part, with_backbone, factor) for part in node)
    if not isinstance(node, dict):
        return node
    return {key: _narrowed_entry(key, value, with_backbone, factor) for key, value in node.items()}


def _narrowed_entry(key: str, value: Any, with_backbone: bool, factor: int) -> Any:
    if key.endswith('backbone'):
        if not with_backbone:
            return value
        width = FEWEST // factor
        return {**narrowed(value, True, factor), 'base_channels': width, 'stem_channels': width}
    if key == 'neck' and value and not with_backbone:
        necks = [dict(neck) for neck in (value if isinstance(value, list) else [value])]
        first = {name: necks[0][name] for name in ('in_channels',) if name in necks[0]}
        necks = [narrowed(neck, with_backbone, factor) for neck in necks]
        necks[0].update(first)
        return necks if isinstance(value, list) else necks[0]
    if key == 'num_groups':
        return 8
    if key.endswith(CHANNEL_ENDS):
        return _divided(value, factor)
    return narrowed(value, with_backbone, factor)


def _divided(value: Any, factor: int) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_divided(part, factor) for part in value)
    return value // factor if is_count(value) and value >= FEWEST else value


def small_model(model: dict, body: Path | None) -> dict:
    """The model of a config, narrow.

    Args:
        model: of the config.
        body: checkpoint whose backbone, a narrow ResNet-50, those begin with that have one; None: from scratch.
    """
    for change in (without_downloads, few_rows):
        model = mapped(model, change)
    model = narrowed(model, model['backbone']['type'] in WIDTH_KNOWN)
    backbone = model['backbone']
    plain = backbone['type'] == 'ResNet' and backbone['depth'] == 50
    if body is None or not plain or backbone.get('norm_cfg', {}).get('type', 'BN') != 'BN':
        return mapped(model, learnable_norm)
    backbone['init_cfg'] = dict(type='Pretrained', checkpoint=str(body), prefix='backbone.')
    return model


def widen_draws(head: nn.Module, factor: int = FACTOR) -> None:
    """Double the first weights of a narrow head without normalisation.

    They are drawn with a deviation that suits the config's number of channels. Of a fourth of these the outputs are
    half as large, layer after layer, and with them the gradients: a head of five layers learns 32 times more slowly.
    """
    if any(isinstance(layer, nn.modules.batchnorm._NormBase | nn.GroupNorm) for layer in head.modules()):
        return
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data *= factor**0.5


def steps_of(node: Any) -> list[dict]:
    """Every dict of a config with a ``type``, the inner ones first."""
    steps: list[dict] = []
    mapped(node, lambda part: steps.append(part) or part if 'type' in part else part)
    return steps


def annotations_of(cfg: Config) -> set[str]:
    """What a config's training pipeline reads beside boxes: ``masks``, ``seg``."""
    steps = steps_of(cfg.data.train.to_dict())
    panoptic = any(step['type'] == 'LoadPanopticAnnotations' for step in steps)
    found = {name for name in ('mask', 'seg') if any(step.get(f'with_{name}') for step in steps)}
    return found | {'mask'} if panoptic else found


def pipelines(cfg: Config, size: int) -> tuple[list[dict], list[dict]]:
    """A plain training pipeline and a plain test pipeline with the annotations and the normalisation of a config."""
    needs = annotations_of(cfg)
    masks, seg = 'mask' in needs, 'seg' in needs and 'roi_head' in cfg.model  # others have masks of stuff in that
    tested = steps_of(cfg.data.test.to_dict())
    own, collect = ([step for step in tested if step['type'] == kind] for kind in ('Normalize', 'Collect'))
    # of corners and centres: their heads read the border, and are used to its colour by training
    crops = [step for step in tested if step['type'] == 'RandomCenterCropPad']
    trained = steps_of(cfg.data.train.to_dict())
    train_crops = [{**step, 'crop_size': (size, size)} for step in trained if step['type'] == 'RandomCenterCropPad']
    load = dict(type='LoadImageFromFile', to_float32=bool(crops))
    normalize = [*own, dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3, to_rgb=False)][:1]
    keys = ['img', 'gt_bboxes', 'gt_labels'] + ['gt_masks'] * masks + ['gt_semantic_seg'] * seg
    divisors = [step.get('size_divisor') or 32 for step in tested if step['type'] == 'Pad']
    last = [*normalize, dict(type='Pad', size_divisor=max([32, *(side for side in divisors if side <= 128)]))]
    train = [
        load,
        dict(type='LoadAnnotations', with_bbox=True, with_mask=masks, with_seg=seg),
        *train_crops,
        dict(type='Resize', img_scale=(size, size), keep_ratio=True),
        dict(type='RandomFlip', flip_ratio=0.5),
        *last,
        *([dict(type='SegRescale', scale_factor=1 / 8)] * seg),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=keys),
    ]
    inner = [dict(type='Resize', keep_ratio=True), *crops, dict(type='RandomFlip'), *last]
    inner += [dict(type='ImageToTensor', keys=['img']), *collect[:1]]
    return train, [
        load,
        dict(type='MultiScaleFlipAug', img_scale=(size, size), flip=False, transforms=inner),
    ]
