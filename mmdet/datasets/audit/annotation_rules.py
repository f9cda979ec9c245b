"""What annotations must be like to be trained on: the rules that the data sets and the audit share."""

import logging
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np

_LOGGER = logging.getLogger('mmdet')

# Names of ``ann_info`` that have one entry for each box.
_PER_BOX = ('bboxes', 'labels', 'masks', 'keypoints', 'gt_is_group_ofs', 'extra_labels', 'loss_weight')


def is_ignored(ann: Mapping) -> bool:
    """Whether an annotation is an ignore region, a crowd (``iscrowd``) or one by ``ignore``: neither object nor not."""
    return bool(ann.get('iscrowd', 0) or ann.get('ignore', 0))


def loss_weight_of(ann: Mapping, key: str) -> float:
    """The loss weight of one object, ``ann[key]``; 1 where it is not there.

    Raises:
        ValueError: it is no number (a bool counts as none), not finite or negative; the annotation is named.
    """
    value = ann.get(key, 1.0)
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f'annotation {ann.get("id", "?")}: {key} must be a finite number >= 0, got {value!r}')
    return float(value)


def has_area(xywh: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Whether boxes (n, 4) px are finite, at least 1 px wide and high, and of a stated area (n,) above 0: (n,) bool."""
    return np.isfinite(xywh).all(1) & (xywh[:, 2:] >= 1).all(1) & (areas > 0)


def overlaps_image(xywh: np.ndarray, sizes_wh: np.ndarray) -> np.ndarray:
    """Whether some of each box (n, 4) px lies in its image, of size (n, 2) or (2,) px: (n,) bool."""
    low, high = xywh[:, :2], xywh[:, :2] + xywh[:, 2:]
    return (np.minimum(high, sizes_wh) > np.maximum(low, 0)).all(1)


def format_list(values: Sequence, limit: int = 5) -> str:
    """The first values as a text, and how many there are if not all are named."""
    values = list(values)
    more = f', ... ({len(values)} in all)' if len(values) > limit else ''
    return ', '.join(map(str, values[:limit])) + more


def repeated_ids(content: Mapping[str, Sequence[Mapping]]) -> list[str]:
    """Ids, and names of categories, that the content of a COCO file gives more than once: a text for each kind."""
    problems = []
    for kind, key in (('images', 'id'), ('annotations', 'id'), ('categories', 'id'), ('categories', 'name')):
        values = (entry[key] for entry in content.get(kind, ()))
        counts = Counter(value.strip() if key == 'name' else value for value in values)
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            problems.append(f'{len(twice)} {key}(s) of {kind} are there more than once: {format_list(twice)}')
    return problems


def repeated_files(content: Mapping[str, Sequence[Mapping]]) -> list[str]:
    """Image files that several entries of a COCO file name: a text on all of them, which is a note and no problem."""
    owners: dict[str, list] = {}
    for entry in content.get('images', ()):
        if entry.get('file_name'):
            owners.setdefault(os.path.normpath(entry['file_name']), []).append(entry['id'])
    twice = [f'{name} (ids {format_list(ids)})' for name, ids in owners.items() if len(ids) > 1]
    if not twice:
        return []
    return [
        f'{len(twice)} image files have more than one entry: {format_list(twice)}; each entry has its own boxes, so '
        'that objects of one are background in the other, and metrics count the image more than once'
    ]


def fill_annotations(anns: Sequence[dict], ann_file: str) -> None:
    """Give annotations the ``iscrowd`` (0) and ``area`` (width x height, px²) that some COCO files leave out, in place.

    Areas that are 0 in all of a file count as left out, with a warning: nothing could be trained on.

    Raises:
        ValueError: an annotation has no ``bbox``.
    """
    without = [ann['id'] for ann in anns if 'bbox' not in ann]
    if without:
        raise ValueError(
            f'{ann_file}: {len(without)} annotations have no "bbox" of x, y, width, height: {format_list(without)}'
        )
    meaningless = bool(anns) and not any(ann.get('area', 1) for ann in anns)
    if meaningless:
        _LOGGER.warning('%s: area is 0 in all %d annotations; width x height is taken', ann_file, len(anns))
    for ann in anns:
        ann.setdefault('iscrowd', 0)
        if meaningless or 'area' not in ann:
            ann['area'] = ann['bbox'][2] * ann['bbox'][3]


def drop_unusable(ann_info: dict, size_wh: tuple[float, float]) -> dict:
    """Annotations of one image without the boxes that training cannot use.

    Args:
        ann_info: ``bboxes`` (n, 4) xyxy px, if there are any, and whatever else there is for each box.
        size_wh: of the image, px.

    Returns:
        The same object where all boxes are usable, else a new dict.
    """
    bboxes = np.asarray(ann_info.get('bboxes', ()), dtype=np.float64).reshape(-1, 4)
    xywh = np.concatenate([bboxes[:, :2], bboxes[:, 2:] - bboxes[:, :2]], 1)
    usable = has_area(xywh, xywh[:, 2:].prod(1)) & overlaps_image(xywh, np.asarray(size_wh))
    if usable.all():
        return ann_info
    cut = dict(ann_info)
    for key in _PER_BOX:
        if key in cut:
            values = cut[key]
            is_array = isinstance(values, np.ndarray)
            cut[key] = values[usable] if is_array else [value for value, use in zip(values, usable) if use]
    return cut
