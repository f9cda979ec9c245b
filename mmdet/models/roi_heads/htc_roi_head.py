"""The RoI head of Hybrid Task Cascade."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.cascade_roi_head import CascadeRoIHead
from mmdet.models.roi_heads.functional.cascade_stages import fuse_semantic, semantic_branch, train_semantic_branch
from mmdet.models.roi_heads.functional.cascade_test_mixin import Context
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch
from mmdet.models.roi_heads.test_mixins import Features


@HEADS.register_module()
class HybridTaskCascadeRoIHead(CascadeRoIHead):
    """Hybrid Task Cascade (https://arxiv.org/abs/1901.07518).

    Args:
        num_stages: number of stages S.
        stage_loss_weights: factor of each stage's losses.
        semantic_roi_extractor: pools from the semantic features.
        semantic_head: segments the image; None: there is no such branch.
        semantic_fusion: the branches, of ``'bbox'`` and ``'mask'``, whose RoI features get the semantic ones.
        interleaved: the masks of a stage are trained on the boxes that this very stage has refined.
        mask_info_flow: each mask head also gets the features of the one before; needs :class:`HTCMaskHead`.
        kwargs: those of :class:`CascadeRoIHead`.
    """

    def __init__(
        self,
        num_stages: int,
        stage_loss_weights: Sequence[float],
        semantic_roi_extractor: dict | None = None,
        semantic_head: dict | None = None,
        semantic_fusion: Sequence[str] = ('bbox', 'mask'),
        interleaved: bool = True,
        mask_info_flow: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_stages, stage_loss_weights, **kwargs)
        if semantic_head is not None:
            self.semantic_roi_extractor, self.semantic_head = semantic_branch(semantic_roi_extractor, semantic_head)
        self.semantic_fusion = semantic_fusion
        self.interleaved = interleaved
        self.mask_info_flow = mask_info_flow

    @property
    def with_semantic(self) -> bool:
        """Whether there is a semantic segmentation branch."""
        return self._has('semantic_head')

    def _image_context(self, x: Features) -> Context:
        return dict(semantic_feat=self.semantic_head(x)[1]) if self.with_semantic else {}

    def _fused(self, branch: str, roi_feats: Tensor, x: Features, rois: Tensor, semantic_feat: Tensor | None) -> Tensor:
        """RoI features (n, C, h, w) of a branch, plus the semantic ones where it gets them."""
        if not self.with_semantic or branch not in self.semantic_fusion:
            return roi_feats
        if semantic_feat is None:  # asked from outside a whole pass, as by hard-mining samplers
            semantic_feat = self.semantic_head(x)[1]
        return fuse_semantic(self.semantic_roi_extractor, roi_feats, semantic_feat, rois)

    def _bbox_forward(
        self, stage: int, x: Features, rois: Tensor, semantic_feat: Tensor | None = None
    ) -> dict[str, Any]:
        """Predictions of a stage for RoIs (n, 5): ``cls_score``, ``bbox_pred``; ``semantic_feat``: (N, C, H, W)."""
        extractor = self.bbox_roi_extractor[stage]
        bbox_feats = self._fused('bbox', extractor(x[: extractor.num_inputs], rois), x, rois, semantic_feat)
        cls_score, bbox_pred = self.bbox_head[stage](bbox_feats)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=bbox_feats)

    def _mask_forward(
        self, stage: int, x: Features, rois: Tensor, semantic_feat: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Predictions of a stage's mask branch for RoIs (n, 5): ``mask_pred``."""
        mask_feats = self._fused('mask', self._mask_features(stage, x, rois), x, rois, semantic_feat)
        return dict(mask_pred=self._mask_flow(mask_feats, stage)[-1])

    def _mask_flow(self, mask_feats: Tensor, last: int, all_stages: bool = False) -> list[Tensor]:
        """Mask logits (n, K, h, w) of stage ``last``, or of all stages up to it, for RoI features (n, C, h, w)."""
        if not self.mask_info_flow:
            stages = range(last + 1) if all_stages else [last]
            return [self.mask_head[stage](mask_feats, return_feat=False) for stage in stages]
        logits, res_feat = [], None
        for stage in range(last + 1):
            if all_stages or stage == last:
                stage_logits, res_feat = self.mask_head[stage](mask_feats, res_feat)
                logits.append(stage_logits)
            else:
                res_feat = self.mask_head[stage](mask_feats, res_feat, return_logits=False)
        return logits

    def _mask_predictions(self, x: Features, rois: Tensor, context: Context) -> list[Tensor]:
        last = self.num_stages - 1
        mask_feats = self._fused('mask', self._mask_features(last, x, rois), x, rois, context.get('semantic_feat'))
        return self._mask_flow(mask_feats, last, all_stages=True)

    def _mask_forward_test(
        self, stage: int, x: Features, bboxes: Tensor, semantic_feat: Tensor | None = None
    ) -> Tensor:
        """Mask logits of a stage for boxes (n, 4) px of one image."""
        return self._mask_forward(stage, x, bbox2roi([bboxes]), semantic_feat)['mask_pred']

    def _context_losses(
        self, batch: TrainingBatch, gt_semantic_seg: Tensor | None
    ) -> tuple[dict[str, Tensor], Context]:
        """``loss_semantic_seg`` and the semantic features, where there is such a branch."""
        return train_semantic_branch(self, batch, gt_semantic_seg)

    def aug_test(
        self,
        img_feats: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> list:
        """See :meth:`CascadeRoIHead.aug_test`."""
        return super().aug_test(img_feats, proposal_list, img_metas, rescale)
