"""The RoI head of SCNet."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head, build_roi_extractor
from mmdet.models.roi_heads.cascade_roi_head import CascadeRoIHead
from mmdet.models.roi_heads.functional.cascade_stages import (
    fuse_semantic,
    mask_losses,
    semantic_branch,
    train_semantic_branch,
)
from mmdet.models.roi_heads.functional.cascade_test_mixin import Context
from mmdet.models.roi_heads.functional.compat import call_with_img_metas
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch, needed_masks
from mmdet.models.roi_heads.standard_roi_head import positive_rows
from mmdet.models.roi_heads.test_mixins import Features


@HEADS.register_module()
class SCNetRoIHead(CascadeRoIHead):
    """Stages of box heads, then one mask head (https://arxiv.org/abs/2012.10150).

    The mask head is trained on the boxes that it sees in a test, those of the last stage, and gets the last box
    head's features. Semantic features and features of the whole image are added to all RoI features.

    Args:
        num_stages: number of stages S.
        stage_loss_weights: factor of each stage's losses; their sum is the factor of the mask loss.
        semantic_roi_extractor: pools from the semantic features.
        semantic_head: segments the image; None: there is no such branch.
        feat_relay_head: brings box features to the mask branch; None: they stay.
        glbctx_head: looks at whole images; None: there is no such branch.
        kwargs: those of :class:`CascadeRoIHead`; ``mask_head`` and ``mask_roi_extractor`` are single configs.
    """

    def __init__(
        self,
        num_stages: int,
        stage_loss_weights: Sequence[float],
        semantic_roi_extractor: dict | None = None,
        semantic_head: dict | None = None,
        feat_relay_head: dict | None = None,
        glbctx_head: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_stages, stage_loss_weights, **kwargs)
        if semantic_head is not None:
            self.semantic_roi_extractor, self.semantic_head = semantic_branch(semantic_roi_extractor, semantic_head)
        if feat_relay_head is not None:
            self.feat_relay_head = build_head(feat_relay_head)
        if glbctx_head is not None:
            self.glbctx_head = build_head(glbctx_head)

    def init_mask_head(self, mask_roi_extractor: dict | None, mask_head: dict) -> None:
        """Build the mask branch; without an extractor of its own it pools as the last stage's box branch does."""
        self.mask_roi_extractor = (
            self.bbox_roi_extractor[-1] if mask_roi_extractor is None else build_roi_extractor(mask_roi_extractor)
        )
        self.mask_head = build_head(mask_head)

    @property
    def with_semantic(self) -> bool:
        """Whether there is a semantic segmentation branch."""
        return self._has('semantic_head')

    @property
    def with_feat_relay(self) -> bool:
        """Whether the mask branch gets features of the box branch."""
        return self._has('feat_relay_head')

    @property
    def with_glbctx(self) -> bool:
        """Whether there is a branch that looks at whole images."""
        return self._has('glbctx_head')

    def _image_context(self, x: Features) -> Context:
        context: Context = {}
        if self.with_semantic:
            context['semantic_feat'] = self.semantic_head(x)[1]
        if self.with_glbctx:
            context['glbctx_feat'] = self.glbctx_head(x)[1]
        return context

    def _fuse_glbctx(self, roi_feats: Tensor, glbctx_feat: Tensor, rois: Tensor) -> Tensor:
        """RoI features (n, C, h, w) plus features (N, C, 1, 1) of the image of each RoI (n, 5)."""
        return roi_feats + glbctx_feat[rois[:, 0].long()]

    def _fused(
        self, roi_feats: Tensor, x: Features, rois: Tensor, semantic_feat: Tensor | None, glbctx_feat: Tensor | None
    ) -> Tensor:
        """RoI features (n, C, h, w) plus the semantic ones and those of whole images."""
        if semantic_feat is None and glbctx_feat is None:  # asked from outside a whole pass, as by mining samplers
            context = self._image_context(x)
            semantic_feat, glbctx_feat = context.get('semantic_feat'), context.get('glbctx_feat')
        if semantic_feat is not None:
            roi_feats = fuse_semantic(self.semantic_roi_extractor, roi_feats, semantic_feat, rois)
        return roi_feats if glbctx_feat is None else self._fuse_glbctx(roi_feats, glbctx_feat, rois)

    def _slice_pos_feats(self, feats: Tensor, sampling_results: Sequence[Any]) -> Tensor:
        """Features (n, ...) of all sampled boxes -> those of the positives."""
        return feats[positive_rows(sampling_results)]

    def _bbox_forward(
        self,
        stage: int,
        x: Features,
        rois: Tensor,
        semantic_feat: Tensor | None = None,
        glbctx_feat: Tensor | None = None,
    ) -> dict[str, Any]:
        """Predictions of a stage for RoIs (n, 5): ``cls_score``, ``bbox_pred``, ``relayed_feat``, ``bbox_feats``.

        Args:
            stage: number of the stage; -1 is the last.
            x: feature maps.
            rois: (n, 5).
            semantic_feat: (N, C, H, W).
            glbctx_feat: (N, C, 1, 1).
        """
        extractor = self.bbox_roi_extractor[stage]
        pooled = extractor(x[: extractor.num_inputs], rois)
        bbox_feats = self._fused(pooled, x, rois, semantic_feat, glbctx_feat)
        cls_score, bbox_pred, relayed_feat = self.bbox_head[stage](bbox_feats, return_shared_feat=True)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, relayed_feat=relayed_feat, bbox_feats=bbox_feats)

    def _mask_forward(
        self,
        x: Features,
        rois: Tensor,
        semantic_feat: Tensor | None = None,
        glbctx_feat: Tensor | None = None,
        relayed_feat: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Predictions of the mask branch for RoIs (n, 5): ``mask_pred``; ``relayed_feat``: (n, C, h, w)."""
        pooled = self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois)
        mask_feats = self._fused(pooled, x, rois, semantic_feat, glbctx_feat)
        if relayed_feat is not None:
            mask_feats = mask_feats + relayed_feat
        return dict(mask_pred=self.mask_head(mask_feats))

    def _mask_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        gt_masks: list[Any],
        rcnn_train_cfg: Any,
        semantic_feat: Tensor | None = None,
        glbctx_feat: Tensor | None = None,
        relayed_feat: Tensor | None = None,
        img_metas: list[ImgMeta] | None = None,
    ) -> dict[str, Any]:
        """Predictions of the mask branch for the positives and, as ``loss_mask``, the dict of its losses."""
        rois = bbox2roi([res.pos_bboxes for res in sampling_results])
        mask_results: dict[str, Any] = self._mask_forward(x, rois, semantic_feat, glbctx_feat, relayed_feat)
        loss_mask = mask_losses(
            self.mask_head, mask_results['mask_pred'], sampling_results, gt_masks, rcnn_train_cfg, img_metas
        )
        mask_results.update(loss_mask=loss_mask)
        return mask_results

    def _stage_mask_losses(self, *args: Any) -> dict[str, Tensor]:
        """None: the one mask head is trained after the last stage."""
        return {}

    def _losses_behind_stages(
        self, batch: TrainingBatch, sampled: list[Any], bbox_results: dict[str, Any], context: Context
    ) -> dict[str, Tensor]:
        """Losses of the mask branch."""
        if not self.with_mask:
            return {}
        relayed_feat = None
        if self.with_feat_relay:
            relayed_feat = self.feat_relay_head(self._slice_pos_feats(bbox_results['relayed_feat'], sampled))
        losses = call_with_img_metas(
            self._mask_forward_train,
            batch.x,
            sampled,
            needed_masks(batch.gt_masks),
            self.train_cfg[-1],
            **context,
            relayed_feat=relayed_feat,
            img_metas=batch.img_metas,
        )['loss_mask']
        return {name: value * sum(self.stage_loss_weights) for name, value in losses.items()}

    def _context_losses(
        self, batch: TrainingBatch, gt_semantic_seg: Tensor | None
    ) -> tuple[dict[str, Tensor], Context]:
        """``loss_semantic_seg`` and ``loss_glbctx``, and the features of both, of those branches that are there."""
        losses, context = train_semantic_branch(self, batch, gt_semantic_seg)
        if self.with_glbctx:
            classes, context['glbctx_feat'] = self.glbctx_head(batch.x)
            rows = ([1] * len(batch.img_metas), batch.img_metas, classes, batch.gt_labels)
            losses['loss_glbctx'] = loss_of_rows(self.glbctx_head, *rows)
        return losses, context

    def _mask_predictions(self, x: Features, rois: Tensor, context: Context) -> list[Tensor]:
        relayed_feat = None
        if self.with_feat_relay:
            relayed_feat = self.feat_relay_head(self._bbox_forward(-1, x, rois, **context)['relayed_feat'])
        return [self._mask_forward(x, rois, **context, relayed_feat=relayed_feat)['mask_pred']]

    def _last_mask_head(self) -> torch.nn.Module:
        return self.mask_head

    def aug_test(
        self,
        img_feats: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> list:
        """See :meth:`CascadeRoIHead.aug_test`."""
        return super().aug_test(img_feats, proposal_list, img_metas, rescale)
