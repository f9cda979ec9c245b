"""What was in a batch: files, pixels, boxes; for errors that a batch has caused."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.utils.running.parallel import unpack


def describe_batch(batch: Any) -> list[str]:
    """One line for each image of a batch as a loader gives it: file, range and mean of the pixels, and the boxes.

    Args:
        batch: dict with ``img``, and ``img_metas`` and ``gt_bboxes`` where there are any; another kind gives no line.
    """
    if not isinstance(batch, dict) or 'img' not in batch:
        return []
    batch = unpack(batch)
    images, metas, boxes = batch['img'], batch.get('img_metas'), batch.get('gt_bboxes')
    return [
        f'{_name(metas, i)}: {_pixels(image)}{_boxes(boxes[i]) if _has(boxes, i) else ""}'
        for i, image in enumerate(images)
        if isinstance(image, Tensor)
    ]


def describe_sizes(batch: Any) -> str:
    """Sizes of a batch that decide about memory: its images on the canvas, and the boxes of each.

    Args:
        batch: as of :func:`describe_batch`.
    """
    if not isinstance(batch, dict) or 'img' not in batch:
        return 'the batch has no images'
    batch = unpack(batch)
    images, boxes = batch['img'], batch.get('gt_bboxes')
    shape = 'x'.join(map(str, images.shape)) if isinstance(images, Tensor) else f'{len(images)} images'
    counts = [str(len(boxes[i])) for i in range(len(images)) if _has(boxes, i)]
    return f'images {shape}' + (f', {" + ".join(counts)} boxes' if counts else '')


def _has(values: Any, i: int) -> bool:
    return isinstance(values, Sequence | Tensor) and len(values) > i and isinstance(values[i], dict | Tensor)


def _name(metas: Any, i: int) -> str:
    meta = metas[i] if _has(metas, i) and isinstance(metas[i], dict) else {}
    return str(meta.get('filename') or meta.get('ori_filename') or f'image {i}')


def _pixels(image: Tensor) -> str:
    shape = 'x'.join(map(str, image.shape))
    finite = image[torch.isfinite(image)].float() if image.is_floating_point() else image.float()
    odd = image.numel() - finite.numel()
    text = f'{shape} pixels'
    if finite.numel():
        text += f' from {finite.min():.4g} to {finite.max():.4g}, mean {finite.mean():.4g}'
    return text + (f', {odd} of them NaN or infinite' if odd else '')


def _boxes(boxes: Tensor) -> str:
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.size(-1) < 4:
        return ''
    if not len(boxes):
        return '; no box'
    if not torch.isfinite(boxes).all():
        return f'; {len(boxes)} boxes, some of them NaN or infinite'
    sides = boxes[:, 2:4] - boxes[:, :2]
    return f'; {len(boxes)} boxes, sides from {sides.min():.4g} to {sides.max():.4g} px'
