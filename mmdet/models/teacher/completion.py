"""Ground truth of a batch with what a teacher adds to it: pseudo objects, and regions to be ignored.

Legend: N images, G annotated objects of one, p added ones. What is to be ignored is an object of weight 0: rows that
are matched to it have no loss, in any head that lets objects weigh.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models.teacher.detections import Detections

HANDLED = {
    'gt_bboxes', 'gt_labels', 'gt_weights', 'gt_masks', 'gt_keypoints', 'gt_bboxes_ignore', 'gt_semantic_seg',
}  # fmt: skip


class Added(NamedTuple):
    """What one image gets."""

    objects: Detections
    ignored: Detections


def complete_batch(
    data: Mapping[str, Any], added: Sequence[Added | None], weight: str | float, box_loss: float, as_regions: bool
) -> dict[str, Any]:
    """A copy of the batch whose ground truth has the added objects behind the annotated ones.

    Args:
        data: as ``forward_train`` takes it.
        added: of the N images; None: nothing.
        weight: of pseudo objects in the classification: a number, or ``'confidence'``, their score.
        box_loss: their weight in the losses of boxes and masks.
        as_regions: put ignored ones into ``gt_bboxes_ignore`` and not among the objects.

    Raises:
        ValueError: the batch has ground truth of a kind that a teacher cannot complete.
    """
    unknown = sorted(key for key in data if key.startswith('gt_') and key not in HANDLED)
    if unknown:
        raise ValueError(f'teacher: cannot complete {", ".join(unknown)}; it knows {", ".join(sorted(HANDLED))}')
    out = dict(data)
    for key in ('gt_bboxes', 'gt_labels', 'gt_masks', 'gt_keypoints', 'gt_bboxes_ignore', 'gt_weights'):
        if data.get(key) is not None:
            out[key] = list(data[key])
    boxes = out['gt_bboxes']
    counts = [len(image) for image in boxes]
    if as_regions and any(found is not None and len(found.ignored.boxes) for found in added):
        out.setdefault('gt_bboxes_ignore', [image.new_zeros(0, 4) for image in boxes])
    weights = _weights_of(data, counts, boxes[0].device)
    for i, found in enumerate(added):
        if found is None:
            continue
        parts = [found.objects] if as_regions else [found.objects, found.ignored]
        for part in parts:
            _append(out, i, part)
            weights[i] = torch.cat([weights[i], _weights(part, part is found.objects, weight, box_loss).to(weights[i])])
        if as_regions and len(found.ignored.boxes):
            regions = out['gt_bboxes_ignore'][i]
            out['gt_bboxes_ignore'][i] = torch.cat([regions, found.ignored.boxes.to(regions)])
    # where all weigh 1, heads that let no single object weigh can take part
    if 'gt_weights' in data or not (as_regions and weight == 1 and box_loss == 1):
        out['gt_weights'] = weights
    return out


def _weights_of(data: Mapping[str, Any], counts: Sequence[int], device: torch.device) -> list[Tensor]:
    """N times (G, 2) weights of the annotated objects."""
    given = data.get('gt_weights')
    if given is None:
        return [torch.ones(count, 2, device=device) for count in counts]
    return [own[:, None].repeat(1, 2) if own.ndim == 1 else own for own in given]


def _weights(part: Detections, are_objects: bool, weight: str | float, box_loss: float) -> Tensor:
    """(p, 2) weights in classification and in other losses."""
    if not are_objects:
        return torch.zeros(len(part.boxes), 2)
    of_class = part.scores if weight == 'confidence' else torch.full_like(part.scores, float(weight))
    return torch.stack([of_class, torch.full_like(of_class, box_loss)], 1)


def _append(out: dict[str, Any], image: int, part: Detections) -> None:
    """Put detections behind the annotated objects of one image, with whatever goes beside them."""
    if not len(part.boxes):
        return
    boxes = out['gt_bboxes'][image]
    out['gt_bboxes'][image] = torch.cat([boxes, part.boxes.to(boxes)])
    if out.get('gt_labels') is not None:
        labels = out['gt_labels'][image]
        out['gt_labels'][image] = torch.cat([labels, part.labels.to(labels)])
    if out.get('gt_keypoints') is not None:  # visibility 0: they have no loss
        points = out['gt_keypoints'][image]
        out['gt_keypoints'][image] = torch.cat([points, points.new_zeros(len(part.boxes), *points.shape[1:])])
    if out.get('gt_masks') is not None:
        masks = out['gt_masks'][image]
        bitmaps = (masks if isinstance(masks, BitmapMasks) else masks.to_bitmap()).masks
        joined = np.concatenate([bitmaps, masks_on_canvas(part, masks.height, masks.width)])
        out['gt_masks'][image] = BitmapMasks(joined, masks.height, masks.width)


def masks_on_canvas(part: Detections, height: int, width: int) -> np.ndarray:
    """(p, height, width) uint8 masks of detections; their boxes, where the detector predicts none."""
    canvas = np.zeros((len(part.boxes), height, width), np.uint8)
    for i, box in enumerate(part.boxes.round().int().tolist()):
        if part.masks is None:
            x1, y1, x2, y2 = (max(value, 0) for value in box)
            canvas[i, y1 : y2 + 1, x1 : x2 + 1] = 1
        else:
            mask = part.masks[i][:height, :width]
            canvas[i, : mask.shape[0], : mask.shape[1]] = mask
    return canvas
