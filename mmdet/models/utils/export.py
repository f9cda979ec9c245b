"""Results of a batch as tensors of fixed shape, as the methods ``onnx_export`` give them, and who has none.

The methods do what a test does, on the same arithmetic, up to the point where results become lists of arrays. They can
be called like any other; ``mmdet.apis.export`` traces them.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from mmcv import ConfigDict
from torch import Tensor

NO_DETECTION = -1  # label of rows that only fill up
MOST_DETECTIONS = 1000  # rows of an image where the config sets no limit


def refuse_export(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Not offered: mmdetection 2.x exported to ONNX by this method.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        f'{type(self).__name__} cannot be exported to ONNX; docs/deployment.md says which detectors can, and how'
    )


def detection_limit(test_cfg: Any) -> int:
    """Most detections of an image: ``max_per_img`` of the config, or :data:`MOST_DETECTIONS` without."""
    limit = (test_cfg or {}).get('max_per_img', -1)
    return limit if limit and limit > 0 else MOST_DETECTIONS


def without_suppression(test_cfg: Any) -> ConfigDict:
    """The same settings of a test, by which all candidates are kept, best first, up to :data:`MOST_DETECTIONS`."""
    return ConfigDict({**test_cfg, 'nms': None, 'max_per_img': MOST_DETECTIONS})


def fill_up(rows: Tensor, limit: int, value: float = 0) -> Tensor:
    """(k, ...) -> (limit, ...): the first rows, and rows of ``value`` behind them."""
    return torch.cat([rows, rows.new_full((limit, *rows.shape[1:]), value)])[:limit]


def padded_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (k, h, w) of an image -> (k, H, W) of the padded image, zeros (False) on the padding."""
    height, width = size
    masks = torch.cat([masks, masks.new_zeros((masks.size(0), height, masks.size(2)))], dim=1)[:, :height]
    return torch.cat([masks, masks.new_zeros((masks.size(0), height, width))], dim=2)[:, :, :width]


def stack_detections(results: Sequence[tuple[Tensor, Tensor]], limit: int) -> tuple[Tensor, Tensor]:
    """N times boxes with scores (k_i, 5) and labels (k_i,) -> (N, limit, 5), (N, limit); see :data:`NO_DETECTION`."""
    dets = torch.stack([fill_up(dets, limit) for dets, _ in results])
    return dets, torch.stack([fill_up(labels, limit, NO_DETECTION) for _, labels in results])


def found_rois(dets: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From stacked detections the RoIs of those that are there.

    Args:
        dets: (N, k, 5) boxes with scores.
        labels: (N, k).

    Returns:
        rows (n,) among the N * k, RoIs (n, 5) with the image's index first, labels (n,).
    """
    rows = (labels.flatten() >= 0).nonzero().squeeze(1)
    images = rows.div(labels.size(1), rounding_mode='floor')
    rois = torch.cat([images[:, None].to(dets.dtype), dets.flatten(0, 1)[rows, :4]], dim=1)
    return rows, rois, labels.flatten()[rows]


def in_their_rows(values: Tensor, rows: Tensor, labels: Tensor) -> Tensor:
    """Values (n, ...) of the rows (n,) of :func:`found_rois` -> (N, k, ...), zeros in the other rows."""
    everything = values.new_zeros((labels.numel(), *values.shape[1:]))
    return everything.index_put((rows,), values).unflatten(0, labels.shape)
