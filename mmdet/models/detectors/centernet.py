"""CenterNet (https://arxiv.org/abs/1904.07850)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import flip_tensor
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.flipped_pairs import pairs_of_versions
from mmdet.models.detectors.single_stage import SingleStageDetector


@DETECTORS.register_module()
class CenterNet(SingleStageDetector):
    """CenterNet; arguments as :class:`SingleStageDetector`."""

    def merge_aug_results(
        self, aug_results: Sequence[Sequence[tuple[Tensor, Tensor]]], with_nms: bool
    ) -> tuple[Tensor, Tensor]:
        """Detections of all versions, joined and, if asked for, suppressed.

        Args:
            aug_results: for each version a list with one (boxes with scores (n, 5), labels (n,)).
            with_nms: suppress.
        """
        bboxes, labels = (torch.cat(part) for part in zip(*(version[0] for version in aug_results)))
        return self.bbox_head._bboxes_nms(bboxes, labels, self.test_cfg) if with_nms else (bboxes, labels)

    def aug_test(
        self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], rescale: bool = True
    ) -> list[list[np.ndarray]]:
        """Detections of one image; the maps of each version and of its mirrored one are averaged.

        Args:
            imgs: versions (1, 3, H, W), each followed by its mirrored one.
            img_metas: for each version a list with one dict.
            rescale: give boxes in pixels of the original image.

        Raises:
            ValueError: the versions are no such pairs.
        """
        results = []
        for (img, meta), (flipped, flipped_meta) in pairs_of_versions(imgs, img_metas):
            outs = self.bbox_head(self.extract_feat(torch.cat([img, flipped])))
            direction = flipped_meta[0].get('flip_direction') or 'horizontal'
            heatmap, wh = ((m[0][:1] + flip_tensor(m[0][1:], direction)) / 2 for m in outs[:2])
            maps = [heatmap], [wh], [outs[2][0][:1]]
            results.append(self.bbox_head.get_bboxes(*maps, meta, rescale=rescale, with_nms=False))
        with_nms = (self.test_cfg.get('nms') or self.test_cfg.get('nms_cfg')) is not None
        return self._by_class([self.merge_aug_results(results, with_nms)])
