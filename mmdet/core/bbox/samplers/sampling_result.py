"""What a sampler picks from one image."""

from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult


class SamplingResult:
    """The boxes of one image that enter the loss: P positives and M negatives.

    Args:
        pos_inds: (P,) long, rows of ``bboxes``.
        neg_inds: (M,) long, rows of ``bboxes``.
        bboxes: (n, 4) xyxy px, all boxes of the image.
        gt_bboxes: (G, 4) xyxy px.
        assign_result: of the n boxes.
        gt_flags: (n,) uint8; 1 for boxes that are ground truth themselves.

    Attributes:
        pos_bboxes, neg_bboxes: (P, 4) and (M, 4).
        pos_is_gt: (P,) uint8.
        num_gts: G.
        num_bboxes: n, sampled or not.
        pos_assigned_gt_inds: (P,) long in [0, G).
        pos_gt_bboxes: (P, 4), the ground truth of each positive.
        pos_gt_labels: (P,) long, its class; None where the assigner got no labels.
    """

    def __init__(
        self,
        pos_inds: Tensor,
        neg_inds: Tensor,
        bboxes: Tensor,
        gt_bboxes: Tensor,
        assign_result: AssignResult,
        gt_flags: Tensor,
    ) -> None:
        self.pos_inds = pos_inds
        self.neg_inds = neg_inds
        self.pos_bboxes = bboxes[pos_inds]
        self.neg_bboxes = bboxes[neg_inds]
        self.pos_is_gt = gt_flags[pos_inds]
        if gt_bboxes.dim() < 2:  # none; boxes of users may have more than four numbers
            gt_bboxes = gt_bboxes.reshape(-1, 4)
        self.num_gts = len(gt_bboxes)
        self.num_bboxes = len(bboxes)
        self.pos_assigned_gt_inds = assign_result.gt_inds[pos_inds] - 1
        self.pos_gt_bboxes = gt_bboxes[self.pos_assigned_gt_inds]
        self.pos_gt_labels = None if assign_result.labels is None else assign_result.labels[pos_inds]

    @property
    def bboxes(self) -> Tensor:
        """(P + M, 4): the positives, then the negatives."""
        return torch.cat([self.pos_bboxes, self.neg_bboxes])

    def to(self, device: torch.device | str) -> 'SamplingResult':
        """Move all tensors, in place; gives the result itself."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
        return self

    @property
    def info(self) -> dict[str, Any]:
        """All fields by name."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(pos={len(self.pos_inds)}, neg={len(self.neg_inds)}, num_gts={self.num_gts})'

    @classmethod
    def random(cls, rng: int | None = None, **kwargs: Any) -> 'SamplingResult':
        """A made-up result that takes all boxes; ``kwargs`` go to :meth:`AssignResult.random`."""
        assigned = AssignResult.random(rng=rng, **kwargs)
        generator = None if rng is None else torch.Generator().manual_seed(rng)
        corners = torch.rand(assigned.num_gts + assigned.num_preds, 2, 2, generator=generator).sort(dim=1).values
        gt_bboxes, bboxes = corners.flatten(1).split([assigned.num_gts, assigned.num_preds])
        pos_inds, neg_inds = ((assigned.gt_inds > 0).nonzero()[:, 0], (assigned.gt_inds == 0).nonzero()[:, 0])
        return cls(pos_inds, neg_inds, bboxes, gt_bboxes, assigned, torch.zeros(len(bboxes), dtype=torch.uint8))
