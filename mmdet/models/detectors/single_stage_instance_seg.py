"""Detectors that read instances' masks directly off the feature maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.data_structures.instance_data import InstanceData
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.utils.export import detection_limit, fill_up, padded_masks, stack_detections
from mmdet.models.utils.settings import as_config


@DETECTORS.register_module()
class SingleStageInstanceSegmentor(BaseDetector):
    """Backbone, neck, and a mask head; between them a box head, if there is one.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        bbox_head: config of a box head, whose ``loss`` also gives what the mask head needs; None: none.
        mask_head: config of the mask head.
        train_cfg: of the heads.
        test_cfg: of the heads.
        pretrained: deprecated; weights of the backbone.
        init_cfg: initialisation of the weights.

    Raises:
        ValueError: there is no mask head.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        bbox_head: dict | None = None,
        mask_head: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if mask_head is None:
            raise ValueError(f'{type(self).__name__}: mask_head is None, but it is what finds the instances')
        self._build_trunk(backbone, neck, pretrained)
        self.train_cfg, self.test_cfg = as_config(train_cfg), as_config(test_cfg)
        both = dict(train_cfg=self.train_cfg, test_cfg=self.test_cfg)
        self.bbox_head = None if bbox_head is None else build_head({**bbox_head, **both})
        self.mask_head = build_head({**mask_head, **both})

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""
        return self._run_trunk(img)

    def forward_dummy(self, img: Tensor) -> Any:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f'forward_dummy is not there for {type(self).__name__}')

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_masks: list,
        gt_labels: list[Tensor],
        gt_bboxes: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Losses of a batch.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_masks: masks of the objects of each image.
            gt_labels: N times (G,).
            gt_bboxes: N times (G, 4).
            gt_bboxes_ignore: N times (G', 4); handed on.
            kwargs: handed on to the heads.
        """
        super().forward_train(img, img_metas)
        masks = [image.to_tensor(dtype=torch.bool, device=img.device) for image in gt_masks]
        feats, losses, found = self.extract_feat(img), {}, None
        truth = dict(gt_labels=gt_labels, gt_masks=masks, img_metas=img_metas, gt_bboxes=gt_bboxes)
        truth.update(gt_bboxes_ignore=gt_bboxes_ignore, **kwargs)
        if self.bbox_head is not None:
            losses, found = self.bbox_head.loss(*self.bbox_head(feats), **truth)
        of_masks = self.mask_head.forward_train(feats, positive_infos=found, **truth)
        if both := set(losses) & set(of_masks):
            raise ValueError(f'box head and mask head both have the losses {", ".join(sorted(both))}')
        return {**losses, **of_masks}

    def simple_test(self, img: Tensor, img_metas: list[ImgMeta], rescale: bool = False) -> list[tuple[list, list]]:
        """Instances of each image; see :meth:`format_results`.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            rescale: handed on to the heads; masks are of the original images' size in any case.
        """
        return [self.format_results(image) for image in self._instances(img, img_metas, rescale)]

    def _instances(self, img: Tensor, img_metas: list[ImgMeta], rescale: bool) -> list[InstanceData]:
        """Instances of each image, as tensors."""
        feats, instances = self.extract_feat(img), None
        if self.bbox_head is not None:
            outs = self.bbox_head(feats)
            instances = self.bbox_head.get_results(*outs, img_metas=img_metas, cfg=self.test_cfg, rescale=rescale)
        return self.mask_head.simple_test(feats, img_metas, rescale=rescale, instances_list=instances)

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """Results of one shape; boxes are zeros where the heads find none.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images; ``ori_shape`` is the size of the input without padding.

        Returns:
            boxes with scores (N, k, 5) px of the input, labels (N, k), -1 in rows that only fill up, masks
            (N, k, H, W) bool.
        """
        limit, size = detection_limit(self.test_cfg), (img.size(-2), img.size(-1))
        images = self._instances(img, img_metas, rescale=False)
        masks = torch.stack([fill_up(padded_masks(image.masks, size), limit) for image in images])
        return (*stack_detections([self._dets(image) for image in images], limit), masks)

    @staticmethod
    def _dets(results: InstanceData) -> tuple[Tensor, Tensor]:
        """Boxes with scores (n, 5), zeros where there are no boxes, and labels (n,) of one image's instances."""
        boxes = results.bboxes if 'bboxes' in results else torch.zeros_like(results.scores[:, None]).expand(-1, 4)
        return torch.cat([boxes[:, :4], results.scores[:, None]], dim=1), results.labels

    def format_results(self, results: InstanceData) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
        """Instances of one image by class: boxes with scores (n, 5), zeros where there are no boxes, and masks."""
        num_classes = self.mask_head.num_classes
        labels, masks = results.labels.cpu().numpy(), results.masks.cpu().numpy()
        dets = self._dets(results)[0].detach().cpu().numpy()
        return [dets[labels == k] for k in range(num_classes)], [list(masks[labels == k]) for k in range(num_classes)]

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f'{type(self).__name__} has no test with augmentation')
