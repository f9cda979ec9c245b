"""CornerNet (https://arxiv.org/abs/1808.01244), also with the head of CentripetalNet (arXiv:2003.09119)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox_mapping_back
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.flipped_pairs import pairs_of_versions
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class CornerNet(SingleStageDetector):
    """CornerNet; arguments as :class:`SingleStageDetector`."""

    def merge_aug_results(
        self, aug_results: Sequence[tuple[Tensor, Tensor]], img_metas: list[list[ImgMeta]]
    ) -> tuple[Tensor, Tensor]:
        """Detections of all versions, brought back to the original image, joined and suppressed.

        Args:
            aug_results: boxes with scores (n, 5) and labels (n,) of each version.
            img_metas: for each version a list with one dict.
        """
        recovered = []
        for (dets, _), (meta,) in zip(aug_results, img_metas):
            direction = meta.get('flip_direction') or 'horizontal'
            boxes = bbox_mapping_back(dets[:, :4], meta['img_shape'], meta['scale_factor'], meta['flip'], direction)
            recovered.append(torch.cat([boxes, dets[:, 4:]], dim=1))
        labels = torch.cat([labels for _, labels in aug_results])
        return self.bbox_head._bboxes_nms(torch.cat(recovered), labels, self.bbox_head.test_cfg)

    def aug_test(
        self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = False
    ) -> list[list[np.ndarray]]:
        """Detections of one image, suppressed over all of its versions at once.

        Args:
            imgs: versions (1, 3, H, W), each followed by its mirrored one, with which it is a batch.
            img_metas: for each version a list with one dict.
            rescale: give boxes in pixels of the original image, otherwise in pixels of the first version's input.

        Raises:
            ValueError: the versions are no such pairs.
        """
        results = []
        for (img, meta), (flipped, flipped_meta) in pairs_of_versions(imgs, img_metas):
            outs = self.bbox_head(self.extract_feat(torch.cat([img, flipped])))
            results += self.bbox_head.get_bboxes(*outs, [*meta, *flipped_meta], rescale=False, with_nms=False)
        dets, labels = self.merge_aug_results(results, img_metas)
        if not rescale:
            scale = dets.new_tensor(img_metas[0][0]['scale_factor'])
            dets = torch.cat([dets[:, :4] * scale, dets[:, 4:]], dim=1)
        return self._by_class([(dets, labels)])
