"""MaskFormer (https://arxiv.org/abs/2107.06278): detectors whose head predicts masks with classes from queries."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox2result
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.detectors.panoptic_two_stage_segmentor import TwoStagePanopticSegmentor
from mmdet.models.utils.export import fill_up, padded_masks, stack_detections
from mmdet.models.utils.settings import as_config


@DETECTORS.register_module()
class MaskFormer(BaseDetector):
    """Backbone, neck, a head of queries, and a head that makes results of them.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        panoptic_head: config of the head of queries.
        panoptic_fusion_head: config of what makes results.
        train_cfg: of ``panoptic_head``.
        test_cfg: of both heads; see ``MaskFormerFusionHead``.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: a head is missing.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        panoptic_head: dict | None = None,
        panoptic_fusion_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if panoptic_head is None or panoptic_fusion_head is None:
            raise ValueError(f'{type(self).__name__} needs a panoptic_head and a panoptic_fusion_head')
        self._build_trunk(backbone, neck, None)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.panoptic_head = build_head({**panoptic_head, 'train_cfg': self.train_cfg, 'test_cfg': self.test_cfg})
        self.panoptic_fusion_head = build_head({**panoptic_fusion_head, 'test_cfg': self.test_cfg})
        self.num_things_classes = self.panoptic_head.num_things_classes
        self.num_stuff_classes = self.panoptic_head.num_stuff_classes
        self.num_classes = self.panoptic_head.num_classes

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""
        return self._run_trunk(img)

    def forward_dummy(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple:
        """The network alone, without losses or results; for counting operations."""
        self._note_batch_shape(img, img_metas)
        return self.panoptic_head(self.extract_feat(img), img_metas)

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_masks: list,
        gt_semantic_seg: Tensor | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        **kargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: not used: masks say where objects are.
            gt_labels: N times (G,).
            gt_masks: N times the masks of the G objects.
            gt_semantic_seg: (N, 1, H, W) classes of the pixels; None: objects only.
            gt_bboxes_ignore: must be None.
            kargs: not used.
        """
        super().forward_train(img, img_metas)
        return self.panoptic_head.forward_train(
            self.extract_feat(img), img_metas, gt_bboxes, gt_labels, gt_masks, gt_semantic_seg, gt_bboxes_ignore
        )

    def simple_test(self, imgs: Tensor, img_metas: list[ImgMeta], **kwargs: Any) -> list:
        """Results of each image.

        Args:
            imgs: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            kwargs: ``rescale``: results at the size of the original image.

        Returns:
            For each image a dict with what ``test_cfg`` asks for: ``pan_results`` (H, W) int32 (see
            ``MaskFormerFusionHead``); ``ins_results``, for each class of things boxes with scores (n, 5), and for each
            of these classes n masks (H, W) bool. Without classes of stuff the ``ins_results`` alone.
        """
        self._note_batch_shape(imgs, img_metas)
        predicted = self.panoptic_head.simple_test(self.extract_feat(imgs), img_metas, **kwargs)
        results = self.panoptic_fusion_head.simple_test(*predicted, img_metas, **kwargs)
        results = [self._to_arrays(result) for result in results]
        return results if self.num_stuff_classes else [result['ins_results'] for result in results]

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """Instances of one shape: boxes with scores (N, k, 5) px of the input, labels (N, k), masks (N, k, H, W) bool.

        Rows that only fill up have the label -1. There is no panoptic map among the results.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
        """
        self._note_batch_shape(img, img_metas)
        predicted = self.panoptic_head.simple_test(self.extract_feat(img), img_metas)
        labels, dets, masks = zip(*self.panoptic_fusion_head.instances(*predicted, img_metas))
        limit, size = self.panoptic_fusion_head.most_instances, (img.size(-2), img.size(-1))
        stacked = stack_detections(list(zip(dets, labels)), limit)
        return (*stacked, torch.stack([fill_up(padded_masks(of_image, size), limit) for of_image in masks]))

    def _to_arrays(self, result: dict[str, Any]) -> dict[str, Any]:
        """One image's results of the fusion as arrays, those of instances by class."""
        arrays: dict[str, Any] = {}
        if 'pan_results' in result:
            arrays['pan_results'] = result['pan_results'].cpu().numpy()
        if 'ins_results' in result:
            labels, bboxes, masks = result['ins_results']
            by_class = bbox2result(bboxes, labels, self.num_things_classes)
            labels, masks = labels.cpu().numpy(), masks.cpu().numpy()
            arrays['ins_results'] = (by_class, [list(masks[labels == k]) for k in range(self.num_things_classes)])
        return arrays

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], **kwargs: Any) -> list:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f'{type(self).__name__} cannot merge the masks of several views; test with one (one img_scale, flip=False)'
        )

    # a panoptic map is drawn in one way, whatever made it
    _show_pan_result = TwoStagePanopticSegmentor.show_result

    def show_result(self, img: str | np.ndarray, result: Any, *args: Any, **kwargs: Any) -> np.ndarray | None:
        """Draw one image's segments, or its instances where there are no classes of stuff.

        Args:
            img, args, kwargs: as of :meth:`BaseDetector.show_result`.
            result: of :meth:`simple_test`.
        """
        draw = self._show_pan_result if self.num_stuff_classes else super().show_result
        return draw(img, result, *args, **kwargs)
