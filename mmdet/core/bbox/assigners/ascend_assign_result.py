"""What an assigner finds out about a batch of images."""

from torch import Tensor


class AscendAssignResult:
    """Which ground truth each box of N images belongs to, in tensors whose shapes do not depend on the content.

    Args:
        batch_num_gts: (N,) long, or N numbers; ground truths of each image, padding left out.
        batch_pos_mask: (N, n), 1 for positives.
        batch_neg_mask: (N, n), 1 for negatives.
        batch_max_overlaps: (N, n) overlap with the best ground truth.
        batch_anchor_gt_indes: (N, n) long in [0, G), the ground truth of each positive.
        batch_anchor_gt_labels: (N, n), its class.
    """

    def __init__(
        self,
        batch_num_gts: Tensor | list[int] | None,
        batch_pos_mask: Tensor,
        batch_neg_mask: Tensor,
        batch_max_overlaps: Tensor,
        batch_anchor_gt_indes: Tensor | None = None,
        batch_anchor_gt_labels: Tensor | None = None,
    ) -> None:
        self.batch_num_gts = batch_num_gts
        self.batch_pos_mask = batch_pos_mask
        self.batch_neg_mask = batch_neg_mask
        self.batch_max_overlaps = batch_max_overlaps
        self.batch_anchor_gt_indes = batch_anchor_gt_indes
        self.batch_anchor_gt_labels = batch_anchor_gt_labels
