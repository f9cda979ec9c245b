"""YOLOX: one point a cell, towers for classes and for boxes with objectness (https://arxiv.org/abs/2107.08430)."""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule, bias_init_with_prob
from torch import Tensor, nn
from torch.nn import functional

from mmdet.core.anchor.point_generator import MlvlPointGenerator
from mmdet.core.bbox.builder import build_assigner
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, objects_of_boxes
from mmdet.core.utils.dist_utils import reduce_mean
from mmdet.core.utils.misc import multi_apply
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_free_head import MODULATED_DEFORMABLE, inside_objects
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.matching import sampler_or_all
from mmdet.models.dense_heads.functional.objectness import mask_objectness
from mmdet.models.dense_heads.functional.points.points import YOLOXTargets, centres_of_cells, decode_boxes, encode_boxes
from mmdet.models.dense_heads.functional.rows import rows_of_images, sizes_of_maps, to_full_precision
from mmdet.models.utils.settings import as_config
from mmdet.ops import batched_nms
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
BATCH_NORM = dict(type='BN', momentum=0.03, eps=0.001)
SWISH = dict(type='Swish')
SUMMED_ENTROPY = dict(type='CrossEntropyLoss', use_sigmoid=True, reduction='sum', loss_weight=1.0)
SQUARED_IOU = dict(type='IoULoss', mode='square', eps=1e-16, reduction='sum', loss_weight=5.0)
SUMMED_L1 = dict(type='L1Loss', reduction='sum', loss_weight=1.0)
UNIFORM = dict(
    type='Kaiming', layer='Conv2d', a=math.sqrt(5), distribution='uniform', mode='fan_in', nonlinearity='leaky_relu'
)
RARE = 0.01  # probability of an object, and of each class, at the start


