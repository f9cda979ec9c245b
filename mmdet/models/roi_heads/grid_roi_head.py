"""The RoI head of Grid R-CNN."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2result, bbox2roi, clip_boxes
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.merge_augs import merge_aug_bboxes
from mmdet.models.base_head import weights_of_either
from mmdet.models.builder import HEADS, build_head, build_roi_extractor
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features, scale_tensor, view_boxes
from mmdet.models.utils.export import found_rois, in_their_rows

MAX_NUM_GRID = 192  # RoIs of a batch that the grid head is trained on, where train_cfg does not say


def jittered(boxes: Tensor, img_shape: tuple[int, ...], amplitude: float) -> Tensor:
    """Boxes (n, 4) px, centres and sides changed at random by up to ``amplitude`` of the sides, inside the image."""
    offsets = boxes.new_empty(len(boxes), 4).uniform_(-amplitude, amplitude)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    sides = (boxes[:, 2:] - boxes[:, :2]).abs()
    centres = centres + sides * offsets[:, :2]
    half = sides * (1 + offsets[:, 2:]) / 2
    return clip_boxes(torch.cat([centres - half, centres + half], dim=1), img_shape, offset=1)


@HEADS.register_module()
class GridRoIHead(StandardRoIHead):
    """Grid R-CNN (https://arxiv.org/abs/1811.12030): boxes come from grid points, classes from the box head.

    The loss of the grid points, which make the boxes, has the weights that the box head has
    (``bbox_head.loss_weight``, else ``roi_head.loss_weight``) where the box head or the grid head does.

    Args:
        grid_roi_extractor: pools for the grid head; None: the box branch's does.
        grid_head: finds the grid points.
        kwargs: those of :class:`StandardRoIHead`; ``train_cfg.max_num_grid`` (192) is the number of positives of a
            batch that the grid head is trained on, ``train_cfg.pos_radius`` the size of a point.
    """

    def __init__(self, grid_roi_extractor: dict | None, grid_head: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share_roi_extractor = grid_roi_extractor is None
        self.grid_roi_extractor = (
            self.bbox_roi_extractor if grid_roi_extractor is None else build_roi_extractor(grid_roi_extractor)
        )
        self.grid_head = build_head(grid_head)

    def _random_jitter(
        self, sampling_results: list[Any], img_metas: list[ImgMeta], amplitude: float = 0.15
    ) -> list[Any]:
        """Copies of the sampling results with their positives jittered, see :func:`jittered`."""
        changed = []
        for res, meta in zip(sampling_results, img_metas):
            result = copy.copy(res)
            result.pos_bboxes = jittered(res.pos_bboxes, meta['img_shape'], amplitude)
            changed.append(result)
        return changed

    def _grid_forward(self, x: Features, rois: Tensor) -> dict[str, Tensor]:
        """Logits of the grid head for RoIs (n, 5), see :meth:`GridHead.forward`."""
        feats = self.grid_roi_extractor(x[: self.grid_roi_extractor.num_inputs], rois)
        if self.with_shared_head:
            feats = self.shared_head(feats)
        return self.grid_head(feats)

    def forward_dummy(self, x: Features, proposals: Tensor) -> tuple[Any, ...]:
        """As of :meth:`StandardRoIHead.forward_dummy`, with the grid head's logits before those of the masks."""
        outs = super().forward_dummy(x, proposals)
        grid = self._grid_forward(x, bbox2roi([proposals])[:100])['fused']  # as many as a test keeps
        at = 2 if self.with_bbox else 0
        return (*outs[:at], grid, *outs[at:])

    def _bbox_forward_train(
        self,
        x: Features,
        sampling_results: list[Any],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
    ) -> dict[str, Any]:
        """As of :meth:`StandardRoIHead._bbox_forward_train`, with ``loss_grid`` among the losses."""
        bbox_results = super()._bbox_forward_train(x, sampling_results, gt_bboxes, gt_labels, img_metas)
        jittered_results = self._random_jitter(sampling_results, img_metas)
        rois = bbox2roi([res.pos_bboxes for res in jittered_results])
        # some are enough for the grid head, which is the costly part
        chosen = torch.randperm(len(rois), device=rois.device)[: self.train_cfg.get('max_num_grid', MAX_NUM_GRID)]
        grid_pred = self._grid_forward(x, rois[chosen])
        targets = self.grid_head.get_targets(jittered_results, self.train_cfg)[chosen]
        # the points make the boxes: they weigh here as in the box head
        heads = (self.grid_head, self.bbox_head)
        weights = weights_of_either(heads, img_metas, sampling_results, targets.device)
        loss_grid = self.grid_head.loss(grid_pred, targets, None if weights is None else weights[chosen])
        bbox_results['loss_bbox'].update(loss_grid)
        return bbox_results

    def simple_test(
        self,
        x: Features,
        proposal_list: list[Tensor],
        img_metas: list[ImgMeta],
        proposals: list[Tensor] | None = None,
        rescale: bool = False,
    ) -> list:
        """Results of each of N images, see :meth:`StandardRoIHead.simple_test`."""
        self._check_with_bbox()
        dets, labels = self.simple_test_bboxes(x, img_metas, proposal_list, self.test_cfg, rescale=False)
        counts = [len(det) for det in dets]
        heatmaps = self._grid_forward(x, bbox2roi(dets))['fused'].split(counts)
        dets = [self.grid_head.get_bboxes(det, pred, [m]) for det, pred, m in zip(dets, heatmaps, img_metas)]
        if rescale:
            dets = unscaled(dets, img_metas)
        results = [bbox2result(det, label, self.bbox_head.num_classes) for det, label in zip(dets, labels)]
        if not self.with_mask:
            return results
        return list(zip(results, self.simple_test_mask(x, img_metas, dets, labels, rescale=rescale)))

    def onnx_export(
        self, x: Features, proposals: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> tuple[Tensor, ...]:
        """As of :meth:`StandardRoIHead.onnx_export`, with the boxes that the grid points say."""
        dets, labels = self.bbox_onnx_export(x, img_metas, proposals, self.test_cfg)
        rows, rois, _ = found_rois(dets, labels)
        heatmaps = self._grid_forward(x, rois)['fused']
        dets = in_their_rows(self.grid_head.get_bboxes(dets.flatten(0, 1)[rows], heatmaps, img_metas), rows, labels)
        if not self.with_mask:
            return dets, labels
        return dets, labels, self.mask_onnx_export(x, img_metas, dets, labels)

    def aug_test_bboxes(
        self, feats: Sequence[Features], img_metas: list[list[ImgMeta]], proposal_list: list[Tensor], rcnn_test_cfg: Any
    ) -> tuple[Tensor, Tensor]:
        """As of :meth:`BBoxTestMixin.aug_test_bboxes`; a box is the mean of those that the views' grids say."""
        dets, labels = super().aug_test_bboxes(feats, img_metas, proposal_list, rcnn_test_cfg)
        views = []
        for x, metas in zip(feats, img_metas):
            boxes = view_boxes(dets[:, :4], metas[0])
            heatmaps = self._grid_forward(x, bbox2roi([boxes]))['fused']
            scored = torch.cat([boxes, dets[:, 4:]], dim=1)
            views.append(self.grid_head.get_bboxes(scored, heatmaps, metas)[:, :4])
        boxes = merge_aug_bboxes(views, None, img_metas, rcnn_test_cfg)
        return torch.cat([boxes, dets[:, 4:]], dim=1), labels


def unscaled(dets: list[Tensor], img_metas: list[ImgMeta]) -> list[Tensor]:
    """N times detections (k_i, 5) px of the network input -> px of the original image."""
    return [
        torch.cat([det[:, :4] / scale_tensor(meta['scale_factor'], det), det[:, 4:]], dim=1)
        for det, meta in zip(dets, img_metas)
    ]
