"""The RoI head of Cascade R-CNN: stages of box and mask heads, each on the boxes that the one before refined."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.runner import ModuleList
from torch import Tensor

from mmdet.core.bbox.builder import build_assigner, build_sampler
from mmdet.core.bbox.transforms import bbox2result, bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_head, build_roi_extractor
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.roi_heads.functional.cascade_stages import mask_losses, name_stage_losses, refine_proposals
from mmdet.models.roi_heads.functional.cascade_test_mixin import CascadeTestMixin, Context
from mmdet.models.roi_heads.functional.compat import box_losses, call_with_img_metas
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch, assign_and_sample, needed_masks
from mmdet.models.roi_heads.test_mixins import Features, scale_tensor


@HEADS.register_module()
class CascadeRoIHead(BaseRoIHead, CascadeTestMixin):
    """Cascade R-CNN (https://arxiv.org/abs/1712.00726).

    Settings of a stage may be given once for all stages or as a list with one for each.

    Args:
        num_stages: number of stages S.
        stage_loss_weights: factor of each stage's losses.
        bbox_roi_extractor, bbox_head: box branch of each stage.
        mask_roi_extractor, mask_head: mask branch of each stage; no ``mask_head``: no such branch; without an
            extractor of its own it uses the box branch's.
        shared_head: must be None.
        train_cfg: a list of S settings (assigner, sampler, ``pos_weight``, ``mask_size``).
        test_cfg: as of :class:`BaseRoIHead`.
        pretrained, init_cfg: as of :class:`BaseRoIHead`.

    Attributes:
        current_stage: the stage that is being trained; hard-mining samplers read it.

    Raises:
        ValueError: no box branch, a shared head, or a list that does not have one entry for each stage.
    """

    interleaved = False  # whether the masks of a stage are trained on the boxes that this very stage has refined

    def __init__(
        self,
        num_stages: int,
        stage_loss_weights: Sequence[float],
        bbox_roi_extractor: dict | list[dict] | None = None,
        bbox_head: dict | list[dict] | None = None,
        mask_roi_extractor: dict | list[dict] | None = None,
        mask_head: dict | list[dict] | None = None,
        shared_head: dict | None = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        name = type(self).__name__
        if bbox_roi_extractor is None or bbox_head is None:
            raise ValueError(f'{name} needs a bbox_roi_extractor and a bbox_head')
        if shared_head is not None:
            raise ValueError(f'{name} takes no shared_head: its stages share no layers')
        self.num_stages = num_stages
        self.stage_loss_weights = stage_loss_weights
        self.current_stage = 0
        self._check_length('stage_loss_weights', stage_loss_weights)
        super().__init__(
            bbox_roi_extractor=bbox_roi_extractor,
            bbox_head=bbox_head,
            mask_roi_extractor=mask_roi_extractor,
            mask_head=mask_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )

    def _check_length(self, name: str, settings: Sequence[Any]) -> None:
        if len(settings) != self.num_stages:
            raise ValueError(f'{name}: expected {self.num_stages} entries, one for each stage, got {len(settings)}')

    def _build_stages(self, name: str, settings: dict | Sequence[dict], build: Any) -> ModuleList:
        """Parts of all stages, from one config for all or a list of configs."""
        of_stages = [settings] * self.num_stages if isinstance(settings, dict) else settings
        self._check_length(name, of_stages)
        return ModuleList([build(cfg) for cfg in of_stages])

    def init_bbox_head(self, bbox_roi_extractor: dict | list[dict], bbox_head: dict | list[dict]) -> None:
        """Build the box branch of each stage."""
        self.bbox_roi_extractor = self._build_stages('bbox_roi_extractor', bbox_roi_extractor, build_roi_extractor)
        self.bbox_head = self._build_stages('bbox_head', bbox_head, build_head)

    def init_mask_head(self, mask_roi_extractor: dict | list[dict] | None, mask_head: dict | list[dict]) -> None:
        """Build the mask branch of each stage; without an extractor of its own it pools as the box branch does."""
        self.mask_head = self._build_stages('mask_head', mask_head, build_head)
        self.share_roi_extractor = mask_roi_extractor is None
        self.mask_roi_extractor = (
            self.bbox_roi_extractor
            if mask_roi_extractor is None
            else self._build_stages('mask_roi_extractor', mask_roi_extractor, build_roi_extractor)
        )

    def init_assigner_sampler(self) -> None:
        """Build the assigner and the sampler of each stage."""
        self.bbox_assigner: list[Any] = []
        self.bbox_sampler: list[Any] = []
        if not self.train_cfg:
            return
        self._check_length('train_cfg', self.train_cfg)
        for stage, cfg in enumerate(self.train_cfg):
            self.current_stage = stage  # a sampler that mines takes the box head of this stage
            self.bbox_assigner.append(build_assigner(cfg.assigner))
            self.bbox_sampler.append(build_sampler(cfg.sampler, context=self))

    def forward_dummy(self, x: Features, proposals: Tensor) -> tuple[Tensor, ...]:
        """Raw predictions of all stages for proposals (n, 4) of one image: logits and box codes, then mask logits."""
        outs: tuple[Tensor, ...] = ()
        context = self._image_context(x)
        rois = bbox2roi([proposals])
        for stage in range(self.num_stages):
            results = self._bbox_forward(stage, x, rois, **context)
            outs += (results['cls_score'], results['bbox_pred'])
        if self.with_mask:
            outs += tuple(self._mask_predictions(x, rois[:100], context))  # as many as a test keeps
        return outs

    def _image_context(self, x: Features) -> Context:
        """What is computed once for whole images and given to each stage; subclasses fill it."""
        return {}

    def _bbox_forward(self, stage: int, x: Features, rois: Tensor) -> dict[str, Any]:
        """Features and predictions of a stage for RoIs (n, 5): ``cls_score``, ``bbox_pred``, ``bbox_feats``."""
        extractor = self.bbox_roi_extractor[stage]
        bbox_feats = extractor(x[: extractor.num_inputs], rois)
        cls_score, bbox_pred = self.bbox_head[stage](bbox_feats)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=bbox_feats)

    def _bbox_forward_train(
        self,
        stage: int,
        x: Features,
        sampling_results: list[Any],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        rcnn_train_cfg: Any,
        *,
        img_metas: list[ImgMeta] | None = None,
        **context: Tensor,
    ) -> dict[str, Any]:
        """Predictions of a stage's box branch, ``rois``, ``bbox_targets`` and, as ``loss_bbox``, a dict of losses."""
        head = self.bbox_head[stage]
        rois = bbox2roi([res.bboxes for res in sampling_results])
        bbox_results = self._bbox_forward(stage, x, rois, **context)
        # the meta information carries the weight of each image
        targets = call_with_img_metas(
            head.get_targets, sampling_results, gt_bboxes, gt_labels, rcnn_train_cfg, img_metas=img_metas
        )
        loss_bbox = box_losses(head, bbox_results, rois, targets, img_metas)
        bbox_results.update(loss_bbox=loss_bbox, rois=rois, bbox_targets=targets)
        return bbox_results

    def _mask_forward(self, stage: int, x: Features, rois: Tensor) -> dict[str, Tensor]:
        """Predictions of a stage's mask branch for RoIs (n, 5): ``mask_pred``."""
        return dict(mask_pred=self.mask_head[stage](self._mask_features(stage, x, rois)))

    def _mask_features(self, stage: int, x: Features, rois: Tensor) -> Tensor:
        """RoI features (n, C, h, w) of a stage's mask branch."""
        extractor = self.mask_roi_extractor[stage]
        return extractor(x[: extractor.num_inputs], rois)

    def _mask_forward_train(
        self,
        stage: int,
        x: Features,
        sampling_results: list[Any],
        gt_masks: list[Any],
        rcnn_train_cfg: Any,
        bbox_feats: Tensor | None = None,
        *,
        img_metas: list[ImgMeta] | None = None,
        **context: Tensor,
    ) -> dict[str, Any]:
        """Predictions of a stage's mask branch for the positives and, as ``loss_mask``, the dict of its losses."""
        rois = bbox2roi([res.pos_bboxes for res in sampling_results])
        mask_results: dict[str, Any] = self._mask_forward(stage, x, rois, **context)
        loss_mask = mask_losses(
            self.mask_head[stage], mask_results['mask_pred'], sampling_results, gt_masks, rcnn_train_cfg, img_metas
        )
        mask_results.update(loss_mask=loss_mask)
        return mask_results

    def forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
        gt_semantic_seg: Tensor | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch of N images.

        Args:
            x: feature maps.
            img_metas: meta information of each image.
            proposal_list: N times (n_i, 4) or (n_i, 5), xyxy px first.
            gt_bboxes: N times (g_i, 4) px.
            gt_labels: N times (g_i,) in ``[0, K)``.
            gt_bboxes_ignore: N times (h_i, 4) px: regions that are neither object nor background.
            gt_masks: N mask structures.
            gt_semantic_seg: (N, 1, H, W) classes, at the size of the fused feature map; for a semantic branch.
            kwargs: unused here.

        Returns:
            For each stage s ``s{s}.loss_cls``, ``s{s}.acc``, ``s{s}.loss_bbox`` and, with a mask branch,
            ``s{s}.loss_mask``; and those of branches that a subclass adds. All are there whatever was sampled.
        """
        batch = TrainingBatch(x, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks)
        losses, context = self._context_losses(batch, gt_semantic_seg)
        stage_losses, sampled, results = self._train_stages(batch, proposal_list, context)
        return {**losses, **stage_losses, **self._losses_behind_stages(batch, sampled, results, context)}

    def _context_losses(
        self, batch: TrainingBatch, gt_semantic_seg: Tensor | None
    ) -> tuple[dict[str, Tensor], Context]:
        """Losses of the branches that look at whole images, and what all stages get of them."""
        return {}, {}

    def _losses_behind_stages(
        self, batch: TrainingBatch, sampled: list[Any], bbox_results: dict[str, Any], context: Context
    ) -> dict[str, Tensor]:
        """Losses that need the sampling results and the box results of the last stage."""
        return {}

    def _train_stages(
        self, batch: TrainingBatch, proposals: list[Tensor], context: Context
    ) -> tuple[dict[str, Tensor], list[Any], dict[str, Any]]:
        """Losses of all stages; the sampling results and the box results of the last one."""
        losses: dict[str, Tensor] = {}
        for stage in range(self.num_stages):
            self.current_stage = stage
            # matched anew in each stage: better boxes, and a stricter threshold for what is a positive
            sampled = self._sample(stage, batch, proposals)
            results = call_with_img_metas(
                self._bbox_forward_train,
                stage,
                batch.x,
                sampled,
                batch.gt_bboxes,
                batch.gt_labels,
                self.train_cfg[stage],
                img_metas=batch.img_metas,
                **context,
            )
            # what the last stage refines has no reader, but where the mask branch looks at refined boxes
            if self.interleaved or stage + 1 < self.num_stages:
                proposals = refine_proposals(self.bbox_head[stage], results, sampled, batch.img_metas)
            stage_losses = {
                **results['loss_bbox'],
                **self._stage_mask_losses(stage, batch, sampled, proposals, context),
            }
            losses.update(name_stage_losses(stage_losses, stage, self.stage_loss_weights[stage]))
        return losses, sampled, results

    def _sample(self, stage: int, batch: TrainingBatch, proposals: list[Tensor]) -> list[Any]:
        """Sampling results of a stage, one for each image."""
        return assign_and_sample(self.bbox_assigner[stage], self.bbox_sampler[stage], batch, proposals)[1]

    def _stage_mask_losses(
        self, stage: int, batch: TrainingBatch, sampled: list[Any], refined: list[Tensor], context: Context
    ) -> dict[str, Tensor]:
        """Losses of a stage's mask branch; empty without one."""
        if not self.with_mask:
            return {}
        # the refined boxes overlap objects better than what this stage's sample was drawn from: match them anew
        if self.interleaved:
            sampled = self._sample(stage, batch, refined)
        mask_args = (stage, batch.x, sampled, needed_masks(batch.gt_masks), self.train_cfg[stage])
        results = call_with_img_metas(self._mask_forward_train, *mask_args, img_metas=batch.img_metas, **context)
        return results['loss_mask']

    def _mask_predictions(self, x: Features, rois: Tensor, context: Context) -> list[Tensor]:
        """Mask logits (n, K, h, w) of each stage for RoIs (n, 5)."""
        return [self._mask_forward(stage, x, rois, **context)['mask_pred'] for stage in range(self.num_stages)]

    def simple_test(
        self, x: Features, proposal_list: list[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> list:
        """Results of each of N images.

        Args:
            x: feature maps.
            proposal_list: N times (n_i, 4) or (n_i, 5), xyxy px first.
            img_metas: meta information of each image.
            rescale: results in px of the original image.

        Returns:
            For each image a list of (k, 5) arrays, one for each class; with a mask branch a pair of it and the masks.
        """
        context = self._image_context(x)
        det_bboxes, det_labels = self.simple_test_bboxes(x, img_metas, proposal_list, self.test_cfg, rescale, context)
        bbox_results = [
            bbox2result(dets, labels, self.bbox_head[-1].num_classes) for dets, labels in zip(det_bboxes, det_labels)
        ]
        if not self.with_mask:
            return bbox_results
        masks = self.simple_test_mask(x, img_metas, det_bboxes, det_labels, rescale, context)
        return list(zip(bbox_results, masks))

    def aug_test(
        self,
        features: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> list:
        """Results of one image, merged from V views of it.

        Args:
            features: feature maps of each view.
            proposal_list: one tensor (n, 4) or (n, 5), xyxy px of the original image first.
            img_metas: V lists of one dict.
            rescale: results in px of the original image, else of the first view.

        Returns:
            A list of one result, as in :meth:`simple_test`.
        """
        contexts = [self._image_context(x) for x in features]
        dets, labels = self.aug_test_bboxes(features, img_metas, proposal_list, self.test_cfg, contexts)
        shown = dets
        if not rescale:
            scale = scale_tensor(img_metas[0][0]['scale_factor'], dets)
            shown = torch.cat([dets[:, :4] * scale, dets[:, 4:]], dim=1)
        bbox_result = bbox2result(shown, labels, self.bbox_head[-1].num_classes)
        if not self.with_mask:
            return [bbox_result]
        return [(bbox_result, self.aug_test_mask(features, img_metas, dets, labels, contexts))]
