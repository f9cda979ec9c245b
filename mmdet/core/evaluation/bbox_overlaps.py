"""Overlaps of numpy boxes, for the metrics."""

import numpy as np


def bbox_overlaps(
    bboxes1: np.ndarray,
    bboxes2: np.ndarray,
    mode: str = 'iou',
    eps: float = 1e-6,
    use_legacy_coordinate: bool = False,
) -> np.ndarray:
    """Overlap of every box of one set with every box of another.

    Args:
        bboxes1: (n, 4) xyxy px.
        bboxes2: (k, 4) xyxy px.
        mode: ``'iou'`` (intersection over union) or ``'iof'`` (intersection over the area of the first box).
        eps: the divisor is at least this.
        use_legacy_coordinate: corners are inclusive pixels, so that widths and heights are one more.

    Returns:
        (n, k) float32 in [0, 1].

    Raises:
        ValueError: another mode.
    """
    if mode not in ('iou', 'iof'):
        raise ValueError(f"mode: expected 'iou' or 'iof', got {mode!r}")
    extra = 1.0 if use_legacy_coordinate else 0.0
    boxes1 = np.asarray(bboxes1, dtype=np.float32).reshape(-1, 4)[:, None]  # (n, 1, 4)
    boxes2 = np.asarray(bboxes2, dtype=np.float32).reshape(-1, 4)[None]  # (1, k, 4)
    overlap_wh = np.minimum(boxes1[..., 2:], boxes2[..., 2:]) - np.maximum(boxes1[..., :2], boxes2[..., :2])
    overlap = (overlap_wh + extra).clip(min=0).prod(-1)
    area1 = (boxes1[..., 2:] - boxes1[..., :2] + extra).prod(-1)
    area2 = (boxes2[..., 2:] - boxes2[..., :2] + extra).prod(-1)
    divisor = area1 + area2 - overlap if mode == 'iou' else np.broadcast_to(area1, overlap.shape)
    return overlap / np.maximum(divisor, np.float32(eps))
