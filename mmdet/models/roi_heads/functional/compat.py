"""Calls of methods that users wrote for mmdetection 2.x, and zeros that keep the graph."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import names_parameter, takes_any_keyword
from mmdet.models.roi_heads.functional.protocols import BoxHead


def takes_img_metas(function: Callable) -> bool:
    """Whether ``function`` names a parameter ``img_metas``.

    Methods that users wrote for mmdetection 2.x do not; they are called as they were written.
    """
    return names_parameter(function, 'img_metas')


def call_with_img_metas(function: Callable, *args: Any, img_metas: Sequence[ImgMeta] | None, **kwargs: Any) -> Any:
    """``function(*args, img_metas=img_metas, **kwargs)``, without ``img_metas`` where it would not take them."""
    if takes_img_metas(function) or takes_any_keyword(function):
        kwargs['img_metas'] = img_metas
    return function(*args, **kwargs)


def box_losses(
    bbox_head: BoxHead,
    bbox_results: dict[str, Any],
    rois: Tensor,
    targets: Sequence[Any],
    img_metas: Sequence[ImgMeta] | None,
) -> dict[str, Tensor]:
    """Losses of a box head for RoIs (n, 5); it gets the meta information where its ``loss`` names it."""
    metas = dict(img_metas=img_metas) if takes_img_metas(bbox_head.loss) else {}
    return bbox_head.loss(bbox_results['cls_score'], bbox_results['bbox_pred'], rois, *targets, **metas)


def attached_zero(tensor: Tensor) -> Tensor:
    """A scalar 0 in the graph of ``tensor``: finite whatever its values, and its gradient is zero, not None."""
    return tensor.reshape(-1)[:0].sum()


def attached_zero_of(module: nn.Module) -> Tensor | float:
    """A scalar 0 in the graph of every parameter of ``module``."""
    return sum((attached_zero(p) for p in module.parameters()), 0.0)
