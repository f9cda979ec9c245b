"""Heads whose loss is a mean over RoIs, or over images, with a loss weight for each image."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.directives import ROI_HEAD, loss_weight
from mmdet.models.losses.listening import rows_of_images

Losses = dict[str, Tensor]


class MeanLossWithWeightPerImage:
    """Mixin that multiplies each image's share of a head's loss by the image's weight.

    Put it before a head whose ``loss(predictions, targets, ...)`` is a mean over the rows of its arguments, as that of
    the mask heads is; RoI heads then call :func:`losses_of_images`. The weight w of an image is its
    ``<directive_head>.loss_weight``, else its ``roi_head.loss_weight``, else 1. Its loss and gradient become w times
    what they were and the other images' stay as they were, at w = 0 too.

    A head whose mean leaves rows out has ``num_counted(*rows)``, the number of those that it takes.

    Attributes:
        directive_head: the head whose ``loss_weight`` is read, one of ``mmdet.core.directives.WEIGHTED_HEADS``.
    """

    directive_head: str

    @property
    def obeyed_heads(self) -> tuple[str, ...]:
        """The heads whose weight counts; the first that an image has."""
        return (self.directive_head, ROI_HEAD)

    def image_weights(self, img_metas: Sequence[dict]) -> list[float]:
        """The weight of each image."""
        return [loss_weight(meta, self.directive_head, fallback=ROI_HEAD) for meta in img_metas]

    def weighted_loss(self, counts: Sequence[int], img_metas: Sequence[dict], *rows: Any) -> Losses | Tensor:
        """``loss(*rows)``, each image's share times its weight.

        A mean over all rows is the sum of the means over parts of them, each times its share of the rows; so images of
        one weight are one call of ``loss``, whatever it computes inside.

        Args:
            counts: rows of each of N images; the rows of an image stand together, in the order of the images.
            img_metas: meta information of the N images.
            rows: arguments of ``loss``: tensors with sum(counts) rows, or lists of N, one for each image.
        """
        weights = self.image_weights(img_metas)
        groups = {weight: [i for i, w in enumerate(weights) if w == weight] for weight in sorted(set(weights))}
        if len(groups) == 1 or not sum(counts):
            loss = self.loss(*rows)
            return loss if weights[0] == 1 or not sum(counts) else scaled(loss, weights[0], 1)
        total = self._num_counted(rows)
        parts = []
        for weight, images in groups.items():
            picked = [pick_rows(part, counts, images) for part in rows]
            if len(picked[0]):
                share = self._num_counted(picked) / total
                with rows_of_images(images, [counts[i] for i in images], weight * share):
                    parts.append(scaled(self.loss(*picked), weight, share))
        return added(parts)

    def _num_counted(self, rows: Sequence[Any]) -> Tensor | int:
        """Rows that the mean of the loss is over, at least 1."""
        count = getattr(self, 'num_counted', lambda *given: len(given[0]))(*rows)
        return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def losses_of_images(head: Any, counts: Sequence[int], img_metas: Sequence[dict] | None, *rows: Any) -> Losses | Tensor:
    """``head.loss(*rows)``, weighted image by image where the head obeys weights.

    Args:
        head: whose loss is computed.
        counts: rows of each of N images.
        img_metas: meta information of the N images; None: there is none.
        rows: arguments of ``loss``, see :meth:`MeanLossWithWeightPerImage.weighted_loss`.
    """
    if img_metas and isinstance(head, MeanLossWithWeightPerImage):
        return head.weighted_loss(counts, img_metas, *rows)
    return head.loss(*rows)


def pick_rows(rows: Tensor | list, counts: Sequence[int], images: Sequence[int]) -> Tensor | list:
    """The rows of some images: of a tensor with ``counts[i]`` rows of image i, or of a list with one entry each."""
    if not isinstance(rows, Tensor):
        return [rows[i] for i in images]
    parts = rows.split(list(counts))
    return torch.cat([parts[i] for i in images])


def scaled(loss: Losses | Tensor, weight: float, share: Tensor | float) -> Losses | Tensor:
    """A loss, or a dict of losses, times weight and share; what is no loss (an accuracy) is not weighted."""
    if isinstance(loss, dict):
        return {name: value * share * (weight if 'loss' in name else 1) for name, value in loss.items()}
    return loss * share * weight


def added(parts: Sequence[Losses | Tensor]) -> Losses | Tensor:
    """The sum of losses, or of dicts with the same losses."""
    if isinstance(parts[0], dict):
        return {name: sum(part[name] for part in parts) for name in parts[0]}
    return sum(parts)
