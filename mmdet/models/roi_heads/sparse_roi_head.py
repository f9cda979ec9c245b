"""The RoI head of Sparse R-CNN and QueryInst: stages that refine learnt boxes and queries.

N: images; P: proposals of each; C: channels of a query; K: classes. Boxes are xyxy px of the network input.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.utils import to_2tuple
from torch import Tensor

from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.bbox.transforms import bbox2result, bbox2roi, bbox_xyxy_to_cxcywh
from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.models.builder import HEADS
from mmdet.models.roi_heads.cascade_roi_head import CascadeRoIHead
from mmdet.models.roi_heads.functional.best_pairs import best_pairs
from mmdet.models.roi_heads.functional.cascade_stages import mask_losses
from mmdet.models.roi_heads.functional.compat import attached_zero_of, call_with_img_metas
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch, needed_masks
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels
from mmdet.models.roi_heads.test_mixins import Features, Masks, scale_tensor

# Defaults of the constructor, which are part of its signature; never written to.
BBOX_ROI_EXTRACTOR = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
    out_channels=256,
    featmap_strides=[4, 8, 16, 32],
)
BBOX_HEAD = dict(
    type='DIIHead',
    num_classes=80,
    num_fcs=2,
    num_heads=8,
    num_cls_fcs=1,
    num_reg_fcs=3,
    feedforward_channels=2048,
    hidden_channels=256,
    dropout=0.0,
    roi_feat_size=7,
    ffn_act_cfg=dict(type='ReLU', inplace=True),
)


@HEADS.register_module()
class SparseRoIHead(CascadeRoIHead):
    """Sparse R-CNN (https://arxiv.org/abs/2011.12450); with a mask branch QueryInst (https://arxiv.org/abs/2105.01928).

    Each stage filters the features of its boxes with their queries, classifies, and gives the next stage better boxes
    and queries. An object has one proposal, so no suppression is needed.

    Args:
        num_stages: number of stages S.
        stage_loss_weights: factor of each stage's losses.
        proposal_feature_channel: channels of a query.
        bbox_roi_extractor, mask_roi_extractor, bbox_head, mask_head, pretrained, init_cfg: see
            :class:`CascadeRoIHead`; the box head is a :class:`DIIHead`, whose settings must be given.
        train_cfg: a list of S settings (assigner, sampler, ``pos_weight``, ``mask_size``).
        test_cfg: ``max_per_img`` and, with masks, ``mask_thr_binary``.

    Raises:
        TypeError: a sampler is no :class:`PseudoSampler`.
    """

    def __init__(
        self,
        num_stages: int = 6,
        stage_loss_weights: Sequence[float] = (1, 1, 1, 1, 1, 1),
        proposal_feature_channel: int = 256,
        bbox_roi_extractor: dict | list[dict] = BBOX_ROI_EXTRACTOR,
        mask_roi_extractor: dict | list[dict] | None = None,
        bbox_head: dict | list[dict] = BBOX_HEAD,
        mask_head: dict | list[dict] | None = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            num_stages,
            stage_loss_weights,
            bbox_roi_extractor=bbox_roi_extractor,
            bbox_head=bbox_head,
            mask_roi_extractor=mask_roi_extractor,
            mask_head=mask_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        self.proposal_feature_channel = proposal_feature_channel
        for stage, sampler in enumerate(self.bbox_sampler):
            if not isinstance(sampler, PseudoSampler):
                raise TypeError(
                    f'train_cfg[{stage}].sampler: {type(self).__name__} matches one proposal with each object and '
                    f'needs a PseudoSampler, got {type(sampler).__name__}'
                )

    def _bbox_forward(
        self, stage: int, x: Features, rois: Tensor, object_feats: Tensor, img_metas: Sequence[ImgMeta]
    ) -> dict[str, Any]:
        """Predictions of a stage.

        Args:
            stage: number of the stage.
            x: feature maps.
            rois: (N P, 5), image by image.
            object_feats: (N, P, C) queries.
            img_metas: has ``img_shape`` of each image.

        Returns:
            ``cls_score`` (N, P, K or K + 1), ``decode_bbox_pred`` (N P, 4) px, ``object_feats`` and ``attn_feats``
            (N, P, C), ``detach_cls_score_list`` and ``detach_proposal_list``, N tensors each, without the graph.
        """
        extractor, head = self.bbox_roi_extractor[stage], self.bbox_head[stage]
        roi_feats = extractor(x[: extractor.num_inputs], rois)
        cls_score, bbox_pred, object_feats, attn_feats = head(roi_feats, object_feats)
        num_proposals = cls_score.size(1)
        no_labels = rois.new_zeros(num_proposals, dtype=torch.long)
        # the gradient of the decoded boxes reaches the box codes
        boxes = [
            head.regress_by_class(of_image[:, 1:], no_labels, pred, meta)
            for of_image, pred, meta in zip(rois.split(num_proposals), bbox_pred, img_metas)
        ]
        return dict(
            cls_score=cls_score,
            decode_bbox_pred=torch.cat(boxes),
            object_feats=object_feats,
            attn_feats=attn_feats,
            detach_cls_score_list=list(cls_score.detach()),
            detach_proposal_list=[box.detach() for box in boxes],
        )

    def _mask_forward(self, stage: int, x: Features, rois: Tensor, attn_feats: Tensor) -> dict[str, Tensor]:
        """Mask logits of a stage for RoIs (n, 5) and their queries (n, C): ``mask_pred`` (n, K, h, w)."""
        return dict(mask_pred=self.mask_head[stage](self._mask_features(stage, x, rois), attn_feats))

    def _mask_forward_train(
        self,
        stage: int,
        x: Features,
        attn_feats: Tensor,
        sampling_results: list[Any],
        gt_masks: list[Any],
        rcnn_train_cfg: Any,
        *,
        img_metas: list[ImgMeta] | None = None,
    ) -> dict[str, Any]:
        """Predictions of a stage's mask branch for the positives and, as ``loss_mask``, the dict of its losses."""
        rois = bbox2roi([res.pos_bboxes for res in sampling_results])
        queries = torch.cat([feats[res.pos_inds] for feats, res in zip(attn_feats, sampling_results)])
        head = self.mask_head[stage]
        if len(rois):
            mask_pred = self._mask_forward(stage, x, rois, queries)['mask_pred']
        else:  # batch normalisation has no statistics of nothing, but the parameters must be in the graph
            shape = (0, head.num_classes, *to_2tuple(rcnn_train_cfg.mask_size))
            mask_pred = rois.new_zeros(shape) + attached_zero_of(head)
        losses = mask_losses(head, mask_pred, sampling_results, gt_masks, rcnn_train_cfg, img_metas)
        # the mean over this process's positives becomes one over all processes' mean number of them
        num_pos = rois.new_full((), len(rois))
        factor = num_pos / reduce_mean(num_pos).clamp(min=1)
        return dict(mask_pred=mask_pred, loss_mask={name: loss * factor for name, loss in losses.items()})

    def forward_train(
        self,
        x: Features,
        proposal_boxes: Tensor,
        proposal_features: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        imgs_whwh: Any = None,
        gt_masks: list[Any] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch of N images.

        Args:
            x: feature maps.
            proposal_boxes: (N, P, 4).
            proposal_features: (N, P, C) queries.
            img_metas: meta information of each image.
            gt_bboxes, gt_labels: N times (g_i, 4) px and (g_i,) in ``[0, K)``.
            gt_bboxes_ignore: not used: the matching knows no such regions.
            imgs_whwh: (N, 1, 4) width, height, width, height of each image, px; must be given.
            gt_masks: N mask structures.

        Returns:
            For each stage s ``stage{s}_loss_cls``, ``_pos_acc``, ``_loss_bbox``, ``_loss_iou`` and, with a mask branch,
            ``_loss_mask``. All are there whatever was matched.
        """
        batch = TrainingBatch(x, img_metas, gt_bboxes, gt_labels, None, gt_masks)
        proposals, object_feats = list(proposal_boxes), proposal_features
        losses = {}
        for stage, weight in enumerate(self.stage_loss_weights):
            self.current_stage = stage
            results = self._bbox_forward(stage, x, bbox2roi(proposals), object_feats, img_metas)
            sampled = self._match(stage, batch, results, imgs_whwh)
            of_stage = self._bbox_losses(stage, batch, results, sampled, imgs_whwh)
            if self.with_mask:
                masks = (sampled, needed_masks(gt_masks), self.train_cfg[stage])
                of_masks = self._mask_forward_train(stage, x, results['attn_feats'], *masks, img_metas=img_metas)
                of_stage.update(of_masks['loss_mask'])
            losses.update({f'stage{stage}_{name}': value * weight for name, value in of_stage.items()})
            proposals, object_feats = results['detach_proposal_list'], results['object_feats']
        return losses

    def _match(self, stage: int, batch: TrainingBatch, results: dict[str, Any], imgs_whwh: Tensor) -> list[Any]:
        """Sampling results of each image: its objects matched with what a stage predicts."""
        sampled = []
        for i, (scores, boxes) in enumerate(zip(results['detach_cls_score_list'], results['detach_proposal_list'])):
            gts, labels, meta = batch.gt_bboxes[i], batch.gt_labels[i], batch.img_metas[i]
            fractions = bbox_xyxy_to_cxcywh(boxes / imgs_whwh[i])
            assigned = self.bbox_assigner[stage].assign(fractions, scores, gts, labels, meta)
            sampled.append(self.bbox_sampler[stage].sample(assigned, boxes, gts, labels, img_metas=meta))
        return sampled

    def _bbox_losses(
        self, stage: int, batch: TrainingBatch, results: dict[str, Any], sampled: list[Any], imgs_whwh: Tensor
    ) -> dict[str, Tensor]:
        """Losses of a stage's box branch."""
        head, cls_score = self.bbox_head[stage], results['cls_score']
        # the meta information carries the weight of each image
        truth = (sampled, batch.gt_bboxes, batch.gt_labels, self.train_cfg[stage], True)
        targets = call_with_img_metas(head.get_targets, *truth, img_metas=batch.img_metas)
        rows = (cls_score.flatten(0, 1), results['decode_bbox_pred'], *targets)
        sizes = imgs_whwh.expand(-1, cls_score.size(1), -1)
        return call_with_img_metas(head.loss, *rows, img_metas=batch.img_metas, imgs_whwh=sizes)

    def _run_all_stages(
        self, x: Features, proposal_boxes: Tensor, proposal_features: Tensor, img_metas: list[ImgMeta]
    ) -> list[dict[str, Any]]:
        """What :meth:`_bbox_forward` gives for each stage, each on the boxes and queries of the one before."""
        proposals, object_feats = list(proposal_boxes), proposal_features
        outputs = []
        for stage in range(self.num_stages):
            outputs.append(self._bbox_forward(stage, x, bbox2roi(proposals), object_feats, img_metas))
            proposals, object_feats = outputs[-1]['detach_proposal_list'], outputs[-1]['object_feats']
        return outputs

    def simple_test(
        self,
        x: Features,
        proposal_boxes: Tensor,
        proposal_features: Tensor,
        img_metas: list[ImgMeta],
        imgs_whwh: Tensor,
        rescale: bool = False,
    ) -> list:
        """Results of each of N images.

        Args:
            x, proposal_boxes, proposal_features, img_metas: as of :meth:`forward_train`.
            imgs_whwh: not used.
            rescale: results in px of the original image.

        Returns:
            For each image a list of (k, 5) arrays, one for each class; with a mask branch a pair of it and the masks.
        """
        num_classes = self.bbox_head[-1].num_classes
        if not any(map(len, proposal_boxes)):
            nothing = [np.zeros((0, 5), np.float32)] * num_classes
            masks: Masks = [[] for _ in nothing]
            return [(nothing, masks) if self.with_mask else nothing for _ in img_metas]
        boxes, scores, labels, queries = self._best_of_queries(x, proposal_boxes, proposal_features, img_metas)
        dets = [
            torch.cat([box / scale_tensor(meta['scale_factor'], box) if rescale else box, score[:, None]], dim=1)
            for box, score, meta in zip(boxes, scores, img_metas)
        ]
        bbox_results = [bbox2result(det, label, num_classes) for det, label in zip(dets, labels)]
        if not self.with_mask:
            return bbox_results
        return list(zip(bbox_results, self._masks_of(x, boxes, queries, labels, img_metas, rescale)))

    def _best_of_queries(
        self, x: Features, proposal_boxes: Tensor, proposal_features: Tensor, img_metas: list[ImgMeta]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes (N, k, 4), scores (N, k), labels (N, k) and queries (N, k, C) of the detections of the last stage."""
        last = self._run_all_stages(x, proposal_boxes, proposal_features, img_metas)[-1]
        boxes = torch.stack(last['detach_proposal_list'])  # (N, P, 4)
        scores, rows, labels = best_pairs(self._scores(last['cls_score']), self.test_cfg.max_per_img)
        boxes = boxes.gather(1, rows[..., None].expand(-1, -1, 4))  # (N, k, 4)
        queries = last['attn_feats'].gather(1, rows[..., None].expand(-1, -1, last['attn_feats'].size(2)))
        return boxes, scores, labels, queries

    def onnx_export(
        self, x: Features, proposals: Tensor, img_metas: list[ImgMeta], proposal_features: Tensor
    ) -> tuple[Tensor, ...]:
        """Results with tensors of one shape; arguments as :meth:`simple_test`, ``proposals`` being its boxes.

        Returns:
            boxes with scores (N, k, 5) px of the input, labels (N, k); with a mask branch masks (N, k, h, w).
        """
        boxes, scores, labels, queries = self._best_of_queries(x, proposals, proposal_features, img_metas)
        dets = torch.cat([boxes, scores[..., None]], dim=2)
        if not self.with_mask:
            return dets, labels
        masks = self._mask_forward(self.num_stages - 1, x, bbox2roi(list(boxes)), queries.flatten(0, 1))['mask_pred']
        return dets, labels, masks_of_labels(masks, labels.flatten()).sigmoid().unflatten(0, labels.shape)

    def _scores(self, cls_score: Tensor) -> Tensor:
        """Logits (N, P, K or K + 1) of the last stage -> scores (N, P, K) in [0, 1]."""
        if self.bbox_head[-1].loss_cls.use_sigmoid:
            return cls_score.sigmoid()
        return cls_score.softmax(-1)[..., :-1]

    def _masks_of(
        self, x: Features, boxes: Tensor, queries: Tensor, labels: Tensor, img_metas: list[ImgMeta], rescale: bool
    ) -> list[Masks]:
        """Masks of detections: boxes (N, k, 4), queries (N, k, C) and labels (N, k)."""
        last = self.num_stages - 1
        mask_pred = self._mask_forward(last, x, bbox2roi(list(boxes)), queries.flatten(0, 1))['mask_pred']
        mask_pred = masks_of_labels(mask_pred, labels.flatten())[:, None]  # (N k, 1, h, w)
        return [
            self.mask_head[last].get_seg_masks(
                pred, box, label, self.test_cfg, meta['ori_shape'], meta['scale_factor'], rescale
            )
            for pred, box, label, meta in zip(mask_pred.split(boxes.size(1)), boxes, labels, img_metas)
        ]

    def aug_test(
        self,
        features: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> None:
        """Not offered: a query answers for one view only.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f'{type(self).__name__} cannot merge several views of an image; test with one (one img_scale, flip=False)'
        )

    def forward_dummy(
        self, x: Features, proposal_boxes: Tensor, proposal_features: Tensor, img_metas: list[ImgMeta]
    ) -> list[dict[str, Any]]:
        """Predictions of all stages, for counting operations; with a mask branch ``mask_pred`` among them."""
        outputs = self._run_all_stages(x, proposal_boxes, proposal_features, img_metas)
        if self.with_mask:
            for stage, results in enumerate(outputs):
                rois = bbox2roi(results['detach_proposal_list'])
                results.update(self._mask_forward(stage, x, rois, results['attn_feats'].flatten(0, 1)))
        return outputs
