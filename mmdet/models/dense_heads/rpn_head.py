"""The region proposal head of Faster R-CNN (https://arxiv.org/abs/1506.01497)."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv import ConfigDict
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.anchor_head import SMALL_NORMAL, AnchorHead
from mmdet.models.dense_heads.functional.rows import flatten_map, to_full_precision
from mmdet.models.dense_heads.functional.static_shapes import batch_proposals
from mmdet.models.utils.export import detection_limit, fill_up
from mmdet.models.utils.settings import as_config
from mmdet.ops import batched_nms


@HEADS.register_module()
class RPNHead(AnchorHead):
    """Object or not, and where, for every anchor; its best boxes are the proposals of the second stage.

    Args:
        in_channels: channels of the feature maps.
        init_cfg: initialisation of the weights.
        num_convs: 3x3 convolutions before the two predicting ones.
        kwargs: other arguments of :class:`AnchorHead` (``num_classes`` is 1).

    Raises:
        ValueError: ``num_convs`` is less than 1.
    """

    has_static_shapes = proposals_in_static_shapes = True
    directive_head, directive_fallback = 'rpn_head', None

    def __init__(
        self,
        in_channels: int,
        init_cfg: dict | list | None = SMALL_NORMAL,
        num_convs: int = 1,
        **kwargs: Any,
    ) -> None:
        if num_convs < 1:
            raise ValueError(f'num_convs: expected at least 1, got {num_convs}')
        self.num_convs = num_convs
        super().__init__(1, in_channels, init_cfg=init_cfg, **kwargs)

    def _init_layers(self) -> None:
        self.rpn_conv = self._build_convs()
        self.rpn_cls = nn.Conv2d(self.feat_channels, self.num_base_priors * self.cls_out_channels, 1)
        self.rpn_reg = nn.Conv2d(self.feat_channels, self.num_base_priors * 4, 1)

    def _build_convs(self) -> nn.Module:
        """One plain convolution, or several of them in ``ConvModule``: the checkpoint keys differ."""
        if self.num_convs == 1:
            return nn.Conv2d(self.in_channels, self.feat_channels, 3, padding=1)
        channels = [self.in_channels] + [self.feat_channels] * self.num_convs
        return nn.Sequential(*(ConvModule(c_in, c_out, 3, padding=1) for c_in, c_out in zip(channels, channels[1:])))

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> object scores (N, A * C, H, W), box deltas (N, A * 4, H, W)."""
        x = functional.relu(self.rpn_conv(x))
        return self.rpn_cls(x), self.rpn_reg(x)

    def loss(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        gt_bboxes: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_rpn_cls`` and ``loss_rpn_bbox``; see :meth:`AnchorHead.loss`."""
        losses = super().loss(cls_scores, bbox_preds, gt_bboxes, None, img_metas, gt_bboxes_ignore)
        return dict(loss_rpn_cls=losses['loss_cls'], loss_rpn_bbox=losses['loss_bbox'])

    def _training_proposals(self, outs: Sequence[Any], img_metas: list[ImgMeta], cfg: dict) -> list[Tensor]:
        """Proposals of each image; of one number in static shapes."""
        if not self.static_shapes:
            return super()._training_proposals(outs, img_metas, cfg)
        scores, deltas = map(to_full_precision, outs)
        return batch_proposals(self, scores, deltas, img_metas, as_config(cfg))

    def _get_bboxes_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        score_factor_list: list[None],
        mlvl_anchors: list[Tensor],
        img_meta: ImgMeta,
        cfg: dict | None,
        rescale: bool = False,
        with_nms: bool = True,
        **kwargs: Any,
    ) -> Tensor:
        """Proposals of one image: (k, 5) with scores, best first, in pixels of the network's input.

        Args:
            cls_score_list: L maps (A * C, H, W).
            bbox_pred_list: L maps (A * 4, H, W).
            score_factor_list: not used.
            mlvl_anchors: L times (H * W * A, 4).
            img_meta: ``img_shape`` bounds the boxes.
            cfg: keys ``nms_pre`` (a level), ``min_bbox_size`` (pixels), ``min_score`` (proposals below are dropped;
                default: none), ``nms``, ``max_per_img``; None: ``test_cfg``.
            rescale: not used.
            with_nms: not used; proposals are always suppressed, level by level.
        """
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        limit = cfg.get('nms_pre', -1)
        scores, deltas, anchors, level_ids = [], [], [], []
        for level, (cls_score, bbox_pred, priors) in enumerate(zip(cls_score_list, bbox_pred_list, mlvl_anchors)):
            level_scores, level_deltas = self._objectness(cls_score), flatten_map(bbox_pred, 4)
            if limit > 0:
                # sort and not topk: equal scores, of saturated sigmoids, then stay in the order that nms gives them
                level_scores, best = (part[:limit] for part in level_scores.sort(descending=True))
                level_deltas, priors = level_deltas[best], priors[best]
            scores.append(level_scores)
            deltas.append(level_deltas)
            anchors.append(priors)
            level_ids.append(torch.full_like(level_scores, level, dtype=torch.long))
        return self._bbox_post_process(scores, deltas, anchors, level_ids, cfg, img_meta['img_shape'])

    def onnx_export(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> Tensor:
        """Feature maps -> proposals of each image, (N, k, 5) with scores; zeros in rows that only fill up."""
        limit = detection_limit(as_config(self.test_cfg))
        return torch.stack([fill_up(proposals, limit) for proposals in self.simple_test_rpn(x, img_metas)])

    def _objectness(self, cls_score: Tensor) -> Tensor:
        """(A * C, H, W) -> (H * W * A,) in [0, 1]; with softmax, channel 0 is the object, 1 the background."""
        logits = flatten_map(cls_score, self.cls_out_channels)
        return logits.squeeze(1).sigmoid() if self.use_sigmoid_cls else logits.softmax(1)[:, 0]

    def _bbox_post_process(
        self,
        mlvl_scores: list[Tensor],
        mlvl_bboxes: list[Tensor],
        mlvl_valid_anchors: list[Tensor],
        level_ids: list[Tensor],
        cfg: ConfigDict,
        img_shape: tuple[int, ...],
        **kwargs: Any,
    ) -> Tensor:
        """Decode, drop small boxes, suppress within each level, keep the best.

        Args:
            mlvl_scores: L times (k,).
            mlvl_bboxes: L times (k, 4) deltas.
            mlvl_valid_anchors: L times (k, 4).
            level_ids: L times (k,).
            cfg: keys ``min_bbox_size``, ``min_score``, ``nms``, ``max_per_img``.
            img_shape: height and width that bound the boxes, pixels.

        Returns:
            (k, 5) boxes with scores, best first.
        """
        scores, ids = torch.cat(mlvl_scores), torch.cat(level_ids)
        proposals = self.bbox_coder.decode(torch.cat(mlvl_valid_anchors), torch.cat(mlvl_bboxes), max_shape=img_shape)
        min_size = cfg.get('min_bbox_size', -1)
        min_score = cfg.get('min_score', 0.0)
        if min_size >= 0 or min_score > 0:
            kept = ((proposals[:, 2:] - proposals[:, :2]) > min_size).all(1) if min_size >= 0 else scores >= 0
            kept = (kept & (scores >= min_score)).nonzero().squeeze(1)
            proposals, scores, ids = proposals[kept], scores[kept], ids[kept]
        dets, _ = batched_nms(proposals, scores, ids, cfg.nms)
        return dets[: cfg.max_per_img]
