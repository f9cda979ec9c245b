"""Results of a detector as COCO's JSON."""

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from pycocotools import mask as mask_coding


def boxes_to_xywh(boxes: np.ndarray) -> list[list[float]]:
    """(n, 4+) xyxy px -> n lists of x, y, width, height; plain floats, of double precision."""
    boxes = np.asarray(boxes)[:, :4].astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()


def _entries(img_id: int, dets: np.ndarray, category_id: int) -> list[dict]:
    scores = dets[:, 4].astype(np.float64).tolist()
    return [
        dict(image_id=img_id, bbox=bbox, score=score, category_id=category_id)
        for bbox, score in zip(boxes_to_xywh(dets), scores)
    ]


def proposals_to_json(img_ids: Sequence[int], results: Sequence[np.ndarray]) -> list[dict]:
    """Proposals, (n, 5) xyxy px and score an image; all of category 1."""
    return [entry for img_id, dets in zip(img_ids, results) for entry in _entries(img_id, dets, 1)]


def detections_to_json(
    img_ids: Sequence[int], results: Sequence[Sequence[np.ndarray]], label2cat: dict[int, int]
) -> list[dict]:
    """Detections, (n, 5) xyxy px and score an image and class.

    Args:
        img_ids: one for each image.
        results: image, class -> (n, 5).
        label2cat: class -> category id; detections of others cannot be written and are left out.
    """
    return [
        entry
        for img_id, image in zip(img_ids, results)
        for label, dets in enumerate(image)
        if label in label2cat
        for entry in _entries(img_id, dets, label2cat[label])
    ]


def segmentations_to_json(
    img_ids: Sequence[int], results: Sequence[tuple], label2cat: dict[int, int]
) -> tuple[list[dict], list[dict]]:
    """Detections and masks.

    Args:
        img_ids: one for each image.
        results: for each image a pair: detections of each class (n, 5), and masks of each class, n run lengths; or
            instead of these a pair of masks and their own scores (n,) of each class.
        label2cat: class -> category id.

    Returns:
        Entries with boxes, and entries with boxes and masks.
    """
    boxes = detections_to_json(img_ids, [image[0] for image in results], label2cat)
    masks = []
    for img_id, (dets, segms) in zip(img_ids, results):
        segms, scores = segms if isinstance(segms, tuple) else (segms, None)
        for label, cat in label2cat.items():
            if label < len(dets):
                entries = _entries(img_id, dets[label], cat)
                mask_scores = None if scores is None else scores[label]
                masks += _with_masks(entries, segms[label], mask_scores)
    return boxes, masks


def _with_masks(entries: list[dict], segms: Sequence[dict | np.ndarray], scores: Sequence[float] | None) -> list[dict]:
    """Put masks, and their scores if they have their own, into the entries of one image and class."""
    for i, (entry, segm) in enumerate(zip(entries, segms)):
        if isinstance(segm, np.ndarray):  # as a detector gives it
            segm = mask_coding.encode(np.asfortranarray(segm, np.uint8))
        counts = segm['counts']
        entry['segmentation'] = dict(segm, counts=counts.decode() if isinstance(counts, bytes) else counts)
        if scores is not None:
            entry['score'] = float(scores[i])
    return entries


def kind_of_results(results: Sequence[Any]) -> str:
    """What results of images are: ``'proposal'``, ``'keypoints'`` (boxes, masks, keypoints), ``'segm'`` or ``'bbox'``.

    Raises:
        TypeError: results of another kind.
    """
    first = results[0] if len(results) else []
    if isinstance(first, np.ndarray):
        return 'proposal'
    if isinstance(first, tuple):
        return 'keypoints' if len(first) == 3 else 'segm'
    if isinstance(first, list):
        return 'bbox'
    raise TypeError(
        'results: expected for each image a list of arrays (n, 5), one for each class, a tuple of such a list and '
        f'masks, or one array of proposals (n, 5), got {type(first).__name__}'
    )


def without_keypoints(result: tuple) -> Any:
    """Boxes, masks or None, and keypoints -> boxes by class, or a pair of boxes and masks."""
    boxes, masks, _ = result
    return boxes if masks is None else (boxes, masks)


def keypoints_to_json(
    img_ids: Sequence[int], results: Sequence[tuple], label2cat: dict[int, int], offset: float = 0.0
) -> list[dict]:
    """Detections with keypoints.

    Args:
        img_ids: one for each image.
        results: for each image a triple: detections of each class (n, 5), anything, and keypoints of each class
            (n, K, 3), x, y px and score.
        label2cat: class -> category id.
        offset: px taken off the coordinates: COCO counts pixels.

    Returns:
        Entries with boxes, and ``keypoints``: x, y, score of each point in turn.
    """
    rows = []
    for img_id, (dets, _, keypoints) in zip(img_ids, results):
        for label, cat in label2cat.items():
            if label < len(dets):
                points = np.asarray(keypoints[label], dtype=np.float64) - [offset, offset, 0]
                entries = _entries(img_id, dets[label], cat)
                numbers = points.reshape(len(points), 3 * points.shape[1]).tolist()
                rows += [dict(entry, keypoints=row) for entry, row in zip(entries, numbers)]
    return rows


def write_result_files(prefix: str, **kinds: list[dict]) -> dict[str, str]:
    """Write ``<prefix>.<kind>.json`` for each kind of result.

    Returns:
        Kind -> file. Detections are proposals as well: ``'proposal'`` names their file.
    """
    files = {}
    for kind, entries in kinds.items():
        files[kind] = f'{prefix}.{kind}.json'
        mmcv.dump(entries, files[kind])
    if 'bbox' in files:
        files.setdefault('proposal', files['bbox'])
    return files
