"""Assignment by a cost with a number of positives of each object's own (YOLOX, https://arxiv.org/abs/2107.08430)."""

import warnings

import torch
from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult, labels_of
from mmdet.core.bbox.assigners.base_assigner import BaseAssigner
from mmdet.core.bbox.assigners.center_prior import depth_inside
from mmdet.core.bbox.builder import BBOX_ASSIGNERS
from mmdet.core.bbox.iou_calculators.iou2d_calculator import bbox_overlaps
from mmdet.ops.probability_loss import probability_cross_entropy

FAR_COST = 100000.0  # cost of a prior that is not both in the object and near its centre
NO_OVERLAP = -100000.0  # overlap of priors that no object considers


@BBOX_ASSIGNERS.register_module()
class SimOTAAssigner(BaseAssigner):
    """Each ground truth takes its cheapest priors, about as many as the sum of its best overlaps.

    Args:
        center_radius: priors within this distance of an object's centre, in strides, are near it.
        candidate_topk: so many of the best overlaps are summed up.
        iou_weight: weight of the cost ``-log(overlap)``.
        cls_weight: weight of the cost of the classification.
    """

    def __init__(
        self,
        center_radius: float = 2.5,
        candidate_topk: int = 10,
        iou_weight: float = 3.0,
        cls_weight: float = 1.0,
    ) -> None:
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight

    @torch.no_grad()
    def assign(
        self,
        pred_scores: Tensor,
        priors: Tensor,
        decoded_bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        """Assign the priors of one image; on the CPU where the device's memory does not suffice.

        Args:
            pred_scores: (n, K) in [0, 1].
            priors: (n, 4) centre x, centre y, stride x, stride y in px.
            decoded_bboxes: (n, 4) predicted boxes, xyxy px.
            gt_bboxes: (G, 4) xyxy px.
            gt_labels: (G,) long.
            gt_bboxes_ignore: not used.
            eps: added to overlaps, so that their logarithm is finite.

        Returns:
            Result of n priors; the overlap is -1e5 for priors that no object takes.
        """
        try:
            return self._assign(pred_scores, priors, decoded_bboxes, gt_bboxes, gt_labels, eps=eps)
        except torch.cuda.OutOfMemoryError:
            warnings.warn('SimOTAAssigner: out of device memory; this image is assigned on the CPU', stacklevel=2)
        # behind the handler: inside it the traceback would keep the tensors of the failed try alive
        torch.cuda.empty_cache()
        scores, centres, boxes = pred_scores.cpu(), priors.cpu(), decoded_bboxes.cpu()
        result = self._assign(scores, centres, boxes, gt_bboxes.cpu(), gt_labels.cpu(), eps=eps)
        for name in ('gt_inds', 'max_overlaps', 'labels'):
            setattr(result, name, getattr(result, name).to(pred_scores.device))
        return result

    def _assign(
        self,
        pred_scores: Tensor,
        priors: Tensor,
        decoded_bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
        gt_bboxes_ignore: Tensor | None = None,
        eps: float = 1e-7,
    ) -> AssignResult:
        num_gts, num_priors = len(gt_bboxes), len(priors)
        gt_inds = priors.new_zeros(num_priors, dtype=torch.long)
        near, in_box_and_center = self._nearness(priors, gt_bboxes)
        # how many priors are considered is all that the host has to wait for
        rows = near.nonzero().squeeze(1)
        max_overlaps = decoded_bboxes.new_zeros(num_priors)
        if num_gts == 0 or not len(rows):
            return AssignResult(num_gts, gt_inds, max_overlaps, torch.full_like(gt_inds, -1))
        overlaps = bbox_overlaps(decoded_bboxes[rows], gt_bboxes)  # (v, G)
        cost = self.cls_weight * classification_cost(pred_scores[rows], gt_labels)
        # a prior outside of box and centre costs more than any other: it is taken only when those run out
        cost = cost - self.iou_weight * torch.log(overlaps + eps) + FAR_COST * ~in_box_and_center[rows]
        matched, best_gt = self._matches(cost, overlaps)
        gt_inds[rows] = torch.where(matched, best_gt + 1, 0)
        found = overlaps.gather(1, best_gt[:, None])[:, 0]
        max_overlaps = torch.full_like(max_overlaps, NO_OVERLAP)
        max_overlaps[rows] = torch.where(matched, found, NO_OVERLAP)
        return AssignResult(num_gts, gt_inds, max_overlaps, labels_of(gt_inds, gt_labels))

    def _nearness(self, priors: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) bool: in some object or near some object's centre; (n, G) bool: in this object and near its centre."""
        in_gt = depth_inside(priors[:, :2], gt_bboxes) > 0
        gt_centers = (gt_bboxes[:, :2] + gt_bboxes[:, 2:]) / 2
        ways = (priors[:, None, :2] - gt_centers).abs()
        # in strides of the prior's own level: a radius in px would hold hundreds of fine priors and no coarse one
        near_center = (ways < self.center_radius * priors[:, None, 2:]).all(dim=-1)
        return (in_gt | near_center).any(dim=1), in_gt & near_center

    def get_in_gt_and_in_center_info(self, priors: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor]:
        """Which priors are considered.

        Args:
            priors: (n, 4) centre x, centre y, stride x, stride y in px.
            gt_bboxes: (G, 4) xyxy px.

        Returns:
            (n,) bool: in some object or near some object's centre; and for those v priors (v, G) bool: both in this
            object and near its centre.
        """
        valid, both = self._nearness(priors, gt_bboxes)
        return valid, both[valid]

    def dynamic_k_matching(
        self, cost: Tensor, pairwise_ious: Tensor, num_gt: int, valid_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let each ground truth take its cheapest priors; a prior that several take goes to the cheapest of them.

        Args:
            cost: (v, G).
            pairwise_ious: (v, G).
            num_gt: G.
            valid_mask: (n,) bool with v true entries; afterwards, in place, true for the matched priors only.

        Returns:
            Overlaps (m,) and ground truths (m,), from 0, of the matched priors.
        """
        matched, best_gt = self._matches(cost, pairwise_ious)
        valid_mask[valid_mask.clone()] = matched
        matched_gts = best_gt[matched]
        return pairwise_ious[matched].gather(1, matched_gts[:, None])[:, 0], matched_gts

    def _matches(self, cost: Tensor, overlaps: Tensor) -> tuple[Tensor, Tensor]:
        """Of costs and overlaps (v, G): (v,) bool whether a prior is matched, (v,) to which ground truth, from 0."""
        topk_ious = overlaps.topk(min(self.candidate_topk, len(overlaps)), dim=0).values
        # an object that many predictions overlap well deserves as many positives; each has at least one
        counts = topk_ious.sum(dim=0).int().clamp(min=1)
        # ranks in place of a topk for each object, as objects take different numbers of priors
        ranks = cost.argsort(dim=0, stable=True).argsort(dim=0)
        chosen = ranks < counts
        best_gt = cost.masked_fill(~chosen, torch.inf).argmin(dim=1)
        # a contested prior goes to the cheapest of all objects, also to one that did not choose it: YOLOX's published
        # numbers were made so
        contested = chosen.sum(dim=1) > 1
        return chosen.any(dim=1), torch.where(contested, cost.argmin(dim=1), best_gt)


def classification_cost(scores: Tensor, gt_labels: Tensor) -> Tensor:
    """(v, K) scores in [0, 1] and (G,) labels -> (v, G) binary cross entropy of the scores' roots, summed over K."""
    # a score is the product of the class's and of the objectness: the root is their geometric mean
    roots = scores.float().sqrt()
    of_class = probability_cross_entropy(roots, torch.ones_like(roots))
    of_others = probability_cross_entropy(roots, torch.zeros_like(roots))
    # the sum over classes that are none of the object's, with its own put right: (v, G, K) would be the largest tensor
    # of a training step
    return of_others.sum(dim=1, keepdim=True) + (of_class - of_others)[:, gt_labels.long()]
