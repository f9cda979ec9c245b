"""The box head of Sparse R-CNN and QueryInst.

N: images; P: proposals of each; n = N P; C: channels; K: classes, label K being background. Boxes are xyxy px of the
network input.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import bias_init_with_prob, build_activation_layer, build_norm_layer
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, sampled_targets, scatter_rows
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.losses.accuracy import accuracy
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.functional.compat import attached_zero
from mmdet.models.utils.builder import build_transformer
from mmdet.models.utils.transformers.attention import MultiheadAttention

# Defaults of the constructor, which are part of its signature; never written to.
RELU = dict(type='ReLU', inplace=True)
DYNAMIC_CONV = dict(
    type='DynamicConv',
    in_channels=256,
    feat_channels=64,
    out_channels=256,
    input_feat_shape=7,
    act_cfg=dict(type='ReLU', inplace=True),
    norm_cfg=dict(type='LN'),
)
LOSS_IOU = dict(type='GIoULoss', loss_weight=2.0)


@HEADS.register_module()
class DIIHead(BBoxHead):
    """Dynamic instance interactive head (https://arxiv.org/abs/2011.12450)::

        queries -> self-attention -> filter the RoI features -> feed-forward layers -> new queries
                                                                 classes and boxes <-/

    It regresses one box for all classes and its losses compare boxes, not codes.

    Args:
        num_classes: number of classes K.
        num_ffn_fcs: linear layers of the feed-forward part.
        num_heads: heads of the attention.
        num_cls_fcs, num_reg_fcs: linear layers before the predictions.
        feedforward_channels: channels inside the feed-forward part.
        in_channels: channels C of queries and RoI features.
        dropout: fraction of dropped values.
        ffn_act_cfg: activation of the feed-forward part.
        dynamic_conv_cfg: the filter.
        loss_iou: loss of overlaps, beside the L1 loss of coordinates.
        init_cfg: must stay None: the head initialises itself.
        kwargs: more arguments of :class:`BBoxHead`.

    Raises:
        ValueError: ``init_cfg`` is given.
    """

    def __init__(
        self,
        num_classes: int = 80,
        num_ffn_fcs: int = 2,
        num_heads: int = 8,
        num_cls_fcs: int = 1,
        num_reg_fcs: int = 3,
        feedforward_channels: int = 2048,
        in_channels: int = 256,
        dropout: float = 0.0,
        ffn_act_cfg: dict = RELU,
        dynamic_conv_cfg: dict = DYNAMIC_CONV,
        loss_iou: dict = LOSS_IOU,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is not None:
            raise ValueError(f'{type(self).__name__} initialises itself; init_cfg must be None, got {init_cfg!r}')
        super().__init__(
            num_classes=num_classes, in_channels=in_channels, reg_decoded_bbox=True, reg_class_agnostic=True, **kwargs
        )
        self.loss_iou = build_loss(loss_iou)
        self.attention = MultiheadAttention(in_channels, num_heads, dropout)
        self.attention_norm = _layer_norm(in_channels)
        self.instance_interactive_conv = build_transformer(dynamic_conv_cfg)
        self.instance_interactive_conv_dropout = nn.Dropout(dropout)
        self.instance_interactive_conv_norm = _layer_norm(in_channels)
        self.ffn = FFN(in_channels, feedforward_channels, num_ffn_fcs, act_cfg=ffn_act_cfg, ffn_drop=dropout)
        self.ffn_norm = _layer_norm(in_channels)
        self.cls_fcs = _fc_stack(in_channels, num_cls_fcs)
        self.reg_fcs = _fc_stack(in_channels, num_reg_fcs)

    def _build_predictors(self, cls_features: int, reg_features: int) -> None:
        """Make the two last layers, which see one vector for each RoI."""
        super()._build_predictors(self.in_channels, self.in_channels)

    def _cls_channels(self) -> int:
        """Outputs of the classifier: a sigmoid has none for background."""
        return self.num_classes if self._use_sigmoid else super()._cls_channels()

    @property
    def _use_sigmoid(self) -> bool:
        return getattr(self.loss_cls, 'use_sigmoid', False)

    def init_weights(self) -> None:
        """Xavier uniform weights for all matrices; with a sigmoid, classes start at a score of 0.01."""
        super().init_weights()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        if self._use_sigmoid:
            nn.init.constant_(cast(Tensor, self.fc_cls.bias), bias_init_with_prob(0.01))

    def forward(self, roi_feat: Tensor, proposal_feat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predictions for RoIs and their queries.

        Args:
            roi_feat: (N P, C, h, w), image by image.
            proposal_feat: (N, P, C).

        Returns:
            Logits (N, P, K), or (N, P, K + 1) with a softmax; box codes (N, P, 4); the new queries (N, P, C); the
            queries after the attention (N, P, C), which a mask head filters with.
        """
        shape = proposal_feat.shape[:2]
        attended = self.attention_norm(self.attention(proposal_feat.transpose(0, 1)))  # (P, N, C): images do not mix
        attn_feats = attended.transpose(0, 1)
        queries = attn_feats.reshape(-1, self.in_channels)
        filtered = self.instance_interactive_conv(queries, roi_feat)
        queries = self.instance_interactive_conv_norm(queries + self.instance_interactive_conv_dropout(filtered))
        queries = self.ffn_norm(self.ffn(queries))
        cls_feat, reg_feat = queries, queries
        for layer in self.cls_fcs:
            cls_feat = layer(cls_feat)
        for layer in self.reg_fcs:
            reg_feat = layer(reg_feat)
        cls_score, bbox_pred = self.fc_cls(cls_feat), self.fc_reg(reg_feat)
        return cls_score.unflatten(0, shape), bbox_pred.unflatten(0, shape), queries.unflatten(0, shape), attn_feats

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Tensor | None,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        imgs_whwh: Tensor | None = None,
        reduction_override: str | None = None,
        img_metas: Sequence[ImgMeta] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Losses of a batch, all divided by the mean number of positives over the processes, at least 1.

        Args:
            cls_score: (n, K) or (n, K + 1) logits, or None.
            bbox_pred: (n, 4) decoded boxes, or None.
            labels, label_weights, bbox_targets, bbox_weights: of :meth:`get_targets`.
            imgs_whwh: (n, 4), or anything of that many elements: the size of each box's image.
            reduction_override: reduction in place of the losses' own.
            img_metas: meta information of the N images, n / N rows each; None: there is none.
            kwargs: not used.

        Returns:
            ``loss_cls``, ``pos_acc`` (percent of the positives, not weighted), ``loss_bbox`` (of coordinates as
            fractions of the image) and ``loss_iou``; zeros in the graph of the predictions where there is no positive.
        """
        losses = {}
        positive = (labels >= 0) & (labels < self.num_classes)
        rows = positive.nonzero().squeeze(1)  # a mask as an index would be looked through anew each time
        avg_factor = reduce_mean(positive.sum().float()).clamp(min=1)
        common = dict(avg_factor=avg_factor, reduction_override=reduction_override)
        if cls_score is not None:
            per_image = len(labels) // max(len(img_metas or ()), 1)
            images = torch.arange(len(labels), device=labels.device) // max(per_image, 1)
            cls_score, label_weights = self.row_scores_for_loss(cls_score, labels, label_weights, images, img_metas)
            losses['loss_cls'] = self.loss_cls(cls_score, labels, label_weights, **common)
            losses['pos_acc'] = accuracy(cls_score[rows], labels[rows])
        if bbox_pred is not None:
            assert imgs_whwh is not None, 'the boxes of this loss are fractions of images, whose sizes are missing'
            pred, target, weight = bbox_pred[rows], bbox_targets[rows], bbox_weights[rows]
            if not len(pred):
                return {**losses, 'loss_bbox': attached_zero(bbox_pred), 'loss_iou': attached_zero(bbox_pred)}
            whwh = imgs_whwh.reshape(-1, 4)[rows]
            losses['loss_bbox'] = self.loss_bbox(pred / whwh, target / whwh, weight, **common)
            losses['loss_iou'] = self.loss_iou(pred, target, weight, **common)
        return losses

    def _image_targets(self, sampling_result: Any, img_meta: ImgMeta | None, cfg: Any) -> Targets:
        """Targets of one image, in the order of its proposals, so that they fit the predictions row by row."""
        return self._get_target_single(
            sampling_result.pos_inds,
            sampling_result.neg_inds,
            sampling_result.pos_bboxes,
            sampling_result.neg_bboxes,
            sampling_result.pos_gt_bboxes,
            sampling_result.pos_gt_labels,
            cfg,
            num_boxes=sampling_result.num_bboxes,
        )

    def _get_target_single(
        self,
        pos_inds: Tensor,
        neg_inds: Tensor,
        pos_bboxes: Tensor,
        neg_bboxes: Tensor,
        pos_gt_bboxes: Tensor,
        pos_gt_labels: Tensor,
        cfg: Any,
        num_boxes: int | None = None,
    ) -> Targets:
        """Targets of one image.

        Args:
            pos_inds, neg_inds: (p,) and (q,) numbers of the positive and negative proposals.
            pos_bboxes, neg_bboxes: not used.
            pos_gt_bboxes: (p, 4) px, the objects that the positives belong to.
            pos_gt_labels: (p,) in ``[0, K)``.
            cfg: has ``pos_weight``, the label weight of positives; <= 0 means 1.
            num_boxes: P; None: p + q. Proposals that are neither have weight 0.

        Returns:
            labels (P,) in ``[0, K]``, label weights (P,), box targets (P, 4) px, box weights (P, 4).
        """
        num_boxes = len(pos_inds) + len(neg_inds) if num_boxes is None else num_boxes
        return sampled_targets(
            num_boxes, pos_inds, neg_inds, pos_gt_labels, pos_gt_bboxes, self.num_classes, cfg.pos_weight
        )

    def _row_boxes(self, sampling_result: Any) -> Tensor:
        """The proposals (P, 4) px of one image, in their order."""
        rows = torch.cat([sampling_result.pos_inds, sampling_result.neg_inds])
        return scatter_rows(sampling_result.bboxes, sampling_result.num_bboxes, rows)

    def _row_objects(self, sampling_result: Any) -> Tensor:
        """(P,) numbers of the objects of these rows."""
        result = sampling_result
        return scatter_rows(result.pos_assigned_gt_inds, result.num_bboxes, result.pos_inds)


def _layer_norm(channels: int) -> nn.Module:
    return build_norm_layer(dict(type='LN'), channels)[1]


def _fc_stack(channels: int, num_fcs: int) -> nn.ModuleList:
    """``num_fcs`` linear layers without bias, each with a layer normalisation and a ReLU."""
    layers: list[nn.Module] = []
    for _ in range(num_fcs):
        layers += [nn.Linear(channels, channels, bias=False), _layer_norm(channels), build_activation_layer(RELU)]
    return nn.ModuleList(layers)
