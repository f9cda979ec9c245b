"""What an assigner finds out about one image."""

from typing import Any

import torch
from torch import Tensor


class AssignResult:
    """Which ground truth each box belongs to.

    Args:
        num_gts: number of ground truth boxes.
        gt_inds: (n,) long; -1: left out of the loss, 0: background, i > 0: belongs to ground truth i - 1.
        max_overlaps: (n,) overlap with the best ground truth; None for assigners that do not go by overlap.
        labels: (n,) long; class of the assigned ground truth, -1 for other boxes; None where no labels were given.
    """

    def __init__(
        self, num_gts: int, gt_inds: Tensor, max_overlaps: Tensor | None, labels: Tensor | None = None
    ) -> None:
        self.num_gts = num_gts
        self.gt_inds = gt_inds
        self.max_overlaps = max_overlaps
        self.labels = labels
        self._extra_properties: dict[str, Any] = {}

    @property
    def num_preds(self) -> int:
        """Number of boxes."""
        return len(self.gt_inds)

    def set_extra_property(self, key: str, value: Any) -> None:
        """Keep one more finding of an assigner.

        Raises:
            ValueError: a field of this name is there already.
        """
        if key in self.info:
            raise ValueError(f'{key!r} is a field of the result already')
        self._extra_properties[key] = value

    def get_extra_property(self, key: str) -> Any:
        """What was kept under ``key``; None where nothing was."""
        return self._extra_properties.get(key)

    @property
    def info(self) -> dict[str, Any]:
        """All fields by name."""
        fields = ('num_gts', 'num_preds', 'gt_inds', 'max_overlaps', 'labels')
        return {name: getattr(self, name) for name in fields} | self._extra_properties

    def __repr__(self) -> str:
        shape = None if self.labels is None else tuple(self.labels.shape)
        return f'{type(self).__name__}(num_gts={self.num_gts}, num_preds={self.num_preds}, labels={shape})'

    @classmethod
    def random(
        cls,
        num_gts: int = 3,
        num_preds: int = 10,
        num_classes: int = 3,
        p_use_label: float = 1.0,
        rng: int | None = None,
    ) -> 'AssignResult':
        """A made-up result, for trying out samplers: half of the boxes background, a tenth ignored."""
        generator = None if rng is None else torch.Generator().manual_seed(rng)
        overlaps = torch.rand(num_preds, generator=generator)
        draws = torch.randint(1, max(num_gts, 1) + 1, (num_preds,), generator=generator)
        gt_inds = torch.where(overlaps < 0.5, 0, torch.where(overlaps < 0.6, -1, draws)) * min(num_gts, 1)
        gt_labels = torch.randint(num_classes, (num_gts,), generator=generator)
        return cls(num_gts, gt_inds, overlaps, labels_of(gt_inds, gt_labels) if p_use_label else None)

    def add_gt_(self, gt_labels: Tensor) -> None:
        """Put the ground truth boxes before the others, each assigned to itself.

        Args:
            gt_labels: (num_gts,) long.
        """
        count = len(gt_labels)
        own = torch.arange(1, count + 1, dtype=self.gt_inds.dtype, device=self.gt_inds.device)
        self.gt_inds = torch.cat([own, self.gt_inds])
        if self.max_overlaps is not None:
            self.max_overlaps = torch.cat([self.max_overlaps.new_ones(count), self.max_overlaps])
        if self.labels is not None:
            self.labels = torch.cat([gt_labels, self.labels])


def labels_of(gt_inds: Tensor, gt_labels: Tensor) -> Tensor:
    """(n,) labels of the assigned ground truth; -1 where none is.

    Args:
        gt_inds: (n,) long, as in :class:`AssignResult`.
        gt_labels: (G,) long.
    """
    padded = torch.cat([gt_labels.new_full((1,), -1), gt_labels])  # index 0 serves boxes without ground truth
    return padded[gt_inds.clamp(min=0)]
