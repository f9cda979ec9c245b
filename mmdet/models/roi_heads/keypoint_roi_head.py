"""The RoI head of Keypoint R-CNN: boxes, masks if they are configured, and keypoints."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.keypoint import flip_heatmaps
from mmdet.models.base_head import loss_of_rows
from mmdet.models.builder import HEADS, build_head, build_roi_extractor
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
from mmdet.models.roi_heads.test_mixins import Features, network_boxes, scale_tensor, view_boxes
from mmdet.models.utils.export import found_rois, in_their_rows
from mmdet.utils.registry import did_you_mean

SCORES = ('prob', 'logit')


@HEADS.register_module()
class KeypointRoIHead(StandardRoIHead):
    """A box head, an optional mask head and a keypoint head.

    A result is a triple: boxes with scores (k, 5) of each class; masks of each class, or None without a mask branch;
    keypoints (k, K, 3) of each class, x, y and score.

    Args:
        keypoint_roi_extractor: features of the keypoint branch.
        keypoint_head: the keypoint branch.
        kwargs: as :class:`BaseRoIHead`. ``test_cfg`` may have ``keypoint_score``: 'prob' (default), the fraction of a
            point in the softmax over its heat map, or 'logit'.

    Raises:
        ValueError: an unknown ``keypoint_score``.
    """

    def __init__(self, keypoint_roi_extractor: dict, keypoint_head: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keypoint_roi_extractor = build_roi_extractor(keypoint_roi_extractor)
        self.keypoint_head = build_head(keypoint_head)
        self.keypoint_score = (self.test_cfg or {}).get('keypoint_score', 'prob')
        if self.keypoint_score not in SCORES:
            raise ValueError(
                f'test_cfg.rcnn.keypoint_score must be one of {SCORES}, got {self.keypoint_score!r}'
                f'{did_you_mean(str(self.keypoint_score), SCORES)}'
            )

    @property
    def with_keypoint(self) -> bool:
        """Whether there is a keypoint branch; always."""
        return self._has('keypoint_head')

    def forward_dummy(self, x: Features, proposals: Tensor) -> tuple[Tensor, ...]:
        """As the parent's, and heat maps."""
        return (*super().forward_dummy(x, proposals), self._keypoint_forward(x, bbox2roi([proposals[:100]])))

    def forward_train(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        proposal_list: list[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list[Any] | None = None,
        gt_keypoints: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch of N images: those of the parent and ``loss_keypoint``.

        Args:
            x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks: as the parent's.
            gt_keypoints: N times (g_i, K, 3) x, y px, visibility.
            kwargs: unused here.

        Raises:
            ValueError: there are no keypoints.
        """
        if gt_keypoints is None:
            raise ValueError(
                "KeypointRoIHead: no gt_keypoints in the batch: LoadAnnotations(with_keypoints=True), 'gt_keypoints' "
                'in the keys of Collect'
            )
        losses = super().forward_train(
            x, img_metas, proposal_list, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, **kwargs
        )
        losses.update(self._keypoint_forward_train(x, self.sampling_results, gt_keypoints, img_metas))
        return losses

    def _keypoint_forward(self, x: Features, rois: Tensor) -> Tensor:
        """Heat maps (n, K, H, W) of RoIs (n, 5)."""
        feats = self.keypoint_roi_extractor(x[: self.keypoint_roi_extractor.num_inputs], rois)
        if self.with_shared_head:
            feats = self.shared_head(feats)
        return self.keypoint_head(feats)

    def _keypoint_forward_train(
        self, x: Features, sampling_results: list[Any], gt_keypoints: list[Tensor], img_metas: list[ImgMeta]
    ) -> dict[str, Tensor]:
        """The loss of the keypoint branch on the positives."""
        keypoint_pred = self._keypoint_forward(x, bbox2roi([res.pos_bboxes for res in sampling_results]))
        targets = self.keypoint_head.get_targets(sampling_results, gt_keypoints)
        # the meta information carries the weight of each image
        return loss_of_rows(
            self.keypoint_head,
            sampling_results,
            img_metas,
            keypoint_pred,
            targets,
            len(img_metas),
            self.train_cfg,
        )

    def _simple_test_branches(
        self,
        x: Features,
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool,
    ) -> tuple[Sequence[Any], ...]:
        """Masks, or None for each image without a mask branch; keypoints (k, K, 3) of each class: x, y and score."""
        masks = super()._simple_test_branches(x, img_metas, det_bboxes, det_labels, rescale)
        keypoints = self.simple_test_keypoints(x, img_metas, det_bboxes, rescale=rescale)
        by_class = [self._by_class(points, labels) for points, labels in zip(keypoints, det_labels)]
        return (*(masks or ([None] * len(det_bboxes),)), by_class)

    def _by_class(self, keypoints: Tensor, labels: Tensor) -> list[np.ndarray]:
        return keypoints_by_class(keypoints, labels, self.bbox_head.num_classes)

    def simple_test_keypoints(
        self, x: Features, img_metas: list[ImgMeta], det_bboxes: list[Tensor], rescale: bool = False
    ) -> list[Tensor]:
        """Keypoints of the detections of each of N images.

        Args:
            x: feature maps of the batch.
            img_metas: have ``scale_factor``.
            det_bboxes: N times (k_i, 5), px of the original image with ``rescale``, else of the network's input.
            rescale: give px of the original image.

        Returns:
            N times (k_i, K, 3) x, y, score.
        """
        counts = [len(dets) for dets in det_bboxes]
        boxes = network_boxes(det_bboxes, img_metas, rescale)
        keypoint_pred = self._keypoint_forward(x, bbox2roi(boxes))
        keypoints = self._decode(keypoint_pred, torch.cat(boxes)).split(counts)
        if not rescale:
            return list(keypoints)
        return [unscaled(points, meta['scale_factor']) for points, meta in zip(keypoints, img_metas)]

    def onnx_export(
        self, x: Features, proposals: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> tuple[Tensor, ...]:
        """As the parent's, and last the logits of heat maps (N, k, K, h, w) of the boxes."""
        found = super().onnx_export(x, proposals, img_metas, rescale)
        rows, rois, _ = found_rois(*found[:2])
        return (*found, in_their_rows(self._keypoint_forward(x, rois), rows, found[1]))

    def _decode(self, keypoint_pred: Tensor, boxes: Tensor) -> Tensor:
        """Heat maps of boxes (n, 4) -> (n, K, 3) x, y, score."""
        decoded = self.keypoint_head.get_keypoints(keypoint_pred, boxes)
        scores = decoded.scores if self.keypoint_score == 'prob' else decoded.logits
        return torch.cat([decoded.points, scores[..., None]], dim=2)

    def aug_test(
        self,
        x: Sequence[Features],
        proposal_list: list[Tensor],
        img_metas: list[list[ImgMeta]],
        rescale: bool = False,
    ) -> list:
        """As the parent's; heat maps of mirrored views are turned back, those of all views averaged.

        Raises:
            NotImplementedError: a view is flipped otherwise than horizontally.
        """
        check_flips(img_metas)
        return super().aug_test(x, proposal_list, img_metas, rescale)

    def _aug_test_branches(
        self,
        x: Sequence[Features],
        img_metas: list[list[ImgMeta]],
        det_bboxes: Tensor,
        det_labels: Tensor,
        rescale: bool,
    ) -> tuple[Any, ...]:
        """As :meth:`_simple_test_branches`, of one image."""
        masks = super()._aug_test_branches(x, img_metas, det_bboxes, det_labels, rescale)
        keypoints = self.aug_test_keypoints(x, img_metas, det_bboxes)
        if rescale:
            keypoints = unscaled(keypoints, img_metas[0][0]['scale_factor'])
        return (*(masks or (None,)), self._by_class(keypoints, det_labels))

    def aug_test_keypoints(self, x: Sequence[Features], img_metas: list[list[ImgMeta]], det_bboxes: Tensor) -> Tensor:
        """Keypoints (k, K, 3), px of the first view (unflipped), of detections (k, 5), px of the original image."""
        flip_indices = self.keypoint_head.skeleton.flip_indices
        heatmaps = []
        for feats, (meta,) in zip(x, img_metas):
            pred = self._keypoint_forward(feats, bbox2roi([view_boxes(det_bboxes[:, :4], meta)]))
            heatmaps.append(flip_heatmaps(pred, flip_indices) if meta['flip'] else pred)
        boxes = det_bboxes[:, :4] * scale_tensor(img_metas[0][0]['scale_factor'], det_bboxes)
        return self._decode(torch.stack(heatmaps).mean(0), boxes)


def check_flips(img_metas: Sequence[Sequence[ImgMeta]]) -> None:
    """Check that views are mirrored horizontally or not at all.

    Raises:
        NotImplementedError: one is not.
    """
    for (meta,) in img_metas:
        if meta['flip'] and meta['flip_direction'] != 'horizontal':
            raise NotImplementedError(
                f'keypoints of a view with flip_direction={meta["flip_direction"]!r}: test with horizontal flips only'
            )


def unscaled(keypoints: Tensor, scale_factor: Any) -> Tensor:
    """Keypoints (n, K, 3) px of the network's input -> px of the original image."""
    scale = scale_tensor(scale_factor, keypoints).expand(4)[:2]
    return torch.cat([keypoints[..., :2] / scale, keypoints[..., 2:]], dim=2)


def keypoints_by_class(keypoints: Tensor, labels: Tensor, num_classes: int) -> list[np.ndarray]:
    """Keypoints (n, K, 3) of detections with labels (n,) -> for each class an array (n_c, K, 3)."""
    points, of_class = keypoints.detach().cpu().numpy(), labels.cpu().numpy()
    return [points[of_class == label] for label in range(num_classes)]
