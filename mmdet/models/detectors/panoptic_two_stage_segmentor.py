"""Panoptic segmentation on a two-stage detector."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2roi
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.bbox_nms import multiclass_nms
from mmdet.core.visualization.image import imshow_det_bboxes
from mmdet.core.visualization.instances import from_result
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.models.roi_heads.functional.compat import call_with_img_metas
from mmdet.models.roi_heads.mask_heads.paste import masks_of_labels, paste_masks
from mmdet.models.roi_heads.test_mixins import network_boxes


@DETECTORS.register_module()
class TwoStagePanopticSegmentor(TwoStageDetector):
    """A two-stage detector with masks, a head for the segmentation, and one that joins both to a panoptic map.

    Args:
        backbone, neck, rpn_head, roi_head, train_cfg, pretrained, init_cfg: see :class:`TwoStageDetector`.
        test_cfg: sections ``rpn``, ``rcnn`` and ``panoptic`` (``score_thr``, ``nms``, ``max_per_img`` of the
            detections, and the settings of the fusion).
        semantic_head: config of the segmentation.
        panoptic_fusion_head: config of the fusion.

    Raises:
        ValueError: one of these two, or the section ``test_cfg.panoptic``, is missing.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        rpn_head: dict | None = None,
        roi_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
        semantic_head: dict | None = None,
        panoptic_fusion_head: dict | None = None,
    ) -> None:
        super().__init__(backbone, neck, rpn_head, roi_head, train_cfg, test_cfg, pretrained, init_cfg)
        name = type(self).__name__
        if semantic_head is None or panoptic_fusion_head is None:
            raise ValueError(f'{name} needs a semantic_head and a panoptic_fusion_head')
        if self.test_cfg is None or self.test_cfg.get('panoptic') is None:
            raise ValueError(f"{name}: test_cfg has no section 'panoptic', which the fusion reads")
        self.semantic_head = build_head(semantic_head)
        self.panoptic_fusion_head = build_head({**panoptic_fusion_head, 'test_cfg': self.test_cfg.panoptic})
        self.num_things_classes = self.panoptic_fusion_head.num_things_classes
        self.num_stuff_classes = self.panoptic_fusion_head.num_stuff_classes
        self.num_classes = self.panoptic_fusion_head.num_classes

    @property
    def with_semantic_head(self) -> bool:
        """Whether there is a segmentation."""
        return getattr(self, 'semantic_head', None) is not None

    @property
    def with_panoptic_fusion_head(self) -> bool:
        """Whether there is a fusion."""
        return getattr(self, 'panoptic_fusion_head', None) is not None

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or maps; for counting operations."""
        feats = self.extract_feat(img)
        return (*self._dummy_stages(feats, img), self.semantic_head(feats)['seg_preds'])

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list | None = None,
        gt_semantic_seg: Tensor | None = None,
        proposals: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Losses of all heads; as :meth:`TwoStageDetector.forward_train`, and ``loss_seg``.

        Args:
            gt_semantic_seg: (N, 1, H, W) classes of the data set, of any size.

        Raises:
            ValueError: there is no ``gt_semantic_seg``.
        """
        if gt_semantic_seg is None:
            raise ValueError(
                'gt_semantic_seg is missing, which semantic_head learns from: load it '
                '(LoadPanopticAnnotations(with_seg=True)) and collect it'
            )
        self._note_batch_shape(img, img_metas)
        feats = self.extract_feat(img)
        losses = self._train_stages(
            feats, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore, gt_masks, proposals, **kwargs
        )
        head = self.semantic_head
        losses.update(call_with_img_metas(head.forward_train, feats, gt_semantic_seg, img_metas=img_metas))
        return losses

    def simple_test_mask(
        self,
        x: Sequence[Tensor],
        img_metas: list[ImgMeta],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        rescale: bool = False,
    ) -> dict[str, list[Tensor]]:
        """Mask scores of the detections of each of N images, on the whole image.

        Args:
            x: feature maps.
            img_metas: have ``img_shape``, ``ori_shape`` and ``scale_factor``.
            det_bboxes: N times (k_i, 5), px of the original image with ``rescale``, else of the network input.
            det_labels: N times (k_i,).
            rescale: give masks of the original image's size.

        Returns:
            ``masks``: N times (k_i, H, W), values in [0, 1].
        """
        counts = [len(det) for det in det_bboxes]
        rois = bbox2roi(network_boxes(det_bboxes, img_metas, rescale))
        if sum(counts):
            mask_pred = self.roi_head._mask_forward(x, rois)['mask_pred']
            mask_pred = masks_of_labels(mask_pred, torch.cat(det_labels)).sigmoid()[:, None]
        else:
            mask_pred = rois.new_zeros(0, 1, 1, 1)
        masks = []
        for pred, det, meta in zip(mask_pred.split(counts), det_bboxes, img_metas):
            height, width = meta['ori_shape' if rescale else 'img_shape'][:2]
            if len(det):
                masks.append(paste_masks(pred, det[:, :4], height, width, skip_empty=False)[0])
            else:
                masks.append(pred.new_zeros(0, height, width))
        return dict(masks=masks)

    def simple_test(
        self, img: Tensor, img_metas: list[ImgMeta], proposals: list[Tensor] | None = None, rescale: bool = False
    ) -> list[dict[str, np.ndarray]]:
        """Panoptic maps of each image.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            proposals: N times (n, 4 or 5); None: the first stage makes them.
            rescale: give maps of the original image's size.

        Returns:
            For each image ``pan_results`` (H, W) int32: label, for things plus the object's number times
            ``INSTANCE_OFFSET``; ``num_classes`` where nothing was found.
        """
        feats = self.extract_feat(img)
        if proposals is None:
            proposals = self.rpn_head.simple_test_rpn(feats, img_metas)
        # detections are chosen by the settings of the fusion, not by those of the RoI head
        bboxes, scores = self.roi_head.simple_test_bboxes(feats, img_metas, proposals, None, rescale=rescale)
        cfg = self.test_cfg.panoptic
        found = [
            multiclass_nms(box, score, cfg.score_thr, cfg.nms, cfg.max_per_img) for box, score in zip(bboxes, scores)
        ]
        det_bboxes, det_labels = map(list, zip(*found))
        masks = self.simple_test_mask(feats, img_metas, det_bboxes, det_labels, rescale=rescale)['masks']
        seg_preds = self.semantic_head.simple_test(feats, img_metas, rescale)
        maps = map(self.panoptic_fusion_head.simple_test, det_bboxes, det_labels, masks, seg_preds)
        return [dict(pan_results=pan.int().cpu().numpy()) for pan in maps]

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f'{type(self).__name__} cannot merge panoptic maps of several views; test with one (one img_scale, '
            'flip=False)'
        )

    def show_result(
        self,
        img: str | np.ndarray,
        result: dict[str, np.ndarray],
        score_thr: float = 0.3,
        bbox_color: Any = (72, 101, 241),
        text_color: Any = (72, 101, 241),
        mask_color: Any = None,
        thickness: int = 2,
        font_size: int = 13,
        win_name: str = '',
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
    ) -> np.ndarray | None:
        """Draw one image's segments; as :meth:`BaseDetector.show_result`.

        Args:
            result: of :meth:`simple_test`, or its map alone.
            score_thr: not used: segments have no scores.
        """
        pan_results = result['pan_results'] if isinstance(result, dict) else result
        segments = from_result(dict(pan_results=pan_results), self.num_classes)
        show = show and out_file is None
        picture = imshow_det_bboxes(
            self.read_image(img),
            labels=segments.labels,
            segms=segments.masks,
            class_names=self.CLASSES,
            bbox_color=bbox_color,
            text_color=text_color,
            mask_color=mask_color,
            thickness=thickness,
            font_size=font_size,
            win_name=win_name,
            show=show,
            wait_time=wait_time,
            out_file=out_file,
        )
        return None if show or out_file else picture
