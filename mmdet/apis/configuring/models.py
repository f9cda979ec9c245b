"""Base configs: where they stand, which one fits, and what in them depends on the data."""

import copy
from pathlib import Path
from typing import Any

import numpy as np

from mmdet.apis.configuring.facts import Facts, covered
from mmdet.core.anchor import build_prior_generator
from mmdet.utils.errors import ReportedError
from mmdet.utils.registry import did_you_mean
from mmdet.utils.shipped import shipped_folder

SMALL = 'faster_rcnn_r18_fpn_small'
COMMON = 'faster_rcnn_r50_fpn'
STRONG = 'cascade_rcnn_r50_fpn'
MANY_IMAGES = 50_000  # from which on a stronger model pays
# heads with one score for each class of the data
CLASS_HEADS = ('bbox_head', 'mask_head', 'mask_iou_head', 'roi_head')
ANCHOR_SCALES = (8, 4, 2, 16)  # tried in this order
ENOUGH = 0.9  # fraction of boxes with an anchor of IoU 0.5
WORTHWHILE = 0.05  # gain of that fraction for which anchors are changed


class ModelError(ReportedError, ValueError):
    """There is no such model, or it does not fit the data."""


def config_root() -> Path:
    """The folder of the configs: of the checkout, else inside the installed package.

    Raises:
        ModelError: there is none.
    """
    try:
        return shipped_folder('configs')
    except FileNotFoundError as error:
        raise ModelError(str(error)) from error


def find_model(name: str) -> Path:
    """The config of a model: a path, a file's name without ending, or the beginning of one that goes on with ``_``.

    Raises:
        ModelError: there is none, with the nearest name.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    files = {path.stem: path for path in sorted(config_root().glob('[!_]*/*.py'))}
    tries = [f'{name}_1x_coco', f'{name}_coco', name]
    longer = sorted((stem for stem in files if stem.startswith(f'{name}_') and 'coco' in stem), key=len)
    found = next((stem for stem in [*tries, *longer] if stem in files), None)
    if found is None:
        raise ModelError(f'there is no model {name!r} among the configs{did_you_mean(name, files)}')
    return files[found]


def default_model(facts: Facts, device: str) -> str:
    """The model for so much data on such a device."""
    if device == 'cpu':
        return SMALL
    return STRONG if facts.images >= MANY_IMAGES else COMMON


def class_overrides(model: dict[str, Any], count: int) -> dict[str, Any]:
    """The part of a model's config that sets ``num_classes`` of every head; heads in lists (cascades) are whole.

    Args:
        model: config of the model; not changed.
        count: of the classes.
    """
    found: dict[str, Any] = {}
    for name in CLASS_HEADS:
        head = model.get(name)
        if isinstance(head, list | tuple):
            heads = [with_classes(part, count) for part in copy.deepcopy(list(head))]
            if any('num_classes' in part for part in heads if isinstance(part, dict)):
                found[name] = heads
        elif isinstance(head, dict):
            own = class_overrides(head, count)
            if 'num_classes' in head:
                own['num_classes'] = count
            if own:
                found[name] = own
    return found


def with_classes(head: dict[str, Any], count: int) -> dict[str, Any]:
    """The head's config with that number of classes, where it has one."""
    return {**head, 'num_classes': count} if 'num_classes' in head else head


def anchor_head(model: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name of the head whose anchors have scales, and their config; None: the model has no such anchors."""
    for name in ('rpn_head', 'bbox_head'):
        generator = (model.get(name) or {}).get('anchor_generator') if isinstance(model.get(name), dict) else None
        if generator and generator.get('type') == 'AnchorGenerator':
            return name, generator
    return None


def anchors_of(generator: dict[str, Any]) -> np.ndarray:
    """(a, 2) widths and heights of all anchors, px."""
    levels = build_prior_generator(dict(generator)).base_anchors
    return np.concatenate([(level[:, 2:] - level[:, :2]).numpy() for level in levels])


def choose_scale(generator: dict[str, Any], box_wh: np.ndarray) -> tuple[dict[str, Any], str]:
    """Anchors checked against boxes.

    Args:
        generator: config of the anchors.
        box_wh: (n, 2) px of the network's input.

    Returns:
        What to change in the config of the anchors, empty where nothing; and a sentence with the figures.
    """
    before = covered(box_wh, anchors_of(generator))
    key = 'octave_base_scale' if generator.get('octave_base_scale') else 'scales'
    best, change = before, {}
    if before < ENOUGH:
        for scale in ANCHOR_SCALES:
            tried = {key: scale if key == 'octave_base_scale' else [scale]}
            now = covered(box_wh, anchors_of({**generator, **tried}))
            if now > best + WORTHWHILE:
                best, change = now, tried
    text = f'{before:.0%} of the boxes have an anchor of IoU 0.5 or more'
    return change, f'{text}; with these {best:.0%}' if change else text
