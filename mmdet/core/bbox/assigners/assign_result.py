"""What an assigner finds out about one image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdet.utils.running.device_copy import version_of


class Rows(NamedTuple):
    """Rows of an assignment, ascending."""

    positives: Tensor  # (P,) long: boxes that belong to a ground truth
    negatives: Tensor  # (M,) long: boxes that belong to the background


class AssignResult:
    """Which ground truth each box belongs to.

    Args:
        num_gts: number of ground truth boxes.
        gt_inds: (n,) long; -1: left out of the loss, 0: background, i > 0: belongs to ground truth i - 1.
        max_overlaps: (n,) overlap with the best ground truth; None for assigners that do not go by overlap.
        labels: (n,) long; class of the assigned ground truth, -1 for other boxes; None where no labels were given.
    """

    _rows: tuple[tuple[Tensor, int], Rows] | None = None  # the state of gt_inds, and the rows that it then has
    assign_metrics: Tensor  # (n,) alignment of score and box; of TaskAlignedAssigner alone

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

    @property
    def rows(self) -> Rows:
        """Rows of positives and of negatives; the host waits for the device once, and not where they are known."""
        if not self.rows_known:
            find_rows([self])
        assert self._rows is not None, 'find_rows sets the rows'
        return self._rows[1]

    @rows.setter
    def rows(self, rows: Rows) -> None:
        self._rows = ((self.gt_inds, version_of(self.gt_inds)), rows)

    @property
    def rows_known(self) -> bool:
        """Whether :attr:`rows` were found or set, and ``gt_inds`` is as it was then."""
        if self._rows is None:
            return False
        gt_inds, version = self._rows[0]
        return gt_inds is self.gt_inds and version == version_of(gt_inds)

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
        count, known = len(gt_labels), self.rows if self.rows_known else None
        own = torch.arange(1, count + 1, dtype=self.gt_inds.dtype, device=self.gt_inds.device)
        self.gt_inds = torch.cat([own, self.gt_inds])
        if known is not None:
            self.rows = Rows(torch.cat([own - 1, known.positives + count]), known.negatives + count)
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


def find_rows(results: Sequence[AssignResult]) -> None:
    """Find the rows of several images, so that the host waits for the device once for all of them."""
    masks = [mask for result in results for mask in (result.gt_inds > 0, result.gt_inds == 0)]
    rows = rows_of(masks)
    for result, *pair in zip(results, rows[::2], rows[1::2]):
        result.rows = Rows(*pair)


def rows_of(masks: Sequence[Tensor], counts: Sequence[int] | None = None) -> list[Tensor]:
    """Where each of several masks (n_i,) is true, (k_i,) long, ascending.

    The host waits for the device once, and not where the numbers k_i are given as ``counts``.
    """
    if not masks or is_on_cpu(masks[0]):  # nothing to wait for, and a third of the time
        return [mask.nonzero().squeeze(1) for mask in masks]
    counts = torch.stack([mask.sum() for mask in masks]).tolist() if counts is None else counts
    return [_rows_of_known_number(mask, count) for mask, count in zip(masks, counts)]


def is_on_cpu(tensor: Tensor) -> bool:
    """Whether the host waits for nothing to know the tensor's values."""
    return tensor.device.type == 'cpu'


def _rows_of_known_number(mask: Tensor, count: int) -> Tensor:
    places = torch.where(mask, mask.cumsum(0) - 1, count)  # a place behind the last takes the other rows
    rows = torch.arange(len(mask), device=mask.device)
    return rows.new_empty(count + 1).scatter_(0, places, rows)[:count]
