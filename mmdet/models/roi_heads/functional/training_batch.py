"""A batch as RoI heads train on it, and the sampling of its proposals."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import find_rows
from mmdet.core.img_meta import ImgMeta
from mmdet.models.roi_heads.test_mixins import Features


class TrainingBatch(NamedTuple):
    """A batch of N images as the stages of a RoI head see it; boxes are xyxy px of the network input."""

    x: Features
    img_metas: list[ImgMeta]
    gt_bboxes: list[Tensor]  # N times (g_i, 4)
    gt_labels: list[Tensor]  # N times (g_i,)
    gt_bboxes_ignore: list[Tensor] | None  # N times (h_i, 4)
    gt_masks: list[Any] | None  # N mask structures

    def features_of(self, image: int) -> list[Tensor]:
        """Feature maps (1, C, H_l, W_l) of one image."""
        return [level[image][None] for level in self.x]


def needed_masks(gt_masks: list[Any] | None) -> list[Any]:
    """The masks of a batch, for a branch that learns them.

    Raises:
        ValueError: the batch has none.
    """
    if gt_masks is None:
        raise ValueError(
            'a mask branch learns from gt_masks, which the batch lacks: the pipeline needs LoadAnnotations(with_mask='
            "True), and 'gt_masks' among the keys of Collect"
        )
    return gt_masks


def assign_and_sample(
    assigner: Any, sampler: Any, batch: TrainingBatch, proposal_list: Sequence[Tensor]
) -> tuple[list[Any], list[Any]]:
    """Assign the proposals of each image to its objects and sample from them.

    Args:
        assigner, sampler: of the head, or of one of its stages.
        batch: N images.
        proposal_list: N times (n_i, 4) or (n_i, 5), xyxy px first.

    Returns:
        N assign results (with the ground truth, where the sampler adds it) and N sampling results.
    """
    ignored: Sequence[Tensor | None] = batch.gt_bboxes_ignore or [None] * len(proposal_list)
    images = zip(proposal_list, batch.gt_bboxes, ignored, batch.gt_labels)
    assigned = [assigner.assign(*image) for image in images]
    find_rows(assigned)  # which the samplers of all images ask for
    sampled = [
        sampler.sample(
            result,
            proposals,
            batch.gt_bboxes[i],
            batch.gt_labels[i],
            feats=batch.features_of(i),
            img_metas=batch.img_metas[i],  # one image's dict, which samplers read
        )
        for i, (result, proposals) in enumerate(zip(assigned, proposal_list))
    ]
    return assigned, sampled
