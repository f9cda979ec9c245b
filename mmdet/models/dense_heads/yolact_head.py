"""YOLACT: boxes with coefficients, and prototypes that the coefficients mix to masks (arXiv:1904.02689)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule, ModuleList
from torch import Tensor, nn

from mmdet.core.directives import BBOX_HEAD, MASK_HEAD
from mmdet.core.post_processing.bbox_nms import fast_nms
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import multi_apply, select_single_mlvl
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.base_dense_head import as_config, flatten_map, to_full_precision
from mmdet.models.dense_heads.functional.prototypes import (
    crop_masks,
    mask_losses,
    masks_of_classes,
    resize_masks,
    sanitize_coordinates,
)
from mmdet.models.dense_heads.ssd_head import hardest_negatives
from mmdet.models.directives import mask_scores, weigh_targets, weights_of_rows

# Default arguments; every builder copies them.
YOLACT_ANCHORS = dict(
    type='AnchorGenerator',
    octave_base_scale=3,
    scales_per_octave=1,
    ratios=[0.5, 1.0, 2.0],
    strides=[8, 16, 32, 64, 128],
)
SOFTMAX_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=False, reduction='none', loss_weight=1.0)
SMOOTH_LOSS = dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.5)
SIGMOID_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
XAVIER = dict(type='Xavier', distribution='uniform', bias=0, layer='Conv2d')
PROTO_CHANNELS = (256, 256, 256, None, 256, 32)
PROTO_KERNELS = (3, 3, 3, -2, 3, 1)


@HEADS.register_module()
class YOLACTHead(AnchorHead):
    """Class scores with background, box deltas and mask coefficients for every anchor.

    Args:
        num_classes: K, without background.
        in_channels: channels of the feature maps.
        anchor_generator: config of the prior generator.
        loss_cls: config of the classification loss; without reduction where ``use_ohem``.
        loss_bbox: config of the box loss.
        num_head_convs: 3x3 convolutions that all predictions share.
        num_protos: coefficients of an anchor.
        use_ohem: of the negatives only the hardest count, ``train_cfg.neg_pos_ratio`` for each positive.
        conv_cfg: kind of the convolutions; None: ``Conv2d``.
        norm_cfg: normalisation after each; None: none.
        init_cfg: initialisation of the weights.
        kwargs: other arguments of :class:`AnchorHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: dict = YOLACT_ANCHORS,
        loss_cls: dict = SOFTMAX_LOSS,
        loss_bbox: dict = SMOOTH_LOSS,
        num_head_convs: int = 1,
        num_protos: int = 32,
        use_ohem: bool = True,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = XAVIER,
        **kwargs: Any,
    ) -> None:
        self.num_head_convs = num_head_convs
        self.num_protos = num_protos
        self.use_ohem = use_ohem
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        super().__init__(
            num_classes,
            in_channels,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            anchor_generator=anchor_generator,
            init_cfg=init_cfg,
            **kwargs,
        )

    def _init_layers(self) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.head_convs = ModuleList(
            ConvModule(
                self.feat_channels if i else self.in_channels,
                self.feat_channels,
                3,
                padding=1,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
            )
            for i in range(self.num_head_convs)
        )
        self.conv_cls, self.conv_reg, self.conv_coeff = (
            nn.Conv2d(self.feat_channels, self.num_base_priors * width, 3, padding=1)
            for width in (self.cls_out_channels, 4, self.num_protos)
        )

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One level (N, in_channels, H, W) -> class scores, box deltas and coefficients in [-1, 1].

        Their shapes are (N, A * C, H, W), (N, A * 4, H, W) and (N, A * num_protos, H, W).
        """
        for layer in self.head_convs:
            x = layer(x)
        return self.conv_cls(x), self.conv_reg(x), self.conv_coeff(x).tanh()

    def loss(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        gt_bboxes: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[dict],
        gt_bboxes_ignore: list[Tensor] | None = None,
    ) -> tuple[dict[str, list[Tensor]], list]:
        """``loss_cls`` and ``loss_bbox``, one tensor an image (with ``use_ohem``) or a level; sampling results.

        Arguments as of :meth:`AnchorHead.loss`.
        """
        cls_scores, bbox_preds = to_full_precision(cls_scores), to_full_precision(bbox_preds)
        sizes = [level.shape[-2:] for level in cls_scores]
        anchors, flags = self.get_anchors(sizes, img_metas, device=cls_scores[0].device)
        channels = self.cls_out_channels if self.use_sigmoid_cls else 1
        options = dict(label_channels=channels, return_sampling_results=True)
        *targets, num_pos, num_neg, sampling_results = self.get_targets(
            anchors, flags, gt_bboxes, img_metas, gt_bboxes_ignore, gt_labels, **options
        )
        cls_scores, targets[1] = self.score_maps_for_loss(cls_scores, *targets[:2], img_metas)
        if self.use_ohem:
            maps = (
                torch.cat([level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in levels], dim=1)
                for levels, width in ((cls_scores, self.cls_out_channels), (bbox_preds, 4))
            )
            rows = (torch.cat(target, dim=1) for target in targets)
            flat_anchors = [torch.cat(image) for image in anchors]
            single, inputs, divisor = self.loss_single_OHEM, (*maps, flat_anchors, *rows), num_pos
        else:
            stacked = [torch.stack(level) for level in zip(*anchors)]
            single, inputs = self.loss_single, (cls_scores, bbox_preds, stacked, *targets)
            divisor = num_pos + num_neg if self.sampling else num_pos
        losses_cls, losses_bbox = multi_apply(single, *inputs, num_total_samples=divisor)
        return dict(loss_cls=losses_cls, loss_bbox=losses_bbox), sampling_results

    def loss_single_OHEM(
        self,
        cls_score: Tensor,
        bbox_pred: Tensor,
        anchors: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        num_total_samples: int,
    ) -> tuple[Tensor, Tensor]:
        """Losses of one image; of its negatives only the hardest count, and all where it has no positive.

        Args:
            cls_score: (R, C).
            bbox_pred: (R, 4).
            anchors: (R, 4).
            labels: (R,).
            label_weights: (R,).
            bbox_targets: (R, 4).
            bbox_weights: (R, 4).
            num_total_samples: divisor.

        Returns:
            classification loss (1,) and box loss.
        """
        losses = self.loss_cls(cls_score, labels, label_weights, reduction_override='none')
        if (labels < self.num_classes).any():
            loss_cls = hardest_negatives(losses, labels, self.num_classes, self.train_cfg.neg_pos_ratio)
        else:
            loss_cls = losses.sum()
        if self.reg_decoded_bbox:
            bbox_pred = self.bbox_coder.decode(anchors, bbox_pred)
        loss_bbox = self.loss_bbox(bbox_pred, bbox_targets, bbox_weights, avg_factor=num_total_samples)
        return loss_cls[None] / num_total_samples, loss_bbox

    def get_bboxes(
        self,
        cls_scores: Sequence[Tensor],
        bbox_preds: Sequence[Tensor],
        coeff_preds: Sequence[Tensor],
        img_metas: list[dict],
        cfg: dict | None = None,
        rescale: bool = False,
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Maps to boxes with scores (k, 5), labels (k,) and coefficients (k, num_protos) of each image.

        Args:
            cls_scores: L maps (N, A * C, H, W).
            bbox_preds: L maps (N, A * 4, H, W).
            coeff_preds: L maps (N, A * num_protos, H, W).
            img_metas: meta information of the N images.
            cfg: keys ``nms_pre`` (a level), ``score_thr``, ``iou_thr``, ``top_k``, ``max_per_img``; None: ``test_cfg``.
            rescale: give boxes in pixels of the original image.
        """
        maps = [to_full_precision(levels) for levels in (cls_scores, bbox_preds, coeff_preds)]
        sizes = [level.shape[-2:] for level in cls_scores]
        anchors = self.prior_generator.grid_priors(sizes, dtype=maps[0][0].dtype, device=maps[0][0].device)
        cfg = as_config(self.test_cfg if cfg is None else cfg)
        return [
            self._get_bboxes_single(
                *(select_single_mlvl(levels, i) for levels in maps),
                anchors,
                meta['img_shape'],
                meta.get('scale_factor'),
                cfg,
                rescale,
            )
            for i, meta in enumerate(img_metas)
        ]

    def _get_bboxes_single(
        self,
        cls_score_list: list[Tensor],
        bbox_pred_list: list[Tensor],
        coeff_preds_list: list[Tensor],
        mlvl_anchors: list[Tensor],
        img_shape: tuple[int, ...],
        scale_factor: Any,
        cfg: Any,
        rescale: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of one image, from its maps of each level; see :meth:`get_bboxes`."""
        scores, boxes, coeffs = [], [], []
        for cls_score, bbox_pred, coeff, anchors in zip(cls_score_list, bbox_pred_list, coeff_preds_list, mlvl_anchors):
            level = self._class_scores(flatten_map(cls_score, self.cls_out_channels))
            deltas, coeff = flatten_map(bbox_pred, 4), flatten_map(coeff, self.num_protos)
            if 0 < cfg.get('nms_pre', -1) < len(level):
                best = level.amax(1).topk(cfg.nms_pre).indices
                level, deltas, coeff, anchors = level[best], deltas[best], coeff[best], anchors[best]
            scores.append(level)
            boxes.append(self.bbox_coder.decode(anchors, deltas, max_shape=img_shape))
            coeffs.append(coeff)
        boxes, scores = torch.cat(boxes), torch.cat(scores)
        if rescale:
            boxes = boxes / boxes.new_tensor(scale_factor)
        scores = F.pad(scores, (0, 1))  # a column for background
        limits = (cfg.score_thr, cfg.iou_thr, cfg.top_k, cfg.max_per_img)
        return fast_nms(boxes, scores, torch.cat(coeffs), *limits)


@HEADS.register_module()
class YOLACTSegmHead(BaseModule):
    """Which classes are at each pixel, from features; an additional loss that is not needed in tests.

    A pixel of no object is a negative. Images without objects have no part in the loss.

    Args:
        num_classes: K, without background.
        in_channels: channels of the features.
        loss_segm: config of the loss, of independent sigmoids.
        init_cfg: initialisation of the weights.
    """

    directive_head = BBOX_HEAD
    has_sampler = False

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        loss_segm: dict = SIGMOID_LOSS,
        init_cfg: dict | list | None = dict(type='Xavier', distribution='uniform', override=dict(name='segm_conv')),  # noqa: B006,B008
    ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.use_sigmoid_cls = True
        self.loss_segm = build_loss(loss_segm)
        self._init_layers()

    def _init_layers(self) -> None:
        self.segm_conv = nn.Conv2d(self.in_channels, self.num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, in_channels, H, W) -> logits (N, K, H, W)."""
        return self.segm_conv(x)

    def loss(
        self,
        segm_pred: Tensor,
        gt_masks: list[Tensor],
        gt_labels: list[Tensor],
        img_metas: list[dict] | None = None,
    ) -> dict[str, list[Tensor]]:
        """``loss_segm``, one tensor an image.

        Args:
            segm_pred: (N, K, h, w) logits.
            gt_masks: N times (G, H, W), 0/1.
            gt_labels: N times (G,).
            img_metas: meta information of the N images.
        """
        # in published weights channel k - 1 is that of class k, and the last one that of class 0
        segm_pred = to_full_precision([segm_pred])[0].roll(1, dims=1)
        num, classes = segm_pred.shape[:2]
        found = [self.get_targets(*image) for image in zip(segm_pred, gt_masks, gt_labels)]
        masks = torch.stack([torch.zeros_like(p) if t is None else t for p, t in zip(segm_pred, found)]).flatten(2)
        labels = torch.where(masks.amax(1) > 0, 0, classes)
        teaches = masks.new_tensor([target is not None for target in found])[:, None].expand(labels.shape)
        nothing = masks.new_zeros(*labels.shape, 0)  # there are no boxes
        images = torch.arange(num, device=labels.device)[:, None]
        targets = weigh_targets(self, Targets(labels, teaches, nothing, nothing), images, img_metas)
        logits, weights = mask_scores(
            self,
            segm_pred.flatten(2).transpose(1, 2).flatten(0, 1),
            labels.flatten(),
            targets.label_weights.flatten(),
            images.expand_as(labels).flatten(),
            img_metas,
        )
        losses = self.loss_segm(
            logits, masks.transpose(1, 2).flatten(0, 1), weights[:, None], reduction_override='none'
        )
        return dict(loss_segm=list(losses.view(num, -1).sum(1) / labels.numel()))

    @torch.no_grad()
    def get_targets(self, segm_pred: Tensor, gt_masks: Tensor, gt_labels: Tensor) -> Tensor | None:
        """Masks (G, H, W) and labels (G,) of one image -> 0/1 (K, h, w), class by class; None without objects.

        Of ``segm_pred`` (K, h, w) the size is read.
        """
        if not len(gt_masks):
            return None
        return masks_of_classes(resize_masks(gt_masks, segm_pred.shape[-2:]), gt_labels, self.num_classes)

    def simple_test(self, feats: Any, img_metas: list[dict], rescale: bool = False) -> None:
        """Not offered.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError('YOLACTSegmHead serves the training only')


class InterpolateModule(BaseModule):
    """:func:`torch.nn.functional.interpolate` with fixed arguments ``args`` and ``kwargs``."""

    def __init__(self, *args: Any, init_cfg: dict | list | None = None, **kwargs: Any) -> None:
        super().__init__(init_cfg)
        self.args = args
        self.kwargs = kwargs

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, h, w)."""
        return F.interpolate(x, *self.args, **self.kwargs)


@HEADS.register_module()
class YOLACTProtonet(BaseModule):
    """Prototypes from features, and masks from prototypes and coefficients.

    Args:
        num_classes: K, without background.
        in_channels: channels of the features.
        proto_channels: channels of each layer; None: the layer enlarges.
        proto_kernel_sizes: side of each layer's kernel; with None of ``proto_channels``, minus the factor of a bilinear
            enlargement; negative otherwise: minus the side of a transposed convolution's kernel.
        include_last_relu: whether the prototypes are not negative.
        num_protos: number of prototypes.
        loss_mask_weight: factor of the loss.
        max_masks_to_train: so many masks of an image enter the loss at most, chosen at random.
        init_cfg: initialisation of the weights.
    """

    directive_head, directive_fallback = MASK_HEAD, BBOX_HEAD

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        proto_channels: Sequence[int | None] = PROTO_CHANNELS,
        proto_kernel_sizes: Sequence[int] = PROTO_KERNELS,
        include_last_relu: bool = True,
        num_protos: int = 32,
        loss_mask_weight: float = 1.0,
        max_masks_to_train: int = 100,
        init_cfg: dict | list | None = dict(type='Xavier', distribution='uniform', override=dict(name='protonet')),  # noqa: B006,B008
    ) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.proto_channels = proto_channels
        self.proto_kernel_sizes = proto_kernel_sizes
        self.include_last_relu = include_last_relu
        self.num_protos = num_protos
        self.loss_mask_weight = loss_mask_weight
        self.max_masks_to_train = max_masks_to_train
        self.protonet = self._init_layers()

    def _init_layers(self) -> nn.Sequential:
        layers, channels = [], self.in_channels
        for width, kernel in zip(self.proto_channels, self.proto_kernel_sizes):
            if width is None:
                layers.append(InterpolateModule(scale_factor=-kernel, mode='bilinear', align_corners=False))
            elif kernel > 0:
                layers.append(nn.Conv2d(channels, width, kernel, padding=kernel // 2))
            else:
                layers.append(nn.ConvTranspose2d(channels, width, -kernel, stride=-kernel))
            channels = width or channels
            layers.append(nn.ReLU(inplace=True))
        return nn.Sequential(*(layers if self.include_last_relu else layers[:-1]))

    def forward_dummy(self, x: Tensor) -> Tensor:
        """The network alone: features (N, in_channels, H, W) -> prototypes (N, num_protos, h, w)."""
        return self.protonet(x)

    def forward(
        self,
        x: Tensor,
        coeff_pred: Sequence[Tensor],
        bboxes: list[Tensor],
        img_meta: list[dict],
        sampling_results: list | None = None,
    ) -> list[Tensor]:
        """Masks in [0, 1] of each image, (n, h, w), zero outside their boxes.

        Args:
            x: features (N, in_channels, H, W).
            coeff_pred: in training L maps (N, A * num_protos, H, W), otherwise N times (n, num_protos).
            bboxes: N times (n, 4), pixels of the network's input; in training those of the objects (G, 4).
            img_meta: meta information of the N images.
            sampling_results: of the boxes' positives, in training; None: a test.
        """
        prototypes = self.protonet(x).permute(0, 2, 3, 1)
        if sampling_results is not None:
            levels = [m.permute(0, 2, 3, 1).reshape(len(m), -1, self.num_protos) for m in coeff_pred]
            rows = torch.cat(levels, dim=1)
            coeff_pred = [image[sampled.pos_inds] for image, sampled in zip(rows, sampling_results)]
            bboxes = [boxes[sampled.pos_assigned_gt_inds] for boxes, sampled in zip(bboxes, sampling_results)]
        masks = []
        for image, coeffs, boxes, meta in zip(prototypes, coeff_pred, bboxes, img_meta):
            height, width = meta['img_shape'][:2]
            relative = boxes[:, :4] / boxes.new_tensor([width, height, width, height])
            masks.append(self.crop((image @ coeffs.t()).sigmoid(), relative).permute(2, 0, 1))
        return masks

    def loss(
        self,
        mask_pred: list[Tensor],
        gt_masks: list[Tensor],
        gt_bboxes: list[Tensor],
        img_meta: list[dict],
        sampling_results: list,
    ) -> dict[str, list[Tensor]]:
        """``loss_mask``, one tensor an image; a mask counts by the inverse of its box's area.

        Args:
            mask_pred: N times (P, h, w), of the positives.
            gt_masks: N times (G, H, W), 0/1.
            gt_bboxes: N times (G, 4).
            img_meta: meta information of the N images.
            sampling_results: of the N images.
        """
        losses, total = [], 0
        weights = weights_of_rows(self, img_meta, [1] * len(img_meta), mask_pred[0].device)
        for masks, gts, boxes, meta, sampled in zip(mask_pred, gt_masks, gt_bboxes, img_meta, sampling_results):
            gt_inds = sampled.pos_assigned_gt_inds
            if not len(gt_inds):
                losses.append(masks.sum() * 0)
                continue
            if len(gt_inds) > self.max_masks_to_train:
                chosen = torch.randperm(len(gt_inds), device=masks.device)[: self.max_masks_to_train]
                masks, gt_inds = masks[chosen], gt_inds[chosen]
            total += len(gt_inds)
            targets = self.get_targets(masks, gts, gt_inds)
            of_masks = mask_losses(masks, targets, boxes[gt_inds], meta['img_shape'])
            losses.append(of_masks.sum() * self.loss_mask_weight)
        if weights is not None:
            losses = [loss * weight for loss, weight in zip(losses, weights)]
        return dict(loss_mask=[loss / max(total, 1) for loss in losses])

    @torch.no_grad()
    def get_targets(self, mask_pred: Tensor, gt_masks: Tensor, pos_assigned_gt_inds: Tensor) -> Tensor | None:
        """Masks (P, h, w) that positives of the objects ``pos_assigned_gt_inds`` (P,) are to become; None without.

        ``gt_masks`` are (G, H, W), 0/1; of ``mask_pred`` (P, h, w) the size is read.
        """
        if not len(gt_masks):
            return None
        return resize_masks(gt_masks, mask_pred.shape[-2:])[pos_assigned_gt_inds]

    def get_seg_masks(
        self, mask_pred: Tensor, label_pred: Tensor, img_meta: dict, rescale: bool
    ) -> list[list[np.ndarray]]:
        """Masks (n, h, w) in [0, 1] and labels (n,) -> for each class a list of bool arrays of the image's size.

        With ``rescale`` that is the size of the original image, otherwise of the network's input without padding.
        """
        size = (img_meta['ori_shape'] if rescale else img_meta['img_shape'])[:2]
        segms = [[] for _ in range(self.num_classes)]
        if not len(mask_pred):
            return segms
        masks = F.interpolate(mask_pred[None], size, mode='bilinear', align_corners=False)[0] > 0.5
        for mask, label in zip(masks.cpu().numpy(), label_pred.tolist()):
            segms[label].append(mask)
        return segms

    def crop(self, masks: Tensor, boxes: Tensor, padding: int = 1) -> Tensor:
        """See :func:`crop_masks`."""
        return crop_masks(masks, boxes, padding)

    def sanitize_coordinates(
        self, x1: Tensor, x2: Tensor, img_size: int, padding: int = 0, cast: bool = True
    ) -> tuple[Tensor, Tensor]:
        """See :func:`sanitize_coordinates`."""
        return sanitize_coordinates(x1, x2, img_size, padding, cast)

    def simple_test(
        self,
        feats: Sequence[Tensor],
        det_bboxes: list[Tensor],
        det_labels: list[Tensor],
        det_coeffs: list[Tensor],
        img_metas: list[dict],
        rescale: bool = False,
    ) -> list[list[list[np.ndarray]]]:
        """Masks of the detections of each image, by class; see :meth:`get_seg_masks`.

        Args:
            feats: feature maps, of which the first is used.
            det_bboxes: N times (k, 5), pixels of the original image with ``rescale``, else of the network's input.
            det_labels: N times (k,).
            det_coeffs: N times (k, num_protos).
            img_metas: meta information of the N images.
            rescale: give masks of the original images' size.
        """
        boxes = [
            dets[:, :4] * dets.new_tensor(meta['scale_factor']) if rescale else dets[:, :4]
            for dets, meta in zip(det_bboxes, img_metas)
        ]
        masks = self(feats[0], det_coeffs, boxes, img_metas)
        return [self.get_seg_masks(*image, rescale) for image in zip(masks, det_labels, img_metas)]
