"""Losses of a head over rows that the images of a batch own in turn: RoIs, masks, or whole images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import names_parameter
from mmdet.models.directives import directives_of, weights_of_rows

Losses = dict[str, Tensor]


def loss_of_rows(
    head: nn.Module, rows: Sequence[Any], img_metas: Sequence[ImgMeta] | None, *args: Any
) -> Losses | Tensor:
    """``head.loss(*args)``, with a weight for each row where its image, or its object, has one.

    Args:
        head: whose loss is computed. ``loss(..., weights=None)`` multiplies its rows by (R,) ``weights`` and keeps its
            divisor; a head whose loss takes no such argument has no weights.
        rows: of each of N images the sampling result, whose positives are the rows, R in all; or the number of its
            rows, which are not of single objects. They stand image after image.
        img_metas: meta information of the N images; None: there is none.
        args: of ``loss``; the first tensor among them tells the device.

    Raises:
        TypeError: the head is to weigh its images, but its loss takes no weights.
    """
    if getattr(head, 'directive_head', None) is None:
        return head.loss(*args)
    device = next(arg.device for arg in args if isinstance(arg, Tensor))
    weights = weights_of_rows(head, img_metas, *_counts_and_objects(rows, device))
    if weights is None:
        return head.loss(*args)
    if names_parameter(head.loss, 'weights'):
        return head.loss(*args, weights=weights)
    if directives_of(head).enabled:
        raise TypeError(
            f'{type(head).__name__}.loss takes no weights, so that images cannot be weighed. Let it be '
            'loss(..., weights=None) and multiply its rows by them; its divisor must not depend on them'
        )
    return head.loss(*args)


def weights_of_either(
    heads: Sequence[nn.Module], img_metas: Sequence[ImgMeta] | None, results: Sequence[Any], device: torch.device
) -> Tensor | None:
    """(R,) weights of the positives as the first of the heads reads them that weighs its images, else the last.

    ``results`` are the sampling results of the N images; None: all are 1.
    """
    head = next((head for head in heads if directives_of(head).enabled), heads[-1])
    return weights_of_rows(head, img_metas, *_counts_and_objects(results, device))


def _counts_and_objects(rows: Sequence[Any], device: torch.device) -> tuple[Sequence[int], torch.device, Tensor | None]:
    """Arguments of ``weights_of_rows``: rows of each image, device, and (R,) numbers of their objects."""
    if all(isinstance(count, int) for count in rows):
        return rows, device, None
    objects = torch.cat([result.pos_assigned_gt_inds for result in rows])
    return [len(result.pos_assigned_gt_inds) for result in rows], device, objects
