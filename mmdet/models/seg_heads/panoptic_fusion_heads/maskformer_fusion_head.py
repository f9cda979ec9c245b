"""Results of MaskFormer and Mask2Former from the masks and classes of their queries.

Q: queries; K: classes, of which the first T are things; label K means no object.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.core.evaluation.panoptic_utils import INSTANCE_OFFSET
from mmdet.core.img_meta import ImgMeta
from mmdet.core.mask.utils import mask2bbox
from mmdet.models.builder import HEADS
from mmdet.models.seg_heads.panoptic_fusion_heads.base_panoptic_fusion_head import BasePanopticFusionHead


@HEADS.register_module()
class MaskFormerFusionHead(BasePanopticFusionHead):
    """Panoptic maps and instances from queries (https://arxiv.org/abs/2107.06278).

    Args:
        num_things_classes, num_stuff_classes, loss_panoptic, init_cfg: see :class:`BasePanopticFusionHead`.
        test_cfg: ``panoptic_on`` (True) and ``instance_on`` (False): which results; ``object_mask_thr`` (0.8), score
            above which a query counts; ``iou_thr`` (0.8), least fraction of a mask that no other covers;
            ``filter_low_score`` (False): pixels must have a score of 0.5; ``max_per_image`` (100) instances.
        kwargs: not used.
    """

    def forward_train(self, gt_masks: Any = None, gt_semantic_seg: Tensor | None = None, **kwargs: Any) -> dict:
        """No losses: nothing is learnt here."""
        return {}

    def _setting(self, name: str, default: Any) -> Any:
        return (self.test_cfg or {}).get(name, default)

    def panoptic_postprocess(self, mask_cls: Tensor, mask_pred: Tensor) -> Tensor:
        """Panoptic map (H, W) int32 of one image, from logits of classes (Q, K + 1) and of masks (Q, H, W)."""
        return panoptic_from_queries(
            mask_cls,
            mask_pred,
            self.num_things_classes,
            score_thr=self._setting('object_mask_thr', 0.8),
            visible_thr=self._setting('iou_thr', 0.8),
            only_sure_pixels=self._setting('filter_low_score', False),
        )

    def semantic_postprocess(self, mask_cls: Tensor, mask_pred: Tensor) -> Tensor:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f'{type(self).__name__} gives no semantic maps; leave semantic_on off')

    def instance_postprocess(self, mask_cls: Tensor, mask_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Instances of one image.

        Args:
            mask_cls: (Q, K + 1) logits of the classes.
            mask_pred: (Q, H, W) logits of the masks.

        Returns:
            labels (n,) in ``[0, T)``, boxes around the masks with scores (n, 5) xyxy px, masks (n, H, W) bool.
        """
        return instances_from_queries(mask_cls, mask_pred, self.num_things_classes, self.most_instances)

    def simple_test(
        self,
        mask_cls_results: Tensor,
        mask_pred_results: Tensor,
        img_metas: list[ImgMeta],
        rescale: bool = False,
        **kwargs: Any,
    ) -> list[dict[str, Any]]:
        """Results of each of N images.

        Args:
            mask_cls_results: (N, Q, K + 1) logits of the classes.
            mask_pred_results: (N, Q, H, W) logits of the masks, at the size of the padded batch.
            img_metas: has ``img_shape`` and, with ``rescale``, ``ori_shape`` of each image.
            rescale: results at the size of the original image.

        Returns:
            For each image a dict: ``pan_results`` (H, W), ``ins_results`` (labels, boxes, masks), as asked for.
        """
        self._check_kinds()
        return [
            self._test_image(mask_cls, mask_pred, meta, rescale)
            for mask_cls, mask_pred, meta in zip(mask_cls_results, mask_pred_results, img_metas)
        ]

    @property
    def most_instances(self) -> int:
        """Greatest number of instances of an image."""
        return self._setting('max_per_image', 100)

    def instances(
        self, mask_cls_results: Tensor, mask_pred_results: Tensor, img_metas: list[ImgMeta]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Instances of each of N images, at the size of the network's input; see :meth:`instance_postprocess`."""
        return [
            self.instance_postprocess(mask_cls, crop_and_resize(mask_pred, meta['img_shape'], None))
            for mask_cls, mask_pred, meta in zip(mask_cls_results, mask_pred_results, img_metas)
        ]

    def _check_kinds(self) -> None:
        if self._setting('semantic_on', False):
            raise NotImplementedError(f'{type(self).__name__} gives no semantic maps; leave semantic_on off')

    def _test_image(self, mask_cls: Tensor, mask_pred: Tensor, meta: ImgMeta, rescale: bool) -> dict[str, Any]:
        mask_pred = crop_and_resize(mask_pred, meta['img_shape'], meta['ori_shape'] if rescale else None)
        result: dict[str, Any] = {}
        if self._setting('panoptic_on', True):
            result['pan_results'] = self.panoptic_postprocess(mask_cls, mask_pred)
        if self._setting('instance_on', False):
            result['ins_results'] = self.instance_postprocess(mask_cls, mask_pred)
        return result


def crop_and_resize(maps: Tensor, img_shape: Sequence[int], ori_shape: Sequence[int] | None) -> Tensor:
    """(Q, H, W) on the padded batch -> (Q, h, w) of the image, or of the original image where its shape is given."""
    height, width = img_shape[:2]
    maps = maps[:, :height, :width]
    if ori_shape is None:
        return maps
    return F.interpolate(maps[:, None], size=tuple(ori_shape[:2]), mode='bilinear', align_corners=False)[:, 0]


def panoptic_from_queries(
    mask_cls: Tensor,
    mask_pred: Tensor,
    num_things: int,
    score_thr: float,
    visible_thr: float,
    only_sure_pixels: bool = False,
) -> Tensor:
    """Give each pixel to the query with the highest score times mask score there.

    Args:
        mask_cls: (Q, K + 1) logits of the classes.
        mask_pred: (Q, H, W) logits of the masks.
        num_things: T.
        score_thr: queries must score more, for another class than "no object".
        visible_thr: least fraction of a query's mask (pixels of at least 0.5) that it won; else its pixels stay void.
        only_sure_pixels: a pixel is also void where the winner's mask score is below 0.5.

    Returns:
        (H, W) int32: label, for things plus the object's number times ``INSTANCE_OFFSET``; K is void.
    """
    num_classes = mask_cls.size(1) - 1
    scores, labels = mask_cls.softmax(-1).max(-1)
    kept = (labels != num_classes) & (scores > score_thr)
    scores, labels, masks = scores[kept], labels[kept], mask_pred[kept].sigmoid()
    if not len(masks):
        return torch.full(mask_pred.shape[-2:], num_classes, dtype=torch.int32, device=mask_pred.device)
    winners = (scores[:, None, None] * masks).argmax(0)  # (H, W)
    won = torch.bincount(winners.flatten(), minlength=len(masks))
    original = (masks >= 0.5).flatten(1).sum(1)
    shown = (won > 0) & (original > 0) & (won / original.clamp(min=1) >= visible_thr)
    is_thing = labels < num_things
    numbers = (shown & is_thing).cumsum(0)
    ids = torch.where(is_thing, labels + numbers * INSTANCE_OFFSET, labels)
    panoptic = torch.where(shown, ids, num_classes)[winners]
    if only_sure_pixels:
        sure = masks.gather(0, winners[None])[0] >= 0.5
        panoptic = torch.where(sure, panoptic, num_classes)
    return panoptic.int()


def instances_from_queries(
    mask_cls: Tensor, mask_pred: Tensor, num_things: int, max_per_image: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best pairs of a query and a class of things; see :meth:`MaskFormerFusionHead.instance_postprocess`.

    A pair's score is that of the class times the mean mask score inside the mask.
    """
    scores = mask_cls.softmax(-1)[:, :-1]
    num_classes = scores.size(1)
    scores, inds = scores.flatten().topk(min(max_per_image, scores.numel()))
    labels, queries = inds % num_classes, inds.div(num_classes, rounding_mode='floor')
    is_thing = labels < num_things  # stuff takes its places among the best pairs, too
    scores, labels, logits = scores[is_thing], labels[is_thing], mask_pred[queries[is_thing]]
    masks = logits > 0
    inside = masks.flatten(1).float()
    mask_scores = (logits.flatten(1).sigmoid() * inside).sum(1) / (inside.sum(1) + 1e-6)
    return labels, torch.cat([mask2bbox(masks), (scores * mask_scores)[:, None]], dim=1), masks
