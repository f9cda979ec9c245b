"""The model registries (one object, as the user's configs expect) and their build functions."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from mmcv.cnn import MODELS as MMCV_MODELS
from mmcv.runner import Sequential

from mmdet.models.directives import derive_weighted_heads, switch_directives_on
from mmdet.models.options.acceleration import accelerate, split_options
from mmdet.models.teacher import Teacher, num_classes_of
from mmdet.utils.configs.config_error import config_key
from mmdet.utils.registry import Registry, build_from_cfg


def build_model_from_cfg(cfg: dict | list[dict], registry: Registry, default_args: dict | None = None) -> Any:
    """Build a module, or for a list of configs a sequence of them."""
    if isinstance(cfg, list):
        return Sequential(*(build_from_cfg(part, registry, default_args) for part in cfg))
    return build_from_cfg(cfg, registry, default_args)


MODELS = Registry('models', build_func=build_model_from_cfg, parent=MMCV_MODELS)

BACKBONES = MODELS
NECKS = MODELS
ROI_EXTRACTORS = MODELS
SHARED_HEADS = MODELS
HEADS = MODELS
LOSSES = MODELS
DETECTORS = MODELS

derive_weighted_heads(HEADS)


def build_backbone(cfg: dict) -> Any:
    """Build a backbone from its config."""
    return BACKBONES.build(cfg)


def build_neck(cfg: dict) -> Any:
    """Build a neck from its config."""
    return NECKS.build(cfg)


def build_roi_extractor(cfg: dict) -> Any:
    """Build a RoI feature extractor from its config."""
    return ROI_EXTRACTORS.build(cfg)


def build_shared_head(cfg: dict) -> Any:
    """Build a head shared by the branches of a RoI head from its config."""
    return SHARED_HEADS.build(cfg)


def build_head(cfg: dict) -> Any:
    """Build a dense head, RoI head or one of its branches from its config."""
    return HEADS.build(cfg)


def build_loss(cfg: dict) -> Any:
    """Build a loss from its config."""
    return LOSSES.build(cfg)


def build_detector(cfg: dict, train_cfg: dict | None = None, test_cfg: dict | None = None) -> Any:
    """Build a detector; ``train_cfg`` and ``test_cfg`` stand in the model's config or here, not in both.

    ``directives=dict(weights=True, ignore_negatives=True)`` in the model's config makes all its heads and samplers
    read the per-image training directives, see :func:`switch_directives_on`.

    ``teacher=dict(...)`` gives it an averaged copy that completes labels, see :mod:`mmdet.models.teacher`, and switches
    directives on.

    The keys ``input_norm``, ``channels_last``, ``fold_norm`` and ``compile`` make it run faster, see
    :mod:`mmdet.models.options.acceleration`.

    Raises:
        KeyError, TypeError: a type, or an argument, is unknown; the text has its place: ``model.roi_head.bbox_head``.
        ValueError: one of the two is given twice, ``directives`` has an unknown key, or a part to compile is not there.
    """
    for name, value in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
        if value is None:
            continue
        warnings.warn(f'{name} beside the model is deprecated; put it inside `model`', UserWarning, stacklevel=2)
        if cfg.get(name) is not None:
            raise ValueError(f'{name} stands in `model` and beside it; keep the one in `model`')
        cfg = {**cfg, name: value}
    with config_key('model'):
        switches = teacher = None
        if isinstance(cfg, Mapping):
            teacher = cfg.get('teacher')
            switches = cfg.get('directives', None if teacher is None else {})
            cfg = {key: value for key, value in cfg.items() if key != 'teacher'} if 'teacher' in cfg else cfg
        if switches is not None:
            cfg = switch_directives_on({k: v for k, v in cfg.items() if k != 'directives'}, switches, HEADS)
        plain, options = split_options(cfg) if isinstance(cfg, Mapping) else (cfg, {})
        # a config without these keys is handed on as it is, for whoever registered a detector of their own
        detector = DETECTORS.build(plain if options else cfg, default_args=dict(train_cfg=train_cfg, test_cfg=test_cfg))
        detector = accelerate(detector, **options)
        if teacher is not None:
            with torch.random.fork_rng(devices=[]):  # the student's numbers stay as they are
                like_it = accelerate(DETECTORS.build(copy.deepcopy(plain)), **options)
            with config_key('teacher'):
                detector.teacher = Teacher(like_it, num_classes_of(detector), **teacher)
        return detector
