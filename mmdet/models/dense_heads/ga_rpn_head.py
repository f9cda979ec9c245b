"""A region proposal network with guided anchors (https://arxiv.org/abs/1901.03278)."""

from typing import Any

import torch
from mmcv import ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.core.utils.misc import images_of_rows
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.rows import flatten_map
from mmdet.models.dense_heads.guided_anchor_head import RARE_LOCATIONS, GuidedAnchorHead
from mmdet.ops import batched_nms, nms


@HEADS.register_module()
class GARPNHead(GuidedAnchorHead):
    """Guided anchors whose best boxes are the proposals of the second stage.

    ``test_cfg`` (and the proposals' section of ``train_cfg``) has the keys ``nms_pre`` and ``nms_post`` (boxes of a
    level before and after suppression), ``nms`` (hard only, within each level), ``min_bbox_size`` (pixels),
    ``max_per_img``, ``nms_across_levels`` (suppress once more over all levels; default: no).

    Args:
        in_channels: channels of the feature maps.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`GuidedAnchorHead` (``num_classes`` is 1).
    """

    directive_head, directive_fallback = 'rpn_head', None

    def __init__(self, in_channels: int, init_cfg: dict | list | None = RARE_LOCATIONS, **kwargs: Any) -> None:
        super().__init__(1, in_channels, init_cfg=init_cfg, **kwargs)

    def _init_layers(self) -> None:
        self.rpn_conv = nn.Conv2d(self.in_channels, self.feat_channels, 3, padding=1)
        super()._init_layers()

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> four maps; see :meth:`GuidedAnchorHead.forward_single`."""
        return super().forward_single(functional.relu(self.rpn_conv(x)))

    def loss(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        shape_preds: list[Tensor],
        loc_preds: list[Tensor],
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_rpn_cls``, ``loss_rpn_bbox``, ``loss_anchor_shape`` and ``loss_anchor_loc``, one tensor a level."""
        losses = super().loss(
            cls_scores, bbox_preds, shape_preds, loc_preds, gt_bboxes, None, img_metas, gt_bboxes_ignore
        )
        return dict(
            loss_rpn_cls=losses['loss_cls'],
            loss_rpn_bbox=losses['loss_bbox'],
            loss_anchor_shape=losses['loss_shape'],
            loss_anchor_loc=losses['loss_loc'],
        )

    def _get_bboxes_single(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        mlvl_anchors: list[Tensor],
        mlvl_masks: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: ConfigDict,
        rescale: bool = False,
    ) -> Tensor:
        """Proposals of one image: (k, 5) with scores, best first, in pixels of the network's input.

        Args as of :meth:`GuidedAnchorHead._get_bboxes_single`; the last three of them but ``cfg`` are not used.

        Raises:
            NotImplementedError: soft suppression is asked for.
        """
        if cfg.nms.get('type', 'nms') != 'nms':
            raise NotImplementedError(f"GARPNHead: test_cfg.nms.type must be 'nms', got {cfg.nms.type!r}")
        levels = zip(cls_scores, bbox_preds, mlvl_anchors, mlvl_masks)
        candidates = [self._candidates_of_level(*level, img_shape, cfg) for level in levels]
        boxes, scores = (torch.cat(parts) for parts in zip(*candidates))
        ids = images_of_rows([len(of_level) for _, of_level in candidates], scores.device)  # numbers of levels
        if cfg.min_bbox_size >= 0:
            large = ((boxes[:, 2:] - boxes[:, :2]) > cfg.min_bbox_size).all(dim=1).nonzero().squeeze(1)
            boxes, scores, ids = boxes[large], scores[large], ids[large]
        # all levels in one call, for one host-device synchronisation
        proposals, kept = batched_nms(boxes, scores, ids, cfg.nms)
        if cfg.nms_post < len(proposals):
            proposals = proposals[ranks_in_groups(ids[kept], len(candidates)) < cfg.nms_post]
        if cfg.get('nms_across_levels', False):
            proposals = nms(proposals[:, :4], proposals[:, 4], cfg.nms.iou_threshold)[0]
        return proposals[: cfg.max_per_img]

    def _candidates_of_level(
        self, cls_score: Tensor, bbox_pred: Tensor, anchors: Tensor, mask: Tensor, img_shape: tuple, cfg: ConfigDict
    ) -> tuple[Tensor, Tensor]:
        """Boxes (k, 4) and scores (k,) of one level."""
        logits, deltas = flatten_map(cls_score, self.cls_out_channels)[mask], flatten_map(bbox_pred, 4)[mask]
        scores = self._class_scores(logits).squeeze(1)
        if 0 < cfg.get('nms_pre', -1) < len(scores):
            scores, best = scores.topk(cfg.nms_pre)
            deltas, anchors = deltas[best], anchors[best]
        return self.bbox_coder.decode(anchors, deltas, max_shape=img_shape), scores


def ranks_in_groups(groups: Tensor, count: int) -> Tensor:
    """(n,) how many rows of the same group stand before each row, of the groups (n,) below ``count``."""
    own = groups[:, None] == torch.arange(count, device=groups.device)
    return own.cumsum(dim=0).gather(1, groups[:, None])[:, 0] - 1
