"""The region proposal network on its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox_mapping
from mmdet.core.img_meta import ImgMeta
from mmdet.core.visualization.image import imshow_det_bboxes
from mmdet.models.builder import DETECTORS, build_head
from mmdet.models.detectors.base import BaseDetector, stage_configs
from mmdet.models.utils.export import detection_limit, stack_detections
from mmdet.models.utils.settings import as_config


@DETECTORS.register_module()
class RPN(BaseDetector):
    """First stage of Faster R-CNN (https://arxiv.org/abs/1506.01497), whose proposals are the result.

    Args:
        backbone: config of the backbone.
        neck: config of the neck; None: none.
        rpn_head: config of the head.
        train_cfg: section ``rpn``.
        test_cfg: section ``rpn``.
        pretrained: deprecated; weights of the backbone.
        init_cfg: initialisation of the weights.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict | None,
        rpn_head: dict,
        train_cfg: dict | None,
        test_cfg: dict | None,
        pretrained: str | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self._build_trunk(backbone, neck, pretrained)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.rpn_head = build_head({**rpn_head, **stage_configs(self.train_cfg, self.test_cfg, 'rpn')})

    def extract_feat(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""
        return self._run_trunk(img)

    def forward_dummy(self, img: Tensor) -> tuple:
        """The network alone, without losses or boxes; for counting operations."""
        return self.rpn_head(self.extract_feat(img))

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor] | None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Losses of a batch.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt.
            kwargs: other keys of the batch, such as labels; not used.
        """
        super().forward_train(img, img_metas)
        feats = self.extract_feat(img)
        return self.rpn_head.forward_train(feats, img_metas, gt_bboxes, None, gt_bboxes_ignore)

    def simple_test(self, img: Tensor, img_metas: list[ImgMeta], rescale: bool = False) -> list[np.ndarray]:
        """Proposals of each image, (k, 5) with scores, best first.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            rescale: give boxes in pixels of the original image.
        """
        proposals = self.rpn_head.simple_test_rpn(self.extract_feat(img), img_metas)
        if rescale:
            for dets, meta in zip(proposals, img_metas):
                dets[:, :4] /= dets.new_tensor(meta['scale_factor'])
        return [dets.cpu().numpy() for dets in proposals]

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor]:
        """Proposals (N, k, 5) with scores and labels (N, k): 0, or -1 in rows that only fill up."""
        proposals = self.rpn_head.simple_test_rpn(self.extract_feat(img), img_metas)
        results = [(dets, torch.zeros_like(dets[:, 0], dtype=torch.long)) for dets in proposals]
        return stack_detections(results, detection_limit(self.rpn_head.test_cfg))

    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False) -> list[np.ndarray]:
        """Proposals of one image, merged over its augmented versions; a list with one (k, 5).

        Args:
            imgs: (1, 3, H, W) for each version.
            img_metas: for each version a list with one dict.
            rescale: give boxes in pixels of the original image, otherwise of the first version.
        """
        proposals = self.rpn_head.aug_test_rpn(self.extract_feats(imgs), img_metas)
        if not rescale:
            for dets, meta in zip(proposals, img_metas[0]):
                flip = (meta['flip'], meta['flip_direction'] or 'horizontal')  # None where nothing is flipped
                dets[:, :4] = bbox_mapping(dets[:, :4], meta['img_shape'], meta['scale_factor'], *flip)
        return [dets.cpu().numpy() for dets in proposals]

    def show_result(
        self, data: str | np.ndarray, result: np.ndarray, top_k: int = 20, **kwargs: Any
    ) -> np.ndarray | None:
        """Draw the best proposals of one image.

        Args:
            data: path, or BGR array (h, w, 3).
            result: (k, 5) boxes with scores, best first.
            top_k: number of boxes to draw.
            kwargs: as :meth:`BaseDetector.show_result` takes them; ``score_thr`` is 0 by default.

        Returns:
            the picture as BGR array, if it is neither shown nor written.
        """
        options: dict[str, Any] = (
            dict(score_thr=0.0, bbox_color='green', text_color='green', show=False, out_file=None) | kwargs
        )
        options['show'] = options['show'] and options['out_file'] is None
        best = np.asarray(result)[:top_k]
        labels = np.zeros(len(best), dtype=np.int64)
        picture = imshow_det_bboxes(self.read_image(data), best, labels, class_names=('object',), **options)
        return None if options['show'] or options['out_file'] else picture
