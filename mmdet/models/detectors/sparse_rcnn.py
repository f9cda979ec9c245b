"""Sparse R-CNN (https://arxiv.org/abs/2011.12450)."""

from typing import Any

from torch import Tensor

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.two_stage import TwoStageDetector


@DETECTORS.register_module()
class SparseRCNN(TwoStageDetector):
    """Sparse R-CNN: learnt proposals, refined in stages; arguments as :class:`TwoStageDetector`.

    Raises:
        ValueError: there is no first stage, which holds the proposals.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.with_rpn:
            raise ValueError(f'{type(self).__name__} needs an rpn_head (EmbeddingRPNHead), which holds the proposals')

    def _refuse_proposals(self, proposals: Any) -> None:
        if proposals is not None:
            raise ValueError(f'{type(self).__name__} learns its proposals; it takes none from outside')

    def forward_train(
        self,
        img: Tensor,
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        gt_bboxes_ignore: list[Tensor] | None = None,
        gt_masks: list | None = None,
        proposals: None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch of N images.

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4) px.
            gt_labels: N times (G,).
            gt_bboxes_ignore: not used: the matching knows no such regions.
            gt_masks: N times the masks of the objects.
            proposals: must be None.
            kwargs: other keys of the batch; not used.

        Raises:
            ValueError: proposals are given.
        """
        self._refuse_proposals(proposals)
        self._note_batch_shape(img, img_metas)
        feats = self.extract_feat(img)
        boxes, queries, whwh = self.rpn_head.forward_train(feats, img_metas)
        self._remember(img)
        losses = self.roi_head.forward_train(
            feats,
            boxes,
            queries,
            img_metas,
            gt_bboxes,
            gt_labels,
            gt_bboxes_ignore=gt_bboxes_ignore,
            imgs_whwh=whwh,
            gt_masks=gt_masks,
        )
        losses.update(self._domain_losses(feats, boxes, img_metas))
        return losses

    def simple_test(self, img: Tensor, img_metas: list[ImgMeta], rescale: bool = False, proposals: None = None) -> list:
        """Detections of each image, by class; with a mask head (boxes, masks).

        Args:
            img: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            rescale: give boxes in pixels of the original image.
            proposals: must be None.

        Raises:
            ValueError: proposals are given.
        """
        self._refuse_proposals(proposals)
        feats = self.extract_feat(img)
        boxes, queries, whwh = self.rpn_head.simple_test_rpn(feats, img_metas)
        return self.roi_head.simple_test(feats, boxes, queries, img_metas, imgs_whwh=whwh, rescale=rescale)

    def onnx_export(self, img: Tensor, img_metas: list[ImgMeta]) -> tuple[Tensor, ...]:
        """See :meth:`TwoStageDetector.onnx_export`; all rows are detections."""
        feats = self.extract_feat(img)
        boxes, queries, _ = self.rpn_head.simple_test_rpn(feats, img_metas)
        return self.roi_head.onnx_export(feats, boxes, img_metas, queries)

    def forward_dummy(self, img: Tensor) -> list:
        """The network alone, without losses or results; for counting operations."""
        feats = self.extract_feat(img)
        img_metas = [dict(img_shape=(*img.shape[-2:], 3)) for _ in img]
        boxes, queries, _ = self.rpn_head.forward_dummy(feats, img_metas)
        return self.roi_head.forward_dummy(feats, boxes, queries, img_metas)
