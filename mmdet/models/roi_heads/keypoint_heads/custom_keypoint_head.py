"""Heads whose loss takes a weight for each RoI, with a loss weight for each image."""

from collections.abc import Sequence
from typing import Any

import torch

from mmdet.models.roi_heads.mask_heads.custom_mask_head import Losses, MeanLossWithWeightPerImage


class RoILossWithWeightPerImage(MeanLossWithWeightPerImage):
    """Mixin that multiplies the loss of each RoI by the weight of its image.

    Put it before a head whose ``loss(predictions, targets, ..., weights=None)`` takes a weight for each row and has a
    divisor that does not depend on them, as that of ``FCNKeypointHead``. Which weight an image has, and what it
    does to the loss, is as :class:`MeanLossWithWeightPerImage` says.
    """

    def weighted_loss(self, counts: Sequence[int], img_metas: Sequence[dict], *args: Any) -> Losses:
        """``loss(*args)``, each RoI's part times the weight of its image; without directives the very same call.

        Args:
            counts: RoIs of each of N images; the RoIs of an image stand together, in the order of the images.
            img_metas: meta information of the N images.
            args: of ``loss``; the first one is a tensor with sum(counts) rows.
        """
        weights = self.image_weights(img_metas)
        if all(weight == 1 for weight in weights):
            return self.loss(*args)
        of_rois = [weight for weight, count in zip(weights, counts) for _ in range(count)]
        return self.loss(*args, weights=args[0].new_tensor(of_rois, dtype=torch.float32))


__all__ = ['RoILossWithWeightPerImage']
