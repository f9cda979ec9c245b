"""The RoI head of Faster and Mask R-CNN: one box head and, if it is configured, one mask head."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.builder import build_assigner, build_sampler
from mmdet.core.bbox.transforms import bbox2result, bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head, build_roi_extractor
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.roi_heads.functional.compat import box_losses, call_with_img_metas
from mmdet.models.roi_heads.functional.static_shapes import batch_losses
from mmdet.models.roi_heads.functional.training_batch import TrainingBatch, assign_and_sample, needed_masks
from mmdet.models.roi_heads.test_mixins import BBoxTestMixin, Features, MaskTestMixin, scale_tensor


@HEADS.register_module()
class StandardRoIHead(BaseRoIHead, BBoxTestMixin, MaskTestMixin):
    """One box head and one optional mask head; constructor as :class:`BaseRoIHead`.

    Attributes:
        sampling_results: the sampling results of the last training pass, one for each image; not in static shapes.
        keep_debug_results: set it to True to have ``debug_results`` after each training pass: a dict of numpy arrays,
            ``features`` (n, C, h, w) of the RoIs and their ``labels`` (n,).
    """

    keep_debug_results = False
    has_static_shapes = True
    static_shapes = False  # whether RoIs are sampled in static shapes; set by mmdet.models.options.static_shapes

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # a subclass may make its targets in another way: each class states for itself that it has static shapes
        cls.has_static_shapes = vars(cls).get('has_static_shapes', False)

    def init_assigner_sampler(self) -> None:
        """Build the assigner and the sampler of the training."""
        self.bbox_assigner: Any = None
        self.bbox_sampler = None
        if self.train_cfg:
            self.bbox_assigner = build_assigner(self.train_cfg.assigner)
            self.bbox_sampler = build_sampler(self.train_cfg.sampler, context=self)

    def init_bbox_head(self, bbox_roi_extractor: dict, bbox_head: dict) -> None:
        """Build the box branch."""
        self.bbox_roi_extractor = build_roi_extractor(bbox_roi_extractor)
        self.bbox_head = build_head(bbox_head)

    def init_mask_head(self, mask_roi_extractor: dict | None, mask_head: dict) -> None:
        """Build the mask branch; without an extractor of its own it pools as the box branch does."""
        self.share_roi_extractor = mask_roi_extractor is None
        self.mask_roi_extractor = (
            self.bbox_roi_extractor if mask_roi_extractor is None else build_roi_extractor(mask_roi_extractor)
        )
        self.mask_head = build_head(mask_head)

    def forward_dummy(self, x: Features, proposals: Tensor) -> tuple[Tensor, ...]:
        """Raw predictions for proposals (n, 4) of one image: class logits, box codes, mask logits."""
        outs: tuple[Tensor, ...] = ()
        rois = bbox2roi([proposals])
        if self.with_bbox:
            results = self._bbox_forward(x, rois)
            outs += (results['cls_score'], results['bbox_pred'])
        if self.with_mask:
            outs += (self._mask_forward(x, rois[:100])['mask_pred'],)  # as many as a test keeps
        return outs

    def forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
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
            kwargs: unused here.

        Returns:
            ``loss_cls``, ``acc``, ``loss_bbox`` and, with a mask branch, ``loss_mask``.
        """
        if self.static_shapes:
            batch = TrainingBatch(x, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks)
            return batch_losses(self, batch, proposal_list)
        self.sampling_results = self._sample(x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore)
        losses = {}
        bbox_feats = None
        if self.with_bbox:
            bbox_results = self._bbox_forward_train(x, self.sampling_results, gt_bboxes, gt_labels, img_metas)
            bbox_feats = bbox_results['bbox_feats']
            losses.update(bbox_results['loss_bbox'])
        if self.with_mask:
            masks = needed_masks(gt_masks)
            mask_results = self._mask_forward_train(x, self.sampling_results, bbox_feats, masks, img_metas)
            losses.update(mask_results['loss_mask'])
        return losses

    def _sample(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None,
    ) -> list[Any]:
        """Assign the proposals of each image and sample from them."""
        batch = TrainingBatch(x, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, None)
        return assign_and_sample(self.bbox_assigner, self.bbox_sampler, batch, proposal_list)[1]

    def _bbox_forward(self, x: Features, rois: Tensor) -> dict[str, Any]:
        """Features and predictions of RoIs (n, 5): ``cls_score``, ``bbox_pred``, ``bbox_feats``."""
        bbox_feats = self.bbox_roi_extractor(x[: self.bbox_roi_extractor.num_inputs], rois)
        if self.with_shared_head:
            bbox_feats = self.shared_head(bbox_feats)
        cls_score, bbox_pred = self.bbox_head(bbox_feats)
        return dict(cls_score=cls_score, bbox_pred=bbox_pred, bbox_feats=bbox_feats)

    def _bbox_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """Predictions of the box branch and, as ``loss_bbox``, the dict of its losses."""
        rois = bbox2roi([res.bboxes for res in sampling_results])
        bbox_results = self._bbox_forward(x, rois)
        # the meta information carries the weight of each image
        targets = call_with_img_metas(
            self.bbox_head.get_targets, sampling_results, gt_bboxes, gt_labels, self.train_cfg, img_metas=img_metas
        )
        loss_bbox = box_losses(self.bbox_head, bbox_results, rois, targets, img_metas)
        bbox_results.update(loss_bbox=loss_bbox)
        if self.keep_debug_results:
            self.keep_for_debugging(bbox_results['bbox_feats'], targets[0])
        return bbox_results

    def keep_for_debugging(self, features: Tensor, labels: Tensor) -> None:
        """Set ``debug_results``, from features (n, C, h, w) and labels (n,) of the sampled RoIs."""
        self.debug_results = dict(features=to_numpy(features), labels=to_numpy(labels))

    def _mask_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        bbox_feats: Tensor | None,
        gt_masks: list[Any],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """Predictions of the mask branch for the positives and, as ``loss_mask``, the dict of its losses."""
        if self.share_roi_extractor:
            mask_results = self._mask_forward(x, pos_inds=positive_rows(sampling_results), bbox_feats=bbox_feats)
        else:
            mask_results = self._mask_forward(x, bbox2roi([res.pos_bboxes for res in sampling_results]))
        mask_targets = self.mask_head.get_targets(sampling_results, gt_masks, self.train_cfg)
        pos_labels = torch.cat([res.pos_gt_labels for res in sampling_results])
        # the meta information carries the weight of each image
        loss_mask = loss_of_rows(
            self.mask_head,
            sampling_results,
            img_metas,
            mask_results['mask_pred'],
            mask_targets,
            pos_labels,
        )
        mask_results.update(loss_mask=loss_mask, mask_targets=mask_targets)
        return mask_results

    def _mask_forward(
        self,
        x: Features,
        rois: Tensor | None = None,
        pos_inds: Tensor | None = None,
        bbox_feats: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Features and predictions of the mask branch: ``mask_pred``, ``mask_feats``.

        Args:
            x: feature maps.
            rois: (n, 5); or else
            pos_inds: rows to take from
            bbox_feats: the RoI features of the box branch.

        Raises:
            ValueError: neither RoIs nor rows of given features, or both.
        """
        if (rois is None) == (pos_inds is None or bbox_feats is None):
            raise ValueError('_mask_forward takes either rois, or pos_inds and bbox_feats')
        if rois is None:
            assert bbox_feats is not None, 'checked above'
            mask_feats = bbox_feats[pos_inds]
        else:
            mask_feats = self.mask_roi_extractor(x[: self.mask_roi_extractor.num_inputs], rois)
            if self.with_shared_head:
                mask_feats = self.shared_head(mask_feats)
        return dict(mask_pred=self.mask_head(mask_feats), mask_feats=mask_feats)

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
            x: feature maps.
            proposal_list: N times (n_i, 4) or (n_i, 5), xyxy px first.
            img_metas: meta information of each image.
            proposals: unused.
            rescale: results in px of the original image.

        Returns:
            For each image a list of (k, 5) arrays, one for each class; with a mask branch a pair of it and the masks.

        Raises:
            ValueError: there is no box branch.
        """
        self._check_with_bbox()
        det_bboxes, det_labels = self.simple_test_bboxes(x, img_metas, proposal_list, self.test_cfg, rescale=rescale)
        boxes = [bbox2result(dets, labels, self.bbox_head.num_classes) for dets, labels in zip(det_bboxes, det_labels)]
        others = self._simple_test_branches(x, img_metas, det_bboxes, det_labels, rescale)
        return list(zip(boxes, *others)) if others else boxes

    def _simple_test_branches(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool,
    ) -> tuple[Sequence[Any], ...]:
        """What the branches beside that of the boxes find: for each branch a list of N results, one an image."""
        if not self.with_mask:
            return ()
        return (self.simple_test_mask(x, img_metas, det_bboxes, det_labels, rescale=rescale),)

    async def async_simple_test(
        self,
        x: Features,
        proposal_list: list[Tensor],
        img_metas: list[ImgMeta],
        proposals: list[Tensor] | None = None,
        rescale: bool = False,
    ) -> Any:
        """Results of one image, for a caller with an event loop; it does not yield."""
        return self.simple_test(x, proposal_list, img_metas, proposals, rescale)[0]

    def aug_test(
        self,
        x: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> list:
        """Results of one image, merged from V views of it.

        Args:
            x: feature maps of each view.
            proposal_list: one tensor (n, 4) or (n, 5), xyxy px of the original image first.
            img_metas: V lists of one dict.
            rescale: results in px of the original image, else of the first view.

        Returns:
            A list of one result, as in :meth:`simple_test`.
        """
        self._check_with_bbox()
        det_bboxes, det_labels = self.aug_test_bboxes(x, img_metas, proposal_list, self.test_cfg)
        shown = det_bboxes
        if not rescale:
            scale = scale_tensor(img_metas[0][0]['scale_factor'], det_bboxes)
            shown = torch.cat([det_bboxes[:, :4] * scale, det_bboxes[:, 4:]], dim=1)
        boxes = bbox2result(shown, det_labels, self.bbox_head.num_classes)
        others = self._aug_test_branches(x, img_metas, det_bboxes, det_labels, rescale)
        return [(boxes, *others)] if others else [boxes]

    def _aug_test_branches(
        self,
        x: Sequence[Features],
        img_metas: list[list[ImgMeta]],
        det_bboxes: Tensor,
        det_labels: Tensor,
        rescale: bool,
    ) -> tuple[Any, ...]:
        """What the branches beside that of the boxes find in V views of an image; detections in px of the original."""
        return (self.aug_test_mask(x, img_metas, det_bboxes, det_labels),) if self.with_mask else ()

    def onnx_export(
        self, x: Features, proposals: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> tuple[Tensor, ...]:
        """Results with tensors of one shape.

        Args:
            x: feature maps.
            proposals: N times (n_i, 4) or (n_i, 5), xyxy px first.
            img_metas: meta information of each image.
            rescale: must be False: boxes are in px of the network's input.

        Returns:
            boxes with scores (N, k, 5), labels (N, k), -1 in rows that only fill up; with a mask branch also masks
            (N, k, h, w) in [0, 1] of the boxes.
        """
        dets, labels = self.bbox_onnx_export(x, img_metas, proposals, self.test_cfg)
        if not self.with_mask:
            return dets, labels
        return dets, labels, self.mask_onnx_export(x, img_metas, dets, labels)

    def _check_with_bbox(self) -> None:
        if not self.with_bbox:
            raise ValueError(f'{type(self).__name__} needs a bbox_head to detect')


def positive_rows(sampling_results: Sequence[Any]) -> Tensor:
    """(n,) bool, True for positives; in each image they come before the negatives."""
    flags = []
    for res in sampling_results:
        flags.append(res.pos_bboxes.new_ones(len(res.pos_bboxes), dtype=torch.bool))
        flags.append(res.neg_bboxes.new_zeros(len(res.neg_bboxes), dtype=torch.bool))
    return torch.cat(flags)


def to_numpy(tensor: Tensor) -> Any:
    """A detached copy as a numpy array."""
    return tensor.detach().cpu().numpy().copy()
