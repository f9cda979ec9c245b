"""The detections of one image as flat arrays, whatever form a detector gives them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as mask_coding

from mmdet.core.mask.utils import encode_mask_results
from mmdet.core.visualization.instances import from_result, to_masks
from mmdet.models.detectors.base import stack_results


@dataclass(frozen=True)
class Detections:
    """Detections of one image, of all classes, in pixels of the image."""

    boxes: np.ndarray  # (n, 4) float32 xyxy
    scores: np.ndarray  # (n,) float32
    labels: np.ndarray  # (n,) int64
    masks: list[dict[str, Any]] | None = None  # n run lengths of COCO, of the image's size
    keypoints: np.ndarray | None = None  # (n, K, 3) x, y, score

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.boxes)

    def select(self, chosen: np.ndarray) -> 'Detections':
        """Those that ``chosen`` (n bools, or numbers) names, in that order."""
        numbers = np.arange(len(self))[chosen]
        masks = None if self.masks is None else [self.masks[i] for i in numbers]
        points = None if self.keypoints is None else self.keypoints[numbers]
        return Detections(self.boxes[numbers], self.scores[numbers], self.labels[numbers], masks, points)


def flatten_result(result: Any, score_thr: float = 0.0, num_classes: int | None = None) -> Detections:
    """Detections of what a detector gives for an image.

    Args:
        result: K arrays (n, 5); a tuple of these and masks (and keypoints) of each class; one array (n, 5) of a
            proposal network, whose label is 0; or the dict of a panoptic one, of which the instances are taken (its
            segments, with score 1, where it names none).
        score_thr: lowest score.
        num_classes: label of the background of panoptic maps.
    """
    if isinstance(result, dict):
        if result.get('ins_results') is None:
            return _segments(result, num_classes)
        result = result['ins_results']
    if isinstance(result, np.ndarray):
        result = [result]
    boxes, labels, masks = stack_results(result)
    kept = boxes[:, 4] >= score_thr
    runs = None if masks is None else encode_mask_results([masks[kept]])[0]
    points = np.concatenate(result[2])[kept] if isinstance(result, tuple) and len(result) == 3 else None
    return Detections(boxes[kept, :4], boxes[kept, 4], labels[kept], runs, points)


def _segments(result: dict[str, Any], num_classes: int | None) -> Detections:
    """Segments of a panoptic map."""
    found = from_result(result, num_classes)
    masks: Any = found.masks
    runs = encode_mask_results([masks])[0]
    corners = [mask_coding.toBbox(run) for run in runs]  # x, y, w, h
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in corners], np.float32).reshape(-1, 4)
    return Detections(boxes, np.ones(len(boxes), np.float32), found.labels, runs)


def to_result(detections: Detections, num_classes: int) -> list[np.ndarray] | tuple[Any, ...]:
    """The form in which detectors give them: boxes by class; a tuple where there are masks or keypoints."""
    rows = np.concatenate([detections.boxes, detections.scores[:, None]], axis=1).astype(np.float32)
    of_class = [detections.labels == label for label in range(num_classes)]
    boxes = [rows[chosen] for chosen in of_class]
    masks = None
    if detections.masks is not None:
        masks = [[to_masks([detections.masks[i]])[0] for i in np.flatnonzero(chosen)] for chosen in of_class]
    if detections.keypoints is not None:
        return boxes, masks, [detections.keypoints[chosen] for chosen in of_class]
    return boxes if masks is None else (boxes, masks)


def like_result(detections: Detections, result: Any) -> Any:
    """Detections in the form of a result of the same detector, as its ``show_result`` takes it; panoptic maps stay."""
    if isinstance(result, dict):
        return result
    if isinstance(result, np.ndarray):
        return to_result(detections, 1)[0]
    return to_result(detections, len(result[0]) if isinstance(result, tuple) else len(result))


def to_supervision(result: Any, classes: Sequence[str] | None = None, score_thr: float = 0.0) -> Any:
    """A result of :func:`mmdet.apis.inference_detector` as ``supervision.Detections``.

    Args:
        result: of one image; see :func:`flatten_result`.
        classes: their names go into ``data['class_name']``.
        score_thr: lowest score.

    Raises:
        ImportError: the package supervision is not there.
    """
    try:
        import supervision
    except ImportError as error:
        raise ImportError('to_supervision needs the package supervision: pip install supervision') from error
    found = flatten_result(result, score_thr, None if classes is None else len(classes))
    data = {} if classes is None else dict(class_name=np.array([classes[i] for i in found.labels], dtype=str))
    masks = to_masks(found.masks) if found.masks else None
    return supervision.Detections(
        xyxy=found.boxes.astype(np.float32),
        mask=masks,
        confidence=found.scores,
        class_id=found.labels.astype(int),
        data=data,
    )
