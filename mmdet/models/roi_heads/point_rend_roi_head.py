"""The RoI head of PointRend (https://arxiv.org/abs/1912.08193)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head
from mmdet.models.roi_heads.functional.compat import call_with_img_metas
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features
from mmdet.models.utils.point_sample import point_sample
from mmdet.ops import points_in_image, read_at_points


@HEADS.register_module()
class PointRendRoIHead(StandardRoIHead):
    """Coarse masks, refined where they are uncertain, point by point.

    ``train_cfg`` also has ``num_points``, ``oversample_ratio`` and ``importance_sample_ratio``; ``test_cfg`` has
    ``subdivision_steps``, ``subdivision_num_points`` and ``scale_factor``.

    Args:
        point_head: config of the head that classifies points.
        args, kwargs: those of :class:`StandardRoIHead`, box and mask heads among them.

    Raises:
        ValueError: there is no box head or no mask head.
    """

    has_static_shapes = True

    def __init__(self, point_head: dict, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not (self.with_bbox and self.with_mask):
            raise ValueError('PointRendRoIHead needs a bbox_head and a mask_head')
        self.init_point_head(point_head)

    def init_point_head(self, point_head: dict) -> None:
        """Build the head that classifies points."""
        self.point_head = build_head(point_head)

    def _mask_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        bbox_feats: Tensor | None,
        gt_masks: list[Any],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """As in :class:`StandardRoIHead`, with ``loss_point`` among the losses."""
        mask_results = super()._mask_forward_train(x, sampling_results, bbox_feats, gt_masks, img_metas)
        loss_point = self._mask_point_forward_train(x, sampling_results, mask_results['mask_pred'], gt_masks, img_metas)
        mask_results['loss_mask'].update(loss_point)
        return mask_results

    def _mask_point_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        mask_pred: Tensor,
        gt_masks: list[Any],
        img_metas: list[ImgMeta],
    ) -> dict[str, Tensor]:
        """``loss_point`` of the positives, whose coarse logits are ``mask_pred`` (p, K, h, w)."""
        labels = torch.cat([res.pos_gt_labels for res in sampling_results])
        rois = bbox2roi([res.pos_bboxes for res in sampling_results])
        points = self.point_head.get_roi_rel_points_train(mask_pred, labels, self.train_cfg)
        point_pred = self._classify_points(x, rois, points, mask_pred, img_metas)
        targets = call_with_img_metas(
            self.point_head.get_targets,
            rois,
            points,
            sampling_results,
            gt_masks,
            self.train_cfg,
            img_metas=img_metas,
        )
        return loss_of_rows(self.point_head, sampling_results, img_metas, point_pred, targets, labels)

    def _classify_points(
        self, x: Features, rois: Tensor, points: Tensor, mask_pred: Tensor, img_metas: list[ImgMeta] | None = None
    ) -> Tensor:
        """Logits (n, K, P) at points (n, P, 2) of RoIs (n, 5) whose coarse logits are ``mask_pred`` (n, K, h, w)."""
        fine = self._get_fine_grained_point_feats(x, rois, points, img_metas)
        return self.point_head(fine, point_sample(mask_pred, points))

    def _get_fine_grained_point_feats(
        self, x: Features, rois: Tensor, rel_roi_points: Tensor, img_metas: list[ImgMeta] | None = None
    ) -> Tensor:
        """Features of points, of all the levels that the mask branch pools from, (n, C, P)."""
        images, points = rois[:, 0].long(), points_in_image(rois, rel_roi_points)
        strides = self.mask_roi_extractor.featmap_strides
        return torch.cat(
            [read_at_points(level, images, points, 1 / stride) for level, stride in zip(x, strides)], dim=1
        )

    def _onnx_get_fine_grained_point_feats(self, x: Features, rois: Tensor, rel_roi_points: Tensor) -> Tensor:
        """See :meth:`_get_fine_grained_point_feats`: 2.x had a form of its own for its exporter."""
        return self._get_fine_grained_point_feats(x, rois, rel_roi_points)

    def _mask_point_onnx_export(self, x: Features, rois: Tensor, label_pred: Tensor, mask_pred: Tensor) -> Tensor:
        """See :meth:`_mask_point_forward_test`: 2.x had a form of its own for its exporter."""
        return self._mask_point_forward_test(x, rois, label_pred, mask_pred)

    def _test_mask_pred(self, x: Features, mask_rois: Tensor, det_labels: Tensor) -> Tensor:
        """Refined logits (n, 1, h, w) of the classes ``det_labels`` (n,) in RoIs (n, 5)."""
        coarse = self._mask_forward(x, mask_rois)['mask_pred']
        return self._mask_point_forward_test(x, mask_rois, det_labels, coarse)

    def _mask_point_forward_test(
        self,
        x: Features,
        rois: Tensor,
        label_pred: Tensor,
        mask_pred: Tensor,
        img_metas: list[ImgMeta] | None = None,
    ) -> Tensor:
        """Masks enlarged step by step, their most uncertain cells classified anew after each step.

        Only the masks of the detected classes are enlarged.

        Args:
            x: feature maps.
            rois: (n, 5).
            label_pred: (n,) in ``[0, K)``.
            mask_pred: (n, K, h, w) coarse logits.
            img_metas: unused.

        Returns:
            (n, 1, s h, s w) logits, s the ``scale_factor`` to the power of ``subdivision_steps``.
        """
        cfg = self.test_cfg
        refined = masks_of_labels(mask_pred, label_pred)[:, None]
        for step in range(cfg.subdivision_steps):
            # most cells of the larger mask follow from the smaller one; only those near an outline are worth a look
            refined = F.interpolate(refined, scale_factor=cfg.scale_factor, mode='bilinear', align_corners=False)
            height, width = refined.shape[-2:]
            next_cells = cfg.scale_factor**2 * height * width
            if cfg.subdivision_num_points >= next_cells and step < cfg.subdivision_steps - 1:
                continue  # the next step will look at every cell anyway
            inds, points = self.point_head.get_roi_rel_points_test(refined, label_pred, cfg)
            point_pred = masks_of_labels(self._classify_points(x, rois, points, mask_pred), label_pred)
            refined = refined.flatten(1).scatter(1, inds, point_pred).view_as(refined)
        return refined
