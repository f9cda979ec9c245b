"""Arithmetic of the heads of DETR: sizes, best scores."""

from collections.abc import Sequence

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.utils.running.device_copy import tensor_like


def best(scores: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The ``limit`` highest of (n,) scores, descending, and their places."""
    return scores.topk(min(limit, len(scores)))


def image_sizes(img_metas: Sequence[ImgMeta], like: Tensor) -> Tensor:
    """(N, 4) width, height, width, height px of each image, with the type and device of ``like``."""
    return tensor_like([[meta['img_shape'][1], meta['img_shape'][0]] * 2 for meta in img_metas], like)
