"""Associative embedding (arXiv:1611.05424): tags of the two corners of a box agree, tags of two boxes differ."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdet.models.builder import LOSSES
from mmdet.models.losses.utils import full_precision

_MARGIN = 1  # tags of two boxes should differ by this


def ae_loss_per_image(
    tl_preds: Tensor, br_preds: Tensor, match: Sequence[Sequence[Sequence[int]]]
) -> tuple[Tensor, Tensor]:
    """Pull and push loss of one image.

    Args:
        tl_preds: tags of top-left corners (1, H, W).
        br_preds: tags of bottom-right corners (1, H, W).
        match: for each of n boxes ``((y, x) of its top-left, (y, x) of its bottom-right corner)``, in cells.

    Returns:
        Two scalars, 0 without boxes.
    """
    tl_preds, br_preds = full_precision(tl_preds, br_preds)
    corners = torch.as_tensor(match, dtype=torch.long, device=tl_preds.device).reshape(-1, 2, 2)
    top_left = tl_preds[0, corners[:, 0, 0], corners[:, 0, 1]]
    bottom_right = br_preds[0, corners[:, 1, 0], corners[:, 1, 1]]
    centre = (top_left + bottom_right) / 2
    count = len(centre)
    pull = ((top_left - centre).square() + (bottom_right - centre).square()).sum() / max(count, 1)
    too_close = (_MARGIN - (centre[:, None] - centre[None, :]).abs()).clamp(min=0)
    others = 1 - torch.eye(count, dtype=centre.dtype, device=centre.device)
    push = (too_close * others).sum() / max(count * (count - 1), 1)
    return pull, push


@LOSSES.register_module()
class AssociativeEmbeddingLoss(nn.Module):
    """:func:`ae_loss_per_image`, summed over the images.

    Args:
        pull_weight: factor on the pull loss.
        push_weight: factor on the push loss.
    """

    def __init__(self, pull_weight: float = 0.25, push_weight: float = 0.25) -> None:
        super().__init__()
        self.pull_weight = pull_weight
        self.push_weight = push_weight

    def forward(
        self, pred: Tensor, target: Tensor, match: Sequence, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tags of top-left and of bottom-right corners (N, 1, H, W), and ``match`` of each image -> pull, push.

        ``weights`` (N,) are factors of the images' losses; None: 1.
        """
        losses = [ae_loss_per_image(tl, br, boxes) for tl, br, boxes in zip(pred, target, match)]
        if weights is not None:
            losses = [(pull * weight, push * weight) for (pull, push), weight in zip(losses, weights)]
        pull, push = (sum(part) for part in zip(*losses))
        return self.pull_weight * pull, self.push_weight * push