@HEADS.register_module()
class YOLOXHead(BaseDenseHead, BBoxTestMixin):
    """Class scores, boxes and objectness of each cell, with layers of each level's own.

    A negative is a point that SimOTA gives no object; it enters the loss of the objectness alone. The assignment itself
    looks at predictions, whatever the images weigh. See :func:`mask_objectness` for unlabelled classes; to the policy
    that looks at overlaps, a point inside an object overlaps it by 1 and any other by 0.

    Attributes:
        use_l1: whether ``loss_l1`` is computed; ``YOLOXModeSwitchHook`` switches it on.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        feat_channels: channels inside the head.
        stacked_convs: 3x3 convolutions in each tower.
        strides: pixels of a cell of each level.
        use_depthwise: depthwise separable convolutions.
        dcn_on_last_conv: the last convolution of each tower is a modulated deformable one.
        conv_bias: whether the towers' convolutions have a bias; ``'auto'``: only without normalisation.
        conv_cfg: kind of the towers' convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each.
        act_cfg: activation after each.
        loss_cls: config of the classification loss, over positives, against their overlaps.
        loss_bbox: config of the box loss.
        loss_obj: config of the loss of the objectness.
        loss_l1: config of the loss of the undecoded boxes. All four are divided by the number of positives.
        train_cfg: key ``assigner``.
        test_cfg: keys ``score_thr`` and ``nms``.
        init_cfg: initialisation of the weights.
    """

    has_sampler = False  # all points count, so that the head reads ignored negatives itself

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        feat_channels: int = 256,
        stacked_convs: int = 2,
        strides: Sequence[int] = (8, 16, 32),
        use_depthwise: bool = False,
        dcn_on_last_conv: bool = False,
        conv_bias: bool | str = 'auto',
        conv_cfg: dict | None = None,
        norm_cfg: dict = BATCH_NORM,
        act_cfg: dict = SWISH,
        loss_cls: dict = SUMMED_ENTROPY,
        loss_bbox: dict = SQUARED_IOU,
        loss_obj: dict = SUMMED_ENTROPY,
        loss_l1: dict = SUMMED_L1,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | list | None = UNIFORM,
    ) -> None:
        super().__init__(init_cfg)
        if conv_bias != 'auto' and not isinstance(conv_bias, bool):
            raise ValueError(f"conv_bias: expected 'auto', True or False, got {conv_bias!r}")
        self.num_classes = num_classes
        self.cls_out_channels = num_classes
        self.in_channels = in_channels
        self.feat_channels = feat_channels
        self.stacked_convs = stacked_convs
        self.strides = strides
        self.use_depthwise = use_depthwise
        self.dcn_on_last_conv = dcn_on_last_conv
        self.conv_bias = conv_bias
        self.use_sigmoid_cls = True
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.loss_cls = build_loss(loss_cls)
        self.loss_bbox = build_loss(loss_bbox)
        self.loss_obj = build_loss(loss_obj)
        self.use_l1 = False
        self.loss_l1 = build_loss(loss_l1)
        self.prior_generator = MlvlPointGenerator(strides, offset=0)
        self.train_cfg = as_config(train_cfg)
        self.test_cfg = as_config(test_cfg)
        self.sampling = False
        if self.train_cfg:
            self.assigner = build_assigner(self.train_cfg.assigner)
            self.sampler = sampler_or_all(self, None)
        self._init_layers()

    def _init_layers(self) -> None:
        levels = range(len(self.strides))
        self.multi_level_cls_convs = nn.ModuleList(self._build_stacked_convs() for _ in levels)
        self.multi_level_reg_convs = nn.ModuleList(self._build_stacked_convs() for _ in levels)
        predictors = zip(*(self._build_predictor() for _ in levels))
        self.multi_level_conv_cls, self.multi_level_conv_reg, self.multi_level_conv_obj = map(nn.ModuleList, predictors)

    def _build_predictor(self) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """The convolutions of one level that predict classes, boxes and objectness."""
        width = self.feat_channels
        return nn.Conv2d(width, self.cls_out_channels, 1), nn.Conv2d(width, 4, 1), nn.Conv2d(width, 1, 1)

    def _build_stacked_convs(self) -> nn.Sequential:
        """One tower."""
        conv = DepthwiseSeparableConvModule if self.use_depthwise else ConvModule
        widths = [self.in_channels] + [self.feat_channels] * self.stacked_convs
        kinds = [self.conv_cfg] * self.stacked_convs
        if self.dcn_on_last_conv:
            kinds[-1] = MODULATED_DEFORMABLE
        settings = dict(stride=1, padding=1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg, bias=self.conv_bias)
        pairs = zip(widths, widths[1:], kinds)
        return nn.Sequential(*(conv(narrow, wide, 3, conv_cfg=kind, **settings) for narrow, wide, kind in pairs))

    def init_weights(self) -> None:
        """Initialise; classes and objectness start at a probability of 0.01."""
        super().init_weights()
        bias = bias_init_with_prob(RARE)
        for layer in (*self.multi_level_conv_cls, *self.multi_level_conv_obj):
            nn.init.constant_(layer.bias, bias)

    def forward(self, feats: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """L feature maps -> L maps of each of the three kinds of :meth:`forward_single`."""
        return multi_apply(
            self.forward_single,
            feats,
            self.multi_level_cls_convs,
            self.multi_level_reg_convs,
            self.multi_level_conv_cls,
            self.multi_level_conv_reg,
            self.multi_level_conv_obj,
        )

    def forward_single(
        self,
        x: Tensor,
        cls_convs: nn.Module,
        reg_convs: nn.Module,
        conv_cls: nn.Module,
        conv_reg: nn.Module,
        conv_obj: nn.Module,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One level -> class scores (N, K, H, W), boxes (N, 4, H, W), objectness (N, 1, H, W), by its layers."""
        cls_feat, reg_feat = cls_convs(x), reg_convs(x)
        return conv_cls(cls_feat), conv_reg(reg_feat), conv_obj(reg_feat)

    def _priors(self, maps: Sequence[Tensor]) -> Tensor:
        """(R, 4) x, y, stride x, stride y of all cells."""
        sizes = sizes_of_maps(maps)
        priors = self.prior_generator.grid_priors(sizes, maps[0].dtype, maps[0].device, with_stride=True)
        return torch.cat(priors)

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        objectnesses: Sequence[Tensor],
        img_metas: list[ImgMeta] | None = None,
        cfg: dict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[tuple[Tensor, ...]]:
        """Maps to boxes, image by image.

        Args:
            cls_scores: L maps (N, K, H, W).
            bbox_preds: L maps (N, 4, H, W).
            objectnesses: L maps (N, 1, H, W).
            img_metas: meta information of the N images.
            cfg: keys ``score_thr`` and ``nms``; None: ``test_cfg``.
            rescale: give boxes in pixels of the original image.
            with_nms: False gives what would enter the suppression: boxes (n, 4), scores (n,), labels (n,).

        Returns:
            for each image (boxes with scores (k, 5), labels (k,)).
        """
        cls_scores, bbox_preds, objectnesses = map(to_full_precision, (cls_scores, bbox_preds, objectnesses))
        settings = as_config(self.test_cfg if cfg is None else cfg)
        scores = rows_of_images(cls_scores, self.cls_out_channels).sigmoid()
        factors = rows_of_images(objectnesses, 1).squeeze(2).sigmoid()
        bboxes = self._bbox_decode(self._priors(cls_scores), rows_of_images(bbox_preds, 4))
        if rescale:
            scales = [tensor_like(meta['scale_factor'], bboxes).expand(4) for meta in cast(list[ImgMeta], img_metas)]
            bboxes = bboxes / torch.stack(scales)[:, None]
        images = zip(scores, bboxes, factors)
        if with_nms:
            return [self._bboxes_nms(*image, settings) for image in images]
        return [self._above_threshold(*image, settings.score_thr) for image in images]

    def _bbox_decode(self, priors: Tensor, bbox_preds: Tensor) -> Tensor:
        return decode_boxes(priors, bbox_preds)

    def _above_threshold(
        self, cls_scores: Tensor, bboxes: Tensor, score_factor: Tensor, score_thr: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (n, 4), scores (n,) and labels (n,) of one image's points whose best class scores enough."""
        best, labels = cls_scores.max(dim=1)
        scores = best * score_factor
        valid = scores >= score_thr
        return bboxes[valid], scores[valid], labels[valid]

    def _bboxes_nms(self, cls_scores: Tensor, bboxes: Tensor, score_factor: Tensor, cfg: Any) -> tuple[Tensor, Tensor]:
        bboxes, scores, labels = self._above_threshold(cls_scores, bboxes, score_factor, cfg.score_thr)
        dets, keep = batched_nms(bboxes, scores, labels, cfg.nms)
        return dets, labels[keep]

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        objectnesses: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_bbox``, ``loss_obj`` and, if switched on, ``loss_l1``.

        Args:
            cls_scores: L maps (N, K, H, W).
            bbox_preds: L maps (N, 4, H, W).
            objectnesses: L maps (N, 1, H, W).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
            gt_bboxes_ignore: not used.
        """
        cls_scores, bbox_preds, objectnesses = map(to_full_precision, (cls_scores, bbox_preds, objectnesses))
        scores = rows_of_images(cls_scores, self.cls_out_channels)
        deltas = rows_of_images(bbox_preds, 4)
        objectness = rows_of_images(objectnesses, 1).squeeze(2)
        priors = self._priors(cls_scores)
        boxes = self._bbox_decode(priors, deltas)
        targets = self.get_targets(scores, objectness, priors, boxes, gt_bboxes, gt_labels)
        centres = centres_of_cells(priors)[:, :2]
        found = (targets.rows.bbox_targets, targets.rows.labels, gt_bboxes, gt_labels)
        rows = self.weigh(
            targets.rows,
            img_metas,
            lambda i: inside_objects(centres, gt_bboxes[i]),
            objects=lambda: objects_of_boxes(*found),
        )
        labels = rows.labels.flatten()
        pos = (labels < self.num_classes).nonzero().squeeze(1)
        num_pos = reduce_mean(objectness.new_full((), float(len(pos)))).clamp(min=1)
        obj_weights = mask_objectness(self, objectness, scores, rows.labels, rows.label_weights, img_metas)
        is_object = (labels < self.num_classes).to(objectness)
        weights, gts = rows.bbox_weights.flatten(0, 1)[pos, 0], rows.bbox_targets.flatten(0, 1)[pos]
        of_class = functional.one_hot(labels[pos], self.num_classes) * targets.overlaps.flatten()[pos, None]
        class_weights = rows.label_weights.flatten()[pos, None].expand_as(of_class)
        losses = dict(
            loss_cls=self.loss_cls(scores.flatten(0, 1)[pos], of_class, class_weights) / num_pos,
            loss_bbox=self.loss_bbox(boxes.flatten(0, 1)[pos], gts, weights) / num_pos,
            loss_obj=self.loss_obj(objectness.reshape(-1, 1), is_object[:, None], obj_weights.reshape(-1, 1)) / num_pos,
        )
        if self.use_l1:
            l1_targets = self._get_l1_target(torch.empty_like(gts), gts, priors.repeat(len(scores), 1)[pos])
            losses['loss_l1'] = self.loss_l1(deltas.flatten(0, 1)[pos], l1_targets, weights[:, None]) / num_pos
        return losses

    @torch.no_grad()
    def get_targets(
        self,
        cls_preds: Tensor,
        objectness: Tensor,
        priors: Tensor,
        decoded_bboxes: Tensor,
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
    ) -> YOLOXTargets:
        """Targets of a batch.

        Args:
            cls_preds: (N, R, K) logits.
            objectness: (N, R) logits.
            priors: (R, 4) x, y, stride x, stride y.
            decoded_bboxes: (N, R, 4).
            gt_bboxes: N times (G, 4).
            gt_labels: N times (G,).
        """
        same_priors = [priors] * len(cls_preds)
        images = map(self._get_target_single, cls_preds, objectness, same_priors, decoded_bboxes, gt_bboxes, gt_labels)
        labels, boxes, overlaps = (torch.stack(part) for part in zip(*images))
        positive = labels < self.num_classes
        weights = torch.ones_like(overlaps)
        box_weights = positive.to(boxes)[..., None].expand_as(boxes)
        return YOLOXTargets(Targets(labels, weights, boxes, box_weights), overlaps)

    def _get_target_single(
        self,
        cls_preds: Tensor,
        objectness: Tensor,
        priors: Tensor,
        decoded_bboxes: Tensor,
        gt_bboxes: Tensor,
        gt_labels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Labels (R,), matched boxes (R, 4), zeros of negatives, and overlaps (R,) of one image."""
        gt_bboxes = gt_bboxes.to(decoded_bboxes)
        scores = cls_preds.sigmoid() * objectness.sigmoid()[:, None]
        middles = centres_of_cells(priors)
        assigned = self.assigner.assign(scores, middles, decoded_bboxes, gt_bboxes, gt_labels)
        positive = assigned.gt_inds > 0
        # row 0 is that of points without an object
        labels = functional.pad(gt_labels, (1, 0), value=self.num_classes)[assigned.gt_inds]
        boxes = functional.pad(gt_bboxes, (0, 0, 1, 0))[assigned.gt_inds]
        return labels, boxes, torch.where(positive, assigned.max_overlaps, 0.0)

    @staticmethod
    def _get_l1_target(l1_target: Tensor, gt_bboxes: Tensor, priors: Tensor, eps: float = 1e-8) -> Tensor:
        """``l1_target`` (P, 4), filled with what predictions should be; see :func:`encode_boxes`."""
        return l1_target.copy_(encode_boxes(priors, gt_bboxes, eps))
