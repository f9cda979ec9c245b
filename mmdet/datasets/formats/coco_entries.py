"""Entries of COCO's annotation files: categories become labels, images are checked, annotations become boxes."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mmdet.datasets.audit.annotation_rules import has_area, is_ignored, overlaps_image

_LOGGER = logging.getLogger('mmdet')


def labels_of_categories(categories: Sequence[Mapping], classes: Sequence[str], ann_file: str) -> dict[int, int]:
    """Category id -> label, the place of its name in ``classes``; in the order of the labels.

    Where the file has the categories in another order a warning says so: mmdetection 2.x numbers labels by the file.
    """
    # some well-known files have names with blanks at their end
    id_of = {cat['name'].strip(): cat['id'] for cat in categories}
    names = [name.strip() for name in classes]
    cat2label = {id_of[name]: i for i, name in enumerate(names) if name in id_of}
    if [cat_id for cat_id in id_of.values() if cat_id in cat2label] != list(cat2label):
        _LOGGER.warning(
            '%s: the categories have another order in the file than in classes=%s. Labels follow classes here; '
            'checkpoints of mmdetection 2.x trained with this config have labels in the order of the file.',
            ann_file,
            tuple(classes),
        )
    return cat2label


def with_filename(entry: dict, ann_file: str) -> dict:
    """The entry of an image, which has ``filename`` from now on.

    Raises:
        ValueError: it lacks ``file_name``, ``width`` or ``height``.
    """
    missing = [key for key in ('file_name', 'width', 'height') if key not in entry]
    if missing:
        raise ValueError(f'{ann_file}: image {entry["id"]} has no {", ".join(missing)}; it has {sorted(entry)}')
    entry['filename'] = entry['file_name']
    return entry


def usable_annotations(anns: Sequence[dict], cat2label: Mapping[int, int], size_wh: Sequence[int]) -> list[dict]:
    """The annotations of one image, of ``size_wh`` px, that count: of the classes, with a usable box."""
    known = [ann for ann in anns if ann['category_id'] in cat2label]
    areas = np.asarray([ann['area'] for ann in known], dtype=np.float64)
    boxes = xywh_of(known)
    usable = has_area(boxes, areas) & overlaps_image(boxes, np.asarray(size_wh))
    return [ann for ann, use in zip(known, usable) if use]


def xywh_of(anns: Sequence[Mapping]) -> np.ndarray:
    """Boxes (n, 4) float64 of annotations as they are in the file: x, y, width, height in px."""
    return np.asarray([ann['bbox'] for ann in anns], dtype=np.float64).reshape(-1, 4)


def xyxy_of(anns: Sequence[Mapping]) -> np.ndarray:
    """Boxes (n, 4) float32 xyxy px of annotations."""
    # in double precision up to the sum: corners of large images must not depend on where the width was rounded
    boxes = xywh_of(anns)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1).astype(np.float32)


def parsed_annotations(usable: Sequence[dict], cat2label: Mapping[int, int]) -> dict[str, Any]:
    """Arrays from the usable annotations of one image.

    Returns:
        ``bboxes`` (n, 4) float32 xyxy px, ``labels`` (n,) int64, ``bboxes_ignore`` (k, 4) (crowds and objects with
        ``ignore``), ``masks`` (n segmentations as the file has them, or None) and ``annotations``, the n entries.
    """
    objects = [ann for ann in usable if not is_ignored(ann)]
    return dict(
        bboxes=xyxy_of(objects),
        labels=np.asarray([cat2label[ann['category_id']] for ann in objects], dtype=np.int64),
        bboxes_ignore=xyxy_of([ann for ann in usable if is_ignored(ann)]),
        masks=[ann.get('segmentation') for ann in objects],
        annotations=objects,
    )


def images_to_train_on(
    infos: Sequence[Mapping], img_ids: Sequence[Any], occupied: Collection[Any], min_size: int, reasons: Counter[str]
) -> list[int]:
    """Numbers of the images of a training.

    Args:
        infos: entries of the images.
        img_ids: of each.
        occupied: ids of images that may stay, for the objects that they have.
        min_size: least shorter side, px.
        reasons: counts why the others are left out.
    """
    kept = []
    for i, info in enumerate(infos):
        if img_ids[i] not in occupied:
            reasons['without an object of the classes'] += 1
        elif min(info['width'], info['height']) < min_size:
            reasons[f'smaller than {min_size} px'] += 1
        else:
            kept.append(i)
    return kept
