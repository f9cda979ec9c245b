"""What there is to draw on one image, whatever form it comes in."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as mask_coding

PANOPTIC_OFFSET = 1000  # a panoptic map holds label + PANOPTIC_OFFSET * number of the instance


class Instances(NamedTuple):
    """Objects of one image."""

    labels: np.ndarray  # (n,) int64
    bboxes: np.ndarray | None = None  # (n, 4) xyxy px
    scores: np.ndarray | None = None  # (n,)
    masks: np.ndarray | None = None  # (n, H, W) bool

    def select(self, chosen: np.ndarray) -> 'Instances':
        """The objects that ``chosen`` (bools or numbers) names, in that order."""
        others = (None if field is None else field[chosen] for field in self[1:])
        return Instances(self.labels[chosen], *others)


def make_instances(bboxes: Any = None, labels: Any = None, masks: Any = None) -> Instances:
    """Check and convert arrays.

    Boxes without extent beside masks, as SOLO's results have them, say no more than a score: there are only masks then.

    Args:
        bboxes: ``(n, 4)``, or ``(n, 5)`` with scores; or None.
        labels: ``(n,)``; None: all 0.
        masks: ``(n, H, W)``, a list of ``(H, W)``, or COCO's run lengths; or None.

    Raises:
        ValueError: neither boxes nor masks, or shapes that do not fit.
    """
    if bboxes is None and masks is None:
        raise ValueError('there is nothing to draw: bboxes and segms are both None')
    masks = None if masks is None else to_masks(masks)
    bboxes = None if bboxes is None else np.asarray(bboxes, dtype=np.float32)
    if bboxes is not None and masks is not None and not len(masks):
        masks = None  # no mask beside boxes says that there are none
    if bboxes is not None and (bboxes.ndim != 2 or bboxes.shape[1] not in (4, 5)):
        raise ValueError(f'bboxes: expected (n, 4) or (n, 5), got {bboxes.shape}; no box is zeros((0, 4))')
    count = len(masks) if bboxes is None else len(bboxes)
    labels = np.zeros(count, dtype=np.int64) if labels is None else np.asarray(labels).astype(np.int64)
    if labels.shape != (count,) or (masks is not None and len(masks) != count):
        raise ValueError(
            f'expected as many labels and masks as boxes, got labels {labels.shape}, '
            f'bboxes {None if bboxes is None else bboxes.shape}, masks {None if masks is None else masks.shape}'
        )
    if bboxes is None:
        return Instances(labels, masks=masks)
    scores = bboxes[:, 4] if bboxes.shape[1] == 5 else None
    if masks is not None and not (bboxes[:, 2:4] > bboxes[:, :2]).any():
        return Instances(labels, None, scores, masks)
    return Instances(labels, bboxes[:, :4], scores, masks)


def to_masks(masks: Any) -> np.ndarray:
    """Masks in any of the forms the package uses, as ``(n, H, W)`` bool.

    Args:
        masks: an array, a tensor, a mask structure with ``to_ndarray``, or a list of arrays, of tensors or of COCO's
            run lengths.
    """
    if hasattr(masks, 'to_ndarray'):
        masks = masks.to_ndarray()
    if isinstance(masks, (list, tuple)):
        masks = [mask_coding.decode(m) if isinstance(m, dict) else np.asarray(m) for m in masks]
        masks = np.stack(masks) if masks else np.zeros((0, 1, 1))
    masks = np.asarray(masks)
    if masks.ndim != 3:
        raise ValueError(f'masks: expected (n, H, W), got {masks.shape}')
    return masks.astype(bool)


def keep_confident(objects: Instances, score_thr: float) -> Instances:
    """Objects whose score is above ``score_thr``; 0 keeps all.

    Raises:
        ValueError: a threshold, but no scores.
    """
    if score_thr <= 0:
        return objects
    if objects.scores is None:
        raise ValueError(f'score_thr={score_thr} needs scores: bboxes of shape (n, 5)')
    return objects.select(objects.scores > score_thr)


def from_annotation(annotation: dict) -> Instances:
    """Ground truth of one image: ``gt_bboxes``, ``gt_labels`` and, where there are, ``gt_masks``.

    Raises:
        KeyError: one of the first two is missing.
    """
    missing = [key for key in ('gt_bboxes', 'gt_labels') if key not in annotation]
    if missing:
        raise KeyError(f'annotation: {" and ".join(missing)} missing; there are {sorted(annotation)}')
    bboxes = np.asarray(annotation['gt_bboxes']).reshape(-1, 4)
    return make_instances(bboxes, annotation['gt_labels'], annotation.get('gt_masks'))


def from_result(result: Sequence | dict, num_classes: int | None = None) -> Instances:
    """Output of a detector for one image.

    Args:
        result: a list with one ``(n, 5)`` array a class; a tuple of such a list and the masks, a list a class (or that
            list and the scores of the masks); or a dict with the map ``pan_results`` ``(H, W)``.
        num_classes: number of classes; what has this label in a panoptic map is background.

    Raises:
        TypeError: ``result`` is none of these.
    """
    if isinstance(result, dict):
        return _from_panoptic(np.asarray(result['pan_results']), num_classes)
    if not isinstance(result, (list, tuple)):
        raise TypeError(f'result: expected a list, a tuple or a dict, got {type(result).__name__}')
    per_class, masks = result if isinstance(result, tuple) else (result, None)
    if isinstance(masks, tuple):
        masks = masks[0]  # beside them stand their scores
    bboxes = np.concatenate([np.asarray(b).reshape(-1, 5) for b in per_class]) if len(per_class) else np.zeros((0, 5))
    labels = np.repeat(np.arange(len(per_class)), [len(b) for b in per_class])
    if masks is not None:
        masks = [mask for of_class in masks for mask in of_class]
    return make_instances(bboxes, labels, masks)


def _from_panoptic(panoptic: np.ndarray, num_classes: int | None) -> Instances:
    """Segments of a panoptic map ``(H, W)``."""
    ids = np.unique(panoptic)[::-1]
    ids = ids[ids != num_classes]
    return make_instances(None, ids % PANOPTIC_OFFSET, panoptic[None] == ids[:, None, None])
