"""The mask heads of YOLACT: classes of pixels, and prototypes that coefficients mix to masks (arXiv:1904.02689)."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.models.base_head import BaseHead
from mmdet.models.builder import HEADS, build_loss
from mmdet.models.dense_heads.functional.masks.prototypes import (
    crop_masks,
    mask_losses,
    masks_of_classes,
    resize_masks,
    sanitize_coordinates,
)
from mmdet.models.dense_heads.functional.rows import rows_of_images, to_full_precision
from mmdet.utils.running.device_copy import tensor_like

# Default arguments; every builder copies them.
SIGMOID_LOSS = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)
SEGM_INIT = dict(type='Xavier', distribution='uniform', override=dict(name='segm_conv'))
PROTONET_INIT = dict(type='Xavier', distribution='uniform', override=dict(name='protonet'))
PROTO_CHANNELS = (256, 256, 256, None, 256, 32)
PROTO_KERNELS = (3, 3, 3, -2, 3, 1)


@HEADS.register_module()
class YOLACTSegmHead(BaseHead):
    """Which classes are at each pixel, from features; an additional loss that is not needed in tests.

    A pixel of no object is a negative. Images without objects have no part in the loss.

    Args:
        num_classes: K, without background.
        in_channels: channels of the features.
        loss_segm: config of the loss, of independent sigmoids.
        init_cfg: initialisation of the weights.
    """

    directive_fallback = None
    has_sampler = False

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        loss_segm: dict = SIGMOID_LOSS,
        init_cfg: dict | list | None = SEGM_INIT,
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
        img_metas: list[ImgMeta] | None = None,
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
        teaches = tensor_like([float(target is not None) for target in found], masks)[:, None].expand(labels.shape)
        nothing = masks.new_zeros(*labels.shape, 0)  # there are no boxes
        targets = self.weigh(Targets(labels, teaches, nothing, nothing), img_metas)
        logits = segm_pred.flatten(2).transpose(1, 2)
        logits, weights = self.scores_for_loss(logits, labels, targets.label_weights, img_metas)
        losses = self.loss_segm(
            logits.flatten(0, 1),
            masks.transpose(1, 2).flatten(0, 1),
            weights.flatten()[:, None],
            reduction_override='none',
        )
        return dict(loss_segm=list(losses.reshape(num, -1).sum(1) / labels.numel()))

    @torch.no_grad()
    def get_targets(self, segm_pred: Tensor, gt_masks: Tensor, gt_labels: Tensor) -> Tensor | None:
        """Masks (G, H, W) and labels (G,) of one image -> 0/1 (K, h, w), class by class; None without objects.

        Of ``segm_pred`` (K, h, w) the size is read.
        """
        if not len(gt_masks):
            return None
        return masks_of_classes(resize_masks(gt_masks, segm_pred.shape[-2:]), gt_labels, self.num_classes)

    def simple_test(self, feats: Any, img_metas: list[ImgMeta], rescale: bool = False) -> None:
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
class YOLACTProtonet(BaseHead):
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

    directive_head, directive_fallback = 'mask_head', 'bbox_head'

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
        init_cfg: dict | list | None = PROTONET_INIT,
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
        channels = self.in_channels
        layers: list[nn.Module] = []
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
        img_meta: list[ImgMeta],
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
            rows = rows_of_images(coeff_pred, self.num_protos)
            coeff_pred = [image[sampled.pos_inds] for image, sampled in zip(rows, sampling_results)]
            bboxes = [boxes[sampled.pos_assigned_gt_inds] for boxes, sampled in zip(bboxes, sampling_results)]
        masks = []
        for image, coeffs, boxes, meta in zip(prototypes, coeff_pred, bboxes, img_meta):
            height, width = meta['img_shape'][:2]
            relative = boxes[:, :4] / tensor_like([width, height, width, height], boxes)
            masks.append(self.crop((image @ coeffs.t()).sigmoid(), relative).permute(2, 0, 1))
        return masks

    def loss(
        self,
        mask_pred: list[Tensor],
        gt_masks: list[Tensor],
        gt_bboxes: list[Tensor],
        img_meta: list[ImgMeta],
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
        weights = self.image_weights(img_meta, mask_pred[0].device)
        for masks, gts, boxes, meta, sampled in zip(mask_pred, gt_masks, gt_bboxes, img_meta, sampling_results):
            gt_inds = sampled.pos_assigned_gt_inds
            if not len(gt_inds):
                losses.append(masks.sum() * 0)
                continue
            if len(gt_inds) > self.max_masks_to_train:
                chosen = torch.randperm(len(gt_inds), device=masks.device)[: self.max_masks_to_train]
                masks, gt_inds = masks[chosen], gt_inds[chosen]
            total += len(gt_inds)
            targets = cast(Tensor, self.get_targets(masks, gts, gt_inds))
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
        self, mask_pred: Tensor, label_pred: Tensor, img_meta: ImgMeta, rescale: bool
    ) -> list[list[np.ndarray]]:
        """Masks (n, h, w) in [0, 1] and labels (n,) -> for each class a list of bool arrays of the image's size.

        With ``rescale`` that is the size of the original image, otherwise of the network's input without padding.
        """
        size = (img_meta['ori_shape'] if rescale else img_meta['img_shape'])[:2]
        segms: list[list[Any]] = [[] for _ in range(self.num_classes)]
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
        img_metas: list[ImgMeta],
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
            dets[:, :4] * tensor_like(meta['scale_factor'], dets) if rescale else dets[:, :4]
            for dets, meta in zip(det_bboxes, img_metas)
        ]
        masks = self(feats[0], det_coeffs, boxes, img_metas)
        return [self.get_seg_masks(*image, rescale) for image in zip(masks, det_labels, img_metas)]
