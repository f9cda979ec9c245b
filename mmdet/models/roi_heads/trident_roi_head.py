"""The RoI head of TridentNet (https://arxiv.org/abs/1901.01892)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2result, bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.post_processing.merge_augs import merge_aug_bboxes
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features, view_boxes
from mmdet.ops import batched_nms


@HEADS.register_module()
class TridentRoIHead(StandardRoIHead):
    """Merges what the branches of the backbone find.

    A batch of N images comes as B * N images, B branches in use, all images of a branch together.

    Args:
        num_branch: number of branches.
        test_branch_idx: the branch that is used in a test; -1: all.
        kwargs: those of :class:`StandardRoIHead`.
    """

    def __init__(self, num_branch: int, test_branch_idx: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_branch = num_branch
        self.test_branch_idx = test_branch_idx

    @property
    def num_test_branches(self) -> int:
        """Branches that a test uses."""
        return self.num_branch if self.test_branch_idx == -1 else 1

    def merge_trident_bboxes(self, trident_det_bboxes: Tensor, trident_det_labels: Tensor) -> tuple[Tensor, Tensor]:
        """Detections (n, 5) and labels (n,) of all branches -> those that suppression leaves, best first."""
        if not len(trident_det_bboxes):
            return trident_det_bboxes, trident_det_labels
        dets, keep = batched_nms(
            trident_det_bboxes[:, :4], trident_det_bboxes[:, 4].contiguous(), trident_det_labels, self.test_cfg['nms']
        )
        labels = trident_det_labels[keep]
        limit = self.test_cfg['max_per_img']
        return (dets[:limit], labels[:limit]) if limit > 0 else (dets, labels)

    def simple_test(
        self,
        x: Features,
        proposal_list: list[Tensor],
        img_metas: list[ImgMeta],
        proposals: list[Tensor] | None = None,
        rescale: bool = False,
    ) -> list:
        """Results of each of N images.

        Args:
            x: feature maps of the B * N images.
            proposal_list: B * N times (n_i, 4) or (n_i, 5), xyxy px first.
            img_metas: meta information of the B * N images.
            proposals: unused.
            rescale: results in px of the original image.

        Returns:
            N times, for each class an array (k, 5).

        Raises:
            ValueError: there is no box branch.
        """
        self._check_with_bbox()
        dets, labels = self.simple_test_bboxes(x, img_metas, proposal_list, self.test_cfg, rescale=rescale)
        num_images = len(dets) // self.num_test_branches
        results = []
        for i in range(num_images):
            # the same image in all branches, which find objects of middling size several times
            merged = self.merge_trident_bboxes(torch.cat(dets[i::num_images]), torch.cat(labels[i::num_images]))
            results.append(bbox2result(*merged, self.bbox_head.num_classes))
        return results

    def onnx_export(
        self, x: Features, proposals: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> tuple[Tensor, ...]:
        """As of :meth:`StandardRoIHead.onnx_export`, by the one branch that a test uses.

        Raises:
            NotImplementedError: a test uses several.
        """
        if self.num_test_branches > 1:
            raise NotImplementedError('several branches cannot be exported; set test_branch_idx to one of them')
        return super().onnx_export(x, proposals, img_metas, rescale)

    def aug_test_bboxes(
        self,
        feats: list[Features],
        img_metas: list[list[ImgMeta]],
        proposal_list: list[Tensor],
        rcnn_test_cfg: Any,
    ) -> tuple[Tensor, Tensor]:
        """Detections of one image, from the mean over V views of it, of all branches together.

        Args:
            feats: feature maps of each view, B images each.
            img_metas: V lists whose first dict is that view's.
            proposal_list: B tensors (n_b, 4) or (n_b, 5), xyxy px of the original image first.
            rcnn_test_cfg: has ``score_thr``, ``nms`` and ``max_per_img``.

        Returns:
            Detections (k, 5), px of the original image, and labels (k,).
        """
        boxes, scores = [], []
        for x, (img_meta, *_) in zip(feats, img_metas):
            rois = bbox2roi([view_boxes(proposals[:, :4], img_meta) for proposals in proposal_list])
            results = self._bbox_forward(x, rois)
            view = self.bbox_head.get_bboxes(
                rois, results['cls_score'], results['bbox_pred'], img_meta['img_shape'], img_meta['scale_factor']
            )
            boxes.append(view[0])
            scores.append(view[1])
        merged_boxes, merged_scores = merge_aug_bboxes(boxes, scores, img_metas, rcnn_test_cfg)
        return multiclass_nms(
            merged_boxes, merged_scores, rcnn_test_cfg.score_thr, rcnn_test_cfg.nms, rcnn_test_cfg.max_per_img
        )
