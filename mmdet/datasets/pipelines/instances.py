"""Which entries of a pipeline's results hold one value an object, and how they are filtered together."""

from typing import Any

import numpy as np

# boxes -> what lies beside them, one entry a box
COMPANIONS = {
    'gt_bboxes': ('gt_labels', 'gt_extra_labels', 'gt_masks', 'gt_keypoints', 'gt_is_group_ofs', 'gt_weights'),
    'gt_bboxes_ignore': ('gt_labels_ignore', 'gt_masks_ignore'),
}


def filter_instances(results: dict, keep: np.ndarray, bbox_key: str = 'gt_bboxes') -> None:
    """Keep some objects, in place of the results' entries: boxes and everything that goes with them.

    Args:
        results: of a pipeline; entries that are not there are passed over.
        keep: (n,) bool, or the numbers of those to keep.
        bbox_key: name of the boxes.
    """
    index = np.flatnonzero(keep) if keep.dtype == bool else keep
    for key in (bbox_key, *COMPANIONS.get(bbox_key, ())):
        if key in results:
            results[key] = take(results[key], index)


def take(values: Any, index: np.ndarray) -> Any:
    """Entries of an array, of instance masks or of a list."""
    return [values[i] for i in index] if isinstance(values, list) else values[index]


def join_ignored(results: dict, parts: list[dict], moved: list[np.ndarray]) -> None:
    """Put the boxes to ignore of several images one behind the other, in place of the results' entries.

    Args:
        results: of the merged image; stay without the entry where no part has it.
        parts: results of each image.
        moved: (k, 4) boxes of each, in pixels of the merged image.
    """
    if not any(map(has_ignored_boxes, parts)):
        return
    results['gt_bboxes_ignore'] = np.concatenate(moved)
    if not has_ignored_boxes(results):
        results['bbox_fields'] = [*results.get('bbox_fields', ()), 'gt_bboxes_ignore']
    if 'gt_labels_ignore' in results:
        results['gt_labels_ignore'] = np.concatenate([part['gt_labels_ignore'] for part in parts])


def has_ignored_boxes(part: dict) -> bool:
    """Whether an image has boxes to ignore that steps are to move, as ``bbox_fields`` says."""
    return 'gt_bboxes_ignore' in part.get('bbox_fields', ())


def ignored_boxes(part: dict) -> np.ndarray:
    """The boxes to ignore (k, 4) of one image; none where it has no such entry."""
    return part['gt_bboxes_ignore'] if has_ignored_boxes(part) else np.zeros((0, 4), dtype=np.float32)


LABELS = ('gt_labels', 'gt_extra_labels', 'gt_is_group_ofs')


def join_labels(results: dict, parts: list[dict]) -> None:
    """Put the labels of several images' objects one behind the other, every kind that ``results`` has.

    Objects of images without weights weigh 1 where another image has some.

    Raises:
        KeyError: one of the images lacks a kind of labels.
    """
    counts = [len(part['gt_labels']) for part in parts] if any('gt_weights' in part for part in parts) else None
    for key in LABELS:
        if key in results:
            missing = [part for part in parts if key not in part]
            if missing:
                raise KeyError(f'{key}: {len(missing)} of the {len(parts)} images to be joined have none')
            results[key] = np.concatenate([part[key] for part in parts])
    if counts is not None:
        weights = [part.get('gt_weights', np.ones(count, np.float32)) for part, count in zip(parts, counts)]
        results['gt_weights'] = np.concatenate(weights)


def check_one_image(step: str, results: dict) -> None:
    """Refuse several images of one entry, of which a step would change the first alone.

    Raises:
        ValueError: ``img_fields`` names others than ``img``.
    """
    fields = results.get('img_fields', ['img'])
    if list(fields) != ['img']:
        raise ValueError(f"{step}: expected one image, img_fields=['img'], got {fields}")
