"""What there is to say about a COCO file, in short: kept where the file's annotations are let go."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmdet.core.mask.annotation import segmentation_fault
from mmdet.datasets.audit import checks
from mmdet.datasets.audit.annotation_rules import format_list, is_ignored, loss_weight_of, repeated_files
from mmdet.datasets.audit.checks import BoxTable
from mmdet.utils.registry import did_you_mean


class FileFacts(NamedTuple):
    """The audit's findings about the annotations of a data set."""

    categories: list[str]  # names in the file
    counts: np.ndarray  # (K,) boxes of each class that training sees
    problems: list[str]
    notes: list[str]


def find_facts(dataset: Any) -> FileFacts:
    """Look at all annotations of the file of a ``CocoDataset``."""
    coco = dataset.coco
    anns = dataset.annotations_of_file(coco)
    boxes = box_table(anns, coco.imgs, dataset.img_ids, dataset.cat2label)
    problems = dataset.repeated_ids(coco) + checks.check_corners(boxes)
    notes = repeated_files(coco.dataset) + checks.describe_unusable_boxes(boxes, dataset.test_mode)
    notes += [] if problems else checks.describe_overhanging_boxes(boxes)
    used = [ann for ann, kept in zip(anns, boxes.kept & boxes.counts & (boxes.labels >= 0)) if kept]
    weight_key = weight_key_of(dataset)
    if weight_key is not None:
        problems += check_weights(used, weight_key)
        notes += note_weights(used, weight_key)
    if coco.PANOPTIC:
        pass  # masks are in pictures
    elif uses_masks(dataset):
        problems += check_masks(used, coco.imgs)
    elif dataset.test_mode:
        with_masks = [ann for ann in used if ann.get('segmentation')]
        notes += [f"{fault}; metric='segm' refuses them" for fault in check_masks(with_masks, coco.imgs)]
    categories = [cat['name'] for cat in coco.dataset.get('categories', [])]
    return FileFacts(categories, checks.usable_per_class(boxes, len(dataset.CLASSES or ())), problems, notes)


def box_table(anns: Sequence[Mapping], images: Mapping[Any, Mapping], img_ids: Sequence, labels: Mapping) -> BoxTable:
    """All boxes of a COCO file, also of images that are not used.

    Args:
        anns: annotations; those of panoptic files have ids that other images have as well.
        images: id -> entry of every image.
        img_ids: of the images that are used.
        labels: category id -> label.
    """
    row_of = {img_id: row for row, img_id in enumerate(images)}
    used = np.zeros(len(images) + 1, dtype=bool)  # the last stands for images that are not there
    used[[row_of[img_id] for img_id in img_ids]] = True
    rows = np.asarray([row_of.get(ann['image_id'], -1) for ann in anns], dtype=np.int64)
    return BoxTable(
        ids=np.asarray([ann['id'] for ann in anns]),
        xywh=np.asarray([ann['bbox'] for ann in anns], dtype=np.float64).reshape(-1, 4),
        areas=np.asarray([ann['area'] for ann in anns], dtype=np.float64),
        labels=np.asarray([labels.get(ann['category_id'], -1) for ann in anns], dtype=np.int64),
        image=rows,
        counts=np.asarray([not is_ignored(ann) for ann in anns], dtype=bool),
        kept=used[rows],
        sizes_wh=np.asarray(
            [(img.get('width', np.inf), img.get('height', np.inf)) for img in images.values()], dtype=float
        ).reshape(-1, 2),
    )


def uses_masks(dataset: Any) -> bool:
    """Whether the pipeline makes masks of the annotations' polygons and run lengths."""
    steps = getattr(dataset.pipeline, 'transforms', ())
    return any(getattr(step, 'with_mask', False) for step in steps)


def weight_key_of(dataset: Any) -> str | None:
    """Key of the objects' loss weights that the pipeline reads; None: it reads none."""
    steps = getattr(dataset.pipeline, 'transforms', ())
    return next((step.weight_key for step in steps if getattr(step, 'with_weight', False)), None)


def check_weights(anns: Sequence[Mapping], key: str) -> list[str]:
    """Loss weights of objects that they cannot have: one text, which names annotations."""
    faults = []
    for ann in anns:
        try:
            loss_weight_of(ann, key)
        except ValueError as err:
            faults.append(str(err))
    return [f'{len(faults)} of {len(anns)} loss weights cannot be used: {format_list(faults)}'] if faults else []


def note_weights(anns: Sequence[Mapping], key: str) -> list[str]:
    """That no object has a weight, so that the key may be another one."""
    if not anns or any(key in ann for ann in anns):
        return []
    guess = did_you_mean(key, list(anns[0]))
    return [f'no annotation has {key!r}, which LoadAnnotations(with_weight=True) reads{guess}: all objects weigh 1']


def check_masks(anns: Sequence[Mapping], images: Mapping[Any, Mapping]) -> list[str]:
    """Masks that cannot be used: one text, which names annotations."""
    faults = []
    for ann in anns:
        info = images[ann['image_id']]
        fault = segmentation_fault(ann.get('segmentation'), info['height'], info['width'])
        if fault is not None:
            faults.append(f'annotation {ann["id"]}: {fault}')
    return [f'{len(faults)} of {len(anns)} masks cannot be used: {format_list(faults)}'] if faults else []
