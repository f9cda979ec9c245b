"""Testing of dense heads, with and without augmentation."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmdet.core.bbox.transforms import bbox_mapping_back
from mmdet.core.img_meta import ImgMeta
from mmdet.core.post_processing.merge_augs import merge_aug_proposals
from mmdet.ops import batched_nms
from mmdet.utils.running.device_copy import tensor_like


class BBoxTestMixin:
    """The test calls of a dense head, which has what is declared here.

    In augmented tests ``feats`` and ``img_metas`` are lists over the augmented versions of the batch.
    """

    test_cfg: Any
    get_bboxes: Callable[..., Any]
    __call__: Callable[..., Any]

    def simple_test_bboxes(
        self, feats: Sequence[Tensor], img_metas: list[ImgMeta], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of each image: boxes with scores (k, 5), labels (k,)."""
        return self.get_bboxes(*self(feats), img_metas=img_metas, rescale=rescale)

    def simple_test_rpn(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> list[Tensor]:
        """Proposals of each image, (k, 5) with scores, best first."""
        return self.get_bboxes(*self(x), img_metas=img_metas)

    async def async_simple_test_rpn(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> list[Tensor]:
        """As :meth:`simple_test_rpn`, for callers that await; it runs in the caller's thread."""
        return self.simple_test_rpn(x, img_metas)

    def aug_test_rpn(self, feats: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]]) -> list[Tensor]:
        """Proposals of each image, merged over its versions, in pixels of the original image; (k, 5)."""
        by_version = [self.simple_test_rpn(x, metas) for x, metas in zip(feats, img_metas)]
        return [
            merge_aug_proposals(list(proposals), list(metas), self.test_cfg)
            for proposals, metas in zip(zip(*by_version), zip(*img_metas))
        ]

    def aug_test_bboxes(
        self, feats: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of a single image, suppressed over all of its versions at once.

        Args:
            feats: feature maps of each version.
            img_metas: for each version a list with one dict.
            rescale: give boxes in pixels of the original image, otherwise in pixels of the first version's input.

        Returns:
            a list with one (boxes with scores (k, 5), labels (k,)).

        Raises:
            NotImplementedError: the head's ``get_bboxes`` cannot leave out the suppression.
        """
        if 'with_nms' not in inspect.signature(self.get_bboxes).parameters:
            raise NotImplementedError(
                f'{type(self).__name__} has no test with augmentation: its get_bboxes takes no with_nms'
            )
        raw = [
            self.get_bboxes(*self(x), img_metas=metas, cfg=self.test_cfg, rescale=False, with_nms=False)[0]
            for x, metas in zip(feats, img_metas)
        ]
        bboxes, scores, labels = zip(*(version[:3] for version in raw))
        bboxes, scores = self.merge_aug_bboxes(list(bboxes), list(scores), img_metas)
        classes = torch.cat(labels)
        dets, keep = batched_nms(bboxes, scores, classes, self.test_cfg.nms)
        dets, classes = dets[: self.test_cfg.max_per_img], classes[keep][: self.test_cfg.max_per_img]
        if not rescale:
            scale = tensor_like(img_metas[0][0]['scale_factor'], dets)
            dets = torch.cat([dets[:, :4] * scale, dets[:, 4:]], 1)
        return [(dets, classes)]

    def aug_test(
        self, feats: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]], rescale: bool = False
    ) -> list[tuple[Tensor, Tensor]]:
        """Detections of one image, merged over its augmented versions; see :meth:`aug_test_bboxes`."""
        return self.aug_test_bboxes(feats, img_metas, rescale=rescale)

    def merge_aug_bboxes(
        self, aug_bboxes: list[Tensor], aug_scores: list[Tensor] | None, img_metas: list[list[ImgMeta]]
    ) -> Any:
        """Boxes of all versions, brought back to the original image and joined.

        Args:
            aug_bboxes: for each version (n, 4).
            aug_scores: for each version (n,) or (n, K); None: give the boxes alone.
            img_metas: for each version a list with one dict.

        Returns:
            boxes (sum of n, 4), and the scores in the same order.
        """
        metas = [version[0] for version in img_metas]
        bboxes = torch.cat(
            [
                bbox_mapping_back(b, m['img_shape'], m['scale_factor'], m['flip'], m['flip_direction'])
                for b, m in zip(aug_bboxes, metas)
            ]
        )
        return bboxes if aug_scores is None else (bboxes, torch.cat(aug_scores))
